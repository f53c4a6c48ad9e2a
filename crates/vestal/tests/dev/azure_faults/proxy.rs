//! What stands between Vestal and the Vestal that plays Azure: it ends the TLS of both, writes down every request, and
//! does to some of them what networks, firewalls and busy services do.
//!
//! Both sides believe that they speak to each other: the one's port is put in place of the other's wherever it stands.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;
use crate::process::{Dev, until};

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// What was answered; 0 where nothing was.
    pub(crate) status: u16,
    /// When it came.
    pub(crate) at: Instant,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Whether it is a call at the vault that brings an access token. The first one of each client brings none.
    pub(crate) fn is(&self, method: &str) -> bool {
        self.method == method && self.path.starts_with("/secrets/") && self.headers.contains_key("authorization")
    }

    /// Whether it is one about the secret that is delivered.
    pub(crate) fn is_delivery(&self, method: &str) -> bool {
        self.is(method) && self.path.starts_with("/secrets/delivered-token")
    }

    /// The fields of its form.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn is_sign_in(&self) -> bool {
        self.method == "POST" && self.path.ends_with("/token")
    }
}

/// Looks at a request: the body to hand on, or what is answered in place of the vault.
pub(crate) type Judge = Arc<dyn Fn(&Seen) -> Result<String, Refusal> + Send + Sync>;

/// Status, headers and body of an answer.
pub(crate) type Refusal = (u16, Vec<(&'static str, String)>, Value);

/// What is done to a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This is answered in place of the vault.
    Answer(u16, Vec<(&'static str, String)>, Value),
    /// Somebody looks at it, and hands on another body in its place or refuses it.
    Judge(Judge),
    /// The connection breaks off before the vault sees anything.
    Reset,
    /// The vault does it, and the connection breaks off before its answer.
    ResetAfterwards,
    /// It takes so long.
    Slow(Duration),
    /// It goes no further, and nobody is told.
    Hold,
    /// The vault does it, and nobody is told.
    HoldAfterwards,
}

struct Rule {
    applies: Box<dyn Fn(&Seen) -> bool + Send>,
    fault: Fault,
    left: usize,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
    held: usize,
}

/// The one in between.
pub(crate) struct Proxy {
    state: Arc<Mutex<State>>,
    pub(crate) port: u16,
    runtime: Option<Runtime>,
}

struct Upstream {
    http: reqwest::Client,
    /// Its port, and ours.
    ports: (String, String),
}

impl Proxy {
    /// In front of the Vestal that plays Azure; `authority` is the PEM file of its certificate authority.
    pub(crate) fn start(azure: &Dev, authority: &std::path::Path, certificate: &Certificate) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let url = azure.var("VESTAL_VAULT_URL");
        let upstream_port: u16 = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let (listener, port) = runtime.block_on(async {
            loop {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
                let port = listener.local_addr().expect("it is bound").port();
                // One takes the other's place in texts of a length that was told already.
                if port.to_string().len() == upstream_port.to_string().len() {
                    break (listener, port);
                }
            }
        });
        let pem = fs::read(authority).expect("the authority's certificate is there");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream_port));
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).expect("it holds certificates"))
            .resolve("dev.vault.localhost", address)
            .resolve("localhost", address)
            .build()
            .expect("a client can be made");
        let upstream = Arc::new(Upstream { http, ports: (upstream_port.to_string(), port.to_string()) });
        let state = Arc::new(Mutex::new(State::default()));
        let acceptor = TlsAcceptor::from(Arc::new(server_config(certificate)));
        runtime.spawn(serve(listener, acceptor, Arc::clone(&state), upstream));
        Self { state, port, runtime: Some(runtime) }
    }

    /// From now on this is done to the next `times` requests that it applies to.
    pub(crate) fn rule(&self, times: usize, fault: Fault, applies: impl Fn(&Seen) -> bool + Send + 'static) {
        self.state().rules.push(Rule { applies: Box::new(applies), fault, left: times });
    }

    /// From now on nothing is done to any request.
    pub(crate) fn calm(&self) {
        self.state().rules.clear();
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Waits until a request is held.
    pub(crate) fn until_held(&self) {
        until("a request is held", || (self.state().held > 0).then_some(()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn server_config(certificate: &Certificate) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(&certificate.chain).expect("the chain is there");
    let chain = chain.collect::<Result<_, _>>().expect("it holds certificates");
    let key = PrivateKeyDer::from_pem_file(&certificate.key).expect("the key is there");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("these are versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key is the certificate's")
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>, upstream: Arc<Upstream>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state, upstream) = (acceptor.clone(), Arc::clone(&state), Arc::clone(&upstream));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| pass(request, Arc::clone(&state), Arc::clone(&upstream)));
            // A connection that breaks off is what this is for.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error breaks the connection off.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("broken off")
    }
}

