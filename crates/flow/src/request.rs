//! Requests: what an action sends where, and what of a token request stands in it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::address::decoded;
use crate::flow::Action;
use crate::term::{Term, marked, parsed, unmarked};

/// An HTTP request of an action.
pub(crate) struct Request {
    /// In upper case.
    pub(crate) method: String,
    pub(crate) address: Term,
    pub(crate) queries: Term,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, Term>,
    pub(crate) body: Term,
    /// What the platform does to sign in.
    pub(crate) authentication: Authentication,
}

/// How the platform itself signs in for an action.
#[derive(Clone, PartialEq)]
pub(crate) enum Authentication {
    /// It doesn't: what there is stands in the headers.
    None,
    Basic {
        username: Term,
        password: Term,
    },
    ManagedIdentity {
        user_assigned: bool,
    },
    /// An app registration.
    App {
        authority: Term,
        tenant: Term,
        client_id: Term,
        secret: Term,
    },
    /// By what a connection holds.
    Connection,
    /// In another way; which.
    Other(String),
}

/// The HTTP request that an action makes, if it makes one.
pub(crate) fn of_action(action: &Action, inputs: &Term) -> Option<Request> {
    let part = |name: &str| inputs.clone().part(&Term::text(name));
    match action.kind.as_str() {
        "http" => Some(Request {
            method: part("method").as_text().unwrap_or_default().to_ascii_uppercase(),
            address: part("uri"),
            queries: part("queries"),
            headers: headers(&part("headers")),
            body: part("body"),
            authentication: authentication(&part("authentication")),
        }),
        // "HTTP with Microsoft Entra ID": the connection signs in.
        "openapiconnection" | "apiconnection" => {
            let host = part("host");
            let operation = host.part(&Term::text("operationId")).as_text().unwrap_or_default();
            if !operation.eq_ignore_ascii_case("InvokeHttp") {
                return None;
            }
            let parameters = part("parameters");
            let parameter = |name: &str| parameters.clone().part(&Term::text(format!("request/{name}")));
            Some(Request {
                method: parameter("method").as_text().unwrap_or_default().to_ascii_uppercase(),
                address: parameter("url"),
                queries: Term::null(),
                headers: headers(&parameter("headers")),
                body: parameter("body"),
                authentication: Authentication::Connection,
            })
        }
        _ => None,
    }
}

fn headers(term: &Term) -> BTreeMap<String, Term> {
    match term {
        Term::Object(object) => object.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect(),
        _ => BTreeMap::new(),
    }
}

fn authentication(term: &Term) -> Authentication {
    let Term::Object(_) = term else {
        // `@parameters('$authentication')` is the platform's own.
        return match term {
            Term::Literal(Value::Null) | Term::Parameter(_) => Authentication::None,
            _ => Authentication::Other("a sign-in that is computed".to_owned()),
        };
    };
    let part = |name: &str| term.clone().part(&Term::text(name));
    let kind = part("type").as_text().unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "" | "none" => Authentication::None,
        "basic" => Authentication::Basic { username: part("username"), password: part("password") },
        "managedserviceidentity" => Authentication::ManagedIdentity { user_assigned: part("identity") != Term::null() },
        "activedirectoryoauth" if part("secret") != Term::null() => Authentication::App {
            authority: part("authority"),
            tenant: part("tenant"),
            client_id: part("clientId"),
            secret: part("secret"),
        },
        _ => Authentication::Other(kind.chars().filter(char::is_ascii_alphanumeric).take(40).collect()),
    }
}

/// What a token request says.
pub(crate) struct TokenRequest {
    pub(crate) parameters: BTreeMap<String, Term>,
    /// What stands behind the `?` of its address, but for parameters of OAuth.
    pub(crate) queries: BTreeMap<String, Term>,
    /// Client id and client secret by HTTP's Basic authentication.
    pub(crate) basic: Option<(Term, Term)>,
    /// Whether the parameters are sent as JSON.
    pub(crate) json: bool,
    /// Headers besides those that say how it is written.
    pub(crate) headers: BTreeMap<String, Term>,
}

/// The parameters that a token request has in its body, though some send them in the address.
const OAUTH_PARAMETERS: [&str; 5] = ["grant_type", "client_id", "client_secret", "scope", "refresh_token"];

/// Reads a request as a token request, which it need not be.
///
/// # Errors
/// What of it isn't understood.
pub(crate) fn token_request(request: &Request) -> Result<TokenRequest, String> {
    let (mut parameters, json) = parameters(&request.body)?;
    let mut queries = BTreeMap::new();
    if let Term::Object(written) = &request.queries {
        for (name, value) in written {
            if !OAUTH_PARAMETERS.contains(&name.as_str()) {
                queries.insert(name.clone(), value.clone());
            } else if parameters.insert(name.clone(), value.clone()).is_some_and(|other| other != *value) {
                return Err(format!("the parameter `{name}`, which is there twice"));
            }
        }
    }
    let mut headers = request.headers.clone();
    let authorization = headers.remove("authorization");
    let basic = match (&request.authentication, authorization) {
        (Authentication::Basic { username, password }, None) => Some((username.clone(), password.clone())),
        (Authentication::None, Some(header)) => Some(basic_header(&header)?),
        (Authentication::None, None) => None,
        (Authentication::Other(kind), _) => return Err(format!("the sign-in `{kind}` of the request")),
        _ => return Err("a sign-in of the request that no token endpoint takes".to_owned()),
    };
    headers.retain(|name, _| !matches!(name.as_str(), "content-type" | "content-length" | "host"));
    Ok(TokenRequest { parameters, queries, basic, json, headers })
}

