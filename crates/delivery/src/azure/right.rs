//! The rights that calls need at a vault, and how they are given: the least that will do.

use super::place::{Place, Principal};

/// The role of one's own that `docs/azure.md` has.
const ROLE: &str = "Vestal delivery";

/// A right that a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Get,
    Set,
    Update,
}

impl Right {
    /// What it is for, with a secret.
    fn purpose(self) -> &'static str {
        match self {
            Self::Get => "read",
            Self::Set => "write",
            Self::Update => "disable superseded versions of",
        }
    }

    /// As an access policy names it. There, whoever may set may update too.
    fn permission(self) -> &'static str {
        match self {
            Self::Get => "Get",
            Self::Set | Self::Update => "Set",
        }
    }

    /// All that an access policy must hold, since a command that gives one permission takes the others away.
    fn permissions(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set | Self::Update => "get set",
        }
    }

    /// As a role names it.
    fn data_action(self) -> &'static str {
        match self {
            Self::Get => "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            Self::Set => "Microsoft.KeyVault/vaults/secrets/setSecret/action",
            Self::Update => "Microsoft.KeyVault/vaults/secrets/update/action",
        }
    }

    /// The least role that has it.
    fn role(self) -> &'static str {
        match self {
            Self::Get => "Key Vault Secrets User",
            Self::Set | Self::Update => ROLE,
        }
    }

    /// That the credential lacks it for a secret, and how to give it. `inner` is the vault's code, which says in newer
    /// answers by which of its two models of access it judged.
    pub(super) fn missing(self, place: &Place, name: &str, inner: &str) -> String {
        let (url, purpose) = (&place.url, self.purpose());
        let (by_policy, by_role) = (self.by_policy(place), self.by_role(place));
        let how = match inner {
            "AccessDenied" => by_policy,
            "ForbiddenByRbac" => by_role,
            _ => {
                format!("where the vault works with access policies, {by_policy}; where it works with roles, {by_role}")
            }
        };
        let right = match inner {
            "ForbiddenByRbac" => format!("a role with the data action `{}`", self.data_action()),
            _ => format!("the right {}", self.permission()),
        };
        format!("{url} refuses it: the credential lacks {right}, to {purpose} the secret {name}. To give it: {how}")
    }

    fn by_policy(self, place: &Place) -> String {
        let (label, permission, permissions) = (&place.label, self.permission(), self.permissions());
        let Principal { who, option, id } = place.principal();
        let beside = match self {
            Self::Get => " (`get set` where tokens are delivered there too)",
            Self::Set | Self::Update => "",
        };
        format!(
            "in the portal, at the vault's Access policies, give {who} {permission} for secrets, or run `az keyvault \
             set-policy --name {label} {option} {id} --secret-permissions {permissions}`{beside}"
        )
    }

    fn by_role(self, place: &Place) -> String {
        let (label, action, role) = (&place.label, self.data_action(), self.role());
        let Principal { who, id, .. } = place.principal();
        let from = match self {
            Self::Get => "",
            Self::Set => ", which docs/azure.md has",
            Self::Update => ", to which docs/azure.md says how to add that",
        };
        format!(
            "in the portal, at the vault's Access control (IAM), give {who} the least role with `{action}`, that is \
             '{role}'{from}; or run `az role assignment create --assignee {id} --role \"{role}\" --scope $(az keyvault show \
             --name {label} --query id -o tsv)`"
        )
    }
}
