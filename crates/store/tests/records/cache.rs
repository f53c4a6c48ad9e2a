//! Reads from memory: never older than what is committed, and bounded.

use std::pin::pin;
use std::task::Poll;

use store::{Amendment, MemoryStore, Promotion, Records, Store, Write};

use crate::world::{
    Late, START, attempt, is_pending, name, new_secret, poll, records, records_over, renewed, run, set, token, value,
    value_of, vault,
};

fn in_memory<S: Store>(records: &Records<S>, secret: &str) -> Option<String> {
    records.current_in_memory(&vault(), secret).map(|current| value_of(records, &current.version))
}

#[test]
fn a_read_is_answered_from_memory_from_the_second_time_on() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    set(&records, "key", "one");
    assert_eq!(in_memory(&records, "key"), None);
    assert_eq!(value(&records, "KEY"), "one");
    assert_eq!(in_memory(&records, "key").as_deref(), Some("one"));
    store.set_unreachable(true);
    assert_eq!(value(&records, "Key"), "one");
}

#[test]
fn after_a_commit_nobody_reads_what_was_before() {
    let records = records(MemoryStore::new());
    set(&records, "key", "one");
    assert_eq!(value(&records, "key"), "one");
    set(&records, "key", "two");
    assert_eq!(value(&records, "key"), "two");
    let change = Amendment { enabled: Some(false), ..Amendment::default() };
    run(records.amend(&vault(), &name("KEY"), None, &change, START)).unwrap();
    assert!(!run(records.current(&vault(), &name("key"))).unwrap().version.enabled);
}

#[test]
fn a_load_that_began_before_a_commit_leaves_nothing_behind() {
    let store = MemoryStore::new();
    let late = Late::new(store.clone());
    set(&records(store), "key", "one");
    let records = records_over(late.clone(), 1 << 20);
    let (vault, key) = (vault(), name("key"));
    late.hold_reads(true);
    let mut early = pin!(records.current(&vault, &key));
    let mut waits_for_it = pin!(records.current(&vault, &key));
    assert!(is_pending(early.as_mut()) && is_pending(waits_for_it.as_mut()));
    // The change reads first too, so it waits for the same answer; a bare commit stands for another process's.
    let (mut row, version) = run(records.store().current_at_once(&vault, &key));
    let replaces = version.sealed.tag();
    row.changed += 1;
    let mut disabled = version;
    disabled.enabled = false;
    let body = records.body_of(&disabled, true);
    disabled.sealed = crate::world::keyring(5).seal(&disabled.place(), &body, [3; 32]);
    run(records.commit(vec![Write::AmendVersion { row: disabled, replaces }])).unwrap();
    late.hold_reads(false);
    // Those two asked before the change; whoever asks after it must see it.
    assert!(run(early).unwrap().version.enabled);
    let _ = run(waits_for_it).unwrap();
    assert!(records.current_in_memory(&vault, "key").is_none_or(|current| !current.version.enabled));
    assert!(!run(records.current(&vault, &key)).unwrap().version.enabled);
}
