//! The keeper in a small world: the in-memory store, a clock that a test winds, and a provider that answers as told.

pub mod shelf;
mod stock;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_executor::{LocalPool, LocalSpawner};
use futures_util::task::LocalSpawnExt;
use keeper::{
    Clock, Courier, CredentialEvent, DeliverTo, DeliveryEvent, DeliveryOutcome, Event, Http, Keeper, Observer,
    SendFailure, Source, Survey, Targets, TokenDefinition, token_definition_name,
};
use oauth::{AnswerHeaders, HttpAnswer, HttpRequest};
use renewal::{Boot, LaneLimits, Moment, Standing, Wall};
use secret::Secret;
use store::rows::{DefinitionKind, Origin};
use store::{Entropy, MemoryStore, MemoryTarget, NewSecret, Records, Store as _, Token};
use vault::{Keyring, SecretBody, SecretName, Seed, VaultName};

/// Where time begins: 2026-01-01, a boot of half an hour ago.
const START: i64 = 1_767_225_600_000;

/// A clock that stands still until it is wound.
#[derive(Clone)]
pub struct Wound(Arc<Mutex<Winding>>);

struct Winding {
    passed: u64,
    wall_ahead: i64,
    timers: BTreeMap<(u64, u64), Waker>,
    next: u64,
}

impl Wound {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Winding { passed: 0, wall_ahead: 0, timers: BTreeMap::new(), next: 0 })))
    }

    /// The wall clock is set, by this many milliseconds ahead; the boot clock isn't.
    pub fn jump(&self, ahead: i64) {
        self.0.lock().expect("one thread").wall_ahead += ahead;
    }

    /// Goes to the next timer, but no further than `end`. Whether there was one.
    fn step(&self, end: u64) -> bool {
        let mut winding = self.0.lock().expect("one thread");
        match winding.timers.first_key_value().map(|(key, _)| *key) {
            Some(key) if key.0 <= end => {
                winding.passed = winding.passed.max(key.0);
                if let Some(waker) = winding.timers.remove(&key) {
                    waker.wake();
                }
                true
            }
            _ => {
                winding.passed = winding.passed.max(end);
                false
            }
        }
    }

    fn passed(&self) -> u64 {
        self.0.lock().expect("one thread").passed
    }
}

impl Clock for Wound {
    fn now(&self) -> Moment {
        let winding = self.0.lock().expect("one thread");
        let passed = i64::try_from(winding.passed).expect("a test doesn't last that long");
        Moment { wall: Wall(START + passed + winding.wall_ahead), boot: Boot { id: 7, ms: 1_800_000 + winding.passed } }
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        let until = self.passed() + u64::try_from(duration.as_millis()).expect("no such sleep");
        Sleep { clock: self.clone(), until, timer: None }
    }
}

struct Sleep {
    clock: Wound,
    until: u64,
    timer: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut winding = clock.0.lock().expect("one thread");
        if winding.passed >= self.until {
            return Poll::Ready(());
        }
        let key = *self.timer.get_or_insert_with(|| {
            winding.next += 1;
            (0, winding.next)
        });
        let key = (self.until, key.1);
        self.timer = Some(key);
        winding.timers.insert(key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.clock.0.lock().expect("one thread").timers.remove(&key);
        }
    }
}

/// What the provider does with the next call.
pub enum Answering {
    /// HTTP status and body, after this time.
    With(u16, String, Duration),
    /// No answer, and whether a byte was sent.
    Not { sent: bool },
    /// A fault of ours: the call panics.
    Panic,
}

/// A provider that answers as told, and then with a new token of `lifetime` for each call.
#[derive(Clone)]
pub struct Provider(Arc<Mutex<Desk>>);

struct Desk {
    clock: Wound,
    lifetime: u64,
    next: VecDeque<Answering>,
    down: bool,
    calls: Vec<i64>,
    issued: u64,
}

impl Provider {
    /// The next call is answered so.
    pub fn then(&self, answering: Answering) {
        self.0.lock().expect("one thread").next.push_back(answering);
    }

    /// What was told to come is forgotten: from now on calls succeed.
    pub fn relents(&self) {
        self.0.lock().expect("one thread").next.clear();
    }

    /// From now on calls fail, or don't.
    pub fn down(&self, down: bool) {
        self.0.lock().expect("one thread").down = down;
    }

    /// When calls came, on the wall.
    pub fn calls(&self) -> Vec<i64> {
        self.0.lock().expect("one thread").calls.clone()
    }
}

