//! What clients send: `SecretSetParameters` and `SecretUpdateParameters`.
//!
//! Members that are not known are ignored, as Azure does; those that are known must have their type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use core::fmt;
use secret::Secret;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::error::Refusal;

/// The body of a set.
#[derive(Deserialize)]
pub(super) struct SetParameters {
    #[serde(deserialize_with = "secret_text")]
    pub(super) value: Secret,
    #[serde(rename = "contentType")]
    pub(super) content_type: Option<String>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    attributes: Option<Object<AttributeParameters>>,
}

/// The body of an update. What is missing or null stays as it is.
#[derive(Deserialize)]
pub(super) struct UpdateParameters {
    #[serde(rename = "contentType")]
    pub(super) content_type: Option<String>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    attributes: Option<Object<AttributeParameters>>,
}

/// The body of a restore.
#[derive(Deserialize)]
pub(super) struct RestoreParameters<'b> {
    /// The backup, in base64url (RFC 4648, section 5). It is long, and so not copied.
    #[serde(borrow)]
    pub(super) value: Cow<'b, str>,
}

impl<'b> RestoreParameters<'b> {
    pub(super) fn parse(body: &'b [u8]) -> Result<Self, Refusal> {
        object(body)
    }
}

/// The attributes that a client may give.
#[derive(Default, Deserialize)]
pub(super) struct AttributeParameters {
    pub(super) enabled: Option<bool>,
    #[serde(default, deserialize_with = "optional_date")]
    pub(super) nbf: Option<i64>,
    #[serde(default, deserialize_with = "optional_date")]
    pub(super) exp: Option<i64>,
}

impl SetParameters {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        object(body)
    }

    pub(super) fn attributes(&mut self) -> AttributeParameters {
        self.attributes.take().map(|object| object.0).unwrap_or_default()
    }
}

impl UpdateParameters {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        object(body)
    }

    pub(super) fn attributes(&mut self) -> AttributeParameters {
        self.attributes.take().map(|object| object.0).unwrap_or_default()
    }
}

/// The last moment of the year 9999, in Unix seconds: SDKs can't hold a later one, and would fail to list the vault.
const LAST_DATE: i64 = 253_402_300_799;

fn object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Refusal> {
    serde_json::from_slice::<Object<T>>(body).map(|object| object.0).map_err(|_| Refusal::Property)
}

/// A struct that is read from a JSON object only: serde would take an array of its fields too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FromMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for FromMap<T> {
            type Value = T;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(FromMap(PhantomData)).map(Self)
    }
}

fn secret_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<Date>::deserialize(deserializer)?.map(|date| date.0))
}

/// Unix seconds, as a number or as a string of digits: a flow that computes the time inside a text sends a string.
struct Date(i64);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FromNumberOrDigits;

        impl Visitor<'_> for FromNumberOrDigits {
            type Value = Date;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("Unix seconds")
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Date, E> {
                if (0..=LAST_DATE).contains(&seconds) { Ok(Date(seconds)) } else { Err(E::custom("out of range")) }
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Date, E> {
                self.visit_i64(i64::try_from(seconds).map_err(E::custom)?)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(E::custom("not only digits"));
                }
                self.visit_i64(text.parse().map_err(E::custom)?)
            }
        }

        deserializer.deserialize_any(FromNumberOrDigits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(body: &str) -> Option<SetParameters> {
        SetParameters::parse(body.as_bytes()).ok()
    }

    #[test]
    fn dates_come_as_numbers_and_as_digits() {
        for (exp, read) in [
            ("1800000000", Some(Some(1_800_000_000))),
            ("\"1800000000\"", Some(Some(1_800_000_000))),
            ("null", Some(None)),
            ("0", Some(Some(0))),
            ("253402300799", Some(Some(LAST_DATE))),
            ("253402300800", None),
            ("-1", None),
            ("1e9", None),
            ("18.5", None),
            ("\"\"", None),
            ("\"-1\"", None),
            ("\"+1\"", None),
            ("\" 1\"", None),
            ("\"2027-01-15\"", None),
            ("99999999999999999999", None),
            ("true", None),
            ("[1]", None),
        ] {
            let parsed = set(&format!(r#"{{"value":"v","attributes":{{"exp":{exp}}}}}"#));
            assert_eq!(parsed.map(|mut parsed| parsed.attributes().exp), read, "{exp}");
        }
    }

    #[test]
    fn known_members_must_have_their_type_and_others_are_ignored() {
        for body in [
            r#"{"value":""}"#,
            r#" {"value":"v","surprise":[{}],"attributes":{"recoveryLevel":"Purgeable","created":1}} "#,
            r#"{"value":"v","contentType":null,"tags":null,"attributes":null}"#,
            r#"{"value":"v","tags":{"a":"b"},"attributes":{"enabled":false,"nbf":null}}"#,
        ] {
            assert!(set(body).is_some(), "{body}");
        }
        for body in [
            "",
            "{}",
            "null",
            "\"v\"",
            "[\"v\"]",
            "{\"value\":\"v\"",
            "{\"value\":\"v\"} x",
            "{\"value\":\"v\",}",
            "{'value':'v'}",
            "{\"value\":\"\u{1}\"}",
            r#"{"value":null}"#,
            r#"{"value":1}"#,
            r#"{"value":"\ud800"}"#,
            r#"{"Value":"v"}"#,
            r#"{"value":"v","value":"w"}"#,
            r#"{"value":"v","tags":["a"]}"#,
            r#"{"value":"v","tags":{"a":1}}"#,
            r#"{"value":"v","attributes":[true]}"#,
            r#"{"value":"v","attributes":{"enabled":"true"}}"#,
        ] {
            assert!(set(body).is_none(), "{body}");
        }
        assert!(SetParameters::parse(b"{\"value\":\"\xff\"}").is_err());
    }
}
