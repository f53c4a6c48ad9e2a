//! A target in memory, and what is delivered to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keeper::{Clock, DeliverTo, OnChange};
use store::{Held, MemoryTarget, Parcel, Target, TargetAnswer, TargetPace};

use super::Wound;

pub const HOUR: u64 = 3600;

/// A delivery as most are.
pub fn to(target: &str, name: &str) -> DeliverTo {
    DeliverTo {
        target: target.into(),
        name: name.into(),
        on_change: OnChange::Repair,
        disable_superseded: false,
        check_every: HOUR,
    }
}

/// A target that takes eight deliveries at a time.
pub fn shelf() -> MemoryTarget {
    let target = MemoryTarget::new();
    target.set_pace(TargetPace { interval: Duration::from_millis(10), burst: 100, flights: 8 });
    target
}

/// What a reader gets there.
pub fn value(shelf: &MemoryTarget, name: &str) -> Option<String> {
    shelf.value(name).map(|value| value.expose_str().expect("text").to_owned())
}

/// How many reads and writes there were.
pub fn calls(shelf: &MemoryTarget) -> (u64, u64) {
    (shelf.calls().reads, shelf.calls().writes)
}

/// A target that takes its time for each read.
#[derive(Clone)]
pub struct Slow {
    pub shelf: MemoryTarget,
    clock: Wound,
    takes: Arc<Mutex<Duration>>,
}

impl Slow {
    pub fn new(shelf: MemoryTarget, clock: &Wound) -> Self {
        Self { shelf, clock: clock.clone(), takes: Arc::default() }
    }

    /// From now on.
    pub fn takes(&self, seconds: u64) {
        *self.takes.lock().expect("one thread") = Duration::from_secs(seconds);
    }
}

impl Target for Slow {
    fn admits(&self, name: &str) -> Result<(), String> {
        self.shelf.admits(name)
    }

    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>> {
        Box::pin(async move {
            let takes = *self.takes.lock().expect("one thread");
            self.clock.sleep(takes).await;
            self.shelf.read(name).await
        })
    }

    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String> {
        self.shelf.write(name, parcel)
    }

    fn disable<'a>(&'a self, name: &'a str, version: &'a str) -> TargetAnswer<'a, ()> {
        self.shelf.disable(name, version)
    }

    fn pace(&self) -> TargetPace {
        self.shelf.pace()
    }
}
