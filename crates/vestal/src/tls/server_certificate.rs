//! The certificate that the listener shows, read again when its files change.

use super::facts::{dns, facts, ip};
use super::local_authority::LocalAuthority;
use super::{TlsError, certificates_in, crypto_provider};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// How often the files are looked at. Their content is compared, not their times: a mounted secret changes by a link.
pub const LOOKED_AT_EVERY: Duration = Duration::from_secs(30);

/// Where the certificate comes from.
pub enum CertificateSource {
    /// The local authority signs it and renews it.
    Local(LocalAuthority),
    /// The operator's files, in PEM: the chain with the server's own certificate first, and its key.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// The server's certificate, shared by all handshakes.
pub struct ServerCertificate {
    source: CertificateSource,
    current: RwLock<Current>,
    /// Why the last look found nothing usable: logged once, not every 30 seconds.
    last_failure: Mutex<Option<TlsError>>,
}

/// What a look at the files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same as before.
    Unchanged,
    /// A new certificate, which is used from now on.
    Replaced {
        /// Until when it is valid, in Unix seconds.
        ends: i64,
    },
    /// Something that can't be used: the certificate from before stays.
    Kept(TlsError),
}

struct Current {
    certified: Arc<CertifiedKey>,
    content: [u8; 32],
    names: BTreeSet<String>,
    ends: i64,
}

impl ServerCertificate {
    /// Reads the certificate for the first time.
    ///
    /// # Errors
    /// Where a file can't be read or understood, or where key and certificate don't belong together.
    pub fn load(source: CertificateSource) -> Result<Arc<Self>, TlsError> {
        let current = read(&source)?;
        Ok(Arc::new(Self { source, current: RwLock::new(current), last_failure: Mutex::new(None) }))
    }

    /// The TLS settings of a listener that shows this certificate: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn server_config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs offers what rustls speaks by default")
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Until when the certificate is valid, in Unix seconds.
    pub fn ends(&self) -> i64 {
        self.current.read().unwrap_or_else(PoisonError::into_inner).ends
    }

    /// Which of these hosts (names, or addresses as text) clients will refuse the certificate for. A vault's host is
    /// best tried as one of its kind: `x.vault.example.com`.
    pub fn hosts_not_covered<'a>(&self, hosts: &[&'a str]) -> Vec<&'a str> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let covered = |host: &str| match host.parse() {
            Ok(address) => current.names.contains(&ip(address)),
            Err(_) => {
                let wildcard = host.split_once('.').map(|(_, parent)| dns(&format!("*.{parent}")));
                current.names.contains(&dns(host)) || wildcard.is_some_and(|name| current.names.contains(&name))
            }
        };
        hosts.iter().copied().filter(|host| !covered(host)).collect()
    }

    /// Looks at the files once: renews a local certificate that is due, and takes over what has changed. `now` is in
    /// Unix seconds. Reads files, so it may block.
    pub fn look(&self, now: i64) -> Change {
        let found = match &self.source {
            CertificateSource::Local(authority) => authority.renew_server_if_due(now).and_then(|_| read(&self.source)),
            CertificateSource::Files { .. } => read(&self.source),
        };
        let change = found.and_then(|found| self.take_over(found, now)).unwrap_or_else(Change::Kept);
        self.log(&change);
        change
    }

    /// Looks at the files every [`LOOKED_AT_EVERY`], for ever. `now` gives the time in Unix seconds.
    pub async fn watch(self: Arc<Self>, now: impl Fn() -> i64) {
        loop {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
            let (certificate, now) = (self.clone(), now());
            // A failure of the task is a panic, which has been reported where it happened; the next look is a new one.
            drop(tokio::task::spawn_blocking(move || certificate.look(now)).await);
        }
    }

    fn take_over(&self, found: Current, now: i64) -> Result<Change, TlsError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if found.content == current.content {
            return Ok(Change::Unchanged);
        }
        if found.ends <= now && current.ends > now {
            return Err(TlsError::new(
                self.source.certificate_file().as_ref(),
                "the new certificate has already expired",
            ));
        }
        let ends = found.ends;
        *current = found;
        Ok(Change::Replaced { ends })
    }

    fn log(&self, change: &Change) {
        let mut last_failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Unchanged => *last_failure = None,
            Change::Replaced { ends } => {
                *last_failure = None;
                let ends =
                    jiff::Timestamp::from_second(*ends).map_or_else(|_| ends.to_string(), |ends| ends.to_string());
                tracing::info!("the server's certificate was replaced; the new one is valid until {ends}");
            }
            Change::Kept(why) if last_failure.as_ref() != Some(why) => {
                tracing::error!("the server's certificate was not replaced, the one from before stays in use: {why}");
                *last_failure = Some(why.clone());
            }
            Change::Kept(_) => {}
        }
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).certified.clone())
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServerCertificate").field("ends", &self.ends()).finish_non_exhaustive()
    }
}

