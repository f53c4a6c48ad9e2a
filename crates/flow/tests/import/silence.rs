//! Nothing is guessed in silence: what a flow does besides the renewal is in the report, as a gap or as a note.

use serde_json::{Map, Value, json};

use super::import_json;
use super::written::{BODY, action, actions, changed, flow, read};

/// The renewal within an `If`, behind a look at another secret.
fn decided_by(expression: &Value) -> Value {
    let mut all = actions();
    let inner: Map<String, Value> = ["Ask", "Put"].iter().filter_map(|name| all.remove_entry(*name)).collect();
    let mut inner = inner;
    inner["Ask"]["runAfter"] = json!({});
    all.insert("Switch".to_owned(), read("contoso", "renewal-is-on", &["Key"]));
    let decides =
        json!({ "type": "If", "expression": expression, "runAfter": { "Switch": ["Succeeded"] }, "actions": inner });
    all.insert("Decides".to_owned(), decides);
    flow(all)
}

#[test]
fn what_decides_by_something_else_than_the_tokens_life_or_a_status_is_a_gap() {
    for expression in [
        json!({ "and": [{ "equals": ["@body('Switch')?['value']", "on"] }] }),
        json!("@equals(body('Switch')?['value'], 'on')"),
        json!("@equals(formatDateTime(utcNow(), 'dddd'), 'Monday')"),
        json!("@greater(int(formatDateTime(utcNow(), 'HH')), 8)"),
        json!("@greater(utcNow(), '2027-01-01')"),
        json!("@less(ticks(body('Switch')?['attributes']?['nbf']), ticks(utcNow()))"),
        json!("@equals(1, 2)"),
        json!({ "equals": [1, 1] }),
        json!("@or(equals(outputs('Switch')['statusCode'], 200), equals(rand(1, 2), 1))"),
        json!(null),
    ] {
        let import = import_json(&decided_by(&expression));
        let gap = import.report.gaps.iter().find(|gap| gap.action.as_deref() == Some("Decides"));
        assert!(gap.is_some(), "{expression}: {}", import.report);
    }
}

#[test]
fn what_decides_by_the_tokens_life_or_a_status_is_no_gap() {
    for expression in [
        json!({ "less": ["@body('Switch')?['attributes']?['exp']",
                         "@div(sub(ticks(addMinutes(utcNow(), 10)), ticks('1970-01-01')), 10000000)"] }),
        json!("@equals(outputs('Switch')['statusCode'], 404)"),
        json!({ "not": { "equals": ["@outputs('Switch')?['statusCode']", 200] } }),
        json!("@equals(equals(outputs('Switch')['statusCode'], 404), true)"),
    ] {
        let import = import_json(&decided_by(&expression));
        assert!(import.report.is_complete(), "{expression}: {}", import.report);
    }
}

/// The gaps and notes of the whole renewal, changed.
fn told(change: impl FnOnce(&mut Value)) -> (Vec<String>, Vec<String>) {
    let mut flow = flow(actions());
    change(&mut flow);
    let report = import_json(&flow).report;
    (report.gaps.into_iter().map(|gap| gap.words).collect(), report.notes)
}

#[track_caller]
fn is_gap(words: &str, change: impl FnOnce(&mut Value)) {
    let (gaps, _) = told(change);
    assert!(gaps.iter().any(|gap| gap.contains(words)), "{gaps:?}");
}

#[track_caller]
fn is_note(words: &str, change: impl FnOnce(&mut Value)) {
    let (gaps, notes) = told(change);
    assert!(gaps.is_empty() && notes.iter().any(|note| note.contains(words)), "{gaps:?} {notes:?}");
}

#[test]
fn when_a_flow_runs_is_told_where_it_is_not_always() {
    is_gap("its trigger has conditions", |flow| {
        flow["triggers"]["Every"]["conditions"] = json!([{ "expression": "@equals(dayOfWeek(utcNow()), 1)" }]);
    });
    is_gap("it is turned off", |flow| {
        *flow = json!({ "properties": { "state": "Stopped", "definition": flow.clone() } });
    });
    is_gap("whether the run ends early", |flow| {
        let end = json!({ "type": "If", "expression": "@equals(dayOfWeek(utcNow()), 1)", "runAfter": {},
                          "actions": { "End": action("Terminate", json!({ "runStatus": "Cancelled" }), &[]) } });
        flow["actions"]["Decides"] = end;
    });
    is_gap("once for each item", |flow| {
        let put = json!({ "Put": flow["actions"]["Put"].clone() });
        flow["actions"]["Put"] =
            json!({ "type": "Foreach", "foreach": "@triggerBody()", "runAfter": { "Ask": ["Succeeded"] } });
        let mut put = put;
        put["Put"]["runAfter"] = json!({});
        flow["actions"]["Put"]["actions"] = put;
        let each = flow["actions"]["Put"].take();
        flow["actions"]["Each"] = each;
        flow["actions"].as_object_mut().expect("actions").remove("Put");
    });
}

