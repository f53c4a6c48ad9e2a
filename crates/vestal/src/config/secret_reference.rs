//! Secrets by their names: where a setting takes a secret, the file names the place that holds it.

use core::str::FromStr;

use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;
use vault::{SecretName, VaultName};

use super::definition::unknown_reference;
use super::problem::{Problem, ProblemKind};
use super::setting::{Reading, Schema, Section as _, SectionTable, Shape, Value, section};
use super::suggest::{listed, nearest};
use super::value::read_text;

section! {
    /// A secret, by its name.
    SecretReference {
        /// The secret's name.
        secret: SecretName = required r#""client-credentials""#;

        /// The vault, or the target, that it is in; left out, the token's own vault.
        vault: Holder = optional r#""contoso""#;
    }
}

/// What holds a secret: vaults and targets have one set of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A vault of Vestal's own.
    Vault(VaultName),
    /// A target.
    Target(TargetName),
}

impl Holder {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Vault(name) => name.as_str(),
            Self::Target(name) => name.as_str(),
        }
    }
}

/// The name of a target that the file declares, in lower case. It follows the rules of vaults' names, since both stand
/// in the same places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TargetName(VaultName);

impl TargetName {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TargetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = VaultName::parse(text).map(Self);
        named.map_err(|why| why.to_string().replace("a vault's name", "a target's name"))
    }
}

/// A secret in a vault of Vestal's own, which is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeSecret {
    /// The vault that it is in.
    pub vault: VaultName,
    /// Its name.
    pub secret: SecretName,
}

/// Vaults' names, and targets' too, in any case.
const PATTERN: &str = "^[a-zA-Z](-?[0-9a-zA-Z]){2,23}$";

/// A vault by its name; the file declares it.
impl Value for VaultName {
    const SHAPE: Shape = Shape { noun: "the name of a vault", list: "a list of vaults", schema: Schema::Text(PATTERN) };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let name: Self = read_text(value, reading, ProblemKind::BadName, Self::SHAPE.noun)?;
        if reading.names.vaults.contains_key(name.as_str()) {
            return Some(name);
        }
        if reading.names.targets.contains_key(name.as_str()) {
            let own = listed(reading.names.vaults.keys().map(String::as_str));
            let message = format!("`{name}` is a target, and a vault of Vestal's own is wanted here");
            reading.report(
                Problem::at(ProblemKind::UnknownReference, value.span(), message).label("this is a target").help(
                    format!("write the name of a vault; the vaults are {own}. What goes to a target is `deliver`"),
                ),
            );
            return None;
        }
        let meant = nearest(name.as_str(), reading.names.vaults.keys().map(String::as_str)).map(str::to_owned);
        unknown_reference(value, reading, "vault", name.as_str(), meant);
        None
    }
}

/// A target by its name; the file declares it.
impl Value for TargetName {
    const SHAPE: Shape =
        Shape { noun: "the name of a target", list: "a list of targets", schema: Schema::Text(PATTERN) };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let name: Self = read_text(value, reading, ProblemKind::BadName, Self::SHAPE.noun)?;
        if reading.names.targets.contains_key(name.as_str()) {
            return Some(name);
        }
        if reading.names.vaults.contains_key(name.as_str()) {
            let message = format!("`{}` is a vault of Vestal's own, and a target is wanted here", name.as_str());
            reading.report(
                Problem::at(ProblemKind::UnknownReference, value.span(), message).label("this is a vault").help(
                    "write the name of a `[target.NAME]`: a token is in its own vault already, without being delivered",
                ),
            );
            return None;
        }
        let meant = nearest(name.as_str(), reading.names.targets.keys().map(String::as_str)).map(str::to_owned);
        unknown_reference(value, reading, "target", name.as_str(), meant);
        None
    }
}

