//! App registrations, as whoever administers them changes them. Each function commits, and reads the directory again
//! before it returns, so that a change holds from the moment it is acknowledged. Whoever calls them writes the audit.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secret::Secret;
use store::rows::{DefinitionKind, Origin};
use store::{CommitError, Declared, RecordError, Store, Write};
use vault::{App, AppSecret, ClientId, MAX_APP_SECRETS, Policy, secret_mac};
use zeroize::Zeroizing;

use crate::ask::Now;
use crate::directory::{self, DirectoryError};
use crate::service::KeyVault;

/// Longest name of an app, in characters.
pub const MAX_APP_NAME_CHARS: usize = 64;

/// How often a change is tried again when somebody else changed the same app meanwhile.
const CONFLICT_RETRIES: usize = 8;

/// A client secret that was just made. This is the only time that it is seen.
pub struct IssuedSecret {
    /// The app that it belongs to.
    pub app: App,
    /// The secret: 256 random bits, as 43 characters of base64url, which need no escape in a form.
    pub client_secret: Secret,
}

/// How a client secret is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Until when the secrets before it are still taken, in Unix seconds; not longer than they were anyway. A moment
    /// that has passed ends them at once.
    pub old_end: i64,
    /// When the new one ends, in Unix seconds.
    pub new_ends: Option<i64>,
}

/// Why an app was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppError {
    /// There is no such app.
    NotFound(String),
    /// There is one of that name already.
    Exists(String),
    /// The text is no name.
    Name(String),
    /// It stands in the configuration file, and only that removes it.
    InFile(String),
    /// Two client secrets are taken already, and there is no room for a third. In Unix seconds: when the first of them
    /// ends by itself.
    TwoSecrets(Option<i64>),
    /// There is no client secret of that id.
    NoSuchSecret(String),
    /// The directory can't be read or changed.
    Directory(DirectoryError),
}

impl fmt::Display for AppError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(out, "there is no app {name:?}"),
            Self::Exists(name) => write!(out, "there is an app {name:?} already: choose another name, or delete it"),
            Self::Name(name) => write!(
                out,
                "{name:?} is no name for an app: write 1 to {MAX_APP_NAME_CHARS} letters, digits, hyphens, dots and \
                 underscores"
            ),
            Self::InFile(name) => {
                write!(out, "the app {name:?} stands in the configuration file: remove it there, and apply the file")
            }
            Self::TwoSecrets(_) => out.write_str(
                "the app has two client secrets already: remove one, or let the new one replace both at once",
            ),
            Self::NoSuchSecret(id) => write!(out, "the app has no client secret {id:?}"),
            Self::Directory(error) => error.fmt(out),
        }
    }
}

impl core::error::Error for AppError {}

impl From<RecordError> for AppError {
    fn from(error: RecordError) -> Self {
        Self::Directory(error.into())
    }
}

impl<S: Store> KeyVault<S> {
    /// A new app, not yet stored, that has no client secret: for whoever declares several things in one transaction.
    pub fn new_app(&self, name: &str) -> App {
        directory::new_app(self.records.entropy(), name)
    }

