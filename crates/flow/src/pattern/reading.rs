//! Which actions read a secret of a key vault.

use std::collections::BTreeMap;

use super::{Read, Study, VaultPlace};
use crate::address::{self, Place, is_secret_name};
use crate::flow::ActionId;
use crate::request::Request;
use crate::term::Term;

impl Study<'_> {
    /// The secret that an action reads, if it reads one.
    pub(super) fn read_of(
        &mut self,
        id: ActionId,
        request: Option<&Request>,
        place: Option<&Place>,
        vaults: &BTreeMap<String, String>,
    ) -> Option<Read> {
        if let (Some(request), Some(Place::Secret(address))) = (request, place) {
            if request.method != "GET" {
                return None;
            }
            if address.version.is_some() {
                self.gap(Some(id), "it reads one version of a secret for ever; Vestal reads the newest");
            }
            return Some(Read { vault: VaultPlace::Known(address.vault.clone()), secret: address.name.clone() });
        }
        let action = &self.flow.actions[id];
        let inputs = self.trace.inputs[id].clone();
        let at = |path: &[&str]| path.iter().fold(inputs.clone(), |term, key| term.part(&Term::text(*key)));
        let text = |path: &[&str]| at(path).as_text().unwrap_or_default();
        // In the connection's own expression: `@parameters('$connections')['keyvault']['connectionId']`.
        let by_parameter = || {
            let written = action.inputs.pointer("/host/connection/name").and_then(serde_json::Value::as_str)?;
            written.split('\'').nth(3).map(str::to_owned)
        };
        let (connection, name) = match action.kind.as_str() {
            "openapiconnection" | "openapiconnectionwebhook" => {
                let connection = [text(&["host", "connectionName"]), text(&["host", "connectionReferenceName"])];
                let connection = connection.into_iter().find(|name| !name.is_empty()).or_else(by_parameter)?;
                let is_vault = text(&["host", "apiId"]).ends_with("shared_keyvault") || connection.contains("keyvault");
                if !is_vault || !text(&["host", "operationId"]).eq_ignore_ascii_case("GetSecret") {
                    return None;
                }
                (connection, Ok(at(&["parameters", "secretName"])))
            }
            "apiconnection" => {
                let connection = by_parameter().unwrap_or_else(|| text(&["host", "connection", "name"]));
                if !text(&["method"]).eq_ignore_ascii_case("get") || !connection.to_lowercase().contains("keyvault") {
                    return None;
                }
                let name = address::name_in_path(&at(&["path"]))?;
                (connection, name.map(Term::text))
            }
            "serviceprovider" => {
                let configuration = |key| text(&["serviceProviderConfiguration", key]);
                let provider = configuration("serviceProviderId").to_lowercase();
                if !provider.ends_with("/keyvault") || !configuration("operationId").eq_ignore_ascii_case("getSecret") {
                    return None;
                }
                (configuration("connectionName"), Ok(at(&["parameters", "secretName"])))
            }
            _ => return None,
        };
        let keys = [format!("{}/{connection}", self.title), connection.clone()];
        let said = keys.into_iter().find_map(|key| vaults.get_key_value(&key));
        self.answered.extend(said.map(|(key, _)| key.clone()));
        let known = said.map(|(_, vault)| vault.as_str()).or_else(|| self.flow.connections.vault(&connection));
        let vault = match known {
            Some(vault) => VaultPlace::Known(vault.to_owned()),
            None => VaultPlace::Connection(connection),
        };
        match name {
            Ok(name) => match name.as_text().filter(|name| is_secret_name(name)) {
                Some(secret) => Some(Read { vault, secret }),
                None => {
                    let words = format!("it reads a secret whose name is {}", self.why(&name));
                    self.gap(Some(id), words);
                    None
                }
            },
            Err(words) => {
                self.gap(Some(id), words);
                None
            }
        }
    }

    /// Whether an action looks at a key vault through a connection.
    pub(crate) fn is_about_vault(&self, id: ActionId) -> bool {
        let action = &self.flow.actions[id];
        if self.reads[id].is_some() {
            return true;
        }
        let host = action.inputs.get("host").map(ToString::to_string).unwrap_or_default().to_lowercase();
        let provider = action.inputs.get("serviceProviderConfiguration").map(ToString::to_string).unwrap_or_default();
        host.contains("keyvault") || provider.to_lowercase().contains("/keyvault")
    }
}
