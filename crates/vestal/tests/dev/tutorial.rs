//! The hand-built way that Vestal replaces: a scheduled flow in a low-code tool that gets a token with two secrets of a
//! vault, and writes it back as a third. Every request stands here exactly as such a flow sends it; then Vestal does
//! the same job alone.

use serde_json::Value;

use crate::client::{Client, VaultClient, version_of};
use crate::process::{Dev, Folder, until};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn a_flow_built_by_hand_works_request_by_request() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let vault = dev.var("VESTAL_VAULT_URL");
    let authority = dev.var("AZURE_AUTHORITY_HOST");
    let client = Client::trusting(dev.var("NODE_EXTRA_CA_CERTS"), &[vault, authority]);

    // A token for the vault, by an app registration's id and secret. The scope's colon and slashes stay as they are.
    let answer = client.send(
        "POST",
        &format!("{authority}/{}/oauth2/v2.0/token", dev.var("AZURE_TENANT_ID")),
        &[FORM],
        &format!(
            "client_id={}&client_secret={}&grant_type=client_credentials&scope=https://vault.azure.net/.default",
            dev.var("VESTAL_FLOW_CLIENT_ID"),
            dev.var("VESTAL_FLOW_CLIENT_SECRET")
        ),
    );
    let token = answer.ok();
    assert_eq!(token["token_type"], "Bearer", "{answer:?}");
    assert!(token["expires_in"].as_i64().is_some_and(|seconds| seconds > 300), "a flow reads a number: {answer:?}");
    let bearer = format!("Bearer {}", token["access_token"].as_str().expect("a flow reads access_token"));
    let with_bearer = [("authorization", bearer.as_str()), ("content-type", "application/json")];

    // The policy is get and set, and nothing more.
    let listing = client.send("GET", &format!("{vault}/secrets?api-version=7.3"), &with_bearer[..1], "");
    assert_eq!(listing.status, 403, "{listing:?}");

    // The two secrets that the flow gets the API's token with.
    for name in ["client-id", "client-credentials"] {
        let secret = client.send("GET", &format!("{vault}/secrets/{name}?api-version=7.3"), &with_bearer[..1], "").ok();
        assert!(secret["value"].as_str().is_some_and(|value| !value.is_empty()), "{name} has a value");
    }

    // The API's token, written back as the third secret.
    let url = |version: &str| format!("{vault}/secrets/discord-api-oauth-token?api-version={version}");
    let written = client.send("PUT", &url("7.3"), &with_bearer, r#"{"value": "a token that a flow has got"}"#).ok();
    assert_eq!(written["value"], "a token that a flow has got");
    assert!(written["attributes"].get("exp").is_none(), "a flow that tells no expiry leaves none: {written}");
    read_back(&client, &with_bearer[..1], &written);

    // And with the expiry, which the flow's expression makes a string of digits.
    let body = r#"{"value": "another token", "attributes": {"exp": "1800000000"}}"#;
    let written = client.send("PUT", &url("7.4"), &with_bearer, body).ok();
    assert_eq!(written["attributes"]["exp"], 1_800_000_000, "it comes back as a number: {written}");
    read_back(&client, &with_bearer[..1], &written);
}

/// The version that was written is read by its id, whatever has become the newest one meanwhile.
fn read_back(client: &Client, bearer: &[(&str, &str)], written: &Value) {
    let id = written["id"].as_str().expect("what is written has an id");
    let read = client.send("GET", &format!("{id}?api-version=7.4"), bearer, "").ok();
    assert_eq!(read["value"], written["value"]);
    assert_eq!(read["attributes"], written["attributes"]);
}

#[test]
fn vestal_does_the_flows_job_alone() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    assert_eq!(dev.token_name(), "discord-api-oauth-token");
    let vault = VaultClient::new(&dev);

    let mut seen: Vec<Value> = Vec::new();
    while seen.len() < 3 {
        let secret = vault.get(dev.token_name());
        if seen.last().is_none_or(|last| last["id"] != secret["id"]) {
            seen.push(secret);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for pair in seen.windows(2) {
        assert_ne!(pair[0]["value"], pair[1]["value"], "each generation is another token");
        assert!(expiry(&pair[0]) < expiry(&pair[1]), "and lives longer than the one before");
    }
}

#[test]
fn a_token_that_somebody_else_writes_is_soon_replaced_by_a_renewed_one() {
    let folder = Folder::new();
    // A life so long that no renewal of its own comes in the way.
    let dev = Dev::ready(crate::process::dev(&folder, 600), &folder);
    let vault = VaultClient::new(&dev);
    let before = vault.get(dev.token_name());

    let foreign = vault.set(dev.token_name(), "written by somebody else").ok();
    let renewed = until("the renewal that follows a foreign write", || {
        let now = vault.get(dev.token_name());
        (now["id"] != before["id"] && now["id"] != foreign["id"]).then_some(now)
    });
    assert_ne!(renewed["value"], "written by somebody else");
    assert!(expiry(&renewed) > 0);
    let versions = vault.versions(dev.token_name());
    for version in [&before, &foreign, &renewed] {
        assert!(versions.contains(&version_of(version)), "no version is lost: {versions:?}");
    }
}

fn expiry(secret: &Value) -> i64 {
    secret["attributes"]["exp"].as_i64().unwrap_or_else(|| panic!("a managed token has an exp: {secret}"))
}
