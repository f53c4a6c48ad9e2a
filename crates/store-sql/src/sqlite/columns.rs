//! Columns of rows, checked on the way out.
//!
//! The file may have been damaged or edited. A column that no write of ours could have left so makes the row damaged;
//! the words name the table, the key and the column, never a value beside the key. A list goes on past such a row: a
//! stand-in that opens nowhere has its place, if its key can be read, and whoever listens is told.

use renewal::Wall;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use store::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, Origin, SecretRow,
    TokenId, TokenRow, VersionRow,
};
use store::{Damage, StoreError};
use vault::{Sealed, SecretName, VaultName, VersionId};

/// A secret: `vault, name, current, changed, keep_versions, sealed`, from column `at` on.
pub(super) fn secret(row: &Row<'_>, at: usize) -> Result<SecretRow, StoreError> {
    let columns = Columns { row, at };
    let read = || {
        Ok(SecretRow {
            vault: columns.vault(0)?,
            name: columns.name(1)?,
            current: VersionId(columns.bytes(2, "current")?),
            changed: columns.number(3, "changed")?,
            keep_versions: columns.optional(4, "keep_versions")?.map(|keep| fits(keep, "keep_versions")).transpose()?,
            sealed: columns.sealed(5)?,
        })
    };
    read().map_err(|column| damaged("secret", &columns.key([0, 1]), column))
}

/// A version: `vault, name, version, created, enabled, not_before, expires, generation, sealed`, from column `at` on.
pub(super) fn version(row: &Row<'_>, at: usize) -> Result<VersionRow, StoreError> {
    let columns = Columns { row, at };
    let read = || {
        Ok(VersionRow {
            vault: columns.vault(0)?,
            name: columns.name(1)?,
            version: VersionId(columns.bytes(2, "version")?),
            created: columns.number(3, "created")?,
            enabled: columns.flag(4, "enabled")?,
            not_before: columns.optional(5, "not_before")?,
            expires: columns.optional(6, "expires")?,
            generation: fits(columns.number(7, "generation")?, "generation")?,
            sealed: columns.sealed(8)?,
        })
    };
    read().map_err(|column| damaged("version", &columns.key([0, 1, 2]), column))
}

/// A secret and, from the seventh column on, its current version.
pub(super) fn secret_with_version(row: &Row<'_>) -> Result<(SecretRow, VersionRow), StoreError> {
    let secret = secret(row, 0)?;
    if matches!(row.get_ref(6), Ok(ValueRef::Null)) {
        let key = format!("{}/{}", secret.vault.as_str(), secret.name.folded());
        return Err(StoreError::Damaged(format!("table version, key {key}: the current version is gone")));
    }
    Ok((secret, version(row, 6)?))
}

/// As [`secret_with_version`], in a list.
pub(super) fn listed_secret(row: &Row<'_>, damage: &Damage) -> Option<(SecretRow, VersionRow)> {
    let columns = Columns { row, at: 0 };
    listed(secret_with_version(row), damage, || {
        let secret = secret(row, 0).or_else(|_| Ok(SecretRow::damaged(columns.vault(0)?, columns.name(1)?)))?;
        let (vault, name) = (secret.vault.clone(), secret.name.clone());
        let version = VersionRow::damaged(vault, name, secret.current);
        Ok((secret, version))
    })
}

/// A deleted secret, `deleted, purged_at` from the seventh column on, and then the version that was its current one.
pub(super) fn deleted_secret_with_version(row: &Row<'_>) -> Result<(DeletedSecretRow, VersionRow), StoreError> {
    let (columns, secret) = (Columns { row, at: 0 }, secret(row, 0)?);
    let times = || Ok((columns.number(6, "deleted")?, columns.number(7, "purged_at")?));
    let (deleted, purged_at) =
        times().map_err(|column: &str| damaged("deleted_secret", &columns.key([0, 1]), column))?;
    if matches!(row.get_ref(8), Ok(ValueRef::Null)) {
        let key = format!("{}/{}", secret.vault.as_str(), secret.name.folded());
        return Err(StoreError::Damaged(format!("table version, key {key}: the current version is gone")));
    }
    Ok((DeletedSecretRow { secret, deleted, purged_at }, version(row, 8)?))
}

