//! HTTP requests of a flow, whichever action sends them.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::flow::Kind;
use crate::pieces::{decoded, json, split, split_once, trimmed};
use crate::term::{Term, Value, bare, node};
use crate::trace::Trace;

/// A request as an action describes it.
pub(crate) struct Request {
    /// In upper case; empty where it isn't fixed.
    pub(crate) method: String,
    pub(crate) address: Value,
    /// By name, in lower case.
    pub(crate) headers: BTreeMap<String, Value>,
    pub(crate) queries: Value,
    pub(crate) body: Value,
    /// The members of `authentication`.
    pub(crate) authentication: BTreeMap<String, Value>,
    pub(crate) sender: Sender,
}

/// Who logs in for a request.
pub(crate) enum Sender {
    /// The request itself.
    Itself,
    /// A connection of "HTTP with Microsoft Entra ID".
    Connection(String),
}

/// One parameter of a request, by its name.
pub(crate) type Parameters = BTreeMap<String, Value>;

impl Request {
    /// The request that an action sends, if it sends one that is written out in it.
    pub(crate) fn of(trace: &Trace<'_>, index: usize) -> Option<Self> {
        let action = trace.action(index);
        let inputs = &action.inputs;
        let value = |json: Option<&Json>| trace.value(index, json.unwrap_or(&Json::Null));
        match action.kind {
            Kind::Http => Some(Self {
                method: method(&value(inputs.get("method"))),
                address: trimmed(&value(inputs.get("uri"))),
                headers: headers(&value(inputs.get("headers"))),
                queries: value(inputs.get("queries")),
                body: value(inputs.get("body")),
                authentication: members(&value(inputs.get("authentication"))),
                sender: Sender::Itself,
            }),
            Kind::OpenApiConnection => {
                let text = |pointer: &str| inputs.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
                if !text("/host/operationId").eq_ignore_ascii_case("InvokeHttp") {
                    return None;
                }
                let part = |name: &str| value(inputs.pointer(&format!("/parameters/request~1{name}")));
                Some(Self {
                    method: method(&part("method")),
                    address: trimmed(&part("url")),
                    headers: headers(&part("headers")),
                    queries: node(Term::Null),
                    body: part("body"),
                    authentication: BTreeMap::new(),
                    sender: Sender::Connection(text("/host/connectionName").to_owned()),
                })
            }
            _ => None,
        }
    }

    /// The parameters in the address and those given as queries.
    pub(crate) fn query(&self) -> Parameters {
        let mut parameters = Parameters::new();
        if let Some((_, query)) = split_once(&self.address, "?") {
            add_form(&query, &mut parameters);
        }
        parameters.extend(members(&self.queries).into_iter().map(|(name, value)| (name, Rc::clone(bare(&value)))));
        parameters
    }

    /// The parameters in the body, and how they are written there.
    pub(crate) fn form(&self) -> (Parameters, Encoding) {
        let mut parameters = Parameters::new();
        match &*self.body {
            Term::Null => return (parameters, Encoding::None),
            Term::Object(members) => {
                if let Some(Term::List(list)) = members.get("$formdata").map(|list| &***list) {
                    add_list(list, &mut parameters);
                    return (parameters, Encoding::Form);
                }
                if let Some(content) = members.get("$content") {
                    add_form(content, &mut parameters);
                    return (parameters, Encoding::Form);
                }
                for (name, value) in members {
                    parameters.insert(name.clone(), Rc::clone(bare(value)));
                }
                return (parameters, Encoding::Json);
            }
            // Names and values without the `$formdata` around them.
            Term::List(list) => {
                add_list(list, &mut parameters);
                return (parameters, Encoding::Form);
            }
            _ => {}
        }
        if let Some(members) = json(&self.body).as_ref().map(members).filter(|members| !members.is_empty()) {
            for (name, value) in members {
                parameters.insert(name, Rc::clone(bare(&value)));
            }
            return (parameters, Encoding::Json);
        }
        add_form(&self.body, &mut parameters);
        (parameters, Encoding::Form)
    }

    /// The body as an object, also where it is written as a text of JSON.
    pub(crate) fn object(&self) -> Option<BTreeMap<String, Value>> {
        match &*self.body {
            Term::Object(_) => Some(members(&self.body)),
            Term::Text(_) | Term::Join(_) => json(&self.body).as_ref().map(members),
            _ => None,
        }
    }

    /// What is in the header Authorization, or in an authentication of type Raw.
    pub(crate) fn authorization(&self) -> Option<&Value> {
        self.headers.get("authorization").or_else(|| {
            let raw = self.authentication_type().is_some_and(|kind| kind == "raw");
            self.authentication.get("value").filter(|_| raw)
        })
    }

    /// The type of the action's authentication, in lower case.
    pub(crate) fn authentication_type(&self) -> Option<String> {
        self.authentication.get("type").and_then(|kind| kind.fixed()).map(str::to_ascii_lowercase)
    }
}

/// How parameters stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    None,
    Form,
    Json,
}

fn method(value: &Term) -> String {
    value.fixed().unwrap_or_default().trim().to_ascii_uppercase()
}

fn headers(value: &Value) -> BTreeMap<String, Value> {
    members(value).into_iter().map(|(name, value)| (name.trim().to_ascii_lowercase(), value)).collect()
}

pub(crate) fn members(value: &Value) -> BTreeMap<String, Value> {
    match &***value {
        Term::Object(members) => members.iter().map(|(name, value)| (name.clone(), Rc::clone(value))).collect(),
        _ => BTreeMap::new(),
    }
}

fn add_form(text: &Value, parameters: &mut Parameters) {
    for pair in split(text, '&') {
        let Some((name, value)) = split_once(&pair, "=") else { continue };
        if let Some(name) = decoded(&trimmed(&name), true).fixed() {
            parameters.insert(name.to_owned(), decoded(&trimmed(&value), true));
        }
    }
}

fn add_list(list: &[Value], parameters: &mut Parameters) {
    for one in list {
        if let Term::Object(members) = &***one
            && let (Some(name), Some(value)) = (members.get("key").and_then(|name| name.fixed()), members.get("value"))
        {
            parameters.insert(name.to_owned(), Rc::clone(bare(value)));
        }
    }
}
