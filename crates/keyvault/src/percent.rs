//! Percent-decoding (RFC 3986, section 2.1), done once on each piece, after the pieces were told apart.

use std::borrow::Cow;

/// A piece of a path. `None` where an escape is broken or the result isn't UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(bytes_of(text, false)?).ok().map(Cow::Owned)
}

/// A name or value of a query. What is broken stands for itself.
pub(crate) fn decode_lossy(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    match bytes_of(text, true) {
        Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        None => Cow::Borrowed(text),
    }
}

/// A name or value of a form (`application/x-www-form-urlencoded`), where `+` is a space.
pub(crate) fn decode_form(text: &str) -> Option<Vec<u8>> {
    bytes_of(text, true)
}

fn bytes_of(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    Some(decoded)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_decoded_once_and_broken_ones_are_refused() {
        assert_eq!(decode("a-b").as_deref(), Some("a-b"));
        assert_eq!(decode("a%2Db%c3%a9+").as_deref(), Some("a-bé+"));
        assert_eq!(decode("%2541").as_deref(), Some("%41"));
        for broken in ["%", "%4", "%zz", "%+1", "%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
        assert_eq!(decode_lossy("a+b%"), "a+b%");
        assert_eq!(decode_lossy("a+b%20"), "a b ");
        assert_eq!(decode_form("a%2Bb+c").as_deref(), Some(&b"a+b c"[..]));
    }
}
