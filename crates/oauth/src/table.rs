//! A provider as it is written down: every field may be left out, and what is left out comes from below.
//!
//! An operator's `[provider.NAME]` lies over the preset of the same name, or over what its `extends` names; fields,
//! and the keys of `parameters` and `headers`, are replaced one by one. At the bottom lies the standard.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::provider::{
    AnswerFormat, AnswerRules, ClientAuth, Documentation, DocumentedLifetime, Endpoint, ErrorRule, FieldPath,
    GrantType, LifetimeRules, LifetimeUnit, Provider, RenewalHints, SuccessRule, ZeroLifetime,
};
use crate::request::RESERVED_PARAMETERS;

/// A `[provider.NAME]` table, or a preset's file. The fields are those of [`Provider`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderTable {
    /// The preset, or other provider of the same configuration, that this one lies over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// See [`Provider::title`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// See [`Provider::documentation`].
    #[serde(skip_serializing_if = "is_default")]
    pub documentation: DocumentationTable,
    /// See [`Provider::token_url`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<Endpoint>,
    /// See [`Provider::client_auth`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// See [`Provider::grants`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<GrantType>>,
    /// See [`Provider::scope_separator`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_separator: Option<String>,
    /// See [`Provider::scope_required`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_required: Option<bool>,
    /// See [`Provider::parameters`]. An empty value takes out one from below.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// See [`Provider::headers`]. An empty value takes out one from below.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// See [`Provider::answer`].
    #[serde(skip_serializing_if = "is_default")]
    pub answer: AnswerTable,
    /// See [`Provider::lifetime`].
    #[serde(skip_serializing_if = "is_default")]
    pub lifetime: LifetimeTable,
    /// See [`Provider::errors`]. These come before those from below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorRule>,
    /// See [`Provider::renewal`].
    #[serde(skip_serializing_if = "is_default")]
    pub renewal: RenewalTable,
}

/// See [`Documentation`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of `Documentation`, and are described there")]
pub struct DocumentationTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified: Option<Vec<String>>,
}

/// See [`AnswerRules`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of `AnswerRules`, and are described there")]
pub struct AnswerTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AnswerFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<FieldPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<FieldPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<FieldPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<SuccessRule>,
}

/// See [`LifetimeRules`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of `LifetimeRules`, and are described there")]
pub struct LifetimeTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<LifetimeUnit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero: Option<ZeroLifetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documented: Option<DocumentedLifetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_in: Option<FieldPath>,
}

/// See [`RenewalHints`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of `RenewalHints`, and are described there")]
pub struct RenewalTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kills_previous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", with = "duration::optional")]
    pub floor: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", with = "duration::optional")]
    pub longest_promise: Option<Duration>,
}

/// What is wrong with a provider. `Display` says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// The provider whose table has to be changed.
    pub provider: String,
    /// The field of its table, as a path: `token_url`, `renewal.at`. Empty where it is the table as a whole.
    pub field: &'static str,
    /// What is wrong with it and what to write.
    pub problem: String,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, field, problem } = self;
        match *field {
            "" => write!(f, "provider `{provider}`: {problem}"),
            field => write!(f, "provider `{provider}`, `{field}`: {problem}"),
        }
    }
}

impl core::error::Error for ProviderError {}

/// Each field of the upper where it is set, else of the lower. The compiler sees to it that none is forgotten.
macro_rules! first_set {
    ($upper:ident, $lower:ident: $($field:ident),+) => { Self { $($field: $upper.$field.or($lower.$field)),+ } };
}

impl ProviderTable {
    /// This table laid over another. `extends` is used up: it is neither's.
    pub fn over(self, lower: Self) -> Self {
        let mut errors = self.errors;
        errors.extend(lower.errors);
        Self {
            extends: None,
            title: self.title.or(lower.title),
            documentation: self.documentation.over(lower.documentation),
            token_url: self.token_url.or(lower.token_url),
            client_auth: self.client_auth.or(lower.client_auth),
            grants: self.grants.or(lower.grants),
            scope_separator: self.scope_separator.or(lower.scope_separator),
            scope_required: self.scope_required.or(lower.scope_required),
            parameters: keys_over(self.parameters, lower.parameters),
            headers: keys_over(self.headers, lower.headers),
            answer: self.answer.over(lower.answer),
            lifetime: self.lifetime.over(lower.lifetime),
            errors,
            renewal: self.renewal.over(lower.renewal),
        }
    }

