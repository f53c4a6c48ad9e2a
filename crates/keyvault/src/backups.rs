//! Backups and restores under way. Each may hold some 100 MB of memory, so there are few at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::error::Refusal;

/// How many backups and long restores may be under way.
const AT_ONCE: usize = 2;

/// Counts them.
#[derive(Default)]
pub(crate) struct Backups(Arc<AtomicUsize>);

/// One that is under way, until this is dropped.
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl Backups {
    /// Begins one; refused where enough are under way, so that the client comes again.
    pub(crate) fn begin(&self) -> Result<UnderWay, Refusal> {
        let one_more = |count| (count < AT_ONCE).then_some(count + 1);
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(UnderWay(Arc::clone(&self.0))),
            Err(_) => Err(Refusal::Busy),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl UnderWay {
    /// The body of an answer, which counts as under way until it is sent.
    pub(crate) fn until_sent(self, body: Vec<u8>) -> Bytes {
        Bytes::from_owner(HeavyBody { body, _under_way: self })
    }
}

struct HeavyBody {
    body: Vec<u8>,
    _under_way: UnderWay,
}

impl AsRef<[u8]> for HeavyBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}
