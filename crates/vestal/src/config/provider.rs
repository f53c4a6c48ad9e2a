//! Providers of the operator's own: what `[provider.NAME]` takes, and how it becomes what `oauth` works with.

use core::time::Duration;
use std::collections::BTreeMap;

use oauth::{
    AnswerFormat, AnswerTable, ClientAuth, DocumentationTable, DocumentedLifetime, Endpoint, ErrorClass, ErrorRule,
    Expected, FieldPath, GrantType, LifetimeTable, LifetimeUnit, ProviderTable, RenewalTable, SuccessRule,
    ZeroLifetime,
};
use toml::Spanned;
use toml::de::DeValue;

use super::period::Period;
use super::problem::{Problem, ProblemKind};
use super::setting::{Reading, Schema, Section as _, SectionTable, Shape, Value, section};
use super::suggest::{listed, nearest};
use super::value::{Count, Parameters, Text, read_text, word_value};

section! {
    /// An API's token endpoint, described by you: for an API that has no preset, or over a preset that doesn't suit.
    /// What is left out comes from what it extends. Its name is 1 to 64 of `a-z`, `0-9` and `-`.
    ProviderSettings {
        /// The preset, or other provider of this file, that this one lies over. Left out, it is the preset of the same
        /// name, or else `generic`, the standard (RFC 6749).
        extends: ProviderName = optional r#""generic""#;

        /// The name as people write it.
        title: Text = optional r#""My API""#;

        /// The token endpoint, from the API's documentation. Where nothing below gives one, it must be there.
        token_url: Endpoint = optional r#""https://api.example.com/oauth/token""#;

        /// How client id and secret are sent: in the `form`, or as HTTP `basic` authentication.
        client_auth: ClientAuth = optional r#""form""#;

        /// The grants that the API offers. Vestal uses `client_credentials` so far.
        grants: Vec<GrantType> = optional r#"["client_credentials"]"#;

        /// What stands between two scopes.
        scope_separator: Separator = optional r#"" ""#;

        /// Whether the API refuses a request without a scope.
        scope_required: bool = optional r#"false"#;

        /// Parameters that every token request carries. An empty value takes out one from below.
        parameters: Parameters = default r#"{}"#, r#"{ resource = "https://api.example.com" }"#;

        /// Headers that every token request carries. An empty value takes out one from below. Never a secret.
        headers: Parameters = default r#"{}"#, r#"{ Accept-Language = "en" }"#;

        /// How the API's answer is read.
        answer: AnswerSettings = default r#"{}"#, r#"{ token = "data.token" }"#;

        /// How the token's lifetime is found.
        lifetime: LifetimeSettings = default r#"{}"#, r#"{ documented = "1h" }"#;

        /// What errors of the API's own mean. The first rule that fits decides; these come before those from below.
        errors: Vec<ErrorRuleSettings> = default r#"[]"#, r#"[{ error = "rate_limited", class = "throttled" }]"#;

        /// What renewals should know of the API.
        renewal: RenewalSettings = default r#"{}"#, r#"{ kills_previous = true }"#;

        /// Where these facts come from.
        documentation: DocumentationSettings = default r#"{}"#, r#"{ url = "https://api.example.com/docs/auth" }"#;
    }
}

section! {
    /// How the API's answer is read. A place in it is keys with dots between them: `data.token`, `items.0.token`.
    AnswerSettings {
        /// How the body is written.
        format: AnswerFormat = optional r#""json""#;

        /// Where the access token stands.
        token: FieldPath = optional r#""access_token""#;

        /// Where the refresh token stands.
        refresh_token: FieldPath = optional r#""refresh_token""#;

        /// Where the error's code stands.
        error: FieldPath = optional r#""error""#;

        /// What an answer with HTTP status 200 must say to be a success.
        success: SuccessSettings = optional r#"{ field = "ok", equals = true }"#;
    }
}

section! {
    /// What an answer with HTTP status 200 must say to be a success.
    SuccessSettings {
        /// Where it stands.
        field: FieldPath = required r#""ok""#;

        /// What it holds.
        equals: ExpectedValue = required r#"true"#;
    }
}

section! {
    /// How the token's lifetime is found.
    LifetimeSettings {
        /// Where the answer says it.
        field: FieldPath = optional r#""expires_in""#;

        /// What the number there means.
        unit: LifetimeUnit = optional r#""seconds""#;

        /// What zero or less means: the token is `dead`, or it `never` ends.
        zero: ZeroLifetime = optional r#""dead""#;

        /// The lifetime that the API's documentation states, used where the answer says nothing; or `never`.
        documented: Documented = optional r#""1h""#;

        /// Where the answer says in how many seconds it wants the token renewed.
        refresh_in: FieldPath = optional r#""refresh_in""#;
    }
}

