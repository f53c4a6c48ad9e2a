//! What the keeper tells an [`Attempt`](crate::Attempt), and how it is told that it spoke out of turn.

use std::fmt;

use crate::outcome::Outcome;
use crate::standing::Standing;

/// What the keeper tells the machine. Each answers one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Start. The keeper holds a permit of the lane.
    Begin,
    /// [`Action::Claim`](crate::Action::Claim): the claim is durable.
    Claimed {
        /// The fence that it raised.
        fence: u64,
        /// The number of this attempt, for its history row.
        attempt: u64,
    },
    /// [`Action::Claim`](crate::Action::Claim): somebody else has the token, or its generation has moved.
    ClaimLost,
    /// [`Action::OpenCredential`](crate::Action::OpenCredential): what the vault says.
    Credential(Credential),
    /// [`Action::Exchange`](crate::Action::Exchange): how it ended. A time-out is a failure that was
    /// [`Sent`](crate::Reach::Sent).
    Exchanged(Outcome),
    /// [`Action::Promote`](crate::Action::Promote): it is durable. Also the answer where an earlier try of this attempt
    /// turns out to have been committed.
    Promoted,
    /// [`Action::Promote`](crate::Action::Promote): another renewal is in its place.
    PromoteLost,
    /// [`Action::Settle`](crate::Action::Settle): it is durable.
    Settled,
    /// [`Action::Settle`](crate::Action::Settle): the claim is somebody else's by now.
    SettleLost,
    /// [`Action::Promote`](crate::Action::Promote) or [`Action::Settle`](crate::Action::Settle): the claim still holds, but
    /// the standing was changed under it (a pause, a person's wish). Here it is as it stands; the same is decided over it
    /// again.
    Changed(Box<Standing>),
    /// [`Action::Claim`](crate::Action::Claim), [`Action::Promote`](crate::Action::Promote) or
    /// [`Action::Settle`](crate::Action::Settle): the store couldn't.
    StoreFailed,
    /// [`Action::Wait`](crate::Action::Wait): the wait is over.
    Elapsed,
}

/// Whether there is something to obtain the token with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// It is open, and stays with the keeper.
    Ready,
    /// The vault doesn't hold it, or it is disabled or expired.
    Missing,
    /// The vault couldn't be read.
    Unreadable,
}

/// An input that answers nothing the machine has asked for. The machine is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfTurn {
    /// What the machine waits for.
    pub stage: &'static str,
    /// What it was given.
    pub input: &'static str,
}

impl fmt::Display for OutOfTurn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the attempt is {} and was given '{}', which answers nothing it asked for", self.stage, self.input)
    }
}

impl std::error::Error for OutOfTurn {}

impl Input {
    /// The word for it, for [`OutOfTurn`].
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Claimed { .. } => "claimed",
            Self::ClaimLost => "claim lost",
            Self::Credential(_) => "credential",
            Self::Exchanged(_) => "exchanged",
            Self::Promoted => "promoted",
            Self::PromoteLost => "promote lost",
            Self::Settled => "settled",
            Self::SettleLost => "settle lost",
            Self::Changed(_) => "changed",
            Self::StoreFailed => "store failed",
            Self::Elapsed => "elapsed",
        }
    }
}
