//! Non-negative CP decomposition of a three-way tensor by HALS, several starts at a time, on the device.
//!
//! Model: `X ≈ Σ_r a_r ∘ b_r ∘ c_r`, all factors ≥ 0. For each mode `U = MTTKRP`, `Γ = ∗ FᵀF` of the other modes, then column by column
//! `F_r ← max(ε, F_r + (U_r − F Γ_r) / Γ_rr)` (Cichocki & Phan 2009). The tensor is sent once, the factors of all starts lie side by side, so that one pass over the
//! tensor serves all of them; sweeps follow each other without the host, and factors and errors come back once.
//!
//! Single precision: the error of a sweep follows from products and Gram matrices and is exact to about `1e-3` of the norm of the tensor; the errors of
//! [`Hals::finish`] are sums of squared differences and exact to rounding.

use bytemuck::{Pod, Zeroable};

use super::kernels::fold::{Fold, Threads};
use super::kernels::product::check;
use super::kernels::tile::fill;
use super::{Buffer, Gpu, GpuError, Recording};
use crate::Matrix;
use crate::nonnegative::{Decomposition, Stopping, normalised, start};
use crate::random::Stream;
use crate::tensor::TensorRef;

/// Least value of a factor's element.
pub const FLOOR: f32 = 1e-12;

/// Elements of the tensor whose squared differences one workgroup adds.
const PART: usize = 1 << 14;

/// The result of one start.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The factor of each mode, row-major `[size × rank]`. Columns of the first two modes have unit length or carry each other's scale.
    pub factors: [Vec<f32>; 3],
    /// ‖X − X̂‖ / ‖X‖.
    pub relative_error: f64,
}

/// Decompositions of one tensor from several starts, on the device.
pub struct Hals<'g> {
    gpu: &'g Gpu,
    shape: [usize; 3],
    rank: usize,
    runs: usize,
    tensor: Buffer,
    factors: [Buffer; 3],
    grams: [Buffer; 3],
    /// ‖X‖².
    squared: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Sizes {
    sizes: [u32; 3],
    number: f32,
}

/// `sweeps` sweeps from each start, with one read-back of factors and errors.
///
/// `values` are row-major of `shape`; a start has one row-major factor `[size × rank]` a mode.
///
/// # Errors
/// When lengths don't fit, values are negative or not finite or all zero, memory is short, or the device fails.
pub fn hals(
    gpu: &Gpu,
    shape: [usize; 3],
    values: &[f32],
    rank: usize,
    starts: &[[Vec<f32>; 3]],
    sweeps: usize,
) -> Result<Vec<Run>, GpuError> {
    let hals = Hals::new(gpu, shape, values, rank, starts)?;
    for _ in 0..sweeps {
        hals.record_sweep()?.0.submit()?;
    }
    hals.finish()
}

/// Sweeps between two looks at the errors and at whether to go on.
const ROUND: usize = 10;

