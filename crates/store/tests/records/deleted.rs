//! Secrets that are deleted, and what that means for the tokens that manage them.

use renewal::{PauseReason, Wall};
use store::rows::TokenRow;
use store::{Current, MemoryStore, NewSecret, RecordError, Records, Token, Write};

use crate::tokens::{again, promote, publish};
use crate::world::{START, name, new_secret, records, run, set, token, value, vault, versions};

const DAY: i64 = 86_400;

#[test]
fn a_token_rests_while_its_secret_is_deleted_and_goes_on_when_it_is_back() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("fresh"), START, 25).expect("it is published");
    let due = again(&records, &first).row.due;
    run(records.delete_secret(&vault(), &name("TOKEN"), START, START + DAY)).expect("it is there");
    let deleted = again(&records, &first);
    assert!(deleted.standing.paused.contains(&PauseReason::SecretDeleted));
    assert_eq!(deleted.row.due, Wall::NEVER);
    assert_eq!(
        run(records.current(&vault(), &name("token"))).err(),
        Some(RecordError::NotFound),
        "not even from memory"
    );

    let recovered = run(records.recover_secret(&vault(), &name("token"), START + 9)).expect("it is deleted");
    assert!(recovered.managed);
    let back = again(&records, &first);
    assert!(back.standing.paused.is_empty());
    assert_eq!(back.row.due, due);
    assert_eq!(value(&records, "token"), "fresh");
    assert_eq!(run(records.current(&vault(), &name("token"))).expect("it is back").version.generation, 1);
}

#[test]
fn what_somebody_paused_stays_paused_when_its_secret_is_back() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("fresh"), START, 25).expect("it is published");
    let pause = records.change_token(first.row.id, None, |_, standing| {
        standing.pause(PauseReason::Person);
        Vec::new()
    });
    run(pause).expect("it is there");
    run(records.delete_secret(&vault(), &name("token"), START, START + DAY)).expect("it is there");
    run(records.recover_secret(&vault(), &name("token"), START)).expect("it is deleted");
    assert_eq!(again(&records, &first).standing.paused.into_iter().collect::<Vec<_>>(), [PauseReason::Person]);
}

#[test]
fn a_renewal_that_ends_after_the_deletion_comes_back_with_the_secret() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("first"), START, 25).expect("it is published");
    let under_way = again(&records, &first);
    let lease = run(records.claim(under_way.row.id, 1)).expect("the store answers").expect("nobody else has it");
    run(records.delete_secret(&vault(), &name("token"), START + 1, START + DAY)).expect("it is there");
    assert!(
        publish(&records, &under_way, Some("second"), START + 2, 25, lease.fence).is_err(),
        "the token is another now"
    );
    let paused = again(&records, &first);
    publish(&records, &paused, Some("second"), START + 2, 25, lease.fence).expect("a success is never dropped");
    assert_eq!(run(records.current(&vault(), &name("token"))).err(), Some(RecordError::NotFound), "it stays deleted");
    assert_eq!(versions(&records, "token").len(), 2);
    run(records.recover_secret(&vault(), &name("token"), START + 3)).expect("it is deleted");
    assert_eq!(value(&records, "token"), "second");
}

#[test]
fn the_name_of_a_deleted_secret_is_taken_until_it_is_purged() {
    let records = records(MemoryStore::new());
    set(&records, "Api", "one");
    let backup = run(records.back_up(&vault(), &name("api"))).expect("it is there");
    run(records.delete_secret(&vault(), &name("api"), START, START + DAY)).expect("it is there");
    assert_eq!(run(records.set(new_secret("API", "two"))).err(), Some(RecordError::Deleted));
    let restore = || run(records.restore(&vault(), records.open_backup(&backup).expect("it is ours"), START));
    assert_eq!(restore().err(), Some(RecordError::Deleted));
    assert_eq!(run(records.delete_secret(&vault(), &name("api"), START, START)).err(), Some(RecordError::NotFound));
    run(records.purge_secret(&vault(), &name("API"))).expect("it is deleted");
    assert_eq!(run(records.purge_secret(&vault(), &name("api"))).err(), Some(RecordError::NotFound));
    assert_eq!(run(records.recover_secret(&vault(), &name("api"), START)).err(), Some(RecordError::NotFound));
    assert_eq!(restore().expect("the name is free").name.as_written(), "Api");
    assert_eq!(restore().err(), Some(RecordError::Exists));
    assert_eq!(value(&records, "api"), "one");
}

/// A token with a value, whose secret is then deleted and purged.
fn purged(records: &Records<MemoryStore>) -> (Token, Vec<u8>) {
    let first = token(records, "token");
    promote(records, &first, Some("fresh"), START, 25).expect("it is published");
    let backup = run(records.back_up(&vault(), &name("token"))).expect("it is there");
    run(records.delete_secret(&vault(), &name("token"), START, START + DAY)).expect("it is there");
    run(records.purge_secret(&vault(), &name("token"))).expect("it is deleted");
    let after = again(records, &first);
    assert_eq!(after.row.due, Wall::NEVER, "it rests");
    (after, backup)
}

