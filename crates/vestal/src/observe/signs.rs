//! `/healthz`, `/readyz` and `/metrics`, as a function from request to answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use keyvault::RequestCount;
use renewal::{Moment, Wall};
use tokio::sync::Mutex;

use super::metrics::{self, Live, Metrics};
use super::pulse::{LONGEST_SILENCE, Pulse};
use super::readiness::{Readiness, Reason, silent};
use crate::config::Period;

/// What the store said of a write is good for this long: whoever asks more often makes no more of them.
const PROBE_KEPT: Duration = Duration::from_secs(5);

/// How long the store may take to say it.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// What the signs of life are read from: the running engine.
pub trait Vitals: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Moment;

    /// When the keeper last looked for due tokens ([`keeper::Keeper::looked`]); the epoch where it hasn't yet.
    fn looked(&self) -> Wall;

    /// Whether the store would take a write now; in words with the next step, where it would not.
    fn probe_store(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Until when the listener's certificate is valid, in Unix seconds.
    fn certificate_ends(&self) -> i64;

    /// How many requests came to what ([`keyvault::KeyVault::requests`]).
    fn requests(&self) -> Vec<RequestCount>;

    /// How many entries the audit lacks.
    fn audit_gaps(&self) -> u64;

    /// What else is wrong, so that clients shouldn't be sent here: a data folder that is gone.
    fn wrong(&self) -> Vec<Reason>;
}

/// Answers what a monitoring system asks. A clone answers from the same.
pub struct Signs<V>(Arc<Inner<V>>);

struct Inner<V> {
    vitals: V,
    metrics: Arc<Metrics>,
    pulse: Pulse,
    probed: Mutex<Option<(Moment, Result<(), String>)>>,
}

impl<V> Clone for Signs<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Vitals> Signs<V> {
    /// Signs of the life behind `vitals`.
    pub fn new(vitals: V, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner { vitals, metrics, pulse: Pulse::default(), probed: Mutex::new(None) }))
    }

    /// Answers one request: GET or HEAD of one of the three paths.
    pub async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
            return text(StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n");
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            "/healthz" => self.health(),
            "/readyz" => self.answer_readiness(request).await,
            _ => self.scrape().await,
        }
    }

    /// Whether clients should be sent here, and if not, why not.
    pub async fn readiness(&self) -> Readiness {
        let Inner { vitals, .. } = &*self.0;
        let store = self.store().await;
        let now = vitals.now();
        Readiness::judge(
            self.since_look(now),
            store,
            vitals.certificate_ends(),
            now.wall.unix_seconds(),
            vitals.wrong(),
        )
    }

    /// Only the keeper counts, and no store or network is asked: whoever gets a 503 here kills the process.
    fn health(&self) -> Response<Bytes> {
        let now = self.0.vitals.now();
        match self.since_look(now) {
            Some(since) if since > LONGEST_SILENCE => {
                text(StatusCode::SERVICE_UNAVAILABLE, &format!("not alive: {}\n", silent(since)))
            }
            Some(since) => {
                text(StatusCode::OK, &format!("alive: the keeper looked for due tokens {} ago\n", Period::from(since)))
            }
            None if now.wall.since(self.0.metrics.started()) > LONGEST_SILENCE => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "not alive: the keeper did not start; the last lines of the log say why\n",
            ),
            None => text(StatusCode::OK, "alive: starting\n"),
        }
    }

    async fn answer_readiness(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let readiness = self.readiness().await;
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if !wants_json(request) {
            return text(status, &readiness.text());
        }
        let json = serde_json::to_vec(&readiness).expect("words and a flag are JSON");
        answer(status, "application/json", json.into())
    }

    async fn scrape(&self) -> Response<Bytes> {
        let Inner { vitals, metrics, .. } = &*self.0;
        let store_writable = self.store().await.is_ok();
        let now = vitals.now();
        let live = Live {
            now,
            since_look: self.since_look(now),
            store_writable,
            audit_gaps: vitals.audit_gaps(),
            requests: vitals.requests(),
        };
        answer(StatusCode::OK, metrics::CONTENT_TYPE, metrics.scrape(&live).into())
    }

    fn since_look(&self, now: Moment) -> Option<Duration> {
        self.0.pulse.since(self.0.vitals.looked(), now)
    }

    /// What the store says of a write. All who ask at once wait for one probe.
    async fn store(&self) -> Result<(), String> {
        let Inner { vitals, probed, .. } = &*self.0;
        let mut probed = probed.lock().await;
        if let Some((at, said)) = &*probed
            && vitals.now().since(*at) < PROBE_KEPT
        {
            return said.clone();
        }
        let said = tokio::time::timeout(PROBE_LIMIT, vitals.probe_store()).await.unwrap_or_else(|_| {
            let limit = Period::from(PROBE_LIMIT);
            Err(format!(
                "a write to the store took longer than {limit}: look whether its disk is overloaded or failing"
            ))
        });
        *probed = Some((vitals.now(), said.clone()));
        said
    }
}

