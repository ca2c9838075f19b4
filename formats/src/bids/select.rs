//! Files by what their names say.

use super::name::{ENTITIES, entity, number, same};
use super::{BidsFile, BidsTree, fault};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};
use neuroflow_data::formats::{Format, FormatError, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a selection can ask for beside entities.
const OTHERS: &[&str] = &["datatype", "suffix", "extension", "dataset"];

/// What one condition asks.
enum Asked<'a> {
    /// Any value, but one.
    All,
    /// The name must not have it.
    Without,
    OneOf(Vec<&'a str>),
}

impl BidsTree {
    /// The files that fulfil all conditions, sorted by path.
    ///
    /// A condition is a name and the wanted value. Names are entities, short or long (`sub`, `subject`, `acq`, `acquisition`), `datatype`,
    /// `suffix`, `extension` (`.nii.gz` or `nii.gz`) and `dataset` (the folder of a derived dataset, such as `derivatives/fmriprep`). A value may
    /// be a list with commas (`rest,motor`); `all` is any value, and the empty text asks for files without that entity. `sub-01` means `01`, and
    /// whole numbers are equal as numbers.
    ///
    /// Only the dataset at the top is looked at unless `dataset` is asked for, and only files whose names follow the scheme.
    ///
    /// # Errors
    /// When a name is no entity, or a value is not in the dataset; the error says which there are.
    pub fn select(&self, conditions: &[(&str, &str)]) -> Result<Vec<&BidsFile>, FormatError> {
        let mut asked: Vec<(&str, Asked<'_>)> = Vec::with_capacity(conditions.len());
        for (key, wanted) in conditions {
            let key = match entity(key) {
                Some(entity) => entity.short,
                None => OTHERS.iter().copied().find(|other| other == key).ok_or_else(|| self.unknown_key(key))?,
            };
            let wanted = match wanted.trim() {
                "all" => Asked::All,
                "" if key != "dataset" => Asked::Without,
                list => Asked::OneOf(list.split(',').map(str::trim).collect()),
            };
            asked.push((key, wanted));
        }
        let everywhere = asked.iter().any(|(key, _)| *key == "dataset");
        let candidates = || self.files.iter().filter(|file| (everywhere || file.dataset.is_empty()) && file.name.is_bids());
        for (key, wanted) in &asked {
            let Asked::OneOf(values) = wanted else { continue };
            let there: BTreeSet<&str> = candidates().filter_map(|file| value_of(file, key)).collect();
            for value in values {
                if !there.iter().any(|found| equal(key, value, found)) {
                    return Err(no_value(key, value, &there));
                }
            }
        }
        let fits = |file: &&BidsFile| {
            asked.iter().all(|(key, wanted)| match (value_of(file, key), wanted) {
                (Some(_), Asked::All) | (None, Asked::Without) => true,
                (Some(found), Asked::OneOf(values)) => values.iter().any(|value| equal(key, value, found)),
                _ => false,
            })
        };
        Ok(candidates().filter(fits).collect())
    }

    fn unknown_key(&self, key: &str) -> FormatError {
        let mut there: Vec<&str> = OTHERS.to_vec();
        let used: BTreeSet<&str> = self.files.iter().flat_map(|file| file.name.entities.iter().map(|(key, _)| key.as_str())).collect();
        there.extend(ENTITIES.iter().filter(|entity| used.contains(entity.short)).map(|entity| entity.long));
        let reason = format!("`{}` is not an entity of BIDS (appendix Entities)", key.escape_debug());
        FormatError::new(Format::Bids, Place::File, reason, format!("this tree has {}", there.join(", ")))
    }

    /// A row for each file, sorted by path.
    ///
    /// Columns: `path`, `dataset` (empty at the top), `datatype`, `suffix`, `extension` (texts; null where there is none), then a column for each
    /// entity of the specification that any file has, by its long name and in the specification's order: whole numbers for indices (`run`, `echo`,
    /// …; null when it is not one), text otherwise. Last, for files of the dataset at the top that have a subject, the columns of
    /// `participants.tsv` as `participant_…` (`participant_age`, …).
    ///
    /// # Errors
    /// When the table can't be built. A damaged `participants.tsv` is only left out; [`BidsTree::participants`] says why.
    pub fn files(&self) -> Result<RecordBatch, FormatError> {
        let files = &self.files;
        let text = |of: &dyn Fn(&BidsFile) -> Option<String>| Arc::new(files.iter().map(of).collect::<StringArray>()) as ArrayRef;
        let filled = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("path".into(), text(&|file| Some(file.path.clone()))),
            ("dataset".into(), text(&|file| Some(file.dataset.clone()))),
            ("datatype".into(), text(&|file| filled(&file.datatype))),
            ("suffix".into(), text(&|file| if file.name.is_bids() { filled(&file.name.suffix) } else { None })),
            ("extension".into(), text(&|file| filled(&file.name.extension))),
        ];
        for entity in ENTITIES {
            if !files.iter().any(|file| file.name.get(entity.short).is_some()) {
                continue;
            }
            let column = if entity.index {
                Arc::new(files.iter().map(|file| file.name.get(entity.short).and_then(number)).collect::<Int64Array>()) as ArrayRef
            } else {
                text(&|file| file.name.get(entity.short).map(str::to_owned))
            };
            columns.push((entity.long.into(), column));
        }
        let mut fields: Vec<Field> = columns
            .iter()
            .map(|(name, array)| Field::new(name, array.data_type().clone(), !matches!(name.as_str(), "path" | "dataset")))
            .collect();
        let mut arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, array)| array).collect();
        let wrong = |error: &dyn std::fmt::Display| FormatError::new(Format::Bids, Place::File, error.to_string(), "report this table");
        if let Ok(Some(participants)) = &self.participants
            && let Some(ids) =
                participants.column_by_name("participant_id").and_then(|column| column.as_any().downcast_ref::<StringArray>())
        {
            let rows: BTreeMap<&str, u32> = ids.iter().zip(0u32..).filter_map(|(id, row)| Some((id?, row))).collect();
            let row = |file: &BidsFile| match file.name.get("sub") {
                Some(subject) if file.dataset.is_empty() => rows.get(format!("sub-{subject}").as_str()).copied(),
                _ => None,
            };
            let places: UInt32Array = files.iter().map(row).collect();
            for (field, column) in participants.schema().fields().iter().zip(participants.columns()) {
                if field.name() != "participant_id" {
                    let field = field.as_ref().clone();
                    let name = format!("participant_{}", field.name());
                    fields.push(field.with_name(name).with_nullable(true));
                    arrays.push(take(column, &places, None).map_err(|error| wrong(&error))?);
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(|error| wrong(&error))
    }
}

fn value_of<'f>(file: &'f BidsFile, key: &str) -> Option<&'f str> {
    let filled = |value: &'f String| (!value.is_empty()).then_some(value.as_str());
    match key {
        "datatype" => filled(&file.datatype),
        "suffix" => filled(&file.name.suffix),
        "extension" => filled(&file.name.extension),
        "dataset" => Some(&file.dataset),
        short => file.name.get(short),
    }
}

fn equal(key: &str, wanted: &str, found: &str) -> bool {
    match key {
        "extension" => found == wanted || found.strip_prefix('.') == Some(wanted),
        "dataset" => found == wanted.trim_matches('/'),
        short => {
            let value = wanted.strip_prefix(short).and_then(|rest| rest.strip_prefix('-')).unwrap_or(wanted);
            same(short, value, found)
        }
    }
}

fn no_value(key: &str, value: &str, there: &BTreeSet<&str>) -> FormatError {
    const SHOWN: usize = 12;
    let long = entity(key).map_or(key, |entity| entity.long);
    let listed = there.iter().take(SHOWN).map(|value| format!("`{}`", value.escape_debug())).collect::<Vec<_>>().join(", ");
    let help = match there.len() {
        0 => format!("no file has a {long}"),
        more if more > SHOWN => format!("there are {listed} and {} more", more - SHOWN),
        _ => format!("there are {listed}"),
    };
    fault(".", format!("no file has the {long} `{}`", value.escape_debug()), help)
}
