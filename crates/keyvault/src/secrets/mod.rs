//! What a vault does with a request: who asks, may he, and then what he asks for.
//!
//! The order is Azure's: token, path, permission, name, version of the API, body. A client's first request carries neither
//! token nor body, so nothing of a request is looked at before its token.

mod backup;
mod delete;
mod get;
mod list;
mod page;
mod parameters;
mod set;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use store::{AuditEntry, AuditOutcome, RecordError, Store, WrittenVersion};
use vault::{Decision, SecretName, VersionId, decide};

use crate::ask::{Ask, bearer};
use crate::bundle::{self, Wording};
use crate::directory::{Challenge, Directory, Registered, Vault};
use crate::error::Refusal;
use crate::etag::Precondition;
use crate::operation::{Operation, Route};
use crate::query::Query;
use crate::service::KeyVault;
use crate::token;
use crate::version::ApiVersion;

/// A request whose sender is known.
struct Call<'r> {
    ask: &'r Ask<'r>,
    /// The Host as the client wrote it.
    host: &'r str,
    vault: &'r Vault,
    directory: &'r Directory,
    caller: &'r Registered,
    operation: Operation,
}

/// The same, with what it is about, once that is checked.
struct Checked<'r> {
    call: &'r Call<'r>,
    api: ApiVersion,
    query: Query<'r>,
    /// The version in the path.
    version: Option<&'r str>,
}

/// What a request came to.
struct Done {
    status: StatusCode,
    body: Bytes,
    /// The version that was read.
    version: Option<VersionId>,
    /// What is said beside the body.
    headers: HeaderMap,
}

impl From<Vec<u8>> for Done {
    fn from(body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, body: body.into(), version: None, headers: HeaderMap::new() }
    }
}

impl<S: Store> KeyVault<S> {
    /// Answers a request to a vault.
    pub(crate) async fn answer_as_vault(
        &self,
        ask: &Ask<'_>,
        host: &str,
        vault: &Vault,
        directory: &Directory,
    ) -> Response<Bytes> {
        let caller = match self.caller(ask, vault, directory) {
            Ok(caller) => caller,
            Err(refusal) => return self.challenged(ask, host, vault, directory, &refusal),
        };
        let route = match Route::parse(&ask.real_method(), ask.uri.path()) {
            Ok(route) => route,
            Err(refusal) => {
                let mut answer = self.refused(ask, &refusal);
                if let Refusal::Method(allowed) = &refusal {
                    let allowed = HeaderValue::from_str(allowed).expect("methods are plain words");
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                return answer;
            }
        };
        let call = Call { ask, host, vault, directory, caller, operation: route.operation };
        let mut restored = None;
        let result = self.perform(&call, &route, &mut restored).await;
        let outcome = result.as_ref().map_or_else(Refusal::outcome, |_| AuditOutcome::Allowed);
        self.counters.count(call.operation, outcome);
        // What had to be noted before it was done stands in the audit already.
        if !(call.operation.is_noted_first() && result.is_ok()) {
            let read = result.as_ref().ok().and_then(|done| done.version);
            let asked_for = || route.version.as_deref().and_then(|version| VersionId::parse(version).ok());
            let version = read.or_else(asked_for);
            // What is no name stays out of the audit, whose lines have a length.
            let in_path = || if SecretName::parse(&route.name).is_ok() { &*route.name } else { "" };
            let name = restored.as_ref().map_or_else(in_path, SecretName::as_written);
            self.audit.read(&call.entry(name, version, outcome));
        }
        match result {
            Ok(done) => {
                let mut answer = self.vault_answer(ask, done.status, done.body);
                answer.headers_mut().extend(done.headers);
                answer
            }
            Err(refusal) => self.refused(ask, &refusal),
        }
    }

    /// The app that asks.
    fn caller<'d>(&self, ask: &Ask<'_>, vault: &Vault, directory: &'d Directory) -> Result<&'d Registered, Refusal> {
        let token = bearer(ask.headers).ok_or(Refusal::TokenMissing)?;
        let now = ask.now.unix_seconds();
        let identity = self.verified.verify(token, directory, &self.sites, now)?;
        let registered = identity.registered(directory, now);
        if registered.is_err() {
            // A token of ours that no longer holds is somebody's, and worth a line. Others are not written down: any
            // stranger could fill the disk with them.
            self.audit.read(&AuditEntry {
                unix_ms: ask.now.unix_ms,
                app: None,
                operation: Operation::Authenticate.word(),
                vault: vault.name.as_str(),
                name: "",
                version: None,
                outcome: AuditOutcome::Refused,
                peer: ask.peer,
            });
        }
        registered.map(|registered| &**registered)
    }

    /// A refusal of somebody unknown, with where to get a token.
    fn challenged(
        &self,
        ask: &Ask<'_>,
        host: &str,
        vault: &Vault,
        directory: &Directory,
        refusal: &Refusal,
    ) -> Response<Bytes> {
        let mut answer = self.refused(ask, refusal);
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, self.challenge(host, vault, directory));
        answer
    }

