//! What a failure at Azure means, in words for whoever has to mend it.

use core::error::Error as _;
use core::time::Duration;

use azure_core::error::ErrorKind;
use store::{TargetError, TargetErrorKind};

use super::Place;
use super::transport::Said;

/// What is known of a refusal: its status, and codes from a list of ours. Never its text.
struct Refused {
    status: u16,
    code: String,
    inner: String,
    /// The directory's numbers, `AADSTS…`.
    numbers: Vec<u32>,
    retry_after: Option<Duration>,
    by_directory: bool,
}

/// The failure of a call that wanted `right` for `name`.
pub(super) fn failure(place: &Place, name: &str, right: Right, error: &azure_core::Error) -> TargetError {
    match refused(error) {
        Some(refused) if refused.by_directory => by_directory(place, &refused),
        Some(refused) => by_vault(place, name, right, &refused),
        None => not_answered(place, error),
    }
}

/// Whether the vault says that there is no such secret.
pub(super) fn is_absent(error: &azure_core::Error) -> bool {
    refused(error)
        .is_some_and(|refused| !refused.by_directory && refused.status == 404 && refused.code == "SecretNotFound")
}

/// Whether the vault says that the secret is disabled, or not to be used now.
pub(super) fn is_disabled(error: &azure_core::Error) -> bool {
    refused(error)
        .is_some_and(|refused| !refused.by_directory && refused.status == 403 && refused.inner == "SecretDisabled")
}

/// A right that a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Get,
    Set,
}

impl Right {
    fn word(self) -> &'static str {
        match self {
            Self::Get => "Get",
            Self::Set => "Set",
        }
    }
}

fn by_vault(place: &Place, name: &str, right: Right, refused: &Refused) -> TargetError {
    let (vault, label) = (&place.url, &place.label);
    let (kind, words) = match (refused.status, refused.inner.as_str()) {
        (401, _) => (
            TargetErrorKind::Unauthenticated,
            format!(
                "{vault} doesn't take the token that the directory gave: see that the vault is in the directory (tenant) of \
                 this credential"
            ),
        ),
        (403, "ForbiddenByFirewall") => (
            TargetErrorKind::Forbidden,
            format!(
                "the firewall of {vault} refuses this machine's address: in the portal, at the vault's Networking, allow it, \
                 or run `az keyvault network-rule add --name {label} --ip-address ADDRESS`"
            ),
        ),
        (403, _) => (TargetErrorKind::Forbidden, missing_right(place, name, right)),
        (404, _) => (
            TargetErrorKind::Forbidden,
            format!(
                "{vault} answers that there is nothing at this address: compare it with the vault's overview in the portal"
            ),
        ),
        (409, "ObjectIsDeletedButRecoverable") => (
            TargetErrorKind::Occupied,
            format!(
                "the secret {name} of {vault} is deleted, and its name can't be used until it is recovered or purged: in the \
                 portal, at the vault's Secrets, 'Manage deleted secrets', or run \
                 `az keyvault secret recover --vault-name {label} --name {name}`"
            ),
        ),
        (409, _) => (
            TargetErrorKind::Unsettled,
            format!("the secret {name} of {vault} is just being changed by somebody else; it is tried again"),
        ),
        (429, _) => (
            TargetErrorKind::Throttled,
            format!("{vault} asks for fewer calls; see who else calls it. Nothing to do: it is tried again"),
        ),
        (400, _) => (
            TargetErrorKind::Unfit,
            format!(
                "{vault} doesn't take the secret {name} as it is: a secret that a certificate manages can't be written; \
                 deliver under another `name`"
            ),
        ),
        (status, _) => (
            TargetErrorKind::Unreachable,
            format!("{vault} answered HTTP {status}: it is failing on its own side. Nothing to do: it is tried again"),
        ),
    };
    TargetError { kind, words, retry_after: refused.retry_after }
}

fn missing_right(place: &Place, name: &str, right: Right) -> String {
    let (vault, label, right) = (&place.url, &place.label, right.word());
    let id = place.client_id.as_deref().unwrap_or("CLIENT-ID");
    format!(
        "{vault} refuses it: the credential lacks the right {right} for the secret {name}. Where the vault works with access \
         policies, in the portal at the vault's Access policies, give the app Get and Set for secrets, or run `az keyvault \
         set-policy --name {label} --spn {id} --secret-permissions get set`; where it works with roles, at Access control \
         (IAM), give it 'Key Vault Secrets Officer', or run `az role assignment create --assignee {id} --role \"Key Vault \
         Secrets Officer\" --scope $(az keyvault show --name {label} --query id -o tsv)`"
    )
}

