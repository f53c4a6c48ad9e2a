//! Which tokens are due, without looking at those that aren't.
//!
//! Three indexes carry this. `lane_ready_at` leads to the lanes that have something due, and to nothing else. Within
//! a lane two orders are at odds: tokens are wanted by expiry and must be due. So each lane is first asked by due time
//! for a few more than a few; where that is all, they are sorted here. Only where many are due is the lane read by
//! expiry, which meets due ones soon, since most of them are.

use renewal::Wall;
use rusqlite::{Connection, params};
use store::rows::TokenRow;
use store::{Damage, StoreError};

use super::columns;
use super::failure::store_error;
use super::reads::{all, list, rows};

/// Up to how many due tokens of a lane are sorted here.
const FEW: usize = 64;

const LANES_DUE: &str = "SELECT id FROM lane WHERE ready_at <= ?1 ORDER BY ready_at";

const FEW_DUE: &str = "SELECT expiry, due, seq FROM token INDEXED BY token_waiting_by_due \
                       WHERE lane = ?1 AND leased = 0 AND due <= ?2 LIMIT ?3";

const MANY_DUE: &str = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
                        FROM token t INDEXED BY token_waiting_by_expiry CROSS JOIN lane l ON l.id = t.lane \
                        WHERE t.lane = ?1 AND t.leased = 0 AND t.due < 9223372036854775807 AND t.due <= ?2 \
                        ORDER BY t.expiry, t.due, t.seq";

const TOKEN_AT: &str = "SELECT t.id, t.vault, t.name, l.key, t.due, t.expiry, t.generation, t.fence, t.leased, t.sealed \
                        FROM token t LEFT JOIN lane l ON l.id = t.lane WHERE t.seq = ?1";

/// Lanes that have nothing due now, then the rest of those that have. The latter costs no more than asking for what is
/// due did.
const NEXT_DUE: &str = "SELECT min(ready_at) FROM ( \
                            SELECT min(ready_at) AS ready_at FROM lane WHERE ready_at > ?1 \
                            UNION ALL \
                            SELECT (SELECT min(due) FROM token INDEXED BY token_waiting_by_due \
                                    WHERE lane = l.id AND leased = 0 AND due < 9223372036854775807 AND due > ?1) \
                            FROM lane l WHERE l.ready_at <= ?1)";

/// A damaged token is never due: it would stay the first of its lane for ever. Whoever listens for damage is told.
pub(super) fn due(
    connection: &Connection,
    now: Wall,
    per_lane: usize,
    damage: &Damage,
) -> Result<Vec<TokenRow>, StoreError> {
    if per_lane == 0 {
        return Ok(Vec::new());
    }
    let failed = |error| store_error(&error);
    // Not even then is a paused token due, or a lane open that never opens.
    let now = now.min(Wall(Wall::NEVER.0 - 1));
    // All lanes as of one committed state. It only reads, so leaving it is no loss.
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let lanes = all(connection, LANES_DUE, [now.0], |row| row.get(0).map_err(failed))?;
    let mut due = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let few = few_due(connection, lane, now)?;
        if few.len() > FEW {
            due.extend(many_due(connection, lane, now, per_lane, damage)?);
        } else {
            let wanted = due.len().saturating_add(per_lane);
            for seq in few {
                if due.len() == wanted {
                    break;
                }
                due.extend(token_at(connection, seq, damage)?);
            }
        }
    }
    snapshot.finish().map_err(failed)?;
    Ok(due)
}

pub(super) fn next_due(connection: &Connection, now: Wall) -> Result<Option<Wall>, StoreError> {
    let next =
        all(connection, NEXT_DUE, [now.0], |row| row.get::<_, Option<i64>>(0).map_err(|error| store_error(&error)))?;
    Ok(next.into_iter().flatten().map(Wall).find(|next| *next != Wall::NEVER))
}

/// The due tokens of a lane in the order in which they are wanted, or more than [`FEW`] of them in no order.
fn few_due(connection: &Connection, lane: i64, now: Wall) -> Result<Vec<i64>, StoreError> {
    let mut due = all(connection, FEW_DUE, params![lane, now.0, rows(FEW + 1)], |row| {
        let read = || Ok::<(i64, i64, i64), rusqlite::Error>((row.get(0)?, row.get(1)?, row.get(2)?));
        read().map_err(|error| store_error(&error))
    })?;
    due.sort_unstable();
    Ok(due.into_iter().map(|(_, _, seq)| seq).collect())
}