impl Http for Provider {
    fn send(
        &self,
        _request: HttpRequest,
        _deadline: Duration,
    ) -> impl Future<Output = Result<HttpAnswer, SendFailure>> + Send {
        let desk = Arc::clone(&self.0);
        async move {
            let (answering, clock) = {
                let mut desk = desk.lock().expect("one thread");
                let now = desk.clock.now().wall.0;
                desk.calls.push(now);
                let answering = if desk.down {
                    Answering::With(503, "down".into(), Duration::ZERO)
                } else if let Some(told) = desk.next.pop_front() {
                    told
                } else {
                    desk.issued += 1;
                    let body = format!(
                        r#"{{"access_token":"token-{}","token_type":"Bearer","expires_in":{}}}"#,
                        desk.issued, desk.lifetime
                    );
                    Answering::With(200, body, Duration::ZERO)
                };
                (answering, desk.clock.clone())
            };
            match answering {
                Answering::With(status, body, after) => {
                    clock.sleep(after).await;
                    let headers = AnswerHeaders { content_type: Some("application/json".into()), ..Default::default() };
                    Ok(HttpAnswer { status, headers, body: Secret::from(body), end: oauth::BodyEnd::Whole })
                }
                Answering::Not { sent } => Err(SendFailure { sent, words: "the connection was refused".into() }),
                Answering::Panic => panic!("a fault of ours"),
            }
        }
    }
}

/// What was told.
#[derive(Clone, Default)]
pub struct Told(
    Arc<Mutex<Vec<String>>>,
    Arc<Mutex<BTreeMap<String, Duration>>>,
    Arc<Mutex<Option<Wall>>>,
    Arc<AtomicU64>,
);

impl Told {
    /// When the first credential ends, as it was told last.
    pub fn first_end(&self) -> Option<Wall> {
        *self.2.lock().expect("one thread")
    }

    /// How often all credentials were looked at.
    pub fn looks(&self) -> u64 {
        self.3.load(Ordering::Relaxed)
    }

    /// The lag of a target that was told last, in seconds.
    pub fn lag(&self, target: &str) -> u64 {
        self.1.lock().expect("one thread").get(target).copied().unwrap_or_default().as_secs()
    }

    /// Every notice, and every trouble.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("one thread").clone()
    }

    /// How many of these were told.
    pub fn count(&self, word: &str) -> usize {
        self.all().iter().filter(|told| *told == word).count()
    }
}

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        let mut told = self.0.lock().expect("one thread");
        told.extend(event.notices.iter().map(|notice| notice.name().to_owned()));
    }

    fn survey(&self, _survey: &Survey) {}

    fn delivery(&self, event: &DeliveryEvent<'_>) {
        let word = match event.outcome {
            DeliveryOutcome::Delivered { generation, recovered: false, .. } => format!("delivered {generation}"),
            DeliveryOutcome::Delivered { generation, recovered: true, .. } => format!("delivered {generation} at last"),
            DeliveryOutcome::Failed { kind, alert: true, .. } => format!("delivery failing: {}", kind.word()),
            DeliveryOutcome::Failed { kind, .. } => format!("delivery failed: {}", kind.word()),
            DeliveryOutcome::Changed { repaired: true } => "repaired".to_owned(),
            DeliveryOutcome::Changed { repaired: false } => "changed by somebody".to_owned(),
            DeliveryOutcome::Waiting { .. } => format!("{} waits", event.name),
            DeliveryOutcome::NotDisabled { kind, versions, alert: true, .. } => {
                format!("{versions} not disabled: {}", kind.word())
            }
            DeliveryOutcome::NotDisabled { kind, .. } => format!("disabling failed: {}", kind.word()),
        };
        self.0.lock().expect("one thread").push(word);
    }

    fn delivery_lag(&self, target: &str, lag: Duration) {
        self.1.lock().expect("one thread").insert(target.to_owned(), lag);
    }

    fn credential(&self, event: &CredentialEvent<'_>) {
        let CredentialEvent { vault, name, owner, tokens, targets, .. } = event;
        let word = format!(
            "{vault}/{name} ends: {} of {} tokens and {} targets",
            owner.unwrap_or("nobody"),
            tokens.len(),
            targets.len()
        );
        self.0.lock().expect("one thread").push(word);
    }

    fn credentials(&self, first_end: Option<Wall>) {
        self.3.fetch_add(1, Ordering::Relaxed);
        *self.2.lock().expect("one thread") = first_end;
    }

    fn trouble(&self, words: &str) {
        self.0.lock().expect("one thread").push(format!("trouble: {words}"));
    }
}

