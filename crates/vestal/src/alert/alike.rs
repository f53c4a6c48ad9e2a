//! Alerts that are alike, and wait: an outage of a target is one alert to each owner, however many tokens go there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::{Alert, Likeness};

/// The alerts that wait on one way and may stand for others: how many each stands for besides itself.
#[derive(Clone, Default)]
pub(super) struct Alike(Arc<Mutex<BTreeMap<Likeness, u64>>>);

impl Alike {
    /// Whether one like it waits already, which stands for this one too from now on. Where none does, this one waits.
    pub(super) fn joins(&self, alert: &Alert) -> bool {
        let Some(likeness) = alert.likeness() else { return false };
        let mut waiting = self.lock();
        match waiting.get_mut(&likeness) {
            Some(others) => {
                *others += 1;
                true
            }
            None => {
                waiting.insert(likeness, 0);
                false
            }
        }
    }

    /// It doesn't wait any more. How many others it stands for.
    pub(super) fn leaves(&self, alert: &Alert) -> u64 {
        alert.likeness().and_then(|likeness| self.lock().remove(&likeness)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Likeness, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
