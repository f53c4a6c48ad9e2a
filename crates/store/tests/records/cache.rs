//! Reads from memory: never older than what is committed, and bounded.

use std::pin::pin;
use std::task::Poll;

use store::{Amendment, CACHE_BYTES, MemoryStore, Promotion, Records, Store, Write};

use crate::world::{
    Late, START, attempt, batch_of, is_pending, name, new_secret, poll, records, records_over, renewed, run, set,
    token, value, value_of, vault,
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
    set(&records(store.clone()), "key", "one");
    let batch = batch_of(&store, async |records| drop(records.set(new_secret("key", "two")).await));
    let late = Late::new(store);
    let records = records_over(late.clone(), CACHE_BYTES);
    let (vault, key) = (vault(), name("key"));
    late.hold_reads(true);
    let mut early = pin!(records.current(&vault, &key));
    let mut with_it = pin!(records.current(&vault, &key));
    assert!(is_pending(early.as_mut()) && is_pending(with_it.as_mut()));
    run(records.commit(batch)).unwrap();
    let mut after = pin!(records.current(&vault, &key));
    assert!(is_pending(after.as_mut()), "it doesn't wait for the load that began before the commit, and loads itself");
    late.hold_reads(false);
    // The first two asked before the commit: either answer is right for them.
    assert_eq!(value_of(&records, &run(early).unwrap().version), "one");
    run(with_it).unwrap();
    assert_eq!(value_of(&records, &run(after).unwrap().version), "two");
    assert_eq!(in_memory(&records, "key").as_deref(), Some("two"));
    assert_eq!(value(&records, "key"), "two");
}

#[test]
fn a_load_that_ends_before_the_commit_answers_is_forgotten() {
    let store = MemoryStore::new();
    set(&records(store.clone()), "key", "one");
    let batch = batch_of(&store, async |records| drop(records.set(new_secret("key", "two")).await));
    let late = Late::new(store);
    let records = records_over(late.clone(), CACHE_BYTES);
    late.hold_commits();
    let mut commit = pin!(records.commit(batch));
    assert!(is_pending(commit.as_mut()));
    assert_eq!(value(&records, "key"), "one", "it isn't written yet");
    late.let_commits_go();
    run(commit).unwrap();
    assert_eq!(in_memory(&records, "key"), None);
    assert_eq!(value(&records, "key"), "two");
}

#[test]
fn what_landed_before_its_commit_answers_is_seen_by_who_asks_the_store() {
    let late = Late::new(MemoryStore::new());
    let records = records_over(late.clone(), CACHE_BYTES);
    set(&records, "key", "one");
    assert_eq!(value(&records, "key"), "one");
    late.hold_commits();
    let mut commit = pin!(records.set(new_secret("key", "two")));
    assert!(is_pending(commit.as_mut()));
    late.let_commits_go();
    let in_store = run(records.current_in_store(&vault(), &name("key"))).unwrap();
    assert_eq!(value_of(&records, &in_store.version), "two");
    assert_eq!(value(&records, "key"), "one", "memory is behind until the commit's caller goes on");
    run(commit).unwrap();
    assert_eq!(value(&records, "key"), "two");
}

#[test]
fn a_commit_that_nobody_waits_for_is_seen_when_it_lands() {
    let late = Late::new(MemoryStore::new());
    let records = records_over(late.clone(), CACHE_BYTES);
    set(&records, "key", "one");
    assert_eq!(value(&records, "key"), "one");
    late.hold_commits();
    {
        let mut abandoned = pin!(records.set(new_secret("key", "two")));
        assert!(is_pending(abandoned.as_mut()), "it is in the writer's queue, and the client hangs up");
    }
    assert_eq!(value(&records, "key"), "one", "it isn't written yet");
    late.let_commits_go();
    assert_eq!(value(&records, "key"), "two");
    set(&records, "key", "three");
    assert_eq!(value(&records, "key"), "three");
}

#[test]
fn a_commit_that_was_dropped_while_a_reader_loads_is_seen_when_it_lands() {
    let store = MemoryStore::new();
    set(&records(store.clone()), "key", "one");
    let batch = batch_of(&store, async |records| drop(records.set(new_secret("key", "two")).await));
    let late = Late::new(store);
    let records = records_over(late.clone(), CACHE_BYTES);
    let (vault, key) = (vault(), name("key"));
    late.hold_commits();
    let mut commit = Box::pin(records.commit(batch));
    assert!(is_pending(commit.as_mut()));
    late.hold_reads(true);
    let mut early = pin!(records.current(&vault, &key));
    assert!(is_pending(early.as_mut()));
    drop(commit);
    late.hold_reads(false);
    assert_eq!(value_of(&records, &run(early).unwrap().version), "one");
    late.let_commits_go();
    assert_eq!(value(&records, "key"), "two");
}

