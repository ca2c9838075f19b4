//! Products of many vectors with each other in single precision.
//!
//! Vectors are packed straight from what they come from, sixteen side by side (a panel), centred and scaled on the way: a run of some hundred values of each, while the run before is
//! multiplied, into memory that is used again. So what is multiplied lies in a cache, whatever the length of the vectors, and no packed copy of all is ever made.
//! A tile of the product, sixteen vectors times sixteen, stays in registers for some hundred values; of a symmetric product only the tiles up to the diagonal are made. Blocks of tiles are
//! shared out over the threads; their borders follow from the sizes alone and each number is one chain of additions in a fixed order, so the number of threads does not change a bit.
#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use crate::Matrix;
use crate::single::SingleRef;
use crate::tensor::lanes::instructions;

/// Vectors side by side in a panel.
pub(crate) const WIDTH: usize = 16;

/// Values of each vector that are multiplied at a time: with a panel of either side in the nearest cache.
const DEPTH: usize = 256;

/// Bytes of a packed run of all vectors: all of it stays in a cache.
const RUN: usize = 4 << 20;

/// Panels that are packed together: each row of a matrix of columns is read for long enough.
const TOGETHER: usize = 8;

/// The most panels of each side in a block: some hundred kilobytes of each at a time.
const BLOCK: usize = 16;

/// The same value of sixteen vectors.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; WIDTH]);

/// Writes the lines of some panels, one panel after the other, for a range of values.
type Fill<'a> = Box<dyn Fn(Range<usize>, Range<usize>, &mut [Line]) + Sync + 'a>;

/// Vectors that are packed when they are needed.
pub(crate) struct Vectors<'a> {
    /// How many.
    count: usize,
    /// Values in each.
    length: usize,
    /// What a line holds past the last vector is left as it was.
    fill: Fill<'a>,
}

