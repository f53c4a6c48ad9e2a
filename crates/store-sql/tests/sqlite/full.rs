//! A disk that takes no more, and then does again.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::contract::sample::{insert, sealed, token, token_id};
use store::contract::{all, block_on};
use store::rows::TokenRow;
use store::{Claim, CommitError, Store as _, StoreError, Write};
use store_sql::sqlite::{DATABASE_FILE, SqliteStore};
use tempfile::tempdir;

/// Names the folder that a child of this test writes to. Not a setting of anybody's: tests alone know it.
const CHILD_FOLDER: &str = "STORE_SQL_TEST_FOLDER";

/// The child's part: a process whose files may not grow stands for one whose disk is full.
#[test]
#[ignore = "it limits its own process: writing_ends_on_a_full_disk_and_resumes_by_itself runs it in one of its own"]
fn fill_the_disk() {
    let folder = env::var_os(CHILD_FOLDER).expect("the parent sets it");
    let folder = Path::new(&folder);
    let store = SqliteStore::open(folder).expect("it is new");
    for number in 0..20 {
        block_on(store.commit(vec![insert(token(number))])).expect("there is room");
    }
    let before = getrlimit(Resource::Fsize);
    let length = fs::metadata(folder.join(format!("{DATABASE_FILE}-wal"))).expect("it is open").len();
    setrlimit(Resource::Fsize, Rlimit { current: Some(length), maximum: before.maximum }).expect("it is lower");

    // Both ways of failing: alone, and together with others.
    let write = |number| vec![insert(token(number))];
    let alone = block_on(store.commit(write(100)));
    assert_eq!(alone, Err(CommitError::Store(StoreError::Full)), "nothing fits");
    let together = block_on(all((101..150).map(|number| store.commit(write(number)))));
    assert!(together.iter().all(|answer| *answer == Err(CommitError::Store(StoreError::Full))), "{together:?}");
    assert_eq!(block_on(store.claim(Claim { token: token_id(1), parent: 0 })), Err(StoreError::Full));
    assert_eq!(block_on(store.probe()), Err(StoreError::Full));
    assert_eq!(block_on(store.tokens(None, 999)).expect("reads go on").len(), 20);
    assert_eq!(block_on(store.due(renewal::Wall(0), 999)).expect("reads go on").len(), 20);

    setrlimit(Resource::Fsize, before).expect("it is what it was");
    block_on(store.probe()).expect("there is room again");
    for number in 100..150 {
        block_on(store.commit(write(number))).expect("nothing of it was written before");
    }
    let row = TokenRow { generation: 1, sealed: sealed(9), ..token(1) };
    let promote = Write::Token { row, replaces: Some(token(1).sealed.tag()), releases: Some(1) };
    assert!(block_on(store.claim(Claim { token: token_id(1), parent: 0 })).expect("a claim").is_some());
    block_on(store.commit(vec![promote])).expect("there is room");
}

#[test]
fn writing_ends_on_a_full_disk_and_resumes_by_itself() {
    let root = tempdir().expect("a folder");
    // Growing beyond the limit sends a signal that ends the process unless it is ignored, which a child inherits.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact full::fill_the_disk --ignored --nocapture"])
        .arg(env::current_exe().expect("we run"))
        .env(CHILD_FOLDER, root.path())
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");

    let store = SqliteStore::open(root.path()).expect("it was closed");
    assert_eq!(block_on(store.tokens(None, 999)).expect("a read").len(), 70);
}
