//! Who sees and does what.

use http::StatusCode;

use crate::world::World;

#[test]
fn a_reader_of_tokens_sees_its_token_and_nothing_else() {
    let world = World::new();
    let owner = world.owner();
    for name in ["client-id", "client-credentials", "Discord-API-OAuth-Token", "github-token"] {
        world.set(&owner, name, "v");
    }
    let reader = world.app("reader");
    world.policy("reader", "dev", &reader, &["get"], &["discord-*-token"]);
    let status = |method: &str, path: &str, body: &str| world.ask(&reader, method, path, body).status;
    assert_eq!(status("GET", "/secrets/discord-api-oauth-token?api-version=7.4", ""), StatusCode::OK);
    assert_eq!(status("GET", "/secrets/DISCORD-API-OAUTH-TOKEN?api-version=7.4", ""), StatusCode::OK);
    for (method, path, body) in [
        ("GET", "/secrets/client-credentials?api-version=7.4", ""),
        ("GET", "/secrets/github-token?api-version=7.4", ""),
        ("GET", "/secrets/not-there?api-version=7.4", ""),
        ("PUT", "/secrets/discord-api-oauth-token?api-version=7.4", r#"{"value":"x"}"#),
        ("PATCH", "/secrets/discord-api-oauth-token?api-version=7.4", "{}"),
        ("GET", "/secrets?api-version=7.4", ""),
        ("GET", "/secrets/discord-api-oauth-token/versions?api-version=7.4", ""),
    ] {
        assert_eq!(status(method, path, body), StatusCode::FORBIDDEN, "{method} {path}");
    }
    // What it may read it may read by version too.
    let id = world.ask(&owner, "GET", "/secrets/discord-api-oauth-token?api-version=7.4", "").body["id"].clone();
    let version = id.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    world.set(&owner, "discord-api-oauth-token", "w");
    assert_eq!(
        status("GET", &format!("/secrets/discord-api-oauth-token/{version}?api-version=7.4"), ""),
        StatusCode::OK
    );
}

#[test]
fn a_list_shows_names_that_a_list_pattern_covers() {
    let world = World::new();
    let owner = world.owner();
    for number in 0..70 {
        world.set(&owner, &format!("hidden-{number:02}"), "v");
        world.set(&owner, &format!("seen-{number:02}-token"), "v");
    }
    let reader = world.app("reader");
    world.policy("one", "dev", &reader, &["list"], &["seen-*-token", "nothing-*"]);
    world.policy("two", "dev", &reader, &["get"], &["hidden-*"]);
    let mut seen = 0;
    let mut path = "/secrets?api-version=7.4".to_owned();
    loop {
        let page = world.ask_with(&reader.token, "GET", &path, "");
        assert!(!page.text.contains("hidden"), "{}", page.text);
        seen += page.body["value"].as_array().unwrap().len();
        let Some(next) = page.body["nextLink"].as_str() else {
            break;
        };
        path = next.strip_prefix("https://dev.vault.localhost:8443").unwrap().to_owned();
    }
    assert_eq!(seen, 70);
    let versions =
        |name: &str| world.ask(&reader, "GET", &format!("/secrets/{name}/versions?api-version=7.4"), "").status;
    assert_eq!((versions("seen-01-token"), versions("hidden-01")), (StatusCode::OK, StatusCode::FORBIDDEN));
}

#[test]
fn a_reader_who_sees_nothing_of_a_large_vault_gets_empty_pages_and_an_end() {
    let world = World::new();
    let owner = world.owner();
    for number in 0..1100 {
        world.set(&owner, &format!("hidden-{number:04}"), "v");
    }
    let reader = world.app("reader");
    world.policy("reader", "dev", &reader, &["list"], &["seen-*"]);
    let first = world.ask(&reader, "GET", "/secrets?api-version=7.4", "");
    assert_eq!(first.body["value"].as_array().unwrap().len(), 0);
    let next = first.body["nextLink"].as_str().unwrap().strip_prefix("https://dev.vault.localhost:8443").unwrap();
    let second = world.ask_with(&reader.token, "GET", next, "");
    assert_eq!(second.text, r#"{"value":[],"nextLink":null}"#);
}

#[test]
fn a_policy_holds_in_its_own_vault_and_from_the_moment_it_is_made() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    let reader = world.app("reader");
    world.policy("elsewhere", "other", &reader, &["all"], &[]);
    let read = || world.ask(&reader, "GET", "/secrets/a?api-version=7.4", "").status;
    assert_eq!(read(), StatusCode::FORBIDDEN);
    world.policy("here", "dev", &reader, &["get"], &["a"]);
    assert_eq!(read(), StatusCode::OK);
    assert_eq!(read(), StatusCode::OK, "from memory too");
}
