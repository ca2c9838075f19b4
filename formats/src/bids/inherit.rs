//! Which metadata belongs to a file: the inheritance principle.
//!
//! BIDS 1.10, "Common principles: The Inheritance Principle". A metadata file applies to a data file when it stands in the same folder or one
//! above (rule 2.a), has the same suffix (2.b) and no entity that the data file lacks (2.c). One level may hold one such file at most (4). Of
//! tables the nearest counts (5.a), of JSON all do, and the nearest wins (5.b).

use super::name::Name;
use super::{BidsFile, BidsTree, fault, file_of, folder_of};
use neuroflow_data::formats::FormatError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the JSON files of a data file say together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sidecar {
    /// The fields, the nearest file's value for each.
    pub values: Map<String, Value>,
    /// The path of the file that each field comes from.
    pub from: BTreeMap<String, String>,
    /// The files, from the top of the dataset down.
    pub files: Vec<String>,
}

impl Sidecar {
    /// A field that is a finite number.
    pub fn number(&self, field: &str) -> Option<f64> {
        self.values.get(field).and_then(Value::as_f64).filter(|number| number.is_finite())
    }

    /// A field that is text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field).and_then(Value::as_str)
    }
}

/// What metadata is looked for.
pub(super) struct Wanted<'w> {
    pub suffix: &'w str,
    pub extension: &'w str,
    /// Entities that the metadata may have beyond the data file's.
    pub extra: &'w [&'w str],
}

impl BidsTree {
    /// The metadata files that apply, from the top of the dataset down, all of each level.
    pub(super) fn levels(&self, data: &BidsFile, wanted: &Wanted<'_>) -> Vec<Vec<&BidsFile>> {
        let mut levels = Vec::new();
        let home = folder_of(&data.path);
        for folder in folders_between(&data.dataset, home) {
            let fits = |file: &&BidsFile| file.name.within(&data.name, wanted.extra) && file.dataset == data.dataset;
            let found: Vec<&BidsFile> = self.of_sort_in(folder, wanted.suffix, wanted.extension).filter(fits).collect();
            if !found.is_empty() {
                levels.push(found);
            }
        }
        levels
    }

    /// The metadata files that apply, one a level.
    pub(super) fn applicable(&self, data: &BidsFile, wanted: &Wanted<'_>) -> Result<Vec<&BidsFile>, FormatError> {
        let mut found = Vec::new();
        for level in self.levels(data, wanted) {
            match level.as_slice() {
                [only] => found.push(*only),
                several => {
                    let names = several.iter().take(4).map(|file| format!("`{}`", file_of(&file.path))).collect::<Vec<_>>().join(" and ");
                    let reason = format!("{names} apply at one level, so what they say is ambiguous (The Inheritance Principle, rule 4)");
                    return Err(fault(
                        &data.path,
                        reason,
                        "merge them into one, or give each the entities that tell their data files apart",
                    ));
                }
            }
        }
        Ok(found)
    }

    /// What the JSON files that apply to a file say together: the nearest wins.
    ///
    /// # Errors
    /// When the file is not in the tree, two JSON files apply at one level, or one is not a JSON object; each with its path.
    pub fn sidecar(&self, path: &str) -> Result<Sidecar, FormatError> {
        self.sidecar_of(self.file(path)?)
    }

    pub(super) fn sidecar_of(&self, file: &BidsFile) -> Result<Sidecar, FormatError> {
        let mut sidecar = Sidecar::default();
        for json in self.applicable(file, &Wanted { suffix: &file.name.suffix, extension: ".json", extra: &[] })? {
            for (field, value) in self.json(&json.path)? {
                sidecar.from.insert(field.clone(), json.path.clone());
                sidecar.values.insert(field, value);
            }
            sidecar.files.push(json.path.clone());
        }
        Ok(sidecar)
    }

    /// The nearest metadata file of a suffix; none when there is none.
    pub(super) fn nearest(&self, data: &BidsFile, suffix: &str, extension: &str) -> Result<Option<&BidsFile>, FormatError> {
        Ok(self.applicable(data, &Wanted { suffix, extension, extra: &[] })?.pop())
    }
}

/// The folders from a dataset's down to `home`, both included.
fn folders_between<'f>(dataset: &'f str, home: &'f str) -> Vec<&'f str> {
    let mut folders = vec![dataset];
    let start = if dataset.is_empty() { 0 } else { dataset.len() + 1 };
    let below = home.get(start..).unwrap_or("");
    for (at, _) in below.match_indices('/') {
        folders.extend(home.get(..start + at));
    }
    if home.len() > dataset.len() {
        folders.push(home);
    }
    folders
}

/// Whether a file of this name could be metadata for others.
pub(super) fn is_metadata(name: &Name) -> bool {
    matches!(name.extension.as_str(), ".json" | ".tsv" | ".bval" | ".bvec" | ".tsv.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_go_from_the_dataset_down() {
        assert_eq!(folders_between("", "sub-01/ses-1/eeg"), ["", "sub-01", "sub-01/ses-1", "sub-01/ses-1/eeg"]);
        assert_eq!(folders_between("", ""), [""]);
        assert_eq!(folders_between("derivatives/x", "derivatives/x/sub-01"), ["derivatives/x", "derivatives/x/sub-01"]);
        assert_eq!(folders_between("derivatives/x", "derivatives/x"), ["derivatives/x"]);
    }
}
