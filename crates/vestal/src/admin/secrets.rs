//! Secrets, as the operator sees them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use secret::Secret;
use store::rows::VersionRow;
use store::{AuditOutcome, NewSecret, RecordError, Store as _};
use vault::{SecretBody, SecretName, VaultName, VersionId};

use super::wire::{FailureCode, SecretDetail, SecretLine, SecretValue, SecretView, SetSecret, UtcTime, VersionView};
use super::{Admin, Answered, Call, Failed, json, secret_name, vault_name};
use crate::clock;

/// How many rows are read at once.
const PAGE: usize = 250;

impl Admin {
    pub(super) async fn list_secrets(&self, vault: &str) -> Answered {
        let vault = self.known_vault(vault)?;
        self.audit_read("SecretList", vault.as_str(), "", None, AuditOutcome::Allowed);
        let mut views = Vec::new();
        let mut after: Option<SecretName> = None;
        loop {
            let page = self.engine.records().secrets(&vault, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (name, row) in page {
                let managed = self.engine.records().is_managed(&vault, &name).await?;
                let (version, unreadable) = match row.and_then(|row| self.version(&row)) {
                    Ok(version) => (Some(version), None),
                    Err(error) => (None, Some(error.to_string())),
                };
                let (vault, name) = (vault.as_str().to_owned(), name.as_written().to_owned());
                views.push(SecretLine { vault, name, version, unreadable, managed });
            }
        }
        json(&views)
    }

    pub(super) async fn show_secret(&self, vault: &str, name: &str) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let current = self.engine.records().current(&vault, &name).await;
        let found = match &current {
            Ok(_) => AuditOutcome::Allowed,
            Err(RecordError::NotFound) => AuditOutcome::NotFound,
            Err(_) => AuditOutcome::Failed,
        };
        self.audit_read("SecretListVersions", vault.as_str(), name.folded(), None, found);
        let current = current.map_err(|error| missing(&vault, &name, error))?;
        let mut versions = Vec::new();
        let mut after = None;
        loop {
            let page = self.engine.records().store().versions(&vault, &name, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.version);
            for row in &page {
                versions.push(self.version(row)?);
            }
        }
        // Of several of one second the current one is the newest; of the others nobody knows.
        let current_id = current.version.version.to_string();
        versions.sort_by_key(|version| Reverse((version.created, version.id == current_id, version.generation)));
        let secret = self.view(&vault, &current.name, &current.version, current.managed)?;
        json(&SecretDetail { secret, versions })
    }

    pub(super) async fn set_secret(&self, vault: &str, name: &str, call: &Call<'_>) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let wanted: SetSecret = call.json()?;
        if let (Some(not_before), Some(expires)) = (wanted.not_before, wanted.expires)
            && expires <= not_before
        {
            return Err(Failed::bad_request(format!("the value would end before it begins: {expires}, {not_before}")));
        }
        let now = clock::unix_seconds();
        let body = SecretBody {
            value: Secret::from(wanted.value),
            content_type: wanted.content_type,
            tags: wanted.tags,
            updated: now,
            written_by: "admin".to_owned(),
        };
        body.check_limits().map_err(|error| Failed::bad_request(error.to_string()))?;
        let new = NewSecret {
            vault: vault.clone(),
            name: name.clone(),
            body,
            enabled: true,
            not_before: wanted.not_before.map(UtcTime::unix_seconds),
            expires: wanted.expires.map(UtcTime::unix_seconds),
            now,
        };
        let setting = async {
            let written = self.engine.records().set(new).await;
            written.map_err(|error| missing(&vault, &name, error))
        };
        let written = self.audited("SecretSet", vault.as_str(), name.folded(), setting).await?;
        json(&self.view(&vault, &written.name, &written.version, written.managed)?)
    }