/// Random bytes that are the same in each run.
struct Counting(AtomicU64);

impl Counting {
    fn from(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }
}

fn keyring() -> Keyring {
    Keyring::new(1, &Seed::new(&[9; 32]))
}

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = renewal::Random::new(self.0.fetch_add(1, Ordering::Relaxed));
        for byte in buffer {
            *byte = (random.up_to(Duration::from_millis(255)).as_millis() & 0xff) as u8;
        }
    }
}

type WorldCourier = Courier<MemoryStore, Wound, Told>;
type WorldKeeper = Keeper<MemoryStore, Wound, Provider, Told>;

/// A world with a keeper in it.
pub struct World {
    pub clock: Wound,
    pub provider: Provider,
    pub told: Told,
    pub records: Arc<Records<MemoryStore>>,
    pub keeper: Arc<WorldKeeper>,
    pub courier: Arc<WorldCourier>,
    pub targets: Arc<Targets>,
    pool: LocalPool,
    spawner: LocalSpawner,
}

impl World {
    /// A world whose provider's tokens live so many seconds. The keeper runs; there is no token yet.
    pub fn new(lifetime: u64) -> Self {
        Self::delivering_only(lifetime).keep()
    }

    /// A world in which nothing is renewed, and what is there is delivered.
    pub fn delivering_only(lifetime: u64) -> Self {
        let mut world = Self::on(MemoryStore::new(), Wound::new(), Told::default(), lifetime);
        world.set("id", "me");
        world.set("credentials", "hush");
        let table: oauth::ProviderTable =
            serde_json::from_str(r#"{"extends":"generic","token_url":"https://id.example.com/token"}"#)
                .expect("a table");
        let define = world.records.define(DefinitionKind::Provider, "example", Origin::Admin, None, &table, None);
        world.wait(|records| async move { records.commit(vec![define]).await.expect("stored") });
        world
    }

    fn on(store: MemoryStore, clock: Wound, told: Told, lifetime: u64) -> Self {
        let records = Arc::new(Records::new(store, keyring(), Arc::new(Counting::from(1)), 1 << 20));
        let desk =
            Desk { clock: clock.clone(), lifetime, next: VecDeque::new(), down: false, calls: Vec::new(), issued: 0 };
        let provider = Provider(Arc::new(Mutex::new(desk)));
        let limits = LaneLimits::default();
        let targets = Arc::new(Targets::default());
        let keeper = Arc::new(Keeper::new(
            Arc::clone(&records),
            clock.clone(),
            provider.clone(),
            told.clone(),
            Arc::clone(&targets),
            limits,
        ));
        let courier = Arc::new(Courier::new(Arc::clone(&records), clock.clone(), told.clone(), Arc::clone(&targets)));
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        let world = Self { clock, provider, told, records, keeper, courier, targets, pool, spawner };
        let courier = Arc::clone(&world.courier);
        world.spawner.spawn_local(async move { courier.run(std::future::pending()).await }).expect("spawned");
        world
    }

    /// From now on tokens are renewed.
    fn keep(self) -> Self {
        let keeper = Arc::clone(&self.keeper);
        let running = async move { keeper.run(std::future::pending()).await.expect("it runs for ever") };
        self.spawner.spawn_local(running).expect("spawned");
        self
    }

    /// Declares the managed token `name`.
    pub fn declare(&mut self, name: &str) {
        self.declare_in(name, "id.example.com secret:home/id");
    }

    /// Declares the managed token `name`, in this lane.
    pub fn declare_in(&mut self, name: &str, lane: &str) {
        self.declare_delivered(name, lane, Vec::new(), false);
    }

    /// Declares a managed token that is delivered.
    pub fn deliver(&mut self, name: &str, deliver: Vec<DeliverTo>) {
        self.declare_delivered(name, "id.example.com secret:home/id", deliver, false);
    }

    /// Declares a managed token in shadow mode.
    pub fn shadow(&mut self, name: &str, deliver: Vec<DeliverTo>) {
        self.declare_delivered(name, "id.example.com secret:home/id", deliver, true);
    }

    /// These are the targets.
    pub fn stand(&self, targets: &[(&str, &MemoryTarget)]) {
        let target = |target: &MemoryTarget| Arc::new(target.clone()) as Arc<dyn store::Target>;
        self.targets.replace(targets.iter().map(|(name, it)| ((*name).to_owned(), target(it))).collect());
    }

    /// Declares a delivered token whose credentials are in this target.
    pub fn deliver_obtained_from(&mut self, name: &str, target: &str, deliver: Vec<DeliverTo>) {
        let writes = self.declaration_from(target, name, "id.example.com secret:contoso/id", deliver, false);
        self.wait(|records| async move { records.commit(writes).await.expect("stored") });
        self.keeper.wake();
    }

    /// Somebody orders that a token is delivered.
    pub fn deliver_now(&mut self, name: &str) {
        let (id, courier) = (self.token(name).row.id, Arc::clone(&self.courier));
        self.wait(|_| async move { courier.deliver_now(id).await.expect("stored") });
    }

    /// What became of a token's delivery.
    pub fn delivery(&mut self, name: &str, target: &str) -> store::Delivery {
        let (id, target) = (self.token(name).row.id, target.to_owned());
        self.wait(|records| async move { records.delivery(id, &target).await.expect("read").expect("declared") })
    }

    fn declare_delivered(&mut self, name: &str, lane: &str, deliver: Vec<DeliverTo>, shadow: bool) {
        let writes = self.declaration(name, lane, deliver, shadow);
        self.wait(|records| async move { records.commit(writes).await.expect("stored") });
        self.keeper.wake();
    }

    /// The token is delivered so from now on.
    pub fn deliver_instead(&mut self, name: &str, deliver: Vec<DeliverTo>) {
        self.redeclare(name, None, |definition| definition.deliver.clone_from(&deliver));
    }

    /// The token is in shadow mode from now on, or isn't any more.
    pub fn set_shadow(&mut self, name: &str, shadow: bool) {
        self.redeclare(name, None, |definition| definition.shadow = shadow);
    }

    /// The token leaves the configuration.
    pub fn leave(&mut self, name: &str) {
        let now = self.clock.now().wall.unix_seconds();
        self.redeclare(name, Some(now), |_| ());
    }

    fn redeclare(&mut self, name: &str, removed: Option<i64>, change: impl FnOnce(&mut TokenDefinition)) {
        let (id, (vault, name)) = (self.token(name).row.id, names(name));
        let (kind, name) = (DefinitionKind::Token, token_definition_name(&vault, &name));
        let known = self.wait(|records| async move {
            records.definition::<TokenDefinition>(kind, &name).await.expect("read").expect("declared")
        });
        let mut definition = known.body;
        change(&mut definition);
        let replaces = Some(known.tag);
        let mut writes = vec![self.records.define(kind, &known.name, known.origin, removed, &definition, replaces)];
        let known = self.wait(|records| async move { records.deliveries_of(id).await.expect("read") });
        let targets: Vec<&str> = definition.deliver.iter().map(|to| to.target.as_str()).collect();
        writes.extend(self.records.declare_deliveries(id, &known, &targets, self.clock.now().wall));
        self.wait(|records| async move { records.commit(writes).await.expect("stored") });
        self.targets.knock();
    }

    /// Somebody changes a column of the token in the store's file: the record beside it doesn't open any more.
    pub fn damage(&mut self, name: &str) {
        let row = self.token(name).row;
        let changed = store::rows::TokenRow { generation: row.generation + 1, ..row.clone() };
        let write = store::Write::Token { row: changed, replaces: Some(row.sealed.tag()), releases: None };
        self.wait(|records| async move { records.commit(vec![write]).await.expect("stored") });
    }

    /// Somebody puts the record of one token's definition in the place of another's, where it doesn't open.
    pub fn damage_definition(&mut self, name: &str, by: &str) {
        let defined = |name| {
            let (vault, name) = names(name);
            token_definition_name(&vault, &name)
        };
        let (name, by) = (defined(name), defined(by));
        self.wait(|records| async move {
            let row = async |name: &str| {
                records.store().definition(DefinitionKind::Token, name).await.expect("read").expect("declared")
            };
            let (row, by) = (row(&name).await, row(&by).await);
            let replaces = Some(row.sealed.tag());
            let row = store::rows::DefinitionRow { sealed: by.sealed, ..row };
            records.commit(vec![store::Write::AmendDefinition { row, replaces }]).await.expect("stored");
        });
    }

    /// The writes that declare a managed token.
    fn declaration(&self, name: &str, lane: &str, deliver: Vec<DeliverTo>, shadow: bool) -> Vec<store::Write> {
        self.declaration_from("home", name, lane, deliver, shadow)
    }

    fn declaration_from(
        &self,
        credentials: &str,
        name: &str,
        lane: &str,
        deliver: Vec<DeliverTo>,
        shadow: bool,
    ) -> Vec<store::Write> {
        let (vault, name) = names(name);
        let secret = |name: &str| Source::Secret { vault: credentials.into(), name: name.into() };
        let definition = TokenDefinition {
            provider: "example".into(),
            client_id: secret("id"),
            client_secret: secret("credentials"),
            scope: Vec::new(),
            extra: BTreeMap::new(),
            promise: None,
            lifetime: None,
            owner: Some("ops@example.com".into()),
            keep_versions: 5,
            deliver,
            shadow,
        };
        let mut writes = vec![
            self.records.define(
                DefinitionKind::Token,
                &token_definition_name(&vault, &name),
                Origin::Admin,
                None,
                &definition,
                None,
            ),
            self.records.new_token(vault, name, lane.to_owned(), &Standing::new(self.clock.now())),
        ];
        let Some(store::Write::Token { row, .. }) = writes.last() else { unreachable!("it is the last one") };
        let targets: Vec<&str> = definition.deliver.iter().map(|to| to.target.as_str()).collect();
        let deliveries = self.records.declare_deliveries(row.id, &[], &targets, self.clock.now().wall);
        writes.extend(deliveries);
        writes
    }

    /// Somebody writes a secret.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_until(name, value, None);
    }

