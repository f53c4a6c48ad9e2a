//! A small OAuth server for trying Vestal out and for its tests: client_credentials in the form or in Basic, and
//! introspection, over HTTPS. It has one client, and misbehaves on demand.
//!
//! It guards nothing but its own tokens. Its faults are the same each time for the same seed; its tokens are random,
//! since a restart must not give out the same ones again.

mod endpoint;
mod faults;
#[cfg(test)]
mod tests;
mod token;

pub use faults::Faults;

use crate::listener::{BindError, Limits, Listener, Transport};
use bytes::Bytes;
use endpoint::Endpoint;
use http::{Method, Request, Response, StatusCode};
use rustls::ServerConfig;
use secret::Secret;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The path of the token endpoint, as Discord has it.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// The path of the introspection endpoint.
pub const INTROSPECTION_PATH: &str = "/introspect";

/// What a sandbox is made of. No Debug: it holds a secret.
pub struct SandboxOptions {
    /// Where to listen; port 0 takes a free port. Loopback, unless somebody means otherwise.
    pub listen: SocketAddr,
    /// The one client's id.
    pub client_id: String,
    /// Its secret. A sandbox of the same secret knows the tokens of one before it.
    pub client_secret: Secret,
    /// How long a token lives; counted in whole seconds.
    pub lifetime: Duration,
    /// How it misbehaves.
    pub faults: Faults,
}

impl SandboxOptions {
    /// A well-behaved sandbox on a free port of loopback, with tokens of a minute.
    pub fn new(client_id: impl Into<String>, client_secret: Secret) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client_id: client_id.into(),
            client_secret,
            lifetime: Duration::from_secs(60),
            faults: Faults::default(),
        }
    }
}

/// A running sandbox. It stops when this is dropped.
pub struct Sandbox {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// How many requests a sandbox has had since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests at the token endpoint, whatever came of them.
    pub token_requests: u64,
    /// Tokens given out.
    pub issued: u64,
    /// Refusals of the client, the grant or the request.
    pub refused: u64,
    /// Faults: answers with 500 or 429 on demand.
    pub faults: u64,
    /// Answers that came late on demand.
    pub delayed: u64,
    /// Requests at the introspection endpoint.
    pub introspections: u64,
}

#[derive(Default)]
struct Counters {
    token_requests: AtomicU64,
    issued: AtomicU64,
    refused: AtomicU64,
    faults: AtomicU64,
    delayed: AtomicU64,
    introspections: AtomicU64,
}

impl Sandbox {
    /// Starts a sandbox that speaks HTTPS with this certificate. `now` gives the time in Unix seconds.
    ///
    /// # Errors
    /// Where the address can't be listened on.
    pub async fn start(
        options: SandboxOptions,
        tls: Arc<ServerConfig>,
        now: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Self, BindError> {
        let listener = Listener::bind(options.listen).await?;
        let address = listener.local_addr();
        let counters = Arc::new(Counters::default());
        let server = Arc::new(Server {
            endpoint: Endpoint {
                mint: token::Mint::new(&options.client_secret),
                client_id: options.client_id,
                client_secret: options.client_secret,
                lifetime: i64::try_from(options.lifetime.as_secs()).unwrap_or(i64::MAX),
            },
            faults: options.faults,
            counters: counters.clone(),
            now,
        });
        let service = move |request, _| {
            let server = server.clone();
            async move { server.answer(request).await }
        };
        let (stop, stopped) = oneshot::channel();
        // A request that is slow on demand must not hold up the end.
        let limits = Limits { drain: Duration::from_millis(100), ..Limits::default() };
        let task = tokio::spawn(listener.serve(Transport::Tls(tls), limits, service, async {
            // Dropping the sandbox stops it as well as asking it to stop.
            drop(stopped.await);
        }));
        Ok(Self { address, counters, stop: Some(stop), task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The host in its URLs: the local authority signs for this name and for the address.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// The URL of its token endpoint.
    pub fn token_url(&self) -> String {
        format!("https://{}:{}{TOKEN_PATH}", self.host(), self.address.port())
    }

    /// The URL of its introspection endpoint.
    pub fn introspection_url(&self) -> String {
        format!("https://{}:{}{INTROSPECTION_PATH}", self.host(), self.address.port())
    }

    /// What it has counted so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let Counters { token_requests, issued, refused, faults, delayed, introspections } = &*self.counters;
        Counts {
            token_requests: read(token_requests),
            issued: read(issued),
            refused: read(refused),
            faults: read(faults),
            delayed: read(delayed),
            introspections: read(introspections),
        }
    }

    /// Stops it, and returns once it listens no more.
    pub async fn stop(mut self) {
        self.stop.take();
        // A failure is a panic, reported where it happened.
        drop((&mut self.task).await);
    }
}

struct Server<N> {
    endpoint: Endpoint,
    faults: Faults,
    counters: Arc<Counters>,
    now: N,
}

impl<N: Fn() -> i64> Server<N> {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if path != TOKEN_PATH && path != INTROSPECTION_PATH {
            return endpoint::absent(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::POST {
            return endpoint::absent(StatusCode::METHOD_NOT_ALLOWED);
        }
        if path == INTROSPECTION_PATH {
            self.counters.introspections.fetch_add(1, Relaxed);
            return self.endpoint.introspection(request.headers(), request.body(), (self.now)());
        }
        self.token(&request).await
    }

    async fn token(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let number = self.counters.token_requests.fetch_add(1, Relaxed);
        let treatment = self.faults.treatment(number);
        if let Some(delay) = treatment.delay {
            self.counters.delayed.fetch_add(1, Relaxed);
            tokio::time::sleep(delay).await;
        }
        if let Some(fault) = treatment.fault {
            self.counters.faults.fetch_add(1, Relaxed);
            return endpoint::faulty(fault);
        }
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).expect("the operating system gives random bytes");
        let answer = self.endpoint.token(request.headers(), request.body(), random, (self.now)());
        let counter = if answer.status().is_success() { &self.counters.issued } else { &self.counters.refused };
        counter.fetch_add(1, Relaxed);
        answer
    }
}
