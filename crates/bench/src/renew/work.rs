//! What one process that is measured does. It says what it found in lines of `key value`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use keyvault::{KeyVault, Now, Settings};
use renewal::LaneLimits;
use store::{Audit, Records, Store as _};
use store_sql::sqlite::SqliteStore;
use vault::{SecretName, VaultName};
use vestal::audit::AuditFile;
use vestal::clock;

use crate::Failure;
use crate::machine::{self, Memory};
use crate::renew::world::{self, Measured, VAULT};

/// How long a process is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Work {
    /// The data folder
    #[arg(long)]
    folder: PathBuf,
    /// How long each value is
    #[arg(long)]
    bytes: usize,
    /// How many renewals a lane may have in flight
    #[arg(long)]
    flights: u32,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Declares tokens
    Declare {
        #[arg(long)]
        tokens: usize,
        #[arg(long)]
        lanes: usize,
    },
    /// Makes all of them due, and renews all, so many times
    Renew {
        #[arg(long)]
        rounds: u64,
    },
    /// Has everything that a running Vestal has in memory, and does nothing
    Rest,
}

pub(crate) async fn work(work: Work) -> Result<(), Failure> {
    match work.task {
        Task::Declare { tokens, lanes } => {
            let store = world::open(&work.folder).await?;
            world::declare(store.records(), tokens, lanes).await
        }
        Task::Renew { rounds } => renew(&work, rounds).await,
        Task::Rest => rest(&work).await,
    }
}

/// Lanes that hold nobody up but by their flights: a provider's pace isn't ours.
fn limits(flights: u32) -> LaneLimits {
    LaneLimits { interval: Duration::from_millis(1), burst: 10_000, flights, ..LaneLimits::default() }
}

async fn renew(work: &Work, rounds: u64) -> Result<(), Failure> {
    let store = world::open(&work.folder).await?;
    let records = store.records();
    let tokens = all_tokens(records).await?.len() as u64;
    let Measured { keeper, clock, count } = Measured::new(records, work.bytes, limits(work.flights));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = Arc::clone(&keeper);
    let mut running = tokio::spawn(async move {
        let stopped = async {
            // A sender that is gone is a stop too.
            let _ = stopped.await;
        };
        running.run(stopped).await
    });
    for round in 1..=rounds {
        if round > 1 {
            clock.wind();
            keeper.wake();
        }
        let (begun, used, by_thread) = (Instant::now(), machine::processor_time(None), threads());
        let before = records.store().statistics();
        tokio::select! {
            reached = count.reach(tokens) => reached?,
            ended = &mut running => return Err(format!("the keeper ended early: {ended:?}").into()),
        }
        let (wall, used) = (begun.elapsed(), machine::processor_time(None) - used);
        let after = records.store().statistics();
        println!("per_second {:.1}", tokens as f64 / wall.as_secs_f64());
        println!("processor_us {:.2}", used.as_secs_f64() * 1e6 / tokens as f64);
        println!("transactions {}", after.transactions - before.transactions);
        for (name, time) in threads() {
            let time = time.saturating_sub(by_thread.get(&name).copied().unwrap_or_default());
            println!("thread {:.2} {name}", time.as_secs_f64() * 1e6 / tokens as f64);
        }
        println!("peak_kib {}", Memory::of(None).peak);
    }
    tokio::time::sleep(SETTLE).await;
    print_memory("settled");
    drop(stop);
    running.await??;
    Ok(())
}

fn threads() -> BTreeMap<String, Duration> {
    machine::processor_time_by_thread().into_iter().collect()
}

/// The parts of a running Vestal but its listeners, with every managed token in memory, as after each has been read.
async fn rest(work: &Work) -> Result<(), Failure> {
    let begun = Instant::now();
    let store = world::open(&work.folder).await?;
    let records = store.records();
    let audit = Arc::new(AuditFile::open(&store.data().file("audit.jsonl"))?);
    let settings = Settings {
        domain: "vault.localhost:8443".to_owned(),
        authority: "https://localhost:8443".to_owned(),
        region: "local".to_owned(),
    };
    let now = Now { unix_ms: clock::now().wall.0 };
    let _keyvault = KeyVault::open(Arc::clone(records), &settings, audit as Arc<dyn Audit>, now).await?;
    let Measured { keeper, .. } = Measured::new(records, work.bytes, limits(work.flights));
    let running = Arc::clone(&keeper);
    let running = tokio::spawn(async move { running.run(core::future::pending()).await });
    while keeper.looked().0 == 0 {
        tokio::task::yield_now().await;
    }
    println!("looked_ms {:.1}", begun.elapsed().as_secs_f64() * 1e3);
    tokio::time::sleep(SETTLE).await;
    print_memory("idle");
    let begun = Instant::now();
    let names = all_tokens(records).await?;
    for (vault, name) in &names {
        records.current(vault, name).await?;
    }
    println!("filled_us {:.2}", begun.elapsed().as_secs_f64() * 1e6 / names.len().max(1) as f64);
    drop(names);
    tokio::time::sleep(SETTLE).await;
    print_memory("filled");
    // A round of the survey goes over all tokens meanwhile.
    let used = machine::processor_time(None);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let used = machine::processor_time(None) - used;
    println!("idle_percent {:.2}", 100.0 * used.as_secs_f64() / begun.elapsed().as_secs_f64());
    print_memory("later");
    running.abort();
    Ok(())
}

fn print_memory(when: &str) {
    let memory = Memory::of(None);
    println!("{when}_kib {}", memory.resident);
    println!("{when}_anonymous_kib {}", memory.anonymous);
    println!("{when}_peak_kib {}", memory.peak);
}

async fn all_tokens(records: &Records<SqliteStore>) -> Result<Vec<(VaultName, SecretName)>, Failure> {
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = records.store().tokens(after, 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        names.extend(page.into_iter().map(|row| (row.vault, row.name)));
    }
    if names.is_empty() { Err(format!("vault {VAULT} has no tokens").into()) } else { Ok(names) }
}
