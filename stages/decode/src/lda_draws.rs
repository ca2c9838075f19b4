//! Linear discriminants of many labellings with one split, on the CPU or through the GPU.
//!
//! On the CPU each labelling is a task of its own ([`TotalScatter`]). On a graphics card (`gpu = prefer`, `require`) the labellings of a fold are systems that are solved together
//! ([`Sides`]): the card forms the covariances, factors them, and scores the tested trials, and the host says in double precision what each class weighs and how far it is shrunk.
//! The card works in single precision, on units of variance 1; a fold in which two scores are nearer than that may be off is done on the CPU, so that the labels that are
//! predicted are the same on both.

use crate::cross_validate::{Predictions, in_order};
use crate::lda::Shrinkage;
use crate::permutations::{LEVEL, Labelling, is_clear, through_the_device};
use crate::total_scatter::{SINGLE_ERROR, TotalScatter, Training, has_one_weight};
use neuroflow_compute::Matrix;
use neuroflow_compute::gpu::discriminant::{Sides, Solved, Solving, Systems};
use neuroflow_compute::gpu::{Gpu, GpuError};
use neuroflow_stage::{Context, StageError};

/// Above this share of a score the card's answer is not worth a look.
const MOST_ERROR: f64 = 1e-3;

/// Of each fold the scores of its tested trials `[tested × class]`, where they are clear.
type OfFolds = Vec<Option<Vec<f64>>>;

/// One labelling in one fold, as the device takes it: in units of variance 1.
struct System {
    share: f32,
    factors: Vec<f32>,
    means: Vec<f32>,
    roots: Vec<f32>,
    diagonal: Vec<f32>,
    log_priors: Vec<f64>,
}

/// Of each labelling what it predicts, none where it must be fitted by itself; and where it was done, when that is worth a word.
///
/// # Errors
/// When `gpu = require` and the device fails, or when the work was cancelled.
pub(crate) fn predict(
    features: &Matrix,
    labellings: &[Labelling],
    shrinkage: &Shrinkage,
    context: &Context,
) -> Result<(Vec<Option<Predictions>>, Option<String>), StageError> {
    let total = TotalScatter::of(features, labellings, shrinkage);
    let (done, note) = match &total.trained {
        Some(trained) => through_the_device(context, |gpu| on_the_device(gpu, &total, trained, labellings, context))?,
        None => (None, None),
    };
    let predictions = match done {
        Some(done) => done,
        None => in_order(labellings.len(), Some(context.threads), context, |draw| total.predict(&labellings[draw], &[]))?,
    };
    Ok((predictions, note))
}

/// The outer error is ours, the inner one the device's.
fn on_the_device(
    gpu: &Gpu,
    total: &TotalScatter<'_>,
    trained: &[Matrix],
    labellings: &[Labelling],
    context: &Context,
) -> Result<Result<Vec<Option<Predictions>>, GpuError>, StageError> {
    let folds = match labellings.first().map(|first| sides(gpu, total, trained, first)).transpose() {
        Ok(folds) => folds.unwrap_or_default(),
        Err(error) => return Ok(Err(error)),
    };
    let at_a_time = folds.iter().map(Sides::at_a_time).min().unwrap_or(1);
    let mut predictions = Vec::with_capacity(labellings.len());
    for some in labellings.chunks(at_a_time) {
        let known = match scores(&folds, total, some, context)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        predictions.extend(in_order(some.len(), Some(context.threads), context, |draw| total.predict(&some[draw], &known[draw]))?);
    }
    Ok(Ok(predictions))
}

