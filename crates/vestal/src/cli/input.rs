//! What a person or a script hands in: answers to questions, and secrets on standard input.

use std::io::{self, IsTerminal as _, Read};

use zeroize::Zeroizing;

use super::terminal::Terminal;

/// Where answers and secrets come from.
pub enum Input {
    /// A person at a terminal.
    Person(Box<dyn Questions>),
    /// A pipe or a file on standard input: nothing is ever asked.
    Script(Box<dyn Read>),
}

/// Asks a person.
pub trait Questions {
    /// Asks for something that is not shown while it is typed.
    ///
    /// # Errors
    /// What the terminal answered.
    fn hidden(&mut self, question: &str) -> io::Result<Zeroizing<String>>;

    /// Asks for a line.
    ///
    /// # Errors
    /// What the terminal answered.
    fn line(&mut self, question: &str) -> io::Result<String>;
}

impl Input {
    /// This process's standard input.
    pub fn of_process() -> Self {
        let stdin = io::stdin();
        if stdin.is_terminal() { Self::Person(Box::new(Terminal)) } else { Self::Script(Box::new(stdin)) }
    }
}
