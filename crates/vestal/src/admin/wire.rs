//! What the admin API says, on both sides of the control socket, and what `--json` prints. Instants are RFC 3339 in UTC
//! ([`UtcTime`]); lengths of time are numbers of seconds, and their names end in `_seconds`.

use std::collections::BTreeMap;
use std::time::Duration;

use renewal::Wall;
use serde::{Deserialize, Serialize};

pub use super::time::UtcTime;

/// The prefix of every path.
pub const PREFIX: &str = "/vestal/v1";

/// A refusal: what every call answers that did not succeed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub error: FailureBody,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailureBody {
    /// A stable word for scripts.
    pub code: FailureCode,
    /// What happened, and where.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// The stable words of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// What was sent makes no sense.
    BadRequest,
    /// There is no such thing.
    NotFound,
    /// It is there already, or is another by now.
    Conflict,
    /// The configuration file owns it.
    OwnedByFile,
    /// The store or the audit file can't be written or read now.
    Unavailable,
}

/// The running process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its data folder.
    pub data: String,
    /// When it started.
    pub started: UtcTime,
    /// `https://host:port` of the first vault, or of the listener where there is none.
    pub vaults: Vec<VaultView>,
    /// The authority's base URL.
    pub authority: String,
    /// The directory's tenant id.
    pub tenant: String,
    /// How many tokens are in each state.
    pub tokens: BTreeMap<String, u64>,
    /// Why it is not ready; empty where it is.
    pub not_ready: Vec<String>,
}

/// A vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VaultView {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
}

/// A secret without its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretView {
    /// Its vault.
    pub vault: String,
    /// Its name as first written.
    pub name: String,
    /// The version that this is of: the current one, unless another was asked for.
    pub version: VersionView,
    /// Whether a managed token keeps it fresh.
    pub managed: bool,
}

/// A secret as lists show it. One whose record in the store doesn't open hides no other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretLine {
    /// Its vault.
    pub vault: String,
    /// Its name as first written.
    pub name: String,
    /// Its current version; `null` where it can't be read.
    pub version: Option<VersionView>,
    /// Why it can't be read; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Whether a managed token keeps it fresh.
    pub managed: bool,
}

/// A secret that was deleted and can still be recovered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedSecretView {
    /// Its vault.
    pub vault: String,
    /// Its name as first written.
    pub name: String,
    /// When it was deleted.
    pub deleted: UtcTime,
    /// From when on it is purged by itself.
    pub purged_at: UtcTime,
}

/// A deleted secret as lists show it. One whose record in the store doesn't open hides no other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedSecretLine {
    /// Its vault.
    pub vault: String,
    /// Its name as first written; in lower case where it can't be read.
    pub name: String,
    /// When it was deleted; `null` where it can't be read.
    pub deleted: Option<UtcTime>,
    /// From when on it is purged by itself; `null` where it can't be read.
    pub purged_at: Option<UtcTime>,
    /// Why it can't be read; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A secret that was taken away, or is to be brought back.
#[derive(Serialize, Deserialize)]
pub struct SecretBackup {
    /// The sealed backup, in base64url.
    pub value: String,
}

/// A version of a secret without its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionView {
    /// Its id.
    pub id: String,
    /// Whether it may be read.
    pub enabled: bool,
    /// When it was made.
    pub created: UtcTime,
    /// When it was last changed.
    pub updated: UtcTime,
    /// `nbf`: from when on it is to be used.
    pub not_before: Option<UtcTime>,
    /// `exp`: when it ends.
    pub expires: Option<UtcTime>,
    /// The content type.
    pub content_type: Option<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// Who wrote it.
    pub written_by: String,
    /// The generation of the managed token; 0 for what somebody wrote.
    pub generation: u64,
}

/// A secret with all its versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretDetail {
    /// The secret, at its current version.
    #[serde(flatten)]
    pub secret: SecretView,
    /// Its versions, newest first.
    pub versions: Vec<VersionView>,
}

/// A new version of a secret. No Debug: it holds the value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSecret {
    /// The value.
    pub value: String,
    /// `nbf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UtcTime>,
    /// `exp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<UtcTime>,
    /// The content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A secret's value. No Debug: it is the secret.
#[derive(Serialize, Deserialize)]
pub struct SecretValue {
    /// The value.
    pub value: String,
    /// The version that it is of.
    pub version: String,
    /// `exp`.
    pub expires: Option<UtcTime>,
}

