//! A folder's files, as the target's thread reads and writes them.
//!
//! A write goes so:
//!
//! 1. the value and its sidecar are written to files of their own, given to their owner, and brought to the disk;
//! 2. the sidecar takes its place, and the folder is brought to the disk;
//! 3. the value takes its place, and the folder is brought to the disk.
//!
//! Up to 2 nothing has changed for anybody. Between 2 and 3 the old value is there, and the sidecar knows it as that
//! which is being superseded, or as nobody's if it was somebody else's. What a crash leaves in 1 is removed by the next
//! write. Nothing is ever written to a file that readers look at, and no path is followed out of the opened folder.

use std::fs::Metadata;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::Mode;
use secret::Secret;
use store::{Held, Parcel, TargetError, TargetErrorKind};

use super::opened::{Content, OpenFolder};
use super::owner::Owner;
use super::sidecar::{LARGEST_SIDECAR_BYTES, Note, Sidecar, foreign_version};
use super::{FileSettings, names, trouble};

/// The most bytes of a value, as at home.
const LARGEST_VALUE_BYTES: usize = 25_600;

/// The folder as the thread knows it between two calls.
pub(super) struct Folder<'a> {
    settings: &'a FileSettings,
    /// Whether what an earlier process left behind was removed.
    swept: bool,
}

/// A token's file, as it was found.
struct Found {
    /// `None` where it is larger than any value may be.
    value: Option<Secret>,
    file: Metadata,
    /// What the sidecar says of it; `None` where it is somebody else's.
    note: Option<Note>,
}

impl<'a> Folder<'a> {
    pub(super) fn new(settings: &'a FileSettings) -> Self {
        Self { settings, swept: false }
    }

    /// What the folder holds under the name.
    pub(super) fn read(&self, name: &str) -> Result<Option<Held>, TargetError> {
        if names::file_name_fits(name).is_err() {
            return Ok(None); // No file of ours can be called so.
        }
        let Some(Found { value, file, note }) = find(&OpenFolder::open(self.settings)?, name)? else {
            return Ok(None);
        };
        let version = note
            .as_ref()
            .map_or_else(|| foreign_version(value.as_ref().map_or(&[], Secret::expose), &file), Note::version);
        Ok(Some(Held {
            value,
            version,
            enabled: true,
            expires: note.as_ref().and_then(|note| note.expires),
            created: Some(file.mtime()),
            mark: note.as_ref().map(Note::mark),
        }))
    }

    /// Makes the parcel the file of that name.
    pub(super) fn write(&mut self, name: &str, parcel: &Parcel) -> Result<String, TargetError> {
        let prepared = self.prepare(name, parcel)?;
        let version = prepared.announce()?;
        prepared.replace()?;
        Ok(version)
    }

    /// The first step: all is on the disk, and nothing is in its place yet.
    fn prepare(&mut self, name: &str, parcel: &Parcel) -> Result<Prepared<'a>, TargetError> {
        names::file_name_fits(name).map_err(|rule| trouble::unfit(rule.to_owned()))?;
        if parcel.value.len() > LARGEST_VALUE_BYTES {
            return Err(trouble::unfit(format!(
                "{name} has {} bytes, and a delivered token has at most {LARGEST_VALUE_BYTES}",
                parcel.value.len()
            )));
        }
        let mode = mode(self.settings)?;
        let owner = Owner::of(self.settings)?;
        let folder = OpenFolder::open(self.settings)?;
        let lock = folder.lock()?;
        if !self.swept {
            folder.sweep()?;
            self.swept = true;
        }
        let before = find(&folder, name)?;
        let before = before.and_then(|Found { file, note, .. }| Some((note?, file)));
        let sidecar = Sidecar::new(parcel, before.as_ref().map(|(note, file)| (note.clone(), file)));
        let described = sidecar.to_bytes();
        if described.len() > LARGEST_SIDECAR_BYTES {
            return Err(trouble::unfit(format!(
                "what is to be said of {name} is too long: shorten its provider's name"
            )));
        }
        // From here on, what is dropped removes what it wrote.
        let prepared = Prepared { folder, lock, name: name.to_owned(), sidecar };
        prepared.folder.create(&names::next_value(name), parcel.value.expose(), mode, owner)?;
        prepared.folder.create(&names::next_sidecar(name), &described, mode, owner)?;
        Ok(prepared)
    }
}

