//! The programs that aren't ours. `cargo xtask test` installs them; a test never does, and never goes on without them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::process::{Dev, Folder, clean};

/// The Python that has the Azure SDK, on one of the scripts of `peers/python`.
pub(crate) fn python(script: &str, folder: &Folder) -> Command {
    python_of("venv", script, folder)
}

/// The same with an old SDK, whose api-version is 7.2.
pub(crate) fn old_python(script: &str, folder: &Folder) -> Command {
    python_of("venv-old", script, folder)
}

fn python_of(environment: &str, script: &str, folder: &Folder) -> Command {
    let installed = std::env::var_os("VESTAL_PEERS").map_or_else(|| repository().join("target/peers"), PathBuf::from);
    let mut command = clean(there(installed.join(environment).join("bin/python")), folder);
    command.arg(repository().join("peers/python").join(script));
    command
}

/// Node, on a script of `peers`, beside which its packages lie.
pub(crate) fn node(script: &str, folder: &Folder) -> Command {
    let script = repository().join("peers").join(script);
    there(script.with_file_name("node_modules/.installed-from"));
    let mut command = clean("node", folder);
    command.arg(script);
    command
}

/// Runs a peer with what dev.env says and nothing else, and hands back what it printed. It must end well.
pub(crate) fn succeeds(mut command: Command, dev: &Dev) -> String {
    let Output { status, stdout, stderr } = command
        .envs(&dev.env)
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: run `cargo xtask test`, which installs what tests need"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    stdout.into_owned()
}

fn there(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not there: run `cargo xtask test`, which installs what tests need", path.display());
    path
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two levels below the root")
}
