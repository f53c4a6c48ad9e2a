//! Other vaults, to which generations of a token are delivered, and from which credentials may be read.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use secret::Secret;

/// An answer of a target.
pub type TargetAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TargetError>> + Send + 'a>>;

/// Another vault: what Vestal asks of it to deliver tokens.
///
/// A target never decides: which generation goes there, when, and what to do with somebody else's change is the
/// keeper's business. It never logs or tells a value. It may be asked about several names at once, about one name by
/// one delivery at a time; a call that was dropped may still take effect there.
pub trait Target: Send + Sync + 'static {
    /// Whether it can hold a secret of this name.
    ///
    /// # Errors
    /// What a name there must look like, in words.
    fn admits(&self, name: &str) -> Result<(), String>;

    /// What it holds under the name; `None` where there is nothing, and never was or was purged.
    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>>;

    /// Makes the parcel the current version under the name. The answer is the new version's id there.
    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String>;

    /// Makes a version that was superseded unreadable, where the target can; one that is gone already is no error.
    fn disable<'a>(&'a self, name: &'a str, version: &'a str) -> TargetAnswer<'a, ()>;

    /// How fast it may be written to.
    fn pace(&self) -> TargetPace;
}

/// How fast a target may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPace {
    /// One delivery may begin this often.
    pub interval: Duration,
    /// How many may begin at once after a rest.
    pub burst: u32,
    /// How many may be under way at one time.
    pub flights: u32,
}

/// What a target holds under a name: its current version.
pub struct Held {
    /// The value; `None` where the target doesn't give it out, since it is disabled or its time is over.
    pub value: Option<Secret>,
    /// The version's id there.
    pub version: String,
    /// Whether readers can get it.
    pub enabled: bool,
    /// `exp`, in Unix seconds.
    pub expires: Option<i64>,
    /// When the version was made, in Unix seconds, where the target tells.
    pub created: Option<i64>,
    /// What a delivery wrote beside it; `None` where somebody else wrote it.
    pub mark: Option<Mark>,
}

/// What tells a delivered version from one that somebody else wrote. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The token's id, 32 lower-case hexadecimal digits.
    pub token: String,
    /// Its generation.
    pub generation: u64,
}

/// A generation of a token, on its way.
pub struct Parcel {
    /// The access token.
    pub value: Secret,
    /// When it dies, in Unix seconds, where that is known.
    pub expires: Option<i64>,
    /// Whose it is.
    pub mark: Mark,
    /// The provider's name, for people.
    pub provider: String,
    /// When it was renewed, in Unix seconds, for people.
    pub renewed_at: i64,
}

/// Why a target did not do what it was asked. Nothing is known of what it did where it is
/// [`Unreachable`](TargetErrorKind::Unreachable).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// What follows from it.
    pub kind: TargetErrorKind,
    /// What happened, where, and what to do; without a secret, and without the target's own text.
    pub words: String,
    /// How long the target asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetErrorKind {
    /// It can't be reached, or failed by itself: all that is to be delivered there waits until it answers again.
    Unreachable,
    /// It asks for fewer calls.
    Throttled,
    /// It, or its authority, doesn't take the credential that Vestal has for it: a person must act.
    Unauthenticated,
    /// The credential lacks a right, for this name at least.
    Forbidden,
    /// The name is taken by something that Vestal may not replace: a deleted secret that can be recovered, or one that
    /// a certificate manages.
    Occupied,
    /// The target can't hold this: its name, its size.
    Unfit,
    /// What it holds under this name isn't settled: the name is just being deleted or recovered, or somebody else writes
    /// it at the same time. The target is up, and no other name has to wait for it.
    Unsettled,
}

impl TargetErrorKind {
    /// The word that is stored and counted.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Occupied => "occupied",
            Self::Unfit => "unfit",
            Self::Unsettled => "unsettled",
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words)
    }
}

impl core::error::Error for TargetError {}

/// The tag that holds [`Mark::token`], where a target has tags.
pub const TOKEN_TAG: &str = "vestal-token";
/// The tag that holds [`Parcel::provider`].
pub const PROVIDER_TAG: &str = "vestal-provider";
/// The tag that holds [`Parcel::renewed_at`], as a date of RFC 3339.
pub const RENEWED_TAG: &str = "vestal-renewed-at";