    /// Somebody writes a secret that ends in so many days.
    pub fn set_for_days(&mut self, name: &str, value: &str, days: i64) {
        let expires = self.clock.now().wall.unix_seconds() + days * 86_400;
        self.set_until(name, value, Some(expires));
        let (vault, name) = names(name);
        self.keeper.secret_written(&vault, &name);
    }

    fn set_until(&mut self, name: &str, value: &str, expires: Option<i64>) {
        let (vault, name) = names(name);
        let now = self.clock.now().wall.unix_seconds();
        let body = SecretBody {
            value: Secret::copy_of(value.as_bytes()),
            content_type: None,
            tags: BTreeMap::new(),
            updated: now,
            written_by: "somebody".into(),
        };
        let new = NewSecret { vault, name, body, enabled: true, not_before: None, expires, now };
        self.wait(|records| async move { records.set(new).await.map(drop).expect("stored") });
    }

    /// The process dies and the next one starts. What was in flight is gone.
    pub fn restart(self) -> Self {
        let Self { clock, provider, told, records, pool, .. } = self;
        drop(pool);
        let lifetime = provider.0.lock().expect("one thread").lifetime;
        Self::on(records.store().reopen(), clock, told, lifetime).keep()
    }

    /// Lets this many seconds pass.
    pub fn pass(&mut self, seconds: u64) {
        let end = self.clock.passed() + seconds * 1000;
        self.pool.run_until_stalled();
        while self.clock.step(end) {
            self.pool.run_until_stalled();
        }
        self.pool.run_until_stalled();
    }

