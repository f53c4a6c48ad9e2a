//! Where a configuration names credentials, so that one that isn't in its vault can be shown in its line.

use core::ops::Range;
use std::collections::BTreeMap;

use vault::{SecretName, VaultName};

use super::Config;
use super::definition::Credential;
use super::document::FoundDefinitions;
use super::problem::{ConfigErrors, Problem, ProblemKind};
use super::redact::Redactions;

/// Where tokens and targets of a configuration name their credentials.
#[derive(Clone)]
pub(super) struct Places {
    /// The file's text, without what must not be shown of it.
    text: String,
    /// By the kind and the name of what names one, and the setting.
    spans: BTreeMap<(&'static str, String, &'static str), Range<usize>>,
}

/// Written by hand: the derived one would print the whole file.
impl core::fmt::Debug for Places {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Places").field("spans", &self.spans).finish_non_exhaustive()
    }
}

impl Places {
    /// Notes where tokens and targets name their credentials.
    pub(super) fn of(text: &str, found: &FoundDefinitions<'_>, redactions: &Redactions) -> Self {
        let tokens = found.tokens.iter().flat_map(|token| {
            ["client_id", "client_secret"].map(|key| (("token", token.name.to_owned(), key), token.span(key)))
        });
        let targets = found.targets.iter().filter_map(|target| {
            let (key, _) = target.body.as_ref()?.secret.as_ref()?;
            let place = target.table.get("credential")?.get_ref().get(*key)?.span();
            Some((("target", target.name.to_owned(), *key), place))
        });
        Self { text: redactions.apply(text), spans: tokens.chain(targets).collect() }
    }

    /// A warning for each credential that is not there.
    pub(super) fn missing_secrets(
        &self,
        config: &Config,
        is_there: &mut dyn FnMut(&VaultName, &SecretName) -> bool,
    ) -> Option<ConfigErrors> {
        let mut problems = Vec::new();
        for Credential { kind, of, setting, vault, secret, .. } in config.definitions.credentials() {
            if is_there(vault, secret) {
                continue;
            }
            let message = format!("there is no secret `{secret}` in the vault `{vault}` yet");
            let problem = match self.spans.get(&(kind, of.to_owned(), setting)) {
                Some(span) => Problem::at(ProblemKind::MissingSecret, span.clone(), message),
                None => Problem::of_file(ProblemKind::MissingSecret, message),
            };
            let label = match kind {
                "target" => format!("nothing can be delivered to `{of}` without it"),
                _ => format!("`{of}` can't be obtained without it"),
            };
            let help = format!("give it its value, which is asked for: vestal secret set {vault}/{secret}");
            problems.push(problem.label(label).help(help));
        }
        (!problems.is_empty()).then(|| ConfigErrors::new(&config.file, &self.text, &Redactions::default(), problems))
    }
}
