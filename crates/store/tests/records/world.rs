//! Records over a store in memory, and a store that answers late.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use renewal::{Answer, Boot, Lifetime, Moment, Random, Standing, Terms, Wall};
use secret::Secret;
use store::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenId,
    TokenRow, VersionRow,
};
use store::{
    Attempt, CACHE_BYTES, Claim, CommitError, Entropy, Lease, MemoryStore, NewSecret, Outcome, Records, Store,
    StoreError, Token, Write,
};
use vault::{Keyring, SecretBody, SecretName, Seed, VaultName, VersionId};

pub(crate) use store::contract::block_on as run;

/// 15 January 2027, in Unix seconds.
pub(crate) const START: i64 = 1_800_000_000;

pub(crate) fn records(store: MemoryStore) -> Records<MemoryStore> {
    records_over(store, CACHE_BYTES)
}

pub(crate) fn records_over<S: Store>(store: S, cache_bytes: u64) -> Records<S> {
    Records::new(store, keyring(5), Arc::new(Counting::new()), cache_bytes)
}

pub(crate) fn keyring(seed: u8) -> Keyring {
    Keyring::new(1, &Seed::new(&[seed; 32]))
}

/// Bytes that never come twice, in one test or in another records' world.
pub(crate) struct Counting(AtomicU64);

impl Counting {
    pub(crate) fn new() -> Self {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        Self(AtomicU64::new(WORLDS.fetch_add(1, Ordering::Relaxed) << 32))
    }
}

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&number[8 - chunk.len()..]);
        }
    }
}

pub(crate) fn vault() -> VaultName {
    VaultName::parse("contoso").unwrap()
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

pub(crate) fn new_secret(secret: &str, value: &str) -> NewSecret {
    let body = SecretBody {
        value: Secret::copy_of(value.as_bytes()),
        content_type: None,
        tags: BTreeMap::new(),
        updated: START,
        written_by: "a test".to_owned(),
    };
    NewSecret { vault: vault(), name: name(secret), body, enabled: true, not_before: None, expires: None, now: START }
}

/// Sets the secret, and answers the version.
pub(crate) fn set<S: Store>(records: &Records<S>, secret: &str, value: &str) -> VersionId {
    run(records.set(new_secret(secret, value))).unwrap().version.version
}

/// The current value.
pub(crate) fn value<S: Store>(records: &Records<S>, secret: &str) -> String {
    let current = run(records.current(&vault(), &name(secret))).unwrap();
    value_of(records, &current.version)
}

pub(crate) fn value_of<S: Store>(records: &Records<S>, row: &VersionRow) -> String {
    records.body(row).unwrap().value.expose_str().unwrap().to_owned()
}

/// All versions of the secret, as the store has them.
pub(crate) fn versions<S: Store>(records: &Records<S>, secret: &str) -> Vec<VersionRow> {
    run(records.store().versions(&vault(), &name(secret), None, 1000)).unwrap()
}

pub(crate) fn moment(seconds: i64) -> Moment {
    let since_boot = u64::try_from(seconds - START).unwrap() * 1000;
    Moment { wall: Wall(seconds * 1000), boot: Boot { id: 1, ms: since_boot } }
}

/// Declares a token for the secret.
pub(crate) fn token<S: Store>(records: &Records<S>, secret: &str) -> Token {
    let write = records.new_token(vault(), name(secret), "a lane".to_owned(), &Standing::new(moment(START)));
    run(records.commit(vec![write])).unwrap();
    run(records.token_of(&vault(), &name(secret))).unwrap().unwrap()
}

/// How the token stands after an hour's value was obtained at `sent`.
pub(crate) fn renewed(token: &Token, sent: i64, same_value: bool) -> Standing {
    let answer = Answer { lifetime: Lifetime::Known(Duration::from_secs(3600)), refresh_in: None, same_value };
    token.standing.renewed(moment(sent), moment(sent), answer, Terms::default(), &mut Random::new(1))
}

pub(crate) fn attempt(number: u64) -> Attempt {
    Attempt {
        number,
        started: START * 1000,
        took: 12,
        outcome: Outcome::Renewed {
            generation: Some(1),
            lifetime: Some(3600),
            lifetime_source: "a test".to_owned(),
            note: String::new(),
        },
        status: Some(200),
        request_id: None,
        next_due: START * 1000 + 1,
        repeats: 0,
        last_repeat: None,
    }
}

/// Polls once.
pub(crate) fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether nothing came of the future yet.
pub(crate) fn is_pending<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
    poll(future).is_pending()
}

/// A store whose answers can be held back: what a held call does is done, and its caller hears of it later.
#[derive(Clone)]
pub(crate) struct Late {
    pub(crate) store: MemoryStore,
    held_reads: Arc<AtomicBool>,
    commits: Arc<Mutex<Commits>>,
}

/// Held commits wait in a queue, as those of a database's writer do. One that nobody waits for any more lands all the
/// same.
#[derive(Default)]
struct Commits {
    held: bool,
    queue: VecDeque<Vec<Write>>,
    queued: usize,
    landed: usize,
}

