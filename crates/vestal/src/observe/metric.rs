//! Every metric, declared once: the scrape and the reference page (`docs/metrics.md`) both come from here.

use std::fmt::Write as _;

use keeper::DeliveryOutcome;
use renewal::{FailureClass, TokenState};
use store::{AuditOutcome, TargetErrorKind};

use super::metrics::{AlertFate, Way};

/// A metric. Adding one here makes the compiler ask for its declaration and for its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Which Vestal this is.
    BuildInfo,
    /// When it started.
    ProcessStart,
    /// How long ago the keeper looked.
    KeeperSinceLook,
    /// What was wrong with the keeper's surroundings.
    KeeperTroubles,
    /// Tokens by state.
    Tokens,
    /// Tokens that wait too long.
    TokensOverdue,
    /// The life of the token that is worst off.
    TokensLeastLife,
    /// Attempts to renew.
    Attempts,
    /// Requests to the vaults and the authority.
    Requests,
    /// Whether the store takes writes.
    StoreWritable,
    /// Audit entries that were lost.
    AuditGaps,
    /// Connections that were closed because their source had enough.
    ConnectionsRefused,
    /// Deliveries by what became of them.
    Deliveries,
    /// How long the delivery that waits longest has waited.
    DeliveryLag,
    /// The life of the credential that ends first.
    CredentialsLeastLife,
    /// Alerts by way and fate.
    Alerts,
}

/// What is declared of a metric.
pub struct Declaration {
    /// Its name. A counter's samples end in `_total`.
    pub name: &'static str,
    /// Whether it only goes up.
    pub kind: Kind,
    /// What its samples are told apart by.
    pub labels: Vec<Label>,
    /// What it says, as sentences.
    pub what: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only goes up, and begins at 0 with each start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Kind {
    /// The word that the text format has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One label of a metric. The number of its values is bounded, whatever anybody sends.
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// The values that it has.
    pub values: Values,
}

/// The values of a label.
pub enum Values {
    /// One of these words.
    Words(Vec<&'static str>),
    /// What is said here.
    Described(&'static str),
}

impl Metric {
    /// Every metric, in the order of a scrape.
    pub const ALL: [Self; 16] = [
        Self::BuildInfo,
        Self::ProcessStart,
        Self::KeeperSinceLook,
        Self::KeeperTroubles,
        Self::Tokens,
        Self::TokensOverdue,
        Self::TokensLeastLife,
        Self::Attempts,
        Self::Requests,
        Self::StoreWritable,
        Self::AuditGaps,
        Self::ConnectionsRefused,
        Self::Deliveries,
        Self::DeliveryLag,
        Self::CredentialsLeastLife,
        Self::Alerts,
    ];

    /// What is declared of it.
    pub fn declaration(self) -> Declaration {
        match self {
            Self::BuildInfo => gauge(
                "vestal_build_info",
                vec![described("version", "the version of the program")],
                "Always 1. Its label says which Vestal this is.",
            ),
            Self::ProcessStart => {
                gauge("process_start_time_seconds", vec![], "When the process started, in seconds since 1970.")
            }
            Self::KeeperSinceLook => gauge(
                "vestal_keeper_since_look_seconds",
                vec![],
                "How long ago the keeper last looked for due tokens. It looks every 30 seconds at the least; more than 90 \
                 means that nothing is renewed. Absent until its first look.",
            ),
            Self::KeeperTroubles => counter(
                "vestal_keeper_troubles",
                vec![],
                "How often something was wrong with the keeper's own surroundings: a store that did not answer, a clock that \
                 jumped. The log says what.",
            ),
            Self::Tokens => gauge(
                "vestal_tokens",
                vec![words("state", TokenState::ALL.map(TokenState::name))],
                "How many managed tokens are in each state. Absent until the keeper's first round over all tokens; a round \
                 is made every 15 seconds.",
            ),
            Self::TokensOverdue => gauge(
                "vestal_tokens_overdue",
                vec![],
                "How many tokens have been due for more than a minute, at the last round.",
            ),
            Self::TokensLeastLife => gauge(
                "vestal_tokens_least_life_seconds",
                vec![],
                "The least life left of any token that has an end, negative where one is dead: as the last round found it, \
                 less the time since. Absent where no token has an end.",
            ),
            Self::Attempts => counter(
                "vestal_attempts",
                vec![words("outcome", AttemptLabel::all().map(AttemptLabel::name))],
                "Attempts to renew a token: `renewed` with a new value, `same value` where the provider gave the old one \
                 again, or the kind of failure.",
            ),
            Self::Requests => counter(
                "vestal_requests",
                vec![
                    described(
                        "operation",
                        "as in the audit: `SecretGet`, `SecretSet`, …; `Authenticate` is the token endpoint",
                    ),
                    words("outcome", AuditOutcome::ALL.map(AuditOutcome::word)),
                ],
                "Requests to the vaults and their authority.",
            ),
            Self::StoreWritable => gauge(
                "vestal_store_writable",
                vec![],
                "1 where the store takes a write, 0 where it doesn't: tried at each scrape, at most every 5 seconds.",
            ),
            Self::AuditGaps => counter(
                "vestal_audit_gaps",
                vec![],
                "Entries that are missing in the audit, because its disk was full or too slow for the reads that came.",
            ),
            Self::ConnectionsRefused => counter(
                "vestal_connections_refused",
                vec![],
                "Connections that were closed at once because their address (of IPv6, its network of 64 bits) had half of the \
                 listener's connections open already. The log names one of them a minute.",
            ),
            Self::Deliveries => counter(
                "vestal_deliveries",
                vec![words("outcome", DeliveryLabel::ALL.map(DeliveryLabel::name))],
                "Deliveries to targets: `delivered`, `repaired` over somebody else's change, `changed` where such a change was \
                 left as it is, `not disabled` where superseded versions can't be, told once, or the kind of failure.",
            ),
            Self::DeliveryLag => gauge(
                "vestal_delivery_lag_seconds",
                vec![described("target", "the target, as it is declared")],
                "For how long a target has lacked what it should hold, of the delivery that has waited longest: neither a \
                 failed attempt nor a newer token sets it back. It is looked at every 15 seconds; some seconds are usual where \
                 many are due at once.",
            ),
            Self::CredentialsLeastLife => gauge(
                "vestal_credentials_least_life_seconds",
                vec![],
                "The least life left of any credential that tells its end, negative where it has ended: of those that tokens \
                 are obtained with and those that Vestal has for targets. Owners are told 30, 14, 7, 3 and 1 days before. \
                 Absent where none tells.",
            ),
            Self::Alerts => counter(
                "vestal_alerts",
                vec![words("way", Way::ALL.map(Way::word)), words("outcome", AlertFate::ALL.map(AlertFate::word))],
                "Alerts to owners: `sent`, `failed` after the last try, or `dropped` because too many were waiting.",
            ),
        }
    }
}

/// What an attempt to renew came to, as its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptLabel {
    /// A new value.
    Renewed,
    /// The old value again.
    SameValue,
    /// No token.
    Failed(FailureClass),
}

impl AttemptLabel {
    /// How many there are.
    pub(super) const COUNT: usize = 9;

