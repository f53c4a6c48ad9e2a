//! What real clients send, as odd as it is.

use bytes::Bytes;
use http::{Request, StatusCode};
use keyvault::API_VERSIONS;

use crate::world::{HOST, World};

#[test]
fn every_version_of_the_api_is_answered() {
    let world = World::new();
    let owner = world.owner();
    let names: Vec<_> = API_VERSIONS.iter().map(|version| version.as_str()).collect();
    for expected in [
        "2016-10-01",
        "7.0",
        "7.1",
        "7.2",
        "7.3",
        "7.4",
        "7.5",
        "7.6",
        "2025-07-01",
        "2026-04-01",
        "7.6-preview.1",
        "7.6-preview.2",
        "2025-06-01-preview",
        "2026-01-01-preview",
        "2026-03-01-preview",
        "2026-05-01-preview",
        "2026-07-01-preview",
    ] {
        assert!(names.contains(&expected), "{expected}");
    }
    for version in names {
        let tells_days = !["2016-10-01", "7.0"].contains(&version);
        let put = world.ask(&owner, "PUT", &format!("/secrets/a?api-version={version}"), r#"{"value":"v"}"#);
        let get = world.ask(&owner, "GET", &format!("/secrets/a?api-version={version}"), "");
        let patch = world.ask(&owner, "PATCH", &format!("/secrets/a?api-version={version}"), "{}");
        let list = world.ask(&owner, "GET", &format!("/secrets?api-version={version}"), "");
        for (answer, bundle) in
            [(&put, &put.body), (&get, &get.body), (&patch, &patch.body), (&list, &list.body["value"][0])]
        {
            assert_eq!(answer.status, StatusCode::OK, "{version}");
            assert_eq!(bundle["attributes"]["recoveryLevel"], "Recoverable+Purgeable");
            assert_eq!(bundle["attributes"].get("recoverableDays").is_some(), tells_days, "{version}");
        }
    }
    for unknown in ["7.7", "7.40", "7.4%20", "2015-06-01", "2099-01-01", "latest"] {
        let answer = world.ask(&owner, "GET", &format!("/secrets/a?api-version={unknown}"), "");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{unknown}");
    }
}

#[test]
fn paths_and_queries_may_be_written_oddly() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a-b", "v");
    for path in [
        "/secrets/a-b/?api-version=7.4",
        "//secrets/a-b?api-version=7.4",
        "/secrets//a-b//?api-version=7.4",
        "/secrets/a%2Db?api-version=7.4",
        "/secrets/%61-b?api-version=7.4",
        "/Secrets/A-B?api-version=7.4",
        "/secrets/a-b?api%2Dversion=7.4",
        "/secrets/a-b?api%2dversion=7%2E4",
        "/secrets/a-b?x&&api-version=7.4&outContentType=application%2Fx-pem-file",
    ] {
        let answer = world.ask_with(&owner.token, "GET", path, "");
        assert_eq!((answer.status, &answer.body["value"]), (StatusCode::OK, &"v".into()), "{path}");
    }
    // Once: what is still encoded then is part of the name.
    let answer = world.ask(&owner, "GET", "/secrets/a%252Db?api-version=7.4", "");
    assert_eq!(answer.error().2, "The request URI contains an invalid name: a%2Db");
}

#[test]
fn a_secret_may_be_named_like_an_operation() {
    let world = World::new();
    let owner = world.owner();
    for name in ["restore", "versions", "backup", "secrets", "recover"] {
        world.set(&owner, name, name);
        let read = world.ask(&owner, "GET", &format!("/secrets/{name}?api-version=7.4"), "");
        assert_eq!(read.body["value"], name);
        let versions = world.ask(&owner, "GET", &format!("/secrets/{name}/versions?api-version=7.4"), "");
        assert_eq!(versions.body["value"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn a_client_that_can_only_post_names_the_real_method_in_a_header() {
    let world = World::new();
    let owner = world.owner();
    for (header, method, body, status) in [
        ("x-http-method", "PUT", r#"{"value":"v"}"#, StatusCode::OK),
        ("X-HTTP-Request", "patch", "{}", StatusCode::OK),
        ("x-http-method", "GET", "", StatusCode::OK),
        ("x-http-method", "ä", "", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let request = Request::post("/secrets/a?api-version=7.4")
            .header("host", HOST)
            .header("authorization", format!("Bearer {}", owner.token))
            .header(header, method)
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap();
        assert_eq!(world.send_unchecked(request).status, status, "{method}");
    }
    // A header says nothing where the method says it already.
    let request = Request::get("/secrets/a?api-version=7.4")
        .header("host", HOST)
        .header("authorization", format!("Bearer {}", owner.token))
        .header("x-http-method", "PUT")
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.send(request).body["value"], "v");
}

#[test]
fn the_host_alone_decides_who_answers() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    for (host, status) in [
        ("DEV.Vault.Localhost:8443", StatusCode::OK),
        ("dev.vault.localhost:9443", StatusCode::OK),
        ("dev.vault.localhost", StatusCode::OK),
        ("other.vault.localhost:8443", StatusCode::FORBIDDEN),
        ("unknown.vault.localhost:8443", StatusCode::NOT_FOUND),
        ("vault.localhost:8443", StatusCode::NOT_FOUND),
        ("127.0.0.1:8443", StatusCode::NOT_FOUND),
        ("dev.vault.azure.net", StatusCode::NOT_FOUND),
    ] {
        let request = Request::get("/secrets/a?api-version=7.4")
            .header("host", host)
            .header("authorization", format!("Bearer {}", owner.token))
            .body(Bytes::new())
            .unwrap();
        let answer = world.send(request);
        assert_eq!(answer.status, status, "{host}");
        if status == StatusCode::OK {
            // The client finds its vault by the Host that it used.
            assert!(answer.body["id"].as_str().unwrap().starts_with(&format!("https://{host}/secrets/a/")));
        }
    }
    // HTTP/2 has no Host header.
    let request = Request::get("https://dev.vault.localhost:8443/secrets/a?api-version=7.4")
        .header("authorization", format!("Bearer {}", owner.token))
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.send(request).body["value"], "v");
}

#[test]
fn a_request_without_one_host_is_refused() {
    let world = World::new();
    let none = Request::get("/secrets").body(Bytes::new()).unwrap();
    assert_eq!(world.send(none).status, StatusCode::BAD_REQUEST);
    let two = Request::get("/secrets").header("host", HOST).header("host", "localhost").body(Bytes::new()).unwrap();
    assert_eq!(world.send_unchecked(two).status, StatusCode::BAD_REQUEST);
}

#[test]
fn the_clients_own_request_id_comes_back() {
    let world = World::new();
    for (sent, comes_back) in [("3f1c0f5e-0000-4000-8000-000000000000", true), (&*"x".repeat(129), false)] {
        let request = Request::get("/secrets")
            .header("host", HOST)
            .header("x-ms-client-request-id", sent)
            .body(Bytes::new())
            .unwrap();
        let answer = world.send(request);
        let returned = answer.headers.get("x-ms-client-request-id");
        assert_eq!(returned.map(|id| id.to_str().unwrap()), comes_back.then_some(sent));
    }
}
