//! Opening the store of a folder: a new one in a new folder alone.

use std::fs;
use std::path::Path;

use store_sql::sqlite::{OpenError, SqliteStore};

use super::DataFolder;

/// What is made after the store, and tells that there was one.
const MADE_LATER: [&str; 2] = ["key", "audit.jsonl"];

/// Opens the folder's store. It is made where the folder holds neither a key nor an audit: both are made after the store
/// is on the disk, so a first start that was cut off at any point leaves a folder that opens.
///
/// # Errors
/// [`OpenError::Gone`] where there was a store and it is missing or empty; otherwise why it can't be opened.
pub fn open_store(data: &DataFolder, key_file: &Path) -> Result<SqliteStore, OpenError> {
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    // A key that lies elsewhere may be older than the store, and one of several stores.
    let own_key = key_file.parent().and_then(|parent| parent.canonicalize().ok()).is_some_and(|of| of == data.path());
    let was_there = MADE_LATER.iter().any(|name| is_there(&data.file(name))) || own_key && is_there(key_file);
    if was_there { SqliteStore::open_existing(data.path()) } else { SqliteStore::open(data.path()) }
}
