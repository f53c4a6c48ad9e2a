//! The whole of it: a request goes in, an answer comes out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use core::fmt;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use store::{Audit, AuditEntry, AuditError, AuditOutcome, RecordError, Records, Store, StoreError};
use vault::{SecretName, VaultName};

use crate::ask::{Ask, Now};
use crate::authority::Limits;
use crate::backups::Backups;
use crate::counters::{Counters, RequestCount};
use crate::directory::{self, Directory, DirectoryError, Retention};
use crate::error::Refusal;
use crate::headers::{HeaderTemplates, RequestIds};
use crate::operation::Operation;
use crate::site::{Settings, SettingsError, Site, Sites, host_of};
use crate::token::VerifiedTokens;

/// Largest body of a request that any operation takes, in bytes: a value of the longest kind with every byte escaped,
/// and its tags. A listener may refuse more before it is read.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Largest body of a restore, in bytes: the largest backup in base64url, and what stands around it.
pub const MAX_RESTORE_BYTES: usize = vault::MAX_BACKUP_BYTES / 3 * 4 + 4 * 1024;

/// The vaults and their authority, as a function from request to answer.
pub struct KeyVault<S> {
    pub(crate) records: Arc<Records<S>>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) sites: Sites,
    pub(crate) verified: VerifiedTokens,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) ids: RequestIds,
    pub(crate) headers: HeaderTemplates,
    pub(crate) backups: Backups,
    directory: RwLock<Snapshot>,
    reloads: AtomicU64,
}

/// The directory, and how many reloads had begun when this one did.
struct Snapshot {
    reload: u64,
    directory: Arc<Directory>,
}

/// How many deleted secrets are read at once to be purged.
const PURGED_AT_ONCE: usize = 100;

/// Why deleted secrets can't be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeError {
    /// It can't be noted in the audit, so it wasn't done.
    Audit(AuditError),
    /// The store.
    Record(RecordError),
}

impl fmt::Display for PurgeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(error) => error.fmt(out),
            Self::Record(error) => error.fmt(out),
        }
    }
}

impl core::error::Error for PurgeError {}

impl From<RecordError> for PurgeError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl PurgeError {
    /// Whether it is about one secret alone, and others can be purged.
    fn is_of_one_secret(&self) -> bool {
        use RecordError as R;
        matches!(self, Self::Record(R::Sealed(_) | R::Contended | R::Store(StoreError::Damaged(_))))
    }
}

/// Why there is an answer such as 503, for the operator: it stands in the answer's extensions, and never on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(pub String);

/// Why a [`KeyVault`] can't be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The settings.
    Settings(SettingsError),
    /// The directory.
    Directory(DirectoryError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(out),
            Self::Directory(error) => error.fmt(out),
        }
    }
}

impl core::error::Error for OpenError {}

impl<S: Store> KeyVault<S> {
    /// Reads the directory, or makes it at the first start: a tenant, and an RSA key, which takes some 100 ms.
    ///
    /// # Errors
    /// What is wrong with the settings, or why the directory can't be read.
    pub async fn open(
        records: Arc<Records<S>>,
        settings: &Settings,
        audit: Arc<dyn Audit>,
        now: Now,
    ) -> Result<Self, OpenError> {
        let sites = Sites::new(settings).map_err(OpenError::Settings)?;
        let directory = Directory::open(&records, now.unix_seconds()).await.map_err(OpenError::Directory)?;
        Ok(Self {
            audit,
            verified: VerifiedTokens::new(),
            limits: Limits::new(),
            counters: Counters::default(),
            ids: RequestIds::new(records.entropy()),
            headers: HeaderTemplates::new(sites.region().clone()),
            backups: Backups::default(),
            directory: RwLock::new(Snapshot { reload: 0, directory: Arc::new(directory) }),
            reloads: AtomicU64::new(0),
            records,
            sites,
        })
    }

