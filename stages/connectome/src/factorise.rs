//! What `connectome.ntf` and `connectome.rank` share: activity as a non-negative tensor, fits from several starts, and how well they agree.

use crate::failure::numerical;
use neuroflow_compute::factor::thin_svd;
use neuroflow_compute::gpu::ntf::decompose;
use neuroflow_compute::gpu::{Place, Policy, by_policy};
use neuroflow_compute::nonnegative::{
    Decomposition, Entries, Hals, Loss, SparseTensor, Stopping, bounded, factor_match, hals, hals_single, match_components, multiplicative,
};
use neuroflow_compute::tensor::TensorRef;
use neuroflow_compute::{ComputeError, Matrix, with_threads};
use neuroflow_data::Responses;
use neuroflow_data::random::Stream;
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{Context, GpuPolicy, StageError, words};
use rayon::prelude::*;

words! {
    /// How activity is made non-negative.
    pub enum Scale {
        /// Not at all: negative values are refused.
        None = "none" {},
        /// Each unit to 0 to 1 over all its trials and bins.
        MinMax = "minmax" {},
    }
}

words! {
    /// How the factors are found.
    pub enum Method {
        /// Hierarchical alternating least squares: one column of one factor after the other.
        Hals = "hals" {
            /// Go on along the last change of the factors, and not when that made the error grow.
            extrapolate: bool = true;
            /// The most passes over the columns for one product with the data. 1, not extrapolated, is the classic method.
            passes: usize = 5, in 1.0..=100.0;
        },
        /// Multiplicative updates: slow for squared error, the method for counts.
        Mu = "mu" {},
        /// All factors at once by limited-memory quasi-Newton steps under the bound 0.
        Lbfgsb = "lbfgsb" {},
    }
}

words! {
    /// What the factors make small.
    pub enum Misfit {
        /// Squared error.
        Frobenius = "frobenius" {},
        /// The Kullback–Leibler divergence: the likelihood of Poisson counts. Needs method `mu` or `lbfgsb`, and `scale = none` to mean it.
        Kl = "kl" {},
    }
}

impl Misfit {
    pub(crate) fn loss(&self) -> Loss {
        match self {
            Misfit::Frobenius {} => Loss::Frobenius,
            Misfit::Kl {} => Loss::KullbackLeibler,
        }
    }
}

words! {
    /// How much each value counts.
    pub enum Counting {
        /// All the same.
        Equal = "equal" {},
        /// Each trial as much as any other: values divided by their trial's squared norm, so that one strong trial does not decide alone.
        Trials = "trials" {},
        /// Each unit as much as any other.
        Units = "units" {},
    }
}

/// Activity as `[unit × trial × bin]`.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    pub(crate) shape: [usize; 3],
    /// Non-negative; 0 at gaps.
    pub(crate) values: Vec<f64>,
    /// One a value, from 0 (a gap) to 1; none when all count the same.
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) sparse: Option<SparseTensor>,
    single: Option<Vec<f32>>,
}

/// What is decomposed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    Double(Entries<'a>),
    /// All values, which count the same, in single precision.
    Single(TensorRef<'a, f32>),
}

impl<'a> From<Entries<'a>> for Data<'a> {
    fn from(entries: Entries<'a>) -> Data<'a> {
        Data::Double(entries)
    }
}

