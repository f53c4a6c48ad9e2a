//! Which representation of a secret a client has (RFC 9110, section 8.8): `ETag`, `If-None-Match`, `If-Match`.
//!
//! Azure Key Vault has none of these, and no SDK sends or misses them. Whoever asks again and again for a token that changes
//! once an hour gets 304 and no value in between.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use store::rows::VersionRow;

use crate::directory::Retention;
use crate::json::hex_pair;

/// The tag of one version as it stands: another after each change of its value, attributes or tags, and of what its vault says
/// of deleted secrets, which stands in the attributes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ETag([u8; ETAG_BYTES]);

/// 16 bytes in hexadecimal, in quotes.
const ETAG_BYTES: usize = 34;

impl ETag {
    pub(crate) fn of(row: &VersionRow, retention: Retention) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&row.sealed.tag().0[..16]);
        bytes[0] ^= retention.days | u8::from(retention.purge_protection) << 7;
        let mut text = [b'"'; ETAG_BYTES];
        for (place, byte) in text[1..].chunks_exact_mut(2).zip(bytes) {
            place.copy_from_slice(&hex_pair(byte));
        }
        Self(text)
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits can stand in a header")
    }

    /// Whether the client says that it has this already. Tags compare weakly (section 13.1.2).
    pub(crate) fn is_had(self, headers: &HeaderMap) -> bool {
        self.is_among(headers, header::IF_NONE_MATCH)
    }

    fn is_among(self, headers: &HeaderMap, name: HeaderName) -> bool {
        tags(headers, &name).any(|tag| tag == "*" || tag.trim_start_matches("W/").as_bytes() == self.0)
    }
}

/// What a write is to depend on (sections 13.1.1 and 13.1.2).
pub(crate) struct Precondition<'r>(&'r HeaderMap);

impl<'r> Precondition<'r> {
    pub(crate) fn new(headers: &'r HeaderMap) -> Self {
        Self(headers)
    }

    /// Whether the client made any.
    pub(crate) fn is_any(&self) -> bool {
        self.0.contains_key(header::IF_MATCH) || self.0.contains_key(header::IF_NONE_MATCH)
    }

    /// Whether it says no more than that something is there, or nothing at all.
    pub(crate) fn is_existence_at_most(&self) -> bool {
        !self.0.contains_key(header::IF_NONE_MATCH) && tags(self.0, &header::IF_MATCH).all(|tag| tag == "*")
    }

    /// Whether it holds where this is what is there.
    pub(crate) fn holds(&self, current: Option<ETag>) -> bool {
        let wants = |name: HeaderName| self.0.contains_key(name);
        let matches = |name: HeaderName| current.is_some_and(|etag| etag.is_among(self.0, name));
        (!wants(header::IF_MATCH) || matches(header::IF_MATCH))
            && !(wants(header::IF_NONE_MATCH) && matches(header::IF_NONE_MATCH))
    }
}

/// The tags that stand in the headers of this name. None of ours holds a comma.
fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().expect("it can stand there"));
        }
        headers
    }

    #[test]
    fn tags_are_found_in_lists_and_in_several_headers() {
        let etag = ETag(*b"\"0123456789abcdef0123456789abcdef\"");
        let text = "\"0123456789abcdef0123456789abcdef\"";
        for values in [&[text][..], &["\"a\"", text], &[&format!("\"a\" ,{text}")], &[&format!("W/{text}")], &["*"]] {
            assert!(etag.is_had(&headers("if-none-match", values)), "{values:?}");
        }
        for values in [&[][..], &["\"a\""], &["0123456789abcdef0123456789abcdef"], &[""]] {
            assert!(!etag.is_had(&headers("if-none-match", values)), "{values:?}");
        }
    }

    #[test]
    fn a_precondition_is_one_of_what_is_there_or_of_nothing_being_there() {
        let etag = Some(ETag(*b"\"0123456789abcdef0123456789abcdef\""));
        let text = "\"0123456789abcdef0123456789abcdef\"";
        for (name, value, of_it, of_nothing) in [
            ("if-match", text, true, false),
            ("if-match", "*", true, false),
            ("if-match", "\"a\"", false, false),
            ("if-none-match", "*", false, true),
            ("if-none-match", text, false, true),
            ("if-none-match", "\"a\"", true, true),
            ("accept", "*", true, true),
        ] {
            let headers = headers(name, &[value]);
            let precondition = Precondition::new(&headers);
            assert_eq!((precondition.holds(etag), precondition.holds(None)), (of_it, of_nothing), "{name}: {value}");
        }
    }
}