fn wants_json(request: &Request<Bytes>) -> bool {
    let mut accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|types| types.contains("application/json"))
}

fn text(status: StatusCode, words: &str) -> Response<Bytes> {
    answer(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(words.as_bytes()))
}

/// An answer. To HEAD the listener sends its head alone, with the length that the body has.
fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as SyncMutex;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use renewal::Boot;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::listener::{Limits, Listener, Peer, Transport};

    /// An engine whose vitals a test sets; times are in seconds since its start.
    #[derive(Clone)]
    struct Patient(Arc<SyncMutex<Condition>>, Arc<AtomicU64>);

    #[derive(Clone)]
    struct Condition {
        now: u64,
        looked: Option<u64>,
        store: Result<(), String>,
        hangs: bool,
    }

    const START: i64 = 1_800_000_000;

    fn wall(second: u64) -> Wall {
        Wall((START + i64::try_from(second).expect("small")) * 1000)
    }

    impl Patient {
        fn new() -> Self {
            let condition = Condition { now: 0, looked: None, store: Ok(()), hangs: false };
            Self(Arc::new(SyncMutex::new(condition)), Arc::default())
        }

        fn change(&self, change: impl FnOnce(&mut Condition)) {
            change(&mut self.0.lock().expect("the lock"));
        }

        fn condition(&self) -> Condition {
            self.0.lock().expect("the lock").clone()
        }

        fn signs(&self) -> Signs<Self> {
            Signs::new(self.clone(), Arc::new(Metrics::new(wall(0))))
        }
    }

    impl Vitals for Patient {
        fn now(&self) -> Moment {
            let now = self.condition().now;
            Moment { wall: wall(now), boot: Boot { id: 1, ms: now * 1000 } }
        }

        fn looked(&self) -> Wall {
            self.condition().looked.map_or(Wall::EPOCH, wall)
        }

        async fn probe_store(&self) -> Result<(), String> {
            self.1.fetch_add(1, SeqCst);
            let condition = self.condition();
            if condition.hangs {
                std::future::pending::<()>().await;
            }
            condition.store
        }

        fn certificate_ends(&self) -> i64 {
            START + 365 * 86_400
        }

        fn requests(&self) -> Vec<RequestCount> {
            vec![RequestCount { operation: "SecretGet", outcome: "allowed", count: 9 }]
        }

        fn audit_gaps(&self) -> u64 {
            0
        }

        fn wrong(&self) -> Vec<Reason> {
            Vec::new()
        }
    }

    fn request(method: &str, path: &str) -> Request<Bytes> {
        Request::builder().method(method).uri(path).body(Bytes::new()).expect("a request")
    }

    async fn get(signs: &Signs<Patient>, path: &str) -> (u16, String) {
        let answer = signs.answer(&request("GET", path)).await;
        (answer.status().as_u16(), String::from_utf8(answer.into_body().to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn health_is_the_keepers_pulse_and_nothing_else() {
        let patient = Patient::new();
        let signs = patient.signs();
        patient.change(|it| it.hangs = true);
        assert_eq!(get(&signs, "/healthz").await, (200, "alive: starting\n".to_owned()));
        patient.change(|it| it.now = 91);
        let (status, words) = get(&signs, "/healthz").await;
        assert_eq!(status, 503);
        assert!(words.starts_with("not alive: the keeper did not start"), "{words}");
        patient.change(|it| it.looked = Some(90));
        assert_eq!(get(&signs, "/healthz").await, (200, "alive: the keeper looked for due tokens 1s ago\n".to_owned()));
        patient.change(|it| it.now = 180);
        assert_eq!(get(&signs, "/healthz").await.0, 200);
        patient.change(|it| it.now = 181);
        let (status, words) = get(&signs, "/healthz").await;
        assert_eq!(status, 503);
        assert!(words.contains("last looked for due tokens 1m 31s ago"), "{words}");
        assert_eq!(patient.1.load(SeqCst), 0, "the store was not asked");
    }

    #[tokio::test]
    async fn readiness_says_why_not_as_text_and_as_json() {
        let patient = Patient::new();
        let signs = patient.signs();
        patient.change(|it| it.store = Err("the disk is full: make room".to_owned()));
        let (status, words) = get(&signs, "/readyz").await;
        assert_eq!(status, 503);
        assert!(words.starts_with("not ready\nkeeper: "), "{words}");
        assert!(words.ends_with("store: the disk is full: make room\n"), "{words}");
        let mut request = request("GET", "/readyz");
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html, application/json;q=0.9"));
        let answer = signs.answer(&request).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
            (503, &HeaderValue::from_static("application/json"))
        );
        let json: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(json["ready"], false);
        assert_eq!(json["why"][1], serde_json::json!({ "check": "store", "words": "the disk is full: make room" }));
        patient.change(|it| (it.store, it.looked, it.now) = (Ok(()), Some(6), 6));
        assert_eq!(get(&signs, "/readyz").await, (200, "ready\n".to_owned()));
    }

    #[tokio::test]
    async fn the_store_is_asked_once_in_a_while_however_often_somebody_looks() {
        let patient = Patient::new();
        let signs = patient.signs();
        for second in [0, 1, 4, 5, 6, 10] {
            patient.change(|it| it.now = second);
            get(&signs, "/readyz").await;
            get(&signs, "/metrics").await;
        }
        assert_eq!(patient.1.load(SeqCst), 3);
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let signs = Patient::new().signs();
        assert_eq!(get(&signs, "/").await.0, 404);
        assert_eq!(get(&signs, "/metrics/").await.0, 404);
        let answer = signs.answer(&request("POST", "/readyz")).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()[ALLOW]), (405, &HeaderValue::from_static("GET, HEAD")));
    }

    #[tokio::test]
    async fn a_real_client_gets_metrics_and_the_head_of_them() {
        let signs = Patient::new().signs();
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let address = listener.local_addr();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let service = move |request: Request<Bytes>, _: Peer| {
            let signs = signs.clone();
            async move { signs.answer(&request).await }
        };
        let serving = tokio::spawn(listener.serve(Transport::Plain, Limits::default(), service, async {
            drop(stopped.await);
        }));
        let ask = async |method: &str| {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let head = format!("{method} /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.expect("writing");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("reading");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            (head.to_ascii_lowercase(), body.to_owned())
        };
        let (head, body) = ask("GET").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
        assert!(body.contains("\nvestal_requests_total{operation=\"SecretGet\",outcome=\"allowed\"} 9\n"), "{body}");
        let (head_alone, nothing) = ask("HEAD").await;
        assert_eq!(nothing, "");
        assert!(head_alone.contains(&format!("content-length: {}", body.len())), "{head_alone}");
        drop(stop);
        serving.await.expect("it stops");
    }
}
