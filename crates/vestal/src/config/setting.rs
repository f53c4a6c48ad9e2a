//! How settings are declared and read.
//!
//! [`section!`] declares a table of `vestal.toml` once: the struct that the program uses, its documentation, the keys
//! that the reader knows, the reference page and the JSON schema all come from that one declaration. A [`Value`] is a
//! type that a setting can have. A [`Reading`] is one pass over a file; it goes on after a problem, so that an
//! operator sees all of them at once.

use core::ops::Range;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, ProblemKind};
use super::redact::Redactions;
use super::suggest::{listed, nearest};

/// What the values of a setting look like, for people and for the JSON schema.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// In words, with its article: `a duration`.
    pub noun: &'static str,
    /// Several of them, in words: `a list of durations`.
    pub list: &'static str,
    /// For editors.
    pub schema: Schema,
}

/// What the JSON schema says of a value.
#[derive(Clone, Copy, Debug)]
pub enum Schema {
    /// A string, and the pattern that it matches (an empty one: any).
    Text(&'static str),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A whole number from the least to the most.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// A list of such values.
    List(&'static Self),
    /// A table whose keys are free, of such values.
    Map(&'static Self),
    /// A table of these settings.
    Table(&'static [Setting]),
    /// Any of these.
    Either(&'static [Self]),
}

/// Whether a setting may be left out. Examples and defaults are TOML.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// It must be there; with an example.
    Required(&'static str),
    /// It may be left out; with an example.
    Optional(&'static str),
    /// It may be left out, which means the first; with an example, which may be the same.
    Default(&'static str, &'static str),
}

impl Presence {
    /// A value to show.
    pub fn example(self) -> &'static str {
        match self {
            Self::Required(example) | Self::Optional(example) | Self::Default(_, example) => example,
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// What its values look like.
    pub shape: Shape,
    /// Whether it may be left out.
    pub presence: Presence,
    /// What it does, for an operator. Lines begin with a space, as a doc comment's do.
    pub what: &'static str,
}

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// What it looks like.
    const SHAPE: Shape;

    /// Reads it. `None` where it is wrong; the reading has been told why.
    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self>;
}

/// A table of settings.
pub(super) trait Section: Sized {
    /// What the table is about, for an operator.
    const ABOUT: &'static str;
    /// Its settings, in the order of the reference page.
    const SETTINGS: &'static [Setting];

    /// Reads the settings. `None` where one of them is wrong.
    fn read_settings(table: &SectionTable<'_>, reading: &mut Reading<'_>) -> Option<Self>;
}

/// Declares a table of settings: a struct, and how it is read and documented.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident $(: $($derive:ident),+)? {
        $($(#[doc = $what:literal])+ $key:ident: $kind:ty = $presence:ident $text:literal $(, $example:literal)?;)*
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq $($(, $derive)+)?)]
        pub struct $name {
            $($(#[doc = $what])+ pub $key: section!(@type $presence $kind),)*
        }

        impl $crate::config::setting::Section for $name {
            const ABOUT: &'static str = concat!($($about, "\n"),+);
            const SETTINGS: &'static [$crate::config::setting::Setting] = &[$($crate::config::setting::Setting {
                key: stringify!($key),
                shape: <$kind as $crate::config::setting::Value>::SHAPE,
                presence: section!(@presence $presence $text $(, $example)?),
                what: concat!($($what, "\n"),+),
            }),*];

            fn read_settings(
                table: &$crate::config::setting::SectionTable<'_>,
                reading: &mut $crate::config::setting::Reading<'_>,
            ) -> Option<Self> {
                let _ = (table, &*reading); // Of a table without settings nothing is read.
                $(let $key = section!(@read $presence table reading $key $kind);)*
                Some(Self { $($key: $key?,)* })
            }
        }
    };
    (@type optional $kind:ty) => { Option<$kind> };
    (@type $presence:ident $kind:ty) => { $kind };
    (@presence required $text:literal) => { $crate::config::setting::Presence::Required($text) };
    (@presence optional $text:literal) => { $crate::config::setting::Presence::Optional($text) };
    (@presence default $text:literal) => { $crate::config::setting::Presence::Default($text, $text) };
    (@presence default $text:literal, $example:literal) => {
        $crate::config::setting::Presence::Default($text, $example)
    };
    (@read optional $table:ident $reading:ident $key:ident $kind:ty) => {
        $table.optional::<$kind>(stringify!($key), $reading)
    };
    (@read $presence:ident $table:ident $reading:ident $key:ident $kind:ty) => {
        $table.present::<$kind>(stringify!($key), $reading)
    };
}
pub(super) use section;

/// What the file declares under a name, and where: known before any setting is read, so that a definition with a
/// mistake in it is not also reported as unknown wherever it is named.
#[derive(Default)]
pub(super) struct Names {
    /// Vaults, by their name in lower case.
    pub(super) vaults: BTreeMap<String, Range<usize>>,
    /// Targets, by their name in lower case.
    pub(super) targets: BTreeMap<String, Range<usize>>,
    /// Providers of the operator's own.
    pub(super) providers: BTreeMap<String, Range<usize>>,
    /// App registrations.
    pub(super) apps: BTreeMap<String, Range<usize>>,
}

/// One pass over a file.
pub(super) struct Reading<'a> {
    /// The directory that relative paths start from.
    pub(super) base: &'a Path,
    /// What the file declares.
    pub(super) names: Names,
    /// What is wrong so far.
    pub(super) problems: Vec<Problem>,
    /// What must not be shown of the file.
    pub(super) redactions: Redactions,
    /// The setting that is being read.
    setting: Option<&'static Setting>,
    /// Whether it is an entry of the setting's list that is being read.
    in_list: bool,
    /// The table that is being read, as its header would be written.
    path: String,
}

impl<'a> Reading<'a> {
    /// Begins.
    pub(super) fn new(text: &str, base: &'a Path) -> Self {
        let redactions = Redactions::found_in(text);
        let (names, problems, path) = (Names::default(), Vec::new(), String::new());
        Self { base, names, problems, redactions, setting: None, in_list: false, path }
    }

    /// Notes a problem.
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What is being read, for the beginning of a sentence: `` `scope` `` or `` an entry of `scope` ``.
    pub(super) fn subject(&self) -> String {
        if self.in_list { format!("an entry of `{}`", self.key()) } else { format!("`{}`", self.key()) }
    }

    /// Does something with the entries of the setting that is being read.
    pub(super) fn within_list<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = core::mem::replace(&mut self.in_list, true);
        let result = read(self);
        self.in_list = outer;
        result
    }

    /// The setting that is being read with its example, as a line to write.
    pub(super) fn example(&self) -> String {
        self.setting.map_or_else(String::new, example_line)
    }

    /// The key of the setting that is being read.
    pub(super) fn key(&self) -> &'static str {
        self.setting.map_or("", |setting| setting.key)
    }

