//! What a lane lets through, when it closes, and that it always opens again.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use renewal::{Boot, Change, ClosedBy, Gate, Lane, LaneLimits, Moment, Need, Permit, Verdict, Wall};

const START: i64 = 1_800_000_000_000;

fn at(ms: u64) -> Moment {
    Moment { wall: Wall(START + ms as i64), boot: Boot { id: 1, ms } }
}

fn wall(ms: u64) -> Wall {
    at(ms).wall
}

/// A lane with a full bucket at 10 s.
fn lane() -> Lane {
    let mut lane = Lane::new(LaneLimits::default(), at(0));
    assert_eq!(lane.gate(at(10_000)), Gate::Open(8), "flights are the tighter limit");
    lane
}

fn permit(lane: &mut Lane, ms: u64) -> Permit {
    lane.permit(at(ms), Need::Due).unwrap_or_else(|closed| panic!("closed at {ms} ms: {closed:?}"))
}

/// One attempt that takes no time.
fn attempt(lane: &mut Lane, ms: u64, verdict: Verdict) -> Change {
    let permit = permit(lane, ms);
    lane.returned(permit, at(ms), verdict)
}

fn closed_by(lane: &mut Lane, ms: u64) -> Option<(ClosedBy, Wall)> {
    match lane.gate(at(ms)) {
        Gate::Closed(closed) => Some((closed.by, closed.opens)),
        Gate::Open(_) | Gate::Probe => None,
    }
}

#[test]
fn a_lane_starts_with_an_empty_bucket() {
    let mut lane = Lane::new(LaneLimits::default(), at(0));
    assert_eq!(closed_by(&mut lane, 0), Some((ClosedBy::Bucket, wall(100))));
    assert_eq!(lane.gate(at(100)), Gate::Open(1));
}

#[test]
fn the_bucket_gives_a_burst_of_twenty_and_then_ten_a_second() {
    let mut lane = lane();
    for _ in 0..20 {
        attempt(&mut lane, 10_000, Verdict::Success);
    }
    assert_eq!(closed_by(&mut lane, 10_000), Some((ClosedBy::Bucket, wall(10_100))));
    attempt(&mut lane, 10_100, Verdict::Success);
    assert_eq!(closed_by(&mut lane, 10_150), Some((ClosedBy::Bucket, wall(10_200))));
}

#[test]
fn eight_attempts_are_in_flight_at_the_most() {
    let mut lane = lane();
    let mut flights: Vec<Permit> = (0..8).map(|_| permit(&mut lane, 10_000)).collect();
    assert_eq!(closed_by(&mut lane, 10_000), Some((ClosedBy::Flights, wall(11_000))));
    let back = flights.pop().expect("eight");
    lane.returned(back, at(10_001), Verdict::Unused);
    assert_eq!(lane.gate(at(10_001)), Gate::Open(1));
}

#[test]
fn a_permit_that_is_never_returned_is_lost_after_five_minutes() {
    let mut lane = lane();
    let lost: Vec<Permit> = (0..8).map(|_| permit(&mut lane, 10_000)).collect();
    assert!(closed_by(&mut lane, 309_999).is_some());
    assert_eq!(lane.gate(at(310_000)), Gate::Open(8));
    for permit in lost {
        assert_eq!(lane.returned(permit, at(310_001), Verdict::Failed), Change::Nothing, "too late to count");
    }
    assert_eq!(lane.flights(), 0);
}

#[test]
fn a_permit_that_sent_nothing_judges_nobody() {
    let mut lane = lane();
    for _ in 0..5 {
        attempt(&mut lane, 10_000, Verdict::Failed);
    }
    let unused = permit(&mut lane, 15_000);
    assert_eq!(lane.returned(unused, at(15_000), Verdict::Unused), Change::Nothing);
    assert_eq!(lane.gate(at(15_000)), Gate::Probe, "the probe is still to be made");
}

