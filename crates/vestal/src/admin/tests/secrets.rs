//! Secrets, as the operator sets and reads them.

use serde_json::{Value, json};

use super::{CREDENTIAL, World};

const KEY: &str = "/vaults/contoso/secrets/Some-Key";

#[tokio::test]
async fn a_secret_is_set_shown_listed_and_read() {
    let world = World::new().await;
    let before = world.audit().await.len();
    let body = json!({
        "value": "a-value-of-mine", "not_before": "2026-11-22T22:04:05+01:00", "expires": "2033-05-18T03:33:20Z",
        "content_type": "text/plain", "tags": {"team": "red"}
    });
    let set = world.done("PUT", KEY, body).await;
    assert_eq!((&set["vault"], &set["name"]), (&json!("contoso"), &json!("Some-Key")));
    assert_eq!(set["managed"], false);
    let version = &set["version"];
    assert_eq!(version["enabled"], true);
    assert_eq!(version["not_before"], "2026-11-22T21:04:05Z");
    assert_eq!(version["expires"], "2033-05-18T03:33:20Z");
    assert_eq!(version["content_type"], "text/plain");
    assert_eq!(version["tags"], json!({"team": "red"}));
    assert_eq!(version["written_by"], "admin");
    assert_eq!(version["generation"], 0);
    let detail = world.get(KEY).await;
    assert_eq!(detail["version"], set["version"]);
    assert_eq!(detail["versions"], json!([set["version"]]));
    assert_eq!(world.get("/vaults/contoso/secrets").await, json!([set]));
    let value = world.get(&format!("{KEY}/value")).await;
    let expected = json!({"value": "a-value-of-mine", "version": version["id"], "expires": "2033-05-18T03:33:20Z"});
    assert_eq!(value, expected);
    assert_eq!(
        world.audit_since(before).await,
        [
            "SecretSet contoso some-key allowed",
            "SecretListVersions contoso some-key allowed",
            "SecretList contoso - allowed",
            "SecretGet contoso some-key allowed",
        ]
    );
    assert!(!world.audit_text().contains("a-value-of-mine"));
    for answer in [set, detail] {
        assert!(!answer.to_string().contains("a-value-of-mine"));
    }
}

#[tokio::test]
async fn a_value_that_ends_before_it_begins_is_refused() {
    let world = World::new().await;
    let body = json!({"value": "v", "not_before": "2026-11-22T21:04:05Z", "expires": "2026-11-22T21:04:05Z"});
    let words = world.refused("PUT", KEY, body, 400, "bad-request").await;
    assert!(words.contains("end before it begins"), "{words}");
    world.refused("GET", KEY, Value::Null, 404, "not-found").await;
}

#[tokio::test]
async fn earlier_versions_are_read_by_their_ids_and_the_newest_comes_first() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for value in ["one", "two", "three"] {
        ids.push(world.set("some-key", value).await["version"]["id"].as_str().unwrap().to_owned());
    }
    let detail = world.get(KEY).await;
    assert_eq!(detail["versions"].as_array().unwrap().len(), 3);
    assert_eq!(detail["versions"][0]["id"], json!(ids[2]), "though all are of one second");
    for (id, value) in ids.iter().zip(["one", "two", "three"]) {
        assert_eq!(world.get(&format!("{KEY}/value?version={id}")).await["value"], value);
        let shouted = id.to_ascii_uppercase();
        assert_eq!(world.get(&format!("{KEY}/value?version={shouted}")).await["version"], json!(id));
    }
    assert_eq!(world.get(&format!("{KEY}/value")).await["value"], "three");
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_and_noted() {
    let world = World::new().await;
    world.set("some-key", "one").await;
    let before = world.audit().await.len();
    let words = world.refused("GET", &format!("{KEY}/value?version=x"), Value::Null, 400, "bad-request").await;
    assert!(words.contains("32 hexadecimal digits"), "{words}");
    let unknown = "0123456789abcdef0123456789abcdef";
    let words = world.refused("GET", &format!("{KEY}/value?version={unknown}"), Value::Null, 404, "not-found").await;
    assert!(words.contains(unknown), "{words}");
    world.refused("GET", "/vaults/contoso/secrets/nothing/value", Value::Null, 404, "not-found").await;
    world.refused("GET", "/vaults/contoso/secrets/nothing", Value::Null, 404, "not-found").await;
    let (vault, name) = ("contoso".parse().unwrap(), "some-key".parse().unwrap());
    let disable = store::Amendment { enabled: Some(false), ..store::Amendment::default() };
    world.engine.records().amend(&vault, &name, None, &disable, 0).await.unwrap();
    world.refused("GET", &format!("{KEY}/value"), Value::Null, 409, "conflict").await;
    assert_eq!(
        world.audit_since(before).await,
        [
            "SecretGet contoso some-key not-found",
            "SecretGet contoso nothing not-found",
            "SecretListVersions contoso nothing not-found",
            "SecretGet contoso some-key refused",
        ]
    );
}

#[tokio::test]
async fn a_secret_over_the_limits_is_refused_and_not_set() {
    let world = World::new().await;
    let tags: serde_json::Map<_, _> = (0..16).map(|number| (number.to_string(), json!("x"))).collect();
    for body in [
        json!({"value": "v".repeat(vault::MAX_VALUE_BYTES + 1)}),
        json!({"value": "v", "content_type": "c".repeat(256)}),
        json!({"value": "v", "tags": tags}),
        json!({"value": "v", "tags": {"t": "x".repeat(513)}}),
    ] {
        world.refused("PUT", KEY, body, 400, "bad-request").await;
    }
    world.refused("GET", KEY, Value::Null, 404, "not-found").await;
    world.set("some-key", &"v".repeat(vault::MAX_VALUE_BYTES)).await;
}

#[tokio::test]
async fn all_secrets_are_listed_however_many() {
    let world = World::new().await;
    for number in 0..260 {
        world.set(&format!("key-{number:03}"), "v").await;
    }
    let list = world.get("/vaults/contoso/secrets").await;
    let names: Vec<_> = list.as_array().unwrap().iter().map(|secret| secret["name"].as_str().unwrap()).collect();
    let expected: Vec<_> = (0..260).map(|number| format!("key-{number:03}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_told_with_those_that_are() {
    let world = World::new().await;
    let words = world.refused("PUT", "/vaults/nowhere/secrets/key", json!({"value": "v"}), 404, "not-found").await;
    assert!(words.contains("no vault nowhere") && words.contains("there is: contoso"), "{words}");
}

#[tokio::test]
async fn a_token_waits_for_its_credential_and_is_obtained_once_it_is_set() {
    let mut world = World::with_token().await;
    world.keep();
    let mut events = world.engine.events();
    // Without its credential it fails, and would be tried again much later.
    let mut generation = 0;
    while let Some(attempt) = events.recv().await.unwrap().attempt {
        if matches!(attempt.outcome, store::Outcome::Failed { .. }) {
            break;
        }
    }
    assert_eq!(world.get("/tokens/contoso/api-token").await["generation"], 0);
    world.set("credential", CREDENTIAL).await;
    while generation == 0 {
        generation = events.recv().await.unwrap().generation;
    }
    let token = world.get("/vaults/contoso/secrets/api-token").await;
    assert_eq!(token["managed"], true);
    assert_eq!(token["version"]["generation"], 1);
    assert_eq!(token["version"]["written_by"], "vestal");
    world.stop().await;
}
