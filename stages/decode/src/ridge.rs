//! Ridge regression for all penalties and all targets from one decomposition.
//!
//! `‖Y − X W − b‖² + λ‖W‖²` is least, the intercept is free: scikit-learn's `Ridge(alpha = λ)`. With the centred training trials X = U diag(s) Vᵀ the weights
//! are `V diag(s / (s² + λ)) Uᵀ Y` (Hoerl & Kennard 1970), so that a further penalty or target costs a product and no new decomposition. The error when
//! each trial is left out in turn has a closed form (Allen 1974) with the leverages 1/n + Σ u² s² / (s² + λ).
//!
//! An automatic penalty is the one with the least left-out error of a grid of half decades, 10⁻⁴ … 10⁴ times ‖X‖² / features; among equals the larger
//! wins.

use crate::linear::LinearClassifier;
use crate::shared_space::centre_rows;
use crate::spectral::{Axes, numerical};
use neuroflow_compute::Matrix;
use neuroflow_compute::product::{gemm, gemm_nt, gemm_tn};
use neuroflow_stage::{Auto, StageError};

/// Training trials in the axes in which ridge regression is a division.
pub(crate) struct RidgePath {
    n_trials: usize,
    centre: Vec<f64>,
    /// U `[trial × axis]`.
    left: Matrix,
    /// V `[feature × axis]`.
    right: Matrix,
    /// s.
    singular: Vec<f64>,
    /// ‖X‖² / features.
    scale: f64,
}

/// Targets seen from the training trials.
pub(crate) struct Projected {
    /// The mean of each target.
    offset: Vec<f64>,
    /// The targets minus their means `[trial × target]`.
    centred: Matrix,
    /// Uᵀ Y `[axis × target]`.
    on_axes: Matrix,
}

/// Weights `[feature × target]` and intercepts.
pub(crate) struct Ridge {
    pub(crate) weights: Matrix,
    pub(crate) intercept: Vec<f64>,
}

impl RidgePath {
    /// Decomposes the training trials `[trial × feature]`.
    ///
    /// # Errors
    /// When the decomposition fails, which finite input does not reach.
    pub(crate) fn of(features: &Matrix) -> Result<RidgePath, StageError> {
        let mut centred = features.clone();
        let centre = centre_rows(&mut centred);
        let Axes { left, right, singular, squares } = Axes::of(&centred)?;
        let scale = squares.iter().map(|square| square.max(0.0)).sum::<f64>() / features.cols().max(1) as f64;
        Ok(RidgePath { n_trials: features.rows(), centre, left, right, singular, scale })
    }

