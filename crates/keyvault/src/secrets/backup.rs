//! Taking a secret away, sealed, and bringing it back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderMap};
use store::{AuditOutcome, BackUpError, RecordError, Store};
use vault::{SecretBackup, SecretName};

use super::parameters::RestoreParameters;
use super::{Call, Checked, Done};
use crate::ask::Ask;
use crate::backups::UnderWay;
use crate::error::Refusal;
use crate::json::JsonWriter;
use crate::operation::{Operation, Route};
use crate::service::{KeyVault, MAX_REQUEST_BYTES, MAX_RESTORE_BYTES};
use crate::site::{Site, host_of};

impl<S: Store> KeyVault<S> {
    /// A secret with all its versions, as text that only this Vestal can open. Whoever gets it and may restore it somewhere
    /// has all its values, so it is noted before it is given.
    pub(super) async fn back_up(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Done, Refusal> {
        let call = checked.call;
        let under_way = self.backups.begin()?;
        let backup = self.records.back_up(&call.vault.name, name).await.map_err(|error| match error {
            BackUpError::TooLarge => Refusal::BackupTooLarge,
            BackUpError::Record(error) => checked.failed(name, error),
        })?;
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        let mut json = JsonWriter::with_capacity(backup.len() / 3 * 4 + 32);
        json.raw("{\"value\":\"");
        json.base64url(&backup);
        json.raw("\"}");
        Ok(Done { body: under_way.until_sent(json.finish()), ..Done::from(Vec::new()) })
    }

    /// Lets a restore with a long body in, if its sender is known and may restore something; `None` is for every other
    /// request, whose body is looked at first. What is refused here is answered as it would be with the body.
    pub(crate) fn admit_long_restore(&self, ask: &Ask<'_>) -> Result<Option<UnderWay>, Box<Response<Bytes>>> {
        let (Ok(route), Ok(host)) = (Route::parse(&ask.real_method(), ask.uri.path()), host_of(ask.uri, ask.headers))
        else {
            return Ok(None);
        };
        let (directory, Site::Vault(label)) = (self.directory(), self.sites.site(host)) else {
            return Ok(None);
        };
        let Some(vault) = directory.vault(label).filter(|_| route.operation == Operation::SecretRestore) else {
            return Ok(None);
        };
        if !may_be_long(ask.headers) {
            return Ok(None);
        }
        let caller = self.caller(ask, vault, &directory);
        let caller = caller.map_err(|refusal| self.challenged(ask, host, vault, &directory, &refusal))?;
        let call = Call { ask, host, vault, directory: &directory, caller, operation: route.operation };
        let admitted = self.permitted(&call, None).and_then(|()| self.backups.begin());
        admitted.map(Some).map_err(|refusal| {
            let outcome = refusal.outcome();
            self.counters.count(call.operation, outcome);
            self.audit.read(&call.entry("", None, outcome));
            Box::new(self.refused(ask, &refusal))
        })
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
        Ok(checked.written(&restored, None))
    }
}

/// Whether the body isn't known to be one that any operation takes.
fn may_be_long(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_none_or(|length: usize| length > MAX_REQUEST_BYTES)
}
