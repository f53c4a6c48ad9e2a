//! What each read is in SQL. Each is one statement, so that it sees one committed state.

use rusqlite::{Connection, Params, Row, params};
use store::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, KeyringRow, LaneRow, SecretRow, TokenId, TokenRow,
    VersionRow,
};
use store::{Damage, StoreError};
use vault::{SecretName, VaultName, VersionId};

use super::columns;
use super::failure::store_error;

pub(super) fn current(
    connection: &Connection,
    vault: &VaultName,
    name: &SecretName,
) -> Result<Option<(SecretRow, VersionRow)>, StoreError> {
    let sql = "SELECT s.vault, s.name, s.current, s.changed, s.keep_versions, s.sealed, \
                   v.vault, v.name, v.version, v.created, v.enabled, v.not_before, v.expires, v.generation, v.sealed \
               FROM secret s LEFT JOIN version v ON v.vault = s.vault AND v.name = s.name AND v.version = s.current \
               WHERE s.vault = ?1 AND s.name = ?2";
    one(connection, sql, params![vault.as_str(), name.folded()], columns::secret_with_version)
}

pub(super) fn version(
    connection: &Connection,
    vault: &VaultName,
    name: &SecretName,
    version: VersionId,
) -> Result<Option<VersionRow>, StoreError> {
    let sql = "SELECT vault, name, version, created, enabled, not_before, expires, generation, sealed \
               FROM version WHERE vault = ?1 AND name = ?2 AND version = ?3";
    one(connection, sql, params![vault.as_str(), name.folded(), version.0], |row| columns::version(row, 0))
}

pub(super) fn secrets(
    connection: &Connection,
    vault: &VaultName,
    after: Option<&SecretName>,
    limit: usize,
    damage: &Damage,
) -> Result<Vec<(SecretRow, VersionRow)>, StoreError> {
    let sql = "SELECT s.vault, s.name, s.current, s.changed, s.keep_versions, s.sealed, \
                   v.vault, v.name, v.version, v.created, v.enabled, v.not_before, v.expires, v.generation, v.sealed \
               FROM secret s LEFT JOIN version v ON v.vault = s.vault AND v.name = s.name AND v.version = s.current \
               WHERE s.vault = ?1 AND s.name > ?2 ORDER BY s.name";
    // No name is empty.
    let after = after.map_or("", SecretName::folded);
    list(connection, sql, params![vault.as_str(), after], limit, |row| columns::listed_secret(row, damage))
}

pub(super) fn deleted_secret(
    connection: &Connection,
    vault: &VaultName,
    name: &SecretName,
) -> Result<Option<(DeletedSecretRow, VersionRow)>, StoreError> {
    let sql = "SELECT s.vault, s.name, s.current, s.changed, s.keep_versions, s.sealed, s.deleted, s.purged_at, \
                   v.vault, v.name, v.version, v.created, v.enabled, v.not_before, v.expires, v.generation, v.sealed \
               FROM deleted_secret s \
               LEFT JOIN version v ON v.vault = s.vault AND v.name = s.name AND v.version = s.current \
               WHERE s.vault = ?1 AND s.name = ?2";
    one(connection, sql, params![vault.as_str(), name.folded()], columns::deleted_secret_with_version)
}

pub(super) fn deleted_secrets(
    connection: &Connection,
    vault: &VaultName,
    after: Option<&SecretName>,
    limit: usize,
    damage: &Damage,
) -> Result<Vec<(DeletedSecretRow, VersionRow)>, StoreError> {
    let sql = "SELECT s.vault, s.name, s.current, s.changed, s.keep_versions, s.sealed, s.deleted, s.purged_at, \
                   v.vault, v.name, v.version, v.created, v.enabled, v.not_before, v.expires, v.generation, v.sealed \
               FROM deleted_secret s \
               LEFT JOIN version v ON v.vault = s.vault AND v.name = s.name AND v.version = s.current \
               WHERE s.vault = ?1 AND s.name > ?2 ORDER BY s.name";
    let after = after.map_or("", SecretName::folded);
    list(connection, sql, params![vault.as_str(), after], limit, |row| columns::listed_deleted_secret(row, damage))
}

