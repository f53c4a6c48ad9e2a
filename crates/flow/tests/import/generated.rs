//! The same renewal, written in as many ways as can be generated: whatever the names, the order, the nesting and the
//! detours through other actions, the same is found. And whatever the bytes are, nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{options, result};

/// By which way a value goes from one action to the next.
#[derive(Clone, Copy, Debug)]
enum Way {
    Straight,
    Compose,
    Variable,
    Parsed,
    Interpolated,
}

/// How a flow is written.
#[derive(Clone, Debug)]
struct Style {
    /// A name for each of the actions that there may be, all different.
    names: Vec<String>,
    /// Into how many scopes each of the four main actions is put.
    nesting: [u8; 4],
    ways: [Way; 3],
    parallel: bool,
    body: u8,
    notation: u8,
    basic: bool,
    noise: u8,
    /// Within what the request and the write are.
    within: Within,
    /// How a secret is read.
    reader: Reader,
    /// Whether the write signs in by an app registration.
    by_app: bool,
    /// How many tokens the flow renews.
    tokens: usize,
    /// Whether the keys of each object of the JSON are in the reverse order.
    reversed: bool,
}

/// Within what an action runs, besides scopes.
#[derive(Clone, Copy, Debug)]
enum Within {
    Nothing,
    /// The write, in the branch of an `If` on the request's status.
    Status,
    /// The write, in a case of a `Switch` on it.
    Switch,
    /// The request, in an `Until` that waits for it to go well.
    Until,
}

/// By what a secret is read.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Http,
    PowerAutomate,
    Consumption,
    Standard,
}

fn within() -> impl Strategy<Value = Within> {
    prop_oneof![Just(Within::Nothing), Just(Within::Status), Just(Within::Switch), Just(Within::Until)]
}

fn reader() -> impl Strategy<Value = Reader> {
    prop_oneof![Just(Reader::Http), Just(Reader::PowerAutomate), Just(Reader::Consumption), Just(Reader::Standard)]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        Just(Way::Straight),
        Just(Way::Compose),
        Just(Way::Variable),
        Just(Way::Parsed),
        Just(Way::Interpolated)
    ]
}

fn style() -> impl Strategy<Value = Style> {
    let more = (within(), reader(), any::<bool>(), 1_usize..4, any::<bool>());
    let written = (
        prop::collection::hash_set("[A-Za-z][A-Za-z0-9_-]{2,12}", 100)
            .prop_map(|names| {
                // Names are compared without case.
                let mut seen = std::collections::BTreeSet::new();
                names.into_iter().filter(|name| seen.insert(name.to_lowercase())).collect::<Vec<_>>()
            })
            .prop_filter("enough names", |names| names.len() >= 90),
        prop::array::uniform4(0_u8..3),
        prop::array::uniform3(way()),
        any::<bool>(),
        0_u8..4,
        0_u8..4,
        any::<bool>(),
        0_u8..4,
    );
    (written, more).prop_map(
        |(
            (names, nesting, ways, parallel, body, notation, basic, noise),
            (within, reader, by_app, tokens, reversed),
        )| Style {
            names,
            nesting,
            ways,
            parallel,
            body,
            notation,
            basic,
            noise,
            within,
            reader,
            by_app,
            tokens,
            reversed,
        },
    )
}

struct Writer {
    style: Style,
    used: usize,
    actions: Map<String, Value>,
    variables: Vec<Value>,
    last: Option<String>,
}

impl Writer {
    fn name(&mut self) -> String {
        self.used += 1;
        self.style.names[self.used - 1].clone()
    }

    /// Adds an action behind the last one, in so many scopes; the name by which it is called.
    fn add(&mut self, action: Value, nesting: u8, parallel: bool) -> String {
        let name = self.name();
        let mut outer = (name.clone(), action);
        for _ in 0..nesting {
            let scope = self.name();
            outer.1["runAfter"] = json!({});
            outer = (scope, json!({ "type": "Scope", "actions": { outer.0: outer.1 } }));
        }
        let after = self.last.as_ref().filter(|_| !parallel);
        outer.1["runAfter"] = after.map_or_else(|| json!({}), |last| json!({ last: ["Succeeded"] }));
        if !parallel || self.last.is_none() {
            self.last = Some(outer.0.clone());
        }
        self.actions.insert(outer.0, outer.1);
        name
    }

