//! Domains and URLs that settings take.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A DNS name of two labels or more, in lower case: what vaults' host names end with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain(String);

impl Domain {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is under `localhost`, and so reached from this machine alone.
    pub fn is_local(&self) -> bool {
        self.0.ends_with(".localhost")
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.contains('/') {
            return Err("a domain has no `https://` and no path");
        }
        if text.contains(':') {
            return Err("a domain has no port: that of `listen` is taken");
        }
        if !is_host(text) || text.parse::<IpAddr>().is_ok() {
            return Err("a domain is letters, digits and hyphens between dots");
        }
        if !text.contains('.') {
            return Err("a domain has two parts or more: clients refuse a certificate for `*` under a single one");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// Scheme, host and port of an https URL, and nothing after them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpsOrigin(String);

impl HttpsOrigin {
    /// `https://host` or `https://host:port`, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HttpsOrigin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for HttpsOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url = https(text)?;
        if url.path() != "/" || url.query().is_some() {
            return Err("nothing comes after the host and the port");
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

/// A URL that alerts are posted to. Whoever knows such a URL can post to it, so it is never shown but for its host.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebhookUrl(url::Url);

impl WebhookUrl {
    /// The whole URL, to be called and not to be shown.
    pub fn expose(&self) -> &url::Url {
        &self.0
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/…", self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WebhookUrl({self})")
    }
}

impl FromStr for WebhookUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        https(text).map(Self)
    }
}

fn https(text: &str) -> Result<url::Url, &'static str> {
    let url = url::Url::parse(text).map_err(|_| "a URL begins with `https://` and names a host")?;
    if url.scheme() != "https" {
        return Err("only `https://` will do: anything else can be read and changed on its way");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL has no user and no password in it");
    }
    if url.fragment().is_some() {
        return Err("a URL to call has no `#`");
    }
    Ok(url)
}

/// Whether the text is labels of letters, digits and hyphens between dots.
fn is_host(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_scheme_host_and_port_alone() {
        let read = |text: &str| text.parse::<HttpsOrigin>().map(|origin| origin.to_string());
        assert_eq!(read("https://Login.Example.com:8443/"), Ok("https://login.example.com:8443".to_owned()));
        for text in [
            "http://example.com",
            "https://u:p@example.com",
            "https://example.com/adfs",
            "https://example.com/?a",
            "example.com",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_webhook_is_shown_by_its_host_alone() {
        let webhook: WebhookUrl = "https://hooks.example.com/T0/hunter2?key=hunter2".parse().expect("a URL");
        assert_eq!(
            format!("{webhook} {webhook:?}"),
            "https://hooks.example.com/… WebhookUrl(https://hooks.example.com/…)"
        );
    }

    #[test]
    fn a_domain_is_a_name_of_two_labels_or_more() {
        let read = |text: &str| text.parse::<Domain>().map(|domain| domain.to_string());
        assert_eq!(read("Vault.Example.com"), Ok("vault.example.com".to_owned()));
        for text in ["localhost", "https://vault.example.com", "vault.example.com:8443", "10.0.0.1", "a..b", ""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
