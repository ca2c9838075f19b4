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
#[derive(Clone)]
struct Hunk {
    /// Where it stands in the patch.
    line: usize,
    /// The first line that it is about, from 1.
    start: usize,
    old: String,
    new: String,
}

/// A file of a patch.
struct Named {
    /// What its path may be in the project, the likeliest first.
    paths: Vec<String>,
    is_new: bool,
    /// Where it stands in the patch.
    line: usize,
    hunks: Vec<Hunk>,
}

/// The changes of files, by path.
type Changed = Vec<(String, Vec<Change>)>;

/// What a file says; none when it is not there.
type Read<'r> = &'r mut dyn FnMut(&str) -> Result<Option<String>, String>;

/// The changes of each file that a patch names, against the texts that `read` gives; none for a file that is not there. `below` is the project's folder as a
/// path of its repository, with `/` behind it, since git names files from there. `here` is where the person is, as a path of the project with `/` behind it:
/// `git diff --relative` names files from there, and says nowhere that it does.
///
/// # Errors
/// When it is no patch, one of its places does not fit the file, or it fits two files alike.
pub fn drafts(patch: &str, below: &str, here: &str, read: Read<'_>) -> Result<Changed, PatchError> {
    let named = parse(patch, below)?;
    let Some(first) = named.first() else {
        return Err(PatchError { line: 1, what: "there is no change in it; write it with `git diff > change.diff`".into() });
    };
    let of_repository = against(&named, "", read);
    // What begins with the way here was named from further up.
    if here.is_empty() || named.iter().any(|file| file.paths.iter().any(|path| path.starts_with(here))) {
        return of_repository;
    }
    match (of_repository, against(&named, here, read)) {
        (Ok(one), Ok(other)) if one.iter().map(|(path, _)| path).ne(other.iter().map(|(path, _)| path)) => {
            let names = |files: &Changed| files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
            let what = format!("it may be about {} or about {}; write it with `git diff` without `--relative`", names(&one), names(&other));
            Err(PatchError { line: first.line, what })
        }
        (Ok(found), _) | (Err(_), Ok(found)) => Ok(found),
        (Err(error), Err(_)) => Err(error),
    }
}

/// The changes of files that are named from a folder of the project.
fn against(files: &[Named], folder: &str, read: Read<'_>) -> Result<Changed, PatchError> {
    let mut changed = Vec::new();
    for named in files {
        let wrong = |line: usize, what: String| PatchError { line, what };
        let paths: Vec<String> = named.paths.iter().map(|path| format!("{folder}{path}")).collect();
        let there = if named.is_new { None } else { paths.iter().find(|path| matches!(read(path), Ok(Some(_)))) };
        let Some(path) = there.or(paths.first()).cloned() else { continue };
        let text = match read(&path).map_err(|reason| wrong(named.line, reason))? {
            None if !named.is_new => return Err(wrong(named.line, format!("there is no file {path}"))),
            text => text.unwrap_or_default(),
        };
        let mut changes = Vec::new();
        // Places move by what the hunks before brought.
        let mut moved: isize = 0;
        for hunk in &named.hunks {
            let (at, hunk) = place(&text, hunk)
                .ok_or_else(|| wrong(hunk.line, format!("these lines are not in {path}; was the patch made for another state?")))?;
            let moved_at = at.checked_add_signed(moved).unwrap_or(at);
            moved += hunk.new.len() as isize - hunk.old.len() as isize;
            changes.push(Change { at: moved_at, old: hunk.old, new: hunk.new });
        }
        changed.push((path, changes));
    }
    Ok(changed)
}

