//! Rows that were edited in the file: each is told of, and hides no other.

use std::sync::{Arc, Mutex};

use renewal::Wall;
use rusqlite::Connection;
use store::contract::block_on;
use store::contract::sample::{insert, name, put, secret, token, vault, version, version_id};
use store::rows::TokenRow;
use store::{Store as _, StoreError, Write};
use store_sql::sqlite::{DATABASE_FILE, SqliteStore};
use tempfile::{TempDir, tempdir};
use vault::Sealed;

/// A store with these rows, whose file was then edited while it was closed; and what it tells.
struct Edited {
    store: SqliteStore,
    heard: Arc<Mutex<Vec<String>>>,
    _root: TempDir,
}

impl Edited {
    fn new(writes: Vec<Write>, edit: &str) -> Self {
        let root = tempdir().expect("a folder");
        let store = SqliteStore::open(root.path()).expect("it is new");
        block_on(store.commit(writes)).expect("it is new");
        drop(store);
        let connection = Connection::open(root.path().join(DATABASE_FILE)).expect("it is a database");
        connection.execute_batch(edit).expect("the edit is sound SQL");
        drop(connection);
        let store = SqliteStore::open(root.path()).expect("it is a store");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hears = Arc::clone(&heard);
        store.on_damage(move |words| hears.lock().expect("no panic").push(words.to_owned()));
        Self { store, heard, _root: root }
    }

    /// What was told since this was last asked.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().expect("no panic"))
    }

    fn due(&self, per_lane: usize) -> Vec<TokenRow> {
        block_on(self.store.due(Wall(1_000), per_lane)).expect("the others are sound")
    }
}

fn tokens(count: u64) -> Vec<Write> {
    let row = |number| TokenRow {
        lane: format!("lane-{}", number % 2),
        expiry: Wall(i64::try_from(number).expect("it is small")),
        ..token(number)
    };
    (0..count).map(|number| insert(row(number))).collect()
}

