//! What a refusal of the directory means, or of whoever else gives out tokens.

use store::{TargetError, TargetErrorKind};

use super::failure::Refused;
use super::place::Place;
use crate::definition::Credential;

/// The directory's numbers (`AADSTS…`) that say what to mend.
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
const KNOWN: [(u32, &str); 9] = [
    (7_000_215, "the client secret is wrong: copy its Value, not its Secret ID, and set it with `vestal secret set`"),
    (
        7_000_222,
        "the client secret has expired: in the portal, at the app's Certificates & secrets, make a new one and set it with \
         `vestal secret set`",
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

/// The refusal of a token, in words.
pub(super) fn refusal(place: &Place, refused: &Refused) -> TargetError {
    let issuer = place.issuer();
    let (kind, words) = match (refused.status, &place.credential) {
        (429, _) => (TargetErrorKind::Throttled, "asks for fewer calls; it is tried again".to_owned()),
        (400 | 403 | 404, Credential::ManagedIdentity { client_id }) => {
            (TargetErrorKind::Unauthenticated, no_managed_identity(refused.status, client_id.as_deref()))
        }
        (400 | 401 | 403, _) => (TargetErrorKind::Unauthenticated, credential_refused(refused)),
        (status, _) => (TargetErrorKind::Unreachable, format!("answered HTTP {status}; it is tried again")),
    };
    TargetError { kind, words: format!("{issuer} {words}"), retry_after: refused.retry_after }
}

fn credential_refused(refused: &Refused) -> String {
    if let Some((number, words)) = KNOWN.iter().find(|(number, _)| refused.numbers.contains(number)) {
        return format!("refuses Vestal's credential (AADSTS{number}): {words}");
    }
    let number = refused.numbers.first().map(|number| format!(" (AADSTS{number})")).unwrap_or_default();
    format!("refuses Vestal's credential{number}: compare tenant, client id and secret with the app's in the portal")
}

fn no_managed_identity(status: u16, client_id: Option<&str>) -> String {
    match client_id {
        Some(id) => format!(
            "has no identity of client id {id} (HTTP {status}): in the portal, at the machine's Identity, User assigned, \
             add it, or correct `client_id`"
        ),
        None => format!(
            "has none (HTTP {status}): in the portal, at the machine's Identity, set System assigned to On; or name a \
             user-assigned identity's `client_id`"
        ),
    }
}

/// Why no token could be had where nobody refused one: by words of ours, or by what the Azure CLI is known to say.
pub(super) fn no_token(place: &Place, said: Option<&str>, theirs: &str) -> String {
    if let Some(said) = said {
        return said.to_owned();
    }
    match place.credential {
        Credential::AzureCli { .. } if theirs.contains("not found on PATH") => {
            "there is no `az` on the path of the user that runs Vestal: install the Azure CLI, or choose another kind of \
             credential"
        }
        Credential::AzureCli { .. } if theirs.contains("az login") => {
            "nobody is signed in with the Azure CLI: run `az login` as the user that runs Vestal"
        }
        Credential::AzureCli { .. } => {
            "the Azure CLI gave no token: run `az account get-access-token` as the user that runs Vestal, and see what it says"
        }
        _ => "it could not be obtained; see that the identity is there, and that what `credential` names fits",
    }
    .to_owned()
}
