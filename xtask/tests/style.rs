//! Holds what reviewers would otherwise say again and again. Each rule is a function from text to findings, tried on a
//! text that breaks it and then on the whole repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository: its path from the root, and its text.
struct File {
    path: String,
    text: String,
}

/// How long a file's code may be, its unit tests not counted. Before this it is a reason to look.
const LONGEST: usize = 800;

#[test]
fn nothing_is_left_open_in_the_code() {
    // Spelled in two parts, so that this file doesn't break its own rule.
    let open = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X")];
    let rule = |file: &File| lines_with(file, &open, "is left open: finish it, or leave it out");
    assert_eq!(rule(&code("a.rs", &format!("fn f() {{\n    {})\n}}", open[0]))).len(), 1);
    hold(rust(), rule);
}

#[test]
fn a_test_that_is_switched_off_is_run_by_another_one() {
    let off = concat!("#[ign", "ore");
    assert_eq!(switched_off(&code("a.rs", &format!("{off}]\nfn t() {{}}"))).len(), 1);
    let run = format!("{off} = \"it ends its process: parent starts it\"]\nfn t() {{}}\nfn parent() {{}}");
    assert!(switched_off(&code("a.rs", &run)).is_empty());
    hold(rust(), switched_off);
}

/// Ignored tests whose reason doesn't name the test of the same file that runs them, in a process of their own.
fn switched_off(file: &File) -> Vec<String> {
    let off = [concat!("#[ign", "ore")];
    let named = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.any(|word| file.text.contains(&format!("fn {word}(")))
    };
    let found = lines_with(file, &off, "give the name of the test that runs it");
    found.into_iter().filter(|line| !line.split_once('"').is_some_and(|(_, reason)| named(reason))).collect()
}

#[test]
fn lints_are_switched_off_with_a_reason() {
    assert_eq!(allowed_without_reason(&code("a.rs", concat!("#[al", "low(dead_code)]"))).len(), 1);
    assert!(allowed_without_reason(&code("a.rs", concat!("#[al", "low(dead_code, reason = \"…\")]"))).is_empty());
    hold(rust(), allowed_without_reason);
}

/// `expect` is the word, since it tells when it isn't needed any more; inside a macro only `allow` may do.
fn allowed_without_reason(file: &File) -> Vec<String> {
    let allowed = [concat!("#[al", "low("), concat!("#![al", "low(")];
    let found = lines_with(file, &allowed, "write #[expect(lint, reason = \"…\")]");
    found.into_iter().filter(|line| line.matches("reason =").count() < 2).collect()
}

#[test]
fn no_file_or_module_has_the_name_of_a_drawer() {
    assert_eq!(drawer_name(&code("crates/a/src/utils.rs", "")).len(), 1);
    assert_eq!(drawer_name(&code("crates/a/src/common/mod.rs", "")).len(), 1);
    assert_eq!(drawer_name(&code("crates/a/src/a.rs", "mod helpers {\n}")).len(), 1);
    assert!(drawer_name(&code("crates/keeper/src/lib.rs", "mod lane;")).is_empty());
    hold(rust(), drawer_name);
}

fn drawer_name(file: &File) -> Vec<String> {
    let drawer = |name: &str| {
        let one = name.strip_suffix('s').unwrap_or(name);
        ["util", "helper", "manager", "common", "misc"].contains(&one)
    };
    let why = "is the name of a drawer: name what is in it";
    let in_path = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let modules =
        file.text.lines().filter_map(|line| line.trim_start().trim_start_matches("pub ").strip_prefix("mod "));
    let in_text = modules.map(|rest| rest.trim_end_matches([';', '{', ' ']));
    in_path.chain(in_text).filter(|name| drawer(name)).map(|name| format!("{}: '{name}' {why}", file.path)).collect()
}

#[test]
fn no_file_is_too_long_to_read() {
    let long = "fn f() {}\n".repeat(LONGEST + 1);
    assert_eq!(too_long(&code("a.rs", &long)).len(), 1);
    let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}");
    assert!(too_long(&code("a.rs", &tests)).is_empty(), "its unit tests don't count");
    hold(rust(), too_long);
}

fn too_long(file: &File) -> Vec<String> {
    let code = file.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
    if code <= LONGEST {
        Vec::new()
    } else {
        vec![format!("{}: {code} lines: split it by what it is about", file.path)]
    }
}

