//! `import`: what kept tokens fresh before becomes a configuration.

mod file;
mod vaults;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use flow::{ClearSecret, Flow, Gap, Import, Options};
use serde_json::json;
use tokio::runtime::Builder;
use zeroize::Zeroizing;

use self::file::{NewFile, there_already};
use self::vaults::{ask, key_vault, not_a_connection, said_vaults};
use super::client::Client;
use super::exit::Exit;
use super::folder::{CONFIG_FILE, Folder, socket};
use super::input::Input;
use super::problem::Problem;
use super::session::Session;
use super::when::plural;
use crate::admin::wire::{SecretValue, SecretView};
use crate::config::{self, Config, ConfigErrors};
use crate::import::{self as taking, Kept};

/// The largest file that is looked at.
const LARGEST_FILE: u64 = 64 << 20;

/// The vault of Vestal's own, where none is named.
const HOME_VAULT: &str = "home";

#[derive(Subcommand)]
pub(super) enum ImportCommand {
    /// Take over flows of Power Automate or Logic Apps that keep a token in a key vault fresh
    Flow(FlowArguments),
}

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal import flow RenewToken.zip              an exported package or solution, into ./vestal.toml
  vestal import flow a.json b.json --shadow      several flows, beside which Vestal runs for a while
  vestal import flow flow.zip --key-vault shared_keyvault=contoso
  vestal import flow flow.zip --out -            look at the result, and write nothing")]
#[command(after_help = "\
It reads an exported package (.zip), a Dataverse solution (.zip), a Logic App's definition, workflow.json or ARM template,
or actions copied out of a designer. A secret that stands in a flow in clear text goes into Vestal's own vault, marked
to be changed; what is there under its name already stays. The file holds none. The exit status is 2 where something in the
flows was not understood. --dir, --config and VESTAL_DIR say in which data folder that vault is.
Next: `vestal check`, and docs/power-platform.md.")]
pub(super) struct FlowArguments {
    /// The exported flows; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration file that is written; `-` prints it, and puts nothing into the vault
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    out: PathBuf,
    /// Which key vault a connection leads to, by its address or its name; FLOW/CONNECTION=VAULT says it of one flow alone; may
    /// be repeated
    #[arg(long = "key-vault", value_name = "CONNECTION=VAULT", value_parser = key_vault)]
    key_vaults: Vec<(String, String)>,
    /// Begin in shadow mode: renew and deliver under another name, beside the flow
    #[arg(long)]
    shadow: bool,
    /// Write over the file
    #[arg(long)]
    force: bool,
}

pub(super) fn run(command: &ImportCommand, session: &mut Session) -> Result<Exit, Problem> {
    let ImportCommand::Flow(arguments) = command;
    let only_shown = arguments.out.as_os_str() == "-";
    if !only_shown && !arguments.force && arguments.out.exists() {
        return Err(there_already(&arguments.out));
    }
    let vaults = said_vaults(&arguments.key_vaults)?;
    let flows = read(&arguments.files)?;
    let mut options = Options {
        home_vault: session.vault.as_ref().map_or(HOME_VAULT, |vault| vault.as_str()).to_owned(),
        presets: taking::presets(),
        vaults,
        shadow: arguments.shadow,
        data: data_folder(session)?,
    };
    let mut import = flow::import(&flows, &options);
    if let Some(unused) = options.vaults.keys().find(|key| !import.answered.contains(*key)) {
        return Err(not_a_connection(unused, &import));
    }
    if let Input::Person(questions) = &mut session.input
        && ask(&import.report.connections, &mut options.vaults, questions.as_mut())?
    {
        import = flow::import(&flows, &options);
    }
    let mut written = None;
    if !import.toml.is_empty() {
        match checked(&import.toml, &arguments.out) {
            Ok(config) if !only_shown => written = Some(write(&import, &config, arguments)?),
            Ok(_) => {}
            Err(errors) => refused(&mut import, &errors),
        }
    }
    tell(&import, written.as_ref(), only_shown, session)?;
    let is_kept = written.is_none_or(|written| !written.kept.contains(&Kept::AnotherValue));
    Ok(if import.report.is_complete() && is_kept { Exit::Done } else { Exit::Usage })
}

