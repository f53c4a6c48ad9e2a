//! How long ago the keeper looked, by a clock that nobody can set.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use renewal::{Moment, Wall};

/// A keeper that hasn't looked for longer is taken for dead. It looks every [`keeper::LONGEST_SLEEP`] at the least.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(90);

/// Follows the keeper's looks. The keeper tells them by the wall clock; from the first time that a look is seen here its
/// age is counted by the boot clock, so that a clock that is set makes no dead keeper look alive.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Option<Seen>>);

#[derive(Clone, Copy)]
struct Seen {
    look: Wall,
    at: Moment,
}

impl Pulse {
    /// How long ago the look at `look` was; `None` where it is the epoch, which stands for no look yet.
    pub(super) fn since(&self, look: Wall, now: Moment) -> Option<Duration> {
        if look == Wall::EPOCH {
            return None;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match *seen {
            Some(known) if known.look == look => known,
            _ => *seen.insert(Seen { look, at: now }),
        };
        Some(known.at.wall.since(look) + now.since(known.at))
    }
}

#[cfg(test)]
mod tests {
    use renewal::Boot;

    use super::*;

    fn moment(wall: i64, boot: u64) -> Moment {
        Moment { wall: Wall(wall * 1000), boot: Boot { id: 1, ms: boot * 1000 } }
    }

    #[test]
    fn the_age_of_a_look_grows_until_the_next() {
        let pulse = Pulse::default();
        assert_eq!(pulse.since(Wall::EPOCH, moment(1_000, 0)), None);
        let look = Wall(1_000_000);
        assert_eq!(pulse.since(look, moment(1_002, 2)), Some(Duration::from_secs(2)));
        assert_eq!(pulse.since(look, moment(1_095, 95)), Some(Duration::from_secs(95)));
        assert_eq!(pulse.since(Wall(1_096_000), moment(1_096, 96)), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_neither_kills_nor_revives_the_keeper() {
        for set_to in [-90_000, 90_000] {
            let pulse = Pulse::default();
            let look = Wall(1_000_000);
            pulse.since(look, moment(1_001, 1));
            assert_eq!(pulse.since(look, moment(set_to, 100)), Some(Duration::from_secs(100)));
        }
    }
}
