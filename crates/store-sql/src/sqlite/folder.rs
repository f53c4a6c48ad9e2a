//! The store's folder: private, ours, and open in one process.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{DATABASE_FILE, LOCK_FILE, OpenError};

/// Group and others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Group and others may do anything at all.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Makes the folder and the files that must be private before SQLite opens them. Answers the database's path, and the
/// lock, which is held until the file is dropped. Where it may not make a database, an empty one is none.
pub(super) fn prepare(folder: &Path, may_create: bool) -> Result<(PathBuf, File), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Folder { path, error }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    let status = fs::metadata(folder).map_err(failed(folder))?;
    if status.permissions().mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(OpenError::Exposed { folder: folder.to_owned() });
    }

    let lock_path = folder.join(LOCK_FILE);
    let lock = private(&lock_path).map_err(failed(&lock_path))?;
    lock_for_us(&lock, folder)?;
    // A file that we make is ours, which tells who we are.
    if lock.metadata().map_err(failed(&lock_path))?.uid() != status.uid() {
        return Err(OpenError::Foreign { folder: folder.to_owned() });
    }

    let database = folder.join(DATABASE_FILE);
    if !may_create {
        // Before SQLite sees it, which deletes a log beside an empty database.
        match fs::symlink_metadata(&database) {
            Ok(found) if found.len() > 0 => {}
            Ok(_) => return Err(OpenError::Gone { database, what: "is empty" }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Gone { database, what: "is missing" });
            }
            Err(error) => return Err(failed(&database)(error)),
        }
    }
    drop(private(&database).map_err(failed(&database))?);
    Ok((database, lock))
}

/// Makes the names in the folder survive a power cut.
pub(super) fn sync(folder: &Path) -> Result<(), OpenError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| OpenError::Folder { path: folder.to_owned(), error })
}

fn lock_for_us(mut lock: &File, folder: &Path) -> Result<(), OpenError> {
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = lock.take(32).read_to_string(&mut holder).is_ok();
            let process = holder.trim().parse().ok().filter(|_| known);
            return Err(OpenError::InUse { folder: folder.to_owned(), process });
        }
        Err(TryLockError::Error(error)) => {
            return Err(OpenError::Folder { path: folder.join(LOCK_FILE), error });
        }
    }
    // Only for people who wonder who holds it, so a full disk doesn't matter.
    let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    Ok(())
}

/// Opens a file that only we may read and write. One that others could was made by somebody's copy: that ends here.
/// A symbolic link is refused, or what is written would go to whatever it leads to.
fn private(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(|error| {
        if path.is_symlink() { io::Error::other("it is a symbolic link: put the file itself there") } else { error }
    })?;
    if file.metadata()?.permissions().mode() & OPEN_TO_OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
