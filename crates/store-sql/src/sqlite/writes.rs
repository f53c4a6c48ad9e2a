//! What each write is in SQL. Runs inside the writer's transaction.

use std::collections::BTreeSet;

use renewal::Wall;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use store::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenId,
    TokenRow, VersionRow,
};
use store::{Claim, Lease, StoreError, Write};
use vault::{RecordTag, Sealed, SecretName, VaultName};

/// Why a write was not made.
pub(super) enum Refusal {
    /// A row was not the one that the batch expected.
    Conflict,
    /// The write can't be stored, whatever is there.
    Unfit(StoreError),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Makes the writes of one transaction.
pub(super) struct Scribe<'c> {
    connection: &'c Connection,
    /// Lanes whose first due time may be another now.
    touched: BTreeSet<i64>,
    /// Lanes that lost a token.
    left: BTreeSet<i64>,
}

impl<'c> Scribe<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, touched: BTreeSet::new(), left: BTreeSet::new() }
    }

    /// Makes one write.
    pub(super) fn write(&mut self, write: &Write) -> Result<(), Refusal> {
        match write {
            Write::Secret { row, replaces: None } => self.insert_secret(row),
            Write::Secret { row, replaces: Some(replaces) } => self.replace_secret(row, replaces),
            Write::DeleteSecret { row, replaces } => self.delete_secret(row, replaces),
            Write::AmendDeletedSecret { row, replaces } => self.amend_deleted_secret(row, replaces),
            Write::RecoverSecret { row, replaces } => self.recover_secret(row, replaces),
            Write::PurgeSecret { vault, name, replaces } => self.purge_secret(vault, name, replaces),
            Write::Version(row) => self.insert_version(row),
            Write::AmendVersion { row, replaces } => self.amend_version(row, replaces),
            Write::KeepVersions { vault, name, keep } => self.keep_versions(vault, name, *keep),
            Write::Token { row, replaces: None, releases: _ } => self.insert_token(row),
            Write::Token { row, replaces: Some(replaces), releases } => self.replace_token(row, replaces, *releases),
            Write::RemoveToken(id) => self.remove_token(*id),
            Write::Hasten { vault, name, due } => self.hasten(vault, name, *due),
            Write::Lane(row) => self.put_lane(row),
            Write::Attempt(row) => self.put_attempt(row),
            Write::KeepAttempts { token, keep } => self.keep_attempts(*token, *keep),
            Write::Delivery { row, replaces: None } => self.insert_delivery(row),
            Write::Delivery { row, replaces: Some(replaces) } => self.replace_delivery(row, replaces),
            Write::RemoveDelivery { token, target } => self.remove_delivery(*token, target),
            Write::Deliver { token, due, behind } => self.deliver(*token, *due, *behind),
            Write::Definition(row) => self.put_definition(row),
            Write::AmendDefinition { row, replaces: None } => self.insert_definition(row),
            Write::AmendDefinition { row, replaces: Some(replaces) } => self.amend_definition(row, replaces),
            Write::RemoveDefinition { kind, name } => self.remove_definition(*kind, name),
            Write::Keyring(row) => self.put_term(row),
        }
    }

    pub(super) fn claim(&mut self, claim: Claim) -> Result<Option<Lease>, Refusal> {
        let sql = "UPDATE token SET fence = fence + 1, leased = 1 \
                   WHERE id = ?1 AND generation = ?2 AND leased = 0 RETURNING lane, fence";
        // No generation is above what fits, so a claim from there is from another.
        let Ok(parent) = i64::try_from(claim.parent) else {
            return Ok(None);
        };
        let found = self.find(sql, params![claim.token.0, parent], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        Ok(found.map(|(lane, fence)| {
            self.touched.insert(lane);
            Lease { token: claim.token, fence: fence.cast_unsigned() }
        }))
    }

    pub(super) fn release(&mut self, lease: Lease, due: Wall) -> Result<(), Refusal> {
        let sql = "UPDATE token SET leased = 0, due = iif(due < 9223372036854775807, ?3, due) \
                   WHERE id = ?1 AND fence = ?2 AND leased <> 0 RETURNING lane";
        let Ok(fence) = i64::try_from(lease.fence) else {
            return Ok(());
        };
        let lane = self.find(sql, params![lease.token.0, fence, due.0], |row| row.get::<_, i64>(0))?;
        self.touched.extend(lane);
        Ok(())
    }

    /// One tiny change.
    pub(super) fn probe(&mut self) -> Result<(), Refusal> {
        self.execute("UPDATE meta SET probes = probes + 1", [])?;
        Ok(())
    }

    /// Brings the lanes up to date with their tokens. The last thing in a transaction.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        for lane in &self.touched {
            set_first_due(self.connection, *lane)?;
        }
        for lane in &self.left {
            self.execute("DELETE FROM lane WHERE id = ?1 AND tokens = 0 AND sealed IS NULL", [lane])?;
        }
        Ok(())
    }

    fn insert_secret(&self, row: &SecretRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO secret (vault, name, current, changed, keep_versions, sealed) \
                   SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
                   WHERE NOT EXISTS (SELECT 1 FROM deleted_secret WHERE vault = ?1 AND name = ?2) \
                   ON CONFLICT DO NOTHING";
        let SecretRow { vault, name, current, changed, keep_versions, sealed } = row;
        let values = params![vault.as_str(), name.folded(), current.0, changed, keep_versions, sealed.as_bytes()];
        one(self.execute(sql, values)?)
    }

    fn replace_secret(&self, row: &SecretRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let SecretRow { vault, name, current, changed, keep_versions, sealed } = row;
        let found = "SELECT id, sealed FROM secret WHERE vault = ?1 AND name = ?2";
        let id = self.expect(found, params![vault.as_str(), name.folded()], replaces)?;
        let sql = "UPDATE secret SET current = ?2, changed = ?3, keep_versions = ?4, sealed = ?5 WHERE id = ?1";
        one(self.execute(sql, params![id, current.0, changed, keep_versions, sealed.as_bytes()])?)
    }

    fn delete_secret(&self, row: &DeletedSecretRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let SecretRow { vault, name, current, changed, keep_versions, sealed } = &row.secret;
        let found = "SELECT id, sealed FROM secret WHERE vault = ?1 AND name = ?2";
        let id = self.expect(found, params![vault.as_str(), name.folded()], replaces)?;
        one(self.execute("DELETE FROM secret WHERE id = ?1", [id])?)?;
        let sql = "INSERT INTO deleted_secret \
                       (vault, name, current, changed, keep_versions, sealed, deleted, purged_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
        let (name, sealed) = (name.folded(), sealed.as_bytes());
        let values =
            params![vault.as_str(), name, current.0, changed, keep_versions, sealed, row.deleted, row.purged_at];
        one(self.execute(sql, values)?)
    }

    fn amend_deleted_secret(&self, row: &DeletedSecretRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let SecretRow { vault, name, current, changed, keep_versions, sealed } = &row.secret;
        let id = self.expect_deleted(vault, name, replaces)?;
        let sql = "UPDATE deleted_secret SET current = ?2, changed = ?3, keep_versions = ?4, sealed = ?5, deleted = ?6, \
                   purged_at = ?7 WHERE id = ?1";
        let values = params![id, current.0, changed, keep_versions, sealed.as_bytes(), row.deleted, row.purged_at];
        one(self.execute(sql, values)?)
    }

    fn recover_secret(&self, row: &SecretRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let id = self.expect_deleted(&row.vault, &row.name, replaces)?;
        one(self.execute("DELETE FROM deleted_secret WHERE id = ?1", [id])?)?;
        self.insert_secret(row)
    }

    fn purge_secret(&self, vault: &VaultName, name: &SecretName, replaces: &RecordTag) -> Result<(), Refusal> {
        let id = self.expect_deleted(vault, name, replaces)?;
        self.execute("DELETE FROM version WHERE vault = ?1 AND name = ?2", params![vault.as_str(), name.folded()])?;
        one(self.execute("DELETE FROM deleted_secret WHERE id = ?1", [id])?)
    }

    fn expect_deleted(&self, vault: &VaultName, name: &SecretName, replaces: &RecordTag) -> Result<i64, Refusal> {
        let found = "SELECT id, sealed FROM deleted_secret WHERE vault = ?1 AND name = ?2";
        self.expect(found, params![vault.as_str(), name.folded()], replaces)
    }

    fn insert_version(&self, row: &VersionRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO version \
                       (vault, name, version, created, enabled, not_before, expires, generation, sealed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
        let VersionRow { vault, name, version, created, enabled, not_before, expires, generation, sealed } = row;
        let generation = stored(*generation)?;
        let (name, sealed) = (name.folded(), sealed.as_bytes());
        let values =
            params![vault.as_str(), name, version.0, created, enabled, not_before, expires, generation, sealed];
        one(self.execute(sql, values)?)
    }

    fn amend_version(&self, row: &VersionRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let VersionRow { vault, name, version, created, enabled, not_before, expires, generation, sealed } = row;
        let found = "SELECT id, sealed FROM version WHERE vault = ?1 AND name = ?2 AND version = ?3";
        let id = self.expect(found, params![vault.as_str(), name.folded(), version.0], replaces)?;
        let sql = "UPDATE version SET created = ?2, enabled = ?3, not_before = ?4, expires = ?5, generation = ?6, \
                   sealed = ?7 WHERE id = ?1";
        let generation = stored(*generation)?;
        let values = params![id, created, enabled, not_before, expires, generation, sealed.as_bytes()];
        one(self.execute(sql, values)?)
    }

    fn keep_versions(&self, vault: &VaultName, name: &SecretName, keep: u32) -> Result<(), Refusal> {
        let sql = "SELECT count(*) FROM version WHERE vault = ?1 AND name = ?2";
        let count = self.find(sql, params![vault.as_str(), name.folded()], |row| row.get::<_, i64>(0))?;
        let surplus = count.unwrap_or(0) - i64::from(keep.max(1));
        if surplus > 0 {
            // The index of the key alone tells the order.
            let sql = "DELETE FROM version WHERE id IN ( \
                           SELECT id FROM version WHERE vault = ?1 AND name = ?2 AND version IS NOT ( \
                               SELECT current FROM secret WHERE vault = ?1 AND name = ?2) \
                           ORDER BY id LIMIT ?3)";
            self.execute(sql, params![vault.as_str(), name.folded(), surplus])?;
        }
        Ok(())
    }

    fn insert_token(&mut self, row: &TokenRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO token (id, vault, name, lane, due, expiry, generation, fence, leased, sealed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, ?8) ON CONFLICT DO NOTHING";
        let TokenRow { id, vault, name, lane, due, expiry, generation, sealed, fence: _, leased: _ } = row;
        let lane = self.enter_lane(lane)?;
        let (name, generation, sealed) = (name.folded(), stored(*generation)?, sealed.as_bytes());
        one(self.execute(sql, params![id.0, vault.as_str(), name, lane, due.0, expiry.0, generation, sealed])?)
    }

    fn replace_token(&mut self, row: &TokenRow, replaces: &RecordTag, releases: Option<u64>) -> Result<(), Refusal> {
        let TokenRow { id, vault, name, lane, due, expiry, generation, sealed, fence: _, leased: _ } = row;
        let old = self.old_token(*id)?.ok_or(Refusal::Conflict)?;
        let generation = stored(*generation)?;
        if old.tag != *replaces || generation < old.generation {
            return Err(Refusal::Conflict);
        }
        let lane = if old.lane_key == *lane {
            old.lane
        } else {
            self.leave_lane(old.lane)?;
            self.enter_lane(lane)?
        };
        self.touched.insert(lane);
        if old.vault != vault.as_str() || old.name != name.folded() {
            // Apart from the update below, which leaves the index of names alone.
            let sql = "UPDATE OR IGNORE token SET vault = ?2, name = ?3 WHERE seq = ?1";
            one(self.execute(sql, params![old.seq, vault.as_str(), name.folded()])?)?;
        }
        let leased = old.leased && releases != u64::try_from(old.fence).ok();
        let sql = "UPDATE token SET lane = ?2, due = ?3, expiry = ?4, generation = ?5, leased = ?6, sealed = ?7 \
                   WHERE seq = ?1";
        let values = params![old.seq, lane, due.0, expiry.0, generation, leased, sealed.as_bytes()];
        one(self.execute(sql, values)?)
    }

    fn remove_token(&mut self, id: TokenId) -> Result<(), Refusal> {
        let lane = self.find("DELETE FROM token WHERE id = ?1 RETURNING lane", [id.0], |row| row.get(0))?;
        if let Some(lane) = lane {
            self.leave_lane(lane)?;
        }
        self.execute("DELETE FROM attempt WHERE token = ?1", [id.0])?;
        self.execute("DELETE FROM delivery WHERE token = ?1", [id.0])?;
        Ok(())
    }

    fn hasten(&mut self, vault: &VaultName, name: &SecretName, due: Wall) -> Result<(), Refusal> {
        let sql = "UPDATE token SET due = ?3 \
                   WHERE vault = ?1 AND name = ?2 AND due > ?3 AND due < 9223372036854775807 RETURNING lane";
        let lane = self.find(sql, params![vault.as_str(), name.folded(), due.0], |row| row.get::<_, i64>(0))?;
        self.touched.extend(lane);
        Ok(())
    }

    fn put_lane(&self, row: &LaneRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO lane (key, open_at, sealed) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (key) DO UPDATE SET open_at = excluded.open_at, sealed = excluded.sealed";
        one(self.execute(sql, params![row.key, row.open_at.0, row.sealed.as_bytes()])?)
    }

    fn put_attempt(&self, row: &AttemptRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO attempt (token, number, started, sealed) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (token, number) DO UPDATE SET started = excluded.started, sealed = excluded.sealed";
        let AttemptRow { token, number, started, sealed } = row;
        one(self.execute(sql, params![token.0, stored(*number)?, started.0, sealed.as_bytes()])?)
    }

    fn keep_attempts(&self, token: TokenId, keep: u32) -> Result<(), Refusal> {
        // The newest that has to go, and all before it.
        let sql = "DELETE FROM attempt WHERE token = ?1 AND number <= ( \
                       SELECT number FROM attempt WHERE token = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        self.execute(sql, params![token.0, keep])?;
        Ok(())
    }

    fn insert_delivery(&self, row: &DeliveryRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO delivery (token, target, due, asked, behind, expiry, generation, sealed) \
                   VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
        let DeliveryRow { token, target, due, behind, expiry, generation, sealed, asked: _ } = row;
        let generation = stored(*generation)?;
        one(self.execute(sql, params![token.0, target, due.0, behind.0, expiry.0, generation, sealed.as_bytes()])?)
    }

    fn replace_delivery(&self, row: &DeliveryRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let DeliveryRow { token, target, due, asked, behind, expiry, generation, sealed } = row;
        let found = "SELECT id, sealed FROM delivery WHERE token = ?1 AND target = ?2";
        let id = self.expect(found, params![token.0, target], replaces)?;
        let sql = "UPDATE delivery SET due = iif(asked = ?3, ?2, min(due, ?2)), behind = iif(asked = ?3, ?7, behind), \
                   expiry = ?4, generation = ?5, sealed = ?6 WHERE id = ?1";
        let (asked, generation) = (i64::try_from(*asked).unwrap_or(i64::MAX), stored(*generation)?);
        one(self.execute(sql, params![id, due.0, asked, expiry.0, generation, sealed.as_bytes(), behind.0])?)
    }

    fn remove_delivery(&self, token: TokenId, target: &str) -> Result<(), Refusal> {
        self.execute("DELETE FROM delivery WHERE token = ?1 AND target = ?2", params![token.0, target])?;
        Ok(())
    }

    fn deliver(&self, token: TokenId, due: Wall, behind: Wall) -> Result<(), Refusal> {
        let sql =
            "UPDATE delivery SET asked = asked + 1, due = min(due, ?2), behind = min(behind, ?3) WHERE token = ?1";
        self.execute(sql, params![token.0, due.0, behind.0])?;
        Ok(())
    }

    fn put_definition(&self, row: &DefinitionRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO definition (kind, name, origin, removed, sealed) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (kind, name) DO UPDATE \
                   SET origin = excluded.origin, removed = excluded.removed, sealed = excluded.sealed";
        let DefinitionRow { kind, name, origin, removed, sealed } = row;
        one(self.execute(sql, params![*kind as u8, name, *origin as u8, removed, sealed.as_bytes()])?)
    }

    fn insert_definition(&self, row: &DefinitionRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO definition (kind, name, origin, removed, sealed) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO NOTHING";
        let DefinitionRow { kind, name, origin, removed, sealed } = row;
        one(self.execute(sql, params![*kind as u8, name, *origin as u8, removed, sealed.as_bytes()])?)
    }

    fn amend_definition(&self, row: &DefinitionRow, replaces: &RecordTag) -> Result<(), Refusal> {
        let DefinitionRow { kind, name, origin, removed, sealed } = row;
        let found = "SELECT id, sealed FROM definition WHERE kind = ?1 AND name = ?2";
        let id = self.expect(found, params![*kind as u8, name], replaces)?;
        let sql = "UPDATE definition SET origin = ?2, removed = ?3, sealed = ?4 WHERE id = ?1";
        one(self.execute(sql, params![id, *origin as u8, removed, sealed.as_bytes()])?)
    }

    fn remove_definition(&self, kind: DefinitionKind, name: &str) -> Result<(), Refusal> {
        self.execute("DELETE FROM definition WHERE kind = ?1 AND name = ?2", params![kind as u8, name])?;
        Ok(())
    }

    fn put_term(&self, row: &KeyringRow) -> Result<(), Refusal> {
        let sql = "INSERT INTO keyring (term, wrapped) VALUES (?1, ?2) \
                   ON CONFLICT (term) DO UPDATE SET wrapped = excluded.wrapped";
        one(self.execute(sql, params![row.term, row.wrapped])?)
    }

    fn old_token(&self, id: TokenId) -> Result<Option<OldToken>, Refusal> {
        let sql = "SELECT t.seq, t.vault, t.name, t.lane, l.key, t.generation, t.fence, t.leased, t.sealed \
                   FROM token t JOIN lane l ON l.id = t.lane WHERE t.id = ?1";
        self.find(sql, [id.0], |row| {
            Ok(OldToken {
                seq: row.get(0)?,
                vault: row.get(1)?,
                name: row.get(2)?,
                lane: row.get(3)?,
                lane_key: row.get(4)?,
                generation: row.get(5)?,
                fence: row.get(6)?,
                leased: row.get(7)?,
                tag: tag(row, 8)?,
            })
        })
    }

    /// The lane that a token comes into.
    fn enter_lane(&mut self, key: &str) -> Result<i64, Refusal> {
        let sql = "INSERT INTO lane (key, tokens) VALUES (?1, 1) \
                   ON CONFLICT (key) DO UPDATE SET tokens = tokens + 1 RETURNING id";
        let lane = self.connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))?;
        self.touched.insert(lane);
        Ok(lane)
    }

    fn leave_lane(&mut self, lane: i64) -> Result<(), Refusal> {
        self.execute("UPDATE lane SET tokens = tokens - 1 WHERE id = ?1", [lane])?;
        self.touched.insert(lane);
        self.left.insert(lane);
        Ok(())
    }

    /// The id of the one row that the statement finds, where its record is the named one. The statement answers id and
    /// record.
    fn expect(&self, sql: &'static str, values: impl Params, record: &RecordTag) -> Result<i64, Refusal> {
        let found = self.find(sql, values, |row| Ok((row.get(0)?, tag(row, 1)?)))?;
        found.filter(|(_, found)| found == record).map(|(id, _)| id).ok_or(Refusal::Conflict)
    }

    fn find<T>(
        &self,
        sql: &'static str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Refusal> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read).optional()?)
    }

    fn execute(&self, sql: &'static str, values: impl Params) -> Result<usize, Refusal> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }
}