#[test]
fn five_failures_in_a_row_open_the_breaker_and_its_waits_double_to_thirty_seconds() {
    let mut lane = lane();
    for _ in 0..4 {
        assert_eq!(attempt(&mut lane, 10_000, Verdict::Failed), Change::Nothing);
    }
    assert_eq!(attempt(&mut lane, 10_000, Verdict::Failed), Change::Opened(wall(15_000)));
    assert_eq!(closed_by(&mut lane, 14_999), Some((ClosedBy::Breaker, wall(15_000))));

    let mut now = 15_000;
    for wait in [10_000, 20_000, 30_000, 30_000] {
        assert_eq!(lane.gate(at(now)), Gate::Probe);
        let probe = permit(&mut lane, now);
        assert_eq!(closed_by(&mut lane, now).map(|(by, _)| by), Some(ClosedBy::Probe), "one probe at a time");
        assert_eq!(lane.returned(probe, at(now), Verdict::Failed), Change::Opened(wall(now + wait)));
        now += wait;
    }
    assert_eq!(attempt(&mut lane, now, Verdict::Success), Change::Recovered);
    assert_eq!(lane.gate(at(now)), Gate::Open(8));
    assert_eq!(attempt(&mut lane, now, Verdict::Failed), Change::Nothing, "the row starts anew");
}

#[test]
fn a_probe_that_is_never_returned_leaves_its_place_to_another() {
    let mut lane = lane();
    for _ in 0..5 {
        attempt(&mut lane, 10_000, Verdict::Failed);
    }
    let lost = permit(&mut lane, 15_000);
    assert!(lost.is_probe());
    assert_eq!(closed_by(&mut lane, 314_999).map(|(by, _)| by), Some(ClosedBy::Probe));
    assert_eq!(lane.gate(at(315_000)), Gate::Probe);
}

#[test]
fn half_of_ten_results_within_thirty_seconds_open_the_breaker() {
    let mut lane = lane();
    for round in 0..4 {
        attempt(&mut lane, 10_000 + round, Verdict::Failed);
        attempt(&mut lane, 10_000 + round, Verdict::Success);
    }
    attempt(&mut lane, 11_000, Verdict::Success);
    assert_eq!(attempt(&mut lane, 12_000, Verdict::Failed), Change::Opened(wall(17_000)));
}

#[test]
fn results_older_than_thirty_seconds_count_no_more() {
    let mut lane = lane();
    for round in 0..30 {
        let now = 10_000 + round * 8_000;
        assert_eq!(attempt(&mut lane, now, Verdict::Failed), Change::Nothing);
        assert_eq!(attempt(&mut lane, now + 4_000, Verdict::Success), Change::Nothing);
        assert_eq!(lane.gate(at(now + 4_000)), Gate::Open(8), "eight results at the most within 30 s");
    }
}

#[test]
fn a_refusal_of_one_token_shows_that_the_provider_is_up() {
    let mut lane = lane();
    for _ in 0..5 {
        attempt(&mut lane, 10_000, Verdict::Failed);
    }
    assert_eq!(attempt(&mut lane, 15_000, Verdict::Answered), Change::Recovered);
}

#[test]
fn a_refused_client_pauses_the_lane_with_a_probe_every_fifteen_minutes() {
    let mut lane = lane();
    let minute = 60_000;
    assert_eq!(attempt(&mut lane, 10_000, Verdict::ClientRefused), Change::Paused(wall(10_000 + 15 * minute)));
    assert_eq!(closed_by(&mut lane, 10_001).map(|(by, _)| by), Some(ClosedBy::Pause));
    assert_eq!(lane.open_at(at(10_001)), wall(10_000 + 15 * minute));

    let probe_at = 10_000 + 15 * minute;
    assert_eq!(lane.gate(at(probe_at)), Gate::Probe);
    assert_eq!(attempt(&mut lane, probe_at, Verdict::Failed), Change::Nothing);
    assert_eq!(closed_by(&mut lane, probe_at).map(|(_, opens)| opens), Some(wall(probe_at + 15 * minute)));

    let mandatory =
        lane.permit(at(probe_at + 1), Need::Mandatory).expect("a token at its mandatory window goes through");
    assert_eq!(
        lane.returned(mandatory, at(probe_at + 2), Verdict::ClientRefused),
        Change::Paused(wall(probe_at + 15 * minute))
    );
    assert_eq!(attempt(&mut lane, probe_at + 15 * minute, Verdict::Success), Change::Recovered);
    assert_eq!(lane.gate(at(probe_at + 15 * minute)), Gate::Open(8));
}

