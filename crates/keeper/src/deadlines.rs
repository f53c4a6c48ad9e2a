//! When credentials end: those that tokens are obtained with, wherever they are kept, and those that Vestal's identity at
//! targets is proven with. Their owners hear of it in time, once at each step, also over a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{FutureExt, select};
use renewal::Wall;
use serde::{Deserialize, Serialize};
use store::rows::{DefinitionKind, Origin, TokenRow};
use store::{Declared, RecordError, Store, StoreError, Write};
use vault::{SecretName, VaultName};

use crate::definition::{Source, TokenDefinition, token_definition_name};
use crate::keeper::Keeper;
use crate::port::{Clock, CredentialEvent, Http, Observer};

/// How many days before its end it is told of, the last time when it has ended.
const TOLD_BEFORE: [i64; 6] = [30, 14, 7, 3, 1, 0];

const DAY: i64 = 86_400_000;

/// How often all credentials are looked at, besides when one is written, or read with another end.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Several that change one after the other are looked at together.
const GATHER: Duration = Duration::from_secs(5);

/// What is known of a credential's end, stored as a definition of kind credential under `vault/name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownDeadline {
    /// When it ends, in Unix seconds.
    expires: i64,
    /// The step of [`TOLD_BEFORE`] that was told last.
    #[serde(default)]
    told: Option<i64>,
}

/// Where a credential is: the vault, one of Vestal's own or a target, and the secret's name in lower case.
type Place = (String, String);

/// Who uses a credential.
#[derive(Default)]
struct Users {
    tokens: BTreeSet<String>,
    targets: BTreeSet<String>,
    owners: BTreeSet<String>,
}

impl<S: Store, C: Clock, H: Http, O: Observer> Keeper<S, C, H, O> {
    pub(crate) async fn watch_deadlines(&self) {
        loop {
            if let Err(error) = self.look_at_deadlines().await {
                self.observer.trouble(&format!("the ends of credentials can't be looked at now: {error}"));
            }
            let pause = core::pin::pin!(self.clock.sleep(LOOK_EVERY));
            let knock = core::pin::pin!(self.targets.deadlines_knocked());
            select(pause, knock).map(drop).await;
            self.clock.sleep(GATHER).await;
        }
    }

    async fn look_at_deadlines(&self) -> Result<(), RecordError> {
        let kind = DefinitionKind::Credential;
        let mut stored: BTreeMap<String, Declared<KnownDeadline>> = BTreeMap::new();
        let mut damaged = BTreeSet::new();
        for row in self.records.store().definitions(kind).await? {
            let known = match self.records.definition::<KnownDeadline>(kind, &row.name).await {
                Ok(Some(known)) => known,
                Ok(None) => continue,
                Err(error) => {
                    of_one(error)?;
                    damaged.insert(row.name);
                    continue;
                }
            };
            // What a target told before a restart counts until it is read again.
            if let Some((vault, name)) = known.name.split_once('/') {
                self.targets.recall_deadline(vault, name, known.body.expires);
            }
            stored.insert(known.name.clone(), known);
        }
        let mut least = None;
        for ((vault, name), users) in self.users_of_credentials().await? {
            if damaged.contains(&format!("{vault}/{name}")) {
                continue;
            }
            let known = stored.remove(&format!("{vault}/{name}"));
            let expires = match self.end_of(&vault, &name).await {
                Ok(Some(expires)) => expires,
                Ok(None) => {
                    self.forget_deadline(known).await.or_else(of_one)?;
                    continue;
                }
                // It may be in a target that isn't open now.
                Err(error) => {
                    of_one(error)?;
                    continue;
                }
            };
            least = Some(least.map_or(expires, |least: i64| least.min(expires)));
            self.note_deadline(&vault, &name, &users, expires, known).await.or_else(of_one)?;
        }
        for unused in stored.into_values() {
            self.forget_deadline(Some(unused)).await.or_else(of_one)?;
        }
        self.observer.credentials(least.map(|expires| Wall(expires.saturating_mul(1000))));
        Ok(())
    }

