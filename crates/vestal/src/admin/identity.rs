//! Vaults, apps and access policies.

use keyvault::{AppError, Now, Replacement};
use store::Declared;
use store::rows::{DefinitionKind, Origin};
use store::{CommitError, RecordError, Write};
use vault::{App, MAX_POLICY_NAMES, ObjectId, Pattern, Permissions, Policy};

use super::wire::{AppSecretView, AppView, CreateApp, FailureCode, NewAppSecret, PolicyView, UtcTime};
use super::{Admin, Answered, Call, Failed, json};
use crate::clock;

/// How long the client secret before a new one is still taken, in seconds: a day to change over.
const OVERLAP: i64 = 86_400;

/// How an app is shown that a policy names and that is gone.
const DELETED_APP: &str = "(deleted)";

/// The longest name of a policy, in bytes.
const MAX_POLICY_NAME: usize = 127;

impl Admin {
    pub(super) async fn list_apps(&self) -> Answered {
        let apps = self.engine.keyvault().apps().await?;
        let views: Vec<AppView> = apps.iter().filter(|app| app.removed.is_none()).map(app_view).collect();
        json(&views)
    }

    pub(super) async fn create_app(&self, call: &Call<'_>) -> Answered {
        let wanted: CreateApp = call.json()?;
        let creating = async { Ok(self.engine.keyvault().create_app(&wanted.name, None, now()).await?) };
        let issued = self.audited("AppCreate", "", &wanted.name, creating).await?;
        self.issued(&wanted.name, issued.client_secret.expose_str()).await
    }

    /// Makes a new client secret. The one before is taken for a day more, or with `end_old=true` no more.
    pub(super) async fn rotate_app_secret(&self, name: &str, call: &Call<'_>) -> Answered {
        let overlap = match call.query.get("end_old").map(String::as_str) {
            Some("true") => 0,
            None | Some("false") => OVERLAP,
            Some(_) => return Err(Failed::bad_request("`end_old` is to be true or false")),
        };
        let replacement = Replacement { old_end: clock::unix_seconds() + overlap, new_ends: None };
        let rotating = async { Ok(self.engine.keyvault().rotate_secret(name, replacement, now()).await?) };
        let issued = self.audited("AppRotateSecret", "", name, rotating).await?;
        self.issued(name, issued.client_secret.expose_str()).await
    }

    /// Deletes an app, and answers it as it was.
    pub(super) async fn delete_app(&self, name: &str) -> Answered {
        let apps = self.engine.keyvault().apps().await?;
        let as_it_was = apps.iter().find(|app| app.name == name).map(app_view);
        let deleting = async { Ok(self.engine.keyvault().delete_app(name).await?) };
        self.audited("AppDelete", "", name, deleting).await?;
        json(&as_it_was)
    }

    pub(super) async fn list_policies(&self) -> Answered {
        let apps = self.engine.keyvault().apps().await?;
        let policies = self.engine.records().definitions::<Policy>(DefinitionKind::Policy).await?;
        let views: Vec<PolicyView> = policies
            .into_iter()
            .filter(|policy| policy.removed.is_none())
            .map(|policy| {
                let app = apps.iter().find(|app| app.body.object_id == policy.body.app);
                policy_view(policy, app.map_or(DELETED_APP, |app| &app.name))
            })
            .collect();
        json(&views)
    }

    pub(super) async fn set_policy(&self, name: &str, call: &Call<'_>) -> Answered {
        let wanted: PolicyView = call.json()?;
        if wanted.name != name {
            return Err(Failed::bad_request("the name in the path is another than that in the body"));
        }
        let policy = self.checked_policy(&wanted).await?;
        let known = self.engine.records().definition::<Policy>(DefinitionKind::Policy, name).await?;
        if known.as_ref().is_some_and(|known| known.origin == Origin::File && known.removed.is_none()) {
            return Err(Failed::owned_by_file("policy", name));
        }
        let replaces = known.map(|known| known.tag);
        let write = self.engine.records().define(DefinitionKind::Policy, name, Origin::Admin, None, &policy, replaces);
        self.audited("PolicySet", policy.vault.as_str(), name, self.commit(write)).await?;
        json(&PolicyView { vault: policy.vault.to_string(), origin: Origin::Admin.word().to_owned(), ..wanted })
    }

