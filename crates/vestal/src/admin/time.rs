//! Instants in JSON.

use core::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant, to the millisecond. In JSON it is RFC 3339 in UTC: `2026-11-22T21:04:05Z`, with a fraction only where it
/// has one. What lies beyond the calendar's end is written as the end, in the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(i64);

impl UtcTime {
    /// The instant so many milliseconds after the Unix epoch.
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// The instant so many seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Its day in UTC: `2026-11-22`.
    pub fn day(self) -> String {
        self.to_string().chars().take_while(|c| *c != 'T').collect()
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let at = Timestamp::from_millisecond(self.0).or_else(|_| Timestamp::from_second(end.as_second()));
        at.unwrap_or(end).fmt(out)
    }
}

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The reason isn't passed on: it would quote what was written.
        let at: Timestamp =
            text.parse().map_err(|_| de::Error::custom("a time is written as in 2026-11-22T21:04:05Z"))?;
        Ok(Self(at.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_rfc_3339_and_read_again() {
        for (time, text) in [
            (UtcTime::from_unix_seconds(1_795_381_445), "\"2026-11-22T21:04:05Z\""),
            (UtcTime::from_unix_ms(1_795_381_445_345), "\"2026-11-22T21:04:05.345Z\""),
            (UtcTime::from_unix_seconds(-1), "\"1969-12-31T23:59:59Z\""),
        ] {
            assert_eq!(serde_json::to_string(&time).unwrap(), text);
            assert_eq!(serde_json::from_str::<UtcTime>(text).unwrap(), time);
        }
        let offset: UtcTime = serde_json::from_str("\"2026-11-22T22:04:05+01:00\"").unwrap();
        assert_eq!(offset.unix_seconds(), 1_795_381_445);
    }

    #[test]
    fn beyond_the_calendar_is_its_end() {
        for (time, text) in [
            (UtcTime::from_unix_seconds(i64::MAX), "9999-12-30T22:00:00Z"),
            (UtcTime::from_unix_ms(i64::MIN), "-009999-01-02T01:59:59Z"),
        ] {
            assert_eq!(time.to_string(), text);
            assert!(serde_json::from_str::<UtcTime>(&format!("\"{time}\"")).is_ok());
        }
    }

    #[test]
    fn what_is_no_instant_is_refused_without_being_quoted() {
        for text in ["\"hunter2\"", "\"2026-11-22\"", "1795381445"] {
            let error = serde_json::from_str::<UtcTime>(text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
