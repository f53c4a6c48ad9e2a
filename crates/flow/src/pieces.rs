//! Texts of which only parts are known: split at a sign, percent-decoded, or read as JSON with holes in it.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::read::{JSON_DEPTH, depth};
use crate::term::{Term, Value, bare, node};

/// The name of the call that percent-encodes its argument.
pub(crate) const ENCODED: &str = "encodeuricomponent";

/// The pieces of a text.
pub(crate) fn pieces(value: &Value) -> Vec<Value> {
    match &***value {
        Term::Join(parts) => parts.clone(),
        _ => vec![Rc::clone(value)],
    }
}

/// The text before and after the first place where `sign` stands in a fixed piece.
pub(crate) fn split_once(value: &Value, sign: &str) -> Option<(Value, Value)> {
    let pieces = pieces(value);
    for (place, piece) in pieces.iter().enumerate() {
        if let Term::Text(text) = &***piece
            && let Some((before, after)) = text.split_once(sign)
        {
            let left = pieces[..place].iter().cloned().chain([Term::text(before)]);
            let right = core::iter::once(Term::text(after)).chain(pieces[place + 1..].iter().cloned());
            return Some((Term::join(left), Term::join(right)));
        }
    }
    None
}

/// The texts between each `sign` that stands in a fixed piece.
pub(crate) fn split(value: &Value, sign: char) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut current = Vec::new();
    for piece in pieces(value) {
        match &*piece {
            Term::Text(text) => {
                for (place, part) in text.split(sign).enumerate() {
                    if place > 0 {
                        parts.push(Term::join(core::mem::take(&mut current)));
                    }
                    current.push(Term::text(part));
                }
            }
            _ => current.push(piece),
        }
    }
    parts.push(Term::join(current));
    parts
}

/// Without blanks and line ends at both ends of the fixed pieces.
pub(crate) fn trimmed(value: &Value) -> Value {
    let mut pieces = pieces(value);
    if let Some(first) = pieces.first_mut()
        && let Term::Text(text) = &***first
    {
        *first = Term::text(text.trim_start());
    }
    if let Some(last) = pieces.last_mut()
        && let Term::Text(text) = &***last
    {
        *last = Term::text(text.trim_end());
    }
    Term::join(pieces)
}

/// Percent-decoded, as far as it is known; what is only encoded is taken as itself. In a form, `+` is a blank.
pub(crate) fn decoded(value: &Value, form: bool) -> Value {
    let pieces = pieces(value).into_iter().map(|piece| match &*piece {
        Term::Text(text) => Term::text(percent_decoded(text, form)),
        Term::Call { name, arguments } if name == ENCODED && arguments.len() == 1 => Rc::clone(bare(&arguments[0])),
        _ => piece,
    });
    let joined = Term::join(pieces.collect::<Vec<_>>());
    Rc::clone(bare(&joined))
}

/// The characters that percent-encoding leaves alone (RFC 3986 section 2.3).
pub(crate) fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

fn percent_decoded(text: &str, form: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let code = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if form && bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Marks of a hole while a text is read as JSON: characters that no text has a use for.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// A text read as JSON. A hole inside of quotes makes a text, one outside is a value of its own.
pub(crate) fn json(value: &Value) -> Option<Value> {
    let pieces = pieces(value);
    let mut text = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for (place, piece) in pieces.iter().enumerate() {
        if let Term::Text(fixed) = &***piece {
            if fixed.contains([OPEN, CLOSE]) {
                return None;
            }
            for c in fixed.chars() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if quoted => escaped = true,
                    '"' => quoted = !quoted,
                    _ => {}
                }
            }
            text.push_str(fixed);
        } else {
            let quote = if quoted { "" } else { "\"" };
            let raw = if quoted { "" } else { "=" };
            text.push_str(&format!("{quote}{OPEN}{raw}{place}{CLOSE}{quote}"));
        }
    }
    if depth(&text) > JSON_DEPTH {
        return None;
    }
    let json = serde_json::from_str(&text).ok()?;
    Some(filled(&json, &pieces))
}

/// The JSON with its holes filled.
fn filled(json: &serde_json::Value, pieces: &[Value]) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => filled_text(text, pieces),
        Json::Array(list) => node(Term::List(list.iter().map(|one| filled(one, pieces)).collect())),
        Json::Object(map) => {
            let members: BTreeMap<String, Value> =
                map.iter().map(|(key, one)| (key.clone(), filled(one, pieces))).collect();
            node(Term::Object(members))
        }
        Json::Number(number) => node(Term::Number(number.to_string())),
        Json::Bool(truth) => node(Term::Truth(*truth)),
        Json::Null => node(Term::Null),
    }
}

fn filled_text(text: &str, pieces: &[Value]) -> Value {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((hole, after)) = after.split_once(CLOSE) else { break };
        let (raw, place) = hole.strip_prefix('=').map_or((false, hole), |place| (true, place));
        let Some(piece) = place.parse::<usize>().ok().and_then(|place| pieces.get(place)) else { break };
        if raw {
            return Rc::clone(bare(piece));
        }
        parts.extend([Term::text(before), Rc::clone(piece)]);
        rest = after;
    }
    parts.push(Term::text(rest));
    Term::join(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole() -> Value {
        node(Term::Now)
    }

    #[test]
    fn a_form_is_split_and_decoded_around_its_holes() {
        let text = Term::join([Term::text("a=%20b+c&d="), Term::call(ENCODED, vec![hole()]), Term::text("\n&e=1")]);
        let parts = split(&text, '&');
        assert_eq!(parts.len(), 3);
        let (name, value) = split_once(&parts[0], "=").expect("a pair");
        assert_eq!((name.fixed(), decoded(&value, true).fixed()), (Some("a"), Some(" b c")));
        let (_, value) = split_once(&parts[1], "=").expect("a pair");
        assert!(matches!(**decoded(&trimmed(&value), true), Term::Now));
    }

    #[test]
    fn json_with_holes_keeps_texts_and_values_apart() {
        let text = Term::join([Term::text(r#"{"a": ""#), hole(), Term::text(r#"", "b": "#), hole(), Term::text("}")]);
        let Some(Term::Object(members)) = json(&text).as_deref().map(|term| match term {
            Term::Object(members) => Term::Object(members.clone()),
            _ => Term::Null,
        }) else {
            panic!("an object");
        };
        assert!(matches!(&*members["a"], Term::Join(parts) if parts.len() == 1));
        assert!(*members["b"] == Term::Now);
        assert!(json(&Term::text("{")).is_none());
    }
}
