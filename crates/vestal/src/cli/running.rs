//! What `dev` and `serve` start: a runtime, the logs, and the signals that end it.

use std::future::Future;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use super::problem::Problem;
use super::start::{DevOptions, ServeOptions};
use super::Entries;
use super::check::mistakes;
use crate::engine::{self, ServeError};
use crate::observe::logging;
use crate::{config, dev, tls};

/// What this program starts.
pub(super) const ENTRIES: Entries = Entries { dev: run_dev, serve: run_serve };

fn run_dev(options: DevOptions, output: &Output) -> Result<(), Problem> {
    logging::init(false, output.shows_colors_on_stderr());
    let say: Arc<dyn dev::Say> = Arc::new(Spoken(output.clone()));
    run(async move {
        let stop = until_signal()?;
        dev::run(options, say, stop).await
    })
}

fn run_serve(options: ServeOptions, output: &Output) -> Result<(), Problem> {
    logging::init(options.json, output.shows_colors_on_stderr());
    let config = config::load(&options.config).map_err(|errors| mistakes(&errors))?;
    let output = output.clone();
    run(async move {
        let stop = until_signal()?;
        let announce = move |engine: &engine::Engine| {
            let vaults = engine.vaults();
            if options.json {
                let ready = serde_json::json!({
                    "vaults": vaults,
                    "authority": engine.authority(),
                    "control": engine.data().control_socket().display().to_string(),
                    "observe": format!("http://{}", engine.addresses().observe),
                });
                let _ = output.line(&format!("ready {ready}"));
            } else {
                let urls: Vec<&str> = vaults.iter().map(|vault| vault.url.as_str()).collect();
                let _ = output.line(&format!("ready  {}", urls.join("  ")));
            }
        };
        engine::serve(options.config, config, announce, stop).await
    })
}

/// Runs to the end on a runtime of its own.
fn run(work: impl Future<Output = Result<(), ServeError>>) -> Result<(), Problem> {
    tls::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::failed(format!("the system gives no threads: {error}")))?;
    runtime.block_on(work).map_err(|error| Problem::failed(error.to_string()))
}

/// Ends at SIGINT or SIGTERM. The handlers are in place when this returns.
fn until_signal() -> Result<impl Future<Output = ()>, ServeError> {
    let handler = |kind| signal(kind).map_err(|error| ServeError(format!("signals can't be listened for: {error}")));
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut terminate = handler(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// `vestal dev` at this process's own streams.
struct Spoken(Output);

impl dev::Say for Spoken {
    fn line(&self, text: &str) {
        // Nobody reads any more: the vault goes on all the same.
        let _ = self.0.line(text);
    }

    fn hint(&self, text: &str) {
        let _ = self.0.note(text);
    }
}
