//! A knock on the door of a sleeping loop, without a runtime.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use futures_util::task::AtomicWaker;

/// Wakes one waiter. A knock before anybody waits isn't lost.
#[derive(Default)]
pub(crate) struct Wake {
    knocked: AtomicBool,
    waker: AtomicWaker,
}

impl Wake {
    pub(crate) fn knock(&self) {
        self.knocked.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Returns once somebody has knocked, and forgets the knock.
    pub(crate) async fn knocked(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.knocked.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
