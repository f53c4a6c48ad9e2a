//! What a token says of the targets that it is delivered to.

use keeper::{DeliverTo, OnChange};
use toml::Spanned;
use toml::de::DeValue;
use vault::SecretName;

use super::secret_reference::TargetName;
use super::setting::{Reading, Schema, Section as _, SectionTable, Shape, Value, section};
use super::value::{PeriodWithin, Text, word_value};

/// How often a target may be looked at: from once a minute to once a week, in seconds.
type CheckEvery = PeriodWithin<60, 604_800>;

section! {
    /// One target that a token is delivered to.
    DeliverySettings {
        /// The target: a `[target.NAME]` of this file.
        to: TargetName = required r#""contoso-azure""#;

        /// The secret's name there; left out, the token's own.
        name: Text = optional r#""discord-api-oauth-token""#;

        /// What is done when somebody else changes it there: `repair` delivers the token again at once, `report` tells
        /// and leaves it until the next token comes. Both are told.
        on_change: OnChange = default r#""repair""#;

        /// Whether the version that a delivery supersedes is disabled there. A reader that holds on to a version by its
        /// id then fails at once, and not when the token dies.
        disable_superseded: bool = default r#"false"#;

        /// How often it is looked at whether the target still holds what was delivered: `1m` to `7d`.
        check_every: CheckEvery = default r#""1h""#;
    }
}

/// Whether a token replaces what was there, or runs beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is delivered under its name.
    Live,
    /// It is delivered beside what a flow writes, and compared with that.
    Shadow,
}

impl DeliverySettings {
    /// The secret's name there, of a token that keeps this secret. In shadow mode [`keeper::SHADOW_SUFFIX`] follows it.
    pub fn name_there(&self, secret: &SecretName) -> String {
        self.name.as_ref().map_or_else(|| secret.to_string(), |name| name.as_str().to_owned())
    }

    /// The delivery of a token that keeps this secret, as the keeper knows it.
    pub fn definition(&self, secret: &SecretName) -> DeliverTo {
        DeliverTo {
            target: self.to.as_str().to_owned(),
            name: self.name_there(secret),
            on_change: self.on_change,
            disable_superseded: self.disable_superseded,
            check_every: self.check_every.period().seconds(),
        }
    }
}

impl Value for DeliverySettings {
    const SHAPE: Shape = Shape {
        noun: "a table with `to`, the name of a target",
        list: "a list of tables",
        schema: Schema::Table(Self::SETTINGS),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        SectionTable::read_nested(value, Self::SHAPE.noun, reading)
    }
}

word_value!(OnChange: "an answer to changes", "a list of answers to changes", [
    "repair" => OnChange::Repair,
    "report" => OnChange::Report,
]);
word_value!(Mode: "a mode", "a list of modes", [
    "live" => Mode::Live,
    "shadow" => Mode::Shadow,
]);
