//! Apps and access policies, as the operator makes them.

use http::StatusCode;
use serde_json::{Value, json};

use super::World;

fn policy(name: &str, permissions: &[&str]) -> Value {
    json!({"name": name, "app": "reader", "vault": "contoso", "permissions": permissions, "names": ["some-*"]})
}

#[tokio::test]
async fn an_app_signs_in_with_the_secret_that_is_shown_once() {
    let world = World::new().await;
    let before = world.audit().await.len();
    let created = world.done("POST", "/apps", json!({"name": "reader"})).await;
    let client_secret = created["client_secret"].as_str().unwrap();
    let app = &created["app"];
    assert_eq!((&app["name"], &app["origin"]), (&json!("reader"), &json!("admin")));
    assert_eq!(app["secrets"].as_array().unwrap().len(), 1);
    let client_id = vault::ClientId::parse(app["client_id"].as_str().unwrap()).unwrap();
    assert!(world.engine.keyvault().signs_in(&client_id, client_secret.as_bytes(), super::now()));
    assert!(world.sign_in(app, client_secret).await.is_some());
    assert!(world.sign_in(app, "another").await.is_none());
    let list = world.get("/apps").await;
    assert_eq!(list.as_array().unwrap().iter().map(|app| &app["name"]).collect::<Vec<_>>(), ["filed", "reader"]);
    assert_eq!(&list[1], app);
    assert!(!list.to_string().contains(client_secret), "it is shown once");
    let words = world.refused("POST", "/apps", json!({"name": "reader"}), 409, "conflict").await;
    assert!(words.contains("already"), "{words}");
    assert!(!world.audit_text().contains(client_secret));
    assert_eq!(
        world.audit_since(before).await,
        ["AppCreate - reader allowed", "AppCreate - reader allowed", "AppCreate - reader failed"]
    );
}

#[tokio::test]
async fn a_new_client_secret_lets_the_old_one_live_for_a_day_or_ends_it() {
    let world = World::new().await;
    let first = world.done("POST", "/apps", json!({"name": "reader"})).await;
    let second = world.done("POST", "/apps/reader/rotate-secret", Value::Null).await;
    let secrets = second["app"]["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    let end = super::instant(&secrets[0]["ends"]) / 1000 - crate::clock::unix_seconds();
    assert!((86_000..=86_400).contains(&end), "{end}");
    assert_eq!(secrets[1]["ends"], Value::Null);
    let signs_in =
        async |issued: &Value| world.sign_in(&issued["app"], issued["client_secret"].as_str().unwrap()).await.is_some();
    assert!(signs_in(&first).await && signs_in(&second).await);
    let words = world.refused("POST", "/apps/reader/rotate-secret", Value::Null, 409, "conflict").await;
    assert!(words.contains("two client secrets"), "{words}");
    let third = world.done("POST", "/apps/reader/rotate-secret?end_old=true", Value::Null).await;
    assert_eq!(third["app"]["secrets"].as_array().unwrap().len(), 1);
    assert!(signs_in(&third).await && !signs_in(&first).await && !signs_in(&second).await);
    world.refused("POST", "/apps/reader/rotate-secret?end_old=maybe", Value::Null, 400, "bad-request").await;
    // An app of the file has no secret until somebody makes one this way.
    let filed = world.done("POST", "/apps/filed/rotate-secret", Value::Null).await;
    assert!(signs_in(&filed).await);
    assert_eq!(filed["app"]["origin"], "file");
}

#[tokio::test]
async fn what_the_file_owns_is_changed_in_the_file_alone() {
    let world = World::new().await;
    let before = world.audit().await.len();
    world.refused("DELETE", "/apps/filed", Value::Null, 403, "owned-by-file").await;
    let words = world.refused("DELETE", "/policies/filed", Value::Null, 403, "owned-by-file").await;
    assert!(words.contains("vestal apply"), "{words}");
    let mut wanted = policy("filed", &["get"]);
    wanted["app"] = json!("filed");
    world.refused("PUT", "/policies/filed", wanted, 403, "owned-by-file").await;
    world.refused("POST", "/apps", json!({"name": "filed"}), 409, "conflict").await;
    assert_eq!(world.get("/policies").await[0]["origin"], "file");
    assert!(world.audit_since(before).await.iter().all(|line| !line.starts_with("Policy")));
}

#[tokio::test]
async fn a_policy_holds_from_the_moment_it_is_set_until_it_is_removed() {
    let world = World::new().await;
    world.set("some-key", "one").await;
    world.set("other-key", "two").await;
    let created = world.done("POST", "/apps", json!({"name": "reader"})).await;
    let token = world.sign_in(&created["app"], created["client_secret"].as_str().unwrap()).await.unwrap();
    let before = world.audit().await.len();
    let status = async |secret: &str| world.read_status(&token, secret).await;
    assert_eq!(status("some-key").await, StatusCode::FORBIDDEN);

    let set = world.done("PUT", "/policies/reading", policy("reading", &["get"])).await;
    assert_eq!((status("some-key").await, status("other-key").await), (StatusCode::OK, StatusCode::FORBIDDEN));
    let list = world.get("/policies").await;
    assert_eq!(list[1], set, "it is listed as it was answered");
    assert_eq!(set["origin"], "admin");

    world.done("PUT", "/policies/reading", policy("reading", &["list"])).await;
    assert_eq!(status("some-key").await, StatusCode::FORBIDDEN);
    world.done("PUT", "/policies/reading", policy("reading", &["get"])).await;
    assert_eq!(status("some-key").await, StatusCode::OK);
    let removed = world.done("DELETE", "/policies/reading", Value::Null).await;
    assert_eq!((&removed["name"], &removed["permissions"]), (&json!("reading"), &json!(["get"])), "as it was");
    assert_eq!(status("some-key").await, StatusCode::FORBIDDEN);
    world.refused("DELETE", "/policies/reading", Value::Null, 404, "not-found").await;
    assert_eq!(
        world.audit_since(before).await,
        [
            "PolicySet contoso reading allowed",
            "PolicySet contoso reading allowed",
            "PolicySet contoso reading allowed",
            "PolicyRemove contoso reading allowed"
        ]
    );
}

#[tokio::test]
async fn a_policy_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    world.done("POST", "/apps", json!({"name": "reader"})).await;
    let put = async |change: (&str, Value), status, code| {
        let mut body = policy("mine", &["get"]);
        body[change.0] = change.1;
        world.refused("PUT", "/policies/mine", body, status, code).await
    };
    let words = put(("app", json!("nobody")), 404, "not-found").await;
    assert!(words.contains("vestal app create nobody"), "{words}");
    put(("vault", json!("nowhere")), 404, "not-found").await;
    put(("vault", json!("a b")), 400, "bad-request").await;
    put(("name", json!("another")), 400, "bad-request").await;
    put(("permissions", json!(["sing"])), 400, "bad-request").await;
    put(("permissions", json!("get")), 400, "bad-request").await;
    put(("names", json!(["a b"])), 400, "bad-request").await;
    put(("names", json!(vec!["a"; vault::MAX_POLICY_NAMES + 1])), 400, "bad-request").await;
    assert_eq!(world.get("/policies").await.as_array().unwrap().len(), 1);
    world.done("PUT", "/policies/mine", policy("mine", &["get"])).await;
}

