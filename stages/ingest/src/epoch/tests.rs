use super::*;
use crate::testing::{artifact, events, hertz, list, recording, run_with, said, with_pauses};
use neuroflow_compute::signal::{Band, butterworth, decimate, notch};
use neuroflow_data::{Samples, Table};
use neuroflow_stage::{StageError, Value};

fn cut(recording: &Recording, events: &Events, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
    run_with(&Epoch, &[("recording", artifact(recording)), ("events", artifact(events))], params)
}

fn responses(outputs: Result<Outputs, StageError>) -> Responses {
    outputs.unwrap().one("responses").unwrap()
}

/// A signal without any regularity.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        })
        .collect()
}

fn window(start: f64, end: f64) -> (&'static str, Value) {
    ("window", Value::window(start, end))
}

#[test]
fn a_window_is_half_open_and_begins_at_the_sample_nearest_to_its_event() {
    let recording = recording(160.0, &[(0..1000).map(f64::from).collect(), (0..1000).map(|n| -f64::from(n)).collect()]);
    // 2.003125 s lies at sample 320.5: halves go to the even sample, as in NumPy and so in MNE-Python.
    let found = responses(cut(&recording, &events(&[2.003125, 3.003, 3.009375]), &[window(-0.0125, 0.025)]));
    assert_eq!(found.values().shape(), [3, 2, 6]);
    assert_eq!(found.trace(0, 0), [318.0, 319.0, 320.0, 321.0, 322.0, 323.0]);
    assert_eq!((found.trace(1, 0)[2], found.trace(2, 1)[2]), (480.0, -482.0));
    assert_eq!(found.bin_times(), [-0.0125, -0.00625, 0.0, 0.00625, 0.0125, 0.01875]);
    assert_eq!((found.values().unit(), found.units().coordinates.label(1)), (Some("uV"), "C2".to_owned()));
    assert_eq!(found.trials().texts("side").unwrap(), ["left", "left", "right"]);
    assert_eq!(found.sources, recording.sources);
}

#[test]
fn samples_of_any_type_become_values_by_their_gain_and_offset() {
    let (channel, _) = recording(10.0, &[vec![0.0; 4]]).channel(0).map(|(channel, samples)| (channel.clone(), samples.clone())).unwrap();
    let channel = neuroflow_data::Channel { gain: 0.5, offset: 3.0, ..channel };
    let stored = Samples::I16(vec![1i16, 2, 3, 4, 5, 6].into());
    let found = responses(cut(&Recording::new("s", vec![(channel, stored)]).unwrap(), &events(&[0.2]), &[window(0.0, 0.3)]));
    assert_eq!(found.trace(0, 0), [4.5, 5.0, 5.5]);
}

#[test]
fn the_continuous_channel_is_referenced_filtered_and_then_cut() {
    let channels: Vec<Vec<f64>> = (0..4).map(|seed| noise(seed + 1, 2000)).collect();
    let recording = recording(200.0, &channels);
    let params = [
        window(-0.25, 0.5),
        ("channels", list(&["C1", "C3", "C4"])),
        ("reference", Value::word("average")),
        ("high_pass", hertz(4.0)),
        ("low_pass", hertz(40.0)),
        ("notch", Value::List(vec![hertz(50.0)])),
        ("order", 3.into()),
        ("baseline", Value::call("before", vec![("window", Value::window(-0.25, 0.0))])),
    ];
    let found = responses(cut(&recording, &events(&[1.0, 4.0, 9.0]), &params));
    let filter = butterworth(3, Band::Pass(4.0, 40.0), 200.0).unwrap();
    let mains = notch(50.0, 30.0, 200.0).unwrap();
    for (unit, channel) in [0usize, 2, 3].into_iter().enumerate() {
        let referenced: Vec<f64> =
            (0..2000).map(|at| channels[channel][at] - (channels[0][at] + channels[2][at] + channels[3][at]) / 3.0).collect();
        let clean = mains.zero_phase(&filter.zero_phase(&referenced).unwrap()).unwrap();
        for (trial, sample) in [200usize, 800, 1800].into_iter().enumerate() {
            let own = &clean[sample - 50..sample + 100];
            let before = own[..50].iter().sum::<f64>() / 50.0;
            for (found, value) in found.trace(trial, unit).iter().zip(own) {
                assert!((found - (value - before)).abs() < 1e-12, "{trial} {unit}");
            }
        }
    }
}

