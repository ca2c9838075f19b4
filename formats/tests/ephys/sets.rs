//! EEGLAB and FIF.

use super::build::{Fif, fif_epochs, fif_raw, fif_stimulus, folder, set, set_data, source};
use super::mat5_bytes::Mat5;
use neuroflow_formats::{Document, FormatError, Limits, Options, eeglab, fif, reader_of_name};
use std::io::Write;

fn values(document: &dyn Document, channel: usize) -> Vec<f64> {
    let mut values = Vec::new();
    document.signals("").unwrap().read(channel, 0..u64::MAX, &mut values).unwrap();
    values
}

fn open_set(files: &[(&str, Vec<u8>)]) -> Result<neuroflow_formats::RecordedDocument, FormatError> {
    eeglab::open(&folder(files), "a.set", &Limits::default())
}

#[test]
fn a_continuous_set_is_a_recording_with_events() {
    let mat = Mat5 { big_endian: false };
    let fdt: Vec<u8> = (0..8).flat_map(|value| (value as f32).to_le_bytes()).collect();
    let inline = open_set(&[("a.set", set(1.0, 4.0, set_data(4)))]).unwrap();
    let named = open_set(&[("a.set", set(1.0, 4.0, mat.text("data", "a.fdt"))), ("a.fdt", fdt.clone())]).unwrap();
    let renamed = open_set(&[("a.set", set(1.0, 4.0, mat.text("data", "old.fdt"))), ("a.fdt", fdt.clone())]).unwrap();
    for document in [&inline, &named, &renamed] {
        assert_eq!((values(document, 0), values(document, 1)), (vec![0.0, 2.0, 4.0, 6.0], vec![1.0, 3.0, 5.0, 7.0]));
        let signals = document.signals("").unwrap();
        let [one, two] = signals.channels() else { panic!() };
        assert_eq!((one.name.as_str(), one.unit.as_str(), one.role.as_str(), one.rate), ("Cz", "uV", "eeg", 100.0));
        assert_eq!((two.name.as_str(), two.role.as_str()), ("HEOG", "eog"));
        let events = document.events("").unwrap();
        assert_eq!((events.times(), events.labels()), (vec![0.01, 0.035], vec!["S 1".into(), "5".into()]));
        let codes = events.table().numbers("code").unwrap();
        assert!(codes[0] == 7.0 && codes[1].is_nan());
        assert_eq!(events.table().texts("odd").unwrap(), ["x", "2.5"]);
        assert_eq!(document.contents().facts.get("name").map(String::as_str), Some("a set"));
        assert_eq!(document.rows("channels").unwrap().count(), 2);
        assert!(document.tensor("", None).is_err());
    }
    assert_eq!(inline.contents().notes, ["1 events have no latency and are left out"]);
    assert_eq!(renamed.contents().notes[0], "`old.fdt` is not there; the .fdt that is called like the set is read in its place");
    // The older .dat keeps each channel on its own.
    let dat = open_set(&[("a.set", set(1.0, 4.0, mat.text("data", "a.dat"))), ("a.dat", fdt)]).unwrap();
    assert_eq!(values(&dat, 1), [4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn a_set_of_epochs_is_an_array() {
    let document = open_set(&[("a.set", set(2.0, 3.0, set_data(6)))]).unwrap();
    let whole = document.tensor("epochs", None).unwrap();
    assert_eq!(whole.shape(), [2, 2, 3]);
    assert_eq!(whole.values(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 7.0, 9.0, 11.0]);
    assert_eq!(whole.unit(), Some("uV"));
    let part = document.tensor("", Some(&[1..2, 1..2, 0..2])).unwrap();
    assert_eq!((part.shape(), part.values()), (vec![1, 1, 2], &[7.0, 9.0][..]));
    assert_eq!(part.axes()[1].coordinates.label(0), "HEOG");
    assert_eq!(part.axes()[2].coordinates.label(0), "-0.01");
    let events = document.events("").unwrap();
    assert_eq!(events.table().integers("trial").unwrap(), [0, 1]);
    // The second event: latency 4.5, in the second epoch, which begins at sample 4.
    let within = events.table().numbers("time_in_epoch").unwrap();
    assert!(within[0].abs() < 1e-15 && (within[1] + 0.005).abs() < 1e-15, "{within:?}");
    assert!(document.signals("").is_err());
    for wrong in [&[0..1, 0..1][..], &[0..3, 0..2, 0..3], &[0..1, 0..2, 0..u64::MAX]] {
        assert!(document.tensor("", Some(wrong)).unwrap_err().to_string().starts_with("EEGLAB .set: object `epochs`: "));
    }
}

#[test]
fn sets_that_can_not_be_read_say_why() {
    let mat = Mat5 { big_endian: false };
    let error = |files: &[(&str, Vec<u8>)]| open_set(files).unwrap_err().to_string();
    assert!(error(&[]).starts_with("EEGLAB .set: the file: there is no file `a.set`;"));
    let short = error(&[("a.set", set(1.0, 9.0, set_data(4)))]);
    assert!(
        short.starts_with(
            "EEGLAB .set: variable `EEG.data`: 2 channels of 9 samples in 1 trials are stated, 64 bytes of samples are there;"
        ),
        "{short}"
    );
    let gone = error(&[("a.set", set(1.0, 4.0, mat.text("data", "a.fdt")))]);
    assert!(gone.starts_with("EEGLAB .set: variable `EEG.data`: there is no file `a.fdt`, which holds the samples;"), "{gone}");
    for out in ["../../etc/passwd", "/etc/passwd", "https://host/a.fdt"] {
        let text = error(&[("a.set", set(1.0, 4.0, mat.text("data", out)))]);
        assert!(text.contains("lies outside the folder; keep .set and .fdt together"), "{text}");
    }
    let huge = error(&[("a.set", set(1e15, 1e15, set_data(4)))]);
    assert!(huge.starts_with("EEGLAB .set: variable `EEG.pnts`: the samples are too many to count;"), "{huge}");
    let many = error(&[("a.set", set(1.5, 4.0, set_data(4)))]);
    assert!(many.starts_with("EEGLAB .set: variable `EEG.trials`: 1.5 is no count;"), "{many}");
    let hdf5 = error(&[("a.set", b"MATLAB 7.3 MAT-file".to_vec())]);
    assert!(hdf5.starts_with("EEGLAB .set: "), "{hdf5}");
    assert!(error(&[("a.set", b"x".to_vec())]).starts_with("EEGLAB .set: byte 1: the file ends inside its 128-byte header;"));
    assert!(error(&[("a.set", mat.file(&[]))]).starts_with("EEGLAB .set: variable `EEG.srate`: the set has no sampling rate;"));
}

#[test]
fn a_raw_fif_is_a_recording_with_pauses_and_annotations() {
    for form in [2, 3, 4, 5, 16] {
        for directory in [true, false] {
            let document = fif::open(source(fif_raw(form, directory)), &Limits::default()).unwrap();
            assert_eq!(document.bad_channels().unwrap(), ["EEG 001"]);
            // Stored × calibration × range: 2 × 0.5 for the first channel, 0.25 for the second.
            let expected = |from: f64, gain: f64| (0..13).map(|sample| (from + 2.0 * f64::from(sample)) * gain).collect::<Vec<_>>();
            assert_eq!((values(&document, 0), values(&document, 1)), (expected(0.0, 1.0), expected(1.0, 0.25)), "{form}");
            let signals = document.signals("").unwrap();
            let [one, two] = signals.channels() else { panic!() };
            assert_eq!((one.name.as_str(), one.unit.as_str(), one.role.as_str(), one.rate), ("MEG 0113", "T/m", "meggrad", 100.0));
            assert_eq!((two.unit.as_str(), two.role.as_str()), ("V", "eeg"));
            // The first sample is number 300; two buffers of three samples are skipped before the third.
            let stretches = one.stretches.iter().map(|own| (own.first, own.time)).collect::<Vec<_>>();
            assert_eq!(stretches, [(0, 3.0), (10, 3.16)]);
            let events = document.events("annotations").unwrap();
            assert_eq!((events.times(), events.labels()), (vec![1.0, 2.5], vec!["blink:a".into(), "bad".into()]));
            assert_eq!(events.table().numbers("duration").unwrap(), [0.5, 0.0]);
            let facts = &document.contents().facts;
            assert_eq!(facts.get("start").map(String::as_str), Some("2020-11-24T16:15:07.250000Z"));
            assert_eq!((facts.get("subject").map(String::as_str), facts.get("sex").map(String::as_str)), (Some("S7"), Some("F")));
            let told: Vec<&str> = document.contents().damage.iter().map(|damage| damage.reason.as_str()).collect();
            assert_eq!(told, ["the recording was split: it goes on in `next-1.fif`, which is not read with it"]);
            let table = document.rows("channels").unwrap().read(&[0, 3], 0..2).unwrap();
            assert_eq!(neuroflow_data::columns::numbers(&table, "bad").unwrap(), [0.0, 1.0]);
        }
    }
}

/// The events that MNE 1.13.2's `find_events` gives of such files.
#[test]
fn stimulus_channels_of_fif_are_events() {
    let found = |channels: &[(&str, &[i16])], before: usize| {
        let document = fif::open(source(fif_stimulus(channels, before)), &Limits::default()).unwrap();
        let events = document.events("").unwrap();
        assert_eq!(document.rows("triggers").unwrap().count(), events.len() as u64);
        let table = events.table();
        let whole = |name: &str| table.integers(name).unwrap();
        let times: Vec<f64> = whole("sample").iter().map(|sample| *sample as f64 / 100.0).collect();
        assert_eq!(events.times(), times);
        assert_eq!(events.labels(), whole("value").iter().map(i64::to_string).collect::<Vec<_>>());
        whole("sample")
            .into_iter()
            .zip(whole("previous"))
            .zip(whole("value"))
            .map(|((sample, previous), value)| [sample, previous, value])
            .collect::<Vec<_>>()
    };
    // A number from the first sample on is no event, and one that falls is none; minus signs are left out.
    let steps = [5, 5, 0, 1, 1, 3, 3, 2, 2, 4, 0, -7, 0];
    let expected = vec![[303, 0, 1], [305, 1, 3], [309, 2, 4], [311, 0, 7]];
    assert_eq!(found(&[("STI 014", &steps)], 13), expected);
    // The channel of all inputs is enough, the newer one before the older one.
    let other = [0, 0, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(found(&[("STI 001", &other), ("STI 014", &steps)], 13), expected);
    assert_eq!(found(&[("STI 014", &other), ("STI101", &steps)], 13), expected);
    // Others are taken together, and what they say alike once.
    let both = [[302, 0, 9], [303, 0, 1], [305, 1, 3], [309, 2, 4], [311, 0, 7]];
    assert_eq!(found(&[("STI 001", &steps), ("STI 002", &other), ("STI 003", &other)], 13), both);
    // In a pause of ten samples the inputs are at 0.
    assert_eq!(found(&[("STI 014", &[0, 2, 2, 2, 2, 0])], 3), [[301, 0, 2], [313, 0, 2]]);
    assert_eq!(found(&[("STI 014", &[0, 0, 0, 0])], 4), Vec::<[i64; 3]>::new());

    let slow = fif::open(source(fif_stimulus(&[("STI 014", &[0, 1, 3, 3, 0])], 5)), &Limits::default()).unwrap();
    let error = slow.events("triggers").unwrap_err().to_string();
    let expected =
        "FIF: object `triggers`: 1 events of the channel `STI 014` follow the one before at once, so its inputs did not rise together; ";
    assert!(error.starts_with(expected), "{error}");
    let about = &slow.contents().item("triggers").unwrap().about;
    assert_eq!(about, "events from the channel `STI 014`, found when they are asked for");

    // Where there are annotations too, one of both is to be named.
    let mut fif = Fif::new();
    fif.begin(100).begin(101).int(200, 1).tag(201, 4, &100f32.to_be_bytes()).channel("STI 014", 3, 107, 1.0, 1.0).end(101);
    fif.begin(3810).tag(3568, 4, &1f32.to_be_bytes()).tag(3569, 4, &2f32.to_be_bytes()).text(206, "BAD").end(3810);
    fif.begin(102).tag(300, 2, &[0, 0, 0, 1, 0, 1, 0, 0]).end(102).end(100);
    let document = fif::open(source(fif.file(true)), &Limits::default()).unwrap();
    let error = document.events("").unwrap_err().to_string();
    assert_eq!(error, "FIF: the file: several are there, so events must be named; name one of `annotations`, `triggers`");
    assert_eq!(
        (document.events("annotations").unwrap().labels(), document.events("triggers").unwrap().labels()),
        (vec!["BAD".into()], vec!["1".into()])
    );
    // Epochs have events of their own.
    assert!(fif::open(source(fif_epochs()), &Limits::default()).unwrap().contents().item("triggers").is_none());
}

#[test]
fn fif_epochs_are_an_array_with_their_events() {
    let document = fif::open(source(fif_epochs()), &Limits::default()).unwrap();
    let whole = document.tensor("", None).unwrap();
    assert_eq!(whole.shape(), [2, 2, 3]);
    assert_eq!(whole.values(), [0.0, 2.0, 4.0, 0.75, 1.0, 1.25, 12.0, 14.0, 16.0, 2.25, 2.5, 2.75]);
    assert_eq!(whole.unit(), None);
    assert_eq!(whole.axes()[2].coordinates.label(0), "-0.01");
    let part = document.tensor("epochs", Some(&[1..2, 0..2, 2..3])).unwrap();
    assert_eq!((part.shape(), part.values()), (vec![1, 2, 1], &[16.0, 2.75][..]));
    let events = document.events("events").unwrap();
    assert_eq!((events.labels(), events.times()), (vec!["a/left".into(), "b".into()], vec![2.5, 4.0]));
    assert_eq!(events.table().integers("previous").unwrap(), [0, 3]);
    assert!(document.rows("events").is_ok() && document.rows("").is_err() && document.signals("").is_err());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_fif_that_is_gzip_is_read_as_the_plain_one() {
    let plain = fif_raw(4, true);
    let document = neuroflow_formats::open(source(gzip(&plain)), &Options::default()).unwrap();
    let expected = fif::open(source(plain), &Limits::default()).unwrap();
    assert_eq!(document.contents(), expected.contents());
    assert_eq!((values(document.as_ref(), 0), values(document.as_ref(), 1)), (values(&expected, 0), values(&expected, 1)));
    assert_eq!(reader_of_name("a_raw.fif.gz").map(|reader| reader.word), Some("fif"));
}

#[test]
fn fif_errors_say_where() {
    let error = |bytes: Vec<u8>| fif::open(source(bytes), &Limits::default()).unwrap_err().to_string();
    assert!(error(b"nothing".to_vec()).starts_with("FIF: byte 0: the file does not begin with FIF's file identifier;"));
    let packed = gzip(&fif_raw(4, true));
    let cut = error(packed[..packed.len() / 2].to_vec());
    assert!(cut.starts_with("FIF: the file: the compressed data break off or are damaged after "), "{cut}");
    let bomb = fif::open(source(gzip(&vec![0; 65 << 20])), &crate::reading::limits()).unwrap_err().to_string();
    assert!(bomb.starts_with("FIF: the file: ") && bomb.contains(" allowed; "), "{bomb}");
    assert!(error(fif_raw(20, true)).contains("the samples are complex numbers, which are not read"));
    assert!(error(fif_raw(7, true)).contains("samples of type 7 are not read"));
    let mut empty = Fif::new();
    assert_eq!(
        error(empty.file(true)),
        "FIF: the file: the file has no measurement info with channels and a sampling rate; only raw and epochs files are read"
    );
    assert!(error(empty.info().end(100).file(true)).starts_with("FIF: the file: the file holds neither a raw recording nor epochs;"));
    let mut short = Fif::new();
    short.begin(101).int(200, 3).tag(201, 4, &1f32.to_be_bytes()).channel("a", 2, 107, 1.0, 1.0).end(101);
    assert!(error(short.file(true)).starts_with("FIF: the file: 3 channels are stated, 1 are described;"));
    // Tags that lead around in a circle.
    let mut bytes = Fif::new().info().file(false);
    bytes[48..52].copy_from_slice(&16i32.to_be_bytes());
    let circle = error(bytes);
    assert!(circle.starts_with("FIF: byte 48: the tag says that the next one stands at byte 16, before it;"), "{circle}");
    let mut deep = Fif::new();
    for _ in 0..100 {
        deep.begin(900);
    }
    assert!(error(deep.file(true)).contains("blocks nest deeper than 64"));
    let whole = fif_epochs();
    assert!(error(whole[..whole.len() - 8].to_vec()).starts_with("FIF: byte "));
    // A file that was cut short is walked up to where it ends.
    let cut = fif_raw(4, true);
    let document = fif::open(source(cut[..cut.len() - 700].to_vec()), &Limits::default());
    assert!(document.is_err() || crate::reading::damage(&document.unwrap()).iter().any(|reason| reason.contains("the tags are walked")));
}

#[test]
fn projections_that_the_samples_do_not_have_are_told() {
    let note = |applied: &[i32]| {
        let mut fif = Fif::new();
        fif.begin(100).begin(101).int(200, 1).tag(201, 4, &100f32.to_be_bytes()).channel("EEG 001", 2, 107, 1.0, 1.0);
        fif.begin(313);
        for active in applied {
            fif.begin(314).int(3560, *active).end(314);
        }
        fif.end(313).end(101).begin(102).tag(300, 4, &[1f32, 2.0].map(f32::to_be_bytes).concat()).end(102).end(100);
        let document = fif::open(source(fif.file(true)), &Limits::default()).unwrap();
        document.contents().notes.clone()
    };
    assert_eq!((note(&[]), note(&[1, 1])), (vec![], vec![]));
    assert!(note(&[1, 0, 0])[0].starts_with("2 projections (SSP or an average reference) are stored with the samples and not applied"));
}

#[test]
fn a_latency_of_any_size_lies_in_some_epoch() {
    // Without the field `epoch`, the latency says in which one an event lies.
    let mut bytes = set(2.0, 3.0, set_data(6));
    for (old, new) in [(b"epoch".to_vec(), b"other".to_vec()), (4.5f64.to_le_bytes().to_vec(), (-1e300f64).to_le_bytes().to_vec())] {
        let place = bytes.windows(old.len()).position(|own| own == old).unwrap();
        bytes.splice(place..place + old.len(), new);
    }
    let events = open_set(&[("a.set", bytes)]).unwrap().events("").unwrap();
    assert!(events.table().integers("trial").unwrap().contains(&i64::MIN), "{:?}", events.table().integers("trial"));
}
