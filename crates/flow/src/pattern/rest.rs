//! What a flow does besides the renewal: nothing of it is lost in silence.

use super::{Found, Identity, PASSIVE, Source, Study, VaultPlace};
use crate::address::Place;
use crate::flow::ActionId;

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
            if self.used.contains(&id) || PASSIVE.contains(&action.kind.as_str()) || self.reads[id].is_some() {
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
            if looks_at_vault && !found.is_empty() {
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
        if !found.is_empty() && self.flow.interval.is_none() && !self.flow.triggers.is_empty() {
            let triggers = self.flow.triggers.join(", ");
            self.notes
                .push(format!("it isn't started by a schedule ({triggers}); Vestal renews by the token's own life"));
        }
        if found.is_empty() {
            self.gap(
                None,
                "this isn't a flow that renews a token: nothing that a token endpoint answers is put into a key vault, \
                            or not in a way that is understood",
            );
        }
    }
}
