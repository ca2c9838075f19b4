//! Dense tensors times Khatri–Rao products: the kernel of canonical polyadic decompositions.
//!
//! A decomposition of rank `R` has one factor matrix `[size of mode × R]` a mode. The product of the unfolding of a mode with the Khatri–Rao product of all
//! other factors (MTTKRP; Kolda & Bader 2009, section 3.4) is computed without the full Khatri–Rao product in memory: the last mode is contracted by one matrix product, and
//! the result, `R / (size of the last mode)` times as large as the tensor, serves all other modes ([`Contraction`]); for the last mode the Khatri–Rao
//! product is made slab by slab. The sweeps of a three-way decomposition need one and a half passes over the tensor each, in single or double precision (`DimensionTree`). Unfoldings are row-major with the remaining modes in their order, as in TensorLy.

mod dimension_tree;
pub(crate) mod lanes;

use std::ops::Range;

use rayon::prelude::*;

use crate::product::{for_each_chunk, gemm, gram, multiply_add_to};
use crate::statistics::sum;
use crate::{ComputeError, Matrix, MatrixRef};

pub(crate) use dimension_tree::DimensionTree;
use lanes::instructions;

/// Elements of a slab of the Khatri–Rao product.
const SLAB: usize = 1 << 15;

/// Elements of the tensor that are multiplied at a time when its columns are contracted.
const CACHED: usize = 1 << 14;

/// Elements of partial sums that may be held at a time.
const PARTIAL: usize = 1 << 22;

/// A dense tensor in someone else's memory, row-major, of double precision unless `T` is another.
#[derive(Debug, Clone, Copy)]
pub struct TensorRef<'a, T = f64> {
    shape: &'a [usize],
    values: &'a [T],
}

impl<'a, T> TensorRef<'a, T> {
    /// A view of row-major `values`. Refuses fewer than two modes and a number of values that does not fill the shape.
    pub fn new(shape: &'a [usize], values: &'a [T]) -> Result<TensorRef<'a, T>, ComputeError> {
        if shape.len() < 2 {
            return Err(ComputeError::shape("tensor", format!("{} modes; a decomposition needs at least 2", shape.len())));
        }
        let size = shape.iter().try_fold(1usize, |size, &mode| size.checked_mul(mode));
        if size != Some(values.len()) {
            return Err(ComputeError::shape("tensor", format!("{} values don't fill a tensor of shape {shape:?}", values.len())));
        }
        Ok(TensorRef { shape, values })
    }

    /// Sizes of the modes.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// All values, row-major.
    pub fn values(&self) -> &'a [T] {
        self.values
    }
}

impl TensorRef<'_, f32> {
    /// Sum of the squared values: short runs in single precision, their sums in double.
    pub fn squared_norm(self) -> f64 {
        const LANES: usize = 64;
        let set = instructions();
        let run = |run: &[f32]| {
            let (whole, rest) = run.split_at(run.len() / LANES * LANES);
            let mut sums = [0.0f32; LANES];
            <f32 as lanes::Lane>::gather(set, &mut sums, whole, whole);
            sums.iter().chain(&rest.iter().map(|value| value * value).collect::<Vec<f32>>()).map(|sum| f64::from(*sum)).sum::<f64>()
        };
        sum(&self.values.par_chunks(1 << 12).map(run).collect::<Vec<f64>>())
    }
}

impl<'a> TensorRef<'a> {
    /// Sum of the squared values.
    pub fn squared_norm(self) -> f64 {
        sum(&self.values.par_chunks(1 << 12).map(|run| crate::product::inner(run, run)).collect::<Vec<_>>())
    }

    /// The unfolding along a mode `[size of mode × product of the others]`, as a copy. Refuses a mode that the tensor does not have.
    pub fn unfold(self, mode: usize) -> Result<Matrix, ComputeError> {
        let Some(&rows) = self.shape.get(mode) else { return Err(no_such_mode(mode, self.shape)) };
        let inner: usize = self.shape[mode + 1..].iter().product();
        let outer: usize = self.shape[..mode].iter().product();
        let mut values = Vec::with_capacity(self.values.len());
        for row in 0..rows {
            for block in 0..outer {
                let start = (block * rows + row) * inner;
                values.extend_from_slice(&self.values[start..start + inner]);
            }
        }
        Matrix::new(rows, outer * inner, values)
    }