/// A managed token, as lists show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenView {
    /// The vault of its secret.
    pub vault: String,
    /// Its secret's name.
    pub name: String,
    /// `fresh`, `due`, `retrying`, `expiring`, `expired`, `needs consent`, `paused`, or `unreadable` where its row in the
    /// store doesn't open.
    pub state: String,
    /// How many times it has been renewed.
    pub generation: u64,
    /// The whole seconds of life left, negative where it is dead; `null` where no end is known or there is no value yet.
    pub life_left_seconds: Option<i64>,
    /// When it is next due; `null` where only a person can help.
    pub due: Option<UtcTime>,
    /// The provider.
    pub provider: String,
    /// Who is told when it is in danger.
    pub owner: Option<String>,
    /// Failures since the last success.
    pub failures: u32,
    /// What the last attempt failed with, where it did.
    pub last_failure: Option<String>,
}

/// All about a managed token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenDetail {
    /// As lists show it.
    #[serde(flatten)]
    pub token: TokenView,
    /// `file` or `admin`.
    pub origin: String,
    /// Where it is obtained.
    pub token_url: String,
    /// The scopes asked for.
    pub scope: Vec<String>,
    /// When the current value was asked for.
    pub obtained: Option<UtcTime>,
    /// When it dies.
    pub expires: Option<UtcTime>,
    /// How long it lives in all.
    pub lifetime_seconds: Option<u64>,
    /// Where that is known from.
    pub lifetime_source: Option<String>,
    /// The life that a reader is sure to find left.
    pub promise_seconds: Option<u64>,
    /// Why it is paused.
    pub paused: Vec<String>,
    /// The secrets that it is obtained with.
    pub credentials: Vec<CredentialView>,
    /// Where it is delivered to, and what became of that.
    pub deliveries: Vec<DeliveryView>,
    /// What its owner should look at, in words.
    pub warnings: Vec<String>,
}

/// What became of a token at one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryView {
    /// The target.
    pub target: String,
    /// The name there.
    pub name: String,
    /// `delivered`, `behind`, `failing`, `changed by somebody else`, `no token yet`, `no such target`, or `unreadable` where
    /// its row in the store doesn't open.
    pub state: String,
    /// The generation that the target was last seen to hold; 0 for none.
    pub generation: u64,
    /// The id there of the version that was last delivered.
    pub version: Option<String>,
    /// When that was.
    pub delivered: Option<UtcTime>,
    /// When the target is next looked at; `null` where there is nothing to deliver.
    pub due: Option<UtcTime>,
    /// For how long the target has lacked what it should hold: neither a failure nor a newer generation sets it back.
    /// `null` where it lacks nothing.
    pub lag_seconds: Option<u64>,
    /// Failures since the last success.
    pub failures: u32,
    /// What the last attempt failed with, where it did.
    pub failure: Option<String>,
    /// When somebody else's change was last seen there.
    pub changed: Option<UtcTime>,
    /// How many superseded versions readers can still get there, of those that are to be disabled.
    #[serde(default)]
    pub not_disabled: u64,
    /// Why they can't be disabled, where that was tried.
    #[serde(default)]
    pub not_disabled_failure: Option<String>,
    /// How many versions deliveries have made there; those that others made aren't known.
    pub versions: u64,
    /// How many will come in a year, an estimate from the token's lifetime and promise; `null` where the target keeps no
    /// versions, or no lifetime is known.
    #[serde(default)]
    pub versions_a_year: Option<u64>,
    /// When there will be more than Azure can back up, an estimate; `null` where that isn't within a year.
    #[serde(default)]
    pub no_backup_from: Option<UtcTime>,
}

/// Another vault, to which tokens are delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetView {
    /// Its name.
    pub name: String,
    /// `azure-key-vault` or `file`.
    pub kind: String,
    /// Its URL or folder.
    pub place: String,
    /// The kind of the credential that Vestal has for it, where it needs one.
    pub credential: Option<String>,
    /// `file` or `admin`.
    pub origin: String,
    /// How many tokens are delivered to it.
    pub deliveries: u64,
    /// How many of them are due.
    pub waiting: u64,
    /// For how long it has lacked what it should hold, of the token that is worst off; `null` where it lacks nothing.
    pub worst_lag_seconds: Option<u64>,
    /// What holds it, where something does: `breaker`, `pause`, `throttle`.
    pub held: Option<String>,
}

/// All about a target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetDetail {
    /// As lists show it.
    #[serde(flatten)]
    pub target: TargetView,
    /// The secret that Vestal's credential for it is, or is proven by; `null` where there is none.
    #[serde(default)]
    pub proof: Option<CredentialView>,
    /// How deliveries found it: `reachable`, `unreachable`, `asks for fewer calls` or `refuses Vestal's credential`;
    /// `not called yet` since Vestal started; `not open` where its definition can't be carried out.
    pub state: String,
    /// Since when it is so; `null` where it was not called yet.
    pub since: Option<UtcTime>,
    /// Why it can't be opened, where it can't.
    pub not_open: Option<String>,
    /// When it was last seen to hold what it should, for any token; also before Vestal started.
    pub last_success: Option<UtcTime>,
    /// The last failure, over or not. Those that are over are forgotten when Vestal stops.
    pub last_error: Option<TargetErrorView>,
    /// When it is next called; `null` where there is nothing to deliver. A time that is over is now.
    pub next_try: Option<UtcTime>,
    /// How many tokens it holds in their current generation.
    pub delivered: u64,
    /// How many can't be delivered to it.
    pub failing: u64,
    /// How fast it is called; `null` where it isn't open.
    pub pace: Option<PaceView>,
    /// The tokens that are delivered to it, the worst first.
    pub tokens: Vec<TargetTokenView>,
}

