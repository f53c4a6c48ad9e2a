//! How a token stands, what each event makes of it, and what its owner is told.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use renewal::schedule::{LONGEST_LIFE, VERIFY_EVERY};
use renewal::{
    Answer, Boot, Failure, FailureClass, Lifetime, Moment, Notice, Pacing, PauseReason, Random, Reach, Remaining,
    Standing, Terms, TokenState, Wall, WireState,
};

const START: i64 = 1_800_000_000_000;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The moment `ms` milliseconds into the test, both clocks in step.
fn at(ms: i64) -> Moment {
    Moment { wall: Wall(START + ms), boot: Boot { id: 1, ms: 1_000_000 + ms as u64 } }
}

fn answer(lifetime: Lifetime) -> Answer {
    Answer { lifetime, refresh_in: None, same_value: false }
}

fn failure(class: FailureClass) -> Failure {
    Failure { class, reach: Reach::Sent, retry_after: None, cause: 0 }
}

fn renewed(standing: &Standing, now: Moment, life: u64) -> Standing {
    standing.renewed(now, now, answer(Lifetime::Known(s(life))), Terms::default(), &mut Random::new(1))
}

fn failed(standing: &Standing, now: Moment, class: FailureClass) -> Standing {
    standing.failed(now, failure(class), &mut Random::new(1))
}

#[test]
fn a_token_without_a_value_is_due_at_once_and_before_all_others() {
    let standing = Standing::new(at(0));
    assert_eq!(standing.state(at(0)), TokenState::Due);
    assert_eq!(standing.wire_state(at(0)), WireState::Expired);
    assert_eq!(standing.order(), Wall::EPOCH);
    assert!(standing.is_due(at(0)) && standing.is_urgent(at(0)) && !standing.is_mandatory(at(0)));
    assert_eq!(failed(&standing, at(0), FailureClass::Transient).state(at(1)), TokenState::Retrying);
}

#[test]
fn a_token_of_one_hour_goes_through_its_states() {
    let standing = renewed(&Standing::new(at(0)), at(0), 3_600);
    let table = [
        (0, TokenState::Fresh, WireState::Fresh),
        (1_600_000, TokenState::Fresh, WireState::Fresh),
        (2_000_000, TokenState::Due, WireState::Fresh),
        (2_880_000, TokenState::Expiring, WireState::Expiring),
        (3_594_999, TokenState::Expiring, WireState::Expiring),
        (3_595_000, TokenState::Expired, WireState::Expired),
        (9_000_000, TokenState::Expired, WireState::Expired),
    ];
    for (ms, state, wire) in table {
        assert_eq!((standing.state(at(ms)), standing.wire_state(at(ms))), (state, wire), "after {ms} ms");
    }
    assert!(!standing.is_mandatory(at(3_419_000)) && standing.is_mandatory(at(3_420_000)));
    assert_eq!(failed(&standing, at(2_000_000), FailureClass::Transient).state(at(2_000_001)), TokenState::Retrying);
    assert_eq!(standing.order(), Wall(START + 3_600_000));
}

#[test]
fn each_reason_to_pause_is_lifted_by_its_own_cause_alone() {
    let mut standing = renewed(&Standing::new(at(0)), at(0), 60);
    standing.pause(PauseReason::Person);
    standing.pause(PauseReason::SecretDeleted);
    standing.resume(PauseReason::Person);
    assert_eq!(standing.state(at(59_000)), TokenState::Paused);
    assert!(!standing.is_due(at(59_000)));
    assert_eq!(standing.wire_state(at(59_000)), WireState::Expired, "a reader is told the truth all the same");
    standing.resume(PauseReason::SecretDeleted);
    assert_eq!(standing.state(at(59_000)), TokenState::Expired);
    assert!(standing.is_due(at(59_000)));
}

#[test]
fn a_guess_schedules_and_expires_nothing() {
    let standing =
        Standing::new(at(0)).renewed(at(0), at(0), answer(Lifetime::GUESS), Terms::default(), &mut Random::new(1));
    assert_eq!((standing.expiry, standing.remaining(at(0))), (None, None));
    assert!((135_000..=165_000).contains(&(standing.due.0 - START)), "{:?}", standing.due);
    assert_eq!(standing.state(at(100_000_000)), TokenState::Due);
    assert_eq!(standing.wire_state(at(100_000_000)), WireState::Fresh);
    assert_eq!(standing.order(), Wall(START + 300_000));
}

