//! Which addresses the connector may reach: public ones, and what the operator lists. Pure.

use super::address::{AddressClass, classify, translated_inner, unmapped};
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The outbound rules of one process. They come from process settings alone, never from a token's or a provider's.
#[derive(Default)]
pub struct OutboundRules {
    /// `[outbound] allow`: addresses beside the public ones.
    pub allow: Vec<Allowed>,
    /// `[outbound] ca`: certificate authorities trusted beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Where this process itself listens: never called on a provider's word.
    pub own_listeners: Vec<SocketAddr>,
    /// The provider that this process runs itself (the sandbox of `dev`), exempt by identity.
    pub own_provider: Option<OwnProvider>,
}

/// A provider that runs inside this process. Host, port and address must all be the same for the exemption, and
/// its certificate authority is trusted for it alone.
pub struct OwnProvider {
    /// The host as its URL has it, in lower case.
    pub host: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Who signed its certificate.
    pub authority: CertificateDer<'static>,
}

/// One entry of `[outbound] allow`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// A network: `10.1.0.0/16`, `fd00:1::/32`, or one address without a slash.
    Network {
        /// An address of the network.
        address: IpAddr,
        /// How many leading bits count.
        prefix: u8,
    },
    /// One host and port: `sso.corp.example:443`, `10.1.2.3:8443`, `[fd00::1]:443`. A name is trusted to resolve to
    /// any address but a cloud's metadata service and our own listeners.
    Host {
        /// The name in lower case, or the address as text.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Why an entry of `[outbound] allow` isn't taken, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedSyntaxError {
    /// It is a URL.
    Url,
    /// What stands before the slash is no IP address.
    NoAddress,
    /// What stands after the slash is no number of bits of such an address.
    Prefix,
    /// A prefix of 0.
    Everything,
    /// The address has bits after its prefix; the network that was probably meant.
    BitsAfterPrefix(String),
    /// A host without a port.
    NoPort,
    /// The port is no number from 1 to 65535.
    Port,
    /// What stands before the port is no host name.
    Host,
}

impl fmt::Display for AllowedSyntaxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Url => "this is a URL",
            Self::NoAddress => "what stands before the slash is no IP address",
            Self::Prefix => "what stands after the slash is no number of bits of such an address",
            Self::Everything => "this would open every private network and this machine at once",
            Self::BitsAfterPrefix(network) => {
                return write!(out, "the address has bits after its prefix; write \"{network}\"");
            }
            Self::NoPort => "this names no port",
            Self::Port => "the port is no number from 1 to 65535",
            Self::Host => "what stands before the port is no host name",
        };
        write!(out, "{why}; write a network (\"10.1.0.0/16\"), or a host and port (\"sso.corp.example:443\")")
    }
}

impl std::error::Error for AllowedSyntaxError {}

/// Which roots a permitted address is checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// The system's and the operator's.
    Public,
    /// Our own provider's alone.
    OwnProvider,
}

/// A refused address. It displays with the line that would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The host as the URL has it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The refused address.
    pub address: IpAddr,
    /// Why it is refused.
    pub because: DeniedBecause,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedBecause {
    /// It is no public address.
    Class(AddressClass),
    /// This process listens there.
    OwnListener,
}

impl Denial {
    /// What to write into `[outbound] allow` so that this address is permitted.
    pub fn entry_to_add(&self) -> String {
        match self.because {
            DeniedBecause::Class(AddressClass::CloudMetadata) => Allowed::one(self.address).to_string(),
            DeniedBecause::OwnListener => SocketAddr::new(self.address, self.port).to_string(),
            DeniedBecause::Class(_) => match literal(&self.host) {
                Some(address) => Allowed::one(address).to_string(),
                None => format!("{}:{}", self.host, self.port),
            },
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, address, because } = self;
        if literal(host).is_some() {
            write!(out, "{host}:{port} was not called: the address is ")?;
        } else {
            write!(out, "{host}:{port} was not called: its address {address} is ")?;
        }
        match because {
            DeniedBecause::Class(class) => class.fmt(out)?,
            DeniedBecause::OwnListener => out.write_str("where Vestal itself listens")?,
        }
        write!(out, ". If that is meant, add it to vestal.toml: [outbound] allow = [\"{}\"]", self.entry_to_add())
    }
}

