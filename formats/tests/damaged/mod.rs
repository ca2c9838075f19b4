//! More than 200 damaged files: cut at each structure, with lengths that lie, with links in circles, bombs, sizes of 2⁶³, and paths that lead out.
//!
//! Each is an error that names format, place and rule; `told.txt` has them all, one in a line, for people to read. `NEUROFLOW_BLESS=1` writes it
//! anew: read the difference before you keep it.

mod arrays;
mod bytes;
mod hierarchies;
mod signals;
mod tables;
mod volumes;

use crate::reading::{limits, read_all};
use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use neuroflow_formats::{FormatError, Options, Place, is_beside, open_as, open_folder_as, read_through};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A damaged file, or several that belong together; the first is the one that is opened. No name: the folder is.
pub struct Case {
    /// What was done to it.
    pub damage: String,
    pub named: String,
    pub reader: Option<&'static str>,
    /// Whether the error is one of asking, not of the whole: what is in the file is told, and not given.
    pub asked: bool,
    pub files: Vec<(String, Vec<u8>)>,
}

/// One damaged file, to be known by its bytes or the ending of its name.
pub fn one(named: &str, damage: &str, bytes: Vec<u8>) -> Case {
    Case { damage: damage.into(), named: named.into(), reader: None, asked: false, files: vec![(named.into(), bytes)] }
}

/// One damaged file for a reader that is named.
pub fn one_as(reader: &'static str, named: &str, damage: &str, bytes: Vec<u8>) -> Case {
    Case { reader: Some(reader), ..one(named, damage, bytes) }
}

/// Files that belong together.
pub fn several(named: &str, damage: &str, files: Vec<(&str, Vec<u8>)>) -> Case {
    let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    Case { damage: damage.into(), named: named.into(), reader: None, asked: false, files }
}

/// A case whose file is listed as it is, and whose values can't be had.
pub fn asked(case: Case) -> Case {
    Case { asked: true, ..case }
}

/// The first error that opening and reading everything meets.
fn error(case: &Case) -> Option<FormatError> {
    let options = Options { limits: limits(), ..Options::default() };
    let document = if case.files.len() == 1 && !case.named.is_empty() && !is_beside(case.reader, &case.named) {
        open_as(case.reader, &case.named, Arc::new(Buffer::from_vec(case.files[0].1.clone())), &options)
    } else {
        let mut tree = FileTree::default();
        case.files.iter().for_each(|(name, bytes)| tree.insert(name.clone(), Buffer::from_vec(bytes.clone())).unwrap());
        open_folder_as(case.reader, Arc::new(tree), &case.named, &options)
    };
    match document {
        Ok(document) => {
            let read = read_all(document.as_ref());
            let through = read_through(document.as_ref(), &mut |_, _| {}).into_iter().next();
            through.or_else(|| read.errors.into_iter().next().filter(|_| case.asked))
        }
        Err(error) => Some(error),
    }
}

#[test]
fn each_of_200_damaged_files_is_told() {
    let cases: Vec<Case> =
        [signals::cases(), volumes::cases(), arrays::cases(), tables::cases(), hierarchies::cases()].into_iter().flatten().collect();
    let names: BTreeSet<(&str, &str)> = cases.iter().map(|case| (case.named.as_str(), case.damage.as_str())).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    assert!(cases.len() >= 200, "{}", cases.len());
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for case in &cases {
        let name = format!("{}, {}", if case.named.is_empty() { "folder" } else { &case.named }, case.damage);
        let begun = Instant::now();
        match error(case) {
            Some(error) => writeln!(told, "{name}: {error}").unwrap(),
            None => wrong.push(format!("{name}: is read as if nothing were wrong")),
        }
        if begun.elapsed() > Duration::from_secs(10) {
            wrong.push(format!("{name}: took {:?}", begun.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/damaged/told.txt");
    if std::env::var_os("NEUROFLOW_BLESS").is_some() {
        std::fs::write(&kept, &told).unwrap();
    }
    let expected = std::fs::read_to_string(&kept).unwrap_or_default();
    for (line, (now, was)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(now, was, "line {} of told.txt; NEUROFLOW_BLESS=1 writes it anew", line + 1);
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "NEUROFLOW_BLESS=1 writes told.txt anew");
}

/// An error about the whole file is for what concerns the whole of it: that it is empty, that a part is missing, that it would grow too large.
#[test]
fn few_errors_are_about_a_whole_file() {
    let cases: Vec<Case> =
        [signals::cases(), volumes::cases(), arrays::cases(), tables::cases(), hierarchies::cases()].into_iter().flatten().collect();
    let whole: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            error(case).filter(|error| error.place == Place::File).map(|error| format!("{}, {}: {error}", case.named, case.damage))
        })
        .collect();
    assert!(whole.len() * 5 < cases.len(), "{} of {}\n{}", whole.len(), cases.len(), whole.join("\n"));
}
