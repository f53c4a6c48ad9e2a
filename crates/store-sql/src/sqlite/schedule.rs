//! Which tokens are due, without looking at those that aren't.
//!
//! Three indexes carry this. `lane_ready_at` leads to the lanes that have something due, and to nothing else. Within
//! a lane two orders are at odds: tokens are wanted by expiry and must be due. So each lane is first asked by due time
//! for a few more than a few; where that is all, they are sorted here. Only where many are due is the lane read by
//! expiry, which meets due ones soon, since most of them are.

use renewal::Wall;
use rusqlite::{Connection, params};
use store::StoreError;
use store::rows::TokenRow;

use super::columns;
use super::failure::store_error;
use super::reads::{all, rows};

/// Up to how many due tokens of a lane are sorted here.
const FEW: usize = 256;

pub(super) fn due(connection: &Connection, now: Wall, per_lane: usize) -> Result<Vec<TokenRow>, StoreError> {
    if per_lane == 0 {
        return Ok(Vec::new());
    }
    let failed = |error| store_error(&error);
    // All lanes as of one committed state. It only reads, so leaving it is no loss.
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let lanes = numbers(connection, "SELECT id FROM lane WHERE ready_at <= ?1 ORDER BY ready_at", &[now.0])?;
    let mut due = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let few = few_due(connection, lane, now)?;
        if few.len() > FEW {
            due.extend(many_due(connection, lane, now, per_lane)?);
        } else {
            for seq in few.into_iter().take(per_lane) {
                due.extend(token_at(connection, seq)?);
            }
        }
    }
    snapshot.finish().map_err(failed)?;
    Ok(due)
}

pub(super) fn next_due(connection: &Connection, now: Wall) -> Result<Option<Wall>, StoreError> {
    // Lanes that have nothing due now, then the rest of those that have. The latter costs no more than asking for what
    // is due did.
    let sql = "SELECT min(ready_at) FROM ( \
                   SELECT min(ready_at) AS ready_at FROM lane WHERE ready_at > ?1 \
                   UNION ALL \
                   SELECT (SELECT min(due) FROM token INDEXED BY token_waiting_by_due \
                           WHERE lane = l.id AND leased = 0 AND due < 9223372036854775807 AND due > ?1) \
                   FROM lane l WHERE l.ready_at <= ?1)";
    let next = all(connection, sql, [now.0], |row| row.get::<_, Option<i64>>(0).map_err(|error| store_error(&error)))?;
    Ok(next.into_iter().flatten().map(Wall).find(|next| *next != Wall::NEVER))
}

/// The due tokens of a lane in the order in which they are wanted, or more than [`FEW`] of them in no order.
fn few_due(connection: &Connection, lane: i64, now: Wall) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT expiry, due, seq FROM token INDEXED BY token_waiting_by_due \
               WHERE lane = ?1 AND leased = 0 AND due < 9223372036854775807 AND due <= ?2 LIMIT ?3";
    let mut due = all(connection, sql, params![lane, now.0, rows(FEW + 1)], |row| {
        let read = || Ok::<(i64, i64, i64), rusqlite::Error>((row.get(0)?, row.get(1)?, row.get(2)?));
        read().map_err(|error| store_error(&error))
    })?;
    due.sort_unstable();
    Ok(due.into_iter().map(|(_, _, seq)| seq).collect())
}

fn many_due(connection: &Connection, lane: i64, now: Wall, per_lane: usize) -> Result<Vec<TokenRow>, StoreError> {
    let sql = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
               FROM token t INDEXED BY token_waiting_by_expiry CROSS JOIN lane l ON l.id = t.lane \
               WHERE t.lane = ?1 AND t.leased = 0 AND t.due < 9223372036854775807 AND t.due <= ?2 \
               ORDER BY t.expiry, t.due, t.seq LIMIT ?3";
    all(connection, sql, params![lane, now.0, rows(per_lane)], columns::token)
}

fn token_at(connection: &Connection, seq: i64) -> Result<Vec<TokenRow>, StoreError> {
    let sql = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
               FROM token t JOIN lane l ON l.id = t.lane WHERE t.seq = ?1";
    all(connection, sql, [seq], columns::token)
}

fn numbers(connection: &Connection, sql: &'static str, values: &[i64]) -> Result<Vec<i64>, StoreError> {
    let values = rusqlite::params_from_iter(values);
    all(connection, sql, values, |row| row.get(0).map_err(|error| store_error(&error)))
}
