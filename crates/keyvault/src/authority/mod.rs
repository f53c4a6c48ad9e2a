//! The authority: it tells apps from strangers and issues tokens for the vaults. To a client it looks like Entra.
//!
//! The first segment of a path is the tenant. Any is answered: there is one directory, and `adfs` and its GUID are the
//! names that clients know it by.

mod discovery;
mod error;
mod form;
mod limits;
mod token;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use store::Store;

use self::error::{Refusal, Trace};
pub(crate) use self::limits::Limits;
use crate::ask::{Ask, credentials};
use crate::directory::Directory;
use crate::headers::RequestId;
use crate::service::{Cause, KeyVault};

/// What a path of the authority asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// `/{tenant}/oauth2/v2.0/token`, which takes a scope.
    TokenByScope,
    /// `/{tenant}/oauth2/token`, which takes a resource.
    TokenByResource,
    /// `/{tenant}[/v2.0]/.well-known/openid-configuration`.
    Configuration,
    /// `/{tenant}/discovery[/v2.0]/keys`.
    Keys,
    /// `/{tenant}/discovery/instance`.
    Instance,
}

impl Endpoint {
    /// The endpoint of a path, and the tenant in it.
    fn parse(path: &str) -> Option<(Self, &str)> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let tenant = segments.next()?;
        let rest: Vec<String> = segments.map(str::to_ascii_lowercase).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let endpoint = match rest[..] {
            ["oauth2", "v2.0", "token"] => Self::TokenByScope,
            ["oauth2", "token"] => Self::TokenByResource,
            ["v2.0", ".well-known", "openid-configuration"] | [".well-known", "openid-configuration"] => {
                Self::Configuration
            }
            ["discovery", "v2.0", "keys"] | ["discovery", "keys"] => Self::Keys,
            ["discovery", "instance"] => Self::Instance,
            _ => return None,
        };
        Some((endpoint, tenant))
    }

    fn method(self) -> Method {
        match self {
            Self::TokenByScope | Self::TokenByResource => Method::POST,
            Self::Configuration | Self::Keys | Self::Instance => Method::GET,
        }
    }
}

impl<S: Store> KeyVault<S> {
    /// Answers a request to the authority.
    pub(crate) async fn answer_as_authority(&self, ask: &Ask<'_>, directory: &Directory) -> Response<Bytes> {
        match self.authority_body(ask, directory).await {
            Ok(body) => self.authority_answer(ask, self.ids.next(), StatusCode::OK, body),
            Err(refusal) => self.authority_refusal(ask, &refusal),
        }
    }

    async fn authority_body(&self, ask: &Ask<'_>, directory: &Directory) -> Result<Vec<u8>, Refusal> {
        let (endpoint, tenant) = Endpoint::parse(ask.uri.path()).ok_or(Refusal::NoSuchPath)?;
        if *ask.method != endpoint.method() {
            return Err(Refusal::Method { allowed: endpoint.method(), received: ask.method.clone() });
        }
        match endpoint {
            Endpoint::TokenByScope | Endpoint::TokenByResource => {
                self.token(ask, directory, endpoint == Endpoint::TokenByResource).await
            }
            Endpoint::Configuration => Ok(discovery::configuration(&self.sites, directory, tenant)),
            Endpoint::Keys => Ok(discovery::keys(&self.sites, directory)),
            Endpoint::Instance => Ok(discovery::instance(&self.sites, directory, ask.uri.query())),
        }
    }

    fn authority_refusal(&self, ask: &Ask<'_>, refusal: &Refusal) -> Response<Bytes> {
        let trace = Trace { request: self.ids.next(), client: client_request_id(ask), unix_ms: ask.now.unix_ms };
        let mut answer = self.authority_answer(ask, trace.request, refusal.status(), refusal.body(&trace));
        let headers = answer.headers_mut();
        if let Some(seconds) = refusal.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Refusal::Method { allowed, .. } = refusal {
            let allowed = HeaderValue::from_str(allowed.as_str()).expect("a method is a plain word");
            headers.insert(header::ALLOW, allowed);
        }
        // RFC 6749, section 5.2: who tried Basic is told so.
        let basic = ask.headers.get(header::AUTHORIZATION).and_then(|value| credentials(value, "Basic"));
        if refusal.status() == StatusCode::UNAUTHORIZED && basic.is_some() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"vestal\""));
        }
        if let Some(cause) = refusal.cause() {
            answer.extensions_mut().insert(Cause(cause));
        }
        answer
    }

    fn authority_answer(&self, ask: &Ask<'_>, id: RequestId, status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = self.headers.of_authority(id, ask.headers);
        answer
    }
}

/// The id that the client gave its request, if it is a GUID.
fn client_request_id(ask: &Ask<'_>) -> Option<String> {
    ["client-request-id", "x-ms-client-request-id"]
        .into_iter()
        .find_map(|name| ask.headers.get(name)?.to_str().ok())
        .and_then(|id| vault::ClientId::parse(id).ok())
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_tenant_has_every_endpoint() {
        use Endpoint as E;
        for (path, endpoint, tenant) in [
            ("/adfs/oauth2/v2.0/token", E::TokenByScope, "adfs"),
            ("/adfs/oauth2/token/", E::TokenByResource, "adfs"),
            ("//contoso.example//oauth2/v2.0/token", E::TokenByScope, "contoso.example"),
            ("/adfs/.well-known/openid-configuration", E::Configuration, "adfs"),
            ("/t/v2.0/.well-known/openid-configuration", E::Configuration, "t"),
            ("/t/discovery/v2.0/keys", E::Keys, "t"),
            ("/t/discovery/keys", E::Keys, "t"),
            ("/common/discovery/instance", E::Instance, "common"),
        ] {
            assert_eq!(Endpoint::parse(path), Some((endpoint, tenant)), "{path}");
        }
        for path in ["/", "/adfs", "/oauth2/v2.0/token", "/adfs/oauth2/v2.0/authorize", "/adfs/oauth2/v2.0/token/x"] {
            assert_eq!(Endpoint::parse(path), None, "{path}");
        }
    }
}
