//! The folder of files, as a target.

#![expect(
    clippy::print_stdout,
    reason = "a test says what it can't do here, and a child tells its parent how far it is"
)]

mod full;
mod kill;
mod rights;

use std::fs;
use std::path::PathBuf;

use delivery::{FileSettings, FileTarget};
use secret::Secret;
use store::contract::block_on;
use store::contract::target::{OpenedTarget, TargetOpener};
use store::{Held, Mark, Parcel, Target, TargetError};
use tempfile::TempDir;

/// A target in a folder of its own, which is gone with it.
struct InFolder {
    target: FileTarget,
    folder: TempDir,
}

impl InFolder {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut FileSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = FileSettings { folder: folder.path().to_owned(), mode: 0o640, owner: None, group: None };
        change(&mut settings);
        Self { target: FileTarget::new(settings), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, parcel: &Parcel) -> Result<String, TargetError> {
        block_on(self.target.write(name, parcel))
    }

    fn read(&self, name: &str) -> Result<Option<Held>, TargetError> {
        block_on(self.target.read(name))
    }

    /// The names of all files, in order.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("it is there").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl OpenedTarget for InFolder {
    fn target(&self) -> &dyn Target {
        &self.target
    }

    async fn write_by_hand(&self, name: &str, value: &str) {
        fs::write(self.path(name), value).expect("it is ours");
    }

    fn folds_case(&self) -> bool {
        false
    }

    fn unfit_names(&self) -> Vec<String> {
        let unfit = ["", ".", "..", ".hidden", "a/b", "../a", "/etc/passwd", "a b", "a\0", "ü"];
        unfit.iter().map(|name| (*name).to_owned()).chain(["n".repeat(128)]).collect()
    }
}

struct InFolders;

impl TargetOpener for InFolders {
    type Opened = InFolder;

    async fn fresh(&self) -> InFolder {
        InFolder::new()
    }
}

mod contract {
    store::target_contract!(super::InFolders);
}

fn parcel(value: &str, generation: u64) -> Parcel {
    Parcel {
        value: Secret::copy_of(value.as_bytes()),
        expires: Some(4_000_000_000),
        mark: Mark { token: "0123456789abcdef0123456789abcdef".to_owned(), generation },
        provider: "hourly".to_owned(),
        renewed_at: 1_800_000_000,
    }
}

#[test]
fn a_file_holds_the_value_and_its_sidecar_the_rest() {
    let files = InFolder::new();
    files.write("hourly.token", &parcel("abc", 7)).expect("there is room");
    assert_eq!(fs::read(files.path("hourly.token")).expect("it is there"), b"abc");
    let sidecar = fs::read_to_string(files.path(".hourly.token.vestal.json")).expect("it is there");
    let expected = r#"{
  "token": "0123456789abcdef0123456789abcdef",
  "generation": 7,
  "expires": 4000000000,
  "renewed_at": 1800000000,
  "provider": "hourly",
  "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
}
"#;
    assert_eq!(sidecar, expected);
    assert_eq!(files.files(), [".hourly.token.vestal.json", ".vestal.lock", "hourly.token"]);
}

#[test]
fn a_folder_that_is_missing_is_found_once_it_is_there() {
    let files = InFolder::with(|settings| settings.folder.push("later"));
    let error = files.write("a", &parcel("abc", 1)).expect_err("there is no folder");
    assert_eq!(error.kind, store::TargetErrorKind::Unreachable);
    assert!(error.words.contains("isn't there: make it"), "{error}");
    fs::create_dir(files.path("later")).expect("it is ours");
    files.write("a", &parcel("abc", 1)).expect("the folder is there");
    // Another folder in the place of the first is used as well.
    fs::rename(files.path("later"), files.path("before")).expect("it is ours");
    fs::create_dir(files.path("later")).expect("it is ours");
    assert!(files.read("a").expect("it is empty").is_none());
    files.write("a", &parcel("abc", 1)).expect("the folder is there");
    assert!(files.path("later/a").is_file());
}

#[test]
fn targets_with_one_folder_write_one_after_the_other() {
    let files = InFolder::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let settings =
                FileSettings { folder: files.folder.path().to_owned(), mode: 0o600, owner: None, group: None };
            scope.spawn(move || {
                let target = FileTarget::new(settings);
                for generation in 1..=20 {
                    let value = format!("{writer}-{generation}-").repeat(200);
                    block_on(target.write("a", &parcel(&value, generation))).expect("its turn comes");
                }
            });
        }
    });
    let held = files.read("a").expect("it can be read").expect("it is there");
    assert!(held.mark.is_some(), "value and sidecar are of one write");
    assert_eq!(files.files(), [".a.vestal.json", ".vestal.lock", "a"]);
}

#[test]
fn a_call_that_was_dropped_before_its_turn_is_not_made() {
    let files = InFolder::new();
    drop(files.target.write("a", &parcel("abc", 1)));
    assert!(files.read("a").expect("it can be read").is_none());
}

#[test]
fn a_file_that_is_too_large_to_be_a_value_is_there_and_not_given_out() {
    let files = InFolder::new();
    fs::write(files.path("a"), vec![b'x'; 1 << 20]).expect("it is ours");
    let held = files.read("a").expect("it can be read").expect("it is there");
    assert!(held.value.is_none() && held.mark.is_none());
    files.write("a", &parcel("abc", 1)).expect("a delivery goes over it");
    assert!(files.read("a").expect("it can be read").is_some_and(|held| held.value.is_some()));
}
