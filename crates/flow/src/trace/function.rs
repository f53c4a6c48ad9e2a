//! Functions of the Workflow Definition Language: those that pass data on, and the names of the others.

use std::rc::Rc;

use super::Trace;
use crate::expression::Expression;
use crate::pieces;
use crate::term::{Term, Value, bare, node};
use crate::words::plain;

impl Trace<'_> {
    pub(super) fn call(&self, at: usize, written: &str, arguments: &[Expression]) -> Value {
        let name = written.to_ascii_lowercase();
        let mut values: Vec<Value> = arguments.iter().map(|argument| self.expression(at, argument)).collect();
        match (name.as_str(), values.as_slice()) {
            ("body" | "outputs" | "actions", [of]) => self.action_part(at, &name, of),
            ("variables", [of]) => match of.fixed() {
                Some(variable) => self.variable(at, variable),
                None => Term::opaque("a variable whose name is not fixed"),
            },
            ("parameters", [of]) => self.parameter(at, of),
            ("appsetting", [of]) => {
                node(Term::Setting(of.fixed().map_or_else(|| "app setting".to_owned(), str::to_owned)))
            }
            (
                "triggerbody" | "triggeroutputs" | "trigger" | "triggerformdatavalue" | "triggerformdatamultivalues",
                _,
            ) => Term::opaque("data of the trigger"),
            ("item" | "items", _) => Term::opaque("the current item of a loop"),
            ("utcnow", _) => node(Term::Now),
            ("concat", _) => self.joined(values),
            // One piece, so that it stays known that a text was made.
            ("string", [_]) => self.joined(values),
            ("json", [text]) => self.parsed(text),
            ("int" | "float" | "decimal", [number]) => Rc::clone(bare(number)),
            ("coalesce", _) => self.first_of(values),
            ("if", [_, yes, no]) => {
                if self.same(yes, no) {
                    Rc::clone(yes)
                } else {
                    Term::opaque("one of two values, depending on a condition")
                }
            }
            ("uricomponent" | "encodeuricomponent", [of]) => match of.fixed() {
                Some(text) if text.chars().all(pieces::is_unreserved) => Rc::clone(of),
                _ => Term::call(pieces::ENCODED, values),
            },
            ("uricomponenttostring" | "decodeuricomponent", [of]) => pieces::decoded(of, false),
            ("base64tostring" | "decodebase64", [of]) => match &***bare(of) {
                Term::Call { name, arguments } if name == "base64" && arguments.len() == 1 => Rc::clone(&arguments[0]),
                _ => Term::call(&name, values),
            },
            ("first", [of]) => self.part(of, &node(Term::Number("0".to_owned()))),
            ("createarray", _) => node(Term::List(values)),
            ("setproperty" | "addproperty", [of, key, value]) => match (&***of, key.fixed()) {
                (Term::Object(members), Some(key)) if self.burn(of.weight()) => {
                    let mut members: std::collections::BTreeMap<String, Value> =
                        members.iter().map(|(name, member)| (name.clone(), Rc::clone(member))).collect();
                    members.insert(key.to_owned(), Rc::clone(value));
                    node(Term::Object(members))
                }
                _ => Term::call(&name, values),
            },
            _ if FUNCTIONS.binary_search(&name.as_str()).is_ok() => Term::call(&name, core::mem::take(&mut values)),
            _ => {
                let words = format!("made by {}(), which is no function of this language", plain(written));
                self.remark(at, format!("{}() is no function of the Workflow Definition Language", plain(written)));
                Term::opaque(words)
            }
        }
    }

    fn action_part(&self, at: usize, function: &str, of: &Value) -> Value {
        let Some(name) = of.fixed() else {
            return Term::opaque("the answer of an action whose name is not fixed");
        };
        match (self.reference(at, name), function) {
            (Err(why), _) => why,
            (Ok(index), "body") => self.answer(index, vec!["body".to_owned()]),
            (Ok(index), "outputs") => self.whole(index),
            // `actions('Get').outputs.body`
            (Ok(index), _) => node(Term::Object(
                [
                    ("outputs".to_owned(), self.whole(index)),
                    ("status".to_owned(), node(Term::Answer { action: index, path: vec!["status".to_owned()] })),
                ]
                .into(),
            )),
        }
    }

    /// All that an action put out: for a composed or parsed value, that value.
    fn whole(&self, index: usize) -> Value {
        let answer = self.answer(index, Vec::new());
        match &*answer {
            Term::Answer { .. } | Term::Opaque(_) => answer,
            // `outputs('Parse')?['body']?['token']` goes through a body that the value itself doesn't have.
            Term::Object(members) if !members.contains_key("body") && self.burn(answer.weight()) => {
                let mut members: std::collections::BTreeMap<String, Value> =
                    members.iter().map(|(name, member)| (name.clone(), Rc::clone(member))).collect();
                members.insert("body".to_owned(), Rc::clone(&answer));
                node(Term::Object(members))
            }
            _ => answer,
        }
    }

    fn parameter(&self, at: usize, of: &Value) -> Value {
        let Some(name) = of.fixed() else {
            return Term::opaque("a parameter whose name is not fixed");
        };
        match self.flow.parameters.get(&name.to_lowercase()) {
            Some(value) => self.literal(at, value, 0),
            None => node(Term::Setting(name.to_owned())),
        }
    }

    /// A parameter's value. It may name another parameter; a few steps are followed.
    fn literal(&self, at: usize, value: &serde_json::Value, steps: usize) -> Value {
        match value
            .as_str()
            .and_then(|text| text.strip_prefix("@parameters('"))
            .and_then(|rest| rest.strip_suffix("')"))
        {
            Some(name) => match self.flow.parameters.get(&name.replace("''", "'").to_lowercase()) {
                Some(value) if steps < 8 => self.literal(at, value, steps + 1),
                _ => node(Term::Setting(name.replace("''", "'"))),
            },
            None => self.value_as_is(value),
        }
    }

    /// A value in which an `@` means nothing.
    fn value_as_is(&self, json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        if !self.burn(1) {
            return super::too_much();
        }
        match json {
            Json::String(text) => Term::text(text.as_str()),
            Json::Array(list) => node(Term::List(list.iter().map(|one| self.value_as_is(one)).collect())),
            Json::Object(map) => {
                node(Term::Object(map.iter().map(|(key, one)| (key.clone(), self.value_as_is(one))).collect()))
            }
            Json::Number(number) => node(Term::Number(number.to_string())),
            Json::Bool(truth) => node(Term::Truth(*truth)),
            Json::Null => node(Term::Null),
        }
    }

    fn first_of(&self, values: Vec<Value>) -> Value {
        let mut kept = values.into_iter().filter(|value| !value.is_empty());
        match (kept.next(), kept.next()) {
            (None, _) => node(Term::Null),
            (Some(one), None) => one,
            (Some(one), Some(_)) if one.fixed().is_some() => one,
            _ => Term::opaque("the first of several values that is not empty"),
        }
    }

    /// What `json()` and Parse JSON make of a value: a text is taken apart, an answer's body is already.
    pub(super) fn parsed(&self, value: &Value) -> Value {
        if !self.burn(value.weight()) {
            return super::too_much();
        }
        match &***bare(value) {
            Term::Text(_) | Term::Join(_) => {
                pieces::json(value).unwrap_or_else(|| Term::opaque("made from a text that is not JSON"))
            }
            Term::Secret { place, .. } => {
                Term::opaque(format!("a part of the secret \"{}\", which holds JSON", plain(&place.name)))
            }
            _ => Rc::clone(bare(value)),
        }
    }

    /// What an action of the kind Expression makes: the designer's actions for dates.
    pub(super) fn time(&self, index: usize) -> Value {
        let action = self.action(index);
        let input = |name: &str| self.value(index, &action.inputs[name]);
        match action.variant.as_str() {
            "currenttime" => node(Term::Now),
            "getfuturetime" => Term::call("getfuturetime", vec![input("interval"), input("timeUnit")]),
            "addtotime" => Term::call("addtotime", vec![input("baseTime"), input("interval"), input("timeUnit")]),
            _ => Term::opaque(format!("made by \"{}\", which is not followed", self.place(index))),
        }
    }
}