impl Activity {
    /// Arranges and scales; gaps (NaN) are refused unless they are asked for.
    pub(crate) fn new(responses: &Responses, scale: &Scale, gaps: bool, counting: &Counting) -> Result<Activity, StageError> {
        let session = &responses.session;
        let shape = [responses.n_units(), responses.n_trials(), responses.n_bins()];
        let [units, trials, bins] = shape;
        if units * trials * bins == 0 {
            return Err(StageError::refused(format!(
                "session {session} has {units} units, {trials} trials and {bins} bins: nothing to factorise"
            )));
        }
        if !gaps {
            require_finite(&format!("session {session}"), responses.values())?;
        }
        let mut values = Vec::with_capacity(units * trials * bins);
        for unit in 0..units {
            let start = values.len();
            (0..trials).for_each(|trial| values.extend_from_slice(responses.trace(trial, unit)));
            non_negative(&mut values[start..], scale, responses, unit)?;
        }
        let missing = values.iter().any(|value| value.is_nan());
        let weights = if missing || !matches!(counting, Counting::Equal {}) { Some(weights(&mut values, shape, counting)) } else { None };
        if let Some(weights) = &weights {
            known(weights, shape, responses)?;
        }
        if values.iter().all(|value| *value == 0.0) {
            return Err(StageError::refused(format!("session {session}: all activity is the same, there is nothing to factorise")));
        }
        Ok(Activity { shape, values, weights, sparse: None, single: None })
    }

    pub(crate) fn tensor(&self) -> Result<TensorRef<'_>, StageError> {
        TensorRef::new(&self.shape, &self.values).map_err(numerical)
    }

    pub(crate) fn data(&self) -> Result<Data<'_>, StageError> {
        if let Some(values) = &self.single {
            return TensorRef::new(&self.shape, values).map(Data::Single).map_err(numerical);
        }
        let entries = match (&self.sparse, &self.weights) {
            (Some(sparse), None) => Entries::Sparse(sparse),
            (_, Some(weights)) => Entries::Weighted(self.tensor()?, weights),
            (None, None) => Entries::Dense(self.tensor()?),
        };
        Ok(entries.into())
    }

    /// Rounds to single precision.
    pub(crate) fn make_single(&mut self) {
        self.single = Some(self.values.iter().map(|value| *value as f32).collect());
    }

    /// Lists the values that are not zero, so that work grows with their number.
    pub(crate) fn make_sparse(&mut self) -> Result<(), StageError> {
        self.sparse = Some(SparseTensor::from_dense(self.tensor()?).map_err(numerical)?);
        Ok(())
    }

    /// The share of values that are not zero.
    pub(crate) fn density(&self) -> f64 {
        self.values.iter().filter(|value| **value != 0.0).count() as f64 / self.values.len() as f64
    }
}

fn non_negative(trace: &mut [f64], scale: &Scale, responses: &Responses, unit: usize) -> Result<(), StageError> {
    let (session, label) = (&responses.session, responses.units().coordinates.label(unit));
    if let Some(value) = trace.iter().find(|value| value.is_infinite()) {
        return Err(StageError::refused(format!("session {session}: unit {label} has a value of {value}")));
    }
    let (low, high) = trace
        .iter()
        .filter(|value| !value.is_nan())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    match scale {
        Scale::MinMax {} => {
            let span = if high > low { high - low } else { 1.0 };
            trace.iter_mut().for_each(|value| *value = (*value - low) / span);
        }
        Scale::None {} if low < 0.0 => {
            return Err(StageError::refused_with_help(
                format!("session {session}: unit {label} has negative values ({low}), a non-negative factorisation can't have them"),
                "write `scale = minmax`",
            ));
        }
        Scale::None {} => {}
    }
    Ok(())
}

/// Weights by what counts the same, 0 at gaps, whose values become 0.
fn weights(values: &mut [f64], [_, trials, bins]: [usize; 3], counting: &Counting) -> Vec<f64> {
    let mut weights: Vec<f64> = values.iter().map(|value| f64::from(!value.is_nan())).collect();
    values.iter_mut().for_each(|value| *value = if value.is_nan() { 0.0 } else { *value });
    let group = |place: usize| match counting {
        Counting::Equal {} => 0,
        Counting::Trials {} => place / bins % trials,
        Counting::Units {} => place / (bins * trials),
    };
    if !matches!(counting, Counting::Equal {}) {
        let mut norms: Vec<f64> = Vec::new();
        for (place, value) in values.iter().enumerate() {
            let group = group(place);
            if norms.len() <= group {
                norms.resize(group + 1, 0.0);
            }
            norms[group] += value * value;
        }
        // The weakest counts in full, so that no weight is above 1; what is silent altogether counts as the weakest.
        let least = norms.iter().copied().filter(|norm| *norm > 0.0).fold(f64::INFINITY, f64::min);
        for (place, weight) in weights.iter_mut().enumerate() {
            let norm = norms[group(place)];
            *weight *= if norm > 0.0 { least / norm } else { 1.0 };
        }
    }
    weights
}

