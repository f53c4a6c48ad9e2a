//! The ports of Vestal's state, and what lies behind them when it is opened.
//!
//! [`Store`] is what a database must do for Vestal: one transactional write ([`Store::commit`]), one compare-and-set
//! that decides who may renew a token ([`Store::claim`]), and reads. It moves [rows](rows): clear columns for keys,
//! order and search, and everything else in one sealed body, which no store can read. [`Records`] stands on a store
//! and seals and opens those bodies; everything above it sees opened values. Read these two first.
//!
//! This crate names no database, no file system and no runtime. [`MemoryStore`] is the reference that
//! [`contract`] holds every other store against.

mod audit;
pub mod contract;
mod damage;
mod memory;
mod port;
mod records;
pub mod rows;
pub mod target;

pub use audit::{Audit, AuditEntry, AuditError, AuditOutcome, AuditWrite, MemoryAudit, RecordedEntry};
pub use damage::Damage;
pub use memory::{Fate, MemoryStore, MemoryTarget, MemoryVersion, Mishap, TargetCalls};
pub use port::{Answer, Claim, CommitError, Entropy, Lease, Store, StoreError, Write};
pub use records::{
    Amendment, Attempt, BackUpError, CACHE_BYTES, Current, Danger, Declared, Deleted, Delivery, DeliveryFailure,
    DeliveryState, ForeignChange, GENERATION_TAG, Gap, KEEP_ATTEMPTS, MOST_TARGETS, NewSecret, NotDisabled, Outcome,
    Promotion, RecordError, Records, SetCondition, ShadowLog, ShadowLook, Token, WrittenVersion,
};
pub use target::{Held, Mark, Parcel, Target, TargetAnswer, TargetError, TargetErrorKind, TargetPace};
