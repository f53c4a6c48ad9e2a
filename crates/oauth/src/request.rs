//! What is said to a token endpoint.

use core::fmt;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secret::{Secret, SecretBuilder};
use url::Url;

use crate::provider::{ClientAuth, GrantType, Provider};

/// A request to be sent as it stands: no redirect is followed with it, and nothing is added but `Host`,
/// `Content-Length` and a `User-Agent`. No Debug: the body and a header hold secrets.
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers, names in lower case.
    pub headers: Vec<(String, HeaderValue)>,
    /// The body.
    pub body: Secret,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `POST`, as RFC 6749 section 3.2 wants it.
    Post,
}

impl Method {
    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
        }
    }
}

/// The value of a request's header.
pub enum HeaderValue {
    /// May be shown.
    Plain(String),
    /// Must not be.
    Secret(Secret),
}

impl HeaderValue {
    /// The bytes to send. A secret's are the caller's to keep out of logs.
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// Why a request can't be built. Every reason is a setting or a secret to correct; none passes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// The provider doesn't offer the grant.
    GrantNotOffered {
        /// The provider's name.
        provider: String,
        /// The grant that was asked for.
        grant: GrantType,
    },
    /// The client id or secret has no bytes.
    Empty(Part),
    /// The client id or secret has a character that none may have (RFC 6749 appendix A.1 and A.2).
    ControlCharacter(Part),
    /// The provider wants a scope.
    ScopeMissing {
        /// The provider's name.
        provider: String,
    },
    /// A scope is empty or has a control character.
    ScopeInvalid {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// An extra parameter has the name of one that the grant itself sends.
    ReservedParameter(String),
}

/// A part of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The client id.
    ClientId,
    /// The client secret.
    ClientSecret,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientId => "client id",
            Self::ClientSecret => "client secret",
        })
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GrantNotOffered { provider, grant } => write!(
                f,
                "provider `{provider}` does not list the grant {}: choose another grant, or add it to `grants`",
                grant.as_str()
            ),
            Self::Empty(part) => write!(f, "the {part} is empty: put its value into the vault"),
            Self::ControlCharacter(part) => write!(
                f,
                "the {part} has a line break or another control character in it, often pasted along at its end: \
                 store it again without"
            ),
            Self::ScopeMissing { provider } => {
                write!(f, "provider `{provider}` gives no token without a scope: add `scope = [\"…\"]` to the token")
            }
            Self::ScopeInvalid { position } => {
                write!(f, "scope number {position} is empty or has a control character: correct `scope` in the token")
            }
            Self::ReservedParameter(name) => write!(
                f,
                "the extra parameter `{name}` is one that Vestal sends by itself: take it out of `extra` or `parameters`"
            ),
        }
    }
}

impl core::error::Error for RequestError {}

/// Parameters that a grant sends by itself, so that no setting may send them a second time
/// (RFC 6749 section 3.2: parameters must not be included more than once).
pub(crate) const RESERVED_PARAMETERS: [&str; 4] = ["grant_type", "client_id", "client_secret", "scope"];

