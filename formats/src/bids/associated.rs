//! Files that belong to a data file.

use super::inherit::Wanted;
use super::{BidsFile, BidsTree, file_of, folder_of, joined};
use neuroflow_data::formats::FormatError;
use serde_json::Value;

/// A file that belongs to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Associated {
    /// What it is to the file: `json`, `events`, `channels`, `electrodes`, `coordsystem`, `physio`, `stim`, `beh`, `bval`, `bvec`, `data`,
    /// `markers`, `sbref`, `aslcontext`, `fieldmap`, `scans`, `headshape`, `photo`.
    pub what: &'static str,
    /// Its path in the tree.
    pub path: String,
}

/// Files of the same name but for the extension: what opens it, the companion's extension, what that is.
const COMPANIONS: &[(&str, &str, &str)] = &[(".vhdr", ".eeg", "data"), (".vhdr", ".vmrk", "markers"), (".set", ".fdt", "data")];

/// Tables that are inherited: suffix, extension, entities they may have beyond the data file's, and what they are.
const INHERITED: &[(&str, &str, &[&str], &str)] = &[
    ("events", ".tsv", &[], "events"),
    ("channels", ".tsv", &[], "channels"),
    ("electrodes", ".tsv", &["space"], "electrodes"),
    ("coordsystem", ".json", &["space"], "coordsystem"),
    ("aslcontext", ".tsv", &[], "aslcontext"),
];

/// What stands in the same folder under the same entities: suffix, entities that may differ, and what it is.
const BESIDE: &[(&str, &[&str], &str)] = &[
    ("physio", &["recording"], "physio"),
    ("stim", &["recording"], "stim"),
    ("sbref", &[], "sbref"),
    ("headshape", &[], "headshape"),
    ("photo", &[], "photo"),
];

impl BidsTree {
    /// Every file that belongs to a data file, as its own name, the inheritance principle and `IntendedFor` say.
    ///
    /// # Errors
    /// When the tree has no such file, metadata is ambiguous, or a field map's sidecar is damaged.
    pub fn associated(&self, path: &str) -> Result<Vec<Associated>, FormatError> {
        let file = self.file(path)?;
        let mut found = Vec::new();
        let mut add = |what, path: &str| found.push(Associated { what, path: path.to_owned() });
        for json in self.applicable(file, &Wanted { suffix: &file.name.suffix, extension: ".json", extra: &[] })? {
            add("json", &json.path);
        }
        let stem = file.path.strip_suffix(file.name.extension.as_str()).unwrap_or(&file.path);
        for (header, extension, what) in COMPANIONS {
            let other = format!("{stem}{extension}");
            if file.name.extension == *header && self.by_path.contains_key(&other) {
                add(what, &other);
            }
        }
        for extension in [".bval", ".bvec"] {
            if matches!(file.name.suffix.as_str(), "dwi" | "epi")
                && file.name.extension.starts_with(".nii")
                && let Some(own) = self.nearest(file, &file.name.suffix, extension)?
            {
                add(if extension == ".bval" { "bval" } else { "bvec" }, &own.path);
            }
        }
        for (suffix, extension, extra, what) in INHERITED {
            if file.name.suffix != *suffix {
                // Several spaces may stand side by side; the nearest level counts.
                for own in self.levels(file, &Wanted { suffix, extension, extra }).pop().unwrap_or_default() {
                    add(what, &own.path);
                }
            }
        }
        for (suffix, extra, what) in BESIDE {
            for own in self.in_folder(folder_of(&file.path)) {
                let metadata = matches!(own.name.extension.as_str(), ".json");
                if own.path != file.path && own.name.suffix == *suffix && !metadata && own.name.within(&file.name, extra) {
                    add(what, &own.path);
                }
            }
        }
        let home = folder_of(folder_of(&file.path));
        for own in self.in_folder(&joined(home, "beh")) {
            if own.name.suffix == "beh" && own.name.extension == ".tsv" && own.path != file.path && own.name.within(&file.name, &[]) {
                add("beh", &own.path);
            }
        }
        if let Some(scans) = self.scans_table(file) {
            add("scans", &scans.path);
        }
        if matches!(file.datatype.as_str(), "func" | "dwi" | "perf") {
            for map in self.in_folder(&joined(home, "fmap")) {
                if map.name.extension.starts_with(".nii") && self.is_intended(map, file)? {
                    add("fieldmap", &map.path);
                }
            }
        }
        Ok(found)
    }

    /// Whether a field map's `IntendedFor` names a file: a path from the subject's folder, or an address `bids::sub-01/…` from the dataset's.
    fn is_intended(&self, map: &BidsFile, file: &BidsFile) -> Result<bool, FormatError> {
        let sidecar = self.sidecar_of(map)?;
        let targets = match sidecar.values.get("IntendedFor") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let within = file.path.get(file.dataset.len()..).unwrap_or(&file.path).trim_start_matches('/');
        let below_subject = within.split_once('/').map_or("", |(_, rest)| rest);
        Ok(targets.iter().any(|target| match target.strip_prefix("bids::") {
            Some(target) => target == within,
            None => *target == below_subject,
        }))
    }

    /// The `scans.tsv` that lists a file.
    pub(super) fn scans_table(&self, file: &BidsFile) -> Option<&BidsFile> {
        let mut folder = folder_of(&file.path);
        loop {
            let found = self.in_folder(folder).find(|other| {
                other.name.suffix == "scans"
                    && other.name.extension == ".tsv"
                    && other.dataset == file.dataset
                    && other.name.within(&file.name, &[])
            });
            if found.is_some() || folder.len() <= file.dataset.len() {
                return found.filter(|scans| file_of(&scans.path) != file_of(&file.path));
            }
            folder = folder_of(folder);
        }
    }
}
