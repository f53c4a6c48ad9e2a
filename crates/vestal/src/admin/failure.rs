//! What the admin API refuses: the one place that gives a refusal its HTTP status.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use store::RecordError;

use super::wire::{Failure, FailureBody, FailureCode};
use crate::definitions::ApplyError;

/// A call that did not succeed.
#[derive(Debug)]
pub struct Failed {
    code: FailureCode,
    message: String,
    help: Option<String>,
}

impl Failed {
    pub(super) fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn is(&self, code: FailureCode) -> bool {
        self.code == code
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(FailureCode::BadRequest, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureCode::NotFound, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Unavailable, message)
    }

    pub(super) fn no_such_call(method: &Method, path: &str) -> Self {
        Self::not_found(format!("there is no call {method} {path}"))
            .help("the command and the running process may be of different versions: restart the process")
    }

    /// What the file owns isn't changed by anything else.
    pub(super) fn owned_by_file(kind: &str, name: &str) -> Self {
        Self::new(FailureCode::OwnedByFile, format!("the {kind} {name} stands in the configuration file"))
            .help("change it there, and run `vestal apply`")
    }

    pub(super) fn response(self) -> Response<Bytes> {
        let status = match self.code {
            FailureCode::BadRequest => StatusCode::BAD_REQUEST,
            FailureCode::NotFound => StatusCode::NOT_FOUND,
            FailureCode::Conflict => StatusCode::CONFLICT,
            FailureCode::OwnedByFile => StatusCode::FORBIDDEN,
            FailureCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let failure = Failure { error: FailureBody { code: self.code, message: self.message, help: self.help } };
        // Three strings and a word can't fail to be JSON.
        let body = serde_json::to_vec(&failure).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        response
    }
}

impl From<RecordError> for Failed {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::NotFound => FailureCode::NotFound,
            RecordError::Unmet | RecordError::Exists | RecordError::Deleted | RecordError::Contended => {
                FailureCode::Conflict
            }
            RecordError::Store(_) | RecordError::Sealed(_) => FailureCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<store::StoreError> for Failed {
    fn from(error: store::StoreError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<ApplyError> for Failed {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Record(error) => error.into(),
            ApplyError::MadeByAdmin { .. } => Self::new(FailureCode::Conflict, error.to_string()),
            ApplyError::Invalid(words) => Self::bad_request(words),
        }
    }
}
