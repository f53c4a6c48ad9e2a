//! Renewals: how many a core makes durable in a second when the provider's time is taken out, and what a store full of
//! managed tokens costs in memory and at the start.
//!
//! The keeper, renewal, the records and the SQLite store are the product's, with a sync for every transaction. The
//! provider answers at once, and the clock is wound ahead to make all tokens due together, which is the worst that an
//! outage can leave behind. Each part is a process of its own on one core.

mod work;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;

pub(crate) use self::work::{Deliveries, Work, work};
use crate::machine::{self, Memory};
use crate::process::{self, Background};
use crate::read::ask;
use crate::table::{self, grouped, median, megabytes};
use crate::{Failure, SERVER_CORE};

/// How many renewals a lane may have in flight; the product's default.
const FLIGHTS: usize = 8;

/// What is to be reached with values of this length.
const TARGET_BYTES: usize = 200;
const TARGET_PER_SECOND: f64 = 5_000.0;
const TARGET_MEMORY_KIB: u64 = 150_000_000 / 1024;
const TARGET_START: Duration = Duration::from_secs(1);
const TARGET_BINARY_BYTES: u64 = 30_000_000;

/// How often the binary is started.
const STARTS: usize = 5;
/// How long a start may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct Options {
    /// Where stores are made; emptied first
    #[arg(long, default_value = "target/bench/renew")]
    folder: PathBuf,
    /// The product's binary, a release build
    #[arg(long, default_value = "target/release/vestal")]
    vestal: PathBuf,
    /// How many managed tokens
    #[arg(long, default_value_t = 100_000)]
    tokens: usize,
    /// Over how many lanes they are spread
    #[arg(long, default_value_t = 1_000)]
    lanes: usize,
    /// How long their values are, in bytes
    #[arg(long, value_delimiter = ',', default_values_t = [TARGET_BYTES, 1_200])]
    bytes: Vec<usize>,
    /// How often all of them are renewed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures, and prints.
pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    if options.folder.exists() {
        fs::remove_dir_all(&options.folder)?;
    }
    fs::create_dir_all(&options.folder)?;
    println!("machine: {}", machine::description());
    println!("disk:    {}", sync_time(&options.folder)?);
    println!(
        "{} tokens in {} lanes with {FLIGHTS} flights each; everything on core {SERVER_CORE}; a commit is synced to disk",
        grouped(options.tokens as f64),
        grouped(options.lanes as f64),
    );
    for bytes in &options.bytes {
        println!("\nvalues of {bytes} bytes");
        let folder = options.folder.join(bytes.to_string());
        let store = Store { folder: &folder, bytes: *bytes };
        let begun = Instant::now();
        let (tokens, lanes) = (options.tokens.to_string(), options.lanes.to_string());
        store.work(&["declare", "--tokens", &tokens, "--lanes", &lanes])?;
        println!("  declared in {:.1} s", begun.elapsed().as_secs_f64());
        renewals(&store, options.rounds)?;
        at_rest(&store)?;
        binary(&store, &options.vestal)?;
        println!("  store: {}", megabytes(size_of(&folder.join("store.sqlite")) / 1024));
    }
    let size = size_of(&options.vestal);
    let verdict = verdict(size > 0 && size < TARGET_BINARY_BYTES);
    println!("\n{}: {:.1} MB (to reach: under 30): {verdict}", options.vestal.display(), size as f64 / 1e6);
    Ok(())
}

/// A store and what its values are like.
pub(crate) struct Store<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) bytes: usize,
}

impl Store<'_> {
    /// Runs a task in a process of its own, and reads what it says.
    pub(crate) fn work(&self, task: &[&str]) -> Result<Vec<String>, Failure> {
        let (folder, bytes) = (self.folder.display().to_string(), self.bytes.to_string());
        let flights = FLIGHTS.to_string();
        let mut arguments = vec!["keep", "--folder", &folder, "--bytes", &bytes, "--flights", &flights];
        arguments.extend(task);
        Background::start_self(SERVER_CORE, arguments)?.lines_to_end()
    }
}

/// Every figure of that name among the lines, in their order.
pub(crate) fn figures(lines: &[String], key: &str) -> Vec<f64> {
    lines.iter().filter_map(|line| line.strip_prefix(key)?.trim().parse().ok()).collect()
}

