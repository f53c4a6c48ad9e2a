//! What an operator declares of a managed token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many versions of a managed secret are kept by default. An hourly token makes 9,000 a year.
pub const KEEP_VERSIONS: u32 = 25;

/// A managed token, as declared. It names where credentials are, and holds none. Stored as JSON in a definition of
/// kind token, under the name `vault/name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenDefinition {
    /// The provider: a preset's name, or that of one of the operator's own.
    pub provider: String,
    /// The OAuth client id.
    pub client_id: Source,
    /// The OAuth client secret; always a reference.
    pub client_secret: Source,
    /// The scopes asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// Further parameters of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// The life, in seconds, that a reader is sure to find left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<u64>,
    /// The lifetime, in seconds, where neither the answer nor the provider's document tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
    /// Who is told when the token is in danger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How many versions of the secret are kept.
    #[serde(default = "keep_versions")]
    pub keep_versions: u32,
    /// Where each generation is delivered to; each target once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliver: Vec<DeliverTo>,
    /// Whether it runs beside somebody else's flow, to be compared with it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
}

/// One place that a token is delivered to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverTo {
    /// The target's name.
    pub target: String,
    /// The secret's name there.
    pub name: String,
    /// What happens when somebody else changes it there.
    #[serde(default)]
    pub on_change: OnChange,
    /// Whether the version that a delivery supersedes is disabled there.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub disable_superseded: bool,
    /// How often, in seconds, the target is asked whether it still holds what was delivered.
    #[serde(default = "check_every")]
    pub check_every: u64,
}

/// What happens when somebody else changes what was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// The token is delivered again at once, and that is told.
    #[default]
    Repair,
    /// It is told, and left as it is until the next generation takes its place.
    Report,
}

/// How often, in seconds, a target is asked by default: once an hour.
pub const CHECK_EVERY: u64 = 3600;

fn check_every() -> u64 {
    CHECK_EVERY
}

/// What is added to the name of a token in shadow mode, so that it stands beside the one that the flow writes.
pub const SHADOW_SUFFIX: &str = "-vestal";

fn keep_versions() -> u32 {
    KEEP_VERSIONS
}

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// It stands here. Never a secret.
    Literal(String),
    /// The current version of a secret.
    Secret {
        /// The vault: one of Vestal's own, or a target.
        vault: String,
        /// The secret's name.
        name: String,
    },
}

impl TokenDefinition {
    /// The lane that the token is renewed in: the token endpoint's host and the client.
    pub fn lane(&self, provider: &oauth::Provider) -> String {
        let host = provider.token_url.url().host_str().unwrap_or_default();
        match &self.client_id {
            Source::Literal(client) => format!("{host} {client}"),
            Source::Secret { vault, name } => format!("{host} secret:{vault}/{}", name.to_ascii_lowercase()),
        }
    }
}

/// The name of the definition of the token that manages a secret.
pub fn token_definition_name(vault: &vault::VaultName, name: &vault::SecretName) -> String {
    format!("{}/{}", vault.as_str(), name.folded())
}
