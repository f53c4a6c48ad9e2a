//! Azure Key Vault, by its official client.
//!
//! The client makes the requests, takes the challenge and gets tokens by the official credentials; the calls go out
//! through a [`Transport`] of Vestal's, without retries of the client's own: the courier paces and tries again.

mod address;
mod assertion;
mod credential;
mod directory;
mod failure;
mod place;
mod right;
mod transport;

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, FixedRetryOptions, RetryOptions, Transport as AzureTransport};
use azure_core::time::OffsetDateTime;
use azure_security_keyvault_secrets::models::{
    Secret as Bundle, SecretAttributes, SecretClientUpdateSecretPropertiesOptions, SetSecretParameters,
    UpdateSecretPropertiesParameters,
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use secret::Secret;
use store::target::{PROVIDER_TAG, RENEWED_TAG, TOKEN_TAG};
use store::{GENERATION_TAG, Held, Mark, Parcel, Target, TargetAnswer, TargetError, TargetErrorKind, TargetPace};

pub use self::address::{AddressError, PlaceError, VaultAddress};
use self::credential::Identity;
pub use self::credential::Secrets;
use self::failure::{failure, is_absent, is_disabled, managed};
use self::place::{Clock, Place};
use self::right::Right;
use self::transport::Wire;
pub use self::transport::{Answer, Call, Transport};
use crate::definition::{Cloud, Credential};

/// The content type of what is delivered.
const CONTENT_TYPE: &str = "text/plain";

/// The longest value that Key Vault takes, in bytes.
const LONGEST_VALUE: usize = 25_600;

/// The longest name.
const LONGEST_NAME: usize = 127;

/// Azure takes 300 new versions in 10 seconds from all callers of a vault together. In the worst ten seconds this is 298:
/// what was under way when a stall of the vault ended, a burst, and then one each interval. So many flights keep that pace
/// where a delivery takes up to 576 ms.
const PACE: TargetPace = TargetPace { interval: Duration::from_millis(36), burst: 4, flights: 16 };

/// What stands in for the id of a version that the vault doesn't tell, since it is disabled.
const UNTOLD_VERSION: &str = "disabled";

/// An Azure Key Vault, as a target.
pub struct AzureKeyVault {
    client: SecretClient,
    place: Place,
}

impl AzureKeyVault {
    /// The vault at `url`. Nothing is called before the first use.
    ///
    /// # Errors
    /// What is wrong with the definition, in words.
    pub fn open(
        url: &str,
        cloud: Cloud,
        authority: Option<&str>,
        credential: &Credential,
        secrets: Arc<dyn Secrets>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, String> {
        let address = VaultAddress::parse(url).map_err(|why| format!("{url} is no address of a vault: {why}"))?;
        let cloud = address
            .cloud_with(Some(cloud), authority.is_some())
            .map_err(|why| format!("{url} can't be opened as it is declared: {why}"))?;
        let authority = authority.unwrap_or(cloud.authority()).trim_end_matches('/').to_owned();
        let clock = Arc::new(Clock::default());
        let wire = Wire { transport, authority: authority.clone(), clock: Arc::clone(&clock) };
        let client_options = ClientOptions {
            retry: RetryOptions::fixed(FixedRetryOptions { max_retries: 0, ..FixedRetryOptions::default() }),
            transport: Some(AzureTransport::new(Arc::new(wire))),
            cloud: Some(Arc::new(custom(&authority))),
            ..ClientOptions::default()
        };
        let identity = Identity::new(credential.clone(), secrets, client_options.clone(), authority.clone());
        let identity: Arc<dyn TokenCredential> = Arc::new(identity);
        let options = SecretClientOptions { client_options, ..SecretClientOptions::default() };
        let url = address.as_str().to_owned();
        let client =
            SecretClient::new(&url, identity, Some(options)).map_err(|_| format!("{url} is no address of a vault"))?;
        let label = address.vault().to_owned();
        Ok(Self { client, place: Place { url, label, authority, credential: credential.clone(), clock } })
    }

    fn failed(&self, name: &str, right: Right, error: &azure_core::Error) -> TargetError {
        failure(&self.place, name, right, error)
    }

    fn unfit(&self, words: String) -> TargetError {
        TargetError { kind: TargetErrorKind::Unfit, words, retry_after: None }
    }

    fn checked(&self, name: &str) -> Result<(), TargetError> {
        self.admits(name).map_err(|words| self.unfit(words))
    }

    async fn read_current(&self, name: &str) -> Result<Option<Held>, TargetError> {
        self.checked(name)?;
        let bundle = match self.client.get_secret(name, None).await {
            Ok(answer) => answer.into_model(),
            Err(error) => Err(error),
        };
        match bundle {
            // To be told before the vault refuses to be written.
            Ok(Bundle { managed: Some(true), .. }) => Err(managed(&self.place, name)),
            Ok(bundle) => self.held(bundle).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) if is_disabled(&error) => Ok(Some(Held {
                value: None,
                version: UNTOLD_VERSION.to_owned(),
                enabled: false,
                expires: None,
                created: None,
                mark: None,
            })),
            Err(error) => Err(self.failed(name, Right::Get, &error)),
        }
    }

    fn held(&self, bundle: Bundle) -> Result<Held, TargetError> {
        let Bundle { attributes, id, tags, value, .. } = bundle;
        let version = id.as_deref().and_then(version_of).ok_or_else(|| TargetError {
            kind: TargetErrorKind::Unsettled,
            words: format!("the answer of {} can't be understood: it names no version", self.place.url),
            retry_after: None,
        })?;
        let attributes = attributes.unwrap_or_default();
        Ok(Held {
            value: value.map(Secret::from),
            version,
            enabled: attributes.enabled.unwrap_or(true),
            expires: attributes.expires.map(OffsetDateTime::unix_timestamp),
            created: attributes.created.map(OffsetDateTime::unix_timestamp),
            mark: tags.as_ref().and_then(mark_of),
        })
    }

    async fn write_new(&self, name: &str, parcel: &Parcel) -> Result<String, TargetError> {
        self.checked(name)?;
        let value = parcel.value.expose_str().filter(|value| value.len() <= LONGEST_VALUE).ok_or_else(|| {
            self.unfit(format!(
                "the token is no text of at most {LONGEST_VALUE} bytes, which is what a Key Vault holds"
            ))
        })?;
        let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
        let parameters = SetSecretParameters {
            content_type: Some(CONTENT_TYPE.to_owned()),
            secret_attributes: Some(SecretAttributes {
                enabled: Some(true),
                expires: parcel.expires.and_then(time),
                ..SecretAttributes::default()
            }),
            tags: Some(tags_of(parcel)),
            value: Some(value.to_owned()),
        };
        let bundle = async {
            let answer = self.client.set_secret(name, parameters.try_into()?, None).await?;
            answer.into_model()
        };
        let bundle = bundle.await.map_err(|error| self.failed(name, Right::Set, &error))?;
        self.held(bundle).map(|held| held.version)
    }

    async fn disable_version(&self, name: &str, version: &str) -> Result<(), TargetError> {
        self.checked(name)?;
        if version == UNTOLD_VERSION {
            return Ok(());
        }
        let parameters = UpdateSecretPropertiesParameters {
            secret_attributes: Some(SecretAttributes { enabled: Some(false), ..SecretAttributes::default() }),
            ..UpdateSecretPropertiesParameters::default()
        };
        let options = SecretClientUpdateSecretPropertiesOptions {
            secret_version: Some(version.to_owned()),
            ..SecretClientUpdateSecretPropertiesOptions::default()
        };
        let update = async {
            self.client.update_secret_properties(name, parameters.try_into()?, Some(options)).await.map(|_| ())
        };
        match update.await {
            Err(error) if !is_absent(&error) => Err(self.failed(name, Right::Update, &error)),
            _ => Ok(()),
        }
    }
}

impl Target for AzureKeyVault {
    fn admits(&self, name: &str) -> Result<(), String> {
        secret_name_fits(name).map_err(ToOwned::to_owned)
    }

    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>> {
        Box::pin(self.read_current(name))
    }

    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String> {
        Box::pin(self.write_new(name, parcel))
    }

    fn disable<'a>(&'a self, name: &'a str, version: &'a str) -> TargetAnswer<'a, ()> {
        Box::pin(self.disable_version(name, version))
    }

    fn pace(&self) -> TargetPace {
        PACE
    }
}

