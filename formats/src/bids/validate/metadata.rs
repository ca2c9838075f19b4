//! Rules of descriptions and sidecars, and of files that need others.

use super::super::inherit::Wanted;
use super::super::rules::{FIELDS, JSON_FIELDS, has, section};
use super::super::{BidsFile, Dataset, file_of, folder_of, joined};
use super::Check;
use serde_json::Value;
use std::collections::BTreeSet;

const DESCRIPTION: &str = "Modality agnostic files: Dataset description";
const INHERITANCE: &str = "Common principles: The Inheritance Principle";
const JSON: &str = "Common principles: Key-value files (dictionaries)";

impl Check<'_> {
    pub(super) fn description(&mut self, dataset: &Dataset, files: &[&BidsFile]) {
        let path = joined(&dataset.path, "dataset_description.json");
        if !self.tree.by_path.contains_key(&path) {
            let remedy = "write `{\"Name\": \"…\", \"BIDSVersion\": \"1.10.0\"}` into it";
            self.error(&path, DESCRIPTION, "the dataset has no description", remedy);
        } else {
            let mut fields = vec!["Name", "BIDSVersion"];
            if dataset.kind() == "derivative" {
                fields.push("GeneratedBy");
            }
            for field in fields {
                let blank = match dataset.description.get(field) {
                    None | Some(Value::Null) => true,
                    Some(Value::String(text)) => text.trim().is_empty(),
                    _ => false,
                };
                if blank {
                    self.error(&path, DESCRIPTION, format!("the field `{field}` is missing or blank"), "fill it in");
                }
            }
            if !matches!(dataset.kind(), "raw" | "derivative" | "study") {
                let message = format!("`DatasetType` is `{}`", dataset.kind().escape_debug());
                self.error(&path, DESCRIPTION, message, "it is `raw`, `derivative` or `study`");
            }
            if !dataset.description.contains_key("License") {
                self.warning(&path, DESCRIPTION, "there is no `License`", "name the licence under which the data may be used");
            }
        }
        let readme = |file: &&&BidsFile| folder_of(&file.path) == dataset.path && file_of(&file.path).split('.').next() == Some("README");
        if !files.iter().any(|file| readme(&file)) {
            self.warning(
                &joined(&dataset.path, "README"),
                "Modality agnostic files: README",
                "the dataset has no README",
                "describe it in words",
            );
        }
        if !files.iter().any(|file| file.name.get("sub").is_some()) && dataset.kind() == "raw" {
            self.error(
                &dataset.path,
                "Common principles: Filesystem structure",
                "the dataset has no subject",
                "name the folder that holds `sub-<label>`",
            );
        }
    }

    pub(super) fn sidecars(&mut self, dataset: &Dataset, files: &[&BidsFile]) {
        let derived = dataset.kind() != "raw";
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for file in files {
            let extension = file.name.extension.as_str();
            if extension == ".json" {
                if file_of(&file.path) != "dataset_description.json"
                    && let Err(error) = self.tree.json(&file.path)
                {
                    self.fault(&file.path, JSON, &error);
                }
                self.own_fields(file, derived);
                continue;
            }
            if !file.name.is_bids() || matches!(extension, ".bval" | ".bvec" | ".vmrk" | ".eeg" | ".fdt") && !is_alone(self.tree, file) {
                continue;
            }
            let wanted = Wanted { suffix: &file.name.suffix, extension: ".json", extra: &[] };
            used.extend(self.tree.levels(file, &wanted).into_iter().flatten().map(|json| json.path.as_str()));
            match self.tree.sidecar_of(file) {
                Ok(sidecar) if !derived => self.fields(file, &sidecar.values),
                Ok(_) => {}
                Err(error) => self.fault(&file.path, INHERITANCE, &error),
            }
            if !derived {
                self.needed(file);
            }
        }
        for file in files.iter().filter(|file| file.name.extension == ".json" && file.name.is_bids() && file.name.suffix != "coordsystem") {
            if !used.contains(file.path.as_str()) {
                let message = "it applies to no data file in its folder or below (rule 2)";
                self.error(&file.path, INHERITANCE, message, "remove entities that the data files lack, or move it to them");
            }
        }
    }

    /// Fields that the merged sidecar must have.
    fn fields(&mut self, file: &BidsFile, said: &serde_json::Map<String, Value>) {
        let (datatype, suffix) = (file.datatype.as_str(), file.name.suffix.as_str());
        let image = file.name.extension.starts_with(".nii");
        let special = file.name.get("acq").is_some_and(|acq| datatype == "meg" && matches!(acq, "calibration" | "crosstalk"));
        for rule in FIELDS {
            let own = (rule.datatype.is_empty() || rule.datatype == datatype) && has(rule.suffixes, suffix) && (image || !rule.images);
            if !own || special {
                continue;
            }
            for field in rule.fields.split(' ') {
                if !field.split('|').any(|field| said.contains_key(field)) {
                    let message = format!("its JSON lacks the field `{}`", field.replace('|', "` or `"));
                    let remedy = format!("add it to the JSON of the same name, or to one above, such as `{}`", above(file));
                    self.error(&file.path, section(datatype), message, remedy);
                }
            }
        }
        for field in ["SamplingFrequency", "RepetitionTime", "PowerLineFrequency"] {
            let value = said.get(field);
            let fits = match value {
                None => true,
                Some(Value::String(text)) => {
                    field == "PowerLineFrequency" && text == "n/a" || field == "SamplingFrequency" && text == "n/a" && datatype == "nirs"
                }
                Some(value) => value.as_f64().is_some_and(|number| number > 0.0),
            };
            if !fits {
                let message =
                    format!("`{field}` is {}", value.map(ToString::to_string).unwrap_or_default().chars().take(40).collect::<String>());
                self.error(&file.path, section(datatype), message, "it is a number above 0");
            }
        }
        if let Some(time) = said.get("RepetitionTime").and_then(Value::as_f64).filter(|time| *time > 100.0 && suffix == "bold") {
            let message = format!("`RepetitionTime` is {time}, which is too long for seconds");
            self.error(&file.path, section(datatype), message, "give it in seconds");
        }
        if let (Some(task), Some(name)) = (file.name.get("task"), said.get("TaskName").and_then(Value::as_str)) {
            let label: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            if !label.eq_ignore_ascii_case(task) {
                let message = format!("`TaskName` is `{}`, from which the label `{label}` would follow, not `{task}`", name.escape_debug());
                self.warning(&file.path, section(datatype), message, "let the label be the name without anything but letters and digits");
            }
        }
    }

    /// Fields of JSON files that stand for themselves.
    fn own_fields(&mut self, file: &BidsFile, derived: bool) {
        let Some((datatype, _, fields)) = JSON_FIELDS
            .iter()
            .find(|(_, suffix, _)| *suffix == file.name.suffix && !derived)
            .and_then(|_| JSON_FIELDS.iter().find(|(datatype, suffix, _)| *suffix == file.name.suffix && *datatype == file.datatype))
        else {
            return;
        };
        let Ok(said) = self.tree.json(&file.path) else { return };
        for field in fields.split(' ').filter(|field| !said.contains_key(*field)) {
            self.error(&file.path, section(datatype), format!("it lacks the field `{field}`"), "add it");
        }
        let system = fields.split(' ').next().unwrap_or_default();
        let described = format!("{system}Description");
        if said.get(system).and_then(Value::as_str) == Some("Other") && !said.contains_key(&described) {
            self.error(
                &file.path,
                section(datatype),
                format!("`{system}` is `Other`, and `{described}` is missing"),
                "describe the system in words",
            );
        }
    }

    /// Files that must or should stand beside another.
    fn needed(&mut self, file: &BidsFile) {
        let (datatype, suffix, extension) = (file.datatype.as_str(), file.name.suffix.as_str(), file.name.extension.as_str());
        let rule = section(datatype);
        let stem = file.path.strip_suffix(extension).unwrap_or(&file.path);
        let nearest =
            |check: &Self, suffix: &str, extension: &str| check.tree.nearest(file, suffix, extension).map(|found| found.is_some());
        if extension == ".vhdr" {
            for other in [".eeg", ".vmrk"] {
                if !self.tree.by_path.contains_key(&format!("{stem}{other}")) {
                    self.error(
                        &file.path,
                        rule,
                        format!("the file of the same name that ends in `{other}` is missing"),
                        "BrainVision has three files: copy all",
                    );
                }
            }
        }
        if datatype == "dwi" && suffix == "dwi" && extension.starts_with(".nii") {
            for other in [".bval", ".bvec"] {
                match nearest(self, "dwi", other) {
                    Ok(true) => {}
                    Ok(false) => self.error(&file.path, rule, format!("no `{other}` file applies to it"), "add one beside it or above"),
                    Err(error) => self.fault(&file.path, INHERITANCE, &error),
                }
            }
        }
        let needs: &[(&str, bool)] = match (datatype, suffix) {
            ("perf", "asl") => &[("aslcontext", true)],
            ("eeg" | "ieeg" | "meg" | "nirs", own) if own == datatype && file.name.get("task").is_some() => {
                &[("channels", false), ("events", false)]
            }
            ("motion", "motion") => &[("channels", true)],
            ("func", "bold") if !file.name.get("task").is_some_and(|task| task.to_lowercase().contains("rest")) => &[("events", false)],
            _ => &[],
        };
        for (other, must) in needs {
            let rest = file.name.get("task").is_some_and(|task| task.to_lowercase().contains("rest"));
            match nearest(self, other, ".tsv") {
                Ok(false) if *must => {
                    self.error(&file.path, rule, format!("no {other}.tsv applies to it"), format!("add `…_{other}.tsv` beside it"))
                }
                Ok(false) if !(rest && *other == "events") => {
                    self.warning(&file.path, rule, format!("no {other}.tsv applies to it"), format!("add `…_{other}.tsv` beside it"));
                }
                Ok(_) => {}
                Err(error) => self.fault(&file.path, INHERITANCE, &error),
            }
        }
        if suffix == "electrodes" && extension == ".tsv" && matches!(datatype, "eeg" | "ieeg") {
            let found = self.tree.levels(file, &Wanted { suffix: "coordsystem", extension: ".json", extra: &[] });
            if found.is_empty() {
                self.error(
                    &file.path,
                    rule,
                    "electrodes have positions, but no coordsystem.json applies",
                    "add the coordinate system, with the same `space`",
                );
            }
        }
        if datatype == "fmap"
            && let Ok(sidecar) = self.tree.sidecar_of(file)
        {
            self.intended(file, sidecar.values.get("IntendedFor"));
        }
    }

    fn intended(&mut self, file: &BidsFile, value: Option<&Value>) {
        let targets: Vec<&str> = match value {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        let subject = file.name.get("sub").unwrap_or_default();
        for target in targets {
            let path = match target.split_once(':') {
                Some(("bids", rest)) => match rest.split_once(':') {
                    Some(("", rest)) => rest.to_owned(),
                    // Another dataset.
                    _ => continue,
                },
                _ => format!("sub-{subject}/{target}"),
            };
            let path = joined(&file.dataset, &path);
            if !self.tree.by_path.contains_key(&path) && !self.tree.by_path.contains_key(&format!("{path}/")) {
                let message =
                    format!("`IntendedFor` names `{}`, which is not there", target.chars().take(200).collect::<String>().escape_debug());
                self.error(&file.path, section("fmap"), message, "name a file by its path from the subject's folder, or as `bids::sub-…`");
            }
        }
    }
}

/// Whether a companion file has no header that it belongs to.
fn is_alone(tree: &super::super::BidsTree, file: &BidsFile) -> bool {
    let stem = file.path.strip_suffix(file.name.extension.as_str()).unwrap_or(&file.path);
    let header = match file.name.extension.as_str() {
        ".vmrk" | ".eeg" => ".vhdr",
        ".fdt" => ".set",
        _ => return false,
    };
    !tree.by_path.contains_key(&format!("{stem}{header}"))
}

/// A name at the top of the dataset whose JSON a file inherits.
fn above(file: &BidsFile) -> String {
    match file.name.get("task") {
        Some(task) => format!("task-{task}_{}.json", file.name.suffix),
        None => format!("{}.json", file.name.suffix),
    }
}
