//! The tables, one ordered map each, and what a batch does to them.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use renewal::Wall;
use vault::{RecordTag, SecretName, VaultName, VersionId};

use super::outbox::{DeliveryKey, Outbox};
use crate::port::{Claim, CommitError, Lease, StoreError, Write};
use crate::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenId,
    TokenRow, VersionRow,
};

type SecretKey = (VaultName, SecretName);
type VersionKey = (VaultName, SecretName, VersionId);

#[derive(Default)]
pub(super) struct Tables {
    secrets: BTreeMap<SecretKey, SecretRow>,
    deleted_secrets: BTreeMap<SecretKey, DeletedSecretRow>,
    versions: BTreeMap<VersionKey, Numbered<VersionRow>>,
    tokens: BTreeMap<TokenId, Numbered<TokenRow>>,
    tokens_by_name: BTreeMap<SecretKey, TokenId>,
    lanes: BTreeMap<String, LaneRow>,
    attempts: BTreeMap<(TokenId, u64), AttemptRow>,
    deliveries: Outbox,
    definitions: BTreeMap<(DefinitionKind, String), DefinitionRow>,
    keyring: BTreeMap<u32, KeyringRow>,
    /// How many rows were ever numbered.
    numbered: u64,
}

/// A row that remembers when it came: the number is that of its insertion, and stays when the row is replaced.
#[derive(Clone)]
struct Numbered<R> {
    number: u64,
    row: R,
}

/// What stood under a key before a batch changed it.
enum Before {
    Secret(SecretKey, Option<SecretRow>),
    DeletedSecret(SecretKey, Option<DeletedSecretRow>),
    Version(VersionKey, Option<Numbered<VersionRow>>),
    Token(TokenId, Option<Numbered<TokenRow>>),
    Lane(String, Option<LaneRow>),
    Attempt((TokenId, u64), Option<AttemptRow>),
    Delivery(DeliveryKey, Option<DeliveryRow>),
    Definition((DefinitionKind, String), Option<DefinitionRow>),
    Keyring(u32, Option<KeyringRow>),
}

impl Tables {
    pub(super) fn commit(&mut self, writes: Vec<Write>) -> Result<(), CommitError> {
        let mut log = Vec::new();
        for write in writes {
            if let Err(conflict) = self.apply(write, &mut log) {
                for before in log.into_iter().rev() {
                    self.put(before);
                }
                return Err(conflict);
            }
        }
        Ok(())
    }

    pub(super) fn claim(&mut self, claim: Claim) -> Option<Lease> {
        let token = &mut self.tokens.get_mut(&claim.token)?.row;
        if token.leased || token.generation != claim.parent {
            return None;
        }
        token.fence += 1;
        token.leased = true;
        Some(Lease { token: claim.token, fence: token.fence })
    }

    pub(super) fn release(&mut self, lease: Lease, due: Wall) {
        let Some(Numbered { row: token, .. }) = self.tokens.get_mut(&lease.token) else {
            return;
        };
        if token.leased && token.fence == lease.fence {
            token.leased = false;
            if token.due != Wall::NEVER {
                token.due = due;
            }
        }
    }

    pub(super) fn end_leases(&mut self) {
        for token in self.tokens.values_mut() {
            token.row.leased = false;
        }
    }

