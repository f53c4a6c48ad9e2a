//! One file, from its text to a [`Config`]: the tables are found and named, every setting is read, and then what they
//! say of each other is checked. Each step goes on after a problem.

use core::ops::Range;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::check;
use super::definition::{AppSettings, Definition, Definitions, PolicySettings, Source, TokenSettings, VaultSettings};
use super::deliveries;
use super::places::Places;
use super::problem::{ConfigErrors, Problem, ProblemKind};
use super::process::{
    AlertSettings, ObserveSettings, OutboundSettings, ProcessSettings, ServerSettings, StoreSettings,
};
use super::provider::ProviderSettings;
use super::redact::Redactions;
use super::setting::{Reading, Section, SectionTable};
use super::syntax;
use super::target::Target;
use super::{Config, MAX_FILE_BYTES};

/// A definition while its file is being read.
pub(super) struct Found<'a, S> {
    /// Its name.
    pub(super) name: &'a str,
    /// Where the name stands.
    pub(super) key: Range<usize>,
    /// Where its table begins.
    pub(super) header: Range<usize>,
    /// Its settings as they stand in the file.
    pub(super) table: &'a DeTable<'a>,
    /// Its settings, if all of them are right.
    pub(super) body: Option<S>,
}

impl<S> Found<'_, S> {
    /// Where the setting's value stands, or the header where it was left out.
    pub(super) fn span(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.header.clone(), Spanned::span)
    }
}

/// The definitions of a file while it is being read.
pub(super) struct FoundDefinitions<'a> {
    pub(super) vaults: Vec<Found<'a, VaultSettings>>,
    pub(super) targets: Vec<Found<'a, Target>>,
    pub(super) providers: Vec<Found<'a, ProviderSettings>>,
    pub(super) tokens: Vec<Found<'a, TokenSettings>>,
    pub(super) apps: Vec<Found<'a, AppSettings>>,
    pub(super) policies: Vec<Found<'a, PolicySettings>>,
}

