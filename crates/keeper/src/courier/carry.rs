//! A delivery from its row to its row: who it is of, the round that is made for it, and what is noted and told of that.

use core::time::Duration;

use renewal::{Verdict, Wall, schedule};
use store::rows::{DefinitionKind, DeliveryRow};
use store::{
    CommitError, Delivery, DeliveryFailure, DeliveryState, RecordError, Store, Target, TargetError, TargetErrorKind,
    Token, Write,
};

use super::Courier;
use crate::definition::{TokenDefinition, token_definition_name};
use crate::port::{Clock, DeliveryEvent, DeliveryOutcome, Observer};
use crate::targets::TARGET_DEADLINE;

/// After so many failures in a row the owner is told, where only a person can help.
const TOLD_AFTER: u32 = 2;

/// Where it may pass by itself, the owner is told after this long.
pub(super) const OUTAGE_TOLD_AFTER: Duration = Duration::from_secs(5 * 60);

/// The longest wait between two attempts where the fault isn't the target's as a whole.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// What a round found out.
pub(super) enum Ending {
    /// The token, or the wish to deliver it there, is gone.
    Gone,
    /// There is nothing alive to deliver; the next generation asks again. What the target holds may be looked at before.
    Nothing {
        /// What was learnt all the same.
        state: Box<DeliveryState>,
        /// When it is looked at.
        look_at: Option<Wall>,
    },
    /// The target holds what it should.
    Holds(Box<Holding>),
    /// It doesn't.
    Failed(Box<Failed>),
}

/// The delivery after a round that left the target as it should be.
pub(super) struct Holding {
    pub(super) row: DeliveryRow,
    pub(super) state: DeliveryState,
    pub(super) outcomes: Vec<DeliveryOutcome>,
}

/// The delivery after a round that didn't.
pub(super) struct Failed {
    pub(super) error: TargetError,
    /// What was known of it before, and what the round learnt all the same.
    pub(super) state: DeliveryState,
    /// Whether the target was seen to lack what it should hold.
    pub(super) lacking: bool,
}

