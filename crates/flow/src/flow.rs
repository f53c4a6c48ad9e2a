//! A flow: its trigger, and its actions with their order and their nesting.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::order::Order;
use crate::read::{Connections, ReadReason};

/// A flow as it was read. What it does is found out by [`import`](crate::import).
pub struct Flow {
    /// The file that it was in, as it was named.
    pub(crate) file: String,
    /// What people call it.
    pub(crate) name: String,
    /// Whether these are actions that were copied, of a flow whose rest isn't known.
    pub(crate) pasted: bool,
    /// The seconds between two runs of its schedule.
    pub(crate) interval: Option<u64>,
    /// The kinds of its triggers, such as `Recurrence` or `Request`.
    pub(crate) triggers: Vec<String>,
    /// The values of its parameters, as far as the file has them.
    pub(crate) parameters: BTreeMap<String, Value>,
    pub(crate) connections: Connections,
    /// All actions, those in scopes and branches too. An [`ActionId`] is a place in this list.
    pub(crate) actions: Vec<Action>,
    /// The sequences that the actions are in. A [`ScopeId`] is a place in this list; the first is the flow itself.
    pub(crate) scopes: Vec<Scope>,
}

/// A place in [`Flow::actions`].
pub(crate) type ActionId = usize;

/// A place in [`Flow::scopes`].
pub(crate) type ScopeId = usize;

/// One action.
pub(crate) struct Action {
    pub(crate) name: String,
    /// Its `type`, in lower case.
    pub(crate) kind: String,
    pub(crate) inputs: Value,
    /// What an `If`, a `Switch` or an `Until` decides on, or what a `Foreach` goes through.
    pub(crate) decides_on: Value,
    /// Whether the run history hides what goes in.
    pub(crate) secure_inputs: bool,
    /// Whether the run history hides what comes out.
    pub(crate) secure_outputs: bool,
    /// The sequence that it is part of.
    pub(crate) scope: ScopeId,
    /// Its place in that sequence, as [`Order`] counts.
    pub(crate) place: usize,
    /// Whether it runs only if something has failed.
    pub(crate) after_failure: bool,
}

/// A sequence of actions: the flow itself, the body of a scope or loop, or a branch.
pub(crate) struct Scope {
    /// The action that it belongs to; none for the flow itself.
    pub(crate) parent: Option<ActionId>,
    pub(crate) kind: ScopeKind,
    /// Its actions, each after those that it waits for.
    pub(crate) actions: Vec<ActionId>,
    pub(crate) order: Order,
}

/// When a sequence runs, once the action that it belongs to does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    /// Once.
    Once,
    /// Once or not at all; its siblings in the same action are the alternatives.
    Branch,
    /// Any number of times, over the items of an array.
    Each,
    /// Until something holds.
    Until,
}

impl Flow {
    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that it was in, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn of_definition(
        name: String,
        definition: &Map<String, Value>,
        given: &Map<String, Value>,
        connections: Connections,
    ) -> Result<Self, ReadReason> {
        let empty = Map::new();
        let triggers = definition.get("triggers").and_then(Value::as_object).unwrap_or(&empty);
        let kinds = triggers.values().filter_map(|trigger| trigger.get("type").and_then(Value::as_str));
        let mut flow = Self {
            file: String::new(),
            name,
            pasted: false,
            interval: triggers.values().find_map(interval),
            triggers: kinds.map(str::to_owned).collect(),
            parameters: parameters(definition, given),
            connections,
            actions: Vec::new(),
            scopes: Vec::new(),
        };
        let actions = definition.get("actions").and_then(Value::as_object).unwrap_or(&empty);
        flow.add_scope(None, ScopeKind::Once, actions, false)?;
        let mut names = BTreeMap::new();
        for action in &flow.actions {
            if names.insert(key(&action.name), ()).is_some() {
                return Err(ReadReason::SameName(action.name.clone()));
            }
        }
        Ok(flow)
    }

    fn add_scope(
        &mut self,
        parent: Option<ActionId>,
        kind: ScopeKind,
        actions: &Map<String, Value>,
        after_failure: bool,
    ) -> Result<(), ReadReason> {
        let waits: Vec<(String, Vec<String>)> = actions
            .iter()
            .map(|(name, action)| {
                let waits_for = action.get("runAfter").and_then(Value::as_object);
                (key(name), waits_for.into_iter().flat_map(Map::keys).map(|name| key(name)).collect())
            })
            .collect();
        let order = Order::of(&waits).map_err(ReadReason::Circle)?;
        let id = self.scopes.len();
        self.scopes.push(Scope { parent, kind, actions: Vec::new(), order: order.clone() });
        let entries: Vec<(&String, &Value)> = actions.iter().collect();
        let mut failures = vec![false; entries.len()];
        for &place in order.sequence() {
            let (name, written) = entries[place];
            let Some(object) = written.as_object() else { return Err(ReadReason::OddAction(name.clone())) };
            failures[place] = after_failure
                || waits_for_failure(object)
                || order
                    .direct(place)
                    .iter()
                    .any(|before| failures[*before] && waits_for_success(object, entries[*before].0));
            let action = self.actions.len();
            self.actions.push(self.action(name, object, id, place, failures[place])?);
            self.scopes[id].actions.push(action);
            self.add_branches(action, object, failures[place])?;
        }
        Ok(())
    }

