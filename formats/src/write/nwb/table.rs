//! Tables: `DynamicTable` of the HDMF common schema, and the types that are made of it.

use super::{CORE, HDMF, NwbWriter, bad};
use crate::write::hdf5::{Data, Element, Storage};
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use neuroflow_data::Table;
use neuroflow_data::formats::FormatError;
use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::sync::Arc;

/// A column to be written.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) values: ArrayRef,
    /// The shape of a row, where rows are arrays of more than one axis.
    shape: Vec<u64>,
}

impl Column {
    /// A column under a name, with a description.
    pub(super) fn new(name: impl Into<String>, about: impl Into<String>, values: ArrayRef) -> Column {
        Column { name: name.into(), about: about.into(), values, shape: Vec::new() }
    }

    /// The same, with the shape that a field's extension type `arrow.fixed_shape_tensor` gives to its rows.
    pub(super) fn shaped(mut self, field: &Field) -> Column {
        let DataType::FixedSizeList(_, size) = field.data_type() else { return self };
        let told = field.metadata().get("ARROW:extension:metadata").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let shape: Option<Vec<u64>> = told.and_then(|told| serde_json::from_value(told.get("shape")?.clone()).ok());
        // Columns have at most four axes, the rows among them: rows of more stay flat.
        let fits = |shape: &Vec<u64>| {
            shape.len() < 4 && shape.iter().try_fold(1u64, |product, &length| product.checked_mul(length)) == u64::try_from(*size).ok()
        };
        self.shape = shape.filter(fits).unwrap_or_default();
        self
    }
}

/// A sort of table: its type and the names that mean something of their own in it.
pub(super) struct Sort {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    pub(super) reserved: &'static [&'static str],
}

/// Rows and named columns.
pub(super) const DYNAMIC: Sort = Sort { namespace: HDMF, name: "DynamicTable", reserved: &[] };
/// Intervals of time.
pub(super) const INTERVALS: Sort =
    Sort { namespace: CORE, name: "TimeIntervals", reserved: &["start_time", "stop_time", "tags", "timeseries", "annotations"] };
/// Sorted units.
pub(super) const UNITS: Sort = Sort {
    namespace: CORE,
    name: "Units",
    reserved: &["spike_times", "obs_intervals", "electrodes", "electrode_group", "waveform_mean", "waveform_sd", "waveforms", "resolution"],
};

/// Names that every table keeps for itself.
const OWN: [&str; 9] = ["id", "name", "description", "colnames", "columns", "namespace", "neurodata_type", "object_id", "parent"];

/// Columns of a record batch, described by their fields: under `description` in a field's metadata, or by their name.
pub(super) fn columns_of(batch: &RecordBatch) -> Vec<Column> {
    let schema = batch.schema();
    let pairs = schema.fields().iter().zip(batch.columns());
    pairs.map(|(field, values)| Column::new(field.name(), about_field(field), Arc::clone(values)).shaped(field)).collect()
}

fn about_field(field: &Field) -> String {
    match (field.metadata().get("description"), field.metadata().get("unit")) {
        (Some(about), Some(unit)) if !about.contains(unit.as_str()) => format!("{about}, in {unit}"),
        (Some(about), _) => about.clone(),
        (None, Some(unit)) => format!("column `{}`, in {unit}", field.name()),
        (None, None) => format!("column `{}`", field.name()),
    }
}

impl<W: Write + Seek> NwbWriter<W> {
    /// Writes a table. `first` are the sort's own columns; `further` are renamed where their names are not free.
    pub(super) fn dynamic_table(
        &mut self,
        path: &str,
        sort: &Sort,
        about: &str,
        rows: usize,
        first: Vec<Column>,
        further: Vec<Column>,
    ) -> Result<(), FormatError> {
        let mut names: Vec<String> = first.iter().map(|column| column.name.clone()).collect();
        let mut taken: BTreeSet<String> = OWN.iter().chain(sort.reserved).map(|&name| name.to_owned()).collect();
        taken.extend(names.iter().cloned());
        self.table_columns(path, sort, about, rows, &first)?;
        for mut column in further {
            let free = free_name(&column.name, &taken, depth(column.values.data_type()));
            if free != column.name {
                column.about = format!("{} (named `{}`)", column.about, column.name);
                column.name = free;
            }
            self.column(path, &column)?;
            let mut name = column.name.clone();
            names.push(column.name);
            for _ in 0..depth(column.values.data_type()) {
                taken.insert(name.clone());
                name.push_str("_index");
            }
            taken.insert(name);
        }
        self.attribute(path, "colnames", &Data::Texts(names.iter().map(String::as_str).collect()), &[names.len() as u64])
    }