#[tokio::test]
async fn a_vault_of_a_policy_is_read_in_any_case() {
    let world = World::new().await;
    world.done("POST", "/apps", json!({"name": "reader"})).await;
    let mut wanted = policy("mine", &["get"]);
    wanted["vault"] = json!("CONTOSO");
    let set = world.done("PUT", "/policies/mine", wanted).await;
    assert_eq!(set["vault"], "contoso");
    assert_eq!(world.get("/policies").await[1], set);
}

#[tokio::test]
async fn a_deleted_app_signs_in_no_more_and_takes_its_policies_along() {
    let world = World::new().await;
    world.set("some-key", "one").await;
    let created = world.done("POST", "/apps", json!({"name": "reader"})).await;
    let client_secret = created["client_secret"].as_str().unwrap();
    world.done("PUT", "/policies/reading", policy("reading", &["get"])).await;
    let token = world.sign_in(&created["app"], client_secret).await.unwrap();
    assert_eq!(world.read_status(&token, "some-key").await, StatusCode::OK);
    assert_eq!(world.done("DELETE", "/apps/reader", Value::Null).await, created["app"], "as it was");
    assert_eq!(world.read_status(&token, "some-key").await, StatusCode::UNAUTHORIZED);
    assert!(world.sign_in(&created["app"], client_secret).await.is_none());
    assert_eq!(world.get("/policies").await.as_array().unwrap().len(), 1);
    world.refused("DELETE", "/apps/reader", Value::Null, 404, "not-found").await;
    // The name is free again, and stands for somebody else.
    let again = world.done("POST", "/apps", json!({"name": "reader"})).await;
    assert_ne!(again["app"]["client_id"], created["app"]["client_id"]);
    assert_eq!(world.read_status(&token, "some-key").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_name_of_an_app_that_left_the_file_is_free() {
    let world = World::new().await;
    let before = world.get("/apps").await;
    world.apply("[vault.contoso]\n").await;
    assert_eq!(world.get("/apps").await, json!([]));
    assert_eq!(world.get("/policies").await, json!([]));
    let created = world.done("POST", "/apps", json!({"name": "filed"})).await;
    assert_ne!(created["app"]["client_id"], before[0]["client_id"]);
    assert!(world.sign_in(&created["app"], created["client_secret"].as_str().unwrap()).await.is_some());
    let words = world.refused("POST", "/apply", world.file(super::FILE), 409, "conflict").await;
    assert!(words.contains("vestal.toml:3 declares the app filed"), "{words}");
}
