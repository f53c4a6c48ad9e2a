//! The rows that a [`Store`](crate::Store) keeps.
//!
//! Every row is a record: the columns named here stand in the clear, for keys, order and search; everything else is
//! in `sealed`. Each row's `place` names what its seal is bound to: all its clear columns but the scheduling ones
//! (`fence`, `lease`, `due`, `asked`, `behind`, `lane`, `open_at`), whose change could only delay or hasten. A row that was moved,
//! renamed or edited in the file therefore doesn't open.
//!
//! | row | key | bound columns | scheduling columns |
//! |---|---|---|---|
//! | [`SecretRow`] | vault, name | current, changed, keep_versions | |
//! | [`DeletedSecretRow`] | vault, name | current, changed, keep_versions, deleted, purged_at | |
//! | [`VersionRow`] | vault, name, version | created, enabled, not_before, expires, generation | |
//! | [`TokenRow`] | id | vault, name, expiry, generation | lane, due, fence, lease |
//! | [`AttemptRow`] | token, number | started | |
//! | [`LaneRow`] | key | | open_at |
//! | [`DeliveryRow`] | token, target | expiry, generation | due, asked, behind |
//! | [`DefinitionRow`] | kind, name | origin, removed | |
//! | [`KeyringRow`] | term | (wrapped, not sealed) | |

use core::fmt;

use renewal::Wall;
use vault::{Kind, Place, Sealed, SecretName, VaultName, VersionId};

/// A secret: which of its versions is the current one.
///
/// `name` compares by its folded form; a row that comes from a store carries the folded form alone, since the name
/// as first written is in the sealed body.
#[derive(Clone)]
pub struct SecretRow {
    /// The vault it is in.
    pub vault: VaultName,
    /// Its name.
    pub name: SecretName,
    /// The version that a read without a version id gets.
    pub current: VersionId,
    /// When any of it last changed, in Unix seconds.
    pub changed: i64,
    /// How many versions are kept; `None` keeps all.
    pub keep_versions: Option<u32>,
    /// The name as first written.
    pub sealed: Sealed,
}

impl SecretRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        Place::new(Kind::Secret, self.vault.as_str(), self.name.folded().as_bytes(), self.name.folded(), None, 0)
            .column(&self.current.0)
            .number(self.changed)
            .optional_number(self.keep_versions.map(i64::from))
    }
}

/// A secret that was deleted and can still be recovered. Its name stays taken, and its versions stay where they are.
#[derive(Clone)]
pub struct DeletedSecretRow {
    /// The secret as it stood, with its record sealed for this place.
    pub secret: SecretRow,
    /// When it was deleted, in Unix seconds.
    pub deleted: i64,
    /// From when on it is purged, in Unix seconds.
    pub purged_at: i64,
}

impl DeletedSecretRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        let SecretRow { vault, name, current, changed, keep_versions, sealed: _ } = &self.secret;
        Place::new(Kind::DeletedSecret, vault.as_str(), name.folded().as_bytes(), name.folded(), None, 0)
            .column(&current.0)
            .number(*changed)
            .optional_number(keep_versions.map(i64::from))
            .number(self.deleted)
            .number(self.purged_at)
    }
}

/// One version of a secret.
#[derive(Clone)]
pub struct VersionRow {
    /// The vault it is in.
    pub vault: VaultName,
    /// The secret's name.
    pub name: SecretName,
    /// Its id.
    pub version: VersionId,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// Whether it may be read.
    pub enabled: bool,
    /// `nbf`, in Unix seconds.
    pub not_before: Option<i64>,
    /// `exp`, in Unix seconds.
    pub expires: Option<i64>,
    /// The generation of the managed token that it holds; 0 for what somebody wrote.
    pub generation: u64,
    /// A [`vault::SecretBody`].
    pub sealed: Sealed,
}

impl VersionRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        let name = self.name.folded();
        Place::new(Kind::Version, self.vault.as_str(), &self.version.0, name, Some(&self.version), self.generation)
            .number(self.created)
            .flag(self.enabled)
            .optional_number(self.not_before)
            .optional_number(self.expires)
    }
}

/// The id of a managed token: 16 random bytes, made when the token is first declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 16]);

impl fmt::Display for TokenId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// A managed token: the schedule of the secret that it keeps fresh. What an operator declared of it is a
/// [`DefinitionRow`] of kind [`DefinitionKind::Token`] and of the name `vault/name`.
#[derive(Clone)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// The vault of its secret.
    pub vault: VaultName,
    /// Its secret's name; at most one token has it.
    pub name: SecretName,
    /// The lane that it is renewed in: token host and client.
    pub lane: String,
    /// When it is next to be looked at; [`Wall::NEVER`] while it is paused or needs consent.
    pub due: Wall,
    /// When its value dies; 0 while it never had one, the assumed end, or [`Wall::NEVER`], where
    /// no end is known.
    pub expiry: Wall,
    /// How many times it has been renewed. It only goes up.
    pub generation: u64,
    /// How often it was claimed. Only [`Store::claim`](crate::Store::claim) raises it.
    pub fence: u64,
    /// Whether a claim of a running process holds it. Only `claim` sets it.
    pub leased: bool,
    /// Its standing, as JSON.
    pub sealed: Sealed,
}

