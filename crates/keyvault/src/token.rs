//! The access tokens of the vault: what the authority issues, and what a vault accepts.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use vault::{ClientId, ObjectId};

use crate::directory::{Directory, Registered};
use crate::error::Refusal;
use crate::signing::{KeyError, SigningKey};
use crate::site::Sites;

/// How long a token is valid, in seconds.
pub const TOKEN_LIFE_SECONDS: i64 = 3600;
/// How far the clocks of two machines may be apart, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;
/// How many verified tokens are remembered.
const VERIFIED_TOKENS: usize = 10_000;
/// Longest token that is looked at, in bytes. Ours have about 900.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a token says of its app. `iss` and `aud` are checked before, and differ in type with strangers.
#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    appid: &'a str,
    /// How the app authenticated: 1, with a client secret.
    appidacr: &'a str,
    idtyp: &'a str,
    oid: &'a str,
    sub: &'a str,
    tid: &'a str,
    /// Makes two tokens of one second differ.
    uti: &'a str,
    ver: &'a str,
}

/// The claims that a token is accepted by. Each is optional here, so that what is missing is told as Azure tells it.
#[derive(Deserialize)]
struct Presented {
    #[serde(default)]
    aud: serde_json::Value,
    #[serde(default)]
    iss: String,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    nbf: i64,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    oid: String,
}

/// What a verified token proves: who asks, and from when until when. Whether that app may still ask is looked up each
/// time.
pub(crate) struct Identity {
    object_id: ObjectId,
    issued: i64,
    expires: i64,
}

/// A token to be issued.
pub(crate) struct Grant<'a> {
    pub(crate) client_id: &'a ClientId,
    pub(crate) object_id: &'a ObjectId,
    /// The resource as the client wrote it.
    pub(crate) audience: &'a str,
    /// 16 random bytes.
    pub(crate) unique: [u8; 16],
    /// In Unix seconds.
    pub(crate) now: i64,
}

impl Grant<'_> {
    /// The token, signed. Signing is done here rather than by `jsonwebtoken`, which reads and checks the private key
    /// anew for each token.
    pub(crate) fn sign(&self, tenant: &str, issuer: &str, key: &SigningKey) -> Result<String, KeyError> {
        let claims = Claims {
            aud: self.audience,
            iss: issuer,
            iat: self.now,
            nbf: self.now,
            exp: self.now + TOKEN_LIFE_SECONDS,
            appid: self.client_id.as_str(),
            appidacr: "1",
            idtyp: "app",
            oid: self.object_id.as_str(),
            sub: self.object_id.as_str(),
            tid: tenant,
            uti: &URL_SAFE_NO_PAD.encode(self.unique),
            ver: "1.0",
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| KeyError)?;
        let header = format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{}"}}"#, key.id);
        let mut message = URL_SAFE_NO_PAD.encode(header);
        message.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut message);
        key.sign(message)
    }
}

/// Whose name stands in `iss`.
pub(crate) fn issuer(sites: &Sites, directory: &Directory) -> String {
    format!("{}/{}/v2.0", sites.authority(), directory.tenant)
}

/// Tokens whose signature was verified, by their SHA-256. A token is not kept, only who it proves.
pub(crate) struct VerifiedTokens(Cache<[u8; 32], Arc<Identity>>);

impl VerifiedTokens {
    pub(crate) fn new() -> Self {
        Self(Cache::new(VERIFIED_TOKENS))
    }

    /// Who the token proves, if it was verified before.
    pub(crate) fn known(&self, token: &str) -> Option<Arc<Identity>> {
        self.0.get(&hash(token))
    }

    /// Who the token proves.
    pub(crate) fn verify(
        &self,
        token: &str,
        directory: &Directory,
        sites: &Sites,
        now: i64,
    ) -> Result<Arc<Identity>, Refusal> {
        if let Some(identity) = self.known(token) {
            return Ok(identity);
        }
        let identity = Arc::new(verified(token, directory, sites, now)?);
        self.0.insert(hash(token), Arc::clone(&identity));
        Ok(identity)
    }
}

impl Identity {
    /// The app that it proves, if that may ask at `now`: it exists, the token has not expired, and is not older than
    /// the app accepts.
    pub(crate) fn registered<'d>(&self, directory: &'d Directory, now: i64) -> Result<&'d Arc<Registered>, Refusal> {
        if now >= self.expires.saturating_add(LEEWAY_SECONDS) {
            return Err(Refusal::TokenExpired);
        }
        directory
            .object(&self.object_id)
            .filter(|registered| self.issued >= registered.app.tokens_not_before)
            .ok_or(Refusal::TokenRevoked)
    }
}

/// Checks a token in Azure's order: form, audience, issuer, key, signature, time.
fn verified(token: &str, directory: &Directory, sites: &Sites, now: i64) -> Result<Identity, Refusal> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::TokenMalformed);
    }
    let header = decode_header(token).map_err(|_| Refusal::TokenMalformed)?;
    let claims: Presented = insecure_decode_claims(token).map_err(|_| Refusal::TokenMalformed)?;
    if !claims.aud.as_str().is_some_and(|audience| sites.accepts_resource(audience)) {
        let found = claims.aud.as_str().unwrap_or_default().to_owned();
        return Err(Refusal::TokenAudience { expected: sites.resource(), found });
    }
    let expected = issuer(sites, directory);
    if claims.iss != expected {
        return Err(Refusal::TokenIssuer { expected, found: claims.iss });
    }
    let key = header.kid.as_deref().and_then(|id| directory.key(id)).ok_or(Refusal::TokenKey)?;
    if header.alg != Algorithm::RS256 || header.typ.as_deref() != Some("JWT") {
        return Err(Refusal::TokenMalformed);
    }
    // The time is ours to check: `jsonwebtoken` would read a clock.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    decode::<Presented>(token, &key.verifier, &validation).map_err(|_| Refusal::TokenKey)?;
    if now + LEEWAY_SECONDS < claims.nbf || now >= claims.exp.saturating_add(LEEWAY_SECONDS) {
        return Err(Refusal::TokenExpired);
    }
    let object_id = ObjectId::parse(&claims.oid).map_err(|_| Refusal::TokenMalformed)?;
    Ok(Identity { object_id, issued: claims.iat, expires: claims.exp })
}

fn hash(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}
