//! The keyring of a store: its terms' seeds, unwrapped by the key-encryption key.

use core::fmt;

use store::rows::{DefinitionKind, KeyringRow};
use store::{Entropy, Store, StoreError, Write};
use vault::{KeyEncryptionKey, Keyring, Seed, UnwrapError, WrappedSeed};
use zeroize::Zeroizing;

/// Why a store's keyring can't be had.
#[derive(Debug)]
pub enum KeyringError {
    /// The store failed.
    Store(StoreError),
    /// A term doesn't unwrap: another key file, or a changed row.
    Unwrap(u32, UnwrapError),
    /// The terms don't go together: a changed row.
    Terms,
    /// There is no term, and there are records that one sealed.
    Gone,
}

impl fmt::Display for KeyringError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(out),
            Self::Unwrap(term, error) => write!(
                out,
                "term {term} of the store's keyring doesn't open with this key file ({error}): \
                 put the key file back that was there when the store was made"
            ),
            Self::Gone => {
                out.write_str("the store's keyring is gone, and nothing in it opens without: restore a backup")
            }
            Self::Terms => out.write_str("the store's keyring was changed from outside: restore a backup"),
        }
    }
}

impl core::error::Error for KeyringError {}

/// The store's keyring; a store that has none yet gets its first term.
///
/// # Errors
/// See [`KeyringError`].
pub async fn open_or_create<S: Store>(
    store: &S,
    key: &KeyEncryptionKey,
    entropy: &dyn Entropy,
) -> Result<Keyring, KeyringError> {
    let rows = store.keyring().await.map_err(KeyringError::Store)?;
    let mut keyring: Option<Keyring> = None;
    for row in rows {
        let unwrap = |error| KeyringError::Unwrap(row.term, error);
        let wrapped = WrappedSeed::from_bytes(row.wrapped).map_err(unwrap)?;
        let seed = key.unwrap(&wrapped).map_err(unwrap)?;
        if wrapped.term() != row.term {
            return Err(KeyringError::Terms);
        }
        keyring = Some(match keyring {
            None => Keyring::new(row.term, &seed),
            Some(keyring) => keyring.with_term(row.term, &seed).map_err(|_| KeyringError::Terms)?,
        });
    }
    if let Some(keyring) = keyring {
        return Ok(keyring);
    }
    // The directory is made at the first start: where there is one, there was a keyring.
    if !store.definitions(DefinitionKind::Directory).await.map_err(KeyringError::Store)?.is_empty() {
        return Err(KeyringError::Gone);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(&mut *bytes);
    let seed = Seed::new(&bytes);
    let mut nonce = [0; 12];
    entropy.fill(&mut nonce);
    let wrapped = key.wrap(1, &seed, nonce).as_bytes().to_vec();
    store.commit(vec![Write::Keyring(KeyringRow { term: 1, wrapped })]).await.map_err(|error| match error {
        store::CommitError::Store(error) => KeyringError::Store(error),
        store::CommitError::Conflict => KeyringError::Store(StoreError::Unavailable("another process wrote it".into())),
    })?;
    Ok(Keyring::new(1, &seed))
}

#[cfg(test)]
mod tests {
    use store::rows::{DefinitionRow, Origin};
    use store::{MemoryStore, Write};
    use vault::Sealed;

    use super::*;
    use crate::clock::SystemEntropy;

    #[tokio::test]
    async fn a_keyring_is_made_for_an_empty_store_alone() {
        let key = KeyEncryptionKey::new("file", &[7; 32]).expect("a key");
        open_or_create(&MemoryStore::new(), &key, &SystemEntropy).await.map(drop).expect("a first term");

        let store = MemoryStore::new();
        let sealed = Keyring::new(1, &Seed::new(&[9; 32])).seal(
            &vault::Place::new(vault::Kind::Definition, "", b"", "", None, 0),
            b"{}",
            [1; 32],
        );
        let sealed = Sealed::from_bytes(sealed.as_bytes().to_vec()).expect("a record");
        let (kind, origin) = (DefinitionKind::Directory, Origin::Vestal);
        let row = DefinitionRow { kind, name: "directory".to_owned(), origin, removed: None, sealed };
        store.commit(vec![Write::AmendDefinition { row, replaces: None }]).await.expect("stored");
        let refused = open_or_create(&store, &key, &SystemEntropy).await.err().expect("its keyring is gone");
        assert!(refused.to_string().contains("restore a backup"), "{refused}");
        assert!(store.keyring().await.expect("read").is_empty(), "nothing is written over what may be restored");
    }
}
