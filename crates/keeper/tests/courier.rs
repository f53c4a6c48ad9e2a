//! What the courier does with targets, in a world of its own.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use keeper::{DeliverTo, OnChange};
use store::{MemoryTarget, Mishap, TargetErrorKind};
use world::World;
use world::shelf::{HOUR, calls, shelf, to, value};

/// A world with one token that is delivered to one target.
fn delivering(to: DeliverTo) -> (World, MemoryTarget) {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.deliver("api", vec![to]);
    world.pass(5);
    (world, shelf)
}

#[test]
fn each_generation_is_delivered_with_its_end() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    for _ in 0..20 {
        world.pass(HOUR / 4);
        let token = world.token("api");
        let version = shelf.versions("there").pop().expect("it was delivered");
        assert_eq!(value(&shelf, "there"), world.read("api"));
        assert_eq!(version.expires, token.standing.expiry.map(|expiry| expiry.wall.unix_seconds()));
        assert_eq!(version.mark.expect("ours").generation, token.standing.generation);
    }
    let generations = world.token("api").standing.generation;
    assert_eq!(shelf.versions("there").len() as u64, generations, "one version a generation");
    assert_eq!(world.delivery("api", "contoso").state.versions, generations);
    assert!(!world.told.all().iter().any(|told| told.contains("fail")), "{:?}", world.told.all());
}

#[test]
fn an_outage_of_an_hour_is_ridden_out_and_told_once() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    world.pass(HOUR);
    let (reads, _) = calls(&shelf);
    assert!(reads < 400, "the breaker holds the target: {reads} calls");
    let renewed = world.token("api").standing.generation;
    assert!(renewed >= 2, "no target holds up a renewal");
    let told = world.told.count("delivery failing: unreachable") + world.told.count("api waits");
    assert_eq!(told, 1, "{:?}", world.told.all());
    shelf.set_down(None);
    world.pass(40);
    assert_eq!(value(&shelf, "there"), world.read("api"));
    assert!(world.told.all().iter().any(|told| told.ends_with("at last")), "{:?}", world.told.all());
    assert_eq!(world.delivery("api", "contoso").state.failure, None);
}

#[test]
fn a_target_that_is_down_delays_no_other() {
    let (mut world, up, down) = (World::new(HOUR), shelf(), shelf());
    world.stand(&[("down", &down), ("up", &up)]);
    down.set_down(Some(TargetErrorKind::Unreachable));
    for number in 0..50 {
        world.deliver(
            &format!("api-{number}"),
            vec![to("down", &format!("n{number}")), to("up", &format!("n{number}"))],
        );
    }
    world.pass(30);
    for number in 0..50 {
        assert!(value(&up, &format!("n{number}")).is_some(), "{number}");
    }
}

#[test]
fn a_delivery_whose_answer_was_lost_is_recognised_and_not_made_twice() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.then(Mishap::AnswerLost);
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(10);
    assert_eq!(shelf.versions("there").len(), 1);
    let delivery = world.delivery("api", "contoso");
    let there = shelf.versions("there").pop().map(|version| version.version);
    assert_eq!((delivery.row.generation, delivery.state.version), (1, there));
}

#[test]
fn a_crash_at_any_point_of_a_delivery_ends_in_the_newest_generation() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    for round in 0..30 {
        world.pass(HOUR / 2 + round);
        world = world.restart();
        world.stand(&[("contoso", &shelf)]);
        world.pass(60);
        assert_eq!(value(&shelf, "there"), world.read("api"), "round {round}");
    }
}

#[test]
fn a_generation_that_memory_does_not_have_yet_is_delivered() {
    let (mut world, shelf) = (World::delivering_only(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.stock(&[("api".to_owned(), to("contoso", "there"), 0)]);
    world.pass(5);
    assert_eq!((value(&shelf, "there"), world.read("api")), (Some("1 of api".into()), Some("1 of api".into())));
    world.renew_unnoticed("api");
    assert_eq!(world.read("api").as_deref(), Some("1 of api"), "memory is behind");
    world.targets.knock();
    world.pass(5);
    assert_eq!(value(&shelf, "there").as_deref(), Some("2 of api"));
    assert_eq!(world.delivery("api", "contoso").row.generation, 2);
}

#[test]
fn an_older_generation_that_arrives_late_is_replaced() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    world.pass(HOUR);
    let delivered = shelf.versions("there").len();
    shelf.alter("there", |current| current.mark.as_mut().expect("ours").generation = 1);
    world.pass(HOUR);
    assert!(shelf.versions("there").len() > delivered, "it was written again");
    assert_eq!(value(&shelf, "there"), world.read("api"));
    assert_eq!(world.told.count("repaired"), 0, "it is our own");
}

#[test]
fn a_newer_generation_of_another_vestal_is_left_and_told() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    let (newer, writes) = (value(&shelf, "there"), calls(&shelf).1);
    shelf.alter("there", |current| current.mark.as_mut().expect("ours").generation = 900);
    world.pass(2 * HOUR);
    assert_eq!((value(&shelf, "there"), calls(&shelf).1), (newer, writes));
    assert_eq!(world.told.count("delivery failing: occupied"), 1, "{:?}", world.told.all());
    let words = world.delivery("api", "contoso").state.failure.expect("it fails").words;
    assert!(words.contains("generation 900"), "{words}");
}

