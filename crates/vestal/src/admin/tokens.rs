//! Managed tokens, as the operator sees them.

use std::collections::BTreeSet;
use std::time::Duration;

use keeper::{Source, TokenDefinition, token_definition_name};
use renewal::{PauseReason, Standing};
use store::rows::{DefinitionKind, TokenRow};
use store::{Declared, Outcome, RecordError, Store as _, Token};
use vault::{SecretName, VaultName};

use super::deliveries::{backup_warning, not_disabled_warning};
use super::wire::{
    AttemptView, CredentialView, FailureCode, History, Renewal, TokenDetail, TokenView, UtcTime, due, whole_seconds,
};
use super::{Admin, Answered, Call, Failed, json, secret_name, vault_name};
use crate::clock;

/// The state of a token whose row doesn't open.
pub(super) const UNREADABLE: &str = "unreadable";

/// How many tokens are read at once.
const PAGE: usize = 500;

/// The longest that a call waits for a renewal.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The longest page of a history.
const LONGEST_HISTORY: u64 = 1000;

/// From when on the end of a credential is worth a warning, in seconds: 30 days.
const CREDENTIAL_WARNING: i64 = 30 * 86_400;

impl Admin {
    /// All tokens; of one that doesn't open its row and why, so that it hides no other.
    pub(super) async fn all_tokens(&self) -> Result<Vec<Result<Token, (TokenRow, RecordError)>>, Failed> {
        let mut tokens = Vec::new();
        let mut after = None;
        loop {
            let page = self.engine.records().store().tokens(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(tokens) };
            after = Some(last.id);
            for row in page {
                let known = row.clone();
                tokens.push(self.engine.records().open_token(row).map_err(|error| (known, error)));
            }
        }
    }

    pub(super) async fn list_tokens(&self) -> Answered {
        let mut views = Vec::new();
        for token in self.all_tokens().await? {
            views.push(match token {
                Ok(token) => {
                    let declared = self.declared(&token).await?;
                    self.token_view(&token, declared.as_ref()).await?
                }
                Err((row, error)) => unreadable(&row, &error),
            });
        }
        views.sort_by(|left, right| (&left.vault, &left.name).cmp(&(&right.vault, &right.name)));
        json(&views)
    }

    pub(super) async fn show_token(&self, vault: &str, name: &str) -> Answered {
        let token = self.token_named(vault, name).await?;
        let declared = self
            .declared(&token)
            .await?
            .ok_or_else(|| Failed::not_found(format!("the definition of token {name} is gone")))?;
        let definition = &declared.body;
        let provider = self.engine.keeper().provider(&definition.provider);
        let attempts = self.engine.records().attempts(token.row.id, None, 20).await?;
        let lifetime_source = attempts.iter().find_map(|attempt| match &attempt.outcome {
            Outcome::Renewed { lifetime_source, .. } => Some(lifetime_source.clone()),
            Outcome::Failed { .. } => None,
        });
        let mut credentials = Vec::new();
        for (part, source) in [("client id", &definition.client_id), ("client secret", &definition.client_secret)] {
            credentials.push(self.credential(part, source).await?);
        }
        let standing = &token.standing;
        let mut warnings: Vec<String> = credentials.iter().filter_map(warning).collect();
        if let Some(renewal::Lifetime::Guess(_)) = standing.lifetime {
            warnings.push(
                "nobody says how long this token lives; 5 minutes are assumed, and no expiry is shown to readers: \
                 set `lifetime` from the provider's documentation"
                    .to_owned(),
            );
        }
        if let (Some(promise), Some(life), Ok(provider)) =
            (definition.promise, standing.lifetime.and_then(renewal::Lifetime::known), &provider)
            && let Err(too_long) =
                renewal::check_promise(Duration::from_secs(promise), life, keeper::pacing_of(provider))
        {
            warnings.push(too_long.to_string());
        }
        if let Err(words) = &provider {
            warnings.push(words.clone());
        }
        let deliveries = self.delivery_views(&token, definition).await?;
        warnings.extend(deliveries.iter().filter_map(backup_warning));
        warnings.extend(deliveries.iter().filter_map(not_disabled_warning));
        warnings.extend(self.proof_warnings(definition).await?);
        json(&TokenDetail {
            token: self.token_view(&token, Some(&declared)).await?,
            origin: declared.origin.word().to_owned(),
            token_url: provider.map(|provider| provider.token_url.url().to_string()).unwrap_or_default(),
            scope: definition.scope.clone(),
            obtained: standing.obtained.map(|moment| UtcTime::from_unix_ms(moment.wall.0)),
            expires: standing.expiry.map(|expiry| UtcTime::from_unix_ms(expiry.wall.0)),
            lifetime_seconds: standing.lifetime.and_then(renewal::Lifetime::known).map(|life| life.as_secs()),
            lifetime_source,
            promise_seconds: definition.promise,
            paused: standing.paused.iter().map(|reason| reason.name().to_owned()).collect(),
            credentials,
            deliveries,
            warnings,
        })
    }

