//! Targets: what `[target.NAME]` takes, and how it becomes what `delivery` works with.
//!
//! A table has a kind, which says which of the settings are its own: [`KindKeys`] is the list.

use core::str::FromStr;
use std::path::{Component, Path, PathBuf};

use delivery::azure::{PlaceError, VaultAddress};
use delivery::{Cloud, Credential, TargetDefinition};
use toml::Spanned;
use toml::de::DeValue;

use super::place::HttpsOrigin;
use super::problem::{Problem, ProblemKind};
use super::secret_reference::HomeSecret;
use super::setting::{Reading, Schema, Section, SectionTable, Setting, Shape, Value, section};
use super::suggest::listed;
use super::value::{Text, read_text, word_value};

section! {
    /// A target: another place that tokens are delivered to, an Azure Key Vault or a folder of files. Tokens may also
    /// be obtained with credentials that an Azure Key Vault holds. Its name follows the rules of a vault's, and is not
    /// that of a vault: `vault = "…"` of a credential names either.
    TargetSettings {
        /// What it is, which says which of the following are to be set: `url`, `cloud`, `authority` and `credential`
        /// for `azure-key-vault`, `folder`, `mode`, `owner` and `group` for `file`.
        kind: TargetKind = required r#""azure-key-vault""#;

        /// The vault's address: the "Vault URI" of its page in the Azure portal. No two targets have the same.
        url: VaultUrl = optional r#""https://contoso.vault.azure.net""#;

        /// The cloud that the vault is in. Left out, the end of its address says it.
        cloud: Cloud = optional r#""public""#;

        /// The authority to log in at, where the vault is in none of Azure's clouds: Azure Stack Hub, say, or a second
        /// Vestal.
        authority: HttpsOrigin = optional r#""https://login.example.com""#;

        /// What Vestal proves its identity with there.
        credential: TargetCredential = optional r#"{ kind = "managed-identity" }"#;

        /// The folder in which each token is a file. It must be there when the first token is delivered. No two targets
        /// have the same. `docs/files.md` says what its readers must know.
        folder: Folder = optional r#""/run/tokens""#;

        /// Each file's mode, in octal. A mode that lets everybody read a token is refused. Left out, it is `0600`.
        mode: FileMode = optional r#""0640""#;

        /// The user that owns the files, by name or number. Left out, the user that runs Vestal. Another one takes the
        /// right to give files away and, unless `group` lets Vestal's user read them, to read them all the same.
        owner: Text = optional r#""app""#;

        /// The group of the files, by name or number: one that Vestal's user is in, or it takes the right to give files
        /// away.
        group: Text = optional r#""app""#;
    }
}

section! {
    /// What Vestal proves its identity at Azure with.
    CredentialSettings {
        /// What it is: an app registration's secret or certificate, the identity that Azure gives the machine, that
        /// which Kubernetes gives it, or, for trying it out, whoever is signed in with `az login`.
        kind: CredentialKind = required r#""client-secret""#;

        /// The directory (tenant) id. `client-secret` and `client-certificate` need it.
        tenant: Tenant = optional r#""contoso.onmicrosoft.com""#;

        /// The application (client) id. `client-secret` and `client-certificate` need it; of `managed-identity` it is
        /// that of a user-assigned identity.
        client_id: Text = optional r#""157f8b0a-52d2-4b2a-9c5e-6f1b8d1c9a10""#;

        /// For `client-secret`: the secret of one of Vestal's own vaults that holds the client secret.
        client_secret: HomeSecret = optional r#"{ secret = "azure-client-secret", vault = "contoso" }"#;

        /// For `client-certificate`: the secret of one of Vestal's own vaults that holds the certificate and its
        /// private key, as PEM.
        certificate: HomeSecret = optional r#"{ secret = "azure-certificate", vault = "contoso" }"#;

        /// For `workload-identity`: the file with the token. Left out, `AZURE_FEDERATED_TOKEN_FILE` names it.
        token_file: PathBuf = optional r#""/var/run/secrets/azure/tokens/azure-identity-token""#;
    }
}

/// A target, as it was declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The target as the store keeps it.
    pub definition: TargetDefinition,
    /// The secret that it can't be opened without, with the setting that names it.
    pub secret: Option<(&'static str, HomeSecret)>,
}

/// What two targets have in common that write to the same place: the address of the vault, or the folder.
pub fn place_of(target: &TargetDefinition) -> &str {
    match target {
        TargetDefinition::AzureKeyVault { url, .. } => url,
        TargetDefinition::File { folder, .. } => folder,
    }
}

