//! Products of many vectors with each other in single precision.
//!
//! Vectors are packed once, straight from double precision: sixteen side by side (a panel), centred and scaled on the way. A tile of the product, sixteen vectors times sixteen, stays in registers
//! for some hundred values; of a symmetric product only the tiles up to the diagonal are made. Blocks of tiles are shared out over the threads; their borders follow from the sizes alone and each
//! number is one chain of additions in a fixed order, so the number of threads does not change a bit.
#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use crate::Matrix;
use crate::tensor::lanes::instructions;

/// Vectors side by side in a panel.
pub(crate) const WIDTH: usize = 16;

/// Values of each vector that are multiplied at a time: with a panel of either side in the nearest cache.
const DEPTH: usize = 256;

/// Runs of so many values that are packed together: each row is read for long enough.
const RUNS: usize = 4;

/// The most panels of each side in a block: some hundred kilobytes of each at a time.
const BLOCK: usize = 16;

/// The same value of sixteen vectors.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; WIDTH]);

/// Packed vectors.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    /// How many vectors.
    count: usize,
    /// Values in each.
    length: usize,
    /// `[run of values, panel, value]`, runs of [`DEPTH`] values; the last panel is filled up with zeros. Some more, so that lines can begin where a line of memory does.
    values: Vec<f32>,
}

impl Panels {
    /// The rows of a matrix, row `r` as `(value − centre) · factor` of `centred(r)`.
    pub(crate) fn of_rows(matrix: &Matrix, centred: impl Fn(usize) -> (f64, f64) + Sync) -> Panels {
        let (count, length) = matrix.shape();
        let panels = count.div_ceil(WIDTH).max(1);
        Panels::new(count, length, |values, lines| {
            for row in 0..count {
                let (centre, factor) = centred(row);
                let row_values = &matrix.row(row)[values.clone()];
                for (run, lines) in row_values.chunks(DEPTH).zip(lines.chunks_mut(panels * DEPTH)) {
                    let own = &mut lines[row / WIDTH * run.len()..(row / WIDTH + 1) * run.len()];
                    own.iter_mut().zip(run).for_each(|(line, value)| line.0[row % WIDTH] = ((value - centre) * factor) as f32);
                }
            }
        })
    }

    /// The columns of a matrix, column `c` as `(value − centres[c]) · factor`.
    pub(crate) fn of_columns(matrix: &Matrix, centres: &[f64], factor: f64) -> Panels {
        const ROWS: usize = 16;
        let (length, count) = matrix.shape();
        let panels = count.div_ceil(WIDTH).max(1);
        Panels::new(count, length, |values, lines| {
            for (number, lines) in lines.chunks_mut(panels * DEPTH).enumerate() {
                let (first, depth) = (values.start + number * DEPTH, lines.len() / panels);
                // Some rows at a time, which stay in the cache from the first panel to the last.
                for start in (0..depth).step_by(ROWS) {
                    let rows = start..(start + ROWS).min(depth);
                    for (panel, lines) in lines.chunks_exact_mut(depth).enumerate() {
                        let columns = panel * WIDTH..((panel + 1) * WIDTH).min(count);
                        let centres = &centres[columns.clone()];
                        for (row, line) in rows.clone().zip(&mut lines[rows.clone()]) {
                            let pairs = matrix.row(first + row)[columns.clone()].iter().zip(centres);
                            line.0.iter_mut().zip(pairs).for_each(|(target, (value, centre))| *target = ((value - centre) * factor) as f32);
                        }
                    }
                }
            }
        })
    }

    /// `fill` writes the lines of some runs of values: run by run, in a run one panel after the other.
    fn new(count: usize, length: usize, fill: impl Fn(Range<usize>, &mut [Line]) + Sync) -> Panels {
        let panels = count.div_ceil(WIDTH);
        let mut packed = Panels { count, length, values: vec![0.0; (panels * length + 1) * WIDTH] };
        if panels > 0 {
            packed.lines_mut().par_chunks_mut(panels * DEPTH * RUNS).enumerate().for_each(|(number, lines)| {
                let start = number * DEPTH * RUNS;
                fill(start..start + lines.len() / panels, lines);
            });
        }
        packed
    }

