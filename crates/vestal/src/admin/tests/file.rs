//! Plan and apply.

use serde_json::{Value, json};

use super::{FILE, World};

#[tokio::test]
async fn a_plan_says_what_an_apply_does_and_changes_nothing() {
    let world = World::new().await;
    let text = world.token_file();
    let before = world.audit().await.len();
    let plan = world.done("POST", "/plan", world.file(&text)).await;
    assert_eq!(world.get("/tokens").await, json!([]));
    let applied = world.apply(&text).await;
    assert_eq!(plan, applied);
    let short: Vec<_> = applied["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {} {}",
                change["action"].as_str().unwrap(),
                change["kind"].as_str().unwrap(),
                change["name"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(short, ["add provider sandbox", "add token contoso/api-token"]);
    let fields = applied["changes"][1]["fields"].as_array().unwrap();
    assert!(fields.contains(&json!({"field": "provider", "from": null, "to": "sandbox"})), "{fields:?}");
    assert!(fields.contains(&json!({"field": "promise", "from": null, "to": "10s"})), "{fields:?}");
    let nothing = json!({"changes": [], "missing_secrets": ["contoso/credential"]});
    assert_eq!(world.done("POST", "/plan", world.file(&text)).await, nothing);
    assert_eq!(world.apply(&text).await, nothing);
    world.set("credential", "one").await;
    assert_eq!(world.apply(&text).await["missing_secrets"], json!([]));
    assert_eq!(
        world.audit_since(before).await,
        [
            "DefinitionsApply - vestal.toml allowed",
            "DefinitionsApply - vestal.toml allowed",
            "SecretSet contoso credential allowed",
            "DefinitionsApply - vestal.toml allowed"
        ]
    );
}

#[tokio::test]
async fn an_applied_file_is_honoured_at_once() {
    let world = World::new().await;
    world.set("some-key", "one").await;
    let issued = world.done("POST", "/apps/filed/rotate-secret", Value::Null).await;
    let token = world.sign_in(&issued["app"], issued["client_secret"].as_str().unwrap()).await.unwrap();
    assert_eq!(world.read_status(&token, "some-key").await, 200);
    world.apply(&FILE.replace("\"get\"", "\"list\"")).await;
    assert_eq!(world.read_status(&token, "some-key").await, 403);
    world.apply(&format!("{FILE}\n[vault.fabrikam]\n")).await;
    assert_eq!(world.get("/vaults").await.as_array().unwrap().len(), 2);
    world.apply("[vault.fabrikam]\n").await;
    assert_eq!(world.read_status(&token, "some-key").await, 404, "its app and its vault are gone");
    world.refused("GET", "/vaults/contoso/secrets", Value::Null, 404, "not-found").await;
    world.apply(FILE).await;
    assert_eq!(world.read_status(&token, "some-key").await, 200, "it is the app that it was");
}

#[tokio::test]
async fn a_file_with_mistakes_is_refused_with_their_places() {
    let world = World::new().await;
    let before = world.audit().await.len();
    for call in ["/plan", "/apply"] {
        let words =
            world.refused("POST", call, world.file("[vault.contoso]\n[app.x]\nsecret = 1\n"), 400, "bad-request").await;
        assert!(words.contains("vestal.toml:3") && words.contains("vestal check"), "{words}");
    }
    assert_eq!(world.get("/apps").await[0]["name"], "filed");
    assert!(world.audit_since(before).await.is_empty());
}

#[tokio::test]
async fn a_name_that_was_made_with_the_command_line_is_refused_in_plan_and_apply_and_audited() {
    let world = World::new().await;
    world.done("POST", "/apps", json!({"name": "reader"})).await;
    let before = world.audit().await.len();
    let text = format!("{FILE}\n[app.reader]\n");
    for call in ["/plan", "/apply"] {
        let words = world.refused("POST", call, world.file(&text), 409, "conflict").await;
        assert!(words.contains("declares the app reader"), "{words}");
    }
    assert_eq!(
        world.audit_since(before).await,
        ["DefinitionsApply - vestal.toml allowed", "DefinitionsApply - vestal.toml failed"]
    );
}