/// Where the lines of a hunk stand: where it says, else the only place that has them. When they stand there with other line ends, which git turns as its
/// settings say, the hunk has the file's.
fn place(text: &str, hunk: &Hunk) -> Option<(usize, Hunk)> {
    let starts = || std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let unix = |text: &str| text.replace("\r\n", "\n");
    let dos = |text: &str| unix(text).replace('\n', "\r\n");
    let turned = |turn: &dyn Fn(&str) -> String| Hunk { old: turn(&hunk.old), new: turn(&hunk.new), ..*hunk };
    if hunk.old.is_empty() {
        // Without old lines it stands behind the line that is named.
        let at = starts().nth(hunk.start).unwrap_or(text.len());
        let is_other = text.contains("\r\n") && !hunk.new.contains('\r');
        return Some((at, if is_other { turned(&dos) } else { hunk.clone() }));
    }
    let fits = |hunk: &Hunk| {
        let said = starts().nth(hunk.start.saturating_sub(1));
        if let Some(at) = said.filter(|at| text[*at..].starts_with(&hunk.old)) {
            return Some(at);
        }
        let mut fitting = starts().filter(|at| text[*at..].starts_with(&hunk.old));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    };
    if let Some(at) = fits(hunk) {
        return Some((at, hunk.clone()));
    }
    [turned(&dos), turned(&unix)].into_iter().find_map(|other| fits(&other).map(|at| (at, other)))
}

fn parse(patch: &str, below: &str) -> Result<Vec<Named>, PatchError> {
    let mut files: Vec<Named> = Vec::new();
    // Line ends belong to the texts. Where the patch's own lines have them too, somebody turned the whole patch.
    let is_turned = patch.split('\n').any(|line| line.starts_with("+++ ") && line.ends_with('\r'));
    let patch = if is_turned { patch.replace("\r\n", "\n") } else { patch.to_owned() };
    let lines: Vec<&str> = patch.strip_suffix('\n').unwrap_or(&patch).split('\n').collect();
    let wrong = |line: usize, what: &str| PatchError { line: line + 1, what: what.to_owned() };
    // Whether git wrote the paths as they are (`diff.noprefix`): both are the same then.
    let mut is_plain = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if let Some(both) = line.strip_prefix("diff --git ") {
            let middle = both.len() / 2;
            is_plain = both.as_bytes().get(middle) == Some(&b' ') && both.get(..middle) == both.get(middle + 1..);
            at += 1;
        } else if let Some(old) = line.strip_prefix("--- ") {
            let new = lines.get(at + 1).and_then(|line| line.strip_prefix("+++ ")).ok_or_else(|| wrong(at, "`+++` must follow"))?;
            let told = || wrong(at, "a path in it can't be read");
            let (old, new) = (name(old).ok_or_else(told)?, name(new).ok_or_else(told)?);
            const NONE: &str = "/dev/null";
            if new == NONE {
                return Err(wrong(at, "a file is removed; only changes can be proposed"));
            }
            if old != NONE && old != new && without_prefix(&old) != without_prefix(&new) {
                return Err(wrong(at, "a file is renamed; only changes can be proposed"));
            }
            let mut paths = vec![without_prefix(&new).to_owned(), new.clone()];
            if is_plain {
                paths.reverse();
            }
            let paths = paths.into_iter().flat_map(|path| {
                let inner = Some(below).filter(|below| !below.is_empty()).and_then(|below| path.strip_prefix(below)).map(str::to_owned);
                inner.into_iter().chain([path])
            });
            files.push(Named { paths: paths.collect(), is_new: old == NONE, line: at + 1, hunks: Vec::new() });
            at += 2;
        } else if let Some(head) = line.strip_prefix("@@ -") {
            let (hunk, next) = hunk(head, &lines, at)?;
            let Some(file) = files.last_mut() else { return Err(wrong(at, "it names no file before")) };
            file.hunks.push(hunk);
            at = next;
        } else if ["rename from ", "deleted file mode ", "GIT binary patch", "Binary files "].iter().any(|begin| line.starts_with(begin)) {
            return Err(wrong(at, "only changes of texts can be proposed"));
        } else {
            at += 1;
        }
    }
    Ok(files)
}

/// The path of `a/pipelines/x.nf\t2026-…`, with its first part. Git quotes paths with letters outside of ASCII.
fn name(said: &str) -> Option<String> {
    if let Some(quoted) = said.strip_prefix('"') {
        return unquoted(quoted);
    }
    Some(said.split('\t').next().unwrap_or(said).trim_end().to_owned())
}

