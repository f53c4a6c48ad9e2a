//! Alerts to a program: it is run once for each, with the JSON on its standard input. No shell is involved.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::deliver::Failure;
use super::message::Alert;
use crate::config::{AlertCommand, Period};
use crate::system_error::in_words;

/// How long a program may run; then it is killed.
const PROGRAM_LIMIT: Duration = Duration::from_secs(30);

/// A program with its arguments.
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    limit: Duration,
}

impl Program {
    pub(super) fn new(command: &AlertCommand) -> Self {
        Self { path: command.program.path().to_owned(), arguments: command.arguments.clone(), limit: PROGRAM_LIMIT }
    }

    #[cfg(test)]
    pub(super) fn for_test(path: PathBuf, arguments: &[&str], limit: Duration) -> Self {
        Self { path, arguments: arguments.iter().map(ToString::to_string).collect(), limit }
    }

    /// Runs the program once. What it prints goes nowhere: it could be a secret of its own.
    pub(super) async fn run(&self, alert: &Alert) -> Result<String, Failure> {
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.not_started(&error))?;
        let path = self.path.display();
        match tokio::time::timeout(self.limit, feed_and_wait(&mut child, alert.json())).await {
            Ok(Ok(status)) if status.success() => Ok(format!("was given to {path} ({status})")),
            Ok(Ok(status)) => Err(Failure::new(format!(
                "{path} ended with {status}: run it by hand, with an alert's JSON on its standard input"
            ))),
            Ok(Err(error)) => Err(Failure::new(format!("{path} can't be waited for: {}", in_words(&error)))),
            Err(_) => {
                // An error means that it has just ended by itself.
                drop(child.kill().await);
                let limit = Period::from(self.limit);
                Err(Failure::new(format!(
                    "{path} took longer than {limit} and was killed: let it hand slow work to something else"
                )))
            }
        }
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        let next_step = match error.kind() {
            io::ErrorKind::NotFound => {
                "; put it back, or name another in [alert] command (a script also needs its interpreter)"
            }
            io::ErrorKind::PermissionDenied => "; let the user that Vestal runs as execute it (`chmod +x`)",
            _ if error.raw_os_error() == Some(EXEC_FORMAT) => "; a script begins with a line such as #!/bin/sh",
            _ => "",
        };
        Failure::new(format!("{} can't be run: {}{next_step}", self.path.display(), in_words(error)))
    }
}

/// ENOEXEC of every Unix: the file is neither a program nor a script with a first line.
const EXEC_FORMAT: i32 = 8;

async fn feed_and_wait(child: &mut Child, mut json: Vec<u8>) -> io::Result<std::process::ExitStatus> {
    json.push(b'\n');
    if let Some(mut stdin) = child.stdin.take() {
        // One that doesn't read its input, or not all of it, is told all the same.
        drop(stdin.write_all(&json).await);
    }
    child.wait().await
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::alert::message::tests::failing;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("notify");
        fs::write(&path, text).expect("writing");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        path
    }

    #[tokio::test]
    async fn a_program_gets_its_arguments_and_the_json_on_its_input_without_a_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = script(
            folder.path(),
            "#!/bin/sh\ncat > \"$(dirname \"$0\")/input\"\nprintf %s \"$2\" > \"$(dirname \"$0\")/argument\"\n",
        );
        let alert = failing();
        let program = Program::for_test(path, &["--to", "$(id) * 'ops'"], PROGRAM_LIMIT);
        let words = program.run(&alert).await.expect("it works");
        assert!(words.ends_with("/notify (exit status: 0)"), "{words}");
        let mut expected = alert.json();
        expected.push(b'\n');
        assert_eq!(fs::read(folder.path().join("input")).expect("the input"), expected);
        assert_eq!(fs::read_to_string(folder.path().join("argument")).expect("the argument"), "$(id) * 'ops'");
    }

    #[tokio::test]
    async fn one_that_reads_nothing_and_ends_well_is_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::for_test(script(folder.path(), "#!/bin/sh\nexec <&-\nexit 0\n"), &[], PROGRAM_LIMIT);
        program.run(&failing()).await.expect("it works");
    }

    #[tokio::test]
    async fn a_status_other_than_0_is_a_failure_and_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::for_test(script(folder.path(), "#!/bin/sh\necho oh >&2\nexit 3\n"), &[], PROGRAM_LIMIT);
        let failure = program.run(&failing()).await.expect_err("it fails");
        assert!(failure.words.contains("/notify ended with exit status: 3: run it by hand"), "{}", failure.words);
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = script(folder.path(), "#!/bin/sh\necho $$ > \"$(dirname \"$0\")/pid\"\nexec sleep 600\n");
        let program = Program::for_test(path, &[], Duration::from_secs(1));
        let failure = program.run(&failing()).await.expect_err("it is killed");
        assert!(failure.words.contains("took longer than 1s and was killed"), "{}", failure.words);
        // On a busy machine it may be killed before it has written its number; `/proc/` alone would exist.
        if let Ok(number) = fs::read_to_string(folder.path().join("pid")).unwrap_or_default().trim().parse::<u32>() {
            assert!(!Path::new("/proc").join(number.to_string()).exists(), "it is gone, and waited for");
        }
    }

    #[tokio::test]
    async fn one_that_cannot_be_run_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = Program::for_test(folder.path().join("gone"), &[], PROGRAM_LIMIT);
        let words = missing.run(&failing()).await.expect_err("there is none").words;
        assert!(words.contains("put it back"), "{words}");
        let path = script(folder.path(), "no first line\n");
        let words =
            Program::for_test(path.clone(), &[], PROGRAM_LIMIT).run(&failing()).await.expect_err("no format").words;
        assert!(words.contains("#!/bin/sh"), "{words}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        let words = Program::for_test(path, &[], PROGRAM_LIMIT).run(&failing()).await.expect_err("no permission").words;
        assert!(words.contains("chmod +x"), "{words}");
    }
}
