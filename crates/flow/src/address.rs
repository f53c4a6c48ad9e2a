//! Addresses of secrets in a Key Vault.

use url::Url;

use crate::term::{Term, marked};

/// What the host names of Key Vaults end with, in Azure's clouds.
const VAULT_HOSTS: [&str; 3] = [".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net"];

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A secret of a Key Vault.
    Secret(SecretAddress),
    /// Something else of a Key Vault: a key, a certificate, a list; what, in words.
    Vault(String),
    /// Another place, with its whole address.
    Elsewhere(String),
    /// A Key Vault's secret, or a place, that isn't known; why.
    Computed(String),
}

/// A secret of a Key Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretAddress {
    /// The vault's address, without a slash at the end.
    pub(crate) vault: String,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Whether it is reached through Azure's resource manager, which wants another body.
    pub(crate) by_manager: bool,
}

/// Where an address with its queries leads. `why` says why a term isn't known.
pub(crate) fn place(address: &Term, queries: &Term, why: impl Fn(&Term) -> String) -> Place {
    let Some(text) = address.as_text() else {
        return Place::Computed(why(address));
    };
    let Ok(url) = Url::parse(text.trim()) else {
        return Place::Computed("an address that isn't one".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Place::Computed("an address in which a user or password stands".to_owned());
    }
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let segments: Vec<String> =
        url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).map(decoded).collect();
    let versioned = url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("api-version"))
        || matches!(queries, Term::Object(object) if object.keys().any(|key| key.eq_ignore_ascii_case("api-version")));
    if host == "management.azure.com"
        && let Some(found) = managed(&segments)
    {
        return Place::Secret(found);
    }
    let is_vault = VAULT_HOSTS.iter().any(|end| host.ends_with(end));
    if url.scheme() != "https" && (is_vault || versioned) {
        return Place::Computed("an address of a key vault that isn't https".to_owned());
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let vault = format!("{}://{host}{port}", url.scheme());
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["secrets", name, rest @ ..] if is_vault || versioned => match rest {
            [] | [_] => Place::Secret(SecretAddress {
                vault,
                name: (*name).to_owned(),
                version: rest.first().map(|version| (*version).to_owned()),
                by_manager: false,
            }),
            _ => Place::Vault(format!("`{}` of a secret", rest.last().unwrap_or(&""))),
        },
        [kind, ..] if is_vault => Place::Vault(format!("`{kind}` of a key vault")),
        _ => Place::Elsewhere(text.trim().to_owned()),
    }
}

/// `/subscriptions/…/providers/Microsoft.KeyVault/vaults/VAULT/secrets/NAME`.
fn managed(segments: &[String]) -> Option<SecretAddress> {
    let at = segments.iter().position(|segment| segment.eq_ignore_ascii_case("Microsoft.KeyVault"))?;
    let [vaults, vault, secrets, name] = segments.get(at + 1..)? else { return None };
    (vaults.eq_ignore_ascii_case("vaults") && secrets.eq_ignore_ascii_case("secrets")).then(|| SecretAddress {
        vault: format!("https://{}.vault.azure.net", vault.to_ascii_lowercase()),
        name: name.clone(),
        version: None,
        by_manager: true,
    })
}

/// The secret's name in the path of a Logic Apps connector: `/secrets/NAME/value`.
pub(crate) fn name_in_path(path: &Term) -> Option<Result<String, String>> {
    let (text, values) = marked(path)?;
    let inner = text.strip_prefix("/secrets/")?.strip_suffix("/value")?;
    if !values.is_empty() {
        return Some(Err("the secret's name is computed".to_owned()));
    }
    if inner.contains('/') {
        return Some(Err("it reads one version of a secret, and not the newest".to_owned()));
    }
    // The path is encoded twice, as the designer writes it.
    Some(Ok(decoded(&decoded(inner))))
}

/// The text with its `%41` as `A`.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|digits| core::str::from_utf8(digits).ok());
        match hex.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Whether a secret of a Key Vault may have this name.
pub(crate) fn is_secret_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A short name of a vault: `contoso` of `https://contoso.vault.azure.net`.
pub(crate) fn label(vault: &str) -> String {
    let host = vault.trim_start_matches("https://");
    let first = host.split(['.', ':', '/']).next().unwrap_or_default();
    first.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
}
