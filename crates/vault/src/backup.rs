//! A secret with all its versions, as a client takes it away and brings it back.

use zeroize::Zeroizing;

use crate::body::{BodyError, SecretBody, put, put_length, take, take_array, take_length, take_text};
use crate::keyring::Keyring;
use crate::name::{SecretName, VersionId};
use crate::place::{Kind, Place};
use crate::record::OpenError;

/// Most versions of a secret that can be backed up, as in Azure Key Vault.
pub const MAX_BACKUP_VERSIONS: usize = 500;
/// Longest backup before it is sealed, in bytes: 500 versions of the longest value fit, with few tags.
pub const MAX_BACKUP_BYTES: usize = 16 * 1024 * 1024;

/// What a backup begins with, before its record.
const MARK: &[u8] = b")VestalSecretBackupV1\n";
const LAYOUT: u8 = 1;

/// A secret with all its versions. The one that was made last stands last, and is the current one.
///
/// The stored form, integers big-endian, texts UTF-8; it is sealed as a record of kind [`Kind::Backup`] that is bound to
/// no vault, behind the mark `)VestalSecretBackupV1\n`:
///
/// ```text
/// layout         u8 = 1
/// name           u32 length | text          as first written
/// keep versions  u8 = 0, or u8 = 1 | u32
/// versions       u32 count | count times:
///   id           16 bytes
///   created      i64                        Unix seconds
///   enabled      u8 = 0 or 1
///   nbf          u8 = 0, or u8 = 1 | i64
///   exp          u8 = 0, or u8 = 1 | i64
///   body         u32 length | a SecretBody
/// ```
pub struct SecretBackup {
    /// The secret's name as first written.
    pub name: SecretName,
    /// How many versions are kept; `None` keeps all.
    pub keep_versions: Option<u32>,
    /// The versions, in the order of their making. There is at least one.
    pub versions: Vec<BackedUpVersion>,
}

/// One version in a [`SecretBackup`].
pub struct BackedUpVersion {
    /// Its id.
    pub version: VersionId,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// Whether it may be read.
    pub enabled: bool,
    /// `nbf`, in Unix seconds.
    pub not_before: Option<i64>,
    /// `exp`, in Unix seconds.
    pub expires: Option<i64>,
    /// The value, and what belongs to it.
    pub body: SecretBody,
}

/// Why bytes are no backup that can be restored here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupError {
    /// They don't begin as one does.
    Unmarked,
    /// The record doesn't open: it was changed, cut short, or sealed by another key.
    Unopened(OpenError),
    /// What was sealed is no backup: a program's fault, or a newer one's layout.
    Body(BodyError),
}

impl SecretBackup {
    /// Seals it. `salt` is fresh random bytes.
    pub fn seal(&self, keyring: &Keyring, salt: [u8; 32]) -> Vec<u8> {
        let sealed = keyring.seal(&place(), &self.encode(), salt);
        [MARK, sealed.as_bytes()].concat()
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// [`BackupError`] says why it is none of ours.
    pub fn open(keyring: &Keyring, bytes: &[u8]) -> Result<Self, BackupError> {
        let record = bytes.strip_prefix(MARK).ok_or(BackupError::Unmarked)?;
        let body = keyring.open(&place(), record).map_err(BackupError::Unopened)?;
        Self::decode(&body).map_err(BackupError::Body)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let bodies: Vec<_> = self.versions.iter().map(|version| version.body.encode()).collect();
        let length = 16
            + self.name.as_written().len()
            + bodies.iter().map(|body| 16 + 8 + 1 + 2 * 9 + 4 + body.len()).sum::<usize>();
        // The whole length at once: growing would leave copies of the values behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.push(LAYOUT);
        put(&mut bytes, self.name.as_written().as_bytes());
        bytes.push(u8::from(self.keep_versions.is_some()));
        if let Some(keep) = self.keep_versions {
            bytes.extend_from_slice(&keep.to_be_bytes());
        }
        put_length(&mut bytes, self.versions.len());
        for (version, body) in self.versions.iter().zip(&bodies) {
            bytes.extend_from_slice(version.version.as_bytes());
            bytes.extend_from_slice(&version.created.to_be_bytes());
            bytes.push(u8::from(version.enabled));
            for time in [version.not_before, version.expires] {
                bytes.push(u8::from(time.is_some()));
                bytes.extend(time.into_iter().flat_map(i64::to_be_bytes));
            }
            put(&mut bytes, body);
        }
        debug_assert!(bytes.len() <= length, "it was allocated once");
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let mut rest = bytes;
        let layout = *rest.split_off_first().ok_or(BodyError::Short)?;
        if layout != LAYOUT {
            return Err(BodyError::Layout(layout));
        }
        let name = SecretName::parse(take_text(&mut rest)?).map_err(|_| BodyError::Text)?;
        let keep_versions = take_flag(&mut rest)?.then(|| take_array(&mut rest)).transpose()?;
        let count = take_length(&mut rest)?;
        let mut versions = Vec::new();
        for _ in 0..count {
            versions.push(take_version(&mut rest)?);
        }
        if versions.is_empty() {
            return Err(BodyError::Short);
        }
        if !rest.is_empty() {
            return Err(BodyError::Long);
        }
        Ok(Self { name, keep_versions: keep_versions.map(|keep| u32::from_be_bytes(*keep)), versions })
    }
}

fn take_version(rest: &mut &[u8]) -> Result<BackedUpVersion, BodyError> {
    Ok(BackedUpVersion {
        version: VersionId(*take_array(rest)?),
        created: i64::from_be_bytes(*take_array(rest)?),
        enabled: take_flag(rest)?,
        not_before: take_time(rest)?,
        expires: take_time(rest)?,
        body: SecretBody::decode(take(rest)?)?,
    })
}

fn take_flag(rest: &mut &[u8]) -> Result<bool, BodyError> {
    match rest.split_off_first().ok_or(BodyError::Short)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BodyError::Presence),
    }
}

