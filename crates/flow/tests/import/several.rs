//! Several tokens, several vaults, several flows: each keeps its own secrets, and nothing is mixed up or done twice.

use serde_json::{Map, Value, json};

use super::written::{action, actions, app, changed, flow, put, read_by_connection};
use super::{import_json, options, read};

/// The flows of these files, imported in one call.
fn import(files: &[(&str, Value)], vaults: &[(&str, &str)]) -> flow::Import {
    let read = files.iter().flat_map(|(name, flow)| read(name, flow.to_string().as_bytes()).expect("it is a flow"));
    let flows: Vec<_> = read.collect();
    let mut options = options();
    options.vaults = vaults.iter().map(|(key, vault)| ((*key).to_owned(), (*vault).to_owned())).collect();
    flow::import(&flows, &options)
}

fn table(import: &flow::Import) -> toml::Table {
    import.toml.parse().unwrap_or_else(|error| panic!("{error}\n{}", import.toml))
}

/// What stands at a path of tables.
fn at<'a>(table: &'a toml::Table, path: &[&str]) -> &'a toml::Value {
    let (first, rest) = path.split_first().expect("a path");
    let start = table.get(*first).unwrap_or_else(|| panic!("no {first} in {table}"));
    rest.iter().fold(start, |value, key| value.get(*key).unwrap_or_else(|| panic!("no {key} in {value}")))
}

/// The value that the configuration's reference leads to, of those that stood in clear text.
fn clear<'a>(import: &'a flow::Import, reference: &toml::Value) -> Option<&'a str> {
    let name = reference.get("secret").and_then(toml::Value::as_str);
    import.secrets.iter().find(|secret| Some(secret.name.as_str()) == name).and_then(|secret| secret.value.expose_str())
}

fn signs_in_by(put: &mut Value, client_secret: &str) {
    put["inputs"]["authentication"] = app(client_secret);
}

#[test]
fn two_secrets_in_clear_text_are_told_apart_whatever_the_names() {
    // The token's name is that of its vault, so that both secrets would be called the same.
    let import = import_json(&changed(|actions| {
        actions["Ask"]["inputs"]["body"] = json!("grant_type=client_credentials&client_id=me&client_secret=of-the-api");
        actions["Put"] = put("contoso", "contoso");
        signs_in_by(&mut actions["Put"], "of-the-app");
    }));
    let toml = table(&import);
    assert_eq!(clear(&import, at(&toml, &["token", "contoso", "client_secret"])), Some("of-the-api"));
    assert_eq!(clear(&import, at(&toml, &["target", "contoso", "credential", "client_secret"])), Some("of-the-app"));
}

#[test]
fn a_token_whose_name_is_as_long_as_a_name_may_be_keeps_another_name_than_its_client_secret() {
    let name = "t".repeat(127);
    let import = import_json(&changed(|actions| {
        actions["Ask"]["inputs"]["body"] = json!("grant_type=client_credentials&client_id=me&client_secret=of-the-api");
        actions["Put"] = put("contoso", &name);
    }));
    let [secret] = import.secrets.as_slice() else { panic!("one secret stood in clear") };
    assert!(secret.name.len() <= 127 && secret.name != name, "{}", secret.name);
    assert_eq!(at(&table(&import), &["token", &name, "client_secret", "secret"]).as_str(), Some(secret.name.as_str()));
}

#[test]
fn a_token_that_is_called_like_a_client_secret_takes_its_name_first() {
    let import = import_json(&changed(|actions| {
        actions["Ask"]["inputs"]["body"] = json!("grant_type=client_credentials&client_id=me&client_secret=of-the-api");
        let other = json!({ "method": "POST", "uri": "https://other.example.org/token", "body": super::written::BODY });
        actions.insert("Other".to_owned(), action("Http", other, &["Key"]));
        let mut put = put("contoso", "api-token-client-secret");
        put["inputs"]["body"]["value"] = json!("@body('Other')?['access_token']");
        put["inputs"]["body"]["attributes"] = json!({});
        put["runAfter"] = json!({ "Other": ["Succeeded"] });
        actions.insert("Put_other".to_owned(), put);
    }));
    let toml = table(&import);
    assert!(toml["token"].get("api-token-client-secret").is_some(), "{}", import.toml);
    assert_eq!(
        at(&toml, &["token", "api-token", "client_secret", "secret"]).as_str(),
        Some("api-token-client-secret-2")
    );
}

#[test]
fn two_sign_ins_at_one_vault_are_told_and_not_mixed_up() {
    let of = |secret: &str, client_secret: &str| {
        changed(|actions| {
            actions["Put"] = put("contoso", secret);
            signs_in_by(&mut actions["Put"], client_secret);
        })
    };
    let same = import(&[("a.json", of("a-token", "one")), ("b.json", of("b-token", "one"))], &[]);
    assert!(same.report.is_complete() && same.secrets.len() == 1, "{}", same.report);
    let other = import(&[("a.json", of("a-token", "one")), ("b.json", of("b-token", "two"))], &[]);
    let gaps: Vec<_> = other.report.gaps.iter().map(|gap| (gap.flow.as_str(), gap.words.as_str())).collect();
    assert!(
        matches!(gaps.as_slice(), [("b", words)] if words.contains("signs in at contoso in another way")),
        "{gaps:?}"
    );
    assert_eq!(clear(&other, at(&table(&other), &["target", "contoso", "credential", "client_secret"])), Some("one"));
}

