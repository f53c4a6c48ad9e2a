//! Which running Vestal a command speaks to: the data folder that its control socket lies in.

use std::fs;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::problem::Problem;
use crate::config::{Presence, SECTIONS};

/// Where `vestal dev` keeps its data unless told otherwise.
pub(super) const DEV_FOLDER: &str = "./.vestal";
/// The configuration file that is read unless another is named.
pub(super) const CONFIG_FILE: &str = "vestal.toml";

/// A data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Whether somebody named it. What merely lies in the current directory may be another user's.
    pub(super) named: bool,
}

/// What was said of the folder, on the command line or in the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// `--dir` or `VESTAL_DIR`.
    pub(super) folder: Option<PathBuf>,
    /// Whether it is the environment that says so.
    pub(super) by_environment: bool,
    /// `--config`.
    pub(super) config: Option<PathBuf>,
}

impl Said {
    /// `--dir`, but not `VESTAL_DIR`.
    pub(super) fn on_command_line(&self) -> Option<&Path> {
        self.folder.as_deref().filter(|_| !self.by_environment)
    }

    /// The folder: `--dir`, that of `--config`, `VESTAL_DIR`, or the one of the current directory where Vestal runs.
    pub(super) fn find(&self) -> Result<Folder, Problem> {
        let named = |path: PathBuf| Folder { path, named: true };
        if let Some(folder) = self.on_command_line() {
            return Ok(named(folder.to_owned()));
        }
        if let Some(config) = &self.config {
            let text = fs::read_to_string(config).map_err(|error| {
                Problem::unreadable(config, &error)
                    .help("name another with --config, or the data folder itself with --dir")
            })?;
            return Ok(named(data_folder(config, &text)));
        }
        if let Some(folder) = &self.folder {
            return Ok(named(folder.clone()));
        }
        let configured = fs::read_to_string(CONFIG_FILE).ok().map(|text| data_folder(Path::new(CONFIG_FILE), &text));
        let there: Vec<PathBuf> =
            [PathBuf::from(DEV_FOLDER)].into_iter().chain(configured).filter(|folder| folder.exists()).collect();
        // Where there are both, the one that has a socket is the one that runs.
        let running = there.iter().find(|folder| socket(folder).exists()).or(there.first());
        running.map(|path| Folder { path: path.clone(), named: false }).ok_or_else(|| {
            Problem::new(
                Exit::Unreachable,
                format!("no Vestal runs here: there is neither {DEV_FOLDER} nor the data folder of ./{CONFIG_FILE}"),
            )
            .help(HOW_TO_START)
        })
    }
}

/// What to do where nothing runs.
pub(super) const HOW_TO_START: &str = "start one with `vestal dev` or `vestal serve --config vestal.toml`; \
    if it runs elsewhere, name its data folder with --dir or VESTAL_DIR";

/// The control socket in a data folder.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// The data folder that a configuration names. It is looked for without reading the rest: while somebody edits the file
/// the process that runs can be asked all the same.
fn data_folder(file: &Path, text: &str) -> PathBuf {
    let said = text.parse::<toml::Table>().ok().and_then(|config| {
        let data = config.get("store")?.get("data")?.as_str()?;
        Some(data.to_owned())
    });
    let data = said.or_else(default_data).unwrap_or_default();
    file.parent().unwrap_or(Path::new("")).join(data)
}

/// The default of `[store] data`, from its declaration.
fn default_data() -> Option<String> {
    let store = SECTIONS.iter().find(|section| section.name == "store")?;
    let data = store.settings.iter().find(|setting| setting.key == "data")?;
    let Presence::Default(value, _) = data.presence else {
        return None;
    };
    let table: toml::Table = format!("data = {value}").parse().ok()?;
    table.get("data")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_tells_its_data_folder_even_while_it_is_edited() {
        let folder = |text| data_folder(Path::new("conf/vestal.toml"), text);
        assert_eq!(folder("[store]\ndata = \"d\"\n[broken]\nkey = 1"), Path::new("conf/d"));
        assert_eq!(folder("[store]\ndata = \"/var/lib/vestal\""), Path::new("/var/lib/vestal"));
        assert_eq!(folder("[server]"), Path::new("conf/vestal-data"));
        assert_eq!(folder("not TOML at all"), Path::new("conf/vestal-data"));
    }

    #[test]
    fn the_command_line_wins_over_the_configuration_and_that_over_the_environment() {
        let files = tempfile::tempdir().expect("a temporary folder can be made");
        let config = files.path().join("vestal.toml");
        fs::write(&config, "[store]\ndata = \"configured\"").expect("it can be written to");
        let find = |folder: Option<&str>, by_environment, config: Option<&Path>| {
            let said = Said { folder: folder.map(PathBuf::from), by_environment, config: config.map(Path::to_owned) };
            said.find().expect("it is found").path
        };
        assert_eq!(find(Some("given"), false, Some(&config)), Path::new("given"));
        assert_eq!(find(Some("given"), true, Some(&config)), files.path().join("configured"));
        assert_eq!(find(Some("given"), true, None), Path::new("given"));
    }
}
