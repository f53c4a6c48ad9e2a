//! What a database must do for Vestal.

use core::fmt;
use core::future::Future;

use renewal::Wall;
use vault::{RecordTag, SecretName, VaultName, VersionId};

use crate::rows::{
    AttemptRow, DefinitionKind, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenId,
    TokenRow, VersionRow,
};

/// One change, part of a batch that is written whole or not at all.
pub enum Write {
    /// Inserts the secret (`replaces` is `None`; a conflict where it exists, or a deleted one of this name), or replaces
    /// the one whose record is the named one (a conflict where it is another by now).
    Secret {
        /// The new row.
        row: SecretRow,
        /// The record that it was made from.
        replaces: Option<RecordTag>,
    },
    /// Puts the secret whose record is the named one among the deleted ones. A conflict where it is another by now.
    DeleteSecret {
        /// The new row.
        row: DeletedSecretRow,
        /// The record that it was made from: a secret's.
        replaces: RecordTag,
    },
    /// Replaces the deleted secret whose record is the named one. A conflict where it is another by now.
    AmendDeletedSecret {
        /// The new row.
        row: DeletedSecretRow,
        /// The record that it was made from: a deleted secret's.
        replaces: RecordTag,
    },
    /// Brings the deleted secret back whose record is the named one. A conflict where it is another by now.
    RecoverSecret {
        /// The new row.
        row: SecretRow,
        /// The record that it was made from: a deleted secret's.
        replaces: RecordTag,
    },
    /// Destroys the deleted secret whose record is the named one, with all its versions. A conflict where it is another by
    /// now.
    PurgeSecret {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
        /// Its record.
        replaces: RecordTag,
    },
    /// Inserts the version. A conflict where it exists.
    Version(VersionRow),
    /// Replaces the version whose record is the named one. A conflict where it is another by now.
    AmendVersion {
        /// The new row.
        row: VersionRow,
        /// The record that it was made from.
        replaces: RecordTag,
    },
    /// Deletes the oldest versions of the secret until `keep` are left: those that were inserted first, whatever their
    /// `created` says. The current one always stays.
    KeepVersions {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
        /// How many stay; at least 1.
        keep: u32,
    },
    /// Inserts the token (`replaces` is `None`; a conflict where the id, or another token of the same vault and name,
    /// exists), or replaces the row whose record is the named one (a conflict where it is another by now, or where
    /// the generation would go back). Neither `fence` nor `leased` of the row is written: only a claim sets them.
    Token {
        /// The new row.
        row: TokenRow,
        /// The record that it was made from.
        replaces: Option<RecordTag>,
        /// Ends the lease of this fence, if it is still that one.
        releases: Option<u64>,
    },
    /// Deletes the token, its attempts and its deliveries, if it is there.
    RemoveToken(TokenId),
    /// Makes the token that manages this secret due at once, unless its `due` is [`Wall::NEVER`].
    Hasten {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
        /// The new due time; a sooner one stays.
        due: Wall,
    },
    /// Inserts the lane, or replaces it.
    Lane(LaneRow),
    /// Inserts the attempt, or replaces it.
    Attempt(AttemptRow),
    /// Deletes the oldest attempts of the token until `keep` are left.
    KeepAttempts {
        /// The token.
        token: TokenId,
        /// How many stay.
        keep: u32,
    },
    /// Inserts the delivery (`replaces` is `None`; a conflict where it exists), or replaces the one whose record is the
    /// named one (a conflict where it is another by now). `asked` of the row isn't written: it tells which request the
    /// row answers. Where the token has asked again since, the sooner of both due times stays, and so does since when it
    /// is behind.
    Delivery {
        /// The new row.
        row: DeliveryRow,
        /// The record that it was made from.
        replaces: Option<RecordTag>,
    },
    /// Deletes the delivery, if it is there.
    RemoveDelivery {
        /// The token.
        token: TokenId,
        /// The target.
        target: String,
    },
    /// The token has something to deliver: makes all its deliveries due, and notes that it asked.
    Deliver {
        /// The token.
        token: TokenId,
        /// The new due time; a sooner one stays.
        due: Wall,
        /// Since when its targets lack what they should hold; an earlier time stays. [`Wall::NEVER`] where they lack nothing
        /// by what is written here.
        behind: Wall,
    },
    /// Inserts the definition, or replaces it.
    Definition(DefinitionRow),
    /// Inserts the definition (`None`) or replaces the one whose record is the named one. A conflict otherwise.
    AmendDefinition {
        /// The new row.
        row: DefinitionRow,
        /// The record that it was made from.
        replaces: Option<RecordTag>,
    },
    /// Deletes the definition, if it is there.
    RemoveDefinition {
        /// Its kind.
        kind: DefinitionKind,
        /// Its name.
        name: String,
    },
    /// Inserts the term's wrapped seed, or replaces it.
    Keyring(KeyringRow),
}