    /// Sends a value through other actions; the expression by which it is had afterwards.
    fn through(&mut self, way: Way, expression: &str) -> String {
        match way {
            Way::Straight => expression.to_owned(),
            Way::Compose => {
                let name = self.add(json!({ "type": "Compose", "inputs": format!("@{expression}") }), 0, false);
                format!("outputs('{name}')")
            }
            Way::Interpolated => {
                let name = self.add(json!({ "type": "Compose", "inputs": format!("@{{{expression}}}") }), 1, false);
                format!("string(outputs('{name}'))")
            }
            Way::Variable => {
                let variable = self.name();
                self.variables.push(json!({ "name": variable, "type": "string" }));
                let set =
                    json!({ "type": "SetVariable", "inputs": { "name": variable, "value": format!("@{expression}") } });
                self.add(set, 0, false);
                format!("variables('{variable}')")
            }
            Way::Parsed => {
                let text = json!({ "type": "ParseJson", "inputs": {
                    "content": format!("{{\"inner\": {{\"value\": \"@{{{expression}}}\"}}}}"), "schema": {} } });
                let name = self.add(text, 0, false);
                format!("body('{name}')?['inner']?['value']")
            }
        }
    }

    fn answer(&self, action: &str, field: &str) -> String {
        match self.style.notation {
            0 => format!("body('{action}')?['{field}']"),
            1 => format!("outputs('{action}')['body']['{field}']"),
            2 => format!("actions('{action}').outputs.body.{field}"),
            _ => format!("outputs('{action}')?['body/{field}']"),
        }
    }
}

fn get_secret(reader: Reader, name: &str) -> Value {
    match reader {
        Reader::Http => json!({ "type": "Http", "inputs": {
            "method": "GET", "uri": format!("https://contoso.vault.azure.net/secrets/{name}?api-version=7.4"),
            "authentication": { "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" } } }),
        Reader::PowerAutomate => json!({ "type": "OpenApiConnection", "inputs": {
            "host": { "connectionName": "kept_keyvault", "operationId": "GetSecret",
                      "apiId": "/providers/Microsoft.PowerApps/apis/shared_keyvault" },
            "parameters": { "secretName": name } } }),
        Reader::Consumption => json!({ "type": "ApiConnection", "inputs": {
            "host": { "connection": { "name": "@parameters('$connections')['kept_keyvault']['connectionId']" } },
            "method": "get", "path": format!("/secrets/@{{encodeURIComponent('{name}')}}/value") } }),
        Reader::Standard => json!({ "type": "ServiceProvider", "inputs": {
            "parameters": { "secretName": name },
            "serviceProviderConfiguration": { "connectionName": "kept_keyvault", "operationId": "getSecret",
                                              "serviceProviderId": "/serviceProviders/keyVault" } } }),
    }
}

fn flow_in(style: &Style) -> Value {
    let mut writer = Writer { style: style.clone(), used: 0, actions: Map::new(), variables: Vec::new(), last: None };
    let initialize = writer.name();
    writer.last = Some(initialize.clone());
    for number in 0..style.tokens {
        renewal_in(&mut writer, number);
    }
    let variables = writer.variables.clone();
    writer.actions.insert(
        initialize,
        json!({ "type": "InitializeVariable", "inputs": { "variables": variables }, "runAfter": {} }),
    );
    json!({
        "triggers": { "Every": { "type": "Recurrence", "recurrence": { "frequency": "Hour", "interval": 1 } } },
        "actions": writer.actions,
    })
}

/// The API of a token.
fn endpoint(number: usize) -> String {
    ["https://api.example.com/oauth/token", "https://example.org/token", "https://id.example.net/oauth2/token"][number]
        .to_owned()
}

