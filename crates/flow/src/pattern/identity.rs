//! How a flow signs in at a key vault.

use url::Url;

use super::{Identity, Source, Study};
use crate::flow::ActionId;
use crate::request::{Authentication, TokenRequest};
use crate::term::Term;

impl Study<'_> {
    /// Marks a read as done by Vestal, and what it signs in with.
    pub(super) fn use_read(&mut self, action: ActionId) {
        self.used.insert(action);
        if let Ok(Identity::App { action: sign_in, .. }) = self.identity(action) {
            self.used.insert(sign_in);
        }
    }

    /// How an action signs in at a key vault.
    pub(crate) fn identity(&mut self, action: ActionId) -> Result<Identity, (ActionId, String)> {
        let Some(request) = &self.requests[action] else { return Ok(Identity::Connection) };
        let bearer = request.headers.get("authorization").cloned();
        match (request.authentication.clone(), bearer) {
            (Authentication::Connection, _) => Ok(Identity::Connection),
            (Authentication::ManagedIdentity { user_assigned }, _) => Ok(Identity::Managed { user_assigned }),
            (Authentication::App { authority, tenant, client_id, secret }, _) => {
                let said = |what: &str, term: &Term| {
                    self.source(term).map_err(|words| (action, format!("the {what} that it signs in with is {words}")))
                };
                Ok(Identity::App {
                    authority: origin(&authority.as_text().unwrap_or_default())
                        .ok_or_else(|| (action, "the authority that it signs in at isn't one".to_owned()))?,
                    tenant: tenant
                        .as_text()
                        .filter(|tenant| is_tenant(tenant))
                        .ok_or_else(|| (action, format!("the tenant that it signs in at is {}", self.why(&tenant))))?,
                    client_id: said("client id", &client_id)?,
                    secret: said("client secret", &secret)?,
                    action,
                })
            }
            (Authentication::None, Some(header)) => self.bearer(action, &header),
            (Authentication::Other(kind), _) => Err((action, format!("it signs in by `{kind}`"))),
            _ => Err((action, "it doesn't say how it signs in at the key vault".to_owned())),
        }
    }

    /// `Bearer` and the token of a sign-in of the flow's own.
    pub(super) fn bearer(&mut self, action: ActionId, header: &Term) -> Result<Identity, (ActionId, String)> {
        let token = match header {
            Term::Text(parts) => match parts.as_slice() {
                [scheme, Term::Answer(id, _)] if scheme.as_text().is_some_and(|text| text.trim() == "Bearer") => {
                    Some(*id)
                }
                _ => None,
            },
            _ => None,
        };
        let Some(sign_in) = token else {
            return Err((action, format!("it signs in at the key vault with {}", self.why(header))));
        };
        let here = |words: String| (sign_in, words);
        let (url, read) = self.read_request(sign_in)?;
        let Some((authority, tenant)) = authority_of(&url).filter(|(_, tenant)| is_tenant(tenant)) else {
            return Err(here(
                "it signs in at an authority that isn't Microsoft Entra's, as far as Vestal knows".to_owned(),
            ));
        };
        let TokenRequest { mut parameters, basic, .. } = read;
        let (id, secret) = match basic {
            Some(pair) => pair,
            None => {
                let mut take = |name: &str| {
                    parameters.remove(name).ok_or_else(|| {
                        here(format!(
                            "it signs in without `{name}`: by a certificate, perhaps, which Vestal must be given"
                        ))
                    })
                };
                (take("client_id")?, take("client_secret")?)
            }
        };
        let client_id = self.source(&id).map_err(|words| here(format!("its client id is {words}")))?;
        let secret = self.source(&secret).map_err(|words| here(format!("its client secret is {words}")))?;
        self.used.insert(sign_in);
        for source in [&client_id, &secret] {
            if let Source::Secret(_, read) = source {
                self.used.insert(*read);
            }
        }
        Ok(Identity::App { authority, tenant, client_id, secret, action: sign_in })
    }
}

/// The address of an authority, without what may stand behind its host; empty where none is said.
fn origin(authority: &str) -> Option<String> {
    if authority.is_empty() {
        return Some(String::new());
    }
    let url = Url::parse(authority).ok().filter(|url| url.scheme() == "https" && url.username().is_empty())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("https://{}{port}", url.host_str()?))
}

/// Whether it is written like a tenant: a GUID, a domain, or a word such as `common`.
fn is_tenant(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// The authority and the tenant of a token endpoint of Microsoft Entra, or of one that speaks like it.
pub(crate) fn authority_of(url: &str) -> Option<(String, String)> {
    let parsed = Url::parse(url).ok()?;
    let segments: Vec<&str> = parsed.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    let tenant = match segments.as_slice() {
        [tenant, "oauth2", "v2.0", "token"] | [tenant, "oauth2", "token"] => (*tenant).to_owned(),
        _ => return None,
    };
    Some((origin(url)?, tenant))
}
