//! When a flow starts by itself.

use serde_json::Value;

use crate::text::duration;

const DAY: u64 = 86_400;

/// What the recurrences of a flow come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) runs_per_day: f64,
    /// The longest time between two runs, in seconds. A month counts as 30 days: for people, and for no deadline.
    pub(crate) longest_pause: u64,
}

impl Schedule {
    /// Of all triggers together; none where no trigger has a schedule.
    pub(crate) fn of<'a>(triggers: impl Iterator<Item = &'a Value>) -> Option<Self> {
        triggers.filter_map(recurrence).reduce(|one, other| Self {
            runs_per_day: one.runs_per_day + other.runs_per_day,
            longest_pause: one.longest_pause.min(other.longest_pause),
        })
    }

    /// How often it runs, in words that follow "it runs".
    pub(crate) fn words(&self) -> String {
        let even = self.runs_per_day * self.longest_pause as f64 / DAY as f64;
        if (even - 1.0).abs() < 0.01 {
            return format!("every {}", duration(self.longest_pause));
        }
        let often = self.runs_per_day;
        let often = if often >= 10.0 { format!("{often:.0}") } else { format!("{often:.1}") };
        format!("about {often} times a day, with up to {} between two runs", duration(self.longest_pause))
    }
}

fn recurrence(trigger: &Value) -> Option<Schedule> {
    let recurrence = trigger.get("recurrence").or_else(|| trigger.pointer("/inputs/recurrence"))?;
    let interval = match recurrence.get("interval") {
        Some(Value::String(text)) => text.trim().parse().ok()?,
        Some(number) => number.as_u64()?,
        None => 1,
    };
    let frequency = recurrence.get("frequency")?.as_str()?.to_ascii_lowercase();
    let unit = match frequency.as_str() {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 30 * DAY,
        "year" => 365 * DAY,
        _ => return None,
    };
    let period = interval.checked_mul(unit).filter(|seconds| (1..=1_000 * 365 * DAY).contains(seconds))?;
    let list = |key: &str| -> Vec<u64> {
        let written = recurrence.pointer(&format!("/schedule/{key}")).and_then(Value::as_array);
        written.into_iter().flatten().take(366).filter_map(whole).collect()
    };
    let days: Vec<u64> = match frequency.as_str() {
        "week" => {
            let written = recurrence.pointer("/schedule/weekDays").and_then(Value::as_array);
            written.into_iter().flatten().take(7).filter_map(Value::as_str).filter_map(weekday).collect()
        }
        "month" => list("monthDays").into_iter().map(|day| day.clamp(1, 30) - 1).collect(),
        _ => Vec::new(),
    };
    let (hours, minutes) = if unit < DAY { (Vec::new(), Vec::new()) } else { (list("hours"), list("minutes")) };
    let or_first = |found: Vec<u64>| if found.is_empty() { vec![0] } else { found };
    let (days, hours, minutes) = (or_first(days), or_first(hours), or_first(minutes));
    let mut moments: Vec<u64> = days
        .iter()
        .flat_map(|day| hours.iter().map(move |hour| day * DAY + hour * 3_600))
        .flat_map(|hour| minutes.iter().map(move |minute| hour + minute * 60))
        .filter(|moment| *moment < period)
        .collect();
    moments.sort_unstable();
    moments.dedup();
    let (first, last) = (*moments.first()?, *moments.last()?);
    let between = moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    Some(Schedule {
        runs_per_day: moments.len() as f64 * DAY as f64 / period as f64,
        longest_pause: between.max(period - last + first),
    })
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| *number < 366)
}

fn weekday(name: &str) -> Option<u64> {
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    names.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|place| place as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schedule(recurrence: &Value) -> Option<(f64, u64)> {
        let trigger = json!({ "type": "Recurrence", "recurrence": recurrence });
        Schedule::of([trigger].iter()).map(|found| ((found.runs_per_day * 100.0).round() / 100.0, found.longest_pause))
    }

    #[test]
    fn a_schedule_within_the_day_or_the_week_counts_each_of_its_moments() {
        let daily = json!({ "frequency": "Day", "interval": 1,
            "schedule": { "hours": ["0", "6", "12", "18"], "minutes": [0, 30] } });
        assert_eq!(schedule(&daily), Some((8.0, 5 * 3_600 + 1_800)));
        let weekly = json!({ "frequency": "Week", "interval": 1, "schedule": { "weekDays":
            ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], "hours": [0, 12] } });
        assert_eq!(schedule(&weekly), Some((2.0, 12 * 3_600)));
        let workdays = json!({ "frequency": "Week", "interval": 1, "schedule": { "weekDays":
            ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"] } });
        assert_eq!(schedule(&workdays), Some((0.71, 3 * DAY)));
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        assert_eq!(schedule(&json!({ "frequency": "Hour", "interval": "2" })), Some((12.0, 7_200)));
        for odd in [
            json!({ "frequency": "Fortnight", "interval": 1 }),
            json!({ "frequency": "Hour", "interval": 0 }),
            json!({ "frequency": "Year", "interval": u64::MAX }),
            json!({ "interval": 1 }),
        ] {
            assert_eq!(schedule(&odd), None, "{odd}");
        }
    }

    #[test]
    fn all_triggers_start_a_flow() {
        let each = |minutes: u64| json!({ "recurrence": { "frequency": "Minute", "interval": minutes } });
        let both = Schedule::of([each(60), each(30)].iter()).expect("both have a schedule");
        assert!((both.runs_per_day - 72.0).abs() < 1e-9);
        assert_eq!(both.longest_pause, 1_800);
    }
}
