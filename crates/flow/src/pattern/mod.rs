//! Which terms of a flow are the renewal of a token.
//!
//! A token is the value of a secret that the flow PUTs into a key vault, where that value is a field of the answer to a
//! request with a `grant_type`. From there, everything is looked up backwards: what the request sends, where that comes
//! from, how the PUT signs in, and which expiry it gives.

mod condition;
pub(crate) mod grant;
mod identity;
mod reading;
mod rest;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{self, Place, SecretAddress, is_secret_name};
use crate::flow::{ActionId, Flow};
use crate::report::Gap;
use crate::request::{self, Request};
use crate::term::{Term, parsed};
use crate::text::duration;
use crate::time::{self, End, Field};
use crate::trace::{Trace, trace};

/// Actions that move values, wait or decide, and leave no trace outside of the flow.
pub(crate) const PASSIVE: &[&str] = &[
    "compose",
    "parsejson",
    "initializevariable",
    "setvariable",
    "appendtostringvariable",
    "appendtoarrayvariable",
    "incrementvariable",
    "decrementvariable",
    "scope",
    "if",
    "switch",
    "until",
    "foreach",
    "wait",
    "terminate",
    "select",
    "query",
    "join",
    "table",
];

/// The fields of an answer that are a token for readers.
const TOKEN_FIELDS: &[&str] = &["access_token", "accesstoken", "token", "id_token", "jwt", "bearer_token"];

/// A flow, and what is known of each of its actions.
pub(crate) struct Study<'a> {
    pub(crate) flow: &'a Flow,
    /// What the flow is called here: its name, told apart from others of the same name.
    pub(crate) title: String,
    pub(crate) trace: Trace,
    /// The HTTP request that an action makes.
    pub(crate) requests: Vec<Option<Request>>,
    /// Where it goes.
    pub(crate) places: Vec<Option<Place>>,
    /// The secret that it reads.
    pub(crate) reads: Vec<Option<Read>>,
    pub(crate) gaps: Vec<Gap>,
    /// The words of those gaps that are a question to be answered, and no lack of understanding.
    pub(crate) questions: BTreeSet<String>,
    pub(crate) notes: Vec<String>,
    /// The actions whose work Vestal does from now on.
    pub(crate) used: BTreeSet<ActionId>,
    /// The actions in which something stands in clear text that may be a secret.
    pub(crate) suspects: BTreeSet<ActionId>,
    /// The keys of the given vaults that were needed.
    pub(crate) answered: BTreeSet<String>,
}

/// A secret that an action reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) vault: VaultPlace,
    pub(crate) secret: String,
}

/// Which key vault is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum VaultPlace {
    /// The one at this address.
    Known(String),
    /// The one that a connection leads to.
    Connection(String),
}

/// Where a credential comes from.
#[derive(Clone, PartialEq)]
pub(crate) enum Source {
    Secret(Read, ActionId),
    Literal(String),
}

/// How the flow signs in at a key vault.
#[derive(Clone, PartialEq)]
pub(crate) enum Identity {
    Managed {
        user_assigned: bool,
    },
    /// An app registration. `action` signs in, where one does.
    App {
        authority: String,
        tenant: String,
        client_id: Source,
        secret: Source,
        action: ActionId,
    },
    /// What a connection holds.
    Connection,
}

/// A token that the flow renews.
pub(crate) struct Found {
    pub(crate) put: ActionId,
    pub(crate) request: ActionId,
    pub(crate) target: SecretAddress,
    pub(crate) identity: Identity,
    /// The field of the answer that holds the token.
    pub(crate) token_field: Vec<String>,
    pub(crate) token_url: String,
    pub(crate) basic: bool,
    pub(crate) grant: String,
    pub(crate) client_id: Source,
    pub(crate) client_secret: Source,
    pub(crate) refresh_token: Option<Source>,
    pub(crate) scope: String,
    pub(crate) extra: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) end: Option<End>,
    /// How many seconds before the token's end the flow renews it, where it looks.
    pub(crate) threshold: Option<u64>,
}

impl Found {
    /// Where its credentials come from.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        [Some(&self.client_id), Some(&self.client_secret), self.refresh_token.as_ref()].into_iter().flatten()
    }
}

impl Identity {
    /// The action that signs in, where one does.
    pub(crate) fn action(&self) -> Option<ActionId> {
        match self {
            Self::App { action, .. } => Some(*action),
            _ => None,
        }
    }

