//! Folders and key files that are refused, and that what is refused says what to do.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use store::{MemoryStore, Store as _};
use store_sql::sqlite::SqliteStore;
use tempfile::TempDir;
use vault::KeyEncryptionKey;

use super::{DataFolder, FolderError, KeyFileError, KeyringError, open_or_create_key_file, open_or_create_keyring};
use crate::clock::SystemEntropy;
use crate::engine::OpenStore;

/// A user that nobody is.
const NOBODY: u32 = 65_534;

/// A folder of our own, whatever the system's mask is.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        mode(folder.path(), 0o700);
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A key file with this text, for us alone.
    fn key(&self, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file("key");
        fs::write(&path, text).expect("it is ours");
        mode(&path, 0o600);
        path
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn open(path: &Path) -> Result<KeyEncryptionKey, KeyFileError> {
    open_or_create_key_file(path, false, &SystemEntropy)
}

fn create(path: &Path) -> Result<KeyEncryptionKey, KeyFileError> {
    open_or_create_key_file(path, true, &SystemEntropy)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[track_caller]
fn refused<T, E: Display>(result: Result<T, E>, parts: &[&str]) {
    let Err(error) = result else { panic!("it is taken") };
    let words = error.to_string();
    for part in parts {
        assert!(words.contains(part), "{part:?} is missing in: {words}");
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    store::contract::block_on(future)
}

#[test]
fn a_new_folder_is_for_us_alone_and_so_are_those_that_lead_to_it() {
    let folder = Folder::new();
    let path = folder.file("a/b");
    let data = DataFolder::open_or_create(&path).expect("it can be made");
    assert_eq!((mode_of(&path), mode_of(&folder.file("a"))), (0o700, 0o700));
    assert_eq!(data.path(), path.canonicalize().unwrap());
    assert_eq!(data.control_socket(), data.path().join("control.sock"));
    DataFolder::open_or_create(&path).expect("it is there now");
}

#[test]
fn a_folder_that_others_can_enter_or_read_is_refused_with_the_command_that_mends_it() {
    let folder = Folder::new();
    for open in [0o701, 0o710, 0o720, 0o704, 0o755, 0o777] {
        mode(folder.path(), open);
        let command = format!("chmod 700 {}", folder.path().display());
        refused(DataFolder::open_or_create(folder.path()), &[&command, &format!("mode {open:o}")]);
    }
    mode(folder.path(), 0o700);
    DataFolder::open_or_create(folder.path()).expect("it is ours alone");
}

#[test]
fn a_file_is_no_folder() {
    let folder = Folder::new();
    let file = folder.key("");
    assert!(matches!(DataFolder::open_or_create(&file), Err(FolderError::NotAFolder(_))));
    refused(DataFolder::open_or_create(&file.join("below")), &["can't be used", "--dir"]);
}

#[test]
fn a_folder_of_another_user_is_refused() {
    if !is_root() {
        // Nobody else can give a folder away.
        return;
    }
    let folder = Folder::new();
    chown(folder.path(), Some(NOBODY), None).expect("root can give it away");
    refused(DataFolder::open_or_create(folder.path()), &["belongs to user 65534", "runs as user 0"]);
}

#[test]
fn a_link_to_a_folder_of_ours_is_that_folder() {
    let folder = Folder::new();
    let link = folder.file("link");
    let data = folder.file("data");
    DataFolder::open_or_create(&data).expect("it can be made");
    symlink(&data, &link).expect("a link can be made");
    assert_eq!(DataFolder::open_or_create(&link).expect("it is ours").path(), data.canonicalize().unwrap());
    mode(&data, 0o750);
    refused(DataFolder::open_or_create(&link), &["chmod 700"]);
}

#[test]
fn a_new_key_file_is_one_line_for_us_alone_and_another_each_time() {
    let folder = Folder::new();
    let (one, other) = (folder.file("one"), folder.file("other"));
    create(&one).expect("it is made");
    create(&other).expect("it is made");
    assert_eq!(mode_of(&one), 0o600);
    let text = fs::read_to_string(&one).unwrap();
    let digits = text.strip_prefix("vestal-key-1 ").and_then(|rest| rest.strip_suffix('\n')).expect("one line");
    assert!(digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{text}");
    assert_ne!(text, fs::read_to_string(&other).unwrap());
    create(&one).expect("it is there");
    assert_eq!(fs::read_to_string(&one).unwrap(), text, "what is there stays");
}

#[test]
fn a_key_file_is_made_for_a_new_store_alone() {
    let folder = Folder::new();
    let path = folder.file("key");
    assert!(matches!(open(&path), Err(KeyFileError::Missing(_))));
    assert!(!path.exists());
    refused(open(&path), &["is missing", "backup", "--dir"]);
}

#[test]
fn a_key_file_that_others_can_read_or_write_is_refused() {
    let folder = Folder::new();
    let path = folder.file("key");
    create(&path).expect("it is made");
    for open_to in [0o640, 0o604, 0o620, 0o610, 0o777] {
        mode(&path, open_to);
        refused(open(&path), &[&format!("chmod 600 {}", path.display()), "known to them"]);
        assert_eq!(mode_of(&path), open_to, "nothing is mended unasked");
    }
    for ours in [0o600, 0o400] {
        mode(&path, ours);
        open(&path).expect("it is ours alone");
    }
}

#[test]
fn a_folder_in_which_others_can_replace_the_key_is_refused() {
    let folder = Folder::new();
    let path = folder.file("key");
    create(&path).expect("it is made");
    for open_to in [0o770, 0o702, 0o1777] {
        mode(folder.path(), open_to);
        for result in [open(&path), create(&folder.file("another"))] {
            refused(result, &[&format!("chmod go-w {}", folder.path().display())]);
        }
    }
    assert!(!folder.file("another").exists());
    // A key may lie where others can look around, as in /etc/vestal.
    mode(folder.path(), 0o755);
    open(&path).expect("nobody can replace it");
    if is_root() {
        chown(folder.path(), Some(NOBODY), None).expect("root can give it away");
        refused(open(&path), &["belongs to user 65534", "another key"]);
    }
}

#[test]
fn a_key_file_of_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let path = folder.file("key");
    create(&path).expect("it is made");
    chown(&path, Some(NOBODY), None).expect("root can give it away");
    refused(open(&path), &["belongs to user 65534", "change its owner"]);
}

#[test]
fn a_link_is_no_key_file_wherever_it_leads() {
    let folder = Folder::new();
    let (path, link) = (folder.file("key"), folder.file("link"));
    create(&path).expect("it is made");
    for target in [path, folder.file("nothing")] {
        symlink(&target, &link).expect("a link can be made");
        refused(open(&link), &["symbolic link", "key_file"]);
        refused(create(&link), &["symbolic link", "key_file"]);
        assert!(!folder.file("nothing").exists(), "nothing is made at its end");
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.file("pipe");
    let made = std::process::Command::new("mkfifo").arg("-m").arg("600").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe can be made");
    refused(open(&pipe), &["not a regular file"]);
    let below = folder.file("folder");
    fs::create_dir(&below).unwrap();
    mode(&below, 0o700);
    refused(open(&below), &["not a regular file"]);
}

#[test]
fn what_holds_no_key_is_refused_without_being_shown() {
    let folder = Folder::new();
    let good = "0123456789abcdef".repeat(4);
    for text in [
        "\n".to_owned(),
        good.clone(),
        format!("vestal-key-1 {}", &good[..63]),
        format!("vestal-key-1 {good}0"),
        format!("vestal-key-1 {good} {good}"),
        format!("vestal-key-1 {}g", &good[..63]),
        format!("vestal-key-2 {good}"),
        format!("vestal-key-1  {good}"),
        format!("\nvestal-key-1 {good}"),
        format!("vestal-key-1 {good}\nvestal-key-1 {good}\n"),
        format!("vestal-key-1 {good}{}x", " ".repeat(1000)),
        format!("vestal-key-1 {}", "0".repeat(64)),
        format!("vestal-key-1 {}é", &good[..62]),
    ] {
        let result = open(&folder.key(&text));
        let Err(error @ KeyFileError::NotAKey(_)) = result else { panic!("{text:?} is taken for a key") };
        assert!(!error.to_string().contains("0123456789"), "{error}");
        refused(create(&folder.key(&text)), &["no key file", "backup"]);
        assert_eq!(fs::read_to_string(folder.file("key")).unwrap(), text, "it is left as it is");
    }
    refused(open(&folder.key([0xff, 0xfe, 0x00])), &["no key file"]);
    for text in [format!("vestal-key-1 {good}"), format!("vestal-key-1 {}\r\n", good.to_uppercase())] {
        open(&folder.key(text)).expect("an editor may have touched the end of the line");
    }
}

#[test]
fn an_empty_key_file_is_said_to_be_empty_and_what_to_do_depends_on_the_store() {
    let folder = Folder::new();
    let path = folder.key("");
    assert!(matches!(open(&path), Err(KeyFileError::Empty(_))));
    refused(open(&path), &[&path.display().to_string(), "is empty", "put it back from your backup"]);
    assert!(matches!(create(&path), Err(KeyFileError::NeverWritten(_))));
    refused(create(&path), &["is empty", "nothing was sealed with it", "remove it"]);
    assert_eq!(fs::read(&path).unwrap(), b"", "it is left as it is");
}

#[test]
fn a_key_has_its_name_only_once_it_is_whole_and_nothing_else_is_left() {
    let folder = Folder::new();
    let path = folder.file("key");
    // A start that was cut off before the key had its name.
    fs::write(folder.file("key.new-0000000000000000"), "vestal-key-1 0123").unwrap();
    create(&path).expect("it is made");
    open(&path).expect("it is whole");
    let names: BTreeSet<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["key".into(), "key.new-0000000000000000".into()]));
}

#[test]
fn a_key_that_somebody_else_made_meanwhile_stays() {
    let folder = Folder::new();
    let (new, path) = (folder.file("new"), folder.key("theirs"));
    fs::write(&new, "ours").unwrap();
    let error = super::key_file::publish(&new, &path).expect_err("the name is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
}

#[test]
fn a_keyring_is_made_once_and_opens_with_its_own_key_alone() {
    let folder = Folder::new();
    let store = MemoryStore::new();
    let (key, other) = (create(&folder.file("key")).unwrap(), create(&folder.file("other")).unwrap());
    let first = run(open_or_create_keyring(&store, &key, &SystemEntropy)).expect("it is made");
    let rows = run(store.keyring()).unwrap();
    let again = run(open_or_create_keyring(&store, &key, &SystemEntropy)).expect("it opens");
    assert_eq!((first.current_term(), again.current_term()), (1, 1));
    let place = vault::Place::new(vault::Kind::Secret, "contoso", b"key", "key", None, 0);
    let sealed = first.seal(&place, b"a body", [7; 32]);
    assert_eq!(again.open(&place, sealed.as_bytes()).unwrap().as_slice(), b"a body");
    let Err(error) = run(open_or_create_keyring(&store, &other, &SystemEntropy)) else { panic!("it opens") };
    assert!(matches!(error, KeyringError::Unwrap(1, _)));
    assert!(error.to_string().contains("put the key file back"), "{error}");
    assert_eq!(run(store.keyring()).unwrap(), rows, "nothing is written over it");
}

#[test]
fn a_term_that_was_moved_in_the_store_does_not_open() {
    let folder = Folder::new();
    let store = MemoryStore::new();
    let key = create(&folder.file("key")).unwrap();
    run(open_or_create_keyring(&store, &key, &SystemEntropy)).expect("it is made");
    let mut row = run(store.keyring()).unwrap().remove(0);
    row.term = 2;
    run(store.commit(vec![store::Write::Keyring(row)])).unwrap();
    let moved = run(open_or_create_keyring(&store, &key, &SystemEntropy));
    assert!(matches!(moved, Err(KeyringError::Terms)));
}

#[tokio::test]
async fn a_store_is_not_opened_without_the_key_that_it_was_made_with() {
    let folder = Folder::new();
    let (data, key) = (folder.file("data"), folder.file("data/key"));
    let opened = async || OpenStore::open(&data, &key).await.map(drop);
    opened().await.expect("a new one");
    opened().await.expect("it is there");
    let kept = fs::read(&key).unwrap();

    fs::remove_file(&key).unwrap();
    refused(opened().await, &[&key.display().to_string(), "is missing", "backup"]);
    assert!(!key.exists(), "a new key could open nothing");

    create(&key).expect("another");
    refused(opened().await, &["doesn't open with this key file", "put the key file back"]);

    fs::File::create(&key).unwrap().write_all(&kept[..40]).unwrap();
    refused(opened().await, &["no key file", "backup"]);

    fs::write(&key, kept).unwrap();
    opened().await.expect("the right one");
}

#[tokio::test]
async fn a_store_that_was_lost_is_not_made_anew() {
    for trace in ["key", "audit.jsonl", "my-key"] {
        let folder = Folder::new();
        let data = folder.file("data");
        let key = data.join(if trace == "my-key" { "my-key" } else { "key" });
        let opened = async || OpenStore::open(&data, &key).await.map(drop);
        opened().await.expect("a new one");
        if trace == "audit.jsonl" {
            fs::rename(&key, data.join(trace)).unwrap();
        }
        let store = data.join("store.sqlite");
        let kept = fs::read(&store).unwrap();

        fs::remove_file(&store).unwrap();
        let words = ["store.sqlite", "is missing", "restore the backup", "move the whole folder"];
        refused(opened().await, &words);
        assert!(!store.exists(), "{trace}");
        fs::write(&store, "").unwrap();
        refused(opened().await, &["is empty", "restore the backup", "move the whole folder"]);
        assert_eq!(fs::metadata(&store).unwrap().len(), 0, "{trace}");

        if trace == "audit.jsonl" {
            fs::rename(data.join(trace), &key).unwrap();
        }
        fs::write(&store, kept).unwrap();
        opened().await.expect("it is restored");
    }
}

/// What a kill leaves at each point of a first start.
#[tokio::test]
async fn a_first_start_that_was_cut_off_anywhere_is_made_up_for_by_the_next() {
    let whole = Folder::new();
    let data = whole.file("data");
    OpenStore::open(&data, &data.join("key")).await.map(drop).expect("a new one");
    let before_the_keyring = Folder::new();
    SqliteStore::open(before_the_keyring.path()).map(drop).expect("a new one");
    let store = fs::read(before_the_keyring.file("store.sqlite")).unwrap();
    let key = fs::read(data.join("key")).unwrap();

    let steps: [&[(&str, &[u8])]; 6] = [
        &[],
        &[("store.lock", b"")],
        &[("store.lock", b"77\n"), ("store.sqlite", b"")],
        &[("store.lock", b"77\n"), ("store.sqlite", &store)],
        &[("store.lock", b"77\n"), ("store.sqlite", &store), ("key.new-0123456789abcdef", &key[..20])],
        &[("store.lock", b"77\n"), ("store.sqlite", &store), ("key", &key)],
    ];
    for (number, files) in steps.iter().enumerate() {
        let folder = Folder::new();
        for (name, bytes) in *files {
            fs::write(folder.file(name), bytes).unwrap();
            mode(&folder.file(name), 0o600);
        }
        for _ in 0..2 {
            let opened = OpenStore::open(folder.path(), &folder.file("key")).await;
            opened.map(drop).unwrap_or_else(|error| panic!("after step {number}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_key_that_lies_elsewhere_says_nothing_of_the_folder() {
    let folder = Folder::new();
    let key = folder.file("key");
    for name in ["one", "other"] {
        OpenStore::open(&folder.file(name), &key).await.map(drop).expect("a new store with the key of another");
    }
}
