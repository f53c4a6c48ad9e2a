//! What decides whether a token is renewed.

use super::Study;
use crate::address::Place;
use crate::flow::{ActionId, ScopeKind};
use crate::term::Term;
use crate::time;

impl Study<'_> {
    /// The actions that decide whether this one runs.
    pub(super) fn conditions(&self, id: ActionId) -> Vec<ActionId> {
        let mut found = Vec::new();
        let mut next = Some(id);
        while let Some(action) = next {
            let scope = &self.flow.scopes[self.flow.actions[action].scope];
            next = scope.parent;
            if scope.kind == ScopeKind::Branch {
                found.extend(scope.parent);
            }
        }
        found
    }

    /// Whether a condition is one that Vestal's own schedule does away with: how near the end is, or whether a request went
    /// well. How near, where it says so; or else by what it decides.
    pub(super) fn condition(&self, id: ActionId, sender: ActionId) -> Result<Option<u64>, String> {
        let term = &self.trace.decisions[id];
        let mut strange = None;
        term.any(&mut |part| {
            let is_strange = match part {
                Term::Unknown(_) | Term::Trigger | Term::Item | Term::Parameter(_) => true,
                Term::Answer(action, _) | Term::Action(action) => {
                    let vault = matches!(self.places[*action], Some(Place::Secret(_)));
                    let about_vault = self.is_about_vault(*action);
                    !(vault || about_vault || *action == sender || self.used.contains(action))
                }
                Term::Call(name, _) => {
                    matches!(name.as_str(), "rand" | "guid" | "dayofweek" | "dayofmonth" | "workflow")
                }
                _ => false,
            };
            if is_strange {
                strange = Some(self.why(part));
            }
            is_strange
        });
        if let Some(words) = strange {
            return Err(words);
        }
        let mut threshold = None;
        term.any(&mut |part| {
            let pair = match part {
                Term::Call(name, pair) if name.starts_with("less") || name.starts_with("greater") => pair.as_slice(),
                Term::Object(object) => match object.iter().next() {
                    Some((name, Term::Array(pair))) if name.starts_with("less") || name.starts_with("greater") => {
                        pair.as_slice()
                    }
                    _ => &[],
                },
                _ => &[],
            };
            if let [one, other] = pair {
                threshold = time::threshold(one, other);
            }
            threshold.is_some()
        });
        Ok(threshold)
    }
}
