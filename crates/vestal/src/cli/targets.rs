//! `target`: the vaults that tokens are delivered to.

use clap::Subcommand;

use super::problem::Problem;
use super::session::Session;
use super::style;
use super::table::{Cell, Table};
use crate::admin::wire::TargetView;

#[derive(Subcommand)]
pub(super) enum TargetCommand {
    /// List targets, how many tokens each gets, and what holds it
    #[command(after_help = "Next: `vestal token show NAME` tells what each target of a token holds.")]
    List,
}

pub(super) fn run(command: &TargetCommand, session: &mut Session) -> Result<(), Problem> {
    let TargetCommand::List = command;
    let targets: Vec<TargetView> = session.client()?.get("/targets")?;
    if session.json {
        return session.output.json(&targets);
    }
    if targets.is_empty() {
        return session.output.note("There is no target yet. Declare one in the configuration: `[target.NAME]`.");
    }
    let mut table = Table::new(&["TARGET", "KIND", "CREDENTIAL", "TOKENS", "DUE", "HELD BY", "WHERE"]);
    for target in targets {
        table.row(vec![
            target.name.into(),
            target.kind.into(),
            target.credential.unwrap_or_default().into(),
            target.deliveries.to_string().into(),
            target.waiting.to_string().into(),
            Cell::styled(style::WARNING, target.held.unwrap_or_default()),
            target.place.into(),
        ]);
    }
    session.output.table(table)
}
