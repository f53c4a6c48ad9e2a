//! Deliveries and shadow mode, as the operator sees them.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::TargetDefinition;
use keeper::{DeliverTo, TokenDefinition};
use renewal::Wall;
use store::rows::{DefinitionKind, TokenId};
use store::{Delivery, ShadowLog, Store as _, Token};

use super::wire::{Deliveries, DeliveryView, GapView, ShadowView, TargetView, UtcTime, due};
use super::{Admin, Answered, Call, Failed, json};
use crate::admin::wire::FailureCode;
use crate::clock;

/// The longest that a call waits for deliveries, and how often it looks meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From how many looks on, and over how long, shadow mode has a say.
const FEWEST_LOOKS: u64 = 24;
const SHORTEST_SHADOW: i64 = 24 * 3600;

/// How many deliveries are read at once.
const PAGE: usize = 500;

impl Admin {
    /// The targets, and how many deliveries each has.
    pub(super) async fn list_targets(&self) -> Answered {
        let records = self.engine.records();
        let now = clock::now().wall;
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut after: Option<(TokenId, String)> = None;
        loop {
            let start = after.as_ref().map(|(token, target)| (*token, target.as_str()));
            let page = records.store().deliveries(start, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.token, last.target.clone()));
            for row in page {
                let (all, waiting) = counts.entry(row.target).or_default();
                *all += 1;
                *waiting += u64::from(row.due <= now);
            }
        }
        let declared = records.definitions::<TargetDefinition>(DefinitionKind::Target).await?;
        let views = declared.into_iter().filter(|target| target.removed.is_none()).map(|target| {
            let (deliveries, waiting) = counts.get(&target.name).copied().unwrap_or_default();
            let (kind, place, credential) = match &target.body {
                TargetDefinition::AzureKeyVault { url, credential, .. } => {
                    ("azure-key-vault", url.clone(), Some(credential.kind().to_owned()))
                }
                TargetDefinition::File { folder, .. } => ("file", folder.clone(), None),
            };
            let held = self.engine.courier().held(&target.name).filter(|(by, _)| !["bucket", "flights"].contains(by));
            TargetView {
                kind: kind.to_owned(),
                place,
                credential,
                origin: target.origin.word().to_owned(),
                deliveries,
                waiting,
                held: held.map(|(by, _)| by.to_owned()),
                name: target.name,
            }
        });
        json(&views.collect::<Vec<_>>())
    }

    /// What became of the token at each of its targets.
    pub(super) async fn delivery_views(
        &self,
        token: &Token,
        definition: &TokenDefinition,
    ) -> Result<Vec<DeliveryView>, Failed> {
        let known = self.engine.records().deliveries_of(token.row.id).await?;
        let of = |to: &DeliverTo| known.iter().find(|delivery| delivery.row.target == to.target);
        Ok(definition.deliver.iter().map(|to| self.delivery_view(token, definition, to, of(to))).collect())
    }

    fn delivery_view(
        &self,
        token: &Token,
        definition: &TokenDefinition,
        to: &DeliverTo,
        delivery: Option<&Delivery>,
    ) -> DeliveryView {
        let generation = token.standing.generation;
        let is_there = delivery.is_some_and(|delivery| delivery.row.generation == generation && generation > 0);
        let obtained = token.standing.obtained.map(|moment| moment.wall.0);
        let lag = obtained.filter(|_| !is_there).map(|obtained| (clock::now().wall.0 - obtained).max(0) / 1000);
        let state = delivery.map(|delivery| &delivery.state);
        let changed = state.and_then(|state| state.changed.as_ref()).filter(|change| !change.repaired && is_there);
        let held = self.engine.courier().held(&to.target);
        let word = match (state.and_then(|state| state.failure.as_ref()), changed, held) {
            _ if self.engine.targets().target(&to.target).is_none() => "no such target".to_owned(),
            (Some(_), _, Some((by, _))) if by != "bucket" && by != "flights" => format!("failing, held by {by}"),
            (Some(_), ..) => "failing".to_owned(),
            (None, Some(_), _) => "changed by somebody else".to_owned(),
            (None, None, _) if is_there => "delivered".to_owned(),
            _ if generation == 0 => "no token yet".to_owned(),
            _ => "behind".to_owned(),
        };
        let shadow = definition.shadow && !state.is_some_and(|state| state.cut_over);
        let suffix = if shadow { keeper::SHADOW_SUFFIX } else { "" };
        DeliveryView {
            target: to.target.clone(),
            name: format!("{}{suffix}", to.name),
            state: word,
            generation: delivery.map_or(0, |delivery| delivery.row.generation),
            version: state.and_then(|state| state.version.clone()),
            delivered: state.and_then(|state| state.delivered_at).map(UtcTime::from_unix_ms),
            due: delivery.and_then(|delivery| due(delivery.row.due)),
            lag_seconds: lag.and_then(|lag| u64::try_from(lag).ok()),
            failures: state.map_or(0, |state| state.failures),
            failure: state.and_then(|state| state.failure.as_ref()).map(|failure| failure.words.clone()),
            changed: state.and_then(|state| state.changed.as_ref()).map(|change| UtcTime::from_unix_ms(change.seen_at)),
            versions: state.map_or(0, |state| state.versions),
        }
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
            for delivery in &known {
                let now = clock::now().wall;
                let cut = |state: &mut store::DeliveryState| state.cut_over = true;
                self.engine.records().change_delivery(token.row.id, &delivery.row.target, now, cut).await?;
                self.engine.courier().reopen(&delivery.row.target);
            }
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

fn shadow_view(to: &DeliverTo, log: &ShadowLog, cut_over: bool, now: i64) -> ShadowView {
    let length = |gap: &store::Gap| (gap.to.unwrap_or(now) - gap.from).max(0) / 1000;
    let dead: i64 = log.gaps.iter().map(length).sum();
    let watched = if log.looked == 0 { 0 } else { ((now - log.since).max(0)) / 1000 };
    let enough = log.looked >= FEWEST_LOOKS && watched >= SHORTEST_SHADOW;
    let seconds = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    let median = |lives: Vec<i64>| {
        let mut lives = lives;
        lives.sort_unstable();
        lives.get(lives.len() / 2).copied()
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
        flow_dead_seconds: seconds(dead),
        flow_least_life_seconds: log.flow_least,
        flow_median_life_seconds: median(log.looks.iter().filter_map(|look| look.flow).collect()),
        ours_dead_looks: log.ours_dead,
        ours_least_life_seconds: log.ours_least,
        ours_median_life_seconds: median(log.looks.iter().filter_map(|look| look.ours).collect()),
        gaps: log
            .gaps
            .iter()
            .map(|gap| GapView {
                from: UtcTime::from_unix_ms(gap.from),
                to: gap.to.map(UtcTime::from_unix_ms),
                length_seconds: seconds(length(gap)),
            })
            .collect(),
        enough,
    }
}
