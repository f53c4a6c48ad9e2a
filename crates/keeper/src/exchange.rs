//! One call to a token endpoint: the credential that it takes, the request, and what the answer means for renewal.

use oauth::{Asked, GrantType, HttpAnswer, HttpRequest, Lifetime, Provider, Refusal, RefusalClass};
use renewal::{Answer, Failure, FailureClass, Moment, Outcome, Reach};
use secret::Secret;
use store::{RecordError, Records, Store};
use vault::{SecretName, VaultName};
use zeroize::Zeroizing;

use crate::definition::{Source, TokenDefinition};
use crate::keeper::Keeper;
use crate::port::{Clock, Http, Observer, SendFailure};
use crate::targets::NotRead;

/// How the words of a failure begin to say that a credential isn't in its vault yet.
pub const NOT_THERE: &str = "which isn't there";

/// What the history tells of an exchange besides what renewal knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) words: String,
    pub(crate) request_id: Option<String>,
    pub(crate) lifetime: Option<u64>,
    pub(crate) lifetime_source: String,
}

/// How an exchange ended.
pub(crate) struct Exchanged {
    pub(crate) outcome: Outcome,
    pub(crate) told: Told,
    /// The access token of a success.
    pub(crate) value: Option<Secret>,
}

/// Why there is no request to send.
pub(crate) enum NoCredential {
    /// A person must do what the words say.
    Missing(String),
    /// The store can't answer now.
    Unreadable(String),
}

/// The request that obtains the token, with its credential opened.
pub(crate) async fn request<S: Store, C: Clock, H: Http, O: Observer>(
    keeper: &Keeper<S, C, H, O>,
    definition: &TokenDefinition,
    provider: &Provider,
) -> Result<HttpRequest, NoCredential> {
    // Both at once, since each may take its time.
    let (client_id, client_secret) = futures_util::future::join(
        open(keeper, &definition.client_id, "client id"),
        open(keeper, &definition.client_secret, "client secret"),
    )
    .await;
    let (client_id, client_secret) = (client_id?, client_secret?);
    let Some(client_id) = client_id.expose_str() else {
        return Err(NoCredential::Missing("the client id is not text: set its secret again".to_owned()));
    };
    oauth::client_credentials(provider, client_id, &client_secret, &definition.scope, &definition.extra)
        .map_err(|error| NoCredential::Missing(error.to_string()))
}

async fn open<S: Store, C: Clock, H: Http, O: Observer>(
    keeper: &Keeper<S, C, H, O>,
    source: &Source,
    part: &str,
) -> Result<Secret, NoCredential> {
    let (vault, name) = match source {
        Source::Literal(text) => return Ok(Secret::copy_of(text.as_bytes())),
        Source::Secret { vault, name } => (vault, name),
    };
    match keeper.targets.target(vault) {
        Some(target) => {
            keeper.targets.credential(&keeper.clock, &*target, vault, name).await.map_err(|not_read| match not_read {
                NotRead::Missing(words) => NoCredential::Missing(format!("the {part} can't be read: {words}")),
                NotRead::Unreachable(words) => NoCredential::Unreadable(format!("the {part} can't be read: {words}")),
            })
        }
        None => open_here(&keeper.records, vault, name, part).await,
    }
}

/// Opens a credential that is in a vault of ours.
async fn open_here<S: Store>(
    records: &Records<S>,
    vault: &str,
    name: &str,
    part: &str,
) -> Result<Secret, NoCredential> {
    let (Ok(vault_name), Ok(secret_name)) = (VaultName::parse(vault), SecretName::parse(name)) else {
        return Err(NoCredential::Missing(format!(
            "the {part} is to come from {vault}/{name}, which is no secret's name"
        )));
    };
    let current = match records.current(&vault_name, &secret_name).await {
        Ok(current) => current,
        Err(RecordError::NotFound) => {
            return Err(NoCredential::Missing(format!(
                "the {part} is to come from the secret {name} of vault {vault}, {NOT_THERE}: \
                 run `vestal secret set {vault}/{name}`"
            )));
        }
        Err(error) => return Err(NoCredential::Unreadable(format!("the {part} can't be read: {error}"))),
    };
    if !current.version.enabled {
        return Err(NoCredential::Missing(format!(
            "the {part} is to come from the secret {name} of vault {vault}, which is disabled: enable it, \
             or set a new version with `vestal secret set {vault}/{name}`"
        )));
    }
    let body = records
        .body(&current.version)
        .map_err(|error| NoCredential::Unreadable(format!("the {part} can't be read: {error}")))?;
    Ok(body.value)
}

