//! From flows to a configuration.

use std::collections::{BTreeMap, BTreeSet};

use secret::Secret;

use crate::address::label;
use crate::finding::{findings, typed_life};
use crate::flow::Flow;
use crate::pattern::{Found, Identity, Source, Study, VaultPlace};
use crate::report::{Credential, Expiry, OpenConnection, Report, Token};
use crate::settings::{self, CredentialTable, Line, ProviderTable, TargetTable, TokenTable};
use crate::spending::spending;
use crate::time::End;

/// What the result should be like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of Vestal's own vault, in which tokens are renewed.
    pub home_vault: String,
    /// The providers that Vestal knows.
    pub presets: Vec<Preset>,
    /// Which key vault a connection leads to, by the connection's name: `https://contoso.vault.azure.net`.
    pub vaults: BTreeMap<String, String>,
    /// Whether the tokens begin in shadow mode, beside the flow.
    pub shadow: bool,
}

/// A provider that Vestal knows.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name in a configuration.
    pub name: String,
    /// Its token endpoint.
    pub token_url: String,
    /// What stands between two scopes.
    pub scope_separator: String,
    /// The lifetime that it documents, in seconds.
    pub lifetime: Option<u64>,
}

/// What came of an import.
pub struct Import {
    /// The configuration. It holds no secret.
    pub toml: String,
    /// What is told of it.
    pub report: Report,
    /// The secrets that stood in the flows in clear text, for Vestal's own vault.
    pub secrets: Vec<ClearSecret>,
}

/// A secret that stood in a flow in clear text.
pub struct ClearSecret {
    /// The vault of Vestal's that the configuration expects it in.
    pub vault: String,
    /// The name that the configuration expects it under.
    pub name: String,
    /// The secret.
    pub value: Secret,
    /// What it is, for people: "the client secret of …".
    pub what: String,
}

/// Takes over the flows: all that is understood of them, as one configuration. What isn't is in the report.
pub fn import(flows: &[Flow], options: &Options) -> Import {
    let mut importer = Importer {
        options,
        report: Report::default(),
        secrets: Vec::new(),
        targets: BTreeMap::new(),
        providers: Vec::new(),
        tokens: Vec::new(),
    };
    for flow in flows {
        importer.flow(flow);
    }
    importer.finish(flows)
}

struct Importer<'a> {
    options: &'a Options,
    report: Report,
    secrets: Vec<ClearSecret>,
    /// By the vault's address.
    targets: BTreeMap<String, TargetTable>,
    providers: Vec<ProviderTable>,
    tokens: Vec<TokenTable>,
}

