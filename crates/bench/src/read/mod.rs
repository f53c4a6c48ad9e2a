//! Reads of a secret: Vestal in the clear and over TLS, OpenBao, and a handler that does nothing.
//!
//! Each server is a process of its own on one core; wrk asks from the other. They take turns, so that whatever else
//! the machine does meets all of them, and of several rounds the median counts.

pub(crate) mod ask;
mod bare;
mod openbao;
mod vestal;
mod wrk;

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use self::openbao::OpenBao;
use self::wrk::{Load, Run};
use crate::machine::{self, Memory};
use crate::process::{self, Background};
use crate::table::{self, grouped, median, megabytes, milliseconds};
use crate::{Failure, SERVER_CORE};

/// The secret that everybody serves.
pub(crate) const NAME: &str = "discord-api-oauth-token";
/// How long its value is: that of a usual JSON Web Token.
const VALUE_BYTES: usize = 1_200;

/// What is to be reached, plain HTTP on one core.
const TARGET_OPENBAO: f64 = 20.0;
const TARGET_BARE: f64 = 0.5;

/// Work of others above this part of a core makes a figure worthless.
const BUSY: f64 = 0.05;

#[derive(Args)]
pub(crate) struct Options {
    /// Where servers keep their data; emptied first
    #[arg(long, default_value = "target/bench/read")]
    folder: PathBuf,
    /// The load generator
    #[arg(long, default_value = "wrk")]
    wrk: PathBuf,
    /// OpenBao's program; without it OpenBao is left out
    #[arg(long)]
    openbao: Option<PathBuf>,
    /// How often each server has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is, in seconds; a warm-up of 2 s comes before it
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How many connections ask at the same time
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

/// What one process of this program serves.
#[derive(Args)]
pub(crate) struct Server {
    #[arg(value_enum)]
    kind: Kind,
    /// Where it keeps its data; for the bare handler the file whose bytes it answers with
    path: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Vestal,
    VestalTls,
    Bare,
}

/// How a server is asked for its secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) scheme: String,
    pub(crate) address: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The server's process.
    pub(crate) process: u32,
}

impl Target {
    fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.address, self.path)
    }

    fn is_credential(&self, header: &str) -> bool {
        header != "Host"
    }
}

/// A server in the race.
struct Runner {
    title: &'static str,
    target: Target,
    runs: Vec<Run>,
    /// Runs as long as anybody asks it.
    _server: Rc<Background>,
}

impl Runner {
    fn new(title: &'static str, server: &Rc<Background>, target: Target) -> Self {
        Self { title, target, runs: Vec::new(), _server: Rc::clone(server) }
    }
}

const VESTAL: &str = "Vestal";
const VESTAL_TLS: &str = "Vestal, TLS";
/// A token with a policy, as Vestal's reader has one: like for like.
const OPENBAO_POLICY: &str = "OpenBao, token with a policy";
/// The root token, for which it looks at no policy: the fastest that it can be asked.
const OPENBAO_ROOT: &str = "OpenBao, root token";
const OPENBAO_UNAUDITED: &str = "OpenBao, root token, no audit";
const BARE: &str = "bare axum handler";

/// Measures, and prints.
pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    let load = Load { connections: options.connections, length: Duration::from_secs(options.seconds) };
    if options.folder.exists() {
        fs::remove_dir_all(&options.folder)?;
    }
    fs::create_dir_all(&options.folder)?;
    let mut runners = start_all(options)?;
    println!("machine: {}", machine::description());
    println!("load:    {}", machine::version_of(&options.wrk.to_string_lossy(), "--version"));
    if let Some(openbao) = &options.openbao {
        println!("OpenBao: {}", machine::version_of(&openbao.to_string_lossy(), "version"));
    }
    println!("servers on core {SERVER_CORE}, each alone at work while it is asked:");
    for runner in &runners {
        println!("  {}: {}", runner.title, wrk::spelled(load, &runner.target));
    }
    println!(
        "{} rounds of {} s in turn, {} s of warm-up before each\n",
        options.rounds,
        options.seconds,
        WARM_UP.as_secs()
    );
    for round in 1..=options.rounds {
        for runner in &mut runners {
            wrk::run(&options.wrk, Load { length: WARM_UP, ..load }, &runner.target)?;
            let run = wrk::run(&options.wrk, load, &runner.target)?;
            println!(
                "round {round}  {:<30} {:>8}/s  p50 {}  p99 {}  others had {:.0} % of a core",
                runner.title,
                grouped(run.per_second),
                milliseconds(run.p50),
                milliseconds(run.p99),
                run.strangers * 100.0,
            );
            runner.runs.push(run);
        }
    }
    println!();
    print_medians(&runners);
    print_ratios(&runners);
    let busiest = runners.iter().flat_map(|runner| &runner.runs).map(|run| run.strangers).fold(0.0, f64::max);
    if busiest > BUSY {
        println!(
            "\nOther processes had up to {:.0} % of a core: these figures were taken on a busy machine.",
            busiest * 100.0
        );
    }
    Ok(())
}

const WARM_UP: Duration = Duration::from_secs(2);

