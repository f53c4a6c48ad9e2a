//! What the address of a key vault is, and which of Azure's clouds it says. The one place that knows: a configuration is
//! checked with it, and a target is opened with it.

use core::fmt;

use azure_core::http::Url;

use crate::definition::Cloud;

impl Cloud {
    /// Every cloud.
    pub const ALL: [Self; 3] = [Self::Public, Self::China, Self::UsGovernment];

    /// The word for it, as it is declared.
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::China => "china",
            Self::UsGovernment => "us-government",
        }
    }

    /// How the addresses of its vaults end.
    pub fn host_end(self) -> &'static str {
        match self {
            Self::Public => ".vault.azure.net",
            Self::China => ".vault.azure.cn",
            Self::UsGovernment => ".vault.usgovcloudapi.net",
        }
    }

    /// Where one logs in.
    pub fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::China => "https://login.chinacloudapi.cn",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }

    fn portal(self) -> &'static str {
        match self {
            Self::Public => "portal.azure.com",
            Self::China => "portal.azure.cn",
            Self::UsGovernment => "portal.azure.us",
        }
    }
}

/// The address of a key vault: `https://contoso.vault.azure.net`, or one of an authority of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultAddress {
    origin: String,
    host: String,
    cloud: Option<Cloud>,
}

impl VaultAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::NoUrl)?;
        let host = url.host_str().ok_or(AddressError::NoUrl)?.to_owned();
        if let Some(cloud) = Cloud::ALL.into_iter().find(|cloud| cloud.portal() == host) {
            return Err(AddressError::Portal { meant: vault_in(text).map(|name| address(name, cloud)) });
        }
        let origin = url.origin().ascii_serialization();
        let cloud = Cloud::ALL.into_iter().find(|cloud| host.ends_with(cloud.host_end()));
        if url.scheme() != "https" {
            return Err(AddressError::NotHttps { meant: cloud.map(|_| format!("https://{host}")) });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::User);
        }
        // The host in brackets is one of IPv6.
        if host.starts_with('[') || host.parse::<core::net::Ipv4Addr>().is_ok() {
            return Err(AddressError::IpAddress);
        }
        if let Some(name) = cloud.and_then(|cloud| host.strip_suffix(cloud.host_end())) {
            is_vault_name(name).map_err(|why| AddressError::Name { name: name.to_owned(), why })?;
        } else if !is_host(&host) {
            return Err(AddressError::Host { host });
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::More { meant: origin });
        }
        if cloud.is_some() && url.port().is_some() {
            return Err(AddressError::Port { meant: format!("https://{host}") });
        }
        Ok(Self { origin, host, cloud })
    }

    /// `https://host`, or with a port where it isn't 443; no slash at the end.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// The vault's name: the first part of its host.
    pub fn vault(&self) -> &str {
        self.host.split('.').next().unwrap_or_default()
    }

    /// The cloud that the address says.
    pub fn cloud(&self) -> Option<Cloud> {
        self.cloud
    }

    /// The cloud of the vault, where `said` was written beside the address, and perhaps an authority of its own.
    ///
    /// # Errors
    /// Why the three don't go together.
    pub fn cloud_with(&self, said: Option<Cloud>, has_authority: bool) -> Result<Cloud, PlaceError> {
        match (self.cloud, said) {
            (None, _) if !has_authority => Err(PlaceError::NoCloud),
            (None, said) => Ok(said.unwrap_or_default()),
            (Some(is), Some(said)) if is != said => Err(PlaceError::OtherCloud { said, is }),
            (Some(is), _) if has_authority => Err(PlaceError::Authority { is }),
            (Some(is), _) => Ok(is),
        }
    }
}

