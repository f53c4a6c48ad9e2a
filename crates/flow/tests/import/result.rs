//! The result, read as a configuration: what it says of a token, in the words of the report.

use flow::{Credential, Token};
use toml::{Table, Value};

/// A table of the result, by its path.
fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// What the result says otherwise of a token than the report does.
pub(super) fn differences(toml: &str, token: &Token) -> Vec<String> {
    let result: Table = match toml.parse() {
        Ok(result) => result,
        Err(error) => return vec![format!("the result is no TOML: {error}\n{toml}")],
    };
    if token.grant != "client_credentials" {
        return Vec::new();
    }
    let Some(table) = at(&result, &["token", &token.name]).and_then(Value::as_table) else {
        return vec![format!("the result has no `[token.{}]`", token.name)];
    };
    let mut found = Vec::new();
    let mut hold = |what: &str, expected: String, said: String| {
        if expected != said {
            found.push(format!("{what} of {}: expected {expected}, the result says {said}", token.name));
        }
    };
    for (key, credential) in [("client_id", &token.client_id), ("client_secret", &token.client_secret)] {
        hold(key, wanted(credential, token), said(&result, table.get(key)));
    }
    hold("vault", "home".to_owned(), text(table.get("vault")).unwrap_or_default().to_owned());
    hold("provider", token.provider.clone(), text(table.get("provider")).unwrap_or_default().to_owned());
    hold("scope", format!("{:?}", token.scope), format!("{:?}", texts(table.get("scope"))));
    let extra: Vec<String> = token.extra.iter().map(|(key, value)| format!("{key}={value}")).collect();
    hold("extra", format!("{extra:?}"), format!("{:?}", pairs(table.get("extra"))));
    let deliveries = table.get("deliver").and_then(Value::as_array).into_iter().flatten();
    let places: Vec<String> = deliveries
        .map(|entry| {
            let target = text(entry.get("to")).unwrap_or_default();
            let url = text(at(&result, &["target", target, "url"])).unwrap_or_default();
            format!("{url}/{}", text(entry.get("name")).unwrap_or(&token.name))
        })
        .collect();
    let place = format!("{}/{}", token.vault, token.secret);
    hold("deliver", place.clone(), places.iter().find(|found| **found == place).cloned().unwrap_or_default());
    // One that Vestal knows has no table.
    if let Some(provider) = at(&result, &["provider", &token.provider]) {
        hold("token_url", token.token_url.clone(), text(provider.get("token_url")).unwrap_or_default().to_owned());
        let by = text(provider.get("client_auth")).unwrap_or("form");
        hold("client_auth", token.client_auth.to_owned(), by.to_owned());
    }
    found
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn pairs(value: Option<&Value>) -> Vec<String> {
    let pairs = value.and_then(Value::as_table).into_iter().flatten();
    pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
}

/// Where a credential should be: its secret with the vault's address, or the text itself.
fn wanted(credential: &Credential, token: &Token) -> String {
    match credential {
        Credential::Secret { vault, secret } => format!("{secret} at {vault}"),
        // It is taken to be the one that the flow writes to.
        Credential::ByConnection { secret, .. } => format!("{secret} at {}", token.vault),
        Credential::Literal { literal } => literal.clone(),
        Credential::Clear { .. } => format!("{}-client-secret at home", token.name),
    }
}

/// Where the result says that it is.
fn said(result: &Table, reference: Option<&Value>) -> String {
    let Some(reference) = reference else { return String::new() };
    if let Some(literal) = reference.as_str() {
        return literal.to_owned();
    }
    let (secret, vault) = (text(reference.get("secret")), text(reference.get("vault")).unwrap_or_default());
    let vault = text(at(result, &["target", vault, "url"])).unwrap_or(vault);
    format!("{} at {vault}", secret.unwrap_or_default())
}
