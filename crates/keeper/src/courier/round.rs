//! One delivery: look at what the target holds, write, look again, and note what came of it.

use core::time::Duration;
use std::sync::Arc;

use renewal::{Verdict, Wall, schedule};
use secret::Secret;
use store::rows::{DefinitionKind, DeliveryRow};
use store::{
    CommitError, Delivery, DeliveryFailure, DeliveryState, Mark, Parcel, RecordError, Store, Target, TargetError,
    TargetErrorKind, Token, Write,
};

use super::Courier;
use super::decision::{Decision, Ours, decide};
use crate::definition::{DeliverTo, SHADOW_SUFFIX, TokenDefinition, token_definition_name};
use crate::port::{Clock, DeliveryEvent, DeliveryOutcome, Observer};
use crate::targets::{TARGET_DEADLINE, before};

/// After so many failures in a row the owner is told, where only a person can help.
const TOLD_AFTER: u32 = 2;

/// Where the target is merely out of reach, the owner is told after this long.
const OUTAGE_TOLD_AFTER: Duration = Duration::from_secs(5 * 60);

/// The longest wait between two attempts that only a person can make succeed.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// How many superseded versions are remembered until they are disabled.
const MOST_SUPERSEDED: usize = 16;

/// What a round found out.
enum Ending {
    /// The token, or the wish to deliver it there, is gone.
    Gone,
    /// There is nothing alive to deliver; the next generation asks again.
    Nothing,
    /// The target holds what it should.
    Holds(Box<Holding>),
    /// It doesn't.
    Failed(TargetError),
}

/// The delivery after a round that left the target as it should be.
struct Holding {
    row: DeliveryRow,
    state: DeliveryState,
    outcome: Option<DeliveryOutcome>,
}

