//! `vestal.toml`: read, checked, explained and compared.
//!
//! [`load`] reads a file into a [`Config`], or says everything that is wrong with it ([`ConfigErrors`]). A `Config` is
//! complete: defaults are filled in, paths are absolute, and what a definition refers to is there. [`explain`] says
//! what a configuration would do, [`diff`] how one set of definitions becomes another.
//!
//! Every setting is declared once, by [`section!`](setting): struct, reader, reference page
//! (`docs/configuration.md`) and JSON schema (`docs/vestal.schema.json`) come from that declaration.

mod check;
mod definition;
mod deliveries;
mod delivery;
mod diff;
mod document;
mod explain;
mod explain_target;
mod period;
mod place;
mod places;
mod problem;
mod process;
mod provider;
mod redact;
mod reference;
mod secret_reference;
mod setting;
mod suggest;
mod syntax;
mod target;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use vault::{SecretName, VaultName};

pub use definition::{
    AppName, AppSettings, ClientId, Credential, Definition, Definitions, PolicySettings, Source, TokenSettings,
    VaultSettings,
};
pub use delivery::{DeliverySettings, Mode};
pub use diff::{Action, Change, DefinitionView, FieldChange, Plan, diff, shown};
pub use explain::{Explanation, explain};
pub use explain_target::{DeliveryExplanation, TargetExplanation};
pub use period::{Period, PeriodError};
pub use place::{Domain, HttpsOrigin, WebhookUrl};
pub use problem::{ConfigErrors, MAX_PROBLEMS, Problem, ProblemKind, ProblemRecord};
pub use process::{
    AlertCommand, AlertSettings, ObserveSettings, OutboundSettings, ProcessSettings, ServerSettings, StoreSettings,
    Webhook,
};
pub use provider::{ProviderName, ProviderSettings};
pub use reference::{json_schema, reference_page};
pub use secret_reference::{Holder, HomeSecret, SecretReference, TargetName};
pub use setting::{Presence, Schema, Setting, Shape};
pub use target::{CredentialSettings, FileMode, Target, TargetSettings, place_of};
pub use value::{Count, ExistingFile, Parameters, PeriodWithin, Text};

use setting::Section;

/// The largest configuration file, 64 MiB: room for 100,000 tokens and more.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// A configuration without a mistake.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read from, as the operator named it.
    pub file: String,
    /// What the process is told at its start.
    pub process: ProcessSettings,
    /// What is brought into the store.
    pub definitions: Definitions,
    /// The providers that the tokens use, complete, by name.
    pub providers: BTreeMap<String, oauth::Provider>,
    /// Where credentials are named, so that one that is missing can be shown in its line.
    places: places::Places,
}

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it, or that it can't be read.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let text = document::read_file(path).map_err(|problem| ConfigErrors::of_file(&name, *problem))?;
    // Paths in the file stay what they are when the process changes its directory.
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let base = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    parse(&text, &name, &base)
}

/// Reads a configuration from its text. `file_name` is what it is called in messages, `base_dir` where relative paths
/// begin.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file_name: &str, base_dir: &Path) -> Result<Config, ConfigErrors> {
    document::parse(text, file_name, base_dir)
}

impl Config {
    /// The credentials that are not in their vaults: warnings, since the secrets are put there while Vestal runs.
    /// `None` if all are there.
    pub fn missing_secrets(&self, mut is_there: impl FnMut(&VaultName, &SecretName) -> bool) -> Option<ConfigErrors> {
        self.places.missing_secrets(self, &mut is_there)
    }
}

/// One table of `vestal.toml`, as it is declared.
#[derive(Clone, Copy)]
pub struct SectionDeclaration {
    /// Its name.
    pub name: &'static str,
    /// Whether it is written once for each thing that it declares: `[token.NAME]`.
    pub named: bool,
    /// What it is about. Lines begin with a space, as a doc comment's do.
    pub about: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

impl SectionDeclaration {
    /// The header: `[server]`, `[token.NAME]`.
    pub fn header(&self) -> String {
        if self.named { format!("[{}.NAME]", self.name) } else { format!("[{}]", self.name) }
    }
}

/// Every table of `vestal.toml`, in the order of the reference page.
pub const SECTIONS: &[SectionDeclaration] = &[
    declared::<ServerSettings>("server", false),
    declared::<ObserveSettings>("observe", false),
    declared::<StoreSettings>("store", false),
    declared::<OutboundSettings>("outbound", false),
    declared::<AlertSettings>("alert", false),
    declared::<VaultSettings>("vault", true),
    declared::<Target>("target", true),
    declared::<ProviderSettings>("provider", true),
    declared::<TokenSettings>("token", true),
    declared::<AppSettings>("app", true),
    declared::<PolicySettings>("policy", true),
];

const fn declared<S: Section>(name: &'static str, named: bool) -> SectionDeclaration {
    SectionDeclaration { name, named, about: S::ABOUT, settings: S::SETTINGS }
}

#[cfg(test)]
mod tests;
