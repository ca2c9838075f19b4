//! Tensors as tables: one row for each value, one column for each axis, made while a query reads.
//!
//! A value at positions `(i, j, …)` of the axes becomes a row with the axes' coordinates (or positions, where an axis is only counted), their properties, the
//! columns of the first axis (a trial's direction), and the value. Nothing is unfolded ahead: a portion of rows is looked up when it is asked for, and a
//! condition on a single axis (`unit = 'u7'`, `bin < 0.5`) leaves out positions before any row is made.

use crate::portion::Portioned;
use crate::rows::{PORTION, Portions, Rows, Wanted, batch_of};
use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use neuroflow_data::{Axis, Coordinates};
use std::sync::Arc;

/// A column: at positions `p` of the axes it has the value `array[start + Σ p · step]`.
#[derive(Debug, Clone)]
struct Column {
    array: ArrayRef,
    start: usize,
    steps: Vec<usize>,
}

/// A tensor whose values, coordinates and further columns are looked up by the positions on its axes.
#[derive(Debug)]
pub(crate) struct LongForm {
    shape: Vec<usize>,
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl LongForm {
    /// A table with the coordinates and properties of the axes, which must be as long as they say.
    pub(crate) fn new(axes: &[Axis]) -> LongForm {
        let mut long = LongForm { shape: axes.iter().map(Axis::len).collect(), columns: Vec::new(), schema: Arc::new(Schema::empty()) };
        for (position, axis) in axes.iter().enumerate() {
            let properties = axis.properties.iter().map(|(name, values)| (name.as_str(), values));
            for (name, coordinates) in [(axis.name.as_str(), &axis.coordinates)].into_iter().chain(properties) {
                long.add_of_axis(name, position, coordinates_of(coordinates));
            }
        }
        long
    }

    /// Adds a column with one value for each position of an axis.
    pub(crate) fn add_of_axis(&mut self, name: &str, axis: usize, array: ArrayRef) {
        let steps = (0..self.shape.len()).map(|other| usize::from(other == axis)).collect();
        self.add(name, Column { array, start: 0, steps });
    }

    /// Adds the values of a row-major tensor over all axes.
    pub(crate) fn add_values(&mut self, name: &str, values: ScalarBuffer<f64>) {
        let mut steps = vec![1; self.shape.len()];
        for axis in (0..self.shape.len().saturating_sub(1)).rev() {
            steps[axis] = steps[axis + 1] * self.shape[axis + 1];
        }
        self.add(name, Column { array: Arc::new(Float64Array::new(values, None)), start: 0, steps });
    }

    /// Adds values that stand at `start + Σ position · step` of a buffer, `steps` having one number for each axis.
    pub(crate) fn add_strided(&mut self, name: &str, values: ScalarBuffer<f64>, start: usize, steps: Vec<usize>) {
        self.add(name, Column { array: Arc::new(Float64Array::new(values, None)), start, steps });
    }

    fn add(&mut self, name: &str, column: Column) {
        let mut fields: Vec<Field> = self.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        let name = crate::rows::free_name(name, &|name| self.schema.index_of(name).is_ok());
        fields.push(Field::new(name, column.array.data_type().clone(), column.array.null_count() > 0));
        self.schema = Arc::new(Schema::new(fields));
        self.columns.push(column);
    }

    /// The positions of each axis that conditions on that axis alone leave; none for an axis that keeps all.
    fn kept(&self, conditions: &[Arc<dyn PhysicalExpr>]) -> Vec<Option<Vec<usize>>> {
        let mut kept: Vec<Option<Vec<usize>>> = vec![None; self.shape.len()];
        for condition in conditions {
            let Some((axis, fits)) = self.fits(condition) else { continue };
            let before = kept[axis].take().unwrap_or_else(|| (0..self.shape[axis]).collect());
            let left = before.into_iter().filter(|&position| fits.is_valid(position) && fits.value(position));
            kept[axis] = Some(left.collect());
        }
        kept
    }

    /// The axis that a condition is about, and at which positions it holds; none when it is about several, or can't be asked here.
    fn fits(&self, condition: &Arc<dyn PhysicalExpr>) -> Option<(usize, BooleanArray)> {
        let mut names: Vec<usize> = collect_columns(condition).iter().map(datafusion::physical_expr::expressions::Column::index).collect();
        names.sort_unstable();
        let axes_of = |column: &Column| -> Vec<usize> { (0..self.shape.len()).filter(|&axis| column.steps[axis] != 0).collect() };
        let axis = match axes_of(self.columns.get(*names.first()?)?).as_slice() {
            [axis] => *axis,
            _ => return None,
        };
        let mut arrays = Vec::new();
        for name in &names {
            let column = self.columns.get(*name)?;
            if axes_of(column) != [axis] {
                return None;
            }
            let places = UInt64Array::from_iter_values((0..self.shape[axis]).map(|p| (column.start + p * column.steps[axis]) as u64));
            arrays.push(take(column.array.as_ref(), &places, None).ok()?);
        }
        let schema: SchemaRef = Arc::new(self.schema.project(&names).ok()?);
        let condition = reassign_expr_columns(Arc::clone(condition), &schema).ok()?;
        let batch = batch_of(&schema, arrays, self.shape[axis]).ok()?;
        // A condition that fails here (a division by zero) is asked again of each row, and fails there if it must.
        let answer = condition.evaluate(&batch).ok()?.into_array(self.shape[axis]).ok()?;
        Some((axis, answer.as_any().downcast_ref::<BooleanArray>()?.clone()))
    }
}

impl Rows for LongForm {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, length| product.checked_mul(*length))
    }

    fn narrows(&self) -> bool {
        true
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let schema: SchemaRef = Arc::new(self.schema.project(&wanted.columns)?);
        let kept = self.kept(&wanted.conditions);
        let shape: Vec<usize> = kept.iter().zip(&self.shape).map(|(kept, length)| kept.as_ref().map_or(*length, Vec::len)).collect();
        let total = shape.iter().product::<usize>();
        // With nothing left out, the values of a portion lie side by side and are shared, not copied.
        let whole = kept.iter().all(Option::is_none);
        let shared =
            |column: &Column| (whole && is_row_major(column, &self.shape)).then(|| Portioned::of(&column.array.slice(column.start, total)));
        let columns: Vec<(Column, Option<Portioned>)> =
            wanted.columns.iter().filter_map(|&column| self.columns.get(column)).map(|column| (column.clone(), shared(column))).collect();
        let positions = Positions { shape, kept };
        Ok(Box::new((0..total).step_by(PORTION).map(move |start| {
            let rows = PORTION.min(total - start);
            let arrays = columns.iter().map(|(column, shared)| match shared {
                Some(shared) => Ok(shared.portion(start, rows)),
                None => take(column.array.as_ref(), &positions.places(column, start, rows), None),
            });
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            Ok(batch_of(&schema, arrays, rows)?)
        })))
    }
}