    async fn note_deadline(
        &self,
        vault: &str,
        name: &str,
        users: &Users,
        expires: i64,
        known: Option<Declared<KnownDeadline>>,
    ) -> Result<(), RecordError> {
        let left = expires.saturating_mul(1000).saturating_sub(self.clock.now().wall.0);
        let told = known.as_ref().filter(|known| known.body.expires == expires).and_then(|known| known.body.told);
        let reached = TOLD_BEFORE.into_iter().rev().find(|days| left <= days * DAY);
        let step = reached.filter(|step| told.is_none_or(|told| *step < told));
        let body = KnownDeadline { expires, told: step.or(told) };
        if known.as_ref().is_some_and(|known| known.body == body) {
            return Ok(());
        }
        let replaces = known.map(|known| known.tag);
        let kind = DefinitionKind::Credential;
        let write = self.records.define(kind, &format!("{vault}/{name}"), Origin::Vestal, None, &body, replaces);
        // Told once it is durable that it was told.
        self.records.commit(vec![write]).await?;
        if step.is_some() {
            self.tell_deadline(vault, name, users, expires);
        }
        Ok(())
    }

    fn tell_deadline(&self, vault: &str, name: &str, users: &Users, expires: i64) {
        let in_target = self.targets.target(vault).is_some();
        let nobody = users.owners.is_empty().then_some(None);
        for owner in users.owners.iter().map(|owner| Some(owner.as_str())).chain(nobody) {
            self.observer.credential(&CredentialEvent {
                vault,
                name,
                in_target,
                owner,
                expires: Wall(expires.saturating_mul(1000)),
                tokens: &users.tokens,
                targets: &users.targets,
            });
        }
    }

    async fn forget_deadline(&self, known: Option<Declared<KnownDeadline>>) -> Result<(), RecordError> {
        if let Some(known) = known {
            let write = Write::RemoveDefinition { kind: DefinitionKind::Credential, name: known.name };
            self.records.commit(vec![write]).await?;
        }
        Ok(())
    }

    /// When a credential ends, in Unix seconds; `None` where it doesn't say.
    async fn end_of(&self, vault: &str, name: &str) -> Result<Option<i64>, RecordError> {
        if self.targets.target(vault).is_some() {
            return Ok(self.targets.credential_deadline(vault, name));
        }
        let (Ok(vault), Ok(name)) = (VaultName::parse(vault), SecretName::parse(name)) else {
            return Err(RecordError::NotFound);
        };
        Ok(self.records.current(&vault, &name).await?.version.expires)
    }

    /// Every credential that is used, and by whom. What a target is called with concerns all that is delivered to it, or
    /// obtained with what it keeps.
    async fn users_of_credentials(&self) -> Result<BTreeMap<Place, Users>, RecordError> {
        let proofs = self.targets.proofs();
        let mut all: BTreeMap<Place, Users> = BTreeMap::new();
        for (target, (vault, name)) in &proofs {
            let users = all.entry((vault.clone(), name.to_ascii_lowercase())).or_default();
            users.targets.insert(target.clone());
        }
        let add = |row: TokenRow, definition: TokenDefinition| {
            let TokenDefinition { client_id, client_secret, deliver, owner, .. } = &definition;
            let mut through: BTreeSet<&str> = deliver.iter().map(|to| to.target.as_str()).collect();
            for source in [client_id, client_secret] {
                if let Source::Secret { vault, name } = source {
                    let users = all.entry((vault.clone(), name.to_ascii_lowercase())).or_default();
                    users.tokens.insert(token_definition_name(&row.vault, &row.name));
                    users.owners.extend(owner.clone());
                    through.insert(vault);
                }
            }
            for (vault, name) in through.into_iter().filter_map(|target| proofs.get(target)) {
                let users = all.entry((vault.clone(), name.to_ascii_lowercase())).or_default();
                users.owners.extend(owner.clone());
            }
        };
        self.each_declared(add).await?;
        Ok(all)
    }
}

/// What is wrong with one credential or its record ends no look at the others; a store that fails does.
fn of_one(error: RecordError) -> Result<(), RecordError> {
    match error {
        RecordError::Store(StoreError::Full | StoreError::Unavailable(_)) => Err(error),
        _ => Ok(()),
    }
}
