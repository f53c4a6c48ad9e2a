//! Where a configuration names credentials, so that one that isn't in its vault can be shown in its line.

use core::ops::Range;
use std::collections::BTreeMap;

use vault::{SecretName, VaultName};

use super::Config;
use super::document::FoundDefinitions;
use super::problem::{ConfigErrors, Problem, ProblemKind};
use super::redact::Redactions;

/// Where the tokens of a configuration name their credentials.
#[derive(Clone)]
pub(super) struct Places {
    /// The file's text, without what must not be shown of it.
    text: String,
    /// By the token's name and the setting.
    spans: BTreeMap<(String, &'static str), Range<usize>>,
}

/// Written by hand: the derived one would print the whole file.
impl core::fmt::Debug for Places {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Places").field("spans", &self.spans).finish_non_exhaustive()
    }
}

impl Places {
    /// Notes where the tokens name their credentials.
    pub(super) fn of(text: &str, found: &FoundDefinitions<'_>, redactions: &Redactions) -> Self {
        let spans = found
            .tokens
            .iter()
            .flat_map(|token| ["client_id", "client_secret"].map(|key| ((token.name.to_owned(), key), token.span(key))))
            .collect();
        Self { text: redactions.apply(text), spans }
    }

    /// A warning for each credential that is not there.
    pub(super) fn missing_secrets(
        &self,
        config: &Config,
        is_there: &mut dyn FnMut(&VaultName, &SecretName) -> bool,
    ) -> Option<ConfigErrors> {
        let mut problems = Vec::new();
        for token in &config.definitions.tokens {
            for (key, vault, secret) in token.body.credentials() {
                if is_there(vault, secret) {
                    continue;
                }
                let message = format!("there is no secret `{secret}` in the vault `{vault}` yet");
                let problem = match self.spans.get(&(token.name.clone(), key)) {
                    Some(span) => Problem::at(ProblemKind::MissingSecret, span.clone(), message),
                    None => Problem::of_file(ProblemKind::MissingSecret, message),
                };
                problems.push(
                    problem
                        .label(format!("`{}` can't be obtained without it", token.name))
                        .help(format!("give it its value, which is asked for: vestal secret set {vault}/{secret}")),
                );
            }
        }
        (!problems.is_empty()).then(|| ConfigErrors::new(&config.file, &self.text, &Redactions::default(), problems))
    }
}