impl OutboundRules {
    /// Whether `address`, to which `host` (a name, or the address itself) resolved, may be called.
    pub(crate) fn permit(&self, host: &str, address: SocketAddr) -> Result<Permit, Denial> {
        let (ip, port) = (unmapped(address.ip()), address.port());
        let denied = |because| Err(Denial { host: host.to_owned(), port, address: ip, because });
        if self.own_provider.as_ref().is_some_and(|own| own.is(host, ip, port)) {
            return Ok(Permit::OwnProvider);
        }
        if self.is_own_listener(ip, port) {
            return if self.lists_socket(ip, port) { Ok(Permit::Public) } else { denied(DeniedBecause::OwnListener) };
        }
        match classify(ip) {
            AddressClass::Public => Ok(Permit::Public),
            // Only its own line opens a metadata service: no wider network, and no name that may change its mind.
            AddressClass::CloudMetadata if self.lists_socket(ip, port) || self.lists_exactly(ip) => Ok(Permit::Public),
            AddressClass::CloudMetadata => denied(DeniedBecause::Class(AddressClass::CloudMetadata)),
            class if self.lists_host(host, port) || self.lists_socket(ip, port) || self.lists_network(ip) => {
                // A translated address stands for the inner one: both must be permitted.
                let inner_denied = translated_inner(ip)
                    .map(IpAddr::V4)
                    .is_some_and(|inner| classify(inner) != AddressClass::Public && !self.lists_network(inner));
                if inner_denied { denied(DeniedBecause::Class(class)) } else { Ok(Permit::Public) }
            }
            class => denied(DeniedBecause::Class(class)),
        }
    }

    /// Whether a connection from `local` to `remote`, once made, turns out to end at one of our own listeners: on
    /// every interface at once they can't be told by address before.
    pub(crate) fn reached_ourselves(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let (ip, port) = (unmapped(remote.ip()), remote.port());
        unmapped(local.ip()) == ip
            && self.own_listeners.iter().any(|own| own.port() == port && own.ip().is_unspecified())
            && !self.lists_socket(ip, port)
    }

    fn is_own_listener(&self, ip: IpAddr, port: u16) -> bool {
        self.own_listeners.iter().any(|own| {
            let anywhere = own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified());
            own.port() == port && (unmapped(own.ip()) == ip || anywhere)
        })
    }

    fn lists_host(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.');
        self.allow.iter().any(|entry| {
            matches!(entry, Allowed::Host { host: listed, port: at } if *at == port && listed.eq_ignore_ascii_case(host))
        })
    }

    fn lists_socket(&self, ip: IpAddr, port: u16) -> bool {
        self.allow
            .iter()
            .any(|entry| matches!(entry, Allowed::Host { host, port: at } if *at == port && literal(host) == Some(ip)))
    }

    fn lists_network(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|entry| entry.covers(ip))
    }

    fn lists_exactly(&self, ip: IpAddr) -> bool {
        self.allow.contains(&Allowed::one(ip))
    }
}

impl OwnProvider {
    fn is(&self, host: &str, ip: IpAddr, port: u16) -> bool {
        self.host.eq_ignore_ascii_case(host) && unmapped(self.address.ip()) == ip && self.address.port() == port
    }
}

