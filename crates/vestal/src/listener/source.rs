//! How many connections each source has open, so that none of them takes all there are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often a refusal is logged; the metric counts all.
const LOGGED_EVERY: Duration = Duration::from_secs(60);

/// The open connections of a listener, by source. A source is an IPv4 address or an IPv6 network of 64 bits, which is
/// what one customer has. Loopback counts like any other: no rule depends on whether a proxy stands on this machine,
/// and the limit is far above what one opens.
pub(super) struct Sources {
    /// The most connections of one source.
    most: usize,
    /// Never more entries than the listener has connections.
    open: Mutex<HashMap<IpAddr, usize>>,
    refused: Arc<AtomicU64>,
    logged: Mutex<Option<Instant>>,
}

/// A connection that counts for its source until this is dropped.
pub(super) struct Counted {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    /// No connection yet. Refusals are counted in `refused`.
    pub(super) fn new(most: usize, refused: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), refused, logged: Mutex::default() })
    }

    /// Counts a connection; `None` where its source has as many as it may have.
    pub(super) fn count(self: &Arc<Self>, peer: IpAddr) -> Option<Counted> {
        let source = source_of(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count < self.most {
            *count += 1;
            return Some(Counted { sources: Arc::clone(self), source });
        }
        drop(open);
        self.refused.fetch_add(1, Relaxed);
        None
    }

    /// Says so in the log, once in a while.
    pub(super) fn tell_of_refusal(&self, peer: IpAddr, place: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| logged.elapsed() >= LOGGED_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(
                "{peer} has {} connections open on {place}, which is all that one address may have; more are closed at once",
                self.most
            );
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}

/// The source of an address. An IPv6 customer has a whole network to connect from.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_source_has_its_share_and_gets_it_back() {
        let refused = Arc::new(AtomicU64::new(0));
        let sources = Sources::new(2, Arc::clone(&refused));
        let first = sources.count(address("192.0.2.1"));
        let second = sources.count(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(sources.count(address("192.0.2.1")).is_none());
        assert!(sources.count(address("192.0.2.2")).is_some(), "another source");
        drop(first);
        assert!(sources.count(address("192.0.2.1")).is_some());
        assert_eq!(refused.load(Relaxed), 1);
        drop(second);
        assert!(sources.open.lock().expect("the lock").is_empty(), "nobody is kept in memory");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let sources = Sources::new(1, Arc::default());
        let _held = sources.count(address("2001:db8:0:1::1")).expect("room");
        assert!(sources.count(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(sources.count(address("2001:db8:0:2::1")).is_some());
    }
}
