//! Everything that the authority answers but success: which status, code and message each outcome has, in the form of
//! Entra's errors, which SDKs take apart.

use http::{Method, StatusCode};
use serde::Serialize;
use store::AuditError;

use crate::headers::RequestId;

/// Why the authority gives no token.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The path is nobody's.
    NoSuchPath,
    /// The path takes another method.
    Method { allowed: Method, received: Method },
    /// A parameter is missing, or the body is no form.
    Missing(&'static str),
    /// A parameter is there twice.
    Twice(&'static str),
    /// The grant is none that is offered.
    GrantType(String),
    /// No client secret came, in the form or in Basic.
    NoSecret,
    /// The client is unknown, or its secret is wrong or has ended: the same answer for all three.
    Client(Option<String>),
    /// The scope doesn't end in `/.default`.
    Scope(String),
    /// The resource is none of ours.
    Resource { resource: String, tenant: String },
    /// Too many requests from one source, or for one client.
    TooMany { retry_after_seconds: u32 },
    /// The audit can't be written.
    Audit(AuditError),
    /// The token can't be signed.
    Signing,
}

/// What a refusal is found by afterwards.
pub(super) struct Trace {
    pub(super) request: RequestId,
    /// The client's own name for the request.
    pub(super) client: Option<String>,
    pub(super) unix_ms: i64,
}

struct Shape {
    status: StatusCode,
    error: &'static str,
    /// Entra's number; 0 where it has none.
    number: u32,
    text: String,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
    error_codes: &'a [u32],
    timestamp: &'a str,
    trace_id: &'a str,
    correlation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_uri: Option<String>,
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        self.shape().status
    }

    pub(super) fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::TooMany { retry_after_seconds } => Some(*retry_after_seconds),
            _ => None,
        }
    }

    /// What the operator has to know and the client doesn't.
    pub(super) fn cause(&self) -> Option<String> {
        match self {
            Self::Audit(error) => Some(error.to_string()),
            Self::Signing => Some("the directory's key can't sign".to_owned()),
            _ => None,
        }
    }

    pub(super) fn body(&self, trace: &Trace) -> Vec<u8> {
        let shape = self.shape();
        let timestamp = timestamp(trace.unix_ms);
        let request = trace.request.as_str();
        let correlation = trace.client.as_deref().unwrap_or(request);
        let number = if shape.number == 0 { String::new() } else { format!("AADSTS{}: ", shape.number) };
        let codes = [shape.number];
        let body = Body {
            error: shape.error,
            error_description: &format!(
                "{number}{} Trace ID: {request} Correlation ID: {correlation} Timestamp: {timestamp}",
                shape.text
            ),
            error_codes: if shape.number == 0 { &[] } else { &codes },
            timestamp: &timestamp,
            trace_id: request,
            correlation_id: correlation,
            // Microsoft's pages explain the numbers, which are theirs.
            error_uri: (shape.number != 0)
                .then(|| format!("https://login.microsoftonline.com/error?code={}", shape.number)),
        };
        serde_json::to_vec(&body).expect("an error is plain data")
    }

    fn shape(&self) -> Shape {
        use StatusCode as S;
        let shape = |status, error, number, text: String| Shape { status, error, number, text };
        match self {
            Self::NoSuchPath => {
                shape(S::NOT_FOUND, "invalid_request", 0, "There is nothing at this path of the authority.".into())
            }
            Self::Method { allowed, received } => shape(
                S::METHOD_NOT_ALLOWED,
                "invalid_request",
                900_561,
                format!("The endpoint only accepts {allowed} requests. Received a {received} request."),
            ),
            Self::Missing(parameter) => shape(
                S::BAD_REQUEST,
                "invalid_request",
                900_144,
                format!("The request body must contain the following parameter: '{parameter}'."),
            ),
            Self::Twice(parameter) => shape(
                S::BAD_REQUEST,
                "invalid_request",
                9_000_411,
                format!("The request is not properly formatted. The parameter '{parameter}' is duplicated."),
            ),
            Self::GrantType(grant) => shape(
                S::BAD_REQUEST,
                "unsupported_grant_type",
                70_003,
                format!("The app requested an unsupported grant type '{grant}'. Offered: client_credentials."),
            ),
            Self::NoSecret => shape(
                S::UNAUTHORIZED,
                "invalid_client",
                7_000_216,
                "'client_secret' is required for the 'client_credentials' grant type.".into(),
            ),
            Self::Client(client) => {
                let whose =
                    client.as_deref().map(|id| format!(", for a secret added to app '{id}'")).unwrap_or_default();
                shape(
                    S::UNAUTHORIZED,
                    "invalid_client",
                    7_000_215,
                    format!(
                        "Invalid client secret provided. Ensure the secret being sent in the request is the client \
                         secret value, not the client secret ID{whose}."
                    ),
                )
            }
            Self::Scope(scope) => shape(
                S::BAD_REQUEST,
                "invalid_scope",
                1_002_012,
                format!(
                    "The provided value for scope {scope} is not valid. Client credential flows must have a scope \
                     value with /.default suffixed to the resource identifier (application ID URI)."
                ),
            ),
            Self::Resource { resource, tenant } => shape(
                S::BAD_REQUEST,
                "invalid_resource",
                500_011,
                format!(
                    "The resource principal named {resource} was not found in the tenant named {tenant}. You might \
                     have sent your authentication request to the wrong tenant."
                ),
            ),
            Self::TooMany { .. } => shape(
                S::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                90_055,
                "There have been too many requests in a short time. Wait as long as Retry-After says.".into(),
            ),
            Self::Audit(_) | Self::Signing => shape(
                S::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                90_033,
                "A transient error has occurred. Please try again.".into(),
            ),
        }
    }
}

impl From<AuditError> for Refusal {
    fn from(error: AuditError) -> Self {
        Self::Audit(error)
    }
}

/// A time as Entra writes it: `2026-11-22 20:45:01Z`.
fn timestamp(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 1 March of the year 0, so that a leap day ends its year.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02} {:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        for (unix_ms, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (951_868_799_999, "2000-02-29 23:59:59Z"),
            (1_763_844_301_000, "2025-11-22 20:45:01Z"),
            (1_800_000_000_000, "2027-01-15 08:00:00Z"),
            (-1, "1969-12-31 23:59:59Z"),
        ] {
            assert_eq!(timestamp(unix_ms), text);
        }
    }
}
