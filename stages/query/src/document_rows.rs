//! Tables in files of the field: units, trials, samples of a recording. Of each, a query reads the columns and the rows that it needs.

use crate::portion::portions;
use crate::rows::{Portions, Rows, Wanted, batch_of, unique_names};
use crate::unreadable::damaged;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use neuroflow_formats::{Document, FormatError, Place, short_names};
use neuroflow_stage::StageError;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Rows that are read first; each further portion is four times as long, so that a `limit` reads little and a whole table is read in long strides.
const FIRST: u64 = 1024;

/// Numbers that are read at once, at most.
const MOST_VALUES: u64 = 2 << 20;

/// Parts that a condition on times may leave out, at most: finding them costs work of its own.
const PARTS: u64 = 1024;

/// A table of a document by one of its names.
pub(crate) struct DocumentTable {
    pub name: String,
    /// Whether the name leaves out the folders above it, which it can in this document.
    pub is_short: bool,
    pub rows: Arc<dyn Rows>,
}

/// The tables of a document, by name: `slot.path` each, `slot.last` where the last part of a path is that of one alone, and `slot` for the only one.
///
/// # Errors
/// When there is none, or one can't be read.
pub(crate) fn document_tables(document: &Arc<dyn Document>, slot: &str) -> Result<Vec<DocumentTable>, StageError> {
    let mut tables = Vec::new();
    let paths = table_paths(document.as_ref());
    let short = short_names(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    for path in &paths {
        let rows = document.rows(path).map_err(|error| StageError::refused(error.to_string()))?;
        let rows: Arc<dyn Rows> = Arc::new(DocumentRows::new(rows));
        let last = short.iter().find(|(last, whole)| *whole == path && !paths.iter().any(|own| own == *last)).map(|(last, _)| *last);
        tables.extend(last.map(|last| DocumentTable { name: format!("{slot}.{last}"), is_short: true, rows: Arc::clone(&rows) }));
        tables.push(DocumentTable { name: format!("{slot}.{path}"), is_short: false, rows });
    }
    match tables.as_slice() {
        [] => {
            let none =
                FormatError::new(document.contents().format, Place::File, "there is no table in it", "`neuroflow inspect` shows what is");
            Err(StageError::refused(none.to_string()))
        }
        [.., only] if paths.len() == 1 => {
            let only = DocumentTable { name: slot.to_owned(), is_short: false, rows: Arc::clone(&only.rows) };
            tables.push(only);
            Ok(tables)
        }
        _ => Ok(tables),
    }
}

/// The paths of everything in a document that has rows.
pub fn table_paths(document: &dyn Document) -> Vec<String> {
    document.contents().items.iter().filter(|item| item.what.has_rows()).map(|item| item.path.clone()).collect()
}

/// Rows in a file.
#[derive(Debug)]
pub(crate) struct DocumentRows {
    rows: Arc<dyn neuroflow_formats::Rows>,
    schema: SchemaRef,
}

impl DocumentRows {
    pub(crate) fn new(rows: Arc<dyn neuroflow_formats::Rows>) -> DocumentRows {
        let schema = unique_names(&rows.schema());
        DocumentRows { rows, schema }
    }

    /// The stretches of rows in which one may hold to all conditions.
    fn stretches(&self, wanted: &Wanted) -> Vec<Range<u64>> {
        let count = self.rows.count();
        let whole = || std::iter::once(0..count).collect::<Vec<_>>();
        if wanted.conditions.is_empty() || count == 0 {
            return whole();
        }
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.schema));
        let Ok(predicate) = builder.try_build(conjunction(wanted.conditions.iter().cloned())) else { return whole() };
        self.narrowed(&predicate, whole(), 0)
    }

    /// Parts of some rows that a condition does not leave out, looked at in two rounds: a thousand parts, and a thousand parts of each that is left.
    fn narrowed(&self, predicate: &PruningPredicate, rows: Vec<Range<u64>>, round: usize) -> Vec<Range<u64>> {
        let mut kept: Vec<Range<u64>> = Vec::new();
        for stretch in rows {
            let stride = (stretch.end - stretch.start).div_ceil(PARTS).max(1);
            let parts: Vec<Range<u64>> =
                (stretch.start..stretch.end).step_by(stride as usize).map(|start| start..(start + stride).min(stretch.end)).collect();
            let said = Bounds { rows: self, parts: &parts };
            let Ok(keep) = predicate.prune(&said) else { return vec![stretch] };
            for (part, _) in parts.iter().zip(keep).filter(|(_, keep)| *keep) {
                match kept.last_mut() {
                    Some(last) if last.end == part.start => last.end = part.end,
                    _ => kept.push(part.clone()),
                }
            }
            if kept.len() > PARTS as usize {
                return kept;
            }
        }
        let left: u64 = kept.iter().map(|stretch| stretch.end - stretch.start).sum();
        let is_worth_it = round == 0 && left > FIRST && kept.len() <= 4;
        if is_worth_it { self.narrowed(predicate, kept, round + 1) } else { kept }
    }
}