fn renewals(store: &Store<'_>, rounds: usize) -> Result<(), Failure> {
    let lines = store.work(&["renew", "--rounds", &rounds.to_string()])?;
    let [per_second, time, transactions] =
        ["per_second ", "processor_us ", "transactions "].map(|key| figures(&lines, key));
    for (round, figure) in per_second.iter().enumerate() {
        println!(
            "  round {}: {:>7} renewals/s, {:.0} µs of processor time each, {} synced transactions",
            round + 1,
            grouped(*figure),
            time.get(round).copied().unwrap_or_default(),
            grouped(transactions.get(round).copied().unwrap_or_default()),
        );
    }
    let last_round = lines.iter().rposition(|line| line.starts_with("transactions ")).unwrap_or(0);
    let threads: Vec<_> = lines[last_round..].iter().filter_map(|line| line.strip_prefix("thread ")).collect();
    println!("  of which, by thread in the last round: {}", named_microseconds(&threads));
    let figure = median(per_second);
    let verdict = if store.bytes == TARGET_BYTES {
        format!(" (to reach: {}): {}", grouped(TARGET_PER_SECOND), verdict(figure >= TARGET_PER_SECOND))
    } else {
        String::new()
    };
    println!("  renewals/s, median: {}{verdict}", grouped(figure));
    let memory = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)?.parse().ok()).unwrap_or(0);
    println!(
        "  memory while all are renewed at once: at most {}; a few seconds later {} ({} without code)",
        megabytes(memory("settled_peak_kib ")),
        megabytes(memory("settled_kib ")),
        megabytes(memory("settled_anonymous_kib ")),
    );
    Ok(())
}

fn named_microseconds(threads: &[&str]) -> String {
    let named = threads.iter().filter_map(|thread| thread.split_once(' '));
    named
        .filter(|(time, _)| *time != "0.00")
        .map(|(time, name)| format!("{name} {time} µs"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn at_rest(store: &Store<'_>) -> Result<(), Failure> {
    let lines = store.work(&["rest"])?;
    let figure = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)?.trim().parse::<f64>().ok());
    let megabytes_of = |key: &str| megabytes(figure(key).unwrap_or_default() as u64);
    println!("  memory at rest: {} ({} without code)", megabytes_of("idle_kib "), megabytes_of("idle_anonymous_kib "));
    println!(
        "  with every token read once: {} ({} without code), at most {}; reading one the first time took {:.0} µs",
        megabytes_of("filled_kib "),
        megabytes_of("filled_anonymous_kib "),
        megabytes_of("filled_peak_kib "),
        figure("filled_us ").unwrap_or_default(),
    );
    let peak = figure("later_peak_kib ").unwrap_or(f64::MAX) as u64;
    let verdict = if store.bytes == TARGET_BYTES {
        format!(" (to reach: under 150 MB): {}", verdict(peak < TARGET_MEMORY_KIB))
    } else {
        String::new()
    };
    println!(
        "  30 s later, nothing asked: {}, at most {}{verdict}; {:.1} % of a core",
        megabytes_of("later_kib "),
        megabytes(peak),
        figure("idle_percent ").unwrap_or_default(),
    );
    Ok(())
}

/// The product itself on the same store, from its start until it says that it is ready.
fn binary(store: &Store<'_>, program: &Path) -> Result<(), Failure> {
    if !program.exists() {
        println!("  {} isn't there, so its start isn't measured", program.display());
        return Ok(());
    }
    let mut times = Vec::new();
    let mut memory = Memory::default();
    for _ in 0..STARTS {
        let (https, observe) = (ask::free_port()?, ask::free_port()?);
        let configuration = store.folder.with_extension("toml");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{https}\"\n\n[observe]\nlisten = \"127.0.0.1:{observe}\"\n\n\
             [store]\ndata = \"{}\"\n",
            fs::canonicalize(store.folder)?.display()
        );
        fs::write(&configuration, text)?;
        let mut command = process::on_core(SERVER_CORE, &fs::canonicalize(program)?);
        command.arg("serve").arg("--config").arg(&configuration);
        let begun = Instant::now();
        let log = store.folder.with_extension("log");
        let server = Background::start_logged(command, &log)?;
        let address = format!("127.0.0.1:{observe}");
        while !ask::ask(&address, "GET", "/readyz", &[("Host", &address)], &[]).is_ok_and(|answer| answer.status == 200)
        {
            if begun.elapsed() > PATIENCE {
                return Err(
                    format!("{} isn't ready after {PATIENCE:?}; see {}", program.display(), log.display()).into()
                );
            }
            sleep(Duration::from_millis(2));
        }
        times.push(begun.elapsed().as_secs_f64());
        sleep(Duration::from_secs(5));
        memory = Memory::of(Some(server.id()));
        // Killed, not told to stop: the next start finds what a crash leaves.
        drop(server);
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!(
        "  start of the binary to ready, {STARTS} times after a kill: median {:.0} ms, slowest {:.0} ms (to reach: under 1,000): {}",
        median(times.clone()) * 1e3,
        slowest * 1e3,
        verdict(slowest < TARGET_START.as_secs_f64()),
    );
    println!("  its memory 5 s later: {}, at most {}", megabytes(memory.resident), megabytes(memory.peak));
    Ok(())
}

/// How long the disk takes to sync what a group of renewals writes: no program of any kind commits faster one by one.
fn sync_time(folder: &Path) -> Result<String, Failure> {
    use std::io::Write as _;
    let path = folder.join("sync");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..50 {
        file.write_all(&[0; 64 * 1024])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path)?;
    Ok(format!("a sync of 64 KiB takes {}", table::milliseconds(median(times))))
}

fn size_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}
