//! What a run has submitted: one line before each submission and one after, so that a run that comes after a killed one knows which jobs may be there.

use neuroflow_cache::{Digest, Presence};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Below the cache's folder.
pub(crate) const SLURM: &str = "slurm";
const JOURNAL: &str = "journal.jsonl";
const LOCK: &str = "lock";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Entry {
    /// An array is about to be submitted.
    Intent { tag: String, elements: usize, orders: usize },
    /// The scheduler has it.
    Submitted { tag: String, job: String },
    /// The scheduler does not want it.
    Refused { tag: String, reason: String },
    /// It was cancelled.
    Cancelled { tag: String },
    /// Each of its orders is answered.
    Ended { tag: String },
}

/// A line: the checksum shows what a crash cut short.
#[derive(Serialize, Deserialize)]
struct Line {
    entry: Entry,
    sum: String,
}

/// A run's folder, owned while it is locked.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Locked as long as it is open. None where the file system has no locks: then nobody is sure to be the owner.
    _lock: Presence,
}

/// An array that another run submitted, as far as its journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) tag: String,
    pub(crate) folder: PathBuf,
    pub(crate) elements: usize,
    /// The job, when the answer to its submission was seen.
    pub(crate) job: Option<String>,
}

impl RunFolder {
    /// Makes a folder for a run. Two of the same name get a folder each.
    pub(crate) fn create(cache: &Path, run: &str) -> io::Result<RunFolder> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let run =
            if !run.is_empty() && run.len() < 64 && run.chars().all(plain) { run.to_owned() } else { Digest::of(run.as_bytes()).short() };
        for number in 1.. {
            let path = cache.join(SLURM).join(if number == 1 { run.clone() } else { format!("{run}.{number}") });
            fs::create_dir_all(cache.join(SLURM))?;
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let lock = Presence::claim(&path.join(LOCK))?.ok_or_else(|| io::Error::other("a new folder is another's"))?;
            return Ok(RunFolder { path, _lock: lock });
        }
        Err(io::Error::other("no name for the run's folder is free"))
    }

    /// Takes over the folder of a run that is over; none while its owner lives, or may live.
    pub(crate) fn take_over(path: &Path) -> Option<RunFolder> {
        Some(RunFolder { path: path.to_path_buf(), _lock: Presence::inherit(&path.join(LOCK))? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what happened; it is on the disk when this returns.
    pub(crate) fn note(&self, entry: &Entry) -> io::Result<()> {
        let mut file = File::options().read(true).append(true).create(true).open(self.path.join(JOURNAL))?;
        let mut bytes = Vec::new();
        // A line that a crash cut short must not spoil the next one.
        if file.seek(SeekFrom::End(-1)).is_ok() {
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                bytes.push(b'\n');
            }
        }
        serde_json::to_writer(&mut bytes, &Line { sum: sum(entry)?, entry: entry.clone() })?;
        bytes.push(b'\n');
        file.write_all(&bytes)?;
        file.sync_data()
    }
}

fn sum(entry: &Entry) -> io::Result<String> {
    Ok(Digest::of(&serde_json::to_vec(entry)?).short())
}

/// The whole lines of a run's journal.
pub(crate) fn entries(run: &Path) -> Vec<Entry> {
    let text = fs::read(run.join(JOURNAL)).unwrap_or_default();
    let entry = |line: &[u8]| {
        let line: Line = serde_json::from_slice(line).ok()?;
        (sum(&line.entry).ok()? == line.sum).then_some(line.entry)
    };
    text.split(|byte| *byte == b'\n').filter_map(entry).collect()
}

/// The arrays of a run that may still have jobs.
pub(crate) fn unfinished(run: &Path) -> Vec<Noted> {
    let mut noted: Vec<Noted> = Vec::new();
    for entry in entries(run) {
        match entry {
            Entry::Intent { tag, elements, .. } => {
                // A tag names a folder: what is no tag of ours is not looked at.
                if tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                    noted.push(Noted { folder: run.join(&tag), tag, elements, job: None });
                }
            }
            Entry::Submitted { tag, job } => {
                noted.iter_mut().filter(|noted| noted.tag == tag).for_each(|noted| noted.job = Some(job.clone()));
            }
            Entry::Refused { tag, .. } | Entry::Cancelled { tag } | Entry::Ended { tag } => noted.retain(|noted| noted.tag != tag),
        }
    }
    noted
}

