//! A secret that stands in a flow in clear text leaves it for a vault, and shows nowhere else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::written::{BODY, changed};
use super::{import_json, options, read};

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
                "Put": { "type": "Http", "runAfter": { "A\n[vault.evil]": ["Succeeded"] }, "inputs": {
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

/// Something that is obviously no word of the language, nor of a configuration.
const MARKER: &str = "Zq7-marker-4xK9";

/// The renewal with the marker in one place where a text may stand, and none that is known to be no secret.
fn with_marker(place: usize, name: &str) -> Value {
    changed(|actions| {
        let ask = &mut actions["Ask"]["inputs"];
        match place {
            0 => ask["headers"] = json!({ name: MARKER }),
            1 => ask["headers"] = json!({ "Accept": "*/*", name: format!("Token {MARKER}") }),
            2 => ask["body"] = json!(format!("{BODY}&{name}={MARKER}")),
            3 => ask["uri"] = json!(format!("https://api.example.com/token?{name}={MARKER}")),
            4 => ask["queries"] = json!({ name: MARKER }),
            5 => ask["uri"] = json!(format!("https://api.example.com/hooks/{MARKER}1/token")),
            6 => ask["uri"] = json!(format!("https://api.example.com/token#{MARKER}")),
            7 => ask["uri"] = json!(format!("https://{name}:{MARKER}@api.example.com/token")),
            8 => ask["authentication"] = json!({ "type": "Basic", "username": "me", "password": MARKER }),
            9 => ask["authentication"] = json!({ "type": "Raw", "value": MARKER }),
            10 => ask["headers"] = json!({ "Authorization": format!("Bearer {MARKER}") }),
            11 => ask["body"] = json!(format!("grant_type=client_credentials&client_id=me&client_secret={MARKER}")),
            12 => ask["body"] = json!(MARKER),
            13 => ask["body"] = json!({ "grant_type": "client_credentials", "client_id": "me", name: { "x": MARKER } }),
            14 => ask["body"] = json!({ "$content": MARKER }),
            15 => actions["Put"]["inputs"]["body"]["value"] = json!(MARKER),
            16 => actions["Put"]["inputs"]["body"]["tags"] = json!({ name: MARKER }),
            17 => actions["Put"]["inputs"]["body"]["contentType"] = json!(MARKER),
            18 => actions["Put"]["inputs"]["body"]["attributes"]["exp"] = json!(MARKER),
            19 => actions["Put"]["inputs"]["headers"] = json!({ name: MARKER }),
            20 => actions["Put"]["inputs"]["authentication"] = super::written::app(MARKER),
            21 => {
                actions["Put"]["inputs"]["authentication"] = super::written::app("x");
                actions["Put"]["inputs"]["authentication"]["tenant"] = json!(format!("a {MARKER}"));
            }
            22 => {
                actions["Put"]["inputs"]["authentication"] = super::written::app("x");
                actions["Put"]["inputs"]["authentication"]["authority"] =
                    json!(format!("https://login.microsoftonline.com/{MARKER}?x={MARKER}"));
            }
            23 => {
                actions["Put"]["inputs"]["uri"] =
                    json!(format!("https://{name}:{MARKER}@contoso.vault.azure.net/secrets/t?api-version=7.4"));
            }
            24 => actions["Put"]["inputs"]["uri"] = json!(format!("@notAFunction('{MARKER}')")),
            25 => actions["Put"]["inputs"]["uri"] = json!(format!("@concat('{MARKER}'")),
            26 => {
                let inputs =
                    json!({ "method": "POST", "uri": format!("https://hook.example.com/{MARKER}"), "body": MARKER });
                actions.insert("Tell".to_owned(), super::written::action("Http", inputs, &["Put"]));
            }
            _ => {
                let decides = json!({ "type": "If", "expression": { "equals": [MARKER, "x"] }, "runAfter": {},
                    "actions": { "End": super::written::action("Terminate", json!({ "runError": { "message": MARKER } }), &[]) } });
                actions.insert("Decides".to_owned(), decides);
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_text_that_isnt_known_to_be_no_secret_is_shown_nowhere(place in 0_usize..28, name in "[a-z][a-z_-]{1,10}[a-z]") {
        // Names that say what is asked for, or how it is written, are on the list of those that hold no secret.
        prop_assume!(!["accept", "resource", "audience", "tenant", "scope", "realm", "format", "version", "locale", "host"].contains(&name.as_str()));
        let flow = with_marker(place, &name).to_string();
        match read("flow.json", flow.as_bytes()) {
            Err(error) => prop_assert!(!error.to_string().contains(MARKER), "{error}"),
            Ok(flows) => {
                let import = flow::import(&flows, &options());
                let report = serde_json::to_string(&import.report).expect("it is JSON") + &import.report.to_string();
                prop_assert!(!report.contains(MARKER), "{report}");
                prop_assert!(!import.toml.contains(MARKER), "{}", import.toml);
                // It is kept, or it is told; or it is of what Vestal gives its own of, or does without.
                let kept = import.secrets.iter().any(|secret| secret.value.expose_str() == Some(MARKER));
                let needless = matches!(place, 16 | 17 | 19 | 22);
                prop_assert!(kept || needless || !import.report.is_complete(), "{place}: {report}");
            }
        }
    }
}

#[test]
fn a_text_that_may_be_a_secret_is_a_gap_and_a_finding() {
    for (place, name) in [(0, "x-auth-token"), (2, "pin_code"), (2, "license"), (3, "tok"), (4, "v")] {
        let import = import_json(&with_marker(place, name));
        let gap = import.report.gaps.iter().find(|gap| gap.action.as_deref() == Some("Ask"));
        assert!(gap.is_some_and(|gap| gap.words.contains("may be a secret")), "{name}: {}", import.report);
        assert!(
            import.report.findings.iter().any(|finding| finding.code == "may-be-a-secret"),
            "{name}: {}",
            import.report
        );
    }
}

#[test]
fn a_key_in_a_header_and_a_value_that_is_written_are_secrets_in_clear_text() {
    for (place, name, action) in [(0, "ocp-apim-subscription-key", "Ask"), (19, "x-api-key", "Put"), (15, "", "Put")] {
        let import = import_json(&with_marker(place, name));
        let found = import.report.findings.iter().find(|finding| finding.code == "secret-in-clear");
        let found = found.unwrap_or_else(|| panic!("{name}: {}", import.report));
        assert_eq!(found.action.as_deref(), Some(action));
        assert!(!found.words.contains("once Vestal has it"), "{}", found.words);
    }
}
