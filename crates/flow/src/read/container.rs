//! The shapes of JSON in which flows are found.
//!
//! | shape | where it comes from |
//! |---|---|
//! | `triggers`, `actions` | a definition |
//! | `definition: {…}` | code view of a Logic App, `workflow.json` |
//! | `properties: {definition, displayName}` | package and solution of Power Automate |
//! | `resources: [{type: "Microsoft.Logic/workflows"}]` | ARM template |
//! | `type`, `inputs` and the like | one action, from a designer's code view |
//! | `operationDefinition`, `serializedOperation` | one action or scope, from a designer's clipboard |
//! | `NAME: {type, …}` | several actions |

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json as written};

use super::{ReadReason, json, product};
use crate::flow::{Flow, key};
use crate::text::{template_name, with_template_parameters};

/// The most copied actions that are put in order by what they use; a designer copies one, or those of a scope.
const MOST_COPIED: usize = 500;

/// Which vault a connection leads to, where the file says so.
#[derive(Clone, Default)]
pub(crate) struct Connections(BTreeMap<String, String>);

impl Connections {
    /// The vault's address, of the connection.
    pub(crate) fn vault(&self, connection: &str) -> Option<&str> {
        self.0.get(connection).map(String::as_str)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (connection, vault) in &other.0 {
            self.0.entry(connection.clone()).or_insert_with(|| vault.clone());
        }
    }

    /// `connections.json` of a Logic Apps project. Addresses in app settings are not in it.
    pub(super) fn of_project(value: &Value) -> Self {
        let providers = value.get("serviceProviderConnections").and_then(Value::as_object);
        let found = providers.into_iter().flatten().filter_map(|(name, connection)| {
            let address = connection.pointer("/parameterValues/VaultUri").and_then(Value::as_str)?;
            address.starts_with("https://").then(|| (name.clone(), address.trim_end_matches('/').to_owned()))
        });
        Self(found.collect())
    }

    /// The API connections of an ARM template.
    fn of_template(resources: &[Value]) -> Self {
        let found = resources.iter().filter(|resource| is_type(resource, "microsoft.web/connections"));
        let found = found.filter_map(|resource| {
            let vault = resource.pointer("/properties/parameterValues/vaultName").and_then(Value::as_str)?;
            let fits = vault.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let api = resource.pointer("/properties/api/id").and_then(Value::as_str).unwrap_or_default();
            let name = resource.get("name").and_then(Value::as_str)?;
            // A workflow calls it by the key in `$connections`, which is mostly one of these.
            let keys = [template_name(name), if api.contains("keyvault") { "keyvault" } else { name }.to_owned()];
            fits.then(|| keys.map(|key| (key, format!("https://{vault}.vault.azure.net"))))
        });
        Self(found.flatten().collect())
    }
}

pub(super) fn read(value: Value) -> Result<Vec<Flow>, ReadReason> {
    match value {
        Value::Object(object) => of_object(object),
        Value::Array(items) => of_pasted(items),
        // A definition that was copied as a JSON string, as solutions and APIs hold it.
        Value::String(text) => {
            json::parse(text.as_bytes(), &Cell::new(json::MOST_VALUES)).and_then(|value| match value {
                Value::String(_) => Err(ReadReason::NoFlow),
                value => read(value),
            })
        }
        _ => Err(ReadReason::NoFlow),
    }
}

fn of_object(mut object: Map<String, Value>) -> Result<Vec<Flow>, ReadReason> {
    if is_template(&object) {
        return of_template(&object);
    }
    if let Some(Value::Object(mut properties)) = object.remove("properties") {
        if properties.get("definition").is_some_and(Value::is_object) {
            let named = properties.remove("displayName").or_else(|| properties.remove("summary"));
            let name = named.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_off = is_off(&properties);
            return Ok(vec![Flow { is_off, ..of_code_view(properties, name)? }]);
        }
        object.insert("properties".to_owned(), Value::Object(properties));
    }
    if object
        .get("definition")
        .is_some_and(|definition| is_definition(definition) || definition.get("actions").is_some())
    {
        return Ok(vec![of_code_view(object, String::new())?]);
    }
    if object.get("actions").is_some_and(Value::is_object) && !is_action(&object) {
        return Ok(vec![Flow::of_definition(String::new(), &object, &Map::new(), Connections::default())?]);
    }
    of_pasted(vec![Value::Object(object)])
}

/// Whether a flow's properties say that it is turned off.
fn is_off(properties: &Map<String, Value>) -> bool {
    let state = properties.get("state").and_then(Value::as_str).unwrap_or_default();
    ["stopped", "disabled", "suspended"].iter().any(|off| state.eq_ignore_ascii_case(off))
}

/// A definition beside its parameters.
fn of_code_view(mut object: Map<String, Value>, name: String) -> Result<Flow, ReadReason> {
    let Some(Value::Object(definition)) = object.remove("definition") else { return Err(ReadReason::NoFlow) };
    let given = match object.remove("parameters") {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    Flow::of_definition(name, &definition, &given, Connections::default())
}

fn is_definition(value: &Value) -> bool {
    value.get("$schema").and_then(Value::as_str).is_some_and(|schema| schema.contains("workflowdefinition.json"))
}

fn is_template(object: &Map<String, Value>) -> bool {
    let schema = object.get("$schema").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    schema.contains("deploymenttemplate.json") && object.get("resources").is_some()
}

fn is_type(resource: &Value, kind: &str) -> bool {
    resource.get("type").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(kind))
}

