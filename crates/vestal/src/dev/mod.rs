//! `vestal dev`: everything embedded in one process, set up as the hand-built way sets it up step by step.
//!
//! It is `vestal serve` on a configuration that it writes itself (`DIR/vestal.toml`, to be read as an example), with a
//! sandbox provider on loopback beside it, an app that may do everything, and `DIR/dev.env` for a shell to source.

mod environment;
mod resolve;
mod setup;
mod watch;

use core::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

pub use self::environment::ENVIRONMENT_FILE;
use self::setup::{Credential, TOKEN_NAME, VAULT};
use crate::cli::DevOptions;
use crate::clock;
use crate::config;
use crate::connector::OwnProvider;
use crate::engine::{ServeError, Setup};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::tls;

/// How long the word `ready` waits for the first token.
const FIRST_TOKEN: Duration = Duration::from_secs(5);

/// Where `vestal dev` says what happens: what it prints on stdout, and hints for people on stderr.
pub trait Say: Send + Sync {
    /// One line of output.
    fn line(&self, text: &str);
    /// A hint for a person, beside the output.
    fn hint(&self, text: &str);
}

/// Runs until `stop` is ready.
///
/// # Errors
/// Why it did not start, or stopped, with the next step.
pub async fn run(options: DevOptions, say: Arc<dyn Say>, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    // The data folder is there, and ours, before anything is written into it.
    let settings = setup::process_settings(&options)?;
    setup::spare_configurations(&settings.store.data)?;
    let setup = Setup::new(settings).await?;
    let local = setup
        .local_certificates()
        .cloned()
        .ok_or_else(|| ServeError("the local certificate authority is missing; please report it".to_owned()))?;
    let records = Arc::clone(setup.store().records());
    let credential = Credential::open_or_create(&records).await?;
    let sandbox = Sandbox::start(
        SandboxOptions {
            lifetime: options.lifetime,
            faults: options.faults,
            ..SandboxOptions::new(credential.client_id.clone(), credential.client_secret.duplicate())
        },
        setup.certificate().server_config(),
        clock::unix_seconds,
    )
    .await?;
    let own_provider =
        OwnProvider { host: sandbox.host().to_owned(), address: sandbox.addr(), authority: local.certificate.clone() };
    let token_url = sandbox.token_url();
    let text = setup::configuration(setup.addresses(), &token_url);
    let file = setup.store().data().file(setup::CONFIGURATION_FILE);
    let folder = setup.store().data().path().to_owned();
    let config = config::parse(&text, &file.display().to_string(), &folder)
        .map_err(|errors| ServeError(errors.render(false)))?;
    setup::write_configuration(&file, &text)?;

    let bundle = folder.join("ca-bundle.pem");
    let roots = tls::write_ca_bundle(&bundle, &local.file)?;
    let ready = setup.engine(Some(own_provider)).await?;
    let engine = Arc::clone(ready.engine());
    setup::vault_and_secrets(&engine).await?;
    engine.apply(&config).await?;
    let apps = environment::apps(&engine, &folder).await?;
    environment::write(&engine, &folder, &bundle, &local.file, &apps)?;
    let environment_file = folder.join(ENVIRONMENT_FILE);
    let first = engine.events();
    let watching = tokio::spawn(watch::print(engine.events(), Arc::clone(&say), options.json));
    let announcing = tokio::spawn(async move {
        // Whoever reads at the word `ready` finds a token, unless the sandbox was told to fail.
        let _ = tokio::time::timeout(FIRST_TOKEN, watch::until_first_token(&engine, first)).await;
        let vault_url = engine.addresses().vault_url(VAULT);
        if options.json {
            let ready = json!({
                "event": "ready",
                "vault_url": vault_url,
                "token": TOKEN_NAME,
                "environment": environment_file.display().to_string(),
                "control": engine.data().control_socket().display().to_string(),
                "sandbox": token_url,
                "observe": format!("http://{}", engine.addresses().observe),
            });
            // The word comes first, with `--json` too: scripts wait for a line that begins with it.
            say.line(&format!("ready {ready}"));
        } else {
            say.line(&format!("ready  {vault_url}  (ctrl-c ends it; start it again and it goes on)"));
            setup::welcome(&*say, &environment_file, &vault_url, options.lifetime);
        }
        if roots.is_none() {
            say.hint(
                "no certificates of the system were found: with dev.env sourced, pip and curl trust this vault alone",
            );
        }
        if let Some(hint) = resolve::hint(&format!("{VAULT}.{}", host_of_domain(&engine.addresses().domain))) {
            say.hint(&hint);
        }
    });
    let served = ready.run(stop).await;
    announcing.abort();
    watching.abort();
    sandbox.stop().await;
    served
}

fn host_of_domain(domain: &str) -> &str {
    domain.split(':').next().unwrap_or(domain)
}