#[test]
fn decimation_keeps_samples_counted_from_the_event_after_scipys_filter() {
    let signal = noise(7, 1200);
    let recording = recording(300.0, std::slice::from_ref(&signal));
    let found = responses(cut(&recording, &events(&[1.0, 2.0]), &[window(-0.1, 0.2), ("decimate", 4.into())]));
    // 300 and 600 are multiples of 4, so the samples are those of the decimated signal.
    let whole = decimate(&signal, 4).unwrap();
    assert_eq!(found.bin_times().first(), Some(&(-28.0 / 300.0)));
    assert_eq!(found.n_bins(), 22);
    for (trial, middle) in [75usize, 150].into_iter().enumerate() {
        for (place, value) in found.trace(trial, 0).iter().enumerate() {
            assert!((value - whole[middle - 7 + place]).abs() < 1e-9);
        }
    }
}

#[test]
fn a_reference_may_be_channels_that_are_not_cut() {
    let recording = recording(10.0, &[vec![1.0; 50], vec![4.0; 50], vec![8.0; 50]]);
    let reference = Value::call("channels", vec![("names", list(&["C2", "C3"]))]);
    let found = responses(cut(&recording, &events(&[2.0]), &[window(0.0, 0.2), ("channels", list(&["C1"])), ("reference", reference)]));
    assert_eq!(found.trace(0, 0), [-5.0, -5.0]);
    let refused = |params: &[(&str, Value)]| said(cut(&recording, &events(&[2.0]), params));
    let message = refused(&[window(0.0, 0.2), ("reference", Value::call("channels", vec![("names", list(&["M1"]))]))]);
    assert!(message.contains("no channel `M1`; its 3 channels are `C1`"), "{message}");
    assert!(refused(&[window(0.0, 0.2), ("channels", list(&["C1"])), ("reference", Value::word("average"))]).contains("needs at least 2"));
}

#[test]
fn what_is_no_electrode_keeps_its_values_and_marks_are_not_filtered() {
    let plain = recording(100.0, &[noise(1, 400), noise(2, 400), noise(3, 400), (0..400).map(|at| f64::from(at % 100 / 50)).collect()]);
    let roles = ["eeg", "eeg", "ecg", "trig"];
    let one = |(place, role): (usize, &&str)| {
        let (channel, samples) = plain.channel(place).unwrap();
        (neuroflow_data::Channel { role: (*role).into(), ..channel.clone() }, samples.clone())
    };
    let recording = Recording::new("s", roles.iter().enumerate().map(one).collect()).unwrap();
    let all = [window(0.0, 0.5), ("reference", Value::word("average"))];
    let found = responses(cut(&recording, &events(&[1.0]), &all));
    let mean: Vec<f64> = (100..150).map(|at| (plain.values(0, at..at + 1)[0] + plain.values(1, at..at + 1)[0]) / 2.0).collect();
    let expected: Vec<f64> = plain.values(0, 100..150).iter().zip(&mean).map(|(value, mean)| value - mean).collect();
    assert!(found.trace(0, 0).iter().zip(&expected).all(|(one, other)| (one - other).abs() < 1e-12));
    assert_eq!((found.trace(0, 2), found.trace(0, 3)), (&plain.values(2, 100..150)[..], &plain.values(3, 100..150)[..]));
    let filtered = responses(cut(&recording, &events(&[1.0]), &[window(0.0, 0.5), ("low_pass", hertz(5.0))]));
    assert_eq!(filtered.trace(0, 3), &plain.values(3, 100..150)[..]);
    assert!(filtered.trace(0, 2) != &plain.values(2, 100..150)[..]);
}

