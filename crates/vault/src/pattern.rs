//! Patterns of secret names.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{MAX_SECRET_NAME_CHARS, SecretName};

/// Most characters in a name pattern: a whole name with a `*` on either side of each character.
pub const MAX_PATTERN_CHARS: usize = 2 * MAX_SECRET_NAME_CHARS + 1;

/// A pattern of secret names, in lower case: letters, digits, hyphens, and `*` for any run of them, also an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Reads a pattern of either case.
    ///
    /// # Errors
    /// [`PatternError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some(character) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !['-', '*'].contains(c)) {
            return Err(PatternError::Character(character));
        }
        if !(1..=MAX_PATTERN_CHARS).contains(&text.len()) {
            return Err(PatternError::Length);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The pattern, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name matches, without regard to case.
    pub fn matches(&self, name: &SecretName) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.folded().as_bytes());
        // Where to go on if the text after the last `*` doesn't fit: that `*` then takes one character more. An
        // earlier `*` never needs a second look, so the work is bounded by the product of both lengths.
        let mut retry = None;
        let (mut p, mut n) = (0, 0);
        while n < name.len() {
            if pattern.get(p) == Some(&b'*') {
                p += 1;
                retry = Some((p, n));
            } else if pattern.get(p) == Some(&name[n]) {
                p += 1;
                n += 1;
            } else if let Some((after_star, taken)) = retry {
                retry = Some((after_star, taken + 1));
                p = after_star;
                n = taken + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|character| *character == b'*')
    }
}

/// Why a text is not a name pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It is empty or longer than [`MAX_PATTERN_CHARS`].
    Length,
    /// No name holds this character, and it is not `*`.
    Character(char),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a name pattern has 1 to {MAX_PATTERN_CHARS} characters"),
            Self::Character(character) => {
                write!(f, "a name pattern holds only the letters a to z, digits, hyphens and *, not {character:?}")
            }
        }
    }
}

impl core::error::Error for PatternError {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&SecretName::parse(name).unwrap())
    }

    /// What a pattern means, with no thought of time.
    fn matches_naively(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((b'*', rest)), _) => (0..=name.len()).any(|taken| matches_naively(rest, &name[taken..])),
            (Some((character, rest)), Some((first, after))) => character == first && matches_naively(rest, after),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn a_star_stands_for_any_run_and_case_for_nothing() {
        assert!(matches("discord-*-token", "discord-api-oauth-token"));
        assert!(matches("DISCORD-*", "Discord-x"));
        assert!(matches("*", "anything"));
        assert!(matches("client-id", "Client-ID"));
        assert!(matches("a*", "a"));
        assert!(!matches("discord-*-token", "discord-token"));
        assert!(!matches("discord-*-token", "discord-api-token-2"));
        assert!(!matches("client", "client-id"));
        assert!(!matches("id", "client-id"));
    }

    #[test]
    fn a_pattern_of_many_stars_is_decided_at_once() {
        let pattern = format!("{}b", "*a".repeat(127));
        assert!(!matches(&pattern, &"a".repeat(127)));
    }

    #[test]
    fn a_pattern_holds_only_what_names_hold() {
        assert_eq!(Pattern::parse("A-*").map(|pattern| pattern.to_string()).as_deref(), Ok("a-*"));
        assert_eq!(Pattern::parse(""), Err(PatternError::Length));
        assert_eq!(Pattern::parse(&"*".repeat(MAX_PATTERN_CHARS + 1)), Err(PatternError::Length));
        for bad in ['?', '[', '.', '/', ' ', 'é'] {
            assert_eq!(Pattern::parse(&format!("a{bad}")), Err(PatternError::Character(bad)));
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_it_says(pattern in "[ab*-]{1,9}", name in "[abAB-]{1,9}") {
            let expected = matches_naively(pattern.as_bytes(), name.to_ascii_lowercase().as_bytes());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}
