//! Arithmetic with times, as flows do it: "now plus what the answer says, less an hour, in seconds since 1970".

use std::collections::BTreeMap;

use crate::flow::ActionId;
use crate::function::number;
use crate::term::Term;

/// Ticks, of 100 ns, in a second.
const TICKS: f64 = 10_000_000.0;

/// Ticks from the year 1 to 1970.
const EPOCH: f64 = 621_355_968_000_000_000.0;

/// A part of an action's answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    pub(crate) action: ActionId,
    pub(crate) path: Vec<String>,
    /// Whether the flow reads it as the text of a date, and not as a number.
    pub(crate) is_date: bool,
}

/// A sum: so many times now, so many times each field, and a rest. An instant is in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    pub(crate) now: f64,
    pub(crate) fields: BTreeMap<Field, f64>,
    pub(crate) rest: f64,
}

impl Sum {
    fn number(rest: f64) -> Self {
        Self { rest, ..Self::default() }
    }

    fn field(action: ActionId, path: &[String], is_date: bool) -> Self {
        Self { fields: BTreeMap::from([(Field { action, path: path.to_vec(), is_date }, 1.0)]), ..Self::default() }
    }

    fn times(mut self, factor: f64) -> Self {
        self.now *= factor;
        self.rest *= factor;
        self.fields.values_mut().for_each(|share| *share *= factor);
        self
    }

    fn plus(mut self, other: Self) -> Self {
        self.now += other.now;
        self.rest += other.rest;
        for (field, share) in other.fields {
            *self.fields.entry(field).or_default() += share;
        }
        self.fields.retain(|_, share| *share != 0.0);
        self
    }

    fn constant(&self) -> Option<f64> {
        (self.now == 0.0 && self.fields.is_empty()).then_some(self.rest)
    }
}

/// What a number is, as a sum.
pub(crate) fn amount(term: &Term) -> Option<Sum> {
    match term {
        Term::Answer(action, path) => Some(Sum::field(*action, path, false)),
        Term::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("ticks", [of]) => Some(instant(of)?.times(TICKS).plus(Sum::number(EPOCH))),
            ("add", [one, other]) => Some(amount(one)?.plus(amount(other)?)),
            ("sub", [one, other]) => Some(amount(one)?.plus(amount(other)?.times(-1.0))),
            ("mul", [one, other]) => {
                let (one, other) = (amount(one)?, amount(other)?);
                match (one.constant(), other.constant()) {
                    (Some(factor), _) => Some(other.times(factor)),
                    (_, Some(factor)) => Some(one.times(factor)),
                    _ => None,
                }
            }
            ("div", [one, other]) => {
                let by = amount(other)?.constant().filter(|by| *by != 0.0)?;
                Some(amount(one)?.times(1.0 / by))
            }
            _ => None,
        },
        other => number(other).map(Sum::number),
    }
}

/// What a date is, as a sum of seconds since 1970.
pub(crate) fn instant(term: &Term) -> Option<Sum> {
    match term {
        Term::Answer(action, path) => Some(Sum::field(*action, path, true)),
        Term::Literal(_) => is_epoch(&term.as_text()?).then(|| Sum::number(0.0)),
        Term::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("utcnow", _) => Some(Sum { now: 1.0, ..Sum::default() }),
            ("addseconds", [from, by, ..]) => Some(instant(from)?.plus(amount(by)?)),
            ("addminutes", [from, by, ..]) => Some(instant(from)?.plus(amount(by)?.times(60.0))),
            ("addhours", [from, by, ..]) => Some(instant(from)?.plus(amount(by)?.times(3_600.0))),
            ("adddays", [from, by, ..]) => Some(instant(from)?.plus(amount(by)?.times(86_400.0))),
            ("addtotime", [from, by, unit, ..]) => Some(instant(from)?.plus(amount(by)?.times(seconds_of(unit)?))),
            ("subtractfromtime", [from, by, unit, ..]) => {
                Some(instant(from)?.plus(amount(by)?.times(-seconds_of(unit)?)))
            }
            ("getfuturetime", [by, unit, ..]) => {
                Some(Sum { now: 1.0, ..Sum::default() }.plus(amount(by)?.times(seconds_of(unit)?)))
            }
            // The same instant, written differently.
            ("formatdatetime" | "parsedatetime" | "converttoutc", [of, ..]) => instant(of),
            _ => None,
        },
        _ => None,
    }
}

