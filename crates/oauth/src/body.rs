//! An answer's body as a tree that borrows from it.
//!
//! Nothing is copied while the tree is made but the keys of objects: a string stays where it is, escapes and all,
//! until somebody asks for it, and then its bytes go into a [`Secret`]. So an access token has one copy in the body
//! and one in the grant, both wiped on drop.
//!
//! Limits: [`DEPTH_LIMIT`] levels; a key must not appear twice in one object (two readers would disagree on which
//! counts); the length is the caller's, [`crate::BODY_LIMIT`].

use core::fmt;
use std::collections::BTreeMap;

use secret::{Secret, SecretBuilder};
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::provider::FieldPath;

/// How deep objects and lists may be nested.
pub(crate) const DEPTH_LIMIT: usize = 32;

/// A value of an answer.
pub(crate) enum Value<'a> {
    Null,
    Flag(bool),
    /// A number as it is written.
    Number(&'a str),
    Text(Text<'a>),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// A string of an answer, still encoded.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    /// What stands between the quotes.
    Json(&'a str),
    /// What stands between `=` and `&`.
    Form(&'a str),
}

/// Why a body can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Not JSON, or not UTF-8.
    Malformed,
    /// JSON, nested deeper than [`DEPTH_LIMIT`].
    TooDeep,
    /// A key appears twice.
    DuplicateKey,
    /// JSON, but not an object.
    NotAnObject,
}

/// Reads a JSON object (RFC 8259). A byte order mark before it is skipped, as its section 8.1 allows.
pub(crate) fn read_json(body: &[u8]) -> Result<Value<'_>, Unreadable> {
    let text = core::str::from_utf8(body).map_err(|_| Unreadable::Malformed)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| Unreadable::Malformed)?;
    match value(raw.get(), DEPTH_LIMIT)? {
        object @ Value::Object(_) => Ok(object),
        _ => Err(Unreadable::NotAnObject),
    }
}

/// Reads `application/x-www-form-urlencoded`. Fields without `=` are skipped.
pub(crate) fn read_form(body: &[u8]) -> Result<Value<'_>, Unreadable> {
    let text = core::str::from_utf8(body).map_err(|_| Unreadable::Malformed)?.trim();
    let mut fields = BTreeMap::new();
    for (key, raw) in text.split('&').filter_map(|field| field.split_once('=')) {
        let key = Text::Form(key).decode().and_then(|key| key.expose_str().map(str::to_owned));
        let key = key.ok_or(Unreadable::Malformed)?;
        if fields.insert(key, Value::Text(Text::Form(raw))).is_some() {
            return Err(Unreadable::DuplicateKey);
        }
    }
    match fields.is_empty() {
        true => Err(Unreadable::Malformed),
        false => Ok(Value::Object(fields)),
    }
}

impl<'a> Value<'a> {
    /// The value at a path. `null` is as good as nothing there.
    pub(crate) fn at(&self, path: &FieldPath) -> Option<&Self> {
        let found = path.steps().iter().try_fold(self, |value, step| match value {
            Self::Object(fields) => fields.get(step),
            Self::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })?;
        (!matches!(found, Self::Null)).then_some(found)
    }

    /// The value of a key, where this is an object.
    pub(crate) fn field(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(key).filter(|value| !matches!(value, Self::Null)),
            _ => None,
        }
    }

    /// A string's or a number's bytes.
    pub(crate) fn scalar(&self) -> Option<Secret> {
        match self {
            Self::Text(text) => text.decode(),
            Self::Number(digits) => Some(Secret::copy_of(digits.as_bytes())),
            _ => None,
        }
    }

    /// The strings of a string or of a list of strings.
    pub(crate) fn texts(&self) -> Vec<Text<'a>> {
        match self {
            Self::Text(text) => vec![*text],
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
            _ => Vec::new(),
        }
    }
}

impl Text<'_> {
    /// The decoded bytes; nothing where an escape is broken.
    pub(crate) fn decode(self) -> Option<Secret> {
        match self {
            Self::Json(raw) => unescape(raw),
            Self::Form(raw) => Some(decode_form(raw)),
        }
    }
}