/// The client_credentials request (RFC 6749 section 4.4.2).
///
/// `extra` are the token's own parameters; they win over the provider's of the same name, and one with an empty value
/// is left out (section 3.2: a parameter without a value is as good as omitted). An empty `scope` sends none.
pub fn client_credentials(
    provider: &Provider,
    client_id: &str,
    client_secret: &Secret,
    scope: &[String],
    extra: &BTreeMap<String, String>,
) -> Result<HttpRequest, RequestError> {
    if !provider.grants.contains(&GrantType::ClientCredentials) {
        return Err(RequestError::GrantNotOffered {
            provider: provider.name.clone(),
            grant: GrantType::ClientCredentials,
        });
    }
    check_credential(Part::ClientId, client_id.as_bytes())?;
    check_credential(Part::ClientSecret, client_secret.expose())?;
    let scope = joined_scope(provider, scope)?;

    let mut form = Form::with_room_for(client_id.len() + client_secret.len() + scope.len());
    form.push("grant_type", b"client_credentials");
    if provider.client_auth == ClientAuth::Form {
        form.push("client_id", client_id.as_bytes());
        form.push("client_secret", client_secret.expose());
    }
    if !scope.is_empty() {
        form.push("scope", scope.as_bytes());
    }
    let mut parameters: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in provider.parameters.iter().chain(extra) {
        if RESERVED_PARAMETERS.contains(&name.as_str()) {
            return Err(RequestError::ReservedParameter(name.clone()));
        }
        parameters.insert(name, value);
    }
    for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
        form.push(name, value.as_bytes());
    }

    let plain = |name: &str, value: &str| (name.to_owned(), HeaderValue::Plain(value.to_owned()));
    let mut headers = vec![
        // Some endpoints answer in another format to those who don't say what they read.
        plain("accept", "application/json"),
        plain("content-type", "application/x-www-form-urlencoded"),
    ];
    if provider.client_auth == ClientAuth::Basic {
        headers.push(("authorization".to_owned(), HeaderValue::Secret(basic(client_id, client_secret))));
    }
    for (name, value) in &provider.headers {
        let name = name.to_ascii_lowercase();
        headers.retain(|(existing, _)| *existing != name);
        headers.push((name, HeaderValue::Plain(value.clone())));
    }
    Ok(HttpRequest { method: Method::Post, url: provider.token_url.url().clone(), headers, body: form.body.finish() })
}

/// HTTP Basic with id and secret form-encoded first (RFC 6749 section 2.3.1, RFC 7617). Encoding before joining is also
/// what lets an id have a colon.
fn basic(client_id: &str, client_secret: &Secret) -> Secret {
    let mut joined = SecretBuilder::with_capacity(3 * (client_id.len() + client_secret.len()) + 1);
    push_form_encoded(&mut joined, client_id.as_bytes());
    joined.push(b":");
    push_form_encoded(&mut joined, client_secret.expose());
    let joined = joined.finish();

    const SCHEME: &[u8] = b"Basic ";
    let encoded = base64::encoded_len(joined.len(), true).expect("a credential is far shorter than the address space");
    let mut header = vec![0; SCHEME.len() + encoded];
    header[..SCHEME.len()].copy_from_slice(SCHEME);
    BASE64.encode_slice(joined.expose(), &mut header[SCHEME.len()..]).expect("the room was computed for it");
    Secret::new(header)
}

fn check_credential(part: Part, bytes: &[u8]) -> Result<(), RequestError> {
    if bytes.is_empty() {
        return Err(RequestError::Empty(part));
    }
    // The standard allows printable ASCII alone; other letters are let through, since servers do.
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(RequestError::ControlCharacter(part));
    }
    Ok(())
}

fn joined_scope(provider: &Provider, scope: &[String]) -> Result<String, RequestError> {
    if scope.is_empty() && provider.scope_required {
        return Err(RequestError::ScopeMissing { provider: provider.name.clone() });
    }
    match scope.iter().position(|one| one.trim().is_empty() || one.chars().any(char::is_control)) {
        Some(index) => Err(RequestError::ScopeInvalid { position: index + 1 }),
        None => Ok(scope.join(&provider.scope_separator)),
    }
}

/// A body of `application/x-www-form-urlencoded`, built without a copy that nobody wipes.
struct Form {
    body: SecretBuilder,
    empty: bool,
}

impl Form {
    fn with_room_for(bytes: usize) -> Self {
        Self { body: SecretBuilder::with_capacity(3 * bytes + 256), empty: true }
    }

    fn push(&mut self, name: &str, value: &[u8]) {
        if !self.empty {
            self.body.push(b"&");
        }
        self.empty = false;
        push_form_encoded(&mut self.body, name.as_bytes());
        self.body.push(b"=");
        push_form_encoded(&mut self.body, value);
    }
}

/// Form-encodes (RFC 6749 appendix B). `~` stays as it is: who decodes reads the same, and the many servers that
/// forget to decode Basic credentials do too.
fn push_form_encoded(out: &mut SecretBuilder, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' | b'~' => out.push(&[byte]),
            b' ' => out.push(b"+"),
            _ => out.push(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}
