//! Renewals: a token, with all the secrets that one request keeps.

use crate::pattern::{Found, Source, Study};

/// A token, and where it goes.
pub(super) struct Renewal {
    /// The token's name in the result.
    pub(super) name: String,
    pub(super) token: Found,
    /// The same token under another name, or in other vaults: one for each vault at most.
    pub(super) also: Vec<Found>,
}

impl Renewal {
    /// All that the same token is written to.
    pub(super) fn deliveries(&self) -> impl Iterator<Item = &Found> {
        core::iter::once(&self.token).chain(&self.also)
    }

    /// The secrets that it keeps. Their names have no case.
    pub(super) fn places(&self) -> impl Iterator<Item = (String, String)> {
        self.deliveries().map(|token| (token.target.vault.clone(), token.target.name.to_lowercase()))
    }

    /// What is asked for, and with what: two renewals that ask for the same are the same.
    pub(super) fn request(&self) -> String {
        let Found { token_url, grant, basic, scope, extra, headers, token_field, .. } = &self.token;
        // Literals are compared, and never shown.
        let source = |source: &Source| match source {
            Source::Secret(read, _) => format!("{:?} {}", read.vault, read.secret),
            Source::Literal(text) => format!("\"{text}\""),
        };
        let sources: Vec<String> = self.token.sources().map(source).collect();
        format!("{token_url}\n{grant}\n{basic}\n{scope}\n{extra:?}\n{headers:?}\n{token_field:?}\n{sources:?}")
    }
}

/// Puts together what comes of one request: it is sent once, and its token delivered to each place.
pub(super) fn renewals(study: &mut Study<'_>, found: Vec<Found>) -> Vec<Renewal> {
    let mut renewals: Vec<Renewal> = Vec::new();
    for token in found {
        let same = renewals.iter_mut().find(|other| other.token.request == token.request);
        let Some(renewal) = same else {
            renewals.push(Renewal { name: String::new(), token, also: Vec::new() });
            continue;
        };
        let first = &renewal.token;
        if token.token_field != first.token_field {
            let words = format!(
                "`{}` writes another token of the same answer: Vestal keeps one of each request, and this isn't taken over",
                study.name(first.put)
            );
            study.gap(Some(token.put), words);
            continue;
        }
        let other = renewal.deliveries().find(|other| other.target.vault == token.target.vault);
        let other = other.map(|other| (other.put, other.target.name.clone()));
        match other {
            None => renewal.also.push(token),
            Some((put, name)) if name.eq_ignore_ascii_case(&token.target.name) => {
                let words =
                    format!("`{}` and `{}` write the same: once is enough", study.name(put), study.name(token.put));
                study.notes.push(words);
            }
            Some((_, name)) => {
                let words = format!(
                    "it writes the token under a second name to the same key vault, and Vestal writes one: let the readers of \
                     `{}` read `{name}`",
                    token.target.name
                );
                study.gap(Some(token.put), words);
            }
        }
    }
    renewals
}
