//! The keys that sign the vault's access tokens: RS256, one in use, the next one published an hour before its use,
//! the last one kept until what it signed has expired.

use core::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::token::{LEEWAY_SECONDS, TOKEN_LIFE_SECONDS};

/// How long a key signs, in seconds.
pub const KEY_USE_SECONDS: i64 = 90 * 24 * 3600;
/// How long before its use a key is published, so that every verifier has it in time, in seconds.
pub const PUBLISHED_BEFORE_SECONDS: i64 = 3600;
/// How long after its use a key is kept: the life of its last token, and the leeway that verifiers give, in seconds.
pub const KEPT_AFTER_SECONDS: i64 = TOKEN_LIFE_SECONDS + LEEWAY_SECONDS;

/// A key as it stands in the directory's sealed record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredKey {
    /// PKCS #8 (RFC 5208), as base64url.
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub(crate) pkcs8: Secret,
    /// From when on it signs, in Unix seconds.
    pub(crate) not_before: i64,
    /// Until when it signs, in Unix seconds; longer where no other key is there.
    pub(crate) ends: i64,
}

impl StoredKey {
    /// When it signs.
    pub(crate) fn time(&self) -> KeyUse {
        KeyUse { not_before: self.not_before, ends: self.ends }
    }

    /// Makes a 2048-bit RSA key, which takes some 100 ms of computing.
    pub(crate) fn generate(not_before: i64) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError)?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| KeyError)?;
        Ok(Self { pkcs8: Secret::copy_of(pkcs8.as_ref()), not_before, ends: not_before + KEY_USE_SECONDS })
    }
}

/// When a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUse {
    not_before: i64,
    ends: i64,
}

/// A key could not be made or read: the cryptographic library refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyError;

impl fmt::Display for KeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an RSA key can't be made or read")
    }
}

/// A key, ready to sign and to verify.
pub(crate) struct SigningKey {
    /// RFC 7638's thumbprint of the public key.
    pub(crate) id: String,
    /// The modulus, as base64url (RFC 7518, section 6.3.1).
    pub(crate) modulus: String,
    /// The public exponent, likewise.
    pub(crate) exponent: String,
    pub(crate) verifier: DecodingKey,
    not_before: i64,
    pair: RsaKeyPair,
}

impl SigningKey {
    pub(crate) fn read(stored: &StoredKey) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(stored.pkcs8.expose()).map_err(|_| KeyError)?;
        let public = pair.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero();
        let exponent = public.exponent().big_endian_without_leading_zero();
        let verifier = DecodingKey::from_rsa_raw_components(modulus, exponent);
        let (modulus, exponent) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        let thumbprint = format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#);
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, thumbprint.as_bytes())),
            modulus,
            exponent,
            verifier,
            not_before: stored.not_before,
            pair,
        })
    }

    /// Appends an RS256 signature of `message` in base64url to it, after a dot (RFC 7515, section 3.1).
    pub(crate) fn sign(&self, mut message: String) -> Result<String, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| KeyError)?;
        message.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut message);
        Ok(message)
    }
}

/// The key that signs at `now`: the newest whose use has begun. Where the clock stands before all of them, the first.
pub(crate) fn in_use(keys: &[SigningKey], now: i64) -> Option<&SigningKey> {
    let begun = keys.iter().filter(|key| key.not_before <= now).max_by_key(|key| key.not_before);
    begun.or_else(|| keys.iter().min_by_key(|key| key.not_before))
}

/// What a look at the keys at `now` calls for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// When the use of a new key begins, if one has to be made.
    pub(crate) begins: Option<i64>,
    /// Which keys go: nothing that they signed is valid any more.
    pub(crate) gone: Vec<usize>,
}

impl Rotation {
    pub(crate) fn at(keys: &[KeyUse], now: i64) -> Self {
        let newest = keys.iter().max_by_key(|key| key.not_before);
        let begins = match newest {
            None => Some(now),
            Some(newest) if now < newest.ends - PUBLISHED_BEFORE_SECONDS => None,
            // After a long stop the old key signs a little longer, so that the new one is known before its use.
            Some(newest) => Some(newest.ends.max(now + PUBLISHED_BEFORE_SECONDS)),
        };
        // A key signs until the next one begins, whatever its own end says.
        let gone = (0..keys.len()).filter(|index| {
            let begun = keys[*index].not_before;
            let successor = keys.iter().map(|key| key.not_before).filter(|other| *other > begun).min();
            successor.is_some_and(|next| next + KEPT_AFTER_SECONDS <= now)
        });
        Self { begins, gone: gone.collect() }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.begins.is_some() || !self.gone.is_empty()
    }

    /// Carries it out.
    pub(crate) fn apply(self, keys: &mut Vec<StoredKey>) -> Result<(), KeyError> {
        if let Some(begins) = self.begins {
            if let Some(newest) = keys.iter_mut().max_by_key(|key| key.not_before) {
                newest.ends = begins;
            }
            let new = StoredKey::generate(begins)?;
            keys.push(new);
        }
        let mut index = 0;
        keys.retain(|_| {
            index += 1;
            !self.gone.contains(&(index - 1))
        });
        Ok(())
    }
}

pub(crate) fn write_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    let text = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.expose()));
    serializer.serialize_str(&text)
}

pub(crate) fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
    URL_SAFE_NO_PAD
        .decode(text.as_bytes())
        .map(Secret::new)
        .map_err(|_| serde::de::Error::custom("a key or pepper is base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn keys(uses: &[(i64, i64)]) -> Vec<KeyUse> {
        uses.iter().map(|(not_before, ends)| KeyUse { not_before: *not_before, ends: *ends }).collect()
    }

    #[test]
    fn the_next_key_is_made_an_hour_before_its_use() {
        let one = keys(&[(0, 90 * DAY)]);
        assert!(!Rotation::at(&one, 90 * DAY - 3601).is_due());
        assert_eq!(Rotation::at(&one, 90 * DAY - 3600).begins, Some(90 * DAY));
        // Stopped over the end of the key: the next one is published for an hour all the same.
        assert_eq!(Rotation::at(&one, 200 * DAY).begins, Some(200 * DAY + 3600));
        let two = keys(&[(0, 90 * DAY), (90 * DAY, 180 * DAY)]);
        assert!(!Rotation::at(&two, 90 * DAY - 1800).is_due());
    }

    #[test]
    fn a_key_goes_once_nothing_that_it_signed_is_valid() {
        let two = keys(&[(0, 90 * DAY), (90 * DAY, 180 * DAY)]);
        assert_eq!(Rotation::at(&two, 90 * DAY + 3659).gone, Vec::<usize>::new());
        assert_eq!(Rotation::at(&two, 90 * DAY + 3660).gone, [0]);
        // The only key never goes.
        assert_eq!(Rotation::at(&two[..1], 1000 * DAY).gone, Vec::<usize>::new());
    }
}