impl Target {
    pub(super) fn place(&self) -> &str {
        place_of(&self.definition)
    }

    /// Whether a target can hold a secret of this name; the rule if not.
    pub(super) fn admits(&self, name: &str) -> Result<(), &'static str> {
        match &self.definition {
            TargetDefinition::AzureKeyVault { .. } => delivery::azure::secret_name_fits(name),
            TargetDefinition::File { .. } => delivery::file_name_fits(name),
        }
    }
}

/// A credential at Azure, as it was declared.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetCredential {
    /// The credential as the store keeps it.
    pub credential: Credential,
    /// The secret that it needs, with the setting that names it.
    pub secret: Option<(&'static str, HomeSecret)>,
}

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// An Azure Key Vault.
    AzureKeyVault,
    /// A folder of files.
    File,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An app registration's client secret.
    ClientSecret,
    /// An app registration's certificate.
    ClientCertificate,
    /// The identity that Azure gives the machine.
    ManagedIdentity,
    /// The identity that Kubernetes gives the machine.
    WorkloadIdentity,
    /// Whoever is signed in.
    AzureCli,
}

word_value!(TargetKind: "a kind of target", "a list of kinds", [
    "azure-key-vault" => TargetKind::AzureKeyVault,
    "file" => TargetKind::File,
]);
word_value!(CredentialKind: "a kind of credential", "a list of kinds", [
    "client-secret" => CredentialKind::ClientSecret,
    "client-certificate" => CredentialKind::ClientCertificate,
    "managed-identity" => CredentialKind::ManagedIdentity,
    "workload-identity" => CredentialKind::WorkloadIdentity,
    "azure-cli" => CredentialKind::AzureCli,
]);
word_value!(Cloud: "one of Azure's clouds", "a list of clouds", [
    "public" => Cloud::Public,
    "china" => Cloud::China,
    "us-government" => Cloud::UsGovernment,
]);

/// The keys that a table of one kind has, besides `kind`.
struct KindKeys {
    kind: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const TARGET_KINDS: [KindKeys; 2] = [
    KindKeys { kind: "azure-key-vault", required: &["url", "credential"], optional: &["cloud", "authority"] },
    KindKeys { kind: "file", required: &["folder"], optional: &["mode", "owner", "group"] },
];

const CREDENTIAL_KINDS: [KindKeys; 5] = [
    KindKeys { kind: "client-secret", required: &["tenant", "client_id", "client_secret"], optional: &[] },
    KindKeys { kind: "client-certificate", required: &["tenant", "client_id", "certificate"], optional: &[] },
    KindKeys { kind: "managed-identity", required: &[], optional: &["client_id"] },
    KindKeys { kind: "workload-identity", required: &[], optional: &["tenant", "client_id", "token_file"] },
    KindKeys { kind: "azure-cli", required: &[], optional: &["tenant"] },
];

impl KindKeys {
    fn has(&self, key: &str) -> bool {
        self.required.contains(&key) || self.optional.contains(&key)
    }
}

/// Whether the table has all that its kind needs, and nothing of another kind. Nothing is said where the kind itself is
/// missing or unknown, which is told elsewhere.
fn keys_fit(table: &SectionTable<'_>, kinds: &[KindKeys], reading: &mut Reading<'_>) -> bool {
    let said = table.table.get("kind").and_then(|kind| kind.get_ref().as_str());
    let Some(kind) = kinds.iter().find(|kind| Some(kind.kind) == said) else {
        return false;
    };
    let mut fit = true;
    for key in table.table.keys() {
        let name = key.get_ref().as_ref();
        let others: Vec<_> = kinds.iter().filter(|kind| kind.has(name)).map(|kind| kind.kind).collect();
        if kind.has(name) || others.is_empty() {
            continue;
        }
        fit = false;
        let own: Vec<_> = kind.required.iter().chain(kind.optional).copied().collect();
        let message = format!("`{name}` is no setting of the kind `{}`", kind.kind);
        let help = format!("take it out, or write another `kind`; `{}` takes {}", kind.kind, listed(own));
        let label = format!("of the kind{} {}", if others.len() == 1 { "" } else { "s" }, listed(others));
        reading.report(Problem::at(ProblemKind::Contradiction, key.span(), message).label(label).help(help));
    }
    for key in kind.required.iter().filter(|key| !table.table.contains_key(**key)) {
        fit = false;
        table.missing(table.setting(key), reading);
    }
    fit
}

impl Section for Target {
    const ABOUT: &'static str = TargetSettings::ABOUT;
    const SETTINGS: &'static [Setting] = TargetSettings::SETTINGS;

