//! `app`: the identities that may call a vault. A client secret is shown once, when it is made.

use clap::{Args, Subcommand};

use super::client::Client;
use super::input::Input;
use super::name::plain_name;
use super::problem::Problem;
use super::session::Session;
use super::table::Table;
use super::when::Clock;
use crate::admin::wire::{AppView, CreateApp, NewAppSecret, Status};

#[derive(Subcommand)]
pub(super) enum AppCommand {
    /// Register an app; its client secret is shown this once
    #[command(before_help = "\
Examples:
  vestal app create reader
  vestal app create reader --quiet > reader.secret    the secret alone, into a file
  vestal app create reader --json                     with the client id")]
    #[command(after_help = "\
The client secret goes to standard output, everything else to standard error.
Next: `vestal policy set NAME --app reader --permissions get` lets it read.")]
    Create(AppArguments),
    /// List apps, without their secrets
    #[command(after_help = "Next: `vestal policy list` shows what they may do.")]
    List,
    /// Delete an app; whatever uses it is refused from then on
    Delete(DeleteArguments),
    /// Give an app a new client secret, shown this once
    #[command(after_help = "\
The one before is taken for a day longer, so that nothing stands still while the new one is handed out.
The client secret goes to standard output, everything else to standard error.")]
    RotateSecret(RotateArguments),
}

#[derive(Args)]
pub(super) struct RotateArguments {
    /// The app
    #[arg(value_parser = plain_name)]
    name: String,
    /// End the client secrets before it at once: one of them was lost, or leaked
    #[arg(long)]
    end_old: bool,
}

#[derive(Args)]
pub(super) struct AppArguments {
    /// The app
    #[arg(value_parser = plain_name)]
    name: String,
}

