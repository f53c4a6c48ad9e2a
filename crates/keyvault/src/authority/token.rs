//! The token endpoint: client credentials in, an access token for the vaults out.

use std::sync::Arc;

use secret::Secret;
use serde::Serialize;
use store::{AuditEntry, AuditOutcome, Store};
use vault::{ClientId, refuse_unknown_app};

use super::error::Refusal;
use super::form::{Form, Presented};
use super::limits::Bucket;
use crate::ask::Ask;
use crate::directory::{Directory, Registered};
use crate::operation::Operation;
use crate::service::KeyVault;
use crate::signing;
use crate::token::{Grant, LEEWAY_SECONDS, TOKEN_LIFE_SECONDS, issuer};

/// Longest client id that is told apart from others, in bytes. Ours are GUIDs.
const MAX_CLIENT_ID_BYTES: usize = 64;

/// What a client gets (RFC 6749, section 5.1). `expires_in` is a number: the Rust SDK takes nothing else.
#[derive(Serialize)]
struct Issued<'a> {
    token_type: &'static str,
    expires_in: i64,
    ext_expires_in: i64,
    /// The rest are of the older endpoint, which writes numbers as strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    access_token: String,
}

impl<S: Store> KeyVault<S> {
    /// Answers a token request. `by_resource` is the older endpoint's way of saying what the token is for.
    pub(super) async fn token(
        &self,
        ask: &Ask<'_>,
        directory: &Directory,
        by_resource: bool,
    ) -> Result<Vec<u8>, Refusal> {
        self.permit(Bucket::source(ask.peer), ask)?;
        let mut form = Form::parse(ask)?;
        match form.grant_type.as_deref() {
            None => return Err(Refusal::Missing("grant_type")),
            Some("client_credentials") => {}
            Some(other) => return Err(Refusal::GrantType(excerpt(other))),
        }
        let presented = form.client(ask)?;
        let client = self.authenticated(ask, directory, &presented).await?;
        let audience = self.audience(&form, directory, by_resource)?;
        self.permit(Bucket::Tokens(client.app.client_id.to_string()), ask)?;

        let now = issue_time(ask.now.unix_seconds(), client.app.tokens_not_before);
        let grant = Grant {
            client_id: &client.app.client_id,
            object_id: &client.app.object_id,
            audience: &audience,
            unique: self.records.entropy().bytes16(),
            now,
        };
        let key = signing::in_use(&directory.keys, now).ok_or(Refusal::Signing)?;
        let access_token =
            grant.sign(&directory.tenant, &issuer(&self.sites, directory), key).map_err(|_| Refusal::Signing)?;
        self.audit.read(&entry(ask, Some(&client.app.name), AuditOutcome::Allowed));
        self.counters.count(Operation::Authenticate, AuditOutcome::Allowed);
        let issued = Issued {
            token_type: "Bearer",
            expires_in: TOKEN_LIFE_SECONDS,
            ext_expires_in: TOKEN_LIFE_SECONDS,
            expires_on: by_resource.then(|| (now + TOKEN_LIFE_SECONDS).to_string()),
            not_before: by_resource.then(|| now.to_string()),
            resource: by_resource.then_some(&audience),
            access_token,
        };
        Ok(serde_json::to_vec(&issued).expect("an answer is plain data"))
    }

    /// The app that the client proves to be. An unknown client and a wrong secret take the same path, do the same work
    /// and get the same answer.
    async fn authenticated<'d>(
        &self,
        ask: &Ask<'_>,
        directory: &'d Directory,
        presented: &Presented,
    ) -> Result<&'d Arc<Registered>, Refusal> {
        let id = ClientId::parse(presented.client_id.trim()).ok();
        let known = id.as_ref().and_then(|id| directory.client(id));
        if let Some(client) = accepted(known, &directory.pepper, &presented.secret, ask.now.unix_seconds()) {
            return Ok(client);
        }
        self.counters.count(Operation::Authenticate, AuditOutcome::Refused);
        let bucket = id.as_ref().map_or_else(|| clipped(&presented.client_id).to_owned(), ToString::to_string);
        self.permit(Bucket::Refusals(bucket), ask)?;
        // What is no GUID may be a secret that was put into the wrong field: it is neither written down nor repeated.
        self.audit.write(&entry(ask, id.as_ref().map(ClientId::as_str), AuditOutcome::Refused)).await?;
        Err(Refusal::Client(id.map(String::from)))
    }

    /// What the token is for, as the client wrote it, if it is one of our resources.
    fn audience(&self, form: &Form, directory: &Directory, by_resource: bool) -> Result<String, Refusal> {
        let resource = match (&form.resource, &form.scope) {
            (Some(resource), _) if by_resource => resource.trim(),
            (_, Some(scope)) => scope
                .split_ascii_whitespace()
                .find_map(|scope| scope.strip_suffix("/.default"))
                .ok_or_else(|| Refusal::Scope(excerpt(scope)))?,
            _ => return Err(Refusal::Missing(if by_resource { "resource" } else { "scope" })),
        };
        if self.sites.accepts_resource(resource) {
            Ok(resource.to_owned())
        } else {
            Err(Refusal::Resource { resource: excerpt(resource), tenant: directory.tenant.clone() })
        }
    }

    fn permit(&self, bucket: Bucket, ask: &Ask<'_>) -> Result<(), Refusal> {
        self.limits.take(bucket, ask.now).map_err(|retry_after_seconds| Refusal::TooMany { retry_after_seconds })
    }
}

/// The client, if the secret is one of its own. The work is the same for a client that is not there.
fn accepted<'d>(
    known: Option<&'d Arc<Registered>>,
    pepper: &Secret,
    presented: &Secret,
    now: i64,
) -> Option<&'d Arc<Registered>> {
    let accepts = match known {
        Some(client) => client.app.accepts(pepper, presented.expose(), now),
        None => refuse_unknown_app(pepper, presented.expose(), now),
    };
    known.filter(|_| accepts)
}

/// When a token counts as issued. Right after a revocation, which refuses all of its second, that is the next second:
/// a client that was quick to come back would else keep a token that is never taken.
fn issue_time(now: i64, tokens_not_before: i64) -> i64 {
    if (now..=now + LEEWAY_SECONDS).contains(&tokens_not_before) { tokens_not_before } else { now }
}

fn entry<'e>(ask: &Ask<'_>, app: Option<&'e str>, outcome: AuditOutcome) -> AuditEntry<'e> {
    AuditEntry {
        unix_ms: ask.now.unix_ms,
        app,
        operation: Operation::Authenticate.word(),
        vault: "",
        name: "",
        version: None,
        outcome,
        peer: ask.peer,
    }
}

/// As much of a client's own words as an error repeats.
fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}

fn clipped(text: &str) -> &str {
    text.get(..MAX_CLIENT_ID_BYTES).unwrap_or(if text.len() <= MAX_CLIENT_ID_BYTES { text } else { "" })
}