#[test]
fn one_secret_name_in_two_vaults_is_two_tokens_that_are_delivered_under_it() {
    let to = |vault: &str| changed(|actions| actions["Put"] = put(vault, "api-token"));
    let import = import(&[("dev.json", to("contoso")), ("prod.json", to("fabrikam"))], &[]);
    assert!(import.report.is_complete(), "{}", import.report);
    let toml = table(&import);
    assert!(toml["token"]["api-token"].get("secret").is_none());
    let deliver = at(&toml, &["token", "fabrikam-api-token", "deliver"]).to_string();
    assert_eq!(deliver, "[{ name = \"api-token\", to = \"fabrikam\" }]");
}

#[test]
fn one_request_is_one_token_however_often_it_is_written() {
    let twice = |other: Value| changed(|actions| drop(actions.insert("Put_2".to_owned(), other)));
    let two_vaults = import_json(&twice(put("fabrikam", "api-token")));
    assert!(two_vaults.report.is_complete(), "{}", two_vaults.report);
    let toml = table(&two_vaults);
    assert_eq!(toml["token"].as_table().map(toml::Table::len), Some(1), "{}", two_vaults.toml);
    let deliver = at(&toml, &["token", "api-token", "deliver"]).to_string();
    assert_eq!(deliver, "[{ to = \"contoso\" }, { to = \"fabrikam\" }]");
    // Names have no case.
    let twin = import_json(&twice(put("contoso", "API-Token")));
    assert!(twin.report.is_complete(), "{}", twin.report);
    assert_eq!(table(&twin)["token"].as_table().map(toml::Table::len), Some(1), "{}", twin.toml);
    let two_names = import_json(&twice(put("contoso", "api-token-copy")));
    assert_eq!(table(&two_names)["token"].as_table().map(toml::Table::len), Some(1), "{}", two_names.toml);
    let gap = two_names.report.gaps.first().expect("a second name is told");
    assert_eq!(gap.action.as_deref(), Some("Put_2"));
    assert!(gap.words.contains("second name"), "{}", gap.words);
}

#[test]
fn two_requests_for_one_secret_are_told_and_one_is_taken_over() {
    let import = import_json(&changed(|actions| {
        let other =
            json!({ "method": "POST", "uri": "https://backup.example.com/token", "body": super::written::BODY });
        actions.insert("Other".to_owned(), action("Http", other, &["Put"]));
        let mut put = put("contoso", "api-token");
        put["inputs"]["body"] = json!({ "value": "@body('Other')?['access_token']" });
        put["runAfter"] = json!({ "Other": ["Succeeded"] });
        actions.insert("Put_2".to_owned(), put);
    }));
    assert_eq!(import.report.tokens.len(), 1);
    let gap = import.report.gaps.first().expect("it is told");
    assert_eq!(gap.action.as_deref(), Some("Put_2"));
    assert!(gap.words.contains("`Put` writes the secret `api-token` too"), "{}", gap.words);
    assert_eq!(import.report.spending[0].saved_per_day, Some(0.0));
}

fn by_connection(vault: &str, secret: &str) -> Value {
    let mut all: Map<String, Value> = actions();
    all["Id"] = read_by_connection("client-id", &[]);
    all["Key"] = read_by_connection("client-key", &["Id"]);
    all["Put"] = put(vault, secret);
    flow(all)
}

#[test]
fn a_connection_is_that_of_its_flow_though_every_export_calls_it_the_same() {
    let files = [("a.json", by_connection("alpha", "a-token")), ("b.json", by_connection("beta", "b-token"))];
    let open = import(&files, &[]).report.connections;
    let open: Vec<_> = open.iter().map(|open| (open.flow.as_str(), open.connection.as_str())).collect();
    assert_eq!(open, [("a", "shared_keyvault"), ("b", "shared_keyvault")]);
    let said = [
        ("a/shared_keyvault", "https://a-secrets.vault.azure.net"),
        ("shared_keyvault", "https://b-secrets.vault.azure.net"),
        ("shared_keyvalt", "https://nobody.vault.azure.net"),
    ];
    let import = import(&files, &said);
    let toml = table(&import);
    assert_eq!(at(&toml, &["token", "a-token", "client_id", "vault"]).as_str(), Some("a-secrets"));
    assert_eq!(at(&toml, &["token", "b-token", "client_id", "vault"]).as_str(), Some("b-secrets"));
    assert!(!import.answered.contains("shared_keyvalt") && import.answered.len() == 2, "{:?}", import.answered);
}

#[test]
fn flows_of_one_name_are_told_apart() {
    let of = |secret: &str| json!({ "properties": { "displayName": "Renew", "definition": by_connection("contoso", secret) } });
    let import = import(&[("a.json", of("a-token")), ("b.json", of("b-token"))], &[]);
    let flows: Vec<_> = import.report.connections.iter().map(|open| open.flow.as_str()).collect();
    assert_eq!(flows, ["Renew (a.json)", "Renew (b.json)"]);
}

#[test]
fn a_flow_that_is_imported_twice_is_taken_over_once() {
    let import = import(&[("a.json", changed(|_| {})), ("b.json", changed(|_| {}))], &[]);
    assert!(import.report.is_complete(), "{}", import.report);
    assert_eq!(import.report.tokens.len(), 1);
    assert!(import.report.notes.iter().any(|note| note.contains("taken over once")), "{}", import.report);
}
