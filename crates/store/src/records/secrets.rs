//! Secrets and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use renewal::{Margins, Wall, WireState};
use vault::{Keyring, Place, RecordTag, Sealed, SecretBody, SecretName, VaultName, VersionId};
use zeroize::Zeroizing;

use super::tokens::Token;
use super::{CONFLICT_RETRIES, RecordError, Records, unopened};
use crate::port::{CommitError, Store, StoreError, Write};
use crate::rows::{SecretRow, TokenRow, VersionRow};

/// A secret's current version, still sealed.
pub struct Current {
    /// The name as first written.
    pub name: SecretName,
    /// The current version.
    pub version: VersionRow,
    /// Whether a managed token keeps it fresh.
    pub managed: bool,
    /// How many versions are kept; `None` keeps all.
    pub keep_versions: Option<u32>,
    /// How little life left puts the value in danger; `None` where no managed token obtained it.
    pub danger: Option<Danger>,
    /// The secret row's record.
    pub(super) tag: RecordTag,
}

/// How little life left puts the value of a managed token in danger, in seconds. It is kept in memory for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Danger {
    urgent: u32,
    hard_stop: u32,
}

impl Danger {
    pub(super) fn of(margins: &Margins) -> Self {
        let seconds = |left: Duration| u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Self { urgent: seconds(margins.urgent), hard_stop: seconds(margins.hard_stop) }
    }

    /// What readers are told of a value that has so many seconds left; `None` is one without a known end.
    pub fn state(self, left: Option<i64>) -> WireState {
        match left {
            Some(left) if left <= i64::from(self.hard_stop) => WireState::Expired,
            Some(left) if left <= i64::from(self.urgent) => WireState::Expiring,
            Some(_) | None => WireState::Fresh,
        }
    }
}

/// What a new version of a secret is made of. Attributes are not inherited from the version before.
pub struct NewSecret {
    /// The vault.
    pub vault: VaultName,
    /// The name; where the secret exists it stays as first written.
    pub name: SecretName,
    /// The value, content type, tags and writer.
    pub body: SecretBody,
    /// Whether it may be read.
    pub enabled: bool,
    /// `nbf`, in Unix seconds.
    pub not_before: Option<i64>,
    /// `exp`, in Unix seconds.
    pub expires: Option<i64>,
    /// The time now, in Unix seconds.
    pub now: i64,
}

/// What a write depends on: the current version that is there, or that none is.
pub type SetCondition<'c> = dyn Fn(Option<&Current>) -> bool + Send + Sync + 'c;

/// What changes on a version; `None` leaves as it is. A value never changes.
#[derive(Default)]
pub struct Amendment {
    /// Whether it may be read.
    pub enabled: Option<bool>,
    /// `nbf`, in Unix seconds.
    pub not_before: Option<i64>,
    /// `exp`, in Unix seconds.
    pub expires: Option<i64>,
    /// The content type.
    pub content_type: Option<String>,
    /// All the tags.
    pub tags: Option<BTreeMap<String, String>>,
}

/// A version that was written.
pub struct WrittenVersion {
    /// The secret's name as first written.
    pub name: SecretName,
    /// The version's row.
    pub version: VersionRow,
    /// Its body.
    pub body: SecretBody,
    /// Whether a managed token keeps the secret fresh.
    pub managed: bool,
}

impl<S: Store> Records<S> {
    /// The current version if it is in memory. Takes no lock that a write holds.
    pub fn current_in_memory(&self, vault: &VaultName, folded_name: &str) -> Option<Arc<Current>> {
        self.cache.get(vault, folded_name)
    }

    /// The current version, from memory or from the store.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why the store could not answer.
    pub async fn current(&self, vault: &VaultName, name: &SecretName) -> Result<Arc<Current>, RecordError> {
        self.cache.get_or_load(vault, name, self.load_current(vault, name)).await
    }

