//! Why a command did not do what it was asked, for the person who asked.

use std::fmt;
use std::io;
use std::path::Path;

use super::exit::Exit;
use crate::system_error::in_words;

/// Why a command ended before its time. It becomes `error:` and `help:` on standard error, and the exit status.
#[derive(Debug)]
pub enum Problem {
    /// In words.
    Told {
        /// The exit status.
        exit: Exit,
        /// What happened, and where.
        message: String,
        /// What to do next.
        help: Option<String>,
    },
    /// Laid out already, such as a configuration's mistakes with their lines. Styles in it are taken out where they
    /// don't belong.
    Shown {
        /// The exit status.
        exit: Exit,
        /// The whole text.
        text: String,
    },
    /// The reader of the output is gone, as `head` is after its last line. There is nobody to tell, and nothing wrong.
    ReaderGone,
}

impl Problem {
    /// A problem in words.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Told { exit, message: message.into(), help: None }
    }

    /// What was asked can't be done now.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// What was asked makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What the system refused: `what` completed by why.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {}", in_words(error)))
    }

    /// What was asked for with a file that the system refuses: another is to be named.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        Self::usage(match error.kind() {
            io::ErrorKind::NotFound => format!("there is no file {path}"),
            _ => format!("{path} can't be read: {}", in_words(error)),
        })
    }

    /// A problem that is laid out already.
    pub fn shown(exit: Exit, text: impl Into<String>) -> Self {
        Self::Shown { exit, text: text.into() }
    }

    /// Adds what to do next. A problem that is laid out already has said it.
    #[must_use]
    pub fn help(mut self, next: impl Into<String>) -> Self {
        if let Self::Told { help, .. } = &mut self {
            *help = Some(next.into());
        }
        self
    }

    /// The exit status that it comes to.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } | Self::Shown { exit, .. } => *exit,
            Self::ReaderGone => Exit::Done,
        }
    }
}

/// What standard output or standard error answered to a write.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::io("the output can't be written", &error),
        }
    }
}