/// Writes the renewal of one token.
fn renewal_in(writer: &mut Writer, number: usize) {
    let style = writer.style.clone();
    let read = |name: &str| get_secret(style.reader, &format!("{name}-{number}"));
    let id = writer.add(read("client-id"), style.nesting[0], false);
    let secret = writer.add(read("client-credentials"), style.nesting[1], style.parallel);
    if style.parallel {
        // What follows waits for both.
        let before: Vec<String> = writer.actions.keys().cloned().collect();
        let after: Map<String, Value> = before.into_iter().map(|name| (name, json!(["Succeeded"]))).collect();
        let name = writer.name();
        writer.actions.insert(name.clone(), json!({ "type": "Compose", "inputs": "both", "runAfter": after }));
        writer.last = Some(name);
    }
    let (id, secret) = (writer.answer(&id, "value"), writer.answer(&secret, "value"));
    let id = writer.through(style.ways[0], &id);
    let secret = writer.through(style.ways[1], &secret);
    for noise in 0..style.noise {
        writer.add(json!({ "type": "Compose", "inputs": format!("@concat('noise {noise}', utcNow())") }), 0, false);
    }
    let request = json!({ "type": "Http", "inputs": request_in(&style, number, &id, &secret) });
    let asked = match style.within {
        Within::Until => {
            let inner = writer.name();
            let status = format!("@equals(outputs('{inner}')?['statusCode'], 200)");
            let mut request = request;
            request["runAfter"] = json!({});
            let until = json!({ "type": "Until", "expression": status, "limit": { "count": 5 },
                                "actions": { inner.clone(): request } });
            writer.add(until, style.nesting[2], false);
            inner
        }
        _ => writer.add(request, style.nesting[2], false),
    };
    let (token, life) = (writer.answer(&asked, "access_token"), writer.answer(&asked, "expires_in"));
    let token = writer.through(style.ways[2], &token);
    let put = put_in(&style, number, &token, &life);
    match style.within {
        Within::Status | Within::Switch => {
            let inner = writer.name();
            let mut put = put;
            put["runAfter"] = json!({});
            let actions = json!({ inner: put });
            let decided = if matches!(style.within, Within::Status) {
                let status = json!({ "and": [{ "equals": [format!("@outputs('{asked}')['statusCode']"), 200] }] });
                json!({ "type": "If", "expression": status, "actions": actions, "else": { "actions": {} } })
            } else {
                json!({ "type": "Switch", "expression": format!("@outputs('{asked}')['statusCode']"),
                        "cases": { "Case": { "case": 200, "actions": actions } }, "default": { "actions": {} } })
            };
            writer.add(decided, style.nesting[3], false);
        }
        _ => drop(writer.add(put, style.nesting[3], false)),
    }
}

/// The inputs of the token request.
fn request_in(style: &Style, number: usize, id: &str, secret: &str) -> Value {
    let mut request = json!({ "method": "POST", "uri": endpoint(number) });
    if style.basic {
        request["headers"] =
            json!({ "Authorization": format!("@concat('Basic ', base64(concat({id}, ':', {secret})))") });
        request["body"] = json!("scope=read%20write&grant_type=client_credentials");
        return request;
    }
    request["body"] = match style.body {
        0 => json!(format!(
            "grant_type=client_credentials&client_id=@{{{id}}}&client_secret=@{{encodeURIComponent({secret})}}&scope=read+write"
        )),
        1 => json!(format!(
            "@concat('client_secret=', {secret}, '&client_id=', {id}, '&scope=read write&grant_type=client_', 'credentials')"
        )),
        2 => json!({ "$formdata": [
            { "key": "client_id", "value": format!("@{id}") },
            { "key": "client_secret", "value": format!("@{{{secret}}}") },
            { "key": "grant_type", "value": "client_credentials" },
            { "key": "scope", "value": "read write" } ] }),
        _ => json!(format!(
            "client_id=@{{{id}}}&\n  client_secret=@{{{secret}}}\n&grant_type=client_credentials\n&scope=read%20write"
        )),
    };
    request
}

/// The action that writes the token.
fn put_in(style: &Style, number: usize, token: &str, life: &str) -> Value {
    let end = if style.noise.is_multiple_of(2) {
        format!("@{{add(div(sub(ticks(utcNow()), ticks('1970-01-01Z00:00:00')), 10000000), {life})}}")
    } else {
        format!("@div(sub(ticks(addSeconds(utcNow(), int({life}))), 621355968000000000), 10000000)")
    };
    let authentication = if style.by_app {
        super::written::app("obviously~not-real")
    } else {
        json!({ "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" })
    };
    json!({ "type": "Http", "inputs": {
        "method": "PUT", "uri": format!("https://contoso.vault.azure.net/secrets/api-token-{number}?api-version=7.4"),
        "authentication": authentication,
        "body": { "value": format!("@{{{token}}}"), "attributes": { "exp": end } } } })
}

