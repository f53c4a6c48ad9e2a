//! What targets lack, and for how long: the lag that monitoring reads, and word to the owners of what waits too long.
//!
//! While a target is down a single delivery tries it. The owners of all the others hear of it from here.

use core::time::Duration;
use std::collections::BTreeMap;

use renewal::Wall;
use store::rows::{DeliveryRow, TokenId};
use store::{RecordError, Store, StoreError};

use super::Courier;
use super::carry::OUTAGE_TOLD_AFTER;
use crate::port::{Clock, DeliveryOutcome, Observer};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How many deliveries are read at once.
const PAGE: usize = 250;

/// Up to where the deliveries of a target that are behind have been told: since when, and of which token.
type Told = Option<(Wall, TokenId)>;

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    pub(super) async fn watch_waiting_for_ever(&self) {
        let mut told = BTreeMap::new();
        loop {
            self.clock.sleep(LOOK_EVERY).await;
            let names = self.targets.names();
            told.retain(|name, _| names.contains(name));
            for name in names {
                // A store that fails a read is told of by whoever needs it more.
                let told = told.entry(name.clone()).or_default();
                let _ = self.look_at_waiting(&name, told).await;
            }
        }
    }

    async fn look_at_waiting(&self, target: &str, told: &mut Told) -> Result<(), RecordError> {
        let now = self.clock.now().wall;
        let first = self.records.store().deliveries_behind(target, None, now, 1).await?;
        self.observer.delivery_lag(target, first.first().map_or(Duration::ZERO, |row| now.since(row.behind)));
        let too_long = Wall(now.0.saturating_sub_unsigned(OUTAGE_TOLD_AFTER.as_millis() as u64));
        loop {
            let page = self.records.store().deliveries_behind(target, *told, too_long, PAGE).await?;
            let full = page.len() == PAGE;
            for row in page {
                let place = (row.behind, row.token);
                match self.tell_waiting(row).await {
                    // Nobody can be told of a row that is damaged, and whoever reads it tells of the damage.
                    Ok(()) | Err(RecordError::NotFound | RecordError::Sealed(_)) => {}
                    Err(RecordError::Store(StoreError::Damaged(_))) => {}
                    // Its turn comes again at the next look.
                    Err(error) => return Err(error),
                }
                *told = Some(place);
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Tells its owner, unless he knows.
    async fn tell_waiting(&self, row: DeliveryRow) -> Result<(), RecordError> {
        let delivery = self.records.open_delivery(row)?;
        if delivery.state.told {
            return Ok(());
        }
        let token = self.records.token(delivery.row.token).await?;
        if token.standing.generation == 0 {
            return Ok(());
        }
        let Some(definition) = self.definition(&token).await? else { return Ok(()) };
        let target = delivery.row.target.clone();
        let mut state = delivery.state.clone();
        state.told = true;
        // Told once it is durable that it was told. A delivery that ends meanwhile is looked at once more.
        self.records.commit(vec![self.records.delivery_write(&delivery, delivery.row.clone(), &state)]).await?;
        let of_target = || Some(self.targets.healths.of(&target)?.last_error?.0);
        let last_error = state.failure.as_ref().map(|failure| failure.words.clone()).or_else(of_target);
        let words = match (last_error, self.held(&target)) {
            (Some(words), _) => words,
            (None, Some(_)) => format!("{target} rests, since it asked for that, or other calls to it failed"),
            (None, None) => format!("{target} takes its deliveries too slowly"),
        };
        let since = delivery.row.behind;
        self.tell(&token, &definition, &target, &DeliveryOutcome::Waiting { since, words });
        Ok(())
    }
}
