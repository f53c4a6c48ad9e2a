//! The one way out: every call to a provider goes through a [`Connector`].
//!
//! It reaches public addresses and those that the operator lists, over https, and nothing else. It never follows a
//! redirect (a 307 would post the secrets again, elsewhere), reads no proxy from the environment, decodes no content
//! encoding, and has no switch that skips a certificate check. Each call has a connection of its own: a pooled one that
//! the provider has just closed would leave open whether it heard the request, and a token endpoint is asked too seldom
//! for the handshake to matter.
//!
//! It stands on hyper's connection type rather than on a client library: that takes the traps away (a client skips its
//! resolver for literal addresses), bounds the answer's head exactly, and tells for certain whether a byte was sent.
//! HTTP/1.1 alone is offered, which every token endpoint speaks.

mod address;
mod azure;
mod dial;
mod error;
mod exchange;
mod kept;
mod rules;
#[cfg(test)]
mod tests;

pub use address::{AddressClass, classify};
pub use azure::TargetTransport;
pub use error::{NotSent, SendError, Stage, Unknown};
pub use rules::{Allowed, AllowedSyntaxError, Denial, DeniedBecause, OutboundRules, OwnProvider};

use crate::tls;
use dial::{Callee, Resolver};
use oauth::{HttpAnswer, HttpRequest};
use rules::Permit;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// The most bytes of an answer's head (status line and headers) that are read.
pub const HEAD_LIMIT: usize = 32 * 1024;

/// The most headers that an answer may have.
pub const HEADER_COUNT_LIMIT: usize = 100;

/// The longest deadline that is kept; more is counted as this.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(600);

/// What we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("vestal/", env!("CARGO_PKG_VERSION"));

/// Calls providers. One for the whole process; shared by reference.
pub struct Connector {
    rules: OutboundRules,
    /// Checks against the system's and the operator's authorities, or says why there are none.
    public: Result<TlsConnector, String>,
    /// Checks against our own provider's authority alone.
    own: Option<TlsConnector>,
    resolver: Resolver,
}

/// Why no connector can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorError(String);

impl fmt::Display for ConnectorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for ConnectorError {}

impl Connector {
    /// Makes a connector with these rules. The system's certificate authorities are read now, once.
    ///
    /// # Errors
    /// Where one of the operator's authorities can't be used. A machine without any is no error here: calls say so.
    pub fn new(rules: OutboundRules) -> Result<Self, ConnectorError> {
        for authority in &rules.authorities {
            rustls::RootCertStore::empty().add(authority.clone()).map_err(|error| {
                ConnectorError(format!(
                    "a certificate in [outbound] ca can't be used as an authority ({error}); name a PEM file of CA certificates"
                ))
            })?;
        }
        let public = public_tls(&rules.authorities);
        let own = match &rules.own_provider {
            Some(own) => Some(own_tls(&own.authority)?),
            None => None,
        };
        Ok(Self { rules, public, own, resolver: Resolver::System })
    }

    /// Sends the request and reads the answer, all within `deadline` (at most [`LONGEST_DEADLINE`]).
    ///
    /// Once the answer's head has come there is an answer, whatever its status: a body that is longer than
    /// [`oauth::BODY_LIMIT`], breaks off or isn't complete at the deadline is handed on as far as it came
    /// ([`oauth::BodyEnd`]), so that a success is never dropped.
    ///
    /// # Errors
    /// [`SendError::NotSent`] where no byte left, [`SendError::Unknown`] where one may have and no answer came.
    pub async fn send(&self, request: HttpRequest, deadline: Duration) -> Result<HttpAnswer, SendError> {
        let deadline = deadline.min(LONGEST_DEADLINE);
        let end = Instant::now() + deadline;
        let host = host_and_port(&request.url);
        let not_sent = |why| SendError::NotSent { host: host.clone(), why };

        let callee = Callee::of(&request.url).map_err(not_sent)?;
        let wire = exchange::wire_form(request, &callee.authority()).map_err(not_sent)?;
        let stream = self.open(&callee, end, deadline).await.map_err(not_sent)?;
        exchange::exchange(stream, wire, &host, end, deadline).await
    }

    /// Opens an encrypted connection to a permitted address of the callee.
    async fn open(
        &self,
        callee: &Callee,
        end: Instant,
        deadline: Duration,
    ) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, NotSent> {
        let late = |stage| move |_| dial::too_late(stage, deadline);
        let name = callee.server_name()?;
        let addresses = timeout_at(end, dial::permitted_addresses(callee, &self.rules, &self.resolver))
            .await
            .map_err(late(Stage::Resolving))??;
        let (stream, permit) =
            timeout_at(end, dial::connect_to_one(&addresses, &self.rules)).await.map_err(late(Stage::Connecting))??;
        let tls = match (permit, &self.own, &self.public) {
            (Permit::OwnProvider, Some(own), _) => own,
            (_, _, Ok(public)) => public,
            (_, _, Err(why)) => return Err(NotSent::NoAuthorities(why.clone())),
        };
        timeout_at(end, tls.connect(name, stream))
            .await
            .map_err(late(Stage::Handshake))?
            .map_err(|error| NotSent::TlsFailed(tls::handshake_failure(&error)))
    }
}

fn public_tls(authorities: &[CertificateDer<'static>]) -> Result<TlsConnector, String> {
    let provider = tls::crypto_provider();
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(authorities.iter().cloned(), provider.clone())
            .map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        // rustls calls every verifier of one's own dangerous; this one is the platform's.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(connector(builder.with_no_client_auth()))
}

fn own_tls(authority: &CertificateDer<'static>) -> Result<TlsConnector, ConnectorError> {
    let unusable =
        |error: rustls::Error| ConnectorError(format!("the local certificate authority can't be used: {error}"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).map_err(unusable)?;
    let builder = ClientConfig::builder_with_provider(tls::crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    Ok(connector(builder.with_no_client_auth()))
}

fn connector(mut config: ClientConfig) -> TlsConnector {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Host and port for people. Path and query are left out: they may hold what isn't for everybody.
fn host_and_port(url: &url::Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "a URL without a host".to_owned(),
    }
}
