//! The embedded store: SQLite in write-ahead mode, one file that one process has open.
//!
//! - **One writer.** A thread of its own has the only connection that writes. It takes all that waits, runs each batch
//!   inside a savepoint of one transaction, syncs once, and answers everybody. Under load a sync is shared by
//!   hundreds; without load nobody waits for company.
//! - **Readers of their own.** A few threads with read-only connections answer reads from the last committed state. A
//!   read never waits for a write.
//! - **One process.** An operating system's lock on `store.lock` keeps others out, so that the epoch of the process
//!   that opened the store last is the only one that runs, and a lease needs no clock.
//!
//! The futures of this store name no runtime: they wait for an answer from these threads. One that is dropped before it
//! was first polled does nothing; after that the write may be made although nobody waits for its answer.

mod columns;
mod deliveries;
mod failure;
mod folder;
mod identity;
mod queue;
mod reader;
mod reads;
mod schedule;
mod schema;
mod settings;
mod writer;
mod writes;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_channel::oneshot;
use renewal::Wall;
use store::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenId,
    TokenRow, VersionRow,
};
use store::{Claim, CommitError, Damage, Lease, Store, StoreError, Write};
use vault::{SecretName, VaultName, VersionId};

pub use failure::OpenError;
use identity::Identity;
use queue::{Queue, Worker};
use reader::Read;
pub use settings::{
    CHECKPOINT_PAGES, GROUP_LIMIT, OLDEST_SQLITE, READ_QUEUE_LIMIT, READERS, WAL_LIMIT_PAGES, WRITE_QUEUE_LIMIT,
};
pub use writer::Statistics;
use writer::{Counters, Job};

/// The file that holds the rows, in the store's folder. SQLite keeps `-wal` and `-shm` files beside it.
pub const DATABASE_FILE: &str = "store.sqlite";
/// The file whose lock says that a process has the store open. It holds that process's id, for people.
pub const LOCK_FILE: &str = "store.lock";

