//! A certificate authority of the test's own, and a server certificate for loopback by it.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::process::Folder;

/// The PEM files of a server on `localhost` and of the authority that vouches for it.
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    pub(crate) fn new(folder: &Folder) -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let mut authority = CertificateParams::new(Vec::new()).expect("no name is no wrong name");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("it can sign itself");

        let server_key = key();
        let names = ["localhost", "127.0.0.1", "dev.vault.localhost"].map(str::to_owned);
        let server = CertificateParams::new(names).expect("these are names");
        let server = server.signed_by(&server_key, &authority).expect("the authority can sign");
        Self {
            authority: folder.write("peer-ca.pem", &authority.pem()),
            chain: folder.write("peer.pem", &server.pem()),
            key: folder.write("peer-key.pem", &server_key.serialize_pem()),
        }
    }
}
