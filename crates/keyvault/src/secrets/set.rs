//! Writing a version, and changing one's attributes.

use std::collections::BTreeMap;

use http::header;
use secret::Secret;
use store::{Amendment, AuditOutcome, Current, NewSecret, SetCondition, Store};
use vault::{SecretBody, SecretName};

use super::parameters::{SetParameters, UpdateParameters};
use super::{Checked, Done};
use crate::error::Refusal;
use crate::etag::{ETag, Precondition};
use crate::service::{KeyVault, MAX_REQUEST_BYTES};

impl<S: Store> KeyVault<S> {
    /// Makes a new current version. Nothing is inherited from the one before.
    pub(super) async fn set(&self, checked: &Checked<'_>, name: SecretName) -> Result<Done, Refusal> {
        let call = checked.call;
        let mut parameters = SetParameters::parse(within_limit(call.ask.body)?)?;
        let attributes = parameters.attributes();
        let now = call.ask.now.unix_seconds();
        let body = SecretBody {
            value: parameters.value,
            content_type: parameters.content_type,
            tags: parameters.tags.unwrap_or_default(),
            updated: now,
            written_by: call.caller.app.name.clone(),
        };
        body.check_limits().map_err(|_| Refusal::Property)?;
        self.audit.write(&call.entry(name.as_written(), None, AuditOutcome::Allowed)).await?;
        let new = NewSecret {
            vault: call.vault.name.clone(),
            name: name.clone(),
            body,
            enabled: attributes.enabled.unwrap_or(true),
            not_before: attributes.nbf,
            expires: attributes.exp,
            now,
        };
        let (precondition, retention) = (Precondition::new(call.ask.headers), call.vault.retention);
        let holds = |current: Option<&Current>| {
            precondition.holds(current.map(|current| ETag::of(&current.version, retention)))
        };
        let condition: Option<&SetCondition<'_>> = if precondition.is_any() { Some(&holds) } else { None };
        let written = self.records.set_if(new, condition).await.map_err(|error| checked.failed(&name, error))?;
        let mut done = Done::from(checked.written(&written, Some(written.body.value.expose())));
        done.headers.insert(header::ETAG, ETag::of(&written.version, retention).header());
        Ok(done)
    }

    /// Changes what a version is said to be. Its value never changes; a disabled one can be changed too.
    pub(super) async fn update(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Vec<u8>, Refusal> {
        let call = checked.call;
        let version = checked.version(name)?;
        let mut parameters = UpdateParameters::parse(within_limit(call.ask.body)?)?;
        let attributes = parameters.attributes();
        check_details(parameters.content_type.as_deref(), parameters.tags.as_ref())?;
        let change = Amendment {
            enabled: attributes.enabled,
            not_before: attributes.nbf,
            expires: attributes.exp,
            content_type: parameters.content_type,
            tags: parameters.tags,
        };
        self.audit.write(&call.entry(name.as_written(), version, AuditOutcome::Allowed)).await?;
        let written = self
            .records
            .amend(&call.vault.name, name, version, &change, call.ask.now.unix_seconds())
            .await
            .map_err(|error| checked.failed(name, error))?;
        Ok(checked.written(&written, None))
    }
}

fn within_limit(body: &[u8]) -> Result<&[u8], Refusal> {
    if body.len() <= MAX_REQUEST_BYTES { Ok(body) } else { Err(Refusal::Property) }
}

/// Checks the limits of what an update brings, as a body that has nothing else.
fn check_details(content_type: Option<&str>, tags: Option<&BTreeMap<String, String>>) -> Result<(), Refusal> {
    let body = SecretBody {
        value: Secret::new(Vec::new()),
        content_type: content_type.map(str::to_owned),
        tags: tags.cloned().unwrap_or_default(),
        updated: 0,
        written_by: String::new(),
    };
    body.check_limits().map_err(|_| Refusal::Property)
}
