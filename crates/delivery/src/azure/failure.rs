//! What a failure at Azure means, in words for whoever has to mend it.

use core::error::Error as _;
use core::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::time::OffsetDateTime;
use store::{TargetError, TargetErrorKind};

use super::directory;
use super::place::{Place, http_date};
use super::right::Right;
use super::transport::Said;

/// What is known of a refusal: its status, and codes from a list of ours. Never its text.
pub(super) struct Refused {
    pub(super) status: u16,
    code: String,
    inner: String,
    /// The directory's numbers, `AADSTS…`.
    pub(super) numbers: Vec<u32>,
    pub(super) retry_after: Option<Duration>,
    /// Whether it is a token that was refused.
    by_issuer: bool,
}

/// The failure of a call that wanted `right` for `name`.
pub(super) fn failure(place: &Place, name: &str, right: Right, error: &azure_core::Error) -> TargetError {
    let mut failure = match refused(error) {
        Some(refused) if refused.by_issuer => directory::refusal(place, &refused),
        Some(refused) => by_vault(place, name, right, &refused),
        None => not_answered(place, error),
    };
    if failure.kind == TargetErrorKind::Unauthenticated
        && let Some(apart) = place.clock.apart()
    {
        failure.words = format!("{}. {apart}", failure.words);
    }
    failure
}

/// Whether the vault says that there is no such secret.
pub(super) fn is_absent(error: &azure_core::Error) -> bool {
    refused(error)
        .is_some_and(|refused| !refused.by_issuer && refused.status == 404 && refused.code == "SecretNotFound")
}

/// Whether the vault says that the secret is disabled, or not to be used now.
pub(super) fn is_disabled(error: &azure_core::Error) -> bool {
    refused(error)
        .is_some_and(|refused| !refused.by_issuer && refused.status == 403 && refused.inner == "SecretDisabled")
}

/// The secret is one that Key Vault itself keeps, for a certificate of the same name.
pub(super) fn managed(place: &Place, name: &str) -> TargetError {
    let words = format!(
        "the secret {name} of {} belongs to the certificate of that name: nobody else can write it, and what it holds is a \
         certificate with its key. To deliver there, choose another `name`; for a credential, name another secret",
        place.url
    );
    TargetError { kind: TargetErrorKind::Occupied, words, retry_after: None }
}

fn by_vault(place: &Place, name: &str, right: Right, refused: &Refused) -> TargetError {
    let vault = &place.url;
    let (kind, words) = match (refused.status, refused.inner.as_str()) {
        (403, "SecretManagedByKeyVault") => return managed(place, name),
        (403, inner) => (TargetErrorKind::Forbidden, forbidden(place, name, right, inner)),
        (409, inner) => conflict(place, name, inner),
        (401, _) => (
            TargetErrorKind::Unauthenticated,
            format!(
                "{vault} doesn't take the token that the directory gave: see that the vault is in the directory (tenant) of \
                 this credential"
            ),
        ),
        (404, _) => (
            TargetErrorKind::Forbidden,
            format!(
                "{vault} answers that there is nothing at this address: compare it with the vault's overview in the portal"
            ),
        ),
        (429, _) => (
            TargetErrorKind::Throttled,
            format!("{vault} asks for fewer calls; see who else calls it. Nothing to do: it is tried again"),
        ),
        (400, _) => (
            TargetErrorKind::Unfit,
            format!(
                "{vault} takes what was asked about the secret {name} for a mistake (HTTP 400), and doesn't say which: see in \
                 the portal, at the vault's Secrets, what is under this name; another `name` may do"
            ),
        ),
        (status, _) => (
            TargetErrorKind::Unreachable,
            format!("{vault} answered HTTP {status}: it is failing on its own side. Nothing to do: it is tried again"),
        ),
    };
    TargetError { kind, words, retry_after: refused.retry_after }
}

/// A way that isn't open to this machine, or a right that is missing.
fn forbidden(place: &Place, name: &str, right: Right, inner: &str) -> String {
    let Place { url: vault, label, .. } = place;
    match inner {
        "ForbiddenByFirewall" => format!(
            "the firewall of {vault} refuses this machine's address: in the portal, at the vault's Networking, allow it, or \
             run `az keyvault network-rule add --name {label} --ip-address ADDRESS`"
        ),
        "ForbiddenByConnection" => format!(
            "{vault} can't be reached from the public network, which is all that this machine comes by: bring this machine \
             into the network of the vault's private endpoint and see that it resolves the vault's name to that; or, in the \
             portal, at the vault's Networking, allow public access from this machine's address"
        ),
        // An access policy of the form that its portal page calls a compound identity.
        "ForbiddenByPolicy" => format!(
            "the access policy of {vault} names the app as one that acts for somebody else, and Vestal acts for itself: in the \
             portal, at the vault's Access policies, make it anew with the app as principal, and leave Application empty"
        ),
        inner => right.missing(place, name, inner),
    }
}

