//! Small readings of texts: ARM template expressions, names, lengths of time.

use std::collections::BTreeSet;

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
/// stay as they are: they are no expressions of the flow, and what needs them isn't understood. `taken` gets the names of the
/// parameters whose default was taken.
pub(crate) fn with_template_parameters(
    value: &Value,
    parameters: &Map<String, Value>,
    taken: &mut BTreeSet<String>,
) -> Value {
    match value {
        Value::String(text) if text.starts_with("[[") => Value::String(text[1..].to_owned()),
        Value::String(text) => {
            let name = text.strip_prefix("[parameters('").and_then(|rest| rest.strip_suffix("')]"));
            let default = name.and_then(|name| Some((name, parameters.get(name)?.get("defaultValue")?)));
            let Some((name, default)) = default else { return value.clone() };
            taken.insert(name.to_owned());
            default.clone()
        }
        Value::Array(items) => items.iter().map(|item| with_template_parameters(item, parameters, taken)).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, item)| (key.clone(), with_template_parameters(item, parameters, taken)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Whether the text is an expression of an ARM template, whose value is known at deployment alone.
pub(crate) fn is_template_expression(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']') && text.contains('(')
}

/// A length of time: `6d 23h 59m`.
pub(crate) fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let (mut left, mut words) = (seconds, Vec::new());
    for (length, unit) in units {
        if left >= length {
            words.push(format!("{}{unit}", left / length));
            left %= length;
        }
    }
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

/// The text on one line, without what would end a comment or steer a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
            || ('\u{202a}'..='\u{202e}').contains(&letter)
            || ('\u{2066}'..='\u{2069}').contains(&letter)
    };
    text.chars().map(|letter| if steers(letter) { ' ' } else { letter }).collect()
}

/// What is in a list, for people: `a`, `b` and 3 more.
pub(crate) fn named_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.collect();
    let mut words: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        words.push(format!("and {} more", names.len() - MOST));
    }
    words.join(", ")
}
