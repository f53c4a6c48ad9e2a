//! What error codes and statuses mean, and which codes may be shown.

use crate::provider::{ClientAuth, ErrorClass, GrantType, Provider};
use crate::refusal::documentation_hint;

/// What a failure means: for the machine, and in two sentences without their full stops for a person.
pub(crate) struct Meaning {
    pub(crate) class: ErrorClass,
    /// What happened.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) next: String,
}

/// What an error code means with a status from 400 to 499, or in a body that came with a success.
///
/// The codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, RFC 8707 section 2, and OpenID Connect Core
/// section 3.1.2.6; nothing for others.
pub(crate) fn code_meaning(code: &str, status: u16, provider: &Provider, grant: GrantType) -> Option<Meaning> {
    let on_its_own = grant == GrantType::ClientCredentials;
    let meaning = match code {
        "invalid_client" => client(provider),
        // There is no person's consent in client_credentials; servers that answer so mean the credential.
        "invalid_grant" if on_its_own => client(provider),
        // Some tell a wrong secret by 401 and this.
        "access_denied" if on_its_own && status == 401 => client(provider),
        "invalid_grant"
        | "access_denied"
        | "interaction_required"
        | "login_required"
        | "consent_required"
        | "account_selection_required"
            if !on_its_own =>
        {
            class_words(ErrorClass::Consent, provider)
        }
        "access_denied" => permanent(
            "it denies this client access",
            "Allow the client there what it asks for, or ask whoever administers it",
        ),
        "invalid_scope" => permanent(
            "it does not know the scope that was asked for, or does not give it to this client",
            "Correct `scope` in the token",
        ),
        "unsupported_grant_type" => permanent(
            &format!("this endpoint does not offer the grant {}", grant.as_str()),
            "Choose another grant, or check `token_url`",
        ),
        "unauthorized_client" => permanent(
            &format!("this client may not use the grant {}", grant.as_str()),
            "Allow the grant for the client in the provider's console, or choose another",
        ),
        "invalid_request" => permanent(
            "it finds a parameter of the request missing or wrong",
            &format!("Compare `extra` and `scope` with the provider's documentation{}", documentation_hint(provider)),
        ),
        "invalid_target" => permanent(
            "it does not know the audience or resource that was asked for",
            "Correct `audience` or `resource` in `extra` of the token",
        ),
        "server_error" | "temporarily_unavailable" => class_words(ErrorClass::Transient, provider),
        "slow_down" => class_words(ErrorClass::Throttled, provider),
        _ => return None,
    };
    Some(meaning)
}

/// What a status means where no error code says more (RFC 9110 section 15).
pub(crate) fn status_meaning(status: u16, provider: &Provider) -> Meaning {
    match status {
        300..=399 => permanent(
            "it sends on to another place, and redirects are not followed, so that no secret goes where nobody decided",
            "Put the final URL into `token_url`",
        ),
        400 => permanent(
            "it finds something wrong with the request, and does not say what in a way that may be shown",
            &format!("Compare the token's settings with the provider's documentation{}", documentation_hint(provider)),
        ),
        401 => client(provider),
        403 => permanent(
            "it forbids the request",
            "Check what the client is allowed there; an address that it does not trust is refused like this too",
        ),
        404 | 410 => permanent("there is nothing at `token_url`", "Check `token_url`, and the tenant or account in it"),
        405 => permanent("what is at `token_url` takes no POST", "Check `token_url`"),
        406 | 415 => permanent("it speaks another format there", "Check `token_url`, and `headers` of the provider"),
        407 => {
            permanent("a proxy in between wants to know who asks", "Give this machine a way to the provider without it")
        }
        413 | 414 | 431 => permanent("the request is too long for it", "Ask for fewer scopes, or shorten `extra`"),
        408 | 425 => Meaning {
            class: ErrorClass::Transient,
            what: "it did not take the request in time".to_owned(),
            next: "Nothing to do: it is tried again".to_owned(),
        },
        421 => Meaning {
            class: ErrorClass::Transient,
            what: "the request came to a server that is not in charge".to_owned(),
            next: "It is tried again; if it stays so, check `token_url`".to_owned(),
        },
        429 => class_words(ErrorClass::Throttled, provider),
        500..=599 => class_words(ErrorClass::Transient, provider),
        402 | 411..=499 => permanent(
            "it refuses the request",
            &format!("Look the status up in the provider's documentation{}", documentation_hint(provider)),
        ),
        _ => class_words(ErrorClass::Unknown, provider),
    }
}