/// What was written.
struct Written {
    file: String,
    /// What became of each secret that stood in clear text.
    kept: Vec<Kept>,
}

/// The data folder that somebody named, for the result to name it too.
fn data_folder(session: &Session) -> Result<Option<String>, Problem> {
    if session.said.folder.is_none() && session.said.config.is_none() {
        return Ok(None);
    }
    let path = session.said.find()?.path;
    let path = std::path::absolute(&path).unwrap_or(path);
    path.into_os_string().into_string().map(Some).map_err(|_| {
        Problem::usage("the data folder has a name that no configuration can hold").help("name another with --dir")
    })
}

fn read(files: &[PathBuf]) -> Result<Vec<Flow>, Problem> {
    let mut flows = Vec::new();
    for file in files {
        let mut bytes = Vec::new();
        let (name, opened): (String, Box<dyn io::Read>) = if file.as_os_str() == "-" {
            ("standard input".to_owned(), Box::new(io::stdin()))
        } else {
            let opened = fs::File::open(file).map_err(|error| Problem::unreadable(file, &error))?;
            (file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(), Box::new(opened))
        };
        opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| Problem::unreadable(file, &error))?;
        flows.extend(flow::read(&name, &bytes).map_err(|error| {
            Problem::usage(error.to_string())
                .help("docs/power-platform.md says how a flow is exported; nothing was written")
        })?);
    }
    Ok(flows)
}

/// The result as Vestal reads it. What it can't read it must not write.
fn checked(toml: &str, out: &Path) -> Result<Config, ConfigErrors> {
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let base = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    config::parse(toml, &out.display().to_string(), &base)
}

/// What the configuration's own check says of the result becomes a point of the report, told of the flow and the action that
/// it comes from: there is no file that a line of it could be shown of.
fn refused(import: &mut Import, errors: &ConfigErrors) {
    for problem in errors.problems() {
        let table = problem.span.as_ref().map(|span| table_at(&import.toml, span.start)).unwrap_or_default();
        let token = import.report.tokens.iter().find(|token| table == format!("token.{}", token.name));
        let (flow, action) = match token.or(import.report.tokens.first()) {
            Some(token) => (token.flow.clone(), table.starts_with("token.").then(|| token.action.clone())),
            None => (String::new(), None),
        };
        let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let words = format!("what it does can't be a configuration as it is. `[{table}]`: {}{help}", problem.message);
        import.report.gaps.push(Gap { flow, action, words });
    }
    import.secrets.clear();
}

/// The table that a place of the text is in, by its name.
fn table_at(toml: &str, place: usize) -> String {
    let end = toml.get(place..).and_then(|rest| rest.find('\n')).map_or(toml.len(), |length| place + length);
    let headers = toml.get(..end).unwrap_or_default().lines().rev();
    let header = headers.filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).next();
    header.unwrap_or_default().to_owned()
}

/// Puts what stood in clear text into the vault, and then the file in its place: if the one breaks off, the other isn't there.
fn write(import: &Import, config: &Config, arguments: &FlowArguments) -> Result<Written, Problem> {
    let file = NewFile::beside(&arguments.out, &import.toml)?;
    let folder = config.process.store.data.clone();
    let kept = if import.secrets.is_empty() {
        Vec::new()
    } else if socket(&folder).exists() {
        tell_running(import, &Folder { path: folder, named: true })?
    } else {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Problem::io("no event loop can be made", &error))?;
        runtime.block_on(taking::keep(config, &import.secrets)).map_err(|words| {
            Problem::failed(format!("what stood in the flow in clear text can't be kept: {words}")).help(format!(
                "no configuration was written, though a data folder may have been begun at {}; look at the result with --out -",
                folder.display()
            ))
        })?
    };
    file.put_in_place(&arguments.out, arguments.force)?;
    Ok(Written { file: arguments.out.display().to_string(), kept })
}

