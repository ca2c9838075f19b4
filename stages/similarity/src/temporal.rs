//! `similarity.temporal`: do early layers predict early responses, and late layers late ones?
//!
//! For what: the temporal score of a model (Raugel et al. 2025). Promises: for each layer the mean of the times at which its score is near its
//! peak, and Pearson's correlation of these times with depth, with p over permuted layers. Refuses: fewer than three layers, a layer whose scores
//! are nowhere above zero.

use crate::layers::{LayerTable, mean_by_time};
use crate::resampling::{permutations, permuted};
use neuroflow_compute::statistics::pearson;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Score, Scores, Table, columns};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, params};

params! {
    /// Parameters of `similarity.temporal`.
    pub struct TemporalParams {
        /// The column of times, in seconds.
        time: String = "time";
        /// The column of scores.
        score: String = "score";
        /// Times at which a layer's score is at least this share of its peak count.
        level: f64 = 0.95, in 0.0..=1.0;
        /// Permutations of layers for p; 0 for none.
        permutations: usize = 1000, in 0.0..=1000000.0;
    }
}

/// The stage `similarity.temporal`.
pub struct Temporal;

const DOC: &str = r#"A table for each layer, first to last, with a score for each time (rows of one time are averaged), such as `times` of
`similarity.encode` with `each_bin = true`. A layer's time is the mean of the times at which its score is at least 95 % of its peak. Two separate
peaks are merged by that mean: `width`, the span of those times, tells.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
for layer in [1, 2, 3] {
  curve = sql("select bin as time, 1.0 / (1.0 + abs(bin - 0.5 * {layer})) as score from activity group by bin", activity = responses)
}
order = similarity.temporal(gather(curve), permutations = 20)
report example { order }
```"#;

impl Stage for Temporal {
    type Params = TemporalParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.temporal",
            version: 2,
            summary: "Measures whether deeper layers predict later responses.",
            doc: DOC,
            inputs: vec![InputSpec::many("layers", &[Kind::Table], "", "For each layer, first to last, a table of times and scores.")],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The temporal score."),
                OutputSpec::new("layers", Kind::Table, "", "The time of each layer."),
            ],
            params: Vec::new(),
            metrics: &["temporal"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &TemporalParams, context: &Context) -> Result<Outputs, StageError> {
        let layers = LayerTable::all(inputs, "layers")?;
        if layers.len() < 3 {
            return Err(StageError::refused(format!("{} layers are given; an order of times needs at least 3", layers.len())));
        }
        let last = (layers.len() - 1) as f64;
        let depths: Vec<f64> = (0..layers.len()).map(|layer| layer as f64 / last).collect();
        let (mut times, mut peaks, mut widths) = (Vec::new(), Vec::new(), Vec::new());
        for layer in &layers {
            let curve = mean_by_time(layer, &params.time, &params.score)?;
            let peak = curve.iter().fold(f64::NEG_INFINITY, |peak, (_, score)| peak.max(*score));
            if peak.is_nan() || peak <= 0.0 {
                return Err(StageError::refused_with_help(
                    format!("{} has no score above zero at any time: it has no peak", layer.name),
                    "leave the layer out, or look at a window with responses",
                ));
            }
            let near: Vec<f64> = curve.iter().filter(|(_, score)| *score >= params.level * peak).map(|(time, _)| *time).collect();
            times.push(near.iter().sum::<f64>() / near.len() as f64);
            let (low, high) = near.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), time| (low.min(*time), high.max(*time)));
            widths.push(high - low);
            peaks.push(peak);
        }
        let value = pearson(&depths, &times).map_err(crate::failure::numerical)?;
        if !value.is_finite() {
            return Err(StageError::refused("all layers peak at the same time: there is no order to compare"));
        }
        let mut null = Vec::with_capacity(params.permutations);
        for order in permutations(params.permutations, layers.len(), &Stream::new(context.seed).split("permutation")) {
            let moved: Vec<f64> = order.iter().map(|&layer| times[layer]).collect();
            null.push(Some(pearson(&depths, &moved).map_err(crate::failure::numerical)?));
        }
        let mut score = Score::new("temporal", value, layers.len());
        score.chance = Some(0.0);
        permuted(&mut score, "layers", value, &null, |draw| draw);
        let table = Table::from_columns(vec![
            columns::from_texts("layer", &layers.iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>()),
            columns::from_numbers("depth", depths),
            columns::from_numbers("time", times),
            columns::from_numbers("width", widths),
            columns::from_numbers("peak", peaks),
        ])?;
        Outputs::new().with("scores", Scores::new(vec![score]))?.with("layers", table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn run(curves: &[Vec<f64>]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        for (place, curve) in curves.iter().enumerate() {
            let times = (0..curve.len()).map(|bin| bin as f64 * 0.1).collect();
            let table = Table::from_columns(vec![columns::from_numbers("time", times), columns::from_numbers("score", curve.clone())]);
            inputs.push("layers", &format!("conv{}", place + 1), table.unwrap().into_artifact()?);
        }
        AnyStage::run(&Temporal, &inputs, &BTreeMap::new(), &Context::quiet(1))
    }

    #[test]
    fn times_are_the_mean_of_the_plateau_and_their_order_is_scored() {
        let curves = [vec![1.0, 0.2, 0.1, 0.0, 0.0], vec![0.1, 0.96, 1.0, 0.96, 0.0], vec![0.0, 0.0, 0.5, 0.96, 1.0]];
        let outputs = run(&curves).unwrap();
        let table: Table = outputs.one("layers").unwrap();
        let times = table.numbers("time").unwrap();
        assert!([0.0, 0.2, 0.35].iter().zip(&times).all(|(a, b)| (a - b).abs() < 1e-12), "{times:?}");
        assert!((table.numbers("width").unwrap()[1] - 0.2).abs() < 1e-12);
        assert!(outputs.one::<Scores>("scores").unwrap().scores[0].value > 0.98);
        let reversed: Vec<Vec<f64>> = curves.iter().rev().cloned().collect();
        assert!(run(&reversed).unwrap().one::<Scores>("scores").unwrap().scores[0].value < -0.98);
    }

    #[test]
    fn flat_orders_and_layers_without_a_peak_are_refused() {
        assert!(run(&[vec![0.1, 1.0], vec![0.1, 1.0], vec![0.1, 1.0]]).unwrap_err().to_string().contains("the same time"));
        assert!(run(&[vec![0.1, 1.0], vec![-0.1, 0.0], vec![1.0, 0.0]]).unwrap_err().to_string().contains("conv2 has no score above zero"));
        assert!(run(&[vec![0.1, 1.0], vec![0.1, 1.0]]).unwrap_err().to_string().contains("at least 3"));
    }
}
