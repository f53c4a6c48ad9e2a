//! `import`: what kept tokens fresh before becomes a configuration.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use flow::{Flow, Import, Options};
use serde_json::json;
use tokio::runtime::Builder;

use super::client::Client;
use super::exit::Exit;
use super::folder::{CONFIG_FILE, Folder, socket};
use super::input::Input;
use super::problem::Problem;
use super::session::Session;
use super::when::plural;
use crate::admin::wire::SecretView;
use crate::config::{self, Config};
use crate::import as taking;

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
to be changed; the file holds none. The exit status is 2 where something in the flows was not understood.
Next: `vestal check`, and docs/power-platform.md.")]
pub(super) struct FlowArguments {
    /// The exported flows; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration file that is written; `-` prints it, and puts nothing into the vault
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    out: PathBuf,
    /// Which key vault a connection of the flow leads to, by its address or its name; may be repeated
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
    let flows = read(&arguments.files)?;
    let mut options = Options {
        home_vault: session.vault.as_ref().map_or(HOME_VAULT, |vault| vault.as_str()).to_owned(),
        presets: taking::presets(),
        vaults: arguments.key_vaults.iter().cloned().collect(),
        shadow: arguments.shadow,
    };
    let mut import = flow::import(&flows, &options);
    if ask(&import, &mut options.vaults, session)? {
        import = flow::import(&flows, &options);
    }
    let written = if import.toml.is_empty() {
        None
    } else {
        let config = checked(&import.toml, &arguments.out)?;
        if only_shown { None } else { Some(write(&import, &config, arguments, session)?) }
    };
    tell(&import, written.as_deref(), only_shown, session)?;
    Ok(if import.report.is_complete() { Exit::Done } else { Exit::Usage })
}

fn there_already(out: &Path) -> Problem {
    Problem::new(Exit::Refused, format!("{} is there already", out.display()))
        .help("name another file with --out, look at the result with --out -, or write over it with --force")
}

fn key_vault(said: &str) -> Result<(String, String), String> {
    let wrong = || "write CONNECTION=VAULT, such as shared_keyvault=https://contoso.vault.azure.net".to_owned();
    let (connection, vault) =
        said.split_once('=').filter(|(name, vault)| !name.is_empty() && !vault.is_empty()).ok_or_else(wrong)?;
    Ok((connection.to_owned(), vault_address(vault).ok_or_else(wrong)?))
}

