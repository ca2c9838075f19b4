//! What an encoding model gives: scores, a row for each unit, bin and region, and the held-out predictions.

use super::EncodeParams;
use super::problem::Problem;
use crate::unit_ceilings::noise_normalised;
use neuroflow_compute::Matrix;
use neuroflow_compute::statistics::{mean, median};
use neuroflow_data::{Axis, Features, Score, Scores, Table, Tensor, columns};
use neuroflow_stage::{Outputs, StageError};

impl Problem {
    pub(super) fn outputs(
        &self,
        params: &EncodeParams,
        r: &Matrix,
        r2: Vec<f64>,
        logs: Vec<f64>,
        predicted: Matrix,
    ) -> Result<Outputs, StageError> {
        let (samples, n_targets) = self.targets.shape();
        let mean_r: Vec<f64> = (0..n_targets).map(|target| mean(&r.column(target))).collect();
        let mut score = Score::new("r", mean(&mean_r), samples);
        score.chance = Some(0.0);
        score.folds = r.row_iter().map(mean).collect();
        score.notes.push(format!("{} units, {} conditions, {} folds", self.units.len(), self.conditions.len(), params.folds));
        let mut scores = vec![score, Score::new("r2", mean(&r2), samples)];
        let normalised: Option<Vec<Option<f64>>> =
            self.ceiling.as_ref().map(|ceilings| ceilings.iter().zip(&mean_r).map(|(ceiling, &r)| noise_normalised(r, ceiling)).collect());
        if let Some(normalised) = &normalised {
            let defined: Vec<f64> = normalised.iter().flatten().copied().collect();
            let without = n_targets - defined.len();
            // A value even where no target has one: a null draw, whose ceilings are gone, stands below what was found.
            let of_all = |of: fn(&[f64]) -> f64| if defined.is_empty() { 0.0 } else { of(&defined) };
            for (name, value) in [("normalised", of_all(median)), ("normalised_mean", of_all(mean))] {
                let mut score = Score::new(name, value, samples);
                score.unit = Some("% of ceiling".into());
                score.notes.push(match without {
                    0 => format!("over {n_targets} targets"),
                    _ if defined.is_empty() => {
                        format!("none of {n_targets} targets has a noise ceiling that is reliably above zero: there is nothing to explain")
                    }
                    _ => format!(
                        "over {} of {n_targets} targets; the ceiling of the other {without} is not reliably above zero",
                        defined.len()
                    ),
                });
                scores.push(score);
            }
        }
        let each = self.times.as_ref().map_or(1, Vec::len).max(1);
        let unit_of = |target: usize| target / each;
        let mut table =
            vec![columns::from_texts("unit", &(0..n_targets).map(|target| self.units[unit_of(target)].as_str()).collect::<Vec<_>>())];
        if let Some(regions) = &self.regions {
            table.push(columns::from_texts("region", &(0..n_targets).map(|target| regions[unit_of(target)].as_str()).collect::<Vec<_>>()));
        }
        if let Some(times) = &self.times {
            table.push(columns::from_numbers("time", (0..n_targets).map(|target| times[target % each]).collect()));
        }
        table.push(columns::from_numbers("score", mean_r.clone()));
        table.push(columns::from_numbers("r2", r2));
        table.push(columns::from_optional_numbers(
            "ceiling",
            (0..n_targets).map(|target| self.ceiling.as_ref().map(|ceiling| ceiling[target].share)).collect(),
        ));
        table.push(columns::from_optional_numbers(
            "normalised",
            (0..n_targets).map(|target| normalised.as_ref().and_then(|of| of[target])).collect(),
        ));
        table.push(columns::from_numbers("log10_penalty", logs));
        let means = |of: &dyn Fn(usize) -> usize, count: usize| -> Vec<f64> {
            let (mut sums, mut counts) = (vec![0.0; count], vec![0.0; count]);
            for (target, value) in mean_r.iter().enumerate() {
                sums[of(target)] += value;
                counts[of(target)] += 1.0;
            }
            sums.iter().zip(&counts).map(|(sum, count)| sum / f64::max(*count, 1.0)).collect()
        };
        let times = match &self.times {
            Some(times) => {
                vec![columns::from_numbers("time", times.clone()), columns::from_numbers("score", means(&|target| target % each, each))]
            }
            None => vec![columns::from_numbers("time", Vec::new()), columns::from_numbers("score", Vec::new())],
        };
        let mut known = self.regions.clone().unwrap_or_default();
        known.sort();
        known.dedup();
        let place =
            |target: usize| self.regions.as_ref().and_then(|regions| known.binary_search(&regions[unit_of(target)]).ok()).unwrap_or(0);
        let by_region = if known.is_empty() { Vec::new() } else { means(&place, known.len()) };
        let regions = vec![columns::from_texts("region", &known), columns::from_numbers("score", by_region)];
        let names: Vec<String> = (0..n_targets)
            .map(|target| match &self.times {
                Some(times) => format!("{} {} s", self.units[unit_of(target)], times[target % each]),
                None => self.units[target].clone(),
            })
            .collect();
        let labels: Vec<&str> = self.condition.iter().map(|&condition| self.conditions[condition].as_str()).collect();
        let axes = vec![Axis::count("stimulus", samples), Axis::labels("feature", names)];
        // Numbers where all are numbers, as the conditions were.
        let column = match labels.iter().map(|label| label.parse::<f64>()).collect::<Result<Vec<f64>, _>>() {
            Ok(numbers) => columns::from_numbers(&params.by, numbers),
            Err(_) => columns::from_texts(&params.by, &labels),
        };
        let stimuli = Table::from_columns(vec![column])?;
        Outputs::new()
            .with("scores", Scores::new(scores))?
            .with("units", Table::from_columns(table)?)?
            .with("times", Table::from_columns(times)?)?
            .with("regions", Table::from_columns(regions)?)?
            .with("predicted", Features::new(Tensor::new(axes, None, predicted.into_values())?, stimuli)?)
    }
}
