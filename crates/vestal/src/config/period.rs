//! Lengths of time as people write them.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// A length of time in whole seconds, written as `90s`, `10m`, `1h 30m` or `7d`. A day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

impl Period {
    /// The longest: ten years. Longer ones are slips of the pen.
    pub const MAX: Self = Self(10 * 365 * 86_400);

    /// The period in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The period in its two largest units, rounded down: nobody needs the seconds of a week.
    #[must_use]
    pub fn in_round_numbers(self) -> Self {
        let unit = match self.0 {
            86_400.. => 3_600,
            3_600.. => 60,
            _ => 1,
        };
        Self(self.0 / unit * unit)
    }

    /// The period for the standard library.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// A duration's whole seconds; what is left of a second is dropped.
impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration.as_secs())
    }
}

/// Why a text is not a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodError {
    /// A number without a unit.
    NoUnit,
    /// Nothing that reads as a number and a unit.
    NotAPeriod,
    /// Months or years, which have no fixed length.
    NoFixedLength,
    /// Parts of a second.
    NotWholeSeconds,
    /// Negative, or longer than [`Period::MAX`].
    OutOfRange,
}

impl fmt::Display for PeriodError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoUnit => "the number has no unit: `s`, `m`, `h`, `d` or `w`, for seconds to weeks",
            Self::NotAPeriod => "a duration is numbers with units: `s`, `m`, `h`, `d` or `w`, for seconds to weeks",
            Self::NoFixedLength => "months and years have no fixed length: write days",
            Self::NotWholeSeconds => "a duration is whole seconds",
            Self::OutOfRange => "a duration is from 0 seconds to ten years",
        })
    }
}

impl core::error::Error for PeriodError {}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PeriodError::NoUnit);
        }
        let span: jiff::Span = text.parse().map_err(|_| PeriodError::NotAPeriod)?;
        let length =
            span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| PeriodError::NoFixedLength)?;
        if length.subsec_nanos() != 0 {
            return Err(PeriodError::NotWholeSeconds);
        }
        u64::try_from(length.as_secs())
            .ok()
            .map(Self)
            .filter(|period| *period <= Self::MAX)
            .ok_or(PeriodError::OutOfRange)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut parts = Vec::new();
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if rest >= seconds {
                parts.push(format!("{}{unit}", rest / seconds));
                rest %= seconds;
            }
        }
        if parts.is_empty() { out.write_str("0s") } else { out.write_str(&parts.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("1h 30m", 5_400),
            ("1h30m", 5_400),
            ("1 hour, 30 minutes", 5_400),
            ("7d", 604_800),
            ("2 weeks", 1_209_600),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Period>().map(Period::seconds), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_period_is_refused_with_the_reason() {
        for (text, why) in [
            ("600", PeriodError::NoUnit),
            ("", PeriodError::NotAPeriod),
            ("m", PeriodError::NotAPeriod),
            ("10 fortnights", PeriodError::NotAPeriod),
            ("1mo", PeriodError::NoFixedLength),
            ("250ms", PeriodError::NotWholeSeconds),
            ("-10m", PeriodError::OutOfRange),
            ("4000d", PeriodError::OutOfRange),
        ] {
            assert_eq!(text.parse::<Period>(), Err(why), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in [0, 1, 59, 60, 3_599, 3_600, 86_399, 604_740, 604_800, Period::MAX.0] {
            let period = Period(seconds);
            assert_eq!(period.to_string().parse(), Ok(period));
        }
        assert_eq!(Period(604_740).to_string(), "6d 23h 59m");
    }
}
