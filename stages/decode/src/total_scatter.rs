//! The scatter of all trials, made once for many labellings of them.
//!
//! Linear discriminant analysis needs `Σ_c w_c S_c` and a diagonal, where `S_c` is the scatter of the trials of class `c` around their mean `m_c`. The scatter of all trials around their
//! common mean does not change when labels are permuted, and `Σ_c S_c` is that less `Σ_c n_c m_c m_cᵀ`, which costs classes and not trials.
//!
//! * One weight for all classes (`pooled`, or a given share): nothing else is needed.
//! * A weight for each class (`auto`, `oas`): the least weight is taken off and counts for the total, and what a class has beyond it is summed over the trials that have any,
//!   in single precision ([`weighted_scatter`]). Where that part is small, so is its error; what the error may do to a score is estimated from the
//!   part's share of the variances and from the smallest pivot, and a fold in which two scores are nearer than that is summed in double precision.
//!
//! Method: reuse of the total scatter after Treder 2018 (arXiv 1803.10016), who updates the hat matrix.

use crate::cross_validate::{Predictions, collect};
use crate::lda::{Estimator, Shrinkage, classifier, is_large};
use crate::permutations::{LEVEL, Labelling, is_clear, is_one_split};
use crate::spectral::numerical;
use crate::split::Split;
use crate::symmetric_solve::well_conditioned;
use crate::target::count;
use crate::weighted_scatter::{pooled_weight, standardised_length, weigh};
use neuroflow_compute::Matrix;
use neuroflow_compute::product::gram;
use neuroflow_compute::single::{SingleRef, weighted_scatter};
use neuroflow_stage::StageError;
use neuroflow_stage::params::Either;

/// Error of a sum in single precision, relative to the variances: some dozen times what rounding gives for thousands of trials.
pub(crate) const SINGLE_ERROR: f64 = 4e-6;
/// Above this share of a score it is not worth while to try single precision.
const MOST_ERROR: f64 = 1e-5;

/// The trials as discriminant analysis sees them before it knows any label.
pub(crate) struct TotalScatter<'a> {
    /// Trials minus their mean `[trial × feature]`.
    pub(crate) centred: Matrix,
    /// Σ x xᵀ over all trials.
    total: Matrix,
    /// Of each fold Σ x xᵀ over its training trials, where all labellings share one split.
    pub(crate) trained: Option<Vec<Matrix>>,
    pub(crate) shrinkage: &'a Shrinkage,
    /// What was taken off each feature.
    centre: Vec<f64>,
    /// The root of each feature's variance; 1 where it has none.
    pub(crate) deviations: Vec<f64>,
    /// `centred` over `deviations`, in single precision, where classes have weights of their own.
    standard: Vec<f32>,
}

/// The training side of a fold under one labelling; every class has a trial.
pub(crate) struct Training<'a> {
    pub(crate) trials: &'a [usize],
    pub(crate) labels: Vec<usize>,
    /// Trials of each class.
    pub(crate) counts: Vec<usize>,
    /// `[class × feature]`.
    pub(crate) means: Matrix,
}

impl Training<'_> {
    /// `ln π` of each class.
    pub(crate) fn log_priors(&self) -> Vec<f64> {
        let n = self.trials.len() as f64;
        self.counts.iter().map(|&count| (count as f64 / n).ln()).collect()
    }
}

/// A covariance, and by how much rounding may change a score that it leads to, as a share of the score.
struct Covariance {
    values: Matrix,
    /// The part of the variances that is known in single precision only.
    single: f64,
}

impl<'a> TotalScatter<'a> {
    /// Whether labellings are quicker together than each by itself.
    pub(crate) fn serves(features: &Matrix, shrinkage: &Shrinkage) -> bool {
        has_one_weight(shrinkage) || is_large(features.rows(), features.cols())
    }

