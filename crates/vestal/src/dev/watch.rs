//! One line a renewal, in plain words, never the token.

use std::sync::Arc;

use serde_json::json;
use store::{Attempt, Outcome};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use vault::{SecretName, VaultName};

use super::Say;
use super::setup::{TOKEN_NAME, VAULT};
use crate::admin::wire::{AttemptView, whole_seconds};
use crate::clock;
use crate::engine::Engine;
use crate::observe::TokenEvent;

/// Prints what happens to tokens until nobody is left to tell.
pub(super) async fn print(mut events: Receiver<TokenEvent>, say: Arc<dyn Say>, as_json: bool) {
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Some(attempt) = &event.attempt {
                    say.line(&if as_json { json_line(&event, attempt) } else { words(&event, attempt) });
                }
            }
            Err(RecvError::Lagged(missed)) => {
                say.hint(&format!("{missed} lines were left out: the terminal was too slow"));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Returns once the managed token has a value with life left.
pub(super) async fn until_first_token(engine: &Engine, mut events: Receiver<TokenEvent>) {
    let (Ok(vault), Ok(name)) = (VaultName::parse(VAULT), SecretName::parse(TOKEN_NAME)) else {
        return;
    };
    loop {
        if let Ok(Some(token)) = engine.records().token_of(&vault, &name).await
            && token.standing.remaining(clock::now()).is_some_and(|left| left.is_alive())
        {
            return;
        }
        if matches!(events.recv().await, Err(RecvError::Closed)) {
            return;
        }
    }
}

fn words(event: &TokenEvent, attempt: &Attempt) -> String {
    let name = event.name.as_written();
    let until = length(attempt.next_due.saturating_sub(clock::now().wall.0));
    // A failure just like the one before shares its row.
    let time = time_of_day(attempt.last_repeat.unwrap_or(attempt.started));
    match &attempt.outcome {
        Outcome::Renewed { generation: Some(generation), lifetime, .. } => {
            let life = lifetime.map_or_else(|| "an unknown time".to_owned(), |life| length(seconds(life)));
            format!("{time}  {name} renewed: generation {generation}, lives {life}, next renewal in {until}")
        }
        Outcome::Renewed { generation: None, .. } => {
            format!("{time}  {name} checked: the provider gave the same token again, next renewal in {until}")
        }
        Outcome::Failed { words, .. } => {
            let left = match event.life_left_ms {
                Some(left) if left > 0 => format!("readers' token has {} left", length(left)),
                Some(_) => "readers' token has expired".to_owned(),
                None => "readers have no token yet".to_owned(),
            };
            let words = words.trim_end_matches('.');
            format!("{time}  {name} not renewed: {words}; {left}, next try in {until}")
        }
    }
}

fn json_line(event: &TokenEvent, attempt: &Attempt) -> String {
    json!({
        "event": "attempt",
        "token": event.name.as_written(),
        "vault": event.vault.as_str(),
        "state": event.state.name(),
        "generation": event.generation,
        "life_left_seconds": event.life_left_ms.map(whole_seconds),
        "attempt": AttemptView::from(attempt.clone()),
    })
    .to_string()
}

fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

/// A length as people say it: the two largest units.
fn length(ms: i64) -> String {
    let seconds = ms.max(0).saturating_add(500) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn time_of_day(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .map(|time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use renewal::TokenState;
    use store::{Attempt, Outcome};
    use vault::{SecretName, VaultName};

    use super::{length, time_of_day, words};
    use crate::observe::TokenEvent;

    #[test]
    fn a_failure_that_repeats_is_told_with_its_own_time() {
        let (first, again) = (1_795_385_615_000, 1_795_385_619_000);
        let attempt = Attempt {
            number: 3,
            started: first,
            took: 4,
            outcome: Outcome::Failed {
                class: "transient".to_owned(),
                words: "the sandbox answered HTTP 500.".to_owned(),
                error: None,
            },
            status: Some(500),
            request_id: None,
            next_due: 0,
            repeats: 1,
            last_repeat: Some(again),
        };
        let event = TokenEvent {
            vault: VaultName::parse("dev").expect("a vault's name"),
            name: SecretName::parse("api-token").expect("a secret's name"),
            generation: 0,
            state: TokenState::Retrying,
            life_left_ms: None,
            attempt: Some(attempt.clone()),
        };
        let told = words(&event, &attempt);
        assert_eq!(
            told,
            format!(
                "{}  api-token not renewed: the sandbox answered HTTP 500; readers have no token yet, next try in 0 s",
                time_of_day(again)
            )
        );
    }

    #[test]
    fn lengths_read_as_people_say_them() {
        for (ms, words) in [
            (-5, "0 s"),
            (31_200, "31 s"),
            (59_700, "1 min"),
            (95_000, "1 min 35 s"),
            (3_600_000, "1 h"),
            (5_400_000, "1 h 30 min"),
            (604_800_000, "7 d 0 h"),
        ] {
            assert_eq!(length(ms), words, "{ms}");
        }
    }
}
