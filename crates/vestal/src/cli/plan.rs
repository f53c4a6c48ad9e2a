//! `plan` and `apply`: a configuration's definitions against those of the running Vestal.

use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::styling::Style;

use super::check::mistakes;
use super::client::Client;
use super::folder::{CONFIG_FILE, Folder};
use super::problem::Problem;
use super::session::Session;
use super::style::{self, styled};
use super::table::printable;
use crate::admin::wire::{ChangeView, FieldChange, FileDefinitions, PlanView};
use crate::config;

pub(super) fn plan(session: &mut Session) -> Result<(), Problem> {
    let (client, definitions) = read(session)?;
    let plan: PlanView = client.post_json("/plan", &definitions)?;
    if session.json {
        return session.output.json(&plan);
    }
    session.output.text(&render(&plan, "to add", "to change", "to remove"))?;
    tell_what_is_missing(&plan, session)
}

pub(super) fn apply(session: &mut Session) -> Result<(), Problem> {
    let (client, definitions) = read(session)?;
    let done: PlanView = client.post_json("/apply", &definitions)?;
    if session.json {
        return session.output.json(&done);
    }
    session.output.text(&render(&done, "added", "changed", "removed"))?;
    tell_what_is_missing(&done, session)
}

/// What a token that waits for its credential is waiting for, with the next step.
fn tell_what_is_missing(plan: &PlanView, session: &Session) -> Result<(), Problem> {
    if plan.missing_secrets.is_empty() {
        return Ok(());
    }
    let steps = plan.missing_secrets.iter().map(|secret| format!("\n  vestal secret set {secret}"));
    session.output.note(&format!("Not there yet, and waited for. Next:{}", steps.collect::<String>()))
}

/// The configuration, if there is no mistake in it, and the process that it is for: the one that was named, or the one
/// that runs on the configuration's own data folder.
fn read(session: &Session) -> Result<(Client, FileDefinitions), Problem> {
    let path = session.said.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    let config = config::load(&path).map_err(|errors| mistakes(&errors, &path))?;
    let text = fs::read_to_string(&path).map_err(|error| Problem::unreadable(&path, &error))?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string();
    // A configuration that was named means its own process, whatever the environment says of others.
    let named = match &session.said.config {
        Some(_) => session.said.on_command_line(),
        None => session.said.folder.as_deref(),
    };
    let data = named.map_or_else(|| config.process.store.data.clone(), Path::to_owned);
    let client = Client::new(Folder { path: data, named: true })?;
    Ok((client, FileDefinitions { file: config.file, text, folder }))
}

fn render(plan: &PlanView, add: &str, change: &str, remove: &str) -> String {
    if plan.changes.is_empty() {
        return "Nothing differs: the running Vestal has the definitions of the file.\n".to_owned();
    }
    let mut text = String::new();
    for ChangeView { action, kind, name, fields } in &plan.changes {
        let (sign, style) = of_action(action);
        text.push_str(&styled(style, &format!("{sign} {}", printable(&format!("{kind} {name}")))));
        text.push('\n');
        for FieldChange { field, from, to } in fields {
            let line = match (from, to) {
                (Some(from), Some(to)) => format!("~ {field}: {from} -> {to}"),
                (None, Some(to)) => format!("+ {field}: {to}"),
                (Some(from), None) => format!("- {field}: {from}"),
                (None, None) => continue,
            };
            text.push_str(&format!("    {}\n", printable(&line)));
        }
    }
    let count = |word: &str| plan.changes.iter().filter(|change| change.action == word).count();
    let (added, changed, removed) = (count("add"), count("change"), count("remove"));
    text.push_str(&format!("{added} {add}, {changed} {change}, {removed} {remove}.\n"));
    if removed > 0 {
        text.push_str("What is removed is paused, and kept for 30 days.\n");
    }
    text
}

fn of_action(action: &str) -> (char, Style) {
    match action {
        "add" => ('+', style::GOOD),
        "change" => ('~', style::WARNING),
        "remove" => ('-', style::BAD),
        _ => ('?', style::PLAIN),
    }
}
