//! The file that an import writes: whole, and in its place at once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::exit::Exit;
use crate::cli::problem::Problem;

pub(super) fn there_already(out: &Path) -> Problem {
    Problem::new(Exit::Refused, format!("{} is there already", out.display()))
        .help("name another file with --out, look at the result with --out -, or write over it with --force")
}

/// A file that is whole, beside the place that it is for. It is taken away unless it is put there.
pub(super) struct NewFile(PathBuf);

impl NewFile {
    pub(super) fn beside(out: &Path, text: &str) -> Result<Self, Problem> {
        let mut beside = behind_link(out).into_os_string();
        beside.push(format!(".{}.new", std::process::id()));
        let new = Self(PathBuf::from(beside));
        let written = fs::File::create(&new.0).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        match written {
            Ok(()) => Ok(new),
            Err(error) => Err(unwritable(out, &error).help("nothing was written; name another file with --out")),
        }
    }

    pub(super) fn put_in_place(self, out: &Path, force: bool) -> Result<(), Problem> {
        let place = behind_link(out);
        let moved = if force {
            fs::rename(&self.0, &place)
        } else {
            // Unlike a rename, this doesn't replace what has come there meanwhile.
            match fs::hard_link(&self.0, &place) {
                // Not every file system has links.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !place.exists() => {
                    fs::rename(&self.0, &place)
                }
                linked => linked,
            }
        };
        moved.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => there_already(out),
            _ => unwritable(out, &error),
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The file itself, where its name is a link to it.
fn behind_link(out: &Path) -> PathBuf {
    if out.is_symlink() { fs::canonicalize(out).unwrap_or_else(|_| out.to_owned()) } else { out.to_owned() }
}

fn unwritable(out: &Path, error: &io::Error) -> Problem {
    Problem::io(format!("{} can't be written", out.display()), error)
}
