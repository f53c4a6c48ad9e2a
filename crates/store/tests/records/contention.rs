//! Several who write the same secret at the same time.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use store::{Amendment, CACHE_BYTES, CommitError, MemoryStore, RecordError};

use crate::world::{
    Late, START, batch_of, is_pending, name, new_secret, records, records_over, run, set, value, vault, versions,
};

#[test]
fn of_sets_at_the_same_time_none_is_lost_and_the_last_is_current() {
    let store = MemoryStore::new();
    let records = Arc::new(records(store));
    let threads: Vec<_> = (0..2)
        .map(|writer| {
            let records = Arc::clone(&records);
            std::thread::spawn(move || {
                (0..100).map(|turn| set(&records, "Key", &format!("{writer}-{turn}"))).collect::<Vec<_>>()
            })
        })
        .collect();
    let written: BTreeSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(written.len(), 200);
    let kept: BTreeSet<_> = versions(&*records, "key").into_iter().map(|row| row.version).collect();
    assert_eq!(kept, written);
    // The last of some writer's is the last of all.
    let last = value(&*records, "key");
    assert!(last.ends_with("-99"), "{last}");
}

#[test]
fn a_set_that_was_overtaken_is_written_over_what_overtook_it() {
    let store = MemoryStore::new();
    let other = records(store.clone());
    set(&other, "key", "one");
    let late = Late::new(store);
    let records = records_over(late.clone(), CACHE_BYTES);
    late.hold_reads(true);
    let mut overtaken = pin!(records.set(new_secret("key", "three")));
    assert!(is_pending(overtaken.as_mut()), "it has read the first version");
    let second = set(&other, "key", "two");
    late.hold_reads(false);
    let third = run(overtaken).unwrap().version.version;
    let records = records_over(late, CACHE_BYTES);
    assert_eq!(value(&records, "key"), "three");
    let ids: Vec<_> = versions(&records, "key").into_iter().map(|row| row.version).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&second) && ids.contains(&third));
}

#[test]
fn amendments_at_the_same_time_all_take_effect() {
    let store = MemoryStore::new();
    let other = records(store.clone());
    set(&other, "key", "one");
    let late = Late::new(store);
    let records = records_over(late.clone(), CACHE_BYTES);
    let (vault, key) = (vault(), name("key"));
    late.hold_reads(true);
    let disable = Amendment { enabled: Some(false), ..Amendment::default() };
    let mut overtaken = pin!(records.amend(&vault, &key, None, &disable, START));
    assert!(is_pending(overtaken.as_mut()));
    let end = Amendment { expires: Some(START + 60), ..Amendment::default() };
    run(other.amend(&vault, &key, None, &end, START)).unwrap();
    late.hold_reads(false);
    let amended = run(overtaken).unwrap().version;
    assert_eq!((amended.enabled, amended.expires), (false, Some(START + 60)));
}

#[test]
fn a_batch_made_over_an_older_record_is_a_conflict_and_changes_nothing() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    set(&records, "key", "one");
    let stale = batch_of(&store, async |records| drop(records.set(new_secret("key", "two")).await));
    set(&records, "key", "three");
    assert_eq!(run(records.commit(stale)), Err(CommitError::Conflict));
    assert_eq!(value(&records, "key"), "three");
    assert_eq!(versions(&records, "key").len(), 2);
}

#[test]
fn a_store_that_fails_is_not_asked_again_and_again() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    store.set_full(true);
    let refused = run(records.set(new_secret("key", "one")));
    assert!(matches!(refused, Err(RecordError::Store(store::StoreError::Full))));
    store.set_full(false);
    assert!(matches!(run(records.current(&vault(), &name("key"))), Err(RecordError::NotFound)));
}
