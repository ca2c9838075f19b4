//! The project's settings: `neuroflow.toml` beside the pipelines says where steps run and what is shared.

use crate::amounts::parse_size;
use crate::exit::Failure;
use neuroflow_engine::executor::slurm::SlurmSettings;
use neuroflow_engine::ready::{Machine, total_memory};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file's name.
pub const FILE: &str = "neuroflow.toml";

/// What the project sets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The profile that is used when none is named; `local` unless set.
    pub default: Option<String>,
    /// Places where steps run, by name.
    #[serde(default)]
    pub profiles: BTreeMap<String, Place>,
    /// Where queries run, unless the profile says otherwise.
    #[serde(default)]
    pub sql: Queries,
    /// Named pools and their sizes: licences, scanners, anything of which only so many steps may hold a share.
    #[serde(default)]
    pub pools: BTreeMap<String, u64>,
    /// With whom results are shared.
    #[serde(default)]
    pub cache: CacheSection,
    /// What may be proposed to a person, and what an approval needs.
    #[serde(default)]
    pub agent: neuroflow_agent::Settings,
}

/// `[cache]`: where results are shared.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// The address of a remote cache, such as `s3://bucket/prefix`.
    pub remote: Option<String>,
    /// `read` (unless set) or `write`.
    pub remote_mode: Option<String>,
}

/// Where queries run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queries {
    /// The scheduler of a Ballista cluster, such as `df://host:50050`; queries run on this machine unless it is set.
    pub scheduler: Option<String>,
    /// A folder that the cluster's machines see under the same path; the cache unless set.
    pub shared: Option<std::path::PathBuf>,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Place {
    /// Where queries run under this profile.
    pub sql: Option<Queries>,
    /// Where steps run.
    #[serde(flatten)]
    pub profile: Profile,
}

/// A place where steps run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Profile {
    /// This machine.
    Local(LocalProfile),
    /// A SLURM cluster.
    Slurm(Box<SlurmSettings>),
}

/// How much of this machine is used.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalProfile {
    /// Cores; all unless set.
    pub cores: Option<usize>,
    /// Memory for steps that say how much they need, such as `12 GiB`; all unless set.
    pub memory: Option<String>,
    /// GPUs; one unless set.
    pub gpus: Option<usize>,
}

