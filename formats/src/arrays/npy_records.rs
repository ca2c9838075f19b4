//! Records in a NumPy `.npy`, an array whose elements have named fields, as a table: a column for each field.

use crate::document::{Item, Rows, What};
use crate::reading::{columns_of, cut};
use crate::source::{Source, part};
use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use neuroflow_data::formats::npy::{NpyData, NpyField, NpyRecords, Scalar, values_of};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use std::ops::Range;
use std::sync::Arc;

/// The rows of an array of records.
#[derive(Debug, Clone)]
pub(super) struct RecordRows {
    source: Arc<dyn Source>,
    records: NpyRecords,
    count: u64,
    schema: SchemaRef,
    limits: Limits,
}

impl RecordRows {
    /// The records that a header tells of, checked against the file's size.
    pub fn open(source: Arc<dyn Source>, records: NpyRecords, limits: &Limits) -> Result<RecordRows, FormatError> {
        let refuse = |reason: String, help: &str| FormatError::new(Format::Npy, Place::Byte(records.data_start as u64), reason, help);
        let count = match records.shape.as_slice() {
            [] => 1u64,
            [count] => *count as u64,
            shape => {
                return Err(refuse(format!("records of {} axes are no table", shape.len()), "save them along one axis: `records.ravel()`"));
            }
        };
        if records.fields.len() > limits.max_columns {
            return Err(refuse(
                format!("the records have {} fields, more than a table may have columns", records.fields.len()),
                RAISE_LIMIT,
            ));
        }
        let end = count.checked_mul(records.size as u64).and_then(|bytes| bytes.checked_add(records.data_start as u64));
        if records.size == 0 || end != Some(source.len()) {
            let reason = format!("{count} records of {} bytes do not fill the file, which has {} bytes", records.size, source.len());
            return Err(refuse(reason, COPY_AGAIN));
        }
        let schema = Arc::new(Schema::new(records.fields.iter().map(column).collect::<Vec<Field>>()));
        Ok(RecordRows { source, records, count, schema, limits: limits.clone() })
    }

    /// The item for the table.
    pub fn item(&self, path: &str) -> Item {
        let what = What::Table { rows: Some(self.count), columns: columns_of(&self.schema) };
        Item { path: path.into(), what, about: String::new() }
    }

    /// A field of records that follow each other.
    fn taken(&self, field: &NpyField, records: &[u8], budget: &mut Budget) -> Result<ArrayRef, FormatError> {
        let refuse =
            |reason: String| FormatError::new(Format::Npy, Place::Object { path: field.name.clone(), byte: None }, reason, RAISE_LIMIT);
        let width = field.scalar.size().saturating_mul(field.count);
        let rows = records.len() / self.records.size.max(1);
        let each = match field.scalar {
            Scalar::Bytes(size) | Scalar::Unicode(size) => size_of::<String>() + 16 + 2 * size,
            other => 2 * other.size(),
        };
        budget.charge((rows as u64).saturating_mul((each.saturating_mul(field.count)) as u64)).map_err(refuse)?;
        let mut packed = Vec::with_capacity(rows.saturating_mul(width));
        for record in records.chunks_exact(self.records.size.max(1)) {
            packed.extend_from_slice(record.get(field.offset..field.offset.saturating_add(width)).unwrap_or_default());
        }
        let values: ArrayRef = match values_of(field.scalar, field.order, &packed, rows.saturating_mul(field.count)) {
            NpyData::Bool(values) => Arc::new(BooleanArray::from(values)),
            NpyData::I8(values) => Arc::new(Int8Array::from(values)),
            NpyData::U8(values) => Arc::new(UInt8Array::from(values)),
            NpyData::I16(values) => Arc::new(Int16Array::from(values)),
            NpyData::U16(values) => Arc::new(UInt16Array::from(values)),
            NpyData::I32(values) => Arc::new(Int32Array::from(values)),
            NpyData::U32(values) => Arc::new(UInt32Array::from(values)),
            NpyData::I64(values) => Arc::new(Int64Array::from(values)),
            NpyData::U64(values) => Arc::new(UInt64Array::from(values)),
            NpyData::F32(values) => Arc::new(Float32Array::from(values)),
            NpyData::F64(values) => Arc::new(Float64Array::from(values)),
            NpyData::Text(values) => Arc::new(StringArray::from_iter_values(values)),
        };
        match column(field).data_type() {
            DataType::FixedSizeList(item, size) => {
                let list = FixedSizeListArray::try_new_with_length(Arc::clone(item), *size, values, None, rows);
                Ok(Arc::new(list.map_err(|error| refuse(error.to_string()))?))
            }
            _ => Ok(values),
        }
    }
}

/// The column of a field: a list where the field is an array itself.
fn column(field: &NpyField) -> Field {
    let own = match field.scalar {
        Scalar::Bool => DataType::Boolean,
        Scalar::I8 => DataType::Int8,
        Scalar::U8 => DataType::UInt8,
        Scalar::I16 => DataType::Int16,
        Scalar::U16 => DataType::UInt16,
        Scalar::I32 => DataType::Int32,
        Scalar::U32 => DataType::UInt32,
        Scalar::I64 => DataType::Int64,
        Scalar::U64 => DataType::UInt64,
        Scalar::F16 | Scalar::F32 => DataType::Float32,
        Scalar::F64 => DataType::Float64,
        Scalar::Bytes(_) | Scalar::Unicode(_) => DataType::Utf8,
    };
    match i32::try_from(field.count) {
        Ok(size) if field.is_array => {
            Field::new(&field.name, DataType::FixedSizeList(Arc::new(Field::new("item", own, false)), size), false)
        }
        _ => Field::new(&field.name, own, false),
    }
}

impl Rows for RecordRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let schema =
            self.schema.project(columns).map_err(|_| crate::reading::no_column(Format::Npy, columns, self.records.fields.len()))?;
        let (start, length) = cut(&rows, usize::try_from(self.count).unwrap_or(usize::MAX));
        let byte = |row: usize| (self.records.data_start as u64).saturating_add((row as u64).saturating_mul(self.records.size as u64));
        let bytes = part(self.source.as_ref(), Format::Npy, byte(start)..byte(start.saturating_add(length)))?;
        let mut budget = Budget::new(self.limits.expansion(self.source.len()));
        let fields = columns.iter().filter_map(|column| self.records.fields.get(*column));
        let arrays = fields.map(|field| self.taken(field, &bytes, &mut budget)).collect::<Result<Vec<ArrayRef>, FormatError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(length));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)
            .map_err(|error| crate::reading::broken(Format::Npy, error.to_string()))
    }
}
