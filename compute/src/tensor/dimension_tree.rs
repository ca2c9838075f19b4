//! The products of all three modes of a sweep from one and a half passes over the tensor.
//!
//! A contraction of the tensor with one factor serves the other two modes, and an update of a mode leaves the contraction with the mode before it valid for the mode after it:
//! three contractions make two sweeps of three updates each (the multi-sweep dimension tree of Ma & Solomonik 2021, section 3). No Khatri–Rao product and no copy of the tensor are
//! ever made.

use rayon::prelude::*;

use super::lanes::{Instructions, Lane, WIDEST, instructions};
use super::{TensorRef, check_factors, no_such_mode};
use crate::product::for_each_chunk;
use crate::{ComputeError, Matrix};

/// Columns of the tensor that are contracted at a time: their sums stay in the cache.
const TILE: usize = 512;

/// Products of a three-way tensor with the factors of its other modes (MTTKRP), in any order; cheapest in the order 0, 1, 2, 0, 1, 2, ….
///
/// Factors and products are in double precision, the tensor and sums over it in that of the tensor. The caller says with [`changed`](DimensionTree::changed) which factor it changed; all other factors must be those of the call before.
#[derive(Debug, Clone)]
pub(crate) struct DimensionTree<'a, T = f64> {
    tensor: TensorRef<'a, T>,
    shape: [usize; 3],
    instructions: Instructions,
    /// The mode whose factor is contracted in `partial`, while that factor is unchanged.
    held: Option<usize>,
    rank: usize,
    partial: Vec<T>,
}

