//! The functions of the Workflow Definition Language, as far as their value is known before the flow runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::term::{Term, parsed};

/// The longest text, in bytes, that is changed or taken apart.
const LONGEST: usize = 10_000;

/// Functions that the language has, of which no value is known here. What isn't in this list and not handled below isn't a
/// function of the language, as far as we know.
const OPAQUE: &[&str] = &[
    "ticks",
    "utcnow",
    "addseconds",
    "addminutes",
    "addhours",
    "adddays",
    "addtotime",
    "subtractfromtime",
    "getfuturetime",
    "getpasttime",
    "formatdatetime",
    "parsedatetime",
    "converttimezone",
    "converttoutc",
    "convertfromutc",
    "datedifference",
    "startofday",
    "startofhour",
    "startofmonth",
    "dayofweek",
    "dayofmonth",
    "dayofyear",
    "date",
    "guid",
    "rand",
    "range",
    "equals",
    "greater",
    "greaterorequals",
    "less",
    "lessorequals",
    "not",
    "and",
    "or",
    "empty",
    "contains",
    "startswith",
    "endswith",
    "length",
    "indexof",
    "lastindexof",
    "nthindexof",
    "isint",
    "isfloat",
    "mod",
    "min",
    "max",
    "split",
    "join",
    "skip",
    "take",
    "reverse",
    "sort",
    "chunk",
    "intersection",
    "union",
    "workflow",
    "result",
    "listcallbackurl",
    "iterationindexes",
    "xml",
    "xpath",
    "slice",
    "substring",
    "replace",
    "toupper",
    "tolower",
    "formatnumber",
    "binary",
    "datauri",
    "datauritobinary",
    "datauritostring",
    "decodedatauri",
    "base64tobinary",
    "decodebase64",
    "base64tostring",
    "uricomponenttobinary",
    "actionbody",
    "actionoutputs",
    "multipartbody",
    "formdatamultivalues",
    "formdatavalue",
    "triggermultipartbody",
    "triggerformdatavalue",
    "triggerformdatamultivalues",
    "item",
    "items",
    "last",
    "float",
    "bool",
    "removeproperty",
    "decimal",
    "appsetting",
    "array",
    "adduserscontext",
    "normalize",
    "local",
    "uripath",
    "urihost",
    "uriport",
    "uriquery",
    "urischeme",
    "uripathandquery",
    "uricomponenttostring",
];

/// The value of a pure function, as far as it is known.
pub(crate) fn apply(name: &str, mut arguments: Vec<Term>) -> Term {
    // What isn't understood in an argument isn't understood in the whole.
    if let Some(unknown) = arguments.iter().find(|term| matches!(term, Term::Unknown(_)))
        && !matches!(name, "coalesce" | "if")
    {
        return unknown.clone();
    }
    match (name, arguments.len()) {
        ("concat", _) => Term::joined(arguments),
        ("string" | "int" | "float" | "decimal", 1) => converted(name, arguments.remove(0)),
        ("json", 1) => parsed(arguments.remove(0)),
        ("trim", 1) => match arguments[0].as_text() {
            Some(text) => Term::text(text.trim()),
            // A token with blanks around it is no token.
            None => arguments.remove(0),
        },
        ("encodeuricomponent" | "uricomponent" | "encodeuri", 1) => match arguments[0].as_text() {
            Some(text) => Term::text(encoded(&text)),
            None => Term::Call("uricomponent".to_owned(), arguments),
        },
        ("decodeuricomponent" | "uricomponenttostring", 1) => match arguments.remove(0) {
            Term::Call(name, mut inner) if name == "uricomponent" => inner.remove(0),
            other => Term::Call(name.to_owned(), vec![other]),
        },
        ("base64" | "encodebase64", 1) => match arguments[0].as_text() {
            Some(text) => Term::text(STANDARD.encode(text)),
            None => Term::Call("base64".to_owned(), arguments),
        },
        ("base64tostring" | "decodebase64", 1) => match arguments.remove(0) {
            Term::Call(name, mut inner) if name == "base64" => inner.remove(0),
            other => match other.as_text().and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok()) {
                Some(text) => Term::text(text),
                None => Term::Call(name.to_owned(), vec![other]),
            },
        },
        ("tolower" | "toupper", 1) if arguments[0].as_text().is_some() => {
            let text = arguments[0].as_text().unwrap_or_default();
            Term::text(if name == "tolower" { text.to_lowercase() } else { text.to_uppercase() })
        }
        ("replace", 3) => match (arguments[0].as_text(), arguments[1].as_text(), arguments[2].as_text()) {
            (Some(text), Some(from), Some(to))
                if !from.is_empty() && text.len() + text.matches(&from).count() * to.len() < LONGEST =>
            {
                Term::text(text.replace(&from, &to))
            }
            _ => Term::Call(name.to_owned(), arguments),
        },
        ("substring", 2..=3) => substring(arguments),
        ("split", 2) => match (arguments[0].as_text(), arguments[1].as_text()) {
            (Some(text), Some(by)) if !by.is_empty() && text.len() < LONGEST => {
                Term::Array(text.split(by.as_str()).map(Term::text).collect())
            }
            _ => Term::Call(name.to_owned(), arguments),
        },
        ("join", 2) => match (arguments.remove(0), arguments.remove(0)) {
            (Term::Array(items), between) => {
                let between = |at: usize| (at > 0).then(|| between.clone());
                Term::joined(items.into_iter().enumerate().flat_map(|(at, item)| [between(at), Some(item)]).flatten())
            }
            (one, other) => Term::Call(name.to_owned(), vec![one, other]),
        },
        ("createarray", _) => Term::Array(arguments),
        ("array", 1) => Term::Array(arguments),
        ("first", 1) => arguments.remove(0).part(&Term::Literal(0.into())),
        ("last", 1) => match arguments.remove(0) {
            Term::Array(mut items) => items.pop().unwrap_or_else(Term::null),
            other => Term::Call(name.to_owned(), vec![other]),
        },
        ("coalesce", _) => coalesced(arguments),
        ("if", 3) => match arguments.remove(0) {
            Term::Literal(Value::Bool(decided)) => arguments.swap_remove(usize::from(!decided)),
            _ => Term::either(arguments),
        },
        ("equals", 2) if arguments.iter().all(Term::is_literal) => {
            Term::Literal(Value::Bool(arguments[0] == arguments[1]))
        }
        ("setproperty" | "addproperty", 3) => match (arguments.remove(0), arguments[0].as_text()) {
            (Term::Object(mut object), Some(key)) => {
                object.insert(key, arguments.remove(1));
                Term::Object(object)
            }
            (other, _) => Term::Call(name.to_owned(), core::iter::once(other).chain(arguments).collect()),
        },
        ("removeproperty", 2) => match (arguments.remove(0), arguments[0].as_text()) {
            (Term::Object(mut object), Some(key)) => {
                object.remove(&key);
                Term::Object(object)
            }
            (other, _) => Term::Call(name.to_owned(), core::iter::once(other).chain(arguments).collect()),
        },
        ("union", 2) => match (arguments.remove(0), arguments.remove(0)) {
            (Term::Object(mut first), Term::Object(second)) => {
                first.extend(second);
                Term::Object(first)
            }
            (one, other) => Term::Call(name.to_owned(), vec![one, other]),
        },
        ("add" | "sub" | "mul" | "div", 2) => match (number(&arguments[0]), number(&arguments[1])) {
            (Some(one), Some(other)) => calculated(name, one, other),
            _ => Term::Call(name.to_owned(), arguments),
        },
        _ if OPAQUE.contains(&name) => Term::Call(name.to_owned(), arguments),
        _ => Term::unknown(format!("the function `{}`, which Vestal doesn't know", named(name))),
    }
    .bounded()
}

