//! Many linear discriminants on the device: of the same trials under different labels, their covariances, the solutions with the class means, and the scores of tested trials.
//!
//! A labelling gives a system `S = share · T + Σ_t f_t² x_t x_tᵀ − Σ_c r_c² m_c m_cᵀ + diag(d)`, where `T` is the scatter that all labellings share. Its factors, roots and diagonal
//! come from the host, which knows them in double precision; everything that costs features squared or more stays on the device. A batch of systems is one submission
//! and one read-back, and the next may be prepared meanwhile.
//!
//! Products are those of [`super::kernels`]; `S` is factored by Cholesky, one workgroup a system, which fills a device from some hundred systems on.
//! Everything is single precision. [`Solved::least_pivots`] tells how far that may be trusted.

use super::kernels::View;
use super::kernels::product::check;
use super::record::Pending;
use super::{Buffer, Gpu, GpuError};

/// Elements of the largest array of a batch: covariances, or scores.
const MOST: usize = 1 << 24;

/// Turns of all loops of one thread in a call, about. Mesa's llvmpipe leaves the loops of a thread after 65,535, without a word; cards have watchdogs for what takes long.
const TURNS: usize = 1 << 15;

/// Arrays of weighted trials in turn, so that one is filled while another is multiplied.
const IN_TURN: usize = 4;

/// The trials of one training and one tested side, on the device.
pub struct Sides<'g> {
    gpu: &'g Gpu,
    trained: Buffer,
    tested: Buffer,
    total: Buffer,
    n_trained: usize,
    n_tested: usize,
    features: usize,
    classes: usize,
}

/// Some systems, one after the other in every list.
#[derive(Debug, Clone, Default)]
pub struct Systems {
    /// What the common scatter counts, for each system.
    pub shares: Vec<f32>,
    /// The factor of each trained trial `[system × trial]`, or none when no system has any.
    pub factors: Vec<f32>,
    /// `[system × class × feature]`.
    pub means: Vec<f32>,
    /// `r_c`, `[system × class]`.
    pub roots: Vec<f32>,
    /// `[system × feature]`.
    pub diagonal: Vec<f32>,
}

/// Systems that are being solved.
pub struct Solving<'g> {
    pending: Pending<'g>,
}

/// What some systems came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// `x · S⁻¹ m` of tested trials `[system × tested × class]`.
    pub products: Vec<f32>,
    /// `m · S⁻¹ m`, `[system × class]`.
    pub lengths: Vec<f32>,
    /// The smallest pivot of each system as a share of its feature's variance, from 0 to 1; not positive where the system could not be solved.
    pub least_pivots: Vec<f32>,
}

