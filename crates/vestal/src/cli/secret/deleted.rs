//! `secret delete`, `recover` and `purge`, and the list of what is deleted.

use clap::Args;

use super::super::client::Client;
use super::super::input::Input;
use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style;
use super::super::table::{Cell, Table};
use crate::admin::wire::{DeletedSecretLine, DeletedSecretView, SecretView, UtcTime, VaultView};

#[derive(Args)]
#[command(after_help = "\
The secret can be recovered until its vault's retention is over: `vestal secret recover NAME`.
A managed token rests until then. On a terminal it asks for the secret's name again.")]
pub(crate) struct DeleteArguments {
    /// The secret: NAME, or VAULT/NAME
    name: Named,
    /// Don't ask: for scripts
    #[arg(long, short)]
    yes: bool,
}

#[derive(Args)]
#[command(after_help = "Nothing of it can be brought back then. On a terminal it asks for the secret's name again.")]
pub(crate) struct PurgeArguments {
    /// The deleted secret: NAME, or VAULT/NAME
    name: Named,
    /// Don't ask: for scripts
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn delete(arguments: &DeleteArguments, session: &mut Session) -> Result<(), Problem> {
    let DeleteArguments { name, yes } = arguments;
    let client = session.client()?;
    let path = session.secret_path(&client, name)?;
    if !yes {
        let question = format!("Readers of {} find nothing from then on. Type its name to delete it: ", name.name);
        confirm(name, &question, &mut session.input)?;
    }
    let deleted: DeletedSecretView = client.delete(&path)?;
    if session.json {
        return session.output.json(&deleted);
    }
    let DeletedSecretView { vault, name, purged_at, .. } = deleted;
    let until = session.clock.absolute(purged_at);
    session.output.note(&format!(
        "{vault}/{name} is deleted. Until {until} `vestal secret recover {vault}/{name}` brings it back."
    ))
}

pub(super) fn recover(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let (vault, name) = session.one(&client, name)?;
    let recovered: SecretView = client.post(&format!("/vaults/{vault}/deleted-secrets/{name}/recover"))?;
    if session.json {
        return session.output.json(&recovered);
    }
    let SecretView { vault, name, managed, .. } = recovered;
    session.output.note(&format!("{vault}/{name} is back as it was."))?;
    if managed {
        // It may have been paused by a person too, which stays so.
        session
            .output
            .note(&format!("Its token goes on unless it is paused: `vestal token show {vault}/{name}` tells."))?;
    }
    Ok(())
}

pub(super) fn purge(arguments: &PurgeArguments, session: &mut Session) -> Result<(), Problem> {
    let PurgeArguments { name, yes } = arguments;
    let client = session.client()?;
    let (vault, deleted) = session.one(&client, name)?;
    if !yes {
        let question = format!("All versions of {deleted} are destroyed. Type its name to purge it: ");
        confirm(name, &question, &mut session.input)?;
    }
    let purged: DeletedSecretView = client.delete(&format!("/vaults/{vault}/deleted-secrets/{deleted}"))?;
    if session.json {
        return session.output.json(&purged);
    }
    session.output.note(&format!("{}/{} is purged: nothing of it is left.", purged.vault, purged.name))
}

pub(super) fn list(session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let mut deleted: Vec<DeletedSecretLine> = Vec::new();
    for vault in vaults(&client, session)? {
        deleted.extend(client.get::<Vec<DeletedSecretLine>>(&format!("/vaults/{vault}/deleted-secrets"))?);
    }
    if session.json {
        return session.output.json(&deleted);
    }
    if deleted.is_empty() {
        return session.output.note("No secret is deleted.");
    }
    let mut table = Table::new(&["VAULT", "NAME", "DELETED", "PURGED"]);
    for DeletedSecretLine { vault, name, deleted, purged_at, .. } in &deleted {
        let when = |time: Option<UtcTime>| time.map(|time| session.clock.relative(time));
        let deleted = when(*deleted).map_or_else(|| Cell::styled(style::BAD, "unreadable"), Cell::from);
        table.row(vec![vault.into(), name.into(), deleted, when(*purged_at).unwrap_or_default().into()]);
    }
    session.output.table(table)?;
    for DeletedSecretLine { vault, name, unreadable, .. } in &deleted {
        if let Some(why) = unreadable {
            session.output.warn(&format!("{vault}/{name}: {why}"))?;
        }
    }
    Ok(())
}

/// The vault that was named, or all.
pub(super) fn vaults(client: &Client, session: &Session) -> Result<Vec<String>, Problem> {
    match &session.vault {
        Some(vault) => Ok(vec![vault.to_string()]),
        None => Ok(client.get::<Vec<VaultView>>("/vaults")?.into_iter().map(|vault| vault.name).collect()),
    }
}

fn confirm(name: &Named, question: &str, input: &mut Input) -> Result<(), Problem> {
    let Input::Person(questions) = input else {
        return Err(Problem::usage(format!("nobody can be asked whether {} is really meant", name.name))
            .help("a script says so with --yes"));
    };
    let answer = questions
        .line(question)
        .map_err(|error| Problem::io("the terminal can't be asked", &error).help("say so with --yes"))?;
    // In any case: names compare without it.
    let is_it = answer.trim().eq_ignore_ascii_case(name.name.as_written());
    if is_it { Ok(()) } else { Err(Problem::usage("that is not its name: nothing was changed")) }
}
