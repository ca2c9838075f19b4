//! `connectome.affinity`: how strongly each pair of units moves together.
//!
//! For what: the graph that communities are found in. Promises: a symmetric matrix with a zero diagonal, and the edges above a threshold. Refuses: gaps, and
//! units that never change, which have no correlation. From: Pearson correlation; differential co-movement after Dyballa et al. (ICLR 2024), whose exact
//! formula is not public: the forms here are those of their description (rates of change, only joint movement counts).

use neuroflow_compute::Matrix;
use neuroflow_compute::statistics::correlation_of_rows;
use neuroflow_data::{Edge, Graph, Kind, Responses, Tensor};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, Value, params, words,
};

words! {
    /// How two rates of change become one number.
    pub enum Form {
        /// √(max(0, product)): in the units of a rate, so that no single transient dominates.
        Geomean = "geomean" {},
        /// The smaller rate where signs agree.
        Min = "min" {},
        /// max(0, product).
        Product = "product" {},
        /// √(product) of the rising parts only: a decay is the indicator's kinetics, not activity.
        BothUp = "both_up" {},
    }
}

words! {
    /// What is measured between two units.
    pub enum Measure {
        /// Pearson correlation of the traces.
        Correlation = "correlation" {},
        /// Differential co-movement: traces scaled to 0 to 1, their rates of change combined, the mean over time.
        Comovement = "comovement" {
            /// How two rates become one number.
            form: Form = Value::word("geomean");
        },
    }
}

params! {
    /// Parameters of `connectome.affinity`.
    pub struct AffinityParams {
        /// What is measured between two units.
        kind: Measure = Value::word("correlation");
        /// Subtract each condition's mean course first, so that what the stimulus drives in common does not count.
        residual: bool = false;
        /// The trial column that names the condition, for `residual`.
        by: String = "direction";
        /// Only affinities above this become edges: a graph with every edge has no topology.
        threshold: f64 = 0.1;
    }
}

/// The stage `connectome.affinity`.
pub struct AffinityStage;

