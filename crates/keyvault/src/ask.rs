//! A request, borrowed, and what came with it.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Uri};

/// The time of a request. Whoever listens reads the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: i64,
}

impl Now {
    /// Seconds since the Unix epoch, which is what attributes and tokens count in.
    pub(crate) fn unix_seconds(self) -> i64 {
        self.unix_ms.div_euclid(1000)
    }
}

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'r> {
    pub(crate) method: &'r Method,
    pub(crate) uri: &'r Uri,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) body: &'r [u8],
    pub(crate) now: Now,
    pub(crate) peer: Option<IpAddr>,
}

impl Ask<'_> {
    /// What is to be done, as Azure documents it for clients that can only GET and POST: a POST may carry the real
    /// method in a header.
    pub(crate) fn real_method(&self) -> Method {
        if self.method != Method::POST {
            return self.method.clone();
        }
        ["x-http-method", "x-http-request"]
            .into_iter()
            .find_map(|name| self.headers.get(name))
            .and_then(|value| Method::from_bytes(value.as_bytes().to_ascii_uppercase().as_slice()).ok())
            .unwrap_or(Method::POST)
    }
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers.get(header::AUTHORIZATION)?, "Bearer")
}

/// What follows the scheme of an `Authorization`, if it is this one (RFC 9110, section 11.4).
pub(crate) fn credentials<'h>(value: &'h HeaderValue, scheme: &str) -> Option<&'h str> {
    let (found, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    (found.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}