impl Importer<'_> {
    fn flow(&mut self, flow: &Flow) {
        let mut study = Study::of(flow, &self.options.vaults);
        let found = study.tokens();
        let lives: Vec<Option<u64>> = found
            .iter()
            .map(|token| typed_life(token).or_else(|| self.preset(token).and_then(|preset| preset.lifetime)))
            .collect();
        self.report.findings.extend(findings(&study, &found, &lives));
        // A question that is still open about it doesn't keep the flow from being turned off once it is answered.
        let whole = !found.is_empty() && study.gaps.is_empty();
        for token in &found {
            self.token(&mut study, token);
        }
        self.report.spending.push(spending(flow, whole));
        let notes = core::mem::take(&mut study.notes);
        self.report.notes.extend(notes.into_iter().map(|note| format!("{}: {note}", flow.name)));
        self.report.gaps.append(&mut study.gaps);
    }

    fn preset(&self, token: &Found) -> Option<&Preset> {
        self.options.presets.iter().find(|preset| preset.token_url == token.token_url)
    }

    fn token(&mut self, study: &mut Study<'_>, token: &Found) {
        let home = self.options.home_vault.clone();
        let target = self.target(study, token);
        let provider = self.provider(study, token);
        let name = self.token_name(token);
        let read_at = |credential: &Source| match credential {
            Source::Secret(read, _) => Some(read.vault.clone()),
            Source::Literal(_) => None,
        };
        // Which vault a connection leads to isn't in the file: it is taken to be the one that the flow writes to, aloud.
        let mut asked = BTreeSet::new();
        let sources = [Some(&token.client_id), Some(&token.client_secret), token.refresh_token.as_ref()];
        for vault in sources.into_iter().flatten().filter_map(read_at) {
            match vault {
                VaultPlace::Connection(connection) => drop(asked.insert(connection)),
                VaultPlace::Known(vault) if vault != token.target.vault => {
                    self.reading_target(study, token, &vault);
                }
                VaultPlace::Known(_) => {}
            }
        }
        for connection in asked {
            let open = OpenConnection { connection: connection.clone(), taken: token.target.vault.clone() };
            if !self.report.connections.contains(&open) {
                self.report.connections.push(open);
            }
            study.gap(
                None,
                format!(
                    "which key vault the connection `{connection}` leads to isn't in the file. Taken for the time being: {}. \
                     Say it with `--key-vault {connection}={}`",
                    token.target.vault, token.target.vault
                ),
            );
        }
        let client_secret_name = fitting(&format!("{name}-client-secret"));
        let what = |part: &str| format!("the {part} of {provider}, from the flow {}", study.flow.name);
        let reference = |this: &mut Self, source: &Source, clear_name: &str, part: &str| match source {
            Source::Secret(read, _) => {
                let vault = match &read.vault {
                    VaultPlace::Known(vault) => this.targets.get(vault).map_or(&target, |table| &table.name).clone(),
                    VaultPlace::Connection(_) => target.clone(),
                };
                settings::reference(&vault, &read.secret)
            }
            Source::Literal(value) => {
                this.keep(&home, clear_name, value, what(part));
                settings::reference(&home, clear_name)
            }
        };
        let comment = |source: &Source| match source {
            Source::Secret(_, action) => format!("`{}`", study.name(*action)),
            Source::Literal(_) => format!("It stood in `{}` in clear text.", study.name(token.request)),
        };
        let client_id = match &token.client_id {
            Source::Literal(text) => settings::text(text),
            secret @ Source::Secret(..) => reference(self, secret, "", "client id"),
        };
        let mut lines = vec![Line::new("", "vault", settings::text(&home))];
        if name != token.target.name {
            lines.push(Line::new("", "secret", settings::text(&token.target.name)));
        }
        lines.push(Line::new(
            &format!("`{}`, which asks {}", study.name(token.request), token.token_url),
            "provider",
            settings::text(&provider),
        ));
        let id_comment = match &token.client_id {
            Source::Secret(..) => comment(&token.client_id),
            Source::Literal(_) => format!("As it stands in `{}`.", study.name(token.request)),
        };
        lines.push(Line::new(&id_comment, "client_id", client_id));
        let client_secret = reference(self, &token.client_secret, &client_secret_name, "client secret");
        lines.push(Line::new(&comment(&token.client_secret), "client_secret", client_secret));
        let scopes = self.scopes(token);
        if !scopes.is_empty() {
            lines.push(Line::new("", "scope", settings::list(&scopes)));
        }
        if !token.extra.is_empty() {
            lines.push(Line::new("", "extra", settings::table(&token.extra)));
        }
        if let Some(life) = typed_life(token) {
            lines.push(Line::new(
                &format!("The life that `{}` counts with, where the API doesn't say.", study.name(token.put)),
                "lifetime",
                settings::text(&settings::duration(life)),
            ));
        }
        let schedule = study.flow.interval.map_or_else(
            || "Vestal renews it by its own life.".to_owned(),
            |interval| format!("It ran every {}; Vestal renews it by its own life.", settings::duration(interval)),
        );
        let mut deliver = format!("{{ to = {}", settings::text(&target));
        if name != token.target.name {
            deliver.push_str(&format!(", name = {}", settings::text(&token.target.name)));
        }
        deliver.push_str(" }");
        lines.push(Line::new(
            &format!("`{}`, which writes it", study.name(token.put)),
            "deliver",
            format!("[{deliver}]"),
        ));
        if self.options.shadow {
            lines.push(Line::new(
                "Beside the flow, under another name, until `vestal token cut-over`.",
                "mode",
                settings::text("shadow"),
            ));
        }
        let threshold = token.threshold.filter(|seconds| *seconds > 0).map(|seconds| {
            format!(
                "The flow renewed it {} before its end. A longer promise: `promise = \"10m\"`.",
                settings::duration(seconds)
            )
        });
        let mut comments =
            vec![format!("Taken over from the flow \"{}\". {schedule}", settings::one_line(&study.flow.name))];
        comments.extend(threshold);
        let awaiting = token.grant != "client_credentials";
        if awaiting {
            study.gap(
                Some(token.request),
                format!(
                    "it renews by the grant `{}`, which this version of Vestal can't do yet: the token stands in the \
                         result as a comment",
                    token.grant
                ),
            );
        }
        let table = TokenTable { name: name.clone(), comments, lines, awaiting };
        if let Some(other) = self.tokens.iter().find(|other| other.name == name) {
            if *other != table {
                study.gap(
                    Some(token.put),
                    format!("another flow keeps the same secret `{}` in another way", token.target.name),
                );
            }
        } else {
            self.tokens.push(table);
        }
        self.report.tokens.push(self.told(study, token, provider, scopes));
        self.passed(study, token);
    }

    /// What Vestal does without being told to.
    fn passed(&mut self, study: &Study<'_>, token: &Found) {
        if token.end.is_none() {
            self.report.notes.push(format!("`{}` gets an expiry from now on", token.target.name));
        }
        if !token.headers.is_empty() {
            let names: Vec<&str> = token.headers.keys().map(String::as_str).collect();
            self.report.notes.push(format!(
                "{}: its headers {} are part of the provider",
                study.flow.name,
                names.join(", ")
            ));
        }
    }

    fn told(&self, study: &Study<'_>, token: &Found, provider: String, scope: Vec<String>) -> Token {
        let credential = |source: &Source, secret: bool| match source {
            Source::Secret(read, _) => match &read.vault {
                VaultPlace::Known(vault) => Credential::Secret { vault: vault.clone(), secret: read.secret.clone() },
                VaultPlace::Connection(connection) => {
                    Credential::ByConnection { connection: connection.clone(), secret: read.secret.clone() }
                }
            },
            Source::Literal(_) if secret => Credential::Clear { clear: true },
            Source::Literal(literal) => Credential::Literal { literal: literal.clone() },
        };
        Token {
            flow: study.flow.name.clone(),
            secret: token.target.name.clone(),
            vault: token.target.vault.clone(),
            provider,
            token_url: token.token_url.clone(),
            client_auth: if token.basic { "basic" } else { "form" },
            grant: token.grant.clone(),
            client_id: credential(&token.client_id, false),
            client_secret: credential(&token.client_secret, true),
            refresh_token: token.refresh_token.as_ref().map(|source| credential(source, true)),
            scope,
            extra: token.extra.clone(),
            expiry: if token.end.is_some() { Expiry::Computed } else { Expiry::None },
        }
    }

    fn scopes(&self, token: &Found) -> Vec<String> {
        let separator = self.preset(token).map_or(" ", |preset| preset.scope_separator.as_str());
        token.scope.split(separator).flat_map(str::split_whitespace).map(str::to_owned).collect()
    }

    /// The token's name: that of its secret, unless another token has it.
    fn token_name(&self, token: &Found) -> String {
        let taken = |name: &str| {
            self.report
                .tokens
                .iter()
                .any(|other| other.secret.eq_ignore_ascii_case(name) && other.vault != token.target.vault)
        };
        if taken(&token.target.name) {
            fitting(&format!("{}-{}", label(&token.target.vault), token.target.name))
        } else {
            token.target.name.clone()
        }
    }

    /// The target that the token is delivered to: its name.
    fn target(&mut self, study: &mut Study<'_>, token: &Found) -> String {
        let vault = token.target.vault.clone();
        let sign_in = self.sign_in(study, &token.identity, &vault);
        let comment = format!("The key vault that the flow \"{}\" writes to.", settings::one_line(&study.flow.name));
        self.add_target(study, &vault, comment, sign_in)
    }

    /// A target that credentials are read from, and nothing is delivered to.
    fn reading_target(&mut self, study: &mut Study<'_>, token: &Found, vault: &str) {
        let sources = [Some(&token.client_id), Some(&token.client_secret), token.refresh_token.as_ref()];
        let action = sources.into_iter().flatten().find_map(|source| match source {
            Source::Secret(read, action) if read.vault == VaultPlace::Known(vault.to_owned()) => Some(*action),
            _ => None,
        });
        let identity = match action.map(|action| study.identity(action)) {
            Some(Ok(identity)) => identity,
            Some(Err((action, words))) => {
                study.gap(Some(action), words);
                Identity::Connection
            }
            None => Identity::Connection,
        };
        let comment = format!("The key vault that the flow \"{}\" reads from.", settings::one_line(&study.flow.name));
        let sign_in = self.sign_in(study, &identity, vault);
        self.add_target(study, vault, comment, sign_in);
    }

    fn add_target(&mut self, study: &mut Study<'_>, vault: &str, comment: String, sign_in: SignIn) -> String {
        let SignIn { credential, authority, gap } = sign_in;
        if let Some(there) = self.targets.get_mut(vault) {
            // A sign-in that is known is better than one that isn't.
            if there.credential.is_placeholder && !credential.is_placeholder {
                there.credential = credential;
                there.authority = authority;
            }
            return there.name.clone();
        }
        if let Some(words) = gap {
            study.gap(None, words);
        }
        let name = self.target_name(vault);
        let table = TargetTable { name: name.clone(), comment, url: vault.to_owned(), authority, credential };
        self.targets.insert(vault.to_owned(), table);
        name
    }

    fn target_name(&self, vault: &str) -> String {
        let mut base = label(vault).to_lowercase();
        base.truncate(20);
        let base = base.trim_matches('-');
        let base = if base.len() < 3 { format!("azure-{base}") } else { base.to_owned() };
        let base = base.trim_matches('-').to_owned();
        let free =
            |name: &str| name != self.options.home_vault && self.targets.values().all(|target| target.name != name);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        core::iter::once(base.clone()).chain(numbered).find(|name| free(name)).unwrap_or(base)
    }

    /// How Vestal signs in at the vault.
    fn sign_in(&mut self, study: &Study<'_>, identity: &Identity, vault: &str) -> SignIn {
        let home = self.options.home_vault.clone();
        let label = label(vault);
        match identity {
            Identity::Managed { user_assigned } => SignIn {
                credential: CredentialTable {
                    comment: "The flow signs in by the identity that Azure gives it. On a machine in Azure, Vestal does the \
                              same with the machine's; elsewhere, put an app registration here."
                        .to_owned(),
                    lines: vec![Line::new("", "kind", settings::text("managed-identity"))],
                    is_placeholder: false,
                },
                authority: None,
                gap: user_assigned.then(|| {
                    format!("the flow signs in at {label} by a user-assigned identity, which is its own: give the machine that \
                             runs Vestal an identity with Get and Set, and put its `client_id` into the credential")
                }),
            },
            Identity::App { authority, tenant, client_id, secret, action } => {
                let name = fitting(&format!("{label}-client-secret"));
                let mut gap = None;
                let client_id = match client_id {
                    Source::Literal(text) => text.clone(),
                    Source::Secret(read, _) => {
                        gap = Some(format!(
                            "the client id with which the flow signs in at {label} is in the secret `{}`: put it into the \
                             credential, in place of the zeros",
                            read.secret
                        ));
                        NOBODY.to_owned()
                    }
                };
                match secret {
                    Source::Literal(value) => {
                        let what = format!("the client secret of the app registration that signs in at {label}");
                        self.keep(&home, &name, value, what);
                    }
                    Source::Secret(read, _) => self.report.next.push(format!(
                        "`vestal secret set {home}/{name}`: what `{}` of the key vault holds. Vestal signs in with it, so that \
                         it can't be read from there",
                        read.secret
                    )),
                }
                let lines = vec![
                    Line::new("", "kind", settings::text("client-secret")),
                    Line::new("", "tenant", settings::text(tenant)),
                    Line::new("", "client_id", settings::text(&client_id)),
                    Line::new("", "client_secret", settings::reference(&home, &name)),
                ];
                SignIn {
                    credential: CredentialTable {
                        comment: format!("`{}`, which signs in there", study.name(*action)),
                        lines,
                        is_placeholder: gap.is_some(),
                    },
                    authority: Some(authority.clone()).filter(|authority| !is_of_cloud(authority, vault)),
                    gap,
                }
            }
            Identity::Connection => SignIn {
                credential: CredentialTable {
                    comment: "The flow signs in by a connection, which the file doesn't hold. Put an app registration here, or \
                              leave it so on a machine in Azure that has an identity."
                        .to_owned(),
                    lines: vec![Line::new("", "kind", settings::text("managed-identity"))],
                    is_placeholder: true,
                },
                authority: None,
                gap: Some(format!(
                    "how the flow signs in at {label} is in a connection, which the file doesn't hold: see `credential` in the \
                     result, and docs/azure.md"
                )),
            },
        }
    }

    /// A secret that stood in the flow goes to Vestal's own vault.
    fn keep(&mut self, vault: &str, name: &str, value: &str, what: String) {
        if self.secrets.iter().all(|secret| secret.name != name) {
            let value = Secret::copy_of(value.as_bytes());
            self.secrets.push(ClearSecret { vault: vault.to_owned(), name: name.to_owned(), value, what });
        }
    }

    /// The provider: a preset where its endpoint is known, else one of its own.
    fn provider(&mut self, study: &Study<'_>, token: &Found) -> String {
        let field = token.token_field.join(".");
        let plain = field == "access_token" && token.headers.is_empty();
        if let Some(preset) = self.preset(token).filter(|_| plain) {
            return preset.name.clone();
        }
        let (life, unit) = match &token.end {
            Some(End::AfterField((_, path), _)) if path.get(1..) != Some(&["expires_in".to_owned()]) => {
                (path.get(1..).map(|path| path.join(".")), None)
            }
            Some(End::AtField((_, path))) => (path.get(1..).map(|path| path.join(".")), Some("unix_seconds")),
            _ => (None, None),
        };
        let mut lines = vec![Line::new("", "token_url", settings::text(&token.token_url))];
        if token.basic {
            lines.push(Line::new("", "client_auth", settings::text("basic")));
        }
        if field != "access_token" {
            lines.push(Line::new("", "answer", format!("{{ token = {} }}", settings::text(&field))));
        }
        if let Some(life) = life {
            let unit = unit.map(|unit| format!(", unit = {}", settings::text(unit))).unwrap_or_default();
            lines.push(Line::new("", "lifetime", format!("{{ field = {}{unit} }}", settings::text(&life))));
        }
        if !token.headers.is_empty() {
            lines.push(Line::new("", "headers", settings::table(&token.headers)));
        }
        if let Some(same) = self.providers.iter().find(|provider| provider.lines == lines) {
            return same.name.clone();
        }
        let base = provider_name(&token.token_url);
        let free = |name: &str| {
            self.options.presets.iter().all(|preset| preset.name != name)
                && self.providers.iter().all(|provider| provider.name != name)
        };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let name = core::iter::once(base.clone()).chain(numbered).find(|name| free(name)).unwrap_or(base);
        let comment = format!(
            "The API that `{}` of \"{}\" asks.",
            study.name(token.request),
            settings::one_line(&study.flow.name)
        );
        self.providers.push(ProviderTable { name: name.clone(), comment, lines });
        name
    }

    fn finish(mut self, flows: &[Flow]) -> Import {
        let home = &self.options.home_vault;
        let clear = self.secrets.iter().map(|secret| {
            format!(
                "change {}: it stood in the flow in clear text. Make a new one, and give it to Vestal with `vestal secret set \
                 {home}/{}`",
                secret.what, secret.name
            )
        });
        self.report.next.extend(clear);
        if !self.tokens.is_empty() {
            let files: BTreeSet<String> = flows.iter().map(|flow| settings::one_line(&flow.file)).collect();
            let files: Vec<String> = files.into_iter().collect();
            let targets: Vec<TargetTable> = self.targets.into_values().collect();
            let toml = settings::write(home, &files.join(", "), &targets, &self.providers, &self.tokens);
            return Import { toml, report: self.report, secrets: self.secrets };
        }
        Import { toml: String::new(), report: self.report, secrets: Vec::new() }
    }
}

