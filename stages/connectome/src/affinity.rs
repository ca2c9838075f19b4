//! `connectome.affinity`: how strongly each pair of units moves together.
//!
//! For what: the graph that communities are found in. Promises: a matrix with a zero diagonal, symmetric but for lags, and the edges above a threshold. Refuses: gaps, and
//! units that never change, which have no correlation. From: Pearson, partial and lagged correlation; jitter-corrected synchrony (Amarasingham et al. 2012); differential
//! co-movement after Dyballa et al. (ICLR 2024), whose exact formula is not public: the forms here are those of their description (rates of change, only joint movement counts).

use crate::failure::numerical;
use neuroflow_compute::product::gram_of_rows;
use neuroflow_compute::statistics::{
    correlation_of_rows, correlation_of_rows_single, jittered_synchrony, lagged_correlation, ledoit_wolf, partial_correlation,
};
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::{Edge, Graph, Kind, Responses, Tensor};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::params::Share;
use neuroflow_stage::{
    Auto, Context, ControlSite, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Seconds, Signature, SiteAt, Stage,
    StageError, Value, params, words,
};
use rayon::prelude::*;

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
        /// Partial correlation: what two units share that no other unit explains.
        Partial = "partial" {
            /// How far correlations are drawn to 0 first, from 0 (not at all: needs more samples than units) to 1; `auto` is what Ledoit and Wolf's formula gives.
            shrinkage: Auto<f64> = Value::word("auto"), in 0.0..=1.0;
        },
        /// Lagged correlation: the largest over lags from one bin to `lag`, first unit leading. The graph is directed.
        Lagged = "lagged" {
            /// The longest lag.
            lag: Seconds = Value::seconds(0.2);
        },
        /// Coincident spikes beyond what slow changes of rate explain, over the geometric mean of spike numbers.
        Ccg = "ccg" {
            /// Spikes up to this far apart are coincident; below one bin, those in the same bin.
            window: Seconds = Value::seconds(0.0);
            /// Spikes are moved at random within intervals of this length, to tell what slow changes explain.
            jitter: Seconds = Value::seconds(0.5);
        },
        /// Differential co-movement: traces scaled to 0 to 1, their rates of change combined, the mean over time.
        Comovement = "comovement" {
            /// How two rates become one number.
            form: Form = Value::word("geomean");
        },
    }
}

words! {
    /// The precision of correlations.
    pub enum Precision {
        /// Sixteen digits.
        Double = "double" {},
        /// Six digits, in about half the time. For `correlation` only.
        Single = "single" {},
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
        /// The share of pairs that become edges, the strongest first, in place of `threshold`, so that a null draw has as many; 0 for the threshold.
        density: Share = Quantity { value: 0.0, dimension: Dimension::Ratio }, in 0.0..=1.0;
        /// The precision of correlations.
        precision: Precision = Value::word("double");
    }
}

/// The stage `connectome.affinity`.
pub struct AffinityStage;

