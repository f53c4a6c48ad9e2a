//! The bundle that makes other programs trust the local authority without losing the system's.

use super::TlsError;
use super::private_file::replace;
use std::fs;
use std::path::{Path, PathBuf};

/// Where systems keep all their authorities in one file, the commonest first.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, Red Hat
    "/etc/pki/tls/certs/ca-bundle.crt",                  // older Red Hat
    "/etc/ssl/ca-bundle.pem",                            // SUSE
    "/etc/ssl/cert.pem",                                 // macOS, FreeBSD, Alpine
    "/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
];

/// Writes the system's authorities and the one in `authority` (a PEM file) into `bundle`, for programs that take one
/// file of authorities instead of the system's. Returns where the system's were found; where there are none, the
/// bundle holds ours alone, and whoever uses it reaches nothing else over TLS: say so.
///
/// The environment isn't asked: in a shell that has sourced our own variables it names this very file.
///
/// # Errors
/// Where `authority` can't be read or `bundle` can't be written.
pub fn write_ca_bundle(bundle: &Path, authority: &Path) -> Result<Option<PathBuf>, TlsError> {
    let ours = fs::read(authority).map_err(|error| TlsError::io(authority, "reading it", &error))?;
    let system = SYSTEM_BUNDLES.iter().find_map(|path| Some((PathBuf::from(path), fs::read(path).ok()?)));
    let mut content = Vec::new();
    if let Some((_, certificates)) = &system {
        content.extend_from_slice(certificates);
        if !certificates.ends_with(b"\n") {
            content.push(b'\n');
        }
    }
    content.extend_from_slice(&ours);
    replace(bundle, 0o644, &content)?;
    Ok(system.map(|(path, _)| path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::read_certificates;

    #[test]
    fn the_bundle_holds_the_systems_authorities_and_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let (authority, bundle) = (folder.path().join("ca.pem"), folder.path().join("ca-bundle.pem"));
        let ours = rcgen::generate_simple_self_signed(["ours".to_owned()]).expect("a certificate").cert;
        fs::write(&authority, ours.pem()).expect("writing");
        let system = write_ca_bundle(&bundle, &authority).expect("a bundle");
        let certificates = read_certificates(&bundle).expect("certificates");
        assert_eq!(certificates.last(), Some(ours.der()));
        let expected = system.map_or(0, |path| read_certificates(&path).expect("system's").len());
        assert_eq!(certificates.len(), expected + 1);
    }
}