fn of_template(template: &Map<String, Value>) -> Result<Vec<Flow>, ReadReason> {
    let resources: Vec<Value> = match template.get("resources") {
        Some(Value::Array(resources)) => resources.clone(),
        // With symbolic names, resources are an object.
        Some(Value::Object(resources)) => resources.values().cloned().collect(),
        _ => Vec::new(),
    };
    let connections = Connections::of_template(&resources);
    let defaults = template.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut flows = Vec::new();
    for resource in resources.iter().filter(|resource| is_type(resource, "microsoft.logic/workflows")) {
        let name = resource.get("name").and_then(Value::as_str).map(template_name).unwrap_or_default();
        let properties = resource.get("properties").and_then(Value::as_object);
        let definition = properties.and_then(|properties| properties.get("definition")).and_then(Value::as_object);
        let Some((properties, definition)) = properties.zip(definition) else {
            return Err(ReadReason::OddAction(name));
        };
        let given = properties.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut taken = BTreeSet::new();
        let mut filled = |value: Value| with_template_parameters(&value, &defaults, &mut taken);
        let (Value::Object(definition), Value::Object(given)) =
            (filled(definition.clone().into()), filled(given.into()))
        else {
            return Err(ReadReason::NoFlow);
        };
        let mut flow = Flow::of_definition(name, &definition, &given, connections.clone())?;
        flow.template_defaults = taken;
        flow.is_off = is_off(properties);
        flows.push(flow);
    }
    if flows.is_empty() {
        return Err(product::of_object(template).map_or(ReadReason::NoFlow, ReadReason::OtherProduct));
    }
    Ok(flows)
}

fn is_action(object: &Map<String, Value>) -> bool {
    match object.get("type") {
        Some(kind) => {
            let keys = ["inputs", "actions", "runAfter", "expression", "cases"];
            kind.is_string() && keys.iter().any(|key| object.contains_key(*key))
        }
        // Power Automate's "peek code" leaves the type out.
        None => object.get("inputs").is_some_and(|inputs| {
            inputs.get("host").is_some() || inputs.get("uri").is_some() && inputs.get("method").is_some()
        }),
    }
}

/// Actions that were copied out of a designer: one, several in an array, or several by name.
fn of_pasted(items: Vec<Value>) -> Result<Vec<Flow>, ReadReason> {
    let mut actions = Map::new();
    let mut add = |name: &str, action: Value| {
        let mut free = name.to_owned();
        let mut number = 1;
        while actions.contains_key(&free) {
            number += 1;
            free = format!("{name}_{number}");
        }
        actions.insert(free, action);
    };
    for item in items {
        let Value::Object(mut object) = item else { return Err(ReadReason::NoFlow) };
        let copied = ["operationDefinition", "serializedOperation", "serializedValue"];
        let copied = copied.iter().find(|key| object.get(**key).is_some_and(Value::is_object));
        if let Some(copied) = copied {
            let name = ["operationName", "nodeId", "nodeName", "id"]
                .iter()
                .find_map(|key| object.get(*key).and_then(Value::as_str))
                .unwrap_or("Action")
                .replace(' ', "_");
            add(&name, object.remove(*copied).unwrap_or_default());
        } else if is_action(&object) {
            let kind = object.get("type").and_then(Value::as_str).unwrap_or("Copied_action").to_owned();
            add(&kind, Value::Object(object));
        } else if !object.is_empty() && object.values().all(|value| value.as_object().is_some_and(is_action)) {
            for (name, action) in object {
                add(&name, action);
            }
        } else {
            return Err(product::of_object(&object).map_or(ReadReason::NoFlow, ReadReason::OtherProduct));
        }
    }
    if actions.is_empty() {
        return Err(ReadReason::NoFlow);
    }
    order_by_references(&mut actions);
    let definition = Map::from_iter([("actions".to_owned(), Value::Object(actions))]);
    let mut flow = Flow::of_definition(String::new(), &definition, &Map::new(), Connections::default())?;
    flow.pasted = true;
    Ok(vec![flow])
}

/// Actions that were copied without their order come after those whose answers they use.
fn order_by_references(actions: &mut Map<String, Value>) {
    if actions.len() > MOST_COPIED || actions.values().any(|action| action.get("runAfter").is_some()) {
        return;
    }
    let names: Vec<String> = actions.keys().cloned().collect();
    let texts: Vec<String> = actions.values().map(|action| key(&action.to_string())).collect();
    for (place, action) in actions.values_mut().enumerate() {
        let quoted = |name: &str| format!("'{}'", key(name));
        let uses = |other: usize| other != place && texts[place].contains(&quoted(&names[other]));
        let before: Map<String, Value> = (0..names.len())
            .filter(|other| uses(*other))
            .map(|other| (names[other].clone(), written!(["Succeeded"])))
            .collect();
        if let Some(object) = action.as_object_mut() {
            object.insert("runAfter".to_owned(), before.into());
        }
    }
}
