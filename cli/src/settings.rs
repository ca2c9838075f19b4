//! Settings of the user and the machine: command line before environment before configuration file before default.

use crate::exit::Failure;
use neuroflow_engine::program::ProgramOptions;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the user set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where results are kept.
    pub cache: PathBuf,
    /// Folders with copies of data sets.
    pub mirrors: Vec<PathBuf>,
    /// Never use the network.
    pub offline: bool,
    /// How programs of pipelines are run.
    pub programs: ProgramOptions,
    /// What may be proposed, and what an approval needs.
    pub agent: neuroflow_agent::Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    cache: Option<PathBuf>,
    #[serde(default)]
    mirrors: Vec<PathBuf>,
    #[serde(default)]
    offline: bool,
    #[serde(default)]
    agent: neuroflow_agent::Settings,
}

impl Settings {
    /// The configuration file of who works here, whether or not it is there.
    pub fn file() -> Option<PathBuf> {
        base("XDG_CONFIG_HOME", ".config").map(|base| base.join("neuroflow").join("config.toml"))
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// When the configuration file can't be read or has an unknown key, or no place for the cache is known.
    pub fn read(cache_dir: Option<&Path>, offline: bool) -> Result<Settings, Failure> {
        let config = match Settings::file() {
            Some(path) => read_config(&path)?,
            None => ConfigFile::default(),
        };
        let cache = cache_dir
            .map(Path::to_path_buf)
            .or_else(|| variable("NEUROFLOW_CACHE").map(PathBuf::from))
            .or(config.cache)
            .or_else(|| base("XDG_CACHE_HOME", ".cache").map(|base| base.join("neuroflow")))
            .ok_or_else(|| Failure::could_not_start("no place for the cache is known").with_help("set NEUROFLOW_CACHE to a folder"))?;
        let mirrors = match variable("NEUROFLOW_MIRRORS") {
            Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
            None => config.mirrors,
        };
        let offline = offline || config.offline || variable("NEUROFLOW_OFFLINE").is_some_and(|value| value != "0");
        let mut programs = ProgramOptions { offline, ..ProgramOptions::default() };
        if let Some(word) = variable("NEUROFLOW_SANDBOX") {
            let wish = word.to_string_lossy().parse();
            programs.sandbox = wish.map_err(|reason: String| Failure::could_not_start(format!("NEUROFLOW_SANDBOX: {reason}")))?;
        }
        if let Some(number) = variable("NEUROFLOW_PROCESSES") {
            let number = number.to_string_lossy().parse().ok().filter(|number| *number > 0);
            programs.processes = number.ok_or_else(|| Failure::could_not_start("NEUROFLOW_PROCESSES must be a number of processes"))?;
        }
        Ok(Settings { cache, mirrors, offline, programs, agent: config.agent })
    }
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A folder that a variable names, else one below the home folder.
fn base(name: &str, below_home: &str) -> Option<PathBuf> {
    let home = || variable("HOME").or_else(|| variable("USERPROFILE"));
    variable(name).map(PathBuf::from).or_else(|| home().map(|home| PathBuf::from(home).join(below_home)))
}

fn read_config(path: &Path) -> Result<ConfigFile, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| {
            Failure::could_not_start(format!("{}: {}", path.display(), error.message()))
                .with_help("the file may hold `cache`, `mirrors` and `offline`")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ConfigFile::default()),
        Err(error) => Err(Failure::could_not_start(format!("{}: {error}", path.display()))),
    }
}
