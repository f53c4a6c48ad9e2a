//! What the hand-built way makes step by step, made at once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secret::Secret;
use store::{Entropy as _, NewSecret, RecordError, Records, Store};
use vault::{SecretBody, SecretName, VaultName};

use super::Say;
use crate::cli::DevOptions;
use crate::clock::{self, SystemEntropy};
use crate::config::{self, ProcessSettings};
use crate::engine::{Addresses, Engine, ServeError};

/// The configuration's name in the data folder.
pub(super) const CONFIGURATION_FILE: &str = "vestal.toml";
/// How a configuration begins that `vestal dev` wrote.
const MARK: &str = "# Written by `vestal dev`";

/// The vault.
pub(super) const VAULT: &str = "dev";
/// The managed token.
pub(super) const TOKEN_NAME: &str = "discord-api-oauth-token";
/// The secrets that it is obtained with.
const CLIENT_ID: &str = "client-id";
const CLIENT_SECRET: &str = "client-credentials";
/// An app that may do everything.
pub(super) const ROOT: &str = "dev";
/// The app of the hand-built flow: get and set.
pub(super) const FLOW: &str = "key-vaults-api";
/// An app that may only get the managed token.
pub(super) const READER: &str = "reader";

/// The process settings of `vestal dev`. Health and metrics take a free port where the usual one is taken.
pub(super) fn process_settings(options: &DevOptions) -> Result<ProcessSettings, ServeError> {
    let folder = std::path::absolute(&options.dir).unwrap_or_else(|_| options.dir.clone());
    let text = format!("[server]\nlisten = \"{}\"\n", options.listen);
    let config = config::parse(&text, "vestal dev", &folder).map_err(|errors| ServeError(errors.render(false)))?;
    let mut settings = config.process;
    settings.store.data = folder;
    settings.observe.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(settings)
}

/// Refuses a folder with a configuration that somebody else wrote: it would be overwritten.
pub(super) fn spare_configurations(folder: &Path) -> Result<(), ServeError> {
    let file = folder.join(CONFIGURATION_FILE);
    match fs::read(&file) {
        Ok(text) if !text.is_empty() && !text.starts_with(MARK.as_bytes()) => Err(ServeError(format!(
            "{} was not written by `vestal dev`, which would overwrite it: run it with `vestal serve --config {}`, \
             or name another folder with --dir",
            file.display(),
            file.display(),
        ))),
        // Where it can't be read, it can't be written either, and that is told then.
        _ => Ok(()),
    }
}

/// Writes the configuration, whole or not at all.
pub(super) fn write_configuration(file: &Path, text: &str) -> Result<(), ServeError> {
    let fresh = file.with_extension("toml.new");
    let write = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).open(&fresh)?;
        out.write_all(text.as_bytes())?;
        fs::rename(&fresh, file)
    };
    write().map_err(|error| ServeError(format!("{} can't be written: {error}", file.display())))
}

/// The configuration that `vestal dev` runs, as somebody would write it.
pub(super) fn configuration(addresses: &Addresses, token_url: &str) -> String {
    format!(
        r#"{MARK} at each start, and read by it: an example of a configuration, not a place for settings.
# What you would change for the real thing is in examples/discord.toml.

[server]
listen = "{https}"
domain = "vault.localhost"

# The hand-built flow's key vault.
[vault.{VAULT}]

# A provider of one's own: the Discord preset with another address, that of the sandbox in this process.
[provider.sandbox]
extends = "discord"
title = "the sandbox"
token_url = "{token_url}"

# The managed token. Its client id and secret are secrets of the vault, as in the flow.
[token.{TOKEN_NAME}]
vault = "{VAULT}"
provider = "sandbox"
client_id = {{ secret = "{CLIENT_ID}" }}
client_secret = {{ secret = "{CLIENT_SECRET}" }}
scope = ["identify"]

# May do everything: dev.env signs you in as this app.
[app.{ROOT}]
[policy.{ROOT}-everything]
app = "{ROOT}"
vault = "{VAULT}"
permissions = ["get", "list", "set", "delete", "recover", "backup", "restore", "purge"]

# The app registration of the hand-built flow, with get and set on all secrets.
[app.{FLOW}]
[policy.{FLOW}-get-set]
app = "{FLOW}"
vault = "{VAULT}"
permissions = ["get", "set"]

# What the hand-built flow can't have: an app that may read the token and nothing else.
[app.{READER}]
[policy.{READER}-token]
app = "{READER}"
vault = "{VAULT}"
permissions = ["get"]
names = ["{TOKEN_NAME}"]
"#,
        https = addresses.https,
    )
}

