//! `secret`: what a vault holds, without its values, and how they come in.

mod backup;
mod deleted;
mod list;
mod set;
mod show;
mod value;

use clap::Subcommand;

use self::backup::{BackupArguments, RestoreArguments};
use self::deleted::{DeleteArguments, PurgeArguments};
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
    List {
        /// List those that are deleted and can be recovered
        #[arg(long)]
        deleted: bool,
    },
    /// Delete a secret; it can be recovered for a while
    Delete(DeleteArguments),
    /// Bring a deleted secret back as it was
    #[command(after_help = "`vestal secret list --deleted` shows what can be brought back.")]
    Recover {
        /// The deleted secret: NAME, or VAULT/NAME
        name: Named,
    },
    /// Destroy a deleted secret for good
    Purge(PurgeArguments),
    /// Take a secret with all its versions away, sealed
    Backup(BackupArguments),
    /// Bring back what `backup` took away
    Restore(RestoreArguments),
}

pub(super) fn run(command: SecretCommand, session: &mut Session) -> Result<(), Problem> {
    match command {
        SecretCommand::Set(arguments) => set::run(arguments, session),
        SecretCommand::Show { name } => show::run(&name, session),
        SecretCommand::List { deleted: false } => list::run(session),
        SecretCommand::List { deleted: true } => deleted::list(session),
        SecretCommand::Delete(arguments) => deleted::delete(&arguments, session),
        SecretCommand::Recover { name } => deleted::recover(&name, session),
        SecretCommand::Purge(arguments) => deleted::purge(&arguments, session),
        SecretCommand::Backup(arguments) => backup::back_up(&arguments, session),
        SecretCommand::Restore(arguments) => backup::restore(&arguments, session),
    }
}