struct OldToken {
    seq: i64,
    vault: String,
    name: String,
    lane: i64,
    lane_key: String,
    generation: i64,
    fence: i64,
    leased: bool,
    tag: RecordTag,
}

/// Notes when the first of a lane's waiting tokens is due.
pub(super) fn set_first_due(connection: &Connection, lane: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE lane SET first_due = ( \
                   SELECT min(due) FROM token INDEXED BY token_waiting_by_due \
                   WHERE lane = ?1 AND leased = 0 AND due < 9223372036854775807) WHERE id = ?1";
    connection.prepare_cached(sql)?.execute([lane])?;
    Ok(())
}

/// Whether the statement changed its row; a conflict where it found none to change.
fn one(changed: usize) -> Result<(), Refusal> {
    if changed == 1 { Ok(()) } else { Err(Refusal::Conflict) }
}

/// The number as SQLite stores it.
fn stored(number: u64) -> Result<i64, Refusal> {
    i64::try_from(number).map_err(|_| {
        Refusal::Unfit(StoreError::Unavailable(format!(
            "{number} is above 2^63 - 1, which is the largest it can store"
        )))
    })
}

/// The tag of a stored record. What is no record has no tag that a write could name, so it is never replaced unseen.
fn tag(row: &Row<'_>, column: usize) -> rusqlite::Result<RecordTag> {
    let bytes = row.get_ref(column)?.as_blob()?.to_owned();
    let sealed = Sealed::from_bytes(bytes).map_err(|error| {
        let kind = rusqlite::types::Type::Blob;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })?;
    Ok(sealed.tag())
}
