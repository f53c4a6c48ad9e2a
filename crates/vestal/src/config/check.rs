//! What settings say of each other: names, references, promises, and the request that each token would send.

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;

use oauth::{DocumentedLifetime, Provider, RequestError};
use renewal::schedule::check_promise;
use secret::Secret;
use toml::Spanned;
use toml::de::DeTable;
use vault::{MAX_POLICY_NAMES, MAX_SECRET_NAME_CHARS, SecretName, VaultName};

use super::definition::{ClientId, PolicySettings, TokenSettings};
use super::deliveries;
use super::document::{Found, FoundDefinitions};
use super::period::Period;
use super::problem::{Problem, ProblemKind};
use super::process::{ObserveSettings, ServerSettings};
use super::provider::ProviderTables;
use super::secret_reference::TargetName;
use super::setting::Reading;
use super::suggest::with_article;

/// How long a token lives, where that is known before it was ever obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownLifetime {
    /// The provider's document says it.
    Documented(Duration),
    /// The operator says it.
    Operator(Duration),
    /// The provider's document says that the token doesn't expire.
    Never,
    /// Nobody says it: the first answer will.
    Unknown,
}

impl KnownLifetime {
    /// By the order of the lifetime ladder: the document before the operator.
    pub(super) fn of(token: &TokenSettings, provider: &Provider) -> Self {
        match (provider.lifetime.documented, token.lifetime) {
            (Some(DocumentedLifetime::Never), _) => Self::Never,
            (Some(DocumentedLifetime::For(life)), _) => Self::Documented(life),
            (None, Some(life)) => Self::Operator(life.duration()),
            (None, None) => Self::Unknown,
        }
    }

    /// The length, where the token has one that is known.
    pub(super) fn length(self) -> Option<Duration> {
        match self {
            Self::Documented(life) | Self::Operator(life) => Some(life),
            Self::Never | Self::Unknown => None,
        }
    }
}

/// Refuses a bad name in a header.
pub(super) fn name(kind: &str, name: &str, span: Range<usize>, table: &DeTable<'_>, reading: &mut Reading<'_>) {
    let rule = match kind {
        "vault" => VaultName::parse(name).err().map(|why| why.to_string()),
        "target" => name.parse::<TargetName>().err(),
        "provider" => {
            (!oauth::is_provider_name(name)).then(|| "a provider's name is 1 to 64 of `a-z`, `0-9` and `-`".to_owned())
        }
        _ => SecretName::parse(name).err().map(|why| match why {
            vault::NameError::SecretLength => "a name has 1 to 127 characters".to_owned(),
            why => why.to_string(),
        }),
    };
    let Some(why) = rule else { return };
    let message = format!("`{}` is not a name for {}", name.escape_debug(), with_article(kind));
    let problem = Problem::at(ProblemKind::BadName, span, message).label(why);
    let better: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    reading.report(match (kind, table.contains_key("secret")) {
        _ if name.len() > MAX_SECRET_NAME_CHARS || name.is_empty() => problem.help("give it another name"),
        ("token", false) => problem
            .help(format!("the name is also the secret's name; write `[token.{better}]`, or another name like it")),
        ("target", _) => problem.help("write one such as `[target.contoso-azure]`"),
        ("vault", _) => problem.help("the name becomes a host name: write one such as `[vault.contoso]`"),
        _ => problem.help(format!("write one such as `[{kind}.{}]`", better.to_ascii_lowercase())),
    });
}

/// Certificate and key belong together.
pub(super) fn server(server: &ServerSettings, root: &DeTable<'_>, reading: &mut Reading<'_>) {
    let (there, missing) = match (&server.certificate, &server.key) {
        (Some(_), None) => ("certificate", "key"),
        (None, Some(_)) => ("key", "certificate"),
        _ => return,
    };
    reading.report(
        Problem::at(ProblemKind::Contradiction, span(root, "server", there), format!("`{there}` without `{missing}`"))
            .label(format!("`{missing}` is missing beside it"))
            .help(format!(
                "give both, or neither: Vestal then makes its own. The line: {missing} = \"/etc/vestal/server.pem\""
            )),
    );
}

