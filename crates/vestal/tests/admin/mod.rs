//! What a command says to the running Vestal, and what it makes of the answers. A case is a file of sections:
//!
//! ```text
//! == command             the arguments; [DIR] is the data folder
//! == file vestal.toml    a file in the data folder
//! == terminal 60         standard output is a terminal of so many columns; left out, it is a pipe
//! == typed               what a person types, a line an answer; left out, standard input is a pipe
//! == stdin               what comes through that pipe
//! == request             what the command is to send; its body follows the first line
//! == answer 200          what it gets for it; 0 is no answer
//! == stdout              what it is to print
//! == stderr
//! == exit 0
//! ```
//!
//! It is 2026-11-22 21:04:05 UTC in all of them. `VESTAL_WRITE_CASES=1` writes what is expected again.

mod fake;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use vestal::cli::{Clock, Entries, Input, Output, Problem, Questions, Screen, World, run_in};
use zeroize::Zeroizing;

use fake::Fake;

/// 2026-11-22 21:04:05 UTC, in milliseconds.
const NOW: i64 = 1_795_381_445_000;

#[test]
fn what_is_said_to_a_running_vestal_and_what_is_made_of_its_answers() {
    let files = cases();
    assert!(files.len() > 10, "the cases are there");
    let mut wrong = String::new();
    for (file, expected) in files {
        let actual = Case::parse(&expected).run().to_string();
        if actual == expected {
            continue;
        }
        if std::env::var_os("VESTAL_WRITE_CASES").is_some_and(|value| value == "1") {
            fs::write(&file, actual).expect("a case can be written");
        } else {
            let _ = writeln!(wrong, "--- {} comes out as\n{actual}", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nVESTAL_WRITE_CASES=1 writes them again");
}

/// What runs until it is stopped prints a value a line; the tests of `dev` read those.
const UNTIL_STOPPED: [&str; 2] = ["dev", "serve"];

/// Their answers are long, need no running Vestal, and are held elsewhere.
const WITHOUT_A_CASE: [&str; 2] = ["completions bash --json", "schema --json"];

#[test]
fn every_command_prints_one_json_value_with_json() {
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let named = |command: &str| commands().into_iter().find(|name| command.starts_with(&format!("{name} ")));
    for command in WITHOUT_A_CASE {
        let case = Case(vec![("command".to_owned(), command.to_owned())]).run();
        let stdout = case.body("stdout").expect("it was run");
        serde_json::from_str::<serde_json::Value>(stdout).unwrap_or_else(|error| panic!("{command}: {error}"));
        shown.extend(named(command));
    }
    for (file, text) in cases() {
        // What is written there is what is printed: the test above holds it.
        let case = Case::parse(&text);
        let command = case.body("command").unwrap_or_default();
        if !command.split_whitespace().any(|word| word == "--json") || case.body("exit 0").is_none() {
            continue;
        }
        let stdout = case.body("stdout").unwrap_or_default();
        let value: serde_json::Value =
            serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{}: {error}: {stdout}", file.display()));
        hold_to_the_rule_of_times(&value, &file);
        shown.extend(named(command));
    }
    let missing: Vec<_> = commands()
        .into_iter()
        .filter(|name| !UNTIL_STOPPED.contains(&name.as_str()) && !shown.contains(name))
        .collect();
    assert!(missing.is_empty(), "no case shows with --json what these print: {missing:?}");
}

/// Instants are texts, lengths of time say their unit, and nothing counts milliseconds.
fn hold_to_the_rule_of_times(value: &serde_json::Value, file: &Path) {
    use serde_json::Value;
    const INSTANTS: [&str; 17] = [
        "started",
        "created",
        "updated",
        "not_before",
        "expires",
        "ends",
        "due",
        "next_due",
        "obtained",
        "last_repeat",
        "removed",
        "at",
        "since",
        "last_success",
        "next_try",
        "changed",
        "no_backup_from",
    ];
    match value {
        Value::Array(values) => values.iter().for_each(|value| hold_to_the_rule_of_times(value, file)),
        Value::Object(members) => {
            for (name, value) in members {
                let place = format!("{}: {name}: {value}", file.display());
                assert!(!name.ends_with("_ms"), "{place}");
                if INSTANTS.contains(&name.as_str()) {
                    let is_instant = |text: &str| text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z');
                    assert!(value.is_null() || value.as_str().is_some_and(is_instant), "{place}");
                }
                let looks_like_a_time = value.as_u64().is_some_and(|number| number > 1_000_000_000);
                assert!(!looks_like_a_time, "a time as a number: {place}");
                hold_to_the_rule_of_times(value, file);
            }
        }
        _ => {}
    }
}

/// Every command by its words, from the reference page, which is made of the declarations.
fn commands() -> Vec<String> {
    let page = vestal::cli::reference_page();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## `vestal ")?.strip_suffix('`'));
    headings.map(str::to_owned).collect()
}

/// The files of cases, with their text.
fn cases() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admin");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the cases can be read")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "case"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).expect("a case is text");
            (file, text)
        })
        .collect()
}

