//! The key vaults that tokens are delivered to and credentials read from, and how Vestal signs in there.

use std::collections::BTreeMap;

use super::Importer;
use crate::address::label;
use crate::pattern::{Found, Identity, Source, Study, VaultPlace};
use crate::settings::{self, CredentialTable, Line, TargetTable};

/// A client id that nobody has.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// The targets, by the vault's address.
pub(super) struct Targets {
    /// No target has the name of Vestal's own vault.
    home: String,
    tables: BTreeMap<String, Entry>,
}

struct Entry {
    table: TargetTable,
    identity: Identity,
    /// The flow whose sign-in it is.
    flow: String,
}

impl Targets {
    pub(super) fn new(home: &str) -> Self {
        Self { home: home.to_owned(), tables: BTreeMap::new() }
    }

    pub(super) fn into_tables(self) -> Vec<TargetTable> {
        self.tables.into_values().map(|entry| entry.table).collect()
    }

    /// The name of the target at the vault.
    pub(super) fn at(&self, vault: &str) -> Option<&str> {
        self.tables.get(vault).map(|entry| entry.table.name.as_str())
    }

    fn free_name(&self, vault: &str) -> String {
        let mut base = label(vault).to_lowercase();
        base.truncate(20);
        let base = base.trim_matches('-');
        let base = if base.len() < 3 { format!("azure-{base}") } else { base.to_owned() };
        let base = base.trim_matches('-').to_owned();
        let free = |name: &str| name != self.home && self.tables.values().all(|entry| entry.table.name != name);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        core::iter::once(base.clone()).chain(numbered).find(|name| free(name)).unwrap_or(base)
    }
}

