//! The symbolic pass: what each value of a flow is made of.
//!
//! Actions are visited in the order in which they run, so that what an action refers to is known when it is met.
//! Steps, sizes and detours are bounded by one budget: a flow that is built to explode becomes "too much to follow".

mod function;
mod read;
mod variable;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value as Json;

use crate::expression::{Expression, Piece, Template, template};
use crate::flow::{Action, Flow, Kind, Named};
use crate::order::Order;
use crate::term::{Term, Value, node, same};
use crate::words::plain;

/// How much may be copied, joined and compared in one flow. An honest flow of 500 actions needs a hundredth.
const FUEL: usize = 4_000_000;
/// How far a value may be followed against the order in which the actions run.
const DETOURS: usize = 24;

/// A flow with the origin of every value in it.
pub(crate) struct Trace<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) order: Order,
    /// The vaults behind connections, by the connection's name in lower case: what the user said.
    vaults: &'a BTreeMap<String, String>,
    made: RefCell<Vec<Made>>,
    assignments: BTreeMap<String, Vec<usize>>,
    fuel: Cell<usize>,
    detours: Cell<usize>,
    remarks: RefCell<BTreeSet<(usize, String)>>,
    uses: RefCell<Vec<BTreeSet<usize>>>,
}

/// What an action makes of its inputs, as far as that is known yet.
enum Made {
    Unknown,
    Busy,
    Done(Value),
}

impl<'a> Trace<'a> {
    pub(crate) fn of(flow: &'a Flow, vaults: &'a BTreeMap<String, String>) -> Self {
        let count = flow.actions.len();
        let mut assignments = BTreeMap::<String, Vec<usize>>::new();
        for (index, action) in flow.actions.iter().enumerate().filter(|(_, action)| action.kind.sets_variable()) {
            for name in variable::names(&action.inputs) {
                assignments.entry(name).or_default().push(index);
            }
        }
        let trace = Self {
            flow,
            order: Order::of(flow),
            vaults,
            made: RefCell::new((0..count).map(|_| Made::Unknown).collect()),
            assignments,
            fuel: Cell::new(FUEL),
            detours: Cell::new(0),
            remarks: RefCell::default(),
            uses: RefCell::new(vec![BTreeSet::new(); count]),
        };
        for index in &trace.order.sequence {
            trace.made(*index);
        }
        trace
    }

