//! Deleting, recovering and purging; taking secrets away and bringing them back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use keyvault::{MAX_REQUEST_BYTES, MAX_RESTORE_BYTES, VaultDefinition};
use serde_json::{Value, json};
use store::rows::DefinitionKind;
use store::{Store as _, Write};
use vault::{SecretName, VaultName, VersionId};

use crate::world::{Answer, Client, HOST, World, run};

const DAY: i64 = 86_400;

fn ask(world: &World, client: &Client, method: &str, path: &str) -> Answer {
    world.ask(client, method, &format!("{path}?api-version=7.4"), "")
}

fn names(world: &World, client: &Client, path: &str) -> Vec<String> {
    let listed = ask(world, client, "GET", path);
    let items = listed.body["value"].as_array().expect("it is a list");
    items.iter().map(|item| item["id"].as_str().expect("it has an id").rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn a_deleted_secret_is_gone_and_can_be_recovered_as_it_was() {
    let mut world = World::new();
    let owner = world.owner();
    let body = r#"{"value":"one","contentType":"text/plain","tags":{"a":"b"},"attributes":{"exp":1900000000}}"#;
    let first = world.ask(&owner, "PUT", "/secrets/My-Secret?api-version=7.4", body);
    let second = world.set(&owner, "my-secret", "two");
    world.now += 5;

    let deleted = ask(&world, &owner, "DELETE", "/secrets/MY-SECRET");
    assert_eq!(deleted.status, StatusCode::OK);
    assert_eq!(deleted.body["id"], second.body["id"], "the id names the current version");
    assert_eq!(deleted.body["recoveryId"], "https://dev.vault.localhost:8443/deletedsecrets/My-Secret");
    assert_eq!(deleted.body["deletedDate"], world.now);
    assert_eq!(deleted.body["scheduledPurgeDate"], world.now + 90 * DAY);
    assert_eq!(deleted.body["attributes"]["recoveryLevel"], "Recoverable+Purgeable");
    assert!(deleted.body.get("value").is_none());

    for (method, path) in
        [("GET", "/secrets/my-secret"), ("DELETE", "/secrets/my-secret"), ("PATCH", "/secrets/my-secret")]
    {
        let answer = world.ask(&owner, method, &format!("{path}?api-version=7.4"), "{}");
        assert_eq!((answer.status, answer.error().0), (StatusCode::NOT_FOUND, "SecretNotFound"), "{method} {path}");
    }
    assert!(names(&world, &owner, "/secrets").is_empty());
    assert!(names(&world, &owner, "/secrets/my-secret/versions").is_empty());
    let old = first.body["id"].as_str().expect("an id").rsplit('/').next().expect("a version");
    assert_eq!(ask(&world, &owner, "GET", &format!("/secrets/my-secret/{old}")).status, StatusCode::NOT_FOUND);

    let taken = world.ask(&owner, "PUT", "/secrets/my-secret?api-version=7.4", r#"{"value":"three"}"#);
    let in_the_way = "Secret my-secret is currently in a deleted but recoverable state, and its name cannot be reused; in \
                      this state, the secret can only be recovered or purged.";
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert_eq!(taken.error(), ("Conflict", Some("ObjectIsDeletedButRecoverable"), in_the_way));

    assert_eq!(names(&world, &owner, "/deletedsecrets"), ["My-Secret"]);
    let found = ask(&world, &owner, "GET", "/deletedsecrets/my-secret");
    assert_eq!(found.body, deleted.body);

    let recovered = ask(&world, &owner, "POST", "/deletedsecrets/my-secret/recover");
    assert_eq!((recovered.status, &recovered.body["id"]), (StatusCode::OK, &second.body["id"]));
    assert!(recovered.body.get("value").is_none());
    assert_eq!(ask(&world, &owner, "GET", "/secrets/my-secret").body["value"], "two");
    let old = ask(&world, &owner, "GET", &format!("/secrets/my-secret/{old}"));
    assert_eq!(old.body, first.body, "the versions are what they were");
    assert!(names(&world, &owner, "/deletedsecrets").is_empty());
    assert_eq!(ask(&world, &owner, "POST", "/deletedsecrets/my-secret/recover").status, StatusCode::NOT_FOUND);
}

#[test]
fn a_purged_secret_is_gone_for_good_and_its_name_is_free() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "api", "one");
    assert_eq!(ask(&world, &owner, "DELETE", "/deletedsecrets/api").status, StatusCode::NOT_FOUND, "it isn't deleted");
    ask(&world, &owner, "DELETE", "/secrets/api");
    let purged = ask(&world, &owner, "DELETE", "/deletedsecrets/api");
    assert_eq!((purged.status, purged.text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(ask(&world, &owner, "GET", "/deletedsecrets/api").status, StatusCode::NOT_FOUND);
    world.set(&owner, "api", "two");
    assert_eq!(names(&world, &owner, "/secrets/api/versions").len(), 1, "nothing of the other is left");
}

#[test]
fn deleted_secrets_are_purged_by_themselves_when_their_time_is_over() {
    let mut world = World::new();
    let mut owner = world.owner();
    world.set(&owner, "api", "one");
    ask(&world, &owner, "DELETE", "/secrets/api");
    let purge_at = world.now + 90 * DAY;
    for (now, there) in [(purge_at - 1, true), (purge_at, false)] {
        world.now = now;
        run(world.vault.purge_if_due(world.now())).expect("the store answers");
        owner.token = world.token(&owner);
        let status = ask(&world, &owner, "GET", "/deletedsecrets/api").status;
        assert_eq!(status == StatusCode::OK, there, "{status}");
    }
    let entries = world.audit.entries();
    let purged: Vec<_> = entries.iter().filter(|entry| entry.operation == "SecretPurge").collect();
    assert_eq!(purged.iter().map(|entry| (entry.app.as_deref(), &*entry.name)).collect::<Vec<_>>(), [(None, "api")]);
}

#[test]
fn a_deleted_secret_that_is_damaged_keeps_no_other_from_being_purged() {
    let mut world = World::new();
    let owner = world.owner();
    for name in ["damaged", "sound"] {
        world.set(&owner, name, "one");
        ask(&world, &owner, "DELETE", &format!("/secrets/{name}"));
        world.now += 1;
    }
    let (vault, name) = (VaultName::parse("dev").expect("a name"), SecretName::parse("damaged").expect("a name"));
    let (mut row, _) = run(world.store.deleted_secret(&vault, &name)).expect("it opens yet").expect("it is there");
    let replaces = row.secret.sealed.tag();
    // Its version is gone.
    row.secret.current = VersionId([7; 16]);
    run(world.records.commit(vec![Write::AmendDeletedSecret { row, replaces }])).expect("a write");
    world.now += 90 * DAY;
    for _ in 0..2 {
        run(world.vault.purge_if_due(world.now())).expect_err("it can't be purged");
    }
    let entries = world.audit.entries();
    let purged = entries.iter().filter(|entry| entry.operation == "SecretPurge");
    let told: Vec<_> = purged.map(|entry| (&*entry.name, entry.outcome.word())).collect();
    assert_eq!(told, [("damaged", "failed"), ("sound", "allowed"), ("damaged", "failed")]);
}

#[test]
fn a_purge_that_fails_is_told_as_failed() {
    let mut world = World::new();
    let owner = world.owner();
    world.set(&owner, "api", "one");
    ask(&world, &owner, "DELETE", "/secrets/api");
    world.now += 90 * DAY;
    world.store.set_full(true);
    run(world.vault.purge_if_due(world.now())).expect_err("the disk is full");
    let entries = world.audit.entries();
    let told: Vec<_> = entries.iter().rev().take(2).map(|entry| (entry.operation, entry.outcome.word())).collect();
    assert_eq!(told, [("SecretPurge", "failed"), ("SecretPurge", "allowed")]);
}

#[test]
fn retention_is_the_vaults_and_protection_keeps_everybody_from_purging() {
    let world = World::new();
    let owner = world.owner();
    for (retention_days, purge_protection, level) in [
        (7, false, "CustomizedRecoverable+Purgeable"),
        (89, true, "CustomizedRecoverable"),
        (90, true, "Recoverable"),
        (90, false, "Recoverable+Purgeable"),
    ] {
        let definition = VaultDefinition { retention_days, purge_protection, ..VaultDefinition::default() };
        world.redefine(DefinitionKind::Vault, "dev", &definition);
        let set = world.set(&owner, "api", "one");
        assert_eq!(set.body["attributes"]["recoveryLevel"], level);
        assert_eq!(set.body["attributes"]["recoverableDays"], retention_days);
        let deleted = ask(&world, &owner, "DELETE", "/secrets/api");
        assert_eq!(deleted.body["scheduledPurgeDate"], world.now + i64::from(retention_days) * DAY);
        let purged = ask(&world, &owner, "DELETE", "/deletedsecrets/api");
        if purge_protection {
            assert_eq!((purged.status, purged.error().0), (StatusCode::FORBIDDEN, "Forbidden"));
            ask(&world, &owner, "POST", "/deletedsecrets/api/recover");
        } else {
            assert_eq!(purged.status, StatusCode::NO_CONTENT);
        }
    }
}

#[test]
fn who_may_not_see_a_name_finds_it_in_no_list_of_deleted_secrets() {
    let world = World::new();
    let owner = world.owner();
    let reader = world.app("reader");
    world.policy("reader", "dev", &reader, &["get", "list"], &["api-*"]);
    for name in ["api-one", "other"] {
        world.set(&owner, name, "value");
        ask(&world, &owner, "DELETE", &format!("/secrets/{name}"));
    }
    assert_eq!(names(&world, &reader, "/deletedsecrets"), ["api-one"]);
    assert_eq!(ask(&world, &reader, "GET", "/deletedsecrets/api-one").status, StatusCode::OK);
    for (method, path) in [
        ("GET", "/deletedsecrets/other"),
        ("POST", "/deletedsecrets/api-one/recover"),
        ("DELETE", "/deletedsecrets/api-one"),
        ("POST", "/secrets/api-one/backup"),
    ] {
        assert_eq!(ask(&world, &reader, method, path).status, StatusCode::FORBIDDEN, "{method} {path}");
    }
}

fn backup(world: &World, client: &Client, name: &str) -> String {
    let answer = ask(world, client, "POST", &format!("/secrets/{name}/backup"));
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.body["value"].as_str().expect("it is text").to_owned()
}

fn restore(world: &World, client: &Client, value: &str) -> Answer {
    world.ask(client, "POST", "/secrets/restore?api-version=7.4", &json!({ "value": value }).to_string())
}

#[test]
fn a_backup_brings_every_version_back_with_its_id_and_attributes() {
    let mut world = World::new();
    let owner = world.owner();
    for (number, body) in [
        r#"{"value":"one","tags":{"a":"b"}}"#,
        r#"{"value":"two","attributes":{"nbf":1,"exp":1900000000}}"#,
        r#"{"value":"é"}"#,
    ]
    .iter()
    .enumerate()
    {
        world.now += i64::try_from(number).expect("small") % 2;
        world.ask(&owner, "PUT", "/secrets/Api?api-version=7.4", body);
    }
    let facts = |world: &World| -> Vec<Value> {
        let versions = names(world, &owner, "/secrets/api/versions");
        versions.iter().map(|version| ask(world, &owner, "GET", &format!("/secrets/api/{version}")).body).collect()
    };
    let before = facts(&world);
    let current = ask(&world, &owner, "GET", "/secrets/api").body;
    let text = backup(&world, &owner, "api");
    let bytes = URL_SAFE_NO_PAD.decode(&text).expect("it is base64url");
    assert!(!String::from_utf8_lossy(&bytes).contains("one"), "it is sealed");

    let exists = restore(&world, &owner, &text);
    assert_eq!((exists.status, exists.error().0), (StatusCode::CONFLICT, "Conflict"), "it is there");
    ask(&world, &owner, "DELETE", "/secrets/api");
    let deleted = restore(&world, &owner, &text);
    assert_eq!(deleted.error().1, Some("ObjectIsDeletedButRecoverable"));
    ask(&world, &owner, "DELETE", "/deletedsecrets/api");

    world.now += 100;
    let padded = format!("{text}{}", ["", "", "==", "="][text.len() % 4]);
    let restored = restore(&world, &owner, &padded);
    assert_eq!((restored.status, &restored.body["id"]), (StatusCode::OK, &current["id"]));
    assert!(restored.body.get("value").is_none());
    assert_eq!(facts(&world), before);
    assert_eq!(ask(&world, &owner, "GET", "/secrets/api").body, current);
}

#[test]
fn a_backup_that_was_changed_is_refused_and_changes_nothing() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "api", "one");
    let text = backup(&world, &owner, "api");
    ask(&world, &owner, "DELETE", "/secrets/api");
    ask(&world, &owner, "DELETE", "/deletedsecrets/api");
    let bytes = URL_SAFE_NO_PAD.decode(&text).expect("it is base64url");
    let mut flipped = bytes;
    *flipped.last_mut().expect("it isn't empty") ^= 1;
    for value in [
        String::new(),
        "not base64!".to_owned(),
        text[..text.len() / 2].to_owned(),
        URL_SAFE_NO_PAD.encode(flipped),
        URL_SAFE_NO_PAD.encode(b")AzureKeyVaultSecretBackupV1.microsoft.com"),
    ] {
        let answer = restore(&world, &owner, &value);
        assert_eq!((answer.status, answer.error().0), (StatusCode::BAD_REQUEST, "BadParameter"), "{value}");
    }
    assert!(names(&world, &owner, "/secrets").is_empty());
    assert_eq!(restore(&world, &owner, &text).status, StatusCode::OK);
}

#[test]
fn a_backup_is_restored_into_another_vault_by_who_may_restore_its_name_there() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "api", "one");
    let text = backup(&world, &owner, "api");
    let narrow = world.app("narrow");
    world.policy("narrow", "dev", &narrow, &["restore"], &["other-*"]);
    assert_eq!(restore(&world, &narrow, &text).status, StatusCode::FORBIDDEN, "the name in the backup counts");
    world.policy("owner-other", "other", &owner, &["all"], &[]);
    let answer = {
        let request = Request::post("/secrets/restore?api-version=7.4")
            .header("host", "other.vault.localhost:8443")
            .header("authorization", format!("Bearer {}", owner.token));
        world.send(request.body(Bytes::from(json!({ "value": text }).to_string())).expect("a request"))
    };
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

