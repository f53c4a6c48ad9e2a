//! The sandbox's answers: a function from a request to an answer.

use super::faults::Fault;
use super::token::Mint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use secret::{Secret, equal_in_constant_time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The one client of the sandbox, and its tokens.
pub(super) struct Endpoint {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) mint: Mint,
    /// How long a token lives, in seconds.
    pub(super) lifetime: i64,
}

/// The parameters of a form; each at most once (RFC 6749, section 3.2).
type Form = BTreeMap<String, String>;

/// An error answer (RFC 6749, section 5.2).
struct Refusal(StatusCode, &'static str);

impl Refusal {
    fn answer(&self) -> Response<Bytes> {
        let mut answer = answer(self.0, &json!({ "error": self.1 }));
        if self.0 == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sandbox\""));
        }
        answer
    }
}

impl Endpoint {
    /// Answers a token request (RFC 6749, section 4.4) as Discord does.
    pub(super) fn token(&self, headers: &HeaderMap, body: &[u8], random: [u8; 16], now: i64) -> Response<Bytes> {
        let form = match self.authenticated_form(headers, body) {
            Ok(form) => form,
            Err(refusal) => return refusal.answer(),
        };
        match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => {}
            Some(_) => return Refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type").answer(),
            None => return Refusal(StatusCode::BAD_REQUEST, "invalid_request").answer(),
        }
        let token = self.mint.issue(random, now.saturating_add(self.lifetime));
        answer(
            StatusCode::OK,
            &json!({
                "token_type": "Bearer",
                "access_token": token,
                "expires_in": self.lifetime,
                "scope": form.get("scope").map_or("identify", String::as_str),
            }),
        )
    }

    /// Says whether a token lives (RFC 7662).
    pub(super) fn introspection(&self, headers: &HeaderMap, body: &[u8], now: i64) -> Response<Bytes> {
        let form = match self.authenticated_form(headers, body) {
            Ok(form) => form,
            Err(refusal) => return refusal.answer(),
        };
        let Some(token) = form.get("token") else {
            return Refusal(StatusCode::BAD_REQUEST, "invalid_request").answer();
        };
        match self.mint.expiry_of(token).filter(|expires| *expires > now) {
            Some(expires) => answer(
                StatusCode::OK,
                &json!({ "active": true, "client_id": self.client_id, "token_type": "Bearer", "exp": expires }),
            ),
            None => answer(StatusCode::OK, &json!({ "active": false })),
        }
    }

    /// Reads the form and checks the client, in HTTP Basic or in the form itself (RFC 6749, section 2.3.1).
    fn authenticated_form(&self, headers: &HeaderMap, body: &[u8]) -> Result<Form, Refusal> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal(StatusCode::BAD_REQUEST, "invalid_request"));
        }
        let mut form = Form::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if form.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Refusal(StatusCode::BAD_REQUEST, "invalid_request"));
            }
        }
        let client = match headers.get(AUTHORIZATION) {
            Some(header) => basic_credentials(header),
            None => Some((
                form.get("client_id").cloned().unwrap_or_default(),
                form.get("client_secret").cloned().unwrap_or_default(),
            )),
        };
        let known = client.is_some_and(|(id, secret)| {
            id == self.client_id && equal_in_constant_time(secret.as_bytes(), self.client_secret.expose())
        });
        if known { Ok(form) } else { Err(Refusal(StatusCode::UNAUTHORIZED, "invalid_client")) }
    }
}

/// The answer of a fault, with bodies as Discord has them: they are no OAuth errors.
pub(super) fn faulty(fault: Fault) -> Response<Bytes> {
    match fault {
        Fault::Fail => {
            answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": "500: Internal Server Error", "code": 0 }))
        }
        Fault::Limit(retry_after) => {
            let seconds = retry_after.as_secs();
            let body = json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": false });
            let mut answer = answer(StatusCode::TOO_MANY_REQUESTS, &body);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            answer
        }
    }
}

