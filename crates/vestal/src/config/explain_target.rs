//! What `vestal check` shows of targets and deliveries.

use core::fmt;
use core::time::Duration;

use delivery::{Credential, TargetDefinition};
use keeper::{OnChange, SHADOW_SUFFIX};
use serde::Serialize;

use super::check::KnownLifetime;
use super::definition::{Definition, Definitions, Source, TokenSettings};
use super::delivery::Mode;
use super::period::Period;
use super::target::{FileMode, Target};
use crate::forecast::{Versions, in_round_numbers, too_many_words};

/// So many names are listed, and the rest counted.
const NAMES_SHOWN: usize = 5;

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetExplanation {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub source: Source,
    /// Where it is, and what.
    pub place: String,
    /// How Vestal proves who it is there; absent for a folder.
    pub authentication: Option<String>,
    /// The rights that this takes.
    pub needs: String,
    /// The names of what is delivered there.
    pub takes: Vec<String>,
    /// The names of the credentials that are read from there.
    pub gives: Vec<String>,
}

/// One delivery of a token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryExplanation {
    /// The target.
    pub target: String,
    /// The secret's name there.
    pub name: String,
    /// How many versions a year that makes there, about; absent where it isn't known, or there are no versions.
    pub versions_a_year: Option<u64>,
    /// The delivery in words.
    pub words: String,
    /// What is to be thought of, in words.
    pub warning: Option<String>,
}

/// The targets of a configuration.
pub(super) fn explain_targets(definitions: &Definitions) -> Vec<TargetExplanation> {
    definitions.targets.iter().map(|target| explain_target(target, definitions)).collect()
}

fn explain_target(target: &Definition<Target>, definitions: &Definitions) -> TargetExplanation {
    let name = target.row_name();
    let mut takes = Vec::new();
    let mut gives = Vec::new();
    let mut disables = false;
    for token in &definitions.tokens {
        for delivery in token.definition().deliver.into_iter().filter(|delivery| delivery.target == name) {
            disables |= delivery.disable_superseded;
            takes.push(name_now(&delivery.name, token.body.mode));
        }
        let read = token.body.target_credentials().into_iter().filter(|(_, target, _)| target.as_str() == name);
        gives.extend(read.map(|(_, _, secret)| secret.to_string()));
    }
    for names in [&mut takes, &mut gives] {
        names.sort();
        names.dedup();
    }
    let (place, authentication, needs) = match &target.body.definition {
        TargetDefinition::AzureKeyVault { url, cloud, authority, credential } => {
            let place = match authority {
                Some(authority) => format!("{url}, a key vault whose authority is {authority}"),
                None => format!("{url}, an Azure Key Vault in the cloud `{}`", cloud.word()),
            };
            (place, Some(sign_in(credential)), azure_rights(!takes.is_empty(), !gives.is_empty(), disables))
        }
        TargetDefinition::File { folder, mode: bits, owner, group } => {
            let mode = FileMode::shown(*bits);
            let needs = folder_rights(*bits, owner.as_deref(), group.as_deref());
            let owner = owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
            let group = group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
            (format!("{folder}, a folder of files of mode {mode}{owner}{group}"), None, needs)
        }
    };
    TargetExplanation { name, source: target.source.clone(), place, authentication, needs, takes, gives }
}

fn sign_in(credential: &Credential) -> String {
    let or_environment = |what: &str, value: &Option<String>, variable: &str| match value {
        Some(value) => format!("{what} {value}"),
        None => format!("the {what} in {variable}"),
    };
    match credential {
        Credential::ClientSecret { tenant, client_id, client_secret: delivery::SecretReference { vault, name } } => {
            format!("as app {client_id} of tenant {tenant}, with the secret `{name}` of the vault `{vault}`")
        }
        Credential::ClientCertificate { tenant, client_id, certificate: delivery::SecretReference { vault, name } } => {
            format!("as app {client_id} of tenant {tenant}, with the certificate `{name}` of the vault `{vault}`")
        }
        Credential::ManagedIdentity { client_id: None } => "with the machine's managed identity".to_owned(),
        Credential::ManagedIdentity { client_id: Some(id) } => format!("with the managed identity {id}"),
        Credential::WorkloadIdentity { tenant, client_id, token_file } => format!(
            "with the workload identity of {} of {}, by the token in {}",
            or_environment("app", client_id, "AZURE_CLIENT_ID"),
            or_environment("tenant", tenant, "AZURE_TENANT_ID"),
            token_file.as_deref().unwrap_or("the file in AZURE_FEDERATED_TOKEN_FILE"),
        ),
        Credential::AzureCli { tenant } => {
            let tenant = tenant.as_ref().map(|tenant| format!(" to tenant {tenant}")).unwrap_or_default();
            format!("as whoever is signed in{tenant} with `az login`: to try it out")
        }
    }
}