impl Project {
    /// Reads the settings of a folder; none when there is no file.
    ///
    /// # Errors
    /// When the file can't be read or has something unknown in it.
    pub fn read(folder: &Path) -> Result<Project, Failure> {
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Project::parse(&text).map_err(|reason| Failure::could_not_start(format!("{FILE}: {reason}"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Project::default()),
            Err(error) => Err(Failure::could_not_start(format!("{}: {error}", path.display()))),
        }
    }

    fn parse(text: &str) -> Result<Project, String> {
        let project: Project = toml::from_str(text).map_err(|error| error.to_string())?;
        if project.profiles.get("local").is_some_and(|place| !matches!(place.profile, Profile::Local(_))) {
            return Err("`local` is this machine; give the profile another name".into());
        }
        let queries = project.profiles.iter().map(|(name, place)| (format!("[profiles.{name}.sql]"), place.sql.as_ref()));
        for (section, queries) in queries.chain([("[sql]".to_owned(), Some(&project.sql))]) {
            if let Some(scheduler) = queries.and_then(|queries| queries.scheduler.as_deref()).filter(|scheduler| !is_scheduler(scheduler)) {
                return Err(format!("`scheduler = \"{scheduler}\"` in {section} is no address; write it as `df://host:50050`"));
            }
        }
        for (name, place) in &project.profiles {
            if matches!(&place.profile, Profile::Local(local) if local.cores == Some(0)) {
                return Err(format!("`cores = 0` in [profiles.{name}] leaves nothing to run on; leave it out for all cores"));
            }
        }
        match &project.default {
            Some(name) if !project.profiles.contains_key(name) => Err(format!("`default` names the profile `{name}`, which is not there")),
            _ => Ok(project),
        }
    }

    /// Where queries run under a profile.
    pub fn queries(&self, profile: Option<&str>) -> &Queries {
        let own = profile.and_then(|name| self.profiles.get(name)).and_then(|place| place.sql.as_ref());
        own.unwrap_or(&self.sql)
    }

    /// What may be used of this machine under a profile.
    ///
    /// # Errors
    /// When a size can't be read.
    pub fn machine(&self, profile: Option<&LocalProfile>, cores: Option<usize>) -> Result<Machine, String> {
        let profile = profile.cloned().unwrap_or_default();
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = profile
            .memory
            .as_deref()
            .map(|text| parse_size(text).ok_or_else(|| format!("`memory = \"{text}\"` is no size; write it like `12 GiB`")));
        let memory = memory.transpose()?;
        Ok(Machine {
            cores: cores.or(profile.cores).unwrap_or(all).max(1),
            memory: memory.unwrap_or_else(total_memory),
            gpus: profile.gpus.unwrap_or(1),
            pools: self.pools.clone(),
        })
    }
}

/// Whether a text is the address of a Ballista scheduler.
fn is_scheduler(text: &str) -> bool {
    let place = text.strip_prefix("df://").map(|place| place.trim_end_matches('/'));
    place.and_then(|place| place.rsplit_once(':')).is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_says_where_steps_run_and_what_is_shared() {
        let text = "default = \"small\"\n[pools]\nlicence = 2\n[profiles.small]\nkind = \"local\"\ncores = 2\nmemory = \"12 GiB\"\n";
        let project = Project::parse(text).unwrap();
        let Some(Place { profile: Profile::Local(profile), .. }) = project.profiles.get("small") else { panic!("{project:?}") };
        let machine = project.machine(Some(profile), None).unwrap();
        assert_eq!((machine.cores, machine.memory, machine.gpus, machine.pools["licence"]), (2, 12 << 30, 1, 2));
        assert_eq!(project.machine(Some(profile), Some(7)).unwrap().cores, 7);
    }

    #[test]
    fn a_profile_says_where_its_queries_run() {
        let text = "[sql]\nscheduler = \"df://a:1\"\n[profiles.cluster]\nkind = \"slurm\"\npartition = \"cpu\"\n\
                    [profiles.cluster.sql]\nscheduler = \"df://b:2\"\n[profiles.here]\nkind = \"local\"\n[profiles.alone]\nkind = \"local\"\nsql = {}\n";
        let project = Project::parse(text).unwrap();
        let scheduler = |profile: Option<&str>| project.queries(profile).scheduler.clone();
        assert_eq!(scheduler(None).as_deref(), Some("df://a:1"));
        assert_eq!(scheduler(Some("cluster")).as_deref(), Some("df://b:2"));
        assert_eq!(scheduler(Some("here")).as_deref(), Some("df://a:1"));
        assert_eq!(scheduler(Some("alone")), None);
        assert!(Project::parse("[profiles.x]\nkind = \"local\"\ncors = 2").unwrap_err().contains("cors"));
        assert!(Project::parse("[profiles.x]\nkind = \"slurm\"\npartitoin = \"a\"").unwrap_err().contains("partitoin"));
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_place() {
        assert!(Project::parse("pols = 3").unwrap_err().contains("pols"));
        assert!(Project::parse("[profiles.local]\nkind = \"slurm\"").unwrap_err().contains("another name"));
        assert!(Project::parse("[profiles.x]\nkind = \"local\"\ncores = 0").unwrap_err().contains("[profiles.x]"));
        assert!(Project::parse("[sql]\nscheduler = \"foo\"").unwrap_err().contains("df://host:50050"));
        assert!(Project::parse("default = \"far\"").unwrap_err().contains("`far`"));
        assert!(Project::parse("[profiles.x]\nkind = \"moon\"").unwrap_err().contains("moon"));
        let wrong = LocalProfile { memory: Some("12 ms".into()), ..LocalProfile::default() };
        assert!(Project::default().machine(Some(&wrong), None).unwrap_err().contains("12 GiB"));
    }
}
