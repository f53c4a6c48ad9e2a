//! Who stands beside the keeper and tells everybody else.

use std::sync::Arc;
use std::time::Duration;

use keeper::{CredentialEvent, DeliveryEvent, DeliveryOutcome, Event, Observer, Survey};
use renewal::{FailureClass, Notice, TokenState, Wall};
use store::{Attempt, Outcome};
use tokio::sync::broadcast;
use vault::{SecretName, VaultName};

use super::logging::ATTEMPTS;
use super::metrics::Metrics;
use super::trouble::Troubles;
use super::{date, life};
use crate::alert::{Alert, Alerts};
use crate::clock;

/// What happened to a token, for whoever listens: a person at a terminal, or a call that waits for a renewal.
#[derive(Clone, Debug)]
pub struct TokenEvent {
    /// The vault of its secret.
    pub vault: VaultName,
    /// Its secret's name.
    pub name: SecretName,
    /// Its generation after it.
    pub generation: u64,
    /// Its state after it.
    pub state: TokenState,
    /// How many milliseconds of life the readers' value has left, where an end is known.
    pub life_left_ms: Option<i64>,
    /// The attempt that came to its end; `None` where only time has passed.
    pub attempt: Option<Attempt>,
}

/// The keeper's [`Observer`]: counts, logs, alerts and lets others listen. None of it blocks the keeper.
pub struct Watcher {
    metrics: Arc<Metrics>,
    alerts: Alerts,
    events: broadcast::Sender<TokenEvent>,
    troubles: Troubles,
}

impl Watcher {
    /// A watcher that counts in `metrics`, hands notices to `alerts`, and sends every event to whoever has subscribed to
    /// `events`: a listener that falls behind by more than that channel holds misses some, and is told so.
    pub fn new(metrics: Arc<Metrics>, alerts: Alerts, events: broadcast::Sender<TokenEvent>) -> Self {
        Self { metrics, alerts, events, troubles: Troubles::default() }
    }
}

impl Observer for Watcher {
    fn observe(&self, event: &Event<'_>) {
        if let Some(attempt) = event.attempt {
            self.metrics.attempt(&attempt.outcome);
            log_attempt(event, attempt);
        }
        // Nothing is copied where nobody listens; one who comes in between hears of the next.
        if self.events.receiver_count() > 0 {
            drop(self.events.send(owned(event)));
        }
        for notice in event.notices {
            let alert = Alert::of(event, notice, clock::now().wall);
            match notice {
                Notice::Recovered => tracing::info!("{}", alert.text),
                Notice::Failing { .. } | Notice::Expiring { .. } | Notice::PromiseTooLong(_) => {
                    tracing::warn!("{}", alert.text);
                }
            }
            self.alerts.raise(alert);
        }
    }

    fn survey(&self, survey: &Survey) {
        self.metrics.survey(survey, clock::now());
    }

    fn delivery(&self, event: &DeliveryEvent<'_>) {
        self.metrics.delivery(event.outcome);
        log_delivery(event);
        if let Some(alert) = Alert::of_delivery(event, clock::now().wall) {
            self.alerts.raise(alert);
        }
    }

    fn delivery_lag(&self, target: &str, lag: Duration) {
        self.metrics.delivery_lag(target, lag);
    }

    fn credential(&self, event: &CredentialEvent<'_>) {
        let alert = Alert::of_credential(event, clock::now().wall);
        tracing::warn!("{}", alert.text);
        self.alerts.raise(alert);
    }

    fn credentials(&self, first_end: Option<Wall>) {
        self.metrics.credentials(first_end);
    }

    fn trouble(&self, words: &str) {
        self.metrics.trouble();
        match self.troubles.hear(words, clock::now()) {
            Some(0) => tracing::warn!("{words}"),
            Some(unsaid) => tracing::warn!("{words} (and {unsaid} times more since this was last said)"),
            None => {}
        }
    }
}

fn owned(event: &Event<'_>) -> TokenEvent {
    TokenEvent {
        vault: event.vault.clone(),
        name: event.name.clone(),
        generation: event.generation,
        state: event.state,
        life_left_ms: event.life_left,
        attempt: event.attempt.cloned(),
    }
}

