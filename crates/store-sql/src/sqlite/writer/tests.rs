use std::sync::mpsc;
use std::thread;

use renewal::Wall;
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;
use store::contract::sample::{
    attempt, claim, insert, keyring, name, put, put_over, sealed, secret, token, vault, version,
};
use store::contract::{all, block_on};
use store::rows::{SecretRow, TokenRow};
use store::{Claim, CommitError, Store as _, StoreError, Write};
use tempfile::{TempDir, tempdir};

use super::{Job, Writer};
use crate::sqlite::{SqliteStore, settings};

fn fresh() -> (SqliteStore, TempDir) {
    let root = tempdir().expect("a folder");
    (SqliteStore::open(root.path()).expect("it is new"), root)
}

/// Runs something on the writer's connection.
fn run(store: &SqliteStore, work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static) {
    store.meddle(|writer| work(writer.connection.as_ref().expect("it is open")).expect("the test's SQL is sound"));
}

fn limit_pages(store: &SqliteStore, more: Option<i64>) {
    run(store, move |connection| {
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let limit = more.map_or(1 << 30, |more| pages + more);
        connection.pragma_update(None, "max_page_count", limit)
    });
}

/// Holds the writer until the answer is dropped, so that what comes meanwhile is one group.
fn hold(store: &SqliteStore) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let wait = Job::Meddle(Box::new(move |_: &mut Writer| assert!(held.recv().is_err())));
    block_on(store.writes.push(wait)).expect("the store is open");
    while store.writes.len() > 0 {
        thread::yield_now();
    }
    release
}

fn many_attempts() -> Vec<Write> {
    (0..500).map(|number| Write::Attempt(attempt(1, number))).collect()
}

#[test]
fn a_full_database_takes_what_fits_and_no_claim() {
    let (store, _root) = fresh();
    block_on(store.commit(vec![insert(token(1))])).expect("there is room");
    limit_pages(&store, Some(2));

    let release = hold(&store);
    let (big, small, claimed) = thread::scope(|scope| {
        let big = scope.spawn(|| block_on(store.commit(many_attempts())));
        let small = scope.spawn(|| block_on(store.commit(vec![keyring(1)])));
        let claimed = scope.spawn(|| block_on(store.claim(claim(&token(1)))));
        while store.writes.len() < 3 {
            thread::yield_now();
        }
        drop(release);
        (big.join().expect("no panic"), small.join().expect("no panic"), claimed.join().expect("no panic"))
    });
    assert_eq!(big, Err(CommitError::Store(StoreError::Full)));
    assert_eq!(small, Ok(()), "it fits");
    assert_eq!(claimed, Err(StoreError::Full), "claims wait for room");
    assert!(block_on(store.attempts(token(1).id, None, 9)).expect("reads go on").is_empty(), "nothing of it");
    assert!(store.statistics().failures >= 2);

    limit_pages(&store, None);
    block_on(store.commit(many_attempts())).expect("there is room again");
    assert!(block_on(store.claim(claim(&token(1)))).expect("a claim").is_some());
}

#[test]
fn what_cannot_be_stored_fails_alone() {
    let (store, _root) = fresh();
    let huge = TokenRow { generation: u64::MAX, ..token(1) };
    let answers = block_on(all([
        store.commit(vec![keyring(1), insert(huge)]),
        store.commit(vec![keyring(2)]),
        store.commit(vec![insert(token(2)), insert(token(2))]),
        store.commit(vec![keyring(3)]),
    ]));
    assert!(matches!(answers[0], Err(CommitError::Store(StoreError::Unavailable(_)))), "{:?}", answers[0]);
    assert_eq!(answers[1..], [Ok(()), Err(CommitError::Conflict), Ok(())]);
    let terms = block_on(store.keyring()).expect("a read");
    assert!(terms.iter().map(|row| row.term).eq([2, 3]), "nothing of the refused batches");
    assert_eq!(block_on(store.claim(Claim { token: token(1).id, parent: u64::MAX })), Ok(None));
}