/// The other functions of the language, in order. What they make isn't followed, except where a time is recognised.
const FUNCTIONS: &[&str] = &[
    "action",
    "actionbody",
    "actionoutputs",
    "add",
    "adddays",
    "addhours",
    "addminutes",
    "addproperty",
    "addseconds",
    "addtotime",
    "and",
    "array",
    "base64",
    "base64tobinary",
    "base64tostring",
    "binary",
    "bool",
    "chunk",
    "contains",
    "convertfromutc",
    "converttimezone",
    "converttoutc",
    "createarray",
    "datauri",
    "datauritobinary",
    "datauritostring",
    "datedifference",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "decimal",
    "decodebase64",
    "decodedatauri",
    "div",
    "empty",
    "encodexmlvalue",
    "endswith",
    "equals",
    "formatdatetime",
    "formatnumber",
    "formdatamultivalues",
    "formdatavalue",
    "getfuturetime",
    "getpasttime",
    "greater",
    "greaterorequals",
    "guid",
    "indexof",
    "int",
    "intersection",
    "isfloat",
    "isint",
    "iterationindexes",
    "join",
    "last",
    "lastindexof",
    "length",
    "less",
    "lessorequals",
    "listcallbackurl",
    "max",
    "min",
    "mod",
    "mul",
    "multipartbody",
    "newline",
    "not",
    "nthindexof",
    "or",
    "parsedatetime",
    "rand",
    "range",
    "removeproperty",
    "replace",
    "result",
    "reverse",
    "skip",
    "slice",
    "sort",
    "split",
    "startofday",
    "startofhour",
    "startofmonth",
    "startswith",
    "sub",
    "substring",
    "subtractfromtime",
    "sum",
    "take",
    "ticks",
    "tolower",
    "toupper",
    "trim",
    "union",
    "urihost",
    "uripath",
    "uripathandquery",
    "uriport",
    "uriquery",
    "urischeme",
    "utf8length",
    "workflow",
    "xml",
    "xpath",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_functions_stand_in_order() {
        assert!(super::FUNCTIONS.is_sorted());
    }
}
