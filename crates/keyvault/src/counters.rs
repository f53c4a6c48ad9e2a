//! How many requests came to what.

use std::sync::atomic::{AtomicU64, Ordering};

use store::AuditOutcome;

use crate::operation::Operation;

/// A table of operations and outcomes.
#[derive(Default)]
pub(crate) struct Counters([[AtomicU64; AuditOutcome::ALL.len()]; Operation::ALL.len()]);

/// One number of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// What was asked for, as in the audit: `SecretGet`.
    pub operation: &'static str,
    /// What came of it, as in the audit: `allowed`.
    pub outcome: &'static str,
    /// How often, since the start.
    pub count: u64,
}

impl Counters {
    pub(crate) fn count(&self, operation: Operation, outcome: AuditOutcome) {
        self.0[operation as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = RequestCount> {
        Operation::ALL.into_iter().flat_map(move |operation| {
            AuditOutcome::ALL.into_iter().map(move |outcome| RequestCount {
                operation: operation.word(),
                outcome: outcome.word(),
                count: self.0[operation as usize][outcome as usize].load(Ordering::Relaxed),
            })
        })
    }
}
