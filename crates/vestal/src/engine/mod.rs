//! The running Vestal: its parts, put together.
//!
//! [`Engine::open`] takes the data folder, opens the store with its key, and makes the vaults, their authority and the
//! keeper. [`serve`] runs it on its listeners until it is told to stop.

mod outward;
mod serve;
mod targets;
mod vitals;

use core::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use keeper::{Courier, Keeper, Observer as _, Targets};
use keyvault::{KeyVault, Settings};
use renewal::{LaneLimits, Wall};
use rustls_pki_types::CertificateDer;
use store::{Audit, CACHE_BYTES, Records};
use store_sql::sqlite::SqliteStore;
use tokio::sync::broadcast;

pub use self::outward::Outward;
pub use self::serve::{ServeError, Setup, serve};
pub use self::vitals::EngineVitals;
use crate::admin::wire::VaultView;
use crate::alert::Alerts;
use crate::audit::AuditFile;
use crate::clock::{self, SystemClock, SystemEntropy};
use crate::config::{Config, ProcessSettings};
use crate::connector::{Connector, OutboundRules, OwnProvider};
use crate::data::{self, DataFolder};
use crate::definitions::{self, Applied, ApplyError};
use crate::observe::{Metrics, TokenEvent, Watcher};
use crate::tls;

/// The store of this build.
pub type EngineStore = SqliteStore;

/// The keeper of this build.
pub type EngineKeeper = Keeper<EngineStore, SystemClock, Outward, Watcher>;

/// The courier of this build.
pub type EngineCourier = Courier<EngineStore, SystemClock, Watcher>;

/// Everything that runs behind the listeners.
pub struct Engine {
    data: DataFolder,
    records: Arc<Records<EngineStore>>,
    keyvault: Arc<KeyVault<EngineStore>>,
    keeper: Arc<EngineKeeper>,
    courier: Arc<EngineCourier>,
    targets: Arc<Targets>,
    opened: Arc<targets::Opened>,
    connector: Arc<Connector>,
    audit: Arc<AuditFile>,
    metrics: Arc<Metrics>,
    alerts: Alerts,
    events: broadcast::Sender<TokenEvent>,
    addresses: Addresses,
    started: Wall,
}

/// How clients reach the process, known once its listeners are bound.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The HTTPS listener.
    pub https: SocketAddr,
    /// Health and metrics.
    pub observe: SocketAddr,
    /// The vaults' parent, with its port where that isn't 443.
    pub domain: String,
    /// The authority's address.
    pub authority: String,
}

impl Addresses {
    /// What the settings mean with a listener at this address.
    pub fn new(settings: &ProcessSettings, https: SocketAddr, observe: SocketAddr) -> Self {
        let port = https.port();
        let suffix = if port == 443 { String::new() } else { format!(":{port}") };
        Self {
            https,
            observe,
            domain: format!("{}{suffix}", settings.server.domain),
            authority: settings.server.authority_for(port),
        }
    }

    /// A vault's URL.
    pub fn vault_url(&self, vault: &str) -> String {
        format!("https://{vault}.{}", self.domain)
    }
}

/// Why the engine did not start. In words, with the next step.
#[derive(Debug)]
pub struct OpenError(pub String);

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl core::error::Error for OpenError {}

/// A store that is open, before the listeners are: what a second process on the same folder is refused at.
pub struct OpenStore {
    pub(crate) data: DataFolder,
    pub(crate) records: Arc<Records<EngineStore>>,
}

impl OpenStore {
    /// Takes the data folder, its lock and its key.
    ///
    /// # Errors
    /// Why it can't be used, with the next step.
    pub async fn open(folder: &Path, key_file: &Path) -> Result<Self, OpenError> {
        let data = DataFolder::open_or_create(folder).map_err(words)?;
        let store = data::open_store(&data, key_file).map_err(words)?;
        let entropy = Arc::new(SystemEntropy);
        let is_new = store::Store::keyring(&store).await.map_err(words)?.is_empty();
        let key = data::open_or_create_key_file(key_file, is_new, &*entropy).map_err(words)?;
        let keyring = data::open_or_create_keyring(&store, &key, &*entropy).await.map_err(words)?;
        let records = Arc::new(Records::new(store, keyring, entropy, CACHE_BYTES));
        Ok(Self { data, records })
    }

    /// The records in it.
    pub fn records(&self) -> &Arc<Records<EngineStore>> {
        &self.records
    }

    /// The folder.
    pub fn data(&self) -> &DataFolder {
        &self.data
    }
}

