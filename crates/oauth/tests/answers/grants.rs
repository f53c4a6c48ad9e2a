//! What a successful answer gives.

use core::time::Duration;

use oauth::{LifetimeSource, Note};

use crate::{answer, granted, provider, read, refused, seconds};

#[test]
fn a_plain_answer_gives_all_that_is_in_it() {
    let body = r#"{"access_token":"a.b-c","token_type":"Bearer","expires_in":3600,"refresh_in":1800,
                   "refresh_token":"r\/1","scope":"one two","unknown":{"x":[1,2]}}"#;
    let grant = granted("", body);
    assert_eq!(grant.access_token.expose(), b"a.b-c");
    assert_eq!(grant.token_type.as_deref(), Some("Bearer"));
    assert_eq!((grant.lifetime, grant.source), (seconds(3600), LifetimeSource::Answer));
    assert_eq!(grant.refresh_in, Some(Duration::from_secs(1800)));
    assert_eq!(grant.scope.as_deref(), Some("one two"));
    assert_eq!(grant.refresh_token.map(|token| token.expose().to_vec()).as_deref(), Some(&b"r/1"[..]));
    assert_eq!(grant.notes, []);
}

#[test]
fn a_body_without_a_real_error_is_a_success() {
    for rest in ["\"error\":null", "\"error\":\"\"", "\"error\":0", "\"error\":false", "\"error\":[]", "\"ok\":true"] {
        granted("", &format!("{{\"access_token\":\"t\",{rest}}}"));
    }
}

#[test]
fn the_body_wins_over_its_content_type() {
    for (content_type, notes) in [
        (Some("application/json; charset=utf-8"), &[][..]),
        (Some("Application/JSON"), &[]),
        (Some("application/vnd.acme+json"), &[]),
        (None, &[]),
        (Some("text/html"), &[Note::ContentType]),
        (Some("text/plain"), &[Note::ContentType]),
        (Some(""), &[Note::ContentType]),
    ] {
        let mut answer = answer(200, "{\"access_token\":\"t\",\"expires_in\":60}");
        answer.headers.content_type = content_type.map(str::to_owned);
        let grant = read(&provider(""), &answer).expect("granted");
        assert_eq!(grant.notes, notes, "{content_type:?}");
    }
}

#[test]
fn a_form_is_read_where_the_provider_says_so_and_explained_where_not() {
    let body = "access_token=gho_a%2Bb&scope=repo%2Cgist&token_type=bearer&expires_in=28800";
    let mut form = answer(200, body);
    form.headers.content_type = Some("application/x-www-form-urlencoded; charset=utf-8".to_owned());
    let grant = read(&provider("answer.format = \"form\""), &form).expect("granted");
    assert_eq!(grant.access_token.expose(), b"gho_a+b");
    assert_eq!((grant.lifetime, grant.scope.as_deref()), (seconds(28_800), Some("repo,gist")));
    assert_eq!(grant.notes, []);

    let refusal = read(&provider(""), &form).err().expect("refused");
    assert!(refusal.words.contains("answer.format = \"form\""), "{}", refusal.words);

    let refusal = refused("answer.format = \"form\"", 200, "error=bad_verification_code&error_description=no");
    assert_eq!(refusal.error.as_deref(), Some("bad_verification_code"));
}

#[test]
fn a_success_rule_decides_alone() {
    let rule = "answer.success = { field = \"status\", equals = \"SUCCESS\" }";
    granted(rule, "{\"status\":\"SUCCESS\",\"access_token\":\"t\",\"error\":\"ignored\"}");
    for body in ["{\"status\":\"FAILED\",\"access_token\":\"t\"}", "{\"access_token\":\"t\"}"] {
        assert!(refused(rule, 200, body).words.contains("the body says that it failed"));
    }
    let flag = "answer.success = { field = \"ok\", equals = true }";
    granted(flag, "{\"ok\":true,\"access_token\":\"t\"}");
    granted(flag, "{\"ok\":\"true\",\"access_token\":\"t\"}");
    refused(flag, 200, "{\"ok\":\"yes\",\"access_token\":\"t\"}");
    let number = "answer.success = { field = \"code\", equals = 0 }";
    granted(number, "{\"code\":0,\"access_token\":\"t\"}");
    granted(number, "{\"code\":\"0\",\"access_token\":\"t\"}");
    refused(number, 200, "{\"code\":602,\"access_token\":\"t\"}");
}

#[test]
fn values_are_found_where_the_provider_says() {
    let toml = "answer.token = \"authed.0.token\"\nlifetime.field = \"meta.ttl\"\nanswer.refresh_token = \"/meta/a.b\"";
    let body = "{\"authed\":[{\"token\":\"t\"}],\"meta\":{\"ttl\":60,\"a.b\":\"r\"}}";
    let grant = granted(toml, body);
    assert_eq!((grant.access_token.expose(), grant.lifetime), (&b"t"[..], seconds(60)));
    assert!(grant.refresh_token.is_some_and(|token| token.expose() == b"r"));
}

#[test]
fn a_refresh_token_that_cannot_be_used_does_not_cost_the_access_token() {
    for (written, notes) in [
        ("null", &[][..]),
        ("\"\"", &[]),
        ("17", &[Note::RefreshTokenUnusable]),
        ("\"a\\nb\"", &[Note::RefreshTokenUnusable]),
    ] {
        let body = format!("{{\"access_token\":\"t\",\"expires_in\":60,\"refresh_token\":{written}}}");
        let grant = granted("", &body);
        assert!(grant.refresh_token.is_none(), "{written}");
        assert_eq!(grant.notes, notes, "{written}");
    }
}

#[test]
fn scope_and_token_type_are_kept_where_they_are_plain() {
    for (written, expected) in [
        ("\"a b\"", Some("a b")),
        ("[\"a\",\"b\"]", Some("a b")),
        ("\"\"", None),
        ("[]", None),
        ("7", None),
        ("\"a\\u0007\"", None),
    ] {
        let grant = granted("", &format!("{{\"access_token\":\"t\",\"scope\":{written}}}"));
        assert_eq!(grant.scope.as_deref(), expected, "{written}");
    }
    for (written, expected) in [("\"Bearer\"", Some("Bearer")), ("\"a b\"", None), ("\"\"", None), ("{}", None)] {
        let grant = granted("", &format!("{{\"access_token\":\"t\",\"token_type\":{written}}}"));
        assert_eq!(grant.token_type.as_deref(), expected, "{written}");
    }
}
