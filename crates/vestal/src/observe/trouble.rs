//! Says the same thing once in a while, however often it happens.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use renewal::Moment;

/// The same trouble is said once in this time.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// How many different troubles are remembered; beyond, the one that was said longest ago is forgotten.
pub(super) const REMEMBERED: usize = 64;

/// What was said, and when.
#[derive(Default)]
pub(super) struct Troubles(Mutex<Vec<Said>>);

struct Said {
    words: String,
    at: Moment,
    unsaid: u64,
}

impl Troubles {
    /// Whether to say it now: if so, how often it has happened unsaid since it was last said.
    pub(super) fn hear(&self, words: &str, now: Moment) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unsaid = 0;
        if let Some(position) = known.iter().position(|said| said.words == words) {
            let said = &mut known[position];
            if now.since(said.at) < QUIET {
                said.unsaid += 1;
                return None;
            }
            unsaid = known.remove(position).unsaid;
        } else if known.len() == REMEMBERED {
            known.remove(0);
        }
        // At the end, so that the first is always the one that was said longest ago.
        known.push(Said { words: words.to_owned(), at: now, unsaid: 0 });
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use renewal::{Boot, Wall};

    use super::*;

    fn at(second: u64) -> Moment {
        Moment { wall: Wall(0), boot: Boot { id: 1, ms: second * 1000 } }
    }

    #[test]
    fn the_same_trouble_is_said_once_in_ten_seconds_with_how_often_it_came() {
        let troubles = Troubles::default();
        assert_eq!(troubles.hear("the disk is full", at(0)), Some(0));
        for second in 1..10 {
            assert_eq!(troubles.hear("the disk is full", at(second)), None);
        }
        assert_eq!(troubles.hear("the clock jumped", at(5)), Some(0));
        assert_eq!(troubles.hear("the disk is full", at(10)), Some(9));
        assert_eq!(troubles.hear("the disk is full", at(11)), None);
        assert_eq!(troubles.hear("the disk is full", at(20)), Some(1));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let troubles = Troubles::default();
        for number in 0..=REMEMBERED {
            assert_eq!(troubles.hear(&number.to_string(), at(0)), Some(0));
        }
        assert_eq!(troubles.0.lock().expect("the lock").len(), REMEMBERED);
        assert_eq!(troubles.hear("0", at(1)), Some(0), "it was forgotten");
        assert_eq!(troubles.hear("2", at(1)), None);
    }
}
