//! The sealed record, the form of everything that is stored.

use core::fmt;

use crate::hex::Digits;

/// A body is padded to a multiple of this before it is sealed, so that its length says little.
pub const PADDING_BYTES: usize = 256;
/// What a record has beside the padded body, in bytes.
pub const RECORD_OVERHEAD_BYTES: usize = TEXT_AT + TAG_BYTES;
/// Longest body that can be sealed. What callers accept is far less.
pub const MAX_BODY_BYTES: usize = 1 << 30;

pub(crate) const VERSION: u8 = 1;
pub(crate) const TERM_AT: usize = 1;
pub(crate) const SALT_AT: usize = 5;
pub(crate) const COMMITMENT_AT: usize = 37;
pub(crate) const TEXT_AT: usize = 69;
pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const LENGTH_BYTES: usize = 4;

/// A sealed record. Made by [`Keyring::seal`](crate::Keyring::seal), opened by [`Keyring::open`](crate::Keyring::open).
///
/// ```text
///  0  version     u8 = 1
///  1  term        u32, big-endian: which seed of the keyring
///  5  salt        32 random bytes, fresh for each record
/// 37  commitment  32 bytes
/// 69  ciphertext  a multiple of 256 bytes
/// end of it: tag  16 bytes
///
/// okm        = HKDF-SHA-256-Expand(PRK = seed, info = "vestal/record/1" || salt, L = 64)     RFC 5869
/// commitment = okm[32..64]
/// ciphertext, tag = AES-256-GCM(key = okm[0..32], nonce = 12 zero bytes,
///                               associated data = version || term || the fields of the Place,
///                               plaintext = u32 length || body || zeros to a multiple of 256)
/// ```
///
/// The key seals this one record, which is why its nonce can be zero. The commitment says, before anything is
/// decrypted, that this key and no other made the record; AES-GCM alone does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Box<[u8]>);

impl Sealed {
    /// Takes a record that was stored. Only its shape is looked at; whether it is genuine shows when it is opened.
    ///
    /// # Errors
    /// [`NotARecord`] if the version is unknown or the length impossible.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, NotARecord> {
        Parts::of(&bytes)?;
        Ok(Self(bytes.into()))
    }

    /// What stands in a row until the row is sealed, since its place is made from the row's own columns. It has a
    /// record's shape and opens nowhere: its term is 0, which no keyring has.
    pub fn pending() -> Self {
        let mut bytes = vec![0; RECORD_OVERHEAD_BYTES + PADDING_BYTES];
        bytes[0] = VERSION;
        Self(bytes.into())
    }

    /// The record as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The term whose seed sealed the record.
    pub fn term(&self) -> u32 {
        u32::from_be_bytes(self.array(TERM_AT))
    }

    /// What names exactly this record and no other, earlier or later, in its place.
    pub fn tag(&self) -> RecordTag {
        RecordTag(self.array(COMMITMENT_AT))
    }

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        debug_assert!(Parts::of(&bytes).is_ok());
        Self(bytes.into())
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.0[at..at + N]);
        array
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes, term {}, {:?})", self.0.len(), self.term(), self.tag())
    }
}

/// A record's commitment, which names the record: each has a fresh salt, and so another commitment. Not secret. A
/// compare-and-set compares it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordTag(pub [u8; 32]);

impl fmt::Debug for RecordTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordTag({}…)", Digits(&self.0[..8]))
    }
}

/// The parts of a record, in the order in which they stand.
pub(crate) struct Parts<'a> {
    pub(crate) term: u32,
    pub(crate) salt: &'a [u8; 32],
    pub(crate) commitment: &'a [u8; 32],
    pub(crate) ciphertext: &'a [u8],
    pub(crate) tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    pub(crate) fn of(record: &'a [u8]) -> Result<Self, NotARecord> {
        let wrong_length = NotARecord::Length(record.len());
        let (version, rest) = record.split_first().ok_or(wrong_length)?;
        if *version != VERSION {
            return Err(NotARecord::Version(*version));
        }
        let (term, rest) = rest.split_first_chunk().ok_or(wrong_length)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(wrong_length)?;
        let (commitment, rest) = rest.split_first_chunk().ok_or(wrong_length)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(wrong_length)?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(PADDING_BYTES) {
            return Err(wrong_length);
        }
        Ok(Self { term: u32::from_be_bytes(*term), salt, commitment, ciphertext, tag })
    }
}

