//! `token show`: all about a token, and what its owner should look at.

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::style::{self, styled};
use super::super::table::{Cell, Fields, printable};
use super::super::when::{self, Clock};
use super::list::{last_failure, life_left, next};
use crate::admin::wire::{CredentialView, TokenDetail, UtcTime};

/// From when on the end of a credential stands out, in milliseconds: 30 days.
const CREDENTIAL_NEAR_ITS_END: i64 = 30 * 86_400_000;

pub(super) fn run(name: &Named, session: &mut Session) -> Result<(), Problem> {
    let client = session.client()?;
    let detail: TokenDetail = client.get(&session.token_path(&client, name)?)?;
    if session.json {
        return session.output.json(&detail);
    }
    let text = render(&detail, &session.clock, session.output.width());
    session.output.text(&text)
}

fn render(detail: &TokenDetail, clock: &Clock, width: Option<usize>) -> String {
    let token = &detail.token;
    let mut fields = Fields::default();
    fields.add("State", state(detail));
    fields.add("Generation", token.generation.to_string());
    fields.add("Life left", life(detail, clock));
    fields.add_some("Obtained", detail.obtained.map(|at| clock.both(at)));
    fields.add(
        "Next renewal",
        match token.due {
            Some(due) => format!("{} ({})", next(clock, due), clock.absolute(due)),
            None => "none by itself: it waits for somebody".to_owned(),
        },
    );
    let failure = last_failure(token);
    fields.add_some("Last failure", (!failure.is_empty()).then(|| Cell::styled(style::WARNING, failure)));
    fields.add("Lifetime", lifetime(detail));
    fields.add("Promise", promise(detail));
    fields.add("Provider", &token.provider);
    fields.add("Token URL", &detail.token_url);
    fields.add_some("Scope", (!detail.scope.is_empty()).then(|| detail.scope.join(" ")));
    fields.add_list("Credentials", detail.credentials.iter().map(|credential| credential_cell(credential, clock)));
    fields.add_list("Delivered to", detail.deliveries.iter().map(|delivery| super::deliver::line(delivery, clock)));
    fields.add("Owner", token.owner.as_deref().unwrap_or("nobody: no one is told when it is in danger"));
    fields.add(
        "Declared by",
        match detail.origin.as_str() {
            "file" => "the configuration file",
            "admin" => "a command",
            other => other,
        },
    );
    let title = styled(style::STRONG, &printable(&format!("{}/{}", token.vault, token.name)));
    let mut text = format!("{title}\n{}", fields.render(width));
    for warning in &detail.warnings {
        text.push_str(&format!("{} {}\n", styled(style::WARNING, "warning:"), printable(warning)));
    }
    text
}

fn state(detail: &TokenDetail) -> Cell {
    let state = &detail.token.state;
    let words = if detail.paused.is_empty() { state.clone() } else { format!("{state}: {}", detail.paused.join("; ")) };
    Cell::styled(style::of_state(state), words)
}

fn life(detail: &TokenDetail, clock: &Clock) -> String {
    match (detail.expires, life_left(&detail.token)) {
        (Some(end), left) if !left.is_empty() => format!("{left} (until {})", clock.absolute(end)),
        _ if detail.token.generation == 0 => "it has no value yet".to_owned(),
        _ => "no end is known".to_owned(),
    }
}

/// How long it lives in all, and who says so.
fn lifetime(detail: &TokenDetail) -> Cell {
    let source = match detail.lifetime_source.as_deref() {
        None => return "not known before the first answer".into(),
        Some("answer") => "says the provider's answer",
        Some("jwt") => "says the token itself",
        Some("last_time") => "as the last time it was told",
        Some("documented") => "documents the provider",
        Some("operator") => "says the configuration",
        Some("guess") => {
            return Cell::styled(style::WARNING, "a guess: nobody says how long it lives; set `lifetime`");
        }
        Some(other) => other,
    };
    match detail.lifetime_seconds {
        Some(seconds) => format!("{}, {source}", when::length_seconds(seconds)).into(),
        None => format!("without end, {source}").into(),
    }
}

/// The promise, and where it is more than the token ever lives.
fn promise(detail: &TokenDetail) -> Cell {
    let known = detail.lifetime_source.as_deref().filter(|source| *source != "guess");
    match (detail.promise_seconds, detail.lifetime_seconds.filter(|_| known.is_some())) {
        (None, _) => "none".into(),
        (Some(promise), None) if known.is_none() => {
            let words = format!("{} left, if it lives that long: nobody says so yet", when::length_seconds(promise));
            Cell::styled(style::WARNING, words)
        }
        (Some(promise), Some(lifetime)) if promise >= lifetime => {
            let (promise, lifetime) = (when::length_seconds(promise), when::length_seconds(lifetime));
            Cell::styled(style::BAD, format!("{promise} can't be kept: it lives {lifetime} in all"))
        }
        (Some(promise), _) => format!("{} left is sure to be found", when::length_seconds(promise)).into(),
    }
}

/// A credential, and its own end where it has one.
fn credential_cell(credential: &CredentialView, clock: &Clock) -> Cell {
    credential_as(&credential.part, credential, clock)
}

/// The same under another word for what it is.
pub(in super::super) fn credential_as(part: &str, credential: &CredentialView, clock: &Clock) -> Cell {
    let CredentialView { source, present, expires, .. } = credential;
    if !present {
        return Cell::styled(style::BAD, format!("{part}: {source} is missing or disabled"));
    }
    let Some(end) = *expires else {
        return format!("{part}: {source}").into();
    };
    let time = clock.both(end);
    if clock.is_past(end) {
        Cell::styled(style::BAD, format!("{part}: {source} ended {time}"))
    } else if clock.is_past(UtcTime::from_unix_ms(end.unix_ms().saturating_sub(CREDENTIAL_NEAR_ITS_END))) {
        Cell::styled(style::WARNING, format!("{part}: {source} ends {time}"))
    } else {
        format!("{part}: {source} ends {time}").into()
    }
}
