//! What an exchange came to, told in the few words that scheduling needs. No secret and no text of a provider is in it.

use std::time::Duration;

use crate::schedule::Lifetime;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The provider gave an access token.
    Success(Answer),
    /// It didn't, or nobody knows.
    Failure(Failure),
}

/// What matters of a success. The token itself stays with the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// How long the token lives, counted from the instant before the request was sent: the `now` of the input that led to
    /// [`Exchange`](crate::Action::Exchange).
    pub lifetime: Lifetime,
    /// When the provider asks to be asked again, counted from the same instant.
    pub refresh_in: Option<Duration>,
    /// The value is the one that the token has already: no new version is made, the expiry moves.
    pub same_value: bool,
}

/// What matters of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was; decides what happens next.
    pub class: FailureClass,
    /// Whether the provider can have seen the request.
    pub reach: Reach,
    /// `Retry-After` of the answer. Heeded for [`Throttled`](FailureClass::Throttled),
    /// [`Transient`](FailureClass::Transient) and [`Unknown`](FailureClass::Unknown).
    pub retry_after: Option<Duration>,
    /// Tells one failure from another inside a class: the keeper forms it from the HTTP status and the error's code. A
    /// failure with the class and cause of the last is counted on that one's history row.
    pub cause: u64,
}

/// Whether a request got out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Not a byte was sent: refused, no such host, TLS failed.
    NotSent,
    /// Some of it was sent, so the provider may have acted on it. For a grant that is safe to repeat that makes no
    /// difference; for one that spends its credential it is the difference between a retry and a recovery.
    Sent,
}

/// The kinds of failure, by what they call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum FailureClass {
    /// It may work next time: network, time-out, 5xx, the vault unreadable. Backoff.
    Transient,
    /// Too many requests. `Retry-After` where there is one, else backoff; the lane holds for a while.
    Throttled,
    /// The provider refuses the client itself (`invalid_client`). Alerts at once and pauses the lane; backoff behind that.
    Client,
    /// A person must consent again. Alerts at once; no more calls until somebody acts.
    Consent,
    /// The request is refused for what it is (`invalid_scope`). Alerts at once; tried slowly from then on.
    Permanent,
    /// The vault doesn't hold what the token is obtained with, so no call was made. Alerts at once, or where the token
    /// never had a value at the third attempt; tried slowly, and at once when the credential appears (the keeper calls [`renew_now`](crate::Standing::renew_now)).
    Credential,
    /// Nothing known about it: HTML where JSON belongs, a success without a token. Backoff.
    Unknown,
}

impl FailureClass {
    /// The word for it, as shown in history, metrics and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Client => "client",
            Self::Consent => "consent",
            Self::Permanent => "permanent",
            Self::Credential => "credential",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the owner is told of the first such failure, with no wait for another.
    #[must_use]
    pub fn alerts_at_once(self) -> bool {
        match self {
            Self::Client | Self::Consent | Self::Permanent | Self::Credential => true,
            Self::Transient | Self::Throttled | Self::Unknown => false,
        }
    }
}
