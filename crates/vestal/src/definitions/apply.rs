//! One transaction that makes the store's definitions those of the file.

use std::collections::{BTreeMap, BTreeSet};

use delivery::TargetDefinition;
use keeper::{TokenDefinition, token_definition_name};
use keyvault::VaultDefinition;
use renewal::{Moment, PauseReason, Standing, Wall};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use store::rows::{DefinitionKind, DeliveryRow, Origin, TokenId};
use store::{CommitError, Declared, DeliveryState, RecordError, Records, Store, Write};
use vault::{App, ClientId, ObjectId, Policy, VaultName};

use super::{ApplyError, KEPT_AFTER_REMOVAL};
use crate::config::{Config, Definition, Plan, TokenSettings, diff, place_of};

/// How often an apply that collides with other changes is tried.
const TRIES: usize = 8;

/// What an apply has done.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What was different.
    pub plan: Plan,
    /// The lanes whose tokens were declared anew or changed: what holds them is to be lifted.
    pub lanes: Vec<String>,
    /// The targets that were declared anew or changed: what holds them is to be lifted.
    pub targets: Vec<String>,
}

/// Makes the store's definitions those of the file, in one transaction.
///
/// # Errors
/// Why nothing was changed.
pub async fn apply<S: Store>(records: &Records<S>, config: &Config, now: Moment) -> Result<Applied, ApplyError> {
    for _ in 0..TRIES {
        let (applied, writes) = prepare(records, config, now).await?;
        if writes.is_empty() {
            return Ok(applied);
        }
        match records.commit(writes).await {
            Ok(()) => return Ok(applied),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(RecordError::from(error).into()),
        }
    }
    Err(RecordError::Contended.into())
}

/// What [`apply`] would do now.
///
/// # Errors
/// Why it would change nothing.
pub async fn plan<S: Store>(records: &Records<S>, config: &Config, now: Moment) -> Result<Plan, ApplyError> {
    prepare(records, config, now).await.map(|(applied, _)| applied.plan)
}

async fn prepare<S: Store>(
    records: &Records<S>,
    config: &Config,
    now: Moment,
) -> Result<(Applied, Vec<Write>), ApplyError> {
    let plan = diff(&super::stored_views(records).await?, &config.definitions.views());
    let mut batch = Batch {
        records,
        now,
        writes: Vec::new(),
        lanes: Vec::new(),
        changed_providers: BTreeSet::default(),
        changed_targets: BTreeMap::default(),
    };
    batch.vaults(config).await?;
    batch.targets(config).await?;
    batch.providers(config).await?;
    let apps = batch.apps(config).await?;
    batch.policies(config, &apps).await?;
    batch.tokens(config).await?;
    let targets = batch.changed_targets.into_keys().collect();
    Ok((Applied { plan, lanes: batch.lanes, targets }, batch.writes))
}

struct Batch<'a, S> {
    records: &'a Records<S>,
    now: Moment,
    writes: Vec<Write>,
    lanes: Vec<String>,
    /// The providers, by name, that are others than before: themselves, or what they extend.
    changed_providers: BTreeSet<String>,
    /// The targets, by name, that are others than before.
    changed_targets: BTreeMap<String, TargetChange>,
}

/// How a target is another than before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TargetChange {
    /// It is new, or opened in another way: what was delivered there is there.
    Opened,
    /// It is in another place: nothing was delivered there yet.
    Moved,
}

/// What of a token is another than before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// Where it is delivered to, and nothing else: it need not be renewed for that.
    Deliveries,
    /// How it is renewed; or all of it, where it wasn't there.
    Renewals,
}

impl Change {
    fn of(known: Option<&Declared<TokenDefinition>>, now: &TokenDefinition) -> Self {
        let there = known.filter(|known| known.removed.is_none() && known.origin == Origin::File);
        let Some(Declared { body, .. }) = there else { return Self::Renewals };
        let delivered_as_now = TokenDefinition { deliver: now.deliver.clone(), shadow: now.shadow, ..body.clone() };
        match body == now {
            true => Self::None,
            false if delivered_as_now == *now => Self::Deliveries,
            false => Self::Renewals,
        }
    }
}