/// Two listeners can't have one address.
pub(super) fn listeners(
    server: &ServerSettings,
    observe: &ObserveSettings,
    root: &DeTable<'_>,
    reading: &mut Reading<'_>,
) {
    let (one, other) = (server.listen, observe.listen);
    let same_address = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    if one.port() == 0 || one.port() != other.port() || !same_address {
        return;
    }
    // At whichever of the two is written down.
    let (section, other) = match root.get("observe") {
        Some(_) => ("observe", "server"),
        None => ("server", "observe"),
    };
    reading.report(
        Problem::at(ProblemKind::Contradiction, span(root, section, "listen"), "two listeners on one address")
            .label(format!("`[{other}]` listens here too"))
            .help("give one of them another port"),
    );
}

/// Providers, tokens and policies. Returns the providers that tokens use, complete.
pub(super) fn definitions(found: &FoundDefinitions<'_>, reading: &mut Reading<'_>) -> BTreeMap<String, Provider> {
    let tables: ProviderTables = found
        .providers
        .iter()
        .filter_map(|provider| Some((provider.name.to_owned(), provider.body.as_ref()?.table())))
        .collect();
    let mut complete = BTreeMap::new();
    for provider in found.providers.iter().filter(|provider| oauth::is_provider_name(provider.name)) {
        if provider.body.is_some() {
            match oauth::resolve(provider.name, &tables) {
                Ok(provider) => drop(complete.insert(provider.name.clone(), provider)),
                Err(error) => provider_problem(found, &tables, &error, reading),
            }
        }
    }
    let mut kept = BTreeMap::new();
    // In the order of the file, so that of two tokens the later one is told.
    let mut tokens: Vec<_> = found.tokens.iter().filter_map(|token| Some((token, token.body.as_ref()?))).collect();
    tokens.sort_by_key(|(token, _)| token.header.start);
    for (token, settings) in &tokens {
        let name = settings.provider.as_str();
        if !complete.contains_key(name) && (is_base(&tables, name) || !reading.names.providers.contains_key(name)) {
            match oauth::resolve(name, &tables) {
                Ok(provider) => drop(complete.insert(name.to_owned(), provider)),
                Err(error) => reading.report(incomplete_provider(token, name, &error)),
            }
        }
        if let Some(provider) = complete.get(name) {
            request(token, settings, provider, reading);
            promise(token, settings, provider, reading);
        }
        secret_managed_once(token, settings, &mut kept, reading);
    }
    deliveries::check(&found.targets, &tokens, reading);
    for policy in &found.policies {
        if let Some(settings) = &policy.body {
            policy_names(policy, settings, reading);
        }
    }
    complete
}

/// Whether another provider of the file extends this one.
fn is_base(tables: &ProviderTables, name: &str) -> bool {
    tables.iter().any(|(other, table)| other != name && table.extends.as_deref() == Some(name))
}

/// A provider that doesn't work out, at the field that is to blame.
fn provider_problem(
    found: &FoundDefinitions<'_>,
    tables: &ProviderTables,
    error: &oauth::ProviderError,
    reading: &mut Reading<'_>,
) {
    let Some(provider) = found.providers.iter().find(|provider| provider.name == error.provider) else {
        return;
    };
    let mut value = None;
    let mut table = Some(provider.table);
    for step in error.field.split('.') {
        value = table.and_then(|table| table.get(step)).or(value);
        table = value.and_then(|value| value.get_ref().as_table());
    }
    let Some(value) = value else {
        // What isn't written here comes from below, and is told there; or it may still be written above.
        let below = tables.get(provider.name).and_then(|table| table.extends.as_deref());
        let told_below = below.is_some_and(|below| below != provider.name && tables.contains_key(below));
        if !told_below && !is_base(tables, provider.name) {
            let message = format!("`[provider.{}]` has no `{}`", provider.name, error.field);
            reading.report(
                Problem::at(ProblemKind::MissingKey, provider.header.clone(), message)
                    .label(format!("`{}` is missing here", error.field))
                    .help(error.problem.clone()),
            );
        }
        return;
    };
    let message = format!("`{}` of `[provider.{}]` doesn't work out", error.field, provider.name);
    let problem = Problem::at(ProblemKind::BadValue, value.span(), message).help(error.problem.clone());
    if !reading.problems.contains(&problem) {
        reading.report(problem);
    }
}

