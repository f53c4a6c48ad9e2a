//! The admin API: what the control socket answers, and the one way to change a running Vestal.
//!
//! Whoever may connect to the socket may do everything: it belongs to the user that Vestal runs as. Every access to a
//! secret is audited all the same, as the app `admin`.

mod deleted;
mod deliveries;
mod failure;
mod file;
mod identity;
mod secrets;
mod targets;
#[cfg(test)]
mod tests;
mod time;
mod tokens;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Audit as _, AuditEntry, AuditOutcome, Store as _};
use vault::{SecretName, VaultName, VersionId};

pub use self::failure::Failed;
use self::wire::{PREFIX, Status, UtcTime};
use crate::clock;
use crate::engine::Engine;

/// The admin API of one engine.
#[derive(Clone)]
pub struct Admin {
    engine: Arc<Engine>,
}

/// A request, taken apart.
struct Call<'a> {
    query: BTreeMap<String, String>,
    body: &'a [u8],
}

impl Call<'_> {
    /// The body's JSON.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        serde_json::from_slice(self.body).map_err(|error| {
            let words = error.to_string();
            // Fields have names; what else the reader would say may quote a value, which may be a secret.
            let about_a_field = ["missing field", "unknown field", "duplicate field"];
            let what = if about_a_field.iter().any(|start| words.starts_with(start)) {
                words
            } else {
                format!("at line {} column {}", error.line(), error.column())
            };
            Failed::bad_request(format!("the body isn't what this call takes: {what}"))
        })
    }

    fn number(&self, key: &str) -> Result<Option<u64>, Failed> {
        let Some(text) = self.query.get(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| Failed::bad_request(format!("`{key}` is to be a number")))
    }
}

type Answered = Result<Response<Bytes>, Failed>;

impl Admin {
    /// The admin API of this engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let call = Call { query, body: &body };
        self.route(&parts.method, parts.uri.path(), &call).await.unwrap_or_else(|failed| failed.response())
    }

    async fn route(&self, method: &Method, path: &str, call: &Call<'_>) -> Answered {
        let rest = path.strip_prefix(PREFIX).filter(|rest| rest.starts_with('/'));
        let rest = rest.ok_or_else(|| Failed::no_such_call(method, path))?;
        let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["status"]) => self.status().await,

            ("GET", ["vaults"]) => self.vaults(),
            ("GET", ["vaults", vault, "secrets"]) => self.list_secrets(vault).await,
            ("GET", ["vaults", vault, "secrets", name]) => self.show_secret(vault, name).await,
            ("PUT", ["vaults", vault, "secrets", name]) => self.set_secret(vault, name, call).await,
            ("GET", ["vaults", vault, "secrets", name, "value"]) => self.secret_value(vault, name, call).await,
            ("DELETE", ["vaults", vault, "secrets", name]) => self.delete_secret(vault, name).await,
            ("POST", ["vaults", vault, "secrets", name, "backup"]) => self.back_up_secret(vault, name).await,
            ("POST", ["vaults", vault, "restore"]) => self.restore_secret(vault, call).await,
            ("GET", ["vaults", vault, "deleted-secrets"]) => self.list_deleted(vault).await,
            ("POST", ["vaults", vault, "deleted-secrets", name, "recover"]) => self.recover_secret(vault, name).await,
            ("DELETE", ["vaults", vault, "deleted-secrets", name]) => self.purge_secret(vault, name).await,

            ("GET", ["targets"]) => self.list_targets().await,
            ("GET", ["targets", name]) => self.show_target(name).await,

            ("GET", ["tokens"]) => self.list_tokens().await,
            ("GET", ["tokens", vault, name]) => self.show_token(vault, name).await,
            ("GET", ["tokens", vault, name, "history"]) => self.history(vault, name, call).await,
            ("POST", ["tokens", vault, name, "renew"]) => self.renew(vault, name, call).await,
            ("POST", ["tokens", vault, name, "deliver"]) => self.deliver(vault, name, call).await,
            ("POST", ["tokens", vault, name, "cut-over"]) => self.cut_over(vault, name, call).await,
            ("GET", ["tokens", vault, name, "shadow"]) => self.shadow(vault, name).await,
            ("POST", ["tokens", vault, name, "pause"]) => self.pause(vault, name).await,
            ("POST", ["tokens", vault, name, "resume"]) => self.resume(vault, name).await,

            ("GET", ["apps"]) => self.list_apps().await,
            ("POST", ["apps"]) => self.create_app(call).await,
            ("DELETE", ["apps", name]) => self.delete_app(name).await,
            ("POST", ["apps", name, "rotate-secret"]) => self.rotate_app_secret(name, call).await,

            ("GET", ["policies"]) => self.list_policies().await,
            ("PUT", ["policies", name]) => self.set_policy(name, call).await,
            ("DELETE", ["policies", name]) => self.remove_policy(name).await,

            ("POST", ["plan"]) => self.plan(call).await,
            ("POST", ["apply"]) => self.apply(call).await,
            _ => Err(Failed::no_such_call(method, path)),
        }
    }

    async fn status(&self) -> Answered {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for token in self.all_tokens().await? {
            let state = token.map_or(tokens::UNREADABLE, |token| token.standing.state(clock::now()).name());
            *counts.entry(state.to_owned()).or_default() += 1;
        }
        let not_ready = match self.engine.records().store().probe().await {
            Ok(()) => Vec::new(),
            Err(error) => vec![error.to_string()],
        };
        json(&Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: self.engine.data().path().display().to_string(),
            started: UtcTime::from_unix_ms(self.engine.started().0),
            vaults: self.engine.vaults(),
            authority: self.engine.authority(),
            tenant: self.engine.keyvault().tenant(),
            tokens: counts,
            not_ready,
        })
    }

    fn vaults(&self) -> Answered {
        json(&self.engine.vaults())
    }

    /// Notes a read in the audit.
    fn audit_read(
        &self,
        operation: &'static str,
        vault: &str,
        name: &str,
        version: Option<VersionId>,
        outcome: AuditOutcome,
    ) {
        self.engine.audit().read(&AuditEntry { version, ..entry(operation, vault, name, outcome) });
    }

    /// Writes into the audit what is about to be changed, and then changes it. Where the first fails, the second isn't
    /// tried; where the second fails, the audit says so too.
    async fn audited<T>(
        &self,
        operation: &'static str,
        vault: &str,
        name: &str,
        change: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, Failed> {
        self.engine
            .audit()
            .write(&entry(operation, vault, name, AuditOutcome::Allowed))
            .await
            .map_err(|error| Failed::unavailable(error.to_string()))?;
        let changed = change.await;
        if changed.is_err() {
            self.audit_read(operation, vault, name, None, AuditOutcome::Failed);
        }
        changed
    }
}

fn entry<'a>(operation: &'static str, vault: &'a str, name: &'a str, outcome: AuditOutcome) -> AuditEntry<'a> {
    AuditEntry {
        unix_ms: clock::now().wall.0,
        app: Some("admin"),
        operation,
        vault,
        name,
        version: None,
        outcome,
        peer: None,
    }
}

fn json<T: Serialize>(body: &T) -> Answered {
    let body = serde_json::to_vec(body).map_err(|error| Failed::unavailable(error.to_string()))?;
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}

fn vault_name(text: &str) -> Result<VaultName, Failed> {
    VaultName::parse(text).map_err(|error| Failed::bad_request(format!("`{text}` is no vault's name: {error}")))
}

fn secret_name(text: &str) -> Result<SecretName, Failed> {
    SecretName::parse(text).map_err(|error| Failed::bad_request(format!("`{text}` is no secret's name: {error}")))
}
