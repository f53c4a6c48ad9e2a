//! From the bytes of a file to flows: what container it is, and what it must not do to us.

mod archive;
mod container;
mod json;
mod product;

use core::cell::Cell;
use core::fmt;

pub(crate) use self::container::Connections;
use crate::flow::Flow;
use crate::text::one_line;

/// The largest file that is read, in bytes. Exports of whole solutions stay far below it.
const LARGEST_FILE: usize = 64 << 20;

/// How many bytes of JSON are read of a file or of an archive. A flow of 500 actions has less than one of 16 MiB.
const LARGEST_JSON: usize = 16 << 20;

/// The flows of one file: an exported package of Power Automate (zip), a Dataverse solution (zip), a Logic App's
/// definition, code view or `workflow.json`, an ARM template, or actions that were copied out of a designer.
///
/// `file` is what people call the file; it becomes part of the words and of names.
///
/// # Errors
/// What the file is instead, or what is wrong with it, in words. Nothing of the file's text is in them but names.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Flow>, ReadError> {
    let failed = |reason| ReadError { file: file.to_owned(), reason };
    if bytes.len() > LARGEST_FILE {
        return Err(failed(ReadReason::TooLarge));
    }
    let found = if archive::is_archive(bytes) {
        archive::read(bytes)
    } else if bytes.len() > LARGEST_JSON {
        Err(ReadReason::TooMuch)
    } else {
        json::parse(bytes, &Cell::new(json::MOST_VALUES)).and_then(container::read)
    };
    let mut flows = found.map_err(failed)?;
    for flow in &mut flows {
        flow.file = file.to_owned();
        if flow.name.is_empty() {
            let stem = file.rsplit(['/', '\\']).next().unwrap_or(file);
            flow.name = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem).to_owned();
        }
    }
    Ok(flows)
}

/// Why a file can't be read as flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong.
    pub reason: ReadReason,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadReason {
    /// It has more bytes than any export.
    TooLarge,
    /// It is empty.
    Empty,
    /// It is neither JSON, in UTF-8 or UTF-16, nor a zip archive.
    NotText,
    /// It is no JSON: the line, the column, and what was expected there.
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The parser's words; they hold nothing of the text.
        words: String,
    },
    /// Its JSON is nested deeper than any flow.
    TooDeep,
    /// Two keys of one JSON object are the same, so that it isn't clear which is meant.
    TwiceTheSame(String),
    /// The archive is damaged, encrypted or cut off.
    DamagedArchive,
    /// An entry of the archive has a path that leads out of it.
    PathOutside(String),
    /// The archive unpacks to more than any export holds.
    Bomb,
    /// Its JSON has more bytes, values or actions than any flow.
    TooMuch,
    /// Two files of the archive have the same path, so that it isn't clear which is meant.
    SameEntry,
    /// A file of the archive that must be a flow can't be read.
    InArchive {
        /// The file in the archive.
        entry: String,
        /// What is wrong with it.
        reason: Box<Self>,
    },
    /// It is something else: what, in words.
    OtherProduct(&'static str),
    /// It is JSON or an archive, but nothing in it is a flow.
    NoFlow,
    /// An action of the flow isn't written as the Workflow Definition Language wants it: the action.
    OddAction(String),
    /// The order of the actions is a circle: one of them.
    Circle(String),
    /// Two actions have the same name.
    SameName(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&one_line(&format!("{} {}", self.file, self.reason)))
    }
}

impl core::error::Error for ReadError {}

impl fmt::Display for ReadReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(formatter, "is larger than {} MiB, which no exported flow is", LARGEST_FILE >> 20),
            Self::Empty => formatter.write_str("is empty: export the flow again"),
            Self::NotText => formatter.write_str(
                "is neither JSON nor a zip archive: export the flow as a package (.zip), or save its code view as a \
                 UTF-8 file",
            ),
            Self::NotJson { line, column, words } => write!(
                formatter,
                "is no JSON: line {line}, column {column}: {words}. If it was copied out of a designer, copy it again, \
                 from the first brace to the last"
            ),
            Self::TooDeep => formatter.write_str("is nested deeper than any flow is: export the flow again"),
            Self::TwiceTheSame(key) => {
                write!(formatter, "has the key `{key}` twice in one object, so that it isn't clear which is meant")
            }
            Self::DamagedArchive => {
                formatter.write_str("is a zip archive that is damaged, encrypted or cut off: export the flow again")
            }
            Self::PathOutside(path) => write!(
                formatter,
                "is a zip archive with a path that leads out of it (`{path}`), which no export has: nothing of it was \
                 read"
            ),
            Self::Bomb => {
                formatter.write_str("is a zip archive that unpacks to far more than any export holds: it wasn't read")
            }
            Self::TooMuch => formatter.write_str("holds more JSON than any flow has: it wasn't read"),
            Self::SameEntry => formatter.write_str(
                "is a zip archive with two files of the same path, so that it isn't clear which is meant: export the \
                 flow again",
            ),
            Self::InArchive { entry, reason } => write!(formatter, "holds `{entry}`, which {reason}"),
            Self::OtherProduct(what) => write!(
                formatter,
                "is {what}. Vestal reads flows of Power Automate (an exported package or solution, .zip) and of Logic \
                 Apps (a definition, workflow.json or ARM template)"
            ),
            Self::NoFlow => formatter.write_str(
                "holds no flow: neither `triggers` and `actions`, nor a package, a solution or an ARM template with them",
            ),
            Self::OddAction(name) => write!(
                formatter,
                "has the action `{name}`, which isn't written as the Workflow Definition Language wants it: an object \
                 with `type`"
            ),
            Self::Circle(name) => write!(formatter, "has actions that wait for each other in a circle: `{name}` is one"),
            Self::SameName(name) => write!(formatter, "has two actions of the name `{name}`"),
        }
    }
}
