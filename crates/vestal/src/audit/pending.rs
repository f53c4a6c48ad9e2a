//! Entries on their way to the disk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{AuditEntry, AuditError, AuditOutcome};
use tokio::sync::oneshot;
use vault::VersionId;

/// Told whether an entry is durable.
pub(super) type Written = oneshot::Receiver<Result<(), AuditError>>;

/// A bounded queue of entries, packed into bytes.
pub(super) struct Pending {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// The writer sleeps until it is told; otherwise it looks by itself.
    writer_sleeps: bool,
    closed: bool,
}

/// What is written at once.
#[derive(Default)]
pub(super) struct Batch {
    packed: Vec<u8>,
    /// How many entries there are.
    pub(super) count: u64,
    /// How many there was no room for.
    pub(super) lost: u64,
    waiting: Vec<oneshot::Sender<Result<(), AuditError>>>,
}

/// An entry, unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked<'a> {
    pub(super) unix_ms: i64,
    pub(super) app: Option<&'a str>,
    pub(super) operation: &'a str,
    pub(super) vault: &'a str,
    pub(super) name: &'a str,
    pub(super) version: Option<VersionId>,
    pub(super) outcome: AuditOutcome,
    pub(super) peer: Option<IpAddr>,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds an entry that nobody waits for. Whether there was room.
    pub(super) fn push(&self, entry: &AuditEntry<'_>) -> bool {
        let mut state = self.lock();
        if state.batch.packed.len() >= self.limit {
            state.batch.lost += 1;
            return false;
        }
        state.batch.pack(entry);
        if core::mem::take(&mut state.writer_sleeps) {
            self.changed.notify_one();
        }
        true
    }

    /// Adds an entry, and has it written now. `None` where there is no room.
    pub(super) fn push_and_wait(&self, entry: &AuditEntry<'_>) -> Option<Written> {
        let mut state = self.lock();
        if state.batch.packed.len() >= self.limit {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.batch.pack(entry);
        state.batch.waiting.push(sender);
        state.writer_sleeps = false;
        self.changed.notify_one();
        Some(receiver)
    }

    /// Nothing more is added. What is there is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for entries and takes them: at once where somebody waits for one of them, otherwise those that come
    /// within `gather` of the first. `batch` is emptied before, and its memory used again. `false` once it is closed
    /// and nothing is left.
    pub(super) fn take(&self, batch: &mut Batch, gather: Duration) -> bool {
        batch.clear();
        let mut state = self.lock();
        while state.batch.count == 0 {
            if state.closed {
                return false;
            }
            state.writer_sleeps = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer_sleeps = false;
        let patient = |state: &mut State| state.batch.waiting.is_empty() && !state.closed;
        let (mut state, _) =
            self.changed.wait_timeout_while(state, gather, patient).unwrap_or_else(PoisonError::into_inner);
        core::mem::swap(&mut state.batch, batch);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// The entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = Unpacked<'_>> {
        let mut rest = self.packed.as_slice();
        core::iter::from_fn(move || unpack(&mut rest))
    }

    /// How many entries are waited for.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Tells whoever waits.
    pub(super) fn answer(&mut self, result: &Result<(), AuditError>) {
        for waiting in self.waiting.drain(..) {
            // Whoever gave up waiting learns nothing.
            let _ = waiting.send(result.clone());
        }
    }

    fn clear(&mut self) {
        self.packed.clear();
        self.waiting.clear();
        (self.count, self.lost) = (0, 0);
    }

    fn pack(&mut self, entry: &AuditEntry<'_>) {
        let out = &mut self.packed;
        self.count += 1;
        out.extend_from_slice(&entry.unix_ms.to_le_bytes());
        out.push(entry.outcome as u8);
        pack_text(out, entry.operation);
        pack_text(out, entry.vault);
        pack_text(out, entry.name);
        out.push(u8::from(entry.app.is_some()));
        pack_text(out, entry.app.unwrap_or_default());
        out.push(u8::from(entry.version.is_some()));
        if let Some(version) = entry.version {
            out.extend_from_slice(version.as_bytes());
        }
        match entry.peer {
            None => out.push(0),
            Some(IpAddr::V4(address)) => {
                out.push(4);
                out.extend_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                out.push(6);
                out.extend_from_slice(&address.octets());
            }
        }
    }
}

/// A text of at most 255 bytes; all that are known are shorter.
fn pack_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u8::MAX))];
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