fn by_directory(place: &Place, refused: &Refused) -> TargetError {
    let directory = &place.authority;
    let says = |number| refused.numbers.contains(&number);
    let known = [
        (
            7_000_215,
            "the client secret is wrong: copy its Value, not its Secret ID, and set it with `vestal secret set`",
        ),
        (
            7_000_222,
            "the client secret has expired: in the portal, at the app's Certificates & secrets, make a new one and set it \
             with `vestal secret set`",
        ),
        (
            700_016,
            "the directory has no app of this client id: compare client id and tenant with the app's overview in the portal",
        ),
        (
            700_027,
            "the certificate isn't one of the app's, or its key is another: upload it at the app's Certificates & secrets",
        ),
        (
            90_002,
            "there is no directory (tenant) of this id: compare it with the overview of Microsoft Entra ID in the portal",
        ),
        (700_024, "the assertion's times are wrong: see that this machine's clock is right"),
        (
            70_021,
            "the app has no federated credential that fits this workload's token: compare issuer, subject and audience",
        ),
        (
            700_213,
            "the app has no federated credential that fits this workload's token: compare issuer, subject and audience",
        ),
        (53_003, "a Conditional Access policy of the directory blocks it: ask the directory's administrator"),
    ];
    if let Some((number, words)) = known.into_iter().find(|(number, _)| says(*number)) {
        return TargetError {
            kind: TargetErrorKind::Unauthenticated,
            words: format!("{directory} refuses Vestal's credential (AADSTS{number}): {words}"),
            retry_after: None,
        };
    }
    let (kind, words) = match refused.status {
        429 => (TargetErrorKind::Throttled, "asks for fewer calls; it is tried again".to_owned()),
        400 | 401 | 403 => {
            let number = refused.numbers.first().map(|number| format!(" (AADSTS{number})")).unwrap_or_default();
            (
                TargetErrorKind::Unauthenticated,
                format!(
                    "refuses Vestal's credential{number}: compare tenant, client id and secret with the app's in the portal"
                ),
            )
        }
        status => (TargetErrorKind::Unreachable, format!("answered HTTP {status}; it is tried again")),
    };
    TargetError { kind, words: format!("{directory} {words}"), retry_after: refused.retry_after }
}

fn not_answered(place: &Place, error: &azure_core::Error) -> TargetError {
    let url = &place.url;
    let said = said(error);
    let because = |otherwise: &str| said.unwrap_or(otherwise).to_owned();
    let (kind, words) = match innermost(error).kind() {
        ErrorKind::Io | ErrorKind::Connection => {
            (TargetErrorKind::Unreachable, format!("{url} can't be reached: {}", because("the call was not answered")))
        }
        ErrorKind::Credential => {
            let otherwise =
                "it could not be obtained; see that the identity is there, and that what `credential` names fits";
            (TargetErrorKind::Unauthenticated, format!("Vestal has no credential for {url}: {}", because(otherwise)))
        }
        _ => (
            TargetErrorKind::Unreachable,
            format!("the answer of {url} can't be understood: see that it is a Key Vault's address"),
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
    let by_directory = matches!(error.kind(), ErrorKind::Credential);
    let mut error = Some(error);
    while let Some(current) = error {
        if let ErrorKind::HttpResponse { status, error_code, raw_response } = current.kind() {
            let body = raw_response.as_ref().map(|response| response.body().as_ref().to_vec()).unwrap_or_default();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let wait = raw_response.as_ref().and_then(|response| {
                let headers = response.headers();
                headers
                    .iter()
                    .find(|(name, _)| name.as_str() == "retry-after")
                    .map(|(_, value)| value.as_str().to_owned())
            });
            let numbers = error_code.as_deref().unwrap_or_default().split(',');
            return Some(Refused {
                status: u16::from(*status),
                code: text(&body["error"]["code"]),
                inner: text(&body["error"]["innererror"]["code"]),
                numbers: numbers.filter_map(|number| number.trim().parse().ok()).collect(),
                retry_after: wait.and_then(|wait| wait.trim().parse().ok()).map(Duration::from_secs),
                by_directory: by_directory || body["error_codes"].is_array(),
            });
        }
        error = current.source().and_then(|source| source.downcast_ref());
    }
    None
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
    use super::*;

    #[test]
    fn words_of_ours_are_told_and_the_clients_are_not() {
        let place = Place {
            url: "https://contoso.vault.azure.net".to_owned(),
            label: "contoso".to_owned(),
            authority: "https://login.example.com".to_owned(),
            client_id: None,
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
