//! Flows as they are exported, and what is made of them.

mod bad_input;
mod corpus;
mod generated;
mod result;
mod secrets;
mod several;
mod silence;
mod written;

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use flow::{Flow, Import, Options, Preset, ReadError};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What Vestal's own presets come to here.
fn options() -> Options {
    Options {
        home_vault: "home".to_owned(),
        presets: vec![Preset {
            name: "discord".to_owned(),
            token_url: "https://discord.com/api/oauth2/token".to_owned(),
            scope_separator: " ".to_owned(),
            lifetime: Some(604_800),
        }],
        vaults: BTreeMap::new(),
        shadow: false,
        data: None,
    }
}

fn read(file: &str, bytes: &[u8]) -> Result<Vec<Flow>, ReadError> {
    flow::read(file, bytes)
}

fn import_json(json: &serde_json::Value) -> Import {
    let flows = read("flow.json", json.to_string().as_bytes()).expect("it is a flow");
    flow::import(&flows, &options())
}

/// A zip archive of these files.
fn archive<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name, SimpleFileOptions::default()).expect("an entry can be begun");
        writer.write_all(bytes).expect("an entry can be written");
    }
    writer.finish().expect("the archive can be ended").into_inner()
}
