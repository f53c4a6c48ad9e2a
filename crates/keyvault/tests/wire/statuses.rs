//! What is answered when, row by row.

use http::StatusCode;

use crate::world::{World, run};

const MISSING: &str = "A secret with (name/id) nothing was not found in this key vault. If you recently deleted this \
                       secret you may be able to recover it using the correct recovery command. For help resolving \
                       this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182";

#[test]
fn every_refusal_has_azures_status_code_and_words() {
    let world = World::new();
    let owner = world.owner();
    let stranger = world.app("stranger");
    world.set(&owner, "a", "v");
    world.set(&owner, "off", "v");
    world.ask(&owner, "PATCH", "/secrets/off?api-version=7.4", r#"{"attributes":{"enabled":false}}"#);

    let version = "0123456789abcdef0123456789abcdef";
    let property = "Property  has invalid value\r\n";
    let denied = |permission: &str| {
        format!(
            "The user, group or application 'appid={};oid={};iss=https://localhost:8443/{}/v2.0' does not have secrets \
             {permission} permission on key vault 'dev;location=local'. For help resolving this issue, please see \
             https://go.microsoft.com/fwlink/?linkid=2125287",
            stranger.id,
            stranger.object_id,
            world.vault.tenant()
        )
    };
    let too_long_value = format!(r#"{{"value":"{}"}}"#, "v".repeat(25_601));
    let too_long_type = format!(r#"{{"value":"v","contentType":"{}"}}"#, "t".repeat(256));
    let tags: Vec<_> = (0..16).map(|tag| format!(r#""t{tag}":"v""#)).collect();
    let too_many_tags = format!(r#"{{"value":"v","tags":{{{}}}}}"#, tags.join(","));
    let too_long_tag = format!(r#"{{"value":"v","tags":{{"t":"{}"}}}}"#, "v".repeat(513));
    let too_long_name = "n".repeat(128);
    let too_large = " ".repeat(256 * 1024 + 1);

    let owners = [
        ("GET", "/secrets/nothing?api-version=7.4", "", 404, "SecretNotFound", None, MISSING.to_owned()),
        (
            "GET",
            &format!("/secrets/a/{version}?api-version=7.4"),
            "",
            404,
            "SecretNotFound",
            None,
            MISSING.replace("nothing", &format!("a/{version}")),
        ),
        (
            "GET",
            "/secrets/a/nonsense?api-version=7.4",
            "",
            404,
            "SecretNotFound",
            None,
            MISSING.replace("nothing", "a/nonsense"),
        ),
        ("PATCH", "/secrets/nothing?api-version=7.4", "{}", 404, "SecretNotFound", None, MISSING.to_owned()),
        (
            "PATCH",
            &format!("/secrets/a/{version}?api-version=7.4"),
            "{}",
            404,
            "SecretNotFound",
            None,
            MISSING.replace("nothing", &format!("a/{version}")),
        ),
        (
            "GET",
            "/secrets/off?api-version=7.4",
            "",
            403,
            "Forbidden",
            Some("SecretDisabled"),
            "Operation get is not allowed on a disabled secret.".to_owned(),
        ),
        (
            "GET",
            "/secrets/my_secret?api-version=7.4",
            "",
            400,
            "BadParameter",
            None,
            "The request URI contains an invalid name: my_secret".to_owned(),
        ),
        (
            "PUT",
            &format!("/secrets/{too_long_name}?api-version=7.4"),
            r#"{"value":"v"}"#,
            400,
            "BadParameter",
            None,
            format!("The request URI contains an invalid name: {too_long_name}"),
        ),
        (
            "GET",
            "/secrets/a%2Fb?api-version=7.4",
            "",
            400,
            "BadParameter",
            None,
            "The request URI contains an invalid name: a/b".to_owned(),
        ),
        ("GET", "/secrets/a", "", 400, "BadParameter", None, "api-version must be specified".to_owned()),
        ("GET", "/secrets/a?api-version=", "", 400, "BadParameter", None, "api-version must be specified".to_owned()),
        (
            "GET",
            "/secrets/a?api-version=8.0",
            "",
            400,
            "BadParameter",
            None,
            "The specified version (8.0) is not recognized. Consider using the latest supported version (2026-04-01)."
                .to_owned(),
        ),
        ("PUT", "/secrets/a?api-version=7.4", "", 400, "BadParameter", None, property.to_owned()),
        ("PUT", "/secrets/a?api-version=7.4", "{}", 400, "BadParameter", None, property.to_owned()),
        ("PUT", "/secrets/a?api-version=7.4", "{\"value\":", 400, "BadParameter", None, property.to_owned()),
        (
            "PUT",
            "/secrets/a?api-version=7.4",
            r#"{"value":"v","attributes":{"exp":"soon"}}"#,
            400,
            "BadParameter",
            None,
            property.to_owned(),
        ),
        ("PUT", "/secrets/a?api-version=7.4", &too_long_value, 400, "BadParameter", None, property.to_owned()),
        ("PUT", "/secrets/a?api-version=7.4", &too_long_type, 400, "BadParameter", None, property.to_owned()),
        ("PUT", "/secrets/a?api-version=7.4", &too_many_tags, 400, "BadParameter", None, property.to_owned()),
        ("PUT", "/secrets/a?api-version=7.4", &too_long_tag, 400, "BadParameter", None, property.to_owned()),
        ("PUT", "/secrets/a?api-version=7.4", &too_large, 400, "BadParameter", None, property.to_owned()),
        ("PATCH", "/secrets/a?api-version=7.4", "", 400, "BadParameter", None, property.to_owned()),
        ("PATCH", "/secrets/a?api-version=7.4", &too_many_tags, 400, "BadParameter", None, property.to_owned()),
        (
            "GET",
            "/secrets?api-version=7.4&maxresults=26",
            "",
            400,
            "BadParameter",
            None,
            "Parameter maxresults has invalid value. It must be 1 to 25.".to_owned(),
        ),
        (
            "GET",
            "/secrets?api-version=7.4&maxresults=0",
            "",
            400,
            "BadParameter",
            None,
            "Parameter maxresults has invalid value. It must be 1 to 25.".to_owned(),
        ),
        (
            "GET",
            "/secrets/a/versions?api-version=7.4&maxresults=ten",
            "",
            400,
            "BadParameter",
            None,
            "Parameter maxresults has invalid value. It must be 1 to 25.".to_owned(),
        ),
        (
            "GET",
            "/secrets?api-version=7.4&$skiptoken=AAAA",
            "",
            400,
            "BadParameter",
            None,
            "Parameter $skiptoken has invalid value. Follow nextLink as it was given, or start anew.".to_owned(),
        ),
        ("GET", "/keys/a?api-version=7.4", "", 404, "NotFound", None, "There is nothing at this path.".to_owned()),
        (
            "POST",
            "/secrets/a?api-version=7.4",
            "",
            405,
            "BadParameter",
            None,
            "The method is not allowed at this path. Allowed: GET, PUT, PATCH, DELETE.".to_owned(),
        ),
        (
            "GET",
            "/deletedsecrets/a?api-version=7.4",
            "",
            404,
            "SecretNotFound",
            None,
            "Deleted Secret not found: a".to_owned(),
        ),
        (
            "POST",
            "/deletedsecrets/a/recover?api-version=7.4",
            "",
            404,
            "SecretNotFound",
            None,
            "Deleted Secret not found: a".to_owned(),
        ),
        (
            "DELETE",
            "/deletedsecrets/a?api-version=7.4",
            "",
            404,
            "SecretNotFound",
            None,
            "Deleted Secret not found: a".to_owned(),
        ),
        ("DELETE", "/secrets/nothing?api-version=7.4", "", 404, "SecretNotFound", None, MISSING.to_owned()),
        ("POST", "/secrets/nothing/backup?api-version=7.4", "", 404, "SecretNotFound", None, MISSING.to_owned()),
        (
            "POST",
            "/secrets/restore?api-version=7.4",
            "{}",
            400,
            "BadParameter",
            None,
            "Property  has invalid value\r\n".to_owned(),
        ),
        (
            "POST",
            "/secrets/restore?api-version=7.4",
            r#"{"value":"KUF6dXJlS2V5VmF1bHQ"}"#,
            400,
            "BadParameter",
            None,
            "The backup can't be restored: it was changed, cut short, or made by another service or another key."
                .to_owned(),
        ),
    ];
    for (method, path, body, status, code, inner, message) in owners {
        let answer = world.ask(&owner, method, path, body);
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.error(), (code, inner, message.as_str()), "{method} {path}");
    }

    // A stranger learns nothing but that: not what exists, not what is well formed.
    for (method, path, permission) in [
        ("GET", "/secrets/a?api-version=7.4", "get"),
        ("GET", "/secrets/nothing?api-version=7.4", "get"),
        ("GET", "/secrets/my_secret?api-version=8.0", "get"),
        ("PUT", "/secrets/a?api-version=7.4", "set"),
        ("PATCH", "/secrets/a?api-version=7.4", "set"),
        ("GET", "/secrets?api-version=7.4", "list"),
        ("GET", "/secrets/a/versions?api-version=7.4", "list"),
        ("GET", "/deletedsecrets?api-version=7.4", "list"),
        ("GET", "/deletedsecrets/a?api-version=7.4", "get"),
        ("DELETE", "/secrets/a?api-version=7.4", "delete"),
        ("POST", "/deletedsecrets/a/recover?api-version=7.4", "recover"),
        ("DELETE", "/deletedsecrets/a?api-version=7.4", "purge"),
        ("POST", "/secrets/a/backup?api-version=7.4", "backup"),
        ("POST", "/secrets/restore?api-version=7.4", "restore"),
    ] {
        let answer = world.ask(&stranger, method, path, "");
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        assert_eq!(answer.error(), ("Forbidden", Some("AccessDenied"), denied(permission).as_str()));
    }
}

#[test]
fn a_405_names_the_methods_that_are_allowed() {
    let world = World::new();
    let answer = world.ask(&world.owner(), "POST", "/secrets/a?api-version=7.4", "");
    assert_eq!(answer.headers["allow"], "GET, PUT, PATCH, DELETE");
}

#[test]
fn listing_the_versions_of_an_unknown_secret_is_no_error() {
    let world = World::new();
    let owner = world.owner();
    for path in
        ["/secrets/nothing/versions?api-version=7.4", "/secrets?api-version=7.4", "/deletedsecrets?api-version=7.4"]
    {
        let answer = world.ask_with(&owner.token, "GET", path, "");
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::OK, r#"{"value":[],"nextLink":null}"#),
            "{path}"
        );
    }
}

#[test]
fn a_secret_goes_in_and_comes_out() {
    let mut world = World::new();
    let owner = world.owner();
    let body = r#"{"value":"va\"l\\ue\n\u0001é","contentType":"text/plain","tags":{"a":"b","c\"":"d"},
        "attributes":{"enabled":true,"nbf":1700000000,"exp":"1900000000"}}"#;
    let set = world.ask(&owner, "PUT", "/secrets/My-Secret?api-version=7.4", body);
    assert_eq!(set.status, StatusCode::OK);
    assert_eq!(set.body["value"], "va\"l\\ue\n\u{1}é");
    let id = set.body["id"].as_str().unwrap();
    let version = id.strip_prefix("https://dev.vault.localhost:8443/secrets/My-Secret/").unwrap();
    assert!(version.len() == 32 && version.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    assert_eq!(
        set.body["attributes"],
        serde_json::json!({
            "enabled": true, "nbf": 1_700_000_000, "exp": 1_900_000_000, "created": world.now, "updated": world.now,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
        })
    );
    assert_eq!(set.body["tags"], serde_json::json!({ "a": "b", "c\"": "d" }));

    // Read back by any case of its name, as it was first written, with the version and without.
    let upper = version.to_uppercase();
    for path in [
        "/secrets/My-Secret",
        "/secrets/my-secret/",
        &format!("/secrets/MY-SECRET/{version}"),
        &format!("/secrets/my-secret/{upper}"),
    ] {
        let read = world.ask(&owner, "GET", &format!("{path}?api-version=7.4"), "");
        assert_eq!(read.body, set.body, "{path}");
    }

    // An update changes what it names, and the time.
    world.now += 5;
    let update = world.ask(
        &owner,
        "PATCH",
        "/secrets/my-secret/?api-version=7.4",
        r#"{"contentType":"x","attributes":{"exp":1950000000}}"#,
    );
    assert_eq!(update.body.get("value"), None);
    assert_eq!(update.body["id"], set.body["id"]);
    assert_eq!(update.body["contentType"], "x");
    assert_eq!(update.body["tags"], set.body["tags"]);
    let attributes = &update.body["attributes"];
    assert_eq!((&attributes["exp"], &attributes["nbf"]), (&1_950_000_000.into(), &1_700_000_000.into()));
    assert_eq!((&attributes["created"], &attributes["updated"]), (&(world.now - 5).into(), &world.now.into()));
    let update = world.ask(&owner, "PATCH", &format!("/secrets/my-secret/{version}?api-version=7.4"), r#"{"tags":{}}"#);
    assert_eq!(update.body.get("tags"), None);

    // A new version inherits nothing.
    let set = world.set(&owner, "my-secret", "");
    assert_eq!(set.body["value"], "");
    assert!(set.body["id"].as_str().unwrap().contains("/secrets/My-Secret/"));
    assert_eq!((set.body.get("contentType"), set.body["attributes"].get("exp")), (None, None));
    let old = world.ask(&owner, "GET", &format!("/secrets/my-secret/{version}?api-version=7.4"), "");
    assert_eq!((&old.body["value"], &old.body["contentType"]), (&"va\"l\\ue\n\u{1}é".into(), &"x".into()));
}

#[test]
fn expired_and_early_secrets_are_read_and_disabled_ones_can_be_enabled_again() {
    let world = World::new();
    let owner = world.owner();
    let body = r#"{"value":"v","attributes":{"nbf":4000000000,"exp":1}}"#;
    world.ask(&owner, "PUT", "/secrets/a?api-version=7.4", body);
    assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").body["value"], "v");
    for (enabled, status) in [(false, StatusCode::FORBIDDEN), (true, StatusCode::OK)] {
        let body = format!(r#"{{"attributes":{{"enabled":{enabled}}}}}"#);
        let update = world.ask(&owner, "PATCH", "/secrets/a?api-version=7.4", &body);
        assert_eq!(update.body["attributes"]["enabled"], enabled);
        let version = update.body["id"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").status, status);
        assert_eq!(world.ask(&owner, "GET", &format!("/secrets/a/{version}?api-version=7.4"), "").status, status);
    }
}

#[test]
fn the_longest_value_of_the_worst_bytes_fits() {
    let world = World::new();
    let owner = world.owner();
    let value = "\u{1}".repeat(25_600);
    world.set(&owner, "a", &value);
    assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").body["value"], value.as_str());
}

#[test]
fn a_store_that_fails_is_503_and_never_401() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    world.store.set_full(true);
    let answer = world.ask(&owner, "PUT", "/secrets/a?api-version=7.4", r#"{"value":"w"}"#);
    assert_eq!((answer.status, answer.error().0), (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"));
    assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").body["value"], "v", "reads go on");
    world.store.set_full(false);
    world.set(&owner, "a", "w");

    world.store.set_unreachable(true);
    let answer = world.ask(&owner, "GET", "/secrets/b?api-version=7.4", "");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    world.store.set_unreachable(false);
    assert_eq!(world.ask(&owner, "GET", "/secrets/b?api-version=7.4", "").status, StatusCode::NOT_FOUND);
}

#[test]
fn what_the_operator_must_know_stands_beside_the_answer() {
    let world = World::new();
    let owner = world.owner();
    world.store.set_full(true);
    let request = http::Request::put("/secrets/a?api-version=7.4")
        .header("host", crate::world::HOST)
        .header("authorization", format!("Bearer {}", owner.token))
        .body(r#"{"value":"w"}"#.into())
        .unwrap();
    let answer = run(world.vault.answer(request, world.now(), None));
    let cause = answer.extensions().get::<keyvault::Cause>().unwrap();
    assert!(cause.0.contains("no room is left"), "{cause:?}");
}

#[test]
fn a_directory_that_is_gone_is_not_made_anew_over_apps_that_are_there() {
    let world = World::new();
    world.owner();
    let gone =
        store::Write::RemoveDefinition { kind: store::rows::DefinitionKind::Directory, name: "directory".into() };
    run(world.records.commit(vec![gone])).unwrap();
    let settings = crate::world::settings();
    let opened = run(keyvault::KeyVault::open(world.records.clone(), &settings, world.audit.clone(), world.now()));
    let error = opened.err().expect("its apps' client secrets would be worth nothing any more, and nobody was told");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}
