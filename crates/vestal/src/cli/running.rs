//! What `dev` and `serve` start: the async runtime, the log, and the running Vestal on them, until a signal ends it.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::Entries;
use super::check::mistakes;
use super::output::Output;
use super::problem::Problem;
use super::start::{DevOptions, ServeOptions};
use crate::config;
use crate::dev::{self, Say};
use crate::engine::{self, Engine, ServeError};
use crate::observe::logging;
use crate::{process, tls};

/// What this program starts.
pub(super) const ENTRIES: Entries = Entries { dev: run_dev, serve: run_serve };

fn run_dev(options: DevOptions, output: &Output) -> Result<(), Problem> {
    begin(options.json, output, "warn,vestal::attempts=error")?.block_on(async {
        let stop = stop()?;
        Ok(dev::run(options, Arc::new(output.clone()), stop).await?)
    })
}

fn run_serve(options: ServeOptions, output: &Output) -> Result<(), Problem> {
    let ServeOptions { config: file, json } = options;
    let config = config::load(&file).map_err(|errors| mistakes(&errors, &file))?;
    begin(json, output, "info")?.block_on(async {
        let stop = stop()?;
        let announce = |engine: &Engine| Say::line(output, &ready(engine, &file, json));
        Ok(engine::serve(file.clone(), config, announce, stop).await?)
    })
}

/// The crypto provider, the log and the runtime. `dev` tells of attempts on standard output, so its log is for the rest.
fn begin(json: bool, output: &Output, log: &str) -> Result<Runtime, Problem> {
    process::raise_file_limit();
    tls::install_crypto_provider();
    logging::init(json, output.colors_on_stderr(), log);
    Runtime::new().map_err(|error| Problem::io("no event loop can be made", &error))
}

/// What completes when somebody wants the program to end: Ctrl-C, or a service manager.
fn stop() -> Result<impl Future<Output = ()>, Problem> {
    let listen = |kind| signal(kind).map_err(|error| Problem::io("signals can't be listened for", &error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The line that says that clients may come.
fn ready(engine: &Engine, file: &Path, json: bool) -> String {
    let vaults: Vec<String> = engine.vaults().into_iter().map(|vault| vault.url).collect();
    if json {
        let observe = format!("http://{}", engine.addresses().observe);
        let control = engine.data().control_socket().display().to_string();
        return json!({
            "event": "ready",
            "vaults": vaults,
            "authority": engine.authority(),
            "observe": observe,
            "control": control,
        })
        .to_string();
    }
    let vaults = if vaults.is_empty() { "no vault yet".to_owned() } else { vaults.join("  ") };
    format!("ready  {vaults}  ({}, ctrl-c ends it)", file.display())
}

impl Say for Output {
    fn line(&self, text: &str) {
        // Whoever stopped reading doesn't stop the renewals.
        drop(Self::line(self, text));
    }

    fn hint(&self, text: &str) {
        drop(self.note(text));
    }
}

impl From<ServeError> for Problem {
    fn from(error: ServeError) -> Self {
        Self::failed(error.0)
    }
}
