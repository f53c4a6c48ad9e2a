//! Running an engine on its listeners.

use core::fmt;
use core::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use keyvault::Cause;
use renewal::LaneLimits;
use tokio::sync::watch;

use super::{Addresses, Engine, EngineVitals, OpenError, OpenStore};
use crate::admin::Admin;
use crate::clock;
use crate::config::{self, Config, Credential, ProcessSettings};
use crate::connector::OwnProvider;
use crate::listener::{BindError, ControlListener, Limits, Listener, Peer, Transport};
use crate::observe;
use crate::process::Connections;
use crate::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate, TlsError};

/// How long alerts that are under way may take once everything else has stopped.
const ALERTS_FINISH: Duration = Duration::from_secs(5);

/// How long deliveries under way are waited for at the stop.
const DELIVERIES_FINISH: Duration = Duration::from_secs(5);

/// How often the signing keys of the authority are looked at.
const KEYS_LOOKED_AT_EVERY: Duration = Duration::from_secs(300);

/// For how long after a start no deleted secret is purged.
const PURGED_NOT_BEFORE: Duration = Duration::from_secs(3600);

/// How often deleted secrets are purged whose time is over.
const PURGED_EVERY: Duration = Duration::from_secs(60);

/// Why Vestal did not start, or stopped. In words, with the next step.
#[derive(Debug)]
pub struct ServeError(pub String);

impl fmt::Display for ServeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl core::error::Error for ServeError {}

