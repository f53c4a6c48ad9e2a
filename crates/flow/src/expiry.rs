//! Which expiry a flow writes: sums and products over the time of the run and a field of the answer.
//!
//! `exp` is a Unix time. Flows make one from ticks, 100 ns each since the year 1, or by adding seconds to a date.
//! Everything is kept as `now · a + field · b + c` with exact fractions; what has no such form is not understood.

use crate::term::{Term, Value, bare};

/// Seconds from the year 1 to the Unix epoch.
const EPOCH: i128 = 62_135_596_800;
/// Ticks in a second.
const TICKS: i128 = 10_000_000;

/// The expiry that a write states.
#[derive(Clone, PartialEq)]
pub(crate) enum Expiry {
    /// None at all.
    None,
    /// The time of the run, plus a field of the answer times `unit` (seconds each), plus `shift` seconds.
    Field { action: usize, path: Vec<String>, unit: Ratio, shift: i64 },
    /// A field of the answer that is a Unix time.
    Absolute { action: usize, path: Vec<String> },
    /// The time of the run plus a fixed number of seconds.
    Fixed { seconds: i64 },
    /// Something else.
    Unknown,
}

/// The expiry in a request's `attributes.exp`, and whether it is sent as a text.
pub(crate) fn expiry(value: &Value) -> (Expiry, bool) {
    let text = matches!(&***value, Term::Join(_) | Term::Text(_));
    let Some(sum) = sum(bare(value), 0, &mut { STEPS }) else { return (Expiry::Unknown, text) };
    let expiry = match (&sum.field, sum.now.whole(), sum.constant.whole()) {
        (Some((place, unit)), Some(1), Some(shift)) => {
            Expiry::Field { action: place.0, path: place.1.clone(), unit: *unit, shift }
        }
        (Some((place, unit)), Some(0), Some(0)) if unit.whole() == Some(1) => {
            Expiry::Absolute { action: place.0, path: place.1.clone() }
        }
        (None, Some(1), Some(seconds)) => Expiry::Fixed { seconds },
        _ => Expiry::Unknown,
    };
    (expiry, text)
}

/// An exact fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio {
    over: i128,
    under: i128,
}

impl Ratio {
    const ZERO: Self = Self { over: 0, under: 1 };
    const ONE: Self = Self { over: 1, under: 1 };

    fn new(over: i128, under: i128) -> Option<Self> {
        let (mut a, mut b) = (over.unsigned_abs(), under.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let common = i128::try_from(a).ok().filter(|common| *common != 0 && under != 0)?;
        let sign = if under < 0 { -1 } else { 1 };
        Some(Self { over: sign * (over / common), under: sign * (under / common) })
    }

    fn add(self, other: Self) -> Option<Self> {
        let left = self.over.checked_mul(other.under)?;
        let right = other.over.checked_mul(self.under)?;
        Self::new(left.checked_add(right)?, self.under.checked_mul(other.under)?)
    }

    fn times(self, other: Self) -> Option<Self> {
        Self::new(self.over.checked_mul(other.over)?, self.under.checked_mul(other.under)?)
    }

    /// The number, where it is whole.
    pub(crate) fn whole(self) -> Option<i64> {
        (self.under == 1).then_some(self.over).and_then(|over| i64::try_from(over).ok())
    }

    /// `1 / n` as `n`, where that is whole.
    pub(crate) fn part_of_one(self) -> Option<i64> {
        (self.over == 1).then_some(self.under).and_then(|under| i64::try_from(under).ok())
    }
}

type Place = (usize, Vec<String>);

/// `now · a + field · b + c`, in seconds since the epoch or in plain numbers.
#[derive(Clone)]
struct Sum {
    now: Ratio,
    field: Option<(Place, Ratio)>,
    constant: Ratio,
}

impl Sum {
    fn constant(number: i128) -> Self {
        Self { now: Ratio::ZERO, field: None, constant: Ratio { over: number, under: 1 } }
    }

