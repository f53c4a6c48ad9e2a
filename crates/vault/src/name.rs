//! What vaults, secrets and versions are called.
//!
//! A name is checked once, where it enters; whoever holds one of these types holds a good name. Names compare without
//! regard to case, as in Azure Key Vault.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hex;

/// Most characters in a secret's name.
pub const MAX_SECRET_NAME_CHARS: usize = 127;

/// A vault's name, in lower case: 3 to 24 letters, digits and hyphens. It starts with a letter, ends with a letter or
/// digit and has no two hyphens in a row, since it becomes a host name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VaultName(Box<str>);

impl VaultName {
    /// Reads a name in any case.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if !(3..=24).contains(&text.len()) {
            return Err(NameError::VaultLength);
        }
        if let Some(character) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Err(NameError::Character(character));
        }
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(NameError::VaultStart);
        }
        if text.ends_with('-') || text.contains("--") {
            return Err(NameError::VaultHyphen);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A secret's name: 1 to 127 ASCII letters, digits and hyphens.
///
/// It keeps the case that it was written with, and compares, orders and hashes by its lower case. A map keyed by
/// `SecretName` can therefore be searched with a `str` in lower case.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName {
    written: Box<str>,
    /// Only where it differs from `written`, which is rare.
    folded: Option<Box<str>>,
}

impl SecretName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if let Some(character) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Err(NameError::Character(character));
        }
        if !(1..=MAX_SECRET_NAME_CHARS).contains(&text.len()) {
            return Err(NameError::SecretLength);
        }
        let folded = text.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| text.to_ascii_lowercase().into());
        Ok(Self { written: text.into(), folded })
    }

    /// The name as somebody first wrote it, to be shown.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// The name in lower case, to be compared and stored as a key.
    pub fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.written)
    }
}

/// Which version of a secret: 16 random bytes, written as 32 lower-case hexadecimal digits.
///
/// Versions order by these bytes and so not by age, as in Azure Key Vault.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionId(pub [u8; 16]);

impl VersionId {
    /// Reads 32 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`VersionIdError`] if the text is anything else.
    pub fn parse(text: &str) -> Result<Self, VersionIdError> {
        hex::read(text).map(Self).ok_or(VersionIdError)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// A vault's name is shorter than 3 or longer than 24 characters.
    VaultLength,
    /// A vault's name doesn't start with a letter.
    VaultStart,
    /// A vault's name ends with a hyphen or has two in a row.
    VaultHyphen,
    /// A secret's name is empty or longer than [`MAX_SECRET_NAME_CHARS`].
    SecretLength,
    /// This character is neither an ASCII letter nor a digit nor a hyphen.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VaultLength => f.write_str("a vault's name has 3 to 24 characters"),
            Self::VaultStart => f.write_str("a vault's name starts with a letter"),
            Self::VaultHyphen => f.write_str("a vault's name doesn't end with a hyphen or hold two in a row"),
            Self::SecretLength => write!(f, "a secret's name has 1 to {MAX_SECRET_NAME_CHARS} characters"),
            Self::Character(character) => {
                write!(f, "a name holds only the letters a to z, digits and hyphens, not {character:?}")
            }
        }
    }
}

impl core::error::Error for NameError {}

/// A text is not a version id: that is 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionIdError;

impl fmt::Display for VersionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version id is 32 hexadecimal digits")
    }
}

impl core::error::Error for VersionIdError {}

impl fmt::Display for VaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for VaultName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for VaultName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<VaultName> for String {
    fn from(name: VaultName) -> Self {
        name.0.into()
    }
}

impl PartialEq for SecretName {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for SecretName {}

impl Hash for SecretName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl PartialOrd for SecretName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SecretName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl core::borrow::Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        self.folded()
    }
}

/// The name as it was written.
impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretName({:?})", self.written)
    }
}

impl FromStr for SecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SecretName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.written.into()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::Digits(&self.0).fmt(f)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, VersionIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for VersionId {
    type Error = VersionIdError;