impl<'a> Vectors<'a> {
    /// The rows of a matrix, row `r` as `(value − centre) · factor` of `centred(r)`.
    pub(crate) fn of_rows(matrix: &'a Matrix, centred: impl Fn(usize) -> (f64, f64) + Sync + 'a) -> Vectors<'a> {
        const SOME: usize = 128;
        let (count, length) = matrix.shape();
        let fill = move |values: Range<usize>, panels: Range<usize>, lines: &mut [Line]| {
            for (panel, lines) in panels.zip(lines.chunks_exact_mut(values.len())) {
                // Some values of all rows of the panel, so that its lines are still in the nearest cache for the next row.
                for (part, lines) in values.clone().step_by(SOME).zip(lines.chunks_mut(SOME)) {
                    for row in panel * WIDTH..((panel + 1) * WIDTH).min(count) {
                        let (centre, factor) = centred(row);
                        let own = &matrix.row(row)[part..part + lines.len()];
                        lines.iter_mut().zip(own).for_each(|(line, value)| line.0[row % WIDTH] = ((value - centre) * factor) as f32);
                    }
                }
            }
        };
        Vectors { count, length, fill: Box::new(fill) }
    }

    /// The columns of a matrix, column `c` as `(value − centres[c]) · factor`.
    pub(crate) fn of_columns(matrix: &'a Matrix, centres: &'a [f64], factor: f64) -> Vectors<'a> {
        let (length, count) = matrix.shape();
        Vectors::by_rows(count, length, move |row, columns, target: &mut [f32; WIDTH]| {
            let pairs = matrix.row(row)[columns.clone()].iter().zip(&centres[columns]);
            target.iter_mut().zip(pairs).for_each(|(target, (value, centre))| *target = ((value - centre) * factor) as f32);
        })
    }

    /// The columns of some rows `[row × column]` of single precision, each row times a factor of its own. There are as many factors as rows.
    pub(crate) fn of_single_columns(matrix: SingleRef<'a>, rows: &'a [usize], factors: &'a [f32]) -> Vectors<'a> {
        Vectors::by_rows(matrix.cols(), rows.len(), move |at, columns, target: &mut [f32; WIDTH]| {
            let factor = factors[at];
            target.iter_mut().zip(&matrix.row(rows[at])[columns]).for_each(|(target, value)| *target = value * factor);
        })
    }

    /// Vectors whose values of one place lie side by side: `fill(place, vectors, target)`.
    fn by_rows(count: usize, length: usize, fill: impl Fn(usize, Range<usize>, &mut [f32; WIDTH]) + Sync + 'a) -> Vectors<'a> {
        const ROWS: usize = 16;
        let fill = move |values: Range<usize>, panels: Range<usize>, lines: &mut [Line]| {
            // Some rows at a time, which stay in the cache from the first panel to the last.
            for start in values.clone().step_by(ROWS) {
                let rows = start..(start + ROWS).min(values.end);
                for (panel, lines) in panels.clone().zip(lines.chunks_exact_mut(values.len())) {
                    let columns = panel * WIDTH..((panel + 1) * WIDTH).min(count);
                    let lines = &mut lines[rows.start - values.start..rows.end - values.start];
                    rows.clone().zip(lines).for_each(|(row, line)| fill(row, columns.clone(), &mut line.0));
                }
            }
        };
        Vectors { count, length, fill: Box::new(fill) }
    }

    /// How many panels.
    pub(crate) fn panels(&self) -> usize {
        self.count.div_ceil(WIDTH)
    }

    /// Panels of one block.
    fn block(&self) -> usize {
        self.panels().div_ceil(5).clamp(1, BLOCK)
    }
}

/// A run of values of packed vectors: panel after panel.
struct Packed {
    /// Values of the run.
    depth: usize,
    /// Somewhat more, so that lines can begin where a line of memory does.
    values: Vec<f32>,
}

impl Packed {
    /// Memory for runs of so many values.
    fn new(of: &Vectors<'_>, depth: usize) -> Packed {
        Packed { depth: 0, values: vec![0.0; (of.panels() * depth + 1) * WIDTH] }
    }

    fn lines(&self) -> &[Line] {
        // SAFETY: a line is an array of as many numbers, with no other bytes, and any bits are a number.
        unsafe { self.values.align_to::<Line>().1 }
    }

    fn lines_mut(&mut self) -> &mut [Line] {
        // SAFETY: as above.
        unsafe { self.values.align_to_mut::<Line>().1 }
    }

    fn fill(&mut self, of: &Vectors<'_>, values: Range<usize>) {
        let (panels, depth) = (of.panels(), values.len());
        self.depth = depth;
        let lines = &mut self.lines_mut()[..panels * depth];
        lines.par_chunks_mut(TOGETHER * depth).enumerate().for_each(|(number, lines)| {
            let first = number * TOGETHER;
            // The last panel may have places without a vector, where another run has left something.
            if let Some(last) = (!of.count.is_multiple_of(WIDTH)).then(|| panels - 1 - first).filter(|last| *last < lines.len() / depth) {
                lines[last * depth..].fill(Line([0.0; WIDTH]));
            }
            (of.fill)(values.clone(), first..first + lines.len() / depth, lines);
        });
    }

    fn panel(&self, panel: usize) -> &[Line] {
        &self.lines()[panel * self.depth..(panel + 1) * self.depth]
    }
}

/// Sixteen vectors of the left side `[left, right]` times sixteen of the right one.
pub(crate) type Tile = [f32; WIDTH * WIDTH];

/// Tiles of neighbouring panels, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The product that it is a part of.
    pair: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    tiles: Vec<Tile>,
}

impl Block {
    /// Panels of the left and of the right side, with their tile. Of a block on the diagonal of a symmetric product those past the diagonal are zero.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = (usize, usize, &Tile)> {
        let width = self.columns.len().max(1);
        let place = move |at: usize| (self.rows.start + at / width, self.columns.start + at % width);
        self.tiles.iter().enumerate().map(move |(at, tile)| (place(at).0, place(at).1, tile))
    }
}

