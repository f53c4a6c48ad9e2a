//! `get`: a secret's value and nothing else, for `$(…)` and pipes.

use clap::Args;
use vault::VersionId;

use super::name::Named;
use super::problem::Problem;
use super::session::Session;
use crate::admin::wire::SecretValue;

#[derive(Args)]
#[command(before_help = "\
Examples:
  curl -H \"Authorization: Bearer $(vestal get discord-api-oauth-token)\" https://api.example.com
  vestal get contoso/client-id
  vestal get client-id --version 0123456789abcdef0123456789abcdef")]
#[command(after_help = "Each call is noted in the audit. Next: `vestal secret show NAME` shows the versions.")]
pub(super) struct GetArguments {
    /// The secret: NAME, or VAULT/NAME
    name: Named,
    /// An older version, by its id
    #[arg(long, value_name = "ID", value_parser = VersionId::parse)]
    version: Option<VersionId>,
}

pub(super) fn run(arguments: GetArguments, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let mut path = format!("{}/value", session.secret_path(&client, &arguments.name)?);
    if let Some(version) = arguments.version {
        path.push_str(&format!("?version={version}"));
    }
    let value: SecretValue = client.get(&path)?;
    if session.json {
        return session.output.json(&value);
    }
    session.output.value(&value.value)?;
    match value.expires {
        Some(end) if session.clock.is_past(end) => {
            session.output.warn(&format!("this value ended {}", session.clock.both(end)))
        }
        _ => Ok(()),
    }
}
