//! Who may ask at all: the challenge, and tokens that are expired, foreign, forged or revoked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::Value;

use crate::world::{Answer, HOST, START, World, run};

const CHALLENGE: &str =
    r#"Bearer authorization="https://localhost:8443/adfs", resource="https://vault.localhost:8443""#;

#[test]
fn a_client_without_a_token_is_challenged_before_anything_else_is_looked_at() {
    let world = World::new();
    for (method, path) in [
        ("GET", "/secrets/a?api-version=7.4"),
        ("PUT", "/secrets/a?api-version=7.4"),
        ("PUT", "/secrets/my_secret"),
        ("PATCH", "/secrets/a"),
        ("GET", "/nothing/at/all"),
        ("TRACE", "/"),
    ] {
        let request = Request::builder().method(method).uri(path).header("host", HOST).body(Bytes::new()).unwrap();
        let answer = world.send(request);
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.headers["www-authenticate"], CHALLENGE);
        assert_eq!(
            answer.text,
            r#"{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}"#
        );
    }
}

#[test]
fn the_challenge_names_the_vaults_tenant_and_the_parent_of_the_host_that_was_used() {
    let world = World::new();
    let tenant = world.vault.tenant();
    for (host, tenant, resource) in [
        ("dev.vault.localhost", "adfs", "vault.localhost"),
        ("dev.vault.localhost:9443", "adfs", "vault.localhost:9443"),
        ("DEV.Vault.localhost:8443", "adfs", "Vault.localhost:8443"),
        ("other.vault.localhost:8443", &tenant, "vault.localhost:8443"),
    ] {
        let request = Request::get("/secrets").header("host", host).body(Bytes::new()).unwrap();
        assert_eq!(
            world.send(request).headers["www-authenticate"],
            format!(r#"Bearer authorization="https://localhost:8443/{tenant}", resource="https://{resource}""#)
        );
    }
}

#[test]
fn what_is_no_bearer_token_is_missing() {
    let world = World::new();
    let owner = world.owner();
    for authorization in ["", "Bearer", "Bearer ", "Basic abc", "PoP abc", &owner.token] {
        let request = Request::get("/secrets?api-version=7.4")
            .header("host", HOST)
            .header("authorization", authorization)
            .body(Bytes::new())
            .unwrap();
        let answer = world.send(request);
        assert_eq!(answer.error().2, "AKV10000: Request is missing a Bearer or PoP token.", "{authorization}");
    }
    let request = Request::get("/secrets?api-version=7.4")
        .header("host", HOST)
        .header("authorization", format!("bEARER   {}", owner.token))
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.send(request).status, StatusCode::OK);
}

/// A token whose header and claims are changed, and whose signature is what it was.
fn forged(token: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (mut header, mut claims) = (read(parts[0]), read(parts[1]));
    change(&mut header, &mut claims);
    let write = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", write(&header), write(&claims), parts[2])
}

