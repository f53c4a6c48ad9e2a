//! What pages written by hand say of the command line and the configuration, held to what is declared.

use std::path::{Path, PathBuf};

use super::arguments;
use crate::config;

/// A page's blocks of code in this language, without their indentation, each with its first line's number.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut other = false;
    for (number, line) in page.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if other => other = false,
            Some(_) if open.is_some() => found.extend(open.take()),
            Some(said) if said.trim() == language => open = Some((number + 2, String::new())),
            Some(_) => other = true,
            None => {
                if let Some((_, text)) = &mut open {
                    text.push_str(line.trim_start());
                    text.push('\n');
                }
            }
        }
    }
    found
}

fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/vestal is two below the root");
    ["docs/power-platform.md", "docs/azure.md"]
        .map(|name| root.join(name))
        .map(|path| (path.clone(), std::fs::read_to_string(path).expect("the page is there")))
        .into()
}

/// The words of a line, as a shell tells them apart.
fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn each_command_that_a_page_shows_is_one() {
    let mut seen = 0;
    for (path, page) in pages() {
        for (first, block) in blocks(&page, "sh") {
            for (at, line) in block.lines().enumerate() {
                let commands = line.split(['|', '&']).map(str::trim).filter(|command| command.starts_with("vestal "));
                for command in commands {
                    seen += 1;
                    let parsed = arguments::command().try_get_matches_from(words(command));
                    assert!(parsed.is_ok(), "{}:{}: {command}\n{}", path.display(), first + at, parsed.unwrap_err());
                }
            }
        }
    }
    assert!(seen > 10, "the pages show commands");
}

#[test]
fn each_configuration_that_a_page_shows_is_fine() {
    let mut seen = 0;
    for (path, page) in pages() {
        for (first, block) in blocks(&page, "toml") {
            seen += 1;
            let text = format!("{block}\n[vault.home]\n");
            let read = config::parse(&text, "page.toml", Path::new("/"));
            assert!(read.is_ok(), "{}:{first}:\n{}", path.display(), read.unwrap_err().render(false));
        }
    }
    assert!(seen > 5, "the pages show configurations");
}

#[test]
fn the_sentences_of_the_pages_are_plain() {
    for (path, page) in pages() {
        assert!(!page.contains('\u{2014}'), "{} has a dash that the others have not", path.display());
    }
}
