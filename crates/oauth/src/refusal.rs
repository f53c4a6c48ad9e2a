//! Why no token was given.

use core::time::Duration;

use secret::Secret;

use crate::answer::{Asked, BODY_LIMIT, FORM, HttpAnswer, LONGEST_TOKEN, LifetimeSource, NoToken};
use crate::body::{DEPTH_LIMIT, Unreadable};
use crate::code::{Meaning, class_words, code_meaning, shown_code, status_meaning};
use crate::date;
use crate::provider::{ErrorClass, Provider};

/// A token endpoint gave no usable token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it means for what is done next.
    pub class: RefusalClass,
    /// The HTTP status.
    pub status: u16,
    /// The error code, where it is one that may be shown.
    pub error: Option<String>,
    /// What happened and what to do next, for a person. Never a piece of the body, never a secret.
    pub words: String,
    /// The provider's number for the request, where it sent one that may be shown.
    pub request_id: Option<String>,
}

/// What a refusal means for what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// It will pass: retry.
    Transient,
    /// Too many requests.
    Throttled {
        /// When the provider wants to be asked again, as it said it; its bounds are renewal's to set.
        retry_after: Option<Duration>,
    },
    /// The client id or secret is wrong: it concerns every token of this client.
    Client,
    /// A person has to agree again.
    Consent,
    /// It will not pass until somebody changes a setting. Still retried, slowly.
    Permanent,
    /// Nobody knows: retry.
    Unknown,
}

impl RefusalClass {
    /// The name in tables and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled { .. } => "throttled",
            Self::Client => "client",
            Self::Consent => "consent",
            Self::Permanent => "permanent",
            Self::Unknown => "unknown",
        }
    }
}

/// The refusal of an answer whose status is no success, `code` being the error code in its body.
pub(crate) fn of_failure(provider: &Provider, answer: &HttpAnswer, asked: &Asked, code: Option<&Secret>) -> Refusal {
    let text = code.and_then(Secret::expose_str);
    // What a failing or throttling server says besides is no judgement of the credential: its 500 with `invalid_grant`
    // must not end a consent.
    let code_counts = (400..500).contains(&answer.status) && !matches!(answer.status, 408 | 425 | 429);
    let meaning = by_rule(provider, answer.status, text)
        .or_else(|| code_meaning(text.filter(|_| code_counts)?, answer.status, provider, asked.grant))
        .unwrap_or_else(|| status_meaning(answer.status, provider));
    refusal(provider, answer, asked, text, &meaning)
}

/// The refusal of an answer whose status is a success, and which gives no token all the same.
pub(crate) fn of_success(provider: &Provider, answer: &HttpAnswer, asked: &Asked, odd: &NoToken) -> Refusal {
    let documentation = documentation_hint(provider);
    let (class, what, next) = match odd {
        NoToken::Failure(code) => {
            let text = code.as_ref().and_then(Secret::expose_str);
            let meaning = by_rule(provider, answer.status, text)
                .or_else(|| code_meaning(text?, answer.status, provider, asked.grant))
                .unwrap_or_else(|| Meaning {
                    class: ErrorClass::Unknown,
                    what: "the status is a success, and the body says that it failed".to_owned(),
                    next: format!(
                        "Look the error up{documentation}; an `errors` rule of the provider can say what it means"
                    ),
                });
            return refusal(provider, answer, asked, text, &meaning);
        }
        NoToken::Truncated if answer.body.len() >= BODY_LIMIT => (
            ErrorClass::Unknown,
            format!("the answer is longer than {} KiB, which no token is", BODY_LIMIT / 1024),
            "Check `token_url`: this looks like another page".to_owned(),
        ),
        NoToken::Truncated => (
            ErrorClass::Transient,
            "the answer ended in the middle".to_owned(),
            "Nothing to do: it is tried again".to_owned(),
        ),
        NoToken::Unconfirmed => (
            ErrorClass::Transient,
            "the connection ended without the sign that the answer is whole, and it is no complete JSON, so it may be cut"
                .to_owned(),
            "It is tried again; if it stays so, have the endpoint send `Content-Length`, or end TLS properly".to_owned(),
        ),
        NoToken::Empty => (
            ErrorClass::Unknown,
            "the answer is empty".to_owned(),
            "It is tried again; if it stays so, check `token_url`".to_owned(),
        ),
        NoToken::Unreadable(problem) => {
            let (what, next) = unreadable_words(*problem, answer);
            (ErrorClass::Unknown, what, next)
        }
        NoToken::Missing => (
            ErrorClass::Unknown,
            format!("there is no token at `{}` in the answer", provider.answer.token),
            format!("Set `answer.token` of the provider to where the token stands{documentation}"),
        ),
        NoToken::NotText => (
            ErrorClass::Unknown,
            format!("what stands at `{}` in the answer is no text", provider.answer.token),
            format!("Set `answer.token` of the provider to where the token stands{documentation}"),
        ),
        NoToken::TooLong => (
            ErrorClass::Permanent,
            format!("the token is longer than {LONGEST_TOKEN} bytes, which no secret of a vault can hold"),
            "Ask the provider for a shorter one, often by fewer scopes or claims".to_owned(),
        ),
        NoToken::Garbled => (
            ErrorClass::Unknown,
            "the token has control characters or broken escapes in it, and no request could carry it".to_owned(),
            "It is tried again; if it stays so, ask the provider".to_owned(),
        ),
        NoToken::Dead(source) => {
            (ErrorClass::Transient, dead_words(*source, provider), dead_hint(*source, answer, asked))
        }
    };
    refusal(provider, answer, asked, None, &Meaning { class, what, next })
}

