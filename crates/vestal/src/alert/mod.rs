//! Alerts: what the owner of a token hears, by a webhook, a program, or both.
//!
//! An [`Alert`] is made of a keeper's notice, which comes once an episode ([`renewal::Notice`]), so nothing here decides
//! whether to tell: [`Alerts`] only sends. Each way has a bounded queue and a task of its own, so that neither the keeper
//! nor the other way ever waits for a receiver that hangs.
//!
//! A webhook's address is the operator's own setting, and it is called through the [`Connector`] like a provider: public
//! addresses, and what `[outbound] allow` lists. An internal receiver thus needs its line there, and whoever can write
//! the secret that holds an address gains nothing from it. Where knowing the address is enough to post to it, it is a
//! secret: only its host is ever shown.

mod alike;
mod command;
mod deliver;
mod message;
mod webhook;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::{Records, Store};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use message::{Alert, AlertFailure};

use crate::config::{AlertSettings, Period};
use crate::connector::Connector;
use crate::observe::{AlertFate, Metrics, Way};
use alike::Alike;
use command::Program;
use deliver::{Pace, Target, deliver_all};
use webhook::Hook;

/// How many alerts may wait on one way. More are dropped, counted and logged.
pub const QUEUE: usize = 1_024;

/// Sends alerts. A clone sends on the same ways.
#[derive(Clone)]
pub struct Alerts(Arc<Inner>);

struct Inner {
    queues: Vec<Queue>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue {
    way: Way,
    sender: mpsc::Sender<Arc<Alert>>,
    alike: Alike,
    overflows: AtomicBool,
}

impl Alerts {
    /// Starts sending on the ways that the settings name; there may be none. Must be called within a tokio runtime.
    ///
    /// `records` is where a webhook's address is read, at each try, if it is a secret.
    pub fn start<S: Store>(
        settings: &AlertSettings,
        connector: Arc<Connector>,
        records: Arc<Records<S>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut targets = Vec::new();
        if let Some(address) = &settings.webhook {
            let hook = Hook::new(address.clone(), connector, webhook::secrets_of(records));
            targets.push(Target::Webhook(hook));
        }
        if let Some(command) = &settings.command {
            targets.push(Target::Command(Program::new(command)));
        }
        Self::sending_to(targets, QUEUE, Pace::default(), metrics)
    }

    /// Hands an alert over to be sent. It never waits: where one like it is waiting already, that one is sent for both;
    /// where too many are, this one is dropped.
    pub fn raise(&self, alert: Alert) {
        let alert = Arc::new(alert);
        for queue in &self.0.queues {
            let way = queue.way.word();
            if queue.alike.joins(&alert) {
                continue;
            }
            match queue.sender.try_send(Arc::clone(&alert)) {
                Ok(()) => queue.overflows.store(false, Relaxed),
                Err(TrySendError::Closed(_)) => {
                    queue.alike.leaves(&alert);
                    self.0.metrics.alert(queue.way, AlertFate::Dropped);
                    tracing::warn!("nothing is sent to the {way} any more: {alert} is dropped");
                }
                Err(TrySendError::Full(_)) => {
                    queue.alike.leaves(&alert);
                    self.0.metrics.alert(queue.way, AlertFate::Dropped);
                    // Once until there is room again: the metric counts the others.
                    if !queue.overflows.swap(true, Relaxed) {
                        tracing::error!(
                            "{QUEUE} alerts wait for the {way} already, so new ones are dropped, beginning with {alert}; \
                             look whether its receiver works"
                        );
                    }
                }
            }
        }
    }

    /// Sends what is waiting, with one try each, and ends; what isn't sent within `limit` is given up. Alerts that are
    /// raised later are dropped.
    pub async fn finish(&self, limit: Duration) {
        self.0.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in tasks {
                // An error is a panic, which was reported where it happened.
                drop(task.await);
            }
        };
        if tokio::time::timeout(limit, all).await.is_ok() {
            return;
        }
        for (queue, task) in self.0.queues.iter().zip(&aborts).filter(|(_, task)| !task.is_finished()) {
            task.abort();
            tracing::error!(
                "Vestal stops, and the {} did not take its alerts within {}: one is given up, and {} more that waited",
                queue.way.word(),
                Period::from(limit),
                queue.sender.max_capacity() - queue.sender.capacity()
            );
        }
    }

    fn sending_to(targets: Vec<Target>, queue: usize, pace: Pace, metrics: Arc<Metrics>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut queues = Vec::new();
        let mut tasks = Vec::new();
        for target in targets {
            let (sender, receiver) = mpsc::channel(queue);
            let (way, alike) = (target.way(), Alike::default());
            queues.push(Queue { way, sender, alike: alike.clone(), overflows: AtomicBool::new(false) });
            let (metrics, stopped) = (Arc::clone(&metrics), stopped.clone());
            tasks.push(tokio::spawn(deliver_all(target, receiver, alike, pace, metrics, stopped)));
        }
        Self(Arc::new(Inner { queues, metrics, stop, tasks: Mutex::new(tasks) }))
    }
}

/// Alerts for tests: one is taken, and lies there for ever.
#[cfg(test)]
pub(crate) fn test_alerts(metrics: Arc<Metrics>) -> Alerts {
    let (sender, receiver) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        let _receiver = receiver;
        std::future::pending::<()>().await;
    });
    let queue = Queue { way: Way::Command, sender, alike: Alike::default(), overflows: AtomicBool::new(false) };
    Alerts(Arc::new(Inner {
        queues: vec![queue],
        metrics,
        stop: watch::channel(false).0,
        tasks: Mutex::new(vec![task]),
    }))
}

#[cfg(test)]
mod tests;
