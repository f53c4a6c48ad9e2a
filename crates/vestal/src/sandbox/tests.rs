//! The sandbox, asked through the connector as Vestal asks it.

use super::*;
use crate::clock::unix_seconds;
use crate::connector::{Connector, OutboundRules, OwnProvider};
use crate::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate};
use oauth::{HeaderValue, HttpAnswer, HttpRequest, Method as RequestMethod};
use rustls_pki_types::CertificateDer;

const SECRET: &str = "sandbox-client-secret";

struct World {
    sandbox: Sandbox,
    connector: Connector,
}

impl World {
    async fn start(faults: Faults) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names = LocalNames::new("vault.localhost", "localhost");
        let authority =
            LocalAuthority::open(folder.path(), names, unix_seconds()).unwrap_or_else(|error| panic!("{error}"));
        let certificate: CertificateDer<'static> = authority.certificate().clone();
        let tls =
            ServerCertificate::load(CertificateSource::Local(authority)).unwrap_or_else(|error| panic!("{error}"));
        let options = SandboxOptions { faults, ..SandboxOptions::new("vestal", Secret::from(SECRET.to_owned())) };
        let sandbox = Sandbox::start(options, tls.server_config(), unix_seconds).await.expect("a sandbox");
        let own_provider =
            OwnProvider { host: sandbox.host().to_owned(), address: sandbox.addr(), authority: certificate };
        let rules = OutboundRules { own_provider: Some(own_provider), ..OutboundRules::default() };
        let connector = Connector::new(rules).unwrap_or_else(|error| panic!("{error}"));
        Self { sandbox, connector }
    }

    async fn post(&self, url: &str, form: &str) -> HttpAnswer {
        let request = HttpRequest {
            method: RequestMethod::Post,
            url: url.parse().expect("a URL"),
            headers: vec![(
                "content-type".to_owned(),
                HeaderValue::Plain("application/x-www-form-urlencoded".to_owned()),
            )],
            body: Secret::from(format!("client_id=vestal&client_secret={SECRET}&{form}")),
        };
        self.connector.send(request, Duration::from_secs(30)).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn token(&self) -> HttpAnswer {
        self.post(&self.sandbox.token_url(), "grant_type=client_credentials").await
    }
}

fn json(answer: &HttpAnswer) -> serde_json::Value {
    serde_json::from_slice(answer.body.expose()).expect("JSON")
}

#[tokio::test]
async fn a_token_from_the_sandbox_lives_by_its_own_word() {
    let world = World::start(Faults::default()).await;
    let (one, two) = (json(&world.token().await), json(&world.token().await));
    assert_eq!(one["expires_in"], 60);
    assert_ne!(one["access_token"], two["access_token"]);
    let form = format!("token={}", one["access_token"].as_str().expect("a token"));
    let told = json(&world.post(&world.sandbox.introspection_url(), &form).await);
    assert_eq!((&told["active"], &told["client_id"]), (&true.into(), &"vestal".into()));
    let told = json(&world.post(&world.sandbox.introspection_url(), "token=foreign").await);
    assert_eq!(told["active"], false);
    let counts = world.sandbox.counts();
    assert_eq!(counts, Counts { token_requests: 2, issued: 2, introspections: 2, ..Counts::default() });
}

#[tokio::test]
async fn it_misbehaves_as_its_seed_says() {
    let faults = Faults { seed: 3, fail: 0.3, limit: 0.3, retry_after: Duration::from_secs(7), ..Faults::default() };
    let world = World::start(faults).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let answer = world.token().await;
        if answer.status == 429 {
            assert_eq!(answer.headers.retry_after.as_deref(), Some("7"));
        }
        statuses.push(answer.status);
    }
    let expected: Vec<u16> = (0..20)
        .map(|number| match faults.treatment(number).fault {
            None => 200,
            Some(faults::Fault::Fail) => 500,
            Some(faults::Fault::Limit(_)) => 429,
        })
        .collect();
    assert_eq!(statuses, expected);
    assert!(expected.contains(&200) && expected.contains(&500) && expected.contains(&429));
    let counts = world.sandbox.counts();
    assert_eq!((counts.token_requests, counts.issued + counts.faults), (20, 20));
}

#[tokio::test]
async fn a_late_answer_is_still_the_right_one() {
    let world = World::start(Faults { slow: 1.0, delay: Duration::from_millis(1), ..Faults::default() }).await;
    assert_eq!(world.token().await.status, 200);
    assert_eq!(world.sandbox.counts().delayed, 1);
}

#[tokio::test]
async fn other_paths_and_a_stopped_sandbox_give_no_token() {
    let world = World::start(Faults::default()).await;
    let elsewhere = format!("https://localhost:{}/elsewhere", world.sandbox.addr().port());
    assert_eq!(world.post(&elsewhere, "").await.status, 404);
    let address = world.sandbox.addr();
    world.sandbox.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
