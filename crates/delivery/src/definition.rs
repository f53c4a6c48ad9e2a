//! What an operator declares of a target. Stored as JSON in a definition of kind target, under the target's name.

use serde::{Deserialize, Serialize};

/// A target, as declared. It names where its credential is, and holds none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TargetDefinition {
    /// An Azure Key Vault.
    AzureKeyVault {
        /// Its address, such as `https://contoso.vault.azure.net`; no path.
        url: String,
        /// The cloud that it is in, which names its authority.
        #[serde(default)]
        cloud: Cloud,
        /// The authority, where it is another than the cloud's: `https://login.example.com`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
        /// What Vestal proves its identity with there.
        credential: Credential,
    },
    /// A folder of files, one a token.
    File {
        /// The folder; it must be there.
        folder: String,
        /// Each file's mode, such as `0o640`.
        #[serde(default = "file_mode")]
        mode: u32,
        /// The user that owns the files, where it isn't Vestal's own: a name or a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// The group of the files: a name or a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
    },
}

fn file_mode() -> u32 {
    0o600
}

/// One of Azure's clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// `vault.azure.net`
    #[default]
    Public,
    /// `vault.azure.cn`, operated by 21Vianet.
    China,
    /// `vault.usgovcloudapi.net`
    UsGovernment,
}

/// What Vestal proves its identity at Azure with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credential {
    /// An app registration's client secret.
    ClientSecret {
        /// The directory (tenant) id.
        tenant: String,
        /// The application (client) id.
        client_id: String,
        /// The secret of the home vault that holds the client secret.
        client_secret: SecretReference,
    },
    /// An app registration's certificate.
    ClientCertificate {
        /// The directory (tenant) id.
        tenant: String,
        /// The application (client) id.
        client_id: String,
        /// The secret of the home vault that holds certificate and private key, as PEM.
        certificate: SecretReference,
    },
    /// The identity that Azure gives the machine.
    ManagedIdentity {
        /// The client id of a user-assigned identity; the system-assigned one where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
    },
    /// A federated identity: the token that Kubernetes puts into a file is exchanged.
    WorkloadIdentity {
        /// The directory (tenant) id; `AZURE_TENANT_ID` where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
        /// The application (client) id; `AZURE_CLIENT_ID` where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        /// The file; `AZURE_FEDERATED_TOKEN_FILE` where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<String>,
    },
    /// Whoever is signed in with `az login` on this machine: for trying it out.
    AzureCli {
        /// The directory (tenant) id, where it isn't the account's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
    },
}

impl Credential {
    /// The word for its kind, as it is declared.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientSecret { .. } => "client-secret",
            Self::ClientCertificate { .. } => "client-certificate",
            Self::ManagedIdentity { .. } => "managed-identity",
            Self::WorkloadIdentity { .. } => "workload-identity",
            Self::AzureCli { .. } => "azure-cli",
        }
    }
}

/// A secret of the home vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretReference {
    /// The vault.
    pub vault: String,
    /// The secret's name.
    pub name: String,
}