    pub(crate) fn action(&self, index: usize) -> &'a Action {
        &self.flow.actions[index]
    }

    /// An action's place, as the designer shows it.
    pub(crate) fn place(&self, index: usize) -> String {
        self.flow.actions[index].place.clone()
    }

    /// What a value is, in words that fit after "it is".
    pub(crate) fn words(&self, value: &Term) -> String {
        value.words(&|index| self.place(index))
    }

    /// The actions that an action refers to, so far as its values were asked for.
    pub(crate) fn uses(&self, index: usize) -> BTreeSet<usize> {
        self.uses.borrow()[index].clone()
    }

    /// Functions that don't exist and expressions that can't be read: the action and words for each.
    pub(crate) fn remarks(&self) -> BTreeSet<(usize, String)> {
        self.remarks.borrow().clone()
    }

    /// The origin of a JSON value that stands in the action `at`.
    pub(crate) fn value(&self, at: usize, json: &Json) -> Value {
        if !self.burn(1) {
            return too_much();
        }
        match json {
            Json::Null => node(Term::Null),
            Json::Bool(truth) => node(Term::Truth(*truth)),
            Json::Number(number) => node(Term::Number(number.to_string())),
            Json::String(text) => self.text(at, text),
            Json::Array(list) => node(Term::List(list.iter().map(|one| self.value(at, one)).collect())),
            Json::Object(map) => {
                node(Term::Object(map.iter().map(|(key, one)| (key.clone(), self.value(at, one))).collect()))
            }
        }
    }

    fn text(&self, at: usize, text: &str) -> Value {
        if !self.burn(text.len() / 16) {
            return too_much();
        }
        if !text.contains('@') {
            return Term::text(text);
        }
        match template(text) {
            Ok(Template::Text(text)) => Term::text(text),
            Ok(Template::Whole(expression)) => self.expression(at, &expression),
            Ok(Template::Pieces(pieces)) => self.joined(
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => Term::text(text.as_str()),
                        Piece::Hole(hole) => self.expression(at, hole),
                    })
                    .collect(),
            ),
            Err(fault) => {
                let words = format!(
                    "an expression can't be read: {} was expected after {} characters",
                    fault.words, fault.after
                );
                self.remark(at, words.clone());
                Term::opaque(words)
            }
        }
    }

    fn expression(&self, at: usize, expression: &Expression) -> Value {
        if !self.burn(1) {
            return too_much();
        }
        match expression {
            Expression::Text(text) => Term::text(text.as_str()),
            Expression::Number(number) => node(Term::Number(number.clone())),
            Expression::Truth(truth) => node(Term::Truth(*truth)),
            Expression::Null => node(Term::Null),
            Expression::Call { name, arguments } => self.call(at, name, arguments),
            Expression::At { of, key } => {
                let (of, key) = (self.expression(at, of), self.expression(at, key));
                self.part(&of, &key)
            }
        }
    }

    /// A part of a value.
    fn part(&self, of: &Value, key: &Value) -> Value {
        let Some(key) = key.fixed() else {
            return Term::opaque("a part whose name is not fixed");
        };
        if !self.burn(of.weight()) {
            return too_much();
        }
        match &***of {
            Term::Object(members) => {
                let member = members.get(key).or_else(|| {
                    members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, member)| member)
                });
                member.map_or_else(|| node(Term::Null), Rc::clone)
            }
            Term::List(list) => {
                let one = key.parse::<usize>().ok().and_then(|place| list.get(place));
                one.map_or_else(|| node(Term::Null), Rc::clone)
            }
            Term::Answer { action, path } => {
                let mut path = path.clone();
                // `outputs('Get')?['body/value']` is short for two parts.
                match path.is_empty() && key.contains('/') {
                    true => path.extend(key.split('/').map(str::to_owned)),
                    false => path.push(key.to_owned()),
                }
                self.answer(*action, path)
            }
            Term::Setting(name) => node(Term::Setting(format!("{name}.{key}"))),
            Term::Null | Term::Opaque(_) => Rc::clone(of),
            Term::Secret { place, .. } => {
                Term::opaque(format!("a part of the secret \"{}\", which holds JSON", plain(&place.name)))
            }
            other => {
                Term::opaque(format!("a part of something that has none that can be followed ({})", self.words(other)))
            }
        }
    }

    /// A part of what an action put out, from `outputs('…')` on.
    fn answer(&self, action: usize, path: Vec<String>) -> Value {
        let inner = |made: Value, skip: &str| {
            let rest = path.iter().skip(usize::from(path.first().is_some_and(|first| first == skip)));
            rest.fold(made, |value, key| self.part(&value, &Term::text(key.as_str())))
        };
        match self.action(action).kind {
            Kind::Compose | Kind::ParseJson => inner(self.made(action), "body"),
            kind if kind.sets_variable() => {
                if path.last().is_some_and(|last| last == "value") {
                    self.made(action)
                } else {
                    node(Term::Answer { action, path })
                }
            }
            Kind::Expression => {
                if path.first().is_some_and(|first| first == "body") {
                    self.made(action)
                } else {
                    node(Term::Answer { action, path })
                }
            }
            kind if kind.is_container() => {
                Term::opaque(format!("the result of \"{}\", as a whole", self.place(action)))
            }
            _ => match self.made(action) {
                secret if read::is_value(&path) && !matches!(**secret, Term::Null) => secret,
                _ => node(Term::Answer { action, path }),
            },
        }
    }

    /// What an action makes of its inputs: a composed or parsed value, a secret, a variable's new value. Nothing, for
    /// actions that only ask somebody else.
    fn made(&self, index: usize) -> Value {
        match &self.made.borrow()[index] {
            Made::Done(value) => return Rc::clone(value),
            Made::Busy => {
                return Term::opaque(format!("made of itself, in a circle through \"{}\"", self.place(index)));
            }
            Made::Unknown => {}
        }
        if self.detours.get() >= DETOURS {
            return Term::opaque("passed on through too many actions whose order is not said");
        }
        self.made.borrow_mut()[index] = Made::Busy;
        self.detours.set(self.detours.get() + 1);
        let action = self.action(index);
        let value = match action.kind {
            Kind::Compose => self.value(index, &action.inputs),
            Kind::ParseJson => {
                let content = self.value(index, &action.inputs["content"]);
                self.parsed(&content)
            }
            Kind::Expression => self.time(index),
            kind if kind.sets_variable() => self.assigned(index),
            _ => self.secret_read(index).unwrap_or_else(|| node(Term::Null)),
        };
        self.detours.set(self.detours.get() - 1);
        self.made.borrow_mut()[index] = Made::Done(Rc::clone(&value));
        value
    }

    /// A reference to another action's outputs, by name.
    fn reference(&self, at: usize, name: &str) -> Result<usize, Value> {
        let shown = plain(&name.replace('_', " "));
        match self.flow.named(name) {
            Some(Named::Once(index)) => {
                self.uses.borrow_mut()[at].insert(index);
                // Outside of a loop its actions stand for all passes at once.
                let outside = self.order.loops(index).find(|outer| {
                    self.action(*outer).kind == Kind::Foreach && at != *outer && !self.order.is_within(at, *outer)
                });
                match outside {
                    Some(outer) => Err(Term::opaque(format!(
                        "the answers of \"{shown}\" from all passes of the loop \"{}\"",
                        self.place(outer)
                    ))),
                    None => Ok(index),
                }
            }
            Some(Named::Twice) => Err(Term::opaque(format!("from \"{shown}\", a name that two actions have"))),
            None => Err(Term::opaque(format!("from \"{shown}\", an action that is not in the file"))),
        }
    }

    fn joined(&self, pieces: Vec<Value>) -> Value {
        if self.burn(pieces.iter().map(|piece| piece.weight()).sum()) { Term::join(pieces) } else { too_much() }
    }

    fn same(&self, one: &Value, other: &Value) -> bool {
        let mut fuel = self.fuel.get();
        let same = same(one, other, &mut fuel);
        self.fuel.set(fuel);
        same
    }

    /// Takes from the budget; `false` when it is spent.
    fn burn(&self, amount: usize) -> bool {
        let left = self.fuel.get().checked_sub(amount);
        self.fuel.set(left.unwrap_or(0));
        left.is_some()
    }

    fn remark(&self, at: usize, words: String) {
        self.remarks.borrow_mut().insert((at, words));
    }
}

fn too_much() -> Value {
    Term::opaque("too much to follow: the flow puts texts together again and again")
}
