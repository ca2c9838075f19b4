use super::*;
use crate::testing::{artifact, events, list, recording, run_with, said, spikes, with_pauses};
use neuroflow_data::Table;
use proptest::prelude::*;

fn window(start: f64, end: f64, bin: f64) -> Vec<(&'static str, Value)> {
    vec![("window", Value::window(start, end)), ("bin", Value::seconds(bin))]
}

fn aligned(spikes: &Spikes, events: &Events, params: &[(&str, Value)]) -> Result<Responses, StageError> {
    run_with(&Align, &[("activity", artifact(spikes)), ("events", artifact(events))], params)?.one("responses")
}

proptest! {
    #[test]
    fn every_bin_has_the_spikes_that_lie_between_its_edges(
        grid in prop::collection::vec(prop::collection::vec(0u32..1000, 0..60), 1..4),
        at in prop::collection::vec(200u32..800, 1..6),
        start in -20i32..5, bins in 1usize..30, width in prop::sample::select(vec![0.01, 0.02, 0.005, 0.03, 0.1])
    ) {
        // Times on a grid of 10 ms: spikes fall on edges often.
        let times: Vec<Vec<f64>> = grid.iter().map(|own| {
            let mut own: Vec<f64> = own.iter().map(|&step| f64::from(step) * 0.01).collect();
            own.sort_by(f64::total_cmp);
            own
        }).collect();
        let events = events(&at.iter().map(|&step| f64::from(step) * 0.01).collect::<Vec<_>>());
        let (start, end) = (f64::from(start) * width, f64::from(start) * width + bins as f64 * width);
        let spikes = spikes(&times, &[(-100.0, 100.0)]);
        let found = aligned(&spikes, &events, &window(start, end, width)).unwrap();
        prop_assert_eq!(found.values().shape(), vec![at.len(), times.len(), bins]);
        for (trial, time) in events.times().into_iter().enumerate() {
            for (unit, own) in times.iter().enumerate() {
                let expected: Vec<f64> = (0..bins).map(|bin| {
                    let (from, to) = (start + bin as f64 * width, start + (bin + 1) as f64 * width);
                    own.iter().filter(|spike| (from..to).contains(&(**spike - time))).count() as f64
                }).collect();
                prop_assert_eq!(found.trace(trial, unit), expected);
                // Nothing is lost or counted twice between the first edge and the last.
                let whole = own.iter().filter(|spike| (start..start + bins as f64 * width).contains(&(**spike - time))).count() as f64;
                prop_assert_eq!(found.trace(trial, unit).iter().sum::<f64>(), whole);
            }
        }
    }
}

