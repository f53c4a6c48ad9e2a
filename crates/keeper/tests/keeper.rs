//! What the keeper does with tokens, in a world of its own.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use std::time::Duration;

use renewal::{PauseReason, TokenState};
use store::Outcome;
use world::{Answering, World};

const HOUR: u64 = 3600;

#[test]
fn a_declared_token_gets_a_value_and_keeps_a_fresh_one() {
    let mut world = World::new(HOUR);
    world.declare("api");
    world.pass(2);
    assert_eq!(world.read("api").as_deref(), Some("token-1"));
    for _ in 0..48 {
        world.pass(HOUR / 2);
        let token = world.token("api");
        let left = token.standing.remaining(keeper::Clock::now(&world.clock)).expect("an expiry");
        assert!(left.left() >= Duration::from_secs(24 * 60), "{left:?}");
    }
    let calls = world.provider.calls().len();
    assert!((40..=55).contains(&calls), "about one renewal each half hour, and there were {calls}");
    assert_eq!(world.token("api").standing.generation, calls as u64);
    assert!(world.told.all().is_empty(), "{:?}", world.told.all());
}

#[test]
fn an_outage_is_ridden_out_and_told_once() {
    let mut world = World::new(HOUR);
    world.declare("api");
    world.pass(2);
    world.provider.down(true);
    world.pass(24 * HOUR);
    assert_eq!(world.token("api").standing.state(keeper::Clock::now(&world.clock)), TokenState::Expired);
    assert_eq!(world.read("api").as_deref(), Some("token-1"), "a reader still finds the last value");
    world.provider.down(false);
    world.pass(60);
    let token = world.token("api");
    assert_eq!(token.standing.state(keeper::Clock::now(&world.clock)), TokenState::Fresh);
    assert_eq!(token.standing.generation, 2);
    assert_eq!(
        (world.told.count("failing"), world.told.count("expiring"), world.told.count("recovered")),
        (1, 1, 1),
        "{:?}",
        world.told.all()
    );
    let history = world.history("api");
    assert!(history.len() < 10, "failures that repeat are counted on one row, and there are {} rows", history.len());
    assert!(history.iter().any(|attempt| attempt.repeats > 100));
}

