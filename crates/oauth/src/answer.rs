//! What a token endpoint's answer means.

use core::fmt;
use core::time::Duration;

use secret::Secret;

use crate::body::{self, Unreadable, Value};
use crate::provider::{AnswerFormat, Expected, FieldPath, GrantType, Provider};
use crate::refusal::{self, Refusal};
use crate::{date, lifetime};

/// The most bytes of a body that anybody reads. Whoever receives more stops there and says so ([`BodyEnd::Cut`]).
pub const BODY_LIMIT: usize = 256 * 1024;

/// What a token endpoint answered, whole. No Debug: the body may hold tokens.
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that matter.
    pub headers: AnswerHeaders,
    /// The body, at most [`BODY_LIMIT`] bytes of it.
    pub body: Secret,
    /// Whether that is all of it.
    pub end: BodyEnd,
}

/// Whether a body is known to be all that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// It is: it has its announced length, or the sign of its end came.
    Whole,
    /// Nobody can tell from outside: no length was announced, and the connection ended without a word. Many old servers
    /// end every answer so. A JSON object that was cut doesn't parse, so one that parses is whole; a form or a text
    /// may be cut anywhere, and proves nothing.
    Unconfirmed,
    /// It isn't: there was more than [`BODY_LIMIT`], or it broke off before its announced end.
    Cut,
}

/// The headers of an answer that matter; the others are not even copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Retry-After` (RFC 9110 section 10.2.3).
    pub retry_after: Option<String>,
    /// `Date`.
    pub date: Option<String>,
    /// The provider's number for this request, for its support; of the usual headers the first that is there.
    pub request_id: Option<String>,
}

/// A token was given. No Debug: it holds secrets.
pub struct Grant {
    /// The access token: not empty, no control characters, at most 25,600 bytes (what a vault's secret can hold).
    pub access_token: Secret,
    /// `token_type` as the provider wrote it, where it is short and plain.
    pub token_type: Option<String>,
    /// How long the token lives, from the instant before the request was sent.
    pub lifetime: Lifetime,
    /// Where the lifetime comes from.
    pub source: LifetimeSource,
    /// When the provider wants the token renewed, from the same instant.
    pub refresh_in: Option<Duration>,
    /// The scope that was granted, where the provider says so, with spaces between.
    pub scope: Option<String>,
    /// The refresh token, where there is a new one. Without one the old one stays (RFC 6749 section 6).
    pub refresh_token: Option<Secret>,
    /// What was odd about the answer without being wrong, in words for the history.
    pub notes: Vec<Note>,
}

/// How long an access token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// This long; more than zero, at most [`LONGEST_LIFETIME`].
    Known(Duration),
    /// Until it is revoked: nothing to renew.
    Never,
    /// Nobody says. Renew as if it were this long, and treat nothing as expired by it.
    Guess(Duration),
}

/// The longest lifetime that is believed: 10 years. More is counted as this, and noted.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The guess where nobody says how long a token lives.
pub const GUESSED_LIFETIME: Duration = Duration::from_secs(300);

/// Which rung of the ladder said how long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifetimeSource {
    /// A field of the answer.
    Answer,
    /// `exp` of the access token, a JWT (RFC 7519 section 4.1.4).
    Jwt,
    /// The lifetime seen last time.
    LastTime,
    /// The provider's documentation.
    Documented,
    /// The operator's setting.
    Operator,
    /// Nobody.
    Guess,
}

impl LifetimeSource {
    /// The name in tables and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Jwt => "jwt",
            Self::LastTime => "last_time",
            Self::Documented => "documented",
            Self::Operator => "operator",
            Self::Guess => "guess",
        }
    }
}

/// Something odd about an answer that was taken all the same. `Display` is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The body is right, its `Content-Type` is not.
    ContentType,
    /// The answer has a refresh token that is no string, too long, or has control characters: it was left out.
    RefreshTokenUnusable,
    /// The lifetime field was longer than [`LONGEST_LIFETIME`].
    LifetimeCapped,
    /// The lifetime field holds an instant, where the provider's table says a length of time.
    LifetimeIsInstant,
    /// The lifetime field holds nothing that can be read as one.
    LifetimeUnreadable,
    /// The connection ended without the sign that the answer is whole; that it is, its JSON shows.
    EndUnconfirmed,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContentType => "the answer's content type does not fit its body; the body was read all the same",
            Self::RefreshTokenUnusable => "the refresh token in the answer can't be used; the one before it stays",
            Self::LifetimeCapped => "the lifetime in the answer is longer than 10 years; it is counted as 10 years",
            Self::LifetimeIsInstant => {
                "the lifetime in the answer is an instant, not a length of time, and was read as one; \
                 write `lifetime.unit = \"unix_seconds\"` into the provider"
            }
            Self::LifetimeUnreadable => "the lifetime in the answer can't be read; it comes from elsewhere",
            Self::EndUnconfirmed => {
                "the provider closed the connection without saying that the answer is whole; it was taken because its \
                 JSON is complete"
            }
        })
    }
}

