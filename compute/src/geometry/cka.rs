//! Centred kernel alignment (Kornblith et al. 2019): how alike two sets of features of the same samples are, whatever rotation or scale.
//!
//! With the centred kernels `K = X Xᵀ` and `L = Y Yᵀ`, `CKA = ⟨K, L⟩ / (‖K‖ ‖L‖)`. Linear kernels are never made where features are fewer than
//! samples: `⟨K, L⟩ = ‖XᵀY‖²`, and only sums of squares of strips of the product are kept. Whichever of the two spaces costs less is used,
//! symmetric products by halves.

use super::centred::Centred;
use super::same_samples;
use super::strips::{Rows, full_strips, lower_strips};
use crate::error::finite;
use crate::panels::{Block, products};
use crate::real::Real;
use crate::statistics::sum;
use crate::{ComputeError, Matrix};

/// Which estimate of the Hilbert–Schmidt independence criterion CKA is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// The plain one. Grows towards 1 with features per sample, also for noise.
    Biased,
    /// The unbiased one of Song et al. 2012: zero on average for independent features; can be negative. Needs 4 samples.
    Debiased,
}

/// In which precision large products are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 64 bits.
    Double,
    /// 32 bits, about twice as fast; sums over products stay in 64 bits. Relative error about 1e-6.
    Single,
}

/// `⟨K, L⟩`, `⟨K, K⟩` and `⟨L, L⟩` of one estimator, up to a common factor of each side.
#[derive(Debug, Clone, Copy, Default)]
struct Alignment {
    cross: f64,
    left: f64,
    right: f64,
}

impl Alignment {
    /// The ratio; none where a side has no positive norm.
    fn value(self) -> Option<f64> {
        let value = self.cross / (self.left.sqrt() * self.right.sqrt());
        (self.left > 0.0 && self.right > 0.0 && value.is_finite()).then_some(value)
    }
}

/// CKA of linear kernels; none where a side is constant (or, debiased, not told from noise: a norm that is not above zero).
///
/// `x [sample × feature]`, `y [sample × feature]`.
///
/// # Errors
/// Rows that differ in number, fewer than 2 samples (4 when debiased), values that are not finite.
pub fn linear_cka(x: &Matrix, y: &Matrix, estimator: Estimator, precision: Precision) -> Result<Option<f64>, ComputeError> {
    check(x, y, estimator)?;
    let operation = "cka";
    Ok(match (Centred::of(operation, x)?, Centred::of(operation, y)?) {
        (Some(x), Some(y)) => linear_alignment(&x, &y, estimator, precision).value(),
        _ => None,
    })
}

/// CKA over batches of samples (Nguyen et al. 2021): the debiased criterion is averaged over `batches` before the ratio is taken, so that samples
/// need not fit together.
///
/// Each batch lists rows. None as for [`linear_cka`].
///
/// # Errors
/// As [`linear_cka`]; no batch, a batch of fewer than 4 rows or with a row that is not there.
pub fn minibatch_cka(x: &Matrix, y: &Matrix, batches: &[Vec<usize>]) -> Result<Option<f64>, ComputeError> {
    check(x, y, Estimator::Debiased)?;
    if batches.is_empty() {
        return Err(ComputeError::shape("cka of batches", "there is no batch"));
    }
    // One scale of each side for all batches, as the criteria are added.
    let operation = "cka of batches";
    let (Some(whole_x), Some(whole_y)) = (Centred::of(operation, x)?, Centred::of(operation, y)?) else { return Ok(None) };
    let mut mean = Alignment::default();
    for batch in batches {
        if batch.len() < 4 || batch.iter().any(|&row| row >= x.rows()) {
            let reason = format!("a batch of {} rows; batches have 4 rows at least, of the {} there are", batch.len(), x.rows());
            return Err(ComputeError::shape(operation, reason));
        }
        let (part_x, part_y) = (whole_x.matrix().take_rows(batch), whole_y.matrix().take_rows(batch));
        let (Some(part_x), Some(part_y)) = (Centred::of(operation, &part_x)?, Centred::of(operation, &part_y)?) else { continue };
        let part = linear_alignment(
            &part_x.with_scale(whole_x.scale()),
            &part_y.with_scale(whole_y.scale()),
            Estimator::Debiased,
            Precision::Double,
        );
        mean.cross += part.cross;
        mean.left += part.left;
        mean.right += part.right;
    }
    Ok(mean.value())
}

