//! Deliveries and shadow mode, as the operator sees them.

use std::time::Duration;

use delivery::TargetDefinition;
use keeper::{DeliverTo, TokenDefinition};
use renewal::Wall;
use store::rows::{DefinitionKind, DeliveryRow};
use store::{Declared, Delivery, RecordError, ShadowLog, Token};

use super::tokens::UNREADABLE;
use super::wire::{Deliveries, DeliveryView, GapView, LivesView, ShadowView, UtcTime, due};
use super::{Admin, Answered, Call, Failed, json};
use crate::admin::wire::FailureCode;
use crate::clock;
use crate::forecast::{BACKUP_VERSIONS, Versions, in_round_numbers, too_many_words};

/// The longest that a call waits for deliveries, and how often it looks meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The state of a delivery whose target holds what it should.
pub(super) const DELIVERED: &str = "delivered";

/// From how many looks on, and over how long, shadow mode has a say.
const FEWEST_LOOKS: u64 = 24;
const SHORTEST_SHADOW: i64 = 24 * 3600;

impl Admin {
    /// What became of the token at each of its targets.
    pub(super) async fn delivery_views(
        &self,
        token: &Token,
        definition: &TokenDefinition,
    ) -> Result<Vec<DeliveryView>, Failed> {
        let known = self.engine.records().deliveries_of(token.row.id).await?;
        let mut views = Vec::with_capacity(definition.deliver.len());
        for to in &definition.deliver {
            let delivery = known.iter().find(|delivery| delivery.row.target == to.target);
            let target = self.engine.records().definition(DefinitionKind::Target, &to.target).await?;
            let target = target.map(|target: Declared<TargetDefinition>| target.body);
            views.push(self.delivery_view(token, definition, to, delivery, target.as_ref()));
        }
        Ok(views)
    }

    /// What became of it at one.
    pub(super) fn delivery_view(
        &self,
        token: &Token,
        definition: &TokenDefinition,
        to: &DeliverTo,
        delivery: Option<&Delivery>,
        target: Option<&TargetDefinition>,
    ) -> DeliveryView {
        let generation = token.standing.generation;
        let is_there = delivery.is_some_and(|delivery| delivery.row.generation == generation && generation > 0);
        let behind = delivery.map(|delivery| delivery.row.behind).filter(|behind| *behind != Wall::NEVER);
        let lag = behind.filter(|_| generation > 0).map(|behind| clock::now().wall.since(behind).as_secs());
        let state = delivery.map(|delivery| &delivery.state);
        let changed = state.and_then(|state| state.changed.as_ref()).filter(|change| !change.repaired && is_there);
        let held = self.engine.courier().held(&to.target);
        let word = match (state.and_then(|state| state.failure.as_ref()), changed, held) {
            _ if self.engine.targets().target(&to.target).is_none() => "no such target".to_owned(),
            (Some(_), _, Some((by, _))) if by != "bucket" && by != "flights" => "failing; its target rests".to_owned(),
            (Some(_), ..) => "failing".to_owned(),
            (None, Some(_), _) => "changed by somebody else".to_owned(),
            (None, None, _) if is_there => DELIVERED.to_owned(),
            _ if generation == 0 => "no token yet".to_owned(),
            _ => "behind".to_owned(),
        };
        let shadow = definition.shadow && !state.is_some_and(|state| state.cut_over);
        let suffix = if shadow { keeper::SHADOW_SUFFIX } else { "" };
        let keeps_versions = matches!(target, Some(TargetDefinition::AzureKeyVault { .. }));
        let made = state.map_or(0, |state| state.versions);
        let versions = if keeps_versions { self.versions(token, definition, made) } else { None };
        DeliveryView {
            target: to.target.clone(),
            name: format!("{}{suffix}", to.name),
            state: word,
            generation: delivery.map_or(0, |delivery| delivery.row.generation),
            version: state.and_then(|state| state.version.clone()),
            delivered: state.and_then(|state| state.delivered_at).map(UtcTime::from_unix_ms),
            due: delivery.and_then(|delivery| due(delivery.row.due)),
            lag_seconds: lag,
            failures: state.map_or(0, |state| state.failures),
            failure: state.and_then(|state| state.failure.as_ref()).map(|failure| failure.words.clone()),
            changed: state.and_then(|state| state.changed.as_ref()).map(|change| UtcTime::from_unix_ms(change.seen_at)),
            not_disabled: state.map_or(0, |state| state.superseded.len() as u64 + state.left_enabled),
            not_disabled_failure: state
                .and_then(|state| state.not_disabled.as_ref())
                .map(|known| known.failure.words.clone()),
            versions: made,
            versions_a_year: versions.map(Versions::a_year),
            no_backup_from: versions.and_then(Versions::too_many_after).map(|after| {
                let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
                UtcTime::from_unix_ms(clock::now().wall.0.saturating_add(after))
            }),
        }
    }