impl<'a, T: Lane> DimensionTree<'a, T> {
    /// For a tensor of three modes; refuses any other number.
    pub(crate) fn new(tensor: TensorRef<'a, T>) -> Result<DimensionTree<'a, T>, ComputeError> {
        let Ok(shape) = <[usize; 3]>::try_from(tensor.shape()) else {
            return Err(ComputeError::shape("dimension tree", format!("{} modes; it is for three", tensor.shape().len())));
        };
        Ok(DimensionTree { tensor, shape, instructions: instructions(), held: None, rank: 0, partial: Vec::new() })
    }

    /// Says that the factor of a mode is not what it was.
    pub(crate) fn changed(&mut self, mode: usize) {
        if self.held == Some(mode) {
            self.held = None;
        }
    }

    /// The unfolding along `mode` times the Khatri–Rao product of the other factors `[size of mode × rank]`, as [`super::mttkrp`] gives it but for rounding.
    ///
    /// Refuses a mode that is not there and factors that don't fit the tensor.
    pub(crate) fn product(&mut self, factors: &[Matrix], mode: usize) -> Result<Matrix, ComputeError> {
        check_factors(&self.shape, factors)?;
        if mode > 2 {
            return Err(no_such_mode(mode, &self.shape));
        }
        let rank = factors[0].cols();
        let mut product = Matrix::zeros(self.shape[mode], rank);
        if self.tensor.values().is_empty() || rank == 0 {
            return Ok(product);
        }
        if self.rank != rank {
            (self.rank, self.held) = (rank, None);
        }
        let held = match self.held {
            Some(held) if held != mode => held,
            // The mode whose turn is last.
            _ => {
                let last = (mode + 2) % 3;
                self.contract(&factors[last], last);
                self.held = Some(last);
                last
            }
        };
        match held {
            2 => self.gather_from_last(&factors[1 - mode], mode, &mut product),
            _ if mode == 2 => self.gather_last(&factors[1 - held], &mut product),
            _ => self.gather_outer(&factors[2], &mut product),
        }
        Ok(product)
    }

    /// Rank as the rows of `partial` are padded: whole vectors for the last mode, fours for the others.
    fn padded(&self, mode: usize) -> usize {
        if mode == 2 { self.rank.next_multiple_of(WIDEST) } else { self.rank.next_multiple_of(4) }
    }

    /// Contracts one mode. Mode 2 gives `[i, j, rank]`; mode 0 gives `[j, group of k, rank, lane]` and mode 1 `[i, group of k, rank, lane]`.
    fn contract(&mut self, factor: &Matrix, mode: usize) {
        let [first, second, third] = self.shape;
        let (padded, lanes, instructions) = (self.padded(mode), T::lanes(self.instructions), self.instructions);
        let weights: Vec<T> = padded_rows(factor, padded);
        let (values, groups) = (self.tensor.values(), third.div_ceil(lanes));
        let length = match mode {
            0 => second * groups * lanes * padded,
            1 => first * groups * lanes * padded,
            _ => first * second * padded,
        };
        self.partial.resize(length, T::default());
        if mode == 2 {
            // Rows of one piece: some hundred kilobytes of the tensor.
            let rows = ((1 << 15) / third).next_multiple_of(8).min(first * second);
            for_each_chunk(&mut self.partial, rows * padded, |number, out| {
                let start = number * rows * third;
                T::right(instructions, &values[start..start + out.len() / padded * third], third, &weights, padded, out);
            });
            return;
        }
        let slice = groups * lanes * padded;
        let (slices, stride) = if mode == 0 { ((TILE / third).clamp(1, second), second * third) } else { (1, third) };
        for_each_chunk(&mut self.partial, slices * slice, |number, sums| {
            sums.fill(T::default());
            for (offset, sums) in sums.chunks_exact_mut(slice).enumerate() {
                let outer = number * slices + offset;
                let part = if mode == 0 { &values[outer * third..] } else { &values[outer * second * third..(outer + 1) * second * third] };
                T::left(instructions, part, stride, third, &weights, padded, sums);
            }
        });
    }

    /// Mode 0 or 1 from the contraction of mode 2: `M[i, r] = Σ_j Y[i, j, r] B[j, r]`, `M[j, r] = Σ_i Y[i, j, r] A[i, r]`.
    fn gather_from_last(&self, other: &Matrix, mode: usize, product: &mut Matrix) {
        let (padded, rank, instructions) = (self.padded(2), self.rank, self.instructions);
        let [first, second, _] = self.shape;
        let weights: Vec<T> = padded_rows(other, padded);
        let mut sums = vec![T::default(); self.shape[mode] * padded];
        let row = second * padded;
        if mode == 0 {
            for_each_chunk(&mut sums, piece(first, row) * padded, |number, sums| {
                for (offset, sums) in sums.chunks_exact_mut(padded).enumerate() {
                    let start = (number * piece(first, row) + offset) * row;
                    T::gather(instructions, sums, &self.partial[start..start + row], &weights);
                }
            });
        } else {
            let rows = piece(second, first * padded);
            for_each_chunk(&mut sums, rows * padded, |number, sums| {
                for (index, weights) in weights.chunks_exact(padded).enumerate() {
                    let start = index * row + number * rows * padded;
                    T::spread(instructions, sums, &self.partial[start..start + sums.len()], weights);
                }
            });
        }
        for (target, sums) in product.values_mut().chunks_exact_mut(rank).zip(sums.chunks_exact(padded)) {
            target.iter_mut().zip(sums).for_each(|(target, sum)| *target = sum.wide());
        }
    }

    /// Mode 2 from the contraction of mode 0 or 1: `M[k, r] = Σ_o F[o, r] Z[o, k, r]`, `o` being the mode that is left.
    fn gather_last(&self, other: &Matrix, product: &mut Matrix) {
        let (padded, lanes, instructions) = (self.padded(0), T::lanes(self.instructions), self.instructions);
        let weights: Vec<T> = padded_rows(other, padded);
        let slice = self.shape[2].div_ceil(lanes) * lanes * padded;
        let mut sums = vec![T::default(); slice];
        let part = piece(slice / (padded * lanes), other.rows() * padded * lanes) * padded * lanes;
        for_each_chunk(&mut sums, part, |number, sums| {
            for (outer, weights) in weights.chunks_exact(padded).enumerate() {
                let start = outer * slice + number * part;
                T::scale_add(instructions, sums, &self.partial[start..start + sums.len()], weights);
            }
        });
        for k in 0..self.shape[2] {
            let target = product.row_mut(k);
            (0..target.len()).for_each(|r| target[r] = sums[(k / lanes * padded + r) * lanes + k % lanes].wide());
        }
    }

    /// The outer mode (0 or 1) from the contraction of the other one: `M[o, r] = Σ_k C[k, r] Z[o, k, r]`.
    fn gather_outer(&self, last: &Matrix, product: &mut Matrix) {
        let (padded, lanes, rank, instructions) = (self.padded(0), T::lanes(self.instructions), self.rank, self.instructions);
        let groups = self.shape[2].div_ceil(lanes);
        let slice = groups * lanes * padded;
        let mut weights = vec![T::default(); slice];
        for (k, row) in last.row_iter().enumerate() {
            row.iter().enumerate().for_each(|(r, value)| weights[(k / lanes * padded + r) * lanes + k % lanes] = T::of(*value));
        }
        let rows = piece(product.rows(), slice);
        product.values_mut().par_chunks_mut(rows * rank).enumerate().for_each(|(number, target)| {
            let mut sums = vec![T::default(); padded * lanes];
            for (offset, target) in target.chunks_exact_mut(rank).enumerate() {
                sums.fill(T::default());
                let start = (number * rows + offset) * slice;
                T::gather(instructions, &mut sums, &self.partial[start..start + slice], &weights);
                for (target, sums) in target.iter_mut().zip(sums.chunks_exact(lanes)) {
                    *target = sums.iter().map(|sum| sum.wide()).sum();
                }
            }
        });
    }
}

/// Items of one piece of work when an item costs so many values: some ten thousand values a piece. Follows from the shapes alone.
fn piece(items: usize, values: usize) -> usize {
    ((1 << 15) / values.max(1)).clamp(1, items.max(1))
}

/// The rows of a matrix, each followed by zeros up to `padded`.
fn padded_rows<T: Lane>(matrix: &Matrix, padded: usize) -> Vec<T> {
    let mut rows = vec![T::default(); matrix.rows() * padded];
    for (target, row) in rows.chunks_exact_mut(padded).zip(matrix.row_iter()) {
        target.iter_mut().zip(row).for_each(|(target, value)| *target = T::of(*value));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix, same_on_any_threads};
    use crate::tensor::mttkrp;

    fn problem(shape: &[usize], rank: usize) -> (Vec<f64>, Vec<Matrix>) {
        let values = normal_matrix(1, 1, shape.iter().product()).into_values();
        (values, shape.iter().enumerate().map(|(mode, &size)| normal_matrix(2 + mode as u64, size, rank)).collect())
    }

    #[test]
    fn products_of_any_order_of_calls_equal_the_plain_ones() {
        any_order_of_calls::<f64>(1e-9);
        any_order_of_calls::<f32>(1e-3);
    }

    fn any_order_of_calls<T: Lane>(tolerance: f64) {
        for shape in [[1, 1, 1], [4, 5, 6], [9, 3, 17], [2, 40, 8], [30, 41, 50]] {
            for rank in [1, 3, 8, 21, 29, 33] {
                let (values, mut factors) = problem(&shape, rank);
                let tensor = TensorRef::new(&shape, &values).unwrap();
                let own: Vec<T> = values.iter().map(|value| T::of(*value)).collect();
                let mut tree = DimensionTree::new(TensorRef::new(&shape, &own).unwrap()).unwrap();
                for (call, mode) in [0, 1, 2, 0, 1, 2, 2, 1, 0, 1, 1, 2].into_iter().enumerate() {
                    let found = tree.product(&factors, mode).unwrap();
                    all_close(found.values(), mttkrp(tensor, &factors, mode).unwrap().values(), tolerance);
                    factors[mode] = normal_matrix(100 + call as u64, shape[mode], rank);
                    tree.changed(mode);
                }
            }
        }
    }

    fn two_sweeps<T: Lane>(tensor: TensorRef<'_, T>, factors: &[Matrix]) -> Vec<f64> {
        let mut tree = DimensionTree::new(tensor).unwrap();
        let mut all = Vec::new();
        for mode in [0, 1, 2, 0, 1, 2] {
            all.extend(tree.product(factors, mode).unwrap().into_values());
            tree.changed(mode);
        }
        all
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let shape = [40, 50, 61];
        let (values, mut factors) = problem(&shape, 5);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        factors.iter_mut().for_each(|factor| factor.values_mut().iter_mut().for_each(|value| *value = value.abs()));
        let single: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        same_on_any_threads(|| two_sweeps(tensor, &factors));
        same_on_any_threads(|| two_sweeps(TensorRef::new(&shape, &single).unwrap(), &factors));
    }

    #[test]
    fn other_shapes_are_refused_and_empty_tensors_give_zeros() {
        let (values, factors) = problem(&[3, 4], 2);
        assert!(DimensionTree::new(TensorRef::new(&[3, 4], &values).unwrap()).unwrap_err().to_string().contains("it is for three"));
        let (values, _) = problem(&[3, 4, 1], 2);
        let mut tree = DimensionTree::new(TensorRef::new(&[3, 4, 1], &values).unwrap()).unwrap();
        assert!(tree.product(&factors, 0).is_err());
        let empty = [Matrix::zeros(3, 2), Matrix::zeros(0, 2), Matrix::zeros(5, 2)];
        let mut tree = DimensionTree::new(TensorRef::<f64>::new(&[3, 0, 5], &[]).unwrap()).unwrap();
        assert_eq!(tree.product(&empty, 0).unwrap(), Matrix::zeros(3, 2));
        assert!(tree.product(&empty, 3).is_err());
    }
}
