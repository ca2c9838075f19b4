//! `DynamicTable`: columns of equal length, plain, ragged or doubly ragged.

use super::series::dataset_at;
use super::{bad, of_nwb, reference};
use crate::document::Rows;
use crate::hdf5::tree::{Object, Sort, Tree};
use crate::hdf5::values::{Elements, arrow_type};
use crate::reading::type_word;
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, LargeListArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use neuroflow_data::formats::{Budget, COPY_AGAIN, FormatError};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// How many times a column may be ragged.
const MAX_RAGGED: usize = 4;

/// A column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub name: String,
    /// The header of its values.
    pub data: u64,
    /// The headers of its indexes, the one over the values first.
    pub indexes: Vec<u64>,
    /// The words of an enumeration's numbers.
    words: Option<Arc<Vec<String>>>,
    /// What the file says of it.
    pub about: String,
    pub unit: String,
    pub datatype: DataType,
}

impl Column {
    /// Whether a row has one plain value.
    pub fn is_scalar(&self) -> bool {
        !self.datatype.is_nested()
    }
}

/// A table in the file, without its values.
#[derive(Debug, Clone)]
pub(super) struct DynamicTable {
    pub path: String,
    pub count: u64,
    pub columns: Vec<Column>,
}

impl DynamicTable {
    /// The columns of a table, `id` first, then in the order that `colnames` gives.
    pub fn read(tree: &Tree, object: &Object, notes: &mut Vec<String>) -> DynamicTable {
        let named = tree.attribute(object, "colnames").and_then(|own| tree.attribute_texts(own).ok().flatten());
        let children: HashMap<&str, &Object> = tree.children(object).collect();
        let names = named.unwrap_or_else(|| {
            // Without the list, everything that is not an index is a column.
            let mut names: Vec<String> =
                children.keys().filter(|name| **name != "id" && !name.ends_with("_index")).map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        });
        let mut columns = Vec::new();
        let mut seen = BTreeSet::new();
        for name in std::iter::once("id".to_owned()).chain(names) {
            if !seen.insert(name.clone()) {
                continue;
            }
            let Some(&own) = children.get(name.as_str()) else {
                if name != "id" {
                    notes.push(format!("`/{}` names a column `{}` that is not there", object.path, name.escape_debug()));
                }
                continue;
            };
            match column(tree, own, &name, &children) {
                Some(column) => columns.push(column),
                None => {
                    notes.push(format!("column `{}` of `/{}` was left out: it is no dataset of rows", name.escape_debug(), object.path))
                }
            }
        }
        let rows = |column: &Column| {
            let outer = column.indexes.last().copied().unwrap_or(column.data);
            dataset_at(tree, outer, &object.path).ok().and_then(|dataset| dataset.dims().first().copied())
        };
        let count = columns.first().and_then(rows).unwrap_or(0);
        columns.retain(|column| {
            let right = rows(column) == Some(count);
            if !right {
                notes.push(format!(
                    "column `{}` of `/{}` was left out: it has another number of rows",
                    column.name.escape_debug(),
                    object.path
                ));
            }
            right
        });
        DynamicTable { path: object.path.clone(), count, columns }
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Names and types, for the contents.
    pub fn described(&self) -> Vec<(String, String)> {
        let described = |column: &Column| {
            let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
            (column.name.clone(), format!("{}{unit}", type_word(&column.datatype)))
        };
        self.columns.iter().map(described).collect()
    }

    /// Some rows of a column.
    pub fn values(&self, tree: &Tree, column: &Column, rows: Range<u64>, budget: &mut Budget) -> Result<ArrayRef, FormatError> {
        level(tree, &self.path, column, column.indexes.len(), rows, budget)
    }
}

fn column(tree: &Tree, object: &Object, name: &str, children: &HashMap<&str, &Object>) -> Option<Column> {
    let Sort::Dataset(dataset) = &object.sort else { return None };
    dataset.dims().first()?;
    let mut indexes = Vec::new();
    let mut of = name.to_owned();
    while indexes.len() < MAX_RAGGED {
        of.push_str("_index");
        let Some(index) = children.get(of.as_str()) else { break };
        let Sort::Dataset(own) = &index.sort else { break };
        if own.dims().len() != 1 || !own.datatype.is_number() {
            break;
        }
        indexes.push(index.address);
    }
    // The words of an enumeration stand in a dataset of their own.
    let words = tree.attribute(object, "elements").and_then(|own| tree.attribute_objects(own).into_iter().next().flatten());
    let words = words.and_then(|words| match &words.sort {
        Sort::Dataset(own) if own.datatype.is_text() && dataset.dims().len() == 1 => {
            tree.texts(&words.path, own, &own.everything(), &mut tree.budget()).ok().flatten()
        }
        _ => None,
    });
    let is_text = words.is_some() || reference::is_reference(&dataset.datatype);
    let mut datatype = if is_text { DataType::Utf8 } else { arrow_type(&dataset.datatype) };
    for dim in dataset.dims().iter().skip(1).rev() {
        datatype = DataType::FixedSizeList(item(&datatype), i32::try_from(*dim).ok()?);
    }
    for _ in &indexes {
        datatype = DataType::LargeList(item(&datatype));
    }
    Some(Column {
        name: name.to_owned(),
        data: object.address,
        indexes,
        words: words.map(Arc::new),
        about: tree.text(object, "description").unwrap_or_default(),
        unit: tree.text(object, "unit").unwrap_or_default(),
        datatype,
    })
}

fn item(datatype: &DataType) -> Arc<Field> {
    Arc::new(Field::new("item", datatype.clone(), false))
}

/// Rows of a column that is still `depth` times ragged.
fn level(tree: &Tree, path: &str, column: &Column, depth: usize, rows: Range<u64>, budget: &mut Budget) -> Result<ArrayRef, FormatError> {
    let place = || format!("{path}/{}", column.name);
    let Some(index) = depth.checked_sub(1).and_then(|depth| column.indexes.get(depth)) else {
        return plain(tree, &place(), column, rows, budget);
    };
    let dataset = dataset_at(tree, *index, path)?;
    // The index says where each row ends, so the row before the first says where that begins.
    let from = rows.start.saturating_sub(1);
    let ends = tree.numbers(&place(), dataset, &dataset.rows(from..rows.end), budget).map_err(|error| of_nwb(error, &place()))?;
    let mut ends = ends.unwrap_or_default();
    if rows.start == 0 {
        ends.insert(0, 0.0);
    }
    let ends: Vec<u64> = ends.into_iter().map(|end| end as u64).collect();
    let (first, last) = (ends.first().copied().unwrap_or(0), ends.last().copied().unwrap_or(0));
    let below = depth.checked_sub(2).and_then(|depth| column.indexes.get(depth)).copied().unwrap_or(column.data);
    let most = dataset_at(tree, below, path)?.dims().first().copied().unwrap_or(0);
    if last > most || ends.windows(2).any(|pair| matches!(pair, [one, next] if one > next)) {
        return Err(bad(&place(), format!("its index falls or points past its {most} values"), COPY_AGAIN));
    }
    let values = level(tree, path, column, depth - 1, first..last, budget)?;
    let offsets: Vec<i64> = ends.iter().map(|end| (end - first) as i64).collect();
    let list = LargeListArray::try_new(item(values.data_type()), OffsetBuffer::new(offsets.into()), values, None);
    Ok(Arc::new(list.map_err(|error| bad(&place(), error.to_string(), COPY_AGAIN))?))
}

fn plain(tree: &Tree, path: &str, column: &Column, rows: Range<u64>, budget: &mut Budget) -> Result<ArrayRef, FormatError> {
    let dataset = dataset_at(tree, column.data, path)?;
    let rows = rows.start..rows.end.max(rows.start);
    let bytes = dataset.read(&tree.file, &dataset.rows(rows), budget).map_err(|error| of_nwb(error, path))?;
    let elements = Elements::new(&dataset.datatype, &bytes, 0);
    let mut values = tree.values().column(&dataset.datatype, elements, budget).map_err(|error| of_nwb(error, path))?;
    if reference::is_reference(&dataset.datatype) {
        values = reference::texts(path, &values, budget)?;
    }
    if let Some(words) = &column.words {
        let numbers = cast(&values, &DataType::Int64).map_err(|error| bad(path, error.to_string(), COPY_AGAIN))?;
        let word = |number: i64| usize::try_from(number).ok().and_then(|number| words.get(number)).map_or("", String::as_str);
        values = Arc::new(StringArray::from_iter_values(numbers.as_primitive::<Int64Type>().values().iter().map(|number| word(*number))));
    }
    // Further axes become lists of a fixed length, the innermost first.
    let dims = dataset.dims();
    for axis in (1..dims.len()).rev() {
        let size = dims.get(axis).and_then(|dim| i32::try_from(*dim).ok()).ok_or_else(|| bad(path, "a row is too long", COPY_AGAIN))?;
        let rows = if size == 0 { 0 } else { values.len() / size as usize };
        let list = FixedSizeListArray::try_new_with_length(item(values.data_type()), size, values, None, rows);
        values = Arc::new(list.map_err(|error| bad(path, error.to_string(), COPY_AGAIN))?);
    }
    Ok(values)
}

/// The rows of a table. What the file says of a column, and its unit, are the field's metadata `description` and `unit`.
#[derive(Debug)]
pub(super) struct TableRows {
    tree: Arc<Tree>,
    table: DynamicTable,
    schema: SchemaRef,
}

impl TableRows {
    pub fn new(tree: &Arc<Tree>, table: DynamicTable) -> TableRows {
        let field = |column: &Column| {
            let known = [("description", &column.about), ("unit", &column.unit)].into_iter().filter(|(_, text)| !text.is_empty());
            let metadata = known.map(|(name, text)| (name.to_owned(), text.clone())).collect::<HashMap<_, _>>();
            Field::new(&column.name, column.datatype.clone(), false).with_metadata(metadata)
        };
        let fields: Vec<Field> = table.columns.iter().map(field).collect();
        TableRows { tree: Arc::clone(tree), table, schema: Arc::new(Schema::new(fields)) }
    }
}

impl Rows for TableRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.table.count
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let rows = rows.start.min(self.table.count)..rows.end.min(self.table.count).max(rows.start.min(self.table.count));
        let refuse = |error: arrow::error::ArrowError| bad(&self.table.path, error.to_string(), "ask for columns that are there");
        let schema = self.schema.project(columns).map_err(refuse)?;
        let mut budget = self.tree.budget();
        let mut arrays = Vec::with_capacity(columns.len());
        for column in columns.iter().filter_map(|column| self.table.columns.get(*column)) {
            arrays.push(self.table.values(&self.tree, column, rows.clone(), &mut budget)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(refuse)
    }
}
