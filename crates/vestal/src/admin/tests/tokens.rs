//! Managed tokens, as the operator sees and steers them.

use renewal::{PauseReason, Wall};
use serde_json::{Value, json};

use super::{CREDENTIAL, World, instant};
use crate::admin::wire::UtcTime;

const TOKEN: &str = "/tokens/contoso/api-token";

#[tokio::test]
async fn a_token_is_listed_and_shown_before_it_ever_had_a_value() {
    let world = World::with_token().await;
    let list = world.get("/tokens").await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    let token = &list[0];
    assert_eq!((&token["vault"], &token["name"]), (&json!("contoso"), &json!("api-token")));
    assert_eq!((&token["state"], &token["generation"], &token["failures"]), (&json!("due"), &json!(0), &json!(0)));
    assert_eq!((&token["provider"], &token["owner"]), (&json!("sandbox"), &json!("ops@example.com")));
    assert_eq!((&token["life_left_seconds"], &token["last_failure"]), (&Value::Null, &Value::Null));
    assert!(instant(&token["due"]) <= crate::clock::now().wall.0);
    let detail = world.get(TOKEN).await;
    assert_eq!(detail["origin"], "file");
    assert_eq!(detail["token_url"], json!(world.sandbox.token_url()));
    assert_eq!(detail["scope"], json!(["identify"]));
    assert_eq!(detail["promise_seconds"], 10);
    assert_eq!(
        detail["credentials"][0],
        json!({
            "part": "client id", "source": "in the definition", "present": true, "expires": null
        })
    );
    assert_eq!(detail["credentials"][1]["source"], "contoso/credential");
    assert_eq!(detail["credentials"][1]["present"], false);
    let warnings = detail["warnings"].to_string();
    assert!(warnings.contains("vestal secret set contoso/credential"), "{warnings}");
    assert_eq!(world.get(&format!("{TOKEN}/history")).await, json!({"attempts": [], "next": null}));
}

#[tokio::test]
async fn a_credential_that_soon_ends_or_has_ended_is_warned_of() {
    let world = World::with_token().await;
    let now = crate::clock::unix_seconds();
    for (expires, words) in [(now - 1, "has expired"), (now + 10 * 86_400 + 60, "expires in 10 days")] {
        let expires = json!(UtcTime::from_unix_seconds(expires));
        let body = json!({"value": CREDENTIAL, "expires": expires});
        world.done("PUT", "/vaults/contoso/secrets/credential", body).await;
        let detail = world.get(TOKEN).await;
        assert!(detail["warnings"].to_string().contains(words), "{detail}");
        assert_eq!(detail["credentials"][1]["expires"], expires);
        assert!(!detail.to_string().contains(CREDENTIAL));
    }
    world.set("credential", CREDENTIAL).await;
    assert_eq!(world.get(TOKEN).await["warnings"], json!([]));
}

#[tokio::test]
async fn a_renewal_that_is_waited_for_answers_with_its_attempt() {
    let mut world = World::with_token().await;
    world.set("credential", CREDENTIAL).await;
    let before = world.audit().await.len();
    world.keep();
    let renewal = world.done("POST", &format!("{TOKEN}/renew?wait=60"), Value::Null).await;
    assert_eq!(renewal["attempt"]["outcome"]["result"], "renewed", "{renewal}");
    assert_eq!(renewal["attempt"]["status"], 200);
    assert!(renewal["token"]["generation"].as_u64().unwrap() >= 1);
    assert_eq!(renewal["token"]["state"], "fresh");
    let history = world.get(&format!("{TOKEN}/history")).await;
    assert!(history["attempts"].as_array().unwrap().iter().any(|attempt| *attempt == renewal["attempt"]));
    let detail = world.get(TOKEN).await;
    assert_eq!(detail["lifetime_seconds"], 3600);
    assert!(instant(&detail["expires"]) > instant(&detail["obtained"]));
    assert!(detail["lifetime_source"].is_string());

    // It is fresh, and somebody asks all the same.
    let again = world.done("POST", &format!("{TOKEN}/renew?wait=60"), Value::Null).await;
    assert!(again["token"]["generation"].as_u64() > renewal["token"]["generation"].as_u64(), "{again}");
    let value = world.get("/vaults/contoso/secrets/api-token/value").await;
    let text = value["value"].as_str().unwrap();
    assert!(!world.audit_text().contains(text) && !again.to_string().contains(text));
    assert_eq!(
        world.audit_since(before).await,
        [
            "TokenRenew contoso api-token allowed",
            "TokenRenew contoso api-token allowed",
            "SecretGet contoso api-token allowed"
        ]
    );
    world.stop().await;
}

