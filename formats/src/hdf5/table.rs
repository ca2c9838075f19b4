//! Rows of datasets.

use super::dataset::Dataset;
use super::datatype::Class;
use super::document::packing;
use super::file::{in_object, unread};
use super::tree::{Object, Sort, Tree};
use super::values::{Elements, arrow_type};
use crate::document::Rows;
use crate::packing::Packing;
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use neuroflow_data::formats::{Format, FormatError, Place};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// The rows of one dataset.
#[derive(Debug)]
pub(crate) struct DatasetRows {
    tree: Arc<Tree>,
    address: u64,
    schema: SchemaRef,
    count: u64,
    packing: Option<Packing>,
}

impl DatasetRows {
    pub fn new(tree: &Arc<Tree>, object: &Object) -> Result<DatasetRows, FormatError> {
        let Sort::Dataset(dataset) = &object.sort else { return Err(refuse(object, "this is not a dataset")) };
        let name = object.path.rsplit('/').next().unwrap_or_default();
        let packing = packing(tree, object);
        let plain = if packing.is_some() { DataType::Float64 } else { arrow_type(&dataset.datatype) };
        let fields: Vec<Field> = match (dataset.dims(), &dataset.datatype.class) {
            ([_], Class::Compound(members)) => {
                let mut seen = BTreeSet::new();
                if let Some(twice) = members.iter().find(|member| !seen.insert(member.name.as_str())) {
                    return Err(refuse(object, &format!("its member `{}` is there twice", twice.name.escape_debug())));
                }
                members.iter().map(|member| Field::new(&member.name, arrow_type(&member.datatype), false)).collect()
            }
            ([] | [_], _) => vec![Field::new(name, plain, false)],
            ([_, columns], class) if !matches!(class, Class::Compound(_)) => {
                if *columns > tree.file.limits.max_columns as u64 {
                    return Err(refuse(object, &format!("it has {columns} columns, more than a table may have")));
                }
                (1..=*columns).map(|column| Field::new(format!("column_{column}"), plain.clone(), false)).collect()
            }
            (dims, class) => {
                let reason = format!("an array of the shape {dims:?} is no table");
                let help = match class {
                    Class::Compound(_) if dataset.datatype.word().starts_with("complex") => "save `real` and `imag`, or `abs`, of it",
                    Class::Compound(_) => "save each of its members as an array",
                    _ if dataset.datatype.is_number() => "`ingest.array` has it",
                    _ => "save it with one or two axes",
                };
                return Err(FormatError { help: help.into(), ..refuse(object, &reason) });
            }
        };
        let count = dataset.dims().first().copied().unwrap_or(1);
        let count = if dataset.space.null { 0 } else { count };
        Ok(DatasetRows { tree: Arc::clone(tree), address: object.address, schema: Arc::new(Schema::new(fields)), count, packing })
    }

    fn dataset(&self) -> Result<(&Object, &Dataset), FormatError> {
        let lost = || unread(0, "the dataset is gone", "open the file again");
        let object = self.tree.at(self.address).ok_or_else(lost)?;
        let Sort::Dataset(dataset) = &object.sort else { return Err(lost()) };
        Ok((object, dataset))
    }

    /// A column with the values that the stored ones stand for.
    fn unpacked(&self, column: ArrayRef) -> Result<ArrayRef, FormatError> {
        let Some(packing) = &self.packing else { return Ok(column) };
        let stored = cast(&column, &DataType::Float64).map_err(|error| unread(0, error.to_string(), "ask for it as an array"))?;
        let values = stored.as_primitive::<Float64Type>().values().iter().map(|value| packing.value(*value));
        Ok(Arc::new(values.collect::<Float64Array>()))
    }

    fn arrays(&self, dataset: &Dataset, columns: &[usize], rows: Range<u64>) -> Result<Vec<ArrayRef>, FormatError> {
        let mut budget = self.tree.budget();
        let file = &self.tree.file;
        let values = self.tree.values();
        let datatype = &dataset.datatype;
        let mut part = dataset.rows(rows);
        match (&datatype.class, part.len()) {
            (Class::Compound(members), _) => {
                let bytes = dataset.read(file, &part, &mut budget)?;
                let whole = Elements::new(datatype, &bytes, 0);
                let member = |column: &usize| members.get(*column).ok_or_else(|| unread(0, "there is no such column", "ask for one"));
                columns
                    .iter()
                    .map(|column| member(column).and_then(|own| values.column(&own.datatype, whole.member(own.offset), &mut budget)))
                    .collect()
            }
            (_, 2) => {
                let (Some(&least), Some(&most)) = (columns.iter().min(), columns.iter().max()) else { return Ok(Vec::new()) };
                if let Some(own) = part.get_mut(1) {
                    *own = (least as u64).min(own.end)..(most as u64 + 1).min(own.end);
                }
                let bytes = dataset.read(file, &part, &mut budget)?;
                let width = (most + 1 - least) * datatype.size;
                let whole = Elements::rows(&bytes, width);
                columns.iter().map(|column| values.column(datatype, whole.member((column - least) * datatype.size), &mut budget)).collect()
            }
            _ => {
                let bytes = dataset.read(file, &part, &mut budget)?;
                columns.iter().map(|_| values.column(datatype, Elements::new(datatype, &bytes, 0), &mut budget)).collect()
            }
        }
    }
}

fn refuse(object: &Object, reason: &str) -> FormatError {
    let place = Place::Object { path: format!("/{}", object.path), byte: None };
    FormatError::new(Format::Hdf5, place, reason, "ask for it as an array, or name another dataset")
}

impl Rows for DatasetRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let (object, dataset) = self.dataset()?;
        let rows = rows.start.min(self.count)..rows.end.min(self.count).max(rows.start.min(self.count));
        let schema = self.schema.project(columns);
        let schema = schema.map_err(|error| refuse(object, &error.to_string()))?;
        let arrays = self.arrays(dataset, columns, rows.clone());
        let arrays = arrays.and_then(|arrays| arrays.into_iter().map(|column| self.unpacked(column)).collect::<Result<Vec<_>, _>>());
        let arrays = arrays.map_err(|error| in_object(error, &object.path))?;
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(|error| refuse(object, &error.to_string()))
    }
}