#[test]
fn a_damaged_row_is_named_and_fails_alone() {
    let (store, _root) = fresh();
    let batch = |secret_name: &str| vec![put(secret(secret_name, 1)), Write::Version(version(secret_name, 1))];
    block_on(store.commit(batch("sound"))).expect("it is new");
    block_on(store.commit(batch("broken"))).expect("it is new");
    run(&store, |connection| {
        connection.execute("UPDATE secret SET sealed = x'0102' WHERE name = 'broken'", []).map(drop)
    });

    let error = block_on(store.current(&vault(), &name("broken"))).err().expect("it is no record");
    assert_eq!(
        error.to_string(),
        "the store is damaged at table secret, key contoso/broken, column sealed: restore a backup"
    );
    assert!(block_on(store.current(&vault(), &name("sound"))).expect("a read").is_some());

    let again = |secret_name: &str| {
        put_over(&secret(secret_name, 1), SecretRow { sealed: sealed(2), ..secret(secret_name, 1) })
    };
    let answers = block_on(all([
        store.commit(vec![keyring(1)]),
        store.commit(vec![again("broken")]),
        store.commit(vec![again("sound")]),
    ]));
    assert_eq!((&answers[0], &answers[2]), (&Ok(()), &Ok(())));
    assert!(matches!(answers[1], Err(CommitError::Store(StoreError::Damaged(_)))), "{:?}", answers[1]);
}

#[test]
fn a_commit_that_the_database_refuses_leaves_nothing() {
    let (store, _root) = fresh();
    // From now on a probe fails at its COMMIT, and there alone.
    run(&store, |connection| {
        connection.execute_batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER orphan AFTER UPDATE ON meta BEGIN INSERT INTO child VALUES (7); END;",
        )
    });
    for _ in 0..2 {
        let error = block_on(store.probe()).expect_err("its child has no parent");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        block_on(store.commit(vec![keyring(1)])).expect("it has nothing to do with that");
    }
    run(&store, |connection| {
        let rows: i64 = connection.query_row("SELECT count(*) FROM child", [], |row| row.get(0))?;
        assert_eq!(rows, 0);
        Ok(())
    });
}

#[test]
fn a_lost_connection_is_opened_anew() {
    let (store, _root) = fresh();
    block_on(store.commit(vec![insert(token(1))])).expect("it is new");
    assert!(block_on(store.claim(claim(&token(1)))).expect("a claim").is_some());
    store.meddle(|writer| writer.connection = None);
    block_on(store.commit(vec![insert(token(2))])).expect("it is opened anew");
    assert_eq!(block_on(store.claim(claim(&token(1)))), Ok(None), "the epoch, and with it the lease, goes on");
}

#[test]
fn a_long_log_is_written_back_and_begins_anew() {
    let (store, _root) = fresh();
    let pages = |store: &SqliteStore| {
        let (sender, receiver) = mpsc::channel();
        run(store, move |connection| {
            let (pages, written_back) = connection.wal_checkpoint_v2(Some(c"main"), CheckpointMode::NOOP)?;
            sender.send((pages, written_back)).expect("the test waits");
            Ok(())
        });
        receiver.recv().expect("it ran")
    };
    block_on(store.commit(many_attempts())).expect("there is room");
    let (long, _) = pages(&store);
    store.meddle(|writer| writer.checkpoint_pages = 10);
    block_on(store.commit(vec![keyring(1)])).expect("there is room");
    let (length, written_back) = pages(&store);
    assert!(length > long && written_back == length, "{written_back} of {length}");
    block_on(store.commit(vec![keyring(2)])).expect("there is room");
    let (length, _) = pages(&store);
    assert!(length < long, "{length} pages after {long}");
}

#[test]
fn a_read_that_lasts_holds_up_no_write() {
    let (store, root) = fresh();
    block_on(store.commit(vec![insert(token(1))])).expect("it is new");
    let reader = settings::open_reader(&root.path().join(super::super::DATABASE_FILE)).expect("it is there");
    let snapshot = reader.unchecked_transaction().expect("it reads");
    let count = || reader.query_row("SELECT count(*) FROM token", [], |row| row.get::<_, i64>(0)).expect("a read");
    assert_eq!(count(), 1);
    store.meddle(|writer| writer.checkpoint_pages = 1);
    for number in 2..9 {
        block_on(store.commit(vec![insert(token(number))])).expect("the read is none of its business");
    }
    assert_eq!(count(), 1, "it sees what was committed when it began");
    store.meddle(|writer| assert!(writer.held_at > 0, "the log is held by the read"));
    snapshot.finish().expect("it only read");
    assert_eq!(count(), 8);
    block_on(store.commit(vec![insert(token(9))])).expect("it is new");
    store.meddle(|writer| assert_eq!(writer.held_at, 0, "the log was written back"));
    assert_eq!(block_on(store.due(Wall(0), 99)).expect("a read").len(), 9);
}
