//! The one thread that writes, and how it groups what waits.

use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_channel::oneshot::Sender;
use renewal::Wall;
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;
use store::{Claim, CommitError, Lease, StoreError, Write};

use super::failure::{left_nothing, store_error};
use super::queue::Queue;
use super::writes::{Refusal, Scribe};
use super::{CHECKPOINT_PAGES, GROUP_LIMIT, OLDEST_SQLITE, OpenError, WAL_LIMIT_PAGES, schema, settings};

/// Something to write, and whom to answer.
pub(super) enum Job {
    Commit {
        writes: Vec<Write>,
        answer: Sender<Result<(), CommitError>>,
    },
    Claim {
        claim: Claim,
        answer: Sender<Result<Option<Lease>, StoreError>>,
    },
    Release {
        lease: Lease,
        due: Wall,
        answer: Sender<Result<(), StoreError>>,
    },
    Probe {
        answer: Sender<Result<(), StoreError>>,
    },
    /// Runs between two transactions, such as to break something.
    #[cfg(test)]
    Meddle(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// What was written since the store was opened, and what waits now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions that reached the disk: each is one sync.
    pub transactions: u64,
    /// Commits, claims, releases and probes that were written with them, those that changed nothing included.
    pub commits: u64,
    /// Those of them that shared their transaction with another.
    pub commits_grouped: u64,
    /// Transactions that failed and were rolled back.
    pub failures: u64,
    /// Writes that wait for the writer now.
    pub writes_waiting: usize,
    /// Reads that wait for a reader now.
    pub reads_waiting: usize,
}

/// What the statistics are counted with.
#[derive(Default)]
pub(super) struct Counters {
    transactions: AtomicU64,
    commits: AtomicU64,
    commits_grouped: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    pub(super) fn statistics(&self, writes_waiting: usize, reads_waiting: usize) -> Statistics {
        Statistics {
            transactions: self.transactions.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            commits_grouped: self.commits_grouped.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            writes_waiting,
            reads_waiting,
        }
    }

    fn committed(&self, jobs: u64) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.commits.fetch_add(jobs, Ordering::Relaxed);
        if jobs > 1 {
            self.commits_grouped.fetch_add(jobs, Ordering::Relaxed);
        }
    }
}

/// What became of a job inside a transaction that was committed.
enum Outcome {
    Written,
    Claimed(Option<Lease>),
    Conflict,
    Unfit(StoreError),
}

/// Why a whole transaction was not committed.
struct Broken {
    error: StoreError,
    /// Nothing of it was written, and no crash can bring it back. Otherwise nobody knows.
    nothing_written: bool,
}

pub(super) struct Writer {
    database: PathBuf,
    /// `None` after a failure, until the next job opens it anew.
    connection: Option<Connection>,
    counters: Arc<Counters>,
    /// How many pages the log had when it could last not be written back whole; 0 once it was.
    held_at: i32,
    /// [`CHECKPOINT_PAGES`], unless a test says otherwise.
    checkpoint_pages: i32,
}