    /// Writes a table's group, its ids and columns, but not yet the names of all columns.
    pub(super) fn table_columns(
        &mut self,
        path: &str,
        sort: &Sort,
        about: &str,
        rows: usize,
        columns: &[Column],
    ) -> Result<(), FormatError> {
        self.typed_group(path, sort.namespace, sort.name)?;
        self.text_attribute(path, "description", about)?;
        let ids: Vec<i64> = (0..rows as i64).collect();
        let at = format!("{path}/id");
        self.dataset(&at, &Data::I64(&ids), &[rows as u64])?;
        self.typed(&at, HDMF, "ElementIdentifiers")?;
        columns.iter().try_for_each(|column| self.column(path, column))
    }

    /// Writes a column, with an index for each level of lists.
    fn column(&mut self, table: &str, column: &Column) -> Result<(), FormatError> {
        let path = format!("{table}/{}", column.name);
        self.vector(&path, &column.about, &column.values, &column.shape)?;
        Ok(())
    }

    /// Writes values, and gives the path of what stands for the rows: the values, or the last index.
    fn vector(&mut self, path: &str, about: &str, values: &ArrayRef, shape: &[u64]) -> Result<String, FormatError> {
        let list = match values.data_type() {
            DataType::List(_) => Some(cast(values, &large_list(values.data_type())).map_err(|error| refused(path, &error))?),
            DataType::LargeList(_) => Some(Arc::clone(values)),
            _ => None,
        };
        let Some(list) = list else {
            self.values(path, values, shape)?;
            self.typed(path, HDMF, "VectorData")?;
            self.text_attribute(path, "description", about)?;
            return Ok(path.into());
        };
        let list = list.as_list::<i64>();
        let mut ends = Vec::with_capacity(list.len());
        let mut end = 0u64;
        for row in 0..list.len() {
            end += if list.is_null(row) { 0 } else { list.value_length(row) as u64 };
            ends.push(end);
        }
        let inner = if list.null_count() == 0 {
            let first = list.offsets().first().copied().unwrap_or(0) as usize;
            list.values().slice(first, end as usize)
        } else {
            // What stands in a gap is left out.
            let parts: Vec<ArrayRef> = (0..list.len()).filter(|&row| list.is_valid(row)).map(|row| list.value(row)).collect();
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            if parts.is_empty() { list.values().slice(0, 0) } else { concat(&parts).map_err(|error| refused(path, &error))? }
        };
        let target = self.vector(path, about, &inner, &[])?;
        let index = format!("{target}_index");
        self.dataset(&index, &Data::U64(&ends), &[ends.len() as u64])?;
        self.typed(&index, HDMF, "VectorIndex")?;
        let name = target.rsplit('/').next().unwrap_or_default();
        self.text_attribute(&index, "description", &format!("where each row's values end in `{name}`"))?;
        self.attribute(&index, "target", &Data::References(vec![&target]), &[])?;
        Ok(index)
    }

