//! A person's patch, as `git diff` or `diff -u` writes it.

use neuroflow_dsl::edit::Change;

/// Why a patch can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {what}")]
pub struct PatchError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// One place of a file that a patch changes.
struct Hunk {
    /// Where it stands in the patch.
    line: usize,
    /// The first line that it is about, from 1.
    start: usize,
    old: String,
    new: String,
}

/// The changes of each file that a patch names, against the texts that `read` gives; none for a file that is not there.
///
/// # Errors
/// When it is no patch, or one of its places does not fit the file.
pub fn drafts(patch: &str, read: &mut dyn FnMut(&str) -> Result<Option<String>, String>) -> Result<Vec<(String, Vec<Change>)>, PatchError> {
    let mut files = Vec::new();
    for (path, line, hunks) in parse(patch)? {
        let wrong = |line: usize, what: String| PatchError { line, what };
        let text = read(&path).map_err(|reason| wrong(line, reason))?.unwrap_or_default();
        let mut changes = Vec::new();
        // Places move by what the hunks before brought.
        let mut moved: isize = 0;
        for hunk in hunks {
            let at = place(&text, &hunk)
                .ok_or_else(|| wrong(hunk.line, format!("these lines are not in {path}; was the patch made for another state?")))?;
            let moved_at = at.checked_add_signed(moved).unwrap_or(at);
            moved += hunk.new.len() as isize - hunk.old.len() as isize;
            changes.push(Change { at: moved_at, old: hunk.old, new: hunk.new });
        }
        files.push((path, changes));
    }
    if files.is_empty() {
        return Err(PatchError { line: 1, what: "there is no change in it; write it with `git diff > change.diff`".into() });
    }
    Ok(files)
}

/// Where the lines of a hunk stand: where it says, else the only place that has them.
fn place(text: &str, hunk: &Hunk) -> Option<usize> {
    let starts = || std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let said = starts().nth(hunk.start.saturating_sub(1));
    if let Some(at) = said.filter(|at| text[*at..].starts_with(&hunk.old)) {
        return Some(at);
    }
    if hunk.old.is_empty() {
        return None;
    }
    let mut fitting = starts().filter(|at| text[*at..].starts_with(&hunk.old));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn parse(patch: &str) -> Result<Vec<(String, usize, Vec<Hunk>)>, PatchError> {
    let mut files: Vec<(String, usize, Vec<Hunk>)> = Vec::new();
    let lines: Vec<&str> = patch.lines().collect();
    let wrong = |line: usize, what: &str| PatchError { line: line + 1, what: what.to_owned() };
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if let Some(old) = line.strip_prefix("--- ") {
            let new = lines.get(at + 1).and_then(|line| line.strip_prefix("+++ ")).ok_or_else(|| wrong(at, "`+++` must follow"))?;
            let (old, new) = (name(old), name(new));
            match (old, new) {
                (_, None) => return Err(wrong(at, "a file is removed; only changes can be proposed")),
                (Some(old), Some(new)) if old != new => return Err(wrong(at, "a file is renamed; only changes can be proposed")),
                (_, Some(new)) => files.push((new.to_owned(), at + 1, Vec::new())),
            }
            at += 2;
        } else if let Some(head) = line.strip_prefix("@@ -") {
            let (hunk, next) = hunk(head, &lines, at)?;
            let Some((_, _, hunks)) = files.last_mut() else { return Err(wrong(at, "it names no file before")) };
            hunks.push(hunk);
            at = next;
        } else if ["rename from ", "deleted file mode ", "GIT binary patch", "Binary files "].iter().any(|begin| line.starts_with(begin)) {
            return Err(wrong(at, "only changes of texts can be proposed"));
        } else {
            at += 1;
        }
    }
    Ok(files)
}

/// The path of `a/pipelines/x.nf\t2026-…`; none for `/dev/null`.
fn name(said: &str) -> Option<&str> {
    let path = said.split('\t').next().unwrap_or(said).trim_end();
    if path == "/dev/null" {
        return None;
    }
    Some(path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path))
}

