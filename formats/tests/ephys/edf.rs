//! EDF and BDF, every variant.

use super::build::{Edf, annotations, signal, source, tal};
use crate::reading::damage;
use arrow::buffer::Buffer;
use neuroflow_data::{Samples, columns};
use neuroflow_formats::edf::{EdfDocument, open};
use neuroflow_formats::{Document, Format, Limits, Source, What};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex};

fn read(bytes: Vec<u8>) -> EdfDocument {
    open(source(bytes), &Limits::default()).unwrap()
}

fn values(document: &EdfDocument, channel: usize, samples: Range<u64>) -> Vec<f64> {
    let mut values = Vec::new();
    document.signals("").unwrap().read(channel, samples, &mut values).unwrap();
    values
}

fn refused(bytes: Vec<u8>) -> String {
    open(source(bytes), &Limits::default()).unwrap_err().to_string()
}

/// Two signals of 4 and 1 samples a record, in three records.
fn mixed() -> (Edf, Vec<Vec<Vec<i32>>>) {
    let edf = Edf { records: "3", ..Edf::new(false, vec![signal("EEG Cz", 4), signal("Resp", 1)]) };
    let records = (0..3).map(|record| vec![(0..4).map(|sample| record * 4 + sample).collect(), vec![-record]]).collect();
    (edf, records)
}

#[test]
fn signals_have_rates_units_scales_and_rows() {
    let (edf, records) = mixed();
    let document = read(edf.file(&records));
    let contents = document.contents();
    assert_eq!((contents.format, contents.version.as_str()), (Format::Edf, "EDF"));
    assert_eq!(contents.notes, Vec::<String>::new());
    assert_eq!(contents.facts.get("start").map(String::as_str), Some("2020-11-24T16:15:07"));
    let paths: Vec<&str> = contents.items.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, ["signals", "signals@1Hz", "channels"]);
    assert_eq!(contents.items[0].what, What::Recording { channels: 2, samples: 12, rate: 4.0, span: (0.0, 2.75), unit: "uV".into() });
    let signals = document.signals("signals").unwrap();
    let channel = &signals.channels()[0];
    assert_eq!((channel.name.as_str(), channel.role.as_str(), channel.unit.as_str(), channel.rate), ("EEG Cz", "eeg", "uV", 4.0));
    assert_eq!((channel.gain, channel.offset), (0.1, 0.0));
    assert_eq!(values(&document, 0, 3..6), [3.0 * 0.1, 4.0 * 0.1, 5.0 * 0.1]);
    assert_eq!(values(&document, 1, 0..9), [0.0, -0.1, -0.2]);
    assert_eq!(values(&document, 0, 20..30), Vec::<f64>::new());
    assert_eq!(signals.stored(0).unwrap(), Samples::I16((0..12).collect::<Vec<i16>>().into()));
    let rows = document.rows("signals").unwrap();
    assert_eq!(rows.count(), 12);
    let batch = rows.read(&[1, 0], 5..8).unwrap();
    assert_eq!(columns::numbers(&batch, "time").unwrap(), [1.25, 1.5, 1.75]);
    assert_eq!(columns::numbers(&batch, "EEG Cz").unwrap(), [5.0 * 0.1, 6.0 * 0.1, 7.0 * 0.1]);
    assert_eq!(rows.bounds(0, 5..8), Some((1.25, 1.75)));
    assert_eq!(rows.bounds(1, 5..8), None);
    let slow = document.rows("signals@1Hz").unwrap().read(&[0, 1], 0..3).unwrap();
    assert_eq!(columns::numbers(&slow, "Resp").unwrap(), [0.0, -0.1, -0.2]);
    let table = document.rows("channels").unwrap();
    let batch = table.read(&(0..10).collect::<Vec<_>>(), 0..2).unwrap();
    assert_eq!(columns::texts(&batch, "transducer").unwrap(), ["AgAgCl", "AgAgCl"]);
    assert_eq!(columns::numbers(&batch, "digital_minimum").unwrap(), [-1000.0, -1000.0]);
    let recording = signals.recording(Format::Edf, "s", &[1, 0]).unwrap();
    assert_eq!(recording.values(1, 3..6), [3.0 * 0.1, 4.0 * 0.1, 5.0 * 0.1]);
    assert!(document.rows("nothing").unwrap_err().to_string().contains("there are `signals@1Hz`, `channels`"));
}

