//! A credential was written: what waits for it is tried at once.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use store::{RecordError, Store, StoreError};
use vault::{SecretName, VaultName};

use crate::definition::{Source, TokenDefinition};
use crate::keeper::Keeper;
use crate::port::{Clock, Http, Observer};

/// Several credentials that are written one after the other are looked at together.
const GATHER: Duration = Duration::from_millis(200);

/// How many secrets are remembered until they are looked at; of more, tokens that wait are tried when they are due.
const MOST_WRITTEN: usize = 10_000;

impl<S: Store, C: Clock, H: Http, O: Observer> Keeper<S, C, H, O> {
    /// Somebody wrote this secret. Tokens that are obtained with it, and that fail or never had a value, are tried at
    /// once, and what holds their lanes is lifted. Returns at once; [`Keeper::run`] does it.
    pub fn secret_written(&self, vault: &VaultName, name: &SecretName) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() < MOST_WRITTEN {
            written.insert((vault.as_str().to_owned(), name.folded().to_owned()));
        }
        drop(written);
        self.written_wake.knock();
    }

    /// A target can be read again, perhaps: the same as if all secrets in it had been written.
    pub fn target_reopened(&self, target: &str) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert((target.to_owned(), String::new()));
        drop(written);
        self.written_wake.knock();
    }

    pub(crate) async fn watch_credentials(&self) {
        loop {
            self.written_wake.knocked().await;
            self.clock.sleep(GATHER).await;
            let written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
            if let Err(error) = self.try_what_waits_for(&written).await {
                self.observer
                    .trouble(&format!("tokens whose credentials were written are tried when they are due: {error}"));
            }
        }
    }

    async fn try_what_waits_for(&self, written: &BTreeSet<(String, String)>) -> Result<(), RecordError> {
        let mut waiting = Vec::new();
        self.each_declared(|row, definition| waiting.extend(uses(&definition, written).then_some(row.id))).await?;
        if !waiting.is_empty() || self.targets.proofs().values().any(|proof| is_among(written, &proof.0, &proof.1)) {
            self.targets.deadlines_changed();
        }
        let mut lanes = BTreeSet::new();
        for id in waiting {
            let token = match self.records.token(id).await {
                Ok(token) => token,
                Err(RecordError::Store(error)) if !matches!(error, StoreError::Damaged(_)) => return Err(error.into()),
                // It is gone meanwhile, or doesn't open: the others go on.
                Err(_) => continue,
            };
            if token.standing.failures == 0 && token.standing.obtained.is_some() {
                continue;
            }
            lanes.insert(token.row.lane.clone());
            let mut standing = token.standing.clone();
            standing.renew_now(self.clock.now());
            // Whoever changed it at the same time has made it due, or has a reason not to.
            let _ = self.records.commit(vec![self.records.token_write(&token, &standing, None)]).await;
        }
        for lane in lanes {
            self.reopen_lane(&lane).await;
        }
        self.wake();
        Ok(())
    }
}

fn uses(definition: &TokenDefinition, written: &BTreeSet<(String, String)>) -> bool {
    [&definition.client_id, &definition.client_secret].into_iter().any(|source| match source {
        Source::Literal(_) => false,
        Source::Secret { vault, name } => is_among(written, vault, name),
    })
}

fn is_among(written: &BTreeSet<(String, String)>, vault: &str, name: &str) -> bool {
    written.contains(&(vault.to_owned(), name.to_ascii_lowercase()))
        || written.contains(&(vault.to_owned(), String::new()))
}
