//! The outbox in SQL.

use renewal::Wall;
use rusqlite::{Connection, params};
use store::StoreError;
use store::rows::{DeliveryRow, TokenId};

use super::columns;
use super::reads::{all, one, rows};

pub(super) fn delivery(
    connection: &Connection,
    token: TokenId,
    target: &str,
) -> Result<Option<DeliveryRow>, StoreError> {
    let sql = "SELECT token, target, due, asked, behind, expiry, generation, sealed FROM delivery \
               WHERE token = ?1 AND target = ?2";
    one(connection, sql, params![token.0, target], columns::delivery)
}

pub(super) fn deliveries(
    connection: &Connection,
    after: Option<(TokenId, &str)>,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = "SELECT token, target, due, asked, behind, expiry, generation, sealed FROM delivery \
               WHERE (token, target) > (?1, ?2) ORDER BY token, target LIMIT ?3";
    let (token, target) = after.as_ref().map_or((&[][..], ""), |(token, target)| (&token.0[..], target));
    all(connection, sql, params![token, target, rows(limit)], columns::delivery)
}

pub(super) fn due(
    connection: &Connection,
    target: &str,
    now: Wall,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    // The inner query sorts what is due by the index alone; only what is wanted is read.
    let sql = "SELECT token, target, due, asked, behind, expiry, generation, sealed FROM delivery \
               WHERE id IN (SELECT id FROM delivery INDEXED BY delivery_by_due WHERE target = ?1 AND due <= ?2 \
                            ORDER BY expiry, due, id LIMIT ?3) \
               ORDER BY expiry, due, id";
    let now = now.min(Wall(Wall::NEVER.0 - 1));
    all(connection, sql, params![target, now.0, rows(limit)], columns::delivery)
}

pub(super) fn behind(
    connection: &Connection,
    target: &str,
    after: Option<(Wall, TokenId)>,
    until: Wall,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    // The largest number stands for never; named here, it lets the index of the others be used.
    let sql = "SELECT token, target, due, asked, behind, expiry, generation, sealed \
               FROM delivery INDEXED BY delivery_by_behind \
               WHERE target = ?1 AND (behind, token) > (?2, ?3) AND behind <= ?4 AND behind < 9223372036854775807 \
               ORDER BY behind, token LIMIT ?5";
    let (since, token) = after.as_ref().map_or((i64::MIN, &[][..]), |(since, token)| (since.0, &token.0[..]));
    all(connection, sql, params![target, since, token, until.0, rows(limit)], columns::delivery)
}

pub(super) fn next(connection: &Connection, target: &str, now: Wall) -> Result<Option<Wall>, StoreError> {
    let sql = "SELECT due FROM delivery INDEXED BY delivery_by_due WHERE target = ?1 AND due > ?2 ORDER BY due LIMIT 1";
    let next = one(connection, sql, params![target, now.0], |row| {
        row.get(0).map(Wall).map_err(|error| super::failure::store_error(&error))
    })?;
    Ok(next.filter(|due| *due != Wall::NEVER))
}
