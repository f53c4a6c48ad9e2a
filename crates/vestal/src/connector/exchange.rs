//! A request and its answer on a connection, over HTTP/1.1.

use super::error::{NotSent, SendError, Unknown};
use super::{HEAD_LIMIT, HEADER_COUNT_LIMIT};
use crate::system_error::in_words;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use oauth::{AnswerHeaders, BODY_LIMIT, BodyEnd, HeaderValue, HttpAnswer, HttpRequest};
use secret::{Secret, SecretBuilder};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The headers that providers put a request's number into, in the order in which they are looked for.
const REQUEST_ID_HEADERS: [&str; 8] = [
    "x-request-id",
    "request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-github-request-id",
    "x-correlation-id",
    "x-trace-id",
    "cf-ray",
];

/// Headers that say how the message is carried. A setting that changed one could smuggle a second request in, or send
/// the first to another host's door.
const RESERVED_HEADERS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
];

/// The longest value of a header that is kept, in bytes.
const HEADER_VALUE_LIMIT: usize = 512;

/// Puts a request into the form that goes onto the wire. The secrets in it are moved, not copied, and wiped when the
/// request is dropped; what the HTTP library writes into its own buffer is not.
pub(super) fn wire_form(request: HttpRequest, authority: &str) -> Result<http::Request<Full<Bytes>>, NotSent> {
    let mut target = request.url.path().to_owned();
    if let Some(query) = request.url.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut wire = http::Request::new(Full::new(Bytes::from_owner(Owned(request.body))));
    let unsendable = |name: &str| NotSent::UnsendableHeader(name.to_owned());
    *wire.method_mut() =
        http::Method::from_bytes(request.method.as_str().as_bytes()).map_err(|_| unsendable("(method)"))?;
    *wire.uri_mut() = http::Uri::try_from(target).map_err(|_| unsendable("(path)"))?;
    let headers = wire.headers_mut();
    headers.insert(http::header::HOST, authority.parse().map_err(|_| unsendable("host"))?);
    headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static(super::USER_AGENT));
    // An encoded body would have to be decoded, and a small one can decode to a huge one.
    headers.insert(http::header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
    headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    for (name, value) in request.headers {
        let header = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable(&name))?;
        if RESERVED_HEADERS.contains(&header.as_str()) {
            return Err(NotSent::ReservedHeader(name));
        }
        let value = match value {
            HeaderValue::Plain(text) => http::HeaderValue::try_from(text),
            HeaderValue::Secret(secret) => {
                http::HeaderValue::from_maybe_shared(Bytes::from_owner(Owned(secret))).map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
            }
        };
        headers.insert(header, value.map_err(|_| unsendable(&name))?);
    }
    Ok(wire)
}

/// Sends the request, and keeps of the answer what matters of a token endpoint's.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Full<Bytes>>,
    host: &str,
    end: Instant,
    deadline: Duration,
) -> Result<HttpAnswer, SendError> {
    let (head, body, end) = converse(stream, request, host, end, deadline).await?;
    Ok(HttpAnswer { status: head.status.as_u16(), headers: headers_that_matter(&head.headers), body, end })
}

/// Puts a request of another client's into the form that goes onto the wire: as [`wire_form`] does, but for the reserved
/// headers, which are left out where that client has set them, and on a connection that may go on.
pub(super) fn plain_form(
    method: http::Method,
    url: &url::Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    authority: &str,
) -> Result<http::Request<Full<Bytes>>, NotSent> {
    let plain = |(name, value)| (name, HeaderValue::Plain(value));
    let headers =
        headers.into_iter().filter(|(name, _)| !RESERVED_HEADERS.contains(&name.as_str())).map(plain).collect();
    let request = HttpRequest { method: oauth::Method::Post, url: url.clone(), headers, body: Secret::new(body) };
    let is_empty = request.body.expose().is_empty();
    let mut wire = wire_form(request, authority)?;
    wire.headers_mut().remove(http::header::CONNECTION);
    // RFC 9110, section 8.6: a method that may have a body says that it has none. The HTTP library leaves that out, and
    // strict servers answer 411.
    if is_empty && [http::Method::PUT, http::Method::POST, http::Method::PATCH].contains(&method) {
        wire.headers_mut().insert(http::header::CONTENT_LENGTH, http::HeaderValue::from_static("0"));
    }
    *wire.method_mut() = method;
    Ok(wire)
}

/// Sends the request on a connection that is closed after it.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Full<Bytes>>,
    host: &str,
    end: Instant,
    deadline: Duration,
) -> Result<WholeAnswer, SendError> {
    let mut conversation = Conversation::open(stream, host).await?;
    conversation.ask(request, host, end, deadline).await
}

