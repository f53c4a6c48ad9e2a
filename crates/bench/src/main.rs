//! Measurements of a release build. `cargo xtask bench read`, `renew`, `deliver` and `flow` install what this needs,
//! build it, and run it.
//!
//! [`read`] holds the vault's reads against OpenBao and against a handler that does nothing; [`renew`] drives the keeper
//! over a full store, and [`deliver`] tells what targets cost beside it. What is measured runs in a process of its own, bound to one core; this program starts it, asks it,
//! and prints. [`flow`](mod@flow) reads the largest flow that there may be, in this process. `docs/performance.md` has figures, and says how they were taken.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the person at the terminal")]

mod deliver;
mod flow;
mod machine;
mod process;
mod read;
mod renew;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The product's, or the figures would be another program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Anything that ends a measurement, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is measured runs on this core…
const SERVER_CORE: usize = 0;
/// … and what asks it on this one.
const LOAD_CORE: usize = 1;

#[derive(Parser)]
#[command(name = "bench", about = "Measures Vestal. Start it with `cargo xtask bench`")]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Reads of a secret, beside OpenBao and a bare handler
    Read(read::Options),
    /// Renewals, memory and start with 100,000 managed tokens
    Renew(renew::Options),
    /// What targets cost: renewals with and without, and an idle outbox
    Deliver(deliver::Options),
    /// Flows of 500 actions, read and turned into a configuration
    Flow(flow::Options),
    /// A process that `read` measures
    #[command(hide = true)]
    Serve(read::Server),
    /// A process that `renew` and `deliver` measure
    #[command(hide = true)]
    Keep(renew::Work),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().measurement {
        Measurement::Read(options) => read::measure(&options),
        Measurement::Renew(options) => renew::measure(&options),
        Measurement::Deliver(options) => deliver::measure(&options),
        Measurement::Flow(options) => flow::measure(&options),
        Measurement::Serve(server) => on_one_thread(read::serve(server)),
        Measurement::Keep(work) => on_one_thread(renew::work(work)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// One core needs one thread: a second one would only have to be woken.
fn on_one_thread(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