impl std::error::Error for BrokenOff {}

async fn pass(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    upstream: Arc<Upstream>,
) -> Result<Response<Full<Bytes>>, BrokenOff> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<String, String> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let seen = Seen {
        method: head.method.to_string(),
        host: headers.get("host").cloned().unwrap_or_default(),
        path: head.uri.path().to_owned(),
        query,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 0,
        at: Instant::now(),
    };
    let (fault, place) = {
        let mut state = state.lock().expect("nobody panics with it");
        state.seen.push(seen.clone());
        let place = state.seen.len() - 1;
        let rule = state.rules.iter_mut().find(|rule| rule.left > 0 && (rule.applies)(&seen));
        (
            rule.map(|rule| {
                rule.left -= 1;
                rule.fault.clone()
            }),
            place,
        )
    };
    let hold = || {
        state.lock().expect("nobody panics with it").held += 1;
        std::future::pending::<Infallible>()
    };
    let answered = |response: Response<Full<Bytes>>| {
        state.lock().expect("nobody panics with it").seen[place].status = response.status().as_u16();
        Ok(response)
    };
    match fault {
        None => answered(upstream.send(&seen).await?),
        Some(Fault::Answer(status, headers, body)) => answered(refused((status, headers, body))),
        Some(Fault::Judge(judge)) => match judge(&seen) {
            Ok(body) => answered(upstream.send(&Seen { body, ..seen }).await?),
            Err(refusal) => answered(refused(refusal)),
        },
        Some(Fault::Reset) => Err(BrokenOff),
        Some(Fault::ResetAfterwards) => {
            upstream.send(&seen).await?;
            Err(BrokenOff)
        }
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(time).await;
            answered(upstream.send(&seen).await?)
        }
        Some(Fault::Hold) => match hold().await {},
        Some(Fault::HoldAfterwards) => {
            upstream.send(&seen).await?;
            match hold().await {}
        }
    }
}

fn refused((status, headers, body): Refusal) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Full::from(body.to_string())).expect("it is a response")
}

impl Upstream {
    /// Sends the request on, and brings the answer back.
    async fn send(&self, seen: &Seen) -> Result<Response<Full<Bytes>>, BrokenOff> {
        let (theirs, ours) = (&self.ports.0, &self.ports.1);
        let inwards = |text: &str| text.replace(ours.as_str(), theirs);
        let outwards = |text: &str| text.replace(theirs.as_str(), ours);
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&seen.query).finish();
        let mut url = format!("https://{}{}", inwards(&seen.host), seen.path);
        if !query.is_empty() {
            url.push_str(&format!("?{query}"));
        }
        let method = reqwest::Method::from_bytes(seen.method.as_bytes()).expect("it is a method");
        let mut request = self.http.request(method, url);
        for (name, value) in seen.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length"))
        {
            request = request.header(name, value);
        }
        let answer = request.body(inwards(&seen.body)).send().await.map_err(|_| BrokenOff)?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection") {
                response = response.header(name, outwards(&String::from_utf8_lossy(value.as_bytes())));
            }
        }
        let body = answer.text().await.map_err(|_| BrokenOff)?;
        Ok(response.body(Full::from(outwards(&body))).expect("it is a response"))
    }
}
