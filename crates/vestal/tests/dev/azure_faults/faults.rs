//! Whatever goes wrong on the way or over there: the user is told what it is, and the newest generation arrives, once.

use std::time::Duration;

use serde_json::{Value, json};

use super::Stage;
use super::proxy::Fault;
use crate::client::VaultClient;
use crate::process::{admin, until};

/// Long enough that no renewal of its own comes in the way.
const LONG: u32 = 600;

/// An error as Key Vault words it.
fn refusal(code: &str, inner: &str) -> Value {
    json!({ "error": { "code": code, "message": "not to be shown: canary-5f1d0a7e", "innererror": { "code": inner } } })
}

/// Lets one fault happen so often, and looks at what comes of it: the words that it is told in, if it is told, and the newest
/// generation in its place.
fn rides_out(times: usize, method: &'static str, fault: Fault, told: Option<&str>) {
    let stage = Stage::set(LONG, "");
    stage.proxy.rule(times, fault, move |seen| seen.is_delivery(method));
    let serve = stage.serve();
    stage.give_credentials();
    if let Some(words) = told {
        let line = serve.stderr.wait(|line| line.contains(words));
        assert!(line.is_some(), "nobody is told `{words}`: {}", serve.stderr.text());
    }
    stage.until_delivered();
    stage.renew();
    stage.until_delivered();
    assert!(!serve.stderr.text().contains("canary-5f1d0a7e"), "what Azure says is never shown");
}

#[test]
fn a_busy_vault_is_left_alone_for_as_long_as_it_asks() {
    let stage = Stage::set(LONG, "");
    let busy = Fault::Answer(429, vec![("retry-after", "3".to_owned())], refusal("Throttled", ""));
    stage.proxy.rule(2, busy, |seen| seen.is_delivery("PUT"));
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    let seen = stage.proxy.seen();
    let puts: Vec<u16> = seen.iter().filter(|seen| seen.is_delivery("PUT")).map(|seen| seen.status).collect();
    assert_eq!(puts, [429, 429, 200]);
    // Between a refusal and the next try nothing at all is sent to it.
    for (place, refused) in seen.iter().enumerate().filter(|(_, seen)| seen.status == 429) {
        let next =
            seen[place + 1..].iter().find(|seen| seen.path.starts_with("/secrets/")).expect("it was tried again");
        let rested = next.at.duration_since(refused.at);
        assert!(rested >= Duration::from_secs(3), "{} came after {rested:?}", next.method);
    }
    assert_eq!(stage.held().len(), 1);
}

#[test]
fn a_vault_that_fails_on_its_own_side_is_tried_again() {
    rides_out(2, "PUT", Fault::Answer(500, Vec::new(), refusal("InternalServerError", "")), None);
}

#[test]
fn a_vault_that_answers_no_json_is_tried_again() {
    rides_out(2, "GET", Fault::Answer(502, Vec::new(), Value::Null), None);
}

#[test]
fn a_connection_that_breaks_before_the_write_is_made_again() {
    rides_out(2, "PUT", Fault::Reset, None);
}

#[test]
fn a_write_whose_answer_is_lost_is_found_and_not_made_again() {
    let stage = Stage::set(LONG, "");
    stage.proxy.rule(1, Fault::ResetAfterwards, |seen| seen.is_delivery("PUT"));
    let _serve = stage.serve();
    stage.give_credentials();
    assert_eq!(stage.until_delivered().len(), 1, "there is one version");
    let puts = stage.proxy.seen().iter().filter(|seen| seen.is_delivery("PUT")).count();
    assert_eq!(puts, 1, "it was written once");
}

#[test]
fn a_slow_vault_gets_its_time() {
    rides_out(1, "PUT", Fault::Slow(Duration::from_secs(4)), None);
}

#[test]
fn a_missing_right_is_named_with_the_place_and_the_command() {
    rides_out(
        2,
        "PUT",
        Fault::Answer(403, Vec::new(), refusal("Forbidden", "ForbiddenByRbac")),
        Some("az role assignment create"),
    );
}

#[test]
fn a_missing_right_to_read_is_another() {
    rides_out(
        2,
        "GET",
        Fault::Answer(403, Vec::new(), refusal("Forbidden", "AccessDenied")),
        Some("lacks the right Get, to read"),
    );
}

#[test]
fn a_firewall_is_told_from_a_missing_right() {
    rides_out(
        2,
        "GET",
        Fault::Answer(403, Vec::new(), refusal("Forbidden", "ForbiddenByFirewall")),
        Some("az keyvault network-rule add --name dev"),
    );
}

#[test]
fn a_vault_without_public_access_is_told_from_a_missing_right() {
    rides_out(
        2,
        "GET",
        Fault::Answer(403, Vec::new(), refusal("Forbidden", "ForbiddenByConnection")),
        Some("private endpoint"),
    );
}

