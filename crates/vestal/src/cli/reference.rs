//! `docs/cli.md`, made of the declarations that the commands are read by.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::arguments::command;
use super::exit::Exit;

const INTRODUCTION: &str = "\
<!-- Generated from crates/vestal/src/cli. VESTAL_WRITE_DOCS=1 cargo nextest run -p vestal cli::reference writes it again. -->

# Command line

`vestal dev` and `vestal serve` become the running Vestal. `check` reads a configuration. All other commands speak to the
running Vestal over `control.sock` in its data folder, and may do what the user may that it runs as.

Standard output carries what was asked for and nothing else; what is said about it goes to standard error. On a terminal
tables are wrapped and coloured; in a pipe they are plain, a line a row. Scripts use `--json` and the exit status. A secret
is never an argument.

## JSON

With `--json` every command that succeeds prints one JSON value, the same that the admin API answers; `dev` and `serve`
print one a line, with what it tells of in `event`, and `dev` the word `ready` before that which says so. What went wrong is said on standard error and by the exit status.

- Instants are texts of RFC 3339 in UTC: `\"2026-11-22T21:04:05Z\"`, with a fraction of a second where they have one.
- Lengths of time are numbers of seconds. Their names end in `_seconds`.
- What is not known, or is not there, is `null`.
- Values of a configuration that `plan` and `apply` show are texts as they are written in the file: `\"10m\"`.

";

/// The reference page, in Markdown.
pub fn reference_page() -> String {
    let mut command = command();
    command.build();
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Exit status\n\n| status | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        let _ = writeln!(page, "| {} | {} |", exit.code(), exit.meaning());
    }
    page.push_str("\n## Options of every command\n\n");
    for option in command.get_arguments().filter(|option| is_everywhere(option)) {
        argument(&mut page, option);
    }
    page.push_str(
        "\nThe data folder is looked for in this order: `--dir`, the one that `--config` names, `VESTAL_DIR`, `./.vestal`, \
         the one that `./vestal.toml` names.\n",
    );
    for inner in subcommands(&command) {
        section(&mut page, inner, "vestal");
    }
    page
}

fn section(page: &mut String, command: &Command, path: &str) {
    let path = format!("{path} {}", command.get_name());
    let inner: Vec<&Command> = subcommands(command).collect();
    if !inner.is_empty() {
        inner.iter().for_each(|inner| section(page, inner, &path));
        return;
    }
    let _ = write!(page, "\n## `{path}`\n\n");
    if let Some(about) = command.get_about() {
        let _ = writeln!(page, "{}.", about.to_string().trim_end_matches('.'));
    }
    let own = |argument: &&Arg| !is_everywhere(argument) && !argument.is_hide_set() && argument.get_id() != "help";
    let arguments: Vec<&Arg> = command.get_arguments().filter(own).collect();
    let positional = arguments.iter().filter(|argument| argument.is_positional());
    let usage = positional.fold(path.clone(), |usage, argument| format!("{usage} {}", value_names(argument)));
    let options = if arguments.iter().any(|argument| !argument.is_positional()) { " [OPTIONS]" } else { "" };
    let _ = write!(page, "\n    {usage}{options}\n");
    if let Some(examples) = command.get_before_help() {
        // Without the word `Examples:`, and without its indentation.
        let examples = examples.to_string();
        let lines = examples.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line));
        let _ = write!(page, "\n```text\n{}\n```\n", lines.collect::<Vec<_>>().join("\n").trim_end());
    }
    if !arguments.is_empty() {
        page.push('\n');
    }
    for argument in arguments {
        self::argument(page, argument);
    }
    if let Some(next) = command.get_after_help() {
        let _ = write!(page, "\n{}\n", next.to_string().trim());
    }
}

fn argument(page: &mut String, argument: &Arg) {
    let mut forms: Vec<String> = Vec::new();
    let value =
        if argument.get_action().takes_values() { format!(" {}", value_names(argument)) } else { String::new() };
    forms.extend(argument.get_short().map(|short| format!("`-{short}{value}`")));
    forms.extend(argument.get_long().map(|long| format!("`--{long}{value}`")));
    if forms.is_empty() {
        forms.push(format!("`{}`", value_names(argument)));
    }
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "- {}: {}", forms.join(", "), help.replace('\n', " "));
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        let _ = write!(page, "; default {}", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(page, "; environment variable `{}`", variable.to_string_lossy());
    }
    if argument.is_required_set() && !argument.is_positional() {
        page.push_str("; required");
    }
    page.push('\n');
}

fn value_names(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn is_everywhere(argument: &Arg) -> bool {
    argument.is_global_set()
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_declarations_hold_together() {
        command().debug_assert();
    }

    #[test]
    fn the_reference_page_is_what_the_declarations_say() {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/vestal is two below the root");
        let file = root.join("docs/cli.md");
        let page = reference_page();
        if std::env::var_os("VESTAL_WRITE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&file, &page).expect("the page can be written");
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == page, "docs/cli.md is not what it should be: VESTAL_WRITE_DOCS=1 writes it again");
    }
}
