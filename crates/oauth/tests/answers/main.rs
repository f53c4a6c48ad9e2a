//! Every odd answer that a token endpoint may give, one row a case.

use core::time::Duration;

use oauth::{
    AnswerHeaders, Asked, BodyEnd, Grant, GrantType, HttpAnswer, Lifetime, Provider, ProviderTable, Refusal,
    read_answer,
};
use secret::Secret;

mod grants;
mod lifetimes;
mod refusals;

const RECEIVED: i64 = 1_800_000_000;

fn asked() -> Asked {
    Asked { grant: GrantType::ClientCredentials, seen_last: None, operator: None, received_unix_seconds: RECEIVED }
}

/// A provider with the standard's habits, and what the text says over them.
fn provider(toml: &str) -> Provider {
    let table: ProviderTable =
        toml::from_str(&format!("title = \"Acme\"\ntoken_url = \"https://acme.test/token\"\n{toml}")).expect("a table");
    table.complete("acme").expect("a provider")
}

fn answer(status: u16, body: impl AsRef<[u8]>) -> HttpAnswer {
    let headers = AnswerHeaders { content_type: Some("application/json".to_owned()), ..AnswerHeaders::default() };
    HttpAnswer { status, headers, body: Secret::copy_of(body.as_ref()), end: BodyEnd::Whole }
}

fn read(provider: &Provider, answer: &HttpAnswer) -> Result<Grant, Refusal> {
    read_answer(provider, answer, &asked())
}

fn granted(toml: &str, body: &str) -> Grant {
    match read(&provider(toml), &answer(200, body)) {
        Ok(grant) => grant,
        Err(refusal) => panic!("{body}: {}", refusal.words),
    }
}

fn refused(toml: &str, status: u16, body: impl AsRef<[u8]>) -> Refusal {
    match read(&provider(toml), &answer(status, &body)) {
        Ok(_) => panic!("taken: {}", String::from_utf8_lossy(body.as_ref())),
        Err(refusal) => refusal,
    }
}

fn seconds(count: u64) -> Lifetime {
    Lifetime::Known(Duration::from_secs(count))
}