/// An answer: head, body as far as it came, and how that ended.
pub(super) type WholeAnswer = (http::response::Parts, Secret, BodyEnd);

/// An open connection, on which one request is answered after the other.
pub(super) struct Conversation {
    sender: http1::SendRequest<Full<Bytes>>,
    _driver: AbortOnDrop,
}

impl Conversation {
    /// Begins to speak HTTP on a connection.
    pub(super) async fn open(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
    ) -> Result<Self, SendError> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .max_headers(HEADER_COUNT_LIMIT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| SendError::NotSent { host: host.to_owned(), why: NotSent::ClosedEarly })?;
        let driver = AbortOnDrop(tokio::spawn(async move {
            // The error reaches the request itself too; here it would only be said twice.
            drop(connection.await);
        }));
        Ok(Self { sender, _driver: driver })
    }

    /// Sends the request, and reads the answer as far as the limits and the deadline let it.
    pub(super) async fn ask(
        &mut self,
        request: http::Request<Full<Bytes>>,
        host: &str,
        end: Instant,
        deadline: Duration,
    ) -> Result<WholeAnswer, SendError> {
        let not_sent = |why| SendError::NotSent { host: host.to_owned(), why };
        let unknown = |why| SendError::Unknown { host: host.to_owned(), why };
        let answer = match timeout_at(end, self.sender.try_send_request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(mut error)) => {
                // The library hands the request back only where it never began to write it.
                let never_written = error.take_message().is_some();
                let error = error.into_error();
                return Err(if never_written {
                    not_sent(NotSent::ClosedEarly)
                } else {
                    unknown(what_happened(&error))
                });
            }
            Err(_) => return Err(unknown(Unknown::DeadlinePassed(deadline))),
        };
        let (head, body) = answer.into_parts();
        // RFC 9112, section 6.3: with neither header, nothing but the end of the connection ends the body.
        let announced = [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING];
        let end_is_announced = announced.iter().any(|header| head.headers.contains_key(header));
        let (body, whole) = read_body(body, end).await;
        let end = match whole {
            true => BodyEnd::Whole,
            false if end_is_announced || body.len() >= BODY_LIMIT => BodyEnd::Cut,
            // Old servers close without TLS's word of the end (`close_notify`), or not at all: what came may be all.
            false => BodyEnd::Unconfirmed,
        };
        Ok((head, body, end))
    }

    /// Whether another request may follow, once the answer before was read whole: neither side has said or done
    /// otherwise.
    pub(super) async fn may_go_on(&mut self, end: Instant) -> bool {
        matches!(timeout_at(end, self.sender.ready()).await, Ok(Ok(())))
    }

    /// Whether the other side was still there when it was last heard of.
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }
}

/// Reads the body up to the limit, and tells whether its end came. From here on there is an answer, and it is handed on
/// whatever happens: a body may be too long, break off or come too slowly.
async fn read_body(mut body: Incoming, end: Instant) -> (Secret, bool) {
    let mut collected = SecretBuilder::default();
    let mut room = BODY_LIMIT;
    let whole = loop {
        match timeout_at(end, body.frame()).await {
            Ok(None) => break true,
            Ok(Some(Ok(frame))) => {
                let Some(data) = frame.data_ref() else { continue };
                collected.push(&data[..data.len().min(room)]);
                if data.len() > room {
                    break false;
                }
                room -= data.len();
            }
            Ok(Some(Err(_))) | Err(_) => break false,
        }
    };
    (collected.finish(), whole)
}

fn headers_that_matter(headers: &http::HeaderMap) -> AnswerHeaders {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= HEADER_VALUE_LIMIT).then(|| value.to_owned())
    };
    AnswerHeaders {
        content_type: text("content-type"),
        retry_after: text("retry-after"),
        date: text("date"),
        request_id: REQUEST_ID_HEADERS.iter().find_map(|name| text(name)),
    }
}

fn what_happened(error: &hyper::Error) -> Unknown {
    if error.is_parse_too_large() {
        Unknown::HeadTooLarge
    } else if error.is_parse() {
        Unknown::NotHttp
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Unknown::Closed
    } else {
        let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
        match cause {
            Some(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Unknown::Closed,
            Some(cause) => Unknown::Broken(in_words(cause)),
            None => Unknown::Closed,
        }
    }
}

/// Secret bytes inside a shared buffer: wiped with the last of its owners.
struct Owned(Secret);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A task that ends with whoever started it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
