//! Targets, as the operator sees them.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use delivery::TargetDefinition;
use keeper::{Source, TargetHealth, TokenDefinition};
use renewal::Wall;
use store::rows::{DefinitionKind, DeliveryRow, TokenId};
use store::{Declared, DeliveryState, Store as _, StoreError};

use super::deliveries::{DELIVERED, unreadable};
use super::wire::{DeliveryView, PaceView, TargetDetail, TargetErrorView, TargetTokenView, TargetView, UtcTime, due};
use super::{Admin, Answered, Failed, json};
use crate::clock;

/// How many deliveries are read at once.
const PAGE: usize = 500;

/// From when on the end of a credential is warned of, in milliseconds: 30 days.
const ENDS_SOON: i64 = 30 * 86_400_000;

/// What holds a target for an instant only: it is called as fast as it allows.
const PACED_BY: [&str; 2] = ["bucket", "flights"];

impl Admin {
    /// The targets, and how many deliveries each has.
    pub(super) async fn list_targets(&self) -> Answered {
        let now = clock::now().wall;
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        self.each_delivery(|row| counts.entry(row.target.clone()).or_default().add(&row, now)).await?;
        let declared = self.engine.records().definitions::<TargetDefinition>(DefinitionKind::Target).await?;
        let views = declared
            .into_iter()
            .filter(|target| target.removed.is_none())
            .map(|target| self.target_view(&target, &counts.remove(&target.name).unwrap_or_default()));
        json(&views.collect::<Vec<_>>())
    }

    /// One target, and each token that is delivered to it, the worst first.
    pub(super) async fn show_target(&self, name: &str) -> Answered {
        let name = name.to_ascii_lowercase();
        let declared = self.engine.records().definition::<TargetDefinition>(DefinitionKind::Target, &name).await?;
        let declared = declared.filter(|target| target.removed.is_none()).ok_or_else(|| {
            Failed::not_found(format!("there is no target {name}")).help("`vestal target list` shows what there is")
        })?;
        let mut rows = Vec::new();
        self.each_delivery(|row| rows.extend((row.target == name).then_some(row))).await?;
        json(&self.target_detail(&declared, rows).await?)
    }

    async fn target_detail(
        &self,
        declared: &Declared<TargetDefinition>,
        rows: Vec<DeliveryRow>,
    ) -> Result<TargetDetail, Failed> {
        let (name, now) = (&declared.name, clock::now().wall);
        let mut counts = Counts::default();
        rows.iter().for_each(|row| counts.add(row, now));
        let target = self.target_view(declared, &counts);
        let open = self.engine.targets().target(name);
        let health = self.engine.courier().health(name).filter(|_| open.is_some());
        let first_due = rows.iter().map(|row| row.due).min().filter(|_| open.is_some());
        let opens = self.held(name).map(|(_, opens)| opens);
        let (mut tokens, mut found) = (Vec::with_capacity(rows.len()), Found::default());
        for row in rows {
            tokens.extend(self.target_token_view(&declared.body, row, &mut found).await?);
        }
        tokens.sort_by(worst_first);
        let count = |of: fn(&DeliveryView) -> bool| tokens.iter().filter(|token| of(&token.delivery)).count() as u64;
        let proof = match self.engine.proof_of(name) {
            Some((vault, name)) => Some(self.credential("Vestal's own", &Source::Secret { vault, name }).await?),
            None => None,
        };
        let last_error = health.as_ref().and_then(|health| health.last_error.clone()).into_iter().chain(found.failure);
        Ok(TargetDetail {
            target,
            proof,
            state: state(open.is_some(), health.as_ref()).to_owned(),
            since: health.map(|health| UtcTime::from_unix_ms(health.since.0)),
            not_open: self.engine.why_not_open(name),
            last_success: found.last_success.map(UtcTime::from_unix_ms),
            last_error: last_error
                .max_by_key(|(_, at)| *at)
                .map(|(words, at)| TargetErrorView { at: UtcTime::from_unix_ms(at.0), words }),
            next_try: first_due.map(|first| opens.map_or(first, |opens| opens.max(first))).and_then(due),
            delivered: count(|delivery| delivery.state == DELIVERED),
            failing: count(|delivery| delivery.failures > 0),
            pace: open.map(|target| PaceView::from(target.pace())),
            tokens,
        })
    }

    /// That Vestal's credentials for the targets of a token end soon, or have ended.
    pub(super) async fn proof_warnings(&self, definition: &TokenDefinition) -> Result<Vec<String>, Failed> {
        let mut warnings = Vec::new();
        for to in &definition.deliver {
            let Some((vault, name)) = self.engine.proof_of(&to.target) else { continue };
            let place = format!("{vault}/{name}");
            let proof = self.credential("Vestal's own", &Source::Secret { vault, name }).await?;
            if let Some(end) = proof.expires.filter(|end| end.unix_ms() - clock::now().wall.0 < ENDS_SOON) {
                warnings.push(format!(
                    "Vestal's credential for {} ends on {}: set a new one with `vestal secret set {place} --expires TIME`",
                    to.target,
                    end.day()
                ));
            }
        }
        Ok(warnings)
    }