/// CKA of any two kernels `[sample × sample]`, symmetric and not centred; none as for [`linear_cka`].
///
/// # Errors
/// Kernels of different size or not square, fewer than 2 samples (4 when debiased), values that are not finite.
pub fn kernel_cka(k: &Matrix, l: &Matrix, estimator: Estimator) -> Result<Option<f64>, ComputeError> {
    check(k, l, estimator)?;
    finite("cka", k.values())?;
    finite("cka", l.values())?;
    if k.rows() != k.cols() || l.rows() != l.cols() {
        return Err(ComputeError::shape(
            "cka",
            format!("kernels of {} × {} and {} × {}; both are square", k.rows(), k.cols(), l.rows(), l.cols()),
        ));
    }
    let n = k.rows();
    let scaled = |kernel: &Matrix| {
        let largest = kernel.values().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        kernel.clone().map(|value| if largest > 0.0 { value / largest } else { value })
    };
    let (mut k, mut l) = (scaled(k), scaled(l));
    if estimator == Estimator::Debiased {
        for sample in 0..n {
            k[(sample, sample)] = 0.0;
            l[(sample, sample)] = 0.0;
        }
    } else {
        centre_kernel(&mut k);
        centre_kernel(&mut l);
    }
    let product =
        |a: &Matrix, b: &Matrix| sum(&a.row_iter().zip(b.row_iter()).map(|(a, b)| crate::product::inner(a, b)).collect::<Vec<_>>());
    let rows = |kernel: &Matrix| kernel.row_iter().map(sum).collect::<Vec<f64>>();
    let (rows_k, rows_l) = (rows(&k), rows(&l));
    let criterion = |a: &Matrix, rows_a: &[f64], b: &Matrix, rows_b: &[f64]| match estimator {
        Estimator::Biased => product(a, b),
        Estimator::Debiased => unbiased(n, product(a, b), rows_a, rows_b),
    };
    let alignment = Alignment {
        cross: criterion(&k, &rows_k, &l, &rows_l),
        left: criterion(&k, &rows_k, &k, &rows_k),
        right: criterion(&l, &rows_l, &l, &rows_l),
    };
    // A constant kernel leaves rounding only.
    let square = (n * n) as f64;
    let nothing = estimator == Estimator::Biased && (alignment.left < 1e-28 * square || alignment.right < 1e-28 * square);
    Ok(if nothing { None } else { alignment.value() })
}

/// The Gaussian kernel `exp(−d² / (2 (fraction · median)²))` of the rows of `x`, with the median of the distances `d` of all pairs, `[sample ×
/// sample]`; none where the median is zero.
///
/// # Errors
/// More rows than [`super::MOST_ROWS`], fewer than two, values that are not finite.
pub fn gaussian_kernel(x: &Matrix, fraction: f64) -> Result<Option<Matrix>, ComputeError> {
    if !(fraction > 0.0 && fraction.is_finite()) {
        return Err(ComputeError::value("gaussian kernel", format!("the width is {fraction} of the median distance; it is above zero")));
    }
    let n = x.rows();
    let squares = super::euclidean_distances(x)?;
    if squares.is_empty() {
        return Err(ComputeError::shape("gaussian kernel", format!("{n} samples; at least 2 are needed")));
    }
    let distances: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
    let width = crate::statistics::median(&distances) * fraction;
    if !(width > 0.0 && width.is_finite()) {
        return Ok(None);
    }
    let mut kernel = Matrix::identity(n);
    let mut place = 0;
    for row in 0..n {
        for column in row + 1..n {
            let value = (-0.5 * (distances[place] / width).powi(2)).exp();
            kernel[(row, column)] = value;
            kernel[(column, row)] = value;
            place += 1;
        }
    }
    Ok(Some(kernel))
}

