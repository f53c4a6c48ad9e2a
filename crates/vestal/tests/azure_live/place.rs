//! Which vault, and who asks, out of the environment.

use std::env;
use std::fs;
use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use delivery::azure::{AzureKeyVault, Secrets, VaultAddress};
use delivery::{Credential, SecretReference};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secret::Secret;
use vestal::connector::{Allowed, Connector, OutboundRules, TargetTransport};

/// The vault, with every call on the way that deliveries take.
pub(crate) fn vault() -> AzureKeyVault {
    let url = said("VESTAL_AZURE_VAULT_URL").expect(
        "set VESTAL_AZURE_VAULT_URL, such as https://contoso-tests.vault.azure.net; docs/azure.md says what else",
    );
    let credential = credential();
    let connector = Arc::new(Connector::new(rules()).expect("the authorities in VESTAL_AZURE_CA can be used"));
    let managed = matches!(credential, Credential::ManagedIdentity { .. });
    let transport = Arc::new(TargetTransport::new(connector, managed));
    let cloud = VaultAddress::parse(&url).unwrap_or_else(|why| panic!("{url}: {why}")).cloud();
    // A vault in one of Azure's clouds has that cloud's authority.
    let authority = said("AZURE_AUTHORITY_HOST").filter(|_| cloud.is_none());
    AzureKeyVault::open(
        &url,
        cloud.unwrap_or_default(),
        authority.as_deref(),
        &credential,
        Arc::new(FromEnvironment),
        transport,
    )
    .unwrap_or_else(|words| panic!("{words}"))
}

/// Now, in Unix seconds.
pub(crate) fn now() -> i64 {
    vestal::clock::now().wall.0.div_euclid(1000)
}

/// The first of these that the environment names: a client secret, a certificate, a federated token, the machine's own
/// identity, and else whoever `az login` signed in.
fn credential() -> Credential {
    let needed = |name: &str| said(name).unwrap_or_else(|| panic!("set {name} too"));
    if said("AZURE_CLIENT_SECRET").is_some() {
        return Credential::ClientSecret {
            tenant: needed("AZURE_TENANT_ID"),
            client_id: needed("AZURE_CLIENT_ID"),
            client_secret: reference("AZURE_CLIENT_SECRET"),
        };
    }
    if said("AZURE_CLIENT_CERTIFICATE_PATH").is_some() {
        return Credential::ClientCertificate {
            tenant: needed("AZURE_TENANT_ID"),
            client_id: needed("AZURE_CLIENT_ID"),
            certificate: reference("AZURE_CLIENT_CERTIFICATE_PATH"),
        };
    }
    if said("AZURE_FEDERATED_TOKEN_FILE").is_some() {
        return Credential::WorkloadIdentity { tenant: None, client_id: None, token_file: None };
    }
    if said("VESTAL_AZURE_MANAGED_IDENTITY").is_some() {
        return Credential::ManagedIdentity { client_id: said("AZURE_CLIENT_ID") };
    }
    Credential::AzureCli { tenant: said("AZURE_TENANT_ID") }
}

/// The variable stands for the secret's name.
fn reference(variable: &str) -> SecretReference {
    SecretReference { vault: "environment".to_owned(), name: variable.to_owned() }
}

/// The home vault of this test: the environment, or the file that it names.
struct FromEnvironment;

impl Secrets for FromEnvironment {
    fn open<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>> {
        let value = said(&reference.name).ok_or_else(|| format!("{} is not set", reference.name));
        let value = value.and_then(|value| match reference.name.ends_with("_PATH") {
            true => {
                fs::read_to_string(&value).map(Secret::from).map_err(|error| format!("{value} can't be read: {error}"))
            }
            false => Ok(Secret::from(value)),
        });
        Box::pin(ready(value))
    }
}

/// Public addresses, and beside them what `VESTAL_AZURE_ALLOW` lists with commas between, as `[outbound] allow` would: a
/// private endpoint, or a second Vestal that plays Azure, whose authority `VESTAL_AZURE_CA` then names.
fn rules() -> OutboundRules {
    let allow = said("VESTAL_AZURE_ALLOW").unwrap_or_default();
    let allow = allow.split(',').filter(|entry| !entry.is_empty()).map(|entry| match entry.trim().parse::<Allowed>() {
        Ok(allowed) => allowed,
        Err(error) => panic!("VESTAL_AZURE_ALLOW, {entry}: {error}"),
    });
    let authorities = said("VESTAL_AZURE_CA").map(|path| {
        let found = CertificateDer::pem_file_iter(Path::new(&path)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        found.unwrap_or_else(|error| panic!("VESTAL_AZURE_CA, {path}: {error}"))
    });
    OutboundRules { allow: allow.collect(), authorities: authorities.unwrap_or_default(), ..OutboundRules::default() }
}

/// A variable that is set to something.
fn said(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