/// What a class means where nothing more is known.
pub(crate) fn class_words(class: ErrorClass, provider: &Provider) -> Meaning {
    let (what, next) = match class {
        ErrorClass::Transient => ("it is failing on its own side", "Nothing to do: it is tried again"),
        ErrorClass::Throttled => ("it has had too many requests", "Nothing to do: it is tried again later"),
        ErrorClass::Client => return client(provider),
        ErrorClass::Consent => (
            "the consent, or the refresh token that stands for it, is no longer valid",
            "A person has to give the consent again",
        ),
        ErrorClass::Permanent => ("it refuses the request as it is", "Correct the token's settings"),
        ErrorClass::Unknown => {
            ("nothing is known about such an answer", "It is tried again; if it stays so, ask the provider")
        }
    };
    Meaning { class, what: what.to_owned(), next: next.to_owned() }
}

fn client(provider: &Provider) -> Meaning {
    let (now, other) = match provider.client_auth {
        ClientAuth::Form => ("form", "basic"),
        ClientAuth::Basic => ("basic", "form"),
    };
    Meaning {
        class: ErrorClass::Client,
        what: "it does not accept this client id with this client secret".to_owned(),
        next: format!(
            "Check both in the provider's console and store the right ones; renewal then goes on by itself. Some \
             providers want `client_auth = \"{other}\"` instead of \"{now}\""
        ),
    }
}

fn permanent(what: &str, next: &str) -> Meaning {
    Meaning { class: ErrorClass::Permanent, what: what.to_owned(), next: next.to_owned() }
}

/// Codes that are shown as they are. Some of these have a meaning in [`code_meaning`], the others just tell a person
/// what to look up.
const KNOWN_CODES: [&str; 22] = [
    "access_denied",
    "account_selection_required",
    "authorization_pending",
    "consent_required",
    "expired_token",
    "insufficient_scope",
    "interaction_required",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unmet_authentication_requirements",
    "unsupported_grant_type",
    "use_dpop_nonce",
];

/// The code, where it may be shown: it is known, or stands in the provider's error map, or can hardly be a secret.
///
/// A provider may echo what it was sent, so a code that nobody knows is shown only in the forms that codes have and
/// generated secrets have not: words of letters in one case with `_` between (`bad_client_secret`), in capitalised
/// words (`InvalidClientId`), or a number of at most 6 digits.
pub(crate) fn shown_code(code: &str, provider: &Provider) -> Option<String> {
    let named = KNOWN_CODES.contains(&code) || provider.errors.iter().any(|rule| rule.error.as_deref() == Some(code));
    (named || looks_like_a_code(code)).then(|| code.to_owned())
}

fn looks_like_a_code(code: &str) -> bool {
    const WORD: core::ops::RangeInclusive<usize> = 2..=16;
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        return (1..=6).contains(&code.len());
    }
    if code.len() > 48 {
        return false;
    }
    let in_case = |is_case: fn(&u8) -> bool| {
        code.split('_').all(|word| WORD.contains(&word.len()) && word.bytes().all(|byte| is_case(&byte)))
    };
    let capitalised = || {
        let starts = code.bytes().filter(u8::is_ascii_uppercase).count();
        let words = code.split(|character: char| character.is_ascii_uppercase());
        code.bytes().all(|byte| byte.is_ascii_alphabetic())
            && code.starts_with(|first: char| first.is_ascii_uppercase())
            && (2..=5).contains(&starts)
            && words.skip(1).all(|word| WORD.contains(&(word.len() + 1)))
    };
    in_case(u8::is_ascii_lowercase) || in_case(u8::is_ascii_uppercase) || capitalised()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_and_what_may_be_a_secret_is_not() {
        for code in
            ["bad_client_secret", "ratelimited", "INVALID_GRANT", "InvalidClientId", "602", "org_login_required"]
        {
            assert!(looks_like_a_code(code), "{code}");
        }
        for secret in [
            "",
            "_",
            "a__b",
            "hunter2",
            "6qrZcUqja7812RVdnEKjpzOL4CvHBFG",
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "937it3ow87i4ery69876wqire",
            "correct horse battery staple",
            "CANARY-secret",
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            "abcdefghijklmnopqrstuvwxyz",
            "AbCdEfGhIjKl",
            "12345678901234",
            "naïve",
            "<script>",
        ] {
            assert!(!looks_like_a_code(secret), "{secret}");
        }
    }
}
