//! `target`: the vaults and folders that tokens are delivered to.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;

use super::name::plain_name;
use super::problem::Problem;
use super::session::Session;
use super::style::{self, styled};
use super::table::{Cell, Fields, Table, printable};
use super::token::credential_as;
use super::when::{self, Clock};
use crate::admin::wire::{PaceView, TargetDetail, TargetTokenView, TargetView};

#[derive(Subcommand)]
pub(super) enum TargetCommand {
    /// List targets, how many tokens each gets, and what holds it
    #[command(after_help = "Next: `vestal target show NAME` tells all about one.")]
    List,
    /// Show how a target is, how fast it is called, and what each of its tokens came to
    #[command(after_help = "\
The tokens that fail stand first, then those that wait the longest.
Next: `vestal token show NAME` tells all about one of them, `vestal token deliver NAME` delivers it now.")]
    Show {
        /// The target
        #[arg(value_parser = plain_name)]
        name: String,
    },
}

pub(super) fn run(command: &TargetCommand, session: &mut Session) -> Result<(), Problem> {
    match command {
        TargetCommand::List => list(session),
        TargetCommand::Show { name } => show(name, session),
    }
}

fn list(session: &mut Session) -> Result<(), Problem> {
    let targets: Vec<TargetView> = session.client()?.get("/targets")?;
    if session.json {
        return session.output.json(&targets);
    }
    if targets.is_empty() {
        return session.output.note("There is no target yet. Declare one in the configuration: `[target.NAME]`.");
    }
    let mut table = Table::new(&["TARGET", "KIND", "CREDENTIAL", "TOKENS", "DUE", "BEHIND", "HELD BY", "WHERE"]);
    for target in targets {
        table.row(vec![
            target.name.into(),
            target.kind.into(),
            target.credential.unwrap_or_default().into(),
            target.deliveries.to_string().into(),
            target.waiting.to_string().into(),
            target.worst_lag_seconds.map(when::length_seconds).unwrap_or_default().into(),
            Cell::styled(style::WARNING, target.held.unwrap_or_default()),
            target.place.into(),
        ]);
    }
    session.output.table(table)
}

fn show(name: &str, session: &mut Session) -> Result<(), Problem> {
    let detail: TargetDetail = session.client()?.get(&format!("/targets/{name}"))?;
    if session.json {
        return session.output.json(&detail);
    }
    let text = render(&detail, &session.clock, session.output.width());
    session.output.text(&text)
}

fn render(detail: &TargetDetail, clock: &Clock, width: Option<usize>) -> String {
    let target = &detail.target;
    let mut fields = Fields::default();
    fields.add("Kind", &target.kind);
    fields.add("Where", &target.place);
    fields.add_some(
        "Credential",
        target.credential.as_ref().map(|kind| match &detail.proof {
            Some(proof) => credential_as(kind, proof, clock),
            None => kind.as_str().into(),
        }),
    );
    fields.add("State", state(detail, clock));
    fields.add_some("Last success", detail.last_success.map(|at| clock.both(at)));
    fields.add_some(
        "Last error",
        detail.last_error.as_ref().map(|error| {
            let words = format!("{}: {}", clock.relative(error.at), error.words);
            // What is over is told, and is no warning any more.
            Cell::styled(if is_well(detail) { style::PLAIN } else { style::WARNING }, words)
        }),
    );
    fields.add("Next try", next_try(detail, clock));
    fields.add("Tokens", tokens(detail));
    fields.add_some("Pace", detail.pace.as_ref().map(pace));
    fields.add(
        "Declared by",
        match target.origin.as_str() {
            "file" => "the configuration file",
            "admin" => "a command",
            other => other,
        },
    );
    let mut text = format!("{}\n{}", styled(style::STRONG, &printable(&target.name)), fields.render(width));
    if !detail.tokens.is_empty() {
        text.push('\n');
        text.push_str(&token_table(&detail.tokens, clock).render(width));
        text.push_str(&failures(&detail.tokens, width));
    }
    text
}