/// What was asked and when: all that reading an answer needs besides the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The grant that the request used.
    pub grant: GrantType,
    /// The lifetime of the token's last generation, where the provider said it then.
    pub seen_last: Option<Duration>,
    /// The lifetime that the operator set for the token.
    pub operator: Option<Duration>,
    /// When the answer arrived, in seconds since 1970.
    pub received_unix_seconds: i64,
}

impl HttpAnswer {
    /// The provider's clock, from `Date`, in seconds since 1970. It estimates skew; it decides nothing here.
    pub fn server_time(&self) -> Option<i64> {
        self.headers.date.as_deref().and_then(date::http_date)
    }
}

/// Headers longer than this are treated as not there.
const HEADER_VALUE_LIMIT: usize = 256;

/// The headers in which providers send a number for the request, best known first.
const REQUEST_ID_HEADERS: [&str; 9] = [
    "x-request-id",
    "request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-github-request-id",
    "x-correlation-id",
    "x-trace-id",
    "traceparent",
    "cf-ray",
];

impl AnswerHeaders {
    /// Picks the headers that matter, whatever their case. Of one that comes twice the first counts.
    pub fn collect<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut headers = Self::default();
        let mut request_id_rank = REQUEST_ID_HEADERS.len();
        for (name, value) in pairs {
            let name = name.to_ascii_lowercase();
            let text = || core::str::from_utf8(value).ok().filter(|text| text.len() <= HEADER_VALUE_LIMIT);
            let place = match name.as_str() {
                "content-type" => &mut headers.content_type,
                "retry-after" => &mut headers.retry_after,
                "date" => &mut headers.date,
                name => {
                    let rank = REQUEST_ID_HEADERS.iter().position(|known| *known == name);
                    if let (Some(rank), Some(text)) = (rank.filter(|rank| *rank < request_id_rank), text()) {
                        request_id_rank = rank;
                        headers.request_id = Some(text.to_owned());
                    }
                    continue;
                }
            };
            if place.is_none() {
                *place = text().map(str::to_owned);
            }
        }
        headers
    }

    /// The media type without its parameters, in lower case.
    pub(crate) fn media_type(&self) -> Option<String> {
        let essence = self.content_type.as_deref()?.split(';').next().unwrap_or_default();
        Some(essence.trim().to_ascii_lowercase())
    }
}

/// The longest access or refresh token: what the value of a vault's secret can hold, in bytes.
pub const LONGEST_TOKEN: usize = 25_600;

/// Reads an answer. Every input gives one or the other; none panics.
///
/// A success is any status from 200 to 299 whose body gives a usable token. What the body says wins over its
/// `Content-Type`.
///
/// # Errors
/// A [`Refusal`] where no usable token was given: it says what that means and what to do next.
pub fn read_answer(provider: &Provider, answer: &HttpAnswer, asked: &Asked) -> Result<Grant, Refusal> {
    let reader = Reader { provider, answer, asked };
    if !(200..300).contains(&answer.status) {
        return Err(reader.refused());
    }
    reader.granted().map_err(|odd| refusal::of_success(provider, answer, asked, &odd))
}

/// Why an answer of a successful status gives no token.
pub(crate) enum NoToken {
    /// The body was cut off.
    Truncated,
    /// The body has no confirmed end, and isn't a complete JSON object.
    Unconfirmed,
    /// The body is empty.
    Empty,
    /// The body can't be read.
    Unreadable(Unreadable),
    /// The body says that it is a failure, perhaps with an error code.
    Failure(Option<Secret>),
    /// There is no access token where it should be.
    Missing,
    /// The access token is not a string.
    NotText,
    /// A token is longer than [`LONGEST_TOKEN`].
    TooLong,
    /// A token has control characters, or text that stands for no characters.
    Garbled,
    /// The provider says that the token is dead already.
    Dead(LifetimeSource),
}

struct Reader<'a> {
    provider: &'a Provider,
    answer: &'a HttpAnswer,
    asked: &'a Asked,
}

