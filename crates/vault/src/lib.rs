//! What a secret is: names, versions, attributes, the sealed record that holds it, and who may touch it.
//!
//! Read [`Keyring`] and [`Place`] first: everything that is stored is a [`Sealed`] record, made by the one and bound
//! to where it stands by the other. [`decide`] is the other half of the crate: it says whether an app may do what it
//! asks.
//!
//! The crate is pure. It knows no HTTP and no SQL, reads no clock and draws no randomness: salts, nonces, seeds and
//! the time are arguments.

mod app;
mod attributes;
mod backup;
mod body;
mod guid;
mod hex;
mod keyring;
mod name;
mod pattern;
mod permission;
mod place;
mod policy;
mod record;
#[cfg(test)]
mod vectors;
mod wrap;

pub use app::{App, AppSecret, MAX_APP_SECRETS, refuse_unknown_app, secret_mac};
pub use attributes::{Attributes, AttributesChange};
pub use backup::{BackedUpVersion, BackupError, MAX_BACKUP_BYTES, MAX_BACKUP_VERSIONS, SecretBackup};
pub use body::{
    BodyError, LimitError, MAX_CONTENT_TYPE_CHARS, MAX_TAG_CHARS, MAX_TAGS, MAX_VALUE_BYTES, SecretBody,
    SecretBodyView, Tags,
};
pub use guid::{ClientId, GuidError, ObjectId};
pub use keyring::{Keyring, Seed, TermError};
pub use name::{MAX_SECRET_NAME_CHARS, NameError, SecretName, VaultName, VersionId, VersionIdError};
pub use pattern::{MAX_PATTERN_CHARS, Pattern, PatternError};
pub use permission::{Permission, PermissionError, Permissions};
pub use place::{Kind, Place};
pub use policy::{Decision, MAX_POLICY_NAMES, Policy, Refusal, decide, may_list};
pub use record::{MAX_BODY_BYTES, NotARecord, OpenError, PADDING_BYTES, RECORD_OVERHEAD_BYTES, RecordTag, Sealed};
pub use wrap::{KeyEncryptionKey, KeyIdError, MAX_KEY_ID_BYTES, UnwrapError, WrappedSeed};
