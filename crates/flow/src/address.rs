//! The address of a secret: `https://VAULT/secrets/NAME`, as far as it is known.

use url::Url;

use crate::pieces::{decoded, pieces, split_once};
use crate::request::{Request, Sender};
use crate::term::{Term, Value, Vault};
use crate::trace::Trace;

/// Azure's clouds, by what follows the vault's name.
pub(crate) const CLOUDS: &[&str] =
    &["vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "vault.microsoftazure.de"];

/// A secret that a request is about.
pub(crate) struct SecretAddress {
    pub(crate) vault: Vault,
    /// The name; not always a fixed text.
    pub(crate) name: Value,
}

/// The secret that a request is about, if its address is that of one.
pub(crate) fn secret(trace: &Trace<'_>, request: &Request) -> Option<SecretAddress> {
    let path = split_once(&request.address, "?").map_or_else(|| request.address.clone(), |(path, _)| path);
    let (host, rest) = split_once(&path, "/secrets/")?;
    let name = split_once(&rest, "/").map_or(rest, |(name, _)| name);
    let name = decoded(&name, false);
    if name.is_empty() {
        return None;
    }
    let vault = match (&*host, &request.sender) {
        (Term::Text(text), Sender::Connection(connection)) if text.is_empty() => trace.vault_behind(connection),
        (Term::Text(text), _) => Vault::Host(vault_host(text)?),
        _ => {
            let parts = pieces(&host);
            let fixed: String = parts.iter().filter_map(|part| part.fixed()).collect();
            // A path before /secrets/ is no key vault: GitHub's API has such addresses.
            if fixed.trim_start_matches("https://").trim_end_matches('/').contains('/') {
                return None;
            }
            let hole = parts.iter().find(|part| part.fixed().is_none())?;
            Vault::Unknown(trace.words(hole))
        }
    };
    Some(SecretAddress { vault, name })
}

/// The secret's name in a connector's path, `/secrets/NAME/value`.
pub(crate) fn named_in(path: &Value) -> Option<Value> {
    let (before, rest) = split_once(path, "/secrets/")?;
    let (name, rest) = split_once(&rest, "/")?;
    let rest = rest.fixed()?.split('?').next()?.to_owned();
    (before.is_empty() && rest == "value" && !name.is_empty()).then(|| decoded(&name, false))
}

/// A vault that somebody named: by its name, its host or its address.
pub(crate) fn vault_of_name(name: &str) -> Vault {
    let name = name.trim().trim_end_matches('/');
    let host = name.split_once("://").map_or(name, |(_, host)| host).to_ascii_lowercase();
    if host.contains(['.', ':']) { Vault::Host(host) } else { Vault::Host(format!("{host}.{}", CLOUDS[0])) }
}

/// The host of `https://HOST`, with its port; nothing but a host may stand there.
fn vault_host(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let bare = url.path().trim_matches('/').is_empty() && url.username().is_empty() && url.query().is_none();
    let host = url.host_str().filter(|_| url.scheme() == "https" && bare)?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
