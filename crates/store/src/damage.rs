//! Rows that were damaged, and who hears of them.
//!
//! A list goes on past a row that can't be read, or one damaged row would hide all others. What can still be told of it,
//! its key, stands in the list with a body that opens nowhere, so that nobody takes it for a sound one.

use std::sync::OnceLock;

use renewal::Wall;
use vault::{Sealed, SecretName, VaultName, VersionId};

use crate::rows::{SecretRow, TokenId, TokenRow, VersionRow};

/// Tells one listener of rows that were found damaged. It is told at each read that meets them.
#[derive(Default)]
pub struct Damage(OnceLock<Hear>);

type Hear = Box<dyn Fn(&str) + Send + Sync>;

impl Damage {
    /// Nobody listens yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Calls `hear` with words that name the damaged row. It must not block. Only the first listener counts.
    pub fn hear(&self, hear: impl Fn(&str) + Send + Sync + 'static) {
        // There is one log to tell.
        let _ = self.0.set(Box::new(hear));
    }

    /// A row was found damaged.
    pub fn found(&self, words: &str) {
        if let Some(hear) = self.0.get() {
            hear(words);
        }
    }
}

impl SecretRow {
    /// Stands in a list for a secret whose other columns can't be read.
    pub fn damaged(vault: VaultName, name: SecretName) -> Self {
        let current = VersionId([0; 16]);
        Self { vault, name, current, changed: 0, keep_versions: None, sealed: Sealed::pending() }
    }
}

impl VersionRow {
    /// Stands in a list for a version that is gone, or whose other columns can't be read.
    pub fn damaged(vault: VaultName, name: SecretName, version: VersionId) -> Self {
        Self {
            vault,
            name,
            version,
            created: 0,
            enabled: false,
            not_before: None,
            expires: None,
            generation: 0,
            sealed: Sealed::pending(),
        }
    }
}

impl TokenRow {
    /// Stands in a list for a token whose other columns can't be read.
    pub fn damaged(id: TokenId, vault: VaultName, name: SecretName) -> Self {
        Self {
            id,
            vault,
            name,
            lane: String::new(),
            due: Wall::NEVER,
            expiry: Wall::EPOCH,
            generation: 0,
            fence: 0,
            leased: false,
            sealed: Sealed::pending(),
        }
    }
}
