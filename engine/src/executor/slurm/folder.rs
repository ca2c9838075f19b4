//! What coordinator and nodes share of one array: a folder on a disk that both see.
//!
//! ```text
//! slurm/RUN/TAG/manifest.jsonl      line i: the orders of element i
//!               reports/KEY.begun   a node has begun with it
//!               reports/KEY.json    what became of it
//!               logs/i.log          what element i printed
//! ```
//!
//! Files appear whole: they are written under another name, synced, and renamed.

use super::script::LOGS;
use crate::executor::{Order, Report};
use neuroflow_cache::Digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.jsonl";
const REPORTS: &str = "reports";
/// How much of a log's end is looked at.
const TAIL: u64 = 16 << 10;
/// How many of a log's last lines a message shows.
const TAIL_LINES: usize = 12;

/// The folder of one array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArrayFolder {
    path: PathBuf,
}

/// That a node has begun with an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The node.
    pub(crate) host: String,
}

/// What is new in the folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    Begun(Digest, Begun),
    Reported(Box<Report>),
}

impl ArrayFolder {
    pub(crate) fn at(path: PathBuf) -> ArrayFolder {
        ArrayFolder { path }
    }

    /// The folder that a manifest lies in.
    pub(crate) fn of_manifest(manifest: &Path) -> ArrayFolder {
        ArrayFolder { path: manifest.parent().unwrap_or(Path::new(".")).to_path_buf() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// Makes the folder, with the orders of each element.
    pub(crate) fn create(&self, elements: &[Vec<&Order>]) -> io::Result<()> {
        fs::create_dir_all(self.path.join(REPORTS))?;
        fs::create_dir_all(self.path.join(LOGS))?;
        let mut lines = Vec::new();
        for orders in elements {
            serde_json::to_writer(&mut lines, orders)?;
            lines.push(b'\n');
        }
        write_whole(&self.path, MANIFEST, &lines)
    }

    /// The orders of an element.
    pub(crate) fn orders(&self, index: usize) -> Result<Vec<Order>, String> {
        let path = self.manifest();
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(&path).map_err(|error| said(&error))?;
        let line = BufReader::new(file).lines().nth(index).ok_or_else(|| said(&format!("it has no element {index}")))?;
        serde_json::from_str(&line.map_err(|error| said(&error))?).map_err(|error| said(&error))
    }

    /// The keys of each element; none when the manifest is missing or damaged.
    pub(crate) fn keys(&self) -> Option<Vec<Vec<Digest>>> {
        #[derive(Deserialize)]
        struct Keyed {
            key: Digest,
        }
        let text = fs::read_to_string(self.manifest()).ok()?;
        let line = |line: &str| {
            let orders: Vec<Keyed> = serde_json::from_str(line).ok()?;
            Some(orders.into_iter().map(|order| order.key).collect())
        };
        text.lines().map(line).collect()
    }

    /// Says that a node begins with an order.
    pub(crate) fn begin(&self, key: &Digest, begun: &Begun) -> io::Result<()> {
        write_whole(&self.path.join(REPORTS), &format!("{key}.begun"), &serde_json::to_vec(begun)?)
    }

    /// Says what became of an order.
    pub(crate) fn report(&self, report: &Report) -> io::Result<()> {
        write_whole(&self.path.join(REPORTS), &format!("{}.json", report.key), &serde_json::to_vec(report)?)
    }

    /// What became of an order, when that is known.
    pub(crate) fn reported(&self, key: &Digest) -> Option<Report> {
        let bytes = fs::read(self.path.join(REPORTS).join(format!("{key}.json"))).ok()?;
        serde_json::from_slice::<Report>(&bytes).ok().filter(|report| report.key == *key)
    }

    /// What is new since the files in `known`, to which it is added. A report that can't be read is passed over, and looked at again.
    pub(crate) fn news(&self, known: &mut HashSet<OsString>) -> io::Result<Vec<News>> {
        let mut news = Vec::new();
        for entry in fs::read_dir(self.path.join(REPORTS))? {
            let name = entry?.file_name();
            if known.contains(&name) {
                continue;
            }
            let Some((key, ending)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
            let Ok(key) = key.parse::<Digest>() else { continue };
            match ending {
                "begun" => {
                    let Ok(bytes) = fs::read(self.path.join(REPORTS).join(&name)) else { continue };
                    let Ok(begun) = serde_json::from_slice(&bytes) else { continue };
                    news.push(News::Begun(key, begun));
                }
                "json" => {
                    let Some(report) = self.reported(&key) else { continue };
                    news.push(News::Reported(Box::new(report)));
                }
                _ => continue,
            }
            known.insert(name);
        }
        Ok(news)
    }

    /// The last lines that an element printed.
    pub(crate) fn log_tail(&self, index: usize) -> String {
        let tail = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.path.join(LOGS).join(format!("{index}.log")))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let text = String::from_utf8_lossy(&tail().unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Removes the folder. What can't be removed now is removed by a later run.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Writes a file that is seen whole or not at all, and is on the disk when this returns.
fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Two machines may write the same file: a job that was requeued, and its first life that does not know yet.
    let being_written = folder.join(format!(".{name}.{}.{}", super::node::host(), std::process::id()));
    let mut file = File::create(&being_written)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&being_written, folder.join(name))?;
    // Where folders can't be synced, the rename is as durable as the system makes it.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{done, order};
    use super::*;

    #[test]
    fn orders_and_reports_pass_through_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArrayFolder::at(place.path().join("nf-1"));
        let (a, b, c) = (order(1), order(2), order(3));
        folder.create(&[vec![&a, &b], vec![&c]]).unwrap();
        assert_eq!(folder.orders(0).unwrap(), vec![a.clone(), b.clone()]);
        assert!(folder.orders(2).unwrap_err().contains("it has no element 2"));
        assert_eq!(folder.keys().unwrap(), vec![vec![a.key, b.key], vec![c.key]]);
        assert_eq!(ArrayFolder::of_manifest(&folder.manifest()), folder);

        let mut known = HashSet::new();
        assert!(folder.news(&mut known).unwrap().is_empty());
        folder.begin(&a.key, &Begun { host: "n1".into() }).unwrap();
        assert_eq!(folder.news(&mut known).unwrap(), vec![News::Begun(a.key, Begun { host: "n1".into() })]);
        folder.report(&done(&a)).unwrap();
        assert_eq!(folder.news(&mut known).unwrap(), vec![News::Reported(Box::new(done(&a)))]);
        assert!(folder.news(&mut known).unwrap().is_empty());
    }

    #[test]
    fn what_is_damaged_or_foreign_is_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArrayFolder::at(place.path().to_path_buf());
        let a = order(1);
        folder.create(&[vec![&a]]).unwrap();
        let reports = place.path().join(REPORTS);
        for name in ["x", "no key.json", ".begun", &format!("{}.json", order(2).key), &format!("{}.swp", a.key)] {
            fs::write(reports.join(name), b"{\"key\":").unwrap();
        }
        // A report under another's name.
        fs::write(reports.join(format!("{}.json", a.key)), serde_json::to_vec(&done(&order(3))).unwrap()).unwrap();
        let mut known = HashSet::new();
        assert!(folder.news(&mut known).unwrap().is_empty());
        folder.report(&done(&a)).unwrap();
        assert_eq!(folder.news(&mut known).unwrap().len(), 1, "a damaged report that was written again counts");
        fs::write(folder.manifest(), b"[{\"key\":\"x\"}]\n").unwrap();
        assert_eq!(folder.keys(), None);
        assert!(folder.orders(0).is_err());
    }

    #[test]
    fn the_end_of_a_log_is_short() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArrayFolder::at(place.path().to_path_buf());
        folder.create(&[]).unwrap();
        assert_eq!(folder.log_tail(0), "");
        let lines: Vec<String> = (0..10_000).map(|line| format!("line {line}\n")).collect();
        fs::write(place.path().join(LOGS).join("0.log"), lines.concat()).unwrap();
        let tail = folder.log_tail(0);
        assert!(tail.starts_with("line 9988") && tail.ends_with("line 9999"), "{tail}");
        fs::write(place.path().join(LOGS).join("1.log"), [0xff, 0xfe, b'\n', 0]).unwrap();
        folder.log_tail(1);
    }
}