/// Serves until whoever started this process ends.
pub(crate) async fn serve(server: Server) -> Result<(), Failure> {
    // A thread that waits for its input costs nothing.
    std::thread::spawn(|| {
        process::wait_for_end_of_input();
        std::process::exit(0);
    });
    match server.kind {
        Kind::Vestal | Kind::VestalTls => {
            vestal::serve(&server.path, server.kind == Kind::VestalTls, &value(), |target| announce(&target)).await
        }
        Kind::Bare => {
            let body = Bytes::from(fs::read(&server.path)?);
            bare::serve(body, |address| {
                announce(&Target {
                    scheme: "http".to_owned(),
                    address,
                    path: format!("/secrets/{NAME}?api-version=7.4"),
                    headers: Vec::new(),
                    process: std::process::id(),
                });
            })
            .await
        }
    }
}

fn announce(target: &Target) {
    println!("{}", serde_json::to_string(target).expect("a target is plain data"));
}

fn start_all(options: &Options) -> Result<Vec<Runner>, Failure> {
    let (vestal, target) = start_own("vestal", &options.folder.join("vestal"))?;
    let headers = target.headers.clone();
    let body = options.folder.join("answer.json");
    fs::write(&body, answer_of(&target)?)?;
    let mut runners = vec![Runner::new(VESTAL, &vestal, target)];
    let (tls, target) = start_own("vestal-tls", &options.folder.join("vestal-tls"))?;
    runners.push(Runner::new(VESTAL_TLS, &tls, target));
    if let Some(program) = &options.openbao {
        let start = |folder, audited| openbao::start(program, &options.folder.join(folder), audited, &value());
        let OpenBao { server, as_root, by_policy } = start("openbao-audited", true)?;
        let server = Rc::new(server);
        runners.push(Runner::new(OPENBAO_POLICY, &server, by_policy));
        runners.push(Runner::new(OPENBAO_ROOT, &server, as_root));
        let OpenBao { server, as_root, .. } = start("openbao", false)?;
        runners.push(Runner::new(OPENBAO_UNAUDITED, &Rc::new(server), as_root));
    }
    let (bare, mut target) = start_own("bare", &body)?;
    // The very request that Vestal gets, so that both read the same bytes and write the same body.
    target.headers = headers;
    if answer_of(&target)? != fs::read(&body)? {
        return Err("the bare handler answers with other bytes than Vestal".into());
    }
    runners.push(Runner::new(BARE, &bare, target));
    Ok(runners)
}

fn start_own(kind: &str, path: &Path) -> Result<(Rc<Background>, Target), Failure> {
    let arguments = ["serve".into(), kind.into(), path.as_os_str().to_owned()];
    let mut server = Background::start_self(SERVER_CORE, arguments)?;
    let target = serde_json::from_str(&server.line()?)?;
    Ok((Rc::new(server), target))
}

/// The body of one answer in the clear.
fn answer_of(target: &Target) -> Result<Vec<u8>, Failure> {
    let headers: Vec<_> = target.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = ask::ask(&target.address, "GET", &target.path, &headers, &[])?;
    if answer.status == 200 && answer.body.windows(32).any(|part| part == &value().as_bytes()[..32]) {
        Ok(answer.body)
    } else {
        Err(format!("{} answered {}: {}", target.url(), answer.status, String::from_utf8_lossy(&answer.body)).into())
    }
}

/// The secret's value: of the characters of a JSON Web Token, so that JSON needs no escapes.
fn value() -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..VALUE_BYTES).map(|at| char::from(alphabet[at * at % 61 + at % 3])).collect()
}

fn middle(runner: &Runner, figure: impl Fn(&Run) -> f64) -> f64 {
    median(runner.runs.iter().map(figure).collect())
}

fn print_medians(runners: &[Runner]) {
    let heads = ["", "requests/s", "p50", "p99", "server's processor time", "memory", "at most"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for runner in runners {
        let memory = Memory::of(Some(runner.target.process));
        rows.push(vec![
            runner.title.to_owned(),
            grouped(middle(runner, |run| run.per_second)),
            milliseconds(middle(runner, |run| run.p50)),
            milliseconds(middle(runner, |run| run.p99)),
            format!("{:.2} µs a request", middle(runner, |run| run.server_time)),
            megabytes(memory.resident),
            megabytes(memory.peak),
        ]);
    }
    table::print(&rows);
}

fn print_ratios(runners: &[Runner]) {
    let per_second = |title: &str| {
        let runner = runners.iter().find(|runner| runner.title == title)?;
        Some(middle(runner, |run| run.per_second))
    };
    let Some(vestal) = per_second(VESTAL) else { return };
    println!();
    for (title, target) in [
        (OPENBAO_POLICY, Some(TARGET_OPENBAO)),
        (OPENBAO_ROOT, Some(TARGET_OPENBAO)),
        (OPENBAO_UNAUDITED, None),
        (BARE, Some(TARGET_BARE)),
        (VESTAL_TLS, None),
    ] {
        let Some(other) = per_second(title) else { continue };
        let ratio = vestal / other;
        let verdict = match target {
            Some(target) if ratio >= target => format!(" (to reach: {target}): reached"),
            Some(target) => format!(" (to reach: {target}): MISSED"),
            None => String::new(),
        };
        println!("Vestal / {title} = {ratio:.2}{verdict}");
    }
}