impl Late {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self { store, held_reads: Arc::default(), commits: Arc::default() }
    }

    pub(crate) fn hold_reads(&self, hold: bool) {
        self.held_reads.store(hold, Ordering::SeqCst);
    }

    pub(crate) fn hold_commits(&self) {
        self.commits.lock().unwrap().held = true;
    }

    /// The oldest batch in the queue, which is then in nobody's hands but the caller's.
    pub(crate) fn take_commit(&self) -> Vec<Write> {
        self.commits.lock().unwrap().queue.pop_front().expect("a commit is held")
    }

    /// The oldest batch in the queue is written, whoever still waits for it.
    pub(crate) fn let_one_commit_go(&self) {
        run(self.store.commit(self.take_commit())).unwrap();
        self.commits.lock().unwrap().landed += 1;
    }

    /// The whole queue is written, and commits are held no more.
    pub(crate) fn let_commits_go(&self) {
        while !self.commits.lock().unwrap().queue.is_empty() {
            self.let_one_commit_go();
        }
        self.commits.lock().unwrap().held = false;
    }

    /// Queues the batch and answers its number, where commits are held.
    fn queued(&self, writes: Vec<Write>) -> Result<usize, Vec<Write>> {
        let mut commits = self.commits.lock().unwrap();
        if !commits.held {
            return Err(writes);
        }
        commits.queue.push_back(writes);
        commits.queued += 1;
        Ok(commits.queued)
    }
}

async fn while_held(held: &AtomicBool) {
    poll_fn(|_| if held.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }).await;
}

impl Store for Late {
    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        match self.queued(writes) {
            Err(writes) => self.store.commit(writes).await,
            Ok(number) => {
                let has_landed = || self.commits.lock().unwrap().landed >= number;
                poll_fn(|_| if has_landed() { Poll::Ready(Ok(())) } else { Poll::Pending }).await
            }
        }
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Lease>, StoreError> {
        self.store.claim(claim).await
    }

    async fn release(&self, lease: Lease, due: Wall) -> Result<(), StoreError> {
        self.store.release(lease, due).await
    }

    async fn current(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(SecretRow, VersionRow)>, StoreError> {
        let answer = self.store.current(vault, name).await;
        while_held(&self.held_reads).await;
        answer
    }

    async fn version(&self, v: &VaultName, n: &SecretName, id: VersionId) -> Result<Option<VersionRow>, StoreError> {
        self.store.version(v, n, id).await
    }

    async fn secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(SecretRow, VersionRow)>, StoreError> {
        self.store.secrets(vault, after, limit).await
    }

    async fn deleted_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(DeletedSecretRow, VersionRow)>, StoreError> {
        self.store.deleted_secret(vault, name).await
    }

    async fn deleted_secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(DeletedSecretRow, VersionRow)>, StoreError> {
        self.store.deleted_secrets(vault, after, limit).await
    }

    async fn to_purge(&self, now: i64, limit: usize) -> Result<Vec<(VaultName, SecretName)>, StoreError> {
        self.store.to_purge(now, limit).await
    }

    async fn versions(
        &self,
        vault: &VaultName,
        name: &SecretName,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<VersionRow>, StoreError> {
        self.store.versions(vault, name, after, limit).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
        self.store.token(id).await
    }

    async fn token_of(&self, vault: &VaultName, name: &SecretName) -> Result<Option<TokenRow>, StoreError> {
        self.store.token_of(vault, name).await
    }

    async fn tokens(&self, after: Option<TokenId>, limit: usize) -> Result<Vec<TokenRow>, StoreError> {
        self.store.tokens(after, limit).await
    }

    async fn due(&self, now: Wall, per_lane: usize) -> Result<Vec<TokenRow>, StoreError> {
        self.store.due(now, per_lane).await
    }

    async fn next_due(&self, now: Wall) -> Result<Option<Wall>, StoreError> {
        self.store.next_due(now).await
    }

    async fn attempts(&self, token: TokenId, before: Option<u64>, limit: usize) -> Result<Vec<AttemptRow>, StoreError> {
        self.store.attempts(token, before, limit).await
    }

    async fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        self.store.lanes().await
    }

    async fn delivery(&self, token: TokenId, target: &str) -> Result<Option<DeliveryRow>, StoreError> {
        self.store.delivery(token, target).await
    }

    async fn deliveries(&self, after: Option<(TokenId, &str)>, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        self.store.deliveries(after, limit).await
    }

    async fn due_deliveries(&self, target: &str, now: Wall, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        self.store.due_deliveries(target, now, limit).await
    }

    async fn next_delivery(&self, target: &str, now: Wall) -> Result<Option<Wall>, StoreError> {
        self.store.next_delivery(target, now).await
    }

    async fn deliveries_behind(
        &self,
        target: &str,
        after: Option<(Wall, TokenId)>,
        until: Wall,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        self.store.deliveries_behind(target, after, until, limit).await
    }

    async fn definition(&self, kind: DefinitionKind, name: &str) -> Result<Option<DefinitionRow>, StoreError> {
        self.store.definition(kind, name).await
    }

    async fn definitions(&self, kind: DefinitionKind) -> Result<Vec<DefinitionRow>, StoreError> {
        self.store.definitions(kind).await
    }

    async fn keyring(&self) -> Result<Vec<KeyringRow>, StoreError> {
        self.store.keyring().await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await
    }
}

/// The batch that `change` would commit to the store, which stays as it is.
pub(crate) fn batch_of(store: &MemoryStore, change: impl AsyncFnOnce(&Records<Late>)) -> Vec<Write> {
    let late = Late::new(store.clone());
    late.hold_commits();
    let records = records_over(late.clone(), CACHE_BYTES);
    assert!(is_pending(pin!(change(&records))), "it commits");
    late.take_commit()
}
