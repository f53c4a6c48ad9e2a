//! The ids of apps.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hex::Digits;

/// What an app calls itself: a GUID in lower case. Policies never bind to it; see [`ObjectId`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Box<str>);

/// What policies bind to: a GUID in lower case, another one than the [`ClientId`], and never used again for a new app
/// of the same name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(Box<str>);

/// A text is not a GUID such as `0f1e2d3c-4b5a-4678-9abc-def012345678`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuidError;

impl fmt::Display for GuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is a GUID such as 0f1e2d3c-4b5a-4678-9abc-def012345678")
    }
}

impl core::error::Error for GuidError {}

macro_rules! guid {
    ($name:ident) => {
        impl $name {
            /// Reads a GUID of either case.
            ///
            /// # Errors
            /// [`GuidError`] if the text is no GUID.
            pub fn parse(text: &str) -> Result<Self, GuidError> {
                read_guid(text).map(Self)
            }

            /// Makes a random GUID (version 4, RFC 9562) out of 16 random bytes.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(random_guid(bytes))
            }

            /// The GUID, in lower case.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = GuidError;

            fn from_str(text: &str) -> Result<Self, GuidError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = GuidError;

            fn try_from(text: String) -> Result<Self, GuidError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

guid!(ClientId);
guid!(ObjectId);

fn read_guid(text: &str) -> Result<Box<str>, GuidError> {
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if shaped { Ok(text.to_ascii_lowercase().into()) } else { Err(GuidError) }
}

fn random_guid(mut bytes: [u8; 16]) -> Box<str> {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = Digits(&bytes).to_string();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_read_in_any_case_and_kept_in_lower() {
        let id = ClientId::parse("0F1E2D3C-4B5A-4678-9ABC-DEF012345678").unwrap();
        assert_eq!(id.as_str(), "0f1e2d3c-4b5a-4678-9abc-def012345678");
        for bad in [
            "",
            "0f1e2d3c4b5a46789abcdef012345678",
            "{0f1e2d3c-4b5a-4678-9abc-def012345678}",
            "0f1e2d3c-4b5a-4678-9abc-def01234567",
            "0f1e2d3c-4b5a-4678-9abc-def01234567g",
            "0f1e2d3c-4b5a-4678-9abc_def012345678",
        ] {
            assert_eq!(ClientId::parse(bad), Err(GuidError), "{bad}");
        }
    }

    #[test]
    fn a_random_guid_carries_its_version_and_variant() {
        assert_eq!(ObjectId::from_random([0xff; 16]).as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(ObjectId::from_random([0; 16]).as_str(), "00000000-0000-4000-8000-000000000000");
    }
}
