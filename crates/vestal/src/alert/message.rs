//! What is told: an alert, as JSON for programs and as a sentence for people.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;

use keeper::{CredentialEvent, DeliveryEvent, DeliveryOutcome, Event};
use renewal::{FailureClass, Notice, TokenState, Wall};
use serde::Serialize;
use store::{Attempt, Entropy as _, Outcome};

use crate::clock::SystemEntropy;
use crate::config::Period;
use crate::observe::date;

/// One alert. This is the JSON that is sent; it never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Names this alert: 32 hexadecimal digits. The same for each try to send it, and on each way.
    pub id: String,
    /// When it was raised, in UTC (RFC 3339).
    pub time: String,
    /// What happened: `failing`, `expiring`, `recovered`, `promise too long`, `delivery failing`, `delivery recovered`,
    /// `delivery changed`, `versions not disabled` or `credential ending`.
    pub event: &'static str,
    /// The vault of the token's secret; of the credential's, where the alert is about one.
    pub vault: String,
    /// The name of the token's secret; of the credential's, where the alert is about one.
    pub token: String,
    /// Who is to be told, as the token's definition names them; `null` where it names nobody.
    pub owner: Option<String>,
    /// The token's state: `fresh`, `retrying`, `expiring`, `expired`, `needs consent`, …; `null` where the alert is not about
    /// its renewal.
    pub state: Option<&'static str>,
    /// How many times it has been renewed; `null` where the alert is not about its renewal.
    pub generation: Option<u64>,
    /// How many seconds of life it has left, negative where it is dead; `null` where no end is known.
    pub life_left_seconds: Option<i64>,
    /// The target, where the alert is about a delivery; `null` elsewhere.
    pub target: Option<String>,
    /// What happened and what to do next.
    pub words: String,
    /// The attempt that failed; `null` where none did.
    pub failure: Option<AlertFailure>,
    /// For how many others it stands: of the same event, owner, target and kind of failure, and of other tokens.
    pub others: u64,
    /// All of it for a person, token and owner included.
    pub text: String,
}

/// What alerts have in common that one may stand for: event, owner, target and kind of failure.
pub(super) type Likeness = (&'static str, Option<String>, String, Option<String>);

/// What is told of a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertFailure {
    /// Its kind: `transient`, `throttled`, `client`, `consent`, `permanent`, `credential` or `unknown`.
    pub class: String,
    /// The provider's error code, if it is one of those that are known to be harmless: `invalid_client`.
    pub error: Option<String>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
}

impl Alert {
    /// The alert for one notice of an event, raised at `now`.
    pub fn of(event: &Event<'_>, notice: &Notice, now: Wall) -> Self {
        let (headline, words) = told(event, notice);
        let owner = event.owner.map(str::to_owned);
        let to = owner.as_ref().map_or_else(String::new, |owner| format!(" (owner: {owner})"));
        let text = format!("{}/{} {headline}: {words}{to}", event.vault, event.name.as_written());
        Self {
            id: new_id(),
            time: date(now),
            event: notice.name(),
            vault: event.vault.as_str().to_owned(),
            token: event.name.as_written().to_owned(),
            owner,
            state: Some(event.state.name()),
            generation: Some(event.generation),
            life_left_seconds: event.life_left.map(|left| left.div_euclid(1000)),
            target: None,
            words,
            failure: event.attempt.and_then(failure),
            others: 0,
            text,
        }
    }

