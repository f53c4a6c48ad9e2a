//! The machine of one attempt: its order, what it never drops, and what it makes of nonsense.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use renewal::{
    Action, Answer, Attempt, AttemptResult, Boot, Credential, End, Failure, FailureClass, Input, LONGEST_STORE_WAIT,
    Lifetime, Moment, Notice, Outcome, PauseReason, Random, Reach, Report, Standing, Terms, TokenState, Verdict, Wall,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(ms: u64) -> Moment {
    Moment { wall: Wall(1_800_000_000_000 + ms as i64), boot: Boot { id: 1, ms } }
}

const HOUR: Answer =
    Answer { lifetime: Lifetime::Known(Duration::from_secs(3_600)), refresh_in: None, same_value: false };

fn fail(class: FailureClass) -> Outcome {
    Outcome::Failure(Failure { class, reach: Reach::Sent, retry_after: None, cause: 503 })
}

fn valued() -> Standing {
    Standing::new(at(0)).renewed(at(0), at(0), HOUR, Terms::default(), &mut Random::new(1))
}

/// An attempt that has been told to exchange at `at(1_000)`.
fn exchanging(standing: Standing) -> Attempt {
    let mut attempt = Attempt::new(standing, Terms::default(), 7);
    for input in [Input::Begin, Input::Claimed { fence: 3, attempt: 12 }, Input::Credential(Credential::Ready)] {
        feed(&mut attempt, 1_000, input);
    }
    attempt
}

fn feed(attempt: &mut Attempt, ms: u64, input: Input) -> Vec<Action> {
    attempt.handle(at(ms), input).unwrap_or_else(|error| panic!("{error}"))
}

fn recorded(result: AttemptResult) -> Action {
    Action::Finish(Report { end: End::Recorded(result), notices: Vec::new() })
}

#[test]
fn a_renewal_goes_claim_open_exchange_promote() {
    let mut attempt = Attempt::new(valued(), Terms::default(), 7);
    let claim = Action::Claim { parent_generation: 1, lease: s(60) };
    assert_eq!(feed(&mut attempt, 1_000, Input::Begin), [claim]);
    assert_eq!(feed(&mut attempt, 1_001, Input::Claimed { fence: 3, attempt: 12 }), [Action::OpenCredential]);
    let exchange = Action::Exchange { deadline: s(30) };
    assert_eq!(feed(&mut attempt, 1_002, Input::Credential(Credential::Ready)), [exchange]);

    let actions = feed(&mut attempt, 1_500, Input::Exchanged(Outcome::Success(HOUR)));
    let [Action::Return(Verdict::Success), Action::Promote { standing, record, same_value: false }] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert!(attempt.holds_success());
    assert_eq!((standing.generation, standing.obtained), (2, Some(at(1_002))), "life counts from before the request");
    assert_eq!((record.attempt, record.fence), (12, 3));
    assert_eq!((record.started, record.ended), (at(1_000), at(1_500)));
    assert_eq!((record.result, record.next_due), (AttemptResult::Renewed(2), standing.due));
    assert_eq!(feed(&mut attempt, 1_501, Input::Promoted), [recorded(AttemptResult::Renewed(2))]);
    assert!(attempt.is_over() && !attempt.holds_success());
}

#[test]
fn a_claim_that_is_lost_gives_the_permit_back_and_does_nothing() {
    for (input, end) in [(Input::ClaimLost, End::ClaimLost), (Input::StoreFailed, End::NotClaimed)] {
        let mut attempt = Attempt::new(valued(), Terms::default(), 7);
        feed(&mut attempt, 0, Input::Begin);
        let finish = Action::Finish(Report { end, notices: Vec::new() });
        assert_eq!(feed(&mut attempt, 1, input), [Action::Return(Verdict::Unused), finish]);
        assert!(attempt.is_over());
    }
}

