//! What an import of flows needs of Vestal: the providers that it knows, and a vault for the secrets that stood in clear.

use std::sync::Arc;

use flow::{ClearSecret, Preset};
use oauth::DocumentedLifetime;
use serde::Serialize;
use store::rows::DefinitionKind;
use store::{Audit as _, AuditEntry, AuditOutcome, NewSecret, RecordError, Records, Store};
use vault::{SecretBody, SecretName, VaultName};

use crate::admin::wire::SetSecret;
use crate::audit::AuditFile;
use crate::config::Config;
use crate::engine::OpenStore;
use crate::{clock, definitions};

/// The tag of a secret that stood in a flow in clear text, and is to be changed.
pub const CHANGE_TAG: &str = "vestal-change-this";

/// What the tag says.
pub const CHANGE_WORDS: &str = "it stood in a flow in clear text";

/// The presets, as an import needs them.
pub fn presets() -> Vec<Preset> {
    let complete = oauth::preset_names().filter_map(|name| oauth::resolve(name, &Default::default()).ok());
    complete
        .map(|provider| Preset {
            token_url: provider.token_url.url().as_str().to_owned(),
            scope_separator: provider.scope_separator,
            lifetime: match provider.lifetime.documented {
                Some(DocumentedLifetime::For(life)) => Some(life.as_secs()),
                _ => None,
            },
            name: provider.name,
        })
        .collect()
}

/// A secret as the admin API takes it.
pub fn wanted(secret: &ClearSecret) -> SetSecret {
    SetSecret {
        value: secret.value.expose_str().unwrap_or_default().to_owned(),
        not_before: None,
        expires: None,
        content_type: None,
        tags: [(CHANGE_TAG.to_owned(), CHANGE_WORDS.to_owned())].into(),
    }
}

/// What became of a secret that stood in clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// It is in the vault now.
    Written,
    /// It was in the vault already.
    ThereAlready,
    /// Another value is in the vault under its name, and stays there: most likely somebody has changed it since, as told.
    AnotherValue,
}

/// Puts the secrets into the vault of a Vestal that doesn't run, and tells what became of each. In a new data folder, the
/// configuration's definitions are made too, as the first start would do it.
///
/// # Errors
/// Why nothing, or not all, was put there; with the next step.
pub async fn keep(config: &Config, secrets: &[ClearSecret]) -> Result<Vec<Kept>, String> {
    let store = &config.process.store;
    let open = OpenStore::open(&store.data, &store.key_path()).await.map_err(|error| error.to_string())?;
    let records = Arc::clone(open.records());
    let audit = AuditFile::open(&open.data().file("audit.jsonl")).map_err(|error| error.to_string())?;
    let vaults =
        records.definitions::<serde_json::Value>(DefinitionKind::Vault).await.map_err(|error| error.to_string())?;
    if vaults.is_empty() {
        definitions::apply(&records, config, clock::now()).await.map_err(|error| error.to_string())?;
    } else if let Some(missing) = secrets.iter().find(|secret| vaults.iter().all(|vault| vault.name != secret.vault)) {
        return Err(format!(
            "the Vestal in {} has no vault {}: name one that it has with --vault, or another folder with --dir",
            store.data.display(),
            missing.vault
        ));
    }
    let mut kept = Vec::new();
    for secret in secrets {
        kept.push(put(&records, &audit, secret).await?);
    }
    Ok(kept)
}

async fn put<S: Store>(records: &Records<S>, audit: &AuditFile, secret: &ClearSecret) -> Result<Kept, String> {
    let vault = VaultName::parse(&secret.vault).map_err(|error| error.to_string())?;
    let name = SecretName::parse(&secret.name).map_err(|error| error.to_string())?;
    match records.current_in_store(&vault, &name).await {
        Ok(current) => {
            let there = records.body(&current.version).map_err(|error| error.to_string())?;
            return Ok(compared(secret, there.value.expose_str()));
        }
        Err(RecordError::NotFound) => {}
        Err(error) => return Err(error.to_string()),
    }
    let now = clock::now().wall.0;
    let entry = AuditEntry {
        unix_ms: now,
        app: Some("admin"),
        operation: "SecretSet",
        vault: vault.as_str(),
        name: name.folded(),
        version: None,
        outcome: AuditOutcome::Allowed,
        peer: None,
    };
    audit.write(&entry).await.map_err(|error| error.to_string())?;
    let body = SecretBody {
        value: secret.value.duplicate(),
        content_type: None,
        tags: wanted(secret).tags,
        updated: now / 1000,
        written_by: "admin".to_owned(),
    };
    body.check_limits().map_err(|error| format!("{}: {error}", secret.name))?;
    let new = NewSecret { vault, name, body, enabled: true, not_before: None, expires: None, now: now / 1000 };
    records.set(new).await.map(|_| Kept::Written).map_err(|error| error.to_string())
}

/// How a secret of the vault compares with the one that stood in clear text.
pub fn compared(secret: &ClearSecret, there: Option<&str>) -> Kept {
    if there == secret.value.expose_str() { Kept::ThereAlready } else { Kept::AnotherValue }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use flow::Options;

    use super::*;
    use crate::config;

    /// Every JSON file of a folder and those in it.
    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).expect("the flows are there") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }

    #[test]
    fn what_an_import_writes_is_a_configuration_without_mistakes() {
        let mut found = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../flow/tests/flows"), &mut found);
        let mut written = 0;
        for path in found {
            let bytes = fs::read(&path).expect("it can be read");
            let Ok(flows) = flow::read("flow.json", &bytes) else { continue };
            for shadow in [false, true] {
                let options =
                    Options { home_vault: "home".to_owned(), presets: presets(), shadow, ..Options::default() };
                let import = flow::import(&flows, &options);
                if import.toml.is_empty() {
                    continue;
                }
                if let Err(errors) = config::parse(&import.toml, "vestal.toml", Path::new("/tmp")) {
                    panic!("{}: {}\n{}", path.display(), errors.render(false), import.toml);
                }
                written += 1;
            }
        }
        assert!(written >= 40, "{written}");
    }
}