    pub(super) async fn secret_value(&self, vault: &str, name: &str, call: &Call<'_>) -> Answered {
        let (vault, name) = (self.known_vault(vault)?, secret_name(name)?);
        let wanted = match call.query.get("version") {
            None => None,
            Some(id) => Some(
                VersionId::parse(id)
                    .map_err(|_| Failed::bad_request(format!("`{id}` is no version: it has 32 hexadecimal digits")))?,
            ),
        };
        let note = |version, outcome| self.audit_read("SecretGet", vault.as_str(), name.folded(), version, outcome);
        let row = self.version_wanted(&vault, &name, wanted).await.inspect_err(|failed| {
            let gone = failed.is(FailureCode::NotFound);
            note(wanted, if gone { AuditOutcome::NotFound } else { AuditOutcome::Failed });
        })?;
        note(Some(row.version), if row.enabled { AuditOutcome::Allowed } else { AuditOutcome::Refused });
        if !row.enabled {
            let message = format!("this version of {name} is disabled, and not to be read");
            return Err(Failed::new(FailureCode::Conflict, message));
        }
        let body = self.engine.records().body(&row)?;
        let value = body
            .value
            .expose_str()
            .ok_or_else(|| Failed::bad_request(format!("the value of {name} is not text")))?
            .to_owned();
        json(&SecretValue {
            value,
            version: row.version.to_string(),
            expires: row.expires.map(UtcTime::from_unix_seconds),
        })
    }

    /// The version's row, of the current one where none is named.
    async fn version_wanted(
        &self,
        vault: &VaultName,
        name: &SecretName,
        wanted: Option<VersionId>,
    ) -> Result<VersionRow, Failed> {
        let records = self.engine.records();
        let current = records.current(vault, name).await.map_err(|error| missing(vault, name, error))?;
        let Some(id) = wanted else {
            return Ok(current.version.clone());
        };
        records.version(vault, name, id).await.map_err(|error| match error {
            RecordError::NotFound => Failed::not_found(format!("{name} of vault {vault} has no version {id}"))
                .help(format!("`vestal secret show {vault}/{name}` shows those that are kept")),
            error => error.into(),
        })
    }

    pub(super) fn known_vault(&self, text: &str) -> Result<VaultName, Failed> {
        let name = vault_name(text)?;
        let vaults = self.engine.vaults();
        if vaults.iter().any(|vault| vault.name == name.as_str()) {
            return Ok(name);
        }
        let names: Vec<&str> = vaults.iter().map(|vault| vault.name.as_str()).collect();
        Err(Failed::not_found(format!("there is no vault {name}")).help(match names.as_slice() {
            [] => "declare one in the configuration file: `[vault.NAME]`".to_owned(),
            names => format!("there is: {}", names.join(", ")),
        }))
    }

    pub(super) fn view(
        &self,
        vault: &VaultName,
        name: &SecretName,
        row: &VersionRow,
        managed: bool,
    ) -> Result<SecretView, RecordError> {
        Ok(SecretView {
            vault: vault.as_str().to_owned(),
            name: name.as_written().to_owned(),
            version: self.version(row)?,
            managed,
        })
    }

    fn version(&self, row: &VersionRow) -> Result<VersionView, RecordError> {
        let body = self.engine.records().body(row)?;
        Ok(VersionView {
            id: row.version.to_string(),
            enabled: row.enabled,
            created: UtcTime::from_unix_seconds(row.created),
            updated: UtcTime::from_unix_seconds(body.updated),
            not_before: row.not_before.map(UtcTime::from_unix_seconds),
            expires: row.expires.map(UtcTime::from_unix_seconds),
            content_type: body.content_type,
            tags: BTreeMap::clone(&body.tags),
            written_by: body.written_by,
            generation: row.generation,
        })
    }
}

pub(super) fn missing(vault: &VaultName, name: &SecretName, error: RecordError) -> Failed {
    match error {
        RecordError::Deleted => Failed::new(FailureCode::Conflict, format!("{name} of vault {vault} is deleted")).help(
            format!("`vestal secret recover {vault}/{name}` brings it back, `vestal secret purge` frees its name"),
        ),
        RecordError::NotFound => Failed::not_found(format!("there is no secret {name} in vault {vault}"))
            .help(format!("`vestal secret list --vault {vault}` shows what there is")),
        error => error.into(),
    }
}