    /// All apps, by name, those that left the configuration file included.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub async fn apps(&self) -> Result<Vec<Declared<App>>, AppError> {
        Ok(self.records.definitions(DefinitionKind::App).await?)
    }

    /// Makes an app and its first client secret, which ends at `ends`, in Unix seconds.
    ///
    /// # Errors
    /// Why there is no new app.
    pub async fn create_app(&self, name: &str, ends: Option<i64>, now: Now) -> Result<IssuedSecret, AppError> {
        let name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if !(1..=MAX_APP_NAME_CHARS).contains(&name.len()) || !name.chars().all(name_char) {
            return Err(AppError::Name(name.to_owned()));
        }
        let mut app = self.new_app(name);
        let (entry, client_secret) = self.new_secret(ends, now);
        app.secrets.push(entry);
        // One that left the configuration file is no app any more; its name is free, and its identity isn't handed on.
        let left = self.records.definition::<App>(DefinitionKind::App, name).await?;
        let left = left.filter(|declared| declared.removed.is_some()).map(|declared| declared.tag);
        let write = self.records.define(DefinitionKind::App, name, Origin::Admin, None, &app, left);
        match self.records.commit(vec![write]).await {
            Ok(()) => {}
            Err(CommitError::Conflict) => return Err(AppError::Exists(name.to_owned())),
            Err(CommitError::Store(error)) => return Err(RecordError::from(error).into()),
        }
        self.reload_directory().await.map_err(AppError::Directory)?;
        Ok(IssuedSecret { app, client_secret })
    }

    /// Makes a second client secret. The one before is taken until its end, so that the app's owner can change over.
    ///
    /// # Errors
    /// [`AppError::TwoSecrets`] where two are still taken; then nothing is changed, since it can't be known which of
    /// them is in use.
    pub async fn rotate_secret(
        &self,
        name: &str,
        replacement: Replacement,
        now: Now,
    ) -> Result<IssuedSecret, AppError> {
        let (entry, client_secret) = self.new_secret(replacement.new_ends, now);
        let app = self
            .change_app(name, |app| {
                for secret in &mut app.secrets {
                    secret.ends = Some(secret.ends.map_or(replacement.old_end, |ends| ends.min(replacement.old_end)));
                }
                app.secrets.retain(|secret| secret.ends.is_none_or(|ends| now.unix_seconds() < ends));
                if app.secrets.len() >= MAX_APP_SECRETS {
                    return Err(AppError::TwoSecrets(app.secrets.iter().filter_map(|secret| secret.ends).min()));
                }
                app.secrets.push(entry.clone());
                Ok(())
            })
            .await?;
        Ok(IssuedSecret { app, client_secret })
    }

    /// Ends a client secret at once. Tokens that were issued for it stay valid until they expire; see
    /// [`revoke_tokens`](Self::revoke_tokens).
    ///
    /// # Errors
    /// Why it was not removed.
    pub async fn remove_secret(&self, name: &str, secret_id: &str) -> Result<App, AppError> {
        self.change_app(name, |app| {
            let before = app.secrets.len();
            app.secrets.retain(|secret| secret.id != secret_id);
            if app.secrets.len() == before { Err(AppError::NoSuchSecret(secret_id.to_owned())) } else { Ok(()) }
        })
        .await
    }

    /// Refuses every token that the app has by now.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn revoke_tokens(&self, name: &str, now: Now) -> Result<App, AppError> {
        self.change_app(name, |app| {
            // Tokens count in whole seconds: those of this second go too.
            app.tokens_not_before = now.unix_seconds() + 1;
            Ok(())
        })
        .await
    }

    /// Deletes an app that was not declared in the configuration file, and the policies that were made for it in the
    /// same way. Its tokens are refused from then on.
    ///
    /// # Errors
    /// Why it was not deleted.
    pub async fn delete_app(&self, name: &str) -> Result<(), AppError> {
        let declared = self.declared_app(name).await?;
        if declared.origin == Origin::File {
            return Err(AppError::InFile(name.to_owned()));
        }
        let mut writes = vec![Write::RemoveDefinition { kind: DefinitionKind::App, name: name.to_owned() }];
        for policy in self.records.definitions::<Policy>(DefinitionKind::Policy).await? {
            if policy.origin == Origin::Admin && policy.body.app == declared.body.object_id {
                writes.push(Write::RemoveDefinition { kind: DefinitionKind::Policy, name: policy.name });
            }
        }
        self.records.commit(writes).await.map_err(RecordError::from)?;
        self.reload_directory().await.map_err(AppError::Directory)
    }

    /// Whether the app of this client id takes this client secret at `now`.
    pub fn signs_in(&self, client_id: &ClientId, client_secret: &[u8], now: Now) -> bool {
        let directory = self.directory();
        directory
            .client(client_id)
            .is_some_and(|registered| registered.app.accepts(&directory.pepper, client_secret, now.unix_seconds()))
    }

    async fn change_app(
        &self,
        name: &str,
        mut change: impl FnMut(&mut App) -> Result<(), AppError> + Send,
    ) -> Result<App, AppError> {
        for _ in 0..CONFLICT_RETRIES {
            let declared = self.declared_app(name).await?;
            let mut app = declared.body;
            change(&mut app)?;
            let write = self.records.define(DefinitionKind::App, name, declared.origin, None, &app, Some(declared.tag));
            match self.records.commit(vec![write]).await {
                Ok(()) => {
                    self.reload_directory().await.map_err(AppError::Directory)?;
                    return Ok(app);
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(RecordError::from(error).into()),
            }
        }
        Err(RecordError::Contended.into())
    }

    async fn declared_app(&self, name: &str) -> Result<Declared<App>, AppError> {
        let declared = self.records.definition(DefinitionKind::App, name).await?;
        declared
            .filter(|declared: &Declared<App>| declared.removed.is_none())
            .ok_or_else(|| AppError::NotFound(name.to_owned()))
    }

    /// A client secret, and what is kept of it.
    fn new_secret(&self, ends: Option<i64>, now: Now) -> (AppSecret, Secret) {
        let entropy = self.records.entropy();
        let bytes = Zeroizing::new(entropy.bytes32());
        let client_secret = Secret::from(URL_SAFE_NO_PAD.encode(bytes));
        let entry = AppSecret {
            id: ClientId::from_random(entropy.bytes16()).to_string(),
            mac: secret_mac(&self.directory().pepper, client_secret.expose()),
            created: now.unix_seconds(),
            ends,
        };
        (entry, client_secret)
    }
}
