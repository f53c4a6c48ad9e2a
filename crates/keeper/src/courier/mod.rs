//! Who delivers tokens to targets: a loop beside the keeper's, so that no target holds up a renewal.
//!
//! The store is the outbox. A promotion makes the token's deliveries due in its own transaction; [`Courier::run`] takes
//! what is due, the most urgent of each target first, asks the target's lane for a permit, and carries it there. Each
//! delivery reads what the target holds before it writes, and again after, so that one that broke off anywhere is simply
//! made again: what is there already is recognised by its mark.
//!
//! A lane ([`renewal::Lane`]) paces each target, holds it while it is down, and leaves it alone for as long as it asks.

mod carry;
mod decision;
mod disable;
mod round;
mod shadow;
mod waiting;

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{pin_mut, select_biased};
use renewal::{Gate, Moment, Permit, Verdict, Wall};
use store::rows::{DeliveryRow, TokenId};
use store::{RecordError, Records, Store, StoreError, Target};

use crate::keeper::LONGEST_SLEEP;
use crate::port::{Clock, Observer};
use crate::targets::{TargetHealth, Targets};

/// How long the loop, or one delivery, rests after the store failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// Of how many due deliveries, the most urgent ones, that one tries whether a target is up again that has waited longest:
/// none that fails for itself keeps the others from it.
const TRIES_AMONG: usize = 64;

/// Which delivery: token and target.
type Key = (TokenId, String);
type Flights<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Key> + Send + 'a>>>;

/// Delivers tokens to targets. See the module's documentation.
pub struct Courier<S, C, O> {
    records: Arc<Records<S>>,
    clock: C,
    observer: O,
    targets: Arc<Targets>,
    in_flight: Mutex<BTreeSet<Key>>,
    seeds: AtomicU64,
}

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    /// A courier between these records and these targets. It does nothing until [`Courier::run`].
    pub fn new(records: Arc<Records<S>>, clock: C, observer: O, targets: Arc<Targets>) -> Self {
        let mut seed = [0; 8];
        records.entropy().fill(&mut seed);
        Self {
            records,
            clock,
            observer,
            targets,
            in_flight: Mutex::default(),
            seeds: AtomicU64::new(u64::from_be_bytes(seed)),
        }
    }

    /// Delivers until `stop` is ready, and then lets what is under way come to its end. Failures of the store are waited
    /// out.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let stop = stop.fuse();
        let waiting = self.watch_waiting_for_ever().fuse();
        pin_mut!(stop, waiting);
        let mut flights = Flights::new();
        loop {
            let sleep = match self.start_due(&mut flights, self.clock.now()).await {
                Ok(sleep) => sleep,
                Err(error) => {
                    self.observer.trouble(&error.to_string());
                    AFTER_TROUBLE
                }
            };
            let mut sleep = pin!(self.clock.sleep(sleep).fuse());
            let mut knock = pin!(self.targets.knocked().fuse());
            select_biased! {
                () = stop => break,
                finished = flights.select_next_some() => self.finished(&finished),
                () = knock => {}
                () = sleep => {}
                () = waiting => {}
            }
            while let Some(Some(finished)) = flights.next().now_or_never() {
                self.finished(&finished);
            }
        }
        while let Some(finished) = flights.next().await {
            self.finished(&finished);
        }
    }

    /// Makes all deliveries of a token due at once, over somebody else's change too, and lifts what holds their targets: a
    /// person asks for it.
    ///
    /// # Errors
    /// Why it could not be stored.
    pub async fn deliver_now(&self, token: TokenId) -> Result<(), RecordError> {
        let due = self.clock.now().wall;
        self.records.change_deliveries(token, due, Wall::NEVER, |state| state.ordered = true).await?;
        for delivery in self.records.deliveries_of(token).await? {
            self.reopen(&delivery.row.target);
        }
        Ok(())
    }

    /// Lifts what holds a target: its credential has changed, or a person asks for it.
    pub fn reopen(&self, target: &str) {
        self.targets.lanes.reopen(target, self.clock.now());
        self.targets.knock();
    }

    /// What holds a target now, in a word, and until when; `None` while it may be called.
    pub fn held(&self, target: &str) -> Option<(&'static str, Wall)> {
        self.targets.lanes.held(target, self.clock.now())
    }

    /// How a target was found when it was last called; `None` before the first delivery of this process.
    pub fn health(&self, target: &str) -> Option<TargetHealth> {
        self.targets.healths.of(target)
    }

    /// Starts a delivery for each that is due and gets a permit. How long to sleep if nothing else happens.
    async fn start_due<'a>(&'a self, flights: &mut Flights<'a>, now: Moment) -> Result<Duration, StoreError> {
        let mut wake_at = now.wall.plus(LONGEST_SLEEP);
        for name in self.targets.names() {
            let Some(target) = self.targets.target(&name) else {
                continue;
            };
            let (wanted, among) = match self.targets.lanes.gate(&name, target.pace(), now) {
                Gate::Open(permits) => (permits as usize, permits as usize),
                Gate::Probe => (1, TRIES_AMONG),
                Gate::Closed(closed) => {
                    wake_at = wake_at.min(closed.opens.max(now.wall.plus(Duration::from_millis(20))));
                    continue;
                }
            };
            let under_way = self.in_flight().iter().filter(|(_, target)| *target == name).count();
            let mut due = self.records.store().due_deliveries(&name, now.wall, among + under_way + 1).await?;
            {
                let in_flight = self.in_flight();
                due.retain(|row| !in_flight.contains(&(row.token, row.target.clone())));
            }
            if among > wanted {
                due.sort_by_key(|row| row.due);
            }
            if due.len() > wanted {
                wake_at = wake_at.min(now.wall.plus(target.pace().interval));
            }
            for row in due.into_iter().take(wanted) {
                let Some(permit) = self.targets.lanes.permit(&name, target.pace(), now) else {
                    break;
                };
                self.start(flights, row, permit, Arc::clone(&target));
            }
            if let Some(due) = self.records.store().next_delivery(&name, now.wall).await? {
                wake_at = wake_at.min(due);
            }
        }
        Ok(wake_at.since(now.wall))
    }

    fn start<'a>(&'a self, flights: &mut Flights<'a>, row: DeliveryRow, permit: Permit, target: Arc<dyn Target>) {
        let key = (row.token, row.target.clone());
        self.in_flight().insert(key.clone());
        flights.push(Box::pin(async move {
            // A panic ends its delivery and no other.
            let carried = AssertUnwindSafe(self.carry(row, &*target)).catch_unwind().await;
            let verdict = carried.unwrap_or_else(|_| {
                self.observer.trouble("a delivery broke off by a fault of Vestal's; please report it");
                None
            });
            let now = self.clock.now();
            let (verdict, rest) = match verdict {
                Some(verdict) => (verdict, false),
                None => (Verdict::Unused, true),
            };
            // What has taken its place under the name has nothing to do with it.
            if self.targets.is_open(&key.1, &*target) {
                self.targets.lanes.returned(&key.1, target.pace(), permit, verdict, now);
            }
            if rest {
                // Its row is still due; it would be taken again at once.
                self.clock.sleep(AFTER_TROUBLE).await;
            }
            key
        }));
    }

    fn finished(&self, key: &Key) {
        self.in_flight().remove(key);
    }

    fn in_flight(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seed(&self) -> u64 {
        self.seeds.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}
