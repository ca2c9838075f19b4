//! Rows of datasets.

use super::dataset::Dataset;
use super::datatype::Class;
use super::file::{in_object, unread};
use super::tree::{Object, Sort, Tree};
use super::values::{Elements, arrow_type};
use crate::document::Rows;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
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
}

impl DatasetRows {
    pub fn new(tree: &Arc<Tree>, object: &Object) -> Result<DatasetRows, FormatError> {
        let Sort::Dataset(dataset) = &object.sort else { return Err(refuse(object, "this is not a dataset")) };
        let name = object.path.rsplit('/').next().unwrap_or_default();
        let fields: Vec<Field> = match (dataset.dims(), &dataset.datatype.class) {
            ([_], Class::Compound(members)) => {
                let mut seen = BTreeSet::new();
                if let Some(twice) = members.iter().find(|member| !seen.insert(member.name.as_str())) {
                    return Err(refuse(object, &format!("its member `{}` is there twice", twice.name.escape_debug())));
                }
                members.iter().map(|member| Field::new(&member.name, arrow_type(&member.datatype), false)).collect()
            }
            ([] | [_], _) => vec![Field::new(name, arrow_type(&dataset.datatype), false)],
            ([_, columns], class) if !matches!(class, Class::Compound(_)) => {
                if *columns > tree.file.limits.max_columns as u64 {
                    return Err(refuse(object, &format!("it has {columns} columns, more than a table may have")));
                }
                let datatype = arrow_type(&dataset.datatype);
                (1..=*columns).map(|column| Field::new(format!("column_{column}"), datatype.clone(), false)).collect()
            }
            (dims, _) => return Err(refuse(object, &format!("an array of the shape {dims:?} is no table"))),
        };
        let count = dataset.dims().first().copied().unwrap_or(1);
        let count = if dataset.space.null { 0 } else { count };
        Ok(DatasetRows { tree: Arc::clone(tree), address: object.address, schema: Arc::new(Schema::new(fields)), count })
    }

    fn dataset(&self) -> Result<(&Object, &Dataset), FormatError> {
        let lost = || unread(0, "the dataset is gone", "open the file again");
        let object = self.tree.at(self.address).ok_or_else(lost)?;
        let Sort::Dataset(dataset) = &object.sort else { return Err(lost()) };
        Ok((object, dataset))
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
        let arrays = self.arrays(dataset, columns, rows.clone()).map_err(|error| in_object(error, &object.path))?;
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(|error| refuse(object, &error.to_string()))
    }
}
