//! A file that lines are appended to, whole or not at all.

use core::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::line::number_of;
use crate::system_error::in_words;

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
    /// Opens the file, or makes it, removes a torn last line, and tells the number of the last whole one, be it in a
    /// file that was rotated away.
    pub(super) fn open(path: &Path) -> Result<(Self, u64), AuditOpenError> {
        let (file, last) = Self::open_or_begin(path)?;
        Ok((file, if last == 0 { last_of_rotated(path) } else { last }))
    }

    fn open_or_begin(path: &Path) -> Result<(Self, u64), AuditOpenError> {
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

    /// Appends the lines durably. After an error none of them is there.
    fn append_here(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Some(length) = self.torn {
            self.shorten(length)?;
            self.torn = None;
        }
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() && self.shorten(length).is_err() {
            self.torn = Some(length);
        }
        written
    }

    /// Goes back to a length; a file that somebody has emptied meanwhile isn't filled up with zeros.
    fn shorten(&self, length: u64) -> io::Result<()> {
        if self.file.metadata()?.len() > length { self.file.set_len(length) } else { Ok(()) }
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
            (*self, _) = Self::open_or_begin(&self.path).map_err(io::Error::other)?;
        }
        self.append_here(lines)?;
        // Renamed while the lines were written, the file has them under its new name. Deleted, it took them along.
        if self.file.metadata()?.nlink() == 0 {
            (*self, _) = Self::open_or_begin(&self.path).map_err(io::Error::other)?;
            self.append_here(lines)?;
        }
        Ok(())
    }
}

/// An error in words that say what to do, where that is known.
pub(super) fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "no room is left on its disk: free some, and it goes on by itself".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!("{}: it must belong to the user that runs Vestal", in_words(error)),
        _ => in_words(error),
    }
}

/// The number of the last line that was rotated away (`audit.jsonl.1`, `audit.jsonl-20261122`), so that an empty file
/// goes on after it; 0 where there is none that can be read. A packed one can't.
fn last_of_rotated(path: &Path) -> u64 {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return 0 };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let rotated = std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| {
        let rest = entry.file_name().to_str().and_then(|other| other.strip_prefix(name).map(str::to_owned));
        rest.is_some_and(|rest| rest.starts_with(['.', '-'])) && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    let last = |entry: std::fs::DirEntry| {
        let tail = Tail::read(&mut File::open(entry.path()).ok()?).ok()?;
        tail.last_line().and_then(|(line, _)| number_of(line))
    };
    rotated.filter_map(last).max().unwrap_or(0)
}

/// The end of a file.
struct Tail {
    /// Where it begins in the file.
    begin: u64,
    bytes: Vec<u8>,
}

impl Tail {
    fn read(file: &mut File) -> io::Result<Self> {
        let begin = file.metadata()?.len().saturating_sub(LONGEST_LINE);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        file.read_to_end(&mut bytes)?;
        Ok(Self { begin, bytes })
    }

    /// The last whole line, and where the file ends with it.
    fn last_line(&self) -> Option<(&[u8], u64)> {
        let end = self.bytes.iter().rposition(|byte| *byte == b'\n')?;
        let start = self.bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Some((&self.bytes[start..end], self.begin + end as u64 + 1))
    }
}

/// The number of the last whole line, 0 in an empty file; `None` where that line isn't ours. What follows it is
/// removed.
fn last_number(file: &mut File) -> io::Result<Option<u64>> {
    let tail = Tail::read(file)?;
    let Some((line, whole)) = tail.last_line() else {
        if tail.begin == 0 && (tail.bytes.is_empty() || tail.bytes.starts_with(b"{\"seq\":")) {
            file.set_len(0)?;
            return Ok(Some(0));
        }
        return Ok(None);
    };
    let number = number_of(line);
    if number.is_some() && whole < file.metadata()?.len() {
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
    fn numbers_go_on_after_what_was_rotated_away_and_that_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let rotated = folder.path().join("audit.jsonl.1");
        std::fs::write(&rotated, "{\"seq\":7}\n{\"seq\":8}\n{\"se").unwrap();
        std::fs::write(folder.path().join("audit.jsonl-20261121"), "{\"seq\":4}\n").unwrap();
        std::fs::write(folder.path().join("audit.jsonl.2.gz"), "\x1f packed\n").unwrap();
        std::fs::write(folder.path().join("audit.jsonly"), "{\"seq\":99}\n").unwrap();
        // Without a file, and with the empty one that a rotation may leave.
        for _ in 0..2 {
            assert_eq!(LineFile::open(&path).unwrap().1, 8);
        }
        assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "{\"seq\":7}\n{\"seq\":8}\n{\"se");
        std::fs::write(&path, "{\"seq\":3}\n").unwrap();
        assert_eq!(LineFile::open(&path).unwrap().1, 3, "what is in the file itself counts first");
    }

    #[test]
    fn a_rotation_at_any_moment_neither_loses_nor_doubles_a_line() {
        const LINES: u64 = 500;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let written = std::sync::atomic::AtomicBool::new(false);
        let mut rotations = 0_u64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut file, _) = LineFile::open(&path).unwrap();
                for number in 1..=LINES {
                    file.append(format!("{{\"seq\":{number}}}\n").as_bytes()).unwrap();
                }
                written.store(true, std::sync::atomic::Ordering::SeqCst);
            });
            while !written.load(std::sync::atomic::Ordering::SeqCst) {
                if std::fs::rename(&path, folder.path().join(format!("audit.jsonl.{rotations}"))).is_ok() {
                    rotations += 1;
                }
            }
        });
        let mut numbers = Vec::new();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "no line is torn");
            numbers.extend(text.lines().map(|line| number_of(line.as_bytes()).unwrap()));
        }
        numbers.sort_unstable();
        assert!(rotations > 0);
        assert_eq!(numbers, (1..=LINES).collect::<Vec<_>>());
    }

    #[test]
    fn a_failed_append_to_a_file_that_was_emptied_leaves_no_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "").unwrap();
        let (mut file, _) = LineFile::open(&path).unwrap();
        file.torn = Some(1_000);
        file.append(b"{\"seq\":1}\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"seq\":1}\n");
    }

    #[test]
    fn a_device_without_room_fails_in_words() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert!(explained(&error).contains("free some"));
    }
}
