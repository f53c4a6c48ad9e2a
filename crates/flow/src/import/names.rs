//! The names of secrets in Vestal's own vault: each is there once, and none is longer than a name may be.

use std::collections::BTreeSet;

use crate::address::{SecretAddress, label};

/// The longest name of a secret.
const LONGEST: usize = 127;

/// The names that are taken, in lower case: names of secrets have no case.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// The name of a token: that of the secret that the flow keeps, or one that says which vault it is in, too.
    pub(super) fn token(&mut self, target: &SecretAddress) -> String {
        if self.0.insert(target.name.to_lowercase()) {
            return target.name.clone();
        }
        self.free(&format!("{}-{}", label(&target.vault), target.name), "")
    }

    /// The name of a credential: what it is of, and what it is. Token names are taken before.
    pub(super) fn secret(&mut self, stem: &str, suffix: &str) -> String {
        self.free(stem, suffix)
    }

    /// The stem and the suffix, with a number where that is taken.
    fn free(&mut self, stem: &str, suffix: &str) -> String {
        let fits = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
        let stem: String = stem.chars().filter(fits).collect();
        let mut number = 1_usize;
        loop {
            let end = if number == 1 { suffix.to_owned() } else { format!("{suffix}-{number}") };
            let room = LONGEST.saturating_sub(end.len());
            let name = format!("{}{end}", stem.get(..room).unwrap_or(&stem));
            if self.0.insert(name.to_lowercase()) {
                return name;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once_and_fits() {
        let mut names = Names::default();
        let place = |name: &str| SecretAddress {
            vault: "https://contoso.vault.azure.net".to_owned(),
            name: name.to_owned(),
            version: None,
            by_manager: false,
        };
        let long = "t".repeat(LONGEST);
        assert_eq!(names.token(&place(&long)), long);
        assert_eq!(names.token(&place("API-Token")), "API-Token");
        assert_eq!(names.token(&place("api-token")), "contoso-api-token");
        assert_eq!(names.token(&place("Api-Token")), "contoso-Api-Token-2");
        let first = names.secret(&long, "-client-secret");
        let second = names.secret(&long, "-client-secret");
        assert!(first.len() == LONGEST && first.ends_with("t-client-secret"), "{first}");
        assert!(second.len() == LONGEST && second.ends_with("t-client-secret-2"), "{second}");
    }
}
