//! The tables that stand beside data: participants, sessions, scans, events, channels, electrodes, and coordinate systems.

use super::inherit::Wanted;
use super::tsv;
use super::{BidsFile, BidsTree, fault, file_of, folder_of};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use neuroflow_data::formats::FormatError;
use neuroflow_data::{Channel, Events, Table};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns of which the first that is there labels events.
const LABELS: &[&str] = &["trial_type", "value", "event_type", "stim_file"];

impl BidsTree {
    /// A table of the tree, with what the JSON files that apply to it say of its columns in the fields' metadata.
    ///
    /// # Errors
    /// When there is no such file, it breaks the rules of tables, or its JSON is damaged or ambiguous.
    pub fn table(&self, path: &str) -> Result<RecordBatch, FormatError> {
        let file = self.file(path)?;
        if file.name.extension != ".tsv" {
            return Err(fault(path, "it is not a table", "tables end in `.tsv`"));
        }
        let batch = self.plain_table(path)?;
        let said = if file.name.is_bids() { self.sidecar_of(file)?.values } else { self.described_by(path)? };
        Ok(tsv::described(&batch, &said))
    }

    fn plain_table(&self, path: &str) -> Result<RecordBatch, FormatError> {
        tsv::read(&self.read(path, self.limits.max_total_bytes)?, path, None, &self.limits)
    }

    /// The JSON of the same name, for tables whose names have no entities.
    fn described_by(&self, path: &str) -> Result<Map<String, Value>, FormatError> {
        let json = format!("{}.json", path.strip_suffix(".tsv").unwrap_or(path));
        if self.by_path.contains_key(&json) { self.json(&json) } else { Ok(Map::new()) }
    }

    /// The participants of the dataset at the top, a row each; none when it has no `participants.tsv`.
    ///
    /// # Errors
    /// When the table or the JSON beside it is damaged.
    pub fn participants(&self) -> Result<Option<Table>, FormatError> {
        self.participants.clone().map(|batch| batch.map(Table::from_batch))
    }

    pub(super) fn read_participants(&self) -> Result<Option<RecordBatch>, FormatError> {
        if !self.by_path.contains_key("participants.tsv") {
            return Ok(None);
        }
        let batch = self.plain_table("participants.tsv")?;
        if batch.column_by_name("participant_id").is_none() {
            return Err(fault("participants.tsv", "there is no column `participant_id` (Participants file)", "add it as the first column"));
        }
        Ok(Some(tsv::described(&batch, &self.described_by("participants.tsv")?)))
    }

    /// The sessions of a subject, a row each; none when the subject has no table of sessions.
    ///
    /// # Errors
    /// When the table is damaged.
    pub fn sessions(&self, subject: &str) -> Result<Option<Table>, FormatError> {
        let subject = subject.strip_prefix("sub-").unwrap_or(subject);
        let path = format!("sub-{subject}/sub-{subject}_sessions.tsv");
        if self.by_path.contains_key(&path) { self.table(&path).map(|batch| Some(Table::from_batch(batch))) } else { Ok(None) }
    }

