//! Holds answers against the published description of the API.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::world::Answer;

static DESCRIPTIONS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    [include_str!("../../openapi/secrets-7.4.json"), include_str!("../../openapi/secrets-2026-04-01.json")]
        .map(|text| serde_json::from_str(text).unwrap())
});

/// The answer to a request of this method and path must have the shape that every description gives it: known members
/// alone, each of its type.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    for description in &*DESCRIPTIONS {
        if matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            assert!(answer.text.is_empty(), "{method} {path}");
            continue;
        }
        let schema = if answer.status.is_success() {
            let operation = &description["paths"][template(method, path)][method.as_str().to_ascii_lowercase()];
            &operation["responses"][answer.status.as_str()]["schema"]
        } else {
            &description["definitions"]["KeyVaultError"]
        };
        assert!(schema.is_object(), "{method} {path} is not described");
        if let Err(problem) = conforms(description, schema, &answer.body) {
            panic!("{method} {path}: {problem} in {}", answer.text);
        }
    }
}

/// The described path that a path is an instance of. The current version is described as one whose id is empty.
fn template(method: &Method, path: &str) -> &'static str {
    let path = path.to_ascii_lowercase();
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments[..] {
        ["deletedsecrets"] => "/deletedsecrets",
        ["deletedsecrets", _] => "/deletedsecrets/{secret-name}",
        ["deletedsecrets", _, "recover"] => "/deletedsecrets/{secret-name}/recover",
        ["secrets", "restore"] if *method == Method::POST => "/secrets/restore",
        ["secrets", _, "backup"] if *method == Method::POST => "/secrets/{secret-name}/backup",
        ["secrets"] => "/secrets",
        ["secrets", _] if *method == Method::GET || *method == Method::PATCH => {
            "/secrets/{secret-name}/{secret-version}"
        }
        ["secrets", _] => "/secrets/{secret-name}",
        ["secrets", _, "versions"] => "/secrets/{secret-name}/versions",
        ["secrets", _, _] => "/secrets/{secret-name}/{secret-version}",
        _ => "",
    }
}

fn conforms(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = description.pointer(reference.trim_start_matches('#')).ok_or("a broken reference")?;
        return conforms(description, target, value);
    }
    if value.is_null() && schema["x-nullable"] == true {
        return Ok(());
    }
    let is_type = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        _ => value.is_object(),
    };
    if !is_type {
        return Err(format!("{value} is not {schema}"));
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(description, &schema["items"], item)?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let known = described(description, schema, name).ok_or_else(|| format!("{name} is not described"))?;
        // Azure writes null on the last page, whatever its description says.
        if !(name == "nextLink" && member.is_null()) {
            conforms(description, known, member)?;
        }
    }
    Ok(())
}

/// What is said of a member: here, in what this extends, or of all others.
fn described<'d>(description: &'d Value, schema: &'d Value, name: &str) -> Option<&'d Value> {
    if let Some(known) = schema["properties"].get(name) {
        return Some(known);
    }
    let bases = schema["allOf"].as_array().into_iter().flatten();
    let mut bases = bases.filter_map(|base| description.pointer(base["$ref"].as_str()?.trim_start_matches('#')));
    bases.find_map(|base| described(description, base, name)).or_else(|| schema.get("additionalProperties"))
}

#[test]
fn the_checker_finds_what_does_not_conform() {
    let description = &DESCRIPTIONS[0];
    let bundle = &description["definitions"]["SecretBundle"];
    for (text, good) in [
        (r#"{"value":"v","id":"i","attributes":{"enabled":true,"exp":1},"tags":{"a":"b"}}"#, true),
        (r#"{"value":1}"#, false),
        (r#"{"surprise":"v"}"#, false),
        (r#"{"attributes":{"exp":"1"}}"#, false),
        (r#"{"attributes":{"surprise":1}}"#, false),
        (r#"{"tags":{"a":1}}"#, false),
        (r#"{"value":null}"#, false),
        ("[]", false),
    ] {
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(conforms(description, bundle, &value).is_ok(), good, "{text}");
    }
}
