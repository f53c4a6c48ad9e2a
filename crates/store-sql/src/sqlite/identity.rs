//! Whether the files in the folder are still those that are open.
//!
//! Who deletes or replaces a file under a running process takes nothing from it: it goes on writing to one that nobody
//! will find again. Only a look at the folder tells.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use store::StoreError;

use super::{DATABASE_FILE, LOCK_FILE, OpenError};

/// The open store's files, by device and inode.
pub(super) struct Identity([Known; 3]);

struct Known {
    path: PathBuf,
    file: (u64, u64),
}

impl Identity {
    /// Of the store that was just opened. SQLite keeps one log for as long as any connection is open.
    pub(super) fn of(folder: &Path) -> Result<Self, OpenError> {
        let known = |name: &str| {
            let path = folder.join(name);
            match file_at(&path) {
                Ok(file) => Ok(Known { path, file }),
                Err(error) => Err(OpenError::Folder { path, error }),
            }
        };
        Ok(Self([known(DATABASE_FILE)?, known(&format!("{DATABASE_FILE}-wal"))?, known(LOCK_FILE)?]))
    }

    /// Whether what is written now will be found at the next start.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|Known { path, file }| {
            let what = match file_at(path) {
                Ok(found) if found == *file => return Ok(()),
                Ok(_) => "was replaced".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => "was deleted or moved away".to_owned(),
                Err(error) => format!("can't be looked at ({error})"),
            };
            Err(StoreError::Unavailable(format!(
                "{} {what} while the store is open, and what is written now may be lost: stop Vestal, put the folder \
                 back or restore a backup, and start it again",
                path.display()
            )))
        })
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
