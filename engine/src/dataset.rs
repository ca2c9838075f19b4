//! Data sets by name: what files they have, how large they are, and the SHA-256 that each must have.

use serde::Deserialize;
use std::collections::BTreeMap;

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// The short name used in pipelines: `sessions["mrcuts28"]`.
    pub label: String,
    /// The file's name where it is published.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
    /// Where it is, when not below the data set's `base_url`.
    #[serde(default)]
    pub url: Option<String>,
}

/// One data set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// What it is, in a line.
    pub title: String,
    /// The licence under which it is published.
    pub licence: String,
    /// Whom to cite.
    pub citation: String,
    /// Where it comes from: repository and commit.
    pub source: String,
    /// Folders below a mirror in which its files may lie.
    #[serde(default)]
    pub folders: Vec<String>,
    /// The address that file names are appended to.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its files.
    pub files: Vec<DataFile>,
}

/// All data sets that pipelines may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataRegistry {
    sets: BTreeMap<String, DataSet>,
}

impl DataFile {
    /// Where the file can be downloaded; none when nobody says.
    pub fn address(&self, set: &DataSet) -> Option<String> {
        let encode = |name: &str| name.replace('%', "%25").replace(' ', "%20");
        self.url.clone().or_else(|| set.base_url.as_ref().map(|base| format!("{base}{}", encode(&self.name))))
    }
}

impl DataSet {
    /// The sum of the files' sizes, in bytes.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl DataRegistry {
    /// Reads a registry.
    ///
    /// # Errors
    /// What is wrong with the text: TOML syntax with line, an unknown key, a digest that is not one, a label used twice, a name that leads out of its folder.
    pub fn parse(text: &str) -> Result<DataRegistry, String> {
        let sets: BTreeMap<String, DataSet> = toml::from_str(text).map_err(|error| error.to_string())?;
        for (name, set) in &sets {
            let mut labels: Vec<&str> = set.files.iter().map(|file| file.label.as_str()).collect();
            labels.sort_unstable();
            if let Some(twice) = labels.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("data set `{name}`: the label `{}` is used twice", twice[0]));
            }
            for file in &set.files {
                if file.sha256.len() != 64 || !file.sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
                    return Err(format!("data set `{name}`, file `{}`: `sha256` must be 64 lower-case hexadecimal digits", file.name));
                }
                if file.label.is_empty() || !is_plain_name(&file.name) {
                    return Err(format!("data set `{name}`: `{}` is not a plain file name with a label", file.name));
                }
            }
            if let Some(folder) = set.folders.iter().find(|folder| !folder.split('/').all(is_plain_name)) {
                return Err(format!("data set `{name}`: folder `{folder}` must lie below the mirror"));
            }
        }
        Ok(DataRegistry { sets })
    }

    /// This registry with the sets of another; where both name a set, `other` counts.
    #[must_use]
    pub fn extended(mut self, other: DataRegistry) -> DataRegistry {
        self.sets.extend(other.sets);
        self
    }

    /// A data set by name.
    pub fn get(&self, name: &str) -> Option<&DataSet> {
        self.sets.get(name)
    }

    /// All data sets, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DataSet)> {
        self.sets.iter().map(|(name, set)| (name.as_str(), set))
    }
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_the_repository_reads_and_has_the_first_data_set() {
        let registry = DataRegistry::parse(include_str!("../../data/registry.toml")).unwrap();
        let set = registry.get("park2024-v1-gratings").unwrap();
        assert_eq!((set.files.len(), set.size()), (5, 10_793_757));
        assert!(set.files[0].address(set).unwrap().ends_with("/sample-data/glm/230803_mrcuts24_fov1_grat-000_data.mat"));
    }

    #[test]
    fn a_registry_that_leads_out_of_its_folder_is_refused() {
        let set = |name: &str, sha: &str| {
            format!(
                "[a]\ntitle='t'\nlicence='l'\ncitation='c'\nsource='s'\n[[a.files]]\nlabel='x'\nname='{name}'\nsize=1\nsha256='{sha}'\n"
            )
        };
        let good = "0".repeat(64);
        assert!(DataRegistry::parse(&set("x.mat", &good)).is_ok());
        assert!(DataRegistry::parse(&set("../x.mat", &good)).is_err());
        assert!(DataRegistry::parse(&set("x.mat", "00")).is_err());
    }
}
