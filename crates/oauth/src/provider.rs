//! The facts about one API's token endpoint. They are data, never code: a preset's TOML file, an operator's table in
//! `vestal.toml`, and the JSON that the store keeps all hold the same fields.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::duration;

/// Everything that Vestal needs to know to get a token from one API, complete and checked.
///
/// Made by [`crate::resolve`] out of a preset and what the operator wrote over it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name that tokens refer to: 1 to 64 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// The name as people write it, for sentences.
    pub title: String,
    /// Where the facts come from.
    pub documentation: Documentation,
    /// The token endpoint (RFC 6749 section 3.2).
    pub token_url: Endpoint,
    /// How the client proves who it is (RFC 6749 section 2.3.1).
    pub client_auth: ClientAuth,
    /// The grants that the provider offers.
    pub grants: Vec<GrantType>,
    /// What stands between two scopes; a space in RFC 6749 section 3.3.
    pub scope_separator: String,
    /// Whether the provider refuses a request without a scope.
    pub scope_required: bool,
    /// Parameters that every token request carries besides those of the grant.
    pub parameters: BTreeMap<String, String>,
    /// Headers that every token request carries.
    pub headers: BTreeMap<String, String>,
    /// How to read the answer.
    pub answer: AnswerRules,
    /// How to read the token's lifetime.
    pub lifetime: LifetimeRules,
    /// What the provider's own errors mean. The first rule that matches decides, before the standard's meaning.
    pub errors: Vec<ErrorRule>,
    /// What renewal should know.
    pub renewal: RenewalHints,
}

/// Where a provider's facts come from, and which of them nobody has vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Documentation {
    /// The provider's own document.
    pub url: Option<String>,
    /// The day it was read, `YYYY-MM-DD`; `None` is shown as "unverified".
    pub checked: Option<String>,
    /// The fields that the document does not state, by name.
    pub unverified: Vec<String>,
}

/// How a client authenticates itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` as parameters of the body (`client_secret_post`).
    #[default]
    Form,
    /// HTTP Basic, id and secret form-encoded first (`client_secret_basic`).
    Basic,
}

/// A way to get an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 section 4.4: the client on its own behalf. Safe to repeat.
    ClientCredentials,
    /// RFC 6749 section 4.1: a person's consent.
    AuthorizationCode,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 8628.
    DeviceCode,
    /// RFC 7523 section 2.1.
    JwtBearer,
    /// RFC 8693.
    TokenExchange,
    /// RFC 6749 section 4.3.
    Password,
}

impl GrantType {
    /// The name in configuration and in sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "device_code",
            Self::JwtBearer => "jwt_bearer",
            Self::TokenExchange => "token_exchange",
            Self::Password => "password",
        }
    }
}

/// How a token endpoint's answer is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerRules {
    /// How the body is written.
    pub format: AnswerFormat,
    /// Where the access token stands.
    pub token: FieldPath,
    /// Where the refresh token stands.
    pub refresh_token: FieldPath,
    /// Where the error code stands (RFC 6749 section 5.2).
    pub error: FieldPath,
    /// What an answer with HTTP 200 must say to be a success. Without it, `"ok": false` and a non-empty error code
    /// are failures.
    pub success: Option<SuccessRule>,
}

impl Default for AnswerRules {
    fn default() -> Self {
        Self {
            format: AnswerFormat::Json,
            token: FieldPath::of("access_token"),
            refresh_token: FieldPath::of("refresh_token"),
            error: FieldPath::of("error"),
            success: None,
        }
    }
}