macro_rules! in_words {
    ($($error:ty),+) => {$(
        impl From<$error> for ServeError {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )+};
}
in_words!(OpenError, BindError, TlsError, crate::definitions::ApplyError, store::RecordError);

/// A Vestal whose listeners are bound, so that clients can already connect, and which doesn't run yet.
pub struct Setup {
    store: OpenStore,
    settings: ProcessSettings,
    https: Listener,
    observe: Listener,
    control: ControlListener,
    certificate: Arc<ServerCertificate>,
    local_authority: Option<LocalCertificates>,
    addresses: Addresses,
}

/// The local certificate authority, where the operator gave no certificate.
#[derive(Clone)]
pub struct LocalCertificates {
    /// Its certificate, for clients in this process.
    pub certificate: rustls_pki_types::CertificateDer<'static>,
    /// The file with its certificate, for others.
    pub file: PathBuf,
    /// Whether this start replaced an earlier one, so that clients need the new file.
    pub replaced: bool,
}

impl Setup {
    /// Takes the data folder, binds the listeners, and has a certificate.
    ///
    /// # Errors
    /// Why it can't, with the next step.
    pub async fn new(settings: ProcessSettings) -> Result<Self, ServeError> {
        let store = OpenStore::open(&settings.store.data, &settings.store.key_path()).await?;
        // Whoever has the store's lock owns the socket; one that lies there is a dead process's.
        let control = ControlListener::bind(&store.data().control_socket()).await?;
        let https = Listener::bind(settings.server.listen).await?;
        let observe = Listener::bind(settings.observe.listen).await?;
        let addresses = Addresses::new(&settings, https.local_addr(), observe.local_addr());
        let (source, local_authority) = match (&settings.server.certificate, &settings.server.key) {
            (Some(certificate), Some(key)) => {
                let files =
                    CertificateSource::Files { certificate: certificate.path().to_owned(), key: key.path().to_owned() };
                (files, None)
            }
            _ => {
                let host = host_of(&addresses.authority);
                let names = LocalNames::new(settings.server.domain.as_str(), host);
                let authority = LocalAuthority::open(&store.data().file("tls"), names, clock::unix_seconds())?;
                let local = LocalCertificates {
                    certificate: authority.certificate().clone(),
                    file: authority.certificate_file(),
                    replaced: authority.was_replaced(),
                };
                (CertificateSource::Local(authority), Some(local))
            }
        };
        let certificate = ServerCertificate::load(source)?;
        Ok(Self { store, settings, https, observe, control, certificate, local_authority, addresses })
    }

    /// How clients will reach it.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The records of its store.
    pub fn store(&self) -> &OpenStore {
        &self.store
    }

    /// The local certificate authority, if it has one.
    pub fn local_certificates(&self) -> Option<&LocalCertificates> {
        self.local_authority.as_ref()
    }

    /// The server's certificate.
    pub fn certificate(&self) -> &Arc<ServerCertificate> {
        &self.certificate
    }

    /// Puts the engine together.
    ///
    /// # Errors
    /// Why it can't, with the next step.
    pub async fn engine(self, own_provider: Option<OwnProvider>) -> Result<Ready, ServeError> {
        let Self { store, settings, https, observe, control, certificate, addresses, local_authority } = self;
        let new_authority = local_authority.is_some_and(|local| local.replaced);
        let engine = Engine::open(store, &settings, addresses, own_provider, LaneLimits::default()).await?;
        Ok(Ready { engine, https, observe, control, certificate, new_authority })
    }
}

/// An engine with its listeners, ready to run.
pub struct Ready {
    engine: Arc<Engine>,
    https: Listener,
    observe: Listener,
    control: ControlListener,
    certificate: Arc<ServerCertificate>,
    new_authority: bool,
}

impl Ready {
    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Runs until `stop` is ready; then lets requests and renewals under way come to their end.
    ///
    /// # Errors
    /// Why it stopped by itself.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { engine, https, observe, control, certificate, .. } = self;
        let counted = |listener: Listener| listener.counting_refusals(engine.metrics().connections_refused());
        let (https, observe) = (counted(https), counted(observe));
        let (stopping, stopped) = watch::channel(false);
        let until_stop = || {
            let mut stopped = stopped.clone();
            async move {
                // An error means that the sender is gone, which is a stop too.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            }
        };
        let keyvault = Arc::clone(engine.keyvault());
        let https = https.limiting_bodies(Arc::new(move |head: &mut http::request::Parts, peer: Peer| {
            let now = keyvault::Now { unix_ms: clock::now().wall.0 };
            keyvault.admit_body(head, now, address(peer))
        }));
        let keyvault = Arc::clone(engine.keyvault());
        let vaults = move |request: Request<Bytes>, peer: Peer| {
            let keyvault = Arc::clone(&keyvault);
            async move {
                let now = keyvault::Now { unix_ms: clock::now().wall.0 };
                let answer = keyvault.answer(request, now, address(peer)).await;
                if let Some(Cause(why)) = answer.extensions().get() {
                    tracing::warn!("a request was answered {}: {why}", answer.status());
                }
                answer
            }
        };
        let connections = Connections::within_file_limit();
        let limits = |connections| Limits { connections, ..Limits::default() };
        let transport = Transport::Tls(certificate.server_config());
        let mut parts = tokio::task::JoinSet::new();
        parts.spawn(https.serve(transport, limits(connections.vaults), vaults, until_stop()));
        let admin = Admin::new(Arc::clone(&engine));
        let calls = move |request: Request<Bytes>, _: Peer| {
            let admin = admin.clone();
            async move { admin.answer(request).await }
        };
        let long = Limits { idle: Duration::from_secs(300), body: CONTROL_BODY, ..limits(connections.control) };
        parts.spawn(control.serve(long, calls, until_stop()));
        let vitals = EngineVitals::new(Arc::clone(&engine), Arc::clone(&certificate));
        let signs = observe::Signs::new(vitals, Arc::clone(engine.metrics()));
        let signs = move |request: Request<Bytes>, _: Peer| {
            let signs = signs.clone();
            async move { signs.answer(&request).await }
        };
        parts.spawn(observe.serve(Transport::Plain, limits(connections.observe), signs, until_stop()));
        let keeper = Arc::clone(engine.keeper());
        let renewing = until_stop();
        let mut keeping = tokio::spawn(async move { keeper.run(renewing).await });
        let courier = Arc::clone(engine.courier());
        let delivering = until_stop();
        let carrying = tokio::spawn(async move { courier.run(delivering).await });
        let watching = tokio::spawn(certificate.watch(clock::unix_seconds));
        let rotating = tokio::spawn(rotate_keys(Arc::clone(&engine)));
        let purging = tokio::spawn(purge(Arc::clone(&engine)));

        let mut stop = core::pin::pin!(stop);
        let early = tokio::select! {
            () = stop.as_mut() => None,
            kept = &mut keeping => Some(kept),
        };
        stopping.send_replace(true);
        let kept = match early {
            Some(kept) => kept,
            None => keeping.await,
        };
        while parts.join_next().await.is_some() {}
        // What a target has under way is made again after the next start, so it is waited for only a while.
        let _ = tokio::time::timeout(DELIVERIES_FINISH, carrying).await;
        // What was told is told only once, so what is still on its way is given a while.
        engine.alerts().finish(ALERTS_FINISH).await;
        watching.abort();
        rotating.abort();
        purging.abort();
        match kept {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ServeError(
                "the renewer broke off by a fault of Vestal's; please report it with the lines above".to_owned(),
            )),
        }
    }
}

