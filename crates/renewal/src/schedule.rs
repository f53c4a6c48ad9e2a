//! The formulas: when to renew, when a token is in danger, how long to wait after a failure, what can be promised.
//!
//! `t0` is the instant before the request is sent, `L` the lifetime, `R` the life left. All are pure; those that
//! spread draw from the [`Random`] they are given. Nothing overflows: a lifetime is cut to [`LONGEST_LIFE`] first.

use std::fmt;
use std::time::Duration;

use crate::random::Random;
use crate::time::{Remaining, Wall, millis, span};

/// No lifetime is believed beyond this, 10 years: it keeps `expires_in` of 10¹² from overflowing anything.
pub const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The lifetime assumed where nothing tells it.
pub const GUESSED_LIFE: Duration = Duration::from_secs(300);
/// How often a token that never expires is asked for again, to see that its credential still works.
pub const VERIFY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// The least time from an answer to the next renewal, however short the token lives.
pub const SHORTEST_GAP: Duration = Duration::from_millis(500);
/// The least wait after a failure.
pub const SHORTEST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait after a failure that may cure itself.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// The longest wait after a failed probe of an open breaker. As long as the breaker itself opens: with the backoff of a
/// token alone, a lane of few tokens would notice the end of an outage up to five minutes late.
pub const LONGEST_PROBE_BACKOFF: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is honoured.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The longest wait for an answer of the token endpoint.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(30);
/// The shortest wait for an answer of the token endpoint.
pub const SHORTEST_DEADLINE: Duration = Duration::from_secs(5);

const JITTER: f64 = 0.10;
const REFRESH_IN_JITTER: f64 = 0.05;
/// No renewal comes earlier than at this part of the life: four a lifetime at the most, whatever is promised.
const EARLIEST: f64 = 0.25;
/// No `refresh_in` is followed beyond this part of the life.
const LATEST_REFRESH_IN: f64 = 0.85;

/// How long an access token lives, and how far that is a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Lifetime {
    /// Told, read, seen or documented. Readers see an expiry.
    Known(Duration),
    /// A guess, usually [`Lifetime::GUESS`]. It schedules a renewal; no expiry is written and nothing expires by it.
    Guess(Duration),
    /// The token doesn't expire. Nothing to renew; every [`VERIFY_EVERY`] it is seen whether the credential still works.
    Never,
}

impl Lifetime {
    /// The guess that is made where nothing tells the lifetime: five minutes.
    pub const GUESS: Self = Self::Guess(GUESSED_LIFE);

    /// The length that schedules, cut to [`LONGEST_LIFE`]; `None` for a token that never expires.
    #[must_use]
    pub fn length(self) -> Option<Duration> {
        match self {
            Self::Known(life) | Self::Guess(life) => Some(life.min(LONGEST_LIFE)),
            Self::Never => None,
        }
    }

    /// The length that is a fact, cut to [`LONGEST_LIFE`].
    #[must_use]
    pub fn known(self) -> Option<Duration> {
        match self {
            Self::Known(life) => Some(life.min(LONGEST_LIFE)),
            Self::Guess(_) | Self::Never => None,
        }
    }
}

/// What a provider asks of the pace of renewals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pacing {
    /// A renewal kills the previous access token at once (GitHub Apps, Wise), so it comes late: `f` = 0.80 and not 0.50.
    pub kills_previous: bool,
    /// The least time between two renewals where mints are limited; zero where they aren't. It wins over everything else,
    /// the promise included: breaking a mint limit costs more tokens than it saves.
    pub floor: Duration,
}

impl Pacing {
    /// `f`: the part of its life at which a token is renewed.
    fn fraction(self) -> f64 {
        if self.kills_previous { 0.80 } else { 0.50 }
    }
}

/// When to renew a token of which the provider says nothing but its life.
///
/// `renew_at = t0 + L·f·(1 + U(−0.10, 0.10))`; a `refresh_in` of the answer wins: `t0 + refresh_in·(1 ± 0.05)`. Both stay
/// inside `[0.25 L, 0.85 L]` (the first by itself, unless the promise draws it forward) and never come later than
/// [`room_for`] the promise; where both can't be had, `0.25 L` wins and the promise is broken, which
/// [`check_promise`] has said. Jitter is kept at the bounds: they move its centre, so a thousand tokens of one
/// minute don't end on one instant. Last, never sooner than the provider's floor.
///
/// `life` is the one that the expiry really leaves: `exp − t0`, up to a second less than was told.
#[must_use]
pub fn renew_at(
    t0: Wall,
    life: Duration,
    refresh_in: Option<Duration>,
    pacing: Pacing,
    promise: Duration,
    random: &mut Random,
) -> Wall {
    let length = length(life);
    let (wanted, jitter) = match refresh_in {
        Some(refresh_in) => ((millis(refresh_in) as f64).min(LATEST_REFRESH_IN * length), REFRESH_IN_JITTER),
        None => (pacing.fraction() * length, JITTER),
    };
    let latest = match refresh_in {
        Some(_) => LATEST_REFRESH_IN * length,
        None => length,
    };
    let latest = latest.min(millis(latest_start(life, pacing, promise)) as f64);
    let earliest = EARLIEST * length;
    // In this order: where the bounds cross, the earliest wins.
    let centre = wanted.min(latest / (1.0 + jitter)).max(earliest / (1.0 - jitter));
    let offset = span((centre * (1.0 + random.uniform(-jitter, jitter))) as i64);
    t0.plus(offset.max(pacing.floor.min(LONGEST_LIFE)))
}

