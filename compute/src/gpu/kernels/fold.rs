//! Sums and maxima, in an order that the sizes fix.

use bytemuck::{Pod, Zeroable};

use super::super::{Buffer, Gpu, GpuError, Recording};
use super::product::{check, one};
use super::tile::fill;

/// Elements that one workgroup folds when a whole array is folded.
const PART: usize = 1 << 14;

/// Columns up to which one thread folds a row.
const FEW_COLUMNS: usize = 64;

/// Rows that one thread adds when columns are summed.
const ROWS: usize = 256;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters([u32; 4]);

/// What is folded to one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The sum.
    Sum,
    /// The sum of the squares.
    SumOfSquares,
    /// The largest; NaN when there is one.
    Largest,
}

impl Fold {
    /// In WGSL: the function of two values, the value to start with, and what is taken of an element.
    fn words(self) -> [&'static str; 3] {
        match self {
            Fold::Sum => ["added", "0.0", "x[place]"],
            Fold::SumOfSquares => ["added", "0.0", "x[place] * x[place]"],
            Fold::Largest => ["larger", "x[first]", "x[place]"],
        }
    }
}

/// How the threads of a workgroup combine their values: the functions in WGSL, what the entry point gets for them, and what it hands on.
pub(crate) struct Threads {
    pub(crate) builtins: &'static str,
    pub(crate) lane: &'static str,
    subgroups: bool,
}

impl Threads {
    pub(crate) fn of(gpu: &Gpu) -> Threads {
        if gpu.abilities().subgroups {
            let builtins =
                "@builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32,";
            Threads { builtins, lane: "lane, subgroup, subgroups", subgroups: true }
        } else {
            Threads { builtins: "", lane: "thread", subgroups: false }
        }
    }

    /// The function `of_all` for sums (`added`) or maxima (`larger`).
    pub(crate) fn combine(&self, combine: &str) -> String {
        let within = match combine {
            "added" => "let inside = subgroupAdd(value);",
            // The sum of a subgroup with a NaN is a NaN.
            _ => "let inside = select(subgroupMax(value), subgroupAdd(value), subgroupAny(is_nan(value)));",
        };
        let template = if self.subgroups { include_str!("subgroups.wgsl") } else { include_str!("threads.wgsl") };
        fill(template, &[("combine", combine.to_owned()), ("within", within.to_owned())])
    }
}

impl Recording<'_> {
    /// Folds each row of a row-major matrix to one number.
    ///
    /// # Errors
    /// When sizes don't fit, or the maximum of nothing is asked for.
    pub fn fold_rows(&mut self, x: &Buffer, rows: usize, columns: usize, fold: Fold) -> Result<Buffer, GpuError> {
        check("folding rows", x.len(), &[rows, columns])?;
        if rows > 0 && columns == 0 && fold == Fold::Largest {
            return Err(GpuError::shape("maximum", "rows without elements have none"));
        }
        if columns <= FEW_COLUMNS { self.fold_short(x, rows, columns, fold) } else { self.fold(x, rows, columns, fold) }
    }

    fn fold_short(&mut self, x: &Buffer, rows: usize, columns: usize, fold: Fold) -> Result<Buffer, GpuError> {
        let gpu = self.gpu();
        let source = || {
            let [combine, start, element] = fold.words().map(str::to_owned);
            let functions = include_str!("combine.wgsl").to_owned();
            let values = [("functions", functions), ("start", start), ("combine", combine), ("element", element)];
            fill(include_str!("fold_short.wgsl"), &values)
        };
        let kernel = gpu.kernel(&format!("fold few {fold:?}"), source, &[false, true])?;
        let folded = gpu.empty(rows)?;
        self.call_each(&kernel, &Parameters([rows as u32, columns as u32, 0, 0]), &[x, &folded], rows)?;
        Ok(folded)
    }

    /// Folds a whole array to one number.
    ///
    /// # Errors
    /// When the maximum of nothing is asked for, or memory is short.
    pub fn fold_all(&mut self, x: &Buffer, fold: Fold) -> Result<Buffer, GpuError> {
        if x.is_empty() && fold == Fold::Largest {
            return Err(GpuError::shape("maximum", "an array without elements has none"));
        }
        let mut folded = self.fold(x, x.len().div_ceil(PART).max(1), PART, fold)?;
        // Squares are squares once.
        let again = if fold == Fold::Largest { Fold::Largest } else { Fold::Sum };
        while folded.len() > 1 {
            folded = self.fold(&folded, folded.len().div_ceil(PART), PART, again)?;
        }
        Ok(folded)
    }

    /// Each row is a run of `columns` elements of `x`, the last may end early.
    fn fold(&mut self, x: &Buffer, rows: usize, columns: usize, fold: Fold) -> Result<Buffer, GpuError> {
        let gpu = self.gpu();
        let threads = Threads::of(gpu);
        let [combine, start, element] = fold.words();
        let source = || {
            let functions = include_str!("combine.wgsl").to_owned() + &threads.combine(combine);
            let own = |value: &str| value.to_owned();
            let values = [
                ("functions", functions),
                ("builtins", own(threads.builtins)),
                ("lane", own(threads.lane)),
                ("start", own(start)),
                ("combine", own(combine)),
                ("element", own(element)),
            ];
            fill(include_str!("fold.wgsl"), &values)
        };
        let kernel = gpu.kernel(&format!("fold {fold:?}"), source, &[false, true])?;
        let folded = gpu.empty(rows)?;
        let parameters = Parameters([rows as u32, columns as u32, columns as u32, x.len() as u32]);
        self.call_groups(&kernel, &parameters, &[x, &folded], rows)?;
        Ok(folded)
    }

    /// The sum of each column of a row-major matrix.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn sum_columns(&mut self, x: &Buffer, rows: usize, columns: usize) -> Result<Buffer, GpuError> {
        check("column sums", x.len(), &[rows, columns])?;
        let mut groups = rows.div_ceil(ROWS).max(1);
        let mut sums = self.across(x, groups, ROWS, rows, columns)?;
        while groups > 1 {
            let rows = groups;
            groups = rows.div_ceil(ROWS);
            sums = self.across(&sums, groups, ROWS, rows, columns)?;
        }
        Ok(sums)
    }

    /// Sums of `of_one` consecutive rows of `columns` elements each, for `groups` groups: `[group × column]`.
    pub(crate) fn sum_groups(&mut self, x: &Buffer, groups: usize, of_one: usize, columns: usize) -> Result<Buffer, GpuError> {
        self.across(x, groups, of_one, groups * of_one, columns)
    }

    fn across(&mut self, x: &Buffer, groups: usize, of_one: usize, rows: usize, columns: usize) -> Result<Buffer, GpuError> {
        let gpu = self.gpu();
        let kernel = gpu.kernel("across", || include_str!("across.wgsl").to_owned(), &[false, true])?;
        let sums = gpu.empty(groups * columns)?;
        let parameters = Parameters([groups as u32, columns as u32, of_one as u32, rows as u32]);
        self.call_each(&kernel, &parameters, &[x, &sums], groups * columns)?;
        Ok(sums)
    }
}