    /// What `scans.tsv` says of a file, by column (`acq_time`, …); empty when it is not listed. `n/a` is left out.
    ///
    /// # Errors
    /// When there is no such file, or the table is damaged.
    pub fn scan(&self, path: &str) -> Result<BTreeMap<String, String>, FormatError> {
        let file = self.file(path)?;
        let Some(scans) = self.scans_table(file) else { return Ok(BTreeMap::new()) };
        let batch = self.plain_table(&scans.path)?;
        let home = folder_of(&scans.path);
        let below = if home.is_empty() { path } else { path.get(home.len() + 1..).unwrap_or(path) };
        let names = batch.column_by_name("filename").and_then(|column| column.as_string_opt::<i32>());
        let row = names.and_then(|names| {
            names.iter().position(|name| name.is_some_and(|name| name.trim_end_matches('/') == below.trim_end_matches('/')))
        });
        let Some(row) = row else { return Ok(BTreeMap::new()) };
        let mut said = BTreeMap::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if field.name() != "filename" && !column.is_null(row) {
                let text = arrow::util::display::array_value_to_string(column, row).unwrap_or_default();
                said.insert(field.name().clone(), text);
            }
        }
        Ok(said)
    }

    /// The events of a data file, or of an `events.tsv` itself, with times from the first sample of the recording on.
    ///
    /// `onset` is `time`, `duration` stays (null for `n/a`), and `label` is the first of the columns `trial_type`, `value`, `event_type` and
    /// `stim_file` that is there; null for `n/a`, and for all when none is there. All other columns follow under their names; one called `time` or
    /// `label` is given as `events_time`, `events_label`.
    ///
    /// # Errors
    /// When there is no such file, no or several event tables apply to it, the table has no `onset` or `duration`, or an onset is not a number.
    pub fn events(&self, path: &str) -> Result<Events, FormatError> {
        self.events_from(path, 0.0)
    }

    /// The same on the clock of a recording whose first sample is at `start` seconds: an onset counts from there (Modality agnostic files: Events).
    pub(super) fn events_from(&self, path: &str, start: f64) -> Result<Events, FormatError> {
        let file = self.file(path)?;
        let table = self.of_sort(file, "events", ".tsv")?;
        let batch = self.table(&table.path)?;
        events_of(&batch, &table.path, start)
    }

    /// The channels of a data file, or of a `channels.tsv` itself: `name`, `type`, `units`, `status` and whatever further columns there are.
    ///
    /// # Errors
    /// When there is no such file, no or several tables of channels apply to it, or the table is damaged.
    pub fn channels(&self, path: &str) -> Result<Table, FormatError> {
        let table = self.of_sort(self.file(path)?, "channels", ".tsv")?;
        self.table(&table.path).map(Table::from_batch)
    }

    /// What `channels.tsv` says is put into the channels of a recording, by name: the type as role (in lower case), and the unit where the
    /// recording has none. Gives the names of channels that are marked `bad`.
    ///
    /// # Errors
    /// As for [`BidsTree::channels`]; and when a channel of the recording is not in the table.
    pub fn describe_channels(&self, path: &str, channels: &mut [Channel]) -> Result<Vec<String>, FormatError> {
        let table = self.channels(path)?;
        let texts = |name: &str| table.texts(name).unwrap_or_default();
        let (names, kinds, units, states) = (texts("name"), texts("type"), texts("units"), texts("status"));
        let rows: BTreeMap<&str, usize> = names.iter().enumerate().map(|(row, name)| (name.as_str(), row)).collect();
        let mut bad = Vec::new();
        for channel in channels {
            let Some(&row) = rows.get(channel.name.as_str()) else {
                let reason =
                    format!("channel `{}` of the recording is not in its channels.tsv (Channels description)", channel.name.escape_debug());
                return Err(fault(path, reason, "add a row for it, or correct its name"));
            };
            if let Some(kind) = kinds.get(row).filter(|kind| !kind.is_empty()) {
                channel.role = kind.to_lowercase();
            }
            if let Some(unit) = units.get(row).filter(|unit| !unit.is_empty() && channel.unit.is_empty()) {
                channel.unit.clone_from(unit);
            }
            if states.get(row).is_some_and(|state| state == "bad") {
                bad.push(channel.name.clone());
            }
        }
        Ok(bad)
    }

    /// The electrodes of a data file: of the named space, or of the only one there is.
    ///
    /// # Errors
    /// When there is no such file, none or several tables apply (the error names their spaces), or the table is damaged.
    pub fn electrodes(&self, path: &str, space: Option<&str>) -> Result<Table, FormatError> {
        let table = self.in_space(self.file(path)?, "electrodes", ".tsv", space)?;
        self.table(&table.path).map(Table::from_batch)
    }

    /// The coordinate system of a data file's electrodes: of the named space, or of the only one there is.
    ///
    /// # Errors
    /// When there is no such file, none or several systems apply (the error names their spaces), or it is not JSON.
    pub fn coordsystem(&self, path: &str, space: Option<&str>) -> Result<Map<String, Value>, FormatError> {
        let file = self.in_space(self.file(path)?, "coordsystem", ".json", space)?;
        self.json(&file.path)
    }

    /// The file itself when it is of a sort, else the nearest of that sort.
    fn of_sort<'t>(&'t self, file: &'t BidsFile, suffix: &str, extension: &str) -> Result<&'t BidsFile, FormatError> {
        if file.name.suffix == suffix && file.name.extension == extension {
            return Ok(file);
        }
        self.nearest(file, suffix, extension)?.ok_or_else(|| none(file, suffix, extension))
    }

    fn in_space<'t>(&'t self, file: &'t BidsFile, suffix: &str, extension: &str, space: Option<&str>) -> Result<&'t BidsFile, FormatError> {
        if file.name.suffix == suffix && file.name.extension == extension {
            return Ok(file);
        }
        let wanted = Wanted { suffix, extension, extra: &["space"] };
        let space = space.map(|space| space.strip_prefix("space-").unwrap_or(space));
        let mut there = Vec::new();
        for level in self.levels(file, &wanted).into_iter().rev() {
            let fits: Vec<&BidsFile> = level.iter().copied().filter(|own| space.is_none() || own.name.get("space") == space).collect();
            if let [only] = fits.as_slice() {
                return Ok(only);
            }
            there.extend(level);
            if !fits.is_empty() {
                break;
            }
        }
        if there.is_empty() {
            return Err(none(file, suffix, extension));
        }
        let spaces =
            there.iter().map(|own| format!("`{}`", own.name.get("space").unwrap_or("").escape_debug())).collect::<Vec<_>>().join(", ");
        let reason = match space {
            Some(space) => format!("it has no {suffix} in the space `{}`", space.escape_debug()),
            None => format!("several {suffix} apply to it, in different spaces"),
        };
        Err(fault(&file.path, reason, format!("there are the spaces {spaces}")))
    }
}