impl Value for Holder {
    const SHAPE: Shape = Shape {
        noun: "the name of a vault or a target",
        list: "a list of vaults and targets",
        schema: Schema::Text(PATTERN),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let name: VaultName = read_text(value, reading, ProblemKind::BadName, Self::SHAPE.noun)?;
        if reading.names.vaults.contains_key(name.as_str()) {
            return Some(Self::Vault(name));
        }
        if reading.names.targets.contains_key(name.as_str()) {
            return Some(Self::Target(TargetName(name)));
        }
        let known = reading.names.vaults.keys().chain(reading.names.targets.keys());
        let meant = nearest(name.as_str(), known.map(String::as_str)).map(str::to_owned);
        let kind = if reading.names.targets.is_empty() { "vault" } else { "vault or target" };
        unknown_reference(value, reading, kind, name.as_str(), meant);
        None
    }
}

impl Value for SecretReference {
    const SHAPE: Shape = Shape {
        noun: "the name of a secret, as `{ secret = \"…\" }`",
        list: "a list of secrets",
        schema: Schema::Table(Self::SETTINGS),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            refuse_literal(value, None, reading);
            return None;
        }
        // What stands under any other key, or is no name, may be the secret itself.
        for (key, entry) in value.get_ref().as_table().into_iter().flatten() {
            let is_name = entry.get_ref().as_str().is_some_and(|text| SecretName::parse(text).is_ok());
            if !is_name || !Self::SETTINGS.iter().any(|setting| setting.key == key.get_ref().as_ref()) {
                reading.redactions.mask(entry.span());
            }
        }
        SectionTable::read_nested(value, Self::SHAPE.noun, reading)
    }
}

impl Value for HomeSecret {
    const SHAPE: Shape = SecretReference::SHAPE;

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let example = reading.names.vaults.keys().next().map_or_else(|| "contoso".to_owned(), Clone::clone);
        if value.get_ref().is_str() {
            refuse_literal(value, Some(&example), reading);
            return None;
        }
        let SecretReference { secret, vault } = SecretReference::read(value, reading)?;
        let key = reading.key();
        let problem = match vault {
            Some(Holder::Vault(vault)) => return Some(Self { vault, secret }),
            Some(Holder::Target(target)) => {
                let holder = value.get_ref().as_table().and_then(|table| table.get("vault"));
                let message = format!("the secret of `{key}` is to come from the target `{}`", target.as_str());
                Problem::at(ProblemKind::Contradiction, holder.map_or_else(|| value.span(), Spanned::span), message)
                    .label("a vault of Vestal's own must hold it")
            }
            None => {
                let message = format!("`{key}` doesn't say which vault its secret is in");
                Problem::at(ProblemKind::MissingKey, value.span(), message).label("`vault` is missing here")
            }
        };
        reading.report(problem.help(format!("write `{key} = {{ secret = \"{secret}\", vault = \"{example}\" }}`")));
        None
    }
}

/// A secret stands in the file. It is masked in what is shown, and the operator is told where it belongs: into `vault`
/// where the setting must name one.
fn refuse_literal(value: &Spanned<DeValue<'_>>, vault: Option<&str>, reading: &mut Reading<'_>) {
    reading.redactions.mask(value.span());
    let key = reading.key();
    let name = key.replace('_', "-");
    let (place, path) = match vault {
        Some(vault) => (format!(", vault = \"{vault}\""), format!("{vault}/{name}")),
        None => (String::new(), name.clone()),
    };
    reading.report(
        Problem::at(ProblemKind::SecretInFile, value.span(), format!("the value of `{key}` stands in the file"))
            .label("take it out of here")
            .help(format!(
                "keep it in the vault and name it here:\n    {key} = {{ secret = \"{name}\"{place} }}\n\
                 and then give it its value, which is asked for: vestal secret set {path}\n\
                 Whoever has read this file may have it: let {} give you a new one.",
                if vault.is_some() { "whoever issued it" } else { "the API" }
            )),
    );
}