fn is_well(detail: &TargetDetail) -> bool {
    detail.state == "reachable" && detail.failing == 0
}

fn state(detail: &TargetDetail, clock: &Clock) -> Cell {
    let TargetDetail { state, since, not_open, .. } = detail;
    let style = match state.as_str() {
        "reachable" => style::GOOD,
        "not called yet" => style::FAINT,
        _ => style::WARNING,
    };
    Cell::styled(
        style,
        match (since, not_open) {
            (_, Some(why)) => format!("{state}: {why}"),
            (Some(since), None) => format!("{state}, since {} ({})", clock.absolute(*since), clock.relative(*since)),
            (None, None) => format!("{} since Vestal started", state.trim_end_matches(" yet")),
        },
    )
}

fn next_try(detail: &TargetDetail, clock: &Clock) -> Cell {
    let Some(at) = detail.next_try else {
        let why = if detail.not_open.is_some() { "it can't be opened" } else { "there is nothing to deliver" };
        return Cell::styled(style::FAINT, format!("none: {why}"));
    };
    let when = if clock.is_past(at) { "now".to_owned() } else { clock.both(at) };
    match &detail.target.held {
        Some(held) => Cell::styled(style::WARNING, format!("{when}: {}", why_it_rests(held))),
        None => when.into(),
    }
}

/// What it means that a target is held.
fn why_it_rests(held: &str) -> &'static str {
    match held {
        "breaker" => "it rests after several failures in a row",
        "throttle" => "it asked for a rest",
        "pause" => "it rests, since it refuses Vestal's credential",
        "probe" => "one delivery tries whether it is well again",
        _ => "its pace is reached",
    }
}

/// How many, and how they stand.
fn tokens(detail: &TargetDetail) -> Cell {
    let TargetDetail { target, delivered, failing, .. } = detail;
    let all = target.deliveries;
    let mut words = format!("{delivered} of {all} delivered, {} due, {failing} failing", target.waiting);
    if let Some(lag) = &target.worst_lag_seconds {
        words.push_str(&format!("; the worst is {} behind", when::length_seconds(*lag)));
    }
    Cell::styled(if *failing > 0 { style::WARNING } else { style::PLAIN }, words)
}

fn pace(pace: &PaceView) -> String {
    let PaceView { interval_seconds, burst, flights } = pace;
    let interval = when::length(Duration::try_from_secs_f64(*interval_seconds).unwrap_or_default());
    format!("one every {interval}, {burst} at once after a rest, {flights} under way at one time")
}

fn token_table(tokens: &[TargetTokenView], clock: &Clock) -> Table {
    let mut table = Table::new(&["TOKEN", "THERE", "STATE", "GENERATION", "BEHIND", "DELIVERED"]);
    for TargetTokenView { vault, token, delivery } in tokens {
        let style = if delivery.state == "delivered" { style::GOOD } else { style::WARNING };
        table.row(vec![
            if vault.is_empty() { token.clone() } else { format!("{vault}/{token}") }.into(),
            (&delivery.name).into(),
            Cell::styled(style, &delivery.state),
            delivery.generation.to_string().into(),
            delivery.lag_seconds.map(when::length_seconds).unwrap_or_default().into(),
            delivery.delivered.map(|at| clock.relative(at)).unwrap_or_default().into(),
        ]);
    }
    table
}

/// What the tokens failed with, the same words once: they are too long for a table.
fn failures(tokens: &[TargetTokenView], width: Option<usize>) -> String {
    let mut said = BTreeSet::new();
    let mut fields = Fields::default();
    for TargetTokenView { token, delivery, .. } in tokens {
        let undisabled =
            delivery.not_disabled_failure.as_ref().map(|words| ("superseded versions stay enabled", words));
        let failure = delivery.failure.as_ref().map(|words| ("not delivered", words));
        if let Some((what, words)) = failure.or(undisabled)
            && said.insert(words)
        {
            fields.add(&printable(token), Cell::styled(style::WARNING, format!("{what}: {words}")));
        }
    }
    if said.is_empty() { String::new() } else { format!("\n{}", fields.render(width)) }
}
