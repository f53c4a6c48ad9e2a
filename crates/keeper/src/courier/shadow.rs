//! Shadow mode: what the flow that Vestal is to replace keeps in the same vault, and how it compares.

use core::time::Duration;

use store::{DeliveryState, Gap, Held, ShadowLog, ShadowLook, Store, Target};

use super::Courier;
use crate::definition::DeliverTo;
use crate::port::{Clock, Observer};
use crate::targets::{TARGET_DEADLINE, before};

/// How many looks are kept. Where there are more, every other one of the older half goes.
const MOST_LOOKS: usize = 512;

/// How many gaps are kept, the newest.
const MOST_GAPS: usize = 64;

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    /// Looks at what the flow keeps under the real name. `ours` is the life left in what was delivered, in seconds, where
    /// it has an end; `lifetime` that of the API's tokens. A failure is no look: it says nothing about the flow.
    pub(super) async fn look(
        &self,
        target: &dyn Target,
        to: &DeliverTo,
        ours: Option<i64>,
        lifetime: Option<Duration>,
        state: &mut DeliveryState,
    ) {
        if let Ok(held) = before(&self.clock, TARGET_DEADLINE, target.read(&to.name)).await {
            let log = state.shadow.get_or_insert_with(ShadowLog::default);
            let lifetime = lifetime.and_then(|life| i64::try_from(life.as_secs()).ok());
            note(log, held.as_ref(), ours, lifetime, self.clock.now().wall.0);
        }
    }
}

/// Adds one look. Times are in milliseconds, lives in seconds.
fn note(log: &mut ShadowLog, held: Option<&Held>, ours: Option<i64>, lifetime: Option<i64>, now: i64) {
    if log.looked == 0 {
        log.since = now;
    }
    log.looked += 1;
    let version = held.map(|held| held.version.clone());
    if version.is_some() && version != log.flow_version {
        log.flow_versions += 1;
        log.flow_version = version;
    }
    let readable = held.filter(|held| held.enabled);
    log.flow_tells_expiry |= readable.is_some_and(|held| held.expires.is_some());
    let expires = |held: &Held| held.expires.or_else(|| Some(held.created?.saturating_add(lifetime?)));
    let flow = readable.and_then(expires).map(|expires| expires - now.div_euclid(1000));
    let flow_is_dead = readable.is_none() || flow.is_some_and(|left| left <= 0);
    if flow_is_dead {
        log.flow_dead += 1;
        if log.gaps.last().is_none_or(|gap| gap.to.is_some()) {
            let died = flow.map_or(now, |left| now + left.saturating_mul(1000));
            log.gaps.push(Gap { from: died.max(log.since), to: None });
        }
    } else if let Some(gap) = log.gaps.last_mut().filter(|gap| gap.to.is_none()) {
        gap.to = Some(now);
    }
    if log.gaps.len() > MOST_GAPS {
        log.gaps.remove(0);
    }
    if ours.is_some_and(|left| left <= 0) {
        log.ours_dead += 1;
    }
    let least = |known: Option<i64>, new: Option<i64>| known.into_iter().chain(new).min();
    log.flow_least = least(log.flow_least, flow);
    log.ours_least = least(log.ours_least, ours);
    log.looks.push(ShadowLook { at: now, flow, ours });
    if log.looks.len() > MOST_LOOKS {
        let mut place = 0;
        log.looks.retain(|_| {
            place += 1;
            place > MOST_LOOKS / 2 || place % 2 == 1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(version: &str, expires: Option<i64>) -> Held {
        Held { value: None, version: version.to_owned(), enabled: true, expires, created: None, mark: None }
    }

    #[test]
    fn a_gap_lasts_from_death_to_the_look_that_finds_life() {
        let mut log = ShadowLog::default();
        note(&mut log, Some(&held("a", Some(100))), Some(500), None, 10_000);
        note(&mut log, Some(&held("a", Some(100))), Some(400), None, 130_000);
        note(&mut log, Some(&held("a", Some(100))), Some(300), None, 190_000);
        note(&mut log, Some(&held("b", Some(900))), Some(700), None, 250_000);
        assert_eq!(log.gaps, [Gap { from: 100_000, to: Some(250_000) }]);
        assert_eq!((log.looked, log.flow_dead, log.flow_versions, log.ours_dead), (4, 2, 2, 0));
        assert_eq!((log.flow_least, log.ours_least), (Some(-90), Some(300)));
        assert!(log.flow_tells_expiry);
    }

    #[test]
    fn a_missing_secret_is_a_gap_and_one_without_expiry_is_none() {
        let mut log = ShadowLog::default();
        note(&mut log, None, None, None, 1_000);
        note(&mut log, Some(&held("a", None)), None, None, 2_000);
        note(&mut log, Some(&Held { enabled: false, ..held("a", None) }), None, None, 3_000);
        assert_eq!(log.gaps, [Gap { from: 1_000, to: Some(2_000) }, Gap { from: 3_000, to: None }]);
        assert!(!log.flow_tells_expiry);
    }

    #[test]
    fn where_the_flow_tells_no_expiry_its_life_is_reckoned_from_its_age() {
        let mut log = ShadowLog::default();
        let held = Held { created: Some(100), ..held("a", None) };
        note(&mut log, Some(&held), None, Some(60), 130_000);
        assert_eq!((log.flow_least, log.flow_dead), (Some(30), 0));
        note(&mut log, Some(&held), None, Some(60), 190_000);
        assert_eq!(log.gaps, [Gap { from: 160_000, to: None }]);
        assert!(!log.flow_tells_expiry);
    }

    #[test]
    fn looks_are_thinned_out_and_the_newest_stays() {
        let mut log = ShadowLog::default();
        for at in 0..5_000 {
            note(&mut log, Some(&held("a", Some(1_000_000))), None, None, at);
        }
        assert!(log.looks.len() <= MOST_LOOKS, "{}", log.looks.len());
        assert_eq!((log.looks[0].at, log.looks.last().map(|look| look.at)), (0, Some(4_999)));
        assert!(log.looks.is_sorted_by_key(|look| look.at));
    }
}