fn check(x: &Matrix, y: &Matrix, estimator: Estimator) -> Result<(), ComputeError> {
    same_samples("cka", x, y)?;
    if estimator == Estimator::Debiased && x.rows() < 4 {
        return Err(ComputeError::shape("cka", format!("{} samples; the debiased estimate needs at least 4", x.rows())));
    }
    Ok(())
}

/// The three criteria of features.
fn linear_alignment(x: &Centred<'_>, y: &Centred<'_>, estimator: Estimator, precision: Precision) -> Alignment {
    let products = match precision {
        Precision::Double => linear_products::<f64>(x, y),
        Precision::Single if by_features(x, y) => packed_products(x, y),
        Precision::Single => linear_products::<f32>(x, y),
    };
    if estimator == Estimator::Biased {
        return products;
    }
    // Rows of a centred kernel sum to zero, so without their diagonal they sum to minus the diagonal.
    let (k, l) = (x.squared_rows(), y.squared_rows());
    let without = |product: f64, a: &[f64], b: &[f64]| product - sum(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<f64>>());
    let n = k.len();
    Alignment {
        cross: unbiased(n, without(products.cross, &k, &l), &k, &l),
        left: unbiased(n, without(products.left, &k, &k), &k, &k),
        right: unbiased(n, without(products.right, &l, &l), &l, &l),
    }
}

/// Song et al. 2012, eq. 5, up to `1 / (n (n − 3))`, from kernels without their diagonals: their product and row sums (of one sign).
fn unbiased(n: usize, product: f64, rows_k: &[f64], rows_l: &[f64]) -> f64 {
    let n = n as f64;
    let shared: Vec<f64> = rows_k.iter().zip(rows_l).map(|(k, l)| k * l).collect();
    product + sum(rows_k) * sum(rows_l) / ((n - 1.0) * (n - 2.0)) - 2.0 * sum(&shared) / (n - 2.0)
}

/// Whether products in the space of features cost less than those in the space of samples.
fn by_features(x: &Centred<'_>, y: &Centred<'_>) -> bool {
    let (n, p, q) = (x.matrix().rows() as f64, x.matrix().cols() as f64, y.matrix().cols() as f64);
    // Multiply–adds of the halves and the cross product in feature space, and of the two halves in sample space.
    n * (p * p / 2.0 + q * q / 2.0 + p * q) <= n * n / 2.0 * (p + q)
}

/// In the space of features, in single precision.
fn packed_products(x: &Centred<'_>, y: &Centred<'_>) -> Alignment {
    let (x, y) = (x.column_vectors(), y.column_vectors());
    // For a product of two sides, and for one of a side with itself, of which only one half is made.
    let both = |block: &Block| {
        block.tiles().fold((0.0, 0.0), |(whole, half), (row, column, tile)| {
            let own = squares(tile);
            (whole + own, half + if column < row { 2.0 * own } else { own })
        })
    };
    let found = products(&[&x, &y], &[(0, 1), (0, 0), (1, 1)], both);
    let total = |pair: usize| sum(&found[pair].iter().map(|(whole, half)| if pair == 0 { *whole } else { *half }).collect::<Vec<f64>>());
    Alignment { cross: total(0), left: total(1), right: total(2) }
}

fn linear_products<T: Real>(x: &Centred<'_>, y: &Centred<'_>) -> Alignment {
    if by_features(x, y) {
        let (x, y) = (x.columns::<T>(), y.columns::<T>());
        let cross = full_strips(&x, &y, |_, _, strip| squares(&strip));
        Alignment { cross: sum(&cross), left: symmetric_squares(&x), right: symmetric_squares(&y) }
    } else {
        let (x, y) = (x.rows::<T>(), y.rows::<T>());
        // Both kernels in strips of the same rows, so that neither is ever whole.
        let parts = lower_strips(&x, &x, |first, height, k| {
            let l = lower_strips_of(&y, first, height);
            [(&k, &l), (&k, &k), (&l, &l)].map(|(a, b)| {
                let square: f64 = a[..first * height].iter().zip(b).map(|(a, b)| a.wide() * b.wide()).sum();
                let diagonal: f64 = a[first * height..].iter().zip(&b[first * height..]).map(|(a, b)| a.wide() * b.wide()).sum();
                2.0 * square + diagonal
            })
        });
        let total = |part: usize| sum(&parts.iter().map(|parts| parts[part]).collect::<Vec<f64>>());
        Alignment { cross: total(0), left: total(1), right: total(2) }
    }
}

