//! Random histories, led through a store and the [`MemoryStore`] side by side.
//!
//! A history is a seed: the same seed asks the same things in the same order, so that a failure can be looked at again
//! with [`compare`] alone. The names and numbers are few, so that writes meet often.

use std::collections::{BTreeMap, BTreeSet};

use renewal::Wall;
use vault::{SecretName, VaultName};

use super::Opener;
use super::facts::Facts;
use super::sample::{name, sealed, token_id, vault_named, version_id};
use crate::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, Origin, SecretRow,
    TokenRow, VersionRow,
};
use crate::{Claim, CommitError, Lease, MemoryStore, Store, StoreError, Write};

/// How many histories [`random_histories_agree_with_the_memory_store`] goes through.
pub const HISTORIES: u64 = 24;
/// How many steps each of them has.
pub const STEPS: usize = 80;

const VAULTS: [&str; 2] = ["contoso", "fabrikam"];
const NAMES: [&str; 4] = ["a", "B", "c-1", "c1"];
const LANES: [&str; 3] = ["a.example", "b.example", "c.example"];
const DEFINITIONS: [&str; 3] = ["one", "two", "contoso/one"];
const TARGETS: [&str; 2] = ["fabrikam", "files"];
const TOKENS: u64 = 6;
const VERSIONS: u64 = 8;
const INSTANTS: u64 = 40;

/// Whatever happens to them, both stores answer the same and hold the same.
pub async fn random_histories_agree_with_the_memory_store(opener: &impl Opener) {
    for seed in 0..HISTORIES {
        compare(opener, seed, STEPS).await;
    }
}

/// Leads one history of so many steps. Panics, with the seed and the step, where the stores part.
pub async fn compare(opener: &impl Opener, seed: u64, steps: usize) {
    let mut history = History { random: Random(seed), model: MemoryStore::new(), leases: Vec::new(), records: 0 };
    let mut store = opener.fresh().await;
    for step in 0..steps {
        let place = format!("seed {seed}, step {step}");
        if history.random.one_in(20) {
            store = opener.reopen(store).await;
            history.model = history.model.reopen();
        } else {
            history.step(&store, &place).await;
        }
        history.compare_schedule(&store, &place).await;
        if step % 8 == 0 || step + 1 == steps {
            compare_tables(&history.model, &store, &place).await;
        }
    }
}

struct History {
    random: Random,
    model: MemoryStore,
    /// Every lease that was ever given.
    leases: Vec<Lease>,
    /// How many records were made.
    records: u64,
}

impl History {
    /// Asks both for one thing that changes them.
    async fn step(&mut self, store: &impl Store, place: &str) {
        match self.random.below(10) {
            0 | 1 => {
                let token = token_id(self.random.below(TOKENS));
                let row = self.model.token(token).await.expect("the model answers");
                let parent = row.map_or(0, |row| row.generation) + u64::from(self.random.one_in(5));
                let claim = Claim { token, parent };
                let given = self.model.claim(claim).await;
                assert_eq!(store.claim(claim).await, given, "{place}: {claim:?}");
                self.leases.extend(given.expect("the model answers"));
            }
            2 if !self.leases.is_empty() => {
                let (lease, due) = (*self.random.of(&self.leases), self.instant());
                assert_eq!(store.release(lease, due).await, self.model.release(lease, due).await, "{place}: {lease:?}");
            }
            _ => {
                let mut batch = Vec::new();
                for _ in 0..=self.random.below(4) {
                    batch.push(self.write().await);
                }
                // A write is no Clone, on purpose, so both stores get one made from the same numbers.
                let answer = store.commit(batch.iter().map(twin).collect()).await;
                let expected: Result<(), CommitError> = self.model.commit(batch).await;
                assert_eq!(answer, expected, "{place}: a commit");
            }
        }
    }