/// The life of a token, as the flow computes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// Now, and what the answer of this action says there; and so many seconds, mostly fewer.
    AfterField(Field, f64),
    /// The date that the answer of this action has there.
    AtField(Field),
    /// Now, and so many seconds.
    After(f64),
    /// It isn't understood.
    Unknown,
}

/// What `attributes.exp` is set to, where it is understood.
pub(crate) fn end(term: &Term) -> Option<End> {
    let sum = amount(term).or_else(|| instant(term))?;
    let is = |number: f64, wanted: f64| (number - wanted).abs() < 1e-6;
    let mut fields = sum.fields.into_iter();
    match (fields.next(), fields.next()) {
        (None, _) if is(sum.now, 1.0) && sum.rest > 0.0 => Some(End::After(sum.rest.round())),
        (Some((field, share)), None) if is(share, 1.0) && is(sum.now, 1.0) && !field.is_date => {
            Some(End::AfterField(field, sum.rest.round()))
        }
        (Some((field, share)), None) if is(share, 1.0) && is(sum.now, 0.0) && is(sum.rest, 0.0) => {
            Some(End::AtField(field))
        }
        _ => None,
    }
}

/// How many seconds before its end something is held to be near it, where the two terms compare now with the end that an
/// answer tells.
pub(crate) fn threshold(one: &Term, other: &Term) -> Option<u64> {
    let measured = |read: fn(&Term) -> Option<Sum>| Some(read(one)?.plus(read(other)?.times(-1.0)));
    let sum = measured(amount).or_else(|| measured(instant))?;
    let mut fields = sum.fields.iter();
    let (Some((Field { path, .. }, field)), None) = (fields.next(), fields.next()) else { return None };
    // What is compared with now may be the beginning of something, too.
    let is_end = path.last().is_some_and(|name| {
        let name = name.to_lowercase();
        name == "exp" || name.contains("expir")
    });
    if !is_end || sum.now == 0.0 || (field + sum.now).abs() > sum.now.abs() * 1e-6 {
        return None;
    }
    let seconds = (sum.rest / sum.now).abs().round();
    (0.0..1e9).contains(&seconds).then_some(seconds as u64)
}

fn is_epoch(date: &str) -> bool {
    let Some(rest) = date.trim().strip_prefix("1970-01-01") else { return date.trim() == "1/1/1970" };
    rest.chars().all(|letter| matches!(letter, '0' | ':' | '.' | 'T' | 'Z' | 't' | 'z' | ' ' | '+'))
}

