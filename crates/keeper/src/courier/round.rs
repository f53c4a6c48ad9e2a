//! One round of a delivery: look at what the target holds, write, and look again.

use core::time::Duration;
use std::sync::Arc;

use renewal::Wall;
use secret::Secret;
use store::rows::DeliveryRow;
use store::{
    Delivery, DeliveryState, ForeignChange, Held, Mark, Parcel, RecordError, Store, Target, TargetError,
    TargetErrorKind, Token,
};

use super::Courier;
use super::carry::{Ending, Failed, Holding};
use super::decision::{Decision, Ours, decide};
use super::disable::supersede;
use crate::definition::{DeliverTo, SHADOW_SUFFIX, TokenDefinition};
use crate::port::{Clock, DeliveryOutcome, Observer};

/// A write that was given up may still arrive, over a newer generation: the target is looked at once more no sooner than
/// this long after.
const LATE_WRITE_SEEN_AFTER: Duration = Duration::from_secs(2 * 60);

/// A generation as it is to be delivered.
struct Current {
    generation: u64,
    value: Secret,
    expires: Option<i64>,
    renewed_at: i64,
}

/// A delivery while its round is made.
struct Round<'a> {
    delivery: &'a Delivery,
    token: &'a Token,
    definition: &'a TokenDefinition,
    to: &'a DeliverTo,
    target: &'a dyn Target,
    /// The secret's name there.
    name: String,
    state: DeliveryState,
    outcomes: Vec<DeliveryOutcome>,
    began: Wall,
    /// Whether the target was seen to lack what it should hold.
    lacking: bool,
}