/// Decompositions from random starts, one a stream: the starting points of [`crate::nonnegative::hals_single`], then plain sweeps of one pass, without extrapolation. They end when no error changes
/// by more than the tolerance in a sweep, on average over ten, or when `go_on` says no.
///
/// # Errors
/// As [`hals`]; a tensor of other than three modes.
pub fn decompose(
    gpu: &Gpu,
    tensor: TensorRef<'_, f32>,
    rank: usize,
    stopping: Stopping,
    streams: &[Stream],
    go_on: impl Fn() -> bool,
) -> Result<Vec<Decomposition>, GpuError> {
    let Ok(shape) = <[usize; 3]>::try_from(tensor.shape()) else {
        return Err(GpuError::shape("ntf", format!("{} modes; it is for three", tensor.shape().len())));
    };
    let squared = tensor.squared_norm();
    let starts = streams.iter().map(|stream| {
        let factors = start(&shape, rank, squared, &mut stream.clone()).map_err(|error| GpuError::shape("ntf", error.to_string()))?;
        Ok([0, 1, 2].map(|mode| factors[mode].values().iter().map(|value| *value as f32).collect::<Vec<f32>>()))
    });
    let starts = starts.collect::<Result<Vec<_>, GpuError>>()?;
    let hals = Hals::new(gpu, shape, tensor.values(), rank, &starts)?;
    let mut before: Vec<f32> = vec![f32::INFINITY; streams.len()];
    let mut sweeps = 0;
    while sweeps < stopping.sweeps && go_on() {
        let round = ROUND.min(stopping.sweeps - sweeps);
        for _ in 1..round {
            hals.record_sweep()?.0.submit()?;
        }
        let errors = hals.sweep()?;
        sweeps += round;
        let largest = errors.iter().zip(&before).map(|(now, before)| f64::from((now - before).abs())).fold(0.0, f64::max);
        if largest < stopping.tolerance * round as f64 {
            break;
        }
        before = errors;
    }
    let decomposition = |run: Run| {
        let factors = run.factors.into_iter().zip(shape).map(|(factor, size)| {
            Matrix::new(size, rank, factor.into_iter().map(f64::from).collect()).map_err(|error| GpuError::Failed(error.to_string()))
        });
        let loss = 0.5 * run.relative_error.powi(2) * squared;
        Ok(normalised(factors.collect::<Result<_, GpuError>>()?, run.relative_error, loss, sweeps))
    };
    hals.finish()?.into_iter().map(decomposition).collect()
}

impl<'g> Hals<'g> {
    /// Sends the tensor and the starts.
    ///
    /// # Errors
    /// As [`hals`].
    pub fn new(gpu: &'g Gpu, shape: [usize; 3], values: &[f32], rank: usize, starts: &[[Vec<f32>; 3]]) -> Result<Hals<'g>, GpuError> {
        const NAME: &str = "ntf";
        check(NAME, values.len(), &shape)?;
        for factors in starts {
            factors.iter().zip(shape).try_for_each(|(factor, size)| check(NAME, factor.len(), &[size, rank]))?;
        }
        let runs = starts.len();
        if values.is_empty() || rank == 0 || runs == 0 {
            return Err(GpuError::shape(NAME, format!("a tensor of shape {shape:?}, rank {rank} and {runs} starts: nothing to factorise")));
        }
        if let Some(at) = values.iter().position(|value| !(*value >= 0.0 && value.is_finite())) {
            return Err(GpuError::shape(NAME, format!("value {at} is {}; values must be finite and not negative", values[at])));
        }
        let squared: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
        if squared == 0.0 {
            return Err(GpuError::shape(NAME, "all values are zero: nothing to factorise"));
        }
        let tensor = gpu.upload(values)?;
        let factor = |mode: usize| {
            let side_by_side: Vec<f32> = (0..shape[mode])
                .flat_map(|row| starts.iter().flat_map(move |factors| factors[mode][row * rank..(row + 1) * rank].iter().copied()))
                .collect();
            gpu.upload(&side_by_side)
        };
        let factors = [factor(0)?, factor(1)?, factor(2)?];
        let gram = || gpu.empty(runs * rank * rank);
        let hals = Hals { gpu, shape, rank, runs, tensor, factors, grams: [gram()?, gram()?, gram()?], squared };
        let mut recording = gpu.record();
        (0..3).try_for_each(|mode| hals.record_gram(&mut recording, mode))?;
        recording.submit()?;
        Ok(hals)
    }

    /// One sweep over the three modes; gives the relative error of each start after it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn sweep(&self) -> Result<Vec<f32>, GpuError> {
        let (recording, errors) = self.record_sweep()?;
        super::kernels::product::one(recording.read(&[&errors])?)
    }

