//! Bringing a configuration file's definitions into the store.
//!
//! A definition of origin `file` is changed by the file alone, one of origin `admin` by the admin API alone. What leaves
//! the file does nothing any more, and is kept for [`KEPT_AFTER_REMOVAL`] so that a slip of the pen can be undone:
//! written again, it goes on with its tokens, its client id and its history.

mod apply;
mod stored;
#[cfg(test)]
mod tests;

use core::fmt;

use store::RecordError;

pub use self::apply::{Applied, apply, plan};
pub use self::stored::stored_views;

/// How long a definition that left the file is kept, in seconds: 30 days.
pub const KEPT_AFTER_REMOVAL: i64 = 30 * 86_400;

/// Why definitions were not applied. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// A definition of the file has the name of one that was made with the CLI, the API or the dashboard.
    MadeByAdmin {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it stands in the file.
        place: String,
    },
    /// Another definition already manages the same secret, or the definition can't be read; in words.
    Invalid(String),
    /// The store.
    Record(RecordError),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MadeByAdmin { kind, name, place } => write!(
                out,
                "{place} declares the {kind} {name}, which was made with the command line: \
                 delete it there first, or give the one in the file another name"
            ),
            Self::Invalid(words) => out.write_str(words),
            Self::Record(error) => error.fmt(out),
        }
    }
}

impl core::error::Error for ApplyError {}

impl From<RecordError> for ApplyError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}
