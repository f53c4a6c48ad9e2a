//! What the keeper asks of the world.

use core::future::Future;
use core::time::Duration;

use oauth::{HttpAnswer, HttpRequest};
use renewal::Moment;
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
