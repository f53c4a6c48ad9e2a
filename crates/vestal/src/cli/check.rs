//! `check`: what is wrong with a configuration, or what it would do. It is read in this process; where Vestal runs on
//! it already, that is asked which of the named secrets are still missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vault::{SecretName, VaultName};

use super::client::Client;
use super::exit::Exit;
use super::folder::{CONFIG_FILE, Folder};
use super::problem::Problem;
use super::session::Session;
use super::when::plural;
use crate::admin::wire::SecretLine;
use crate::config::{self, Config, ConfigErrors, Explanation, ProblemRecord};

/// What `check --json` prints, whatever was found.
#[derive(Serialize)]
struct Report {
    /// The configuration file.
    file: String,
    /// What is wrong with it; empty where it can be run.
    problems: Vec<ProblemRecord>,
    /// What it works without for now: secrets that are not there yet. Absent where nobody could be asked.
    warnings: Option<Vec<ProblemRecord>>,
    /// What it would do; absent where something is wrong.
    would: Option<Explanation>,
}

pub(super) fn run(session: &mut Session) -> Result<(), Problem> {
    let path = session.said.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    let file = path.display().to_string();
    let config = match config::load(&path) {
        Ok(config) => config,
        Err(errors) if session.json => {
            session.output.json(&Report { file, problems: errors.records(), warnings: None, would: None })?;
            return Err(Problem::usage(sum(&errors, &path)));
        }
        Err(errors) => return Err(mistakes(&errors, &path)),
    };
    let missing = missing_secrets(&config);
    let would = config::explain(&config);
    if session.json {
        let warnings =
            missing.as_ref().ok().map(|errors| errors.as_ref().map(ConfigErrors::records).unwrap_or_default());
        return session.output.json(&Report { file, problems: Vec::new(), warnings, would: Some(would) });
    }
    session.output.text(&would.to_string())?;
    match missing {
        Ok(None) => Ok(()),
        Ok(Some(errors)) => session.output.say(&errors.render_warnings(true)),
        Err(_) => session.output.note(
            "No Vestal runs on its data folder that could be asked whether the secrets that it names are there.\n\
             Next: `vestal serve`, and `vestal secret set NAME` for each.",
        ),
    }
}

/// A configuration that can't be run, as a problem.
pub(super) fn mistakes(errors: &ConfigErrors, file: &Path) -> Problem {
    Problem::shown(Exit::Usage, format!("{}\n\n{}", errors.render(true), sum(errors, file)))
}

fn sum(errors: &ConfigErrors, file: &Path) -> String {
    format!("{} in {}", plural(errors.count() as u64, "mistake"), file.display())
}

/// The secrets that the configuration names and the running Vestal doesn't have.
///
/// # Errors
/// Where no Vestal runs on the configuration's data folder.
fn missing_secrets(config: &Config) -> Result<Option<ConfigErrors>, Problem> {
    let client = Client::new(Folder { path: config.process.store.data.clone(), named: true })?;
    let mut there: BTreeSet<(VaultName, String)> = BTreeSet::new();
    for vault in config.definitions.vaults.iter().filter_map(|vault| VaultName::parse(&vault.name).ok()) {
        let secrets: Vec<SecretLine> = match client.get(&format!("/vaults/{vault}/secrets")) {
            // A vault that isn't there yet has no secrets.
            Err(problem) if problem.exit() == Exit::NotFound => Vec::new(),
            answer => answer?,
        };
        // One that can't be read is there: to set it is not what mends it.
        let present =
            secrets.into_iter().filter(|secret| secret.version.as_ref().is_none_or(|version| version.enabled));
        there.extend(present.map(|secret| (vault.clone(), secret.name.to_ascii_lowercase())));
    }
    let is_there = |vault: &VaultName, name: &SecretName| there.contains(&(vault.clone(), name.folded().to_owned()));
    Ok(config.missing_secrets(is_there))
}
