//! When to renew a token, and in which order things become durable.
//!
//! This crate decides; it does nothing. It performs no I/O, reads no clock, draws no randomness but from the seed it is
//! given, and never sees a secret byte.
//!
//! # The contract
//!
//! - **Everything that varies is an argument.** `now` is a [`Moment`], read by the caller from both clocks at once;
//!   randomness is a [`Random`] or a seed; outcomes are [`Input`]s. The same seed and the same inputs give the same
//!   actions, on every machine.
//! - **One input, then its actions.** [`Attempt::handle`] takes one input and returns what is to be done, in order. The
//!   caller carries out all of it before the next input; at most one of the actions has an answer, and that answer is the
//!   next input. An input that answers nothing is refused ([`OutOfTurn`]) and changes nothing.
//! - **Nothing is in effect before it is durable.** The standing inside [`Action::Promote`] or [`Action::Settle`] is the
//!   token's standing once the store has it, and no sooner. The machine keeps no other.
//! - **No clock is trusted to go forward.** A [`Lane`] takes a `now` from before its last one as no time passed; everything
//!   else compares `now` with what it remembers, by the more pessimistic clock ([`remaining`]).
//! - **No input panics**, however large a number or odd an order. Lengths saturate; a lifetime is cut to
//!   [`schedule::LONGEST_LIFE`].
//!
//! Read [`Standing`] (what is remembered of a token) and [`Attempt`] (one attempt to renew it) first; [`Lane`] says what
//! may go out at all, [`schedule`] has the formulas.
//!
//! # A renewal, as the keeper drives it
//!
//! ```
//! use renewal::*;
//! # use std::time::Duration;
//! # let now = Moment { wall: Wall(1_800_000_000_000), boot: Boot { id: 1, ms: 60_000 } };
//! # let later = Moment { wall: now.wall.plus(Duration::from_secs(1)), boot: Boot { id: 1, ms: 61_000 } };
//! let mut lane = Lane::new(LaneLimits::default(), now);
//! let standing = Standing::new(now);
//! assert_eq!(standing.state(now), TokenState::Due);
//!
//! // A permit comes before a claim.
//! let permit = lane.permit(later, Need::Due).expect("nothing holds the lane");
//! let mut attempt = Attempt::new(standing, Terms::default(), 42);
//! attempt.handle(later, Input::Begin)?; // Claim
//! attempt.handle(later, Input::Claimed { fence: 1, attempt: 1 })?; // OpenCredential
//! attempt.handle(later, Input::Credential(Credential::Ready))?; // Exchange
//! let answer = Answer { lifetime: Lifetime::Known(Duration::from_secs(3600)), refresh_in: None, same_value: false };
//! let actions = attempt.handle(later, Input::Exchanged(Outcome::Success(answer)))?;
//! let [Action::Return(verdict), Action::Promote { standing, .. }] = &actions[..] else { panic!("{actions:?}") };
//! lane.returned(permit, later, *verdict);
//! assert_eq!((standing.generation, standing.state(later)), (1, TokenState::Fresh));
//! attempt.handle(later, Input::Promoted)?; // Finish
//! assert!(attempt.is_over());
//! # Ok::<(), OutOfTurn>(())
//! ```

mod action;
mod attempt;
mod input;
mod lane;
mod notice;
mod outcome;
mod permit;
mod random;
pub mod schedule;
mod standing;
mod state;
mod time;

pub use action::{Action, AttemptRecord, AttemptResult, End, Report};
pub use attempt::{Attempt, LONGEST_STORE_WAIT};
pub use input::{Credential, Input, OutOfTurn};
pub use lane::{BreakerRecord, Lane, LaneLimits, LaneRecord};
pub use notice::Notice;
pub use outcome::{Answer, Failure, FailureClass, Outcome, Reach};
pub use permit::{Change, Closed, ClosedBy, Gate, Need, Permit, Verdict};
pub use random::Random;
pub use schedule::{Lifetime, Margins, Pacing, PromiseTooLong, check_promise, largest_promise};
pub use standing::{LastFailure, Standing, Terms, Told};
pub use state::{PauseReason, TokenState, WireState};
pub use time::{Boot, Expiry, JUMP_TOLERANCE, Jump, Moment, Remaining, Wall, jump, remaining};
