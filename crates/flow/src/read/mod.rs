//! From a file's bytes to flows: which container it is, what it holds, and words for what it isn't.
//!
//! Whatever comes in is somebody else's, so each thing that could grow has a named limit, and depth is counted before
//! anything recursive looks at the text.

mod archive;
mod container;
mod foreign;
mod template;
mod text;

pub(crate) use text::depth;

use core::fmt;

use crate::flow::Flow;
use crate::words::{plain, thousands};

/// The longest file that is read, in bytes.
pub const FILE_BYTES: usize = 64 << 20;
/// The longest definition that is read, in bytes.
pub const DEFINITION_BYTES: u64 = 16 << 20;
/// How many entries a zip may have.
pub const ARCHIVE_ENTRIES: usize = 5_000;
/// What a zip may hold in all, unpacked, in bytes. Only definitions are unpacked; the rest counts as the zip states it.
pub const ARCHIVE_BYTES: u64 = 256 << 20;
/// How deep JSON may be nested. A flow's own limits lead to about 60.
pub const JSON_DEPTH: usize = 120;
/// How many actions a flow may have. The products themselves allow 500.
pub const ACTIONS: usize = 2_000;
/// How many flows a file may hold.
pub const FLOWS: usize = 500;

/// Reads the flows of a file: a definition, a Logic App's code view, an ARM template, a Power Automate package, a
/// solution, or actions copied from a designer.
///
/// `file_name` is used for names and in sentences; nothing is opened. A file with a valid container and no flow of
/// interest is still `Ok`: whether a flow is of the kind that Vestal replaces is for [`import`](crate::import) to say.
pub fn read(file_name: &str, bytes: &[u8]) -> Result<Vec<Flow>, ReadError> {
    let fail = |reason| ReadError { file: plain(file_name), reason };
    if bytes.len() > FILE_BYTES {
        return Err(fail(ReadReason::FileTooLong));
    }
    let flows = if archive::is_one(bytes) {
        archive::flows(file_name, bytes)
    } else {
        text::decoded(bytes).and_then(|text| container::flows(file_name, &text))
    };
    let flows = flows.map_err(fail)?;
    if flows.len() > FLOWS {
        return Err(fail(ReadReason::TooManyFlows));
    }
    Ok(flows)
}

/// Why a file could not be read, in words for the person who exported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The file, as the caller named it.
    pub file: String,
    /// What is wrong with it.
    pub reason: ReadReason,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadReason {
    /// There is nothing in it.
    Empty,
    /// It is longer than [`FILE_BYTES`].
    FileTooLong,
    /// A definition in it is longer than [`DEFINITION_BYTES`].
    DefinitionTooLong,
    /// It is not text in UTF-8 or UTF-16.
    NotText,
    /// It is not JSON, from this line and column on.
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It ends in the middle.
    CutOff,
    /// Its JSON is nested deeper than [`JSON_DEPTH`].
    TooDeep,
    /// It is something of another product.
    Foreign {
        /// What it is, such as `an export of n8n`.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// It is JSON or a zip of no kind that is known here.
    NoFlow,
    /// The zip can't be opened.
    ArchiveBroken,
    /// The zip has more entries than [`ARCHIVE_ENTRIES`].
    ArchiveEntries,
    /// Unpacked, the zip is larger than [`ARCHIVE_BYTES`], or than it says.
    ArchiveTooLarge,
    /// An entry of the zip has a path that leads outside of it.
    ArchivePath {
        /// The path, made fit to be shown.
        entry: String,
    },
    /// The zip is locked with a password.
    ArchiveLocked,
    /// A definition is copied without what it needs: the designer's copy of one connector action.
    CopyWithoutDefinition,
    /// It holds more flows than [`FLOWS`].
    TooManyFlows,
    /// A flow has more actions than [`ACTIONS`].
    TooManyActions,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

impl core::error::Error for ReadError {}

impl fmt::Display for ReadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EXPORT: &str = "Export the flow again: in Power Automate by Export > Package (.zip) or as a solution, in a \
                              Logic App by copying its code view.";
        match self {
            Self::Empty => write!(f, "the file is empty. {EXPORT}"),
            Self::FileTooLong => write!(f, "the file is longer than {} MB, the limit.", FILE_BYTES >> 20),
            Self::DefinitionTooLong => {
                write!(f, "a definition in it is longer than {} MB, the limit.", DEFINITION_BYTES >> 20)
            }
            Self::NotText => write!(f, "this is neither a zip nor text in UTF-8 or UTF-16. {EXPORT}"),
            Self::NotJson { line, column } => write!(
                f,
                "this is not JSON: it breaks off at line {line}, column {column}. If you pasted it, look for a missing \
                 bracket or quote there. {EXPORT}"
            ),
            Self::CutOff => write!(f, "the file ends in the middle: it was cut off. {EXPORT}"),
            Self::TooDeep => {
                write!(f, "its JSON is nested more than {JSON_DEPTH} deep, the limit. No designer makes such a flow.")
            }
            Self::Foreign { what, instead } => write!(f, "this is {what}, not a flow. {instead}"),
            Self::NoFlow => write!(f, "no flow was found in it. {EXPORT}"),
            Self::ArchiveBroken => write!(f, "the zip can't be opened: it is damaged or was cut off. {EXPORT}"),
            Self::ArchiveEntries => {
                write!(f, "the zip has more than {} entries, the limit.", thousands(ARCHIVE_ENTRIES as u64))
            }
            Self::ArchiveTooLarge => write!(
                f,
                "unpacked, the zip is larger than {} MB, the limit, or larger than it says. It was not unpacked.",
                ARCHIVE_BYTES >> 20
            ),
            Self::ArchivePath { entry } => write!(
                f,
                "the zip has an entry that leads outside of it, \"{entry}\". No export is made like that, and nothing of \
                 it was read."
            ),
            Self::ArchiveLocked => f.write_str("the zip is locked with a password. Unlock it first."),
            Self::CopyWithoutDefinition => f.write_str(
                "this copy of an action comes without its definition. Put the actions in a scope and copy the scope, or \
                 paste what Peek code (Code view) shows.",
            ),
            Self::TooManyFlows => write!(f, "the file holds more than {FLOWS} flows, the limit. Export fewer."),
            Self::TooManyActions => {
                write!(f, "a flow in it has more than {} actions, the limit.", thousands(ACTIONS as u64))
            }
        }
    }
}