/// As [`deleted_secret_with_version`], in a list.
pub(super) fn listed_deleted_secret(row: &Row<'_>, damage: &Damage) -> Option<(DeletedSecretRow, VersionRow)> {
    let columns = Columns { row, at: 0 };
    listed(deleted_secret_with_version(row), damage, || {
        let secret = secret(row, 0).or_else(|_| Ok(SecretRow::damaged(columns.vault(0)?, columns.name(1)?)))?;
        let (deleted, purged_at) = (columns.number(6, "deleted")?, columns.number(7, "purged_at")?);
        let version = VersionRow::damaged(secret.vault.clone(), secret.name.clone(), secret.current);
        Ok((DeletedSecretRow { secret, deleted, purged_at }, version))
    })
}

/// The name of a secret: `vault, name`. One that can't be read is reported, and left out.
pub(super) fn sound_name(row: &Row<'_>, damage: &Damage) -> Option<(VaultName, SecretName)> {
    let columns = Columns { row, at: 0 };
    let read = || Ok((columns.vault(0)?, columns.name(1)?));
    let read = read().map_err(|column: &str| damaged("deleted_secret", &columns.key([0, 1]), column));
    listed(read, damage, || Err("any"))
}

/// As [`version`] from the first column on, in a list.
pub(super) fn listed_version(row: &Row<'_>, damage: &Damage) -> Option<VersionRow> {
    let columns = Columns { row, at: 0 };
    listed(version(row, 0), damage, || {
        let version = VersionId(columns.bytes(2, "version")?);
        Ok(VersionRow::damaged(columns.vault(0)?, columns.name(1)?, version))
    })
}

/// As [`token`], in a list.
pub(super) fn listed_token(row: &Row<'_>, damage: &Damage) -> Option<TokenRow> {
    let columns = Columns { row, at: 0 };
    listed(token(row), damage, || {
        let id = TokenId(columns.bytes(0, "id")?);
        Ok(TokenRow::damaged(id, columns.vault(1)?, columns.name(2)?))
    })
}

/// As [`token`]; one that is damaged is reported, and left out.
pub(super) fn sound_token(row: &Row<'_>, damage: &Damage) -> Option<TokenRow> {
    listed(token(row), damage, || Err("any"))
}

/// A row of a list, or what stands in for one that is damaged.
fn listed<T>(
    read: Result<T, StoreError>,
    damage: &Damage,
    stand_in: impl FnOnce() -> Result<T, &'static str>,
) -> Option<T> {
    read.map_or_else(
        |error| {
            damage.found(&error.to_string());
            stand_in().ok()
        },
        Some,
    )
}

/// A token: `id, vault, name, lane's key, due, expiry, generation, fence, leased, sealed`.
pub(super) fn token(row: &Row<'_>) -> Result<TokenRow, StoreError> {
    let columns = Columns { row, at: 0 };
    let read = || {
        Ok(TokenRow {
            id: TokenId(columns.bytes(0, "id")?),
            vault: columns.vault(1)?,
            name: columns.name(2)?,
            lane: columns.text(3, "lane")?.to_owned(),
            due: Wall(columns.number(4, "due")?),
            expiry: Wall(columns.number(5, "expiry")?),
            generation: fits(columns.number(6, "generation")?, "generation")?,
            fence: fits(columns.number(7, "fence")?, "fence")?,
            leased: columns.flag(8, "leased")?,
            sealed: columns.sealed(9)?,
        })
    };
    read().map_err(|column| damaged("token", &columns.key([0, 1, 2]), column))
}

/// An attempt: `token, number, started, sealed`.
pub(super) fn attempt(row: &Row<'_>) -> Result<AttemptRow, StoreError> {
    let columns = Columns { row, at: 0 };
    let read = || {
        Ok(AttemptRow {
            token: TokenId(columns.bytes(0, "token")?),
            number: fits(columns.number(1, "number")?, "number")?,
            started: Wall(columns.number(2, "started")?),
            sealed: columns.sealed(3)?,
        })
    };
    read().map_err(|column| damaged("attempt", &columns.key([0, 1]), column))
}

/// A lane: `key, open_at, sealed`.
pub(super) fn lane(row: &Row<'_>) -> Result<LaneRow, StoreError> {
    let columns = Columns { row, at: 0 };
    let read = || {
        Ok(LaneRow {
            key: columns.text(0, "key")?.to_owned(),
            open_at: Wall(columns.number(1, "open_at")?),
            sealed: columns.sealed(2)?,
        })
    };
    read().map_err(|column| damaged("lane", &columns.key([0]), column))
}

