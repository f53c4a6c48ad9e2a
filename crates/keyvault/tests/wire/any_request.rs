//! Whatever comes in, an answer goes out, and it is never a 500.

use bytes::Bytes;
use http::Request;
use proptest::prelude::*;

use crate::world::{AUTHORITY, Client, HOST, World};

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("secrets".to_owned()),
        Just("deletedsecrets".to_owned()),
        Just("versions".to_owned()),
        Just("restore".to_owned()),
        Just("a".to_owned()),
        Just("oauth2".to_owned()),
        Just("v2.0".to_owned()),
        Just("token".to_owned()),
        Just("discovery".to_owned()),
        Just("0123456789abcdef0123456789abcdef".to_owned()),
        "[a-zA-Z0-9%$._~!*'();:@&=+,-]{0,12}",
        "(%[0-9a-fA-F]{2}){1,6}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("api-version=7.4".to_owned()),
        Just("api%2Dversion=2025-07-01&maxresults=3".to_owned()),
        "api-version=7.4&(maxresults|%24skiptoken|\\$skiptoken)=[a-zA-Z0-9%_-]{0,40}",
        "[a-zA-Z0-9%$&=+._-]{0,60}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        r#"\{"value":"[ -~]{0,20}","attributes":\{"exp":(1|"1"|null|x|1e5)\},"tags":\{("a":"b")?\}\}"#.prop_map(String::into_bytes),
        "(grant_type|client_id|client_secret|scope|resource|x)=[ -~]{0,20}(&(grant_type|client_id|scope)=[ -~]{0,20}){0,3}"
            .prop_map(String::into_bytes),
    ]
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![32..127_u8, 128..=255_u8], 0..40)
}

#[derive(Clone, Debug)]
enum Credentials {
    None,
    Good,
    Altered(usize, u8),
    Arbitrary(Vec<u8>),
}

fn credentials() -> impl Strategy<Value = Credentials> {
    prop_oneof![
        1 => Just(Credentials::None),
        3 => Just(Credentials::Good),
        1 => (any::<usize>(), 33..127_u8).prop_map(|(at, byte)| Credentials::Altered(at, byte)),
        1 => header_value().prop_map(Credentials::Arbitrary),
    ]
}

fn authorization(credentials: Credentials, client: &Client) -> Option<Vec<u8>> {
    match credentials {
        Credentials::None => None,
        Credentials::Good => Some(format!("Bearer {}", client.token).into_bytes()),
        Credentials::Altered(at, byte) => {
            let mut token = client.token.clone().into_bytes();
            let at = at % token.len();
            token[at] = byte;
            Some([b"Bearer ", &token[..]].concat())
        }
        Credentials::Arbitrary(value) => Some(value),
    }
}

#[test]
fn arbitrary_requests_get_an_answer_that_is_no_500() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    let request = (
        prop::sample::select(vec!["GET", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS", "BREW"]),
        prop::collection::vec(segment(), 0..5),
        prop::option::of(query()),
        prop_oneof![3 => Just(HOST.as_bytes().to_vec()), 2 => Just(AUTHORITY.as_bytes().to_vec()), 1 => header_value()],
        credentials(),
        prop::option::of((
            prop::sample::select(vec!["x-http-method", "content-type", "x-ms-client-request-id"]),
            header_value(),
        )),
        body(),
    );
    let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((method, segments, query, host, credentials, header, body) in request)| {
        let mut path = format!("/{}", segments.join("/"));
        if let Some(query) = query {
            path = format!("{path}?{query}");
        }
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        if let Some(authorization) = authorization(credentials, &owner) {
            request = request.header("authorization", authorization);
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        // A few of these are no HTTP at all, and never get this far.
        let Ok(request) = request.body(Bytes::from(body)) else { return Ok(()) };
        let answer = world.send_unchecked(request);
        prop_assert!(answer.status.as_u16() != 500, "{answer:?}");
        prop_assert!(answer.body.is_object(), "{answer:?}");
    });
}
