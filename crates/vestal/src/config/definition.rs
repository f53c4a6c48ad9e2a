//! Definitions: the vaults, targets, providers, tokens, apps and policies that an operator declares. They become rows of the
//! store, where definitions made with the CLI stand beside them.

use keeper::TokenDefinition;
use keyvault::Challenge;
use serde::{Deserialize, Serialize};
use serde_json::json;
use toml::Spanned;
use toml::de::DeValue;
use vault::{Pattern, Permissions, SecretName, VaultName};

use super::delivery::{DeliverySettings, Mode};
use super::diff::DefinitionView;
use super::period::Period;
use super::problem::{Problem, ProblemKind};
use super::provider::{ProviderName, ProviderSettings};
use super::secret_reference::{Holder, HomeSecret, SecretReference, TargetName};
use super::setting::{Reading, Schema, Section as _, Shape, Value, section};
use super::suggest::nearest;
use super::target::Target;
use super::value::{Count, NAME_PATTERN, Parameters, Text, word_value};

/// Where something stands in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file, as the operator named it.
    pub file: String,
    /// The line of its header, from 1.
    pub line: usize,
}

/// Something that was declared, by its name, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition<T> {
    /// The name in its header.
    pub name: String,
    /// Where its header stands.
    pub source: Source,
    /// What was declared.
    pub body: T,
}

/// The definitions of one configuration, each kind by name. What they refer to is there, and what they promise can
/// hold as far as it is known.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Definitions {
    /// `[vault.NAME]`
    pub vaults: Vec<Definition<VaultSettings>>,
    /// `[target.NAME]`
    pub targets: Vec<Definition<Target>>,
    /// `[provider.NAME]`
    pub providers: Vec<Definition<ProviderSettings>>,
    /// `[token.NAME]`
    pub tokens: Vec<Definition<TokenSettings>>,
    /// `[app.NAME]`
    pub apps: Vec<Definition<AppSettings>>,
    /// `[policy.NAME]`
    pub policies: Vec<Definition<PolicySettings>>,
}

section! {
    /// A vault: a set of secrets with a host name of its own, which speaks Azure Key Vault's API. Its name is 3 to 24
    /// letters, digits and hyphens.
    VaultSettings: Serialize {
        /// Which tenant the vault names when it asks a client to log in. With `adfs`, Azure's SDKs come here with
        /// nothing set but `AZURE_AUTHORITY_HOST` and `AZURE_TENANT_ID=adfs`. With `tenant`, it is the tenant id of
        /// this Vestal, for clients that must have one; most of them then first ask Microsoft whether they may.
        challenge: Challenge = default r#""adfs""#;

        /// How many days a deleted secret can be recovered. What is deleted already keeps the days that it was deleted
        /// with.
        retention_days: Count<7, 90> = default r#"90"#;

        /// Whether nobody can purge a deleted secret before these days are over.
        purge_protection: bool = default r#"false"#;
    }
}

section! {
    /// A managed token: a secret whose value Vestal keeps fresh. Its name is the secret's name.
    TokenSettings {
        /// The vault that readers find the token in.
        vault: VaultName = required r#""contoso""#;

        /// The secret's name, where it is not the name in the header: so that two vaults can hold a token of the same
        /// name. It need not be there yet.
        secret: SecretName = optional r#""discord-api-oauth-token""#;

        /// The API that gives the token: a preset, or a `[provider.NAME]` of this file.
        provider: ProviderName = required r#""discord""#;

        /// The client id that the API gave you. It is no secret, so it may stand here; or it is in a vault.
        client_id: ClientId = required r#"{ secret = "client-id" }"#;

        /// The client secret that the API gave you. It never stands in this file: name the secret that holds it.
        /// `vestal secret set client-credentials` asks for its value.
        client_secret: SecretReference = required r#"{ secret = "client-credentials" }"#;

        /// What the token is asked to be good for, in the API's own words.
        scope: Vec<Text> = default r#"[]"#, r#"["identify"]"#;

        /// The life that a reader is sure to find left in the token. It draws renewals forward where needed. One that
        /// the token's lifetime can't hold is refused, with the largest that it can.
        promise: Period = optional r#""10m""#;

        /// How long the token lives, where neither the API's answer nor the provider's document says it.
        lifetime: Period = optional r#""1h""#;

        /// Who hears of it when the token is in danger: it is part of every alert.
        owner: Text = optional r#""ops@example.com""#;

        /// Further parameters of the token request, such as `audience`. Never a secret.
        extra: Parameters = default r#"{}"#, r#"{ audience = "https://api.example.com" }"#;

        /// How many versions of the secret are kept. An hourly token makes 9,000 a year.
        keep_versions: Count<1, 10_000> = default r#"25"#;

        /// Other vaults that each new token is delivered to, with its expiry: for readers that know only Azure's Key
        /// Vault, say. Each is a `[target.NAME]` of this file.
        deliver: Vec<DeliverySettings> = default r#"[]"#, r#"[{ to = "contoso-azure" }]"#;

        /// Whether the token is `live`, or in `shadow` mode, beside a flow that it is to replace: it is delivered under
        /// another name than the flow's, with `-vestal` at the end, and both are compared. `vestal token cut-over`
        /// ends it.
        mode: Mode = default r#""live""#;
    }
}

