//! The authority, as SDKs and flows use it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use store::AuditOutcome;

use crate::world::{AUTHORITY, Answer, Client, START, World};

const DEFAULT_SCOPE: &str = "https://vault.azure.net/.default";

fn post(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::post(path).header("host", AUTHORITY);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}

fn form(client: &Client) -> String {
    format!(
        "client_id={}&client_secret={}&grant_type=client_credentials&scope={DEFAULT_SCOPE}",
        client.id, client.secret
    )
}

fn get(world: &World, path: &str) -> Answer {
    world.send(Request::get(path).header("host", AUTHORITY).body(Bytes::new()).unwrap())
}

#[test]
fn a_token_is_issued_under_any_name_of_the_tenant() {
    let world = World::new();
    let owner = world.owner();
    for tenant in ["adfs", &world.vault.tenant(), "contoso.onmicrosoft.com", "common"] {
        let answer = post(&world, &format!("/{tenant}/oauth2/v2.0/token"), &[], &form(&owner));
        assert_eq!(answer.status, StatusCode::OK, "{tenant}: {}", answer.text);
        assert_eq!(answer.body["token_type"], "Bearer");
        // The Rust SDK takes a number and nothing else.
        assert_eq!(answer.body["expires_in"], 3600);
        assert_eq!(answer.headers["cache-control"], "no-store, no-cache");
    }
}

