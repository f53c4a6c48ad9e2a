//! `token deliver`, `token shadow` and `token cut-over`.

use std::time::Duration;

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style::{self, styled};
use super::super::table::{Cell, Fields, Table, printable};
use super::super::when::{self, Clock};
use crate::admin::wire::{Deliveries, DeliveryView, GapView, LivesView, ShadowView};
use crate::forecast::in_round_numbers;

/// In how many lines the lives of both tokens are shown.
const LINES: usize = 12;

/// How long a command waits for its deliveries.
const WAIT: Duration = Duration::from_secs(60);

pub(super) fn deliver(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let deliveries = order(name, "deliver", session)?;
    outcome(&deliveries, session)
}

pub(super) fn cut_over(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let deliveries = order(name, "cut-over", session)?;
    outcome(&deliveries, session)?;
    let places: Vec<String> =
        deliveries.deliveries.iter().map(|delivery| format!("{} in {}", delivery.name, delivery.target)).collect();
    session.note_unless_json(&format!(
        "It took the flow's place. Now turn off the flow that writes {}; where it still runs, Vestal writes over it and \
         says so.\nThen `mode = \"shadow\"` may be taken out of the configuration, and the secret that ends in {} be deleted.",
        places.join(" and "),
        keeper::SHADOW_SUFFIX
    ))
}

pub(super) fn shadow(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let views: Vec<ShadowView> = client.get(&format!("{}/shadow", session.token_path(&client, name)?))?;
    if session.json {
        return session.output.json(&views);
    }
    let text: Vec<String> = views.iter().map(|view| report(view, name, &session.clock)).collect();
    session.output.text(&text.join("\n"))
}

/// A delivery in one line.
pub(super) fn line(delivery: &DeliveryView, clock: &Clock) -> Cell {
    let DeliveryView { target, name, state, generation, .. } = delivery;
    let mut words = format!("{target}/{name}: {state}");
    if *generation > 0 {
        words.push_str(&format!(", generation {generation}"));
    }
    if let Some(delivered) = delivery.delivered {
        words.push_str(&format!(", delivered {}", clock.relative(delivered)));
    }
    if let Some(lag) = delivery.lag_seconds {
        words.push_str(&format!(", {} behind", when::length_seconds(lag)));
    }
    if let Some(number) = delivery.versions_a_year {
        words.push_str(&format!(", about {} versions a year", in_round_numbers(number)));
    }
    if let Some(failure) = &delivery.failure {
        words.push_str(&format!(" ({}: {failure})", when::plural(delivery.failures.into(), "failure")));
    }
    if state == "delivered" { words.into() } else { Cell::styled(style::WARNING, words) }
}

fn order(name: &Named, what: &str, session: &mut Session) -> Result<Deliveries, Problem> {
    let client = session.client()?;
    let path = format!("{}/{what}?wait={}", session.token_path(&client, name)?, WAIT.as_secs());
    let deliveries: Deliveries = client.post_waiting(&path, WAIT)?;
    if session.json {
        session.output.json(&deliveries)?;
    }
    Ok(deliveries)
}

