//! Reading a secret: the path that everything else is kept off.

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use store::rows::VersionRow;
use store::{AuditOutcome, Current, RecordError, Store};
use vault::{MAX_SECRET_NAME_CHARS, Permission, SecretBodyView, SecretName, VersionId, decide};
use zeroize::Zeroizing;

use super::{Call, Checked, Done};
use crate::ask::{Ask, bearer};
use crate::bundle::{self, Wording};
use crate::directory::{Directory, Vault};
use crate::error::Refusal;
use crate::etag::ETag;
use crate::operation::{Operation, Route};
use crate::query::Query;
use crate::service::KeyVault;

/// How a managed token's value is: `fresh`, `expiring` or `expired`.
const STATE: HeaderName = HeaderName::from_static("vestal-state");
/// How many seconds a managed token's value has left; 0 once it is over.
const SECONDS_LEFT: HeaderName = HeaderName::from_static("vestal-seconds-left");
/// How many times a managed token had been renewed when it had this value.
const GENERATION: HeaderName = HeaderName::from_static("vestal-generation");

thread_local! {
    /// Where records are opened, one after the other.
    static OPENED: RefCell<Zeroizing<Vec<u8>>> = RefCell::new(Zeroizing::new(Vec::new()));
}

impl<S: Store> KeyVault<S> {
    /// Answers a permitted read of a current version that is in memory; `None` is for everything else. It allocates
    /// the answer and little more, takes no lock that a write holds for long, and makes no system call.
    pub(crate) fn read_in_memory(
        &self,
        ask: &Ask<'_>,
        host: &str,
        vault: &Vault,
        directory: &Directory,
    ) -> Option<Response<Bytes>> {
        let identity = self.verified.known(bearer(ask.headers)?)?;
        let caller = identity.registered(directory, ask.now.unix_seconds()).ok()?;
        let route = Route::parse(ask.method, ask.uri.path()).ok()?;
        if route.operation != Operation::SecretGet {
            return None;
        }
        let api = Query::parse(ask.uri.query()).api_version().ok()?;
        let current = self.records.current_in_memory(&vault.name, folded(&route.name, &mut [0; _])?)?;
        let row = &current.version;
        if let Some(version) = &route.version {
            VersionId::parse(version).ok().filter(|version| *version == row.version)?;
        }
        let allowed =
            decide(&caller.policies, &caller.app.object_id, &vault.name, Permission::Get, Some(&current.name));
        if !allowed.is_allowed() || !row.enabled {
            return None;
        }
        let etag = ETag::of(row, vault.retention);
        let (status, body) = if etag.is_had(ask.headers) {
            (StatusCode::NOT_MODIFIED, Vec::new())
        } else {
            let wording = Wording { host, api, retention: vault.retention };
            (StatusCode::OK, self.opened(wording, current.name.as_written(), row).ok()?)
        };
        let call = Call { ask, host, vault, directory, caller, operation: Operation::SecretGet };
        self.audit.read(&call.entry(current.name.as_written(), Some(row.version), AuditOutcome::Allowed));
        self.counters.count(Operation::SecretGet, AuditOutcome::Allowed);
        let mut answer = self.vault_answer(ask, status, body);
        answer.headers_mut().insert(header::ETAG, etag.header());
        freshness(&current, ask.now.unix_seconds(), answer.headers_mut());
        Some(answer)
    }

    /// Any read, of the current version or another; and which version it was.
    pub(super) async fn get(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Done, Refusal> {
        let version = checked.version(name)?;
        let failed = |error| checked.failed(name, error);
        let current = self.records.current(&checked.call.vault.name, name).await.map_err(failed)?;
        let other;
        let row = match version {
            Some(version) if version != current.version.version => {
                other = self.records.version(&checked.call.vault.name, name, version).await.map_err(failed)?;
                &other
            }
            _ => &current.version,
        };
        if !row.enabled {
            return Err(Refusal::SecretDisabled);
        }
        let etag = ETag::of(row, checked.call.vault.retention);
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, etag.header());
        if row.version == current.version.version {
            freshness(&current, checked.call.ask.now.unix_seconds(), &mut headers);
        }
        let (status, body) = if etag.is_had(checked.call.ask.headers) {
            (StatusCode::NOT_MODIFIED, Vec::new())
        } else {
            (StatusCode::OK, self.opened(checked.wording(), current.name.as_written(), row)?)
        };
        Ok(Done { status, body: body.into(), version: Some(row.version), headers })
    }

    /// The bundle of a version, its value included.
    fn opened(&self, wording: Wording<'_>, name: &str, row: &VersionRow) -> Result<Vec<u8>, RecordError> {
        self.with_view(row, |view| bundle::bundle(wording, name, row, Some(view.value), bundle::details_of(view)))
    }

    /// Opens a version, shows it to `read`, and wipes what was opened.
    pub(super) fn with_view<R>(
        &self,
        row: &VersionRow,
        read: impl FnOnce(&SecretBodyView<'_>) -> R,
    ) -> Result<R, RecordError> {
        OPENED.with_borrow_mut(|buffer| {
            let result =
                self.records.with_body(row, buffer, |body| SecretBodyView::decode(body).map(|view| read(&view)));
            // The buffer stays, so this is not optimised away; it is far cheaper than giving the memory back.
            buffer.fill(0);
            result?.map_err(|error| {
                RecordError::Sealed(format!("version {} of secret {} ({error})", row.version, row.name.folded()))
            })
        })
    }
}

/// Says how the value of a managed token is: its state, how much life is left, and which generation it is.
fn freshness(current: &Current, now: i64, headers: &mut HeaderMap) {
    let Some(danger) = current.danger else {
        return;
    };
    let left = current.version.expires.map(|expires| expires - now);
    headers.insert(STATE, HeaderValue::from_static(danger.state(left).name()));
    if let Some(left) = left {
        headers.insert(SECONDS_LEFT, HeaderValue::from(left.max(0)));
    }
    headers.insert(GENERATION, HeaderValue::from(current.version.generation));
}

/// The name in lower case, without an allocation. `None` where it is longer than any name.
fn folded<'n>(name: &'n str, buffer: &'n mut [u8; MAX_SECRET_NAME_CHARS]) -> Option<&'n str> {
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(name);
    }
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    core::str::from_utf8(lower).ok()
}
