//! What stands beside a token's file: whose it is, when it dies, and which value it speaks of.
//!
//! ```json
//! {
//!   "token": "0123456789abcdef0123456789abcdef",
//!   "generation": 7,
//!   "expires": 1800003600,
//!   "renewed_at": 1800000000,
//!   "provider": "hourly",
//!   "sha256": "…",
//!   "superseded": { "token": …, "sha256": "…", "inode": 12, "changed": [1799996400, 7] }
//! }
//! ```
//!
//! Times are Unix seconds; `expires` is `null` where no end is known. The sidecar is replaced before the value is. What
//! it says is true only of a value with the digest `sha256`, so that it never makes ours what isn't. Until the value is
//! replaced too, the one that is still there is that which `superseded` speaks of: told by its digest and by its very
//! file, so that the same value put back later by somebody else isn't taken for it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};
use store::{Mark, Parcel};

/// The largest sidecar that is written or read.
pub(super) const LARGEST_SIDECAR_BYTES: usize = 16_384;

/// A sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    #[serde(flatten)]
    newest: Note,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    superseded: Option<Superseded>,
}

/// What is said of one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    token: String,
    generation: u64,
    pub(super) expires: Option<i64>,
    renewed_at: i64,
    provider: String,
    sha256: String,
}

/// The value that is there until the newest one takes its place, and the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Superseded {
    #[serde(flatten)]
    note: Note,
    inode: u64,
    changed: [i64; 2],
}

impl Sidecar {
    /// The sidecar that goes with a parcel. `before` is what was said of the file that the parcel's value will replace.
    pub(super) fn new(parcel: &Parcel, before: Option<(Note, &Metadata)>) -> Self {
        let newest = Note {
            token: parcel.mark.token.clone(),
            generation: parcel.mark.generation,
            expires: parcel.expires,
            renewed_at: parcel.renewed_at,
            provider: parcel.provider.clone(),
            sha256: sha256(parcel.value.expose()),
        };
        let superseded = before.map(|(note, file)| Superseded { note, inode: file.ino(), changed: changed(file) });
        Self { newest, superseded }
    }

    /// Reads one. What isn't one says nothing.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The file's content.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers have a form in JSON");
        bytes.push(b'\n');
        bytes
    }

    /// What is said of the newest value.
    pub(super) fn newest(&self) -> &Note {
        &self.newest
    }

    /// What is said of the value that this file holds; `None` where it is somebody else's.
    pub(super) fn of(self, value: &[u8], file: &Metadata) -> Option<Note> {
        let sha256 = sha256(value);
        if self.newest.sha256 == sha256 {
            return Some(self.newest);
        }
        let Superseded { note, inode, changed: at } = self.superseded?;
        (note.sha256 == sha256 && inode == file.ino() && at == changed(file)).then_some(note)
    }
}

impl Note {
    pub(super) fn mark(&self) -> Mark {
        Mark { token: self.token.clone(), generation: self.generation }
    }

    /// The version's id: another value, mark or end is another version.
    pub(super) fn version(&self) -> String {
        let facts = serde_json::to_vec(self).expect("texts and numbers have a form in JSON");
        hex(&digest(&SHA256, &facts).as_ref()[..16])
    }
}

/// The id of a version that somebody else wrote. The time and the inode are part of it, so that each is another one, and
/// so that nobody who sees the id can try out values that people think up.
pub(super) fn foreign_version(value: &[u8], file: &Metadata) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"somebody else's");
    for number in [file.ino().cast_signed(), file.mtime(), file.mtime_nsec()] {
        context.update(&number.to_be_bytes());
    }
    context.update(value);
    hex(&context.finish().as_ref()[..16])
}

fn changed(file: &Metadata) -> [i64; 2] {
    [file.ctime(), file.ctime_nsec()]
}

fn sha256(value: &[u8]) -> String {
    hex(digest(&SHA256, value).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use secret::Secret;

    use super::*;

    #[test]
    fn a_sidecar_says_the_same_after_it_was_stored() {
        let parcel = |generation| Parcel {
            value: Secret::copy_of(b"abc"),
            expires: None,
            mark: Mark { token: "0123456789abcdef0123456789abcdef".to_owned(), generation },
            provider: "hourly".to_owned(),
            renewed_at: 5,
        };
        let file = std::fs::metadata(".").expect("we are somewhere");
        let first = Sidecar::new(&parcel(u64::MAX), None);
        assert_eq!(Sidecar::parse(&first.to_bytes()), Some(first.clone()));
        let second = Sidecar::new(&parcel(7), Some((first.newest().clone(), &file)));
        assert_eq!(Sidecar::parse(&second.to_bytes()), Some(second.clone()));
        assert_eq!(second.newest().sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_ne!(first.newest().version(), second.newest().version());
    }

    #[test]
    fn what_is_no_sidecar_says_nothing() {
        for bytes in [&b""[..], b"{}", b"[]", b"\xff", b"{\"token\":1}", b"{\"token\":\"a\",\"generation\":-1}"] {
            assert_eq!(Sidecar::parse(bytes), None);
        }
        assert_eq!(Sidecar::parse(&vec![b'['; LARGEST_SIDECAR_BYTES]), None);
    }
}
