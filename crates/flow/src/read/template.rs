//! ARM templates: the Logic Apps among their resources, with the template's parameters at their defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::expression::{Expression, parse};
use crate::flow::{Draft, Origin};

/// Whether a document is a deployment template.
pub(super) fn is_one(value: &Value) -> bool {
    value.get("resources").is_some_and(|resources| resources.is_array() || resources.is_object())
        && (value.get("$schema").and_then(Value::as_str).is_some_and(|schema| schema.contains("eploymentTemplate"))
            || value.get("contentVersion").is_some())
}

/// A draft for each resource of type `Microsoft.Logic/workflows`, inside of other resources and templates too.
pub(super) fn drafts(file_name: &str, template: &Value) -> Vec<Draft> {
    let mut drafts = Vec::new();
    collect(file_name, template, &mut drafts);
    drafts
}

fn collect(file_name: &str, template: &Value, drafts: &mut Vec<Draft>) {
    let names = Names::of(template);
    let mut resources = Vec::new();
    list(template, &mut resources);
    let vaults = connection_vaults(&resources, &names);
    for resource in &resources {
        let kind = resource.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind.eq_ignore_ascii_case("Microsoft.Logic/workflows") {
            let Some(definition) = resource.pointer("/properties/definition").filter(|found| found.is_object()) else {
                continue;
            };
            let name = resource.get("name").map(|name| names.resolved(name));
            let name =
                name.as_ref().and_then(Value::as_str).filter(|name| !name.starts_with('@')).unwrap_or("workflow");
            let mut draft = Draft::new(file_name, name, Origin::Template, names.resolved(definition));
            draft.parameters = resource.pointer("/properties/parameters").map(|parameters| names.resolved(parameters));
            draft.connection_vaults = vaults.clone();
            drafts.push(draft);
        }
        if let Some(inner) = resource.pointer("/properties/template").filter(|inner| is_one(inner)) {
            collect(file_name, inner, drafts);
        }
    }
}

/// The resources of a template, and those inside of resources. Newer templates name them in an object.
fn list<'a>(holder: &'a Value, found: &mut Vec<&'a Value>) {
    let resources: Vec<&Value> = match holder.get("resources") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(Value::Object(named)) => named.values().collect(),
        _ => Vec::new(),
    };
    for resource in resources {
        found.push(resource);
        list(resource, found);
    }
}

/// The vault's name of each key vault connection that the template makes, by the connection's name.
fn connection_vaults(resources: &[&Value], names: &Names<'_>) -> BTreeMap<String, String> {
    let mut vaults = BTreeMap::new();
    for resource in resources {
        let kind = resource.get("type").and_then(Value::as_str).unwrap_or_default();
        let vault = ["parameterValues", "alternativeParameterValues", "nonSecretParameterValues"]
            .iter()
            .find_map(|values| resource.get("properties")?.get(values)?.get("vaultName"))
            .map(|vault| names.resolved(vault));
        if let (true, Some(Value::String(vault))) = (kind.eq_ignore_ascii_case("Microsoft.Web/connections"), vault) {
            let name = resource.get("name").map(|name| names.resolved(name));
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default().to_lowercase();
            if !vault.starts_with('@') {
                vaults.insert(name, vault);
            }
        }
    }
    vaults
}

/// What a template's expressions may name.
struct Names<'a> {
    parameters: Option<&'a Map<String, Value>>,
    variables: Option<&'a Map<String, Value>>,
}

/// How far variables may refer to variables.
const REFERENCES: usize = 16;

impl<'a> Names<'a> {
    fn of(template: &'a Value) -> Self {
        let table = |name: &str| template.get(name).and_then(Value::as_object);
        Self { parameters: table("parameters"), variables: table("variables") }
    }

    /// The value with each `[expression]` in it replaced: by its value, or by a parameter that nothing gives a value,
    /// so that whatever depends on it is reported and not guessed.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text, 0),
            Value::Array(list) => list.iter().map(|one| self.resolved(one)).collect(),
            Value::Object(map) => map.iter().map(|(key, one)| (key.clone(), self.resolved(one))).collect(),
            other => other.clone(),
        }
    }

    fn text(&self, text: &str, references: usize) -> Value {
        if let Some(escaped) = text.strip_prefix("[[") {
            return Value::String(format!("[{escaped}"));
        }
        let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return Value::String(text.to_owned());
        };
        let value = parse(inner).ok().and_then(|expression| self.value(&expression, references));
        value.unwrap_or_else(|| {
            let shown: String = inner.chars().take(80).collect();
            Value::String(format!("@parameters('[{}]')", shown.replace('\'', "''")))
        })
    }

    fn value(&self, expression: &Expression, references: usize) -> Option<Value> {
        if references > REFERENCES {
            return None;
        }
        match expression {
            Expression::Text(text) => Some(Value::String(text.clone())),
            Expression::Number(number) => number.parse::<i64>().ok().map(Value::from),
            Expression::Truth(truth) => Some(Value::Bool(*truth)),
            Expression::Call { name, arguments } => {
                let name = name.to_ascii_lowercase();
                match (name.as_str(), arguments.as_slice()) {
                    ("parameters", [Expression::Text(name)]) => {
                        let parameter = in_any_case(self.parameters?, name)?;
                        self.again(parameter.get("defaultValue")?, references)
                    }
                    ("variables", [Expression::Text(name)]) => {
                        self.again(in_any_case(self.variables?, name)?, references)
                    }
                    ("concat", parts) => {
                        let mut joined = String::new();
                        for part in parts {
                            match self.value(part, references + 1)? {
                                Value::String(text) => joined.push_str(&text),
                                Value::Number(number) => joined.push_str(&number.to_string()),
                                _ => return None,
                            }
                            if joined.len() > 65_536 {
                                return None;
                            }
                        }
                        Some(Value::String(joined))
                    }
                    _ => None,
                }
            }
            Expression::Null | Expression::At { .. } => None,
        }
    }

    fn again(&self, value: &Value, references: usize) -> Option<Value> {
        match value {
            Value::String(text) => Some(self.text(text, references + 1)),
            other => Some(other.clone()),
        }
    }
}

fn in_any_case<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}
