//! From a flow of Power Automate or Logic Apps to Vestal's configuration.
//!
//! People keep tokens fresh with a scheduled flow: it reads a client id and a client secret from an Azure Key Vault,
//! posts them to a token endpoint, and puts the access token into the vault. This crate reads such a flow in the form in
//! which it is exported, follows each value from where it comes to where it goes, and writes the same as TOML, with a
//! report of what it did not understand and of what is unsafe in the flow.
//!
//! Nothing is run: no expression is evaluated with real values, no address is called, no file is touched. Nothing is
//! guessed in silence either: whatever stands between the flow and its configuration is a [`Gap`] of the [`Report`].
//! Secrets that stand in a flow in clear text leave it in [`ClearSecret`]s alone.
//!
//! Read [`read`] first, then [`import`]. Inside, a flow goes through `read` (containers) to `flow` (its actions), through
//! `trace` (each expression becomes a `term`) to `pattern` (which terms are a token's renewal), and ends in `settings`
//! (TOML) and `report`.

mod address;
mod expression;
mod finding;
mod flow;
mod function;
mod import;
mod order;
mod pattern;
mod read;
mod report;
mod request;
mod schedule;
mod settings;
mod spending;
mod term;
mod text;
mod time;
mod trace;

pub use self::flow::Flow;
pub use self::import::{ClearSecret, Import, Options, Preset, import};
pub use self::read::{ReadError, ReadReason, read};
pub use self::report::{Credential, Expiry, Finding, Gap, OpenConnection, Report, Severity, Spending, Token};