    /// The alert for what became of a delivery, raised at `now`, where its owner is to hear of it.
    pub fn of_delivery(event: &DeliveryEvent<'_>, now: Wall) -> Option<Self> {
        let target = event.target;
        let token = format!("{}/{}", event.vault, event.name.as_written());
        let (kind, headline, words, failure) = match event.outcome {
            DeliveryOutcome::Failed { alert: true, kind, words, failures } => (
                "delivery failing",
                format!("is not delivered to {target}"),
                format!(
                    "{}. {failures} attempts in a row failed; `vestal token show {token}` tells what {target} holds",
                    words.trim_end_matches('.')
                ),
                Some(AlertFailure { class: kind.word().to_owned(), error: None, status: None }),
            ),
            DeliveryOutcome::Waiting { since, words } => (
                "delivery failing",
                format!("is not delivered to {target}"),
                format!(
                    "it has waited since {}; {}. `vestal target show {target}` tells how {target} is",
                    date(*since),
                    words.trim_end_matches('.')
                ),
                None,
            ),
            DeliveryOutcome::NotDisabled { kind, words, versions, alert: true } => (
                "versions not disabled",
                format!("is in {target}, and readers can still get what it supersedes there"),
                format!("{versions} versions can't be disabled: {}", words.trim_end_matches('.')),
                Some(AlertFailure { class: kind.word().to_owned(), error: None, status: None }),
            ),
            DeliveryOutcome::Delivered { recovered: true, .. } => (
                "delivery recovered",
                format!("is delivered to {target} again"),
                "nothing is to be done".to_owned(),
                None,
            ),
            DeliveryOutcome::Changed { repaired: true } => (
                "delivery changed",
                format!("was changed in {target} by somebody else"),
                "it was delivered again over the change; see who else writes it there".to_owned(),
                None,
            ),
            DeliveryOutcome::Changed { repaired: false } => (
                "delivery changed",
                format!("was changed in {target} by somebody else"),
                format!(
                    "it is left so until the next generation; `vestal token deliver {token}` writes over it now, \
                     `on_change = \"repair\"` always"
                ),
                None,
            ),
            DeliveryOutcome::Delivered { .. }
            | DeliveryOutcome::Failed { .. }
            | DeliveryOutcome::NotDisabled { .. } => {
                return None;
            }
        };
        let owner = event.owner.map(str::to_owned);
        let to = owner.as_ref().map_or_else(String::new, |owner| format!(" (owner: {owner})"));
        let text = format!("{token} {headline}: {words}{to}");
        Some(Self {
            id: new_id(),
            time: date(now),
            event: kind,
            vault: event.vault.as_str().to_owned(),
            token: event.name.as_written().to_owned(),
            owner,
            state: None,
            generation: None,
            life_left_seconds: None,
            target: Some(target.to_owned()),
            words,
            failure,
            others: 0,
            text,
        })
    }

    /// The alert that a credential ends, raised at `now`.
    pub fn of_credential(event: &CredentialEvent<'_>, now: Wall) -> Self {
        let CredentialEvent { vault, name, expires, .. } = event;
        let left = Period::from(Duration::from_millis((expires.0 - now.0).unsigned_abs())).in_round_numbers();
        let headline = if *expires > now { format!("ends in {left}") } else { format!("ended {left} ago") };
        let next = if event.in_target {
            format!("add a new version of the secret {name} in {vault}, with its expiry")
        } else {
            format!("set a new one: `vestal secret set {vault}/{name} --expires TIME`")
        };
        let words = format!("at {} {} won't work any more; {next}", date(*expires), users(event));
        let owner = event.owner.map(str::to_owned);
        let to = owner.as_ref().map_or_else(String::new, |owner| format!(" (owner: {owner})"));
        Self {
            id: new_id(),
            time: date(now),
            event: "credential ending",
            vault: (*vault).to_owned(),
            token: (*name).to_owned(),
            owner,
            state: None,
            generation: None,
            life_left_seconds: Some((expires.0 - now.0).div_euclid(1000)),
            target: event.in_target.then(|| (*vault).to_owned()),
            text: format!("the credential {vault}/{name} {headline}: {words}{to}"),
            words,
            failure: None,
            others: 0,
        }
    }

    /// What it has in common with others that it may stand for; nothing where it is told by itself.
    pub(super) fn likeness(&self) -> Option<Likeness> {
        let target =
            self.target.clone().filter(|_| ["delivery failing", "delivery recovered"].contains(&self.event))?;
        Some((self.event, self.owner.clone(), target, self.failure.as_ref().map(|failure| failure.class.clone())))
    }

