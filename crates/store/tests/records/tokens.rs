//! Managed tokens: what a renewal publishes, and when it is refused.

use std::time::Duration;

use renewal::{PauseReason, Wall};
use secret::Secret;
use store::{
    Amendment, Attempt, CommitError, GENERATION_TAG, KEEP_ATTEMPTS, MemoryStore, Promotion, RecordError, Records,
    Store, Token, Write,
};

use crate::world::{
    START, attempt, moment, name, new_secret, records, renewed, run, set, token, value, vault, versions,
};

/// Claims the token, and publishes this value at `at`.
pub(crate) fn promote<S: Store>(
    records: &Records<S>,
    token: &Token,
    value: Option<&str>,
    at: i64,
    keep_versions: u32,
) -> Result<(), CommitError> {
    let lease = run(records.claim(token.row.id, token.row.generation)).unwrap().expect("nobody else has it");
    publish(records, token, value, at, keep_versions, lease.fence)
}

pub(crate) fn publish<S: Store>(
    records: &Records<S>,
    token: &Token,
    value: Option<&str>,
    at: i64,
    keep_versions: u32,
    fence: u64,
) -> Result<(), CommitError> {
    // `None`: the provider gave again what the secret holds.
    let secret = match value {
        Some(value) => Secret::copy_of(value.as_bytes()),
        None => run(records.current(&token.row.vault, &token.row.name))
            .ok()
            .map_or_else(|| Secret::copy_of(b"held before"), |current| records.body(&current.version).unwrap().value),
    };
    run(records.promote(&Promotion {
        token,
        standing: &renewed(token, at, value.is_none()),
        fence,
        value: &secret,
        same_value: value.is_none(),
        written_by: "vestal",
        attempt: &attempt(fence),
        keep_versions,
        delivers: false,
        now: at,
    }))
}

pub(crate) fn again<S: Store>(records: &Records<S>, token: &Token) -> Token {
    run(records.token(token.row.id)).unwrap()
}

#[test]
fn a_renewal_publishes_value_standing_and_history_at_once() {
    let records = records(MemoryStore::new());
    let token = token(&records, "Token");
    promote(&records, &token, Some("fresh"), START, 25).unwrap();
    let current = run(records.current(&vault(), &name("token"))).unwrap();
    let body = records.body(&current.version).unwrap();
    assert_eq!(body.value.expose_str(), Some("fresh"));
    assert_eq!(body.written_by, "vestal");
    assert_eq!(body.tags[GENERATION_TAG], "1");
    assert_eq!((current.version.generation, current.version.expires), (1, Some(START + 3600)));
    assert!(current.managed);
    let after = again(&records, &token);
    assert_eq!((after.row.generation, after.row.leased), (1, false));
    assert_eq!(after.row.expiry, Wall((START + 3600) * 1000));
    assert_eq!(after.standing, renewed(&token, START, false));
    assert_eq!(after.row.due, after.standing.due);
    let attempts = run(records.attempts(token.row.id, None, 10)).unwrap();
    assert_eq!(attempts, [attempt(1)]);
}

#[test]
fn a_renewal_keeps_the_name_that_somebody_wrote_and_so_many_versions() {
    let records = records(MemoryStore::new());
    set(&records, "Discord-Token", "");
    let mut known = token(&records, "discord-token");
    for turn in 0..5 {
        promote(&records, &known, Some(&format!("value {turn}")), START + turn * 3600, 3).unwrap();
        known = again(&records, &known);
    }
    assert_eq!(versions(&records, "discord-token").len(), 3);
    assert_eq!(value(&records, "discord-token"), "value 4");
    let current = run(records.current(&vault(), &name("discord-token"))).unwrap();
    assert_eq!(current.name.as_written(), "Discord-Token");
    assert_eq!(current.keep_versions, Some(3));
    // What somebody writes meanwhile counts too.
    set(&records, "discord-token", "by hand");
    assert_eq!(versions(&records, "discord-token").len(), 3);
}

#[test]
fn the_same_value_again_moves_the_end_of_its_version() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("fresh"), START, 25).unwrap();
    let before = run(records.current(&vault(), &name("token"))).unwrap();
    let second = again(&records, &first);
    promote(&records, &second, None, START + 600, 25).unwrap();
    let after = run(records.current(&vault(), &name("token"))).unwrap();
    assert_eq!(versions(&records, "token").len(), 1);
    assert_eq!(after.version.version, before.version.version);
    assert_eq!(after.version.created, START);
    assert_eq!(after.version.expires, Some(START + 600 + 3600));
    assert_eq!(after.version.generation, 1);
    let body = records.body(&after.version).unwrap();
    assert_eq!(body.value.expose_str(), Some("fresh"));
    assert_eq!(body.updated, START + 600);
    assert_eq!(body.tags[GENERATION_TAG], "1");
}