impl Writer {
    /// Opens the database, brings its schema up to date and takes the next epoch. Where it may not make a store, a
    /// database without tables is none.
    pub(super) fn open(database: &Path, may_create: bool, counters: Arc<Counters>) -> Result<Self, OpenError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(OpenError::OldSqlite { found: rusqlite::version() });
        }
        let mut connection = settings::open_writer(database).map_err(OpenError::sqlite)?;
        if !may_create && schema::is_empty(&connection).map_err(OpenError::sqlite)? {
            return Err(OpenError::Gone { database: database.to_owned(), what: "is empty" });
        }
        schema::migrate(&mut connection)?;
        schema::take_epoch(&mut connection).map_err(OpenError::sqlite)?;
        let database = database.to_owned();
        Ok(Self { database, connection: Some(connection), counters, held_at: 0, checkpoint_pages: CHECKPOINT_PAGES })
    }

    /// Serves the queue until it is closed and empty, then closes the database, which writes the log back.
    pub(super) fn run(mut self, queue: &Queue<Job>) {
        while let Some(jobs) = queue.take(GROUP_LIMIT) {
            #[cfg(test)]
            let jobs = self.meddle(jobs);
            if !jobs.is_empty() {
                self.serve(jobs);
                self.checkpoint_if_long();
            }
        }
    }

    /// Writes all of them together. Where that fails, each alone: what can be written is, and only what can't is
    /// refused.
    fn serve(&mut self, jobs: Vec<Job>) {
        match self.transact(&jobs) {
            Ok(outcomes) => jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.answer(outcome)),
            Err(broken) if jobs.len() == 1 || !broken.nothing_written => {
                jobs.into_iter().for_each(|job| job.fail(&broken.error));
            }
            Err(broken) => {
                for job in jobs {
                    // The last room is for what was spent already, not for claims that would spend more.
                    if broken.error == StoreError::Full && matches!(job, Job::Claim { .. }) {
                        job.fail(&broken.error);
                        continue;
                    }
                    match self.transact(slice::from_ref(&job)) {
                        Ok(mut outcomes) => job.answer(outcomes.pop().unwrap_or(Outcome::Written)),
                        Err(broken) => job.fail(&broken.error),
                    }
                }
            }
        }
    }

    /// Runs the jobs in one transaction and commits it.
    fn transact(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Broken> {
        let connection = self.connection()?;
        let written = write_all(connection, jobs).map_err(|error| (error, true));
        let committed = written.and_then(|outcomes| match execute(connection, "COMMIT") {
            Ok(()) => Ok(outcomes),
            Err(error) => {
                let nothing_written = left_nothing(&error);
                Err((error, nothing_written))
            }
        });
        match committed {
            Ok(outcomes) => {
                self.counters.committed(jobs.len() as u64);
                Ok(outcomes)
            }
            Err((error, nothing_written)) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                Err(self.recover(&error, nothing_written))
            }
        }
    }

    /// Leaves no trace of a transaction that failed, so that the next one starts well.
    fn recover(&mut self, error: &rusqlite::Error, mut nothing_written: bool) -> Broken {
        let Some(connection) = self.connection.take() else {
            return Broken { error: store_error(error), nothing_written };
        };
        let rolled_back = connection.is_autocommit() || execute(&connection, "ROLLBACK").is_ok();
        if !nothing_written && rolled_back {
            // The log may hold the whole transaction, which this process doesn't count as committed and the next one
            // would. Writing the log back and cutting it off settles that.
            nothing_written = connection.wal_checkpoint_v2(Some(c"main"), CheckpointMode::TRUNCATE).is_ok();
        }
        if rolled_back && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            // Nothing is wrong with the connection.
            self.connection = Some(connection);
        }
        let error = match store_error(error) {
            StoreError::Full if !nothing_written => StoreError::Unavailable(
                "the disk failed while it took a write: whether that was written is seen at the next start".to_owned(),
            ),
            error => error,
        };
        Broken { error, nothing_written }
    }

    fn connection(&mut self) -> Result<&Connection, Broken> {
        if self.connection.is_none() {
            let opened = settings::open_writer(&self.database);
            let opened = opened.map_err(|error| Broken { error: store_error(&error), nothing_written: true })?;
            self.connection = Some(opened);
        }
        let missing = || StoreError::Unavailable("its database is closed".to_owned());
        self.connection.as_ref().ok_or_else(|| Broken { error: missing(), nothing_written: true })
    }

    /// Writes the log back into the database where it has become long. Everybody was answered by then.
    fn checkpoint_if_long(&mut self) {
        let Some(connection) = &self.connection else { return };
        // A checkpoint that fails, as on a full disk, changes nothing that anybody was told. The next one tries again.
        let checkpoint = |mode| connection.wal_checkpoint_v2(Some(c"main"), mode);
        let Ok((pages, _)) = checkpoint(CheckpointMode::NOOP) else {
            return;
        };
        if pages < self.held_at {
            // It was written back whole since, and began anew.
            self.held_at = 0;
        }
        if pages - self.held_at < self.checkpoint_pages {
            return;
        }
        let mode = if pages < WAL_LIMIT_PAGES { CheckpointMode::PASSIVE } else { CheckpointMode::RESTART };
        self.held_at = match checkpoint(mode) {
            Ok((pages, written_back)) if written_back >= pages => 0,
            // A read holds on to a part of it, or the disk is full: not again after each commit.
            _ => pages,
        };
    }

    #[cfg(test)]
    fn meddle(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let mut rest = Vec::new();
        for job in jobs {
            match job {
                Job::Meddle(meddle) => meddle(self),
                job => rest.push(job),
            }
        }
        rest
    }
}