    /// All modes but the last as rows, the last as columns.
    fn by_last(self) -> Result<MatrixRef<'a>, ComputeError> {
        let (&last, others) = self.shape.split_last().ok_or_else(|| no_such_mode(0, self.shape))?;
        MatrixRef::new(others.iter().product(), last, self.values)
    }
}

/// The unfolding along `mode` times the Khatri–Rao product of all factors but that of `mode`: `[size of mode × rank]`.
///
/// `factors` has one matrix `[size × rank]` a mode; the one of `mode` itself is not read but must fit. For several modes in turn with the same last
/// factor, [`Contraction`] does the largest part of the work once.
pub fn mttkrp(tensor: TensorRef<'_>, factors: &[Matrix], mode: usize) -> Result<Matrix, ComputeError> {
    check_factors(tensor.shape, factors)?;
    let last = tensor.shape.len() - 1;
    match mode {
        _ if mode > last => Err(no_such_mode(mode, tensor.shape)),
        _ if mode < last => Contraction::new(tensor, &factors[last])?.mttkrp(&factors[..last], mode),
        _ => last_mode(tensor, &factors[..last], factors[last].cols()),
    }
}

/// The product for the last mode: slabs of the leading mode, each a product `(part of the unfolding)ᵀ · (slab of the Khatri–Rao product)`, added in order.
fn last_mode(tensor: TensorRef<'_>, factors: &[Matrix], rank: usize) -> Result<Matrix, ComputeError> {
    let by_last = tensor.by_last()?;
    let (first, size) = (tensor.shape[0], by_last.cols());
    let mut total = Matrix::zeros(size, rank);
    if tensor.values.is_empty() || rank == 0 {
        return Ok(total);
    }
    let rows_of_one = by_last.rows() / first;
    // Borders follow from the shape alone, so that sums don't depend on the number of threads.
    let most_slabs = (PARTIAL / (size * rank)).clamp(1, 64);
    let thickness = (SLAB / (rows_of_one * rank)).max(first.div_ceil(most_slabs)).clamp(1, first);
    let middle = khatri_rao(&factors[1..].iter().collect::<Vec<_>>(), rank);
    let slab = |number: usize| {
        let leading = number * thickness..((number + 1) * thickness).min(first);
        let weights = slab_of_khatri_rao(&factors[0], &middle, leading.clone());
        let part = by_last.row_range(leading.start * rows_of_one..leading.end * rows_of_one);
        let mut product = Matrix::zeros(size, rank);
        // By groups of rows that stay in the cache while the kernel runs down their columns.
        let group = (CACHED / size).max(16);
        for start in (0..part.rows()).step_by(group) {
            let rows = start..(start + group).min(part.rows());
            multiply_add_to(part.row_range(rows.clone()).t(), weights.view().row_range(rows), product.values_mut());
        }
        product
    };
    let slabs = first.div_ceil(thickness);
    let partial: Vec<Matrix> = if slabs == 1 { vec![slab(0)] } else { (0..slabs).into_par_iter().map(slab).collect() };
    for part in partial {
        total.values_mut().iter_mut().zip(part.values()).for_each(|(total, part)| *total += part);
    }
    Ok(total)
}

/// A tensor whose last mode is contracted with that mode's factor: `Y[i, j, …, r] = Σ_k X[i, j, …, k] C[k, r]`.
///
/// While the last factor stays as it is, the products for all other modes follow from `Y` with little work.
#[derive(Debug, Clone)]
pub struct Contraction {
    /// Sizes of the modes that are left.
    shape: Vec<usize>,
    /// `[product of the sizes × rank]`.
    values: Matrix,
}

impl Contraction {
    /// Contracts the last mode with its factor `[size × rank]`. Refuses a factor of another size.
    pub fn new(tensor: TensorRef<'_>, last: &Matrix) -> Result<Contraction, ComputeError> {
        let by_last = tensor.by_last()?;
        if last.rows() != by_last.cols() {
            let reason = format!("the last mode has size {}, its factor {} rows", by_last.cols(), last.rows());
            return Err(ComputeError::shape("tensor contraction", reason));
        }
        Ok(Contraction { shape: tensor.shape[..tensor.shape.len() - 1].to_vec(), values: gemm(by_last, last)? })
    }

