//! The contract of targets, held by Azure Key Vault's: the official client and its credential, through Vestal's own
//! connector, at a Vestal that plays Azure.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use delivery::azure::Secrets;
use delivery::{Cloud, Credential, SecretReference, TargetDefinition};
use secret::Secret;
use store::Target;
use store::contract::target::{OpenedTarget, TargetOpener};
use vestal::connector::{Connector, OutboundRules, TargetTransport};

use crate::client::VaultClient;
use crate::process::{Dev, Folder, dev};

store::target_contract!(AzureOpener, run_on_tokio);

fn run_on_tokio<F: Future>(check: F) -> F::Output {
    vestal::tls::install_crypto_provider();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be made").block_on(check)
}

struct AzureOpener;

struct Azure {
    dev: Dev,
    _folder: Folder,
    target: Arc<dyn Target>,
}

/// The one secret that there is.
struct ClientSecret(String);

impl Secrets for ClientSecret {
    fn open<'a>(&'a self, _: &'a SecretReference) -> Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(Secret::from(self.0.clone()))))
    }
}

impl TargetOpener for AzureOpener {
    type Opened = Azure;

    async fn fresh(&self) -> Azure {
        let folder = Folder::new();
        let dev = Dev::ready(dev(&folder, 600), &folder);
        let url = dev.var("VESTAL_VAULT_URL").to_owned();
        let port = url.rsplit(':').next().expect("a port");
        let authorities =
            vestal::tls::read_certificates(&folder.data().join("tls/ca.pem")).expect("it has its authority");
        let allow = [format!("dev.vault.localhost:{port}"), format!("localhost:{port}")];
        let rules = OutboundRules {
            allow: allow.iter().map(|entry| entry.parse().expect("it is an entry")).collect(),
            authorities,
            own_listeners: Vec::new(),
            own_provider: None,
        };
        let connector = Arc::new(Connector::new(rules).expect("there is a connector"));
        let definition = TargetDefinition::AzureKeyVault {
            url: url.clone(),
            cloud: Cloud::Public,
            authority: Some(dev.var("AZURE_AUTHORITY_HOST").to_owned()),
            credential: Credential::ClientSecret {
                tenant: dev.var("AZURE_TENANT_ID").to_owned(),
                client_id: dev.var("AZURE_CLIENT_ID").to_owned(),
                client_secret: SecretReference { vault: "home".to_owned(), name: "azure-client-secret".to_owned() },
            },
        };
        let secrets = Arc::new(ClientSecret(dev.var("AZURE_CLIENT_SECRET").to_owned()));
        let transport = Arc::new(TargetTransport::new(connector, false));
        let target = delivery::open(&definition, secrets, transport).expect("it can be opened");
        Azure { dev, _folder: folder, target }
    }
}

impl Azure {
    /// Does something with a client of somebody else's, which blocks and has a runtime of its own.
    fn by_hand(&self, act: impl FnOnce(&VaultClient) + Send) {
        std::thread::scope(|scope| scope.spawn(|| act(&VaultClient::new(&self.dev))).join()).expect("it is done");
    }
}

impl OpenedTarget for Azure {
    fn target(&self) -> &dyn Target {
        &*self.target
    }

    async fn write_by_hand(&self, name: &str, value: &str) {
        self.by_hand(|vault| drop(vault.set(name, value).ok()));
    }

    async fn disable_by_hand(&self, name: &str) -> bool {
        self.by_hand(|vault| {
            let path = format!("/secrets/{name}?api-version=7.4");
            drop(vault.send("PATCH", &path, r#"{"attributes": {"enabled": false}}"#).ok());
        });
        true
    }

    fn folds_case(&self) -> bool {
        true
    }

    fn unfit_names(&self) -> Vec<String> {
        vec![String::new(), "under_score".to_owned(), "n".repeat(128), "dots.and.dots".to_owned(), "a/b".to_owned()]
    }
}