fn numbers(rows: &[TokenRow]) -> Vec<String> {
    let mut names: Vec<_> = rows.iter().map(|row| row.name.folded().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_damaged_token_holds_up_no_other_and_is_told_of() {
    for edit in [
        "fence = -1",
        "fence = -9223372036854775808",
        "generation = -1",
        "sealed = x'0102'",
        "vault = 'no vault'",
        "name = 'no name'",
    ] {
        let edited = Edited::new(tokens(6), &format!("UPDATE token SET {edit} WHERE name = 'token-0'"));
        assert_eq!(numbers(&edited.due(9)), ["token-1", "token-2", "token-3", "token-4", "token-5"], "{edit}");
        // Its lane's place goes to the next.
        assert_eq!(numbers(&edited.due(1)), ["token-1", "token-2"], "{edit}");
        let heard = edited.heard();
        assert!(heard.len() == 2 && heard[0].contains("table token, key "), "{heard:?}");
        let column = edit.split(' ').next().expect("it names a column");
        assert!(heard[0].contains(&format!("column {column}")), "{edit}: {heard:?}");
    }
}

#[test]
fn a_damaged_token_among_many_takes_no_others_place() {
    let edited = Edited::new(tokens(400), "UPDATE token SET generation = -7 WHERE expiry < 10");
    assert_eq!(numbers(&edited.due(2)), ["token-10", "token-11", "token-12", "token-13"]);
    assert_eq!(edited.heard().len(), 10);
}

#[test]
fn a_damaged_token_is_listed_with_a_body_that_opens_nowhere_and_is_no_token_when_asked_for() {
    for edit in ["fence = -1", "generation = -1", "lane = 999", "sealed = x'00'"] {
        let edited = Edited::new(tokens(3), &format!("UPDATE token SET {edit} WHERE name = 'token-1'"));
        let listed = block_on(edited.store.tokens(None, 9)).expect("the others are sound");
        assert_eq!(listed.len(), 3, "{edit}");
        for row in &listed {
            let damaged = row.name.folded() == "token-1";
            assert_eq!(row.sealed == Sealed::pending(), damaged, "{edit}");
            assert_eq!(row.due == Wall::NEVER, damaged, "{edit}");
        }
        assert_eq!(edited.heard().len(), 1, "{edit}");
        let asked = block_on(edited.store.token(token(1).id)).map(drop);
        assert!(matches!(asked, Err(StoreError::Damaged(_))), "{edit}: {asked:?}");
        let asked = block_on(edited.store.token_of(&vault(), &name("token-1"))).map(drop);
        assert!(matches!(asked, Err(StoreError::Damaged(_))), "{edit}: {asked:?}");
    }
}

#[test]
fn a_token_whose_very_key_is_damaged_is_left_out_of_a_list_and_told_of() {
    let edited = Edited::new(tokens(5), "UPDATE token SET id = x'00' WHERE name = 'token-1'");
    let first = block_on(edited.store.tokens(None, 2)).expect("the others are sound");
    assert_eq!(first.len(), 2, "a page is full where there is more");
    let rest = block_on(edited.store.tokens(Some(first[1].id), 9)).expect("the others are sound");
    assert_eq!(rest.len(), 2);
    let heard = edited.heard();
    assert!(heard.len() == 1 && heard[0].contains("column id"), "{heard:?}");
}

#[test]
fn a_damaged_secret_hides_no_other_from_a_list() {
    let writes = || {
        let rows = (1..=3).map(|number| (format!("key-{number}"), number));
        rows.flat_map(|(name, number)| [put(secret(&name, number)), Write::Version(version(&name, number))]).collect()
    };
    for (edit, column) in [
        ("UPDATE secret SET current = x'00' WHERE name = 'key-2'", "table secret, key contoso/key-2, column current"),
        ("UPDATE secret SET keep_versions = -1 WHERE name = 'key-2'", "column keep_versions"),
        ("UPDATE secret SET sealed = x'00' WHERE name = 'key-2'", "column sealed"),
        ("UPDATE version SET enabled = 2 WHERE name = 'key-2'", "table version"),
        ("UPDATE version SET generation = -1 WHERE name = 'key-2'", "column generation"),
        ("DELETE FROM version WHERE name = 'key-2'", "the current version is gone"),
    ] {
        let edited = Edited::new(writes(), edit);
        let listed = block_on(edited.store.secrets(&vault(), None, 9)).expect("the others are sound");
        let shown: Vec<_> = listed
            .iter()
            .map(|(secret, version)| (secret.name.folded(), version.sealed == Sealed::pending()))
            .collect();
        assert_eq!(shown, [("key-1", false), ("key-2", true), ("key-3", false)], "{edit}");
        assert!(!listed[1].1.enabled, "{edit}");
        let heard = edited.heard();
        assert!(heard.len() == 1 && heard[0].contains(column), "{edit}: {heard:?}");
        let asked = block_on(edited.store.current(&vault(), &name("key-2"))).map(drop);
        assert!(matches!(asked, Err(StoreError::Damaged(_))), "{edit}: {asked:?}");
        let after = block_on(edited.store.secrets(&vault(), Some(&name("key-1")), 2)).expect("a read");
        assert_eq!(after.len(), 2, "{edit}");
    }

    let edited = Edited::new(writes(), "UPDATE secret SET name = 'key 2' WHERE name = 'key-2'");
    let listed = block_on(edited.store.secrets(&vault(), None, 2)).expect("the others are sound");
    assert!(listed.iter().map(|(secret, _)| secret.name.folded()).eq(["key-1", "key-3"]), "the page is full");
    assert!(edited.heard()[0].contains("column name"));
}

#[test]
fn a_damaged_version_hides_no_other_from_a_list() {
    let writes = vec![
        put(secret("key", 1)),
        Write::Version(version("key", 1)),
        Write::Version(version("key", 2)),
        Write::Version(version("key", 3)),
    ];
    let edited = Edited::new(writes, "UPDATE version SET created = 0, generation = -2 WHERE generation = 2");
    let listed = block_on(edited.store.versions(&vault(), &name("key"), None, 9)).expect("the others are sound");
    let shown: Vec<_> = listed.iter().map(|row| (row.version, row.sealed == Sealed::pending())).collect();
    assert_eq!(shown, [(version_id(1), false), (version_id(2), true), (version_id(3), false)]);
    let asked = block_on(edited.store.version(&vault(), &name("key"), version_id(2))).map(drop);
    assert!(matches!(asked, Err(StoreError::Damaged(_))), "{asked:?}");
}
