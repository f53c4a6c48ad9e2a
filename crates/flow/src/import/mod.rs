//! From flows to a configuration.

mod names;
mod provider;
mod renewal;
mod target;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use secret::Secret;

use self::names::Names;
use self::renewal::{Renewal, renewals};
use self::target::Targets;
use crate::finding::{findings, typed_life};
use crate::flow::Flow;
use crate::pattern::{Found, Study};
use crate::report::{Gap, Report};
use crate::settings::{self, ProviderTable, TokenTable};
use crate::spending::spending;
use crate::text::{duration, one_line};

/// What the result should be like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of Vestal's own vault, in which tokens are renewed.
    pub home_vault: String,
    /// The providers that Vestal knows.
    pub presets: Vec<Preset>,
    /// Which key vault a connection leads to: `https://contoso.vault.azure.net`, by `CONNECTION`, or by `FLOW/CONNECTION`
    /// for the one of that name in one flow, which wins.
    pub vaults: BTreeMap<String, String>,
    /// Whether the tokens begin in shadow mode, beside the flow.
    pub shadow: bool,
    /// Vestal's data folder, where it isn't the usual one beside the configuration.
    pub data: Option<String>,
}

/// A provider that Vestal knows.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name in a configuration.
    pub name: String,
    /// Its token endpoint.
    pub token_url: String,
    /// What stands between two scopes.
    pub scope_separator: String,
    /// The lifetime that it documents, in seconds.
    pub lifetime: Option<u64>,
}

/// What came of an import.
pub struct Import {
    /// The configuration. It holds no secret.
    pub toml: String,
    /// What is told of it.
    pub report: Report,
    /// The secrets that stood in the flows in clear text, for Vestal's own vault.
    pub secrets: Vec<ClearSecret>,
    /// The keys of [`Options::vaults`] that were needed.
    pub answered: BTreeSet<String>,
}

/// A secret that stood in a flow in clear text.
pub struct ClearSecret {
    /// The vault of Vestal's that the configuration expects it in.
    pub vault: String,
    /// The name that the configuration expects it under.
    pub name: String,
    /// The secret.
    pub value: Secret,
    /// What it is, for people: "the client secret of …".
    pub what: String,
}

/// Takes over the flows: all that is understood of them, as one configuration. What isn't is in the report.
pub fn import(flows: &[Flow], options: &Options) -> Import {
    let titles = titles(flows);
    let mut importer = Importer {
        options,
        report: Report::default(),
        answered: BTreeSet::new(),
        names: Names::default(),
        secrets: Vec::new(),
        targets: Targets::new(&options.home_vault),
        providers: Vec::new(),
        tokens: Vec::new(),
    };
    let mut studies = Vec::new();
    for (flow, title) in flows.iter().zip(titles) {
        if let Some(reason) = &flow.unreadable {
            let words = format!("it {reason}");
            importer.report.gaps.push(Gap { flow: title, action: None, words });
        } else {
            let mut study = Study::of(flow, title, &options.vaults);
            let found = study.tokens();
            let renewals = renewals(&mut study, found);
            studies.push((study, renewals));
        }
    }
    importer.told_apart(&mut studies);
    for (study, renewals) in studies {
        importer.flow(study, &renewals);
    }
    importer.finish(flows)
}

/// What the flows are called: by their names, told apart where two have the same.
fn titles(flows: &[Flow]) -> Vec<String> {
    let mut titles: Vec<String> = flows.iter().map(|flow| one_line(&flow.name).chars().take(120).collect()).collect();
    let count = |titles: &[String], title: &String| titles.iter().filter(|other| *other == title).count();
    let twice: Vec<bool> = titles.iter().map(|title| count(&titles, title) > 1).collect();
    for ((title, flow), _) in titles.iter_mut().zip(flows).zip(&twice).filter(|(_, twice)| **twice) {
        *title = format!("{title} ({})", one_line(&flow.file));
    }
    let mut seen = BTreeSet::new();
    for title in &mut titles {
        let free = (2..).map(|number| format!("{title} {number}")).find(|numbered| !seen.contains(numbered));
        if let (false, Some(free)) = (seen.insert(title.clone()), free) {
            seen.insert(free.clone());
            *title = free;
        }
    }
    titles
}

struct Importer<'a> {
    options: &'a Options,
    report: Report,
    answered: BTreeSet<String>,
    /// The names of Vestal's own vault.
    names: Names,
    secrets: Vec<ClearSecret>,
    targets: Targets,
    providers: Vec<ProviderTable>,
    tokens: Vec<TokenTable>,
}

