//! The store in memory: the reference, and the store of tests and simulations.

mod outbox;
mod tables;
mod target;

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use renewal::Wall;
use vault::{SecretName, VaultName, VersionId};

use crate::port::{Claim, CommitError, Lease, Store, StoreError, Write};
use crate::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenId,
    TokenRow, VersionRow,
};

use tables::Tables;
pub use target::{MemoryTarget, MemoryVersion, Mishap, TargetCalls};

/// A [`Store`] in memory. It answers at once, is lost with the process, and fails on demand.
///
/// It is written to be obviously right rather than fast: batches go into ordered maps behind one mutex, and which token is
/// due is found by looking at every one.
///
/// A clone is a second handle of the same epoch, as a second task of one process would hold. [`reopen`](Self::reopen)
/// is a crash and a restart.
#[derive(Clone)]
pub struct MemoryStore {
    world: Arc<Mutex<World>>,
    /// The epoch that this handle belongs to. It is dead once the world has a later one.
    epoch: u64,
}

struct World {
    tables: Tables,
    epoch: u64,
    full: bool,
    unreachable: bool,
    unknown_next: Option<Fate>,
}

/// What really became of a commit whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The batch was written before the answer was lost.
    Written,
    /// The batch never arrived.
    Lost,
}

impl MemoryStore {
    /// An empty store in its first epoch.
    pub fn new() -> Self {
        let world = World { tables: Tables::default(), epoch: 1, full: false, unreachable: false, unknown_next: None };
        Self { world: Arc::new(Mutex::new(world)), epoch: 1 }
    }

    /// The process dies and the next one opens the store: the data stays, the leases end, every fault is over. The
    /// handles of the earlier epoch answer [`StoreError::Unavailable`] from now on and change nothing.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut world = self.lock();
        world.epoch += 1;
        world.tables.end_leases();
        (world.full, world.unreachable, world.unknown_next) = (false, false, None);
        Self { world: Arc::clone(&self.world), epoch: world.epoch }
    }

    /// While `full`, every write fails with [`StoreError::Full`]; reads go on.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// While `unreachable`, everything fails with [`StoreError::Unavailable`], and nothing is written.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }

    /// The next commit answers [`StoreError::Unavailable`], whatever became of it. A commit that conflicts answers
    /// so, and the one after it is the next.
    pub fn fail_next_commit_unknown(&self, fate: Fate) {
        self.lock().unknown_next = Some(fate);
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic between two changes of a batch can only come from a broken invariant of this file, and the test
        // that caused it has failed already.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let world = self.lock();
        world.reachable(self.epoch)?;
        read(&world.tables)
    }

    fn write<T, E: From<StoreError>>(&self, write: impl FnOnce(&mut World) -> Result<T, E>) -> Result<T, E> {
        let mut world = self.lock();
        world.reachable(self.epoch)?;
        if world.full {
            return Err(StoreError::Full.into());
        }
        write(&mut world)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MemoryStore(epoch {})", self.epoch)
    }
}

impl World {
    fn reachable(&self, epoch: u64) -> Result<(), StoreError> {
        if self.epoch != epoch {
            return Err(StoreError::Unavailable("a later process has opened it".to_owned()));
        }
        if self.unreachable {
            return Err(StoreError::Unavailable("it is set to be unreachable".to_owned()));
        }
        Ok(())
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<(), CommitError> {
        let lost = || StoreError::Unavailable("the answer was lost".to_owned()).into();
        if self.unknown_next == Some(Fate::Lost) {
            self.unknown_next = None;
            return Err(lost());
        }
        self.tables.commit(writes)?;
        if self.unknown_next.take().is_some() { Err(lost()) } else { Ok(()) }
    }
}

impl Store for MemoryStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        self.write(|world| world.commit(writes))
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Lease>, StoreError> {
        self.write(|world| Ok(world.tables.claim(claim)))
    }

    async fn release(&self, lease: Lease, due: Wall) -> Result<(), StoreError> {
        self.write(|world| {
            world.tables.release(lease, due);
            Ok(())
        })
    }

