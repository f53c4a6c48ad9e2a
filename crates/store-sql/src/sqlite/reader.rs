//! The threads that read.

use rusqlite::Connection;

use super::queue::Queue;

/// A read, which answers whoever waits for it itself.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Serves the queue until it is closed and empty.
pub(super) fn run(connection: &Connection, queue: &Queue<Read>) {
    // One at a time, since another reader may be free for the next.
    while let Some(reads) = queue.take(1) {
        reads.into_iter().for_each(|read| read(connection));
    }
}
