//! `policy`: what apps may do in a vault.

use clap::{Args, Subcommand};
use vault::{Pattern, Permission};

use super::name::plain_name;
use super::problem::Problem;
use super::session::Session;
use super::table::Table;
use crate::admin::wire::PolicyView;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Say what an app may do in a vault; a policy of the same name is replaced
    Set(SetArguments),
    /// List policies
    #[command(after_help = "Next: `vestal policy set NAME` changes one.")]
    List,
    /// Remove a policy: the app may no longer do what it allowed
    Remove {
        /// The policy
        #[arg(value_parser = plain_name)]
        name: String,
    },
}

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal policy set reader-tokens --app reader --permissions get --names 'discord-*-token'
  vestal policy set flow-writes --app flow --permissions get,list,set --vault contoso")]
#[command(after_help = "\
Several policies of one app add up. Each request looks at them anew: a change holds at once.")]
pub(super) struct SetArguments {
    /// The policy
    #[arg(value_parser = plain_name)]
    name: String,
    /// The app
    #[arg(long, value_name = "APP", value_parser = plain_name)]
    app: String,
    /// What it may do: get, list, set, delete, recover, backup, restore, purge; or all
    #[arg(long, value_name = "PERMISSIONS", value_delimiter = ',', required = true, value_parser = permission)]
    permissions: Vec<String>,
    /// Only with secrets of such names, where * stands for anything; left out, with all
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', value_parser = pattern)]
    names: Vec<String>,
}

pub(super) fn run(command: PolicyCommand, session: &mut Session) -> Result<(), Problem> {
    match command {
        PolicyCommand::Set(arguments) => set(arguments, session),
        PolicyCommand::List => list(session),
        PolicyCommand::Remove { name } => {
            let removed: PolicyView = session.client()?.delete(&format!("/policies/{name}"))?;
            if session.json {
                return session.output.json(&removed);
            }
            session.output.note(&format!("The policy {name} is removed."))
        }
    }
}

fn set(arguments: SetArguments, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let vault = session.one_vault(&client)?.to_string();
    let SetArguments { name, app, permissions, names } = arguments;
    let path = format!("/policies/{name}");
    let wanted = PolicyView { name, app, vault, permissions: whole(permissions), names, origin: String::new() };
    let set: PolicyView = client.put_json(&path, &wanted)?;
    if session.json {
        return session.output.json(&set);
    }
    let PolicyView { name, app, vault, permissions, names, .. } = &set;
    let secrets = if names.is_empty() { "every secret".to_owned() } else { names.join(", ") };
    let may = if is_whole(permissions) { "do everything with".to_owned() } else { permissions.join(", ") };
    session.output.note(&format!("Policy {name}: {app} may {may} {secrets} in {vault}."))
}

fn list(session: &mut Session) -> Result<(), Problem> {
    let mut policies: Vec<PolicyView> = session.client()?.get("/policies")?;
    if let Some(vault) = &session.vault {
        policies.retain(|policy| policy.vault == vault.as_str());
    }
    if session.json {
        return session.output.json(&policies);
    }
    if policies.is_empty() {
        return session
            .output
            .note("There is no policy yet: no app may do anything. `vestal policy set NAME` makes one.");
    }
    let mut table = Table::new(&["NAME", "APP", "VAULT", "PERMISSIONS", "NAMES", "ORIGIN"]);
    for policy in policies {
        let names = if policy.names.is_empty() { "*".to_owned() } else { policy.names.join(",") };
        table.row(vec![
            policy.name.into(),
            policy.app.into(),
            policy.vault.into(),
            if is_whole(&policy.permissions) { ALL.to_owned() } else { policy.permissions.join(",") }.into(),
            names.into(),
            policy.origin.into(),
        ]);
    }
    session.output.table(table)
}

fn permission(text: &str) -> Result<String, String> {
    if text.eq_ignore_ascii_case(ALL) {
        return Ok(ALL.to_owned());
    }
    let permission: Permission = text.trim().parse().map_err(|error: vault::PermissionError| error.to_string())?;
    Ok(permission.as_str().to_owned())
}

/// The word for every permission.
const ALL: &str = "all";

/// The permissions one by one: what `all` stands for is told by name.
fn whole(words: Vec<String>) -> Vec<String> {
    if words.iter().any(|word| word == ALL) {
        Permission::ALL.iter().map(|permission| permission.as_str().to_owned()).collect()
    } else {
        words
    }
}

/// Whether these are all that there are.
fn is_whole(words: &[String]) -> bool {
    Permission::ALL.iter().all(|permission| words.iter().any(|word| word == permission.as_str()))
}

fn pattern(text: &str) -> Result<String, String> {
    Pattern::parse(text.trim()).map(|pattern| pattern.to_string()).map_err(|error| error.to_string())
}
