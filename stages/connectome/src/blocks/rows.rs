//! For each block the blocks at the other ends of its edges, gathered from whatever the block is made of.

use super::description_length::Pair;
use rayon::prelude::*;
use std::ops::Range;

/// Parts of the blocks that are gathered at once; the number of threads plays no part.
const PARTS: usize = 64;

/// For each block the blocks at the other ends of its edges, in order.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    starts: Vec<usize>,
    others: Vec<u32>,
    pairs: Vec<Pair>,
}

impl Rows {
    /// The other blocks of one, in order, and the edges to them.
    pub(super) fn of(&self, block: usize) -> (&[u32], &[Pair]) {
        let range = self.starts[block]..self.starts[block + 1];
        (&self.others[range.clone()], &self.pairs[range])
    }

    /// The edges from one block to another.
    pub(super) fn find(&self, block: usize, other: u32) -> Pair {
        let (others, pairs) = self.of(block);
        others.binary_search(&other).map_or_else(|_| Pair::default(), |place| pairs[place])
    }

    /// Rows of `blocks` blocks, and the edges inside of each. `visit(block, row)` adds all edges of a block to its row; those inside it adds once.
    pub(super) fn gather(blocks: usize, at_once: bool, visit: impl Fn(usize, &mut Row) + Sync) -> (Rows, Vec<Pair>) {
        let parts = if at_once { PARTS.min(blocks).max(1) } else { 1 };
        let ranges: Vec<Range<usize>> = (0..parts).map(|part| part * blocks / parts..(part + 1) * blocks / parts).collect();
        let gather = |row: &mut Row, range: &Range<usize>| {
            let mut part = (Vec::with_capacity(range.len()), Vec::new(), Vec::new(), Vec::with_capacity(range.len()));
            for block in range.clone() {
                row.block = block as u32;
                visit(block, row);
                row.finish(&mut part.1, &mut part.2);
                part.0.push(part.1.len());
                part.3.push(std::mem::take(&mut row.inside));
            }
            part
        };
        let made: Vec<_> = if at_once {
            ranges.par_iter().map_init(|| Row::new(blocks), gather).collect()
        } else {
            ranges.iter().map(|range| gather(&mut Row::new(blocks), range)).collect()
        };
        let all: usize = made.iter().map(|part| part.1.len()).sum();
        let mut rows = Rows { starts: Vec::with_capacity(blocks + 1), others: Vec::with_capacity(all), pairs: Vec::with_capacity(all) };
        let mut inside = Vec::with_capacity(blocks);
        rows.starts.push(0);
        for (ends, others, pairs, own) in made {
            let before = rows.others.len();
            rows.starts.extend(ends.into_iter().map(|end| before + end));
            rows.others.extend(others);
            rows.pairs.extend(pairs);
            inside.extend(own);
        }
        (rows, inside)
    }
}

/// The row that is being gathered.
#[derive(Debug)]
pub(super) struct Row {
    block: u32,
    sums: Vec<Pair>,
    touched: Vec<u32>,
    inside: Pair,
}

impl Row {
    fn new(blocks: usize) -> Row {
        Row { block: 0, sums: vec![Pair::default(); blocks], touched: Vec::new(), inside: Pair::default() }
    }

    /// Adds edges to another block, or inside of this one.
    #[inline]
    pub(super) fn add(&mut self, other: u32, pair: &Pair) {
        if other == self.block {
            self.inside = self.inside.plus(pair);
            return;
        }
        let sum = &mut self.sums[other as usize];
        if sum.edges == 0 {
            self.touched.push(other);
        }
        *sum = sum.plus(pair);
    }

    fn finish(&mut self, others: &mut Vec<u32>, pairs: &mut Vec<Pair>) {
        self.touched.sort_unstable();
        for other in self.touched.drain(..) {
            others.push(other);
            pairs.push(std::mem::take(&mut self.sums[other as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_gathered_at_once_are_those_of_one_after_the_other() {
        // Block `b` has edges to `b / 2`, twice, to `b / 3`, and to itself where that is so.
        let edges = |block: usize, row: &mut Row| {
            for (other, weight) in [(block / 2, 1.0), (block / 3, 0.5), (block / 2, 0.25)] {
                row.add(other as u32, &Pair::one(weight));
            }
        };
        for blocks in [0, 1, 5, 200] {
            let [(one, inside), (all, also_inside)] = [false, true].map(|at_once| Rows::gather(blocks, at_once, edges));
            assert_eq!(inside, also_inside);
            for block in 0..blocks {
                assert_eq!(one.of(block), all.of(block));
            }
            if blocks == 200 {
                assert_eq!(one.of(100).0, [33, 50]);
                assert_eq!((one.find(100, 50), one.find(100, 7)), (Pair { edges: 2, sum: 1.25, squares: 1.0625 }, Pair::default()));
                assert_eq!((inside[0].edges, inside[100].edges), (3, 0));
            }
        }
    }
}
