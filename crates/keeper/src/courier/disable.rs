//! Superseded versions: which there are, and that readers can't get them any more where that is wanted.

use core::time::Duration;

use renewal::{Wall, schedule};
use store::{DeliveryFailure, DeliveryState, NotDisabled, Store, Target, TargetError};

use super::Courier;
use super::carry::is_danger;
use crate::definition::DeliverTo;
use crate::port::{Clock, DeliveryOutcome, Observer};

/// How many superseded versions are remembered until they are disabled. Of more, the oldest stay as they are.
const MOST_SUPERSEDED: usize = 16;

/// The longest wait until it is tried again what failed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A version of ours is there; the one before is to be disabled, where that is wanted.
pub(super) fn supersede(state: &mut DeliveryState, version: String, to: &DeliverTo) {
    if let Some(superseded) = state.version.replace(version)
        && to.disable_superseded
    {
        if state.superseded.len() == MOST_SUPERSEDED {
            state.superseded.remove(0);
            state.left_enabled += 1;
        }
        state.superseded.push(superseded);
    }
    state.versions += 1;
}

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    /// Disables what newer versions superseded. What fails is tried again later, ever more seldom; the answer is what is
    /// to be told of it.
    pub(super) async fn disable_superseded(
        &self,
        target: &dyn Target,
        to: &DeliverTo,
        name: &str,
        state: &mut DeliveryState,
    ) -> Option<DeliveryOutcome> {
        if !to.disable_superseded {
            // It isn't wanted any more.
            (state.superseded, state.not_disabled, state.left_enabled) = (Vec::new(), None, 0);
            return None;
        }
        let now = self.clock.now().wall.0;
        if state.not_disabled.as_ref().is_some_and(|known| known.again_at > now) {
            return None;
        }
        while let Some(version) = state.superseded.first() {
            if let Err(error) = self.targets.call(&self.clock, &to.target, target.disable(name, version)).await {
                self.targets.healths.note(&to.target, Err(&error), self.clock.now().wall);
                return self.not_disabled(error, state);
            }
            state.superseded.remove(0);
        }
        state.not_disabled = None;
        None
    }

    fn not_disabled(&self, error: TargetError, state: &mut DeliveryState) -> Option<DeliveryOutcome> {
        let now = self.clock.now().wall;
        // It may be one version alone that can't be: the others come first the next time.
        state.superseded.rotate_left(1);
        let known = state.not_disabled.take();
        let told = known.as_ref().is_some_and(|known| known.told);
        let failures = known.as_ref().map_or(1, |known| known.failures.saturating_add(1));
        let since = known.map_or(now.0, |known| known.failure.since);
        let wait = schedule::backoff(failures.min(16), LONGEST_WAIT, &mut renewal::Random::new(self.seed()));
        let TargetError { kind, words, .. } = error;
        let alert = !told && is_danger(kind, failures, now.since(Wall(since)));
        state.not_disabled = Some(NotDisabled {
            failure: DeliveryFailure { kind: kind.word().to_owned(), words: words.clone(), since, at: now.0 },
            failures,
            again_at: now.plus(wait).0,
            told: told || alert,
        });
        let versions = state.superseded.len() as u64 + state.left_enabled;
        Some(DeliveryOutcome::NotDisabled { kind, words, versions, alert })
    }
}