#[test]
fn a_new_client_secret_or_a_person_reopens_a_lane() {
    let mut lane = lane();
    attempt(&mut lane, 10_000, Verdict::ClientRefused);
    assert_eq!(lane.reopen(at(10_001)), Change::Recovered);
    assert_eq!(lane.reopen(at(10_002)), Change::Nothing);
    assert_eq!(lane.gate(at(10_002)), Gate::Open(8));
    assert_eq!(lane.spread(600), Duration::from_secs(60));
}

#[test]
fn throttling_holds_the_lane_for_thirty_seconds_at_the_most() {
    let mut lane = lane();
    attempt(&mut lane, 10_000, Verdict::Throttled(Some(Duration::from_secs(7))));
    assert_eq!(closed_by(&mut lane, 10_001), Some((ClosedBy::Throttle, wall(17_000))));
    attempt(&mut lane, 17_000, Verdict::Throttled(Some(Duration::MAX)));
    assert_eq!(closed_by(&mut lane, 17_001), Some((ClosedBy::Throttle, wall(47_000))));
}

#[test]
fn no_answer_to_another_request_ends_the_wait_that_was_asked_for() {
    let limits = LaneLimits { throttle_longest: Duration::from_secs(3600), ..LaneLimits::default() };
    let mut lane = Lane::new(limits, at(0));
    let out: Vec<Permit> = (0..8).map(|_| permit(&mut lane, 10_000)).collect();
    let waits = [None, Some(90), Some(5), None];
    let verdicts = waits.map(|wait| Verdict::Throttled(wait.map(Duration::from_secs)));
    let others = [Verdict::Success, Verdict::Answered, Verdict::Unused, Verdict::Success];
    for (number, (permit, verdict)) in out.into_iter().zip(verdicts.into_iter().chain(others)).enumerate() {
        lane.returned(permit, at(10_100 + number as u64), verdict);
    }
    assert_eq!(closed_by(&mut lane, 11_000), Some((ClosedBy::Throttle, wall(100_101))));
    assert_eq!(closed_by(&mut lane, 100_100), Some((ClosedBy::Throttle, wall(100_101))));
    assert_eq!(closed_by(&mut lane, 100_101), None);
    lane.throttle(at(100_200), Some(Duration::from_secs(9)));
    assert_eq!(lane.throttled_until(at(100_200)), wall(109_200), "also where no permit was asked for");
    lane.reopen(at(100_300));
    assert_eq!(closed_by(&mut lane, 100_300), None, "a person may try");
}

#[test]
fn where_no_time_is_asked_for_the_wait_grows_each_time_and_starts_anew_after_a_success() {
    let limits = LaneLimits { failures_in_a_row: 99, results: 99, ..LaneLimits::default() };
    let mut lane = Lane::new(limits, at(0));
    let mut now = 10_000;
    let mut waits = Vec::new();
    for verdict in [Verdict::Throttled(None); 8].into_iter().chain([Verdict::Success, Verdict::Throttled(None)]) {
        attempt(&mut lane, now, verdict);
        let opens = closed_by(&mut lane, now).map_or(wall(now), |(_, opens)| opens);
        waits.push((opens.0 - wall(now).0) / 1000);
        now = (opens.0 - START) as u64;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30, 0, 1]);
    // Two that were on the way together count once.
    now += 1000;
    let (first, second) = (permit(&mut lane, now), permit(&mut lane, now));
    for permit in [first, second] {
        lane.returned(permit, at(now), Verdict::Throttled(None));
    }
    assert_eq!(closed_by(&mut lane, now), Some((ClosedBy::Throttle, wall(now + 2000))));
}

