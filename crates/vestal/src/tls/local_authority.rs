//! The certificate authority that a fresh machine starts with: made at the first start, known to nobody else, and able
//! to sign for our own names alone.
//!
//! ```text
//! data/tls/            0700
//!   authority.pem      0600  the authority's key and certificate: the truth
//!   ca.pem             0644  its certificate alone, for clients; written again from the truth
//!   server.pem         0600  the server's key and certificate, renewed by itself
//! ```
//!
//! Key and certificate share a file, so that no crash can leave one without the other.

use super::TlsError;
use super::certificates_in;
use super::facts::{Facts, dns, facts, ip, ip_range};
use super::private_file::{private_folder, read_private, replace};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::{Zeroize as _, Zeroizing};

/// How long an authority lives: whoever trusts it has to be told of a new one by hand.
const AUTHORITY_SECONDS: i64 = 20 * 365 * DAY;

/// How long a server certificate lives: within the 398 days that browsers take.
const SERVER_SECONDS: i64 = 397 * DAY;

/// How much older a certificate claims to be, for clients whose clocks are behind.
const BACKDATED_SECONDS: i64 = 3_600;

const DAY: i64 = 86_400;

/// Whom the local authority signs for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNames {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    roots: Vec<String>,
}

impl LocalNames {
    /// `localhost`, `*.vault.localhost`, the domain with everything one level below it, the authority's host, and
    /// 127.0.0.1 and ::1. OpenSSL, curl and Node take no certificate for `*.localhost`, hence the level between.
    pub fn new(domain: &str, authority_host: &str) -> Self {
        let (domain, authority_host) = (domain.to_ascii_lowercase(), authority_host.to_ascii_lowercase());
        let mut names = Self {
            dns: vec!["localhost".into(), "vault.localhost".into(), "*.vault.localhost".into()],
            addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            roots: vec!["localhost".into()],
        };
        names.dns.push(domain.clone());
        names.dns.push(format!("*.{domain}"));
        names.roots.push(domain);
        match authority_host.trim_matches(['[', ']']).parse() {
            Ok(address) => names.addresses.push(address),
            Err(_) => {
                names.dns.push(authority_host.clone());
                names.roots.push(authority_host);
            }
        }
        let mut seen = BTreeSet::new();
        names.dns.retain(|name| seen.insert(name.clone()));
        names.addresses = BTreeSet::from_iter(names.addresses).into_iter().collect();
        // A name below another root needs no root of its own.
        let roots = names.roots.clone();
        let is_below = |name: &String| roots.iter().any(|root| name.ends_with(&format!(".{root}")));
        let mut seen = BTreeSet::new();
        names.roots.retain(|root| seen.insert(root.clone()) && !is_below(root));
        names
    }

    /// The networks that the authority may sign addresses of.
    fn networks(&self) -> Vec<(IpAddr, u8)> {
        self.addresses.iter().map(|address| (*address, if address.is_ipv4() { 32 } else { 128 })).collect()
    }

    fn name_facts(&self) -> BTreeSet<String> {
        self.dns.iter().map(|name| dns(name)).chain(self.addresses.iter().map(|address| ip(*address))).collect()
    }

    fn permitted_facts(&self) -> BTreeSet<String> {
        let roots = self.roots.iter().map(|root| dns(root));
        roots.chain(self.networks().into_iter().map(|(address, prefix)| ip_range(address, prefix))).collect()
    }
}

/// The local certificate authority, in its folder.
pub struct LocalAuthority {
    folder: PathBuf,
    names: LocalNames,
    certificate: CertificateDer<'static>,
    replaced: bool,
}