/// A write whose files are on the disk, beside their places.
struct Prepared<'a> {
    folder: OpenFolder<'a>,
    /// Given up when all is done.
    lock: Option<OwnedFd>,
    name: String,
    sidecar: Sidecar,
}

impl Prepared<'_> {
    /// The second step: the sidecar takes its place.
    fn announce(&self) -> Result<String, TargetError> {
        self.folder.put(&names::next_sidecar(&self.name), &names::sidecar(&self.name))?;
        Ok(self.sidecar.newest().version())
    }

    /// The third step: the value takes its place.
    fn replace(&self) -> Result<(), TargetError> {
        self.folder.put(&names::next_value(&self.name), &self.name)
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        // They are gone where all went well. Where it didn't, what can't be removed now is removed by the next write.
        for next in [names::next_value(&self.name), names::next_sidecar(&self.name)] {
            let _ = self.folder.remove(&next);
        }
        // Only now may others write.
        drop(self.lock.take());
    }
}

/// What is there under the name.
fn find(folder: &OpenFolder<'_>, name: &str) -> Result<Option<Found>, TargetError> {
    let Some(Content { mut bytes, file }) = folder.content(name, LARGEST_VALUE_BYTES)? else {
        return Ok(None);
    };
    if bytes.len() > LARGEST_VALUE_BYTES {
        return Ok(Some(Found { value: None, file, note: None }));
    }
    // A sidecar that is no file of its own, or too long, is none of ours.
    let sidecar = match folder.content(&names::sidecar(name), LARGEST_SIDECAR_BYTES) {
        Err(error) if error.kind == TargetErrorKind::Occupied => None,
        sidecar => sidecar?.filter(|sidecar| sidecar.bytes.len() <= LARGEST_SIDECAR_BYTES),
    };
    let note = sidecar.and_then(|sidecar| Sidecar::parse(&sidecar.bytes)?.of(&bytes, &file));
    Ok(Some(Found { value: Some(Secret::new(core::mem::take(&mut *bytes))), file, note }))
}

