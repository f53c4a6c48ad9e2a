//! Everything that a vault answers but success: which status, code and message each outcome has. Nothing else in the
//! vault's API decides a status; the authority's are in [`authority::error`](crate::authority).
//!
//! The texts are Azure's own where they are known, since clients compare them.

use http::StatusCode;
use store::{AuditError, AuditOutcome, RecordError, StoreError};

use crate::json::JsonWriter;
use crate::version::NEWEST;

/// Why a request to a vault is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The Host is neither a vault's nor the authority's.
    NoSuchHost,
    /// There is no Host, or more than one.
    Host,
    /// No bearer token.
    TokenMissing,
    /// The bearer token is no JWT of the form that the authority makes.
    TokenMalformed,
    /// The token is for somebody else.
    TokenAudience {
        /// Whom a token must be for.
        expected: String,
        /// Whom it is for.
        found: String,
    },
    /// The token is somebody else's.
    TokenIssuer {
        /// Who must have issued it.
        expected: String,
        /// Who did.
        found: String,
    },
    /// No key of ours made the signature.
    TokenKey,
    /// The token has expired, or is not valid yet.
    TokenExpired,
    /// The app of the token is gone, or its tokens were revoked.
    TokenRevoked,
    /// The path is nobody's.
    NoSuchPath,
    /// The path is known, with other methods: these.
    Method(String),
    /// No policy allows it.
    AccessDenied {
        /// Who asks, as Azure names a caller.
        caller: String,
        /// What for.
        permission: &'static str,
        /// Where.
        vault: String,
    },
    /// The name in the path is none.
    Name(String),
    /// `api-version` is missing.
    ApiVersionMissing,
    /// `api-version` is one that is not answered.
    ApiVersionUnknown(String),
    /// `maxresults` is out of range.
    MaxResults,
    /// `$skiptoken` was not made here for this list.
    SkipToken,
    /// The body is not what the operation takes.
    Property,
    /// There is no such secret, or no such version. The text is `NAME` or `NAME/VERSION`.
    SecretNotFound(String),
    /// There is no such deleted secret.
    DeletedSecretNotFound(String),
    /// What the client made its write depend on isn't so.
    Precondition,
    /// The client made a change depend on a tag, which this operation doesn't look at.
    ConditionNotTaken,
    /// Enough backups and restores are under way.
    Busy,
    /// There is a deleted secret of this name, which stands in the way. The text is its name.
    SecretDeleted(String),
    /// There is a secret of this name, which stands in the way of a restore. The text is its name.
    SecretExists(String),
    /// The vault is protected against purging.
    PurgeProtected,
    /// What is to be restored is no backup that was made here.
    Backup,
    /// There is too much of the secret for a backup.
    BackupTooLarge,
    /// The version is disabled.
    SecretDisabled,
    /// The audit can't be written.
    Audit(AuditError),
    /// The store failed.
    Record(RecordError),
}