#[test]
fn annotations_become_events_on_the_clock_of_the_file() {
    let plus = |bdf: bool| {
        let label = if bdf { "BDF Annotations" } else { "EDF Annotations" };
        let mut edf = Edf::new(bdf, vec![signal("Cz", 2), annotations(label, 30), annotations(label, 30)]);
        edf.reserved = if bdf { "BDF+C" } else { "EDF+C" };
        edf.records = "2";
        edf.patient = b"P7 F 02-MAY-1951 Jane_Doe left";
        edf.recording = "Startdate 02-MAR-2002 PSG-1234/2002 NN Telemetry03";
        let first = tal(bdf, b"+0.25\x14\x14\0+1\x152.5\x14T\xc3\xb6ne\x14two\x14\0", 30);
        let second = tal(bdf, b"+1.25\x14\x14\0", 30);
        let more = tal(bdf, b"+0.5\x14sp\xefke@@Cz\x14\0what", 30);
        edf.file(&[vec![vec![-5, 5], first, more], vec![vec![6, 7], second, tal(bdf, b"", 30)]])
    };
    for bdf in [false, true] {
        let document = read(plus(bdf));
        let contents = document.contents();
        assert_eq!(contents.version, if bdf { "BDF+C" } else { "EDF+C" });
        let facts: Vec<(&str, &str)> = contents.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            facts,
            [
                ("administration", "PSG-1234/2002"),
                ("birth_date", "02-MAY-1951"),
                ("device", "Telemetry03"),
                ("name", "Jane Doe"),
                ("patient_notes", "left"),
                ("sex", "F"),
                ("start", "2002-03-02T16:15:07"),
                ("subject", "P7"),
                ("technician", "NN"),
            ]
        );
        assert_eq!(damage(&document), ["1 pieces of the annotation channels are no annotations and are left out"]);
        let events = document.events("").unwrap();
        assert_eq!(events.times(), [1.0, 1.0, 0.5]);
        assert_eq!(events.labels(), ["Töne", "two", "spïke"]);
        assert_eq!(events.table().texts("channel").unwrap(), ["", "", "Cz"]);
        let durations = events.table().numbers("duration").unwrap();
        assert_eq!((durations[0], durations[1]), (2.5, 2.5));
        assert!(durations[2].is_nan());
        let signals = document.signals("").unwrap();
        assert_eq!(signals.channels().len(), 1);
        assert_eq!(signals.channels()[0].time_of(0), 0.25);
        assert_eq!(values(&document, 0, 0..4), [-0.5, 0.5, 6.0 * 0.1, 7.0 * 0.1]);
    }
}

#[test]
fn discontinuous_records_are_stretches() {
    let mut edf = Edf::new(false, vec![signal("Cz", 4), annotations("EDF Annotations", 10)]);
    edf.reserved = "EDF+D";
    edf.duration = "0.5";
    edf.records = "5";
    let record = |value: i32, list: &[u8]| vec![vec![value; 4], tal(false, list, 10)];
    let bytes = edf.file(&[
        record(1, b"+0\x14\x14\0"),
        record(2, b"+0.5\x14\x14\0"),
        record(3, b"+10\x14\x14\0"),
        record(4, b""),
        record(5, b"+3\x14\x14\0"),
    ]);
    let document = read(bytes);
    let signals = document.signals("").unwrap();
    let stretches: Vec<(u64, f64)> = signals.channels()[0].stretches.iter().map(|own| (own.first, own.time)).collect();
    assert_eq!(stretches, [(0, 0.0), (8, 10.0)]);
    let rows = document.rows("").unwrap();
    let times = columns::numbers(&rows.read(&[0], 6..10).unwrap(), "time").unwrap();
    assert_eq!(times, [0.75, 0.875, 10.0, 10.125]);
    assert_eq!(rows.bounds(0, 6..10), Some((0.75, 10.125)));
    assert_eq!(
        damage(&document),
        [
            "1 data records do not say when they begin; they are taken to follow the one before",
            "1 data records say that they begin before the one ahead of them; they are taken to follow it",
        ]
    );
    // The same file said to be continuous has one stretch.
    let mut other = edf.clone();
    other.reserved = "EDF+C";
    let document = read(other.file(&[record(1, b"+0\x14\x14\0"), record(2, b"+10\x14\x14\0")]));
    assert_eq!(document.signals("").unwrap().channels()[0].stretches.len(), 1);
}

