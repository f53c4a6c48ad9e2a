//! What to say to a token endpoint, and what its answer means.
//!
//! This crate turns facts about an API (a [`Provider`], data and never code) and a credential into an
//! [`HttpRequest`], and an [`HttpAnswer`] into a [`Grant`] or a [`Refusal`]. It opens no socket, reads no clock and
//! keeps no state; whoever calls it does. Secrets go from one [`secret::Secret`] to the next, and no sentence that it
//! writes has a piece of an answer's body in it.
//!
//! Read [`Provider`] and [`read_answer`] first.

mod answer;
mod body;
mod code;
mod date;
mod duration;
mod lifetime;
mod preset;
mod provider;
mod refusal;
mod request;
mod table;

pub use answer::{
    AnswerHeaders, Asked, BODY_LIMIT, BodyEnd, GUESSED_LIFETIME, Grant, HttpAnswer, LONGEST_LIFETIME, LONGEST_TOKEN,
    Lifetime, LifetimeSource, Note, read_answer,
};
pub use preset::{preset, preset_names, presets, resolve};
pub use provider::{
    AnswerFormat, AnswerRules, ClientAuth, Documentation, DocumentedLifetime, Endpoint, ErrorClass, ErrorRule,
    Expected, FieldPath, GrantType, LifetimeRules, LifetimeUnit, Provider, RenewalHints, SuccessRule, ZeroLifetime,
};
pub use refusal::{Refusal, RefusalClass};
pub use request::{HeaderValue, HttpRequest, Method, Part, RequestError, client_credentials};
pub use table::{
    AnswerTable, DocumentationTable, LifetimeTable, ProviderError, ProviderTable, RenewalTable, is_provider_name,
};
