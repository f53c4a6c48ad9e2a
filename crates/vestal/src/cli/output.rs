//! The one place that prints. Standard output carries what was asked for: values, tables, JSON. Standard error carries
//! everything that is said about it. Every text may hold styles; they are taken out where colours don't belong.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use super::problem::Problem;
use super::style::{self, styled};
use super::table::{Table, printable};

/// A stream that text goes to.
pub type Sink = Box<dyn Write + Send>;

/// Standard output and standard error, and what is known of them. A clone prints to the same streams.
#[derive(Clone)]
pub struct Output {
    streams: Arc<Mutex<Streams>>,
    screen: Screen,
    quiet: bool,
}

struct Streams {
    stdout: Sink,
    stderr: Sink,
}

/// What the streams of an [`Output`] are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Screen {
    /// The columns of the terminal that standard output is; `None` where it is none.
    pub width: Option<usize>,
    /// Whether standard output shows colours.
    pub stdout_colors: bool,
    /// Whether standard error shows colours.
    pub stderr_colors: bool,
}

impl Output {
    /// This process's own streams. Colours are shown on terminals alone, and nowhere with `NO_COLOR`.
    pub fn of_process() -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let screen = Screen {
            width: stdout.is_terminal().then(|| columns(&stdout)),
            stdout_colors: AutoStream::choice(&stdout) != ColorChoice::Never,
            stderr_colors: AutoStream::choice(&stderr) != ColorChoice::Never,
        };
        Self::new(Box::new(stdout), Box::new(stderr), screen)
    }

    /// Streams of one's own, as tests have them.
    pub fn new(stdout: Sink, stderr: Sink, screen: Screen) -> Self {
        Self { streams: Arc::new(Mutex::new(Streams { stdout, stderr })), screen, quiet: false }
    }

    /// From now on colours are shown everywhere, or nowhere.
    pub(super) fn set_colors(&mut self, shown: bool) {
        self.screen.stdout_colors = shown;
        self.screen.stderr_colors = shown;
    }

    /// From now on only results and problems are printed.
    pub(super) fn set_quiet(&mut self) {
        self.quiet = true;
    }

    /// The columns of the terminal that standard output is; `None` where it is none.
    pub fn width(&self) -> Option<usize> {
        self.screen.width
    }

    /// Whether standard error shows colours.
    pub fn shows_colors_on_stderr(&self) -> bool {
        self.screen.stderr_colors
    }

    /// Whether standard error shows colours.
    pub fn colors_on_stderr(&self) -> bool {
        self.screen.stderr_colors
    }

    /// A line on standard output.
    ///
    /// # Errors
    /// What the stream answered; [`Problem::ReaderGone`] where nobody reads it any more.
    pub fn line(&self, text: &str) -> Result<(), Problem> {
        self.text(&format!("{text}\n"))
    }

    /// A text on standard output, which brings its own line ends.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn text(&self, text: &str) -> Result<(), Problem> {
        Ok(write(&mut self.streams().stdout, self.screen.stdout_colors, text)?)
    }

    /// A table on standard output.
    pub(super) fn table(&self, table: Table) -> Result<(), Problem> {
        let text = table.render(self.screen.width);
        self.text(&text)
    }

    /// A value on standard output, byte for byte, and a line end on a terminal alone: a prompt must not begin behind it.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub(super) fn value(&self, value: &str) -> Result<(), Problem> {
        let end = if self.screen.width.is_some() { "\n" } else { "" };
        let stdout = &mut self.streams().stdout;
        stdout.write_all(value.as_bytes())?;
        stdout.write_all(end.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// JSON on standard output, laid out for people.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn json<T: Serialize>(&self, body: &T) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(body)
            .map_err(|error| Problem::failed(format!("the answer can't be shown as JSON: {error}")))?;
        // The line ends between JSON's tokens are the only control characters that stand in it unescaped and are wanted.
        let mut escaped = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            match c {
                c if c.is_control() && c != '\n' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => escaped.push(c),
            }
        }
        escaped.push('\n');
        let stdout = &mut self.streams().stdout;
        stdout.write_all(escaped.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// A line on standard error, about what was done. Nothing with `--quiet`.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn note(&self, text: &str) -> Result<(), Problem> {
        if self.quiet { Ok(()) } else { self.say(&lines(text)) }
    }

    /// A warning on standard error. Not even `--quiet` hides it.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn warn(&self, text: &str) -> Result<(), Problem> {
        self.say(&format!("{} {}", styled(style::WARNING, "warning:"), lines(text)))
    }

    /// A line on standard error, whatever else is hidden.
    pub(super) fn say(&self, text: &str) -> Result<(), Problem> {
        Ok(write(&mut self.streams().stderr, self.screen.stderr_colors, &format!("{text}\n"))?)
    }

    /// Why a command ended before its time.
    pub(super) fn problem(&self, problem: &Problem) {
        let text = match problem {
            Problem::ReaderGone => return,
            Problem::Shown { text, .. } => text.trim_end().to_owned(),
            Problem::Told { message, help, .. } => {
                let error = styled(style::BAD, "error:");
                let word = styled(style::MOVING.bold(), "help:");
                let help = help.as_ref().map(|help| format!("\n{word} {}", lines(help)));
                format!("{error} {}{}", lines(message), help.unwrap_or_default())
            }
        };
        // Where standard error can't be written the exit status is all that is left.
        drop(self.say(&text));
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Words as they may be shown. Some come from elsewhere, and in several lines.
fn lines(words: &str) -> String {
    words.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn write(sink: &mut Sink, colors: bool, text: &str) -> io::Result<()> {
    if colors {
        sink.write_all(text.as_bytes())?;
    } else {
        sink.write_all(strip_str(text).to_string().as_bytes())?;
    }
    sink.flush()
}

/// A terminal that doesn't tell its width is taken for one of 80 columns.
fn columns(stdout: &io::Stdout) -> usize {
    match rustix::termios::tcgetwinsize(stdout) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}