impl TokenRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        Place::new(Kind::Token, self.vault.as_str(), &self.id.0, self.name.folded(), None, self.generation)
            .number(self.expiry.0)
    }
}

/// One attempt to renew a token. Its number is the fence of its claim.
#[derive(Clone)]
pub struct AttemptRow {
    /// The token.
    pub token: TokenId,
    /// Its number: the fence of its claim. Later attempts that only repeat its failure are counted on it.
    pub number: u64,
    /// When it began.
    pub started: Wall,
    /// What came of it, as JSON.
    pub sealed: Sealed,
}

impl AttemptRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        let mut key = self.token.0.to_vec();
        key.extend_from_slice(&self.number.to_be_bytes());
        Place::new(Kind::Attempt, "", &key, "", None, 0).number(self.started.0)
    }
}

/// What a lane must remember over a restart.
#[derive(Clone)]
pub struct LaneRow {
    /// Token host and client.
    pub key: String,
    /// No token of the lane is due before.
    pub open_at: Wall,
    /// Breaker and pause, as JSON.
    pub sealed: Sealed,
}

impl LaneRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        Place::new(Kind::Lane, "", self.key.as_bytes(), "", None, 0)
    }
}

/// What became of a token at one target: the outbox. A delivery is due until its target holds the token's generation, and
/// then again when it is to be looked at.
#[derive(Clone)]
pub struct DeliveryRow {
    /// The token.
    pub token: TokenId,
    /// The name of the target's definition.
    pub target: String,
    /// When it is next to be looked at; [`Wall::NEVER`] while there is nothing to deliver.
    pub due: Wall,
    /// How often the token asked for it. Only [`Write::Deliver`](crate::Write::Deliver) raises it.
    pub asked: u64,
    /// Since when the target lacks what it should hold: neither a failure nor a newer generation moves it.
    /// [`Wall::NEVER`] while it lacks nothing.
    pub behind: Wall,
    /// When what the target holds dies: the most urgent is the smallest. 0 while it holds nothing of ours.
    pub expiry: Wall,
    /// The generation that the target was last seen to hold; 0 for none.
    pub generation: u64,
    /// Name, version, failures and the like, as JSON.
    pub sealed: Sealed,
}

impl DeliveryRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        let mut key = self.token.0.to_vec();
        key.extend_from_slice(self.target.as_bytes());
        Place::new(Kind::Delivery, "", &key, "", None, self.generation).number(self.expiry.0)
    }
}

/// What a [`DefinitionRow`] defines. The number is stored: it is never given to another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DefinitionKind {
    /// The directory itself: tenant id, pepper and signing keys. One row, of our own making.
    Directory = 1,
    /// A vault.
    Vault = 2,
    /// A provider of the operator's own.
    Provider = 3,
    /// A managed token; the name is `vault/name`.
    Token = 4,
    /// An app registration.
    App = 5,
    /// An access policy.
    Policy = 6,
    /// Another vault, to deliver to and to read credentials from.
    Target = 7,
    /// What is known of a credential's end; the name is `vault/name`. Of our own making.
    Credential = 8,
}

impl DefinitionKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Directory,
        Self::Vault,
        Self::Provider,
        Self::Token,
        Self::App,
        Self::Policy,
        Self::Target,
        Self::Credential,
    ];

    /// The word that people read and write: `token`, `policy`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Vault => "vault",
            Self::Provider => "provider",
            Self::Token => "token",
            Self::App => "app",
            Self::Policy => "policy",
            Self::Target => "target",
            Self::Credential => "credential",
        }
    }

    /// The kind that a stored number stands for.
    pub fn from_stored(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// Who may change a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Origin {
    /// It stands in the configuration file, and only that changes it.
    File = 1,
    /// It was made with the CLI, the API or the dashboard.
    Admin = 2,
    /// It is Vestal's own.
    Vestal = 3,
}

impl Origin {
    /// The word that people read: `file`, `admin`, `vestal`.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Admin => "admin",
            Self::Vestal => "vestal",
        }
    }

    /// The origin that a stored number stands for.
    pub fn from_stored(number: u8) -> Option<Self> {
        [Self::File, Self::Admin, Self::Vestal].into_iter().find(|origin| *origin as u8 == number)
    }
}

/// A thing that was declared: a vault, a token, an app, a policy.
#[derive(Clone)]
pub struct DefinitionRow {
    /// What it defines.
    pub kind: DefinitionKind,
    /// Its name, unique within its kind.
    pub name: String,
    /// Who may change it.
    pub origin: Origin,
    /// When it left the configuration file, in Unix seconds; it is kept 30 days, doing nothing.
    pub removed: Option<i64>,
    /// The declaration, as JSON.
    pub sealed: Sealed,
}

impl DefinitionRow {
    /// What the seal is bound to.
    pub fn place(&self) -> Place {
        let mut key = vec![self.kind as u8];
        key.extend_from_slice(self.name.as_bytes());
        Place::new(Kind::Definition, "", &key, "", None, 0).column(&[self.origin as u8]).optional_number(self.removed)
    }
}

/// One term's seed, wrapped by the key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringRow {
    /// The term.
    pub term: u32,
    /// The wrapped seed, in the format of [`vault::Keyring`].
    pub wrapped: Vec<u8>,
}
