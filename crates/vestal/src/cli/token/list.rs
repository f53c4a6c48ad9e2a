//! `token list`: every managed token, a line each.

use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style;
use super::super::table::{Cell, Table};
use super::super::when::{self, Clock};
use crate::admin::wire::{TokenView, UtcTime};

pub(super) fn run(session: &mut Session) -> Result<(), Problem> {
    let mut tokens: Vec<TokenView> = session.client()?.get("/tokens")?;
    if let Some(vault) = &session.vault {
        tokens.retain(|token| token.vault == vault.as_str());
    }
    if session.json {
        return session.output.json(&tokens);
    }
    if tokens.is_empty() {
        return session.output.note("There is no managed token yet. Declare one in the configuration: `[token.NAME]`.");
    }
    let table = table(&tokens, &session.clock);
    session.output.table(table)
}

fn table(tokens: &[TokenView], clock: &Clock) -> Table {
    let mut table =
        Table::new(&["VAULT", "NAME", "STATE", "GENERATION", "LIFE LEFT", "NEXT", "PROVIDER", "OWNER", "LAST FAILURE"]);
    for token in tokens {
        table.row(vec![
            (&token.vault).into(),
            (&token.name).into(),
            Cell::styled(style::of_state(&token.state), &token.state),
            token.generation.to_string().into(),
            life_left(token).into(),
            token.due.map(|due| next(clock, due)).unwrap_or_default().into(),
            (&token.provider).into(),
            token.owner.as_deref().unwrap_or_default().into(),
            last_failure(token).into(),
        ]);
    }
    table
}

/// The life left in words; empty where no end is known.
pub(super) fn life_left(token: &TokenView) -> String {
    match token.life_left_seconds {
        None => String::new(),
        Some(0) => "under 1 s".to_owned(),
        Some(left) => u64::try_from(left).map_or_else(|_| "over".to_owned(), when::length_seconds),
    }
}

/// When the next attempt is due. A time that lies behind is now: the attempt is under way, or waits for its lane.
pub(super) fn next(clock: &Clock, due: UtcTime) -> String {
    if clock.is_past(due) { "now".to_owned() } else { clock.relative(due) }
}

/// What the last attempt failed with, and how many did since the last success.
pub(super) fn last_failure(token: &TokenView) -> String {
    match (&token.last_failure, token.failures) {
        (Some(words), 2..) => format!("{words} ({} failures in a row)", token.failures),
        (Some(words), _) => words.clone(),
        (None, _) => String::new(),
    }
}
