//! What the keeper asks of the world.

use core::future::Future;
use core::time::Duration;
use std::collections::BTreeSet;

use oauth::{HttpAnswer, HttpRequest};
use renewal::{Moment, Wall};
use store::TargetErrorKind;
use vault::{SecretName, VaultName};

/// The time, and waiting for it.
pub trait Clock: Send + Sync + 'static {
    /// The time now, on the wall and since boot.
    fn now(&self) -> Moment;

    /// Returns after `duration`. May be late, by a suspended machine for one.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The way to providers.
pub trait Http: Send + Sync + 'static {
    /// Sends the request and reads the answer, all before `deadline` is over.
    fn send(
        &self,
        request: HttpRequest,
        deadline: Duration,
    ) -> impl Future<Output = Result<HttpAnswer, SendFailure>> + Send;
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// Whether a byte of the request may have reached the provider. If not, nothing was spent.
    pub sent: bool,
    /// What happened and what to do, for a person; without a secret.
    pub words: String,
}

/// Who watches: alerts, metrics, a person at a terminal. Called in the keeper's loop, so it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to a token.
    fn observe(&self, event: &Event<'_>);

    /// How all tokens stand, from time to time.
    fn survey(&self, survey: &crate::Survey);

    /// Something became of a delivery.
    fn delivery(&self, event: &DeliveryEvent<'_>);

    /// For how long a target has lacked what it should hold, of the delivery that has waited longest; zero where it lacks
    /// nothing.
    fn delivery_lag(&self, target: &str, lag: Duration);

    /// A credential ends soon, or has ended; for each owner that it concerns.
    fn credential(&self, event: &CredentialEvent<'_>);

    /// When the first of all credentials ends, as far as they say, from time to time.
    fn credentials(&self, first_end: Option<Wall>);

    /// Something is wrong with the keeper's own surroundings, in words without a secret.
    fn trouble(&self, words: &str);
}

/// Something that happened to a token.
pub struct Event<'a> {
    /// The vault of its secret.
    pub vault: &'a VaultName,
    /// Its secret's name.
    pub name: &'a SecretName,
    /// Who is told when the token is in danger.
    pub owner: Option<&'a str>,
    /// The attempt that came to an end; `None` where only time has passed.
    pub attempt: Option<&'a store::Attempt>,
    /// How many milliseconds of life the readers' value has left, where an end is known.
    pub life_left: Option<i64>,
    /// The token's state after it.
    pub state: renewal::TokenState,
    /// Its generation after it.
    pub generation: u64,
    /// What its owner should hear.
    pub notices: &'a [renewal::Notice],
}

/// Something that became of a delivery.
pub struct DeliveryEvent<'a> {
    /// The vault of the token's secret.
    pub vault: &'a VaultName,
    /// The token's secret.
    pub name: &'a SecretName,
    /// Who is told when the token is in danger.
    pub owner: Option<&'a str>,
    /// The target.
    pub target: &'a str,
    /// What became of it.
    pub outcome: &'a DeliveryOutcome,
}

/// A credential that ends soon, or has ended.
pub struct CredentialEvent<'a> {
    /// Where it is: a vault of Vestal's own, or a target.
    pub vault: &'a str,
    /// Its secret, in lower case.
    pub name: &'a str,
    /// Whether it is in a target.
    pub in_target: bool,
    /// Who is told.
    pub owner: Option<&'a str>,
    /// When it ends.
    pub expires: Wall,
    /// The tokens that are obtained with it, as `vault/name`.
    pub tokens: &'a BTreeSet<String>,
    /// The targets at which Vestal's identity is proven with it.
    pub targets: &'a BTreeSet<String>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The target holds the generation.
    Delivered {
        /// Which.
        generation: u64,
        /// How long after it was obtained.
        lag: Duration,
        /// Whether that ends a failure that its owner was told of.
        recovered: bool,
    },
    /// It doesn't; it is tried again.
    Failed {
        /// The kind of failure.
        kind: TargetErrorKind,
        /// What a person reads.
        words: String,
        /// How many failures in a row.
        failures: u32,
        /// Whether the owner is to be told; once until it recovers.
        alert: bool,
    },
    /// Somebody else changed what was delivered.
    Changed {
        /// Whether it was delivered again over the change.
        repaired: bool,
    },
    /// It has waited for long, and was perhaps not even tried: its target is held. Told once until it is delivered.
    Waiting {
        /// Since when the target lacks what it should hold.
        since: Wall,
        /// Why, as far as that is known: what a person reads.
        words: String,
    },
    /// The target holds the generation, and superseded versions can't be disabled there; it is tried again.
    NotDisabled {
        /// The kind of failure.
        kind: TargetErrorKind,
        /// What a person reads.
        words: String,
        /// How many versions readers can still get.
        versions: u64,
        /// Whether the owner is to be told; once until all are disabled.
        alert: bool,
    },
}
