//! The words for how a token stands.

use std::fmt;

/// How a token stands, for people and metrics. Derived by one function, [`Standing::state`](crate::Standing::state).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenState {
    /// It lives and its next renewal lies ahead.
    Fresh,
    /// Its renewal is due, or it never had a value; nothing has failed.
    Due,
    /// Its last attempt failed; the next is scheduled.
    Retrying,
    /// Little life is left (`R ≤ urgent`).
    Expiring,
    /// Its life is over, or too close to its end to be used (`R ≤ hard stop`).
    Expired,
    /// The provider wants a person's consent; no calls are made until somebody acts.
    NeedsConsent,
    /// It isn't renewed: by a person's wish, or because its secret or its definition is gone.
    Paused,
}

impl TokenState {
    /// All of them, for metrics that name each.
    pub const ALL: [Self; 7] =
        [Self::Fresh, Self::Due, Self::Retrying, Self::Expiring, Self::Expired, Self::NeedsConsent, Self::Paused];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Due => "due",
            Self::Retrying => "retrying",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::NeedsConsent => "needs consent",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for TokenState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// What a reader is told about a token: whether the value can be used, whatever goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WireState {
    /// It lives.
    Fresh,
    /// It lives, but not for long.
    Expiring,
    /// It is dead, too close to its end, or was never there.
    Expired,
}

impl WireState {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
        }
    }
}

/// Why a token is paused. Several may hold at once; each is lifted by its own cause alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum PauseReason {
    /// Somebody paused it.
    Person,
    /// Its secret is deleted; recovering the secret resumes it.
    SecretDeleted,
    /// Its definition has left the configuration.
    DefinitionGone,
}

impl PauseReason {
    /// The reason in words that complete "paused: …".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "by a person",
            Self::SecretDeleted => "its secret is deleted",
            Self::DefinitionGone => "its definition is gone",
        }
    }
}
