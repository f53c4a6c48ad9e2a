//! From a host to an encrypted connection: resolve, classify every address, connect to a permitted one alone.

use super::error::{NotSent, Stage};
use super::rules::{OutboundRules, Permit};
use crate::system_error::in_words;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls_pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use url::{Host, Url};

/// The most addresses of one host that are tried.
const ADDRESSES_TRIED: usize = 8;

/// How long an address has to itself before the next is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Whom to call.
pub(super) struct Callee {
    host: Host<String>,
    port: u16,
}

impl Callee {
    /// Reads the host out of a URL. The `url` crate has already turned every spelling of an IPv4 address (octal,
    /// hexadecimal, one number) into the address itself.
    pub(super) fn of(url: &Url) -> Result<Self, NotSent> {
        if url.scheme() != "https" {
            return Err(NotSent::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotSent::UrlHasCredentials);
        }
        let host = url.host().ok_or(NotSent::NotHttps)?.to_owned();
        Ok(Self { host, port: url.port().unwrap_or(443) })
    }

    /// The name or address, without brackets.
    pub(super) fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The value of the `Host` header.
    pub(super) fn authority(&self) -> String {
        if self.port == 443 { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    /// For whom the certificate must be.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, NotSent> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| NotSent::NameNotResolved("it is no valid DNS name".to_owned())),
            Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
            Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
        }
    }

    fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        }
    }
}

/// How names become addresses.
pub(super) enum Resolver {
    /// As the system says.
    System,
    /// As the test says.
    #[cfg(test)]
    Fixed(Vec<SocketAddr>),
}

impl Resolver {
    async fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, port)).await?.collect()),
            #[cfg(test)]
            Self::Fixed(addresses) => Ok(addresses.clone()),
        }
    }
}

/// Which addresses may be called for this callee. Every address that the name has is judged, and so is a literal one.
pub(super) async fn permitted_addresses(
    callee: &Callee,
    rules: &OutboundRules,
    resolver: &Resolver,
) -> Result<Vec<(SocketAddr, Permit)>, NotSent> {
    let name = callee.name();
    let own = rules.own_provider.as_ref().filter(|own| own.host == name && own.address.port() == callee.port);
    let addresses = match (callee.literal(), own) {
        (Some(literal), _) => vec![SocketAddr::new(literal, callee.port)],
        // We know where our own provider listens: no resolver can lead us elsewhere.
        (None, Some(own)) => vec![own.address],
        (None, None) => {
            resolver.addresses(&name, callee.port).await.map_err(|error| NotSent::NameNotResolved(in_words(&error)))?
        }
    };
    let mut permitted = Vec::new();
    let mut first_denial = None;
    for address in addresses {
        match rules.permit(&name, address) {
            Ok(permit) => permitted.push((SocketAddr::new(address.ip().to_canonical(), address.port()), permit)),
            Err(denial) => first_denial = first_denial.or(Some(denial)),
        }
    }
    match first_denial {
        Some(denial) if permitted.is_empty() => Err(NotSent::Denied(denial)),
        None if permitted.is_empty() => Err(NotSent::NameNotResolved("it has no address".to_owned())),
        _ => Ok(permitted),
    }
}

/// Connects to the first address that answers; each next one is tried when the one before fails or hesitates.
pub(super) async fn connect_to_one(
    addresses: &[(SocketAddr, Permit)],
    rules: &OutboundRules,
) -> Result<(TcpStream, Permit), NotSent> {
    let mut waiting = addresses.iter().take(ADDRESSES_TRIED);
    let mut attempts = FuturesUnordered::new();
    let mut last_error = NotSent::NotConnected("no address was left to try".to_owned());
    loop {
        match waiting.next() {
            Some(&(address, permit)) => attempts.push(connect(address, permit, rules)),
            None if attempts.is_empty() => return Err(last_error),
            None => {}
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(connected) => return Ok(connected),
                Err(error) => last_error = error,
            },
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

async fn connect(address: SocketAddr, permit: Permit, rules: &OutboundRules) -> Result<(TcpStream, Permit), NotSent> {
    let not_connected = |error| NotSent::NotConnected(format!("{address}: {}", in_words(&error)));
    let stream = TcpStream::connect(address).await.map_err(not_connected)?;
    stream.set_nodelay(true).map_err(not_connected)?;
    let local = stream.local_addr().map_err(not_connected)?;
    if permit == Permit::Public && rules.reached_ourselves(local, address) {
        return Err(NotSent::ReachedOurselves);
    }
    Ok((stream, permit))
}

/// The error of a deadline that passed before the request was sent.
pub(super) fn too_late(during: Stage, deadline: Duration) -> NotSent {
    NotSent::DeadlinePassed { during, deadline }
}