fn take_time(rest: &mut &[u8]) -> Result<Option<i64>, BodyError> {
    let time = take_flag(rest)?.then(|| take_array(rest)).transpose()?;
    Ok(time.map(|time| i64::from_be_bytes(*time)))
}

/// Bound to no vault, so that it can be restored into another one of the same Vestal.
fn place() -> Place {
    Place::new(Kind::Backup, "", &[], "", None, 0)
}

impl core::fmt::Display for BackupError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unmarked => out.write_str("these bytes are no backup of a secret"),
            Self::Unopened(error) => write!(out, "the backup can't be opened: {error}"),
            Self::Body(error) => write!(out, "the backup can't be read: {error}"),
        }
    }
}

impl core::error::Error for BackupError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use secret::Secret;

    use super::*;
    use crate::keyring::Seed;

    fn keyring(seed: u8) -> Keyring {
        Keyring::new(1, &Seed::new(&[seed; 32]))
    }

    fn version(number: u8, value: &[u8]) -> BackedUpVersion {
        BackedUpVersion {
            version: VersionId([number; 16]),
            created: i64::from(number),
            enabled: number.is_multiple_of(2),
            not_before: (number > 3).then_some(-1),
            expires: (number > 1).then_some(i64::MAX),
            body: SecretBody {
                value: Secret::copy_of(value),
                content_type: None,
                tags: BTreeMap::from([("n".to_owned(), number.to_string())]),
                updated: 9,
                written_by: "app".to_owned(),
            },
        }
    }

    fn backup(versions: Vec<BackedUpVersion>) -> SecretBackup {
        SecretBackup { name: SecretName::parse("Api-Key").expect("a name"), keep_versions: Some(25), versions }
    }

    fn facts(backup: &SecretBackup) -> (String, Option<u32>, Vec<Vec<u8>>) {
        let of = |version: &BackedUpVersion| {
            let BackedUpVersion { version, created, enabled, not_before, expires, body } = version;
            let head = format!("{version} {created} {enabled} {not_before:?} {expires:?}");
            [head.as_bytes(), &body.encode()].concat()
        };
        (backup.name.as_written().to_owned(), backup.keep_versions, backup.versions.iter().map(of).collect())
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 1..6)) {
            let versions = values.iter().zip(0..).map(|(value, number)| version(number, value)).collect();
            let made = backup(versions);
            let opened = SecretBackup::open(&keyring(1), &made.seal(&keyring(1), [3; 32])).expect("it is ours");
            prop_assert_eq!(facts(&opened), facts(&made));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SecretBackup::decode(&bytes).map(|backup| backup.versions.len());
            let _ = SecretBackup::open(&keyring(1), &[MARK, &bytes].concat()).map(|backup| backup.versions.len());
        }
    }

    #[test]
    fn what_was_changed_cut_short_or_made_by_another_key_is_refused() {
        let bytes = backup(vec![version(1, b"value")]).seal(&keyring(1), [3; 32]);
        let refused = |bytes: &[u8]| SecretBackup::open(&keyring(1), bytes).err();
        assert_eq!(refused(&bytes), None);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(refused(&changed).is_some(), "bit at {at}");
            assert!(refused(&bytes[..at]).is_some(), "cut at {at}");
        }
        assert!(matches!(SecretBackup::open(&keyring(2), &bytes), Err(BackupError::Unopened(_))));
        assert_eq!(refused(b""), Some(BackupError::Unmarked));
        assert_eq!(refused(b")AzureKeyVaultSecretBackupV1.microsoft.com"), Some(BackupError::Unmarked));
    }

    #[test]
    fn there_is_at_least_one_version_and_nothing_behind_the_last() {
        let decoded =
            |backup: &SecretBackup, more: &[u8]| SecretBackup::decode(&[&backup.encode()[..], more].concat()).err();
        assert_eq!(decoded(&backup(Vec::new()), b""), Some(BodyError::Short));
        assert_eq!(decoded(&backup(vec![version(1, b"")]), b"x"), Some(BodyError::Long));
        assert_eq!(decoded(&backup(vec![version(1, b"")]), b""), None);
    }
}
