//! The command line: what a person or a script says, and how it is answered.
//!
//! `dev`, `serve` and `check` run in this process. Every other command is a client of the admin API of the running
//! process ([`crate::admin::wire`]), over the control socket in its data folder. Begin with [`run`], and with
//! `arguments`, which declares every command.
//!
//! Standard output carries what was asked for and nothing else; what is said about it goes to standard error. The exit
//! status says how it ended ([`Exit`]).

mod app;
mod arguments;
mod check;
mod client;
mod completions;
#[cfg(test)]
mod documented;
mod exit;
mod export;
mod folder;
mod get;
mod import;
mod input;
mod name;
mod output;
mod plan;
mod policy;
mod problem;
mod reference;
mod running;
mod schema;
mod secret;
mod session;
mod start;
mod status;
mod style;
mod table;
mod targets;
mod terminal;
mod token;
mod vaults;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ColorChoice;
use clap::error::ErrorKind;
use jiff::tz::TimeZone;

use self::arguments::Command;
pub use self::exit::Exit;
pub use self::input::{Input, Questions};
pub use self::output::{Output, Screen, Sink};
pub use self::problem::Problem;
pub use self::reference::reference_page;
use self::session::Session;
pub use self::start::{DevOptions, Entry, ServeOptions};
pub use self::when::Clock;
use crate::clock;

/// What the program finds around it.
pub struct World {
    /// Where it prints.
    pub output: Output,
    /// Where answers and secrets come from.
    pub input: Input,
    /// What tells the time.
    pub clock: Clock,
    /// What starts a running Vestal.
    pub entries: Entries,
}

/// What starts a running Vestal. Each returns when it has stopped.
#[derive(Clone, Copy)]
pub struct Entries {
    /// `vestal dev`
    pub dev: Entry<DevOptions>,
    /// `vestal serve`
    pub serve: Entry<ServeOptions>,
}

/// Does what the arguments say in this process's own world; the first is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let world = World {
        output: Output::of_process(),
        input: Input::of_process(),
        clock: Clock { now_ms: || clock::now().wall.0, zone: TimeZone::system() },
        entries: running::ENTRIES,
    };
    run_in(world, arguments).into()
}

/// Does what the arguments say in a world of one's own, as tests have it.
pub fn run_in(world: World, arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let World { mut output, input, clock, entries } = world;
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    color(&mut output, arguments::color_in(&arguments));
    let (arguments, said) = match arguments::read(&arguments) {
        Ok(read) => read,
        Err(error) => return help_or_usage(&output, error, arguments),
    };
    let everywhere = &arguments.everywhere;
    color(&mut output, everywhere.color);
    if everywhere.quiet {
        output.set_quiet();
    }
    let (vault, json) = (everywhere.vault(), everywhere.json);
    let mut session = Session { output, input, clock, said, vault, json };
    match carry_out(arguments.command, &mut session, &entries) {
        Ok(exit) => exit,
        Err(problem) => {
            session.output.problem(&problem);
            problem.exit()
        }
    }
}

fn carry_out(command: Command, session: &mut Session, entries: &Entries) -> Result<Exit, Problem> {
    let done = match command {
        Command::Dev(arguments) => start::dev(arguments, session, entries),
        Command::Serve(_) => start::serve(session, entries),
        Command::Check => check::run(session),
        Command::Plan => plan::plan(session),
        Command::Apply => plan::apply(session),
        Command::Get(arguments) => get::run(arguments, session),
        Command::Secret(command) => secret::run(command, session),
        Command::Token(command) => token::run(command, session),
        Command::App(command) => app::run(command, session),
        Command::Policy(command) => policy::run(command, session),
        Command::Target(command) => targets::run(&command, session),
        Command::Vault(command) => vaults::run(&command, session),
        Command::Export(command) => export::run(&command, session),
        Command::Import(command) => return import::run(&command, session),
        Command::Status => return status::run(session),
        Command::Schema => schema::run(session),
        Command::Completions(arguments) => completions::run(&arguments, session),
    };
    done.map(|()| Exit::Done)
}

fn color(output: &mut Output, choice: ColorChoice) {
    match choice {
        ColorChoice::Auto => {}
        ColorChoice::Always => output.set_colors(true),
        ColorChoice::Never => output.set_colors(false),
    }
}

/// Help and version are results; everything else that clap says is a mistake in the arguments.
fn help_or_usage(output: &Output, error: clap::Error, mut arguments: Vec<OsString>) -> Exit {
    if error.kind() == ErrorKind::MissingSubcommand {
        // Whoever said only half is best helped by the other halves.
        arguments.push("--help".into());
        let help = arguments::read(&arguments).err().unwrap_or(error);
        output.problem(&Problem::shown(Exit::Usage, help.render().ansi().to_string()));
        return Exit::Usage;
    }
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        output.problem(&Problem::shown(Exit::Usage, text));
        return Exit::Usage;
    }
    match output.line(text.trim_end()) {
        Ok(()) => Exit::Done,
        Err(problem) => problem.exit(),
    }
}