/// The positions that are left on each axis.
struct Positions {
    shape: Vec<usize>,
    kept: Vec<Option<Vec<usize>>>,
}

impl Positions {
    /// Where in its array a column has the values of some rows, counted in row-major order over the positions that are left.
    fn places(&self, column: &Column, start: usize, rows: usize) -> UInt64Array {
        let axes = self.shape.len();
        let offset = |axis: usize, count: usize| {
            let position = self.kept[axis].as_ref().map_or(count, |kept| kept[count]);
            position * column.steps[axis]
        };
        let mut counts = vec![0; axes];
        let mut rest = start;
        for axis in (0..axes).rev() {
            counts[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
        }
        let mut offsets: Vec<usize> = (0..axes).map(|axis| offset(axis, counts[axis])).collect();
        let mut places = Vec::with_capacity(rows);
        for _ in 0..rows {
            places.push((column.start + offsets.iter().sum::<usize>()) as u64);
            for axis in (0..axes).rev() {
                counts[axis] += 1;
                if counts[axis] < self.shape[axis] {
                    offsets[axis] = offset(axis, counts[axis]);
                    break;
                }
                counts[axis] = 0;
                offsets[axis] = offset(axis, 0);
            }
        }
        UInt64Array::from(places)
    }
}

fn is_row_major(column: &Column, shape: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(&column.steps).rev().all(|(length, step)| {
        let fits = *step == expected;
        expected *= length;
        fits
    })
}

/// The coordinates of an axis as a column: numbers, labels, or positions from 0.
fn coordinates_of(coordinates: &Coordinates) -> ArrayRef {
    match coordinates {
        Coordinates::Count(length) => Arc::new(Int64Array::from_iter_values(0..i64::try_from(*length).unwrap_or(i64::MAX))),
        Coordinates::Numbers(numbers) => Arc::new(Float64Array::from(numbers.clone())),
        Coordinates::Labels(labels) => Arc::new(StringArray::from_iter_values(labels)),
    }
}

/// Whether a column is a tensor's, which has no place in a table of plain columns.
pub(crate) fn is_tensor(field: &Field) -> bool {
    matches!(field.data_type(), DataType::FixedSizeList(..))
        && field.metadata().get("ARROW:extension:name").is_some_and(|name| name == "arrow.fixed_shape_tensor")
}
