//! A store full of managed tokens, and a keeper whose world costs nothing: a provider that answers at once, and a clock
//! that can be wound ahead.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keeper::{
    Clock, Courier, CredentialEvent, DeliverTo, DeliveryEvent, DeliveryOutcome, Event, Http, Keeper, Observer,
    OnChange, SendFailure, Source, Survey, Targets, TokenDefinition, token_definition_name,
};
use oauth::{AnswerHeaders, Endpoint, HttpAnswer, HttpRequest, ProviderTable};
use renewal::{LaneLimits, Moment, Standing, Wall};
use secret::{Secret, SecretBuilder};
use store::rows::{DefinitionKind, Origin};
use store::{NewSecret, Outcome, Records, Write};
use store_sql::sqlite::SqliteStore;
use tokio::sync::Notify;
use vault::{SecretBody, SecretName, VaultName};
use vestal::clock::{self, SystemClock};
use vestal::engine::OpenStore;

use crate::Failure;

/// The vault of all tokens.
pub(crate) const VAULT: &str = "bench";
/// The target of those that are delivered.
pub(crate) const TARGET: &str = "shelf";
/// How long each token lives.
const LIFE: Duration = Duration::from_secs(3600);
/// How far the clock is wound until every token is due again and none is in danger: between 0.55 and 0.75 of a life.
const UNTIL_DUE: Duration = Duration::from_secs(3600 * 6 / 10);
/// With two, the third renewal of a token deletes a version, as every one does in the long run.
const KEEP_VERSIONS: u32 = 2;
/// How many tokens are declared in one transaction.
const BATCH: usize = 500;

/// The keeper that is measured.
pub(crate) type MeasuredKeeper = Keeper<SqliteStore, WoundClock, InstantProvider, Count>;

/// Opens the store of a folder as `vestal serve` does.
pub(crate) async fn open(folder: &Path) -> Result<OpenStore, Failure> {
    Ok(OpenStore::open(folder, &folder.join("key")).await?)
}

/// Declares tokens that never had a value, spread evenly over the lanes; with `delivered`, each is to be delivered to
/// [`TARGET`].
pub(crate) async fn declare(
    records: &Records<SqliteStore>,
    tokens: usize,
    lanes: usize,
    delivered: bool,
) -> Result<(), Failure> {
    let vault = VaultName::parse(VAULT)?;
    let provider = ProviderTable {
        extends: Some("generic".to_owned()),
        token_url: Some(Endpoint::new("https://provider.example/token")?),
        ..ProviderTable::default()
    };
    let providers = [("bench".to_owned(), provider.clone())].into();
    let resolved = oauth::resolve("bench", &providers).map_err(|error| error.to_string())?;
    let mut writes = vec![
        define(records, DefinitionKind::Vault, VAULT, &keyvault::VaultDefinition::default()),
        define(records, DefinitionKind::Provider, "bench", &provider),
    ];
    let now = clock::now();
    records
        .set(NewSecret {
            vault: vault.clone(),
            name: SecretName::parse("client-credentials")?,
            body: SecretBody {
                value: Secret::copy_of(b"0123456789abcdef0123456789abcdef"),
                content_type: None,
                tags: [].into(),
                updated: now.wall.unix_seconds(),
                written_by: "bench".to_owned(),
            },
            enabled: true,
            not_before: None,
            expires: None,
            now: now.wall.unix_seconds(),
        })
        .await?;
    for number in 0..tokens {
        let name = SecretName::parse(&format!("token-{number:06}"))?;
        let token = TokenDefinition {
            provider: "bench".to_owned(),
            client_id: Source::Literal(format!("client-{:04}", number % lanes)),
            client_secret: Source::Secret { vault: VAULT.to_owned(), name: "client-credentials".to_owned() },
            scope: vec!["read".to_owned()],
            extra: [].into(),
            promise: Some(600),
            lifetime: None,
            owner: Some("ops@example.com".to_owned()),
            keep_versions: KEEP_VERSIONS,
            deliver: if delivered { vec![deliver_to(&format!("token-{number:06}"))] } else { Vec::new() },
            shadow: false,
        };
        let lane = token.lane(&resolved);
        writes.push(define(records, DefinitionKind::Token, &token_definition_name(&vault, &name), &token));
        let new = records.new_token(vault.clone(), name, lane, &Standing::new(now));
        let deliveries = match &new {
            Write::Token { row, .. } if delivered => records.declare_deliveries(row.id, &[], &[TARGET], now.wall),
            _ => Vec::new(),
        };
        writes.push(new);
        writes.extend(deliveries);
        if writes.len() >= 2 * BATCH {
            records.commit(std::mem::take(&mut writes)).await?;
        }
    }
    Ok(records.commit(writes).await?)
}

fn deliver_to(name: &str) -> DeliverTo {
    DeliverTo {
        target: TARGET.to_owned(),
        name: name.to_owned(),
        on_change: OnChange::Repair,
        disable_superseded: false,
        // None is looked at again while it is measured.
        check_every: 7 * 86_400,
    }
}

fn define<T: serde::Serialize>(records: &Records<SqliteStore>, kind: DefinitionKind, name: &str, body: &T) -> Write {
    records.define(kind, name, Origin::Admin, None, body, None)
}

/// The courier beside it.
pub(crate) type MeasuredCourier = Courier<SqliteStore, WoundClock, Count>;

