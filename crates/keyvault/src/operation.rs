//! What can be asked of a vault, and the paths that ask for it.

use std::borrow::Cow;

use http::Method;
use vault::Permission;

use crate::error::Refusal;
use crate::percent;

/// What is done, in the words of Azure's audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    SecretGet,
    SecretSet,
    SecretUpdate,
    SecretList,
    SecretListVersions,
    SecretDelete,
    SecretBackup,
    SecretRestore,
    SecretListDeleted,
    SecretGetDeleted,
    SecretRecover,
    SecretPurge,
    /// A token of the authority was asked for, or one of its own was presented and no longer holds.
    Authenticate,
}

impl Operation {
    /// Every operation, in the order of their numbers.
    pub(crate) const ALL: [Self; 13] = [
        Self::SecretGet,
        Self::SecretSet,
        Self::SecretUpdate,
        Self::SecretList,
        Self::SecretListVersions,
        Self::SecretDelete,
        Self::SecretBackup,
        Self::SecretRestore,
        Self::SecretListDeleted,
        Self::SecretGetDeleted,
        Self::SecretRecover,
        Self::SecretPurge,
        Self::Authenticate,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::SecretGet => "SecretGet",
            Self::SecretSet => "SecretSet",
            Self::SecretUpdate => "SecretUpdate",
            Self::SecretList => "SecretList",
            Self::SecretListVersions => "SecretListVersions",
            Self::SecretDelete => "SecretDelete",
            Self::SecretBackup => "SecretBackup",
            Self::SecretRestore => "SecretRestore",
            Self::SecretListDeleted => "SecretListDeleted",
            Self::SecretGetDeleted => "SecretGetDeleted",
            Self::SecretRecover => "SecretRecover",
            Self::SecretPurge => "SecretPurge",
            Self::Authenticate => "Authenticate",
        }
    }

    /// Whether it is noted in the audit before it is done, and not done where it can't be noted.
    pub(crate) fn is_noted_first(self) -> bool {
        match self {
            Self::SecretSet
            | Self::SecretUpdate
            | Self::SecretDelete
            | Self::SecretBackup
            | Self::SecretRestore
            | Self::SecretRecover
            | Self::SecretPurge => true,
            Self::SecretGet
            | Self::SecretList
            | Self::SecretListVersions
            | Self::SecretListDeleted
            | Self::SecretGetDeleted
            | Self::Authenticate => false,
        }
    }

    /// What the caller needs for it.
    pub(crate) fn permission(self) -> Permission {
        match self {
            Self::SecretGet | Self::SecretGetDeleted | Self::Authenticate => Permission::Get,
            Self::SecretSet | Self::SecretUpdate => Permission::Set,
            Self::SecretList | Self::SecretListVersions | Self::SecretListDeleted => Permission::List,
            Self::SecretDelete => Permission::Delete,
            Self::SecretBackup => Permission::Backup,
            Self::SecretRestore => Permission::Restore,
            Self::SecretRecover => Permission::Recover,
            Self::SecretPurge => Permission::Purge,
        }
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route<'r> {
    pub(crate) operation: Operation,
    /// The name in the path, decoded and not yet checked; empty where the operation names none.
    pub(crate) name: Cow<'r, str>,
    /// The version in the path, likewise.
    pub(crate) version: Option<Cow<'r, str>>,
}

/// The methods that any path takes, for the header `Allow`.
const METHODS: [Method; 5] = [Method::GET, Method::PUT, Method::PATCH, Method::POST, Method::DELETE];

impl<'r> Route<'r> {
    /// Reads a path. Empty segments count for nothing: clients send `/secrets/NAME/` and `//secrets/NAME`.
    pub(crate) fn parse(method: &Method, path: &'r str) -> Result<Self, Refusal> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut next = || segments.next().map(|raw| percent::decode(raw).ok_or_else(|| Refusal::Name(raw.to_owned())));
        let pieces = [next().transpose()?, next().transpose()?, next().transpose()?];
        if next().is_some() {
            return Err(Refusal::NoSuchPath);
        }
        let Some(operation) = operation(method, &pieces) else {
            let allowed: Vec<_> =
                METHODS.iter().filter(|other| operation(other, &pieces).is_some()).map(Method::as_str).collect();
            return Err(if allowed.is_empty() { Refusal::NoSuchPath } else { Refusal::Method(allowed.join(", ")) });
        };
        let [_, name, version] = pieces;
        let (name, version) = match operation {
            Operation::SecretGet | Operation::SecretUpdate => (name, version),
            Operation::SecretRestore => (None, None),
            _ => (name, None),
        };
        Ok(Self { operation, name: name.unwrap_or_default(), version })
    }
}

