//! What isn't a flow, or means harm: each has its words, and nothing of it is read.

use flow::ReadReason;
use serde_json::json;

use super::{archive, import_json, read};

fn reason(bytes: &[u8]) -> ReadReason {
    match read("input", bytes) {
        Ok(_) => panic!("it is refused"),
        Err(error) => {
            assert!(error.to_string().starts_with("input "), "{error}");
            error.reason
        }
    }
}

fn definition(actions: &serde_json::Value) -> Vec<u8> {
    json!({ "triggers": {}, "actions": actions }).to_string().into_bytes()
}

#[test]
fn what_is_no_text_and_no_archive_is_told() {
    assert_eq!(reason(b""), ReadReason::Empty);
    assert_eq!(reason(b"  \n"), ReadReason::Empty);
    assert_eq!(reason(&[0xff, 0xfe, b'{', 0]), ReadReason::NotText);
    assert_eq!(reason(b"hello"), ReadReason::NotText);
    assert!(matches!(reason(b"{\"actions\": {"), ReadReason::NotJson { .. }));
    assert_eq!(reason(b"PK\x03\x04 and nothing more"), ReadReason::DamagedArchive);
}

#[test]
fn json_that_is_nested_ten_thousand_deep_is_refused_before_it_is_read() {
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(reason(deep.as_bytes()), ReadReason::TooDeep);
    assert_eq!(reason("[".repeat(10_000).as_bytes()), ReadReason::TooDeep);
}

#[test]
fn an_archive_with_a_path_that_leads_out_of_it_is_refused_as_a_whole() {
    let flow = definition(&json!({}));
    for outside in ["../Workflows/a.json", "/etc/cron.d/a.json", "a/../../b.json", "C:\\b.json"] {
        let bytes = archive([("Workflows/good.json", flow.as_slice()), (outside, b"{}")]);
        let found = reason(&bytes);
        assert!(matches!(found, ReadReason::PathOutside(_)), "{outside}: {found:?}");
    }
}

#[test]
fn a_zip_bomb_is_not_unpacked() {
    let zeros = vec![b' '; 40 << 20];
    let bytes = archive([
        ("Workflows/a.json", zeros.as_slice()),
        ("Workflows/b.json", zeros.as_slice()),
        ("Workflows/c.json", zeros.as_slice()),
        ("Workflows/d.json", zeros.as_slice()),
    ]);
    assert!(bytes.len() < 1 << 20, "it is small");
    let found = reason(&bytes);
    // Its first entry is blank, or all of them are too much: which of both comes first is the archive's.
    assert!(matches!(found, ReadReason::Bomb | ReadReason::InArchive { .. }), "{found:?}");
}

#[test]
fn ten_thousand_entries_are_more_than_an_export_has() {
    let names: Vec<String> = (0..10_001).map(|number| format!("f{number}")).collect();
    let bytes = archive(names.iter().map(|name| (name.as_str(), &b""[..])));
    assert_eq!(reason(&bytes), ReadReason::Bomb);
}

#[test]
fn an_export_of_another_product_is_called_by_its_name() {
    let cases = [
        (json!({ "nodes": [], "connections": {} }), "n8n"),
        (json!({ "name": "x", "flow": [], "metadata": {} }), "Make"),
        (json!({ "StartAt": "A", "States": {} }), "Step Functions"),
        (json!({ "openapi": "3.0.0", "paths": {} }), "OpenAPI"),
        (json!({ "name": "p", "properties": { "activities": [] } }), "Data Factory"),
        (json!({ "info": {}, "item": [] }), "Postman"),
        (
            json!({ "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
                    "resources": [{ "type": "Microsoft.KeyVault/vaults" }] }),
            "ARM template without a Logic App",
        ),
    ];
    for (value, product) in cases {
        let words = reason(value.to_string().as_bytes()).to_string();
        assert!(words.contains(product), "{product}: {words}");
    }
    for (entries, product) in [
        (vec!["word/document.xml"], "Office"),
        (vec!["solution.xml", "customizations.xml"], "without cloud flows"),
        (vec!["Microsoft.PowerApps/apps/1/a.msapp"], "canvas app"),
    ] {
        let bytes = archive(entries.iter().map(|name| (*name, &b"x"[..])));
        let words = reason(&bytes).to_string();
        assert!(words.contains(product), "{product}: {words}");
    }
    assert_eq!(reason(b"{}"), ReadReason::NoFlow);
    assert_eq!(reason(b"[]"), ReadReason::NoFlow);
    assert_eq!(reason(b"{\"a\": 1}"), ReadReason::NoFlow);
}

#[test]
fn a_package_whose_flow_is_damaged_is_named_by_the_file_in_it() {
    let bytes = archive([("Workflows/Renew-1.json", &b"{\"properties\": "[..])]);
    let found = reason(&bytes);
    assert!(found.to_string().contains("Workflows/Renew-1.json"), "{found}");
}

#[test]
fn actions_that_cant_be_told_apart_or_put_in_order_are_refused() {
    let circle = json!({
        "A": { "type": "Compose", "inputs": 1, "runAfter": { "B": ["Succeeded"] } },
        "B": { "type": "Compose", "inputs": 1, "runAfter": { "A": ["Succeeded"] } },
    });
    assert!(matches!(reason(&definition(&circle)), ReadReason::Circle(_)));
    let odd = json!({ "A": 7 });
    assert_eq!(reason(&definition(&odd)), ReadReason::OddAction("A".to_owned()));
    let same = json!({
        "A": { "type": "Scope", "runAfter": {}, "actions": { "B": { "type": "Compose", "inputs": 1, "runAfter": {} } } },
        "b": { "type": "Compose", "inputs": 1, "runAfter": { "A": ["Succeeded"] } },
    });
    assert!(matches!(reason(&definition(&same)), ReadReason::SameName(_)));
    let twice = br#"{"triggers":{},"actions":{"A":{"type":"Compose"},"A":{"type":"Http"}}}"#;
    assert_eq!(reason(twice), ReadReason::TwiceTheSame("A".to_owned()));
}

#[test]
fn values_that_double_with_each_action_dont_fill_the_memory() {
    let mut actions = serde_json::Map::new();
    for number in 0..60 {
        let inputs = if number == 0 {
            json!("@{utcNow()}x")
        } else {
            let before = number - 1;
            json!({ "a": format!("@outputs('C{before}')"), "b": format!("@outputs('C{before}')") })
        };
        let after = if number == 0 { json!({}) } else { json!({ format!("C{}", number - 1): ["Succeeded"] }) };
        actions.insert(format!("C{number}"), json!({ "type": "Compose", "inputs": inputs, "runAfter": after }));
    }
    let import = import_json(&json!({ "triggers": {}, "actions": actions }));
    assert!(!import.report.is_complete());
}