    /// What can be foreseen of the versions that a token makes at a target that keeps them, from the lifetime that was
    /// really seen.
    fn versions(&self, token: &Token, definition: &TokenDefinition, made: u64) -> Option<Versions> {
        let life = token.standing.lifetime.and_then(renewal::Lifetime::known)?;
        let provider = self.engine.keeper().provider(&definition.provider).ok()?;
        let promise = Duration::from_secs(definition.promise.unwrap_or_default());
        Some(Versions::of(made, life, promise, keeper::pacing_of(&provider)))
    }

    /// Delivers now. With `wait`, answers when every target holds the token, or it is over.
    pub(super) async fn deliver(&self, vault: &str, name: &str, call: &Call<'_>) -> Answered {
        let (token, definition) = self.delivered_token(vault, name).await?;
        let asked = clock::now().wall;
        let delivering = async { Ok(self.engine.courier().deliver_now(token.row.id).await?) };
        self.audited("TokenDeliver", token.row.vault.as_str(), token.row.name.folded(), delivering).await?;
        self.deliveries_after(&token, &definition, asked, call).await
    }

    /// Ends shadow mode: from now on the token is delivered under the name that the flow writes.
    pub(super) async fn cut_over(&self, vault: &str, name: &str, call: &Call<'_>) -> Answered {
        let (token, definition) = self.delivered_token(vault, name).await?;
        let known = self.engine.records().deliveries_of(token.row.id).await?;
        if !definition.shadow || known.iter().all(|delivery| delivery.state.cut_over) {
            return Err(Failed::new(
                FailureCode::Conflict,
                format!(
                    "{}/{} isn't in shadow mode: it is delivered under its own name",
                    token.row.vault, token.row.name
                ),
            ));
        }
        let asked = clock::now().wall;
        let cutting = async {
            let now = clock::now().wall;
            let cut = |state: &mut store::DeliveryState| state.cut_over = true;
            self.engine.records().change_deliveries(token.row.id, now, now, cut).await?;
            known.iter().for_each(|delivery| self.engine.courier().reopen(&delivery.row.target));
            Ok(())
        };
        self.audited("TokenCutOver", token.row.vault.as_str(), token.row.name.folded(), cutting).await?;
        self.deliveries_after(&token, &definition, asked, call).await
    }

    /// What shadow mode has seen.
    pub(super) async fn shadow(&self, vault: &str, name: &str) -> Answered {
        let (token, definition) = self.delivered_token(vault, name).await?;
        if !definition.shadow {
            return Err(Failed::new(
                FailureCode::Conflict,
                format!("{}/{} isn't in shadow mode", token.row.vault, token.row.name),
            )
            .help("`mode = \"shadow\"` in its definition begins it"));
        }
        let known = self.engine.records().deliveries_of(token.row.id).await?;
        let now = clock::now().wall.0;
        let views = definition.deliver.iter().map(|to| {
            let delivery = known.iter().find(|delivery| delivery.row.target == to.target);
            let state = delivery.map(|delivery| delivery.state.clone()).unwrap_or_default();
            shadow_view(to, &state.shadow.unwrap_or_default(), state.cut_over, now)
        });
        json(&views.collect::<Vec<_>>())
    }

    async fn delivered_token(&self, vault: &str, name: &str) -> Result<(Token, TokenDefinition), Failed> {
        let token = self.token_named(vault, name).await?;
        let declared = self.declared(&token).await?.filter(|declared| declared.removed.is_none());
        let definition = declared.map(|declared| declared.body).filter(|definition| !definition.deliver.is_empty());
        let definition = definition.ok_or_else(|| {
            Failed::new(FailureCode::Conflict, format!("{}/{} is delivered nowhere", token.row.vault, token.row.name))
                .help("name a target in its definition: `deliver = [{ to = \"TARGET\" }]`")
        })?;
        Ok((token, definition))
    }