impl Job {
    fn answer(self, outcome: Outcome) {
        let written = |outcome| match outcome {
            Outcome::Unfit(error) => Err(error),
            _ => Ok(()),
        };
        // Whoever no longer waits for the answer doesn't get it.
        match self {
            Self::Commit { answer, .. } => {
                let _ = answer.send(match outcome {
                    Outcome::Conflict => Err(CommitError::Conflict),
                    outcome => written(outcome).map_err(CommitError::Store),
                });
            }
            Self::Claim { answer, .. } => {
                let _ = answer.send(match outcome {
                    Outcome::Claimed(lease) => Ok(lease),
                    outcome => written(outcome).map(|()| None),
                });
            }
            Self::Release { answer, .. } | Self::Probe { answer } => {
                let _ = answer.send(written(outcome));
            }
            #[cfg(test)]
            Self::Meddle(_) => {}
        }
    }

    fn fail(self, error: &StoreError) {
        self.answer(Outcome::Unfit(error.clone()));
    }
}

/// Everything but the commit.
fn write_all(connection: &Connection, jobs: &[Job]) -> rusqlite::Result<Vec<Outcome>> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let mut scribe = Scribe::new(connection);
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let written = match job {
            Job::Commit { writes, .. } => write_batch(connection, &mut scribe, writes).map(|()| Outcome::Written),
            Job::Claim { claim, .. } => scribe.claim(*claim).map(Outcome::Claimed),
            Job::Release { lease, due, .. } => scribe.release(*lease, *due).map(|()| Outcome::Written),
            Job::Probe { .. } => scribe.probe().map(|()| Outcome::Written),
            #[cfg(test)]
            Job::Meddle(_) => Ok(Outcome::Written),
        };
        outcomes.push(match written {
            Ok(outcome) => outcome,
            Err(Refusal::Conflict) => Outcome::Conflict,
            Err(Refusal::Unfit(error)) => Outcome::Unfit(error),
            Err(Refusal::Sqlite(error)) => return Err(error),
        });
    }
    match scribe.finish() {
        Err(Refusal::Sqlite(error)) => Err(error),
        // Neither is possible: nothing in it expects a row or stores a number of a caller's.
        Ok(()) | Err(Refusal::Conflict | Refusal::Unfit(_)) => Ok(outcomes),
    }
}

/// A batch that is refused leaves nothing, and leaves its neighbours alone.
fn write_batch(connection: &Connection, scribe: &mut Scribe<'_>, writes: &[Write]) -> Result<(), Refusal> {
    execute(connection, "SAVEPOINT batch")?;
    let written = writes.iter().try_for_each(|write| scribe.write(write));
    if let Err(Refusal::Conflict | Refusal::Unfit(_)) = &written {
        execute(connection, "ROLLBACK TO batch")?;
    }
    if !matches!(written, Err(Refusal::Sqlite(_))) {
        execute(connection, "RELEASE batch")?;
    }
    written
}

fn execute(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests;
