//! How long a token lives, by which rung of the ladder.

use core::time::Duration;

use oauth::{Asked, LONGEST_LIFETIME, Lifetime, LifetimeSource, Note, RefusalClass, read_answer};

use crate::{answer, asked, granted, provider, read, refused, seconds};

#[test]
fn a_lifetime_field_is_read_in_every_spelling() {
    let ten_years = Lifetime::Known(LONGEST_LIFETIME);
    let instant = [Note::LifetimeIsInstant];
    let cases: [(&str, &str, Lifetime, &[Note]); 24] = [
        ("", "3600", seconds(3600), &[]),
        ("", "\"3600\"", seconds(3600), &[]),
        ("", "\" 3600 \"", seconds(3600), &[]),
        ("", "\"3600.0\"", seconds(3600), &[]),
        ("", "3599.5", Lifetime::Known(Duration::from_millis(3_599_500)), &[]),
        ("", "3.6e3", seconds(3600), &[]),
        ("", "0.25", Lifetime::Known(Duration::from_millis(250)), &[]),
        ("", "1e12", ten_years, &[Note::LifetimeCapped]),
        ("", "1e400", ten_years, &[Note::LifetimeCapped]),
        ("", "99999999999999999999999999", ten_years, &[Note::LifetimeCapped]),
        ("", "1800003600", seconds(3600), &instant),
        ("", "1800003600000", seconds(3600), &instant),
        ("", "\"2027-01-15T09:00:00Z\"", seconds(3600), &instant),
        ("lifetime.unit = \"milliseconds\"", "3600000", seconds(3600), &[]),
        ("lifetime.unit = \"minutes\"", "60", seconds(3600), &[]),
        ("lifetime.unit = \"unix_seconds\"", "1800003600", seconds(3600), &[]),
        ("lifetime.unit = \"unix_seconds\"", "\"1800003600\"", seconds(3600), &[]),
        ("lifetime.unit = \"unix_milliseconds\"", "1800003600000", seconds(3600), &[]),
        ("lifetime.unit = \"date\"", "\"2027-01-15T09:00:00Z\"", seconds(3600), &[]),
        ("lifetime.unit = \"date\"", "\"2027-01-15T10:00:00.000+01:00\"", seconds(3600), &[]),
        ("lifetime.unit = \"date\"", "\"Fri, 15 Jan 2027 09:00:00 GMT\"", seconds(3600), &[]),
        ("lifetime.unit = \"date\"", "1800003600", seconds(3600), &[]),
        ("lifetime.zero = \"never\"", "0", Lifetime::Never, &[]),
        ("lifetime.zero = \"never\"", "\"-1\"", Lifetime::Never, &[]),
    ];
    for (toml, written, lifetime, notes) in cases {
        let grant = granted(toml, &format!("{{\"access_token\":\"t\",\"expires_in\":{written}}}"));
        assert_eq!((grant.lifetime, grant.source), (lifetime, LifetimeSource::Answer), "{toml} {written}");
        assert_eq!(grant.notes, notes, "{toml} {written}");
    }
}

#[test]
fn a_token_that_is_said_to_be_dead_is_refused_and_tried_again() {
    for (toml, written) in [
        ("", "0"),
        ("", "-1"),
        ("", "\"0\""),
        ("", "-0.0"),
        ("", "1e-9"),
        ("", "\"2027-01-15T07:59:59Z\""),
        ("lifetime.unit = \"unix_seconds\"", "1800000000"),
        ("lifetime.unit = \"unix_seconds\"", "3600"),
        ("lifetime.unit = \"date\"", "\"1994-11-06T08:49:37Z\""),
    ] {
        let refusal = refused(toml, 200, format!("{{\"access_token\":\"t\",\"expires_in\":{written}}}"));
        assert_eq!(refusal.class, RefusalClass::Transient, "{toml} {written}");
        assert!(refusal.words.contains("already dead"), "{}", refusal.words);
    }
}

#[test]
fn a_dead_token_and_a_provider_of_another_time_point_at_this_machines_clock() {
    let provider = provider("lifetime.unit = \"date\"");
    let mut answer = answer(200, r#"{"access_token":"t","expires_in":"2027-01-15T07:00:00Z"}"#);
    answer.headers.date = Some("Fri, 15 Jan 2027 06:00:00 GMT".to_owned());
    let refusal = read(&provider, &answer).err().expect("refused");
    assert!(refusal.words.contains("this machine's clock first: it is 7200 s off"), "{}", refusal.words);
}

/// `{"alg":"none"}` and the claims, unsigned.
fn jwt(claims: &str) -> String {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode("{\"alg\":\"none\"}"), encode(claims), encode("signature"))
}