    fn lines(&self) -> &[Line] {
        // SAFETY: a line is an array of as many numbers, with no other bytes, and any bits are a number.
        let lines = unsafe { self.values.align_to::<Line>().1 };
        &lines[..self.panels() * self.length]
    }

    fn lines_mut(&mut self) -> &mut [Line] {
        let count = self.panels() * self.length;
        // SAFETY: as above.
        let lines = unsafe { self.values.align_to_mut::<Line>().1 };
        &mut lines[..count]
    }

    /// How many panels.
    pub(crate) fn panels(&self) -> usize {
        self.count.div_ceil(WIDTH)
    }

    /// The lines of a panel in the run of values that begins at `start`.
    fn panel(&self, panel: usize, start: usize) -> &[Line] {
        let depth = DEPTH.min(self.length - start);
        let first = start * self.panels() + panel * depth;
        &self.lines()[first..first + depth]
    }

    /// Panels of one block.
    fn block(&self) -> usize {
        self.panels().div_ceil(5).clamp(1, BLOCK)
    }
}

/// Sixteen vectors of the left side `[left, right]` times sixteen of the right one.
pub(crate) type Tile = [f32; WIDTH * WIDTH];

/// Tiles of neighbouring panels, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    rows: Range<usize>,
    columns: Range<usize>,
    tiles: Vec<Tile>,
}

impl Block {
    /// Panels of the left and of the right side, with their tile. Of a block on the diagonal of a symmetric product only those up to the diagonal.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = (usize, usize, &Tile)> {
        let width = self.columns.len().max(1);
        let place = move |at: usize| (self.rows.start + at / width, self.columns.start + at % width);
        self.tiles.iter().enumerate().map(move |(at, tile)| (place(at).0, place(at).1, tile))
    }
}

/// All products of vectors of `left` with vectors of `right`, which are as long; `take` is called for each block, in parallel. Its answers are in order.
pub(crate) fn all<R: Send>(left: &Panels, right: &Panels, take: impl Fn(Block) -> R + Sync) -> Vec<R> {
    let starts = |of: &Panels| (0..of.panels()).step_by(of.block()).collect::<Vec<usize>>();
    let columns = starts(right);
    let borders: Vec<(usize, usize)> = starts(left).into_iter().flat_map(|row| columns.iter().map(move |column| (row, *column))).collect();
    blocks(left, right, &borders, false, take)
}

/// As [`all`] for vectors with themselves: only blocks up to the diagonal. Tiles past the diagonal are zero.
pub(crate) fn lower<R: Send>(of: &Panels, take: impl Fn(Block) -> R + Sync) -> Vec<R> {
    let starts: Vec<usize> = (0..of.panels()).step_by(of.block()).collect();
    let borders: Vec<(usize, usize)> =
        starts.iter().flat_map(|row| starts.iter().take_while(move |column| *column <= row).map(move |column| (*row, *column))).collect();
    blocks(of, of, &borders, true, take)
}

fn blocks<R: Send>(left: &Panels, right: &Panels, borders: &[(usize, usize)], symmetric: bool, take: impl Fn(Block) -> R + Sync) -> Vec<R> {
    let set = instructions();
    let length = left.length.min(right.length);
    let block = |&(row, column): &(usize, usize)| {
        let rows = row..(row + left.block()).min(left.panels());
        let columns = column..(column + right.block()).min(right.panels());
        let mut tiles = vec![[0.0; WIDTH * WIDTH]; rows.len() * columns.len()];
        for start in (0..length).step_by(DEPTH) {
            for (across, column) in columns.clone().enumerate() {
                for (down, row) in rows.clone().enumerate().filter(|(_, row)| !symmetric || column <= *row) {
                    set.tile(left.panel(row, start), right.panel(column, start), &mut tiles[down * columns.len() + across]);
                }
            }
        }
        take(Block { rows, columns, tiles })
    };
    borders.par_iter().with_max_len(1).map(block).collect()
}