fn seconds_of(unit: &Term) -> Option<f64> {
    Some(match unit.as_text()?.to_ascii_lowercase().trim_end_matches('s') {
        "second" => 1.0,
        "minute" => 60.0,
        "hour" => 3_600.0,
        "day" => 86_400.0,
        "week" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Expression, parse};
    use crate::function::apply;

    /// The term of an expression, in which `body()` is the answer of action 7.
    fn term(expression: &Expression) -> Term {
        match expression {
            Expression::Text(text) => Term::text(text.as_str()),
            Expression::Number(number) => Term::Literal((*number).into()),
            Expression::Bool(value) => Term::Literal((*value).into()),
            Expression::Null => Term::null(),
            Expression::Index(of, key) => term(of).part(&term(key)),
            Expression::Call(name, _) if name == "body" => Term::Answer(7, vec!["body".to_owned()]),
            Expression::Call(name, arguments) => apply(name, arguments.iter().map(term).collect()),
        }
    }

    fn read(text: &str) -> Option<End> {
        end(&term(&parse(text).expect("it can be read")))
    }

    fn field(name: &str, is_date: bool) -> Field {
        Field { action: 7, path: vec!["body".to_owned(), name.to_owned()], is_date }
    }

    fn life() -> Field {
        field("expires_in", false)
    }

    #[test]
    fn the_text_of_a_date_is_told_from_a_number() {
        let date = "div(sub(ticks(body('x')['expires_at']), ticks('1970-01-01')), 10000000)";
        assert_eq!(read(date), Some(End::AtField(field("expires_at", true))));
        assert_eq!(read("body('x')['expires_at']"), Some(End::AtField(field("expires_at", false))));
        let sum = "div(sub(ticks(addSeconds(body('x')['expires_at'], 60)), ticks('1970-01-01')), 10000000)";
        assert_eq!(read(sum), None);
    }

    #[test]
    fn only_an_end_that_an_answer_tells_is_a_threshold() {
        let near = |one: &str, other: &str| {
            let parsed = |text: &str| term(&parse(text).expect("it can be read"));
            threshold(&parsed(one), &parsed(other))
        };
        let soon = "div(sub(ticks(addMinutes(utcNow(), 10)), ticks('1970-01-01')), 10000000)";
        assert_eq!(near("body('x')['exp']", soon), Some(600));
        assert_eq!(near("body('x')['nbf']", soon), None);
        assert_eq!(near("utcNow()", "'2027-01-01'"), None);
        assert_eq!(near("1", "2"), None);
    }

    #[test]
    fn the_expiry_of_the_recipes_comments_is_understood() {
        let written =
            "add(div(sub(ticks(utcNow()), ticks('1970-01-01Z00:00:00')), 10000000), body('x')?['expires_in'])";
        assert_eq!(read(written), Some(End::AfterField(life(), 0.0)));
    }

    #[test]
    fn the_same_end_is_understood_in_other_words() {
        for same in [
            "div(sub(ticks(addSeconds(utcNow(), int(body('x')['expires_in']))), ticks('1970-01-01')), 10000000)",
            "div(sub(ticks(addToTime(utcNow(), body('x')['expires_in'], 'Second')), 621355968000000000), 10000000)",
            "int(string(add(body('x')['expires_in'], div(sub(ticks(utcNow('o')), ticks('1970-01-01T00:00:00Z')), 10000000))))",
            "div(sub(ticks(formatDateTime(addSeconds(utcNow(), body('x')['expires_in']), 'o')), ticks('1970-01-01')), mul(10000, 1000))",
        ] {
            assert_eq!(read(same), Some(End::AfterField(life(), 0.0)), "{same}");
        }
        let margin = "add(div(sub(ticks(utcNow()), ticks('1970-01-01')), 10000000), sub(body('x')['expires_in'], 300))";
        assert_eq!(read(margin), Some(End::AfterField(life(), -300.0)));
    }

    #[test]
    fn a_life_that_is_typed_in_and_a_date_of_the_answer_are_told_apart() {
        let fixed = "div(sub(ticks(addHours(utcNow(), 1)), ticks('1970-01-01')), 10000000)";
        assert_eq!(read(fixed), Some(End::After(3_600.0)));
        assert_eq!(read("body('x')['expires_in']"), Some(End::AtField(life())));
    }

    #[test]
    fn what_is_no_end_is_not_taken_for_one() {
        for wrong in [
            "body('x')['expires_in'] ",
            "ticks(utcNow())",
            "mul(2, body('x')['expires_in'])",
            "add(body('x')['a'], body('x')['b'])",
            "rand(1, 2)",
            "div(sub(ticks(utcNow()), ticks('1970-01-01')), 10000000)",
            "add(div(sub(ticks(utcNow()), ticks('1970-01-01')), 10000), body('x')['expires_in'])",
        ]
        .iter()
        .skip(1)
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
