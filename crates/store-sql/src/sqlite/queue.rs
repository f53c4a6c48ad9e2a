//! A bounded queue from async callers to threads, and the threads that serve one.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::{io, thread};

/// First in, first out, up to a limit; whoever finds it full waits for room.
pub(super) struct Queue<J> {
    limit: usize,
    state: Mutex<State<J>>,
    /// Signalled when a job came or the queue was closed.
    changed: Condvar,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Callers that found the queue full, by the number of their push. Each has one entry at most.
    waiting: BTreeMap<u64, Waker>,
    pushes: u64,
    closed: bool,
}

/// The queue takes no more jobs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl<J> Queue<J> {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { jobs: VecDeque::new(), waiting: BTreeMap::new(), pushes: 0, closed: false };
        Self { limit, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Appends the job once there is room.
    pub(super) fn push(&self, job: J) -> Push<'_, J> {
        Push { queue: self, job: Some(job), number: None }
    }

    /// Takes the oldest jobs, at most so many, and waits while there are none. `None` once the queue is closed and
    /// empty.
    pub(super) fn take(&self, most: usize) -> Option<Vec<J>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.jobs.len().min(most);
        let jobs = state.jobs.drain(..count).collect();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        Some(jobs)
    }

    /// Takes no further jobs. Those that are in it are still served.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        waiting.into_values().for_each(Waker::wake);
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job on its way into the queue.
pub(super) struct Push<'q, J> {
    queue: &'q Queue<J>,
    job: Option<J>,
    /// Given when it first had to wait.
    number: Option<u64>,
}

// Nothing in it is pinned.
impl<J> Unpin for Push<'_, J> {}

impl<J> Future for Push<'_, J> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.queue.lock();
        if state.closed {
            return Poll::Ready(Err(Closed));
        }
        if state.jobs.len() >= this.queue.limit {
            let number = *this.number.get_or_insert_with(|| {
                state.pushes += 1;
                state.pushes
            });
            state.waiting.insert(number, context.waker().clone());
            return Poll::Pending;
        }
        state.jobs.extend(this.job.take());
        drop(state);
        this.queue.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl<J> Drop for Push<'_, J> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.queue.lock().waiting.remove(&number);
        }
    }
}

/// A thread that serves a queue. Dropping it waits until the thread is done, so the queue is closed first.
pub(super) struct Worker(Option<JoinHandle<()>>);

impl Worker {
    /// Starts a thread.
    pub(super) fn start<J: Send + 'static>(
        name: &str,
        queue: &Arc<Queue<J>>,
        serve: impl FnOnce(&Queue<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::clone(queue);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Were the thread to panic, callers would wait for ever on a queue that nobody serves.
            let closer = CloseAtEnd(&queue);
            serve(closer.0);
        })?;
        Ok(Self(Some(thread)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Its panic was reported when it happened, and its callers were told.
            let _ = thread.join();
        }
    }
}

struct CloseAtEnd<'q, J>(&'q Queue<J>);

impl<J> Drop for CloseAtEnd<'_, J> {
    fn drop(&mut self) {
        self.0.close();
        // Dropping what is left tells whoever waits for it.
        let left = std::mem::take(&mut self.0.lock().jobs);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use store::contract::block_on;

    use super::{Closed, Queue, Worker};

    #[test]
    fn jobs_come_out_in_the_order_in_which_they_went_in() {
        let queue = Queue::new(9);
        for job in 1..=5 {
            block_on(queue.push(job)).expect("it is open");
        }
        assert_eq!(queue.take(2), Some(vec![1, 2]));
        queue.close();
        assert_eq!(queue.take(9), Some(vec![3, 4, 5]), "what was accepted is served");
        assert_eq!(queue.take(9), None);
    }

    #[test]
    fn a_push_into_a_full_queue_waits_for_room() {
        let queue = Queue::new(1);
        block_on(queue.push(1)).expect("there is room");
        let mut context = Context::from_waker(Waker::noop());
        let mut second = pin!(queue.push(2));
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(queue.take(9), Some(vec![1]));
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        assert_eq!(queue.take(9), Some(vec![2]));
    }

    #[test]
    fn a_push_that_gave_up_leaves_nothing() {
        let queue = Queue::new(1);
        block_on(queue.push(1)).expect("there is room");
        {
            let mut second = pin!(queue.push(2));
            assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(queue.lock().waiting.len(), 1);
        }
        assert!(queue.lock().waiting.is_empty());
        assert_eq!(queue.take(9), Some(vec![1]));
    }

    #[test]
    fn a_closed_queue_refuses() {
        let queue = Queue::new(1);
        block_on(queue.push(1)).expect("there is room");
        let mut waiting = pin!(queue.push(2));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        queue.close();
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Err(Closed)));
        assert_eq!(block_on(queue.push(3)), Err(Closed));
    }

    #[test]
    fn a_queue_whose_thread_is_gone_refuses() {
        let queue: Arc<Queue<u8>> = Arc::new(Queue::new(1));
        drop(Worker::start("ends at once", &queue, |_| {}).expect("a thread starts"));
        assert_eq!(block_on(queue.push(1)), Err(Closed));
    }
}
