//! The outbox, opened: what became of each token at each target.

use renewal::Wall;
use serde::{Deserialize, Serialize};
use vault::Sealed;

use super::{CONFLICT_RETRIES, RecordError, Records, from_json, to_json};
use crate::port::{CommitError, Store, Write};
use crate::rows::{DeliveryRow, TokenId};

/// A delivery, opened.
#[derive(Clone)]
pub struct Delivery {
    /// Its row.
    pub row: DeliveryRow,
    /// What became of it so far.
    pub state: DeliveryState,
}

/// What became of a token at one target. Never a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeliveryState {
    /// The name under which it was last delivered there; empty before the first delivery.
    #[serde(default)]
    pub name: String,
    /// The id there of the version that was last delivered.
    #[serde(default)]
    pub version: Option<String>,
    /// When that was, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub delivered_at: Option<i64>,
    /// When the target was last seen to hold what it should, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub checked_at: Option<i64>,
    /// How many versions deliveries have made there.
    #[serde(default)]
    pub versions: u64,
    /// How many attempts in a row have failed.
    #[serde(default)]
    pub failures: u32,
    /// The last failure, until a delivery succeeds.
    #[serde(default)]
    pub failure: Option<DeliveryFailure>,
    /// Whether the failure was told to the token's owner.
    #[serde(default)]
    pub told: bool,
    /// Whether it was told that it doesn't pass by itself.
    #[serde(default)]
    pub told_needs_person: bool,
    /// Somebody else's change that was seen last.
    #[serde(default)]
    pub changed: Option<ForeignChange>,
    /// Whether a person ordered it: somebody else's change is written over this once, whatever was declared.
    #[serde(default)]
    pub ordered: bool,
    /// When a write failed so that it isn't known whether it takes effect yet, in milliseconds since the Unix epoch; until
    /// the target was looked at some time later.
    #[serde(default)]
    pub unknown_at: Option<i64>,
    /// Superseded versions that are still to be disabled there.
    #[serde(default)]
    pub superseded: Vec<String>,
    /// Why they can't be, until they can.
    #[serde(default)]
    pub not_disabled: Option<NotDisabled>,
    /// How many superseded versions stay enabled for good, since there were too many to be remembered.
    #[serde(default)]
    pub left_enabled: u64,
    /// Whether the token was cut over from shadow mode: it is delivered under its real name.
    #[serde(default)]
    pub cut_over: bool,
    /// What shadow mode has seen.
    #[serde(default)]
    pub shadow: Option<ShadowLog>,
}

impl DeliveryState {
    /// Nothing fails any more, and the next failure is told anew.
    pub fn recovered(&mut self) {
        (self.failures, self.failure) = (0, None);
        (self.told, self.told_needs_person) = (false, false);
    }
}

/// Why a delivery failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFailure {
    /// The kind: `unreachable`, `forbidden`.
    pub kind: String,
    /// What a person reads.
    pub words: String,
    /// When the first of the row of failures was, in milliseconds since the Unix epoch.
    pub since: i64,
    /// When the last was.
    pub at: i64,
}

/// Why superseded versions can't be disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotDisabled {
    /// The last failure.
    pub failure: DeliveryFailure,
    /// How many attempts in a row have failed.
    pub failures: u32,
    /// It isn't tried again before, in milliseconds since the Unix epoch.
    pub again_at: i64,
    /// Whether it was told to the token's owner.
    #[serde(default)]
    pub told: bool,
}

/// Somebody else's change of what was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignChange {
    /// When it was seen, in milliseconds since the Unix epoch.
    pub seen_at: i64,
    /// The version found there; `None` where the secret was gone.
    pub version: Option<String>,
    /// Whether the token was delivered again over it.
    pub repaired: bool,
}

/// What shadow mode has seen of the flow that runs beside Vestal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowLog {
    /// When the first look was, in milliseconds since the Unix epoch.
    pub since: i64,
    /// Every look, the newest last; thinned out where there are many.
    pub looks: Vec<ShadowLook>,
    /// How many looks there were.
    pub looked: u64,
    /// How many versions of the flow were seen.
    pub flow_versions: u64,
    /// How many looks found the flow's token dead, disabled or missing.
    pub flow_dead: u64,
    /// How many looks found Vestal's token dead or missing.
    pub ours_dead: u64,
    /// The least life, in seconds, that a look found left in the flow's token.
    pub flow_least: Option<i64>,
    /// The least life, in seconds, that a look found left in Vestal's.
    pub ours_least: Option<i64>,
    /// Whether the flow writes an expiry; where it doesn't, the life is reckoned from the version's age.
    pub flow_tells_expiry: bool,
    /// Times in which a reader of the flow's token found it dead, the newest last.
    pub gaps: Vec<Gap>,
    /// The same of Vestal's token.
    #[serde(default)]
    pub ours_gaps: Vec<Gap>,
    /// The flow's version that was seen last.
    pub flow_version: Option<String>,
}