impl Gpu {
    /// An array folded to one number. The sum of nothing is 0.
    ///
    /// # Errors
    /// When the maximum of nothing is asked for, or the device fails.
    pub fn fold(&self, x: &[f32], fold: Fold) -> Result<f32, GpuError> {
        let x = self.upload(x)?;
        let mut recording = self.record();
        let folded = recording.fold_all(&x, fold)?;
        one(recording.read(&[&folded])?)?.first().copied().ok_or_else(|| GpuError::Failed("nothing was read back".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::device::testing_all;
    use super::*;
    use crate::gpu::kernels::tests::{normal, worst};

    #[test]
    fn whole_arrays_fold_to_their_sum_and_maximum() {
        for gpu in testing_all() {
            for count in [1, 2, 255, 256, 257, 16384, 16385, 100_000] {
                let x = normal(1, count);
                let sum = |map: fn(f64) -> f64| x.iter().map(|value| map(f64::from(*value))).sum::<f64>();
                let close = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 1e-6 * count as f64 + 1e-5;
                assert!(close(gpu.fold(&x, Fold::Sum).unwrap(), sum(|value| value)), "{count}");
                assert!(close(gpu.fold(&x, Fold::SumOfSquares).unwrap(), sum(|value| value * value)), "{count}");
                assert_eq!(gpu.fold(&x, Fold::Largest).unwrap(), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                assert_eq!(gpu.fold(&x, Fold::Sum).unwrap().to_bits(), gpu.fold(&x, Fold::Sum).unwrap().to_bits());
            }
            assert_eq!((gpu.fold(&[], Fold::Sum).unwrap(), gpu.fold(&[], Fold::SumOfSquares).unwrap()), (0.0, 0.0));
            assert!(gpu.fold(&[], Fold::Largest).unwrap_err().to_string().contains("without elements"));
        }
    }

    #[test]
    fn gaps_and_infinities_are_kept() {
        for gpu in testing_all() {
            for place in [0, 3, 300, 999] {
                let mut x = vec![-1.0; 1000];
                x[place] = f32::NAN;
                assert!(gpu.fold(&x, Fold::Largest).unwrap().is_nan() && gpu.fold(&x, Fold::Sum).unwrap().is_nan(), "{place}");
                x[place] = f32::INFINITY;
                assert_eq!(gpu.fold(&x, Fold::Largest).unwrap(), f32::INFINITY);
            }
            assert_eq!(gpu.fold(&[f32::NEG_INFINITY; 700], Fold::Largest).unwrap(), f32::NEG_INFINITY);
        }
    }

    #[test]
    fn rows_and_columns_fold_to_their_sums() {
        for gpu in testing_all() {
            for (rows, columns) in [(1, 1), (3, 700), (700, 3), (70_000, 2), (0, 4), (4, 0)] {
                let x = normal(2, rows * columns);
                let array = gpu.upload(&x).unwrap();
                let mut recording = gpu.record();
                let by_row = recording.fold_rows(&array, rows, columns, Fold::Sum).unwrap();
                let by_column = recording.sum_columns(&array, rows, columns).unwrap();
                let found = recording.read(&[&by_row, &by_column]).unwrap();
                let at = |row: usize, column: usize| f64::from(x[row * columns + column]);
                let expected: Vec<f64> = (0..rows).map(|row| (0..columns).map(|column| at(row, column)).sum()).collect();
                assert!(worst(&found[0], &expected) < 1e-3);
                let expected: Vec<f64> = (0..columns).map(|column| (0..rows).map(|row| at(row, column)).sum()).collect();
                assert!(worst(&found[1], &expected) < 1e-3);
            }
            let array = gpu.upload(&[1.0f32; 6]).unwrap();
            assert!(gpu.record().fold_rows(&array, 2, 2, Fold::Sum).is_err() && gpu.record().sum_columns(&array, 4, 2).is_err());
            let empty = gpu.empty(0).unwrap();
            assert!(gpu.record().fold_rows(&empty, 2, 0, Fold::Largest).is_err());
        }
    }
}