    fn read_settings(table: &SectionTable<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let settings = TargetSettings::read_settings(table, reading);
        let fit = keys_fit(table, &TARGET_KINDS, reading);
        let TargetSettings { kind, url, cloud, authority, credential, folder, mode, owner, group } =
            settings.filter(|_| fit)?;
        let text = |text: Option<Text>| text.map(|text| text.as_str().to_owned());
        match kind {
            TargetKind::AzureKeyVault => {
                let (url, TargetCredential { credential, secret }) = (url?, credential?);
                let cloud = checked_cloud(table, &url.0, cloud, authority.is_some(), reading)?;
                let authority = authority.map(|authority| authority.as_str().to_owned());
                let url = url.0.as_str().to_owned();
                let definition = TargetDefinition::AzureKeyVault { url, cloud, authority, credential };
                Some(Self { definition, secret })
            }
            TargetKind::File => {
                let folder = folder?.0.display().to_string();
                let mode = mode.unwrap_or(FileMode::DEFAULT).0;
                let definition = TargetDefinition::File { folder, mode, owner: text(owner), group: text(group) };
                Some(Self { definition, secret: None })
            }
        }
    }
}

/// The cloud of the vault, if what is set beside its address goes with it.
fn checked_cloud(
    table: &SectionTable<'_>,
    address: &VaultAddress,
    said: Option<Cloud>,
    has_authority: bool,
    reading: &mut Reading<'_>,
) -> Option<Cloud> {
    let span = |key: &str| table.table.get(key).map_or_else(|| table.header.clone(), Spanned::span);
    let error = match address.cloud_with(said, has_authority) {
        Ok(cloud) => return Some(cloud),
        Err(error) => error,
    };
    let contradiction = |key: &str, message: String, help: &str| {
        let problem = Problem::at(ProblemKind::Contradiction, span(key), message).label(error.to_string());
        problem.related(span("url"), "the address").help(help)
    };
    reading.report(match error {
        PlaceError::NoCloud => Problem::at(ProblemKind::BadValue, span("url"), NO_ADDRESS)
            .label(error.to_string())
            .help(format!("{VAULT_URI}\nof a vault that is in none of Azure's clouds, write its `authority` too")),
        PlaceError::OtherCloud { said, is } => contradiction(
            "cloud",
            format!("`cloud` says `{}`, and the address is one of `{}`", said.word(), is.word()),
            "take `cloud` out: the address says it; or correct the address",
        ),
        PlaceError::Authority { .. } => contradiction(
            "authority",
            "`authority` beside an address of one of Azure's clouds".to_owned(),
            "take it out: Vestal's credential is shown to the cloud's own authority alone",
        ),
    });
    None
}

/// What is said of an address that is none, and where the right one stands.
const NO_ADDRESS: &str = "`url` is not the address of an Azure Key Vault";
const VAULT_URI: &str = "write the \"Vault URI\" of its page in the Azure portal, without what comes after the host: \
                         `url = \"https://contoso.vault.azure.net\"`";

/// The address of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultUrl(VaultAddress);

impl Value for VaultUrl {
    const SHAPE: Shape =
        Shape { noun: "the address of a key vault", list: "a list of addresses", schema: Schema::Text("^https://") };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            reading.wrong_type(value, Self::SHAPE.noun);
            return None;
        };
        match VaultAddress::parse(text) {
            Ok(address) => Some(Self(address)),
            Err(why) => {
                let help = match why.meant() {
                    Some(meant) => {
                        format!("write `url = \"{meant}\"`, the \"Vault URI\" of its page in the Azure portal")
                    }
                    None => VAULT_URI.to_owned(),
                };
                let problem = Problem::at(ProblemKind::BadValue, value.span(), NO_ADDRESS);
                reading.report(problem.label(why.to_string()).help(help));
                None
            }
        }
    }
}

impl Section for TargetCredential {
    const ABOUT: &'static str = CredentialSettings::ABOUT;
    const SETTINGS: &'static [Setting] = CredentialSettings::SETTINGS;