const DOC: &str = r#"Traces are a unit's bins over all trials, laid end to end. `correlation` is Pearson's, `partial` leaves what other units explain out, `lagged` tells who leads, `ccg` counts
coincident spikes that slow changes of rate do not explain. `comovement` follows the differential affinity of Dyballa et al. (ICLR 2024): smooth change in the same direction counts, opposite
change does not. Lags and coincidences do not cross the border of a trial. Edges are pairs above `threshold`, or the
strongest share of pairs, `density`: with that a null draw has as many edges as the data, and what depends on their number, such as modularity, can be compared.
Memory: eight bytes for every pair of units (0.8 GB for 10 000 units), and as much as the activity twice.
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
            version: 3,
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
        if matches!(params.precision, Precision::Single {}) && !matches!(params.kind, Measure::Correlation {}) {
            return Err(StageError::refused_with_help("single precision is for `kind = correlation` only", "leave out `precision`"));
        }
        let mut traces = traces(&responses);
        if params.residual {
            subtract_condition_means(&mut traces, &responses, &responses.trials().texts(&params.by)?);
        }
        context.cancel.check()?;
        if matches!(params.kind, Measure::Correlation {} | Measure::Partial { .. } | Measure::Lagged { .. }) {
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
        }
        let directed = matches!(params.kind, Measure::Lagged { .. });
        let measured = with_threads(context.threads, || matrix_of(&traces, &responses, params, context)).map_err(numerical)??;
        let n = measured.rows();
        let mut values = measured.into_values();
        (0..n).for_each(|unit| values[unit * n + unit] = 0.0);
        let mut edges = Vec::new();
        for source in 0..n {
            let first = if directed { 0 } else { source + 1 };
            for (target, &weight) in values[source * n..(source + 1) * n].iter().enumerate().skip(first) {
                if (params.density.0 > 0.0 || weight > params.threshold) && target != source {
                    edges.push(Edge { source, target, weight });
                }
            }
        }
        if params.density.0 > 0.0 {
            let kept = (params.density.0 * edges.len() as f64).round() as usize;
            // Among equals the first, so that the number is exact; then in their order again.
            edges.sort_by(|a, b| b.weight.total_cmp(&a.weight));
            edges.truncate(kept);
            edges.sort_by_key(|edge| (edge.source, edge.target));
        }
        let units = responses.units().clone();
        let name = match params.kind {
            Measure::Correlation {} => "correlation",
            Measure::Partial { .. } => "partial correlation",
            Measure::Lagged { .. } => "lagged correlation",
            Measure::Ccg { .. } => "synchrony",
            Measure::Comovement { .. } => "co-movement",
        };
        let graph = if directed { Graph::directed(units.clone(), edges, name)? } else { Graph::new(units.clone(), edges, name)? };
        Outputs::new().with("affinity", graph)?.with("matrix", Tensor::new(vec![units.clone(), units], None, values)?)
    }
}

/// The measure of every pair `[unit × unit]`.
fn matrix_of(traces: &Matrix, responses: &Responses, params: &AffinityParams, context: &Context) -> Result<Matrix, StageError> {
    let bins = responses.n_bins();
    Ok(match &params.kind {
        Measure::Correlation {} => match params.precision {
            Precision::Double {} => correlation_of_rows(traces),
            Precision::Single {} => correlation_of_rows_single(traces),
        },
        Measure::Partial { shrinkage } => partial(traces, shrinkage, responses)?,
        Measure::Lagged { lag } => {
            let most = lag.0 / bin_width(responses)?;
            let most = (most + 1e-9).floor() as usize;
            if most == 0 || most >= bins {
                return Err(StageError::refused(format!(
                    "session {}: a lag of {} s is {most} bins; it must be from 1 to {} bins",
                    responses.session,
                    lag.0,
                    bins.saturating_sub(1)
                )));
            }
            let mut best: Option<Matrix> = None;
            for lag in 1..=most {
                context.cancel.check()?;
                let found = lagged_correlation(traces, bins, lag as isize).map_err(numerical)?;
                match &mut best {
                    None => best = Some(found),
                    Some(best) => best.values_mut().iter_mut().zip(found.values()).for_each(|(best, found)| *best = best.max(*found)),
                }
            }
            best.unwrap_or_else(|| Matrix::zeros(traces.rows(), traces.rows()))
        }
        Measure::Ccg { window, jitter } => {
            if traces.values().iter().any(|value| *value < 0.0) {
                return Err(StageError::refused_with_help(
                    format!("session {}: spike coincidences need counts of at least 0", responses.session),
                    "write `kind = correlation` for fluorescence, and leave out `residual`",
                ));
            }
            let width = bin_width(responses)?;
            let in_bins = |seconds: f64| (seconds / width + 1e-9).floor().max(0.0) as usize;
            jittered_synchrony(traces, bins, in_bins(window.0), in_bins(jitter.0)).map_err(numerical)?
        }
        Measure::Comovement { form } => comovement(traces, form),
    })
}

/// The distance of bins in seconds.
fn bin_width(responses: &Responses) -> Result<f64, StageError> {
    let times = responses.bin_times();
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if times.len() > 1 && last > first => Ok((last - first) / (times.len() - 1) as f64),
        _ => Err(StageError::refused(format!("session {}: {} bins have no distance between them", responses.session, times.len()))),
    }
}

