//! A portion of a column, which weighs what it holds.
//!
//! Operators that keep rows (sorts, joins) count the memory behind them, and a slice of a column counts as the whole column. So a portion of numbers gets a
//! buffer of its own over the same memory, and a portion of anything else, whose rows are small beside the work on them, is copied.

use arrow::array::{Array, ArrayData, ArrayRef, MutableArrayData, RecordBatch, make_array};
use arrow::buffer::Buffer;
use bytes::Bytes;

use crate::rows::{PORTION, batch_of};

/// The rows of a batch in portions.
pub(crate) fn portions(batch: RecordBatch) -> impl Iterator<Item = RecordBatch> + Send {
    let rows = batch.num_rows();
    let columns: Vec<Portioned> = batch.columns().iter().map(Portioned::of).collect();
    (0..rows).step_by(PORTION).map(move |start| {
        let count = PORTION.min(rows - start);
        let arrays = columns.iter().map(|column| column.portion(start, count)).collect();
        // Columns of the batch's own types and lengths always fit; a slice is an answer too.
        batch_of(batch.schema_ref(), arrays, count).unwrap_or_else(|_| batch.slice(start, count))
    })
}

/// A column of which portions are taken.
#[derive(Debug, Clone)]
pub(crate) struct Portioned {
    array: ArrayRef,
    /// The values' bytes and the bytes of one, for numbers.
    fixed: Option<(Bytes, usize)>,
}

struct Owner(Buffer);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Portioned {
    pub(crate) fn of(array: &ArrayRef) -> Portioned {
        let fixed = array.data_type().primitive_width().and_then(|width| {
            let data = array.to_data();
            let values = data.buffers().first()?;
            let (start, length) = (data.offset().checked_mul(width)?, data.len().checked_mul(width)?);
            let fits = start.checked_add(length)? <= values.len();
            fits.then(|| (Bytes::from_owner(Owner(values.slice_with_length(start, length))), width))
        });
        Portioned { array: array.clone(), fixed }
    }

    /// `count` values from `start` on, both within the column.
    pub(crate) fn portion(&self, start: usize, count: usize) -> ArrayRef {
        if count == self.array.len() {
            return self.array.clone();
        }
        match &self.fixed {
            Some((bytes, width)) => {
                let values = Buffer::from(bytes.slice(start * width..(start + count) * width));
                let nulls = self.array.nulls().map(|nulls| nulls.slice(start, count));
                let data = ArrayData::builder(self.array.data_type().clone()).len(count).nulls(nulls).add_buffer(values);
                data.build().map_or_else(|_| self.array.slice(start, count), make_array)
            }
            None => {
                let data = self.array.to_data();
                let mut copy = MutableArrayData::new(vec![&data], false, count);
                match copy.try_extend(0, start, start + count) {
                    Ok(()) => make_array(copy.freeze()),
                    Err(_) => self.array.slice(start, count),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    #[test]
    fn portions_share_memory_and_weigh_what_they_hold() {
        let rows = 3 * PORTION + 5;
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64)));
        let gaps: ArrayRef = Arc::new(Int32Array::from_iter((0..rows as i32).map(|row| (row % 3 > 0).then_some(row))));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("row {row}"))));
        let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
        let schema = Schema::new(vec![field("numbers", &numbers), field("gaps", &gaps), field("texts", &texts)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![numbers, gaps, texts]).unwrap().slice(3, rows - 3);
        let parts: Vec<RecordBatch> = portions(batch.clone()).collect();
        assert_eq!(arrow::compute::concat_batches(&batch.schema(), &parts).unwrap(), batch);
        assert!(parts.iter().all(|part| part.get_array_memory_size() < 64 * PORTION), "{}", parts[0].get_array_memory_size());
        let address = |array: &dyn Array| array.to_data().buffers()[0].as_ptr() as usize;
        assert_eq!(address(parts[1].column(0)), address(parts[0].column(0)) + PORTION * 8, "numbers are shared");
    }
}
