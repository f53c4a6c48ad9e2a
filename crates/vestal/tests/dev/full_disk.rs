//! A full disk: writes fail with a clear error, reads go on, and writes resume by themselves once there is room.
//!
//! There are two ways to fill it up here: a limit to the size of the process's files, which everybody may set, and a
//! small file system that this process mounts for itself, where the kernel lets it. Where it doesn't, as in many
//! containers, the limit does for both.

use std::fs;
use std::process::Command;

use rustix::process::{Resource, Rlimit, prlimit};

use crate::client::{Answer, VaultClient};
use crate::process::{Dev, Folder, behind, dev, pid, until};

/// Tells the test that it runs in a mount namespace of its own.
const APART: &str = "VESTAL_TEST_APART";

#[test]
fn with_no_room_in_its_files_writes_are_refused_reads_go_on_and_writes_resume() {
    by_a_limit();
}

#[test]
fn with_no_room_on_its_disk_writes_are_refused_reads_go_on_and_writes_resume() {
    if std::env::var_os(APART).is_some() {
        return on_a_small_disk();
    }
    let apart: &[&str] = if rustix::process::geteuid().is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--mount", "--user", "--map-root-user"]
    };
    let probe = ["mount", "-t", "tmpfs", "tmpfs", "/tmp"];
    let possible = Command::new(apart[0]).args(&apart[1..]).args(probe).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("no file system can be mounted here: a limit to the size of files does in its place");
        return by_a_limit();
    }
    let itself = std::env::current_exe().expect("a test knows its own program");
    let name = "full_disk::with_no_room_on_its_disk_writes_are_refused_reads_go_on_and_writes_resume";
    let status = Command::new(apart[0])
        .args(&apart[1..])
        .arg(itself)
        .args(["--exact", name, "--nocapture"])
        .env(APART, "1")
        .status()
        .expect("it ran a moment ago");
    assert!(status.success(), "{status}");
}

fn by_a_limit() {
    let folder = Folder::new();
    // The signal that a write beyond the limit sends would end the process; ignored, the write fails instead.
    let dev = Dev::ready(behind(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"], &dev(&folder, 6)), &folder);
    let limit = |current| {
        let new = Rlimit { current, maximum: None };
        prlimit(Some(pid(dev.running.id())), Resource::Fsize, new).expect("our own process's limit can be set");
    };
    let files = fs::read_dir(folder.data()).expect("it is there").flatten();
    let largest = files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).max();
    fills_up_and_recovers(&dev, || limit(largest), || limit(None));
}

fn on_a_small_disk() {
    let folder = Folder::new();
    fs::create_dir(folder.data()).expect("a folder can be made");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs"])
        .arg(folder.data())
        .status()
        .expect("there is a mount command");
    assert!(mounted.success(), "{mounted}");
    let dev = Dev::start(&folder);
    let filler = folder.data().join("filler");
    let fill = || {
        let mut file = fs::File::create(&filler).expect("a file can be made");
        let error = std::io::copy(&mut std::io::repeat(0), &mut file).expect_err("the disk is small");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    };
    fills_up_and_recovers(&dev, fill, || fs::remove_file(&filler).expect("it was made"));
    drop(dev);
    // Its name in the folder goes with the folder; the file system itself with this process.
    let _ = Command::new("umount").arg(folder.data()).status();
}

fn fills_up_and_recovers(dev: &Dev, fill: impl FnOnce(), make_room: impl FnOnce()) {
    let vault = VaultClient::new(dev);
    vault.set("kept", "written before the disk was full").ok();

    fill();
    // There is room left inside the files that are there: it takes some writes until it is used up.
    let value = "x".repeat(25_000);
    let refused: Vec<Answer> =
        (0..2_000).map(|_| vault.set("big", &value)).filter(|answer| answer.status != 200).take(3).collect();
    assert_eq!(refused.len(), 3, "a full disk takes no more writes");
    for answer in &refused {
        assert!((500..=599).contains(&answer.status), "it is the server's trouble: {answer:?}");
        let message = answer.json()["error"]["message"].as_str().expect("an error has a message").to_lowercase();
        assert!(["disk", "space", "room"].iter().any(|word| message.contains(word)), "it says why: {message}");
    }
    assert_eq!(vault.get("kept")["value"], "written before the disk was full", "reads go on");
    let token = vault.get(dev.token_name());

    make_room();
    until("a write that succeeds again", || (vault.set("again", "after").status == 200).then_some(()));
    assert_eq!(vault.get("again")["value"], "after");
    until("a renewal that succeeds again", || (vault.get(dev.token_name())["id"] != token["id"]).then_some(()));
}
