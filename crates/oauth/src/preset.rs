//! The presets that ship, and how a name becomes a provider.

use std::collections::{BTreeMap, BTreeSet};

use crate::provider::Provider;
use crate::table::{ProviderError, ProviderTable};

/// The presets' files, by name.
const FILES: [(&str, &str); 2] =
    [("discord", include_str!("../providers/discord.toml")), ("generic", include_str!("../providers/generic.toml"))];

/// All presets, by name.
pub fn presets() -> impl Iterator<Item = (&'static str, ProviderTable)> {
    FILES.iter().map(|(name, text)| (*name, parse(name, text)))
}

/// The names of all presets.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The preset of this name.
pub fn preset(name: &str) -> Option<ProviderTable> {
    FILES.iter().find(|(known, _)| *known == name).map(|(known, text)| parse(known, text))
}

/// The provider that `name` means, where `own` are the operator's `[provider.…]` tables.
///
/// A table lies over what its `extends` names; without one, over the preset of the same name; else over `generic`.
/// `extends` names another of the operator's tables or a preset; the table's own name there means the preset.
pub fn resolve(name: &str, own: &BTreeMap<String, ProviderTable>) -> Result<Provider, ProviderError> {
    let mut layers = Vec::new();
    let mut seen = Vec::new();
    let mut next = name.to_owned();
    loop {
        let Some(table) = own.get(&next).filter(|_| !seen.contains(&next)) else {
            // The bottom: a preset, or a name that means nothing, or a circle.
            match preset(&next) {
                Some(table) => layers.push(table),
                None => return Err(unknown(&next, seen.last(), own)),
            }
            break;
        };
        layers.push(table.clone());
        let below = match &table.extends {
            Some(below) => below.clone(),
            None if preset(&next).is_some() => next.clone(),
            None => "generic".to_owned(),
        };
        seen.push(core::mem::replace(&mut next, below));
    }
    let merged = layers.into_iter().reduce(ProviderTable::over).unwrap_or_default();
    merged.complete(name)
}

/// The name leads nowhere: nobody has it, or its tables extend each other in a circle.
fn unknown(name: &str, extended_by: Option<&String>, own: &BTreeMap<String, ProviderTable>) -> ProviderError {
    let known = || {
        let names: BTreeSet<&str> = FILES.iter().map(|(name, _)| *name).chain(own.keys().map(String::as_str)).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    match extended_by {
        Some(table) if own.contains_key(name) => ProviderError {
            provider: table.clone(),
            field: "extends",
            problem: format!("`{name}` leads back to itself: let one of the circle extend a preset"),
        },
        Some(table) => ProviderError {
            provider: table.clone(),
            field: "extends",
            problem: format!("nobody has the name `{name}`: write one of {}", known()),
        },
        None => ProviderError {
            provider: name.to_owned(),
            field: "",
            problem: format!(
                "there is no such provider: write one of {}, or describe it in `[provider.{name}]` with its `token_url`",
                known()
            ),
        },
    }
}

fn parse(name: &str, text: &str) -> ProviderTable {
    match toml::from_str(text) {
        Ok(table) => table,
        Err(problem) => unreachable!("the embedded preset `{name}` is read by the tests: {problem}"),
    }
}
