//! Every call, asked of a whole engine in a folder of its own. The one provider that it can reach is a sandbox in this
//! process.

mod calls;
mod deleted;
mod file;
mod identity;
mod secrets;
mod targets;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use renewal::LaneLimits;
use secret::Secret;
use serde_json::{Value, json};
use store::{Audit as _, Token};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vault::{SecretName, VaultName};

use super::{Admin, PREFIX, entry};
use crate::clock;
use crate::config::{self, ProcessSettings};
use crate::connector::OwnProvider;
use crate::engine::{Addresses, Engine, OpenStore};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate};

/// What the sandbox's client signs in with. No audit line and no answer but that of `value` may have it.
const CREDENTIAL: &str = "the-credential-of-the-sandbox";

/// One vault, and an app and a policy that the file owns.
const FILE: &str = r#"
[vault.contoso]
[app.filed]
[policy.filed]
app = "filed"
vault = "contoso"
permissions = ["get"]
"#;

/// A token that the sandbox gives, once its credential is there.
const TOKEN: &str = r#"
[token.Api-Token]
vault = "contoso"
provider = "sandbox"
client_id = "vestal"
client_secret = { secret = "credential" }
scope = ["identify"]
promise = "10s"
owner = "ops@example.com"
"#;

struct World {
    folder: TempDir,
    engine: Arc<Engine>,
    admin: Admin,
    sandbox: Sandbox,
    keeping: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl World {
    /// An engine with the definitions of [`FILE`]. It renews nothing until [`World::keep`].
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(&folder);
        let (sandbox, own_provider) = sandbox(&folder).await;
        let engine = engine(&settings, own_provider).await;
        let world = Self { admin: Admin::new(Arc::clone(&engine)), folder, engine, sandbox, keeping: None };
        world.apply(FILE).await;
        world
    }

    /// The same with the token that the sandbox gives.
    async fn with_token() -> Self {
        let world = Self::new().await;
        let text = world.token_file();
        world.apply(&text).await;
        world
    }

    fn token_file(&self) -> String {
        let url = self.sandbox.token_url();
        format!("{FILE}\n[provider.sandbox]\nextends = \"discord\"\ntoken_url = \"{url}\"\n{TOKEN}")
    }

