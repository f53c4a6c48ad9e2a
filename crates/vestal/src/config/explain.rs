//! What `vestal check` shows of a configuration without a mistake: what it would do.
//!
//! Made of the configuration alone; nothing is called and no store is opened. No secret is in it.

use core::fmt;
use core::time::Duration;

use keeper::pacing_of;
use oauth::{ClientAuth, Provider};
use renewal::schedule::largest_promise;
use serde::Serialize;

use super::check::KnownLifetime;
use super::definition::{ClientId, Definition, TokenSettings};
use super::explain_target::{DeliveryExplanation, TargetExplanation, explain_deliveries, explain_targets};
use super::period::Period;
use super::secret_reference::{Holder, HomeSecret, SecretReference};
use super::target::Target;
use super::{Config, Source, Webhook};
use crate::forecast::{Versions, renewal_window};

/// What a configuration would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The configuration file.
    pub file: String,
    /// Who listens where.
    pub listeners: Vec<ListenerExplanation>,
    /// The data directory.
    pub data: String,
    /// The vaults.
    pub vaults: Vec<VaultExplanation>,
    /// The targets.
    pub targets: Vec<TargetExplanation>,
    /// The tokens.
    pub tokens: Vec<TokenExplanation>,
    /// The apps, with what they may do.
    pub apps: Vec<AppExplanation>,
    /// Where alerts go.
    pub alerts: Vec<String>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListenerExplanation {
    /// Its address.
    pub address: String,
    /// What is served there.
    pub serves: String,
}