/// A [`Store`] on SQLite.
pub struct SqliteStore {
    writes: Arc<Queue<Job>>,
    reads: Arc<Queue<Read>>,
    counters: Arc<Counters>,
    /// Emptied by `drop`, so that the writer outlives the readers: the last to close writes the log back.
    readers: Vec<Worker>,
    writer: Option<Worker>,
    folder: PathBuf,
    damage: Arc<Damage>,
    /// Which files are open.
    identity: Arc<Identity>,
    /// Held until all of the above is closed.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in a folder, which is made if it isn't there, with the database in it. Takes the next epoch and
    /// ends all leases. It may take a while: it syncs to disk, and brings an older schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] says what stands in the way and what to do. Nothing is changed then but for the folder and its
    /// lock file.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_or_create(folder, true)
    }

    /// Opens a store that must be there: an empty one is not made in the place of one that was lost.
    ///
    /// # Errors
    /// [`OpenError::Gone`] where the database is missing or empty; otherwise as [`open`](Self::open).
    pub fn open_existing(folder: &Path) -> Result<Self, OpenError> {
        Self::open_or_create(folder, false)
    }

    fn open_or_create(folder: &Path, may_create: bool) -> Result<Self, OpenError> {
        let (database, lock) = folder::prepare(folder, may_create)?;
        let counters = Arc::new(Counters::default());
        // Nothing may be open on the file when it is closed again for a failure below but the writer's connection, so
        // it comes first.
        let writer = writer::Writer::open(&database, may_create, Arc::clone(&counters))?;
        let connections = (0..READERS).map(|_| settings::open_reader(&database));
        let connections = connections.collect::<Result<Vec<_>, _>>().map_err(OpenError::sqlite)?;

        // The writer has written, so the log is there. The names must survive a power cut too, before anybody builds on it.
        folder::sync(folder)?;
        let identity = Arc::new(Identity::of(folder)?);

        let writes = Arc::new(Queue::new(WRITE_QUEUE_LIMIT));
        let reads = Arc::new(Queue::new(READ_QUEUE_LIMIT));
        let mut store = Self {
            writes: Arc::clone(&writes),
            reads: Arc::clone(&reads),
            counters,
            readers: Vec::new(),
            writer: Some(Worker::start("store-writer", &writes, |queue| writer.run(queue)).map_err(OpenError::Thread)?),
            folder: folder.to_owned(),
            damage: Arc::new(Damage::new()),
            identity,
            _lock: lock,
        };
        for connection in connections {
            let reader = Worker::start("store-reader", &reads, move |queue| reader::run(&connection, queue));
            store.readers.push(reader.map_err(OpenError::Thread)?);
        }
        Ok(store)
    }

    /// The folder that the store is in, as it was opened.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Calls `hear` with words for each row that can't be read, whenever a list meets it. It runs on a thread of the
    /// store and must not block. Only the first call counts.
    pub fn on_damage(&self, hear: impl Fn(&str) + Send + Sync + 'static) {
        self.damage.hear(hear);
    }

    /// How much was written so far, and how much of it together.
    pub fn statistics(&self) -> Statistics {
        self.counters.statistics(self.writes.len(), self.reads.len())
    }

    /// Runs something on the writer's thread between two transactions, and waits until it ran.
    #[cfg(test)]
    fn meddle(&self, meddle: impl FnOnce(&mut writer::Writer) + Send + 'static) {
        let (sender, receiver) = oneshot::channel();
        let meddle = Box::new(move |writer: &mut writer::Writer| {
            meddle(writer);
            let _ = sender.send(());
        });
        store::contract::block_on(async {
            self.writes.push(Job::Meddle(meddle)).await.expect("the store is open");
            receiver.await.expect("it ran to its end");
        });
    }

    async fn write<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Job,
    ) -> Result<T, E> {
        let (sender, receiver) = oneshot::channel();
        self.writes.push(job(sender)).await.map_err(|_| stopped())?;
        receiver.await.unwrap_or_else(|_| Err(stopped().into()))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // A reader that went away wants no answer.
            if !sender.is_canceled() {
                let _ = sender.send(read(connection));
            }
        });
        self.reads.push(read).await.map_err(|_| stopped())?;
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for SqliteStore {
    /// Finishes what waits, then closes the file. Blocks for as long as that takes.
    fn drop(&mut self) {
        self.reads.close();
        self.readers.clear();
        self.writes.close();
        self.writer.take();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SqliteStore({:?})", self.statistics())
    }
}

/// The answer of a thread that is no longer there: it panicked, and the process should be started again.
fn stopped() -> StoreError {
    StoreError::Unavailable("a thread of the store stopped; start Vestal again".to_owned())
}