    pub(crate) fn of(features: &Matrix, labellings: &[Labelling], shrinkage: &'a Shrinkage) -> TotalScatter<'a> {
        let mut centred = features.clone();
        let centre = crate::shared_space::centre_rows(&mut centred);
        let total = gram(&centred);
        let n = features.rows().max(1) as f64;
        let deviations: Vec<f64> = total.diagonal().iter().map(|sum| if *sum > 0.0 { (sum / n).sqrt() } else { 1.0 }).collect();
        let standard = if has_one_weight(shrinkage) {
            Vec::new()
        } else {
            centred.row_iter().flat_map(|row| row.iter().zip(&deviations).map(|(value, deviation)| (value / deviation) as f32)).collect()
        };
        let mut found = TotalScatter { total, centred, trained: None, shrinkage, centre, deviations, standard };
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

    /// What a labelling predicts; none where it must be fitted by itself. Scores of folds that are `known` already are not made again.
    pub(crate) fn predict(&self, labelling: &Labelling, known: &[Option<Vec<f64>>]) -> Result<Option<Predictions>, StageError> {
        let Labelling { labels, n_classes, split } = labelling;
        let mut of_folds = Vec::with_capacity(split.n_folds());
        let mut sums = None;
        for fold in 0..split.n_folds() {
            if let Some(Some(scores)) = known.get(fold) {
                of_folds.push(scores.clone());
                continue;
            }
            let sums = sums.get_or_insert_with(|| self.class_sums(labelling));
            match self.fold(labels, sums, split, fold)? {
                Some(scores) => of_folds.push(scores),
                None => return Ok(None),
            }
        }
        Ok(Some(collect(split, labels, *n_classes, &of_folds)))
    }

    /// The sum of each class over all trials `[class × feature]`.
    pub(crate) fn class_sums(&self, labelling: &Labelling) -> Matrix {
        let mut sums = Matrix::zeros(labelling.n_classes, self.centred.cols());
        for (row, &label) in self.centred.row_iter().zip(&labelling.labels) {
            sums.row_mut(label).iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        sums
    }

    /// The training side of a fold; none where a class has no trial there. `sums` are those of each class over all trials.
    pub(crate) fn training<'s>(&self, labels: &[usize], sums: &Matrix, split: &'s Split, fold: usize) -> Option<Training<'s>> {
        let (train, test) = (&split.train[fold], &split.test[fold]);
        let (n_classes, n_features) = sums.shape();
        let train_labels: Vec<usize> = train.iter().map(|&trial| labels[trial]).collect();
        let counts = count(&train_labels, n_classes);
        if counts.contains(&0) {
            return None;
        }
        let mut means = Matrix::zeros(n_classes, n_features);
        if self.is_rest(split, fold) {
            means = sums.clone();
            for &trial in test {
                means.row_mut(labels[trial]).iter_mut().zip(self.centred.row(trial)).for_each(|(sum, value)| *sum -= value);
            }
        } else {
            for (&trial, &label) in train.iter().zip(&train_labels) {
                means.row_mut(label).iter_mut().zip(self.centred.row(trial)).for_each(|(sum, value)| *sum += value);
            }
        }
        for (class, &count) in counts.iter().enumerate() {
            means.row_mut(class).iter_mut().for_each(|sum| *sum /= count as f64);
        }
        Some(Training { trials: train, labels: train_labels, counts, means })
    }

    /// The scores of the tested trials `[tested × class]`, `sums` as of [`TotalScatter::training`]; none where the labelling must be fitted by itself.
    pub(crate) fn fold(&self, labels: &[usize], sums: &Matrix, split: &Split, fold: usize) -> Result<Option<Vec<f64>>, StageError> {
        let Some(training) = self.training(labels, sums, split, fold) else { return Ok(None) };
        let tested = self.centred.take_rows(&split.test[fold]);
        if has_one_weight(self.shrinkage) {
            let covariance = self.of_one_weight(&training, split, fold);
            return scores(&training, &covariance, &tested);
        }
        let shares = self.shares(&training)?;
        let quick = self.of_shares(&training, &shares, split, fold, false)?;
        match scores(&training, &quick, &tested)? {
            // All is in double precision already.
            found if found.is_some() || quick.single == 0.0 => Ok(found),
            _ => scores(&training, &self.of_shares(&training, &shares, split, fold, true)?, &tested),
        }
    }

    /// `Σ x xᵀ` over the training trials.
    fn trained(&self, split: &Split, fold: usize) -> Matrix {
        match &self.trained {
            Some(trained) => trained[fold].clone(),
            None => self.of_training(split, fold),
        }
    }

    /// The covariance with one shrinkage for all classes.
    fn of_one_weight(&self, training: &Training<'_>, split: &Split, fold: usize) -> Covariance {
        let mut scatter = self.within(training, split, fold);
        let (factor, diagonal) = self.one_weight(training, &scatter);
        scatter.values_mut().iter_mut().for_each(|value| *value *= factor);
        diagonal.iter().enumerate().for_each(|(feature, value)| scatter[(feature, feature)] += value);
        Covariance { values: scatter, single: 0.0 }
    }

    /// The scatter within classes.
    pub(crate) fn within(&self, training: &Training<'_>, split: &Split, fold: usize) -> Matrix {
        let mut scatter = self.trained(split, fold);
        let roots: Vec<f64> = training.counts.iter().map(|&count| (count as f64).sqrt()).collect();
        take_off(&mut scatter, &training.means, &roots);
        scatter
    }

    /// What the scatter within classes counts with one shrinkage for all classes, and what is added to the diagonal.
    pub(crate) fn one_weight(&self, training: &Training<'_>, scatter: &Matrix) -> (f64, Vec<f64>) {
        let (n_trials, n_features) = (training.trials.len(), self.centred.cols());
        match self.shrinkage {
            Either::Right(shrinkage) => {
                let (n, p) = (n_trials as f64, n_features as f64);
                let level = shrinkage * scatter.diagonal().iter().sum::<f64>() / (n * p);
                ((1.0 - shrinkage) / n, vec![level; n_features])
            }
            Either::Left(_) => {
                let fourth = |inverse: &[f64]| {
                    let mut residual = vec![0.0; n_features];
                    let of_trial = |(trial, label): (&usize, &usize)| {
                        let rows = self.centred.row(*trial).iter().zip(training.means.row(*label));
                        residual.iter_mut().zip(rows).for_each(|(place, (value, mean))| *place = value - mean);
                        standardised_length(&residual, inverse).powi(2)
                    };
                    training.trials.iter().zip(&training.labels).map(of_trial).sum::<f64>()
                };
                pooled_weight(scatter, n_trials, fourth)
            }
        }
    }

    /// What the scatter of each class counts, and what all classes add to the diagonal.
    pub(crate) fn shares(&self, training: &Training<'_>) -> Result<Shares, StageError> {
        let n_features = self.centred.cols();
        let mut members = vec![Vec::new(); training.counts.len()];
        training.trials.iter().zip(&training.labels).for_each(|(&trial, &label)| members[label].push(trial));
        let mut shares = Shares { weights: Vec::with_capacity(members.len()), diagonal: vec![0.0; n_features] };
        for (class, members) in members.iter().enumerate() {
            let mean = training.means.row(class);
            let mut values = Vec::with_capacity(members.len() * n_features);
            let mut variance = vec![0.0; n_features];
            for &trial in members {
                let rows = self.centred.row(trial).iter().zip(mean).zip(&mut variance);
                values.extend(rows.map(|((value, mean), sum)| {
                    let residual = value - mean;
                    *sum += residual * residual;
                    residual
                }));
            }
            let rows = Matrix::new(members.len(), n_features, values).map_err(numerical)?;
            variance.iter_mut().for_each(|sum| *sum /= members.len() as f64);
            let given: Vec<f64> = mean.iter().zip(&self.centre).map(|(mean, centre)| mean + centre).collect();
            let (weight, diagonal) = weigh(&rows, &variance, &given, training.trials.len(), self.shrinkage);
            shares.weights.push(weight.max(0.0));
            shares.diagonal.iter_mut().zip(diagonal).for_each(|(sum, value)| *sum += value);
        }
        Ok(shares)
    }

    /// The covariance with a weight for each class; what classes have beyond the least weight in single precision, or all in double precision.
    fn of_shares(
        &self,
        training: &Training<'_>,
        shares: &Shares,
        split: &Split,
        fold: usize,
        exact: bool,
    ) -> Result<Covariance, StageError> {
        let (n_trials, n_features) = self.centred.shape();
        let least = shares.weights.iter().copied().fold(f64::INFINITY, f64::min);
        let most = shares.weights.iter().copied().fold(0.0, f64::max) - least;
        let mut covariance =
            if least > 0.0 { self.trained(split, fold).map(|value| value * least) } else { Matrix::zeros(n_features, n_features) };
        let beyond = |label: usize| shares.weights[label] - least;
        let rows = training.trials.iter().zip(&training.labels).filter(|(_, label)| beyond(**label) > 0.0);
        let mut single = vec![0.0; n_features];
        if exact {
            let mut values = Vec::with_capacity(training.trials.len() * n_features);
            let mut some = 0;
            for (&trial, &label) in rows {
                let root = beyond(label).sqrt();
                values.extend(self.centred.row(trial).iter().map(|value| value * root));
                some += 1;
            }
            let more = gram(&Matrix::new(some, n_features, values).map_err(numerical)?);
            covariance.values_mut().iter_mut().zip(more.values()).for_each(|(sum, value)| *sum += value);
        } else if most > 0.0 {
            // Relative to the largest, so that single precision holds every factor.
            let (rows, factors): (Vec<usize>, Vec<f32>) =
                rows.map(|(&trial, &label)| (trial, (beyond(label) / most).sqrt() as f32)).unzip();
            let standard = SingleRef::new(n_trials, n_features, &self.standard).map_err(numerical)?;
            let more = weighted_scatter(standard, &rows, &factors).map_err(numerical)?;
            for (feature, (row, deviation)) in more.row_iter().zip(&self.deviations).enumerate() {
                let factor = most * deviation;
                let pairs = row.iter().zip(&self.deviations);
                covariance.row_mut(feature).iter_mut().zip(pairs).for_each(|(sum, (value, other))| *sum += factor * (value * other));
                single[feature] = factor * deviation * row[feature];
            }
        }
        let roots: Vec<f64> = training.counts.iter().zip(&shares.weights).map(|(&count, weight)| (count as f64 * weight).sqrt()).collect();
        take_off(&mut covariance, &training.means, &roots);
        for (feature, value) in shares.diagonal.iter().enumerate() {
            covariance[(feature, feature)] += value;
        }
        let shares =
            covariance.diagonal().into_iter().zip(single).map(|(variance, single)| if single > 0.0 { single / variance } else { 0.0 });
        let single = shares.fold(0.0, f64::max);
        Ok(Covariance { values: covariance, single })
    }
}

/// What the scatter of each class counts, and what all classes add to the diagonal.
pub(crate) struct Shares {
    pub(crate) weights: Vec<f64>,
    pub(crate) diagonal: Vec<f64>,
}

/// Whether the scatter of each class counts alike.
pub(crate) fn has_one_weight(shrinkage: &Shrinkage) -> bool {
    matches!(shrinkage, Either::Left(Estimator::Pooled {}) | Either::Right(_))
}

/// Takes `Σ root² m mᵀ` over the rows `m` of `means` off a scatter.
fn take_off(scatter: &mut Matrix, means: &Matrix, roots: &[f64]) {
    let mut scaled = means.clone();
    for (class, root) in roots.iter().enumerate() {
        scaled.row_mut(class).iter_mut().for_each(|value| *value *= root);
    }
    scatter.values_mut().iter_mut().zip(gram(&scaled).values()).for_each(|(value, between)| *value -= between);
}

/// The scores of the tested trials `[tested × class]`; none where the covariance is nearly singular, or rounding could change which class has the largest.
fn scores(training: &Training<'_>, covariance: &Covariance, tested: &Matrix) -> Result<Option<Vec<f64>>, StageError> {
    let Some((factor, least)) = well_conditioned(&covariance.values) else { return Ok(None) };
    let level = LEVEL + covariance.single * SINGLE_ERROR / least;
    if level > MOST_ERROR {
        return Ok(None);
    }
    let means = training.means.transposed();
    let weights = factor.solve(&means).map_err(numerical)?;
    let scores = classifier(training.log_priors(), &means, weights).decide_all(tested);
    Ok(is_clear(&scores, training.counts.len(), level).then_some(scores))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cross_validate::cross_validate;
    use crate::folds::Folds;
    use crate::linear::softmax;
    use crate::model::Model;
    use crate::scaling::Scale;
    use neuroflow_data::random::Stream;
    use neuroflow_stage::Context;

    const CLASSES: usize = 4;

    /// Trials of units that go together, spread differently in each class, so that classes are shrunk differently; and labellings of them, with one split or with a split each.
    pub(crate) fn problem(one_split: bool) -> (Matrix, Vec<Labelling>) {
        let mut stream = Stream::new(3);
        let labels: Vec<usize> = (0..132).map(|trial| trial % CLASSES).collect();
        let mut features = Matrix::zeros(labels.len(), 380);
        for (trial, &label) in labels.iter().enumerate() {
            let shared: Vec<f64> = (0..3).map(|_| 2.0 * (1 + label) as f64 * stream.normal()).collect();
            for (unit, value) in features.row_mut(trial).iter_mut().enumerate() {
                let own = if unit % CLASSES == label { 0.5 } else { 0.0 };
                *value = 10.0 + (1.0 + unit as f64 / 50.0) * (own + stream.normal() + shared[unit % 3]);
            }
        }
        let first = Split::from(&Folds::stratified(&labels, CLASSES, 3, 1));
        let labellings = (0..4).map(|draw| {
            let order = if draw == 0 { (0..labels.len()).collect() } else { stream.permutation(labels.len()) };
            let labels: Vec<usize> = order.into_iter().map(|trial| labels[trial]).collect();
            let split = if one_split { first.clone() } else { Split::from(&Folds::stratified(&labels, CLASSES, 3, draw)) };
            Labelling { labels, n_classes: CLASSES, split }
        });
        (features, labellings.collect())
    }

    #[test]
    fn a_weight_for_each_class_predicts_as_fits_of_each_labelling_by_itself() {
        for one_split in [true, false] {
            let (features, labellings) = problem(one_split);
            for shrinkage in [Estimator::Auto {}, Estimator::Oas {}].map(Either::Left) {
                assert!(TotalScatter::serves(&features, &shrinkage));
                let total = TotalScatter::of(&features, &labellings, &shrinkage);
                for labelling in &labellings {
                    let Labelling { labels, n_classes, split } = labelling;
                    let model = Model::Lda { shrinkage: shrinkage.clone() };
                    let alone = cross_validate(&features, labels, *n_classes, split, &model, &Scale::None {}, &Context::quiet(1)).unwrap();
                    let mut quick = total.predict(labelling, &[]).unwrap().expect("two classes are level");
                    assert_eq!(quick.predicted, alone.predicted);
                    quick.scores.chunks_exact_mut(CLASSES).for_each(|scores| {
                        softmax(scores);
                    });
                    let worst = quick.scores.iter().zip(&alone.scores).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(worst < 1e-4, "{shrinkage:?}: {worst}");
                }
            }
        }
    }

    #[test]
    fn the_part_in_single_precision_is_as_near_as_it_says() {
        let (features, labellings) = problem(true);
        let shrinkage = Either::Left(Estimator::Auto {});
        let total = TotalScatter::of(&features, &labellings, &shrinkage);
        let Labelling { labels, split, .. } = &labellings[1];
        let training = total.training(labels, &total.class_sums(&labellings[1]), split, 0).unwrap();
        let shares = total.shares(&training).unwrap();
        let [quick, exact] = [false, true].map(|exact| total.of_shares(&training, &shares, split, 0, exact).unwrap());
        assert!(quick.single > 0.01 && exact.single == 0.0, "{}", quick.single);
        // The same as the stage's own fit has.
        let train = features.take_rows(&split.train[0]);
        let (_, fitted) = crate::weighted_scatter::covariance(&train, &training.labels, CLASSES, &shrinkage).unwrap();
        for row in 0..features.cols() {
            for column in 0..=row {
                let size = (exact.values[(row, row)] * exact.values[(column, column)]).sqrt();
                assert!((exact.values[(row, column)] - fitted[(row, column)]).abs() < 1e-10 * size);
                assert!((quick.values[(row, column)] - exact.values[(row, column)]).abs() < quick.single * SINGLE_ERROR * size);
            }
        }
    }
}
