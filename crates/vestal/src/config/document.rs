//! One file, from its text to a [`Config`]: the tables are found and named, every setting is read, and then what they
//! say of each other is checked. Each step goes on after a problem.

use core::ops::Range;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use vault::{SecretName, VaultName};

use super::check;
use super::definition::{
    AppSettings, Definition, Definitions, PolicySettings, Source, TokenSettings, VaultSettings,
};
use super::problem::{ConfigErrors, Problem, ProblemKind, line_and_column};
use super::process::{
    AlertSettings, ObserveSettings, OutboundSettings, ProcessSettings, ServerSettings, StoreSettings,
};
use super::provider::ProviderSettings;
use super::redact::Redactions;
use super::setting::{Reading, Section, SectionTable, what_it_is};
use super::suggest::{listed, nearest, with_article};
use super::{Config, MAX_FILE_BYTES, SECTIONS, SectionDeclaration};

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
    pub(super) providers: Vec<Found<'a, ProviderSettings>>,
    pub(super) tokens: Vec<Found<'a, TokenSettings>>,
    pub(super) apps: Vec<Found<'a, AppSettings>>,
    pub(super) policies: Vec<Found<'a, PolicySettings>>,
}

/// Where the tokens of a configuration name their credentials.
#[derive(Clone)]
pub(super) struct Places {
    /// The file's text, without what must not be shown of it.
    text: String,
    /// By the token's name and the setting.
    spans: BTreeMap<(String, &'static str), Range<usize>>,
}

/// Written by hand: the derived one would print the whole file.
impl core::fmt::Debug for Places {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Places").field("spans", &self.spans).finish_non_exhaustive()
    }
}

