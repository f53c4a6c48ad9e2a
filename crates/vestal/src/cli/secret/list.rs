//! `secret list`: what the vaults hold.

use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style;
use super::super::table::{Cell, Table};
use super::super::when::{self, Clock};
use crate::admin::wire::{SecretView, VaultView, VersionView};

pub(super) fn run(session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let vaults = match &session.vault {
        Some(vault) => vec![vault.to_string()],
        None => client.get::<Vec<VaultView>>("/vaults")?.into_iter().map(|vault| vault.name).collect(),
    };
    let mut secrets: Vec<SecretView> = Vec::new();
    for vault in vaults {
        secrets.extend(client.get::<Vec<SecretView>>(&format!("/vaults/{vault}/secrets"))?);
    }
    if session.json {
        return session.output.json(&secrets);
    }
    if secrets.is_empty() {
        return session.output.note("There is no secret yet. `vestal secret set NAME` makes one.");
    }
    let table = table(&secrets, &session.clock);
    session.output.table(table)
}

fn table(secrets: &[SecretView], clock: &Clock) -> Table {
    let mut table = Table::new(&["VAULT", "NAME", "STATE", "ENDS", "UPDATED", "WRITTEN BY", "KIND"]);
    for secret in secrets {
        let SecretView { vault, name, version, managed } = secret;
        table.row(vec![
            vault.into(),
            name.into(),
            state(version, clock),
            version.expires.map(|end| clock.relative(when::ms(end))).unwrap_or_default().into(),
            clock.relative(when::ms(version.updated)).into(),
            (&version.written_by).into(),
            if *managed { "managed token" } else { "secret" }.into(),
        ]);
    }
    table
}

/// Whether a version can be read, and if not, why.
pub(super) fn state(version: &VersionView, clock: &Clock) -> Cell {
    if !version.enabled {
        Cell::styled(style::FAINT, "disabled")
    } else if version.expires.is_some_and(|end| clock.is_past(when::ms(end))) {
        Cell::styled(style::BAD, "ended")
    } else if version.not_before.is_some_and(|start| !clock.is_past(when::ms(start))) {
        Cell::styled(style::WARNING, "not yet valid")
    } else {
        Cell::styled(style::GOOD, "valid")
    }
}
