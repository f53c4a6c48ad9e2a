//! Terms: what is known of a value before the flow has run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::flow::ActionId;

/// How much a term may weigh. A flow in which values grow beyond this doubles them on purpose.
const HEAVIEST: usize = 20_000;

/// How deep a term may be nested. JSON of a flow is 100 deep at most, and an expression in it 64.
const DEEPEST: usize = 200;

/// So many bytes of text weigh as much as a term.
const BYTES: usize = 16;

/// Among how many values one may be chosen while the flow runs.
const MOST_ALTERNATIVES: usize = 64;

/// What a value is made of.
#[derive(Clone, PartialEq)]
pub(crate) enum Term {
    /// A null, a truth value, a number or a text that stands in the flow.
    Literal(Value),
    Object(BTreeMap<String, Self>),
    Array(Vec<Self>),
    /// Several texts, one after the other. Never one alone, never one in another, never two literals side by side.
    Text(Vec<Self>),
    /// What an action answers, or a part of that: `["body", "access_token"]`.
    Answer(ActionId, Vec<String>),
    /// All that is known of an action: its status, its inputs and outputs.
    Action(ActionId),
    /// A function whose value isn't known.
    Call(String, Vec<Self>),
    /// One of these; which one is decided while the flow runs.
    Either(Vec<Self>),
    /// What starts the flow brings it.
    Trigger,
    /// A parameter without a value in the file.
    Parameter(String),
    /// An item of what a loop goes through.
    Item,
    /// It isn't understood; why, in words that hold nothing secret.
    Unknown(String),
}

impl Term {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Literal(Value::String(text.into()))
    }

    pub(crate) fn null() -> Self {
        Self::Literal(Value::Null)
    }

    pub(crate) fn unknown(words: impl Into<String>) -> Self {
        Self::Unknown(words.into())
    }

    /// A literal text, or a literal number or truth value as a text shows it.
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Self::Literal(Value::String(text)) => Some(text.clone()),
            Self::Literal(Value::Null) => Some(String::new()),
            Self::Literal(Value::Number(number)) => Some(match number.as_f64() {
                // 3600.0 of an arithmetic is shown as 3600.
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
                _ => number.to_string(),
            }),
            Self::Literal(Value::Bool(true)) => Some("True".to_owned()),
            Self::Literal(Value::Bool(false)) => Some("False".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Literal(Value::Bool(truth)) => Some(*truth),
            _ => None,
        }
    }

    /// The texts one after the other, put together as far as they are known.
    pub(crate) fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut joined: Vec<Self> = Vec::new();
        let mut add = |part: Self| match (joined.last_mut(), part.as_text()) {
            (_, Some(text)) if text.is_empty() => {}
            (Some(Self::Literal(Value::String(before))), Some(text)) => before.push_str(&text),
            (_, Some(text)) => joined.push(Self::text(text)),
            (_, None) => joined.push(part),
        };
        for part in parts {
            match part {
                Self::Text(inner) => inner.into_iter().for_each(&mut add),
                other => add(other),
            }
        }
        match joined.len() {
            0 => Self::text(""),
            1 => joined.remove(0),
            _ => Self::Text(joined),
        }
    }

    /// One of several, without those that are the same.
    pub(crate) fn either(terms: impl IntoIterator<Item = Self>) -> Self {
        let mut different: Vec<Self> = Vec::new();
        let mut add = |term: Self| {
            if !different.contains(&term) {
                different.push(term);
            }
        };
        for term in terms {
            match term {
                Self::Either(inner) => inner.into_iter().for_each(&mut add),
                other => add(other),
            }
        }
        match different.len() {
            1 => different.remove(0),
            count if count > MOST_ALTERNATIVES => Self::unknown("one of very many values"),
            _ => Self::Either(different),
        }
    }

    /// A part of it: `term['key']`.
    pub(crate) fn part(self, key: &Self) -> Self {
        let Some(name) = key.as_text() else {
            return match self {
                unknown @ Self::Unknown(_) => unknown,
                other => Self::Call("[…]".to_owned(), vec![other, key.clone()]),
            };
        };
        match self {
            Self::Object(mut object) => {
                let found = object.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned();
                found.and_then(|found| object.remove(&found)).unwrap_or_else(Self::null)
            }
            Self::Array(mut items) => match name.parse::<usize>() {
                Ok(place) if place < items.len() => items.swap_remove(place),
                _ => Self::null(),
            },
            Self::Answer(action, mut path) => {
                // The designer writes `outputs('X')?['body/value']`.
                if path.is_empty() {
                    path.extend(name.split('/').map(str::to_owned));
                } else {
                    path.push(name);
                }
                Self::Answer(action, path)
            }
            Self::Either(terms) => Self::either(terms.into_iter().map(|term| term.part(key))),
            same @ (Self::Trigger | Self::Item | Self::Unknown(_)) => same,
            Self::Literal(Value::Null) => Self::null(),
            other => Self::Call("[…]".to_owned(), vec![other, key.clone()]),
        }
    }

    /// Takes what it weighs from the budget: its terms, and the bytes of its texts. False where that isn't enough, or where
    /// it is nested too deep.
    fn weigh(&self, budget: &mut usize, depth: usize) -> bool {
        let text = match self {
            Self::Literal(Value::String(text)) | Self::Unknown(text) | Self::Parameter(text) => text.len(),
            Self::Object(object) => object.keys().map(String::len).sum(),
            Self::Answer(_, path) => path.iter().map(String::len).sum(),
            _ => 0,
        };
        match budget.checked_sub(1 + text / BYTES) {
            Some(left) if depth < DEEPEST => {
                *budget = left;
                self.parts().all(|part| part.weigh(budget, depth + 1))
            }
            _ => false,
        }
    }

    /// What it weighs; no more than the most that a term may weigh.
    pub(crate) fn weight(&self) -> usize {
        let mut budget = HEAVIEST;
        if self.weigh(&mut budget, 0) { HEAVIEST - budget } else { HEAVIEST }
    }

    /// The term, unless it has grown out of all proportion.
    pub(crate) fn bounded(self) -> Self {
        let mut budget = HEAVIEST;
        if self.weigh(&mut budget, 0) { self } else { Self::grown() }
    }

    /// What stands for a value that has grown out of all proportion.
    pub(crate) fn grown() -> Self {
        Self::unknown("a value that grows beyond all measure")
    }

    /// What it is directly made of.
    pub(crate) fn parts(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Object(object) => Box::new(object.values()),
            Self::Array(parts) | Self::Text(parts) | Self::Call(_, parts) | Self::Either(parts) => {
                Box::new(parts.iter())
            }
            _ => Box::new(core::iter::empty()),
        }
    }

    /// Whether it, or anything that it is made of, passes the test.
    pub(crate) fn any(&self, test: &mut dyn FnMut(&Self) -> bool) -> bool {
        test(self) || self.parts().any(|part| part.any(test))
    }

    /// Calls `visit` with every answer of an action that it is made of.
    pub(crate) fn answers(&self, visit: &mut dyn FnMut(ActionId, &[String])) {
        match self {
            Self::Answer(action, path) => visit(*action, path),
            other => other.parts().for_each(|part| part.answers(visit)),
        }
    }

    /// Whether all of it stands in the flow.
    pub(crate) fn is_literal(&self) -> bool {
        !self.any(&mut |term| !matches!(term, Self::Literal(_) | Self::Object(_) | Self::Array(_)))
    }
}

