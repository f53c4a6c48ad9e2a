//! The store, opened: the one place that seals bodies and opens them.
//!
//! Reads of a secret's current version are answered from memory where it is there: sealed records in a [cache](Cache)
//! with a limit, opened on each read. A record enters the cache only after its commit, by being read back: a commit
//! takes the secrets that it touched out of the cache, and a read that began before can't put its older answer in.
//! The current versions of managed tokens stay in memory whatever else is read.

mod cache;
mod definitions;
mod deleted;
mod deliveries;
mod secrets;
mod tokens;

use core::fmt;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, RwLock};

use vault::{Keyring, OpenError, Place, Sealed, SecretName, VaultName};
use zeroize::Zeroizing;

pub use self::cache::CACHE_BYTES;
use self::cache::Cache;
pub use self::definitions::Declared;
pub use self::deleted::{BackUpError, Deleted};
pub use self::deliveries::{
    Delivery, DeliveryFailure, DeliveryState, ForeignChange, Gap, MOST_TARGETS, NotDisabled, ShadowLog, ShadowLook,
};
pub use self::secrets::{Amendment, Current, Danger, NewSecret, SetCondition, WrittenVersion};
pub use self::tokens::{Attempt, GENERATION_TAG, KEEP_ATTEMPTS, Outcome, Promotion, Token};
use crate::damage::Damage;
use crate::port::{CommitError, Entropy, Store, StoreError, Write};

/// How often a read-decide-write is tried again when somebody else wrote in between.
const CONFLICT_RETRIES: usize = 32;

/// A [`Store`] whose rows are sealed on the way in and opened on the way out.
pub struct Records<S> {
    store: S,
    keyring: RwLock<Arc<Keyring>>,
    entropy: Arc<dyn Entropy>,
    cache: Cache,
    on_write: OnceLock<OnWrite>,
    damage: Damage,
}

/// Who hears that somebody wrote a secret.
type OnWrite = Box<dyn Fn(&VaultName, &SecretName) + Send + Sync>;

/// Why a record could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// There is no such thing.
    NotFound,
    /// There is a secret of this name.
    Exists,
    /// What the write was to depend on isn't so.
    Unmet,
    /// The secret of this name is deleted, and can be recovered: its name is taken until then.
    Deleted,
    /// Others wrote it again and again at the same time; nothing was changed.
    Contended,
    /// The store failed.
    Store(StoreError),
    /// A record doesn't open: it was changed, moved, or sealed by a key that we don't have. In words: which.
    Sealed(String),
}

impl fmt::Display for RecordError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => out.write_str("there is no such record"),
            Self::Unmet => out.write_str("it is another by now"),
            Self::Exists => out.write_str("there is a secret of this name"),
            Self::Deleted => out.write_str("the secret is deleted: recover it, or purge it to use its name anew"),
            Self::Contended => out.write_str("others keep changing it at the same time: try again"),
            Self::Store(error) => error.fmt(out),
            Self::Sealed(what) => write!(
                out,
                "{what} can't be opened: the store was changed from outside, or belongs to another key file; \
                 put the right key file back, or restore a backup"
            ),
        }
    }
}

impl core::error::Error for RecordError {}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CommitError> for RecordError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Contended,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl<S: Store> Records<S> {
    /// Stands on `store`, with the terms of `keyring`, and with at most `cache_bytes` of sealed records in memory
    /// ([`CACHE_BYTES`] by default), those of managed tokens not counted.
    pub fn new(store: S, keyring: Keyring, entropy: Arc<dyn Entropy>, cache_bytes: u64) -> Self {
        Self {
            store,
            keyring: RwLock::new(Arc::new(keyring)),
            entropy,
            cache: Cache::new(cache_bytes),
            on_write: OnceLock::new(),
            damage: Damage::new(),
        }
    }

    /// The store below, for what needs no opening.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Where random bytes come from.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// Calls `hear` after each secret that somebody has written or amended; a renewal is none of these. It must not
    /// block. Only the first call counts.
    pub fn on_write(&self, hear: impl Fn(&VaultName, &SecretName) + Send + Sync + 'static) {
        // A second listener would be a second engine on the same records, which is never made.
        let _ = self.on_write.set(Box::new(hear));
    }

