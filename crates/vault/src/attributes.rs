//! What Key Vault calls a version's attributes.

/// The attributes of one version of a secret. All times are Unix seconds.
///
/// `not_before` and `expires` only inform the reader: a version outside them is still served, as in Azure. Only
/// `enabled` keeps a version from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Whether the version can be read.
    pub enabled: bool,
    /// `nbf`: the moment from which the value is meant to be used.
    pub not_before: Option<i64>,
    /// `exp`: the moment from which the value is of no more use.
    pub expires: Option<i64>,
    /// When the version was made.
    pub created: i64,
    /// When an attribute, a tag or the content type last changed.
    pub updated: i64,
}

impl Attributes {
    /// The attributes of a version made at `now`: enabled, and without an end.
    pub fn made_at(now: i64) -> Self {
        Self { enabled: true, not_before: None, expires: None, created: now, updated: now }
    }

    /// The attributes after the change, made at `now`.
    #[must_use]
    pub fn changed(self, change: AttributesChange, now: i64) -> Self {
        Self {
            enabled: change.enabled.unwrap_or(self.enabled),
            not_before: change.not_before.or(self.not_before),
            expires: change.expires.or(self.expires),
            created: self.created,
            updated: now,
        }
    }
}

/// What a caller wants changed. What is `None` stays as it is, so that `not_before` and `expires` can be moved but
/// not removed, as in Azure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributesChange {
    /// Whether the version can be read.
    pub enabled: Option<bool>,
    /// `nbf`, in Unix seconds.
    pub not_before: Option<i64>,
    /// `exp`, in Unix seconds.
    pub expires: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let made = Attributes::made_at(100);
        let bounded = made.changed(AttributesChange { expires: Some(900), ..AttributesChange::default() }, 200);
        assert_eq!(bounded, Attributes { expires: Some(900), updated: 200, ..made });
        let disabled = bounded.changed(AttributesChange { enabled: Some(false), ..AttributesChange::default() }, 300);
        assert_eq!(disabled, Attributes { enabled: false, expires: Some(900), updated: 300, ..made });
    }
}
