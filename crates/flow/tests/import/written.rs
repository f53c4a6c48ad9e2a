//! A whole renewal as a flow, to be changed by each test.

use serde_json::{Map, Value, json};

/// The form of the token request.
pub(super) const BODY: &str =
    "grant_type=client_credentials&client_id=@{body('Id')?['value']}&client_secret=@{body('Key')?['value']}";

/// The expiry as the recipe's comments compute it.
pub(super) const EXPIRY: &str =
    "@add(div(sub(ticks(utcNow()), ticks('1970-01-01')), 10000000), body('Ask')?['expires_in'])";

/// An action that waits for others.
pub(super) fn action(kind: &str, inputs: Value, after: &[&str]) -> Value {
    let after: Map<String, Value> = after.iter().map(|name| ((*name).to_owned(), json!(["Succeeded"]))).collect();
    json!({ "type": kind, "inputs": inputs, "runAfter": after })
}

pub(super) fn read(vault: &str, secret: &str, after: &[&str]) -> Value {
    let inputs = json!({
        "method": "GET", "uri": format!("https://{vault}.vault.azure.net/secrets/{secret}?api-version=7.4"),
        "authentication": { "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" } });
    action("Http", inputs, after)
}

pub(super) fn read_by_connection(secret: &str, after: &[&str]) -> Value {
    let inputs = json!({
        "host": { "connectionName": "shared_keyvault", "operationId": "GetSecret",
                  "apiId": "/providers/Microsoft.PowerApps/apis/shared_keyvault" },
        "parameters": { "secretName": secret } });
    action("OpenApiConnection", inputs, after)
}

pub(super) fn put(vault: &str, secret: &str) -> Value {
    let inputs = json!({
        "method": "PUT", "uri": format!("https://{vault}.vault.azure.net/secrets/{secret}?api-version=7.4"),
        "authentication": { "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" },
        "body": { "value": "@body('Ask')?['access_token']", "attributes": { "exp": EXPIRY } } });
    action("Http", inputs, &["Ask"])
}

/// A sign-in by an app registration whose client secret stands in the flow.
pub(super) fn app(client_secret: &str) -> Value {
    json!({ "type": "ActiveDirectoryOAuth", "tenant": "contoso.onmicrosoft.com", "audience": "https://vault.azure.net",
            "clientId": "11111111-2222-3333-4444-555555555555", "secret": client_secret })
}

/// The actions of a whole renewal: `Id`, `Key`, `Ask` and `Put`.
pub(super) fn actions() -> Map<String, Value> {
    let ask = json!({ "method": "POST", "uri": "https://api.example.com/oauth/token", "body": BODY });
    Map::from_iter([
        ("Id".to_owned(), read("contoso", "client-id", &[])),
        ("Key".to_owned(), read("contoso", "client-key", &["Id"])),
        ("Ask".to_owned(), action("Http", ask, &["Key"])),
        ("Put".to_owned(), put("contoso", "api-token")),
    ])
}

/// A flow of these actions that runs each hour.
pub(super) fn flow(actions: Map<String, Value>) -> Value {
    json!({
        "triggers": { "Every": { "type": "Recurrence", "recurrence": { "frequency": "Hour", "interval": 1 } } },
        "actions": actions,
    })
}

/// The whole renewal, changed.
pub(super) fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut actions = actions();
    change(&mut actions);
    flow(actions)
}
