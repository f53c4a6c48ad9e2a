//! The ways to read a secret: Key Vault's connector in Power Automate and Logic Apps (both kinds), an environment
//! variable of type secret, and HTTP.

use serde_json::Value as Json;
use std::rc::Rc;

use super::Trace;
use crate::address;
use crate::flow::Kind;
use crate::request::Request;
use crate::term::{SecretPlace, Term, Value, Vault, bare, node};

/// Where the value stands in a reading action's answer.
pub(super) fn is_value(path: &[String]) -> bool {
    matches!(path, [body, value] if body == "body" && (value == "value" || value == "EnvironmentVariableSecretValue"))
}

impl Trace<'_> {
    /// The secret that an action reads, if it reads one.
    pub(crate) fn secret_read(&self, index: usize) -> Option<Value> {
        let (vault, name) = self.read_from(index)?;
        Some(match bare(&name).fixed() {
            Some(name) if !name.is_empty() => {
                node(Term::Secret { read_by: index, place: SecretPlace { vault, name: name.to_owned() } })
            }
            _ => Term::opaque(format!("a secret whose name is not fixed: the name is {}", self.words(bare(&name)))),
        })
    }

    fn read_from(&self, index: usize) -> Option<(Vault, Value)> {
        let action = self.action(index);
        let inputs = &action.inputs;
        let text = |pointer: &str| inputs.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        let named = |pointer: &str| self.value(index, inputs.pointer(pointer).unwrap_or(&Json::Null));
        match action.kind {
            Kind::OpenApiConnection => {
                let operation = text("/host/operationId");
                let vaults = text("/host/apiId").ends_with("shared_keyvault")
                    || text("/host/connectionName").to_ascii_lowercase().contains("keyvault");
                if vaults && matches!(operation, "GetSecret" | "GetSecretVersion") {
                    return Some((self.vault_behind(text("/host/connectionName")), named("/parameters/secretName")));
                }
                if text("/parameters/actionName") == "RetrieveEnvironmentVariableSecretValue" {
                    let name = inputs.pointer("/parameters/item~1EnvironmentVariableName").unwrap_or(&Json::Null);
                    return Some((Vault::EnvironmentVariable, self.value(index, name)));
                }
                self.read_by_http(index)
            }
            Kind::ApiConnection if text("/method").eq_ignore_ascii_case("get") => {
                let path = named("/path");
                let secret = address::named_in(&path)?;
                Some((self.vault_behind(&connection(text("/host/connection/name"))), secret))
            }
            Kind::ServiceProvider => {
                let provider = text("/serviceProviderConfiguration/serviceProviderId").to_ascii_lowercase();
                let operation = text("/serviceProviderConfiguration/operationId").to_ascii_lowercase();
                if !provider.contains("keyvault") || operation != "getsecret" {
                    return None;
                }
                Some((
                    self.vault_behind(text("/serviceProviderConfiguration/connectionName")),
                    named("/parameters/secretName"),
                ))
            }
            Kind::Http => self.read_by_http(index),
            _ => None,
        }
    }

    fn read_by_http(&self, index: usize) -> Option<(Vault, Value)> {
        let request = Request::of(self, index).filter(|request| request.method == "GET")?;
        let secret = address::secret(self, &request)?;
        Some((secret.vault, secret.name))
    }

    /// The vault that a connection leads to: as the user said, as the template says, or just that connection.
    pub(crate) fn vault_behind(&self, connection: &str) -> Vault {
        let name = connection.to_lowercase();
        let said = self.vaults.get(&name).or_else(|| self.flow.connection_vaults.get(&name)).or_else(|| {
            // A template may name the connection otherwise than the action does; one vault leaves no choice.
            let mut vaults = self.flow.connection_vaults.values();
            vaults.next().filter(|_| vaults.next().is_none())
        });
        match said {
            Some(vault) => address::vault_of_name(vault),
            None => Vault::Connection(connection.to_owned()),
        }
    }
}

/// The connection's name in `@parameters('$connections')['keyvault']['connectionId']`.
fn connection(text: &str) -> String {
    let name = text.split_once("$connections')").and_then(|(_, rest)| rest.split('\'').nth(1));
    name.unwrap_or("keyvault").to_owned()
}