    /// A write that is likely to be accepted, and may well not be.
    async fn write(&mut self) -> Write {
        match self.random.below(21) {
            0 | 1 => self.secret().await,
            2 | 3 => Write::Version(self.version()),
            4 => {
                let mut row = self.version();
                let known = self.model.versions(&row.vault, &row.name, None, 99).await.expect("the model answers");
                let Some(old) = (!known.is_empty()).then(|| self.random.of(&known)) else {
                    return Write::Version(row);
                };
                row.version = old.version;
                let replaces = if self.random.one_in(5) { sealed(self.random.below(9)) } else { old.sealed.clone() };
                Write::AmendVersion { row, replaces: replaces.tag() }
            }
            5 => {
                let (vault, name) = self.key();
                let keep = u32::try_from(self.random.below(5)).expect("it is below 5");
                Write::KeepVersions { vault, name, keep }
            }
            6..=8 => {
                let row = self.token();
                let old = self.model.token(row.id).await.expect("the model answers");
                let releases = old.as_ref().map(|old| old.fence).filter(|_| self.random.one_in(2));
                let replaces = if self.random.one_in(6) { None } else { old.map(|old| old.sealed.tag()) };
                Write::Token { row, replaces, releases }
            }
            9 if self.random.one_in(2) => Write::RemoveToken(token_id(self.random.below(TOKENS))),
            9 | 10 => {
                let (vault, name) = self.key();
                Write::Hasten { vault, name, due: self.instant() }
            }
            11 => {
                let key = (*self.random.of(&LANES)).to_owned();
                Write::Lane(LaneRow { key, open_at: self.instant(), sealed: self.record() })
            }
            12 => Write::Attempt(AttemptRow {
                token: token_id(self.random.below(TOKENS)),
                number: self.random.below(12),
                started: self.instant(),
                sealed: self.record(),
            }),
            13 => {
                let keep = u32::try_from(self.random.below(5)).expect("it is below 5");
                Write::KeepAttempts { token: token_id(self.random.below(TOKENS)), keep }
            }
            14 => self.definition().await,
            15 | 16 => {
                let row = self.delivery();
                if self.random.one_in(8) {
                    return Write::RemoveDelivery { token: row.token, target: row.target };
                }
                let old = self.model.delivery(row.token, &row.target).await.expect("the model answers");
                let replaces = if self.random.one_in(6) { None } else { old.map(|old| old.sealed.tag()) };
                Write::Delivery { row, replaces }
            }
            17 => {
                let (token, due, behind) = (token_id(self.random.below(TOKENS)), self.instant(), self.instant());
                Write::Deliver { token, due, behind }
            }
            18 | 19 => self.deletion().await,
            _ => {
                let term = u32::try_from(self.random.below(3)).expect("it is below 3");
                Write::Keyring(KeyringRow { term, wrapped: self.record().as_bytes().to_vec() })
            }
        }
    }

    async fn secret(&mut self) -> Write {
        let (vault, name) = self.key();
        let known = self.model.versions(&vault, &name, None, 99).await.expect("the model answers");
        let current = if known.is_empty() { version_id(0) } else { self.random.of(&known).version };
        let keep_versions = self.random.one_in(2).then_some(25);
        let changed = self.seconds();
        let old = self.model.current(&vault, &name).await;
        let row = SecretRow { vault, name, current, changed, keep_versions, sealed: self.record() };
        let old = old.ok().flatten().filter(|_| !self.random.one_in(6));
        Write::Secret { row, replaces: old.map(|(old, _)| old.sealed.tag()) }
    }

    /// A deletion, or what ends one.
    async fn deletion(&mut self) -> Write {
        let (vault, name) = self.key();
        let live = self.model.current(&vault, &name).await.ok().flatten().map(|(row, _)| row);
        let deleted = self.model.deleted_secret(&vault, &name).await.ok().flatten().map(|(row, _)| row);
        let (deleted_at, purged_at) = (self.seconds(), self.seconds());
        let known = live.as_ref().or(deleted.as_ref().map(|row| &row.secret));
        let current = known.map_or(version_id(0), |known| known.current);
        let secret =
            SecretRow { vault, name, current, changed: deleted_at, keep_versions: None, sealed: self.record() };
        let replaces = match known {
            Some(known) if !self.random.one_in(6) => known.sealed.tag(),
            _ => sealed(self.random.below(9)).tag(),
        };
        let row = DeletedSecretRow { secret, deleted: deleted_at, purged_at };
        match self.random.below(if deleted.is_some() { 4 } else { 6 }) {
            0 => Write::RecoverSecret { row: row.secret, replaces },
            1 => Write::PurgeSecret { vault: row.secret.vault, name: row.secret.name, replaces },
            2 => Write::AmendDeletedSecret { row, replaces },
            _ => Write::DeleteSecret { row, replaces },
        }
    }

