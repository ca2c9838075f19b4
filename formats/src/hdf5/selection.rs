//! Selections: which elements of a dataset are meant, in row-major order.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", "Appendix: Dataspace Selection" (`H5S_SEL_*`).

use super::cursor::Cursor;
use super::file::{bad, unread};
use neuroflow_data::formats::{Budget, FormatError};
use std::ops::Range;

/// A selection as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Selection {
    None,
    All,
    /// Blocks at equal distances along each axis.
    Regular(Vec<Blocks>),
    /// Any blocks: the first and the last element of each.
    Listed(Vec<(Vec<u64>, Vec<u64>)>),
}

/// `count` blocks of `block` elements, the first at `start`, each `stride` after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub start: u64,
    pub stride: u64,
    pub count: u64,
    pub block: u64,
}

impl Blocks {
    /// So many elements are meant along the axis.
    pub fn elements(&self) -> u64 {
        self.count.saturating_mul(self.block)
    }

    /// The position of one of them.
    pub fn at(&self, number: u64) -> u64 {
        self.start + number / self.block * self.stride + number % self.block
    }

    /// Elements from one on that lie next to each other.
    fn together(&self, number: u64) -> u64 {
        self.block - number % self.block
    }

    /// Those that lie in a range of positions, by number.
    pub fn within(&self, range: &Range<u64>) -> Range<u64> {
        let before = |position: u64| match position.checked_sub(self.start) {
            None => 0,
            Some(from) => (from / self.stride * self.block + (from % self.stride).min(self.block)).min(self.elements()),
        };
        before(range.start)..before(range.end).max(before(range.start))
    }
}

/// Reads a selection, which tells its own length.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Selection, FormatError> {
    let at = cursor.here();
    let (sort, version) = (cursor.u32()?, cursor.u32()?);
    match sort {
        0 | 3 => {
            cursor.skip(8)?;
            Ok(if sort == 0 { Selection::None } else { Selection::All })
        }
        2 => hyperslab(cursor, version, at),
        1 => Err(unread(at, "a selection of single points is not read", "select blocks instead")),
        other => Err(bad(at, format!("a selection of sort {other}"))),
    }
}

fn hyperslab(cursor: &mut Cursor<'_>, version: u32, at: u64) -> Result<Selection, FormatError> {
    let (regular, width) = match version {
        1 => {
            cursor.skip(8)?;
            (false, 4)
        }
        2 => {
            let flags = cursor.u8()?;
            cursor.skip(4)?;
            (flags & 1 == 1, 8)
        }
        3 => (cursor.u8()? & 1 == 1, usize::from(cursor.u8()?)),
        other => return Err(bad(at, format!("a selection of blocks of version {other}"))),
    };
    let rank = cursor.u32()? as usize;
    if ![2, 4, 8].contains(&width) || rank == 0 || rank > 32 {
        return Err(bad(at, format!("a selection of blocks in {rank} axes with numbers of {width} bytes")));
    }
    if regular {
        let unlimited = if width == 8 { u64::MAX } else { (1u64 << (8 * width)) - 1 };
        let mut axes = Vec::with_capacity(rank);
        for _ in 0..rank {
            let (start, stride, count, block) = (cursor.uint(width)?, cursor.uint(width)?, cursor.uint(width)?, cursor.uint(width)?);
            if count == unlimited || block == unlimited {
                let help = "give the virtual dataset a fixed shape, or copy the values into one dataset";
                return Err(unread(at, "a selection without an end, which grows with its sources, is not read", help));
            }
            axes.push(Blocks { start, stride, count, block });
        }
        return Ok(Selection::Regular(axes));
    }
    let count = cursor.uint(width)?;
    if count.checked_mul(2 * (rank * width) as u64).is_none_or(|bytes| bytes > cursor.left() as u64) {
        return Err(bad(at, format!("a selection claims {count} blocks, {} bytes follow", cursor.left())));
    }
    let mut blocks = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let mut corner = || (0..rank).map(|_| cursor.uint(width)).collect::<Result<Vec<_>, _>>();
        blocks.push((corner()?, corner()?));
    }
    Ok(Selection::Listed(blocks))
}

/// A selection in a dataset of a known shape: every element lies in it.
#[derive(Debug, PartialEq)]
pub(super) enum Placed {
    /// All combinations of what is meant along each axis.
    Product(Vec<Blocks>),
    /// Stretches along the last axis, sorted.
    Runs(Vec<(Vec<u64>, u64)>),
}

impl Selection {
    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> u64 {
        match self {
            Selection::None | Selection::All => 0,
            Selection::Regular(axes) => 32 * axes.len() as u64,
            Selection::Listed(blocks) => blocks.iter().map(|(first, _)| 64 + 16 * first.len() as u64).sum(),
        }
    }

