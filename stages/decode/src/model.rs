//! The classifiers of this crate behind one door: what they are called in a pipeline, and how they are fitted and asked.

use crate::lda;
use crate::linear::{LinearClassifier, largest, softmax};
use crate::logistic;
use crate::scaling::{Scale, Scaling};
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, StageError, Value, words};

words! {
    /// The classifier.
    pub enum Model {
        /// Linear discriminant analysis with a shrunken covariance (scikit-learn's `LinearDiscriminantAnalysis(solver = "lsqr")`): few trials, no tuning.
        Lda = "lda" {
            /// How far each class' covariance is shrunk: `auto` by the lemma of Ledoit & Wolf (2004), or a share from 0 (not) to 1 (to equal variances).
            shrinkage: Auto<f64> = Value::word("auto"), in 0.0..=1.0;
        },
        /// Multinomial logistic regression with an L2 penalty that leaves the intercept free: ½‖w‖² + strength · Σ loss (scikit-learn's `C`).
        Logistic = "logistic" {
            /// The weight of the data against the penalty; `auto` takes the best of 10⁻⁴, 10⁻³, … 10⁴ by the log loss of stratified folds inside the
            /// training trials.
            strength: Auto<f64> = Value::word("auto"), in 1e-12..=1e12;
            /// The number of folds inside the training trials for `strength = auto`; fewer where a class has fewer trials.
            inner: usize = 4, in 2.0..=100.0;
            /// The largest entry of the gradient of the mean loss at which the fit is done.
            tolerance: f64 = 1e-8, in 1e-14..=0.1;
            /// The largest number of steps of the optimiser.
            steps: usize = 2000, in 1.0..=1e6;
        },
    }
}

/// A classifier that has learned.
pub(crate) struct Fitted {
    scaling: Option<Scaling>,
    rule: Rule,
}

enum Rule {
    Linear(LinearClassifier),
}

impl Model {
    /// Learns from all trials of `features`, whose classes are `labels`, scaling included. Every class `0 .. n_classes` needs a trial.
    ///
    /// # Errors
    /// When the model can't be fitted to so few trials, or the work was cancelled.
    pub(crate) fn fit(
        &self,
        mut features: Matrix,
        labels: &[usize],
        n_classes: usize,
        scale: &Scale,
        stream: &Stream,
        context: &Context,
    ) -> Result<Fitted, StageError> {
        let scaling = match scale {
            Scale::None {} => None,
            Scale::ZScore {} => Some(Scaling::fit(&features)),
        };
        if let Some(scaling) = &scaling {
            scaling.apply(&mut features);
        }
        let rule = match self {
            Model::Lda { shrinkage } => Rule::Linear(lda::fit(&features, labels, n_classes, shrinkage)?),
            Model::Logistic { strength, inner, tolerance, steps } => {
                let options = logistic::Options { inner: *inner, tolerance: *tolerance, steps: *steps };
                Rule::Linear(logistic::fit(&features, labels, n_classes, strength, &options, stream, context)?)
            }
        };
        Ok(Fitted { scaling, rule })
    }

    /// Whether fitting is work enough to share between threads.
    pub(crate) fn is_heavy(&self) -> bool {
        !matches!(self, Model::Lda { .. })
    }
}

impl Fitted {
    /// The probability of each class for each trial `[trial × class]`.
    pub(crate) fn probabilities(&self, mut features: Matrix, n_classes: usize) -> Vec<f64> {
        if let Some(scaling) = &self.scaling {
            scaling.apply(&mut features);
        }
        let mut scores = match &self.rule {
            Rule::Linear(classifier) => {
                let mut scores = vec![0.0; features.rows() * n_classes];
                for (trial, scores) in scores.chunks_exact_mut(n_classes).enumerate() {
                    classifier.decide(features.row(trial), scores);
                }
                scores
            }
        };
        scores.chunks_exact_mut(n_classes).for_each(softmax);
        scores
    }
}

/// The most probable class of each trial; the first among equals.
pub(crate) fn most_probable(probabilities: &[f64], n_classes: usize) -> Vec<usize> {
    probabilities.chunks_exact(n_classes).map(largest).collect()
}
