//! A token of the result.

use std::collections::BTreeSet;

use super::Importer;
use super::renewal::Renewal;
use crate::finding::typed_life;
use crate::pattern::{Found, PASSIVE, Source, Study, VaultPlace};
use crate::report::{Credential, Expiry, OpenConnection, Token};
use crate::settings::{self, Line, TokenTable};
use crate::text::{duration, named_list};

impl Importer<'_> {
    /// Writes the token, with all that it needs. `is_first` of its flow, which says what the flow does else.
    pub(super) fn token(&mut self, study: &mut Study<'_>, renewal: &Renewal, is_first: bool) {
        let token = &renewal.token;
        let targets: Vec<String> = renewal.deliveries().map(|delivery| self.target(study, delivery)).collect();
        self.vaults(study, token);
        let provider = self.provider(study, token);
        let scopes = self.scopes(token);
        let mut lines = vec![
            Line::new("", "vault", settings::text(&self.options.home_vault)),
            Line::new(
                &format!("`{}`, which asks {}", study.name(token.request), token.token_url),
                "provider",
                settings::text(&provider),
            ),
        ];
        lines.extend(self.credentials(study, renewal, &provider));
        if !scopes.is_empty() {
            lines.push(Line::new("", "scope", settings::list(&scopes)));
        }
        if !token.extra.is_empty() {
            lines.push(Line::new("", "extra", settings::table(&token.extra)));
        }
        if let Some(life) = typed_life(token) {
            let comment = format!("The life that `{}` counts with, where the API doesn't say.", study.name(token.put));
            lines.push(Line::new(&comment, "lifetime", settings::text(&duration(life))));
        }
        lines.push(deliver(study, renewal, &targets));
        if self.options.shadow {
            let comment = "Beside the flow, under another name, until `vestal token cut-over`.";
            lines.push(Line::new(comment, "mode", settings::text("shadow")));
        }
        let awaiting = token.grant != "client_credentials";
        if awaiting {
            let words = format!(
                "it renews by the grant `{}`, which this version of Vestal can't do yet: the token stands in the result as a \
                 comment",
                token.grant
            );
            study.gap(Some(token.request), words);
        }
        let comments = comments(study, token, is_first);
        self.tokens.push(TokenTable { name: renewal.name.clone(), comments, lines, awaiting });
        for delivery in renewal.deliveries() {
            self.report.tokens.push(self.told(study, renewal, delivery, &provider, &scopes));
        }
        self.passed(study, token);
    }

    /// The vaults that the credentials are read from. Which one a connection leads to isn't in the file: it is taken to be
    /// the one that the flow writes to, aloud.
    fn vaults(&mut self, study: &mut Study<'_>, token: &Found) {
        let mut asked = BTreeSet::new();
        for source in token.sources() {
            let Source::Secret(read, _) = source else { continue };
            match &read.vault {
                VaultPlace::Connection(connection) => drop(asked.insert(connection.clone())),
                VaultPlace::Known(vault) if *vault != token.target.vault => self.reading_target(study, token, vault),
                VaultPlace::Known(_) => {}
            }
        }
        for connection in asked {
            let taken = token.target.vault.clone();
            study.question(format!(
                "which key vault the connection `{connection}` leads to isn't in the file. Taken for the time being: {taken}. \
                 Say it with `--key-vault {connection}={taken}`, or of this flow alone with \
                 `--key-vault \"{}/{connection}={taken}\"`",
                study.title
            ));
            let open = OpenConnection { flow: study.title.clone(), connection, taken };
            if !self.report.connections.contains(&open) {
                self.report.connections.push(open);
            }
        }
    }

    /// Client id, client secret and refresh token: where they are from now on.
    fn credentials(&mut self, study: &Study<'_>, renewal: &Renewal, provider: &str) -> Vec<Line> {
        let token = &renewal.token;
        let mut lines = Vec::new();
        match &token.client_id {
            Source::Literal(text) => {
                let comment = format!("As it stands in `{}`.", study.name(token.request));
                lines.push(Line::new(&comment, "client_id", settings::text(text)));
            }
            secret @ Source::Secret(..) => lines.push(self.credential(study, renewal, "client_id", secret, provider)),
        }
        lines.push(self.credential(study, renewal, "client_secret", &token.client_secret, provider));
        if let Some(refresh) = &token.refresh_token {
            lines.push(self.credential(study, renewal, "refresh_token", refresh, provider));
        }
        lines
    }

    fn credential(
        &mut self,
        study: &Study<'_>,
        renewal: &Renewal,
        key: &'static str,
        source: &Source,
        provider: &str,
    ) -> Line {
        match source {
            Source::Secret(read, action) => {
                let vault = match &read.vault {
                    VaultPlace::Known(vault) => vault,
                    VaultPlace::Connection(_) => &renewal.token.target.vault,
                };
                let target = self.targets.at(vault).unwrap_or_default().to_owned();
                Line::new(&format!("`{}`", study.name(*action)), key, settings::reference(&target, &read.secret))
            }
            Source::Literal(value) => {
                let what = format!("the {} of {provider}, from the flow {}", key.replace('_', " "), study.title);
                let name = self.keep(&renewal.name, &format!("-{}", key.replace('_', "-")), value, what);
                let comment = format!("It stood in `{}` in clear text.", study.name(renewal.token.request));
                Line::new(&comment, key, settings::reference(&self.options.home_vault, &name))
            }
        }
    }

    /// What Vestal does without being told to.
    fn passed(&mut self, study: &mut Study<'_>, token: &Found) {
        if token.end.is_none() {
            study.notes.push(format!("`{}` gets an expiry from now on", token.target.name));
        }
        if !token.headers.is_empty() {
            let names = named_list(token.headers.keys().map(String::as_str));
            study.notes.push(format!("its headers {names} are part of the provider"));
        }
    }

    fn told(&self, study: &Study<'_>, renewal: &Renewal, token: &Found, provider: &str, scope: &[String]) -> Token {
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
            name: renewal.name.clone(),
            flow: study.title.clone(),
            action: study.name(token.put).to_owned(),
            secret: token.target.name.clone(),
            vault: token.target.vault.clone(),
            provider: provider.to_owned(),
            token_url: token.token_url.clone(),
            client_auth: if token.basic { "basic" } else { "form" },
            grant: token.grant.clone(),
            client_id: credential(&token.client_id, false),
            client_secret: credential(&token.client_secret, true),
            refresh_token: token.refresh_token.as_ref().map(|source| credential(source, true)),
            scope: scope.to_vec(),
            extra: token.extra.clone(),
            expiry: if token.end.is_some() { Expiry::Computed } else { Expiry::None },
        }
    }

    fn scopes(&self, token: &Found) -> Vec<String> {
        let separator = self.preset(token).map_or(" ", |preset| preset.scope_separator.as_str());
        token.scope.split(separator).flat_map(str::split_whitespace).map(str::to_owned).collect()
    }
}

