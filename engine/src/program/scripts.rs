//! Which files of the pipeline's folder a program is given: those that its command names, and those that `scripts = […]` names.
//!
//! They are laid at the same path in the program's folder, and their content is part of the key. A module that a script imports and nobody named is not
//! there, so a forgotten name is an error of the first run and never a stale result of a later one.

use crate::files::look::{Disk, Look};
use crate::folder::{file_below, search_in};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A pattern that fits more files than this is a mistake.
const MOST: usize = 10_000;

/// Finds the scripts of a command: path below `folder` with `/`, and where it is. `output` is the file that the program writes, which is never one of them.
///
/// # Errors
/// When a pattern leads out of the folder, fits nothing, or fits what can't be read.
pub(crate) fn find(
    look: &dyn Look,
    folder: &Path,
    template: &str,
    patterns: &[String],
    output: &str,
) -> Result<Vec<(String, PathBuf)>, String> {
    let mut found = BTreeMap::new();
    let root = look.real(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for word in words(template) {
        if let Some(path) = plain(word)
            && let Some(place) = file_below(look, &root, &path)
            && is_free(&path, output)
        {
            found.insert(path, place);
        }
    }
    for pattern in patterns {
        let plain = plain(pattern)
            .ok_or_else(|| format!("`{pattern}` in `scripts` leads out of the pipeline's folder; name files below {}", folder.display()))?;
        let fitting = search_in(look, &root, &plain, &|_| true)?;
        if fitting.len() > MOST {
            return Err(format!("`{pattern}` in `scripts` fits more than {MOST} files; be more specific"));
        }
        if fitting.is_empty() {
            return Err(format!("`{pattern}` in `scripts` fits no file below {}", folder.display()));
        }
        for path in fitting {
            if !is_free(&path, output) {
                return Err(format!(
                    "`{path}` in `scripts` can't be given to the program: that place is its output's, or that of its inputs"
                ));
            }
            let place = file_below(look, &root, &path)
                .ok_or_else(|| format!("`{path}` in `scripts` is a link that leads out of the pipeline's folder"))?;
            found.insert(path, place);
        }
    }
    Ok(found.into_iter().collect())
}

/// Whether a file can be started by itself.
pub fn is_executable(path: &Path) -> bool {
    Disk.found(path).is_ok_and(|found| found.is_executable)
}

/// The words of a command that are written out, without what a template fills in.
pub(super) fn words(template: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (text, after) = match rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
            Some(start) => {
                let (text, tag) = rest.split_at(start);
                let end = ["}}", "%}", "#}"].iter().filter_map(|end| tag.find(end)).min().map_or(tag.len(), |end| end + 2);
                (text, Some(tag.split_at(end).1))
            }
            None => (rest, None),
        };
        let ends = |c: char| c.is_whitespace() || "'\"`;|&()<>=,:$".contains(c);
        let mut pieces: Vec<&str> = text.split(ends).collect();
        // What touches a filled-in place is only a part of a word.
        if after.is_some() {
            pieces.pop();
        }
        if rest.len() != template.len() && !pieces.is_empty() {
            pieces.remove(0);
        }
        words.extend(pieces.into_iter().filter(|word| !word.is_empty()));
        rest = after.unwrap_or_default();
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// A path below a folder, without `.` parts; none when it is absolute or has `..`.
fn plain(word: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in Path::new(word).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Whether a path is neither the output's nor one of the places that neuroflow fills.
fn is_free(path: &str, output: &str) -> bool {
    path != output && !["in", "tmp"].contains(&path.split('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, template: &str, patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Ok(find(&Disk, folder, template, &patterns, "made.csv")?.into_iter().map(|(path, _)| path).collect())
    }

    #[test]
    fn words_that_name_files_are_scripts_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["scripts/a.py", "scripts/lib/b.py", "scripts/lib/c.txt", "made.csv", "in/x", "run.sh", ".hidden/d.py"] {
            std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(path), path).unwrap();
        }
        let found = |template| names(folder.path(), template, &[]).unwrap();
        assert_eq!(found("python scripts/a.py --x={{ x }} > made.csv; cat in/x"), ["scripts/a.py"]);
        assert_eq!(found("./run.sh;python 'scripts/lib/b.py' \"$(cat scripts/a.py)\""), ["run.sh", "scripts/a.py", "scripts/lib/b.py"]);
        assert_eq!(found("--config=run.sh scripts /etc/passwd ../x scripts/../run.sh"), ["run.sh"]);
        assert_eq!(found("cat scripts/{{ x }}run.sh {{ x }}scripts/a.py run.sh{{ x }} {# run.sh #}").len(), 0);
        let all = names(folder.path(), "true", &["scripts/**/*.py"]).unwrap();
        assert_eq!(all, ["scripts/a.py", "scripts/lib/b.py"]);
        assert_eq!(
            names(folder.path(), "true", &["./run.sh", "scripts/lib/*"]).unwrap(),
            ["run.sh", "scripts/lib/b.py", "scripts/lib/c.txt"]
        );
        for (pattern, reason) in
            [("../x", "leads out"), ("/etc/passwd", "leads out"), ("nothing/*.py", "fits no file"), ("made.csv", "its output's")]
        {
            let said = names(folder.path(), "true", &[pattern]).unwrap_err();
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_that_leads_out_is_no_script() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("key"), "secret").unwrap();
        std::os::unix::fs::symlink(other.path().join("key"), folder.path().join("key")).unwrap();
        std::os::unix::fs::symlink(other.path(), folder.path().join("folder")).unwrap();
        assert_eq!(names(folder.path(), "cat key folder/key", &[]).unwrap(), Vec::<String>::new());
        assert!(names(folder.path(), "true", &["key"]).unwrap_err().contains("leads out"));
    }
}
