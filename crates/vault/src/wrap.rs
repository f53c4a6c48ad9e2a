//! How a term's seed is kept: wrapped by the key-encryption key, which lives elsewhere.

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::keyring::Seed;

/// Longest id of a key-encryption key, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 255;

const VERSION: u8 = 1;
const WRAP_INFO: &[u8] = b"vestal/keyring/1";
const SEED_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The key that wraps the seeds, and its name. Another key source later only wraps the seeds anew.
pub struct KeyEncryptionKey {
    id: Box<str>,
    key: LessSafeKey,
}

impl KeyEncryptionKey {
    /// Takes a key of 32 random bytes, of which the caller wipes its own copy, and what it is called: 1 to 255 printable ASCII characters without a space,
    /// not secret, the same for as long as the key is.
    ///
    /// # Errors
    /// [`KeyIdError`] if the id is anything else.
    pub fn new(id: &str, key: &[u8; 32]) -> Result<Self, KeyIdError> {
        if !(1..=MAX_KEY_ID_BYTES).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyIdError);
        }
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes a key of 32 bytes");
        Ok(Self { id: id.into(), key: LessSafeKey::new(key) })
    }

    /// What the key is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Wraps the seed of a term. `nonce` is random, and never used twice with this key.
    pub fn wrap(&self, term: u32, seed: &Seed, nonce: [u8; NONCE_LEN]) -> WrappedSeed {
        let head = 1 + 4 + 1 + self.id.len() + NONCE_LEN;
        let mut bytes = Vec::with_capacity(head + SEED_BYTES + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&term.to_be_bytes());
        bytes.push(u8::try_from(self.id.len()).expect("an id has at most 255 bytes"));
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&nonce);
        // Encrypted where it stands, so that no clear copy is left.
        bytes.extend_from_slice(seed.expose());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(term, &self.id)),
                &mut bytes[head..],
            )
            .expect("AES-GCM seals any text below 64 GiB");
        bytes.extend_from_slice(tag.as_ref());
        WrappedSeed(bytes.into())
    }

    /// Unwraps a seed; [`WrappedSeed::term`] says which term's it is.
    ///
    /// # Errors
    /// [`UnwrapError`] says whether it needs another key or was altered.
    pub fn unwrap(&self, wrapped: &WrappedSeed) -> Result<Seed, UnwrapError> {
        let parts = Parts::of(&wrapped.0)?;
        if parts.key_id != &*self.id {
            return Err(UnwrapError::OtherKey { needs: parts.key_id.to_owned(), has: self.id.to_string() });
        }
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        self.key
            .open_separate_gather(
                Nonce::assume_unique_for_key(*parts.nonce),
                Aad::from(associated_data(parts.term, parts.key_id)),
                parts.ciphertext,
                parts.tag,
                &mut seed[..],
            )
            .map_err(|_| UnwrapError::Altered)?;
        Ok(Seed::new(&seed))
    }
}

/// A term's seed as it is stored, wrapped by a key-encryption key. Integers are big-endian.
///
/// ```text
/// version     u8 = 1
/// term        u32
/// key id      u8 length | ASCII
/// nonce       12 random bytes
/// ciphertext  32 bytes
/// tag         16 bytes
///
/// ciphertext, tag = AES-256-GCM(key-encryption key, nonce, plaintext = the seed,
///                               associated data = "vestal/keyring/1" || term || key id)
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedSeed(Box<[u8]>);

impl WrappedSeed {
    /// Takes a wrapped seed that was stored. Only its shape is looked at.
    ///
    /// # Errors
    /// [`UnwrapError::Length`], [`UnwrapError::Version`] or [`UnwrapError::KeyId`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, UnwrapError> {
        Parts::of(&bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The wrapped seed as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Which term's seed it is, by its own word until it is unwrapped.
    pub fn term(&self) -> u32 {
        self.parts().term
    }

    /// Which key-encryption key it needs.
    pub fn key_id(&self) -> &str {
        self.parts().key_id
    }

    fn parts(&self) -> Parts<'_> {
        Parts::of(&self.0).expect("the shape was checked when the value was made")
    }
}

impl fmt::Debug for WrappedSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedSeed(term {}, key {:?})", self.term(), self.key_id())
    }
}

struct Parts<'a> {
    term: u32,
    key_id: &'a str,
    nonce: &'a [u8; NONCE_LEN],
    ciphertext: &'a [u8; SEED_BYTES],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, UnwrapError> {
        let wrong_length = UnwrapError::Length(bytes.len());
        let Some((&version, rest)) = bytes.split_first() else {
            return Err(wrong_length);
        };
        if version != VERSION {
            return Err(UnwrapError::Version(version));
        }
        let Some((term, rest)) = rest.split_first_chunk() else {
            return Err(wrong_length);
        };
        let Some((id_length, rest)) = rest.split_first() else {
            return Err(wrong_length);
        };
        let Some((id, rest)) = rest.split_at_checked(usize::from(*id_length)) else {
            return Err(wrong_length);
        };
        let Some((nonce, rest)) = rest.split_first_chunk() else {
            return Err(wrong_length);
        };
        let Some((ciphertext, rest)) = rest.split_first_chunk() else {
            return Err(wrong_length);
        };
        let Ok(tag) = rest.try_into() else {
            return Err(wrong_length);
        };
        let key_id = core::str::from_utf8(id).map_err(|_| UnwrapError::KeyId)?;
        Ok(Self { term: u32::from_be_bytes(*term), key_id, nonce, ciphertext, tag })
    }
}

