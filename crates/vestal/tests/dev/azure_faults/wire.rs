//! Every request that a delivery makes, held against Key Vault's contract: its published description, and what Microsoft's
//! own SDKs send.

use serde_json::{Value, json};

use super::Stage;
use super::proxy::Seen;
use crate::process::until;

const DESCRIPTIONS: [&str; 2] = [
    include_str!("../../../../keyvault/openapi/secrets-7.4.json"),
    include_str!("../../../../keyvault/openapi/secrets-2026-04-01.json"),
];

#[test]
fn the_requests_of_a_delivery_are_those_of_the_contract() {
    let stage = Stage::set(600, ", disable_superseded = true");
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    stage.renew();
    stage.until_delivered();
    until("the superseded version is disabled", || (!stage.held().first()?.1).then_some(()));
    let seen = stage.proxy.seen();

    for request in seen.iter().filter(|request| request.path.starts_with("/secrets")) {
        at_the_vault(request);
    }
    let first = seen.iter().find(|request| request.path.starts_with("/secrets")).expect("it called the vault");
    assert_eq!(first.status, 401, "the first call asks where to sign in, without a token and without a body");
    assert!(!first.headers.contains_key("authorization") && first.body.is_empty(), "{:?}", first.path);

    let sign_ins: Vec<&Seen> = seen.iter().filter(|request| request.is_sign_in()).collect();
    assert_eq!(sign_ins.len(), 1, "one token serves all calls of an hour");
    at_the_authority(&stage, sign_ins[0]);

    // Two generations: each is looked for, written once, and read back; the first is disabled in the end.
    let of = |method: &str| seen.iter().filter(|request| request.is_delivery(method) && request.status == 200).count();
    assert_eq!((of("PUT"), of("PATCH")), (2, 1));
    let others: Vec<&Seen> = seen
        .iter()
        .filter(|request| !request.path.starts_with("/secrets/delivered-token") && !request.is_sign_in())
        .collect();
    assert!(
        others.is_empty(),
        "nothing else is asked: {:?}",
        others.iter().map(|request| &request.path).collect::<Vec<_>>()
    );
}

fn at_the_vault(request: &Seen) {
    let Seen { method, path, query, headers, .. } = request;
    // An api-version is a number of Key Vault's, or a date.
    let version = query.get("api-version").unwrap_or_else(|| panic!("{method} {path} names no api-version"));
    let is_date = version.len() == 10 && version.starts_with("20");
    assert!(version.starts_with("7.") || is_date, "{version}");
    assert_eq!(query.len(), 1, "{query:?}");
    assert!(headers.get("accept").is_none_or(|accept| accept.contains("application/json")), "{headers:?}");
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_version = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (template, body) = match (method.as_str(), segments.as_slice()) {
        ("GET", ["secrets", _]) => ("/secrets/{secret-name}/{secret-version}", None),
        ("PUT", ["secrets", _]) => ("/secrets/{secret-name}", Some("SecretSetParameters")),
        ("PATCH", ["secrets", _, version]) if is_version(version) => {
            ("/secrets/{secret-name}/{secret-version}", Some("SecretUpdateParameters"))
        }
        _ => panic!("{method} {path} is no operation that a delivery needs"),
    };
    for text in DESCRIPTIONS {
        let description: Value = serde_json::from_str(text).expect("the description is JSON");
        let operation = &description["paths"][template][method.to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {template} is described");
        let Some(definition) = body.filter(|_| !request.body.is_empty()) else {
            assert!(request.body.is_empty(), "{method} {path} has no body");
            continue;
        };
        assert!(headers.get("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{headers:?}");
        let sent = request.json();
        conforms(&description, &description["definitions"][definition], &sent);
    }
    match (method.as_str(), request.body.is_empty()) {
        ("PUT", false) => {
            let sent = request.json();
            assert!(sent["value"].as_str().is_some_and(|value| !value.is_empty()));
            assert!(sent["attributes"]["exp"].is_i64(), "the end is a number of seconds");
            assert_eq!(sent["attributes"]["enabled"], true);
            assert_eq!(sent["contentType"], "text/plain");
            let tags: Vec<&String> = sent["tags"].as_object().expect("it has tags").keys().collect();
            assert_eq!(tags, ["vestal-generation", "vestal-provider", "vestal-renewed-at", "vestal-token"]);
        }
        ("PATCH", false) => assert_eq!(request.json(), json!({ "attributes": { "enabled": false } })),
        _ => {}
    }
}

/// Known members alone, each of its type.
fn conforms(description: &Value, schema: &Value, value: &Value) {
    let schema = schema["$ref"].as_str().map_or(schema, |reference| {
        description.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere")
    });
    let is_type = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        _ => value.is_object(),
    };
    assert!(is_type, "{value} is not {schema}");
    for (name, member) in value.as_object().into_iter().flatten() {
        let described = described(description, schema, name);
        conforms(description, &described.unwrap_or_else(|| panic!("{name} is not described")), member);
    }
}

/// What is said of a member: here, in what this extends, or of all others.
fn described(description: &Value, schema: &Value, name: &str) -> Option<Value> {
    if let Some(found) = schema["properties"].get(name) {
        return Some(found.clone());
    }
    for base in schema["allOf"].as_array().into_iter().flatten() {
        let base = base["$ref"].as_str().and_then(|reference| description.pointer(reference.trim_start_matches('#')));
        if let Some(found) = base.and_then(|base| described(description, base, name)) {
            return Some(found);
        }
    }
    schema.get("additionalProperties").filter(|others| others.is_object()).cloned()
}

fn at_the_authority(stage: &Stage, request: &Seen) {
    assert_eq!(request.path, "/adfs/oauth2/v2.0/token");
    assert!(request.headers["content-type"].starts_with("application/x-www-form-urlencoded"));
    let form = request.form();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], stage.azure.var("AZURE_CLIENT_ID"));
    assert_eq!(form["scope"], format!("https://vault.localhost:{}/.default", stage.proxy.port));
    assert!(!form["client_secret"].is_empty());
    assert!(form.keys().all(|name| matches!(name.as_str(), "grant_type" | "client_id" | "client_secret" | "scope")));
}
