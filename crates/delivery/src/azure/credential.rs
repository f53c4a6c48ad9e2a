//! Vestal's own identity at Azure, with what it is proven by taken from the home vault each time it is needed.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use secret::Secret;

use super::assertion::Certificate;
use super::transport::Said;
use crate::definition::{Credential, SecretReference};

/// Who opens the home vault's secrets for a target.
pub trait Secrets: Send + Sync + 'static {
    /// The current value of the secret.
    ///
    /// The error says in words why there is none, and what to do.
    fn open<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>>;
}

/// A credential that follows its secret: a new value in the home vault is used with the next token.
pub(super) struct Identity {
    credential: Credential,
    secrets: Arc<dyn Secrets>,
    options: ClientOptions,
    authority: String,
    made: Mutex<Option<Made>>,
}

/// The official credential, and the secret that it was made of.
struct Made {
    of: Option<Secret>,
    credential: Arc<dyn TokenCredential>,
}

impl Identity {
    pub(super) fn new(
        credential: Credential,
        secrets: Arc<dyn Secrets>,
        options: ClientOptions,
        authority: String,
    ) -> Self {
        Self { credential, secrets, options, authority, made: Mutex::default() }
    }

    async fn official(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let secret = match &self.credential {
            Credential::ClientSecret { client_secret: reference, .. }
            | Credential::ClientCertificate { certificate: reference, .. } => {
                Some(self.secrets.open(reference).await.map_err(failed)?)
            }
            Credential::WorkloadIdentity { token_file, .. } => Some(federated_token(token_file.as_deref())?),
            Credential::ManagedIdentity { .. } | Credential::AzureCli { .. } => None,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |made: &Made| match (&made.of, &secret) {
            (Some(old), Some(new)) => old.equals(new),
            (None, None) => true,
            _ => false,
        };
        if let Some(made) = made.as_ref().filter(|made| is_same(made)) {
            return Ok(Arc::clone(&made.credential));
        }
        let credential = self.make(secret.as_ref())?;
        *made = Some(Made { of: secret, credential: Arc::clone(&credential) });
        Ok(credential)
    }

    fn make(&self, secret: Option<&Secret>) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = self.options.clone();
        let missing = || failed("the credential's secret is empty");
        Ok(match &self.credential {
            Credential::ClientSecret { tenant, client_id, .. } => {
                let secret = secret.and_then(Secret::expose_str).ok_or_else(missing)?;
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(tenant, client_id.clone(), secret.trim().to_owned().into(), Some(options))?
            }
            Credential::ClientCertificate { tenant, client_id, .. } => {
                let secret = secret.ok_or_else(missing)?;
                let certificate = Certificate::read(secret, tenant, client_id, &self.authority).map_err(failed)?;
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(tenant.clone(), client_id.clone(), certificate, Some(options))?
            }
            Credential::ManagedIdentity { client_id } => {
                let user_assigned_id = client_id.clone().map(UserAssignedId::ClientId);
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                ManagedIdentityCredential::new(Some(options))?
            }
            Credential::WorkloadIdentity { tenant, client_id, token_file } => {
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(or_variable(client_id.as_deref(), "AZURE_CLIENT_ID", "client_id")?),
                    tenant_id: Some(or_variable(tenant.as_deref(), "AZURE_TENANT_ID", "tenant")?),
                    token_file_path: Some(token_file_path(token_file.as_deref())?.into()),
                };
                WorkloadIdentityCredential::new(Some(options))?
            }
            Credential::AzureCli { tenant } => {
                let options = AzureCliCredentialOptions { tenant_id: tenant.clone(), ..Default::default() };
                AzureCliCredential::new(Some(options))?
            }
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The definition names where the secret is, and holds none.
        write!(out, "Identity({:?})", self.credential)
    }
}

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.official().await?.get_token(scopes, options).await;
        if token.is_err() {
            // The next call makes it anew, with a file or an environment that may have changed.
            *self.made.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        token
    }
}

/// The token that Kubernetes keeps in a file, as it is now: the official credential looks at it every ten minutes alone.
fn federated_token(declared: Option<&str>) -> azure_core::Result<Secret> {
    let path = token_file_path(declared)?;
    let token = fs::read(&path).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" (os error").next().unwrap_or_default();
        failed(format!(
            "the file {path} with this workload's token can't be read ({why}): see that the pod's service account has a \
             projected token there"
        ))
    })?;
    Ok(Secret::new(token))
}

fn token_file_path(declared: Option<&str>) -> azure_core::Result<String> {
    or_variable(declared, "AZURE_FEDERATED_TOKEN_FILE", "token_file")
}

/// What was declared, or else what the webhook of Kubernetes puts into the environment.
fn or_variable(declared: Option<&str>, variable: &str, setting: &str) -> azure_core::Result<String> {
    let value = declared.map(str::to_owned).or_else(|| env::var(variable).ok());
    value.filter(|value| !value.is_empty()).ok_or_else(|| {
        failed(format!(
            "the environment has no {variable}: see that the pod has the label `azure.workload.identity/use: \"true\"`, or \
             write `{setting}` into the target's `credential`"
        ))
    })
}

pub(super) fn failed(words: impl Into<String>) -> azure_core::Error {
    azure_core::Error::new(azure_core::error::ErrorKind::Credential, Said(words.into()))
}
