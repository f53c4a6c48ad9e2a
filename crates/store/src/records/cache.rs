//! Sealed current versions in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::{Equivalent, Lifecycle, Weighter, sync};
use vault::{SecretName, VaultName};

use super::Current;

/// How many bytes of records are kept by default, those of managed tokens not counted.
pub const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// What a record costs beside its bytes: keys, pointers, table slots. A round figure.
const OVERHEAD: u64 = 256;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    vault: VaultName,
    /// Folded.
    name: Box<str>,
}

#[derive(Hash)]
struct KeyRef<'a>(&'a VaultName, &'a str);

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.vault && *self.1 == *key.name
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Current>> for Weight {
    fn weight(&self, key: &Key, current: &Arc<Current>) -> u64 {
        if current.managed {
            return 0;
        }
        OVERHEAD + (key.name.len() + current.version.sealed.as_bytes().len()) as u64
    }
}

/// Managed tokens' records weigh nothing and are never evicted.
#[derive(Clone)]
struct PinManaged;

impl Lifecycle<Key, Arc<Current>> for PinManaged {
    type RequestState = ();

    fn is_pinned(&self, _key: &Key, current: &Arc<Current>) -> bool {
        current.managed
    }

    fn on_evict(&self, _state: &mut (), _key: Key, _current: Arc<Current>) {}
}

/// A moment in the order of commits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

pub(super) struct Cache {
    kept: sync::Cache<Key, Arc<Current>, Weight, quick_cache::DefaultHashBuilder, PinManaged>,
    /// Secrets with a commit whose end nobody waited for, and when that was. When it lands isn't known, so they are not
    /// kept until a commit of theirs has ended that began later.
    doubtful: Mutex<HashMap<Key, Turn>>,
    turns: AtomicU64,
}

impl Cache {
    pub(super) fn new(bytes: u64) -> Self {
        let hasher = quick_cache::DefaultHashBuilder::default();
        Self {
            kept: sync::Cache::with(1024, bytes, Weight, hasher, PinManaged),
            doubtful: Mutex::default(),
            turns: AtomicU64::default(),
        }
    }

    pub(super) fn get(&self, vault: &VaultName, folded: &str) -> Option<Arc<Current>> {
        self.kept.get(&KeyRef(vault, folded))
    }

    /// The record, loaded by `load` where it isn't here. Of several that miss at once one loads. What was loaded
    /// before a [`forget`](Self::forget) that came meanwhile is returned, and not kept.
    pub(super) async fn get_or_load<E>(
        &self,
        vault: &VaultName,
        name: &SecretName,
        load: impl Future<Output = Result<Arc<Current>, E>>,
    ) -> Result<Arc<Current>, E> {
        let key = key(vault, name);
        match self.kept.get_value_or_guard_async(&key).await {
            Ok(found) => Ok(found),
            Err(guard) => {
                let loaded = load.await?;
                if !self.doubtful().contains_key(&key) {
                    // Refused if it was forgotten while we loaded; the next reader loads again.
                    let _ = guard.insert(Arc::clone(&loaded));
                }
                Ok(loaded)
            }
        }
    }

    /// Takes it out; whether it was there as a managed token's.
    pub(super) fn forget(&self, vault: &VaultName, name: &SecretName) -> bool {
        self.kept.remove(&KeyRef(vault, name.folded())).is_some_and(|(_, current)| current.managed)
    }

    /// What is asked for later has a greater one.
    pub(super) fn turn(&self) -> Turn {
        Turn(self.turns.fetch_add(1, Ordering::SeqCst))
    }

    /// It may be kept again, unless it was distrusted since `began`.
    pub(super) fn trust(&self, vault: &VaultName, name: &SecretName, began: Turn) {
        let (mut doubtful, key) = (self.doubtful(), key(vault, name));
        if doubtful.get(&key).is_some_and(|since| *since < began) {
            doubtful.remove(&key);
        }
    }

    /// Takes it out, and keeps it out until it is [trusted](Self::trust) again.
    pub(super) fn distrust(&self, vault: &VaultName, name: &SecretName) {
        // In this order: who loads looks at the first before it fills the second.
        let since = self.turn();
        self.doubtful().insert(key(vault, name), since);
        self.forget(vault, name);
    }

    fn doubtful(&self) -> MutexGuard<'_, HashMap<Key, Turn>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(vault: &VaultName, name: &SecretName) -> Key {
    Key { vault: vault.clone(), name: name.folded().into() }
}
