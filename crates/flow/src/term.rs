//! Where a value comes from. Nothing is evaluated: a term says of which parts a value is made.

use std::collections::BTreeMap;
use std::rc::Rc;

/// A shared term.
pub(crate) type Value = Rc<Node>;

/// A term and how deep it nests: what is deeper than [`DEPTH`] is cut off, so that nothing recursive can run out of stack.
pub(crate) struct Node {
    term: Term,
    depth: u16,
}

/// How deep terms may nest. Texts put together stay flat.
const DEPTH: u16 = 200;

impl core::ops::Deref for Node {
    type Target = Term;

    fn deref(&self) -> &Term {
        &self.term
    }
}

/// A term to be shared.
pub(crate) fn node(term: Term) -> Value {
    let deepest = |values: &mut dyn Iterator<Item = &Value>| values.map(|value| value.depth).max().unwrap_or(0) + 1;
    let depth = match &term {
        Term::Join(parts) | Term::List(parts) | Term::Call { arguments: parts, .. } => deepest(&mut parts.iter()),
        Term::Object(members) => deepest(&mut members.values()),
        _ => 0,
    };
    if depth > DEPTH {
        return Term::opaque("nested too deep to follow");
    }
    Rc::new(Node { term, depth })
}

/// Whether two terms are the same, as far as `budget` steps can tell.
pub(crate) fn same(one: &Value, other: &Value, budget: &mut usize) -> bool {
    if Rc::ptr_eq(one, other) {
        return true;
    }
    if *budget == 0 {
        return false;
    }
    *budget -= 1;
    let all = |left: &[Value], right: &[Value], budget: &mut usize| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right, budget))
    };
    match (&***one, &***other) {
        (Term::Text(a), Term::Text(b)) | (Term::Number(a), Term::Number(b)) | (Term::Setting(a), Term::Setting(b)) => {
            a == b
        }
        (Term::Truth(a), Term::Truth(b)) => a == b,
        (Term::Null, Term::Null) => true,
        (Term::Secret { place: a, .. }, Term::Secret { place: b, .. }) => a == b,
        (Term::Answer { action: a, path: p }, Term::Answer { action: b, path: q }) => a == b && p == q,
        (Term::Join(a), Term::Join(b)) | (Term::List(a), Term::List(b)) => all(a, b, budget),
        (Term::Call { name: f, arguments: a }, Term::Call { name: g, arguments: b }) => f == g && all(a, b, budget),
        (Term::Object(a), Term::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, left), (l, right))| k == l && same(left, right, budget))
        }
        // Two times are two moments, and what isn't understood is nothing's equal.
        _ => false,
    }
}

/// A value's origin. It may hold a secret in clear text, and so can't be printed.
pub(crate) enum Term {
    Text(String),
    Number(String),
    Truth(bool),
    Null,
    /// The value of a secret, as the action with this index reads it.
    Secret {
        read_by: usize,
        place: SecretPlace,
    },
    /// A part of what an action put out, from `outputs('…')` on: `["body", "access_token"]`.
    Answer {
        action: usize,
        path: Vec<String>,
    },
    /// A parameter or setting whose value isn't in the file.
    Setting(String),
    /// The time of the run.
    Now,
    /// A text made of these pieces. One piece means that something was made a text.
    Join(Vec<Value>),
    /// A function that isn't followed further, its name in lower case.
    Call {
        name: String,
        arguments: Vec<Value>,
    },
    Object(BTreeMap<String, Value>),
    List(Vec<Value>),
    /// Not followed; why, in words that fit after "it is".
    Opaque(String),
}

/// A secret's name and the vault that it is in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SecretPlace {
    pub(crate) vault: Vault,
    pub(crate) name: String,
}

/// A vault, as far as a flow says which.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Vault {
    /// Its host, in lower case, with the port if there is one.
    Host(String),
    /// The one that a connection of this name leads to.
    Connection(String),
    /// An environment variable of type secret leads to it.
    EnvironmentVariable,
    /// Not said; why, in words.
    Unknown(String),
}

impl Term {
    pub(crate) fn text(text: impl Into<String>) -> Value {
        node(Self::Text(text.into()))
    }

    pub(crate) fn opaque(why: impl Into<String>) -> Value {
        Rc::new(Node { term: Self::Opaque(why.into()), depth: 0 })
    }

