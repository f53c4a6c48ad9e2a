//! What is written for other programs to read: a custom connector of Power Platform, through which flows read tokens
//! straight from a vault of Vestal's own.
//!
//! A custom connector is an OpenAPI 2.0 file, a file of properties, and, where those can't say it, a class in C#. The
//! class is needed: the grant that Vestal's authority knows, client credentials, is one that custom connectors don't
//! offer (learn.microsoft.com/connectors/custom-connectors/connection-parameters). So the connection is one of user
//! name and password, which are an app's client id and client secret, and the class exchanges them for a token.

use serde_json::{Value, json};

/// The OpenAPI file's name, as Microsoft's tools have it.
pub const DEFINITION_FILE: &str = "apiDefinition.swagger.json";
/// The name of the file of properties.
pub const PROPERTIES_FILE: &str = "apiProperties.json";
/// The name of the file with the class.
pub const SCRIPT_FILE: &str = "script.csx";

/// The one operation.
const OPERATION: &str = "GetSecret";
/// The API version that it asks the vault with.
const API_VERSION: &str = "7.4";
/// The longest title that a connector may have.
const TITLE_CHARACTERS: usize = 30;
const CLASS: &str = include_str!("script.csx");

/// What a connector has to know of the vault.
#[derive(Clone, Copy, Debug)]
pub struct HomeVault<'a> {
    /// Its name.
    pub name: &'a str,
    /// The host that all vaults are under, with its port where that isn't 443: `vault.example.com`.
    pub domain: &'a str,
    /// The authority's address, without a slash at its end: `https://login.example.com`.
    pub authority: &'a str,
    /// The names of the secrets to choose from; where there are none, a flow writes the name.
    pub secrets: &'a [String],
}

/// A custom connector: the three files that the portal, or Microsoft's command line, makes one from. No secret is in
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// The operations, as OpenAPI 2.0 with Microsoft's extensions.
    pub definition: Value,
    /// How a connection is made.
    pub properties: Value,
    /// What signs in, in C#.
    pub script: String,
}

/// The connector of a vault.
pub fn connector(vault: &HomeVault<'_>) -> Connector {
    Connector { definition: definition(vault), properties: properties(), script: script(vault) }
}

/// Where the authority gives tokens for the vaults.
pub fn token_endpoint(authority: &str) -> String {
    format!("{authority}/adfs/oauth2/v2.0/token")
}

fn definition(vault: &HomeVault<'_>) -> Value {
    json!({
        "swagger": "2.0",
        "info": {
            "title": format!("Vestal {}", vault.name).chars().take(TITLE_CHARACTERS).collect::<String>(),
            "description": format!("Reads access tokens that Vestal keeps alive in the vault {}.", vault.name),
            "version": "1.0",
        },
        "host": format!("{}.{}", vault.name, vault.domain),
        "basePath": "/",
        "schemes": ["https"],
        "consumes": [],
        "produces": ["application/json"],
        "securityDefinitions": { "app": { "type": "basic" } },
        "security": [{ "app": [] }],
        "paths": { "/secrets/{secretName}": { "get": operation(vault.secrets) } },
        "definitions": { "Secret": secret(), "Refusal": refusal() },
    })
}

fn operation(secrets: &[String]) -> Value {
    let mut name = json!({
        "name": "secretName",
        "in": "path",
        "required": true,
        "type": "string",
        "x-ms-summary": "Secret",
        "description": "The name of the secret that holds the token.",
        "x-ms-url-encoding": "single",
    });
    if !secrets.is_empty() {
        name["enum"] = json!(secrets);
    }
    let refused =
        json!({ "description": "The vault or its authority refused.", "schema": { "$ref": "#/definitions/Refusal" } });
    json!({
        "operationId": OPERATION,
        "summary": "Get a token",
        "description": "Gets the access token that is good now, and when it ends. Turn on secure outputs for this action.",
        "x-ms-visibility": "important",
        "parameters": [
            name,
            {
                "name": "api-version",
                "in": "query",
                "required": true,
                "type": "string",
                "default": API_VERSION,
                "x-ms-visibility": "internal",
                "description": "The version of Key Vault's API.",
            },
        ],
        "responses": {
            "200": { "description": "The token.", "schema": { "$ref": "#/definitions/Secret" } },
            "default": refused,
        },
    })
}

/// A bundle, as Key Vault's API answers it.
fn secret() -> Value {
    let seconds = |summary: &str, description: &str| json!({ "type": "integer", "format": "int64", "x-ms-summary": summary, "description": description });
    json!({
        "type": "object",
        "properties": {
            "value": { "type": "string", "x-ms-summary": "Token", "description": "The access token." },
            "id": { "type": "string", "x-ms-summary": "Id", "description": "The address of this version of the secret." },
            "contentType": { "type": "string", "x-ms-summary": "Content type", "description": "What the value is." },
            "attributes": {
                "type": "object",
                "properties": {
                    "enabled": { "type": "boolean", "x-ms-summary": "Enabled", "description": "Whether it can be read." },
                    "exp": seconds("Ends", "When the token ends, in seconds since 1970."),
                    "nbf": seconds("Begins", "From when on it is good, in seconds since 1970."),
                    "created": seconds("Made", "When this version was made, in seconds since 1970."),
                    "updated": seconds("Changed", "When this version was changed, in seconds since 1970."),
                },
            },
        },
    })
}

/// The vault says it in `error.message`, the authority in `error_description`.
fn refusal() -> Value {
    json!({
        "type": "object",
        "properties": {
            "error_description": { "type": "string", "x-ms-summary": "Why", "description": "Why the authority refused." },
        },
    })
}

fn properties() -> Value {
    let asked = |order: u32, name: &str, description: &str, clear: bool| {
        json!({
            "type": "securestring",
            "uiDefinition": {
                "displayName": name,
                "description": description,
                "tooltip": description,
                "constraints": { "tabIndex": order, "clearText": clear, "required": "true" },
            },
        })
    };
    json!({
        "properties": {
            "iconBrandColor": "#5b3a8c",
            "capabilities": [],
            "policyTemplateInstances": [],
            "scriptOperations": [OPERATION],
            "connectionParameters": {
                "username": asked(1, "Client id", "The client id of an app of Vestal's, from `vestal app create`.", true),
                "password": asked(2, "Client secret", "The client secret of that app.", false),
            },
        },
    })
}

fn script(vault: &HomeVault<'_>) -> String {
    // Text in quotes, with the same escapes in C# as in JSON.
    let quoted = |text: String| Value::from(text).to_string();
    CLASS.replacen("TOKEN_ENDPOINT", &quoted(token_endpoint(vault.authority)), 1).replacen(
        "SCOPE",
        &quoted(format!("https://{}/.default", vault.domain)),
        1,
    )
}

#[cfg(test)]
mod tests;
