//! Alerts against a real receiver: an HTTPS server on loopback, behind the connector's own rules.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use rustls_pki_types::CertificateDer;
use store::{CACHE_BYTES, MemoryStore, NewSecret};
use tokio::sync::Semaphore;
use vault::{Keyring, SecretBody, SecretName, Seed, VaultName};

use super::message::tests::failing;
use super::*;
use crate::clock::{self, SystemEntropy};
use crate::config::{HomeSecret, Webhook};
use crate::connector::OutboundRules;
use crate::listener::{Limits, Listener, Peer, Transport};
use crate::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate};

/// What must not show anywhere: it is in the address.
const KNOWS: &str = "T0/hunter2";

/// Answers each post with the next of the statuses it was given, the last of them for ever; each takes a permit, if it
/// was told to wait for one.
struct Receiver {
    address: SocketAddr,
    authority: CertificateDer<'static>,
    heard: Arc<Mutex<Vec<Request<Bytes>>>>,
    permits: Arc<Semaphore>,
    _folder: tempfile::TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Receiver {
    async fn answering(statuses: &[u16], permits: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names = LocalNames::new("vault.localhost", "localhost");
        let authority = LocalAuthority::open(folder.path(), names, clock::unix_seconds()).expect("an authority");
        let authority_certificate = authority.certificate().clone();
        let certificate = ServerCertificate::load(CertificateSource::Local(authority)).expect("a certificate");
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        let address = listener.local_addr();
        let heard: Arc<Mutex<Vec<Request<Bytes>>>> = Arc::default();
        let permits = Arc::new(Semaphore::new(permits));
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let service = {
            let (heard, permits) = (Arc::clone(&heard), Arc::clone(&permits));
            move |request: Request<Bytes>, _: Peer| {
                heard.lock().expect("the lock").push(request);
                let (statuses, permits) = (Arc::clone(&statuses), Arc::clone(&permits));
                async move {
                    permits.acquire().await.expect("open").forget();
                    let mut statuses = statuses.lock().expect("the lock");
                    let status = if statuses.len() > 1 { statuses.pop_front() } else { statuses.front().copied() };
                    let answer = Response::builder().status(status.expect("a status")).header("location", "/elsewhere");
                    answer.body(Bytes::from_static(b"as you say")).expect("an answer")
                }
            }
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(listener.serve(Transport::Tls(certificate.server_config()), Limits::default(), service, async {
            drop(stopped.await);
        }));
        Self { address, authority: authority_certificate, heard, permits, _folder: folder, _stop: stop }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/services/{KNOWS}?key=hunter2", self.address.port())
    }

    fn connector(&self, allow: &[&str]) -> Arc<Connector> {
        let rules = OutboundRules {
            allow: allow.iter().map(|entry| entry.parse().expect("an entry")).collect(),
            authorities: vec![self.authority.clone()],
            ..OutboundRules::default()
        };
        Arc::new(Connector::new(rules).expect("a connector"))
    }

    fn allowed(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    fn hook(&self) -> Hook {
        let no_secret: webhook::ReadSecret = Box::new(|_| Box::pin(async { Err("no secret is read".to_owned()) }));
        Hook::new(Webhook::Url(self.url().parse().expect("a URL")), self.connector(&[&self.allowed()]), no_secret)
    }

    fn heard(&self) -> Vec<Request<Bytes>> {
        self.heard.lock().expect("the lock").clone()
    }
}

const QUICK: Pace = Pace { tries: 5, first_wait: Duration::from_millis(1) };

const PLENTY: usize = Semaphore::MAX_PERMITS;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(clock::now().wall))
}

fn fates(metrics: &Metrics, way: Way) -> [u64; 3] {
    AlertFate::ALL.map(|fate| metrics.alerts(way, fate))
}

fn ids(requests: &[Request<Bytes>]) -> Vec<String> {
    let id = |request: &Request<Bytes>| {
        let json: serde_json::Value = serde_json::from_slice(request.body()).expect("JSON");
        json["id"].as_str().expect("an id").to_owned()
    };
    requests.iter().map(id).collect()
}

/// Long enough for any machine: a test that waits for it has failed.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_alert_is_posted_as_json_over_tls() {
    let receiver = Receiver::answering(&[204], PLENTY).await;
    let alert = failing();
    let words = receiver.hook().post(&alert).await.expect("it arrives");
    assert_eq!(words, format!("was posted to {}", receiver.allowed()));
    let [request] = &receiver.heard()[..] else { panic!("one request") };
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path_and_query().map(ToString::to_string), Some(format!("/services/{KNOWS}?key=hunter2")));
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.body(), &alert.json());
}