/// Whether a key vault can hold a secret of this name.
///
/// # Errors
/// The rule of names there.
pub fn secret_name_fits(name: &str) -> Result<(), &'static str> {
    let fits = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(()) } else { Err("a name there is 1 to 127 letters, digits and hyphens") }
}

/// Always a custom one, so that no environment variable names another authority.
fn custom(authority: &str) -> CloudConfiguration {
    let mut custom = CustomConfiguration::default();
    authority.clone_into(&mut custom.authority_host);
    custom.into()
}

fn version_of(id: &str) -> Option<String> {
    let version = id.rsplit('/').next()?;
    (version.len() == 32).then(|| version.to_ascii_lowercase())
}

fn mark_of(tags: &HashMap<String, String>) -> Option<Mark> {
    let token = tags.get(TOKEN_TAG)?.clone();
    let generation = tags.get(GENERATION_TAG)?.parse().ok()?;
    Some(Mark { token, generation })
}

fn tags_of(parcel: &Parcel) -> HashMap<String, String> {
    let renewed = OffsetDateTime::from_unix_timestamp(parcel.renewed_at).ok();
    let renewed = renewed.map(|time| azure_core::time::to_rfc3339(&time)).unwrap_or_default();
    [
        (TOKEN_TAG, parcel.mark.token.clone()),
        (GENERATION_TAG, parcel.mark.generation.to_string()),
        (PROVIDER_TAG, parcel.provider.clone()),
        (RENEWED_TAG, renewed),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_ten_seconds_are_within_what_azure_takes() {
        let in_step = Duration::from_secs(10).as_millis().div_ceil(PACE.interval.as_millis());
        let worst = in_step + u128::from(PACE.burst + PACE.flights);
        assert!((290..=300).contains(&worst), "{worst}");
    }
}
