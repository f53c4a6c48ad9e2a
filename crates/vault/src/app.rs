//! App registrations: the identities that may call a vault.

use core::fmt;

use aws_lc_rs::hmac;
use secret::{Secret, equal_in_constant_time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::guid::{ClientId, ObjectId};
use crate::hex;

/// Most client secrets of one app: the one in use and its successor, while the app's owner rolls over.
pub const MAX_APP_SECRETS: usize = 2;

/// An app registration. The stored form is this struct as JSON in a sealed body.
///
/// An older program refuses a member that it doesn't know, rather than overlook a restriction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// What people call it.
    pub name: String,
    /// What it calls itself at the token endpoint.
    pub client_id: ClientId,
    /// What policies bind to, and what its tokens carry as `oid`.
    pub object_id: ObjectId,
    /// Tokens issued before this moment are refused, in Unix seconds.
    pub tokens_not_before: i64,
    /// Its client secrets, at most [`MAX_APP_SECRETS`].
    pub secrets: Vec<AppSecret>,
}

impl App {
    /// Whether `presented` is one of the app's client secrets and has not ended at `now`, in Unix seconds.
    ///
    /// The same work is done whichever secret is presented and however many the app has; [`refuse_unknown_app`] does
    /// it where there is no app, so that time doesn't tell an unknown client from a wrong secret.
    pub fn accepts(&self, pepper: &Secret, presented: &[u8], now: i64) -> bool {
        accepted_by(&self.secrets, pepper, presented, now)
    }
}

/// One client secret of an app, of which only a keyed digest is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSecret {
    /// Names the secret where it is listed or removed. Not secret.
    pub id: String,
    /// [`secret_mac`] of the secret; in JSON 64 hexadecimal digits.
    #[serde(serialize_with = "write_mac", deserialize_with = "read_mac")]
    pub mac: [u8; 32],
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// From this moment on it is refused, in Unix seconds. `None` has no end.
    pub ends: Option<i64>,
}

/// Without the MAC: whoever has the pepper could try guesses against it.
impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, mac: _, created, ends } = self;
        f.debug_struct("AppSecret")
            .field("id", id)
            .field("created", created)
            .field("ends", ends)
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA-256 (RFC 2104) of a client secret under the pepper, which is at least 32 random bytes.
pub fn secret_mac(pepper: &Secret, client_secret: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pepper.expose()), client_secret);
    let mut mac = [0; 32];
    mac.copy_from_slice(tag.as_ref());
    mac
}

/// Refuses, with the work that [`App::accepts`] does: for a client id that no app has. Returns `false`.
pub fn refuse_unknown_app(pepper: &Secret, presented: &[u8], now: i64) -> bool {
    accepted_by(&[], pepper, presented, now)
}

fn accepted_by(secrets: &[AppSecret], pepper: &Secret, presented: &[u8], now: i64) -> bool {
    let mac = secret_mac(pepper, presented);
    // No secret has this MAC but by an accident of 2^-256; it fills the places that are not taken.
    let vacant = AppSecret { id: String::new(), mac: [0; 32], created: 0, ends: Some(i64::MIN) };
    let places = secrets.len().max(MAX_APP_SECRETS);
    // Every place is looked at, also after a match.
    secrets.iter().chain(core::iter::repeat(&vacant)).take(places).fold(false, |accepted, place| {
        let alive = place.ends.is_none_or(|ends| now < ends);
        accepted | (equal_in_constant_time(&mac, &place.mac) & alive)
    })
}

fn write_mac<S: Serializer>(mac: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&hex::Digits(mac))
}

fn read_mac<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    hex::read(&text).ok_or_else(|| serde::de::Error::custom("a MAC is 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn pepper() -> Secret {
        Secret::copy_of(&[5; 32])
    }

    fn app(secrets: &[(&str, Option<i64>)]) -> App {
        let secrets = secrets.iter().map(|(secret, ends)| AppSecret {
            id: (*secret).to_owned(),
            mac: secret_mac(&pepper(), secret.as_bytes()),
            created: 0,
            ends: *ends,
        });
        App {
            name: "reader".to_owned(),
            client_id: ClientId::from_random([1; 16]),
            object_id: ObjectId::from_random([2; 16]),
            tokens_not_before: 0,
            secrets: secrets.collect(),
        }
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_mac_is_hmac_sha_256() {
        let mac = secret_mac(&Secret::copy_of(b"Jefe"), b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::Digits(&mac).to_string(), expected);
    }

    #[test]
    fn both_secrets_are_accepted_while_they_roll_over() {
        let app = app(&[("old", Some(NOW + 60)), ("new", None)]);
        assert!(app.accepts(&pepper(), b"old", NOW));
        assert!(app.accepts(&pepper(), b"new", NOW));
        for wrong in ["", "ol", "older", "NEW"] {
            assert!(!app.accepts(&pepper(), wrong.as_bytes(), NOW), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_refused_from_its_end_on() {
        let app = app(&[("old", Some(NOW))]);
        assert!(app.accepts(&pepper(), b"old", NOW - 1));
        assert!(!app.accepts(&pepper(), b"old", NOW));
        assert!(!app.accepts(&pepper(), b"old", NOW + 1));
    }

    #[test]
    fn an_app_without_secrets_accepts_nothing_and_neither_does_no_app() {
        for presented in [&b""[..], b"old", &[0; 32]] {
            assert!(!app(&[]).accepts(&pepper(), presented, NOW));
            assert!(!refuse_unknown_app(&pepper(), presented, i64::MIN));
        }
    }

    #[test]
    fn another_pepper_accepts_nothing() {
        assert!(!app(&[("old", None)]).accepts(&Secret::copy_of(&[6; 32]), b"old", NOW));
    }

    #[test]
    fn an_app_is_plain_json_and_a_member_that_is_not_known_is_refused() {
        let app = app(&[("old", Some(NOW)), ("new", None)]);
        let json = serde_json::to_string(&app).unwrap();
        assert_eq!(serde_json::from_str::<App>(&json).unwrap(), app);
        assert!(json.contains(&format!(r#""mac":"{}""#, hex::Digits(&app.secrets[0].mac))), "{json}");
        let newer = json.replacen('{', r#"{"until":1,"#, 1);
        assert!(serde_json::from_str::<App>(&newer).is_err());
    }
}