#[test]
fn what_a_write_says_besides_is_told() {
    is_gap("enabled", |flow| flow["actions"]["Put"]["inputs"]["body"]["attributes"]["enabled"] = json!(false));
    is_note("`nbf`", |flow| flow["actions"]["Put"]["inputs"]["body"]["attributes"]["nbf"] = json!(1));
    is_note("5m before the token's end", |flow| {
        let end =
            "@add(div(sub(ticks(utcNow()), ticks('1970-01-01')), 10000000), sub(body('Ask')?['expires_in'], 300))";
        flow["actions"]["Put"]["inputs"]["body"]["attributes"]["exp"] = json!(end);
    });
    is_gap("which runs later or at the same time", |flow| {
        flow["actions"]["Put"]["runAfter"] = json!({ "Id": ["Succeeded"] });
    });
}

#[test]
fn what_a_token_request_sends_besides_is_told() {
    is_gap("it sends JSON", |flow| {
        flow["actions"]["Ask"]["inputs"]["body"] = json!({ "grant_type": "client_credentials",
            "client_id": "@body('Id')?['value']", "client_secret": "@body('Key')?['value']" });
    });
    is_gap("refresh token beside", |flow| {
        flow["actions"]["Ask"]["inputs"]["body"] = json!(format!("{BODY}&refresh_token=@{{body('Key')?['value']}}"));
    });
    is_gap("another host", |flow| flow["actions"]["Ask"]["inputs"]["headers"] = json!({ "Host": "internal.example" }));
    is_gap("there twice", |flow| {
        flow["actions"]["Ask"]["inputs"]["uri"] = json!("https://api.example.com/token?grant_type=password");
    });
    is_note("`accept`", |flow| {
        flow["actions"]["Ask"]["inputs"]["headers"] = json!({ "Accept": "application/vnd.example+json" });
    });
}

#[test]
fn what_a_flow_does_at_a_key_vault_besides_is_told() {
    let by_connector = |operation: &str| {
        json!({ "host": { "connectionName": "shared_keyvault", "operationId": operation,
                          "apiId": "/providers/Microsoft.PowerApps/apis/shared_keyvault" },
                "parameters": { "keyName": "k" } })
    };
    is_gap("isn't part of a token's renewal", |flow| {
        flow["actions"]["Other"] = action("OpenApiConnection", by_connector("EncryptData"), &["Put"]);
    });
    is_note("`Other`, which looks into a key vault", |flow| {
        flow["actions"]["Other"] = action("OpenApiConnection", by_connector("ListSecrets"), &["Put"]);
    });
    is_note("`Other`, which reads `another`", |flow| flow["actions"]["Other"] = read("contoso", "another", &["Put"]));
    is_gap("isn't https", |flow| {
        flow["actions"]["Put"]["inputs"]["uri"] = json!("http://contoso.vault.azure.net/secrets/t?api-version=7.4");
    });
}

#[test]
fn a_default_that_is_taken_is_told() {
    is_note("`vault`: taken with the defaults", |flow| {
        flow["parameters"] = json!({ "vault": { "type": "String", "defaultValue": "contoso" } });
        flow["actions"]["Put"]["inputs"]["uri"] =
            json!("https://@{parameters('vault')}.vault.azure.net/secrets/api-token?api-version=7.4");
    });
}

#[test]
fn an_address_keeps_its_query_and_a_field_its_dots() {
    let import = import_json(&changed(|actions| {
        actions["Ask"]["inputs"]["uri"] = json!("https://api.example.com/token?api-version=2.0&tenant=acme");
        actions["Put"]["inputs"]["body"] = json!({ "value": "@body('Ask')?['a.b']?['token']" });
    }));
    assert!(import.report.is_complete(), "{}", import.report);
    let toml: toml::Table = import.toml.parse().expect("it is TOML");
    let provider = &toml["provider"]["example"];
    assert_eq!(provider["token_url"].as_str(), Some("https://api.example.com/token?api-version=2.0&tenant=acme"));
    assert_eq!(provider["answer"]["token"].as_str(), Some("/a.b/token"));
    assert!(toml["token"]["api-token"].get("extra").is_none(), "{}", import.toml);
}

