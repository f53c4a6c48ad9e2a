//! `DIR/dev.env`: what a shell sources to sign in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use keyvault::{Now, Replacement};
use zeroize::Zeroizing;

use super::setup::{FLOW, READER, ROOT, TOKEN_NAME, VAULT};
use crate::clock;
use crate::engine::{Engine, ServeError};

/// The file's name in the data folder.
pub const ENVIRONMENT_FILE: &str = "dev.env";

/// An app's way to sign in.
pub(super) struct SignIn {
    client_id: String,
    client_secret: Zeroizing<String>,
}

/// The variables of each app: client id and client secret.
const VARIABLES: [(&str, &str, &str); 3] = [
    (ROOT, "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
    (READER, "VESTAL_READER_CLIENT_ID", "VESTAL_READER_CLIENT_SECRET"),
    (FLOW, "VESTAL_FLOW_CLIENT_ID", "VESTAL_FLOW_CLIENT_SECRET"),
];

/// The apps by name. A client secret that the file has and that still works stays; else there is a new one.
pub(super) async fn apps(engine: &Engine, folder: &Path) -> Result<BTreeMap<&'static str, SignIn>, ServeError> {
    let before = read(&folder.join(ENVIRONMENT_FILE));
    let now = Now { unix_ms: clock::now().wall.0 };
    let failed = |error: keyvault::AppError| ServeError(error.to_string());
    let known = engine.keyvault().apps().await.map_err(failed)?;
    let mut apps = BTreeMap::new();
    for (app, id_variable, secret_variable) in VARIABLES {
        let declared = known
            .iter()
            .find(|declared| declared.name == app)
            .ok_or_else(|| ServeError(format!("the app {app} is missing; please report it")))?;
        let client_id = declared.body.client_id.to_string();
        let kept = before.get(secret_variable).filter(|secret| {
            before.get(id_variable).is_some_and(|id| **id == client_id)
                && engine.keyvault().signs_in(&declared.body.client_id, secret.as_bytes(), now)
        });
        let client_secret = match kept {
            Some(secret) => secret.clone(),
            None => {
                // Nobody has the ones before any more: they were in the file alone.
                let replacement = Replacement { old_end: 0, new_ends: None };
                let issued = engine.keyvault().rotate_secret(app, replacement, now).await.map_err(failed)?;
                Zeroizing::new(issued.client_secret.expose_str().unwrap_or_default().to_owned())
            }
        };
        apps.insert(app, SignIn { client_id, client_secret });
    }
    Ok(apps)
}

/// Writes the file, 0600 from its first byte.
pub(super) fn write(
    engine: &Engine,
    folder: &Path,
    bundle: &Path,
    authority_file: &Path,
    apps: &BTreeMap<&'static str, SignIn>,
) -> Result<(), ServeError> {
    let mut text = Zeroizing::new(String::new());
    let mut line = |name: &str, value: &str| {
        // Quoted for a shell; a path may hold anything, such as a tilde that stands for no home.
        let quoted = value.replace('\'', r"'\''");
        if value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c)) {
            let _ = writeln!(text, "{name}={value}");
        } else {
            let _ = writeln!(text, "{name}='{quoted}'");
        }
    };
    line("VESTAL_VAULT_URL", &engine.addresses().vault_url(VAULT));
    line("VESTAL_VAULT", VAULT);
    line("VESTAL_DIR", &folder.display().to_string());
    line("VESTAL_TOKEN_NAME", TOKEN_NAME);
    line("AZURE_AUTHORITY_HOST", &engine.addresses().authority);
    // The one tenant for which no SDK asks Microsoft first.
    line("AZURE_TENANT_ID", "adfs");
    for (app, id_variable, secret_variable) in VARIABLES {
        if let Some(app) = apps.get(app) {
            line(id_variable, &app.client_id);
            line(secret_variable, &app.client_secret);
        }
    }
    // curl looks at the last of them only where neither CURL_CA_BUNDLE nor SSL_CERT_DIR is set before.
    for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
        line(name, &bundle.display().to_string());
    }
    line("NODE_EXTRA_CA_CERTS", &authority_file.display().to_string());

    let path = folder.join(ENVIRONMENT_FILE);
    let failed = |error: std::io::Error| ServeError(format!("{} can't be written: {error}", path.display()));
    let fresh = folder.join("dev.env.new");
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    // Whole or not at all: a shell may be reading it.
    fs::rename(&fresh, &path).map_err(failed)
}

fn read(path: &Path) -> BTreeMap<String, Zeroizing<String>> {
    let text = Zeroizing::new(fs::read_to_string(path).unwrap_or_default());
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), Zeroizing::new(value.trim_matches('\'').to_owned())))
        .collect()
}

#[cfg(test)]
mod tests;
