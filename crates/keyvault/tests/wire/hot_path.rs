//! The short way of a read, which must answer as the long way does.

use bytes::Bytes;
use http::{Request, StatusCode};

use crate::world::{Answer, Client, HOST, World, run};

fn request(client: &Client, path: &str) -> Request<Bytes> {
    Request::get(path)
        .header("host", HOST)
        .header("authorization", format!("Bearer {}", client.token))
        .body(Bytes::new())
        .unwrap()
}

fn now(world: &World, client: &Client, path: &str) -> Option<Answer> {
    let request = request(client, path);
    let peer = Some("192.0.2.7".parse().unwrap());
    let answer = world.vault.answer_now(request.method(), request.uri(), request.headers(), world.now(), peer);
    answer.map(Answer::from)
}

#[test]
fn a_read_is_answered_at_once_after_the_first_and_in_the_same_way() {
    let world = World::new();
    let owner = world.owner();
    world.ask(
        &owner,
        "PUT",
        "/secrets/Some-Name?api-version=7.4",
        r#"{"value":"v","tags":{"a":"b"},"attributes":{"exp":1}}"#,
    );
    let first = world.ask(&owner, "GET", "/secrets/some-name?api-version=7.4", "");
    let version = first.body["id"].as_str().unwrap().rsplit('/').next().unwrap();
    for path in [
        "/secrets/some-name?api-version=7.4".to_owned(),
        "//secrets/SOME-NAME/?api%2Dversion=7.4".to_owned(),
        format!("/secrets/some-name/{version}?api-version=7.4"),
    ] {
        let answer = now(&world, &owner, &path).unwrap_or_else(|| panic!("{path} is not answered at once"));
        assert_eq!((answer.status, &answer.text), (StatusCode::OK, &first.text));
        let names = |answer: &Answer| {
            let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&answer), names(&first));
    }
}

#[test]
fn what_is_not_a_plain_permitted_read_takes_the_long_way() {
    let mut world = World::new();
    let owner = world.owner();
    let reader = world.app("reader");
    world.policy("reader", "dev", &reader, &["get"], &["a"]);
    for name in ["a", "b", "off"] {
        world.set(&owner, name, "v");
    }
    let old = world.ask(&owner, "GET", "/secrets/b?api-version=7.4", "").body["id"].as_str().unwrap().to_owned();
    let old = old.rsplit('/').next().unwrap();
    world.set(&owner, "b", "w");
    world.ask(&owner, "PATCH", "/secrets/off?api-version=7.4", r#"{"attributes":{"enabled":false}}"#);
    for (client, name) in [(&owner, "a"), (&owner, "b"), (&owner, "off"), (&reader, "a")] {
        world.ask(client, "GET", &format!("/secrets/{name}?api-version=7.4"), "");
    }
    assert!(now(&world, &owner, "/secrets/a?api-version=7.4").is_some());
    for (client, path) in [
        (&reader, "/secrets/b?api-version=7.4"),
        (&owner, "/secrets/off?api-version=7.4"),
        (&owner, "/secrets/c?api-version=7.4"),
        (&owner, "/secrets/a"),
        (&owner, "/secrets/a?api-version=8"),
        (&owner, "/secrets?api-version=7.4"),
        (&owner, "/secrets/a/versions?api-version=7.4"),
        (&owner, &format!("/secrets/b/{old}?api-version=7.4")),
    ] {
        assert!(now(&world, client, path).is_none(), "{path}");
    }
    world.now += 3660;
    assert!(now(&world, &owner, "/secrets/a?api-version=7.4").is_none(), "the token has expired");
    world.now -= 3660;
    run(world.vault.delete_app("owner")).unwrap();
    assert!(now(&world, &owner, "/secrets/a?api-version=7.4").is_none());
}

#[test]
fn a_write_is_seen_by_the_next_read() {
    let world = World::new();
    let owner = world.owner();
    for value in ["one", "two", "three"] {
        world.set(&owner, "a", value);
        for _ in 0..2 {
            assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").body["value"], value);
        }
    }
}

#[test]
fn answers_can_be_awaited_on_any_thread() {
    fn sendable<T: Send>(_: &T) {}
    fn shared<T: Send + Sync>() {}
    shared::<keyvault::KeyVault<store::MemoryStore>>();
    let world = World::new();
    let request = Request::get("/secrets").header("host", HOST).body(Bytes::new()).unwrap();
    let future = world.vault.answer(request, world.now(), None);
    sendable(&future);
    assert_eq!(run(future).status(), StatusCode::UNAUTHORIZED);
}
