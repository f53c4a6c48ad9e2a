//! Whether a connection is at work, is slow to ask, or idles. One small record a connection, written without locks.
//!
//! hyper's own header timeout would set a timer anew for every request, which is a measurable part of a fast one, and
//! would close an idle connection as quickly as a slow one. Here a request costs a few plain stores, and a
//! connection's one timer looks at them every few seconds.

use super::Limits;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What has happened on a connection.
#[derive(Default)]
pub(super) struct Activity {
    in_flight: AtomicU32,
    answered: AtomicU32,
    heard_since: AtomicBool,
}

impl Activity {
    /// A request's head is here; it is in flight until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }
}

/// A request in flight.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.heard_since.store(false, Relaxed);
        self.0.answered.fetch_add(1, Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let it go on.
    Keep,
    /// Nobody has asked for long: close it once nothing is under way.
    Finish,
    /// A request's head takes too long, or nobody reads the answers: close it at once.
    Cut,
}

/// Looks at a connection's activity every [`Self::period`].
pub(super) struct Observer {
    limits: Limits,
    /// On HTTP/2 bytes also come for other reasons than a request.
    bytes_mean_a_request: bool,
    answered: u32,
    waiting_for_head: Duration,
    idle: Duration,
}

impl Observer {
    pub(super) fn new(limits: Limits, bytes_mean_a_request: bool) -> Self {
        Self { limits, bytes_mean_a_request, answered: 0, waiting_for_head: Duration::ZERO, idle: Duration::ZERO }
    }

    /// How often to look. A slow head is cut after its limit, and at most half as much later.
    pub(super) fn period(limits: &Limits) -> Duration {
        (limits.head_read / 2).max(Duration::from_millis(1))
    }

    pub(super) fn look(&mut self, activity: &Activity) -> Verdict {
        let answered = activity.answered.load(Relaxed);
        let had_an_answer = std::mem::replace(&mut self.answered, answered) != answered;
        if activity.in_flight.load(Relaxed) > 0 || had_an_answer {
            (self.waiting_for_head, self.idle) = (Duration::ZERO, Duration::ZERO);
            return Verdict::Keep;
        }
        let period = Self::period(&self.limits);
        let first = answered == 0;
        if first || (self.bytes_mean_a_request && activity.heard_since.load(Relaxed)) {
            self.waiting_for_head += period;
            return if self.waiting_for_head > self.limits.head_read { Verdict::Cut } else { Verdict::Keep };
        }
        self.waiting_for_head = Duration::ZERO;
        self.idle += period;
        if self.idle < self.limits.idle {
            Verdict::Keep
        } else if self.idle < self.limits.idle + self.limits.drain {
            Verdict::Finish
        } else {
            // It didn't end: answers that nobody reads are under way for ever.
            Verdict::Cut
        }
    }
}

/// A stream that notes when bytes come in.
pub(super) struct Heard<I> {
    pub(super) stream: I,
    pub(super) activity: Arc<Activity>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Heard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.heard_since.store(true, Relaxed);
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Heard<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { head_read: Duration::from_secs(10), idle: Duration::from_secs(20), ..Limits::default() }
    }

    fn heard(activity: &Activity) {
        activity.heard_since.store(true, Relaxed);
    }

    #[test]
    fn a_connection_that_never_asks_is_cut() {
        let (activity, mut observer) = (Activity::default(), Observer::new(limits(), true));
        let looks = [(); 3].map(|()| observer.look(&activity));
        assert_eq!(looks, [Verdict::Keep, Verdict::Keep, Verdict::Cut]);
    }

    #[test]
    fn a_head_that_stays_half_is_cut_and_an_idle_connection_is_finished() {
        let (activity, mut observer) = (Arc::new(Activity::default()), Observer::new(limits(), true));
        drop(activity.begin());
        assert_eq!(observer.look(&activity), Verdict::Keep);
        let idle = [(); 4].map(|()| observer.look(&activity));
        assert_eq!(idle, [Verdict::Keep, Verdict::Keep, Verdict::Keep, Verdict::Finish]);
        heard(&activity);
        let slow = [(); 3].map(|()| observer.look(&activity));
        assert_eq!(slow, [Verdict::Keep, Verdict::Keep, Verdict::Cut]);
    }

    #[test]
    fn a_connection_at_work_is_kept_however_long_it_takes() {
        let (activity, mut observer) = (Arc::new(Activity::default()), Observer::new(limits(), true));
        heard(&activity);
        let request = activity.begin();
        for _ in 0..100 {
            assert_eq!(observer.look(&activity), Verdict::Keep);
        }
        drop(request);
        for _ in 0..100 {
            drop(activity.begin());
            heard(&activity);
            assert_eq!(observer.look(&activity), Verdict::Keep);
        }
    }

    #[test]
    fn on_http2_bytes_alone_are_no_request() {
        let (activity, mut observer) = (Arc::new(Activity::default()), Observer::new(limits(), false));
        drop(activity.begin());
        heard(&activity);
        let looks = [(); 5].map(|()| observer.look(&activity));
        assert_eq!(looks[..4], [Verdict::Keep; 4]);
        assert_eq!(looks[4], Verdict::Finish);
    }

    #[test]
    fn a_connection_that_does_not_end_when_it_should_is_cut() {
        for bytes_mean_a_request in [true, false] {
            let (activity, mut observer) =
                (Arc::new(Activity::default()), Observer::new(limits(), bytes_mean_a_request));
            drop(activity.begin());
            let looks = [(); 7].map(|()| observer.look(&activity));
            assert_eq!(looks[4..], [Verdict::Finish, Verdict::Finish, Verdict::Cut]);
        }
    }
}
