//! Why there is no token, for the machine and in words.

use core::time::Duration;

use oauth::{AnswerHeaders, Asked, BODY_LIMIT, BodyEnd, GrantType, LONGEST_TOKEN, Note, RefusalClass, read_answer};

use crate::{answer, asked, granted, provider, read, refused};

#[test]
fn a_success_that_gives_no_token_is_refused_in_words() {
    let too_deep = format!("{{\"access_token\":\"t\",\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let too_long = format!("{{\"access_token\":\"{}\"}}", "t".repeat(LONGEST_TOKEN + 1));
    let cases: [(&str, &str, RefusalClass, &str); 24] = [
        ("", "", RefusalClass::Unknown, "the answer is empty"),
        ("", " \r\n", RefusalClass::Unknown, "the answer is empty"),
        ("", "<!doctype html><title>Sign in</title>", RefusalClass::Unknown, "a web page"),
        ("", "null", RefusalClass::Unknown, "not an object"),
        ("", "[{\"access_token\":\"t\"}]", RefusalClass::Unknown, "not an object"),
        ("", "{\"access_token\":\"t\"", RefusalClass::Unknown, "not readable JSON"),
        ("", "access_token=t", RefusalClass::Unknown, "not readable JSON"),
        ("", &too_deep, RefusalClass::Unknown, "more than 32 levels"),
        ("", "{\"access_token\":\"t\",\"access_token\":\"u\"}", RefusalClass::Unknown, "a key comes twice"),
        ("", "{}", RefusalClass::Unknown, "no token at `access_token`"),
        ("", "{\"access_token\":null}", RefusalClass::Unknown, "no token at `access_token`"),
        ("", "{\"access_token\":\"\"}", RefusalClass::Unknown, "no token at `access_token`"),
        ("answer.token = \"data.token\"", "{\"data\":{}}", RefusalClass::Unknown, "no token at `data.token`"),
        ("", "{\"access_token\":12345}", RefusalClass::Unknown, "is no text"),
        ("", "{\"access_token\":{\"value\":\"t\"}}", RefusalClass::Unknown, "is no text"),
        ("", "{\"access_token\":\"t\\r\\nx: y\"}", RefusalClass::Unknown, "control characters"),
        ("", "{\"access_token\":\"\\u0000\"}", RefusalClass::Unknown, "control characters"),
        ("", "{\"access_token\":\"\\ud800\"}", RefusalClass::Unknown, "broken escapes"),
        ("", &too_long, RefusalClass::Permanent, "longer than 25600 bytes"),
        ("", "{\"error\":\"invalid_client\"}", RefusalClass::Client, "HTTP 200, invalid_client"),
        ("", "{\"error\":\"bad_verification_code\"}", RefusalClass::Unknown, "the body says that it failed"),
        ("", "{\"ok\":false,\"error\":\"invalid_auth\"}", RefusalClass::Unknown, "HTTP 200, invalid_auth"),
        ("", "{\"ok\":false,\"access_token\":\"t\"}", RefusalClass::Unknown, "the body says that it failed"),
        ("", "{\"error\":\"invalid_scope\",\"access_token\":\"t\"}", RefusalClass::Permanent, "the scope"),
    ];
    for (toml, body, class, words) in cases {
        let refusal = refused(toml, 200, body);
        assert_eq!(refusal.class, class, "{body}");
        assert!(refusal.words.contains(words), "{body}: {}", refusal.words);
        assert!(refusal.words.starts_with("Acme answered HTTP 200"), "{}", refusal.words);
        assert!(refusal.words.ends_with('.'), "{}", refusal.words);
    }
}

#[test]
fn ten_megabytes_are_never_read_to_their_end() {
    let mut answer = answer(200, "x".repeat(BODY_LIMIT));
    answer.end = BodyEnd::Cut;
    let refusal = read(&provider(""), &answer).err().expect("refused");
    assert_eq!(refusal.class, RefusalClass::Unknown);
    assert!(refusal.words.contains("longer than 256 KiB"), "{}", refusal.words);
}

#[test]
fn an_answer_that_broke_off_is_tried_again_even_if_what_came_can_be_read() {
    let mut answer = answer(200, "{\"access_token\":\"t\"}");
    answer.end = BodyEnd::Cut;
    let refusal = read(&provider(""), &answer).err().expect("refused");
    assert_eq!(refusal.class, RefusalClass::Transient);
    assert!(refusal.words.contains("ended in the middle"), "{}", refusal.words);
}

#[test]
fn an_answer_without_a_confirmed_end_is_taken_where_its_json_is_complete_and_nowhere_else() {
    let unconfirmed = |toml: &str, status, body: &str| {
        let mut answer = answer(status, body);
        answer.end = BodyEnd::Unconfirmed;
        read(&provider(toml), &answer)
    };
    for toml in ["", "answer.format = \"form\""] {
        let grant = unconfirmed(toml, 200, "{\"access_token\":\"t\"}\r\n").expect("complete JSON");
        assert!(grant.notes.contains(&Note::EndUnconfirmed));
        assert!(Note::EndUnconfirmed.to_string().contains("its JSON is complete"));
        // What is cut, and what might be.
        for body in ["{\"access_token\":\"t\"", "access_token=t", "access_token=t&expires_in=36", "", "t"] {
            let refusal = unconfirmed(toml, 200, body).err().expect("refused");
            assert_eq!(refusal.class, RefusalClass::Transient, "{toml} {body}");
            assert!(refusal.words.contains("so it may be cut"), "{}", refusal.words);
        }
        let refusal = unconfirmed(toml, 400, "{\"error\":\"invalid_client\"}").err().expect("refused");
        assert_eq!(refusal.class, RefusalClass::Client);
        let refusal = unconfirmed(toml, 400, "error=invalid_clie").err().expect("refused");
        assert_eq!(refusal.error, None);
    }
    let page = unconfirmed("", 200, "<html>").err().expect("refused");
    assert!(page.words.contains("a web page"), "{}", page.words);
    assert!(granted("answer.format = \"form\"", "access_token=t").notes.is_empty());
}

#[test]
fn statuses_and_codes_mean_what_the_standards_say() {
    use GrantType::{ClientCredentials as Own, RefreshToken as Refresh};
    use RefusalClass::{Client, Consent, Permanent, Throttled, Transient, Unknown};
    let throttled = Throttled { retry_after: None };
    let cases: [(GrantType, u16, &str, RefusalClass, &str); 45] = [
        (Own, 400, "invalid_client", Client, "this client id"),
        (Own, 401, "invalid_client", Client, "client_auth = \"basic\""),
        (Own, 403, "invalid_client", Client, "this client id"),
        (Own, 400, "invalid_grant", Client, "this client id"),
        (Refresh, 400, "invalid_grant", Consent, "give the consent again"),
        (Refresh, 401, "invalid_grant", Consent, "give the consent again"),
        (Refresh, 400, "interaction_required", Consent, "give the consent again"),
        (Refresh, 500, "invalid_grant", Transient, "it is tried again"),
        (Refresh, 429, "invalid_grant", throttled, "too many requests"),
        (Refresh, 408, "invalid_grant", Transient, "it is tried again"),
        (Own, 400, "invalid_scope", Permanent, "Correct `scope`"),
        (Own, 400, "unsupported_grant_type", Permanent, "the grant client_credentials"),
        (Own, 400, "unauthorized_client", Permanent, "may not use the grant"),
        (Own, 400, "invalid_request", Permanent, "missing or wrong"),
        (Own, 400, "invalid_target", Permanent, "audience"),
        (Own, 401, "access_denied", Client, "this client id"),
        (Own, 403, "access_denied", Permanent, "denies"),
        (Refresh, 403, "access_denied", Consent, "give the consent again"),
        (Own, 400, "temporarily_unavailable", Transient, "its own side"),
        (Own, 400, "slow_down", throttled, "too many requests"),
        (Own, 400, "something_else", Permanent, "wrong with the request"),
        (Own, 400, "", Permanent, "wrong with the request"),
        (Own, 401, "", Client, "this client id"),
        (Own, 402, "", Permanent, "refuses the request"),
        (Own, 403, "", Permanent, "forbids"),
        (Own, 404, "", Permanent, "nothing at `token_url`"),
        (Own, 405, "", Permanent, "no POST"),
        (Own, 407, "", Permanent, "proxy"),
        (Own, 408, "", Transient, "in time"),
        (Own, 410, "", Permanent, "nothing at `token_url`"),
        (Own, 415, "", Permanent, "another format"),
        (Own, 421, "", Transient, "not in charge"),
        (Own, 425, "", Transient, "in time"),
        (Own, 429, "", throttled, "too many requests"),
        (Own, 451, "", Permanent, "refuses the request"),
        (Own, 301, "", Permanent, "Put the final URL"),
        (Own, 302, "", Permanent, "redirects are not followed"),
        (Own, 307, "", Permanent, "redirects are not followed"),
        (Own, 304, "", Permanent, "redirects are not followed"),
        (Own, 500, "", Transient, "its own side"),
        (Own, 502, "", Transient, "its own side"),
        (Own, 503, "", Transient, "its own side"),
        (Own, 599, "", Transient, "its own side"),
        (Own, 100, "", Unknown, "nothing is known"),
        (Own, 999, "", Unknown, "nothing is known"),
    ];
    for (grant, status, code, class, words) in cases {
        let body = if code.is_empty() { String::new() } else { format!("{{\"error\":\"{code}\"}}") };
        let asked = Asked { grant, ..asked() };
        let refusal = read_answer(&provider(""), &answer(status, body), &asked).err().expect("refused");
        assert_eq!(refusal.class, class, "{grant:?} {status} {code}: {}", refusal.words);
        assert!(refusal.words.contains(words), "{status} {code}: {}", refusal.words);
        assert_eq!(refusal.error.as_deref().unwrap_or_default(), code);
        assert_eq!(refusal.status, status);
    }
}

#[test]
fn retry_after_is_handed_on_for_429_and_503() {
    let seconds = |count| Some(Duration::from_secs(count));
    for (status, retry_after, date, wait) in [
        (429, Some("30"), None, seconds(30)),
        (503, Some("30"), None, seconds(30)),
        (429, Some("Fri, 15 Jan 2027 08:01:00 GMT"), None, seconds(60)),
        (429, Some("Fri, 15 Jan 2027 08:01:00 GMT"), Some("Fri, 15 Jan 2027 08:00:50 GMT"), seconds(10)),
        (429, Some("Fri, 15 Jan 2027 07:00:00 GMT"), None, seconds(0)),
        (429, Some("later"), None, None),
        (429, None, None, None),
    ] {
        let mut answer = answer(status, "");
        answer.headers.retry_after = retry_after.map(str::to_owned);
        answer.headers.date = date.map(str::to_owned);
        let refusal = read(&provider(""), &answer).err().expect("refused");
        assert_eq!(refusal.class, RefusalClass::Throttled { retry_after: wait }, "{status} {retry_after:?} {date:?}");
    }
    let mut elsewhere = answer(500, "");
    elsewhere.headers.retry_after = Some("30".to_owned());
    assert_eq!(read(&provider(""), &elsewhere).err().expect("refused").class, RefusalClass::Transient);
}

#[test]
fn a_providers_own_error_map_comes_first() {
    let toml = r#"
        [[errors]]
        status = 403
        class = "throttled"
        [[errors]]
        error = "E-17/x"
        class = "client"
        [[errors]]
        status = 400
        error = "invalid_scope"
        class = "transient"
    "#;
    assert_eq!(refused(toml, 403, "").class, RefusalClass::Throttled { retry_after: None });
    let listed = refused(toml, 200, "{\"error\":\"E-17/x\"}");
    assert_eq!((listed.class, listed.error.as_deref()), (RefusalClass::Client, Some("E-17/x")));
    assert_eq!(refused(toml, 400, "{\"error\":\"invalid_scope\"}").class, RefusalClass::Transient);
    assert_eq!(refused(toml, 401, "{\"error\":\"invalid_scope\"}").class, RefusalClass::Permanent);
}

#[test]
fn error_codes_are_found_in_the_shapes_that_providers_use() {
    for (toml, body, error) in [
        ("", "{\"error\":\"invalid_client\"}", Some("invalid_client")),
        ("", "{\"error\":{\"code\":190,\"type\":\"OAuthException\"}}", Some("190")),
        ("", "{\"error\":{\"type\":\"OAuthException\"}}", None),
        ("", "{\"error\":{\"status\":\"UNAUTHENTICATED\"}}", Some("UNAUTHENTICATED")),
        ("", "{\"error\":602}", Some("602")),
        ("", "{\"error\":[\"a\"]}", None),
        ("answer.error = \"errors.0.code\"", "{\"errors\":[{\"code\":\"not_allowed\"}]}", Some("not_allowed")),
    ] {
        assert_eq!(refused(toml, 400, body).error.as_deref(), error, "{body}");
    }
}

#[test]
fn descriptions_and_codes_that_may_be_secrets_are_never_shown() {
    for secret in ["s3cr3t-MARK-9f2", "937it3ow87i4ery69876wqire"] {
        let body = format!("{{\"error\":\"{secret}\",\"error_description\":\"{secret}\",\"error_uri\":\"{secret}\"}}");
        for status in [200, 400, 401, 500] {
            let refusal = refused("", status, &body);
            assert_eq!(refusal.error, None);
            assert!(!refusal.words.contains(secret), "{}", refusal.words);
        }
    }
}

#[test]
fn a_request_id_is_shown_where_it_looks_like_one() {
    let pairs: [(&str, &[u8]); 5] = [
        ("CF-Ray", b"8f-AMS"),
        ("X-Request-Id", b"b7d1-44"),
        ("Retry-After", b"5"),
        ("Retry-After", b"6"),
        ("Set-Cookie", b"session=1"),
    ];
    let mut answer = answer(429, "");
    answer.headers = AnswerHeaders::collect(pairs);
    assert_eq!(answer.headers.retry_after.as_deref(), Some("5"));
    let refusal = read(&provider(""), &answer).err().expect("refused");
    assert_eq!(refusal.request_id.as_deref(), Some("b7d1-44"));
    for odd in ["", "a b", "<script>", &"x".repeat(129)] {
        answer.headers.request_id = Some(odd.to_owned());
        assert_eq!(read(&provider(""), &answer).err().expect("refused").request_id, None, "{odd}");
    }
}