    /// As [`mttkrp`] for one of the modes that are left; `factors` are those of the modes that are left, in order.
    pub fn mttkrp(&self, factors: &[Matrix], mode: usize) -> Result<Matrix, ComputeError> {
        check_factors(&self.shape, factors)?;
        let rank = self.values.cols();
        if let Some(factor) = factors.iter().find(|factor| factor.cols() != rank) {
            return Err(ComputeError::shape("mttkrp", format!("factors of rank {} and {rank}", factor.cols())));
        }
        let Some(&size) = self.shape.get(mode) else { return Err(no_such_mode(mode, &self.shape)) };
        let mut product = Matrix::zeros(size, rank);
        if self.values.values().is_empty() {
            return Ok(product);
        }
        if mode == 0 {
            self.first_mode(factors, &mut product);
        } else {
            self.other_mode(factors, mode, &mut product);
        }
        Ok(product)
    }

    /// `M[i, r] = Σ_j Y[i, j, r] W[j, r]` with the Khatri–Rao product `W` of the modes after the first.
    fn first_mode(&self, factors: &[Matrix], product: &mut Matrix) {
        let rank = self.values.cols();
        let weights = khatri_rao(&factors[1..].iter().collect::<Vec<_>>(), rank);
        let slice = weights.values().len();
        let rows = if self.values.values().len() < SLAB { self.shape[0] } else { (SLAB / slice).clamp(1, self.shape[0]) };
        for_each_chunk(product.values_mut(), rows * rank, |number, target| {
            for (offset, target) in target.chunks_exact_mut(rank).enumerate() {
                let start = (number * rows + offset) * slice;
                let pairs = self.values.values()[start..start + slice].chunks_exact(rank).zip(weights.values().chunks_exact(rank));
                for (contracted, weights) in pairs {
                    multiply_add(target, contracted, weights);
                }
            }
        });
    }

    /// `S[j, r] = Σ_i A[i, r] Y[i, j, r]` over the first mode, then the modes between are weighted and gathered.
    fn other_mode(&self, factors: &[Matrix], mode: usize, product: &mut Matrix) {
        let rank = self.values.cols();
        let inner: usize = self.shape[1..].iter().product();
        let mut summed = Matrix::zeros(inner, rank);
        let rows = if self.values.values().len() < SLAB { inner } else { inner.div_ceil(64) };
        for_each_chunk(summed.values_mut(), rows * rank, |number, target| {
            for (index, weights) in factors[0].row_iter().enumerate() {
                let start = (index * inner + number * rows) * rank;
                let contracted = &self.values.values()[start..start + target.len()];
                for (target, contracted) in target.chunks_exact_mut(rank).zip(contracted.chunks_exact(rank)) {
                    multiply_add(target, contracted, weights);
                }
            }
        });
        // Weights of the modes between, with ones for the mode itself.
        let ones = Matrix::from_fn(self.shape[mode], rank, |_, _| 1.0);
        let between: Vec<&Matrix> = (1..self.shape.len()).map(|other| if other == mode { &ones } else { &factors[other] }).collect();
        let weights = khatri_rao(&between, rank);
        let after: usize = self.shape[mode + 1..].iter().product();
        for row in 0..inner {
            multiply_add(product.row_mut(row / after % self.shape[mode]), summed.row(row), weights.row(row));
        }
    }
}

/// The Khatri–Rao product: row `(i, j, …)` is the element-wise product of row `i` of the first matrix, row `j` of the second, and so on, the last index
/// running fastest. One row of ones for no matrices. All matrices have `rank` columns.
fn khatri_rao(matrices: &[&Matrix], rank: usize) -> Matrix {
    let mut product = Matrix::from_fn(1, rank, |_, _| 1.0);
    for matrix in matrices {
        product = slab_of_khatri_rao(&product, matrix, 0..product.rows());
    }
    product
}