/// Reads a file whole, if it is text of a sane size.
pub(super) fn read_file(path: &Path) -> Result<String, Problem> {
    let unreadable = |message: String, help: &str| Problem::of_file(ProblemKind::UnreadableFile, message).help(help);
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
    let mut is_toml = true;
    let mut table_twice = false;
    for error in &broken {
        let problem = syntax_problem(text, error);
        is_toml &= problem.kind == ProblemKind::DuplicateKey;
        let repeats = !problem.related.is_empty();
        table_twice |= repeats && problem.label == TABLE_TWICE;
        // Below a table's second header every key is one too many: the header has been told.
        if problem.kind != ProblemKind::DuplicateKey || repeats || !table_twice {
            reading.report(problem);
        }
    }
    if !is_toml {
        // What could be made out of the rest is guesswork, and so would be what is said about it.
        let Reading { problems, redactions, .. } = reading;
        return Err(ConfigErrors::new(file, text, &redactions, problems));
    }
    let root = root.get_ref();
    refuse_unknown_tables(root, &mut reading);
    collect_names(root, &mut reading);
    let process = read_process(root, &mut reading);
    let found = FoundDefinitions {
        vaults: read_named("vault", root, &mut reading),
        providers: read_named("provider", root, &mut reading),
        tokens: read_named("token", root, &mut reading),
        apps: read_named("app", root, &mut reading),
        policies: read_named("policy", root, &mut reading),
    };
    let providers = check::definitions(&found, &mut reading);
    let places = places(text, &found, &reading.redactions);
    let lines = Lines::of(text);
    let definitions = Definitions {
        vaults: declared(found.vaults, file, &lines),
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

impl Places {
    /// A warning for each credential that is not there.
    pub(super) fn missing_secrets(
        &self,
        config: &Config,
        is_there: &mut dyn FnMut(&VaultName, &SecretName) -> bool,
    ) -> Option<ConfigErrors> {
        let mut problems = Vec::new();
        for token in &config.definitions.tokens {
            for (key, vault, secret) in token.body.credentials() {
                if is_there(vault, secret) {
                    continue;
                }
                let message = format!("there is no secret `{secret}` in the vault `{vault}` yet");
                let problem = match self.spans.get(&(token.name.clone(), key)) {
                    Some(span) => Problem::at(ProblemKind::MissingSecret, span.clone(), message),
                    None => Problem::of_file(ProblemKind::MissingSecret, message),
                };
                problems.push(
                    problem
                        .label(format!("`{}` can't be obtained without it", token.name))
                        .help(format!("give it its value, which is asked for: vestal secret set {secret} --vault {vault}")),
                );
            }
        }
        (!problems.is_empty())
            .then(|| ConfigErrors::new(&config.file, &self.text, &Redactions::default(), problems))
    }
}

fn places(text: &str, found: &FoundDefinitions<'_>, redactions: &Redactions) -> Places {
    let spans = found
        .tokens
        .iter()
        .flat_map(|token| {
            ["client_id", "client_secret"].map(|key| ((token.name.to_owned(), key), token.span(key)))
        })
        .collect();
    Places { text: redactions.apply(text), spans }
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
    for (key, _, _) in named_tables("vault", root) {
        let folded = key.get_ref().to_ascii_lowercase();
        if let Some(first) = reading.names.vaults.insert(folded, key.span()) {
            let (first, second) = if first.start < key.span().start { (first, key.span()) } else { (key.span(), first) };
            reading.report(
                Problem::at(ProblemKind::DuplicateKey, second, format!("the vault `{}` is declared twice", key.get_ref()))
                    .label("the second time; vaults' names have no case")
                    .related(first, "the first time")
                    .help("give one of them another name"),
            );
        }
    }
    let names = |kind| named_tables(kind, root).map(|(key, _, _)| (key.get_ref().to_string(), key.span())).collect();
    reading.names.providers = names("provider");
    reading.names.apps = names("app");
}

/// Tables that there are not, and values where a table should be.
fn refuse_unknown_tables(root: &DeTable<'_>, reading: &mut Reading<'_>) {
    for (key, value) in root {
        let name = key.get_ref().as_ref();
        let Some(section) = SECTIONS.iter().find(|section| section.name == name) else {
            reading.report(unknown_table(name, key.span()));
            continue;
        };
        let Some(table) = value.get_ref().as_table() else {
            let header = section.header();
            let message = format!("`{name}` is a table, not {}", what_it_is(value.get_ref()));
            reading.report(
                Problem::at(ProblemKind::WrongType, key.span(), message)
                    .label(format!("write `{header}`"))
                    .help(format!("begin the table with a line `{header}`, its settings on the lines below")),
            );
            continue;
        };
        for (key, value) in table.iter().filter(|_| section.named) {
            if value.get_ref().as_table().is_none() {
                reading.report(unnamed(section, key));
            }
        }
    }
}

fn unknown_table(name: &str, span: Range<usize>) -> Problem {
    let problem = Problem::at(ProblemKind::UnknownKey, span, format!("there is no `[{name}]` in a configuration"));
    let owner = SECTIONS.iter().find(|section| section.settings.iter().any(|setting| setting.key == name));
    match (nearest(name, SECTIONS.iter().map(|section| section.name)), owner) {
        (Some(meant), _) => {
            let header = SECTIONS.iter().find(|section| section.name == meant).map(SectionDeclaration::header);
            problem.label(format!("did you mean `{meant}`?")).help(format!("write `{}`", header.unwrap_or_default()))
        }
        (None, Some(owner)) => problem
            .label(format!("this belongs to `{}`", owner.header()))
            .help(format!("move the line below the line `{}`: a key belongs to the header above it", owner.header())),
        (None, None) => {
            let known: Vec<_> = SECTIONS.iter().map(SectionDeclaration::header).collect();
            problem.label("unknown").help(format!("the tables are {}", listed(known.iter().map(String::as_str))))
        }
    }
}

/// A setting directly in `[token]`, which wants a name: `[token.NAME]`.
fn unnamed(section: &SectionDeclaration, key: &Spanned<DeString<'_>>) -> Problem {
    let SectionDeclaration { name, .. } = section;
    let setting = key.get_ref();
    if section.settings.iter().any(|known| known.key == setting.as_ref()) {
        return Problem::at(ProblemKind::MissingKey, key.span(), format!("the {name} has no name"))
            .label(format!("a setting of which {name}?"))
            .help(format!("write the name in the header above: {}", section.header()));
    }
    Problem::at(ProblemKind::WrongType, key.span(), format!("`{setting}` in `[{name}]` is not a table"))
        .label("this should be a table")
        .help(format!("declare {} with a line `[{name}.{setting}]`, its settings on the lines below", with_article(name)))
}

const TABLE_TWICE: &str = "this table has begun before";

/// What the TOML parser found, in our words where they help more.
fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    if error.message().starts_with("duplicate key") {
        let key = text.get(span.clone()).unwrap_or_default();
        let is_header = is_header(text, span.start);
        let (what, help) = match is_header {
            true => ("table", "put all of its settings below one header"),
            false => ("setting", "keep one of them"),
        };
        let problem =
            Problem::at(ProblemKind::DuplicateKey, span.clone(), format!("the {what} `{key}` stands twice")).help(help);
        return match first_of(text, &span) {
            Some(first) => problem
                .label(if is_header { TABLE_TWICE } else { "the second time" })
                .related(first, "the first time"),
            None => problem.label("it has been given before"),
        };
    }
    let (line, _) = line_and_column(text, span.start);
    Problem::at(ProblemKind::Syntax, span, format!("line {line} is not TOML"))
        .label(error.message().replace('\n', ", "))
        .help("a line is `key = value`, `[header]` or `# comment`; texts stand in quotes: `vault = \"contoso\"`")
}

/// The place that a duplicate repeats: the same header anywhere above, or the same key above within its table.
fn first_of(text: &str, second: &Range<usize>) -> Option<Range<usize>> {
    let line_start = text[..second.start].rfind('\n').map_or(0, |newline| newline + 1);
    let word = text.get(second.clone())?;
    let is_header = is_header(text, second.start);
    let own_header = text[line_start..].lines().next().map(without_blanks);
    let mut first = None;
    let mut start = 0;
    for line in text[..line_start].split_inclusive('\n') {
        let bare = without_blanks(line);
        if is_header && Some(&bare) == own_header.as_ref() {
            let at = line.rfind(word)?;
            return Some(start + at..start + at + word.len());
        }
        if !is_header && bare.starts_with('[') {
            first = None; // Another table begins.
        }
        if !is_header && bare.split('=').next() == Some(word) {
            let at = line.find(word)?;
            first.get_or_insert(start + at..start + at + word.len());
        }
        start += line.len();
    }
    first
}

/// Whether the line of this place is a table's header.
fn is_header(text: &str, offset: usize) -> bool {
    let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    text[line_start..].trim_start().starts_with('[')
}

/// A line without blanks and comment, to be compared.
fn without_blanks(line: &str) -> String {
    line.split('#').next().unwrap_or_default().split_whitespace().collect()
}