impl Engine {
    /// Makes the vaults, the authority and the keeper on an open store. Nothing runs yet.
    ///
    /// # Errors
    /// Why it can't, with the next step.
    pub async fn open(
        store: OpenStore,
        settings: &ProcessSettings,
        addresses: Addresses,
        own_provider: Option<OwnProvider>,
        limits: LaneLimits,
    ) -> Result<Arc<Self>, OpenError> {
        let OpenStore { data, records } = store;
        let now = clock::now();
        let audit = Arc::new(AuditFile::open(&data.file("audit.jsonl")).map_err(words)?);
        let keyvault = KeyVault::open(
            Arc::clone(&records),
            &Settings {
                domain: addresses.domain.clone(),
                authority: addresses.authority.clone(),
                region: "local".to_owned(),
            },
            Arc::clone(&audit) as Arc<dyn Audit>,
            keyvault::Now { unix_ms: now.wall.0 },
        )
        .await
        .map_err(words)?;
        let own_listeners = vec![addresses.https, addresses.observe];
        let rules = OutboundRules {
            allow: settings.outbound.allow.clone(),
            authorities: outbound_authorities(settings)?,
            own_listeners,
            own_provider,
        };
        let connector = Arc::new(Connector::new(rules).map_err(words)?);
        let metrics = Arc::new(Metrics::new(now.wall));
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let alerts = Alerts::start(&settings.alert, Arc::clone(&connector), Arc::clone(&records), Arc::clone(&metrics));
        let watcher = || Watcher::new(Arc::clone(&metrics), alerts.clone(), events.clone());
        let (of_records, of_store) = (watcher(), watcher());
        records.on_damage(move |words| of_records.trouble(words));
        records.store().on_damage(move |words| of_store.trouble(words));
        let targets = Arc::new(Targets::default());
        let courier = Arc::new(Courier::new(Arc::clone(&records), SystemClock, watcher(), Arc::clone(&targets)));
        let outward = Outward(Arc::clone(&connector));
        let keeper =
            Arc::new(Keeper::new(Arc::clone(&records), SystemClock, outward, watcher(), Arc::clone(&targets), limits));
        // Weakly, since the keeper holds the records.
        let hears = (Arc::downgrade(&keeper), Arc::downgrade(&courier));
        let opened = Arc::new(targets::Opened::default());
        let known = Arc::clone(&opened);
        records.on_write(move |vault, name| {
            if let (Some(keeper), Some(courier)) = (hears.0.upgrade(), hears.1.upgrade()) {
                keeper.secret_written(vault, name);
                keeper.wake();
                for target in known.that_use(vault, name) {
                    courier.reopen(&target);
                    keeper.target_reopened(&target);
                }
            }
        });
        Ok(Arc::new(Self {
            data,
            records,
            keyvault: Arc::new(keyvault),
            keeper,
            courier,
            targets,
            opened,
            connector,
            audit,
            metrics,
            alerts,
            events,
            addresses,
            started: now.wall,
        }))
    }

    /// Makes the store's definitions those of the file, and lets everybody know.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn apply(&self, config: &Config) -> Result<Applied, ApplyError> {
        let applied = definitions::apply(&self.records, config, clock::now()).await?;
        self.definitions_changed().await?;
        for lane in &applied.lanes {
            self.keeper.reopen_lane(lane).await;
        }
        for target in &applied.targets {
            self.courier.reopen(target);
            self.keeper.target_reopened(target);
        }
        self.keeper.wake();
        Ok(applied)
    }

    /// Reads again what is kept in memory of the definitions.
    ///
    /// # Errors
    /// Why it can't be read; what was in memory stays in use.
    pub async fn definitions_changed(&self) -> Result<(), ApplyError> {
        self.keeper.reload_providers().await?;
        let (targets, troubles) = self.opened.bring_up_to_date(&self.records, &self.connector).await?;
        for (target, words) in troubles {
            tracing::warn!("nothing can be delivered to the target {target}: {words}");
        }
        self.metrics.targets(&targets.keys().cloned().collect::<Vec<_>>());
        self.targets.replace(targets);
        self.targets.set_proofs(self.opened.proofs());
        self.keyvault.reload_directory().await.map_err(|error| ApplyError::Invalid(error.to_string()))
    }

    /// The records.
    pub fn records(&self) -> &Arc<Records<EngineStore>> {
        &self.records
    }

    /// The vaults and their authority.
    pub fn keyvault(&self) -> &Arc<KeyVault<EngineStore>> {
        &self.keyvault
    }

    /// The keeper.
    pub fn keeper(&self) -> &Arc<EngineKeeper> {
        &self.keeper
    }

    /// The courier.
    pub fn courier(&self) -> &Arc<EngineCourier> {
        &self.courier
    }

    /// The targets that are open.
    pub fn targets(&self) -> &Arc<Targets> {
        &self.targets
    }

    /// The secret that a target's credential is, or is proven by: vault and name.
    pub fn proof_of(&self, target: &str) -> Option<(String, String)> {
        self.opened.proofs().remove(target)
    }

    /// Why a target that is declared isn't open, in words.
    pub fn why_not_open(&self, target: &str) -> Option<String> {
        self.opened.why_not(target)
    }

    /// The audit.
    pub fn audit(&self) -> &AuditFile {
        &self.audit
    }

    /// The figures that monitoring reads.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The alerts under way.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// The data folder.
    pub fn data(&self) -> &DataFolder {
        &self.data
    }

    /// When the process started.
    pub fn started(&self) -> Wall {
        self.started
    }

    /// What happens to tokens from now on.
    pub fn events(&self) -> broadcast::Receiver<TokenEvent> {
        self.events.subscribe()
    }

    /// How clients reach the process.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The authority's address.
    pub fn authority(&self) -> String {
        self.addresses.authority.clone()
    }

    /// The vaults, by name.
    pub fn vaults(&self) -> Vec<VaultView> {
        self.keyvault
            .vaults()
            .into_iter()
            .map(|name| VaultView { url: self.addresses.vault_url(name.as_str()), name: name.as_str().to_owned() })
            .collect()
    }
}

/// How many events a slow listener may fall behind before it misses some.
const EVENTS_KEPT: usize = 1024;

fn outbound_authorities(settings: &ProcessSettings) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let mut authorities = Vec::new();
    for file in &settings.outbound.ca {
        authorities.extend(tls::read_certificates(file.path()).map_err(words)?);
    }
    Ok(authorities)
}

fn words(error: impl fmt::Display) -> OpenError {
    OpenError(error.to_string())
}