#[test]
fn counts_are_those_of_numpy_but_for_the_closed_last_edge() {
    // NumPy 2.4.6: np.histogram(spikes - 1.0, -0.5 + 0.25 * np.arange(7))[0] for spikes without one on the last edge.
    let spikes = spikes(&[vec![0.5, 0.6, 0.74, 0.75, 1.0, 1.1, 1.25, 1.5, 1.99], vec![1.3]], &[(0.0, 3.0)]);
    let found = aligned(&spikes, &events(&[1.0]), &window(-0.5, 1.0, 0.25)).unwrap();
    assert_eq!(found.trace(0, 0), [3.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(found.trace(0, 1), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(found.bin_times(), [-0.375, -0.125, 0.125, 0.375, 0.625, 0.875]);
    assert_eq!(found.values().unit(), Some("spikes"));
    let rates = aligned(&spikes, &events(&[1.0]), &[window(-0.5, 1.0, 0.25), vec![("measure", Value::word("rate"))]].concat()).unwrap();
    assert_eq!((rates.trace(0, 0)[0], rates.values().unit()), (12.0, Some("Hz")));
    assert_eq!(found.units().property("area"), Some(&neuroflow_data::Coordinates::Labels(vec!["VISp".into(), "VISl".into()])));
}

#[test]
fn events_are_chosen_by_label_and_condition_and_keep_their_columns() {
    let spikes = spikes(&[vec![0.0, 9.0], vec![1.0], vec![2.0]], &[(0.0, 10.0)]);
    let events = events(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let with = |more: Vec<(&'static str, Value)>| aligned(&spikes, &events, &[window(0.0, 1.0, 0.5), more].concat());
    let found = with(vec![("label", list(&["T1"])), ("where", "side = 'right' and time > 3.5".into())]).unwrap();
    assert_eq!(found.trials().numbers("time").unwrap(), [4.0]);
    assert_eq!((found.trials().texts("side").unwrap(), found.trials().integers("trial").unwrap()), (vec!["right".to_owned()], vec![0]));
    assert_eq!(found.trials().numbers("duration").unwrap(), [0.5]);
    let two = with(vec![("units", list(&["c", "a"]))]).unwrap();
    assert_eq!((two.n_trials(), two.units().coordinates.label(0), two.units().coordinates.label(1)), (5, "a".into(), "c".into()));
    let refused = |more| with(more).unwrap_err().to_string();
    assert!(refused(vec![("label", list(&["T7"]))]).contains("no event has the label `T7`; the labels of the 5 events are `T0`, `T1`"));
    assert!(refused(vec![("where", "time > 30".into())]).contains("none of the 5 events is chosen"));
    assert!(refused(vec![("units", list(&["z"]))]).contains("no unit `z`; its 3 units are `a`, `b`, `c`"));
}

#[test]
fn trials_outside_of_the_recorded_time_are_refused_dropped_or_filled() {
    let spikes = spikes(&[vec![0.5, 4.2, 9.9]], &[(0.0, 5.0), (8.0, 10.0)]);
    let events = events(&[0.2, 4.0, 4.75, 9.0]);
    let inputs = [("activity", artifact(&spikes)), ("events", artifact(&events))];
    let with = |edges: Value| run_with(&Align, &inputs, &[window(-0.5, 0.5, 0.25), vec![("edges", edges)]].concat());
    let message = said(with(Value::word("refuse")));
    let expected = "session `spiking`: the windows of 2 of 4 events leave the recorded time, 0 s .. 5 s, 8 s .. 10 s; the first is event 0: \
                    -0.3 s .. 0.7 s was not recorded wholly; use a shorter window, or leave them out with `edges = drop`";
    assert_eq!(message, expected);
    let dropped = with(Value::word("drop")).unwrap();
    let table: Table = dropped.one("dropped").unwrap();
    assert_eq!((table.integers("event").unwrap(), table.texts("reason").unwrap()), (vec![0, 2], vec!["window".to_owned(); 2]));
    assert_eq!(dropped.one::<Responses>("responses").unwrap().trials().numbers("time").unwrap(), [4.0, 9.0]);
    let filled: Responses = with(Value::call("fill", vec![("value", (-1).into())])).unwrap().one("responses").unwrap();
    assert_eq!(filled.trace(0, 0), [-1.0, -1.0, 0.0, 1.0]);
    assert_eq!(filled.trace(2, 0), [0.0, 0.0, 0.0, -1.0]);
    let none = events_at(&spikes, &[6.0], Value::word("drop"));
    assert!(none.contains("none of 1 trials is left: 1 window"), "{none}");
}

fn events_at(spikes: &Spikes, times: &[f64], edges: Value) -> String {
    let params = [window(-0.5, 0.5, 0.25), vec![("edges", edges)]].concat();
    aligned(spikes, &events(times), &params).unwrap_err().to_string()
}

#[test]
fn without_observed_spans_the_time_is_that_of_the_spikes() {
    let spikes = spikes(&[vec![1.0, 2.0], vec![0.5, 3.0]], &[]);
    assert!(aligned(&spikes, &events(&[1.0, 2.5]), &window(-0.5, 0.5, 0.25)).is_ok());
    assert!(events_at(&spikes, &[2.6], Value::word("refuse")).contains("0.5 s .. 3 s"));
}

#[test]
fn samples_of_a_recording_are_averaged_in_bins() {
    let values: Vec<f64> = (0..1000).map(f64::from).collect();
    let negative: Vec<f64> = values.iter().map(|value| -value).collect();
    let recording = recording(100.0, &[values, negative]);
    let run = |params: &[(&str, Value)]| {
        run_with(&Align, &[("activity", artifact(&recording)), ("events", artifact(&events(&[2.0, 5.0])))], params)
    };
    let found: Responses = run(&window(-0.1, 0.2, 0.1)).unwrap().one("responses").unwrap();
    assert_eq!(found.trace(0, 0), [194.5, 204.5, 214.5]);
    assert_eq!(found.trace(1, 1), [-494.5, -504.5, -514.5]);
    assert_eq!((found.values().unit(), found.sources.len()), (Some("uV"), 1));
    assert!(said(run(&[window(-0.1, 0.2, 0.1), vec![("measure", Value::word("count"))]].concat())).contains("no spikes to count"));
    assert!(said(run(&window(-0.1, 0.2, 0.005))).contains("shorter than a sample at 100 Hz"));
}

#[test]
fn no_bin_of_a_recording_reaches_over_a_pause() {
    let recording = with_pauses(10.0, &[(0..40).map(f64::from).collect()], &[(0, 0.0), (20, 5.0)]);
    let run = |time: f64, edges: Value| {
        let params = [window(-0.5, 0.5, 0.5), vec![("edges", edges)]].concat();
        run_with(&Align, &[("activity", artifact(&recording)), ("events", artifact(&events(&[time])))], &params)
    };
    let trace = |outputs: Result<Outputs, StageError>| outputs.unwrap().one::<Responses>("responses").unwrap().trace(0, 0).to_vec();
    assert_eq!(trace(run(1.5, Value::word("refuse"))), [12.0, 17.0]);
    assert_eq!(trace(run(6.0, Value::word("refuse"))), [27.0, 32.0]);
    assert!(said(run(1.6, Value::word("refuse"))).contains("leave the recorded time, 0 s .. 2 s, 5 s .. 7 s"));
    assert_eq!(trace(run(2.0, Value::call("fill", vec![("value", 9.into())]))), [17.0, 9.0]);
}

#[test]
fn windows_and_measures_that_make_no_sense_are_refused() {
    let spikes = spikes(&[vec![1.0]], &[(0.0, 9.0)]);
    let refused = |params: Vec<(&'static str, Value)>| aligned(&spikes, &events(&[2.0]), &params).unwrap_err().to_string();
    assert_eq!(refused(window(0.0, 1.0, 0.3)), "a window of 1 s is no whole number of bins of 0.3 s");
    assert!(refused(window(0.0, 1e5, 1e-6)).contains("no whole number"));
    assert!(refused([window(0.0, 1.0, 0.5), vec![("measure", Value::word("mean"))]].concat()).contains("spikes have no mean"));
}

#[test]
fn threads_change_nothing() {
    let spikes =
        spikes(&[(0..500).map(|step| f64::from(step) * 0.013).collect(), (0..300).map(|step| f64::from(step) * 0.02).collect()], &[]);
    let events = events(&(10..50).map(|step| f64::from(step) * 0.1).collect::<Vec<_>>());
    let mut inputs = Inputs::new();
    inputs.push("activity", "", artifact(&spikes));
    inputs.push("events", "", artifact(&events));
    let run =
        |threads| crate::testing::run_on(&Align, &inputs, &window(-0.5, 0.5, 0.01), &Context { threads, ..Context::quiet(0) }).unwrap();
    assert_eq!(run(1).one::<Responses>("responses").unwrap(), run(4).one::<Responses>("responses").unwrap());
}