#[test]
fn only_a_commit_that_began_later_makes_up_for_one_that_nobody_waits_for() {
    let late = Late::new(MemoryStore::new());
    let records = records_over(late.clone(), CACHE_BYTES);
    set(&records, "key", "one");
    let amend = async |expires| {
        let change = Amendment { expires: Some(expires), ..Amendment::default() };
        drop(records.amend(&vault(), &name("key"), None, &change, START).await);
    };
    let expires = || run(records.current(&vault(), &name("key"))).unwrap().version.expires;
    late.hold_commits();
    let mut first = Box::pin(amend(START + 1));
    assert!(is_pending(first.as_mut()));
    let second = batch_of(&late.store, async |records| drop(records.set(new_secret("key", "two")).await));
    let mut abandoned = Box::pin(records.commit(second));
    assert!(is_pending(abandoned.as_mut()), "it is in the queue behind the first");
    drop(abandoned);
    late.let_one_commit_go();
    run(first);
    assert_eq!(expires(), Some(START + 1));
    late.let_commits_go();
    assert_eq!(value(&records, "key"), "two", "the first one's end said nothing of the second's");
    set(&records, "key", "three");
    assert_eq!(value(&records, "key"), "three");
    assert_eq!(in_memory(&records, "key").as_deref(), Some("three"), "in order again, it is kept again");
}

#[test]
fn a_commit_that_is_left_after_it_was_written_leaves_nothing_older_behind() {
    let late = Late::new(MemoryStore::new());
    let records = records_over(late.clone(), CACHE_BYTES);
    for key in ["a", "b"] {
        set(&records, key, "one");
        token(&records, key);
        assert_eq!(value(&records, key), "one");
    }
    let mut both = Vec::new();
    for key in ["a", "b"] {
        both.extend(batch_of(&late.store, async |records| drop(records.set(new_secret(key, "two")).await)));
    }
    late.hold_reads(true);
    let mut left = Box::pin(records.commit(both));
    assert!(is_pending(left.as_mut()), "it reads the managed ones back, and its caller goes away");
    drop(left);
    late.hold_reads(false);
    assert_eq!((value(&records, "a"), value(&records, "b")), ("two".to_owned(), "two".to_owned()));
}

#[test]
fn a_failed_load_is_no_answer_for_the_next_reader() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    set(&records, "key", "one");
    store.set_unreachable(true);
    assert!(run(records.current(&vault(), &name("key"))).is_err());
    store.set_unreachable(false);
    assert_eq!(value(&records, "key"), "one");
}

#[test]
fn a_reader_that_goes_away_while_it_loads_holds_up_nobody() {
    let late = Late::new(MemoryStore::new());
    let records = records_over(late.clone(), CACHE_BYTES);
    set(&records, "key", "one");
    let (vault, key) = (vault(), name("key"));
    late.hold_reads(true);
    let mut leaves = Box::pin(records.current(&vault, &key));
    let mut stays = pin!(records.current(&vault, &key));
    assert!(is_pending(leaves.as_mut()) && is_pending(stays.as_mut()));
    drop(leaves);
    late.hold_reads(false);
    let Poll::Ready(Ok(current)) = poll(stays) else { panic!("it loads for itself") };
    assert_eq!(value_of(&records, &current.version), "one");
}

#[test]
fn managed_tokens_stay_in_memory_and_others_make_room() {
    let store = MemoryStore::new();
    // Room for a few hundred records, over all parts of the cache.
    let records = records_over(store.clone(), 256 << 10);
    for number in 0..20 {
        let secret = format!("token-{number}");
        set(&records, &secret, "a token");
        token(&records, &secret);
        assert_eq!(value(&records, &secret), "a token");
    }
    for number in 0..2000 {
        let secret = format!("other-{number}");
        set(&records, &secret, "another");
        assert_eq!(value(&records, &secret), "another");
    }
    let kept = (0..2000).filter(|number| in_memory(&records, &format!("other-{number}")).is_some()).count();
    assert!((1..600).contains(&kept), "{kept} others are kept");
    store.set_unreachable(true);
    for number in 0..20 {
        assert_eq!(value(&records, &format!("token-{number}")), "a token");
    }
}

#[test]
fn a_managed_token_stays_in_memory_though_the_cache_has_no_room_at_all() {
    let store = MemoryStore::new();
    let records = records_over(store.clone(), 0);
    set(&records, "token", "one");
    set(&records, "other", "one");
    token(&records, "token");
    assert_eq!(value(&records, "token"), "one");
    assert_eq!(value(&records, "other"), "one");
    assert_eq!(in_memory(&records, "other"), None);
    set(&records, "token", "two");
    assert_eq!(in_memory(&records, "token").as_deref(), Some("two"), "it is read back after a write");
    store.set_unreachable(true);
    assert_eq!(value(&records, "token"), "two");
}

#[test]
fn a_renewal_is_in_memory_before_it_is_acknowledged() {
    let store = MemoryStore::new();
    let records = records(store);
    set(&records, "token", "");
    let token = token(&records, "token");
    assert_eq!(value(&records, "token"), "");
    let lease = run(records.claim(token.row.id, 0)).unwrap().unwrap();
    let value = secret::Secret::copy_of(b"a new token");
    let promotion = Promotion {
        token: &token,
        standing: &renewed(&token, START, false),
        fence: lease.fence,
        value: &value,
        same_value: false,
        written_by: "a test",
        attempt: &attempt(lease.fence),
        keep_versions: 25,
        delivers: false,
        now: START,
    };
    run(records.promote(&promotion)).unwrap();
    assert_eq!(in_memory(&records, "token").as_deref(), Some("a new token"));
}

#[test]
fn whether_a_token_keeps_a_secret_is_known_at_once() {
    let records = records(MemoryStore::new());
    let managed = || run(records.current(&vault(), &name("key"))).unwrap().managed;
    set(&records, "key", "one");
    assert!(!managed());
    let token = token(&records, "KEY");
    assert!(managed());
    run(records.commit(vec![Write::RemoveToken(token.row.id)])).unwrap();
    assert!(!managed());
}