/// What the answer means. `sent_at` is the instant before the request went out, `now` that at which the answer was here.
pub(crate) fn read<S: Store>(
    records: &Records<S>,
    definition: &TokenDefinition,
    provider: &Provider,
    current: Option<&store::Current>,
    seen_last: Option<core::time::Duration>,
    answer: Result<HttpAnswer, SendFailure>,
    now: Moment,
) -> Exchanged {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return not_answered(&failure),
    };
    let asked = Asked {
        grant: GrantType::ClientCredentials,
        seen_last,
        operator: definition.lifetime.map(core::time::Duration::from_secs),
        received_unix_seconds: now.wall.unix_seconds(),
    };
    match oauth::read_answer(provider, &answer, &asked) {
        Ok(grant) => {
            let same_value = current.is_some_and(|current| same_value_as(records, current, &grant.access_token));
            let lifetime = match grant.lifetime {
                Lifetime::Known(life) => renewal::Lifetime::Known(life),
                Lifetime::Guess(life) => renewal::Lifetime::Guess(life),
                Lifetime::Never => renewal::Lifetime::Never,
            };
            let told = Told {
                status: Some(answer.status),
                words: grant.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                request_id: answer.headers.request_id.clone(),
                lifetime: lifetime.known().map(|life| life.as_secs()),
                lifetime_source: grant.source.as_str().to_owned(),
                ..Told::default()
            };
            let outcome = Outcome::Success(Answer { lifetime, refresh_in: grant.refresh_in, same_value });
            Exchanged { outcome, told, value: Some(grant.access_token) }
        }
        Err(refusal) => refused(refusal),
    }
}

/// Whether the secret's current version holds just this value. Compared in constant time.
pub fn same_value_as<S: Store>(records: &Records<S>, current: &store::Current, value: &Secret) -> bool {
    let mut buffer = Zeroizing::new(Vec::new());
    records
        .with_body(&current.version, &mut buffer, |body| {
            vault::SecretBodyView::decode(body)
                .is_ok_and(|view| secret::equal_in_constant_time(view.value, value.expose()))
        })
        .unwrap_or(false)
}

fn not_answered(failure: &SendFailure) -> Exchanged {
    let reach = if failure.sent { Reach::Sent } else { Reach::NotSent };
    let told = Told { words: failure.words.clone(), ..Told::default() };
    let outcome = Outcome::Failure(Failure {
        class: FailureClass::Transient,
        reach,
        retry_after: None,
        cause: cause(0, None, &failure.words),
    });
    Exchanged { outcome, told, value: None }
}

fn refused(refusal: Refusal) -> Exchanged {
    let (class, retry_after) = match refusal.class {
        RefusalClass::Transient => (FailureClass::Transient, None),
        RefusalClass::Throttled { retry_after } => (FailureClass::Throttled, retry_after),
        RefusalClass::Client => (FailureClass::Client, None),
        RefusalClass::Consent => (FailureClass::Consent, None),
        RefusalClass::Permanent => (FailureClass::Permanent, None),
        RefusalClass::Unknown => (FailureClass::Unknown, None),
    };
    let cause = cause(refusal.status, refusal.error.as_deref(), &refusal.words);
    let told = Told {
        status: Some(refusal.status),
        error: refusal.error,
        words: refusal.words,
        request_id: refusal.request_id,
        ..Told::default()
    };
    let outcome = Outcome::Failure(Failure { class, reach: Reach::Sent, retry_after, cause });
    Exchanged { outcome, told, value: None }
}

/// Tells one failure from another: 64-bit FNV-1a over what a person would see of it. Stored, so it never changes.
fn cause(status: u16, error: Option<&str>, words: &str) -> u64 {
    let parts = [status.to_string(), error.unwrap_or_default().to_owned(), words.to_owned()];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}
