//! What secrets and tokens are called on the command line: `NAME`, or `VAULT/NAME`.

use std::str::FromStr;

use vault::{MAX_SECRET_NAME_CHARS, NameError, SecretName, VaultName};

/// A secret, or the managed token behind it; perhaps with its vault.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) vault: Option<VaultName>,
    pub(super) name: SecretName,
}

impl FromStr for Named {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (vault, name) = match text.split_once('/') {
            Some((vault, name)) => (Some(VaultName::parse(vault)?), name),
            None => (None, text),
        };
        Ok(Self { vault, name: SecretName::parse(name)? })
    }
}

/// The name of an app or a policy: letters, digits, hyphens, dots and underscores.
pub(super) fn plain_name(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    // Dots alone would be another place in a path.
    let dots_alone = text.chars().all(|c| c == '.');
    if dots_alone || text.len() > MAX_SECRET_NAME_CHARS || !text.chars().all(plain) {
        return Err("a name is 1 to 127 letters, digits, hyphens, dots and underscores");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_bring_its_vault() {
        let named: Named = "Contoso/Client-Id".parse().expect("both are names");
        assert_eq!(named.vault.expect("it is there").as_str(), "contoso");
        assert_eq!(named.name.as_written(), "Client-Id");
        let named: Named = "client-id".parse().expect("it is a name");
        assert!(named.vault.is_none());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a/", "/a", "contoso/a/b", "..", "a b", "contoso/ä", "ab/x"] {
            assert!(text.parse::<Named>().is_err(), "{text}");
        }
        assert!(plain_name("reader_1.x").is_ok());
        for text in ["", ".", "..", "../x", "a/b", "ä"] {
            assert!(plain_name(text).is_err(), "{text}");
        }
    }
}
