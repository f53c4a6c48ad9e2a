//! How each target was found by the deliveries of this process, for people, and to tell a target that is down from
//! one that fails for a single name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use renewal::Wall;
use store::{TargetError, TargetErrorKind};

/// How a target was found when it was last called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// What the last call found.
    pub condition: TargetCondition,
    /// Since when every call has found just that.
    pub since: Wall,
    /// The last failure, over or not: what a person reads, and when it was.
    pub last_error: Option<(String, Wall)>,
}

/// What a call to a target found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCondition {
    /// It answers. What it refuses, it refuses for one name.
    Reachable,
    /// It can't be reached, or fails by itself.
    Unreachable,
    /// It answers, and asks for fewer calls.
    Throttling,
    /// It, or its authority, doesn't take Vestal's credential.
    CredentialRefused,
}

impl TargetCondition {
    /// What a failure says of the target; nothing where it may not even have been called.
    fn of(kind: TargetErrorKind) -> Option<Self> {
        match kind {
            TargetErrorKind::Unreachable => Some(Self::Unreachable),
            TargetErrorKind::Throttled => Some(Self::Throttling),
            TargetErrorKind::Unauthenticated => Some(Self::CredentialRefused),
            TargetErrorKind::Forbidden | TargetErrorKind::Occupied | TargetErrorKind::Unsettled => {
                Some(Self::Reachable)
            }
            TargetErrorKind::Unfit => None,
        }
    }

    /// The words that people read.
    pub fn words(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Unreachable => "unreachable",
            Self::Throttling => "asks for fewer calls",
            Self::CredentialRefused => "refuses Vestal's credential",
        }
    }
}

/// The targets that were called, by name.
#[derive(Default)]
pub(crate) struct Healths(Mutex<BTreeMap<String, Known>>);

struct Known {
    health: TargetHealth,
    /// When it last answered for any name.
    answered: Option<Wall>,
}

impl Healths {
    pub(crate) fn of(&self, target: &str) -> Option<TargetHealth> {
        self.lock().get(target).map(|known| known.health.clone())
    }

    /// Whether the target has answered for some name since.
    pub(crate) fn answered_since(&self, target: &str, since: Wall) -> bool {
        self.lock().get(target).and_then(|known| known.answered).is_some_and(|answered| answered > since)
    }

    /// A target is gone, or another now.
    pub(super) fn forget(&self, target: &str) {
        self.lock().remove(target);
    }

    /// A delivery there came to its end.
    pub(crate) fn note(&self, target: &str, outcome: Result<(), &TargetError>, now: Wall) {
        let found = outcome.map_or_else(|error| TargetCondition::of(error.kind), |()| Some(TargetCondition::Reachable));
        let mut healths = self.lock();
        let Some(condition) = found.or_else(|| healths.get(target).map(|known| known.health.condition)) else {
            return;
        };
        let fresh = || Known { health: TargetHealth { condition, since: now, last_error: None }, answered: None };
        let known = healths.entry(target.to_owned()).or_insert_with(fresh);
        if known.health.condition != condition {
            (known.health.condition, known.health.since) = (condition, now);
        }
        if found == Some(TargetCondition::Reachable) {
            known.answered = Some(now);
        }
        if let Err(error) = outcome {
            known.health.last_error = Some((error.words.clone(), now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: TargetErrorKind) -> TargetError {
        TargetError { kind, words: kind.word().to_owned(), retry_after: None }
    }

    #[test]
    fn a_condition_begins_where_the_one_before_ends() {
        let healths = Healths::default();
        assert_eq!(healths.of("contoso"), None, "it was never called");
        let unfit = failed(TargetErrorKind::Unfit);
        healths.note("contoso", Err(&unfit), Wall(0));
        assert_eq!(healths.of("contoso"), None, "it still was not");
        let mut seen = Vec::new();
        let (down, refused) = (failed(TargetErrorKind::Unreachable), failed(TargetErrorKind::Forbidden));
        let outcomes = [Ok(()), Ok(()), Err(&down), Err(&unfit), Err(&refused), Ok(())];
        for (at, outcome) in outcomes.into_iter().enumerate() {
            healths.note("contoso", outcome, Wall(i64::try_from(at).expect("small")));
            let health = healths.of("contoso").expect("it was called");
            seen.push((health.condition.words(), health.since.0, health.last_error.map_or(-1, |(_, at)| at.0)));
        }
        assert_eq!(
            seen,
            [
                ("reachable", 0, -1),
                ("reachable", 0, -1),
                ("unreachable", 2, 2),
                ("unreachable", 2, 3),
                ("reachable", 4, 4),
                ("reachable", 4, 4),
            ]
        );
        assert_eq!(healths.of("other"), None);
    }
}