    /// Whether it is the same sign-in, whichever action does it.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Source, other: &Source| match (one, other) {
            (Source::Secret(one, _), Source::Secret(other, _)) => one == other,
            _ => one == other,
        };
        match (self, other) {
            (
                Self::App { authority, tenant, client_id, secret, .. },
                Self::App {
                    authority: authority_2, tenant: tenant_2, client_id: client_id_2, secret: secret_2, ..
                },
            ) => {
                // One that says none means that of the vault's cloud, as the other most likely does.
                (authority == authority_2 || authority.is_empty() || authority_2.is_empty())
                    && tenant == tenant_2
                    && same(client_id, client_id_2)
                    && same(secret, secret_2)
            }
            _ => self == other,
        }
    }
}

impl<'a> Study<'a> {
    /// `vaults` are those of [`Options::vaults`](crate::Options::vaults).
    pub(crate) fn of(flow: &'a Flow, title: String, vaults: &BTreeMap<String, String>) -> Self {
        let trace = trace(flow);
        let count = flow.actions.len();
        let mut study = Self {
            flow,
            title,
            trace,
            requests: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            reads: Vec::with_capacity(count),
            gaps: Vec::new(),
            questions: BTreeSet::new(),
            notes: Vec::new(),
            used: BTreeSet::new(),
            suspects: BTreeSet::new(),
            answered: BTreeSet::new(),
        };
        for id in 0..count {
            let mut request = request::of_action(&flow.actions[id], &study.trace.inputs[id]);
            if let Some(request) = &mut request {
                request::take_queries(request);
            }
            let place = request
                .as_ref()
                .map(|request| address::place(&request.address, &request.queries, |term| study.why(term)));
            let read = study.read_of(id, request.as_ref(), place.as_ref(), vaults);
            study.requests.push(request);
            study.places.push(place);
            study.reads.push(read);
        }
        study
    }

