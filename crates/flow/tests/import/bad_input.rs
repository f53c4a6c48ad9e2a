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
    assert_eq!(reason(&[0xff, 0xfe, b'{']), ReadReason::NotText);
    assert_eq!(reason(b"J\xfcrgen"), ReadReason::NotText);
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
    let blanks = vec![b' '; 9 << 20];
    let flow = definition(&json!({}));
    let bytes = archive([
        ("Workflows/a.json", flow.as_slice()),
        ("Workflows/b.json", blanks.as_slice()),
        ("Workflows/c.json", blanks.as_slice()),
    ]);
    assert!(bytes.len() < 1 << 20, "it is small");
    assert_eq!(reason(&bytes), ReadReason::Bomb);
    // Values take many times the memory of their text.
    let many = format!("[{}1]", "{\"a\":1},".repeat(200_000));
    assert_eq!(reason(&archive([("Workflows/a.json", many.as_bytes())])), ReadReason::Bomb);
    assert_eq!(reason(many.as_bytes()), ReadReason::TooMuch);
    assert_eq!(reason(&blanks.repeat(2)), ReadReason::TooMuch);
}

#[test]
fn only_files_that_can_be_flows_are_read_of_an_archive() {
    let blanks = vec![b' '; 17 << 20];
    let flow = definition(&json!({ "A": { "type": "Compose", "inputs": 1 } }));
    let bytes = archive([("Workflows/a.json", flow.as_slice()), ("assets/deep/in/large.json", blanks.as_slice())]);
    assert_eq!(read("f.zip", &bytes).map(|flows| flows.len()).map_err(|error| error.reason), Ok(1));
}

#[test]
fn of_two_files_with_one_path_none_is_taken() {
    let (first, second) = (definition(&json!({})), definition(&json!({ "A": { "type": "Compose", "inputs": 1 } })));
    let bytes = archive([("Workflows/a.json", first.as_slice()), ("Workflows/b.json", second.as_slice())]);
    // The writer makes no such archive: one name is changed behind its back, in both places where it stands.
    let twice: Vec<u8> = {
        let (from, to) = (b"Workflows/b.json", b"Workflows/a.json");
        let mut bytes = bytes;
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    };
    assert_eq!(reason(&twice), ReadReason::SameEntry);
}

#[test]
fn a_flow_that_cant_be_read_doesnt_keep_the_others_from_being_taken_over() {
    let flow = super::written::flow(super::written::actions()).to_string();
    let bytes = archive([("Workflows/Good.json", flow.as_bytes()), ("Workflows/Bad.json", &b"{\"actions\": "[..])]);
    let flows = read("solution.zip", &bytes).expect("one can be read");
    let report = flow::import(&flows, &super::options()).report;
    assert_eq!(report.tokens.len(), 1);
    let gap = report.gaps.first().expect("the other is told");
    assert_eq!(gap.flow, "Workflows/Bad.json");
    assert!(gap.words.starts_with("it is no JSON"), "{}", gap.words);
}

#[test]
fn what_is_no_json_is_called_by_its_name() {
    for (text, words) in [
        ("<!DOCTYPE html><html>sign in</html>", "a web page"),
        ("<?xml version=\"1.0\"?><a/>", "XML"),
        ("resource la 'Microsoft.Logic/workflows@2019-05-01' = {}", "az bicep build"),
    ] {
        let found = reason(text.as_bytes()).to_string();
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn texts_that_double_with_each_action_dont_fill_the_memory() {
    let mut actions = serde_json::Map::new();
    actions.insert("C0".to_owned(), json!({ "type": "Compose", "inputs": "0123456789abcdef", "runAfter": {} }));
    for number in 1..40 {
        let before = format!("C{}", number - 1);
        let inputs = format!("@{{outputs('{before}')}}@{{outputs('{before}')}}");
        let action = json!({ "type": "Compose", "inputs": inputs, "runAfter": { before: ["Succeeded"] } });
        actions.insert(format!("C{number}"), action);
    }
    assert!(!import_json(&json!({ "triggers": {}, "actions": actions })).report.is_complete());
}

#[test]
fn values_that_are_nested_by_each_action_dont_overflow_the_stack() {
    let mut actions = serde_json::Map::new();
    for number in 0..300 {
        let inner = if number == 0 { "utcNow()".to_owned() } else { format!("outputs('C{}')", number - 1) };
        let inputs = format!("@{}{inner}{}", "createArray(".repeat(60), ")".repeat(60));
        let after = if number == 0 { json!({}) } else { json!({ format!("C{}", number - 1): ["Succeeded"] }) };
        actions.insert(format!("C{number}"), json!({ "type": "Compose", "inputs": inputs, "runAfter": after }));
    }
    assert!(!import_json(&json!({ "triggers": {}, "actions": actions })).report.is_complete());
}

#[test]
fn more_actions_than_a_platform_allows_are_refused() {
    let many: serde_json::Map<_, _> =
        (0..5_001).map(|number| (format!("A{number}"), json!({ "type": "Compose", "inputs": 1 }))).collect();
    assert_eq!(reason(&definition(&many.into())), ReadReason::TooMuch);
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