/// The route table. Words are told apart from names by their place alone, so that a secret may be called `versions`,
/// `backup` or `restore`; a version is 32 hexadecimal digits and can't be mistaken for a word.
fn operation(method: &Method, pieces: &[Option<Cow<'_, str>>; 3]) -> Option<Operation> {
    let is =
        |piece: &Option<Cow<'_, str>>, word: &str| piece.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(word));
    let [collection, name, last] = pieces;
    let (named, ended) = (name.is_some(), last.is_none());
    if is(collection, "secrets") {
        return Some(match method.as_str() {
            "GET" if !named => Operation::SecretList,
            "POST" if is(name, "restore") && ended => Operation::SecretRestore,
            "PUT" if named && ended => Operation::SecretSet,
            "DELETE" if named && ended => Operation::SecretDelete,
            "GET" if is(last, "versions") => Operation::SecretListVersions,
            "POST" if is(last, "backup") => Operation::SecretBackup,
            "GET" => Operation::SecretGet,
            "PATCH" if named => Operation::SecretUpdate,
            _ => return None,
        });
    }
    if is(collection, "deletedsecrets") {
        return Some(match method.as_str() {
            "GET" if !named => Operation::SecretListDeleted,
            "GET" if ended => Operation::SecretGetDeleted,
            "DELETE" if named && ended => Operation::SecretPurge,
            "POST" if is(last, "recover") => Operation::SecretRecover,
            _ => return None,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_asks_for_one_thing() {
        use Operation as O;
        let version = "0123456789abcdef0123456789abcdef";
        for (method, path, operation, name, asked) in [
            ("GET", "/secrets", O::SecretList, "", None),
            ("GET", "//secrets//", O::SecretList, "", None),
            ("GET", "/Secrets/a", O::SecretGet, "a", None),
            ("GET", "/secrets/a/", O::SecretGet, "a", None),
            ("GET", "//secrets/a", O::SecretGet, "a", None),
            ("GET", "/secrets/a%2Db", O::SecretGet, "a-b", None),
            ("GET", "/secrets/a%2Fb", O::SecretGet, "a/b", None),
            ("GET", "/secrets/a%252Fb", O::SecretGet, "a%2Fb", None),
            ("GET", "/secrets/a/0123456789abcdef0123456789abcdef", O::SecretGet, "a", Some(version)),
            ("GET", "/secrets/a/nonsense", O::SecretGet, "a", Some("nonsense")),
            ("GET", "/secrets/restore", O::SecretGet, "restore", None),
            ("PUT", "/secrets/restore", O::SecretSet, "restore", None),
            ("GET", "/secrets/versions", O::SecretGet, "versions", None),
            ("GET", "/secrets/versions/versions", O::SecretListVersions, "versions", None),
            ("GET", "/secrets/backup/", O::SecretGet, "backup", None),
            ("PATCH", "/secrets/a/", O::SecretUpdate, "a", None),
            ("PATCH", "/secrets/a/0123456789abcdef0123456789abcdef", O::SecretUpdate, "a", Some(version)),
            ("DELETE", "/secrets/restore", O::SecretDelete, "restore", None),
            ("POST", "/secrets/restore", O::SecretRestore, "", None),
            ("POST", "/secrets/a/backup", O::SecretBackup, "a", None),
            ("GET", "/deletedsecrets", O::SecretListDeleted, "", None),
            ("GET", "/deletedsecrets/a", O::SecretGetDeleted, "a", None),
            ("DELETE", "/deletedsecrets/a", O::SecretPurge, "a", None),
            ("POST", "/deletedsecrets/a/recover", O::SecretRecover, "a", None),
        ] {
            let route = Route::parse(&method.parse().unwrap(), path).unwrap();
            assert_eq!(
                (route.operation, &*route.name, route.version.as_deref()),
                (operation, name, asked),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn other_paths_are_nobodys_and_other_methods_are_told() {
        let refused = |method: &str, path: &str| Route::parse(&method.parse().unwrap(), path).unwrap_err();
        for path in ["/", "/keys", "/secrets/a/versions/b", "/certificates//restore", "/deletedsecrets/a/b/c"] {
            assert!(matches!(refused("GET", path), Refusal::NoSuchPath), "{path}");
        }
        for (method, path, allow) in [
            ("POST", "/secrets", "GET"),
            ("POST", "/secrets/a", "GET, PUT, PATCH, DELETE"),
            ("HEAD", "/secrets/restore", "GET, PUT, PATCH, POST, DELETE"),
            ("PUT", "/secrets/a/b", "GET, PATCH"),
            ("PUT", "/secrets/a/backup", "GET, PATCH, POST"),
            ("PUT", "/deletedsecrets/a", "GET, DELETE"),
            ("GET", "/deletedsecrets/a/recover", "POST"),
        ] {
            assert!(matches!(refused(method, path), Refusal::Method(told) if told == allow), "{method} {path}");
        }
        assert!(matches!(refused("GET", "/secrets/%zz"), Refusal::Name(_)));
    }
}