/// Why a call to a target failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetErrorView {
    /// When.
    pub at: UtcTime,
    /// What a person reads.
    pub words: String,
}

/// How fast a target is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaceView {
    /// A delivery may begin this often.
    pub interval_seconds: f64,
    /// So many may begin at once after a rest.
    pub burst: u32,
    /// So many may be under way at one time.
    pub flights: u32,
}

impl From<store::TargetPace> for PaceView {
    fn from(pace: store::TargetPace) -> Self {
        Self { interval_seconds: pace.interval.as_secs_f64(), burst: pace.burst, flights: pace.flights }
    }
}

/// A token at one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetTokenView {
    /// The vault of the token's secret.
    pub vault: String,
    /// The token's secret.
    pub token: String,
    /// What became of it there.
    #[serde(flatten)]
    pub delivery: DeliveryView,
}

/// A token's deliveries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deliveries {
    /// The vault of its secret.
    pub vault: String,
    /// Its secret's name.
    pub name: String,
    /// One for each target.
    pub deliveries: Vec<DeliveryView>,
}

/// What shadow mode has seen at one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShadowView {
    /// The target.
    pub target: String,
    /// The secret that the flow writes.
    pub name: String,
    /// The secret beside it that Vestal writes.
    pub beside: String,
    /// Whether it was cut over already.
    pub cut_over: bool,
    /// When the first look was; `null` before it.
    pub since: Option<UtcTime>,
    /// For how long it has been watched.
    pub watched_seconds: u64,
    /// How many looks there were.
    pub looks: u64,
    /// How many versions the flow was seen to write.
    pub flow_versions: u64,
    /// Whether the flow writes an expiry; where it doesn't, its token's life is reckoned from its age.
    pub flow_tells_expiry: bool,
    /// How many looks found the flow's token dead, disabled or missing.
    pub flow_dead_looks: u64,
    /// For how long it was, in all.
    pub flow_dead_seconds: u64,
    /// The least life that a look found left in it, negative where it was dead.
    pub flow_least_life_seconds: Option<i64>,
    /// The life that it had left at half of the looks, or less.
    pub flow_median_life_seconds: Option<i64>,
    /// How many looks found Vestal's token dead, disabled or missing, before it was delivered again.
    pub ours_dead_looks: u64,
    /// For how long it was, in all.
    pub ours_dead_seconds: u64,
    /// The least life that a look found left in Vestal's token.
    pub ours_least_life_seconds: Option<i64>,
    /// The life that it had left at half of the looks, or less.
    pub ours_median_life_seconds: Option<i64>,
    /// Times in which the flow's token was dead, the newest last.
    pub gaps: Vec<GapView>,
    /// The same of Vestal's token.
    pub ours_gaps: Vec<GapView>,
    /// The life left at each look, the newest last; of many looks every other older one is left out.
    pub lives: Vec<LivesView>,
    /// Whether that is enough to decide on.
    pub enough: bool,
}

/// The life that a look found left in both tokens, in seconds, negative where it was over; `null` where no end is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LivesView {
    /// When.
    pub at: UtcTime,
    /// In the flow's token.
    pub flow_seconds: Option<i64>,
    /// In Vestal's token, before it was delivered again.
    pub ours_seconds: Option<i64>,
}

/// A time without a living token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GapView {
    /// When it died.
    pub from: UtcTime,
    /// The first look that found a living one; `null` while there is none.
    pub to: Option<UtcTime>,
    /// How long it has lasted.
    pub length_seconds: u64,
}

/// A secret that a token is obtained with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CredentialView {
    /// `client id` or `client secret`; `Vestal's own` for a target's.
    pub part: String,
    /// Where it is: `vault/name`, or `in the definition`.
    pub source: String,
    /// Whether it is there and enabled.
    pub present: bool,
    /// When it dies, where its secret says so.
    pub expires: Option<UtcTime>,
}

/// A page of a token's history, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    /// The attempts.
    pub attempts: Vec<AttemptView>,
    /// Ask with `before=` this for the next page; absent on the last one.
    pub next: Option<u64>,
}

