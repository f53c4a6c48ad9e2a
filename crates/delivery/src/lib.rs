//! Other vaults: what [`store::Target`] is at Azure Key Vault and in a folder of files.
//!
//! A target carries out what it is told and reports what it found. It never renews, decides nothing about generations,
//! opens no socket of its own (calls go out through the [`azure`] module's transport, which the binary brings), and tells
//! no value. Read [`TargetDefinition`] first.

pub mod azure;
mod definition;
mod file;

use std::path::PathBuf;
use std::sync::Arc;

use store::Target;

pub use definition::{Cloud, Credential, SecretReference, TargetDefinition};
pub use file::{FileSettings, FileTarget, file_name_fits};

/// The target that a definition names. Nothing is called before its first use.
///
/// # Errors
/// What is wrong with the definition, in words.
pub fn open(
    definition: &TargetDefinition,
    secrets: Arc<dyn azure::Secrets>,
    transport: Arc<dyn azure::Transport>,
) -> Result<Arc<dyn Target>, String> {
    match definition {
        TargetDefinition::AzureKeyVault { url, cloud, authority, credential } => {
            let vault = azure::AzureKeyVault::open(url, *cloud, authority.as_deref(), credential, secrets, transport)?;
            Ok(Arc::new(vault))
        }
        TargetDefinition::File { folder, mode, owner, group } => Ok(Arc::new(FileTarget::new(FileSettings {
            folder: PathBuf::from(folder),
            mode: *mode,
            owner: owner.clone(),
            group: group.clone(),
        }))),
    }
}
