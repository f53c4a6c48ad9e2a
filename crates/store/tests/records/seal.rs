//! Rows that were changed outside of Vestal: moved, renamed, edited or swapped. None of them opens.

use std::sync::{Arc, Mutex};

use renewal::Wall;
use store::rows::{DefinitionKind, Origin, SecretRow, VersionRow};
use store::{CACHE_BYTES, MemoryStore, RecordError, Records, Store, Write};
use vault::{Keyring, VaultName};

use crate::world::{START, attempt, keyring, name, records, run, set, token, vault};

fn rows(store: &MemoryStore, secret: &str) -> (SecretRow, VersionRow) {
    run(store.current(&vault(), &name(secret))).unwrap().unwrap()
}

/// Puts the version in the place of what stands there, whatever that is.
fn put_version(store: &MemoryStore, secret: &str, row: VersionRow) {
    let replaces = rows(store, secret).1.sealed.tag();
    run(store.commit(vec![Write::AmendVersion { row, replaces }])).unwrap();
}

fn put_secret(store: &MemoryStore, secret: &str, row: SecretRow) {
    let replaces = rows(store, secret).0.sealed.tag();
    run(store.commit(vec![Write::Secret { row, replaces: Some(replaces) }])).unwrap();
}

/// Reads the current value as the next process would.
fn read(store: &MemoryStore, secret: &str) -> Result<(), RecordError> {
    let records = records(store.clone());
    let current = run(records.current(&vault(), &name(secret)))?;
    records.body(&current.version).map(drop)
}

fn assert_sealed<T>(result: Result<T, RecordError>, what: &str) {
    match result {
        Err(RecordError::Sealed(words)) => assert!(words.contains(what), "{words}"),
        Err(error) => panic!("{what}: {error}"),
        Ok(_) => panic!("{what} opens"),
    }
}

#[test]
fn an_edited_column_of_a_version_seals_it() {
    let edits: [fn(&mut VersionRow); 6] = [
        |row| row.enabled = !row.enabled,
        |row| row.expires = Some(START + 1),
        |row| row.expires = None,
        |row| row.not_before = Some(0),
        |row| row.created += 1,
        |row| row.generation += 1,
    ];
    for edit in edits {
        let store = MemoryStore::new();
        let mut new = crate::world::new_secret("key", "one");
        new.expires = Some(START + 60);
        run(records(store.clone()).set(new)).unwrap();
        read(&store, "key").expect("nobody has touched it");
        let (_, mut row) = rows(&store, "key");
        edit(&mut row);
        put_version(&store, "key", row);
        assert_sealed(read(&store, "key"), "of secret key of vault contoso");
    }
}

#[test]
fn swapped_bodies_of_two_secrets_open_in_neither() {
    let store = MemoryStore::new();
    let before = records(store.clone());
    set(&before, "mine", "one");
    set(&before, "theirs", "two");
    let ((_, mut mine), (_, mut theirs)) = (rows(&store, "mine"), rows(&store, "theirs"));
    std::mem::swap(&mut mine.sealed, &mut theirs.sealed);
    put_version(&store, "mine", mine);
    put_version(&store, "theirs", theirs);
    assert_sealed(read(&store, "mine"), "of secret mine");
    assert_sealed(read(&store, "theirs"), "of secret theirs");
}

#[test]
fn a_version_of_another_secret_or_vault_does_not_open_where_it_was_moved_to() {
    let store = MemoryStore::new();
    set(&records(store.clone()), "theirs", "two");
    let (secret, version) = rows(&store, "theirs");
    let moved_to = |vault: VaultName, name: vault::SecretName| {
        let secret = SecretRow { vault: vault.clone(), name: name.clone(), ..secret.clone() };
        let version = VersionRow { vault, name, ..version.clone() };
        run(store.commit(vec![Write::Secret { row: secret, replaces: None }, Write::Version(version)])).unwrap();
    };
    moved_to(vault(), name("mine"));
    moved_to(VaultName::parse("fabrikam").unwrap(), name("theirs"));
    assert_sealed(read(&store, "mine"), "secret mine of vault contoso");
    let records = records(store);
    let other = VaultName::parse("fabrikam").unwrap();
    assert_sealed(run(records.current(&other, &name("theirs"))), "secret theirs of vault fabrikam");
    let (_, listed) = run(records.secrets(&other, None, 10)).unwrap().remove(0);
    assert_sealed(listed, "secret theirs of vault fabrikam");
    let version = run(records.version(&other, &name("theirs"), version.version)).unwrap();
    assert_sealed(records.body(&version), "of secret theirs of vault fabrikam");
}