impl<'g> Sides<'g> {
    /// Sends trials `[trial × feature]` and the scatter `T` `[feature × feature]`.
    ///
    /// # Errors
    /// When lengths don't fit, there is no feature or class, or the device fails.
    pub fn new(
        gpu: &'g Gpu,
        trained: &[f32],
        tested: &[f32],
        total: &[f32],
        features: usize,
        classes: usize,
    ) -> Result<Sides<'g>, GpuError> {
        const NAME: &str = "discriminants";
        if features == 0 || classes == 0 {
            return Err(GpuError::shape(NAME, "there are no features or classes"));
        }
        let (n_trained, n_tested) = (trained.len() / features, tested.len() / features);
        check(NAME, trained.len(), &[n_trained, features])?;
        check(NAME, tested.len(), &[n_tested, features])?;
        check(NAME, total.len(), &[features, features])?;
        let (trained, tested, total) = (gpu.upload(trained)?, gpu.upload(tested)?, gpu.upload(total)?);
        Ok(Sides { gpu, trained, tested, total, n_trained, n_tested, features, classes })
    }

    /// Systems that are sent together at most.
    pub fn at_a_time(&self) -> usize {
        let arrays = [self.features * self.features, self.features * self.classes, self.n_tested * self.classes, self.n_trained];
        (MOST / arrays.into_iter().fold(1, usize::max)).max(1)
    }

    /// Begins to solve some systems; does not wait.
    ///
    /// # Errors
    /// When lengths don't fit, or the device fails.
    pub fn begin(&self, systems: &Systems) -> Result<Solving<'g>, GpuError> {
        const NAME: &str = "discriminants";
        let (gpu, size, classes, count) = (self.gpu, self.features, self.classes, systems.shares.len());
        check(NAME, systems.means.len(), &[count, classes, size])?;
        check(NAME, systems.roots.len(), &[count, classes])?;
        check(NAME, systems.diagonal.len(), &[count, size])?;
        if !systems.factors.is_empty() {
            check(NAME, systems.factors.len(), &[count, self.n_trained])?;
        }
        let written = |read: usize, written: usize| [vec![false; read], vec![true; written]].concat();
        let right_sides = gpu.kernel("right sides", || include_str!("kernels/right_sides.wgsl").to_owned(), &written(2, 2))?;
        let weigh = gpu.kernel("weigh rows", || include_str!("kernels/weigh_rows.wgsl").to_owned(), &written(2, 1))?;
        let assemble = gpu.kernel("assemble", || include_str!("kernels/assemble.wgsl").to_owned(), &written(4, 2))?;
        let cholesky = gpu.kernel("cholesky", || include_str!("kernels/cholesky.wgsl").to_owned(), &written(1, 2))?;
        let solve = gpu.kernel("solve", || include_str!("kernels/solve.wgsl").to_owned(), &written(2, 2))?;
        let (means, roots) = (gpu.upload(&systems.means)?, gpu.upload(&systems.roots)?);
        let (shares, diagonal) = (gpu.upload(&systems.shares)?, gpu.upload(&systems.diagonal)?);
        let (scaled, right) = (gpu.empty(count * classes * size)?, gpu.empty(count * size * classes)?);
        let mut recording = gpu.record();
        let sizes = [count as u32, classes as u32, size as u32, 0];
        recording.call_each(&right_sides, &sizes, &[&means, &roots, &scaled, &right], count * classes * size)?;
        let scaled = View::batched(&scaled, classes, size);
        let matrices = recording.product(scaled.t(), scaled, count)?;
        let variances = gpu.empty(count * size)?;
        if systems.factors.is_empty() {
            let sizes = [size as u32, 0, count as u32, 0];
            let buffers = [&self.total, &shares, &diagonal, &self.total, &matrices, &variances];
            recording.call_each(&assemble, &sizes, &buffers, count * size * size)?;
        } else {
            let factors = gpu.upload(&systems.factors)?;
            let turns = (0..IN_TURN.min(count)).map(|_| gpu.empty(self.n_trained * size)).collect::<Result<Vec<_>, _>>()?;
            for (system, weighted) in (0..count).zip(turns.iter().cycle()) {
                let sizes = [system as u32, self.n_trained as u32, size as u32, 0];
                recording.call_each(&weigh, &sizes, &[&self.trained, &factors, weighted], self.n_trained * size)?;
                let more = recording.gram(View::new(weighted, self.n_trained, size))?;
                let sizes = [size as u32, system as u32, 1, 1];
                let buffers = [&self.total, &shares, &diagonal, &more, &matrices, &variances];
                recording.call_each(&assemble, &sizes, &buffers, size * size)?;
            }
        }
        let (least_pivots, lengths) = (gpu.empty(count)?, gpu.empty(count * classes)?);
        let mut first = 0;
        while first < size {
            let tiles = (size - first).div_ceil(16);
            let last = size.min(first + (TURNS / (tiles * tiles + 2 * tiles)).max(1));
            let sizes = [size, count, first, last].map(|size| size as u32);
            recording.call_groups(&cholesky, &sizes, &[&variances, &matrices, &least_pivots], count)?;
            first = last;
        }
        let rows = (TURNS / size).max(1);
        let parts: Vec<[usize; 2]> = (0..size).step_by(rows).map(|first| [first, size.min(first + rows)]).collect();
        let forward = parts.iter().map(|part| (part, 0));
        for (&[first, last], backward) in forward.chain(parts.iter().rev().map(|part| (part, 1))) {
            let sizes = [size, classes, count, first, last, backward, 0, 0].map(|size| size as u32);
            recording.call_each(&solve, &sizes, &[&matrices, &means, &right, &lengths], count * classes)?;
        }
        let products = recording.product(View::new(&self.tested, self.n_tested, size), View::batched(&right, size, classes), count)?;
        Ok(Solving { pending: recording.read_later(&[&products, &lengths, &least_pivots])? })
    }
}

