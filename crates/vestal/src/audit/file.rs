//! A file that lines are appended to, whole or not at all.

use core::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::line::number_of;

/// How far before the end the last line is looked for, in bytes. Lines have some hundred.
const LONGEST_LINE: u64 = 64 * 1024;

/// Where lines go.
pub(super) trait Medium: Send + 'static {
    /// Appends the lines durably. After an error none of them is there.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;
}

/// The audit can't be opened. In words: where, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOpenError(String);

impl AuditOpenError {
    pub(super) fn new(path: &Path, error: &io::Error) -> Self {
        Self(format!("the audit {} can't be opened: {}", path.display(), explained(error)))
    }
}

impl fmt::Display for AuditOpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl core::error::Error for AuditOpenError {}

/// The file of the audit.
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    /// The length to go back to, where an append failed and could not be undone at once.
    torn: Option<u64>,
}

impl LineFile {
    /// Opens the file, or makes it, removes a torn last line, and tells the number of the last whole one.
    pub(super) fn open(path: &Path) -> Result<(Self, u64), AuditOpenError> {
        let failed = |error| AuditOpenError::new(path, &error);
        let new = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
            .open(path)
            .map_err(failed)?;
        // Also one that was made with other rights.
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        if new && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        let last = last_number(&mut file).map_err(failed)?.ok_or_else(|| {
            AuditOpenError(format!(
                "the end of {} is not what Vestal writes there: move the file away, and a new one is begun",
                path.display()
            ))
        })?;
        Ok((Self { path: path.to_owned(), file, torn: None }, last))
    }

    /// Whether the open file is still the one of that name.
    fn is_in_place(&self) -> io::Result<bool> {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) => Ok(identity(named) == identity(self.file.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Medium for LineFile {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if !self.is_in_place()? {
            // Lines in a file without a name are lost with the process; whoever moved it away wants a new one.
            (*self, _) = Self::open(&self.path).map_err(io::Error::other)?;
        }
        if let Some(length) = self.torn {
            self.file.set_len(length)?;
            self.torn = None;
        }
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() && self.file.set_len(length).is_err() {
            self.torn = Some(length);
        }
        written
    }
}

/// An error in words that say what to do, where that is known.
pub(super) fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "no room is left on its disk: free some, and it goes on by itself".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!("{error}: it must belong to the user that runs Vestal"),
        _ => error.to_string(),
    }
}

/// The number of the last whole line, 0 in an empty file; `None` where that line isn't ours. What follows it is
/// removed.
fn last_number(file: &mut File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(LONGEST_LINE);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(begin))?;
    file.read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        if begin == 0 && (tail.is_empty() || tail.starts_with(b"{\"seq\":")) {
            file.set_len(0)?;
            return Ok(Some(0));
        }
        return Ok(None);
    };
    let start = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let number = number_of(&tail[start..end]);
    let whole = begin + end as u64 + 1;
    if number.is_some() && whole < length {
        file.set_len(whole)?;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_removed_and_a_strangers_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (before, last, after) in [
            ("", Some(0), ""),
            ("{\"seq\":1}\n", Some(1), "{\"seq\":1}\n"),
            ("{\"seq\":1}\n{\"seq\":2}\n", Some(2), "{\"seq\":1}\n{\"seq\":2}\n"),
            ("{\"seq\":1}\n{\"se", Some(1), "{\"seq\":1}\n"),
            ("{\"seq\":1,\"ti", Some(0), ""),
            ("somebody's notes", None, "somebody's notes"),
            ("somebody's notes\n", None, "somebody's notes\n"),
            ("{\"seq\":1}\n\n", None, "{\"seq\":1}\n\n"),
        ] {
            std::fs::write(&path, before).unwrap();
            let opened = LineFile::open(&path).map(|(_, last)| last).ok();
            assert_eq!((opened, std::fs::read_to_string(&path).unwrap().as_str()), (last, after), "{before:?}");
        }
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        LineFile::open(&path).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        LineFile::open(&path).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("audit.jsonl"));
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(LineFile::open(&link).is_err());
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew_and_a_strangers_in_its_place_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        let (mut file, _) = LineFile::open(&path).unwrap();
        file.append(b"{\"seq\":1}\n").unwrap();
        std::fs::rename(&path, &away).unwrap();
        file.append(b"{\"seq\":2}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&away).unwrap(), "{\"seq\":1}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"seq\":2}\n");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "somebody's notes\n").unwrap();
        assert!(file.append(b"{\"seq\":3}\n").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's notes\n");
        std::fs::remove_file(&path).unwrap();
        file.append(b"{\"seq\":3}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"seq\":3}\n");
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(file.append(b"{\"seq\":4}\n").is_err(), "its folder is gone: no line would be found again");
    }

    #[test]
    fn a_device_without_room_fails_in_words() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert!(explained(&error).contains("free some"));
    }
}
