//! What a flow does besides the renewal: nothing of it is lost in silence.

use std::collections::BTreeSet;

use super::{Found, Identity, PASSIVE, Source, Study, VaultPlace};
use crate::address::Place;
use crate::flow::ActionId;
use crate::term::Term;
use crate::text::named_list;

impl Study<'_> {
    /// A refresh token that is put back where it was read.
    pub(super) fn rotation(&mut self, put: ActionId, found: &[Found]) {
        let Some(Place::Secret(target)) = &self.places[put] else { return };
        let belongs = found.iter().any(|token| match &token.refresh_token {
            Some(Source::Secret(read, _)) => {
                read.secret.eq_ignore_ascii_case(&target.name)
                    && match &read.vault {
                        VaultPlace::Known(vault) => *vault == target.vault,
                        VaultPlace::Connection(_) => true,
                    }
            }
            _ => false,
        });
        if belongs {
            self.used.insert(put);
            if let Ok(Identity::App { action, .. }) = self.identity(put) {
                self.used.insert(action);
            }
        } else {
            self.gap(Some(put), "it keeps a refresh token that no token request of this flow reads");
        }
    }

    /// What the flow does besides: nothing of it may be lost in silence.
    pub(super) fn rest(&mut self, found: &[Found]) {
        for id in 0..self.flow.actions.len() {
            let action = &self.flow.actions[id];
            if self.used.contains(&id) || PASSIVE.contains(&action.kind.as_str()) {
                continue;
            }
            if let Some(read) = &self.reads[id] {
                if !found.is_empty() && !self.decides(id) {
                    let words =
                        format!("`{}`, which reads `{}`, is left out: no token needs it", action.name, read.secret);
                    self.notes.push(words);
                }
                continue;
            }
            if action.after_failure {
                self.notes.push(format!(
                    "`{}`, which runs after a failure, is left out: `[alert]` in the configuration says whom Vestal tells",
                    action.name
                ));
                continue;
            }
            let looks_at_vault = self.is_about_vault(id) || {
                let reads = self.requests[id].as_ref().is_some_and(|request| request.method == "GET");
                reads && matches!(self.places[id], Some(Place::Secret(_) | Place::Vault(_)))
            };
            if looks_at_vault && !found.is_empty() && self.only_reads(id) {
                self.notes.push(format!("`{}`, which looks into a key vault, is left out", action.name));
                continue;
            }
            let already = self.gaps.iter().any(|gap| gap.action.as_deref() == Some(self.name(id)));
            if !already {
                let what = match &self.requests[id] {
                    Some(request) if !request.method.is_empty() => format!("an HTTP {}", request.method),
                    _ => format!("of the kind `{}`", action.kind),
                };
                self.gap(
                    Some(id),
                    format!("this action ({what}) isn't part of a token's renewal, and isn't taken over"),
                );
            }
        }
        self.starts(found);
        if found.is_empty() {
            self.gap(
                None,
                "this isn't a flow that renews a token: nothing that a token endpoint answers is put into a key vault, \
                            or not in a way that is understood",
            );
        }
    }

    /// What decides whether the flow runs, or runs to its end.
    fn starts(&mut self, found: &[Found]) {
        let Some(first) = found.first() else { return };
        if self.flow.schedule.is_none() && !self.flow.triggers.is_empty() {
            let triggers = named_list(self.flow.triggers.iter().map(String::as_str));
            self.notes
                .push(format!("it isn't started by a schedule ({triggers}); Vestal renews by the token's own life"));
        }
        if self.flow.is_conditional {
            self.gap(
                None,
                "its trigger has conditions, by which it doesn't always run; Vestal renews whenever the token needs it",
            );
        }
        if self.flow.is_off {
            self.gap(
                None,
                "it is turned off in the file: see whether its tokens are still wanted before Vestal renews them",
            );
        }
        let ends = (0..self.flow.actions.len()).filter(|id| self.flow.actions[*id].kind == "terminate");
        let ends: Vec<ActionId> = ends.filter(|id| !self.flow.actions[*id].after_failure).collect();
        let conditions: BTreeSet<ActionId> = ends.into_iter().flat_map(|id| self.conditions(id)).collect();
        for condition in conditions {
            if let Err(words) = self.condition(condition, first.request) {
                self.gap(Some(condition), format!("whether the run ends early depends on {words}"));
            }
        }
        let defaults: Vec<&str> =
            self.trace.defaults.iter().chain(&self.flow.template_defaults).map(String::as_str).collect();
        if !defaults.is_empty() {
            let list = named_list(defaults.into_iter());
            self.notes
                .push(format!("{list}: taken with the defaults in the file; where the flow runs, others may be set"));
        }
    }

    /// Whether a condition looks at what an action answers.
    fn decides(&self, id: ActionId) -> bool {
        self.trace.decisions.iter().any(|decision| {
            let mut found = false;
            decision.answers(&mut |action, _| found |= action == id);
            found
        })
    }

    /// Whether an action looks at a key vault, and changes nothing there and makes nothing with its keys.
    fn only_reads(&self, id: ActionId) -> bool {
        if self.requests[id].is_some() {
            return true;
        }
        let inputs = &self.trace.inputs[id];
        let at = |path: &[&str]| path.iter().fold(inputs.clone(), |term, key| term.part(&Term::text(*key))).as_text();
        let operation = at(&["host", "operationId"]).or_else(|| at(&["serviceProviderConfiguration", "operationId"]));
        let operation = operation.filter(|operation| !operation.is_empty()).or_else(|| at(&["method"]));
        operation.is_some_and(|operation| {
            let operation = operation.to_lowercase();
            operation.starts_with("get") || operation.starts_with("list")
        })
    }
}
