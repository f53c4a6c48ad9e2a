//! One connection: HTTP on a stream, from the first byte to the last.

use super::activity::{Activity, Heard, Observer, Verdict};
use super::{Changes, HEAD_LIMIT, HEADER_COUNT_LIMIT, Limits, Listening, MostBody, Peer};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use secret::{Secret, SecretBuilder};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// The most requests that one HTTP/2 connection may have in flight.
const STREAMS_LIMIT: u32 = 100;

/// How often an HTTP/2 connection is asked for a sign of life, and how long it may take for it.
const PING: Duration = Duration::from_secs(20);

/// The most bytes that are read of a body that nobody looks at.
const DISCARD_LIMIT: usize = 32 << 20;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2, as agreed in the TLS handshake.
    Http2,
}

/// Serves requests on the stream until the peer, the limits or `stop` end it.
pub(super) async fn serve<I, S, F>(
    stream: I,
    protocol: Protocol,
    peer: Peer,
    limits: Limits,
    service: S,
    Listening { stopped, changes, most_body }: Listening,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Bytes>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Bytes>> + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let stream = TokioIo::new(Heard { stream, activity: activity.clone() });
    let on_request = {
        let activity = activity.clone();
        service_fn(move |request: Request<Incoming>| {
            let in_flight = activity.begin();
            let service = service.clone();
            let change = (!is_plain_read(&request)).then(|| (changes.clone(), most_body.clone()));
            async move {
                let answer = match change {
                    None => service(request.map(|_| Bytes::new()), peer).await,
                    Some((change, most_body)) => answer(request, peer, limits, most_body, service, change).await,
                };
                drop(in_flight);
                Ok::<_, Infallible>(answer.map(Full::new))
            }
        })
    };
    match protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                .max_headers(HEADER_COUNT_LIMIT)
                .max_header_size(HEAD_LIMIT)
                // Answers are not gathered for as long as requests come: to somebody who never reads, that has no end.
                .pipeline_flush(false)
                .serve_connection(stream, on_request);
            drive(connection, |it| it.graceful_shutdown(), &activity, Observer::new(limits, true), limits, stopped)
                .await;
        }
        Protocol::Http2 => {
            let head_limit = u32::try_from(HEAD_LIMIT).expect("the limit is a small number");
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .max_concurrent_streams(STREAMS_LIMIT)
                .max_header_list_size(head_limit)
                .serve_connection(stream, on_request);
            drive(connection, |it| it.graceful_shutdown(), &activity, Observer::new(limits, false), limits, stopped)
                .await;
        }
    }
}

/// Carries a connection to its end. The connection itself is polled first: most of the time it alone has something
/// to do.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    finish: fn(Pin<&mut C>),
    activity: &Activity,
    mut observer: Observer,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut connection = pin!(connection);
    let mut stopping = pin!(stop.wait_for(|stop| *stop));
    let mut finishing = false;
    let period = Observer::period(&limits);
    let mut tick = pin!(tokio::time::sleep(period));
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!("a connection ended early: {error}");
                }
                return;
            }
            () = tick.as_mut() => {
                match observer.look(activity) {
                    Verdict::Keep => {}
                    Verdict::Finish => finish(connection.as_mut()),
                    Verdict::Cut => {
                        tracing::debug!("a connection was closed: its peer was too slow to ask or to read");
                        return;
                    }
                }
                tick.as_mut().reset(tokio::time::Instant::now() + period);
            }
            _ = stopping.as_mut(), if !finishing => {
                finishing = true;
                finish(connection.as_mut());
            }
        }
    }
}

/// Nearly every request is a GET without a body: it changes nothing, and nothing is made ready for a body.
fn is_plain_read(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream()
}

/// Answers what may change something.
async fn answer<S, F>(
    request: Request<Incoming>,
    peer: Peer,
    limits: Limits,
    most_body: Option<MostBody>,
    service: S,
    change: Changes,
) -> Response<Bytes>
where
    S: Fn(Request<Bytes>, Peer) -> F,
    F: Future<Output = Response<Bytes>> + Send + 'static,
{
    let (mut head, body) = request.into_parts();
    if body.is_end_stream() {
        return to_its_end(service(Request::from_parts(head, Bytes::new()), peer), change).await;
    }
    let most = match most_body.map(|most_body| most_body(&mut head, peer)) {
        None => limits.body,
        Some(Ok(most)) => most,
        Some(Err(answer)) => {
            // Where it doesn't end, neither does the connection go on; the answer is the same.
            let _ = tokio::time::timeout(limits.body_read, discard(body)).await;
            return *answer;
        }
    };
    let limits = Limits { body: most, ..limits };
    match tokio::time::timeout(limits.body_read, read_body(body, limits.body)).await {
        Ok(Ok(body)) => to_its_end(service(Request::from_parts(head, body), peer), change).await,
        Ok(Err(refusal)) => refusal.answer(&limits),
        Err(_) => BodyRefusal::TooSlow.answer(&limits),
    }
}

/// A change that has begun is carried to its end though its client hangs up, so that everybody hears of it who must:
/// what is in memory, and the audit. The listener waits for it when it stops.
async fn to_its_end(
    answering: impl Future<Output = Response<Bytes>> + Send + 'static,
    change: Changes,
) -> Response<Bytes> {
    let whole = async move {
        let answer = answering.await;
        drop(change);
        answer
    };
    match tokio::spawn(whole).await {
        Ok(answer) => answer,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Why a body isn't taken.
enum BodyRefusal {
    TooLarge,
    TooSlow,
    Broken,
}

impl BodyRefusal {
    fn answer(&self, limits: &Limits) -> Response<Bytes> {
        let (status, code, message) = match self {
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLarge",
                format!("The request's body is larger than {} bytes.", limits.body),
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "RequestTimeout",
                format!("The request's body took longer than {} seconds.", limits.body_read.as_secs()),
            ),
            Self::Broken => {
                (StatusCode::BAD_REQUEST, "BadRequest", "The request's body is incomplete or malformed.".to_owned())
            }
        };
        let body = serde_json::json!({ "error": { "code": code, "message": message } });
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json; charset=utf-8"));
        answer
    }
}

/// Reads a body and keeps nothing of it: many clients read no answer before they have sent everything.
async fn discard(mut body: Incoming) {
    let mut length = 0;
    while length < DISCARD_LIMIT
        && let Some(Ok(frame)) = body.frame().await
    {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// Reads a body to its end. One that comes in a single piece isn't copied; pieces are put together in a buffer that
/// is wiped when the request is done, since a body may hold a secret.
async fn read_body(mut body: Incoming, limit: usize) -> Result<Bytes, BodyRefusal> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(BodyRefusal::TooLarge);
    }
    let mut pieces: Option<SecretBuilder> = None;
    let mut first = Bytes::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| BodyRefusal::Broken)?.into_data() else {
            continue;
        };
        length += piece.len();
        if length > limit {
            return Err(BodyRefusal::TooLarge);
        }
        if first.is_empty() && pieces.is_none() {
            first = piece;
            continue;
        }
        let pieces = pieces.get_or_insert_with(|| {
            let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0);
            let mut builder = SecretBuilder::with_capacity(length + rest);
            builder.push(&first);
            builder
        });
        pieces.push(&piece);
    }
    Ok(match pieces {
        Some(pieces) => Bytes::from_owner(Owned(pieces.finish())),
        None => first,
    })
}

/// Bytes that are wiped with their last owner.
struct Owned(Secret);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}