/// What came of one attempt to renew a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Its number; the token's attempts count up, with gaps where a claim was given back.
    pub number: u64,
    /// When it began.
    pub started: UtcTime,
    /// How long it took, from the claim to the provider's answer, read.
    pub took_seconds: f64,
    /// What came of it.
    pub outcome: OutcomeView,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The provider's name for an answer, from its headers.
    pub request_id: Option<String>,
    /// When the token is next due; `null` where only a person can help.
    pub next_due: Option<UtcTime>,
    /// How many later attempts ended in just the same way; they have no line of their own.
    pub repeats: u64,
    /// When the last of those repeats began.
    pub last_repeat: Option<UtcTime>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum OutcomeView {
    /// A new value, or the same one with a later end.
    Renewed {
        /// The generation that it became; `null` where the provider gave the same value again.
        generation: Option<u64>,
        /// How long it lives in all, where that is known.
        lifetime_seconds: Option<u64>,
        /// Where the lifetime came from.
        lifetime_source: String,
        /// What was odd about the answer; absent where nothing was.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// No token.
    Failed {
        /// The kind of failure: `transient`, `throttled`, `client`.
        class: String,
        /// The provider's error code, if it is one of those that are known to be harmless.
        error: Option<String>,
        /// What a person reads: what happened, and what to do.
        words: String,
    },
}

impl From<store::Attempt> for AttemptView {
    fn from(attempt: store::Attempt) -> Self {
        Self {
            number: attempt.number,
            started: UtcTime::from_unix_ms(attempt.started),
            took_seconds: Duration::from_millis(attempt.took).as_secs_f64(),
            outcome: attempt.outcome.into(),
            status: attempt.status,
            request_id: attempt.request_id,
            next_due: due(Wall(attempt.next_due)),
            repeats: attempt.repeats,
            last_repeat: attempt.last_repeat.map(UtcTime::from_unix_ms),
        }
    }
}

impl From<store::Outcome> for OutcomeView {
    fn from(outcome: store::Outcome) -> Self {
        match outcome {
            store::Outcome::Renewed { generation, lifetime, lifetime_source, note } => {
                Self::Renewed { generation, lifetime_seconds: lifetime, lifetime_source, note }
            }
            store::Outcome::Failed { class, error, words } => Self::Failed { class, error, words },
        }
    }
}

/// A due time; none where it never comes.
pub(super) fn due(wall: Wall) -> Option<UtcTime> {
    (wall != Wall::NEVER).then_some(UtcTime::from_unix_ms(wall.0))
}

/// Life left in whole seconds, rounded down: negative from the instant of death.
pub(crate) fn whole_seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// What asking for a renewal came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Renewal {
    /// The token after it, or as it is where nobody waited.
    pub token: TokenView,
    /// The attempt that was made, where somebody waited for it and it came.
    pub attempt: Option<AttemptView>,
}

/// An app registration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppView {
    /// Its name.
    pub name: String,
    /// What it signs in with.
    pub client_id: String,
    /// What policies bind to.
    pub object_id: String,
    /// `file` or `admin`.
    pub origin: String,
    /// Its client secrets, without their values.
    pub secrets: Vec<AppSecretView>,
}

/// A client secret without its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppSecretView {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created: UtcTime,
    /// When it ends.
    pub ends: Option<UtcTime>,
}

/// A wish for an app.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateApp {
    /// Its name.
    pub name: String,
}

/// A client secret, shown once. No Debug: it holds the secret.
#[derive(Serialize, Deserialize)]
pub struct NewAppSecret {
    /// The app.
    pub app: AppView,
    /// The client secret.
    pub client_secret: String,
}

/// An access policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyView {
    /// Its name.
    pub name: String,
    /// The app's name.
    pub app: String,
    /// The vault.
    pub vault: String,
    /// Permissions by their words.
    pub permissions: Vec<String>,
    /// Name patterns; empty covers all names.
    #[serde(default)]
    pub names: Vec<String>,
    /// `file` or `admin`; not sent by clients.
    #[serde(default)]
    pub origin: String,
}

/// A configuration file's definitions, as `plan` and `apply` send them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDefinitions {
    /// The file's name, for messages.
    pub file: String,
    /// The file's text. The running process reads it itself, so that both mean the same.
    pub text: String,
    /// The folder that relative paths in it start from.
    pub folder: String,
}

/// What applying a file would change, or has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// One line of what changes for each definition, in a stable order.
    pub changes: Vec<ChangeView>,
    /// The secrets that the file names and that are not there yet, as `vault/name`: what needs them waits for them.
    #[serde(default)]
    pub missing_secrets: Vec<String>,
}

/// A definition that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeView {
    /// `add`, `change` or `remove`.
    pub action: String,
    /// `vault`, `provider`, `token`, `app` or `policy`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Field by field: what was, and what will be.
    pub fields: Vec<FieldChange>,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field.
    pub field: String,
    /// What it was, as it is written in a configuration: `10m`.
    pub from: Option<String>,
    /// What it will be, written likewise.
    pub to: Option<String>,
}
