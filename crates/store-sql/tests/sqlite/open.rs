//! Opening: what is made, what is refused, and with which words.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use store::contract::block_on;
use store::contract::sample::keyring;
use store::{CommitError, Store as _, StoreError};
use store_sql::sqlite::{DATABASE_FILE, LOCK_FILE, OpenError, SqliteStore};
use tempfile::tempdir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it was made").permissions().mode() & 0o777
}

#[test]
fn nobody_else_can_read_what_is_made() {
    let root = tempdir().expect("a folder");
    let folder = root.path().join("some/where");
    let store = SqliteStore::open(&folder).expect("it is new");
    block_on(store.commit(vec![keyring(1)])).expect("it takes writes");
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).expect("it is there") {
        let path = file.expect("it can be listed").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(folder.join(format!("{DATABASE_FILE}-wal")).exists(), "the log was looked at too");
}

#[test]
fn a_file_that_others_could_read_is_closed_to_them() {
    let root = tempdir().expect("a folder");
    drop(SqliteStore::open(root.path()).expect("it is new"));
    let file = root.path().join(DATABASE_FILE);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("it is ours");
    let _store = SqliteStore::open(root.path()).expect("it is a store");
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_folder_that_others_may_write_into_is_refused() {
    let root = tempdir().expect("a folder");
    let folder = root.path().join("shared");
    fs::create_dir(&folder).expect("it is new");
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("it is ours");
    let error = SqliteStore::open(&folder).expect_err("others may write");
    assert!(matches!(error, OpenError::Exposed { .. }), "{error}");
    assert!(error.to_string().contains("chmod 700"), "{error}");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let root = tempdir().expect("a folder");
    let path = root.path().join("file");
    fs::write(&path, "").expect("it is new");
    let error = SqliteStore::open(&path).expect_err("it is a file");
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    // The lock belongs to the open file, so a second try of this process stands for another's.
    let error = SqliteStore::open(root.path()).expect_err("it is open");
    let us = std::process::id();
    assert!(matches!(error, OpenError::InUse { process: Some(process), .. } if process == us), "{error}");
    assert!(error.to_string().contains(&format!("process {us}): stop it first")), "{error}");

    fs::write(root.path().join(LOCK_FILE), "?").expect("it is ours");
    let error = SqliteStore::open(root.path()).expect_err("it is open");
    assert!(matches!(error, OpenError::InUse { process: None, .. }), "{error}");
    block_on(store.commit(vec![keyring(1)])).expect("the refused ones did no harm");
    drop(store);
    SqliteStore::open(root.path()).expect("it is closed");
}

#[test]
fn closing_finishes_what_waits_and_leaves_one_file() {
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    for term in 0..50 {
        // Polled once, the commit is on its way; then its caller goes away.
        let mut commit = Box::pin(store.commit(vec![keyring(term)]));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = commit.as_mut().poll(&mut context);
    }
    drop(store);
    assert!(!root.path().join(format!("{DATABASE_FILE}-wal")).exists(), "the log was written back");
    let store = SqliteStore::open(root.path()).expect("it was closed");
    assert_eq!(block_on(store.keyring()).expect("a read").len(), 50);
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let root = tempdir().expect("a folder");
    let file = root.path().join(DATABASE_FILE);
    let text = "this is no database at all, however long it may be. ".repeat(40);
    fs::write(&file, &text).expect("it is new");
    let error = SqliteStore::open(root.path()).expect_err("it is no database");
    assert!(matches!(error, OpenError::Store(StoreError::Damaged(_))), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), text);
}

