//! The same renewal, written in as many ways as can be generated: whatever the names, the order, the nesting and the
//! detours through other actions, the same is found. And whatever the bytes are, nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{import_json, options, result};

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
    (
        prop::collection::hash_set("[A-Za-z][A-Za-z0-9_-]{2,12}", 40)
            .prop_map(|names| {
                // Names are compared without case.
                let mut seen = std::collections::BTreeSet::new();
                names.into_iter().filter(|name| seen.insert(name.to_lowercase())).collect::<Vec<_>>()
            })
            .prop_filter("enough names", |names| names.len() >= 34),
        prop::array::uniform4(0_u8..3),
        prop::array::uniform3(way()),
        any::<bool>(),
        0_u8..4,
        0_u8..4,
        any::<bool>(),
        0_u8..4,
    )
        .prop_map(|(names, nesting, ways, parallel, body, notation, basic, noise)| Style {
            names,
            nesting,
            ways,
            parallel,
            body,
            notation,
            basic,
            noise,
        })
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

fn get_secret(name: &str) -> Value {
    json!({ "type": "Http", "inputs": {
        "method": "GET", "uri": format!("https://contoso.vault.azure.net/secrets/{name}?api-version=7.4"),
        "authentication": { "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" } } })
}

fn flow_in(style: Style) -> Value {
    let mut writer = Writer { style: style.clone(), used: 0, actions: Map::new(), variables: Vec::new(), last: None };
    let initialize = writer.name();
    writer.last = Some(initialize.clone());
    let id = writer.add(get_secret("client-id"), style.nesting[0], false);
    let secret = writer.add(get_secret("client-credentials"), style.nesting[1], style.parallel);
    if style.parallel {
        // What follows waits for both.
        let both: Vec<String> = writer.actions.keys().filter(|name| **name != initialize).cloned().collect();
        let after: Map<String, Value> = both.into_iter().map(|name| (name, json!(["Succeeded"]))).collect();
        let name = writer.name();
        writer.actions.insert(name.clone(), json!({ "type": "Compose", "inputs": "both", "runAfter": after }));
        writer.last = Some(name);
    }
    let (id, secret) = (writer.answer(&id, "value"), writer.answer(&secret, "value"));
    let id = writer.through(style.ways[0], &id);
    let secret = writer.through(style.ways[1], &secret);
    for number in 0..style.noise {
        writer.add(json!({ "type": "Compose", "inputs": format!("@concat('noise {number}', utcNow())") }), 0, false);
    }
    let mut request = json!({ "method": "POST", "uri": "https://api.example.com/oauth/token" });
    if style.basic {
        request["headers"] =
            json!({ "Authorization": format!("@concat('Basic ', base64(concat({id}, ':', {secret})))") });
        request["body"] = json!("scope=read%20write&grant_type=client_credentials");
    } else {
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
    }
    let asked = writer.add(json!({ "type": "Http", "inputs": request }), style.nesting[2], false);
    let (token, life) = (writer.answer(&asked, "access_token"), writer.answer(&asked, "expires_in"));
    let token = writer.through(style.ways[2], &token);
    let end = if style.noise.is_multiple_of(2) {
        format!("@{{add(div(sub(ticks(utcNow()), ticks('1970-01-01Z00:00:00')), 10000000), {life})}}")
    } else {
        format!("@div(sub(ticks(addSeconds(utcNow(), int({life}))), 621355968000000000), 10000000)")
    };
    let put = json!({ "type": "Http", "inputs": {
        "method": "PUT", "uri": "https://contoso.vault.azure.net/secrets/api-token?api-version=7.4",
        "authentication": { "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" },
        "body": { "value": format!("@{{{token}}}"), "attributes": { "exp": end } } } });
    writer.add(put, style.nesting[3], false);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_same_data_flow_is_found_whatever_the_order_and_the_names(style in style()) {
        let flow = flow_in(style.clone());
        let import = import_json(&flow);
        prop_assert!(import.report.is_complete(), "{}\n{flow:#}", import.report);
        prop_assert_eq!(import.report.tokens.len(), 1);
        let mut told = serde_json::to_value(&import.report.tokens[0]).expect("it is JSON");
        told["client_auth"] = json!("either");
        told["action"] = json!("any");
        prop_assert_eq!(told, json!({
            "name": "api-token",
            "flow": "flow",
            "action": "any",
            "secret": "api-token",
            "vault": "https://contoso.vault.azure.net",
            "provider": "example",
            "token_url": "https://api.example.com/oauth/token",
            "client_auth": "either",
            "grant": "client_credentials",
            "client_id": { "vault": "https://contoso.vault.azure.net", "secret": "client-id" },
            "client_secret": { "vault": "https://contoso.vault.azure.net", "secret": "client-credentials" },
            "scope": ["read", "write"],
            "extra": {},
            "expiry": "computed",
        }));
        prop_assert_eq!(import.report.tokens[0].client_auth, if style.basic { "basic" } else { "form" });
        prop_assert_eq!(result::differences(&import.toml, &import.report.tokens[0]), Vec::<String>::new());
    }

    #[test]
    fn a_flow_with_something_unknown_in_the_way_of_a_value_is_never_whole(style in style(), spoilt in 0_usize..6) {
        let text = flow_in(style).to_string();
        let (from, to) = [
            ("secrets/client-id?", "secrets/@{notAFunction('client-id')}?"),
            ("https://api.example.com/oauth/token", "https://@{triggerBody()?['host']}/oauth/token"),
            ("client_credentials", "@{variables('never-set')}"),
            ("secrets/api-token?", "secrets/@{rand(1,2)}?"),
            ("10000000", "1000"),
            ("access_token", "something_else"),
        ][spoilt];
        prop_assume!(text.contains(from));
        let flow: Value = serde_json::from_str(&text.replace(from, to)).expect("it is JSON");
        // In a text that is an expression already, the replacement is none; then it is a text that isn't known.
        let import = import_json(&flow);
        prop_assert!(!import.report.is_complete(), "{}\n{flow:#}", import.report);
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