fn unpack<'a>(rest: &mut &'a [u8]) -> Option<Unpacked<'a>> {
    Some(Unpacked {
        unix_ms: i64::from_le_bytes(*array(rest)?),
        outcome: *AuditOutcome::ALL.get(usize::from(byte(rest)?))?,
        operation: unpack_text(rest)?,
        vault: unpack_text(rest)?,
        name: unpack_text(rest)?,
        app: {
            let there = byte(rest)? == 1;
            Some(unpack_text(rest)?).filter(|_| there)
        },
        version: if byte(rest)? == 1 { Some(VersionId(*array(rest)?)) } else { None },
        peer: match byte(rest)? {
            4 => Some(IpAddr::V4(Ipv4Addr::from(*array::<4>(rest)?))),
            6 => Some(IpAddr::V6(Ipv6Addr::from(*array::<16>(rest)?))),
            _ => None,
        },
    })
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    rest.split_off_first().copied()
}

fn array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    rest.split_off(..N)?.first_chunk()
}

fn unpack_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(byte(rest)?);
    core::str::from_utf8(rest.split_off(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(name: &'a str, app: Option<&'a str>, peer: Option<&str>) -> AuditEntry<'a> {
        AuditEntry {
            unix_ms: -7,
            app,
            operation: "SecretGet",
            vault: "dev",
            name,
            version: app.map(|_| VersionId([3; 16])),
            outcome: AuditOutcome::Failed,
            peer: peer.map(|peer| peer.parse().unwrap()),
        }
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let entries = [
            entry("a", Some("reader"), Some("192.0.2.7")),
            entry("", None, None),
            entry("b", Some(""), Some("2001:db8::1")),
        ];
        let mut batch = Batch::default();
        entries.iter().for_each(|entry| batch.pack(entry));
        let unpacked: Vec<_> = batch.entries().collect();
        assert_eq!((unpacked.len(), batch.count), (3, 3));
        for (unpacked, entry) in unpacked.iter().zip(&entries) {
            assert_eq!(
                (unpacked.unix_ms, unpacked.app, unpacked.operation, unpacked.vault, unpacked.name),
                (entry.unix_ms, entry.app, entry.operation, entry.vault, entry.name)
            );
            assert_eq!((unpacked.version, unpacked.outcome, unpacked.peer), (entry.version, entry.outcome, entry.peer));
        }
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let mut batch = Batch::default();
        batch.pack(&entry(&"é".repeat(200), None, None));
        assert_eq!(batch.entries().next().unwrap().name, "é".repeat(127));
    }

    #[test]
    fn a_full_queue_counts_what_it_loses() {
        let pending = Pending::new(100);
        let mut pushed = 0;
        while pending.push(&entry("a", None, None)) {
            pushed += 1;
        }
        assert!(!pending.push(&entry("b", None, None)));
        assert!(pending.push_and_wait(&entry("c", None, None)).is_none());
        let mut batch = Batch::default();
        assert!(pending.take(&mut batch, Duration::ZERO));
        assert_eq!((batch.count, batch.lost), (pushed, 2));
        assert!(pending.push(&entry("d", None, None)));
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let pending = Pending::new(100);
        pending.push(&entry("a", None, None));
        pending.close();
        let mut batch = Batch::default();
        assert!(pending.take(&mut batch, Duration::from_secs(3600)), "it doesn't wait for more");
        assert!(!pending.take(&mut batch, Duration::from_secs(3600)));
    }
}
