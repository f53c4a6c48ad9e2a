//! The key file: `vestal-key-1` and 64 hexadecimal digits, in one line.

use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use store::Entropy;
use vault::KeyEncryptionKey;
use zeroize::{Zeroize, Zeroizing};

const HEADER: &str = "vestal-key-1 ";
/// A key file is one short line; more is something else.
const MAX_BYTES: u64 = 256;

/// Why a key file is not used.
#[derive(Debug)]
pub enum KeyFileError {
    /// It, or the folder around it, could be read or replaced by somebody else.
    Exposed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the command that mends it.
        why: String,
    },
    /// It holds no key of ours.
    NotAKey(PathBuf),
    /// It holds nothing, and there is a store that was sealed with what it held.
    Empty(PathBuf),
    /// It holds nothing, and the store beside it holds nothing yet either.
    NeverWritten(PathBuf),
    /// It is missing while there is a store that was sealed with it.
    Missing(PathBuf),
    /// The system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed { path, why } => write!(out, "the key file {} is refused: {why}", path.display()),
            Self::NotAKey(path) => write!(
                out,
                "{} is no key file of Vestal's: it should be one line, `vestal-key-1` and 64 hexadecimal digits; \
                 put the right file back from your backup",
                path.display()
            ),
            Self::Empty(path) => write!(
                out,
                "the key file {} is empty, and the store beside it can't be opened without the key that it held: put \
                 it back from your backup",
                path.display()
            ),
            Self::NeverWritten(path) => write!(
                out,
                "the key file {} is empty, as a power cut may leave it: nothing was sealed with it yet, so remove it, \
                 and start again",
                path.display()
            ),
            Self::Missing(path) => write!(
                out,
                "the key file {} is missing, and the store beside it can't be opened without it: \
                 put it back from your backup, or start with another --dir",
                path.display()
            ),
            Self::Io { path, error } => write!(out, "the key file {} can't be used: {error}", path.display()),
        }
    }
}

impl core::error::Error for KeyFileError {}

/// The key-encryption key of the file, which is made where there is none and `may_create`.
///
/// # Errors
/// A file that is a symbolic link, not ours, or readable by others; a folder around it that others may write.
pub fn open_or_create(path: &Path, may_create: bool, entropy: &dyn Entropy) -> Result<KeyEncryptionKey, KeyFileError> {
    let io = |error| KeyFileError::Io { path: path.to_owned(), error };
    check_folder(path)?;
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !may_create {
                return Err(KeyFileError::Missing(path.to_owned()));
            }
            create(path, entropy).map_err(io)?;
        }
        Err(error) => return Err(io(error)),
    }
    // NOFOLLOW, and the checks are made on the opened file: what is checked is what is read. NONBLOCK: a pipe is refused
    // below, and not waited for here.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut file =
        OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0)).open(path).map_err(
            |error| {
                if path.is_symlink() {
                    exposed(path, "it is a symbolic link; name the file itself with [store] key_file")
                } else {
                    io(error)
                }
            },
        )?;
    check_file(path, &file)?;
    // Room for more than is read: a buffer that grew would leave a copy of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize * 2));
    Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.is_empty() {
        let path = path.to_owned();
        return Err(if may_create { KeyFileError::NeverWritten(path) } else { KeyFileError::Empty(path) });
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(KeyFileError::NotAKey(path.to_owned()));
    }
    let text = core::str::from_utf8(&bytes).unwrap_or_default();
    let key = parse(text.trim_end()).ok_or_else(|| KeyFileError::NotAKey(path.to_owned()))?;
    KeyEncryptionKey::new("file", &key).map_err(|_| KeyFileError::NotAKey(path.to_owned()))
}

fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key);
    let mut line = Zeroizing::new(String::with_capacity(HEADER.len() + 65));
    line.push_str(HEADER);
    for byte in key.iter() {
        for nibble in [byte >> 4, byte & 15] {
            line.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    line.push('\n');
    // Under a name that nobody else has; the key's own name leads to a whole key or to nothing, whenever the power goes.
    let new = {
        let mut number = [0; 8];
        entropy.fill(&mut number);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{:016x}", u64::from_be_bytes(number)));
        path.with_file_name(name)
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| publish(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    // The name must survive a power cut too: a store without its key is lost.
    File::open(parent(path))?.sync_all()
}

/// Gives the file its name, unless another has that name: a key that somebody else just made stays.
pub(super) fn publish(new: &Path, path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, new, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A file system that doesn't know such a renaming, as on a network.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(new, path)?;
            fs::remove_file(new)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(line: &str) -> Option<Zeroizing<[u8; 32]>> {
    let digits = line.strip_prefix(HEADER)?.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    if key.iter().all(|byte| *byte == 0) {
        key.zeroize();
        return None;
    }
    Some(key)
}

fn check_folder(path: &Path) -> Result<(), KeyFileError> {
    let folder = parent(path);
    let metadata = fs::metadata(folder).map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    // Root may do everything anyway.
    let (owner, we_are) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != we_are && owner != 0 {
        let why = format!(
            "its folder {} belongs to user {owner}, who could put another key there, and we are user {we_are}; \
             change the folder's owner",
            folder.display()
        );
        return Err(exposed(path, &why));
    }
    if metadata.mode() & 0o022 != 0 {
        let why = format!("others may write in its folder; run `chmod go-w {}`", folder.display());
        return Err(exposed(path, &why));
    }
    Ok(())
}

fn check_file(path: &Path, file: &File) -> Result<(), KeyFileError> {
    let metadata = file.metadata().map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    let we_are = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(exposed(path, "it is not a regular file"));
    }
    if metadata.uid() != we_are {
        let why = format!("it belongs to user {} and we are user {we_are}; change its owner", metadata.uid());
        return Err(exposed(path, &why));
    }
    if metadata.mode() & 0o077 != 0 {
        let why = format!(
            "others can read it (mode {:03o}); run `chmod 600 {}`, and think of its key as known to them",
            metadata.mode() & 0o777,
            path.display()
        );
        return Err(exposed(path, &why));
    }
    Ok(())
}

fn exposed(path: &Path, why: &str) -> KeyFileError {
    KeyFileError::Exposed { path: path.to_owned(), why: why.to_owned() }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
