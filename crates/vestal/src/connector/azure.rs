//! The connector as the way out of Azure's official client.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt};

use delivery::azure::{Answer, Call, Transport};
use oauth::BodyEnd;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Connector;
use super::dial::Callee;
use super::error::{SendError, Unknown};
use super::exchange::{self, Conversation, WholeAnswer};
use super::kept::{Kept, KeptConnections};
use crate::system_error::in_words;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where Azure's machines learn who they are (the instance metadata service).
const IMDS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

/// The way to one target. Its connections are kept for a while. A call is made a second time, on a fresh connection, only
/// where it was on a kept one, and no byte of it was sent or it changes nothing.
///
/// Its rules are the connector's; where the target's credential is the machine's managed identity,
/// the one address beside them is the endpoint that gives that identity out.
pub struct TargetTransport {
    connector: Arc<Connector>,
    identity_endpoint: Option<SocketAddr>,
    kept: KeptConnections,
}

impl TargetTransport {
    /// The way to a target; `with_identity_endpoint` where its credential is a managed identity.
    pub fn new(connector: Arc<Connector>, with_identity_endpoint: bool) -> Self {
        let identity_endpoint = with_identity_endpoint.then(identity_endpoint);
        Self { connector, identity_endpoint, kept: KeptConnections::default() }
    }

    async fn send(&self, call: Call) -> Result<Answer, String> {
        let url = Url::parse(&call.url).map_err(|_| "the address is none".to_owned())?;
        let method = http::Method::from_bytes(call.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        let may_be_repeated = method.is_safe();
        let end = Instant::now() + DEADLINE;
        let place = self.place(&url)?;
        let host = place.authority();
        let wire =
            exchange::plain_form(method, &url, call.headers, call.body, &host).map_err(|error| error.to_string())?;

        if let Some(mut kept) = self.kept.take(&host) {
            match kept.conversation.ask(wire.clone(), &host, end, DEADLINE).await {
                Ok(answer) => return self.finish(kept, &host, end, answer).await,
                // It may have been closed while it rested, which this side hears of with the next call.
                Err(SendError::NotSent { .. }) => {}
                Err(SendError::Unknown { why: Unknown::Closed | Unknown::Broken(_), .. }) if may_be_repeated => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let mut fresh = self.open(&place, &host, end).await?;
        let answer = fresh.conversation.ask(wire, &host, end, DEADLINE).await.map_err(|error| error.to_string())?;
        self.finish(fresh, &host, end, answer).await
    }

    /// Where a URL leads, if that is a place to be called.
    fn place(&self, url: &Url) -> Result<Place, String> {
        if url.scheme() == "http" {
            let address = self.identity_endpoint.filter(|address| is_at(url, *address));
            return address.map(Place::IdentityEndpoint).ok_or_else(|| "it is no https address".to_owned());
        }
        Callee::of(url).map(Place::Callee).map_err(|error| error.to_string())
    }

    async fn open(&self, place: &Place, host: &str, end: Instant) -> Result<Kept, String> {
        let conversation = match place {
            Place::IdentityEndpoint(address) => {
                let stream = timeout_at(end, TcpStream::connect(address)).await;
                let stream = stream.map_err(|_| "it did not answer in time".to_owned())?;
                Conversation::open(stream.map_err(|error| in_words(&error))?, host).await
            }
            Place::Callee(callee) => {
                let stream = self.connector.open(callee, end, DEADLINE).await.map_err(|error| error.to_string())?;
                Conversation::open(stream, host).await
            }
        };
        conversation.map(Kept::new).map_err(|error| error.to_string())
    }

    /// Hands the answer on, and keeps the connection where all of it came.
    async fn finish(
        &self,
        used: Kept,
        host: &str,
        end: Instant,
        (head, body, whole): WholeAnswer,
    ) -> Result<Answer, String> {
        match whole {
            BodyEnd::Whole => self.kept.put(host, used, end).await,
            BodyEnd::Unconfirmed => {}
            BodyEnd::Cut => return Err("its answer broke off".to_owned()),
        }
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let headers = head.headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
        Ok(Answer { status: head.status.as_u16(), headers, body: body.expose().to_vec() })
    }
}

/// Whom to call.
enum Place {
    /// Anybody whom the connector's rules permit, over TLS.
    Callee(Callee),
    /// The endpoint that gives out the machine's identity, which speaks no TLS.
    IdentityEndpoint(SocketAddr),
}

impl Place {
    /// The value of the `Host` header.
    fn authority(&self) -> String {
        match self {
            Self::Callee(callee) => callee.authority(),
            Self::IdentityEndpoint(address) => address.to_string(),
        }
    }
}

impl Transport for TargetTransport {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>> {
        Box::pin(self.send(call))
    }
}

impl fmt::Debug for TargetTransport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TargetTransport")
    }
}

/// The endpoint that gives out the machine's identity: that of App Service and the like, which the environment names, or
/// the instance metadata service.
fn identity_endpoint() -> SocketAddr {
    let named = env::var("IDENTITY_ENDPOINT").ok().and_then(|endpoint| Url::parse(&endpoint).ok());
    let address = named.and_then(|url| match url.host()? {
        url::Host::Ipv4(address) => Some(SocketAddr::new(address.into(), url.port_or_known_default()?)),
        url::Host::Domain("localhost") => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), url.port()?)),
        _ => None,
    });
    address
        .filter(|address| address.ip().is_loopback() || *address == IMDS || is_link_local(address.ip()))
        .unwrap_or(IMDS)
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(address) if address.is_link_local())
}

fn is_at(url: &Url, address: SocketAddr) -> bool {
    let host = match url.host() {
        Some(url::Host::Ipv4(host)) => IpAddr::V4(host) == address.ip(),
        Some(url::Host::Domain("localhost")) => address.ip().is_loopback(),
        _ => false,
    };
    host && url.port_or_known_default() == Some(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::OutboundRules;

    async fn refused(url: &str, managed: bool) -> String {
        let connector = Arc::new(Connector::new(OutboundRules::default()).expect("rules"));
        let transport = TargetTransport::new(connector, managed);
        let call = Call { method: "GET", url: url.to_owned(), headers: Vec::new(), body: Vec::new() };
        transport.call(call).await.err().expect("refused")
    }

    #[tokio::test]
    async fn only_a_managed_identity_reaches_the_identity_endpoint_and_nothing_else_without_tls() {
        assert!(refused("http://169.254.169.254/metadata", false).await.contains("no https"));
        assert!(refused("http://169.254.169.253/metadata", true).await.contains("no https"));
        assert!(refused("http://contoso.vault.azure.net/secrets", true).await.contains("no https"));
        assert!(refused("https://169.254.169.254/metadata", true).await.contains("not called"));
        assert!(refused("https://127.0.0.1/", true).await.contains("not called"));
    }
}