    /// All of them, in the order of their numbers.
    pub(super) fn all() -> [Self; Self::COUNT] {
        [
            Self::Renewed,
            Self::SameValue,
            Self::Failed(FailureClass::Transient),
            Self::Failed(FailureClass::Throttled),
            Self::Failed(FailureClass::Client),
            Self::Failed(FailureClass::Consent),
            Self::Failed(FailureClass::Permanent),
            Self::Failed(FailureClass::Credential),
            Self::Failed(FailureClass::Unknown),
        ]
    }

    /// The label of an outcome. A class that isn't known counts as `unknown`.
    pub fn of(outcome: &store::Outcome) -> Self {
        match outcome {
            store::Outcome::Renewed { generation: Some(_), .. } => Self::Renewed,
            store::Outcome::Renewed { generation: None, .. } => Self::SameValue,
            store::Outcome::Failed { class, .. } => Self::all()
                .into_iter()
                .find(|label| matches!(label, Self::Failed(known) if known.name() == class))
                .unwrap_or(Self::Failed(FailureClass::Unknown)),
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::SameValue => "same value",
            Self::Failed(class) => class.name(),
        }
    }
}

/// What became of a delivery, as its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryLabel {
    /// The target holds the generation.
    Delivered,
    /// It holds it again, over somebody else's change.
    Repaired,
    /// Somebody else's change was left.
    Changed,
    /// It doesn't hold it.
    Failed(TargetErrorKind),
    /// It holds it, and superseded versions can't be disabled.
    NotDisabled,
}

impl DeliveryLabel {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 11] = [
        Self::Delivered,
        Self::Repaired,
        Self::Changed,
        Self::Failed(TargetErrorKind::Unreachable),
        Self::Failed(TargetErrorKind::Throttled),
        Self::Failed(TargetErrorKind::Unauthenticated),
        Self::Failed(TargetErrorKind::Forbidden),
        Self::Failed(TargetErrorKind::Occupied),
        Self::Failed(TargetErrorKind::Unfit),
        Self::Failed(TargetErrorKind::Unsettled),
        Self::NotDisabled,
    ];

