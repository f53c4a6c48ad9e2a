//! `secret set`: a new value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use zeroize::Zeroizing;

use super::super::name::Named;
use super::super::problem::Problem;
use super::super::session::Session;
use super::super::when::Clock;
use super::value;
use crate::admin::wire::{SecretView, SetSecret, UtcTime};
use crate::config::Period;

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal secret set client-credentials                      asks for the value, and doesn't show it
  pass show discord | vestal secret set client-credentials  from another program
  vestal secret set client-credentials --file secret.txt --expires 2027-11-22")]
#[command(after_help = "\
The value is never an argument. One line end at the end of standard input or of the file is not part of it.
Next: `vestal token list` shows what a new credential changes; a token that waits for it is renewed at once.")]
pub(in super::super) struct SetArguments {
    /// The secret: NAME, or VAULT/NAME
    name: Named,
    /// Read the value from a file
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Set an empty value; nothing is read
    #[arg(long, conflicts_with = "file")]
    empty: bool,
    /// When the value ends: a date, a time such as 2027-11-22T12:00:00Z, or a duration from now such as 90d. Vestal warns
    /// before the end of a credential
    #[arg(long, value_name = "TIME", value_parser = point)]
    expires: Option<Point>,
    /// From when on the value is to be used, written as for --expires
    #[arg(long, value_name = "TIME", value_parser = point)]
    not_before: Option<Point>,
    /// What the value is, such as application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Whatever else stands there is a secret that should not: it is refused without being repeated.
    #[arg(hide = true)]
    refused: Vec<OsString>,
    #[arg(long = "value", hide = true, num_args = 0.., value_name = "VALUE")]
    refused_value: Option<Vec<OsString>>,
}

pub(super) fn run(arguments: SetArguments, session: &mut Session) -> Result<(), Problem> {
    if !arguments.refused.is_empty() || arguments.refused_value.is_some() {
        return Err(Problem::usage("a secret's value is never an argument: nothing was set").help(
            "it would stay in your shell's history, and every user of this machine could see it while the command runs; \
             leave it out, and you are asked for it. If what you wrote was real, get another one",
        ));
    }
    let expires = arguments.expires.map(|end| end.time(&session.clock));
    let not_before = arguments.not_before.map(|start| start.time(&session.clock));
    if let (Some(start), Some(end)) = (not_before, expires)
        && end <= start
    {
        let (end, start) = (session.clock.absolute(end), session.clock.absolute(start));
        return Err(Problem::usage(format!("the value would end ({end}) before it begins ({start}): nothing was set")));
    }
    let client = session.client()?;
    let path = session.secret_path(&client, &arguments.name)?;
    let mut value = if arguments.empty {
        Zeroizing::new(String::new())
    } else {
        value::read(arguments.file.as_deref(), &mut session.input)?
    };
    let tags = BTreeMap::from_iter(arguments.tags);
    let value = std::mem::take(&mut *value);
    let body = SetSecret { value, not_before, expires, content_type: arguments.content_type, tags };
    let answer = client.put_json::<SecretView>(&path, &body);
    // It moved into the body, which knows nothing of wiping.
    drop(Zeroizing::new(body.value));
    let set = answer?;
    if session.json {
        return session.output.json(&set);
    }
    session.output.note(&format!("{}/{} is set, as version {}.", set.vault, set.name, set.version.id))?;
    if set.managed {
        session.output.note("It is a managed token's: what you set holds until the renewal that follows now.")?;
    }
    Ok(())
}

/// When a value begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    /// At this time, in Unix seconds.
    At(i64),
    /// At the beginning of this day, where the person is.
    On(Date),
    /// So long from now.
    In(Period),
}

impl Point {
    fn time(self, clock: &Clock) -> UtcTime {
        UtcTime::from_unix_seconds(match self {
            Self::At(seconds) => seconds,
            Self::On(date) => {
                // A day that the zone skipped begins with the next one; beyond the calendar there is nothing to warn of.
                date.to_zoned(clock.zone.clone()).map_or(i64::MAX, |day| day.timestamp().as_second())
            }
            Self::In(period) => (clock.now_ms)() / 1000 + i64::try_from(period.seconds()).unwrap_or(i64::MAX),
        })
    }
}

fn point(text: &str) -> Result<Point, &'static str> {
    let at = || text.parse::<Timestamp>().ok().map(|at| Point::At(at.as_second()));
    // The date alone: a parser that also takes `2027-11-22T12:00` would drop the time without a word.
    let on = || Date::strptime("%Y-%m-%d", text).ok().map(Point::On);
    let span = || text.parse().ok().map(Point::In);
    at().or_else(on).or_else(span).ok_or("write a date such as 2027-11-22, a time such as 2027-11-22T12:00:00Z, or 90d")
}

fn tag(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a tag is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn the_beginning_and_the_end_of_a_value_are_a_date_a_time_or_a_length() {
        let clock = Clock { now_ms: || 1_000_000, zone: TimeZone::fixed(jiff::tz::offset(1)) };
        let seconds = |text| point(text).map(|point| point.time(&clock).unix_seconds());
        assert_eq!(seconds("2027-11-22T12:00:00Z"), Ok(1_826_884_800));
        assert_eq!(seconds("2027-11-22"), Ok(1_826_838_000), "where the person is");
        assert_eq!(seconds("90d"), Ok(1_000 + 90 * 86_400));
        for text in ["", "tomorrow", "2027-13-01", "2027-11-22T12:00", "600"] {
            assert!(point(text).is_err(), "{text}");
        }
    }
}