#[test]
fn the_date_of_an_answer_is_taken_over_as_a_date() {
    for (end, unit) in [
        ("@div(sub(ticks(body('Ask')?['expires_at']), ticks('1970-01-01')), 10000000)", "date"),
        ("@body('Ask')?['expires_at']", "unix_seconds"),
    ] {
        let import = import_json(&changed(|actions| {
            actions["Put"]["inputs"]["body"]["attributes"]["exp"] = json!(end);
        }));
        let toml: toml::Table = import.toml.parse().expect("it is TOML");
        assert_eq!(toml["provider"]["example"]["lifetime"]["unit"].as_str(), Some(unit));
    }
}

#[test]
fn an_interval_as_long_as_the_tokens_life_is_unsafe_and_an_unknown_life_is_told() {
    let every = |seconds: u64| {
        let mut flow = changed(|actions| {
            actions["Ask"]["inputs"]["uri"] = json!("https://discord.com/api/oauth2/token");
            actions["Ask"]["inputs"]["body"] = json!(format!("{BODY}&scope=identify"));
        });
        flow["triggers"]["Every"]["recurrence"] = json!({ "frequency": "Second", "interval": seconds });
        let report = import_json(&flow).report;
        report.findings.into_iter().find(|finding| finding.code == "interval-longer-than-life").map(|found| found.words)
    };
    assert_eq!(every(604_799), None);
    let words = every(604_800).expect("the last second is too late");
    assert!(words.contains("every 7d") && words.contains("lives 7d"), "{words}");
    is_note("how long its token lives isn't in the file", |_| {});
}

#[test]
fn of_two_branches_one_counts() {
    let import = import_json(&changed(|actions| {
        let composes = |letter: &str, count: usize| -> Map<String, Value> {
            (0..count).map(|number| (format!("{letter}{number}"), action("Compose", json!(1), &[]))).collect()
        };
        let branches = json!({ "type": "If", "expression": "@equals(outputs('Ask')['statusCode'], 200)",
            "runAfter": { "Ask": ["Succeeded"] }, "actions": composes("C", 5), "else": { "actions": composes("D", 3) } });
        actions.insert("Branches".to_owned(), branches);
    }));
    assert_eq!(import.report.spending[0].actions_per_run, 10);
}

#[test]
fn actions_that_were_copied_without_their_order_are_ordered_by_what_they_use() {
    for name in ["AAA", "ZZZ"] {
        let mut all = actions();
        let id = all.remove("Id").expect("it is there");
        all.insert(name.to_owned(), id);
        all["Ask"]["inputs"]["body"] = json!(BODY.replace("'Id'", &format!("'{name}'")));
        for action in all.values_mut() {
            action.as_object_mut().expect("an action").remove("runAfter");
        }
        let import = import_json(&Value::Object(all));
        assert!(import.report.is_complete() && import.report.tokens.len() == 1, "{name}: {}", import.report);
    }
}

#[test]
fn peek_code_without_types_is_read() {
    let peeked = json!([
        { "inputs": { "host": { "connectionName": "shared_keyvault", "operationId": "GetSecret" }, "parameters": {} } },
        { "inputs": { "method": "POST", "uri": "https://api.example.com/token", "body": BODY } },
    ]);
    let import = import_json(&peeked);
    assert_eq!(import.report.spending[0].actions_per_run, 2);
    assert!(!import.report.is_complete());
}

#[test]
fn a_token_of_a_later_version_says_where_its_refresh_token_is() {
    let import = import_json(&changed(|actions| {
        actions["Ask"]["inputs"]["body"] = json!(
            "grant_type=refresh_token&client_id=me&client_secret=@{body('Key')?['value']}&refresh_token=of-the-user"
        );
    }));
    let refresh = import.secrets.iter().find(|secret| secret.name == "api-token-refresh-token").expect("it is kept");
    assert_eq!(refresh.value.expose_str(), Some("of-the-user"));
    assert!(
        import.toml.contains("#     refresh_token = { secret = \"api-token-refresh-token\", vault = \"home\" }"),
        "{}",
        import.toml
    );
    assert!(import.report.next.iter().any(|next| next.contains("home/api-token-refresh-token")), "{}", import.report);
    assert_eq!(import.report.spending[0].saved_per_day, Some(0.0), "the flow is needed still");
}

#[test]
fn names_cant_steer_a_terminal() {
    let import = import_json(&changed(|actions| {
        let put = actions.remove("Put").expect("it is there");
        actions.insert("Put\u{1b}[2J\u{202e}".to_owned(), put);
        actions.insert("Mail\u{1b}]0;x\u{7}".to_owned(), action("Office", json!({}), &["Ask"]));
    }));
    let shown = format!("{}{}", import.report, import.toml);
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    assert!(import.toml.parse::<toml::Table>().is_ok(), "{}", import.toml);
}