/// The mode of the files, if it keeps strangers out and lets their owner in.
fn mode(settings: &FileSettings) -> Result<Mode, TargetError> {
    let mode = settings.mode;
    if mode & !0o660 != 0 || mode & 0o400 == 0 {
        return Err(trouble::unfit(format!(
            "files of mode {mode:04o} in {} would not be read by their owner, or by everybody: choose a mode such as 0600 \
             or 0640",
            settings.folder.display()
        )));
    }
    Ok(Mode::from_raw_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use store::Mark;
    use tempfile::TempDir;

    use super::*;

    fn settings() -> (TempDir, FileSettings) {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = FileSettings { folder: folder.path().to_owned(), mode: 0o640, owner: None, group: None };
        (folder, settings)
    }

    fn parcel(generation: u64) -> Parcel {
        Parcel {
            value: Secret::from(format!("value-{generation}")),
            expires: Some(1_800_000_000 + i64::try_from(generation).expect("it is small")),
            mark: Mark { token: "0123456789abcdef0123456789abcdef".to_owned(), generation },
            provider: "hourly".to_owned(),
            renewed_at: 5,
        }
    }

    /// What is there: its value, and the generation that it is said to be.
    fn there(settings: &FileSettings) -> (String, Option<u64>, Option<i64>) {
        let held = Folder::new(settings).read("a").expect("it can be read").expect("it is there");
        let value = held.value.as_ref().and_then(Secret::expose_str).expect("it is text").to_owned();
        (value, held.mark.map(|mark| mark.generation), held.expires)
    }

    /// The process ends here: the kernel releases its lock, and nothing else happens.
    fn killed(mut prepared: Prepared<'_>) {
        drop(prepared.lock.take());
        core::mem::forget(prepared);
    }

    fn files(settings: &FileSettings) -> Vec<String> {
        let entries = fs::read_dir(&settings.folder).expect("it is there").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_that_ends_before_its_value_is_in_place_leaves_the_old_generation() {
        let (_folder, settings) = settings();
        let mut folder = Folder::new(&settings);
        let first = folder.write("a", &parcel(1)).expect("there is room");

        let prepared = folder.prepare("a", &parcel(2)).expect("there is room");
        assert_eq!(there(&settings), ("value-1".to_owned(), Some(1), Some(1_800_000_001)));
        prepared.announce().expect("there is room");
        assert_eq!(there(&settings), ("value-1".to_owned(), Some(1), Some(1_800_000_001)));
        let held = folder.read("a").expect("it can be read").expect("it is there");
        assert_eq!(held.version, first, "it is the version that it was");
        killed(prepared);
        assert_eq!(files(&settings), [".a.vestal.json", ".a.vestal.new", ".vestal.lock", "a"]);

        // The next process writes a later generation over that: the old one is still known until its value is gone.
        let mut folder = Folder::new(&settings);
        let prepared = folder.prepare("a", &parcel(3)).expect("there is room");
        prepared.announce().expect("there is room");
        assert_eq!(there(&settings), ("value-1".to_owned(), Some(1), Some(1_800_000_001)));
        prepared.replace().expect("there is room");
        drop(prepared);
        assert_eq!(there(&settings), ("value-3".to_owned(), Some(3), Some(1_800_000_003)));
        assert_eq!(files(&settings), [".a.vestal.json", ".vestal.lock", "a"]);
    }

    #[test]
    fn over_somebody_elses_value_a_write_that_ends_early_makes_it_nobodys() {
        let (_folder, settings) = settings();
        let mut folder = Folder::new(&settings);
        folder.write("a", &parcel(1)).expect("there is room");
        fs::write(settings.folder.join("a"), "by hand").expect("it is ours");
        folder.prepare("a", &parcel(2)).expect("there is room").announce().expect("there is room");
        assert_eq!(there(&settings), ("by hand".to_owned(), None, None));
    }

    #[test]
    fn a_value_whose_sidecar_speaks_of_another_is_nobodys() {
        let (_folder, settings) = settings();
        let mut folder = Folder::new(&settings);
        folder.write("a", &parcel(1)).expect("there is room");
        let first = fs::read(settings.folder.join(".a.vestal.json")).expect("it is there");
        folder.write("a", &parcel(2)).expect("there is room");
        let second = fs::read(settings.folder.join(".a.vestal.json")).expect("it is there");
        for other in [&first[..], b"", b"{", &second[..second.len() / 2]] {
            fs::write(settings.folder.join(".a.vestal.json"), other).expect("it is ours");
            assert_eq!(there(&settings), ("value-2".to_owned(), None, None));
        }
        fs::remove_file(settings.folder.join(".a.vestal.json")).expect("it is there");
        assert_eq!(there(&settings), ("value-2".to_owned(), None, None));
        fs::write(settings.folder.join(".a.vestal.json"), &second).expect("it is ours");
        assert_eq!(there(&settings).1, Some(2));
        // The generation before, put back by somebody: the sidecar knows the value, but not this file.
        fs::write(settings.folder.join("a"), "value-1").expect("it is ours");
        assert_eq!(there(&settings), ("value-1".to_owned(), None, None));
    }

    #[test]
    fn what_an_earlier_process_left_is_removed() {
        let (_folder, settings) = settings();
        for left in [".a.vestal.new", ".b.vestal.json.new", ".b.vestal.new"] {
            fs::write(settings.folder.join(left), "half").expect("it is ours");
        }
        fs::write(settings.folder.join(".others"), "").expect("it is ours");
        Folder::new(&settings).write("a", &parcel(1)).expect("there is room");
        assert_eq!(files(&settings), [".a.vestal.json", ".others", ".vestal.lock", "a"]);
    }

    #[test]
    fn a_mode_that_lets_strangers_in_is_refused() {
        let (_folder, settings) = settings();
        for mode in [0o644, 0o604, 0o602, 0o700, 0o4600, 0o040, 0o200, 0] {
            let settings = FileSettings { mode, ..settings.clone() };
            let error = Folder::new(&settings).write("a", &parcel(1)).expect_err("it is refused");
            assert_eq!(error.kind, TargetErrorKind::Unfit, "{mode:o}: {error}");
            assert_eq!(files(&settings), [""; 0]);
        }
    }
}
