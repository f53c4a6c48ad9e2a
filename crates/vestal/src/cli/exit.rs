//! What the program's exit status says. Scripts compare it, so a number never changes its meaning.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// It could not; of `status`: Vestal is not ready.
    Failed = 1,
    /// What was asked makes no sense: the arguments, what they name, or the configuration.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// It was refused: something else is there already, or the configuration file owns it.
    Refused = 4,
    /// No Vestal runs there, or it can't be reached.
    Unreachable = 5,
}

impl Exit {
    /// Every way to end, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Usage, Self::NotFound, Self::Refused, Self::Unreachable];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed; of `vestal status`: not ready",
            Self::Usage => "wrong arguments, or a mistake in the configuration",
            Self::NotFound => "no such secret, token, app, policy or vault",
            Self::Refused => "refused: it is there already, or the configuration file owns it",
            Self::Unreachable => "no Vestal runs there, or it can't be reached",
        }
    }

    /// All of them, a line each, as the help shows them.
    pub(super) fn list() -> String {
        Self::ALL.iter().fold(String::new(), |mut list, exit| {
            let _ = write!(list, "\n  {}  {}", exit.code(), exit.meaning());
            list
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