#[test]
fn a_store_that_must_be_there_is_not_made_anew() {
    let root = tempdir().expect("a folder");
    let database = root.path().join(DATABASE_FILE);
    let gone = |parts: &[&str]| {
        let error = SqliteStore::open_existing(root.path()).expect_err("there is nothing in it");
        assert!(matches!(error, OpenError::Gone { .. }), "{error}");
        for part in parts.iter().chain(&["restore the backup", "move the whole folder"]) {
            assert!(error.to_string().contains(part), "{part} is missing in: {error}");
        }
    };
    gone(&["is missing"]);
    assert!(!database.exists());

    drop(SqliteStore::open(root.path()).expect("it is new"));
    let kept = fs::read(&database).expect("it is there");
    SqliteStore::open_existing(root.path()).expect("it is there");

    fs::write(&database, "").expect("it is ours");
    let log = root.path().join(format!("{DATABASE_FILE}-wal"));
    fs::write(&log, "what may be needed").expect("it is ours");
    gone(&["is empty"]);
    assert_eq!(fs::read(&log).expect("it was left alone"), b"what may be needed");
    fs::remove_file(&log).expect("it is ours");

    // The database's first page was there before its log was lost.
    fs::remove_file(&database).expect("it is ours");
    let bare = rusqlite::Connection::open(&database).expect("it is new");
    bare.pragma_update(None, "journal_mode", "WAL").expect("it takes one");
    drop(bare);
    assert!(fs::metadata(&database).expect("it is there").len() > 0);
    gone(&["is empty"]);

    fs::write(&database, kept).expect("it is ours");
    SqliteStore::open_existing(root.path()).expect("it is restored");
}

#[test]
fn a_link_in_the_place_of_a_file_is_refused_and_what_it_leads_to_left_alone() {
    for name in [LOCK_FILE, DATABASE_FILE] {
        let root = tempdir().expect("a folder");
        let target = root.path().join("target");
        fs::write(&target, "mine").expect("it is new");
        fs::set_permissions(&target, Permissions::from_mode(0o644)).expect("it is ours");
        let folder = root.path().join("data");
        fs::create_dir(&folder).expect("it is new");
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("it is ours");
        for target in [&target, &root.path().join("nothing")] {
            let link = folder.join(name);
            std::os::unix::fs::symlink(target, &link).expect("a link can be made");
            let error = SqliteStore::open(&folder).expect_err("it is a link");
            assert!(error.to_string().contains("symbolic link"), "{error}");
            fs::remove_file(&link).expect("it is ours");
        }
        assert_eq!((fs::read_to_string(&target).expect("it is there").as_str(), mode(&target)), ("mine", 0o644));
        assert!(!root.path().join("nothing").exists());
    }
}

#[test]
fn files_that_were_deleted_or_replaced_while_they_are_open_fail_a_probe() {
    let root = tempdir().expect("a folder");
    let folder = root.path().join("data");
    let store = SqliteStore::open(&folder).expect("it is new");
    block_on(store.probe()).expect("all is well");
    let fails = |words: &str| {
        let error = block_on(store.probe()).expect_err("what is written is lost");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        for part in [words, "may be lost", "restore a backup"] {
            assert!(error.to_string().contains(part), "{part} is missing in: {error}");
        }
    };
    let away = root.path().join("away");
    for name in [DATABASE_FILE, &format!("{DATABASE_FILE}-wal"), LOCK_FILE] {
        let path = folder.join(name);
        fs::rename(&path, &away).expect("it is there");
        fails("was deleted or moved away");
        fs::copy(&away, &path).expect("it can be copied");
        fails("was replaced");
        fs::rename(&away, &path).expect("it is there");
        block_on(store.probe()).expect("it is the same file again");
    }
    fs::rename(&folder, &away).expect("it is there");
    fails("was deleted or moved away");
    fs::create_dir(&folder).expect("it is gone");
    fails(DATABASE_FILE);
}

#[test]
fn a_damaged_page_is_reported_and_hides_nothing_else() {
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(root.path()).expect("it is new");
    block_on(store.commit(vec![keyring(1)])).expect("it takes writes");
    drop(store);
    // The page of the table `keyring`, which is the only one that holds these bytes.
    let file = root.path().join(DATABASE_FILE);
    let mut bytes = fs::read(&file).expect("it is there");
    let written = 1_u32.to_be_bytes().repeat(20);
    let at = bytes.windows(written.len()).position(|window| window == written).expect("it was written");
    let page = at / 4096 * 4096;
    bytes[page..page + 16].fill(0xff);
    fs::write(&file, bytes).expect("it is ours");

    let store = SqliteStore::open(root.path()).expect("only one table is damaged");
    let error = block_on(store.keyring()).expect_err("its page is no page");
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    let error = block_on(store.commit(vec![keyring(2)])).expect_err("its page is no page");
    assert!(matches!(error, CommitError::Store(StoreError::Damaged(_))), "{error}");
    assert!(block_on(store.lanes()).expect("this table is sound").is_empty());
    block_on(store.probe()).expect("writes elsewhere go on");
}
