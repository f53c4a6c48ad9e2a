//! A flow as it is worked on: its actions in one list, each knowing its parent, whatever the container was.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::read::{ACTIONS, ReadReason};
use crate::words::plain;

/// One flow of a file. It may hold secrets in clear text, and so can't be printed.
pub struct Flow {
    /// The flow's name, as its designer shows it, or the file's.
    pub name: String,
    /// The file that it was read from.
    pub file: String,
    /// What it was read from.
    pub origin: Origin,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) actions: Vec<Action>,
    pub(crate) by_key: BTreeMap<String, Named>,
    /// Parameters that have a value in the file.
    pub(crate) parameters: BTreeMap<String, Value>,
    /// The vaults of key vault connections, where a template names them.
    pub(crate) connection_vaults: BTreeMap<String, String>,
}

/// The container of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Origin {
    /// A bare definition.
    Definition,
    /// A Logic App's code view.
    CodeView,
    /// A resource of an ARM template.
    Template,
    /// Power Automate's package.
    Package,
    /// A Dataverse solution.
    Solution,
    /// Actions copied from a designer.
    Pasted,
}

/// Which action a name means; two actions of one name mean none.
#[derive(Clone, Copy)]
pub(crate) enum Named {
    Once(usize),
    Twice,
}

pub(crate) struct Trigger {
    /// `recurrence`, `request`, …, in lower case.
    pub(crate) kind: String,
    pub(crate) recurrence: Value,
}

/// One action.
pub(crate) struct Action {
    /// The name in the definition.
    pub(crate) key: String,
    /// Where it is, as the designer shows it: `Scope > Get client id`.
    pub(crate) place: String,
    pub(crate) kind: Kind,
    /// The type as written, for sentences.
    pub(crate) written_kind: String,
    pub(crate) parent: Option<usize>,
    /// Which branch of the parent it is in: a branch of a condition excludes the others.
    pub(crate) branch: usize,
    pub(crate) depth: usize,
    /// The names of the actions that it waits for, and whether it waits for their success alone.
    pub(crate) run_after: Vec<(String, bool)>,
    /// `inputs`, or for a condition, switch or loop its expression.
    pub(crate) inputs: Value,
    /// `kind` of an Expression action.
    pub(crate) variant: String,
    pub(crate) secure_inputs: bool,
    pub(crate) secure_outputs: bool,
    pub(crate) retry_policy: Option<String>,
    /// A loop whose passes run one after the other.
    pub(crate) sequential: bool,
}

/// What is told apart of the types of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    OpenApiConnection,
    ApiConnection,
    ServiceProvider,
    Compose,
    ParseJson,
    InitializeVariable,
    SetVariable,
    AppendToString,
    /// Increment, decrement, append to array: a variable is changed in a way that isn't followed.
    ChangeVariable,
    Expression,
    Scope,
    If,
    Switch,
    Foreach,
    Until,
    Other,
}

impl Kind {
    fn of(written: &str, inputs: &Value) -> Self {
        match written.to_ascii_lowercase().as_str() {
            "http" => Self::Http,
            "openapiconnection" => Self::OpenApiConnection,
            "apiconnection" => Self::ApiConnection,
            "serviceprovider" => Self::ServiceProvider,
            "compose" => Self::Compose,
            "parsejson" => Self::ParseJson,
            "initializevariable" => Self::InitializeVariable,
            "setvariable" => Self::SetVariable,
            "appendtostringvariable" => Self::AppendToString,
            "incrementvariable" | "decrementvariable" | "appendtoarrayvariable" => Self::ChangeVariable,
            "expression" => Self::Expression,
            "scope" => Self::Scope,
            "if" => Self::If,
            "switch" => Self::Switch,
            "foreach" => Self::Foreach,
            "until" => Self::Until,
            // Older Peek code shows the inputs alone.
            "" if inputs.get("uri").is_some() => Self::Http,
            "" if inputs.get("host").is_some() => Self::OpenApiConnection,
            _ => Self::Other,
        }
    }

    pub(crate) fn is_container(self) -> bool {
        matches!(self, Self::Scope | Self::If | Self::Switch | Self::Foreach | Self::Until)
    }

    pub(crate) fn is_loop(self) -> bool {
        matches!(self, Self::Foreach | Self::Until)
    }

    pub(crate) fn sets_variable(self) -> bool {
        matches!(self, Self::InitializeVariable | Self::SetVariable | Self::AppendToString | Self::ChangeVariable)
    }
}

impl Flow {
    /// How many actions it has, those inside of others too.
    pub fn actions(&self) -> usize {
        self.actions.len()
    }

    /// The action of that name. Names are told apart without their case, and a blank is an underscore.
    pub(crate) fn named(&self, name: &str) -> Option<Named> {
        self.by_key.get(&folded(name)).copied()
    }
}

/// A definition with what stood beside it, before it is taken apart.
pub(crate) struct Draft {
    file: String,
    name: String,
    origin: Origin,
    definition: Value,
    /// `{"name": {"value": …}}`, which lies over the definition's defaults.
    pub(crate) parameters: Option<Value>,
    pub(crate) connection_vaults: BTreeMap<String, String>,
}

