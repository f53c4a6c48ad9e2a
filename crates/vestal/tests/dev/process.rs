//! Starting, watching and ending the real program.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take that a test waits for. No test is about time: this only ends those that would hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A test's own folder, removed at its end unless the test fails. Its path is short, as a Unix socket's must be.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("vestal-").expect("a temporary folder can be made"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where `vestal dev` keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("a file can be written into a temporary folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("the folder of the failed test is kept: {}", self.path().display());
        }
    }
}

/// `vestal` with nothing of this machine's environment but the path, and a home that is empty.
pub(crate) fn vestal(folder: &Folder) -> Command {
    clean(env!("CARGO_BIN_EXE_vestal"), folder)
}

/// Any program, in the same bare environment.
pub(crate) fn clean(program: impl AsRef<std::ffi::OsStr>, folder: &Folder) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder.path());
    command
}

/// `vestal dev` on the folder's data, on a free port, with tokens that live for so many seconds.
pub(crate) fn dev(folder: &Folder, lifetime: u32) -> Command {
    let mut command = vestal(folder);
    command.arg("dev").arg("--dir").arg(folder.data());
    command.args(["--listen", "127.0.0.1:0", "--lifetime", &format!("{lifetime}s")]);
    command
}

/// A client of the running process, such as `vestal secret set NAME`, with something on its standard input. What it
/// prints on standard output is handed back; it must end well.
pub(crate) fn admin(folder: &Folder, arguments: &[&str], input: &str) -> String {
    let mut command = vestal(folder);
    command.arg("--dir").arg(folder.data()).args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("its stdin is piped");
    stdin.write_all(input.as_bytes()).expect("it reads what it is given");
    drop(stdin);
    let output = child.wait_with_output().expect("it can be waited for");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

/// The same command with another one in front of it, such as `sh -c '…; exec "$@"' sh`.
pub(crate) fn behind(front: &[&str], command: &Command) -> Command {
    let mut whole = Command::new(front[0]);
    whole.args(&front[1..]).arg(command.get_program()).args(command.get_args()).env_clear();
    whole.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    whole
}

/// A running program. It is killed when the test is done with it.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        // Its standard input stays open and silent: some programs end with it.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Output::of(child.stdout.take().expect("its stdout is piped"));
        let stderr = Output::of(child.stderr.take().expect("its stderr is piped"));
        Self { child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line on its standard output that is wanted, waited for.
    pub(crate) fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.stdout.wait(wanted).unwrap_or_else(|| {
            panic!("the line never came.\nstdout:\n{}\nstderr:\n{}", self.stdout.text(), self.stderr.text())
        })
    }

    /// Sends it a signal: `KILL` ends it as a power cut would, and it is told nothing.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("it still runs");
    }

    /// Asks it to stop, as Ctrl-C does, and waits until it has: its status, and what it printed.
    pub(crate) fn stop(mut self) -> (ExitStatus, String, String) {
        self.signal(Signal::INT);
        let status = self.ended();
        (status, self.stdout.text(), self.stderr.text())
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("its status can be asked for") {
                self.stdout.wait_for_end();
                self.stderr.wait_for_end();
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not end.\nstdout:\n{}\nstderr:\n{}", self.stdout.text(), self.stderr.text());
    }

    fn end_now(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_now();
        if thread::panicking() {
            eprintln!("--- its stdout\n{}\n--- its stderr\n{}", self.stdout.text(), self.stderr.text());
        }
    }
}

pub(crate) fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().expect("a process id is positive")).expect("and not 0")
}

/// `vestal dev`, ready, and the environment that it wrote for its clients.
pub(crate) struct Dev {
    pub(crate) running: Running,
    pub(crate) env: BTreeMap<String, String>,
    ready: String,
}

impl Dev {
    /// With tokens of six seconds: a new one about every three.
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::ready(dev(folder, 6), folder)
    }

    /// Starts the command, and waits until it says that it is ready.
    pub(crate) fn ready(mut command: Command, folder: &Folder) -> Self {
        let running = Running::start(&mut command);
        let ready = running.line(says_ready);
        let env = sourced(&folder.data().join("dev.env"), folder);
        Self { running, env, ready }
    }

    pub(crate) fn var(&self, name: &str) -> &str {
        self.env.get(name).unwrap_or_else(|| panic!("dev.env has no {name}"))
    }

    /// Where health and metrics are, as `--json` says when it is ready.
    pub(crate) fn observe(&self) -> String {
        self.fact("observe")
    }

    /// What `--json` says under this key when it is ready.
    pub(crate) fn fact(&self, key: &str) -> String {
        let said = self.ready.strip_prefix("ready ").unwrap_or(&self.ready);
        let facts: serde_json::Value =
            serde_json::from_str(said).unwrap_or_else(|_| panic!("start it with --json: {}", self.ready));
        facts[key].as_str().unwrap_or_else(|| panic!("no {key}: {facts}")).to_owned()
    }

    /// The name of the managed token's secret.
    pub(crate) fn token_name(&self) -> &str {
        self.var("VESTAL_TOKEN_NAME")
    }
}

/// Whether it is the line that says that clients may come, in words or as JSON.
pub(crate) fn says_ready(line: &str) -> bool {
    line.starts_with("ready") || line.contains("\"event\":\"ready\"")
}

/// What a shell has after it has sourced the file, and had not before.
fn sourced(file: &Path, folder: &Folder) -> BTreeMap<String, String> {
    let read = |script: &str| -> BTreeMap<String, String> {
        let output = clean("sh", folder).args(["-c", script, "sh"]).arg(file).output().expect("there is a shell");
        assert!(output.status.success(), "dev.env can't be sourced: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("dev.env is UTF-8");
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let before = read("env -0");
    let mut after = read("set -a; . \"$1\"; env -0");
    after.retain(|name, value| before.get(name) != Some(value));
    after
}

/// What a program prints, collected as it comes.
#[derive(Clone)]
pub(crate) struct Output(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

impl Output {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let writer = output.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // Bytes, not text: a program that prints something else is looked at too.
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                writer.change(|collected| collected.lines.push(text));
                line.clear();
            }
            writer.change(|collected| collected.ended = true);
        });
        output
    }

    pub(crate) fn text(&self) -> String {
        self.0.0.lock().expect("no reader of an output panics").lines.join("\n")
    }

    pub(crate) fn wait(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let (collected, changed) = &*self.0;
        let none = |collected: &mut Collected| !collected.ended && !collected.lines.iter().any(|line| wanted(line));
        let guard = collected.lock().expect("no reader of an output panics");
        let (guard, _) = changed.wait_timeout_while(guard, PATIENCE, none).expect("no reader of an output panics");
        guard.lines.iter().find(|line| wanted(line)).cloned()
    }

    fn wait_for_end(&self) {
        let (collected, changed) = &*self.0;
        let guard = collected.lock().expect("no reader of an output panics");
        let a_while = Duration::from_secs(5);
        drop(changed.wait_timeout_while(guard, a_while, |collected| !collected.ended));
    }

    fn change(&self, change: impl FnOnce(&mut Collected)) {
        change(&mut self.0.0.lock().expect("no reader of an output panics"));
        self.0.1.notify_all();
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(answer) = ask() {
            return answer;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came: {what}");
}