    fn version(&mut self) -> VersionRow {
        let (vault, name) = self.key();
        VersionRow {
            vault,
            name,
            version: version_id(self.random.below(VERSIONS)),
            created: self.seconds(),
            enabled: self.random.one_in(2),
            not_before: self.random.one_in(2).then(|| self.seconds()),
            expires: self.random.one_in(2).then(|| self.seconds()),
            generation: self.random.below(5),
            sealed: self.record(),
        }
    }

    fn token(&mut self) -> TokenRow {
        let (vault, name) = self.key();
        TokenRow {
            id: token_id(self.random.below(TOKENS)),
            vault,
            name,
            lane: (*self.random.of(&LANES)).to_owned(),
            due: self.instant(),
            expiry: self.instant(),
            generation: self.random.below(6),
            fence: self.random.below(9),
            leased: self.random.one_in(2),
            sealed: self.record(),
        }
    }

    fn delivery(&mut self) -> DeliveryRow {
        DeliveryRow {
            token: token_id(self.random.below(TOKENS)),
            target: (*self.random.of(&TARGETS)).to_owned(),
            due: self.instant(),
            asked: self.random.below(3),
            behind: self.instant(),
            expiry: self.instant(),
            generation: self.random.below(6),
            sealed: self.record(),
        }
    }

    async fn definition(&mut self) -> Write {
        let kind = *self.random.of(&[DefinitionKind::App, DefinitionKind::Policy]);
        let name = (*self.random.of(&DEFINITIONS)).to_owned();
        if self.random.one_in(5) {
            return Write::RemoveDefinition { kind, name };
        }
        let old = self.model.definition(kind, &name).await.expect("the model answers");
        let origin = *self.random.of(&[Origin::File, Origin::Admin, Origin::Vestal]);
        let removed = self.random.one_in(2).then(|| self.seconds());
        let row = DefinitionRow { kind, name, origin, removed, sealed: self.record() };
        if self.random.one_in(2) {
            return Write::Definition(row);
        }
        let replaces = if self.random.one_in(5) { None } else { old.map(|old| old.sealed.tag()) };
        Write::AmendDefinition { row, replaces }
    }

    fn key(&mut self) -> (VaultName, SecretName) {
        let (vault, name_of) = (self.random.of::<&str>(&VAULTS), self.random.of::<&str>(&NAMES));
        (vault_named(vault), name(name_of))
    }

    fn record(&mut self) -> vault::Sealed {
        self.records += 1;
        sealed(1_000 + self.records)
    }

    fn seconds(&mut self) -> i64 {
        i64::try_from(self.random.below(100)).expect("it is below 100")
    }

    fn instant(&mut self) -> Wall {
        match self.random.below(8) {
            0 => Wall::NEVER,
            1 => Wall(0),
            _ => Wall(i64::try_from(self.random.below(INSTANTS)).expect("it is small")),
        }
    }