fn log_delivery(event: &DeliveryEvent<'_>) {
    let DeliveryEvent { vault, name, target, outcome, .. } = event;
    match outcome {
        DeliveryOutcome::Delivered { generation, lag, .. } => {
            let lag = crate::config::Period::from(*lag).in_round_numbers();
            tracing::info!(
                target: ATTEMPTS,
                "{vault}/{name} was delivered to {target}: generation {generation}, {lag} after it was obtained"
            );
        }
        DeliveryOutcome::Changed { repaired } => {
            let then = if *repaired { "it was delivered again over it" } else { "it is left as it is" };
            tracing::warn!("somebody changed what {vault}/{name} was delivered as to {target}: {then}");
        }
        DeliveryOutcome::Waiting { since, words } => {
            let (since, words) = (date(*since), words.trim_end_matches('.'));
            tracing::warn!("{vault}/{name} has not been delivered to {target} since {since}: {words}");
        }
        DeliveryOutcome::NotDisabled { kind, words, .. } => {
            let words = words.trim_end_matches('.');
            tracing::warn!("superseded versions of {vault}/{name} stay enabled in {target} ({}): {words}", kind.word());
        }
        DeliveryOutcome::Failed { kind, words, failures, .. } => {
            let words = words.trim_end_matches('.');
            let failed = format!("{vault}/{name} could not be delivered to {target} ({}): {words}", kind.word());
            // Ever more seldom, so that an outage doesn't fill the log.
            if failures.is_power_of_two() {
                tracing::warn!(target: ATTEMPTS, "{failed}; attempt {failures}");
            } else {
                tracing::debug!(target: ATTEMPTS, "{failed}; attempt {failures}");
            }
        }
    }
}

