//! Two clocks, and the one function that says how much life is left.
//!
//! A wall clock can be set, wrongly or rightly, in either direction. A monotonic clock can't, but it means nothing
//! after a reboot. So every instant is read from both, and the pessimistic one rules. The boot clock must go on
//! counting while the machine sleeps (`CLOCK_BOOTTIME`; `CLOCK_MONOTONIC` stops).

use std::time::Duration;

/// Wall and boot time parting by more than this between two looks is a jump.
pub const JUMP_TOLERANCE: Duration = Duration::from_secs(2);

/// Wall-clock time: milliseconds since the Unix epoch. All arithmetic saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Wall(pub i64);

impl Wall {
    /// The epoch. As an ordering key: before every real expiry.
    pub const EPOCH: Self = Self(0);
    /// An instant that is never reached: the due time of a token that only a person can help.
    pub const NEVER: Self = Self(i64::MAX);

    /// This instant moved later; saturates at [`Wall::NEVER`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This instant moved earlier; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How far this instant lies after `earlier`; zero where it doesn't.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        span(self.0.saturating_sub(earlier.0))
    }

    /// This instant rounded down to a whole second.
    #[must_use]
    pub fn floor_to_second(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1000)))
    }

    /// Whole seconds since the epoch, rounded down: how Key Vault's attributes count.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// Time since the machine booted, suspend included, and which boot that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Boot {
    /// Names the boot (a hash of the kernel's boot id). Times of two boots can't be compared.
    pub id: u64,
    /// Milliseconds since that boot.
    pub ms: u64,
}

/// One instant, read from both clocks at once. The `now` of every function of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Moment {
    /// The wall clock.
    pub wall: Wall,
    /// The boot clock.
    pub boot: Boot,
}

impl Moment {
    /// How long ago `earlier` was: by the boot clock under the same boot, else by the wall clock; never negative.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self.boot.id == earlier.boot.id {
            Duration::from_millis(self.boot.ms.saturating_sub(earlier.boot.ms))
        } else {
            self.wall.since(earlier.wall)
        }
    }
}

/// When an access token dies, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Expiry {
    /// By the wall clock, a whole second: what readers are told as `exp`.
    pub wall: Wall,
    /// The same instant by the boot clock of the boot that obtained the token; `None` where that is not known.
    pub boot: Option<Boot>,
}

impl Expiry {
    /// `exp = floor(t0 + L)`, where `t0` is the instant before the request was sent: rounded down to a whole second, so
    /// that nobody is told of a life that isn't there. Up to a second of `life` is given away for it.
    #[must_use]
    pub fn after(t0: Moment, life: Duration) -> Self {
        let wall = t0.wall.plus(life).floor_to_second();
        let boot = Boot { id: t0.boot.id, ms: offset(t0.boot.ms, wall.0.saturating_sub(t0.wall.0)) };
        Self { wall, boot: Some(boot) }
    }

    /// The expiry corrected for a provider whose clock runs ahead of ours. A length has no sign, so a correction can only
    /// ever move an expiry earlier: the sign of the skew is the commonest bug of all renewers.
    #[must_use]
    pub fn earlier_by(self, span: Duration) -> Self {
        Self {
            wall: self.wall.minus(span),
            boot: self.boot.map(|boot| Boot { ms: offset(boot.ms, millis(span).saturating_neg()), ..boot }),
        }
    }
}

/// Life left, in milliseconds; zero or negative once the token is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remaining(pub i64);

impl Remaining {
    /// The life left as a length; zero for a dead token.
    #[must_use]
    pub fn left(self) -> Duration {
        span(self.0)
    }

    /// The distance to the expiry, before it or after it.
    #[must_use]
    pub fn distance(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }

    /// Whether the token still has life, were it by a millisecond.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self.0 > 0
    }

    /// Whether `threshold` or less is left.
    #[must_use]
    pub fn is_within(self, threshold: Duration) -> bool {
        self.0 <= millis(threshold)
    }
}

/// `R = exp - now`, by whichever clock leaves less. The boot time counts only under the boot that it was read in.
///
/// This is the only place that computes remaining life: a wall clock set back is overruled by the boot clock, one set
/// ahead (or a suspend that a boot clock missed) shortens the life and so renews early.
#[must_use]
pub fn remaining(now: Moment, expiry: Expiry) -> Remaining {
    let by_wall = expiry.wall.0.saturating_sub(now.wall.0);
    let by_boot = expiry
        .boot
        .filter(|boot| boot.id == now.boot.id)
        .map(|boot| clamp_to_i64(i128::from(boot.ms) - i128::from(now.boot.ms)));
    Remaining(by_boot.map_or(by_wall, |by_boot| by_boot.min(by_wall)))
}

/// The wall clock was set, or the machine slept without its boot clock: the two parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// By how many milliseconds the wall clock moved ahead of the boot clock; negative where it went back.
    pub ahead_ms: i64,
}

/// Whether wall and boot time parted by more than [`JUMP_TOLERANCE`] between two looks. `None` across a reboot, where
/// nothing can be compared. After a jump the due times are computed again ([`crate::Standing::after_jump`]).
#[must_use]
pub fn jump(before: Moment, now: Moment) -> Option<Jump> {
    if before.boot.id != now.boot.id {
        return None;
    }
    let by_wall = i128::from(now.wall.0) - i128::from(before.wall.0);
    let by_boot = i128::from(now.boot.ms) - i128::from(before.boot.ms);
    let ahead_ms = clamp_to_i64(by_wall - by_boot);
    (ahead_ms.unsigned_abs() > JUMP_TOLERANCE.as_millis() as u64).then_some(Jump { ahead_ms })
}

/// A length in milliseconds, saturating at `i64::MAX`.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds as a length; zero for negative ones.
pub(crate) fn span(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn offset(ms: u64, by: i64) -> u64 {
    if by >= 0 { ms.saturating_add(by.unsigned_abs()) } else { ms.saturating_sub(by.unsigned_abs()) }
}

fn clamp_to_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