    fn scaled(self, by: Ratio) -> Option<Self> {
        let field = match self.field {
            Some((place, unit)) => Some((place, unit.times(by)?)),
            None => None,
        };
        Some(Self { now: self.now.times(by)?, field, constant: self.constant.times(by)? })
    }

    fn plus(self, other: Self) -> Option<Self> {
        let field = match (self.field, other.field) {
            (Some((place, unit)), Some((same, more))) if place == same => Some((place, unit.add(more)?)),
            (Some(_), Some(_)) => return None,
            (one, other) => one.or(other),
        };
        Some(Self { now: self.now.add(other.now)?, field, constant: self.constant.add(other.constant)? })
    }

    fn as_constant(&self) -> Option<Ratio> {
        (self.now == Ratio::ZERO && self.field.is_none()).then_some(self.constant)
    }
}

/// How deep arithmetic may nest.
const DEPTH: usize = 40;
/// How many steps one expiry may take: its parts may be shared, and so met again and again.
const STEPS: usize = 2_000;

fn sum(value: &Value, depth: usize, steps: &mut usize) -> Option<Sum> {
    *steps = steps.checked_sub(1)?;
    if depth > DEPTH {
        return None;
    }
    let mut inner = |value: &Value| sum(bare(value), depth + 1, steps);
    match &***value {
        Term::Now => Some(Sum { now: Ratio::ONE, field: None, constant: Ratio::ZERO }),
        Term::Answer { action, path } => {
            Some(Sum { now: Ratio::ZERO, field: Some(((*action, path.clone()), Ratio::ONE)), constant: Ratio::ZERO })
        }
        Term::Number(text) | Term::Text(text) => {
            text.trim().parse().map(Sum::constant).ok().or_else(|| date(text).map(Sum::constant))
        }
        Term::Call { name, arguments } => {
            let minus = Ratio { over: -1, under: 1 };
            match (name.as_str(), arguments.as_slice()) {
                ("add" | "sum", [a, b]) => inner(a)?.plus(inner(b)?),
                ("sub", [a, b]) => inner(a)?.plus(inner(b)?.scaled(minus)?),
                ("mul", [a, b]) => {
                    let (a, b) = (inner(a)?, inner(b)?);
                    match (a.as_constant(), b.as_constant()) {
                        (Some(by), _) => b.scaled(by),
                        (_, Some(by)) => a.scaled(by),
                        _ => None,
                    }
                }
                // Rounding is left aside: it is less than a second.
                ("div", [a, b]) => {
                    let by = inner(b)?.as_constant()?;
                    inner(a)?.scaled(Ratio::new(by.under, by.over)?)
                }
                ("ticks", [date]) => inner(date)?.plus(Sum::constant(EPOCH))?.scaled(Ratio { over: TICKS, under: 1 }),
                ("addseconds", [date, number, ..]) => moved(inner(date)?, inner(number)?, 1),
                ("addminutes", [date, number, ..]) => moved(inner(date)?, inner(number)?, 60),
                ("addhours", [date, number, ..]) => moved(inner(date)?, inner(number)?, 3600),
                ("adddays", [date, number, ..]) => moved(inner(date)?, inner(number)?, 86_400),
                ("addtotime", [date, number, unit, ..]) => moved(inner(date)?, inner(number)?, seconds(unit)?),
                ("subtractfromtime", [date, number, unit, ..]) => moved(inner(date)?, inner(number)?, -seconds(unit)?),
                ("getfuturetime", [number, unit, ..]) => {
                    let now = Sum { now: Ratio::ONE, field: None, constant: Ratio::ZERO };
                    moved(now, inner(number)?, seconds(unit)?)
                }
                // A date written in another way; in one that leaves out the time of day it is another date.
                ("formatdatetime", [date, format, ..]) => {
                    let exact = format.fixed().is_some_and(|format| {
                        matches!(format, "o" | "O" | "s" | "u" | "r" | "R") || format.contains("ss")
                    });
                    exact.then(|| inner(date))?
                }
                ("formatdatetime" | "parsedatetime", [date]) => inner(date),
                ("max" | "min", _) => None,
                _ => None,
            }
        }
        _ => None,
    }
}

fn moved(date: Sum, number: Sum, unit: i128) -> Option<Sum> {
    date.plus(number.scaled(Ratio { over: unit, under: 1 })?)
}

fn seconds(unit: &Value) -> Option<i128> {
    Some(match unit.fixed()?.to_ascii_lowercase().trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    })
}

