//! A flow: its trigger, and its actions with their order and their nesting.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::order::Order;
use crate::read::{Connections, ReadReason};
use crate::schedule::Schedule;

/// A flow as it was read. What it does is found out by [`import`](crate::import).
pub struct Flow {
    /// The file that it was in, as it was named.
    pub(crate) file: String,
    /// What people call it.
    pub(crate) name: String,
    /// Whether these are actions that were copied, of a flow whose rest isn't known.
    pub(crate) pasted: bool,
    /// When it starts by itself.
    pub(crate) schedule: Option<Schedule>,
    /// The kinds of its triggers, such as `Recurrence` or `Request`.
    pub(crate) triggers: Vec<String>,
    /// Whether a trigger starts it only if something holds.
    pub(crate) is_conditional: bool,
    /// Whether the file says that it is turned off.
    pub(crate) is_off: bool,
    /// Why nothing of it can be read, though it is one by its place.
    pub(crate) unreadable: Option<ReadReason>,
    /// The values of its parameters, as far as the file has them.
    pub(crate) parameters: BTreeMap<String, Value>,
    /// The parameters that have a default in the file, and no other value.
    pub(crate) defaults: BTreeSet<String>,
    /// The parameters of an ARM template whose defaults were put into it.
    pub(crate) template_defaults: BTreeSet<String>,
    pub(crate) connections: Connections,
    /// All actions, those in scopes and branches too. An [`ActionId`] is a place in this list.
    pub(crate) actions: Vec<Action>,
    /// The sequences that the actions are in. A [`ScopeId`] is a place in this list; the first is the flow itself.
    pub(crate) scopes: Vec<Scope>,
}

/// The most actions that a flow has; the platforms allow 500.
const MOST_ACTIONS: usize = 5_000;

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

    fn empty() -> Self {
        Self {
            file: String::new(),
            name: String::new(),
            pasted: false,
            schedule: None,
            triggers: Vec::new(),
            is_conditional: false,
            is_off: false,
            unreadable: None,
            parameters: BTreeMap::new(),
            defaults: BTreeSet::new(),
            template_defaults: BTreeSet::new(),
            connections: Connections::default(),
            actions: Vec::new(),
            scopes: Vec::new(),
        }
    }

    /// A flow of which nothing can be read.
    pub(crate) fn unreadable(name: String, reason: ReadReason) -> Self {
        Self { name, unreadable: Some(reason), ..Self::empty() }
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
        let (parameters, defaults) = parameters(definition, given);
        let has_conditions = |trigger: &Value| {
            trigger
                .get("conditions")
                .is_some_and(|conditions| conditions.as_array().is_none_or(|list| !list.is_empty()))
        };
        let mut flow = Self {
            name,
            schedule: Schedule::of(triggers.values()),
            triggers: kinds.map(str::to_owned).collect(),
            is_conditional: triggers.values().any(has_conditions),
            parameters,
            defaults,
            connections,
            ..Self::empty()
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
        let sequence = order.sequence().to_vec();
        self.scopes.push(Scope { parent, kind, actions: Vec::new(), order });
        let entries: Vec<(&String, &Value)> = actions.iter().collect();
        let mut failures = vec![false; entries.len()];
        for place in sequence {
            let (name, written) = entries[place];
            let Some(object) = written.as_object() else { return Err(ReadReason::OddAction(name.clone())) };
            failures[place] = after_failure
                || waits_for_failure(object)
                || self.scopes[id]
                    .order
                    .direct(place)
                    .iter()
                    .any(|before| failures[*before] && waits_for_success(object, entries[*before].0));
            let action = self.actions.len();
            if action >= MOST_ACTIONS {
                return Err(ReadReason::TooMuch);
            }
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

/// What the parameters are: the value that was given beside the definition, or else the default in it. And which of them have
/// a default alone.
fn parameters(
    definition: &Map<String, Value>,
    given: &Map<String, Value>,
) -> (BTreeMap<String, Value>, BTreeSet<String>) {
    // What begins with `$` the platform fills in: connections and their sign-in.
    let is_own = |name: &String| !name.starts_with('$');
    let declared = definition.get("parameters").and_then(Value::as_object).into_iter().flatten();
    let mut values: BTreeMap<String, Value> = declared
        .filter_map(|(name, declared)| Some((name.clone(), declared.get("defaultValue")?.clone())))
        .filter(|(name, _)| is_own(name))
        .collect();
    let mut defaults: BTreeSet<String> = values.keys().cloned().collect();
    for (name, given) in given.iter().filter(|(name, _)| is_own(name)) {
        if let Some(value) = given.get("value") {
            defaults.remove(name);
            values.insert(name.clone(), value.clone());
        }
    }
    (values, defaults)
}
