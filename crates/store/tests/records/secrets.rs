//! Secrets and their versions: names, attributes, and how many are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use store::{Amendment, MemoryStore, RecordError, Store, Write};
use vault::VersionId;

use crate::world::{START, name, new_secret, records, run, set, token, value, value_of, vault, versions};

#[test]
fn a_name_stays_as_it_was_first_written() {
    let records = records(MemoryStore::new());
    let first = run(records.set(new_secret("Discord-Token", "one"))).unwrap();
    assert_eq!(first.name.as_written(), "Discord-Token");
    let second = run(records.set(new_secret("DISCORD-token", "two"))).unwrap();
    assert_eq!(second.name.as_written(), "Discord-Token");
    let amended = run(records.amend(&vault(), &name("discord-TOKEN"), None, &Amendment::default(), START)).unwrap();
    assert_eq!(amended.name.as_written(), "Discord-Token");
    let current = run(records.current(&vault(), &name("discord-token"))).unwrap();
    assert_eq!(current.name.as_written(), "Discord-Token");
    let listed = run(records.secrets(&vault(), None, 10)).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].0.as_written(), "Discord-Token");
    assert_eq!(listed[0].1.as_ref().unwrap().version, second.version.version);
}

#[test]
fn every_case_of_a_name_finds_the_same_secret() {
    let records = records(MemoryStore::new());
    let first = set(&records, "Api-Key", "one");
    set(&records, "api-KEY", "two");
    assert_eq!(value(&records, "API-KEY"), "two");
    let row = run(records.version(&vault(), &name("aPI-kEY"), first)).unwrap();
    assert_eq!(value_of(&records, &row), "one");
    assert_eq!(versions(&records, "API-key").len(), 2);
}

#[test]
fn secrets_are_listed_by_name_and_in_pages() {
    let records = records(MemoryStore::new());
    for secret in ["b", "A", "d", "C"] {
        set(&records, secret, secret);
    }
    let page = run(records.secrets(&vault(), None, 3)).unwrap();
    let names: Vec<_> = page.iter().map(|(name, _)| name.as_written()).collect();
    assert_eq!(names, ["A", "b", "C"]);
    let rest = run(records.secrets(&vault(), Some(&page[2].0), 3)).unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].0.as_written(), "d");
}

#[test]
fn a_new_version_inherits_no_attributes() {
    let records = records(MemoryStore::new());
    let mut first = new_secret("key", "one");
    (first.enabled, first.not_before, first.expires) = (false, Some(START + 1), Some(START + 2));
    first.body.tags = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    run(records.set(first)).unwrap();
    run(records.set(new_secret("key", "two"))).unwrap();
    let current = run(records.current(&vault(), &name("key"))).unwrap();
    let version = &current.version;
    assert_eq!((version.enabled, version.not_before, version.expires), (true, None, None));
    assert!(records.body(version).unwrap().tags.is_empty());
}

#[test]
fn what_is_not_there_is_not_found() {
    let records = records(MemoryStore::new());
    assert!(matches!(run(records.current(&vault(), &name("key"))), Err(RecordError::NotFound)));
    let nothing = Amendment::default();
    assert!(matches!(run(records.amend(&vault(), &name("key"), None, &nothing, START)), Err(RecordError::NotFound)));
    set(&records, "key", "one");
    let unknown = VersionId([7; 16]);
    assert!(matches!(run(records.version(&vault(), &name("key"), unknown)), Err(RecordError::NotFound)));
    let amended = run(records.amend(&vault(), &name("key"), Some(unknown), &nothing, START));
    assert!(matches!(amended, Err(RecordError::NotFound)));
}

