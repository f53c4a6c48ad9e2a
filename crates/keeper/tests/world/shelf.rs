//! A target in memory, and what is delivered to it.

use std::time::Duration;

use keeper::{DeliverTo, OnChange};
use store::{MemoryTarget, TargetPace};

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