impl Importer<'_> {
    /// Gives each renewal its name, and takes out those that keep a secret which another keeps already.
    fn told_apart(&mut self, studies: &mut [(Study<'_>, Vec<Renewal>)]) {
        // Who keeps a secret of a key vault: which flow, by which action, with which request.
        let mut kept: BTreeMap<(String, String), (String, String, String)> = BTreeMap::new();
        for (study, renewals) in studies {
            renewals.retain_mut(|renewal| {
                let request = renewal.request();
                let put = study.name(renewal.token.put).to_owned();
                let other = renewal.places().find_map(|place| kept.get(&place)).cloned();
                if let Some((flow, action, theirs)) = other {
                    let secret = &renewal.token.target.name;
                    if theirs == request {
                        study.notes.push(format!("`{secret}` is kept by \"{flow}\", `{action}`, too: it is taken over once"));
                    } else {
                        let words = if flow == study.title {
                            format!("`{action}` writes the secret `{secret}` too, with the token of another request: that one \
                                     is taken over, and this isn't")
                        } else {
                            format!("the flow \"{flow}\" keeps the same secret `{secret}` in another way: that one is taken \
                                     over, and this isn't")
                        };
                        study.gap(Some(renewal.token.put), words);
                    }
                    return false;
                }
                kept.extend(renewal.places().map(|place| (place, (study.title.clone(), put.clone(), request.clone()))));
                renewal.name = self.names.token(&renewal.token.target);
                true
            });
        }
    }

    fn flow(&mut self, mut study: Study<'_>, renewals: &[Renewal]) {
        let kept: Vec<&Found> = renewals.iter().flat_map(Renewal::deliveries).collect();
        let lives: Vec<Option<u64>> = kept.iter().map(|token| self.life(token)).collect();
        self.report.findings.extend(findings(&study, &kept, &lives));
        if let (Some(schedule), true) = (study.flow.schedule, lives.contains(&None)) {
            study.notes.push(format!(
                "how long its token lives isn't in the file: see that it lives longer than {}, the time between two runs",
                duration(schedule.longest_pause)
            ));
        }
        for (place, renewal) in renewals.iter().enumerate() {
            self.token(&mut study, renewal, place == 0);
        }
        // A question that is still open about it doesn't keep the flow from being turned off once it is answered.
        let whole = !renewals.is_empty() && study.gaps.iter().all(|gap| study.questions.contains(&gap.words));
        self.report.spending.push(spending(study.flow, &study.title, whole));
        let notes = core::mem::take(&mut study.notes);
        self.report.notes.extend(notes.into_iter().map(|note| format!("{}: {note}", study.title)));
        self.report.gaps.append(&mut study.gaps);
        self.answered.append(&mut study.answered);
    }

    fn preset(&self, token: &Found) -> Option<&Preset> {
        self.options.presets.iter().find(|preset| preset.token_url == token.token_url)
    }

    /// The token's lifetime in seconds, where the flow or its provider's documents tell it.
    fn life(&self, token: &Found) -> Option<u64> {
        typed_life(token).or_else(|| self.preset(token).and_then(|preset| preset.lifetime))
    }

    /// A secret that stood in the flow goes to Vestal's own vault; under which name.
    fn keep(&mut self, stem: &str, suffix: &str, value: &str, what: String) -> String {
        let same = |secret: &&ClearSecret| secret.what == what && secret.value.expose_str() == Some(value);
        if let Some(same) = self.secrets.iter().find(same) {
            return same.name.clone();
        }
        let name = self.names.secret(stem, suffix);
        let value = Secret::copy_of(value.as_bytes());
        self.secrets.push(ClearSecret { vault: self.options.home_vault.clone(), name: name.clone(), value, what });
        name
    }

    fn finish(mut self, flows: &[Flow]) -> Import {
        let Self { options, answered, providers, tokens, .. } = self;
        let home = &options.home_vault;
        if tokens.is_empty() {
            return Import { toml: String::new(), report: self.report, secrets: Vec::new(), answered };
        }
        let clear = self.secrets.iter().map(|secret| {
            format!(
                "change {}: it stood in the flow in clear text. Make a new one, and give it to Vestal with `vestal secret set \
                 {home}/{}`",
                secret.what, secret.name
            )
        });
        self.report.next.extend(clear);
        let files: BTreeSet<String> = flows.iter().map(|flow| one_line(&flow.file)).collect();
        let files: Vec<String> = files.into_iter().collect();
        let start = settings::Start { home, files: &files.join(", "), data: options.data.as_deref() };
        let toml = settings::write(&start, &self.targets.into_tables(), &providers, &tokens);
        Import { toml, report: self.report, secrets: self.secrets, answered }
    }
}
