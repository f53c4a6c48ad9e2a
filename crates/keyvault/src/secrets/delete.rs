//! Deleting, and what can be done with what is deleted.

use store::{AuditOutcome, Deleted, RecordError, Store};
use vault::SecretName;

use super::Checked;
use crate::bundle::{self, Deletion};
use crate::error::Refusal;
use crate::service::KeyVault;

impl<S: Store> KeyVault<S> {
    /// Deletes a secret with all its versions. It is in `/deletedsecrets` at once: clients that wait find it there.
    pub(super) async fn delete(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Vec<u8>, Refusal> {
        let call = checked.call;
        let now = call.ask.now.unix_seconds();
        // Nothing is noted of what can't be done.
        self.records.current(&call.vault.name, name).await.map_err(|error| checked.failed(name, error))?;
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        let purged_at = now + call.vault.retention.seconds();
        let deleted = self.records.delete_secret(&call.vault.name, name, now, purged_at).await;
        self.deleted_bundle(checked, &deleted.map_err(|error| checked.failed(name, error))?)
    }

    /// A deleted secret, without its value.
    pub(super) async fn get_deleted(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Vec<u8>, Refusal> {
        let deleted = self.records.deleted_secret(&checked.call.vault.name, name).await;
        self.deleted_bundle(checked, &deleted.map_err(|error| failed(name, error))?)
    }

    /// Brings a deleted secret back as it was.
    pub(super) async fn recover(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Vec<u8>, Refusal> {
        let call = checked.call;
        self.records.deleted_secret(&call.vault.name, name).await.map_err(|error| failed(name, error))?;
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        let now = call.ask.now.unix_seconds();
        let recovered = self.records.recover_secret(&call.vault.name, name, now).await;
        let recovered = recovered.map_err(|error| failed(name, error))?;
        Ok(checked.written(&recovered, None))
    }

    /// Destroys a deleted secret.
    pub(super) async fn purge(&self, checked: &Checked<'_>, name: &SecretName) -> Result<(), Refusal> {
        let call = checked.call;
        self.records.deleted_secret(&call.vault.name, name).await.map_err(|error| failed(name, error))?;
        if call.vault.retention.purge_protection {
            return Err(Refusal::PurgeProtected);
        }
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        self.records.purge_secret(&call.vault.name, name).await.map_err(|error| failed(name, error))
    }

    fn deleted_bundle(&self, checked: &Checked<'_>, deleted: &Deleted) -> Result<Vec<u8>, Refusal> {
        let Deleted { name, version, deleted, purged_at, .. } = deleted;
        let deletion = Deletion { deleted: *deleted, purged_at: *purged_at };
        let bundle = self.with_view(version, |view| {
            let (wording, details) = (checked.wording(), bundle::details_of(view));
            bundle::deleted_bundle(wording, name.as_written(), version, deletion, details)
        });
        Ok(bundle?)
    }
}

/// What an error of the records means where a deleted secret is asked for.
fn failed(name: &SecretName, error: RecordError) -> Refusal {
    match error {
        RecordError::NotFound => Refusal::DeletedSecretNotFound(name.to_string()),
        error => Refusal::Record(error),
    }
}