    /// The same, for so many others besides.
    pub(super) fn standing_for(self, others: u64) -> Self {
        let text = match others {
            0 => self.text,
            1 => format!("{}; the same goes for one other token", self.text),
            _ => format!("{}; the same goes for {others} other tokens", self.text),
        };
        Self { others, text, ..self }
    }

    /// The JSON, on one line.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("words and numbers are JSON")
    }
}

/// What a credential is needed for: the first of each kind, and how many more there are.
fn users(event: &CredentialEvent<'_>) -> String {
    let first = |all: &BTreeSet<String>, what: &str| {
        let name = all.first()?;
        Some(match all.len() {
            1 => format!("{what} {name}"),
            count => format!("{what} {name} and {} more", count - 1),
        })
    };
    let tokens = first(event.tokens, "renewals of").into_iter();
    tokens.chain(first(event.targets, "deliveries to")).collect::<Vec<_>>().join(" and ")
}

fn new_id() -> String {
    SystemEntropy.bytes16().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which alert it is, for the log.
impl fmt::Display for Alert {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "alert {} ({}: {}/{})", self.id, self.event, self.vault, self.token)
    }
}

fn failure(attempt: &Attempt) -> Option<AlertFailure> {
    match &attempt.outcome {
        Outcome::Renewed { .. } => None,
        Outcome::Failed { class, error, .. } => {
            Some(AlertFailure { class: class.clone(), error: error.clone(), status: attempt.status })
        }
    }
}

/// What happened in two words, and then in as many as it takes, with the next step.
fn told(event: &Event<'_>, notice: &Notice) -> (&'static str, String) {
    let token = format!("{}/{}", event.vault, event.name.as_written());
    let left = readers_have(event);
    let failed_with = match event.attempt.map(|attempt| &attempt.outcome) {
        Some(Outcome::Failed { words, .. }) if !words.is_empty() => Some(words.trim_end_matches('.')),
        _ => None,
    };
    match notice {
        Notice::Failing { class, failures, .. } => {
            let why = failed_with.unwrap_or_else(|| class_in_words(*class));
            let count = if *failures == 1 { "1 attempt".to_owned() } else { format!("{failures} attempts in a row") };
            ("is failing", format!("{why}. {count} failed, {left}; `vestal token history {token}` shows them"))
        }
        Notice::Expiring { left: remaining } => {
            let why = match event.state {
                TokenState::Paused => format!("it is paused, so it is not renewed: `vestal token resume {token}`"),
                TokenState::NeedsConsent => class_in_words(FailureClass::Consent).to_owned(),
                _ => match failed_with {
                    Some(words) => words.to_owned(),
                    None => format!("its renewal is held up: `vestal token show {token}` says by what"),
                },
            };
            let headline = if remaining.0 > 0 { "is about to expire" } else { "has expired" };
            (headline, format!("{left}; {why}"))
        }
        Notice::Recovered => ("has recovered", format!("{left}; nothing is to be done")),
        Notice::PromiseTooLong(too_long) => ("can't keep its promise", too_long.to_string()),
    }
}

/// What the token's readers have, as a sentence.
fn readers_have(event: &Event<'_>) -> String {
    let round = |left: i64| Period::from(Duration::from_millis(left.unsigned_abs())).in_round_numbers();
    match event.life_left {
        Some(left) if left > 0 => format!("its readers have a token with {} left", round(left)),
        Some(left) => format!("its readers have had a dead token for {}", round(left)),
        None if event.generation == 0 => "its readers have no token yet".to_owned(),
        None => "its readers have a token whose end nobody knows".to_owned(),
    }
}