#[test]
fn a_token_that_never_expires_is_looked_at_once_a_day() {
    let standing =
        Standing::new(at(0)).renewed(at(0), at(0), answer(Lifetime::Never), Terms::default(), &mut Random::new(1));
    let wait = standing.due.since(at(0).wall);
    assert!(wait > VERIFY_EVERY.mul_f64(0.89) && wait < VERIFY_EVERY.mul_f64(1.11), "{wait:?}");
    assert_eq!((standing.expiry, standing.order()), (None, Wall::NEVER));
}

#[test]
fn each_class_of_failure_does_its_own_to_the_due_time() {
    let before = renewed(&Standing::new(at(0)), at(0), 3_600);
    let now = at(2_000_000);
    let wait = |class, retry_after| {
        let failure = Failure { retry_after, ..failure(class) };
        before.failed(now, failure, &mut Random::new(1)).due.since(now.wall)
    };
    for class in [FailureClass::Transient, FailureClass::Throttled, FailureClass::Unknown] {
        assert_eq!(wait(class, None), s(1), "{class:?}: the first backoff is a second");
        assert_eq!(wait(class, Some(s(90))), s(90), "{class:?}");
        assert_eq!(wait(class, Some(s(9_000))), s(400), "{class:?}: a quarter of the life left");
    }
    assert_eq!(wait(FailureClass::Client, Some(s(90))), s(1), "the lane's pause holds it, not its own due time");
    for class in [FailureClass::Permanent, FailureClass::Credential] {
        assert!((s(360)..=s(440)).contains(&wait(class, Some(s(90)))), "{class:?}: a quarter of the life left");
    }
    let consent = failed(&before, now, FailureClass::Consent);
    assert_eq!((consent.due, consent.state(now)), (Wall::NEVER, TokenState::NeedsConsent));
}

#[test]
fn consent_waits_for_a_person_and_for_nothing_else() {
    let mut standing = failed(&renewed(&Standing::new(at(0)), at(0), 3_600), at(1), FailureClass::Consent);
    standing.renew_now(at(2));
    standing.kick(at(2), s(0), &mut Random::new(1));
    standing.after_jump(at(2), at(3));
    assert!(!standing.is_due(at(100_000_000)) && standing.due == Wall::NEVER);
    standing.consent_given(at(5));
    assert!(standing.is_due(at(5)));
}

#[test]
fn a_kick_starts_the_backoff_anew_within_its_spread() {
    let mut standing = renewed(&Standing::new(at(0)), at(0), 3_600);
    assert!(!standing.kick(at(10), s(2), &mut Random::new(1)), "a token that didn't fail keeps its time");
    for _ in 0..9 {
        standing = failed(&standing, at(2_000_000), FailureClass::Transient);
    }
    standing.due = at(2_300_000).wall;
    assert!(standing.kick(at(2_000_000), s(2), &mut Random::new(1)));
    assert!(standing.due >= at(2_000_000).wall && standing.due < at(2_002_000).wall);
    assert_eq!((standing.step, standing.failures), (0, 9), "the row of failures is still the row");

    let mut refused = failed(&standing, at(2_000_000), FailureClass::Permanent);
    assert!(!refused.kick(at(2_000_000), s(2), &mut Random::new(1)), "an outage that ended won't cure a refusal");
}

#[test]
fn the_same_value_moves_the_expiry_and_keeps_the_generation() {
    let first = renewed(&Standing::new(at(0)), at(0), 3_600);
    let again = Answer { lifetime: Lifetime::Known(s(1_800)), refresh_in: None, same_value: true };
    let cached = first.renewed(at(1_800_000), at(1_800_100), again, Terms::default(), &mut Random::new(2));
    assert_eq!((cached.generation, cached.expiry.map(|e| e.wall)), (1, first.expiry.map(|e| e.wall)));
    assert_eq!((cached.margins, cached.lifetime), (first.margins, first.lifetime), "its life is still an hour");
    assert!(cached.due > at(1_800_000).wall && cached.due < at(3_600_000).wall);

    let longer = Answer { lifetime: Lifetime::Known(s(3_600)), ..again };
    let extended = first.renewed(at(1_800_000), at(1_800_100), longer, Terms::default(), &mut Random::new(2));
    assert_eq!((extended.generation, extended.expiry.map(|e| e.wall)), (1, Some(Wall(START + 5_400_000))));
}