#[test]
fn bdf_has_three_bytes_a_sample_and_triggers() {
    let mut status = signal("Status", 6);
    status.limits = ["-8388608", "8388607", "-8388608", "8388607"];
    let mut edf = Edf::new(true, vec![signal("A1", 3), status]);
    edf.records = "2";
    let high = 1 << 20;
    let bytes = edf.file(&[
        vec![vec![-8_388_608, 8_388_607, -1], vec![high | 3, high | 3, 0, 5, 5, 7]],
        vec![vec![1, 2, 3], vec![0, 65_535, 65_535, 1, -1, 0]],
    ]);
    let document = read(bytes);
    assert_eq!(document.contents().format, Format::Bdf);
    assert_eq!(document.signals("").unwrap().stored(0).unwrap(), Samples::I32(vec![-8_388_608, 8_388_607, -1, 1, 2, 3].into()));
    assert_eq!(
        document.contents().items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(),
        ["signals", "signals@3Hz", "triggers", "channels"]
    );
    for path in ["", "triggers"] {
        let events = document.events(path).unwrap();
        assert_eq!(events.labels(), ["5", "7", "65535", "65535"]);
        assert_eq!(events.table().integers("sample").unwrap(), [3, 5, 7, 10]);
        assert_eq!(events.times(), [0.5, 5.0 / 6.0, 7.0 / 6.0, 10.0 / 6.0]);
    }
    assert_eq!(document.rows("triggers").unwrap().count(), 4);
}

#[test]
fn oddities_are_read_and_noted() {
    let notes = |edf: &Edf, records: &[Vec<Vec<i32>>], rest: &[u8]| {
        let mut bytes = edf.file(records);
        bytes.extend_from_slice(rest);
        let document = read(bytes);
        (damage(&document).iter().chain(&document.contents().notes).cloned().collect::<Vec<_>>().join("; "), document)
    };
    let one = vec![vec![vec![1, 2]], vec![vec![3, 4]]];
    let plain = Edf { records: "2", ..Edf::new(false, vec![signal("Cz", 2)]) };
    let (note, _) = notes(&Edf { records: "-1", ..plain.clone() }, &one, b"");
    assert_eq!(note, "the header does not count the data records (-1); the file holds 2");
    let (note, document) = notes(&Edf { records: "9", ..plain.clone() }, &one, b"\0");
    assert_eq!(note, "the file ends in data record 3, the header (byte 236) counts 9; 2 are read");
    assert_eq!(document.signals("").unwrap().samples(0), 4);
    let (note, document) =
        notes(&Edf { header_bytes: Some("1024"), duration: "0", start: ["1.1.1", "x"], recording: "", ..plain.clone() }, &one, b"");
    assert_eq!(
        note,
        "the header gives its length as `1024` bytes; with 1 signals it is 512, which is taken; \
         the header says that a data record lasts 0 s; 1 s is taken, as MNE does"
    );
    assert_eq!(document.contents().facts.get("start").map(String::as_str), Some("2001-01-01T00:00:00"));
    let (note, _) = notes(&Edf { start: ["99.99.99", "00.00.00"], recording: "", ..plain.clone() }, &one, b"");
    assert_eq!(note, "the start is `99.99.99` `00.00.00`, no date and time that can be read");
    // One label twice, no samples, no scale, a comma, the micro sign of two code pages.
    let mut signals = vec![signal("Cz", 2), signal("Cz", 2), signal("gone", 0), signal("flat", 2)];
    signals[0].limits = ["-0,5", "0,5", "-10", "10"];
    signals[0].unit = b"\xb5V";
    signals[1].unit = b"\x83\xcaV";
    signals[3].limits = ["5", "5", "-10", "10"];
    let (note, document) =
        notes(&Edf { records: "1", ..Edf::new(false, signals) }, &[vec![vec![10, -10], vec![1, 1], vec![], vec![7, 8]]], b"");
    assert_eq!(
        note,
        "signal `gone` has no samples and is left out; \
         signal `flat` has no scale (physical 5 to 5, digital -10 to 10); its values are the stored numbers; \
         several signals have one label; they are told apart by `-0`, `-1`, …"
    );
    let signals = document.signals("").unwrap();
    assert_eq!(signals.channels().iter().map(|own| own.name.as_str()).collect::<Vec<_>>(), ["Cz-0", "Cz-1", "flat"]);
    assert_eq!(signals.channels().iter().map(|own| own.unit.as_str()).collect::<Vec<_>>(), ["µV", "µV", "uV"]);
    assert_eq!(values(&document, 0, 0..2), [0.5, -0.5]);
    assert_eq!(values(&document, 2, 0..2), [7.0, 8.0]);
}