/// What a class of failure means, and what to do, where no attempt says it better.
fn class_in_words(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => {
            "the provider can't be reached, or answers with errors of its own: see whether it reports an outage. Vestal goes \
             on trying"
        }
        FailureClass::Throttled => {
            "the provider answers that too many requests come: see who else uses this client. Vestal goes on, more slowly"
        }
        FailureClass::Client => {
            "the provider refuses the client: compare its id and secret with what the provider has, and set the right one with \
             `vestal secret set`"
        }
        FailureClass::Consent => {
            "the provider wants a person to consent again, and nothing is tried until somebody does so and runs `vestal token \
             renew`"
        }
        FailureClass::Permanent => {
            "the provider refuses the request for what it is: correct the token's scope or parameters in its definition"
        }
        FailureClass::Credential => {
            "the vault doesn't hold what the token is obtained with: set it with `vestal secret set`"
        }
        FailureClass::Unknown => {
            "the provider's answer can't be understood: check that the provider's URL is that of its token endpoint"
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use renewal::{PromiseTooLong, Remaining};
    use vault::{SecretName, VaultName};

    use super::*;

    const NOW: Wall = Wall(1_800_000_000_000);

    fn attempt(words: &str) -> Attempt {
        Attempt {
            number: 3,
            started: NOW.0,
            took: 80,
            outcome: Outcome::Failed {
                class: "client".to_owned(),
                error: Some("invalid_client".to_owned()),
                words: words.to_owned(),
            },
            status: Some(401),
            request_id: None,
            next_due: NOW.0 + 1000,
            repeats: 0,
            last_repeat: None,
        }
    }

    fn alert(state: TokenState, life_left: Option<i64>, attempt: Option<&Attempt>, notice: Notice) -> Alert {
        let (vault, name) = (VaultName::parse("dev").expect("a name"), SecretName::parse("Api-Token").expect("a name"));
        let event = Event {
            vault: &vault,
            name: &name,
            owner: Some("ops@example.com"),
            attempt,
            life_left,
            state,
            generation: 12,
            notices: &[notice],
        };
        Alert::of(&event, &notice, NOW)
    }

    /// An alert to send.
    pub(crate) fn failing() -> Alert {
        let notice = Notice::Failing { class: FailureClass::Client, failures: 2, left: Some(Remaining(90_500)) };
        let attempt = attempt("the provider refuses the client id or secret: store the right ones");
        alert(TokenState::Retrying, Some(90_500), Some(&attempt), notice)
    }

    #[test]
    fn the_json_has_every_field_and_the_text_says_it_all() {
        let alert = failing();
        let json: serde_json::Value = serde_json::from_slice(&alert.json()).expect("JSON");
        let words = "the provider refuses the client id or secret: store the right ones. 2 attempts in a row failed, \
                     its readers have a token with 1m 30s left; `vestal token history dev/Api-Token` shows them";
        assert_eq!(
            json,
            serde_json::json!({
                "id": alert.id,
                "time": "2027-01-15T08:00:00Z",
                "event": "failing",
                "vault": "dev",
                "token": "Api-Token",
                "owner": "ops@example.com",
                "state": "retrying",
                "generation": 12,
                "life_left_seconds": 90,
                "target": null,
                "words": words,
                "failure": { "class": "client", "error": "invalid_client", "status": 401 },
                "others": 0,
                "text": format!("dev/Api-Token is failing: {words} (owner: ops@example.com)"),
            })
        );
        assert!(alert.id.len() == 32 && alert.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(alert.id, failing().id);
        assert!(!alert.json().contains(&b'\n'));
    }

    #[test]
    fn the_end_of_a_credential_is_told_with_what_needs_it_and_what_to_do() {
        let (tokens, targets) = (["dev/a", "dev/b"].map(str::to_owned).into(), ["azure".to_owned()].into());
        let event = CredentialEvent {
            vault: "dev",
            name: "client-secret",
            in_target: false,
            owner: Some("ops@example.com"),
            expires: Wall(NOW.0 + 5 * 86_400_000),
            tokens: &tokens,
            targets: &targets,
        };
        assert_eq!(
            Alert::of_credential(&event, NOW).text,
            "the credential dev/client-secret ends in 5d: at 2027-01-20T08:00:00Z renewals of dev/a and 1 more and \
             deliveries to azure won't work any more; set a new one: `vestal secret set dev/client-secret --expires TIME` \
             (owner: ops@example.com)"
        );
        let over = CredentialEvent { in_target: true, vault: "azure", expires: Wall(NOW.0 - 60_000), ..event };
        let alert = Alert::of_credential(&over, NOW);
        assert!(alert.text.contains("ended 1m ago") && alert.words.ends_with("in azure, with its expiry"), "{alert:?}");
        assert_eq!((alert.life_left_seconds, alert.target.as_deref()), (Some(-60), Some("azure")));
    }

    #[test]
    fn what_becomes_of_a_delivery_is_told_where_somebody_can_help() {
        let (vault, name) = (VaultName::parse("dev").expect("a name"), SecretName::parse("Api-Token").expect("a name"));
        let text = |outcome: DeliveryOutcome| {
            let event = DeliveryEvent { vault: &vault, name: &name, owner: None, target: "azure", outcome: &outcome };
            Alert::of_delivery(&event, NOW).map(|alert| (alert.event, alert.text))
        };
        let words = "it can't be reached".to_owned();
        assert_eq!(
            text(DeliveryOutcome::Waiting { since: NOW, words }),
            Some((
                "delivery failing",
                "dev/Api-Token is not delivered to azure: it has waited since 2027-01-15T08:00:00Z; it can't be reached. \
                 `vestal target show azure` tells how azure is"
                    .to_owned()
            ))
        );
        let words = "the right Set is missing".to_owned();
        let (event, text_of_it) = text(DeliveryOutcome::NotDisabled {
            kind: store::TargetErrorKind::Forbidden,
            words,
            versions: 3,
            alert: true,
        })
        .expect("it is told");
        assert_eq!(event, "versions not disabled");
        assert!(text_of_it.ends_with("3 versions can't be disabled: the right Set is missing"), "{text_of_it}");
        let left = text(DeliveryOutcome::Changed { repaired: false }).expect("it is told").1;
        assert!(left.contains("`vestal token deliver dev/Api-Token` writes over it now"), "{left}");
    }

    #[test]
    fn each_notice_says_what_happened_and_what_to_do() {
        let expiring = |left| Notice::Expiring { left: Remaining(left) };
        let paused = alert(TokenState::Paused, Some(250_000), None, expiring(250_000));
        assert_eq!(
            paused.text,
            "dev/Api-Token is about to expire: its readers have a token with 4m 10s left; it is paused, so it is not \
             renewed: `vestal token resume dev/Api-Token` (owner: ops@example.com)"
        );
        assert_eq!(paused.failure, None);

        let dead = alert(TokenState::Expired, Some(-4_000), None, expiring(-4_000));
        assert!(
            dead.text.starts_with("dev/Api-Token has expired: its readers have had a dead token for 4s; its renewal")
        );
        assert_eq!(dead.life_left_seconds, Some(-4));

        let recovered = alert(TokenState::Fresh, Some(3_600_000), None, Notice::Recovered);
        assert_eq!(recovered.words, "its readers have a token with 1h left; nothing is to be done");

        let promise = PromiseTooLong {
            promise: Duration::from_secs(600),
            life: Duration::from_secs(300),
            largest: Duration::from_secs(120),
        };
        let too_long = alert(TokenState::Fresh, None, None, Notice::PromiseTooLong(promise));
        assert!(
            too_long.words.contains("a promise of 10m can't hold") && too_long.words.contains("promise 2m or less")
        );
        assert_eq!((too_long.event, too_long.life_left_seconds), ("promise too long", None));
    }

    #[test]
    fn without_an_attempt_the_class_gives_the_words() {
        let notice = Notice::Failing { class: FailureClass::Credential, failures: 1, left: None };
        let alert = alert(TokenState::Due, None, None, notice);
        assert!(alert.words.starts_with("the vault doesn't hold what the token is obtained with"), "{}", alert.words);
        assert!(
            alert.words.contains("1 attempt failed, its readers have a token whose end nobody knows;"),
            "{}",
            alert.words
        );
    }
}