impl Importer<'_> {
    /// The target that the token is delivered to: its name.
    pub(super) fn target(&mut self, study: &mut Study<'_>, token: &Found) -> String {
        let comment = format!("The key vault that the flow \"{}\" writes to.", study.title);
        self.add_target(study, &token.target.vault, comment, &token.identity)
    }

    /// A target that credentials are read from, and nothing is delivered to.
    pub(super) fn reading_target(&mut self, study: &mut Study<'_>, token: &Found, vault: &str) {
        let action = token.sources().find_map(|source| match source {
            Source::Secret(read, action) if read.vault == VaultPlace::Known(vault.to_owned()) => Some(*action),
            _ => None,
        });
        let identity = match action.map(|action| study.identity(action)) {
            Some(Ok(identity)) => identity,
            Some(Err((action, words))) => {
                study.gap(Some(action), words);
                Identity::Connection
            }
            None => Identity::Connection,
        };
        let comment = format!("The key vault that the flow \"{}\" reads from.", study.title);
        self.add_target(study, vault, comment, &identity);
    }

    fn add_target(&mut self, study: &mut Study<'_>, vault: &str, comment: String, identity: &Identity) -> String {
        if let Some(there) = self.targets.tables.get(vault) {
            let name = there.table.name.clone();
            let is_same = there.identity.is_same(identity) || *identity == Identity::Connection;
            if !is_same && there.identity != Identity::Connection {
                let words = format!(
                    "it signs in at {} in another way than the flow \"{}\", and Vestal signs in there in one: see that the one \
                     in the result may read and write what both did",
                    label(vault),
                    there.flow
                );
                study.gap(identity.action(), words);
            }
            // A sign-in that is known is better than one that isn't.
            if is_same || there.identity != Identity::Connection {
                return name;
            }
        }
        let name = match self.targets.at(vault) {
            Some(name) => name.to_owned(),
            None => self.targets.free_name(vault),
        };
        let (credential, authority) = self.sign_in(study, identity, vault, &name);
        let table = TargetTable { name: name.clone(), comment, url: vault.to_owned(), authority, credential };
        let entry = Entry { table, identity: identity.clone(), flow: study.title.clone() };
        self.targets.tables.insert(vault.to_owned(), entry);
        name
    }

    /// How Vestal signs in at the vault: the credential, and the authority where it isn't the one of the vault's cloud.
    fn sign_in(
        &mut self,
        study: &mut Study<'_>,
        identity: &Identity,
        vault: &str,
        target: &str,
    ) -> (CredentialTable, Option<String>) {
        let label = label(vault);
        let managed = vec![Line::new("", "kind", settings::text("managed-identity"))];
        match identity {
            Identity::Managed { user_assigned } => {
                if *user_assigned {
                    study.gap(
                        None,
                        format!(
                            "the flow signs in at {label} by a user-assigned identity, which is its own: give the machine that \
                             runs Vestal an identity with Get and Set, and put its `client_id` into the credential"
                        ),
                    );
                }
                let comment = "The flow signs in by the identity that Azure gives it. On a machine in Azure, Vestal does the \
                               same with the machine's; elsewhere, put an app registration here.";
                (CredentialTable { comment: comment.to_owned(), lines: managed }, None)
            }
            Identity::App { authority, .. } => {
                let authority = Some(authority.clone()).filter(|authority| !is_of_cloud(authority, vault));
                (self.app(study, identity, &label, target), authority)
            }
            Identity::Connection => {
                study.question(format!(
                    "how the flow signs in at {label} is in a connection, which the file doesn't hold: see `credential` in the \
                     result, and docs/azure.md"
                ));
                let comment = "The flow signs in by a connection, which the file doesn't hold. Put an app registration here, or \
                               leave it so on a machine in Azure that has an identity.";
                (CredentialTable { comment: comment.to_owned(), lines: managed }, None)
            }
        }
    }

    /// The sign-in by an app registration.
    fn app(&mut self, study: &mut Study<'_>, identity: &Identity, label: &str, target: &str) -> CredentialTable {
        let Identity::App { tenant, client_id, secret, action, .. } = identity else {
            return CredentialTable { comment: String::new(), lines: Vec::new() };
        };
        let home = self.options.home_vault.clone();
        let client_id = match client_id {
            Source::Literal(text) => text.clone(),
            Source::Secret(read, _) => {
                study.gap(
                    None,
                    format!(
                        "the client id with which the flow signs in at {label} is in the secret `{}`: put it into the \
                         credential, in place of the zeros",
                        read.secret
                    ),
                );
                NOBODY.to_owned()
            }
        };
        let name = match secret {
            Source::Literal(value) => {
                let what = format!("the client secret of the app registration that signs in at {label}");
                self.keep(target, "-sign-in-secret", value, what)
            }
            Source::Secret(read, _) => {
                let name = self.names.secret(target, "-sign-in-secret");
                self.report.next.push(format!(
                    "`vestal secret set {home}/{name}`: what `{}` of the key vault holds. Vestal signs in with it, so that it \
                     can't be read from there",
                    read.secret
                ));
                name
            }
        };
        let lines = vec![
            Line::new("", "kind", settings::text("client-secret")),
            Line::new("", "tenant", settings::text(tenant)),
            Line::new("", "client_id", settings::text(&client_id)),
            Line::new("", "client_secret", settings::reference(&home, &name)),
        ];
        CredentialTable { comment: format!("`{}`, which signs in there", study.name(*action)), lines }
    }
}

/// Whether the authority is the one of the cloud that the vault is in, which needs no saying.
fn is_of_cloud(authority: &str, vault: &str) -> bool {
    let known: &[&str] = if vault.ends_with(".vault.azure.cn") {
        &["https://login.chinacloudapi.cn", "https://login.partner.microsoftonline.cn"]
    } else if vault.ends_with(".vault.usgovcloudapi.net") {
        &["https://login.microsoftonline.us"]
    } else if vault.ends_with(".vault.azure.net") {
        &["https://login.microsoftonline.com", "https://login.windows.net", "https://login.microsoft.com"]
    } else {
        &[]
    };
    authority.is_empty() || known.contains(&authority.trim_end_matches('/'))
}