impl LocalAuthority {
    /// Opens the authority in `folder` (`data/tls`), or makes it. One that was made for other names, or whose end is
    /// near, is replaced: its clients have to trust the new one, and [`Self::was_replaced`] says so. `now` is in Unix seconds.
    ///
    /// # Errors
    /// Where the folder isn't ours alone, or a file in it can't be read, understood or written.
    pub fn open(folder: &Path, names: LocalNames, now: i64) -> Result<Self, TlsError> {
        private_folder(folder)?;
        let path = folder.join("authority.pem");
        let existing = match read_private(&path)? {
            Some(pem) => Some(read_pair(&path, &pem)?),
            None => None,
        };
        let usable = |facts: &Facts| {
            facts.permitted == names.permitted_facts() && facts.starts <= now && facts.ends - now > SERVER_SECONDS / 3
        };
        let (certificate, replaced) = match existing {
            Some((certificate, facts)) if usable(&facts) => (certificate, false),
            former => {
                let (pem, certificate) = make_authority(&names, now).map_err(|error| TlsError::new(&path, error))?;
                replace(&path, 0o600, pem.as_bytes())?;
                (certificate, former.is_some())
            }
        };
        let authority = Self { folder: folder.to_owned(), names, certificate, replaced };
        let public = authority.certificate_file();
        let public_pem = pem_of(&authority.certificate);
        if std::fs::read(&public).ok().as_deref() != Some(public_pem.as_bytes()) {
            replace(&public, 0o644, public_pem.as_bytes())?;
        }
        authority.renew_server_if_due(now)?;
        Ok(authority)
    }

    /// The authority's certificate, for clients inside this process.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The file with the authority's certificate, for clients outside.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The file with the server's key and certificate.
    pub fn server_file(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// Whether this start replaced an earlier authority, so that clients have to be given the new certificate.
    pub fn was_replaced(&self) -> bool {
        self.replaced
    }

    /// Makes a new server certificate where there is none, less than a third of its life is left, its names aren't
    /// ours any more, or another authority signed it. Returns whether it did. `now` is in Unix seconds.
    ///
    /// # Errors
    /// Where a file can't be read, understood or written.
    pub fn renew_server_if_due(&self, now: i64) -> Result<bool, TlsError> {
        let path = self.server_file();
        let authority = facts(&self.certificate).ok_or_else(|| not_understood(&self.certificate_file()))?;
        if let Some(pem) = read_private(&path)? {
            // One that can't be understood is simply made again: nobody depends on this very one.
            if let Ok((_, server)) = read_pair(&path, &pem)
                && server.names == self.names.name_facts()
                && server.signer_key_id == authority.key_id
                && server.starts <= now
                && server.ends - now >= SERVER_SECONDS / 3
            {
                return Ok(false);
            }
        }
        let key_path = self.folder.join("authority.pem");
        let key = read_private(&key_path)?
            .ok_or_else(|| TlsError::new(&key_path, "it is gone; start Vestal again, and it makes a new one"))?;
        let pem = make_server(&self.names, &self.certificate, &key, now, authority.ends).map_err(|error| {
            TlsError::new(&key_path, format_args!("the server's certificate can't be signed with it: {error}"))
        })?;
        replace(&path, 0o600, pem.as_bytes())?;
        Ok(true)
    }
}

/// Reads a file of a key and its certificate.
fn read_pair(path: &Path, pem: &[u8]) -> Result<(CertificateDer<'static>, Facts), TlsError> {
    let certificate = certificates_in(path, pem)?.swap_remove(0);
    let facts = facts(&certificate).ok_or_else(|| not_understood(path))?;
    Ok((certificate, facts))
}

fn not_understood(path: &Path) -> TlsError {
    TlsError::new(path, "its certificate is damaged; move the file away, and Vestal makes a new one")
}

fn make_authority(names: &LocalNames, now: i64) -> Result<(Zeroizing<String>, CertificateDer<'static>), rcgen::Error> {
    let mut key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    validity(&mut params, now, now + AUTHORITY_SECONDS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Whoever steals the key can't use it for anybody else's names.
    let roots = names.roots.iter().cloned().map(GeneralSubtree::DnsName);
    let networks = names.networks().into_iter();
    let networks =
        networks.map(|(address, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix)));
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: roots.chain(networks).collect(), excluded_subtrees: vec![] });
    // Two authorities of the same name confuse clients that find an issuer by its name.
    let id: String = params.key_identifier(&key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("Vestal local CA {id}"));
    let certificate = params.self_signed(&key)?;
    let pem = Zeroizing::new(format!("{}{}", *Zeroizing::new(key.serialize_pem()), certificate.pem()));
    key.zeroize();
    Ok((pem, certificate.der().clone()))
}