#[test]
fn the_ladder_is_climbed_in_its_order() {
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    let opaque = "opaque".to_owned();
    let alive = jwt("{\"exp\":1800000600}");
    let documented = "lifetime.documented = \"7d\"";
    let cases = [
        (documented, &alive, ",\"expires_in\":60", Some(hour), Some(day), seconds(60), LifetimeSource::Answer),
        (documented, &alive, "", Some(hour), Some(day), seconds(600), LifetimeSource::Jwt),
        (documented, &alive, ",\"expires_in\":null", Some(hour), Some(day), seconds(600), LifetimeSource::Jwt),
        (documented, &opaque, "", Some(hour), Some(day), seconds(3600), LifetimeSource::LastTime),
        (documented, &opaque, "", None, Some(day), seconds(604_800), LifetimeSource::Documented),
        (documented, &opaque, "", Some(Duration::ZERO), None, seconds(604_800), LifetimeSource::Documented),
        ("lifetime.documented = \"never\"", &opaque, "", None, Some(day), Lifetime::Never, LifetimeSource::Documented),
        ("", &opaque, "", None, Some(day), seconds(86_400), LifetimeSource::Operator),
        ("", &opaque, "", None, None, Lifetime::Guess(Duration::from_secs(300)), LifetimeSource::Guess),
    ];
    for (toml, token, rest, seen_last, operator, lifetime, source) in cases {
        let answer = answer(200, format!("{{\"access_token\":\"{token}\"{rest}}}"));
        let asked = Asked { seen_last, operator, ..asked() };
        let grant = read_answer(&provider(toml), &answer, &asked).expect("granted");
        assert_eq!((grant.lifetime, grant.source), (lifetime, source), "{toml} {rest} {seen_last:?} {operator:?}");
    }
}

#[test]
fn what_is_no_lifetime_is_noted_and_the_next_rung_answers() {
    for written in ["\"soon\"", "\"\"", "true", "[]", "{}", "\"1e3\"", "\"inf\"", "\"NaN\"", "\"2027-01-15T09:00:00\""]
    {
        let grant = granted("", &format!("{{\"access_token\":\"t\",\"expires_in\":{written}}}"));
        assert_eq!(grant.source, LifetimeSource::Guess, "{written}");
        assert_eq!(grant.notes, [Note::LifetimeUnreadable], "{written}");
    }
}

#[test]
fn only_a_jwt_with_a_believable_end_says_how_long_it_lives() {
    for (token, source) in [
        (jwt("{\"exp\":1800000600}"), LifetimeSource::Jwt),
        (jwt("{\"exp\":\"1800000600\"}"), LifetimeSource::Jwt),
        (jwt("{\"exp\":3600}"), LifetimeSource::Guess),
        (jwt("{\"exp\":1800000600000}"), LifetimeSource::Guess),
        (jwt("{\"iat\":1800000000}"), LifetimeSource::Guess),
        (jwt("[1800000600]"), LifetimeSource::Guess),
        (jwt("not json"), LifetimeSource::Guess),
        ("a.b.c".to_owned(), LifetimeSource::Guess),
        ("..".to_owned(), LifetimeSource::Guess),
        (format!("{}.x.y", jwt("{\"exp\":1800000600}")), LifetimeSource::Guess),
    ] {
        assert_eq!(granted("", &format!("{{\"access_token\":\"{token}\"}}")).source, source, "{token}");
    }
    let refusal = refused("", 200, format!("{{\"access_token\":\"{}\"}}", jwt("{\"exp\":1799999999}")));
    assert_eq!(refusal.class, RefusalClass::Transient);
    assert!(refusal.words.contains("by its own `exp`"), "{}", refusal.words);
}

#[test]
fn a_wish_for_renewal_counts_where_it_lies_inside_the_lifetime() {
    for (written, expected) in
        [("1800", Some(1800)), ("\"1800\"", Some(1800)), ("3600", None), ("0", None), ("-1", None)]
    {
        let body = format!("{{\"access_token\":\"t\",\"expires_in\":3600,\"refresh_in\":{written}}}");
        assert_eq!(granted("", &body).refresh_in, expected.map(Duration::from_secs), "{written}");
    }
}
