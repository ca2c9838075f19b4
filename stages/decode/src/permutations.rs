//! Many labellings of the same trials, predicted together: what does not depend on the labels is computed once.
//!
//! * Linear discriminant analysis: the scatter of all trials serves every labelling, see [`crate::total_scatter`] and [`crate::lda_draws`].
//! * Ridge: the decomposition of a training side does not depend on the labels, see [`crate::ridge_draws`].
//!
//! Both need the answer of fitting each labelling by itself. It is the same up to rounding, and where rounding could matter (two classes nearly level for a
//! tested trial, a covariance that is nearly singular, a class without a training trial) the labelling is fitted by itself.

use crate::cross_validate::{Predictions, cross_validate, in_order};
use crate::lda_draws;
use crate::model::{Model, device_failed, policy};
use crate::ridge_draws;
use crate::scaling::Scale;
use crate::split::Split;
use crate::total_scatter::TotalScatter;
use neuroflow_compute::Matrix;
use neuroflow_compute::gpu::{Gpu, GpuError, Place, by_policy};
use neuroflow_stage::{Context, StageError};

/// One labelling and its split.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labelling {
    pub(crate) labels: Vec<usize>,
    pub(crate) n_classes: usize,
    pub(crate) split: Split,
}

/// Scores of two classes that are nearer than this share of their size are level.
pub(crate) const LEVEL: f64 = 1e-9;

/// Of each labelling, the classes that [`cross_validate`] predicts; and where that was done, when it was not plainly the CPU. The scores of classes need not be probabilities.
///
/// # Errors
/// As [`cross_validate`] of one of them.
pub(crate) fn cross_validate_all(
    features: &Matrix,
    labellings: &[Labelling],
    model: &Model,
    scale: &Scale,
    context: &Context,
) -> Result<(Vec<Predictions>, Option<String>), StageError> {
    let mut note = None;
    let quick = match (model, scale) {
        (Model::Lda { shrinkage }, Scale::None {}) if TotalScatter::serves(features, shrinkage) => {
            let quick;
            (quick, note) = lda_draws::predict(features, labellings, shrinkage, context)?;
            quick
        }
        (Model::Ridge { penalty }, _) if is_one_split(labellings) => {
            let quick;
            (quick, note) = ridge_draws::predict(features, labellings, penalty, scale, context)?;
            quick
        }
        _ => vec![None; labellings.len()],
    };
    // One thread for each labelling: labellings are many.
    let single = Context { threads: 1, progress: std::sync::Arc::new(()), ..context.clone() };
    let all = in_order(labellings.len(), Some(context.threads), context, |draw| {
        let Labelling { labels, n_classes, split } = &labellings[draw];
        match &quick[draw] {
            Some(predictions) => Ok(predictions.clone()),
            None => cross_validate(features, labels, *n_classes, split, model, scale, &single),
        }
    })?;
    Ok((all, note))
}

/// What `work` makes on the device that the policy of the step gives, none where the CPU is to do it; and where it was done, when that is worth a word. The outer error of `work` is
/// ours, the inner one the device's.
///
/// # Errors
/// Ours, or the device's under `gpu = require`.
pub(crate) fn through_the_device<T>(
    context: &Context,
    mut work: impl FnMut(&Gpu) -> Result<Result<T, GpuError>, StageError>,
) -> Result<(Option<T>, Option<String>), StageError> {
    let mut failed = None;
    let done = by_policy(policy(context), |gpu| {
        let Some(gpu) = gpu else { return Ok(None) };
        match work(gpu) {
            Ok(done) => done.map(Some),
            Err(error) => {
                failed = Some(error);
                Ok(None)
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let (done, place) = done.map_err(device_failed)?;
    let note = match place {
        Place::Cpu => None,
        Place::CpuInstead(error) => Some(format!("done on the CPU: {error}")),
        Place::Gpu(adapter) => Some(format!("done on the GPU ({})", adapter.name)),
    };
    Ok((done, note))
}

pub(crate) fn is_one_split(labellings: &[Labelling]) -> bool {
    labellings.windows(2).all(|pair| pair[0].split == pair[1].split && pair[0].n_classes == pair[1].n_classes)
}

/// Whether the two largest scores of every trial are further from each other than `level` times the largest score, so that rounding can't change their order.
pub(crate) fn is_clear(scores: &[f64], n_classes: usize, level: f64) -> bool {
    scores.chunks_exact(n_classes.max(1)).all(|scores| {
        let size = scores.iter().fold(0.0f64, |size, score| size.max(score.abs()));
        lead(scores) > level * 2.0 * size
    })
}

/// By how much the largest of some scores is larger than the next; infinite for a single one.
pub(crate) fn lead(scores: &[f64]) -> f64 {
    let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for &score in scores {
        if score > first {
            (first, second) = (score, first);
        } else if score > second {
            second = score;
        }
    }
    first - second
}