    pub(super) async fn history(&self, vault: &str, name: &str, call: &Call<'_>) -> Answered {
        let token = self.token_named(vault, name).await?;
        let limit = call.number("limit")?.unwrap_or(50).clamp(1, LONGEST_HISTORY);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let attempts = self.engine.records().attempts(token.row.id, call.number("before")?, limit).await?;
        let next = if attempts.len() == limit { attempts.last().map(|attempt| attempt.number) } else { None };
        json(&History { attempts: attempts.into_iter().map(AttemptView::from).collect(), next })
    }

    /// Renews at once. With `wait`, answers when the attempt is over.
    pub(super) async fn renew(&self, vault: &str, name: &str, call: &Call<'_>) -> Answered {
        let token = self.token_named(vault, name).await?;
        if let Some(paused) = still_paused(&token, &token.standing.paused) {
            return Err(paused);
        }
        let wait = call.number("wait")?.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        let events = self.engine.events();
        let token = self.change("TokenRenew", &token, asked_for).await?;
        self.engine.keeper().reopen_lane(&token.row.lane).await;
        let attempt = match wait {
            None => None,
            Some(wait) => wait_for(events, &token.row.vault, &token.row.name, wait).await,
        };
        let token = self.engine.records().token(token.row.id).await?;
        let declared = self.declared(&token).await?;
        let token = self.token_view(&token, declared.as_ref()).await?;
        json(&Renewal { token, attempt: attempt.map(AttemptView::from) })
    }

    pub(super) async fn pause(&self, vault: &str, name: &str) -> Answered {
        let token = self.token_named(vault, name).await?;
        let token = self.change("TokenPause", &token, |standing| standing.pause(PauseReason::Person)).await?;
        self.changed(&token).await
    }

    /// Lifts the pause of a person. Where another holds the token, nothing is lifted: it would stay paused all the same.
    pub(super) async fn resume(&self, vault: &str, name: &str) -> Answered {
        let token = self.token_named(vault, name).await?;
        let purged = self.was_purged(&token).await?;
        let lifted =
            |reason: PauseReason| reason == PauseReason::Person || (reason == PauseReason::SecretDeleted && purged);
        let others = token.standing.paused.iter().copied().filter(|reason| !lifted(*reason)).collect();
        if let Some(paused) = still_paused(&token, &others) {
            return Err(paused);
        }
        let resumed = |standing: &mut Standing| {
            standing.resume(PauseReason::Person);
            if purged {
                standing.resume(PauseReason::SecretDeleted);
            }
            asked_for(standing);
        };
        let token = self.change("TokenResume", &token, resumed).await?;
        self.changed(&token).await
    }

    /// Whether the token rests since its secret was deleted, and that can't be recovered any more: a renewal makes it anew.
    async fn was_purged(&self, token: &Token) -> Result<bool, Failed> {
        if !token.standing.paused.contains(&PauseReason::SecretDeleted) {
            return Ok(false);
        }
        let (vault, name) = (&token.row.vault, &token.row.name);
        Ok(self.engine.records().store().deleted_secret(vault, name).await?.is_none())
    }

    async fn change(
        &self,
        operation: &'static str,
        token: &Token,
        mut change: impl FnMut(&mut Standing) + Send,
    ) -> Result<Token, Failed> {
        let changing = async {
            let change = |_: &Token, standing: &mut Standing| {
                change(standing);
                Vec::new()
            };
            Ok(self.engine.records().change_token(token.row.id, None, change).await?)
        };
        self.audited(operation, token.row.vault.as_str(), token.row.name.folded(), changing).await
    }

    async fn changed(&self, token: &Token) -> Answered {
        self.engine.keeper().wake();
        let declared = self.declared(token).await?;
        json(&self.token_view(token, declared.as_ref()).await?)
    }

    pub(super) async fn token_named(&self, vault: &str, name: &str) -> Result<Token, Failed> {
        let (vault, name) = (vault_name(vault)?, secret_name(name)?);
        self.engine.records().token_of(&vault, &name).await?.ok_or_else(|| {
            Failed::not_found(format!("there is no managed token {name} in vault {vault}"))
                .help("`vestal token list` shows what there is")
        })
    }

    pub(super) async fn declared(&self, token: &Token) -> Result<Option<Declared<TokenDefinition>>, Failed> {
        let name = token_definition_name(&token.row.vault, &token.row.name);
        Ok(self.engine.records().definition(DefinitionKind::Token, &name).await?)
    }

