//! `completions`: what a shell needs to know of this program.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use super::arguments;
use super::problem::Problem;
use super::session::Session;

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal completions bash > ~/.local/share/bash-completion/completions/vestal
  vestal completions zsh > \"${fpath[1]}/_vestal\"
  vestal completions fish > ~/.config/fish/completions/vestal.fish")]
#[command(after_help = "Next: start a new shell, and press Tab behind `vestal `.")]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments, session: &mut Session) -> Result<(), Problem> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut arguments::command(), "vestal", &mut script);
    let script = String::from_utf8_lossy(&script);
    if session.json {
        return session.output.json(&json!({ "shell": arguments.shell.to_string(), "script": script }));
    }
    session.output.value(&script)
}
