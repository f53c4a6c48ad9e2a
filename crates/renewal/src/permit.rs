//! The words between the keeper and a [`Lane`](crate::Lane): what is wanted, given, refused and returned.

use std::time::Duration;

use crate::time::Wall;

/// What a permit is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A renewal that is due.
    Due,
    /// A token that has reached its mandatory window ([`Standing::is_mandatory`](crate::Standing::is_mandatory)). A pause
    /// lets it through, once a token: the keeper sees to the once. Bucket, flights and breaker hold it like any other.
    Mandatory,
}

/// The right to make one attempt. Goes back to the lane that gave it, by [`Lane::returned`](crate::Lane::returned), as soon as the exchange
/// is over; it can't be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that isn't returned blocks one of the lane's flights until it counts as lost"]
pub struct Permit {
    pub(crate) number: u64,
    pub(crate) probe: bool,
}

impl Permit {
    /// Whether the attempt is the one that tries whether an outage is over
    /// ([`Attempt::as_probe`](crate::Attempt::as_probe)).
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// What came of a permit, as far as it concerns the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The provider gave a token. Ends whatever held the lane, but for a wait that it asked for.
    Success,
    /// The provider answered, with a refusal that concerns this token alone. It is up: ends an open breaker.
    Answered,
    /// The provider failed, or couldn't be reached.
    Failed,
    /// The provider said to slow down: a failure, and the lane holds for the time it asked, or ever longer where it names
    /// none ([`LaneLimits::throttle_longest`](crate::LaneLimits::throttle_longest) at the most; a single token waits longer
    /// by its own schedule).
    Throttled(Option<Duration>),
    /// The provider refused the client. Pauses the lane.
    ClientRefused,
    /// No call was made. Frees the flight and the probe's place; what it took from the bucket is gone.
    Unused,
}

/// What a returned permit changed. Anything but `Nothing` is worth storing ([`Lane::record`](crate::Lane::record)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that outlives the process.
    Nothing,
    /// The breaker is open, until the given time.
    Opened(Wall),
    /// The client is refused; the next probe may go at the given time.
    Paused(Wall),
    /// An outage or a pause has ended: [kick](crate::Standing::kick) the lane's waiting tokens, spread over
    /// [`Lane::spread`](crate::Lane::spread).
    Recovered,
}

/// Why a lane gives no permit, and when it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// What holds it the longest.
    pub by: ClosedBy,
    /// When to ask again: the earliest time at which a permit can be had, if nothing else happens. Where only a
    /// returning permit can open the lane, a second from now.
    pub opens: Wall,
}

/// What holds a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The bucket is empty.
    Bucket,
    /// As many attempts are in flight as may be.
    Flights,
    /// The provider asked to be left alone for a while.
    Throttle,
    /// The provider is down.
    Breaker,
    /// The one probe of an open breaker or of a pause is in flight.
    Probe,
    /// The client is refused.
    Pause,
}

impl ClosedBy {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Flights => "flights",
            Self::Throttle => "throttle",
            Self::Breaker => "breaker",
            Self::Probe => "probe",
            Self::Pause => "pause",
        }
    }
}

/// How many permits a lane would give now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// So many, at least one.
    Open(u32),
    /// One, to try whether the outage is over. It should go to the due token with the most life left, which has the
    /// least to lose.
    Probe,
    /// None.
    Closed(Closed),
}
