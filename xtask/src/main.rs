//! The chores of the repository, as `cargo xtask NAME`.
//!
//! One table holds them all: [`CHORES`]. Each says what it does while it does it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the person at the terminal")]

mod azure;
mod bench;
mod checks;
mod peers;
mod run;

use std::process::ExitCode;

use crate::run::Place;

/// A chore: what a person calls it, what it is for, and what does it. The function tells whether all went well.
struct Chore {
    name: &'static str,
    about: &'static str,
    does: fn(&Place, &[String]) -> bool,
}

const CHORES: &[Chore] = &[
    Chore { name: "test", about: "install what the tests need, say what, and run all of them", does: checks::test },
    Chore { name: "tidy", about: "formatting, lints, the crates' edges, the style of the code", does: checks::tidy },
    Chore { name: "long", about: "what takes longer than tests may: licences, advisories", does: checks::long },
    Chore { name: "bench", about: "measure a release build: `bench read`, `renew`, `deliver`", does: bench::bench },
    Chore { name: "azure", about: "what only a real key vault can show; says what to set", does: azure::azure },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        if !matches!(name.as_str(), "" | "help" | "-h" | "--help") {
            eprintln!("There is no chore '{name}'.\n");
        }
        eprintln!("cargo xtask CHORE, where CHORE is one of:\n");
        for chore in CHORES {
            eprintln!("    {:<8}{}", chore.name, chore.about);
        }
        return ExitCode::from(2);
    };
    if (chore.does)(&Place::find(), &rest) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
