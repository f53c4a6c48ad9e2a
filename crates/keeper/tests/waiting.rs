//! Deliveries that wait: a name that fails holds up no other, and everybody hears of what takes too long.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use store::TargetErrorKind;
use world::World;
use world::shelf::{HOUR, calls, shelf, to, value};

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