/// A date at midnight in seconds since the epoch: only such dates stand in flows as a beginning of time.
fn date(text: &str) -> Option<i128> {
    let (day, rest) = text.trim().split_at_checked(10)?;
    if rest.chars().any(|c| c.is_ascii_digit() && c != '0') || rest.contains(['+']) {
        return None;
    }
    let mut parts = day.split('-').map(|part| part.parse::<i128>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days of the proleptic Gregorian calendar, years beginning in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::node;

    fn number(number: i64) -> Value {
        node(Term::Number(number.to_string()))
    }

    fn field() -> Value {
        node(Term::Answer { action: 3, path: vec!["body".into(), "expires_in".into()] })
    }

    fn now() -> Value {
        node(Term::Now)
    }

    fn call(name: &str, arguments: impl IntoIterator<Item = Value>) -> Value {
        Term::call(name, arguments.into_iter().collect())
    }

    fn shift(value: &Value) -> Option<(i64, i64)> {
        match expiry(value).0 {
            Expiry::Field { unit, shift, .. } => Some((unit.whole()?, shift)),
            Expiry::Fixed { seconds } => Some((0, seconds)),
            _ => None,
        }
    }

    #[test]
    fn the_recipes_own_arithmetic_is_now_plus_the_field() {
        let since = call("sub", [call("ticks", [now()]), call("ticks", [Term::text("1970-01-01Z00:00:00")])]);
        let seconds = call("div", [since, number(10_000_000)]);
        assert_eq!(shift(&call("add", [seconds, field()])), Some((1, 0)));
    }

    #[test]
    fn other_ways_to_write_it_are_the_same() {
        let until = |date: Value| {
            call("div", [call("sub", [call("ticks", [date]), number(621_355_968_000_000_000)]), number(10_000_000)])
        };
        assert_eq!(shift(&until(call("addseconds", [now(), field()]))), Some((1, 0)));
        assert_eq!(shift(&until(call("addseconds", [now(), call("sub", [field(), number(300)])]))), Some((1, -300)));
        assert_eq!(shift(&until(call("addtotime", [now(), number(7), Term::text("Day")]))), Some((0, 604_800)));
        assert_eq!(shift(&until(call("getfuturetime", [number(1), Term::text("Hour")]))), Some((0, 3600)));
        assert_eq!(shift(&until(call("addminutes", [now(), field()]))), Some((60, 0)));
    }

    #[test]
    fn what_is_no_such_sum_is_not_understood() {
        let whole_day = call("formatdatetime", [now(), Term::text("yyyy-MM-dd")]);
        assert!(expiry(&call("ticks", [whole_day])).0 == Expiry::Unknown);
        assert!(expiry(&call("mul", [field(), field()])).0 == Expiry::Unknown);
        assert!(expiry(&call("div", [now(), number(0)])).0 == Expiry::Unknown);
        assert!(expiry(&Term::text("2030-01-01")).0 == Expiry::Unknown);
        assert_eq!(expiry(&Term::join([field()])).1, true);
    }

    #[test]
    fn dates_are_counted_from_the_epoch() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("0001-01-01T00:00:00Z"), Some(-EPOCH));
        assert_eq!(date("2000-03-01 00:00"), Some(951_868_800));
        assert_eq!(date("1970-01-01T05:00:00"), None);
    }
}
