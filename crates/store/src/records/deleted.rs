//! Secrets that are deleted, and come back or go for good.
//!
//! A deleted secret keeps its versions, and its name is taken. A token that manages it is paused, and goes on when the
//! secret comes back. Whatever is decided here is one transaction, made anew where somebody else was faster.

use renewal::{PauseReason, Wall};
use vault::{
    BackedUpVersion, MAX_BACKUP_BYTES, MAX_BACKUP_VERSIONS, RecordTag, Sealed, SecretBackup, SecretName, VaultName,
};

use super::{CONFLICT_RETRIES, NewSecret, RecordError, Records, WrittenVersion};
use crate::port::{CommitError, Store, Write};
use crate::rows::{DeletedSecretRow, SecretRow, VersionRow};

/// A secret that was deleted and can still be recovered.
pub struct Deleted {
    /// The name as first written.
    pub name: SecretName,
    /// The version that was its current one.
    pub version: VersionRow,
    /// When it was deleted, in Unix seconds.
    pub deleted: i64,
    /// From when on it is purged, in Unix seconds.
    pub purged_at: i64,
    keep_versions: Option<u32>,
    tag: RecordTag,
}

/// Why a secret can't be backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackUpError {
    /// It has more versions than [`MAX_BACKUP_VERSIONS`], or they are longer together than [`MAX_BACKUP_BYTES`].
    TooLarge,
    /// There is no such secret, or the store failed.
    Record(RecordError),
}

impl From<RecordError> for BackUpError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl<S: Store> Records<S> {
    /// The deleted secret of this name.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why the store could not answer.
    pub async fn deleted_secret(&self, vault: &VaultName, name: &SecretName) -> Result<Deleted, RecordError> {
        let (row, version) = self.store.deleted_secret(vault, name).await?.ok_or(RecordError::NotFound)?;
        self.deleted(&row, version)
    }

