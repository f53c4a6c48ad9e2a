//! What can be done to secrets.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What can be done to secrets, in Azure Key Vault's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    /// Read a value, or a deleted secret's attributes.
    Get,
    /// See names, versions and attributes.
    List,
    /// Make a version, or change one's attributes.
    Set,
    /// Delete a secret, so that it can still be recovered.
    Delete,
    /// Bring a deleted secret back.
    Recover,
    /// Take a secret out, sealed.
    Backup,
    /// Put a backup in.
    Restore,
    /// Destroy a deleted secret.
    Purge,
}

impl Permission {
    /// Every permission, in Azure's order.
    pub const ALL: [Self; 8] =
        [Self::Get, Self::List, Self::Set, Self::Delete, Self::Recover, Self::Backup, Self::Restore, Self::Purge];

    /// Azure's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Recover => "recover",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Purge => "purge",
        }
    }
}

/// A set of permissions. In JSON a list of Azure's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u8);

impl Permissions {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u8::MAX);

    /// Whether the permission is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u8 != 0
    }

    /// The set with this permission too.
    #[must_use]
    pub fn with(self, permission: Permission) -> Self {
        Self(self.0 | 1 << permission as u8)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions in the set, in Azure's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }

    /// Reads words such as `get` in any case; the word `all` stands for every permission.
    ///
    /// # Errors
    /// [`PermissionError`] names the first word that is no permission.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, PermissionError> {
        words.into_iter().try_fold(Self::NONE, |set, word| {
            if word.eq_ignore_ascii_case("all") { Ok(Self::ALL) } else { word.parse().map(|found| set.with(found)) }
        })
    }
}

/// A word is none of Azure's permissions on secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionError(pub String);

impl fmt::Display for PermissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no permission; write any of {}, or all", self.0, Permissions::ALL)
    }
}

impl core::error::Error for PermissionError {}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(word: &str) -> Result<Self, PermissionError> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| PermissionError(word.to_owned()))
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The words with commas between them: `get, list`.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for permission in self.iter() {
            write!(f, "{separator}{permission}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Self::parse(words.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn permissions_read_as_azures_words() {
        let set = Permissions::from_iter([Permission::Set, Permission::Get]);
        assert_eq!(set.to_string(), "get, set");
        assert_eq!(Permissions::NONE.to_string(), "");
        assert_eq!(Permissions::ALL.to_string(), "get, list, set, delete, recover, backup, restore, purge");
    }

    #[test]
    fn words_are_read_in_any_case_and_all_means_all() {
        let set = Permissions::from_iter([Permission::Get, Permission::List]);
        assert_eq!(Permissions::parse(["Get", "LIST", "get"]), Ok(set));
        assert_eq!(Permissions::parse(["get", "All"]), Ok(Permissions::ALL));
        assert_eq!(Permissions::parse([]), Ok(Permissions::NONE));
        let error = Permissions::parse(["get", "write"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"write\" is no permission; write any of get, list, set, delete, recover, backup, restore, purge, or all"
        );
    }

    #[test]
    fn permissions_are_a_list_in_json() {
        let set = Permissions::from_iter([Permission::Get, Permission::Purge]);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["get","purge"]"#);
        assert_eq!(serde_json::from_str::<Permissions>(r#"["purge","GET"]"#).unwrap(), set);
        assert!(serde_json::from_str::<Permissions>(r#"["sign"]"#).is_err());
        assert_eq!(serde_json::from_str::<Permission>(r#""List""#).unwrap(), Permission::List);
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(picked in prop::collection::vec(any::<bool>(), 8)) {
            let chosen: Vec<_> =
                Permission::ALL.into_iter().zip(&picked).filter_map(|(one, picked)| picked.then_some(one)).collect();
            let set: Permissions = chosen.iter().copied().collect();
            prop_assert_eq!(set.is_empty(), chosen.is_empty());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), chosen);
            let words = set.to_string();
            prop_assert_eq!(Permissions::parse(words.split(", ").filter(|word| !word.is_empty())), Ok(set));
        }
    }
}
