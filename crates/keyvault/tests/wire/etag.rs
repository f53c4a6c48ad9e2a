//! Entity tags: what a client has already isn't sent again, and a write can depend on what is there.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::json;

use crate::world::{Answer, Client, HOST, World};

fn ask(world: &World, client: &Client, method: &str, path: &str, header: (&str, &str), body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?api-version=7.4"))
        .header("host", HOST)
        .header("authorization", format!("Bearer {}", client.token))
        .header(header.0, header.1);
    world.send(request.body(Bytes::copy_from_slice(body.as_bytes())).expect("a request"))
}

fn etag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().expect("it is text").to_owned()
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let world = World::new();
    let owner = world.owner();
    let made = world.set(&owner, "api", "one");
    let has = etag(&made);
    assert!(has.len() == 34 && has.starts_with('"'), "{has}");
    let version = made.body["id"].as_str().expect("an id").rsplit('/').next().expect("a version").to_owned();
    // The first read takes the long way, the later ones the short one.
    for _ in 0..3 {
        for path in ["/secrets/api".to_owned(), format!("/secrets/API/{version}")] {
            let again = ask(&world, &owner, "GET", &path, ("if-none-match", &has), "");
            assert_eq!((again.status, again.text.as_str(), etag(&again)), (StatusCode::NOT_MODIFIED, "", has.clone()));
            let other = ask(&world, &owner, "GET", &path, ("if-none-match", "\"other\""), "");
            assert_eq!((other.status, etag(&other)), (StatusCode::OK, has.clone()));
        }
    }
    let changed = ask(&world, &owner, "PATCH", "/secrets/api", ("accept", "*/*"), r#"{"tags":{"a":"b"}}"#);
    assert_eq!(changed.status, StatusCode::OK);
    let read = ask(&world, &owner, "GET", "/secrets/api", ("if-none-match", &has), "");
    assert_eq!(read.status, StatusCode::OK, "its tags are others");
    assert_ne!(etag(&read), has);
}

#[test]
fn what_may_not_be_read_is_refused_whatever_the_client_has() {
    let world = World::new();
    let (owner, stranger) = (world.owner(), world.app("stranger"));
    world.set(&owner, "api", "one");
    assert_eq!(ask(&world, &stranger, "GET", "/secrets/api", ("if-none-match", "*"), "").status, StatusCode::FORBIDDEN);
    ask(&world, &owner, "PATCH", "/secrets/api", ("accept", "*/*"), r#"{"attributes":{"enabled":false}}"#);
    let disabled = ask(&world, &owner, "GET", "/secrets/api", ("if-none-match", "*"), "");
    assert_eq!(disabled.error().1, Some("SecretDisabled"));
    assert_eq!(ask(&world, &owner, "GET", "/secrets/none", ("if-none-match", "*"), "").status, StatusCode::NOT_FOUND);
}

#[test]
fn a_write_can_depend_on_what_is_there() {
    let world = World::new();
    let owner = world.owner();
    let put = |header, value: &str| {
        ask(&world, &owner, "PUT", "/secrets/api", header, &json!({ "value": value }).to_string())
    };
    let refused = |answer: &Answer| {
        assert_eq!((answer.status, answer.error().0), (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
    };
    refused(&put(("if-match", "*"), "nothing is there"));
    let first = etag(&put(("if-none-match", "*"), "one"));
    refused(&put(("if-none-match", "*"), "it is there"));
    refused(&put(("if-match", "\"other\""), "it is another"));
    let second = put(("if-match", &first), "two");
    assert_eq!(second.status, StatusCode::OK);
    refused(&put(("if-match", &first), "it is another by now"));
    ask(&world, &owner, "PATCH", "/secrets/api", ("accept", "*/*"), r#"{"tags":{"a":"b"}}"#);
    refused(&put(("if-match", &etag(&second)), "its tags are others"));
    assert_eq!(world.ask(&owner, "GET", "/secrets/api?api-version=7.4", "").body["value"], "two");
}

#[test]
fn a_condition_that_a_change_does_not_look_at_is_refused_and_not_ignored() {
    let world = World::new();
    let owner = world.owner();
    let tag = etag(&world.set(&owner, "api", "one"));
    let changes = [("PATCH", "/secrets/api"), ("DELETE", "/secrets/api"), ("DELETE", "/deletedsecrets/api")];
    for (method, path) in changes {
        for header in [("if-match", &*tag), ("if-match", "\"other\""), ("if-none-match", "*"), ("if-none-match", &*tag)]
        {
            let refused = ask(&world, &owner, method, path, header, "{}");
            assert_eq!(
                (refused.status, refused.error().0),
                (StatusCode::BAD_REQUEST, "BadParameter"),
                "{method} {header:?}"
            );
        }
        assert!(ask(&world, &owner, method, path, ("if-match", "*"), "{}").status.is_success(), "{method} {path}");
    }
}