    /// The selection in a dataset of the shape `dims`.
    pub fn placed(&self, dims: &[u64], budget: &mut Budget) -> Result<Placed, String> {
        let outside = || format!("a selection reaches past a dataset of the shape {dims:?}");
        match self {
            Selection::None => Ok(Placed::Runs(Vec::new())),
            _ if dims.contains(&0) => match self {
                Selection::All => Ok(Placed::Runs(Vec::new())),
                _ => Err(outside()),
            },
            Selection::All => {
                Ok(Placed::Product(dims.iter().map(|dim| Blocks { start: 0, stride: *dim, count: 1, block: *dim }).collect()))
            }
            Selection::Regular(axes) => {
                if axes.len() != dims.len() {
                    return Err(format!("a selection of {} axes in a dataset of {}", axes.len(), dims.len()));
                }
                let mut placed = Vec::with_capacity(axes.len());
                for (own, dim) in axes.iter().zip(dims) {
                    if own.count == 0 || own.block == 0 {
                        return Ok(Placed::Runs(Vec::new()));
                    }
                    if own.stride < own.block && own.count > 1 {
                        return Err("blocks of a selection lie over each other".into());
                    }
                    let last = (own.count - 1).checked_mul(own.stride).and_then(|last| last.checked_add(own.start)?.checked_add(own.block));
                    if last.is_none_or(|end| end > *dim) {
                        return Err(outside());
                    }
                    // Blocks without room between them are one.
                    let one = own.count == 1 || own.stride == own.block;
                    let block = if one { own.elements() } else { own.block };
                    placed.push(if one { Blocks { start: own.start, stride: block, count: 1, block } } else { *own });
                }
                Ok(Placed::Product(placed))
            }
            Selection::Listed(blocks) => listed(blocks, dims, budget).map(Placed::Runs),
        }
    }
}

fn listed(blocks: &[(Vec<u64>, Vec<u64>)], dims: &[u64], budget: &mut Budget) -> Result<Vec<(Vec<u64>, u64)>, String> {
    let mut runs: Vec<(Vec<u64>, u64)> = Vec::new();
    for (first, last) in blocks {
        let fits = first.len() == dims.len() && first.iter().zip(last).zip(dims).all(|((first, last), dim)| first <= last && last < dim);
        let (Some(first_last), Some(last_last), true) = (first.last(), last.last(), fits) else {
            return Err(format!("a block of a selection reaches past a dataset of the shape {dims:?}"));
        };
        let length = last_last - first_last + 1;
        let outer = first.len() - 1;
        let rows = first.iter().zip(last).take(outer).fold(1u64, |rows, (first, last)| rows.saturating_mul(last - first + 1));
        budget.charge(rows.saturating_mul(48 + 8 * first.len() as u64))?;
        let mut position = first.clone();
        for _ in 0..rows {
            runs.push((position.clone(), length));
            for ((own, first), last) in position.iter_mut().zip(first).zip(last).take(outer).rev() {
                *own += 1;
                if *own <= *last {
                    break;
                }
                *own = *first;
            }
        }
    }
    runs.sort();
    let over = |pair: &[(Vec<u64>, u64)]| match pair {
        [(one, length), (next, _)] => match (one.split_last(), next.split_last()) {
            (Some((from, row)), Some((to, next))) => row == next && from + length > *to,
            _ => false,
        },
        _ => false,
    };
    if runs.windows(2).any(over) {
        return Err("blocks of a selection lie over each other".into());
    }
    Ok(runs)
}

impl Placed {
    /// The number of elements.
    pub fn count(&self) -> Option<u64> {
        match self {
            Placed::Product(axes) => axes.iter().try_fold(1u64, |count, own| count.checked_mul(own.elements())),
            Placed::Runs(runs) => runs.iter().try_fold(0u64, |count, (_, length)| count.checked_add(*length)),
        }
    }

    /// The ranges that hold all elements; none when there is no element.
    pub fn hull(&self) -> Option<Vec<Range<u64>>> {
        match self {
            Placed::Product(axes) => Some(axes.iter().map(|own| own.start..own.at(own.elements().saturating_sub(1)) + 1).collect()),
            Placed::Runs(runs) => {
                let (first, _) = runs.first()?;
                let mut hull: Vec<Range<u64>> = first.iter().map(|own| *own..*own + 1).collect();
                for (position, length) in runs {
                    for (own, at) in hull.iter_mut().zip(position) {
                        *own = own.start.min(*at)..own.end.max(*at + 1);
                    }
                    if let (Some(own), Some(at)) = (hull.last_mut(), position.last()) {
                        own.end = own.end.max(at + length);
                    }
                }
                Some(hull)
            }
        }
    }

