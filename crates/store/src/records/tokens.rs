//! Managed tokens and the history of their attempts.

use std::collections::BTreeMap;
use std::sync::Arc;

use renewal::{Margins, PauseReason, Standing, Wall};
use secret::Secret;
use serde::{Deserialize, Serialize};
use vault::{Sealed, SecretBody, SecretName, VaultName};

use super::{CONFLICT_RETRIES, Current, NewSecret, RecordError, Records, from_json, to_json};
use crate::port::{Claim, CommitError, Lease, Store, StoreError, Write};
use crate::rows::{AttemptRow, DeletedSecretRow, LaneRow, TokenId, TokenRow};

/// How many attempts of a token its history keeps by default.
pub const KEEP_ATTEMPTS: u32 = 1000;

/// The tags that tell a reader which renewal a version came from.
pub const GENERATION_TAG: &str = "vestal-generation";

/// A managed token, opened.
#[derive(Clone)]
pub struct Token {
    /// Its row. `due`, `expiry` and `generation` are those of the standing.
    pub row: TokenRow,
    /// Where it stands: generation, life, failures, pause.
    pub standing: Standing,
}

/// What came of one attempt to renew a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number; the token's attempts count up, with gaps where a claim was given back.
    pub number: u64,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: i64,
    /// How long it took, in milliseconds: from the claim to the provider's answer, read.
    pub took: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The provider's name for an answer, from its headers.
    pub request_id: Option<String>,
    /// When the token is next due, in milliseconds since the Unix epoch.
    pub next_due: i64,
    /// How many later attempts ended in just the same way; they have no row of their own.
    pub repeats: u64,
    /// When the last of those repeats began.
    pub last_repeat: Option<i64>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// A new value, or the same one with a later end.
    Renewed {
        /// The generation that it became; `None` where the provider gave the same value again.
        generation: Option<u64>,
        /// Its life in seconds, where one is known.
        lifetime: Option<u64>,
        /// Where the lifetime came from.
        lifetime_source: String,
        /// What was odd about the answer; empty where nothing was.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// No token.
    Failed {
        /// The kind of failure: `transient`, `throttled`, `client`.
        class: String,
        /// The provider's error code, if it is one of those that are known to be harmless.
        error: Option<String>,
        /// What a person reads: what happened, and what to do.
        words: String,
    },
}

/// A renewal that succeeded, to be published.
pub struct Promotion<'a> {
    /// The token as it was last read; another by now, and the promotion is a conflict.
    pub token: &'a Token,
    /// How it stands from now on.
    pub standing: &'a Standing,
    /// The fence of the claim that it came from; its lease ends.
    pub fence: u64,
    /// The access token.
    pub value: &'a Secret,
    /// The provider gave the same value again: if the secret still holds it, only its end moves.
    pub same_value: bool,
    /// Who wrote it, as `secret show` tells.
    pub written_by: &'a str,
    /// Its row of the history.
    pub attempt: &'a Attempt,
    /// How many versions of the secret are kept.
    pub keep_versions: u32,
    /// Whether the token is delivered anywhere: its deliveries become due in the same transaction.
    pub delivers: bool,
    /// The time now, in Unix seconds.
    pub now: i64,
}

impl<S: Store> Records<S> {
    /// One token.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why the store could not answer.
    pub async fn token(&self, id: TokenId) -> Result<Token, RecordError> {
        self.open_token(self.store.token(id).await?.ok_or(RecordError::NotFound)?)
    }