/// What a string of C means, up to its closing quote.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    loop {
        match rest.next()? {
            b'"' => return String::from_utf8(bytes).ok(),
            b'\\' => bytes.push(match rest.next()? {
                first @ b'0'..=b'3' => {
                    let digits = [first, rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?
                }
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                other => other,
            }),
            other => bytes.push(other),
        }
    }
}

/// A path without the letter that git puts before it: `a/` and `b/`, or what it is of (`diff.mnemonicPrefix`).
fn without_prefix(path: &str) -> &str {
    match path.split_once('/') {
        Some(("a" | "b" | "i" | "w" | "c" | "o", rest)) => rest,
        _ => path,
    }
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
        let (mark, text) = if line.trim_end_matches('\r').is_empty() {
            (' ', *line)
        } else {
            (line.chars().next().unwrap_or(' '), line.get(1..).unwrap_or_default())
        };
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
        let files = drafts(patch, "", "", &mut |_| Ok(Some(text.to_owned())))?;
        Ok(neuroflow_dsl::edit::redo(text, &files[0].1).unwrap())
    }

    /// The path that a patch means in a project that is `below` in its repository and has a file.
    fn path(patch: &str, below: &str, there: &str) -> String {
        let text = |path: &str| Ok((path == there).then(|| "b\n".to_owned()));
        drafts(patch, below, "", &mut |path| text(path)).unwrap().remove(0).0
    }

    #[test]
    fn a_patch_that_names_files_from_where_one_is_is_read_from_there() {
        let changed = |patch: &str, below: &str, there: &[(&str, &str)]| {
            let text = |path: &str| Ok(there.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned()));
            let found = drafts(patch, below, "pipelines/", &mut |path| text(path));
            found.map(|files| files.into_iter().map(|(path, _)| path).collect::<Vec<_>>().join(" ")).map_err(|error| error.what)
        };
        let patch = |path: &str| format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-b\n+B\n");
        let inner = ("pipelines/p.nf", "b\n");
        for below in ["", "lab/"] {
            assert_eq!(changed(&patch("p.nf"), below, &[inner]), Ok("pipelines/p.nf".into()));
            // Another file of that name, further up, which has not these lines.
            assert_eq!(changed(&patch("p.nf"), below, &[inner, ("p.nf", "c\n")]), Ok("pipelines/p.nf".into()));
            // Named from the top.
            assert_eq!(changed(&patch("p.nf"), below, &[("p.nf", "b\n"), ("pipelines/p.nf", "c\n")]), Ok("p.nf".into()));
            assert_eq!(changed(&patch(&format!("{below}pipelines/p.nf")), below, &[inner]), Ok("pipelines/p.nf".into()));
            assert_eq!(changed(&patch("part/p.nf"), below, &[("pipelines/part/p.nf", "b\n")]), Ok("pipelines/part/p.nf".into()));
            // Both have them: nobody can say which is meant.
            assert!(changed(&patch("p.nf"), below, &[inner, ("p.nf", "b\n")]).unwrap_err().contains("without `--relative`"));
            // All files of a patch are named from one place.
            let two = format!("{}{}", patch("p.nf"), patch("q.nf"));
            assert_eq!(
                changed(&two, below, &[inner, ("p.nf", "b\n"), ("pipelines/q.nf", "b\n")]),
                Ok("pipelines/p.nf pipelines/q.nf".into())
            );
            // A new file fits everywhere, unless its name, or another file of the patch, says where it is.
            let new = |path: &str| format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+b\n");
            assert!(changed(&new("n.nf"), below, &[]).unwrap_err().contains("pipelines/n.nf"));
            assert_eq!(changed(&new("pipelines/n.nf"), below, &[]), Ok("pipelines/n.nf".into()));
            let both = format!("{}{}", patch("p.nf"), new("n.nf"));
            assert_eq!(changed(&both, below, &[inner]), Ok("pipelines/p.nf pipelines/n.nf".into()));
        }
        assert!(changed(&patch("p.nf"), "", &[("q.nf", "b\n")]).is_err());
    }

    #[test]
    fn paths_are_read_as_git_writes_them() {
        let patch = |old: &str, new: &str| format!("--- {old}\n+++ {new}\n@@ -1 +1 @@\n-b\n+B\n");
        let plain = |path: &str| format!("diff --git {path} {path}\n{}", patch(path, path));
        let quoted = patch("\"a/pipelines/m\\303\\244use \\\"1\\\".nf\"", "\"b/pipelines/m\\303\\244use \\\"1\\\".nf\"");
        for (patch, below, there) in [
            (quoted, "", "pipelines/mäuse \"1\".nf"),
            (patch("i/p.nf", "w/p.nf"), "", "p.nf"),
            (plain("p.nf"), "", "p.nf"),
            // A folder that is called as git's own prefix.
            (plain("b/p.nf"), "", "b/p.nf"),
            (patch("a/lab/p.nf", "b/lab/p.nf"), "lab/", "p.nf"),
            (plain("lab/p.nf"), "lab/", "p.nf"),
            // `git diff --relative`, and a folder of the same name within.
            (patch("a/p.nf", "b/p.nf"), "lab/", "p.nf"),
            (patch("a/lab/p.nf", "b/lab/p.nf"), "lab/", "lab/p.nf"),
            (patch("a/a b.nf\t", "b/a b.nf\t"), "", "a b.nf"),
        ] {
            assert_eq!(path(&patch, below, there), there, "{patch}");
        }
        let new = "diff --git a/lab/n.nf b/lab/n.nf\n--- /dev/null\n+++ b/lab/n.nf\n@@ -0,0 +1 @@\n+b\n";
        assert_eq!(path(new, "lab/", "other.nf"), "n.nf");
        assert!(drafts(&patch("a/p.nf", "b/q.nf"), "", "", &mut |_| Ok(None)).unwrap_err().what.contains("renamed"));
        assert!(drafts(&patch("\"a/p", "\"b/p"), "", "", &mut |_| Ok(None)).unwrap_err().what.contains("can't be read"));
    }

    #[test]
    fn line_ends_are_the_files() {
        let patch = "--- a/p.nf\n+++ b/p.nf\n@@ -1,3 +1,3 @@\n a\r\n-b\r\n+B\r\n c\r\n";
        for patch in [patch.to_owned(), patch.replace("\r\n", "\n"), patch.replace("\r\n", "\n").replace('\n', "\r\n")] {
            assert_eq!(apply(&patch, "a\r\nb\r\nc\r\n").unwrap(), "a\r\nB\r\nc\r\n", "{patch:?}");
            assert_eq!(apply(&patch, "a\nb\nc\n").unwrap(), "a\nB\nc\n", "{patch:?}");
        }
        let insertion = "--- a/p.nf\n+++ b/p.nf\n@@ -1,0 +2 @@\n+x\n";
        assert_eq!(apply(insertion, "a\r\nb\r\n").unwrap(), "a\r\nx\r\nb\r\n");
        // Git writes an empty line of context with its end alone, or mail programs leave it so.
        assert_eq!(apply("--- a/p.nf\n+++ b/p.nf\n@@ -1,2 +1,3 @@\n a\r\n\r\n+x\r\n", "a\r\n\r\n").unwrap(), "a\r\n\r\nx\r\n");
    }

    #[test]
    fn without_context_an_insertion_stands_behind_its_line() {
        let inserted = |line: usize| apply(&format!("--- a/p.nf\n+++ b/p.nf\n@@ -{line},0 +{} @@\n+x\n", line + 1), "a\nb\n").unwrap();
        assert_eq!([inserted(0), inserted(1), inserted(2)], ["x\na\nb\n", "a\nx\nb\n", "a\nb\nx\n"]);
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
        fn what_git_writes_is_read(before in "([a-c]\n){0,12}", after in "([a-d]\n){0,12}", context in 0_u32..4) {
            prop_assume!(before != after && !after.is_empty());
            let mut options = git2::DiffOptions::new();
            options.context_lines(context);
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