const DOC: &str = r#"Traces are a unit's bins over all trials, laid end to end. `correlation` is Pearson's; `comovement` follows the differential affinity of Dyballa et al.
(ICLR 2024): smooth change in the same direction counts, opposite change does not. Edges are pairs above `threshold`.
Do not read an edge as a synapse: units that share an input are correlated. Compare with `circular_shift`, which keeps each unit's own course.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
affinity = connectome.affinity(responses, kind = correlation)
report example { affinity }
```"#;

impl Stage for AffinityStage {
    type Params = AffinityParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.affinity",
            version: 1,
            summary: "Measures how strongly each pair of units moves together.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity.")],
            outputs: vec![
                OutputSpec::new("affinity", Kind::Graph, "", "The units and the edges above the threshold."),
                OutputSpec::new("matrix", Kind::Tensor, "unit × unit", "The affinity of every pair; zero on the diagonal."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: vec![ControlSite { control: "circular_shift", at: SiteAt::Input("responses") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &AffinityParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        require_finite(&format!("session {}", responses.session), responses.values())?;
        let mut traces = traces(&responses);
        if params.residual {
            subtract_condition_means(&mut traces, &responses, &responses.trials().texts(&params.by)?);
        }
        context.cancel.check()?;
        let matrix = match &params.kind {
            Measure::Correlation {} => {
                let constant: Vec<String> = (0..traces.rows())
                    .filter(|&unit| is_constant(traces.row(unit)))
                    .map(|unit| responses.units().coordinates.label(unit))
                    .collect();
                if !constant.is_empty() {
                    return Err(StageError::refused_with_help(
                        format!("session {}: units that never change have no correlation: {}", responses.session, constant.join(", ")),
                        "leave them out before this step",
                    ));
                }
                correlation_of_rows(&traces)
            }
            Measure::Comovement { form } => comovement(&traces, form),
        };
        let n = matrix.rows();
        let values: Vec<f64> = (0..n * n).map(|at| if at / n == at % n { 0.0 } else { matrix.row(at / n)[at % n] }).collect();
        let mut edges = Vec::new();
        for source in 0..n {
            for target in source + 1..n {
                let weight = values[source * n + target];
                if weight > params.threshold {
                    edges.push(Edge { source, target, weight });
                }
            }
        }
        let units = responses.units().clone();
        let name = if matches!(params.kind, Measure::Correlation {}) { "correlation" } else { "co-movement" };
        let graph = Graph::new(units.clone(), edges, name)?;
        Outputs::new().with("affinity", graph)?.with("matrix", Tensor::new(vec![units.clone(), units], None, values)?)
    }
}

/// Each unit's bins over all trials, laid end to end: `[unit × (trial · bin)]`.
fn traces(responses: &Responses) -> Matrix {
    let bins = responses.n_bins();
    Matrix::from_fn(responses.n_units(), responses.n_trials() * bins, |unit, sample| responses.trace(sample / bins, unit)[sample % bins])
}

fn is_constant(trace: &[f64]) -> bool {
    trace.iter().all(|value| *value == trace[0])
}

fn subtract_condition_means(traces: &mut Matrix, responses: &Responses, conditions: &[String]) {
    let bins = responses.n_bins();
    let mut names: Vec<&String> = conditions.iter().collect();
    names.sort();
    names.dedup();
    let columns = traces.cols();
    for name in names {
        let trials: Vec<usize> = (0..conditions.len()).filter(|&trial| &conditions[trial] == name).collect();
        for unit in 0..traces.rows() {
            for bin in 0..bins {
                let mean = trials.iter().map(|&trial| traces.row(unit)[trial * bins + bin]).sum::<f64>() / trials.len() as f64;
                let values = traces.values_mut();
                trials.iter().for_each(|&trial| values[unit * columns + trial * bins + bin] -= mean);
            }
        }
    }
}

/// Central differences inside, one-sided at the ends (NumPy's `gradient`).
fn rate_of_change(trace: &[f64]) -> Vec<f64> {
    let n = trace.len();
    (0..n)
        .map(|at| match at {
            _ if n < 2 => 0.0,
            0 => trace[1] - trace[0],
            at if at == n - 1 => trace[n - 1] - trace[n - 2],
            at => (trace[at + 1] - trace[at - 1]) / 2.0,
        })
        .collect()
}

fn scaled(trace: &[f64]) -> Vec<f64> {
    let (low, high) = trace.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let span = if high > low { high - low } else { 1.0 };
    trace.iter().map(|value| (value - low) / span).collect()
}

fn combine(a: f64, b: f64, form: &Form) -> f64 {
    match form {
        Form::Geomean {} => (a * b).max(0.0).sqrt(),
        Form::Min {} => {
            if a * b > 0.0 {
                a.abs().min(b.abs())
            } else {
                0.0
            }
        }
        Form::Product {} => (a * b).max(0.0),
        Form::BothUp {} => (a.max(0.0) * b.max(0.0)).sqrt(),
    }
}

fn comovement(traces: &Matrix, form: &Form) -> Matrix {
    let rates: Vec<Vec<f64>> = (0..traces.rows()).map(|unit| rate_of_change(&scaled(traces.row(unit)))).collect();
    let samples = traces.cols().max(1) as f64;
    Matrix::from_fn(traces.rows(), traces.rows(), |a, b| {
        rates[a].iter().zip(&rates[b]).map(|(x, y)| combine(*x, *y, form)).sum::<f64>() / samples
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Table, columns};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn responses(traces: &[&[f64]]) -> Responses {
        let (units, bins) = (traces.len(), traces[0].len());
        let axes = vec![
            Axis::count("trial", 1),
            Axis::count("unit", units),
            Axis::numbers("bin", Some("s"), (0..bins).map(|b| b as f64).collect()),
        ];
        let values = Tensor::new(axes, None, traces.concat()).unwrap();
        Responses::new("s", values, Table::from_columns(vec![columns::from_numbers("direction", vec![0.0])]).unwrap(), None).unwrap()
    }

    fn run(responses: Responses, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("responses", "", neuroflow_data::Typed::into_artifact(responses)?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&AffinityStage, &inputs, &params, &Context::quiet(0))
    }

    #[test]
    fn co_movement_is_that_of_the_worked_example() {
        // Appendix A, oracle 7: sums over six samples of the printed values.
        let rows: [&[f64]; 3] = [&[0.0, 1.0, 2.0, 2.0, 1.0, 0.0], &[0.0, 0.5, 1.5, 2.0, 2.0, 1.0], &[2.0, 1.0, 0.0, 0.0, 1.0, 2.0]];
        let matrix: Tensor = run(responses(&rows), &[("kind", Value::word("comovement"))]).unwrap().one("matrix").unwrap();
        let expected = [0.353_553_390_6 + 0.433_012_701_9 + 0.306_186_217_8 + 0.353_553_390_6 + 0.5, 0.0, 0.176_776_695_3];
        for (pair, sum) in [(1, 0), (2, 1), (5, 2)].map(|(at, which)| (matrix.values()[at], expected[which] / 6.0)) {
            assert!((pair - sum).abs() < 1e-9, "{pair} {sum}");
        }
    }

    #[test]
    fn correlations_are_those_of_the_reference() {
        let Some((shape, traces)) = crate::golden::array("correlation", "traces") else { return };
        let rows: Vec<&[f64]> = traces.chunks(shape[1]).collect();
        let matrix: Tensor = run(responses(&rows), &[]).unwrap().one("matrix").unwrap();
        let (_, expected) = crate::golden::array("correlation", "pearson").unwrap();
        let n = shape[0];
        assert!((0..n * n).filter(|at| at / n != at % n).all(|at| (matrix.values()[at] - expected[at]).abs() < 1e-10));
    }

    #[test]
    fn gaps_and_constant_units_are_refused_by_name() {
        assert!(run(responses(&[&[0.0, 1.0, f64::NAN]]), &[]).unwrap_err().to_string().contains("not finite"));
        assert!(
            run(responses(&[&[0.0, 1.0, 2.0], &[3.0, 3.0, 3.0]]), &[])
                .unwrap_err()
                .to_string()
                .contains("never change have no correlation: 1")
        );
    }

    #[test]
    fn the_threshold_decides_which_pairs_are_edges() {
        let rows: [&[f64]; 3] = [&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.0, 2.0, 3.1], &[1.0, 0.0, 1.0, 0.0]];
        let graph: Graph = run(responses(&rows), &[("threshold", 0.9.into())]).unwrap().one("affinity").unwrap();
        assert_eq!(graph.edges().len(), 1);
        assert_eq!((graph.edges()[0].source, graph.edges()[0].target), (0, 1));
    }
}