    fn try_from(text: String) -> Result<Self, VersionIdError> {
        Self::parse(&text)
    }
}

impl From<VersionId> for String {
    fn from(id: VersionId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vault_name_is_a_host_label() {
        for good in ["abc", "Contoso", "a-1-b", "a23456789012345678901234"] {
            assert_eq!(VaultName::parse(good).map(|name| name.to_string()), Ok(good.to_ascii_lowercase()));
        }
        for (bad, why) in [
            ("", NameError::VaultLength),
            ("ab", NameError::VaultLength),
            ("a234567890123456789012345", NameError::VaultLength),
            ("1abc", NameError::VaultStart),
            ("-abc", NameError::VaultStart),
            ("abc-", NameError::VaultHyphen),
            ("a--b", NameError::VaultHyphen),
            ("a_bc", NameError::Character('_')),
            ("a.bc", NameError::Character('.')),
            ("äbc", NameError::Character('ä')),
        ] {
            assert_eq!(VaultName::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_secret_name_is_letters_digits_and_hyphens() {
        let longest = "a".repeat(127);
        for good in ["a", "-", "0", "versions", "Discord-API-oauth-Token", &longest] {
            assert_eq!(SecretName::parse(good).map(|name| name.to_string()).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", NameError::SecretLength),
            (&"a".repeat(128), NameError::SecretLength),
            ("a/b", NameError::Character('/')),
            ("a%2f", NameError::Character('%')),
            ("a_b", NameError::Character('_')),
            ("a\0", NameError::Character('\0')),
            // The Kelvin sign, which folds to an ASCII k elsewhere.
            ("\u{212a}", NameError::Character('\u{212a}')),
        ] {
            assert_eq!(SecretName::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_secret_name_keeps_its_case_and_compares_without_it() {
        let [written, shouted] = ["Client-Id", "CLIENT-ID"].map(|text| SecretName::parse(text).unwrap());
        assert_eq!(written, shouted);
        assert_eq!((written.as_written(), written.folded()), ("Client-Id", "client-id"));
        assert_eq!(BTreeSet::from([written.clone(), shouted]).len(), 1);
        assert_eq!(HashMap::from([(written, 1)]).get("client-id"), Some(&1));
    }

    #[test]
    fn a_version_id_is_read_in_any_case_and_written_in_lower() {
        let id = VersionId::parse("00112233445566778899AABBCCDDEEFF").unwrap();
        assert_eq!(id.0[15], 0xff);
        assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
        for bad in ["", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0", "versions"] {
            assert_eq!(VersionId::parse(bad), Err(VersionIdError), "{bad}");
        }
    }

    #[test]
    fn names_are_strings_in_json_and_checked_there() {
        let json = r#"["contoso","Client-Id","00112233445566778899aabbccddeeff"]"#;
        let names: (VaultName, SecretName, VersionId) = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&names).unwrap(), json);
        assert!(serde_json::from_str::<SecretName>(r#""a/b""#).is_err());
        assert!(serde_json::from_str::<VaultName>(r#""a""#).is_err());
        assert!(serde_json::from_str::<VersionId>(r#""00""#).is_err());
    }

    proptest! {
        #[test]
        fn secret_names_are_exactly_the_documented_ones(text in "[a-zA-Z0-9_./ é-]{0,6}") {
            let documented = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            prop_assert_eq!(SecretName::parse(&text).is_ok(), documented);
        }

        #[test]
        fn secret_names_order_by_their_folded_form(one in "[a-cA-C-]{1,5}", other in "[a-cA-C-]{1,5}") {
            let names = [&one, &other].map(|text| SecretName::parse(text).unwrap());
            prop_assert_eq!(names[0].cmp(&names[1]), one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase()));
        }

        #[test]
        fn a_version_id_comes_back_from_its_text(bytes in any::<[u8; 16]>()) {
            prop_assert_eq!(VersionId::parse(&VersionId(bytes).to_string()), Ok(VersionId(bytes)));
        }
    }
}
