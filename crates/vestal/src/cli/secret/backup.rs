//! `secret backup` and `restore`: a secret with all its versions in a file that only this Vestal can open.

use std::path::PathBuf;

use clap::Args;

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use crate::admin::wire::{SecretBackup, SecretView};

#[derive(Args)]
#[command(after_help = "\
The backup is sealed: without this Vestal's key file it is worth nothing. It goes to standard output where no --out is given.
Next: `vestal secret restore FILE` brings it back, here or into another vault of this Vestal.")]
pub(crate) struct BackupArguments {
    /// The secret: NAME, or VAULT/NAME
    name: Named,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Names that are taken are left alone, those of deleted secrets too.")]
pub(crate) struct RestoreArguments {
    /// The file that `vestal secret backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn back_up(arguments: &BackupArguments, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let path = session.secret_path(&client, &arguments.name)?;
    let backup: SecretBackup = client.post(&format!("{path}/backup"))?;
    if let Some(out) = &arguments.out {
        std::fs::write(out, &backup.value)
            .map_err(|error| Problem::io(format!("{} can't be written", out.display()), &error))?;
        if session.json {
            return session.output.json(&serde_json::json!({ "out": out.display().to_string() }));
        }
        return session.output.note(&format!("{} is written.", out.display()));
    }
    if session.json { session.output.json(&backup) } else { session.output.line(&backup.value) }
}

pub(super) fn restore(arguments: &RestoreArguments, session: &mut Session) -> Result<(), Problem> {
    let file = &arguments.file;
    let value = std::fs::read_to_string(file)
        .map_err(|error| Problem::io(format!("{} can't be read", file.display()), &error))?;
    let client = session.client()?;
    let vault = session.one_vault(&client)?;
    let backup = SecretBackup { value: value.trim().to_owned() };
    let restored: SecretView = client.post_json(&format!("/vaults/{vault}/restore"), &backup)?;
    if session.json {
        return session.output.json(&restored);
    }
    session.output.note(&format!("{}/{} is restored with all its versions.", restored.vault, restored.name))
}