/// The folders of all runs in a cache.
pub(crate) fn runs(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join(SLURM)).into_iter().flatten().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    runs.sort();
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn intent(tag: &str) -> Entry {
        Entry::Intent { tag: tag.into(), elements: 3, orders: 7 }
    }

    #[test]
    fn what_was_submitted_and_has_not_ended_is_unfinished() {
        let cache = tempfile::tempdir().unwrap();
        let run = RunFolder::create(cache.path(), "20261125-1").unwrap();
        for entry in [
            intent("nf-a"),
            Entry::Submitted { tag: "nf-a".into(), job: "12".into() },
            intent("nf-b"),
            intent("nf-c"),
            Entry::Refused { tag: "nf-c".into(), reason: "no".into() },
            intent("nf-d"),
            Entry::Ended { tag: "nf-d".into() },
            intent("../../etc"),
        ] {
            run.note(&entry).unwrap();
        }
        let unfinished = unfinished(run.path());
        let found: Vec<_> = unfinished.iter().map(|noted| (noted.tag.as_str(), noted.job.as_deref())).collect();
        assert_eq!(found, [("nf-a", Some("12")), ("nf-b", None)]);
        assert_eq!(runs(cache.path()), [run.path()]);
        assert_eq!(unfinished[0].folder, run.path().join("nf-a"));
    }

    #[test]
    fn a_run_that_lives_is_not_taken_over() {
        let cache = tempfile::tempdir().unwrap();
        let run = RunFolder::create(cache.path(), "one").unwrap();
        let path = run.path().to_path_buf();
        assert!(RunFolder::take_over(&path).is_none());
        drop(run);
        let taken = RunFolder::take_over(&path).unwrap();
        assert!(RunFolder::take_over(&path).is_none());
        taken.note(&intent("nf-x")).unwrap();
        assert_eq!(entries(&path), [intent("nf-x")]);
    }

    #[test]
    fn two_runs_of_one_name_and_hostile_names_have_folders_of_their_own() {
        let cache = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            ["a", "a", "../../x", "", "ä"].iter().map(|run| RunFolder::create(cache.path(), run).unwrap().path).collect();
        assert!(paths.iter().all(|path| path.parent() == Some(&cache.path().join(SLURM))), "{paths:?}");
        assert_eq!(runs(cache.path()).len(), 5);
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_loses_only_its_last_lines(cut in 0usize..400, byte in any::<u8>()) {
            let cache = tempfile::tempdir().unwrap();
            let run = RunFolder::create(cache.path(), "r").unwrap();
            let all: Vec<Entry> = ["nf-a", "nf-b", "nf-c", "nf-d"].into_iter().map(intent).collect();
            all.iter().for_each(|entry| run.note(entry).unwrap());
            let journal = run.path().join(JOURNAL);
            let mut bytes = fs::read(&journal).unwrap();
            bytes.truncate(cut);
            bytes.push(byte);
            fs::write(&journal, &bytes).unwrap();
            let kept = entries(run.path());
            prop_assert!(all.starts_with(&kept));
            run.note(&intent("nf-e")).unwrap();
            let after = entries(run.path());
            prop_assert_eq!(after.last(), Some(&intent("nf-e")));
            prop_assert_eq!(after.len(), kept.len() + 1);
        }

        #[test]
        fn no_journal_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let cache = tempfile::tempdir().unwrap();
            let run = RunFolder::create(cache.path(), "r").unwrap();
            fs::write(run.path().join(JOURNAL), bytes).unwrap();
            prop_assert!(unfinished(run.path()).is_empty());
        }
    }
}