#[tokio::test]
async fn an_outage_of_thousands_of_deliveries_is_one_alert_to_each_owner() {
    let receiver = Receiver::answering(&[204], 0).await;
    let metrics = metrics();
    let alerts = Alerts::sending_to(vec![Target::Webhook(receiver.hook())], 16, QUICK, Arc::clone(&metrics));
    for number in 0..10_000 {
        let owner = Some(format!("team-{}@example.com", number % 2));
        alerts.raise(Alert { owner, event: "delivery failing", target: Some("contoso".to_owned()), ..failing() });
    }
    receiver.permits.add_permits(1_000);
    alerts.finish(LONG).await;
    let others = receiver.heard().into_iter().map(|request| {
        let json: serde_json::Value = serde_json::from_slice(request.body()).expect("JSON");
        json["others"].as_u64().expect("a number")
    });
    let others: Vec<u64> = others.collect();
    assert!(others.len() <= 4, "{others:?}");
    assert_eq!(others.iter().sum::<u64>() + others.len() as u64, 10_000, "none is lost");
    assert_eq!(fates(&metrics, Way::Webhook)[2], 0, "none is dropped");
}

#[tokio::test]
async fn a_private_receiver_needs_its_line_in_the_outbound_rules() {
    let receiver = Receiver::answering(&[204], PLENTY).await;
    let no_secret: webhook::ReadSecret = Box::new(|_| Box::pin(async { Err("no secret is read".to_owned()) }));
    let address = Webhook::Url(receiver.url().parse().expect("a URL"));
    let hook = Hook::new(address, receiver.connector(&[]), no_secret);
    let words = hook.post(&failing()).await.expect_err("it is denied").words;
    assert!(words.contains(&format!("[outbound] allow = [\"{}\"]", receiver.allowed())), "{words}");
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn an_alert_is_tried_again_under_the_same_id_until_it_arrives() {
    let receiver = Receiver::answering(&[500, 404, 302, 200], PLENTY).await;
    let metrics = metrics();
    let alerts = Alerts::sending_to(vec![Target::Webhook(receiver.hook())], QUEUE, QUICK, Arc::clone(&metrics));
    let alert = failing();
    alerts.raise(alert.clone());
    while fates(&metrics, Way::Webhook) == [0, 0, 0] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fates(&metrics, Way::Webhook), [1, 0, 0]);
    assert_eq!(ids(&receiver.heard()), vec![alert.id; 4]);
}

#[tokio::test]
async fn after_five_tries_it_counts_as_failed_and_the_next_has_its_turn() {
    let receiver = Receiver::answering(&[503, 503, 503, 503, 503, 200], PLENTY).await;
    let metrics = metrics();
    let alerts = Alerts::sending_to(vec![Target::Webhook(receiver.hook())], QUEUE, QUICK, Arc::clone(&metrics));
    alerts.raise(failing());
    alerts.raise(failing());
    while fates(&metrics, Way::Webhook).iter().sum::<u64>() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fates(&metrics, Way::Webhook), [1, 1, 0]);
    assert_eq!(receiver.heard().len(), 6);
}

#[tokio::test]
async fn a_receiver_that_hangs_fills_the_queue_and_what_comes_then_is_dropped_and_counted() {
    let receiver = Receiver::answering(&[200], 0).await;
    let metrics = metrics();
    let alerts = Alerts::sending_to(vec![Target::Webhook(receiver.hook())], 2, QUICK, Arc::clone(&metrics));
    alerts.raise(failing());
    while receiver.heard().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One is under way and hangs; two find room.
    for _ in 0..5 {
        alerts.raise(failing());
    }
    assert_eq!(fates(&metrics, Way::Webhook), [0, 0, 3]);
    receiver.permits.add_permits(3);
    alerts.finish(LONG).await;
    assert_eq!(fates(&metrics, Way::Webhook), [3, 0, 3]);
}

