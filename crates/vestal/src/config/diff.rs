//! What `vestal plan` shows and `vestal apply` does: how one set of definitions becomes another.
//!
//! Pure, on a neutral form: what a file declares ([`Definitions::views`](super::Definitions::views)) and what the store
//! holds are both lists of [`DefinitionView`].

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::definition::Source;
use super::period::Period;

/// The order in which kinds are shown and made: what others refer to comes first.
const KINDS: [&str; 6] = ["vault", "target", "provider", "token", "app", "policy"];

/// A definition in the form in which definitions are compared. It holds no secret: credentials are references.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DefinitionView {
    /// What it defines: `vault`, `target`, `provider`, `token`, `app` or `policy`.
    pub kind: String,
    /// Its name, unique within its kind; a token's is `vault/name`.
    pub name: String,
    /// The declaration.
    pub body: Value,
    /// Where it stands, if it stands in a file. Not compared: a definition that only moved has not changed.
    pub source: Option<Source>,
}

/// How one set of definitions becomes another.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Plan {
    /// What is to be done, in the order in which it can be done.
    pub changes: Vec<Change>,
    /// How many definitions stay as they are.
    pub unchanged: usize,
}

/// One definition that is different.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The definition's kind.
    pub kind: String,
    /// The definition's name.
    pub name: String,
    /// Where the new definition stands, or where the old one stood.
    pub source: Option<Source>,
    /// What is different.
    pub action: Action,
}

/// What is done to a definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new, with these fields.
    Add(Vec<FieldChange>),
    /// These fields are different.
    Change(Vec<FieldChange>),
    /// It is gone.
    Remove,
}

/// A field that is different.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The field, as a path: `promise`, `client_secret.secret.name`.
    pub field: String,
    /// What it was; absent where it is new.
    pub from: Option<Value>,
    /// What it becomes; absent where it goes away.
    pub to: Option<Value>,
}

/// How `old` becomes `new`. Fields that are null count as absent.
pub fn diff(old: &[DefinitionView], new: &[DefinitionView]) -> Plan {
    let old = by_key(old);
    let new = by_key(new);
    let mut plan = Plan::default();
    for (key, view) in &new {
        let fields = match old.get(key) {
            None => Action::Add(fields_between(&BTreeMap::new(), &leaves(&view.body))),
            Some(before) => match fields_between(&leaves(&before.body), &leaves(&view.body)) {
                same if same.is_empty() => {
                    plan.unchanged += 1;
                    continue;
                }
                fields => Action::Change(fields),
            },
        };
        plan.changes.push(change(view, fields));
    }
    // Backwards: what refers to others goes before what it refers to.
    let gone = old.iter().rev().filter(|(key, _)| !new.contains_key(*key));
    plan.changes.extend(gone.map(|(_, view)| change(view, Action::Remove)));
    plan
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many definitions are added, changed and removed.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.changes.iter().fold((0, 0, 0), |(added, changed, removed), change| match change.action {
            Action::Add(_) => (added + 1, changed, removed),
            Action::Change(_) => (added, changed + 1, removed),
            Action::Remove => (added, changed, removed + 1),
        })
    }
}

/// One line a definition and one a field, and a sum at the end.
impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(out, "Nothing to do: all {} definitions are as they should be.", self.unchanged);
        }
        for Change { kind, name, source, action } in &self.changes {
            let (sign, fields) = match action {
                Action::Add(fields) => ('+', fields.as_slice()),
                Action::Change(fields) => ('~', fields.as_slice()),
                Action::Remove => ('-', &[][..]),
            };
            write!(out, "{sign} {kind} {name}")?;
            if let Some(Source { file, line }) = source {
                write!(out, "  ({file}:{line})")?;
            }
            writeln!(out)?;
            for FieldChange { field, from, to } in fields {
                let shown = |value: &Value| shown(kind, field, value);
                match (from, to) {
                    (Some(from), Some(to)) => writeln!(out, "    ~ {field}: {} -> {}", shown(from), shown(to))?,
                    (None, Some(to)) => writeln!(out, "    + {field}: {}", shown(to))?,
                    (Some(from), None) => writeln!(out, "    - {field}: {}", shown(from))?,
                    (None, None) => {}
                }
            }
        }
        let (added, changed, removed) = self.counts();
        write!(out, "{added} to add, {changed} to change, {removed} to remove, {} unchanged.", self.unchanged)?;
        if removed > 0 {
            write!(out, " What is removed is paused and kept for 30 days.")?;
        }
        Ok(())
    }
}

/// A field's value as a person writes it: lengths of time with their units, texts without quotes.
pub fn shown(kind: &str, field: &str, value: &Value) -> String {
    match (kind, field, value) {
        ("token", "promise" | "lifetime", Value::Number(seconds)) => match seconds.as_u64() {
            Some(seconds) => Period::from(Duration::from_secs(seconds)).to_string(),
            None => seconds.to_string(),
        },
        ("target", "mode", Value::Number(mode)) => format!("{:04o}", mode.as_u64().unwrap_or_default()),
        ("token", "deliver", Value::Array(entries)) => {
            entries.iter().map(shown_delivery).collect::<Vec<_>>().join("; ")
        }
        (_, _, Value::String(text)) => text.clone(),
        (_, _, value) => value.to_string(),
    }
}

