//! The targets of the running process, opened from their definitions.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use delivery::azure::Secrets;
use delivery::{Credential, SecretReference, TargetDefinition};
use secret::Secret;
use store::rows::DefinitionKind;
use store::{RecordError, Records, Store, Target};
use vault::{SecretName, VaultName};

use crate::connector::{Connector, TargetTransport};

/// The open targets, each with what it was opened from: one whose definition stays the same stays open, with its tokens.
#[derive(Default)]
pub(super) struct Opened {
    open: Mutex<BTreeMap<String, Open>>,
    /// Why the others can't be opened.
    troubles: Mutex<BTreeMap<String, String>>,
}

/// A target, and what it was opened from.
type Open = (TargetDefinition, Arc<dyn Target>);

impl Opened {
    /// All targets that are declared now. Those that can't be opened are told in words, by name.
    pub(super) async fn bring_up_to_date<S: Store>(
        &self,
        records: &Arc<Records<S>>,
        connector: &Arc<Connector>,
    ) -> Result<(BTreeMap<String, Arc<dyn Target>>, BTreeMap<String, String>), RecordError> {
        let declared = records.definitions::<TargetDefinition>(DefinitionKind::Target).await?;
        let mut opened = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut troubles = BTreeMap::new();
        let mut now = BTreeMap::new();
        for target in declared.into_iter().filter(|target| target.removed.is_none()) {
            let known = opened.get(&target.name).filter(|(definition, _)| *definition == target.body);
            let target_opened = match known {
                Some((_, known)) => Ok(Arc::clone(known)),
                None => open(&target.body, records, connector),
            };
            match target_opened {
                Ok(open) => {
                    now.insert(target.name, (target.body, open));
                }
                Err(words) => {
                    troubles.insert(target.name, words);
                }
            }
        }
        *opened = now;
        troubles.clone_into(&mut self.troubles.lock().unwrap_or_else(PoisonError::into_inner));
        let targets = opened.iter().map(|(name, (_, target))| (name.clone(), Arc::clone(target))).collect();
        Ok((targets, troubles))
    }

    /// Why a target can't be opened, in words; none where it can, or isn't declared.
    pub(super) fn why_not(&self, target: &str) -> Option<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    /// The secret that the credential of each target is, or is proven by: vault and name.
    pub(super) fn proofs(&self) -> BTreeMap<String, (String, String)> {
        let opened = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let proofs = opened.iter().filter_map(|(target, (definition, _))| {
            let SecretReference { vault, name } = secret_of(definition)?;
            Some((target.clone(), (vault.clone(), name.clone())))
        });
        proofs.collect()
    }

    /// The targets whose credential is, or is proven by, this secret.
    pub(super) fn that_use(&self, vault: &VaultName, name: &SecretName) -> Vec<String> {
        let opened = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = |definition: &TargetDefinition| {
            secret_of(definition).is_some_and(|reference| {
                reference.vault.eq_ignore_ascii_case(vault.as_str())
                    && reference.name.eq_ignore_ascii_case(name.folded())
            })
        };
        opened.iter().filter(|(_, (definition, _))| uses(definition)).map(|(target, _)| target.clone()).collect()
    }
}

fn open<S: Store>(
    definition: &TargetDefinition,
    records: &Arc<Records<S>>,
    connector: &Arc<Connector>,
) -> Result<Arc<dyn Target>, String> {
    let managed =
        matches!(definition, TargetDefinition::AzureKeyVault { credential: Credential::ManagedIdentity { .. }, .. });
    let secrets = Arc::new(HomeSecrets(Arc::downgrade(records)));
    delivery::open(definition, secrets, Arc::new(TargetTransport::new(Arc::clone(connector), managed)))
}

fn secret_of(definition: &TargetDefinition) -> Option<&SecretReference> {
    match definition {
        TargetDefinition::AzureKeyVault { credential, .. } => match credential {
            Credential::ClientSecret { client_secret: secret, .. }
            | Credential::ClientCertificate { certificate: secret, .. } => Some(secret),
            Credential::ManagedIdentity { .. } | Credential::WorkloadIdentity { .. } | Credential::AzureCli { .. } => {
                None
            }
        },
        TargetDefinition::File { .. } => None,
    }
}

/// Opens the secrets that targets' credentials are proven with. Weakly, since the records outlive no engine.
struct HomeSecrets<S>(Weak<Records<S>>);

impl<S: Store> HomeSecrets<S> {
    async fn read(&self, reference: &SecretReference) -> Result<Secret, String> {
        let SecretReference { vault, name } = reference;
        let missing = |what: &str| format!("the secret {vault}/{name} {what}: run `vestal secret set {vault}/{name}`");
        let records = self.0.upgrade().ok_or("Vestal is stopping")?;
        let (Ok(vault_name), Ok(secret_name)) = (VaultName::parse(vault), SecretName::parse(name)) else {
            return Err(missing("has no valid name"));
        };
        let current = match records.current(&vault_name, &secret_name).await {
            Ok(current) => current,
            Err(RecordError::NotFound) => return Err(missing("isn't there")),
            Err(error) => return Err(format!("the secret {vault}/{name} can't be read: {error}")),
        };
        if !current.version.enabled {
            return Err(missing("is disabled"));
        }
        let body = records.body(&current.version).map_err(|error| error.to_string())?;
        Ok(body.value)
    }
}

impl<S: Store> Secrets for HomeSecrets<S> {
    fn open<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>> {
        Box::pin(self.read(reference))
    }
}