    fn action(
        &self,
        name: &str,
        object: &Map<String, Value>,
        scope: ScopeId,
        place: usize,
        after_failure: bool,
    ) -> Result<Action, ReadReason> {
        // The oldest "peek code" of Power Automate leaves the type out; the shape of the inputs tells it.
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.to_ascii_lowercase(),
            None if object.get("inputs").is_some_and(|inputs| inputs.get("uri").is_some()) => "http".to_owned(),
            None if object.get("inputs").is_some_and(|inputs| inputs.get("host").is_some()) => {
                "openapiconnection".to_owned()
            }
            _ => return Err(ReadReason::OddAction(name.to_owned())),
        };
        let secured = object
            .get("runtimeConfiguration")
            .and_then(|configuration| configuration.pointer("/secureData/properties"))
            .and_then(Value::as_array);
        let secures = |what: &str| secured.is_some_and(|list| list.iter().any(|item| item == what));
        let decides_on = ["expression", "foreach"].iter().find_map(|key| object.get(*key)).cloned();
        Ok(Action {
            name: name.to_owned(),
            kind,
            inputs: object.get("inputs").cloned().unwrap_or(Value::Null),
            decides_on: decides_on.unwrap_or(Value::Null),
            secure_inputs: secures("inputs"),
            secure_outputs: secures("outputs"),
            scope,
            place,
            after_failure,
        })
    }

    fn add_branches(
        &mut self,
        action: ActionId,
        object: &Map<String, Value>,
        after_failure: bool,
    ) -> Result<(), ReadReason> {
        let kind = match self.actions[action].kind.as_str() {
            "if" | "switch" => ScopeKind::Branch,
            "foreach" => ScopeKind::Each,
            "until" => ScopeKind::Until,
            _ => ScopeKind::Once,
        };
        let mut bodies = vec![object.get("actions")];
        bodies.push(object.get("else").and_then(|branch| branch.get("actions")));
        let cases = object.get("cases").and_then(Value::as_object);
        bodies.extend(cases.into_iter().flat_map(Map::values).map(|case| case.get("actions")));
        bodies.push(object.get("default").and_then(|branch| branch.get("actions")));
        for body in bodies.into_iter().flatten().filter_map(Value::as_object) {
            self.add_scope(Some(action), kind, body, after_failure)?;
        }
        Ok(())
    }
}

/// Names are compared as expressions do it: without case, and with underscores for blanks.
pub(crate) fn key(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}

fn statuses(object: &Map<String, Value>) -> impl Iterator<Item = (&String, Vec<&str>)> {
    object
        .get("runAfter")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, statuses)| (name, statuses.as_array().into_iter().flatten().filter_map(Value::as_str).collect()))
}

fn is_success(statuses: &[&str]) -> bool {
    statuses.is_empty() || statuses.iter().any(|status| status.eq_ignore_ascii_case("succeeded"))
}

/// Whether it waits for the failure of some action: then it doesn't run where all goes well.
fn waits_for_failure(object: &Map<String, Value>) -> bool {
    statuses(object).any(|(_, statuses)| !is_success(&statuses))
}

/// Whether it needs `other` to have succeeded, which never ran where all went well.
fn waits_for_success(object: &Map<String, Value>, other: &str) -> bool {
    statuses(object).any(|(name, statuses)| {
        key(name) == key(other)
            && is_success(&statuses)
            && !statuses.iter().any(|status| status.eq_ignore_ascii_case("skipped"))
    })
}

/// The seconds of a schedule. A month counts as 30 days: for people, and for no deadline.
fn interval(trigger: &Value) -> Option<u64> {
    let recurrence = trigger.get("recurrence").or_else(|| trigger.pointer("/inputs/recurrence"))?;
    let number = match recurrence.get("interval") {
        Some(Value::String(text)) => text.parse().ok()?,
        Some(number) => number.as_u64()?,
        None => 1,
    };
    let unit = match recurrence.get("frequency")?.as_str()?.to_ascii_lowercase().as_str() {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "month" => 30 * 86_400,
        "year" => 365 * 86_400,
        _ => return None,
    };
    number.checked_mul(unit).filter(|seconds| *seconds > 0)
}

/// What the parameters are: the value that was given beside the definition, or else the default in it.
fn parameters(definition: &Map<String, Value>, given: &Map<String, Value>) -> BTreeMap<String, Value> {
    let declared = definition.get("parameters").and_then(Value::as_object).into_iter().flatten();
    let defaults = declared.filter_map(|(name, declared)| Some((name.clone(), declared.get("defaultValue")?.clone())));
    let given = given.iter().filter_map(|(name, given)| Some((name.clone(), given.get("value")?.clone())));
    let mut found: BTreeMap<String, Value> = defaults.chain(given).collect();
    // What the platform fills in: connections and their sign-in.
    found.retain(|name, _| !name.starts_with('$'));
    found
}