#[derive(Args)]
#[command(after_help = "On a terminal it asks for the app's name again.")]
pub(super) struct DeleteArguments {
    /// The app
    #[arg(value_parser = plain_name)]
    name: String,
    /// Don't ask: for scripts
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(command: AppCommand, session: &mut Session) -> Result<(), Problem> {
    match command {
        AppCommand::Create(AppArguments { name }) => create(name, session),
        AppCommand::List => list(session),
        AppCommand::Delete(arguments) => delete(&arguments, session),
        AppCommand::RotateSecret(arguments) => rotate_secret(&arguments, session),
    }
}

fn create(name: String, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let new: NewAppSecret = client.post_json("/apps", &CreateApp { name })?;
    show_once(&new, "is registered", &client, session)?;
    let name = &new.app.name;
    session.note_unless_json(&format!(
        "It may do nothing yet. Next: vestal policy set {name}-reads --app {name} --permissions get"
    ))
}

fn rotate_secret(arguments: &RotateArguments, session: &mut Session) -> Result<(), Problem> {
    let RotateArguments { name, end_old } = arguments;
    let client = session.client()?;
    let new: NewAppSecret = client.post(&format!("/apps/{name}/rotate-secret?end_old={end_old}"))?;
    show_once(&new, "has a new client secret", &client, session)?;
    // The one that was shown is the last.
    let others = new.app.secrets.split_last().map_or(&[][..], |(_, others)| others);
    for end in others.iter().filter_map(|secret| secret.ends) {
        let (end, left) = (session.clock.absolute(end), session.clock.relative(end));
        session.note_unless_json(&format!("The one before is still taken: it ends {left} ({end})."))?;
    }
    Ok(())
}

/// The client secret on standard output, and on standard error what else is needed to use it.
fn show_once(new: &NewAppSecret, done: &str, client: &Client, session: &mut Session) -> Result<(), Problem> {
    if session.json {
        return session.output.json(new);
    }
    let NewAppSecret { app, client_secret } = new;
    // What else a client must be told. The secret is shown whether or not this can be had.
    let status: Option<Status> = client.get("/status").ok();
    session.output.note(&format!("The app {} {done}.", app.name))?;
    if let Some(status) = status {
        session.output.note(&format!("  AZURE_AUTHORITY_HOST  {}", status.authority))?;
        // The one tenant for which no SDK asks Microsoft first; the directory's own id is in `vestal status`.
        session.output.note("  AZURE_TENANT_ID       adfs")?;
    }
    session.output.note(&format!("  AZURE_CLIENT_ID       {}", app.client_id))?;
    session.output.note("Its client secret is shown this once, and can't be shown again:")?;
    session.output.line(client_secret)
}

fn list(session: &mut Session) -> Result<(), Problem> {
    let apps: Vec<AppView> = session.client()?.get("/apps")?;
    if session.json {
        return session.output.json(&apps);
    }
    if apps.is_empty() {
        return session.output.note("There is no app yet. `vestal app create NAME` registers one.");
    }
    let table = table(&apps, &session.clock);
    session.output.table(table)
}

fn table(apps: &[AppView], clock: &Clock) -> Table {
    let mut table = Table::new(&["NAME", "CLIENT ID", "ORIGIN", "SECRETS"]);
    for app in apps {
        let secrets: Vec<String> = app
            .secrets
            .iter()
            .map(|secret| match secret.ends {
                None => format!("{} without end", secret.id),
                Some(end) if clock.is_past(end) => format!("{} ended {}", secret.id, clock.relative(end)),
                Some(end) => format!("{} ends {}", secret.id, clock.relative(end)),
            })
            .collect();
        let secrets = if secrets.is_empty() { "none".to_owned() } else { secrets.join(", ") };
        table.row(vec![(&app.name).into(), (&app.client_id).into(), (&app.origin).into(), secrets.into()]);
    }
    table
}

fn delete(arguments: &DeleteArguments, session: &mut Session) -> Result<(), Problem> {
    let DeleteArguments { name, yes } = arguments;
    let client = session.client()?;
    if !yes {
        confirm(name, &mut session.input)?;
    }
    // As it was; there is nothing to show where it went while it was asked for.
    let deleted: Option<AppView> = client.delete(&format!("/apps/{name}"))?;
    if session.json {
        return session.output.json(&deleted);
    }
    session.output.note(&format!("The app {name} is deleted: whatever used it is refused from now on."))
}

fn confirm(name: &str, input: &mut Input) -> Result<(), Problem> {
    let Input::Person(questions) = input else {
        return Err(Problem::usage(format!("nobody can be asked whether the app {name} is to be deleted"))
            .help("a script says so with --yes"));
    };
    let question = format!("Whatever uses the app {name} is refused from then on. Type its name to delete it: ");
    let answer = questions
        .line(&question)
        .map_err(|error| Problem::io("the terminal can't be asked", &error).help("say so with --yes"))?;
    if answer.trim() == name { Ok(()) } else { Err(Problem::usage("that is not its name: nothing was deleted")) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use zeroize::Zeroizing;

    use super::super::exit::Exit;
    use super::super::input::Questions;
    use super::*;

    struct Answers(&'static str);

    impl Questions for Answers {
        fn hidden(&mut self, _: &str) -> io::Result<Zeroizing<String>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn line(&mut self, question: &str) -> io::Result<String> {
            assert!(question.contains("reader"), "it says what is at stake");
            Ok(self.0.to_owned())
        }
    }

    #[test]
    fn an_app_is_deleted_when_its_name_is_typed_again() {
        let asked = |answer| confirm("reader", &mut Input::Person(Box::new(Answers(answer))));
        assert!(asked("reader").is_ok());
        assert!(asked("writer").is_err());
        assert!(asked("").is_err());
    }

    #[test]
    fn a_script_is_not_asked() {
        let refused = confirm("reader", &mut Input::Script(Box::new(io::empty()))).expect_err("there is nobody to ask");
        assert_eq!(refused.exit(), Exit::Usage);
    }
}
