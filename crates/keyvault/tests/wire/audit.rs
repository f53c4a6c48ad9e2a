//! What stands in the audit, and what happens where nothing can be written there.

use http::StatusCode;
use store::AuditOutcome;

use crate::world::{Answer, World};

#[test]
fn every_operation_is_told_with_its_outcome_and_without_a_value() {
    let world = World::new();
    let owner = world.owner();
    let reader = world.app("reader");
    let before = world.audit.entries().len();
    world.set(&owner, "a", "marked-value");
    world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "");
    world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "");
    world.ask(&owner, "GET", "/secrets/b?api-version=7.4", "");
    world.ask(&owner, "PATCH", "/secrets/a?api-version=7.4", "{}");
    world.ask(&owner, "PATCH", "/secrets/b?api-version=7.4", "{}");
    world.ask(&owner, "PUT", "/secrets/a?api-version=7.4", "marked-body");
    world.ask(&owner, "PUT", "/secrets/my_secret?api-version=7.4", "");
    world.ask(&owner, "GET", "/secrets?api-version=7.4", "");
    world.ask(&owner, "GET", "/secrets/a/versions?api-version=7.4", "");
    world.ask(&owner, "DELETE", "/secrets/a?api-version=7.4", "");
    world.ask(&reader, "GET", "/secrets/a?api-version=7.4", "");
    let entries = world.audit.entries().split_off(before);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.app.as_deref().unwrap(), entry.operation, entry.name.as_str(), entry.outcome.word()))
        .collect();
    assert_eq!(
        told,
        [
            ("owner", "SecretSet", "a", "allowed"),
            ("owner", "SecretGet", "a", "allowed"),
            ("owner", "SecretGet", "a", "allowed"),
            ("owner", "SecretGet", "b", "not-found"),
            ("owner", "SecretUpdate", "a", "allowed"),
            ("owner", "SecretUpdate", "b", "allowed"),
            ("owner", "SecretUpdate", "b", "not-found"),
            ("owner", "SecretSet", "a", "invalid"),
            ("owner", "SecretSet", "", "invalid"),
            ("owner", "SecretList", "", "allowed"),
            ("owner", "SecretListVersions", "a", "allowed"),
            ("owner", "SecretDelete", "a", "allowed"),
            ("reader", "SecretGet", "a", "refused"),
        ]
    );
    assert!(entries.iter().all(|entry| entry.vault == "dev"));
    assert!(!format!("{entries:?}").contains("marked"));
}

#[test]
fn a_read_is_told_with_its_version_whichever_way_it_takes() {
    let world = World::new();
    let owner = world.owner();
    let version = |answer: &Answer| answer.body["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let old = version(&world.set(&owner, "a", "v"));
    let new = version(&world.set(&owner, "a", "w"));
    let before = world.audit.entries().len();
    // Out of the store, out of memory, and an older one by its id.
    world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "");
    world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "");
    world.ask(&owner, "GET", &format!("/secrets/a/{old}?api-version=7.4"), "");
    let told: Vec<_> =
        world.audit.entries().split_off(before).iter().map(|entry| entry.version.unwrap().to_string()).collect();
    assert_eq!(told, [new.clone(), new, old]);
}

#[test]
fn nothing_is_changed_that_cannot_be_written_down_and_reads_go_on() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    world.audit.set_full(true);
    for (method, body) in [("PUT", r#"{"value":"w"}"#), ("PATCH", r#"{"attributes":{"enabled":false}}"#)] {
        let answer = world.ask(&owner, method, "/secrets/a?api-version=7.4", body);
        assert_eq!((answer.status, answer.error().0), (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"));
    }
    assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").body["value"], "v");
    world.audit.set_full(false);
    world.set(&owner, "a", "w");
}

#[test]
fn a_write_that_fails_after_it_was_written_down_is_told_too() {
    let world = World::new();
    let owner = world.owner();
    world.store.set_full(true);
    world.ask(&owner, "PUT", "/secrets/a?api-version=7.4", r#"{"value":"w"}"#);
    let outcomes: Vec<_> = world.audit.entries().iter().rev().take(2).map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [AuditOutcome::Failed, AuditOutcome::Allowed]);
}

#[test]
fn requests_are_counted_by_what_came_of_them() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    for _ in 0..3 {
        world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "");
    }
    let count = |operation: &str, outcome: &str| {
        world.vault.requests().find(|it| (it.operation, it.outcome) == (operation, outcome)).unwrap().count
    };
    assert_eq!(
        (count("SecretGet", "allowed"), count("SecretSet", "allowed"), count("SecretGet", "refused")),
        (3, 1, 0)
    );
    assert_eq!(count("Authenticate", "allowed"), 1);
}

#[test]
fn a_restore_is_told_with_the_name_in_the_backup_whatever_comes_of_it() {
    let world = World::new();
    let owner = world.owner();
    let narrow = world.app("narrow");
    world.policy("narrow", "dev", &narrow, &["restore"], &["other-*"]);
    world.set(&owner, "Api", "one");
    let backup = world.ask(&owner, "POST", "/secrets/api/backup?api-version=7.4", "").text;
    let before = world.audit.entries().len();
    let restore = |client, body: &str| world.ask(client, "POST", "/secrets/restore?api-version=7.4", body).status;
    assert_eq!(restore(&narrow, &backup), StatusCode::FORBIDDEN);
    assert_eq!(restore(&owner, &backup), StatusCode::CONFLICT);
    assert_eq!(restore(&owner, "{}"), StatusCode::BAD_REQUEST);
    let entries = world.audit.entries().split_off(before);
    let told: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.outcome.word())).collect();
    assert_eq!(told, [("Api", "refused"), ("Api", "allowed"), ("Api", "invalid"), ("", "invalid")]);
}