#[test]
fn a_token_whose_secret_was_purged_goes_on_with_what_is_set_or_restored_under_its_name() {
    for by_restore in [true, false] {
        let records = records(MemoryStore::new());
        let (resting, backup) = purged(&records);
        let written = if by_restore {
            let backup = records.open_backup(&backup).expect("it is ours");
            run(records.restore(&vault(), backup, START + 9)).expect("the name is free")
        } else {
            run(records.set(NewSecret { now: START + 9, ..new_secret("token", "by hand") })).expect("the name is free")
        };
        assert!(written.managed);
        let current = run(records.current(&vault(), &name("token"))).expect("it is there");
        assert_eq!((current.version.generation, current.danger), (0, None), "it is none of its generations");
        let back = again(&records, &resting);
        assert!(back.standing.paused.is_empty());
        assert_eq!((back.row.generation, back.row.due), (1, Wall((START + 9) * 1000)));
    }
}

#[test]
fn a_renewal_that_ends_after_the_purge_makes_no_secret() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("first"), START, 25).expect("it is published");
    let lease = run(records.claim(first.row.id, 1)).expect("the store answers").expect("nobody else has it");
    run(records.delete_secret(&vault(), &name("token"), START + 1, START + DAY)).expect("it is there");
    run(records.purge_secret(&vault(), &name("token"))).expect("it is deleted");
    publish(&records, &again(&records, &first), Some("second"), START + 2, 25, lease.fence).expect("it is noted");
    assert_eq!(run(records.current(&vault(), &name("token"))).err(), Some(RecordError::NotFound));
    assert!(versions(&records, "token").is_empty());
    assert_eq!(run(records.attempts(first.row.id, None, 9)).expect("a history").len(), 2);
}

#[test]
fn a_token_that_was_declared_while_its_secret_was_being_deleted_rests_after_one_renewal() {
    let records = records(MemoryStore::new());
    set(&records, "token", "by hand");
    run(records.delete_secret(&vault(), &name("token"), START, START + DAY)).expect("it is there");
    let declared = token(&records, "token");
    promote(&records, &declared, Some("fresh"), START, 25).expect("it is noted");
    let resting = again(&records, &declared);
    assert!(resting.standing.paused.contains(&PauseReason::SecretDeleted));
    run(records.recover_secret(&vault(), &name("token"), START + 1)).expect("it is deleted");
    assert_eq!(value(&records, "token"), "fresh");
    assert!(again(&records, &declared).standing.paused.is_empty());
}

#[test]
fn what_was_recovered_and_deleted_again_isnt_purged_by_the_time_of_its_first_deletion() {
    let records = records(MemoryStore::new());
    set(&records, "api", "one");
    run(records.delete_secret(&vault(), &name("api"), START, START + DAY)).expect("it is there");
    run(records.recover_secret(&vault(), &name("api"), START + DAY)).expect("it is deleted");
    run(records.delete_secret(&vault(), &name("api"), START + DAY, START + 2 * DAY)).expect("it is there");
    let late = run(records.purge_if_over(&vault(), &name("api"), START + DAY));
    assert_eq!(late.err(), Some(RecordError::NotFound));
    run(records.purge_if_over(&vault(), &name("api"), START + 2 * DAY)).expect("its time is over");
}

#[test]
fn a_write_that_depends_on_what_is_there_is_made_where_one_version_is_kept() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("fresh"), START, 1).expect("it is published");
    let is_there = |current: Option<&Current>| current.is_some();
    run(records.set_if(new_secret("token", "by hand"), Some(&is_there))).expect("it is there");
    assert_eq!((value(&records, "token").as_str(), versions(&records, "token").len()), ("by hand", 1));
    let is_absent = |current: Option<&Current>| current.is_none();
    assert_eq!(run(records.set_if(new_secret("token", "x"), Some(&is_absent))).err(), Some(RecordError::Unmet));
}

#[test]
fn a_token_that_does_not_open_keeps_no_secret_from_being_deleted_recovered_or_set() {
    let records = records(MemoryStore::new());
    let first = token(&records, "token");
    promote(&records, &first, Some("fresh"), START, 25).expect("it is published");
    let sound = again(&records, &first).row;
    let row = TokenRow { sealed: store::contract::sample::sealed(7), ..sound.clone() };
    let damage = Write::Token { row, replaces: Some(sound.sealed.tag()), releases: None };
    run(records.commit(vec![damage])).expect("nobody else changed it");
    run(records.delete_secret(&vault(), &name("token"), START, START + DAY)).expect("it is there");
    run(records.recover_secret(&vault(), &name("token"), START + 1)).expect("it is deleted");
    assert_eq!(value(&records, "token"), "fresh");
    run(records.delete_secret(&vault(), &name("token"), START + 2, START + DAY)).expect("it is there");
    run(records.purge_secret(&vault(), &name("token"))).expect("it is deleted");
    set(&records, "token", "by hand");
    assert_eq!(value(&records, "token"), "by hand");
}
