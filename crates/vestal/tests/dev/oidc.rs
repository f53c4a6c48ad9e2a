//! A certified OAuth server as the provider, through `vestal serve` and a configuration of its own: the token that a
//! reader gets from the vault is shown to the server that issued it.

use std::net::TcpListener;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::certificate::Certificate;
use crate::client::Client;
use crate::peers::node;
use crate::process::{Folder, Running, admin, says_ready, until, vestal};

/// The secret of the server's clients. Its characters are those that an encoding can get wrong.
pub(crate) const CLIENT_SECRET: &str = "s3cret+of/the%20client:with=all&kinds";
const INSPECTOR_SECRET: &str = "of-the-one-who-asks";

#[test]
fn a_reader_gets_a_token_that_its_issuer_knows_with_the_client_in_basic() {
    a_reader_gets_a_token_that_its_issuer_knows("basic");
}

#[test]
fn a_reader_gets_a_token_that_its_issuer_knows_with_the_client_in_the_form() {
    a_reader_gets_a_token_that_its_issuer_knows("form");
}

fn a_reader_gets_a_token_that_its_issuer_knows(client_auth: &str) {
    let folder = Folder::new();
    let certificate = Certificate::new(&folder);
    let provider = Provider::start(&folder, &certificate, 8);
    let client_id = if client_auth == "basic" { "vestal-basic" } else { "vestal-post" };
    let port = free_port();
    let config =
        folder.write("vestal.toml", &configuration(&folder, &certificate, &provider, port, client_auth, client_id));
    let serve = Running::start(vestal(&folder).arg("serve").arg("--config").arg(&config));
    serve.line(says_ready);

    // The secret goes in by standard input, and the app's comes out once.
    admin(&folder, &["secret", "set", "client-credentials", "--vault", "contoso"], CLIENT_SECRET);
    let issued = admin(&folder, &["app", "rotate-secret", "reader", "--json"], "");
    let issued: Value = serde_json::from_str(&issued).expect("--json prints JSON");

    let vault = format!("https://contoso.vault.localhost:{port}");
    let authority = format!("https://localhost:{port}");
    let own_authority = folder.data().join("tls/ca.pem").display().to_string();
    let reader = Client::trusting(&own_authority, &[&vault, &authority]);
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https://vault.localhost:{port}/.default",
        issued["app"]["client_id"].as_str().expect("an app has a client id"),
        issued["client_secret"].as_str().expect("a new client secret is told once"),
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = reader.send("POST", &format!("{authority}/adfs/oauth2/v2.0/token"), &headers, &form).ok();
    let bearer = format!("Bearer {}", answer["access_token"].as_str().expect("a token answer has an access_token"));
    let read = |name: &str| {
        reader.send("GET", &format!("{vault}/secrets/{name}?api-version=7.4"), &[("authorization", &bearer)], "")
    };

    let issuer = Client::trusting(&certificate.authority.display().to_string(), &[&provider.url("")]);
    let mut seen: Vec<Value> = Vec::new();
    for _ in 0..3 {
        let secret = until("a generation that was not seen before", || {
            let answer = read("api-token");
            let secret = (answer.status == 200).then(|| answer.json())?;
            let new = seen.iter().all(|before| before["id"] != secret["id"]);
            (new && secret["value"] != "").then_some(secret)
        });
        let known = provider.introspect(&issuer, secret["value"].as_str().expect("a secret has a value"));
        assert_eq!(known["active"], true, "the issuer takes the token: {known}");
        assert_eq!(known["client_id"], client_id);
        assert_eq!(known["scope"], "api:read");
        let (told, issued) = (secret["attributes"]["exp"].as_i64(), known["exp"].as_i64());
        assert!(told <= issued && told >= issued.map(|exp| exp - 5), "told {told:?}, issued until {issued:?}");
        seen.push(secret);
    }
    assert_eq!(read("client-credentials").status, 403, "a reader of the token never sees the secret behind it");
}

fn configuration(
    folder: &Folder,
    certificate: &Certificate,
    provider: &Provider,
    port: u16,
    client_auth: &str,
    client_id: &str,
) -> String {
    let data = folder.data().display().to_string();
    let authority = certificate.authority.display();
    let (token_url, provider_port) = (provider.url("/token"), provider.port);
    format!(
        r#"
[server]
listen = "127.0.0.1:{port}"

[observe]
listen = "127.0.0.1:0"

[store]
data = "{data}"

[outbound]
allow = ["localhost:{provider_port}"]
ca = ["{authority}"]

[vault.contoso]

[provider.certified]
extends = "generic"
token_url = "{token_url}"
client_auth = "{client_auth}"

[token.api-token]
vault = "contoso"
provider = "certified"
client_id = "{client_id}"
client_secret = {{ secret = "client-credentials" }}
scope = ["api:read"]

[app.reader]

[policy.reader-tokens]
app = "reader"
vault = "contoso"
permissions = ["get"]
names = ["api-*"]
"#
    )
}

/// The server, and where it listens. It ends with its standard input, which is held open as long as this lives.
pub(crate) struct Provider {
    _running: Running,
    pub(crate) port: u16,
}

impl Provider {
    pub(crate) fn start(folder: &Folder, certificate: &Certificate, ttl: u32) -> Self {
        let mut server: Command = node("oidc/server.mjs", folder);
        server.arg(&certificate.key).arg(&certificate.chain);
        server
            .env("TTL", ttl.to_string())
            .env("CLIENT_SECRET", CLIENT_SECRET)
            .env("INSPECTOR_SECRET", INSPECTOR_SECRET);
        let running = Running::start(&mut server);
        let said: Value = serde_json::from_str(&running.line(|line| line.starts_with('{'))).expect("a line of JSON");
        let port = said["port"].as_u64().and_then(|port| port.try_into().ok()).expect("it says its port");
        Self { _running: running, port }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What the server says of a token (RFC 7662).
    fn introspect(&self, client: &Client, token: &str) -> Value {
        let basic = format!("Basic {}", STANDARD.encode(format!("inspector:{INSPECTOR_SECRET}")));
        let headers = [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        client.send("POST", &self.url("/token/introspection"), &headers, &format!("token={token}")).ok()
    }
}

/// A port that was free a moment ago: the configuration has to name one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