    /// Stretches along the last axis, in order; of a product only those whose numbers along each axis are in `some`.
    pub fn walk<'p>(&'p self, some: Option<&'p [Range<u64>]>) -> Walk<'p> {
        match self {
            Placed::Product(axes) => {
                let some: Vec<Range<u64>> = match some {
                    Some(some) => some.to_vec(),
                    None => axes.iter().map(|own| 0..own.elements()).collect(),
                };
                let done = some.iter().any(Range::is_empty);
                Walk::Product { axes, number: some.iter().map(|range| range.start).collect(), some, done }
            }
            Placed::Runs(runs) => Walk::Runs(runs.iter()),
        }
    }
}

/// A walk over the stretches of a selection.
pub(super) enum Walk<'p> {
    Product { axes: &'p [Blocks], some: Vec<Range<u64>>, number: Vec<u64>, done: bool },
    Runs(std::slice::Iter<'p, (Vec<u64>, u64)>),
}

impl Iterator for Walk<'_> {
    /// Where a stretch begins, and how long it is.
    type Item = (Vec<u64>, u64);

    fn next(&mut self) -> Option<(Vec<u64>, u64)> {
        let (axes, some, number, done) = match self {
            Walk::Runs(runs) => return runs.next().cloned(),
            Walk::Product { done: true, .. } => return None,
            Walk::Product { axes, some, number, done } => (axes, some, number, done),
        };
        let position = axes.iter().zip(number.iter()).map(|(own, number)| own.at(*number)).collect();
        // A single value has no axis.
        let length = match (axes.last(), number.last(), some.last()) {
            (Some(own), Some(number), Some(range)) => own.together(*number).min(range.end - number),
            _ => 1,
        };
        *done = true;
        let last = number.len().saturating_sub(1);
        for (axis, (own, range)) in number.iter_mut().zip(some.iter()).enumerate().rev() {
            *own += if axis == last { length } else { 1 };
            if *own < range.end {
                *done = false;
                break;
            }
            *own = range.start;
        }
        Some((position, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(placed: &Placed, some: Option<&[Range<u64>]>) -> Vec<Vec<u64>> {
        let mut all = Vec::new();
        for (position, length) in placed.walk(some) {
            for step in 0..length {
                let mut own = position.clone();
                if let Some(last) = own.last_mut() {
                    *last += step;
                }
                all.push(own);
            }
        }
        all
    }

    #[test]
    fn blocks_are_walked_in_order_and_in_part() {
        let axes = vec![Blocks { start: 1, stride: 3, count: 2, block: 1 }, Blocks { start: 0, stride: 4, count: 2, block: 2 }];
        let placed = Selection::Regular(axes).placed(&[5, 6], &mut Budget::new(0)).unwrap();
        let expected: Vec<Vec<u64>> = [1, 4].iter().flat_map(|row| [0, 1, 4, 5].map(|column| vec![*row, column])).collect();
        assert_eq!(positions(&placed, None), expected);
        assert_eq!((placed.count(), placed.hull()), (Some(8), Some(vec![1..5, 0..6])));
        let Placed::Product(axes) = &placed else { panic!() };
        let some = [axes[0].within(&(2..5)), axes[1].within(&(1..5))];
        assert_eq!(some, [1..2, 1..3]);
        assert_eq!(positions(&placed, Some(&some)), [[4, 1], [4, 4]]);
        for end in 0..7 {
            for start in 0..=end {
                let inside = [0, 1, 4, 5].iter().filter(|own| (start..end).contains(*own)).count() as u64;
                let range = axes[1].within(&(start..end));
                assert_eq!(range.end - range.start, inside, "{start}..{end}");
            }
        }
    }

    #[test]
    fn listed_blocks_are_sorted_by_rows_and_may_not_overlap() {
        let blocks = vec![(vec![0, 3], vec![1, 4]), (vec![0, 0], vec![2, 0])];
        let place = |blocks: Vec<_>, room| Selection::Listed(blocks).placed(&[3, 5], &mut Budget::new(room));
        let placed = place(blocks.clone(), 1000).unwrap();
        assert_eq!(positions(&placed, None), [[0, 0], [0, 3], [0, 4], [1, 0], [1, 3], [1, 4], [2, 0]]);
        assert_eq!(placed.hull(), Some(vec![0..3, 0..5]));
        let mut over = blocks.clone();
        over.push((vec![1, 4], vec![1, 4]));
        assert!(place(over, 1000).unwrap_err().contains("over each other"));
        assert!(place(vec![(vec![0, 0], vec![0, 5])], 1000).unwrap_err().contains("reaches past"));
        assert!(place(blocks, 10).is_err());
    }
}