    /// Targets `[trial × target]` of the training trials.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn project(&self, mut targets: Matrix) -> Result<Projected, StageError> {
        let offset = centre_rows(&mut targets);
        let on_axes = gemm_tn(&self.left, &targets).map_err(numerical)?;
        Ok(Projected { offset, centred: targets, on_axes })
    }

    /// The weights at a penalty for each target.
    ///
    /// # Errors
    /// As [`RidgePath::project`].
    pub(crate) fn fit(&self, targets: &Projected, penalties: &[f64]) -> Result<Ridge, StageError> {
        let shrunk = Matrix::from_fn(self.singular.len(), penalties.len(), |axis, target| {
            let length = self.singular[axis];
            targets.on_axes[(axis, target)] * length / (length * length + penalties[target])
        });
        let weights = gemm(&self.right, &shrunk).map_err(numerical)?;
        let mut intercept = targets.offset.clone();
        for (centre, row) in self.centre.iter().zip(weights.row_iter()) {
            intercept.iter_mut().zip(row).for_each(|(value, weight)| *value -= centre * weight);
        }
        Ok(Ridge { weights, intercept })
    }

    /// What a penalty makes of targets minus their means, for the trials of `features`: predictions minus the means of the targets are this `[trial × training trial]` times those.
    ///
    /// # Errors
    /// As [`RidgePath::project`].
    pub(crate) fn hat(&self, features: &Matrix, penalty: f64) -> Result<Matrix, StageError> {
        let centred = Matrix::from_fn(features.rows(), features.cols(), |trial, feature| features[(trial, feature)] - self.centre[feature]);
        let mut on_axes = gemm(&centred, &self.right).map_err(numerical)?;
        let kept: Vec<f64> = self.singular.iter().map(|length| length / (length * length + penalty)).collect();
        for trial in 0..on_axes.rows() {
            on_axes.row_mut(trial).iter_mut().zip(&kept).for_each(|(value, kept)| *value *= kept);
        }
        gemm_nt(&on_axes, &self.left).map_err(numerical)
    }

    /// For each target, the squared error of each training trial when it is left out, averaged.
    ///
    /// # Errors
    /// As [`RidgePath::project`].
    pub(crate) fn left_out_errors(&self, targets: &Projected, penalty: f64) -> Result<Vec<f64>, StageError> {
        let kept: Vec<f64> = self.singular.iter().map(|length| length * length / (length * length + penalty)).collect();
        let shrunk =
            Matrix::from_fn(targets.on_axes.rows(), targets.on_axes.cols(), |axis, target| targets.on_axes[(axis, target)] * kept[axis]);
        let fitted = gemm(&self.left, &shrunk).map_err(numerical)?;
        let n = self.n_trials.max(1) as f64;
        let mut errors = vec![0.0; targets.offset.len()];
        for (trial, left) in self.left.row_iter().enumerate() {
            let leverage = 1.0 / n + left.iter().zip(&kept).map(|(value, kept)| value * value * kept).sum::<f64>();
            // A trial that its own fit depends on alone says nothing about the penalty, and must not divide by zero.
            let free = (1.0 - leverage).max(1e-9);
            for (error, (target, fitted)) in errors.iter_mut().zip(targets.centred.row(trial).iter().zip(fitted.row(trial))) {
                *error += ((target - fitted) / free).powi(2) / n;
            }
        }
        Ok(errors)
    }

    /// The grid of an automatic penalty, the largest first.
    pub(crate) fn grid(&self) -> Vec<f64> {
        // Features without any variance have weights of 0 at any penalty.
        let scale = if self.scale > 0.0 { self.scale } else { 1.0 };
        (0..17).map(|step| 10f64.powf(4.0 - 0.5 * f64::from(step)) * scale).collect()
    }

    /// The penalty of each target: the given one, or the one of the grid with the least left-out error of the target.
    ///
    /// # Errors
    /// As [`RidgePath::project`].
    pub(crate) fn penalties(&self, targets: &Projected, penalty: &Auto<f64>) -> Result<Vec<f64>, StageError> {
        let n_targets = targets.offset.len();
        match penalty {
            Auto::Given(penalty) => Ok(vec![*penalty; n_targets]),
            Auto::Auto => {
                let mut chosen = vec![(f64::INFINITY, f64::INFINITY); n_targets];
                for penalty in self.grid() {
                    for (best, error) in chosen.iter_mut().zip(self.left_out_errors(targets, penalty)?) {
                        if error < best.0 || best.1.is_infinite() {
                            *best = (error, penalty);
                        }
                    }
                }
                Ok(chosen.into_iter().map(|(_, penalty)| penalty).collect())
            }
        }
    }
}

impl Ridge {
    /// Predictions `[trial × target]`.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn predict(&self, features: &Matrix) -> Result<Matrix, StageError> {
        let mut predicted = gemm(features, &self.weights).map_err(numerical)?;
        for trial in 0..predicted.rows() {
            predicted.row_mut(trial).iter_mut().zip(&self.intercept).for_each(|(value, intercept)| *value += intercept);
        }
        Ok(predicted)
    }
}