    pub(crate) fn call(name: &str, arguments: Vec<Value>) -> Value {
        node(Self::Call { name: name.to_owned(), arguments })
    }

    /// The pieces as one text: joins in joins are opened, texts side by side become one.
    pub(crate) fn join(pieces: impl IntoIterator<Item = Value>) -> Value {
        let mut joined: Vec<Value> = Vec::new();
        let mut text = String::new();
        let mut add = |piece: &Value, joined: &mut Vec<Value>| match &***piece {
            Self::Text(more) | Self::Number(more) => text.push_str(more),
            Self::Truth(truth) => text.push_str(if *truth { "True" } else { "False" }),
            Self::Null => {}
            _ => {
                if !text.is_empty() {
                    joined.push(Self::text(core::mem::take(&mut text)));
                }
                joined.push(Rc::clone(piece));
            }
        };
        for piece in pieces {
            match &*piece {
                Self::Join(inner) => inner.iter().for_each(|piece| add(piece, &mut joined)),
                _ => add(&piece, &mut joined),
            }
        }
        if joined.is_empty() {
            return Self::text(text);
        }
        if !text.is_empty() {
            joined.push(Self::text(text));
        }
        node(Self::Join(joined))
    }

    /// How much work it is to copy the term's own level: what the tracer's fuel is charged.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Opaque(text) | Self::Setting(text) => 1 + text.len() / 16,
            Self::Join(parts) | Self::List(parts) => 1 + parts.iter().map(|part| part.own()).sum::<usize>(),
            Self::Object(members) => 1 + members.len(),
            Self::Answer { path, .. } => 1 + path.len(),
            Self::Call { arguments, .. } => 1 + arguments.len(),
            _ => 1,
        }
    }

    fn own(&self) -> usize {
        if let Self::Text(text) = self { 1 + text.len() / 16 } else { 1 }
    }

    /// The term's text, if it is fixed.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is nothing: no value, or an empty text.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Null) || matches!(self, Self::Text(text) if text.is_empty())
    }

    /// What the value is, in words that fit after "it is". Fixed texts are never shown: one may be a secret.
    pub(crate) fn words(&self, action_place: &dyn Fn(usize) -> String) -> String {
        match self {
            Self::Text(_) | Self::Number(_) | Self::Truth(_) => "a fixed value".to_owned(),
            Self::Null => "empty".to_owned(),
            Self::Secret { place, .. } => format!("the secret \"{}\"", crate::words::plain(&place.name)),
            Self::Answer { action, path } => {
                let path: Vec<&str> = path.iter().skip_while(|part| *part == "body").map(String::as_str).collect();
                let place = action_place(*action);
                if path.is_empty() {
                    format!("the whole answer of \"{place}\"")
                } else {
                    format!("\"{}\" in the answer of \"{place}\"", crate::words::plain(&path.join(".")))
                }
            }
            Self::Setting(name) => {
                format!("the parameter \"{}\", whose value is not in the file", crate::words::plain(name))
            }
            Self::Now => "the time of the run".to_owned(),
            Self::Join(parts) => match parts.iter().find(|part| part.fixed().is_none()) {
                Some(part) if parts.len() == 1 => part.words(action_place),
                Some(part) => {
                    format!("a text put together from several pieces, among them {}", part.words(action_place))
                }
                None => "a fixed value".to_owned(),
            },
            Self::Call { name, .. } => format!("made by {name}(), which is not followed"),
            Self::Object(_) => "an object".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Opaque(why) => why.clone(),
        }
    }
}

/// Strips what only makes a text of something: `@{x}`, `string(x)`.
pub(crate) fn bare(value: &Value) -> &Value {
    match &***value {
        Term::Join(parts) if parts.len() == 1 => &parts[0],
        _ => value,
    }
}

/// Calls `each` for every term inside of the value and for itself.
///
/// Terms share parts, so a part may be met often; `budget` bounds the steps.
pub(crate) fn walk(value: &Value, budget: &mut usize, each: &mut dyn FnMut(&Value)) {
    if *budget == 0 {
        return;
    }
    *budget -= 1;
    each(value);
    match value {
        Term::Join(parts) | Term::List(parts) | Term::Call { arguments: parts, .. } => {
            parts.iter().for_each(|part| walk(part, budget, each));
        }
        Term::Object(members) => members.values().for_each(|part| walk(part, budget, each)),
        _ => {}
    }
}
