//! `token history`: what came of each attempt.

use std::time::Duration;

use clap::Args;

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style;
use super::super::table::{Cell, Table};
use super::super::when::{self, Clock};
use crate::admin::wire::{AttemptView, History, OutcomeView};

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal token history discord-api-oauth-token
  vestal token history discord-api-oauth-token --limit 200 --json")]
#[command(after_help = "\
Attempts that only repeat the failure before them are counted on its line.
Next: `vestal token renew NAME` tries again now.")]
pub(in super::super) struct HistoryArguments {
    /// The token: NAME, or VAULT/NAME
    name: Named,
    /// How many attempts
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Only attempts before this one, by its number
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
}

pub(super) fn run(arguments: &HistoryArguments, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let mut path = format!("{}/history?limit={}", session.token_path(&client, &arguments.name)?, arguments.limit);
    if let Some(before) = arguments.before {
        path.push_str(&format!("&before={before}"));
    }
    let history: History = client.get(&path)?;
    if session.json {
        return session.output.json(&history);
    }
    if history.attempts.is_empty() {
        return session.output.note("There is no attempt yet.");
    }
    let table = table(&history.attempts, &session.clock);
    session.output.table(table)?;
    match history.next {
        Some(next) => session.output.note(&format!("There are older ones: --before {next} shows them.")),
        None => Ok(()),
    }
}

fn table(attempts: &[AttemptView], clock: &Clock) -> Table {
    let mut table = Table::new(&["ATTEMPT", "TIME", "TOOK", "RESULT", "HTTP", "WHAT CAME OF IT"]);
    for attempt in attempts {
        let style = match attempt.outcome {
            OutcomeView::Renewed { .. } => style::GOOD,
            OutcomeView::Failed { .. } => style::WARNING,
        };
        table.row(vec![
            attempt.number.to_string().into(),
            clock.absolute(attempt.started).into(),
            when::length(Duration::try_from_secs_f64(attempt.took_seconds).unwrap_or_default()).into(),
            Cell::styled(style, result(&attempt.outcome)),
            attempt.status.map(|status| status.to_string()).unwrap_or_default().into(),
            words(attempt, clock).into(),
        ]);
    }
    table
}

fn result(outcome: &OutcomeView) -> &'static str {
    match outcome {
        OutcomeView::Renewed { generation: Some(_), .. } => "renewed",
        OutcomeView::Renewed { generation: None, .. } => "same value",
        OutcomeView::Failed { .. } => "failed",
    }
}

/// An attempt in one line: what came of it, and how often it came again.
pub(super) fn words(attempt: &AttemptView, clock: &Clock) -> String {
    let mut words = match &attempt.outcome {
        OutcomeView::Renewed { generation, lifetime_seconds, note, .. } => {
            let generation = match generation {
                Some(generation) => format!("generation {generation}"),
                None => "the provider gave the same token again".to_owned(),
            };
            let life = match lifetime_seconds {
                Some(seconds) => format!("lives {}", when::length_seconds(*seconds)),
                None => "no end is known".to_owned(),
            };
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            format!("{generation}, {life}{note}")
        }
        OutcomeView::Failed { words, .. } => words.clone(),
    };
    if attempt.repeats > 0 {
        let last = attempt.last_repeat.map(|last| format!(", last at {}", clock.absolute(last))).unwrap_or_default();
        words.push_str(&format!(" (and {} like it{last})", when::plural(attempt.repeats, "more attempt")));
    }
    if let Some(id) = &attempt.request_id {
        words.push_str(&format!(" [request {id}]"));
    }
    words
}
