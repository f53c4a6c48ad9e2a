//! The directory: who there is, what they may do, and the keys that vouch for it. One snapshot in memory, made anew
//! from the store after each change.

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use secret::Secret;
use serde::{Deserialize, Serialize};
use store::rows::{DefinitionKind, Origin};
use store::{CommitError, Declared, Entropy, RecordError, Records, Store};
use vault::{App, ClientId, ObjectId, Policy, VaultName};

use crate::signing::{KeyError, KeyUse, Rotation, SigningKey, StoredKey, read_secret, write_secret};

/// The name of the one definition of kind [`DefinitionKind::Directory`].
const NAME: &str = "directory";

/// A vault as it is declared: the body of a definition of kind [`DefinitionKind::Vault`], whose name is the vault's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultDefinition {
    /// What the vault tells a client that has no token.
    #[serde(default)]
    pub challenge: Challenge,
    /// How many days a deleted secret can be recovered: 7 to 90, as in Azure Key Vault.
    #[serde(default = "most_days")]
    pub retention_days: u8,
    /// Whether a deleted secret can't be purged before these days are over.
    #[serde(default)]
    pub purge_protection: bool,
}

impl Default for VaultDefinition {
    fn default() -> Self {
        Self { challenge: Challenge::default(), retention_days: Retention::MAX_DAYS, purge_protection: false }
    }
}

fn most_days() -> u8 {
    Retention::MAX_DAYS
}

/// How long a deleted secret stays, and whether it can be destroyed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// In days.
    pub days: u8,
    /// Whether nobody can purge before these days are over.
    pub purge_protection: bool,
}

impl Retention {
    /// The most days, as in Azure Key Vault, and as many as there are where nothing is said.
    pub const MAX_DAYS: u8 = 90;

    /// The days in seconds.
    pub fn seconds(self) -> i64 {
        i64::from(self.days) * 86_400
    }

    /// The word that stands for it in a secret's attributes.
    pub(crate) fn recovery_level(self) -> &'static str {
        match (self.days < Self::MAX_DAYS, self.purge_protection) {
            (false, false) => "Recoverable+Purgeable",
            (false, true) => "Recoverable",
            (true, false) => "CustomizedRecoverable+Purgeable",
            (true, true) => "CustomizedRecoverable",
        }
    }
}

impl VaultDefinition {
    /// What becomes of deleted secrets.
    pub fn retention(&self) -> Retention {
        Retention { days: self.retention_days, purge_protection: self.purge_protection }
    }
}

/// Under which of its names a vault sends clients to the authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Challenge {
    /// `adfs`: with it the SDKs work from environment variables alone.
    #[default]
    Adfs,
    /// The directory's GUID.
    Tenant,
}

/// The directory's own record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDirectory {
    /// The tenant's GUID, made once.
    tenant: String,
    /// What client secrets are hashed under: 32 random bytes.
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pepper: Secret,
    /// The signing keys, in any order.
    keys: Vec<StoredKey>,
}

/// Everything that a request is judged by, as it stood after the last change.
pub(crate) struct Directory {
    pub(crate) tenant: String,
    pub(crate) pepper: Secret,
    pub(crate) keys: Vec<SigningKey>,
    /// When each stored key signs.
    key_uses: Vec<KeyUse>,
    /// By name in lower case.
    vaults: HashMap<Box<str>, Vault>,
    by_client: HashMap<ClientId, Arc<Registered>>,
    by_object: HashMap<ObjectId, Arc<Registered>>,
}

/// A vault that requests may be for.
pub(crate) struct Vault {
    pub(crate) name: VaultName,
    pub(crate) challenge: Challenge,
    pub(crate) retention: Retention,
}

/// An app that exists, with the policies that name it.
pub(crate) struct Registered {
    pub(crate) app: App,
    pub(crate) policies: Vec<Policy>,
}

impl Directory {
    /// Reads the directory out of the store, and makes its record where there is none yet.
    pub(crate) async fn open<S: Store>(records: &Records<S>, now: i64) -> Result<Self, DirectoryError> {
        match Self::load(records).await {
            Err(DirectoryError::Missing) => {}
            result => return result,
        }
        // An app's client secret is worth nothing without the pepper that it was hashed under.
        if !records.store().definitions(DefinitionKind::App).await.map_err(RecordError::from)?.is_empty() {
            return Err(DirectoryError::Missing);
        }
        let stored = StoredDirectory {
            tenant: ClientId::from_random(records.entropy().bytes16()).to_string(),
            pepper: Secret::copy_of(&records.entropy().bytes32()),
            keys: vec![StoredKey::generate(now)?],
        };
        let write = records.define(DefinitionKind::Directory, NAME, Origin::Vestal, None, &stored, None);
        match records.commit(vec![write]).await {
            // A conflict: another process was first, and its directory is the one.
            Ok(()) | Err(CommitError::Conflict) => Self::load(records).await,
            Err(CommitError::Store(error)) => Err(RecordError::from(error).into()),
        }
    }