/// Products of vectors of `sides`, all of one length: for each of `pairs` of sides all products of vectors of the one with vectors of the other, or of a side with itself only
/// those of blocks up to the diagonal. `take` is called for each block, in parallel; its answers are in order, pair by pair.
pub(crate) fn products<R: Send>(sides: &[&Vectors<'_>], pairs: &[(usize, usize)], take: impl Fn(&Block) -> R + Sync) -> Vec<Vec<R>> {
    let blocks = multiply(sides, pairs);
    let taken: Vec<(usize, R)> = blocks.par_iter().with_max_len(1).map(|block| (block.pair, take(block))).collect();
    let mut of_pairs: Vec<Vec<R>> = pairs.iter().map(|_| Vec::new()).collect();
    taken.into_iter().for_each(|(pair, answer)| of_pairs[pair].push(answer));
    of_pairs
}

fn multiply(sides: &[&Vectors<'_>], pairs: &[(usize, usize)]) -> Vec<Block> {
    let starts = |of: &Vectors<'_>| (0..of.panels()).step_by(of.block()).collect::<Vec<usize>>();
    let mut blocks = Vec::new();
    for (pair, &(left, right)) in pairs.iter().enumerate() {
        let (left_side, right_side) = (sides[left], sides[right]);
        for row in starts(left_side) {
            let rows = row..(row + left_side.block()).min(left_side.panels());
            for column in starts(right_side).into_iter().filter(|column| left != right || *column <= row) {
                let columns = column..(column + right_side.block()).min(right_side.panels());
                let tiles = vec![[0.0; WIDTH * WIDTH]; rows.len() * columns.len()];
                blocks.push(Block { pair, rows: rows.clone(), columns, tiles });
            }
        }
    }
    let panels: usize = sides.iter().map(|side| side.panels()).sum();
    let length = sides.iter().map(|side| side.length).min().unwrap_or(0);
    // Whole depths, so that sums are added in the same portions wherever runs begin.
    let run = (RUN / (size_of::<Line>() * DEPTH * panels.max(1))).clamp(1, 8) * DEPTH;
    let run = run.min(length);
    if run == 0 || blocks.is_empty() {
        return blocks;
    }
    let pack = |packed: &mut [Packed], start: usize| {
        let values = start..(start + run).min(length);
        packed.iter_mut().zip(sides).for_each(|(packed, side)| packed.fill(side, values.clone()));
    };
    let memory = || sides.iter().map(|side| Packed::new(side, run)).collect::<Vec<Packed>>();
    let (mut now, mut next) = (memory(), if run < length { memory() } else { Vec::new() });
    pack(&mut now, 0);
    let set = instructions();
    for start in (0..length).step_by(run) {
        let add = |block: &mut Block| {
            let (left, right) = pairs[block.pair];
            let (left_side, right_side, depth) = (&now[left], &now[right], now[left].depth);
            for from in (0..depth).step_by(DEPTH) {
                let part = from..(from + DEPTH).min(depth);
                for (across, column) in block.columns.clone().enumerate() {
                    for (down, row) in block.rows.clone().enumerate().filter(|(_, row)| left != right || column <= *row) {
                        let tile = &mut block.tiles[down * block.columns.len() + across];
                        set.tile(&left_side.panel(row)[part.clone()], &right_side.panel(column)[part.clone()], tile);
                    }
                }
            }
        };
        let mut work = || blocks.par_iter_mut().with_max_len(1).for_each(add);
        if start + run < length {
            rayon::join(|| pack(&mut next, start + run), work);
            std::mem::swap(&mut now, &mut next);
        } else {
            work();
        }
    }
    blocks
}

/// All products of vectors with each other `[vector × vector]`, exactly symmetric, each changed by `each`.
pub(crate) fn gram(of: &Vectors<'_>, each: impl Fn(f64) -> f64 + Sync) -> Matrix {
    let (size, panels, block) = (of.count, of.panels(), of.block());
    let blocks = multiply(&[of], &[(0, 0)]);
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
        for (rows, others, length) in [(1, 1, 1), (5, 3, 2), (16, 33, 256), (101, 97, 64), (300, 9, 700), (530, 40, 3), (90, 30, 5000)] {
            let (a, b) = (normal_matrix(1, rows, length), normal_matrix(2, length, others));
            let packed = Vectors::of_rows(&a, |row| (0.25 * row as f64, 0.5));
            let moved = Matrix::from_fn(rows, length, |row, value| 0.5 * (a[(row, value)] - 0.25 * row as f64));
            let expected = gram_of_rows(&moved);
            let largest = expected.values().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let found = gram(&packed, |value| value / largest);
            all_close(found.values(), expected.map(|value| value / largest).values(), 2e-6);
            assert_eq!(found, found.transposed());
            let ones = vec![1.0; others];
            let columns = Vectors::of_columns(&b, &ones, 2.0);
            let cross = gemm_tn(moved.t(), &b.clone().map(|value| 2.0 * (value - 1.0))).unwrap();
            let mut seen = 0;
            for block in products(&[&packed, &columns], &[(0, 1)], Block::clone).remove(0) {
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
        assert_eq!(gram(&Vectors::of_rows(&Matrix::zeros(0, 3), |_| (0.0, 1.0)), |value| value).shape(), (0, 0));
        assert_eq!(gram(&Vectors::of_rows(&Matrix::zeros(2, 0), |_| (0.0, 1.0)), |value| value), Matrix::zeros(2, 2));
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let matrix = normal_matrix(4, 311, 345);
        same_on_any_threads(|| gram(&Vectors::of_rows(&matrix, |_| (0.0, 1.0)), |value| value).into_values());
    }
}