/// What follows from a failure.
struct Consequence {
    verdict: Verdict,
    row: DeliveryRow,
    state: DeliveryState,
    alert: bool,
}

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    /// Carries one delivery to its end. What it tells of the target; `None` where the store failed, so that nothing could
    /// be noted.
    pub(super) async fn carry(&self, row: DeliveryRow, target: &dyn Target) -> Option<Verdict> {
        let delivery = match self.records.open_delivery(row.clone()) {
            Ok(delivery) => delivery,
            Err(error) => return self.trouble(&error),
        };
        let token = match self.records.token(row.token).await {
            Ok(token) => token,
            Err(RecordError::NotFound) => return self.note(Verdict::Unused, forget(&row), || ()).await,
            Err(error) => return self.trouble(&error),
        };
        let definition = match self.definition(&token).await {
            Ok(Some(definition)) => definition,
            // It left the configuration: nothing is delivered, and what was is remembered until it comes back.
            Ok(None) => return self.rest(&delivery, delivery.state.clone(), None).await,
            Err(error) => return self.trouble(&error),
        };
        let ending = match definition.deliver.iter().find(|to| to.target == row.target) {
            None => Ok(Ending::Gone),
            Some(to) => self.round(&delivery, &token, &definition, to, target).await,
        };
        let now = self.clock.now();
        match ending {
            Err(error) => self.trouble(&error),
            Ok(Ending::Gone) => self.note(Verdict::Unused, forget(&row), || ()).await,
            Ok(Ending::Nothing { state, look_at }) => self.rest(&delivery, *state, look_at).await,
            Ok(Ending::Holds(holding)) => {
                let write = self.records.delivery_write(&delivery, holding.row, &holding.state);
                let tell = |outcome| self.tell(&token, &definition, &row.target, outcome);
                self.note(Verdict::Success, write, || holding.outcomes.iter().for_each(tell)).await
            }
            Ok(Ending::Failed(failed)) => {
                self.targets.healths.note(&row.target, Err(&failed.error), now.wall);
                let TargetError { kind, words, .. } = failed.error.clone();
                let Consequence { verdict, row, state, alert } = self.after_failure(&delivery, *failed, now.wall);
                let target = row.target.clone();
                let write = self.records.delivery_write(&delivery, row, &state);
                let outcome = DeliveryOutcome::Failed { kind, words, failures: state.failures, alert };
                self.note(verdict, write, || self.tell(&token, &definition, &target, &outcome)).await
            }
        }
    }

    /// There is nothing to deliver, so nothing fails: it is looked at again when the token asks, or then.
    async fn rest(&self, delivery: &Delivery, mut state: DeliveryState, look_at: Option<Wall>) -> Option<Verdict> {
        state.recovered();
        let row = DeliveryRow { due: look_at.unwrap_or(Wall::NEVER), behind: Wall::NEVER, ..delivery.row.clone() };
        let write = self.records.delivery_write(delivery, row, &state);
        self.note(Verdict::Unused, write, || ()).await
    }

    /// What the token's operator declared; `None` where that is gone.
    pub(super) async fn definition(&self, token: &Token) -> Result<Option<TokenDefinition>, RecordError> {
        let name = token_definition_name(&token.row.vault, &token.row.name);
        let declared = self.records.definition::<TokenDefinition>(DefinitionKind::Token, &name).await?;
        Ok(declared.filter(|declared| declared.removed.is_none()).map(|declared| declared.body))
    }

    fn after_failure(&self, delivery: &Delivery, failed: Failed, now: Wall) -> Consequence {
        let Failed { error, mut state, lacking } = failed;
        let again = state.failure.as_ref().is_some_and(|failure| failure.kind == error.kind.word());
        let behind = if lacking { delivery.row.behind.min(now) } else { delivery.row.behind };
        let since = state.failure.as_ref().map_or(now.0, |failure| failure.since);
        state.failures = state.failures.saturating_add(1);
        state.failure =
            Some(DeliveryFailure { kind: error.kind.word().to_owned(), words: error.words.clone(), since, at: now.0 });
        let needs_person = !passes_by_itself(error.kind);
        let danger = is_danger(error.kind, state.failures, now.since(Wall(since).min(behind)));
        // While the target holds what it should, its readers lack nothing.
        let alert = danger
            && behind != Wall::NEVER
            // Who heard of an outage doesn't know yet that it doesn't pass by itself any more.
            && (!state.told || needs_person && again && !state.told_needs_person);
        state.told |= alert;
        state.told_needs_person |= alert && needs_person;
        // A target that has answered others all the while is up, and fails for this name alone. What was on the way when
        // it went down doesn't count.
        let in_its_outage = Wall(since).plus(TARGET_DEADLINE);
        let others_are_well = self.targets.healths.answered_since(&delivery.row.target, in_its_outage);
        let (verdict, held_by_lane) = match error.kind {
            TargetErrorKind::Unreachable if others_are_well => (Verdict::Unused, false),
            // That it asked for fewer calls is noted already.
            TargetErrorKind::Unreachable | TargetErrorKind::Throttled => (Verdict::Failed, true),
            TargetErrorKind::Unauthenticated => (Verdict::ClientRefused, true),
            TargetErrorKind::Forbidden
            | TargetErrorKind::Occupied
            | TargetErrorKind::Unfit
            | TargetErrorKind::Unsettled => (Verdict::Answered, false),
        };
        let wait = if held_by_lane {
            Duration::from_secs(1)
        } else {
            schedule::backoff(state.failures.min(16), LONGEST_WAIT, &mut renewal::Random::new(self.seed()))
        };
        let row = DeliveryRow { due: now.plus(wait), behind, ..delivery.row.clone() };
        Consequence { verdict, row, state, alert }
    }

    /// Stores what became of a delivery, and tells it where that was stored.
    async fn note(&self, verdict: Verdict, write: Write, tell: impl FnOnce() + Send) -> Option<Verdict> {
        match self.records.commit(vec![write]).await {
            Ok(()) => {
                tell();
                Some(verdict)
            }
            // Somebody changed it meanwhile: it is still due, and the next round finds, and tells, what this one did.
            Err(CommitError::Conflict) => Some(verdict),
            Err(CommitError::Store(error)) => {
                self.observer.trouble(&format!("what became of a delivery can't be stored: {error}"));
                None
            }
        }
    }

    fn trouble(&self, error: &RecordError) -> Option<Verdict> {
        self.observer.trouble(&format!("a delivery can't be made now: {error}"));
        None
    }

    pub(super) fn tell(&self, token: &Token, definition: &TokenDefinition, target: &str, outcome: &DeliveryOutcome) {
        self.observer.delivery(&DeliveryEvent {
            vault: &token.row.vault,
            name: &token.row.name,
            owner: definition.owner.as_deref(),
            target,
            outcome,
        });
    }
}

/// Whether a person should hear of so many failures in a row, the first of which was so long ago.
pub(super) fn is_danger(kind: TargetErrorKind, failures: u32, lasted: Duration) -> bool {
    if passes_by_itself(kind) { lasted >= OUTAGE_TOLD_AFTER } else { failures >= TOLD_AFTER }
}

/// Whether a failure may pass without anybody's doing.
fn passes_by_itself(kind: TargetErrorKind) -> bool {
    matches!(kind, TargetErrorKind::Unreachable | TargetErrorKind::Throttled | TargetErrorKind::Unsettled)
}

fn forget(row: &DeliveryRow) -> Write {
    Write::RemoveDelivery { token: row.token, target: row.target.clone() }
}
