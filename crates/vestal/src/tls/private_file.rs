//! Files and folders that only we may read.

use super::TlsError;
use rustix::process::geteuid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Makes the folder with mode 0700, or checks that an existing one is ours alone.
pub(super) fn private_folder(path: &Path) -> Result<(), TlsError> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) => return Err(TlsError::io(path, "making the folder", &error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(|error| TlsError::io(path, "looking at it", &error))?;
    if !metadata.is_dir() {
        return Err(TlsError::new(path, "it is no folder; move it away, and Vestal makes one"));
    }
    check_owner_and_mode(path, &metadata, 0o022, "u=rwx,go=")
}

/// Reads a file of ours; `None` where there is none. One that others may read or change is refused.
pub(super) fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, TlsError> {
    let reading = |error: io::Error| TlsError::io(path, "reading it", &error);
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("open flags are small numbers");
    let file = match OpenOptions::new().read(true).custom_flags(nofollow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reading(error)),
    };
    let metadata = file.metadata().map_err(reading)?;
    check_owner_and_mode(path, &metadata, 0o077, "u=rw,go=")?;
    // Room for the whole file at once: growing would leave copies behind.
    let room = usize::try_from(metadata.len().min(LARGEST_FILE)).expect("a megabyte fits") + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(reading)?;
    Ok(Some(bytes))
}

/// Replaces the file as a whole: whoever reads it sees the old content or the new one, also after a crash.
pub(super) fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), TlsError> {
    let writing = |error: io::Error| TlsError::io(path, "writing it", &error);
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(writing(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(writing)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(writing)?;
    fs::rename(&temporary, path).map_err(writing)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(writing)
}

fn check_owner_and_mode(path: &Path, metadata: &fs::Metadata, forbidden: u32, chmod: &str) -> Result<(), TlsError> {
    let us = geteuid().as_raw();
    if metadata.uid() != us {
        return Err(TlsError::new(
            path,
            format_args!(
                "it belongs to user {}, and Vestal runs as user {us}; run Vestal as its owner, or give it another data folder",
                metadata.uid()
            ),
        ));
    }
    if metadata.mode() & forbidden != 0 {
        return Err(TlsError::new(
            path,
            format_args!(
                "others may use it (mode {:03o}); run: chmod {chmod} {}",
                metadata.mode() & 0o777,
                path.display()
            ),
        ));
    }
    Ok(())
}
