//! Lane, attempt and standing together, against a provider that comes and goes, over days that take no time.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use renewal::{
    Action, Answer, Attempt, Boot, Change, Credential, Failure, FailureClass, Gate, Input, Lane, LaneLimits, Lifetime,
    Moment, Need, Outcome, Random, Reach, Standing, Terms, Wall, WireState,
};

const START: i64 = 1_800_000_000_000;

fn at(ms: u64) -> Moment {
    Moment { wall: Wall(START + ms as i64), boot: Boot { id: 1, ms } }
}

/// The time in which the provider is down, in milliseconds.
struct Outage {
    from: u64,
    until: u64,
}

/// What was seen of the tokens of one lane.
#[derive(Debug, Default)]
struct Seen {
    /// When calls went out.
    calls: Vec<u64>,
    /// Tokens found expired when their renewal's turn came.
    found_expired: usize,
    /// How long after the outage all tokens were fresh.
    fresh_after_outage: Option<u64>,
    /// The generation of the token renewed least.
    generation: u64,
}

/// Drives the tokens of one lane until `end` as a keeper would, going from one due time to the next.
fn drive(tokens: usize, life: Duration, outage: &Outage, end: u64, seed: u64) -> Seen {
    let mut random = Random::new(seed);
    let mut lane = Lane::new(LaneLimits::default(), at(0));
    let mut standings: Vec<Standing> = (0..tokens).map(|_| Standing::new(at(0))).collect();
    let mut seen = Seen::default();
    let mut ms = 0;
    while ms < end {
        let now = at(ms);
        let mut due: Vec<usize> = (0..tokens).filter(|token| standings[*token].is_due(now)).collect();
        due.sort_by_key(|token| standings[*token].order());
        let (batch, opens) = match lane.gate(now) {
            Gate::Open(permits) => (due.into_iter().take(permits as usize).collect(), None),
            Gate::Probe => (due.into_iter().rev().take(1).collect(), None),
            Gate::Closed(closed) => (Vec::new(), Some(closed.opens)),
        };
        for token in batch {
            let Ok(permit) = lane.permit(now, Need::Due) else {
                continue;
            };
            seen.calls.push(ms);
            let standing = &standings[token];
            if standing.obtained.is_some() && standing.wire_state(now) == WireState::Expired {
                seen.found_expired += 1;
            }
            let outcome = if (outage.from..outage.until).contains(&ms) {
                let class = FailureClass::Transient;
                Outcome::Failure(Failure { class, reach: Reach::NotSent, retry_after: None, cause: 0 })
            } else {
                Outcome::Success(Answer { lifetime: Lifetime::Known(life), refresh_in: None, same_value: false })
            };
            let attempt =
                Attempt::new(standing.clone(), Terms::default(), random.next_u64()).as_probe(permit.is_probe());
            let (next, verdict) = exchange(attempt, now, outcome);
            standings[token] = next;
            if lane.returned(permit, now, verdict) == Change::Recovered {
                let waiting = standings.iter().filter(|standing| standing.failures > 0).count();
                let spread = lane.spread(waiting as u32);
                for standing in &mut standings {
                    standing.kick(now, spread, &mut random);
                }
            }
        }
        let fresh = |standing: &Standing| standing.wire_state(now) == WireState::Fresh && standing.failures == 0;
        if ms >= outage.until && seen.fresh_after_outage.is_none() && standings.iter().all(fresh) {
            seen.fresh_after_outage = Some(ms - outage.until);
        }
        let next_due = standings.iter().map(|standing| standing.due).min().unwrap_or(Wall::NEVER);
        let next = opens.map_or(next_due, |opens| next_due.max(opens));
        let next = ((next.0 - START) as u64).max(ms + 1);
        // The end of the outage is looked at too.
        ms = if ms < outage.until { next.min(outage.until) } else { next };
    }
    seen.generation = standings.iter().map(|standing| standing.generation).min().unwrap_or(0);
    seen
}

fn exchange(mut attempt: Attempt, now: Moment, outcome: Outcome) -> (Standing, renewal::Verdict) {
    let mut actions = Vec::new();
    for input in [
        Input::Begin,
        Input::Claimed { fence: 1, attempt: 1 },
        Input::Credential(Credential::Ready),
        Input::Exchanged(outcome),
    ] {
        actions = attempt.handle(now, input).unwrap_or_else(|error| panic!("{error}"));
    }
    match &actions[..] {
        [Action::Return(verdict), Action::Promote { standing, .. } | Action::Settle { standing, .. }] => {
            ((**standing).clone(), *verdict)
        }
        _ => panic!("{actions:?}"),
    }
}

#[test]
fn tokens_of_ten_seconds_stay_alive_for_an_hour() {
    let never = Outage { from: 0, until: 0 };
    let seen = drive(20, Duration::from_secs(10), &never, 3_600_000, 1);
    assert_eq!(seen.found_expired, 0);
    // Each at about half of the nine to ten seconds that the expiry leaves it.
    assert!((650..900).contains(&seen.generation), "{}", seen.generation);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7009), ..ProptestConfig::default() })]

    #[test]
    fn a_token_of_one_hour_rides_out_26_minutes(from in 0..7_200_000_u64, seed in any::<u64>()) {
        // 27 minutes are left at the latest renewal; the last of them is for noticing that the outage is over.
        let outage = Outage { from: 60_000 + from, until: 60_000 + from + 26 * 60_000 };
        let seen = drive(5, Duration::from_secs(3_600), &outage, 4 * 3_600_000, seed);
        prop_assert_eq!(seen.found_expired, 0);
    }

    #[test]
    fn all_tokens_are_fresh_a_minute_after_an_outage(
        (from, length) in (0..600_000_u64, 0..3_600_000_u64),
        (tokens, life, seed) in (1..60_usize, 60..3_600_u64, any::<u64>()),
    ) {
        let outage = Outage { from: 60_000 + from, until: 60_000 + from + length };
        let seen = drive(tokens, Duration::from_secs(life), &outage, outage.until + 600_000, seed);
        let allowed = 60_000 + tokens as u64 * 100;
        let after = seen.fresh_after_outage;
        prop_assert!(after.is_some_and(|ms| ms <= allowed), "{after:?} of {allowed} ms");
    }

    #[test]
    fn an_outage_is_not_hammered(tokens in 1..60_usize, seed in any::<u64>()) {
        let outage = Outage { from: 60_000, until: 3_660_000 };
        let seen = drive(tokens, Duration::from_secs(60), &outage, 3_660_000, seed);
        // An open breaker lets one call through each 30 s; what comes before it is a burst.
        let calls = seen.calls.iter().filter(|ms| **ms >= outage.from).count();
        prop_assert!(calls <= 60 + 3_600 / 30 * 2, "{calls} calls in an hour's outage");
    }
}
