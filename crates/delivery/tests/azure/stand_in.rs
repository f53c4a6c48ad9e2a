//! A transport that answers as Azure does: where to sign in, a token, and then what the test wants.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use delivery::azure::{Answer, AzureKeyVault, Call, Secrets, Transport};
use delivery::{Cloud, Credential, SecretReference};
use secret::Secret;
use store::contract::block_on;
use store::{Held, Mark, Parcel, Target as _, TargetError};

pub(crate) const VAULT: &str = "https://contoso.vault.azure.net";
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// What Azure says and nobody must see.
pub(crate) const NOT_TO_BE_SHOWN: &str = "not to be shown: canary-5f1d0a7e";

/// An answer of Azure's: status, headers, body.
pub(crate) type Said = (u16, Vec<(&'static str, String)>, String);

type Answers = dyn Fn(&Call) -> Option<Said> + Send + Sync;

/// Plays Azure. Whatever the test doesn't answer goes well.
#[derive(Clone)]
pub(crate) struct Azure {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Azure {
    pub(crate) fn that(answers: impl Fn(&Call) -> Option<Said> + Send + Sync + 'static) -> Self {
        Self { answers: Arc::new(answers), asked: Arc::default() }
    }

    /// Answers every call at the vault, after the first, which asks where to sign in.
    pub(crate) fn whose_vault_says(said: Said) -> Self {
        Self::that(move |call| is_authorized(call).then(|| said.clone()))
    }

    /// Answers every request for a token.
    pub(crate) fn whose_directory_says(said: Said) -> Self {
        Self::that(move |call| call.url.starts_with(AUTHORITY).then(|| said.clone()))
    }

    /// Methods and addresses of all calls, in their order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// A target there, with this credential.
    pub(crate) fn target(&self, credential: &Credential) -> Vault {
        let target =
            AzureKeyVault::open(VAULT, Cloud::Public, None, credential, Arc::new(OneSecret), Arc::new(self.clone()));
        Vault(target.unwrap_or_else(|words| panic!("{words}")))
    }
}

impl Transport for Azure {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>> {
        self.asked.lock().expect("nobody panics with it").push(format!("{} {}", call.method, call.url));
        let (status, headers, body) = (self.answers)(&call).unwrap_or_else(|| goes_well(&call));
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Box::pin(ready(Ok(Answer { status, headers, body: body.into_bytes() })))
    }
}

impl std::fmt::Debug for Azure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Azure")
    }
}

pub(crate) fn is_authorized(call: &Call) -> bool {
    call.url.starts_with(VAULT) && call.headers.iter().any(|(name, _)| name == "authorization")
}

fn goes_well(call: &Call) -> Said {
    if !call.url.starts_with(VAULT) {
        let token = r#"{"token_type": "Bearer", "expires_in": 3600, "access_token": "t", "expires_on": "4000000000",
                        "resource": "r"}"#;
        return (200, Vec::new(), token.to_owned());
    }
    if !is_authorized(call) {
        let challenge = format!(r#"Bearer authorization="{AUTHORITY}/tenant", resource="https://vault.azure.net""#);
        return (401, vec![("www-authenticate", challenge)], "{}".to_owned());
    }
    (200, Vec::new(), bundle(""))
}

/// A secret as the vault answers with it. `more` is put beside its members.
pub(crate) fn bundle(more: &str) -> String {
    format!(
        r#"{{"value": "v", "id": "{VAULT}/secrets/token/00000000000000000000000000000001",
            "attributes": {{"enabled": true}}{more}}}"#
    )
}

/// A refusal as Key Vault words it.
pub(crate) fn refusal(status: u16, inner: &str) -> Said {
    let body = format!(
        r#"{{"error": {{"code": "Outer", "message": "{NOT_TO_BE_SHOWN}", "innererror": {{"code": "{inner}"}}}}}}"#
    );
    (status, Vec::new(), body)
}

/// The target, with its three calls. Errors never show what Azure said.
pub(crate) struct Vault(AzureKeyVault);

impl Vault {
    pub(crate) fn read(&self) -> Result<Option<Held>, TargetError> {
        checked(block_on(self.0.read("token")))
    }

    pub(crate) fn write(&self) -> Result<String, TargetError> {
        let parcel = Parcel {
            value: Secret::copy_of(b"v"),
            expires: None,
            mark: Mark { token: "0123456789abcdef0123456789abcdef".to_owned(), generation: 1 },
            provider: "hourly".to_owned(),
            renewed_at: 1_800_000_000,
        };
        checked(block_on(self.0.write("token", &parcel)))
    }

    pub(crate) fn disable(&self) -> Result<(), TargetError> {
        checked(block_on(self.0.disable("token", "00000000000000000000000000000001")))
    }
}

fn checked<T>(answer: Result<T, TargetError>) -> Result<T, TargetError> {
    if let Err(error) = &answer {
        assert!(!error.words.contains("canary"), "{error}");
    }
    answer
}

/// The one secret that there is.
struct OneSecret;

impl Secrets for OneSecret {
    fn open<'a>(&'a self, _: &'a SecretReference) -> Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>> {
        Box::pin(ready(Ok(Secret::copy_of(b"hush"))))
    }
}

pub(crate) fn client_secret() -> Credential {
    Credential::ClientSecret {
        tenant: "tenant".to_owned(),
        client_id: "app-id".to_owned(),
        client_secret: SecretReference { vault: "home".to_owned(), name: "azure".to_owned() },
    }
}

pub(crate) fn managed_identity(client_id: Option<&str>) -> Credential {
    Credential::ManagedIdentity { client_id: client_id.map(str::to_owned) }
}