#[test]
fn a_secret_that_does_not_open_hides_no_other_from_a_list_and_is_told_of() {
    let store = MemoryStore::new();
    let before = records(store.clone());
    for secret in ["First", "Mid", "Zoo"] {
        set(&before, secret, "a value");
    }
    let (mut secret, _) = rows(&store, "mid");
    secret.changed += 1;
    put_secret(&store, "mid", secret);
    let records = records(store);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    records.on_damage(move |words| hears.lock().unwrap().push(words.to_owned()));
    let listed = run(records.secrets(&vault(), None, 10)).unwrap();
    let shown: Vec<_> = listed.iter().map(|(name, row)| (name.as_written(), row.is_ok())).collect();
    assert_eq!(shown, [("First", true), ("mid", false), ("Zoo", true)]);
    assert_sealed(listed.into_iter().nth(1).unwrap().1, "secret mid of vault contoso");
    let heard = heard.lock().unwrap();
    assert!(heard.len() == 1 && heard[0].contains("secret mid of vault contoso"), "{heard:?}");
    assert_sealed(run(records.current(&vault(), &name("mid"))), "secret mid");
}

#[test]
fn an_older_version_that_was_made_the_current_one_is_noticed() {
    let store = MemoryStore::new();
    let before = records(store.clone());
    let first = set(&before, "key", "one");
    set(&before, "key", "two");
    let (mut secret, _) = rows(&store, "key");
    secret.current = first;
    put_secret(&store, "key", secret);
    assert_sealed(read(&store, "key"), "secret key");
}

#[test]
fn an_edited_column_of_a_secret_seals_it() {
    let edits: [fn(&mut SecretRow); 2] = [|row| row.changed += 1, |row| row.keep_versions = Some(1)];
    for edit in edits {
        let store = MemoryStore::new();
        set(&records(store.clone()), "key", "one");
        let (mut secret, _) = rows(&store, "key");
        edit(&mut secret);
        put_secret(&store, "key", secret);
        assert_sealed(read(&store, "key"), "secret key of vault contoso");
        assert_sealed(run(records(store).set(crate::world::new_secret("key", "two"))), "secret key");
    }
}

#[test]
fn an_edited_token_attempt_lane_or_definition_does_not_open() {
    let store = MemoryStore::new();
    let before = records(store.clone());
    let token = token(&before, "token");
    let mut writes = before.attempt_writes(token.row.id, &attempt(1));
    writes.push(before.lane_write("lane", Wall(0), &1));
    writes.push(before.define(DefinitionKind::App, "reader", Origin::Admin, None, &1, None));
    run(before.commit(writes)).unwrap();

    let mut row = token.row.clone();
    row.name = name("another");
    let replaces = Some(token.row.sealed.tag());
    run(store.commit(vec![Write::Token { row, replaces, releases: None }])).unwrap();
    let mut attempt = run(store.attempts(token.row.id, None, 1)).unwrap().remove(0);
    attempt.started = Wall(attempt.started.0 + 1);
    let mut lane = run(store.lanes()).unwrap().remove(0);
    lane.key = "another".to_owned();
    let mut app = run(store.definition(DefinitionKind::App, "reader")).unwrap().unwrap();
    app.origin = Origin::File;
    run(store.commit(vec![Write::Attempt(attempt), Write::Lane(lane), Write::Definition(app)])).unwrap();

    let after = records(store);
    assert_sealed(run(after.token(token.row.id)), "token another");
    assert_sealed(run(after.token_of(&vault(), &name("another"))), "token another");
    assert_sealed(run(after.attempts(token.row.id, None, 10)), "attempt 1");
    assert_sealed(run(after.lanes::<u32>()), "lane another");
    assert_sealed(run(after.definition::<u32>(DefinitionKind::App, "reader")), "app reader");
    assert_sealed(run(after.definitions::<u32>(DefinitionKind::App)), "app reader");
}

#[test]
fn a_schedule_that_was_edited_only_delays_or_hastens() {
    let store = MemoryStore::new();
    let before = records(store.clone());
    let token = token(&before, "token");
    let mut row = token.row.clone();
    (row.due, row.lane) = (Wall(1), "another".to_owned());
    let replaces = Some(token.row.sealed.tag());
    run(store.commit(vec![Write::Token { row, replaces, releases: None }])).unwrap();
    let opened = run(records(store).token(token.row.id)).expect("its columns of the schedule are not bound");
    assert_eq!(opened.standing.due, Wall(1));
}

#[test]
fn another_key_opens_nothing_and_says_what_to_do() {
    let store = MemoryStore::new();
    set(&records(store.clone()), "key", "one");
    let other = Records::new(store, keyring(6), Arc::new(crate::world::Counting::new()), CACHE_BYTES);
    let refused = run(other.current(&vault(), &name("key")));
    let Err(error) = refused else { panic!("another key opens it") };
    assert!(error.to_string().contains("put the right key file back"), "{error}");
}

#[test]
fn what_an_earlier_term_sealed_still_opens() {
    let store = MemoryStore::new();
    set(&records(store.clone()), "key", "one");
    let rotated: Keyring = keyring(5).with_term(2, &vault::Seed::new(&[8; 32])).unwrap();
    let after = Records::new(store, rotated, Arc::new(crate::world::Counting::new()), CACHE_BYTES);
    assert_eq!(crate::world::value(&after, "key"), "one");
    set(&after, "key", "two");
    let current = run(after.current(&vault(), &name("key"))).unwrap();
    assert_eq!(current.version.sealed.term(), 2);
}
