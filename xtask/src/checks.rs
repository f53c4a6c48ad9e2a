//! The chores that check: `test`, `tidy` and `long`.

use std::fs;
use std::process::Command;

use crate::peers;
use crate::run::{Count, Place, Steps, answers, run, run_watched};

/// `cargo xtask test`: installs what the tests need, then runs everything.
pub(crate) fn test(place: &Place, _: &[String]) -> bool {
    let mut steps = Steps::default();
    steps.step("what the tests need", || peers::install(place));
    format_and_lints(place, &mut steps);
    steps.counted("tests", || all_tests(place));
    steps.counted("examples in the documentation", || cargo_test(place, &["--workspace", "--doc"]));
    steps.step("the record format, read by a second implementation", || {
        run(Command::new(place.python()).arg("crates/vault/vectors/check.py").current_dir(&place.root))
    });
    steps.finish()
}

/// `cargo xtask tidy`: what can be said of the code without running it.
pub(crate) fn tidy(place: &Place, _: &[String]) -> bool {
    let mut steps = Steps::default();
    format_and_lints(place, &mut steps);
    steps.counted("architecture and style", || cargo_test(place, &["--package", "xtask"]));
    steps.finish()
}

/// `cargo xtask long`: what takes longer than the tests may.
pub(crate) fn long(place: &Place, _: &[String]) -> bool {
    let mut steps = Steps::default();
    steps.step("licences, sources and advisories of what we build on", || {
        if !answers("cargo", ["deny", "--version"]) {
            println!("installing cargo-deny, by cargo install");
            run(&mut place.cargo(["install", "--locked", "cargo-deny"]))?;
        }
        run(&mut place.cargo(["deny", "--workspace", "check"]))
    });
    steps.finish()
}

fn format_and_lints(place: &Place, steps: &mut Steps) {
    steps.step("formatting", || run(&mut place.cargo(["fmt", "--all", "--check"])));
    steps.step("lints", || {
        run(&mut place.cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
    });
}

/// Every test of the workspace. cargo-nextest runs each in a process of its own and several binaries at once;
/// where it isn't installed cargo's own runner does, since building it would take longer than the tests do.
fn all_tests(place: &Place) -> (Count, Option<String>) {
    if !answers("cargo", ["nextest", "--version"]) {
        println!("cargo-nextest is not installed (`cargo install --locked cargo-nextest`): cargo test runs the tests");
        return cargo_test(place, &["--workspace", "--lib", "--bins", "--tests"]);
    }
    let report = place.target.join("nextest/default/junit.xml");
    // The report of an earlier run must not be taken for this one's, which may not come to writing one.
    let _ = fs::remove_file(&report);
    let outcome = run(&mut place.cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]));
    let count = fs::read_to_string(&report).map(|text| nextest_count(&text)).unwrap_or_default();
    let problem = outcome.err().or_else(|| (count.passed == 0).then(|| "no test was run".to_owned()));
    (count, problem)
}

fn cargo_test(place: &Place, arguments: &[&str]) -> (Count, Option<String>) {
    let mut count = Count::default();
    let fixed = ["test", "--locked", "--no-fail-fast"];
    let outcome = run_watched(&mut place.cargo(fixed.iter().chain(arguments)), |line| {
        if let Some(result) = cargo_test_count(line) {
            count.passed += result.passed;
            count.failed += result.failed;
        }
    });
    (count, outcome.err())
}

/// The count in nextest's JUnit report: `<testsuites … tests="12" … failures="1" errors="0">`.
fn nextest_count(report: &str) -> Count {
    let suites = report.split_once("<testsuites").and_then(|(_, rest)| rest.split_once('>')).map_or("", |(tag, _)| tag);
    let attribute = |name: &str| -> u64 {
        let value = suites.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        value.and_then(|(digits, _)| digits.parse().ok()).unwrap_or(0)
    };
    let failed = attribute("failures") + attribute("errors");
    Count { passed: attribute("tests").saturating_sub(failed), failed }
}

/// The count in a line of cargo's own runner: `test result: ok. 5 passed; 0 failed; …`.
fn cargo_test_count(line: &str) -> Option<Count> {
    let result = line.strip_prefix("test result: ")?;
    let number = |word: &str| -> Option<u64> {
        result.split([';', '.']).find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    Some(Count { passed: number("passed")?, failed: number("failed")? })
}

#[cfg(test)]
mod tests {
    use super::{cargo_test_count, nextest_count};
    use crate::run::Count;

    #[test]
    fn the_count_of_nextests_report_is_read() {
        let report = r#"<?xml version="1.0"?>
            <testsuites name="nextest-run" tests="12" failures="2" errors="1" uuid="x" time="0.1">
            <testsuite name="a" tests="3" failures="0" errors="0"></testsuite></testsuites>"#;
        assert_eq!(nextest_count(report), Count { passed: 9, failed: 3 });
        assert_eq!(nextest_count("not a report"), Count::default());
    }

    #[test]
    fn the_count_of_cargos_runner_is_read() {
        let line = "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s";
        assert_eq!(cargo_test_count(line), Some(Count { passed: 5, failed: 1 }));
        assert_eq!(cargo_test_count("test a::b ... ok"), None);
    }
}