/// The answer to a path or method that there isn't.
pub(super) fn absent(status: StatusCode) -> Response<Bytes> {
    answer(status, &json!({ "message": format!("{status}"), "code": 0 }))
}

fn basic_credentials(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // The parser reads a whole form: with a name before it, the text is a value.
    let form = format!("v={}", text.replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn endpoint() -> Endpoint {
        let client_secret = Secret::copy_of(b"s:cr&t %");
        let mint = Mint::new(&client_secret);
        Endpoint { client_id: "an id".into(), client_secret, mint, lifetime: 60 }
    }

    fn headers(authorization: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        }
        headers
    }

    fn parsed(answer: &Response<Bytes>) -> Value {
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    const IN_FORM: &str = "client_id=an+id&client_secret=s%3Acr%26t+%25";

    #[test]
    fn a_token_is_given_to_the_client_in_the_form_and_in_basic() {
        let form = format!("grant_type=client_credentials&scope=identify+email&{IN_FORM}");
        let in_form = endpoint().token(&headers(None), form.as_bytes(), [1; 16], NOW);
        let basic = format!("Basic {}", STANDARD.encode("an+id:s%3Acr%26t+%25"));
        let in_basic = endpoint().token(
            &headers(Some(&basic)),
            b"grant_type=client_credentials&scope=identify+email",
            [1; 16],
            NOW,
        );
        for given in [in_form, in_basic] {
            assert_eq!(given.status(), 200);
            let body = parsed(&given);
            assert_eq!(body["token_type"], "Bearer");
            assert_eq!(body["expires_in"], 60);
            assert_eq!(body["scope"], "identify email");
            let token = body["access_token"].as_str().expect("a token");
            assert_eq!(endpoint().mint.expiry_of(token), Some(NOW + 60));
        }
    }

    #[test]
    fn what_is_wrong_is_refused_as_oauth_says() {
        let grant = "grant_type=client_credentials";
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (form, authorization, status, error) in [
            (format!("{grant}&client_id=an+id&client_secret=wrong"), None, 401, "invalid_client"),
            (format!("{grant}&client_id=other&client_secret=s%3Acr%26t+%25"), None, 401, "invalid_client"),
            (grant.to_owned(), None, 401, "invalid_client"),
            (grant.to_owned(), Some(basic("an+id:wrong")), 401, "invalid_client"),
            (format!("{grant}&{IN_FORM}"), Some("Bearer x".to_owned()), 401, "invalid_client"),
            (format!("grant_type=password&{IN_FORM}"), None, 400, "unsupported_grant_type"),
            (IN_FORM.to_owned(), None, 400, "invalid_request"),
            (format!("{grant}&{grant}&{IN_FORM}"), None, 400, "invalid_request"),
        ] {
            let refused = endpoint().token(&headers(authorization.as_deref()), form.as_bytes(), [1; 16], NOW);
            assert_eq!((refused.status().as_u16(), &parsed(&refused)["error"]), (status, &json!(error)), "{form}");
        }
        let no_form = endpoint().token(&HeaderMap::new(), grant.as_bytes(), [1; 16], NOW);
        assert_eq!(no_form.status(), 400);
    }

    #[test]
    fn introspection_tells_living_tokens_from_dead_and_foreign_ones() {
        let endpoint = endpoint();
        let token = endpoint.mint.issue([1; 16], NOW + 60);
        let active = |token: &str, now| {
            let form = format!("token={token}&{IN_FORM}");
            parsed(&endpoint.introspection(&headers(None), form.as_bytes(), now))["active"] == true
        };
        assert!(active(&token, NOW + 59));
        assert!(!active(&token, NOW + 60));
        assert!(!active("foreign", NOW));
        let unauthenticated = endpoint.introspection(&headers(None), format!("token={token}").as_bytes(), NOW);
        assert_eq!(unauthenticated.status(), 401);
    }
}
