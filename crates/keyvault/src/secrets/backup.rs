//! Taking a secret away, sealed, and bringing it back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::{AuditOutcome, BackUpError, RecordError, Store};
use vault::{Permission, SecretBackup, SecretName, decide};

use super::Checked;
use super::parameters::RestoreParameters;
use crate::ask::{Ask, bearer};
use crate::bundle;
use crate::error::Refusal;
use crate::json::JsonWriter;
use crate::operation::{Operation, Route};
use crate::service::{KeyVault, MAX_RESTORE_BYTES};
use crate::site::{Site, host_of};

impl<S: Store> KeyVault<S> {
    /// A secret with all its versions, as text that only this Vestal can open. Whoever gets it and may restore it somewhere
    /// has all its values, so it is noted before it is given.
    pub(super) async fn back_up(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Vec<u8>, Refusal> {
        let call = checked.call;
        let backup = self.records.back_up(&call.vault.name, name).await.map_err(|error| match error {
            BackUpError::TooLarge => Refusal::BackupTooLarge,
            BackUpError::Record(error) => checked.failed(name, error),
        })?;
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        let text = URL_SAFE_NO_PAD.encode(backup);
        let mut json = JsonWriter::with_capacity(text.len() + 16);
        json.raw("{\"value\":\"");
        json.raw(&text);
        json.raw("\"}");
        Ok(json.finish())
    }

    /// Whether this is a restore by somebody who may restore something in the vault that it is for.
    pub(crate) fn may_restore(&self, ask: &Ask<'_>) -> Option<()> {
        let route = Route::parse(&ask.real_method(), ask.uri.path()).ok()?;
        let host = host_of(ask.uri, ask.headers).ok().filter(|_| route.operation == Operation::SecretRestore)?;
        let Site::Vault(label) = self.sites.site(host) else {
            return None;
        };
        let directory = self.directory();
        let vault = directory.vault(label)?;
        let (token, now) = (bearer(ask.headers)?, ask.now.unix_seconds());
        let identity = self.verified.verify(token, &directory, &self.sites, now).ok()?;
        let caller = identity.registered(&directory, now).ok()?;
        let allowed = decide(&caller.policies, &caller.app.object_id, &vault.name, Permission::Restore, None);
        allowed.is_allowed().then_some(())
    }

    /// What a backup holds, and under which name.
    pub(super) fn open_backup(&self, body: &[u8]) -> Result<SecretBackup, Refusal> {
        if body.len() > MAX_RESTORE_BYTES {
            return Err(Refusal::Property);
        }
        let text = RestoreParameters::parse(body)?.value;
        let sealed = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Refusal::Backup)?;
        self.records.open_backup(&sealed).map_err(|_| Refusal::Backup)
    }

    /// Brings a secret back with the ids and attributes that its versions had.
    pub(super) async fn restore(&self, checked: &Checked<'_>, backup: SecretBackup) -> Result<Vec<u8>, Refusal> {
        let call = checked.call;
        let name = backup.name.clone();
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        let restored = self.records.restore(&call.vault.name, backup, call.ask.now.unix_seconds()).await;
        let restored = restored.map_err(|error| match error {
            RecordError::Exists => Refusal::SecretExists(name.to_string()),
            RecordError::Deleted => Refusal::SecretDeleted(name.to_string()),
            error => Refusal::Record(error),
        })?;
        Ok(bundle::bundle(
            checked.wording(),
            restored.name.as_written(),
            &restored.version,
            None,
            bundle::details_of_body(&restored.body),
        ))
    }
}