section! {
    /// An app registration: a program that may log in and call the vaults, as far as policies let it.
    /// `vestal app rotate-secret NAME` makes its client secret and shows it once.
    AppSettings: Serialize {
    }
}

section! {
    /// What one app may do in one vault. An app without a policy may do nothing.
    PolicySettings: Serialize {
        /// The app.
        app: AppName = required r#""reader""#;

        /// The vault.
        vault: VaultName = required r#""contoso""#;

        /// What it may do. `get` reads values, `list` sees names, `set` writes.
        permissions: Permissions = required r#"["get"]"#;

        /// The secrets that it may do it to. `*` stands for anything. Left out, all secrets of the vault, the
        /// credentials among them.
        names: Vec<Pattern> = default r#"[]"#, r#"["discord-*-token"]"#;
    }
}

word_value!(Challenge: "a challenge", "a list of challenges", [
    "adfs" => Challenge::Adfs,
    "tenant" => Challenge::Tenant,
]);

/// The client id of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientId {
    /// It stands in the file.
    Literal(String),
    /// It is the value of a secret.
    Secret(SecretReference),
}

/// The name of an app that the file declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AppName(String);

impl AppName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TokenSettings {
    /// The token that keeps this secret, as the keeper knows it and the store keeps it.
    pub fn definition(&self, secret: &SecretName) -> TokenDefinition {
        TokenDefinition {
            provider: self.provider.as_str().to_owned(),
            client_id: match &self.client_id {
                ClientId::Literal(id) => keeper::Source::Literal(id.clone()),
                ClientId::Secret(reference) => self.resolved(reference),
            },
            client_secret: self.resolved(&self.client_secret),
            scope: self.scope.iter().map(|scope| scope.as_str().to_owned()).collect(),
            extra: self.extra.as_map().clone(),
            promise: self.promise.map(Period::seconds),
            lifetime: self.lifetime.map(Period::seconds),
            owner: self.owner.as_ref().map(|owner| owner.as_str().to_owned()),
            keep_versions: self.keep_versions.number(),
            deliver: self.deliver.iter().map(|delivery| delivery.definition(secret)).collect(),
            shadow: self.mode == Mode::Shadow,
        }
    }

    /// The secrets of Vestal's own vaults that the token is obtained with: vault and name, with the setting that names
    /// them.
    pub fn credentials(&self) -> Vec<(&'static str, &VaultName, &SecretName)> {
        let references = self.references().map(|(key, reference)| match &reference.vault {
            None => Some((key, &self.vault, &reference.secret)),
            Some(Holder::Vault(vault)) => Some((key, vault, &reference.secret)),
            Some(Holder::Target(_)) => None,
        });
        references.flatten().collect()
    }

    /// The secrets of targets that the token is obtained with: target and name, with the setting that names them.
    pub fn target_credentials(&self) -> Vec<(&'static str, &TargetName, &SecretName)> {
        let references = self.references().map(|(key, reference)| match &reference.vault {
            Some(Holder::Target(target)) => Some((key, target, &reference.secret)),
            None | Some(Holder::Vault(_)) => None,
        });
        references.flatten().collect()
    }

    fn references(&self) -> impl Iterator<Item = (&'static str, &SecretReference)> {
        let id = match &self.client_id {
            ClientId::Literal(_) => None,
            ClientId::Secret(reference) => Some(("client_id", reference)),
        };
        id.into_iter().chain([("client_secret", &self.client_secret)])
    }

    fn resolved(&self, reference: &SecretReference) -> keeper::Source {
        keeper::Source::Secret {
            vault: reference.vault.as_ref().map_or_else(|| self.vault.as_str(), Holder::as_str).to_owned(),
            name: reference.secret.to_string(),
        }
    }
}

impl Definition<TokenSettings> {
    /// The name of the secret that the token keeps: `secret`, or the name in the header.
    ///
    /// # Panics
    /// Never for a definition of a [`Config`](super::Config): the name in its header was checked.
    pub fn secret(&self) -> SecretName {
        let named = self.body.secret.clone();
        named.unwrap_or_else(|| SecretName::parse(&self.name).expect("the header's name is a secret's name"))
    }