section! {
    /// What an error of the API's own means. It names a `status`, an `error`, or both.
    ErrorRuleSettings {
        /// The HTTP status that it comes with.
        status: Count<100, 599> = optional r#"403"#;

        /// The error's code that it comes with.
        error: Text = optional r#""rate_limited""#;

        /// What it means: what is done next.
        class: ErrorClass = required r#""throttled""#;
    }
}

section! {
    /// What renewals should know of the API.
    RenewalSettings {
        /// Whether a new access token kills the previous one. It is then renewed later in its life.
        kills_previous: bool = optional r#"false"#;

        /// The least time between two renewals, where the API limits them.
        floor: Period = optional r#""1m""#;

        /// The largest promise that this API's habits allow, where it refuses to renew a token early.
        longest_promise: Period = optional r#""5m""#;
    }
}

section! {
    /// Where a provider's facts come from.
    DocumentationSettings {
        /// The API's own document.
        url: Text = optional r#""https://api.example.com/docs/auth""#;

        /// The day on which it was read.
        checked: Text = optional r#""2026-11-22""#;

        /// The fields that it doesn't state.
        unverified: Vec<Text> = optional r#"["lifetime.documented"]"#;
    }
}

impl ProviderSettings {
    /// The provider's table as `oauth` lays it over a preset, and as the store keeps it.
    pub fn table(&self) -> ProviderTable {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_owned());
        let Self { answer, lifetime, renewal, documentation, .. } = self;
        ProviderTable {
            extends: self.extends.as_ref().map(|name| name.as_str().to_owned()),
            title: text(&self.title),
            documentation: DocumentationTable {
                url: text(&documentation.url),
                checked: text(&documentation.checked),
                unverified: documentation
                    .unverified
                    .as_ref()
                    .map(|fields| fields.iter().map(|field| field.as_str().to_owned()).collect()),
            },
            token_url: self.token_url.clone(),
            client_auth: self.client_auth,
            grants: self.grants.clone(),
            scope_separator: self.scope_separator.as_ref().map(|separator| separator.0.clone()),
            scope_required: self.scope_required,
            parameters: self.parameters.as_map().clone(),
            headers: self.headers.as_map().clone(),
            answer: AnswerTable {
                format: answer.format,
                token: answer.token.clone(),
                refresh_token: answer.refresh_token.clone(),
                error: answer.error.clone(),
                success: answer
                    .success
                    .as_ref()
                    .map(|rule| SuccessRule { field: rule.field.clone(), equals: rule.equals.0.clone() }),
            },
            lifetime: LifetimeTable {
                field: lifetime.field.clone(),
                unit: lifetime.unit,
                zero: lifetime.zero,
                documented: lifetime.documented.map(|documented| documented.0),
                refresh_in: lifetime.refresh_in.clone(),
            },
            errors: self
                .errors
                .iter()
                .map(|rule| ErrorRule {
                    status: rule.status.and_then(|status| u16::try_from(status.number()).ok()),
                    error: text(&rule.error),
                    class: rule.class,
                })
                .collect(),
            renewal: RenewalTable {
                kills_previous: renewal.kills_previous,
                // The formulas have two parts of a life, by `kills_previous`, and take no third.
                at: None,
                floor: renewal.floor.map(Period::duration),
                longest_promise: renewal.longest_promise.map(Period::duration),
            },
        }
    }
}

/// The name of a preset or of a provider that the file declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderName(String);

impl ProviderName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for ProviderName {
    const SHAPE: Shape = Shape {
        noun: "the name of a provider",
        list: "a list of providers",
        schema: Schema::Text("^[a-z0-9-]{1,64}$"),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let name: Text = read_text(value, reading, ProblemKind::BadName, Self::SHAPE.noun)?;
        let own: Vec<String> = reading.names.providers.keys().cloned().collect();
        let known = || oauth::preset_names().map(|name| -> &str { name }).chain(own.iter().map(String::as_str));
        if known().any(|known| known == name.as_str()) {
            return Some(Self(name.0));
        }
        let message = format!("there is no provider `{}`", name.as_str());
        let problem = Problem::at(ProblemKind::UnknownReference, value.span(), message);
        let problem = match nearest(name.as_str(), known()) {
            Some(meant) => problem.label(format!("did you mean `{meant}`?")).help(format!("write \"{meant}\"")),
            None => problem.label("neither a preset nor declared").help(format!(
                "write one of {}, or describe the API:\n    [provider.{}]\n    token_url = \"https://…\"",
                listed(known()),
                name.as_str().to_ascii_lowercase()
            )),
        };
        reading.report(problem);
        None
    }
}

/// What stands between two scopes: unlike other texts, usually a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separator(String);

impl Value for Separator {
    const SHAPE: Shape = <Text as Value>::SHAPE;

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        read_text::<Text>(value, reading, ProblemKind::BadValue, Self::SHAPE.noun).map(|text| Self(text.0))
    }
}

/// What a field of an answer is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedValue(Expected);