#[test]
fn an_answer_that_makes_no_sense_leaves_the_old_token_and_a_row_that_says_why() {
    let bodies = [
        (200, r#"{"error":"server_error"}"#),
        (200, "<html>maintenance</html>"),
        (200, ""),
        (200, r#"{"access_token":"x","expires_in":0}"#),
        (200, r#"{"access_token":"x","expires_in":-1}"#),
        (500, "oops"),
        (429, "slow down"),
    ];
    for (status, body) in bodies {
        let mut world = World::new(HOUR);
        world.declare("api");
        world.pass(2);
        world.provider.then(Answering::With(status, body.to_owned(), Duration::ZERO));
        world.change("api", |standing| standing.due = renewal::Wall(0));
        world.pass(0);
        world.pass(0);
        let history = world.history("api");
        let Outcome::Failed { words, .. } = &history[0].outcome else { panic!("{status} {body}: {:?}", history[0]) };
        assert!(words.len() > 20, "{words}");
        assert!(!words.contains("maintenance") && !words.contains("oops"), "a provider's body is never shown: {words}");
        assert_eq!(world.read("api").as_deref(), Some("token-1"));
        world.pass(HOUR);
        assert!(world.token("api").standing.generation >= 2, "{status} {body}: it goes on");
    }
}

#[test]
fn a_lifetime_that_is_text_or_huge_is_understood() {
    for (lifetime, known) in [(r#""3600""#, 3600), ("1e12", 10 * 365 * 86_400)] {
        let mut world = World::new(HOUR);
        let body = format!(r#"{{"access_token":"x","expires_in":{lifetime}}}"#);
        world.provider.then(Answering::With(200, body, Duration::ZERO));
        world.declare("api");
        world.pass(2);
        let Outcome::Renewed { lifetime, .. } = world.history("api")[0].outcome.clone() else { panic!("renewed") };
        assert_eq!(lifetime, Some(known));
    }
}

#[test]
fn a_missing_credential_is_named_and_its_writing_tries_at_once() {
    let mut world = World::new(HOUR);
    world.records.on_write({
        let keeper = std::sync::Arc::clone(&world.keeper);
        move |vault, name| keeper.secret_written(vault, name)
    });
    let (vault, name) =
        (vault::VaultName::parse("home").expect("a name"), vault::SecretName::parse("credentials").expect("a name"));
    let disable = store::Amendment { enabled: Some(false), ..Default::default() };
    futures_executor::block_on(world.records.amend(&vault, &name, None, &disable, 0)).map(drop).expect("amended");
    world.declare("api");
    world.pass(2);
    let Outcome::Failed { class, words, .. } = world.history("api")[0].outcome.clone() else { panic!("failed") };
    assert_eq!(class, "credential");
    assert!(words.contains("credentials") && words.contains("vestal secret set home/credentials"), "{words}");
    assert!(world.provider.calls().is_empty(), "no call is made without a credential");
    world.set("credentials", "hush again");
    world.pass(1);
    assert_eq!(world.read("api").as_deref(), Some("token-1"));
}

#[test]
fn a_paused_token_rests_even_if_the_pause_comes_while_it_is_renewed() {
    let mut world = World::new(HOUR);
    let body = r#"{"access_token":"slow","expires_in":3600}"#.to_owned();
    world.provider.then(Answering::With(200, body, Duration::from_secs(5)));
    world.declare("api");
    world.pass(2);
    world.change("api", |standing| standing.pause(PauseReason::Person));
    world.pass(10);
    let token = world.token("api");
    assert_eq!(world.read("api").as_deref(), Some("slow"), "a success is never dropped");
    assert!(token.standing.paused.contains(&PauseReason::Person), "nor is the pause");
    world.pass(3 * HOUR);
    assert_eq!(world.provider.calls().len(), 1);
    world.change("api", |standing| standing.resume(PauseReason::Person));
    world.pass(5);
    assert_eq!(world.read("api").as_deref(), Some("token-1"));
}

#[test]
fn what_somebody_writes_over_a_token_is_renewed_at_once() {
    let mut world = World::new(HOUR);
    world.declare("api");
    world.pass(2);
    world.set("api", "by hand");
    assert_eq!(world.read("api").as_deref(), Some("by hand"));
    assert_eq!(world.token("api").standing.generation, 1, "a write by somebody else raises no generation");
    world.keeper.wake();
    world.pass(2);
    assert_eq!(world.read("api").as_deref(), Some("token-2"));
}

#[test]
fn the_same_value_again_makes_no_new_version() {
    let mut world = World::new(HOUR);
    let body = r#"{"access_token":"same","expires_in":3600}"#;
    for _ in 0..20 {
        world.provider.then(Answering::With(200, body.to_owned(), Duration::ZERO));
    }
    world.declare("api");
    world.pass(4 * HOUR);
    assert_eq!(world.token("api").standing.generation, 1);
    let (vault, name) =
        (vault::VaultName::parse("home").expect("a name"), vault::SecretName::parse("api").expect("a name"));
    let versions = futures_executor::block_on(store::Store::versions(world.records.store(), &vault, &name, None, 100));
    assert_eq!(versions.expect("read").len(), 1);
}

#[test]
fn only_so_many_versions_are_kept() {
    let mut world = World::new(60);
    world.declare("api");
    world.pass(HOUR);
    assert!(world.token("api").standing.generation > 50);
    let (vault, name) =
        (vault::VaultName::parse("home").expect("a name"), vault::SecretName::parse("api").expect("a name"));
    let versions = futures_executor::block_on(store::Store::versions(world.records.store(), &vault, &name, None, 100));
    assert_eq!(versions.expect("read").len(), 5);
}

#[test]
fn a_full_disk_holds_the_answer_and_loses_nothing() {
    let mut world = World::new(HOUR);
    let body = r#"{"access_token":"held","expires_in":3600}"#.to_owned();
    world.provider.then(Answering::With(200, body, Duration::from_secs(5)));
    world.declare("api");
    world.pass(2);
    world.records.store().set_full(true);
    world.pass(300);
    assert_eq!(world.provider.calls().len(), 1, "no second call while an answer isn't stored");
    assert_eq!(world.read("api"), None);
    world.records.store().set_full(false);
    world.pass(40);
    assert_eq!(world.read("api").as_deref(), Some("held"));
    assert_eq!(world.provider.calls().len(), 1);
}

#[test]
fn a_store_that_takes_no_claim_is_asked_once_a_second_and_no_provider_is_called() {
    let mut world = World::new(HOUR);
    for number in 0..20 {
        world.declare_in(&format!("token-{number}"), &format!("host-{number} me"));
    }
    world.records.store().set_full(true);
    world.pass(60);
    let tries = world.told.all().len();
    assert!((1..=60 * 20).contains(&tries), "{tries} tries in a minute");
    assert!(world.provider.calls().is_empty());
    world.records.store().set_full(false);
    world.pass(5);
    for number in 0..20 {
        assert!(world.read(&format!("token-{number}")).is_some());
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_made_twice() {
    let mut world = World::new(HOUR);
    let body = r#"{"access_token":"once","expires_in":3600}"#.to_owned();
    world.provider.then(Answering::With(200, body, Duration::from_secs(5)));
    world.declare("api");
    world.pass(2);
    world.records.store().fail_next_commit_unknown(store::Fate::Written);
    world.pass(60);
    assert_eq!(world.read("api").as_deref(), Some("once"));
    assert_eq!(world.token("api").standing.generation, 1);
    assert_eq!(world.history("api").len(), 1);
}

#[test]
fn a_refused_client_pauses_its_lane_and_a_new_secret_ends_that() {
    let mut world = World::new(HOUR);
    world.records.on_write({
        let keeper = std::sync::Arc::clone(&world.keeper);
        move |vault, name| keeper.secret_written(vault, name)
    });
    for _ in 0..50 {
        world.provider.then(Answering::With(401, r#"{"error":"invalid_client"}"#.to_owned(), Duration::ZERO));
    }
    for token in ["one", "two", "three"] {
        world.declare(token);
    }
    world.pass(600);
    let before = world.provider.calls().len();
    assert!(before <= 4, "a paused lane is left alone, and there were {before} calls");
    assert!(world.told.count("failing") >= 1);
    // The new secret is right: nothing more is refused.
    world.provider.relents();
    world.set("credentials", "the new one");
    world.pass(30);
    for token in ["one", "two", "three"] {
        assert!(world.read(token).is_some_and(|value| value.starts_with("token-")), "{token}");
    }
}

#[test]
fn one_slow_lane_delays_no_other() {
    let mut world = World::new(HOUR);
    for _ in 0..8 {
        let body = r#"{"access_token":"late","expires_in":3600}"#.to_owned();
        world.provider.then(Answering::With(200, body, Duration::from_secs(25)));
    }
    for number in 0..40 {
        world.declare(&format!("slow-{number}"));
    }
    world.pass(3);
    world.declare_in("quick", "other.example.com me");
    world.pass(1);
    assert!(world.read("quick").is_some());
}

#[test]
fn a_clock_set_back_or_ahead_neither_stops_renewals_nor_floods_the_provider() {
    for ahead in [-3_600_000, 3_600_000, -365 * 86_400_000] {
        let mut world = World::new(HOUR);
        world.declare("api");
        world.pass(2);
        world.clock.jump(ahead);
        world.pass(4 * HOUR);
        let calls = world.provider.calls().len();
        assert!((6..=12).contains(&calls), "{ahead}: {calls} calls in four hours");
    }
}

#[test]
fn a_fault_in_one_attempt_stops_neither_the_keeper_nor_the_token() {
    let mut world = World::new(HOUR);
    world.provider.then(Answering::Panic);
    world.declare("api");
    world.declare("other");
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    world.pass(5);
    std::panic::set_hook(quiet);
    world.pass(120);
    assert!(world.read("api").is_some() && world.read("other").is_some());
    assert!(world.told.all().iter().any(|told| told.starts_with("trouble: an attempt")), "{:?}", world.told.all());
}

#[test]
fn a_token_whose_record_does_not_open_holds_up_no_other_of_its_lane() {
    let mut world = World::new(HOUR);
    world.declare("broken");
    world.declare("api");
    world.pass(2);
    world.damage("broken");
    world.pass(24 * HOUR);
    assert_eq!(world.token("api").standing.state(keeper::Clock::now(&world.clock)), TokenState::Fresh);
    let troubles = world.told.all().iter().filter(|told| told.contains("can't be opened")).count();
    assert!((1..20_000).contains(&troubles), "it is said, and not in a hot loop: {troubles} times in a day");
}