#[test]
fn what_is_stored_survives_a_restart_and_a_reboot() {
    let mut lane = lane();
    for _ in 0..5 {
        attempt(&mut lane, 10_000, Verdict::Failed);
    }
    let record = lane.record(at(11_000));
    let mut restarted = Lane::restore(LaneLimits::default(), &record, at(12_000));
    assert_eq!(closed_by(&mut restarted, 12_000), Some((ClosedBy::Breaker, wall(15_000))));
    assert_eq!(restarted.gate(at(15_000)), Gate::Probe);

    // Rebooted, with the wall clock a year back: what was left is waited for, and no longer.
    let rebooted = Moment { wall: Wall(START - 31_536_000_000), boot: Boot { id: 2, ms: 3 } };
    let lane = Lane::restore(LaneLimits::default(), &record, rebooted);
    assert_eq!(lane.open_at(rebooted), rebooted.wall.plus(Duration::from_secs(4)));
}

#[derive(Debug, Clone)]
enum Step {
    Ask(Need),
    Return(usize, Verdict),
    Pass(u64),
    Jump(i64),
    Restart,
    Reboot,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Success),
        1 => Just(Verdict::Answered),
        4 => Just(Verdict::Failed),
        1 => (0..100_u64).prop_map(|s| Verdict::Throttled(Some(Duration::from_secs(s)))),
        1 => Just(Verdict::ClientRefused),
        2 => Just(Verdict::Unused),
    ];
    prop_oneof![
        12 => prop_oneof![Just(Need::Due), Just(Need::Mandatory)].prop_map(Step::Ask),
        8 => (any::<prop::sample::Index>(), verdict).prop_map(|(which, verdict)| Step::Return(which.index(8), verdict)),
        6 => (0..3_000_u64).prop_map(Step::Pass),
        1 => (0..2_000_000_u64).prop_map(Step::Pass),
        1 => (-100_000_000_000..100_000_000_000_i64).prop_map(Step::Jump),
        1 => Just(Step::Restart),
        1 => Just(Step::Reboot),
        1 => Just(Step::Reopen),
    ]
}

/// Steps that ask for as much as can be had in little time.
fn hasty_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![3 => Just(Verdict::Success), 1 => Just(Verdict::Unused)];
    prop_oneof![
        20 => Just(Step::Ask(Need::Due)),
        20 => verdict.prop_map(|verdict| Step::Return(0, verdict)),
        4 => (0..60_u64).prop_map(Step::Pass),
        1 => Just(Step::Pass(2_500)),
    ]
}

/// A lane under test, with the true time beside its clocks.
struct World {
    lane: Lane,
    now: Moment,
    true_ms: u64,
    out: Vec<(Permit, u64)>,
    sent: Vec<u64>,
}

