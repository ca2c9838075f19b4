//! Rules of tables.

use super::super::rules::{CHANNEL_TYPES, COLUMNS, has, section};
use super::super::tsv::{each_row, missing, number, read, text};
use super::super::{BidsFile, Dataset, file_of, folder_of, joined};
use super::{Check, within};
use csv::ByteRecord;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const TABULAR: &str = "Common principles: Tabular files";
const PARTICIPANTS: &str = "Modality agnostic files: Participants file";
const SCANS: &str = "Modality agnostic files: Scans file";
const EVENTS: &str = "Modality agnostic files: Events";

/// The longest table that is checked.
const MOST_CHECKED: u64 = 256 << 20;

/// The columns whose cells are looked at.
const LOOKED_AT: &[&str] = &["name", "type", "status", "onset", "duration", "filename", "participant_id", "session_id"];

/// The cells of a column, end to end.
#[derive(Default)]
struct Cells {
    text: String,
    ends: Vec<u32>,
}

impl Cells {
    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }
}

/// The cells of a table, by column.
#[derive(Default)]
struct Columns(BTreeMap<String, Cells>);

impl Columns {
    fn of(&self, name: &str) -> impl Iterator<Item = &str> {
        let cells = self.0.get(name);
        let mut start = 0usize;
        cells.into_iter().flat_map(|cells| cells.ends.iter().map(move |end| (cells, *end as usize))).map(move |(cells, end)| {
            let cell = cells.text.get(start..end).unwrap_or("");
            start = end;
            cell
        })
    }
}