#[test]
fn each_dependency_says_what_it_is_for() {
    let said = "[dependencies]\nours.workspace = true\n# The store.\nrusqlite.workspace = true\nhex = \"1\"\n";
    assert!(unexplained(&code("Cargo.toml", said), &["ours"]).is_empty(), "neighbours share a comment");
    let unsaid = "[dependencies]\n# Ours.\nours.workspace = true\nrusqlite.workspace = true\n\n[features]\nx = []\n";
    assert_eq!(unexplained(&code("Cargo.toml", unsaid), &["ours"]).len(), 1, "ours explains itself, and nothing else");

    let manifests = repository(|path| path.ends_with("Cargo.toml") && path != "Cargo.toml");
    let ours: Vec<_> = manifests.iter().filter_map(|file| file.path.rsplit('/').nth(1)).collect();
    let findings: Vec<_> = manifests.iter().flat_map(|file| unexplained(file, &ours)).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The dependencies without a comment above them. Neighbours share one; a crate of ours, which its own documentation
/// explains, ends what a comment covers, as an empty line does.
fn unexplained(file: &File, ours: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    let (mut in_dependencies, mut explained) = (false, false);
    for (number, line) in (1..).zip(file.text.lines()) {
        let line = line.trim();
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if !in_dependencies || line.is_empty() {
            explained = false;
        } else if let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            if ours.contains(&name) {
                explained = false;
            } else if !explained {
                findings.push(format!("{}:{number}: say in a comment what {name} is for", file.path));
            }
        }
    }
    findings
}

#[test]
fn no_path_of_this_machine_stands_in_the_repository() {
    let root = root();
    let mut places = vec![format!("{}/", root.display())];
    // Where the repository lies right under the root of the file system, its parent says nothing.
    places.extend(
        root.parent().filter(|parent| parent.parent().is_some()).map(|parent| format!("{}/", parent.display())),
    );
    places.extend(std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| format!("{home}/")));
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    let rule = |file: &File| lines_with(file, &places, "a path of this machine");
    assert_eq!(rule(&code("a.md", &format!("see {}README.md", places[0]))).len(), 1);
    hold(repository(|_| true), rule);
}

#[test]
fn every_invariant_of_the_architecture_names_a_test_that_exists() {
    let sources = rust();
    let missing = |text: &str| -> Vec<String> {
        let names = tests_named_in(text).into_iter();
        names.filter(|name| !sources.iter().any(|file| file.text.contains(&format!("fn {name}(")))).collect()
    };
    let document = "1. It holds. test: `no_such_test_anywhere`\n2. So does this. tests: `too_long`, `drawer_name`\n";
    assert_eq!(missing(document), ["no_such_test_anywhere"]);

    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md stands at the root");
    assert!(
        !tests_named_in(&document).is_empty(),
        "ARCHITECTURE.md names no test: write test: `name` behind each invariant"
    );
    let missing = missing(&document);
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests that don't exist: {missing:?}");
}

/// The names in backticks behind `test:` or `tests:`, up to the end of the line, without the path before them.
fn tests_named_in(document: &str) -> Vec<String> {
    let behind = document.lines().filter_map(|line| line.split_once("test: ").or_else(|| line.split_once("tests: ")));
    let paths = behind.flat_map(|(_, names)| names.split('`').skip(1).step_by(2));
    paths.filter_map(|path| path.rsplit("::").next()).map(str::to_owned).collect()
}

/// Fails with all findings at once, a line each.
fn hold(files: Vec<File>, rule: impl Fn(&File) -> Vec<String>) {
    assert!(!files.is_empty(), "a rule that looks at no file holds nothing");
    let findings: Vec<_> = files.iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn lines_with(file: &File, patterns: &[&str], why: &str) -> Vec<String> {
    let lines = (1..).zip(file.text.lines());
    let hits = lines.filter(|(_, line)| patterns.iter().any(|pattern| line.contains(pattern)));
    hits.map(|(number, line)| format!("{}:{number}: {why}: {}", file.path, line.trim())).collect()
}

fn code(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

fn rust() -> Vec<File> {
    repository(|path| path.ends_with(".rs"))
}

/// The repository's files that are text, but for what is built, installed or kept by tools.
fn repository(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if ![".git", "target", "node_modules", ".vestal", "vestal-data"].contains(&&*name.to_string_lossy()) {
                    folders.push(path);
                }
                continue;
            }
            let shown = path.strip_prefix(root()).expect("it lies below the root").to_string_lossy().into_owned();
            if wanted(&shown)
                && let Ok(text) = fs::read_to_string(&path)
            {
                files.push(File { path: shown, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}