/// What all labellings share in each fold, sent to the device.
fn sides<'g>(gpu: &'g Gpu, total: &TotalScatter<'_>, trained: &[Matrix], first: &Labelling) -> Result<Vec<Sides<'g>>, GpuError> {
    let n_features = total.centred.cols();
    let inverse: Vec<f64> = total.deviations.iter().map(|deviation| 1.0 / deviation).collect();
    let standard = |trials: &[usize]| -> Vec<f32> {
        trials
            .iter()
            .flat_map(|&trial| total.centred.row(trial).iter().zip(&inverse).map(|(value, inverse)| (value * inverse) as f32))
            .collect()
    };
    let fold = |(number, scatter): (usize, &Matrix)| {
        let rows = scatter.row_iter().zip(&inverse);
        let scatter: Vec<f32> =
            rows.flat_map(|(row, one)| row.iter().zip(&inverse).map(move |(value, other)| (value * one * other) as f32)).collect();
        let (train, test) = (standard(&first.split.train[number]), standard(&first.split.test[number]));
        Sides::new(gpu, &train, &test, &scatter, n_features, first.n_classes)
    };
    trained.iter().enumerate().map(fold).collect()
}

/// The scores of some labellings in all folds; one fold is solved while the next is prepared.
fn scores(
    folds: &[Sides<'_>],
    total: &TotalScatter<'_>,
    labellings: &[Labelling],
    context: &Context,
) -> Result<Result<Vec<OfFolds>, GpuError>, StageError> {
    // What is prepared is only a part of a draw.
    let quiet = Context { progress: std::sync::Arc::new(()), ..context.clone() };
    let sums = in_order(labellings.len(), Some(context.threads), &quiet, |draw| Ok(total.class_sums(&labellings[draw])))?;
    let mut scores: Vec<OfFolds> = vec![Vec::with_capacity(folds.len()); labellings.len()];
    let mut before: Option<(Vec<Option<System>>, Solving<'_>)> = None;
    for number in 0..=folds.len() {
        context.cancel.check()?;
        let next = match folds.get(number) {
            Some(fold) => {
                let systems = in_order(labellings.len(), Some(context.threads), &quiet, |draw| {
                    let Labelling { labels, split, .. } = &labellings[draw];
                    let training = total.training(labels, &sums[draw], split, number);
                    training.map(|training| system(total, &training, &labellings[draw], number)).transpose()
                })?;
                match fold.begin(&side_by_side(&systems)) {
                    Ok(solving) => Some((systems, solving)),
                    Err(error) => return Ok(Err(error)),
                }
            }
            None => None,
        };
        if let Some((systems, solving)) = std::mem::replace(&mut before, next) {
            match solving.wait() {
                Ok(solved) => {
                    clear_scores(&systems, &solved).into_iter().zip(&mut scores).for_each(|(found, of_folds)| of_folds.push(found))
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }
    Ok(Ok(scores))
}

/// What a labelling makes of a fold.
fn system(total: &TotalScatter<'_>, training: &Training<'_>, labelling: &Labelling, fold: usize) -> Result<System, StageError> {
    let (share, factors, weights, diagonal) = if has_one_weight(total.shrinkage) {
        let (weight, diagonal) = total.one_weight(training, &total.within(training, &labelling.split, fold));
        (weight, Vec::new(), vec![weight; training.counts.len()], diagonal)
    } else {
        let shares = total.shares(training)?;
        let least = shares.weights.iter().copied().fold(f64::INFINITY, f64::min);
        let factors = training.labels.iter().map(|&label| (shares.weights[label] - least).sqrt() as f32).collect();
        (least, factors, shares.weights, shares.diagonal)
    };
    let standard = |row: &[f64]| row.iter().zip(&total.deviations).map(|(value, deviation)| (value / deviation) as f32).collect::<Vec<_>>();
    let of_class = training.counts.iter().zip(&weights);
    Ok(System {
        share: share as f32,
        factors,
        means: training.means.row_iter().flat_map(standard).collect(),
        roots: of_class.map(|(&count, weight)| (count as f64 * weight).sqrt() as f32).collect(),
        diagonal: diagonal.iter().zip(&total.deviations).map(|(value, deviation)| (value / (deviation * deviation)) as f32).collect(),
        log_priors: training.log_priors(),
    })
}

/// The systems that there are, in the lists that the device takes.
fn side_by_side(systems: &[Option<System>]) -> Systems {
    let mut all = Systems::default();
    for system in systems.iter().flatten() {
        all.shares.push(system.share);
        all.factors.extend_from_slice(&system.factors);
        all.means.extend_from_slice(&system.means);
        all.roots.extend_from_slice(&system.roots);
        all.diagonal.extend_from_slice(&system.diagonal);
    }
    all
}

/// The scores of each labelling; none where there is no system, or rounding could change which class of a trial has the largest.
fn clear_scores(systems: &[Option<System>], solved: &Solved) -> OfFolds {
    let n_classes = systems.iter().flatten().next().map_or(1, |system| system.log_priors.len());
    let of_one = solved.products.len() / solved.least_pivots.len().max(1);
    let mut place = 0;
    let scores = systems.iter().map(|system| {
        let system = system.as_ref()?;
        let (products, lengths) = (&solved.products[place * of_one..][..of_one], &solved.lengths[place * n_classes..][..n_classes]);
        let level = LEVEL + SINGLE_ERROR / f64::from(solved.least_pivots[place]);
        place += 1;
        // Also where there is no positive pivot.
        if !(0.0..=MOST_ERROR).contains(&level) {
            return None;
        }
        let intercepts: Vec<f64> = system.log_priors.iter().zip(lengths).map(|(prior, length)| prior - 0.5 * f64::from(*length)).collect();
        let of_trial =
            |products: &[f32]| products.iter().zip(&intercepts).map(|(product, own)| f64::from(*product) + own).collect::<Vec<f64>>();
        let scores: Vec<f64> = products.chunks_exact(n_classes).flat_map(of_trial).collect();
        is_clear(&scores, n_classes, level).then_some(scores)
    });
    scores.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lda::Estimator;
    use crate::model::most_probable;
    use crate::total_scatter::tests::problem;
    use neuroflow_compute::gpu::Which;
    use neuroflow_stage::params::Either;

    #[test]
    fn scores_of_the_device_are_near_those_of_the_cpu_and_most_are_clear() {
        let gpu = match Gpu::shared(Which::Any) {
            Ok(gpu) => gpu,
            Err(error) => {
                assert!(std::env::var_os("NEUROFLOW_TEST_GPU").is_none(), "{error}");
                return;
            }
        };
        let context = Context::quiet(1);
        let (features, labellings) = problem(true);
        let all =
            [Either::Left(Estimator::Auto {}), Either::Left(Estimator::Oas {}), Either::Left(Estimator::Pooled {}), Either::Right(0.3)];
        for shrinkage in all {
            let total = TotalScatter::of(&features, &labellings, &shrinkage);
            let folds = sides(&gpu, &total, total.trained.as_ref().unwrap(), &labellings[0]).unwrap();
            let found = scores(&folds, &total, &labellings, &context).unwrap().unwrap();
            let mut clear = 0;
            for (labelling, of_folds) in labellings.iter().zip(&found) {
                let sums = total.class_sums(labelling);
                for (number, found) in of_folds.iter().enumerate() {
                    let Some(found) = found else { continue };
                    clear += 1;
                    let expected = total.fold(&labelling.labels, &sums, &labelling.split, number).unwrap().expect("two classes are level");
                    let size = expected.iter().fold(0.0f64, |size, score| size.max(score.abs()));
                    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    // 1 to 4 · 10⁻⁶ on lavapipe; `SINGLE_ERROR` over the smallest pivot is what a labelling must be clear of.
                    assert!(worst < 1e-5 * size, "{shrinkage:?}: {worst} of {size}");
                    let classes = labelling.n_classes;
                    assert_eq!(most_probable(found, classes), most_probable(&expected, classes), "{shrinkage:?}");
                }
            }
            assert!(2 * clear >= 3 * labellings.len(), "{shrinkage:?}: {clear}");
        }
    }
}
