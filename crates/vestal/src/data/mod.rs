//! The data folder: who may use it, its key file, and the store inside.
//!
//! ```text
//! DIR/store.sqlite   the store; everything in it but keys, order and schedule is sealed
//! DIR/key            the key-encryption key: whoever has it and the store can read every secret
//! DIR/audit.jsonl    one line for every access to a secret
//! DIR/control.sock   the admin API of the running process
//! DIR/tls/           the local CA and the server's certificate, where the operator gave none
//! ```

mod folder;
mod key_file;
mod keyring;
mod open;
#[cfg(test)]
mod tests;

pub use self::folder::{DataFolder, FolderError};
pub use self::key_file::{KeyFileError, open_or_create as open_or_create_key_file};
pub use self::keyring::{KeyringError, open_or_create as open_or_create_keyring};
pub use self::open::open_store;
