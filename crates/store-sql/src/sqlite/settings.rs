//! How the database is opened, and every limit.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// The oldest SQLite that may touch a store: those before have the WAL-reset bug, which can corrupt the file.
pub const OLDEST_SQLITE: i32 = 3_051_003;

/// How many writes may wait. Whoever comes then waits for room.
pub const WRITE_QUEUE_LIMIT: usize = 4_096;
/// How many reads may wait. Whoever comes then waits for room.
pub const READ_QUEUE_LIMIT: usize = 1_024;
/// How many writes share one transaction at most. More would win little and make the first of them wait long.
pub const GROUP_LIMIT: usize = 512;
/// How many threads read.
pub const READERS: usize = 3;

/// The write-ahead log is written back into the database when it has this many pages of 4 KiB: 16 MiB. A page that is
/// written often goes back once for all of them; a larger log would make each start after a crash slower.
pub const CHECKPOINT_PAGES: i32 = 4_096;
/// Where reads have kept the log from being written back until it has this many pages, 64 MiB, the writer waits for them.
pub const WAL_LIMIT_PAGES: i32 = 16_384;

/// Page cache of the writer, in KiB. The operating system caches the file too, without counting as ours.
const WRITER_CACHE_KIB: i64 = 12 * 1024;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// How many statements stay prepared: all that there are.
const STATEMENTS: usize = 64;
/// How long to wait for a lock of another program that has the file open, such as the `sqlite3` shell.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the connection that writes.
pub(super) fn open_writer(database: &Path) -> rusqlite::Result<Connection> {
    let connection = open(database, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        let why = "its file system can't hold a write-ahead log: use a local disk".to_owned();
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        return Err(rusqlite::Error::SqliteFailure(code, Some(why)));
    }
    // Each commit is on the disk before it is answered. On macOS a sync reaches the disk only when told so.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // The writer runs checkpoints itself, after it has answered.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", i64::from(WAL_LIMIT_PAGES) * 4096)?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(database: &Path) -> rusqlite::Result<Connection> {
    open(database, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
}

fn open(database: &Path, access: OpenFlags, cache_kib: i64) -> rusqlite::Result<Connection> {
    // Each connection stays on one thread.
    let connection = Connection::open_with_flags(database, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    // A statement is planned once. Without this, one that a partial index may serve is planned anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Notices a page that can't be right when it is read, not when it is followed.
    connection.pragma_update(None, "cell_size_check", true)?;
    // A mapped file counts as our memory, and a failing disk would kill the process instead of failing a read.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    // No temporary file: neither a second place for rows, nor a second disk that can be full.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}
