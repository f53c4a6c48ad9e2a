//! TLS: the one crypto provider, the local certificate authority, and the server's certificate.
//!
//! Start with [`ServerCertificate`]; where the operator gives no files, its source is a [`LocalAuthority`].

mod bundle;
mod facts;
mod local_authority;
mod private_file;
mod server_certificate;

pub use bundle::write_ca_bundle;
pub use local_authority::{LocalAuthority, LocalNames};
pub use server_certificate::{CertificateSource, Change, LOOKED_AT_EVERY, ServerCertificate};

use crate::system_error::in_words;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Something about certificates that doesn't work: which file, what is wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    path: PathBuf,
    what: String,
}

impl TlsError {
    pub(crate) fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), what: what.to_string() }
    }

    pub(crate) fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        let next_step = match error.kind() {
            io::ErrorKind::NotFound => "; check the path",
            io::ErrorKind::PermissionDenied => "; let the user that Vestal runs as use it",
            io::ErrorKind::StorageFull => "; make room on the disk",
            _ => "",
        };
        Self::new(path, format_args!("{doing} failed: {}{next_step}", in_words(error)))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for TlsError {}

/// The one crypto provider, aws-lc-rs. All of our TLS configurations name it.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}

/// Makes it the process's default too, for libraries that ask for that. Call it once, at the start; a second call
/// changes nothing.
pub fn install_crypto_provider() {
    // An error only says that there is a default already.
    drop(CryptoProvider::clone(&crypto_provider()).install_default());
}

/// Reads the certificates of a PEM file, as `[outbound] ca` names them.
///
/// # Errors
/// Where the file can't be read, isn't PEM, or holds no certificate.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(path).map_err(|error| TlsError::io(path, "reading it", &error))?;
    certificates_in(path, &pem)
}

pub(crate) fn certificates_in(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| {
        TlsError::new(path, format_args!("it is no valid PEM ({error}); export the certificate again"))
    })?;
    if found.is_empty() {
        return Err(TlsError::new(
            path,
            "no certificate is in it; name a PEM file that begins with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(found)
}

/// What a failed handshake means for people.
pub(crate) fn handshake_failure(error: &io::Error) -> String {
    use rustls::{CertificateError, Error};
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "it closed the connection in the handshake; check that the port speaks TLS".to_owned()
            }
            _ => format!("{} in the handshake; check the port, and whether a firewall lies between", in_words(error)),
        };
    };
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody whom this machine trusts signed its certificate; if it is your organisation's, name the authority's PEM file in [outbound] ca".to_owned()
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; its operator has to renew it (or this machine's clock is wrong)".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate isn't valid yet; check this machine's clock".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate is for another name; check the spelling of the host in the URL".to_owned()
        }
        Error::InvalidMessage(_) => "what answered doesn't speak TLS; check the port".to_owned(),
        Error::PeerIncompatible(_) | Error::AlertReceived(_) => {
            format!("{error}; it must speak TLS 1.2 or later")
        }
        Error::InvalidCertificate(CertificateError::Other(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it shows the certificate of an authority as its own, as self-made certificates often do; give the server a \
             certificate that an authority signed, and name the authority's PEM file in [outbound] ca"
                .to_owned()
        }
        other => other.to_string(),
    }
}
