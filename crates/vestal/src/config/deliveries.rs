//! What tokens and targets say of each other: one target for each place, each token once at each target, no two of them
//! under one name, and no credential read from where it can't be.

use core::ops::Range;
use std::collections::BTreeMap;

use delivery::TargetDefinition;
use keeper::SHADOW_SUFFIX;
use store::MOST_TARGETS;
use toml::Spanned;
use toml::de::DeValue;

use super::check::secret_of;
use super::definition::TokenSettings;
use super::delivery::{DeliverySettings, Mode};
use super::document::Found;
use super::problem::{Problem, ProblemKind};
use super::process::ServerSettings;
use super::secret_reference::TargetName;
use super::setting::Reading;
use super::target::Target;

/// Targets that are right in themselves, by their names in lower case.
type Targets<'a> = BTreeMap<String, &'a Target>;

/// A name at a target: what is written there is written by one token. Names have no case.
type Spot<'a> = (&'a str, String);

/// Checks what tokens, in the order of the file, say of targets.
pub(super) fn check(
    targets: &[Found<'_, Target>],
    tokens: &[(&Found<'_, TokenSettings>, &TokenSettings)],
    reading: &mut Reading<'_>,
) {
    one_for_each_place(targets, reading);
    let targets: Targets<'_> =
        targets.iter().filter_map(|target| Some((target.name.to_ascii_lowercase(), target.body.as_ref()?))).collect();
    let mut written = BTreeMap::new();
    for (token, settings) in tokens {
        shadow(token, settings, reading);
        how_many(token, settings, reading);
        for (index, delivery) in settings.deliver.iter().enumerate() {
            let delivery = Delivery { token, settings, delivery, index };
            if delivery.is_again() {
                reading.report(delivery.again());
            } else if let Some(target) = targets.get(delivery.delivery.to.as_str()) {
                delivery.check(target, &mut written, reading);
            }
        }
    }
    for (token, settings) in tokens {
        for (key, target_name, secret) in settings.target_credentials() {
            let Some(target) = targets.get(target_name.as_str()) else { continue };
            let place = vault_of(token, key);
            if matches!(target.definition, TargetDefinition::File { .. }) {
                reading.report(from_a_folder(place, key, target_name));
            } else if let Some((writer, span)) = written.get(&(target_name.as_str(), secret.folded().to_owned())) {
                let message = format!("`{key}` of `{}` would be overwritten by a token", token.name);
                reading.report(
                    Problem::at(ProblemKind::Contradiction, place, message)
                        .label(format!("the secret `{secret}` of `{}`", target_name.as_str()))
                        .related(span.clone(), format!("`[token.{writer}]` is delivered there under this name"))
                        .help("deliver the token under another `name`, or name another secret here"),
                );
            }
        }
    }
}

/// Targets that are one of Vestal's own vaults: it would deliver to itself for ever.
pub(super) fn own_vaults(targets: &[Found<'_, Target>], server: &ServerSettings, reading: &mut Reading<'_>) {
    for target in targets {
        let Some(Target { definition: TargetDefinition::AzureKeyVault { url, .. }, .. }) = &target.body else {
            continue;
        };
        let port = server.listen.port();
        let own = reading.names.vaults.keys().filter_map(|name| vault::VaultName::parse(name).ok());
        let own = own.into_iter().find(|name| server.vault_url_for(name, port) == *url);
        if let Some(vault) = own {
            let message = format!("the target `{}` is a vault of this Vestal", target.name);
            reading.report(
                Problem::at(ProblemKind::Contradiction, target.span("url"), message)
                    .label(format!("the address of `[vault.{vault}]`"))
                    .help("take the target out: a token is in its vault already, without being delivered"),
            );
        }
    }
}

/// Targets at one address or folder. Each keeps a pace of its own, and both together would be faster than the place
/// allows.
fn one_for_each_place(targets: &[Found<'_, Target>], reading: &mut Reading<'_>) {
    let mut known: BTreeMap<&str, &Found<'_, Target>> = BTreeMap::new();
    for target in targets {
        let Some(body) = &target.body else { continue };
        let Some(first) = known.get(body.place()) else {
            known.insert(body.place(), target);
            continue;
        };
        let key = match body.definition {
            TargetDefinition::AzureKeyVault { .. } => "url",
            TargetDefinition::File { .. } => "folder",
        };
        let message = format!("the targets `{}` and `{}` are one place", first.name, target.name);
        reading.report(
            Problem::at(ProblemKind::Contradiction, target.span(key), message)
                .label("the second time")
                .related(first.span(key), "the first time")
                .help(format!(
                    "take one of them out, and write `{}` wherever the other stands: a target keeps the pace of its place, \
                     and two of them would not",
                    first.name
                )),
        );
    }
}

fn shadow(token: &Found<'_, TokenSettings>, settings: &TokenSettings, reading: &mut Reading<'_>) {
    if settings.mode == Mode::Shadow && settings.deliver.is_empty() {
        let message = format!("`{}` is in shadow mode, and is delivered nowhere", token.name);
        reading.report(
            Problem::at(ProblemKind::Contradiction, token.span("mode"), message)
                .label("there is nothing to compare")
                .help(
                    "shadow mode compares the token with what a flow keeps in another vault: say which, with a line \
                     such as `deliver = [{ to = \"contoso-azure\" }]`, or take `mode` out",
                ),
        );
    }
}

fn how_many(token: &Found<'_, TokenSettings>, settings: &TokenSettings, reading: &mut Reading<'_>) {
    let count = settings.deliver.len();
    if count > MOST_TARGETS {
        let message = format!("a token is delivered to {MOST_TARGETS} targets at most, and this to {count}");
        reading.report(
            Problem::at(ProblemKind::BadValue, token.span("deliver"), message)
                .label("too many")
                .help("write a second token with another `secret` for the rest"),
        );
    }
}

/// One entry of a token's `deliver`.
struct Delivery<'a, 'b> {
    token: &'b Found<'a, TokenSettings>,
    settings: &'b TokenSettings,
    delivery: &'b DeliverySettings,
    index: usize,
}

impl<'a, 'b> Delivery<'a, 'b> {
    /// Whether an entry before it has the same target.
    fn is_again(&self) -> bool {
        self.settings.deliver[..self.index].iter().any(|before| before.to == self.delivery.to)
    }

    fn again(&self) -> Problem {
        let target = self.delivery.to.as_str();
        let first = self.settings.deliver.iter().position(|entry| entry.to == self.delivery.to).unwrap_or_default();
        let message = format!("`{}` is delivered to `{target}` twice", self.token.name);
        Problem::at(ProblemKind::Contradiction, self.span("to"), message)
            .label("the second time")
            .related(entry_span(self.token, first, "to"), "the first time")
            .help("keep one of the two; for a second name there, write a second token with another `secret`")
    }

    fn check(
        &self,
        target: &Target,
        written: &mut BTreeMap<Spot<'b>, (&'a str, Range<usize>)>,
        reading: &mut Reading<'_>,
    ) {
        let Some(secret) = secret_of(self.token, self.settings) else {
            return; // Its name has been refused.
        };
        let to = self.delivery.to.as_str();
        let name = self.delivery.name_there(&secret);
        let in_shadow = (self.settings.mode == Mode::Shadow).then(|| format!("{name}{SHADOW_SUFFIX}"));
        let place = self.name_span();
        if self.delivery.disable_superseded && matches!(target.definition, TargetDefinition::File { .. }) {
            let message = format!("`disable_superseded` has no meaning for `{to}`");
            reading.report(
                Problem::at(ProblemKind::Contradiction, self.span("disable_superseded"), message)
                    .label("a file has no versions")
                    .help("take it out: a new token takes the place of the one before"),
            );
        }
        let real = target.admits(&name).map_err(|rule| (&name, rule));
        let both = real.and_then(|()| match &in_shadow {
            Some(name) => target.admits(name).map_err(|rule| (name, rule)),
            None => Ok(()),
        });
        if let Err((refused, rule)) = both {
            let message = format!("the target `{to}` can't hold a secret named `{}`", refused.escape_debug());
            let mut problem = Problem::at(ProblemKind::BadName, place, message).label(rule);
            if *refused != name {
                problem = problem.label(format!("{rule}; in shadow mode `{SHADOW_SUFFIX}` comes after it"));
            }
            return reading
                .report(problem.help("give it another name there: `name = \"discord-api-oauth-token\"` in `deliver`"));
        }
        for name in [Some(name), in_shadow].into_iter().flatten() {
            let spot = (to, name.to_ascii_lowercase());
            if let Some((other, first)) = written.get(&spot) {
                let message = format!("two tokens would be delivered to `{to}` as `{name}`");
                return reading.report(
                    Problem::at(ProblemKind::SecretManagedTwice, place, message)
                        .label("the second time")
                        .related(first.clone(), format!("the first time, by `[token.{other}]`"))
                        .help("give one of them another `name` in its `deliver`; names there have no case"),
                );
            }
            written.insert(spot, (self.token.name, place.clone()));
        }
    }

    fn span(&self, key: &str) -> Range<usize> {
        entry_span(self.token, self.index, key)
    }

    /// Where its name there comes from: itself, the token's secret, or the header.
    fn name_span(&self) -> Range<usize> {
        let own = entry(self.token, self.index).and_then(|entry| entry.get_ref().get("name"));
        let secret = || self.token.table.get("secret");
        own.or_else(secret).map_or_else(|| self.token.key.clone(), Spanned::span)
    }
}

fn from_a_folder(place: Range<usize>, key: &str, target: &TargetName) -> Problem {
    let message = format!("`{key}` is to be read from `{}`, which is a folder of files", target.as_str());
    Problem::at(ProblemKind::Contradiction, place, message)
        .label("tokens go there, and nothing is read from it")
        .help("keep the credential in a vault of Vestal's own, where it is sealed: `vestal secret set` asks for it")
}

/// Where a credential's setting names its holder.
fn vault_of(token: &Found<'_, TokenSettings>, key: &str) -> Range<usize> {
    let holder = token.table.get(key).and_then(|value| value.get_ref().get("vault"));
    holder.map_or_else(|| token.span(key), Spanned::span)
}

fn entry<'a>(token: &Found<'a, TokenSettings>, index: usize) -> Option<&'a Spanned<DeValue<'a>>> {
    token.table.get("deliver")?.get_ref().as_array()?.get(index)
}

fn entry_span(token: &Found<'_, TokenSettings>, index: usize, key: &str) -> Range<usize> {
    let Some(entry) = entry(token, index) else {
        return token.span("deliver");
    };
    entry.get_ref().get(key).map_or_else(|| entry.span(), Spanned::span)
}
