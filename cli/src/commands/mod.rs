//! One file a command.

pub(crate) mod afar;
pub(crate) mod agent;
pub(crate) mod bisect;
pub(crate) mod cache;
pub(crate) mod chat;
pub(crate) mod check;
pub(crate) mod cite;
pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod diff;
pub(crate) mod doc;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fmt;
pub(crate) mod get;
pub(crate) mod graph;
pub(crate) mod inspect;
pub(crate) mod keep;
pub(crate) mod log;
pub(crate) mod mcp;
pub(crate) mod of_the_field;
mod prompt;
pub(crate) mod propose;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod source;
pub(crate) mod top;
pub(crate) mod verify;
pub(crate) mod worker;

use crate::exit::Failure;
use crate::project::Project;
use crate::settings::Settings;
use neuroflow_cache::{Cache, CacheError, OpenOptions, OsDisk, Remote, RemoteConfig};
use neuroflow_dsl::{Catalogue, Checked, diagnostics};
use neuroflow_engine::dataset::DataRegistry;
use neuroflow_engine::fetch::Sources;
use neuroflow_engine::folder::Folder;
use neuroflow_engine::readers;
use neuroflow_engine::session::Session;
use neuroflow_stage::Registry;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Global options.
pub(crate) struct Place {
    pub(crate) cache: Option<PathBuf>,
    pub(crate) offline: bool,
}

impl Place {
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        Settings::read(self.cache.as_deref(), self.offline)
    }

    /// The cache, with the remote that results are shared through.
    pub(crate) fn open_cache(&self) -> Result<Cache, Failure> {
        let cache = self.open_own_cache()?;
        match self.remote()? {
            Some(config) if !self.settings()?.offline || config.url.starts_with("file:") => {
                Ok(cache.with_remote(Remote::open(&config).map_err(unusable)?))
            }
            _ => Ok(cache),
        }
    }

    /// The cache, without what other machines share.
    pub(crate) fn open_own_cache(&self) -> Result<Cache, Failure> {
        let disk = Arc::new(OsDisk::with_mapper(neuroflow_compute::map::map_file));
        let options = OpenOptions::from_environment().map_err(unusable)?;
        Cache::open_with(&self.settings()?.cache, disk, options).map_err(unusable)
    }

    /// The remote cache: as the environment says, else as the project says.
    fn remote(&self) -> Result<Option<RemoteConfig>, Failure> {
        if let Some(config) = RemoteConfig::from_environment().map_err(unusable)? {
            return Ok(Some(config));
        }
        let section = Project::read(Path::new("."))?.cache;
        let Some(url) = section.remote else { return Ok(None) };
        let mode = RemoteConfig::mode(&url, section.remote_mode.as_deref().unwrap_or("read")).map_err(unusable)?;
        Ok(Some(RemoteConfig { url, mode }))
    }

    pub(crate) fn session(&self) -> Result<Session, Failure> {
        let settings = self.settings()?;
        Ok(Session {
            cache: Arc::new(self.open_cache()?),
            registry: Arc::new(crate::stages::registry()),
            data: data_registry()?,
            sources: Sources { mirrors: settings.mirrors, offline: settings.offline },
        })
    }
}

fn unusable(error: CacheError) -> Failure {
    Failure::could_not_start(format!("the cache can't be used: {error}"))
}

/// The data sets that come with the program, and those of the project's own `data/registry.toml`.
pub(crate) fn data_registry() -> Result<DataRegistry, Failure> {
    registry_with(std::fs::read_to_string("data/registry.toml").ok())
}

/// The data sets that come with the program, and those of a project's registry.
pub(crate) fn registry_with(own: Option<String>) -> Result<DataRegistry, Failure> {
    let known = DataRegistry::parse(include_str!("../../../data/registry.toml")).map_err(Failure::could_not_start)?;
    match own {
        Some(text) => {
            let own = DataRegistry::parse(&text).map_err(|error| Failure::could_not_start(format!("data/registry.toml: {error}")))?;
            Ok(known.extended(own))
        }
        None => Ok(known),
    }
}

/// The text of a pipeline file.
pub(crate) fn read_pipeline(file: &Path) -> Result<String, Failure> {
    // Some editors begin a file with a mark that says nothing.
    let text = std::fs::read_to_string(file).map(|text| text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text));
    text.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::could_not_start(format!("there is no file {}", file.display())).with_help(nearby_pipelines(file))
        }
        std::io::ErrorKind::InvalidData => Failure::could_not_start(format!("{} is not text (UTF-8)", file.display())),
        _ => Failure::could_not_start(format!("{}: {error}", file.display())),
    })
}

fn nearby_pipelines(file: &Path) -> String {
    let folder = file.parent().filter(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "nf"))
        .map(|path| path.display().to_string())
        .collect();
    names.sort();
    if names.is_empty() { "a pipeline file ends in .nf".into() } else { format!("pipelines here: {}", names.join(", ")) }
}

/// `name=value` from the command line.
pub(crate) fn settings_of(set: &[String]) -> Result<Vec<(String, String)>, Failure> {
    set.iter()
        .map(|one| {
            one.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned())).ok_or_else(|| {
                Failure::could_not_start(format!("`--set {one}`: a name and a value are expected")).with_help("write `--set name=value`")
            })
        })
        .collect()
}

/// Checks the text of a pipeline file against all stages and readers, with the files of its folder.
pub(crate) fn check_text(file: &Path, text: &str, set: &[(String, String)], registry: &Registry) -> Checked {
    check_with(text, set, registry, &Folder::of(file))
}

/// Checks the text of a pipeline against all stages and readers, with the files of a folder.
pub(crate) fn check_with(text: &str, set: &[(String, String)], registry: &Registry, folder: &Folder) -> Checked {
    let readers = readers::catalogue();
    let mut checked = neuroflow_dsl::check_with(text, set, &Catalogue { stages: registry, readers: &readers }, folder);
    crate::report::template::check(&mut checked, folder);
    checked
}

/// Prints mistakes: for people to standard error, for programs to standard output.
pub(crate) fn print_diagnostics(file: &Path, text: &str, found: &[neuroflow_dsl::Diagnostic], format: crate::arguments::MessageFormat) {
    match format {
        crate::arguments::MessageFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            eprint!("{}", diagnostics::render(&file.display().to_string(), text, found, colour));
        }
        crate::arguments::MessageFormat::Json => {
            let list: Vec<serde_json::Value> = found
                .iter()
                .map(|one| {
                    let (line, column) = diagnostics::line_and_column(text, one.span.start);
                    let mut value = serde_json::to_value(one).unwrap_or_default();
                    value["file"] = file.display().to_string().into();
                    value["line"] = line.into();
                    value["column"] = column.into();
                    value
                })
                .collect();
            println!("{}", serde_json::Value::Array(list));
        }
    }
}
