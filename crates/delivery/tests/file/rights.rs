//! Who gets at a token's file, and who can put something else in its place.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use store::TargetErrorKind;

use super::{InFolder, parcel};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn files_have_the_mode_that_was_asked_for() {
    for wanted in [0o600, 0o640, 0o660, 0o400, 0o440] {
        let files = InFolder::with(|settings| settings.mode = wanted);
        // A file that stood there with another mode doesn't pass it on.
        fs::write(files.path("a"), "by hand").expect("it is ours");
        set_mode(&files.path("a"), 0o644);
        for generation in 1..=2 {
            files.write("a", &parcel("abc", generation)).expect("there is room");
            assert_eq!(mode(&files.path("a")), wanted);
            assert_eq!(mode(&files.path(".a.vestal.json")), wanted);
            assert_eq!(mode(&files.path(".vestal.lock")) & 0o077, 0);
        }
    }
}

#[test]
fn no_file_is_ever_open_to_everybody_or_half_written() {
    let files = InFolder::new();
    let done = AtomicBool::new(false);
    let value = "0123456789".repeat(2_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 1..=100 {
                files.write("a", &parcel(&value, generation)).expect("there is room");
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            for file in files.files() {
                // One that is gone meanwhile has taken its place.
                let Ok(metadata) = fs::symlink_metadata(files.path(&file)) else { continue };
                assert_eq!(metadata.mode() & 0o027, 0, "{file}");
            }
            if let Ok(read) = fs::read(files.path("a")) {
                assert!(read == value.as_bytes(), "a reader gets {} bytes", read.len());
            }
        }
    });
}

#[test]
fn files_are_given_to_owner_and_group() {
    if !we_are_root() {
        println!("only root may give files away");
        return;
    }
    let files = InFolder::with(|settings| {
        (settings.owner, settings.group) = (Some("12345".to_owned()), Some("23456".to_owned()));
    });
    files.write("a", &parcel("abc", 1)).expect("root may");
    for file in ["a", ".a.vestal.json"] {
        let metadata = fs::metadata(files.path(file)).expect("it is there");
        assert_eq!((metadata.uid(), metadata.gid(), mode(&files.path(file))), (12345, 23456, 0o640), "{file}");
    }
    assert!(files.read("a").expect("root reads all").is_some_and(|held| held.mark.is_some()));
}

#[test]
fn an_owner_that_files_cannot_be_given_to_is_said() {
    let files = InFolder::with(|settings| settings.owner = Some("nobody-of-this-name".to_owned()));
    let error = files.write("a", &parcel("abc", 1)).expect_err("there is no such user");
    assert_eq!(error.kind, TargetErrorKind::Forbidden);
    assert!(error.words.contains("no user `nobody-of-this-name`"), "{error}");
    if we_are_root() {
        return; // It may give files to everybody.
    }
    let files = InFolder::with(|settings| settings.owner = Some("0".to_owned()));
    let error = files.write("a", &parcel("abc", 1)).expect_err("only root may");
    assert_eq!(error.kind, TargetErrorKind::Forbidden);
    assert!(error.words.contains("CAP_CHOWN"), "{error}");
    assert_eq!(files.files(), [".vestal.lock"]);
}

#[test]
fn a_folder_that_others_can_write_in_is_refused() {
    let files = InFolder::new();
    for open in [0o777, 0o1777, 0o702] {
        set_mode(files.folder.path(), open);
        let error = files.write("a", &parcel("abc", 1)).expect_err("it is open to all");
        assert_eq!(error.kind, TargetErrorKind::Forbidden);
        assert!(error.words.contains("chmod o-w"), "{error}");
        assert_eq!(files.read("a").err().map(|error| error.kind), Some(TargetErrorKind::Forbidden));
    }
    set_mode(files.folder.path(), 0o750);
    files.write("a", &parcel("abc", 1)).expect("it is ours");
    if we_are_root() {
        chown(files.folder.path(), Some(12345), None).expect("root may");
        let error = files.write("a", &parcel("abc", 2)).expect_err("it is somebody else's");
        assert_eq!(error.kind, TargetErrorKind::Forbidden);
        assert!(error.words.contains("belongs to user 12345"), "{error}");
    }
}

#[test]
fn a_folder_without_the_right_to_write_is_said() {
    if we_are_root() {
        println!("root may write everywhere");
        return;
    }
    let files = InFolder::new();
    files.write("a", &parcel("abc", 1)).expect("it is ours");
    set_mode(files.folder.path(), 0o500);
    let error = files.write("a", &parcel("abc", 2)).expect_err("it can't be written in");
    assert_eq!(error.kind, TargetErrorKind::Forbidden);
    assert!(files.read("a").expect("it can be read").is_some());
    set_mode(files.folder.path(), 0o700);
}

#[test]
fn no_symbolic_link_is_followed() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "untouched").expect("it is ours");
    let files = InFolder::new();

    // In the token's place: it is neither read nor written.
    symlink(&victim, files.path("a")).expect("it is ours");
    let error = files.write("a", &parcel("abc", 1)).expect_err("it leads elsewhere");
    assert_eq!(error.kind, TargetErrorKind::Occupied);
    assert!(error.words.contains("symbolic link"), "{error}");
    assert_eq!(files.read("a").err().map(|error| error.kind), Some(TargetErrorKind::Occupied));

    // In the places of what stands beside: it goes.
    for beside in [".b.vestal.new", ".b.vestal.json.new", ".b.vestal.json"] {
        symlink(&victim, files.path(beside)).expect("it is ours");
    }
    files.write("b", &parcel("abc", 1)).expect("links don't bother it");
    assert!(files.read("b").expect("it can be read").is_some_and(|held| held.mark.is_some()));
    for generation in 2..=3 {
        symlink(&victim, files.path(".b.vestal.new")).expect("it is ours");
        files.write("b", &parcel("abc", generation)).expect("links don't bother it");
    }

    // In the lock's place.
    let locked = InFolder::new();
    symlink(&victim, locked.path(".vestal.lock")).expect("it is ours");
    assert_eq!(locked.write("a", &parcel("abc", 1)).err().map(|error| error.kind), Some(TargetErrorKind::Occupied));

    // In the folder's place.
    let linked = InFolder::with(|settings| settings.folder.push("link"));
    symlink(elsewhere.path(), linked.path("link")).expect("it is ours");
    let error = linked.write("a", &parcel("abc", 1)).expect_err("it leads elsewhere");
    assert!(error.words.contains("symbolic link"), "{error}");

    assert_eq!(fs::read(&victim).expect("it is there"), b"untouched");
    assert_eq!(fs::read_dir(elsewhere.path()).expect("it is there").count(), 1, "nothing was made there");
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_replaced() {
    let files = InFolder::new();
    fs::create_dir(files.path("folder")).expect("it is ours");
    let made = Command::new("mkfifo").arg(files.path("pipe")).status().expect("there is mkfifo");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(files.path("socket")).expect("it is ours");
    for name in ["folder", "pipe", "socket"] {
        let error = files.write(name, &parcel("abc", 1)).expect_err("it is no file");
        assert_eq!(error.kind, TargetErrorKind::Occupied, "{name}: {error}");
        assert!(error.words.contains("no ordinary file"), "{error}");
        assert_eq!(files.read(name).err().map(|error| error.kind), Some(TargetErrorKind::Occupied), "{name}");
    }
    files.write("a", &parcel("abc", 1)).expect("others are not in its way");
}