    async fn current(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(SecretRow, VersionRow)>, StoreError> {
        self.read(|tables| tables.current(vault, name))
    }

    async fn version(
        &self,
        vault: &VaultName,
        name: &SecretName,
        version: VersionId,
    ) -> Result<Option<VersionRow>, StoreError> {
        self.read(|tables| Ok(tables.version(vault, name, version)))
    }

    async fn secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(SecretRow, VersionRow)>, StoreError> {
        self.read(|tables| tables.secrets(vault, after, limit))
    }

    async fn deleted_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(DeletedSecretRow, VersionRow)>, StoreError> {
        self.read(|tables| tables.deleted_secret(vault, name))
    }

    async fn deleted_secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(DeletedSecretRow, VersionRow)>, StoreError> {
        self.read(|tables| Ok(tables.deleted_secrets(vault, after, limit)))
    }

    async fn to_purge(&self, now: i64, limit: usize) -> Result<Vec<(VaultName, SecretName)>, StoreError> {
        self.read(|tables| Ok(tables.to_purge(now, limit)))
    }

    async fn versions(
        &self,
        vault: &VaultName,
        name: &SecretName,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<VersionRow>, StoreError> {
        self.read(|tables| Ok(tables.versions(vault, name, after, limit)))
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
        self.read(|tables| Ok(tables.token(id)))
    }

    async fn token_of(&self, vault: &VaultName, name: &SecretName) -> Result<Option<TokenRow>, StoreError> {
        self.read(|tables| Ok(tables.token_of(vault, name)))
    }

    async fn tokens(&self, after: Option<TokenId>, limit: usize) -> Result<Vec<TokenRow>, StoreError> {
        self.read(|tables| Ok(tables.tokens(after, limit)))
    }

    async fn due(&self, now: Wall, per_lane: usize) -> Result<Vec<TokenRow>, StoreError> {
        self.read(|tables| Ok(tables.due(now, per_lane)))
    }

    async fn next_due(&self, now: Wall) -> Result<Option<Wall>, StoreError> {
        self.read(|tables| Ok(tables.next_due(now)))
    }

    async fn attempts(&self, token: TokenId, before: Option<u64>, limit: usize) -> Result<Vec<AttemptRow>, StoreError> {
        self.read(|tables| Ok(tables.attempts(token, before, limit)))
    }

    async fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        self.read(|tables| Ok(tables.lanes()))
    }

    async fn delivery(&self, token: TokenId, target: &str) -> Result<Option<DeliveryRow>, StoreError> {
        self.read(|tables| Ok(tables.delivery(token, target)))
    }

    async fn deliveries(&self, after: Option<(TokenId, &str)>, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        self.read(|tables| Ok(tables.deliveries(after, limit)))
    }

    async fn due_deliveries(&self, target: &str, now: Wall, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        self.read(|tables| Ok(tables.due_deliveries(target, now, limit)))
    }

    async fn next_delivery(&self, target: &str, now: Wall) -> Result<Option<Wall>, StoreError> {
        self.read(|tables| Ok(tables.next_delivery(target, now)))
    }

    async fn deliveries_behind(
        &self,
        target: &str,
        after: Option<(Wall, TokenId)>,
        until: Wall,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        self.read(|tables| Ok(tables.deliveries_behind(target, after, until, limit)))
    }

    async fn definition(&self, kind: DefinitionKind, name: &str) -> Result<Option<DefinitionRow>, StoreError> {
        self.read(|tables| Ok(tables.definition(kind, name)))
    }

    async fn definitions(&self, kind: DefinitionKind) -> Result<Vec<DefinitionRow>, StoreError> {
        self.read(|tables| Ok(tables.definitions(kind)))
    }

    async fn keyring(&self) -> Result<Vec<KeyringRow>, StoreError> {
        self.read(|tables| Ok(tables.keyring()))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use vault::VaultName;

    use super::{Fate, MemoryStore};
    use crate::contract::sample::{keyring, token};
    use crate::contract::{Opener, block_on};
    use crate::{Claim, CommitError, Store, StoreError, Write};

    struct InMemory;

    impl Opener for InMemory {
        type Store = MemoryStore;

        async fn fresh(&self) -> MemoryStore {
            MemoryStore::new()
        }

        async fn reopen(&self, store: MemoryStore) -> MemoryStore {
            store.reopen()
        }
    }

    crate::store_contract!(InMemory);

    #[test]
    fn a_full_store_refuses_writes_and_answers_reads() {
        let store = MemoryStore::new();
        block_on(store.commit(vec![keyring(1)])).expect("there is room");
        store.set_full(true);
        assert_eq!(block_on(store.commit(vec![keyring(2)])), Err(CommitError::Store(StoreError::Full)));
        assert_eq!(block_on(store.probe()), Err(StoreError::Full));
        assert_eq!(block_on(store.keyring()).expect("reads go on").len(), 1);
        store.set_full(false);
        block_on(store.commit(vec![keyring(2)])).expect("there is room again");
    }

    #[test]
    fn a_commit_of_unknown_fate_was_written_or_was_not() {
        for (fate, rows) in [(Fate::Written, 1), (Fate::Lost, 0)] {
            let store = MemoryStore::new();
            store.fail_next_commit_unknown(fate);
            let answer = block_on(store.commit(vec![keyring(1)]));
            assert!(matches!(answer, Err(CommitError::Store(StoreError::Unavailable(_)))), "{fate:?}");
            assert_eq!(block_on(store.keyring()).expect("it can be read").len(), rows, "{fate:?}");
            block_on(store.commit(vec![keyring(2)])).expect("only one commit fails");
        }
    }

    #[test]
    fn a_handle_of_an_earlier_epoch_is_dead() {
        let store = MemoryStore::new();
        let row = token(1);
        block_on(store.commit(vec![Write::Token { row: row.clone(), replaces: None, releases: None }]))
            .expect("the store is empty");
        let next = store.reopen();
        let claim = Claim { token: row.id, parent: row.generation };
        assert!(matches!(block_on(store.claim(claim)), Err(StoreError::Unavailable(_))));
        assert!(block_on(next.claim(claim)).expect("the new process may").is_some());
    }

    #[test]
    fn an_unreachable_store_fails_and_writes_nothing() {
        let store = MemoryStore::new();
        store.set_unreachable(true);
        let vault = VaultName::parse("contoso").expect("it is a name");
        assert!(matches!(block_on(store.secrets(&vault, None, 1)), Err(StoreError::Unavailable(_))));
        assert!(block_on(store.commit(vec![keyring(1)])).is_err());
        store.set_unreachable(false);
        assert!(block_on(store.keyring()).expect("it can be reached").is_empty());
    }
}