#[test]
fn a_file_may_hold_annotations_only_or_nothing() {
    let mut edf = Edf::new(false, vec![annotations("EDF Annotations", 20)]);
    (edf.reserved, edf.records, edf.duration) = ("EDF+C", "1", "0");
    let document = read(edf.file(&[vec![tal(false, b"+0\x14\x14\0+30\x1530\x14Sleep stage W\x14\0", 20)]]));
    assert_eq!(document.contents().items.len(), 1);
    assert_eq!(document.events("").unwrap().labels(), ["Sleep stage W"]);
    assert_eq!(
        document.signals("").err().unwrap().to_string(),
        "EDF: the file: there is no recording in the file; `neuroflow inspect` shows what is in it"
    );
    let document = read(Edf { records: "0", ..Edf::new(false, vec![]) }.file(&[]));
    assert_eq!(document.contents().items, []);
    assert!(document.events("").is_err() && document.rows("").is_err());
}

#[test]
fn errors_say_where_and_what() {
    let (edf, records) = mixed();
    let whole = edf.file(&records);
    let with = |at: usize, text: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + text.len()].copy_from_slice(text);
        refused(bytes)
    };
    assert_eq!(
        with(0, b"PK"),
        "EDF: byte 0: the file begins neither with `0`, as EDF does, nor with 255 and `BIOSEMI`, as BDF does; \
         check that the path names an EDF or BDF file"
    );
    assert!(
        with(236, b"many    ").starts_with("EDF: byte 236: the number of data records is `many`, no number;"),
        "{}",
        with(236, b"many    ")
    );
    assert!(with(244, b"-2      ").starts_with("EDF: byte 244: a data record lasts -2 s;"));
    assert!(with(252, b"-1  ").starts_with("EDF: byte 252: the number of signals is `-1`;"));
    assert!(with(252, b"9999").starts_with("EDF: byte 256: bytes 256 to 2560000 were asked for, the file has"), "{}", with(252, b"9999"));
    // The physical minimum of the second signal: after 2 × (16 + 80 + 8) bytes and the first one's.
    assert!(with(256 + 208 + 8, b"x       ").starts_with("EDF: byte 472: the physical minimum of signal 2 (`Resp`) is `x`, no number;"));
    let samples = 256 + 2 * 216;
    assert!(with(samples, b"-4      ").starts_with(&format!("EDF: byte {samples}: signal 1 (`EEG Cz`) has -4 samples in a data record;")));
    assert_eq!(
        refused(vec![]),
        "EDF: byte 0: the file begins neither with `0`, as EDF does, nor with 255 and `BIOSEMI`, as BDF does; \
         check that the path names an EDF or BDF file"
    );
    assert!(refused(whole[..100].to_vec()).starts_with("EDF: byte 0: bytes 0 to 256 were asked for, the file has 100;"));
    let small = Limits { max_total_bytes: 16, ..Limits::default() };
    let document = open(source(whole), &small).unwrap();
    let error = document.signals("").unwrap().stored(0).unwrap_err().to_string();
    assert!(error.starts_with("EDF: the file: the samples asked for take 24 bytes in memory, more than the 16 allowed;"), "{error}");
}

/// Counts what is asked of it.
#[derive(Debug)]
struct Afar {
    bytes: Buffer,
    asked: Mutex<Vec<Range<u64>>>,
}

impl Source for Afar {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn bytes(&self, range: Range<u64>) -> std::io::Result<Cow<'_, [u8]>> {
        self.asked.lock().unwrap().push(range.clone());
        self.bytes.bytes(range).map(|bytes| Cow::Owned(bytes.into_owned()))
    }
}

#[test]
fn a_stretch_of_time_reads_only_its_records() {
    let edf = Edf { records: "100", ..Edf::new(false, vec![signal("Cz", 1000), signal("Pz", 1000)]) };
    let records: Vec<Vec<Vec<i32>>> = (0..100).map(|record| vec![vec![record; 1000], vec![-record; 1000]]).collect();
    let afar = Arc::new(Afar { bytes: Buffer::from_vec(edf.file(&records)), asked: Mutex::default() });
    let document = open(Arc::clone(&afar) as Arc<dyn Source>, &Limits::default()).unwrap();
    let asked = std::mem::take(&mut *afar.asked.lock().unwrap());
    assert!(asked.iter().all(|range| range.end <= 768), "{asked:?}");
    let rows = document.rows("").unwrap();
    let batch = rows.read(&[0, 2], 41_500..42_500).unwrap();
    assert_eq!(columns::numbers(&batch, "time").unwrap()[0], 41.5);
    assert_eq!(columns::numbers(&batch, "Pz").unwrap()[499..501], [-4.1000000000000005, -4.2]);
    let asked = std::mem::take(&mut *afar.asked.lock().unwrap());
    assert!(asked.len() == 1 && asked[0] == (768 + 41 * 4000..768 + 43 * 4000), "{asked:?}");
}
