//! JSON, held to what a flow can be: text, not too deep, and no key twice.

use core::cell::Cell;
use core::fmt;
use std::borrow::Cow;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{ReadReason, product};

/// How deep JSON may be nested. Designers allow eight levels of actions, of four levels of JSON each.
const DEEPEST: usize = 100;

/// How many values the JSON of one file or archive may have. The largest solutions stay far below it, and each takes memory
/// that is many times its text.
pub(super) const MOST_VALUES: usize = 300_000;

/// What marks the error of a value beyond that.
const TOO_MANY: &str = "too many values";

/// What marks the error of a key that is there twice, and separates it from the key.
const TWICE: &str = "twice:";

/// Reads JSON. `left` is how many values there may still be.
pub(super) fn parse(bytes: &[u8], left: &Cell<usize>) -> Result<Value, ReadReason> {
    let text = text(bytes)?;
    // Exports from Windows begin with a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ReadReason::Empty);
    }
    if !text.starts_with(['{', '[', '"']) {
        return Err(product::of_text(text).map_or(ReadReason::NotText, ReadReason::OtherProduct));
    }
    if depth(text) > DEEPEST {
        return Err(ReadReason::TooDeep);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict(left).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let words = error.to_string();
        if words.starts_with(TOO_MANY) {
            return ReadReason::TooMuch;
        }
        if let Some((_, key)) = words.split_once(TWICE) {
            // The parser appends the place to the words.
            let key = key.rsplit_once(" at line ").map_or(key, |(key, _)| key);
            return ReadReason::TwiceTheSame(key.to_owned());
        }
        let words = match error.classify() {
            serde_json::error::Category::Eof => "the text ends too early",
            _ => "something else was expected here, such as a comma, a colon or a quotation mark",
        };
        ReadReason::NotJson { line: error.line(), column: error.column(), words: words.to_owned() }
    })
}

/// The text, in UTF-8 or in UTF-16, in which PowerShell writes files.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>, ReadReason> {
    let read: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] | [b'{' | b'[' | b'"', 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, b'{' | b'[' | b'"', ..] => u16::from_be_bytes,
        _ => return core::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| ReadReason::NotText),
    };
    let (pairs, rest) = bytes.as_chunks();
    let decoded: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(read)).collect();
    decoded.ok().filter(|_| rest.is_empty()).map(Cow::Owned).ok_or(ReadReason::NotText)
}

/// How deep the brackets are nested, wherever they are balanced or not. Brackets in strings don't count.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads a value in which no object has a key twice. The usual reader takes the last one, and an action would be lost.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| D::Error::custom(TOO_MANY))?;
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("{TWICE}{key}")));
            }
            let value = access.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Value, ReadReason> {
        super::parse(bytes, &Cell::new(100))
    }

    #[test]
    fn more_values_than_there_may_be_are_refused() {
        assert_eq!(parse(format!("[{}1]", "1,".repeat(98)).as_bytes()).map(|_| ()), Ok(()));
        assert_eq!(parse(format!("[{}1]", "1,".repeat(99)).as_bytes()), Err(ReadReason::TooMuch));
    }

    #[test]
    fn text_in_utf_16_is_read_with_and_without_its_mark() {
        let text = "{\"actions\": \"ü\"}";
        let units = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
        for bytes in [[b"\xff\xfe", little.as_slice()].concat(), little, [b"\xfe\xff", big.as_slice()].concat(), big] {
            assert_eq!(parse(&bytes), parse(text.as_bytes()));
        }
        assert_eq!(parse(&[0xff, 0xfe, b'{', 0, b'}']), Err(ReadReason::NotText));
    }

    #[test]
    fn a_key_that_is_there_twice_is_named() {
        let error = parse(br#"{"actions":{"A":1,"A":2}}"#).expect_err("it is refused");
        assert_eq!(error, ReadReason::TwiceTheSame("A".to_owned()));
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert_eq!(depth(r#"{"a":["[[[[\"[[["]}"#), 2);
        assert_eq!(parse("[".repeat(10_000).as_bytes()), Err(ReadReason::TooDeep));
    }

    #[test]
    fn a_mistake_is_told_by_its_place_and_not_by_its_text() {
        let error = parse(b"{\n  \"secret\": \"hunter2\" \"more\"\n}").expect_err("it is refused");
        assert!(matches!(&error, ReadReason::NotJson { line: 2, .. }), "{error:?}");
        assert!(!error.to_string().contains("hunter2"));
    }
}