    /// What holds a target and until when; nothing where it is merely called no faster than it allows.
    fn held(&self, target: &str) -> Option<(&'static str, Wall)> {
        self.engine.courier().held(target).filter(|(by, _)| !PACED_BY.contains(by))
    }

    /// Every delivery that there is.
    async fn each_delivery(&self, mut each: impl FnMut(DeliveryRow)) -> Result<(), Failed> {
        let mut after: Option<(TokenId, String)> = None;
        loop {
            let start = after.as_ref().map(|(token, target)| (*token, target.as_str()));
            let page = self.engine.records().store().deliveries(start, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.token, last.target.clone()));
            page.into_iter().for_each(&mut each);
        }
    }

    fn target_view(&self, target: &Declared<TargetDefinition>, counts: &Counts) -> TargetView {
        let (kind, place, credential) = match &target.body {
            TargetDefinition::AzureKeyVault { url, credential, .. } => {
                ("azure-key-vault", url.clone(), Some(credential.kind().to_owned()))
            }
            TargetDefinition::File { folder, .. } => ("file", folder.clone(), None),
        };
        TargetView {
            name: target.name.clone(),
            kind: kind.to_owned(),
            place,
            credential,
            origin: target.origin.word().to_owned(),
            deliveries: counts.all,
            waiting: counts.waiting,
            worst_lag_seconds: counts.lag_seconds,
            held: self.held(&target.name).map(|(by, _)| by.to_owned()),
        }
    }

    /// How a token stands at its target; none where it, or the wish to deliver it there, is gone meanwhile.
    async fn target_token_view(
        &self,
        target: &TargetDefinition,
        row: DeliveryRow,
        found: &mut Found,
    ) -> Result<Option<TargetTokenView>, Failed> {
        let records = self.engine.records();
        let token = match records.store().token(row.token).await {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(None),
            Err(error @ StoreError::Damaged(_)) => {
                let (vault, token) = (String::new(), row.token.to_string());
                return Ok(Some(TargetTokenView { vault, token, delivery: unreadable(&row, &error.into()) }));
            }
            Err(error) => return Err(error.into()),
        };
        let view = |delivery: DeliveryView| {
            let (vault, token) = (token.vault.as_str().to_owned(), token.name.as_written().to_owned());
            Ok(Some(TargetTokenView { vault, token, delivery }))
        };
        let opened =
            records.open_token(token.clone()).and_then(|token| Ok((token, records.open_delivery(row.clone())?)));
        let (token, delivery) = match opened {
            Ok(opened) => opened,
            Err(error) => return view(unreadable(&row, &error)),
        };
        // What left the configuration isn't delivered any more.
        let Some(declared) = self.declared(&token).await?.filter(|declared| declared.removed.is_none()) else {
            return Ok(None);
        };
        found.add(&delivery.state);
        match declared.body.deliver.iter().find(|to| to.target == row.target) {
            Some(to) => view(self.delivery_view(&token, &declared.body, to, Some(&delivery), Some(target))),
            None => Ok(None),
        }
    }
}

/// How many deliveries a target has, and how they stand by their rows.
#[derive(Default)]
struct Counts {
    all: u64,
    waiting: u64,
    lag_seconds: Option<u64>,
}

impl Counts {
    fn add(&mut self, row: &DeliveryRow, now: Wall) {
        self.all += 1;
        self.waiting += u64::from(row.due <= now);
        let lag = (row.behind != Wall::NEVER).then(|| now.since(row.behind).as_secs());
        self.lag_seconds = self.lag_seconds.max(lag);
    }
}

/// What the deliveries of a target say of the target.
#[derive(Default)]
struct Found {
    /// When it was last seen to hold what it should, in milliseconds since the Unix epoch.
    last_success: Option<i64>,
    /// The last failure that is not over, in words, and when it was.
    failure: Option<(String, Wall)>,
}

impl Found {
    fn add(&mut self, state: &DeliveryState) {
        self.last_success = self.last_success.max(state.checked_at);
        if let Some(failure) = &state.failure
            && self.failure.as_ref().is_none_or(|(_, at)| at.0 < failure.at)
        {
            self.failure = Some((failure.words.clone(), Wall(failure.at)));
        }
    }
}

/// What fails first, then what isn't there, then what has waited longest.
fn worst_first(left: &TargetTokenView, right: &TargetTokenView) -> Ordering {
    let rank = |view: &TargetTokenView| {
        let DeliveryView { failures, state, lag_seconds, .. } = &view.delivery;
        (*failures == 0, state == DELIVERED, Reverse(*lag_seconds))
    };
    let named = |view: &TargetTokenView| (view.vault.clone(), view.token.clone());
    rank(left).cmp(&rank(right)).then_with(|| named(left).cmp(&named(right)))
}

fn state(is_open: bool, health: Option<&TargetHealth>) -> &'static str {
    match health {
        _ if !is_open => "not open",
        None => "not called yet",
        Some(health) => health.condition.words(),
    }
}
