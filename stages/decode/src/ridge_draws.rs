//! Ridge classifiers of many labellings with one split: the decomposition of a training side does not depend on the labels.
//!
//! On the CPU the indicators of all labellings are laid side by side and all are predicted by one product, in double precision.
//!
//! On a graphics card (`gpu = prefer`, `require`) predictions are sums. What a fold predicts is linear in its indicators: the row of a tested trial in the matrix
//! `H = (X − centre) V diag(s / (s² + λ)) Uᵀ [tested × train]`, summed over the training trials of a class, is half of what that class' score is above its mean. So each penalty that was chosen
//! costs one `H`, made on the CPU in double precision, and all labellings are sums of its columns by permuted labels ([`permuted_sums`]). Those are of single precision; a labelling with
//! a tested trial for which rounding could change the order of two classes is predicted on the CPU, so that the labels that are predicted are the same on both.
//! An automatic penalty is chosen on the CPU.

use crate::cross_validate::{Predictions, collect, in_order};
use crate::permutations::{LEVEL, Labelling, is_clear, lead, through_the_device};
use crate::ridge::{Projected, RidgePath, indicators};
use crate::scaling::{Scale, Scaling};
use crate::target::count;
use neuroflow_compute::Matrix;
use neuroflow_compute::gpu::permutation::permuted_sums;
use neuroflow_compute::gpu::{Gpu, GpuError};
use neuroflow_stage::{Auto, Context, StageError};

/// Columns of indicators that are regressed together: bounds the memory.
const MOST_COLUMNS: usize = 2048;

/// Error of a sum on the device, relative to the sum of the sizes of what is added: some dozen times what rounding gives for thousands of trials.
const SINGLE_ERROR: f64 = 4e-6;

/// One fold, ready for any labelling.
struct Fold {
    path: RidgePath,
    test: Matrix,
}

/// The scores of the tested trials `[tested × class]` of each labelling, where they are clear.
type Scores = Vec<Option<Vec<f64>>>;