/// A name that is taken, for good or for a moment.
fn conflict(place: &Place, name: &str, inner: &str) -> (TargetErrorKind, String) {
    let Place { url: vault, label, .. } = place;
    let for_a_moment = |what| {
        let words = format!("the secret {name} of {vault} {what} just now; it is tried again");
        (TargetErrorKind::Unsettled, words)
    };
    match inner {
        "ObjectIsDeletedButRecoverable" => (
            TargetErrorKind::Occupied,
            format!(
                "the secret {name} of {vault} is deleted, and its name can't be used until it is recovered or purged: in the \
                 portal, at the vault's Secrets, 'Manage deleted secrets', or run \
                 `az keyvault secret recover --vault-name {label} --name {name}`"
            ),
        ),
        "ObjectIsBeingDeleted" => for_a_moment("is being deleted by somebody"),
        "ObjectIsBeingRecovered" => for_a_moment("is being recovered by somebody"),
        _ => for_a_moment("is being changed by somebody else"),
    }
}

fn not_answered(place: &Place, error: &azure_core::Error) -> TargetError {
    let url = &place.url;
    let said = said(error);
    // An outer error of this kind is one of getting a token.
    let asked = if matches!(error.kind(), ErrorKind::Credential) { place.issuer() } else { url };
    let innermost = innermost(error);
    let (kind, words) = match innermost.kind() {
        ErrorKind::Io | ErrorKind::Connection => (
            TargetErrorKind::Unreachable,
            format!("{asked} can't be reached: {}", said.unwrap_or("the call was not answered")),
        ),
        ErrorKind::Credential => {
            let why = directory::no_token(place, said, &innermost.to_string());
            (TargetErrorKind::Unauthenticated, format!("Vestal has no credential for {url}: {why}"))
        }
        _ if asked == url => (
            TargetErrorKind::Unreachable,
            format!("the answer of {url} can't be understood: see that it is a Key Vault's address"),
        ),
        _ => (
            TargetErrorKind::Unreachable,
            format!("the answer of {asked} can't be understood: see whether something stands between, such as a proxy"),
        ),
    };
    TargetError { kind, words, retry_after: None }
}

/// Words of ours in the error. The client's own are never shown: they may quote what was answered.
fn said(error: &azure_core::Error) -> Option<&str> {
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(said) = current.downcast_ref::<Said>() {
            return Some(&said.0);
        }
        cause = current.source();
    }
    None
}

fn refused(error: &azure_core::Error) -> Option<Refused> {
    let by_issuer = matches!(error.kind(), ErrorKind::Credential);
    let mut error = Some(error);
    while let Some(current) = error {
        if let ErrorKind::HttpResponse { status, raw_response, .. } = current.kind() {
            let body = raw_response.as_ref().map(|response| response.body().as_ref()).unwrap_or_default();
            let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let numbers = body["error_codes"].as_array().map(Vec::as_slice).unwrap_or_default();
            return Some(Refused {
                status: u16::from(*status),
                code: text(&body["error"]["code"]),
                inner: text(&body["error"]["innererror"]["code"]),
                numbers: numbers.iter().filter_map(|number| number.as_u64()?.try_into().ok()).collect(),
                retry_after: raw_response.as_ref().and_then(|response| retry_after(response.headers())),
                by_issuer: by_issuer || body["error_codes"].is_array(),
            });
        }
        error = current.source().and_then(|source| source.downcast_ref());
    }
    None
}

/// How long to wait: a number of seconds, or a date, which is taken by the clock of whoever wrote it (RFC 9110, section
/// 10.2.3).
fn retry_after(headers: &Headers) -> Option<Duration> {
    let header =
        |wanted: &str| headers.iter().find(|(name, _)| name.as_str() == wanted).map(|(_, value)| value.as_str());
    let wait = header("retry-after")?.trim();
    let seconds = wait.parse().ok().or_else(|| {
        let theirs = header("date").and_then(http_date);
        let now = theirs.unwrap_or_else(|| OffsetDateTime::now_utc().unix_timestamp());
        Some(u64::try_from(http_date(wait)?.saturating_sub(now)).unwrap_or_default())
    });
    seconds.map(Duration::from_secs)
}

fn innermost(error: &azure_core::Error) -> &azure_core::Error {
    let mut error = error;
    while let Some(source) = error.source().and_then(|source| source.downcast_ref::<azure_core::Error>()) {
        error = source;
    }
    error
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn words_of_ours_are_told_and_the_clients_are_not() {
        let place = Place {
            url: "https://contoso.vault.azure.net".to_owned(),
            label: "contoso".to_owned(),
            authority: "https://login.example.com".to_owned(),
            credential: crate::Credential::ManagedIdentity { client_id: None },
            clock: Arc::default(),
        };
        for kind in [ErrorKind::Io, ErrorKind::Connection, ErrorKind::Credential, ErrorKind::Other] {
            let theirs = azure_core::Error::with_message(kind.clone(), "the answer was {\"secret\":\"hush\"}");
            let wrapped = azure_core::Error::with_error(ErrorKind::Credential, theirs, "it failed: hush");
            let told = failure(&place, "api", Right::Get, &wrapped);
            assert!(!told.words.contains("hush"), "{}", told.words);
            let ours = azure_core::Error::new(kind.clone(), Said("the name has no address".to_owned()));
            let told =
                failure(&place, "api", Right::Get, &azure_core::Error::with_error(ErrorKind::Credential, ours, "x"));
            assert_eq!(told.words.contains("the name has no address"), kind != ErrorKind::Other, "{}", told.words);
        }
    }
}
