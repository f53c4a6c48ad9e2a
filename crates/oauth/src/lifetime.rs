//! The ladder that says how long a token lives, first rung that answers: a field of the answer, `exp` of a JWT, the
//! lifetime seen last time, the provider's documentation, the operator, a guess.

use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secret::Secret;

use crate::answer::{Asked, GUESSED_LIFETIME, LONGEST_LIFETIME, Lifetime, LifetimeSource, Note};
use crate::body::{Value, read_json};
use crate::date;
use crate::provider::{DocumentedLifetime, LifetimeRules, LifetimeUnit, ZeroLifetime};

/// The provider says that the token is dead already, and where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dead(pub(crate) LifetimeSource);

/// Climbs the ladder.
pub(crate) fn lifetime(
    rules: &LifetimeRules,
    tree: &Value<'_>,
    access_token: &Secret,
    asked: &Asked,
    notes: &mut Vec<Note>,
) -> Result<(Lifetime, LifetimeSource), Dead> {
    let received = asked.received_unix_seconds as f64 * 1000.0;
    if let Some(value) = tree.at(&rules.field) {
        match said(value, rules.unit, received) {
            Said::Nothing => notes.push(Note::LifetimeUnreadable),
            Said::ZeroOrLess if rules.zero == ZeroLifetime::Never => {
                return Ok((Lifetime::Never, LifetimeSource::Answer));
            }
            Said::ZeroOrLess => return Err(Dead(LifetimeSource::Answer)),
            Said::Length { millis, instead_of_length } => {
                if instead_of_length {
                    notes.push(Note::LifetimeIsInstant);
                }
                return known(millis, LifetimeSource::Answer, notes);
            }
        }
    }
    if let Some(exp) = expiry_of_jwt(access_token) {
        return known(exp * 1000.0 - received, LifetimeSource::Jwt, notes);
    }
    let told = |length: Option<Duration>, source| {
        length.filter(|length| !length.is_zero()).map(|length| (Lifetime::Known(length.min(LONGEST_LIFETIME)), source))
    };
    let documented = || match rules.documented? {
        DocumentedLifetime::Never => Some((Lifetime::Never, LifetimeSource::Documented)),
        DocumentedLifetime::For(length) => told(Some(length), LifetimeSource::Documented),
    };
    Ok(told(asked.seen_last, LifetimeSource::LastTime)
        .or_else(documented)
        .or_else(|| told(asked.operator, LifetimeSource::Operator))
        .unwrap_or((Lifetime::Guess(GUESSED_LIFETIME), LifetimeSource::Guess)))
}

/// When the provider wants the token renewed, in seconds from now. What is not before the token's end says nothing.
pub(crate) fn refresh_in(rules: &LifetimeRules, tree: &Value<'_>, lifetime: Lifetime) -> Option<Duration> {
    let millis = number(tree.at(&rules.refresh_in)?)? * 1000.0;
    let length = length_of(millis)?;
    match lifetime {
        Lifetime::Known(life) => (length < life).then_some(length),
        Lifetime::Never | Lifetime::Guess(_) => Some(length),
    }
}

/// What a lifetime field says.
#[derive(Debug, PartialEq)]
enum Said {
    /// This many milliseconds from now, perhaps less than one. `instead_of_length` where the provider's table
    /// announces a length and the field holds an instant.
    Length { millis: f64, instead_of_length: bool },
    /// Zero or a negative number.
    ZeroOrLess,
    /// Nothing that can be read.
    Nothing,
}

fn said(value: &Value<'_>, unit: LifetimeUnit, received: f64) -> Said {
    let Some(number) = number(value) else {
        // A date is a date in whatever field it stands.
        let text = value.scalar();
        return match text.as_ref().and_then(Secret::expose_str).and_then(date::instant_millis) {
            Some(instant) => Said::Length { millis: instant as f64 - received, instead_of_length: is_length(unit) },
            None => Said::Nothing,
        };
    };
    if number <= 0.0 {
        return Said::ZeroOrLess;
    }
    if is_length(unit) || unit == LifetimeUnit::Date {
        // No token is issued for decades whose number happens to be an instant of the coming ten years: this is the
        // instant. Read as a length, such a token would be renewed years after its death.
        let coming = received..received + LONGEST_LIFETIME.as_millis() as f64;
        if let Some(instant) = [number * 1000.0, number].into_iter().find(|instant| coming.contains(instant)) {
            return Said::Length { millis: instant - received, instead_of_length: is_length(unit) };
        }
    }
    let millis = match unit {
        LifetimeUnit::Seconds => number * 1000.0,
        LifetimeUnit::Milliseconds => number,
        LifetimeUnit::Minutes => number * 60_000.0,
        LifetimeUnit::UnixSeconds => number * 1000.0 - received,
        LifetimeUnit::UnixMilliseconds => number - received,
        LifetimeUnit::Date => return Said::Nothing,
    };
    Said::Length { millis, instead_of_length: false }
}

fn is_length(unit: LifetimeUnit) -> bool {
    matches!(unit, LifetimeUnit::Seconds | LifetimeUnit::Milliseconds | LifetimeUnit::Minutes)
}

/// A JSON number, or a string that holds a plain decimal one. Never NaN; a number too large for a float is infinite.
fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(written) => written.parse().ok(),
        Value::Text(text) => {
            let decoded = text.decode()?;
            let written = decoded.expose_str()?.trim();
            let plain = written.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
            written.parse().ok().filter(|_| plain)
        }
        _ => None,
    }
}

/// A length of milliseconds as a known lifetime, no longer than is believed.
fn known(millis: f64, source: LifetimeSource, notes: &mut Vec<Note>) -> Result<(Lifetime, LifetimeSource), Dead> {
    let length = length_of(millis).ok_or(Dead(source))?;
    if length > LONGEST_LIFETIME {
        notes.push(Note::LifetimeCapped);
    }
    Ok((Lifetime::Known(length.min(LONGEST_LIFETIME)), source))
}

/// Whole milliseconds, rounded down; nothing where less than one is left.
fn length_of(millis: f64) -> Option<Duration> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted of infinity; negative numbers don't get here"
    )]
    (millis >= 1.0).then(|| Duration::from_millis(millis as u64))
}

/// `exp` of a token that is a signed JWT (RFC 7519 sections 3 and 4.1.4), in seconds since 1970. The signature is not
/// looked at: this schedules a renewal and proves nothing. Numbers outside of 2001 to 5138 are no dates in seconds.
fn expiry_of_jwt(token: &Secret) -> Option<f64> {
    let mut parts = token.expose_str()?.split('.');
    let (_header, payload, _signature, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let payload = payload.trim_end_matches('=');
    let mut buffer = vec![0; base64::decoded_len_estimate(payload.len())];
    let decoded = URL_SAFE_NO_PAD.decode_slice(payload, &mut buffer);
    // Claims are personal, even if no secret: what was decoded is wiped like one.
    let buffer = Secret::new(buffer);
    let claims = read_json(&buffer.expose()[..decoded.ok()?]).ok()?;
    number(claims.field("exp")?).filter(|exp| (1e9..1e11).contains(exp))
}
