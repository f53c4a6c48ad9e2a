//! What holds for every answer there can be.

use core::time::Duration;

use oauth::{
    AnswerHeaders, Asked, BodyEnd, Grant, GrantType, HttpAnswer, LONGEST_LIFETIME, LONGEST_TOKEN, Lifetime,
    ProviderTable, Refusal, read_answer,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use secret::Secret;

const FORMATS: [&str; 2] = ["json", "form"];

fn read(format: &str, status: u16, headers: AnswerHeaders, body: &[u8], end: BodyEnd) -> Result<Grant, Refusal> {
    let table: ProviderTable =
        toml::from_str(&format!("token_url = \"https://a.test/t\"\nanswer.format = \"{format}\"")).expect("a table");
    let asked = Asked {
        grant: GrantType::ClientCredentials,
        seen_last: None,
        operator: Some(Duration::from_secs(60)),
        received_unix_seconds: 1_800_000_000,
    };
    let answer = HttpAnswer { status, headers, body: Secret::copy_of(body), end };
    read_answer(&table.complete("acme").expect("a provider"), &answer, &asked)
}

/// What a grant promises, whatever it was read from.
fn check(grant: &Grant) {
    for token in [Some(&grant.access_token), grant.refresh_token.as_ref()].into_iter().flatten() {
        assert!(!token.is_empty() && token.len() <= LONGEST_TOKEN);
        assert!(!token.expose().iter().any(u8::is_ascii_control));
    }
    if let Lifetime::Known(length) = grant.lifetime {
        assert!(!length.is_zero() && length <= LONGEST_LIFETIME);
    }
}

/// Answers as they come from a careless hand: right keys, any values, in any order, sometimes broken.
fn nearly_an_answer() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["access_token", "expires_in", "error", "ok", "refresh_token", "scope", "x"]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "0",
            "-1",
            "1e400",
            "3600",
            "[]",
            "{}",
            "\"\"",
            "\"\\ud800\"",
            "\"soon\""
        ])
        .prop_map(str::to_owned),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    prop::collection::vec((key, value), 0..6).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, rng_seed: RngSeed::Fixed(6749), ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(
        body in prop::collection::vec(any::<u8>(), 0..512),
        status: u16,
        header in "\\PC{0,40}",
        end in prop::sample::select(vec![BodyEnd::Whole, BodyEnd::Unconfirmed, BodyEnd::Cut]),
        format in prop::sample::select(FORMATS.to_vec()),
    ) {
        let headers = AnswerHeaders {
            content_type: Some(header.clone()),
            retry_after: Some(header.clone()),
            date: Some(header.clone()),
            request_id: Some(header),
        };
        if let Ok(grant) = read(format, status, headers, &body, end) {
            check(&grant);
        }
    }

    #[test]
    fn nothing_like_an_answer_makes_the_reader_panic(body in nearly_an_answer(), cut in 0_usize..200) {
        for body in [body.as_bytes(), &body.as_bytes()[..cut.min(body.len())]] {
            for format in FORMATS {
                if let Ok(grant) = read(format, 200, AnswerHeaders::default(), body, BodyEnd::Whole) {
                    check(&grant);
                }
            }
        }
    }

    /// A mark stands in every field of the answer and in its headers: no refusal shows it.
    #[test]
    fn no_refusal_shows_a_piece_of_the_body(
        mark in "[a-zA-Z0-9+/_-]{3,12}[0-9][a-z][0-9][A-Za-z0-9+/_-]{8,24}",
        status in prop_oneof![Just(200_u16), 300_u16..600],
        shape in 0_usize..7,
    ) {
        let body = match shape {
            0 => format!("{{\"error\":\"{mark}\",\"error_description\":\"{mark}\",\"{mark}\":\"{mark}\"}}"),
            1 => format!("{{\"access_token\":\"{mark}\",\"expires_in\":0}}"),
            2 => format!("<html>{mark}</html>"),
            3 => mark.clone(),
            4 => format!("{{\"error\":{{\"code\":\"{mark}\"}},\"{mark}\":{{\"{mark}\":1,\"{mark}\":2}}}}"),
            5 => format!("error={mark}&{mark}={mark}"),
            _ => format!("[\"{mark}\"]"),
        };
        let headers = AnswerHeaders {
            content_type: Some(format!("text/{mark}")),
            retry_after: Some(mark.clone()),
            date: Some(mark.clone()),
            request_id: None,
        };
        for format in FORMATS {
            let refusal = read(format, status, headers.clone(), body.as_bytes(), BodyEnd::Whole).err().expect("no usable token");
            prop_assert!(!format!("{refusal:?}").contains(&mark), "{:?}", refusal);
        }
    }
}