/// Of each labelling what it predicts, none where it must be fitted by itself; and where it was done, when that is worth a word.
///
/// # Errors
/// When a decomposition fails, which finite input does not reach; when `gpu = require` and the device fails; or when the work was cancelled.
pub(crate) fn predict(
    features: &Matrix,
    labellings: &[Labelling],
    penalty: &Auto<f64>,
    scale: &Scale,
    context: &Context,
) -> Result<(Vec<Option<Predictions>>, Option<String>), StageError> {
    let Some(first) = labellings.first() else { return Ok((Vec::new(), None)) };
    let split = &first.split;
    let folds = in_order(split.n_folds(), Some(context.threads), context, |fold| {
        let (mut train, mut test) = (features.take_rows(&split.train[fold]), features.take_rows(&split.test[fold]));
        if matches!(scale, Scale::ZScore {}) {
            let scaling = Scaling::fit(&train);
            scaling.apply(&mut train);
            scaling.apply(&mut test);
        }
        Ok(Fold { path: RidgePath::of(&train)?, test })
    })?;
    let (of_folds, note) = through_the_device(context, |gpu| {
        let mut of_folds: Vec<Scores> = Vec::with_capacity(folds.len());
        for (number, fold) in folds.iter().enumerate() {
            match on_the_device(gpu, fold, labellings, number, penalty, context)? {
                Ok(scores) => of_folds.push(scores),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(of_folds))
    })?;
    // [fold × labelling]: on the CPU all, or what the device left.
    let known = of_folds.unwrap_or_else(|| vec![vec![None; labellings.len()]; folds.len()]);
    let of_folds: Vec<Scores> = in_order(folds.len(), Some(context.threads), context, |number| {
        let mut scores = known[number].clone();
        let open: Vec<usize> = (0..labellings.len()).filter(|&draw| scores[draw].is_none()).collect();
        for some in open.chunks((MOST_COLUMNS / first.n_classes.max(1)).max(1)) {
            context.cancel.check()?;
            let own: Vec<&Labelling> = some.iter().map(|&draw| &labellings[draw]).collect();
            let Fold { path, test } = &folds[number];
            for (&draw, found) in some.iter().zip(side_by_side(path, test, &own, number, penalty)?) {
                scores[draw] = found;
            }
        }
        Ok(scores)
    })?;
    let predictions = labellings.iter().enumerate().map(|(draw, labelling)| {
        let scores: Option<Vec<Vec<f64>>> = of_folds.iter().map(|fold| fold[draw].clone()).collect();
        scores.map(|scores| collect(split, &labelling.labels, first.n_classes, &scores))
    });
    Ok((predictions.collect(), note))
}

/// The scores of all labellings in one fold by sums on the device. The outer error is ours, the inner one the device's.
fn on_the_device(
    gpu: &Gpu,
    fold: &Fold,
    labellings: &[Labelling],
    number: usize,
    penalty: &Auto<f64>,
    context: &Context,
) -> Result<Result<Scores, GpuError>, StageError> {
    let Some(first) = labellings.first() else { return Ok(Ok(Vec::new())) };
    let (train, n_classes) = (&first.split.train[number], first.n_classes);
    let n_tested = fold.test.rows();
    let mut penalties = Vec::with_capacity(labellings.len());
    for some in labellings.chunks((MOST_COLUMNS / n_classes.max(1)).max(1)) {
        context.cancel.check()?;
        match penalty {
            Auto::Given(penalty) => penalties.resize(penalties.len() + some.len(), *penalty),
            Auto::Auto => {
                let (projected, _) = project(&fold.path, train, &some.iter().collect::<Vec<_>>())?;
                penalties.extend(shared_penalties(&fold.path, &projected, penalty, some.len(), n_classes)?);
            }
        }
    }
    let mut scores: Scores = vec![None; labellings.len()];
    let mut order: Vec<usize> = (0..labellings.len()).collect();
    order.sort_by(|&a, &b| penalties[a].total_cmp(&penalties[b]));
    for alike in order.chunk_by(|&a, &b| penalties[a] == penalties[b]) {
        context.cancel.check()?;
        let hat = fold.path.hat(&fold.test, penalties[alike[0]])?;
        // How far a sum may be off, for each tested trial; two scores differ by twice two of those.
        let apart: Vec<f64> = hat.row_iter().map(|row| 4.0 * SINGLE_ERROR * row.iter().map(|value| value.abs()).sum::<f64>()).collect();
        let by_trial: Vec<f32> = hat.transposed().values().iter().map(|value| *value as f32).collect();
        let labels: Vec<u32> =
            alike.iter().flat_map(|&draw| train.iter().map(move |&trial| labellings[draw].labels[trial] as u32)).collect();
        let summed = permuted_sums(gpu, &by_trial, n_tested, &labels, n_classes, |start, sums| {
            for (sums, &draw) in sums.chunks_exact((n_classes * n_tested).max(1)).zip(&alike[start..]) {
                scores[draw] = clear_scores(sums, &labellings[draw], train, &apart);
            }
        });
        if let Err(error) = summed {
            return Ok(Err(error));
        }
    }
    Ok(Ok(scores))
}

/// Scores `[tested × class]` from sums `[class × tested]`: none where a class has no training trial, or two classes of a trial are as near as `apart` says.
fn clear_scores(sums: &[f32], labelling: &Labelling, train: &[usize], apart: &[f64]) -> Option<Vec<f64>> {
    let own: Vec<usize> = train.iter().map(|&trial| labelling.labels[trial]).collect();
    let counts = count(&own, labelling.n_classes);
    if counts.contains(&0) {
        return None;
    }
    // The mean of an indicator that is 1 for its class and −1 for others.
    let offsets: Vec<f64> = counts.iter().map(|&count| 2.0 * count as f64 / train.len() as f64 - 1.0).collect();
    let n_tested = apart.len();
    let mut scores = Vec::with_capacity(sums.len());
    for (trial, apart) in apart.iter().enumerate() {
        let first = scores.len();
        scores.extend(offsets.iter().enumerate().map(|(class, offset)| offset + 2.0 * f64::from(sums[class * n_tested + trial])));
        // A NaN is not clear either.
        let is_clear = lead(&scores[first..]) > *apart + LEVEL;
        if !is_clear {
            return None;
        }
    }
    Some(scores)
}

/// The indicators of some labellings side by side, as seen from the training trials; and which labellings have a training trial of every class.
fn project(path: &RidgePath, train: &[usize], labellings: &[&Labelling]) -> Result<(Projected, Vec<bool>), StageError> {
    let n_classes = labellings.first().map_or(0, |labelling| labelling.n_classes);
    let mut side_by_side = Matrix::zeros(train.len(), labellings.len() * n_classes);
    let mut complete = Vec::with_capacity(labellings.len());
    for (draw, labelling) in labellings.iter().enumerate() {
        let own: Vec<usize> = train.iter().map(|&trial| labelling.labels[trial]).collect();
        complete.push(!count(&own, n_classes).contains(&0));
        let own = indicators(&own, n_classes);
        for (row, own) in own.row_iter().enumerate() {
            side_by_side.row_mut(row)[draw * n_classes..(draw + 1) * n_classes].copy_from_slice(own);
        }
    }
    Ok((path.project(side_by_side)?, complete))
}

/// The penalty of each of so many labellings: given, or with the least left-out error summed over its classes.
fn shared_penalties(
    path: &RidgePath,
    projected: &Projected,
    penalty: &Auto<f64>,
    labellings: usize,
    n_classes: usize,
) -> Result<Vec<f64>, StageError> {
    Ok(match penalty {
        Auto::Given(penalty) => vec![*penalty; labellings],
        Auto::Auto => {
            let mut best = vec![(f64::NAN, 1.0); labellings];
            for penalty in path.grid() {
                let errors = path.left_out_errors(projected, penalty)?;
                for (best, errors) in best.iter_mut().zip(errors.chunks_exact(n_classes)) {
                    let error = errors.iter().sum::<f64>();
                    if best.0.is_nan() || error < best.0 {
                        *best = (error, penalty);
                    }
                }
            }
            best.into_iter().map(|(_, penalty)| penalty).collect()
        }
    })
}

/// All labellings in one product, in double precision.
fn side_by_side(
    path: &RidgePath,
    test: &Matrix,
    labellings: &[&Labelling],
    fold: usize,
    penalty: &Auto<f64>,
) -> Result<Scores, StageError> {
    let Some(first) = labellings.first() else { return Ok(Vec::new()) };
    let (train, n_classes) = (&first.split.train[fold], first.n_classes);
    let (projected, complete) = project(path, train, labellings)?;
    let penalties = shared_penalties(path, &projected, penalty, labellings.len(), n_classes)?;
    let of_columns: Vec<f64> = penalties.iter().flat_map(|&penalty| vec![penalty; n_classes]).collect();
    let predicted = path.fit(&projected, &of_columns)?.predict(test)?;
    let of_draw = |draw: usize| -> Option<Vec<f64>> {
        let columns = draw * n_classes..(draw + 1) * n_classes;
        let scores: Vec<f64> = predicted.row_iter().flat_map(|row| row[columns.clone()].iter().copied()).collect();
        (complete[draw] && is_clear(&scores, n_classes, LEVEL)).then_some(scores)
    };
    Ok((0..labellings.len()).map(of_draw).collect())
}
