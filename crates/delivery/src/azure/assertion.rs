//! A certificate as a credential: the assertion that stands in for a client secret.
//!
//! The form is that of Microsoft's 'Certificate credentials for application authentication': a JWT for the token
//! endpoint, signed with the certificate's key (PS256), which the digest of the certificate names (`x5t#S256`).

use core::fmt;

use async_trait::async_trait;
use azure_core::http::ClientMethodOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secret::Secret;
use serde::Serialize;

use super::credential::failed;

/// How long an assertion is good for: it is used at once.
const LIFE_SECONDS: i64 = 300;

/// Signs assertions with the key that stands beside its certificate.
pub(super) struct Certificate {
    key: EncodingKey,
    digest: String,
    client_id: String,
    audience: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    exp: i64,
}

impl Certificate {
    /// Reads certificate and private key (RSA) from one PEM text.
    pub(super) fn read(pem: &Secret, tenant: &str, client_id: &str, authority: &str) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(pem.expose())
            .map_err(|_| "the certificate's secret holds no certificate as PEM (`-----BEGIN CERTIFICATE-----`)")?;
        let key = private_key(pem).and_then(|key| EncodingKey::from_rsa_pem(key).ok()).ok_or(
            "the certificate's secret holds no RSA private key as PEM (`-----BEGIN PRIVATE KEY-----`), unencrypted",
        )?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
        Ok(Self {
            key,
            digest: URL_SAFE_NO_PAD.encode(digest),
            client_id: client_id.to_owned(),
            audience: format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/')),
        })
    }

    fn sign(&self, now: i64) -> Result<String, String> {
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(self.digest.clone());
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random bytes")?;
        let claims = Claims {
            aud: &self.audience,
            iss: &self.client_id,
            sub: &self.client_id,
            jti: URL_SAFE_NO_PAD.encode(random),
            nbf: now - 60,
            exp: now + LIFE_SECONDS,
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| "the certificate's key can't sign: it must be an RSA key of 2,048 bits or more".to_owned())
    }
}

/// The block of the private key, wherever it stands beside the certificates.
fn private_key(pem: &Secret) -> Option<&[u8]> {
    let text = pem.expose_str()?;
    let begins = text.match_indices("-----BEGIN ").map(|(at, _)| &text[at..]);
    let key = begins.into_iter().find(|block| block.lines().next().is_some_and(|line| line.contains("PRIVATE KEY")))?;
    let (end, mark) = key.match_indices("-----END ").next()?;
    let rest = &key[end + mark.len()..];
    let length = end + mark.len() + rest.find("-----")? + 5;
    Some(&key.as_bytes()[..length])
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Certificate({})", self.digest)
    }
}

#[async_trait]
impl ClientAssertion for Certificate {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.sign(OffsetDateTime::now_utc().unix_timestamp()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    fn pem() -> (String, Vec<u8>, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["vestal.example".to_owned()])
            .expect("a name")
            .self_signed(&key)
            .expect("a certificate");
        // The certificate first, as most tools write it.
        (format!("{}{}", certificate.pem(), key.serialize_pem()), certificate.der().to_vec(), key)
    }

    #[test]
    fn an_assertion_is_what_the_authority_expects() {
        let (text, der, key) = pem();
        let certificate =
            Certificate::read(&Secret::from(text), "tenant", "client", "https://login.example.com/").expect("it reads");
        let token = certificate.sign(1_800_000_000).expect("it signs");
        let header = jsonwebtoken::decode_header(&token).expect("a header");
        assert_eq!(header.alg, Algorithm::PS256);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        assert_eq!(header.x5t_s256, Some(URL_SAFE_NO_PAD.encode(digest)));
        let mut validation = Validation::new(Algorithm::PS256);
        validation.set_audience(&["https://login.example.com/tenant/oauth2/v2.0/token"]);
        validation.validate_exp = false;
        let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).expect("a key");
        let claims =
            jsonwebtoken::decode::<serde_json::Value>(&token, &public, &validation).expect("a signature").claims;
        assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("client"), Some("client")));
        assert_eq!(claims["exp"].as_i64(), Some(1_800_000_300));
        assert!(claims["jti"].as_str().is_some_and(|id| id.len() >= 16));
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_else_is_said() {
        let (text, _, key) = pem();
        let read = |text: String| {
            Certificate::read(&Secret::from(text), "t", "c", "https://a").map(|_| ()).expect_err("refused")
        };
        assert!(read("hush-hush".to_owned()).contains("no certificate"), "nothing of it is told");
        assert!(read(key.serialize_pem()).contains("no certificate"));
        let alone = text.split("-----BEGIN PRIVATE").next().expect("one").to_owned();
        assert!(read(alone).contains("no RSA private key"));
    }
}