/// A delivery: `token, target, due, asked, behind, expiry, generation, sealed`.
pub(super) fn delivery(row: &Row<'_>) -> Result<DeliveryRow, StoreError> {
    let columns = Columns { row, at: 0 };
    let read = || {
        Ok(DeliveryRow {
            token: TokenId(columns.bytes(0, "token")?),
            target: columns.text(1, "target")?.to_owned(),
            due: Wall(columns.number(2, "due")?),
            asked: fits(columns.number(3, "asked")?, "asked")?,
            behind: Wall(columns.number(4, "behind")?),
            expiry: Wall(columns.number(5, "expiry")?),
            generation: fits(columns.number(6, "generation")?, "generation")?,
            sealed: columns.sealed(7)?,
        })
    };
    read().map_err(|column| damaged("delivery", &columns.key([0, 1]), column))
}

/// A definition: `kind, name, origin, removed, sealed`.
pub(super) fn definition(row: &Row<'_>) -> Result<DefinitionRow, StoreError> {
    let columns = Columns { row, at: 0 };
    let read = || {
        Ok(DefinitionRow {
            kind: DefinitionKind::from_stored(fits(columns.number(0, "kind")?, "kind")?).ok_or("kind")?,
            name: columns.text(1, "name")?.to_owned(),
            origin: Origin::from_stored(fits(columns.number(2, "origin")?, "origin")?).ok_or("origin")?,
            removed: columns.optional(3, "removed")?,
            sealed: columns.sealed(4)?,
        })
    };
    read().map_err(|column| damaged("definition", &columns.key([0, 1]), column))
}

/// A term of the keyring: `term, wrapped`.
pub(super) fn term(row: &Row<'_>) -> Result<KeyringRow, StoreError> {
    let columns = Columns { row, at: 0 };
    let read = || {
        Ok(KeyringRow {
            term: fits(columns.number(0, "term")?, "term")?,
            wrapped: columns.blob(1, "wrapped")?.to_owned(),
        })
    };
    read().map_err(|column| damaged("keyring", &columns.key([0]), column))
}

/// A row's columns, counted from `at`. What can't be read answers its column's name.
struct Columns<'r> {
    row: &'r Row<'r>,
    at: usize,
}

impl Columns<'_> {
    fn value(&self, column: usize) -> ValueRef<'_> {
        // Every statement here has the columns that are asked for.
        self.row.get_ref(self.at + column).unwrap_or(ValueRef::Null)
    }

    fn number(&self, column: usize, name: &'static str) -> Result<i64, &'static str> {
        self.value(column).as_i64().map_err(|_| name)
    }

    fn optional(&self, column: usize, name: &'static str) -> Result<Option<i64>, &'static str> {
        self.value(column).as_i64_or_null().map_err(|_| name)
    }

    fn flag(&self, column: usize, name: &'static str) -> Result<bool, &'static str> {
        match self.number(column, name)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(name),
        }
    }

    fn text(&self, column: usize, name: &'static str) -> Result<&str, &'static str> {
        self.value(column).as_str().map_err(|_| name)
    }

    fn blob(&self, column: usize, name: &'static str) -> Result<&[u8], &'static str> {
        self.value(column).as_blob().map_err(|_| name)
    }

    fn bytes<const N: usize>(&self, column: usize, name: &'static str) -> Result<[u8; N], &'static str> {
        self.blob(column, name)?.try_into().map_err(|_| name)
    }

    fn vault(&self, column: usize) -> Result<VaultName, &'static str> {
        VaultName::parse(self.text(column, "vault")?).map_err(|_| "vault")
    }

    fn name(&self, column: usize) -> Result<SecretName, &'static str> {
        SecretName::parse(self.text(column, "name")?).map_err(|_| "name")
    }

    fn sealed(&self, column: usize) -> Result<Sealed, &'static str> {
        Sealed::from_bytes(self.blob(column, "sealed")?.to_owned()).map_err(|_| "sealed")
    }

    /// The key's columns as people can look them up: text as it is, bytes in hexadecimal.
    fn key<const N: usize>(&self, columns: [usize; N]) -> String {
        columns.map(|column| shown(self.value(column))).join("/")
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ValueRef::Null | ValueRef::Real(_) => "?".to_owned(),
    }
}

fn fits<T: TryFrom<i64>>(number: i64, name: &'static str) -> Result<T, &'static str> {
    T::try_from(number).map_err(|_| name)
}

fn damaged(table: &str, key: &str, column: &str) -> StoreError {
    StoreError::Damaged(format!("table {table}, key {key}, column {column}"))
}