impl Reader<'_> {
    fn granted(&self) -> Result<Grant, NoToken> {
        let rules = &self.provider.answer;
        let body = self.answer.body.expose();
        if self.answer.end == BodyEnd::Cut || body.len() > BODY_LIMIT {
            return Err(NoToken::Truncated);
        }
        if body.trim_ascii().is_empty() {
            return Err(if self.answer.end == BodyEnd::Whole { NoToken::Empty } else { NoToken::Unconfirmed });
        }
        let tree = self.tree().map_err(|problem| match (self.answer.end, problem) {
            (BodyEnd::Unconfirmed, Unreadable::Malformed) if !body.trim_ascii_start().starts_with(b"<") => {
                NoToken::Unconfirmed
            }
            _ => NoToken::Unreadable(problem),
        })?;
        self.check_success(&tree)?;

        let access_token = token(tree.at(&rules.token).ok_or(NoToken::Missing)?)?;
        let mut notes = Vec::new();
        // A refresh token that can't be used must not cost the access token.
        let refresh_token = match tree.at(&rules.refresh_token).map(token) {
            Some(Ok(refresh_token)) => Some(refresh_token),
            Some(Err(NoToken::Missing)) | None => None,
            Some(Err(_)) => {
                notes.push(Note::RefreshTokenUnusable);
                None
            }
        };
        if !self.content_type_fits() {
            notes.push(Note::ContentType);
        }
        if self.answer.end == BodyEnd::Unconfirmed {
            notes.push(Note::EndUnconfirmed);
        }
        let (lifetime, source) =
            lifetime::lifetime(&self.provider.lifetime, &tree, &access_token, self.asked, &mut notes)
                .map_err(|dead| NoToken::Dead(dead.0))?;
        Ok(Grant {
            refresh_in: lifetime::refresh_in(&self.provider.lifetime, &tree, lifetime),
            token_type: tree.field("token_type").and_then(token_type),
            scope: tree.field("scope").and_then(scope),
            access_token,
            lifetime,
            source,
            refresh_token,
            notes,
        })
    }

    /// The refusal that an answer of another status is. Its body is read for an error code alone, if it can be.
    fn refused(&self) -> Refusal {
        let readable = self.answer.end != BodyEnd::Cut && self.answer.body.len() <= BODY_LIMIT;
        let tree = readable.then(|| self.tree().ok()).flatten();
        let code = tree.as_ref().and_then(|tree| error_code(tree, &self.provider.answer.error));
        refusal::of_failure(self.provider, self.answer, self.asked, code.as_ref())
    }

    fn tree(&self) -> Result<Value<'_>, Unreadable> {
        let body = self.answer.body.expose();
        match self.provider.answer.format {
            // Errors come as JSON even from endpoints that answer in form encoding. Of a form whose end nobody
            // confirmed, the last field may be a part of itself.
            AnswerFormat::Form if self.answer.end == BodyEnd::Whole => {
                body::read_json(body).or_else(|_| body::read_form(body))
            }
            AnswerFormat::Json | AnswerFormat::Form => body::read_json(body),
        }
    }

    /// Whether a body of a successful status says that it is a success.
    fn check_success(&self, tree: &Value<'_>) -> Result<(), NoToken> {
        let rules = &self.provider.answer;
        let code = error_code(tree, &rules.error);
        let success = match &rules.success {
            Some(rule) => tree.at(&rule.field).is_some_and(|value| holds(value, &rule.equals)),
            None => code.is_none() && !matches!(tree.field("ok"), Some(Value::Flag(false))),
        };
        if success { Ok(()) } else { Err(NoToken::Failure(code)) }
    }

    fn content_type_fits(&self) -> bool {
        let Some(media_type) = self.answer.headers.media_type() else {
            return true;
        };
        match self.provider.answer.format {
            AnswerFormat::Json => is_json(&media_type),
            AnswerFormat::Form => media_type == FORM || is_json(&media_type),
        }
    }
}

/// The media type of form encoding.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// A token that can be used and kept.
fn token(value: &Value<'_>) -> Result<Secret, NoToken> {
    let Value::Text(text) = value else {
        return Err(NoToken::NotText);
    };
    let token = text.decode().ok_or(NoToken::Garbled)?;
    match token.expose() {
        [] => Err(NoToken::Missing),
        bytes if bytes.len() > LONGEST_TOKEN => Err(NoToken::TooLong),
        bytes if bytes.iter().any(u8::is_ascii_control) || token.expose_str().is_none() => Err(NoToken::Garbled),
        _ => Ok(token),
    }
}

/// The error code that a body carries: a string that isn't empty, a number that isn't 0, or, where `error` is an
/// object, its `code`, `type` or `status`.
fn error_code(tree: &Value<'_>, path: &FieldPath) -> Option<Secret> {
    let value = tree.at(path)?;
    let value = match value {
        Value::Object(_) => ["code", "type", "status"].iter().find_map(|key| value.field(key))?,
        _ => value,
    };
    value.scalar().filter(|code| !matches!(code.expose().trim_ascii(), b"" | b"0"))
}

fn holds(value: &Value<'_>, expected: &Expected) -> bool {
    let expected = match (value, expected) {
        (Value::Flag(flag), Expected::Flag(expected)) => return flag == expected,
        (_, Expected::Flag(expected)) => expected.to_string(),
        (_, Expected::Number(expected)) => expected.to_string(),
        (_, Expected::Text(expected)) => expected.clone(),
    };
    value.scalar().is_some_and(|text| text.expose() == expected.as_bytes())
}

/// `token_type` (RFC 6749 section 7.1), where it is a short plain word.
fn token_type(value: &Value<'_>) -> Option<String> {
    let text = value.scalar()?;
    let text = text.expose_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    ((1..=32).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

/// The longest scope that is kept, in bytes.
const LONGEST_SCOPE: usize = 4096;

/// `scope`, as one string or as a list of them, with spaces between; only of characters that a scope may have
/// (RFC 6749 section 3.3).
fn scope(value: &Value<'_>) -> Option<String> {
    let mut joined = String::new();
    for text in value.texts() {
        let text = text.decode()?;
        let text = text.expose_str()?;
        if !text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) || joined.len() + text.len() > LONGEST_SCOPE {
            return None;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(text);
    }
    (!joined.is_empty()).then_some(joined)
}
