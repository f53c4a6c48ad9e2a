//! The folder itself.

use core::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A folder that is ours and that nobody else can read.
#[derive(Clone, Debug)]
pub struct DataFolder(PathBuf);

/// Why a folder can't hold Vestal's data.
#[derive(Debug)]
pub enum FolderError {
    /// It is no folder.
    NotAFolder(PathBuf),
    /// It belongs to another user.
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Ours.
        we_are: u32,
    },
    /// Others can read or write it.
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The system refused.
    Io {
        /// The folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFolder(path) => {
                write!(out, "{} is not a folder: name another one with --dir, or move that file", path.display())
            }
            Self::Foreign { path, owner, we_are } => write!(
                out,
                "{} belongs to user {owner}, and Vestal runs as user {we_are}: run it as that user, \
                 or name a folder of your own with --dir",
                path.display()
            ),
            Self::Open { path, mode } => write!(
                out,
                "{} can be read or written by others (mode {mode:03o}): run `chmod 700 {}`",
                path.display(),
                path.display()
            ),
            Self::Io { path, error } => {
                write!(out, "{} can't be used: {error}; name another folder with --dir", path.display())
            }
        }
    }
}

impl core::error::Error for FolderError {}

impl DataFolder {
    /// Makes the folder where there is none (mode 0700), and checks that it is ours alone.
    ///
    /// # Errors
    /// Why it can't be used, with the next step.
    pub fn open_or_create(path: &Path) -> Result<Self, FolderError> {
        let io = |error| FolderError::Io { path: path.to_owned(), error };
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Ok(()) => {}
            Err(_) if path.exists() && !path.is_dir() => return Err(FolderError::NotAFolder(path.to_owned())),
            Err(error) => return Err(io(error)),
        }
        let path = fs::canonicalize(path).map_err(io)?;
        let metadata = fs::metadata(&path).map_err(io)?;
        let we_are = rustix::process::geteuid().as_raw();
        if metadata.uid() != we_are {
            return Err(FolderError::Foreign { path, owner: metadata.uid(), we_are });
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(FolderError::Open { path, mode });
        }
        Ok(Self(path))
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The socket of the running process's admin API.
    pub fn control_socket(&self) -> PathBuf {
        self.file("control.sock")
    }
}