    /// Calls `hear` with words for each record that a list left out, or showed as damaged, because it doesn't open. It
    /// must not block. Only the first call counts.
    pub fn on_damage(&self, hear: impl Fn(&str) + Send + Sync + 'static) {
        self.damage.hear(hear);
    }

    /// Tells whoever listens that a list goes on without this record.
    pub fn damaged(&self, error: &RecordError) {
        self.damage.found(&error.to_string());
    }

    /// Writes a batch whose rows were sealed by these records, and forgets what it made stale. Where the future is
    /// dropped before its end, the batch may still be written.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        let secrets = self.touched_by(&writes).await?;
        let unended = Unended { cache: &self.cache, secrets };
        let began = self.cache.turn();
        let result = self.store.commit(writes).await;
        // All of them before anything is waited for: this future may be dropped there.
        let mut managed = unended.end();
        managed.retain(|(vault, name)| {
            let managed = self.cache.forget(vault, name);
            if result.is_ok() {
                // A store writes in order: one whose end nobody waited for has landed, if it was handed over before.
                self.cache.trust(vault, name, began);
            }
            managed
        });
        if result.is_ok() {
            for (vault, name) in managed {
                // It stays in memory; should this read fail, the next one tries again.
                let _ = self.current(&vault, &name).await;
            }
        }
        result
    }

    /// The secrets whose [`Current`] the batch changes.
    async fn touched_by(&self, writes: &[Write]) -> Result<BTreeSet<(VaultName, SecretName)>, StoreError> {
        let mut touched = BTreeSet::new();
        for write in writes {
            match write {
                Write::Secret { row, .. } | Write::RecoverSecret { row, .. } => {
                    touched.insert((row.vault.clone(), row.name.clone()))
                }
                Write::DeleteSecret { row, .. } => touched.insert((row.secret.vault.clone(), row.secret.name.clone())),
                Write::Version(row) | Write::AmendVersion { row, .. } => {
                    touched.insert((row.vault.clone(), row.name.clone()))
                }
                // A new token makes its secret a managed one, and a removed one an ordinary one again.
                Write::Token { row, replaces: None, .. } => touched.insert((row.vault.clone(), row.name.clone())),
                Write::RemoveToken(id) => match self.store.token(*id).await? {
                    Some(row) => touched.insert((row.vault, row.name)),
                    None => continue,
                },
                _ => continue,
            };
        }
        Ok(touched)
    }

    fn written(&self, vault: &VaultName, name: &SecretName) {
        if let Some(hear) = self.on_write.get() {
            hear(vault, name);
        }
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn seal(&self, place: &Place, body: &[u8]) -> Sealed {
        self.keyring().seal(place, body, self.entropy.bytes32())
    }

    fn open(
        &self,
        place: &Place,
        sealed: &Sealed,
        what: impl Fn() -> String,
    ) -> Result<Zeroizing<Vec<u8>>, RecordError> {
        self.keyring().open(place, sealed.as_bytes()).map_err(|error| unopened(&error, what))
    }
}

/// The secrets of a commit under way. Where nobody waits for its end, it may land at any time after.
struct Unended<'a> {
    cache: &'a Cache,
    secrets: BTreeSet<(VaultName, SecretName)>,
}

impl Unended<'_> {
    fn end(mut self) -> BTreeSet<(VaultName, SecretName)> {
        core::mem::take(&mut self.secrets)
    }
}

impl Drop for Unended<'_> {
    fn drop(&mut self) {
        for (vault, name) in &self.secrets {
            self.cache.distrust(vault, name);
        }
    }
}

fn unopened(error: &OpenError, what: impl Fn() -> String) -> RecordError {
    RecordError::Sealed(format!("{} ({error})", what()))
}

/// The body of a record whose content is JSON.
fn to_json<T: serde::Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    // Our own types have string keys alone and no fallible Serialize, which is all that could fail here.
    Zeroizing::new(serde_json::to_vec(value).expect("a record's body is plain data"))
}

fn from_json<T: serde::de::DeserializeOwned>(body: &[u8], what: impl Fn() -> String) -> Result<T, RecordError> {
    serde_json::from_slice(body).map_err(|error| {
        RecordError::Sealed(format!("{} (its body has another shape: {:?})", what(), error.classify()))
    })
}