    /// Where a client without a token is sent. Every SDK reads this one form. The resource is the parent of the Host
    /// that the client used, with its port: the SDKs compare the two.
    fn challenge(&self, host: &str, vault: &Vault, directory: &Directory) -> HeaderValue {
        let tenant = match vault.challenge {
            Challenge::Adfs => "adfs",
            Challenge::Tenant => &directory.tenant,
        };
        let parent = host.split_once('.').map_or(host, |(_, parent)| parent);
        let challenge =
            format!("Bearer authorization=\"{}/{tenant}\", resource=\"https://{parent}\"", self.sites.authority());
        HeaderValue::from_str(&challenge).expect("a checked Host and our own address can stand in a header")
    }

    /// Does what is asked for. `restored` becomes the name that stands in a backup, which is in no path.
    async fn perform(
        &self,
        call: &Call<'_>,
        route: &Route<'_>,
        restored: &mut Option<SecretName>,
    ) -> Result<Done, Refusal> {
        use Operation as O;
        self.permitted(call, None)?;
        let name = match call.operation {
            O::SecretList | O::SecretListDeleted | O::SecretRestore | O::Authenticate => None,
            _ => Some(SecretName::parse(&route.name).map_err(|_| Refusal::Name(route.name.to_string()))?),
        };
        if name.is_some() {
            self.permitted(call, name.as_ref())?;
        }
        let query = Query::parse(call.ask.uri.query());
        let checked = Checked { call, api: query.api_version()?, query, version: route.version.as_deref() };
        let depends = !Precondition::new(call.ask.headers).is_existence_at_most();
        if depends && call.operation.is_noted_first() && call.operation != O::SecretSet {
            return Err(Refusal::ConditionNotTaken);
        }
        let Some(name) = name else {
            return match call.operation {
                O::SecretRestore => {
                    let backup = self.open_backup(call.ask.body)?;
                    self.permitted(call, Some(restored.insert(backup.name.clone())))?;
                    self.restore(&checked, backup).await
                }
                O::SecretListDeleted => self.list_deleted(&checked).await,
                _ => self.list(&checked).await,
            }
            .map(Done::from);
        };
        match call.operation {
            O::SecretGet => return self.get(&checked, &name).await,
            O::SecretPurge => {
                self.purge(&checked, &name).await?;
                return Ok(Done { status: StatusCode::NO_CONTENT, ..Done::from(Vec::new()) });
            }
            O::SecretSet => return self.set(&checked, name).await,
            O::SecretBackup => return self.back_up(&checked, &name).await,
            O::SecretUpdate => self.update(&checked, &name).await,
            O::SecretListVersions => self.list_versions(&checked, &name).await,
            O::SecretDelete => self.delete(&checked, &name).await,
            O::SecretGetDeleted => self.get_deleted(&checked, &name).await,
            O::SecretRecover => self.recover(&checked, &name).await,
            O::SecretList | O::SecretListDeleted | O::SecretRestore | O::Authenticate => Err(Refusal::NoSuchPath),
        }
        .map(Done::from)
    }

    /// Whether the caller may do this, to a secret of this name or, without one, to any.
    fn permitted(&self, call: &Call<'_>, name: Option<&SecretName>) -> Result<(), Refusal> {
        let (app, permission) = (&call.caller.app, call.operation.permission());
        match decide(&call.caller.policies, &app.object_id, &call.vault.name, permission, name) {
            Decision::Allowed(_) => Ok(()),
            Decision::Refused(_) => Err(Refusal::AccessDenied {
                caller: format!(
                    "appid={};oid={};iss={}",
                    app.client_id,
                    app.object_id,
                    token::issuer(&self.sites, call.directory)
                ),
                permission: permission.as_str(),
                vault: format!("{};location={}", call.vault.name, self.sites.region().to_str().unwrap_or_default()),
            }),
        }
    }
}

impl<'r> Call<'r> {
    fn entry<'e>(&'e self, name: &'e str, version: Option<VersionId>, outcome: AuditOutcome) -> AuditEntry<'e> {
        AuditEntry {
            unix_ms: self.ask.now.unix_ms,
            app: Some(&self.caller.app.name),
            operation: self.operation.word(),
            vault: self.vault.name.as_str(),
            name,
            version,
            outcome,
            peer: self.ask.peer,
        }
    }
}

impl<'r> Checked<'r> {
    fn wording(&self) -> Wording<'r> {
        Wording { host: self.call.host, api: self.api, retention: self.call.vault.retention }
    }

    /// The bundle of a version that was written: with its value where its writer brought it.
    fn written(&self, written: &WrittenVersion, value: Option<&[u8]>) -> Vec<u8> {
        let WrittenVersion { name, version, body, .. } = written;
        bundle::bundle(self.wording(), name.as_written(), version, value, bundle::details_of_body(body))
    }

    /// The version in the path. What is no version id names a version that is not there.
    fn version(&self, name: &SecretName) -> Result<Option<VersionId>, Refusal> {
        self.version.map(|version| VersionId::parse(version).map_err(|_| self.not_found(name))).transpose()
    }

    fn not_found(&self, name: &SecretName) -> Refusal {
        Refusal::SecretNotFound(match self.version {
            Some(version) => format!("{name}/{version}"),
            None => name.to_string(),
        })
    }

    /// What an error of the records means for this request.
    fn failed(&self, name: &SecretName, error: RecordError) -> Refusal {
        match error {
            RecordError::NotFound => self.not_found(name),
            RecordError::Unmet => Refusal::Precondition,
            RecordError::Deleted => Refusal::SecretDeleted(name.to_string()),
            error => Refusal::Record(error),
        }
    }
}
