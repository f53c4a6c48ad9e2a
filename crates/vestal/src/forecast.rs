//! How many versions a token makes at a target that keeps every one of them. The configuration's lifetimes and those
//! that were seen are reckoned with alike: `vestal check` asks here before there is a token, the admin API after.

use core::time::Duration;

use renewal::schedule::{Pacing, renew_at};
use renewal::{Random, Wall};

/// Azure can't back up a secret of more versions than this.
/// <https://learn.microsoft.com/azure/key-vault/general/backup>
pub(crate) const BACKUP_VERSIONS: u64 = 500;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The versions of one secret at a target, as far as they can be foreseen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versions {
    made: u64,
    every: Duration,
}

impl Versions {
    /// Those of a token that lives so long, is promised so much of it, and is renewed at the provider's pace. `made` were
    /// made already.
    pub(crate) fn of(made: u64, life: Duration, promise: Duration, pacing: Pacing) -> Self {
        let (earliest, latest) = renewal_window(life, promise, pacing);
        // Half-way between the earliest and the latest is when it is renewed on average.
        let every = (earliest + latest) / 2;
        Self { made, every: every.max(Duration::from_millis(1)) }
    }

    /// How many come in a year, about.
    pub(crate) fn a_year(self) -> u64 {
        (YEAR.as_secs_f64() / self.every.as_secs_f64()).round() as u64
    }

    /// After how long there are more than can be backed up: none where that is more than a year away, zero where there
    /// are already.
    pub(crate) fn too_many_after(self) -> Option<Duration> {
        let left = BACKUP_VERSIONS.saturating_sub(self.made);
        (self.a_year() >= left).then(|| self.every.mul_f64(left as f64))
    }
}

/// What it means that there are too many, of a secret of which `when` says when: `which this one has after 3 days`.
pub(crate) fn too_many_words(when: &str) -> String {
    format!(
        "Azure can't back up a secret of more than {BACKUP_VERSIONS} versions, {when}, and lets nobody delete single \
         versions; readers notice nothing"
    )
}

/// The earliest and the latest start of a renewal after the token was obtained, without an outage. The formula spreads
/// renewals at random, and tells no bounds; a thousand draws come within a thousandth of them.
pub(crate) fn renewal_window(life: Duration, promise: Duration, pacing: Pacing) -> (Duration, Duration) {
    let mut random = Random::new(0);
    let draws = (0..1_000).map(|_| {
        let at = renew_at(Wall::EPOCH, life, None, pacing, promise, &mut random);
        at.since(Wall::EPOCH)
    });
    draws.fold((Duration::MAX, Duration::ZERO), |(least, most), draw| (least.min(draw), most.max(draw)))
}

/// Two leading digits, with commas between thousands: what is forecast is no more exact.
pub(crate) fn in_round_numbers(number: u64) -> String {
    let unit = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
    let digits = ((number + unit / 2) / unit * unit).to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| core::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn versions(made: u64, life: Duration) -> Versions {
        Versions::of(made, life, Duration::ZERO, Pacing::default())
    }

    #[test]
    fn a_token_of_an_hour_makes_two_versions_an_hour() {
        let versions = versions(0, HOUR);
        assert_eq!(in_round_numbers(versions.a_year()), "18,000");
        let days = versions.too_many_after().expect("soon").as_secs_f64() / 86_400.0;
        assert!((10.0..11.0).contains(&days), "{days}");
    }

    #[test]
    fn a_promise_makes_more_of_them() {
        let promised = Versions::of(0, HOUR, HOUR / 2, Pacing::default());
        assert!(promised.a_year() > versions(0, HOUR).a_year());
    }

    #[test]
    fn what_was_made_already_counts_and_what_is_years_away_does_not() {
        let month = 30 * 24 * HOUR;
        assert_eq!(versions(0, month).too_many_after(), None);
        assert_eq!(versions(470, month).too_many_after(), None);
        let days = versions(490, month).too_many_after().expect("within a year").as_secs_f64() / 86_400.0;
        assert!((140.0..160.0).contains(&days), "{days}");
        assert_eq!(versions(500, month).too_many_after(), Some(Duration::ZERO));
        assert_eq!(versions(9_000, month).too_many_after(), Some(Duration::ZERO));
    }

    #[test]
    fn forecasts_are_told_in_round_numbers() {
        for (number, words) in
            [(104, "100"), (17_520, "18,000"), (1_234_567, "1,200,000"), (4, "4"), (0, "0"), (95, "95"), (996, "1,000")]
        {
            assert_eq!(in_round_numbers(number), words);
        }
    }
}
