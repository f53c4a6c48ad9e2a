//! The place that a record is bound to.

use crate::name::VersionId;
use crate::record::{SALT_AT, TERM_AT, VERSION};

/// What a record holds. The number is bound into the record and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// The one row about the store itself.
    Meta = 1,
    // 2 would be the keyring, whose rows are not records but wrapped seeds.
    /// A secret: what all its versions share.
    Secret = 3,
    /// One version of a secret.
    Version = 4,
    /// A managed token.
    Token = 5,
    /// A lane.
    Lane = 6,
    /// One attempt of a token's history.
    Attempt = 7,
    /// What an operator declared: a vault, provider, token, app, policy or alert.
    Definition = 8,
    /// A refresh token or the like.
    CredentialState = 9,
    /// A provider's answer, before anything has read it.
    Landing = 10,
    /// What became of a token at one target.
    Delivery = 11,
    /// A secret that was deleted and can still be recovered.
    DeletedSecret = 12,
    /// A secret with all its versions, in a client's hands.
    Backup = 13,
}

/// Where a record stands: everything that names it, and every clear column beside it that must not change unseen.
///
/// A record opens only at the place that it was sealed for. The place is not stored; whoever reads the row builds it
/// again, in the same order. As associated data it follows the record's version (u8) and term (u32). Each field is a
/// u32 length and that many bytes, integers big-endian:
///
/// ```text
/// vault id | kind (u8) | primary key | name in lower case | version id (16 bytes, or none) | generation (u64) |
/// each clear column
/// ```
///
/// A record that has no vault, key, name or version has that field empty, and its generation is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    fields: Vec<u8>,
}

impl Place {
    /// A place without clear columns. `name` is in lower case.
    pub fn new(kind: Kind, vault: &str, key: &[u8], name: &str, version: Option<&VersionId>, generation: u64) -> Self {
        debug_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "names are bound in lower case");
        let version: &[u8] = version.map_or(&[], |version| version.as_bytes());
        let length = 6 * 4 + vault.len() + 1 + key.len() + name.len() + version.len() + 8;
        let mut place = Self { fields: Vec::with_capacity(length + ROOM_FOR_COLUMNS) };
        for field in [vault.as_bytes(), &[kind as u8], key, name.as_bytes(), version, &generation.to_be_bytes()] {
            place.push(field);
        }
        place
    }

    /// Adds a clear column. One that is null is the empty field.
    #[must_use]
    pub fn column(mut self, bytes: &[u8]) -> Self {
        self.push(bytes);
        self
    }

    /// Adds a clear column that holds a number: 8 bytes.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.column(&number.to_be_bytes())
    }

    /// Adds a clear column that holds a number or null, which is the empty field.
    #[must_use]
    pub fn optional_number(self, number: Option<i64>) -> Self {
        match number {
            Some(number) => self.number(number),
            None => self.column(&[]),
        }
    }

    /// Adds a clear column that holds yes or no: one byte, 1 or 0.
    #[must_use]
    pub fn flag(self, flag: bool) -> Self {
        self.column(&[u8::from(flag)])
    }

    /// Hands the associated data of a record of this term to `with`. It stands on the stack unless it is very long:
    /// this is done on each read.
    pub(crate) fn associated_data<R>(&self, term: u32, with: impl FnOnce(&[u8]) -> R) -> R {
        let length = SALT_AT + self.fields.len();
        let mut short = [0; 512];
        let mut long = Vec::new();
        let bytes = match short.get_mut(..length) {
            Some(bytes) => bytes,
            None => {
                long.resize(length, 0);
                &mut long[..]
            }
        };
        bytes[0] = VERSION;
        bytes[TERM_AT..SALT_AT].copy_from_slice(&term.to_be_bytes());
        bytes[SALT_AT..].copy_from_slice(&self.fields);
        with(bytes)
    }

    fn push(&mut self, field: &[u8]) {
        let length = u32::try_from(field.len()).expect("no field of a place is 4 GiB long");
        self.fields.extend_from_slice(&length.to_be_bytes());
        self.fields.extend_from_slice(field);
    }
}

/// Enough for eight numbers, so that a place is allocated once.
const ROOM_FOR_COLUMNS: usize = 8 * 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_associated_data_is_what_the_doc_draws() {
        let version = VersionId([7; 16]);
        let place = Place::new(Kind::Version, "v", b"key", "n", Some(&version), 2)
            .number(3)
            .flag(true)
            .optional_number(None)
            .column(b"c");
        let mut drawn = vec![1, 0, 0, 0, 9];
        let fields: [&[u8]; 10] =
            [b"v", &[4], b"key", b"n", &[7; 16], &[0, 0, 0, 0, 0, 0, 0, 2], &[0, 0, 0, 0, 0, 0, 0, 3], &[1], b"", b"c"];
        for field in fields {
            drawn.extend_from_slice(&[0, 0, 0, u8::try_from(field.len()).unwrap()]);
            drawn.extend_from_slice(field);
        }
        assert_eq!(place.associated_data(9, <[u8]>::to_vec), drawn);
    }

    #[test]
    fn a_long_place_is_bound_whole() {
        for length in [400, 500, 512, 600, 70_000] {
            let key = vec![5; length];
            let data = Place::new(Kind::Lane, "", &key, "", None, 0).column(b"last").associated_data(1, <[u8]>::to_vec);
            assert_eq!(data.len(), 5 + 7 * 4 + 1 + length + 8 + 4, "{length}");
            assert!(data.ends_with(b"last"));
        }
    }
}