    /// The deleted secrets of a vault, in the order of their folded names, after `after`. One whose record doesn't open is
    /// told of and left out.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn deleted_secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(SecretName, Option<Deleted>)>, RecordError> {
        let rows = self.store.deleted_secrets(vault, after, limit).await?;
        let listed = rows.into_iter().map(|(row, version)| {
            let opened = self.deleted(&row, version).inspect_err(|error| self.damaged(error)).ok();
            (row.secret.name, opened)
        });
        Ok(listed.collect())
    }

    /// Deletes a secret with all its versions, so that it can be recovered until `purged_at`.
    ///
    /// # Errors
    /// [`RecordError::NotFound`], or why it was not deleted.
    pub async fn delete_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
        now: i64,
        purged_at: i64,
    ) -> Result<Deleted, RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let current = self.current(vault, name).await?;
            let secret = SecretRow {
                vault: vault.clone(),
                name: current.name.clone(),
                current: current.version.version,
                changed: now,
                keep_versions: current.keep_versions,
                sealed: Sealed::pending(),
            };
            let row = self.sealed_deleted(DeletedSecretRow { secret, deleted: now, purged_at });
            let tag = row.secret.sealed.tag();
            let mut writes = vec![Write::DeleteSecret { row, replaces: current.tag }];
            writes.extend(self.token_rests(vault, name).await?);
            // From before others can see that it is deleted, memory doesn't answer for it.
            self.cache.distrust(vault, name);
            match self.commit(writes).await {
                Ok(()) => {
                    let (name, version) = (current.name.clone(), current.version.clone());
                    let keep_versions = current.keep_versions;
                    return Ok(Deleted { name, version, deleted: now, purged_at, keep_versions, tag });
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    /// Brings a deleted secret back as it was.
    ///
    /// # Errors
    /// [`RecordError::NotFound`] where none of this name is deleted, or why it was not brought back.
    pub async fn recover_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
        now: i64,
    ) -> Result<WrittenVersion, RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let deleted = self.deleted_secret(vault, name).await?;
            let row = self.secret_row(vault, &deleted.name, &deleted.version, now, deleted.keep_versions);
            let body = self.body(&deleted.version)?;
            let mut writes = vec![Write::RecoverSecret { row, replaces: deleted.tag }];
            let resumed = self.token_goes_on(vault, name, None).await?;
            let managed = !resumed.is_empty();
            writes.extend(resumed);
            match self.commit(writes).await {
                Ok(()) => {
                    self.written(vault, &deleted.name);
                    return Ok(WrittenVersion { name: deleted.name, version: deleted.version, body, managed });
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    /// Destroys a deleted secret with all its versions. A token that managed it stays paused until somebody resumes it, or
    /// sets a secret of its name.
    ///
    /// # Errors
    /// [`RecordError::NotFound`] where none of this name is deleted, or why it was not destroyed.
    pub async fn purge_secret(&self, vault: &VaultName, name: &SecretName) -> Result<(), RecordError> {
        self.purge(vault, name, i64::MAX).await
    }

    /// The same, where its time is over at `now`, in Unix seconds; else it is none that is to be found.
    ///
    /// # Errors
    /// As [`purge_secret`](Self::purge_secret).
    pub async fn purge_if_over(&self, vault: &VaultName, name: &SecretName, now: i64) -> Result<(), RecordError> {
        self.purge(vault, name, now).await
    }

    async fn purge(&self, vault: &VaultName, name: &SecretName, now: i64) -> Result<(), RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let found = self.store.deleted_secret(vault, name).await?;
            let (row, _) = found.filter(|(row, _)| row.purged_at <= now).ok_or(RecordError::NotFound)?;
            let replaces = row.secret.sealed.tag();
            let purge = Write::PurgeSecret { vault: vault.clone(), name: name.clone(), replaces };
            match self.commit(vec![purge]).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    /// A secret with all its versions, to be taken away.
    ///
    /// # Errors
    /// [`BackUpError`] says why not.
    pub async fn back_up(&self, vault: &VaultName, name: &SecretName) -> Result<Vec<u8>, BackUpError> {
        let current = self.current(vault, name).await?;
        let most = MAX_BACKUP_VERSIONS + 1;
        let mut rows = self.store.versions(vault, name, None, most).await.map_err(RecordError::from)?;
        if rows.len() > MAX_BACKUP_VERSIONS {
            return Err(BackUpError::TooLarge);
        }
        // The current one last, whatever the seconds of their making say.
        rows.sort_by_key(|row| (row.version == current.version.version, row.created));
        let mut versions = Vec::with_capacity(rows.len());
        let mut bytes = 0;
        for row in rows {
            let body = self.body(&row)?;
            bytes += row.sealed.as_bytes().len();
            if bytes > MAX_BACKUP_BYTES {
                return Err(BackUpError::TooLarge);
            }
            let VersionRow { version, created, enabled, not_before, expires, .. } = row;
            versions.push(BackedUpVersion { version, created, enabled, not_before, expires, body });
        }
        if versions.is_empty() {
            // It was purged meanwhile.
            return Err(RecordError::NotFound.into());
        }
        let backup = SecretBackup { name: current.name.clone(), keep_versions: current.keep_versions, versions };
        Ok(backup.seal(&self.keyring(), self.entropy.bytes32()))
    }

    /// Opens a backup that these records made.
    ///
    /// # Errors
    /// Why it is none.
    pub fn open_backup(&self, bytes: &[u8]) -> Result<SecretBackup, vault::BackupError> {
        SecretBackup::open(&self.keyring(), bytes)
    }

    /// Brings a backup's secret into a vault, its versions with the ids and attributes that they had. Where a managed
    /// token keeps the secret, a renewal follows at once: what is brought back is none of its generations.
    ///
    /// # Errors
    /// [`RecordError::Exists`] or [`RecordError::Deleted`] where the name is taken, or why it was not written.
    pub async fn restore(
        &self,
        vault: &VaultName,
        backup: SecretBackup,
        now: i64,
    ) -> Result<WrittenVersion, RecordError> {
        let SecretBackup { name, keep_versions, versions } = backup;
        self.expect_free(vault, &name).await?;
        let token = self.token_goes_on(vault, &name, Some(now)).await?;
        let managed = !token.is_empty();
        let mut writes = Vec::with_capacity(versions.len() + token.len() + 1);
        let mut last = None;
        for BackedUpVersion { version, created, enabled, not_before, expires, body } in versions {
            let (vault, name) = (vault.clone(), name.clone());
            let sealed = Sealed::pending();
            let mut row =
                VersionRow { vault, name, version, created, enabled, not_before, expires, generation: 0, sealed };
            row.sealed = self.seal(&row.place(), &body.encode());
            writes.push(Write::Version(row.clone()));
            last = Some((row, body));
        }
        let (version, body) = last.ok_or(RecordError::NotFound)?;
        let row = self.secret_row(vault, &name, &version, now, keep_versions);
        writes.push(Write::Secret { row, replaces: None });
        writes.extend(token);
        match self.commit(writes).await {
            Ok(()) => {}
            Err(CommitError::Conflict) => {
                self.expect_free(vault, &name).await?;
                return Err(RecordError::Contended);
            }
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
        self.written(vault, &name);
        Ok(WrittenVersion { name, version, body, managed })
    }

    async fn expect_free(&self, vault: &VaultName, name: &SecretName) -> Result<(), RecordError> {
        match self.current(vault, name).await {
            Err(RecordError::NotFound) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(RecordError::Exists),
        }
        self.expect_not_deleted(vault, name).await
    }

    /// A name whose secret is deleted is taken.
    pub(super) async fn expect_not_deleted(&self, vault: &VaultName, name: &SecretName) -> Result<(), RecordError> {
        match self.store.deleted_secret(vault, name).await? {
            Some(_) => Err(RecordError::Deleted),
            None => Ok(()),
        }
    }

    /// The write that lets the token rest that manages a secret which is deleted.
    async fn token_rests(&self, vault: &VaultName, name: &SecretName) -> Result<Option<Write>, RecordError> {
        let Some(token) = self.sound_token_of(vault, name).await? else {
            return Ok(None);
        };
        let mut standing = token.standing.clone();
        standing.pause(PauseReason::SecretDeleted);
        Ok(Some(self.token_write(&token, &standing, None)))
    }

    /// The writes that let the token go on that manages a secret which is there again; none where no token does. It is due at
    /// `due`, in Unix seconds, where what is there is none of its values, and its deliveries are looked at.
    pub(super) async fn token_goes_on(
        &self,
        vault: &VaultName,
        name: &SecretName,
        due: Option<i64>,
    ) -> Result<Vec<Write>, RecordError> {
        let Some(token) = self.sound_token_of(vault, name).await? else {
            return Ok(Vec::new());
        };
        let mut standing = token.standing.clone();
        standing.resume(PauseReason::SecretDeleted);
        if let Some(due) = due.filter(|_| !standing.needs_consent) {
            standing.due = standing.due.min(Wall(due.saturating_mul(1000)));
        }
        let mut writes = vec![self.token_write(&token, &standing, None)];
        if due.is_none() {
            writes.push(Write::Deliver { token: token.row.id, due: Wall::EPOCH, behind: Wall::NEVER });
        }
        Ok(writes)
    }

    /// The row of a secret whose current version is this one.
    pub(super) fn secret_row(
        &self,
        vault: &VaultName,
        name: &SecretName,
        current: &VersionRow,
        changed: i64,
        keep_versions: Option<u32>,
    ) -> SecretRow {
        let mut row = SecretRow {
            vault: vault.clone(),
            name: name.clone(),
            current: current.version,
            changed,
            keep_versions,
            sealed: Sealed::pending(),
        };
        row.sealed = self.seal(&row.place(), name.as_written().as_bytes());
        row
    }

    fn sealed_deleted(&self, mut row: DeletedSecretRow) -> DeletedSecretRow {
        row.secret.sealed = self.seal(&row.place(), row.secret.name.as_written().as_bytes());
        row
    }

    /// The writes that make a new version the one that comes back when the secret is recovered.
    pub(super) fn version_of_deleted(
        &self,
        row: &DeletedSecretRow,
        new: &NewSecret,
        generation: u64,
    ) -> Result<Vec<Write>, RecordError> {
        let name = self.deleted_name(row)?;
        let version = self.version_row(&name, new, generation);
        let replaces = row.secret.sealed.tag();
        let secret = SecretRow { name, current: version.version, ..row.secret.clone() };
        let row = self.sealed_deleted(DeletedSecretRow { secret, ..row.clone() });
        Ok(vec![Write::Version(version), Write::AmendDeletedSecret { row, replaces }])
    }

    fn deleted_name(&self, row: &DeletedSecretRow) -> Result<SecretName, RecordError> {
        let SecretRow { vault, name, sealed, .. } = &row.secret;
        self.name_in(&row.place(), sealed, || format!("deleted secret {} of vault {}", name.folded(), vault.as_str()))
    }

    fn deleted(&self, row: &DeletedSecretRow, version: VersionRow) -> Result<Deleted, RecordError> {
        Ok(Deleted {
            name: self.deleted_name(row)?,
            version,
            deleted: row.deleted,
            purged_at: row.purged_at,
            keep_versions: row.secret.keep_versions,
            tag: row.secret.sealed.tag(),
        })
    }
}