    /// The current version, from the store alone. Memory forgets what a commit made stale when the commit's caller goes on,
    /// an instant after others can read it in the store; whoever acts on another row of the same commit must not act on
    /// what was before.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub async fn current_in_store(&self, vault: &VaultName, name: &SecretName) -> Result<Arc<Current>, RecordError> {
        self.load_current(vault, name).await
    }

    async fn load_current(&self, vault: &VaultName, name: &SecretName) -> Result<Arc<Current>, RecordError> {
        let (secret, version) = self.store.current(vault, name).await?.ok_or(RecordError::NotFound)?;
        let manager = self.manager_of(vault, name).await?;
        Ok(Arc::new(Current {
            name: self.name_as_written(&secret)?,
            danger: manager.as_ref().and_then(|manager| self.danger(manager, &version)),
            version,
            managed: manager.is_some(),
            keep_versions: secret.keep_versions,
            tag: secret.sealed.tag(),
        }))
    }

    /// Whether a managed token keeps the secret fresh. One whose own record is damaged does: that is no reason to
    /// withhold the value that it obtained.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn is_managed(&self, vault: &VaultName, name: &SecretName) -> Result<bool, RecordError> {
        Ok(self.manager_of(vault, name).await?.is_some())
    }

    async fn manager_of(&self, vault: &VaultName, name: &SecretName) -> Result<Option<Manager>, RecordError> {
        match self.store.token_of(vault, name).await {
            Ok(row) => Ok(row.map(Manager::Sound)),
            Err(error @ StoreError::Damaged(_)) => {
                self.damaged(&error.into());
                Ok(Some(Manager::Damaged))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The managed token that keeps the secret fresh, opened. One that doesn't open is told of, and stands in no way.
    pub(super) async fn sound_token_of(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<Token>, RecordError> {
        Ok(match self.manager_of(vault, name).await? {
            Some(Manager::Sound(row)) => self.open_token(row).inspect_err(|error| self.damaged(error)).ok(),
            Some(Manager::Damaged) | None => None,
        })
    }

    fn danger(&self, manager: &Manager, version: &VersionRow) -> Option<Danger> {
        let Manager::Sound(row) = manager else {
            return None;
        };
        // What somebody wrote over the token is none of its values.
        if version.generation == 0 || version.generation != row.generation {
            return None;
        }
        self.margins(row).inspect_err(|error| self.damaged(error)).ok().map(|margins| Danger::of(&margins))
    }

    /// One version by its id.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why the store could not answer.
    pub async fn version(
        &self,
        vault: &VaultName,
        name: &SecretName,
        version: VersionId,
    ) -> Result<VersionRow, RecordError> {
        self.store.version(vault, name, version).await?.ok_or(RecordError::NotFound)
    }

    /// Opens a version into a buffer that may be used again, and hands its encoded body
    /// ([`vault::SecretBodyView::decode`] reads it) to `read`. This is the path of every read: it allocates nothing
    /// once the buffer has grown.
    ///
    /// # Errors
    /// [`RecordError::Sealed`] where the record doesn't open.
    pub fn with_body<R>(
        &self,
        row: &VersionRow,
        buffer: &mut Zeroizing<Vec<u8>>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, RecordError> {
        let keyring: Arc<Keyring> = self.keyring();
        let body = keyring
            .open_into(&row.place(), row.sealed.as_bytes(), buffer)
            .map_err(|error| unopened(&error, || of_version(row)))?;
        Ok(read(body))
    }

    /// Opens a version.
    ///
    /// # Errors
    /// [`RecordError::Sealed`] where the record doesn't open.
    pub fn body(&self, row: &VersionRow) -> Result<SecretBody, RecordError> {
        let mut buffer = Zeroizing::new(Vec::new());
        self.with_body(row, &mut buffer, SecretBody::decode)?
            .map_err(|error| RecordError::Sealed(format!("{} ({error})", of_version(row))))
    }

    /// The secrets of a vault with their names as first written, in the order of their folded names, after `after`.
    /// One whose record doesn't open has its folded name and the reason in place of its version; who listens for
    /// [damage](Self::on_damage) is told. The version itself may still not open.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(SecretName, Result<VersionRow, RecordError>)>, RecordError> {
        let rows = self.store.secrets(vault, after, limit).await?;
        let listed = rows.into_iter().map(|(secret, version)| match self.name_as_written(&secret) {
            Ok(name) => (name, Ok(version)),
            Err(error) => {
                self.damaged(&error);
                (secret.name, Err(error))
            }
        });
        Ok(listed.collect())
    }

    /// Writes a new version and makes it the current one. Where a managed token keeps the secret, a renewal follows
    /// at once and the generation stays.
    ///
    /// # Errors
    /// [`RecordError::Deleted`], or why it was not written; nothing was then.
    pub async fn set(&self, new: NewSecret) -> Result<WrittenVersion, RecordError> {
        self.set_if(new, None).await
    }

    /// As [`set`](Self::set), where `condition` holds of what is there: the current version, or nothing. It may be asked
    /// more than once, and holds at the moment of the write.
    ///
    /// # Errors
    /// [`RecordError::Unmet`] where it doesn't hold; otherwise as [`set`](Self::set).
    pub async fn set_if(
        &self,
        new: NewSecret,
        condition: Option<&SetCondition<'_>>,
    ) -> Result<WrittenVersion, RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let existing = match self.current(&new.vault, &new.name).await {
                Ok(current) => Some(current),
                Err(RecordError::NotFound) => {
                    self.expect_not_deleted(&new.vault, &new.name).await?;
                    None
                }
                Err(error) => return Err(error),
            };
            let (mut writes, version) = self.new_version(existing.as_deref(), &new, 0, None);
            if let Some(condition) = condition {
                if !condition(existing.as_deref()) {
                    return Err(RecordError::Unmet);
                }
                if let Some(Current { version, .. }) = existing.as_deref() {
                    // It changes nothing, and conflicts with a change of attributes in between.
                    // First, since the batch may prune it.
                    let replaces = version.sealed.tag();
                    writes.insert(0, Write::AmendVersion { row: version.clone(), replaces });
                }
            }
            let managed = match &existing {
                Some(current) => current.managed,
                // A token may have been declared before its secret is there.
                None => self.is_managed(&new.vault, &new.name).await?,
            };
            match &existing {
                None => writes.extend(self.token_goes_on(&new.vault, &new.name, Some(new.now)).await?),
                Some(_) if managed => writes.push(Write::Hasten {
                    vault: new.vault.clone(),
                    name: new.name.clone(),
                    due: Wall(new.now.saturating_mul(1000)),
                }),
                Some(_) => {}
            }
            match self.commit(writes).await {
                Ok(()) => {
                    self.written(&new.vault, &new.name);
                    let name = existing.map_or(new.name, |current| current.name.clone());
                    return Ok(WrittenVersion { name, version, body: new.body, managed });
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    /// Changes a version's attributes, content type or tags.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why it was not written.
    pub async fn amend(
        &self,
        vault: &VaultName,
        name: &SecretName,
        version: Option<VersionId>,
        change: &Amendment,
        now: i64,
    ) -> Result<WrittenVersion, RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let current = self.current(vault, name).await?;
            let row = match version {
                Some(id) if id != current.version.version => self.version(vault, name, id).await?,
                _ => current.version.clone(),
            };
            let mut body = self.body(&row)?;
            let replaces = row.sealed.tag();
            let mut amended = row;
            amended.enabled = change.enabled.unwrap_or(amended.enabled);
            amended.not_before = change.not_before.or(amended.not_before);
            amended.expires = change.expires.or(amended.expires);
            if let Some(content_type) = &change.content_type {
                body.content_type = Some(content_type.clone());
            }
            if let Some(tags) = &change.tags {
                body.tags = tags.clone();
            }
            // Seconds are all that readers see; two changes in one second must still differ.
            body.updated = now.max(body.updated);
            amended.sealed = self.seal(&amended.place(), &body.encode());
            match self.commit(vec![Write::AmendVersion { row: amended.clone(), replaces }]).await {
                Ok(()) => {
                    self.written(vault, &current.name);
                    let (name, managed) = (current.name.clone(), current.managed);
                    return Ok(WrittenVersion { name, version: amended, body, managed });
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    /// The writes that make a new current version, and its row. `keep_versions` replaces the secret's own setting.
    pub(super) fn new_version(
        &self,
        existing: Option<&Current>,
        new: &NewSecret,
        generation: u64,
        keep_versions: Option<u32>,
    ) -> (Vec<Write>, VersionRow) {
        let as_written = existing.map_or(&new.name, |current| &current.name);
        let keep_versions = keep_versions.or_else(|| existing.and_then(|current| current.keep_versions));
        let version = self.version_row(as_written, new, generation);
        let secret = self.secret_row(&new.vault, as_written, &version, new.now, keep_versions);
        let mut writes = vec![
            Write::Version(version.clone()),
            Write::Secret { row: secret, replaces: existing.map(|current| current.tag) },
        ];
        if let Some(keep) = keep_versions {
            writes.push(Write::KeepVersions { vault: new.vault.clone(), name: as_written.clone(), keep: keep.max(1) });
        }
        (writes, version)
    }

    /// The row of a version that is made now.
    pub(super) fn version_row(&self, as_written: &SecretName, new: &NewSecret, generation: u64) -> VersionRow {
        let mut version = VersionRow {
            vault: new.vault.clone(),
            name: as_written.clone(),
            version: VersionId(self.entropy.bytes16()),
            created: new.now,
            enabled: new.enabled,
            not_before: new.not_before,
            expires: new.expires,
            generation,
            sealed: Sealed::pending(),
        };
        version.sealed = self.seal(&version.place(), &new.body.encode());
        version
    }

    fn name_as_written(&self, row: &SecretRow) -> Result<SecretName, RecordError> {
        let what = || format!("secret {} of vault {}", row.name.folded(), row.vault.as_str());
        self.name_in(&row.place(), &row.sealed, what)
    }

    /// The name in a secret's record.
    pub(super) fn name_in(
        &self,
        place: &Place,
        sealed: &Sealed,
        what: impl Fn() -> String,
    ) -> Result<SecretName, RecordError> {
        let body = self.open(place, sealed, &what)?;
        core::str::from_utf8(&body)
            .ok()
            .and_then(|name| SecretName::parse(name).ok())
            .ok_or_else(|| RecordError::Sealed(format!("{} (its body is no name)", what())))
    }
}

/// The managed token that keeps a secret fresh.
enum Manager {
    Sound(TokenRow),
    /// One whose row can't be read.
    Damaged,
}

fn of_version(row: &VersionRow) -> String {
    format!("version {} of secret {} of vault {}", row.version, row.name.folded(), row.vault.as_str())
}