/// Why bytes can't be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotARecord {
    /// No record has this many bytes.
    Length(usize),
    /// A version of the format that this program doesn't know.
    Version(u8),
}

impl fmt::Display for NotARecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => {
                write!(f, "{length} bytes are no whole record: the store is damaged; restore it from a backup")
            }
            Self::Version(version) => write!(
                f,
                "the record has format {version} and this program knows {VERSION}: run the version that wrote it, or \
                 restore the store from a backup if there is none"
            ),
        }
    }
}

impl core::error::Error for NotARecord {}

/// Why a record didn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The bytes can't be a record.
    NotARecord(NotARecord),
    /// The keyring has no seed of this term.
    UnknownTerm(u32),
    /// The seed that the keyring has for this term didn't seal the record, or its head was altered.
    WrongKey(u32),
    /// The record was altered, or it belongs to another place, or a clear column beside it was altered.
    Altered,
    /// The record is genuine, and its padding is wrong: the program that sealed it was at fault.
    Padding,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecord(reason) => reason.fmt(f),
            Self::UnknownTerm(term) => write!(
                f,
                "the record is sealed under term {term}, which the keyring doesn't have: restore the keyring's row"
            ),
            Self::WrongKey(term) => write!(
                f,
                "the record was not sealed by the keyring's seed of term {term}: the key belongs to another store, or \
                 the record was altered"
            ),
            Self::Altered => f.write_str(
                "the record or a column beside it was altered outside Vestal: restore the row from a backup",
            ),
            Self::Padding => f.write_str("the record was sealed by a faulty program: set its content anew"),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<NotARecord> for OpenError {
    fn from(reason: NotARecord) -> Self {
        Self::NotARecord(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(ciphertext: usize) -> Vec<u8> {
        let mut bytes = vec![0; RECORD_OVERHEAD_BYTES + ciphertext];
        bytes[0] = VERSION;
        bytes
    }

    #[test]
    fn only_what_has_the_shape_of_a_record_is_taken() {
        assert!(Sealed::from_bytes(shaped(256)).is_ok());
        assert!(Sealed::from_bytes(shaped(512)).is_ok());
        for length in [0, 1, 255, 257] {
            let whole = length + RECORD_OVERHEAD_BYTES;
            assert_eq!(Sealed::from_bytes(shaped(length)), Err(NotARecord::Length(whole)), "{length}");
        }
        assert_eq!(Sealed::from_bytes(Vec::new()), Err(NotARecord::Length(0)));
        let mut newer = shaped(256);
        newer[0] = 2;
        assert_eq!(Sealed::from_bytes(newer), Err(NotARecord::Version(2)));
    }

    #[test]
    fn a_record_is_named_by_its_term_and_commitment() {
        let mut bytes = shaped(256);
        bytes[1..5].copy_from_slice(&[0, 0, 1, 2]);
        bytes[37..69].fill(0xab);
        let sealed = Sealed::from_bytes(bytes).unwrap();
        assert_eq!(sealed.term(), 258);
        assert_eq!(sealed.tag(), RecordTag([0xab; 32]));
        assert_eq!(format!("{sealed:?}"), "Sealed(341 bytes, term 258, RecordTag(abababababababab…))");
    }

    #[test]
    fn a_pending_record_has_the_shape_and_no_term() {
        let pending = Sealed::pending();
        assert_eq!((pending.term(), pending.tag()), (0, RecordTag([0; 32])));
        assert_eq!(Sealed::from_bytes(pending.as_bytes().to_vec()), Ok(pending));
    }
}