    /// Renews tokens from now on.
    fn keep(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        let keeper = Arc::clone(self.engine.keeper());
        let keeping = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            keeper.run(stop).await.expect("it can read its store");
        });
        self.keeping = Some((stop, keeping));
    }

    /// Lets attempts under way end, and renews nothing more.
    async fn stop_keeping(&mut self) {
        if let Some((stop, keeping)) = self.keeping.take() {
            drop(stop);
            keeping.await.expect("it ends");
        }
    }

    async fn stop(mut self) {
        self.stop_keeping().await;
        self.sandbox.stop().await;
    }

    /// Asks, and answers the status and the body.
    async fn ask(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.ask_with(method, path, body).await
    }

    async fn ask_with(&self, method: &str, path: &str, body: Bytes) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(format!("{PREFIX}{path}"))
            .body(body)
            .expect("a request");
        let (parts, body) = self.admin.answer(request).await.into_parts();
        assert_eq!(parts.headers["content-type"], "application/json");
        (parts.status, serde_json::from_slice(&body).expect("an answer is JSON"))
    }

    /// Asks for what is to succeed.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        body
    }

    async fn get(&self, path: &str) -> Value {
        self.done("GET", path, Value::Null).await
    }

    /// Asks for what is to be refused with this status and word, and answers message and help as one text.
    async fn refused(&self, method: &str, path: &str, body: Value, status: u16, code: &str) -> String {
        let (got, answer) = self.ask(method, path, body).await;
        assert_eq!((got.as_u16(), answer["error"]["code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
        let error = &answer["error"];
        format!("{} | {}", error["message"].as_str().expect("words"), error["help"].as_str().unwrap_or_default())
    }

    async fn apply(&self, text: &str) -> Value {
        self.done("POST", "/apply", self.file(text)).await
    }

    fn file(&self, text: &str) -> Value {
        json!({ "file": "vestal.toml", "text": text, "folder": self.folder.path() })
    }

    async fn set(&self, name: &str, value: &str) -> Value {
        self.done("PUT", &format!("/vaults/contoso/secrets/{name}"), json!({ "value": value })).await
    }

    async fn token(&self) -> Token {
        let (vault, name) = (VaultName::parse("contoso").unwrap(), SecretName::parse("api-token").unwrap());
        self.engine.records().token_of(&vault, &name).await.expect("the store is there").expect("the token is there")
    }

    /// The lines that the admin's calls have made in the audit so far, as `operation vault name outcome`.
    async fn audit(&self) -> Vec<String> {
        // Lines are written in order, and this one is on disk when the call returns.
        let marker = entry("Marker", "", "", store::AuditOutcome::Allowed);
        self.engine.audit().write(&marker).await.expect("the audit is there");
        let text = std::fs::read_to_string(self.folder.path().join("data/audit.jsonl")).expect("the audit is there");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        lines
            .filter(|line| line["operation"] != "Marker" && line["app"] == "admin")
            .map(|line| {
                let word = |field: &str| line[field].as_str().unwrap_or("-").to_owned();
                format!("{} {} {} {}", word("operation"), word("vault"), word("name"), word("outcome"))
            })
            .collect()
    }

    /// What the audit has after `before` of its lines.
    async fn audit_since(&self, before: usize) -> Vec<String> {
        self.audit().await.split_off(before)
    }

    fn audit_text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("data/audit.jsonl")).expect("the audit is there")
    }

    /// Signs in at the authority; the access token, if there is one.
    async fn sign_in(&self, app: &Value, client_secret: &str) -> Option<String> {
        let form = format!(
            "client_id={}&client_secret={client_secret}&grant_type=client_credentials\
             &scope=https://vault.azure.net/.default",
            app["client_id"].as_str().expect("an app has a client id")
        );
        let request = Request::post("/adfs/oauth2/v2.0/token")
            .header("host", "localhost:8443")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .expect("a request");
        let answer = self.engine.keyvault().answer(request, now(), None).await;
        let body: Value = serde_json::from_slice(answer.body()).expect("an answer is JSON");
        body["access_token"].as_str().map(str::to_owned)
    }

    /// How the vault answers a read with this access token.
    async fn read_status(&self, access_token: &str, secret: &str) -> StatusCode {
        let request = Request::get(format!("/secrets/{secret}?api-version=7.4"))
            .header("host", "contoso.vault.localhost:8443")
            .header("authorization", format!("Bearer {access_token}"))
            .body(Bytes::new())
            .expect("a request");
        self.engine.keyvault().answer(request, now(), None).await.status()
    }
}

/// The milliseconds since the Unix epoch of an instant in an answer.
fn instant(value: &Value) -> i64 {
    let time: super::wire::UtcTime = serde_json::from_value(value.clone()).expect("an instant is RFC 3339");
    time.unix_ms()
}

fn now() -> keyvault::Now {
    keyvault::Now { unix_ms: clock::now().wall.0 }
}

fn settings(folder: &TempDir) -> ProcessSettings {
    let text = "[store]\ndata = \"data\"\n";
    let config = config::parse(text, "vestal.toml", folder.path());
    config.unwrap_or_else(|errors| panic!("{}", errors.render(false))).process
}

async fn engine(settings: &ProcessSettings, own_provider: OwnProvider) -> Arc<Engine> {
    let store = OpenStore::open(&settings.store.data, &settings.store.key_path()).await.expect("a fresh folder");
    // Nobody listens there: the tests ask without a socket.
    let addresses = Addresses::new(settings, "127.0.0.1:8443".parse().unwrap(), "127.0.0.1:9464".parse().unwrap());
    Engine::open(store, settings, addresses, Some(own_provider), LaneLimits::default()).await.expect("it opens")
}

async fn sandbox(folder: &TempDir) -> (Sandbox, OwnProvider) {
    let names = LocalNames::new("vault.localhost", "localhost");
    let authority = LocalAuthority::open(&folder.path().join("tls"), names, clock::unix_seconds())
        .unwrap_or_else(|error| panic!("{error}"));
    let certificate = authority.certificate().clone();
    let tls = ServerCertificate::load(CertificateSource::Local(authority)).unwrap_or_else(|error| panic!("{error}"));
    let options = SandboxOptions {
        lifetime: Duration::from_secs(3600),
        ..SandboxOptions::new("vestal", Secret::from(CREDENTIAL.to_owned()))
    };
    let sandbox = Sandbox::start(options, tls.server_config(), clock::unix_seconds).await.expect("a sandbox");
    let own = OwnProvider { host: sandbox.host().to_owned(), address: sandbox.addr(), authority: certificate };
    (sandbox, own)
}
