//! The figures behind the metrics, and the scrape.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keeper::{DeliveryOutcome, Survey};
use keyvault::RequestCount;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use renewal::{Moment, TokenState, Wall};

use super::metric::{AttemptLabel, DeliveryLabel, Kind, Metric};

/// The content type of [`Metrics::scrape`].
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What has been counted since the start. Counting is one relaxed addition; nothing is looked up or allocated for it.
/// Requests are counted by the vaults themselves ([`keyvault::KeyVault::requests`]), on their own path.
pub struct Metrics {
    started: Wall,
    attempts: [AtomicU64; AttemptLabel::COUNT],
    alerts: [[AtomicU64; AlertFate::ALL.len()]; Way::ALL.len()],
    deliveries: [AtomicU64; DeliveryLabel::ALL.len()],
    /// Of each target, in milliseconds.
    delivery_lags: Mutex<BTreeMap<String, u64>>,
    /// When the first credential ends; [`Wall::NEVER`] where none does.
    first_credential_end: AtomicI64,
    troubles: AtomicU64,
    connections_refused: Arc<AtomicU64>,
    survey: Mutex<Option<(Survey, Moment)>>,
}

/// What a scrape reads elsewhere, at its own moment.
#[derive(Clone, Debug)]
pub struct Live {
    /// The time of the scrape.
    pub now: Moment,
    /// How long ago the keeper looked; `None` where it hasn't yet.
    pub since_look: Option<Duration>,
    /// Whether the store takes a write.
    pub store_writable: bool,
    /// How many entries the audit lacks.
    pub audit_gaps: u64,
    /// How many requests came to what.
    pub requests: Vec<RequestCount>,
}

/// A way on which alerts are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// Posted as JSON.
    Webhook,
    /// On the standard input of a program.
    Command,
}

impl Way {
    /// Every way, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Command];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Command => "command",
        }
    }
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AlertFate {
    /// It arrived.
    Sent,
    /// It did not, at the last try.
    Failed,
    /// It wasn't tried: too many were waiting.
    Dropped,
}

impl AlertFate {
    /// Every fate, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Dropped];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl Metrics {
    /// All at 0, of a process that started then.
    pub fn new(started: Wall) -> Self {
        Self {
            started,
            attempts: Default::default(),
            alerts: Default::default(),
            deliveries: Default::default(),
            delivery_lags: Mutex::default(),
            first_credential_end: AtomicI64::new(Wall::NEVER.0),
            troubles: AtomicU64::new(0),
            connections_refused: Arc::default(),
            survey: Mutex::new(None),
        }
    }

    /// When the process started.
    pub fn started(&self) -> Wall {
        self.started
    }