#[test]
fn a_token_that_is_dead_on_arrival_is_not_asked_for_in_a_hot_loop() {
    let mut standing = Standing::new(at(0));
    let mut now = 0;
    for round in 0..20 {
        standing = renewed(&standing, at(now), 0);
        assert_eq!(standing.state(at(now)), TokenState::Expired);
        let wait = standing.due.0 - at(now).wall.0;
        assert!(wait >= 1_000, "round {round} waits {wait} ms");
        now += wait;
    }
    assert!(standing.step == 20 && standing.generation == 20);
    assert_eq!(renewed(&standing, at(now), 60).step, 0);
}

#[test]
fn an_answer_that_waited_for_the_store_is_due_by_its_own_life() {
    let held = Standing::new(at(0)).renewed(
        at(0),
        at(3_000_000),
        answer(Lifetime::Known(s(3_600))),
        Terms::default(),
        &mut Random::new(1),
    );
    assert_eq!(held.due, at(3_000_500).wall, "half its life is over: the next renewal follows at once");
    assert_eq!(held.remaining(at(3_000_000)), Some(Remaining(600_000)));
}

#[test]
fn a_wall_clock_set_back_delays_nothing() {
    let mut standing = renewed(&Standing::new(at(0)), at(0), 3_600);
    let (due, before) = (standing.due, at(1_000_000));
    // An hour back, with a second between the looks.
    let now = Moment { wall: before.wall.minus(s(3_599)), boot: at(1_001_000).boot };
    standing.after_jump(before, now);
    assert_eq!(standing.due, due.minus(s(3_600)));
    assert_eq!(standing.remaining(now), Some(Remaining(2_599_000)));
    let rebooted = Moment { wall: now.wall, boot: Boot { id: 2, ms: 5 } };
    assert_eq!(
        standing.remaining(rebooted),
        Some(Remaining(2_599_000)),
        "the expiry is right without the boot clock too"
    );
}

#[test]
fn a_wall_clock_set_back_during_the_exchange_delays_nothing() {
    let now = Moment { wall: at(0).wall.minus(s(3_600)), boot: at(1_000).boot };
    let lifetime = Lifetime::Known(s(3_600));
    let standing = Standing::new(at(0)).renewed(at(0), now, answer(lifetime), Terms::default(), &mut Random::new(1));
    assert!((1_619_000..=1_980_000).contains(&(standing.due.0 - now.wall.0)), "{:?}", standing.due);
}

#[test]
fn a_wall_clock_set_ahead_changes_no_due_time() {
    let mut standing = renewed(&Standing::new(at(0)), at(0), 3_600);
    let untouched = standing.clone();
    let now = Moment { wall: at(9_000_000).wall, boot: at(1_000).boot };
    standing.after_jump(at(0), now);
    assert_eq!(standing, untouched);
    assert!(standing.is_due(now));
}

#[test]
fn one_transient_failure_tells_nobody_and_a_second_only_when_it_is_urgent() {
    let mut calm = renewed(&Standing::new(at(0)), at(0), 3_600);
    for _ in 0..5 {
        calm = failed(&calm, at(2_000_000), FailureClass::Transient);
    }
    assert_eq!(calm.notices(at(2_000_000), Terms::default()), []);
    let urgent = at(2_900_000);
    let left = calm.remaining(urgent).expect("a known expiry");
    let class = FailureClass::Transient;
    assert_eq!(
        calm.notices(urgent, Terms::default()),
        [Notice::Failing { class, failures: 5, left: Some(left) }, Notice::Expiring { left }]
    );
    assert_eq!(calm.notices(at(3_600_000), Terms::default()), [], "each is told once");

    let mut well = renewed(&calm, at(3_500_000), 3_600);
    assert_eq!(well.notices(at(3_500_000), Terms::default()), [Notice::Recovered]);
    assert_eq!(well.notices(at(3_500_001), Terms::default()), []);
}

#[test]
fn a_refusal_is_told_at_once_even_after_other_failures_were() {
    for class in [FailureClass::Client, FailureClass::Consent, FailureClass::Permanent, FailureClass::Credential] {
        let mut standing = failed(&renewed(&Standing::new(at(0)), at(0), 3_600), at(1), class);
        let left = standing.remaining(at(1));
        assert_eq!(standing.notices(at(1), Terms::default()), [Notice::Failing { class, failures: 1, left }]);
    }
    let mut standing = Standing::new(at(0));
    standing = failed(&standing, at(0), FailureClass::Transient);
    assert_eq!(standing.notices(at(0), Terms::default()), []);
    standing = failed(&standing, at(1), FailureClass::Transient);
    assert_eq!(standing.notices(at(1), Terms::default()).len(), 1, "no value yet is urgent");
    standing = failed(&standing, at(2), FailureClass::Client);
    assert_eq!(standing.notices(at(2), Terms::default()).len(), 1, "a refusal is news");
    standing = failed(&standing, at(3), FailureClass::Transient);
    assert_eq!(standing.notices(at(3), Terms::default()), []);
}