/// Partial correlations of standardised traces, so that shrinkage draws correlations, not covariances, to 0.
fn partial(traces: &Matrix, shrinkage: &Auto<f64>, responses: &Responses) -> Result<Matrix, StageError> {
    let (units, samples) = traces.shape();
    let mut correlation = correlation_of_rows(traces);
    let amount = match shrinkage {
        Auto::Given(amount) => *amount,
        Auto::Auto => {
            let mut standard = traces.transposed();
            for unit in 0..units {
                let column = standard.column(unit);
                let mean = column.iter().sum::<f64>() / samples as f64;
                let sd = (column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / samples as f64).sqrt();
                (0..samples).for_each(|sample| standard[(sample, unit)] = (column[sample] - mean) / sd);
            }
            ledoit_wolf(&standard).map_err(numerical)?.shrinkage
        }
    };
    for at in (0..units * units).filter(|at| at / units != at % units) {
        correlation.values_mut()[at] *= 1.0 - amount;
    }
    partial_correlation(&correlation).map_err(|error| {
        StageError::refused_with_help(
            format!("session {}: {units} units and {samples} samples have no partial correlations: {error}", responses.session),
            "write `kind = partial(shrinkage = auto)`",
        )
    })
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

/// The mean over time of what two rates combine to, for every pair. All forms but one are sums of products, so a symmetric matrix product gives them.
fn comovement(traces: &Matrix, form: &Form) -> Matrix {
    let (units, samples) = traces.shape();
    let rates: Vec<Vec<f64>> = (0..units).map(|unit| rate_of_change(&scaled(traces.row(unit)))).collect();
    // max(0, a b) = a⁺ b⁺ + a⁻ b⁻, and the same for its root.
    let parts = |of: &dyn Fn(f64) -> f64, falling: bool| {
        let width = if falling { 2 * samples } else { samples };
        Matrix::from_fn(units, width, |unit, at| {
            let rate = rates[unit][at % samples];
            of(if at < samples { rate } else { -rate }.max(0.0))
        })
    };
    let sums = match form {
        Form::Geomean {} => gram_of_rows(&parts(&f64::sqrt, true)),
        Form::Product {} => gram_of_rows(&parts(&|rate| rate, true)),
        Form::BothUp {} => gram_of_rows(&parts(&f64::sqrt, false)),
        Form::Min {} => {
            let rows: Vec<Vec<f64>> = (0..units)
                .into_par_iter()
                .map(|a| (0..=a).map(|b| rates[a].iter().zip(&rates[b]).map(|(x, y)| smaller(*x, *y)).sum()).collect())
                .collect();
            Matrix::from_fn(units, units, |a, b| rows[a.max(b)][a.min(b)])
        }
    };
    sums.map(|sum| sum / samples.max(1) as f64)
}

/// The smaller rate where signs agree, else 0.
fn smaller(a: f64, b: f64) -> f64 {
    if a * b > 0.0 { a.abs().min(b.abs()) } else { 0.0 }
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
    fn a_density_gives_as_many_edges_as_asked_for_whatever_the_data() {
        let mut stream = neuroflow_data::random::Stream::new(3);
        for scale in [0.0, 3.0] {
            let common: Vec<f64> = (0..40).map(|_| scale * stream.normal()).collect();
            let rows: Vec<Vec<f64>> = (0..12).map(|_| common.iter().map(|value| value + stream.normal()).collect()).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let density = Quantity { value: 0.25, dimension: Dimension::Ratio };
            let outputs = run(responses(&rows), &[("density", density.into())]).unwrap();
            let (graph, matrix): (Graph, Tensor) = (outputs.one("affinity").unwrap(), outputs.one("matrix").unwrap());
            // A quarter of 66 pairs, the strongest of them.
            assert_eq!(graph.edges().len(), 17);
            let weakest = graph.edges().iter().map(|edge| edge.weight).fold(f64::INFINITY, f64::min);
            assert_eq!(matrix.values().iter().filter(|value| **value >= weakest).count(), 34);
        }
    }

    #[test]
    fn the_threshold_decides_which_pairs_are_edges() {
        let rows: [&[f64]; 3] = [&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.0, 2.0, 3.1], &[1.0, 0.0, 1.0, 0.0]];
        let graph: Graph = run(responses(&rows), &[("threshold", 0.9.into())]).unwrap().one("affinity").unwrap();
        assert_eq!(graph.edges().len(), 1);
        assert_eq!((graph.edges()[0].source, graph.edges()[0].target), (0, 1));
    }

    #[test]
    fn every_form_of_co_movement_is_its_definition() {
        let rows: [&[f64]; 3] = [&[0.0, 1.0, 0.5, 2.0, 1.0], &[1.0, 0.0, 0.5, 2.0, 3.0], &[3.0, 1.0, 4.0, 1.0, 5.0]];
        let rates: Vec<Vec<f64>> = rows.iter().map(|row| rate_of_change(&scaled(row))).collect();
        type Combine = fn(f64, f64) -> f64;
        let forms: [(&str, Combine); 4] = [
            ("geomean", |a, b| (a * b).max(0.0).sqrt()),
            ("min", smaller),
            ("product", |a, b| (a * b).max(0.0)),
            ("both_up", |a, b| (a.max(0.0) * b.max(0.0)).sqrt()),
        ];
        for (form, combine) in forms {
            let kind = Value::call("comovement", vec![("form", Value::word(form))]);
            let matrix: Tensor = run(responses(&rows), &[("kind", kind)]).unwrap().one("matrix").unwrap();
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                let expected = rates[a].iter().zip(&rates[b]).map(|(x, y)| combine(*x, *y)).sum::<f64>() / 5.0;
                assert!((matrix.values()[a * 3 + b] - expected).abs() < 1e-12, "{form}");
            }
        }
    }

    #[test]
    fn partial_and_single_precision_correlations_are_those_of_the_reference() {
        let Some((shape, traces)) = crate::golden::array("correlation", "traces") else { return };
        let rows: Vec<&[f64]> = traces.chunks(shape[1]).collect();
        let n = shape[0];
        let off = |matrix: &Tensor, expected: &[f64], tolerance: f64| {
            assert!((0..n * n).filter(|at| at / n != at % n).all(|at| (matrix.values()[at] - expected[at]).abs() < tolerance));
        };
        let kind = Value::call("partial", vec![("shrinkage", 0.0.into())]);
        let matrix: Tensor = run(responses(&rows), &[("kind", kind)]).unwrap().one("matrix").unwrap();
        off(&matrix, &crate::golden::array("correlation", "partial").unwrap().1, 1e-10);
        let matrix: Tensor = run(responses(&rows), &[("precision", Value::word("single"))]).unwrap().one("matrix").unwrap();
        off(&matrix, &crate::golden::array("correlation", "pearson").unwrap().1, 2e-6);
        // Lags 1 to 5: the largest of the reference, first unit leading.
        let kind = Value::call("lagged", vec![("lag", Value::seconds(5.0))]);
        let outputs = run(responses(&rows), &[("kind", kind)]).unwrap();
        let (_, all) = crate::golden::array("correlation", "xcorr").unwrap();
        let largest: Vec<f64> = (0..n * n).map(|at| (6..11).map(|lag| all[lag * n * n + at]).fold(f64::NEG_INFINITY, f64::max)).collect();
        off(&outputs.one("matrix").unwrap(), &largest, 1e-10);
        assert!(outputs.one::<Graph>("affinity").unwrap().is_directed());
    }

    #[test]
    fn measures_say_what_they_cannot_be_asked() {
        let rows: [&[f64]; 3] = [&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.0, 2.0, 3.1], &[1.0, 0.0, 1.0, 0.0]];
        let refused = |kind: Value| run(responses(&rows), &[("kind", kind)]).unwrap_err().to_string();
        assert!(refused(Value::call("lagged", vec![("lag", Value::seconds(9.0))])).contains("from 1 to 3 bins"));
        assert!(refused(Value::call("ccg", vec![("jitter", Value::seconds(1.0))])).contains("a jitter of 1 bins"));
        let twice: [&[f64]; 2] = [&[0.0, 1.0, 2.0, 1.0], &[0.0, 1.0, 2.0, 1.0]];
        let error = run(responses(&twice), &[("kind", Value::call("partial", vec![("shrinkage", 0.0.into())]))]).unwrap_err();
        assert!(error.help().is_some_and(|help| help.contains("shrinkage = auto")), "{error}");
        assert!(run(responses(&rows), &[("kind", Value::word("partial"))]).is_ok());
        let params = [("kind", Value::word("comovement")), ("precision", Value::word("single"))];
        assert!(run(responses(&rows), &params).unwrap_err().to_string().contains("single precision"));
        let counts: [&[f64]; 2] = [&[0.0, 1.0, 2.0, 0.0], &[0.0, 1.0, 2.0, 0.0]];
        let synchrony: Tensor =
            run(responses(&counts), &[("kind", Value::call("ccg", vec![("jitter", Value::seconds(2.0))]))]).unwrap().one("matrix").unwrap();
        assert!(synchrony.values()[1] > 0.0);
    }
}
