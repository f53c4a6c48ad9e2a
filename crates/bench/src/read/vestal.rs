//! Vestal's vault behind a listener of the bench's own: everything of the product but its configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use keyvault::{KeyVault, Now, Settings, VaultDefinition};
use secret::Secret;
use serde_json::Value;
use store::rows::{DefinitionKind, Origin};
use store::{Audit, NewSecret, Records};
use store_sql::sqlite::SqliteStore;
use vault::{ObjectId, Pattern, Permissions, Policy, SecretBody, SecretName, VaultName};
use vestal::audit::AuditFile;
use vestal::clock;
use vestal::engine::OpenStore;
use vestal::listener::{Limits, Listener, Peer, Transport};
use vestal::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate};

use crate::Failure;
use crate::read::{NAME, Target};

const VAULT: &str = "bench";
const DOMAIN: &str = "vault.localhost";

/// Serves a secret with this value for ever, once `announce` was told how it is asked for.
pub(crate) async fn serve(
    folder: &Path,
    encrypted: bool,
    value: &str,
    announce: impl FnOnce(Target),
) -> Result<(), Failure> {
    let open = OpenStore::open(folder, &folder.join("key")).await?;
    let records = Arc::clone(open.records());
    let audit = Arc::new(AuditFile::open(&open.data().file("audit.jsonl"))?);
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr();
    let settings = Settings {
        domain: format!("{DOMAIN}:{}", address.port()),
        authority: format!("https://localhost:{}", address.port()),
        region: "local".to_owned(),
    };
    let keyvault = KeyVault::open(Arc::clone(&records), &settings, audit as Arc<dyn Audit>, now()).await?;
    let token = set_up(&records, &keyvault, value).await?;
    let transport = if encrypted { Transport::Tls(certificate(folder)?.server_config()) } else { Transport::Plain };
    announce(Target {
        scheme: if encrypted { "https" } else { "http" }.to_owned(),
        address: address.to_string(),
        path: format!("/secrets/{NAME}?api-version=7.4"),
        headers: vec![
            ("Host".to_owned(), format!("{VAULT}.{}", settings.domain)),
            ("Authorization".to_owned(), format!("Bearer {token}")),
        ],
        process: std::process::id(),
    });
    let keyvault = Arc::new(keyvault);
    let service = move |request: Request<Bytes>, peer: Peer| {
        let keyvault = Arc::clone(&keyvault);
        async move { keyvault.answer(request, now(), address_of(peer)).await }
    };
    listener.serve(transport, Limits::default(), service, core::future::pending()).await;
    Ok(())
}

/// A vault with one secret, an app that may read it by a pattern, and an access token of that app.
async fn set_up(
    records: &Records<SqliteStore>,
    keyvault: &KeyVault<SqliteStore>,
    value: &str,
) -> Result<String, Failure> {
    let vault = VaultName::parse(VAULT)?;
    define(records, DefinitionKind::Vault, VAULT, &VaultDefinition::default()).await?;
    let now_seconds = clock::unix_seconds();
    records
        .set(NewSecret {
            vault: vault.clone(),
            name: SecretName::parse(NAME)?,
            body: SecretBody {
                value: Secret::copy_of(value.as_bytes()),
                content_type: None,
                tags: [(store::GENERATION_TAG.to_owned(), "1".to_owned())].into(),
                updated: now_seconds,
                written_by: "bench".to_owned(),
            },
            enabled: true,
            not_before: None,
            expires: Some(now_seconds + 86_400),
            now: now_seconds,
        })
        .await?;
    let issued = keyvault.create_app("reader", None, now()).await?;
    let object_id: ObjectId = issued.app.object_id.clone();
    let policy = Policy {
        vault,
        app: object_id,
        permissions: Permissions::parse(["get"])?,
        names: vec![Pattern::parse("discord-*-token")?],
    };
    define(records, DefinitionKind::Policy, "reader", &policy).await?;
    keyvault.reload_directory().await?;
    let client_secret = issued.client_secret.expose_str().ok_or("a client secret is text")?;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={client_secret}&scope=https://vault.azure.net/.default",
        issued.app.client_id
    );
    let request = Request::post("/adfs/oauth2/v2.0/token")
        .header("host", "localhost")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form))?;
    let answer = keyvault.answer(request, now(), None).await;
    let answer: Value = serde_json::from_slice(answer.body())?;
    let token = answer["access_token"].as_str().ok_or_else(|| format!("no access token was given: {answer}"))?;
    Ok(token.to_owned())
}

async fn define<T: serde::Serialize>(
    records: &Records<SqliteStore>,
    kind: DefinitionKind,
    name: &str,
    body: &T,
) -> Result<(), Failure> {
    Ok(records.commit(vec![records.define(kind, name, Origin::Admin, None, body, None)]).await?)
}

fn certificate(folder: &Path) -> Result<Arc<ServerCertificate>, Failure> {
    vestal::tls::install_crypto_provider();
    let names = LocalNames::new(DOMAIN, "localhost");
    let authority = LocalAuthority::open(&folder.join("tls"), names, clock::unix_seconds())?;
    Ok(ServerCertificate::load(CertificateSource::Local(authority))?)
}

fn now() -> Now {
    Now { unix_ms: clock::now().wall.0 }
}

fn address_of(peer: Peer) -> Option<IpAddr> {
    match peer {
        Peer::Network { address, .. } => Some(address.ip()),
        Peer::Process { .. } => None,
    }
}