#[test]
fn the_same_value_of_a_version_that_is_gone_is_published_anew() {
    let records = records(MemoryStore::new());
    let token = token(&records, "Token");
    promote(&records, &token, None, START, 25).unwrap();
    let current = run(records.current(&vault(), &name("token"))).unwrap();
    assert_eq!(records.body(&current.version).unwrap().value.expose_str(), Some("held before"));
}

#[test]
fn the_same_value_is_published_anew_where_somebody_wrote_another_meanwhile() {
    let records = records(MemoryStore::new());
    let first = token(&records, "Token");
    promote(&records, &first, Some("fresh"), START, 25).unwrap();
    let second = again(&records, &first);
    set(&records, "token", "by hand");
    let secret = Secret::copy_of(b"fresh");
    run(records.promote(&Promotion {
        token: &second,
        standing: &renewed(&second, START + 2, true),
        fence: 1,
        value: &secret,
        same_value: true,
        written_by: "vestal",
        attempt: &attempt(1),
        keep_versions: 25,
        delivers: false,
        now: START + 2,
    }))
    .unwrap();
    let current = run(records.current(&vault(), &name("token"))).unwrap();
    assert_eq!(records.body(&current.version).unwrap().value.expose_str(), Some("fresh"));
    assert_eq!(run(records.store().versions(&vault(), &name("token"), None, 10)).unwrap().len(), 3);
}

#[test]
fn a_renewal_of_a_token_that_was_changed_meanwhile_is_a_conflict() {
    let records = records(MemoryStore::new());
    let token = token(&records, "token");
    let lease = run(records.claim(token.row.id, 0)).unwrap().unwrap();
    run(records.change_token(token.row.id, None, |_, standing| {
        standing.pause(PauseReason::Person);
        Vec::new()
    }))
    .unwrap();
    assert_eq!(publish(&records, &token, Some("fresh"), START, 25, lease.fence), Err(CommitError::Conflict));
    assert!(matches!(run(records.current(&vault(), &name("token"))), Err(RecordError::NotFound)));
    assert!(run(records.attempts(token.row.id, None, 10)).unwrap().is_empty());
    let changed = again(&records, &token);
    assert!(changed.row.leased, "the lease still lives: the attempt decides again");
    publish(&records, &changed, Some("fresh"), START, 25, lease.fence).unwrap();
    assert_eq!(value(&records, "token"), "fresh");
    assert!(again(&records, &token).standing.paused.contains(&PauseReason::Person));
}

#[test]
fn a_renewal_over_a_secret_that_another_process_wrote_is_a_conflict_once() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    set(&records, "token", "one");
    let token = token(&records, "token");
    assert_eq!(value(&records, "token"), "one");
    set(&crate::world::records(store), "token", "by hand");
    let lease = run(records.claim(token.row.id, 0)).unwrap().unwrap();
    assert_eq!(publish(&records, &token, Some("fresh"), START, 25, lease.fence), Err(CommitError::Conflict));
    assert_eq!(value(&records, "token"), "by hand");
    // Writing by hand has hastened the token, and changed nothing of its standing.
    publish(&records, &token, Some("fresh"), START, 25, lease.fence).unwrap();
    assert_eq!(value(&records, "token"), "fresh");
    assert_eq!(versions(&records, "token").len(), 3);
}

#[test]
fn a_token_that_somebody_writes_is_renewed_at_once_and_keeps_its_generation() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("fresh"), START, 25).unwrap();
    assert!(again(&records, &first).row.due > Wall(START * 1000 + 60_000));
    let mut by_hand = new_secret("TOKEN", "by hand");
    by_hand.now = START + 30;
    let written = run(records.set(by_hand)).unwrap();
    assert!(written.managed);
    assert_eq!(written.version.generation, 0);
    let after = again(&records, &first);
    assert_eq!((after.row.due, after.row.generation), (Wall((START + 30) * 1000), 1));
    assert_eq!(after.standing.due, after.row.due, "the column rules");
    assert!(after.standing.is_due(moment(START + 30)));
    assert!(run(records.store().due(Wall((START + 30) * 1000), 10)).unwrap().len() == 1);
}

#[test]
fn the_first_version_of_a_declared_token_hastens_it_too() {
    let records = records(MemoryStore::new());
    let token = token(&records, "token");
    run(records.change_token(token.row.id, None, |_, standing| {
        standing.due = Wall((START + 3600) * 1000);
        Vec::new()
    }))
    .unwrap();
    let written = run(records.set(new_secret("token", "by hand"))).unwrap();
    assert!(written.managed);
    assert_eq!(again(&records, &token).row.due, Wall(START * 1000));
}

