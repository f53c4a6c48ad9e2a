//! Where a list goes on: the `$skiptoken` of `nextLink`.
//!
//! A page may end at a name that the caller must not see, and anybody can read base64, so the place is sealed. The
//! key comes from the directory's pepper, so that a client may go on over a restart; the place is bound to the list
//! and the app that it was made for.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secret::Secret;
use store::Entropy;
use vault::MAX_SECRET_NAME_CHARS;

use crate::error::Refusal;

/// A place is a length byte and room for the longest name, so that the token's length tells nothing.
const PLACE_BYTES: usize = 1 + MAX_SECRET_NAME_CHARS;

/// Seals places of one list.
pub(super) struct Pages {
    key: LessSafeKey,
    list: Vec<u8>,
}

impl Pages {
    /// `list` names the list and the app that reads it.
    pub(super) fn new(pepper: &Secret, list: &[&str]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pepper.expose()), b"vestal/skiptoken/1");
        let key = UnboundKey::new(&AES_256_GCM, derived.as_ref()).expect("AES-256 takes a key of 32 bytes");
        // No part holds this byte, so that no two lists have one name.
        Self { key: LessSafeKey::new(key), list: list.join("\n").into_bytes() }
    }

    /// The token for a page that begins after `place`.
    pub(super) fn token(&self, place: &[u8], entropy: &dyn Entropy) -> String {
        let mut padded = vec![0; PLACE_BYTES];
        let length = place.len().min(MAX_SECRET_NAME_CHARS);
        padded[0] = u8::try_from(length).unwrap_or(u8::MAX);
        padded[1..=length].copy_from_slice(&place[..length]);
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&self.list), &mut padded)
            .expect("AES-GCM seals a hundred bytes");
        URL_SAFE_NO_PAD.encode([&nonce[..], &padded].concat())
    }

    /// The place that a token was made for.
    pub(super) fn place(&self, token: &str) -> Result<Vec<u8>, Refusal> {
        let mut sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| Refusal::SkipToken)?;
        let (nonce, sealed) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(Refusal::SkipToken)?;
        let padded = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&self.list), sealed)
            .map_err(|_| Refusal::SkipToken)?;
        let (length, place) = padded.split_first().ok_or(Refusal::SkipToken)?;
        place.get(..usize::from(*length)).map(<[u8]>::to_vec).ok_or(Refusal::SkipToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn a_token_goes_on_in_its_own_list_and_shows_nothing() {
        let pages = Pages::new(&Secret::copy_of(&[1; 32]), &["secrets", "dev", "app"]);
        let token = pages.token(b"client-secret", &Fixed);
        assert_eq!(pages.place(&token).unwrap(), b"client-secret");
        assert_eq!(token.len(), pages.token(b"a", &Fixed).len());
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));

        let other_list = Pages::new(&Secret::copy_of(&[1; 32]), &["secrets", "dev", "other"]);
        let other_pepper = Pages::new(&Secret::copy_of(&[2; 32]), &["secrets", "dev", "app"]);
        for (pages, token) in
            [(&other_list, &*token), (&other_pepper, &*token), (&pages, "AAAA"), (&pages, "%"), (&pages, &token[1..])]
        {
            assert!(matches!(pages.place(token), Err(Refusal::SkipToken)), "{token}");
        }
    }
}
