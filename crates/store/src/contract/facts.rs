//! Rows as text, all of them, so that a check can compare rows and a failure can show them.

use core::fmt::Write as _;

use vault::Sealed;

use crate::rows::{
    AttemptRow, DefinitionRow, DeletedSecretRow, DeliveryRow, KeyringRow, LaneRow, SecretRow, TokenRow, VersionRow,
};

/// Everything of a row, as text.
pub(super) trait Facts {
    fn facts(&self) -> String;
}

impl Facts for SecretRow {
    fn facts(&self) -> String {
        let Self { vault, name, current, changed, keep_versions, sealed } = self;
        let (vault, name, sealed) = (vault.as_str(), name.as_written(), bytes(sealed));
        format!("secret {vault}/{name} current {current} changed {changed} keep {keep_versions:?} {sealed}")
    }
}

impl Facts for DeletedSecretRow {
    fn facts(&self) -> String {
        format!("{} deleted {} purged at {}", self.secret.facts(), self.deleted, self.purged_at)
    }
}

impl Facts for VersionRow {
    fn facts(&self) -> String {
        let Self { vault, name, version, created, enabled, not_before, expires, generation, sealed } = self;
        let (vault, name, sealed) = (vault.as_str(), name.as_written(), bytes(sealed));
        format!(
            "version {vault}/{name}/{version} created {created} enabled {enabled} nbf {not_before:?} exp {expires:?} \
             generation {generation} {sealed}"
        )
    }
}

impl Facts for TokenRow {
    fn facts(&self) -> String {
        let Self { id, vault, name, lane, due, expiry, generation, fence, leased, sealed } = self;
        let (vault, name, sealed) = (vault.as_str(), name.as_written(), bytes(sealed));
        format!(
            "{id:?} {vault}/{name} lane {lane} due {} expiry {} generation {generation} fence {fence} leased {leased} \
             {sealed}",
            due.0, expiry.0
        )
    }
}

impl Facts for AttemptRow {
    fn facts(&self) -> String {
        let Self { token, number, started, sealed } = self;
        format!("attempt {token:?}/{number} started {} {}", started.0, bytes(sealed))
    }
}

impl Facts for LaneRow {
    fn facts(&self) -> String {
        format!("lane {} open at {} {}", self.key, self.open_at.0, bytes(&self.sealed))
    }
}

impl Facts for DeliveryRow {
    fn facts(&self) -> String {
        let Self { token, target, due, asked, behind, expiry, generation, sealed } = self;
        let (due, behind, expiry, sealed) = (due.0, behind.0, expiry.0, bytes(sealed));
        format!(
            "{token:?} to {target} due {due} asked {asked} behind {behind} expiry {expiry} generation {generation} {sealed}"
        )
    }
}

impl Facts for DefinitionRow {
    fn facts(&self) -> String {
        let Self { kind, name, origin, removed, sealed } = self;
        format!("{kind:?} {name} of {origin:?} removed {removed:?} {}", bytes(sealed))
    }
}

impl Facts for KeyringRow {
    fn facts(&self) -> String {
        format!("{self:?}")
    }
}

impl<A: Facts, B: Facts> Facts for (A, B) {
    fn facts(&self) -> String {
        format!("{} with {}", self.0.facts(), self.1.facts())
    }
}

impl<T: Facts> Facts for Option<T> {
    fn facts(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Facts::facts)
    }
}

impl<T: Facts> Facts for Vec<T> {
    fn facts(&self) -> String {
        let mut lines = String::new();
        for row in self {
            writeln!(lines, "{}", row.facts()).expect("a string takes all");
        }
        lines
    }
}

impl<T: Facts + ?Sized> Facts for &T {
    fn facts(&self) -> String {
        (**self).facts()
    }
}

/// A record's length, tag and FNV-1a hash: enough to tell any two that a check makes apart.
fn bytes(sealed: &Sealed) -> String {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = sealed.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold);
    format!("{sealed:?} {hash:016x}")
}