    /// The token as it stands.
    pub fn token(&mut self, name: &str) -> Token {
        let (vault, name) = names(name);
        self.wait(|records| async move { records.token_of(&vault, &name).await.expect("read").expect("declared") })
    }

    /// What a reader gets, if there is a value.
    pub fn read(&mut self, name: &str) -> Option<String> {
        let (vault, name) = names(name);
        self.wait(|records| async move {
            let current = records.current(&vault, &name).await.ok()?;
            let body = records.body(&current.version).expect("it opens");
            Some(body.value.expose_str().expect("text").to_owned())
        })
    }

    /// The token's history, newest first.
    pub fn history(&mut self, name: &str) -> Vec<store::Attempt> {
        let id = self.token(name).row.id;
        self.wait(|records| async move { records.attempts(id, None, 100).await.expect("read") })
    }

    /// Changes the token's standing, as the admin API does.
    pub fn change(&mut self, name: &str, mut change: impl FnMut(&mut Standing) + Send + 'static) {
        let id = self.token(name).row.id;
        self.wait(|records| async move {
            let changed = records.change_token(id, None, |_, standing| {
                change(standing);
                Vec::new()
            });
            changed.await.map(drop).expect("changed");
        });
        self.keeper.wake();
    }

    fn wait<T, F: Future<Output = T>>(&mut self, ask: impl FnOnce(Arc<Records<MemoryStore>>) -> F) -> T {
        self.pool.run_until(ask(Arc::clone(&self.records)))
    }
}

fn names(name: &str) -> (VaultName, SecretName) {
    (VaultName::parse("home").expect("a vault's name"), SecretName::parse(name).expect("a secret's name"))
}
