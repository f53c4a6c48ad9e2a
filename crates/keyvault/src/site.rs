//! Whom a request is for: decided by its Host, once, before anything else looks at it.

use core::fmt;

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Uri;

use crate::error::Refusal;

/// How the outside names this process. The shell makes it once the port is known.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host of the vaults' parent, with its port where that isn't 443: `vault.localhost:8443`. A vault is
    /// `https://{vault}.{domain}`.
    pub domain: String,
    /// The authority's address, without a slash at its end: `https://localhost:8443`.
    pub authority: String,
    /// What `x-ms-keyvault-region` says, and the refusal of a policy.
    pub region: String,
}

/// What is wrong with the settings, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(pub(crate) String);

impl fmt::Display for SettingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl core::error::Error for SettingsError {}

/// The application id of Azure Key Vault, by which a client may name the resource too.
const AZURE_KEY_VAULT: &str = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";

/// The settings, taken apart.
pub(crate) struct Sites {
    /// Without its port.
    domain: String,
    /// Host and port as in the settings.
    domain_and_port: String,
    /// The authority's address.
    authority: String,
    /// Its host, without its port.
    authority_host: String,
    region: HeaderValue,
}

/// Whom a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Site<'h> {
    /// The vault of this label, in whatever case the client wrote it.
    Vault(&'h str),
    Authority,
    Unknown,
}

impl Sites {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let domain = host_and_port(&settings.domain).filter(|(host, _)| !host.is_empty() && !host.starts_with('['));
        let Some((domain, _)) = domain else {
            return Err(SettingsError(format!(
                "domain {:?} is no host name: write one such as \"vault.example.com\", with a port if it isn't 443",
                settings.domain
            )));
        };
        let authority = settings.authority.trim_end_matches('/');
        let authority_host = authority.strip_prefix("https://").and_then(host_and_port);
        let Some((authority_host, _)) = authority_host.filter(|(host, _)| !host.is_empty()) else {
            return Err(SettingsError(format!(
                "authority {:?} is no address: write one such as \"https://login.example.com\", without a path",
                settings.authority
            )));
        };
        let region = HeaderValue::from_str(&settings.region).map_err(|_| {
            SettingsError(format!("region {:?} can't stand in a header: write a plain word", settings.region))
        })?;
        Ok(Self {
            domain: domain.to_ascii_lowercase(),
            domain_and_port: settings.domain.to_ascii_lowercase(),
            authority: authority.to_owned(),
            authority_host: authority_host.to_ascii_lowercase(),
            region,
        })
    }

    /// The authority's address, without a slash at its end.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The authority's host, with its port where it has one.
    pub(crate) fn authority_host(&self) -> &str {
        self.authority.trim_start_matches("https://")
    }

    pub(crate) fn region(&self) -> &HeaderValue {
        &self.region
    }

    /// What tokens for the vaults are asked for with.
    pub(crate) fn resource(&self) -> String {
        format!("https://{}", self.domain_and_port)
    }

    /// Whom the Host names. The port is not compared: behind a forwarded port the client sees another one than we do.
    pub(crate) fn site<'h>(&self, host: &'h str) -> Site<'h> {
        let Some((name, _)) = host_and_port(host) else {
            return Site::Unknown;
        };
        if name.eq_ignore_ascii_case(&self.authority_host) {
            return Site::Authority;
        }
        let label = name.len().checked_sub(self.domain.len() + 1).filter(|at| *at > 0).and_then(|at| {
            let (label, rest) = name.split_at_checked(at)?;
            let parent = rest.strip_prefix('.')?;
            (parent.eq_ignore_ascii_case(&self.domain) && !label.contains('.')).then_some(label)
        });
        label.map_or(Site::Unknown, Site::Vault)
    }

    /// Whether tokens for this resource open the vaults: our own domain with whatever port the client sees, or
    /// Azure's `https://vault.azure.net`, each with or without a slash at its end, or Azure's by its GUID.
    pub(crate) fn accepts_resource(&self, resource: &str) -> bool {
        let resource = resource.strip_suffix('/').unwrap_or(resource);
        if resource.eq_ignore_ascii_case("https://vault.azure.net") || resource.eq_ignore_ascii_case(AZURE_KEY_VAULT) {
            return true;
        }
        let host = resource.strip_prefix("https://").and_then(host_and_port);
        host.is_some_and(|(host, _)| host.eq_ignore_ascii_case(&self.domain))
    }
}