fn log_attempt(event: &Event<'_>, attempt: &Attempt) {
    let Event { vault, name, generation, .. } = event;
    let left = life(event.life_left);
    let next = match Wall(attempt.next_due) {
        Wall::NEVER => "no further attempt until somebody acts".to_owned(),
        due => format!("next attempt at {}", date(due)),
    };
    match &attempt.outcome {
        Outcome::Renewed { generation: renewed, note, .. } => {
            let what =
                if renewed.is_some() { "renewed" } else { "looked after: the provider gave the same value again" };
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            tracing::info!(target: ATTEMPTS, "{vault}/{name} was {what}: generation {generation}, {left}, {next}{note}");
        }
        Outcome::Failed { class, words, .. } => {
            let words = words.trim_end_matches('.');
            let failed = format!("{vault}/{name} could not be renewed ({class}): {words}; {left}, {next}");
            match attempt.repeats {
                // Whoever has just declared it was told what to set, by the start or by `vestal apply`. If it goes on, an
                // alert says so.
                0 | 1
                    if *generation == 0
                        && class == FailureClass::Credential.name()
                        && words.contains(keeper::NOT_THERE) =>
                {
                    tracing::debug!(target: ATTEMPTS, "{failed}");
                }
                0 => tracing::warn!(target: ATTEMPTS, "{failed}"),
                // Ever more seldom, so that an outage doesn't fill the log: after 2, 4, 8, … failures of one kind.
                repeats if (repeats + 1).is_power_of_two() => {
                    tracing::warn!(target: ATTEMPTS, "{failed}; it is the same for {} attempts now", repeats + 1);
                }
                repeats => {
                    tracing::debug!(target: ATTEMPTS, "{failed}; it is the same for {} attempts now", repeats + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use keyvault::RequestCount;
    use renewal::FailureClass;
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;
    use crate::alert::test_alerts;
    use crate::observe::{AlertFate, Live, Way};

    struct Stage {
        watcher: Watcher,
        metrics: Arc<Metrics>,
        events: broadcast::Sender<TokenEvent>,
        vault: VaultName,
        name: SecretName,
    }

    impl Stage {
        fn new() -> Self {
            let metrics = Arc::new(Metrics::new(Wall(0)));
            let (events, _) = broadcast::channel(2);
            let alerts = test_alerts(Arc::clone(&metrics));
            Self {
                watcher: Watcher::new(Arc::clone(&metrics), alerts, events.clone()),
                metrics,
                events,
                vault: VaultName::parse("dev").expect("a name"),
                name: SecretName::parse("Api-Token").expect("a name"),
            }
        }

        fn happens(&self, attempt: Option<&Attempt>, notices: &[Notice]) {
            self.happens_at(7, attempt, notices);
        }

        fn happens_at(&self, generation: u64, attempt: Option<&Attempt>, notices: &[Notice]) {
            self.watcher.observe(&Event {
                vault: &self.vault,
                name: &self.name,
                owner: Some("ops@example.com"),
                attempt,
                life_left: Some(90_000),
                state: TokenState::Retrying,
                generation,
                notices,
            });
        }

        fn scrape(&self) -> String {
            let now = clock::now();
            let requests: Vec<RequestCount> = Vec::new();
            self.metrics.scrape(&Live { now, since_look: None, store_writable: true, audit_gaps: 0, requests })
        }
    }

    fn attempt(outcome: Outcome, repeats: u64) -> Attempt {
        Attempt {
            number: 9,
            started: 1_800_000_000_000,
            took: 120,
            outcome,
            status: Some(401),
            request_id: None,
            next_due: 1_800_000_030_000,
            repeats,
            last_repeat: None,
        }
    }

    fn renewed() -> Outcome {
        Outcome::Renewed {
            generation: Some(7),
            lifetime: Some(90),
            lifetime_source: "answer".into(),
            note: String::new(),
        }
    }

    fn no_credential() -> Outcome {
        Outcome::Failed {
            class: "credential".into(),
            error: None,
            words: format!("the client id is to come from home/id, {}", keeper::NOT_THERE),
        }
    }

    fn failed() -> Outcome {
        Outcome::Failed {
            class: "client".into(),
            error: Some("invalid_client".into()),
            words: "the client is refused".into(),
        }
    }

    /// The lines that are logged meanwhile.
    fn logged(meanwhile: impl FnOnce()) -> Vec<String> {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("the lock").extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        tracing::subscriber::with_default(subscriber, meanwhile);
        let bytes = lines.0.lock().expect("the lock").clone();
        String::from_utf8(bytes).expect("text").lines().map(|line| line.trim().to_owned()).collect()
    }

    #[tokio::test]
    async fn attempts_are_counted_logged_and_heard_by_listeners() {
        let stage = Stage::new();
        let mut listener = stage.events.subscribe();
        let lines = logged(|| {
            stage.happens(Some(&attempt(renewed(), 0)), &[]);
            stage.happens(Some(&attempt(failed(), 0)), &[]);
        });
        assert_eq!(
            lines,
            [
                "INFO dev/Api-Token was renewed: generation 7, 1m 30s left, next attempt at 2027-01-15T08:00:30Z",
                "WARN dev/Api-Token could not be renewed (client): the client is refused; 1m 30s left, \
                 next attempt at 2027-01-15T08:00:30Z",
            ]
        );
        let event = listener.try_recv().expect("an event");
        assert_eq!((event.name.as_written(), event.generation, event.life_left_ms), ("Api-Token", 7, Some(90_000)));
        assert_eq!(event.attempt, Some(attempt(renewed(), 0)));
        listener.try_recv().expect("the other event");
        let page = stage.scrape();
        for series in
            ["vestal_attempts_total{outcome=\"renewed\"} 1\n", "vestal_attempts_total{outcome=\"client\"} 1\n"]
        {
            assert!(page.contains(series), "{page}");
        }
    }

    #[tokio::test]
    async fn a_slow_listener_misses_events_and_holds_nobody_up() {
        let stage = Stage::new();
        let mut listener = stage.events.subscribe();
        for _ in 0..5 {
            stage.happens(None, &[]);
        }
        assert!(matches!(listener.try_recv(), Err(TryRecvError::Lagged(3))));
        assert!(listener.try_recv().is_ok());
    }

    #[tokio::test]
    async fn an_outage_is_logged_ever_more_seldom() {
        let stage = Stage::new();
        let lines = logged(|| {
            for repeats in 0..=20 {
                stage.happens(Some(&attempt(failed(), repeats)), &[]);
            }
        });
        let counted: Vec<_> = lines.iter().map(|line| line.rsplit("; ").next().unwrap_or_default()).collect();
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert_eq!(counted[1..], [2, 4, 8, 16].map(|count| format!("it is the same for {count} attempts now")));
        assert!(stage.scrape().contains("vestal_attempts_total{outcome=\"client\"} 21\n"));
    }

    #[tokio::test]
    async fn a_notice_is_logged_and_becomes_an_alert() {
        let stage = Stage::new();
        let failing = Notice::Failing { class: FailureClass::Client, failures: 1, left: None };
        let lines = logged(|| {
            stage.happens(Some(&attempt(failed(), 0)), &[failing]);
            stage.happens(None, &[Notice::Recovered]);
        });
        assert!(lines[1].starts_with("WARN dev/Api-Token is failing: "), "{lines:#?}");
        assert!(lines[2].starts_with("INFO dev/Api-Token has recovered"), "{lines:#?}");
        // The test's queue takes one, and nobody reads it.
        assert_eq!(stage.metrics.alerts(Way::Command, AlertFate::Dropped), 1);
    }

    #[tokio::test]
    async fn that_a_new_token_wants_for_its_credentials_is_logged_only_when_it_goes_on() {
        let stage = Stage::new();
        let lines = logged(|| {
            stage.happens_at(0, Some(&attempt(no_credential(), 0)), &[]);
            stage.happens_at(0, Some(&attempt(no_credential(), 1)), &[]);
            stage.happens_at(0, Some(&attempt(no_credential(), 3)), &[]);
            stage.happens_at(7, Some(&attempt(no_credential(), 0)), &[]);
        });
        let [goes_on, lost] = &lines[..] else { panic!("{lines:#?}") };
        assert!(goes_on.ends_with("it is the same for 4 attempts now"), "{goes_on}");
        assert!(lost.starts_with("WARN dev/Api-Token could not be renewed (credential)"), "{lost}");
    }

    #[tokio::test]
    async fn the_same_trouble_is_counted_each_time_and_said_once() {
        let stage = Stage::new();
        let lines = logged(|| {
            for _ in 0..5 {
                stage.watcher.trouble("the store can't be read: the disk failed");
            }
        });
        assert_eq!(lines, ["WARN the store can't be read: the disk failed"]);
        assert!(stage.scrape().contains("vestal_keeper_troubles_total 5\n"));
    }
}
