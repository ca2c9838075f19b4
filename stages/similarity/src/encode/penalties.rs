//! Which penalty, and which weighting of bands, is best on the training side; and what it predicts.

use super::problem::Problem;
use super::{Bands, Choice, EncodeParams};
use crate::failure::numerical;
use neuroflow_compute::Matrix;
use neuroflow_compute::geometry::Precision;
use neuroflow_compute::product::gemm_nt;
use neuroflow_compute::ridge_path::{
    HeldOut, KernelRidge, PathScores, Preparation, RidgeOptions, RidgePath, cross_validate, cross_validate_kernel,
};
use neuroflow_compute::statistics::mean;
use neuroflow_data::random::Stream;
use neuroflow_data::{Coordinates, Features};
use neuroflow_stage::StageError;

impl Problem {
    /// Predictions of the test samples `[test sample × target]` and the penalty of each target, chosen on the training samples.
    pub(super) fn fit_and_predict(
        &self,
        train: &[usize],
        test: &[usize],
        params: &EncodeParams,
        stream: &Stream,
    ) -> Result<(Matrix, Vec<f64>), StageError> {
        let (x, y) = (self.features.take_rows(train), self.targets.take_rows(train));
        let outside = self.features.take_rows(test);
        let inner = self.inner_folds(train, params, stream)?;
        let options = RidgeOptions { intercept: true, standardise: params.standardise };
        let Bands::Layers { candidates } = params.bands else {
            let chosen = if params.penalties.len() == 1 {
                vec![0; y.cols()]
            } else {
                best(
                    &[cross_validate(&x, &y, &inner, &params.penalties, options, Precision::Double).map_err(numerical)?],
                    &params.choose,
                    y.cols(),
                )
                .into_iter()
                .map(|(_, penalty)| penalty)
                .collect()
            };
            let penalties: Vec<f64> = chosen.iter().map(|&place| params.penalties[place]).collect();
            let predicted = RidgePath::fit(&x, &y, options).and_then(|path| path.predict(&outside, &penalties)).map_err(numerical)?;
            return Ok((predicted, penalties));
        };
        // Bands: a kernel of each, of features brought to one scale on the training side.
        let preparation = params.standardise.then(|| Preparation::of(&x, options));
        let (x, outside) = preparation.map_or((x.clone(), outside.clone()), |of| (of.apply(&x), of.apply(&outside)));
        let kernels = (0..self.bands.len())
            .map(|band| {
                let columns: Vec<usize> = (0..self.band.len()).filter(|&feature| self.band[feature] == band).collect();
                let (x, outside) = (x.take_columns(&columns), outside.take_columns(&columns));
                Ok((gemm_nt(&x, &x).map_err(numerical)?, gemm_nt(&outside, &x).map_err(numerical)?))
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let weightings = weightings(candidates, kernels.len(), &stream.split("weights"));
        let summed = |weights: &[f64], of: fn(&(Matrix, Matrix)) -> &Matrix| {
            let (rows, cols) = of(&kernels[0]).shape();
            let mut sum = Matrix::zeros(rows, cols);
            for (weight, pair) in weights.iter().zip(&kernels) {
                sum.values_mut().iter_mut().zip(of(pair).values()).for_each(|(sum, value)| *sum += weight * value);
            }
            sum
        };
        let scores = weightings
            .iter()
            .map(|weights| {
                cross_validate_kernel(&summed(weights, |pair| &pair.0), &y, &inner, &params.penalties, true, Precision::Double)
                    .map_err(numerical)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let chosen = best(&scores, &params.choose, y.cols());
        let mut predicted = Matrix::zeros(test.len(), y.cols());
        let penalties: Vec<f64> = chosen.iter().map(|&(_, penalty)| params.penalties[penalty]).collect();
        for (candidate, weights) in weightings.iter().enumerate() {
            let targets: Vec<usize> = (0..y.cols()).filter(|&target| chosen[target].0 == candidate).collect();
            if targets.is_empty() {
                continue;
            }
            let own: Vec<f64> = targets.iter().map(|&target| penalties[target]).collect();
            let part = KernelRidge::fit(&summed(weights, |pair| &pair.0), &y.take_columns(&targets), true)
                .and_then(|fit| fit.predict(&summed(weights, |pair| &pair.1), &own))
                .map_err(numerical)?;
            for row in 0..test.len() {
                targets.iter().enumerate().for_each(|(place, &target)| predicted[(row, target)] = part[(row, place)]);
            }
        }
        Ok((predicted, penalties))
    }
}

/// For each target the candidate and penalty of best mean held-out R², the first of equals.
fn best(candidates: &[PathScores], choose: &Choice, n_targets: usize) -> Vec<(usize, usize)> {
    let means: Vec<Matrix> = candidates.iter().map(|scores| scores.mean(HeldOut::Explained)).collect();
    let best_by = |value: &dyn Fn(&Matrix, usize) -> f64| {
        let mut best = (0, 0, f64::NEG_INFINITY);
        for (candidate, mean) in means.iter().enumerate() {
            for penalty in 0..mean.rows() {
                let value = value(mean, penalty);
                if value > best.2 {
                    best = (candidate, penalty, value);
                }
            }
        }
        (best.0, best.1)
    };
    match choose {
        Choice::PerUnit {} => (0..n_targets).map(|target| best_by(&|mean, penalty| mean[(penalty, target)])).collect(),
        Choice::Shared {} => vec![best_by(&|means, penalty| mean(means.row(penalty))); n_targets],
    }
}

/// Even weights, each band alone, then random ones (uniform on the simplex).
fn weightings(count: usize, bands: usize, stream: &Stream) -> Vec<Vec<f64>> {
    let mut stream = stream.clone();
    let mut weightings = vec![vec![1.0 / bands as f64; bands]];
    weightings.extend((0..bands).map(|band| (0..bands).map(|other| f64::from(band == other)).collect::<Vec<f64>>()));
    while weightings.len() < count {
        let draws: Vec<f64> = (0..bands).map(|_| stream.exponential()).collect();
        let all: f64 = draws.iter().sum();
        weightings.push(draws.into_iter().map(|draw| draw / all).collect());
    }
    weightings.truncate(count.max(1));
    if bands == 1 {
        weightings.truncate(1);
    }
    weightings
}

/// The band of each feature by the `layer` property, in the order of first appearance.
pub(super) fn bands_of(features: &Features) -> (Vec<usize>, Vec<String>) {
    let axis = &features.values().axes()[1];
    let label = |feature: usize| axis.property("layer").map_or_else(|| "all".to_owned(), |layer: &Coordinates| layer.label(feature));
    let mut names: Vec<String> = Vec::new();
    let band = (0..axis.len())
        .map(|feature| {
            let label = label(feature);
            names.iter().position(|name| *name == label).unwrap_or_else(|| {
                names.push(label);
                names.len() - 1
            })
        })
        .collect();
    (band, names)
}
