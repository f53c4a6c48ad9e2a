//! `token`: managed tokens, how they stand, and what a person can do about it.

mod history;
mod list;
mod show;
mod steer;

use clap::Subcommand;

use self::history::HistoryArguments;
use self::steer::RenewArguments;
use super::name::Named;
use super::problem::Problem;
use super::session::Session;

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// List managed tokens, and how each stands
    #[command(after_help = "\
States: fresh, due, retrying, expiring (little life is left), expired, needs consent, paused.
Next: `vestal token show NAME` tells all about one.")]
    List,
    /// Show all about a token: its life, where it comes from, what it is obtained with, and what to look at
    #[command(after_help = "Next: `vestal token history NAME` shows its renewals.")]
    Show {
        /// The token: NAME, or VAULT/NAME
        name: Named,
    },
    /// Renew a token now
    Renew(RenewArguments),
    /// Stop renewing a token, until it is resumed
    #[command(after_help = "Its value stays readable until it ends. Next: `vestal token resume NAME`.")]
    Pause {
        /// The token: NAME, or VAULT/NAME
        name: Named,
    },
    /// Renew a paused token again, beginning now
    #[command(after_help = "Next: `vestal token show NAME`.")]
    Resume {
        /// The token: NAME, or VAULT/NAME
        name: Named,
    },
    /// Show a token's renewals, the newest first, a line an attempt
    History(HistoryArguments),
}

pub(super) fn run(command: TokenCommand, session: &mut Session) -> Result<(), Problem> {
    match command {
        TokenCommand::List => list::run(session),
        TokenCommand::Show { name } => show::run(&name, session),
        TokenCommand::Renew(arguments) => steer::renew(&arguments, session),
        TokenCommand::Pause { name } => steer::pause(&name, session),
        TokenCommand::Resume { name } => steer::resume(&name, session),
        TokenCommand::History(arguments) => history::run(&arguments, session),
    }
}
