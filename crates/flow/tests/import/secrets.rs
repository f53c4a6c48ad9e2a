//! A secret that stands in a flow in clear text leaves it for a vault, and shows nowhere else.

use serde_json::json;

use super::import_json;

const CLEAR: &str = "obviously~not/a+real secret\"]\n#";

#[test]
fn a_secret_in_clear_text_is_in_neither_the_file_nor_the_report() {
    let encoded: String = CLEAR.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let import = import_json(&json!({
        "triggers": { "R": { "type": "Recurrence", "recurrence": { "frequency": "Hour", "interval": 1 } } },
        "actions": {
            "Ask": { "type": "Http", "runAfter": {}, "inputs": {
                "method": "POST", "uri": "https://api.example.com/token",
                "body": format!("grant_type=client_credentials&client_id=me&client_secret={encoded}") } },
            "Put": { "type": "Http", "runAfter": { "Ask": ["Succeeded"] }, "inputs": {
                "method": "PUT", "uri": "https://contoso.vault.azure.net/secrets/t?api-version=7.4",
                "authentication": { "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" },
                "body": { "value": "@body('Ask')?['access_token']" } } },
        }
    }));
    let report = serde_json::to_string(&import.report).expect("it is JSON") + &import.report.to_string();
    for piece in [CLEAR, "not/a+real", "real secret", encoded.as_str()] {
        assert!(!import.toml.contains(piece) && !report.contains(piece), "{piece}");
    }
    let [secret] = import.secrets.as_slice() else { panic!("one secret stood in clear") };
    assert_eq!(secret.value.expose_str(), Some(CLEAR));
    assert_eq!((secret.vault.as_str(), secret.name.as_str()), ("home", "t-client-secret"));
    assert!(import.report.is_complete(), "{}", import.report);
    assert!(import.report.findings.iter().any(|finding| finding.code == "secret-in-clear"));
    assert!(import.report.next.iter().any(|line| line.contains("vestal secret set home/t-client-secret")));
}

#[test]
fn names_and_texts_of_a_flow_cant_break_out_of_the_file() {
    let import = import_json(&json!({
        "properties": { "displayName": "x\n[vault.evil]\n#", "definition": {
            "triggers": {},
            "actions": {
                "A\n[vault.evil]": { "type": "Http", "runAfter": {}, "inputs": {
                    "method": "POST", "uri": "https://api.example.com/token",
                    "body": "grant_type=client_credentials&client_id=a%22%0A%5Bvault.evil%5D&client_secret=@{parameters('s')}&audience=%0A%5Bvault.evil%5D" } },
                "Put": { "type": "Http", "runAfter": {}, "inputs": {
                    "method": "PUT", "uri": "https://contoso.vault.azure.net/secrets/t?api-version=7.4",
                    "authentication": { "type": "ManagedServiceIdentity" },
                    "body": { "value": "@body('A\n[vault.evil]')?['access_token']" } } },
            },
            "parameters": { "s": { "type": "String", "defaultValue": "s" } } } }
    }));
    let table: toml::Table = import.toml.parse().unwrap_or_else(|error| panic!("{error}\n{}", import.toml));
    let vaults =
        table.get("vault").and_then(toml::Value::as_table).map(|vaults| vaults.keys().cloned().collect::<Vec<_>>());
    assert_eq!(vaults, Some(vec!["home".to_owned()]), "{}", import.toml);
}
