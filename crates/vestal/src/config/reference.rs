//! The reference page and the JSON schema, made from the declarations of the settings.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::setting::{Presence, Schema, Setting};
use super::{SECTIONS, SectionDeclaration};

const INTRODUCTION: &str = "\
<!-- Generated from crates/vestal/src/config. `VESTAL_WRITE_DOCS=1 cargo nextest run -p vestal config` writes it. -->

# Configuration

`vestal.toml` is a TOML file: lines of `key = value` below headers in brackets. `vestal check` says what is wrong with
one, and what one would do; `vestal plan` shows what it would change.

Two sorts of settings stand in it. *Process settings* (`[server]`, `[observe]`, `[store]`, `[outbound]`, `[alert]`) are
read when Vestal starts. *Definitions* (`[vault.…]`, `[target.…]`, `[provider.…]`, `[token.…]`, `[app.…]`, `[policy.…]`)
are brought into its store at the start, on SIGHUP and by `vestal apply`; beside them the store holds what was made on
the command line. What is taken out of the file is paused, and kept for 30 days.

No secret stands in the file. A token's `client_secret`, and a target's, name the secret that holds them, and
`vestal secret set NAME` asks for the value. What an API takes besides it (`extra`, `parameters`, `headers`) is sent as it
stands here.

A duration is a number with a unit, or several: `90s`, `10m`, `1h 30m`, `7d`. A relative path begins at the directory of
the file. A first line `#:schema vestal.schema.json` lets an editor complete and check the settings, with the file
[vestal.schema.json](vestal.schema.json) beside it.
";

/// The reference page, in Markdown.
pub fn reference_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        let _ = write!(page, "\n## `{}`\n\n{}\n", section.header(), paragraph(section.about));
        settings(&mut page, section.name, section.settings);
    }
    page
}

fn settings(page: &mut String, path: &str, list: &[Setting]) {
    for setting in list {
        let Setting { key, shape, presence, what } = setting;
        let presence = match presence {
            Presence::Required(example) => format!("required, such as `{example}`"),
            Presence::Optional(example) => format!("optional, such as `{example}`"),
            Presence::Default(default, example) if default == example => format!("default `{default}`"),
            Presence::Default(default, example) => format!("default `{default}`, for example `{example}`"),
        };
        let noun = capitalised(shape.noun);
        let _ = write!(page, "\n### `{path}.{key}`\n\n{noun}; {presence}.\n\n{}\n", paragraph(what));
        if let Some(words) = words(&shape.schema) {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            let _ = write!(page, "\nOne of {}.\n", words.join(", "));
        }
        if let Some(inner) = inner_settings(&shape.schema) {
            let _ = write!(page, "\nIts settings:\n\n");
            for Setting { key, shape, presence, what } in inner {
                let presence = match presence {
                    Presence::Required(example) => format!("required, such as `{example}`"),
                    Presence::Optional(example) | Presence::Default(_, example) => format!("such as `{example}`"),
                };
                let _ = writeln!(page, "- `{key}`: {}; {presence}. {}", shape.noun, paragraph(what));
                if let Some(words) = words(&shape.schema) {
                    let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                    let _ = writeln!(page, "  One of {}.", words.join(", "));
                }
            }
        }
    }
}

/// The words that a value, or each entry of a list, is one of.
fn words(schema: &Schema) -> Option<&'static [&'static str]> {
    match schema {
        Schema::OneOf(words) => Some(words),
        Schema::List(inner) => words(inner),
        _ => None,
    }
}

/// The settings of a value that is a table, or a list of tables.
fn inner_settings(schema: &Schema) -> Option<&'static [Setting]> {
    match schema {
        Schema::Table(settings) => Some(settings),
        Schema::List(inner) => inner_settings(inner),
        _ => None,
    }
}

/// A doc comment as one paragraph.
fn paragraph(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// The JSON schema of `vestal.toml`, for editors: draft 7, which those of TOML know.
pub fn json_schema() -> Value {
    let properties: Map<_, _> =
        SECTIONS.iter().map(|section| (section.name.to_owned(), section_schema(section))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "vestal.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn section_schema(section: &SectionDeclaration) -> Value {
    let mut table = table_schema(section.settings);
    table["description"] = json!(paragraph(section.about));
    if section.named { json!({ "type": "object", "additionalProperties": table }) } else { table }
}

fn table_schema(settings: &[Setting]) -> Value {
    let properties: Map<_, _> = settings
        .iter()
        .map(|setting| {
            let mut schema = value_schema(&setting.shape.schema);
            schema["description"] = json!(paragraph(setting.what));
            if let Presence::Default(text, _) = setting.presence {
                schema["default"] = json_of(text);
            }
            (setting.key.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = settings
        .iter()
        .filter(|setting| matches!(setting.presence, Presence::Required(_)))
        .map(|setting| setting.key)
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn value_schema(schema: &Schema) -> Value {
    match schema {
        Schema::Text("") => json!({ "type": "string" }),
        Schema::Text(pattern) => json!({ "type": "string", "pattern": pattern }),
        Schema::OneOf(words) => json!({ "type": "string", "enum": words }),
        Schema::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Schema::Boolean => json!({ "type": "boolean" }),
        Schema::List(inner) => json!({ "type": "array", "items": value_schema(inner) }),
        Schema::Map(inner) => json!({ "type": "object", "additionalProperties": value_schema(inner) }),
        Schema::Table(settings) => table_schema(settings),
        Schema::Either(schemas) => json!({ "anyOf": schemas.iter().map(value_schema).collect::<Vec<_>>() }),
    }
}

/// A default, which is TOML, as JSON.
fn json_of(text: &str) -> Value {
    let document = format!("value = {text}");
    let read: Map<String, Value> = toml::from_str(&document).expect("a test reads every default");
    read.into_iter().next().map_or(Value::Null, |(_, value)| value)
}