fn make_server(
    names: &LocalNames,
    authority: &CertificateDer<'static>,
    authority_pem: &[u8],
    now: i64,
    authority_ends: i64,
) -> Result<Zeroizing<String>, rcgen::Error> {
    let authority_pem = std::str::from_utf8(authority_pem).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    let issuer = Issuer::from_ca_cert_der(authority, KeyPair::from_pem(authority_pem)?)?;
    let mut key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    validity(&mut params, now, (now + SERVER_SECONDS).min(authority_ends));
    params.distinguished_name.push(DnType::CommonName, "Vestal");
    for name in &names.dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(names.addresses.iter().copied().map(SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python 3.13 and OpenSSL's strict mode refuse a certificate without it.
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?;
    let pem = Zeroizing::new(format!("{}{}", *Zeroizing::new(key.serialize_pem()), certificate.pem()));
    key.zeroize();
    Ok(pem)
}

fn validity(params: &mut CertificateParams, now: i64, ends: i64) {
    let at =
        |unix_seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    params.not_before = at(now - BACKDATED_SECONDS);
    params.not_after = at(ends);
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: i64 = 1_790_000_000;

    fn names() -> LocalNames {
        LocalNames::new("vault.example.com", "login.example.com")
    }

    fn open(folder: &Path, now: i64) -> LocalAuthority {
        LocalAuthority::open(folder, names(), now).unwrap_or_else(|error| panic!("{error}"))
    }

    fn server_facts(authority: &LocalAuthority) -> Facts {
        let pem = fs::read(authority.server_file()).expect("server.pem");
        read_pair(Path::new("server.pem"), &pem).unwrap_or_else(|error| panic!("{error}")).1
    }

    #[test]
    fn the_first_start_makes_files_that_nobody_else_can_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("data/tls");
        let authority = open(&folder, NOW);
        assert!(!authority.was_replaced());
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("authority.pem")), 0o600);
        assert_eq!(mode(&authority.server_file()), 0o600);
        let public = fs::read_to_string(authority.certificate_file()).expect("ca.pem");
        assert!(!public.contains("PRIVATE KEY"));
        assert_eq!(certificates_in(Path::new("ca.pem"), public.as_bytes()), Ok(vec![authority.certificate().clone()]));
    }

    #[test]
    fn the_second_start_uses_what_the_first_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open(folder.path(), NOW);
        let server = fs::read(first.server_file()).expect("server.pem");
        let second = open(folder.path(), NOW + 100 * DAY);
        assert_eq!(second.certificate(), first.certificate());
        assert_eq!(fs::read(second.server_file()).expect("server.pem"), server);
    }

    #[test]
    fn the_server_certificate_is_renewed_with_a_third_of_its_life_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = open(folder.path(), NOW);
        let third = SERVER_SECONDS / 3;
        assert_eq!(authority.renew_server_if_due(NOW + SERVER_SECONDS - third), Ok(false));
        let due = NOW + SERVER_SECONDS - third + 1;
        assert_eq!(authority.renew_server_if_due(due), Ok(true));
        assert_eq!(server_facts(&authority).ends, due + SERVER_SECONDS);
        assert_eq!(authority.renew_server_if_due(due), Ok(false));
    }

    #[test]
    fn a_certificate_from_the_future_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let wrong_clock = open(folder.path(), NOW + 1_000 * DAY);
        let right_clock = open(folder.path(), NOW);
        assert!(right_clock.was_replaced());
        assert_ne!(wrong_clock.certificate(), right_clock.certificate());
        assert!(server_facts(&right_clock).starts <= NOW);
    }

    #[test]
    fn other_names_need_another_authority() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open(folder.path(), NOW);
        let moved = LocalAuthority::open(folder.path(), LocalNames::new("vault.other.example", "localhost"), NOW)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(moved.was_replaced());
        assert_ne!(first.certificate(), moved.certificate());
        assert!(server_facts(&moved).names.contains("dns:*.vault.other.example"));
        assert_eq!(server_facts(&moved).signer_key_id, facts(moved.certificate()).expect("facts").key_id);
    }

    #[test]
    fn names_are_those_of_the_issue_and_constraints_cover_them() {
        let dev = LocalNames::new("vault.localhost", "localhost");
        assert_eq!(dev.dns, ["localhost", "vault.localhost", "*.vault.localhost"]);
        assert_eq!(dev.roots, ["localhost"]);
        let real = LocalNames::new("Vault.Example.com", "login.example.com");
        assert_eq!(real.dns[3..], ["vault.example.com", "*.vault.example.com", "login.example.com"]);
        assert_eq!(real.roots, ["localhost", "vault.example.com", "login.example.com"]);
        let address = LocalNames::new("vault.example.com", "[fd00::1]");
        assert!(address.addresses.contains(&"fd00::1".parse().expect("an address")));
    }

    #[test]
    fn a_damaged_or_readable_key_is_refused_with_the_next_step() {
        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path(), NOW);
        let path = folder.path().join("authority.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let refused = LocalAuthority::open(folder.path(), names(), NOW).err().expect("a refusal").to_string();
        assert!(refused.contains("mode 644") && refused.contains("chmod u=rw,go= "), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::write(&path, "no certificate").expect("writing");
        let refused = LocalAuthority::open(folder.path(), names(), NOW).err().expect("a refusal").to_string();
        assert!(refused.contains("authority.pem"), "{refused}");
    }

    #[test]
    fn a_damaged_server_certificate_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = open(folder.path(), NOW);
        fs::write(authority.server_file(), "damaged").expect("writing");
        assert_eq!(authority.renew_server_if_due(NOW), Ok(true));
        server_facts(&authority);
    }

    #[test]
    fn a_stolen_key_is_of_no_use_for_other_names() {
        use rustls::client::WebPkiServerVerifier;
        use rustls_pki_types::{ServerName, UnixTime};

        let folder = tempfile::tempdir().expect("a folder");
        let authority = open(folder.path(), NOW);
        let key = fs::read(folder.path().join("authority.pem")).expect("the key");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate().clone()).expect("an authority");
        let provider = crate::tls::crypto_provider();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().expect("a verifier");
        let accepted = |names: &LocalNames, host: &'static str| {
            let pem = make_server(names, authority.certificate(), &key, NOW, NOW + AUTHORITY_SECONDS).expect("signed");
            let certificate =
                certificates_in(Path::new("server.pem"), pem.as_bytes()).expect("a certificate").remove(0);
            let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW.unsigned_abs()));
            let host = ServerName::try_from(host).expect("a host");
            rustls::client::danger::ServerCertVerifier::verify_server_cert(
                &*verifier,
                &certificate,
                &[],
                &host,
                &[],
                now,
            )
            .is_ok()
        };
        assert!(accepted(&names(), "dev.vault.localhost"));
        assert!(accepted(&names(), "a.vault.example.com"));
        assert!(accepted(&names(), "127.0.0.1"));
        assert!(!accepted(&LocalNames::new("vault.example.com", "discord.com"), "discord.com"));
        assert!(!accepted(&LocalNames::new("vault.example.com", "10.0.0.1"), "10.0.0.1"));
    }
}