/// `Basic …`, encoded by the flow itself or by hand.
fn basic_header(header: &Term) -> Result<(Term, Term), String> {
    let words = || "its `Authorization` header".to_owned();
    let split = |decoded: Term| {
        let (text, values) = marked(&decoded)?;
        let (user, password) = text.split_once(':')?;
        Some((unmarked(user, &values), unmarked(password, &values)))
    };
    if let Some(text) = header.as_text() {
        let (scheme, encoded) = text.trim().split_once(' ').ok_or_else(words)?;
        let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let found = decoded.filter(|_| scheme.eq_ignore_ascii_case("basic")).map(Term::text).and_then(split);
        return found.ok_or_else(words);
    }
    let Term::Text(parts) = header else { return Err(words()) };
    match parts.as_slice() {
        [scheme, Term::Call(name, inner)] if name == "base64" && inner.len() == 1 => {
            let is_basic = scheme.as_text().is_some_and(|text| text.trim().eq_ignore_ascii_case("basic"));
            is_basic.then(|| split(inner[0].clone())).flatten().ok_or_else(words)
        }
        _ => Err(words()),
    }
}

/// The parameters of a body, and whether they are sent as JSON.
fn parameters(body: &Term) -> Result<(BTreeMap<String, Term>, bool), String> {
    match body {
        Term::Literal(Value::Null) => Ok((BTreeMap::new(), false)),
        Term::Object(object) => match (object.get("$formdata"), object.get("$multipart"), object.get("$content")) {
            (Some(Term::Array(pairs)), ..) => Ok((pairs.iter().filter_map(pair).collect(), false)),
            (_, Some(Term::Array(parts)), _) => Ok((parts.iter().filter_map(form_part).collect(), false)),
            (_, _, Some(_)) => Err("a body that is encoded".to_owned()),
            _ => Ok((object.clone(), true)),
        },
        _ => {
            let Some((text, values)) = marked(body) else {
                return Err("the body of the request".to_owned());
            };
            if text.trim_start().starts_with('{') {
                return match parsed(body.clone()) {
                    Term::Object(object) => Ok((object, true)),
                    _ => Err("the body of the request".to_owned()),
                };
            }
            let mut found = BTreeMap::new();
            for pair in text.split('&').map(str::trim).filter(|pair| !pair.is_empty()) {
                let Some((name, value)) = pair.split_once('=') else {
                    return Err("the body of the request, which is no form".to_owned());
                };
                // Designers break long lines within a body, and people do.
                let (name, value) = (name.trim(), value.trim());
                let plain = |text: &str| decoded(&text.replace('+', " "));
                if marked_values(name) {
                    return Err("the name of a parameter, which is computed".to_owned());
                }
                let term = unmarked(&plain(value), &values);
                if found.insert(plain(name), without_encoding(term)).is_some() {
                    return Err(format!("the parameter `{}`, which is there twice", plain(name)));
                }
            }
            Ok((found, false))
        }
    }
}

fn marked_values(text: &str) -> bool {
    text.contains('\u{E000}')
}

/// The value itself, where it is encoded for a form.
fn without_encoding(term: Term) -> Term {
    match term {
        Term::Call(name, mut inner) if name == "uricomponent" && inner.len() == 1 => inner.remove(0),
        Term::Text(parts) => Term::joined(parts.into_iter().map(without_encoding)),
        other => other,
    }
}

/// An entry of `$formdata`.
fn pair(term: &Term) -> Option<(String, Term)> {
    let part = |name: &str| term.clone().part(&Term::text(name));
    Some((part("key").as_text().filter(|key| !key.is_empty())?, part("value")))
}

/// A part of `$multipart`: its name stands in a header.
fn form_part(term: &Term) -> Option<(String, Term)> {
    let part = |name: &str| term.clone().part(&Term::text(name));
    let disposition = part("headers").part(&Term::text("Content-Disposition")).as_text()?;
    let name = disposition.split("name=").nth(1)?.trim_matches(['"', ' ', ';']);
    Some((name.split('"').next()?.to_owned(), part("body")))
}

/// Moves what stands behind the `?` of an address to the queries, values and all.
pub(crate) fn take_queries(request: &mut Request) {
    let Some((text, values)) = marked(&request.address) else { return };
    let Some((base, query)) = text.split_once('?') else { return };
    let mut queries = match core::mem::replace(&mut request.queries, Term::null()) {
        Term::Object(queries) => queries,
        _ => BTreeMap::new(),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = without_encoding(unmarked(&decoded(&value.replace('+', " ")), &values));
        queries.insert(decoded(name.trim()), value);
    }
    request.address = unmarked(base, &values);
    request.queries = Term::Object(queries);
}