    /// The label of an outcome; none where nothing was tried.
    pub(super) fn of(outcome: &DeliveryOutcome) -> Option<Self> {
        match outcome {
            DeliveryOutcome::Delivered { .. } => Some(Self::Delivered),
            DeliveryOutcome::Changed { repaired: true } => Some(Self::Repaired),
            DeliveryOutcome::Changed { repaired: false } => Some(Self::Changed),
            DeliveryOutcome::Failed { kind, .. } => Some(Self::Failed(*kind)),
            DeliveryOutcome::NotDisabled { .. } => Some(Self::NotDisabled),
            DeliveryOutcome::Waiting { .. } => None,
        }
    }

    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Repaired => "repaired",
            Self::Changed => "changed",
            Self::Failed(kind) => kind.word(),
            Self::NotDisabled => "not disabled",
        }
    }
}

const INTRODUCTION: &str = "\
<!-- Generated from crates/vestal/src/observe/metric.rs. VESTAL_WRITE_DOCS=1 cargo nextest run -p vestal observe writes it again. -->

# Metrics

`http://127.0.0.1:9464/metrics` (`[observe] listen`) answers in the OpenMetrics text format, which Prometheus and most
other systems read. No sample names a token: which of them is in danger, alerts and `vestal token list` say.

Worth an alarm of your own, beside the alerts that Vestal itself sends to owners:

| condition | it means |
|---|---|
| `vestal_keeper_since_look_seconds > 90`, or no answer | nothing is renewed |
| `vestal_tokens_least_life_seconds < 60` (less where a token lives for minutes only) | a token is about to die, or is dead |
| `vestal_delivery_lag_seconds > 600` | a target doesn't get its tokens |
| `vestal_credentials_least_life_seconds < 604800` | a credential ends within a week |
| `vestal_store_writable == 0` | no renewal can be kept; mostly a full disk |
| `increase(vestal_alerts_total{outcome!=\"sent\"}[1h]) > 0` | an owner was not told of something |
| `increase(vestal_audit_gaps_total[1h]) > 0` | the audit doesn't show every read |
";

/// The reference page, in Markdown.
pub fn reference_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for metric in Metric::ALL {
        let Declaration { name, kind, labels, what } = metric.declaration();
        let suffix = if kind == Kind::Counter { "_total" } else { "" };
        let _ = write!(page, "\n## `{name}{suffix}`\n\nA {}. {what}\n", kind.word());
        for (number, label) in labels.iter().enumerate() {
            let values = match &label.values {
                Values::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
                Values::Described(text) => (*text).to_owned(),
            };
            let gap = if number == 0 { "\n" } else { "" };
            let _ = writeln!(page, "{gap}- `{}`: {values}", label.name);
        }
    }
    page
}

fn counter(name: &'static str, labels: Vec<Label>, what: &'static str) -> Declaration {
    Declaration { name, kind: Kind::Counter, labels, what }
}

fn gauge(name: &'static str, labels: Vec<Label>, what: &'static str) -> Declaration {
    Declaration { name, kind: Kind::Gauge, labels, what }
}

fn words<const N: usize>(name: &'static str, words: [&'static str; N]) -> Label {
    Label { name, values: Values::Words(words.to_vec()) }
}

fn described(name: &'static str, text: &'static str) -> Label {
    Label { name, values: Values::Described(text) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_reference_page_of_metrics_is_up_to_date() {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/vestal is two below the root");
        let file = root.join("docs/metrics.md");
        if std::env::var_os("VESTAL_WRITE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&file, reference_page()).expect("the page can be written");
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == reference_page(),
            "{} differs (VESTAL_WRITE_DOCS=1 writes it again); it should be\n{}",
            file.display(),
            reference_page()
        );
    }

    #[test]
    fn every_class_of_failure_has_a_label_of_its_own() {
        let failed =
            |class: &str| store::Outcome::Failed { class: class.to_owned(), error: None, words: String::new() };
        for label in AttemptLabel::all().into_iter().skip(2) {
            assert_eq!(AttemptLabel::of(&failed(label.name())), label);
        }
        // A class that joins the enum makes this match fail to compile: give it a label above.
        let counted = |class: FailureClass| match class {
            FailureClass::Transient
            | FailureClass::Throttled
            | FailureClass::Client
            | FailureClass::Consent
            | FailureClass::Permanent
            | FailureClass::Credential
            | FailureClass::Unknown => 7,
        };
        assert_eq!(AttemptLabel::COUNT, 2 + counted(FailureClass::Unknown));
        assert_eq!(AttemptLabel::of(&failed("of the future")), AttemptLabel::Failed(FailureClass::Unknown));
    }
}
