//! Text and JSON before anything is made of them: encoding, depth, place of the first fault.

use serde_json::Value;

use super::{DEFINITION_BYTES, JSON_DEPTH, ReadReason};

/// The text of a file: UTF-8 with or without its mark, or UTF-16 with one.
pub(super) fn decoded(bytes: &[u8]) -> Result<String, ReadReason> {
    if bytes.len() as u64 > DEFINITION_BYTES {
        return Err(ReadReason::DefinitionTooLong);
    }
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => core::str::from_utf8(rest).ok().map(str::to_owned),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => core::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    let text = text.ok_or(ReadReason::NotText)?;
    if text.trim().is_empty() { Err(ReadReason::Empty) } else { Ok(text) }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
}

/// The JSON of a text, whose depth is checked first: no parser recurses into what is too deep.
pub(super) fn json(text: &str) -> Result<Value, ReadReason> {
    if depth(text) > JSON_DEPTH {
        return Err(ReadReason::TooDeep);
    }
    serde_json::from_str(text).map_err(|fault| {
        if fault.is_eof() {
            ReadReason::CutOff
        } else {
            ReadReason::NotJson { line: fault.line(), column: fault.column() }
        }
    })
}

/// How deep brackets nest outside of strings. Where the text isn't JSON the number means nothing, and harms nothing.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        assert_eq!(depth(r#"{"a": [1, {"b": "[[[\"[["}]}"#), 3);
        assert_eq!(depth("[]"), 1);
    }

    #[test]
    fn utf_16_and_marks_are_understood() {
        let units: Vec<u8> = "\u{feff}{\"é\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&units).as_deref(), Ok("{\"é\":1}"));
        assert_eq!(decoded(b"\xef\xbb\xbf{}").as_deref(), Ok("{}"));
        assert_eq!(decoded(b"\xff\xfe{"), Err(ReadReason::NotText));
        assert_eq!(decoded(b" \n"), Err(ReadReason::Empty));
    }
}
