//! Credentials: those that are kept in targets, and when they end.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use std::sync::Arc;
use std::time::Duration;

use keeper::Clock;
use store::Target;
use world::shelf::{HOUR, Slow, shelf, to};
use world::{Answering, World};

const DAY: u64 = 24 * HOUR;

/// A world with one token that is obtained with what a slow target keeps, and was once.
fn obtaining() -> (World, Slow) {
    let mut world = World::new(HOUR);
    let slow = Slow::new(shelf(), &world.clock);
    slow.shelf.write_by_hand("id", "me");
    slow.shelf.write_by_hand("credentials", "hush");
    world.targets.replace([("contoso".to_owned(), Arc::new(slow.clone()) as Arc<dyn Target>)].into());
    world.deliver_obtained_from("api", "contoso", Vec::new());
    world.pass(5);
    assert_eq!(world.token("api").standing.generation, 1);
    (world, slow)
}

fn renew(world: &mut World) {
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
}

#[test]
fn a_slow_target_makes_no_renewal_slow() {
    let (mut world, slow) = obtaining();
    slow.takes(50);
    renew(&mut world);
    world.pass(10);
    assert_eq!(world.token("api").standing.generation, 2, "with the credential that it gave last");
}

#[test]
fn a_slow_target_gets_its_time_where_nothing_else_is_known_or_what_is_known_was_refused() {
    let (mut world, slow) = obtaining();
    slow.takes(50);
    world.provider.then(Answering::With(401, r#"{"error":"invalid_client"}"#.into(), Duration::ZERO));
    renew(&mut world);
    world.pass(10);
    let reads = slow.shelf.calls().reads;
    world.change("api", |standing| standing.due = renewal::Wall::EPOCH);
    let keeper = Arc::clone(&world.keeper);
    futures_executor::block_on(keeper.reopen_lane("id.example.com secret:contoso/id"));
    world.pass(60);
    assert!(slow.shelf.calls().reads >= reads + 2, "it was read to the end");
    assert_eq!(world.token("api").standing.generation, 2);
}

#[test]
fn what_another_target_of_the_same_name_gave_is_not_used() {
    let (mut world, slow) = obtaining();
    let other = shelf();
    other.set_down(Some(store::TargetErrorKind::Unreachable));
    world.stand(&[("contoso", &other)]);
    drop(slow);
    renew(&mut world);
    world.pass(60);
    assert_eq!(world.token("api").standing.generation, 1);
}

#[test]
fn the_end_of_a_credential_is_told_to_its_owner_once_at_each_step() {
    let mut world = World::new(24 * HOUR);
    world.declare("api");
    world.declare("second");
    world.set_for_days("credentials", "hush", 31);
    world.pass(60);
    let word = "home/credentials ends: ops@example.com of 2 tokens and 0 targets";
    assert_eq!(world.told.count(word), 0);
    assert!(world.told.first_end().is_some());
    world.set_for_days("credentials", "hush", 8);
    world.pass(60);
    assert_eq!(world.told.count(word), 1, "two weeks are over");
    let mut told = Vec::new();
    for day in (-1..8).rev() {
        world.pass(DAY);
        world = world.restart();
        world.pass(10);
        if world.told.count(word) > told.len() + 1 {
            told.push(day);
        }
    }
    assert_eq!(world.told.count(word), 1 + told.len(), "never two at once");
    assert_eq!(told, [7, 3, 1, 0], "so many days before");
    world.set_for_days("credentials", "hush", 5);
    world.pass(60);
    assert_eq!(world.told.count(word), 6, "another begins anew");
    world.set("credentials", "without end");
    world.pass(2 * HOUR);
    assert_eq!(world.told.first_end(), None);
}

#[test]
fn the_end_of_what_a_target_is_called_with_is_told_to_all_who_need_the_target() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    world.targets.set_proofs([("contoso".to_owned(), ("home".to_owned(), "Proof".to_owned()))].into());
    world.deliver("api", vec![to("contoso", "there")]);
    world.set_for_days("proof", "hush", 5);
    world.pass(60);
    assert_eq!(world.told.count("home/proof ends: ops@example.com of 0 tokens and 1 targets"), 1);
}

#[test]
fn the_end_of_a_credential_in_a_target_is_known_also_after_a_restart() {
    let (mut world, shelf) = (World::new(24 * HOUR), shelf());
    world.stand(&[("contoso", &shelf)]);
    shelf.write_by_hand("id", "me");
    shelf.write_by_hand("credentials", "hush");
    let end = world.clock.now().wall.unix_seconds() + 6 * 86_400;
    shelf.alter("credentials", |current| current.expires = Some(end));
    world.deliver_obtained_from("api", "contoso", Vec::new());
    world.pass(30);
    let word = "contoso/credentials ends: ops@example.com of 1 tokens and 0 targets";
    assert_eq!(world.told.count(word), 1, "{:?}", world.told.all());
    world = world.restart();
    world.stand(&[("contoso", &shelf)]);
    world.pass(30);
    assert_eq!(world.targets.credential_deadline("contoso", "credentials"), Some(end));
    assert_eq!(world.told.count(word), 1);
}

#[test]
fn what_a_target_gave_that_was_replaced_meanwhile_is_not_remembered() {
    let (mut world, slow) = obtaining();
    slow.takes(3);
    renew(&mut world);
    world.pass(1);
    let other = shelf();
    other.set_down(Some(store::TargetErrorKind::Unreachable));
    world.stand(&[("contoso", &other)]);
    world.pass(10);
    let before = world.token("api").standing.generation;
    renew(&mut world);
    world.pass(60);
    assert_eq!(world.token("api").standing.generation, before);
}

#[test]
fn a_credential_that_does_not_open_keeps_no_other_from_being_told() {
    let mut world = World::new(24 * HOUR);
    world.declare("api");
    world.declare("broken");
    world.set_for_days("id", "me", 5);
    world.pass(60);
    world.damage_definition("broken", "api");
    world.set_for_days("credentials", "hush", 5);
    world.pass(60);
    let word = "home/credentials ends: ops@example.com of 1 tokens and 0 targets";
    assert_eq!(world.told.count(word), 1, "{:?}", world.told.all());
}

#[test]
fn a_secret_that_is_no_credential_starts_no_look_at_all_of_them() {
    let mut world = World::new(24 * HOUR);
    world.declare("api");
    world.pass(60);
    let before = world.told.looks();
    world.set_for_days("something", "else", 5);
    world.pass(60);
    assert_eq!(world.told.looks(), before);
    world.set_for_days("credentials", "hush", 5);
    world.pass(60);
    assert_eq!(world.told.looks(), before + 1);
}
