//! A process that is killed loses nothing that it acknowledged, and leaves nothing half written.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, io};

use store::contract::block_on;
use store::contract::sample::{attempt, claim, insert, token, token_id};
use store::{Store as _, Write};
use store_sql::sqlite::{DATABASE_FILE, SqliteStore};
use tempfile::tempdir;

/// Names the folder that a child of this test writes to. Not a setting of anybody's: tests alone know it.
const CHILD_FOLDER: &str = "STORE_SQL_TEST_FOLDER";

/// The child's part: commits until it is killed, and says so of each commit once it is acknowledged.
#[test]
#[ignore = "it never ends: a_killed_process_loses_nothing_that_it_acknowledged runs and kills it"]
fn commit_until_killed() {
    let folder = env::var_os(CHILD_FOLDER).expect("the parent sets it");
    let store = SqliteStore::open(Path::new(&folder)).expect("it is new or was left by the last child");
    let count = block_on(store.tokens(None, usize::MAX)).expect("a read").len() as u64;
    let mut out = io::stdout();
    for number in count.. {
        block_on(store.commit(vec![insert(token(number)), Write::Attempt(attempt(number, 1))])).expect("it is new");
        block_on(store.claim(claim(&token(number)))).expect("a claim").expect("nobody has it");
        writeln!(out, "acknowledged {number}").expect("the parent reads");
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let root = tempdir().expect("a folder");
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    for round in 1..=4 {
        let mut child = Command::new(env::current_exe().expect("we run"))
            .args(["--exact", "crash::commit_until_killed", "--ignored", "--nocapture"])
            .env(CHILD_FOLDER, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("we can be started again");
        let lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let said =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        let before = acknowledged.len();
        acknowledged.extend(said.take(40 * round));
        assert!(acknowledged.len() > before, "it commits");
        child.kill().expect("it runs");
        child.wait().expect("it was killed");

        let store = SqliteStore::open(root.path()).expect("its lock died with the process");
        let tokens = block_on(store.tokens(None, usize::MAX)).expect("a read");
        let last = acknowledged.last().copied().unwrap_or(0);
        assert!(tokens.len() as u64 > last, "{last} was acknowledged, and {} are there", tokens.len());
        for (number, row) in (0..).zip(&tokens) {
            assert_eq!(row.id, token_id(number), "none in between is missing");
            assert!(!row.leased, "the lease of {number} died with the process");
            // One that was killed between its commit and its claim was never acknowledged.
            assert!(row.fence == 1 || !acknowledged.contains(&number), "the claim of {number} was acknowledged");
            let attempts = block_on(store.attempts(row.id, None, 9)).expect("a read");
            assert_eq!(attempts.len(), 1, "the batch of {number} is whole");
        }
    }
}

#[test]
fn a_log_that_was_cut_anywhere_holds_whole_batches_in_order() {
    const BATCHES: u64 = 12;
    let root = tempdir().expect("a folder");
    let store = SqliteStore::open(&root.path().join("alive")).expect("it is new");
    for number in 0..BATCHES {
        block_on(store.commit(vec![insert(token(number)), Write::Attempt(attempt(number, 1))])).expect("it is new");
    }
    // As a power cut would leave it: the log's tail never reached the disk.
    let log = fs::read(root.path().join("alive").join(format!("{DATABASE_FILE}-wal"))).expect("it is open");
    let database = fs::read(root.path().join("alive").join(DATABASE_FILE)).expect("it is open");
    let mut found = Vec::new();
    for cut in (0..=24).map(|part| log.len() * part / 24) {
        let folder = root.path().join(format!("cut-{cut}"));
        fs::create_dir(&folder).expect("it is new");
        fs::write(folder.join(DATABASE_FILE), &database).expect("there is room");
        fs::write(folder.join(format!("{DATABASE_FILE}-wal")), &log[..cut]).expect("there is room");
        let torn = SqliteStore::open(&folder).expect("a cut log is no damage");
        let tokens = block_on(torn.tokens(None, 99)).expect("a read");
        for (number, row) in (0..).zip(&tokens) {
            assert_eq!(row.id, token_id(number), "cut at {cut}: a later batch came without an earlier one");
            assert_eq!(block_on(torn.attempts(row.id, None, 9)).expect("a read").len(), 1, "cut at {cut}");
        }
        found.push(tokens.len() as u64);
    }
    assert!(found.is_sorted(), "{found:?}");
    assert_eq!((found[0], found[24]), (0, BATCHES), "{found:?}");
}
