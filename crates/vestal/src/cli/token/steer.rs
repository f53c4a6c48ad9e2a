//! `token renew`, `pause` and `resume`.

use std::time::Duration;

use clap::Args;

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::when;
use super::history::words;
use super::list::next;
use crate::admin::wire::{OutcomeView, Renewal, TokenView};
use crate::config::Period;

/// The longest that a running Vestal lets a command wait, in seconds.
const LONGEST_WAIT: u64 = 120;

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal token renew discord-api-oauth-token             waits for what comes of it
  vestal token renew discord-api-oauth-token --wait 0s   asks for it, and goes on")]
#[command(after_help = "\
Exit status 1 if the attempt failed, or didn't end in time. Next: `vestal token history NAME`.")]
pub(in super::super) struct RenewArguments {
    /// The token: NAME, or VAULT/NAME
    name: Named,
    /// How long to wait for what comes of it, 120s at most
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = wait)]
    wait: Period,
}

fn wait(text: &str) -> Result<Period, String> {
    let period: Period = text.parse().map_err(|error: crate::config::PeriodError| error.to_string())?;
    if period.seconds() > LONGEST_WAIT { Err(format!("it waits {LONGEST_WAIT} seconds at most")) } else { Ok(period) }
}

pub(super) fn renew(arguments: &RenewArguments, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let path = format!("{}/renew", session.token_path(&client, &arguments.name)?);
    let seconds = arguments.wait.seconds();
    let renewal: Renewal = match seconds {
        0 => client.post(&path)?,
        _ => client.post_waiting(&format!("{path}?wait={seconds}"), Duration::from_secs(seconds))?,
    };
    if session.json {
        session.output.json(&renewal)?;
    }
    let Renewal { token, attempt } = &renewal;
    let name = format!("{}/{}", token.vault, token.name);
    match attempt {
        None if seconds == 0 => session.note_unless_json(&format!("{name} is being renewed.")),
        None => {
            Err(Problem::failed(format!("{name} was not renewed within {}: it goes on", when::length_seconds(seconds)))
                .help(format!("`vestal token show {name}` tells how it stands")))
        }
        Some(attempt) => match attempt.outcome {
            OutcomeView::Renewed { .. } => {
                let due = token.due.map(|due| format!("; the next renewal is due {}", next(&session.clock, due)));
                let words = words(attempt, &session.clock);
                session.note_unless_json(&format!("{name} is renewed: {words}{}.", due.unwrap_or_default()))
            }
            OutcomeView::Failed { .. } => {
                let words = words(attempt, &session.clock);
                let due = token.due.map(|due| format!("it is tried again {}", next(&session.clock, due)));
                let again = due.unwrap_or_else(|| "it is not tried again by itself".to_owned());
                Err(Problem::failed(format!("{name} was not renewed: {words}"))
                    .help(format!("{again}; `vestal token show {name}` tells how it stands")))
            }
        },
    }
}

pub(super) fn pause(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let token = order(name, "pause", session)?;
    let left = token.life_left_seconds.filter(|left| *left > 0).and_then(|left| u64::try_from(left).ok());
    let until = left.map(|left| format!(" Its value lives {} more.", when::length_seconds(left))).unwrap_or_default();
    session.note_unless_json(&format!(
        "{}/{} is paused: it is not renewed until it is resumed.{until}",
        token.vault, token.name
    ))
}

pub(super) fn resume(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let token = order(name, "resume", session)?;
    session.note_unless_json(&format!("{}/{} is {}: it is renewed again.", token.vault, token.name, token.state))
}

fn order(name: &Named, what: &str, session: &mut Session) -> Result<TokenView, Problem> {
    let client = session.client()?;
    let token: TokenView = client.post(&format!("{}/{what}", session.token_path(&client, name)?))?;
    if session.json {
        session.output.json(&token)?;
    }
    Ok(token)
}