/// How the body of an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// A JSON object (RFC 6749 section 5.1).
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`, as some older endpoints answer.
    Form,
}

/// The field of a successful answer that says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuccessRule {
    /// Where it stands.
    pub field: FieldPath,
    /// What it holds. An answer without the field is no success.
    pub equals: Expected,
}

/// A value that a field is compared with. Numbers and booleans also match their text, since answers mix them up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Text, compared byte by byte.
    Text(String),
}

/// How an access token's lifetime is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifetimeRules {
    /// Where the answer says it.
    pub field: FieldPath,
    /// What the field's number or text means.
    pub unit: LifetimeUnit,
    /// What zero or less means. RFC 6749 doesn't say; most who send it mean a dead token, a few a token without end.
    pub zero: ZeroLifetime,
    /// The lifetime that the provider's document states, used where the answer says nothing.
    pub documented: Option<DocumentedLifetime>,
    /// Where the answer says when it wants the token renewed, in seconds from now.
    pub refresh_in: FieldPath,
}

impl Default for LifetimeRules {
    fn default() -> Self {
        Self {
            field: FieldPath::of("expires_in"),
            unit: LifetimeUnit::Seconds,
            zero: ZeroLifetime::Dead,
            documented: None,
            refresh_in: FieldPath::of("refresh_in"),
        }
    }
}

/// What a lifetime field means. In each case a string of digits is as good as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifetimeUnit {
    /// Seconds from now (RFC 6749 section 5.1).
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Minutes from now.
    Minutes,
    /// The instant of expiry, in seconds since 1970.
    UnixSeconds,
    /// The instant of expiry, in milliseconds since 1970.
    UnixMilliseconds,
    /// The instant of expiry as text: RFC 3339, or an HTTP date.
    Date,
}

/// What a lifetime of zero or less means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroLifetime {
    /// The token is dead already, and is refused.
    #[default]
    Dead,
    /// The token lives until it is revoked.
    Never,
}

/// A lifetime that stands in a document: a length of time, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentedLifetime {
    /// The token doesn't expire.
    Never,
    /// It lives this long.
    For(Duration),
}

/// What an error of the provider's own means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// The HTTP status it comes with; any where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error code it comes with; any where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it means.
    pub class: ErrorClass,
}

/// What a failure means for what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// It will pass: retry.
    Transient,
    /// Too many requests: retry later.
    Throttled,
    /// The client id or secret is wrong: it concerns every token of this client.
    Client,
    /// A person has to agree again.
    Consent,
    /// It will not pass until somebody changes a setting. Still retried, slowly.
    Permanent,
    /// Nobody knows.
    Unknown,
}

/// What renewal should know about a provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RenewalHints {
    /// Whether a new access token kills the previous one.
    pub kills_previous: bool,
    /// The part of the lifetime after which to renew, above 0 and at most 0.95. See [`Self::fraction`].
    pub at: Option<f64>,
    /// The least time between two renewals.
    #[serde(with = "duration::optional")]
    pub floor: Option<Duration>,
    /// The largest promise that this provider's habits allow, where it is smaller than the lifetime allows: some
    /// refuse an early renewal.
    #[serde(with = "duration::optional")]
    pub longest_promise: Option<Duration>,
}

impl RenewalHints {
    /// The part of the lifetime after which to renew, where the provider has a say in it: its own number, or 0.8
    /// where a new token kills the previous one (renewing at half-life would halve every reader's token).
    pub fn fraction(&self) -> Option<f64> {
        self.at.or(self.kills_previous.then_some(0.8))
    }
}

/// A token endpoint's URL: `https`, or `http` to this machine's own loopback; no user, no password, no fragment
/// (RFC 6749 section 3.2). A query is kept.
///
/// Which addresses may be reached is not decided here but where the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Checks the URL. The error says what is wrong with it, without repeating a password that stands in it.
    pub fn new(text: &str) -> Result<Self, String> {
        let url =
            Url::parse(text).map_err(|problem| format!("this is no URL ({problem}): write `https://host/path`"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a user or password stands in this URL: take it out, and put secrets into the vault".to_owned());
        }
        if url.fragment().is_some() {
            return Err("a token URL has no `#` part: take it out".to_owned());
        }
        let loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => return Err("this URL names no host: write `https://host/path`".to_owned()),
        };
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if loopback => Ok(Self(url)),
            "http" => Err("client secrets are never sent over plain http: write `https://`".to_owned()),
            other => Err(format!("`{other}` is no scheme for a token URL: write `https://`")),
        }
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// Where a value stands in an answer: keys with dots between them (`data.token`, `items.0.token`), or a JSON Pointer
/// (RFC 6901) where a key itself has a dot (`/data/access.token`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    written: String,
    steps: Vec<String>,
}

/// The deepest path: more is deeper than an answer may be.
const PATH_STEPS: usize = 16;

impl FieldPath {
    /// Reads a path. The error says what to write instead.
    pub fn new(written: &str) -> Result<Self, String> {
        let steps: Vec<String> = match written.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
            None => written.split('.').map(str::to_owned).collect(),
        };
        if steps.iter().any(String::is_empty) {
            return Err(format!("`{written}` is no path to a field: write it like `access_token` or `data.token`"));
        }
        if steps.len() > PATH_STEPS {
            return Err(format!("this path has {} steps, and at most {PATH_STEPS} are followed", steps.len()));
        }
        Ok(Self { written: written.to_owned(), steps })
    }

    /// The keys from the outside in.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// A path of one key, known to be fine.
    fn of(key: &str) -> Self {
        Self { written: key.to_owned(), steps: vec![key.to_owned()] }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Serde by way of text, for the types whose reading checks something.
macro_rules! as_text {
    ($type:ty, $read:expr, $write:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(&text).map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$write(self))
            }
        }
    };
}

as_text!(Endpoint, Endpoint::new, |endpoint: &Endpoint| endpoint.0.to_string());
as_text!(FieldPath, FieldPath::new, ToString::to_string);
as_text!(DocumentedLifetime, read_documented, |lifetime: &DocumentedLifetime| match lifetime {
    DocumentedLifetime::Never => "never".to_owned(),
    DocumentedLifetime::For(length) => duration::text(*length),
});

fn read_documented(text: &str) -> Result<DocumentedLifetime, String> {
    match text {
        "never" => Ok(DocumentedLifetime::Never),
        _ => match duration::parse(text)? {
            Duration::ZERO => Err("a documented lifetime of zero makes no sense: leave it out".to_owned()),
            length => Ok(DocumentedLifetime::For(length)),
        },
    }
}