fn none(file: &BidsFile, suffix: &str, extension: &str) -> FormatError {
    let stem = file_of(&file.path).rsplit_once('_').map_or("", |(stem, _)| stem);
    let reason = format!("no {suffix}{extension} applies to it, in its folder or above (The Inheritance Principle)");
    fault(&file.path, reason, format!("add `{stem}_{suffix}{extension}` beside it"))
}

/// The columns of a table of events, as [`Events`] has them.
fn events_of(batch: &RecordBatch, path: &str, start: f64) -> Result<Events, FormatError> {
    let section = "Modality agnostic files: Events";
    let required = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| {
            fault(path, format!("there is no column `{name}` ({section})"), "every table of events has `onset` and `duration`")
        })
    };
    let number = |name: &str| -> Result<ArrayRef, FormatError> {
        let column = required(name)?;
        if column.data_type() == &DataType::Utf8 && column.null_count() < column.len() {
            let row = column.as_string::<i32>().iter().position(|cell| cell.is_some_and(|cell| tsv::number(cell).is_none())).unwrap_or(0);
            let reason = format!("line {}: `{name}` is not a number ({section})", row + 2);
            return Err(fault(path, reason, "write seconds, or `n/a` for a duration that is not known"));
        }
        cast(column, &DataType::Float64).map_err(|error| fault(path, error.to_string(), "write seconds"))
    };
    let times = number("onset")?;
    if let Some(row) = (0..times.len()).find(|row| times.is_null(*row)) {
        return Err(fault(
            path,
            format!("line {}: the onset is `n/a` ({section})", row + 2),
            "give every event its onset in seconds, or remove it",
        ));
    }
    let times = match start {
        0.0 => times,
        start => Arc::new(times.as_primitive::<Float64Type>().unary::<_, Float64Type>(|onset| start + onset)),
    };
    let duration = number("duration")?;
    let label = LABELS.iter().find_map(|name| batch.column_by_name(name).map(|column| (*name, column)));
    let texts: ArrayRef = match label {
        Some((_, column)) => cast(column, &DataType::Utf8).map_err(|error| fault(path, error.to_string(), "write labels as text"))?,
        None => Arc::new(StringArray::new_null(batch.num_rows())),
    };
    let schema = batch.schema();
    let field = |name: &str, own: &str, kind: DataType, nullable: bool| {
        let said = schema.field_with_name(own).map(|field| field.metadata().clone()).unwrap_or_default();
        Field::new(name, kind, nullable).with_metadata(said)
    };
    let mut columns = vec![
        (field("time", "onset", DataType::Float64, false), times),
        (field("duration", "duration", DataType::Float64, true), duration),
        (field("label", label.map_or("", |(name, _)| name), DataType::Utf8, true), texts),
    ];
    for (own, column) in schema.fields().iter().zip(batch.columns()) {
        let name = own.name().as_str();
        if matches!(name, "onset" | "duration") || label.is_some_and(|(label, _)| label == name) {
            continue;
        }
        let own = own.as_ref().clone();
        let own = if matches!(name, "time" | "label") {
            let name = format!("events_{name}");
            own.with_name(name)
        } else {
            own
        };
        columns.push((own, Arc::clone(column)));
    }
    let told = |error: &dyn std::fmt::Display| fault(path, error.to_string(), "correct the table");
    Events::from_table(Table::from_columns(columns).map_err(|error| told(&error))?).map_err(|error| told(&error))
}
