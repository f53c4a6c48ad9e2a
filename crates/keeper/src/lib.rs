//! Who renews tokens: the driver that carries out what [`renewal`] decides.
//!
//! [`Keeper::run`] is the loop. It asks the store which tokens are due, asks each token's lane for a permit, and drives
//! one [`renewal::Attempt`] for each: claim, credential, exchange, promote or settle. The store is the queue; the keeper
//! holds no schedule of its own that could drift from it.
//!
//! The keeper is generic over [`Clock`], [`Http`], [`store::Store`] and [`Observer`], and names no clock, socket,
//! database or runtime: all attempts are polled inside its own future, so a reader that hangs up cancels nothing, and
//! the same loop runs against a simulated world. It never prints, and it iterates only ordered maps.
//!
//! Read [`Keeper`] and [`TokenDefinition`] first.

mod attempt;
mod courier;
mod credentials;
mod deadlines;
mod declared;
mod definition;
mod exchange;
mod keeper;
mod lanes;
mod port;
mod survey;
mod targets;
mod wake;

pub use attempt::pacing_of;
pub use courier::Courier;
pub use definition::{
    CHECK_EVERY, DeliverTo, KEEP_VERSIONS, OnChange, SHADOW_SUFFIX, Source, TokenDefinition, token_definition_name,
};
pub use exchange::{NOT_THERE, same_value_as};
pub use keeper::{Keeper, LONGEST_SLEEP, MOST_LANDING, PER_LANE};
pub use port::{Clock, CredentialEvent, DeliveryEvent, DeliveryOutcome, Event, Http, Observer, SendFailure};
pub use survey::{OVERDUE, Survey};
pub use targets::{TARGET_DEADLINE, TargetCondition, TargetHealth, Targets};