/// Gives the secrets to the Vestal that runs on the folder. What is there already stays as it is.
fn tell_running(import: &Import, folder: &Folder) -> Result<Vec<Kept>, Problem> {
    let client = Client::new(folder.clone())?;
    let mut kept = Vec::new();
    for secret in &import.secrets {
        let path = format!("/vaults/{}/secrets/{}", secret.vault, secret.name);
        match client.get::<SecretValue>(&format!("{path}/value")) {
            Ok(there) => {
                let there = Zeroizing::new(there.value);
                kept.push(taking::compared(secret, Some(&there)));
                continue;
            }
            Err(problem) if problem.exit() == Exit::NotFound => {}
            Err(problem) => return Err(problem),
        }
        let body = taking::wanted(secret);
        let answer = client.put_json::<SecretView>(&path, &body);
        drop(Zeroizing::new(body.value));
        answer?;
        kept.push(Kept::Written);
    }
    Ok(kept)
}

fn tell(import: &Import, written: Option<&Written>, only_shown: bool, session: &Session) -> Result<(), Problem> {
    let report = &import.report;
    if session.json {
        let kept = written.map(|written| written.kept.as_slice()).unwrap_or_default();
        let secrets: Vec<_> = import
            .secrets
            .iter()
            .enumerate()
            .map(|(at, secret)| {
                json!({ "vault": secret.vault, "name": secret.name, "what": secret.what, "kept": kept.get(at) })
            })
            .collect();
        return session.output.json(&json!({
            "file": written.map(|written| &written.file),
            "toml": import.toml,
            "complete": report.is_complete(),
            "secrets": secrets,
            "report": report,
        }));
    }
    if only_shown {
        session.output.text(&import.toml)?;
        session.output.say(report.to_string().trim_end())?;
        for ClearSecret { vault, name, what, .. } in &import.secrets {
            session
                .output
                .note(&format!("Nothing was put into a vault. The file expects {what} as {vault}/{name}."))?;
        }
    } else {
        session.output.text(&report.to_string())?;
    }
    if let Some(written) = written {
        tell_secrets(&import.secrets, &written.kept, session)?;
    }
    let tokens: BTreeSet<&str> = report.tokens.iter().map(|token| token.name.as_str()).collect();
    let tokens = plural(tokens.len() as u64, "token");
    match (written, report.is_complete()) {
        (Some(Written { file, .. }), true) => session.output.note(&format!(
            "\n{tokens} taken over into {file}. Next: `vestal check` says what it would do, `vestal serve` does it."
        )),
        (Some(Written { file, .. }), false) => session.output.warn(&format!(
            "not all was understood: {} in {file}, and {} to look at above before you start `vestal serve`",
            tokens,
            plural(report.gaps.len() as u64, "point")
        )),
        (None, true) => Ok(()),
        (None, false) if import.toml.is_empty() => {
            session.output.warn("there is nothing to take over: no file was written")
        }
        (None, false) if only_shown => session.output.warn("not all was understood: see above"),
        (None, false) => session
            .output
            .warn("the result is no configuration yet, as is said above: no file was written. `--out -` shows it"),
    }
}

/// What became of the secrets that stood in clear text.
fn tell_secrets(secrets: &[ClearSecret], kept: &[Kept], session: &Session) -> Result<(), Problem> {
    for (ClearSecret { vault, name, what, .. }, kept) in secrets.iter().zip(kept) {
        let change = "Change this: it stood in the flow in clear text.";
        match kept {
            Kept::Written => session.output.note(&format!("{vault}/{name} holds {what}. {change}"))?,
            Kept::ThereAlready => session.output.note(&format!("{vault}/{name} held {what} already. {change}"))?,
            Kept::AnotherValue => session.output.warn(&format!(
                "{vault}/{name} is there already with another value than the flow has, and stays as it is: see that it is \
                 {what}. `vestal secret set {vault}/{name}` gives it another"
            ))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_the_result_is_told_by_its_table() {
        let toml = "[vault.home]\n\n[token.a]\nvault = \"home\"\n[token.b]\n";
        assert_eq!(table_at(toml, toml.find("vault =").unwrap_or_default()), "token.a");
        assert_eq!(table_at(toml, toml.find("[token.b]").unwrap_or_default()), "token.b");
        assert_eq!(table_at("", 0), "");
    }
}