/// One value of JSON that is known to be well-formed, `depth` levels still allowed. Each level is scanned once more by
/// the level below it, so the work is the length of the body times its depth, both limited.
fn value(raw: &str, depth: usize) -> Result<Value<'_>, Unreadable> {
    match raw.as_bytes() {
        [b'{' | b'[', ..] if depth == 0 => Err(Unreadable::TooDeep),
        [b'{', ..] => {
            let mut fields = BTreeMap::new();
            for (key, raw) in entries(raw)? {
                if fields.insert(key, value(raw.get(), depth - 1)?).is_some() {
                    return Err(Unreadable::DuplicateKey);
                }
            }
            Ok(Value::Object(fields))
        }
        [b'[', ..] => {
            let items = entries(raw)?;
            items.into_iter().map(|(_, raw)| value(raw.get(), depth - 1)).collect::<Result<_, _>>().map(Value::List)
        }
        [b'"', .., b'"'] => Ok(Value::Text(Text::Json(&raw[1..raw.len() - 1]))),
        b"null" => Ok(Value::Null),
        b"true" => Ok(Value::Flag(true)),
        b"false" => Ok(Value::Flag(false)),
        _ => Ok(Value::Number(raw)),
    }
}

/// The entries of one object or list, each still unread. A list's have no keys.
fn entries(raw: &str) -> Result<Vec<(String, &RawValue)>, Unreadable> {
    // `deserialize_any` would read a bare string into a buffer of serde_json's; here it only ever meets `{` or `[`.
    serde_json::Deserializer::from_str(raw).deserialize_any(Entries).map_err(|_| Unreadable::Malformed)
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(raw) = list.next_element()? {
            entries.push((String::new(), raw));
        }
        Ok(entries)
    }
}

