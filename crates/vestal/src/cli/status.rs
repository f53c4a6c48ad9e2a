//! `status`: the running Vestal at a glance.

use super::exit::Exit;
use super::problem::Problem;
use super::session::Session;
use super::style::{self, styled};
use super::table::{Cell, Fields, printable};
use super::when::Clock;
use crate::admin::wire::Status;

/// Ends with [`Exit::Failed`] where it isn't ready: a script asks no more than that.
pub(super) fn run(session: &mut Session) -> Result<Exit, Problem> {
    let status: Status = session.client()?.get("/status")?;
    if session.json {
        session.output.json(&status)?;
    } else {
        let text = render(&status, &session.clock, session.output.width());
        session.output.text(&text)?;
    }
    Ok(if status.not_ready.is_empty() { Exit::Done } else { Exit::Failed })
}

fn render(status: &Status, clock: &Clock, width: Option<usize>) -> String {
    let mut fields = Fields::default();
    let ready = if status.not_ready.is_empty() {
        Cell::styled(style::GOOD, "ready")
    } else {
        Cell::styled(style::BAD, format!("not ready: {}", status.not_ready.join("; ")))
    };
    fields.add("State", ready);
    fields.add("Running since", format!("{} ({})", clock.absolute(status.started), clock.relative(status.started)));
    fields.add("Data folder", &status.data);
    fields.add("Authority", &status.authority);
    fields.add("Tenant", &status.tenant);
    fields.add_list("Vaults", status.vaults.iter().map(|vault| format!("{}  {}", vault.name, vault.url).into()));
    let states: Vec<String> = status.tokens.iter().map(|(state, count)| format!("{count} {state}")).collect();
    fields.add("Tokens", if states.is_empty() { "none".to_owned() } else { states.join(", ") });
    format!("{}\n{}", styled(style::STRONG, &format!("Vestal {}", printable(&status.version))), fields.render(width))
}
