//! The classifiers of this crate behind one door: what they are called in a pipeline, and how they are fitted and asked.

use crate::bayes::{GaussianBayes, fit_poisson};
use crate::lda::{self, Shrinkage};
use crate::linear::{LinearClassifier, largest, softmax};
use crate::linear_fit::Options;
use crate::logistic;
use crate::neighbours::Neighbours;
use crate::ridge;
use crate::scaling::{Scale, Scaling};
use crate::svm;
use neuroflow_compute::Matrix;
use neuroflow_compute::gpu::{GpuError, Policy, by_policy};
use neuroflow_compute::mlp::{Mlp, MlpConfig};
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, GpuPolicy, StageError, Value, words};

words! {
    /// The classifier.
    pub enum Model {
        /// Linear discriminant analysis with a shrunken covariance (scikit-learn's `LinearDiscriminantAnalysis(solver = "lsqr")`): few trials, no tuning.
        /// Shuffles of the labels that share a given split run with `gpu = prefer` or `require` through the GPU, and predict the same classes.
        Lda = "lda" {
            /// How far the covariance is shrunk: each class' by the lemma of Ledoit & Wolf 2004 (`auto`) or by oracle approximating shrinkage (`oas`), the
            /// one that all classes share by Ledoit & Wolf (`pooled`), or by a share from 0 (not) to 1 (to equal variances).
            shrinkage: Shrinkage = Value::word("auto"), in 0.0..=1.0;
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
        /// A linear support vector machine for each class against the rest, with the squared hinge (scikit-learn's `LinearSVC`). It gives scores, no probabilities.
        Svm = "svm" {
            /// The weight of the data against the penalty (scikit-learn's `C`); `auto` takes the one of 10⁻⁴, 10⁻³, … 10² with the most trials right in
            /// stratified folds inside the training trials.
            strength: Auto<f64> = Value::word("auto"), in 1e-12..=1e12;
            /// The number of folds inside the training trials for `strength = auto`; fewer where a class has fewer trials.
            inner: usize = 4, in 2.0..=100.0;
            /// The largest entry of the gradient of the mean loss at which the fit is done.
            tolerance: f64 = 1e-7, in 1e-14..=0.1;
            /// The largest number of steps of the optimiser.
            steps: usize = 5000, in 1.0..=1e6;
        },
        /// Ridge regression on the classes, 1 for a class and −1 for the rest (scikit-learn's `RidgeClassifier`). It gives scores, no probabilities.
        /// Shuffles of the labels that share a given split run with `gpu = prefer` or `require` through the GPU, and predict the same classes.
        Ridge = "ridge" {
            /// The penalty λ of ‖Y − XW‖² + λ‖W‖²; `auto` takes the one with the least error when each training trial is left out, of half decades
            /// 10⁻⁴ … 10⁴ times the summed variance of a feature.
            penalty: Auto<f64> = Value::word("auto"), in 0.0..=1e300;
        },
        /// Gaussian naive Bayes: units independent within a class, each with its own mean and variance (scikit-learn's `GaussianNB`).
        Bayes = "bayes" {
            /// What is added to every variance, as a share of the largest variance of a feature.
            smoothing: f64 = 1e-9, in 0.0..=1e6;
        },
        /// Poisson naive Bayes: spike counts of independent units; use it with `features = sum`. Refuses negative activity.
        Poisson = "poisson" {
            /// The spikes that a unit which is silent in all training trials of a class is taken to fire there in as many trials as the training side has.
            floor: f64 = 0.5, in 1e-9..=10.0;
        },
        /// The training trials with the most similar activity (Euclidean) vote, one vote each.
        Knn = "knn" {
            /// How many vote; `auto` takes the one of 45, 25, 15, 9, 5, 3, 1 with the most trials right in stratified folds inside the training trials.
            k: Auto<usize> = Value::word("auto"), in 1.0..=1e6;
            /// The number of folds inside the training trials for `k = auto`; fewer where a class has fewer trials.
            inner: usize = 4, in 2.0..=100.0;
        },
        /// A dense network with ReLU units, trained by Adam on the CPU, or with `gpu = prefer` or `require` through the GPU: for many trials; scale units first.
        Mlp = "mlp" {
            /// Units of each hidden layer.
            hidden: Vec<usize> = vec![64], in 1.0..=65536.0;
            /// Passes over the training trials.
            epochs: usize = 60, in 1.0..=100000.0;
            /// Trials a step.
            batch: usize = 32, in 1.0..=65536.0;
            /// Adam's step size.
            learning_rate: f64 = 0.003, in 1e-8..=10.0;
            /// How much weights shrink in each step, as a multiple of the step size.
            weight_decay: f64 = 0.01, in 0.0..=10.0;
            /// The share of hidden units that is left out in each step.
            dropout: f64 = 0.2, in 0.0..=0.95;
        },
    }
}

/// A classifier that has learned.
pub(crate) struct Fitted {
    scaling: Option<Scaling>,
    rule: Rule,
}

enum Rule {
    /// Scores of which the softmax is a probability.
    Linear(LinearClassifier),
    /// Scores that are no probabilities.
    Decision(LinearClassifier),
    Gaussian(GaussianBayes),
    Neighbours(Neighbours),
    Network(Mlp),
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
                let options = Options { inner: *inner, tolerance: *tolerance, steps: *steps };
                Rule::Linear(logistic::fit(&features, labels, n_classes, strength, &options, stream, context)?)
            }
            Model::Svm { strength, inner, tolerance, steps } => {
                let options = Options { inner: *inner, tolerance: *tolerance, steps: *steps };
                Rule::Decision(svm::fit(&features, labels, n_classes, strength, &options, stream, context)?)
            }
            Model::Ridge { penalty } => Rule::Decision(ridge::fit_classifier(&features, labels, n_classes, penalty)?),
            Model::Bayes { smoothing } => Rule::Gaussian(GaussianBayes::fit(&features, labels, n_classes, *smoothing)),
            Model::Poisson { floor } => Rule::Linear(fit_poisson(&features, labels, n_classes, *floor)?),
            Model::Knn { k, inner } => Rule::Neighbours(Neighbours::fit(&features, labels, n_classes, (k, *inner), stream, context)?),
            Model::Mlp { hidden, epochs, batch, learning_rate, weight_decay, dropout } => {
                let config = MlpConfig {
                    hidden: hidden.clone(),
                    epochs: *epochs,
                    batch: *batch,
                    learning_rate: *learning_rate as f32,
                    weight_decay: *weight_decay as f32,
                    dropout: *dropout as f32,
                };
                let values: Vec<f32> = features.values().iter().map(|value| *value as f32).collect();
                let go_on = || !context.cancel.is_cancelled();
                let trained =
                    by_policy(policy(context), |gpu| Mlp::train(&values, labels, n_classes, &config, &stream.split("mlp"), gpu, go_on));
                context.cancel.check()?;
                let (network, _) = trained.map_err(device_failed)?;
                Rule::Network(network)
            }
        };
        Ok(Fitted { scaling, rule })
    }

    /// Whether fitting to so many trials and features is work enough to share between threads.
    pub(crate) fn is_heavy(&self, n_trials: usize, n_features: usize) -> bool {
        match self {
            Model::Lda { .. } | Model::Ridge { .. } => lda::is_large(n_trials, n_features),
            Model::Bayes { .. } | Model::Poisson { .. } => false,
            Model::Knn { .. } => n_trials.saturating_mul(n_trials).saturating_mul(n_features) > 1 << 24,
            Model::Logistic { .. } | Model::Svm { .. } | Model::Mlp { .. } => true,
        }
    }

    /// Whether the scores of a trial's classes are probabilities.
    pub(crate) fn has_probabilities(&self) -> bool {
        !matches!(self, Model::Svm { .. } | Model::Ridge { .. })
    }
}

