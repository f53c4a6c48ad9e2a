//! `token`: managed tokens, how they stand, and what a person can do about it.

mod deliver;
mod history;
mod list;
mod show;
mod steer;

use clap::Subcommand;

use self::history::HistoryArguments;
pub(super) use self::show::credential_as;
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
    /// Deliver a token to its targets now
    #[command(after_help = "\
It is delivered by itself when it is renewed. Exit status 1 if a target doesn't hold it in the end.
Next: `vestal token show NAME` tells what each target holds.")]
    Deliver {
        /// The token: NAME, or VAULT/NAME
        name: Named,
    },
    /// Show how a token in shadow mode compares with the flow beside it
    #[command(after_help = "Next: `vestal token cut-over NAME`, where the comparison convinces.")]
    Shadow {
        /// The token: NAME, or VAULT/NAME
        name: Named,
    },
    /// End shadow mode: deliver a token under the name that the flow writes
    #[command(after_help = "Next: turn the flow off.")]
    CutOver {
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
        TokenCommand::Deliver { name } => deliver::deliver(&name, session),
        TokenCommand::Shadow { name } => deliver::shadow(&name, session),
        TokenCommand::CutOver { name } => deliver::cut_over(&name, session),
        TokenCommand::History(arguments) => history::run(&arguments, session),
    }
}
