//! The types that settings have, each with what it looks like and what is said when it is wrong.

use core::fmt::Display;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::DeValue;
use vault::{Pattern, Permission, Permissions, SecretName};

use super::period::Period;
use super::place::{Domain, HttpsOrigin};
use super::problem::{Problem, ProblemKind};
use super::redact::sounds_secret;
use super::setting::{Reading, Schema, Shape, Value};
use super::suggest::{listed, nearest};
use crate::connector::Allowed;

/// The pattern of names: of secrets, apps and policies.
pub(super) const NAME_PATTERN: &str = "^[0-9a-zA-Z-]{1,127}$";

/// A value that is written as a string and read by its type's `FromStr`.
macro_rules! text_value {
    ($($type:ty: $noun:literal, $list:literal, $kind:ident, $pattern:expr;)+) => {$(
        impl Value for $type {
            const SHAPE: Shape = Shape { noun: $noun, list: $list, schema: Schema::Text($pattern) };

            fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
                read_text(value, reading, ProblemKind::$kind, $noun)
            }
        }
    )+};
}

/// A value that is one of a few words.
macro_rules! word_value {
    ($type:ty: $noun:literal, $list:literal, [$($word:literal => $value:expr),+ $(,)?]) => {
        impl $crate::config::setting::Value for $type {
            const SHAPE: $crate::config::setting::Shape = $crate::config::setting::Shape {
                noun: $noun,
                list: $list,
                schema: $crate::config::setting::Schema::OneOf(&[$($word),+]),
            };

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reading: &mut $crate::config::setting::Reading<'_>,
            ) -> Option<Self> {
                $crate::config::value::read_word(value, reading, $noun, &[$(($word, $value)),+])
            }
        }
    };
}
pub(super) use word_value;

text_value! {
    Domain: "a domain", "a list of domains", BadValue, "";
    HttpsOrigin: "an https address", "a list of https addresses", BadValue, "^https://";
    Period: "a duration", "a list of durations", BadValue, "";
    Allowed: "a network, or a host with a port", "a list of networks and hosts", BadValue, "";
    SecretName: "a secret's name", "a list of names", BadName, NAME_PATTERN;
    Pattern: "a pattern of names", "a list of patterns", BadName, "^[0-9a-zA-Z*-]{1,255}$";
    Text: "a text", "a list of texts", BadValue, "";
}

word_value!(Permission: "a permission", "a list of permissions", [
    "get" => Permission::Get,
    "list" => Permission::List,
    "set" => Permission::Set,
    "delete" => Permission::Delete,
    "recover" => Permission::Recover,
    "backup" => Permission::Backup,
    "restore" => Permission::Restore,
    "purge" => Permission::Purge,
]);

impl Value for SocketAddr {
    const SHAPE: Shape =
        Shape { noun: "an address with a port", list: "a list of addresses", schema: Schema::Text("") };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            reading.wrong_type(value, Self::SHAPE.noun);
            return None;
        };
        let read = text.parse().ok();
        if read.is_none() {
            let why = match text.split_once(':') {
                Some(("localhost", _)) => "an address in numbers is wanted: `127.0.0.1` is this machine",
                _ => "an IP address, a colon and a port are wanted",
            };
            reading.bad_value(ProblemKind::BadValue, value.span(), Self::SHAPE.noun, why);
        }
        read
    }
}

/// A text of one line, with something in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub(super) String);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Text {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("there is nothing in it: leave the setting out, or write something");
        }
        if text.chars().any(char::is_control) {
            return Err("there is a line break or another control character in it");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A file that was there when the configuration was read. The path is absolute if the configuration's directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingFile(PathBuf);

impl ExistingFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Value for ExistingFile {
    const SHAPE: Shape = Shape { noun: "a file", list: "a list of files", schema: Schema::Text("") };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let path = PathBuf::read(value, reading)?;
        let why = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => return Some(Self(path)),
            Ok(_) => "that is not a file".to_owned(),
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            Err(problem) => format!("it can't be read: {}", problem.kind()),
        };
        let written = value.get_ref().as_str().unwrap_or_default();
        let message = format!("{} names a file that isn't there: {written}", reading.subject());
        let looked = if Path::new(written).is_relative() {
            format!(
                "this was looked for: {}\na relative path begins at the directory of the configuration file",
                path.display()
            )
        } else {
            "correct the path, or put the file there".to_owned()
        };
        reading.report(Problem::at(ProblemKind::MissingFile, value.span(), message).label(why).help(looked));
        None
    }
}

/// A path, relative ones resolved against the configuration's directory. It need not be there yet.
impl Value for PathBuf {
    const SHAPE: Shape = Shape { noun: "a path", list: "a list of paths", schema: Schema::Text("") };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let text: Text = read_text(value, reading, ProblemKind::BadValue, Self::SHAPE.noun)?;
        if text.0.starts_with("~/") {
            let why = "`~` is the shell's: write the whole path";
            reading.bad_value(ProblemKind::BadValue, value.span(), Self::SHAPE.noun, why);
            return None;
        }
        Some(reading.resolve(&text.0))
    }
}