/// What is wrong with an address, and what was meant where that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It is no URL that names a host.
    NoUrl,
    /// It is another scheme's.
    NotHttps {
        /// The same with `https`.
        meant: Option<String>,
    },
    /// It is the page of a vault in the portal, or another page there.
    Portal {
        /// The address of that vault.
        meant: Option<String>,
    },
    /// It brings a user or a password.
    User,
    /// It names an address of a machine.
    IpAddress,
    /// Its host is no name.
    Host {
        /// The host.
        host: String,
    },
    /// The vault's part of its host can't be a vault's name.
    Name {
        /// That part.
        name: String,
        /// The rule.
        why: &'static str,
    },
    /// Something follows the host.
    More {
        /// What comes before.
        meant: String,
    },
    /// Azure's vaults answer on no other port.
    Port {
        /// The same without it.
        meant: String,
    },
}

impl AddressError {
    /// The address that was meant, where that can be told.
    pub fn meant(&self) -> Option<&str> {
        match self {
            Self::NotHttps { meant } | Self::Portal { meant } => meant.as_deref(),
            Self::More { meant } | Self::Port { meant } => Some(meant),
            Self::NoUrl | Self::User | Self::IpAddress | Self::Host { .. } | Self::Name { .. } => None,
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrl => out.write_str("an address begins with `https://` and names a host"),
            Self::NotHttps { .. } => {
                out.write_str("only `https://` will do: anything else can be read and changed on its way")
            }
            Self::Portal { .. } => out.write_str("that is a page of the Azure portal, and not the vault"),
            Self::User => out.write_str("an address has no user and no password in it"),
            Self::IpAddress => out.write_str("a vault is known by its name, and this is the address of a machine"),
            Self::Host { host } => {
                write!(out, "`{host}` is no host's name: letters, digits and hyphens between dots")
            }
            Self::Name { name, why } => write!(out, "`{name}` is no vault's name: {why}"),
            Self::More { .. } => out.write_str("nothing comes after the host"),
            Self::Port { .. } => out.write_str("Azure's vaults have no port in their address"),
        }
    }
}

impl core::error::Error for AddressError {}

/// Why address, cloud and authority don't go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// The address is of none of Azure's clouds, and there is no authority.
    NoCloud,
    /// The address is of another cloud than was said.
    OtherCloud {
        /// The cloud that was said.
        said: Cloud,
        /// The cloud of the address.
        is: Cloud,
    },
    /// An authority beside an address of one of Azure's clouds.
    Authority {
        /// The cloud of the address.
        is: Cloud,
    },
}

impl fmt::Display for PlaceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCloud => {
                let [first, second, third] = Cloud::ALL.map(Cloud::host_end);
                write!(out, "it ends with none of `{first}`, `{second}` and `{third}`, and there is no `authority`")
            }
            Self::OtherCloud { is, .. } => {
                write!(out, "addresses that end with `{}` are in `{}`", is.host_end(), is.word())
            }
            Self::Authority { is } => write!(out, "the authority of this cloud is {}", is.authority()),
        }
    }
}

impl core::error::Error for PlaceError {}

fn address(vault: &str, cloud: Cloud) -> String {
    format!("https://{}{}", vault.to_ascii_lowercase(), cloud.host_end())
}

/// The vault that a link into the portal names: `…/vaults/contoso/…`.
fn vault_in(link: &str) -> Option<&str> {
    let mut parts = link.split(['/', '#', '?']).skip_while(|part| !part.eq_ignore_ascii_case("vaults"));
    parts.nth(1).filter(|name| is_vault_name(&name.to_ascii_lowercase()).is_ok())
}

/// The rule of names, of a name in lower case.
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>
fn is_vault_name(name: &str) -> Result<(), &'static str> {
    if !(3..=24).contains(&name.len()) {
        return Err("it has 3 to 24 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("it holds letters, digits and hyphens alone");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.ends_with('-') || name.contains("--") {
        return Err("it begins with a letter, ends with a letter or digit, and has no two hyphens in a row");
    }
    Ok(())
}