#[test]
fn no_window_crosses_a_pause_and_filters_do_not_either() {
    let values: Vec<f64> = (0..400).map(|at| if at < 200 { 1.0 } else { 100.0 }).collect();
    let recording = with_pauses(100.0, &[values], &[(0, 0.0), (200, 30.0)]);
    let events = events(&[1.0, 1.95, 5.0, 30.05, 31.0, 29.996]);
    let params = [window(-0.1, 0.1), ("low_pass", hertz(5.0)), ("edges", Value::word("drop"))];
    let outputs = cut(&recording, &events, &params).unwrap();
    let table: Table = outputs.one("dropped").unwrap();
    assert_eq!(table.integers("event").unwrap(), [1, 2, 3, 5]);
    let found: Responses = outputs.one("responses").unwrap();
    assert!(found.trace(0, 0).iter().all(|value| (value - 1.0).abs() < 1e-9));
    assert!(found.trace(1, 0).iter().all(|value| (value - 100.0).abs() < 1e-7));
    let message = said(cut(&recording, &events, &params[..2]));
    assert!(
        message.contains("the windows of 4 of 6 events leave the recording or cross a pause (it reaches over 0 s .. 2 s, 30 s .. 32 s)"),
        "{message}"
    );
    // A sample half an interval before the stretch still rounds to its first.
    let near = responses(cut(&recording, &crate::testing::events(&[29.996]), &[window(0.0, 0.1)]));
    assert_eq!(near.trace(0, 0), [100.0; 10]);
}

#[test]
fn a_stretch_too_short_to_filter_gives_no_trial_unnoticed() {
    let recording = with_pauses(100.0, &[vec![1.0; 210]], &[(0, 0.0), (200, 30.0)]);
    let message = said(cut(&recording, &events(&[1.0, 30.05]), &[window(-0.01, 0.02), ("low_pass", hertz(5.0))]));
    assert!(message.contains("channel `C1` has values that are not finite in the window of event 1"), "{message}");
}

#[test]
fn trials_are_rejected_by_range_as_mne_does() {
    // MNE-Python 1.13: reject = {eeg: 10} drops a trial whose range is above 10, flat = {eeg: 1} one whose range is below 1.
    let mut first = vec![0.0; 500];
    let mut second: Vec<f64> = (0..500).map(|at| f64::from(at % 2) * 2.0).collect();
    for (at, value) in first.iter_mut().enumerate() {
        *value = f64::from(u8::try_from(at % 2).unwrap()) * 10.0;
    }
    first[205] = 10.5;
    second[300..310].fill(1.0);
    let recording = recording(100.0, &[first, second]);
    let events = events(&[1.0, 2.0, 3.0, 4.0]);
    let outputs = cut(&recording, &events, &[window(0.0, 0.1), ("peak_to_peak", 10.0.into()), ("flat", 1.into())]).unwrap();
    let table: Table = outputs.one("dropped").unwrap();
    assert_eq!(
        (table.integers("event").unwrap(), table.texts("reason").unwrap()),
        (vec![1, 2], vec!["peak_to_peak".to_owned(), "flat".to_owned()])
    );
    assert_eq!(table.texts("detail").unwrap(), ["channel `C1` has a range of 10.5", "channel `C2` has a range of 0"]);
    assert_eq!(outputs.one::<Responses>("responses").unwrap().trials().numbers("time").unwrap(), [1.0, 4.0]);
    let none = said(cut(&recording, &events, &[window(0.0, 0.1), ("peak_to_peak", 1.into())]));
    assert!(none.contains("none of 4 trials is left: 4 peak_to_peak"), "{none}");
}