#[test]
fn a_change_by_hand_is_repaired_at_the_next_look() {
    for change in 0..3 {
        let (mut world, shelf) = delivering(DeliverTo { check_every: 60, ..to("contoso", "there") });
        match change {
            0 => shelf.write_by_hand("there", "theirs"),
            1 => shelf.remove("there"),
            _ => shelf.alter("there", |current| current.enabled = false),
        }
        world.pass(90);
        assert_eq!(value(&shelf, "there"), world.read("api"), "change {change}");
        assert_eq!(world.told.count("repaired"), 1, "change {change}: {:?}", world.told.all());
        assert!(world.delivery("api", "contoso").state.changed.is_some_and(|change| change.repaired));
    }
}

#[test]
fn a_change_by_hand_is_reported_and_left_until_the_next_generation() {
    let there = DeliverTo { on_change: OnChange::Report, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there);
    shelf.write_by_hand("there", "theirs");
    world.pass(600);
    assert_eq!(value(&shelf, "there").as_deref(), Some("theirs"));
    assert_eq!(world.told.count("changed by somebody"), 1, "once: {:?}", world.told.all());
    world.pass(HOUR);
    assert_eq!(value(&shelf, "there"), world.read("api"));
}

#[test]
fn a_change_that_was_undone_is_over_and_the_next_one_is_told_again() {
    for change in 0..3 {
        let there = DeliverTo { on_change: OnChange::Report, check_every: 60, ..to("contoso", "there") };
        let (mut world, shelf) = delivering(there);
        let ours = value(&shelf, "there").expect("it was delivered");
        for round in 1..=2 {
            match change {
                0 => shelf.remove("there"),
                1 => shelf.alter("there", |current| current.enabled = false),
                _ => shelf.write_by_hand("there", "theirs"),
            }
            world.pass(90);
            assert_eq!(world.told.count("changed by somebody"), round, "change {change}: {:?}", world.told.all());
            let left = world.delivery("api", "contoso");
            assert!(left.state.changed.is_some());
            assert!(
                left.state.checked_at < Some(keeper::Clock::now(&world.clock).wall.0 - 60_000),
                "not as it should be"
            );
            assert_eq!(left.row.expiry, renewal::Wall::EPOCH, "nothing of ours is there");
            if change == 1 {
                shelf.alter("there", |current| current.enabled = true);
            } else {
                world.deliver_now("api");
                world.pass(5);
                assert_eq!(value(&shelf, "there").as_deref(), Some(&*ours), "a person ordered it");
            }
            world.pass(90);
            let undone = world.delivery("api", "contoso").state;
            assert!(undone.changed.is_none_or(|change| change.repaired), "change {change}");
        }
    }
}

#[test]
fn a_new_generation_ends_a_change_that_was_left() {
    let there = DeliverTo { on_change: OnChange::Report, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there);
    shelf.write_by_hand("there", "theirs");
    world.pass(HOUR);
    assert_eq!(value(&shelf, "there"), world.read("api"));
    assert!(world.delivery("api", "contoso").state.changed.is_some_and(|change| change.repaired));
}

#[test]
fn a_write_that_arrives_late_over_a_newer_generation_is_soon_found() {
    let (mut world, shelf) = delivering(DeliverTo { check_every: 24 * HOUR, ..to("contoso", "there") });
    shelf.then(Mishap::Refused(TargetErrorKind::Unreachable));
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    world.pass(30);
    assert_eq!(world.delivery("api", "contoso").row.generation, 2);
    shelf.alter("there", |current| current.mark.as_mut().expect("ours").generation = 1);
    world.pass(150);
    let there = shelf.versions("there").pop().expect("it was delivered");
    assert_eq!(there.mark.expect("ours").generation, 2);
    let before = calls(&shelf);
    world.pass(HOUR / 4);
    assert_eq!(calls(&shelf), before, "once is enough");
}