/// When to look at a token that never expires: after [`VERIFY_EVERY`], spread by ±10 %.
#[must_use]
pub fn verify_at(t0: Wall, random: &mut Random) -> Wall {
    let spread = random.uniform(1.0 - JITTER, 1.0 + JITTER);
    t0.plus(VERIFY_EVERY.mul_f64(spread))
}

/// The room that a renewal has for its troubles before the promise (or the hard stop) is reached: a third of what a token
/// without any promise could ride out, `(L·(1 − 1.1·f) − H) / 3`. Nine minutes for a one-hour token.
#[must_use]
pub fn room_for(life: Duration, pacing: Pacing) -> Duration {
    // Whole numbers, so that what is refused and what is scheduled agree to the millisecond.
    let permille_left = if pacing.kills_previous { 120 } else { 450 };
    let margin = life.min(LONGEST_LIFE) * permille_left / 1000;
    whole_millis(margin.saturating_sub(hard_stop(life, Duration::ZERO)) / 3)
}

/// The largest promise that holds for a token of this life at this pace.
///
/// A promise is the life that a reader is sure to find left. It holds when a renewal starts with the promise **and** the
/// [room](room_for) still ahead of it, so a third of the usual margin remains to ride out an outage without breaking it;
/// and it may draw the renewal forward to `0.25 L` and no further, so a token is renewed four times a
/// lifetime at the most. With jitter that leaves `L − max(0.3056 L, floor) − room`, over the life that is left when
/// the expiry has been rounded down to a whole second: 32 minutes for a one-hour token, 33 s for one of a minute.
#[must_use]
pub fn largest_promise(life: Duration, pacing: Pacing) -> Duration {
    let life = life.min(LONGEST_LIFE).saturating_sub(Duration::from_secs(1));
    let latest_centre = life * 275 / 900;
    let before_renewal = latest_centre.max(pacing.floor);
    whole_millis(life.saturating_sub(before_renewal).saturating_sub(room_for(life, pacing)))
}

/// Whether a promise can hold for a token of this life at this pace. No promise (zero) always does.
///
/// # Errors
/// [`PromiseTooLong`] with the largest that would hold.
pub fn check_promise(promise: Duration, life: Duration, pacing: Pacing) -> Result<(), PromiseTooLong> {
    let largest = largest_promise(life, pacing);
    if promise.is_zero() || promise <= largest { Ok(()) } else { Err(PromiseTooLong { promise, life, largest }) }
}

/// A promise that can't be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromiseTooLong {
    /// What was promised.
    pub promise: Duration,
    /// The lifetime it was measured against.
    pub life: Duration,
    /// What would hold; may be zero.
    pub largest: Duration,
}

impl fmt::Display for PromiseTooLong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a promise of {} can't hold for a token that lives {}: ", plain(self.promise), plain(self.life))?;
        if self.largest < Duration::from_secs(1) {
            out.write_str("its life leaves no room for any; leave the promise out")
        } else {
            write!(out, "promise {} or less, so that a renewal has time to be tried again", plain(self.largest))
        }
    }
}

impl std::error::Error for PromiseTooLong {}

/// The thresholds of life left at which a token is in danger. Fixed when a token is obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Margins {
    /// First in its lane, and `expiring`.
    pub urgent: Duration,
    /// A reader may wait up to 5 s for the flight that is already under way.
    pub mandatory: Duration,
    /// `expired`: closer to the end than a request to the API can be trusted to be.
    pub hard_stop: Duration,
}

impl Margins {
    /// The margins of a token with the life `life`, first planned to be renewed when `at_renewal` is left.
    ///
    /// Beyond the formulas: a renewal that goes well never finds its token urgent, or late renewals (`f` = 0.80, a late
    /// `refresh_in`) would alert each time. So urgent is three quarters of `at_renewal` at the most, which changes
    /// nothing at `f` = 0.50. And a token is urgent as soon as less than its promise is left (or nine tenths of
    /// `at_renewal`, where the promise can't hold).
    #[must_use]
    pub fn new(life: Duration, at_renewal: Duration, promise: Duration, uncertainty: Duration) -> Self {
        let hard_stop = hard_stop(life, uncertainty);
        let in_danger = urgent(life).min(at_renewal / 4 * 3);
        let promised = promise.min(at_renewal / 10 * 9);
        let urgent = in_danger.max(promised).max(hard_stop);
        Self { urgent, mandatory: mandatory(life).min(urgent), hard_stop }
    }
}