/// The rows of the Khatri–Rao product of two matrices that belong to a range of rows of the first.
fn slab_of_khatri_rao(first: &Matrix, second: &Matrix, rows: Range<usize>) -> Matrix {
    let rank = first.cols();
    let mut slab = Matrix::zeros(rows.len() * second.rows(), rank);
    if rank == 0 || second.rows() == 0 {
        return slab;
    }
    for (row, block) in rows.zip(slab.values_mut().chunks_exact_mut(second.rows() * rank)) {
        for (target, other) in block.chunks_exact_mut(rank).zip(second.row_iter()) {
            target.iter_mut().zip(first.row(row)).zip(other).for_each(|((target, left), right)| *target = left * right);
        }
    }
    slab
}

/// The element-wise product of the Gram matrices `FᵀF` of all factors `[rank × rank]`, but for the factor `skip`: the left side of the normal equations of that mode.
/// Refuses factors of different rank.
pub fn hadamard_of_grams(factors: &[Matrix], skip: Option<usize>) -> Result<Matrix, ComputeError> {
    let rank = factors.first().map_or(0, Matrix::cols);
    let mut product = Matrix::from_fn(rank, rank, |_, _| 1.0);
    for (mode, factor) in factors.iter().enumerate() {
        if factor.cols() != rank {
            return Err(ComputeError::shape("gram matrices", format!("factors of rank {rank} and {}", factor.cols())));
        }
        if Some(mode) != skip {
            product.values_mut().iter_mut().zip(gram(factor).values()).for_each(|(product, gram)| *product *= gram);
        }
    }
    Ok(product)
}

/// The tensor `Σ_r a_r ∘ b_r ∘ …` of these factors, row-major. Refuses fewer than two factors and factors of different rank.
pub fn reconstruct(factors: &[Matrix]) -> Result<Vec<f64>, ComputeError> {
    let shape: Vec<usize> = factors.iter().map(Matrix::rows).collect();
    check_factors(&shape, factors)?;
    let Some((last, others)) = factors.split_last().filter(|(_, others)| !others.is_empty()) else {
        return Err(ComputeError::shape("reconstruction", "at least 2 factors are needed"));
    };
    gemm(&khatri_rao(&others.iter().collect::<Vec<_>>(), last.cols()), last.t()).map(Matrix::into_values)
}

/// Coordinate descent over the columns of a factor `[rows × rank]`, `passes` times at most: `F_r ← max(floor, F_r + (U_r − F Γ_r) / Γ_rr)` with `U` the
/// product of the unfolding (`update`, of the factor's shape) and `Γ` the element-wise product of the other Gram matrices (`grams`, `[rank × rank]`).
///
/// Each pass lowers `½ ‖X − F K‖²`. Passes after the first end when one changes less than a hundredth of what the first did (Gillis & Glineur 2012, section 3).
/// Refuses shapes that don't fit.
pub fn descend(factor: &mut Matrix, update: &Matrix, grams: &Matrix, floor: f64, passes: usize) -> Result<(), ComputeError> {
    const LANES: usize = lanes::WIDEST;
    let rank = factor.cols();
    if update.shape() != factor.shape() || grams.shape() != (rank, rank) {
        let reason = format!("factor {:?}, product {:?} and Gram matrix {:?}", factor.shape(), update.shape(), grams.shape());
        return Err(ComputeError::shape("coordinate descent", reason));
    }
    if rank == 0 {
        return Ok(());
    }
    let instructions = instructions();
    // Blocks of rows are independent of each other, and each has its own end.
    let rows = 16 * LANES;
    let work = |number: usize, values: &mut [f64]| {
        let (mut own, mut target) = (vec![0.0; rank * LANES], vec![0.0; rank * LANES]);
        for (offset, values) in values.chunks_mut(LANES * rank).enumerate() {
            let row = number * rows + offset * LANES;
            for (lane, line) in values.chunks_exact(rank).enumerate() {
                let update = update.row(row + lane);
                (0..rank).for_each(|r| (own[r * LANES + lane], target[r * LANES + lane]) = (line[r], update[r]));
            }
            // Lanes past the last row hold what an earlier block left: keep them still.
            for lane in values.len() / rank..LANES {
                (0..rank).for_each(|r| (own[r * LANES + lane], target[r * LANES + lane]) = (0.0, 0.0));
            }
            let mut first = 0.0;
            for pass in 0..passes {
                let change = instructions.descend(&mut own, &target, grams.values(), rank, floor);
                if pass == 0 {
                    first = change;
                } else if change <= 1e-4 * first {
                    break;
                }
            }
            for (lane, line) in values.chunks_exact_mut(rank).enumerate() {
                (0..rank).for_each(|r| line[r] = own[r * LANES + lane]);
            }
        }
    };
    if factor.values().len() * rank < 1 << 17 {
        factor.values_mut().chunks_mut(rows * rank).enumerate().for_each(|(number, values)| work(number, values));
    } else {
        for_each_chunk(factor.values_mut(), rows * rank, work);
    }
    Ok(())
}

