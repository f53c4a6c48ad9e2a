//! Times in words: `in 42 min`, `3 days ago`, `2026-11-22 21:04:05 UTC`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::admin::wire::UtcTime;

/// What tells the time, and the zone that it is told in.
#[derive(Clone)]
pub struct Clock {
    /// The time now, in milliseconds since the Unix epoch.
    pub now_ms: fn() -> i64,
    /// The zone of the person who reads.
    pub zone: TimeZone,
}

impl Clock {
    /// A time as it is seen from now: `in 42 min`, `3 days ago`, `now`.
    pub(super) fn relative(&self, at: UtcTime) -> String {
        let away = at.unix_ms().saturating_sub((self.now_ms)());
        match (length_ms(away), away) {
            (_, -999..=999) => "now".to_owned(),
            (length, 1000..) => format!("in {length}"),
            (length, _) => format!("{length} ago"),
        }
    }

    /// A time by the calendar: `2026-11-22 21:04:05 UTC`.
    pub(super) fn absolute(&self, at: UtcTime) -> String {
        match Timestamp::from_millisecond(at.unix_ms()) {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
            // Beyond the calendar. Somebody wrote such an `exp`.
            Err(_) => "after the year 9999".to_owned(),
        }
    }

    /// Both: `in 42 min (2026-11-22 21:46:05 UTC)`.
    pub(super) fn both(&self, at: UtcTime) -> String {
        format!("{} ({})", self.relative(at), self.absolute(at))
    }

    /// Whether the time lies behind.
    pub(super) fn is_past(&self, at: UtcTime) -> bool {
        at.unix_ms() <= (self.now_ms)()
    }
}

/// A length of time in its two largest units, the rest left out: nobody needs the seconds of a week. The sign is left
/// out too.
pub(super) fn length_ms(length: i64) -> String {
    let seconds = length.unsigned_abs() / 1000;
    if seconds == 0 {
        return format!("{} ms", length.unsigned_abs());
    }
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600, seconds / 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => two(format!("{minutes} min"), seconds % 60, "s"),
        600..3_600 => format!("{minutes} min"),
        3_600..86_400 => two(format!("{hours} h"), minutes % 60, "min"),
        86_400..864_000 => two(plural(days, "day"), hours % 24, "h"),
        _ => plural(days, "day"),
    }
}

/// [`length_ms`] of a duration.
pub(super) fn length(length: Duration) -> String {
    length_ms(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}

/// [`length_ms`] of seconds.
pub(super) fn length_seconds(seconds: u64) -> String {
    length(Duration::from_secs(seconds))
}

fn two(first: String, second: u64, unit: &str) -> String {
    if second == 0 { first } else { format!("{first} {second} {unit}") }
}

/// `1 day`, `2 days`.
pub(super) fn plural(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_381_445_000;

    fn clock() -> Clock {
        Clock { now_ms: || NOW, zone: TimeZone::UTC }
    }

    #[test]
    fn lengths_are_told_in_their_two_largest_units() {
        for (seconds, words) in [
            (1, "1 s"),
            (59, "59 s"),
            (60, "1 min"),
            (270, "4 min 30 s"),
            (2_520, "42 min"),
            (2_579, "42 min"),
            (3_600, "1 h"),
            (3_661, "1 h 1 min"),
            (86_400, "1 day"),
            (604_740, "6 days 23 h"),
            (864_000, "10 days"),
            (3_456_789, "40 days"),
        ] {
            assert_eq!(length_seconds(seconds), words);
            assert_eq!(length_ms(i64::try_from(seconds).expect("small") * -1000), words);
        }
        assert_eq!(length_ms(345), "345 ms");
        assert_eq!(length_ms(0), "0 ms");
    }

    #[test]
    fn times_are_told_from_now_and_by_the_calendar() {
        let clock = clock();
        assert_eq!(clock.relative(at(NOW + 2_520_000)), "in 42 min");
        assert_eq!(clock.relative(at(NOW - 86_400_000)), "1 day ago");
        assert_eq!(clock.relative(at(NOW + 400)), "now");
        assert_eq!(clock.both(at(NOW + 2_520_000)), "in 42 min (2026-11-22 21:46:05 UTC)");
        let berlin = Clock { zone: TimeZone::fixed(jiff::tz::offset(1)), ..clock };
        assert_eq!(berlin.absolute(at(NOW)), "2026-11-22 22:04:05 +01");
    }

    fn at(ms: i64) -> UtcTime {
        UtcTime::from_unix_ms(ms)
    }

    #[test]
    fn times_that_no_calendar_has_are_told_all_the_same() {
        assert_eq!(clock().absolute(at(i64::MAX)), "after the year 9999");
        assert!(clock().relative(at(i64::MAX)).starts_with("in "));
        assert!(clock().relative(at(i64::MIN)).ends_with(" ago"));
    }
}