/// Refuses units, trials and bins of which nothing is known: their loadings could be anything.
fn known(weights: &[f64], [units, trials, bins]: [usize; 3], responses: &Responses) -> Result<(), StageError> {
    let mut seen = [vec![false; units], vec![false; trials], vec![false; bins]];
    for (place, _) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        seen[0][place / (trials * bins)] = true;
        seen[1][place / bins % trials] = true;
        seen[2][place % bins] = true;
    }
    for (what, seen) in ["unit", "trial", "bin"].into_iter().zip(&seen) {
        if let Some(at) = seen.iter().position(|seen| !seen) {
            let label = if what == "unit" { responses.units().coordinates.label(at) } else { at.to_string() };
            return Err(StageError::refused_with_help(
                format!("session {}: {what} {label} has no value at all, so its loading could be anything", responses.session),
                "leave it out before this step",
            ));
        }
    }
    Ok(())
}

/// What one rank came to.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) rank: usize,
    pub(crate) best: Decomposition,
    pub(crate) effective_number: f64,
    /// The mean factor match score of the other starts with the best; none after a single start.
    pub(crate) stability: Option<f64>,
    /// For each component of the best, how well the other starts have it: the mean product of cosines with its partner; none after a single start.
    pub(crate) matches: Vec<Option<f64>>,
    /// Where it was done, when that is worth a word.
    pub(crate) place: Option<String>,
}

/// One start.
pub(crate) fn one(
    data: Data<'_>,
    rank: usize,
    method: &Method,
    loss: Loss,
    stopping: Stopping,
    stream: Stream,
) -> Result<Decomposition, ComputeError> {
    match (data, method) {
        (Data::Double(entries), Method::Hals { extrapolate, passes }) => {
            hals(entries, rank, Hals { extrapolate: *extrapolate, passes: *passes }, stopping, stream)
        }
        (Data::Double(entries), Method::Mu {}) => multiplicative(entries, rank, loss, stopping, stream),
        (Data::Double(entries), Method::Lbfgsb {}) => bounded(entries, rank, loss, stopping, stream),
        (Data::Single(tensor), Method::Hals { extrapolate, passes }) => {
            hals_single(tensor, rank, Hals { extrapolate: *extrapolate, passes: *passes }, stopping, stream)
        }
        (Data::Single(_), Method::Mu {} | Method::Lbfgsb {}) => {
            Err(ComputeError::Value { operation: "factorisation", reason: "single precision is for method `hals` only".into() })
        }
    }
}

/// Refuses a pair of method and loss that does not exist.
pub(crate) fn check_method(method: &Method, misfit: &Misfit, sparse: bool) -> Result<(), StageError> {
    match (method, misfit) {
        (Method::Hals { .. }, Misfit::Kl {}) => Err(StageError::refused_with_help(
            "method `hals` is for squared error, not for the Kullback–Leibler divergence",
            "write `method = mu` or `method = lbfgsb`",
        )),
        (Method::Lbfgsb {}, Misfit::Kl {}) if sparse => Err(StageError::refused_with_help(
            "method `lbfgsb` with loss `kl` needs dense data",
            "write `method = mu` or `storage = dense`",
        )),
        _ => Ok(()),
    }
}

