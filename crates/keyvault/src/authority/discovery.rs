//! What the authority tells about itself, to anybody.

use serde_json::json;

use crate::directory::Directory;
use crate::percent;
use crate::site::Sites;
use crate::token;

/// OpenID Connect Discovery. Addresses are made of the settings alone, never of the request. SDKs want the issuer to
/// be of the same origin as the authority.
pub(super) fn configuration(sites: &Sites, directory: &Directory, tenant: &str) -> Vec<u8> {
    let base = format!("{}/{}", sites.authority(), known_tenant(directory, tenant));
    written(&json!({
        "issuer": token::issuer(sites, directory),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": [format!("{}/.default", sites.resource()), "https://vault.azure.net/.default"],
        "claims_supported": ["iss", "aud", "sub", "oid", "appid", "tid", "iat", "nbf", "exp"],
        "cloud_instance_name": sites.authority_host(),
    }))
}

/// The public keys (RFC 7517), the next one included.
pub(super) fn keys(sites: &Sites, directory: &Directory) -> Vec<u8> {
    let issuer = token::issuer(sites, directory);
    let keys: Vec<_> = directory
        .keys
        .iter()
        .map(|key| {
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.id, "n": key.modulus, "e": key.exponent,
                "issuer": issuer,
            })
        })
        .collect();
    written(&json!({ "keys": keys }))
}

/// Which hosts are one cloud: ours alone.
pub(super) fn instance(sites: &Sites, directory: &Directory, query: Option<&str>) -> Vec<u8> {
    let mut tenant = directory.tenant.as_str();
    let mut api_version = "1.1".to_owned();
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent::decode_lossy(value);
        match &*percent::decode_lossy(name) {
            // https://HOST/TENANT/oauth2/v2.0/authorize
            "authorization_endpoint" => {
                tenant = known_tenant(directory, value.split('/').nth(3).unwrap_or_default());
            }
            "api-version" if value == "1.0" => api_version = value.into_owned(),
            _ => {}
        }
    }
    let host = sites.authority_host();
    written(&json!({
        "tenant_discovery_endpoint": format!("{}/{tenant}/v2.0/.well-known/openid-configuration", sites.authority()),
        "api-version": api_version,
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
}

/// The tenant as it is written in addresses: one of its two names, whatever the client called it.
fn known_tenant<'d>(directory: &'d Directory, tenant: &str) -> &'d str {
    if tenant.eq_ignore_ascii_case("adfs") { "adfs" } else { &directory.tenant }
}

fn written(value: &serde_json::Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
