//! A target that asks for fewer calls gets none for as long as it asks, whoever would call it.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use std::sync::Arc;
use std::time::Duration;

use keeper::DeliverTo;
use store::{MemoryTarget, Mishap, Target, TargetErrorKind, TargetPace};
use world::World;
use world::shelf::{HOUR, Slow, shelf, to, value};

/// Calls of every kind.
fn calls(shelf: &MemoryTarget) -> u64 {
    let calls = shelf.calls();
    calls.reads + calls.writes + calls.disables
}

/// Lets time pass by the second until there was a call; how many seconds that took.
fn until_called(world: &mut World, shelf: &MemoryTarget) -> u64 {
    let before = calls(shelf);
    (1..=2 * HOUR)
        .find(|_| {
            world.pass(1);
            calls(shelf) > before
        })
        .expect("it is called again")
}

#[test]
fn no_other_delivery_ends_the_wait_that_a_target_asked_for() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    shelf.set_pace(TargetPace { interval: Duration::from_millis(300), burst: 1, flights: 8 });
    let slow = Slow::new(shelf.clone(), &world.clock);
    slow.takes(1);
    world.targets.replace([("contoso".to_owned(), Arc::new(slow) as Arc<dyn Target>)].into());
    for number in 0..30 {
        world.deliver(&format!("api-{number}"), vec![to("contoso", &format!("n{number}"))]);
    }
    // Several are on the way; one is told to wait, while another is about to find that it went well.
    while shelf.calls().writes == 0 {
        world.pass(1);
    }
    shelf.then(Mishap::Throttled(Some(Duration::from_secs(90))));
    let mut called = Vec::new();
    for second in 0..300_u64 {
        let before = calls(&shelf);
        world.pass(1);
        called.extend((calls(&shelf) > before).then_some(second));
    }
    let longest = called.windows(2).map(|pair| pair[1] - pair[0]).max().expect("it is called");
    assert!((88..=95).contains(&longest), "{longest} s without a call: {called:?}");
    assert!((0..30).all(|number| value(&shelf, &format!("n{number}")).is_some()));
}

#[test]
fn the_time_that_is_asked_for_is_kept_whatever_it_is_up_to_an_hour() {
    for (asked, waited) in [(90, 90..=93), (1800, 1800..=1803), (100_000, 3600..=3603)] {
        let (mut world, shelf) = (World::new(24 * HOUR), shelf());
        world.stand(&[("contoso", &shelf)]);
        shelf.set_throttled(Some(Duration::from_secs(asked)));
        world.deliver("api", vec![to("contoso", "there")]);
        world.pass(1);
        assert_eq!(calls(&shelf), 1);
        let seconds = 1 + until_called(&mut world, &shelf);
        assert!(waited.contains(&seconds), "{asked} s asked for, {seconds} s waited");
    }
}

#[test]
fn where_no_time_is_asked_for_the_waits_grow() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.set_throttled(None);
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(1);
    let waits: Vec<u64> = (0..5).map(|_| until_called(&mut world, &shelf)).collect();
    assert!(waits.is_sorted() && waits[0] >= 4 && waits[3] >= 29, "{waits:?}");
    shelf.set_down(None);
    world.pass(60);
    assert_eq!(value(&shelf, "there"), world.read("api"));
}

#[test]
fn a_person_may_try_a_target_that_asked_to_be_left_alone() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.set_throttled(Some(Duration::from_secs(3000)));
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(5);
    shelf.set_down(None);
    world.deliver_now("api");
    world.pass(5);
    assert_eq!(value(&shelf, "there"), world.read("api"));
}

#[test]
fn it_counts_as_well_where_a_version_was_to_be_disabled() {
    let there = DeliverTo { disable_superseded: true, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.deliver("api", vec![there]);
    world.pass(5);
    shelf.set_disables_down(Some(TargetErrorKind::Throttled));
    while shelf.calls().disables == 0 {
        world.pass(1);
    }
    world.deliver("other", vec![to("contoso", "other")]);
    let before = calls(&shelf);
    world.pass(3);
    assert_eq!(calls(&shelf), before, "the others wait too");
    world.pass(10);
    assert!(value(&shelf, "other").is_some());
}

#[test]
fn it_counts_as_well_where_a_credential_was_read() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("id", "me");
    shelf.write_by_hand("credentials", "hush");
    world.deliver_obtained_from("api", "contoso", vec![to("contoso", "there")]);
    world.pass(5);
    let first = value(&shelf, "there").expect("it was delivered");
    shelf.set_throttled(Some(Duration::from_secs(600)));
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    world.pass(5);
    let before = calls(&shelf);
    assert_ne!(world.read("api"), Some(first), "it is renewed with what was read before");
    shelf.set_down(None);
    world.pass(590);
    assert_eq!(calls(&shelf), before, "neither deliveries nor reads");
    world.pass(15);
    assert_eq!(value(&shelf, "there"), world.read("api"));
}

#[test]
fn a_target_that_is_down_and_says_for_how_long_is_left_alone_as_well() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.set_unavailable(Duration::from_secs(600));
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(1);
    assert_eq!(calls(&shelf), 1);
    let seconds = 1 + until_called(&mut world, &shelf);
    assert!((600..=603).contains(&seconds), "{seconds} s");
}
