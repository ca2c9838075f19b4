//! What is predicted from what, who is held out, and the loop over folds.

use super::EncodeParams;
use super::folds::folds;
use super::penalties::bands_of;
use crate::conditions::Observations;
use crate::failure::numerical;
use crate::paired::Paired;
use crate::unit_ceilings::{Ceiling, noise_ceilings};
use neuroflow_compute::Matrix;
use neuroflow_compute::statistics::{mean, pearson};
use neuroflow_data::random::Stream;
use neuroflow_data::{Features, Responses};
use neuroflow_stage::{Context, Inputs, Outputs, StageError};

/// Targets, features and who is held out.
pub(super) struct Problem {
    /// `[sample × target]`; targets are units, or bins of units.
    pub(super) targets: Matrix,
    /// `[sample × feature]`
    pub(super) features: Matrix,
    /// The band of each feature, and their names.
    pub(super) band: Vec<usize>,
    pub(super) bands: Vec<String>,
    pub(super) condition: Vec<usize>,
    pub(super) conditions: Vec<String>,
    /// The fold that tests each sample.
    pub(super) fold: Vec<usize>,
    /// What noise allows of each target; none without repeats.
    pub(super) ceiling: Option<Vec<Ceiling>>,
    pub(super) units: Vec<String>,
    pub(super) regions: Option<Vec<String>>,
    /// The time of each bin, when bins are predicted by themselves.
    pub(super) times: Option<Vec<f64>>,
}

impl Problem {
    pub(super) fn of(responses: &Responses, features: &Features, inputs: &Inputs, params: &EncodeParams) -> Result<Problem, StageError> {
        let model = Observations::of(inputs, "features", &params.by, &params.window)?;
        let whole = Observations::of_responses(responses, &params.by, &params.window)?;
        let times: Option<Vec<f64>> = params.each_bin.then(|| {
            responses.bins_within(params.window.start.0, params.window.end.0).iter().map(|&bin| responses.bin_times()[bin]).collect()
        });
        let activity = if params.each_bin {
            let bins = responses.bins_within(params.window.start.0, params.window.end.0);
            let (units, each) = (responses.n_units(), bins.len());
            let rows = Matrix::from_fn(responses.n_trials(), units * each, |trial, target| {
                responses.trace(trial, target / each)[bins[target % each]]
            });
            Observations { rows, ..whole }
        } else {
            whole
        };
        let paired = Paired::of_observations(&activity, &model, &params.samples)?;
        let ceiling = noise_ceilings(&activity, &params.samples)?;
        let fold = folds(&paired, params)?;
        let (band, bands) = bands_of(features);
        let axis = responses.units();
        let regions = match params.region.as_str() {
            "" => None,
            name => match axis.property(name) {
                Some(property) => Some((0..axis.len()).map(|unit| property.label(unit)).collect()),
                None => {
                    let known = axis.properties.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "they have none".to_owned() } else { format!("they have {known}") };
                    return Err(StageError::refused(format!("the units have no property `{name}`; {known}")));
                }
            },
        };
        Ok(Problem {
            targets: paired.x,
            features: paired.y,
            band,
            bands,
            condition: paired.condition,
            conditions: paired.conditions,
            fold,
            ceiling,
            units: (0..axis.len()).map(|unit| axis.coordinates.label(unit)).collect(),
            regions,
            times,
        })
    }

    pub(super) fn solve(&self, params: &EncodeParams, context: &Context) -> Result<Outputs, StageError> {
        let n_folds = params.folds;
        let (samples, n_targets) = self.targets.shape();
        let mut predicted = Matrix::zeros(samples, n_targets);
        let mut r = Matrix::zeros(n_folds, n_targets);
        let mut r2 = vec![0.0; n_targets];
        let mut logs = vec![0.0; n_targets];
        for fold in 0..n_folds {
            context.cancel.check()?;
            let side = |inside: bool| (0..samples).filter(|&sample| (self.fold[sample] != fold) == inside).collect::<Vec<usize>>();
            let (train, test) = (side(true), side(false));
            let seed = Stream::new(context.seed).split("inner").split_index(fold as u64);
            let (found, penalties) = self.fit_and_predict(&train, &test, params, &seed)?;
            for (row, &sample) in test.iter().enumerate() {
                predicted.row_mut(sample).copy_from_slice(found.row(row));
            }
            if found.values().iter().any(|value| !value.is_finite()) {
                return Err(StageError::refused("predictions pass the largest number; bring the responses to a smaller scale first"));
            }
            let measured = self.targets.take_rows(&test);
            for target in 0..n_targets {
                let (p, m) = (found.column(target), measured.column(target));
                let correlation = pearson(&p, &m).map_err(numerical)?;
                r[(fold, target)] = if correlation.is_finite() { correlation } else { 0.0 };
                let middle = mean(&m);
                let all: f64 = m.iter().map(|value| (value - middle) * (value - middle)).sum();
                let left: f64 = p.iter().zip(&m).map(|(p, m)| (p - m) * (p - m)).sum();
                r2[target] += if all > 0.0 && (left / all).is_finite() { 1.0 - left / all } else { 0.0 } / n_folds as f64;
                logs[target] += penalties[target].max(1e-300).log10() / n_folds as f64;
            }
            context.progress.report(fold as u64 + 1, n_folds as u64);
        }
        self.outputs(params, &r, r2, logs, predicted)
    }
}
