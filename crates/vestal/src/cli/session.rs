//! What a command has at hand: the person or script that gave it, the clock, and the running Vestal.

use vault::{SecretName, VaultName};

use super::client::Client;
use super::folder::Said;
use super::input::Input;
use super::name::Named;
use super::output::Output;
use super::problem::Problem;
use super::when::Clock;
use crate::admin::wire::VaultView;

/// One run of the program.
pub(super) struct Session {
    pub(super) output: Output,
    pub(super) input: Input,
    pub(super) clock: Clock,
    /// What was said of the data folder and the configuration.
    pub(super) said: Said,
    /// `--vault` or `VESTAL_VAULT`.
    pub(super) vault: Option<VaultName>,
    /// `--json`.
    pub(super) json: bool,
}

impl Session {
    /// A client of the running process.
    pub(super) fn client(&self) -> Result<Client, Problem> {
        Client::new(self.said.find()?)
    }

    /// The vault that is meant: the one that was named, or the only one.
    pub(super) fn one_vault(&self, client: &Client) -> Result<VaultName, Problem> {
        if let Some(vault) = &self.vault {
            return Ok(vault.clone());
        }
        let vaults: Vec<VaultView> = client.get("/vaults")?;
        let names: Vec<&str> = vaults.iter().map(|vault| vault.name.as_str()).collect();
        match names.as_slice() {
            [only] => VaultName::parse(only).map_err(|error| Problem::failed(error.to_string())),
            [] => Err(Problem::usage("there is no vault yet")
                .help("declare one in the configuration file, `[vault.NAME]`, and run `vestal apply`")),
            several => Err(Problem::usage("there are several vaults, and none is named")
                .help(format!("write VAULT/NAME, or name one with --vault or VESTAL_VAULT: {}", several.join(", ")))),
        }
    }

    /// The secret or token that is meant, with its vault.
    pub(super) fn one(&self, client: &Client, named: &Named) -> Result<(VaultName, SecretName), Problem> {
        let vault = match &named.vault {
            Some(vault) => vault.clone(),
            None => self.one_vault(client)?,
        };
        Ok((vault, named.name.clone()))
    }

    /// Where a secret is in the admin API.
    pub(super) fn secret_path(&self, client: &Client, named: &Named) -> Result<String, Problem> {
        let (vault, name) = self.one(client, named)?;
        Ok(format!("/vaults/{vault}/secrets/{name}"))
    }

    /// Where a token is in the admin API.
    pub(super) fn token_path(&self, client: &Client, named: &Named) -> Result<String, Problem> {
        let (vault, name) = self.one(client, named)?;
        Ok(format!("/tokens/{vault}/{name}"))
    }

    /// What was done, in words; with `--json` the answer has said it.
    pub(super) fn note_unless_json(&mut self, text: &str) -> Result<(), Problem> {
        if self.json { Ok(()) } else { self.output.note(text) }
    }
}