    /// The token as the keeper knows it and the store keeps it.
    pub fn definition(&self) -> TokenDefinition {
        self.body.definition(&self.secret())
    }

    /// The name of its row in the store.
    pub fn row_name(&self) -> String {
        keeper::token_definition_name(&self.body.vault, &self.secret())
    }
}

impl Definition<Target> {
    /// The name of its row in the store.
    pub fn row_name(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

/// A secret of one of Vestal's own vaults that something can't be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    /// What needs it: `token` or `target`.
    pub kind: &'static str,
    /// The name of what needs it, in its header.
    pub of: &'a str,
    /// Where that is declared.
    pub source: &'a Source,
    /// The setting that names the secret.
    pub setting: &'static str,
    /// The vault.
    pub vault: &'a VaultName,
    /// The secret.
    pub secret: &'a SecretName,
}

impl Definitions {
    /// The secrets of Vestal's own vaults that tokens and targets name.
    pub fn credentials(&self) -> impl Iterator<Item = Credential<'_>> {
        let tokens = self.tokens.iter().flat_map(|token| {
            token.body.credentials().into_iter().map(|(setting, vault, secret)| {
                let (of, source) = (token.name.as_str(), &token.source);
                Credential { kind: "token", of, source, setting, vault, secret }
            })
        });
        let targets = self.targets.iter().filter_map(|target| {
            let (setting, HomeSecret { vault, secret }) = target.body.secret.as_ref()?;
            let (of, source) = (target.name.as_str(), &target.source);
            Some(Credential { kind: "target", of, source, setting, vault, secret })
        });
        tokens.chain(targets)
    }

    /// The definitions in the form in which they are compared and stored.
    pub fn views(&self) -> Vec<DefinitionView> {
        let mut views = Vec::new();
        for vault in &self.vaults {
            views.push(view("vault", vault.name.to_ascii_lowercase(), &vault.source, json!(vault.body)));
        }
        for target in &self.targets {
            views.push(view("target", target.row_name(), &target.source, json!(target.body.definition)));
        }
        for provider in &self.providers {
            views.push(view("provider", provider.name.clone(), &provider.source, json!(provider.body.table())));
        }
        for token in &self.tokens {
            views.push(view("token", token.row_name(), &token.source, json!(token.definition())));
        }
        for app in &self.apps {
            views.push(view("app", app.name.clone(), &app.source, json!({})));
        }
        for policy in &self.policies {
            views.push(view("policy", policy.name.clone(), &policy.source, json!(policy.body)));
        }
        views
    }
}

fn view(kind: &str, name: String, source: &Source, body: serde_json::Value) -> DefinitionView {
    DefinitionView { kind: kind.to_owned(), name, body, source: Some(source.clone()) }
}

/// An app by its name; the file declares it.
impl Value for AppName {
    const SHAPE: Shape =
        Shape { noun: "the name of an app", list: "a list of apps", schema: Schema::Text(NAME_PATTERN) };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let name: Text = super::value::read_text(value, reading, ProblemKind::BadName, Self::SHAPE.noun)?;
        if reading.names.apps.contains_key(name.as_str()) {
            return Some(Self(name.0));
        }
        let meant = nearest(name.as_str(), reading.names.apps.keys().map(String::as_str)).map(str::to_owned);
        unknown_reference(value, reading, "app", name.as_str(), meant);
        None
    }
}

/// Notes a name that nobody declared.
pub(super) fn unknown_reference(
    value: &Spanned<DeValue<'_>>,
    reading: &mut Reading<'_>,
    kind: &str,
    name: &str,
    meant: Option<String>,
) {
    let message = format!("there is no {kind} `{name}`");
    let problem = Problem::at(ProblemKind::UnknownReference, value.span(), message);
    reading.report(match meant {
        Some(meant) => problem.label(format!("did you mean `{meant}`?")).help(format!("write \"{meant}\"")),
        None => {
            let headers: Vec<_> = kind.split(" or ").map(|kind| format!("`[{kind}.{name}]`")).collect();
            problem.label("not declared").help(format!("declare it with a line {}", headers.join(" or ")))
        }
    });
}

impl Value for ClientId {
    const SHAPE: Shape = Shape {
        noun: "a client id, or the name of a secret, as `{ secret = \"…\" }`",
        list: "a list of client ids",
        schema: Schema::Either(&[Schema::Text(""), Schema::Table(SecretReference::SETTINGS)]),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            let text: Text = super::value::read_text(value, reading, ProblemKind::BadValue, "a client id")?;
            return Some(Self::Literal(text.0));
        }
        if value.get_ref().as_table().is_none() {
            reading.wrong_type(value, Self::SHAPE.noun);
            return None;
        }
        SecretReference::read(value, reading).map(Self::Secret)
    }
}