#[test]
fn the_older_endpoint_takes_a_resource() {
    let world = World::new();
    let owner = world.owner();
    let credentials = format!("client_id={}&client_secret={}&grant_type=client_credentials", owner.id, owner.secret);
    let answer =
        post(&world, "/adfs/oauth2/token", &[], &format!("{credentials}&resource=https%3A%2F%2Fvault.azure.net"));
    assert_eq!(answer.body["resource"], "https://vault.azure.net");
    assert_eq!(answer.body["expires_on"], (START + 3600).to_string());
    assert_eq!(answer.body["expires_in"], 3600);
    let token = answer.body["access_token"].as_str().unwrap();
    assert_eq!(world.ask_with(token, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
    let by_guid = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";
    let answer = post(&world, "/adfs/oauth2/token", &[], &format!("{credentials}&resource={by_guid}"));
    let token = answer.body["access_token"].as_str().unwrap();
    assert_ne!(world.ask_with(token, "GET", "/secrets?api-version=7.4", "").status, StatusCode::UNAUTHORIZED);
    let answer = post(&world, "/adfs/oauth2/token", &[], &format!("{credentials}&scope={DEFAULT_SCOPE}"));
    assert_eq!(answer.status, StatusCode::OK, "MSAL sends a scope to ADFS");
    assert_eq!(post(&world, "/adfs/oauth2/token", &[], &credentials).body["error_codes"][0], 900_144);
}

#[test]
fn basic_authentication_and_hand_typed_forms_are_understood() {
    let world = World::new();
    let owner = world.owner();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", owner.id, owner.secret)));
    let answer = post(
        &world,
        "/adfs/oauth2/v2.0/token",
        &[("authorization", &basic)],
        &format!("grant_type=client_credentials&scope={DEFAULT_SCOPE}"),
    );
    assert_eq!(answer.status, StatusCode::OK);
    // What Python sends, and what people type.
    let typed = format!(
        "client_id={}\r\n&client_secret={}\n&grant_type=client_credentials&\nscope={DEFAULT_SCOPE}\n&client_info=1\
         &claims=%7B%22access_token%22%3A+%7B%7D%7D",
        owner.id.to_uppercase(),
        owner.secret
    );
    for kind in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
        let answer = post(&world, "/adfs/oauth2/v2.0/token", &[("content-type", kind)], &typed);
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}

#[test]
fn every_refusal_has_entras_form() {
    let world = World::new();
    let owner = world.owner();
    let credentials = format!("client_id={}&client_secret={}", owner.id, owner.secret);
    let complete = format!("{credentials}&grant_type=client_credentials");
    for (body, status, error, number, words) in [
        ("", 400, "invalid_request", 900_144, "'grant_type'"),
        ("{\"grant_type\":\"client_credentials\"}", 400, "invalid_request", 900_144, "'grant_type'"),
        ("grant_type=password", 400, "unsupported_grant_type", 70_003, "'password'"),
        ("grant_type=client_credentials", 400, "invalid_request", 900_144, "'client_id'"),
        ("grant_type=client_credentials&client_id=&client_secret=x", 400, "invalid_request", 900_144, "'client_id'"),
        (
            &format!("grant_type=client_credentials&client_id={}", owner.id),
            401,
            "invalid_client",
            7_000_216,
            "'client_secret'",
        ),
        (&format!("{complete}&client_id=x"), 400, "invalid_request", 9_000_411, "'client_id' is duplicated"),
        (&format!("{complete}&client_secret=x"), 400, "invalid_request", 9_000_411, "'client_secret' is duplicated"),
        (&complete, 400, "invalid_request", 900_144, "'scope'"),
        (&format!("{complete}&scope=https://vault.azure.net"), 400, "invalid_scope", 1_002_012, "/.default"),
        (
            &format!("{complete}&scope=https://graph.microsoft.com/.default"),
            400,
            "invalid_resource",
            500_011,
            "https://graph.microsoft.com",
        ),
        (&format!("{complete}x&scope=nonsense"), 400, "unsupported_grant_type", 70_003, "client_credentialsx"),
    ] {
        let answer = post(&world, "/adfs/oauth2/v2.0/token", &[], body);
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text);
        let told = &answer.body;
        assert_eq!((&told["error"], &told["error_codes"]), (&error.into(), &serde_json::json!([number])), "{body}");
        let description = told["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")) && description.contains(words), "{description}");
        assert_eq!(told["timestamp"], "2027-01-15 08:00:00Z");
        assert_eq!(told["trace_id"], answer.headers["x-ms-request-id"].to_str().unwrap());
        for id in ["trace_id", "correlation_id"] {
            assert!(vault::ClientId::parse(told[id].as_str().unwrap()).is_ok());
            assert!(description.contains(told[id].as_str().unwrap()));
        }
        assert_eq!(told["error_uri"], format!("https://login.microsoftonline.com/error?code={number}"));
        assert!(!answer.text.contains(&owner.secret));
    }
    let get = get(&world, "/adfs/oauth2/v2.0/token");
    assert_eq!((get.status, &get.body["error_codes"][0]), (StatusCode::METHOD_NOT_ALLOWED, &900_561.into()));
    assert_eq!(get.headers["allow"], "POST");
    assert_eq!(post(&world, "/adfs/oauth2/v2.0/authorize", &[], "").status, StatusCode::NOT_FOUND);
    let json = post(&world, "/adfs/oauth2/v2.0/token", &[("content-type", "application/json")], &form(&owner));
    assert_eq!(json.body["error_codes"][0], 900_144);
    let both = format!("Basic {}", STANDARD.encode(format!("{}:{}", owner.id, owner.secret)));
    let both = post(&world, "/adfs/oauth2/v2.0/token", &[("authorization", &both)], &form(&owner));
    assert_eq!(both.body["error_codes"][0], 9_000_411);
}

#[test]
fn an_unknown_client_and_a_wrong_secret_get_the_same_answer() {
    let world = World::new();
    let owner = world.owner();
    let unknown = "11111111-2222-4333-8444-555555555555";
    let refused = |client: &str| {
        let request = Request::post("/adfs/oauth2/v2.0/token")
            .header("host", AUTHORITY)
            .header("client-request-id", "00000000-0000-4000-8000-00000000000A")
            .body(
                format!("client_id={client}&client_secret=wrong&grant_type=client_credentials&scope={DEFAULT_SCOPE}")
                    .into(),
            )
            .unwrap();
        let answer = world.send(request);
        let trace = answer.body["trace_id"].as_str().unwrap();
        let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        (answer.status, answer.text.replace(trace, "TRACE").replace(client, "CLIENT"), names)
    };
    let (status, text, names) = refused(&owner.id);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(text.contains("AADSTS7000215") && text.contains("00000000-0000-4000-8000-00000000000a"));
    assert_eq!(refused(unknown), (status, text, names));
    // Both are in the audit before they are answered.
    let refusals: Vec<_> =
        world.audit.entries().into_iter().filter(|entry| entry.outcome == AuditOutcome::Refused).collect();
    assert_eq!(refusals.len(), 2);
    assert!(refusals.iter().all(|entry| entry.operation == "Authenticate"));
    assert_eq!(refusals[1].app.as_deref(), Some(unknown));
}