impl Value for bool {
    const SHAPE: Shape = Shape { noun: "`true` or `false`", list: "a list of these", schema: Schema::Boolean };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            reading.wrong_type(value, Self::SHAPE.noun);
        }
        read
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> Serialize for Count<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<const LEAST: u32, const MOST: u32> Value for Count<LEAST, MOST> {
    const SHAPE: Shape =
        Shape { noun: "a whole number", list: "a list of numbers", schema: Schema::Integer(LEAST as i64, MOST as i64) };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(integer) = value.get_ref().as_integer() else {
            reading.wrong_type(value, Self::SHAPE.noun);
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let read = number.filter(|number| (LEAST..=MOST).contains(number));
        if read.is_none() {
            let noun = format!("a whole number from {LEAST} to {MOST}");
            reading.bad_value(ProblemKind::BadValue, value.span(), &noun, "out of range");
        }
        read.map(Self)
    }
}

/// A length of time from `LEAST` to `MOST` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeriodWithin<const LEAST: u64, const MOST: u64>(Period);

impl<const LEAST: u64, const MOST: u64> PeriodWithin<LEAST, MOST> {
    /// The length.
    pub fn period(self) -> Period {
        self.0
    }
}

impl<const LEAST: u64, const MOST: u64> Value for PeriodWithin<LEAST, MOST> {
    const SHAPE: Shape = <Period as Value>::SHAPE;

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let period = Period::read(value, reading)?;
        let why = match period.seconds() {
            seconds if seconds < LEAST => "too short",
            seconds if seconds > MOST => "too long",
            _ => return Some(Self(period)),
        };
        let bound = |seconds| Period::from(Duration::from_secs(seconds));
        let noun = format!("a duration from {} to {}", bound(LEAST), bound(MOST));
        reading.bad_value(ProblemKind::BadValue, value.span(), &noun, why);
        None
    }
}

impl<V: Value> Value for Vec<V> {
    const SHAPE: Shape = Shape { noun: V::SHAPE.list, list: "a list of lists", schema: Schema::List(&V::SHAPE.schema) };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(entries) = value.get_ref().as_array() else {
            reading.wrong_type(value, Self::SHAPE.noun);
            return None;
        };
        // Every entry is read, also after a wrong one.
        let read: Vec<Option<V>> =
            reading.within_list(|reading| entries.iter().map(|entry| V::read(entry, reading)).collect());
        read.into_iter().collect()
    }
}

impl Value for Permissions {
    const SHAPE: Shape = <Vec<Permission> as Value>::SHAPE;

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let permissions = Vec::<Permission>::read(value, reading)?;
        if permissions.is_empty() {
            reading.bad_value(ProblemKind::BadValue, value.span(), Self::SHAPE.noun, "an empty list permits nothing");
            return None;
        }
        Some(permissions.into_iter().fold(Self::NONE, Self::with))
    }
}

/// Names and values that are sent to a token endpoint as they stand: parameters or headers. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Parameters(pub(super) BTreeMap<String, String>);

impl Parameters {
    /// The names and values.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl Value for Parameters {
    const SHAPE: Shape =
        Shape { noun: "a table of texts", list: "a list of tables", schema: Schema::Map(&Schema::Text("")) };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            reading.wrong_type(value, Self::SHAPE.noun);
            return None;
        };
        let mut read = Some(BTreeMap::new());
        for (name, value) in table {
            let name = name.get_ref().as_ref();
            match value.get_ref().as_str() {
                _ if sounds_secret(name) => {
                    reading.redactions.mask(value.span());
                    let message = format!("`{name}` sounds like a secret, and secrets don't stand in this file");
                    reading.report(
                        Problem::at(ProblemKind::SecretInFile, value.span(), message)
                            .label("take it out of here")
                            .help("only a token's `client_id` and `client_secret` can be read from a vault so far"),
                    );
                    read = None;
                }
                Some(text) => {
                    read.as_mut().map(|read| read.insert(name.to_owned(), text.to_owned()));
                }
                None => {
                    reading.within_list(|reading| reading.wrong_type(value, "a text"));
                    read = None;
                }
            }
        }
        read.map(Self)
    }
}

/// Reads a string by its type's `FromStr`.
pub(super) fn read_text<T: FromStr<Err: Display>>(
    value: &Spanned<DeValue<'_>>,
    reading: &mut Reading<'_>,
    kind: ProblemKind,
    noun: &str,
) -> Option<T> {
    let Some(text) = value.get_ref().as_str() else {
        reading.wrong_type(value, noun);
        return None;
    };
    match text.parse() {
        Ok(read) => Some(read),
        Err(why) => {
            reading.bad_value(kind, value.span(), noun, why.to_string());
            None
        }
    }
}

/// Reads one of a few words.
pub(super) fn read_word<T: Clone>(
    value: &Spanned<DeValue<'_>>,
    reading: &mut Reading<'_>,
    noun: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let Some(text) = value.get_ref().as_str() else {
        reading.wrong_type(value, noun);
        return None;
    };
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let known = || words.iter().map(|(word, _)| *word);
        let message = format!("{} is not {noun}", reading.subject());
        let problem = Problem::at(ProblemKind::BadValue, value.span(), message);
        reading.report(match nearest(text, known()) {
            Some(meant) => problem.label(format!("did you mean `{meant}`?")).help(format!("write \"{meant}\"")),
            None => problem.label("unknown").help(format!("write one of {}", listed(known()))),
        });
    }
    found.map(|(_, value)| value.clone())
}
