//! Other vaults: what [`store::Target`] is at Azure Key Vault and in a folder of files.
//!
//! A target carries out what it is told and reports what it found. It never renews, decides nothing about generations,
//! opens no socket of its own (calls go out through the [`azure`] module's transport, which the binary brings), and tells
//! no value. Read [`TargetDefinition`] first.

mod definition;
mod file;

pub use definition::{Cloud, Credential, SecretReference, TargetDefinition};
pub use file::{FileSettings, FileTarget, file_name_fits};
