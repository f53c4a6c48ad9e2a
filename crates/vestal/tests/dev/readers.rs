//! The Azure SDKs, unmodified, with nothing but the environment of dev.env.

use serde_json::Value;

use crate::client::Client;
use crate::peers::{node, old_python, python, succeeds};
use crate::process::{Dev, Folder};

#[test]
fn the_python_sdk_finds_life_left_in_every_read_over_three_generations() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let mut reader = python("reader.py", &folder);
    reader.args(["--versions", "4"]);
    let summary: Value = serde_json::from_str(&succeeds(reader, &dev)).expect("the reader prints JSON");
    assert_eq!(summary["reads_without_life_left"], 0, "{summary}");
    assert!(summary["versions"].as_array().is_some_and(|versions| versions.len() >= 3), "{summary}");
}

#[test]
fn the_javascript_sdk_finds_life_left_in_every_read_over_three_generations() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let summary: Value =
        serde_json::from_str(&succeeds(node("node/reader.mjs", &folder), &dev)).expect("the reader prints JSON");
    assert_eq!(summary["reads_without_life_left"], 0, "{summary}");
    assert!(summary["versions"].as_array().is_some_and(|versions| versions.len() >= 3), "{summary}");
}

#[test]
fn the_python_sdk_sets_gets_lists_updates_and_is_refused_as_by_key_vault() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let summary: Value =
        serde_json::from_str(&succeeds(python("crud.py", &folder), &dev)).expect("the script prints JSON");
    assert!(summary["checks"].as_u64().is_some_and(|checks| checks >= 15), "{summary}");
}

#[test]
fn every_method_of_the_python_sdk_does_what_it_does_at_key_vault() {
    for python in [python, old_python] {
        let folder = Folder::new();
        let dev = Dev::start(&folder);
        let summary = succeeds(python("every_method.py", &folder), &dev);
        let summary: Value = serde_json::from_str(&summary).expect("the script prints JSON");
        // Both clients have eleven or twelve, and newer ones one more.
        assert!(summary["methods"].as_u64().is_some_and(|methods| methods >= 24), "{summary}");
    }
}

#[test]
fn every_method_of_the_javascript_sdk_does_what_it_does_at_key_vault() {
    for script in ["node/newest.mjs", "node-old/oldest.mjs"] {
        let folder = Folder::new();
        let dev = Dev::start(&folder);
        let summary = succeeds(node(script, &folder), &dev);
        let summary: Value = serde_json::from_str(&summary).expect("the script prints JSON");
        assert_eq!(summary["methods"], 12, "{summary}");
    }
}

#[test]
fn whatever_else_a_shell_trusts_its_tools_find_the_bundle_first() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let bundle = folder.data().join("ca-bundle.pem").display().to_string();
    // curl passes over SSL_CERT_FILE where a shell has CURL_CA_BUNDLE or SSL_CERT_DIR from elsewhere.
    for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
        assert_eq!(dev.var(name), bundle, "{name}");
    }
}

#[test]
fn a_read_of_a_token_tells_how_it_is_and_sends_nothing_that_the_reader_has() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let (vault, authority) = (dev.var("VESTAL_VAULT_URL"), dev.var("AZURE_AUTHORITY_HOST"));
    let client = Client::trusting(dev.var("NODE_EXTRA_CA_CERTS"), &[vault, authority]);
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https://vault.azure.net/.default",
        dev.var("AZURE_CLIENT_ID"),
        dev.var("AZURE_CLIENT_SECRET")
    );
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let token = client.send("POST", &format!("{authority}/adfs/oauth2/v2.0/token"), &kind, &form).json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().expect("a token"));
    let url = format!("{vault}/secrets/{}?api-version=7.4", dev.var("VESTAL_TOKEN_NAME"));
    let read = client.send("GET", &url, &[("authorization", &bearer)], "");
    assert_eq!(read.status, 200, "{read:?}");
    let told = |name: &str| read.headers[name].to_str().expect("it is text").to_owned();
    assert_eq!(told("vestal-state"), "fresh");
    let left: u64 = told("vestal-seconds-left").parse().expect("a number");
    assert!((1..=10).contains(&left), "{left}");
    assert!(told("vestal-generation").parse::<u64>().expect("a number") > 0);
    let has = told("etag");
    let again = client.send("GET", &url, &[("authorization", &bearer), ("if-none-match", &has)], "");
    // It may have been renewed in between.
    let same = again.headers["etag"] == has.as_str();
    assert_eq!(again.status, if same { 304 } else { 200 }, "{again:?}");
}

#[test]
fn a_request_without_a_token_is_told_where_to_get_one_in_words_that_every_sdk_reads() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let (vault, authority) = (dev.var("VESTAL_VAULT_URL"), dev.var("AZURE_AUTHORITY_HOST"));
    let client = Client::trusting(dev.var("NODE_EXTRA_CA_CERTS"), &[vault, authority]);
    // Neither a body nor a content type: the SDKs send them only once they hold a token.
    let answer = client.send("PUT", &format!("{vault}/secrets/any?api-version=7.4"), &[], "");
    assert_eq!(answer.status, 401, "{answer:?}");
    // The vault's host without its first label: the SDKs want a proper suffix, port included.
    let resource = vault.replacen("dev.", "", 1);
    let challenge = format!("Bearer authorization=\"{authority}/adfs\", resource=\"{resource}\"");
    assert_eq!(answer.headers["www-authenticate"], challenge.as_str());
    assert!(answer.headers.contains_key("x-ms-request-id"), "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "Unauthorized");
}