    fn read_settings(table: &SectionTable<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        // What stands under a key that there isn't may be the secret itself.
        for (key, value) in table.table {
            if !Self::SETTINGS.iter().any(|setting| setting.key == key.get_ref().as_ref()) {
                reading.redactions.mask(value.span());
            }
        }
        let settings = CredentialSettings::read_settings(table, reading);
        let fit = keys_fit(table, &CREDENTIAL_KINDS, reading);
        let CredentialSettings { kind, tenant, client_id, client_secret, certificate, token_file } =
            settings.filter(|_| fit)?;
        let tenant = tenant.map(|tenant| tenant.0);
        let client_id = client_id.map(|id| id.as_str().to_owned());
        Some(match kind {
            CredentialKind::ClientSecret => {
                let secret = client_secret?;
                let client_secret = stored(&secret);
                let credential = Credential::ClientSecret { tenant: tenant?, client_id: client_id?, client_secret };
                Self { credential, secret: Some(("client_secret", secret)) }
            }
            CredentialKind::ClientCertificate => {
                let secret = certificate?;
                let certificate = stored(&secret);
                let credential = Credential::ClientCertificate { tenant: tenant?, client_id: client_id?, certificate };
                Self { credential, secret: Some(("certificate", secret)) }
            }
            CredentialKind::ManagedIdentity => {
                Self { credential: Credential::ManagedIdentity { client_id }, secret: None }
            }
            CredentialKind::WorkloadIdentity => {
                let token_file = token_file.map(|file| file.display().to_string());
                Self { credential: Credential::WorkloadIdentity { tenant, client_id, token_file }, secret: None }
            }
            CredentialKind::AzureCli => Self { credential: Credential::AzureCli { tenant }, secret: None },
        })
    }
}

fn stored(secret: &HomeSecret) -> delivery::SecretReference {
    delivery::SecretReference { vault: secret.vault.to_string(), name: secret.secret.to_string() }
}

impl Value for TargetCredential {
    const SHAPE: Shape = Shape {
        noun: "a table that says how to log in",
        list: "a list of tables",
        schema: Schema::Table(CredentialSettings::SETTINGS),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            reading.redactions.mask(value.span());
        }
        SectionTable::read_nested(value, Self::SHAPE.noun, reading)
    }
}

/// The folder of a file target, in the one spelling that it has: two targets of one folder are told by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Value for Folder {
    const SHAPE: Shape = PathBuf::SHAPE;

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let path = PathBuf::read(value, reading)?;
        let written = Path::new(value.get_ref().as_str().unwrap_or_default());
        if written.components().any(|part| part == Component::ParentDir) {
            let why = "where `..` leads is for the disk to say: write the path without";
            reading.bad_value(ProblemKind::BadValue, value.span(), "a folder's own path", why);
            return None;
        }
        Some(Self(path.components().collect()))
    }
}

/// The mode of a file that holds a token: its owner can read it, and not everybody can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// The owner's alone.
    const DEFAULT: Self = Self(0o600);

    /// The mode's bits, as people write them.
    pub(super) fn shown(bits: u32) -> String {
        format!("{bits:04o}")
    }
}

impl FromStr for FileMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let Some(mode) = u32::from_str_radix(text, 8).ok().filter(|_| is_octal) else {
            return Err("a mode is three octal digits after a zero: those of owner, group and others");
        };
        match mode {
            _ if mode & 0o007 != 0 => Err("everybody on the machine could get at the token: the last digit must be 0"),
            _ if mode & 0o7000 != 0 => Err("the first of four digits must be 0"),
            _ if mode & 0o111 != 0 => Err("a token is no program: 1, 3, 5 and 7 let it be run"),
            _ if mode & 0o400 == 0 => Err("its owner could not read it: the first of the three digits must be 4 or 6"),
            _ => Ok(Self(mode)),
        }
    }
}

impl Value for FileMode {
    const SHAPE: Shape =
        Shape { noun: "the mode of a file", list: "a list of modes", schema: Schema::Text("^0?[46][0246]0$") };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(value, reading, ProblemKind::BadValue, Self::SHAPE.noun)
    }
}

/// A directory at Azure, by its id or a domain of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant(String);

impl FromStr for Tenant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        // It becomes a part of an address.
        let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= 253
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err("a tenant is an id of 32 digits with hyphens, or a domain") }
    }
}

impl Value for Tenant {
    const SHAPE: Shape = Shape {
        noun: "a tenant",
        list: "a list of tenants",
        schema: Schema::Text("^[0-9a-zA-Z][0-9a-zA-Z.-]{0,252}$"),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(value, reading, ProblemKind::BadValue, Self::SHAPE.noun)
    }
}