/// A keeper that is measured, with what it is steered and watched by.
pub(crate) struct Measured {
    pub(crate) keeper: Arc<MeasuredKeeper>,
    pub(crate) courier: Arc<MeasuredCourier>,
    pub(crate) targets: Arc<Targets>,
    pub(crate) clock: WoundClock,
    pub(crate) count: Count,
}

impl Measured {
    /// A keeper on these records, whose provider gives values of `bytes` bytes.
    pub(crate) fn new(records: &Arc<Records<SqliteStore>>, bytes: usize, limits: LaneLimits) -> Self {
        let (clock, count) = (WoundClock::default(), Count::default());
        let provider = InstantProvider { bytes, given: AtomicU64::new(0), process: clock::now().wall.0 };
        let targets = Arc::<Targets>::default();
        let (known, watch) = (Arc::clone(&targets), count.clone());
        let keeper = Arc::new(Keeper::new(Arc::clone(records), clock.clone(), provider, watch, known, limits));
        let (known, watch) = (Arc::clone(&targets), count.clone());
        let courier = Arc::new(Courier::new(Arc::clone(records), clock.clone(), watch, known));
        Self { keeper, courier, targets, clock, count }
    }
}

/// The machine's clocks and how far they are wound ahead, both alike, so that it is no jump.
#[derive(Clone, Default)]
pub(crate) struct WoundClock {
    ahead_ms: Arc<AtomicI64>,
}

impl WoundClock {
    /// Goes on until every token that was renewed by now is due.
    pub(crate) fn wind(&self) {
        let ahead = i64::try_from(UNTIL_DUE.as_millis()).expect("a part of an hour");
        self.ahead_ms.fetch_add(ahead, Ordering::Relaxed);
    }
}

impl Clock for WoundClock {
    fn now(&self) -> Moment {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let mut now = clock::now();
        now.wall.0 += ahead;
        now.boot.ms += ahead.unsigned_abs();
        now
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// A provider that answers at once, each time with another token.
pub(crate) struct InstantProvider {
    bytes: usize,
    given: AtomicU64,
    /// Tells the tokens of one process from those of the next.
    process: i64,
}

impl Http for InstantProvider {
    async fn send(&self, _: HttpRequest, _: Duration) -> Result<HttpAnswer, SendFailure> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let mut token = format!("{:x}-{number:x}-", self.process);
        token.extend(std::iter::repeat_n('a', self.bytes.saturating_sub(token.len())));
        let answer = [
            "{\"access_token\":\"",
            &token,
            "\",\"token_type\":\"Bearer\",\"scope\":\"read\",\"expires_in\":",
            &LIFE.as_secs().to_string(),
            "}",
        ];
        let mut body = SecretBuilder::with_capacity(answer.iter().map(|part| part.len()).sum());
        answer.iter().for_each(|part| body.push(part.as_bytes()));
        let headers = AnswerHeaders {
            content_type: Some("application/json".to_owned()),
            request_id: Some(format!("{number:016x}")),
            ..AnswerHeaders::default()
        };
        Ok(HttpAnswer { status: 200, headers, body: body.finish(), end: oauth::BodyEnd::Whole })
    }
}

/// Counts what became of attempts.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<Counters>);

#[derive(Default)]
struct Counters {
    renewed: AtomicU64,
    delivered: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
    /// What went wrong first.
    trouble: Mutex<Option<String>>,
}

impl Count {
    /// Waits until so many renewals more are durable.
    ///
    /// # Errors
    /// What went wrong instead.
    pub(crate) async fn reach(&self, more: u64) -> Result<(), Failure> {
        self.0.wanted.store(self.0.renewed.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        self.0.reached.notified().await;
        let trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        trouble.map_or(Ok(()), |words| Err(words.into()))
    }

    /// How many deliveries were made.
    pub(crate) fn delivered(&self) -> u64 {
        self.0.delivered.load(Ordering::Relaxed)
    }

    fn stop(&self, words: String) {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
        self.0.reached.notify_one();
    }
}

impl Observer for Count {
    fn observe(&self, event: &Event<'_>) {
        match event.attempt.map(|attempt| &attempt.outcome) {
            Some(Outcome::Renewed { .. }) => {
                let renewed = self.0.renewed.fetch_add(1, Ordering::Relaxed) + 1;
                if renewed == self.0.wanted.load(Ordering::Relaxed) {
                    self.0.reached.notify_one();
                }
            }
            Some(Outcome::Failed { words, .. }) => self.stop(format!("a renewal failed: {words}")),
            None => {}
        }
    }

    fn survey(&self, _: &Survey) {}

    fn delivery(&self, event: &DeliveryEvent<'_>) {
        match event.outcome {
            DeliveryOutcome::Delivered { .. } => drop(self.0.delivered.fetch_add(1, Ordering::Relaxed)),
            DeliveryOutcome::Failed { words, .. }
            | DeliveryOutcome::Waiting { words, .. }
            | DeliveryOutcome::NotDisabled { words, .. } => self.stop(format!("a delivery failed: {words}")),
            DeliveryOutcome::Changed { .. } => self.stop("somebody changed what was delivered".to_owned()),
        }
    }

    fn delivery_lag(&self, _: &str, _: Duration) {}

    fn credential(&self, _: &CredentialEvent<'_>) {}

    fn credentials(&self, _: Option<Wall>) {}

    fn trouble(&self, words: &str) {
        self.stop(format!("the keeper has trouble: {words}"));
    }
}
