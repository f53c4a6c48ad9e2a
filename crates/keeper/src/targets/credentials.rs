//! Credentials that are kept in targets: read at each renewal, and remembered for while their target can't give them.

use core::time::Duration;

use secret::Secret;
use store::{Held, Target, TargetError, TargetErrorKind};

use super::{TARGET_DEADLINE, Targets};
use crate::port::Clock;

/// How many credentials of targets are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// How long a target may take before the credential that it gave last is used in place of its answer: a slow target
/// doesn't make renewals slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// A credential as it was last read from its target.
pub(super) struct Remembered {
    value: Secret,
    expires: Option<i64>,
    /// A provider refused what was obtained with it: it may have been replaced at its target.
    doubtful: bool,
}

/// Why a credential could not be read from its target.
pub(crate) enum NotRead {
    /// A person must do what the words say.
    Missing(String),
    /// The target can't answer now.
    Unreachable(String),
}

impl Targets {
    /// When a credential in a target dies, in Unix seconds, as far as it was read and tells.
    pub fn credential_deadline(&self, target: &str, name: &str) -> Option<i64> {
        let key = key(target, name);
        match self.remembered().get(&key) {
            Some(remembered) => remembered.expires,
            None => self.recalled().get(&key).copied(),
        }
    }

    /// When a credential ends, in Unix seconds, as its target told before this process started.
    pub(crate) fn recall_deadline(&self, target: &str, name: &str, expires: i64) {
        self.recalled().insert(key(target, name), expires);
    }

    /// A provider refused this credential. The next time its target gets all the time that it needs to give a newer one.
    pub(crate) fn doubt(&self, target: &str, name: &str) {
        if let Some(remembered) = self.remembered().get_mut(&key(target, name)) {
            remembered.doubtful = true;
        }
    }

    /// The current value of a secret there. While the target can't be reached, or is slow, that which it gave last.
    pub(crate) async fn credential(
        &self,
        clock: &impl Clock,
        target: &dyn Target,
        target_name: &str,
        name: &str,
    ) -> Result<Secret, NotRead> {
        let key = key(target_name, name);
        let trusted = self.remembered().get(&key).is_some_and(|remembered| !remembered.doubtful);
        let deadline = if trusted { PATIENCE } else { TARGET_DEADLINE };
        let held = match self.call_before(clock, target_name, deadline, target.read(name)).await {
            Ok(held) => held,
            Err(error) => return self.last_given(&key, &error),
        };
        let place = format!("the secret {name} of {target_name}");
        let Some(Held { value, enabled, expires, .. }) = held else {
            return Err(NotRead::Missing(format!("{place} isn't there: add it there")));
        };
        let (Some(value), true) = (value, enabled) else {
            return Err(NotRead::Missing(format!("{place} is disabled there: enable it, or add a new version")));
        };
        if !self.is_open(target_name, target) {
            // Another target has its name by now, and must not be taken for the one that gave this.
            return Ok(value);
        }
        let mut remembered = self.remembered();
        let known = remembered.get(&key).map(|known| known.expires);
        if known.is_some() || remembered.len() < MOST_REMEMBERED {
            remembered.insert(key, Remembered { value: value.duplicate(), expires, doubtful: false });
        }
        drop(remembered);
        if known != Some(expires) {
            self.deadlines_changed();
        }
        Ok(value)
    }

    fn last_given(&self, key: &(String, String), error: &TargetError) -> Result<Secret, NotRead> {
        match error.kind {
            TargetErrorKind::Unreachable | TargetErrorKind::Throttled | TargetErrorKind::Unsettled => {
                match self.remembered().get(key) {
                    Some(remembered) => Ok(remembered.value.duplicate()),
                    None => Err(NotRead::Unreachable(error.words.clone())),
                }
            }
            _ => Err(NotRead::Missing(error.words.clone())),
        }
    }
}

fn key(target: &str, name: &str) -> (String, String) {
    (target.to_owned(), name.to_ascii_lowercase())
}
