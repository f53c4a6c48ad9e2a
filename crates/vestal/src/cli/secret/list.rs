//! `secret list`: what the vaults hold.

use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style;
use super::super::table::{Cell, Table};
use super::super::when::Clock;
use super::deleted::vaults;
use crate::admin::wire::{SecretLine, VersionView};

pub(super) fn run(session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let mut secrets: Vec<SecretLine> = Vec::new();
    for vault in vaults(&client, session)? {
        secrets.extend(client.get::<Vec<SecretLine>>(&format!("/vaults/{vault}/secrets"))?);
    }
    if session.json {
        return session.output.json(&secrets);
    }
    if secrets.is_empty() {
        return session.output.note("There is no secret yet. `vestal secret set NAME` makes one.");
    }
    let table = table(&secrets, &session.clock);
    session.output.table(table)?;
    for SecretLine { vault, name, unreadable, .. } in &secrets {
        if let Some(why) = unreadable {
            session.output.warn(&format!("{vault}/{name}: {why}"))?;
        }
    }
    Ok(())
}

fn table(secrets: &[SecretLine], clock: &Clock) -> Table {
    let mut table = Table::new(&["VAULT", "NAME", "STATE", "ENDS", "UPDATED", "WRITTEN BY", "KIND"]);
    for secret in secrets {
        let SecretLine { vault, name, version, unreadable: _, managed } = secret;
        let version = version.as_ref();
        table.row(vec![
            vault.into(),
            name.into(),
            version.map_or_else(|| Cell::styled(style::BAD, "unreadable"), |version| state(version, clock)),
            version.and_then(|version| version.expires).map(|end| clock.relative(end)).unwrap_or_default().into(),
            version.map(|version| clock.relative(version.updated)).unwrap_or_default().into(),
            version.map(|version| version.written_by.as_str()).unwrap_or_default().into(),
            if *managed { "managed token" } else { "secret" }.into(),
        ]);
    }
    table
}

/// Whether a version can be read, and if not, why.
pub(super) fn state(version: &VersionView, clock: &Clock) -> Cell {
    if !version.enabled {
        Cell::styled(style::FAINT, "disabled")
    } else if version.expires.is_some_and(|end| clock.is_past(end)) {
        Cell::styled(style::BAD, "ended")
    } else if version.not_before.is_some_and(|start| !clock.is_past(start)) {
        Cell::styled(style::WARNING, "not yet valid")
    } else {
        Cell::styled(style::GOOD, "valid")
    }
}