/// All products of vectors with each other `[vector × vector]`, exactly symmetric, each changed by `each`.
pub(crate) fn gram(of: &Panels, each: impl Fn(f64) -> f64 + Sync) -> Matrix {
    let (size, panels, block) = (of.count, of.panels(), of.block());
    let blocks = lower(of, |block| block);
    // The tile of a pair of panels, the second not after the first.
    let tile = |row: usize, column: usize| {
        let (down, across) = (row / block, column / block);
        let found = &blocks[down * (down + 1) / 2 + across];
        &found.tiles[(row - found.rows.start) * found.columns.len() + column - found.columns.start]
    };
    let mut gram = Matrix::zeros(size, size);
    if size > 0 {
        gram.values_mut().par_chunks_mut(WIDTH * size).enumerate().for_each(|(row, target)| {
            for column in 0..panels {
                let found = tile(row.max(column), row.min(column));
                for (place, target) in target.chunks_exact_mut(size).enumerate() {
                    let target = &mut target[column * WIDTH..((column + 1) * WIDTH).min(size)];
                    let value = |other: usize| if column <= row { found[place * WIDTH + other] } else { found[other * WIDTH + place] };
                    target.iter_mut().enumerate().for_each(|(other, target)| *target = each(f64::from(value(other))));
                }
            }
        });
    }
    gram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix, same_on_any_threads};
    use crate::product::{gemm_tn, gram_of_rows};

    #[test]
    fn products_equal_those_in_double_precision() {
        for (rows, others, length) in [(1, 1, 1), (5, 3, 2), (16, 33, 256), (101, 97, 64), (300, 9, 700), (530, 40, 3)] {
            let (a, b) = (normal_matrix(1, rows, length), normal_matrix(2, length, others));
            let packed = Panels::of_rows(&a, |row| (0.25 * row as f64, 0.5));
            let moved = Matrix::from_fn(rows, length, |row, value| 0.5 * (a[(row, value)] - 0.25 * row as f64));
            let expected = gram_of_rows(&moved);
            let largest = expected.values().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let found = gram(&packed, |value| value / largest);
            all_close(found.values(), expected.map(|value| value / largest).values(), 2e-6);
            assert_eq!(found, found.transposed());
            let columns = Panels::of_columns(&b, &vec![1.0; others], 2.0);
            let cross = gemm_tn(moved.t(), &b.clone().map(|value| 2.0 * (value - 1.0))).unwrap();
            let mut seen = 0;
            for block in all(&packed, &columns, |block| block) {
                for (row, column, tile) in block.tiles() {
                    for (at, value) in tile.iter().enumerate() {
                        let (row, column) = (row * WIDTH + at / WIDTH, column * WIDTH + at % WIDTH);
                        let inside = row < rows && column < others;
                        let expected = if inside { cross[(row, column)] } else { 0.0 };
                        assert!((f64::from(*value) - expected).abs() <= 1e-6 * (length as f64) * (1.0 + row as f64), "{row} {column}");
                        seen += usize::from(inside);
                    }
                }
            }
            assert_eq!(seen, rows * others);
        }
        assert_eq!(gram(&Panels::of_rows(&Matrix::zeros(0, 3), |_| (0.0, 1.0)), |value| value).shape(), (0, 0));
        assert_eq!(gram(&Panels::of_rows(&Matrix::zeros(2, 0), |_| (0.0, 1.0)), |value| value), Matrix::zeros(2, 2));
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let matrix = normal_matrix(4, 311, 345);
        same_on_any_threads(|| gram(&Panels::of_rows(&matrix, |_| (0.0, 1.0)), |value| value).into_values());
    }
}