    async fn token_view(
        &self,
        token: &Token,
        declared: Option<&Declared<TokenDefinition>>,
    ) -> Result<TokenView, Failed> {
        let now = clock::now();
        let standing = &token.standing;
        let last_failure = if standing.failures == 0 {
            None
        } else {
            let last = self.engine.records().attempts(token.row.id, None, 1).await?;
            last.into_iter().next().and_then(|attempt| match attempt.outcome {
                Outcome::Failed { words, .. } => Some(words),
                Outcome::Renewed { .. } => None,
            })
        };
        let name =
            self.engine.records().current(&token.row.vault, &token.row.name).await.map_or_else(
                |_| token.row.name.as_written().to_owned(),
                |current| current.name.as_written().to_owned(),
            );
        Ok(TokenView {
            vault: token.row.vault.as_str().to_owned(),
            name,
            state: standing.state(now).name().to_owned(),
            generation: standing.generation,
            life_left_seconds: standing.remaining(now).map(|left| whole_seconds(left.0)),
            due: due(token.row.due),
            provider: declared.map(|declared| declared.body.provider.clone()).unwrap_or_default(),
            owner: declared.and_then(|declared| declared.body.owner.clone()),
            failures: standing.failures,
            last_failure,
        })
    }

    pub(super) async fn credential(&self, part: &str, source: &Source) -> Result<CredentialView, Failed> {
        let part = part.to_owned();
        let (vault, name) = match source {
            Source::Literal(_) => {
                let source = "in the definition".to_owned();
                return Ok(CredentialView { part, source, present: true, expires: None });
            }
            Source::Secret { vault, name } => (vault, name),
        };
        let source = format!("{vault}/{name}");
        if self.engine.targets().target(vault).is_some() {
            // It is read when the token is next renewed; what its target told of its end is remembered.
            let expires = self.engine.targets().credential_deadline(vault, name).map(UtcTime::from_unix_seconds);
            return Ok(CredentialView { part, source, present: true, expires });
        }
        let current = match (VaultName::parse(vault), SecretName::parse(name)) {
            (Ok(vault), Ok(name)) => self.engine.records().current(&vault, &name).await.ok(),
            _ => None,
        };
        Ok(match current {
            None => CredentialView { part, source, present: false, expires: None },
            Some(current) => {
                let expires = current.version.expires.map(UtcTime::from_unix_seconds);
                CredentialView { part, source, present: current.version.enabled, expires }
            }
        })
    }
}

/// That these reasons hold the token, and what ends the first that a person can end; `None` where nothing holds it.
fn still_paused(token: &Token, reasons: &BTreeSet<PauseReason>) -> Option<Failed> {
    let (vault, name) = (&token.row.vault, &token.row.name);
    let help = if reasons.contains(&PauseReason::DefinitionGone) {
        "write its definition into the configuration file again, and run `vestal apply`: it goes on from there"
            .to_owned()
    } else if reasons.contains(&PauseReason::SecretDeleted) {
        format!(
            "`vestal secret recover {vault}/{name}` brings the secret back, and the token goes on from there; once it is \
             purged, `vestal token resume {vault}/{name}` begins anew"
        )
    } else {
        format!("`vestal token resume {vault}/{name}` renews it at once")
    };
    let words: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
    let message = format!("{vault}/{name} is paused: {}", words.join("; "));
    (!reasons.is_empty()).then(|| Failed::new(FailureCode::Conflict, message).help(help))
}

/// A person asks for a renewal. Where the provider wants somebody's consent, that is how they say that it is given.
fn asked_for(standing: &mut Standing) {
    standing.consent_given(clock::now());
}

/// A token whose row doesn't open.
fn unreadable(row: &TokenRow, error: &RecordError) -> TokenView {
    TokenView {
        vault: row.vault.as_str().to_owned(),
        name: row.name.as_written().to_owned(),
        state: UNREADABLE.to_owned(),
        generation: row.generation,
        life_left_seconds: None,
        due: None,
        provider: String::new(),
        owner: None,
        failures: 0,
        last_failure: Some(error.to_string()),
    }
}

fn warning(credential: &CredentialView) -> Option<String> {
    let CredentialView { part, source, present, expires } = credential;
    if !present {
        return Some(format!("the {part} is missing or disabled: run `vestal secret set {source}`"));
    }
    let left = (*expires)?.unix_seconds() - clock::unix_seconds();
    if left <= 0 {
        return Some(format!("the {part} has expired, says its secret {source}: get a new one from the provider"));
    }
    (left < CREDENTIAL_WARNING).then(|| {
        format!(
            "the {part} expires in {} days, says its secret {source}: get a new one from the provider",
            left / 86_400
        )
    })
}

/// The next attempt of this token, if it comes in time.
async fn wait_for(
    mut events: tokio::sync::broadcast::Receiver<crate::observe::TokenEvent>,
    vault: &VaultName,
    name: &SecretName,
    wait: Duration,
) -> Option<store::Attempt> {
    let next = async {
        loop {
            match events.recv().await {
                Ok(event) if event.vault == *vault && event.name == *name => {
                    if let Some(attempt) = event.attempt {
                        return Some(attempt);
                    }
                }
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
            }
        }
    };
    tokio::time::timeout(wait, next).await.ok().flatten()
}