/// One look at both tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowLook {
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The life left in the flow's token, in seconds; `None` where there is none or its end isn't known.
    pub flow: Option<i64>,
    /// The life left in Vestal's token before it was delivered again, in seconds.
    pub ours: Option<i64>,
}

/// A time without a living token, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When the token had died, or the look that found it so.
    pub from: i64,
    /// The first look that found a living one; `None` while there is none.
    pub to: Option<i64>,
}

impl<S: Store> Records<S> {
    /// What became of a token at one target, if it is to be delivered there.
    ///
    /// # Errors
    /// Why the store could not answer, or that the record doesn't open.
    pub async fn delivery(&self, token: TokenId, target: &str) -> Result<Option<Delivery>, RecordError> {
        self.store.delivery(token, target).await?.map(|row| self.open_delivery(row)).transpose()
    }

    /// A token's deliveries, by target.
    ///
    /// # Errors
    /// Why the store could not answer, or which record doesn't open.
    pub async fn deliveries_of(&self, token: TokenId) -> Result<Vec<Delivery>, RecordError> {
        let rows = self.store.deliveries(Some((token, "")), MOST_TARGETS).await?;
        rows.into_iter().take_while(|row| row.token == token).map(|row| self.open_delivery(row)).collect()
    }

    /// Opens a delivery's row.
    ///
    /// # Errors
    /// [`RecordError::Sealed`] where the record doesn't open.
    pub fn open_delivery(&self, row: DeliveryRow) -> Result<Delivery, RecordError> {
        let what = || format!("a delivery to {}", row.target);
        let state = from_json(&self.open(&row.place(), &row.sealed, what)?, what)?;
        Ok(Delivery { row, state })
    }

    /// The writes that make a token's deliveries those to `wanted`: what is new, and what stays, is due at once; what isn't
    /// wanted any more is forgotten, and stays at its target. A token that was cut over is so at new targets too.
    pub fn declare_deliveries(&self, token: TokenId, known: &[Delivery], wanted: &[&str], now: Wall) -> Vec<Write> {
        let is_known = |target: &str| known.iter().any(|delivery| delivery.row.target == target);
        let gone = known.iter().filter(|delivery| !wanted.contains(&delivery.row.target.as_str()));
        let gone = gone.map(|delivery| Write::RemoveDelivery { token, target: delivery.row.target.clone() });
        let state = DeliveryState {
            cut_over: known.iter().any(|delivery| delivery.state.cut_over),
            ..DeliveryState::default()
        };
        let new = wanted.iter().filter(|target| !is_known(target));
        let new = new.map(|target| self.new_delivery(token, target, &state, now));
        let mut writes: Vec<Write> = gone.chain(new).collect();
        if wanted.iter().any(|target| is_known(target)) {
            // It may have another name now, under which nothing was delivered yet.
            writes.push(Write::Deliver { token, due: now, behind: now });
        }
        writes
    }

    /// Changes the state of all deliveries of a token, whatever else changes it at the same time, and makes them due.
    /// `behind` says since when their targets lack something by that: [`Wall::NEVER`] where they don't.
    ///
    /// # Errors
    /// Why it was not written.
    pub async fn change_deliveries(
        &self,
        token: TokenId,
        due: Wall,
        behind: Wall,
        mut change: impl FnMut(&mut DeliveryState) + Send,
    ) -> Result<(), RecordError> {
        for _ in 0..CONFLICT_RETRIES {
            let mut writes = Vec::new();
            for delivery in self.deliveries_of(token).await? {
                let mut state = delivery.state.clone();
                change(&mut state);
                writes.push(self.delivery_write(&delivery, delivery.row.clone(), &state));
            }
            writes.push(Write::Deliver { token, due, behind });
            match self.commit(writes).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(RecordError::Contended)
    }

    fn new_delivery(&self, token: TokenId, target: &str, state: &DeliveryState, now: Wall) -> Write {
        let row = DeliveryRow {
            token,
            target: target.to_owned(),
            due: now,
            asked: 0,
            behind: now,
            expiry: Wall::EPOCH,
            generation: 0,
            sealed: Sealed::pending(),
        };
        Write::Delivery { row: self.sealed_delivery(row, state), replaces: None }
    }

    /// The write that replaces a delivery's state. `row` carries the new columns; the record is that of `delivery`.
    pub fn delivery_write(&self, delivery: &Delivery, row: DeliveryRow, state: &DeliveryState) -> Write {
        Write::Delivery { row: self.sealed_delivery(row, state), replaces: Some(delivery.row.sealed.tag()) }
    }

    fn sealed_delivery(&self, mut row: DeliveryRow, state: &DeliveryState) -> DeliveryRow {
        row.sealed = self.seal(&row.place(), &to_json(state));
        row
    }
}

/// How many targets a token may be delivered to.
pub const MOST_TARGETS: usize = 16;