/// What an outcome looks like on the wire.
struct Shape {
    status: StatusCode,
    code: &'static str,
    inner: Option<&'static str>,
    message: String,
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        self.shape().status
    }

    /// The body, as Key Vault writes errors.
    pub(crate) fn body(&self) -> Vec<u8> {
        let shape = self.shape();
        let mut json = JsonWriter::with_capacity(128 + shape.message.len());
        json.raw("{\"error\":{\"code\":");
        json.string(shape.code);
        json.raw(",\"message\":");
        json.string(&shape.message);
        if let Some(inner) = shape.inner {
            json.raw(",\"innererror\":{\"code\":");
            json.string(inner);
            json.raw("}");
        }
        json.raw("}}");
        json.finish()
    }

    /// The same in the audit's words.
    pub(crate) fn outcome(&self) -> AuditOutcome {
        match self.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => AuditOutcome::Refused,
            StatusCode::NOT_FOUND => AuditOutcome::NotFound,
            status if status.is_client_error() => AuditOutcome::Invalid,
            _ => AuditOutcome::Failed,
        }
    }

    /// What the operator has to know and the client doesn't. Without a value of any secret.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Audit(error) => Some(error.to_string()),
            Self::Record(error) => Some(error.to_string()),
            _ => None,
        }
    }

    fn shape(&self) -> Shape {
        use StatusCode as S;
        let shape = |status, code, message: &str| Shape { status, code, inner: None, message: message.to_owned() };
        let because = |inner, shape: Shape| Shape { inner: Some(inner), ..shape };
        match self {
            Self::NoSuchHost => shape(S::NOT_FOUND, "VaultNotFound", "There is no vault of that name here."),
            Self::Host => shape(S::BAD_REQUEST, "BadParameter", "The request must carry exactly one Host."),
            Self::TokenMissing => {
                shape(S::UNAUTHORIZED, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            }
            Self::TokenMalformed => shape(
                S::UNAUTHORIZED,
                "Unauthorized",
                "[BearerReadAccessTokenFailed] Error validating token: 'S2S12005'.",
            ),
            Self::TokenAudience { expected, found } => shape(
                S::UNAUTHORIZED,
                "Unauthorized",
                &format!("AKV10022: Invalid audience. Expected {expected}, found: {found}."),
            ),
            Self::TokenIssuer { expected, found } => shape(
                S::UNAUTHORIZED,
                "Unauthorized",
                &format!("AKV10032: Invalid issuer. Expected one of {expected}, found {found}."),
            ),
            Self::TokenKey => shape(
                S::UNAUTHORIZED,
                "Unauthorized",
                "AKV10046: Unable to resolve the key used for signature validation.",
            ),
            Self::TokenExpired => {
                shape(S::UNAUTHORIZED, "Unauthorized", "[TokenExpired] Error validating token: 'S2S12086'.")
            }
            Self::TokenRevoked => shape(
                S::UNAUTHORIZED,
                "Unauthorized",
                "The app registration of this token is gone, or its tokens were revoked. Get a new token.",
            ),
            Self::NoSuchPath => shape(S::NOT_FOUND, "NotFound", "There is nothing at this path."),
            Self::Method(allowed) => shape(
                S::METHOD_NOT_ALLOWED,
                "BadParameter",
                &format!("The method is not allowed at this path. Allowed: {allowed}."),
            ),
            Self::AccessDenied { caller, permission, vault } => because(
                "AccessDenied",
                shape(
                    S::FORBIDDEN,
                    "Forbidden",
                    &format!(
                        "The user, group or application '{caller}' does not have secrets {permission} permission on \
                         key vault '{vault}'. For help resolving this issue, please see \
                         https://go.microsoft.com/fwlink/?linkid=2125287"
                    ),
                ),
            ),
            Self::Name(name) => {
                shape(S::BAD_REQUEST, "BadParameter", &format!("The request URI contains an invalid name: {name}"))
            }
            Self::ApiVersionMissing => shape(S::BAD_REQUEST, "BadParameter", "api-version must be specified"),
            Self::ApiVersionUnknown(version) => shape(
                S::BAD_REQUEST,
                "BadParameter",
                &format!(
                    "The specified version ({version}) is not recognized. Consider using the latest supported \
                     version ({}).",
                    NEWEST.as_str()
                ),
            ),
            Self::MaxResults => {
                shape(S::BAD_REQUEST, "BadParameter", "Parameter maxresults has invalid value. It must be 1 to 25.")
            }
            Self::SkipToken => shape(
                S::BAD_REQUEST,
                "BadParameter",
                "Parameter $skiptoken has invalid value. Follow nextLink as it was given, or start anew.",
            ),
            Self::Property => shape(S::BAD_REQUEST, "BadParameter", "Property  has invalid value\r\n"),
            Self::SecretNotFound(name) => shape(
                S::NOT_FOUND,
                "SecretNotFound",
                &format!(
                    "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this \
                     secret you may be able to recover it using the correct recovery command. For help resolving \
                     this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
                ),
            ),
            Self::DeletedSecretNotFound(name) => {
                shape(S::NOT_FOUND, "SecretNotFound", &format!("Deleted Secret not found: {name}"))
            }
            Self::Precondition => shape(
                S::PRECONDITION_FAILED,
                "PreconditionFailed",
                "The secret is another by now, or is not there, or is: read it again. Nothing was changed.",
            ),
            Self::ConditionNotTaken => shape(
                S::BAD_REQUEST,
                "BadParameter",
                "Only setting a secret can depend on a tag; other changes take If-Match: * and no other condition. Nothing \
                 was changed.",
            ),
            Self::Busy => shape(
                S::TOO_MANY_REQUESTS,
                "Throttled",
                "Enough backups and restores are under way. Try again in a second.",
            ),
            Self::SecretDeleted(name) => because(
                "ObjectIsDeletedButRecoverable",
                shape(
                    S::CONFLICT,
                    "Conflict",
                    &format!(
                        "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; \
                         in this state, the secret can only be recovered or purged."
                    ),
                ),
            ),
            Self::SecretExists(name) => shape(
                S::CONFLICT,
                "Conflict",
                &format!("There was a conflict restoring the secret: a secret {name} is in this key vault already."),
            ),
            Self::PurgeProtected => shape(
                S::FORBIDDEN,
                "Forbidden",
                "Operation \"purge\" is not allowed because purge protection is enabled for this vault. The secret is \
                 purged by itself after the retention period has passed.",
            ),
            Self::Backup => shape(
                S::BAD_REQUEST,
                "BadParameter",
                "The backup can't be restored: it was changed, cut short, or made by another service or another key.",
            ),
            Self::BackupTooLarge => shape(
                S::BAD_REQUEST,
                "BadParameter",
                &format!(
                    "The secret can't be backed up: it has more than {} versions, or they are longer than {} bytes \
                     together.",
                    vault::MAX_BACKUP_VERSIONS,
                    vault::MAX_BACKUP_BYTES
                ),
            ),
            Self::SecretDisabled => because(
                "SecretDisabled",
                shape(S::FORBIDDEN, "Forbidden", "Operation get is not allowed on a disabled secret."),
            ),
            Self::Audit(_) => shape(
                S::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The vault's audit can't be written, so nothing was changed. Try again later.",
            ),
            Self::Record(RecordError::Store(StoreError::Full)) => shape(
                S::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The vault's disk is full, so nothing was changed. Reading goes on; writing does once there is room.",
            ),
            Self::Record(RecordError::Contended) => shape(
                S::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "Others keep changing this secret, so nothing was changed. Try again.",
            ),
            Self::Record(RecordError::Sealed(_) | RecordError::Store(StoreError::Damaged(_))) => shape(
                S::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The vault can't open what it keeps under this name. Its operator finds the reason in the log.",
            ),
            Self::Record(_) => shape(
                S::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The vault's store can't be reached. Try again later.",
            ),
        }
    }
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<AuditError> for Refusal {
    fn from(error: AuditError) -> Self {
        Self::Audit(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_not_told_as_what_is_away() {
        let text = |error: RecordError| String::from_utf8(Refusal::from(error).body()).unwrap();
        let away = text(StoreError::Unavailable("it is locked".to_owned()).into());
        assert!(away.contains("Try again later"), "{away}");
        for damaged in [StoreError::Damaged("table version".to_owned()).into(), RecordError::Sealed("it".to_owned())] {
            let damaged = text(damaged);
            assert!(damaged.contains("can't open what it keeps") && !damaged.contains("Try again"), "{damaged}");
        }
    }
}
