//! `export`: files for other programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use vault::VaultName;

use super::check::mistakes;
use super::exit::Exit;
use super::folder::CONFIG_FILE;
use super::problem::Problem;
use super::session::Session;
use crate::config::{self, Config};
use crate::export::{self, Connector, DEFINITION_FILE, HomeVault, PROPERTIES_FILE, SCRIPT_FILE};

#[derive(Subcommand)]
pub(super) enum ExportCommand {
    /// Write a custom connector, through which flows of Power Automate read tokens from a vault
    Connector(ConnectorArguments),
}

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal export connector                            of ./vestal.toml, into ./vestal-connector
  vestal export connector --vault contoso --port 443 where a forwarded port 443 leads to Vestal")]
#[command(after_help = "\
It writes three files: apiDefinition.swagger.json, apiProperties.json and script.csx. No secret is in them.
Next: make the connector of them, as docs/power-platform.md says, and an app for its connection: `vestal app create`.")]
pub(super) struct ConnectorArguments {
    /// The folder that the files are written to; it is made
    #[arg(long, value_name = "FOLDER", default_value = "vestal-connector")]
    out: PathBuf,
    /// The port that Power Platform reaches the vault on. Left out, it is that of `listen`
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Write over the files of an earlier export
    #[arg(long)]
    force: bool,
}

pub(super) fn run(command: &ExportCommand, session: &mut Session) -> Result<(), Problem> {
    let ExportCommand::Connector(arguments) = command;
    let path = session.said.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    let config = config::load(&path).map_err(|errors| mistakes(&errors, &path))?;
    let vault = the_vault(session.vault.as_ref(), &config)?;

    let server = &config.process.server;
    let port = arguments.port.unwrap_or(server.listen.port());
    let url = server.vault_url_for(&vault, port);
    let authority = server.authority_for(port);
    let home = format!("https://{vault}.");
    let domain = url.strip_prefix(&home).unwrap_or(&url);
    let secrets = tokens_of(&vault, &config);
    let made = export::connector(&HomeVault { name: vault.as_str(), domain, authority: &authority, secrets: &secrets });
    let files = write(&made, &arguments.out, arguments.force)?;

    if server.domain.is_local() || server.certificate.is_none() {
        session.output.warn(&format!(
            "Power Platform calls from the internet and trusts public certificates alone: it will reach {url} only with \
             a public `domain`, and with `certificate` and `key` in `[server]`."
        ))?;
    }
    if session.json {
        return session.output.json(&json!({
            "files": files,
            "token_endpoint": export::token_endpoint(&authority),
            "vault_url": url,
        }));
    }
    for file in files {
        session.output.line(&file)?;
    }
    session.output.note(&format!(
        "A connector for {url}. Its connections ask for the client id and client secret of an app:\n\
         Next: `vestal app create NAME`, `vestal policy set NAME --app NAME --permissions get --names PATTERN`, and the \
         section on the custom connector in docs/power-platform.md."
    ))
}

/// The vault that was named, or the only one that the configuration declares.
fn the_vault(named: Option<&VaultName>, config: &Config) -> Result<VaultName, Problem> {
    let vaults: Vec<VaultName> =
        config.definitions.vaults.iter().filter_map(|vault| VaultName::parse(&vault.name).ok()).collect();
    let names = || vaults.iter().map(VaultName::as_str).collect::<Vec<_>>().join(", ");
    match (named, vaults.as_slice()) {
        (_, []) => Err(Problem::usage(format!("{} declares no vault", config.file)).help("add one: `[vault.NAME]`")),
        (Some(named), vaults) if vaults.contains(named) => Ok(named.clone()),
        (Some(named), _) => Err(Problem::new(Exit::NotFound, format!("{} has no vault {named}", config.file))
            .help(format!("name one of these with --vault: {}", names()))),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Problem::usage("there are several vaults, and none is named")
            .help(format!("name one with --vault or VESTAL_VAULT: {}", names()))),
    }
}

/// The secrets of the vault's managed tokens.
fn tokens_of(vault: &VaultName, config: &Config) -> Vec<String> {
    let tokens = config.definitions.tokens.iter().filter(|token| token.body.vault == *vault);
    let mut names: Vec<String> = tokens
        .map(|token| {
            token.body.secret.as_ref().map_or_else(|| token.name.clone(), |secret| secret.as_written().to_owned())
        })
        .collect();
    names.sort();
    names
}

/// Writes the files, or none of them where one is there already. Their paths.
fn write(connector: &Connector, folder: &Path, force: bool) -> Result<Vec<String>, Problem> {
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let files = [
        (DEFINITION_FILE, pretty(&connector.definition)),
        (PROPERTIES_FILE, pretty(&connector.properties)),
        (SCRIPT_FILE, connector.script.clone()),
    ]
    .map(|(name, text)| (folder.join(name), text));
    if let Some((there, _)) = files.iter().find(|(path, _)| !force && path.exists()) {
        return Err(Problem::new(Exit::Refused, format!("{} is there already", there.display()))
            .help("name another folder with --out, or write over it with --force"));
    }
    let refused = |path: &Path| {
        let what = format!("{} can't be written", path.display());
        move |error: io::Error| Problem::io(what, &error)
    };
    fs::create_dir_all(folder).map_err(refused(folder))?;
    files
        .iter()
        .map(|(path, text)| {
            fs::write(path, text).map_err(refused(path))?;
            Ok(path.display().to_string())
        })
        .collect()
}