impl Solving<'_> {
    /// Waits for the results.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn wait(self) -> Result<Solved, GpuError> {
        let [products, lengths, least_pivots] = <[Vec<f32>; 3]>::try_from(self.pending.wait()?)
            .map_err(|arrays| GpuError::Failed(format!("{} arrays were read back instead of 3", arrays.len())))?;
        Ok(Solved { products, lengths, least_pivots })
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::testing_all;
    use super::*;
    use crate::Matrix;
    use crate::factor::Cholesky;
    use crate::gpu::kernels::tests::{normal, worst};

    const TESTED: usize = 9;

    /// Trials, their scatter, and systems that differ, all with a positive definite covariance.
    fn problem(
        trials: usize,
        features: usize,
        classes: usize,
        count: usize,
        with_factors: bool,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>, Systems) {
        let (trained, tested) = (normal(1, trials * features), normal(2, TESTED * features));
        let scatter =
            |row: usize, column: usize| (0..trials).map(|trial| trained[trial * features + row] * trained[trial * features + column]).sum();
        let total = (0..features * features).map(|at| scatter(at / features, at % features)).collect();
        let factors = normal(3, if with_factors { count * trials } else { 0 }).iter().map(|factor| 0.05 * factor).collect();
        let systems = Systems {
            shares: (0..count).map(|system| (1.0 + system as f32 / 10.0) / trials as f32).collect(),
            factors,
            means: normal(4, count * classes * features).iter().map(|mean| mean / 10.0).collect(),
            roots: vec![0.2; count * classes],
            diagonal: (0..count * features).map(|at| 0.5 + (at % 7) as f32 / 10.0).collect(),
        };
        (trained, tested, total, systems)
    }

    /// The same in double precision: products and lengths.
    fn definition(
        trained: &[f32],
        tested: &[f32],
        total: &[f32],
        systems: &Systems,
        features: usize,
        classes: usize,
    ) -> (Vec<f64>, Vec<f64>) {
        let (mut products, mut lengths) = (Vec::new(), Vec::new());
        let double = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        for system in 0..systems.shares.len() {
            let means =
                Matrix::new(classes, features, double(&systems.means[system * classes * features..][..classes * features])).unwrap();
            let mut covariance =
                Matrix::new(features, features, double(total)).unwrap().map(|value| value * f64::from(systems.shares[system]));
            for row in 0..features {
                covariance[(row, row)] += f64::from(systems.diagonal[system * features + row]);
                for column in 0..features {
                    for class in 0..classes {
                        let root = f64::from(systems.roots[system * classes + class]);
                        covariance[(row, column)] -= root * root * means[(class, row)] * means[(class, column)];
                    }
                    for (trial, values) in trained.chunks(features).enumerate().filter(|_| !systems.factors.is_empty()) {
                        let factor = f64::from(systems.factors[system * trained.len() / features + trial]);
                        covariance[(row, column)] += factor * factor * f64::from(values[row]) * f64::from(values[column]);
                    }
                }
            }
            let weights = Cholesky::new(&covariance).unwrap().solve(&means.transposed()).unwrap();
            let dot = |x: &[f64], class: usize| (0..features).map(|feature| x[feature] * weights[(feature, class)]).sum::<f64>();
            for values in tested.chunks(features) {
                products.extend((0..classes).map(|class| dot(&double(values), class)));
            }
            lengths.extend((0..classes).map(|class| dot(means.row(class), class)));
        }
        (products, lengths)
    }

    #[test]
    fn systems_are_solved_as_in_double_precision() {
        for gpu in testing_all() {
            for (trials, features, classes, count) in [(20, 1, 2, 3), (40, 5, 3, 4), (150, 70, 7, 3), (60, 130, 2, 6), (90, 380, 3, 2)] {
                for with_factors in [false, true] {
                    let (trained, tested, total, systems) = problem(trials, features, classes, count, with_factors);
                    let sides = Sides::new(&gpu, &trained, &tested, &total, features, classes).unwrap();
                    let found = sides.begin(&systems).unwrap().wait().unwrap();
                    let (products, lengths) = definition(&trained, &tested, &total, &systems, features, classes);
                    let size = products.iter().fold(0.0f64, |size, value| size.max(value.abs()));
                    assert!(worst(&found.products, &products) < 1e-5 * size, "{features} × {classes}");
                    assert!(worst(&found.lengths, &lengths) < 1e-5 * size.max(1.0));
                    assert!(found.least_pivots.iter().all(|share| *share > 0.1 && *share <= 1.0), "{:?}", found.least_pivots);
                }
            }
        }
    }

    #[test]
    fn a_covariance_that_is_not_positive_says_so_and_spoils_no_other() {
        for gpu in testing_all() {
            let (trained, tested, total, mut systems) = problem(40, 5, 3, 3, false);
            let whole = Sides::new(&gpu, &trained, &tested, &total, 5, 3).unwrap();
            let before = whole.begin(&systems).unwrap().wait().unwrap();
            systems.diagonal[5 + 2] = -100.0;
            let found = whole.begin(&systems).unwrap().wait().unwrap();
            assert!(found.least_pivots[1] <= 0.0 && found.least_pivots[0] > 0.0 && found.least_pivots[2] > 0.0);
            assert_eq!(found.products[..TESTED * 3], before.products[..TESTED * 3]);
            systems.diagonal[5 + 2] = f32::NAN;
            assert!(whole.begin(&systems).unwrap().wait().unwrap().least_pivots[1] <= 0.0);
            systems.roots.pop();
            let Err(error) = whole.begin(&systems) else { panic!("solved") };
            assert!(!error.is_of_the_device() && error.to_string().contains("don't fill [3, 3]"), "{error}");
        }
    }

    #[test]
    fn a_lost_device_is_an_error_of_the_device() {
        if super::super::device::testing().is_none() {
            return;
        }
        let gpu = Gpu::open(super::super::Options::default()).unwrap();
        let (trained, tested, total, systems) = problem(40, 5, 3, 3, true);
        let sides = Sides::new(&gpu, &trained, &tested, &total, 5, 3).unwrap();
        gpu.close();
        let Err(error) = sides.begin(&systems) else { panic!("solved") };
        assert!(matches!(error, GpuError::Lost(_)) && error.is_of_the_device());
    }
}
