//! The keyring of a store: its terms' seeds, unwrapped by the key-encryption key.

use core::fmt;

use store::rows::KeyringRow;
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
        let seed = WrappedSeed::from_bytes(row.wrapped)
            .and_then(|wrapped| key.unwrap(&wrapped))
            .map_err(|error| KeyringError::Unwrap(row.term, error))?;
        keyring = Some(match keyring {
            None => Keyring::new(row.term, &seed),
            Some(keyring) => keyring.with_term(row.term, &seed).map_err(|_| KeyringError::Terms)?,
        });
    }
    if let Some(keyring) = keyring {
        return Ok(keyring);
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
