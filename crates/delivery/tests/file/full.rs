//! A disk that takes no more, and then does again.
//!
//! There are two ways to fill it up here: a limit to the size of the process's files, which everybody may set, and a
//! small file system that a child mounts for itself, where the kernel lets it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use delivery::{FileSettings, FileTarget};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::contract::block_on;
use store::{Target as _, TargetErrorKind};

use super::parcel;

/// Names the folder that a child of this test writes to. Not a setting of anybody's: tests alone know it.
const CHILD_FOLDER: &str = "DELIVERY_TEST_FOLDER";
/// Whether the child is to mount a small file system there.
const CHILD_MOUNTS: &str = "DELIVERY_TEST_MOUNTS";

#[test]
#[ignore = "it limits its own process: the tests below run it in one of its own"]
fn fill_the_disk() {
    let folder = PathBuf::from(env::var_os(CHILD_FOLDER).expect("the parent sets it"));
    let settings = FileSettings { folder: folder.clone(), mode: 0o600, owner: None, group: None };
    let target = FileTarget::new(settings);
    let write = |value: &str, generation| block_on(target.write("a", &parcel(value, generation)));
    let first = write("value-1", 1).expect("there is room");

    let large = "v".repeat(20_000);
    if env::var_os(CHILD_MOUNTS).is_some() {
        let filling = (0..).map(|number| folder.join(format!("filling-{number}")));
        let filled: Vec<_> = filling.take_while(|path| fs::write(path, [0; 4096]).is_ok()).collect();
        refused(&folder, &target, &large, &first);
        filled.into_iter().for_each(|path| fs::remove_file(path).expect("it is ours"));
    } else {
        let before = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(10_000), maximum: before.maximum }).expect("it is lower");
        refused(&folder, &target, &large, &first);
        setrlimit(Resource::Fsize, before).expect("it is what it was");
    }
    write(&large, 2).expect("there is room again");
    assert_eq!(fs::read(folder.join("a")).expect("it is there"), large.as_bytes());
}

/// A write fails with words, and the generation before stays, whole.
fn refused(folder: &Path, target: &FileTarget, large: &str, first: &str) {
    let error = block_on(target.write("a", &parcel(large, 2))).expect_err("there is no room");
    assert_eq!(error.kind, TargetErrorKind::Unreachable);
    assert!(error.words.contains("no room"), "{error}");
    let held = block_on(target.read("a")).expect("reads go on").expect("it is there");
    assert_eq!((held.version.as_str(), held.mark.map(|mark| mark.generation)), (first, Some(1)));
    assert_eq!(fs::read(folder.join("a")).expect("it is there"), b"value-1");
    for entry in folder.read_dir().expect("it is there").flatten() {
        assert!(!entry.file_name().to_string_lossy().ends_with(".new"), "{entry:?} was left behind");
    }
}

#[test]
fn with_no_room_in_its_files_the_generation_before_stays_and_writing_resumes() {
    let root = tempfile::tempdir().expect("a folder");
    // Growing beyond the limit sends a signal that ends the process unless it is ignored, which a child inherits.
    run(Command::new("sh").args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]), root.path());
}

#[test]
fn with_no_room_on_its_disk_the_generation_before_stays_and_writing_resumes() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    let apart: &[&str] =
        if rustix::process::geteuid().is_root() { &["--mount"] } else { &["--mount", "--user", "--map-root-user"] };
    let mount = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs"];
    let probe = Command::new("unshare").args(apart).args(mount).arg(root).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("no file system can be mounted here: the limit to the size of files does in its place");
        return;
    }
    let mount = format!("{} \"$DELIVERY_TEST_FOLDER\" && exec \"$@\"", mount.join(" "));
    let mut command = Command::new("unshare");
    command.args(apart).args(["sh", "-c", &mount, "sh"]).env(CHILD_MOUNTS, "1");
    run(&mut command, root);
}

/// Runs the child's part behind a command.
fn run(behind: &mut Command, root: &Path) {
    let child = behind
        .arg(env::current_exe().expect("we run"))
        .args(["--exact", "full::fill_the_disk", "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, root)
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