#[test]
fn a_paused_token_stays_paused_when_somebody_writes_it() {
    let records = records(MemoryStore::new());
    set(&records, "token", "");
    let token = token(&records, "token");
    let paused = run(records.change_token(token.row.id, None, |_, standing| {
        standing.pause(PauseReason::Person);
        Vec::new()
    }))
    .unwrap();
    assert_eq!(paused.row.due, Wall::NEVER);
    set(&records, "token", "by hand");
    let after = again(&records, &token);
    assert_eq!(after.row.due, Wall::NEVER);
    assert!(after.standing.due < Wall::NEVER, "what it goes on with is remembered");
    run(records.change_token(token.row.id, None, |_, standing| {
        standing.resume(PauseReason::Person);
        Vec::new()
    }))
    .unwrap();
    assert_eq!(again(&records, &token).row.due, after.standing.due);
}

#[test]
fn changes_of_a_token_at_the_same_time_all_take_effect() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    let token = token(&records, "token");
    let other = crate::world::records(store);
    let mut calls = 0;
    let changed = run(records.change_token(token.row.id, None, |_, standing| {
        calls += 1;
        if calls == 1 {
            // Somebody else is faster.
            run(other.change_token(token.row.id, None, |_, standing| {
                standing.pause(PauseReason::Person);
                Vec::new()
            }))
            .unwrap();
        }
        standing.step = 7;
        Vec::new()
    }))
    .unwrap();
    assert_eq!(calls, 2);
    assert_eq!(changed.standing.step, 7);
    assert!(changed.standing.paused.contains(&PauseReason::Person));
    assert_eq!(again(&records, &token).standing, changed.standing);
}

#[test]
fn a_change_that_comes_with_other_writes_is_one_transaction() {
    let store = MemoryStore::new();
    let records = records(store.clone());
    let token = token(&records, "token");
    store.set_full(true);
    let refused = run(records.change_token(token.row.id, None, |token, standing| {
        standing.renew_now(moment(START));
        records.attempt_writes(token.row.id, &attempt(1))
    }));
    assert!(refused.is_err());
    store.set_full(false);
    assert!(run(records.attempts(token.row.id, None, 10)).unwrap().is_empty());
}

#[test]
fn the_oldest_attempts_are_let_go() {
    let records = records(MemoryStore::new());
    let token = token(&records, "token");
    let most = u64::from(KEEP_ATTEMPTS);
    for number in 1..=most + 40 {
        let writes = records.attempt_writes(token.row.id, &attempt(number));
        run(records.commit(writes)).unwrap();
    }
    let kept = run(records.attempts(token.row.id, None, usize::MAX)).unwrap();
    assert_eq!(kept[0].number, most + 40);
    let (fewest, highest) = (KEEP_ATTEMPTS as usize, KEEP_ATTEMPTS as usize + 16);
    assert!((fewest..highest).contains(&kept.len()), "{} are kept", kept.len());
}

#[test]
fn a_history_is_read_newest_first_and_in_pages() {
    let records = records(MemoryStore::new());
    let token = token(&records, "token");
    for number in 1..=5 {
        run(records.commit(records.attempt_writes(token.row.id, &attempt(number)))).unwrap();
    }
    let repeated = Attempt { repeats: 3, last_repeat: Some(START * 1000 + 5), ..attempt(5) };
    run(records.commit(records.attempt_writes(token.row.id, &repeated))).unwrap();
    let page = run(records.attempts(token.row.id, None, 2)).unwrap();
    assert_eq!(page, [repeated, attempt(4)]);
    let rest = run(records.attempts(token.row.id, Some(4), 10)).unwrap();
    assert_eq!(rest, [attempt(3), attempt(2), attempt(1)]);
}

#[test]
fn what_a_lane_must_remember_is_read_back() {
    let records = records(MemoryStore::new());
    let write = records.lane_write("host client", Wall(START * 1000), &Duration::from_secs(7));
    run(records.commit(vec![write])).unwrap();
    let lanes: Vec<(String, Duration)> = run(records.lanes()).unwrap();
    assert_eq!(lanes, [("host client".to_owned(), Duration::from_secs(7))]);
}

#[test]
fn a_removed_token_leaves_its_secret_an_ordinary_one() {
    let records = records(MemoryStore::new());
    let token = token(&records, "token");
    promote(&records, &token, Some("fresh"), START, 25).unwrap();
    run(records.commit(vec![Write::RemoveToken(token.row.id)])).unwrap();
    assert!(matches!(run(records.token(token.row.id)), Err(RecordError::NotFound)));
    let written = run(records.set(new_secret("token", "by hand"))).unwrap();
    assert!(!written.managed);
    let amended = run(records.amend(&vault(), &name("token"), None, &Amendment::default(), START)).unwrap();
    assert!(!amended.managed);
}