fn lower_strips_of<T: Real>(rows: &Rows<T>, first: usize, height: usize) -> Vec<T> {
    super::strips::lower_strips_within(rows, rows, first..first + height, |_, _, strip| strip).into_iter().next().unwrap_or_default()
}

/// `‖A Aᵀ‖²` from its lower half.
fn symmetric_squares<T: Real>(rows: &Rows<T>) -> f64 {
    let parts =
        lower_strips(rows, rows, |first, height, strip| 2.0 * squares(&strip[..first * height]) + squares(&strip[first * height..]));
    sum(&parts)
}

fn squares<T: Real>(values: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|value| value.wide() * value.wide()).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value.wide() * value.wide());
    }
    lanes.iter().sum::<f64>() + rest
}

/// Rows and columns made to sum to zero.
fn centre_kernel(kernel: &mut Matrix) {
    let n = kernel.rows();
    let means: Vec<f64> = kernel.row_iter().map(|row| sum(row) / n as f64).collect();
    let all = sum(&means) / n as f64;
    for (row, values) in kernel.values_mut().chunks_exact_mut(n.max(1)).enumerate() {
        values.iter_mut().zip(&means).for_each(|(value, mean)| *value += all - mean - means[row]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::factor::thin_svd;
    use crate::golden::{Case, close, normal_matrix, same_on_any_threads};
    use crate::product::{gemm, gram_of_rows};

    fn cka(x: &Matrix, y: &Matrix, estimator: Estimator) -> f64 {
        linear_cka(x, y, estimator, Precision::Double).unwrap().unwrap()
    }

    #[test]
    fn values_match_numpy_for_tall_wide_and_small_inputs() {
        if let Some(case) = Case::open("similarity/cka_cca") {
            let (a, b) = (case.matrix("A"), case.matrix("B"));
            close(cka(&a, &b, Estimator::Biased), case.number("cka"), 1e-12);
            close(cka(&a, &b, Estimator::Debiased), case.number("cka_debiased"), 1e-12);
        }
        for name in ["small", "tall", "wide"] {
            let Some(case) = Case::open(&format!("more/similarity/subspace_{name}")) else { return };
            let (a, b, values) = (case.matrix("in_A"), case.matrix("in_B"), case.expected()["values"].clone());
            let expected = |key: &str| values[key].as_f64().unwrap();
            close(cka(&a, &b, Estimator::Biased), expected("cka"), 1e-11);
            close(cka(&a, &b, Estimator::Debiased), expected("cka_debiased"), 1e-11);
            let single = linear_cka(&a, &b, Estimator::Biased, Precision::Single).unwrap().unwrap();
            close(single, expected("cka"), 1e-6);
            // Kernels made explicitly.
            let (k, l) = (gram_of_rows(&a), gram_of_rows(&b));
            close(kernel_cka(&k, &l, Estimator::Biased).unwrap().unwrap(), expected("cka"), 1e-10);
            close(kernel_cka(&k, &l, Estimator::Debiased).unwrap().unwrap(), expected("cka_debiased"), 1e-10);
            let all: Vec<usize> = (0..a.rows()).collect();
            close(minibatch_cka(&a, &b, &[all]).unwrap().unwrap(), expected("cka_debiased"), 1e-11);
        }
    }

    #[test]
    fn the_written_oracle_of_an_lcg_is_met() {
        let generate = |seed: u64, rows: usize, cols: usize| {
            let mut state = seed;
            Matrix::from_fn(rows, cols, |_, _| {
                state = (1_103_515_245 * state + 12_345) % (1 << 31);
                state as f64 / (1u64 << 31) as f64
            })
        };
        close(cka(&generate(2, 6, 5), &generate(3, 6, 7), Estimator::Biased), 0.669_685_685_5, 1e-9);
    }

    #[test]
    fn noise_scores_at_zero_when_debiased_and_far_above_when_not() {
        let values: Vec<f64> =
            (0..30).map(|draw| cka(&normal_matrix(100 + draw, 40, 60), &normal_matrix(200 + draw, 40, 60), Estimator::Debiased)).collect();
        assert!(crate::statistics::mean(&values).abs() < 0.03);
        assert!(cka(&normal_matrix(1, 40, 60), &normal_matrix(2, 40, 60), Estimator::Biased) > 0.5);
        let batches: Vec<Vec<usize>> = (0..10).map(|batch| (batch * 10..batch * 10 + 10).collect()).collect();
        let (x, y) = (normal_matrix(3, 100, 8), normal_matrix(4, 100, 5));
        assert!(minibatch_cka(&x, &y, &batches).unwrap().unwrap().abs() < 0.15);
        let mixed = gemm(&x, &normal_matrix(5, 8, 8)).unwrap();
        let whole = cka(&x, &mixed, Estimator::Debiased);
        close(minibatch_cka(&x, &mixed, &batches).unwrap().unwrap(), whole, 0.1);
    }

    #[test]
    fn gaussian_kernels_see_the_same_samples_as_alike() {
        let x = normal_matrix(6, 30, 4);
        let kernel = gaussian_kernel(&x, 1.0).unwrap().unwrap();
        let moved = gaussian_kernel(&x.clone().map(|value| 7.0 * value + 2.0), 1.0).unwrap().unwrap();
        close(kernel_cka(&kernel, &moved, Estimator::Debiased).unwrap().unwrap(), 1.0, 1e-10);
        assert_eq!(gaussian_kernel(&Matrix::zeros(5, 2), 1.0).unwrap(), None);
        assert!(gaussian_kernel(&x, 0.0).is_err());
    }

    #[test]
    fn constants_have_no_alignment_and_wrong_shapes_are_refused() {
        let x = normal_matrix(7, 6, 3);
        let constant = Matrix::from_fn(6, 2, |_, col| 0.1 + col as f64);
        for estimator in [Estimator::Biased, Estimator::Debiased] {
            assert_eq!(linear_cka(&x, &constant, estimator, Precision::Double).unwrap(), None);
        }
        assert_eq!(kernel_cka(&Matrix::identity(4).map(|_| 1.0), &Matrix::identity(4), Estimator::Biased).unwrap(), None);
        assert!(
            linear_cka(&x, &normal_matrix(1, 5, 3), Estimator::Biased, Precision::Double).unwrap_err().to_string().contains("6 and 5 rows")
        );
        assert!(
            linear_cka(&x.take_rows(&[0, 1, 2]), &x.take_rows(&[0, 1, 2]), Estimator::Debiased, Precision::Double)
                .unwrap_err()
                .to_string()
                .contains("at least 4")
        );
        assert!(minibatch_cka(&x, &x, &[vec![0, 1, 2]]).is_err() && minibatch_cka(&x, &x, &[]).is_err());
        assert!(minibatch_cka(&x, &x, &[vec![0, 1, 2, 9]]).is_err());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (x, y) = (normal_matrix(8, 150, 110), normal_matrix(9, 150, 70));
        for precision in [Precision::Double, Precision::Single] {
            for (x, y) in [(&x, &y), (&x.transposed().take_rows(&(0..70).collect::<Vec<_>>()), &y.transposed())] {
                same_on_any_threads(|| vec![linear_cka(x, y, Estimator::Debiased, precision).unwrap().unwrap()]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn rotation_scale_and_place_do_not_matter(seed: u64, scale in 1e-3f64..1e3, rows in 8usize..60) {
            let (x, y) = (normal_matrix(seed, rows, 9), normal_matrix(seed.wrapping_add(1), rows, 12));
            let rotation = thin_svd(&normal_matrix(seed.wrapping_add(2), 9, 9)).unwrap().u;
            let turned = gemm(&x, &rotation).unwrap().map(|value| scale * value + 3.0);
            for estimator in [Estimator::Biased, Estimator::Debiased] {
                prop_assert!((cka(&x, &y, estimator) - cka(&turned, &y, estimator)).abs() < 1e-10);
                prop_assert!((cka(&x, &y, estimator) - cka(&y, &x, estimator)).abs() < 1e-12);
            }
            prop_assert!((cka(&x, &turned, Estimator::Biased) - 1.0).abs() < 1e-10);
        }
    }
}
