//! What the store holds of a file's definitions, in the form in which definitions are compared.

use std::collections::BTreeMap;

use delivery::TargetDefinition;
use keyvault::VaultDefinition;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::rows::{DefinitionKind, Origin};
use store::{Declared, RecordError, Records, Store};
use vault::{App, Policy};

use crate::config::DefinitionView;

/// The definitions that stand in the file, as the store has them.
///
/// # Errors
/// Why the store could not answer.
pub async fn stored_views<S: Store>(records: &Records<S>) -> Result<Vec<DefinitionView>, RecordError> {
    let mut views = Vec::new();
    let apps = records.definitions::<App>(DefinitionKind::App).await?;
    let names: BTreeMap<String, String> =
        apps.iter().map(|app| (app.body.object_id.to_string(), app.name.clone())).collect();
    for vault in of_file::<S, VaultDefinition>(records, DefinitionKind::Vault).await? {
        views.push(view("vault", vault.name, json!(vault.body)));
    }
    for target in of_file::<S, TargetDefinition>(records, DefinitionKind::Target).await? {
        views.push(view("target", target.name, json!(target.body)));
    }
    for provider in of_file::<S, Value>(records, DefinitionKind::Provider).await? {
        views.push(view("provider", provider.name, provider.body));
    }
    for token in of_file::<S, Value>(records, DefinitionKind::Token).await? {
        views.push(view("token", token.name, token.body));
    }
    for app in apps.into_iter().filter(in_file) {
        views.push(view("app", app.name, json!({})));
    }
    for policy in of_file::<S, Policy>(records, DefinitionKind::Policy).await? {
        let app = names.get(policy.body.app.as_str()).cloned().unwrap_or_default();
        let body = json!({
            "app": app,
            "vault": policy.body.vault,
            "permissions": policy.body.permissions,
            "names": policy.body.names,
        });
        views.push(view("policy", policy.name, body));
    }
    Ok(views)
}

async fn of_file<S: Store, T: DeserializeOwned>(
    records: &Records<S>,
    kind: DefinitionKind,
) -> Result<Vec<Declared<T>>, RecordError> {
    let stored = records.definitions_where::<T>(kind, |_, origin| origin == Origin::File).await?;
    Ok(stored.into_iter().filter(in_file).collect())
}

fn in_file<T>(declared: &Declared<T>) -> bool {
    declared.origin == Origin::File && declared.removed.is_none()
}

fn view(kind: &str, name: String, body: Value) -> DefinitionView {
    DefinitionView { kind: kind.to_owned(), name, body, source: None }
}