    /// Writes the values of an array; lists of fixed size are further axes.
    fn values(&mut self, path: &str, values: &ArrayRef, row: &[u64]) -> Result<(), FormatError> {
        let mut shape = vec![values.len() as u64];
        let mut flat = Arc::clone(values);
        while let DataType::FixedSizeList(..) = flat.data_type() {
            flat = without_gaps(path, flat.as_fixed_size_list(), &mut shape)?;
        }
        if let ([rows, _], [_, ..]) = (shape.as_slice(), row) {
            shape = std::iter::once(*rows).chain(row.iter().copied()).collect();
        }
        let gaps = flat.null_count() > 0;
        let as_type = |wanted: &DataType| cast(&flat, wanted).map_err(|error| refused(path, &error));
        macro_rules! numbers {
            ($kind:ty, $data:ident) => {{
                let values = flat.as_primitive::<$kind>();
                self.dataset(path, &Data::$data(values.values()), &shape)
            }};
        }
        match flat.data_type() {
            DataType::Float32 if !gaps => numbers!(Float32Type, F32),
            DataType::Float64 if !gaps => numbers!(Float64Type, F64),
            DataType::Int8 if !gaps => numbers!(Int8Type, I8),
            DataType::Int16 if !gaps => numbers!(Int16Type, I16),
            DataType::Int32 if !gaps => numbers!(Int32Type, I32),
            DataType::Int64 if !gaps => numbers!(Int64Type, I64),
            DataType::UInt8 if !gaps => numbers!(UInt8Type, U8),
            DataType::UInt16 if !gaps => numbers!(UInt16Type, U16),
            DataType::UInt32 if !gaps => numbers!(UInt32Type, U32),
            DataType::UInt64 if !gaps => numbers!(UInt64Type, U64),
            DataType::Boolean if !gaps => {
                let truths: Vec<bool> = flat.as_boolean().values().iter().collect();
                self.dataset(path, &Data::Bools(&truths), &shape)
            }
            // HDF5 has no gaps: numbers with gaps are floating point with NaN.
            kind if kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null) => {
                if kind.is_integer() && !is_exact(&flat) {
                    let reason = "integers beyond 2^53 stand beside gaps, and HDF5 has gaps only as NaN of floating-point numbers";
                    return Err(bad(path, reason, "fill the gaps, or write the column as text"));
                }
                let numbers = as_type(&DataType::Float64)?;
                let numbers: Vec<f64> = numbers.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN)).collect();
                self.dataset(path, &Data::F64(&numbers), &shape)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                let texts = as_type(&DataType::LargeUtf8)?;
                let texts = texts.as_string::<i64>().iter().map(Option::unwrap_or_default).collect();
                self.dataset(path, &Data::Texts(texts), &shape)
            }
            // Dates, structs and whatever else: as text, structs as JSON.
            _ => {
                let batch = RecordBatch::try_from_iter([("x", flat)]).map_err(|error| refused(path, &error))?;
                let texts = Table::from_batch(batch).texts("x").map_err(|error| refused(path, &error))?;
                self.dataset(path, &Data::Texts(texts.iter().map(String::as_str).collect()), &shape)
            }
        }
    }

    /// Writes a dataset the way its size asks for.
    pub(super) fn dataset(&mut self, path: &str, data: &Data<'_>, shape: &[u64]) -> Result<(), FormatError> {
        let element = data.element();
        let storage = if element == Element::Reference { Storage::plain() } else { self.storage(shape, element) };
        self.file.dataset(path, data, shape, &storage).map_err(super::in_nwb)
    }
}

/// The values inside a list of fixed size, whose length becomes an axis. A row that is a gap has no values to stand for it.
fn without_gaps(path: &str, list: &FixedSizeListArray, shape: &mut Vec<u64>) -> Result<ArrayRef, FormatError> {
    if list.null_count() > 0 {
        return Err(bad(path, "rows of an array are missing", "leave those rows out"));
    }
    let size = list.value_length().max(0) as usize;
    shape.push(size as u64);
    let start = list.value_offset(0).max(0) as usize;
    Ok(list.values().slice(start, list.len() * size))
}

/// Whether all integers stand in a double without rounding.
fn is_exact(values: &ArrayRef) -> bool {
    const MOST: u64 = 1 << 53;
    match values.data_type() {
        DataType::Int64 => values.as_primitive::<Int64Type>().iter().flatten().all(|value| value.unsigned_abs() <= MOST),
        DataType::UInt64 => values.as_primitive::<UInt64Type>().iter().flatten().all(|value| value <= MOST),
        _ => true,
    }
}

fn refused(path: &str, error: &dyn std::fmt::Display) -> FormatError {
    bad(path, format!("the column can't be turned into what HDF5 has: {error}"), "choose other columns")
}

fn large_list(of: &DataType) -> DataType {
    match of {
        DataType::List(field) => DataType::LargeList(Arc::clone(field)),
        other => other.clone(),
    }
}

/// How many lists stand in each other.
fn depth(of: &DataType) -> usize {
    match of {
        DataType::List(field) | DataType::LargeList(field) => 1 + depth(field.data_type()),
        _ => 0,
    }
}

/// A name near `wanted` that HDF5 and HDMF take, and that nothing in `taken` has, indices included.
fn free_name(wanted: &str, taken: &BTreeSet<String>, depth: usize) -> String {
    let clean = super::clean(wanted);
    let is_free = |name: &str| {
        let mut name = name.to_owned();
        for _ in 0..depth {
            if taken.contains(&name) {
                return false;
            }
            name.push_str("_index");
        }
        !taken.contains(&name)
    };
    let mut name = clean.clone();
    let mut number = 2;
    while !is_free(&name) {
        name = format!("{clean}_{number}");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_free_and_without_what_hdf5_and_hdmf_refuse() {
        let taken: BTreeSet<String> = ["id", "a", "b_index"].map(str::to_owned).into();
        let free = |name: &str, depth| free_name(name, &taken, depth);
        assert_eq!(
            (free("a", 0), free("a/b:c", 0), free("", 0), free("id", 0)),
            ("a_2".into(), "a_b_c".into(), "unnamed".into(), "id_2".into())
        );
        assert_eq!((free("b", 0), free("b", 1)), ("b".into(), "b_2".into()));
    }
}