    /// Notes that a value is of the wrong type.
    pub(super) fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, noun: &str) {
        let found = what_it_is(value.get_ref());
        let message = format!("{} is {noun}, not {found}", self.subject());
        let help = format!("write it like this: {}", self.example());
        self.report(
            Problem::at(ProblemKind::WrongType, value.span(), message).label(format!("this is {found}")).help(help),
        );
    }

    /// Notes that a value is of the right type and yet wrong, and why.
    pub(super) fn bad_value(&mut self, kind: ProblemKind, span: Range<usize>, noun: &str, why: impl Into<String>) {
        let message = format!("{} is not {noun}", self.subject());
        let help = format!("write it like this: {}", self.example());
        self.report(Problem::at(kind, span, message).label(why).help(help));
    }

    /// The path as the operator meant it: a relative one starts at the file's directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }
}

/// One table of the file while its settings are read.
pub(super) struct SectionTable<'a> {
    /// The table's name as its header is written: `token.discord`, `token.discord.client_secret`.
    pub(super) path: String,
    /// Where the table begins: its header, or its name.
    pub(super) header: Range<usize>,
    /// What stands in it.
    pub(super) table: &'a DeTable<'a>,
    settings: &'static [Setting],
    /// Whether it is the value of a setting.
    nested: bool,
}

impl<'a> SectionTable<'a> {
    /// Reads the table as such a section. Unknown keys are reported first.
    pub(super) fn read<S: Section>(
        path: String,
        header: Range<usize>,
        table: &'a DeTable<'a>,
        reading: &mut Reading<'_>,
    ) -> Option<S> {
        Self { path, header, table, settings: S::SETTINGS, nested: false }.read_as(reading)
    }

    fn read_as<S: Section>(self, reading: &mut Reading<'_>) -> Option<S> {
        let outer = core::mem::replace(&mut reading.path, self.path.clone());
        let known = self.refuse_unknown_keys(reading);
        // Both at once: what can be read is read even if there was something unknown beside it.
        let read = S::read_settings(&self, reading);
        reading.path = outer;
        read.filter(|_| known)
    }

