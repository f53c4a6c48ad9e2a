//! The versions of the API that clients ask for.

/// A version of Key Vault's API that is answered. All of them have one shape but for what the methods here tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersion(&'static str);

/// Every version that is answered, the newest stable one first.
pub const API_VERSIONS: [ApiVersion; 17] = [
    ApiVersion("2026-04-01"),
    ApiVersion("2025-07-01"),
    ApiVersion("7.6"),
    ApiVersion("7.5"),
    ApiVersion("7.4"),
    ApiVersion("7.3"),
    ApiVersion("7.2"),
    ApiVersion("7.1"),
    ApiVersion("7.0"),
    ApiVersion("2016-10-01"),
    ApiVersion("7.6-preview.1"),
    ApiVersion("7.6-preview.2"),
    ApiVersion("2025-06-01-preview"),
    ApiVersion("2026-01-01-preview"),
    ApiVersion("2026-03-01-preview"),
    ApiVersion("2026-05-01-preview"),
    ApiVersion("2026-07-01-preview"),
];

impl ApiVersion {
    /// The version of this name, if it is one that is answered.
    pub fn parse(name: &str) -> Option<Self> {
        API_VERSIONS.into_iter().find(|version| version.0 == name)
    }

    /// How it is written.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether attributes tell `recoverableDays`: from 7.1 on.
    pub(crate) fn tells_recoverable_days(self) -> bool {
        !matches!(self.0, "2016-10-01" | "7.0")
    }
}

/// The newest stable version, which the refusal of an unknown one names.
pub(crate) const NEWEST: ApiVersion = API_VERSIONS[0];
