//! Shadow mode: a flow's token and Vestal's, side by side in one target.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use keeper::DeliverTo;
use store::TargetErrorKind;
use world::World;
use world::shelf::{HOUR, shelf, to, value};

#[test]
fn shadow_mode_delivers_beside_the_flow_and_sees_its_gaps() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("there", "the flow's");
    world.shadow("api", vec![DeliverTo { check_every: 60, ..to("contoso", "there") }]);
    world.pass(300);
    assert_eq!(value(&shelf, "there").as_deref(), Some("the flow's"), "the flow's secret is left alone");
    assert_eq!(value(&shelf, "there-vestal"), world.read("api"));
    shelf.alter("there", |current| current.expires = Some(1));
    world.pass(180);
    shelf.write_by_hand("there", "the flow's next");
    world.pass(180);
    let log = world.delivery("api", "contoso").state.shadow.expect("it looked");
    assert_eq!((log.gaps.len(), log.flow_versions, log.ours_dead), (1, 2, 0), "{log:?}");
    assert_eq!(log.ours_gaps, []);

    let (id, now) = (world.token("api").row.id, keeper::Clock::now(&world.clock).wall);
    let cut = world.records.change_deliveries(id, now, now, |state| state.cut_over = true);
    futures_executor::block_on(cut).expect("stored");
    world.targets.knock();
    world.pass(30);
    assert_eq!(value(&shelf, "there"), world.read("api"), "it took the flow's place");
    shelf.write_by_hand("there", "the flow still runs");
    world.pass(120);
    assert_eq!(value(&shelf, "there"), world.read("api"), "and keeps it");
    assert_eq!(world.told.count("repaired"), 1);
}

#[test]
fn a_gap_of_vestals_own_is_in_the_report_like_one_of_the_flows() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("there", "the flow's");
    world.shadow("api", vec![DeliverTo { check_every: 60, ..to("contoso", "there") }]);
    world.pass(300);
    shelf.set_name_down("there-vestal", Some(TargetErrorKind::Forbidden));
    world.pass(3 * HOUR);
    let log = world.delivery("api", "contoso").state.shadow.expect("it looked");
    let [gap] = log.ours_gaps[..] else { panic!("{:?}", log.ours_gaps) };
    assert_eq!(gap.to, None);
    assert!(log.ours_dead > 0 && log.ours_least.is_some_and(|left| left < 0), "{log:?}");
    let looks = log.looked;
    assert!(looks > 10, "the flow's is looked at also while Vestal's fails");
    shelf.set_name_down("there-vestal", None);
    world.pass(HOUR / 2);
    let log = world.delivery("api", "contoso").state.shadow.expect("it looked");
    assert!(log.ours_gaps[0].to.is_some_and(|to| to - gap.from > 3_600_000), "{:?}", log.ours_gaps);
}

#[test]
fn the_life_of_vestals_token_is_that_which_a_reader_found() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("there", "the flow's");
    world.shadow("api", vec![DeliverTo { check_every: 24 * HOUR, ..to("contoso", "there") }]);
    world.pass(3 * HOUR);
    let log = world.delivery("api", "contoso").state.shadow.expect("it looked");
    let ours: Vec<i64> = log.looks.iter().skip(1).filter_map(|look| look.ours).collect();
    assert!(ours.len() > 2 && ours.iter().all(|left| *left < 3000), "not that of what was just written: {ours:?}");
}

#[test]
fn a_token_that_was_cut_over_stays_so_at_another_target() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf), ("moved", &shelf)]);
    world.shadow("api", vec![to("contoso", "there")]);
    world.pass(30);
    let (id, now) = (world.token("api").row.id, keeper::Clock::now(&world.clock).wall);
    let cut = world.records.change_deliveries(id, now, now, |state| state.cut_over = true);
    futures_executor::block_on(cut).expect("stored");
    let known = futures_executor::block_on(world.records.deliveries_of(id)).expect("read");
    let writes = world.records.declare_deliveries(id, &known, &["moved"], now);
    futures_executor::block_on(world.records.commit(writes)).expect("stored");
    let moved = world.delivery("api", "moved");
    assert!(moved.state.cut_over, "it isn't delivered beside the flow's again");
}

#[test]
fn the_flow_is_watched_also_while_vestals_token_is_dead() {
    let (mut world, shelf) = (World::new(HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("there", "the flow's");
    world.shadow("api", vec![DeliverTo { check_every: 60, ..to("contoso", "there") }]);
    world.pass(300);
    world.provider.down(true);
    world.pass(2 * HOUR);
    shelf.alter("there", |current| current.expires = Some(1));
    world.pass(180);
    shelf.write_by_hand("there", "the flow's next");
    world.pass(180);
    let log = world.delivery("api", "contoso").state.shadow.expect("it looked");
    assert_eq!((log.gaps.len(), log.flow_versions), (1, 2), "{log:?}");
    assert_eq!(log.ours_gaps.len(), 1, "{log:?}");
}

#[test]
fn what_somebody_else_wrote_under_vestals_name_is_no_gap_where_it_cant_be_read() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("there", "the flow's");
    let there = DeliverTo { check_every: 60, on_change: keeper::OnChange::Report, ..to("contoso", "there") };
    world.shadow("api", vec![there]);
    world.pass(300);
    shelf.write_by_hand("there-vestal", "somebody else's");
    world.pass(300);
    shelf.set_name_down("there-vestal", Some(TargetErrorKind::Forbidden));
    world.pass(HOUR);
    let log = world.delivery("api", "contoso").state.shadow.expect("it looked");
    assert_eq!(log.ours_gaps, [], "nothing is known of it");
}

#[test]
fn shadow_mode_can_begin_again_after_it_left_the_configuration() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.shadow("api", vec![DeliverTo { check_every: 60, ..to("contoso", "there") }]);
    world.pass(600);
    let (id, now) = (world.token("api").row.id, keeper::Clock::now(&world.clock).wall);
    let cut = world.records.change_deliveries(id, now, now, |state| state.cut_over = true);
    futures_executor::block_on(cut).expect("stored");
    world.pass(60);
    world.set_shadow("api", false);
    world.pass(60);
    assert!(!world.delivery("api", "contoso").state.cut_over);
    world.set_shadow("api", true);
    world.pass(60);
    let state = world.delivery("api", "contoso").state;
    assert_eq!(state.name, "there-vestal");
    assert!(state.shadow.is_some_and(|log| log.looked <= 2), "the report begins anew");
}
