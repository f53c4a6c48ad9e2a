//! How many actions a flow spends. Each action that runs counts, those that only move values or decide too; what is skipped
//! doesn't, and neither does what runs after a failure.

use crate::flow::Flow;
use crate::report::Spending;

const DAY: f64 = 86_400.0;

/// What a flow spends; `ends` says whether it can be turned off.
pub(crate) fn spending(flow: &Flow, ends: bool) -> Spending {
    let actions_per_run = flow.actions.iter().filter(|action| !action.after_failure).count();
    let actions_per_day = flow.interval.map(|interval| actions_per_run as f64 * DAY / interval as f64);
    Spending {
        flow: flow.name.clone(),
        actions_per_run,
        actions_per_day,
        saved_per_day: actions_per_day.map(|day| if ends { day } else { 0.0 }),
    }
}
