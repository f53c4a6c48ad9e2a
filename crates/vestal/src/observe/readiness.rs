//! Whether clients should be sent here, and if not, why not.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::pulse::LONGEST_SILENCE;
use crate::config::Period;

/// A certificate that ends sooner is told of, while there is time to do something.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(7 * 86_400);

/// One that ends sooner makes the process not ready: clients would refuse it in the middle of their work.
const CERTIFICATE_LAST_HOUR: Duration = Duration::from_secs(3_600);

/// Something that is wrong, in words with the next step and without a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What was looked at: `store`, `keeper`, `certificate`.
    pub check: &'static str,
    /// What is wrong with it.
    pub words: String,
}

impl Reason {
    /// A reason.
    pub fn new(check: &'static str, words: impl Into<String>) -> Self {
        Self { check, words: words.into() }
    }
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether clients should be sent here.
    pub ready: bool,
    /// Why not.
    pub why: Vec<Reason>,
    /// What will be a reason soon.
    pub warnings: Vec<Reason>,
}

impl Readiness {
    /// What follows from the age of the keeper's last look, the store's word on a write, the certificate's end and the
    /// time now (both in Unix seconds), and whatever else is `wrong`.
    pub(super) fn judge(
        since_look: Option<Duration>,
        store: Result<(), String>,
        certificate_ends: i64,
        now: i64,
        wrong: Vec<Reason>,
    ) -> Self {
        let mut why = Vec::new();
        let mut warnings = Vec::new();
        match since_look {
            None => why.push(Reason::new("keeper", "the keeper has not started yet; it does so within seconds")),
            Some(since) if since > LONGEST_SILENCE => why.push(Reason::new("keeper", silent(since))),
            Some(_) => {}
        }
        if let Err(words) = store {
            why.push(Reason::new("store", words));
        }
        if let Some((reason, urgent)) = certificate(certificate_ends, now) {
            let list = if urgent { &mut why } else { &mut warnings };
            list.push(reason);
        }
        why.extend(wrong);
        Self { ready: why.is_empty(), why, warnings }
    }

    /// The same as lines for people.
    pub(super) fn text(&self) -> String {
        let mut text = if self.ready { "ready\n".to_owned() } else { "not ready\n".to_owned() };
        for Reason { check, words } in &self.why {
            text.push_str(&format!("{check}: {words}\n"));
        }
        for Reason { check, words } in &self.warnings {
            text.push_str(&format!("warning: {check}: {words}\n"));
        }
        text
    }
}

/// What is said of a keeper that hasn't looked for too long.
pub(super) fn silent(since: Duration) -> String {
    format!(
        "the keeper last looked for due tokens {} ago, and looks every {} at the least: nothing is renewed; restart Vestal, \
         and report the last lines of its log",
        Period::from(since).in_round_numbers(),
        Period::from(keeper::LONGEST_SLEEP)
    )
}

/// What is wrong with a certificate of this end, and whether it is urgent.
fn certificate(ends: i64, now: i64) -> Option<(Reason, bool)> {
    let left = u64::try_from(ends.saturating_sub(now)).unwrap_or(0);
    if left > CERTIFICATE_WARNING.as_secs() {
        return None;
    }
    let date = Timestamp::from_second(ends).map_or_else(|_| "an unknown date".to_owned(), |date| date.to_string());
    let what = if left == 0 { format!("ended on {date}") } else { format!("ends on {date}") };
    let words = format!(
        "the TLS certificate {what}, and clients refuse it from then on: put a new one into its files; it is read again by \
         itself within 30 seconds"
    );
    Some((Reason::new("certificate", words), left <= CERTIFICATE_LAST_HOUR.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const A_YEAR: i64 = NOW + 365 * 86_400;

    fn well() -> Option<Duration> {
        Some(Duration::from_secs(3))
    }

    #[test]
    fn all_well_is_ready_and_says_no_more() {
        let readiness = Readiness::judge(well(), Ok(()), A_YEAR, NOW, vec![]);
        assert!(readiness.ready);
        assert_eq!(readiness.text(), "ready\n");
    }

    #[test]
    fn each_reason_is_named_with_its_check() {
        let missing = Reason::new("data", "the data folder is gone");
        let readiness = Readiness::judge(None, Err("the disk is full".to_owned()), NOW + 60, NOW, vec![missing]);
        assert!(!readiness.ready);
        let text = readiness.text();
        let checks: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(checks, ["not ready", "keeper", "store", "certificate", "data"]);
        assert!(text.contains("the TLS certificate ends on 2027-01-15T08:01:00Z"), "{text}");
    }

    #[test]
    fn a_silent_keeper_is_a_reason_and_one_within_its_time_is_none() {
        let judged = |seconds| Readiness::judge(Some(Duration::from_secs(seconds)), Ok(()), A_YEAR, NOW, vec![]);
        assert!(judged(90).ready);
        let dead = judged(91);
        assert!(
            dead.why[0].words.starts_with("the keeper last looked for due tokens 1m 31s ago, and looks every 30s"),
            "{dead:?}"
        );
    }

    #[test]
    fn a_certificate_warns_for_a_week_and_is_a_reason_in_its_last_hour() {
        let judged = |left| Readiness::judge(well(), Ok(()), NOW + left, NOW, vec![]);
        for (left, ready, warnings) in
            [(8 * 86_400, true, 0), (7 * 86_400, true, 1), (3_601, true, 1), (3_600, false, 0), (-5, false, 0)]
        {
            let readiness = judged(left);
            assert_eq!((readiness.ready, readiness.warnings.len()), (ready, warnings), "{left}");
        }
        assert!(judged(-5).text().contains("ended on"));
        assert!(judged(86_400).text().starts_with("ready\nwarning: certificate: "));
    }
}
