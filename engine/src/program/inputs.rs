//! Results and scripts as files in a program's folder.

use super::scratch::disk;
use super::{Ending, refused};
use crate::task::{Argument, ExecCall};
use neuroflow_cache::{Cache, Digest};
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_data::{Artifact, Kind, Payload};
use neuroflow_stage::StageError;
use std::collections::BTreeMap;
use std::path::Path;

/// Inputs as files.
pub(super) struct Inputs<'a> {
    /// For each name, the path that the template is given.
    pub(super) paths: BTreeMap<String, String>,
    /// For each path, the values behind it, with their labels.
    values: BTreeMap<String, Vec<(String, &'a Artifact)>>,
}

impl<'a> Inputs<'a> {
    pub(super) fn lay_out(arguments: &[Argument], values: &'a [Artifact], folder: &Path) -> Result<Inputs<'a>, Ending> {
        let mut slots: BTreeMap<&str, Vec<(String, &Artifact)>> = BTreeMap::new();
        for (argument, value) in arguments.iter().zip(values) {
            slots.entry(&argument.slot).or_default().push((argument.label.clone(), value));
        }
        if !slots.is_empty() {
            make(&folder.join("in"))?;
        }
        let mut inputs = Inputs { paths: BTreeMap::new(), values: BTreeMap::new() };
        for (slot, members) in slots {
            let family = members.iter().any(|(label, _)| !label.is_empty());
            let bytes = matches!(members.first(), Some((_, value)) if matches!(value.kind(), Kind::File | Kind::Dir));
            let path = if family || bytes { format!("in/{slot}") } else { format!("in/{slot}.arrow") };
            if family {
                make(&folder.join(&path))?;
            }
            let names = file_names(members.iter().map(|(label, _)| label.as_str()));
            for ((_, value), name) in members.iter().zip(names) {
                let at = if family { folder.join(&path).join(with_ending(name, value)) } else { folder.join(&path) };
                lay(value, &at)?;
            }
            inputs.values.insert(path.clone(), members);
            inputs.paths.insert(slot.to_owned(), path);
        }
        Ok(inputs)
    }

    /// The value behind `path` in another format.
    pub(super) fn convert(&self, path: &str, format: &str, to: &Path) -> Result<(), Ending> {
        let Some(members) = self.values.get(path) else {
            return Err(Ending::Refused(StageError::refused(format!("`| {format}` is for results: `{path}` is none"))));
        };
        let format: ExportFormat = format.parse().map_err(|_| Ending::Refused(StageError::Bug(format!("no format {format}"))))?;
        let said =
            |error: &dyn std::fmt::Display| Ending::Refused(StageError::refused(format!("`{path}` can't be had as {format}: {error}")));
        if let [(label, value)] = members.as_slice()
            && label.is_empty()
        {
            return put(to, &export(value, format).map_err(|error| said(&error))?);
        }
        make(to)?;
        let names = file_names(members.iter().map(|(label, _)| label.as_str()));
        members.iter().zip(names).try_for_each(|((_, value), name)| {
            put(&to.join(format!("{name}.{format}")), &export(value, format).map_err(|error| said(&error))?)
        })
    }
}

/// Lays the scripts of a call where the command looks for them. They are copies: what a program does to them reaches nothing else.
pub(super) fn lay_scripts(call: &ExecCall, cache: &Cache, folder: &Path) -> Result<(), Ending> {
    for script in &call.scripts {
        let content = cache.get(&script.content).map_err(|error| Ending::World(error.to_string()))?;
        let Some(content) = content else {
            return Err(refused(format!("the script `{}` is no longer in the cache", script.path), "run again"));
        };
        let path = folder.join(&script.path);
        if let Some(parent) = path.parent() {
            make(parent)?;
        }
        put(&path, &content)?;
        #[cfg(unix)]
        if script.executable {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, mode).map_err(|error| Ending::World(disk("writing", &path, &error)))?;
        }
    }
    Ok(())
}

fn lay(value: &Artifact, at: &Path) -> Result<(), Ending> {
    match value.payload() {
        Payload::Bytes(bytes) => put(at, bytes),
        Payload::Tree(tree) => {
            make(at)?;
            let names = file_names(tree.iter().map(|(name, _)| name));
            tree.iter().zip(names).try_for_each(|((_, bytes), name)| put(&at.join(name), bytes))
        }
        Payload::Batch(_) => put(at, &value.encode().map_err(|error| Ending::Refused(error.into()))?),
    }
}

fn with_ending(name: String, value: &Artifact) -> String {
    match value.kind() {
        Kind::File | Kind::Dir => name,
        _ => format!("{name}.arrow"),
    }
}

/// Longer names are cut: file systems end at 255 bytes, and an ending may follow.
const LONGEST: usize = 120;

/// Labels as file names, each another: a label that is no name as it stands, and would have that of another or is too long, gets some of its digest.
fn file_names<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let labels: Vec<&str> = labels.collect();
    let mut names: Vec<String> = labels.iter().map(|label| plain(label)).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    names.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
    for (name, label) in names.iter_mut().zip(&labels) {
        let shared = counts.get(name).is_some_and(|count| *count > 1) && name != label;
        if shared || name.len() > LONGEST {
            let end = (0..=name.len().min(LONGEST)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
            *name = format!("{}~{}", &name[..end], Digest::of(label.as_bytes()).short());
        }
    }
    names
}

/// A label as a file name that leads nowhere else.
fn plain(label: &str) -> String {
    let name: String = label.chars().map(|c| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' }).collect();
    if name.starts_with('.') || name.is_empty() { format!("_{name}") } else { name }
}

fn make(folder: &Path) -> Result<(), Ending> {
    std::fs::create_dir_all(folder).map_err(|error| Ending::World(disk("making", folder, &error)))
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Ending> {
    std::fs::write(path, bytes).map_err(|error| Ending::World(disk("writing", path, &error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_labels_have_one_file() {
        let long = "a".repeat(300);
        let labels = ["x/y", "x_y", "x:y", "", "_", "V1", &long, "ä b"];
        let names = file_names(labels.into_iter());
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), labels.len(), "{names:?}");
        assert_eq!((names[1].as_str(), names[4].as_str(), names[5].as_str(), names[7].as_str()), ("x_y", "_", "V1", "ä b"));
        assert!(names[0].starts_with("x_y~") && names.iter().all(|name| name.len() < 200 && !name.contains('/')), "{names:?}");
    }
}
