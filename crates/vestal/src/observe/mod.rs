//! Signs of life: what monitoring, logs and a person at a terminal learn of a running Vestal.
//!
//! [`Watcher`] stands in the keeper's loop. It counts what happens in [`Metrics`], writes it to the log, hands what an
//! owner should hear to [`Alerts`](crate::alert::Alerts), and lets others listen as [`TokenEvent`]s. [`Signs`] answers
//! `/healthz`, `/readyz` and `/metrics`; what it must be told for that is [`Vitals`].
//!
//! No value of a secret ever gets here. Metrics don't even carry the names of tokens, so that the number of time series
//! stays small however many tokens there are.

pub mod logging;
mod metric;
mod metrics;
mod pulse;
mod readiness;
mod signs;
mod trouble;
mod watcher;
mod words;

pub use metric::{AttemptLabel, Declaration, Kind, Label, Metric, Values, reference_page};
pub use metrics::{AlertFate, Live, Metrics, Way};
pub use pulse::LONGEST_SILENCE;
pub use readiness::{Readiness, Reason};
pub use signs::{Signs, Vitals};
pub use watcher::{TokenEvent, Watcher};
pub(crate) use words::{date, life};
