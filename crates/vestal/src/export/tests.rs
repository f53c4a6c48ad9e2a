use std::collections::BTreeSet;
use std::path::Path;

use super::*;

const SECRETS: [&str; 2] = ["discord-api-oauth-token", "graph-token"];

fn contoso() -> Connector {
    let secrets = SECRETS.map(str::to_owned);
    connector(&HomeVault {
        name: "contoso",
        domain: "vault.example.com",
        authority: "https://login.example.com",
        secrets: &secrets,
    })
}

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

#[test]
fn the_files_are_those_in_the_folder() {
    let Connector { definition, properties, script } = contoso();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connector");
    for (name, text) in
        [(DEFINITION_FILE, pretty(&definition)), (PROPERTIES_FILE, pretty(&properties)), (SCRIPT_FILE, script)]
    {
        let file = folder.join(name);
        if std::env::var_os("VESTAL_WRITE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&file, &text).expect("the file can be written");
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == text, "{name} is not what it should be: VESTAL_WRITE_DOCS=1 writes it again");
    }
}

/// The rules of OpenAPI 2.0 that an import stumbles over: every reference leads somewhere, every parameter in a path is
/// declared as required, every operation has an id of its own and an answer, every security scheme that is used is
/// declared.
#[test]
fn the_definition_keeps_the_rules_of_openapi_2() {
    let definition = contoso().definition;
    assert_eq!(definition["swagger"], "2.0");
    assert!(definition["info"]["title"].is_string() && definition["info"]["version"].is_string());
    let host = definition["host"].as_str().unwrap();
    assert!(!host.contains(['/', '{', ' ']), "{host}");

    let schemes = definition["securityDefinitions"].as_object().unwrap();
    for used in definition["security"].as_array().unwrap().iter().flat_map(|entry| entry.as_object().unwrap().keys()) {
        assert!(schemes.contains_key(used), "{used}");
    }
    let mut ids = BTreeSet::new();
    for (path, operations) in definition["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        for operation in operations.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "an id of its own");
            assert!(!operation["responses"].as_object().unwrap().is_empty());
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = |name: &str| {
                let named = |parameter: &&Value| parameter["in"] == "path" && parameter["name"] == name;
                parameters.iter().find(named).is_some_and(|parameter| parameter["required"] == true)
            };
            for name in path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
                assert!(in_path(name), "{name}");
            }
            for parameter in parameters {
                let place = parameter["in"].as_str().unwrap();
                assert!(["path", "query", "header", "body", "formData"].contains(&place), "{place}");
                assert!(parameter["type"].is_string() || place == "body");
            }
        }
    }
    assert_eq!(ids, BTreeSet::from([OPERATION]));
    let mut references = Vec::new();
    gather_references(&definition, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(definition.pointer(pointer).is_some(), "{reference}");
    }
}

fn gather_references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| gather_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| gather_references(item, found)),
        _ => {}
    }
}

#[test]
fn the_class_runs_for_each_operation_and_knows_where_to_sign_in() {
    let Connector { definition, properties, script } = contoso();
    let operations = &properties["properties"]["scriptOperations"];
    assert_eq!(operations, &json!([definition["paths"]["/secrets/{secretName}"]["get"]["operationId"]]));
    assert!(script.contains("TokenEndpoint = \"https://login.example.com/adfs/oauth2/v2.0/token\";"), "{script}");
    assert!(script.contains("Scope = \"https://vault.example.com/.default\";"), "{script}");
    assert!(!script.contains("TOKEN_ENDPOINT") && !script.contains("SCOPE"));
}

#[test]
fn without_names_a_flow_writes_the_name_and_a_port_is_kept() {
    let vault = HomeVault {
        name: "a-vault-of-24-characters",
        domain: "vault.example.com:8443",
        authority: "https://login.example.com:8443",
        secrets: &[],
    };
    let Connector { definition, script, .. } = connector(&vault);
    assert_eq!(definition["host"], "a-vault-of-24-characters.vault.example.com:8443");
    assert_eq!(definition["info"]["title"], "Vestal a-vault-of-24-character");
    let name = &definition["paths"]["/secrets/{secretName}"]["get"]["parameters"][0];
    assert!(name.get("enum").is_none());
    assert!(script.contains("\"https://vault.example.com:8443/.default\""));
}