    /// Reads a table that is the value of a setting.
    pub(super) fn read_nested<S: Section>(
        value: &'a Spanned<DeValue<'a>>,
        noun: &str,
        reading: &mut Reading<'_>,
    ) -> Option<S> {
        let Some(table) = value.get_ref().as_table() else {
            reading.wrong_type(value, noun);
            return None;
        };
        let path = format!("{}.{}", reading.path, reading.key());
        Self { path, header: value.span(), table, settings: S::SETTINGS, nested: true }.read_as(reading)
    }

    /// A setting that may be left out.
    pub(super) fn optional<V: Value>(&self, key: &'static str, reading: &mut Reading<'_>) -> Option<Option<V>> {
        match self.table.get(key) {
            Some(value) => self.read_value(key, value, reading).map(Some),
            None => Some(None),
        }
    }

    /// A setting that must be there, or has a default.
    pub(super) fn present<V: Value>(&self, key: &'static str, reading: &mut Reading<'_>) -> Option<V> {
        if let Some(value) = self.table.get(key) {
            return self.read_value(key, value, reading);
        }
        let setting = self.setting(key);
        if let Presence::Default(text, _) = setting.presence {
            let default = DeValue::parse(text).expect("a test reads every default");
            return self.read_value(key, &default, reading);
        }
        self.missing(setting, reading);
        None
    }

    /// Notes that a setting is missing.
    pub(super) fn missing(&self, setting: &'static Setting, reading: &mut Reading<'_>) {
        let message = format!("`[{}]` has no `{}`", self.path, setting.key);
        let what = setting.what.split_whitespace().collect::<Vec<_>>().join(" ");
        let first_sentence = what.split_once(". ").map_or_else(|| what.clone(), |(first, _)| format!("{first}."));
        reading.report(
            Problem::at(ProblemKind::MissingKey, self.header.clone(), message)
                .label(format!("`{}` is missing here", setting.key))
                .help(format!("add a line such as {}\n{first_sentence}", example_line(setting))),
        );
    }

    /// The declaration of a setting.
    pub(super) fn setting(&self, key: &'static str) -> &'static Setting {
        self.settings.iter().find(|setting| setting.key == key).expect("a section reads its own settings")
    }

    fn read_value<V: Value>(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
        reading: &mut Reading<'_>,
    ) -> Option<V> {
        let outer = (reading.setting.replace(self.setting(key)), core::mem::take(&mut reading.in_list));
        let read = V::read(value, reading);
        (reading.setting, reading.in_list) = outer;
        read
    }

    /// The setting of this table that is itself a table and has such a setting.
    fn inside(&self, key: &str) -> Option<&'static str> {
        let has = |schema: &Schema| match schema {
            Schema::Table(inner) => inner.iter().any(|setting| setting.key == key),
            _ => false,
        };
        self.settings.iter().find(|setting| has(&setting.shape.schema)).map(|setting| setting.key)
    }

    fn refuse_unknown_keys(&self, reading: &mut Reading<'_>) -> bool {
        let mut known = true;
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.settings.iter().any(|setting| setting.key == name) {
                continue;
            }
            known = false;
            let keys = || self.settings.iter().map(|setting| setting.key);
            let message = format!("`[{}]` has no setting `{name}`", self.path);
            let problem = Problem::at(ProblemKind::UnknownKey, key.span(), message);
            if let Some(inner) = self.inside(name) {
                let header = format!("[{}.{inner}]", self.path);
                let help = format!("move the line below a line `{header}`: a key belongs to the header above it");
                reading.report(problem.label(format!("this belongs to `{header}`")).help(help));
                continue;
            }
            // Below a table's own header it may be another header that is meant; within a value it can't.
            let elsewhere = if self.nested { None } else { elsewhere(name) };
            reading.report(match (nearest(name, keys()), elsewhere) {
                (Some(meant), _) => problem.label(format!("did you mean `{meant}`?")).help(format!("write `{meant}`")),
                (None, Some(section)) => problem
                    .label(format!("this belongs to `{section}`"))
                    .help(format!("move the line below the line `{section}`: a key belongs to the header above it")),
                (None, None) if self.settings.is_empty() => {
                    problem.label("unknown").help("this table has no settings: take the line out")
                }
                (None, None) => problem.label("unknown").help(format!("the settings are {}", listed(keys()))),
            });
        }
        known
    }
}

/// The header of the section that has such a setting, if another has it.
fn elsewhere(key: &str) -> Option<String> {
    super::SECTIONS
        .iter()
        .find(|section| section.settings.iter().any(|setting| setting.key == key))
        .map(super::SectionDeclaration::header)
}

/// `key = example`.
pub(super) fn example_line(setting: &Setting) -> String {
    format!("`{} = {}`", setting.key, setting.presence.example())
}

/// What a value is, in the words of the nouns.
pub(super) fn what_it_is(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