/// Fits a rank from several starts, each with a stream of its own, so that the number of threads does not matter.
pub(crate) fn fit(
    data: Data<'_>,
    rank: usize,
    method: &Method,
    loss: Loss,
    stopping: Stopping,
    restarts: usize,
    stream: &Stream,
    context: &Context,
) -> Result<Fit, StageError> {
    let streams: Vec<Stream> = (0..restarts).map(|restart| stream.split_index(rank as u64).split_index(restart as u64)).collect();
    let (done, place) = match (data, method) {
        (Data::Single(tensor), Method::Hals { .. }) => on_the_gpu(tensor, rank, stopping, &streams, context)?,
        _ => (None, None),
    };
    let start = |stream: Stream| {
        // A start that nobody waits for is not worth its time.
        if context.cancel.check().is_err() {
            return Ok(None);
        }
        one(data, rank, method, loss, stopping, stream).map(Some)
    };
    let on_the_cpu = || with_threads(context.threads, || streams.into_par_iter().map(start).collect::<Result<Option<Vec<_>>, _>>());
    let runs = match done {
        Some(runs) => Some(runs),
        None => on_the_cpu().map_err(numerical)?.map_err(numerical)?,
    };
    let Some(runs) = runs else {
        context.cancel.check()?;
        return Err(StageError::refused("no start came to an end"));
    };
    let mut best = 0;
    for (position, run) in runs.iter().enumerate() {
        if run.loss < runs[best].loss {
            best = position;
        }
    }
    let numbers = runs.iter().map(|run| effective_number(&run.factors[0])).collect::<Result<Vec<_>, _>>()?;
    let effective_number = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let others: Vec<usize> = (0..runs.len()).filter(|position| *position != best).collect();
    let mut stability = 0.0;
    let mut matches = vec![0.0; rank];
    for &other in &others {
        let found = match_components(&runs[best].factors, &runs[other].factors).map_err(numerical)?;
        stability += found.score / others.len() as f64;
        matches.iter_mut().zip(&found.cosines).for_each(|(sum, cosine)| *sum += cosine / others.len() as f64);
    }
    let compared = !others.is_empty();
    let (stability, matches) = (compared.then_some(stability), matches.into_iter().map(|found| compared.then_some(found)).collect());
    let best = runs.into_iter().nth(best).ok_or_else(|| StageError::refused("at least 1 restart is needed"))?;
    Ok(Fit { rank, best, effective_number, stability, matches, place })
}

/// All starts at once on a graphics card, where the policy gives one; and where the work is done, when that is not what was asked for or not plain.
fn on_the_gpu(
    tensor: TensorRef<'_, f32>,
    rank: usize,
    stopping: Stopping,
    streams: &[Stream],
    context: &Context,
) -> Result<(Option<Vec<Decomposition>>, Option<String>), StageError> {
    let policy = match context.gpu {
        GpuPolicy::Never => Policy::Never,
        GpuPolicy::Prefer => Policy::Prefer,
        GpuPolicy::Require => Policy::Require,
    };
    let go_on = || !context.cancel.is_cancelled();
    let done = by_policy(policy, |gpu| gpu.map(|gpu| decompose(gpu, tensor, rank, stopping, streams, go_on)).transpose());
    context.cancel.check()?;
    let (runs, place) =
        done.map_err(|error| StageError::refused_with_help(error.to_string(), "write `gpu = prefer`, or look at `neuroflow doctor`"))?;
    let note = match place {
        Place::Cpu => None,
        Place::CpuInstead(error) => Some(format!("done on the CPU: {error}")),
        Place::Gpu(adapter) => Some(format!("done on the GPU ({}), by plain sweeps", adapter.name)),
    };
    Ok((runs, note))
}

/// The mean factor match score of all pairs of decompositions; 1 for fewer than two.
pub(crate) fn agreement(found: &[Decomposition]) -> Result<f64, StageError> {
    let mut scores = Vec::new();
    for (at, a) in found.iter().enumerate() {
        for b in &found[at + 1..] {
            scores.push(factor_match(&a.factors, &b.factors).map_err(numerical)?);
        }
    }
    Ok(if scores.is_empty() { 1.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 })
}

