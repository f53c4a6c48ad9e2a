//! Deliveries that wait: a name that fails holds up no other, and everybody hears of what takes too long.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use std::sync::Arc;

use keeper::DeliverTo;
use store::{Target, TargetErrorKind};
use world::World;
use world::shelf::{HOUR, Slow, calls, shelf, to, value};

#[test]
fn a_name_that_fails_holds_up_no_other_of_its_target() {
    for kind in [TargetErrorKind::Unsettled, TargetErrorKind::Unreachable, TargetErrorKind::Occupied] {
        let (mut world, shelf) = (World::new(HOUR), shelf());
        world.stand(&[("contoso", &shelf)]);
        shelf.set_name_down("aaa", Some(kind));
        world.deliver("aaa", vec![to("contoso", "aaa")]);
        world.pass(100);
        world.deliver("bbb", vec![to("contoso", "bbb")]);
        world.pass(60);
        assert!(value(&shelf, "bbb").is_some(), "{kind:?}");
        let mut late = 0;
        for _ in 0..240 {
            world.pass(60);
            late += u32::from(value(&shelf, "bbb") != world.read("bbb"));
        }
        assert!(late < 6, "{kind:?}: late at {late} of 240 looks");
        let before = calls(&shelf).0;
        world.pass(HOUR);
        assert!(calls(&shelf).0 - before < 150, "{kind:?}: {} reads in an hour", calls(&shelf).0 - before);
        shelf.set_name_down("aaa", None);
        world.pass(20 * 60);
        assert_eq!(value(&shelf, "aaa"), world.read("aaa"), "{kind:?}");
    }
}

#[test]
fn every_owner_hears_once_of_an_outage_though_one_delivery_alone_is_tried() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    for name in ["aaa", "bbb", "ccc"] {
        world.deliver(name, vec![to("contoso", name)]);
    }
    world.pass(5);
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    world.pass(3 * HOUR);
    let told = world.told.all();
    let heard = told.iter().filter(|told| told.ends_with(" waits") || told.starts_with("delivery failing")).count();
    assert_eq!(heard, 3, "{told:?}");
    shelf.set_down(None);
    world.pass(60);
    assert_eq!(world.told.all().iter().filter(|told| told.ends_with("at last")).count(), 3);
}

#[test]
fn the_lag_is_that_of_what_the_target_lacks_and_no_failure_or_renewal_sets_it_back() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(60);
    assert_eq!(world.told.lag("contoso"), 0);
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    world.pass(5 * HOUR);
    assert!(world.token("api").standing.generation > 4);
    let lag = world.told.lag("contoso");
    assert!((4 * HOUR..5 * HOUR).contains(&lag), "{lag} s");
    let behind = world.delivery("api", "contoso").row.behind;
    world = world.restart();
    world.stand(&[("contoso", &shelf)]);
    world.pass(60);
    assert_eq!(world.delivery("api", "contoso").row.behind, behind, "also over a restart");
    assert!(world.told.lag("contoso") > lag);
    shelf.set_down(None);
    world.pass(60);
    assert_eq!(world.told.lag("contoso"), 0);
}

#[test]
fn a_token_without_a_value_is_behind_nowhere() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.provider.down(true);
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(HOUR);
    assert_eq!(world.told.lag("contoso"), 0);
    assert_eq!(world.told.count("api waits"), 0);
}

#[test]
fn what_was_told_while_a_call_was_under_way_is_told_once() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    let slow = Slow::new(shelf.clone(), &world.clock);
    world.targets.replace([("contoso".to_owned(), Arc::new(slow.clone()) as Arc<dyn Target>)].into());
    slow.takes(50);
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(HOUR);
    let told = world.told.all();
    let heard = told.iter().filter(|told| told.ends_with(" waits") || told.starts_with("delivery failing")).count();
    assert_eq!(heard, 1, "{told:?}");
}

#[test]
fn a_damaged_row_keeps_no_other_owner_from_hearing() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    for name in ["broken", "aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg", "hhh"] {
        world.deliver(name, vec![to("contoso", name)]);
        world.pass(1);
    }
    world.damage("broken");
    // The tries of so short a time reach few of them.
    world.pass(330);
    let told = world.told.all();
    let heard = told.iter().filter(|told| told.ends_with(" waits") || told.starts_with("delivery failing")).count();
    assert_eq!(heard, 8, "{told:?}");
}

#[test]
fn that_an_outage_became_a_refusal_is_told() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(20 * 60);
    for _ in 0..3 {
        shelf.set_down(Some(TargetErrorKind::Forbidden));
        world.pass(HOUR);
        shelf.set_down(Some(TargetErrorKind::Unreachable));
        world.pass(HOUR);
    }
    let told = world.told.all();
    assert_eq!(world.told.count("delivery failing: forbidden"), 1, "{told:?}");
    let of_the_outage = world.told.count("api waits") + world.told.count("delivery failing: unreachable");
    assert_eq!(of_the_outage, 1, "{told:?}");
}

#[test]
fn a_look_that_fails_alarms_nobody_until_the_target_lacks_something() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.deliver("api", vec![DeliverTo { check_every: 60, ..to("contoso", "there") }]);
    world.pass(5);
    shelf.set_down(Some(TargetErrorKind::Forbidden));
    world.pass(HOUR);
    assert_eq!(world.told.count("delivery failing: forbidden"), 0, "it holds what it should");
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    world.pass(60);
    assert_eq!(world.told.count("delivery failing: forbidden"), 1, "now it doesn't");
}

#[test]
fn what_was_seen_to_be_gone_and_cant_be_written_is_behind() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.deliver("api", vec![DeliverTo { check_every: 60, ..to("contoso", "there") }]);
    world.pass(5);
    shelf.set_name_down("there", Some(TargetErrorKind::Occupied));
    world.pass(HOUR);
    assert_eq!(world.told.count("delivery failing: occupied"), 1, "{:?}", world.told.all());
    assert!(world.told.lag("contoso") > 3000, "{}", world.told.lag("contoso"));
}

#[test]
fn nothing_fails_of_a_token_that_left_the_configuration() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.set_down(Some(TargetErrorKind::Forbidden));
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(60);
    assert!(world.delivery("api", "contoso").state.told);
    world.leave("api");
    world.pass(60);
    let state = world.delivery("api", "contoso").state;
    assert_eq!((state.failures, state.failure, state.told), (0, None, false));
}
