//! What one process that is measured does. It says what it found in lines of `key value`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use keyvault::{KeyVault, Now, Settings};
use renewal::LaneLimits;
use store::{Audit, MemoryTarget, Records, Store as _, Target, TargetPace};
use store_sql::sqlite::SqliteStore;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vault::{SecretName, VaultName};
use vestal::audit::AuditFile;
use vestal::clock;

use crate::Failure;
use crate::machine::{self, Memory};
use crate::renew::world::{self, Measured, VAULT};

/// How long a process is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(5);

/// How long an idle process is watched: several rounds of all that it does by itself; and for how long it is told.
const IDLE: Duration = Duration::from_secs(60);
const TOLD_FOR: Duration = Duration::from_secs(10);

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
        #[arg(long, value_enum, default_value_t)]
        deliveries: Deliveries,
    },
    /// Makes all of them due, and renews all, so many times
    Renew {
        #[arg(long)]
        rounds: u64,
        #[arg(long, value_enum, default_value_t)]
        deliveries: Deliveries,
    },
    /// Renews all once, delivers them, and then has nothing to do
    Idle {
        #[arg(long, value_enum)]
        deliveries: Deliveries,
    },
    /// Has everything that a running Vestal has in memory, and does nothing
    Rest,
}

/// What is delivered, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deliveries {
    /// No token has a target.
    #[default]
    None,
    /// Each token has one, which takes nothing: its row of the outbox is written, and stays due.
    Due,
    /// Each token is delivered, at the pace of an Azure Key Vault.
    Azure,
    /// Each token is delivered as fast as it goes.
    Unpaced,
}

impl Deliveries {
    fn pace(self) -> Option<TargetPace> {
        match self {
            Self::None | Self::Due => None,
            Self::Azure => Some(TargetPace { interval: Duration::from_millis(36), burst: 12, flights: 8 }),
            Self::Unpaced => Some(TargetPace { interval: Duration::from_millis(1), burst: 10_000, flights: 64 }),
        }
    }
}

pub(crate) async fn work(work: Work) -> Result<(), Failure> {
    match work.task {
        Task::Declare { tokens, lanes, deliveries } => {
            let store = world::open(&work.folder).await?;
            world::declare(store.records(), tokens, lanes, deliveries != Deliveries::None).await
        }
        Task::Renew { rounds, deliveries } => renew(&work, rounds, deliveries).await,
        Task::Idle { deliveries } => idle(&work, deliveries).await,
        Task::Rest => rest(&work).await,
    }
}

/// Lanes that hold nobody up but by their flights: a provider's pace isn't ours.
fn limits(flights: u32) -> LaneLimits {
    LaneLimits { interval: Duration::from_millis(1), burst: 10_000, flights, ..LaneLimits::default() }
}

async fn renew(work: &Work, rounds: u64, deliveries: Deliveries) -> Result<(), Failure> {
    let store = world::open(&work.folder).await?;
    let records = store.records();
    let tokens = all_tokens(records).await?.len() as u64;
    let mut running = Running::start(records, work, deliveries);
    for round in 1..=rounds {
        if round > 1 {
            running.measured.clock.wind();
            running.measured.keeper.wake();
        }
        let (begun, used, by_thread) = (Instant::now(), machine::processor_time(None), threads());
        let before = records.store().statistics();
        running.reach(tokens).await?;
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
        if deliveries == Deliveries::Unpaced {
            running.delivered(tokens * round).await;
            println!("delivered_per_second {:.1}", tokens as f64 / begun.elapsed().as_secs_f64());
        }
    }
    tokio::time::sleep(SETTLE).await;
    print_memory("settled");
    running.stop().await
}

/// What a process uses that has renewed and delivered all, and has nothing to do.
async fn idle(work: &Work, deliveries: Deliveries) -> Result<(), Failure> {
    let store = world::open(&work.folder).await?;
    let records = store.records();
    let tokens = all_tokens(records).await?.len() as u64;
    let mut running = Running::start(records, work, deliveries);
    running.reach(tokens).await?;
    if deliveries == Deliveries::Unpaced {
        running.delivered(tokens).await;
    }
    tokio::time::sleep(SETTLE).await;
    let used = machine::exact_processor_time();
    tokio::time::sleep(IDLE).await;
    let used = machine::exact_processor_time() - used;
    println!("idle_ms {:.2}", used.as_secs_f64() * 1e3 * TOLD_FOR.as_secs_f64() / IDLE.as_secs_f64());
    running.stop().await
}

/// A keeper and a courier that run.
struct Running {
    measured: Measured,
    stop: [oneshot::Sender<()>; 2],
    keeping: JoinHandle<Result<(), store::RecordError>>,
    carrying: JoinHandle<()>,
}

impl Running {
    fn start(records: &Arc<Records<SqliteStore>>, work: &Work, deliveries: Deliveries) -> Self {
        let measured = Measured::new(records, work.bytes, limits(work.flights));
        if let Some(pace) = deliveries.pace() {
            let shelf = MemoryTarget::new();
            shelf.set_pace(pace);
            measured.targets.replace([(world::TARGET.to_owned(), Arc::new(shelf) as Arc<dyn Target>)].into());
        }
        let ((stop, stopped), (stop_too, stopped_too)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let (keeper, courier) = (Arc::clone(&measured.keeper), Arc::clone(&measured.courier));
        // A sender that is gone is a stop too.
        let keeping = tokio::spawn(async move { keeper.run(async { drop(stopped.await) }).await });
        let carrying = tokio::spawn(async move { courier.run(async { drop(stopped_too.await) }).await });
        Self { measured, stop: [stop, stop_too], keeping, carrying }
    }

    /// Waits until so many renewals more are durable.
    async fn reach(&mut self, more: u64) -> Result<(), Failure> {
        tokio::select! {
            reached = self.measured.count.reach(more) => reached,
            ended = &mut self.keeping => Err(format!("the keeper ended early: {ended:?}").into()),
        }
    }

    /// Waits until so many deliveries were made in all.
    async fn delivered(&self, all: u64) {
        while self.measured.count.delivered() < all {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn stop(self) -> Result<(), Failure> {
        drop(self.stop);
        self.carrying.await?;
        Ok(self.keeping.await??)
    }
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
