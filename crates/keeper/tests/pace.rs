//! Many deliveries to one target, on a simulated clock: how fast it is written to, and which goes first.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "a world that each test uses a part of")]
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keeper::{Clock, DeliverTo, OnChange};
use store::{Held, MemoryTarget, Parcel, Target, TargetAnswer, TargetPace};
use world::{World, Wound};

/// As many tokens as one target gets at once in the worst case that is thought of: all that there are, after an outage.
const MANY: usize = 10_000;

/// What Azure takes: so many new versions in any window of that length, in milliseconds.
const MOST_CREATES: usize = 300;
const WINDOW: i64 = 10_000;

/// The pace of an Azure Key Vault, as `delivery` gives it.
const PACE: TargetPace = TargetPace { interval: Duration::from_millis(36), burst: 4, flights: 16 };

/// A target that stalls now and then: whatever it is asked meanwhile, it answers at the end of that, all at once.
#[derive(Clone)]
struct Stalling {
    shelf: MemoryTarget,
    clock: Wound,
    writes: Arc<Mutex<Vec<(i64, String)>>>,
}

/// For the first three of every forty seconds it answers nothing.
const STALL_EVERY: i64 = 40_000;
const STALL: i64 = 3_000;

impl Stalling {
    fn until_it_answers(&self) -> Duration {
        let into = self.clock.now().wall.0 % STALL_EVERY;
        Duration::from_millis(u64::try_from(STALL - into).unwrap_or(0))
    }
}

impl Target for Stalling {
    fn admits(&self, name: &str) -> Result<(), String> {
        self.shelf.admits(name)
    }

    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>> {
        Box::pin(async move {
            self.clock.sleep(self.until_it_answers()).await;
            self.shelf.read(name).await
        })
    }

    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String> {
        Box::pin(async move {
            let now = self.clock.now().wall.0;
            self.writes.lock().expect("one thread").push((now, name.to_owned()));
            self.shelf.write(name, parcel).await
        })
    }

    fn disable<'a>(&'a self, name: &'a str, version: &'a str) -> TargetAnswer<'a, ()> {
        self.shelf.disable(name, version)
    }

    fn pace(&self) -> TargetPace {
        PACE
    }
}

#[test]
fn many_deliveries_keep_to_the_pace_of_their_target_and_the_most_urgent_go_first() {
    let mut world = World::delivering_only(86_400);
    let target = Stalling { shelf: MemoryTarget::new(), clock: world.clock.clone(), writes: Arc::default() };
    // The order of their urgency is another than that of their names.
    let urgency = |number: usize| (number * 7_919) % MANY;
    let tokens: Vec<_> = (0..MANY)
        .map(|number| {
            let to = DeliverTo {
                target: "contoso".into(),
                name: format!("n{number}"),
                on_change: OnChange::Repair,
                disable_superseded: false,
                check_every: 7 * 86_400,
            };
            (format!("api-{number}"), to, i64::try_from(urgency(number)).expect("small"))
        })
        .collect();
    world.stock(&tokens);
    world.targets.replace([("contoso".to_owned(), Arc::new(target.clone()) as Arc<dyn Target>)].into());
    // At the pace alone it takes six minutes; the stalls take a twelfth more.
    world.pass(7 * 60);

    let writes = target.writes.lock().expect("one thread").clone();
    assert_eq!(writes.len(), MANY, "each is written once");
    for (number, _) in tokens.iter().enumerate() {
        assert!(target.shelf.value(&format!("n{number}")).is_some(), "{number}");
    }
    let times: Vec<i64> = writes.iter().map(|(at, _)| *at).collect();
    let busiest =
        (0..times.len()).map(|first| times[first..].iter().take_while(|at| **at < times[first] + WINDOW).count()).max();
    assert!(busiest <= Some(MOST_CREATES), "{busiest:?} in ten seconds");
    assert!(busiest > Some(MOST_CREATES * 9 / 10), "the pace is used: {busiest:?}");
    for (place, (_, name)) in writes.iter().enumerate() {
        let urgency = urgency(name[1..].parse().expect("a number"));
        // One that was under way in a stall may be overtaken by those that begin when it ends.
        assert!(
            urgency.abs_diff(place) <= (PACE.flights + PACE.burst) as usize,
            "{name} of urgency {urgency} came as {place}"
        );
    }
}
