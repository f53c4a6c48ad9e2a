//! The schema's versions, and the way from one to the next.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::OpenError;

/// Each brings a store from the version before it to its own; the first starts from nothing. A file that was released
/// never changes.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
];

/// What marks a database as a store: `PRAGMA application_id`, "Vstl".
const APPLICATION_ID: i64 = 0x5673_746c;

/// Brings the schema up to date, in one transaction a step.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    migrate_with(connection, &MIGRATIONS)
}

/// Whether there is no table at all.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// Takes the next epoch, which ends the leases of all earlier ones.
pub(super) fn take_epoch(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE meta SET epoch = epoch + 1", [])?;
    let lanes: Vec<i64> = transaction
        .prepare("SELECT DISTINCT lane FROM token WHERE leased <> 0")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    transaction.execute("UPDATE token SET leased = 0 WHERE leased <> 0", [])?;
    for lane in lanes {
        super::writes::set_first_due(&transaction, lane)?;
    }
    transaction.commit()
}

fn migrate_with(connection: &mut Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let number = |connection: &Connection, name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(OpenError::sqlite)
    };
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = number(connection, "user_version")?;
    let is_empty = is_empty(connection).map_err(OpenError::sqlite)?;
    if number(connection, "application_id")? != APPLICATION_ID && !(found == 0 && is_empty) {
        return Err(OpenError::NotAStore);
    }
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (version, script) in (1..).zip(migrations).filter(|(version, _)| *version > found) {
        step(connection, version, script).map_err(OpenError::sqlite)?;
    }
    Ok(())
}

fn step(connection: &mut Connection, version: i64, script: &str) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    transaction.execute_batch(script)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{MIGRATIONS, migrate, migrate_with};
    use crate::sqlite::OpenError;

    fn memory() -> Connection {
        Connection::open_in_memory().expect("memory is there")
    }

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("every database has one")
    }

    #[test]
    fn a_new_database_gets_the_newest_schema() {
        let mut connection = memory();
        migrate(&mut connection).expect("it is empty");
        assert_eq!(usize::try_from(version(&connection)), Ok(MIGRATIONS.len()));
        migrate(&mut connection).expect("there is nothing left to do");
    }

    #[test]
    fn each_missing_step_is_taken_once_and_rows_stay() {
        let mut connection = memory();
        migrate_with(&mut connection, &MIGRATIONS[..1]).expect("it is empty");
        connection.execute("INSERT INTO keyring VALUES (7, x'00')", []).expect("the table is there");
        let later = [MIGRATIONS[0], "ALTER TABLE keyring ADD COLUMN made INTEGER", "UPDATE keyring SET made = term"];
        for _ in 0..2 {
            migrate_with(&mut connection, &later).expect("the steps are sound");
            assert_eq!(version(&connection), 3);
        }
        let made: i64 = connection.query_row("SELECT made FROM keyring", [], |row| row.get(0)).expect("one row");
        assert_eq!(made, 7);
    }

    #[test]
    fn a_step_that_fails_leaves_the_schema_as_it_was() {
        let mut connection = memory();
        let steps = [MIGRATIONS[0], "CREATE TABLE extra (id INTEGER) STRICT; INSERT INTO nothing VALUES (1)"];
        assert!(matches!(migrate_with(&mut connection, &steps), Err(OpenError::Store(_))));
        assert_eq!(version(&connection), 1);
        let extra =
            connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'", [], |row| row.get(0));
        assert_eq!(extra, Ok(0));
    }

    #[test]
    fn a_newer_schema_is_refused_with_what_to_do() {
        let mut connection = memory();
        migrate(&mut connection).expect("it is empty");
        connection.pragma_update(None, "user_version", 99).expect("it can be set");
        let error = migrate(&mut connection).expect_err("99 is unknown");
        assert!(matches!(error, OpenError::Newer { found: 99, known: 4 }), "{error}");
        assert!(error.to_string().contains("a newer Vestal"), "{error}");
    }

    #[test]
    fn another_programs_database_is_refused() {
        let mut connection = memory();
        connection.execute_batch("CREATE TABLE bookmarks (url TEXT)").expect("it is a database");
        assert!(matches!(migrate(&mut connection), Err(OpenError::NotAStore)));
        let mut connection = memory();
        connection.pragma_update(None, "user_version", 1).expect("it can be set");
        assert!(matches!(migrate(&mut connection), Err(OpenError::NotAStore)));
    }
}