#[test]
fn what_is_overtaken_while_it_is_written_is_noticed() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.then(Mishap::Overtaken);
    world.deliver("api", vec![to("contoso", "there")]);
    world.pass(30);
    assert_eq!(value(&shelf, "there"), world.read("api"));
}

#[test]
fn what_only_a_person_can_mend_is_told_and_tried_ever_more_seldom() {
    for kind in [TargetErrorKind::Forbidden, TargetErrorKind::Occupied, TargetErrorKind::Unauthenticated] {
        let (mut world, shelf) = (World::new(24 * HOUR), shelf());
        world.stand(&[("contoso", &shelf)]);
        shelf.set_down(Some(kind));
        world.deliver("api", vec![to("contoso", "there")]);
        world.pass(6 * HOUR);
        let (reads, _) = calls(&shelf);
        assert!((2..120).contains(&reads), "{kind:?}: {reads} calls in six hours");
        assert_eq!(world.told.count(&format!("delivery failing: {}", kind.word())), 1, "{:?}", world.told.all());
        shelf.set_down(None);
        let id = world.token("api").row.id;
        let courier = world.courier.clone();
        futures_executor::block_on(courier.deliver_now(id)).expect("stored");
        world.pass(5);
        assert_eq!(value(&shelf, "there"), world.read("api"), "{kind:?}");
    }
}

#[test]
fn a_name_that_the_target_cannot_hold_is_told() {
    let (world, shelf) = delivering(to("contoso", "no!"));
    assert_eq!(shelf.calls().writes, 0, "nothing was sent");
    assert!(world.told.count("delivery failing: unfit") == 1, "{:?}", world.told.all());
}

#[test]
fn superseded_versions_are_disabled_where_that_is_wanted() {
    let (mut world, shelf) = delivering(DeliverTo { disable_superseded: true, ..to("contoso", "there") });
    world.pass(3 * HOUR);
    let versions = shelf.versions("there");
    let enabled: Vec<_> = versions.iter().filter(|version| version.enabled).map(|version| &version.version).collect();
    assert!(versions.len() > 3);
    assert_eq!(enabled, [&versions.last().expect("there are some").version]);
}

#[test]
fn a_version_that_was_written_and_not_noted_is_disabled_like_any_other() {
    let (mut world, shelf) = delivering(DeliverTo { disable_superseded: true, ..to("contoso", "there") });
    shelf.then(Mishap::AnswerLost);
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    world.pass(0);
    shelf.set_down(Some(TargetErrorKind::Unreachable));
    world.pass(1);
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    world.pass(10);
    shelf.set_down(None);
    world.pass(60);
    let enabled: Vec<_> = shelf.versions("there").iter().map(|version| version.enabled).collect();
    assert_eq!(enabled, [false, false, true], "{:?}", shelf.versions("there"));
}

#[test]
fn that_superseded_versions_cant_be_disabled_is_told_once_and_tried_ever_more_seldom() {
    let there = DeliverTo { disable_superseded: true, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there);
    shelf.set_disables_down(Some(TargetErrorKind::Forbidden));
    world.pass(12 * HOUR);
    let versions = shelf.versions("there").len() as u64;
    assert!(versions > 18, "{versions}");
    assert_eq!(world.told.count("1 not disabled: forbidden"), 1, "{:?}", world.told.all());
    let state = world.delivery("api", "contoso").state;
    assert_eq!(state.failures, 0, "it is delivered all the same");
    assert_eq!(state.superseded.len() as u64 + state.left_enabled, versions - 1, "none is forgotten in silence");
    assert!(state.not_disabled.is_some_and(|known| known.failure.words.contains("forbidden")));
    assert!(shelf.calls().disables < 60, "{:?}", shelf.calls());
    shelf.set_disables_down(None);
    world.pass(2 * HOUR);
    let state = world.delivery("api", "contoso").state;
    assert_eq!((state.not_disabled, state.superseded), (None, Vec::new()));
}

#[test]
fn one_failure_to_disable_that_passes_is_told_to_nobody() {
    let there = DeliverTo { disable_superseded: true, check_every: 24 * HOUR, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there);
    shelf.set_disables_down(Some(TargetErrorKind::Unreachable));
    while shelf.calls().disables == 0 {
        world.pass(1);
    }
    shelf.set_disables_down(None);
    world.pass(60);
    assert!(!world.told.all().iter().any(|told| told.contains("not disabled")), "{:?}", world.told.all());
    let enabled = shelf.versions("there").iter().filter(|version| version.enabled).count();
    assert_eq!(enabled, 1, "it is tried again soon");
}