/// One entry of a token's `deliver`: `contoso-azure as discord-api-oauth-token, checked every 1h`.
fn shown_delivery(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let every = Period::from(Duration::from_secs(entry["check_every"].as_u64().unwrap_or(keeper::CHECK_EVERY)));
    let change = if text("on_change") == "report" { ", changes reported" } else { "" };
    let disable = if entry["disable_superseded"] == true { ", superseded versions disabled" } else { "" };
    format!("{} as {}, checked every {every}{change}{disable}", text("target"), text("name"))
}

fn change(view: &DefinitionView, action: Action) -> Change {
    Change { kind: view.kind.clone(), name: view.name.clone(), source: view.source.clone(), action }
}

/// Sorted by the order of kinds, then by name.
fn by_key(views: &[DefinitionView]) -> BTreeMap<(usize, &str, &str), &DefinitionView> {
    let rank = |kind: &str| KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len());
    views.iter().map(|view| ((rank(&view.kind), view.kind.as_str(), view.name.as_str()), view)).collect()
}

/// The fields of a body by their paths. A list is one field: it is shown whole.
fn leaves(body: &Value) -> BTreeMap<String, &Value> {
    fn collect<'a>(path: &str, value: &'a Value, found: &mut BTreeMap<String, &'a Value>) {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                for (key, member) in members {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    collect(&path, member, found);
                }
            }
            value => {
                found.insert(path.to_owned(), value);
            }
        }
    }
    let mut found = BTreeMap::new();
    collect("", body, &mut found);
    found
}

fn fields_between(old: &BTreeMap<String, &Value>, new: &BTreeMap<String, &Value>) -> Vec<FieldChange> {
    let gone =
        old.iter().filter(|(field, _)| !new.contains_key(*field)).map(|(field, from)| (field, Some(*from), None));
    let here = new.iter().map(|(field, to)| (field, old.get(field).copied(), Some(*to)));
    let mut fields: Vec<_> = here
        .chain(gone)
        .filter(|(_, from, to)| from != to)
        .map(|(field, from, to)| FieldChange { field: field.clone(), from: from.cloned(), to: to.cloned() })
        .collect();
    fields.sort_by(|one, other| one.field.cmp(&other.field));
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(kind: &str, name: &str, body: Value) -> DefinitionView {
        DefinitionView { kind: kind.to_owned(), name: name.to_owned(), body, source: None }
    }

    #[test]
    fn a_plan_says_what_is_added_changed_and_removed_field_by_field() {
        let old = [
            view("vault", "contoso", json!({"challenge": "adfs"})),
            view(
                "token",
                "contoso/a",
                json!({"promise": 600, "scope": ["x"], "extra": {"audience": "a"}, "owner": null}),
            ),
            view("policy", "p", json!({"app": "reader"})),
            view("app", "reader", json!({})),
        ];
        let new = [
            view("token", "contoso/a", json!({"promise": 900, "scope": ["x", "y"], "lifetime": 3600})),
            view("token", "contoso/b", json!({"promise": 60})),
            view("vault", "contoso", json!({"challenge": "adfs"})),
        ];
        let plan = diff(&old, &new);
        assert_eq!(plan.counts(), (1, 1, 2));
        assert_eq!(
            plan.to_string(),
            "~ token contoso/a\n    \
                - extra.audience: a\n    \
                + lifetime: 1h\n    \
                ~ promise: 10m -> 15m\n    \
                ~ scope: [\"x\"] -> [\"x\",\"y\"]\n\
             + token contoso/b\n    \
                + promise: 1m\n\
             - policy p\n\
             - app reader\n\
             1 to add, 1 to change, 2 to remove, 1 unchanged. What is removed is paused and kept for 30 days."
        );
    }

    #[test]
    fn lengths_of_time_are_shown_with_their_units_and_texts_without_quotes() {
        for (kind, field, value, words) in [
            ("token", "promise", json!(600), "10m"),
            ("token", "keep_versions", json!(600), "600"),
            ("token", "lifetime", json!(5_400), "1h 30m"),
            ("provider", "lifetime.documented", json!("7d"), "7d"),
            ("token", "scope", json!(["a"]), "[\"a\"]"),
        ] {
            assert_eq!(shown(kind, field, &value), words, "{kind} {field}");
        }
    }

    #[test]
    fn what_only_moved_in_its_file_has_not_changed() {
        let mut moved = view("app", "reader", json!({}));
        moved.source = Some(Source { file: "vestal.toml".to_owned(), line: 7 });
        let plan = diff(&[view("app", "reader", json!({}))], &[moved]);
        assert!(plan.is_empty());
        assert_eq!(plan.to_string(), "Nothing to do: all 1 definitions are as they should be.");
    }

    #[test]
    fn a_plan_made_twice_does_nothing_the_second_time() {
        let new =
            [view("vault", "contoso", json!({"challenge": "adfs"})), view("token", "contoso/a", json!({"a": [1]}))];
        assert!(diff(&new, &new).is_empty());
        assert_eq!(diff(&[], &new).changes.len(), 2);
        assert_eq!(diff(&new, &[]).changes.len(), 2);
    }
}