impl<S: Store> Batch<'_, S> {
    async fn vaults(&mut self, config: &Config) -> Result<(), ApplyError> {
        let mut stored = self.stored::<VaultDefinition>(DefinitionKind::Vault).await?;
        for vault in &config.definitions.vaults {
            let name = vault.name.to_ascii_lowercase();
            let body: VaultDefinition = serde_json::from_value(json!(vault.body))
                .map_err(|error| ApplyError::Invalid(format!("vault {name} can't be stored: {error}")))?;
            self.put(DefinitionKind::Vault, &name, vault, body, &mut stored)?;
        }
        self.gone(DefinitionKind::Vault, stored);
        Ok(())
    }

    async fn targets(&mut self, config: &Config) -> Result<(), ApplyError> {
        let mut stored = self.stored::<TargetDefinition>(DefinitionKind::Target).await?;
        for target in &config.definitions.targets {
            let (name, body) = (target.row_name(), &target.body.definition);
            match stored.get(&name) {
                Some(known) if place_of(&known.body) != place_of(body) => {
                    self.changed_targets.insert(name.clone(), TargetChange::Moved);
                }
                Some(known) if known.removed.is_none() && known.body == *body => {}
                _ => drop(self.changed_targets.insert(name.clone(), TargetChange::Opened)),
            }
            self.put(DefinitionKind::Target, &name, target, body.clone(), &mut stored)?;
        }
        self.gone(DefinitionKind::Target, stored);
        Ok(())
    }

    async fn providers(&mut self, config: &Config) -> Result<(), ApplyError> {
        let mut stored = self.stored::<oauth::ProviderTable>(DefinitionKind::Provider).await?;
        let known = stored.values().filter(|known| known.removed.is_none());
        let before: BTreeMap<_, _> = known.map(|known| (known.name.clone(), known.body.clone())).collect();
        let is_changed = |name: &str, now: &oauth::Provider| oauth::resolve(name, &before).ok().as_ref() != Some(now);
        self.changed_providers = config
            .providers
            .iter()
            .filter(|(name, provider)| is_changed(name, provider))
            .map(|(name, _)| name.clone())
            .collect();
        for provider in &config.definitions.providers {
            self.put(DefinitionKind::Provider, &provider.name, provider, provider.body.table().clone(), &mut stored)?;
        }
        self.gone(DefinitionKind::Provider, stored);
        Ok(())
    }

    /// The apps, and which object id each name has.
    async fn apps(&mut self, config: &Config) -> Result<BTreeMap<String, ObjectId>, ApplyError> {
        let mut stored = self.stored::<App>(DefinitionKind::App).await?;
        let mut ids = BTreeMap::new();
        for app in &config.definitions.apps {
            // An app that comes back is the one that it was, with its client id; its secrets may have ended meanwhile.
            let body = match stored.get(&app.name) {
                Some(known) => known.body.clone(),
                None => App {
                    name: app.name.clone(),
                    client_id: ClientId::from_random(self.records.entropy().bytes16()),
                    object_id: ObjectId::from_random(self.records.entropy().bytes16()),
                    tokens_not_before: 0,
                    secrets: Vec::new(),
                },
            };
            ids.insert(app.name.clone(), body.object_id.clone());
            self.put(DefinitionKind::App, &app.name, app, body, &mut stored)?;
        }
        self.gone(DefinitionKind::App, stored);
        Ok(ids)
    }

    async fn policies(&mut self, config: &Config, apps: &BTreeMap<String, ObjectId>) -> Result<(), ApplyError> {
        let mut stored = self.stored::<Policy>(DefinitionKind::Policy).await?;
        for policy in &config.definitions.policies {
            let app = policy.body.app.as_str();
            let object = apps.get(app).cloned().ok_or_else(|| {
                ApplyError::Invalid(format!(
                    "policy {} names the app {app}, which the file doesn't declare",
                    policy.name
                ))
            })?;
            let body = Policy {
                vault: policy.body.vault.clone(),
                app: object,
                permissions: policy.body.permissions,
                names: policy.body.names.clone(),
            };
            self.put(DefinitionKind::Policy, &policy.name, policy, body, &mut stored)?;
        }
        self.gone(DefinitionKind::Policy, stored);
        Ok(())
    }

    async fn tokens(&mut self, config: &Config) -> Result<(), ApplyError> {
        // Tokens of other origins may be many. They concern the file only where it claims their names.
        let claimed: BTreeSet<String> = config.definitions.tokens.iter().map(|token| token.row_name()).collect();
        let concerned = |name: &str, origin| origin == Origin::File || claimed.contains(name);
        let rows = self.records.definitions_where::<TokenDefinition>(DefinitionKind::Token, concerned).await?;
        let mut stored: BTreeMap<_, _> = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        for token in &config.definitions.tokens {
            let definition = token.definition();
            let name = token.row_name();
            let known = stored.get(&name);
            let delivered = !definition.deliver.is_empty() || known.is_some_and(|known| !known.body.deliver.is_empty());
            let change = Change::of(known, &definition);
            self.put(DefinitionKind::Token, &name, token, definition.clone(), &mut stored)?;
            let mut made = None;
            if change == Change::Renewals || self.changed_providers.contains(&definition.provider) {
                made = self.token(config, token, &definition, change == Change::Renewals).await?;
            }
            let moved = definition.deliver.iter().any(|to| self.changed_targets.contains_key(&to.target));
            if delivered && (change != Change::None || moved) {
                self.deliveries(token, &definition, made).await?;
            }
        }
        for (name, known) in &stored {
            if known.origin == Origin::File && known.removed.is_none() {
                self.pause(name).await?;
            }
        }
        let expired: Vec<String> =
            stored.values().filter(|known| self.is_over(known)).map(|k| k.name.clone()).collect();
        for name in expired {
            if let Some(token) = self.token_named(&name).await? {
                self.writes.push(Write::RemoveToken(token.row.id));
            }
        }
        self.gone(DefinitionKind::Token, stored);
        Ok(())
    }

    /// What is to be delivered of a token: what is new or changed is due at once. `made` is the token where it is only
    /// being made.
    async fn deliveries(
        &mut self,
        token: &Definition<TokenSettings>,
        definition: &TokenDefinition,
        made: Option<TokenId>,
    ) -> Result<(), ApplyError> {
        let (id, known) = match made {
            Some(id) => (id, Vec::new()),
            None => match self.records.token_of(&token.body.vault, &token.secret()).await? {
                Some(known) => (known.row.id, self.records.deliveries_of(known.row.id).await?),
                None => return Ok(()),
            },
        };
        let wanted: Vec<&str> = definition.deliver.iter().map(|to| to.target.as_str()).collect();
        for delivery in &known {
            // Nothing of it is in the new place yet, and what isn't there isn't somebody's change.
            if wanted.contains(&delivery.row.target.as_str())
                && self.changed_targets.get(&delivery.row.target) == Some(&TargetChange::Moved)
            {
                let behind = delivery.row.behind.min(self.now.wall);
                let row = DeliveryRow { behind, expiry: Wall::EPOCH, generation: 0, ..delivery.row.clone() };
                let state = DeliveryState { cut_over: delivery.state.cut_over, ..DeliveryState::default() };
                self.writes.push(self.records.delivery_write(delivery, row, &state));
            }
        }
        self.writes.extend(self.records.declare_deliveries(id, &known, &wanted, self.now.wall));
        Ok(())
    }

    /// The token's own row: made where there is none, else brought to its new definition and renewed at once. Where it
    /// isn't `changed` itself, but its provider is, a token that is well stays as it is, unless its lane is another now.
    /// The answer is the token's id where it is made.
    async fn token(
        &mut self,
        config: &Config,
        token: &Definition<TokenSettings>,
        definition: &TokenDefinition,
        changed: bool,
    ) -> Result<Option<TokenId>, ApplyError> {
        let (vault, name) = (&token.body.vault, token.secret());
        let provider = config.providers.get(&definition.provider).ok_or_else(|| {
            ApplyError::Invalid(format!("token {name} names the provider {}, which isn't there", definition.provider))
        })?;
        let lane = definition.lane(provider);
        let write = match self.records.token_of(vault, &name).await? {
            None => {
                let mut standing = Standing::new(self.now);
                if self.records.store().deleted_secret(vault, &name).await.map_err(RecordError::from)?.is_some() {
                    standing.pause(PauseReason::SecretDeleted);
                }
                self.records.new_token(vault.clone(), name, lane.clone(), &standing)
            }
            Some(known) if !changed && known.row.lane == lane && known.standing.failures == 0 => return Ok(None),
            Some(mut known) => {
                let mut standing = known.standing.clone();
                standing.resume(PauseReason::DefinitionGone);
                standing.renew_now(self.now);
                known.row.lane.clone_from(&lane);
                self.records.token_write(&known, &standing, None)
            }
        };
        self.lanes.push(lane);
        let made = match &write {
            Write::Token { row, replaces: None, .. } => Some(row.id),
            _ => None,
        };
        self.writes.push(write);
        Ok(made)
    }

    async fn pause(&mut self, name: &str) -> Result<(), ApplyError> {
        if let Some(token) = self.token_named(name).await? {
            let mut standing = token.standing.clone();
            standing.pause(PauseReason::DefinitionGone);
            self.writes.push(self.records.token_write(&token, &standing, None));
            // What it was delivered as stays at its targets, and nobody looks after it.
            for delivery in self.records.deliveries_of(token.row.id).await? {
                let row = DeliveryRow { due: Wall::NEVER, behind: Wall::NEVER, ..delivery.row.clone() };
                self.writes.push(self.records.delivery_write(&delivery, row, &delivery.state));
            }
        }
        Ok(())
    }

    async fn token_named(&self, definition_name: &str) -> Result<Option<store::Token>, ApplyError> {
        let Some((vault, name)) = definition_name.split_once('/') else {
            return Ok(None);
        };
        let (Ok(vault), Ok(name)) = (VaultName::parse(vault), vault::SecretName::parse(name)) else {
            return Ok(None);
        };
        debug_assert_eq!(token_definition_name(&vault, &name), definition_name);
        Ok(self.records.token_of(&vault, &name).await?)
    }

    async fn stored<T: DeserializeOwned>(
        &self,
        kind: DefinitionKind,
    ) -> Result<BTreeMap<String, Declared<T>>, ApplyError> {
        let rows = self.records.definitions::<T>(kind).await?;
        Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
    }

    /// Writes the definition where it isn't in the store just so, and takes it out of `stored`.
    fn put<T: Serialize + PartialEq, D>(
        &mut self,
        kind: DefinitionKind,
        name: &str,
        declared: &Definition<D>,
        body: T,
        stored: &mut BTreeMap<String, Declared<T>>,
    ) -> Result<(), ApplyError> {
        let known = stored.remove(name);
        if let Some(known) = &known {
            if known.origin != Origin::File && known.removed.is_none() {
                return Err(ApplyError::MadeByAdmin {
                    kind: kind.word(),
                    name: name.to_owned(),
                    place: format!("{}:{}", declared.source.file, declared.source.line),
                });
            }
            if known.removed.is_none() && known.body == body {
                return Ok(());
            }
        }
        let replaces = known.map(|known| known.tag);
        self.writes.push(self.records.define(kind, name, Origin::File, None, &body, replaces));
        Ok(())
    }

    /// What is left in `stored` isn't in the file any more: it is marked as removed, and after a while forgotten.
    fn gone<T: Serialize>(&mut self, kind: DefinitionKind, stored: BTreeMap<String, Declared<T>>) {
        let today = self.now.wall.unix_seconds();
        for known in stored.into_values().filter(|known| known.origin == Origin::File) {
            if self.is_over(&known) {
                self.writes.push(Write::RemoveDefinition { kind, name: known.name });
            } else if known.removed.is_none() {
                let Declared { name, body, tag, .. } = known;
                self.writes.push(self.records.define(kind, &name, Origin::File, Some(today), &body, Some(tag)));
            }
        }
    }

    fn is_over<T>(&self, known: &Declared<T>) -> bool {
        let today = self.now.wall.unix_seconds();
        known.removed.is_some_and(|removed| removed.saturating_add(KEPT_AFTER_REMOVAL) < today)
    }
}