#[tokio::test]
async fn a_hanging_webhook_does_not_hold_up_the_program() {
    let receiver = Receiver::answering(&[200], 0).await;
    let metrics = metrics();
    let program = Program::for_test("/bin/true".into(), &[], LONG);
    let targets = vec![Target::Webhook(receiver.hook()), Target::Command(program)];
    let alerts = Alerts::sending_to(targets, QUEUE, QUICK, Arc::clone(&metrics));
    alerts.raise(failing());
    while fates(&metrics, Way::Command) == [0, 0, 0] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((fates(&metrics, Way::Command), fates(&metrics, Way::Webhook)), ([1, 0, 0], [0, 0, 0]));
}

#[tokio::test]
async fn stopping_tries_what_waits_once_more_and_cuts_the_waiting_short() {
    let receiver = Receiver::answering(&[500], PLENTY).await;
    let metrics = metrics();
    let slow = Pace { tries: 5, first_wait: LONG };
    let alerts = Alerts::sending_to(vec![Target::Webhook(receiver.hook())], QUEUE, slow, Arc::clone(&metrics));
    for _ in 0..3 {
        alerts.raise(failing());
    }
    while receiver.heard().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    alerts.finish(LONG / 2).await;
    assert_eq!(fates(&metrics, Way::Webhook), [0, 3, 0]);
    alerts.raise(failing());
    assert_eq!(fates(&metrics, Way::Webhook), [0, 3, 1], "after the end");
}

#[tokio::test]
async fn an_address_in_a_vault_is_read_at_each_try_and_never_shown() {
    let receiver = Receiver::answering(&[200], PLENTY).await;
    let seed = Seed::new(&[7; 32]);
    let records =
        Arc::new(Records::new(MemoryStore::new(), Keyring::new(1, &seed), Arc::new(SystemEntropy), CACHE_BYTES));
    let reference = HomeSecret {
        secret: SecretName::parse("alert-webhook").expect("a name"),
        vault: VaultName::parse("contoso").expect("a name"),
    };
    let connector = receiver.connector(&[&receiver.allowed()]);
    let hook = Hook::new(Webhook::Secret(reference.clone()), connector, webhook::secrets_of(Arc::clone(&records)));

    let words = hook.post(&failing()).await.expect_err("nothing is there").words;
    assert!(words.contains("which isn't there: run `vestal secret set contoso/alert-webhook`"), "{words}");
    for (value, expected) in [
        (format!("http://localhost/{KNOWS}"), "holds no address (only `https://` will do"),
        (format!("{KNOWS} is no address"), "holds no address (a URL begins with"),
    ] {
        set(&records, &reference, &value).await;
        let words = hook.post(&failing()).await.expect_err("it is no address").words;
        assert!(words.contains(expected), "{words}");
        assert!(!words.contains("hunter2"), "{words}");
    }
    set(&records, &reference, &format!("{}\n", receiver.url())).await;
    let words = hook.post(&failing()).await.expect("it arrives");
    assert!(!words.contains("hunter2"), "{words}");
    assert_eq!(receiver.heard().len(), 1);
}

async fn set(records: &Records<MemoryStore>, reference: &HomeSecret, value: &str) {
    let now = clock::unix_seconds();
    let body = SecretBody {
        value: secret::Secret::from(value.to_owned()),
        content_type: None,
        tags: Default::default(),
        updated: now,
        written_by: "test".to_owned(),
    };
    let (vault, name) = (reference.vault.clone(), reference.secret.clone());
    let new = NewSecret { vault, name, body, enabled: true, not_before: None, expires: None, now };
    records.set(new).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn the_settings_name_the_ways_and_there_may_be_none() {
    let seed = Seed::new(&[7; 32]);
    let records =
        Arc::new(Records::new(MemoryStore::new(), Keyring::new(1, &seed), Arc::new(SystemEntropy), CACHE_BYTES));
    let connector = || Arc::new(Connector::new(OutboundRules::default()).expect("a connector"));
    let start = |text: &str| {
        let config = crate::config::parse(text, "vestal.toml", Path::new("/"))
            .unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        Alerts::start(&config.process.alert, connector(), Arc::clone(&records), metrics())
    };
    let ways = |alerts: &Alerts| alerts.0.queues.iter().map(|queue| queue.way).collect::<Vec<_>>();
    assert_eq!(ways(&start("")), []);
    let both = start("[alert]\nwebhook = \"https://alerts.example.com/v\"\ncommand = [\"/bin/true\", \"--all\"]\n");
    assert_eq!(ways(&both), Way::ALL);
}