/// A provider that others are made of, and that can't be used as it is: `generic` has no token URL.
fn incomplete_provider(token: &Found<'_, TokenSettings>, name: &str, error: &oauth::ProviderError) -> Problem {
    let message = format!("the provider `{name}` needs more to work with");
    Problem::at(ProblemKind::MissingKey, token.span("provider"), message)
        .label(format!("it has no `{}`", error.field))
        .help(format!(
            "describe the API, and write its name here instead:\n    [provider.my-api]\n    extends = \"{name}\"\n    \
             token_url = \"https://…\""
        ))
}

/// Builds the token request as the keeper would, to see what is wrong with it before it is ever sent.
fn request(token: &Found<'_, TokenSettings>, settings: &TokenSettings, provider: &Provider, reading: &mut Reading<'_>) {
    // Stand-ins: the real ones are in a vault.
    let id = match &settings.client_id {
        ClientId::Literal(id) => id.as_str(),
        ClientId::Secret(_) => "client-id",
    };
    let credential = Secret::copy_of(b"client-secret");
    let scope: Vec<_> = settings.scope.iter().map(|scope| scope.as_str().to_owned()).collect();
    let Err(error) = oauth::client_credentials(provider, id, &credential, &scope, settings.extra.as_map()) else {
        return;
    };
    let (kind, key, message, label) = match &error {
        RequestError::ScopeMissing { .. } => (
            ProblemKind::MissingKey,
            "scope",
            format!("`[token.{}]` has no `scope`", token.name),
            "`scope` is missing here".to_owned(),
        ),
        RequestError::ScopeInvalid { .. } => {
            (ProblemKind::BadValue, "scope", "`scope` can't be sent".to_owned(), String::new())
        }
        RequestError::GrantNotOffered { grant, .. } => (
            ProblemKind::Contradiction,
            "provider",
            format!("the provider `{}` doesn't offer what Vestal can do", provider.name),
            format!("its `grants` are without `{}`", grant.as_str()),
        ),
        RequestError::ReservedParameter(name) => (
            ProblemKind::BadValue,
            "extra",
            format!("`{name}` can't be an extra parameter"),
            "the request has it already".to_owned(),
        ),
        RequestError::Empty(_) | RequestError::ControlCharacter(_) => {
            (ProblemKind::BadValue, "client_id", "`client_id` can't be sent".to_owned(), String::new())
        }
    };
    reading.report(Problem::at(kind, token.span(key), message).label(label).help(error.to_string()));
}