#[test]
fn a_token_that_never_had_a_value_may_want_for_its_credentials_twice_before_that_is_told() {
    let class = FailureClass::Credential;
    let mut new = Standing::new(at(0));
    for now in [0, 1] {
        new = failed(&new, at(now), class);
        assert_eq!(new.notices(at(now), Terms::default()), [], "somebody is about to write them");
    }
    new = failed(&new, at(2), class);
    assert_eq!(new.notices(at(2), Terms::default()), [Notice::Failing { class, failures: 3, left: None }]);
    new = failed(&new, at(3), class);
    assert_eq!(new.notices(at(3), Terms::default()), [], "once");

    let mut refused = failed(&failed(&Standing::new(at(0)), at(0), class), at(1), FailureClass::Client);
    assert_eq!(refused.notices(at(1), Terms::default()).len(), 1, "what was written is wrong");
}

#[test]
fn tokens_without_an_expiry_alert_by_what_is_assumed() {
    let table = [(Lifetime::GUESS, 199_000, 200_000), (Lifetime::Never, 172_799_000, 172_800_000)];
    for (lifetime, calm, alarming) in table {
        let first = Standing::new(at(0)).renewed(at(0), at(0), answer(lifetime), Terms::default(), &mut Random::new(1));
        let mut standing = failed(&failed(&first, at(1), FailureClass::Transient), at(2), FailureClass::Transient);
        assert_eq!(standing.notices(at(calm), Terms::default()), [], "{lifetime:?}");
        assert_eq!(standing.notices(at(alarming), Terms::default()).len(), 1, "{lifetime:?}");
    }
}

#[test]
fn a_promise_that_turns_out_too_long_is_told_once() {
    let terms = Terms { promise: s(1_800), ..Terms::default() };
    let mut standing = renewed(&Standing::new(at(0)), at(0), 600);
    let told = standing.notices(at(0), terms);
    assert!(matches!(told[..], [Notice::PromiseTooLong(_)]), "{told:?}");
    assert_eq!(standing.notices(at(0), terms), []);
    let mut longer = renewed(&standing, at(1), 3_600);
    assert_eq!(longer.notices(at(1), terms), []);
    let mut shorter = renewed(&longer, at(2), 600);
    assert_eq!(shorter.notices(at(2), terms).len(), 1, "it held in between");
}

#[test]
fn a_token_whose_secret_is_gone_tells_nothing() {
    let mut standing = failed(&Standing::new(at(0)), at(0), FailureClass::Client);
    standing.pause(PauseReason::SecretDeleted);
    assert_eq!(standing.notices(at(1), Terms::default()), []);
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    let length = prop_oneof![0_u64..100_000, any::<u64>()].prop_map(s);
    prop_oneof![length.clone().prop_map(Lifetime::Known), length.prop_map(Lifetime::Guess), Just(Lifetime::Never),]
}

fn class() -> impl Strategy<Value = FailureClass> {
    prop::sample::select(vec![
        FailureClass::Transient,
        FailureClass::Throttled,
        FailureClass::Client,
        FailureClass::Consent,
        FailureClass::Permanent,
        FailureClass::Credential,
        FailureClass::Unknown,
    ])
}

/// Anything that can happen to a standing.
#[derive(Debug, Clone)]
enum Event {
    Renewed(Answer, i64),
    Failed(Failure),
    Pause,
    Resume,
    RenewNow,
    Consent,
    Kick(u64),
    Jump(Moment),
    Look,
}