impl World {
    fn new() -> Self {
        Self {
            lane: Lane::new(LaneLimits::default(), at(0)),
            now: at(0),
            true_ms: 0,
            out: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn pass(&mut self, ms: u64) {
        self.true_ms += ms;
        self.now.wall = self.now.wall.plus(Duration::from_millis(ms));
        self.now.boot.ms += ms;
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask(need) => {
                if let Ok(permit) = self.lane.permit(self.now, *need) {
                    self.out.push((permit, self.true_ms));
                }
            }
            Step::Return(which, verdict) if !self.out.is_empty() => {
                let (permit, given) = self.out.remove(which % self.out.len());
                if *verdict != Verdict::Unused {
                    self.sent.push(given);
                }
                self.lane.returned(permit, self.now, *verdict);
            }
            Step::Return(..) => {}
            Step::Pass(ms) => self.pass(*ms),
            Step::Jump(ms) => self.now.wall = Wall(self.now.wall.0 + ms),
            Step::Restart | Step::Reboot => {
                if matches!(step, Step::Reboot) {
                    self.now.boot = Boot { id: self.now.boot.id + 1, ms: 0 };
                }
                // What was in flight was sent, as far as anybody knows.
                self.sent.extend(self.out.drain(..).map(|(_, given)| given));
                self.lane = Lane::restore(LaneLimits::default(), &self.lane.record(self.now), self.now);
            }
            Step::Reopen => drop(self.lane.reopen(self.now)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(6585), ..ProptestConfig::default() })]

    #[test]
    fn no_window_sees_more_requests_than_the_bucket_allows(
        steps in prop_oneof![prop::collection::vec(step(), 1..300), prop::collection::vec(hasty_step(), 1..300)],
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            prop_assert!(world.lane.flights() <= 8);
            prop_assert!(world.lane.flights() <= world.out.len(), "a flight without a permit");
        }
        let mut sent = std::mem::take(&mut world.sent);
        sent.extend(world.out.iter().map(|(_, given)| *given));
        sent.sort_unstable();
        for (first, from) in sent.iter().enumerate() {
            for (count, until) in sent[first..].iter().enumerate() {
                let allowed = 20 + (until - from) / 100;
                prop_assert!((count as u64) < allowed, "{} requests in {} ms", count + 1, until - from);
            }
        }
    }

    #[test]
    fn every_lane_opens_again_at_the_time_it_says(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        while let Some((permit, _)) = world.out.pop() {
            world.lane.returned(permit, world.now, Verdict::Unused);
        }
        prop_assert_eq!(world.lane.flights(), 0, "a permit leaked");
        // Nothing else happens: waiting as told opens it, within a pause.
        let mut waited = Duration::ZERO;
        while let Gate::Closed(closed) = world.lane.gate(world.now) {
            let wait = closed.opens.since(world.now.wall);
            prop_assert!(!wait.is_zero(), "{closed:?} is now");
            waited += wait;
            prop_assert!(waited <= Duration::from_secs(901));
            world.pass(wait.as_millis() as u64);
        }
        prop_assert!(world.lane.permit(world.now, Need::Due).is_ok());
    }

    #[test]
    fn a_gate_tells_the_truth(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        let promised = match world.lane.gate(world.now) {
            Gate::Open(permits) => permits,
            Gate::Probe => 1,
            Gate::Closed(_) => 0,
        };
        let mut given = Vec::new();
        while let Ok(permit) = world.lane.permit(world.now, Need::Due) {
            given.push(permit);
        }
        prop_assert_eq!(given.len() as u32, promised);
    }

    #[test]
    fn the_stored_form_holds_what_the_lane_holds(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        let record = world.lane.record(world.now);
        let restored = Lane::restore(LaneLimits::default(), &record, world.now);
        prop_assert_eq!(restored.record(world.now), record);
        prop_assert_eq!(restored.open_at(world.now), world.lane.open_at(world.now));
    }

    #[test]
    fn no_clock_and_no_limit_overflows(
        moments in prop::collection::vec((any::<i64>(), 0..3_u64, any::<u64>()), 1..40),
        (long, count) in (any::<u64>(), any::<u32>()),
    ) {
        let long = Duration::from_secs(long);
        let limits = LaneLimits {
            interval: long, burst: count, flights: count, failures_in_a_row: count, results: count % 100,
            results_within: long, breaker_first: long, breaker_longest: long, throttle_first: long, throttle_longest: long, pause_first: long, pause_longest: long, permit_lost_after: long,
        };
        let zero = Moment { wall: Wall(0), boot: Boot { id: 0, ms: 0 } };
        let mut lane = Lane::new(limits, zero);
        for (wall, id, ms) in moments {
            let now = Moment { wall: Wall(wall), boot: Boot { id, ms } };
            if let Ok(permit) = lane.permit(now, Need::Due) {
                lane.returned(permit, now, if ms % 2 == 0 { Verdict::Failed } else { Verdict::ClientRefused });
            }
            lane = Lane::restore(limits, &lane.record(now), now);
            let _ = (lane.open_at(now), lane.gate(now), lane.spread(count));
        }
    }
}