/// A promise that a known lifetime can't hold; a lifetime that would never be looked at.
fn promise(token: &Found<'_, TokenSettings>, settings: &TokenSettings, provider: &Provider, reading: &mut Reading<'_>) {
    let known = KnownLifetime::of(settings, provider);
    if let (Some(said), true) = (settings.lifetime, provider.lifetime.documented.is_some())
        && known != KnownLifetime::Documented(said.duration())
    {
        let documented = known.length().map_or_else(|| "never".to_owned(), |life| Period::from(life).to_string());
        reading.report(
            Problem::at(ProblemKind::Contradiction, token.span("lifetime"), "`lifetime` would never be looked at")
                .label(format!("the provider `{}` documents another: {documented}", provider.name))
                .help(format!(
                    "take it out; or, if the document is wrong, overrule it for every token:\n    \
                     [provider.{}]\n    lifetime = {{ documented = \"{said}\" }}",
                    provider.name
                )),
        );
        return;
    }
    let Some(promise) = settings.promise else { return };
    let says_who = match known {
        KnownLifetime::Documented(_) => format!("as the provider `{}` documents", provider.name),
        _ => "as `lifetime` says".to_owned(),
    };
    if let Some(life) = known.length()
        && let Err(refused) = check_promise(promise.duration(), life, keeper::pacing_of(provider))
    {
        let largest = Period::from(refused.largest).in_round_numbers();
        let message = format!("a promise of {promise} can't hold for a token that lives {}", Period::from(life));
        let mut problem = Problem::at(ProblemKind::PromiseTooLong, token.span("promise"), message);
        if let (KnownLifetime::Operator(_), Some(lifetime)) = (known, token.table.get("lifetime")) {
            problem = problem.related(lifetime.span(), "its lifetime");
        }
        reading.report(if largest.seconds() == 0 {
            problem.label(format!("it lives {}, {says_who}", Period::from(life))).help("leave the promise out")
        } else {
            problem.label(format!("{largest} is the most that holds")).help(format!(
                "write `promise = \"{largest}\"` or less: the token lives {}, {says_who}, and a renewal needs time to \
                     be tried again",
                Period::from(life)
            ))
        });
    } else if let Some(longest) = provider.renewal.longest_promise.filter(|longest| promise.duration() > *longest) {
        let longest = Period::from(longest);
        let message = format!("a promise of {promise} is longer than the provider `{}` allows", provider.name);
        reading.report(
            Problem::at(ProblemKind::PromiseTooLong, token.span("promise"), message)
                .label(format!("{longest} is the most that holds"))
                .help(format!("write `promise = \"{longest}\"` or less: the API refuses to renew a token earlier")),
        );
    }
}

/// The secret that a token keeps, if its name can be one.
pub(super) fn secret_of(token: &Found<'_, TokenSettings>, settings: &TokenSettings) -> Option<SecretName> {
    settings.secret.clone().or_else(|| SecretName::parse(token.name).ok())
}

/// One secret, one token; and no token kept in its own credential.
fn secret_managed_once<'a>(
    token: &Found<'a, TokenSettings>,
    settings: &TokenSettings,
    kept: &mut BTreeMap<(VaultName, SecretName), (&'a str, Range<usize>)>,
    reading: &mut Reading<'_>,
) {
    let Some(secret) = secret_of(token, settings) else {
        return;
    };
    for (key, vault, credential) in settings.credentials() {
        if (vault, credential) == (&settings.vault, &secret) {
            let message = format!("`{}` would be obtained with itself", token.name);
            reading.report(
                Problem::at(ProblemKind::Contradiction, token.span(key), message)
                    .label(format!("the token is kept in the secret `{secret}`"))
                    .help("name the secret that holds the API's credential, which is another one"),
            );
        }
    }
    let place = if settings.secret.is_some() { token.span("secret") } else { token.key.clone() };
    let key = (settings.vault.clone(), secret.clone());
    if let Some((name, first)) = kept.get(&key) {
        let message = format!("the secret `{secret}` in the vault `{}` is managed twice", settings.vault);
        reading.report(
            Problem::at(ProblemKind::SecretManagedTwice, place, message)
                .label("the second time")
                .related(first.clone(), format!("the first time, by `[token.{name}]`"))
                .help("keep one of the two, or give one of them another `secret` or another `vault`"),
        );
        return;
    }
    kept.insert(key, (token.name, place));
}

fn policy_names(policy: &Found<'_, PolicySettings>, settings: &PolicySettings, reading: &mut Reading<'_>) {
    if settings.names.len() > MAX_POLICY_NAMES {
        let message =
            format!("a policy has {MAX_POLICY_NAMES} patterns at most, and this has {}", settings.names.len());
        reading.report(
            Problem::at(ProblemKind::BadValue, policy.span("names"), message)
                .label("too many")
                .help("use `*` in a pattern, or write a second policy for the same app"),
        );
    }
}

/// Where a setting of a single table stands, or its table.
fn span(root: &DeTable<'_>, section: &str, key: &str) -> Range<usize> {
    let Some(table) = root.get(section) else { return 0..0 };
    table.get_ref().get(key).map_or_else(|| table.span(), Spanned::span)
}
