//! What Vestal refuses to start with. Each refusal says what is wrong, where, and what to do next.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use crate::process::{Dev, Folder, Running, dev, vestal};

/// Runs the command, which must be refused, and hands back what it says on standard error.
fn refusal(command: &mut Command) -> String {
    let mut running = Running::start(command);
    let status = running.ended();
    let said = running.stderr.text();
    assert!(!status.success(), "it was not refused: {said}");
    assert!(!said.contains("panicked"), "a refusal is no panic: {said}");
    assert_eq!(running.stdout.text(), "", "a refusal goes to standard error");
    said
}

fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "'{part}' is not in: {said}");
    }
}

#[test]
fn a_port_in_use_is_refused_with_the_option_that_takes_another() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let said = refusal(vestal(&folder).arg("dev").arg("--dir").arg(folder.data()).args(["--listen", &address]));
    says(&said, &[&address, "--listen"]);
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let folder = Folder::new();
    // Root can give a folder away. Anybody else finds one that belongs to root.
    let foreign = if rustix::process::geteuid().is_root() {
        let given = folder.data();
        fs::create_dir(&given).expect("a folder can be made");
        chown(&given, Some(65_534), None).expect("root can give a folder away");
        given
    } else {
        "/usr".into()
    };
    let said = refusal(vestal(&folder).arg("dev").arg("--dir").arg(&foreign).args(["--listen", "127.0.0.1:0"]));
    says(&said, &[&foreign.display().to_string(), "--dir"]);
    assert!(!foreign.join("store.sqlite").exists(), "nothing is written into it");
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = Folder::new();
    Dev::start(&folder).running.stop();
    let key = folder.data().join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let said = refusal(&mut dev(&folder, 6));
    says(&said, &[&key.display().to_string(), "chmod 600"]);

    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    Dev::start(&folder);
}

#[test]
fn a_key_file_that_is_missing_beside_a_store_is_refused_and_not_made_anew() {
    let folder = Folder::new();
    Dev::start(&folder).running.stop();
    let key = folder.data().join("key");
    let kept = folder.path().join("key-kept");
    fs::rename(&key, &kept).expect("it is ours");
    let said = refusal(&mut dev(&folder, 6));
    says(&said, &[&key.display().to_string(), "backup"]);
    assert!(!key.exists(), "a new key could open nothing");

    fs::rename(&kept, &key).expect("it is ours");
    Dev::start(&folder);
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let folder = Folder::new();
    let _first = Dev::start(&folder);
    let said = refusal(&mut dev(&folder, 6));
    says(&said, &[&folder.data().display().to_string()]);
}

#[test]
fn what_is_written_for_the_owner_alone_can_be_read_by_the_owner_alone() {
    let folder = Folder::new();
    let _dev = Dev::start(&folder);
    let mode = |name: &str| {
        let path = folder.data().join(name);
        let metadata = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700, "the folder");
    for name in ["dev.env", "key", "store.sqlite", "control.sock", "audit.jsonl"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}