    pub(super) fn current(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(SecretRow, VersionRow)>, StoreError> {
        let secret = self.secrets.get(&(vault.clone(), name.clone()));
        secret.map(|secret| self.with_current(secret)).transpose()
    }

    pub(super) fn version(&self, vault: &VaultName, name: &SecretName, version: VersionId) -> Option<VersionRow> {
        let key = (vault.clone(), name.clone(), version);
        self.versions.get(&key).map(|version| version.row.clone())
    }

    pub(super) fn secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Result<Vec<(SecretRow, VersionRow)>, StoreError> {
        let of_vault = self.secrets.values().filter(|secret| secret.vault == *vault);
        let rest = of_vault.filter(|secret| after.is_none_or(|after| secret.name > *after));
        Ok(rest.take(limit).map(|secret| (secret.clone(), self.listed_current(secret))).collect())
    }

    pub(super) fn deleted_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> Result<Option<(DeletedSecretRow, VersionRow)>, StoreError> {
        let deleted = self.deleted_secrets.get(&(vault.clone(), name.clone()));
        deleted.map(|deleted| Ok((deleted.clone(), self.with_current(&deleted.secret)?.1))).transpose()
    }

    pub(super) fn deleted_secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> Vec<(DeletedSecretRow, VersionRow)> {
        let of_vault = self.deleted_secrets.values().filter(|deleted| deleted.secret.vault == *vault);
        let rest = of_vault.filter(|deleted| after.is_none_or(|after| deleted.secret.name > *after));
        rest.take(limit).map(|deleted| (deleted.clone(), self.listed_current(&deleted.secret))).collect()
    }

    pub(super) fn to_purge(&self, now: i64, limit: usize) -> Vec<(VaultName, SecretName)> {
        let mut due: Vec<_> = self.deleted_secrets.iter().filter(|(_, deleted)| deleted.purged_at <= now).collect();
        due.sort_by_key(|(key, deleted)| (deleted.purged_at, (*key).clone()));
        due.into_iter().take(limit).map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn versions(
        &self,
        vault: &VaultName,
        name: &SecretName,
        after: Option<VersionId>,
        limit: usize,
    ) -> Vec<VersionRow> {
        let versions = self.versions_of(vault, name).map(|(_, version)| &version.row);
        versions.filter(|row| after.is_none_or(|after| row.version > after)).take(limit).cloned().collect()
    }

    pub(super) fn token(&self, id: TokenId) -> Option<TokenRow> {
        self.tokens.get(&id).map(|token| token.row.clone())
    }

    pub(super) fn token_of(&self, vault: &VaultName, name: &SecretName) -> Option<TokenRow> {
        let id = self.tokens_by_name.get(&(vault.clone(), name.clone()))?;
        self.token(*id)
    }

    pub(super) fn tokens(&self, after: Option<TokenId>, limit: usize) -> Vec<TokenRow> {
        let start = after.map_or(Unbounded, Excluded);
        let rest = self.tokens.range((start, Unbounded));
        rest.take(limit).map(|(_, token)| token.row.clone()).collect()
    }

    pub(super) fn due(&self, now: Wall, per_lane: usize) -> Vec<TokenRow> {
        // Not even then is a lane open that never opens.
        let now = now.min(Wall(Wall::NEVER.0 - 1));
        let mut lanes: BTreeMap<&str, Vec<&Numbered<TokenRow>>> = BTreeMap::new();
        for token in self.waiting().filter(|token| self.ready_at(&token.row) <= now) {
            lanes.entry(&token.row.lane).or_default().push(token);
        }
        let mut due = Vec::new();
        for mut lane in lanes.into_values() {
            lane.sort_by_key(|token| (token.row.expiry, token.row.due, token.number));
            due.extend(lane.into_iter().take(per_lane).map(|token| token.row.clone()));
        }
        due
    }

    pub(super) fn next_due(&self, now: Wall) -> Option<Wall> {
        let instants = self.waiting().map(|token| self.ready_at(&token.row));
        instants.filter(|at| *at > now && *at != Wall::NEVER).min()
    }

    pub(super) fn attempts(&self, token: TokenId, before: Option<u64>, limit: usize) -> Vec<AttemptRow> {
        let end = before.map_or(Included((token, u64::MAX)), |before| Excluded((token, before)));
        let earlier = self.attempts.range((Included((token, 0)), end));
        earlier.rev().take(limit).map(|(_, attempt)| attempt.clone()).collect()
    }

    pub(super) fn lanes(&self) -> Vec<LaneRow> {
        self.lanes.values().cloned().collect()
    }

    pub(super) fn delivery(&self, token: TokenId, target: &str) -> Option<DeliveryRow> {
        self.deliveries.get(token, target).cloned()
    }

    pub(super) fn deliveries(&self, after: Option<(TokenId, &str)>, limit: usize) -> Vec<DeliveryRow> {
        self.deliveries.after(after, limit)
    }

    pub(super) fn due_deliveries(&self, target: &str, now: Wall, limit: usize) -> Vec<DeliveryRow> {
        self.deliveries.due(target, now, limit)
    }

    pub(super) fn next_delivery(&self, target: &str, now: Wall) -> Option<Wall> {
        self.deliveries.next_due(target, now)
    }

    pub(super) fn deliveries_behind(
        &self,
        target: &str,
        after: Option<(Wall, TokenId)>,
        until: Wall,
        limit: usize,
    ) -> Vec<DeliveryRow> {
        self.deliveries.behind(target, after, until, limit)
    }

    pub(super) fn definition(&self, kind: DefinitionKind, name: &str) -> Option<DefinitionRow> {
        self.definitions.get(&(kind, name.to_owned())).cloned()
    }

    pub(super) fn definitions(&self, kind: DefinitionKind) -> Vec<DefinitionRow> {
        self.definitions.values().filter(|row| row.kind == kind).cloned().collect()
    }

    pub(super) fn keyring(&self) -> Vec<KeyringRow> {
        self.keyring.values().cloned().collect()
    }

    /// Makes one change, and notes in `log` how to take it back.
    fn apply(&mut self, write: Write, log: &mut Vec<Before>) -> Result<(), CommitError> {
        match write {
            Write::Secret { mut row, replaces } => {
                row.name = folded(&row.name);
                let key = (row.vault.clone(), row.name.clone());
                expect(self.secrets.get(&key).map(|old| old.sealed.tag()) == replaces)?;
                expect(!self.deleted_secrets.contains_key(&key))?;
                log.push(self.put(Before::Secret(key, Some(row))));
            }
            Write::DeleteSecret { mut row, replaces } => {
                row.secret.name = folded(&row.secret.name);
                let key = (row.secret.vault.clone(), row.secret.name.clone());
                expect(self.secrets.get(&key).is_some_and(|old| old.sealed.tag() == replaces))?;
                log.push(self.put(Before::Secret(key.clone(), None)));
                log.push(self.put(Before::DeletedSecret(key, Some(row))));
            }
            Write::AmendDeletedSecret { mut row, replaces } => {
                row.secret.name = folded(&row.secret.name);
                let key = self.expect_deleted((row.secret.vault.clone(), row.secret.name.clone()), replaces)?;
                log.push(self.put(Before::DeletedSecret(key, Some(row))));
            }
            Write::RecoverSecret { mut row, replaces } => {
                row.name = folded(&row.name);
                let key = self.expect_deleted((row.vault.clone(), row.name.clone()), replaces)?;
                log.push(self.put(Before::DeletedSecret(key.clone(), None)));
                log.push(self.put(Before::Secret(key, Some(row))));
            }
            Write::PurgeSecret { vault, name, replaces } => {
                let key = self.expect_deleted((vault, name), replaces)?;
                let versions: Vec<_> = self.versions_of(&key.0, &key.1).map(|(version, _)| version.clone()).collect();
                log.extend(versions.into_iter().map(|version| self.put(Before::Version(version, None))));
                log.push(self.put(Before::DeletedSecret(key, None)));
            }
            Write::Version(row) => {
                expect(self.version(&row.vault, &row.name, row.version).is_none())?;
                let number = self.next_number();
                log.push(self.put_version(number, row));
            }
            Write::AmendVersion { row, replaces } => {
                let key = (row.vault.clone(), row.name.clone(), row.version);
                let old = self.versions.get(&key).ok_or(CommitError::Conflict)?;
                expect(old.row.sealed.tag() == replaces)?;
                log.push(self.put_version(old.number, row));
            }
            Write::KeepVersions { vault, name, keep } => self.keep_versions(&vault, &name, keep, log),
            Write::Token { row, replaces: None, releases: _ } => {
                let number = self.next_number();
                expect(!self.tokens.contains_key(&row.id))?;
                let row = TokenRow { fence: 0, leased: false, ..row };
                log.push(self.put_token(number, row)?);
            }
            Write::Token { row, replaces: Some(replaces), releases } => {
                let old = self.tokens.get(&row.id).ok_or(CommitError::Conflict)?;
                expect(old.row.sealed.tag() == replaces && row.generation >= old.row.generation)?;
                let leased = old.row.leased && releases != Some(old.row.fence);
                let row = TokenRow { fence: old.row.fence, leased, ..row };
                log.push(self.put_token(old.number, row)?);
            }
            Write::RemoveToken(id) => {
                for attempt in self.attempts(id, None, usize::MAX) {
                    log.push(self.put(Before::Attempt((id, attempt.number), None)));
                }
                for delivery in self.deliveries.of_token(id) {
                    log.push(self.put(Before::Delivery((id, delivery.target), None)));
                }
                log.push(self.put(Before::Token(id, None)));
            }
            Write::Hasten { vault, name, due } => {
                if let Some(id) = self.tokens_by_name.get(&(vault, name)) {
                    let mut token = self.tokens[id].clone();
                    if token.row.due != Wall::NEVER {
                        token.row.due = token.row.due.min(due);
                    }
                    log.push(self.put(Before::Token(*id, Some(token))));
                }
            }
            Write::Lane(row) => log.push(self.put(Before::Lane(row.key.clone(), Some(row)))),
            Write::Attempt(row) => log.push(self.put(Before::Attempt((row.token, row.number), Some(row)))),
            Write::KeepAttempts { token, keep } => {
                let keep = usize::try_from(keep).unwrap_or(usize::MAX);
                for attempt in self.attempts(token, None, usize::MAX).into_iter().skip(keep) {
                    log.push(self.put(Before::Attempt((token, attempt.number), None)));
                }
            }
            Write::Delivery { row, replaces } => {
                let old = self.delivery(row.token, &row.target);
                expect(old.as_ref().map(|old| old.sealed.tag()) == replaces)?;
                let row = match old {
                    None => DeliveryRow { asked: 0, ..row },
                    Some(old) if old.asked == row.asked => row,
                    Some(old) => DeliveryRow { asked: old.asked, due: old.due.min(row.due), behind: old.behind, ..row },
                };
                log.push(self.put(Before::Delivery((row.token, row.target.clone()), Some(row))));
            }
            Write::RemoveDelivery { token, target } => log.push(self.put(Before::Delivery((token, target), None))),
            Write::Deliver { token, due, behind } => {
                for old in self.deliveries.of_token(token) {
                    let (due, behind) = (old.due.min(due), old.behind.min(behind));
                    let row = DeliveryRow { asked: old.asked + 1, due, behind, ..old };
                    log.push(self.put(Before::Delivery((token, row.target.clone()), Some(row))));
                }
            }
            Write::Definition(row) => log.push(self.put_definition(row)),
            Write::AmendDefinition { row, replaces } => {
                let old = self.definition(row.kind, &row.name);
                expect(old.map(|old| old.sealed.tag()) == replaces)?;
                log.push(self.put_definition(row));
            }
            Write::RemoveDefinition { kind, name } => log.push(self.put(Before::Definition((kind, name), None))),
            Write::Keyring(row) => log.push(self.put(Before::Keyring(row.term, Some(row)))),
        }
        Ok(())
    }

    /// Puts a row, or its absence, under its key. Answers what stood there.
    fn put(&mut self, change: Before) -> Before {
        match change {
            Before::Secret(key, row) => Before::Secret(key.clone(), set(&mut self.secrets, key, row)),
            Before::DeletedSecret(key, row) => {
                Before::DeletedSecret(key.clone(), set(&mut self.deleted_secrets, key, row))
            }
            Before::Version(key, row) => Before::Version(key.clone(), set(&mut self.versions, key, row)),
            Before::Token(id, token) => {
                let name = |token: &Numbered<TokenRow>| (token.row.vault.clone(), token.row.name.clone());
                let new_name = token.as_ref().map(name);
                let before = set(&mut self.tokens, id, token);
                if let Some(old_name) = before.as_ref().map(name) {
                    self.tokens_by_name.remove(&old_name);
                }
                if let Some(new_name) = new_name {
                    self.tokens_by_name.insert(new_name, id);
                }
                Before::Token(id, before)
            }
            Before::Lane(key, row) => Before::Lane(key.clone(), set(&mut self.lanes, key, row)),
            Before::Attempt(key, row) => Before::Attempt(key, set(&mut self.attempts, key, row)),
            Before::Delivery(key, row) => Before::Delivery(key.clone(), self.deliveries.set(key, row)),
            Before::Definition(key, row) => Before::Definition(key.clone(), set(&mut self.definitions, key, row)),
            Before::Keyring(term, row) => Before::Keyring(term, set(&mut self.keyring, term, row)),
        }
    }

    fn expect_deleted(&self, key: SecretKey, replaces: RecordTag) -> Result<SecretKey, CommitError> {
        let old = self.deleted_secrets.get(&key);
        expect(old.is_some_and(|old| old.secret.sealed.tag() == replaces)).map(|()| key)
    }

    fn put_version(&mut self, number: u64, mut row: VersionRow) -> Before {
        row.name = folded(&row.name);
        let key = (row.vault.clone(), row.name.clone(), row.version);
        self.put(Before::Version(key, Some(Numbered { number, row })))
    }

    fn put_token(&mut self, number: u64, mut row: TokenRow) -> Result<Before, CommitError> {
        row.name = folded(&row.name);
        let holder = self.tokens_by_name.get(&(row.vault.clone(), row.name.clone()));
        expect(holder.is_none_or(|holder| *holder == row.id))?;
        Ok(self.put(Before::Token(row.id, Some(Numbered { number, row }))))
    }

    fn put_definition(&mut self, row: DefinitionRow) -> Before {
        self.put(Before::Definition((row.kind, row.name.clone()), Some(row)))
    }

    fn keep_versions(&mut self, vault: &VaultName, name: &SecretName, keep: u32, log: &mut Vec<Before>) {
        let current = self.secrets.get(&(vault.clone(), name.clone())).map(|secret| secret.current);
        let mut versions: Vec<_> = self.versions_of(vault, name).map(|(key, version)| (version.number, key)).collect();
        let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
        let surplus = versions.len().saturating_sub(keep);
        versions.sort();
        let old = versions.into_iter().map(|(_, key)| key).filter(|(_, _, version)| current != Some(*version));
        let old: Vec<VersionKey> = old.take(surplus).cloned().collect();
        log.extend(old.into_iter().map(|key| self.put(Before::Version(key, None))));
    }

    fn next_number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    fn versions_of(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> impl Iterator<Item = (&VersionKey, &Numbered<VersionRow>)> {
        let first = (vault.clone(), name.clone(), VersionId([0; 16]));
        let last = (vault.clone(), name.clone(), VersionId([u8::MAX; 16]));
        self.versions.range(first..=last)
    }

    fn with_current(&self, secret: &SecretRow) -> Result<(SecretRow, VersionRow), StoreError> {
        let version = self.version(&secret.vault, &secret.name, secret.current).ok_or_else(|| {
            let (vault, name) = (secret.vault.as_str(), secret.name.folded());
            StoreError::Damaged(format!("table version, key {vault}/{name}: the current version is gone"))
        })?;
        Ok((secret.clone(), version))
    }

    /// The current version as a list shows it: in the place of one that is gone stands one that doesn't open.
    fn listed_current(&self, secret: &SecretRow) -> VersionRow {
        let version = self.version(&secret.vault, &secret.name, secret.current);
        version.unwrap_or_else(|| VersionRow::damaged(secret.vault.clone(), secret.name.clone(), secret.current))
    }

    /// Tokens that an instant can make due.
    fn waiting(&self) -> impl Iterator<Item = &Numbered<TokenRow>> {
        self.tokens.values().filter(|token| !token.row.leased && token.row.due != Wall::NEVER)
    }

    /// When the token is due and its lane open.
    fn ready_at(&self, token: &TokenRow) -> Wall {
        let open_at = self.lanes.get(&token.lane).map(|lane| lane.open_at);
        open_at.map_or(token.due, |open_at| open_at.max(token.due))
    }
}

/// Inserts, replaces or removes. Answers what stood there.
fn set<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    }
}

fn expect(holds: bool) -> Result<(), CommitError> {
    if holds { Ok(()) } else { Err(CommitError::Conflict) }
}

/// The name as a key: in lower case alone.
fn folded(name: &SecretName) -> SecretName {
    SecretName::parse(name.folded()).expect("a name in lower case is a name")
}
