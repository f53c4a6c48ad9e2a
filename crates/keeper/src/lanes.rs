//! The lanes of a process: in memory while it runs, with what must outlive it in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use renewal::{Change, ClosedBy, Gate, Lane, LaneLimits, LaneRecord, Moment, Need, Permit, Verdict, Wall};
use store::rows::TokenId;
use store::{RecordError, Records, Store};

/// All lanes.
pub(crate) struct Lanes {
    limits: LaneLimits,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    lanes: BTreeMap<String, Lane>,
    /// Tokens that were let through a pause at their mandatory window, with the generation that they had: once each.
    let_through: BTreeSet<(TokenId, u64)>,
}

/// Which of a lane's due tokens may go now.
pub(crate) enum Turn {
    /// These many, first things first.
    First(usize),
    /// One: the one with the least to lose.
    Probe,
    /// None before this time; but those at their mandatory window, where it may be a pause that holds the lane.
    Closed { opens: Wall, paused: bool },
}

impl Lanes {
    pub(crate) fn new(limits: LaneLimits) -> Self {
        Self { limits, inner: Mutex::default() }
    }

    /// Takes up the lanes of an earlier process.
    pub(crate) async fn restore<S: Store>(&self, records: &Records<S>, now: Moment) -> Result<(), RecordError> {
        for (key, record) in records.lanes::<LaneRecord>().await? {
            self.lock().lanes.insert(key, Lane::restore(self.limits, &record, now));
        }
        Ok(())
    }

    pub(crate) fn turn(&self, key: &str, now: Moment) -> Turn {
        let mut inner = self.lock();
        match lane(&mut inner, key, self.limits, now).gate(now) {
            Gate::Open(permits) => Turn::First(permits as usize),
            Gate::Probe => Turn::Probe,
            Gate::Closed(closed) => {
                let paused = matches!(closed.by, ClosedBy::Pause | ClosedBy::Probe);
                Turn::Closed { opens: closed.opens, paused }
            }
        }
    }

    pub(crate) fn permit(&self, key: &str, now: Moment) -> Option<Permit> {
        lane(&mut self.lock(), key, self.limits, now).permit(now, Need::Due).ok()
    }

    /// A permit for a token at its mandatory window, which a pause lets through once a generation.
    pub(crate) fn permit_mandatory(&self, key: &str, token: TokenId, generation: u64, now: Moment) -> Option<Permit> {
        let mut inner = self.lock();
        if inner.let_through.contains(&(token, generation)) {
            return None;
        }
        let permit = lane(&mut inner, key, self.limits, now).permit(now, Need::Mandatory).ok()?;
        inner.let_through.retain(|(other, _)| *other != token);
        inner.let_through.insert((token, generation));
        Some(permit)
    }

    /// Takes a permit back; what is to be stored of the lane, if that changed.
    pub(crate) fn returned(
        &self,
        key: &str,
        permit: Permit,
        verdict: Verdict,
        now: Moment,
    ) -> (Change, Option<LaneRecord>) {
        let mut inner = self.lock();
        let lane = lane(&mut inner, key, self.limits, now);
        let change = lane.returned(permit, now, verdict);
        let record = (change != Change::Nothing || matches!(verdict, Verdict::Throttled(_))).then(|| lane.record(now));
        (change, record)
    }

    /// Ends what holds the lane, if it is known; what is to be stored of it.
    pub(crate) fn reopen(&self, key: &str, now: Moment) -> Option<LaneRecord> {
        let mut inner = self.lock();
        let lane = inner.lanes.get_mut(key)?;
        (lane.reopen(now) != Change::Nothing).then(|| lane.record(now))
    }

    pub(crate) fn spread(&self, key: &str, tokens: u32) -> core::time::Duration {
        self.lock().lanes.get(key).map_or(core::time::Duration::ZERO, |lane| lane.spread(tokens))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the store's queue shows the lane's tokens again. A pause isn't counted: it lets tokens through at their
/// mandatory window, so the queue must go on showing them.
pub(crate) fn open_at(record: &LaneRecord) -> Wall {
    let breaker = record.breaker.map_or(0, |breaker| breaker.open_ms);
    record.at.wall.plus(core::time::Duration::from_millis(record.throttle_ms.max(breaker)))
}

fn lane<'a>(inner: &'a mut Inner, key: &str, limits: LaneLimits, now: Moment) -> &'a mut Lane {
    if !inner.lanes.contains_key(key) {
        inner.lanes.insert(key.to_owned(), Lane::new(limits, now));
    }
    inner.lanes.get_mut(key).expect("it was put there a line above")
}
