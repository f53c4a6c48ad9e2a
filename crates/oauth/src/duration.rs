//! Lengths of time as people write them: `7d`, `90m`, `2h 30m`, or a bare number of seconds.
//!
//! A day is 24 hours. Months and years have no fixed length and are refused.

use core::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de};

/// Reads a length of time. The error says what to write instead.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let problem = || format!("`{text}` is no length of time: write it like `90s`, `10m`, `2h 30m` or `7d`");
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(u64::from(seconds)));
    }
    let span: Span = text.parse().map_err(|_| problem())?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{text}` has months or years, which have no fixed length: write days"))?;
    Duration::try_from(signed).map_err(|_| problem())
}

/// Writes a length of time in the largest unit that holds it exactly, so that [`parse`] reads the same again.
pub(crate) fn text(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        _ if millis != 0 => format!("{}ms", duration.as_millis()),
        0 => "0s".to_owned(),
        _ if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        _ if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// For `#[serde(with = "duration::optional")]`.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Duration, Serializer, de, parse, text};

    #[expect(clippy::ref_option, reason = "serde's `with` hands over a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.serialize_some(&text(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| parse(&text).map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (written, seconds) in
            [("90s", 90), ("10m", 600), ("2h 30m", 9_000), ("7d", 604_800), ("1w", 604_800), ("604800", 604_800)]
        {
            assert_eq!(parse(written), Ok(Duration::from_secs(seconds)), "{written}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "soon", "-5s", "1mo", "1y", "5 parsecs", "1e3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 1, 999, 1_000, 60_000, 90_000, 3_600_000, 604_800_000, 604_800_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&text(duration)), Ok(duration));
        }
    }
}
