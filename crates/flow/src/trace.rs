//! Follows each value of a flow from where it comes to where it goes.
//!
//! Every action is looked at once, after those that it waits for; its inputs become terms over the answers of other
//! actions. A variable is what the last action that set it before has set; where that depends on how the flow runs, its
//! value is one of several, and where actions that run at the same time set it, it isn't understood.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::expression::{self, Expression, Piece, Template};
use crate::flow::{Action, ActionId, Flow, ScopeKind, key};
use crate::function;
use crate::term::{Term, parsed};
use crate::text::is_template_expression;

/// How many values a variable is followed through.
const MOST_VALUES: usize = 16;

/// How much all values together may weigh that are handed on from one action to others. It bounds the memory that a flow
/// takes, and the time: a flow of 500 actions needs a hundredth of it.
const MOST_WORK: usize = 1_000_000;

/// What goes into each action of a flow.
pub(crate) struct Trace {
    /// By action.
    pub(crate) inputs: Vec<Term>,
    /// What an `If`, `Switch`, `Until` or `Foreach` looks at, by action.
    pub(crate) decisions: Vec<Term>,
    /// The parameters of which a default in the file was taken.
    pub(crate) defaults: BTreeSet<String>,
}

/// How two actions stand to each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Before,
    After,
    /// They may run at the same time.
    Beside,
    /// Only one of them runs.
    Exclusive,
}

struct Tracer<'a> {
    flow: &'a Flow,
    trace: Trace,
    outputs: Vec<Option<Term>>,
    /// Of each variable, which actions set it to what, in the order of the actions.
    variables: BTreeMap<String, Vec<(ActionId, Term)>>,
    /// Of each variable, all actions that set it.
    setters: BTreeMap<String, Vec<ActionId>>,
    names: BTreeMap<String, ActionId>,
    /// What is left of [`MOST_WORK`].
    work: Cell<usize>,
    defaults: RefCell<BTreeSet<String>>,
}

pub(crate) fn trace(flow: &Flow) -> Trace {
    let nothing = || vec![Term::null(); flow.actions.len()];
    let mut setters: BTreeMap<String, Vec<ActionId>> = BTreeMap::new();
    for (id, action) in flow.actions.iter().enumerate() {
        for (name, _) in assigned(action) {
            setters.entry(name).or_default().push(id);
        }
    }
    let names = flow.actions.iter().enumerate().map(|(id, action)| (key(&action.name), id)).collect();
    let mut tracer = Tracer {
        flow,
        trace: Trace { inputs: nothing(), decisions: nothing(), defaults: BTreeSet::new() },
        outputs: vec![None; flow.actions.len()],
        variables: BTreeMap::new(),
        setters,
        names,
        work: Cell::new(MOST_WORK),
        defaults: RefCell::default(),
    };
    // Actions are listed in the order of their sequences, and those of a branch right behind their parent.
    for id in 0..flow.actions.len() {
        tracer.visit(id);
    }
    Trace { defaults: tracer.defaults.into_inner(), ..tracer.trace }
}

