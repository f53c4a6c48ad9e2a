//! Access policies: what an app may do to which secrets of a vault.

use serde::{Deserialize, Serialize};

use crate::guid::ObjectId;
use crate::name::{SecretName, VaultName};
use crate::pattern::Pattern;
use crate::permission::{Permission, Permissions};

/// Most name patterns of one policy. Whoever makes a policy checks it.
pub const MAX_POLICY_NAMES: usize = 100;

/// What one app may do in one vault. The stored form is this struct as JSON in a sealed body.
///
/// An older program refuses a member that it doesn't know, rather than overlook a restriction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The vault that it holds for.
    pub vault: VaultName,
    /// The app that it holds for.
    pub app: ObjectId,
    /// What the app may do.
    pub permissions: Permissions,
    /// To which secrets. An empty list means all of them.
    pub names: Vec<Pattern>,
}

impl Policy {
    /// Whether the policy's patterns cover the name.
    pub fn covers(&self, name: &SecretName) -> bool {
        self.names.is_empty() || self.names.iter().any(|pattern| pattern.matches(name))
    }
}

/// Whether an app may do what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It may, by this policy, the first that says so.
    Allowed(&'a Policy),
    /// It may not.
    Refused(Refusal),
}

impl Decision<'_> {
    /// Whether the answer is yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Why an app may not do what it asks. The furthest that any of its policies came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// No policy of that vault names the app.
    NoPolicy,
    /// The app has policies in that vault, and none has the permission.
    PermissionMissing,
    /// The app has the permission, for other names.
    NameNotCovered,
}

/// Decides whether the app may use the permission on the secret.
///
/// `name` is `None` where an operation names no secret yet: for `list` on a whole vault, after which [`may_list`]
/// decides on each name, and for `restore`, before the backup is opened. The name then has to be decided on as soon
/// as it is known.
pub fn decide<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    app: &ObjectId,
    vault: &VaultName,
    permission: Permission,
    name: Option<&SecretName>,
) -> Decision<'a> {
    let mut refusal = Refusal::NoPolicy;
    for policy in policies {
        if policy.app != *app || policy.vault != *vault {
            continue;
        }
        if !policy.permissions.contains(permission) {
            refusal = refusal.max(Refusal::PermissionMissing);
        } else if name.is_some_and(|name| !policy.covers(name)) {
            refusal = Refusal::NameNotCovered;
        } else {
            return Decision::Allowed(policy);
        }
    }
    Decision::Refused(refusal)
}

/// Whether the app sees the name when it lists the vault: only names that one of its own list policies covers.
pub fn may_list<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    app: &ObjectId,
    vault: &VaultName,
    name: &SecretName,
) -> bool {
    decide(policies, app, vault, Permission::List, Some(name)).is_allowed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(number: u8) -> ObjectId {
        ObjectId::from_random([number; 16])
    }

    fn vault(name: &str) -> VaultName {
        VaultName::parse(name).unwrap()
    }

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    fn policy(vault_name: &str, number: u8, permissions: &str, names: &[&str]) -> Policy {
        Policy {
            vault: vault(vault_name),
            app: app(number),
            permissions: Permissions::parse(permissions.split(' ')).unwrap(),
            names: names.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        }
    }

    /// The reader of one token, in a vault where somebody else may do everything.
    fn policies() -> Vec<Policy> {
        vec![
            policy("contoso", 1, "all", &[]),
            policy("contoso", 2, "list", &["discord-*"]),
            policy("contoso", 2, "get", &["discord-*-token", "status"]),
            policy("fabrikam", 2, "purge", &[]),
        ]
    }

    #[test]
    fn the_policy_that_allows_is_named() {
        let policies = policies();
        let decision = decide(&policies, &app(2), &vault("contoso"), Permission::Get, Some(&name("Discord-API-token")));
        assert_eq!(decision, Decision::Allowed(&policies[2]));
        let decision = decide(&policies, &app(1), &vault("contoso"), Permission::Purge, Some(&name("client-secret")));
        assert_eq!(decision, Decision::Allowed(&policies[0]));
    }

    #[test]
    fn a_refusal_says_how_far_the_app_came() {
        use Permission::{Get, List, Purge, Set};
        for (number, vault_name, permission, secret, why) in [
            (3, "contoso", Get, "status", Refusal::NoPolicy),
            (1, "fabrikam", Get, "status", Refusal::NoPolicy),
            (2, "contoso", Set, "status", Refusal::PermissionMissing),
            (2, "contoso", Purge, "status", Refusal::PermissionMissing),
            (2, "contoso", Get, "client-secret", Refusal::NameNotCovered),
            (2, "contoso", List, "client-secret", Refusal::NameNotCovered),
            // A permission for one name and another for the next don't add up.
            (2, "contoso", Get, "discord-id", Refusal::NameNotCovered),
            (2, "contoso", List, "status", Refusal::NameNotCovered),
        ] {
            let policies = policies();
            let decision = decide(&policies, &app(number), &vault(vault_name), permission, Some(&name(secret)));
            assert_eq!(decision, Decision::Refused(why), "{number} {vault_name} {permission} {secret}");
        }
        assert_eq!(decide(&[], &app(1), &vault("contoso"), Get, None), Decision::Refused(Refusal::NoPolicy));
    }

    #[test]
    fn an_operation_without_a_name_needs_the_permission_alone() {
        let policies = policies();
        let decide = |permission| decide(&policies, &app(2), &vault("contoso"), permission, None);
        assert_eq!(decide(Permission::List), Decision::Allowed(&policies[1]));
        assert_eq!(decide(Permission::Restore), Decision::Refused(Refusal::PermissionMissing));
    }

    #[test]
    fn a_list_shows_only_what_a_list_policy_covers() {
        let policies = policies();
        let shown = |number| {
            ["client-secret", "discord-id", "Discord-API-token", "status"]
                .into_iter()
                .filter(|text| may_list(&policies, &app(number), &vault("contoso"), &name(text)))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(1).len(), 4);
        assert_eq!(shown(2), ["discord-id", "Discord-API-token"]);
        assert!(shown(3).is_empty());
    }

    #[test]
    fn a_policy_is_plain_json_and_a_member_that_is_not_known_is_refused() {
        let json = concat!(
            r#"{"vault":"contoso","app":"02020202-0202-4202-8202-020202020202","#,
            r#""permissions":["get"],"names":["discord-*-token","status"]}"#
        );
        let policy: Policy = serde_json::from_str(json).unwrap();
        assert_eq!(policy, policies()[2]);
        assert_eq!(serde_json::to_string(&policy).unwrap(), json);
        let newer = json.replacen('{', r#"{"until":1800000000,"#, 1);
        assert!(serde_json::from_str::<Policy>(&newer).is_err());
        // A policy without `names` would hold for all of them: that is said, never left out.
        let unsaid = json.replace(r#","names":["discord-*-token","status"]"#, "");
        assert!(serde_json::from_str::<Policy>(&unsaid).is_err());
    }
}