    /// An attempt came to its end.
    pub fn attempt(&self, outcome: &store::Outcome) {
        let label = AttemptLabel::of(outcome);
        for (known, count) in AttemptLabel::all().into_iter().zip(&self.attempts) {
            if known == label {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// Something became of a delivery.
    pub fn delivery(&self, outcome: &DeliveryOutcome) {
        let label = DeliveryLabel::of(outcome);
        for (known, count) in DeliveryLabel::ALL.into_iter().zip(&self.deliveries) {
            if Some(known) == label {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// For how long a target has lacked what it should hold.
    pub fn delivery_lag(&self, target: &str, lag: Duration) {
        let mut lags = self.delivery_lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.insert(target.to_owned(), u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
    }

    /// When the first of all credentials ends.
    pub fn credentials(&self, first_end: Option<Wall>) {
        self.first_credential_end.store(first_end.unwrap_or(Wall::NEVER).0, Relaxed);
    }

    /// These are the targets; what was known of others is forgotten.
    pub fn targets(&self, names: &[String]) {
        self.delivery_lags.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(name));
    }

    /// An alert came to its end.
    pub fn alert(&self, way: Way, fate: AlertFate) {
        self.alerts[way as usize][fate as usize].fetch_add(1, Relaxed);
    }

    /// How many alerts came to this end.
    pub fn alerts(&self, way: Way, fate: AlertFate) -> u64 {
        self.alerts[way as usize][fate as usize].load(Relaxed)
    }

    /// Something was wrong with the keeper's surroundings.
    pub fn trouble(&self) {
        self.troubles.fetch_add(1, Relaxed);
    }

    /// Where listeners count the connections that they close because their source has enough.
    pub fn connections_refused(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.connections_refused)
    }

    /// How all tokens stood at `now`.
    pub fn survey(&self, survey: &Survey, now: Moment) {
        *self.survey.lock().unwrap_or_else(PoisonError::into_inner) = Some((survey.clone(), now));
    }

    /// Everything in the OpenMetrics text format 1.0.
    pub fn scrape(&self, live: &Live) -> String {
        let survey = self.survey.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let families = Metric::ALL.map(|metric| (metric, self.samples(metric, live, survey.as_ref())));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(families)));
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("writing to a string doesn't fail");
        page
    }

    fn samples(&self, metric: Metric, live: &Live, survey: Option<&(Survey, Moment)>) -> Vec<Sample> {
        match metric {
            Metric::BuildInfo => vec![sample([env!("CARGO_PKG_VERSION")], Value::Gauge(1.0))],
            Metric::ProcessStart => vec![sample([], Value::Gauge(seconds(self.started.0)))],
            Metric::KeeperSinceLook => {
                live.since_look.iter().map(|since| sample([], Value::Gauge(since.as_secs_f64()))).collect()
            }
            Metric::KeeperTroubles => vec![sample([], Value::Counter(self.troubles.load(Relaxed)))],
            Metric::Tokens => survey.map_or_else(Vec::new, |(survey, _)| {
                let count = |state| survey.states.get(&state).copied().unwrap_or(0);
                TokenState::ALL.map(|state| sample([state.name()], Value::whole(count(state)))).into()
            }),
            Metric::TokensOverdue => {
                survey.iter().map(|(survey, _)| sample([], Value::whole(survey.overdue))).collect()
            }
            Metric::TokensLeastLife => survey
                .and_then(|(survey, surveyed)| {
                    // It goes on shrinking between two rounds, so that it can't look well where rounds have ceased.
                    let since = i64::try_from(live.now.since(*surveyed).as_millis()).unwrap_or(i64::MAX);
                    let left = survey.least_life?.saturating_sub(since);
                    Some(vec![sample([], Value::Gauge(seconds(left)))])
                })
                .unwrap_or_default(),
            Metric::Attempts => AttemptLabel::all()
                .into_iter()
                .zip(&self.attempts)
                .map(|(label, count)| sample([label.name()], Value::Counter(count.load(Relaxed))))
                .collect(),
            Metric::Requests => live
                .requests
                .iter()
                .map(|request| sample([request.operation, request.outcome], Value::Counter(request.count)))
                .collect(),
            Metric::StoreWritable => vec![sample([], Value::whole(u64::from(live.store_writable)))],
            Metric::AuditGaps => vec![sample([], Value::Counter(live.audit_gaps))],
            Metric::ConnectionsRefused => vec![sample([], Value::Counter(self.connections_refused.load(Relaxed)))],
            Metric::Deliveries => DeliveryLabel::ALL
                .into_iter()
                .zip(&self.deliveries)
                .map(|(label, count)| sample([label.name()], Value::Counter(count.load(Relaxed))))
                .collect(),
            Metric::DeliveryLag => {
                let lags = self.delivery_lags.lock().unwrap_or_else(PoisonError::into_inner);
                let lag = |lag: &u64| Value::Gauge(seconds(i64::try_from(*lag).unwrap_or(i64::MAX)));
                lags.iter()
                    .map(|(target, known)| Sample { labels: vec![target.clone().into()], value: lag(known) })
                    .collect()
            }
            Metric::CredentialsLeastLife => match self.first_credential_end.load(Relaxed) {
                end if Wall(end) == Wall::NEVER => Vec::new(),
                end => vec![sample([], Value::Gauge(seconds(end.saturating_sub(live.now.wall.0))))],
            },
            Metric::Alerts => {
                let every =
                    Way::ALL.into_iter().flat_map(|way| AlertFate::ALL.into_iter().map(move |fate| (way, fate)));
                every
                    .map(|(way, fate)| sample([way.word(), fate.word()], Value::Counter(self.alerts(way, fate))))
                    .collect()
            }
        }
    }
}

/// One time series: the values of its labels, in the order of their declaration.
#[derive(Debug)]
struct Sample {
    labels: Vec<Cow<'static, str>>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
}

impl Value {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53, and are told to people")]
    fn whole(count: u64) -> Self {
        Self::Gauge(count as f64)
    }
}

fn sample<const N: usize>(labels: [&'static str; N], value: Value) -> Sample {
    Sample { labels: labels.map(Cow::Borrowed).to_vec(), value }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of any date in use stay below 2^53")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// One scrape, on its way into the text.
#[derive(Debug)]
struct Scrape([(Metric, Vec<Sample>); Metric::ALL.len()]);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (metric, samples) in &self.0 {
            if samples.is_empty() {
                continue;
            }
            let declaration = metric.declaration();
            let kind = match declaration.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(declaration.name, declaration.what, None, kind)?;
            for sample in samples {
                let names = declaration.labels.iter().map(|label| label.name);
                let labels: Vec<_> = names.zip(sample.labels.iter().map(AsRef::as_ref)).collect();
                if labels.is_empty() {
                    sample.value.encode(&mut family)?;
                } else {
                    sample.value.encode(&mut family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, encoder: &mut prometheus_client::encoding::MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self {
            Self::Counter(count) => encoder.encode_counter::<NoLabelSet, u64, u64>(count, None),
            Self::Gauge(value) => encoder.encode_gauge(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use renewal::Boot;

    use super::*;
    use crate::observe::metric::Values;

    fn moment(seconds: u64) -> Moment {
        let wall = Wall(1_800_000_000_000 + i64::try_from(seconds).expect("small") * 1000);
        Moment { wall, boot: Boot { id: 1, ms: seconds * 1000 } }
    }

    fn live(now: Moment) -> Live {
        Live {
            now,
            since_look: Some(Duration::from_millis(2_500)),
            store_writable: true,
            audit_gaps: 3,
            requests: vec![RequestCount { operation: "SecretGet", outcome: "allowed", count: 7 }],
        }
    }

    fn failed(class: &str) -> store::Outcome {
        store::Outcome::Failed { class: class.to_owned(), error: None, words: String::new() }
    }

    fn busy() -> Metrics {
        let metrics = Metrics::new(Wall(1_800_000_000_000));
        let renewed = |generation| store::Outcome::Renewed {
            generation,
            lifetime: Some(60),
            lifetime_source: "answer".to_owned(),
            note: String::new(),
        };
        metrics.attempt(&renewed(Some(4)));
        metrics.attempt(&renewed(Some(5)));
        metrics.attempt(&renewed(None));
        metrics.attempt(&failed("client"));
        metrics.alert(Way::Webhook, AlertFate::Sent);
        metrics.alert(Way::Command, AlertFate::Dropped);
        metrics.trouble();
        metrics.connections_refused().fetch_add(5, Relaxed);
        let survey = Survey {
            states: BTreeMap::from([(TokenState::Fresh, 41), (TokenState::NeedsConsent, 1)]),
            least_life: Some(90_000),
            overdue: 2,
        };
        metrics.survey(&survey, moment(10));
        metrics.credentials(Some(Wall(1_800_000_000_000 + 86_400_000)));
        metrics.delivery_lag("contoso", Duration::from_millis(61_500));
        metrics
    }

    /// What a strict reader of OpenMetrics makes of a page: families with their kind, and samples.
    #[derive(Default)]
    struct Page {
        families: BTreeMap<String, String>,
        samples: BTreeMap<String, f64>,
    }

    impl Page {
        fn parse(text: &str) -> Self {
            let mut page = Self::default();
            let mut current = String::new();
            let mut helped = BTreeSet::new();
            let body = text.strip_suffix("# EOF\n").expect("it ends with EOF, and once");
            for line in body.lines() {
                if let Some(rest) = line.strip_prefix("# HELP ") {
                    let (name, help) = rest.split_once(' ').expect("a name and a text");
                    assert!(helped.insert(name.to_owned()), "{name} is there once");
                    assert!(help.ends_with('.') && !help.contains('\\'), "{help}");
                } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                    let (name, kind) = rest.split_once(' ').expect("a name and a kind");
                    assert!(helped.contains(name));
                    current = name.to_owned();
                    assert!(page.families.insert(name.to_owned(), kind.to_owned()).is_none());
                } else {
                    let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                    let name = series.split('{').next().expect("a name");
                    let counter = page.families[&current] == "counter";
                    assert_eq!(name, if counter { format!("{current}_total") } else { current.clone() });
                    if let Some(labels) = series.strip_prefix(&format!("{name}{{")) {
                        let labels = labels.strip_suffix("\"}").expect("labels end");
                        for label in labels.split("\",") {
                            let (key, value) = label.split_once("=\"").expect("a key and a value");
                            assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{key}");
                            assert!(!value.contains('"'));
                        }
                    }
                    let value = value.parse().expect("a number");
                    assert!(page.samples.insert(series.to_owned(), value).is_none(), "{series} is there once");
                }
            }
            page
        }
    }

    #[test]
    fn a_scrape_parses_and_holds_every_declared_metric() {
        let page = Page::parse(&busy().scrape(&live(moment(10))));
        let declared: BTreeMap<_, _> = Metric::ALL
            .iter()
            .map(|metric| metric.declaration())
            .map(|declaration| (declaration.name.to_owned(), declaration.kind.word().to_owned()))
            .collect();
        assert_eq!(declared.len(), Metric::ALL.len(), "no name is used twice");
        assert_eq!(page.families, declared);
        for (series, value) in [
            ("process_start_time_seconds", 1_800_000_000.0),
            ("vestal_keeper_since_look_seconds", 2.5),
            ("vestal_keeper_troubles_total", 1.0),
            ("vestal_tokens{state=\"fresh\"}", 41.0),
            ("vestal_tokens{state=\"due\"}", 0.0),
            ("vestal_tokens{state=\"needs consent\"}", 1.0),
            ("vestal_tokens_overdue", 2.0),
            ("vestal_tokens_least_life_seconds", 90.0),
            ("vestal_attempts_total{outcome=\"renewed\"}", 2.0),
            ("vestal_attempts_total{outcome=\"same value\"}", 1.0),
            ("vestal_attempts_total{outcome=\"client\"}", 1.0),
            ("vestal_attempts_total{outcome=\"transient\"}", 0.0),
            ("vestal_requests_total{operation=\"SecretGet\",outcome=\"allowed\"}", 7.0),
            ("vestal_store_writable", 1.0),
            ("vestal_audit_gaps_total", 3.0),
            ("vestal_connections_refused_total", 5.0),
            ("vestal_credentials_least_life_seconds", 86_390.0),
            ("vestal_delivery_lag_seconds{target=\"contoso\"}", 61.5),
            ("vestal_alerts_total{way=\"webhook\",outcome=\"sent\"}", 1.0),
            ("vestal_alerts_total{way=\"command\",outcome=\"dropped\"}", 1.0),
        ] {
            assert_eq!(page.samples.get(series), Some(&value), "{series}");
        }
    }

    #[test]
    fn every_series_has_the_labels_that_are_declared() {
        let metrics = busy();
        let live = live(moment(10));
        let survey = metrics.survey.lock().expect("the lock").clone();
        for metric in Metric::ALL {
            let declaration = metric.declaration();
            for sample in metrics.samples(metric, &live, survey.as_ref()) {
                assert_eq!(sample.labels.len(), declaration.labels.len(), "{}", declaration.name);
                for (label, value) in declaration.labels.iter().zip(sample.labels) {
                    assert!(!matches!(&label.values, Values::Words(words) if !words.contains(&&*value)), "{value}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_yet_is_absent_rather_than_zero() {
        let metrics = Metrics::new(Wall(0));
        let page = Page::parse(&metrics.scrape(&Live { since_look: None, ..live(moment(0)) }));
        for name in ["vestal_tokens", "vestal_tokens_overdue", "vestal_tokens_least_life_seconds"] {
            assert!(!page.families.contains_key(name), "{name}");
        }
        assert!(!page.families.contains_key("vestal_keeper_since_look_seconds"));
        metrics.survey(&Survey::default(), moment(1));
        let page = Page::parse(&metrics.scrape(&live(moment(1))));
        assert_eq!(page.samples["vestal_tokens{state=\"fresh\"}"], 0.0);
        assert!(!page.families.contains_key("vestal_tokens_least_life_seconds"), "no token has an end");
    }

    #[test]
    fn the_least_life_goes_on_shrinking_where_rounds_have_ceased() {
        let page = Page::parse(&busy().scrape(&live(moment(110))));
        assert_eq!(page.samples["vestal_tokens_least_life_seconds"], -10.0);
    }
}