/// A vault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VaultExplanation {
    /// Its name.
    pub name: String,
    /// Where readers reach it.
    pub url: String,
    /// Where it is declared.
    pub source: Source,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenExplanation {
    /// Its name in the file.
    pub name: String,
    /// The vault of its secret.
    pub vault: String,
    /// Its secret.
    pub secret: String,
    /// Where it is declared.
    pub source: Source,
    /// The token endpoint that it is obtained from.
    pub token_url: String,
    /// The provider, as people write it.
    pub provider: String,
    /// How Vestal proves who it is there.
    pub authentication: String,
    /// The secrets that it is obtained with, as `vault/name`.
    pub credentials: Vec<String>,
    /// What it is asked to be good for.
    pub scope: Vec<String>,
    /// How long it lives, in seconds, if that is known; and who says so.
    #[serde(rename = "lifetime_seconds")]
    pub lifetime: Option<u64>,
    /// The lifetime in words, and who says so.
    pub lifetime_words: String,
    /// When it is renewed, in seconds after it was obtained: the earliest and the latest.
    #[serde(rename = "renewed_after_seconds")]
    pub renewed_after: Option<(u64, u64)>,
    /// The renewal in words.
    pub renewal_words: String,
    /// The promise in seconds.
    #[serde(rename = "promise_seconds")]
    pub promise: Option<u64>,
    /// The promise in words: whether it holds, and the largest that would.
    pub promise_words: String,
    /// Who is told when it is in danger.
    pub owner: Option<String>,
    /// Where it is delivered to.
    pub deliveries: Vec<DeliveryExplanation>,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppExplanation {
    /// Its name.
    pub name: String,
    /// What it may do, a sentence a policy.
    pub may: Vec<String>,
}

/// What the configuration would do.
pub fn explain(config: &Config) -> Explanation {
    let (process, definitions) = (&config.process, &config.definitions);
    let port = process.server.listen.port();
    let listeners = vec![
        ListenerExplanation {
            address: format!("https://{}", process.server.listen),
            serves: format!("the vaults, and the authority {}", process.server.authority_for(port)),
        },
        ListenerExplanation {
            address: format!("http://{}", process.observe.listen),
            serves: "/healthz, /readyz and /metrics".to_owned(),
        },
    ];
    let vaults = definitions
        .vaults
        .iter()
        .filter_map(|vault| {
            let name = vault::VaultName::parse(&vault.name).ok()?;
            let url = process.server.vault_url_for(&name, port);
            Some(VaultExplanation { name: name.to_string(), url, source: vault.source.clone() })
        })
        .collect();
    let tokens = definitions
        .tokens
        .iter()
        .filter_map(|token| {
            Some(explain_token(token, config.providers.get(token.body.provider.as_str())?, &definitions.targets))
        })
        .collect();
    let apps = definitions
        .apps
        .iter()
        .map(|app| AppExplanation { name: app.name.clone(), may: what_it_may(config, &app.name) })
        .collect();
    let data = process.store.data.display().to_string();
    let targets = explain_targets(definitions);
    Explanation { file: config.file.clone(), listeners, data, vaults, targets, tokens, apps, alerts: alerts(config) }
}

fn explain_token(
    token: &Definition<TokenSettings>,
    provider: &Provider,
    targets: &[Definition<Target>],
) -> TokenExplanation {
    let settings = &token.body;
    let known = KnownLifetime::of(settings, provider);
    let promise = settings.promise.map(Period::duration).unwrap_or_default();
    let window = known.length().map(|life| renewal_window(life, promise, pacing_of(provider)));
    let versions = known.length().map(|life| Versions::of(0, life, promise, pacing_of(provider)));
    TokenExplanation {
        name: token.name.clone(),
        vault: settings.vault.to_string(),
        secret: token.secret().to_string(),
        source: token.source.clone(),
        token_url: provider.token_url.url().to_string(),
        provider: provider.title.clone(),
        authentication: authentication(settings, provider),
        credentials: credentials(settings),
        scope: settings.scope.iter().map(|scope| scope.as_str().to_owned()).collect(),
        lifetime: known.length().map(|life| life.as_secs()),
        lifetime_words: lifetime_words(known, provider),
        renewed_after: window.map(|(earliest, latest)| (earliest.as_secs(), latest.as_secs())),
        renewal_words: match (known, window) {
            (KnownLifetime::Never, _) => "never; once a day it is seen whether the credential still works".to_owned(),
            (_, Some((earliest, latest))) => {
                format!("between {} and {} after it was obtained", about(earliest), about(latest))
            }
            (_, None) => "about half-way through the lifetime that the first answer tells".to_owned(),
        },
        promise: settings.promise.map(Period::seconds),
        promise_words: promise_words(settings.promise, known, provider),
        owner: settings.owner.as_ref().map(|owner| owner.as_str().to_owned()),
        deliveries: explain_deliveries(token, targets, known, versions),
    }
}

fn credentials(settings: &TokenSettings) -> Vec<String> {
    let own = settings.credentials().into_iter().map(|(_, vault, name)| format!("{vault}/{name}"));
    let there =
        settings.target_credentials().into_iter().map(|(_, target, name)| format!("{}/{name}", target.as_str()));
    own.chain(there).collect()
}

fn authentication(settings: &TokenSettings, provider: &Provider) -> String {
    let name = |reference: &SecretReference| match &reference.vault {
        Some(Holder::Vault(vault)) if *vault != settings.vault => {
            format!("secret `{}` of the vault `{vault}`", reference.secret)
        }
        Some(Holder::Target(target)) => format!("secret `{}` of the target `{}`", reference.secret, target.as_str()),
        _ => format!("secret `{}`", reference.secret),
    };
    let id = match &settings.client_id {
        ClientId::Literal(id) => format!("client id {id}"),
        ClientId::Secret(reference) => format!("client id from the {}", name(reference)),
    };
    let way = match provider.client_auth {
        ClientAuth::Form => "in the form",
        ClientAuth::Basic => "by HTTP Basic",
    };
    format!("{id}, client secret from the {}, sent {way}", name(&settings.client_secret))
}

fn lifetime_words(known: KnownLifetime, provider: &Provider) -> String {
    match known {
        KnownLifetime::Documented(life) => {
            let unverified = provider.documentation.unverified.iter().any(|field| field == "lifetime.documented");
            let doubt = if unverified { " (unverified)" } else { "" };
            format!("{}, as {} documents{doubt}; what the answer says wins", Period::from(life), provider.title)
        }
        KnownLifetime::Operator(life) => format!("{}, as you say; what the answer says wins", Period::from(life)),
        KnownLifetime::Never => format!("without end, as {} documents; what the answer says wins", provider.title),
        KnownLifetime::Unknown => "not known before the first answer".to_owned(),
    }
}

fn promise_words(promise: Option<Period>, known: KnownLifetime, provider: &Provider) -> String {
    let largest = known.length().map(|life| {
        let largest = largest_promise(life, pacing_of(provider));
        let largest = provider.renewal.longest_promise.map_or(largest, |longest| longest.min(largest));
        Period::from(largest).in_round_numbers()
    });
    match (promise, largest) {
        (Some(promise), Some(largest)) => format!("{promise} left is promised, and holds; {largest} would at most"),
        (Some(promise), None) if known == KnownLifetime::Never => format!("{promise} left is promised, and holds"),
        (Some(promise), None) => format!("{promise} left is promised; the first answer shows whether it can hold"),
        (None, Some(largest)) => format!("none; up to {largest} could be promised"),
        (None, None) => "none".to_owned(),
    }
}

/// A length of time to the nearest fiftieth or so: renewals are spread at random anyway.
fn about(length: Duration) -> Period {
    const UNITS: [u64; 8] = [21_600, 3_600, 1_800, 600, 300, 60, 10, 1];
    let seconds = length.as_secs_f64().round() as u64;
    let unit = UNITS.into_iter().find(|unit| *unit <= seconds / 40).unwrap_or(1);
    Period::from(Duration::from_secs((seconds + unit / 2) / unit * unit))
}

fn what_it_may(config: &Config, app: &str) -> Vec<String> {
    let policies = config.definitions.policies.iter().filter(|policy| policy.body.app.as_str() == app);
    policies
        .map(|policy| {
            let permissions: Vec<_> = policy.body.permissions.iter().map(|permission| permission.as_str()).collect();
            let names: Vec<_> = policy.body.names.iter().map(|pattern| pattern.as_str()).collect();
            let secrets = if names.is_empty() { "every secret".to_owned() } else { names.join(", ") };
            format!("{} {secrets} in {} (policy {})", permissions.join(", "), policy.body.vault, policy.name)
        })
        .collect()
}

fn alerts(config: &Config) -> Vec<String> {
    let alert = &config.process.alert;
    let webhook = alert.webhook.as_ref().map(|webhook| match webhook {
        Webhook::Url(url) => format!("posted to {url}"),
        Webhook::Secret(HomeSecret { secret, .. }) => format!("posted to the URL in the secret `{secret}`"),
    });
    let command = alert.command.as_ref().map(|command| format!("given to {}", command.program.path().display()));
    webhook.into_iter().chain(command).collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} is fine. With it, Vestal", self.file)?;
        for ListenerExplanation { address, serves } in &self.listeners {
            writeln!(out, "  listens on {address} for {serves}")?;
        }
        writeln!(out, "  keeps its data in {}", self.data)?;
        if self.alerts.is_empty() {
            writeln!(out, "  tells nobody when a token is in danger: [alert] has no `webhook` and no `command`")?;
        }
        for way in &self.alerts {
            writeln!(out, "  has alerts {way}")?;
        }
        for vault in &self.vaults {
            writeln!(out, "\nvault {}\n  {}", vault.name, vault.url)?;
        }
        for target in &self.targets {
            write!(out, "\n{target}")?;
        }
        if self.tokens.is_empty() {
            writeln!(out, "\nno token: nothing in it is to be renewed")?;
        }
        for token in &self.tokens {
            writeln!(out, "\ntoken {} in {}", token.secret, token.vault)?;
            writeln!(out, "  obtained from  {} ({})", token.token_url, token.provider)?;
            writeln!(out, "  with           {}", token.authentication)?;
            if !token.scope.is_empty() {
                writeln!(out, "  scope          {}", token.scope.join(" "))?;
            }
            writeln!(out, "  lives          {}", token.lifetime_words)?;
            writeln!(out, "  renewed        {}", token.renewal_words)?;
            writeln!(out, "  promise        {}", token.promise_words)?;
            for delivery in &token.deliveries {
                write!(out, "{delivery}")?;
            }
            writeln!(out, "  owner          {}", token.owner.as_deref().unwrap_or("nobody"))?;
        }
        for app in &self.apps {
            writeln!(out, "\napp {}", app.name)?;
            if app.may.is_empty() {
                writeln!(out, "  may do nothing: no policy names it")?;
            }
            for may in &app.may {
                writeln!(out, "  may {may}")?;
            }
        }
        Ok(())
    }
}
