//! The targets that are open, by name: the way to call them, and what is read from them.

mod credentials;
mod health;
mod lanes;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::future::{Either, select};
use store::{Target, TargetAnswer, TargetError, TargetErrorKind};

pub(crate) use self::credentials::NotRead;
use self::credentials::Remembered;
use self::health::Healths;
pub use self::health::{TargetCondition, TargetHealth};
use self::lanes::TargetLanes;
use crate::port::Clock;
use crate::wake::Wake;

/// How long a target may take to answer one call.
pub const TARGET_DEADLINE: Duration = Duration::from_secs(60);

/// The targets of the running process. Shared by the keeper, which reads credentials from them, and the courier, which
/// delivers to them; both keep to one lane for each.
#[derive(Default)]
pub struct Targets {
    open: RwLock<BTreeMap<String, Arc<dyn Target>>>,
    /// The secret of a vault of ours that Vestal's identity at the target is proven with: vault and name.
    proofs: RwLock<BTreeMap<String, (String, String)>>,
    remembered: Mutex<BTreeMap<(String, String), Remembered>>,
    /// When credentials there end, as it was known before the start.
    recalled: Mutex<BTreeMap<(String, String), i64>>,
    pub(crate) lanes: TargetLanes,
    pub(crate) healths: Healths,
    wake: Wake,
    deadlines_wake: Wake,
}

impl Targets {
    /// These are the targets from now on. What was read from one that is gone, or that is another now, is forgotten, and so
    /// is how it was found and what held it.
    pub fn replace(&self, targets: BTreeMap<String, Arc<dyn Target>>) {
        let before = core::mem::replace(&mut *self.open.write().unwrap_or_else(PoisonError::into_inner), targets);
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            |(name, before): &(&String, &Arc<dyn Target>)| open.get(*name).is_some_and(|now| Arc::ptr_eq(before, now));
        let gone: BTreeSet<&String> = before.iter().filter(|entry| !is_same(entry)).map(|(name, _)| name).collect();
        for name in &gone {
            self.lanes.forget(name);
            self.healths.forget(name);
        }
        self.remembered().retain(|(target, _), _| !gone.contains(target));
        self.recalled().retain(|(target, _), _| !gone.contains(target));
        drop(open);
        self.knock();
    }

    /// These secrets of vaults of ours prove Vestal's identity at the targets: vault and name, by target.
    pub fn set_proofs(&self, proofs: BTreeMap<String, (String, String)>) {
        *self.proofs.write().unwrap_or_else(PoisonError::into_inner) = proofs;
        self.deadlines_changed();
    }

    pub(crate) fn proofs(&self) -> BTreeMap<String, (String, String)> {
        self.proofs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<Arc<dyn Target>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether this target, and no other, is open under the name.
    pub(crate) fn is_open(&self, name: &str, target: &dyn Target) -> bool {
        self.target(name).is_some_and(|open| core::ptr::addr_eq(Arc::as_ptr(&open), target))
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Wakes the courier: there is something to deliver, or a target may be tried again.
    pub fn knock(&self) {
        self.wake.knock();
    }

    pub(crate) async fn knocked(&self) {
        self.wake.knocked().await;
    }

    /// A credential may end at another time than before.
    pub(crate) fn deadlines_changed(&self) {
        self.deadlines_wake.knock();
    }

    pub(crate) async fn deadlines_knocked(&self) {
        self.deadlines_wake.knocked().await;
    }

    /// What the target of this name answers. One that asked to be left alone isn't called, and what asks so is remembered,
    /// whoever called it and for what.
    pub(crate) async fn call<T>(
        &self,
        clock: &impl Clock,
        name: &str,
        answer: TargetAnswer<'_, T>,
    ) -> Result<T, TargetError> {
        self.call_before(clock, name, TARGET_DEADLINE, answer).await
    }

    /// The same, with a deadline of the caller's.
    async fn call_before<T>(
        &self,
        clock: &impl Clock,
        name: &str,
        deadline: Duration,
        answer: TargetAnswer<'_, T>,
    ) -> Result<T, TargetError> {
        if self.lanes.is_throttled(name, clock.now()) {
            return Err(TargetError {
                kind: TargetErrorKind::Throttled,
                words: format!("{name} asked for fewer calls, and is left alone for a while. Nothing to do"),
                retry_after: None,
            });
        }
        let sleep = core::pin::pin!(clock.sleep(deadline));
        let answer = match select(answer, sleep).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(TargetError {
                kind: TargetErrorKind::Unreachable,
                words: format!("the target did not answer within {} s", deadline.as_secs()),
                retry_after: None,
            }),
        };
        // One that is down may say as well for how long it wants no calls.
        if let Err(TargetError { kind, retry_after, .. }) = &answer
            && (*kind == TargetErrorKind::Throttled || retry_after.is_some())
            && let Some(target) = self.target(name)
        {
            self.lanes.throttle(name, target.pace(), *retry_after, clock.now());
        }
        answer
    }

    fn recalled(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), i64>> {
        self.recalled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
