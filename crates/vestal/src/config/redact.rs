//! Masks secrets in the lines of a configuration before anybody sees them.
//!
//! A client secret doesn't belong in the file, and who writes one there is told so, with a picture of the line. That
//! picture must not carry the secret into a terminal's history or a CI log. Two ways find it: the reader names the
//! span of a value that it refused, and a scan of the plain text, which also works on a file that is not TOML, finds
//! keys that sound like a secret.

use core::ops::Range;

/// Parts of key names that sound like a secret. `secret` itself names one (`{ secret = "client-credentials" }`) and
/// is left alone.
const SECRET_SOUNDING: [&str; 11] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "private_key",
    "api_key",
    "apikey",
    "access_token",
    "refresh_token",
    "assertion",
];

/// Keys of a credential's table that hold names, and never a secret.
const NAMES: [&str; 5] = ["secret", "vault", "kind", "tenant", "client_id"];

/// Whether a key's name says that its value is a secret.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    key != "secret" && SECRET_SOUNDING.iter().any(|part| key.contains(part))
}

/// The places of a text that are not to be shown.
#[derive(Default)]
pub(super) struct Redactions(Vec<Range<usize>>);

impl Redactions {
    /// What a scan of the text finds by itself.
    pub(super) fn found_in(text: &str) -> Self {
        let mut found = Self::default();
        let mut offset = 0;
        while let Some(equals) = text[offset..].find('=').map(|at| offset + at) {
            offset = equals + 1;
            if sounds_secret(key_before(&text[..equals])) {
                found.mask_value(text, offset);
            }
        }
        // Certificates come with their keys.
        for (begin, _) in text.match_indices("-----BEGIN") {
            let end = text[begin..].find("-----END").map_or(text.len(), |at| begin + at);
            found.mask(begin..end);
        }
        // A user and password in a URL, under whatever key.
        for (scheme, _) in text.match_indices("://") {
            let host = scheme + "://".len();
            let end = text[host..]
                .find(|c: char| c.is_whitespace() || "/?#\"'".contains(c))
                .map_or(text.len(), |at| host + at);
            if let Some(at) = text[host..end].rfind('@') {
                found.mask(host..host + at);
            }
        }
        found
    }

    /// Adds a place.
    pub(super) fn mask(&mut self, span: Range<usize>) {
        self.0.push(span);
    }

    /// The text with every masked character as `*`, of the same length in bytes, with its line breaks.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut places = self.0.clone();
        places.sort_by_key(|place| place.start);
        let mut places = places.into_iter().peekable();
        let mut masked_until = 0;
        let mut shown = String::with_capacity(text.len());
        for (at, character) in text.char_indices() {
            while let Some(place) = places.next_if(|place| place.start <= at) {
                masked_until = masked_until.max(place.end);
            }
            if at >= masked_until || character == '\n' || character == '\r' {
                shown.push(character);
            } else {
                shown.extend(core::iter::repeat_n('*', character.len_utf8()));
            }
        }
        shown
    }

    /// Masks the value that starts after an equals sign. Of `{ … }` only what stands under other keys than [`NAMES`].
    fn mask_value(&mut self, text: &str, from: usize) {
        let start = from + (text[from..].len() - text[from..].trim_start_matches([' ', '\t']).len());
        let rest = &text[start..];
        for quotes in ["\"\"\"", "'''", "\"", "'"] {
            if let Some(inside) = rest.strip_prefix(quotes) {
                let begin = start + quotes.len();
                return self.mask(begin..begin + string_end(inside, quotes));
            }
        }
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        if !rest.starts_with('{') {
            return self.mask(start..line_end);
        }
        let mut offset = start + 1;
        while let Some(equals) = text[offset..line_end].find('=').map(|at| offset + at) {
            offset = equals + 1;
            // What stands in a table within is looked at key by key too.
            let is_table = text[offset..line_end].trim_start().starts_with('{');
            if !is_table && !NAMES.contains(&key_before(&text[..equals])) {
                let end = text[offset..line_end].find([',', '}']).map_or(line_end, |at| offset + at);
                self.mask(offset..end);
            }
        }
    }
}

/// The last word before an equals sign, without quotes.
fn key_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '"', '\'']);
    let start = text
        .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

/// Where a string ends that began with these quotes; a string of one line that was never closed ends with its line.
fn string_end(inside: &str, quotes: &str) -> usize {
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' && quotes.starts_with('"') {
            escaped = true;
        } else if inside[at..].starts_with(quotes) || (character == '\n' && quotes.len() == 1) {
            return at;
        }
    }
    inside.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Redactions::found_in(text).apply(text)
    }

    #[test]
    fn a_literal_under_a_secret_sounding_key_is_masked() {
        assert_eq!(shown("client_secret = \"hunter2\" # mine\n"), "client_secret = \"*******\" # mine\n");
        assert_eq!(shown("client_secret='a' b"), "client_secret='*' b");
        assert_eq!(shown("Client-Secret = hunter2\nx = 1"), "Client-Secret = *******\nx = 1");
        assert_eq!(shown("\"api_key\" = \"é\""), "\"api_key\" = \"**\"");
        assert_eq!(shown("password = [\"a\", \"b\"]\nx = 1"), "password = **********\nx = 1");
    }

    #[test]
    fn strings_over_lines_and_unclosed_strings_are_masked() {
        assert_eq!(shown("private_key = \"\"\"\nab\ncd\"\"\"\nx = 1"), "private_key = \"\"\"\n**\n**\"\"\"\nx = 1");
        assert_eq!(shown("client_secret = \"ab\nx = 1"), "client_secret = \"**\nx = 1");
        assert_eq!(shown("client_secret = \"a\\\"b\" "), "client_secret = \"****\" ");
    }

    #[test]
    fn a_private_key_is_masked_under_any_key() {
        assert_eq!(
            shown("pem = \"\"\"\n-----BEGIN\nab\n-----END\"\"\"\nx = 1"),
            "pem = \"\"\"\n**********\n**\n-----END\"\"\"\nx = 1"
        );
        assert_eq!(shown("pem = \"-----BEGIN ab\nx"), "pem = \"*************\n*");
    }

    #[test]
    fn a_password_in_a_url_is_masked() {
        assert_eq!(
            shown("token_url = \"https://u:p@ss@a.example/t@x\""),
            "token_url = \"https://******@a.example/t@x\""
        );
        assert_eq!(
            shown("# see https://a.example, and ask ops@example.com"),
            "# see https://a.example, and ask ops@example.com"
        );
    }

    #[test]
    fn names_and_other_values_are_shown() {
        for text in [
            "client_secret = { secret = \"client-credentials\", vault = \"contoso\" }",
            "credential = { kind = \"azure-cli\", tenant = \"contoso\" }",
            "credential = { client_id = \"1\", client_secret = { secret = \"s\", vault = \"v\" } }",
            "token_url = \"https://example.com/token\"",
            "client_id = \"157730590492196864\"",
            "[token.discord-secret]\nvault = \"contoso\"",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn other_keys_of_a_reference_are_masked() {
        assert_eq!(shown("client_secret = { value = \"hunter2\" }"), "client_secret = { value =***********}");
        assert_eq!(shown("credential = { client_secret = \"ab\" }"), "credential = { client_secret =******}");
    }
}