    /// The provider that the table describes, with the standard's habits where it says nothing, checked.
    pub fn complete(self, name: &str) -> Result<Provider, ProviderError> {
        let wrong = |field, problem: String| ProviderError { provider: name.to_owned(), field, problem };
        if !is_provider_name(name) {
            return Err(wrong("", "a provider's name is 1 to 64 of `a-z`, `0-9` and `-`: rename it".to_owned()));
        }
        let Some(token_url) = self.token_url else {
            let problem = "it is missing: write `token_url = \"https://…\"`, from the API's documentation";
            return Err(wrong("token_url", problem.to_owned()));
        };
        let (answer, lifetime) = (AnswerRules::default(), LifetimeRules::default());
        let provider = Provider {
            name: name.to_owned(),
            title: self.title.unwrap_or_else(|| name.to_owned()),
            documentation: Documentation {
                url: self.documentation.url,
                checked: self.documentation.checked.filter(|checked| checked != "unverified"),
                unverified: self.documentation.unverified.unwrap_or_default(),
            },
            token_url,
            client_auth: self.client_auth.unwrap_or_default(),
            grants: self.grants.unwrap_or_else(|| vec![GrantType::ClientCredentials]),
            scope_separator: self.scope_separator.unwrap_or_else(|| " ".to_owned()),
            scope_required: self.scope_required.unwrap_or_default(),
            parameters: self.parameters.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            headers: self.headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            answer: AnswerRules {
                format: self.answer.format.unwrap_or(answer.format),
                token: self.answer.token.unwrap_or(answer.token),
                refresh_token: self.answer.refresh_token.unwrap_or(answer.refresh_token),
                error: self.answer.error.unwrap_or(answer.error),
                success: self.answer.success,
            },
            lifetime: LifetimeRules {
                field: self.lifetime.field.unwrap_or(lifetime.field),
                unit: self.lifetime.unit.unwrap_or(lifetime.unit),
                zero: self.lifetime.zero.unwrap_or(lifetime.zero),
                documented: self.lifetime.documented,
                refresh_in: self.lifetime.refresh_in.unwrap_or(lifetime.refresh_in),
            },
            errors: self.errors,
            renewal: RenewalHints {
                kills_previous: self.renewal.kills_previous.unwrap_or_default(),
                at: self.renewal.at,
                floor: self.renewal.floor,
                longest_promise: self.renewal.longest_promise,
            },
        };
        match first_problem(&provider) {
            Some((field, problem)) => Err(wrong(field, problem)),
            None => Ok(provider),
        }
    }
}

impl DocumentationTable {
    /// A source is taken as a whole: a new link with the old day would be a lie.
    fn over(self, lower: Self) -> Self {
        if self == Self::default() { lower } else { self }
    }
}

impl AnswerTable {
    fn over(self, lower: Self) -> Self {
        first_set!(self, lower: format, token, refresh_token, error, success)
    }
}

impl LifetimeTable {
    fn over(self, lower: Self) -> Self {
        first_set!(self, lower: field, unit, zero, documented, refresh_in)
    }
}

impl RenewalTable {
    fn over(self, lower: Self) -> Self {
        first_set!(self, lower: kills_previous, at, floor, longest_promise)
    }
}

fn keys_over(upper: BTreeMap<String, String>, mut lower: BTreeMap<String, String>) -> BTreeMap<String, String> {
    lower.extend(upper);
    lower
}

/// Whether the text may name a provider: 1 to 64 of `a-z`, `0-9` and `-`.
pub fn is_provider_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Headers that the request or the connection sets itself.
const RESERVED_HEADERS: [&str; 6] =
    ["authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"];

/// The field that breaks a rule, and the sentence that says so.
fn first_problem(provider: &Provider) -> Option<(&'static str, String)> {
    if provider.title.is_empty() || provider.title.len() > 80 || provider.title.chars().any(char::is_control) {
        return Some(("title", "a title has 1 to 80 bytes and no control characters".to_owned()));
    }
    if provider.grants.is_empty() {
        return Some(("grants", "name at least one, such as `[\"client_credentials\"]`".to_owned()));
    }
    if provider.scope_separator.is_empty() || provider.scope_separator.chars().any(char::is_control) {
        return Some((
            "scope_separator",
            "write what stands between two scopes, such as `\" \"` or `\",\"`".to_owned(),
        ));
    }
    if let Some(name) = provider.parameters.keys().find(|name| RESERVED_PARAMETERS.contains(&name.as_str())) {
        return Some(("parameters", format!("`{name}` is sent by the grant itself: take it out")));
    }
    for (name, value) in &provider.headers {
        if !is_header_name(name) {
            return Some(("headers", format!("`{}` is no name for a header", name.escape_debug())));
        }
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Some(("headers", format!("`{name}` is set by the request itself: take it out")));
        }
        if !value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
            return Some(("headers", format!("the value of `{name}` has characters that a header can't carry")));
        }
    }
    if provider.errors.iter().any(|rule| rule.status.is_none() && rule.error.is_none()) {
        return Some(("errors", "a rule names a `status`, an `error`, or both".to_owned()));
    }
    // These codes are shown when they come.
    let is_code = |code: &String| (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    if provider.errors.iter().filter_map(|rule| rule.error.as_ref()).any(|code| !is_code(code)) {
        return Some(("errors", "an `error` has 1 to 64 visible ASCII characters".to_owned()));
    }
    match provider.renewal.at {
        Some(at) if !(at > 0.0 && at <= 0.95) => Some((
            "renewal.at",
            "this is the part of a token's life after which it is renewed, such as 0.8: above 0 and at most 0.95"
                .to_owned(),
        )),
        _ => None,
    }
}

/// A token of RFC 9110 section 5.6.2.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
