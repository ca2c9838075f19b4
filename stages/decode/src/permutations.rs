//! Many labellings of the same trials, predicted together: what does not depend on the labels is computed once.
//!
//! * Linear discriminant analysis with one covariance (`shrinkage = pooled`, or a given share): the scatter of all trials around their mean is the scatter within
//!   classes and that between them. The first does not change when labels are permuted, and the second is a product of the class means, so that a permutation
//!   costs no scatter of trials: total − Σ n m mᵀ, one factor and one product of the tested trials with the weights.
//! * Ridge: the decomposition of a training side does not depend on the labels. With the same split for all labellings, their indicators are laid side by side
//!   and all are predicted by one product.
//!
//! Both need the answer of fitting each labelling by itself. It is the same up to rounding, and where rounding could matter (two classes nearly level for a
//! tested trial, a covariance that is nearly singular, a class without a training trial) the labelling is fitted by itself.
//!
//! Method: reuse of the total scatter after Treder 2018 (arXiv 1803.10016), who updates the hat matrix.

use crate::cross_validate::{Predictions, collect, cross_validate, in_order};
use crate::lda::{Estimator, Shrinkage, classifier};
use crate::model::Model;
use crate::ridge::{RidgePath, indicators};
use crate::scaling::{Scale, Scaling};
use crate::spectral::numerical;
use crate::split::Split;
use crate::symmetric_solve::well_conditioned;
use crate::target::count;
use crate::weighted_scatter::{shrink_pooled, standardised_length};
use neuroflow_compute::Matrix;
use neuroflow_compute::product::gram;
use neuroflow_stage::params::Either;
use neuroflow_stage::{Auto, Context, StageError};

/// One labelling and its split.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labelling {
    pub(crate) labels: Vec<usize>,
    pub(crate) n_classes: usize,
    pub(crate) split: Split,
}

/// Scores of two classes that are nearer than this share of their size are level.
const LEVEL: f64 = 1e-9;
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
        (Model::Lda { shrinkage: shrinkage @ (Either::Left(Estimator::Pooled {}) | Either::Right(_)) }, Scale::None {}) => {
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

fn is_one_split(labellings: &[Labelling]) -> bool {
    labellings.windows(2).all(|pair| pair[0].split == pair[1].split && pair[0].n_classes == pair[1].n_classes)
}

/// Whether the two largest scores of every trial are far enough from each other that rounding can't change the order.
fn is_clear(scores: &[f64], n_classes: usize) -> bool {
    scores.chunks_exact(n_classes.max(1)).all(|scores| {
        let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for &score in scores {
            if score > first {
                (first, second) = (score, first);
            } else if score > second {
                second = score;
            }
        }
        first - second > LEVEL * (first.abs() + second.abs())
    })
}

/// The trials as discriminant analysis sees them before it knows any label.
struct TotalScatter<'a> {
    /// Trials minus their mean `[trial × feature]`.
    centred: Matrix,
    /// Σ x xᵀ over all trials.
    total: Matrix,
    /// Of each fold Σ x xᵀ over its training trials, where all labellings share one split.
    trained: Option<Vec<Matrix>>,
    shrinkage: &'a Shrinkage,
}