#[tokio::test]
async fn a_renewal_that_fails_answers_with_its_attempt_too() {
    let mut world = World::with_token().await;
    world.set("credential", "another-than-the-sandbox-has").await;
    world.keep();
    let renewal = world.done("POST", &format!("{TOKEN}/renew?wait=60"), Value::Null).await;
    assert_eq!(renewal["attempt"]["outcome"]["result"], "failed", "{renewal}");
    assert_eq!(renewal["token"]["state"], "retrying");
    assert_eq!(renewal["token"]["last_failure"], renewal["attempt"]["outcome"]["words"]);
    assert!(!renewal.to_string().contains("another-than-the-sandbox-has"));
    world.stop().await;
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_or_that_does_not_come_answers_without_one() {
    let world = World::with_token().await;
    for path in ["renew", "renew?wait=0"] {
        let renewal = world.done("POST", &format!("{TOKEN}/{path}"), Value::Null).await;
        assert_eq!(renewal["attempt"], Value::Null, "nothing renews in this world");
        assert_eq!(renewal["token"]["state"], "due");
    }
    let words = world.refused("POST", &format!("{TOKEN}/renew?wait=soon"), Value::Null, 400, "bad-request").await;
    assert!(words.contains("`wait` is to be a number"), "{words}");
}

#[tokio::test]
async fn a_paused_token_is_not_renewed_until_it_is_resumed() {
    let world = World::with_token().await;
    let before = world.audit().await.len();
    for _ in 0..2 {
        let paused = world.done("POST", &format!("{TOKEN}/pause"), Value::Null).await;
        assert_eq!((&paused["state"], &paused["due"]), (&json!("paused"), &Value::Null));
    }
    assert_eq!(world.get(TOKEN).await["paused"], json!(["by a person"]));
    let words = world.refused("POST", &format!("{TOKEN}/renew"), Value::Null, 409, "conflict").await;
    assert!(
        words.contains("paused: by a person") && words.contains("vestal token resume contoso/api-token"),
        "{words}"
    );
    let resumed = world.done("POST", "/tokens/CONTOSO/API-TOKEN/resume", Value::Null).await;
    assert_eq!(resumed["state"], "due");
    assert!(instant(&resumed["due"]) <= crate::clock::now().wall.0);
    assert_eq!(
        world.audit_since(before).await,
        [
            "TokenPause contoso api-token allowed",
            "TokenPause contoso api-token allowed",
            "TokenResume contoso api-token allowed"
        ]
    );
}

#[tokio::test]
async fn a_token_whose_definition_is_gone_is_shown_and_says_how_it_comes_back() {
    let world = World::with_token().await;
    world.apply(super::FILE).await;
    let detail = world.get(TOKEN).await;
    assert_eq!((&detail["state"], &detail["paused"]), (&json!("paused"), &json!(["its definition is gone"])));
    let words = world.refused("POST", &format!("{TOKEN}/renew"), Value::Null, 409, "conflict").await;
    assert!(words.contains("vestal apply"), "{words}");
    let before = world.audit().await.len();
    world.done("POST", &format!("{TOKEN}/pause"), Value::Null).await;
    let words = world.refused("POST", &format!("{TOKEN}/resume"), Value::Null, 409, "conflict").await;
    assert!(words.contains("its definition is gone") && words.contains("vestal apply"), "{words}");
    assert!(world.token().await.standing.paused.contains(&PauseReason::Person), "nothing was lifted");
    assert_eq!(world.audit_since(before).await, ["TokenPause contoso api-token allowed"]);
}

#[tokio::test]
async fn a_token_that_waits_for_consent_is_tried_when_a_person_asks_for_it() {
    for call in ["renew", "resume"] {
        let world = World::with_token().await;
        let id = world.token().await.row.id;
        let wants_consent = |_: &store::Token, standing: &mut renewal::Standing| {
            (standing.needs_consent, standing.due) = (true, Wall::NEVER);
            Vec::new()
        };
        world.engine.records().change_token(id, None, wants_consent).await.unwrap();
        assert_eq!(world.get(TOKEN).await["state"], "needs consent");
        world.done("POST", &format!("{TOKEN}/{call}"), Value::Null).await;
        let token = world.token().await;
        assert!(!token.standing.needs_consent, "{call}");
        assert!(token.row.due <= crate::clock::now().wall, "{call}");
    }
}

#[tokio::test]
async fn a_history_comes_in_pages() {
    let world = World::with_token().await;
    let id = world.token().await.row.id;
    for number in 1..=5 {
        let attempt = store::Attempt {
            number,
            started: 0,
            took: 1,
            outcome: store::Outcome::Failed { class: "transient".to_owned(), error: None, words: "no".to_owned() },
            status: None,
            request_id: None,
            next_due: 0,
            repeats: 0,
            last_repeat: None,
        };
        let records = world.engine.records();
        records.commit(records.attempt_writes(id, &attempt)).await.unwrap();
    }
    let numbers = |page: &Value| -> Vec<u64> {
        page["attempts"].as_array().unwrap().iter().map(|attempt| attempt["number"].as_u64().unwrap()).collect()
    };
    let first = world.get(&format!("{TOKEN}/history?limit=2")).await;
    assert_eq!((numbers(&first), &first["next"]), (vec![5, 4], &json!(4)));
    let second = world.get(&format!("{TOKEN}/history?limit=2&before=4")).await;
    assert_eq!((numbers(&second), &second["next"]), (vec![3, 2], &json!(2)));
    let last = world.get(&format!("{TOKEN}/history?limit=2&before=2")).await;
    assert_eq!((numbers(&last), &last["next"]), (vec![1], &Value::Null));
    assert_eq!(numbers(&world.get(&format!("{TOKEN}/history?limit=0")).await), [5], "one at least");
    world.refused("GET", &format!("{TOKEN}/history?limit=-1"), Value::Null, 400, "bad-request").await;
}

#[tokio::test]
async fn a_token_that_is_renewed_while_it_is_paused_keeps_its_pause() {
    let mut world = World::with_token().await;
    world.set("credential", CREDENTIAL).await;
    world.keep();
    world.done("POST", &format!("{TOKEN}/renew?wait=60"), Value::Null).await;
    world.done("POST", &format!("{TOKEN}/pause"), Value::Null).await;
    world.stop_keeping().await;
    assert!(world.token().await.standing.paused.contains(&PauseReason::Person));
    world.stop().await;
}

#[tokio::test]
async fn a_token_whose_row_was_changed_from_outside_is_listed_as_unreadable_and_hides_no_other() {
    let world = World::with_token().await;
    let token = world.token().await;
    let mut row = token.row.clone();
    row.sealed = vault::Sealed::pending();
    let replaces = Some(token.row.sealed.tag());
    let write = store::Write::Token { row, replaces, releases: None };
    world.engine.records().commit(vec![write]).await.unwrap();
    let list = world.get("/tokens").await;
    assert_eq!(list[0]["state"], "unreadable");
    assert!(list[0]["last_failure"].as_str().unwrap().contains("can't be opened"), "{list}");
    assert_eq!(world.get("/status").await["tokens"], json!({"unreadable": 1}));
}

#[tokio::test]
async fn a_token_rests_while_its_secret_is_deleted_and_begins_anew_once_that_is_purged() {
    const SECRET: &str = "/vaults/contoso/secrets/api-token";
    const DELETED: &str = "/vaults/contoso/deleted-secrets/api-token";
    let mut world = World::with_token().await;
    world.set("credential", CREDENTIAL).await;
    world.keep();
    world.done("POST", &format!("{TOKEN}/renew?wait=60"), Value::Null).await;
    let deleted = world.done("DELETE", SECRET, Value::Null).await;
    assert_eq!((&deleted["vault"], &deleted["name"]), (&json!("contoso"), &json!("api-token")));
    assert_eq!(world.get(TOKEN).await["state"], "paused");
    let words = world.refused("POST", &format!("{TOKEN}/resume"), Value::Null, 409, "conflict").await;
    assert!(words.contains("vestal secret recover contoso/api-token"), "{words}");
    let words = world.refused("PUT", SECRET, json!({"value": "by hand"}), 409, "conflict").await;
    assert!(words.contains("vestal secret recover contoso/api-token"), "{words}");
    world.done("POST", &format!("{DELETED}/recover"), Value::Null).await;
    assert_ne!(world.get(TOKEN).await["state"], "paused");

    world.done("DELETE", SECRET, Value::Null).await;
    world.done("DELETE", DELETED, Value::Null).await;
    assert_eq!(world.get(TOKEN).await["state"], "paused");
    world.done("POST", &format!("{TOKEN}/resume"), Value::Null).await;
    let renewal = world.done("POST", &format!("{TOKEN}/renew?wait=60"), Value::Null).await;
    assert_eq!(renewal["token"]["state"], "fresh", "{renewal}");
    assert!(world.get(&format!("{SECRET}/value")).await["value"].is_string());
    world.stop().await;
}
