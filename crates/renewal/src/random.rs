//! The crate's only randomness: a small seeded generator, so that the same seed gives the same schedule.

use std::time::Duration;

use crate::time::{millis, span};

/// A SplitMix64 generator (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, 2014).
///
/// Good enough to spread renewals, and nothing else: **not for secrets**.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that gives the same numbers for the same seed, on every machine.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A uniform number in `low..high`; `low` where the range is empty.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        // 53 bits fill the mantissa of an f64: every value of 0..1 that it can tell apart, and never 1.
        let unit = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low).max(0.0) * unit
    }

    /// A uniform length in `0..longest`, in whole milliseconds.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        span(self.uniform(0.0, millis(longest) as f64) as i64)
    }
}
