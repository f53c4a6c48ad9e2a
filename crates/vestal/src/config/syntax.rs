//! What is wrong with a file before any setting of it is read: text that is not TOML, keys and tables that stand twice,
//! and tables that there are not.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::problem::{Problem, ProblemKind, line_and_column};
use super::setting::{Reading, what_it_is};
use super::suggest::{listed, nearest, with_article};
use super::{SECTIONS, SectionDeclaration};

/// Notes what the TOML parser found. Returns whether the rest can be read: whatever stood twice, the first of it stays.
pub(super) fn report(text: &str, errors: &[toml::de::Error], reading: &mut Reading<'_>) -> bool {
    let mut is_toml = true;
    let mut table_twice = false;
    for error in errors {
        let problem = syntax_problem(text, error);
        let is_duplicate = problem.kind == ProblemKind::DuplicateKey;
        let repeats = !problem.related.is_empty();
        is_toml &= is_duplicate;
        table_twice |= repeats && problem.label == TABLE_TWICE;
        // Below a table's second header every key is one too many: the header has been told.
        if !is_duplicate || repeats || !table_twice {
            reading.report(problem);
        }
    }
    is_toml
}

/// Tables that there are not, and values where a table should be.
pub(super) fn refuse_unknown_tables(root: &DeTable<'_>, reading: &mut Reading<'_>) {
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
        .help(format!(
            "declare {} with a line `[{name}.{setting}]`, its settings on the lines below",
            with_article(name)
        ))
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
            Some(first) => {
                problem.label(if is_header { TABLE_TWICE } else { "the second time" }).related(first, "the first time")
            }
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
