//! The peers: programs that aren't ours and that tests talk to, such as the Azure SDKs and a certified OAuth server.
//!
//! [`install`] puts them where tests look for them and says what it installs. What is there and of the right version is
//! left alone, so that a second run takes no time. Each is pinned: the `requirements*.txt` of `peers/python` and the
//! `package-lock.json` beside each Node peer.

use std::fs;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::Command;

use crate::run::{Place, answers, run};

/// A host under the domain that `vestal dev` uses. glibc resolves no name under `localhost` by itself.
const DEV_HOST: &str = "dev.vault.localhost";

/// The oldest Node that the peers run on.
const OLDEST_NODE: u32 = 20;

/// Installs whatever is missing.
///
/// # Errors
/// Says what could not be installed, and the command that a person can give for it.
pub(crate) fn install(place: &Place) -> Result<(), String> {
    let mut debian = Debian::new();
    names_under_localhost(&mut debian)?;
    for (environment, list) in [("venv", "requirements.txt"), ("venv-old", "requirements-old.txt")] {
        python(&place.peers().join(environment), place, list, &mut debian)?;
    }
    node(place, &mut debian)
}

fn names_under_localhost(debian: &mut Debian) -> Result<(), String> {
    if resolves_to_loopback(DEV_HOST) {
        println!("{DEV_HOST}: resolves");
        return Ok(());
    }
    let remedy = format!("or add this line to /etc/hosts: 127.0.0.1 {DEV_HOST} contoso.vault.localhost");
    debian
        .install("libnss-myhostname", &format!("{DEV_HOST} does not resolve"))
        .map_err(|e| format!("{e}\n{remedy}"))?;
    // Asked in another process: this one may go on with the list of sources that it read when it started.
    if answers("getent", ["ahosts", DEV_HOST]) || resolves_to_loopback(DEV_HOST) {
        return Ok(());
    }
    Err(format!("{DEV_HOST} still does not resolve: look at the line `hosts:` of /etc/nsswitch.conf, {remedy}"))
}

fn resolves_to_loopback(host: &str) -> bool {
    let addresses = (host, 443).to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    !addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback())
}

/// A virtual environment of Python's, with the packages of a list.
fn python(folder: &Path, place: &Place, list: &str, debian: &mut Debian) -> Result<(), String> {
    let wanted = place.root.join("peers/python").join(list);
    let python = folder.join("bin/python");
    let stamp = Stamp::new(&wanted, folder)?;
    if stamp.is_current() && answers(&python.to_string_lossy(), ["-c", "import azure.keyvault.secrets"]) {
        println!("Python packages: there, as peers/python/{list} has them");
        return Ok(());
    }
    if !answers("python3", ["-c", "import ensurepip, venv"]) {
        debian.install("python3-venv", "python3 can't make a virtual environment")?;
    }
    println!("installing, by pip into {}: the packages of peers/python/{list}", folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r"])
        .arg(&wanted))?;
    stamp.set()
}

/// The packages of each Node peer, beside it: Node looks for them nowhere else.
fn node(place: &Place, debian: &mut Debian) -> Result<(), String> {
    if !answers("node", ["--version"]) {
        debian.install("nodejs", "there is no node")?;
    }
    if !answers("npm", ["--version"]) {
        debian.install("npm", "there is no npm")?;
    }
    let new_enough = format!("process.exit(process.versions.node.split('.')[0] >= {OLDEST_NODE} ? 0 : 1)");
    if !answers("node", ["--eval", &new_enough]) {
        return Err(format!(
            "the peers need Node {OLDEST_NODE} or newer; `node --version` is older: install a newer one"
        ));
    }
    for peer in ["oidc", "node", "node-old"] {
        let folder = place.root.join("peers").join(peer);
        let packages = folder.join("node_modules");
        let stamp = Stamp::new(&folder.join("package-lock.json"), &packages)?;
        if stamp.is_current() {
            println!("Node packages of peers/{peer}: there, as package-lock.json has them");
            continue;
        }
        println!("installing, by npm into peers/{peer}/node_modules: the packages of peers/{peer}/package-lock.json");
        let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").args(quiet).current_dir(&folder))?;
        stamp.set()?;
    }
    Ok(())
}

/// A copy of the list that a folder was installed from, kept in it: as long as both are the same, so are the packages.
struct Stamp {
    wanted: Vec<u8>,
    file: std::path::PathBuf,
}

impl Stamp {
    fn new(list: &Path, folder: &Path) -> Result<Self, String> {
        let wanted = fs::read(list).map_err(|error| format!("{}: {error}", list.display()))?;
        Ok(Self { wanted, file: folder.join(".installed-from") })
    }

    fn is_current(&self) -> bool {
        fs::read(&self.file).is_ok_and(|installed| installed == self.wanted)
    }

    fn set(&self) -> Result<(), String> {
        fs::write(&self.file, &self.wanted).map_err(|error| format!("{}: {error}", self.file.display()))
    }
}

/// Debian's packages: installed by root, or by sudo where it asks for no password.
pub(crate) struct Debian {
    updated: bool,
}

impl Debian {
    pub(crate) fn new() -> Self {
        Self { updated: false }
    }

    /// Installs a package, and says so.
    pub(crate) fn install(&mut self, package: &str, because: &str) -> Result<(), String> {
        let by_hand = format!("{because}; install it by hand: apt-get install {package}");
        if !answers("apt-get", ["--version"]) {
            return Err(format!("{because}, and there is no apt-get here: install what Debian has as {package}"));
        }
        let root = answers("sh", ["-c", "test $(id -u) = 0"]);
        if !root && !answers("sudo", ["--non-interactive", "true"]) {
            return Err(by_hand);
        }
        println!("installing, by apt-get: {package} ({because})");
        let apt = |arguments: &[&str]| {
            let mut command = Command::new(if root { "apt-get" } else { "sudo" });
            if !root {
                command.args(["--non-interactive", "apt-get"]);
            }
            command
                .args(arguments)
                .args(["-qq", "--yes", "--option", "Dpkg::Use-Pty=0"])
                .env("DEBIAN_FRONTEND", "noninteractive");
            run(&mut command).map_err(|problem| format!("{problem}\n{by_hand}"))
        };
        if !self.updated {
            apt(&["update"])?;
            self.updated = true;
        }
        apt(&["install", "--no-install-recommends", package])
    }
}