    /// The deliveries once each was looked at since `asked`, or the wait is over.
    async fn deliveries_after(
        &self,
        token: &Token,
        definition: &TokenDefinition,
        asked: Wall,
        call: &Call<'_>,
    ) -> Answered {
        let wait = call.number("wait")?.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        let looked_at = |delivery: &Delivery| {
            let failed = delivery.state.failure.as_ref().is_some_and(|failure| failure.at >= asked.0);
            failed || delivery.state.checked_at.is_some_and(|at| at >= asked.0) || delivery.row.due == Wall::NEVER
        };
        let until = tokio::time::Instant::now() + wait.unwrap_or_default();
        while tokio::time::Instant::now() < until {
            let known = self.engine.records().deliveries_of(token.row.id).await?;
            if known.iter().all(looked_at) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let token = self.engine.records().token(token.row.id).await?;
        json(&Deliveries {
            vault: token.row.vault.as_str().to_owned(),
            name: token.row.name.as_written().to_owned(),
            deliveries: self.delivery_views(&token, definition).await?,
        })
    }
}

/// A delivery whose row, or whose token's, doesn't open.
pub(super) fn unreadable(row: &DeliveryRow, error: &RecordError) -> DeliveryView {
    DeliveryView {
        target: row.target.clone(),
        name: String::new(),
        state: UNREADABLE.to_owned(),
        generation: row.generation,
        version: None,
        delivered: None,
        due: due(row.due),
        lag_seconds: None,
        failures: 0,
        failure: Some(error.to_string()),
        changed: None,
        not_disabled: 0,
        not_disabled_failure: None,
        versions: 0,
        versions_a_year: None,
        no_backup_from: None,
    }
}

/// That a secret at a target will have more versions than can be backed up, as an estimate.
pub(super) fn backup_warning(view: &DeliveryView) -> Option<String> {
    let (from, a_year) = (view.no_backup_from?, view.versions_a_year?);
    let DeliveryView { target, name, versions, .. } = view;
    let when = if *versions >= BACKUP_VERSIONS {
        format!("and {name} in {target} has {versions} already")
    } else {
        format!(
            "which {name} in {target} has on about {}, an estimate from the {versions} that Vestal made by now and about {} a year, without those of others",
            from.day(),
            in_round_numbers(a_year)
        )
    };
    Some(too_many_words(&when))
}

/// That readers can get superseded versions, though they are to be disabled.
pub(super) fn not_disabled_warning(view: &DeliveryView) -> Option<String> {
    let DeliveryView { target, name, not_disabled, .. } = view;
    let words = view.not_disabled_failure.as_ref()?;
    Some(format!(
        "{not_disabled} superseded versions of {name} in {target} can't be disabled, and readers can get them until they \
         die: {words}"
    ))
}

fn shadow_view(to: &DeliverTo, log: &ShadowLog, cut_over: bool, now: i64) -> ShadowView {
    let length = |gap: &store::Gap| (gap.to.unwrap_or(now) - gap.from).max(0) / 1000;
    let dead = |gaps: &[store::Gap]| gaps.iter().map(length).sum::<i64>();
    let watched = if log.looked == 0 { 0 } else { ((now - log.since).max(0)) / 1000 };
    let enough = log.looked >= FEWEST_LOOKS && watched >= SHORTEST_SHADOW;
    let seconds = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    let median = |lives: Vec<i64>| {
        let mut lives = lives;
        lives.sort_unstable();
        lives.get(lives.len() / 2).copied()
    };
    let gaps = |gaps: &[store::Gap]| {
        let view = |gap: &store::Gap| GapView {
            from: UtcTime::from_unix_ms(gap.from),
            to: gap.to.map(UtcTime::from_unix_ms),
            length_seconds: seconds(length(gap)),
        };
        gaps.iter().map(view).collect::<Vec<_>>()
    };
    ShadowView {
        target: to.target.clone(),
        name: to.name.clone(),
        beside: format!("{}{}", to.name, keeper::SHADOW_SUFFIX),
        cut_over,
        since: (log.looked > 0).then(|| UtcTime::from_unix_ms(log.since)),
        watched_seconds: seconds(watched),
        looks: log.looked,
        flow_versions: log.flow_versions,
        flow_tells_expiry: log.flow_tells_expiry,
        flow_dead_looks: log.flow_dead,
        flow_dead_seconds: seconds(dead(&log.gaps)),
        flow_least_life_seconds: log.flow_least,
        flow_median_life_seconds: median(log.looks.iter().filter_map(|look| look.flow).collect()),
        ours_dead_looks: log.ours_dead,
        ours_dead_seconds: seconds(dead(&log.ours_gaps)),
        ours_least_life_seconds: log.ours_least,
        ours_median_life_seconds: median(log.looks.iter().filter_map(|look| look.ours).collect()),
        gaps: gaps(&log.gaps),
        ours_gaps: gaps(&log.ours_gaps),
        lives: log
            .looks
            .iter()
            .map(|look| LivesView {
                at: UtcTime::from_unix_ms(look.at),
                flow_seconds: look.flow,
                ours_seconds: look.ours,
            })
            .collect(),
        enough,
    }
}
