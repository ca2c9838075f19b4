//! Many labellings of the same trials, predicted together: what does not depend on the labels is computed once.
//!
//! * Linear discriminant analysis: the scatter of all trials serves every labelling, see [`crate::total_scatter`].
//! * Ridge: the decomposition of a training side does not depend on the labels. With the same split for all labellings, their indicators are laid side by side
//!   and all are predicted by one product.
//!
//! Both need the answer of fitting each labelling by itself. It is the same up to rounding, and where rounding could matter (two classes nearly level for a
//! tested trial, a covariance that is nearly singular, a class without a training trial) the labelling is fitted by itself.

use crate::cross_validate::{Predictions, collect, cross_validate, in_order};
use crate::model::Model;
use crate::ridge::{RidgePath, indicators};
use crate::scaling::{Scale, Scaling};
use crate::split::Split;
use crate::target::count;
use crate::total_scatter::TotalScatter;
use neuroflow_compute::Matrix;
use neuroflow_stage::{Auto, Context, StageError};

/// One labelling and its split.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labelling {
    pub(crate) labels: Vec<usize>,
    pub(crate) n_classes: usize,
    pub(crate) split: Split,
}

/// Scores of two classes that are nearer than this share of their size are level.
pub(crate) const LEVEL: f64 = 1e-9;
/// Columns of indicators that are regressed together: bounds the memory.
const MOST_COLUMNS: usize = 2048;

/// Of each labelling, the classes that [`cross_validate`] predicts. The scores of classes need not be probabilities.
///
/// # Errors
/// As [`cross_validate`] of one of them.
pub(crate) fn cross_validate_all(
    features: &Matrix,
    labellings: &[Labelling],
    model: &Model,
    scale: &Scale,
    context: &Context,
) -> Result<Vec<Predictions>, StageError> {
    let quick = match (model, scale) {
        (Model::Lda { shrinkage }, Scale::None {}) if TotalScatter::serves(features, shrinkage) => {
            let total = TotalScatter::of(features, labellings, shrinkage);
            in_order(labellings.len(), Some(context.threads), context, |draw| total.predict(&labellings[draw]))?
        }
        (Model::Ridge { penalty }, _) if is_one_split(labellings) => ridge(features, labellings, penalty, scale, context)?,
        _ => vec![None; labellings.len()],
    };
    // One thread for each labelling: labellings are many.
    let single = Context { threads: 1, progress: std::sync::Arc::new(()), ..context.clone() };
    in_order(labellings.len(), Some(context.threads), context, |draw| {
        let Labelling { labels, n_classes, split } = &labellings[draw];
        match &quick[draw] {
            Some(predictions) => Ok(predictions.clone()),
            None => cross_validate(features, labels, *n_classes, split, model, scale, &single),
        }
    })
}

pub(crate) fn is_one_split(labellings: &[Labelling]) -> bool {
    labellings.windows(2).all(|pair| pair[0].split == pair[1].split && pair[0].n_classes == pair[1].n_classes)
}

/// Whether the two largest scores of every trial are further from each other than `level` times the largest score, so that rounding can't change their order.
pub(crate) fn is_clear(scores: &[f64], n_classes: usize, level: f64) -> bool {
    scores.chunks_exact(n_classes.max(1)).all(|scores| {
        let (mut first, mut second, mut size) = (f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0f64);
        for &score in scores {
            size = size.max(score.abs());
            if score > first {
                (first, second) = (score, first);
            } else if score > second {
                second = score;
            }
        }
        first - second > level * 2.0 * size
    })
}

/// Ridge regression on the indicators of all labellings, which share a split.
fn ridge(
    features: &Matrix,
    labellings: &[Labelling],
    penalty: &Auto<f64>,
    scale: &Scale,
    context: &Context,
) -> Result<Vec<Option<Predictions>>, StageError> {
    let Some(first) = labellings.first() else { return Ok(Vec::new()) };
    let (split, n_classes) = (&first.split, first.n_classes);
    // [fold × labelling]: the scores of the tested trials, where they are clear.
    let of_folds: Vec<Vec<Option<Vec<f64>>>> = in_order(split.n_folds(), Some(context.threads), context, |fold| {
        let (mut train, mut test) = (features.take_rows(&split.train[fold]), features.take_rows(&split.test[fold]));
        if matches!(scale, Scale::ZScore {}) {
            let scaling = Scaling::fit(&train);
            scaling.apply(&mut train);
            scaling.apply(&mut test);
        }
        let path = RidgePath::of(&train)?;
        let mut all = Vec::with_capacity(labellings.len());
        for some in labellings.chunks((MOST_COLUMNS / n_classes.max(1)).max(1)) {
            context.cancel.check()?;
            all.extend(ridge_fold(&path, &test, some, fold, penalty)?);
        }
        Ok(all)
    })?;
    let predictions = labellings.iter().enumerate().map(|(draw, labelling)| {
        let scores: Option<Vec<Vec<f64>>> = of_folds.iter().map(|fold| fold[draw].clone()).collect();
        scores.map(|scores| collect(split, &labelling.labels, n_classes, &scores))
    });
    Ok(predictions.collect())
}

fn ridge_fold(
    path: &RidgePath,
    test: &Matrix,
    labellings: &[Labelling],
    fold: usize,
    penalty: &Auto<f64>,
) -> Result<Vec<Option<Vec<f64>>>, StageError> {
    let Some(first) = labellings.first() else { return Ok(Vec::new()) };
    let (train, n_classes) = (&first.split.train[fold], first.n_classes);
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
    let projected = path.project(side_by_side)?;
    let penalties = match penalty {
        Auto::Given(penalty) => vec![*penalty; labellings.len()],
        Auto::Auto => {
            let mut best = vec![(f64::NAN, 1.0); labellings.len()];
            for penalty in path.grid() {
                let errors = path.left_out_errors(&projected, penalty)?;
                for (best, errors) in best.iter_mut().zip(errors.chunks_exact(n_classes)) {
                    let error = errors.iter().sum::<f64>();
                    if best.0.is_nan() || error < best.0 {
                        *best = (error, penalty);
                    }
                }
            }
            best.into_iter().map(|(_, penalty)| penalty).collect()
        }
    };
    let of_columns: Vec<f64> = penalties.iter().flat_map(|&penalty| vec![penalty; n_classes]).collect();
    let predicted = path.fit(&projected, &of_columns)?.predict(test)?;
    let of_draw = |draw: usize| -> Option<Vec<f64>> {
        let columns = draw * n_classes..(draw + 1) * n_classes;
        let scores: Vec<f64> = predicted.row_iter().flat_map(|row| row[columns.clone()].iter().copied()).collect();
        (complete[draw] && is_clear(&scores, n_classes, LEVEL)).then_some(scores)
    };
    Ok((0..labellings.len()).map(of_draw).collect())
}
