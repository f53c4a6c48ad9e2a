//! The audit file: one line of JSON for every access to a secret.
//!
//! Entries are collected in memory and written by one thread, which syncs the file after each batch. A read is noted
//! by copying a hundred bytes; the thread is woken once for all reads of [50 ms](GATHER), so a read costs neither a
//! system call nor a wake-up of its own. A change waits until its line is on the disk; changes that wait at the same
//! time share one sync.
//!
//! ```text
//! {"seq":7,"time":"2026-11-22T20:45:01.123Z","app":"reader","operation":"SecretGet","vault":"dev","name":"a",
//!  "version":"0123456789abcdef0123456789abcdef","outcome":"allowed","peer":"127.0.0.1"}
//! ```
//!
//! `seq` counts up by one over restarts. Reads that were lost, because the disk was full or too slow, have used up
//! their numbers; the line after them says how many they were: `{"seq":12,"time":"…","operation":"AuditGap","lost":4}`.
//! A line that a crash tore was never acknowledged, and is removed at the next start.
//!
//! A file that is moved away, as a log is rotated, is begun anew with the next line; the numbers go on. This may happen
//! at any moment: a line that is being written stands in the file that was moved, and in no other.

mod file;
mod line;
mod pending;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use store::{Audit, AuditEntry, AuditError, AuditWrite};

pub use self::file::AuditOpenError;
use self::file::{LineFile, Medium};
use self::line::Lines;
use self::pending::{Batch, Pending};

/// How long reads are gathered before they are written and synced.
pub const GATHER: Duration = Duration::from_millis(50);

/// How many bytes of entries wait for the disk at most: some 50,000 reads. Later ones are lost, and counted.
pub const MAX_PENDING_BYTES: usize = 8 * 1024 * 1024;

/// The audit in a file. Dropping it writes what is pending.
pub struct AuditFile {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    pending: Pending,
    gaps: AtomicU64,
}

impl AuditFile {
    /// Opens the file, or makes it (mode 0600), and goes on after its last line.
    ///
    /// # Errors
    /// Why it can't be used, and what to do.
    pub fn open(path: &Path) -> Result<Self, AuditOpenError> {
        let (file, last) = LineFile::open(path)?;
        Self::start(file, last).map_err(|error| AuditOpenError::new(path, &error))
    }

    /// How many entries were lost since the start.
    pub fn gaps(&self) -> u64 {
        self.shared.gaps.load(Ordering::Relaxed)
    }

    fn start(medium: impl Medium, last: u64) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { pending: Pending::new(MAX_PENDING_BYTES), gaps: AtomicU64::new(0) });
        let writer = Writer { shared: Arc::clone(&shared), medium, lines: Lines::after(last), lost: 0 };
        let writer = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared, writer: Some(writer) })
    }
}

impl Audit for AuditFile {
    fn read(&self, entry: &AuditEntry<'_>) {
        if !self.shared.pending.push(entry) {
            self.shared.gaps.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&self, entry: &AuditEntry<'_>) -> AuditWrite<'_> {
        let written = self.shared.pending.push_and_wait(entry);
        Box::pin(async move {
            let stopped = || Err(AuditError("its writer has stopped: restart Vestal".to_owned()));
            match written {
                Some(written) => written.await.unwrap_or_else(|_| stopped()),
                None => Err(AuditError("its disk is too slow: too much waits for it already".to_owned())),
            }
        })
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        self.shared.pending.close();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to write.
            let _ = writer.join();
        }
    }
}

/// What the thread owns.
struct Writer<M> {
    shared: Arc<Shared>,
    medium: M,
    lines: Lines,
    /// Entries that were lost since the last line that was written.
    lost: u64,
}

impl<M: Medium> Writer<M> {
    fn run(mut self) {
        let mut batch = Batch::default();
        while self.shared.pending.take(&mut batch, GATHER) {
            self.write(&mut batch);
        }
    }

    fn write(&mut self, batch: &mut Batch) {
        self.lost += batch.lost;
        let before = self.lines.last();
        self.lines.begin(self.lost, batch.entries());
        match self.medium.append(self.lines.text()) {
            Ok(()) => {
                self.lost = 0;
                batch.answer(&Ok(()));
            }
            Err(error) => {
                // Nobody waits for a read, so those are gone; a change that isn't written down doesn't happen.
                let reads = batch.count - batch.waiting();
                self.lines.forget(before);
                self.lost += reads;
                self.shared.gaps.fetch_add(reads, Ordering::Relaxed);
                batch.answer(&Err(AuditError(file::explained(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use store::AuditOutcome;

    use super::*;

    fn entry(name: &str) -> AuditEntry<'_> {
        AuditEntry {
            unix_ms: 1_800_000_000_123,
            app: Some("reader"),
            operation: "SecretGet",
            vault: "dev",
            name,
            version: None,
            outcome: AuditOutcome::Allowed,
            peer: Some(IpAddr::from([127, 0, 0, 1])),
        }
    }

    fn write(audit: &AuditFile, name: &str) -> Result<(), AuditError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(audit.write(&entry(name)))
    }

    fn names(text: &str) -> Vec<(u64, String)> {
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let what = if line["operation"] == "AuditGap" { "gap" } else { line["name"].as_str().unwrap() };
            (line["seq"].as_u64().unwrap(), what.to_owned())
        };
        text.lines().map(line).collect()
    }

    fn numbered(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(seq, name)| (*seq, (*name).to_owned())).collect()
    }

    #[test]
    fn a_change_is_on_the_disk_before_it_happens_and_so_is_every_read_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = AuditFile::open(&path).unwrap();
        audit.read(&entry("one"));
        audit.read(&entry("two"));
        write(&audit, "three").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(names(&text), numbered(&[(1, "one"), (2, "two"), (3, "three")]));
    }

    #[test]
    fn the_numbers_go_on_after_a_restart_and_nothing_pending_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for _ in 0..2 {
            let audit = AuditFile::open(&path).unwrap();
            audit.read(&entry("a"));
            audit.read(&entry("b"));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(names(&text), numbered(&[(1, "a"), (2, "b"), (3, "a"), (4, "b")]));
    }

    /// A disk that is full on demand.
    #[derive(Clone, Default)]
    struct Disk {
        text: Arc<Mutex<String>>,
        full: Arc<AtomicBool>,
    }

    impl Medium for Disk {
        fn append(&mut self, lines: &[u8]) -> io::Result<()> {
            if self.full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.lock().unwrap().push_str(core::str::from_utf8(lines).unwrap());
            Ok(())
        }
    }

    #[test]
    fn on_a_full_disk_changes_fail_and_lost_reads_leave_a_gap() {
        let disk = Disk::default();
        let audit = AuditFile::start(disk.clone(), 0).unwrap();
        write(&audit, "before").unwrap();
        disk.full.store(true, Ordering::SeqCst);
        audit.read(&entry("lost"));
        audit.read(&entry("lost too"));
        let refused = write(&audit, "refused").unwrap_err();
        assert!(refused.to_string().contains("no room"), "{refused}");
        assert_eq!(audit.gaps(), 2);
        disk.full.store(false, Ordering::SeqCst);
        audit.read(&entry("seen"));
        write(&audit, "after").unwrap();
        let text = disk.text.lock().unwrap().clone();
        assert_eq!(names(&text), numbered(&[(1, "before"), (4, "gap"), (5, "seen"), (6, "after")]));
        assert!(text.contains(r#""operation":"AuditGap","lost":2}"#));
    }
}