/// One column a class, 1 for its trials and −1 for others `[trial × class]`.
pub(crate) fn indicators(labels: &[usize], n_classes: usize) -> Matrix {
    Matrix::from_fn(labels.len(), n_classes, |trial, class| if labels[trial] == class { 1.0 } else { -1.0 })
}

/// The one penalty of all classes: given, or with the least left-out error summed over classes.
///
/// # Errors
/// As [`RidgePath::project`].
pub(crate) fn shared_penalty(path: &RidgePath, targets: &Projected, penalty: &Auto<f64>) -> Result<f64, StageError> {
    match penalty {
        Auto::Given(penalty) => Ok(*penalty),
        Auto::Auto => {
            let mut best: Option<(f64, f64)> = None;
            for penalty in path.grid() {
                let error = path.left_out_errors(targets, penalty)?.iter().sum::<f64>();
                if best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, penalty));
                }
            }
            Ok(best.map_or(1.0, |(_, penalty)| penalty))
        }
    }
}

/// Ridge regression on the classes' indicators: scikit-learn's `RidgeClassifier(alpha)`. Every class `0 .. n_classes` needs a trial.
///
/// # Errors
/// When the decomposition fails, which finite input does not reach.
pub(crate) fn fit_classifier(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    penalty: &Auto<f64>,
) -> Result<LinearClassifier, StageError> {
    let path = RidgePath::of(features)?;
    let targets = path.project(indicators(labels, n_classes))?;
    let penalty = shared_penalty(&path, &targets, penalty)?;
    let Ridge { weights, intercept } = path.fit(&targets, &vec![penalty; n_classes])?;
    Ok(LinearClassifier { weights: weights.into_values(), intercept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{all_close, golden};
    use neuroflow_data::random::Stream;

    fn matrix(case: &str, name: &str) -> Option<Matrix> {
        let (shape, values) = golden(case, name)?;
        Some(Matrix::new(shape[0], shape[1], values).unwrap())
    }

    /// Coefficients `[alpha × target × feature]` and intercepts `[alpha × target]`.
    fn path(x: &Matrix, y: &Matrix, alphas: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let path = RidgePath::of(x).unwrap();
        let targets = path.project(y.clone()).unwrap();
        let (mut coefficients, mut intercepts) = (Vec::new(), Vec::new());
        for &alpha in alphas {
            let fitted = path.fit(&targets, &vec![alpha; y.cols()]).unwrap();
            coefficients.extend(fitted.weights.transposed().into_values());
            intercepts.extend(fitted.intercept);
        }
        (coefficients, intercepts)
    }

    #[test]
    fn weights_of_all_penalties_are_those_of_scikit_learn() {
        for (case, x, y, alphas, prefix) in [
            ("decode/ridge_tall", "X", "Y", "alphas", ""),
            ("decode/ridge_wide", "X", "Y", "alphas", ""),
            ("more/decode/ridge_path_tall", "in_X", "in_Y", "in_alphas", "out_"),
            ("more/decode/ridge_path_wide", "in_X", "in_Y", "in_alphas", "out_"),
        ] {
            let Some(features) = matrix(case, x) else { return };
            let (coefficients, intercepts) = path(&features, &matrix(case, y).unwrap(), &golden(case, alphas).unwrap().1);
            all_close(&coefficients, &golden(case, &format!("{prefix}coef")).unwrap().1, 1e-7);
            all_close(&intercepts, &golden(case, &format!("{prefix}intercept")).unwrap().1, 1e-7);
        }
    }

    #[test]
    fn left_out_errors_and_the_penalty_they_choose_are_those_of_scikit_learn() {
        for case in ["more/decode/ridge_path_tall", "more/decode/ridge_path_wide"] {
            let Some(features) = matrix(case, "in_X") else { return };
            let (_, alphas) = golden(case, "in_alphas").unwrap();
            let (shape, expected) = golden(case, "out_loo_mse").unwrap();
            let path = RidgePath::of(&features).unwrap();
            let targets = path.project(matrix(case, "in_Y").unwrap()).unwrap();
            let errors: Vec<Vec<f64>> = alphas.iter().map(|&alpha| path.left_out_errors(&targets, alpha).unwrap()).collect();
            for target in 0..shape[0] {
                let of_target: Vec<f64> = errors.iter().map(|errors| errors[target]).collect();
                all_close(&of_target, &expected[target * shape[1]..(target + 1) * shape[1]], 1e-7);
                let least = (0..alphas.len()).fold(0, |best, place| if of_target[place] < of_target[best] { place } else { best });
                assert_eq!(alphas[least], golden(case, "out_loo_alpha").unwrap().1[target]);
            }
        }
    }

    #[test]
    fn predictions_of_folds_are_those_of_scikit_learn() {
        for case in ["decode/ridge_tall", "decode/ridge_wide"] {
            let Some(x) = matrix(case, "X") else { return };
            let y = matrix(case, "Y").unwrap();
            let (_, fold) = golden(case, "fold").unwrap();
            let (_, alphas) = golden(case, "alphas").unwrap();
            let (_, expected) = golden(case, "cv_pred").unwrap();
            for part in 0..5 {
                let side = |tested: bool| (0..x.rows()).filter(|&trial| (fold[trial] == f64::from(part)) == tested).collect::<Vec<_>>();
                let path = RidgePath::of(&x.take_rows(&side(false))).unwrap();
                let targets = path.project(y.take_rows(&side(false))).unwrap();
                for (place, &alpha) in alphas.iter().enumerate() {
                    let predicted = path.fit(&targets, &[alpha; 3]).unwrap().predict(&x.take_rows(&side(true))).unwrap();
                    let of_alpha = &expected[place * y.values().len()..];
                    let rows: Vec<f64> = side(true).iter().flat_map(|&trial| of_alpha[trial * 3..trial * 3 + 3].to_vec()).collect();
                    all_close(predicted.values(), &rows, 1e-7);
                }
            }
        }
    }

    #[test]
    fn an_automatic_penalty_is_strong_in_noise_and_features_without_variance_predict_the_mean() {
        let mut stream = Stream::new(8);
        let x = Matrix::from_fn(60, 20, |_, _| stream.normal());
        let noise = Matrix::from_fn(60, 1, |_, _| stream.normal());
        let signal = Matrix::from_fn(60, 1, |trial, _| x.row(trial).iter().sum::<f64>());
        let path = RidgePath::of(&x).unwrap();
        let chosen = |targets: &Matrix| path.penalties(&path.project(targets.clone()).unwrap(), &Auto::Auto).unwrap()[0];
        assert!(chosen(&noise) > 30.0 * chosen(&signal), "{} {}", chosen(&noise), chosen(&signal));
        let flat = Matrix::from_fn(6, 2, |_, _| 3.0);
        let path = RidgePath::of(&flat).unwrap();
        let targets = path.project(Matrix::from_fn(6, 1, |trial, _| trial as f64)).unwrap();
        let penalties = path.penalties(&targets, &Auto::Auto).unwrap();
        all_close(path.fit(&targets, &penalties).unwrap().predict(&flat).unwrap().values(), &[2.5; 6], 1e-12);
    }

    #[test]
    fn a_ridge_classifier_of_one_feature_has_its_known_scores() {
        // x = −1, −1, 1, 1 and y = ∓1: w = 4 / (4 + λ).
        let x = Matrix::new(4, 1, vec![-1.0, -1.0, 1.0, 1.0]).unwrap();
        let fitted = fit_classifier(&x, &[0, 0, 1, 1], 2, &Auto::Given(4.0)).unwrap();
        all_close(&fitted.weights, &[-0.5, 0.5], 1e-12);
        all_close(&fitted.intercept, &[0.0, 0.0], 1e-12);
    }
}