/// A generation as it is to be delivered.
struct Current {
    generation: u64,
    value: Secret,
    expires: Option<i64>,
    renewed_at: i64,
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
            Err(RecordError::NotFound) => return self.note(Verdict::Unused, forget(&row)).await,
            Err(error) => return self.trouble(&error),
        };
        let definition = match self.definition(&token).await {
            Ok(Some(definition)) => definition,
            Ok(None) => {
                // It left the configuration: nothing is delivered, and what was is remembered until it comes back.
                let row = DeliveryRow { due: Wall::NEVER, ..row };
                let write = self.records.delivery_write(&delivery, row, &delivery.state);
                return self.note(Verdict::Unused, write).await;
            }
            Err(error) => return self.trouble(&error),
        };
        let ending = match definition.deliver.iter().find(|to| to.target == row.target) {
            None => Ok(Ending::Gone),
            Some(to) => self.round(&delivery, &token, &definition, to, target).await,
        };
        let now = self.clock.now();
        match &ending {
            Ok(Ending::Holds(_)) => self.healths.note(&row.target, Ok(()), now.wall),
            Ok(Ending::Failed(error)) => self.healths.note(&row.target, Err(error), now.wall),
            Ok(Ending::Gone | Ending::Nothing) | Err(_) => {}
        }
        match ending {
            Err(error) => self.trouble(&error),
            Ok(Ending::Gone) => self.note(Verdict::Unused, forget(&row)).await,
            Ok(Ending::Nothing) => {
                let row = DeliveryRow { due: Wall::NEVER, ..row };
                let write = self.records.delivery_write(&delivery, row, &delivery.state);
                self.note(Verdict::Unused, write).await
            }
            Ok(Ending::Holds(holding)) => {
                let Holding { row, state, outcome } = *holding;
                let write = self.records.delivery_write(&delivery, row, &state);
                let noted = self.note(Verdict::Success, write).await;
                if noted.is_some()
                    && let Some(outcome) = outcome
                {
                    self.tell(&token, &definition, &delivery.row.target, &outcome);
                }
                noted
            }
            Ok(Ending::Failed(error)) => {
                let (row, state, alert) = self.after_failure(&delivery, &error, now.wall);
                let outcome = DeliveryOutcome::Failed {
                    kind: error.kind,
                    words: error.words.clone(),
                    failures: state.failures,
                    alert,
                };
                let write = self.records.delivery_write(&delivery, row, &state);
                let noted = self.note(verdict(&error), write).await;
                if noted.is_some() {
                    self.tell(&token, &definition, &delivery.row.target, &outcome);
                }
                noted
            }
        }
    }

    async fn round(
        &self,
        delivery: &Delivery,
        token: &Token,
        definition: &TokenDefinition,
        to: &DeliverTo,
        target: &dyn Target,
    ) -> Result<Ending, RecordError> {
        let name = name_there(definition, to, &delivery.state);
        let mut state = delivery.state.clone();
        if state.name != name {
            // Another name is another secret: nothing was delivered there yet.
            state = DeliveryState { name: name.clone(), version: None, versions: 0, superseded: Vec::new(), ..state };
        }
        if self.alive(token).await?.is_none() {
            return Ok(Ending::Nothing);
        }
        let held = match before(&self.clock, TARGET_DEADLINE, target.read(&name)).await {
            Ok(held) => held,
            Err(error) => return Ok(Ending::Failed(error)),
        };
        // Only now, so that what is written is never older than what was there to be read.
        let Some(current) = self.current(token).await? else {
            return Ok(Ending::Nothing);
        };
        let id = token.row.id.to_string();
        let now = self.clock.now().wall;
        let ours = Ours { token: &id, generation: current.generation, value: &current.value, expires: current.expires };
        let delivered = if state.version.is_some() { delivery.row.generation } else { 0 };
        let decision = decide(&state, delivered, held.as_ref(), &ours, to.on_change, now.0);
        let mut outcome = None;
        let mut holds = current.generation;
        match decision {
            Decision::Refuse(words) => {
                let kind = TargetErrorKind::Occupied;
                return Ok(Ending::Failed(TargetError { kind, words: there(&name, &words), retry_after: None }));
            }
            Decision::Keep => {
                if let Some(held) = &held
                    && state.version.as_ref() != Some(&held.version)
                {
                    // It was written, and what came of that couldn't be noted: by a crash, say, or a lost answer.
                    supersede(&mut state, held.version.clone(), to);
                }
                if state.failures > 0 || delivery.row.generation != current.generation {
                    outcome = Some(self.delivered(token, &state, &current));
                }
            }
            Decision::Leave(change) => {
                if state.changed.as_ref().is_none_or(|known| known.version != change.version) {
                    outcome = Some(DeliveryOutcome::Changed { repaired: false });
                    state.changed = Some(change);
                }
                holds = delivery.row.generation;
            }
            Decision::Write(change) => {
                let parcel = Parcel {
                    value: current.value.duplicate(),
                    expires: current.expires,
                    mark: Mark { token: id.clone(), generation: current.generation },
                    provider: definition.provider.clone(),
                    renewed_at: current.renewed_at,
                };
                let version = match self.write(target, &name, &parcel).await {
                    Ok(version) => version,
                    Err(error) => return Ok(Ending::Failed(error)),
                };
                supersede(&mut state, version, to);
                state.delivered_at = Some(self.clock.now().wall.0);
                outcome = Some(match change {
                    Some(change) => {
                        state.changed = Some(change);
                        DeliveryOutcome::Changed { repaired: true }
                    }
                    None => self.delivered(token, &state, &current),
                });
            }
        }
        self.disable_superseded(target, &name, &mut state).await;
        if definition.shadow && !state.cut_over {
            let ours = current_life(&current, self.clock.now().wall);
            let lifetime = token.standing.lifetime.and_then(renewal::Lifetime::known);
            self.look(target, to, ours, lifetime, &mut state).await;
        }
        (state.failures, state.failure, state.told) = (0, None, false);
        let now = self.clock.now().wall;
        state.checked_at = Some(now.0);
        let row = DeliveryRow {
            due: now.plus(Duration::from_secs(to.check_every)),
            expiry: current.expires.map_or(Wall::NEVER, |expires| Wall(expires.saturating_mul(1000))),
            generation: holds,
            ..delivery.row.clone()
        };
        Ok(Ending::Holds(Box::new(Holding { row, state, outcome })))
    }

    /// Writes and reads back.
    async fn write(&self, target: &dyn Target, name: &str, parcel: &Parcel) -> Result<String, TargetError> {
        target.admits(name).map_err(|words| TargetError { kind: TargetErrorKind::Unfit, words, retry_after: None })?;
        let version = before(&self.clock, TARGET_DEADLINE, target.write(name, parcel)).await?;
        let held = before(&self.clock, TARGET_DEADLINE, target.read(name)).await?;
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
            kind: TargetErrorKind::Unreachable,
            words: there(
                name,
                "what was read back isn't what was written: somebody else writes it too, or it answered late",
            ),
            retry_after: None,
        })
    }

    /// Disables what newer versions superseded. What fails is tried again the next time.
    async fn disable_superseded(&self, target: &dyn Target, name: &str, state: &mut DeliveryState) {
        for version in core::mem::take(&mut state.superseded) {
            if before(&self.clock, TARGET_DEADLINE, target.disable(name, &version)).await.is_err() {
                state.superseded.push(version);
            }
        }
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

    async fn definition(&self, token: &Token) -> Result<Option<TokenDefinition>, RecordError> {
        let name = token_definition_name(&token.row.vault, &token.row.name);
        let declared = self.records.definition::<TokenDefinition>(DefinitionKind::Token, &name).await?;
        Ok(declared.filter(|declared| declared.removed.is_none()).map(|declared| declared.body))
    }

    fn after_failure(&self, delivery: &Delivery, error: &TargetError, now: Wall) -> (DeliveryRow, DeliveryState, bool) {
        let mut state = delivery.state.clone();
        let since = state.failure.as_ref().map_or(now.0, |failure| failure.since);
        state.failures = state.failures.saturating_add(1);
        state.failure =
            Some(DeliveryFailure { kind: error.kind.word().to_owned(), words: error.words.clone(), since, at: now.0 });
        let by_itself = matches!(error.kind, TargetErrorKind::Unreachable | TargetErrorKind::Throttled);
        let danger = if by_itself { now.since(Wall(since)) >= OUTAGE_TOLD_AFTER } else { state.failures >= TOLD_AFTER };
        let alert = danger && !state.told;
        state.told |= danger;
        let mut random = renewal::Random::new(self.seed());
        let wait = match error.kind {
            // The target's lane is what holds it back.
            TargetErrorKind::Unreachable | TargetErrorKind::Throttled | TargetErrorKind::Unauthenticated => {
                Duration::from_secs(1)
            }
            _ => schedule::backoff(state.failures.min(16), LONGEST_WAIT, &mut random),
        };
        let row = DeliveryRow { due: now.plus(wait), ..delivery.row.clone() };
        (row, state, alert)
    }

    fn delivered(&self, token: &Token, state: &DeliveryState, current: &Current) -> DeliveryOutcome {
        let renewed = Wall(current.renewed_at.saturating_mul(1000));
        let obtained = token.standing.obtained.map_or(renewed, |moment| moment.wall);
        DeliveryOutcome::Delivered {
            generation: current.generation,
            lag: self.clock.now().wall.since(obtained),
            recovered: state.told,
        }
    }

    async fn note(&self, verdict: Verdict, write: Write) -> Option<Verdict> {
        match self.records.commit(vec![write]).await {
            // Somebody changed it meanwhile: it is still due, and the next round finds what this one did.
            Ok(()) | Err(CommitError::Conflict) => Some(verdict),
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

    fn tell(&self, token: &Token, definition: &TokenDefinition, target: &str, outcome: &DeliveryOutcome) {
        self.observer.delivery(&DeliveryEvent {
            vault: &token.row.vault,
            name: &token.row.name,
            owner: definition.owner.as_deref(),
            target,
            outcome,
        });
    }
}

/// A new version is there; the one before is to be disabled, where that is wanted.
fn supersede(state: &mut DeliveryState, version: String, to: &DeliverTo) {
    if let Some(superseded) = state.version.replace(version)
        && to.disable_superseded
        && state.superseded.len() < MOST_SUPERSEDED
    {
        state.superseded.push(superseded);
    }
    state.versions += 1;
}

/// The name under which a token is delivered: beside the flow's while it is in shadow mode.
pub(super) fn name_there(definition: &TokenDefinition, to: &DeliverTo, state: &DeliveryState) -> String {
    if definition.shadow && !state.cut_over { format!("{}{SHADOW_SUFFIX}", to.name) } else { to.name.clone() }
}

fn forget(row: &DeliveryRow) -> Write {
    Write::RemoveDelivery { token: row.token, target: row.target.clone() }
}

fn verdict(error: &TargetError) -> Verdict {
    match error.kind {
        TargetErrorKind::Unreachable => Verdict::Failed,
        TargetErrorKind::Throttled => Verdict::Throttled(error.retry_after),
        TargetErrorKind::Unauthenticated => Verdict::ClientRefused,
        TargetErrorKind::Forbidden | TargetErrorKind::Occupied | TargetErrorKind::Unfit => Verdict::Answered,
    }
}

/// The life left, in seconds.
fn current_life(current: &Current, now: Wall) -> Option<i64> {
    current.expires.map(|expires| expires - now.unix_seconds())
}

fn there(name: &str, words: &str) -> String {
    format!("the secret {name} there: {words}")
}