/// The head of a request, with a body of this length.
fn head(client: Option<&str>, method: &str, path: &str, length: Option<usize>) -> Parts {
    let mut request = Request::builder().method(method).uri(path).header("host", HOST);
    if let Some(token) = client {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    request.body(()).expect("a request").into_parts().0
}

const RESTORE: &str = "/secrets/restore?api-version=7.4";
const LONG: Option<usize> = Some(MAX_REQUEST_BYTES + 1);

#[test]
fn only_a_restore_may_have_a_long_body() {
    let world = World::new();
    let owner = world.owner();
    for (method, path, length, most) in [
        ("POST", RESTORE, LONG, MAX_RESTORE_BYTES),
        ("POST", RESTORE, None, MAX_RESTORE_BYTES),
        ("POST", RESTORE, Some(MAX_REQUEST_BYTES), MAX_REQUEST_BYTES),
        ("PUT", RESTORE, LONG, MAX_REQUEST_BYTES),
        ("POST", "/secrets/a/backup?api-version=7.4", LONG, MAX_REQUEST_BYTES),
    ] {
        let mut head = head(Some(&owner.token), method, path, length);
        let admitted = world.vault.admit_body(&mut head, world.now(), None);
        assert_eq!(admitted.map_err(|answer| answer.status()), Ok(most), "{method} {path} {length:?}");
    }
}

#[test]
fn who_may_not_restore_gets_the_same_answer_as_with_a_short_body() {
    let world = World::new();
    let (stranger, gone) = (world.app("stranger"), world.app("gone"));
    run(world.vault.delete_app("gone")).expect("it is there");
    for (token, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("nonsense"), StatusCode::UNAUTHORIZED),
        (Some(&*gone.token), StatusCode::UNAUTHORIZED),
        (Some(&*stranger.token), StatusCode::FORBIDDEN),
    ] {
        let before = world.audit.entries().len();
        let refused = world.vault.admit_body(&mut head(token, "POST", RESTORE, LONG), world.now(), None);
        let refused = *refused.expect_err("it is refused");
        let audited = world.audit.entries().split_off(before);
        let short = Request::from_parts(head(token, "POST", RESTORE, None), Bytes::from_static(b"{}"));
        let short = run(world.vault.answer(short, world.now(), None));
        assert_eq!((refused.status(), refused.body()), (status, short.body()));
        assert_eq!(refused.headers().get("www-authenticate"), short.headers().get("www-authenticate"));
        assert_eq!(refused.headers().contains_key("www-authenticate"), status == StatusCode::UNAUTHORIZED);
        assert_eq!(audited, world.audit.entries().split_off(before + audited.len()));
    }
}

