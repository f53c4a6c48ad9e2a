//! What an [`Attempt`](crate::Attempt) asks of the keeper, and what it reports.

use std::time::Duration;

use crate::notice::Notice;
use crate::outcome::FailureClass;
use crate::permit::Verdict;
use crate::standing::Standing;
use crate::time::{Moment, Wall};

/// What the keeper does next, in the order given. [`Return`](Self::Return) and [`Finish`](Self::Finish) have no answer;
/// each other action is answered by one [`Input`](crate::Input).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take the durable right to this attempt: fence + 1, holder, lease, intent; only where the generation is still this
    /// one and no lease lives.
    Claim {
        /// The generation that is to be replaced.
        parent_generation: u64,
        /// How long the claim holds: twice the deadline of the exchange.
        lease: Duration,
    },
    /// Open what the token is obtained with.
    OpenCredential,
    /// Call the token endpoint, in a task of the keeper's own.
    Exchange {
        /// The whole of the call, connecting included.
        deadline: Duration,
    },
    /// Give the lane its permit back.
    Return(Verdict),
    /// Make the answer durable, in one transaction: the new secret version (or, with `same_value`, the new `exp` of the
    /// current one), the standing, the history row. Only where the generation is still that of the claim.
    Promote {
        /// How the token stands from now on.
        standing: Box<Standing>,
        /// The history row.
        record: AttemptRecord,
        /// No new version; the expiry of the current one moves.
        same_value: bool,
    },
    /// Make a failure durable: the standing and the history row, and the end of the claim. Only where the fence is still
    /// that of the claim.
    Settle {
        /// How the token stands from now on.
        standing: Box<Standing>,
        /// The history row.
        record: AttemptRecord,
    },
    /// Wait, then say [`Input::Elapsed`](crate::Input::Elapsed). The store failed; what is held stays held.
    Wait(Duration),
    /// The attempt is over.
    Finish(Report),
}

/// What this crate knows of an attempt's history row. The keeper adds the HTTP status and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AttemptRecord {
    /// The number of the attempt.
    pub attempt: u64,
    /// The fence of its claim.
    pub fence: u64,
    /// When it began.
    pub started: Moment,
    /// When its outcome was known.
    pub ended: Moment,
    /// How it ended.
    pub result: AttemptResult,
    /// It failed as the one before did: count it on that one's row, don't add a row.
    pub repeats_last: bool,
    /// When the next attempt is due.
    pub next_due: Wall,
}

/// How an attempt ended, in its history row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AttemptResult {
    /// A new token, as this generation.
    Renewed(u64),
    /// The same token, with a new expiry.
    SameValue,
    /// A failure.
    Failed(FailureClass),
}

impl AttemptResult {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Renewed(_) => "renewed",
            Self::SameValue => "same value",
            Self::Failed(class) => class.name(),
        }
    }
}

/// How an attempt ended, for the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What came of it.
    pub end: End,
    /// What the owner is to be told. Already marked as told in the standing that was written.
    pub notices: Vec<Notice>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is in the history with this result, and the standing with it.
    Recorded(AttemptResult),
    /// Nothing was done: somebody else has the token.
    ClaimLost,
    /// Nothing was done: the store couldn't take the claim. The token is still due; the keeper waits for its store.
    NotClaimed,
    /// Another attempt was faster; what this one got is dropped, and the other's value stands.
    Superseded,
}