impl Rows for DocumentRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn count(&self) -> Option<usize> {
        usize::try_from(self.rows.count()).ok()
    }

    fn narrows(&self) -> bool {
        true
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let schema: SchemaRef = Arc::new(self.schema.project(&wanted.columns)?);
        let (rows, columns) = (Arc::clone(&self.rows), wanted.columns.clone());
        let most = (MOST_VALUES / columns.len().max(1) as u64).max(FIRST);
        let mut length = FIRST;
        let mut stretches = self.stretches(wanted).into_iter();
        let mut left = 0..0;
        let batches = std::iter::from_fn(move || {
            while left.is_empty() {
                left = stretches.next()?;
            }
            let part = left.start..left.end.min(left.start.saturating_add(length));
            left.start = part.end;
            length = (length * 4).min(most);
            let count = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
            let batch = rows.read(&columns, part).map_err(damaged).and_then(|batch: RecordBatch| {
                if batch.num_rows() != count {
                    let message = format!("{} rows came where {count} were asked for", batch.num_rows());
                    return Err(DataFusionError::Internal(message));
                }
                Ok(batch_of(&schema, batch.columns().to_vec(), count)?)
            });
            // What is damaged is told once, and nothing comes after it.
            if batch.is_err() {
                left = 0..0;
                stretches = Vec::new().into_iter();
            }
            Some(batch)
        });
        Ok(Box::new(batches.flat_map(|batch| -> Portions {
            match batch {
                Ok(batch) => Box::new(portions(batch).map(Ok)),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        })))
    }
}

/// What is known of the values in parts of the rows without reading them.
struct Bounds<'a> {
    rows: &'a DocumentRows,
    parts: &'a [Range<u64>],
}

impl Bounds<'_> {
    fn values(&self, column: &Column, of: fn((f64, f64)) -> f64) -> Option<ArrayRef> {
        let (position, field) = self.rows.schema.column_with_name(column.name())?;
        let values: Float64Array = self.parts.iter().map(|part| self.rows.rows.bounds(position, part.clone()).map(of)).collect();
        cast(&(Arc::new(values) as ArrayRef), field.data_type()).ok()
    }
}

impl PruningStatistics for Bounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |(least, _)| least)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |(_, greatest)| greatest)
    }

    fn num_containers(&self) -> usize {
        self.parts.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.parts.iter().map(|part| part.end - part.start))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Mutex;

    /// Ten million samples at 1 kHz with a time, which note what was read of them.
    #[derive(Debug)]
    struct Noted {
        count: u64,
        read: Mutex<Vec<(Vec<usize>, Range<u64>)>>,
    }

    impl neuroflow_formats::Rows for Noted {
        fn schema(&self) -> SchemaRef {
            Arc::new(Schema::new(vec![Field::new("time", DataType::Float64, false), Field::new("C3", DataType::Float64, false)]))
        }

        fn count(&self) -> u64 {
            self.count
        }

        fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
            self.read.lock().unwrap().push((columns.to_vec(), rows.clone()));
            let column = |column: &usize| -> ArrayRef {
                let scale = if *column == 0 { 1e-3 } else { 1.0 };
                Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| row as f64 * scale)))
            };
            let schema = Arc::new(self.schema().project(columns).unwrap());
            Ok(batch_of(&schema, columns.iter().map(column).collect(), (rows.end - rows.start) as usize).unwrap())
        }

        fn bounds(&self, column: usize, rows: Range<u64>) -> Option<(f64, f64)> {
            (column == 0).then(|| (rows.start as f64 * 1e-3, (rows.end - 1) as f64 * 1e-3))
        }
    }

    fn asked(query: &str) -> (RecordBatch, Vec<(Vec<usize>, Range<u64>)>) {
        let noted = Arc::new(Noted { count: 10_000_000, read: Mutex::default() });
        let tables = [("eeg".to_owned(), Arc::clone(&noted) as Arc<dyn neuroflow_formats::Rows>)].into();
        let answer = crate::ask(tables, query, &neuroflow_stage::Context::quiet(0)).unwrap();
        let read = noted.read.lock().unwrap().clone();
        (answer.batch().clone(), read)
    }

    fn rows_read(read: &[(Vec<usize>, Range<u64>)]) -> u64 {
        read.iter().map(|(_, rows)| rows.end - rows.start).sum()
    }

    #[test]
    fn a_stretch_of_time_reads_only_that() {
        let (answer, read) = asked("select count(*) as n, max(C3) as last from eeg where time >= 5000 and time < 5002.5");
        assert_eq!(answer.num_rows(), 1);
        assert_eq!(neuroflow_data::columns::numbers(&answer, "n").unwrap(), [2500.0]);
        assert_eq!(neuroflow_data::columns::numbers(&answer, "last").unwrap(), [5_002_499.0]);
        assert!(rows_read(&read) < 3000, "{read:?}");
    }

    #[test]
    fn a_limit_reads_little_and_a_column_alone() {
        let (answer, read) = asked("select C3 from eeg where C3 >= 0 limit 5");
        assert_eq!(answer.num_rows(), 5);
        assert!(read.iter().all(|(columns, _)| columns == &[1]), "{read:?}");
        assert!(rows_read(&read) < 200_000, "{read:?}");
    }

    #[test]
    fn all_rows_come_in_their_order() {
        let (answer, read) = asked("select sum(C3) as sum, count(*) as n from eeg");
        assert_eq!(neuroflow_data::columns::numbers(&answer, "n").unwrap(), [1e7]);
        assert_eq!(neuroflow_data::columns::numbers(&answer, "sum").unwrap(), [(0..10_000_000u64).sum::<u64>() as f64]);
        assert_eq!(rows_read(&read), 10_000_000);
    }
}