/// Where values stand in a text that is read by another grammar, JSON or that of forms.
const MARK: char = '\u{E000}';
const MARK_END: char = '\u{E001}';

/// The text with a mark in place of each value that isn't known, and those values.
pub(crate) fn marked(term: &Term) -> Option<(String, Vec<Term>)> {
    let parts = match term {
        Term::Text(parts) => parts.as_slice(),
        Term::Literal(Value::String(_)) => core::slice::from_ref(term),
        _ => return None,
    };
    let (mut text, mut values) = (String::new(), Vec::new());
    for part in parts {
        match part.as_text() {
            Some(literal) if literal.contains([MARK, MARK_END]) => return None,
            Some(literal) => text.push_str(&literal),
            None => {
                text.push_str(&format!("{MARK}{}{MARK_END}", values.len()));
                values.push(part.clone());
            }
        }
    }
    Some((text, values))
}

/// The reverse of [`marked`]: the text with its values.
pub(crate) fn unmarked(text: &str, values: &[Term]) -> Term {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        parts.push(Term::text(&rest[..at]));
        let after = &rest[at + MARK.len_utf8()..];
        let Some((number, behind)) = after.split_once(MARK_END) else { break };
        let value = number.parse::<usize>().ok().and_then(|number| values.get(number));
        parts.push(value.cloned().unwrap_or_else(Term::null));
        rest = behind;
    }
    parts.push(Term::text(rest));
    Term::joined(parts)
}

/// What a JSON text is, with the values that stand in it. A text that is no JSON isn't understood.
pub(crate) fn parsed(term: Term) -> Term {
    match &term {
        Term::Text(_) | Term::Literal(Value::String(_)) => {
            let Some((text, values)) = marked(&term) else { return Term::unknown("a text that should be JSON") };
            // A value that stands alone, without quotation marks, is one of its own: `{"expires": @{…}}`.
            let quoted = quote_bare_marks(&text);
            match serde_json::from_str::<Value>(&quoted) {
                Ok(value) => of_json(&value, &values),
                Err(_) => Term::unknown("a text that should be JSON"),
            }
        }
        Term::Call(name, arguments) if name == "string" && arguments.len() == 1 => arguments[0].clone(),
        _ => term,
    }
}

fn quote_bare_marks(text: &str) -> String {
    let (mut quoted, mut in_string, mut escaped) = (String::new(), false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        match letter {
            MARK if !in_string => quoted.extend(['"', MARK]),
            MARK_END if !in_string => quoted.extend([MARK_END, '"']),
            other => quoted.push(other),
        }
    }
    quoted
}

fn of_json(value: &Value, values: &[Term]) -> Term {
    match value {
        Value::String(text) => unmarked(text, values),
        Value::Array(items) => Term::Array(items.iter().map(|item| of_json(item, values)).collect()),
        Value::Object(object) => {
            Term::Object(object.iter().map(|(key, item)| (key.clone(), of_json(item, values))).collect())
        }
        other => Term::Literal(other.clone()),
    }
}
