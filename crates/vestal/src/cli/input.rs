//! What a person or a script hands in: answers to questions, and secrets on standard input.

use std::io::{self, IsTerminal as _, Read};

use zeroize::Zeroizing;

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

/// The terminal that the process belongs to.
struct Terminal;

impl Questions for Terminal {
    fn hidden(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        rpassword::prompt_password(question).map(Zeroizing::new)
    }

    fn line(&mut self, question: &str) -> io::Result<String> {
        // Asked where a hidden question is asked too, so that standard output stays free for results.
        let mut terminal = std::fs::OpenOptions::new().write(true).open("/dev/tty")?;
        io::Write::write_all(&mut terminal, question.as_bytes())?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
    }
}