impl Allowed {
    fn one(address: IpAddr) -> Self {
        Self::Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    fn covers(&self, ip: IpAddr) -> bool {
        match self {
            Self::Network { address: IpAddr::V4(network), prefix } => {
                matches!(ip, IpAddr::V4(ip) if same_prefix(ip.to_bits().into(), network.to_bits().into(), 32 - prefix))
            }
            Self::Network { address: IpAddr::V6(network), prefix } => {
                matches!(ip, IpAddr::V6(ip) if same_prefix(ip.to_bits(), network.to_bits(), 128 - prefix))
            }
            Self::Host { .. } => false,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { address, .. } if *self == Self::one(*address) => address.fmt(out),
            Self::Network { address, prefix } => write!(out, "{address}/{prefix}"),
            Self::Host { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self::Host { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

impl FromStr for Allowed {
    type Err = AllowedSyntaxError;

    fn from_str(entry: &str) -> Result<Self, AllowedSyntaxError> {
        if entry.contains("://") {
            return Err(AllowedSyntaxError::Url);
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Ok(Self::one(unmapped(address)));
        }
        if let Some((address, prefix)) = entry.split_once('/') {
            let address = address.parse().map_err(|_| AllowedSyntaxError::NoAddress)?;
            return network(address, prefix.parse().map_err(|_| AllowedSyntaxError::Prefix)?);
        }
        if let Ok(socket) = entry.parse::<SocketAddr>() {
            let port = Some(socket.port()).filter(|port| *port != 0).ok_or(AllowedSyntaxError::Port)?;
            return Ok(Self::Host { host: unmapped(socket.ip()).to_string(), port });
        }
        let (host, port) = entry.rsplit_once(':').ok_or(AllowedSyntaxError::NoPort)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(AllowedSyntaxError::Port)?;
        match url::Host::parse(host) {
            Ok(url::Host::Domain(name)) => Ok(Self::Host { host: name.trim_end_matches('.').to_owned(), port }),
            Ok(url::Host::Ipv4(address)) => Ok(Self::Host { host: address.to_string(), port }),
            _ => Err(AllowedSyntaxError::Host),
        }
    }
}

fn network(address: IpAddr, prefix: u8) -> Result<Allowed, AllowedSyntaxError> {
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let free = bits.checked_sub(prefix).ok_or(AllowedSyntaxError::Prefix)?;
    if prefix == 0 {
        return Err(AllowedSyntaxError::Everything);
    }
    let start = match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() >> free << free).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> free << free).into()),
    };
    if start == address {
        Ok(Allowed::Network { address, prefix })
    } else {
        Err(AllowedSyntaxError::BitsAfterPrefix(Allowed::Network { address: start, prefix }.to_string()))
    }
}

/// The address that a host is, where it is one and no name. Brackets of IPv6 are taken off.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok().map(unmapped)
}

/// Whether two addresses are the same but for their last `free` bits.
fn same_prefix(one: u128, other: u128, free: u8) -> bool {
    (one ^ other).checked_shr(free.into()).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str]) -> OutboundRules {
        OutboundRules {
            allow: allow.iter().map(|entry| entry.parse().expect(entry)).collect(),
            own_listeners: vec!["127.0.0.1:8443".parse().unwrap(), "0.0.0.0:9464".parse().unwrap()],
            own_provider: Some(OwnProvider {
                host: "localhost".into(),
                address: "127.0.0.1:40000".parse().unwrap(),
                authority: CertificateDer::from(vec![]),
            }),
            ..OutboundRules::default()
        }
    }

    fn permitted(allow: &[&str], host: &str, address: &str) -> bool {
        rules(allow).permit(host, address.parse().expect(address)).is_ok()
    }

    #[test]
    fn public_addresses_need_no_line() {
        assert!(permitted(&[], "discord.com", "162.159.128.233:443"));
        assert!(permitted(&[], "discord.com", "[::ffff:162.159.128.233]:443"));
        assert!(permitted(&[], "2606:4700::1111", "[2606:4700::1111]:443"));
    }

    #[test]
    fn a_private_address_needs_a_line_that_covers_it() {
        let allowed = |allow: &[&str]| permitted(allow, "sso.corp.example", "10.1.2.3:443");
        assert!(!allowed(&[]));
        assert!(allowed(&["10.1.0.0/16"]));
        assert!(allowed(&["10.1.2.3"]));
        assert!(allowed(&["8.0.0.0/5"]));
        assert!(allowed(&["sso.corp.example:443"]));
        assert!(allowed(&["SSO.corp.example.:443"]));
        assert!(allowed(&["10.1.2.3:443"]));
        assert!(!allowed(&["10.2.0.0/16"]));
        assert!(!allowed(&["sso.corp.example:8443"]));
        assert!(!allowed(&["corp.example:443"]));
        assert!(!allowed(&["10.1.2.3:444"]));
        assert!(!allowed(&["::/1"]));
        assert!(permitted(&["fd00:1::/32"], "x.example", "[fd00:1:2::3]:443"));
        assert!(!permitted(&["fd00:1::/32"], "x.example", "[fd00:2::3]:443"));
    }

    #[test]
    fn only_its_own_line_opens_a_metadata_service() {
        let allowed = |allow: &[&str]| permitted(allow, "metadata.example", "169.254.169.254:443");
        assert!(!allowed(&["169.254.0.0/16", "128.0.0.0/1", "metadata.example:443"]));
        assert!(allowed(&["169.254.169.254/32"]));
        assert!(allowed(&["169.254.169.254:443"]));
        assert!(!permitted(&[], "168.63.129.16", "168.63.129.16:443"));
    }

    #[test]
    fn a_translated_address_needs_a_line_for_the_inner_one_too() {
        let allowed = |allow: &[&str], address| permitted(allow, "x.example", address);
        assert!(allowed(&["64:ff9b::/96"], "[64:ff9b::8.8.8.8]:443"));
        assert!(!allowed(&["64:ff9b::/96"], "[64:ff9b::10.0.0.1]:443"));
        assert!(allowed(&["64:ff9b::/96", "10.0.0.0/8"], "[64:ff9b::10.0.0.1]:443"));
        assert!(!allowed(&["::/1"], "[64:ff9b::169.254.169.254]:443"));
    }

    #[test]
    fn our_own_listeners_are_refused_even_inside_an_allowed_network() {
        assert!(!permitted(&["127.0.0.0/8"], "localhost", "127.0.0.1:8443"));
        assert!(!permitted(&["127.0.0.0/8", "localhost:8443"], "localhost", "127.0.0.1:8443"));
        assert!(!permitted(&["127.0.0.0/8"], "localhost", "127.0.0.9:9464"));
        assert!(permitted(&["127.0.0.0/8"], "localhost", "127.0.0.1:8444"));
        assert!(permitted(&["127.0.0.1:8443"], "localhost", "127.0.0.1:8443"));
    }

    #[test]
    fn a_listener_on_every_interface_is_recognised_once_connected() {
        let reached = |local: &str, remote: &str| {
            rules(&["10.0.0.0/8"]).reached_ourselves(local.parse().unwrap(), remote.parse().unwrap())
        };
        assert!(reached("10.0.0.5:50000", "10.0.0.5:9464"));
        assert!(!reached("10.0.0.5:50000", "10.0.0.6:9464"));
        assert!(!reached("10.0.0.5:50000", "10.0.0.5:443"));
    }

    #[test]
    fn our_own_provider_is_exempt_by_its_whole_identity() {
        let permit = |host: &str, address: &str| rules(&[]).permit(host, address.parse().unwrap());
        assert_eq!(permit("localhost", "127.0.0.1:40000"), Ok(Permit::OwnProvider));
        assert!(permit("evil.example", "127.0.0.1:40000").is_err());
        assert!(permit("localhost", "127.0.0.1:40001").is_err());
        assert!(permit("localhost", "127.0.0.2:40000").is_err());
        assert!(permit("localhost", "[::1]:40000").is_err());
    }

    #[test]
    fn a_refusal_names_the_line_to_add_and_the_line_works() {
        for (host, address, entry) in [
            ("sso.corp.example", "10.1.2.3:443", "sso.corp.example:443"),
            ("10.1.2.3", "10.1.2.3:8080", "10.1.2.3"),
            ("[fd00::1]", "[fd00::1]:443", "fd00::1"),
            ("metadata.example", "169.254.169.254:443", "169.254.169.254"),
            ("localhost", "127.0.0.1:8443", "127.0.0.1:8443"),
        ] {
            let address = address.parse().unwrap();
            let denial = rules(&[]).permit(host, address).expect_err(host);
            assert_eq!(denial.entry_to_add(), entry);
            assert!(denial.to_string().ends_with(&format!("[outbound] allow = [\"{entry}\"]")), "{denial}");
            assert_eq!(rules(&[entry]).permit(host, address), Ok(Permit::Public), "{entry}");
        }
    }

    #[test]
    fn an_entry_that_would_surprise_is_refused_with_what_to_write() {
        use AllowedSyntaxError::*;
        for (entry, error) in [
            ("https://sso.corp.example", Url),
            ("sso.corp.example", NoPort),
            ("sso.corp.example:https", Port),
            ("sso.corp.example:0", Port),
            ("10.1.2.3:0", Port),
            ("10.1.0.0/33", Prefix),
            ("10.1.0.0/-1", Prefix),
            ("0.0.0.0/0", Everything),
            ("::/0", Everything),
            ("10.1.2.3/16", BitsAfterPrefix("10.1.0.0/16".to_owned())),
            ("corp/16", NoAddress),
            ("a b:443", Host),
            ("", NoPort),
        ] {
            assert_eq!(entry.parse::<Allowed>(), Err(error.clone()), "{entry}");
            assert!(error.to_string().contains("write"), "{error}");
        }
    }

    #[test]
    fn an_entry_displays_as_it_would_be_written() {
        for entry in
            ["10.1.0.0/16", "10.1.2.3", "fd00::/8", "fd00::1", "sso.corp.example:443", "10.1.2.3:443", "[fd00::1]:443"]
        {
            assert_eq!(entry.parse::<Allowed>().expect(entry).to_string(), entry);
        }
    }
}