impl CertificateSource {
    fn certificate_file(&self) -> PathBuf {
        match self {
            Self::Local(authority) => authority.server_file(),
            Self::Files { certificate, .. } => certificate.clone(),
        }
    }

    fn key_file(&self) -> PathBuf {
        match self {
            Self::Local(authority) => authority.server_file(),
            Self::Files { key, .. } => key.clone(),
        }
    }
}

fn read(source: &CertificateSource) -> Result<Current, TlsError> {
    let (certificate_file, key_file) = (source.certificate_file(), source.key_file());
    let chain_pem = read_file(&certificate_file)?;
    let key_pem = read_key(&key_file)?;
    let chain = certificates_in(&certificate_file, &chain_pem)?;
    let facts = facts(&chain[0])
        .ok_or_else(|| TlsError::new(&certificate_file, "its first certificate is damaged; export the chain again"))?;
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| {
        TlsError::new(&key_file, "no private key is in it; name a PEM file with an unencrypted PKCS#8, RSA or EC key")
    })?;
    let certified = CertifiedKey::from_der(chain, key, &crypto_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::new(
            &key_file,
            format_args!(
                "it isn't the key of the certificate in {}; name the two that belong together",
                certificate_file.display()
            ),
        ),
        other => TlsError::new(
            &key_file,
            format_args!(
                "the key can't be used ({other}); RSA of 2048 bits and more, P-256, P-384, P-521 and Ed25519 can"
            ),
        ),
    })?;
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [&chain_pem, &key_pem] {
        digest.update(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, part).as_ref());
    }
    let mut content = [0; 32];
    content.copy_from_slice(digest.finish().as_ref());
    Ok(Current { certified: Arc::new(certified), content, names: facts.names, ends: facts.ends })
}