#[test]
fn a_forged_or_foreign_token_is_refused_in_azures_words() {
    let world = World::new();
    let owner = world.owner();
    let tenant = world.vault.tenant();
    let malformed = "[BearerReadAccessTokenFailed] Error validating token: 'S2S12005'.".to_owned();
    let unknown_key = "AKV10046: Unable to resolve the key used for signature validation.".to_owned();
    let audience =
        |found: &str| format!("AKV10022: Invalid audience. Expected https://vault.localhost:8443, found: {found}.");
    let with = |change: fn(&mut Value, &mut Value)| forged(&owner.token, change);
    let other_issuer = forged(&owner.token, |_, claims| {
        claims["iss"] = "https://sts.windows.net/x/".into();
    });
    let (head, signature) = owner.token.rsplit_once('.').unwrap();

    for (token, message) in [
        ("abc".to_owned(), malformed.clone()),
        ("a.b.c".to_owned(), malformed.clone()),
        (format!("{head}."), unknown_key.clone()),
        (format!("{head}.AAAA"), unknown_key.clone()),
        (
            format!("{head}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]),
            unknown_key.clone(),
        ),
        ("x".repeat(9000), malformed.clone()),
        (with(|header, _| header["alg"] = "none".into()), malformed.clone()),
        (with(|header, _| header["alg"] = "HS256".into()), malformed.clone()),
        (with(|header, _| header["alg"] = "RS512".into()), malformed.clone()),
        (with(|header, _| header["typ"] = "at+jwt".into()), malformed),
        (with(|header, _| header["kid"] = "other".into()), unknown_key.clone()),
        (
            with(|header, _| {
                header.as_object_mut().unwrap().remove("kid");
            }),
            unknown_key.clone(),
        ),
        (with(|_, claims| claims["oid"] = "00000000-0000-4000-8000-000000000000".into()), unknown_key.clone()),
        (with(|_, claims| claims["exp"] = 9_999_999_999_i64.into()), unknown_key),
        (
            with(|_, claims| claims["aud"] = "https://graph.microsoft.com".into()),
            audience("https://graph.microsoft.com"),
        ),
        (
            with(|_, claims| {
                claims.as_object_mut().unwrap().remove("aud");
            }),
            audience(""),
        ),
        (
            other_issuer,
            format!(
                "AKV10032: Invalid issuer. Expected one of https://localhost:8443/{tenant}/v2.0, found \
                 https://sts.windows.net/x/."
            ),
        ),
    ] {
        let answer = world.ask_with(&token, "GET", "/secrets?api-version=7.4", "");
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(answer.error(), ("Unauthorized", None, message.as_str()), "{token}");
        assert_eq!(answer.headers["www-authenticate"], CHALLENGE);
    }
    assert_eq!(world.ask(&owner, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
}

#[test]
fn the_audience_may_be_our_own_resource_or_azures() {
    let world = World::new();
    let owner = world.owner();
    for (scope, audience) in [
        ("https://vault.azure.net/.default", "https://vault.azure.net"),
        ("https://vault.azure.net//.default", "https://vault.azure.net/"),
        ("https%3A%2F%2Fvault.localhost%3A8443%2F.default", "https://vault.localhost:8443"),
        ("openid+https://vault.localhost:9443/.default+profile", "https://vault.localhost:9443"),
    ] {
        let answer = world.token_request(&format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={scope}",
            owner.id, owner.secret
        ));
        let token = answer.body["access_token"].as_str().unwrap();
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], audience);
        assert_eq!(world.ask_with(token, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK, "{scope}");
    }
}

#[test]
fn a_token_says_who_it_is_for_and_from_whom() {
    let world = World::new();
    let owner = world.owner();
    let parts: Vec<_> = owner.token.split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (header, claims) = (read(parts[0]), read(parts[1]));
    assert_eq!((&header["alg"], &header["typ"]), (&"RS256".into(), &"JWT".into()));
    assert_eq!(claims["iss"], format!("https://localhost:8443/{}/v2.0", world.vault.tenant()));
    assert_eq!(claims["appid"], owner.id);
    assert_eq!(claims["oid"], owner.object_id.as_str());
    assert_ne!(claims["oid"], claims["appid"]);
    assert_eq!(claims["tid"], world.vault.tenant());
    assert_eq!((&claims["nbf"], &claims["exp"]), (&START.into(), &(START + 3600).into()));
    assert_ne!(owner.token, world.token(&owner), "two tokens of one second differ");
}

#[test]
fn a_token_expires_after_an_hour_and_a_minutes_leeway() {
    let mut world = World::new();
    let owner = world.owner();
    let expired = |answer: &Answer| answer.error().2 == "[TokenExpired] Error validating token: 'S2S12086'.";
    // Whether it was seen before makes no difference.
    for seen_before in [false, true] {
        let token = world.token(&owner);
        let issued = world.now;
        if seen_before {
            assert_eq!(world.ask_with(&token, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
        }
        world.now = issued + 3659;
        assert_eq!(world.ask_with(&token, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
        world.now = issued + 3660;
        assert!(expired(&world.ask_with(&token, "GET", "/secrets?api-version=7.4", "")));
    }
    let token = world.token(&owner);
    world.now -= 61;
    assert!(expired(&world.ask_with(&token, "GET", "/secrets?api-version=7.4", "")), "from the future");
    world.now += 1;
    assert_eq!(world.ask_with(&token, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
}

#[test]
fn a_deleted_or_revoked_app_is_refused_at_once() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").status, StatusCode::OK);
    run(world.vault.revoke_tokens("owner", world.now())).unwrap();
    let refused = |token: &str| {
        let answer = world.ask_with(token, "GET", "/secrets/a?api-version=7.4", "");
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers["www-authenticate"], CHALLENGE);
        assert!(answer.error().2.contains("revoked"));
    };
    refused(&owner.token);
    // A client that comes back within the second gets a token that is taken.
    let renewed = world.token(&owner);
    assert_eq!(world.ask_with(&renewed, "GET", "/secrets/a?api-version=7.4", "").status, StatusCode::OK);
    run(world.vault.delete_app("owner")).unwrap();
    refused(&renewed);
    // A new app of the same name is another one.
    world.app("owner");
    refused(&renewed);
}

#[test]
fn tokens_and_secrets_outlive_a_restart() {
    let world = World::new();
    let owner = world.owner();
    world.set(&owner, "a", "v");
    let tenant = world.vault.tenant();
    let world = world.restarted();
    assert_eq!(world.vault.tenant(), tenant);
    assert_eq!(world.ask(&owner, "GET", "/secrets/a?api-version=7.4", "").body["value"], "v");
    world.token(&owner);
}

#[test]
fn the_signing_key_changes_without_anybody_noticing() {
    const DAY: i64 = 24 * 3600;
    let mut world = World::new();
    let owner = world.owner();
    let published = |world: &World| {
        let request =
            Request::get("/adfs/discovery/v2.0/keys").header("host", "localhost:8443").body(Bytes::new()).unwrap();
        let keys = world.send(request).body["keys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let signed_by = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let first = published(&world);
    assert_eq!(first.len(), 1);

    world.now = START + 90 * DAY - 3601;
    run(world.vault.rotate_if_due(world.now())).unwrap();
    assert_eq!(published(&world), first);

    // An hour before its use the next key is published, and the first still signs.
    world.now += 1;
    run(world.vault.rotate_if_due(world.now())).unwrap();
    let both = published(&world);
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    world.now = START + 90 * DAY - 1;
    let last_of_first = world.token(&owner);
    assert_eq!(signed_by(&last_of_first), both[0]);

    world.now = START + 90 * DAY;
    assert_eq!(signed_by(&world.token(&owner)), both[1]);
    // The first is kept for as long as a token of it may be presented, and no longer.
    world.now = START + 90 * DAY + 3658;
    run(world.vault.rotate_if_due(world.now())).unwrap();
    assert_eq!(world.ask_with(&last_of_first, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
    world.now = START + 90 * DAY + 3660;
    run(world.vault.rotate_if_due(world.now())).unwrap();
    assert_eq!(published(&world), both[1..]);
}