impl Value for ExpectedValue {
    const SHAPE: Shape = Shape {
        noun: "a text, a whole number, `true` or `false`",
        list: "a list of values",
        schema: Schema::Either(&[Schema::Text(""), Schema::Integer(i64::MIN, i64::MAX), Schema::Boolean]),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let read = match value.get_ref() {
            DeValue::String(text) => Some(Expected::Text(text.clone().into_owned())),
            DeValue::Boolean(flag) => Some(Expected::Flag(*flag)),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Expected::Number)
            }
            _ => None,
        };
        if read.is_none() {
            reading.wrong_type(value, Self::SHAPE.noun);
        }
        read.map(Self)
    }
}

/// A lifetime that a document states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Documented(DocumentedLifetime);

impl Value for Documented {
    const SHAPE: Shape =
        Shape { noun: "a duration, or \"never\"", list: "a list of durations", schema: Schema::Text("") };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        if value.get_ref().as_str() == Some("never") {
            return Some(Self(DocumentedLifetime::Never));
        }
        let period: Period = read_text(value, reading, ProblemKind::BadValue, Self::SHAPE.noun)?;
        if period.duration() == Duration::ZERO {
            let why = "a token of no life is no token: leave the setting out";
            reading.bad_value(ProblemKind::BadValue, value.span(), Self::SHAPE.noun, why);
            return None;
        }
        Some(Self(DocumentedLifetime::For(period.duration())))
    }
}

/// Types of `oauth` that check a text.
macro_rules! oauth_text {
    ($type:ty: $noun:literal, $pattern:literal) => {
        impl Value for $type {
            const SHAPE: Shape = Shape { noun: $noun, list: "a list", schema: Schema::Text($pattern) };

            fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
                let Some(text) = value.get_ref().as_str() else {
                    reading.wrong_type(value, $noun);
                    return None;
                };
                match <$type>::new(text) {
                    Ok(read) => Some(read),
                    Err(why) => {
                        reading.bad_value(ProblemKind::BadValue, value.span(), $noun, why);
                        None
                    }
                }
            }
        }
    };
}

oauth_text!(Endpoint: "the URL of a token endpoint", "^https?://");
oauth_text!(FieldPath: "a place in an answer", "");

word_value!(ClientAuth: "a client authentication", "a list of client authentications", [
    "form" => ClientAuth::Form,
    "basic" => ClientAuth::Basic,
]);
word_value!(GrantType: "a grant", "a list of grants", [
    "client_credentials" => GrantType::ClientCredentials,
    "authorization_code" => GrantType::AuthorizationCode,
    "refresh_token" => GrantType::RefreshToken,
    "device_code" => GrantType::DeviceCode,
    "jwt_bearer" => GrantType::JwtBearer,
    "token_exchange" => GrantType::TokenExchange,
    "password" => GrantType::Password,
]);
word_value!(AnswerFormat: "a format", "a list of formats", [
    "json" => AnswerFormat::Json,
    "form" => AnswerFormat::Form,
]);
word_value!(LifetimeUnit: "a unit of lifetimes", "a list of units", [
    "seconds" => LifetimeUnit::Seconds,
    "milliseconds" => LifetimeUnit::Milliseconds,
    "minutes" => LifetimeUnit::Minutes,
    "unix_seconds" => LifetimeUnit::UnixSeconds,
    "unix_milliseconds" => LifetimeUnit::UnixMilliseconds,
    "date" => LifetimeUnit::Date,
]);
word_value!(ZeroLifetime: "a meaning of zero", "a list of meanings", [
    "dead" => ZeroLifetime::Dead,
    "never" => ZeroLifetime::Never,
]);
word_value!(ErrorClass: "a class of errors", "a list of classes", [
    "transient" => ErrorClass::Transient,
    "throttled" => ErrorClass::Throttled,
    "client" => ErrorClass::Client,
    "consent" => ErrorClass::Consent,
    "permanent" => ErrorClass::Permanent,
    "unknown" => ErrorClass::Unknown,
]);

/// Tables of settings inside a setting.
macro_rules! nested_value {
    ($($type:ty: $noun:literal;)+) => {$(
        impl Value for $type {
            const SHAPE: Shape =
                Shape { noun: $noun, list: "a list of tables", schema: Schema::Table(<$type>::SETTINGS) };

            fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
                SectionTable::read_nested(value, $noun, reading)
            }
        }
    )+};
}

nested_value! {
    AnswerSettings: "a table that says how the answer is read";
    SuccessSettings: "a table with `field` and `equals`";
    LifetimeSettings: "a table that says how the lifetime is found";
    ErrorRuleSettings: "a table with `status`, `error` and `class`";
    RenewalSettings: "a table of hints for renewals";
    DocumentationSettings: "a table that says where the facts come from";
}

/// The provider tables of a configuration, by name, for [`oauth::resolve`].
pub(super) type ProviderTables = BTreeMap<String, ProviderTable>;