    /// Reads factors and errors back.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(&self) -> Result<Vec<Run>, GpuError> {
        let mut recording = self.gpu.record();
        let parts = self.tensor.len().div_ceil(PART);
        let kernel = self.with_threads("ntf residual", include_str!("kernels/residual.wgsl"), &[false, false, false, false, true])?;
        let sums = self.gpu.empty(self.runs * parts)?;
        let [_, columns, depth] = self.shape;
        let sizes = [self.tensor.len(), columns, depth, self.rank, self.runs, parts, PART, 0].map(|size| size as u32);
        let [a, b, c] = &self.factors;
        recording.call_groups(&kernel, &sizes, &[&self.tensor, a, b, c, &sums], self.runs * parts)?;
        let residuals = recording.fold_rows(&sums, self.runs, parts, Fold::Sum)?;
        let read = recording.read(&[&residuals, a, b, c])?;
        let [residuals, factors @ ..] = read.as_slice() else { return Err(GpuError::Failed("nothing was read back".into())) };
        let width = self.rank * self.runs;
        let of_run = |run: usize, mode: usize| -> Vec<f32> {
            factors[mode].chunks(width).flat_map(|row| row[run * self.rank..(run + 1) * self.rank].iter().copied()).collect()
        };
        let runs = residuals.iter().enumerate().map(|(run, residual)| Run {
            factors: [of_run(run, 0), of_run(run, 1), of_run(run, 2)],
            relative_error: (f64::from(*residual) / self.squared).sqrt(),
        });
        Ok(runs.collect())
    }

    fn record_sweep(&self) -> Result<(Recording<'g>, Buffer), GpuError> {
        let gpu = self.gpu;
        let mut recording = gpu.record();
        let mut last = None;
        for mode in 0..3 {
            let [first, second] = match mode {
                0 => [1, 2],
                1 => [0, 2],
                _ => [0, 1],
            };
            let others = [&self.factors[first], &self.factors[second]];
            let product = recording.mttkrp(&self.tensor, self.shape, others, self.rank * self.runs, mode)?;
            let kernel = gpu.kernel("ntf hals", || include_str!("kernels/hals.wgsl").to_owned(), &[false, false, false, true])?;
            let sizes = self.sizes(self.shape[mode], FLOOR);
            let buffers = [&product, &self.grams[first], &self.grams[second], &self.factors[mode]];
            recording.call_each(&kernel, &sizes, &buffers, self.shape[mode] * self.runs)?;
            self.record_gram(&mut recording, mode)?;
            // The first two modes hand their scale to each other, so that no factor grows or vanishes.
            if mode < 2 {
                self.record_balance(&mut recording, mode, 1 - mode)?;
            }
            last = Some(product);
        }
        let errors = gpu.empty(self.runs)?;
        if let Some(product) = &last {
            let written = [false, false, false, false, false, true];
            let kernel = self.with_threads("ntf errors", include_str!("kernels/run_errors.wgsl"), &written)?;
            let sizes = self.sizes(self.shape[2] * self.rank, self.squared as f32);
            let [a, b, c] = &self.grams;
            recording.call(&kernel, &sizes, &[product, &self.factors[2], a, b, c, &errors], [self.runs as u32, 1, 1])?;
        }
        Ok((recording, errors))
    }

    fn record_gram(&self, recording: &mut Recording<'_>, mode: usize) -> Result<(), GpuError> {
        let kernel = self.with_threads("ntf grams", include_str!("kernels/run_grams.wgsl"), &[false, true])?;
        let sizes = self.sizes(self.shape[mode], 0.0);
        recording.call_groups(&kernel, &sizes, &[&self.factors[mode], &self.grams[mode]], self.runs * self.rank * self.rank)
    }

    fn record_balance(&self, recording: &mut Recording<'_>, mode: usize, other: usize) -> Result<(), GpuError> {
        let kernel = self.gpu.kernel("ntf balance", || include_str!("kernels/balance.wgsl").to_owned(), &[false, true, true])?;
        let sizes = [self.shape[mode], self.shape[other], self.rank, self.runs].map(|size| size as u32);
        let elements = (self.shape[mode] + self.shape[other]) * self.rank * self.runs;
        recording.call_each(&kernel, &sizes, &[&self.grams[mode], &self.factors[mode], &self.factors[other]], elements)?;
        self.record_gram(recording, mode)?;
        self.record_gram(recording, other)
    }

    fn sizes(&self, size: usize, number: f32) -> Sizes {
        Sizes { sizes: [size, self.rank, self.runs].map(|size| size as u32), number }
    }

    fn with_threads(&self, name: &str, template: &str, written: &[bool]) -> Result<std::sync::Arc<super::device::Kernel>, GpuError> {
        let threads = Threads::of(self.gpu);
        let source = || {
            let functions = include_str!("kernels/combine.wgsl").to_owned() + &threads.combine("added");
            let values = [("functions", functions), ("builtins", threads.builtins.to_owned()), ("lane", threads.lane.to_owned())];
            fill(template, &values)
        };
        self.gpu.kernel(name, source, written)
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::{testing, testing_all};
    use super::*;
    use crate::nonnegative::{factor_match, hals_single};
    use crate::tensor::{hadamard_of_grams, mttkrp, reconstruct};

    fn single(values: &[f64]) -> Vec<f32> {
        values.iter().map(|value| *value as f32).collect()
    }

    fn matrices(shape: [usize; 3], rank: usize, stream: &mut Stream) -> Vec<Matrix> {
        shape.iter().map(|size| Matrix::from_fn(*size, rank, |_, _| stream.uniform() + 0.01)).collect()
    }

    fn start(factors: &[Matrix]) -> [Vec<f32>; 3] {
        [0, 1, 2].map(|mode| single(factors[mode].values()))
    }

    /// The same sweeps in double precision.
    fn twin(tensor: TensorRef<'_>, factors: &mut [Matrix], sweeps: usize) -> f64 {
        let rank = factors[0].cols();
        for _ in 0..sweeps {
            for mode in 0..3 {
                let update = mttkrp(tensor, factors, mode).unwrap();
                let grams = hadamard_of_grams(factors, Some(mode)).unwrap();
                for column in 0..rank {
                    for row in 0..factors[mode].rows() {
                        let model: f64 = (0..rank).map(|other| factors[mode][(row, other)] * grams[(column, other)]).sum();
                        let step = (update[(row, column)] - model) / grams[(column, column)];
                        factors[mode][(row, column)] = (factors[mode][(row, column)] + step).max(f64::from(FLOOR));
                    }
                }
                if mode < 2 {
                    for column in 0..rank {
                        let norm = factors[mode].column(column).iter().map(|value| value * value).sum::<f64>().sqrt();
                        (0..factors[mode].rows()).for_each(|row| factors[mode][(row, column)] /= norm);
                        (0..factors[1 - mode].rows()).for_each(|row| factors[1 - mode][(row, column)] *= norm);
                    }
                }
            }
        }
        let model = reconstruct(factors).unwrap();
        let residual: f64 = tensor.values().iter().zip(&model).map(|(x, y)| (x - y).powi(2)).sum();
        (residual / tensor.squared_norm()).sqrt()
    }

    #[test]
    fn sweeps_from_several_starts_equal_those_in_double_precision() {
        for gpu in testing_all() {
            for (shape, rank, runs) in [([9, 12, 7], 3, 3), ([1, 1, 1], 1, 1), ([40, 5, 33], 5, 2)] {
                let mut stream = Stream::new(1);
                let planted = matrices(shape, rank, &mut stream);
                let noise: Vec<f64> = reconstruct(&planted).unwrap().iter().map(|value| value + 0.2 * stream.uniform()).collect();
                let values = single(&noise);
                let exact: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
                let tensor = TensorRef::new(&shape, &exact).unwrap();
                let starts: Vec<Vec<Matrix>> = (0..runs).map(|_| matrices(shape, rank, &mut stream)).collect();
                let sent: Vec<[Vec<f32>; 3]> = starts.iter().map(|factors| start(factors)).collect();
                let found = hals(&gpu, shape, &values, rank, &sent, 5).unwrap();
                for (run, mut factors) in found.iter().zip(starts) {
                    let expected = twin(tensor, &mut factors, 5);
                    assert!((run.relative_error - expected).abs() < 1e-4, "{shape:?}: {} {expected}", run.relative_error);
                    for (found, expected) in run.factors.iter().zip(&factors) {
                        let worst = found.iter().zip(expected.values()).map(|(a, b)| (f64::from(*a) - b).abs() / b.abs().max(1.0));
                        assert!(worst.fold(0.0, f64::max) < 2e-2);
                    }
                }
            }
        }
    }

    #[test]
    fn a_planted_tensor_is_found_and_errors_of_sweeps_fall_to_that_of_the_end() {
        let Some(gpu) = testing() else { return };
        let (shape, rank) = ([12, 10, 8], 2);
        let mut stream = Stream::new(4);
        let planted: Vec<Matrix> = shape.iter().map(|size| Matrix::from_fn(*size, rank, |_, _| stream.exponential())).collect();
        let values = single(&reconstruct(&planted).unwrap());
        let starts: Vec<_> = (0..3).map(|_| start(&matrices(shape, rank, &mut stream))).collect();
        let run = Hals::new(&gpu, shape, &values, rank, &starts).unwrap();
        let errors: Vec<Vec<f32>> = (0..60).map(|_| run.sweep().unwrap()).collect();
        let best = run.finish().unwrap().into_iter().map(|run| run.relative_error).fold(f64::INFINITY, f64::min);
        assert!(best < 5e-3, "{best}");
        for start in 0..3 {
            assert!(errors.windows(2).all(|pair| pair[1][start] <= pair[0][start] + 3e-3), "{start}");
        }
    }

    #[test]
    fn decompositions_are_those_of_the_cpu() {
        let Some(gpu) = testing() else { return };
        let (shape, rank) = ([14, 11, 9], 2);
        let mut stream = Stream::new(4);
        let planted: Vec<Matrix> = shape.iter().map(|size| Matrix::from_fn(*size, rank, |_, _| stream.exponential())).collect();
        let noisy: Vec<f64> = reconstruct(&planted).unwrap().iter().map(|value| value + 0.3 * stream.uniform()).collect();
        let values = single(&noisy);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let stopping = Stopping { sweeps: 300, tolerance: 0.0 };
        let streams: Vec<Stream> = (0..2).map(|at| Stream::new(1).split_index(at)).collect();
        let found = decompose(&gpu, tensor, rank, stopping, &streams, || true).unwrap();
        for (found, stream) in found.iter().zip(streams) {
            let expected = hals_single(tensor, rank, crate::nonnegative::Hals::default(), stopping, stream).unwrap();
            assert_eq!(found.sweeps, 300);
            // Noise leaves several minima that are nearly as deep.
            assert!((found.relative_error - expected.relative_error).abs() < 3e-3, "{} {}", found.relative_error, expected.relative_error);
            assert!(factor_match(&found.factors, &expected.factors).unwrap() > 0.95);
        }
        assert_eq!(decompose(&gpu, tensor, rank, stopping, &[Stream::new(1)], || false).unwrap()[0].sweeps, 0);
        let flat = TensorRef::new(&shape[..2], &values[..154]).unwrap();
        assert!(decompose(&gpu, flat, rank, stopping, &[Stream::new(1)], || true).unwrap_err().to_string().contains("three"));
    }

    #[test]
    fn what_can_not_be_factorised_is_refused() {
        let Some(gpu) = testing() else { return };
        let ones = || vec![[vec![1.0], vec![1.0], vec![1.0]]];
        let message = |shape, values: &[f32], starts: &[[Vec<f32>; 3]]| hals(&gpu, shape, values, 1, starts, 1).unwrap_err().to_string();
        assert!(message([1, 1, 1], &[-1.0], &ones()).contains("value 0 is -1"));
        assert!(message([1, 1, 1], &[f32::NAN], &ones()).contains("NaN"));
        assert!(message([1, 1, 1], &[0.0], &ones()).contains("all values are zero"));
        assert!(message([1, 0, 1], &[], &[]).contains("nothing to factorise"));
        assert!(message([1, 1, 2], &[1.0, 2.0], &ones()).contains("don't fill"));
    }
}