/// Reads the escapes of a JSON string (RFC 8259 section 7). Half a surrogate pair stands for no character: nothing.
fn unescape(raw: &str) -> Option<Secret> {
    let mut out = SecretBuilder::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push(&rest.as_bytes()[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        let character = match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut unit = u32::from(hex_unit(rest)?);
                rest = &rest[4..];
                if (0xd800..0xdc00).contains(&unit) {
                    let low = u32::from(hex_unit(rest.strip_prefix("\\u")?)?);
                    rest = &rest[6..];
                    unit = 0x10000 + ((unit - 0xd800) << 10) + low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                }
                char::from_u32(unit)?
            }
            _ => return None,
        };
        out.push(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.push(rest.as_bytes());
    Some(out.finish())
}

/// Four hexadecimal digits.
fn hex_unit(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    // `from_str_radix` alone would take a sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Decodes one field of a form. A `%` that begins no escape stands for itself.
fn decode_form(raw: &str) -> Secret {
    let mut out = SecretBuilder::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match (first, escaped) {
            (_, Some((high, low))) => {
                out.push(&[high << 4 | low]);
                rest = &after[2..];
            }
            (b'+', None) => out.push(b" "),
            (other, None) => out.push(&[other]),
        }
    }
    out.finish()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn json_text(body: &str) -> Option<String> {
        let tree = read_json(body.as_bytes()).ok()?;
        tree.field("t")?.scalar()?.expose_str().map(str::to_owned)
    }

    #[test]
    fn escapes_are_read_as_the_standard_says() {
        for (body, text) in [
            (r#"{"t":"plain"}"#, Some("plain")),
            (r#"{"t":""}"#, Some("")),
            (r#"{"t":"a\/b\\c\"d"}"#, Some("a/b\\c\"d")),
            (r#"{"t":"\b\f\n\r\t"}"#, Some("\u{8}\u{c}\n\r\t")),
            (r#"{"t":"\u0041\u00e9\ud83d\ude00"}"#, Some("A\u{e9}\u{1f600}")),
            ("\u{feff}{\"t\":\"after a byte order mark\"}", Some("after a byte order mark")),
            (r#"{"t":"\ud83d"}"#, None),
            (r#"{"t":"\ude00\ud83d"}"#, None),
            (r#"{"t":"\ud83d\u0041"}"#, None),
        ] {
            assert_eq!(json_text(body).as_deref(), text, "{body}");
        }
    }

    #[test]
    fn depth_is_counted_in_objects_and_lists_together() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":[".repeat(levels / 2), "]}".repeat(levels / 2));
        assert!(read_json(nested(DEPTH_LIMIT).as_bytes()).is_ok());
        assert_eq!(read_json(nested(DEPTH_LIMIT + 2).as_bytes()).err(), Some(Unreadable::TooDeep));
        assert_eq!(read_json("[".repeat(100_000).as_bytes()).err(), Some(Unreadable::Malformed));
        let balanced = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read_json(balanced.as_bytes()).err(), Some(Unreadable::TooDeep));
    }

    #[test]
    fn a_key_twice_is_refused_at_any_level_and_in_any_spelling() {
        for body in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"[{"a":1,"a":2}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(read_json(body.as_bytes()).err(), Some(Unreadable::DuplicateKey), "{body}");
        }
        assert_eq!(read_form(b"a=1&b=2&a=3").err(), Some(Unreadable::DuplicateKey));
        assert!(read_json(br#"{"a":{"b":1},"b":2}"#).is_ok());
    }

    #[test]
    fn what_is_no_object_is_told_apart_from_what_is_no_json() {
        for body in ["1", "\"t\"", "null", "[]", " true "] {
            assert_eq!(read_json(body.as_bytes()).err(), Some(Unreadable::NotAnObject), "{body}");
        }
        for body in ["", "{", "{}x", "{'a':1}", "{\"a\":01}", "{\"a\":\"\n\"}", "<html>", "NaN"] {
            assert_eq!(read_json(body.as_bytes()).err(), Some(Unreadable::Malformed), "{body}");
        }
        assert_eq!(read_json(b"{\"a\":\"\xff\"}").err(), Some(Unreadable::Malformed));
    }

    #[test]
    fn paths_lead_through_objects_and_lists_and_null_is_nothing() {
        let tree = read_json(br#"{"a":{"b":[{"c":"deep"}]},"x.y":"dotted","n":null}"#).expect("valid");
        let at = |path: &str| {
            let path = FieldPath::new(path).expect("a path");
            tree.at(&path).and_then(Value::scalar).and_then(|text| text.expose_str().map(str::to_owned))
        };
        assert_eq!(at("a.b.0.c").as_deref(), Some("deep"));
        assert_eq!(at("/a/b/0/c").as_deref(), Some("deep"));
        assert_eq!(at("/x.y").as_deref(), Some("dotted"));
        for nothing in ["x.y", "n", "a.b.1.c", "a.b.c", "a.b.0.c.d", "zz"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn forms_are_decoded() {
        let tree = read_form(b"t=a%2Bb+c%zz%4&u=&flag").expect("valid");
        let text = |key| tree.field(key).and_then(Value::scalar).and_then(|text| text.expose_str().map(str::to_owned));
        assert_eq!(text("t").as_deref(), Some("a+b c%zz%4"));
        assert_eq!(text("u").as_deref(), Some(""));
        assert_eq!(text("flag"), None);
        assert_eq!(read_form(b"no fields at all").err(), Some(Unreadable::Malformed));
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(8259), ..ProptestConfig::default() })]

        /// Whatever serde_json writes as a string, is read as the same string.
        #[test]
        fn strings_survive_the_round_trip(text in any::<String>()) {
            let body = format!("{{\"t\":{}}}", serde_json::to_string(&text).expect("a string"));
            prop_assert_eq!(json_text(&body), Some(text));
        }

        /// What this reader takes, a plain reader takes too, but for numbers and escapes, which are read only when asked
        /// for: `1e999` and half a surrogate pair pass as long as nobody wants them.
        #[test]
        fn nothing_is_taken_that_is_not_json(body in "[\\[\\]{}\":,a0\\\\u1e. -]{0,24}") {
            if read_json(body.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok() || body.contains("\\u") || body.contains('e'));
            }
        }
    }
}