    /// The contract leaves the order of lanes open, and that of tokens that die at the same instant.
    async fn compare_schedule(&mut self, store: &impl Store, place: &str) {
        let now = self.instant();
        let per_lane = usize::try_from(self.random.below(4)).expect("it is below 4");
        let place = format!("{place}, at {now:?}, {per_lane} a lane");
        let next = self.model.next_due(now).await;
        assert_eq!(store.next_due(now).await, next, "{place}");
        for target in TARGETS {
            let next = self.model.next_delivery(target, now).await;
            assert_eq!(store.next_delivery(target, now).await, next, "{place}: to {target}");
            let due = self.model.due_deliveries(target, now, usize::MAX).await.expect("the model answers");
            let given = store.due_deliveries(target, now, per_lane).await.expect("a read");
            let expected: Vec<_> = due.iter().map(|row| (row.expiry, row.due)).take(per_lane).collect();
            assert_eq!(
                given.iter().map(|row| (row.expiry, row.due)).collect::<Vec<_>>(),
                expected,
                "{place}: to {target}"
            );
            let (given, known): (BTreeSet<_>, BTreeSet<_>) =
                (given.iter().map(Facts::facts).collect(), due.iter().map(Facts::facts).collect());
            assert!(given.is_subset(&known), "{place}: to {target}: {given:?} are not all of {known:?}");
        }
        let candidates = by_lane(self.model.due(now, usize::MAX).await.expect("the model answers"));
        let given = by_lane(store.due(now, per_lane).await.expect("a read"));
        for (lane, given) in &given {
            let known: BTreeSet<_> = candidates.get(lane).into_iter().flatten().map(Facts::facts).collect();
            let unique: BTreeSet<_> = given.iter().map(Facts::facts).collect();
            assert!(unique.is_subset(&known), "{place}, {lane}: {unique:?} are not all of {known:?}");
            assert_eq!(unique.len(), given.len(), "{place}, {lane}: a token came twice");
        }
        for (lane, candidates) in candidates {
            let expected: Vec<_> = candidates.iter().map(|row| row.expiry).take(per_lane).collect();
            let given: Vec<_> = given.get(&lane).into_iter().flatten().map(|row| row.expiry).collect();
            assert_eq!(given, expected, "{place}, {lane}");
        }
    }
}

/// Compares every row of every table, through every method that reads.
async fn compare_tables(model: &MemoryStore, store: &impl Store, place: &str) {
    assert_eq!(shown(&store.keyring().await), shown(&model.keyring().await), "{place}: keyring");
    assert_eq!(shown(&store.lanes().await), shown(&model.lanes().await), "{place}: lanes");
    for kind in DefinitionKind::ALL {
        let (given, expected) = (store.definitions(kind).await, model.definitions(kind).await);
        assert_eq!(shown(&given), shown(&expected), "{place}: definitions of {kind:?}");
        for name in DEFINITIONS {
            let (given, expected) = (store.definition(kind, name).await, model.definition(kind, name).await);
            assert_eq!(shown(&given), shown(&expected), "{place}: {kind:?} {name}");
        }
    }
    assert_eq!(shown(&store.tokens(None, 99).await), shown(&model.tokens(None, 99).await), "{place}: tokens");
    let (given, expected) = (store.deliveries(None, 99).await, model.deliveries(None, 99).await);
    assert_eq!(shown(&given), shown(&expected), "{place}: deliveries");
    for id in (0..TOKENS).map(token_id) {
        for target in TARGETS {
            let (given, expected) = (store.delivery(id, target).await, model.delivery(id, target).await);
            assert_eq!(shown(&given), shown(&expected), "{place}: {id:?} to {target}");
        }
        assert_eq!(shown(&store.token(id).await), shown(&model.token(id).await), "{place}: {id:?}");
        let (given, expected) = (store.attempts(id, None, 99).await, model.attempts(id, None, 99).await);
        assert_eq!(shown(&given), shown(&expected), "{place}: attempts of {id:?}");
    }
    for now in [-1, 20, 60, 100] {
        let (given, expected) = (store.to_purge(now, 2).await, model.to_purge(now, 2).await);
        assert_eq!(given, expected, "{place}: to purge at {now}");
    }
    for vault in VAULTS.map(vault_named) {
        let (given, expected) = (store.secrets(&vault, None, 99).await, model.secrets(&vault, None, 99).await);
        assert_eq!(shown(&given), shown(&expected), "{place}: secrets of {vault}");
        let given = store.deleted_secrets(&vault, None, 99).await;
        assert_eq!(shown(&given), shown(&model.deleted_secrets(&vault, None, 99).await), "{place}: deleted in {vault}");
        for name in NAMES.map(name) {
            let given = store.deleted_secret(&vault, &name).await;
            let expected = model.deleted_secret(&vault, &name).await;
            assert_eq!(shown(&given), shown(&expected), "{place}: deleted {}", name.folded());
            let (given, expected) = (store.current(&vault, &name).await, model.current(&vault, &name).await);
            assert_eq!(shown(&given), shown(&expected), "{place}: {}", name.folded());
            let (given, expected) = (store.token_of(&vault, &name).await, model.token_of(&vault, &name).await);
            assert_eq!(shown(&given), shown(&expected), "{place}: token of {}", name.folded());
            let given = store.versions(&vault, &name, None, 99).await;
            let expected = model.versions(&vault, &name, None, 99).await;
            assert_eq!(shown(&given), shown(&expected), "{place}: versions of {}", name.folded());
            for id in (0..VERSIONS).map(version_id) {
                let given = store.version(&vault, &name, id).await;
                let expected = model.version(&vault, &name, id).await;
                assert_eq!(shown(&given), shown(&expected), "{place}: version {id}");
            }
        }
    }
}

