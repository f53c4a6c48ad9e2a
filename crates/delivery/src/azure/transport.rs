//! The way out: the official client's calls through a transport that the binary brings.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, RawResponse, Request, StatusCode};

use super::place::Clock;

/// The way to Azure: one call, one answer. No redirect is followed and nothing is tried again.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Sends the call and reads the answer.
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>>;
}

/// A call as the official client made it. No Debug: it holds a token, a client secret or a value.
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back. No Debug: it may hold a value.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A transport as the official client's port.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) transport: Arc<dyn Transport>,
    /// Where the directory is.
    pub(super) authority: String,
    /// Learns the time from each answer.
    pub(super) clock: Arc<Clock>,
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = match request.body() {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::SeekableStream(_) => return Err(io("a call with a stream for a body isn't made")),
        };
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned())).collect();
        let call = Call { method: request.method().as_str(), url: request.url().to_string(), headers, body };
        let rest = request.url().as_str().strip_prefix(&self.authority);
        let to_directory = rest.is_some_and(|rest| rest.starts_with('/'));
        let answer = self.transport.call(call).await.map_err(io)?;
        let mut headers = Headers::new();
        for (name, value) in answer.headers {
            let name = name.to_ascii_lowercase();
            if name == "date" {
                self.clock.told(&value);
            }
            headers.insert(HeaderName::from(name), HeaderValue::from(value));
        }
        let status = StatusCode::from(answer.status);
        if to_directory && answer.status >= 400 {
            return Err(refusal(status, headers, answer.body));
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, answer.body))
    }
}

/// A refusal of the directory, whole. The client would drop status and headers where the body is no JSON, as that of a
/// gateway in front isn't, or has an escape in its text.
fn refusal(status: StatusCode, headers: Headers, body: Vec<u8>) -> azure_core::Error {
    let raw_response = Some(Box::new(RawResponse::from_bytes(status, headers, body)));
    azure_core::error::ErrorKind::HttpResponse { status, error_code: None, raw_response }.into_error()
}

fn io(words: impl Into<String>) -> azure_core::Error {
    azure_core::Error::new(azure_core::error::ErrorKind::Io, Said(words.into()))
}

/// Words of ours inside an error of the client's. Only these are shown: its own may quote an answer.
#[derive(Debug)]
pub(super) struct Said(pub(super) String);

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl core::error::Error for Said {}