/// The variables that an action sets, with what it sets them to as it is written.
fn assigned(action: &Action) -> Vec<(String, Value)> {
    let one = |inputs: &Value| {
        let name = inputs.get("name").and_then(Value::as_str)?.to_lowercase();
        Some((name, inputs.get("value").cloned().unwrap_or(Value::Null)))
    };
    match action.kind.as_str() {
        "initializevariable" => {
            action.inputs.get("variables").and_then(Value::as_array).into_iter().flatten().filter_map(one).collect()
        }
        "setvariable"
        | "appendtostringvariable"
        | "appendtoarrayvariable"
        | "incrementvariable"
        | "decrementvariable" => one(&action.inputs).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl Tracer<'_> {
    fn visit(&mut self, id: ActionId) {
        let flow = self.flow;
        let action = &flow.actions[id];
        let inputs = self.term(&action.inputs, id).bounded();
        self.trace.decisions[id] = self.term(&action.decides_on, id).bounded();
        for (name, written) in assigned(action) {
            let value = self.term(&written, id);
            let value = match action.kind.as_str() {
                "initializevariable" | "setvariable" => value,
                "appendtostringvariable" => Term::joined([self.variable(&name, id), value]),
                "appendtoarrayvariable" => match self.variable(&name, id) {
                    Term::Array(mut items) => {
                        items.push(value);
                        Term::Array(items)
                    }
                    _ => Term::unknown(format!("the variable `{name}`, which is appended to")),
                },
                _ => Term::unknown(format!("the variable `{name}`, which is counted")),
            };
            self.variables.entry(name).or_default().push((id, value.bounded()));
        }
        let output = match action.kind.as_str() {
            "compose" => inputs.clone(),
            "parsejson" => {
                let content = parsed(inputs.clone().part(&Term::text("content"))).bounded();
                Term::Object(BTreeMap::from([("body".to_owned(), content)]))
            }
            _ => Term::Answer(id, Vec::new()),
        };
        self.outputs[id] = Some(output);
        self.trace.inputs[id] = inputs;
    }

    fn term(&self, value: &Value, at: ActionId) -> Term {
        match value {
            Value::String(text) if is_template_expression(text) => {
                Term::unknown("an expression of the ARM template, whose value is known at deployment alone")
            }
            Value::String(text) => match expression::template(text) {
                Ok(Template::Whole(expression)) => self.value(&expression, at),
                Ok(Template::Text(pieces)) => Term::joined(pieces.into_iter().map(|piece| match piece {
                    Piece::Text(text) => Term::text(text),
                    Piece::Expression(expression) => self.value(&expression, at),
                }))
                .bounded(),
                Err(words) => Term::Unknown(format!("a text that can't be read ({words})")),
            },
            Value::Array(items) => Term::Array(items.iter().map(|item| self.term(item, at)).collect()),
            Value::Object(object) => {
                Term::Object(object.iter().map(|(key, item)| (key.clone(), self.term(item, at))).collect())
            }
            other => Term::Literal(other.clone()),
        }
    }

    fn value(&self, expression: &Expression, at: ActionId) -> Term {
        match expression {
            Expression::Text(text) => Term::text(text.as_str()),
            Expression::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Term::Literal((*number as i64).into())
            }
            Expression::Number(number) => Term::Literal((*number).into()),
            Expression::Bool(value) => Term::Literal((*value).into()),
            Expression::Null => Term::null(),
            Expression::Index(of, index) => {
                let index = self.value(index, at);
                match self.value(of, at) {
                    Term::Action(id) => self.part_of_action(id, &index, at),
                    term => term.part(&index),
                }
            }
            Expression::Call(name, arguments) => {
                let arguments: Vec<Term> = arguments.iter().map(|argument| self.value(argument, at)).collect();
                let named = arguments.first().and_then(Term::as_text);
                match (name.as_str(), named) {
                    ("body" | "actionbody", Some(action)) => self.output(&action, at).part(&Term::text("body")),
                    ("outputs" | "actionoutputs", Some(action)) => self.output(&action, at),
                    ("actions", Some(action)) => self.found(&action).map_or_else(|| missing(&action), Term::Action),
                    ("variables", Some(variable)) => self.variable(&variable.to_lowercase(), at),
                    ("parameters", Some(parameter)) => self.parameter(&parameter, at),
                    ("items" | "item", _) => Term::Item,
                    ("triggerbody" | "triggeroutputs" | "trigger" | "triggerformdatavalue", _) => Term::Trigger,
                    ("body" | "outputs" | "actions" | "variables" | "parameters", None) => {
                        Term::unknown(format!("`{name}()` of a name that is computed"))
                    }
                    _ => function::apply(name, arguments),
                }
            }
        }
    }

    fn found(&self, name: &str) -> Option<ActionId> {
        self.names.get(&key(name)).copied()
    }

    fn output(&self, name: &str, at: ActionId) -> Term {
        self.found(name).map_or_else(|| missing(name), |id| self.output_of(id, at))
    }

    fn output_of(&self, id: ActionId, at: ActionId) -> Term {
        // Of copied actions the order may be known in part only.
        let has_ended = self.flow.pasted || self.relation(id, at) == Relation::Before;
        match self.outputs[id].as_ref().filter(|_| has_ended) {
            Some(output) => self.handed_on(output),
            None => Term::unknown(format!(
                "the answer of `{}`, which runs later or at the same time",
                named(&self.flow.actions[id].name)
            )),
        }
    }

    /// A copy of a value, as long as they don't become too many.
    fn handed_on(&self, value: &Term) -> Term {
        match self.work.get().checked_sub(value.weight()) {
            Some(left) => {
                self.work.set(left);
                value.clone()
            }
            None => {
                self.work.set(0);
                Term::grown()
            }
        }
    }

    fn part_of_action(&self, id: ActionId, index: &Term, at: ActionId) -> Term {
        match index.as_text().unwrap_or_default().to_lowercase().as_str() {
            "outputs" => self.output_of(id, at),
            "inputs" => self.handed_on(&self.trace.inputs[id]),
            other => Term::Answer(id, vec![format!("({other})")]),
        }
    }

    fn parameter(&self, name: &str, at: ActionId) -> Term {
        if self.flow.defaults.contains(name) {
            self.defaults.borrow_mut().insert(name.to_owned());
        }
        match self.flow.parameters.get(name) {
            // A parameter's own value is no expression, but for the platform's.
            Some(Value::String(text)) if is_template_expression(text) => Term::Parameter(name.to_owned()),
            Some(value @ Value::String(text)) if text.starts_with('@') => match self.term(value, at) {
                Term::Unknown(_) => Term::Parameter(name.to_owned()),
                term => term,
            },
            Some(_) if self.work.get() == 0 => Term::grown(),
            Some(value) => self.handed_on(&plain(value)),
            None => Term::Parameter(name.to_owned()),
        }
    }

    /// What a variable holds when an action begins.
    fn variable(&self, name: &str, at: ActionId) -> Term {
        let Some(set) = self.variables.get(name) else {
            return Term::unknown(format!("the variable `{name}`, which nothing has set"));
        };
        let setters = self.setters[name].len();
        self.work.set(self.work.get().saturating_sub(setters));
        if self.work.get() == 0 {
            return Term::grown();
        }
        let beside = self.setters[name].iter().any(|setter| {
            *setter != at && self.relation(*setter, at) == Relation::Beside
                || self.same_loop(*setter, at) && *setter != at && self.relation(*setter, at) == Relation::After
        });
        if beside {
            return Term::unknown(format!("the variable `{name}`, which another action may set at the same time"));
        }
        let before: Vec<&(ActionId, Term)> =
            set.iter().filter(|(setter, _)| self.relation(*setter, at) == Relation::Before).collect();
        let mut values = Vec::new();
        let mut last: Option<ActionId> = None;
        for (setter, value) in before.iter().rev() {
            if values.len() >= MOST_VALUES {
                return Term::unknown(format!("the variable `{name}`, which is set in many places"));
            }
            // Two that run beside each other: either may be the last.
            let overtaken = last.is_some_and(|last| self.relation(*setter, last) == Relation::Beside);
            if last.is_some_and(|last| self.always_runs(last, at)) && !overtaken {
                break;
            }
            values.push(self.handed_on(value));
            last = Some(*setter);
        }
        if values.is_empty() {
            return Term::unknown(format!("the variable `{name}`, which nothing has set before"));
        }
        Term::either(values)
    }

    /// The sequences that an action is in, from the flow itself inwards, each with the action's place there.
    fn path(&self, id: ActionId) -> Vec<(usize, usize)> {
        let mut path = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let action = &self.flow.actions[id];
            path.push((action.scope, action.place));
            next = self.flow.scopes[action.scope].parent;
        }
        path.reverse();
        path
    }

    fn relation(&self, first: ActionId, second: ActionId) -> Relation {
        for ((scope, place), (other_scope, other_place)) in self.path(first).into_iter().zip(self.path(second)) {
            if scope != other_scope {
                return Relation::Exclusive;
            }
            let order = &self.flow.scopes[scope].order;
            if place == other_place {
                continue;
            }
            return match (order.is_before(place, other_place), order.is_before(other_place, place)) {
                (true, _) => Relation::Before,
                (_, true) => Relation::After,
                _ => Relation::Beside,
            };
        }
        // One is in the other, or they are the same.
        Relation::Before
    }

    /// Whether `setter` has run whenever `at` does and all went well.
    fn always_runs(&self, setter: ActionId, at: ActionId) -> bool {
        if self.flow.actions[setter].after_failure && !self.flow.actions[at].after_failure {
            return false;
        }
        let around: BTreeSet<usize> = self.path(at).into_iter().map(|(scope, _)| scope).collect();
        self.path(setter).into_iter().all(|(scope, _)| {
            around.contains(&scope) || matches!(self.flow.scopes[scope].kind, ScopeKind::Once | ScopeKind::Until)
        })
    }

    /// Whether both run again and again in the same loop.
    fn same_loop(&self, one: ActionId, other: ActionId) -> bool {
        let others: BTreeSet<usize> = self.path(other).into_iter().map(|(scope, _)| scope).collect();
        self.path(one).into_iter().any(|(scope, _)| {
            others.contains(&scope) && matches!(self.flow.scopes[scope].kind, ScopeKind::Each | ScopeKind::Until)
        })
    }
}

fn missing(action: &str) -> Term {
    Term::unknown(format!("the answer of `{}`, which isn't in the file", named(action)))
}

/// The beginning of a name, for words.
fn named(action: &str) -> String {
    action.chars().take(80).collect()
}

/// A JSON value as it stands.
fn plain(value: &Value) -> Term {
    match value {
        Value::Array(items) => Term::Array(items.iter().map(plain).collect()),
        Value::Object(object) => Term::Object(object.iter().map(|(key, item)| (key.clone(), plain(item))).collect()),
        other => Term::Literal(other.clone()),
    }
}
