//! What targets cost: renewals with and without deliveries beside them, and an outbox that has nothing to do.
//!
//! Keeper, courier, records and the SQLite store are the product's, with a sync for every transaction; the target takes
//! everything at once, in memory. Each part is a process of its own on one core, and each is run in turn with the one that
//! has no targets, so that the ratios hold on a machine whose speed drifts.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum as _};

use crate::renew::{Deliveries, Store, figures};
use crate::table::{self, grouped, median};
use crate::{Failure, SERVER_CORE, machine};

/// How long the tokens' values are, in bytes.
const BYTES: usize = 1_200;

#[derive(Args)]
pub(crate) struct Options {
    /// Where stores are made; emptied first
    #[arg(long, default_value = "target/bench/deliver")]
    folder: PathBuf,
    /// How many managed tokens
    #[arg(long, default_value_t = 10_000)]
    tokens: usize,
    /// Over how many lanes they are spread
    #[arg(long, default_value_t = 100)]
    lanes: usize,
    /// How often it is measured in turn
    #[arg(long, default_value_t = 3)]
    turns: usize,
}

/// Measures, and prints.
pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    if options.folder.exists() {
        fs::remove_dir_all(&options.folder)?;
    }
    fs::create_dir_all(&options.folder)?;
    println!("machine: {}", machine::description());
    println!(
        "{} tokens of {BYTES} bytes in {} lanes; everything on core {SERVER_CORE}; a commit is synced to disk\n",
        grouped(options.tokens as f64),
        grouped(options.lanes as f64),
    );
    renewals(options)?;
    idle(options)
}

/// Renewals a second of all tokens at once, for each kind of deliveries beside them.
fn renewals(options: &Options) -> Result<(), Failure> {
    let kinds = Deliveries::value_variants();
    let mut measured: Vec<Figures> = kinds.iter().map(|_| Figures::default()).collect();
    for turn in 1..=options.turns {
        for (kind, measured) in kinds.iter().zip(&mut measured) {
            let folder = options.folder.join(format!("{}-{turn}", word(*kind)));
            let store = declared(options, &folder, *kind)?;
            // The first round has no earlier versions to follow; the later ones are what goes on for years.
            let lines = store.work(&["renew", "--rounds", "3", "--deliveries", &word(*kind)])?;
            measured.renewed.extend(figures(&lines, "per_second ").into_iter().skip(1));
            measured.processor.extend(figures(&lines, "processor_us ").into_iter().skip(1));
            measured.delivered.extend(figures(&lines, "delivered_per_second ").into_iter().skip(1));
            fs::remove_dir_all(&folder)?;
        }
    }
    let base = measured.first().map_or(0.0, |first| median(first.renewed.clone()));
    let mut rows =
        vec![["targets", "renewals/s", "to none", "processor time", "deliveries/s"].map(str::to_owned).to_vec()];
    for (kind, Figures { renewed, processor, delivered }) in kinds.iter().zip(measured) {
        let renewed = median(renewed);
        rows.push(vec![
            words(*kind).to_owned(),
            grouped(renewed),
            format!("{:.2}", renewed / base),
            format!("{:.0} µs", median(processor)),
            if delivered.is_empty() { String::new() } else { grouped(median(delivered)) },
        ]);
    }
    table::print(&rows);
    Ok(())
}

/// What was measured of one kind, a figure a round.
#[derive(Default)]
struct Figures {
    renewed: Vec<f64>,
    processor: Vec<f64>,
    delivered: Vec<f64>,
}

/// Processor time of a process that has renewed and delivered all.
fn idle(options: &Options) -> Result<(), Failure> {
    println!();
    let mut rows = vec![["nothing to do", "processor time in 10 s"].map(str::to_owned).to_vec()];
    for kind in [Deliveries::None, Deliveries::Unpaced] {
        let folder = options.folder.join(format!("idle-{}", word(kind)));
        let lines = declared(options, &folder, kind)?.work(&["idle", "--deliveries", &word(kind)])?;
        rows.push(vec![words(kind).to_owned(), table::milliseconds(median(figures(&lines, "idle_ms ")))]);
    }
    table::print(&rows);
    Ok(())
}

/// A fresh store with all tokens declared.
fn declared<'a>(options: &Options, folder: &'a std::path::Path, kind: Deliveries) -> Result<Store<'a>, Failure> {
    let store = Store { folder, bytes: BYTES };
    let (tokens, lanes) = (options.tokens.to_string(), options.lanes.to_string());
    store.work(&["declare", "--tokens", &tokens, "--lanes", &lanes, "--deliveries", &word(kind)])?;
    Ok(store)
}

/// As it is written in arguments.
fn word(kind: Deliveries) -> String {
    kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// As it is told.
fn words(kind: Deliveries) -> &'static str {
    match kind {
        Deliveries::None => "none",
        Deliveries::Due => "one that is closed: its deliveries stay due",
        Deliveries::Azure => "one at the pace of an Azure Key Vault",
        Deliveries::Unpaced => "one that takes all at once",
    }
}