#[test]
fn trials_that_touch_an_event_to_avoid_are_left_out() {
    let recording = recording(100.0, &[noise(3, 1000), noise(4, 1000)]);
    let trials = events(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let artefacts = Events::new(
        vec![1.5, 3.0, 4.4, 0.0],
        vec![Some(0.5), None, Some(0.1), Some(1.0)],
        &["blink".into(), "jump".into(), "blink".into(), "flat".into()],
    )
    .unwrap();
    let (field, array) = neuroflow_data::columns::from_texts("channel", &["", "C1", "C2", ""]);
    let artefacts = Events::from_table(artefacts.table().with_column(field, array).unwrap()).unwrap();
    let dropped = |channels: &[&str]| {
        let given = [("recording", artifact(&recording)), ("events", artifact(&trials)), ("avoid", artifact(&artefacts))];
        let outputs = run_with(&Epoch, &given, &[window(0.0, 0.5), ("channels", list(channels))]).unwrap();
        outputs.one::<Table>("dropped").unwrap().integers("event").unwrap()
    };
    // 1.5–2 s ends where the trial at 2 s begins; the moment at 3 s lies in a window that begins there; 4.4 s is in the second channel only.
    assert_eq!(dropped(&[]), [2, 3]);
    assert_eq!(dropped(&["C1"]), [2]);
    assert_eq!(dropped(&["C2"]), [3]);
}

#[test]
fn what_can_not_be_cut_is_refused_in_the_users_words() {
    let recording_of = |rate: f64| recording(rate, &[vec![0.0; 100]]);
    let refused = |params: &[(&str, Value)]| said(cut(&recording_of(10.0), &events(&[5.0]), params));
    assert!(refused(&[window(0.0, 0.01)]).contains("a window of 0.01 s is 0 samples at 10 Hz"));
    assert!(refused(&[window(-500.0, 500.0)]).contains("10000 samples at 10 Hz, the recording has 100"));
    assert!(refused(&[window(0.0, 1.0), ("low_pass", hertz(7.0))]).contains("half the sampling rate, 5 Hz"));
    let baseline = Value::call("before", vec![("window", Value::window(-0.5, 0.0))]);
    assert!(refused(&[window(0.0, 1.0), ("baseline", baseline)]).contains("does not lie in the window 0 s .. 1 s"));
    assert!(refused(&[window(0.1, 0.3), ("decimate", 100.into())]).contains("`decimate = 100` leaves no sample"));
    let (slow, fast) = (recording_of(10.0), recording_of(20.0));
    let (mut other, samples) = fast.channel(0).map(|(channel, samples)| (channel.clone(), samples.clone())).unwrap();
    other.name = "EOG".into();
    let first = slow.channel(0).map(|(channel, samples)| (channel.clone(), samples.clone())).unwrap();
    let mixed = Recording::new("s", vec![first, (other, samples)]).unwrap();
    let message = said(cut(&mixed, &events(&[2.0]), &[window(0.0, 1.0)]));
    assert!(message.contains("channels `C1` and `EOG` have different sampling rates, 10 Hz and 20 Hz"), "{message}");
    assert_eq!(responses(cut(&mixed, &events(&[2.0]), &[window(0.0, 1.0), ("channels", list(&["EOG"]))])).n_bins(), 20);
}

/// MNE-Python's trials of the eight runs of a subject, written by `tests/reference/epoch.py`.
#[test]
fn trials_of_recorded_eeg_are_those_of_mne() {
    use neuroflow_data::formats::{Limits, npz::read_npz};
    let Some(folder) = std::env::var_os("NEUROFLOW_EPOCH_REFERENCE").map(std::path::PathBuf::from) else {
        println!("skipped: NEUROFLOW_EPOCH_REFERENCE does not name a folder that tests/reference/epoch.py wrote");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let arrays = read_npz(&std::fs::read(&file).unwrap(), &Limits::default()).unwrap();
        let array = |name: &str| arrays.get(name).unwrap().to_f64().unwrap().into_owned();
        let (data, rate, onsets, seconds) = (array("data"), array("rate")[0], array("onsets"), array("seconds")[0]);
        let n = data.len() / 64;
        let recording = recording(rate, &data.chunks_exact(n).map(<[f64]>::to_vec).collect::<Vec<_>>());
        let events = events(&onsets);
        let plain = [window(-0.5, 1.0), ("edges", Value::word("drop"))];
        let settings = [
            ("reference", Value::word("average")),
            ("high_pass", hertz(8.0)),
            ("low_pass", hertz(30.0)),
            ("notch", Value::List(vec![hertz(60.0)])),
            ("baseline", Value::call("before", vec![("window", Value::window(-0.5, 0.0))])),
            ("peak_to_peak", 100.0.into()),
        ];
        for (params, trials, kept) in
            [(plain.to_vec(), "plain", "plain_kept"), ([plain.to_vec(), settings.to_vec()].concat(), "filtered", "filtered_kept")]
        {
            let start = std::time::Instant::now();
            let outputs = cut(&recording, &events, &params).unwrap();
            let took = start.elapsed().as_secs_f64();
            let found: Responses = outputs.one("responses").unwrap();
            let dropped: Table = outputs.one("dropped").unwrap();
            let expected = array(trials);
            let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let worst = found.values().values().iter().zip(&expected).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs()));
            println!(
                "{} {trials}: {:?}, {} dropped, largest difference {worst:e} of {largest}, {took:.3} s here, {seconds:.3} s there (filtered)",
                file.file_stem().unwrap().display(),
                found.values().shape(),
                dropped.rows()
            );
            assert_eq!(found.values().values().len(), expected.len());
            assert_eq!(found.n_trials(), array(kept).len());
            assert!(worst <= 1e-9 * largest, "{worst} {largest}");
        }
    }
}