/// Where the token goes: to each key vault under the name that it has there.
fn deliver(study: &Study<'_>, renewal: &Renewal, targets: &[String]) -> Line {
    let entries: Vec<String> = renewal
        .deliveries()
        .zip(targets)
        .map(|(token, target)| {
            let to = settings::text(target);
            if renewal.name == token.target.name {
                return format!("{{ to = {to} }}");
            }
            format!("{{ to = {to}, name = {} }}", settings::text(&token.target.name))
        })
        .collect();
    let writers = named_list(renewal.deliveries().map(|token| study.name(token.put)));
    let verb = if renewal.also.is_empty() { "writes" } else { "write" };
    Line::new(&format!("{writers}, which {verb} it"), "deliver", format!("[{}]", entries.join(", ")))
}

/// What stands above the token.
fn comments(study: &Study<'_>, token: &Found, is_first: bool) -> Vec<String> {
    let schedule = study.flow.schedule.map_or_else(
        || "Vestal renews it by its own life.".to_owned(),
        |schedule| format!("It ran {}; Vestal renews it by its own life.", schedule.words()),
    );
    let mut comments = vec![format!("Taken over from the flow \"{}\". {schedule}", study.title)];
    if let Some(seconds) = token.threshold.filter(|seconds| *seconds > 0) {
        let early = duration(seconds);
        comments.push(format!("The flow renewed it {early} before its end. A longer promise: `promise = \"10m\"`."));
    }
    if is_first {
        let passive = study.flow.actions.iter().filter(|action| PASSIVE.contains(&action.kind.as_str()));
        let names = study.flow.triggers.iter().map(String::as_str).chain(passive.map(|action| action.name.as_str()));
        let names = named_list(names);
        if !names.is_empty() {
            comments.push(format!("No longer needed: {names}."));
        }
    }
    comments
}
