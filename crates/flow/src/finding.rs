//! What is unsafe in a flow.

use std::collections::BTreeMap;

use crate::address::Place;
use crate::flow::ActionId;
use crate::pattern::grant::is_secretive;
use crate::pattern::{Found, Source, Study, VaultPlace};
use crate::report::{Finding, Severity};
use crate::request::{self, Authentication};
use crate::term::{Term, parsed};
use crate::text::duration;
use crate::time::End;

/// All findings. `lives` are the lifetimes that are known of the tokens, in seconds, in their order.
pub(crate) fn findings(study: &Study<'_>, tokens: &[&Found], lives: &[Option<u64>]) -> Vec<Finding> {
    let mut found = Findings { flow: study.title.clone(), list: Vec::new() };
    let clear = in_clear(study);
    for action in &clear {
        let once = if is_taken_over(*action, tokens) { " once Vestal has it" } else { "" };
        found.add(
            Severity::High,
            "secret-in-clear",
            Some(study.name(*action)),
            format!(
                "a secret stands in it in clear text, for everybody who may see the flow or its export: change it at its \
                 provider{once}"
            ),
        );
    }
    for action in study.suspects.iter().filter(|action| !clear.contains(action)) {
        found.add(
            Severity::High,
            "may-be-a-secret",
            Some(study.name(*action)),
            "a text stands in it that may be a secret, for everybody who may see the flow or its export: if it is one, change \
             it at its provider"
                .to_owned(),
        );
    }
    if tokens.is_empty() {
        return found.list;
    }
    history(study, tokens, &clear, &mut found);
    for (token, life) in tokens.iter().zip(lives) {
        of_token(study, token, *life, &mut found);
    }
    found.list
}

fn of_token(study: &Study<'_>, token: &Found, life: Option<u64>, found: &mut Findings) {
    let name = &token.target.name;
    if let (Some(schedule), Some(life)) = (study.flow.schedule, life)
        && schedule.longest_pause >= life
    {
        found.add(
            Severity::Medium,
            "interval-longer-than-life",
            None,
            format!(
                "it runs {}, and the token in `{name}` lives {}: readers get a dead token",
                schedule.words(),
                duration(life)
            ),
        );
    }
    if token.end.is_none() {
        found.add(
            Severity::Low,
            "no-expiry",
            None,
            format!("`{name}` is written without its expiry, so that no reader can tell when the token ends"),
        );
    }
    let Source::Secret(read, _) = &token.client_secret else { return };
    if !matches!(&read.vault, VaultPlace::Known(vault) if *vault != token.target.vault) {
        found.add(
            Severity::Medium,
            "whole-vault-readable",
            None,
            format!(
                "`{}` is in the same key vault as the token, as far as the flow shows: under an access policy, who may read the \
                 token may read the client secret too",
                read.secret
            ),
        );
    }
}

/// Whether what stands in clear text in an action is what Vestal takes over.
fn is_taken_over(action: ActionId, tokens: &[&Found]) -> bool {
    tokens.iter().any(|token| {
        let is_literal = |source: &Source| matches!(source, Source::Literal(_));
        let by_request = token.request == action && token.sources().skip(1).any(is_literal);
        let by_sign_in = token.identity.action() == Some(action);
        by_request || by_sign_in
    })
}

struct Findings {
    flow: String,
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, severity: Severity, code: &'static str, action: Option<&str>, words: String) {
        let finding = Finding { severity, code, flow: self.flow.clone(), action: action.map(str::to_owned), words };
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }
}

/// The actions that send a secret which stands in the flow.
fn in_clear(study: &Study<'_>) -> Vec<ActionId> {
    let is_clear = |term: &Term| term.as_text().is_some_and(|text| !text.is_empty());
    let sends = |id: &ActionId| {
        let Some(request) = &study.requests[*id] else { return false };
        let by_platform = match &request.authentication {
            Authentication::Basic { password, .. } => is_clear(password),
            Authentication::App { secret, .. } => is_clear(secret),
            _ => false,
        };
        let by_header = request.headers.iter().any(|(name, value)| is_secretive(name) && is_clear(value));
        let read = request::token_request(request).ok();
        let by_form = read.is_some_and(|read| {
            // What is no token request sends all sorts of things.
            let asks = read.parameters.contains_key("grant_type");
            let named = ["client_secret", "password", "refresh_token"];
            let is_secret = |name: &str| if asks { is_secretive(name) } else { named.contains(&name) };
            read.parameters.iter().any(|(name, value)| is_secret(name) && is_clear(value))
                || read.queries.iter().any(|(name, value)| is_secretive(name) && is_clear(value))
                || read.basic.is_some_and(|(_, password)| is_clear(&password))
        });
        let by_value = request.method == "PUT" && matches!(study.places[*id], Some(Place::Secret(_))) && {
            let body = parsed(request.body.clone());
            let inner = body.clone().part(&Term::text("properties"));
            [body, inner].into_iter().any(|body| is_clear(&body.part(&Term::text("value"))))
        };
        by_platform || by_header || by_form || by_value
    };
    (0..study.flow.actions.len()).filter(sends).collect()
}

/// What the run history shows.
fn history(study: &Study<'_>, tokens: &[&Found], clear: &[ActionId], found: &mut Findings) {
    // What comes out of these is secret, but for the parts that are named.
    let mut sources: BTreeMap<ActionId, ()> = BTreeMap::new();
    for id in 0..study.flow.actions.len() {
        if study.reads[id].is_some() {
            sources.insert(id, ());
        }
    }
    for id in &study.used {
        if study.requests[*id].as_ref().is_some_and(|request| request.method == "POST") {
            sources.insert(*id, ());
        }
    }
    sources.extend(tokens.iter().map(|token| (token.request, ())));
    let hidden = |id: &ActionId| study.flow.actions[*id].secure_outputs;
    for id in sources.keys().filter(|id| !hidden(id)) {
        found.add(
            Severity::Medium,
            "secure-outputs-off",
            Some(study.name(*id)),
            "secure outputs are off: the run history shows the secret that it gets".to_owned(),
        );
    }
    for (id, action) in study.flow.actions.iter().enumerate().filter(|(_, action)| !action.secure_inputs) {
        let mut open = clear.contains(&id);
        study.trace.inputs[id].answers(&mut |source, path| {
            open |= sources.contains_key(&source) && !hidden(&source) && is_secret_part(path);
        });
        if open {
            found.add(
                Severity::Medium,
                "secure-inputs-off",
                Some(&action.name),
                "secure inputs are off: the run history shows the secret that it is given".to_owned(),
            );
        }
    }
}

/// Whether this part of an answer is secret, or holds what is.
fn is_secret_part(path: &[String]) -> bool {
    match path {
        [] => true,
        [first] => first == "body",
        [first, .., last] => {
            let last = last.to_lowercase();
            first == "body"
                && !matches!(last.as_str(), "expires_in" | "expires_on" | "token_type" | "scope" | "exp" | "id")
        }
    }
}

/// The token's lifetime in seconds, where the flow has it typed in.
pub(crate) fn typed_life(token: &Found) -> Option<u64> {
    match &token.end {
        Some(End::After(seconds)) if *seconds > 0.0 => Some(*seconds as u64),
        _ => None,
    }
}