#[test]
fn an_amendment_changes_what_it_names_and_leaves_the_rest() {
    let records = records(MemoryStore::new());
    let mut new = new_secret("key", "one");
    new.expires = Some(START + 10);
    new.body.content_type = Some("text/plain".to_owned());
    let written = run(records.set(new)).unwrap();
    let change = Amendment { enabled: Some(false), not_before: Some(START + 5), ..Amendment::default() };
    let amended = run(records.amend(&vault(), &name("key"), None, &change, START + 60)).unwrap();
    let current = run(records.current(&vault(), &name("key"))).unwrap();
    for row in [&amended.version, &current.version] {
        assert_eq!(row.version, written.version.version);
        assert_eq!(row.created, START);
        assert_eq!((row.enabled, row.not_before, row.expires), (false, Some(START + 5), Some(START + 10)));
        let body = records.body(row).unwrap();
        assert_eq!(body.value.expose_str(), Some("one"));
        assert_eq!(body.content_type.as_deref(), Some("text/plain"));
        assert_eq!(body.updated, START + 60);
        assert_eq!(body.written_by, "a test");
    }
}

#[test]
fn an_earlier_version_is_amended_and_the_current_one_is_left() {
    let records = records(MemoryStore::new());
    let first = set(&records, "key", "one");
    let second = set(&records, "key", "two");
    let tags = BTreeMap::from([("state".to_owned(), "old".to_owned())]);
    let change = Amendment { enabled: Some(false), tags: Some(tags.clone()), ..Amendment::default() };
    let amended = run(records.amend(&vault(), &name("key"), Some(first), &change, START + 1)).unwrap();
    assert_eq!(amended.version.version, first);
    assert_eq!(amended.body.value.expose_str(), Some("one"));
    let row = run(records.version(&vault(), &name("key"), first)).unwrap();
    assert!(!row.enabled);
    assert_eq!(records.body(&row).unwrap().tags, tags);
    let current = run(records.current(&vault(), &name("key"))).unwrap();
    assert_eq!(current.version.version, second);
    assert!(current.version.enabled);
    assert!(records.body(&current.version).unwrap().tags.is_empty());
}

#[test]
fn a_clock_that_was_set_back_takes_no_update_back() {
    let records = records(MemoryStore::new());
    set(&records, "key", "one");
    let amended = run(records.amend(&vault(), &name("key"), None, &Amendment::default(), START - 3600)).unwrap();
    assert_eq!(amended.body.updated, START);
}

#[test]
fn only_so_many_versions_are_kept_as_the_secret_says() {
    let records = records(MemoryStore::new());
    set(&records, "key", "one");
    let (mut row, _) = run(records.store().current(&vault(), &name("key"))).unwrap().unwrap();
    let replaces = row.sealed.tag();
    row.keep_versions = Some(3);
    row.sealed = crate::world::keyring(5).seal(&row.place(), b"key", [9; 32]);
    run(records.commit(vec![Write::Secret { row, replaces: Some(replaces) }])).unwrap();
    let ids: Vec<_> = ["two", "three", "four", "five"].into_iter().map(|value| set(&records, "key", value)).collect();
    let mut kept: Vec<_> = versions(&records, "key").into_iter().map(|row| row.version).collect();
    kept.sort();
    let mut expected = ids[1..].to_vec();
    expected.sort();
    assert_eq!(kept, expected, "the three newest stay");
    assert_eq!(value(&records, "key"), "five");
    assert!(matches!(run(records.version(&vault(), &name("key"), ids[0])), Err(RecordError::NotFound)));
}

#[test]
fn who_listens_hears_of_what_somebody_wrote_and_not_of_a_refused_write() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    records.on_write(move |vault, name| hears.lock().unwrap().push(format!("{vault}/{name}")));
    set(&records, "Key", "one");
    run(records.amend(&vault(), &name("KEY"), None, &Amendment::default(), START)).unwrap();
    token(&records, "Key");
    store.set_full(true);
    assert!(run(records.set(new_secret("key", "two"))).is_err());
    assert_eq!(*heard.lock().unwrap(), ["contoso/Key", "contoso/Key"]);
}