fn associated_data(term: u32, key_id: &str) -> Vec<u8> {
    [WRAP_INFO, &term.to_be_bytes(), key_id.as_bytes()].concat()
}

/// A text can't name a key-encryption key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyIdError;

impl fmt::Display for KeyIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key's id is 1 to {MAX_KEY_ID_BYTES} printable ASCII characters without a space")
    }
}

impl core::error::Error for KeyIdError {}

/// Why a seed was not unwrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnwrapError {
    /// No wrapped seed has this many bytes and this id.
    Length(usize),
    /// A version of the format that this program doesn't know.
    Version(u8),
    /// The key's id is not text.
    KeyId,
    /// The seed was wrapped by another key.
    OtherKey {
        /// The id of the key that wrapped it.
        needs: String,
        /// The id of the key at hand.
        has: String,
    },
    /// The key has the right id and didn't wrap this seed, or what is stored was altered.
    Altered,
}

impl fmt::Display for UnwrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(_) | Self::KeyId => {
                f.write_str("the keyring's row is damaged; restore the store from a backup")
            }
            Self::Version(version) => write!(
                f,
                "the keyring's row has format {version} and this program knows {VERSION}; run the version that wrote it"
            ),
            Self::OtherKey { needs, has } => write!(
                f,
                "the keyring is wrapped by the key {needs:?}, and the key at hand is {has:?}; give the key that \
                 belongs to this store"
            ),
            Self::Altered => f.write_str(
                "the key didn't wrap this keyring, or the keyring's row was altered; give the key that belongs to \
                 this store, or restore the store from a backup",
            ),
        }
    }
}

impl core::error::Error for UnwrapError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> KeyEncryptionKey {
        KeyEncryptionKey::new(id, &[1; 32]).unwrap()
    }

    fn wrapped() -> WrappedSeed {
        key("file:1").wrap(7, &Seed::new(&[9; 32]), [2; 12])
    }

    #[test]
    fn a_seed_comes_back_from_its_wrapping() {
        let stored = WrappedSeed::from_bytes(wrapped().as_bytes().to_vec()).unwrap();
        assert_eq!((stored.term(), stored.key_id()), (7, "file:1"));
        assert_eq!(key("file:1").unwrap(&stored).map(|seed| *seed.expose()), Ok([9; 32]));
    }

    #[test]
    fn every_flipped_bit_of_a_wrapped_seed_is_noticed() {
        let whole = wrapped();
        for bit in 0..whole.as_bytes().len() * 8 {
            let mut bytes = whole.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let unwrapped = WrappedSeed::from_bytes(bytes).and_then(|wrapped| key("file:1").unwrap(&wrapped));
            assert!(unwrapped.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_other_length_of_a_wrapped_seed_is_noticed() {
        let whole = wrapped();
        for length in 0..whole.as_bytes().len() {
            let cut = whole.as_bytes()[..length].to_vec();
            assert_eq!(WrappedSeed::from_bytes(cut).map(|_| ()), Err(UnwrapError::Length(length)));
        }
        let longer = [whole.as_bytes(), &[0]].concat();
        assert_eq!(WrappedSeed::from_bytes(longer), Err(UnwrapError::Length(whole.as_bytes().len() + 1)));
    }

    #[test]
    fn a_key_of_another_name_is_told_from_a_wrong_key() {
        let other_name = key("file:2").unwrap(&wrapped()).map(|_| ());
        let needs_and_has = UnwrapError::OtherKey { needs: "file:1".to_owned(), has: "file:2".to_owned() };
        assert_eq!(other_name, Err(needs_and_has));
        let wrong = KeyEncryptionKey::new("file:1", &[3; 32]).unwrap();
        assert_eq!(wrong.unwrap(&wrapped()).map(|_| ()), Err(UnwrapError::Altered));
    }

    #[test]
    fn a_key_id_is_short_printable_ascii() {
        let longest = "a".repeat(MAX_KEY_ID_BYTES);
        for id in ["a", "https://contoso.vault.azure.net/keys/vestal/0123", &longest] {
            let key =
                KeyEncryptionKey::new(id, &[1; 32]).map_err(|error| error.to_string()).map(|key| key.id().to_owned());
            assert_eq!(key.as_deref(), Ok(id));
        }
        for id in ["", "a b", "a\n", "é", &"a".repeat(MAX_KEY_ID_BYTES + 1)] {
            assert!(KeyEncryptionKey::new(id, &[1; 32]).is_err(), "{id:?}");
        }
    }
}