/// The Host that a request was sent to: of the request line where it stands there (HTTP/2, proxies), else of the
/// header, which may be there only once (RFC 9112, section 3.2).
pub(crate) fn host_of<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Result<&'r str, Refusal> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::Host);
    };
    host.to_str().map_err(|_| Refusal::Host)
}

/// Tells host and port apart. `None` where the port is none, or the host holds what no host holds, so that a host
/// that comes through can be sent back in an address.
fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let bracketed = text.starts_with('[');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !bracketed || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let plain = match host.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']')?.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.')
        }
        None => host.bytes().all(host_char),
    };
    let port_is_one = port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()));
    (plain && port_is_one).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> Sites {
        Sites::new(&Settings {
            domain: "Vault.localhost:8443".to_owned(),
            authority: "https://localhost:8443/".to_owned(),
            region: "local".to_owned(),
        })
        .unwrap()
    }

    #[test]
    fn the_host_alone_decides() {
        let sites = sites();
        for (host, site) in [
            ("dev.vault.localhost:8443", Site::Vault("dev")),
            ("DEV.Vault.LOCALHOST:8443", Site::Vault("DEV")),
            ("dev.vault.localhost", Site::Vault("dev")),
            ("dev.vault.localhost:9443", Site::Vault("dev")),
            ("localhost:8443", Site::Authority),
            ("LOCALHOST", Site::Authority),
            ("vault.localhost:8443", Site::Unknown),
            (".vault.localhost", Site::Unknown),
            ("a.dev.vault.localhost", Site::Unknown),
            ("devvault.localhost", Site::Unknown),
            ("dev.vault.localhost.evil.example", Site::Unknown),
            ("dev.vault.localhost:x", Site::Unknown),
            ("dev\".vault.localhost", Site::Unknown),
            ("127.0.0.1:8443", Site::Unknown),
            ("[::1]:8443", Site::Unknown),
            ("", Site::Unknown),
            ("é.vault.localhost", Site::Unknown),
        ] {
            assert_eq!(sites.site(host), site, "{host}");
        }
    }

    #[test]
    fn our_own_resource_and_azures_are_accepted() {
        let sites = sites();
        for (resource, accepted) in [
            ("https://vault.localhost:8443", true),
            ("https://vault.localhost:8443/", true),
            ("https://VAULT.localhost", true),
            ("https://vault.azure.net", true),
            ("https://vault.azure.net/", true),
            ("cfa8b339-82a2-471a-a3c9-0fc0be7a4093", true),
            ("CFA8B339-82a2-471a-a3c9-0fc0be7a4093/", true),
            ("https://cfa8b339-82a2-471a-a3c9-0fc0be7a4093", false),
            ("cfa8b339-82a2-471a-a3c9-0fc0be7a4094", false),
            ("https://vault.azure.net//", false),
            ("http://vault.azure.net", false),
            ("vault.azure.net", false),
            ("https://dev.vault.localhost", false),
            ("https://vault.localhost.evil.example", false),
            ("https://graph.microsoft.com", false),
            ("", false),
        ] {
            assert_eq!(sites.accepts_resource(resource), accepted, "{resource}");
        }
    }

    #[test]
    fn an_authority_may_be_an_address() {
        let sites = Sites::new(&Settings {
            domain: "vault.localhost".to_owned(),
            authority: "https://[::1]:8443".to_owned(),
            region: "local".to_owned(),
        })
        .unwrap();
        assert_eq!(sites.site("[::1]:8443"), Site::Authority);
        assert_eq!(sites.site("a.vault.localhost"), Site::Vault("a"));
    }

    #[test]
    fn settings_that_name_nothing_are_refused() {
        for (domain, authority) in [
            ("", "https://localhost"),
            ("https://vault.localhost", "https://localhost"),
            ("[::1]:8443", "https://localhost"),
            ("vault.localhost", "http://localhost"),
            ("vault.localhost", "https://localhost/login"),
            ("vault.localhost", "https://"),
        ] {
            let settings =
                Settings { domain: domain.to_owned(), authority: authority.to_owned(), region: "local".to_owned() };
            assert!(Sites::new(&settings).is_err(), "{domain} {authority}");
        }
    }
}