fn many_due(
    connection: &Connection,
    lane: i64,
    now: Wall,
    per_lane: usize,
    damage: &Damage,
) -> Result<Vec<TokenRow>, StoreError> {
    list(connection, MANY_DUE, [lane, now.0], per_lane, |row| columns::sound_token(row, damage))
}

fn token_at(connection: &Connection, seq: i64, damage: &Damage) -> Result<Vec<TokenRow>, StoreError> {
    list(connection, TOKEN_AT, [seq], 1, |row| columns::sound_token(row, damage))
}

#[cfg(test)]
mod tests {
    use renewal::Wall;
    use rusqlite::config::DbConfig;
    use rusqlite::{Connection, StatementStatus};
    use store::contract::sample::{insert, lane, token};
    use store::rows::TokenRow;
    use store::{Damage, Write};

    use super::{FEW_DUE, LANES_DUE, MANY_DUE, NEXT_DUE, TOKEN_AT, due, next_due};
    use crate::sqlite::schema;
    use crate::sqlite::writes::{Refusal, Scribe};

    const TOKENS: i64 = 6_000;

    fn database(rows: impl Iterator<Item = TokenRow>, closed: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().expect("memory is there");
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("it is known");
        schema::migrate(&mut connection).expect("it is empty");
        let closed = closed.iter().map(|key| Write::Lane(lane(key, 1_000_000)));
        let written = (|| {
            let mut scribe = Scribe::new(&connection);
            rows.map(insert).chain(closed).try_for_each(|write| scribe.write(&write))?;
            scribe.finish()
        })();
        assert!(!matches!(written, Err(Refusal::Sqlite(_) | Refusal::Unfit(_) | Refusal::Conflict)));
        connection
    }

    fn numbered(due: impl Fn(i64) -> i64, lanes: i64) -> impl Iterator<Item = TokenRow> {
        (0..TOKENS).map(move |number| TokenRow {
            lane: format!("lane-{}", number % lanes),
            due: Wall(due(number)),
            // In no relation to the due time.
            expiry: Wall(number * 7_919 % TOKENS),
            ..token(number.unsigned_abs())
        })
    }

    /// How many tokens are due, and how many steps of SQLite's machine it took to say so and when the next are. A
    /// count, unlike a time, is the same on every machine.
    fn cost(connection: &Connection, now: i64, per_lane: usize) -> (usize, i32) {
        let found = due(connection, Wall(now), per_lane, &Damage::new()).expect("it can be read").len();
        next_due(connection, Wall(now)).expect("it can be read");
        let steps = [LANES_DUE, FEW_DUE, MANY_DUE, TOKEN_AT, NEXT_DUE].map(|sql| {
            let statement = connection.prepare_cached(sql).expect("it is sound");
            statement.reset_status(StatementStatus::VmStep)
        });
        (found, steps.iter().sum())
    }

    #[test]
    fn what_is_not_due_costs_nothing() {
        let connection = database(numbered(|number| if number % 1_200 == 7 { 0 } else { 500 }, 1), &[]);
        let (found, steps) = cost(&connection, 0, 8);
        assert_eq!(found, 5);
        assert!(steps < 1_000, "{steps} steps for 5 of {TOKENS}");
    }

    #[test]
    fn all_being_due_costs_little_more() {
        let connection = database(numbered(|number| -number, 1), &[]);
        let (found, steps) = cost(&connection, 0, 8);
        assert_eq!(found, 8);
        assert!(steps < 2_000, "{steps} steps for 8 of {TOKENS}, all due");
    }

    #[test]
    fn lanes_without_a_due_token_cost_nothing() {
        let connection = database(numbered(|number| if number < 5 { 0 } else { 500 }, 2_000), &[]);
        let (found, steps) = cost(&connection, 0, 8);
        assert_eq!(found, 5);
        assert!(steps < 1_000, "{steps} steps for 5 lanes of 2,000");
    }

    #[test]
    fn closed_lanes_cost_nothing() {
        let connection = database(numbered(|number| -number, 3), &["lane-0", "lane-1"]);
        let (found, steps) = cost(&connection, 0, 8);
        assert_eq!(found, 8);
        assert!(steps < 2_000, "{steps} steps for the open lane of 3");
    }
}
