//! The embedded store, from outside.

mod crash;
mod damage;
mod full;
mod group;
mod open;

use std::sync::atomic::{AtomicU32, Ordering};

use store::contract::Opener;
use store_sql::sqlite::SqliteStore;
use tempfile::TempDir;

/// Opens stores in folders of its own, which are gone with it.
struct InFolders {
    root: TempDir,
    made: AtomicU32,
}

impl InFolders {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("there is a place for temporary files");
        Self { root, made: AtomicU32::new(0) }
    }
}

impl Opener for InFolders {
    type Store = SqliteStore;

    async fn fresh(&self) -> SqliteStore {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        SqliteStore::open(&self.root.path().join(number.to_string())).expect("a new folder opens")
    }

    async fn reopen(&self, store: SqliteStore) -> SqliteStore {
        let folder = store.folder().to_owned();
        drop(store);
        SqliteStore::open(&folder).expect("a closed store opens again")
    }
}

mod contract {
    store::store_contract!(super::InFolders::new());
}
