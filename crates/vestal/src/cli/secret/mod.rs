//! `secret`: what a vault holds, without its values, and how they come in.

mod list;
mod set;
mod show;
mod value;

use clap::Subcommand;

use self::set::SetArguments;
use super::name::Named;
use super::problem::Problem;
use super::session::Session;

#[derive(Subcommand)]
pub(super) enum SecretCommand {
    /// Set a secret: a new version with a new value
    Set(SetArguments),
    /// Show a secret and its versions, without its value
    #[command(after_help = "Next: `vestal get NAME` prints the value.")]
    Show {
        /// The secret: NAME, or VAULT/NAME
        name: Named,
    },
    /// List secrets, without their values
    #[command(after_help = "Without --vault it lists every vault. Next: `vestal secret show NAME`.")]
    List,
}

pub(super) fn run(command: SecretCommand, session: &mut Session) -> Result<(), Problem> {
    match command {
        SecretCommand::Set(arguments) => set::run(arguments, session),
        SecretCommand::Show { name } => show::run(&name, session),
        SecretCommand::List => list::run(session),
    }
}
