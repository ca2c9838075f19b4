//! Which recordings of BIDS trees each result was computed from.

use crate::ro_crate::Performed;
use neuroflow_engine::Digest;
use neuroflow_engine::home;
use neuroflow_engine::label;
use neuroflow_engine::record::{RunRecord, TaskRow};
use neuroflow_formats::bids::{BidsFile, DATATYPES, Name, entity, is_data};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// A recording or image that a run took from a tree.
pub(super) struct Recording {
    /// What its member is called: its file's name without the extension.
    pub(super) label: String,
    /// Its content with that of the files that belong to it.
    digest: Digest,
    /// The position of its tree.
    pub(super) tree: usize,
    /// Its file, by its path below the tree.
    pub(super) file: BidsFile,
}

/// A tree that a run took recordings from.
pub(super) struct Tree {
    /// Its folder, as far as this machine's home folder is the one that the record means.
    pub(super) folder: PathBuf,
    /// Files of the whole dataset, such as `participants.tsv`, as the run had them.
    pub(super) of_all: BTreeMap<String, Digest>,
}

/// Files that belong to every recording of a dataset.
const OF_ALL: [&str; 3] = ["dataset_description.json", "participants.tsv", "participants.json"];

/// What a run took from BIDS trees.
pub(super) fn taken(record: &RunRecord) -> (Vec<Tree>, Vec<Recording>) {
    let (mut trees, mut recordings): (Vec<Tree>, Vec<Recording>) = (Vec::new(), Vec::new());
    for input in &record.inputs {
        let Some(folder) = folder_of(&input.taken).map(home::real) else { continue };
        let tree = trees.iter().position(|tree| tree.folder == folder).unwrap_or_else(|| {
            trees.push(Tree { folder, of_all: BTreeMap::new() });
            trees.len() - 1
        });
        for (label, digest) in &input.members {
            let own =
                input.files.iter().filter_map(|(path, content)| Some((path.strip_prefix(label.as_str())?.strip_prefix('/')?, content)));
            let own: Vec<(&str, &Digest)> = own.collect();
            for (path, content) in own.iter().filter(|(path, _)| OF_ALL.contains(path)) {
                trees[tree].of_all.insert((*path).to_owned(), **content);
            }
            let is_it = |file: &BidsFile| is_data(file) && named(&file.path).strip_suffix(&file.name.extension) == Some(label);
            if let Some(file) = own.iter().map(|(path, _)| file_of(path)).find(is_it) {
                recordings.push(Recording { label: label.clone(), digest: *digest, tree, file });
            }
        }
    }
    (trees, recordings)
}

/// The folder of a tree, from what a record says was taken: `tree ds, task = rest`.
fn folder_of(taken: &str) -> Option<&str> {
    let taken = taken.strip_prefix("tree ")?;
    let is_condition = |text: &str| {
        let key = text.split_once(" = ").map(|(key, _)| key);
        key.is_some_and(|key| entity(key).is_some() || matches!(key, "suffix" | "datatype" | "extension" | "digest"))
    };
    let end = taken.match_indices(", ").find(|(at, comma)| is_condition(&taken[at + comma.len()..])).map(|(at, _)| at);
    Some(&taken[..end.unwrap_or(taken.len())])
}

fn named(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn file_of(path: &str) -> BidsFile {
    let parent = path.rsplit('/').nth(1).filter(|folder| DATATYPES.contains(folder));
    BidsFile { path: path.to_owned(), dataset: String::new(), datatype: parent.unwrap_or_default().to_owned(), name: Name::of(named(path)) }
}

/// Where results come from.
pub(super) struct Origins<'a> {
    /// The rows of steps by what they are called.
    rows: HashMap<&'a str, usize>,
    all: &'a [TaskRow],
    /// The recordings behind each row, by position.
    behind: Vec<BTreeSet<usize>>,
    /// The recordings that each row took itself.
    direct: Vec<BTreeSet<usize>>,
}

impl<'a> Origins<'a> {
    pub(super) fn of(rows: &'a [TaskRow], performed: &[Performed], recordings: &[Recording]) -> Origins<'a> {
        let takes: HashMap<&str, &[Digest]> = performed.iter().map(|one| (one.label.as_str(), one.takes.as_slice())).collect();
        let (mut behind, mut direct) = (Vec::<BTreeSet<usize>>::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for row in rows {
            let takes = takes.get(label::step(&row.label)).copied().unwrap_or_default();
            let own = recordings.iter().enumerate().filter(|(_, recording)| takes.contains(&recording.digest));
            let own: BTreeSet<usize> = own.map(|(position, _)| position).collect();
            let mut all = own.clone();
            // Those that a row needs stand before it.
            all.extend(row.needs.iter().filter_map(|needed| behind.get(*needed)).flatten().copied());
            behind.push(all);
            direct.push(own);
        }
        let of_steps = rows.iter().enumerate().filter(|(_, row)| row.joins.is_none() && label::part(&row.label).is_none());
        Origins { rows: of_steps.map(|(position, row)| (row.label.as_str(), position)).collect(), all: rows, behind, direct }
    }

    /// The recordings that a step's result was computed from, all of them.
    pub(super) fn behind(&self, step: &str) -> BTreeSet<usize> {
        self.rows.get(step).and_then(|row| self.behind.get(*row)).cloned().unwrap_or_default()
    }

    /// The recordings that a step took itself.
    pub(super) fn direct(&self, step: &str) -> BTreeSet<usize> {
        self.rows.get(step).and_then(|row| self.direct.get(*row)).cloned().unwrap_or_default()
    }

    /// The steps whose results a step took.
    pub(super) fn needs(&self, step: &str) -> BTreeSet<&'a str> {
        let row = self.rows.get(step).and_then(|row| self.all.get(*row));
        let needed = row.into_iter().flat_map(|row| &row.needs).filter_map(|needed| self.all.get(*needed));
        needed.map(|row| row.joins.as_deref().unwrap_or_else(|| label::step(&row.label))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_told_from_the_conditions() {
        for (taken, folder) in [
            ("tree ds", Some("ds")),
            ("tree ds, task = rest, subject = all", Some("ds")),
            ("tree a, b/ds, run = 1", Some("a, b/ds")),
            ("tree ~/x = y, z", Some("~/x = y, z")),
            ("file ds", None),
        ] {
            assert_eq!(folder_of(taken), folder, "{taken}");
        }
    }
}