/// How Vestal signs in at a vault.
struct SignIn {
    credential: CredentialTable,
    authority: Option<String>,
    gap: Option<String>,
}

/// A client id that nobody has.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Whether the authority is the one of the cloud that the vault is in, which needs no saying.
fn is_of_cloud(authority: &str, vault: &str) -> bool {
    let known: &[&str] = if vault.ends_with(".vault.azure.cn") {
        &["https://login.chinacloudapi.cn", "https://login.partner.microsoftonline.cn"]
    } else if vault.ends_with(".vault.usgovcloudapi.net") {
        &["https://login.microsoftonline.us"]
    } else if vault.ends_with(".vault.azure.net") {
        &["https://login.microsoftonline.com", "https://login.windows.net", "https://login.microsoft.com"]
    } else {
        &[]
    };
    authority.is_empty() || known.contains(&authority.trim_end_matches('/'))
}

/// A secret's name of at most 127 characters.
fn fitting(name: &str) -> String {
    let kept: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    kept.chars().take(127).collect()
}

/// `spotify` of `https://accounts.spotify.com/api/token`.
fn provider_name(token_url: &str) -> String {
    let host = token_url.trim_start_matches("https://").split(['/', ':', '?']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let word = match labels.as_slice() {
        [.., name, second, top] if top.len() == 2 && matches!(*second, "co" | "com" | "org" | "ac" | "gov") => name,
        [.., name, _top] => name,
        [only] => only,
        [] => "api",
    };
    let name: String = word
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(60)
        .collect();
    if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) { "api".to_owned() } else { name }
}