/// The sections of a file, heading and body.
struct Case(Vec<(String, String)>);

impl Case {
    fn parse(text: &str) -> Self {
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix("== "), sections.last_mut()) {
                (Some(heading), _) => sections.push((heading.to_owned(), String::new())),
                (None, Some((_, body))) => {
                    body.push_str(line);
                    body.push('\n');
                }
                (None, None) => panic!("a case begins with a section: {line}"),
            }
        }
        Self(sections)
    }

    fn body(&self, heading: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == heading).map(|(_, body)| body.as_str())
    }

    /// What follows a word in headings: `200` of `answer 200`.
    fn with_number<'a>(&'a self, word: &str) -> Vec<(u16, &'a str)> {
        let of_word = |(heading, body): &'a (String, String)| {
            let number = heading.strip_prefix(word)?.trim().parse().ok()?;
            Some((number, body.as_str()))
        };
        self.0.iter().filter_map(of_word).collect()
    }

    /// The same case as it really comes out.
    fn run(&self) -> Self {
        let answers = self.with_number("answer");
        let fake = Fake::start(answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect());
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let screen = Screen {
            width: self.with_number("terminal").first().map(|(width, _)| usize::from(*width)),
            ..Screen::default()
        };
        let world = World {
            output: Output::new(Box::new(stdout.clone()), Box::new(stderr.clone()), screen),
            input: self.input(),
            clock: Clock { now_ms: || NOW, zone: TimeZone::UTC },
            entries: Entries {
                dev: |_, _| Err(Problem::failed("no case starts one")),
                serve: |_, _| Err(Problem::failed("no case starts one")),
            },
        };
        let folder = fake.folder().display().to_string();
        for (heading, body) in &self.0 {
            if let Some(name) = heading.strip_prefix("file ") {
                fs::write(fake.folder().join(name), body).expect("a file can be written");
            }
        }
        let command = self.body("command").expect("a case has a command").trim().replace("[DIR]", &folder);
        let exit = run_in(world, self.arguments(&command, fake.folder()));
        let requests = fake.stop();

        let given = |(heading, _): &&(String, String)| {
            ["command", "typed", "stdin"].contains(&heading.as_str())
                || ["terminal ", "file "].iter().any(|word| heading.starts_with(word))
        };
        let mut sections: Vec<_> = self.0.iter().filter(given).cloned().collect();
        let mut answers = answers.into_iter();
        for request in requests {
            sections.push(("request".to_owned(), request.replace(&folder, "[DIR]")));
            if let Some((status, body)) = answers.next() {
                sections.push((format!("answer {status}"), body.to_owned()));
            }
        }
        for (status, body) in answers {
            sections.push((format!("answer {status}"), body.to_owned()));
        }
        for (heading, captured) in [("stdout", stdout), ("stderr", stderr)] {
            sections.push((heading.to_owned(), captured.text().replace(&folder, "[DIR]")));
        }
        sections.push((format!("exit {}", exit.code()), String::new()));
        Self(sections)
    }

    fn arguments(&self, command: &str, folder: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["vestal".into(), "--dir".into(), folder.into()].into();
        if !command.contains("--vault") {
            // Whoever runs the tests may have set VESTAL_VAULT.
            arguments.push("--vault=".into());
        }
        // No argument of a case has a space in it.
        arguments.extend(command.split_whitespace().map(OsString::from));
        arguments
    }

    fn input(&self) -> Input {
        match self.body("typed") {
            Some(lines) => Input::Person(Box::new(Typist(lines.lines().map(str::to_owned).collect()))),
            None => {
                let piped = self.body("stdin").unwrap_or_default().to_owned();
                Input::Script(Box::new(Cursor::new(piped.into_bytes())))
            }
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (heading, body) in &self.0 {
            writeln!(out, "== {heading}")?;
            out.write_str(body)?;
            // A body that doesn't end its line, as a value in a pipe.
            if !body.is_empty() && !body.ends_with('\n') {
                out.write_str("\\ no line end\n")?;
            }
        }
        Ok(())
    }
}

/// What was printed.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics with it").clone()).expect("it prints UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers every question with the next line.
struct Typist(VecDeque<String>);

impl Questions for Typist {
    fn hidden(&mut self, _: &str) -> io::Result<Zeroizing<String>> {
        self.line("").map(Zeroizing::new)
    }

    fn line(&mut self, _: &str) -> io::Result<String> {
        self.0.pop_front().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
