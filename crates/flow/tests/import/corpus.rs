//! Flows written by hand, with what a careful reader expects of each: `tests/flows`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flow::{Credential, Flow};
use serde_json::{Value, json};

use super::{archive, options, result};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows")
}

/// The cases, by name.
fn cases() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the flows are there")
        .filter_map(|entry| {
            let name = entry.expect("the folder can be read").file_name().into_string().ok()?;
            name.strip_suffix(".expected.json").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

fn flows(case: &str) -> Vec<Flow> {
    let packed = folder().join(case);
    let (name, bytes) = if packed.is_dir() {
        let mut files = Vec::new();
        collect(&packed, "", &mut files);
        (format!("{case}.zip"), archive(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))))
    } else {
        (format!("{case}.json"), fs::read(folder().join(format!("{case}.json"))).expect("the flow is there"))
    };
    flow::read(&name, &bytes).unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push((name, fs::read(entry.path()).expect("the file can be read")));
        }
    }
}

/// A token as the expectations write it.
fn told(token: &flow::Token) -> Value {
    let credential = |credential: &Credential| match credential {
        Credential::ByConnection { connection, secret } => {
            json!({ "vault": { "connection": connection }, "secret": secret })
        }
        other => serde_json::to_value(other).expect("it is JSON"),
    };
    let mut told = json!({
        "secret": token.secret,
        "vault": token.vault,
        "token_url": token.token_url,
        "client_auth": token.client_auth,
        "grant": token.grant,
        "client_id": credential(&token.client_id),
        "client_secret": credential(&token.client_secret),
        "scope": token.scope,
        "extra": token.extra,
        "expiry": token.expiry,
    });
    if let Some(refresh) = &token.refresh_token {
        told["refresh_token"] = credential(refresh);
    }
    told
}

fn sorted(values: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut texts: Vec<String> = values.into_iter().map(|value| format!("{value:#}")).collect();
    texts.sort();
    texts
}

/// What differs from what is expected.
fn differences(case: &str) -> Vec<String> {
    let text = fs::read_to_string(folder().join(format!("{case}.expected.json"))).expect("it can be read");
    let expected: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{case}: {error}"));
    let import = flow::import(&flows(case), &options());
    let report = &import.report;
    let mut found = Vec::new();
    let list = |key: &str| expected[key].as_array().cloned().unwrap_or_default();

    let (wanted, tokens) = (sorted(list("tokens")), sorted(report.tokens.iter().map(told)));
    if wanted != tokens {
        found.push(format!("tokens\n--- expected\n{}\n--- found\n{}", wanted.join("\n"), tokens.join("\n")));
    }
    // That a connection's vault isn't in the file is a question, and no lack of understanding: the expectations leave it out.
    let gaps: Vec<_> =
        report.gaps.iter().filter(|gap| !gap.words.starts_with("which key vault the connection")).collect();
    let complete = expected["complete"].as_bool().expect("it says whether it is complete");
    if complete != gaps.is_empty() {
        found.push(format!("complete: expected {complete}, found {gaps:#?}"));
    }
    let words = format!("{report}").to_lowercase();
    for said in list("says") {
        let said = said.as_str().expect("words are text").to_lowercase();
        if !words.contains(&said) {
            found.push(format!("it doesn't say `{said}`:\n{words}"));
        }
    }
    let codes: BTreeSet<String> = report
        .findings
        .iter()
        .map(|finding| match &finding.action {
            Some(action) => format!("{}:{action}", finding.code),
            None => finding.code.to_owned(),
        })
        .collect();
    let wanted: BTreeSet<String> = list("findings").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if codes != wanted {
        let (missing, more) = (wanted.difference(&codes), codes.difference(&wanted));
        found.push(format!(
            "findings: missing {:?}, too many {:?}",
            missing.collect::<Vec<_>>(),
            more.collect::<Vec<_>>()
        ));
    }
    let days: Vec<f64> = report.spending.iter().filter_map(|spending| spending.actions_per_day).collect();
    let day = if days.is_empty() { None } else { Some(days.iter().sum::<f64>()) };
    let wanted = expected["actions_per_day"].as_f64();
    let same = match (day, wanted) {
        (Some(day), Some(wanted)) => (day - wanted).abs() <= 0.01 * wanted.max(1.0),
        (None, None) => true,
        _ => false,
    };
    if !same {
        found.push(format!("actions a day: expected {wanted:?}, found {day:?}"));
    }
    found.extend(report.tokens.iter().flat_map(|token| result::differences(&import.toml, token)));
    found
}

#[test]
fn every_flow_is_understood_as_a_careful_reader_does() {
    let wrong: Vec<String> = cases()
        .iter()
        .flat_map(|case| differences(case).into_iter().map(move |difference| format!("== {case}: {difference}")))
        .collect();
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_flows_of_every_kind() {
    let expected = cases().into_iter().map(|case| {
        let text = fs::read_to_string(folder().join(format!("{case}.expected.json"))).expect("it can be read");
        serde_json::from_str::<Value>(&text).expect("it is JSON")
    });
    let (patterns, others): (Vec<Value>, Vec<Value>) =
        expected.partition(|expected| expected["tokens"].as_array().is_some_and(|tokens| !tokens.is_empty()));
    assert!(patterns.len() >= 20, "{} flows that are the pattern", patterns.len());
    assert!(others.len() >= 8, "{} flows that aren't", others.len());
}
