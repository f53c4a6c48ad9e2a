//! Rows for checks, made from small numbers. The same numbers give the same row.

use renewal::Wall;
use vault::{PADDING_BYTES, RECORD_OVERHEAD_BYTES, Sealed, SecretName, VaultName, VersionId};

use crate::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeliveryRow, KeyringRow, LaneRow, Origin, SecretRow, TokenId, TokenRow,
    VersionRow,
};
use crate::{Claim, Write};

/// A record that no key opens, of a length that depends on the number. Other numbers give other tags.
pub fn sealed(number: u64) -> Sealed {
    let blocks = 1 + usize::try_from(number % 3).expect("it is below 3");
    let mut bytes = vec![0xa5; RECORD_OVERHEAD_BYTES + blocks * PADDING_BYTES];
    bytes[0] = 1;
    for chunk in bytes[1..].chunks_exact_mut(8) {
        chunk.copy_from_slice(&number.to_be_bytes());
    }
    Sealed::from_bytes(bytes).expect("it has a record's shape")
}

/// The vault that checks use.
pub fn vault() -> VaultName {
    vault_named("contoso")
}

/// A vault's name.
pub fn vault_named(name: &str) -> VaultName {
    VaultName::parse(name).expect("the check names a vault well")
}

/// A secret's name.
pub fn name(name: &str) -> SecretName {
    SecretName::parse(name).expect("the check names a secret well")
}

/// A version's id; ids order as their numbers.
pub fn version_id(number: u64) -> VersionId {
    VersionId(u128::from(number).to_be_bytes())
}

/// A token's id; ids order as their numbers.
pub fn token_id(number: u64) -> TokenId {
    TokenId(u128::from(number).to_be_bytes())
}

/// A secret whose current version is the numbered one.
pub fn secret(secret: &str, current: u64) -> SecretRow {
    SecretRow {
        vault: vault(),
        name: name(secret),
        current: version_id(current),
        changed: 1_800_000_000,
        keep_versions: None,
        sealed: sealed(current),
    }
}

/// The numbered version of a secret.
pub fn version(secret: &str, number: u64) -> VersionRow {
    VersionRow {
        vault: vault(),
        name: name(secret),
        version: version_id(number),
        created: 1_800_000_000,
        enabled: true,
        not_before: None,
        expires: Some(1_800_003_600),
        generation: number,
        sealed: sealed(number),
    }
}

/// The numbered token, of the secret `token-NUMBER`, in lane `lane`, due at once, that never had a value.
pub fn token(number: u64) -> TokenRow {
    TokenRow {
        id: token_id(number),
        vault: vault(),
        name: name(&format!("token-{number}")),
        lane: "lane".to_owned(),
        due: Wall(0),
        expiry: Wall(0),
        generation: 0,
        fence: 0,
        leased: false,
        sealed: sealed(number),
    }
}

/// A lane that opens at an instant.
pub fn lane(key: &str, open_at: i64) -> LaneRow {
    LaneRow { key: key.to_owned(), open_at: Wall(open_at), sealed: sealed(open_at.unsigned_abs()) }
}

/// A token's attempt.
pub fn attempt(token: u64, number: u64) -> AttemptRow {
    AttemptRow {
        token: token_id(token),
        number,
        started: Wall(i64::try_from(number).unwrap_or(i64::MAX)),
        sealed: sealed(number),
    }
}

/// The delivery of the numbered token to a target, due at once, that was never made.
pub fn delivery(token: u64, target: &str) -> DeliveryRow {
    DeliveryRow {
        token: token_id(token),
        target: target.to_owned(),
        due: Wall(0),
        asked: 0,
        behind: Wall::NEVER,
        expiry: Wall(0),
        generation: 0,
        sealed: sealed(token),
    }
}

/// A definition of the file, whose record has the number.
pub fn definition(kind: DefinitionKind, name: &str, number: u64) -> DefinitionRow {
    DefinitionRow { kind, name: name.to_owned(), origin: Origin::File, removed: None, sealed: sealed(number) }
}

/// The write of a keyring's term.
pub fn keyring(term: u32) -> Write {
    Write::Keyring(KeyringRow { term, wrapped: term.to_be_bytes().repeat(20) })
}

/// The write of a new secret.
pub fn put(row: SecretRow) -> Write {
    Write::Secret { row, replaces: None }
}

/// The write that replaces `old` by `new`.
pub fn put_over(old: &SecretRow, new: SecretRow) -> Write {
    Write::Secret { row: new, replaces: Some(old.sealed.tag()) }
}

/// The write of a new token.
pub fn insert(row: TokenRow) -> Write {
    Write::Token { row, replaces: None, releases: None }
}

/// The write that replaces `old` by `new`.
pub fn replace(old: &TokenRow, new: TokenRow) -> Write {
    Write::Token { row: new, replaces: Some(old.sealed.tag()), releases: None }
}

/// The claim that starts from the row.
pub fn claim(row: &TokenRow) -> Claim {
    Claim { token: row.id, parent: row.generation }
}
