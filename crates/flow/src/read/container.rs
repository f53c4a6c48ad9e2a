//! Which container a JSON document is, and the definitions in it.

use serde_json::{Map, Value, json};

use super::archive::Entry;
use super::{ReadReason, foreign, template, text};
use crate::flow::{Draft, Flow, Origin};

/// The flows of a text that is a file of its own.
pub(super) fn flows(file_name: &str, text: &str) -> Result<Vec<Flow>, ReadReason> {
    if !matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[' | b'"')) {
        return Err(foreign::text(text).unwrap_or(ReadReason::NotJson { line: 1, column: 1 }));
    }
    let value = text::json(text)?;
    document(file_name, &value)
}

/// The flows of a definition that stood in a zip.
pub(super) fn flows_inside(file_name: &str, path: &str, entry: Entry, text: &str) -> Result<Vec<Flow>, ReadReason> {
    let value = text::json(text)?;
    let name = match entry {
        Entry::Package => displayed(&value).unwrap_or_else(|| stem(file_name)),
        Entry::Solution => displayed(&value).unwrap_or_else(|| without_guid(&stem(path))),
        Entry::Project => path.rsplit('/').nth(1).unwrap_or_default().to_owned(),
    };
    let origin = match entry {
        Entry::Package => Origin::Package,
        Entry::Solution => Origin::Solution,
        Entry::Project => Origin::CodeView,
    };
    let found = wrapped(&value).filter(|found| is_definition(found.definition));
    // A solution's folder holds desktop flows and classic workflows too, which are none of ours.
    let Some(found) = found else { return Ok(Vec::new()) };
    Ok(vec![found.draft(file_name, &name, origin).flow()?])
}

fn document(file_name: &str, value: &Value) -> Result<Vec<Flow>, ReadReason> {
    let name = stem(file_name);
    if template::is_one(value) {
        let drafts = template::drafts(file_name, value);
        return if drafts.is_empty() {
            Err(ReadReason::Foreign {
                what: "an ARM template without a Logic App",
                instead: "Import the template that holds the resource of type Microsoft.Logic/workflows.",
            })
        } else {
            drafts.into_iter().map(Draft::flow).collect()
        };
    }
    if is_definition(value) {
        let found = Wrapped { definition: value, parameters: None };
        return Ok(vec![found.draft(file_name, &name, Origin::Definition).flow()?]);
    }
    if let Some(found) = wrapped(value).filter(|found| is_definition(found.definition)) {
        let name = displayed(value).unwrap_or(name);
        let package = value.get("properties").is_some_and(|inside| inside.get("connectionReferences").is_some());
        let origin = if package { Origin::Package } else { Origin::CodeView };
        return Ok(vec![found.draft(file_name, &name, origin).flow()?]);
    }
    match pasted(value) {
        Some(actions) => {
            let definition = json!({ "actions": actions });
            let found = Wrapped { definition: &definition, parameters: None };
            Ok(vec![found.draft(file_name, &name, Origin::Pasted).flow()?])
        }
        None => Err(foreign::document(value)),
    }
}

/// A definition and what stands beside it.
struct Wrapped<'a> {
    definition: &'a Value,
    parameters: Option<&'a Value>,
}

impl Wrapped<'_> {
    fn draft(&self, file_name: &str, name: &str, origin: Origin) -> Draft {
        let mut draft = Draft::new(file_name, name, origin, self.definition.clone());
        draft.parameters = self.parameters.cloned();
        draft
    }
}

/// `{"definition": …}`, or `{"properties": {"definition": …}}`.
fn wrapped(value: &Value) -> Option<Wrapped<'_>> {
    [Some(value), value.get("properties")]
        .into_iter()
        .flatten()
        .find_map(|outer| Some(Wrapped { definition: outer.get("definition")?, parameters: outer.get("parameters") }))
}

/// Whether a value is a definition: it has actions, and is marked as one or has triggers.
pub(super) fn is_definition(value: &Value) -> bool {
    let marked =
        value.get("$schema").and_then(Value::as_str).is_some_and(|schema| schema.contains("workflowdefinition"));
    value.get("actions").is_some_and(Value::is_object)
        && (marked || value.get("triggers").is_some_and(Value::is_object))
}

/// Actions as people paste them: one action, an object of actions, or what a designer puts on the clipboard.
fn pasted(value: &Value) -> Option<Value> {
    let named = |name: Option<&str>, action: &Value| {
        let mut actions = Map::new();
        actions.insert(name.unwrap_or("Pasted_action").to_owned(), action.clone());
        Value::Object(actions)
    };
    if is_action(value) {
        return Some(named(None, value));
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    // The new designer's copy of a scope, and the older designer's copy of anything.
    for (name, action) in
        [("nodeId", "serializedValue"), ("nodeId", "serializedOperation"), ("operationName", "operationDefinition")]
    {
        if let Some(action) = value.get(action).filter(|action| is_action(action)) {
            return Some(named(text(name), action));
        }
    }
    if let Some(actions) = value.get("actions").filter(|actions| is_actions(actions)) {
        return Some(actions.clone());
    }
    if let Some(list) = value.as_array() {
        let mut all = Map::new();
        for (place, one) in list.iter().enumerate() {
            let Value::Object(actions) = pasted(one)? else { return None };
            for (name, action) in actions {
                let name = if all.contains_key(&name) { format!("{name}_{place}") } else { name };
                all.insert(name, action);
            }
        }
        return (!all.is_empty()).then_some(Value::Object(all));
    }
    is_actions(value).then(|| value.clone())
}

fn is_actions(value: &Value) -> bool {
    value.as_object().is_some_and(|actions| !actions.is_empty() && actions.values().all(is_action))
}

/// An action has a type. Older Peek code leaves it out, and shows the inputs alone.
fn is_action(value: &Value) -> bool {
    let Some(action) = value.as_object() else { return false };
    match action.get("type") {
        Some(kind) => {
            kind.is_string()
                && ["inputs", "actions", "cases", "runAfter", "expression"].iter().any(|key| action.contains_key(*key))
        }
        None => action.get("inputs").is_some_and(|inputs| inputs.get("uri").is_some() || inputs.get("host").is_some()),
    }
}

/// The name that the designer shows.
fn displayed(value: &Value) -> Option<String> {
    let name = value.get("properties").and_then(|inside| inside.get("displayName")).and_then(Value::as_str)?;
    (!name.trim().is_empty()).then(|| name.to_owned())
}

/// A file's name without folders and ending.
fn stem(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { "flow".to_owned() } else { stem.to_owned() }
}

/// A solution's file is called `NAME-GUID.json`.
fn without_guid(stem: &str) -> String {
    let cut = stem.len().checked_sub(37).filter(|cut| *cut > 0 && stem.is_char_boundary(*cut));
    match cut.map(|cut| stem.split_at(cut)) {
        Some((name, guid)) if guid.starts_with('-') && guid.chars().all(|c| c.is_ascii_hexdigit() || c == '-') => {
            name.to_owned()
        }
        _ => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_without_folders_endings_and_guids() {
        assert_eq!(stem("a/b\\My flow.json"), "My flow");
        assert_eq!(without_guid("Keep-0A1B2C3D-0000-1111-2222-333344445555"), "Keep");
        assert_eq!(without_guid("Keep"), "Keep");
    }
}
