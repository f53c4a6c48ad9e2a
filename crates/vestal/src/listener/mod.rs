//! The one way in: sockets that accept connections and hand requests to a service.
//!
//! A service is a function from a request, whose body is complete, and its [`Peer`] to an answer. Everything a stranger
//! could tie up has a limit here: connections, the time for a handshake, a head and a body, and their sizes.
//! The path of a small GET is kept short: no boxed future, no timer, nothing allocated for a body that isn't there.

mod activity;
mod connection;
mod control;
mod source;
#[cfg(test)]
mod tests;

pub use control::ControlListener;

use crate::system_error::in_words;
use bytes::Bytes;
use connection::Protocol;
use http::{Request, Response};
use rustls::ServerConfig;
use source::Sources;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// The most bytes of a request's head.
pub const HEAD_LIMIT: usize = 32 * 1024;

/// The most headers of a request.
pub const HEADER_COUNT_LIMIT: usize = 100;

/// One source may have one part of so many of a listener's connections: half of them. That is far more than any client or
/// proxy opens, and leaves the other half to everybody else.
pub const PARTS_OF_CONNECTIONS: usize = 2;

/// How long to wait before accepting again after the system had no room for a connection.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What one listener grants its peers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections may be open; more wait in the system's queue.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a request's head may take; a connection's first one counts from its start.
    pub head_read: Duration,
    /// How long a request's body may take.
    pub body_read: Duration,
    /// The most bytes of a request's body; a longer one is answered 413.
    pub body: usize,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long requests in flight may take to end once the listener stops.
    pub drain: Duration,
    /// How long changes under way may take to end once the listener stops, whether their clients still wait or not.
    pub changes: Duration,
}

impl Limits {
    /// How many connections one source may have open ([`PARTS_OF_CONNECTIONS`]).
    pub fn connections_of_one_source(&self) -> usize {
        (self.connections / PARTS_OF_CONNECTIONS).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            handshake: Duration::from_secs(10),
            head_read: Duration::from_secs(10),
            body_read: Duration::from_secs(30),
            body: 256 * 1024,
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(10),
            changes: Duration::from_secs(20),
        }
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the network.
    Network {
        /// From where. A proxy's address, where there is one: no header is believed.
        address: SocketAddr,
        /// Whether over TLS.
        encrypted: bool,
    },
    /// A process of this machine, through the control socket.
    Process {
        /// Its user.
        user: u32,
    },
}

/// How a listener's connections speak.
pub enum Transport {
    /// HTTP in the clear: loopback and measurements.
    Plain,
    /// HTTPS.
    Tls(Arc<ServerConfig>),
}

/// Why a listener can't be opened. It displays with the next step.
#[derive(Debug)]
pub struct BindError {
    place: String,
    error: io::Error,
    next_step: String,
}

impl BindError {
    fn new(place: &dyn fmt::Display, error: io::Error, next_step: impl Into<String>) -> Self {
        Self { place: place.to_string(), error, next_step: next_step.into() }
    }

    fn tcp(address: SocketAddr, error: io::Error) -> Self {
        let next_step = match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another program listens there (perhaps another Vestal): stop it, or choose another port (`--listen` of `vestal dev`, `listen` in the configuration); `ss -ltnp 'sport = :{}'` names it",
                address.port()
            ),
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need the capability CAP_NET_BIND_SERVICE: choose a higher port, or grant it"
                    .to_owned()
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: choose one of its own, or 0.0.0.0 for all".to_owned()
            }
            _ => "choose another address".to_owned(),
        };
        Self::new(&address, error, next_step)
    }

    /// Whether somebody else listens there already.
    pub fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "can't listen on {}: {}; {}", self.place, in_words(&self.error), self.next_step)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A TCP socket that is open, so that peers can already connect, and not served yet.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    refused: Arc<AtomicU64>,
    most_body: Option<MostBody>,
}

/// How many bytes the body of a request may have, by its head and who sent it; or the answer that it gets whatever its body
/// is. What it puts into the head's extensions lives until the request is answered.
pub type MostBody = Arc<dyn Fn(&mut http::request::Parts, Peer) -> Result<usize, Box<Response<Bytes>>> + Send + Sync>;

impl Listener {
    /// Opens the socket. Port 0 takes a free port: [`Self::local_addr`] says which.
    ///
    /// # Errors
    /// Where the address can't be had; the error says what to do.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let socket = TcpListener::bind(address).await.map_err(|error| BindError::tcp(address, error))?;
        let address = socket.local_addr().map_err(|error| BindError::tcp(address, error))?;
        Ok(Self { socket, address, refused: Arc::default(), most_body: None })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Counts in `refused` each connection that is closed because its source has enough of them.
    #[must_use]
    pub fn counting_refusals(self, refused: Arc<AtomicU64>) -> Self {
        Self { refused, ..self }
    }

