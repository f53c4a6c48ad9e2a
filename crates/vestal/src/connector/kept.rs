//! Connections that are kept for the next call to the same place.
//!
//! A delivery is three calls to one vault, and to open a connection takes longer than a call. What is kept was answered
//! whole and not closed since, as far as this side was told; a call that finds out that it was is made on a fresh one,
//! where that is safe (see [`super::TargetTransport`]).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::Conversation;

/// How long a connection is kept without a call. What stands between drops silent ones after minutes, and says nothing.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How long one is used at all, so that a name that moves is followed.
const LONGEST_LIFE: Duration = Duration::from_secs(120);

/// How many are kept for one place: as many as there are deliveries under way to a vault.
const MOST: usize = 16;

/// An open connection to a place.
pub(super) struct Kept {
    pub(super) conversation: Conversation,
    opened: Instant,
    rests_since: Instant,
}

impl Kept {
    pub(super) fn new(conversation: Conversation) -> Self {
        let now = Instant::now();
        Self { conversation, opened: now, rests_since: now }
    }

    fn is_good(&self) -> bool {
        self.conversation.is_open() && self.rests_since.elapsed() < LONGEST_REST && self.opened.elapsed() < LONGEST_LIFE
    }
}

/// The connections that rest, by host and port.
#[derive(Default)]
pub(super) struct KeptConnections(Mutex<BTreeMap<String, Vec<Kept>>>);

impl KeptConnections {
    /// The one that was used last: the others rest until they are closed.
    pub(super) fn take(&self, authority: &str) -> Option<Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = kept.get_mut(authority)?;
        resting.retain(Kept::is_good);
        resting.pop()
    }

    /// Keeps a connection for the next call, if there is one to be had.
    pub(super) async fn put(&self, authority: &str, mut used: Kept, end: Instant) {
        if !used.conversation.may_go_on(end).await {
            return;
        }
        used.rests_since = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of places that aren't called any more go with the next call to any place.
        kept.retain(|_, resting| {
            resting.retain(Kept::is_good);
            !resting.is_empty()
        });
        let resting = kept.entry(authority.to_owned()).or_default();
        if resting.len() < MOST {
            resting.push(used);
        }
    }
}
