//! How instants and lives are written for people.

use std::time::Duration;

use jiff::Timestamp;
use renewal::Wall;

use crate::config::Period;

/// The instant in UTC, to the second: `2026-11-22T10:00:00Z` (RFC 3339). An instant that no calendar has is `never`.
pub(crate) fn date(instant: Wall) -> String {
    match Timestamp::from_second(instant.unix_seconds()) {
        Ok(date) => date.to_string(),
        Err(_) => "never".to_owned(),
    }
}

/// The life left, in milliseconds: `59m 30s left`, `expired 4s ago`, or that no end is known.
pub(crate) fn life(left: Option<i64>) -> String {
    let round = |left: i64| Period::from(Duration::from_millis(left.unsigned_abs())).in_round_numbers();
    match left {
        None => "no known end".to_owned(),
        Some(left) if left > 0 => format!("{} left", round(left)),
        Some(left) => format!("expired {} ago", round(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_lives_read_well() {
        assert_eq!(date(Wall(1_800_000_000_999)), "2027-01-15T08:00:00Z");
        assert_eq!(date(Wall::NEVER), "never");
        assert_eq!(life(Some(3_570_900)), "59m 30s left");
        assert_eq!(life(Some(-4_000)), "expired 4s ago");
        assert_eq!(life(None), "no known end");
    }
}