    /// The token that manages this secret, if one does.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn token_of(&self, vault: &VaultName, name: &SecretName) -> Result<Option<Token>, RecordError> {
        self.store.token_of(vault, name).await?.map(|row| self.open_token(row)).transpose()
    }

    /// Opens a token's row.
    ///
    /// # Errors
    /// [`RecordError::Sealed`] where the record doesn't open.
    pub fn open_token(&self, row: TokenRow) -> Result<Token, RecordError> {
        let what = || format!("token {} of vault {}", row.name.folded(), row.vault.as_str());
        let mut standing: Standing = from_json(&self.open(&row.place(), &row.sealed, what)?, what)?;
        // The column rules: a write by somebody else makes a token due by it alone.
        if row.due != Wall::NEVER {
            standing.due = row.due;
        }
        Ok(Token { row, standing })
    }

    /// The margins of a token's value, without the rest of its standing: this is done for each secret that comes into memory.
    pub(super) fn margins(&self, row: &TokenRow) -> Result<Margins, RecordError> {
        #[derive(Deserialize)]
        struct Part {
            margins: Margins,
        }
        let what = || format!("token {} of vault {}", row.name.folded(), row.vault.as_str());
        let part: Part = from_json(&self.open(&row.place(), &row.sealed, what)?, what)?;
        Ok(part.margins)
    }

    /// The write that declares a token: one that never had a value, due at once.
    pub fn new_token(&self, vault: VaultName, name: SecretName, lane: String, standing: &Standing) -> Write {
        let row = TokenRow {
            id: TokenId(self.entropy.bytes16()),
            vault,
            name,
            lane,
            due: standing.due,
            expiry: Wall::EPOCH,
            generation: 0,
            fence: 0,
            leased: false,
            sealed: Sealed::pending(),
        };
        Write::Token { row: self.sealed_token(row, standing), replaces: None, releases: None }
    }

    /// The write that replaces the token's standing, and ends the lease of `releases`.
    pub fn token_write(&self, token: &Token, standing: &Standing, releases: Option<u64>) -> Write {
        Write::Token {
            row: self.sealed_token(token.row.clone(), standing),
            replaces: Some(token.row.sealed.tag()),
            releases,
        }
    }

    /// Changes a token's standing, whatever else changes it at the same time. `change` may run more than once; the
    /// writes that it returns go into the same transaction.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why it was not written.
    pub async fn change_token(
        &self,
        id: TokenId,
        releases: Option<u64>,
        mut change: impl FnMut(&Token, &mut Standing) -> Vec<Write> + Send,
    ) -> Result<Token, RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let token = self.token(id).await?;
            let mut standing = token.standing.clone();
            let mut writes = change(&token, &mut standing);
            let replaces = Some(token.row.sealed.tag());
            let row = self.sealed_token(token.row, &standing);
            writes.push(Write::Token { row: row.clone(), replaces, releases });
            match self.commit(writes).await {
                Ok(()) => return Ok(Token { row, standing }),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    /// The durable right to make one attempt from generation `parent`; see [`Store::claim`].
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn claim(&self, token: TokenId, parent: u64) -> Result<Option<Lease>, StoreError> {
        self.store.claim(Claim { token, parent }).await
    }

    /// Publishes a renewal: the new version, the token's new standing and its row of the history in one transaction, as
    /// a compare-and-set on the token that it was decided over.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] where the token or its secret is another by now: read it again and decide again.
    /// Otherwise why it was not written; the caller keeps the value and tries again, since a success is never dropped.
    pub async fn promote(&self, promotion: &Promotion<'_>) -> Result<(), CommitError> {
        let Promotion { token, standing, now, .. } = *promotion;
        let place = self.place_of(token).await.map_err(unwritten)?;
        let mut writes = self.published(promotion, &place)?;
        let releases = Some(promotion.fence);
        writes.push(match place {
            ValuePlace::Free | ValuePlace::Live(_) => self.token_write(token, standing, releases),
            ValuePlace::Deleted(_) | ValuePlace::Purged => {
                let mut resting = standing.clone();
                resting.pause(PauseReason::SecretDeleted);
                self.token_write(token, &resting, releases)
            }
        });
        writes.extend(self.attempt_writes(token.row.id, promotion.attempt));
        if promotion.delivers {
            let now = Wall(now.saturating_mul(1000));
            writes.push(Write::Deliver { token: token.row.id, due: now, behind: now });
        }
        self.commit(writes).await
    }

    async fn place_of(&self, token: &Token) -> Result<ValuePlace, RecordError> {
        let (vault, name) = (&token.row.vault, &token.row.name);
        match self.current(vault, name).await {
            Ok(current) => return Ok(ValuePlace::Live(current)),
            Err(RecordError::NotFound) => {}
            Err(error) => return Err(error),
        }
        Ok(match self.store.deleted_secret(vault, name).await? {
            Some((row, _)) => ValuePlace::Deleted(row),
            None if token.standing.paused.contains(&PauseReason::SecretDeleted) => ValuePlace::Purged,
            None => ValuePlace::Free,
        })
    }

    /// The writes that put the value where readers find it.
    fn published(&self, promotion: &Promotion<'_>, place: &ValuePlace) -> Result<Vec<Write>, CommitError> {
        let Promotion { token, standing, value, now, .. } = *promotion;
        let expires = standing.expiry.map(|expiry| expiry.wall.unix_seconds());
        let generation_tag = (GENERATION_TAG.to_owned(), standing.generation.to_string());
        if let (ValuePlace::Live(current), true) = (place, promotion.same_value) {
            let mut body = self.body(&current.version).map_err(unwritten)?;
            // Somebody may have written another value since it was compared.
            if body.value.equals(value) {
                let mut row = current.version.clone();
                row.expires = expires;
                row.generation = standing.generation;
                body.updated = now.max(body.updated);
                body.tags.insert(generation_tag.0, generation_tag.1);
                row.sealed = self.seal(&row.place(), &body.encode());
                return Ok(vec![Write::AmendVersion { row, replaces: current.version.sealed.tag() }]);
            }
        }
        let new = NewSecret {
            vault: token.row.vault.clone(),
            name: token.row.name.clone(),
            body: SecretBody {
                value: value.duplicate(),
                content_type: None,
                tags: BTreeMap::from([generation_tag]),
                updated: now,
                written_by: promotion.written_by.to_owned(),
            },
            enabled: true,
            not_before: None,
            expires,
            now,
        };
        let keep = Some(promotion.keep_versions);
        match place {
            ValuePlace::Free => Ok(self.new_version(None, &new, standing.generation, keep).0),
            ValuePlace::Live(current) => Ok(self.new_version(Some(current), &new, standing.generation, keep).0),
            // A success is never dropped: it comes back with the secret.
            ValuePlace::Deleted(row) => self.version_of_deleted(row, &new, standing.generation).map_err(unwritten),
            // Whoever purged it wants no secret of this name.
            ValuePlace::Purged => Ok(Vec::new()),
        }
    }

    /// The writes that put an attempt into the history, or replace it there.
    pub fn attempt_writes(&self, token: TokenId, attempt: &Attempt) -> Vec<Write> {
        let mut row =
            AttemptRow { token, number: attempt.number, started: Wall(attempt.started), sealed: Sealed::pending() };
        row.sealed = self.seal(&row.place(), &to_json(attempt));
        let mut writes = vec![Write::Attempt(row)];
        // The oldest go a few at a time: pruning on every attempt would cost a search each.
        if attempt.number.is_multiple_of(16) {
            writes.push(Write::KeepAttempts { token, keep: KEEP_ATTEMPTS });
        }
        writes
    }

    /// The token's attempts, newest first, with numbers below `before`.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn attempts(
        &self,
        token: TokenId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Attempt>, RecordError> {
        let rows = self.store.attempts(token, before, limit).await?;
        rows.iter()
            .map(|row| {
                let what = || format!("attempt {} of a token", row.number);
                from_json(&self.open(&row.place(), &row.sealed, what)?, what)
            })
            .collect()
    }

    /// What was stored of each lane, by its key.
    ///
    /// # Errors
    /// Why the store could not answer, or which record doesn't open.
    pub async fn lanes<T: serde::de::DeserializeOwned>(&self) -> Result<Vec<(String, T)>, RecordError> {
        let rows = self.store.lanes().await?;
        rows.into_iter()
            .map(|row| {
                let what = || format!("lane {}", row.key);
                let body = from_json(&self.open(&row.place(), &row.sealed, what)?, what)?;
                Ok((row.key, body))
            })
            .collect()
    }

    /// The write that stores a lane, none of whose tokens is due before `open_at`.
    pub fn lane_write<T: Serialize>(&self, key: &str, open_at: Wall, body: &T) -> Write {
        let mut row = LaneRow { key: key.to_owned(), open_at, sealed: Sealed::pending() };
        row.sealed = self.seal(&row.place(), &to_json(body));
        Write::Lane(row)
    }

    fn sealed_token(&self, row: TokenRow, standing: &Standing) -> TokenRow {
        let mut row = with_columns(row, standing);
        row.sealed = self.seal(&row.place(), &to_json(standing));
        row
    }
}

/// Where a renewal's value belongs.
enum ValuePlace {
    /// Nothing is there.
    Free,
    /// The secret is there.
    Live(Arc<Current>),
    /// It was deleted meanwhile, or before its token was declared.
    Deleted(DeletedSecretRow),
    /// It was deleted meanwhile, and purged.
    Purged,
}

/// The same failure, for a caller that only asks whether a batch was written.
fn unwritten(error: RecordError) -> CommitError {
    match error {
        RecordError::Store(error) => CommitError::Store(error),
        RecordError::NotFound
        | RecordError::Unmet
        | RecordError::Exists
        | RecordError::Deleted
        | RecordError::Contended => CommitError::Conflict,
        RecordError::Sealed(what) => CommitError::Store(StoreError::Damaged(what)),
    }
}

/// The clear columns that a standing determines.
fn with_columns(mut row: TokenRow, standing: &Standing) -> TokenRow {
    row.due = if standing.paused.is_empty() { standing.due } else { Wall::NEVER };
    row.generation = standing.generation;
    row.expiry = standing.order();
    row
}