/// A wish to make one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The token.
    pub token: TokenId,
    /// The generation that the attempt starts from; another one by now, and the claim fails.
    pub parent: u64,
}

/// The durable right to make one attempt. It lives as long as the epoch of the process that claimed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The token.
    pub token: TokenId,
    /// The fence that the claim raised; also the attempt's number.
    pub fence: u64,
}

/// Why a read or a claim failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No room is left. Reads go on; writes succeed again once there is room.
    Full,
    /// The store could not be reached or read. In words, without a value of any row.
    Unavailable(String),
    /// A row is not as it was written. In words: the table and the key.
    Damaged(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => {
                out.write_str("no room is left on the store's disk: free some, and writing goes on by itself")
            }
            Self::Unavailable(why) => write!(out, "the store can't be used now: {why}"),
            Self::Damaged(what) => write!(out, "the store is damaged at {what}: restore a backup"),
        }
    }
}

impl core::error::Error for StoreError {}

/// Why a batch was not written. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// A row was not the one that the batch expected. Read again, decide again.
    Conflict,
    /// The store failed. Of [`StoreError::Unavailable`] it is not known whether the batch was written.
    Store(StoreError),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => out.write_str("somebody else changed it at the same time: read it again"),
            Self::Store(error) => error.fmt(out),
        }
    }
}

impl core::error::Error for CommitError {}

/// Where random bytes come from: the operating system, or a simulation's seed.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);

    /// 32 fresh bytes, such as a record's salt.
    fn bytes32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        bytes
    }

    /// 16 fresh bytes, such as a version's id.
    fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }
}

/// A result that arrives later.
pub trait Answer<T, E = StoreError>: Future<Output = Result<T, E>> + Send {}
impl<T, E, F: Future<Output = Result<T, E>> + Send> Answer<T, E> for F {}

