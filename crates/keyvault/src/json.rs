//! JSON, written by hand: the path of every read, where building a tree of values would cost more than the
//! cryptography.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where an answer's body is written.
pub(crate) struct JsonWriter {
    out: Vec<u8>,
}

impl JsonWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Appends what is JSON already: punctuation, names of members, numbers, GUIDs.
    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Appends a string with its quotes.
    pub(crate) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    /// Appends a number.
    pub(crate) fn number(&mut self, number: i64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// Appends bytes as lower-case hexadecimal digits, without quotes.
    pub(crate) fn hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.out.extend_from_slice(&hex_pair(*byte));
        }
    }

    /// Appends bytes in base64url without padding (RFC 4648, section 5), without quotes.
    pub(crate) fn base64url(&mut self, bytes: &[u8]) {
        let start = self.out.len();
        let length = base64::encoded_len(bytes.len(), false).expect("it fits into the memory");
        self.out.resize(start + length, 0);
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut self.out[start..]).expect("it has its room");
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Appends the inside of a string. Values are mostly long and plain, so they are looked at a block at a time, and
    /// a block that needs no escape is copied whole.
    pub(crate) fn escaped(&mut self, text: &str) {
        for block in text.as_bytes().chunks(BLOCK) {
            if block.iter().fold(false, |any, byte| any | needs_escape(*byte)) {
                block.iter().for_each(|byte| self.escaped_byte(*byte));
            } else {
                self.out.extend_from_slice(block);
            }
        }
    }

    fn escaped_byte(&mut self, byte: u8) {
        match byte {
            b'"' => self.out.extend_from_slice(b"\\\""),
            b'\\' => self.out.extend_from_slice(b"\\\\"),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            0..0x20 => {
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&hex_pair(byte));
            }
            _ => self.out.push(byte),
        }
    }
}

/// Bytes that are tested at once; the compiler makes vector instructions of it.
const BLOCK: usize = 64;

fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The two lower-case hexadecimal digits of a byte.
pub(crate) fn hex_pair(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonWriter)) -> String {
        let mut json = JsonWriter::with_capacity(0);
        write(&mut json);
        String::from_utf8(json.finish()).unwrap()
    }

    #[test]
    fn every_string_is_read_back_as_it_was() {
        let every_ascii: String = (0..128_u8).map(char::from).collect();
        let long = format!("{}\"\\{}", "a".repeat(63), "é\u{2028}\u{7f}".repeat(50));
        for text in ["", "plain", "\"", "a\\b", "\u{1f}\0\n\r\t", &every_ascii, &long] {
            let json = written(|json| json.string(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        }
    }

    #[test]
    fn numbers_are_written_to_both_ends() {
        for number in [0, 7, -1, 1_800_000_000, i64::MAX, i64::MIN] {
            assert_eq!(written(|json| json.number(number)), number.to_string());
        }
    }
}