fn hunk(head: &str, lines: &[&str], at: usize) -> Result<(Hunk, usize), PatchError> {
    let wrong = |line: usize, what: &str| PatchError { line: line + 1, what: what.to_owned() };
    let numbers = |text: &str| -> Option<(usize, usize)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let head = head.split(" @@").next().unwrap_or(head);
    let (old, new) = head.split_once(" +").ok_or_else(|| wrong(at, "`@@ -1,2 +1,3 @@` is expected"))?;
    let ((start, mut old_left), (_, mut new_left)) =
        numbers(old).zip(numbers(new)).ok_or_else(|| wrong(at, "`@@ -1,2 +1,3 @@` is expected"))?;
    let mut found = Hunk { line: at + 1, start, old: String::new(), new: String::new() };
    let mut next = at + 1;
    while old_left + new_left > 0 {
        let Some(line) = lines.get(next) else { return Err(wrong(next, "lines are missing at the end")) };
        let (mark, text) =
            if line.is_empty() { (' ', "") } else { (line.chars().next().unwrap_or(' '), line.get(1..).unwrap_or_default()) };
        let (in_old, in_new) = match mark {
            ' ' => (true, true),
            '-' => (true, false),
            '+' => (false, true),
            '\\' => (false, false),
            _ => return Err(wrong(next, "a line begins with ` `, `+` or `-`")),
        };
        for (is_in, left, side) in [(in_old, &mut old_left, &mut found.old), (in_new, &mut new_left, &mut found.new)] {
            if is_in {
                *left = left.checked_sub(1).ok_or_else(|| wrong(next, "there are more lines than `@@` says"))?;
                side.push_str(text);
                side.push('\n');
            }
        }
        next += 1;
        // The line before has no end in its file.
        if lines.get(next).is_some_and(|line| line.starts_with('\\')) {
            for (is_in, side) in [(in_old, &mut found.old), (in_new, &mut found.new)] {
                if is_in {
                    side.pop();
                }
            }
            next += 1;
        }
    }
    Ok((found, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(patch: &str, text: &str) -> Result<String, PatchError> {
        let files = drafts(patch, &mut |_| Ok(Some(text.to_owned())))?;
        Ok(neuroflow_dsl::edit::redo(text, &files[0].1).unwrap())
    }

    #[test]
    fn a_patch_of_git_fits_its_file() {
        let patch = "diff --git a/p.nf b/p.nf\n--- a/p.nf\n+++ b/p.nf\n@@ -1,3 +1,3 @@ x\n a\n-b\n+B\n c\n@@ -5,1 +5,2 @@\n e\n+f\n\\ No newline at end of file\n";
        assert_eq!(apply(patch, "a\nb\nc\nd\ne\n").unwrap(), "a\nB\nc\nd\ne\nf");
        // Further down by two lines.
        let patch = "--- a/p.nf\n+++ b/p.nf\n@@ -1 +1 @@\n-b\n+B\n";
        assert_eq!(apply(patch, "a\na\nb\n").unwrap(), "a\na\nB\n");
        assert!(apply(patch, "b?\nb\nb\n").is_err());
        assert!(apply("--- a/p.nf\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n", "b\n").unwrap_err().what.contains("removed"));
        assert!(apply("nothing\n", "b\n").is_err());
        assert_eq!(apply("--- /dev/null\n+++ b/p.nf\n@@ -0,0 +1,2 @@\n+a\n+b\n", "").unwrap(), "a\nb\n");
    }

    proptest! {
        #[test]
        fn what_git_writes_is_read(before in "([a-c]\n){0,12}", after in "([a-d]\n){0,12}") {
            prop_assume!(before != after && !after.is_empty());
            let mut options = git2::DiffOptions::new();
            let old = if before.is_empty() { None } else { Some("p.nf".as_ref()) };
            let mut patch = git2::Patch::from_buffers(before.as_bytes(), old, after.as_bytes(), Some("p.nf".as_ref()), Some(&mut options)).unwrap();
            let text = patch.to_buf().unwrap();
            prop_assert_eq!(&apply(text.as_str().unwrap(), &before).unwrap(), &after);
        }

        #[test]
        fn no_patch_makes_it_fall(patch in "[-+@ a\\\\,0-9/\n]{0,120}", text in "[a\n]{0,20}") {
            let _ = apply(&patch, &text);
        }
    }
}
