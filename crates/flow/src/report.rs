//! What is told of the flows: what was taken over, what wasn't understood, and what is unsafe in them.

use core::fmt;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::text::one_line;

/// The report of an import. `Display` is for people, `Serialize` for programs. No secret is in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The tokens that were taken over.
    pub tokens: Vec<Token>,
    /// What wasn't understood, or can't be taken over. With one of these the result isn't whole.
    pub gaps: Vec<Gap>,
    /// The connections of which the file doesn't say to which key vault they lead. Each is a gap too.
    pub connections: Vec<OpenConnection>,
    /// What is unsafe in the flows, or goes wrong there sooner or later.
    pub findings: Vec<Finding>,
    /// What is different from now on, and what was left out since it isn't needed.
    pub notes: Vec<String>,
    /// What is still to be done by hand.
    pub next: Vec<String>,
    /// What the flows spend.
    pub spending: Vec<Spending>,
}

/// A token that was taken over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Token {
    /// Its name in the result. One token may be delivered to several secrets.
    pub name: String,
    /// The flow, as people call it.
    pub flow: String,
    /// The action that writes the secret.
    pub action: String,
    /// The secret that the flow writes the token to.
    pub secret: String,
    /// The key vault that it is in: its address.
    pub vault: String,
    /// The provider in the result.
    pub provider: String,
    /// The token endpoint.
    pub token_url: String,
    /// How the client proves who it is: `form` or `basic`.
    pub client_auth: &'static str,
    /// The OAuth grant.
    pub grant: String,
    /// Where the client id is.
    pub client_id: Credential,
    /// Where the client secret is.
    pub client_secret: Credential,
    /// Where the refresh token is, where the grant needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Credential>,
    /// What the token is asked to be good for.
    pub scope: Vec<String>,
    /// Further parameters of the request.
    pub extra: BTreeMap<String, String>,
    /// What the flow tells readers of the token's end.
    pub expiry: Expiry,
}

/// Where a credential is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Credential {
    /// In a secret of a key vault.
    Secret {
        /// The vault's address.
        vault: String,
        /// The secret's name.
        secret: String,
    },
    /// In a secret of the key vault that a connection leads to.
    ByConnection {
        /// The connection, by its name in the flow.
        connection: String,
        /// The secret's name.
        secret: String,
    },
    /// In the flow; it is no secret.
    Literal {
        /// The text.
        literal: String,
    },
    /// In the flow, in clear text, though it is a secret.
    Clear {
        /// Always true.
        clear: bool,
    },
}

/// What the flow tells readers of the token's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// The secret has an expiry.
    Computed,
    /// The secret has none.
    None,
}

/// Something that wasn't understood, or can't be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The flow, as people call it.
    pub flow: String,
    /// The action that it is about, if it is about one.
    pub action: Option<String>,
    /// What it is, and what to do about it.
    pub words: String,
}

/// A connection that leads to a key vault which isn't named in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenConnection {
    /// The flow, as people call it. Every export calls its connection the same.
    pub flow: String,
    /// Its name in the flow.
    pub connection: String,
    /// The key vault that it is taken to lead to: the one that the flow writes to.
    pub taken: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It should be known.
    Low,
    /// A token will be dead, or more people than needed can read a secret.
    Medium,
    /// A secret is open to whoever sees the flow or its runs.
    High,
}

/// Something unsafe in a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind it is, for programs: `secret-in-clear`, `secure-inputs-off`, `secure-outputs-off`,
    /// `interval-longer-than-life`, `whole-vault-readable`, `no-expiry`.
    pub code: &'static str,
    /// The flow, as people call it.
    pub flow: String,
    /// The action that it is about, if it is about one.
    pub action: Option<String>,
    /// What it means.
    pub words: String,
}

/// What a flow spends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spending {
    /// The flow, as people call it.
    pub flow: String,
    /// Actions in a run in which all goes well.
    pub actions_per_run: usize,
    /// Actions a day, where a schedule starts it. Vestal spends none of them.
    pub actions_per_day: Option<f64>,
    /// How many of them end with the flow.
    pub saved_per_day: Option<f64>,
}

impl Report {
    /// Whether all of the flows was understood and is taken over.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sections: Vec<(&str, Vec<String>)> = Vec::new();
        sections.push(("Taken over", self.tokens.iter().map(taken).collect()));
        let about = |flow: &str, action: Option<&String>, words: &str| match action {
            Some(action) => format!("{flow}, `{action}`: {words}"),
            None => format!("{flow}: {words}"),
        };
        let gaps = self.gaps.iter().map(|gap| about(&gap.flow, gap.action.as_ref(), &gap.words));
        sections.push(("Not understood, or not taken over", gaps.collect()));
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity));
        let findings =
            findings.into_iter().map(|finding| about(&finding.flow, finding.action.as_ref(), &finding.words));
        sections.push(("Unsafe in the flow", findings.collect()));
        sections.push(("Different from now on", self.notes.clone()));
        sections.push(("Actions", self.spending.iter().map(spent).collect()));
        sections.push(("Next", self.next.clone()));
        let mut first = true;
        for (title, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            if !core::mem::take(&mut first) {
                writeln!(formatter)?;
            }
            writeln!(formatter, "{title}")?;
            for line in lines {
                writeln!(formatter, "  - {}", one_line(&line))?;
            }
        }
        Ok(())
    }
}

fn taken(token: &Token) -> String {
    let expiry = match token.expiry {
        Expiry::Computed => "with its expiry",
        Expiry::None => "from now on with its expiry",
    };
    format!(
        "{}: a token of {} ({}), kept in {} as `{}`, {expiry}",
        token.flow, token.provider, token.grant, token.vault, token.secret
    )
}

fn spent(spending: &Spending) -> String {
    let Spending { flow, actions_per_run, actions_per_day, saved_per_day } = spending;
    let actions = if *actions_per_run == 1 { "action" } else { "actions" };
    let run = format!("{flow}: {actions_per_run} {actions} a run");
    match (actions_per_day, saved_per_day) {
        (Some(day), Some(saved)) if *saved > 0.0 => {
            format!("{run}, about {} a day; none from the day on which it is turned off", rounded(*day))
        }
        (Some(day), _) => format!("{run}, about {} a day", rounded(*day)),
        _ => format!("{run}; how often it runs isn't in the file"),
    }
}

fn rounded(number: f64) -> String {
    if number >= 10.0 { format!("{number:.0}") } else { format!("{:.1}", number) }
}