/// The largest body of an admin call: a configuration file of the largest size.
const CONTROL_BODY: usize = (config::MAX_FILE_BYTES as usize) * 2;

/// Serves a configuration file until a signal ends it; SIGHUP reads the file again.
///
/// # Errors
/// Why it did not start, or stopped.
pub async fn serve(
    file: PathBuf,
    config: Config,
    announce: impl FnOnce(&Engine),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let ready = Setup::new(config.process.clone()).await?.engine(None).await?;
    let engine = Arc::clone(ready.engine());
    warn_of_certificates(&ready);
    engine.apply(&config).await?;
    warn_of_missing_secrets(&engine, &config).await;
    announce(&engine);
    let reloading = tokio::spawn(reload_on_hangup(Arc::clone(&engine), file, config.process));
    let served = ready.run(stop).await;
    reloading.abort();
    served
}

/// What clients will stumble over, said before they do.
fn warn_of_certificates(ready: &Ready) {
    let addresses = ready.engine.addresses();
    let vault = format!("x.{}", addresses.domain.split(':').next().unwrap_or_default());
    for host in ready.certificate.hosts_not_covered(&[&vault, host_of(&addresses.authority)]) {
        tracing::warn!("the certificate doesn't cover {host}, so clients will refuse it: get one that does");
    }
    if ready.new_authority {
        tracing::warn!(
            "the local certificate authority was made anew: give clients the new {}",
            ready.engine.data().file("tls/ca.pem").display()
        );
    }
}

async fn warn_of_missing_secrets(engine: &Engine, config: &Config) {
    for Credential { kind, of, source, setting, vault, secret } in config.definitions.credentials() {
        if matches!(engine.records().current(vault, secret).await, Err(store::RecordError::NotFound)) {
            tracing::warn!(
                "{}:{}: the {setting} of {kind} {of} is to come from {vault}/{secret}, which isn't there yet: \
                 run `vestal secret set {vault}/{secret}`",
                source.file,
                source.line,
            );
        }
    }
}

async fn reload_on_hangup(engine: Arc<Engine>, file: PathBuf, running: ProcessSettings) {
    let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else {
        return tracing::warn!("SIGHUP can't be listened for: use `vestal apply` instead");
    };
    while hangup.recv().await.is_some() {
        match config::load(&file) {
            Err(errors) => {
                tracing::error!(
                    "the configuration is not applied; the one before stays in use\n{}",
                    errors.render(false)
                );
            }
            Ok(config) => match engine.apply(&config).await {
                Ok(applied) => {
                    let other = running.sections_unlike(&config.process);
                    if !other.is_empty() {
                        tracing::warn!(
                            "{} changed, which takes effect at the next start alone: restart",
                            other.join(", ")
                        );
                    }
                    let (added, changed, removed) = applied.plan.counts();
                    warn_of_missing_secrets(&engine, &config).await;
                    tracing::info!(
                        "the configuration was applied: {added} added, {changed} changed, {removed} removed"
                    );
                }
                Err(error) => {
                    tracing::error!("the configuration is not applied; the one before stays in use: {error}");
                }
            },
        }
    }
}

async fn rotate_keys(engine: Arc<Engine>) {
    loop {
        let now = keyvault::Now { unix_ms: clock::now().wall.0 };
        if let Err(error) = engine.keyvault().rotate_if_due(now).await {
            tracing::warn!("the authority's signing keys could not be looked at: {error}");
        }
        tokio::time::sleep(KEYS_LOOKED_AT_EVERY).await;
    }
}

async fn purge(engine: Arc<Engine>) {
    // What is purged is gone for good: a clock that is wrong at the start has an hour to be put right.
    tokio::time::sleep(PURGED_NOT_BEFORE).await;
    loop {
        let now = keyvault::Now { unix_ms: clock::now().wall.0 };
        if let Err(error) = engine.keyvault().purge_if_due(now).await {
            tracing::warn!("deleted secrets whose time is over could not be purged: {error}");
        }
        tokio::time::sleep(PURGED_EVERY).await;
    }
}

fn address(peer: Peer) -> Option<std::net::IpAddr> {
    match peer {
        Peer::Network { address, .. } => Some(SocketAddr::ip(&address)),
        Peer::Process { .. } => None,
    }
}

/// The host of an `https://host[:port]`.
fn host_of(origin: &str) -> &str {
    let rest = origin.trim_start_matches("https://");
    if let Some(end) = rest.strip_prefix('[').and_then(|rest| rest.find(']')) {
        return &rest[1..=end];
    }
    rest.split(':').next().unwrap_or(rest)
}
