//! Variables: which assignment a use sees. Where two could be seen the answer is that, and never a guess.

use std::rc::Rc;

use serde_json::Value as Json;

use super::{Trace, too_much};
use crate::flow::Kind;
use crate::order::Relation;
use crate::term::{Term, Value, node};
use crate::words::{plain, series};

/// The variables that an action assigns to, in lower case.
pub(super) fn names(inputs: &Json) -> Vec<String> {
    let name = |value: &Json| value.get("name").and_then(Json::as_str).map(str::to_lowercase);
    let several = inputs.get("variables").and_then(Json::as_array).into_iter().flatten().filter_map(name);
    name(inputs).into_iter().chain(several).collect()
}

impl Trace<'_> {
    /// What a variable holds when the action `at` looks at it.
    pub(super) fn variable(&self, at: usize, name: &str) -> Value {
        let shown = plain(name);
        let Some(all) = self.assignments.get(&name.to_lowercase()) else {
            return Term::opaque(format!("the variable \"{shown}\", which no action in the file sets"));
        };
        let mut seen = Vec::new();
        let mut kills = Vec::new();
        for one in all.iter().copied().filter(|one| *one != at) {
            match self.order.relation(one, at) {
                Relation::Beside => {
                    return Term::opaque(format!(
                        "the variable \"{shown}\", which \"{}\" sets without a fixed order to \"{}\"",
                        self.place(one),
                        self.place(at)
                    ));
                }
                Relation::Before { sure } => {
                    seen.push((one, sure));
                    if sure {
                        kills.push(one);
                    }
                }
                Relation::After | Relation::Excluded => {}
            }
        }
        // What a later action of a loop sets, the next pass sees. An action sees its own from the last pass too.
        for one in all.iter().copied() {
            if seen.iter().any(|(other, _)| *other == one) {
                continue;
            }
            let Some(outer) = self.order.loops(at).find(|outer| self.order.is_within(one, *outer)) else { continue };
            if !kills.iter().any(|kill| self.order.is_within(*kill, outer)) {
                seen.push((one, false));
            }
        }
        if let Some(outer) = self.order.loops(at).find(|outer| {
            let outer_action = self.action(*outer);
            outer_action.kind == Kind::Foreach
                && !outer_action.sequential
                && all.iter().any(|one| self.order.is_within(*one, *outer))
        }) {
            return Term::opaque(format!(
                "the variable \"{shown}\", set in the loop \"{}\", whose passes may run at the same time",
                self.place(outer)
            ));
        }
        // A sure assignment hides all that run before it: an append too, whose value holds what was there. Last ones
        // first: they hide the most.
        kills.reverse();
        seen.retain(|(one, _)| {
            !kills.iter().any(|kill| {
                kill != one && self.burn(1) && matches!(self.order.relation(*one, *kill), Relation::Before { .. })
            })
        });
        let mut values: Vec<(usize, Value)> = seen.iter().map(|(one, _)| (*one, self.value_of(*one, name))).collect();
        let sure = seen.iter().any(|(_, sure)| *sure);
        match values.as_slice() {
            [] => Term::opaque(format!("the variable \"{shown}\", which is not set before")),
            [(_, value)] if sure => Rc::clone(value),
            [(only, _)] => Term::opaque(format!(
                "the variable \"{shown}\", which \"{}\" sets only under a condition",
                self.place(*only)
            )),
            [(_, first), rest @ ..] => {
                if sure && rest.iter().all(|(_, other)| self.same(other, first)) {
                    return Rc::clone(first);
                }
                values.sort_by_key(|(one, _)| self.place(*one));
                let mut places: Vec<String> =
                    values.iter().take(3).map(|(one, _)| format!("\"{}\"", self.place(*one))).collect();
                if values.len() > places.len() {
                    places.push("others".to_owned());
                }
                Term::opaque(format!("the variable \"{shown}\", which may come from {}", series(&places, "or")))
            }
        }
    }

    /// What an assignment makes of its variable.
    pub(super) fn assigned(&self, index: usize) -> Value {
        let action = self.action(index);
        match action.kind {
            Kind::InitializeVariable => {
                let names = names(&action.inputs);
                match names.as_slice() {
                    [name] => self.value_of_initial(index, name),
                    _ => node(Term::Null),
                }
            }
            Kind::SetVariable => self.value(index, &action.inputs["value"]),
            Kind::AppendToString => {
                let name = names(&action.inputs).pop().unwrap_or_default();
                let (before, more) = (self.variable(index, &name), self.value(index, &action.inputs["value"]));
                if let Term::Opaque(_) = &*before { before } else { self.joined(vec![before, more]) }
            }
            _ => {
                Term::opaque(format!("a variable that \"{}\" changes in a way that is not followed", self.place(index)))
            }
        }
    }

    /// What a variable holds after an assignment. One InitializeVariable may set several.
    fn value_of(&self, index: usize, name: &str) -> Value {
        if !self.burn(1) {
            return too_much();
        }
        match self.action(index).kind {
            Kind::InitializeVariable => self.value_of_initial(index, &name.to_lowercase()),
            _ => self.made(index),
        }
    }

    fn value_of_initial(&self, index: usize, name: &str) -> Value {
        let inputs = &self.action(index).inputs;
        let all = inputs.get("variables").and_then(Json::as_array);
        let variable =
            all.into_iter().flatten().chain([inputs]).find(|variable| {
                variable.get("name").and_then(Json::as_str).is_some_and(|own| own.to_lowercase() == name)
            });
        variable
            .and_then(|variable| variable.get("value"))
            .map_or_else(|| node(Term::Null), |value| self.value(index, value))
    }
}
