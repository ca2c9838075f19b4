//! Parts of series that a table's rows refer to (`TimeSeriesReferenceVectorData`): a compound of a first sample, a count, and the series.
//!
//! They are texts, as a slice is written: `/acquisition/raw[500:1000]` is the 500 samples from sample 500 on. A row that refers to nothing (a start or count
//! below 0, or no series) has an empty text.

use super::bad;
use crate::hdf5::datatype::{Class, Datatype};
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use neuroflow_data::formats::{Budget, COPY_AGAIN, FormatError};

const START: &str = "idx_start";
const COUNT: &str = "count";
const SERIES: &str = "timeseries";

/// Whether a compound is such a reference.
pub(super) fn is_reference(datatype: &Datatype) -> bool {
    let Class::Compound(members) = &datatype.class else { return false };
    members.len() == 3
        && members.iter().all(|member| match member.name.as_str() {
            START | COUNT => matches!(member.datatype.class, Class::Integer { .. }),
            SERIES => matches!(member.datatype.class, Class::Reference(_)),
            _ => false,
        })
}

/// References as texts.
pub(super) fn texts(path: &str, values: &ArrayRef, budget: &mut Budget) -> Result<ArrayRef, FormatError> {
    let column = |name: &str, kind: &DataType| {
        let own = values.as_struct_opt().and_then(|all| all.column_by_name(name));
        let own = own.ok_or_else(|| bad(path, format!("a reference to a series has no `{name}`"), COPY_AGAIN))?;
        cast(own, kind).map_err(|error| bad(path, error.to_string(), COPY_AGAIN))
    };
    let (starts, counts) = (column(START, &DataType::Int64)?, column(COUNT, &DataType::Int64)?);
    let series = column(SERIES, &DataType::Utf8)?;
    let parts = starts.as_primitive::<Int64Type>().values().iter().zip(counts.as_primitive::<Int64Type>().values());
    let mut texts = Vec::with_capacity(values.len());
    for ((start, count), series) in parts.zip(series.as_string::<i32>()) {
        let series = series.unwrap_or_default();
        let text = match start.checked_add(*count) {
            Some(end) if *start >= 0 && *count >= 0 && !series.is_empty() => format!("{series}[{start}:{end}]"),
            _ => String::new(),
        };
        budget.charge(24 + text.len() as u64).map_err(|reason| bad(path, reason, "ask for fewer rows"))?;
        texts.push(text);
    }
    Ok(std::sync::Arc::new(StringArray::from(texts)))
}