    /// Tells of something that isn't understood.
    pub(crate) fn gap(&mut self, action: Option<ActionId>, words: impl Into<String>) {
        let action = action.map(|id| self.name(id).to_owned());
        let gap = Gap { flow: self.title.clone(), action, words: words.into() };
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// Tells of something that isn't in the file, and that somebody knows.
    pub(crate) fn question(&mut self, words: String) {
        self.questions.insert(words.clone());
        self.gap(None, words);
    }

    pub(crate) fn name(&self, id: ActionId) -> &str {
        &self.flow.actions[id].name
    }

    /// All tokens that the flow renews. What stands in the way of one becomes a gap.
    pub(crate) fn tokens(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut rotated = Vec::new();
        for put in 0..self.flow.actions.len() {
            let method = self.requests[put].as_ref().map(|request| request.method.clone()).unwrap_or_default();
            if method != "PUT" {
                continue;
            }
            match self.places[put].clone() {
                Some(Place::Secret(address)) => match self.token(put, address) {
                    Ok(Some(token)) => found.push(token),
                    Ok(None) => rotated.push(put),
                    Err((action, words)) => self.gap(Some(action), words),
                },
                Some(Place::Vault(what)) => {
                    self.gap(Some(put), format!("it writes {what}, and not a secret"));
                }
                Some(Place::Computed(why)) => {
                    self.gap(Some(put), format!("it writes to an address that can't be told: {why}"));
                }
                _ => {}
            }
        }
        for put in rotated {
            self.rotation(put, &found);
        }
        self.rest(&found);
        found
    }

    /// The token that is PUT here. `None` where it is a refresh token, which is looked at when all tokens are known.
    fn token(&mut self, put: ActionId, target: SecretAddress) -> Result<Option<Found>, (ActionId, String)> {
        let here = |words: String| (put, words);
        if !is_secret_name(&target.name) {
            return Err(here("it writes a secret whose name no key vault can hold".to_owned()));
        }
        let Some(request) = &self.requests[put] else { return Err(here("it sends nothing".to_owned())) };
        let mut body = parsed(request.body.clone());
        if target.by_manager {
            body = body.part(&Term::text("properties"));
        }
        let value = body.clone().part(&Term::text("value"));
        let Term::Answer(sender, path) = &value else {
            return Err(here(format!("it writes {}, and not what a token endpoint answered", self.why(&value))));
        };
        let (sender, path) = (*sender, path.clone());
        if self.reads[sender].is_some() {
            return Err(here(format!("it copies {}, which is no token", self.answer(sender, &path))));
        }
        let field: Vec<String> = path.get(1..).unwrap_or_default().to_vec();
        let last = field.last().map(|field| field.to_lowercase()).unwrap_or_default();
        let is_request = self.requests[sender].is_some();
        if !is_request || path.first().map(String::as_str) != Some("body") {
            return Err(here(format!(
                "it writes {}, and not what a token endpoint answered",
                self.answer(sender, &path)
            )));
        }
        if last == "refresh_token" {
            return Ok(None);
        }
        // Whatever stands in the way is told of the action that it is about.
        self.used.insert(sender);
        let (token_url, read) = self.read_request(sender)?;
        if !TOKEN_FIELDS.contains(&last.as_str()) {
            return Err(here(format!(
                "it writes {}, which is no token as far as Vestal knows",
                self.answer(sender, &path)
            )));
        }
        let mut token = self.understood(put, sender, target, token_url, read)?;
        token.token_field = field;
        token.identity = self.identity(put)?;
        let attributes = body.clone().part(&Term::text("attributes"));
        token.end = self.end(put, sender, &attributes).unwrap_or_else(|(action, words)| {
            // Vestal takes the end from the answer, whatever the flow did.
            self.gap(Some(action), words);
            Some(End::Unknown)
        });
        self.attributes(put, &attributes, token.end.as_ref());
        for (key, what) in [("tags", "tags"), ("contentType", "content type")] {
            if body.clone().part(&Term::text(key)) != Term::null() {
                self.notes.push(format!(
                    "the {what} that `{}` gives to `{}` are left out: Vestal gives its own",
                    self.name(put),
                    token.target.name
                ));
            }
        }
        let conditions = self.conditions(put).into_iter().chain(self.conditions(sender)).collect::<BTreeSet<_>>();
        for condition in conditions {
            match self.condition(condition, sender) {
                Ok(threshold) => token.threshold = token.threshold.or(threshold),
                Err(words) => self.gap(Some(condition), format!("whether the token is renewed depends on {words}")),
            }
        }
        self.used.extend([put, sender]);
        Ok(Some(token))
    }

    /// What the attributes say besides the expiry that Vestal writes.
    fn attributes(&mut self, put: ActionId, attributes: &Term, end: Option<&End>) {
        let part = |name: &str| attributes.clone().part(&Term::text(name));
        let enabled = part("enabled");
        if enabled != Term::null() && enabled.as_bool() != Some(true) {
            self.gap(
                Some(put),
                format!("whether the secret that it writes is enabled depends on {}", self.why(&enabled)),
            );
        }
        if matches!(attributes, Term::Object(_)) && part("nbf") != Term::null() {
            self.notes.push(format!("the `nbf` that `{}` writes is left out: a token is good at once", self.name(put)));
        }
        if let Some(End::AfterField(_, rest)) = end
            && *rest < 0.0
        {
            self.notes.push(format!(
                "`{}` writes an expiry {} before the token's end; Vestal writes the end itself",
                self.name(put),
                duration(-rest as u64)
            ));
        }
    }

    fn end(&self, put: ActionId, sender: ActionId, attributes: &Term) -> Result<Option<End>, (ActionId, String)> {
        let written = attributes.clone().part(&Term::text("exp"));
        if written == Term::null() {
            return match attributes {
                Term::Literal(_) | Term::Object(_) => Ok(None),
                _ => Err((put, format!("the attributes that it writes are {}", self.why(attributes)))),
            };
        }
        match time::end(&written) {
            Some(end @ End::After(_)) => Ok(Some(end)),
            Some(End::AfterField(field, rest)) if field.action == sender && rest > 0.0 => {
                Err((put, "the expiry that it writes is later than the token's end".to_owned()))
            }
            Some(End::AtField(Field { path, .. })) if path.last().is_some_and(|last| last == "expires_in") => {
                Err((put, "it writes the token's life as its expiry: readers see a day in 1970".to_owned()))
            }
            Some(end @ (End::AfterField(..) | End::AtField(_))) => match &end {
                End::AfterField(field, _) | End::AtField(field) if field.action == sender => Ok(Some(end)),
                _ => Err((put, "the expiry that it writes is taken from another answer than the token".to_owned())),
            },
            Some(End::Unknown) | None => {
                Err((put, format!("the expiry that it writes isn't understood: {}", self.why(&written))))
            }
        }
    }
}