/// The durable state of Vestal. What it acknowledged survives a crash.
///
/// Leases are the store's business: each process that opens the store takes the next *epoch*, a lease lives while the
/// epoch of its claim runs, and no method is told the time for it. Lists come in ascending order of their key and
/// start after `after`.
///
/// A row whose columns can't be read is damaged. Asked for alone it is [`StoreError::Damaged`]. Among secrets, versions
/// and tokens one with a body that opens nowhere stands in its place, so that it hides no other; one whose key can't be
/// read is left out. Such a token is never due.
pub trait Store: Send + Sync + 'static {
    /// Writes the whole batch, durably, or nothing of it. A future that was polled once and
    /// then dropped may still write, but not after a batch that was handed over later.
    fn commit(&self, writes: Vec<Write>) -> impl Answer<(), CommitError>;

    /// One durable compare-and-set: raises the fence and takes the lease, where the generation is the expected one
    /// and no lease lives. `None`: somebody else has it, or the generation moved.
    fn claim(&self, claim: Claim) -> impl Answer<Option<Lease>>;

    /// Gives a lease back that spent nothing, and sets when the token is next due, unless that is [`Wall::NEVER`]. A
    /// lease that is another by now, or of an earlier epoch, is left alone.
    fn release(&self, lease: Lease, due: Wall) -> impl Answer<()>;

    /// The secret and its current version. One without the other is damage.
    fn current(&self, vault: &VaultName, name: &SecretName) -> impl Answer<Option<(SecretRow, VersionRow)>>;

    /// One version.
    fn version(&self, vault: &VaultName, name: &SecretName, version: VersionId) -> impl Answer<Option<VersionRow>>;

    /// Secrets of a vault with their current versions, by folded name.
    fn secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> impl Answer<Vec<(SecretRow, VersionRow)>>;

    /// The deleted secret of this name, and the version that was its current one.
    fn deleted_secret(
        &self,
        vault: &VaultName,
        name: &SecretName,
    ) -> impl Answer<Option<(DeletedSecretRow, VersionRow)>>;

    /// Deleted secrets of a vault with the versions that were their current ones, by folded name.
    fn deleted_secrets(
        &self,
        vault: &VaultName,
        after: Option<&SecretName>,
        limit: usize,
    ) -> impl Answer<Vec<(DeletedSecretRow, VersionRow)>>;

    /// Deleted secrets of all vaults with `purged_at ≤ now`, in Unix seconds, the earliest first.
    fn to_purge(&self, now: i64, limit: usize) -> impl Answer<Vec<(VaultName, SecretName)>>;

    /// Versions of a secret, by version id.
    fn versions(
        &self,
        vault: &VaultName,
        name: &SecretName,
        after: Option<VersionId>,
        limit: usize,
    ) -> impl Answer<Vec<VersionRow>>;

    /// One token.
    fn token(&self, id: TokenId) -> impl Answer<Option<TokenRow>>;

    /// The token that manages this secret.
    fn token_of(&self, vault: &VaultName, name: &SecretName) -> impl Answer<Option<TokenRow>>;

    /// Tokens by id.
    fn tokens(&self, after: Option<TokenId>, limit: usize) -> impl Answer<Vec<TokenRow>>;

    /// Tokens to look at: `due ≤ now`, no living lease, and a lane whose `open_at ≤ now` (a lane without a row is
    /// open). At most `per_lane` of each lane, earliest expiry first within the lane, so that no slow provider starves
    /// another. A lane whose `open_at` is [`Wall::NEVER`] has none. Each call costs little, whether five or all of 100,000 tokens are due.
    fn due(&self, now: Wall, per_lane: usize) -> impl Answer<Vec<TokenRow>>;

    /// The next instant at which [`due`](Self::due) could answer something that it doesn't answer at `now`: the
    /// smallest of max(token's due, lane's `open_at`) that is later than `now`, over tokens without a living lease.
    fn next_due(&self, now: Wall) -> impl Answer<Option<Wall>>;

    /// The token's attempts, newest first, with numbers below `before`.
    fn attempts(&self, token: TokenId, before: Option<u64>, limit: usize) -> impl Answer<Vec<AttemptRow>>;

    /// All lanes that have a row.
    fn lanes(&self) -> impl Answer<Vec<LaneRow>>;

    /// What became of a token at one target.
    fn delivery(&self, token: TokenId, target: &str) -> impl Answer<Option<DeliveryRow>>;

    /// All deliveries, by token and target.
    fn deliveries(&self, after: Option<(TokenId, &str)>, limit: usize) -> impl Answer<Vec<DeliveryRow>>;

    /// Deliveries to one target with `due ≤ now`, those first whose target loses its token first. Each call costs what is
    /// due, not what there is.
    fn due_deliveries(&self, target: &str, now: Wall, limit: usize) -> impl Answer<Vec<DeliveryRow>>;

    /// The smallest due time later than `now` of the deliveries to one target.
    fn next_delivery(&self, target: &str, now: Wall) -> impl Answer<Option<Wall>>;

    /// Deliveries to one target that have been behind since `until` or longer, those first that have been the longest, and
    /// then by token; those after `after` in that order. Each call costs what it answers, not what there is.
    fn deliveries_behind(
        &self,
        target: &str,
        after: Option<(Wall, TokenId)>,
        until: Wall,
        limit: usize,
    ) -> impl Answer<Vec<DeliveryRow>>;

    /// One definition.
    fn definition(&self, kind: DefinitionKind, name: &str) -> impl Answer<Option<DefinitionRow>>;

    /// All definitions of a kind, by name, those that left the configuration file included.
    fn definitions(&self, kind: DefinitionKind) -> impl Answer<Vec<DefinitionRow>>;

    /// All terms of the keyring.
    fn keyring(&self) -> impl Answer<Vec<KeyringRow>>;

    /// Whether a write would be taken now: one tiny durable commit.
    fn probe(&self) -> impl Answer<()>;
}