/// The sandbox's client, kept in the vault.
pub(super) struct Credential {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
}

impl Credential {
    /// The credential in the vault, or a new one.
    pub(super) async fn open_or_create<S: Store>(records: &Records<S>) -> Result<Self, ServeError> {
        let random = hexadecimal(&SystemEntropy.bytes16());
        let client_id = secret_or(records, CLIENT_ID, &format!("sandbox-{}", &random[..8])).await?;
        let client_secret = secret_or(records, CLIENT_SECRET, &hexadecimal(&SystemEntropy.bytes32())).await?;
        let client_id = client_id
            .expose_str()
            .ok_or_else(|| {
                ServeError(format!("the secret {CLIENT_ID} isn't text: set it again, or start with another --dir"))
            })?
            .to_owned();
        Ok(Self { client_id, client_secret })
    }
}

/// The third secret: made empty, as in the flow; the renewer fills it.
pub(super) async fn vault_and_secrets(engine: &Engine) -> Result<(), ServeError> {
    secret_or(engine.records(), TOKEN_NAME, "").await.map(drop)
}

/// The secret's value, which is set to `otherwise` where it isn't there.
async fn secret_or<S: Store>(records: &Records<S>, name: &str, otherwise: &str) -> Result<Secret, ServeError> {
    let invalid = |_| ServeError(format!("`{name}` can't be named so; please report it"));
    let vault = VaultName::parse(VAULT).map_err(invalid)?;
    let name = SecretName::parse(name).map_err(invalid)?;
    match records.current(&vault, &name).await {
        Ok(current) => return Ok(records.body(&current.version)?.value),
        Err(RecordError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let now = clock::unix_seconds();
    match records.recover_secret(&vault, &name, now).await {
        // Somebody tried out what deleting does.
        Ok(recovered) => return Ok(recovered.body.value),
        Err(RecordError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let value = Secret::copy_of(otherwise.as_bytes());
    let body = SecretBody {
        value: value.duplicate(),
        content_type: None,
        tags: std::collections::BTreeMap::new(),
        updated: now,
        written_by: "vestal dev".to_owned(),
    };
    records.set(NewSecret { vault, name, body, enabled: true, not_before: None, expires: None, now }).await?;
    Ok(value)
}

/// What a newcomer does next.
pub(super) fn welcome(say: &dyn Say, environment: &Path, vault_url: &str, lifetime: Duration) {
    let environment: PathBuf = environment.to_owned();
    say.hint(&format!(
        "The vault {vault_url} keeps the token {TOKEN_NAME} alive; the sandbox's tokens live {} s.\n\
         In another shell:\n\
         \x20 set -a; . {}; set +a                # any Azure SDK and the az command line sign in with this\n\
         \x20 vestal get {TOKEN_NAME}\n\
         \x20 vestal token history {TOKEN_NAME}",
        lifetime.as_secs(),
        environment.display(),
    ));
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_somebodys_own_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(CONFIGURATION_FILE);
        spare_configurations(folder.path()).expect("there is none");
        write_configuration(&file, &format!("{MARK} once")).expect("written");
        spare_configurations(folder.path()).expect("it is our own");
        fs::write(&file, "[vault.contoso]\n").expect("written");
        let refused = spare_configurations(folder.path()).expect_err("it is somebody's");
        assert!(refused.to_string().contains("vestal serve"), "{refused}");
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, target) = (folder.path().join(CONFIGURATION_FILE), folder.path().join("target"));
        fs::write(&target, "precious").expect("written");
        std::os::unix::fs::symlink(&target, &file).expect("linked");
        write_configuration(&file, MARK).expect("written");
        assert_eq!(fs::read_to_string(&target).expect("there"), "precious");
        assert_eq!(fs::read_to_string(&file).expect("there"), MARK);
    }
}
