//! Reading a secret: the path that everything else is kept off.

use std::cell::RefCell;

use bytes::Bytes;
use http::{Response, StatusCode};
use store::rows::VersionRow;
use store::{AuditOutcome, RecordError, Store};
use vault::{MAX_SECRET_NAME_CHARS, Permission, SecretBodyView, SecretName, VersionId, decide};
use zeroize::Zeroizing;

use super::{Call, Checked};
use crate::ask::{Ask, bearer};
use crate::bundle::{self, Wording};
use crate::directory::{Directory, Vault};
use crate::error::Refusal;
use crate::operation::{Operation, Route};
use crate::query::Query;
use crate::service::KeyVault;

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
        let body =
            self.opened(Wording { host, api, retention: vault.retention }, current.name.as_written(), row).ok()?;
        let call = Call { ask, host, vault, directory, caller, operation: Operation::SecretGet };
        self.audit.read(&call.entry(current.name.as_written(), Some(row.version), AuditOutcome::Allowed));
        self.counters.count(Operation::SecretGet, AuditOutcome::Allowed);
        Some(self.vault_answer(ask, StatusCode::OK, body))
    }

    /// Any read, of the current version or another; and which version it was.
    pub(super) async fn get(&self, checked: &Checked<'_>, name: &SecretName) -> Result<(Vec<u8>, VersionId), Refusal> {
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
        Ok((self.opened(checked.wording(), current.name.as_written(), row)?, row.version))
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
