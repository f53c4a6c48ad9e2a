//! Secrets that are deleted, and those that are taken away and brought back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyvault::VaultDefinition;
use store::{AuditOutcome, BackUpError, Deleted, RecordError};
use vault::{SecretName, VaultName};

use super::secrets::missing;
use super::wire::{DeletedSecretLine, DeletedSecretView, FailureCode, SecretBackup, UtcTime};
use super::{Admin, Answered, Call, Failed, json, secret_name};
use crate::clock;

/// How many rows are read at once.
const PAGE: usize = 250;

impl Admin {
    pub(super) async fn delete_secret(&self, vault: &str, name: &str) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let now = clock::unix_seconds();
        // A vault that was taken out this instant keeps what is deleted as long as can be.
        let retention = self.engine.keyvault().retention(&vault).unwrap_or(VaultDefinition::default().retention());
        let purged_at = now + retention.seconds();
        let deleting = async {
            let deleted = self.engine.records().delete_secret(&vault, &name, now, purged_at).await;
            deleted.map_err(|error| missing(&vault, &name, error))
        };
        let deleted = self.audited("SecretDelete", vault.as_str(), name.folded(), deleting).await?;
        json(&view(&vault, &deleted))
    }

    pub(super) async fn list_deleted(&self, vault: &str) -> Answered {
        let vault = self.known_vault(vault)?;
        self.audit_read("SecretListDeleted", vault.as_str(), "", None, AuditOutcome::Allowed);
        let mut lines = Vec::new();
        let mut after: Option<SecretName> = None;
        loop {
            let page = self.engine.records().deleted_secrets(&vault, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            lines.extend(page.iter().map(|(name, deleted)| line(&vault, name, deleted.as_ref())));
        }
        json(&lines)
    }

    pub(super) async fn recover_secret(&self, vault: &str, name: &str) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let recovering = async {
            let recovered = self.engine.records().recover_secret(&vault, &name, clock::unix_seconds()).await;
            recovered.map_err(|error| not_deleted(&vault, &name, error))
        };
        let secret = self.audited("SecretRecover", vault.as_str(), name.folded(), recovering).await?;
        json(&self.view(&vault, &secret.name, &secret.version, secret.managed)?)
    }

    /// Destroys a deleted secret, and answers it as it was.
    pub(super) async fn purge_secret(&self, vault: &str, name: &str) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let records = self.engine.records();
        let note = |outcome| self.audit_read("SecretPurge", vault.as_str(), name.folded(), None, outcome);
        let deleted = records.deleted_secret(&vault, &name).await.map_err(|error| {
            note(if error == RecordError::NotFound { AuditOutcome::NotFound } else { AuditOutcome::Failed });
            not_deleted(&vault, &name, error)
        })?;
        if self.engine.keyvault().retention(&vault).is_some_and(|retention| retention.purge_protection) {
            note(AuditOutcome::Refused);
            let purged = UtcTime::from_unix_seconds(deleted.purged_at);
            return Err(Failed::new(FailureCode::Conflict, format!("the vault {vault} is protected against purging"))
                .help(format!("{name} is purged by itself at {purged}")));
        }
        let purging = async {
            let purged = records.purge_secret(&vault, &name).await;
            purged.map_err(|error| not_deleted(&vault, &name, error))
        };
        self.audited("SecretPurge", vault.as_str(), name.folded(), purging).await?;
        json(&view(&vault, &deleted))
    }

    pub(super) async fn back_up_secret(&self, vault: &str, name: &str) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let backing_up = async {
            self.engine.records().back_up(&vault, &name).await.map_err(|error| match error {
                BackUpError::TooLarge => Failed::new(
                    FailureCode::Conflict,
                    format!(
                        "{name} can't be backed up: it has more than {} versions, or they are longer than {} bytes \
                         together",
                        vault::MAX_BACKUP_VERSIONS,
                        vault::MAX_BACKUP_BYTES
                    ),
                ),
                BackUpError::Record(error) => missing(&vault, &name, error),
            })
        };
        let backup = self.audited("SecretBackup", vault.as_str(), name.folded(), backing_up).await?;
        json(&SecretBackup { value: URL_SAFE_NO_PAD.encode(backup) })
    }

    pub(super) async fn restore_secret(&self, vault: &str, call: &Call<'_>) -> Answered {
        let vault = self.known_vault(vault)?;
        let wanted: SecretBackup = call.json()?;
        let refused = || {
            Failed::bad_request("this is no backup that can be restored here")
                .help("it was changed or cut short, or another Vestal made it: its key is another")
        };
        let bytes = URL_SAFE_NO_PAD.decode(wanted.value.trim_end_matches('=')).map_err(|_| refused())?;
        let backup = self.engine.records().open_backup(&bytes).map_err(|_| refused())?;
        let name = backup.name.clone();
        let restoring = async {
            self.engine.records().restore(&vault, backup, clock::unix_seconds()).await.map_err(|error| match error {
                RecordError::Exists => {
                    Failed::new(FailureCode::Conflict, format!("there is a secret {name} in vault {vault} already"))
                        .help(format!("delete and purge it first: `vestal secret delete {vault}/{name}`"))
                }
                error => missing(&vault, &name, error),
            })
        };
        let secret = self.audited("SecretRestore", vault.as_str(), name.folded(), restoring).await?;
        json(&self.view(&vault, &secret.name, &secret.version, secret.managed)?)
    }
}

fn view(vault: &VaultName, deleted: &Deleted) -> DeletedSecretView {
    DeletedSecretView {
        vault: vault.as_str().to_owned(),
        name: deleted.name.as_written().to_owned(),
        deleted: UtcTime::from_unix_seconds(deleted.deleted),
        purged_at: UtcTime::from_unix_seconds(deleted.purged_at),
    }
}

fn line(vault: &VaultName, name: &SecretName, deleted: Option<&Deleted>) -> DeletedSecretLine {
    let unreadable = || format!("the record of the deleted secret {} doesn't open", name.folded());
    DeletedSecretLine {
        vault: vault.as_str().to_owned(),
        name: deleted.map_or(name, |deleted| &deleted.name).as_written().to_owned(),
        deleted: deleted.map(|deleted| UtcTime::from_unix_seconds(deleted.deleted)),
        purged_at: deleted.map(|deleted| UtcTime::from_unix_seconds(deleted.purged_at)),
        unreadable: deleted.is_none().then(unreadable),
    }
}

fn not_deleted(vault: &VaultName, name: &SecretName, error: RecordError) -> Failed {
    match error {
        RecordError::NotFound => Failed::not_found(format!("no secret {name} of vault {vault} is deleted"))
            .help(format!("`vestal secret list --deleted --vault {vault}` shows those that are")),
        error => error.into(),
    }
}