pub(super) fn to_purge(
    connection: &Connection,
    now: i64,
    limit: usize,
    damage: &Damage,
) -> Result<Vec<(VaultName, SecretName)>, StoreError> {
    let sql = "SELECT vault, name FROM deleted_secret WHERE purged_at <= ?1 ORDER BY purged_at, vault, name";
    list(connection, sql, [now], limit, |row| columns::sound_name(row, damage))
}

pub(super) fn versions(
    connection: &Connection,
    vault: &VaultName,
    name: &SecretName,
    after: Option<VersionId>,
    limit: usize,
    damage: &Damage,
) -> Result<Vec<VersionRow>, StoreError> {
    let sql = "SELECT vault, name, version, created, enabled, not_before, expires, generation, sealed \
               FROM version WHERE vault = ?1 AND name = ?2 AND version > ?3 ORDER BY version";
    let after = after.as_ref().map_or(&[][..], |after| &after.0);
    let values = params![vault.as_str(), name.folded(), after];
    list(connection, sql, values, limit, |row| columns::listed_version(row, damage))
}

pub(super) fn token(connection: &Connection, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
    let sql = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
               FROM token t LEFT JOIN lane l ON l.id = t.lane WHERE t.id = ?1";
    one(connection, sql, [id.0], columns::token)
}

pub(super) fn token_of(
    connection: &Connection,
    vault: &VaultName,
    name: &SecretName,
) -> Result<Option<TokenRow>, StoreError> {
    let sql = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
               FROM token t LEFT JOIN lane l ON l.id = t.lane WHERE t.vault = ?1 AND t.name = ?2";
    one(connection, sql, params![vault.as_str(), name.folded()], columns::token)
}

pub(super) fn tokens(
    connection: &Connection,
    after: Option<TokenId>,
    limit: usize,
    damage: &Damage,
) -> Result<Vec<TokenRow>, StoreError> {
    let sql = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
               FROM token t LEFT JOIN lane l ON l.id = t.lane WHERE t.id > ?1 ORDER BY t.id";
    let after = after.as_ref().map_or(&[][..], |after| &after.0);
    list(connection, sql, params![after], limit, |row| columns::listed_token(row, damage))
}

pub(super) fn attempts(
    connection: &Connection,
    token: TokenId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = "SELECT token, number, started, sealed FROM attempt \
               WHERE token = ?1 AND number <= ?2 ORDER BY number DESC LIMIT ?3";
    let last = match before {
        Some(0) => return Ok(Vec::new()),
        Some(before) => i64::try_from(before - 1).unwrap_or(i64::MAX),
        None => i64::MAX,
    };
    all(connection, sql, params![token.0, last, rows(limit)], columns::attempt)
}

pub(super) fn lanes(connection: &Connection) -> Result<Vec<LaneRow>, StoreError> {
    let sql = "SELECT key, open_at, sealed FROM lane WHERE sealed IS NOT NULL ORDER BY key";
    all(connection, sql, [], columns::lane)
}

pub(super) fn definition(
    connection: &Connection,
    kind: DefinitionKind,
    name: &str,
) -> Result<Option<DefinitionRow>, StoreError> {
    let sql = "SELECT kind, name, origin, removed, sealed FROM definition WHERE kind = ?1 AND name = ?2";
    one(connection, sql, params![kind as u8, name], columns::definition)
}

pub(super) fn definitions(connection: &Connection, kind: DefinitionKind) -> Result<Vec<DefinitionRow>, StoreError> {
    let sql = "SELECT kind, name, origin, removed, sealed FROM definition WHERE kind = ?1 ORDER BY name";
    all(connection, sql, params![kind as u8], columns::definition)
}

pub(super) fn keyring(connection: &Connection) -> Result<Vec<KeyringRow>, StoreError> {
    all(connection, "SELECT term, wrapped FROM keyring ORDER BY term", [], columns::term)
}

/// The rows of a statement.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &'static str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let failed = |error| store_error(&error);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(values).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first `limit` rows of a statement, those not counted that `read` leaves out. No further one is looked at.
pub(super) fn list<T>(
    connection: &Connection,
    sql: &'static str,
    values: impl Params,
    limit: usize,
    read: impl Fn(&Row<'_>) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let failed = |error| store_error(&error);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(values).map_err(failed)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next().map_err(failed)?
    {
        found.extend(read(row));
    }
    Ok(found)
}

/// The one row of a statement, if there is one.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &'static str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    Ok(all(connection, sql, values, read)?.pop())
}

/// A limit as SQLite takes it.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