/// The rights at Azure, as an access policy and as a role name them.
fn azure_rights(writes: bool, reads: bool, disables: bool) -> String {
    match (writes, reads) {
        // Each delivery looks at what is there before and after it writes.
        (true, _) if disables => {
            "Get and Set on secrets (Set lets it disable superseded versions too); with RBAC a role \
             with getSecret, setSecret and update and nothing else, which docs/azure.md has"
                .to_owned()
        }
        (true, _) => "Get and Set on secrets; with RBAC a role with getSecret and setSecret and nothing else, which \
             docs/azure.md has"
            .to_owned(),
        (false, true) => "Get on secrets; with RBAC the role Key Vault Secrets User".to_owned(),
        (false, false) => "nothing yet: no token is delivered there or obtained from there".to_owned(),
    }
}

/// The rights in a folder. What is delivered is read back, also where it belongs to somebody else.
fn folder_rights(mode: u32, owner: Option<&str>, group: Option<&str>) -> String {
    let group_reads = mode & 0o040 != 0;
    match (owner, group) {
        (None, None) => "to write into the folder".to_owned(),
        (None, Some(group)) => format!(
            "to write into the folder, and to give files to the group: as a member of {group}, as root, or with CAP_CHOWN"
        ),
        (Some(_), Some(group)) if group_reads => format!(
            "to write into the folder, to give files away and to read them back: as root, or with CAP_CHOWN and as a member \
             of {group}"
        ),
        (Some(_), _) => {
            "to write into the folder, to give files away and to read them back: as root, or with CAP_CHOWN \
             and CAP_DAC_READ_SEARCH"
                .to_owned()
        }
    }
}

/// The deliveries of a token, with what can be foreseen of its versions.
pub(super) fn explain_deliveries(
    token: &Definition<TokenSettings>,
    targets: &[Definition<Target>],
    known: KnownLifetime,
    versions: Option<Versions>,
) -> Vec<DeliveryExplanation> {
    let mode = token.body.mode;
    let explained = token.definition().deliver.into_iter().map(|delivery| {
        let target = targets.iter().find(|target| target.row_name() == delivery.target);
        let has_versions =
            target.is_some_and(|target| matches!(target.body.definition, TargetDefinition::AzureKeyVault { .. }));
        let forecast = versions.filter(|_| has_versions);
        let versions = match (forecast, known) {
            _ if !has_versions => String::new(),
            (Some(forecast), _) => format!(", about {} versions a year", in_round_numbers(forecast.a_year())),
            (None, KnownLifetime::Never) => ", one version".to_owned(),
            (None, _) => ", a version each time it is renewed".to_owned(),
        };
        let name = name_now(&delivery.name, mode);
        let beside = match mode {
            Mode::Live => String::new(),
            Mode::Shadow => format!(", beside `{}`, which a flow keeps, until it is cut over", delivery.name),
        };
        let checked = Period::from(Duration::from_secs(delivery.check_every));
        let change = match delivery.on_change {
            OnChange::Repair => "repaired if somebody changes it",
            OnChange::Report => "reported if somebody changes it",
        };
        let disable = if delivery.disable_superseded { "; superseded versions are disabled" } else { "" };
        let words = format!(
            "{} as `{name}`{beside}{versions}; looked at every {checked}, and {change}{disable}",
            delivery.target
        );
        let warning = forecast.and_then(Versions::too_many_after).map(too_many);
        let versions_a_year = forecast.map(Versions::a_year);
        DeliveryExplanation { target: delivery.target, name, versions_a_year, words, warning }
    });
    explained.collect()
}

fn name_now(name: &str, mode: Mode) -> String {
    match mode {
        Mode::Live => name.to_owned(),
        Mode::Shadow => format!("{name}{SHADOW_SUFFIX}"),
    }
}

/// That there will be too many versions to be backed up, and when.
fn too_many(after: Duration) -> String {
    let days = (after.as_secs_f64() / 86_400.0).floor().max(1.0);
    let unit = if days == 1.0 { "day" } else { "days" };
    too_many_words(&format!("which this one has after about {days} {unit}"))
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl fmt::Display for TargetExplanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "target {}\n  {}", self.name, self.place)?;
        if let Some(authentication) = &self.authentication {
            writeln!(out, "  signs in       {authentication}")?;
        }
        writeln!(out, "  needs          {}", self.needs)?;
        if !self.takes.is_empty() {
            writeln!(out, "  takes          {}", listed(&self.takes))?;
        }
        if !self.gives.is_empty() {
            writeln!(out, "  gives          {}", listed(&self.gives))?;
        }
        Ok(())
    }
}

impl fmt::Display for DeliveryExplanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  delivered to   {}", self.words)?;
        if let Some(warning) = &self.warning {
            writeln!(out, "  warning        {warning}")?;
        }
        Ok(())
    }
}