#[test]
fn a_name_that_is_soft_deleted_is_told_with_the_way_to_get_it_back() {
    let stage = Stage::set(LONG, "");
    let serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    admin(&stage.theirs, &["secret", "delete", "delivered-token", "--yes"], "");
    stage.renew();
    let words = "az keyvault secret recover --vault-name dev --name delivered-token";
    let line = serve.stderr.wait(|line| line.contains(words));
    assert!(line.is_some(), "nobody is told: {}", serve.stderr.text());
    admin(&stage.theirs, &["secret", "recover", "delivered-token"], "");
    assert_eq!(stage.until_delivered().len(), 2, "what was there before is there again");
    // Purged, its name is free, and it is simply written anew.
    admin(&stage.theirs, &["secret", "delete", "delivered-token", "--yes"], "");
    admin(&stage.theirs, &["secret", "purge", "delivered-token", "--yes"], "");
    stage.renew();
    assert_eq!(stage.until_delivered().len(), 1);
}

#[test]
fn a_secret_that_a_certificate_manages_is_told_with_what_to_do_instead() {
    rides_out(
        2,
        "PUT",
        Fault::Answer(403, Vec::new(), refusal("Forbidden", "SecretManagedByKeyVault")),
        Some("belongs to the certificate of that name"),
    );
}

#[test]
fn a_secret_that_somebody_disabled_is_written_anew() {
    let stage = Stage::set(LONG, "");
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    let vault = VaultClient::new(&stage.azure);
    let path = "/secrets/delivered-token?api-version=7.4";
    let disabled = vault.send("PATCH", path, r#"{"attributes": {"enabled": false}}"#).ok();
    assert_eq!(disabled["attributes"]["enabled"], false);
    stage.renew();
    assert!(stage.until_delivered().last().is_some_and(|(_, enabled)| *enabled));
}

#[test]
fn a_directory_that_finds_the_clocks_apart_says_so() {
    let stage = Stage::set(LONG, "");
    let answer = json!({ "error": "invalid_client", "error_codes": [700_024], "error_description": "AADSTS700024: canary-5f1d0a7e" });
    stage.proxy.rule(2, Fault::Answer(401, Vec::new(), answer), super::proxy::Seen::is_sign_in);
    let serve = stage.serve();
    stage.give_credentials();
    let line = serve.stderr.wait(|line| line.contains("this machine's clock is right"));
    assert!(line.is_some(), "{}", serve.stderr.text());
    stage.until_delivered();
    assert!(!serve.stderr.text().contains("canary-5f1d0a7e"));
}

#[test]
fn a_directory_that_is_down_holds_nothing_up_for_good() {
    let stage = Stage::set(LONG, "");
    stage.proxy.rule(3, Fault::Answer(503, Vec::new(), json!({})), super::proxy::Seen::is_sign_in);
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
}

#[test]
fn a_token_that_the_vault_no_longer_takes_is_replaced() {
    let stage = Stage::set(LONG, "");
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    stage.proxy.rule(1, Fault::Answer(401, Vec::new(), refusal("Unauthorized", "")), |seen| seen.is_delivery("GET"));
    stage.renew();
    stage.until_delivered();
}

/// An outage over many generations: for tokens of an hour it would be one of many hours.
#[test]
fn an_outage_delays_nobody_else_and_ends_with_the_newest_generation() {
    let stage = Stage::set(6, "");
    let serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    stage.proxy.rule(usize::MAX, Fault::Reset, |_| true);
    let before = stage.generation();
    let file = stage.folder.path().join("tokens/delivered-token");
    let mut values = std::collections::BTreeSet::new();
    until("four generations in the other target", || {
        values.insert(std::fs::read_to_string(&file).unwrap_or_default());
        (values.len() >= 5 && stage.generation() >= before + 4).then_some(())
    });
    let held = stage.held();
    assert!(held.last().is_some_and(|(generation, _)| *generation <= before + 1), "nothing came through: {held:?}");
    until("the lag is shown", || (stage.delivery()["lag_seconds"].as_u64()? > 0).then_some(()));
    stage.proxy.calm();
    // It is told what is wrong, and not with every try.
    let told = serve.stderr.text().lines().filter(|line| line.contains("can't be reached")).count();
    assert!((1..=3).contains(&told), "told {told} times: {}", serve.stderr.text());
    admin(&stage.folder, &["token", "deliver", "delivered-token"], "");
    let held = until("the newest generation", || {
        let held = stage.held();
        (held.last()?.0 > before + 3).then_some(held)
    });
    let generations: Vec<u64> = held.iter().map(|(generation, _)| *generation).collect();
    assert!(generations.windows(2).all(|pair| pair[0] < pair[1]), "{generations:?}");
}
