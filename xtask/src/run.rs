//! Running other programs, and keeping count of what passed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the repository is, and where things that are made go.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Place {
    /// The repository that this program was built in. What is built lies two levels above the program itself, wherever
    /// cargo was told to put it.
    pub(crate) fn find() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned();
        let target = std::env::current_exe()
            .ok()
            .and_then(|program| program.ancestors().nth(2).map(Path::to_owned))
            .unwrap_or_else(|| root.join("target"));
        Self { root, target }
    }

    /// The folder of the programs that tests talk to and that aren't ours.
    pub(crate) fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// The Python that has the packages of `peers/python/requirements.txt`.
    pub(crate) fn python(&self) -> PathBuf {
        self.peers().join("venv/bin/python")
    }

    /// A cargo command at the root, told where the peers are.
    pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root).env("VESTAL_PEERS", self.peers());
        command
    }
}

/// Runs a command in the open, and says what went wrong with it.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    println!("$ {}", spelled(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", spelled(command))),
        Err(error) => Err(format!("`{}` could not be started: {error}", spelled(command))),
    }
}

/// Runs a command in the open and hands each line of its standard output to `look` too.
pub(crate) fn run_watched(command: &mut Command, mut look: impl FnMut(&str)) -> Result<(), String> {
    println!("$ {}", spelled(command));
    let could_not = |command: &Command, error| format!("`{}` could not be run: {error}", spelled(command));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| could_not(command, error))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            look(&line);
        }
    }
    let status = child.wait().map_err(|error| could_not(command, error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", spelled(command))) }
}

/// Whether the command can be run and says yes. Nothing of it is shown.
pub(crate) fn answers<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(program: &str, arguments: I) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// As a person would type it, but for the folder that every cargo has in its path.
fn spelled(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// How many of what was counted passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    const ONE_PASSED: Self = Self { passed: 1, failed: 0 };
    const ONE_FAILED: Self = Self { passed: 0, failed: 1 };
}

/// The steps of a chore, one after the other: a failed step doesn't stop the next, so that one run shows all there is.
#[derive(Default)]
pub(crate) struct Steps {
    count: Count,
    failures: Vec<String>,
}

impl Steps {
    /// A step that passes or fails as a whole.
    pub(crate) fn step(&mut self, name: &str, does: impl FnOnce() -> Result<(), String>) {
        self.counted(name, || match does() {
            Ok(()) => (Count::ONE_PASSED, None),
            Err(problem) => (Count::ONE_FAILED, Some(problem)),
        });
    }

    /// A step that counts for itself, such as a run of many tests. A problem without a failed count is one failure.
    pub(crate) fn counted(&mut self, name: &str, does: impl FnOnce() -> (Count, Option<String>)) {
        println!("\n== {name}");
        let start = Instant::now();
        let (count, problem) = does();
        self.count.passed += count.passed;
        self.count.failed += count.failed.max(u64::from(problem.is_some()));
        let seconds = start.elapsed().as_secs_f32();
        match problem {
            None => println!("-- {name}: done in {seconds:.1} s"),
            Some(problem) => {
                println!("-- {name}: FAILED after {seconds:.1} s\n{problem}");
                self.failures.push(format!("{name}: {problem}"));
            }
        }
    }

    /// Says what failed and, on the last line, how many passed and failed. True if all went well.
    pub(crate) fn finish(self) -> bool {
        println!();
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", self.count.passed, self.count.failed);
        self.count.failed == 0 && self.count.passed > 0
    }
}