/// The JSON, perhaps with its keys in the reverse order.
fn text_of(value: &Value, reversed: bool) -> String {
    match value {
        Value::Object(object) => {
            let mut members: Vec<String> =
                object.iter().map(|(key, item)| format!("{}:{}", json!(key), text_of(item, reversed))).collect();
            if reversed {
                members.reverse();
            }
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| text_of(item, reversed)).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Imports the flow, where the connection leads to the vault that is written to.
fn imported(text: &str) -> flow::Import {
    let mut options = options();
    options.vaults.insert("kept_keyvault".to_owned(), "https://contoso.vault.azure.net".to_owned());
    flow::import(&super::read("flow.json", text.as_bytes()).expect("it is a flow"), &options)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_same_data_flow_is_found_whatever_the_order_and_the_names(style in style()) {
        let flow = text_of(&flow_in(&style), style.reversed);
        let import = imported(&flow);
        prop_assert!(import.report.is_complete(), "{}\n{flow}", import.report);
        let mut tokens = import.report.tokens.clone();
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        prop_assert_eq!(tokens.len(), style.tokens);
        for (number, token) in tokens.iter().enumerate() {
            let mut told = serde_json::to_value(token).expect("it is JSON");
            told["action"] = json!("any");
            told["provider"] = json!("any");
            let vault = "https://contoso.vault.azure.net";
            prop_assert_eq!(told, json!({
                "name": format!("api-token-{number}"),
                "flow": "flow",
                "action": "any",
                "secret": format!("api-token-{number}"),
                "vault": vault,
                "provider": "any",
                "token_url": endpoint(number),
                "client_auth": if style.basic { "basic" } else { "form" },
                "grant": "client_credentials",
                "client_id": { "vault": vault, "secret": format!("client-id-{number}") },
                "client_secret": { "vault": vault, "secret": format!("client-credentials-{number}") },
                "scope": ["read", "write"],
                "extra": {},
                "expiry": "computed",
            }));
            prop_assert_eq!(result::differences(&import.toml, token), Vec::<String>::new());
        }
        let kept: Vec<_> = import.secrets.iter().map(|secret| secret.value.expose_str().unwrap_or_default()).collect();
        prop_assert_eq!(kept, if style.by_app { vec!["obviously~not-real"] } else { Vec::new() });
    }

    #[test]
    fn a_flow_with_something_unknown_in_the_way_of_a_value_is_never_whole(style in style(), spoilt in 0_usize..8) {
        let text = flow_in(&style).to_string();
        let (from, to) = [
            ("client-id-0", "@{notAFunction('client-id')}"),
            ("https://api.example.com/oauth/token", "https://@{triggerBody()?['host']}/oauth/token"),
            ("client_credentials", "@{variables('never-set')}"),
            ("secrets/api-token-0?", "secrets/@{rand(1,2)}?"),
            ("10000000", "1000"),
            ("access_token", "something_else"),
            ("['statusCode']", "['headers']?['x']"),
            ("&scope=", "&license=something&scope="),
        ][spoilt];
        prop_assume!(text.contains(from));
        // In an `Until`, what is asked for was asked for once at least, whatever ends the loop.
        prop_assume!(spoilt != 6 || matches!(style.within, Within::Status | Within::Switch));
        // In a text that is an expression already, the replacement is none; then it is a text that isn't known.
        let import = imported(&text.replace(from, to));
        prop_assert!(!import.report.is_complete(), "{}\n{text}", import.report);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = super::read("f", &bytes);
        let _ = super::read("f", &[b"PK\x03\x04", bytes.as_slice()].concat());
    }

    #[test]
    fn any_expression_is_read_or_refused(text in "[@{}()'?\\[\\].,a-z0-9 ]{0,60}", part in "\\PC{0,40}") {
        for inputs in [text.clone(), format!("@{text}"), format!("@{{{text}}}{part}"), format!("@concat({text}")] {
            let flow = json!({ "actions": {
                "A": { "type": "Http", "inputs": { "method": "PUT", "uri": inputs, "body": inputs, "headers": { "a": inputs } } },
                "B": { "type": "Compose", "inputs": inputs, "runAfter": { "A": [] } } } });
            if let Ok(flows) = super::read("f", flow.to_string().as_bytes()) {
                let import = flow::import(&flows, &options());
                prop_assert!(!import.report.is_complete());
            }
        }
    }
}