    /// Reads the directory out of the store. What left the configuration file is not in it.
    pub(crate) async fn load<S: Store>(records: &Records<S>) -> Result<Self, DirectoryError> {
        let stored = stored(records).await?.ok_or(DirectoryError::Missing)?.body;
        let mut policies: HashMap<ObjectId, Vec<Policy>> = HashMap::new();
        for policy in active(records.definitions::<Policy>(DefinitionKind::Policy).await?) {
            policies.entry(policy.body.app.clone()).or_default().push(policy.body);
        }
        let mut vaults = HashMap::new();
        for vault in active(records.definitions::<VaultDefinition>(DefinitionKind::Vault).await?) {
            let name = VaultName::parse(&vault.name).map_err(|error| DirectoryError::VaultName(vault.name, error))?;
            vaults.insert(
                name.as_str().into(),
                Vault { name, challenge: vault.body.challenge, retention: vault.body.retention() },
            );
        }
        let (mut by_client, mut by_object) = (HashMap::new(), HashMap::new());
        for app in active(records.definitions::<App>(DefinitionKind::App).await?) {
            let policies = policies.remove(&app.body.object_id).unwrap_or_default();
            let registered = Arc::new(Registered { app: app.body, policies });
            by_client.insert(registered.app.client_id.clone(), Arc::clone(&registered));
            by_object.insert(registered.app.object_id.clone(), registered);
        }
        Ok(Self {
            keys: stored.keys.iter().map(SigningKey::read).collect::<Result<_, _>>()?,
            key_uses: stored.keys.iter().map(StoredKey::time).collect(),
            tenant: stored.tenant,
            pepper: stored.pepper,
            vaults,
            by_client,
            by_object,
        })
    }

    /// The vault of this label, written in any case.
    pub(crate) fn vault(&self, label: &str) -> Option<&Vault> {
        if label.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.vaults.get(label.to_ascii_lowercase().as_str());
        }
        self.vaults.get(label)
    }

    /// The names of all vaults, in order.
    pub(crate) fn vault_names(&self) -> Vec<VaultName> {
        let mut names: Vec<VaultName> = self.vaults.values().map(|vault| vault.name.clone()).collect();
        names.sort();
        names
    }

    /// The app that calls itself so.
    pub(crate) fn client(&self, id: &ClientId) -> Option<&Arc<Registered>> {
        self.by_client.get(id)
    }

    /// The app of this object id.
    pub(crate) fn object(&self, id: &ObjectId) -> Option<&Arc<Registered>> {
        self.by_object.get(id)
    }

    /// The key of this id.
    pub(crate) fn key(&self, id: &str) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Whether a key has to be made, or may go, at `now`.
    pub(crate) fn rotation_is_due(&self, now: i64) -> bool {
        Rotation::at(&self.key_uses, now).is_due()
    }
}

/// Makes the next signing key, or lets old ones go, if it is time. Whether anything was changed.
pub(crate) async fn rotate<S: Store>(records: &Records<S>, now: i64) -> Result<bool, DirectoryError> {
    let declared = stored(records).await?.ok_or(DirectoryError::Missing)?;
    let mut body = declared.body;
    let rotation = Rotation::at(&body.keys.iter().map(StoredKey::time).collect::<Vec<_>>(), now);
    if !rotation.is_due() {
        return Ok(false);
    }
    rotation.apply(&mut body.keys)?;
    let write = records.define(DefinitionKind::Directory, NAME, Origin::Vestal, None, &body, Some(declared.tag));
    match records.commit(vec![write]).await {
        // A conflict: another process did it.
        Ok(()) | Err(CommitError::Conflict) => Ok(true),
        Err(CommitError::Store(error)) => Err(RecordError::from(error).into()),
    }
}

/// A new app: it has an identity, and no client secret yet.
pub(crate) fn new_app(entropy: &dyn Entropy, name: &str) -> App {
    App {
        name: name.to_owned(),
        client_id: ClientId::from_random(entropy.bytes16()),
        object_id: ObjectId::from_random(entropy.bytes16()),
        tokens_not_before: 0,
        secrets: Vec::new(),
    }
}

async fn stored<S: Store>(records: &Records<S>) -> Result<Option<Declared<StoredDirectory>>, RecordError> {
    records.definition(DefinitionKind::Directory, NAME).await
}

fn active<T>(declared: Vec<Declared<T>>) -> impl Iterator<Item = Declared<T>> {
    declared.into_iter().filter(|declared| declared.removed.is_none())
}

/// Why the directory can't be read or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryError {
    /// The store, or a record in it.
    Record(RecordError),
    /// A vault's definition has a name that no vault can have.
    VaultName(String, vault::NameError),
    /// A signing key can't be made or read.
    Key,
    /// The directory was there and is gone.
    Missing,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => write!(out, "the directory can't be read or changed: {error}"),
            Self::VaultName(name, error) => write!(out, "a vault is declared as {name:?}: {error}"),
            Self::Key => out.write_str("a signing key of the directory can't be made or read: restore a backup"),
            Self::Missing => out.write_str("the store has no directory any more: restore a backup"),
        }
    }
}

impl core::error::Error for DirectoryError {}

impl From<RecordError> for DirectoryError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<KeyError> for DirectoryError {
    fn from(_: KeyError) -> Self {
        Self::Key
    }
}