/// `urgent: R ≤ max(0.20 L, min(5 min, L/3))`.
#[must_use]
pub fn urgent(life: Duration) -> Duration {
    let life = life.min(LONGEST_LIFE);
    (life / 5).max((life / 3).min(Duration::from_secs(300)))
}

/// `mandatory: R ≤ min(max(60 s, 0.05 L), L/4)`.
#[must_use]
pub fn mandatory(life: Duration) -> Duration {
    let life = life.min(LONGEST_LIFE);
    (life / 20).max(Duration::from_secs(60)).min(life / 4)
}

/// `hard stop: R ≤ H = min(5 s, L/10) + clock uncertainty`; the uncertainty is zero until it is measured.
#[must_use]
pub fn hard_stop(life: Duration, uncertainty: Duration) -> Duration {
    (life / 10).min(Duration::from_secs(5)).saturating_add(uncertainty).min(LONGEST_LIFE)
}

/// The most that a wait after a failure may grow to: `clamp(|R|/8, 5 s, 300 s)`. It shrinks towards expiry and grows again
/// after it. 300 s where there is no expiry.
#[must_use]
pub fn backoff_cap(left: Option<Remaining>) -> Duration {
    let longest = Duration::from_secs(300);
    left.map_or(longest, |left| (left.distance() / 8).clamp(Duration::from_secs(5), longest))
}

/// The wait after failure number `step` (from 0) of a row: `U(0, min(cap, 1 s·2ᵏ))`, never under 1 s. It never gives up.
#[must_use]
pub fn backoff(step: u32, cap: Duration, random: &mut Random) -> Duration {
    let doubled = Duration::from_secs(1_u64.checked_shl(step).unwrap_or(u64::MAX));
    random.up_to(doubled.min(cap)).max(SHORTEST_BACKOFF)
}

/// A `Retry-After`, honoured within `[1 s, min(3600 s, R/4)]` while `R > 0`, else within `[1 s, 3600 s]`.
#[must_use]
pub fn retry_after(asked: Duration, left: Option<Remaining>) -> Duration {
    let longest = match left {
        Some(left) if left.is_alive() => (left.left() / 4).min(LONGEST_RETRY_AFTER),
        _ => LONGEST_RETRY_AFTER,
    };
    asked.min(longest).max(SHORTEST_BACKOFF)
}

/// The wait after a failure that trying again won't cure by itself (a scope that is refused, a credential that isn't
/// there): `R/4` within `[60 s, 900 s]`, 900 s where there is no expiry, spread by ±10 %. Slow, since each call is
/// wasted, yet not for ever, since providers call things permanent that aren't.
#[must_use]
pub fn slow_retry(left: Option<Remaining>, random: &mut Random) -> Duration {
    let longest = Duration::from_secs(900);
    let wait = left.map_or(longest, |left| (left.left() / 4).clamp(Duration::from_secs(60), longest));
    wait.mul_f64(random.uniform(1.0 - JITTER, 1.0 + JITTER))
}

/// How long a token endpoint may take: `clamp(L/3, 5 s, 30 s)`, 30 s where no lifetime is known. A third, so that a token
/// that lives for seconds isn't lost to one answer that never comes.
#[must_use]
pub fn deadline(lifetime: Option<Lifetime>) -> Duration {
    lifetime
        .and_then(Lifetime::known)
        .map_or(LONGEST_DEADLINE, |life| (life / 3).clamp(SHORTEST_DEADLINE, LONGEST_DEADLINE))
}

/// The latest start of a renewal, from `t0`, that still leaves the promise (or the hard stop) and the room.
fn latest_start(life: Duration, pacing: Pacing, promise: Duration) -> Duration {
    let kept = promise.max(hard_stop(life, Duration::ZERO));
    life.min(LONGEST_LIFE).saturating_sub(kept).saturating_sub(room_for(life, pacing))
}

fn whole_millis(length: Duration) -> Duration {
    span(millis(length))
}

/// A life in milliseconds; exact, since ten years of them fit an f64.
fn length(life: Duration) -> f64 {
    millis(life.min(LONGEST_LIFE)) as f64
}

/// A length as people write it: `1h 30m`, `32m 41s`, `500ms`.
fn plain(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds == 0 {
        return format!("{}ms", span.as_millis());
    }
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}"));
    parts.collect::<Vec<_>>().join(" ")
}
