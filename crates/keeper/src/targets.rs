//! The targets that are open, by name, and what is read from them.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::future::{Either, select};
use secret::Secret;
use store::{Held, Target, TargetError, TargetErrorKind};

use crate::port::Clock;
use crate::wake::Wake;

/// How long a target may take to answer one call.
pub const TARGET_DEADLINE: Duration = Duration::from_secs(60);

/// How many credentials of targets are remembered, for while their target can't be reached.
const MOST_REMEMBERED: usize = 10_000;

/// The targets of the running process. Shared by the keeper, which reads credentials from them, and the courier, which
/// delivers to them.
#[derive(Default)]
pub struct Targets {
    open: RwLock<BTreeMap<String, Arc<dyn Target>>>,
    remembered: Mutex<BTreeMap<(String, String), Remembered>>,
    wake: Wake,
}

/// A credential as it was last read from its target.
struct Remembered {
    value: Secret,
    expires: Option<i64>,
}

/// Why a credential could not be read from its target.
pub(crate) enum NotRead {
    /// A person must do what the words say.
    Missing(String),
    /// The target can't answer now.
    Unreachable(String),
}

impl Targets {
    /// These are the targets from now on.
    pub fn replace(&self, targets: BTreeMap<String, Arc<dyn Target>>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = targets;
        // What was read from a target that is gone isn't to be used again.
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        self.lock().retain(|(target, _), _| open.contains_key(target));
        drop(open);
        self.knock();
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<Arc<dyn Target>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// When a credential in a target dies, in Unix seconds, as far as it was read since the start and tells.
    pub fn credential_deadline(&self, target: &str, name: &str) -> Option<i64> {
        self.lock().get(&key(target, name)).and_then(|remembered| remembered.expires)
    }

    /// Wakes the courier: there is something to deliver, or a target may be tried again.
    pub fn knock(&self) {
        self.wake.knock();
    }

    pub(crate) async fn knocked(&self) {
        self.wake.knocked().await;
    }

    /// The current value of a secret there. While the target can't be reached, that which it gave last.
    pub(crate) async fn credential(
        &self,
        clock: &impl Clock,
        target: &dyn Target,
        target_name: &str,
        name: &str,
    ) -> Result<Secret, NotRead> {
        let held = match before(clock, TARGET_DEADLINE, target.read(name)).await {
            Ok(held) => held,
            Err(error) => return self.last_given(target_name, name, &error),
        };
        let place = format!("the secret {name} of {target_name}");
        let Some(Held { value, enabled, expires, .. }) = held else {
            return Err(NotRead::Missing(format!("{place} isn't there: add it there")));
        };
        let (Some(value), true) = (value, enabled) else {
            return Err(NotRead::Missing(format!("{place} is disabled there: enable it, or add a new version")));
        };
        let mut remembered = self.lock();
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(key(target_name, name), Remembered { value: value.duplicate(), expires });
        }
        Ok(value)
    }

    fn last_given(&self, target: &str, name: &str, error: &TargetError) -> Result<Secret, NotRead> {
        match error.kind {
            TargetErrorKind::Unreachable | TargetErrorKind::Throttled => match self.lock().get(&key(target, name)) {
                Some(remembered) => Ok(remembered.value.duplicate()),
                None => Err(NotRead::Unreachable(error.words.clone())),
            },
            _ => Err(NotRead::Missing(error.words.clone())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(target: &str, name: &str) -> (String, String) {
    (target.to_owned(), name.to_ascii_lowercase())
}

/// What the target answers, or that it took too long.
pub(crate) async fn before<T>(
    clock: &impl Clock,
    deadline: Duration,
    answer: store::TargetAnswer<'_, T>,
) -> Result<T, TargetError> {
    let sleep = core::pin::pin!(clock.sleep(deadline));
    match select(answer, sleep).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(TargetError {
            kind: TargetErrorKind::Unreachable,
            words: format!("the target did not answer within {} s", deadline.as_secs()),
            retry_after: None,
        }),
    }
}
