//! What a client sends to the token endpoint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use secret::Secret;
use zeroize::Zeroizing;

use super::error::Refusal;
use crate::ask::{Ask, credentials};
use crate::percent;

/// Largest body that is read, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// A token request (RFC 6749, section 4.4.2). Parameters that are not known are ignored, as the RFC asks: Python's
/// library sends `claims` and `client_info`.
#[derive(Default)]
pub(super) struct Form {
    pub(super) grant_type: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) resource: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
}

/// The client as it presents itself.
pub(super) struct Presented {
    pub(super) client_id: String,
    pub(super) secret: Secret,
}

impl Form {
    /// Reads the body of a request. Blanks and line ends around names and values don't count: flows are typed by hand,
    /// one parameter a line.
    pub(super) fn parse(ask: &Ask<'_>) -> Result<Self, Refusal> {
        let typed = ask.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or("?"));
        let is_form = typed.is_none_or(|kind| {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        let text = core::str::from_utf8(ask.body).ok().filter(|text| is_form && text.len() <= MAX_FORM_BYTES);
        // What can't be read has no parameter, and this is the first that is missed.
        let text = text.ok_or(Refusal::Missing("grant_type"))?;
        let mut form = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = percent::decode_form(value.trim_ascii()).map(Zeroizing::new) else {
                continue;
            };
            // An empty parameter is a missing one (RFC 6749, section 3.2).
            if value.is_empty() {
                continue;
            }
            let (name, slot) = match &*percent::decode_lossy(name.trim_ascii()) {
                "client_secret" => {
                    if form.client_secret.replace(Secret::copy_of(&value)).is_some() {
                        return Err(Refusal::Twice("client_secret"));
                    }
                    continue;
                }
                "grant_type" => ("grant_type", &mut form.grant_type),
                "scope" => ("scope", &mut form.scope),
                "resource" => ("resource", &mut form.resource),
                "client_id" => ("client_id", &mut form.client_id),
                _ => continue,
            };
            if slot.replace(String::from_utf8_lossy(&value).into_owned()).is_some() {
                return Err(Refusal::Twice(name));
            }
        }
        Ok(form)
    }

    /// The client, out of the form or of Basic (RFC 6749, section 2.3.1).
    pub(super) fn client(&mut self, ask: &Ask<'_>) -> Result<Presented, Refusal> {
        if let Some(basic) = basic(ask) {
            // One method of authentication a request, no more.
            if self.client_secret.is_some() {
                return Err(Refusal::Twice("client_secret"));
            }
            if self.client_id.as_ref().is_some_and(|id| *id != basic.client_id) {
                return Err(Refusal::Twice("client_id"));
            }
            return Ok(basic);
        }
        let client_id = self.client_id.take().ok_or(Refusal::Missing("client_id"))?;
        let secret = self.client_secret.take().ok_or(Refusal::NoSecret)?;
        Ok(Presented { client_id, secret })
    }
}

fn basic(ask: &Ask<'_>) -> Option<Presented> {
    let encoded = credentials(ask.headers.get(header::AUTHORIZATION)?, "Basic")?;
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (client_id, secret) = core::str::from_utf8(&decoded).ok()?.split_once(':')?;
    // Both are form-encoded; some clients forget to, which shows where it can't be undone.
    let plain = |text: &str| Zeroizing::new(percent::decode_form(text).unwrap_or_else(|| text.as_bytes().to_vec()));
    Some(Presented {
        client_id: String::from_utf8_lossy(&plain(client_id)).into_owned(),
        secret: Secret::copy_of(&plain(secret)),
    })
}