impl Store for SqliteStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        self.write(|answer| Job::Commit { writes, answer }).await
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Lease>, StoreError> {
        self.write(|answer| Job::Claim { claim, answer }).await
    }

    async fn release(&self, lease: Lease, due: Wall) -> Result<(), StoreError> {
        self.write(|answer| Job::Release { lease, due, answer }).await
    }

    async fn current(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(SecretRow, VersionRow)>, StoreError> {
        let (vault, name) = (vault.clone(), name.clone());
        self.read(move |connection| reads::current(connection, &vault, &name)).await
    }

    async fn version(
        &self,
        vault: &VaultName,
        name: &SecretName,
        version: VersionId,
    ) -> Result<Option<VersionRow>, StoreError> {
        let (vault, name) = (vault.clone(), name.clone());
        self.read(move |connection| reads::version(connection, &vault, &name, version)).await
    }

    async fn secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(SecretRow, VersionRow)>, StoreError> {
        let (vault, after, damage) = (vault.clone(), after.cloned(), Arc::clone(&self.damage));
        self.read(move |connection| reads::secrets(connection, &vault, after.as_ref(), limit, &damage)).await
    }

    async fn deleted_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(DeletedSecretRow, VersionRow)>, StoreError> {
        let (vault, name) = (vault.clone(), name.clone());
        self.read(move |connection| reads::deleted_secret(connection, &vault, &name)).await
    }

    async fn deleted_secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(DeletedSecretRow, VersionRow)>, StoreError> {
        let (vault, after, damage) = (vault.clone(), after.cloned(), Arc::clone(&self.damage));
        self.read(move |connection| reads::deleted_secrets(connection, &vault, after.as_ref(), limit, &damage)).await
    }

    async fn to_purge(&self, now: i64, limit: usize) -> Result<Vec<(VaultName, SecretName)>, StoreError> {
        let damage = Arc::clone(&self.damage);
        self.read(move |connection| reads::to_purge(connection, now, limit, &damage)).await
    }

    async fn versions(
        &self,
        vault: &VaultName,
        name: &SecretName,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let (vault, name, damage) = (vault.clone(), name.clone(), Arc::clone(&self.damage));
        self.read(move |connection| reads::versions(connection, &vault, &name, after, limit, &damage)).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
        self.read(move |connection| reads::token(connection, id)).await
    }

    async fn token_of(&self, vault: &VaultName, name: &SecretName) -> Result<Option<TokenRow>, StoreError> {
        let (vault, name) = (vault.clone(), name.clone());
        self.read(move |connection| reads::token_of(connection, &vault, &name)).await
    }

    async fn tokens(&self, after: Option<TokenId>, limit: usize) -> Result<Vec<TokenRow>, StoreError> {
        let damage = Arc::clone(&self.damage);
        self.read(move |connection| reads::tokens(connection, after, limit, &damage)).await
    }

    async fn due(&self, now: Wall, per_lane: usize) -> Result<Vec<TokenRow>, StoreError> {
        let damage = Arc::clone(&self.damage);
        self.read(move |connection| schedule::due(connection, now, per_lane, &damage)).await
    }

    async fn next_due(&self, now: Wall) -> Result<Option<Wall>, StoreError> {
        self.read(move |connection| schedule::next_due(connection, now)).await
    }

    async fn attempts(&self, token: TokenId, before: Option<u64>, limit: usize) -> Result<Vec<AttemptRow>, StoreError> {
        self.read(move |connection| reads::attempts(connection, token, before, limit)).await
    }

    async fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        self.read(reads::lanes).await
    }

    async fn delivery(&self, token: TokenId, target: &str) -> Result<Option<DeliveryRow>, StoreError> {
        let target = target.to_owned();
        self.read(move |connection| deliveries::delivery(connection, token, &target)).await
    }

    async fn deliveries(&self, after: Option<(TokenId, &str)>, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        let after = after.map(|(token, target)| (token, target.to_owned()));
        self.read(move |connection| {
            let after = after.as_ref().map(|(token, target)| (*token, target.as_str()));
            deliveries::deliveries(connection, after, limit)
        })
        .await
    }

    async fn due_deliveries(&self, target: &str, now: Wall, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        let target = target.to_owned();
        self.read(move |connection| deliveries::due(connection, &target, now, limit)).await
    }

    async fn next_delivery(&self, target: &str, now: Wall) -> Result<Option<Wall>, StoreError> {
        let target = target.to_owned();
        self.read(move |connection| deliveries::next(connection, &target, now)).await
    }

    async fn deliveries_behind(
        &self,
        target: &str,
        after: Option<(Wall, TokenId)>,
        until: Wall,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let target = target.to_owned();
        self.read(move |connection| deliveries::behind(connection, &target, after, until, limit)).await
    }

    async fn definition(&self, kind: DefinitionKind, name: &str) -> Result<Option<DefinitionRow>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| reads::definition(connection, kind, &name)).await
    }

    async fn definitions(&self, kind: DefinitionKind) -> Result<Vec<DefinitionRow>, StoreError> {
        self.read(move |connection| reads::definitions(connection, kind)).await
    }

    async fn keyring(&self) -> Result<Vec<KeyringRow>, StoreError> {
        self.read(reads::keyring).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // First, since a write to a file that nobody finds again succeeds.
        let identity = Arc::clone(&self.identity);
        self.read(move |_| identity.check()).await?;
        self.write(|answer| Job::Probe { answer }).await
    }
}
