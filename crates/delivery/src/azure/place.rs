//! Where a vault is and who asks there, in words for people.

use core::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;

use azure_core::time::OffsetDateTime;

use crate::definition::Credential;

/// How far apart clocks may be before it is said, in seconds. Assertions and tokens live for minutes.
const CLOCKS_MAY_DIFFER_SECONDS: i64 = 120;

/// Where a vault is, and who asks there.
pub(super) struct Place {
    /// The vault's address.
    pub(super) url: String,
    /// Its name.
    pub(super) label: String,
    /// Where tokens for it are to be had.
    pub(super) authority: String,
    /// Who asks.
    pub(super) credential: Credential,
    /// What its answers tell of the time.
    pub(super) clock: Arc<Clock>,
}

impl Place {
    /// Who gives out the tokens that the vault is called with.
    pub(super) fn issuer(&self) -> &str {
        match self.credential {
            Credential::ManagedIdentity { .. } => "the endpoint of this machine's managed identity",
            Credential::AzureCli { .. } => "the Azure CLI",
            Credential::ClientSecret { .. }
            | Credential::ClientCertificate { .. }
            | Credential::WorkloadIdentity { .. } => &self.authority,
        }
    }

    /// The principal that is to be given rights.
    pub(super) fn principal(&self) -> Principal {
        match &self.credential {
            Credential::ClientSecret { client_id, .. } | Credential::ClientCertificate { client_id, .. } => {
                Principal { who: "the app", option: "--spn", id: client_id.clone() }
            }
            Credential::WorkloadIdentity { client_id, .. } => Principal {
                who: "the workload's identity",
                option: "--spn",
                id: client_id.clone().unwrap_or_else(|| "$AZURE_CLIENT_ID".to_owned()),
            },
            Credential::ManagedIdentity { client_id: Some(id) } => {
                Principal { who: "the managed identity", option: "--spn", id: id.clone() }
            }
            // Its client id stands nowhere in the portal.
            Credential::ManagedIdentity { client_id: None } => {
                Principal { who: "the machine's managed identity", option: "--object-id", id: "OBJECT-ID".to_owned() }
            }
            Credential::AzureCli { .. } => Principal {
                who: "whoever is signed in",
                option: "--upn",
                id: "$(az account show --query user.name -o tsv)".to_owned(),
            },
        }
    }
}

/// Whom rights are given to.
pub(super) struct Principal {
    /// For people.
    pub(super) who: &'static str,
    /// The option by which `az keyvault set-policy` takes such an id.
    pub(super) option: &'static str,
    /// The id, or what gives it, on a command line.
    pub(super) id: String,
}

/// How Azure's clock stands to this machine's, as the `Date` of its latest answer says.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_seconds: AtomicI64,
}

impl Clock {
    /// Takes notice of an answer's `Date`.
    pub(super) fn told(&self, date: &str) {
        if let Some(theirs) = http_date(date) {
            let ours = OffsetDateTime::now_utc().unix_timestamp();
            self.ahead_seconds.store(theirs.saturating_sub(ours), Ordering::Relaxed);
        }
    }

    /// That the clocks are too far apart for credentials, in words; none where they aren't, or nothing is known.
    pub(super) fn apart(&self) -> Option<String> {
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let (minutes, way) = (ahead.unsigned_abs() / 60, if ahead > 0 { "behind" } else { "ahead of" });
        (ahead.unsigned_abs() > CLOCKS_MAY_DIFFER_SECONDS.unsigned_abs()).then(|| {
            format!(
                "This machine's clock is {minutes} minutes {way} Azure's, which alone can be the reason: set it right"
            )
        })
    }
}

/// The Unix seconds of a date as HTTP writes it.
pub(super) fn http_date(text: &str) -> Option<i64> {
    azure_core::time::parse_rfc7231(text.trim()).ok().map(OffsetDateTime::unix_timestamp)
}
