//! Small readings of texts: ARM template expressions, names.

use serde_json::{Map, Value};

/// The name that an ARM template gives a resource: `[parameters('logicAppName')]` and `[concat(…)]` are called by what is
/// quoted in them.
pub(crate) fn template_name(name: &str) -> String {
    if !name.starts_with('[') {
        return name.to_owned();
    }
    name.split('\'').nth(1).unwrap_or("workflow").to_owned()
}

/// The value with `[parameters('x')]` replaced by the template's default, where there is one. Other template expressions
/// stay as they are: they are no expressions of the flow, and what needs them isn't understood.
pub(crate) fn with_template_parameters(value: &Value, parameters: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) if text.starts_with("[[") => Value::String(text[1..].to_owned()),
        Value::String(text) => {
            let name = text.strip_prefix("[parameters('").and_then(|rest| rest.strip_suffix("')]"));
            let default = name.and_then(|name| parameters.get(name)).and_then(|found| found.get("defaultValue"));
            default.unwrap_or(value).clone()
        }
        Value::Array(items) => items.iter().map(|item| with_template_parameters(item, parameters)).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, item)| (key.clone(), with_template_parameters(item, parameters)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Whether the text is an expression of an ARM template, whose value is known at deployment alone.
pub(crate) fn is_template_expression(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']') && text.contains('(')
}
