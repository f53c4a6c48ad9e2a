//! How many actions a flow spends. Each action that runs counts, those that only move values or decide too; what is skipped
//! doesn't, and neither does what runs after a failure.

use crate::flow::{Flow, ScopeKind};
use crate::report::Spending;

/// What a flow spends; `ends` says whether it can be turned off.
pub(crate) fn spending(flow: &Flow, name: &str, ends: bool) -> Spending {
    let actions_per_run = actions_per_run(flow);
    let actions_per_day = flow.schedule.map(|schedule| actions_per_run as f64 * schedule.runs_per_day);
    Spending {
        flow: name.to_owned(),
        actions_per_run,
        actions_per_day,
        saved_per_day: actions_per_day.map(|day| if ends { day } else { 0.0 }),
    }
}

/// The actions of a run in which all goes well. Of branches, of which one alone runs, the longest counts; a loop counts as
/// if it went once.
fn actions_per_run(flow: &Flow) -> usize {
    let mut counts = vec![0; flow.scopes.len()];
    let mut branches = vec![0; flow.actions.len()];
    // A sequence comes after the one that its parent is in.
    for (id, scope) in flow.scopes.iter().enumerate().rev() {
        let runs = scope.actions.iter().filter(|action| !flow.actions[**action].after_failure);
        counts[id] = runs.map(|action| 1 + branches[*action]).sum();
        if let Some(parent) = scope.parent {
            branches[parent] = match scope.kind {
                ScopeKind::Branch => counts[id].max(branches[parent]),
                _ => counts[id] + branches[parent],
            };
        }
    }
    counts.first().copied().unwrap_or_default()
}
