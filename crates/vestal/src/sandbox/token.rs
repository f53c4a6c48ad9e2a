//! The sandbox's access tokens: opaque to others, and to the sandbox a note to itself.
//!
//! `sandbox_` and in base64url: 16 random bytes, the expiry in Unix seconds (8 bytes, big-endian), and the first 16 bytes
//! of an HMAC-SHA-256 of both under a key from the client secret. So the sandbox remembers nothing, and knows its tokens
//! again after a restart.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secret::{Secret, equal_in_constant_time};

const PREFIX: &str = "sandbox_";
const SIGNED: usize = 24;
const MAC: usize = 16;

/// Issues tokens and knows them again.
pub(super) struct Mint(hmac::Key);

impl Mint {
    /// A mint whose tokens another of the same client secret knows too.
    pub(super) fn new(client_secret: &Secret) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, client_secret.expose()), b"vestal/sandbox/1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// A new token that dies at `expires`.
    pub(super) fn issue(&self, random: [u8; 16], expires: i64) -> String {
        let mut bytes = Vec::with_capacity(SIGNED + MAC);
        bytes.extend_from_slice(&random);
        bytes.extend_from_slice(&expires.to_be_bytes());
        let mac = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(&mac.as_ref()[..MAC]);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// When the token dies, or `None` where it isn't one of ours.
    pub(super) fn expiry_of(&self, token: &str) -> Option<i64> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (signed, mac) = bytes.split_at_checked(SIGNED)?;
        let expected = hmac::sign(&self.0, signed);
        let ours = equal_in_constant_time(mac, &expected.as_ref()[..MAC]);
        ours.then(|| i64::from_be_bytes(signed[16..].try_into().expect("24 - 16 bytes are 8")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_again_by_the_same_client_alone() {
        let mint = Mint::new(&Secret::copy_of(b"client secret"));
        let token = mint.issue([7; 16], 1_790_000_060);
        assert_eq!(mint.expiry_of(&token), Some(1_790_000_060));
        assert_eq!(Mint::new(&Secret::copy_of(b"client secret")).expiry_of(&token), Some(1_790_000_060));
        assert_eq!(Mint::new(&Secret::copy_of(b"another")).expiry_of(&token), None);
    }

    #[test]
    fn no_other_text_is_a_token() {
        let mint = Mint::new(&Secret::copy_of(b"client secret"));
        let token = mint.issue([7; 16], 1_790_000_060);
        let mut forged = token.clone().into_bytes();
        forged[30] ^= 1;
        let forged = String::from_utf8(forged).expect("ASCII");
        for text in ["", "sandbox_", "sandbox_AAAA", &forged, &token[8..], &format!("{token}AAAA")] {
            assert_eq!(mint.expiry_of(text), None, "{text}");
        }
    }
}
