//! Every command, option and environment variable, each declared once: help, completions and `docs/cli.md` come from
//! these declarations.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use vault::{NameError, VaultName};

use super::app::AppCommand;
use super::completions::CompletionsArguments;
use super::exit::Exit;
use super::export::ExportCommand;
use super::folder::Said;
use super::get::GetArguments;
use super::import::ImportCommand;
use super::policy::PolicyCommand;
use super::secret::SecretCommand;
use super::start::{DevArguments, ServeArguments};
use super::style;
use super::targets::TargetCommand;
use super::token::TokenCommand;
use super::vaults::VaultCommand;

/// The order of a help text: what it is, how it is used by example, and then in full.
const TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

/// The heading of the options that every command has.
const EVERYWHERE: &str = "Options of every command";

/// Help is wrapped to the terminal, and to this many columns at most.
const WIDEST: usize = 100;

/// Keeps API access tokens alive, in a secret vault that speaks Azure Key Vault's REST API.
#[derive(Parser)]
#[command(name = "vestal", bin_name = "vestal", version, arg_required_else_help = true, subcommand_required = true)]
#[command(before_help = "\
Examples:
  vestal dev                            everything in one process, to try it out
  vestal serve --config vestal.toml     a configuration of your own
  vestal token list                     every managed token, and how it stands
  vestal get discord-api-oauth-token    a value, and nothing else

New here? `vestal dev` needs no configuration and no account anywhere.")]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The options of every command.
#[derive(Args)]
#[command(next_help_heading = EVERYWHERE)]
pub(super) struct Everywhere {
    /// The data folder of the Vestal that is meant; of `dev`, the one it runs on. Left out, it is ./.vestal, or that of
    /// ./vestal.toml
    #[arg(long, global = true, value_name = "DIR", env = "VESTAL_DIR", hide_env_values = true)]
    #[arg(value_parser = OsStringValueParser::new().map(SaidFolder::from))]
    dir: Option<SaidFolder>,
    /// The configuration file. Left out, it is ./vestal.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The vault that is meant where a NAME doesn't say; not needed where there is only one
    #[arg(long, global = true, value_name = "VAULT", env = "VESTAL_VAULT", hide_env_values = true)]
    vault: Option<SaidVault>,
    /// Print one JSON value in place of words; `dev` and `serve` print one a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Use colours: on terminals without NO_COLOR, always, or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorChoice,
    /// Print results and problems alone
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
}

impl Everywhere {
    /// The vault that was named.
    pub(super) fn vault(&self) -> Option<VaultName> {
        self.vault.as_ref().and_then(|said| said.0.clone())
    }
}

/// A folder. An empty environment variable names none.
#[derive(Clone)]
struct SaidFolder(Option<PathBuf>);

impl From<OsString> for SaidFolder {
    fn from(text: OsString) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }
}

/// A vault. An empty environment variable names none.
#[derive(Clone)]
struct SaidVault(Option<VaultName>);

impl FromStr for SaidVault {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() { Ok(Self(None)) } else { VaultName::parse(text).map(Some).map(Self) }
    }
}

/// What is to be done.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Start everything in one process, with a sandbox provider, to try Vestal out
    Dev(DevArguments),
    /// Run Vestal with a configuration file
    Serve(ServeArguments),
    /// Say what is wrong with a configuration, or what it would do
    #[command(before_help = "\
Examples:
  vestal check                              ./vestal.toml
  vestal check --config prod.toml --json    for an editor or a pipeline")]
    #[command(after_help = "Next: `vestal plan` compares it with what runs.")]
    Check,
    /// Show what `apply` would change in the running Vestal
    #[command(after_help = "\
Definitions are compared. What says how the process runs is read at its start alone.
Next: `vestal apply` does it.")]
    Plan,
    /// Bring a configuration's definitions into the running Vestal
    #[command(after_help = "\
What has left the file is paused and kept for 30 days. What was made by command stays.
Next: `vestal token list` shows how the tokens stand.")]
    Apply,
    /// Print a secret's value, and nothing else
    Get(GetArguments),
    /// Set and show secrets
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Watch and steer managed tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Register apps, the identities that may call a vault
    #[command(subcommand)]
    App(AppCommand),
    /// Say what apps may do
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show targets, the vaults that tokens are delivered to
    #[command(subcommand)]
    Target(TargetCommand),
    /// Show vaults
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Take over what kept tokens fresh before
    #[command(subcommand)]
    Import(ImportCommand),
    /// Write files for other programs
    #[command(subcommand)]
    Export(ExportCommand),
    /// Show the running Vestal; exit status 1 if it is not ready
    Status,
    /// Print the JSON schema of the configuration file, for editors
    #[command(before_help = "\
Examples:
  vestal schema > vestal.schema.json    beside vestal.toml, whose first line is `#:schema vestal.schema.json`")]
    #[command(after_help = "\
With it an editor completes the settings, explains them, and marks mistakes. Next: `vestal check`.")]
    Schema,
    /// Print completions for a shell
    Completions(CompletionsArguments),
}

/// All commands, as help, completions and reference see them.
pub(super) fn command() -> clap::Command {
    with_template(Arguments::command())
        .styles(style::HELP)
        .max_term_width(WIDEST)
        .after_help(format!("Exit status:{}", Exit::list()))
}

fn with_template(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.iter().fold(command.help_template(TEMPLATE), |command, name| command.mut_subcommand(name, with_template))
}

/// Reads the arguments, and what they and the environment say of the running Vestal.
///
/// # Errors
/// What is wrong with them; or that help or the version was asked for.
pub(super) fn read(arguments: &[OsString]) -> Result<(Arguments, Said), clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    let said = Said {
        folder: arguments.everywhere.dir.as_ref().and_then(|said| said.0.clone()),
        by_environment: innermost(&matches).value_source("dir") == Some(ValueSource::EnvVariable),
        config: arguments.everywhere.config.clone(),
    };
    Ok((arguments, said))
}

/// The matches of the last subcommand: options of every command are known there, wherever they stood.
fn innermost(matches: &clap::ArgMatches) -> &clap::ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// Whether `--color` asks for colours, as far as that can be told of arguments that are not understood.
pub(super) fn color_in(arguments: &[OsString]) -> ColorChoice {
    let texts = || arguments.iter().map(|argument| argument.to_string_lossy());
    let joined = texts().find_map(|text| text.strip_prefix("--color=").map(str::to_owned));
    let apart = || texts().skip_while(|text| text != "--color").nth(1).map(|text| text.into_owned());
    joined.or_else(apart).and_then(|word| word.parse().ok()).unwrap_or(ColorChoice::Auto)
}
