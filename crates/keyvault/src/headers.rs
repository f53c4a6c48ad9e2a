//! The headers of every answer.
//!
//! Key Vault's come with each answer, errors included. They are made once and copied; only the request's own id is
//! new each time.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use store::Entropy;

use crate::json::hex_pair;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const NETWORK_INFO: HeaderName = HeaderName::from_static("x-ms-keyvault-network-info");
const REGION: HeaderName = HeaderName::from_static("x-ms-keyvault-region");
const SERVICE_VERSION: HeaderName = HeaderName::from_static("x-ms-keyvault-service-version");

/// Key Vault's own numbering, which some clients look at; the last two numbers are ours.
const SERVICE_VERSION_VALUE: HeaderValue = HeaderValue::from_static("1.9.0.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Longest `x-ms-client-request-id` that is sent back, in bytes; it is a GUID with every known client.
const MAX_CLIENT_REQUEST_ID: usize = 128;

/// What is the same in every answer of a vault, and of the authority.
pub(crate) struct HeaderTemplates {
    vault: HeaderMap,
    authority: HeaderMap,
}

impl HeaderTemplates {
    /// `region` is what `x-ms-keyvault-region` tells.
    pub(crate) fn new(region: HeaderValue) -> Self {
        let mut shared = HeaderMap::with_capacity(16);
        shared.insert(header::CONTENT_TYPE, JSON);
        shared.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        shared.insert(header::EXPIRES, HeaderValue::from_static("-1"));
        shared
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000;includeSubDomains"));
        shared.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Overwritten in each answer; there from the start, so that the map never grows.
        shared.insert(REQUEST_ID, HeaderValue::from_static(""));

        let mut authority = shared.clone();
        authority.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));

        let mut vault = shared;
        vault.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        vault.insert(REGION, region);
        vault.insert(SERVICE_VERSION, SERVICE_VERSION_VALUE);
        vault.insert(NETWORK_INFO, HeaderValue::from_static(""));
        Self { vault, authority }
    }

    /// The headers of a vault's answer.
    pub(crate) fn of_vault(&self, id: RequestId, request: &HeaderMap, peer: Option<IpAddr>) -> HeaderMap {
        let mut headers = self.vault.clone();
        headers.insert(NETWORK_INFO, network_info(peer));
        finish(headers, id, request)
    }

    /// The headers of the authority's answer.
    pub(crate) fn of_authority(&self, id: RequestId, request: &HeaderMap) -> HeaderMap {
        finish(self.authority.clone(), id, request)
    }
}

fn finish(mut headers: HeaderMap, id: RequestId, request: &HeaderMap) -> HeaderMap {
    headers.insert(REQUEST_ID, id.header());
    if let Some(client_id) = request.get(CLIENT_REQUEST_ID).filter(|id| id.len() <= MAX_CLIENT_REQUEST_ID) {
        headers.insert(CLIENT_REQUEST_ID, client_id.clone());
    }
    headers
}

/// One request, as the client and the operator may both name it. A GUID.
#[derive(Clone, Copy)]
pub(crate) struct RequestId([u8; 36]);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("a request id is made of hexadecimal digits and hyphens")
    }

    fn header(&self) -> HeaderValue {
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&self.0))
            .expect("a request id is made of hexadecimal digits and hyphens")
    }
}

/// Makes request ids: a count, scrambled under a random start, so that they differ between requests and processes and
/// cost no system call. They are names, not secrets.
pub(crate) struct RequestIds {
    start: [u64; 2],
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let bytes = entropy.bytes16();
        let (high, low) = bytes.split_at(8);
        let number = |half: &[u8]| half.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { start: [number(high), number(low)], count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let high = scrambled(self.start[0].wrapping_add(count));
        let low = scrambled(self.start[1] ^ high);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at..at + 2].copy_from_slice(&hex_pair(byte));
            at += 2;
        }
        RequestId(text)
    }
}

/// The finaliser of SplitMix64: every bit of the result depends on every bit of the number, and no two numbers meet.
fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The last value that this thread made: connections stay, so it is mostly the next one too.
struct LastNetworkInfo {
    peer: Option<IpAddr>,
    value: HeaderValue,
}

thread_local! {
    static LAST_NETWORK_INFO: RefCell<LastNetworkInfo> =
        RefCell::new(LastNetworkInfo { peer: None, value: new_network_info(None) });
}

fn network_info(peer: Option<IpAddr>) -> HeaderValue {
    LAST_NETWORK_INFO.with_borrow_mut(|last| {
        if last.peer != peer {
            *last = LastNetworkInfo { peer, value: new_network_info(peer) };
        }
        last.value.clone()
    })
}

fn new_network_info(peer: Option<IpAddr>) -> HeaderValue {
    let text = match peer.map(|peer| peer.to_canonical()) {
        Some(IpAddr::V4(address)) => format!("conn_type=Ipv4;addr={address};act_addr_fam=InterNetwork;"),
        Some(IpAddr::V6(address)) => format!("conn_type=Ipv6;addr={address};act_addr_fam=InterNetworkV6;"),
        None => "conn_type=Unknown;".to_owned(),
    };
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("an address is made of digits, dots and colons")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn request_ids_are_guids_and_differ() {
        let ids = RequestIds::new(&Fixed);
        let made: HashSet<String> = (0..1000).map(|_| ids.next().as_str().to_owned()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| vault::ClientId::parse(id).is_ok()));
    }

    #[test]
    fn the_header_tells_which_peer_asks_whoever_asked_before() {
        let four: IpAddr = "192.0.2.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        for (peer, expected) in [
            (Some(four), "conn_type=Ipv4;addr=192.0.2.7;act_addr_fam=InterNetwork;"),
            (Some(six), "conn_type=Ipv6;addr=2001:db8::1;act_addr_fam=InterNetworkV6;"),
            (Some(mapped), "conn_type=Ipv4;addr=192.0.2.7;act_addr_fam=InterNetwork;"),
            (None, "conn_type=Unknown;"),
        ] {
            assert_eq!(network_info(peer), expected);
        }
    }
}