impl<'a> TotalScatter<'a> {
    fn of(features: &Matrix, labellings: &[Labelling], shrinkage: &'a Shrinkage) -> TotalScatter<'a> {
        let mut centred = features.clone();
        crate::shared_space::centre_rows(&mut centred);
        let mut found = TotalScatter { total: gram(&centred), centred, trained: None, shrinkage };
        if let (Some(first), true) = (labellings.first(), labellings.len() > 1 && is_one_split(labellings)) {
            found.trained = Some((0..first.split.n_folds()).map(|fold| found.of_training(&first.split, fold)).collect());
        }
        found
    }

    /// Whether a fold trains on all that it does not test, and that is more.
    fn is_rest(&self, split: &Split, fold: usize) -> bool {
        let (train, test) = (split.train[fold].len(), split.test[fold].len());
        train + test == self.centred.rows() && train > test
    }

    /// Σ x xᵀ over the training trials of a fold: where it trains on all that it does not test, the smaller side is multiplied.
    fn of_training(&self, split: &Split, fold: usize) -> Matrix {
        if !self.is_rest(split, fold) {
            return gram(&self.centred.take_rows(&split.train[fold]));
        }
        let mut scatter = gram(&self.centred.take_rows(&split.test[fold]));
        scatter.values_mut().iter_mut().zip(self.total.values()).for_each(|(tested, total)| *tested = total - *tested);
        scatter
    }

    /// None where the labelling must be fitted by itself.
    fn predict(&self, labelling: &Labelling) -> Result<Option<Predictions>, StageError> {
        let Labelling { labels, n_classes, split } = labelling;
        let mut of_folds = Vec::with_capacity(split.n_folds());
        let mut all = Matrix::zeros(*n_classes, self.centred.cols());
        for (row, &label) in self.centred.row_iter().zip(labels) {
            all.row_mut(label).iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        for fold in 0..split.n_folds() {
            match self.fold(labels, &all, split, fold)? {
                Some(scores) => of_folds.push(scores),
                None => return Ok(None),
            }
        }
        Ok(Some(collect(split, labels, *n_classes, &of_folds)))
    }

    /// The scores of the tested trials `[tested × class]`; `all` has the sum of each class over all trials `[class × feature]`.
    fn fold(&self, labels: &[usize], all: &Matrix, split: &Split, fold: usize) -> Result<Option<Vec<f64>>, StageError> {
        let (train, test) = (&split.train[fold], &split.test[fold]);
        let (n_classes, n_features) = all.shape();
        let train_labels: Vec<usize> = train.iter().map(|&trial| labels[trial]).collect();
        let counts = count(&train_labels, n_classes);
        if counts.contains(&0) {
            return Ok(None);
        }
        let mut means = Matrix::zeros(n_classes, n_features);
        if self.is_rest(split, fold) {
            means = all.clone();
            for &trial in test {
                means.row_mut(labels[trial]).iter_mut().zip(self.centred.row(trial)).for_each(|(sum, value)| *sum -= value);
            }
        } else {
            for (&trial, &label) in train.iter().zip(&train_labels) {
                means.row_mut(label).iter_mut().zip(self.centred.row(trial)).for_each(|(sum, value)| *sum += value);
            }
        }
        let mut between = means.clone();
        for (class, &count) in counts.iter().enumerate() {
            let (n, root) = (count as f64, (count as f64).sqrt());
            means.row_mut(class).iter_mut().for_each(|sum| *sum /= n);
            // Σ n m mᵀ is the product of sums / √n.
            between.row_mut(class).iter_mut().for_each(|sum| *sum /= root);
        }
        let mut scatter = match &self.trained {
            Some(trained) => trained[fold].clone(),
            None => self.of_training(split, fold),
        };
        scatter.values_mut().iter_mut().zip(gram(&between).values()).for_each(|(value, between)| *value -= between);
        match self.shrinkage {
            Either::Right(shrinkage) => {
                let (n, p) = (train.len() as f64, n_features as f64);
                let level = shrinkage * scatter.diagonal().iter().sum::<f64>() / (n * p);
                let factor = (1.0 - shrinkage) / n;
                scatter.values_mut().iter_mut().for_each(|value| *value *= factor);
                (0..n_features).for_each(|feature| scatter[(feature, feature)] += level);
            }
            Either::Left(_) => {
                let fourth = |inverse: &[f64]| {
                    let mut residual = vec![0.0; n_features];
                    let of_trial = |(trial, label): (&usize, &usize)| {
                        let rows = self.centred.row(*trial).iter().zip(means.row(*label));
                        residual.iter_mut().zip(rows).for_each(|(place, (value, mean))| *place = value - mean);
                        standardised_length(&residual, inverse).powi(2)
                    };
                    train.iter().zip(&train_labels).map(of_trial).sum::<f64>()
                };
                shrink_pooled(&mut scatter, train.len(), fourth);
            }
        }
        let Some(factor) = well_conditioned(&scatter) else { return Ok(None) };
        let means = means.transposed();
        let weights = factor.solve(&means).map_err(numerical)?;
        let log_priors = counts.iter().map(|&count| (count as f64 / train.len() as f64).ln()).collect();
        let scores = classifier(log_priors, &means, weights).decide_all(&self.centred.take_rows(test));
        Ok(is_clear(&scores, n_classes).then_some(scores))
    }
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
        (complete[draw] && is_clear(&scores, n_classes)).then_some(scores)
    };
    Ok((0..labellings.len()).map(of_draw).collect())
}
