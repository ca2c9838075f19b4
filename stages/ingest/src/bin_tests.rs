use super::*;
use crate::testing::{artifact, list, run_with, said, spikes};
use proptest::prelude::*;

fn binned(spikes: &Spikes, params: &[(&str, Value)]) -> Result<Recording, StageError> {
    run_with(&Bin, &[("spikes", artifact(spikes))], params)?.one("recording")
}

fn values(recording: &Recording, channel: usize) -> Vec<f64> {
    recording.values(channel, 0..usize::MAX)
}

proptest! {
    #[test]
    fn every_bin_has_the_spikes_between_its_edges(steps in prop::collection::vec(0u32..400, 0..80), start in 0u32..100, width in prop::sample::select(vec![0.02, 0.03, 0.1, 0.07])) {
        let mut times: Vec<f64> = steps.iter().map(|&step| f64::from(step) * 0.01).collect();
        times.sort_by(f64::total_cmp);
        let start = f64::from(start) * 0.01;
        let found = binned(&spikes(&[times.clone()], &[(start, 3.5)]), &[("bin", Value::seconds(width))]).unwrap();
        let counts = values(&found, 0);
        prop_assert_eq!(counts.len(), ((3.5 - start) / width + 1e-6).floor() as usize);
        for (bin, count) in counts.iter().enumerate() {
            let (from, to) = (start + bin as f64 * width, start + (bin + 1) as f64 * width);
            prop_assert_eq!(*count, times.iter().filter(|time| (from..to).contains(*time)).count() as f64);
        }
    }
}

#[test]
fn each_observed_span_is_a_stretch_with_bins_of_its_own() {
    let spikes = spikes(&[vec![0.1, 0.6, 0.7, 2.95, 3.4], vec![1.9]], &[(2.9, 3.95), (0.0, 1.2)]);
    let found = binned(&spikes, &[("bin", Value::seconds(0.5))]).unwrap();
    assert_eq!((values(&found, 0), values(&found, 1)), (vec![1.0, 2.0, 1.0, 1.0], vec![0.0; 4]));
    let (channel, samples) = found.channel(0).unwrap();
    assert_eq!((channel.name.as_str(), channel.role.as_str(), channel.unit.as_str(), channel.rate), ("a", "units", "spikes", 2.0));
    assert_eq!(channel.stretches, [Stretch { first: 0, time: 0.25 }, Stretch { first: 2, time: 3.15 }]);
    assert!(matches!(samples, Samples::I16(_)));
    let part = binned(&spikes, &[("bin", Value::seconds(0.5)), ("window", Value::window(0.5, 3.5)), ("units", list(&["a"]))]).unwrap();
    assert_eq!((values(&part, 0), part.len()), (vec![2.0, 1.0], 1));
    let message =
        said(run_with(&Bin, &[("spikes", artifact(&spikes))], &[("bin", Value::seconds(0.5)), ("window", Value::window(1.5, 2.5))]));
    assert!(message.contains("no span holds a bin of 0.5 s"), "{message}");
}

#[test]
fn smoothing_has_the_numbers_of_scipy_and_keeps_the_number_of_spikes() {
    let spikes = spikes(&[vec![0.05, 0.31, 0.32, 0.77]], &[(0.0, 1.0)]);
    let found = binned(&spikes, &[("bin", Value::seconds(0.1)), ("smooth", Value::seconds(0.15))]).unwrap();
    // scipy 1.17.1: gaussian_filter1d([1., 0, 0, 2, 0, 0, 0, 1, 0, 0], 1.5).
    let expected = [
        0.5661152862495364,
        0.5431366676363587,
        0.572477218839357,
        0.5831176667890445,
        0.47055500394415267,
        0.3291409425103658,
        0.28513466683254246,
        0.2821872581324037,
        0.22262132390072875,
        0.14551396516551013,
    ];
    for (found, expected) in values(&found, 0).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    assert!((values(&found, 0).iter().sum::<f64>() - 4.0).abs() < 1e-12);
}

#[test]
fn a_window_without_known_spans_is_binned_as_asked_and_nothing_at_all_is_refused() {
    let found = binned(&spikes(&[vec![1.0]], &[]), &[("bin", Value::seconds(0.5)), ("window", Value::window(0.0, 2.0))]).unwrap();
    assert_eq!(values(&found, 0), [0.0, 0.0, 1.0, 0.0]);
    let message = binned(&spikes(&[vec![]], &[]), &[]).unwrap_err().to_string();
    assert!(message.contains("units were observed over nothing"), "{message}");
    let message = binned(&spikes(&[vec![1.0]], &[]), &[("window", Value::window(0.0, 0.03))]).unwrap_err().to_string();
    assert!(message.contains("no whole number of bins"), "{message}");
    let message = binned(&spikes(&[vec![0.0, 1e300]], &[]), &[]).unwrap_err().to_string();
    assert!(message.contains("at most 1.0e9 are made"), "{message}");
}
