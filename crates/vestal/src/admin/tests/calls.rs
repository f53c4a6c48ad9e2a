//! What holds for every call.

use bytes::Bytes;
use serde_json::{Value, json};

use super::World;

/// Every call that there is, on things that aren't there.
const CALLS: [(&str, &str); 24] = [
    ("GET", "/status"),
    ("GET", "/vaults"),
    ("GET", "/vaults/nowhere/secrets"),
    ("GET", "/vaults/contoso/secrets/nothing"),
    ("PUT", "/vaults/nowhere/secrets/nothing"),
    ("GET", "/vaults/contoso/secrets/nothing/value"),
    ("GET", "/tokens"),
    ("GET", "/tokens/contoso/nothing"),
    ("GET", "/tokens/contoso/nothing/history"),
    ("POST", "/tokens/contoso/nothing/renew"),
    ("POST", "/tokens/contoso/nothing/pause"),
    ("POST", "/tokens/contoso/nothing/resume"),
    ("GET", "/apps"),
    ("POST", "/apps"),
    ("DELETE", "/apps/nothing"),
    ("POST", "/apps/nothing/rotate-secret"),
    ("GET", "/policies"),
    ("PUT", "/policies/nothing"),
    ("DELETE", "/policies/nothing"),
    ("POST", "/plan"),
    ("POST", "/apply"),
    ("GET", "/vaults/nowhere/secrets/nothing"),
    ("GET", "/vaults/nowhere/secrets/nothing/value"),
    ("GET", "/tokens/nowhere/nothing"),
];

#[tokio::test]
async fn what_is_not_there_is_not_found_and_changes_nothing() {
    let world = World::new().await;
    for (method, path) in CALLS {
        let lists = ["/status", "/vaults", "/tokens", "/apps", "/policies"].contains(&path) && method == "GET";
        let wants_a_body = method == "PUT" || ["/apps", "/plan", "/apply"].contains(&path);
        if lists {
            world.get(path).await;
        } else if !wants_a_body || path.contains("nowhere") {
            let words = world.refused(method, path, Value::Null, 404, "not-found").await;
            assert!(words.contains("there is no "), "{method} {path}: {words}");
        } else {
            world.refused(method, path, Value::Null, 400, "bad-request").await;
        }
    }
}

#[tokio::test]
async fn a_call_that_nobody_knows_says_so() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", ""),
        ("DELETE", "/status"),
        ("POST", "/vaults/contoso/secrets/key"),
        ("GET", "/vaults/contoso"),
        ("PATCH", "/apps/filed"),
        ("GET", "/vaults/contoso/secrets/key/value/more"),
    ] {
        let words = world.refused(method, path, Value::Null, 404, "not-found").await;
        assert!(words.contains("there is no call") && words.contains("restart the process"), "{words}");
    }
    for uri in ["/status", "/vestal/v1status", "/vestal/v2/status"] {
        let request = http::Request::get(uri).body(Bytes::new()).unwrap();
        assert_eq!(world.admin.answer(request).await.status(), 404, "{uri}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_the_call_takes_is_refused_without_being_quoted() {
    let world = World::new().await;
    let before = world.audit().await.len();
    for (method, path) in [
        ("PUT", "/vaults/contoso/secrets/key"),
        ("POST", "/apps"),
        ("PUT", "/policies/mine"),
        ("POST", "/plan"),
        ("POST", "/apply"),
    ] {
        for body in ["", "hunter2", "{\"value\": 1234567", "[]", "{}", "{\"value\":\"v\",\"hunter2\":1}", "\u{0}"] {
            let (status, answer) = world.ask_with(method, path, Bytes::from(body)).await;
            assert_eq!(status, 400, "{method} {path} {body}: {answer}");
            assert_eq!(answer["error"]["code"], "bad-request");
        }
    }
    for body in [json!({"value": 1234567}), json!({"value": ["hunter2"]}), json!({"value": "v", "expires": "hunter2"})]
    {
        let words = world.refused("PUT", "/vaults/contoso/secrets/key", body, 400, "bad-request").await;
        assert!(!words.contains("hunter2") && !words.contains("1234567"), "{words}");
    }
    let missing = world.refused("PUT", "/vaults/contoso/secrets/key", json!({}), 400, "bad-request").await;
    assert!(missing.contains("missing field `value`"), "{missing}");
    let (status, _) = world.ask_with("PUT", "/vaults/contoso/secrets/key", Bytes::from_static(b"\"\xff\"")).await;
    assert_eq!(status, 400);
    assert_eq!(world.audit_since(before).await, Vec::<String>::new(), "nothing was about to be changed");
}

/// No name that is taken has a character that a path would have to escape; one that is escaped all the same is none.
#[tokio::test]
async fn names_are_written_as_they_are() {
    let world = World::new().await;
    world.set("Some-Key", "one").await;
    for name in ["some%2Dkey", "some%20key", "a%2Fb", "%00", "..", "some_key", "k%c3%a4se"] {
        let path = format!("/vaults/contoso/secrets/{name}");
        let words = world.refused("GET", &path, Value::Null, 400, "bad-request").await;
        assert!(words.contains("no secret's name"), "{words}");
        let words = world.refused("GET", &format!("/vaults/{name}/secrets"), Value::Null, 400, "bad-request").await;
        assert!(words.contains("no vault's name"), "{words}");
        world.refused("POST", &format!("/tokens/contoso/{name}/renew"), Value::Null, 400, "bad-request").await;
        world.refused("DELETE", &format!("/apps/{name}"), Value::Null, 404, "not-found").await;
        world.refused("DELETE", &format!("/policies/{name}"), Value::Null, 404, "not-found").await;
        let policy = json!({"name": name, "app": "filed", "vault": "contoso", "permissions": ["get"]});
        if !["..", "some_key"].contains(&name) {
            world.refused("PUT", &format!("/policies/{name}"), policy, 400, "bad-request").await;
            world.refused("POST", "/apps", json!({ "name": name }), 400, "bad-request").await;
        }
    }
    let long = "k".repeat(128);
    world.refused("GET", &format!("/vaults/contoso/secrets/{long}"), Value::Null, 400, "bad-request").await;
    // Names compare without their case, and come back as they were first written.
    let found = world.get("/vaults/CONTOSO/secrets/SOME-KEY").await;
    assert_eq!((&found["vault"], &found["name"]), (&json!("contoso"), &json!("Some-Key")));
}

#[tokio::test]
async fn the_status_says_who_it_is_where_it_is_and_how_it_is() {
    let world = World::with_token().await;
    let status = world.get("/status").await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["data"], json!(world.folder.path().join("data").canonicalize().unwrap()));
    assert_eq!(status["vaults"], json!([{"name": "contoso", "url": "https://contoso.vault.localhost:8443"}]));
    assert_eq!(status["vaults"], world.get("/vaults").await);
    assert_eq!(status["authority"], "https://localhost:8443");
    assert_eq!(status["tenant"], world.engine.keyvault().tenant());
    assert_eq!(status["tokens"], json!({"due": 1}));
    assert_eq!(status["not_ready"], json!([]));
    assert!(super::instant(&status["started"]) <= crate::clock::now().wall.0);
}
