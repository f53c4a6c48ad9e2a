//! Shadow mode: what the flow that Vestal is to replace keeps in the same vault, and how it compares.

use core::time::Duration;

use renewal::Wall;
use store::rows::DeliveryRow;
use store::{DeliveryState, Gap, Held, ShadowLog, ShadowLook, Store, Target, TargetError, TargetErrorKind};

use super::Courier;
use crate::definition::DeliverTo;
use crate::port::{Clock, Observer};

/// How many looks are kept. Where there are more, every other one of the older half goes.
const MOST_LOOKS: usize = 512;

/// How many gaps are kept, the newest.
const MOST_GAPS: usize = 64;

/// What a reader of one of the two tokens finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// The life left, in seconds, where its end is known.
    left: Option<i64>,
    /// Whether it is dead, disabled or missing.
    dead: bool,
}

impl Life {
    /// That of what a target holds. Where it tells no end, its life is reckoned from its age, if the API's tokens live for
    /// `lifetime` seconds.
    fn of(held: Option<&Held>, lifetime: Option<i64>, now: i64) -> Self {
        let readable = held.filter(|held| held.enabled);
        let expires = |held: &Held| held.expires.or_else(|| Some(held.created?.saturating_add(lifetime?)));
        let left = readable.and_then(expires).map(|expires| expires - now.div_euclid(1000));
        Self { left, dead: readable.is_none() || left.is_some_and(|left| left <= 0) }
    }
}

impl<S: Store, C: Clock, O: Observer> Courier<S, C, O> {
    /// Looks at what the flow keeps under the real name, and notes it beside what the delivery found under Vestal's, or
    /// what is known to be there where it couldn't be read. A failure is no look at the flow: it says nothing about it.
    pub(super) async fn look(
        &self,
        target: &dyn Target,
        to: &DeliverTo,
        row: &DeliveryRow,
        ours: Result<&Option<Held>, &TargetError>,
        lifetime: Option<Duration>,
        state: &mut DeliveryState,
    ) {
        use TargetErrorKind::{Throttled, Unauthenticated, Unreachable};
        let lifetime = lifetime.and_then(|life| i64::try_from(life.as_secs()).ok());
        let answers = !matches!(ours, Err(TargetError { kind: Unreachable | Throttled | Unauthenticated, .. }));
        let flow = match answers {
            true => self.targets.call(&self.clock, &to.target, target.read(&to.name)).await.ok(),
            false => None,
        };
        let now = self.clock.now().wall.0;
        let ours = match ours {
            // Nothing of it was there yet.
            _ if state.version.is_none() => None,
            Ok(held) => Some(Life::of(held.as_ref(), lifetime, now)),
            // Its end isn't known, or what is there is somebody else's.
            Err(_) if [Wall::NEVER, Wall::EPOCH].contains(&row.expiry) => None,
            Err(_) => {
                let left = (row.expiry.0 - now).div_euclid(1000);
                Some(Life { left: Some(left), dead: left <= 0 })
            }
        };
        let log = state.shadow.get_or_insert_with(ShadowLog::default);
        if let Some(ours) = ours {
            spell(&mut log.ours_gaps, ours, log.since, now);
        }
        if let Some(flow) = flow {
            note(log, flow.as_ref(), ours, lifetime, now);
        }
    }
}

/// Adds one look. Times are in milliseconds, lives in seconds.
fn note(log: &mut ShadowLog, held: Option<&Held>, ours: Option<Life>, lifetime: Option<i64>, now: i64) {
    if log.looked == 0 {
        log.since = now;
    }
    log.looked += 1;
    let version = held.map(|held| held.version.clone());
    if version.is_some() && version != log.flow_version {
        log.flow_versions += 1;
        log.flow_version = version;
    }
    log.flow_tells_expiry |= held.is_some_and(|held| held.enabled && held.expires.is_some());
    let flow = Life::of(held, lifetime, now);
    spell(&mut log.gaps, flow, log.since, now);
    log.flow_dead += u64::from(flow.dead);
    log.ours_dead += u64::from(ours.is_some_and(|ours| ours.dead));
    let ours = ours.and_then(|ours| ours.left);
    let least = |known: Option<i64>, new: Option<i64>| known.into_iter().chain(new).min();
    log.flow_least = least(log.flow_least, flow.left);
    log.ours_least = least(log.ours_least, ours);
    log.looks.push(ShadowLook { at: now, flow: flow.left, ours });
    if log.looks.len() > MOST_LOOKS {
        let mut place = 0;
        log.looks.retain(|_| {
            place += 1;
            place > MOST_LOOKS / 2 || place % 2 == 1
        });
    }
}

/// A gap begins with the death of the token, not before it was first looked, and ends with the look that finds a living
/// one.
fn spell(gaps: &mut Vec<Gap>, found: Life, since: i64, now: i64) {
    if found.dead {
        if gaps.last().is_none_or(|gap| gap.to.is_some()) {
            let died = found.left.map_or(now, |left| now + left.saturating_mul(1000));
            gaps.push(Gap { from: died.max(since), to: None });
        }
    } else if let Some(gap) = gaps.last_mut().filter(|gap| gap.to.is_none()) {
        gap.to = Some(now);
    }
    if gaps.len() > MOST_GAPS {
        gaps.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(version: &str, expires: Option<i64>) -> Held {
        Held { value: None, version: version.to_owned(), enabled: true, expires, created: None, mark: None }
    }

    fn alive(left: i64) -> Life {
        Life { left: Some(left), dead: false }
    }

    #[test]
    fn a_gap_lasts_from_death_to_the_look_that_finds_life() {
        let mut log = ShadowLog::default();
        note(&mut log, Some(&held("a", Some(100))), Some(alive(500)), None, 10_000);
        note(&mut log, Some(&held("a", Some(100))), Some(alive(400)), None, 130_000);
        note(&mut log, Some(&held("a", Some(100))), Some(alive(300)), None, 190_000);
        note(&mut log, Some(&held("b", Some(900))), Some(alive(700)), None, 250_000);
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