#[test]
fn few_backups_and_long_restores_are_under_way_at_once() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "api", "one");
    let begin = || {
        let mut head = head(Some(&owner.token), "POST", RESTORE, LONG);
        world.vault.admit_body(&mut head, world.now(), None).map(|_| head)
    };
    let first = begin().expect("there is room");
    let request = head(Some(&owner.token), "POST", "/secrets/api/backup?api-version=7.4", None);
    let second = run(world.vault.answer(Request::from_parts(request, Bytes::new()), world.now(), None));
    assert_eq!(second.status(), StatusCode::OK);
    let refused = begin().expect_err("a restore is under way, and a backup isn't sent yet");
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    let refused = ask(&world, &owner, "POST", "/secrets/api/backup");
    assert_eq!((refused.status, refused.error().0), (StatusCode::TOO_MANY_REQUESTS, "Throttled"));
    drop(second);
    let third = begin().expect("the backup is sent");
    drop((first, third));
    backup(&world, &owner, "api");
    backup(&world, &owner, "api");
    backup(&world, &owner, "api");
}

#[test]
fn secrets_may_be_called_like_the_operations() {
    let world = World::new();
    let owner = world.owner();
    for name in ["restore", "versions", "backup", "recover"] {
        world.set(&owner, name, name);
        assert_eq!(ask(&world, &owner, "GET", &format!("/secrets/{name}")).body["value"], name);
        assert_eq!(names(&world, &owner, &format!("/secrets/{name}/versions")).len(), 1);
        let text = backup(&world, &owner, name);
        ask(&world, &owner, "DELETE", &format!("/secrets/{name}"));
        assert_eq!(ask(&world, &owner, "POST", &format!("/deletedsecrets/{name}/recover")).status, StatusCode::OK);
        ask(&world, &owner, "DELETE", &format!("/secrets/{name}"));
        ask(&world, &owner, "DELETE", &format!("/deletedsecrets/{name}"));
        assert_eq!(restore(&world, &owner, &text).status, StatusCode::OK);
    }
}
