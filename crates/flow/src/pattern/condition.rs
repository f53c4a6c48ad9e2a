//! What decides whether a token is renewed.

use super::Study;
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
            if matches!(scope.kind, ScopeKind::Branch | ScopeKind::Each) {
                found.extend(scope.parent);
            }
        }
        found
    }

    /// Whether a condition is one that Vestal's own schedule does away with: how near the end is, or whether a request went
    /// well. How near, where it says so; or else by what it decides. Whatever else is compared, somebody has a reason for it.
    pub(super) fn condition(&self, id: ActionId, sender: ActionId) -> Result<Option<u64>, String> {
        let term = &self.trace.decisions[id];
        match self.flow.actions[id].kind.as_str() {
            "switch" if self.is_status(term) => Ok(None),
            "switch" => Err(self.why(term)),
            "foreach" => Err(format!("{}, once for each item in it", self.why(term))),
            _ => self.decided(term, sender),
        }
    }

    fn decided(&self, term: &Term, sender: ActionId) -> Result<Option<u64>, String> {
        let (name, parts) = comparison(term).ok_or_else(|| self.why(term))?;
        let strange = || self.why(parts.iter().find(|part| !part.is_literal()).unwrap_or(term));
        match (name.as_str(), parts) {
            ("and" | "or" | "not", parts) if !parts.is_empty() => {
                let mut threshold = None;
                for part in parts {
                    threshold = threshold.or(self.decided(part, sender)?);
                }
                Ok(threshold)
            }
            ("equals", [decided, truth]) if truth.as_bool().is_some() && comparison(decided).is_some() => {
                self.decided(decided, sender)
            }
            ("less" | "lessorequals" | "greater" | "greaterorequals", [one, other])
                if time::threshold(one, other).is_some() =>
            {
                Ok(time::threshold(one, other))
            }
            ("less" | "lessorequals" | "greater" | "greaterorequals" | "equals" | "contains" | "empty", parts)
                if parts.iter().all(|part| part.is_literal() || self.is_outcome(part, sender))
                    && parts.iter().any(|part| self.is_outcome(part, sender)) =>
            {
                Ok(None)
            }
            _ => Err(strange()),
        }
    }

    /// Whether it is how a request went.
    fn is_status(&self, term: &Term) -> bool {
        match term {
            Term::Answer(_, path) => path.last().is_some_and(|last| {
                path.len() == 1 && matches!(last.to_lowercase().as_str(), "statuscode" | "(status)")
            }),
            _ => false,
        }
    }

    /// Whether it is how a request went, or what the token endpoint answered.
    fn is_outcome(&self, term: &Term, sender: ActionId) -> bool {
        let is_answer = |path: &[String]| path.first().is_some_and(|first| first == "body");
        self.is_status(term) || matches!(term, Term::Answer(action, path) if *action == sender && is_answer(path))
    }
}

/// A comparison, in an expression or as the designer writes it: `{"equals": […]}`.
fn comparison(term: &Term) -> Option<(String, &[Term])> {
    match term {
        Term::Call(name, parts) => Some((name.clone(), parts.as_slice())),
        Term::Object(object) if object.len() == 1 => {
            let (name, written) = object.iter().next()?;
            let parts = match written {
                Term::Array(parts) => parts.as_slice(),
                one => core::slice::from_ref(one),
            };
            Some((name.to_lowercase(), parts))
        }
        _ => None,
    }
}
