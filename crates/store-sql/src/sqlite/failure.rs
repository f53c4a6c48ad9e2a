//! What failed, in the store's words and in people's.

use std::path::PathBuf;
use std::{fmt, io};

use rusqlite::{ErrorCode, ffi};
use store::StoreError;

use super::DATABASE_FILE;

/// Why a store was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// The SQLite that this program was built with is older than [`OLDEST_SQLITE`](super::OLDEST_SQLITE).
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// The folder or a file in it can't be made, read or written.
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Other users may write into the folder.
    Exposed {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is another user's.
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process has the store open.
    InUse {
        /// The folder.
        folder: PathBuf,
        /// That process's id, where it could be told.
        process: Option<u32>,
    },
    /// The store should be there and isn't.
    Gone {
        /// The database.
        database: PathBuf,
        /// What is the matter with it, such as `is missing`.
        what: &'static str,
    },
    /// The file is a database, and not a store of ours.
    NotAStore,
    /// A newer program wrote the store.
    Newer {
        /// The schema that it has.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The operating system gave no thread.
    Thread(io::Error),
    /// The database failed.
    Store(StoreError),
}

impl OpenError {
    pub(super) fn sqlite(error: rusqlite::Error) -> Self {
        Self::Store(store_error(&error))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldSqlite { found } => write!(
                out,
                "this program was built with SQLite {found}, which can corrupt a store: build it with SQLite 3.51.3 or \
                 later"
            ),
            Self::Folder { path, error } => write!(out, "{}: {error}", path.display()),
            Self::Exposed { folder } => {
                let folder = folder.display();
                write!(out, "other users may write into {folder}: run `chmod 700 {folder}`")
            }
            Self::Foreign { folder } => write!(
                out,
                "{} belongs to another user: run Vestal as that user, or choose another folder",
                folder.display()
            ),
            Self::InUse { folder, process } => {
                write!(out, "another process has the store in {} open", folder.display())?;
                if let Some(process) = process {
                    write!(out, " (process {process})")?;
                }
                out.write_str(": stop it first, or choose another folder")
            }
            Self::Gone { database, what } => {
                let folder = database.parent().unwrap_or(database).display();
                write!(
                    out,
                    "{} {what}, and other files in its folder say that a store was there: restore the backup; or, to \
                     begin anew, move the whole folder {folder} away",
                    database.display()
                )
            }
            Self::NotAStore => write!(
                out,
                "{DATABASE_FILE} is a database, but no store of Vestal's: choose another folder, or move the file away"
            ),
            Self::Newer { found, known } => write!(
                out,
                "a newer Vestal wrote the store (schema {found}, and this program knows schemas up to {known}): run that \
                 Vestal or a later one, or restore a backup from before"
            ),
            Self::Thread(error) => write!(out, "the operating system gives no further thread: {error}"),
            Self::Store(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for OpenError {}

/// What a failure of SQLite is to the store's callers. SQLite's messages name tables and columns, never a value.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        // The statements are our own and fixed, so this is a row that no write of ours left so.
        return StoreError::Damaged(format!("the file {DATABASE_FILE} ({error})"));
    };
    let code = failure.extended_code;
    let message = message.clone().unwrap_or_else(|| ffi::code_to_str(code).to_owned());
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::SystemIoFailure if is_failed_write(code) => StoreError::Full,
        ErrorCode::SystemIoFailure if !matches!(code, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA) => {
            StoreError::Unavailable(format!("the disk failed to read or lock {DATABASE_FILE} ({message}, {code})"))
        }
        ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Damaged(format!("the file {DATABASE_FILE} ({message})"))
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::Unavailable(format!(
            "{DATABASE_FILE} can't be written: make the folder writable for the user that runs Vestal ({message})"
        )),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            StoreError::Unavailable(format!("another program holds {DATABASE_FILE}: close it ({message})"))
        }
        _ => StoreError::Unavailable(format!("{message} (SQLite {code})")),
    }
}

/// Whether the disk took no bytes. Beside a full disk, which SQLite tells apart, these are quotas, limits on the size
/// of files and disks that fail at writing: for all of them reads go on, and writing is worth another try.
fn is_failed_write(code: i32) -> bool {
    matches!(
        code,
        ffi::SQLITE_IOERR_WRITE
            | ffi::SQLITE_IOERR_FSYNC
            | ffi::SQLITE_IOERR_DIR_FSYNC
            | ffi::SQLITE_IOERR_TRUNCATE
            | ffi::SQLITE_IOERR_SHMSIZE
    )
}

/// Whether a commit that failed with this left nothing behind that a crash could bring to life. What is written before
/// the log's last frame is whole counts for nothing; a sync or the log's index may fail after that.
pub(super) fn left_nothing(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return false;
    };
    matches!(failure.code, ErrorCode::DiskFull | ErrorCode::DatabaseBusy)
        || failure.extended_code == ffi::SQLITE_IOERR_WRITE
}
