//! Holds the table of crates of ARCHITECTURE.md: who may depend on whom, and what the pure crates may not depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each of our crates may depend on. `secret` is everybody's; a crate with [`ANY`] may use all.
const EDGES: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("renewal", &[]),
    ("oauth", &[]),
    ("vault", &[]),
    ("store", &["vault", "renewal"]),
    // It speaks of vault's and renewal's types, as the port that it fulfils does.
    ("store-sql", &["store", "vault", "renewal"]),
    ("keeper", &["renewal", "oauth", "vault", "store"]),
    ("keyvault", &["vault", "store"]),
    ("delivery", &["store"]),
    ("flow", &[]),
    ("vestal", ANY),
    ("bench", ANY),
    ("xtask", &[]),
];

const ANY: &[&str] = &["*"];

/// What no crate below the shell may depend on: runtimes, sockets, listeners and clients.
const SHELL_ONLY: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "reqwest",
    "hyper",
    "hyper-util",
    "axum",
    "rustls",
    "tokio-rustls",
];

/// Whence randomness comes: below the shell it is an argument.
const RANDOMNESS: &[&str] = &["rand", "rand_core", "getrandom", "fastrand"];

/// The crates below the shell.
const PURE: &[&str] = &["secret", "renewal", "oauth", "vault", "store", "store-sql", "keeper", "keyvault", "flow"];

#[test]
fn crates_keep_to_their_edges() {
    let found = edges_outside_the_table(&Workspace::read());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_crate_is_in_the_table() {
    let named: BTreeSet<_> = EDGES.iter().map(|(name, _)| *name).collect();
    for name in Workspace::read().crates.keys() {
        assert!(
            named.contains(name.as_str()),
            "the crate {name} is new: give it a row in {} and in ARCHITECTURE.md, or no crate of its own",
            file!()
        );
    }
}

#[test]
fn crates_below_the_shell_name_no_runtime_and_no_socket() {
    let workspace = Workspace::read();
    for (name, dependencies) in workspace.crates.iter().filter(|(name, _)| PURE.contains(&name.as_str())) {
        for forbidden in SHELL_ONLY.iter().chain(RANDOMNESS) {
            assert!(!dependencies.contains(*forbidden), "{name} depends on {forbidden}: only the shell may");
        }
    }
}

#[test]
fn secret_depends_on_zeroize_alone_and_renewal_on_nothing_but_serde() {
    let workspace = Workspace::read();
    let only = |name: &str, allowed: &[&str]| {
        for dependency in &workspace.crates[name] {
            assert!(allowed.contains(&dependency.as_str()), "{name} depends on {dependency}");
        }
    };
    only("secret", &["zeroize"]);
    only("renewal", &["secret", "serde"]);
}

#[test]
fn an_edge_that_the_table_lacks_is_found() {
    let mut workspace = Workspace { crates: BTreeMap::new() };
    let ours = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    workspace.crates.insert("secret".into(), ours(&["zeroize"]));
    workspace.crates.insert("renewal".into(), ours(&["secret"]));
    workspace.crates.insert("oauth".into(), ours(&["secret", "renewal"]));
    workspace.crates.insert("vestal".into(), ours(&["oauth", "renewal"]));
    assert_eq!(edges_outside_the_table(&workspace), ["oauth depends on renewal: the table of crates forbids it"]);
}

fn edges_outside_the_table(workspace: &Workspace) -> Vec<String> {
    let mut found = Vec::new();
    for (name, dependencies) in &workspace.crates {
        let allowed = EDGES.iter().find(|(row, _)| row == name).map_or(&[][..], |(_, allowed)| allowed);
        for dependency in dependencies.iter().filter(|dependency| workspace.crates.contains_key(*dependency)) {
            let free = allowed == ANY || dependency == "secret" || allowed.contains(&dependency.as_str());
            if !free {
                found.push(format!("{name} depends on {dependency}: the table of crates forbids it"));
            }
        }
    }
    found
}

/// Our crates and what each depends on when it is built for use. What only its tests need is free: a test of the shell
/// may look anywhere.
struct Workspace {
    crates: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo can be started");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
        let crates =
            list(&metadata["packages"]).map(|package| (text(&package["name"]).to_owned(), shipped(package))).collect();
        Self { crates }
    }
}

/// The names of what a package depends on, but for its tests.
fn shipped(package: &Value) -> BTreeSet<String> {
    let shipped = list(&package["dependencies"]).filter(|dependency| dependency["kind"].as_str() != Some("dev"));
    shipped.map(|dependency| text(&dependency["name"]).to_owned()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list in cargo's metadata").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text in cargo's metadata")
}