fn outcome(deliveries: &Deliveries, session: &mut Session) -> Result<(), Problem> {
    if !session.json {
        let mut table = Table::new(&["TARGET", "NAME", "STATE", "GENERATION"]);
        // Too long for a table.
        let mut failures = Fields::default();
        for delivery in &deliveries.deliveries {
            let style = if delivery.state == "delivered" { style::GOOD } else { style::WARNING };
            table.row(vec![
                (&delivery.target).into(),
                (&delivery.name).into(),
                Cell::styled(style, &delivery.state),
                delivery.generation.to_string().into(),
            ]);
            let failure = delivery.failure.as_ref().or(delivery.not_disabled_failure.as_ref());
            failures.add_some(&printable(&delivery.target), failure.map(|words| Cell::styled(style::WARNING, words)));
        }
        session.output.table(table)?;
        let failures = failures.render(session.output.width());
        if !failures.is_empty() {
            session.output.text(&format!("\n{failures}"))?;
        }
    }
    let missing: Vec<&str> = deliveries
        .deliveries
        .iter()
        .filter(|delivery| delivery.state != "delivered")
        .map(|delivery| delivery.target.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let Deliveries { vault, name, .. } = deliveries;
    Err(Problem::failed(format!("{vault}/{name} is not in {}", missing.join(" and ")))
        .help(format!("it is tried again by itself; `vestal token show {vault}/{name}` tells how it stands")))
}

/// The report on which a customer decides.
fn report(view: &ShadowView, name: &Named, clock: &Clock) -> String {
    let title = styled(style::STRONG, &printable(&format!("{}/{} against {}", view.target, view.name, view.beside)));
    let Some(since) = view.since else {
        return format!("{title}\nThere was no look yet.\n");
    };
    let watched = when::length_seconds(view.watched_seconds);
    let share = |dead: u64| match view.watched_seconds {
        0 => String::new(),
        #[expect(clippy::cast_precision_loss, reason = "a share, told to people")]
        watched => format!("{:.2} %", 100.0 * (1.0 - dead as f64 / watched as f64)),
    };
    let mut table = Table::new(&["", "THE FLOW", "VESTAL"]);
    let mut row = |what: &str, flow: String, ours: String| table.row(vec![what.into(), flow.into(), ours.into()]);
    row("least life left", life(view.flow_least_life_seconds), life(view.ours_least_life_seconds));
    row("life left at half of the looks", life(view.flow_median_life_seconds), life(view.ours_median_life_seconds));
    row("looks that found it dead", view.flow_dead_looks.to_string(), view.ours_dead_looks.to_string());
    let dead = |seconds: u64| if seconds == 0 { "never".to_owned() } else { when::length_seconds(seconds) };
    row("dead in all", dead(view.flow_dead_seconds), dead(view.ours_dead_seconds));
    row("alive", share(view.flow_dead_seconds), share(view.ours_dead_seconds));
    let mut text = format!(
        "{title}\nWatched since {} ({watched}), {}; the flow wrote {}, {} an expiry.\n{}",
        clock.absolute(since),
        when::plural(view.looks, "look"),
        when::plural(view.flow_versions, "version"),
        if view.flow_tells_expiry { "with" } else { "without" },
        table.render(None)
    );
    text.push_str(&dead_times("The flow's", &view.gaps, clock));
    text.push_str(&dead_times("Vestal's", &view.ours_gaps, clock));
    text.push_str(&format!("\nLife left over time, the least of each time:\n{}\n", lives(&view.lives, clock)));
    text.push_str(&verdict(view, name));
    text
}

fn life(seconds: Option<i64>) -> String {
    match seconds {
        None => "not known".to_owned(),
        Some(seconds) => u64::try_from(seconds).map_or_else(
            |_| format!("dead for {}", when::length_seconds(seconds.unsigned_abs())),
            when::length_seconds,
        ),
    }
}

fn dead_times(whose: &str, gaps: &[GapView], clock: &Clock) -> String {
    let line = |gap: &GapView| {
        let to = gap.to.map_or_else(|| "now".to_owned(), |to| clock.absolute(to));
        let length = when::length_seconds(gap.length_seconds);
        format!("{whose} token was dead from {} to {to}: {length}.\n", clock.absolute(gap.from))
    };
    gaps.iter().map(line).collect()
}

/// The looks in a few lines, each with the least life of its time.
fn lives(looks: &[LivesView], clock: &Clock) -> String {
    let mut table = Table::new(&["FROM", "THE FLOW", "VESTAL"]);
    for looks in looks.chunks(looks.len().div_ceil(LINES).max(1)) {
        let least = |of: fn(&LivesView) -> Option<i64>| life(looks.iter().filter_map(of).min());
        let from = looks.first().map(|look| clock.absolute(look.at)).unwrap_or_default();
        table.row(vec![from.into(), least(|look| look.flow_seconds).into(), least(|look| look.ours_seconds).into()]);
    }
    table.render(None)
}

fn verdict(view: &ShadowView, name: &Named) -> String {
    let watched = when::length_seconds(view.watched_seconds);
    let vault = name.vault.as_ref().map(|vault| format!("{vault}/")).unwrap_or_default();
    let name = format!("{vault}{}", name.name);
    if view.cut_over {
        return "It was cut over: Vestal writes under the flow's name.\n".to_owned();
    }
    if !view.enough {
        return format!("That is too little to decide on: wait until it was watched for a day. So far: {watched}.\n");
    }
    let flow = match view.gaps.len() as u64 {
        0 => format!("In {watched} the flow's token was never found dead."),
        gaps => format!(
            "In {watched} the flow's token was dead {} for {} in all.",
            when::plural(gaps, "time"),
            when::length_seconds(view.flow_dead_seconds)
        ),
    };
    let ours = match view.ours_gaps.len() as u64 {
        0 => "Vestal's never was.".to_owned(),
        gaps => format!(
            "Vestal's was dead {} for {} in all: see `vestal token show {name}`.",
            when::plural(gaps, "time"),
            when::length_seconds(view.ours_dead_seconds)
        ),
    };
    format!("{flow} {ours}\n`vestal token cut-over {name}` gives Vestal's the flow's name.\n")
}
