//! Who gets at a token's file, and who can put something else in its place.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use delivery::{FileSettings, FileTarget};
use store::contract::block_on;
use store::{Target as _, TargetErrorKind};

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

/// Says which folder, mode, owner and group a child is to write with. Not a setting of anybody's: tests alone know it.
const CHILD: &str = "DELIVERY_TEST_RIGHTS";

/// Nobody's user, and a group that it is in.
const NOBODY: &str = "65534";

/// The child's part: it delivers as the user that it runs as, and says what came of it.
#[test]
#[ignore = "it runs as somebody else: a_file_that_is_given_away_can_be_read_back_or_is_not_given runs it so"]
fn deliver_as_somebody_else() {
    let said = std::env::var(CHILD).expect("the parent sets it");
    let [folder, mode, owner, group] = said.split(' ').collect::<Vec<_>>().try_into().expect("it says four things");
    let named = |text: &str| (text != "-").then(|| text.to_owned());
    let target = FileTarget::new(FileSettings {
        folder: folder.into(),
        mode: u32::from_str_radix(mode, 8).expect("it is octal"),
        owner: named(owner),
        group: named(group),
    });
    for generation in 1..=2 {
        match block_on(target.write("a", &parcel("abc", generation))).and_then(|_| block_on(target.read("a"))) {
            Ok(held) => assert_eq!(held.and_then(|held| held.mark).map(|mark| mark.generation), Some(generation)),
            Err(error) => return println!("refused: {error}"),
        }
    }
    println!("delivered twice");
}

/// Delivers as nobody with these capabilities, in a folder of nobody's: what the child says, and the files.
fn as_nobody(capabilities: &[&str], mode: &str, owner: &str, group: &str) -> (String, Vec<String>) {
    let files = InFolder::new();
    chown(files.folder.path(), Some(65534), Some(65534)).expect("root may");
    let kept = capabilities.iter().fold("-all".to_owned(), |kept, one| format!("{kept},+{one}"));
    let child = Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--groups", "23456"])
        .args(["--inh-caps", &kept, "--ambient-caps", &kept])
        .arg(std::env::current_exe().expect("we run"))
        .args(["--exact", "rights::deliver_as_somebody_else", "--ignored", "--nocapture"])
        .env(CHILD, format!("{} {mode} {owner} {group}", files.folder.path().display()))
        .output()
        .expect("there is setpriv");
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    (said.into_owned(), files.files())
}

#[test]
fn a_file_that_is_given_away_can_be_read_back_or_is_not_given() {
    if !we_are_root() {
        println!("only root may run a child as somebody else");
        return;
    }
    let delivered = |capabilities: &[&str], mode, owner, group| {
        let (said, files) = as_nobody(capabilities, mode, owner, group);
        assert!(said.contains("delivered twice"), "{said}");
        assert_eq!(files, [".a.vestal.json", ".vestal.lock", "a"]);
    };
    delivered(&["chown", "dac_read_search"], "600", "12345", "-");
    delivered(&["chown"], "640", "12345", "23456");
    delivered(&[], "640", "-", "23456");

    let refused = |capabilities: &[&str], mode, owner, group, words: &str| {
        let (said, files) = as_nobody(capabilities, mode, owner, group);
        assert!(said.contains(words), "{said}");
        assert_eq!(files, [".vestal.lock"], "nothing is left that it could not read");
    };
    refused(&["chown"], "600", "12345", "-", "CAP_DAC_READ_SEARCH beside CAP_CHOWN");
    refused(&["chown"], "600", "12345", "23456", "let the group read");
    refused(&["chown"], "640", "12345", "34567", "set `group` to one that Vestal's user is in");
    refused(&[], "640", "12345", "23456", "the capability CAP_CHOWN");
    refused(&[], "640", "-", "34567", "make Vestal's user a member of the group");
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
