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
        let parsed = Url::parse(&url).ok().filter(|url| url.scheme() == "https");
        let Some(parsed) = parsed else {
            return Err(here(
                "its address isn't https, which token endpoints must be (RFC 6749, section 3.2)".to_owned(),
            ));
        };
        if parsed.fragment().is_some() {
            return Err(here(
                "its address has a `#`, which token endpoints must not have (RFC 6749, section 3.2)".to_owned(),
            ));
        }
        if has_secret_in_path(&parsed) {
            return Err(here(
                "a part of its address may be a secret, which Vestal keeps in no configuration: if it is none, write \
                 `[provider.NAME]` by hand, as docs/configuration.md has it"
                    .to_owned(),
            ));
        }
        if request.headers.get("host").is_some_and(|host| host.as_text().as_deref() != parsed.host_str()) {
            return Err(here("its header `host` says another host than its address, which Vestal can't".to_owned()));
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
        let TokenRequest { mut parameters, queries, basic, json, headers } = read;
        let grant = parameters.remove("grant_type").and_then(|grant| grant.as_text()).unwrap_or_default();
        if !matches!(grant.as_str(), "client_credentials" | "refresh_token") {
            let grant: String =
                grant.chars().filter(|letter| letter.is_alphanumeric() || "_-:.".contains(*letter)).collect();
            let grant: String = grant.chars().take(60).collect();
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
        let (extra, token_url) = (self.extra(sender, parameters)?, self.with_queries(sender, &token_url, queries)?);
        let headers = self.headers(sender, headers)?;
        if json {
            let words = "it sends JSON, and Vestal sends a form, as RFC 6749 (section 4.4.2) wants it: see whether the API \
                         takes one. An API that takes JSON alone is none for this version";
            self.gap(Some(sender), words);
        }
        if refresh_token.is_some() && grant == "client_credentials" {
            self.gap(Some(sender), "it sends a refresh token beside client credentials, which Vestal doesn't");
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
            headers,
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

    /// Further parameters of the form. What may be a secret is left out, and told.
    fn extra(
        &mut self,
        sender: ActionId,
        parameters: BTreeMap<String, Term>,
    ) -> Result<BTreeMap<String, String>, (ActionId, String)> {
        let mut extra = BTreeMap::new();
        for (name, term) in parameters {
            if let Some(text) = self.plain(sender, "parameter", &name, &term, PLAIN_PARAMETERS)? {
                extra.insert(name, text);
            }
        }
        Ok(extra)
    }

    /// The token endpoint with what stands behind its question mark.
    fn with_queries(
        &mut self,
        sender: ActionId,
        token_url: &str,
        queries: BTreeMap<String, Term>,
    ) -> Result<String, (ActionId, String)> {
        let mut kept = Vec::new();
        for (name, term) in queries {
            if let Some(text) = self.plain(sender, "query", &name, &term, PLAIN_PARAMETERS)? {
                kept.push((name, text));
            }
        }
        let Ok(mut url) = Url::parse(token_url) else { return Ok(token_url.to_owned()) };
        if kept.is_empty() {
            return Ok(token_url.to_owned());
        }
        url.query_pairs_mut().extend_pairs(kept);
        Ok(url.into())
    }

    /// Headers besides those that say how the request is written.
    fn headers(
        &mut self,
        sender: ActionId,
        headers: BTreeMap<String, Term>,
    ) -> Result<BTreeMap<String, String>, (ActionId, String)> {
        let mut kept = BTreeMap::new();
        for (name, term) in headers {
            // As Vestal sends it anyway.
            if name == "accept" && matches!(term.as_text().as_deref(), Some("application/json" | "*/*")) {
                continue;
            }
            let Some(text) = self.plain(sender, "header", &name, &term, PLAIN_HEADERS)? else { continue };
            if text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
                kept.insert(name, text);
            } else {
                self.gap(
                    Some(sender),
                    format!("its header `{name}` has characters that no header can carry: it is left out"),
                );
            }
        }
        Ok(kept)
    }

    /// The text of a parameter or header that may stand in a configuration. None where it is left out, since it may be a
    /// secret: only what is known to be none is taken over.
    fn plain(
        &mut self,
        sender: ActionId,
        what: &str,
        name: &str,
        term: &Term,
        known: &[&str],
    ) -> Result<Option<String>, (ActionId, String)> {
        let shown = shown(name);
        let Some(text) = term.as_text() else {
            return Err((sender, format!("its {what} `{shown}` is {}, which Vestal can't send", self.why(term))));
        };
        if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(Some(text));
        }
        if is_secretive(name) {
            return Err((
                sender,
                format!("its {what} `{shown}` looks like a secret, which Vestal keeps in no configuration"),
            ));
        }
        self.suspects.insert(sender);
        let place = match what {
            "header" => "`headers` of the provider",
            "query" => "`token_url` of the provider",
            _ => "`extra` of the token",
        };
        self.gap(
            Some(sender),
            format!(
                "the text of its {what} `{shown}` may be a secret, and is left out of the result. If it is none, put it into \
                 {place}; if it is one, this version of Vestal can't send it"
            ),
        );
        Ok(None)
    }
}

/// Parameters that say what is asked for, and are no secret.
const PLAIN_PARAMETERS: &[&str] = &[
    "audience",
    "resource",
    "tenant",
    "tenant_id",
    "tenantid",
    "realm",
    "organization",
    "organization_id",
    "org_id",
    "account_id",
    "api-version",
    "api_version",
    "version",
    "response_type",
    "requested_token_type",
    "token_type",
    "token_format",
    "format",
    "access_type",
    "expires_in",
    "locale",
];

/// Headers that say how one speaks, and are no secret.
const PLAIN_HEADERS: &[&str] = &[
    "user-agent",
    "accept",
    "accept-language",
    "accept-charset",
    "cache-control",
    "pragma",
    "api-version",
    "x-api-version",
    "x-ms-version",
    "x-requested-with",
];

/// Whether the name of a parameter or header says that its value is a secret.
pub(crate) fn is_secretive(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    [
        "secret",
        "password",
        "passwd",
        "passphrase",
        "assertion",
        "apikey",
        "_key",
        "signature",
        "authorization",
        "cookie",
    ]
    .iter()
    .any(|part| name.contains(part))
        || matches!(name.as_str(), "key" | "code" | "sig" | "pwd" | "pin" | "refresh_token" | "access_token")
}

/// Whether a part of the address's path may be a secret, as those of webhooks are: long, with letters and digits, and neither
/// a GUID nor a domain.
fn has_secret_in_path(url: &Url) -> bool {
    const LONG: usize = 16;
    url.path_segments().into_iter().flatten().any(|segment| {
        let has = |test: fn(&u8) -> bool| segment.as_bytes().iter().any(test);
        let is_guid = segment.len() == 36 && segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        segment.len() >= LONG
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && !is_guid
            && !segment.contains('.')
            // How Okta names an authorization server.
            && !segment.starts_with("aus")
    })
}

/// A name as it may be shown: what isn't written like one may be something else.
fn shown(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.$".contains(letter) { letter } else { '?' })
        .take(40)
        .collect()
}