/// Reads a file whole, if it is text of a sane size.
pub(super) fn read_file(path: &Path) -> Result<String, Box<Problem>> {
    let unreadable =
        |message: String, help: &str| Box::new(Problem::of_file(ProblemKind::UnreadableFile, message).help(help));
    let opened = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        // One byte more than is allowed shows that there are more.
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = opened.map_err(|problem| match problem.kind() {
        std::io::ErrorKind::NotFound => unreadable(
            "there is no such configuration file".to_owned(),
            "say which one to read with `--config FILE`, or begin with a copy of `examples/discord.toml`",
        ),
        std::io::ErrorKind::PermissionDenied => unreadable(
            "the configuration file can't be opened: permission denied".to_owned(),
            "let the user that runs Vestal read it",
        ),
        kind => unreadable(format!("the configuration file can't be read: {kind}"), "name a file of TOML text"),
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("the configuration file has more than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(unreadable(message, "is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|problem| {
        let at = problem.utf8_error().valid_up_to();
        let line = problem.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        unreadable(format!("the configuration file is not UTF-8 text, at line {line}"), "save it as UTF-8")
    })
}

/// Reads a configuration from its text.
pub(super) fn parse(text: &str, file: &str, base: &Path) -> Result<Config, ConfigErrors> {
    let mut reading = Reading::new(text, base);
    let (root, broken) = DeTable::parse_recoverable(text);
    let is_toml = syntax::report(text, &broken, &mut reading);
    if !is_toml {
        // What could be made out of the rest is guesswork, and so would be what is said about it.
        let Reading { problems, redactions, .. } = reading;
        return Err(ConfigErrors::new(file, text, &redactions, problems));
    }
    let root = root.get_ref();
    syntax::refuse_unknown_tables(root, &mut reading);
    collect_names(root, &mut reading);
    let process = read_process(root, &mut reading);
    let found = FoundDefinitions {
        vaults: read_named("vault", root, &mut reading),
        targets: read_named("target", root, &mut reading),
        providers: read_named("provider", root, &mut reading),
        tokens: read_named("token", root, &mut reading),
        apps: read_named("app", root, &mut reading),
        policies: read_named("policy", root, &mut reading),
    };
    let providers = check::definitions(&found, &mut reading);
    if let Some(process) = &process {
        deliveries::own_vaults(&found.targets, &process.server, &mut reading);
    }
    let places = Places::of(text, &found, &reading.redactions);
    let lines = Lines::of(text);
    let definitions = Definitions {
        vaults: declared(found.vaults, file, &lines),
        targets: declared(found.targets, file, &lines),
        providers: declared(found.providers, file, &lines),
        tokens: declared(found.tokens, file, &lines),
        apps: declared(found.apps, file, &lines),
        policies: declared(found.policies, file, &lines),
    };
    let Reading { problems, redactions, .. } = reading;
    match process {
        Some(process) if problems.is_empty() => {
            Ok(Config { file: file.to_owned(), process, definitions, providers, places })
        }
        _ => Err(ConfigErrors::new(file, text, &redactions, problems)),
    }
}

impl ConfigErrors {
    /// A file that could not be read.
    pub(super) fn of_file(file: &str, problem: Problem) -> Self {
        Self::new(file, "", &Redactions::default(), vec![problem])
    }
}

/// Where each line begins, so that the lines of 100,000 definitions are found without counting from the top each time.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(core::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// The definitions that were read, by name.
fn declared<S>(found: Vec<Found<'_, S>>, file: &str, lines: &Lines) -> Vec<Definition<S>> {
    let mut definitions: Vec<_> = found
        .into_iter()
        .filter_map(|found| {
            let source = Source { file: file.to_owned(), line: lines.line(found.key.start) };
            Some(Definition { name: found.name.to_owned(), source, body: found.body? })
        })
        .collect();
    definitions.sort_by_cached_key(|definition| (definition.name.to_ascii_lowercase(), definition.name.clone()));
    definitions
}

fn read_process(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<ProcessSettings> {
    let server = read_single::<ServerSettings>("server", root, reading);
    let observe = read_single::<ObserveSettings>("observe", root, reading);
    let store = read_single::<StoreSettings>("store", root, reading);
    let outbound = read_single::<OutboundSettings>("outbound", root, reading);
    let alert = read_single::<AlertSettings>("alert", root, reading);
    if let Some(server) = &server {
        check::server(server, root, reading);
    }
    if let (Some(server), Some(observe)) = (&server, &observe) {
        check::listeners(server, observe, root, reading);
    }
    Some(ProcessSettings { server: server?, observe: observe?, store: store?, outbound: outbound?, alert: alert? })
}

/// A table that stands once, or is left out.
fn read_single<S: Section>(name: &str, root: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<S> {
    let Some((key, value)) = root.get_key_value(name) else {
        let empty = DeTable::new();
        return SectionTable::read(name.to_owned(), 0..0, &empty, reading);
    };
    let table = value.get_ref().as_table()?; // Anything else has been refused with the unknown tables.
    SectionTable::read(name.to_owned(), header(key, value), table, reading)
}

/// The tables `[kind.NAME]`.
fn read_named<'a, S: Section>(kind: &str, root: &'a DeTable<'a>, reading: &mut Reading<'_>) -> Vec<Found<'a, S>> {
    named_tables(kind, root)
        .map(|(key, value, table)| {
            let name = key.get_ref().as_ref();
            let header = header(key, value);
            check::name(kind, name, key.span(), table, reading);
            let body = SectionTable::read(format!("{kind}.{name}"), header.clone(), table, reading);
            Found { name, key: key.span(), header, table, body }
        })
        .collect()
}

type Named<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>, &'a DeTable<'a>);

fn named_tables<'a>(kind: &str, root: &'a DeTable<'a>) -> impl Iterator<Item = Named<'a>> {
    let tables = root.get(kind).and_then(|value| value.get_ref().as_table());
    tables.into_iter().flatten().filter_map(|(key, value)| Some((key, value, value.get_ref().as_table()?)))
}

/// Where a table begins: its header where it has one, else its name.
fn header(key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    let span = value.span();
    if span.is_empty() { key.span() } else { span }
}

/// Notes what is declared, before anything that refers to it is read.
fn collect_names(root: &DeTable<'_>, reading: &mut Reading<'_>) {
    reading.names.vaults = folded_names("vault", root, reading);
    reading.names.targets = folded_names("target", root, reading);
    let both: Vec<_> = reading
        .names
        .vaults
        .iter()
        .filter_map(|(name, vault)| Some((name.clone(), vault.clone(), reading.names.targets.get(name)?.clone())))
        .collect();
    for (name, vault, target) in both {
        let (first, second) = in_order(vault, target);
        reading.report(
            Problem::at(ProblemKind::DuplicateKey, second, format!("`{name}` is both a vault and a target"))
                .label("the second of the two")
                .related(first, "the first")
                .help("give one of them another name: `vault = \"…\"` of a credential names either"),
        );
    }
    let names = |kind| named_tables(kind, root).map(|(key, _, _)| (key.get_ref().to_string(), key.span())).collect();
    reading.names.providers = names("provider");
    reading.names.apps = names("app");
}

/// Names that have no case, in lower case; one that stands twice is told.
fn folded_names(kind: &str, root: &DeTable<'_>, reading: &mut Reading<'_>) -> BTreeMap<String, Range<usize>> {
    let mut names = BTreeMap::new();
    for (key, _, _) in named_tables(kind, root) {
        let folded = key.get_ref().to_ascii_lowercase();
        if let Some(first) = names.insert(folded, key.span()) {
            let (first, second) = in_order(first, key.span());
            let message = format!("the {kind} `{}` is declared twice", key.get_ref());
            reading.report(
                Problem::at(ProblemKind::DuplicateKey, second, message)
                    .label(format!("the second time; {kind}s' names have no case"))
                    .related(first, "the first time")
                    .help("give one of them another name"),
            );
        }
    }
    names
}

fn in_order(one: Range<usize>, other: Range<usize>) -> (Range<usize>, Range<usize>) {
    if one.start < other.start { (one, other) } else { (other, one) }
}
