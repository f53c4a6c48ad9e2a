//! Misbehaviour on demand, the same each time for the same seed. Pure.

use std::time::Duration;

/// How the sandbox misbehaves. Shares are from 0 (never) to 1 (always); the default never does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// Which sequence of requests goes wrong. The same seed gives the same sequence.
    pub seed: u64,
    /// The share of token requests that are answered 500.
    pub fail: f64,
    /// The share of token requests that are answered 429, beside those that fail.
    pub limit: f64,
    /// What a 429 says in `Retry-After`, in whole seconds.
    pub retry_after: Duration,
    /// The share of token requests that are answered late, whatever the answer is.
    pub slow: f64,
    /// How late.
    pub delay: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 1,
            fail: 0.0,
            limit: 0.0,
            retry_after: Duration::from_secs(5),
            slow: 0.0,
            delay: Duration::from_secs(3),
        }
    }
}

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Treatment {
    pub(super) fault: Option<Fault>,
    pub(super) delay: Option<Duration>,
}

/// A wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// 500.
    Fail,
    /// 429, and when to come again.
    Limit(Duration),
}

impl Faults {
    /// What is done to the token request of this number.
    pub(super) fn treatment(&self, number: u64) -> Treatment {
        let outcome = share(self.seed, number, 0);
        let fault = if outcome < self.fail {
            Some(Fault::Fail)
        } else if outcome < self.fail + self.limit {
            Some(Fault::Limit(self.retry_after))
        } else {
            None
        };
        let delay = (share(self.seed, number, 1) < self.slow).then_some(self.delay);
        Treatment { fault, delay }
    }
}

/// A number from 0 to under 1 that looks random, and depends on the arguments alone (SplitMix64).
fn share(seed: u64, number: u64, kind: u64) -> f64 {
    let mut bits = seed;
    for part in [number, kind] {
        bits = bits.wrapping_add(part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
    }
    // The upper 32 bits fit a float exactly.
    f64::from(u32::try_from(bits >> 32).expect("32 bits")) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_wrong_by_default_and_everything_at_one() {
        let always = Faults { fail: 1.0, slow: 1.0, ..Faults::default() };
        for number in 0..1_000 {
            assert_eq!(Faults::default().treatment(number), Treatment { fault: None, delay: None });
            assert_eq!(always.treatment(number), Treatment { fault: Some(Fault::Fail), delay: Some(always.delay) });
        }
    }

    #[test]
    fn shares_are_kept_and_the_seed_decides_which() {
        let faults = |seed| Faults { seed, fail: 0.2, limit: 0.1, slow: 0.5, ..Faults::default() };
        let sequence = |seed| (0..10_000).map(move |number| faults(seed).treatment(number));
        let count = |wanted: fn(&Treatment) -> bool| sequence(7).filter(wanted).count();
        assert!((1_800..2_200).contains(&count(|it| it.fault == Some(Fault::Fail))));
        assert!((800..1_200).contains(&count(|it| matches!(it.fault, Some(Fault::Limit(_))))));
        assert!((4_700..5_300).contains(&count(|it| it.delay.is_some())));
        assert!(sequence(7).eq(sequence(7)));
        assert!(!sequence(7).eq(sequence(8)));
    }
}
