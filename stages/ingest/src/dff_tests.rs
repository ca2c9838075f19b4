use super::*;
use crate::testing::{artifact, recording, run, run_with, said, session, with_pauses};
use neuroflow_data::Artifact;

const TRACE: [f64; 12] = [10.0, 11.0, 10.5, 14.0, 20.0, 16.0, 12.0, 11.0, 10.0, 9.5, 9.0, 12.0];

fn dff(given: &[(&str, Artifact)], baseline: Value) -> Result<Outputs, StageError> {
    run_with(&Dff, given, &[("baseline", baseline)])
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).for_each(|(found, expected)| assert!((found - expected).abs() < 1e-12, "{found} {expected}"));
}

fn percentile(share: f64, window: f64) -> Value {
    let share = Value::Quantity(Quantity { value: share, dimension: Dimension::Ratio });
    Value::call("percentile", vec![("share", share), ("window", Value::seconds(window))])
}

#[test]
fn baselines_are_those_of_pandas_and_scipy() {
    let recording = recording(2.0, &[TRACE.to_vec()]);
    let of = |baseline| {
        let outputs = dff(&[("fluorescence", artifact(&recording))], baseline).unwrap();
        let (relative, baseline): (Recording, Recording) = (outputs.one("dff").unwrap(), outputs.one("baseline").unwrap());
        let expected: Vec<f64> = TRACE.iter().zip(baseline.values(0, 0..12)).map(|(f, f0)| (f - f0) / f0).collect();
        near(&relative.values(0, 0..12), &expected);
        assert_eq!((relative.channel(0).unwrap().0.unit.as_str(), baseline.channel(0).unwrap().0.unit.as_str()), ("ΔF/F", "uV"));
        baseline.values(0, 0..12)
    };
    // pandas 3.1.1: Series(TRACE).rolling(5, center=True, min_periods=1).quantile(0.2) and .mean().
    near(&of(percentile(0.2, 2.0)), &PERCENTILE);
    near(&of(Value::call("mean", vec![("window", Value::seconds(2.0))])), &MEAN);
    // scipy 1.17.1: maximum_filter1d(minimum_filter1d(gaussian_filter1d(TRACE, 1), 5), 5).
    near(&of(Value::call("maximin", vec![("window", Value::seconds(2.0)), ("smooth", Value::seconds(0.5))])), &MAXIMIN);
    near(&of(Value::call("first", vec![("duration", Value::seconds(1.5))])), &[10.5; 12]);
}

#[test]
fn neuropil_is_taken_off_but_not_its_level_and_stretches_are_apart() {
    let cells = with_pauses(1.0, &[vec![10.0, 12.0, 14.0, 100.0, 100.0, 103.0]], &[(0, 0.0), (3, 60.0)]);
    let around = with_pauses(1.0, &[vec![5.0, 6.0, 7.0, 50.0, 50.0, 50.0]], &[(0, 0.0), (3, 60.0)]);
    let first = Value::call("first", vec![("duration", Value::seconds(1.0))]);
    let given = [("fluorescence", artifact(&cells)), ("neuropil", artifact(&around))];
    let found: Recording = run_with(&Dff, &given, &[("baseline", first), ("neuropil_share", 0.5.into())]).unwrap().one("dff").unwrap();
    near(&found.values(0, 0..6), &[0.0, 1.5 / 10.5, 3.0 / 10.5, 0.0, 0.0, 0.03]);
    let other = recording(1.0, &[vec![5.0; 6]]);
    let message = said(run_with(&Dff, &[("fluorescence", artifact(&cells)), ("neuropil", artifact(&other))], &[]));
    assert!(message.contains("the neuropil of channel `C1` has other samples"), "{message}");
}

#[test]
fn a_baseline_that_is_not_above_zero_is_refused_with_its_place() {
    let recording = recording(1.0, &[vec![5.0, 5.0, 5.0, -2.0, -2.0, -2.0]]);
    let message = said(dff(&[("fluorescence", artifact(&recording))], percentile(0.5, 2.0)));
    assert!(message.contains("channel `C1`: the baseline is -2 at 3 s; ΔF/F₀ divides by it"), "{message}");
    let trial = Value::call("trial", vec![("window", Value::window(-1.0, 0.0))]);
    assert!(said(dff(&[("fluorescence", artifact(&recording))], trial)).contains("a recording has no trials"));
}

#[test]
fn responses_are_measured_against_a_window_of_each_trial() {
    // Bins at −0.25, 0, 0.25 s.
    let responses = session(&[0.0, 45.0], 1, vec![2.0, 3.0, 4.0, 10.0, 5.0, 20.0], 3);
    let given = [("fluorescence", artifact(&responses))];
    let trial = Value::call("trial", vec![("window", Value::window(-0.5, 0.0))]);
    let outputs = dff(&given, trial.clone()).unwrap();
    let found: Responses = outputs.one("dff").unwrap();
    near(found.values().values(), &[0.0, 0.5, 1.0, 0.0, -0.5, 1.0]);
    assert_eq!(outputs.one::<Responses>("baseline").unwrap().values().values(), [2.0, 2.0, 2.0, 10.0, 10.0, 10.0]);
    assert!(said(run(&Dff, &responses, &[], 0)).contains("internal error"));
    assert!(said(dff(&given, Value::word("mean"))).contains("whose baseline is a window of each"));
    let dark = session(&[0.0], 1, vec![0.0, 3.0, 4.0], 3);
    assert!(said(dff(&[("fluorescence", artifact(&dark))], trial)).contains("unit `neuron1`: the baseline is 0 at trial 0"));
}

const PERCENTILE: [f64; 12] = [10.2, 10.3, 10.4, 10.9, 11.7, 11.8, 10.8, 9.9, 9.4, 9.4, 9.3, 9.2];
const MEAN: [f64; 12] = [10.5, 11.375, 13.1, 14.3, 14.5, 14.6, 13.8, 11.7, 10.3, 10.3, 10.125, 10.166666666666666];
const MAXIMIN: [f64; 12] = [
    10.344775142822405,
    10.785514078747557,
    11.97623289876213,
    11.97623289876213,
    11.97623289876213,
    11.97623289876213,
    11.97623289876213,
    11.220527299811144,
    10.212037710704632,
    9.738926801530663,
    9.738926801530663,
    9.738926801530663,
];