impl Check<'_> {
    pub(super) fn tables(&mut self, dataset: &Dataset, files: &[&BidsFile]) {
        let derived = dataset.kind() != "raw";
        for file in files.iter().filter(|file| file.name.extension == ".tsv") {
            // A table of motion has no names; its columns stand in channels.tsv.
            if file.name.suffix == "motion" {
                continue;
            }
            let Some((names, columns)) = self.cells(file) else { continue };
            self.columns(file, &names, derived);
            match file.name.suffix.as_str() {
                "events" => self.event_cells(file, &columns),
                "channels" if !derived => self.channel_cells(file, &columns, files),
                "electrodes" | "optodes" => self.unique(file, &columns, "name"),
                "scans" => self.scan_cells(file, &columns),
                "participants" => self.unique(file, &columns, "participant_id"),
                "sessions" => self.unique(file, &columns, "session_id"),
                _ => {}
            }
        }
        self.participants(dataset, files);
    }

    /// The cells of a table, once it is known to be one.
    fn cells(&mut self, file: &BidsFile) -> Option<(Vec<String>, Columns)> {
        let bytes = match self.tree.read(&file.path, self.tree.limits.max_total_bytes.min(MOST_CHECKED)) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.fault(&file.path, TABULAR, &error);
                return None;
            }
        };
        if let Err(error) = read(&bytes, &file.path, None, &self.tree.limits) {
            self.fault(&file.path, TABULAR, &error);
            return None;
        }
        let content = text(&bytes, &file.path).ok()?;
        let mut names: Vec<String> = Vec::new();
        let mut cells: Vec<Cells> = Vec::new();
        let mut empty: Option<(u64, usize)> = None;
        let row = |line: u64, record: &ByteRecord| {
            if names.is_empty() {
                names = record.iter().map(|name| String::from_utf8_lossy(name).trim_matches(' ').to_owned()).collect();
                cells.resize_with(names.len(), Cells::default);
                return Ok(());
            }
            for (column, (own, cell)) in cells.iter_mut().zip(record).enumerate() {
                if cell.trim_ascii().is_empty() && empty.is_none() {
                    empty = Some((line, column));
                }
                if names.get(column).is_some_and(|name| LOOKED_AT.contains(&name.as_str())) {
                    own.push(&String::from_utf8_lossy(cell));
                }
            }
            Ok(())
        };
        each_row(content, &file.path, row).ok()?;
        if let Some((line, column)) = empty {
            let name = names.get(column).cloned().unwrap_or_default();
            let message = format!("line {line}: the cell of `{}` is empty", name.escape_debug());
            self.error(&file.path, TABULAR, message, "write `n/a` where there is no value");
        }
        let columns = Columns(names.iter().cloned().zip(cells).collect());
        Some((names, columns))
    }

    fn columns(&mut self, file: &BidsFile, names: &[String], derived: bool) {
        let (datatype, suffix) = (file.datatype.as_str(), file.name.suffix.as_str());
        let fits = |(own, of, _, _): &&(&str, &str, &str, bool)| {
            (own.is_empty() || *own == datatype) && (*of == suffix || of.is_empty() && *own == datatype)
        };
        let Some((_, _, required, first)) = COLUMNS.iter().find(|rule| fits(rule)) else { return };
        let rule = match suffix {
            "events" => EVENTS,
            "participants" => PARTICIPANTS,
            "scans" => SCANS,
            "sessions" => "Modality agnostic files: Sessions file",
            _ => section(datatype),
        };
        let required: Vec<&str> = required.split(' ').collect();
        let lacking: Vec<&&str> = required.iter().filter(|name| !names.iter().any(|own| own == *name)).collect();
        for name in &lacking {
            self.error(&file.path, rule, format!("the column `{name}` is missing"), format!("it must have {}", required.join(", ")));
        }
        let in_order = names.iter().zip(&required).all(|(own, name)| own == name);
        if *first && lacking.is_empty() && !in_order && !derived {
            let message = format!("its first columns are not {} in this order", required.join(", "));
            self.warning(&file.path, rule, message, "put the required columns first");
        }
    }

    fn unique(&mut self, file: &BidsFile, columns: &Columns, column: &str) {
        let mut seen = BTreeSet::new();
        for (row, cell) in columns.of(column).enumerate() {
            if !seen.insert(cell) {
                let message = format!("line {}: `{}` stands twice in the column `{column}`", row + 2, cell.escape_debug());
                self.error(&file.path, TABULAR, message, "keep one row for each");
                return;
            }
        }
    }

    fn event_cells(&mut self, file: &BidsFile, columns: &Columns) {
        for (name, may_lack) in [("onset", false), ("duration", true)] {
            let bad = |cell: &str| match number(cell.trim()) {
                Some(value) => name == "duration" && value < 0.0,
                None => !(may_lack && cell.trim() == "n/a"),
            };
            if let Some((row, cell)) = columns.of(name).enumerate().find(|(_, cell)| bad(cell)) {
                let what = if may_lack { "seconds, not below 0, or `n/a`" } else { "seconds" };
                let message = format!("line {}: the {name} is `{}`", row + 2, cell.chars().take(40).collect::<String>().escape_debug());
                self.error(&file.path, EVENTS, message, format!("write {what}"));
            }
        }
        let times: Vec<f64> = columns.of("onset").filter_map(|cell| number(cell.trim())).collect();
        if let Some(row) = times.windows(2).position(|pair| matches!(pair, [before, after] if after < before)) {
            let message = format!("line {}: the onset is before that of the line above", row + 3);
            self.warning(&file.path, EVENTS, message, "sort events by their onset");
        }
    }

    fn channel_cells(&mut self, file: &BidsFile, columns: &Columns, files: &[&BidsFile]) {
        let rule = section(&file.datatype);
        self.unique(file, columns, "name");
        for (row, kind) in columns.of("type").enumerate() {
            if !has(CHANNEL_TYPES, kind) {
                let remedy = if has(CHANNEL_TYPES, &kind.to_uppercase()) {
                    format!("write `{}`", kind.to_uppercase())
                } else {
                    "use a type of the appendix Channel types, `MISC` or `OTHER` for the rest".into()
                };
                let message = format!("line {}: there is no type of channel `{}`", row + 2, kind.escape_debug());
                self.error(&file.path, rule, message, remedy);
                break;
            }
        }
        if let Some(row) = columns.of("status").position(|cell| !matches!(cell.trim(), "good" | "bad" | "n/a")) {
            self.error(&file.path, rule, format!("line {}: the status is neither `good`, `bad` nor `n/a`", row + 2), "write one of them");
        }
        let kinds: Vec<&str> = columns.of("type").collect();
        let names: BTreeSet<&str> = columns.of("name").collect();
        let of_it = |data: &&&BidsFile| {
            data.datatype == file.datatype
                && data.name.suffix == file.datatype
                && data.name.extension != ".json"
                && file.name.within(&data.name, &[])
        };
        let beside = files.iter().filter(|data| folder_of(&data.path) == folder_of(&file.path)).filter(|data| of_it(data));
        for data in beside {
            if matches!(data.name.extension.as_str(), ".vmrk" | ".eeg" | ".fdt") {
                continue;
            }
            if let Ok(sidecar) = self.tree.sidecar_of(data) {
                for (field, kind) in COUNTS {
                    // Electrodes for stimulation are counted as SEEG by some and not by others.
                    if *kind == "SEEG" && kinds.contains(&"DBS") {
                        continue;
                    }
                    let counted = kinds.iter().filter(|own| has(kind, own)).count() as u64;
                    let Some(said) = sidecar.values.get(*field).and_then(Value::as_u64) else { continue };
                    if said != counted {
                        let message = format!(
                            "`{field}` of `{}` is {said}, the table has {counted} of that type",
                            file_of(&data.path).escape_debug()
                        );
                        self.warning(&file.path, rule, message, "correct the count or the types");
                    }
                }
            }
            if data.name.extension == ".vhdr" {
                self.header_names(file, data, &names);
            }
        }
    }

    /// Channels against those of a BrainVision header.
    fn header_names(&mut self, file: &BidsFile, data: &BidsFile, there: &BTreeSet<&str>) {
        let Ok(bytes) = self.tree.read(&data.path, 1 << 20) else { return };
        let header = String::from_utf8_lossy(&bytes).into_owned();
        let infos = header.split("[Channel Infos]").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default().to_owned();
        let own: Vec<String> = infos
            .lines()
            .filter_map(|line| {
                let (key, value) = line.strip_prefix("Ch")?.split_once('=')?;
                key.parse::<u32>().ok()?;
                Some(value.split(',').next()?.replace("\\1", ","))
            })
            .collect();
        let known: BTreeSet<&str> = own.iter().map(String::as_str).collect();
        let lacking = known.difference(there).next().map(|name| (name, "is not in the table"));
        let foreign = there.difference(&known).next().map(|name| (name, "is not in the recording"));
        if let Some((name, what)) = lacking.or(foreign).filter(|_| !own.is_empty()) {
            let message = format!("channel `{}` {what} `{}`", name.escape_debug(), file_of(&data.path).escape_debug());
            self.error(&file.path, section(&file.datatype), message, "let both have the same channels");
        }
    }

    fn scan_cells(&mut self, file: &BidsFile, columns: &Columns) {
        self.unique(file, columns, "filename");
        let home = folder_of(&file.path);
        for (row, name) in columns.of("filename").enumerate() {
            let path = joined(home, name);
            let there = self.tree.by_path.contains_key(&path) || self.tree.by_path.contains_key(&format!("{path}/"));
            if !there && !missing(name) {
                let message = format!(
                    "line {}: it lists `{}`, which is not there",
                    row + 2,
                    name.chars().take(200).collect::<String>().escape_debug()
                );
                self.error(&file.path, SCANS, message, "paths begin at the folder of the table; remove rows of files that are gone");
            }
        }
    }

    fn participants(&mut self, dataset: &Dataset, files: &[&BidsFile]) {
        let path = joined(&dataset.path, "participants.tsv");
        fn subject(file: &BidsFile) -> Option<&str> {
            within(file).split_once('/').map(|(first, _)| first).filter(|first| first.starts_with("sub-"))
        }
        let subjects: BTreeSet<&str> = files.iter().filter_map(|file| subject(file)).collect();
        // A folder is there, too, when all files in it are named in .bidsignore.
        let folders: BTreeSet<&str> = self.tree.files.iter().filter(|file| file.dataset == dataset.path).filter_map(subject).collect();
        let Some(file) = files.iter().find(|file| file.path == path) else {
            if dataset.kind() == "raw" {
                self.warning(&path, PARTICIPANTS, "the dataset has no participants.tsv", "add one with a row for each `sub-<label>`");
            }
            return;
        };
        let Ok(bytes) = self.tree.read(&file.path, 64 << 20) else { return };
        let Ok(batch) = read(&bytes, &path, None, &self.tree.limits) else { return };
        let ids = neuroflow_data::columns::texts(&batch, "participant_id").unwrap_or_default();
        for (row, id) in ids.iter().enumerate() {
            if !id
                .strip_prefix("sub-")
                .is_some_and(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+'))
            {
                let message = format!("line {}: `{}` is not `sub-<label>`", row + 2, id.escape_debug());
                self.error(&path, PARTICIPANTS, message, "write the name of the subject's folder");
            } else if !folders.contains(id.as_str()) {
                let message = format!("line {}: `{id}` is listed, but has no folder", row + 2);
                self.error(&path, PARTICIPANTS, message, "remove the row, or add the subject's files");
            }
        }
        let listed: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        for subject in subjects.difference(&listed) {
            self.error(&path, PARTICIPANTS, format!("`{}` has a folder, but is not listed", subject.escape_debug()), "add a row for it");
        }
    }
}

/// Counts of a sidecar, and the types of channels that they count.
const COUNTS: &[(&str, &str)] = &[
    ("EEGChannelCount", "EEG"),
    ("ECOGChannelCount", "ECOG"),
    ("SEEGChannelCount", "SEEG"),
    ("EOGChannelCount", "EOG HEOG VEOG"),
    ("ECGChannelCount", "ECG"),
    ("EMGChannelCount", "EMG"),
    ("MEGChannelCount", "MEGMAG MEGGRADAXIAL MEGGRADPLANAR MEGOTHER"),
    ("MiscChannelCount", "MISC"),
    ("TriggerChannelCount", "TRIG"),
];