#[test]
fn failures_to_disable_of_changing_kinds_are_told_once() {
    let there = DeliverTo { disable_superseded: true, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there);
    for round in 0..24 {
        let kinds = [TargetErrorKind::Unreachable, TargetErrorKind::Forbidden];
        shelf.set_disables_down(Some(kinds[round % 2]));
        world.pass(HOUR / 2);
    }
    let told = world.told.all().iter().filter(|told| told.contains("not disabled")).count();
    assert_eq!(told, 1, "{:?}", world.told.all());
}

#[test]
fn where_versions_are_no_longer_to_be_disabled_none_is() {
    let there = DeliverTo { disable_superseded: true, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there.clone());
    shelf.set_disables_down(Some(TargetErrorKind::Forbidden));
    world.pass(12 * HOUR);
    assert!(world.delivery("api", "contoso").state.left_enabled > 0);
    world.deliver_instead("api", vec![DeliverTo { disable_superseded: false, ..there }]);
    world.pass(60);
    let state = world.delivery("api", "contoso").state;
    assert_eq!((state.superseded, state.not_disabled, state.left_enabled), (Vec::new(), None, 0));
    let before = shelf.calls().disables;
    world.pass(3 * HOUR);
    assert_eq!(shelf.calls().disables, before);
}

#[test]
fn another_name_has_no_versions_of_the_one_before() {
    let there = DeliverTo { disable_superseded: true, check_every: 60, ..to("contoso", "there") };
    let (mut world, shelf) = delivering(there.clone());
    shelf.set_disables_down(Some(TargetErrorKind::Forbidden));
    world.pass(12 * HOUR);
    world.deliver_instead("api", vec![DeliverTo { name: "elsewhere".into(), ..there }]);
    world.pass(30);
    let state = world.delivery("api", "contoso").state;
    assert_eq!((&*state.name, state.superseded, state.not_disabled), ("elsewhere", Vec::new(), None));
    assert_eq!(state.left_enabled, 0);
}

#[test]
fn an_idle_outbox_asks_nothing() {
    let (mut world, shelf) = delivering(DeliverTo { check_every: 7 * 24 * HOUR, ..to("contoso", "there") });
    let before = calls(&shelf);
    world.pass(600);
    assert_eq!(calls(&shelf), before);
}

#[test]
fn a_delivery_that_is_no_longer_declared_is_forgotten() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    let id = world.token("api").row.id;
    let writes = world.records.declare_deliveries(
        id,
        &futures_executor::block_on(world.records.deliveries_of(id)).expect("read"),
        &[],
        keeper::Clock::now(&world.clock).wall,
    );
    futures_executor::block_on(world.records.commit(writes)).expect("stored");
    world.pass(2 * HOUR);
    assert!(futures_executor::block_on(world.records.deliveries_of(id)).expect("read").is_empty());
    assert_eq!(shelf.versions("there").len(), 1, "what is there stays");
}

#[test]
fn a_renewal_between_doesnt_end_the_watch_for_a_write_that_arrives_late() {
    let (mut world, shelf) = delivering(DeliverTo { check_every: 24 * HOUR, ..to("contoso", "there") });
    shelf.then(Mishap::Refused(TargetErrorKind::Unreachable));
    for _ in 0..2 {
        world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
        world.pass(20);
    }
    assert_eq!(world.delivery("api", "contoso").row.generation, 3);
    shelf.alter("there", |current| current.mark.as_mut().expect("ours").generation = 1);
    world.pass(150);
    let there = shelf.versions("there").pop().expect("it was delivered");
    assert_eq!(there.mark.expect("ours").generation, 3);
}

#[test]
fn another_target_of_the_same_name_has_a_lane_and_a_health_of_its_own() {
    let (mut world, shelf) = delivering(to("contoso", "there"));
    shelf.set_throttled(Some(std::time::Duration::from_secs(3000)));
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    world.pass(60);
    assert!(world.courier.held("contoso").is_some());
    let other = world::shelf::shelf();
    world.stand(&[("contoso", &other)]);
    assert_eq!(world.courier.health("contoso"), None);
    world.pass(10);
    assert_eq!(value(&other, "there"), world.read("api"));
}
