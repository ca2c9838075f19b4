//! What the version control says about the pipeline: commit, branch, and whether the working tree differs.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The state of the repository that a pipeline lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit checked out, 40 hexadecimal digits.
    pub commit: String,
    /// The branch, when one is checked out.
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit.
    pub dirty: bool,
}

/// The commits that have a tag in the repository that a folder lies in, with the tag's name; empty where there is no repository.
pub fn tagged(folder: &Path) -> HashMap<String, String> {
    let mut tagged = HashMap::new();
    let Ok(repository) = git2::Repository::discover(folder) else { return tagged };
    let Ok(references) = repository.references_glob("refs/tags/*") else { return tagged };
    for reference in references.flatten() {
        if let (Ok(commit), Ok(name)) = (reference.peel_to_commit(), reference.shorthand()) {
            tagged.insert(commit.id().to_string(), name.to_owned());
        }
    }
    tagged
}

/// The revision, and the difference of the working tree from it as a patch (empty when clean).
///
/// Answers none when the pipeline lies in no repository, or in one without a commit: that is allowed, and recorded as such.
pub fn describe(path: &Path) -> Option<(Revision, Vec<u8>)> {
    let repository = git2::Repository::discover(path.parent().unwrap_or(path)).ok()?;
    let head = repository.head().ok()?;
    let commit = head.peel_to_commit().ok()?;
    let branch = head.shorthand().ok().filter(|_| head.is_branch()).map(str::to_owned);
    let tree = commit.tree().ok()?;
    let diff = repository.diff_tree_to_workdir_with_index(Some(&tree), None).ok()?;
    let mut patch = Vec::new();
    diff.print(git2::DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            patch.push(line.origin() as u8);
        }
        patch.extend_from_slice(line.content());
        true
    })
    .ok()?;
    let revision = Revision { commit: commit.id().to_string(), branch, dirty: !patch.is_empty() };
    Some((revision, patch))
}
