//! Processes that are measured, or that measure: each bound to one core.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Failure;

/// A command that runs on this core alone, with its threads.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program);
    command
}

/// A process that runs until this is dropped. Ours end with their standard input, so none outlives this one.
pub(crate) struct Background {
    child: Child,
    _stdin: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Background {
    /// Starts this program again, on the core, with other arguments.
    pub(crate) fn start_self(
        core: usize,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self, Failure> {
        let mut command = on_core(core, &std::env::current_exe()?);
        command.args(arguments.into_iter().map(Into::into)).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self::start(command)
    }

    /// Starts a program of others, with what it says in a file.
    pub(crate) fn start_logged(mut command: Command, log: &Path) -> Result<Self, Failure> {
        let log = File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Self::start(command)
    }

    /// Starts the command, whose standard output is read here where it is piped.
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", command.get_program().display()))?;
        Ok(Self { _stdin: child.stdin.take(), output: child.stdout.take().map(BufReader::new), child })
    }

    /// Its id: `taskset` becomes the program that it starts.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        let output = self.output.as_mut().ok_or("its output isn't read")?;
        if output.read_line(&mut line)? == 0 {
            return Err(format!("a process that is measured ended: {}", self.child.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Reads lines until it ends by itself.
    pub(crate) fn lines_to_end(mut self) -> Result<Vec<String>, Failure> {
        let output = self.output.take().ok_or("its output isn't read")?;
        let lines = output.lines().collect::<Result<_, _>>()?;
        let status = self.child.wait()?;
        if status.success() { Ok(lines) } else { Err(format!("a process that is measured failed: {status}").into()) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until whoever started this process is gone or has let it go.
pub(crate) fn wait_for_end_of_input() {
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
        line.clear();
    }
}
