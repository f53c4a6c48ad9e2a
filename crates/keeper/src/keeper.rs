//! The loop.

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{pin_mut, select_biased};
use oauth::{Provider, ProviderTable};
use renewal::{LaneLimits, Moment, Wall};
use store::rows::{DefinitionKind, TokenId, TokenRow};
use store::{Lease, RecordError, Records, Store, StoreError, Token};

use crate::definition::{TokenDefinition, token_definition_name};
use crate::lanes::{Lanes, Turn};
use crate::port::{Clock, Http, Observer};
use crate::targets::Targets;
use crate::wake::Wake;

/// How many due tokens of one lane are taken from the store in one pass: twice what a lane may have in flight by default,
/// since those on the way to their claim are still due. More would only be read again at the next pass.
pub const PER_LANE: usize = 16;

/// How many attempts may have their answer and wait until it is durable. While there are as many, none is started: each
/// holds a token in memory, and the store is what they all wait for. Those that wait for a provider don't count, so that
/// no slow provider holds up the others.
pub const MOST_LANDING: usize = 2_048;

/// The loop never sleeps longer, so that it sees a clock that jumped, and a schedule that somebody else changed.
pub const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// How long the loop waits after the store failed a read.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// How long a token rests whose attempt broke off by a fault of ours.
const AFTER_FAULT: Duration = Duration::from_secs(60);

/// How many tokens are brought to a jumped clock in one read.
const JUMP_PAGE: usize = 500;

/// The attempts under way.
type Flights<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = TokenId> + Send + 'a>>>;

/// A permit that is out, and counted.
pub(crate) struct Held {
    pub(crate) permit: renewal::Permit,
    _counted: Arc<()>,
}

/// Renews all managed tokens of a store. See the crate's documentation.
pub struct Keeper<S, C, H, O> {
    pub(crate) records: Arc<Records<S>>,
    pub(crate) clock: C,
    pub(crate) http: H,
    pub(crate) observer: O,
    pub(crate) targets: Arc<Targets>,
    pub(crate) lanes: Lanes,
    providers: RwLock<Arc<BTreeMap<String, ProviderTable>>>,
    /// Providers as put together from their tables when they were first asked for.
    resolved: RwLock<BTreeMap<String, Arc<Provider>>>,
    /// Counts the permits that are out, by its clones.
    permits_out: Arc<()>,
    in_flight: Mutex<BTreeSet<TokenId>>,
    wake: Wake,
    /// Secrets that were written, and not looked at yet: vault and folded name.
    pub(crate) written: Mutex<BTreeSet<(String, String)>>,
    pub(crate) written_wake: Wake,
    looked: AtomicI64,
    /// No attempt is started before, in milliseconds of the boot clock: the store takes no claim.
    rest_until: AtomicU64,
    seeds: AtomicU64,
}

impl<S: Store, C: Clock, H: Http, O: Observer> Keeper<S, C, H, O> {
    /// A keeper of these records. It does nothing until [`Keeper::run`].
    pub fn new(
        records: Arc<Records<S>>,
        clock: C,
        http: H,
        observer: O,
        targets: Arc<Targets>,
        limits: LaneLimits,
    ) -> Self {
        let mut seed = [0; 8];
        records.entropy().fill(&mut seed);
        Self {
            records,
            clock,
            http,
            observer,
            targets,
            lanes: Lanes::new(limits),
            providers: RwLock::default(),
            resolved: RwLock::default(),
            permits_out: Arc::default(),
            in_flight: Mutex::default(),
            wake: Wake::default(),
            written: Mutex::default(),
            written_wake: Wake::default(),
            looked: AtomicI64::new(0),
            rest_until: AtomicU64::new(0),
            seeds: AtomicU64::new(u64::from_be_bytes(seed)),
        }
    }

    /// Looks at once instead of when it meant to: a definition or a due time has changed.
    pub fn wake(&self) {
        self.wake.knock();
    }

    /// When the loop last looked for due tokens.
    pub fn looked(&self) -> Wall {
        Wall(self.looked.load(Ordering::Relaxed))
    }

