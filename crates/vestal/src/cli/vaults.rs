//! `vault`: the vaults of the running Vestal.

use clap::Subcommand;

use super::problem::Problem;
use super::session::Session;
use super::table::Table;
use crate::admin::wire::VaultView;

#[derive(Subcommand)]
pub(super) enum VaultCommand {
    /// List vaults with their URLs
    #[command(after_help = "Next: `vestal secret list --vault VAULT` shows what is in one.")]
    List,
}

pub(super) fn run(command: &VaultCommand, session: &mut Session) -> Result<(), Problem> {
    let VaultCommand::List = command;
    let vaults: Vec<VaultView> = session.client()?.get("/vaults")?;
    if session.json {
        return session.output.json(&vaults);
    }
    if vaults.is_empty() {
        return session.output.note("There is no vault yet. Declare one in the configuration: `[vault.NAME]`.");
    }
    let mut table = Table::new(&["VAULT", "URL"]);
    for vault in vaults {
        table.row(vec![vault.name.into(), vault.url.into()]);
    }
    session.output.table(table)
}