    /// Answers a request. It never fails: what went wrong is an answer too.
    ///
    /// `peer` is who asks, for the audit and the limits; whoever listens decides whose word on it to trust.
    pub async fn answer(&self, request: Request<Bytes>, now: Now, peer: Option<IpAddr>) -> Response<Bytes> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        if let Some(answer) = self.answer_now(method, uri, headers, now, peer) {
            return answer;
        }
        let ask = Ask { method, uri, headers, body: request.body(), now, peer };
        let host = match host_of(uri, headers) {
            Ok(host) => host,
            Err(refusal) => return self.refused(&ask, &refusal),
        };
        let directory = self.directory();
        match self.sites.site(host) {
            Site::Authority => self.answer_as_authority(&ask, &directory).await,
            Site::Vault(label) => match directory.vault(label) {
                Some(vault) => self.answer_as_vault(&ask, host, vault, &directory).await,
                None => self.refused(&ask, &Refusal::NoSuchHost),
            },
            Site::Unknown => self.refused(&ask, &Refusal::NoSuchHost),
        }
    }

    /// Answers a read of a current version that is in memory, asked for with a token that was verified before. It
    /// neither waits nor fails: `None` is for everything else, which [`answer`](Self::answer) decides.
    pub fn answer_now(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Now,
        peer: Option<IpAddr>,
    ) -> Option<Response<Bytes>> {
        if method != Method::GET {
            return None;
        }
        let ask = Ask { method, uri, headers, body: &[], now, peer };
        let host = host_of(uri, headers).ok()?;
        let Site::Vault(label) = self.sites.site(host) else {
            return None;
        };
        let snapshot = self.snapshot();
        let vault = snapshot.directory.vault(label)?;
        self.read_in_memory(&ask, host, vault, &snapshot.directory)
    }

    /// Reads the directory again: after each change of an app, policy or vault, before the change is acknowledged.
    ///
    /// # Errors
    /// Why it can't be read. The one before stays in use.
    pub async fn reload_directory(&self) -> Result<(), DirectoryError> {
        let reload = self.reloads.fetch_add(1, Ordering::SeqCst) + 1;
        let directory = Arc::new(Directory::load(&self.records).await?);
        let mut current = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        // A reload that began later has seen everything that this one has.
        if current.reload < reload {
            *current = Snapshot { reload, directory };
        }
        Ok(())
    }

    /// Makes the next signing key an hour before its use, and lets keys go whose tokens have all expired. To be called
    /// every few minutes, and off the threads that answer: making a key takes some 100 ms of computing, every 90 days.
    ///
    /// # Errors
    /// Why it could not be done; to be tried again.
    pub async fn rotate_if_due(&self, now: Now) -> Result<(), DirectoryError> {
        if self.directory().rotation_is_due(now.unix_seconds())
            && directory::rotate(&self.records, now.unix_seconds()).await?
        {
            self.reload_directory().await?;
        }
        Ok(())
    }

    /// How long the body of this request may be, in bytes: [`MAX_REQUEST_BYTES`], or [`MAX_RESTORE_BYTES`] for a restore.
    /// To be asked before the body is read. The head is marked where a long body is allowed, and counts as a restore under
    /// way until it is dropped.
    ///
    /// # Errors
    /// The answer, where it is known without the body: a long restore by somebody unknown, or who may restore nothing, or
    /// while too many others are under way.
    pub fn admit_body(&self, head: &mut Parts, now: Now, peer: Option<IpAddr>) -> Result<usize, Box<Response<Bytes>>> {
        let ask = Ask { method: &head.method, uri: &head.uri, headers: &head.headers, body: &[], now, peer };
        let Some(under_way) = self.admit_long_restore(&ask)? else {
            return Ok(MAX_REQUEST_BYTES);
        };
        head.extensions.insert(Arc::new(under_way));
        Ok(MAX_RESTORE_BYTES)
    }

    /// Purges deleted secrets whose time is over. To be called every few minutes. One that can't be purged keeps no other
    /// from it.
    ///
    /// # Errors
    /// Why it could not be done, of the first secret; to be tried again. What was purged stays so.
    pub async fn purge_if_due(&self, now: Now) -> Result<(), PurgeError> {
        let mut left = BTreeSet::new();
        let mut first_error = None;
        loop {
            // Those that are left come first each time.
            let limit = left.len() + PURGED_AT_ONCE;
            let mut due = self.records.store().to_purge(now.unix_seconds(), limit).await.map_err(RecordError::from)?;
            due.retain(|secret| !left.contains(secret));
            if due.is_empty() {
                return first_error.map_or(Ok(()), Err);
            }
            for (vault, name) in due {
                match self.purge_by_time(&vault, &name, now).await {
                    Ok(()) => {}
                    Err(error) if error.is_of_one_secret() => {
                        left.insert((vault, name));
                        first_error.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn purge_by_time(&self, vault: &VaultName, name: &SecretName, now: Now) -> Result<(), PurgeError> {
        let entry = |outcome| AuditEntry {
            unix_ms: now.unix_ms,
            app: None,
            operation: Operation::SecretPurge.word(),
            vault: vault.as_str(),
            name: name.folded(),
            version: None,
            outcome,
            peer: None,
        };
        let purged = async {
            // What can't be read isn't said to be purged.
            let there = self.records.store().deleted_secret(vault, name).await.map_err(RecordError::from)?;
            let over = there.filter(|(row, _)| row.purged_at <= now.unix_seconds());
            over.ok_or(RecordError::NotFound)?;
            self.audit.write(&entry(AuditOutcome::Allowed)).await.map_err(PurgeError::Audit)?;
            Ok(self.records.purge_if_over(vault, name, now.unix_seconds()).await?)
        };
        match purged.await {
            // Somebody recovered or purged it meanwhile.
            Err(PurgeError::Record(RecordError::NotFound)) => {
                self.audit.read(&entry(AuditOutcome::NotFound));
                Ok(())
            }
            Err(PurgeError::Record(error)) => {
                self.audit.read(&entry(AuditOutcome::Failed));
                Err(error.into())
            }
            purged => purged,
        }
    }

    /// The tenant's GUID.
    pub fn tenant(&self) -> String {
        self.directory().tenant.clone()
    }

    /// What becomes of a vault's deleted secrets; `None` where there is no such vault.
    pub fn retention(&self, vault: &VaultName) -> Option<Retention> {
        self.directory().vault(vault.as_str()).map(|vault| vault.retention)
    }

    /// The vaults, by name.
    pub fn vaults(&self) -> Vec<VaultName> {
        self.directory().vault_names()
    }

    /// How many requests came to what since the start, those with 0 included.
    pub fn requests(&self) -> impl Iterator<Item = RequestCount> {
        self.counters.all()
    }

    /// The directory as it stands.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.snapshot().directory)
    }

    /// An answer of a vault.
    pub(crate) fn vault_answer(&self, ask: &Ask<'_>, status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
        let mut answer = Response::new(body.into());
        *answer.status_mut() = status;
        *answer.headers_mut() = self.headers.of_vault(self.ids.next(), ask.headers, ask.peer);
        answer
    }

    /// A refusal of a vault, or of a Host that is nobody's.
    pub(crate) fn refused(&self, ask: &Ask<'_>, refusal: &Refusal) -> Response<Bytes> {
        let mut answer = self.vault_answer(ask, refusal.status(), refusal.body());
        if let Some(cause) = refusal.cause() {
            answer.extensions_mut().insert(Cause(cause));
        }
        if matches!(refusal, Refusal::Busy) {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }

    fn snapshot(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }
}
