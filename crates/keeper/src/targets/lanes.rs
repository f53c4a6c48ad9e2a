//! The lanes of targets. They aren't stored: after a restart a target that is down costs a few calls.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use renewal::{Gate, Lane, LaneLimits, Moment, Need, Permit, Verdict, Wall};
use store::TargetPace;

/// A target that doesn't take Vestal's credential is asked again this soon at first: a token may have been withdrawn, or a
/// directory not be of one mind yet.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long a target that asks for fewer calls, and doesn't say for how long, is left alone at first.
const THROTTLED_FIRST: Duration = Duration::from_secs(5);

/// How long a target is left alone at the most, whatever it asks.
const THROTTLED_LONGEST: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(crate) struct TargetLanes(Mutex<BTreeMap<String, Lane>>);

impl TargetLanes {
    pub(crate) fn gate(&self, target: &str, pace: TargetPace, now: Moment) -> Gate {
        self.with(target, pace, now, |lane| lane.gate(now))
    }

    pub(crate) fn permit(&self, target: &str, pace: TargetPace, now: Moment) -> Option<Permit> {
        self.with(target, pace, now, |lane| lane.permit(now, Need::Due).ok())
    }

    pub(crate) fn returned(&self, target: &str, pace: TargetPace, permit: Permit, verdict: Verdict, now: Moment) {
        self.with(target, pace, now, |lane| lane.returned(permit, now, verdict));
    }

    /// It asked for fewer calls.
    pub(super) fn throttle(&self, target: &str, pace: TargetPace, asked: Option<Duration>, now: Moment) {
        self.with(target, pace, now, |lane| lane.throttle(now, asked));
    }

    /// Whether it asked to be left alone, and that isn't over yet.
    pub(super) fn is_throttled(&self, target: &str, now: Moment) -> bool {
        self.lock().get(target).is_some_and(|lane| lane.throttled_until(now) > now.wall)
    }

    /// A target is gone, or another now: with another pace, perhaps, and up.
    pub(super) fn forget(&self, target: &str) {
        self.lock().remove(target);
    }

    /// Lifts what holds a target.
    pub(crate) fn reopen(&self, target: &str, now: Moment) {
        if let Some(lane) = self.lock().get_mut(target) {
            lane.reopen(now);
        }
    }

    /// What holds a target now, in a word, and until when; `None` while it may be called.
    pub(crate) fn held(&self, target: &str, now: Moment) -> Option<(&'static str, Wall)> {
        match self.lock().get_mut(target)?.gate(now) {
            Gate::Open(_) | Gate::Probe => None,
            Gate::Closed(closed) => Some((closed.by.name(), closed.opens)),
        }
    }

    fn with<T>(&self, target: &str, pace: TargetPace, now: Moment, with: impl FnOnce(&mut Lane) -> T) -> T {
        let limits = LaneLimits {
            interval: pace.interval,
            burst: pace.burst,
            flights: pace.flights,
            pause_first: REFUSED_AGAIN_AFTER,
            throttle_first: THROTTLED_FIRST,
            throttle_longest: THROTTLED_LONGEST,
            ..LaneLimits::default()
        };
        with(self.lock().entry(target.to_owned()).or_insert_with(|| Lane::new(limits, now)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