/// Reads a key that not everybody may read. A group may: servers often get theirs that way.
fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mode = fs::metadata(path).map_err(|error| TlsError::io(path, "reading it", &error))?.mode() & 0o777;
    if mode & 0o007 != 0 {
        let what = format_args!(
            "everybody on this machine can use this key (mode {mode:03o}); run `chmod o= {}`, or mount it with mode 0400",
            path.display()
        )
        .to_string();
        return Err(TlsError::new(path, what));
    }
    read_file(path)
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    fs::read(path).map(Zeroizing::new).map_err(|error| TlsError::io(path, "reading it", &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::LocalNames;
    use rcgen::{CertificateParams, KeyPair};

    use std::os::unix::fs::PermissionsExt as _;

    const NOW: i64 = 1_790_000_000;

    struct Files {
        _folder: tempfile::TempDir,
        certificate: PathBuf,
        key: PathBuf,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
            let files = Self { _folder: folder, certificate, key };
            files.write("one.example", 2040);
            files
        }

        fn write(&self, name: &str, end_year: i32) {
            let (certificate, key) = pair(name, end_year);
            fs::write(&self.certificate, certificate).expect("writing");
            fs::write(&self.key, key).expect("writing");
            fs::set_permissions(&self.key, fs::Permissions::from_mode(0o640)).expect("it is ours");
        }

        fn load(&self) -> Arc<ServerCertificate> {
            let source = CertificateSource::Files { certificate: self.certificate.clone(), key: self.key.clone() };
            ServerCertificate::load(source).unwrap_or_else(|error| panic!("{error}"))
        }
    }

    fn pair(name: &str, end_year: i32) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(end_year, 1, 1);
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    #[test]
    fn a_changed_file_is_taken_over_and_an_unchanged_one_is_not() {
        let files = Files::new();
        let certificate = files.load();
        assert_eq!(certificate.look(NOW), Change::Unchanged);
        files.write("two.example", 2041);
        let Change::Replaced { ends } = certificate.look(NOW) else { panic!("not replaced") };
        assert_eq!(ends, certificate.ends());
        assert!(certificate.hosts_not_covered(&["two.example"]).is_empty());
        assert_eq!(certificate.look(NOW), Change::Unchanged);
    }

    #[test]
    fn a_bad_file_leaves_the_certificate_from_before_in_use() {
        let files = Files::new();
        let certificate = files.load();
        let ends = certificate.ends();
        let kept = |certificate: &ServerCertificate| match certificate.look(NOW) {
            Change::Kept(why) => why.to_string(),
            other => panic!("{other:?}"),
        };
        fs::write(&files.certificate, pair("two.example", 2041).0).expect("writing");
        assert!(kept(&certificate).contains("it isn't the key of the certificate in"));
        fs::write(&files.certificate, "half a").expect("writing");
        assert!(kept(&certificate).contains("no certificate is in it"));
        fs::remove_file(&files.certificate).expect("removing");
        assert!(kept(&certificate).contains("check the path"));
        files.write("expired.example", 2020);
        assert!(kept(&certificate).contains("already expired"));
        assert_eq!(certificate.ends(), ends);
        files.write("three.example", 2042);
        assert!(matches!(certificate.look(NOW), Change::Replaced { .. }));
    }

    #[test]
    fn a_local_certificate_that_is_due_is_renewed_and_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = LocalNames::new("vault.example.com", "127.0.0.1");
        let authority = LocalAuthority::open(folder.path(), names, NOW).unwrap_or_else(|error| panic!("{error}"));
        let certificate =
            ServerCertificate::load(CertificateSource::Local(authority)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(certificate.look(NOW), Change::Unchanged);
        let a_year_later = NOW + 365 * 86_400;
        assert!(matches!(certificate.look(a_year_later), Change::Replaced { ends } if ends > a_year_later));
    }

    #[test]
    fn hosts_that_clients_would_refuse_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = LocalNames::new("vault.example.com", "login.example.com");
        let authority = LocalAuthority::open(folder.path(), names, NOW).unwrap_or_else(|error| panic!("{error}"));
        let certificate =
            ServerCertificate::load(CertificateSource::Local(authority)).unwrap_or_else(|error| panic!("{error}"));
        let covered =
            ["localhost", "dev.vault.localhost", "A.vault.example.com", "login.example.com", "127.0.0.1", "::1"];
        assert!(certificate.hosts_not_covered(&covered).is_empty());
        let refused = ["a.b.vault.example.com", "example.com", "127.0.0.2", "dev.localhost"];
        assert_eq!(certificate.hosts_not_covered(&refused), refused);
    }

    #[test]
    fn a_key_that_everybody_can_read_is_refused_with_the_command_that_mends_it() {
        let files = Files::new();
        files.write("one.example", 2040);
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let source = CertificateSource::Files { certificate: files.certificate.clone(), key: files.key };
        let Err(refused) = ServerCertificate::load(source) else { panic!("it was taken") };
        assert!(refused.to_string().contains("chmod o= "), "{refused}");
    }
}
