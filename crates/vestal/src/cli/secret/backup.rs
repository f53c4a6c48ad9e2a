//! `secret backup` and `restore`: a secret with all its versions in a file that only this Vestal can open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::exit::Exit;
use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use crate::admin::wire::{SecretBackup, SecretView};

#[derive(Args)]
#[command(after_help = "\
The backup is sealed: it opens with this Vestal's data folder and key file alone. It goes to standard output without --out.
Next: `vestal secret restore FILE` brings it back, here or into another vault of this Vestal.")]
pub(crate) struct BackupArguments {
    /// The secret: NAME, or VAULT/NAME
    name: Named,
    /// The file to write, for its owner alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

#[derive(Args)]
#[command(after_help = "Names that are taken are left alone, those of deleted secrets too.")]
pub(crate) struct RestoreArguments {
    /// The file that `vestal secret backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn back_up(arguments: &BackupArguments, session: &mut Session) -> Result<(), Problem> {
    let BackupArguments { name, out, force } = arguments;
    if let Some(out) = out
        && !force
        && out.symlink_metadata().is_ok()
    {
        return Err(there_already(out));
    }
    let client = session.client()?;
    let path = session.secret_path(&client, name)?;
    let backup: SecretBackup = client.post(&format!("{path}/backup"))?;
    if let Some(out) = out {
        write_private(out, backup.value.as_bytes(), *force).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => there_already(out),
            _ => Problem::io(format!("{} can't be written", out.display()), &error),
        })?;
        if session.json {
            return session.output.json(&serde_json::json!({ "out": out.display().to_string() }));
        }
        return session.output.note(&format!("{} is written.", out.display()));
    }
    if session.json { session.output.json(&backup) } else { session.output.line(&backup.value) }
}

pub(super) fn restore(arguments: &RestoreArguments, session: &mut Session) -> Result<(), Problem> {
    let file = &arguments.file;
    let value = read(file)?;
    let client = session.client()?;
    let vault = session.one_vault(&client)?;
    let backup = SecretBackup { value: value.trim().to_owned() };
    let restored: SecretView = client.post_json(&format!("/vaults/{vault}/restore"), &backup)?;
    if session.json {
        return session.output.json(&restored);
    }
    session.output.note(&format!("{}/{} is restored with all its versions.", restored.vault, restored.name))
}

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = keyvault::MAX_RESTORE_BYTES as u64;

fn read(path: &Path) -> Result<String, Problem> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    let no_backup = || Problem::usage(format!("{} is no backup of a secret", path.display()));
    match read {
        Ok(length) if length as u64 > MAX_BYTES => Err(no_backup()),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(no_backup()),
        Err(error) => Err(Problem::unreadable(path, &error)),
    }
}

/// Writes a file that is whole or not there, for its owner alone. What is there, a link too, is replaced with `force` alone.
fn write_private(out: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    let mut beside = out.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    // One may be left of a crash: in a container the number is the same each time.
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| put(&beside, out, force));
    if written.is_err() {
        // What is left of it is no backup.
        let _ = fs::remove_file(&beside);
    }
    written?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Gives the file its name.
fn put(beside: &Path, out: &Path, force: bool) -> io::Result<()> {
    if !force {
        // Unlike a rename, this doesn't replace what has come there meanwhile.
        match fs::hard_link(beside, out) {
            Ok(()) => return fs::remove_file(beside),
            // Not every file system has links.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || out.symlink_metadata().is_ok() => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
    fs::rename(beside, out)
}

fn there_already(out: &Path) -> Problem {
    Problem::new(Exit::Refused, format!("{} is there already", out.display()))
        .help("name another file with --out, or write over it with --force")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_backup_is_for_its_owner_alone_and_replaces_nothing_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let (out, link) = (folder.path().join("out"), folder.path().join("link"));
        fs::write(folder.path().join(format!("out.{}.new", std::process::id())), "left of a crash").unwrap();
        write_private(&out, b"one", false).unwrap();
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        symlink(&out, &link).unwrap();
        for there in [&out, &link] {
            let refused = write_private(there, b"two", false).unwrap_err();
            assert_eq!((refused.kind(), read(&out).unwrap().as_str()), (io::ErrorKind::AlreadyExists, "one"));
        }
        write_private(&link, b"two", true).unwrap();
        assert_eq!(read(&out).unwrap(), "one", "the link was replaced, and not followed");
        assert!(link.symlink_metadata().unwrap().is_file());
        write_private(&out, b"three", true).unwrap();
        assert_eq!(read(&out).unwrap(), "three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
    }

    #[test]
    fn what_is_longer_than_any_backup_is_not_read_to_its_end() {
        let problem = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(problem.exit(), Exit::Usage);
    }
}