fn event() -> impl Strategy<Value = Event> {
    let answer = (lifetime(), prop::option::of(any::<u64>()), any::<bool>())
        .prop_map(|(lifetime, refresh_in, same_value)| Answer { lifetime, refresh_in: refresh_in.map(s), same_value });
    let failure = (class(), prop::option::of(any::<u64>()), 0..3_u64).prop_map(|(class, retry_after, cause)| Failure {
        class,
        reach: Reach::NotSent,
        retry_after: retry_after.map(s),
        cause,
    });
    prop_oneof![
        (answer, -100_000..100_000_i64).prop_map(|(answer, sent)| Event::Renewed(answer, sent)),
        failure.prop_map(Event::Failed),
        Just(Event::Pause),
        Just(Event::Resume),
        Just(Event::RenewNow),
        Just(Event::Consent),
        any::<u64>().prop_map(Event::Kick),
        moment().prop_map(Event::Jump),
        Just(Event::Look),
    ]
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        (0..1_000_000_000_i64).prop_map(at),
        (any::<i64>(), 0..3_u64, any::<u64>())
            .prop_map(|(wall, id, ms)| Moment { wall: Wall(wall), boot: Boot { id, ms } }),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    (any::<bool>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(kills_previous, floor, promise, uncertainty)| Terms {
            pacing: Pacing { kills_previous, floor: s(floor) },
            promise: s(promise),
            uncertainty: s(uncertainty),
        },
    )
}

fn apply(standing: &Standing, event: &Event, now: Moment, terms: Terms, random: &mut Random) -> Standing {
    let mut next = standing.clone();
    match event {
        Event::Renewed(answer, sent) => {
            let sent = Moment { wall: Wall(now.wall.0.saturating_sub(*sent)), ..now };
            return standing.renewed(sent, now, *answer, terms, random);
        }
        Event::Failed(failure) => return standing.failed(now, *failure, random),
        Event::Pause => next.pause(PauseReason::Person),
        Event::Resume => next.resume(PauseReason::Person),
        Event::RenewNow => next.renew_now(now),
        Event::Consent => next.consent_given(now),
        Event::Kick(spread) => drop(next.kick(now, s(*spread), random)),
        Event::Jump(before) => next.after_jump(*before, now),
        Event::Look => drop(next.notices(now, terms)),
    }
    next
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(8628), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_token_keeps_its_generation_its_state_and_its_next_action(
        events in prop::collection::vec((event(), moment()), 1..40),
        (terms, seed) in (terms(), any::<u64>()),
    ) {
        let mut random = Random::new(seed);
        let mut standing = Standing::new(at(0));
        for (event, now) in &events {
            let next = apply(&standing, event, *now, terms, &mut random);
            prop_assert!(next.generation >= standing.generation, "a generation went back");
            if matches!(event, Event::Failed(_)) {
                prop_assert_eq!((next.expiry, next.generation), (standing.expiry, standing.generation));
                prop_assert!(next.due > now.wall || now.wall == Wall::NEVER, "tried again at once");
            }
            // Every state has its word, and a token waits for ever only where a person must act.
            prop_assert!(TokenState::ALL.contains(&next.state(*now)));
            prop_assert!(!next.wire_state(*now).name().is_empty());
            let wait = next.due.since(now.wall);
            let person = next.needs_consent;
            let by_failure = matches!(event, Event::Failed(_)) && wait <= s(3_601);
            let by_success = matches!(event, Event::Renewed(..)) && wait <= LONGEST_LIFE + s(200);
            let by_others = !matches!(event, Event::Failed(_) | Event::Renewed(..)) && next.due <= standing.due.max(now.wall);
            prop_assert!(person || by_failure || by_success || by_others, "{event:?} leaves {next:?}");
            standing = next;
        }
    }

    #[test]
    fn the_same_seed_and_events_give_the_same_standing(
        events in prop::collection::vec((event(), moment()), 1..20),
        (terms, seed) in (terms(), any::<u64>()),
    ) {
        let run = || {
            let mut random = Random::new(seed);
            events.iter().fold(Standing::new(at(0)), |standing, (event, now)| apply(&standing, event, *now, terms, &mut random))
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_token_never_gives_up(classes in prop::collection::vec(class(), 1..60), seed in any::<u64>(), life in 2_u64..100_000) {
        let mut random = Random::new(seed);
        let mut standing = renewed(&Standing::new(at(0)), at(0), life);
        for class in classes.into_iter().filter(|class| *class != FailureClass::Consent) {
            let now = Moment { wall: standing.due, boot: at(standing.due.0 - START).boot };
            standing = standing.failed(now, failure(class), &mut random);
            let wait = standing.due.since(now.wall);
            prop_assert!(wait >= s(1) && wait <= s(990), "{class:?} waits {wait:?}");
        }
    }
}