#[test]
fn what_was_put_into_the_wrong_field_is_not_repeated() {
    let world = World::new();
    let owner = world.owner();
    let answer = world.token_request(&format!(
        "client_id={}&client_secret={}&grant_type=client_credentials&scope={DEFAULT_SCOPE}",
        owner.secret, owner.id
    ));
    assert_eq!(answer.body["error_codes"][0], 7_000_215);
    assert!(!answer.text.contains(&owner.secret));
    assert!(world.audit.entries().iter().all(|entry| entry.app.as_deref() != Some(&owner.secret)));
}

#[test]
fn refusals_are_limited_and_shut_nobody_out() {
    let mut world = World::new();
    let owner = world.owner();
    let wrong =
        format!("client_id={}&client_secret=wrong&grant_type=client_credentials&scope={DEFAULT_SCOPE}", owner.id);
    for _ in 0..20 {
        assert_eq!(world.token_request(&wrong).status, StatusCode::UNAUTHORIZED);
    }
    let limited = world.token_request(&wrong);
    assert_eq!((limited.status, &limited.body["error_codes"][0]), (StatusCode::TOO_MANY_REQUESTS, &90_055.into()));
    assert_eq!(limited.headers["retry-after"], "1");
    world.token(&owner);
    // The source's own limit holds for everybody behind it, and passes.
    let mut asked = 0;
    while world.token_request(&form(&owner)).status == StatusCode::OK {
        asked += 1;
    }
    assert!((50..100).contains(&asked), "{asked}");
    world.now += 1;
    world.token(&owner);
}

#[test]
fn a_refusal_that_cannot_be_written_down_is_503() {
    let world = World::new();
    let owner = world.owner();
    world.audit.set_full(true);
    let answer = world.token_request(&format!(
        "client_id={}&client_secret=wrong&grant_type=client_credentials&scope={DEFAULT_SCOPE}",
        owner.id
    ));
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"temporarily_unavailable".into())
    );
    world.token(&owner);
}

#[test]
fn discovery_names_our_own_origin_alone() {
    let world = World::new();
    let tenant = world.vault.tenant();
    for (path, name) in [
        ("/adfs/.well-known/openid-configuration".to_owned(), "adfs"),
        (format!("/{tenant}/v2.0/.well-known/openid-configuration"), &*tenant),
        ("/contoso%22.example/v2.0/.well-known/openid-configuration".to_owned(), &*tenant),
    ] {
        let told = get(&world, &path).body;
        let base = format!("https://localhost:8443/{name}");
        assert_eq!(told["issuer"], format!("https://localhost:8443/{tenant}/v2.0"));
        assert_eq!(told["token_endpoint"], format!("{base}/oauth2/v2.0/token"));
        assert_eq!(told["authorization_endpoint"], format!("{base}/oauth2/v2.0/authorize"));
        assert_eq!(told["jwks_uri"], format!("{base}/discovery/v2.0/keys"));
    }
    let told = get(
        &world,
        "/common/discovery/instance?authorization_endpoint=https%3A%2F%2Flocalhost%2Fadfs%2Foauth2%2Fv2.0%2Fauthorize&api-version=1.0",
    );
    assert_eq!(
        told.body["tenant_discovery_endpoint"],
        "https://localhost:8443/adfs/v2.0/.well-known/openid-configuration"
    );
    assert_eq!(told.body["api-version"], "1.0");
    assert_eq!(told.body["metadata"][0]["aliases"][0], "localhost:8443");
}

#[test]
fn the_published_key_verifies_a_token() {
    let world = World::new();
    let owner = world.owner();
    let keys: jsonwebtoken::jwk::JwkSet =
        serde_json::from_value(get(&world, "/adfs/discovery/v2.0/keys").body).unwrap();
    let header = jsonwebtoken::decode_header(&owner.token).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&["https://vault.azure.net"]);
    validation.set_issuer(&[format!("https://localhost:8443/{}/v2.0", world.vault.tenant())]);
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<serde_json::Value>(&owner.token, &key, &validation).unwrap().claims;
    assert_eq!(claims["appid"], owner.id);
}
