//! Key Vault's wire and the authority behind it, as functions from request to answer.
//!
//! [`KeyVault`] is what there is to know: a request goes in with the time and the sender's address, and an answer
//! comes out. Under it stand [`store::Records`], where the secrets are, and [`store::Audit`], which is told of
//! everything. Who may do what comes from the *directory*, a snapshot in memory of apps, policies, vaults and signing
//! keys, made anew after each change.
//!
//! A request is routed by its Host, once, before anything else: to a vault, or to the authority. A vault asks for a
//! token first, then looks at the path, then at the rest. Which status an outcome has is decided in one file for each
//! of the two.
//!
//! This crate opens no listener and reads no clock. Deleting, recovering, purging, backup and restore are in the route
//! table and not offered yet.

mod apps;
mod ask;
mod authority;
mod backups;
mod bundle;
mod counters;
mod directory;
mod error;
mod etag;
mod headers;
mod json;
mod operation;
mod percent;
mod query;
mod secrets;
mod service;
mod signing;
mod site;
mod token;
mod version;

pub use apps::{AppError, IssuedSecret, MAX_APP_NAME_CHARS, Replacement};
pub use ask::Now;
pub use counters::RequestCount;
pub use directory::{Challenge, DirectoryError, Retention, VaultDefinition};
pub use service::{Cause, KeyVault, MAX_REQUEST_BYTES, MAX_RESTORE_BYTES, OpenError, PurgeError};
pub use signing::{KEPT_AFTER_SECONDS, KEY_USE_SECONDS, PUBLISHED_BEFORE_SECONDS};
pub use site::{Settings, SettingsError};
pub use token::{LEEWAY_SECONDS, TOKEN_LIFE_SECONDS};
pub use version::{API_VERSIONS, ApiVersion};
