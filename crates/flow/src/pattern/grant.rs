//! What a token request says, and where each part of it comes from.

use std::collections::BTreeMap;

use url::Url;

use super::{Found, Identity, Source, Study};
use crate::address::{Place, SecretAddress};
use crate::flow::ActionId;
use crate::request::{self, TokenRequest};
use crate::term::Term;

impl Study<'_> {
    /// The request as one to a token endpoint, and the endpoint.
    pub(super) fn read_request(&self, sender: ActionId) -> Result<(String, TokenRequest), (ActionId, String)> {
        let here = |words: String| (sender, words);
        let Some(request) = &self.requests[sender] else { return Err(here("it is no request".to_owned())) };
        let url = match &self.places[sender] {
            Some(Place::Elsewhere(url)) => url.clone(),
            Some(Place::Computed(why)) => return Err(here(format!("the token endpoint can't be told: {why}"))),
            _ => return Err(here("it asks a key vault, and no token endpoint".to_owned())),
        };
        if request.method != "POST" {
            return Err(here("it doesn't POST, as token endpoints want it (RFC 6749, section 3.2)".to_owned()));
        }
        let fits = Url::parse(&url).is_ok_and(|url| url.scheme() == "https" && url.username().is_empty());
        if !fits {
            return Err(here(
                "its address isn't https, which token endpoints must be (RFC 6749, section 3.2)".to_owned(),
            ));
        }
        request::token_request(request)
            .map(|read| (url, read))
            .map_err(|words| here(format!("{words}: that isn't understood, or Vestal can't send it")))
    }

    /// The token request, with where everything in it comes from.
    pub(super) fn understood(
        &mut self,
        put: ActionId,
        sender: ActionId,
        target: SecretAddress,
        token_url: String,
        read: TokenRequest,
    ) -> Result<Found, (ActionId, String)> {
        let here = |words: String| (sender, words);
        let TokenRequest { mut parameters, basic, json, headers } = read;
        let grant = parameters.remove("grant_type").and_then(|grant| grant.as_text()).unwrap_or_default();
        if !matches!(grant.as_str(), "client_credentials" | "refresh_token") {
            let grant: String =
                grant.chars().filter(|letter| letter.is_alphanumeric() || "_-:.".contains(*letter)).collect();
            return Err(here(if grant.is_empty() {
                "it sends no `grant_type`, so that it isn't clear how a token is got there".to_owned()
            } else {
                format!("it uses the grant `{grant}`, by which Vestal doesn't renew")
            }));
        }
        let is_basic = basic.is_some();
        let (id, secret) = match basic {
            Some(pair) => {
                parameters.remove("client_id");
                pair
            }
            None => {
                let mut take = |name: &str| {
                    parameters
                        .remove(name)
                        .ok_or_else(|| here(format!("it sends no `{name}`, which Vestal can't do without")))
                };
                (take("client_id")?, take("client_secret")?)
            }
        };
        let client_id = self.source(&id).map_err(|words| here(format!("its client id is {words}")))?;
        let client_secret = self.source(&secret).map_err(|words| here(format!("its client secret is {words}")))?;
        let refresh_token = match parameters.remove("refresh_token") {
            Some(term) => Some(self.source(&term).map_err(|words| here(format!("its refresh token is {words}")))?),
            None if grant == "refresh_token" => {
                return Err(here("it sends no `refresh_token`, though that is its grant".to_owned()));
            }
            None => None,
        };
        let scope = match parameters.remove("scope") {
            None => String::new(),
            Some(term) => term.as_text().ok_or_else(|| here(format!("its scope is {}", self.why(&term))))?,
        };
        let mut extra = BTreeMap::new();
        for (name, term) in parameters {
            match term.as_text() {
                Some(_) if is_secretive(&name) => {
                    return Err(here(format!(
                        "its parameter `{name}` looks like a secret, which Vestal keeps in no configuration"
                    )));
                }
                Some(text) => drop(extra.insert(name, text)),
                None => return Err(here(format!("its parameter `{name}` is {}", self.why(&term)))),
            }
        }
        let mut kept = BTreeMap::new();
        for (name, term) in headers {
            match term.as_text() {
                Some(text) if !is_secretive(&name) => drop(kept.insert(name, text)),
                _ => {
                    return Err(here(format!(
                        "its header `{name}` isn't known, or looks like a secret: Vestal can't send it"
                    )));
                }
            }
        }
        if json {
            self.notes.push(format!(
                "`{}` sends JSON; Vestal sends a form, as RFC 6749 wants it: see that the API takes it",
                self.name(sender)
            ));
        }
        for source in [Some(&client_id), Some(&client_secret), refresh_token.as_ref()].into_iter().flatten() {
            if let Source::Secret(_, action) = source {
                let action = *action;
                self.use_read(action);
            }
        }
        Ok(Found {
            put,
            request: sender,
            target,
            identity: Identity::Connection,
            token_field: Vec::new(),
            token_url,
            basic: is_basic,
            grant,
            client_id,
            client_secret,
            refresh_token,
            scope: scope.split_whitespace().collect::<Vec<_>>().join(" "),
            extra,
            headers: kept,
            end: None,
            threshold: None,
        })
    }

    /// Where a credential comes from; what it is else.
    pub(crate) fn source(&self, term: &Term) -> Result<Source, String> {
        match term {
            Term::Answer(id, path) if path == &["body", "value"] => match &self.reads[*id] {
                Some(read) => Ok(Source::Secret(read.clone(), *id)),
                None => Err(self.why(term)),
            },
            _ => match term.as_text() {
                Some(text) if !text.is_empty() => Ok(Source::Literal(text)),
                _ => Err(self.why(term)),
            },
        }
    }
}

/// Whether the name of a parameter or header says that its value is a secret.
fn is_secretive(name: &str) -> bool {
    let name = name.to_lowercase();
    ["secret", "password", "assertion", "apikey", "api_key", "api-key", "_key", "-key", "signature", "authorization"]
        .iter()
        .any(|part| name.contains(part))
        || name == "key"
        || name == "code"
        || name == "sig"
}