fn multiply_add(target: &mut [f64], left: &[f64], right: &[f64]) {
    target.iter_mut().zip(left).zip(right).for_each(|((target, left), right)| *target += left * right);
}

fn no_such_mode(mode: usize, shape: &[usize]) -> ComputeError {
    ComputeError::shape("tensor", format!("there is no mode {mode} in a tensor of shape {shape:?}"))
}

fn check_factors(shape: &[usize], factors: &[Matrix]) -> Result<(), ComputeError> {
    let rank = factors.first().map_or(0, Matrix::cols);
    let fits = shape.len() == factors.len() && factors.iter().zip(shape).all(|(factor, &size)| factor.shape() == (size, rank));
    if fits {
        return Ok(());
    }
    let found: Vec<(usize, usize)> = factors.iter().map(Matrix::shape).collect();
    Err(ComputeError::shape(
        "mttkrp",
        format!("factors of sizes {found:?} don't fit a tensor of shape {shape:?}; each has one row an index and one column a component"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, close, normal_matrix, same_on_any_threads};

    fn problem(shape: &[usize], rank: usize) -> (Vec<f64>, Vec<Matrix>) {
        let values = normal_matrix(1, 1, shape.iter().product()).into_values();
        (values, shape.iter().enumerate().map(|(mode, &size)| normal_matrix(2 + mode as u64, size, rank)).collect())
    }

    /// The definition: the unfolding times the Khatri–Rao product of the other factors.
    fn by_definition(tensor: TensorRef<'_>, factors: &[Matrix], mode: usize) -> Matrix {
        let others: Vec<&Matrix> = factors.iter().enumerate().filter(|&(other, _)| other != mode).map(|(_, factor)| factor).collect();
        gemm(&tensor.unfold(mode).unwrap(), &khatri_rao(&others, factors[mode].cols())).unwrap()
    }

    #[test]
    fn every_mode_of_every_order_equals_the_definition() {
        for shape in [vec![5, 7], vec![4, 5, 6], vec![1, 3, 1], vec![3, 4, 2, 5], vec![2, 3, 2, 3, 2], vec![70, 80, 40]] {
            for rank in [1, 3] {
                let (values, factors) = problem(&shape, rank);
                let tensor = TensorRef::new(&shape, &values).unwrap();
                for mode in 0..shape.len() {
                    let found = mttkrp(tensor, &factors, mode).unwrap();
                    all_close(found.values(), by_definition(tensor, &factors, mode).values(), 1e-10);
                }
            }
        }
    }

    #[test]
    fn an_unfolding_keeps_the_order_of_the_other_modes() {
        let values: Vec<f64> = (0..24).map(f64::from).collect();
        let tensor = TensorRef::new(&[2, 3, 4], &values).unwrap();
        let unfolded = tensor.unfold(1).unwrap();
        assert_eq!(unfolded.row(1), [4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0]);
        assert_eq!(tensor.unfold(0).unwrap().row(1)[..3], [12.0, 13.0, 14.0]);
        assert_eq!(tensor.unfold(2).unwrap().row(3), [3.0, 7.0, 11.0, 15.0, 19.0, 23.0]);
        assert_eq!(tensor.squared_norm(), (0..24).map(|value| f64::from(value * value)).sum::<f64>());
    }

    #[test]
    fn the_error_of_a_decomposition_follows_from_products_and_grams() {
        let shape = [6, 7, 5];
        let (values, factors) = problem(&shape, 3);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let model = reconstruct(&factors).unwrap();
        let direct: f64 = values.iter().zip(&model).map(|(value, model)| (value - model).powi(2)).sum();
        let product = mttkrp(tensor, &factors, 2).unwrap();
        let overlap = crate::product::inner(product.values(), factors[2].values());
        let own = sum(hadamard_of_grams(&factors, None).unwrap().values());
        close(tensor.squared_norm() - 2.0 * overlap + own, direct, 1e-12);
    }

    #[test]
    fn the_product_with_a_planted_tensor_is_the_normal_equation() {
        let (_, factors) = problem(&[8, 9, 10], 4);
        let values = reconstruct(&factors).unwrap();
        let tensor = TensorRef::new(&[8, 9, 10], &values).unwrap();
        for mode in 0..3 {
            let expected = gemm(&factors[mode], &hadamard_of_grams(&factors, Some(mode)).unwrap()).unwrap();
            all_close(mttkrp(tensor, &factors, mode).unwrap().values(), expected.values(), 1e-11);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        for shape in [vec![90, 70, 60], vec![9, 80, 40, 20]] {
            let (values, factors) = problem(&shape, 8);
            let tensor = TensorRef::new(&shape, &values).unwrap();
            for mode in 0..shape.len() {
                same_on_any_threads(|| mttkrp(tensor, &factors, mode).unwrap().into_values());
            }
        }
    }

    #[test]
    fn coordinate_descent_is_that_of_the_formula_and_ends_at_the_least_squares_solution() {
        // Columns one after the other, each with the newest others.
        for (rows, rank) in [(1, 1), (7, 3), (300, 5)] {
            let grams = gram(&normal_matrix(1, 20, rank));
            let (start, update) = (normal_matrix(2, rows, rank).map(f64::abs), normal_matrix(3, rows, rank));
            let mut expected = start.clone();
            for column in 0..rank {
                for row in 0..rows {
                    let product: f64 = (0..rank).map(|other| expected[(row, other)] * grams[(other, column)]).sum();
                    expected[(row, column)] =
                        (expected[(row, column)] + (update[(row, column)] - product) / grams[(column, column)]).max(0.0);
                }
            }
            let mut found = start.clone();
            descend(&mut found, &update, &grams, 0.0, 1).unwrap();
            all_close(found.values(), expected.values(), 1e-12);
            // After many passes no column can be improved: the gradient is 0, or not below 0 at the bound.
            (0..200).for_each(|_| descend(&mut found, &update, &grams, 0.0, 10).unwrap());
            let slopes = gemm(&found, &grams).unwrap();
            for (value, (slope, update)) in found.values().iter().zip(slopes.values().iter().zip(update.values())) {
                assert!((slope - update).abs() < 1e-6 || (*value == 0.0 && slope - update > 0.0));
            }
            same_on_any_threads(|| {
                let mut found = start.clone();
                descend(&mut found, &update, &grams, 0.0, 3).unwrap();
                found.into_values()
            });
        }
        assert!(descend(&mut Matrix::zeros(2, 2), &Matrix::zeros(2, 3), &Matrix::zeros(2, 2), 0.0, 1).is_err());
        assert!(descend(&mut Matrix::zeros(2, 0), &Matrix::zeros(2, 0), &Matrix::zeros(0, 0), 0.0, 1).is_ok());
    }

    #[test]
    fn wrong_shapes_are_refused_and_empty_tensors_give_zeros() {
        assert!(TensorRef::new(&[3], &[0.0; 3]).unwrap_err().to_string().contains("1 modes"));
        assert!(TensorRef::new(&[2, 2], &[0.0; 3]).is_err());
        let (values, factors) = problem(&[3, 4, 5], 2);
        let tensor = TensorRef::new(&[3, 4, 5], &values).unwrap();
        assert!(mttkrp(tensor, &factors, 3).unwrap_err().to_string().contains("no mode 3"));
        assert!(mttkrp(tensor, &factors[..2], 0).is_err());
        assert!(Contraction::new(tensor, &factors[0]).is_err());
        assert!(tensor.unfold(3).is_err() && reconstruct(&factors[..1]).is_err());
        let empty = [Matrix::zeros(3, 2), Matrix::zeros(0, 2), Matrix::zeros(5, 2)];
        for mode in 0..3 {
            assert_eq!(mttkrp(TensorRef::new(&[3, 0, 5], &[]).unwrap(), &empty, mode).unwrap(), Matrix::zeros(empty[mode].rows(), 2));
        }
    }
}
