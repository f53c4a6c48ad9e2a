//! The configuration as text, with a comment for each action that it takes over.

use std::collections::BTreeMap;

use toml::Value;

use crate::text::one_line;

/// A setting, with the comment above it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    comment: String,
    key: &'static str,
    /// As TOML has it.
    value: String,
}

impl Line {
    pub(crate) fn new(comment: &str, key: &'static str, value: String) -> Self {
        Self { comment: comment.to_owned(), key, value }
    }
}

/// `[target.NAME]`.
pub(crate) struct TargetTable {
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) url: String,
    pub(crate) authority: Option<String>,
    pub(crate) credential: CredentialTable,
}

/// `[target.NAME.credential]`.
pub(crate) struct CredentialTable {
    pub(crate) comment: String,
    pub(crate) lines: Vec<Line>,
}

/// `[provider.NAME]`.
pub(crate) struct ProviderTable {
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) lines: Vec<Line>,
}

/// `[token.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenTable {
    pub(crate) name: String,
    pub(crate) comments: Vec<String>,
    pub(crate) lines: Vec<Line>,
    /// Whether it is written as a comment alone, for a later version of Vestal.
    pub(crate) awaiting: bool,
}

/// What the result begins with.
pub(crate) struct Start<'a> {
    /// The name of Vestal's own vault.
    pub(crate) home: &'a str,
    /// The files that it is made of, in words.
    pub(crate) files: &'a str,
    /// The data folder, where one is said.
    pub(crate) data: Option<&'a str>,
}

pub(crate) fn write(
    start: &Start<'_>,
    targets: &[TargetTable],
    providers: &[ProviderTable],
    tokens: &[TokenTable],
) -> String {
    let mut page = Page::default();
    page.comment(&format!("Taken over from {} by `vestal import flow`. No secret stands in here.", start.files));
    page.comment(
        "Next: `vestal check` says what it would do; `vestal serve` does it; docs/power-platform.md tells the way over. Every \
         setting is explained in docs/configuration.md.",
    );
    if let Some(data) = start.data {
        page.header("", "store");
        page.line(&Line::new("", "data", text(data)));
    }
    page.header("", &format!("vault.{}", start.home));
    for target in targets {
        page.header(&target.comment, &format!("target.{}", target.name));
        page.line(&Line::new("", "kind", text("azure-key-vault")));
        page.line(&Line::new("", "url", text(&target.url)));
        if let Some(authority) = &target.authority {
            page.line(&Line::new("", "authority", text(authority)));
        }
        page.header(&target.credential.comment, &format!("target.{}.credential", target.name));
        target.credential.lines.iter().for_each(|line| page.line(line));
    }
    for provider in providers {
        page.header(&provider.comment, &format!("provider.{}", provider.name));
        provider.lines.iter().for_each(|line| page.line(line));
    }
    for token in tokens {
        let mut own = Page::default();
        own.header(&token.comments.join(" "), &format!("token.{}", token.name));
        token.lines.iter().for_each(|line| own.line(line));
        if token.awaiting {
            page.0.push('\n');
            page.comment("For a later version of Vestal, which renews by refresh tokens:");
            for line in own.0.trim().lines() {
                page.0.push_str(if line.is_empty() { "#" } else { "#     " });
                page.0.push_str(line);
                page.0.push('\n');
            }
        } else {
            page.0.push_str(&own.0);
        }
    }
    page.0
}

/// The widest comment, in characters.
const WIDEST: usize = 118;

#[derive(Default)]
struct Page(String);

impl Page {
    fn comment(&mut self, words: &str) {
        let mut line = String::from("#");
        for word in one_line(words).split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDEST {
                self.0.push_str(&line);
                self.0.push('\n');
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        if line.len() > 1 {
            self.0.push_str(&line);
            self.0.push('\n');
        }
    }

    fn header(&mut self, comment: &str, name: &str) {
        self.0.push('\n');
        self.comment(comment);
        self.0.push_str(&format!("[{name}]\n"));
    }

    fn line(&mut self, line: &Line) {
        self.comment(&line.comment);
        self.0.push_str(&format!("{} = {}\n", line.key, line.value));
    }
}

/// A text, in quotation marks and escaped.
pub(crate) fn text(text: &str) -> String {
    // On one line, whatever is in it.
    let escaped = Value::String(text.to_owned()).to_string();
    if escaped.contains('\n') || escaped.starts_with("'''") || escaped.starts_with("\"\"\"") {
        let mut one = String::from("\"");
        for letter in text.chars() {
            match letter {
                '"' => one.push_str("\\\""),
                '\\' => one.push_str("\\\\"),
                control if control.is_control() => one.push_str(&format!("\\u{:04X}", u32::from(control))),
                other => one.push(other),
            }
        }
        one.push('"');
        return one;
    }
    escaped
}

pub(crate) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|one| text(one)).collect::<Vec<_>>().join(", "))
}

pub(crate) fn table(texts: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = texts.iter().map(|(key, value)| format!("{} = {}", text(key), text(value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// Where a secret is.
pub(crate) fn reference(vault: &str, secret: &str) -> String {
    format!("{{ secret = {}, vault = {} }}", text(secret), text(vault))
}
