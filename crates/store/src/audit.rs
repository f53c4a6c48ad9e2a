//! The port to the audit: who did what to which secret, and whether it was allowed. Names, and never values.
//!
//! Reads are noted without waiting: what notes them loses a few at a crash, and says so in the audit itself where it
//! lost any. Whatever changes something is durable in the audit *before* it happens, so that nothing changes unseen;
//! where the audit can't be written, nothing is changed.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vault::VersionId;

/// One line of the audit. It borrows: on the path of every read nothing is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEntry<'a> {
    /// When, in milliseconds since the Unix epoch.
    pub unix_ms: i64,
    /// Who: the app's name. Where nobody was recognised, the client id that was presented, if it was a GUID at all.
    pub app: Option<&'a str>,
    /// What, in Azure's words where it has one: `SecretGet`, `SecretSet`, `Authenticate`.
    pub operation: &'static str,
    /// In which vault; empty where there is none.
    pub vault: &'a str,
    /// To what: the name of a secret, app, policy or token; empty where there is none.
    pub name: &'a str,
    /// Which version, where one was named or read.
    pub version: Option<VersionId>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// The address that the request came from.
    pub peer: Option<IpAddr>,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuditOutcome {
    /// It was allowed. Of a change: it is about to be made.
    Allowed,
    /// It was refused: no such identity, or no such permission.
    Refused,
    /// It was allowed, and there is no such thing.
    NotFound,
    /// It was allowed, and the request made no sense.
    Invalid,
    /// It was allowed, and could not be done. Of a change: the entry before it says `allowed`.
    Failed,
}

impl AuditOutcome {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Allowed, Self::Refused, Self::NotFound, Self::Invalid, Self::Failed];

    /// The word that stands in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

/// The audit took no entry, so what it was to be written for must not happen. In words: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditError(pub String);

impl fmt::Display for AuditError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the audit can't be written, so nothing is changed: {}", self.0)
    }
}

impl core::error::Error for AuditError {}

/// An entry on its way to the disk.
pub type AuditWrite<'a> = Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + 'a>>;

/// Where entries go.
pub trait Audit: Send + Sync + 'static {
    /// Notes what changes nothing. It doesn't wait, and never fails: an entry that finds no room is counted, and the
    /// gap is shown in the audit.
    fn read(&self, entry: &AuditEntry<'_>);

    /// Writes what is about to change something. The future ends when the entry is durable.
    fn write(&self, entry: &AuditEntry<'_>) -> AuditWrite<'_>;
}

/// An audit in memory, for tests and simulations. It grows without a limit.
#[derive(Default)]
pub struct MemoryAudit(Mutex<Recorded>);

#[derive(Default)]
struct Recorded {
    entries: Vec<RecordedEntry>,
    full: bool,
}

/// An [`AuditEntry`] that owns its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEntry {
    /// See [`AuditEntry::app`].
    pub app: Option<String>,
    /// See [`AuditEntry::operation`].
    pub operation: &'static str,
    /// See [`AuditEntry::vault`].
    pub vault: String,
    /// See [`AuditEntry::name`].
    pub name: String,
    /// See [`AuditEntry::version`].
    pub version: Option<VersionId>,
    /// See [`AuditEntry::outcome`].
    pub outcome: AuditOutcome,
}

impl MemoryAudit {
    /// Everything so far, oldest first.
    pub fn entries(&self) -> Vec<RecordedEntry> {
        self.lock().entries.clone()
    }

    /// From now on writes fail as on a full disk (`true`), or succeed again.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audit for MemoryAudit {
    fn read(&self, entry: &AuditEntry<'_>) {
        self.lock().entries.push(RecordedEntry::from(entry));
    }

    fn write(&self, entry: &AuditEntry<'_>) -> AuditWrite<'_> {
        let mut recorded = self.lock();
        let result = if recorded.full {
            Err(AuditError("no room is left on its disk".to_owned()))
        } else {
            recorded.entries.push(RecordedEntry::from(entry));
            Ok(())
        };
        Box::pin(core::future::ready(result))
    }
}

impl From<&AuditEntry<'_>> for RecordedEntry {
    fn from(entry: &AuditEntry<'_>) -> Self {
        Self {
            app: entry.app.map(str::to_owned),
            operation: entry.operation,
            vault: entry.vault.to_owned(),
            name: entry.name.to_owned(),
            version: entry.version,
            outcome: entry.outcome,
        }
    }
}
