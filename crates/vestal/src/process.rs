//! What this process asks of the system for itself: that its memory is never written out, and files enough.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// How many open files are kept free of clients' connections: for the store, the audit, providers, alerts and
/// certificates.
const FILES_FOR_OURSELVES: u64 = 192;

/// How many connections each listener may have open, within what the system lets the process open. What one of them
/// takes is never missing to another, nor to the renewals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// The vaults and the authority.
    pub vaults: usize,
    /// Health and metrics.
    pub observe: usize,
    /// The control socket.
    pub control: usize,
}

/// Keeps the memory of this process to itself: it leaves no core dump, and no other process of the same user can look
/// into it with a debugger. Where the system refuses, it goes on as it is.
pub fn keep_memory_private() {
    // The limit alone doesn't keep a core dump from a program that the system hands them to.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Raises the limit of open files as far as the system lets it: the usual soft limit is made for programs of old that
/// break with more, and is used up by a thousand idle clients.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

impl Connections {
    /// As many as this process has files for.
    pub fn within_file_limit() -> Self {
        Self::within(getrlimit(Resource::Nofile).current)
    }

    /// As many as so many open files are enough for; `None` is as many as one likes.
    fn within(files: Option<u64>) -> Self {
        let room = files.unwrap_or(u64::MAX).saturating_sub(FILES_FOR_OURSELVES);
        let share = |part: u64, most: u64| {
            usize::try_from((room / 8 * part).clamp(8, most)).expect("the most is a small number")
        };
        Self { vaults: share(6, 4_096), observe: share(1, 256), control: share(1, 256) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_renewals() {
        for (files, vaults, others) in [(None, 4_096, 256), (Some(20_000), 4_096, 256), (Some(1_024), 624, 104)] {
            let expected = Connections { vaults, observe: others, control: others };
            assert_eq!(Connections::within(files), expected, "{files:?}");
            let taken = expected.vaults + expected.observe + expected.control;
            assert!(files.is_none_or(|files| taken as u64 + FILES_FOR_OURSELVES <= files));
        }
        assert_eq!(Connections::within(Some(10)), Connections { vaults: 8, observe: 8, control: 8 });
    }
}