/// What the target holds in the end.
struct Outcome {
    generation: u64,
    expires: Wall,
    /// Whether that is what it should hold.
    checked: bool,
}

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    pub(super) async fn round(
        &self,
        delivery: &Delivery,
        token: &Token,
        definition: &TokenDefinition,
        to: &DeliverTo,
        target: &dyn Target,
    ) -> Result<Ending, RecordError> {
        let mut state = delivery.state.clone();
        // Shadow mode that ended in the configuration may begin again.
        state.cut_over &= definition.shadow;
        let shadows = definition.shadow && !state.cut_over;
        let name = name_there(definition, to, &state);
        if state.name != name {
            // Another name is another secret: nothing was delivered there yet.
            state = DeliveryState {
                name: name.clone(),
                version: None,
                versions: 0,
                superseded: Vec::new(),
                not_disabled: None,
                left_enabled: 0,
                unknown_at: None,
                changed: None,
                // Beside another secret of the flow's, or anew after a cut-over, the report begins anew.
                shadow: state.shadow.filter(|_| !shadows),
                ..state
            };
        }
        if !shadows && self.alive(token).await?.is_none() {
            return Ok(Ending::Nothing { state: Box::new(state), look_at: None });
        }
        let began = self.clock.now().wall;
        let mut round =
            Round { delivery, token, definition, to, target, name, state, outcomes: Vec::new(), began, lacking: false };
        let read = self.targets.call(&self.clock, &to.target, target.read(&round.name)).await;
        if shadows {
            // Before anything is written: what a reader finds is what was there until now.
            let lifetime = token.standing.lifetime.and_then(renewal::Lifetime::known);
            self.look(target, to, &delivery.row, read.as_ref(), lifetime, &mut round.state).await;
        }
        // Only now, so that what is written is never older than what was there to be read.
        let Some(current) = self.current(token).await? else {
            // The flow is watched on, just while Vestal has nothing.
            let look_at = shadows.then(|| self.clock.now().wall.plus(Duration::from_secs(to.check_every)));
            return Ok(Ending::Nothing { state: Box::new(round.state), look_at });
        };
        let held = match read {
            Ok(held) => held,
            Err(error) => return Ok(round.failed(error)),
        };
        match self.bring_about(&mut round, held.as_ref(), &current).await {
            Ok(outcome) => Ok(self.holds(round, outcome).await),
            Err(error) => Ok(round.failed(error)),
        }
    }

    /// Makes the target hold what it should, where it may.
    async fn bring_about(
        &self,
        round: &mut Round<'_>,
        held: Option<&Held>,
        current: &Current,
    ) -> Result<Outcome, TargetError> {
        let id = round.token.row.id.to_string();
        let ours = Ours { token: &id, generation: current.generation, value: &current.value, expires: current.expires };
        let seen = round.delivery.row.generation;
        let delivered = if round.state.version.is_some() { seen } else { 0 };
        let now = self.clock.now().wall.0;
        let decision = decide(&round.state, delivered, held, &ours, round.to.on_change, now);
        let of_ours = held.filter(|held| held.mark.as_ref().is_some_and(|mark| mark.token == id));
        round.lacking = decision != Decision::Keep;
        match decision {
            Decision::Refuse(words) => {
                let kind = TargetErrorKind::Occupied;
                return Err(TargetError { kind, words: there(&round.name, &words), retry_after: None });
            }
            Decision::Leave(change) => {
                round.found(change);
                return Ok(Outcome { generation: seen, expires: Wall::EPOCH, checked: false });
            }
            Decision::Keep => {
                round.recognise(of_ours);
                let is_news = round.state.failures > 0 || round.state.told || seen != current.generation;
                round.outcomes.extend(is_news.then(|| self.delivered(round, current)));
            }
            Decision::Write(change) => {
                round.recognise(of_ours);
                let version = self.write(round, &id, current).await?;
                supersede(&mut round.state, version, round.to);
                round.state.delivered_at = Some(self.clock.now().wall.0);
                if change.is_none() || round.state.told {
                    round.outcomes.push(self.delivered(round, current));
                }
                if let Some(change) = change {
                    round.state.changed = Some(change);
                    round.outcomes.push(DeliveryOutcome::Changed { repaired: true });
                }
            }
        }
        // What somebody changed is as it should be again.
        round.state.changed = round.state.changed.take().filter(|change| change.repaired);
        round.state.ordered = false;
        let expires = current.expires.map_or(Wall::NEVER, |expires| Wall(expires.saturating_mul(1000)));
        Ok(Outcome { generation: current.generation, expires, checked: true })
    }

    async fn holds(&self, round: Round<'_>, outcome: Outcome) -> Ending {
        let Round { delivery, to, target, name, mut state, mut outcomes, began, .. } = round;
        self.targets.healths.note(&to.target, Ok(()), self.clock.now().wall);
        outcomes.extend(self.disable_superseded(target, to, &name, &mut state).await);
        let now = self.clock.now().wall;
        if outcome.checked {
            state.checked_at = Some(now.0);
            state.recovered();
        } else {
            // Who was told that it fails hears that it recovered once what it should hold is there.
            (state.failures, state.failure) = (0, None);
        }
        let mut due = now.plus(Duration::from_secs(to.check_every));
        let late = |unknown_at: i64| Wall(unknown_at).plus(LATE_WRITE_SEEN_AFTER);
        state.unknown_at = state.unknown_at.filter(|unknown_at| began < late(*unknown_at));
        due = state.unknown_at.map_or(due, |unknown_at| due.min(late(unknown_at).max(now)));
        due = state.not_disabled.as_ref().map_or(due, |known| due.min(Wall(known.again_at)));
        let row = DeliveryRow {
            due,
            behind: Wall::NEVER,
            expiry: outcome.expires,
            generation: outcome.generation,
            ..delivery.row.clone()
        };
        Ending::Holds(Box::new(Holding { row, state, outcomes }))
    }

    /// Writes and reads back. The answer is the version's id there.
    async fn write(&self, round: &mut Round<'_>, id: &str, current: &Current) -> Result<String, TargetError> {
        let (target, name) = (round.target, &round.name);
        let parcel = Parcel {
            value: current.value.duplicate(),
            expires: current.expires,
            mark: Mark { token: id.to_owned(), generation: current.generation },
            provider: round.definition.provider.clone(),
            renewed_at: current.renewed_at,
        };
        target.admits(name).map_err(|words| TargetError { kind: TargetErrorKind::Unfit, words, retry_after: None })?;
        let written = self.targets.call(&self.clock, &round.to.target, target.write(name, &parcel)).await;
        if let Err(TargetError { kind: TargetErrorKind::Unreachable, .. }) = written {
            round.state.unknown_at = Some(self.clock.now().wall.0);
        }
        let version = written?;
        let held = self.targets.call(&self.clock, &round.to.target, target.read(name)).await?;
        let is_there = held.is_some_and(|held| {
            held.version == version
                && held.expires == parcel.expires
                && held.mark.as_ref() == Some(&parcel.mark)
                && held.value.as_ref().is_some_and(|value| value.equals(&parcel.value))
        });
        if is_there {
            return Ok(version);
        }
        Err(TargetError {
            kind: TargetErrorKind::Unsettled,
            words: there(
                name,
                "what was read back isn't what was written: somebody else writes it too, or it answered late",
            ),
            retry_after: None,
        })
    }

    /// The version that is to be delivered: the current generation, alive. What somebody else wrote over the token isn't: a
    /// renewal follows it.
    async fn alive(&self, token: &Token) -> Result<Option<Arc<store::Current>>, RecordError> {
        // Not from memory: the row that made this due may have come with a version that memory doesn't have yet.
        let current = match self.records.current_in_store(&token.row.vault, &token.row.name).await {
            Ok(current) => current,
            Err(RecordError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = self.clock.now().wall.unix_seconds();
        let dead = current.version.expires.is_some_and(|expires| expires <= now);
        if current.version.generation == 0 || !current.version.enabled || dead {
            return Ok(None);
        }
        Ok(Some(current))
    }

    /// The same, opened.
    async fn current(&self, token: &Token) -> Result<Option<Current>, RecordError> {
        let Some(current) = self.alive(token).await? else {
            return Ok(None);
        };
        let body = self.records.body(&current.version)?;
        Ok(Some(Current {
            generation: current.version.generation,
            value: body.value,
            expires: current.version.expires,
            renewed_at: current.version.created,
        }))
    }

    fn delivered(&self, round: &Round<'_>, current: &Current) -> DeliveryOutcome {
        let renewed = Wall(current.renewed_at.saturating_mul(1000));
        let obtained = round.token.standing.obtained.map_or(renewed, |moment| moment.wall);
        DeliveryOutcome::Delivered {
            generation: current.generation,
            lag: self.clock.now().wall.since(obtained),
            recovered: round.state.told,
        }
    }
}

impl Round<'_> {
    fn failed(self, error: TargetError) -> Ending {
        Ending::Failed(Box::new(Failed { error, state: self.state, lacking: self.lacking }))
    }

    /// A version of ours that isn't known was written, and what came of that couldn't be noted: by a crash, say, or a lost
    /// answer.
    fn recognise(&mut self, held: Option<&Held>) {
        if let Some(held) = held
            && self.state.version.as_ref() != Some(&held.version)
        {
            supersede(&mut self.state, held.version.clone(), self.to);
        }
    }

    /// Somebody else's change, which stays. Each is told once.
    fn found(&mut self, change: ForeignChange) {
        let is_known = |known: &ForeignChange| !known.repaired && known.version == change.version;
        if !self.state.changed.as_ref().is_some_and(is_known) {
            self.outcomes.push(DeliveryOutcome::Changed { repaired: false });
            self.state.changed = Some(change);
        }
    }
}

/// The name under which a token is delivered: beside the flow's while it is in shadow mode.
fn name_there(definition: &TokenDefinition, to: &DeliverTo, state: &DeliveryState) -> String {
    if definition.shadow && !state.cut_over { format!("{}{SHADOW_SUFFIX}", to.name) } else { to.name.clone() }
}

fn there(name: &str, words: &str) -> String {
    format!("the secret {name} there: {words}")
}