/// Unit-length columns as `[component × unit]`, the mean over components taken away; the squared singular values over their largest, summed.
fn effective_number(units: &Matrix) -> Result<f64, StageError> {
    let (rows, rank) = units.shape();
    if rank < 2 {
        return Ok(1.0);
    }
    let centred = Matrix::from_fn(rank, rows, |component, unit| {
        let row = units.row(unit);
        row[component] - row.iter().sum::<f64>() / rank as f64
    });
    let values = thin_svd(&centred).map_err(numerical)?.values;
    let most = values.iter().fold(0.0f64, |most, value| most.max(value * value));
    Ok(if most > 0.0 { values.iter().map(|value| value * value / most).sum() } else { 1.0 })
}

/// The rank after which the effective number, smoothed by a Gaussian of 1.5 ranks, stops growing by at least a tenth of its steepest growth.
pub(crate) fn where_growth_stops(fits: &[Fit]) -> usize {
    if fits.len() < 2 {
        return 0;
    }
    let smooth: Vec<f64> = (0..fits.len())
        .map(|at| {
            let weights: Vec<f64> =
                fits.iter().map(|fit| (-0.5 * ((fit.rank as f64 - fits[at].rank as f64) / 1.5).powi(2)).exp()).collect();
            weights.iter().zip(fits).map(|(weight, fit)| weight * fit.effective_number).sum::<f64>() / weights.iter().sum::<f64>()
        })
        .collect();
    let growth: Vec<f64> = smooth.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let steepest = growth.iter().copied().fold(0.0, f64::max);
    growth.iter().position(|growth| *growth < 0.1 * steepest).unwrap_or(fits.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_session_is_explained_as_well_as_measured_elsewhere() {
        let Some(shared) = crate::golden::shared() else { return };
        let bytes = std::fs::read(shared.join("data/v1-gratings-calcium/230809_mrcuts28_fov4_grat-000.npz")).unwrap();
        let file = neuroflow_data::formats::npz::read_npz(&bytes, &neuroflow_data::formats::Limits::default()).unwrap();
        let array = file.get("X").unwrap();
        let mut values = array.to_f64().unwrap().into_owned();
        for unit in values.chunks_mut(128 * 49) {
            let (low, high) = unit.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            unit.iter_mut().for_each(|value| *value = (*value - low) / (high - low));
        }
        let tensor = TensorRef::new(&array.shape, &values).unwrap();
        let method = Method::Hals { extrapolate: true, passes: 5 };
        for (rank, expected) in [(2, 0.311), (4, 0.292), (8, 0.277)] {
            let stopping = Stopping { sweeps: 100, tolerance: 1e-6 };
            let start = |start| {
                one(Entries::Dense(tensor).into(), rank, &method, Loss::Frobenius, stopping, Stream::new(7).split_index(start)).unwrap()
            };
            let error = (0..3).map(|at| start(at).relative_error).fold(f64::INFINITY, f64::min);
            assert!(error <= expected + 0.002, "rank {rank}: {error}");
        }
    }

    #[test]
    fn weights_make_trials_count_the_same_and_none_is_above_one() {
        // Two trials of one unit and two bins, the second three times as strong.
        let mut values = vec![1.0, 2.0, 3.0, 6.0];
        let found = weights(&mut values, [1, 2, 2], &Counting::Trials {});
        assert_eq!(found, [1.0, 1.0, 1.0 / 9.0, 1.0 / 9.0]);
        let mut gappy = vec![1.0, f64::NAN, 3.0, 6.0];
        assert_eq!(weights(&mut gappy, [1, 2, 2], &Counting::Equal {}), [1.0, 0.0, 1.0, 1.0]);
        assert_eq!(gappy[1], 0.0);
    }
}