    /// Reads the operator's providers again. Call it before [`Keeper::run`], and after they changed.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn reload_providers(&self) -> Result<(), RecordError> {
        let rows = self.records.definitions::<ProviderTable>(DefinitionKind::Provider).await?;
        let own = rows.into_iter().filter(|row| row.removed.is_none()).map(|row| (row.name, row.body)).collect();
        // Both under one lock, so that nothing that was made of the tables before stays.
        let mut resolved = self.resolved.write().unwrap_or_else(PoisonError::into_inner);
        *self.providers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
        resolved.clear();
        Ok(())
    }

    /// The provider of this name: a preset, or the operator's own.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn provider(&self, name: &str) -> Result<Arc<Provider>, String> {
        if let Some(known) = self.resolved.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Arc::clone(known));
        }
        let mut resolved = self.resolved.write().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::clone(&self.providers.read().unwrap_or_else(PoisonError::into_inner));
        let provider = Arc::new(oauth::resolve(name, &own).map_err(|error| error.to_string())?);
        resolved.insert(name.to_owned(), Arc::clone(&provider));
        Ok(provider)
    }

    /// Lifts what holds the lane: its client's credential has changed, or a person asks for it.
    pub async fn reopen_lane(&self, lane: &str) {
        if let Some(record) = self.lanes.reopen(lane, self.clock.now()) {
            let write = self.records.lane_write(lane, crate::lanes::open_at(&record), &record);
            let _ = self.records.commit(vec![write]).await;
            self.kick(lane).await;
        }
        self.wake();
    }

    /// Renews tokens until `stop` is ready, and then lets the attempts under way come to their end.
    ///
    /// # Errors
    /// Why what an earlier process left could not be read. Later failures of the store are waited out.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), RecordError> {
        self.reload_providers().await?;
        self.lanes.restore(&self.records, self.clock.now()).await?;
        let stop = stop.fuse();
        let survey = self.survey_for_ever().fuse();
        let credentials = self.watch_credentials().fuse();
        let deadlines = self.watch_deadlines().fuse();
        pin_mut!(stop, survey, credentials, deadlines);
        let mut flights = Flights::new();
        let mut last_look = self.clock.now();
        loop {
            let now = self.clock.now();
            self.looked.store(now.wall.0, Ordering::Relaxed);
            if let Some(jump) = renewal::jump(last_look, now) {
                self.observer.trouble(&format!(
                    "the wall clock jumped by {} s; all due times are set again",
                    jump.ahead_ms / 1000
                ));
                self.after_jump(last_look, now).await;
            }
            last_look = now;
            let sleep = match self.start_due(&mut flights, now).await {
                Ok(sleep) => sleep,
                Err(error) => {
                    self.observer.trouble(&error.to_string());
                    AFTER_TROUBLE
                }
            };
            let mut sleep = pin!(self.clock.sleep(sleep).fuse());
            let mut knock = pin!(self.wake.knocked().fuse());
            select_biased! {
                () = stop => break,
                finished = flights.select_next_some() => self.finished(finished),
                () = knock => {}
                () = sleep => {}
                () = survey => {}
                () = credentials => {}
                () = deadlines => {}
            }
            // Whatever else has finished by now is one look's worth of news.
            while let Some(Some(finished)) = flights.next().now_or_never() {
                self.finished(finished);
            }
        }
        while let Some(finished) = flights.next().await {
            self.finished(finished);
        }
        Ok(())
    }

    /// Starts an attempt for each due token whose lane gives a permit. How long to sleep if nothing else happens.
    async fn start_due<'a>(&'a self, flights: &mut Flights<'a>, now: Moment) -> Result<Duration, StoreError> {
        let rest = self.rest_until.load(Ordering::Relaxed).saturating_sub(now.boot.ms);
        if rest > 0 {
            return Ok(Duration::from_millis(rest));
        }
        let permits_out = Arc::strong_count(&self.permits_out) - 1;
        if flights.len().saturating_sub(permits_out) >= MOST_LANDING {
            // The end of each of them wakes the loop.
            return Ok(LONGEST_SLEEP);
        }
        let mut wake_at = now.wall.plus(LONGEST_SLEEP);
        let mut lanes: BTreeMap<String, Vec<TokenRow>> = BTreeMap::new();
        for row in self.records.store().due(now.wall, PER_LANE).await? {
            lanes.entry(row.lane.clone()).or_default().push(row);
        }
        for (lane, mut rows) in lanes {
            {
                let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
                rows.retain(|row| !in_flight.contains(&row.id));
            }
            if rows.is_empty() {
                continue;
            }
            let chosen: Vec<TokenRow> = match self.lanes.turn(&lane, now) {
                Turn::First(count) => {
                    if rows.len() > count {
                        // More permits drip into the bucket; come back for them.
                        wake_at = wake_at.min(now.wall.plus(Duration::from_millis(100)));
                    }
                    rows.into_iter().take(count).collect()
                }
                Turn::Probe => rows.into_iter().max_by_key(|row| row.expiry).into_iter().collect(),
                Turn::Closed { opens, paused } => {
                    wake_at = wake_at.min(opens.max(now.wall.plus(Duration::from_millis(50))));
                    if paused {
                        self.start_mandatory(flights, &lane, rows, now);
                    }
                    continue;
                }
            };
            for row in chosen {
                let Some(permit) = self.lanes.permit(&lane, now) else {
                    break;
                };
                self.start(flights, row, permit);
            }
        }
        if let Some(due) = self.records.store().next_due(now.wall).await? {
            wake_at = wake_at.min(due);
        }
        Ok(wake_at.since(now.wall))
    }

    /// A paused lane still lets a token through at its mandatory window.
    fn start_mandatory<'a>(&'a self, flights: &mut Flights<'a>, lane: &str, rows: Vec<TokenRow>, now: Moment) {
        for row in rows {
            let Ok(token) = self.records.open_token(row) else {
                continue;
            };
            if !token.standing.is_mandatory(now) {
                continue;
            }
            let Some(permit) = self.lanes.permit_mandatory(lane, token.row.id, token.row.generation, now) else {
                continue;
            };
            self.start(flights, token.row, permit);
        }
    }

    fn start<'a>(&'a self, flights: &mut Flights<'a>, row: TokenRow, permit: renewal::Permit) {
        let id = row.id;
        let permit = Held { permit, _counted: Arc::clone(&self.permits_out) };
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        flights.push(Box::pin(async move {
            // A panic ends its attempt and no other.
            let ended = AssertUnwindSafe(self.attempt(row, permit)).catch_unwind().await;
            if !ended.unwrap_or(false) {
                self.observer.trouble("an attempt to renew a token broke off by a fault of Vestal's; please report it");
                self.abandon(id).await;
            }
            id
        }));
    }

    fn finished(&self, token: TokenId) {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
    }

    /// The store takes no claim: nothing is started for a while, so that it isn't asked in a hot loop.
    pub(crate) fn rest(&self) {
        let after = u64::try_from(AFTER_TROUBLE.as_millis()).unwrap_or(u64::MAX);
        self.rest_until.store(self.clock.now().boot.ms.saturating_add(after), Ordering::Relaxed);
    }

    /// Ends the lease of an attempt that broke off, so that the token is tried again and not held until the next start.
    async fn abandon(&self, id: TokenId) {
        let Ok(token) = self.records.token(id).await else {
            return;
        };
        if token.row.leased {
            let due = self.clock.now().wall.plus(AFTER_FAULT);
            let _ = self.records.store().release(Lease { token: id, fence: token.row.fence }, due).await;
        }
    }

    /// Lets a token rest whose record doesn't open. It would stay the first of its lane for ever, and take each of the
    /// lane's permits from the others.
    pub(crate) async fn put_off(&self, id: TokenId, generation: u64) {
        if let Ok(Some(lease)) = self.records.claim(id, generation).await {
            let due = self.clock.now().wall.plus(AFTER_FAULT);
            let _ = self.records.store().release(lease, due).await;
        }
    }

    /// All due times again, by the boot clock: the wall clock moved under them.
    async fn after_jump(&self, before: Moment, now: Moment) {
        let mut after = None;
        while let Ok(page) = self.records.store().tokens(after, JUMP_PAGE).await {
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for row in page {
                let Ok(token) = self.records.open_token(row) else {
                    continue;
                };
                let mut standing = token.standing.clone();
                standing.after_jump(before, now);
                let _ = self.records.commit(vec![self.records.token_write(&token, &standing, None)]).await;
            }
        }
    }

    /// What the token's operator declared, and its provider.
    pub(crate) async fn definition(&self, token: &Token) -> Result<(TokenDefinition, Arc<Provider>), String> {
        let name = token_definition_name(&token.row.vault, &token.row.name);
        let definition = match self.records.definition::<TokenDefinition>(DefinitionKind::Token, &name).await {
            Ok(Some(declared)) => declared.body,
            Ok(None) => {
                return Err(format!("the definition of token {name} is gone: declare it again, or remove it"));
            }
            Err(error) => return Err(format!("the definition of token {name} can't be read: {error}")),
        };
        let provider = self.provider(&definition.provider)?;
        Ok((definition, provider))
    }

    /// A seed of its own for each attempt.
    pub(crate) fn seed(&self) -> u64 {
        self.seeds.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}