    /// Removes a policy, and answers it as it was.
    pub(super) async fn remove_policy(&self, name: &str) -> Answered {
        let known = self.engine.records().definition::<Policy>(DefinitionKind::Policy, name).await?;
        let known = known.filter(|known| known.removed.is_none()).ok_or_else(|| {
            Failed::not_found(format!("there is no policy {name}")).help("`vestal policy list` shows what there is")
        })?;
        if known.origin == Origin::File {
            return Err(Failed::owned_by_file("policy", name));
        }
        let vault = known.body.vault.clone();
        let apps = self.engine.keyvault().apps().await?;
        let app = apps.iter().find(|app| app.body.object_id == known.body.app);
        let removed = policy_view(known, app.map_or(DELETED_APP, |app| &app.name));
        let write = Write::RemoveDefinition { kind: DefinitionKind::Policy, name: name.to_owned() };
        self.audited("PolicyRemove", vault.as_str(), name, self.commit(write)).await?;
        json(&removed)
    }

    async fn commit(&self, write: Write) -> Result<(), Failed> {
        match self.engine.records().commit(vec![write]).await {
            Ok(()) => {}
            Err(CommitError::Conflict) => return Err(RecordError::Contended.into()),
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
        Ok(self.engine.definitions_changed().await?)
    }

    async fn checked_policy(&self, wanted: &PolicyView) -> Result<Policy, Failed> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if wanted.name.is_empty() || wanted.name.len() > MAX_POLICY_NAME || !wanted.name.chars().all(plain) {
            return Err(Failed::bad_request(format!("`{}` is no policy's name", wanted.name))
                .help("write letters, digits, hyphens, dots and underscores"));
        }
        let vault = self.known_vault(&wanted.vault)?;
        let permissions = Permissions::parse(wanted.permissions.iter().map(String::as_str))
            .map_err(|error| Failed::bad_request(error.to_string()))?;
        if wanted.names.len() > MAX_POLICY_NAMES {
            return Err(Failed::bad_request(format!("a policy has at most {MAX_POLICY_NAMES} name patterns")));
        }
        let names = wanted
            .names
            .iter()
            .map(|pattern| {
                Pattern::parse(pattern).map_err(|error| Failed::bad_request(format!("`{pattern}`: {error}")))
            })
            .collect::<Result<_, _>>()?;
        Ok(Policy { vault, app: self.object_id(&wanted.app).await?, permissions, names })
    }

    async fn object_id(&self, app: &str) -> Result<ObjectId, Failed> {
        let apps = self.engine.keyvault().apps().await?;
        let found = apps.into_iter().find(|known| known.name == app && known.removed.is_none());
        found.map(|app| app.body.object_id).ok_or_else(|| {
            Failed::not_found(format!("there is no app {app}")).help(format!("`vestal app create {app}` makes it"))
        })
    }

    async fn issued(&self, name: &str, client_secret: Option<&str>) -> Answered {
        let apps = self.engine.keyvault().apps().await?;
        let app = apps
            .iter()
            .find(|app| app.name == name)
            .ok_or_else(|| Failed::not_found(format!("the app {name} was deleted meanwhile")))?;
        json(&NewAppSecret { app: app_view(app), client_secret: client_secret.unwrap_or_default().to_owned() })
    }
}

impl From<AppError> for Failed {
    fn from(error: AppError) -> Self {
        let code = match &error {
            AppError::NotFound(_) | AppError::NoSuchSecret(_) => FailureCode::NotFound,
            AppError::Exists(_) | AppError::TwoSecrets(_) => FailureCode::Conflict,
            AppError::Name(_) => FailureCode::BadRequest,
            AppError::InFile(_) => FailureCode::OwnedByFile,
            AppError::Directory(_) => FailureCode::Unavailable,
        };
        let failed = Self::new(code, error.to_string());
        match error {
            AppError::TwoSecrets(_) => failed.help("`vestal app rotate-secret NAME --end-old` ends both at once"),
            _ => failed,
        }
    }
}

fn app_view(app: &Declared<App>) -> AppView {
    let secrets = app.body.secrets.iter();
    AppView {
        name: app.name.clone(),
        client_id: app.body.client_id.to_string(),
        object_id: app.body.object_id.to_string(),
        origin: app.origin.word().to_owned(),
        secrets: secrets
            .map(|secret| AppSecretView {
                id: secret.id.clone(),
                created: UtcTime::from_unix_seconds(secret.created),
                ends: secret.ends.map(UtcTime::from_unix_seconds),
            })
            .collect(),
    }
}

fn policy_view(policy: Declared<Policy>, app: &str) -> PolicyView {
    PolicyView {
        name: policy.name,
        app: app.to_owned(),
        vault: policy.body.vault.as_str().to_owned(),
        permissions: policy.body.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
        names: policy.body.names.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        origin: policy.origin.word().to_owned(),
    }
}

fn now() -> Now {
    Now { unix_ms: clock::now().wall.0 }
}
