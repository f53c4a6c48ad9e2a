//! What is wrong with a configuration, and how it is shown.
//!
//! A [`Problem`] says what is wrong, where, and what to write instead. [`ConfigErrors`] holds all problems of a file
//! and shows them as rustc shows its own, or as JSON. The lines of the file that are shown have gone through
//! [`redact`](super::redact): a secret that somebody wrote into the file is not repeated on the terminal.

use core::fmt;
use core::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::redact::Redactions;

/// So many problems are reported; the rest are counted.
pub const MAX_PROBLEMS: usize = 100;

/// What sort of problem it is. Its [`word`](ProblemKind::word) is stable: scripts may compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The file can't be read at all.
    UnreadableFile,
    /// The text is not TOML.
    Syntax,
    /// A key or a table stands twice.
    DuplicateKey,
    /// No such setting.
    UnknownKey,
    /// A setting that must be there is not.
    MissingKey,
    /// A string where a number should be, and the like.
    WrongType,
    /// Of the right type, but not a value that the setting takes.
    BadValue,
    /// A name with characters that names don't have.
    BadName,
    /// A vault, provider or app that nobody declared.
    UnknownReference,
    /// Two tokens keep the same secret.
    SecretManagedTwice,
    /// A secret stands in the file itself.
    SecretInFile,
    /// A promise that the token's lifetime can't hold.
    PromiseTooLong,
    /// A file that the configuration names is not there.
    MissingFile,
    /// A secret that the configuration names is not in its vault.
    MissingSecret,
    /// Settings that don't go together.
    Contradiction,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::UnreadableFile,
        Self::Syntax,
        Self::DuplicateKey,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::BadValue,
        Self::BadName,
        Self::UnknownReference,
        Self::SecretManagedTwice,
        Self::SecretInFile,
        Self::PromiseTooLong,
        Self::MissingFile,
        Self::MissingSecret,
        Self::Contradiction,
    ];

    /// The kind as a word, such as `unknown-key`.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnreadableFile => "unreadable-file",
            Self::Syntax => "syntax",
            Self::DuplicateKey => "duplicate-key",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::BadValue => "bad-value",
            Self::BadName => "bad-name",
            Self::UnknownReference => "unknown-reference",
            Self::SecretManagedTwice => "secret-managed-twice",
            Self::SecretInFile => "secret-in-file",
            Self::PromiseTooLong => "promise-too-long",
            Self::MissingFile => "missing-file",
            Self::MissingSecret => "missing-secret",
            Self::Contradiction => "contradiction",
        }
    }
}

/// One thing that is wrong. No text of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What sort of problem it is.
    pub kind: ProblemKind,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, as bytes of the file; `None` where it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// What stands beside the caret.
    pub label: String,
    /// What to write instead, or what to do next.
    pub help: Option<String>,
    /// Other places that explain this one.
    pub related: Vec<(Range<usize>, String)>,
}

impl Problem {
    /// A problem at a place.
    pub(super) fn at(kind: ProblemKind, span: Range<usize>, message: impl Into<String>) -> Self {
        let (message, label, help, related) = (message.into(), String::new(), None, Vec::new());
        Self { kind, message, span: Some(span), label, help, related }
    }

    /// A problem of the whole file.
    pub(super) fn of_file(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { span: None, ..Self::at(kind, 0..0, message) }
    }

    /// Adds what stands beside the caret.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what to do next.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another place that explains this one.
    pub(super) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// A problem as `--json` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProblemRecord {
    /// The file, as the operator named it.
    pub file: String,
    /// The line, from 1; absent where the problem is of the whole file.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The kind, such as `unknown-key`.
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// All problems of one file, in the order of their places.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    /// The file's text with every secret in it masked, byte for byte of the same length.
    text: String,
    pub(super) problems: Vec<Problem>,
    left_out: usize,
}

impl ConfigErrors {
    /// Collects the problems of a file. `redactions` masks what must not be shown of it.
    pub(super) fn new(file: &str, text: &str, redactions: &Redactions, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| (span.start, span.end)));
        problems.dedup();
        let left_out = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        Self { file: file.to_owned(), text: redactions.apply(text), problems, left_out }
    }

    /// The problems, in the order of their places; at most [`MAX_PROBLEMS`].
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many problems there are, those left out of the list included.
    pub fn count(&self) -> usize {
        self.problems.len() + self.left_out
    }

    /// The problems as rustc shows its own. `styled` is for terminals that show colours.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        self.render_as(&renderer.term_width(140), Level::ERROR)
    }

    /// The problems as warnings: what is said of a configuration that works, but not yet fully.
    pub fn render_warnings(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        self.render_as(&renderer.term_width(140), Level::WARNING)
    }

    /// The problems for `--json`.
    pub fn records(&self) -> Vec<ProblemRecord> {
        self.problems
            .iter()
            .map(|problem| {
                let (line, column) = match &problem.span {
                    Some(span) => {
                        let (line, column) = line_and_column(&self.text, span.start);
                        (Some(line), Some(column))
                    }
                    None => (None, None),
                };
                let (file, kind) = (self.file.clone(), problem.kind.word());
                ProblemRecord { file, line, column, kind, message: problem.message.clone(), help: problem.help.clone() }
            })
            .collect()
    }

    fn render_as(&self, renderer: &Renderer, level: Level<'static>) -> String {
        let mut shown: Vec<_> =
            self.problems.iter().map(|problem| renderer.render(&[self.group(problem, level.clone())])).collect();
        if self.left_out > 0 {
            shown.push(format!("… and {} more", self.left_out));
        }
        shown.join("\n\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem, level: Level<'static>) -> Group<'a> {
        let title = level.primary_title(&problem.message);
        let mut group = match &problem.span {
            Some(span) => title.element(self.snippet(problem, span.clone())),
            None => title.element(annotate_snippets::Origin::path(self.file.as_str())),
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help));
        }
        group
    }

    /// The lines from the first place to the last, so that a file of many megabytes is not laid out for each problem.
    fn snippet<'a>(
        &'a self,
        problem: &'a Problem,
        span: Range<usize>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let places = || problem.related.iter().map(|(place, _)| place).chain([&span]);
        let first = places().map(|place| place.start).min().unwrap_or(0).min(self.text.len());
        let last = places().map(|place| place.end).max().unwrap_or(0).min(self.text.len());
        let start = self.text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[last..].find('\n').map_or(self.text.len(), |newline| last + newline);
        let within = |place: &Range<usize>| {
            let begin = place.start.clamp(start, end) - start;
            begin..(place.end.clamp(start, end) - start).max(begin)
        };
        let primary = AnnotationKind::Primary.span(within(&span)).label(some(&problem.label));
        let context =
            problem.related.iter().map(|(place, label)| AnnotationKind::Context.span(within(place)).label(some(label)));
        Snippet::source(&self.text[start..end])
            .line_start(line_and_column(&self.text, start).0)
            .path(self.file.as_str())
            .annotation(primary)
            .annotations(context)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.render(false))
    }
}

/// Written by hand: the derived one would print the whole file.
impl fmt::Debug for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ConfigErrors").field("file", &self.file).field("problems", &self.problems).finish()
    }
}

impl core::error::Error for ConfigErrors {}

/// The line and the column in characters, both from 1, of a byte of the text.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