/// Whether the text is labels of letters, digits and hyphens between dots.
fn is_host(text: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_vaults_are_read() {
        for (text, origin, vault, cloud) in [
            ("https://contoso.vault.azure.net", "https://contoso.vault.azure.net", "contoso", Some(Cloud::Public)),
            (
                "https://Contoso-1.Vault.azure.net/",
                "https://contoso-1.vault.azure.net",
                "contoso-1",
                Some(Cloud::Public),
            ),
            ("https://contoso.vault.azure.net:443", "https://contoso.vault.azure.net", "contoso", Some(Cloud::Public)),
            ("https://abc.vault.azure.cn", "https://abc.vault.azure.cn", "abc", Some(Cloud::China)),
            ("https://dev.vault.localhost:8443", "https://dev.vault.localhost:8443", "dev", None),
        ] {
            let read = VaultAddress::parse(text).expect(text);
            assert_eq!((read.as_str(), read.vault(), read.cloud()), (origin, vault, cloud));
        }
    }

    #[test]
    fn what_is_no_address_of_a_vault_is_told_with_what_was_meant() {
        let meant = Some("https://contoso.vault.azure.net");
        let page = "https://portal.azure.com/#@contoso.example/resource/subscriptions/0/resourceGroups/t/providers/\
                    Microsoft.KeyVault/vaults/Contoso/overview";
        for (text, words, meant) in [
            ("contoso", "begins with `https://`", None),
            ("http://contoso.vault.azure.net/", "only `https://`", meant),
            ("ftp://contoso.vault.azure.net", "only `https://`", meant),
            (page, "page of the Azure portal", meant),
            ("http://portal.azure.us/#view/vaults/abc", "portal", Some("https://abc.vault.usgovcloudapi.net")),
            ("https://portal.azure.com", "page of the Azure portal", None),
            ("https://u:p@contoso.vault.azure.net", "no user", None),
            ("https://10.0.0.7", "address of a machine", None),
            ("https://[::1]:8443", "address of a machine", None),
            ("https://0x7f.1", "address of a machine", None),
            ("https://con_toso.vault.azure.net", "`con_toso` is no vault's name: it holds letters", None),
            ("https://a.b.vault.azure.net", "`a.b` is no vault's name", None),
            ("https://ab.vault.azure.net", "3 to 24", None),
            ("https://1ab.vault.azure.net", "begins with a letter", None),
            ("https://.vault.azure.net", "3 to 24", None),
            ("https://my_vault.example.com", "`my_vault.example.com` is no host's name", None),
            ("https://contoso.vault.azure.net/secrets/token", "nothing comes after", meant),
            ("https://contoso.vault.azure.net?a=b", "nothing comes after", meant),
            ("https://contoso.vault.azure.net/#token", "nothing comes after", meant),
            ("https://contoso.vault.azure.net:8443", "no port", meant),
        ] {
            let error = VaultAddress::parse(text).expect_err(text);
            assert!(error.to_string().contains(words), "{text}: {error}");
            assert_eq!(error.meant(), meant, "{text}");
        }
    }

    #[test]
    fn cloud_and_authority_go_with_the_address() {
        let place = |text: &str, said, has_authority| {
            VaultAddress::parse(text).expect("an address").cloud_with(said, has_authority)
        };
        let (azure, other) = ("https://contoso.vault.azure.net", "https://vault.example.com");
        assert_eq!(place(azure, None, false), Ok(Cloud::Public));
        assert_eq!(place("https://abc.vault.azure.cn", None, false), Ok(Cloud::China));
        let wrong = PlaceError::OtherCloud { said: Cloud::China, is: Cloud::Public };
        assert_eq!(place(azure, Some(Cloud::China), false), Err(wrong));
        assert_eq!(place(azure, None, true), Err(PlaceError::Authority { is: Cloud::Public }));
        assert_eq!(place(other, None, false), Err(PlaceError::NoCloud));
        assert_eq!(place(other, Some(Cloud::UsGovernment), true), Ok(Cloud::UsGovernment));
    }
}