/// `contoso` is `https://contoso.vault.azure.net`.
fn vault_address(vault: &str) -> Option<String> {
    let vault = vault.trim().trim_end_matches('/');
    let is_name = !vault.is_empty() && vault.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match url::Url::parse(vault) {
        _ if is_name => Some(format!("https://{}.vault.azure.net", vault.to_lowercase())),
        Ok(url) if url.scheme() == "https" && url.path() == "/" && url.query().is_none() => {
            Some(url.as_str().trim_end_matches('/').to_owned())
        }
        _ => None,
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Flow>, Problem> {
    let mut flows = Vec::new();
    for file in files {
        let mut bytes = Vec::new();
        let (name, opened): (String, Box<dyn std::io::Read>) = if file.as_os_str() == "-" {
            ("standard input".to_owned(), Box::new(std::io::stdin()))
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

/// Asks a person where connections lead that the file doesn't tell of. Whether anything was learnt.
fn ask(import: &Import, vaults: &mut BTreeMap<String, String>, session: &mut Session) -> Result<bool, Problem> {
    let Input::Person(questions) = &mut session.input else { return Ok(false) };
    let mut learnt = false;
    for open in &import.report.connections {
        let question = format!(
            "Which key vault does the flow's connection `{}` read? Its name, or nothing for {}: ",
            open.connection, open.taken
        );
        let answer = questions.line(&question).map_err(|error| {
            Problem::io("the terminal can't be asked", &error).help("say it with --key-vault CONNECTION=VAULT")
        })?;
        let answer = answer.trim();
        let vault = if answer.is_empty() { Some(open.taken.clone()) } else { vault_address(answer) };
        let Some(vault) = vault else {
            return Err(Problem::usage("that is no key vault: nothing was written")
                .help("write its name, or its address: https://contoso.vault.azure.net"));
        };
        vaults.insert(open.connection.clone(), vault);
        learnt = true;
    }
    Ok(learnt)
}

/// The result as Vestal reads it. What it can't read it must not write.
fn checked(toml: &str, out: &Path) -> Result<Config, Problem> {
    let name = out.display().to_string();
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let base = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    config::parse(toml, &name, &base).map_err(|errors| {
        Problem::shown(
            Exit::Failed,
            format!("What the flow says can't be a configuration; nothing was written.\n\n{}", errors.render(true)),
        )
    })
}

/// Puts what stood in clear text into the vault, and then writes the file: if the one breaks off, the other isn't there.
fn write(import: &Import, config: &Config, arguments: &FlowArguments, session: &Session) -> Result<String, Problem> {
    let folder = config.process.store.data.clone();
    if !import.secrets.is_empty() {
        if socket(&folder).exists() {
            tell_running(import, &Folder { path: folder, named: true })?;
        } else {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Problem::io("no event loop can be made", &error))?;
            runtime.block_on(taking::keep(config, &import.secrets)).map_err(|words| {
                Problem::failed(format!("what stood in the flow in clear text can't be kept: {words}"))
                    .help("nothing was written; look at the result with --out -")
            })?;
        }
        for secret in &import.secrets {
            session.output.note(&format!(
                "{}/{} holds {}. Change this: it stood in the flow in clear text.",
                secret.vault, secret.name, secret.what
            ))?;
        }
    }
    put_in_place(&arguments.out, &import.toml, arguments.force)?;
    Ok(arguments.out.display().to_string())
}

/// Gives the secrets to the Vestal that runs on the folder.
fn tell_running(import: &Import, folder: &Folder) -> Result<(), Problem> {
    let client = Client::new(folder.clone())?;
    for secret in &import.secrets {
        let path = format!("/vaults/{}/secrets/{}", secret.vault, secret.name);
        let body = taking::wanted(secret);
        let answer = client.put_json::<SecretView>(&path, &body);
        drop(zeroize::Zeroizing::new(body.value));
        answer?;
    }
    Ok(())
}

/// The whole file or none: it is written beside its place, and then moved there.
fn put_in_place(out: &Path, text: &str, force: bool) -> Result<(), Problem> {
    let refused = |error: &std::io::Error| Problem::io(format!("{} can't be written", out.display()), error);
    let mut beside = out.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| {
        if force {
            return fs::rename(&beside, out);
        }
        // Unlike a rename, this doesn't replace what has come there meanwhile.
        fs::hard_link(&beside, out)
    });
    if let Err(error) = &moved {
        let _ = fs::remove_file(&beside);
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return Err(there_already(out));
        }
        return Err(refused(error));
    }
    if !force {
        let _ = fs::remove_file(&beside);
    }
    Ok(())
}

fn tell(import: &Import, written: Option<&str>, only_shown: bool, session: &Session) -> Result<(), Problem> {
    let report = &import.report;
    if session.json {
        let secrets: Vec<_> = import
            .secrets
            .iter()
            .map(|secret| json!({ "vault": secret.vault, "name": secret.name, "what": secret.what }))
            .collect();
        return session.output.json(&json!({
            "file": written,
            "toml": import.toml,
            "complete": report.is_complete(),
            "secrets": secrets,
            "report": report,
        }));
    }
    if only_shown {
        session.output.text(&import.toml)?;
        session.output.say(report.to_string().trim_end())?;
        for secret in &import.secrets {
            session.output.note(&format!(
                "Nothing was put into a vault. The file expects {} as {}/{}.",
                secret.what, secret.vault, secret.name
            ))?;
        }
    } else {
        session.output.text(&report.to_string())?;
    }
    let tokens = plural(report.tokens.len() as u64, "token");
    match (written, report.is_complete()) {
        (Some(file), true) => session.output.note(&format!(
            "\n{tokens} taken over into {file}. Next: `vestal check` says what it would do, `vestal serve` does it."
        )),
        (Some(file), false) => session.output.warn(&format!(
            "not all was understood: {} in {file}, and {} to look at above before you start `vestal serve`",
            tokens,
            plural(report.gaps.len() as u64, "point")
        )),
        (None, true) => Ok(()),
        (None, false) if import.toml.is_empty() => {
            session.output.warn("there is nothing to take over: no file was written")
        }
        (None, false) => session.output.warn("not all was understood: see above"),
    }
}