/// What the provider's own error map says of it.
fn by_rule(provider: &Provider, status: u16, code: Option<&str>) -> Option<Meaning> {
    let rule = provider.errors.iter().find(|rule| {
        rule.status.is_none_or(|expected| expected == status)
            && rule.error.as_deref().is_none_or(|expected| code == Some(expected))
    })?;
    Some(class_words(rule.class, provider))
}

fn refusal(provider: &Provider, answer: &HttpAnswer, asked: &Asked, code: Option<&str>, meaning: &Meaning) -> Refusal {
    let error = code.and_then(|code| shown_code(code, provider));
    let wait = || {
        // Measured on the provider's own clock where it tells the time, so that skew doesn't matter.
        let now = answer.server_time().unwrap_or(asked.received_unix_seconds);
        date::retry_after(answer.headers.retry_after.as_deref()?, now)
    };
    let class = match meaning.class {
        ErrorClass::Transient if answer.status == 503 => match wait() {
            None => RefusalClass::Transient,
            retry_after => RefusalClass::Throttled { retry_after },
        },
        ErrorClass::Transient => RefusalClass::Transient,
        ErrorClass::Throttled => RefusalClass::Throttled { retry_after: wait() },
        ErrorClass::Client => RefusalClass::Client,
        ErrorClass::Consent => RefusalClass::Consent,
        ErrorClass::Permanent => RefusalClass::Permanent,
        ErrorClass::Unknown => RefusalClass::Unknown,
    };
    let shown = error.as_deref().map(|code| format!(", {code}")).unwrap_or_default();
    let Meaning { what, next, .. } = meaning;
    let words = format!("{} answered HTTP {}{shown}: {what}. {next}.", provider.title, answer.status);
    Refusal { class, status: answer.status, error, words, request_id: request_id(answer) }
}

/// The request's number, of characters that identifiers have.
fn request_id(answer: &HttpAnswer) -> Option<String> {
    let id = answer.headers.request_id.as_deref()?.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/=+".contains(&byte);
    ((1..=128).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned())
}

/// What can't be read, as far as it can be told without showing it, and what to do.
fn unreadable_words(problem: Unreadable, answer: &HttpAnswer) -> (String, String) {
    let media_type = answer.headers.media_type().unwrap_or_default();
    let looks_like_html = media_type == "text/html" || answer.body.expose().trim_ascii_start().starts_with(b"<");
    let (what, next) = match problem {
        Unreadable::Malformed if looks_like_html => (
            "the answer is a web page or XML, not JSON",
            "Check `token_url`; a login page, a proxy or a firewall in between answers like this too",
        ),
        Unreadable::Malformed if media_type == FORM => {
            ("the answer is form-encoded, not JSON", "Write `answer.format = \"form\"` into the provider")
        }
        Unreadable::Malformed => {
            ("the answer is not readable JSON", "It is tried again; if it stays so, check `token_url`")
        }
        Unreadable::TooDeep => {
            let what = format!("the answer is nested more than {DEPTH_LIMIT} levels deep");
            return (what, "Check `token_url`: no token answer needs that".to_owned());
        }
        Unreadable::DuplicateKey => {
            ("a key comes twice in the answer, and which one counts is anybody's guess", "Ask the provider")
        }
        Unreadable::NotAnObject => ("the answer is JSON, but not an object", "Check `token_url`"),
    };
    (what.to_owned(), next.to_owned())
}

fn dead_words(source: LifetimeSource, provider: &Provider) -> String {
    match source {
        LifetimeSource::Jwt => "the token in the answer has ended already, by its own `exp`".to_owned(),
        _ => format!("the provider says by `{}` that the token is already dead", provider.lifetime.field),
    }
}

/// A difference to the provider's clock of more than this, in seconds, is worth a word.
const SKEW_WORTH_A_WORD: u64 = 30;

fn dead_hint(source: LifetimeSource, answer: &HttpAnswer, asked: &Asked) -> String {
    let skew = answer.server_time().map_or(0, |theirs| theirs.abs_diff(asked.received_unix_seconds));
    match source {
        _ if skew > SKEW_WORTH_A_WORD => {
            format!("Check this machine's clock first: it is {skew} s off the provider's. It is tried again")
        }
        LifetimeSource::Jwt => "It is tried again; if it stays so, check this machine's clock".to_owned(),
        _ => "It is tried again; if the provider means a token without end by it, write `lifetime.zero = \"never\"` \
              into the provider"
            .to_owned(),
    }
}

/// ` in URL`, where the provider's document is known.
pub(crate) fn documentation_hint(provider: &Provider) -> String {
    provider.documentation.url.as_deref().map(|url| format!(" in {url}")).unwrap_or_default()
}
