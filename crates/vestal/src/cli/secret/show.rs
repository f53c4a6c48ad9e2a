//! `secret show`: a secret and its versions.

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style::{self, styled};
use super::super::table::{Fields, Table, printable};
use super::super::when::Clock;
use super::list::state;
use crate::admin::wire::{SecretDetail, UtcTime, VersionView};

pub(super) fn run(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let detail: SecretDetail = client.get(&session.secret_path(&client, name)?)?;
    if session.json {
        return session.output.json(&detail);
    }
    let text = render(&detail, &session.clock, session.output.width());
    session.output.text(&text)
}

fn render(detail: &SecretDetail, clock: &Clock, width: Option<usize>) -> String {
    let secret = &detail.secret;
    let version = &secret.version;
    let time = |at: UtcTime| clock.both(at);
    let mut fields = Fields::default();
    fields.add("State", state(version, clock));
    fields.add("Kind", if secret.managed { "managed token" } else { "secret" });
    fields.add("Version", &version.id);
    fields.add("Created", time(version.created));
    fields.add("Updated", time(version.updated));
    fields.add("Written by", &version.written_by);
    fields.add_some("Not before", version.not_before.map(time));
    fields.add_some("Ends", version.expires.map(time));
    fields.add_some("Content type", version.content_type.as_ref());
    fields.add_list("Tags", version.tags.iter().map(|(name, value)| format!("{name}={value}").into()));
    let title = printable(&format!("{}/{}", secret.vault, secret.name));
    let versions = versions(&detail.versions, clock).render(width);
    format!("{}\n{}\n{versions}", styled(style::STRONG, &title), fields.render(width))
}

fn versions(versions: &[VersionView], clock: &Clock) -> Table {
    let mut table = Table::new(&["VERSION", "STATE", "CREATED", "ENDS", "GENERATION", "WRITTEN BY"]);
    for version in versions {
        let generation = if version.generation == 0 { String::new() } else { version.generation.to_string() };
        table.row(vec![
            (&version.id).into(),
            state(version, clock),
            clock.absolute(version.created).into(),
            version.expires.map(|end| clock.relative(end)).unwrap_or_default().into(),
            generation.into(),
            (&version.written_by).into(),
        ]);
    }
    table
}