#[test]
fn a_missing_credential_is_settled_without_a_call_and_told_at_once() {
    let mut attempt = Attempt::new(valued(), Terms::default(), 7);
    feed(&mut attempt, 0, Input::Begin);
    feed(&mut attempt, 0, Input::Claimed { fence: 1, attempt: 1 });
    let actions = feed(&mut attempt, 0, Input::Credential(Credential::Missing));
    let [Action::Return(Verdict::Unused), Action::Settle { standing, record }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(record.result, AttemptResult::Failed(FailureClass::Credential));
    assert!(standing.told.refused, "marked as told in what is written");
    let finish = feed(&mut attempt, 1, Input::Settled);
    let [Action::Finish(Report { notices, .. })] = &finish[..] else { panic!("{finish:?}") };
    assert!(
        matches!(notices[..], [Notice::Failing { class: FailureClass::Credential, failures: 1, .. }]),
        "{notices:?}"
    );
}

#[test]
fn each_outcome_gives_its_verdict_on_the_lane() {
    let table = [
        (Outcome::Success(HOUR), Verdict::Success),
        (fail(FailureClass::Transient), Verdict::Failed),
        (fail(FailureClass::Unknown), Verdict::Failed),
        (fail(FailureClass::Throttled), Verdict::Throttled(None)),
        (fail(FailureClass::Client), Verdict::ClientRefused),
        (fail(FailureClass::Consent), Verdict::Answered),
        (fail(FailureClass::Permanent), Verdict::Answered),
    ];
    for (outcome, verdict) in table {
        let actions = feed(&mut exchanging(valued()), 2_000, Input::Exchanged(outcome));
        assert_eq!(actions[0], Action::Return(verdict), "{outcome:?}");
    }
}

#[test]
fn a_success_is_held_until_the_store_takes_it_and_never_fetched_again() {
    let mut attempt = exchanging(valued());
    feed(&mut attempt, 2_000, Input::Exchanged(Outcome::Success(HOUR)));
    let mut now = 2_000;
    for _ in 0..40 {
        let actions = feed(&mut attempt, now, Input::StoreFailed);
        let [Action::Wait(wait)] = actions[..] else { panic!("{actions:?}") };
        assert!((s(1)..=LONGEST_STORE_WAIT).contains(&wait));
        assert!(attempt.holds_success());
        now += wait.as_millis() as u64;
        let actions = feed(&mut attempt, now, Input::Elapsed);
        let [Action::Promote { standing, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!((standing.generation, standing.obtained), (2, Some(at(1_000))));
        assert!(standing.due > at(now).wall);
    }
    assert_eq!(feed(&mut attempt, now, Input::Promoted), [recorded(AttemptResult::Renewed(2))]);
}

#[test]
fn a_pause_in_mid_flight_is_not_undone_by_the_renewal() {
    let mut attempt = exchanging(valued());
    feed(&mut attempt, 2_000, Input::Exchanged(Outcome::Success(HOUR)));
    let mut paused = valued();
    paused.pause(PauseReason::Person);
    let actions = feed(&mut attempt, 2_001, Input::Changed(Box::new(paused)));
    let [Action::Promote { standing, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((standing.generation, standing.state(at(2_001))), (2, TokenState::Paused));
}

#[test]
fn a_renewal_that_somebody_else_overtook_gives_way() {
    let superseded = [Action::Finish(Report { end: End::Superseded, notices: Vec::new() })];
    let mut attempt = exchanging(valued());
    feed(&mut attempt, 2_000, Input::Exchanged(Outcome::Success(HOUR)));
    assert_eq!(feed(&mut attempt, 2_001, Input::PromoteLost), superseded);

    let mut attempt = exchanging(valued());
    feed(&mut attempt, 2_000, Input::Exchanged(fail(FailureClass::Transient)));
    let newer = valued().renewed(at(1_900), at(1_900), HOUR, Terms::default(), &mut Random::new(2));
    assert_eq!(feed(&mut attempt, 2_001, Input::Changed(Box::new(newer))), superseded);
}

#[test]
fn the_same_value_promotes_no_version() {
    let again = Answer { same_value: true, ..HOUR };
    let actions = feed(&mut exchanging(valued()), 2_000, Input::Exchanged(Outcome::Success(again)));
    let [_, Action::Promote { standing, record, same_value: true }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((standing.generation, record.result), (1, AttemptResult::SameValue));

    let actions = feed(&mut exchanging(Standing::new(at(0))), 2_000, Input::Exchanged(Outcome::Success(again)));
    let [_, Action::Promote { standing, same_value: false, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(standing.generation, 1, "a token without a value has none to repeat");
}

#[test]
fn a_failure_like_the_last_is_counted_on_its_row() {
    let repeats = |standing: &Standing, class, cause| {
        let failure = Failure { class, reach: Reach::Sent, retry_after: None, cause };
        let actions = feed(&mut exchanging(standing.clone()), 2_000, Input::Exchanged(Outcome::Failure(failure)));
        let [_, Action::Settle { standing, record }] = &actions[..] else { panic!("{actions:?}") };
        ((**standing).clone(), record.repeats_last)
    };
    let (standing, repeated) = repeats(&valued(), FailureClass::Transient, 503);
    assert!(!repeated, "the first of a row");
    let (standing, repeated) = repeats(&standing, FailureClass::Transient, 503);
    assert!(repeated);
    assert!(!repeats(&standing, FailureClass::Transient, 502).1, "another cause");
    assert!(!repeats(&standing, FailureClass::Unknown, 503).1, "another class");
    let renewed = standing.renewed(at(3_000), at(3_000), HOUR, Terms::default(), &mut Random::new(1));
    assert!(!repeats(&renewed, FailureClass::Transient, 503).1, "a success lay between");
}

#[test]
fn a_probe_that_fails_is_made_again_within_half_a_minute() {
    let mut waits = Vec::new();
    for (seed, probe) in (0..200).map(|seed| (seed, seed % 2 == 0)) {
        let mut standing = valued();
        standing.step = 20;
        let mut attempt = Attempt::new(standing, Terms::default(), seed).as_probe(probe);
        for input in [Input::Begin, Input::Claimed { fence: 1, attempt: 1 }, Input::Credential(Credential::Ready)] {
            feed(&mut attempt, 0, input);
        }
        let actions = feed(&mut attempt, 0, Input::Exchanged(fail(FailureClass::Transient)));
        let [_, Action::Settle { record, .. }] = &actions[..] else { panic!("{actions:?}") };
        waits.push((probe, record.next_due.since(at(0).wall)));
    }
    assert!(waits.iter().all(|(probe, wait)| !probe || *wait <= s(30)), "{waits:?}");
    assert!(waits.iter().any(|(probe, wait)| !probe && *wait > s(200)), "{waits:?}");
}

#[test]
fn an_input_out_of_turn_says_so_and_changes_nothing() {
    let mut attempt = exchanging(valued());
    let error = attempt.handle(at(2_000), Input::Promoted).expect_err("nothing to promote yet");
    assert_eq!(
        error.to_string(),
        "the attempt is exchanging and was given 'promoted', which answers nothing it asked for"
    );
    let actions = feed(&mut attempt, 2_000, Input::Exchanged(Outcome::Success(HOUR)));
    assert_eq!(actions, feed(&mut exchanging(valued()), 2_000, Input::Exchanged(Outcome::Success(HOUR))));
    assert!(attempt.handle(at(2_000), Input::Settled).is_err(), "a success isn't settled");
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    prop_oneof![
        any::<u64>().prop_map(|life| Lifetime::Known(s(life))),
        (0..100_000_u64).prop_map(|life| Lifetime::Known(s(life))),
        Just(Lifetime::GUESS),
        Just(Lifetime::Never),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let class = prop::sample::select(vec![
        FailureClass::Transient,
        FailureClass::Throttled,
        FailureClass::Client,
        FailureClass::Consent,
        FailureClass::Permanent,
        FailureClass::Credential,
        FailureClass::Unknown,
    ]);
    prop_oneof![
        (lifetime(), prop::option::of(any::<u64>()), any::<bool>()).prop_map(|(lifetime, refresh_in, same_value)| {
            Outcome::Success(Answer { lifetime, refresh_in: refresh_in.map(s), same_value })
        }),
        (class, prop::option::of(any::<u64>()), any::<u64>()).prop_map(|(class, retry_after, cause)| {
            Outcome::Failure(Failure { class, reach: Reach::NotSent, retry_after: retry_after.map(s), cause })
        }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Begin),
        (any::<u64>(), any::<u64>()).prop_map(|(fence, attempt)| Input::Claimed { fence, attempt }),
        Just(Input::ClaimLost),
        prop::sample::select(vec![Credential::Ready, Credential::Missing, Credential::Unreadable])
            .prop_map(Input::Credential),
        outcome().prop_map(Input::Exchanged),
        Just(Input::Promoted),
        Just(Input::PromoteLost),
        Just(Input::Settled),
        Just(Input::SettleLost),
        any::<bool>().prop_map(|newer| Input::Changed(Box::new(if newer { valued() } else { Standing::new(at(0)) }))),
        Just(Input::StoreFailed),
        Just(Input::Elapsed),
    ]
}

fn moment() -> impl Strategy<Value = Moment> {
    (any::<i64>(), 0..3_u64, any::<u64>()).prop_map(|(wall, id, ms)| Moment { wall: Wall(wall), boot: Boot { id, ms } })
}

/// What a run of inputs did, out-of-turn ones included.
fn run(inputs: &[(Moment, Input)], seed: u64) -> (Attempt, Vec<Result<Vec<Action>, renewal::OutOfTurn>>) {
    let mut attempt = Attempt::new(Standing::new(at(0)), Terms::default(), seed);
    let steps = inputs.iter().map(|(now, input)| attempt.handle(*now, input.clone())).collect();
    (attempt, steps)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(9700), ..ProptestConfig::default() })]

    #[test]
    fn any_input_in_any_order_is_handled_or_refused(
        inputs in prop::collection::vec((moment(), input()), 0..200),
        seed in any::<u64>(),
    ) {
        let (attempt, steps) = run(&inputs, seed);
        let actions: Vec<&Action> = steps.iter().flatten().flatten().collect();
        let count = |wanted: fn(&Action) -> bool| actions.iter().filter(|action| wanted(action)).count();
        prop_assert!(count(|action| matches!(action, Action::Claim { .. })) <= 1, "a second claim");
        prop_assert!(count(|action| matches!(action, Action::Exchange { .. })) <= 1, "a second call");
        let returned = count(|action| matches!(action, Action::Return(_)));
        prop_assert!(returned <= 1, "a permit returned twice");
        prop_assert_eq!(count(|action| matches!(action, Action::Finish(_))), usize::from(attempt.is_over()));
        prop_assert!(!attempt.is_over() || returned == 1, "a permit leaked");
        // At most one action of a step is answered, and it is the last.
        for step in steps.iter().flatten() {
            let answered = |action: &Action| !matches!(action, Action::Return(_) | Action::Finish(_));
            prop_assert!(step.iter().filter(|action| answered(action)).count() <= 1);
            prop_assert!(step.iter().rev().skip(1).all(|action| !answered(action)));
        }
    }

    #[test]
    fn the_same_seed_and_inputs_give_the_same_actions(
        inputs in prop::collection::vec((moment(), input()), 0..60),
        seed in any::<u64>(),
    ) {
        prop_assert_eq!(run(&inputs, seed).1, run(&inputs, seed).1);
    }

    #[test]
    fn a_success_ends_only_promoted_or_overtaken(
        outcome in outcome(),
        inputs in prop::collection::vec((moment(), input()), 0..60),
        seed in any::<u64>(),
    ) {
        let mut attempt = Attempt::new(valued(), Terms::default(), seed);
        for input in [
            Input::Begin,
            Input::Claimed { fence: 1, attempt: 1 },
            Input::Credential(Credential::Ready),
            Input::Exchanged(outcome),
        ] {
            feed(&mut attempt, 1_000, input);
        }
        let success = matches!(outcome, Outcome::Success(_));
        for (now, input) in inputs {
            prop_assert_eq!(attempt.holds_success(), success);
            let last = input.clone();
            let Ok(actions) = attempt.handle(now, input) else { continue };
            if !attempt.is_over() {
                for action in actions {
                    let generation = match action {
                        Action::Promote { standing, .. } | Action::Settle { standing, .. } => standing.generation,
                        _ => continue,
                    };
                    prop_assert!(generation >= 1, "a generation went back");
                }
                continue;
            }
            let [Action::Finish(report)] = &actions[..] else { panic!("{actions:?}") };
            match report.end {
                End::Recorded(AttemptResult::Failed(_)) => prop_assert!(!success && last == Input::Settled),
                End::Recorded(_) => prop_assert!(success && last == Input::Promoted),
                End::Superseded => {
                    let overtaken = matches!(last, Input::PromoteLost | Input::SettleLost | Input::Changed(_));
                    prop_assert!(overtaken, "{last:?} dropped an outcome");
                }
                End::ClaimLost | End::NotClaimed => prop_assert!(false, "{:?} after a claim", report.end),
            }
            break;
        }
    }
}