impl Fitted {
    /// The score of each class for each trial `[trial × class]`: its probability where [`Model::has_probabilities`]; the larger, the likelier.
    pub(crate) fn scores(&self, mut features: Matrix, n_classes: usize) -> Vec<f64> {
        if let Some(scaling) = &self.scaling {
            scaling.apply(&mut features);
        }
        let each = |decide: &dyn Fn(&[f64], &mut [f64])| {
            let mut scores = vec![0.0; features.rows() * n_classes];
            scores.chunks_exact_mut(n_classes.max(1)).zip(features.row_iter()).for_each(|(scores, row)| decide(row, scores));
            scores
        };
        let mut scores = match &self.rule {
            Rule::Linear(classifier) => classifier.decide_all(&features),
            Rule::Decision(classifier) => return classifier.decide_all(&features),
            Rule::Gaussian(bayes) => each(&|row, scores| bayes.decide(row, scores)),
            Rule::Neighbours(neighbours) => return each(&|row, scores| neighbours.decide(row, scores)),
            Rule::Network(network) => {
                let values: Vec<f32> = features.values().iter().map(|value| *value as f32).collect();
                return network.probabilities(&values, features.rows()).into_iter().map(f64::from).collect();
            }
        };
        scores.chunks_exact_mut(n_classes).for_each(|scores| {
            softmax(scores);
        });
        scores
    }
}

/// Whether the graphics card is asked for.
pub(crate) fn policy(context: &Context) -> Policy {
    match context.gpu {
        GpuPolicy::Never => Policy::Never,
        GpuPolicy::Prefer => Policy::Prefer,
        GpuPolicy::Require => Policy::Require,
    }
}

/// A failure of the graphics card that was required.
pub(crate) fn device_failed(error: GpuError) -> StageError {
    StageError::refused_with_help(error.to_string(), "write `gpu = prefer`, or look at `neuroflow doctor`")
}

/// The class with the largest score of each trial; the first among equals.
pub(crate) fn most_probable(scores: &[f64], n_classes: usize) -> Vec<usize> {
    scores.chunks_exact(n_classes).map(largest).collect()
}
