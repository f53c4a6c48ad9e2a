//! Instants in answers, as seconds since 1970.

use core::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// An HTTP date in any of the three forms that a recipient must take (RFC 9110 section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<i64> {
    const FIXDATE: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let text = text.trim();
    if let Ok(instant) = FIXDATE.parse_timestamp(text) {
        return Some(instant.as_second());
    }
    // The two obsolete ones name a weekday that says nothing new; it is dropped, right or wrong.
    let (_, rest) = text.split_once([' ', ','])?;
    let rest = rest.trim();
    let local = DateTime::strptime("%d-%b-%y %H:%M:%S GMT", rest)
        .or_else(|_| DateTime::strptime("%b %e %H:%M:%S %Y", rest))
        .ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// An instant as text: RFC 3339, or an HTTP date. In milliseconds since 1970.
pub(crate) fn instant_millis(text: &str) -> Option<i64> {
    match text.trim().parse::<Timestamp>() {
        Ok(instant) => Some(instant.as_millisecond()),
        Err(_) => http_date(text).map(|seconds| seconds.saturating_mul(1000)),
    }
}

/// The longest wait that is read out of a `Retry-After`; its bounds are renewal's to set.
const LONGEST_WAIT_SECONDS: u64 = 365 * 86_400;

/// `Retry-After` (RFC 9110 section 10.2.3): a number of seconds, or a date, which is measured from `now_seconds`.
/// A date in the past is no wait. Some write fractions of a second; they count as a whole one.
pub(crate) fn retry_after(text: &str, now_seconds: i64) -> Option<Duration> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_digits(whole) && is_digits(fraction) {
        let part_of_second = fraction.bytes().any(|byte| byte != b'0');
        whole.parse::<u64>().unwrap_or(u64::MAX).saturating_add(u64::from(part_of_second))
    } else {
        u64::try_from(http_date(text)?.saturating_sub(now_seconds)).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_of_an_http_date_are_read() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(http_date(text), Some(784_111_777), "{text}");
        }
        for text in ["", "soon", "784111777", "Sun, 99 Nov 1994 08:49:37 GMT", ",", " ", "é,é"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777;
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("1.5", Some(2)),
            ("2.000", Some(2)),
            ("99999999999999999999999", Some(LONGEST_WAIT_SECONDS)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-5", None),
            ("1.", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn instants_are_read_with_their_offset_only() {
        assert_eq!(instant_millis("1994-11-06T08:49:37Z"), Some(784_111_777_000));
        assert_eq!(instant_millis("1994-11-06T09:49:37.250+01:00"), Some(784_111_777_250));
        assert_eq!(instant_millis("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(instant_millis("1994-11-06T08:49:37"), None);
    }
}