/// An answer as text. What is damaged may be put in other words.
fn shown<T: Facts>(answer: &Result<T, StoreError>) -> String {
    match answer {
        Ok(rows) => rows.facts(),
        Err(StoreError::Damaged(_)) => "damaged".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn by_lane(rows: Vec<TokenRow>) -> BTreeMap<String, Vec<TokenRow>> {
    let mut lanes: BTreeMap<String, Vec<TokenRow>> = BTreeMap::new();
    for row in rows {
        lanes.entry(row.lane.clone()).or_default().push(row);
    }
    lanes
}

fn twin(write: &Write) -> Write {
    match write {
        Write::Secret { row, replaces } => Write::Secret { row: row.clone(), replaces: *replaces },
        Write::DeleteSecret { row, replaces } => Write::DeleteSecret { row: row.clone(), replaces: *replaces },
        Write::AmendDeletedSecret { row, replaces } => {
            Write::AmendDeletedSecret { row: row.clone(), replaces: *replaces }
        }
        Write::RecoverSecret { row, replaces } => Write::RecoverSecret { row: row.clone(), replaces: *replaces },
        Write::PurgeSecret { vault, name, replaces } => {
            Write::PurgeSecret { vault: vault.clone(), name: name.clone(), replaces: *replaces }
        }
        Write::Version(row) => Write::Version(row.clone()),
        Write::AmendVersion { row, replaces } => Write::AmendVersion { row: row.clone(), replaces: *replaces },
        Write::KeepVersions { vault, name, keep } => {
            Write::KeepVersions { vault: vault.clone(), name: name.clone(), keep: *keep }
        }
        Write::Token { row, replaces, releases } => {
            Write::Token { row: row.clone(), replaces: *replaces, releases: *releases }
        }
        Write::RemoveToken(id) => Write::RemoveToken(*id),
        Write::Hasten { vault, name, due } => Write::Hasten { vault: vault.clone(), name: name.clone(), due: *due },
        Write::Lane(row) => Write::Lane(row.clone()),
        Write::Attempt(row) => Write::Attempt(row.clone()),
        Write::KeepAttempts { token, keep } => Write::KeepAttempts { token: *token, keep: *keep },
        Write::Delivery { row, replaces } => Write::Delivery { row: row.clone(), replaces: *replaces },
        Write::RemoveDelivery { token, target } => Write::RemoveDelivery { token: *token, target: target.clone() },
        Write::Deliver { token, due, behind } => Write::Deliver { token: *token, due: *due, behind: *behind },
        Write::Definition(row) => Write::Definition(row.clone()),
        Write::AmendDefinition { row, replaces } => Write::AmendDefinition { row: row.clone(), replaces: *replaces },
        Write::RemoveDefinition { kind, name } => Write::RemoveDefinition { kind: *kind, name: name.clone() },
        Write::Keyring(row) => Write::Keyring(row.clone()),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to lead a history.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.next() % choices.len() as u64).expect("it is below the length")]
    }
}