impl Draft {
    pub(crate) fn new(file: &str, name: &str, origin: Origin, definition: Value) -> Self {
        Self {
            file: plain(file),
            name: plain(name),
            origin,
            definition,
            parameters: None,
            connection_vaults: BTreeMap::new(),
        }
    }

    pub(crate) fn flow(self) -> Result<Flow, ReadReason> {
        let mut list = List { actions: Vec::new() };
        if let Some(actions) = self.definition.get("actions").and_then(Value::as_object) {
            list.add(actions, None, 0, 0, "")?;
        }
        let mut by_key = BTreeMap::new();
        for (index, action) in list.actions.iter().enumerate() {
            by_key.entry(folded(&action.key)).and_modify(|named| *named = Named::Twice).or_insert(Named::Once(index));
        }
        let mut parameters = BTreeMap::new();
        for (table, member) in
            [(self.definition.get("parameters"), "defaultValue"), (self.parameters.as_ref(), "value")]
        {
            for (name, parameter) in table.and_then(Value::as_object).into_iter().flatten() {
                if let Some(value) = parameter.get(member).filter(|value| !value.is_null()) {
                    parameters.insert(name.to_lowercase(), value.clone());
                }
            }
        }
        Ok(Flow {
            trigger: self
                .definition
                .get("triggers")
                .and_then(Value::as_object)
                .and_then(|all| all.values().next())
                .map(trigger),
            name: self.name,
            file: self.file,
            origin: self.origin,
            actions: list.actions,
            by_key,
            parameters,
            connection_vaults: self.connection_vaults,
        })
    }
}

fn trigger(value: &Value) -> Trigger {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let recurrence = value.get("recurrence").cloned().unwrap_or_default();
    Trigger { kind, recurrence }
}

struct List {
    actions: Vec<Action>,
}

impl List {
    fn add(
        &mut self,
        actions: &Map<String, Value>,
        parent: Option<usize>,
        branch: usize,
        depth: usize,
        above: &str,
    ) -> Result<(), ReadReason> {
        for (key, value) in actions {
            if self.actions.len() >= ACTIONS {
                return Err(ReadReason::TooManyActions);
            }
            let index = self.actions.len();
            let shown = plain(&key.replace('_', " "));
            let place = if above.is_empty() { shown } else { format!("{above} > {shown}") };
            let action = action(key, value, parent, branch, depth, place.clone());
            self.actions.push(action);
            // A pathological depth of scopes must not make the places long.
            let above = if depth < 12 { place } else { above.to_owned() };
            for (branch, inner) in branches(value).into_iter().enumerate() {
                self.add(inner, Some(index), branch, depth + 1, &above)?;
            }
        }
        Ok(())
    }
}

/// The actions inside of an action, one object for each branch.
fn branches(value: &Value) -> Vec<&Map<String, Value>> {
    let mut found = Vec::new();
    found.extend(value.get("actions").and_then(Value::as_object));
    found.extend(value.pointer("/else/actions").and_then(Value::as_object));
    for case in value.get("cases").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        found.extend(case.get("actions").and_then(Value::as_object));
    }
    found.extend(value.pointer("/default/actions").and_then(Value::as_object));
    found
}

fn action(key: &str, value: &Value, parent: Option<usize>, branch: usize, depth: usize, place: String) -> Action {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let written_kind = text("/type").to_owned();
    let plain_inputs = value.get("inputs").cloned().unwrap_or_default();
    let kind = Kind::of(&written_kind, &plain_inputs);
    let inputs = match kind {
        Kind::If | Kind::Switch | Kind::Until => value.get("expression").cloned().unwrap_or_default(),
        Kind::Foreach => value.get("foreach").cloned().unwrap_or_default(),
        _ => plain_inputs,
    };
    let secured = |which: &str| {
        let list = value.pointer("/runtimeConfiguration/secureData/properties").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(which))))
    };
    let run_after = value.get("runAfter").and_then(Value::as_object).into_iter().flatten().map(|(name, statuses)| {
        let statuses: Vec<&str> = statuses.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (name.clone(), matches!(statuses.as_slice(), [one] if one.eq_ignore_ascii_case("succeeded")))
    });
    Action {
        key: key.to_owned(),
        place,
        kind,
        written_kind,
        parent,
        branch,
        depth,
        run_after: run_after.collect(),
        variant: text("/kind").to_ascii_lowercase(),
        secure_inputs: secured("inputs"),
        secure_outputs: secured("outputs"),
        retry_policy: inputs.pointer("/retryPolicy/type").and_then(Value::as_str).map(str::to_ascii_lowercase),
        sequential: text("/operationOptions").eq_ignore_ascii_case("sequential")
            || value.pointer("/runtimeConfiguration/concurrency/repetitions").and_then(Value::as_u64) == Some(1),
        inputs,
    }
}

/// A name as names are compared.
fn folded(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}
