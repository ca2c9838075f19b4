//! Rules of paths and file names.

use super::super::inherit::is_metadata;
use super::super::name::{DATATYPES, Name, entity, number, place};
use super::super::rules::{FILES, TOP_LEVEL_FILES, TOP_LEVEL_FOLDERS, has, section};
use super::super::{BidsFile, Dataset, file_of, folder_of};
use super::{Check, within};
use std::collections::BTreeMap;

const STRUCTURE: &str = "Common principles: Filesystem structure";
const FILENAMES: &str = "Common principles: Filenames";
const ENTITY: &str = "Appendix: Entities";

impl Check<'_> {
    pub(super) fn names(&mut self, dataset: &Dataset, files: &[&BidsFile]) {
        let derived = dataset.kind() != "raw";
        for file in files {
            let below = within(file);
            let parts: Vec<&str> = below.trim_end_matches('/').split('/').collect();
            match parts.as_slice() {
                [_] => self.top(file, derived),
                [first, ..] if first.starts_with("sub-") => self.in_subject(file, &parts, derived),
                ["phenotype", _] => {}
                [first, ..] if !TOP_LEVEL_FOLDERS.contains(first) && !derived => {
                    let message = format!("there is no folder `{}` at the top of a dataset", first.escape_debug());
                    self.error(
                        &file.path,
                        STRUCTURE,
                        message,
                        "name it in .bidsignore, or move it to `sourcedata`, `code` or `derivatives`",
                    );
                }
                _ => {}
            }
        }
        self.twice(files);
    }

    fn top(&mut self, file: &BidsFile, derived: bool) {
        let name = file_of(&file.path);
        if TOP_LEVEL_FILES.contains(&name) || (name.starts_with('.') && name != ".bidsignore") {
            return;
        }
        if file.name.get("sub").is_some() {
            let subject = file.name.get("sub").unwrap_or_default();
            let session = file.name.get("ses").map(|session| format!("ses-{session}/")).unwrap_or_default();
            let datatype = datatype_of(&file.name).map(|datatype| format!("{datatype}/")).unwrap_or_default();
            let message = "a file of a subject stands at the top, not in `sub-<label>/[ses-<label>/]<datatype>/`";
            self.error(&file.path, STRUCTURE, message, format!("move it to `sub-{subject}/{session}{datatype}{name}`"));
            self.entities(file, derived);
            return;
        }
        let known = FILES.iter().any(|rule| has(rule.suffixes, &file.name.suffix));
        if is_metadata(&file.name) && (known || derived && file.name.is_bids()) {
            self.entities(file, derived);
        } else if !(derived && is_metadata(&file.name)) {
            let message = format!("there is no file `{}` at the top of a dataset", name.escape_debug());
            self.error(&file.path, STRUCTURE, message, "name it in .bidsignore, or move it to `code`, `docs` or `sourcedata`");
        }
    }

    fn in_subject(&mut self, file: &BidsFile, parts: &[&str], derived: bool) {
        let folder = |key: &str| parts.iter().find_map(|part| part.strip_prefix(key)).filter(|_| parts.len() > 1);
        let own_folders = parts.get(..parts.len().saturating_sub(1)).unwrap_or(&[]);
        for (key, prefix) in [("sub", "sub-"), ("ses", "ses-")] {
            let stands = own_folders.iter().find_map(|part| part.strip_prefix(prefix));
            let told = file.name.get(key);
            if let Some(stands) = stands.filter(|stands| told != Some(stands)) {
                let message = match told {
                    Some(told) => format!("its name says `{prefix}{told}`, its folder `{prefix}{stands}`"),
                    None => format!("it stands in `{prefix}{stands}`, which its name does not say"),
                };
                self.error(&file.path, STRUCTURE, message, format!("let its name have `{prefix}{stands}`"));
            } else if key == "ses" && stands.is_none() && told.is_some() && file.name.suffix != "sessions" {
                let message = "its name has a session, but it is not in a folder of that session";
                self.error(&file.path, STRUCTURE, message, format!("move it below `ses-{}`", told.unwrap_or_default()));
            }
        }
        for key in ["sub-", "ses-"] {
            if let Some(value) = folder(key).filter(|value| !is_label(value)) {
                self.error(
                    &file.path,
                    ENTITY,
                    format!("`{key}{}` is not a label", value.escape_debug()),
                    "use letters, digits and `+` only",
                );
            }
        }
        self.entities(file, derived);
        if derived || matches!(file.name.suffix.as_str(), "scans" | "sessions") && file.datatype.is_empty() {
            return;
        }
        let metadata = is_metadata(&file.name) && file.name.is_bids();
        if file.datatype.is_empty() {
            // Metadata may stand above the folder of its data.
            if !metadata {
                let parent = file_of(folder_of(&file.path));
                let message = format!("its folder `{}` is not that of a datatype", parent.escape_debug());
                self.error(&file.path, STRUCTURE, message, format!("move it to one of {}", DATATYPES.join(", ")));
            }
            return;
        }
        self.by_datatype(file);
    }

    /// Suffix, extension and entities against what the datatype allows.
    fn by_datatype(&mut self, file: &BidsFile) {
        let (datatype, suffix, extension) = (file.datatype.as_str(), file.name.suffix.as_str(), file.name.extension.as_str());
        let rule = section(datatype);
        let of_datatype = || FILES.iter().filter(move |rule| has(rule.datatypes, datatype));
        let of_suffix = || of_datatype().filter(move |rule| has(rule.suffixes, suffix));
        if of_suffix().next().is_none() {
            let mut known: Vec<&str> = of_datatype().flat_map(|rule| rule.suffixes.split(' ')).collect();
            known.sort_unstable();
            known.dedup();
            let message = format!("the suffix `{}` is not one of `{datatype}`", suffix.escape_debug());
            self.error(&file.path, rule, message, format!("there are {}", known.join(", ")));
            return;
        }
        let of_extension = || of_suffix().filter(move |rule| has(rule.extensions, extension) || has(rule.extensions, ".*"));
        if of_extension().next().is_none() {
            let mut known: Vec<&str> = of_suffix().flat_map(|rule| rule.extensions.split(' ')).collect();
            known.sort_unstable();
            known.dedup();
            let message = format!("a `{suffix}` file of `{datatype}` does not end in `{}`", extension.escape_debug());
            self.error(&file.path, rule, message, format!("it may end in {}", known.join(", ")));
            return;
        }
        let has_entity = |key: &str| file.name.get(key).is_some();
        let lacks = |list: &'static str| list.split(' ').filter(|key| !has_entity(key)).collect::<Vec<_>>();
        let extra = |required: &str, optional: &str| {
            let allowed = |key: &str| has(required, key) || has(optional, key);
            file.name.entities.iter().map(|(key, _)| key.clone()).filter(|key| place(key).is_some() && !allowed(key)).collect::<Vec<_>>()
        };
        let Some(best) = of_extension().min_by_key(|rule| lacks(rule.required).len() + extra(rule.required, rule.optional).len()) else {
            return;
        };
        let metadata = is_metadata(&file.name) && extension != ".tsv" && extension != ".tsv.gz";
        for key in lacks(best.required) {
            // A JSON file may say less than the data that it is for.
            if !metadata {
                let long = entity(key).map_or(key, |entity| entity.long);
                self.error(
                    &file.path,
                    rule,
                    format!("its name lacks the entity `{key}` ({long})"),
                    format!("add `{key}-<label>` to the name"),
                );
            }
        }
        for key in extra(best.required, best.optional) {
            let message = format!("a `{suffix}` file of `{datatype}` has no entity `{key}`");
            let mut all: Vec<&str> = best.required.split(' ').chain(best.optional.split(' ')).filter(|key| !key.is_empty()).collect();
            all.sort_by_key(|key| place(key));
            self.error(&file.path, rule, message, format!("it may have {}", all.join(", ")));
        }
    }

    /// What holds for entities in every name: known, once, in order, with values that are labels.
    fn entities(&mut self, file: &BidsFile, derived: bool) {
        let name = &file.name;
        for part in &name.odd {
            let message = format!("`{}` in its name is neither an entity nor the suffix", part.escape_debug());
            self.error(&file.path, FILENAMES, message, "write entities as `key-value`, and the suffix last");
        }
        if name.suffix.is_empty() {
            self.error(&file.path, FILENAMES, "its name has no suffix", "end the name with `_` and a suffix, such as `_bold` or `_eeg`");
        }
        let mut last: Option<(usize, &str)> = None;
        for (position, (key, value)) in name.entities.iter().enumerate() {
            let Some(entity) = entity(key).filter(|entity| entity.short == key) else {
                if !derived {
                    let remedy = match entity(key) {
                        Some(entity) => format!("write `{}-{}`", entity.short, value.escape_debug()),
                        None => "leave it out, or put what it says into `acq-` or `desc-`".into(),
                    };
                    self.error(&file.path, ENTITY, format!("there is no entity `{}`", key.escape_debug()), remedy);
                }
                continue;
            };
            if name.entities.iter().take(position).any(|(other, _)| other == key) {
                self.error(&file.path, FILENAMES, format!("the entity `{key}` stands twice in its name"), "keep one of them");
            }
            let fits = if entity.index { number(value).is_some() } else { is_label(value) };
            if !fits {
                let what = if entity.index { "a whole number" } else { "a label of letters, digits and `+`" };
                self.error(&file.path, ENTITY, format!("`{key}-{}` is not {what}", value.escape_debug()), "correct the value");
            } else if !entity.values.is_empty() && !entity.values.contains(&value.as_str()) {
                let message = format!("`{key}` can't be `{value}`");
                self.error(&file.path, ENTITY, message, format!("it is one of {}", entity.values.join(", ")));
            }
            let here = place(key).unwrap_or(usize::MAX);
            if let Some((_, before)) = last.filter(|(before, _)| *before > here) {
                let message = format!("`{key}` stands after `{before}` in its name, it must stand before");
                self.error(&file.path, "Appendix: Entity table", message, "put entities into the order of the table");
            }
            last = Some((here, key));
        }
    }

    /// Files that are one and the same by their names.
    fn twice(&mut self, files: &[&BidsFile]) {
        let mut seen: BTreeMap<(String, String), &BidsFile> = BTreeMap::new();
        let mut cases: BTreeMap<String, &BidsFile> = BTreeMap::new();
        for file in files {
            let lower = file.path.to_lowercase();
            if let Some(other) = cases.insert(lower, file) {
                let message = format!("its path differs from `{}` only in capital letters", other.path.escape_debug());
                self.error(&file.path, "Common principles: Case collision intolerance", message, "give one of them another label");
            }
            if !file.name.is_bids() {
                continue;
            }
            let mut parts: Vec<String> = file
                .name
                .entities
                .iter()
                .map(|(key, value)| match entity(key).filter(|entity| entity.index).and_then(|_| number(value)) {
                    Some(value) => format!("{key}-{value}"),
                    None => format!("{key}-{value}"),
                })
                .collect();
            parts.sort();
            // An image may be compressed or not, but not both.
            let extension = if file.name.extension == ".nii.gz" { ".nii" } else { &file.name.extension };
            let key = (folder_of(&file.path).to_owned(), format!("{}_{}{extension}", parts.join("_"), file.name.suffix));
            if let Some(other) = seen.insert(key, file) {
                let message = format!("its name says the same as that of `{}`", file_of(&other.path).escape_debug());
                self.error(&file.path, FILENAMES, message, "keep one of them, or tell them apart by an entity such as `run`");
            }
        }
    }
}

/// Letters, digits and `+`.
fn is_label(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
}

/// The only datatype that has this suffix.
fn datatype_of(name: &Name) -> Option<&'static str> {
    let mut found: Vec<&str> =
        FILES.iter().filter(|rule| has(rule.suffixes, &name.suffix)).flat_map(|rule| rule.datatypes.split(' ')).collect();
    found.sort_unstable();
    found.dedup();
    if found.len() == 1 { found.first().copied() } else { None }
}