    /// Asks `most_body` how long a request's body may be, in place of [`Limits::body`].
    #[must_use]
    pub fn limiting_bodies(self, most_body: MostBody) -> Self {
        Self { most_body: Some(most_body), ..self }
    }

    /// Serves until `stop` completes; then accepts nothing more, lets requests in flight end for as long as
    /// [`Limits::drain`] and changes, even those whose clients hung up, for as long as [`Limits::changes`], and returns.
    pub async fn serve<S, F>(self, transport: Transport, limits: Limits, service: S, stop: impl Future<Output = ()>)
    where
        S: Fn(Request<Bytes>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let acceptor = match transport {
            Transport::Plain => None,
            Transport::Tls(config) => Some(TlsAcceptor::from(config)),
        };
        let handle = |(stream, address): (TcpStream, SocketAddr), listening: Listening| {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            async move {
                let peer = Peer::Network { address, encrypted: acceptor.is_some() };
                let Some(acceptor) = acceptor else {
                    return connection::serve(stream, Protocol::Http1, peer, limits, service, listening).await;
                };
                match tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let protocol = match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => Protocol::Http2,
                            _ => Protocol::Http1,
                        };
                        connection::serve(stream, protocol, peer, limits, service, listening).await;
                    }
                    Ok(Err(error)) => tracing::debug!("a TLS handshake with {address} failed: {error}"),
                    Err(_) => tracing::debug!("a TLS handshake with {address} took longer than {:?}", limits.handshake),
                }
            }
        };
        let place = self.address.to_string();
        let sources = Sources::new(limits.connections_of_one_source(), Arc::clone(&self.refused));
        accept_all(&self, handle, &place, limits, &sources, self.most_body.clone(), stop).await;
    }
}

impl Accept for Listener {
    type Connection = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Connection> {
        let (stream, address) = self.socket.accept().await?;
        // An answer is written whole: waiting for more to send with it only delays it.
        stream.set_nodelay(true)?;
        Ok((stream, address))
    }

    fn source((_, address): &Self::Connection) -> Option<IpAddr> {
        Some(address.ip())
    }
}

/// What connections come from.
trait Accept {
    type Connection;

    /// Waits for the next connection. Nothing is lost where the future is dropped before it completes.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;

    /// Whose connections are counted together; `None` where they aren't.
    fn source(connection: &Self::Connection) -> Option<IpAddr>;
}

/// What the connections of a listener have in common.
#[derive(Clone)]
struct Listening {
    /// Whether to stop.
    stopped: watch::Receiver<bool>,
    changes: Changes,
    most_body: Option<MostBody>,
}

/// The changes that are under way: each holds a clone for as long as it lasts.
type Changes = mpsc::Sender<Infallible>;

/// Accepts connections, within the limit, until `stop`; then drains them.
async fn accept_all<A, F>(
    socket: &A,
    handle: impl Fn(A::Connection, Listening) -> F,
    place: &str,
    limits: Limits,
    sources: &Arc<Sources>,
    most_body: Option<MostBody>,
    stop: impl Future<Output = ()>,
) where
    A: Accept,
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let (stop_connections, stopped) = watch::channel(false);
    let (changes, mut all_changes_ended) = mpsc::channel(1);
    let listening = Listening { stopped, changes, most_body };
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await;
            (permit, socket.accept().await)
        };
        tokio::select! {
            biased;
            () = stop.as_mut() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
            (permit, accepted) = next => match accepted {
                Ok(accepted) => {
                    let peer = A::source(&accepted);
                    let counted = peer.map(|peer| sources.count(peer).ok_or(peer)).transpose();
                    match counted {
                        Ok(counted) => {
                            let connection = handle(accepted, listening.clone());
                            connections.spawn(async move {
                                connection.await;
                                drop((counted, permit));
                            });
                        }
                        Err(peer) => sources.tell_of_refusal(peer, place),
                    }
                }
                Err(error) if is_of_one_connection(&error) => {
                    tracing::debug!("a connection to {place} ended before it was accepted: {error}");
                }
                Err(error) => {
                    tracing::warn!("no connection could be accepted on {place}: {}; trying again", in_words(&error));
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            },
        }
    }
    stop_connections.send_replace(true);
    let changes_end = Instant::now() + limits.changes;
    // From here on only connections and changes hold one.
    drop(listening);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!("connections to {place} were cut: their requests took longer than {:?} to end", limits.drain);
        connections.shutdown().await;
    }
    if tokio::time::timeout_at(changes_end, all_changes_ended.recv()).await.is_err() {
        tracing::warn!(
            "changes through {place} were cut: they took longer than {:?} to end; the audit may have a line of one that \
             was not made",
            limits.changes
        );
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(
            "a request ended in a panic, which is a mistake in Vestal; please report it with the lines above"
        );
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput)
}