/// A function's name for people: what isn't a name isn't shown.
fn named(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric() || *letter == '_').take(40).collect()
}

fn converted(name: &str, term: Term) -> Term {
    match (&term, name) {
        // As the designer's own sample has it, a number may be a text.
        (Term::Literal(Value::String(text)), "int" | "float" | "decimal") => match text.trim().parse::<f64>() {
            Ok(number) => Term::Literal(number.into()),
            Err(_) => Term::unknown("a number that isn't one"),
        },
        (Term::Literal(Value::Number(_) | Value::Bool(_)), "string") => Term::text(term.as_text().unwrap_or_default()),
        // The same value, written differently.
        (Term::Object(_) | Term::Array(_), "string") => Term::Call(name.to_owned(), vec![term]),
        _ => term,
    }
}

pub(crate) fn number(term: &Term) -> Option<f64> {
    match term {
        Term::Literal(Value::Number(number)) => number.as_f64(),
        Term::Literal(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    }
}

fn calculated(name: &str, one: f64, other: f64) -> Term {
    let value = match name {
        "add" => one + other,
        "sub" => one - other,
        "mul" => one * other,
        _ if other == 0.0 => return Term::unknown("a division by zero"),
        // Of whole numbers, the language divides without a rest.
        _ if one.fract() == 0.0 && other.fract() == 0.0 => (one / other).trunc(),
        _ => one / other,
    };
    Term::Literal(value.into())
}

fn substring(arguments: Vec<Term>) -> Term {
    let start = number(&arguments[1]).filter(|start| *start >= 0.0);
    let length = arguments.get(2).map_or(Some(f64::MAX), number).filter(|length| *length >= 0.0);
    match (arguments[0].as_text(), start, length) {
        (Some(text), Some(start), Some(length)) => {
            let whole = |number: f64| if number < 1e9 { number as usize } else { usize::MAX };
            Term::text(text.chars().skip(whole(start)).take(whole(length)).collect::<String>())
        }
        _ => Term::Call("substring".to_owned(), arguments),
    }
}

/// The first that is there. A literal that is only a fallback for what an action answers doesn't count.
fn coalesced(arguments: Vec<Term>) -> Term {
    let is_empty = |term: &Term| term.as_text().is_some_and(|text| text.is_empty());
    let mut there: Vec<Term> = arguments.into_iter().filter(|term| !is_empty(term)).collect();
    match there.first() {
        None => Term::null(),
        Some(Term::Literal(_)) => there.remove(0),
        Some(_) => Term::either(there),
    }
}

/// As `encodeURIComponent` does it.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~!*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
