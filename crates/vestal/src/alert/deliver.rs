//! One way's alerts, one after the other, each tried until it arrives or is given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::alike::Alike;
use super::command::Program;
use super::message::Alert;
use super::webhook::Hook;
use crate::config::Period;
use crate::observe::{AlertFate, Metrics, Way};

/// How often an alert is tried.
const TRIES: u32 = 5;

/// How long the second try waits; each further one waits four times as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// No try waits longer, whatever the receiver asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Where alerts go.
pub(super) enum Target {
    /// To a webhook.
    Webhook(Hook),
    /// To a program.
    Command(Program),
}

/// Why an alert did not arrive, in words without a secret.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) words: String,
    /// When the receiver wants to be asked again.
    pub(super) again_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), again_after: None }
    }
}

/// How often and when an alert is tried.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) tries: u32,
    pub(super) first_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { tries: TRIES, first_wait: FIRST_WAIT }
    }
}

impl Pace {
    /// How long to wait after the failed try of this number, the first being 1; `None` after the last.
    fn wait_after(self, tried: u32, asked: Option<Duration>) -> Option<Duration> {
        if tried >= self.tries {
            return None;
        }
        let wait = self.first_wait.saturating_mul(4_u32.saturating_pow(tried - 1));
        Some(wait.max(asked.unwrap_or_default()).min(LONGEST_WAIT))
    }
}

impl Target {
    pub(super) fn way(&self) -> Way {
        match self {
            Self::Webhook(_) => Way::Webhook,
            Self::Command(_) => Way::Command,
        }
    }

    /// One try. What became of it, in words that complete "the alert …".
    pub(super) async fn send(&self, alert: &Alert) -> Result<String, Failure> {
        match self {
            Self::Webhook(hook) => hook.post(alert).await,
            Self::Command(program) => program.run(alert).await,
        }
    }
}

/// Sends alerts until the queue is closed, by `stop` or by its last sender. After `stop` each has one more try, and waits
/// for none.
pub(super) async fn deliver_all(
    target: Target,
    mut queue: mpsc::Receiver<Arc<Alert>>,
    alike: Alike,
    pace: Pace,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let next = tokio::select! {
            biased;
            alert = queue.recv() => alert,
            () = stopped(&mut stop) => {
                // What is in it already can still be received.
                queue.close();
                queue.recv().await
            }
        };
        let Some(alert) = next else { return };
        let alert = Alert::clone(&alert).standing_for(alike.leaves(&alert));
        let fate = deliver(&target, &alert, pace, &mut stop).await;
        metrics.alert(target.way(), fate);
    }
}

/// Every failure is tried again: an address may be a secret that somebody is just correcting.
async fn deliver(target: &Target, alert: &Alert, pace: Pace, stop: &mut watch::Receiver<bool>) -> AlertFate {
    let mut tried = 0;
    loop {
        let failure = match target.send(alert).await {
            Ok(words) => {
                tracing::info!("{alert} {words}");
                return AlertFate::Sent;
            }
            Err(failure) => failure,
        };
        tried += 1;
        let wait = pace.wait_after(tried, failure.again_after).filter(|_| !*stop.borrow());
        let words = failure.words;
        let Some(wait) = wait else {
            tracing::error!("{alert} is given up after {tried} of {} tries: {words}", pace.tries);
            return AlertFate::Failed;
        };
        tracing::warn!(
            "{alert} did not arrive: {words}; it is tried again in {} ({tried} of {} tries are made)",
            Period::from(wait),
            pace.tries
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped(stop) => {}
        }
    }
}

/// Ends when it is time to stop. A sender that is gone is none: then the queue closes by itself.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tries_wait_ever_longer_and_never_too_long() {
        let pace = Pace::default();
        let waits: Vec<_> = (1..=5).map(|tried| pace.wait_after(tried, None).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(2), Some(8), Some(32), Some(128), None]);
        let asked = |seconds| pace.wait_after(1, Some(Duration::from_secs(seconds))).map(|wait| wait.as_secs());
        assert_eq!((asked(1), asked(60), asked(86_400)), (Some(2), Some(60), Some(300)));
    }
}
