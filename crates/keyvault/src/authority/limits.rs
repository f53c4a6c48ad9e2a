//! How often the token endpoint may be asked.
//!
//! Each request costs its source a permit. A refusal costs the client id that was presented one, and a token its
//! client one, from two buckets: so a stranger who knows a client id uses up refusals alone and can't shut the client
//! out. There is no lock-out either: secrets are 256 random bits, and nobody guesses those.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::ask::Now;

/// Requests of one address, or one IPv6 network of 64 bits: it bounds what a stranger may make us compute and write.
const REQUESTS: Rate = Rate { burst: 100, per_second: 10 };
/// Tokens of one client, each of which is an RSA signature.
const TOKENS: Rate = Rate { burst: 100, per_second: 10 };
/// Refusals of one client id, each of which is a durable line of the audit.
const REFUSALS: Rate = Rate { burst: 20, per_second: 1 };
/// How many buckets are kept. Whoever finds no room shares one.
const MAX_BUCKETS: usize = 10_000;
/// How often a full table is searched for buckets that are full again, in milliseconds.
const SWEEP_EVERY_MS: i64 = 1000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    per_second: u32,
}

/// What a permit is asked of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    /// Requests of a source.
    Source(Option<IpAddr>),
    /// Tokens of a client.
    Tokens(String),
    /// Refusals of whoever presents this client id.
    Refusals(String),
    /// All for whom there is no room.
    Others,
}

impl Bucket {
    /// The bucket of a source. An IPv6 customer has a whole network to send from.
    pub(super) fn source(peer: Option<IpAddr>) -> Self {
        Self::Source(peer.map(|peer| match peer.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address => address,
        }))
    }

    fn rate(&self) -> Rate {
        match self {
            Self::Source(_) | Self::Others => REQUESTS,
            Self::Tokens(_) => TOKENS,
            Self::Refusals(_) => REFUSALS,
        }
    }
}

/// The buckets.
pub(crate) struct Limits(Mutex<Table>);

struct Table {
    levels: HashMap<Bucket, Level>,
    swept_ms: i64,
}

/// How much was in a bucket, in thousandths of a permit, and when.
#[derive(Clone, Copy)]
struct Level {
    thousandths: i64,
    at_ms: i64,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Table { levels: HashMap::new(), swept_ms: i64::MIN }))
    }

    /// Takes a permit, or tells after how many seconds there is one.
    pub(super) fn take(&self, bucket: Bucket, now: Now) -> Result<(), u32> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = table.with_room_for(bucket, now.unix_ms);
        let rate = bucket.rate();
        let level = table.levels.entry(bucket).or_insert_with(|| Level::full(rate, now.unix_ms));
        *level = level.now(rate, now.unix_ms);
        if level.thousandths >= 1000 {
            level.thousandths -= 1000;
            return Ok(());
        }
        let missing = 1000 - level.thousandths;
        let a_second = i64::from(rate.per_second) * 1000;
        Err(u32::try_from((missing + a_second - 1) / a_second).unwrap_or(1))
    }
}

impl Table {
    fn with_room_for(&mut self, bucket: Bucket, now_ms: i64) -> Bucket {
        if self.levels.len() < MAX_BUCKETS || self.levels.contains_key(&bucket) {
            return bucket;
        }
        // A clock that was set back must not stop the search.
        if !(0..SWEEP_EVERY_MS).contains(&now_ms.saturating_sub(self.swept_ms)) {
            self.swept_ms = now_ms;
            // A full bucket is as good as none.
            self.levels.retain(|bucket, level| {
                let rate = bucket.rate();
                level.now(rate, now_ms).thousandths < i64::from(rate.burst) * 1000
            });
        }
        if self.levels.len() < MAX_BUCKETS { bucket } else { Bucket::Others }
    }
}

impl Level {
    fn full(rate: Rate, at_ms: i64) -> Self {
        Self { thousandths: i64::from(rate.burst) * 1000, at_ms }
    }

    fn now(self, rate: Rate, now_ms: i64) -> Self {
        let passed_ms = now_ms.saturating_sub(self.at_ms).max(0);
        let filled = self.thousandths.saturating_add(passed_ms.saturating_mul(i64::from(rate.per_second)));
        Self { thousandths: filled.min(i64::from(rate.burst) * 1000), at_ms: now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_ms: i64) -> Now {
        Now { unix_ms }
    }

    fn source(address: &str) -> Bucket {
        Bucket::source(Some(address.parse().unwrap()))
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let limits = Limits::new();
        for _ in 0..100 {
            assert_eq!(limits.take(source("192.0.2.1"), at(5000)), Ok(()));
        }
        assert_eq!(limits.take(source("192.0.2.1"), at(5000)), Err(1));
        assert_eq!(limits.take(source("192.0.2.2"), at(5000)), Ok(()), "another source");
        assert_eq!(limits.take(source("192.0.2.1"), at(5099)), Err(1));
        assert_eq!(limits.take(source("192.0.2.1"), at(5100)), Ok(()));
        assert_eq!(limits.take(source("192.0.2.1"), at(0)), Err(1), "a clock that was set back gives nothing");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn a_full_table_forgets_who_is_idle_and_lets_the_rest_share() {
        let limits = Limits::new();
        for number in 0..MAX_BUCKETS {
            limits.take(Bucket::Refusals(number.to_string()), at(0)).unwrap();
        }
        // Nobody's bucket is full again yet: the newcomer shares.
        limits.take(Bucket::Refusals("late".to_owned()), at(500)).unwrap();
        assert!(limits.0.lock().unwrap().levels.contains_key(&Bucket::Others));
        // A minute later all are, and are forgotten.
        limits.take(Bucket::Refusals("later".to_owned()), at(60_000)).unwrap();
        assert_eq!(limits.0.lock().unwrap().levels.len(), 1);
    }
}
