//! Writes share transactions; reads see what is committed, and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use store::contract::sample::{claim, insert, name, put, put_over, secret, token, vault, version, version_id};
use store::contract::{all, block_on};
use store::rows::SecretRow;
use store::{Lease, Store as _, Write};
use store_sql::sqlite::SqliteStore;
use tempfile::tempdir;

#[test]
fn commits_in_flight_together_share_their_transactions() {
    const COMMITS: u64 = 400;
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    let commits = (0..COMMITS).map(|number| store.commit(vec![insert(token(number))]));
    assert!(block_on(all(commits)).iter().all(Result::is_ok));
    let statistics = store.statistics();
    assert_eq!(statistics.commits, COMMITS);
    assert!(statistics.transactions < COMMITS / 2, "{statistics:?}");
    assert!(statistics.commits_grouped > COMMITS / 2, "{statistics:?}");
    assert_eq!((statistics.writes_waiting, statistics.reads_waiting), (0, 0));
}

#[test]
fn a_commit_alone_waits_for_nobody() {
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    for number in 0..20 {
        block_on(store.commit(vec![insert(token(number))])).expect("it is new");
    }
    let statistics = store.statistics();
    assert_eq!((statistics.transactions, statistics.commits, statistics.commits_grouped), (20, 20, 0));
}

#[test]
fn of_claims_from_many_threads_one_wins() {
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    for number in 0..20 {
        block_on(store.commit(vec![insert(token(number))])).expect("it is new");
        let leases: Vec<Lease> = thread::scope(|scope| {
            let claims = [(); 6].map(|()| scope.spawn(|| block_on(store.claim(claim(&token(number))))));
            claims.into_iter().filter_map(|thread| thread.join().expect("no panic").expect("a claim")).collect()
        });
        assert_eq!(leases.len(), 1, "token {number}");
    }
}

#[test]
fn readers_see_whole_commits_only() {
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    let row = |number| SecretRow { changed: i64::try_from(number).expect("it is small"), ..secret("api", number) };
    block_on(store.commit(vec![put(row(1)), Write::Version(version("api", 1))])).expect("it is new");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) {
                    let (secret, version) =
                        block_on(store.current(&vault(), &name("api"))).expect("a read").expect("it is there");
                    assert_eq!((secret.current, secret.current), (version.version, version_id(version.generation)));
                    assert!(version.generation >= seen, "what was seen once isn't unseen");
                    seen = version.generation;
                }
            });
        }
        for number in 2..400 {
            let keep = Write::KeepVersions { vault: vault(), name: name("api"), keep: 3 };
            let batch = vec![Write::Version(version("api", number)), put_over(&row(number - 1), row(number)), keep];
            block_on(store.commit(batch)).expect("nobody else writes");
            let (secret, _) = block_on(store.current(&vault(), &name("api"))).expect("a read").expect("it is there");
            assert_eq!(secret.current, version_id(number), "a writer reads what it wrote");
        }
        done.store(true, Ordering::Relaxed);
    });
}
