//! Files of the field from end to end: looked into, read by pipelines, asked in SQL, fetched from afar, written.

use crate::support::{Place, Said, python, said, shared_data};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[track_caller]
fn inspect(place: &Place, arguments: &[&str]) -> Said {
    place.run(&[&["inspect"], arguments].concat())
}

/// Two channels of ten seconds at 100 Hz as EDF+, with a mark every second: `T1` and `T2` in turn. During `T2`, the first channel swings wider.
pub fn edf() -> Vec<u8> {
    edf_of(10, true)
}

/// The same of so many seconds, with marks or without.
pub fn edf_of(seconds: usize, marked: bool) -> Vec<u8> {
    let field = |text: &str, width: usize| format!("{text:<width$}");
    // Label, unit, physical and digital range, samples in a record.
    type Signal<'a> = (&'a str, &'a str, [&'a str; 4], usize);
    let signals: [Signal; 3] = [
        ("EEG C3", "uV", ["-500", "500", "-2048", "2047"], 100),
        ("EEG C4", "uV", ["-500", "500", "-2048", "2047"], 100),
        ("EDF Annotations", "", ["-1", "1", "-32768", "32767"], 20),
    ];
    let signals = &signals[..if marked { 3 } else { 2 }];
    let (kind, length) = (if marked { "EDF+C" } else { "" }, 256 * (signals.len() + 1));
    let mut head = field("0", 8) + &field("X X X X", 80) + &field("Startdate 02-MAR-2026 X X X", 80) + "02.03.2610.00.00";
    head += &(field(&length.to_string(), 8) + &field(kind, 44) + &field(&seconds.to_string(), 8) + &field("1", 8));
    head += &field(&signals.len().to_string(), 4);
    let columns: [(usize, fn(&Signal) -> String); 10] = [
        (16, |signal| signal.0.into()),
        (80, |_| String::new()),
        (8, |signal| signal.1.into()),
        (8, |signal| signal.2[0].into()),
        (8, |signal| signal.2[1].into()),
        (8, |signal| signal.2[2].into()),
        (8, |signal| signal.2[3].into()),
        (80, |_| String::new()),
        (8, |signal| signal.3.to_string()),
        (32, |_| String::new()),
    ];
    for (width, of) in columns {
        signals.iter().for_each(|signal| head += &field(&of(signal), width));
    }
    let mut bytes = head.into_bytes();
    for second in 0..seconds {
        for channel in 0..2usize {
            for sample in 0..100usize {
                let wide = if second % 2 == 1 && channel == 0 { 900.0 } else { 100.0 };
                let phase = (sample as f64 / 100.0 * 10.0 + (second * 7 + channel * 3) as f64 * 0.37) * std::f64::consts::TAU;
                bytes.extend(((wide * phase.sin()).round() as i16).to_le_bytes());
            }
        }
        if !marked {
            continue;
        }
        let mut marks = format!("+{second}\x14\x14\0+{second}\x151\x14T{}\x14\0", 1 + second % 2).into_bytes();
        marks.resize(40, 0);
        bytes.extend(marks);
    }
    bytes
}

/// A small file that examples read.
pub fn sample(name: &str) -> Vec<u8> {
    match name {
        "run.edf" => edf(),
        "spikes.txt" => {
            (0..40).map(|spike| format!("{}\t{}\n", ["a", "b"][spike % 2], spike as f64 * 12.5)).collect::<String>().into_bytes()
        }
        "cues.csv" => b"when,what,block\n0.5,go,1\n1.5,stop,1\n2.25,go,2\n".to_vec(),
        "units.csv" => b"unit,area,rate\n1,V1,2.5\n2,LM,0.5\n3,V1,7\n".to_vec(),
        "volume.npy" => neuroflow_data::formats::npy::write_npy_f64(&[4, 3, 2], &(0..24).map(f64::from).collect::<Vec<_>>()).unwrap(),
        "square.gml" => {
            let mut text = "graph [\n".to_owned();
            (0..6).for_each(|node| text += &format!("  node [ id {node} label \"n{node}\" ]\n"));
            for (source, target) in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)] {
                text += &format!("  edge [ source {source} target {target} weight 2 ]\n");
            }
            (text + "]\n").into_bytes()
        }
        other => panic!("there is no sample {other}"),
    }
}

const PIPELINE: &str = r#"pipeline small "Two rhythms"
input run = edf("run.edf")
eeg = ingest.recording(run)
cues = ingest.events(run)
trials = ingest.epoch(eeg, cues, window = 0 s .. 1 s)
seconds = sql("select label, count(*) as n from cues group by label order by label", cues = cues)
loud = sql("select max(\"EEG C3\") as most from run.signals where time >= 3 and time < 4", run = run)
expect loud["most"] > 200   "the swing is wide during T2"
report small_report { trials, seconds, loud }
"#;

#[test]
fn a_recording_is_looked_into_and_read() {
    let place = Place::new();
    place.write("run.edf", edf());
    let looked = inspect(&place, &["run.edf"]).exits(0);
    looked
        .says("run.edf: EDF+C")
        .says("recording, 2 channels × 1,000 samples at 100 Hz, 0 s to 9.99 s, uV")
        .says("T1 × 5, T2 × 5")
        .says("input run = edf(\"run.edf\")");
    inspect(&place, &["run.edf", "signals", "--rows", "2"]).exits(0).says("time").says("EEG C4");
    inspect(&place, &["run.edf", "sigals"]).exits(4).says("did you mean `signals`?");
    let asked = inspect(&place, &["run.edf", "--sql", "select count(*) as n from signals where time >= 2.5 and time < 3"]).exits(0);
    assert!(asked.out.lines().any(|line| line.trim() == "50"), "{}", asked.out);
    inspect(&place, &["run.edf", "--sql", "select label, time from annotations where label = 'T2'", "-o", "t2.csv"])
        .exits(0)
        .says("5 rows");
    assert_eq!(std::fs::read_to_string(place.path().join("t2.csv")).unwrap().lines().count(), 6);
    let told: serde_json::Value = serde_json::from_str(&inspect(&place, &["run.edf", "--json"]).exits(0).out).unwrap();
    assert!(told["items"].as_array().unwrap().iter().any(|item| item["path"] == "annotations" && item["is"]["count"] == 10), "{told}");
    inspect(&place, &["run.edf", "--html", "run.html"]).exits(0);
    let page = std::fs::read_to_string(place.path().join("run.html")).unwrap();
    assert!(!page.contains(">Scores<") && !page.contains(">Graph<"), "headlines with nothing below them");
    assert!(page.contains("EEG C3") && page.contains("<svg"), "{}", page.len());
}

/// The small NWB file that the readers' tests carry.
fn nwb() -> Vec<u8> {
    let packed = include_bytes!("../formats/tests/files/small.nwb.gz");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_recording_of_several_files_says_when_it_began_in_nwb_too() {
    let place = Place::new();
    let header = "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=a.eeg\nMarkerFile=a.vmrk\nDataFormat=BINARY\n\
                  DataOrientation=MULTIPLEXED\nNumberOfChannels=1\nSamplingInterval=10000\n[Binary Infos]\nBinaryFormat=INT_16\n\
                  [Channel Infos]\nCh1=Cz,,0.5,µV\n";
    place.write("a.vhdr", header);
    let markers = "Brain Vision Data Exchange Marker File, Version 1.0\n[Marker Infos]\nMk1=New Segment,,1,1,0,20201231235959123456\n";
    place.write("a.vmrk", markers);
    place.write("a.eeg", [1, 0, 2, 0, 3, 0, 4, 0]);
    place.write("a.nf", "pipeline a \"Once\"\ninput a = brainvision(\"a.vhdr\")\neeg = ingest.recording(a)\nreport a { eeg }\n");
    place.run(&["run", "a.nf"]).exits(0);
    place.run(&["get", "eeg", "-o", "eeg.nwb"]).exits(0);
    inspect(&place, &["eeg.nwb"]).exits(0).says("2020-12-31T23:59:59.123456Z");
}

#[test]
fn tables_in_folders_of_a_file_are_named_by_their_last_part_where_that_is_enough() {
    let place = Place::new();
    place.write("a.nwb", nwb());
    let write = |of: &str, table: &str| {
        let text = "pipeline names \"By short names\"\ninput a = nwb(\"a.nwb\")\nshort = ingest.table(a, of = \"OF\")\ncues = ingest.events(a, of = \"trials\")\n\
                    rows = sql(\"select count(*) as n from TABLE\", a = a)\nreport names { short, cues, rows }\n";
        place.write("names.nf", text.replace("OF", of).replace("TABLE", table));
    };
    write("trials", "a.trials");
    place.run(&["run", "names.nf"]).exits(0);
    place.run(&["get", "rows", "-o", "rows.csv"]).exits(0);
    assert_eq!(std::fs::read_to_string(place.path().join("rows.csv")).unwrap(), "n\n2\n");
    write("tirals", "a.trials");
    place.run(&["run", "names.nf"]).exits(3).says("there is no table of this name").says("`intervals/trials`").says("`acquisition/odd`");
    write("trials", "a.tirals");
    place.run(&["run", "names.nf"]).exits(3).says("there is no table `a.tirals`").says("`a.trials`");
}

#[test]
fn a_pipeline_reads_a_recording_its_events_and_rows_of_it() {
    let place = Place::new();
    place.write("run.edf", edf());
    place.write("small.nf", PIPELINE.replace("expect loud[\"most\"] > 200   \"the swing is wide during T2\"\n", ""));
    place.run(&["check", "small.nf"]).exits(0);
    place.run(&["run", "small.nf"]).exits(0);
    place.run(&["get", "loud", "-o", "loud.csv"]).exits(0);
    let loud = std::fs::read_to_string(place.path().join("loud.csv")).unwrap();
    let most: f64 = loud.lines().nth(1).unwrap().parse().unwrap();
    assert!((215.0..221.0).contains(&most), "{loud}");
    place.run(&["get", "seconds", "-o", "seconds.csv"]).exits(0);
    assert_eq!(std::fs::read_to_string(place.path().join("seconds.csv")).unwrap(), "label,n\nT1,5\nT2,5\n");
    place.run(&["get", "eeg", "-o", "earlier.nwb"]).exits(0);
    // Once more: nothing runs.
    place.run(&["run", "small.nf"]).exits(0).says("0 tasks ran");
    // What is written as a file of the field is read again. Nothing of the run is in it.
    place.run(&["get", "eeg", "-o", "eeg.nwb"]).exits(0);
    inspect(&place, &["eeg.nwb"]).exits(0).says("NWB").says("2 channels × 1,000 samples at 100 Hz").says("2026-03-02T10:00:00Z");
    let written = |name: &str| std::fs::read(place.path().join(name)).unwrap();
    assert!(written("eeg.nwb") == written("earlier.nwb"), "another run's file of the same result");
    place.run(&["get", "trials", "-o", "trials.nwb"]).exits(0);
    inspect(&place, &["trials.nwb"]).exits(0).says("2026-03-02T10:00:00Z");
    // An array has no moment at which it began.
    place.write("volume.npy", sample("volume.npy"));
    place.write("v.nf", "pipeline v \"V\"\ninput same = file(\"volume.npy\")\nvolume = ingest.array(same)\n");
    place.run(&["run", "v.nf"]).exits(0);
    place.run(&["get", "volume", "-o", "volume.nwb"]).exits(0);
    inspect(&place, &["volume.nwb"]).exits(0).says("1970-01-01T00:00:00Z").says("when the session began is not known");
}

#[test]
fn a_damaged_file_says_where_and_the_next_alternative_is_taken() {
    let place = Place::new();
    let whole = edf();
    place.write("cut.edf", &whole[..700]);
    place.write("run.edf", &whole);
    place.write("text.edf", "this is no recording");
    inspect(&place, &["cut.edf"]).exits(4).says("cut.edf: EDF: byte").says("copy or download it again");
    inspect(&place, &["text.edf"]).exits(4).says("does not say of what");
    inspect(&place, &["gone.edf"]).exits(4).says("gone.edf");
    let text = "pipeline a \"A\"\ninput run = edf(\"cut.edf\")\ncues = ingest.events(run)\n";
    place.write("a.nf", text);
    place.run(&["run", "a.nf"]).exits(4).says("cut.edf").says("EDF: byte");
    place.write("a.nf", text.replace("edf(\"cut.edf\")", "edf(\"cut.edf\") or edf(\"run.edf\")"));
    place.run(&["run", "a.nf"]).exits(0);
    // Another file than the one that the pipeline names by its digest.
    place.write("a.nf", text.replace("edf(\"cut.edf\")", &format!("edf(\"run.edf\", digest = \"sha256:{}\")", "0".repeat(64))));
    place.run(&["run", "a.nf"]).exits(4).says("digest");
    place.write("a.nf", text.replace("edf(\"cut.edf\")", "edf(\"run.edf\", digest = \"md5:1\")"));
    place.run(&["run", "a.nf"]).exits(4).says("sha256:");
    place.write("a.nf", text.replace("ingest.events(run)", "ingest.spikes(run)").replace("cut.edf", "run.edf"));
    place.run(&["run", "a.nf"]).exits(3).says("there are no spikes in the file");
}

#[test]
fn a_recording_that_was_cut_short_is_read_when_that_is_asked_for() {
    let place = Place::new();
    let whole = edf();
    place.write("run.edf", &whole);
    inspect(&place, &["run.edf", "--check"]).exits(0).says("run.edf: EDF+C, ").says("whole");
    // The header counts ten seconds; in the seventh the copy broke off.
    let second = (whole.len() - 1024) / 10;
    place.write("run.edf", &whole[..1024 + 6 * second + 50]);
    let looked = inspect(&place, &["run.edf"]).exits(4);
    looked
        .says("600 samples")
        .says("run.edf: EDF: byte")
        .says("the file ends in data record 7, the header (byte 236) counts 10; 6 are read");
    inspect(&place, &["run.edf", "--check"]).exits(4).says("data record 7").says("damaged = accept");
    let told: serde_json::Value = serde_json::from_str(&inspect(&place, &["run.edf", "--json"]).exits(4).out).unwrap();
    assert!(told["damage"][0].as_str().unwrap().contains("data record 7"), "{told}");
    let text = "pipeline cut \"Cut\"\ninput run = edf(\"run.edf\")\neeg = ingest.recording(run)\ncues = ingest.events(run)\n";
    place.write("cut.nf", text);
    place.run(&["run", "cut.nf"]).exits(3).says("the file ends in data record 7").says("damaged = accept");
    place.write("cut.nf", text.replace("(run)", "(run, damaged = accept)"));
    place.run(&["run", "cut.nf"]).exits(0);
    place.run(&["get", "cues", "-o", "cues.csv"]).exits(0);
    assert_eq!(std::fs::read_to_string(place.path().join("cues.csv")).unwrap().lines().count(), 7);
}

/// A tree of two subjects, whose recordings name what lies beside them.
fn tree(place: &Place) {
    place.write("set/dataset_description.json", r#"{"Name": "two", "BIDSVersion": "1.10.0", "DatasetType": "raw"}"#);
    place.write("set/participants.tsv", "participant_id\tage\nsub-01\t30\nsub-02\t31\n");
    place.write(
        "set/task-rest_eeg.json",
        r#"{"TaskName": "rest", "SamplingFrequency": 100, "PowerLineFrequency": 50, "EEGReference": "Cz"}"#,
    );
    for subject in ["01", "02"] {
        let stem = format!("sub-{subject}_task-rest");
        place.write(&format!("set/sub-{subject}/eeg/{stem}_eeg.edf"), edf());
        place.write(
            &format!("set/sub-{subject}/eeg/{stem}_events.tsv"),
            format!("onset\tduration\ttrial_type\n1\t1\tgo{subject}\n3\t1\tstop\n"),
        );
    }
}

#[test]
fn a_bids_tree_is_a_family_of_recordings_with_what_the_tree_says() {
    let place = Place::new();
    tree(&place);
    inspect(&place, &["set"])
        .exits(0)
        .says("checked against BIDS: ")
        .says("BIDS")
        .says("participants.tsv")
        .says("input set = bids(\"set\", subject = all)");
    inspect(&place, &["set", "--sql", "select count(*) as n from files where suffix = 'eeg' and extension = '.edf'"]).exits(0).says("2");
    let text = "pipeline b \"B\"\ninput runs = bids(\"set\", task = \"rest\", subject = all)\nfor run in runs {\n  cues = ingest.events(runs[run])\n  \
                eeg = ingest.recording(runs[run])\n}\nall_cues = sql(\"select run, label from cues order by run, label\", cues = gather(cues))\n";
    place.write("b.nf", text);
    place.run(&["run", "b.nf"]).exits(0);
    place.run(&["get", "all_cues", "-o", "cues.csv"]).exits(0);
    let cues = std::fs::read_to_string(place.path().join("cues.csv")).unwrap();
    assert!(cues.contains("go01") && cues.contains("go02") && cues.lines().count() == 5, "{cues}");
    place.run(&["run", "b.nf"]).exits(0).says("0 tasks ran");
    // A sidecar that changes makes its own recording anew, and no other.
    place.write("set/sub-02/eeg/sub-02_task-rest_events.tsv", "onset\tduration\ttrial_type\n2\t1\tgo\n");
    place.run(&["run", "b.nf"]).exits(0).says("3 tasks ran");
    place.write("b.nf", text.replace("subject = all", "subject = \"07\""));
    place.run(&["run", "b.nf"]).exits(4).says("07").says("01");
    place.write("b.nf", text.replace("task =", "tsk ="));
    place.run(&["run", "b.nf"]).exits(4).says("tsk");
}

/// Serves one file, with ranges and an entity tag; gives its address and a count of the bytes that were sent.
fn serve(content: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/data/run.edf", listener.local_addr().unwrap());
    let (sent, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(content));
    let told = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (content, sent) = (Arc::clone(&counted), Arc::clone(&sent));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let (mut range, mut is_head, mut line) = (None, false, String::new());
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    is_head |= line.starts_with("HEAD");
                    loop {
                        let mut header = String::new();
                        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                            break;
                        }
                        if let Some(value) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                            let (start, end) = value.trim().split_once('-').unwrap();
                            let end = end.parse::<usize>().map_or(content.len(), |end| (end + 1).min(content.len()));
                            range = Some(start.parse::<usize>().unwrap()..end);
                        }
                    }
                    let (status, part, more) = match range {
                        Some(range) => {
                            let told = format!("Content-Range: bytes {}-{}/{}\r\n", range.start, range.end - 1, content.len());
                            ("206 Partial Content", &content[range], told)
                        }
                        None => ("200 OK", &content[..], String::new()),
                    };
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"one\"\r\nAccept-Ranges: bytes\r\n{more}\r\n",
                        part.len()
                    );
                    let body: &[u8] = if is_head { &[] } else { part };
                    sent.fetch_add(body.len(), Ordering::SeqCst);
                    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, told)
}

#[test]
fn a_file_from_afar_is_fetched_once_and_in_parts_when_it_is_only_looked_into() {
    let place = Place::new();
    // Long enough that a look is far less than all of it.
    let (address, sent) = serve(edf_of(60_000, false));
    let online = |arguments: &[&str]| said(place.online(arguments).output().unwrap());
    online(&["inspect", &address, "--sql", "select count(*) as n from signals where time < 1"]).exits(0).says("100");
    let looked = sent.load(Ordering::SeqCst);
    assert!(looked < 8 << 20, "{looked} bytes for a look");
    place.write("a.nf", format!("pipeline a \"A\"\ninput run = edf(\"{address}\")\neeg = ingest.recording(run)\n"));
    online(&["run", "a.nf"]).exits(0);
    let fetched = sent.load(Ordering::SeqCst);
    online(&["run", "a.nf"]).exits(0).says("0 tasks ran");
    assert!(sent.load(Ordering::SeqCst) - fetched < 4 << 20, "fetched again");
    // Without a network, what the address had is not known to be there still.
    place.run(&["inspect", "https://example.org/x.edf"]).exits(4).says("network is off");
    // A store of Zarr is a folder, which such an address can't list.
    for arguments in [vec!["inspect", "https://example.org/x.zarr"], vec!["inspect", "https://example.org/x", "--as", "zarr"]] {
        place.run(&arguments).exits(4).says("can't be listed").says("such as stores of Zarr, are listed at `s3://`");
    }
}

/// Imagined movement of one subject (PhysioNet): the trials of two runs, told apart by their rhythms.
#[test]
fn real_eeg_becomes_trials_that_can_be_told_apart() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    for run in ["S001R06.edf", "S001R10.edf"] {
        std::fs::copy(data.join("eeg-physionet-mi-s001").join(run), place.path().join(run)).unwrap();
    }
    place.write(
        "eeg.nf",
        r#"pipeline eeg "Imagined fists against feet"
input runs = edf("S001R*.edf")
for run in runs {
  signals = ingest.recording(runs[run])
  cues = ingest.events(runs[run])
  trials = ingest.epoch(signals, cues, window = 1 s .. 2 s, label = ["T1", "T2"], high_pass = 7 Hz, low_pass = 30 Hz, edges = drop)
  imagery = decode.eeg(trials, target = "label", model = csp(components = 4), folds = 5)
    with control = shuffle("label", n = 50), seed = 3
}
expect max(imagery.accuracy) > 0.7   "imagined movement of fists and feet"
report eeg_report { imagery }
"#,
    );
    place.run(&["check", "eeg.nf"]).exits(0);
    place.run(&["run", "eeg.nf"]).exits(0).says("accuracy");
}

/// Every real file is looked into; none is refused but those of which that is known.
#[test]
fn every_real_file_opens() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let mut waiting = vec![data.clone()];
    let (mut looked, mut refused) = (0, Vec::new());
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_known = [
                ".edf",
                ".bdf",
                ".gdf",
                ".nwb",
                ".h5",
                ".npy",
                ".npz",
                ".nii.gz",
                ".xls",
                ".xlsx",
                ".gml",
                ".vhdr",
                ".onnx",
                ".safetensors",
            ]
            .iter()
            .any(|ending| name.ends_with(ending));
            let is_known =
                is_known || name.contains("ubyte.gz") || name.ends_with(".jpg") || name == "spikes.mat" || name.ends_with("Tracking");
            if !is_known {
                continue;
            }
            looked += 1;
            let said = place.run(&["inspect", path.to_str().unwrap()]);
            let checked = place.run(&["inspect", path.to_str().unwrap(), "--check"]);
            if checked.code != 0 {
                refused.push(format!("{name}: --check: {}{}", checked.out, checked.err));
            }
            if said.code != 0 || !said.out.contains("in a pipeline:") || said.out.contains("can't be read") {
                refused.push(format!("{}: {}{}", name, said.out, said.err));
            }
        }
    }
    assert!(looked > 60, "{looked}");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// What is written is opened by the reference packages.
#[test]
fn what_is_written_opens_in_the_reference_packages() {
    let Some(python) = python("formats", &["pynwb==4.2.0", "nibabel==5.4.2", "pyarrow==26.0.1", "numpy", "mne==1.13.2"]) else { return };
    let place = Place::new();
    place.write("run.edf", edf());
    place.write("small.nf", PIPELINE.replace("expect loud[\"most\"] > 200   \"the swing is wide during T2\"\n", ""));
    place.run(&["run", "small.nf"]).exits(0);
    for (what, file) in [
        ("eeg", "eeg.nwb"),
        ("eeg", "eeg.vhdr"),
        ("cues", "cues.nwb"),
        ("trials", "trials.nwb"),
        ("seconds", "seconds.parquet"),
        ("seconds", "seconds.arrow"),
    ] {
        place.run(&["get", what, "-o", file]).exits(0);
    }
    place.run(&["get", "trials", "--as", "npy", "-o", "trials.npy"]).exits(0);
    place.run(&["get", "eeg", "--as", "brainvision", "-o", "eeg.raw"]).exits(4).says("NAME.vhdr");
    place.run(&["get", "cues", "-o", "cues.vhdr"]).exits(4).says("BrainVision holds recordings");
    place.write("volume.npy", sample("volume.npy"));
    place.write("v.nf", "pipeline v \"V\"\ninput same = file(\"volume.npy\")\nvolume = ingest.array(same)\n");
    place.run(&["run", "v.nf"]).exits(0);
    place.run(&["get", "volume", "-o", "volume.nii.gz"]).exits(0);
    place.write("look.py", LOOK);
    let looked = std::process::Command::new(Path::new(&python).join("python")).arg("look.py").current_dir(place.path()).output().unwrap();
    said(looked).exits(0).says("all is there");
}

const LOOK: &str = r#"
import mne, nibabel, numpy, pyarrow.parquet, pyarrow.ipc, pynwb, warnings
warnings.simplefilter("ignore")
for name in ["eeg.nwb", "cues.nwb", "trials.nwb"]:
    errors = pynwb.validate(path=name)
    errors = errors[0] if isinstance(errors, tuple) else errors
    assert not errors, (name, errors)
    with pynwb.NWBHDF5IO(name, "r") as io:
        file = io.read()
        assert file.identifier and file.file_create_date
        assert file.session_start_time.isoformat() == "2026-03-02T10:00:00+00:00", file.session_start_time
        provenance = file.processing["neuroflow"]["provenance"].to_dataframe() if "neuroflow" in file.processing else None
        assert provenance is not None and len(provenance) > 3, name
with pynwb.NWBHDF5IO("cues.nwb", "r") as io:
    cues = next(iter(io.read().intervals.values())).to_dataframe()
    assert list(cues.start_time) == [float(t) for t in range(10)], cues
table = pyarrow.parquet.read_table("seconds.parquet").to_pydict()
assert table == {"label": ["T1", "T2"], "n": [5, 5]}, table
with pyarrow.ipc.open_file("seconds.arrow") as file:
    assert file.read_all().to_pydict() == table
trials = numpy.load("trials.npy")
assert trials.shape == (10, 2, 100), trials.shape
assert numpy.array_equal(nibabel.load("volume.nii.gz").get_fdata(), numpy.load("volume.npy"))
run, copy = mne.io.read_raw_edf("run.edf", verbose="error"), mne.io.read_raw_brainvision("eeg.vhdr", verbose="error")
assert copy.ch_names == run.ch_names and copy.info["sfreq"] == run.info["sfreq"] and copy.n_times == run.n_times
assert numpy.allclose(copy.get_data(), run.get_data(), rtol=1e-6, atol=1e-12)
print("all is there")
"#;

#[test]
fn a_stream_of_bytes_is_read_to_its_end() {
    // The server of these tests is one of their own: it must give what it was given.
    let (address, _) = serve(vec![7; 1000]);
    let authority = address.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(authority).unwrap();
    stream.write_all(b"GET /data/run.edf HTTP/1.1\r\nRange: bytes=10-19\r\n\r\n").unwrap();
    let mut answer = [0; 200];
    let read = stream.read(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).contains("bytes 10-19/1000"));
}

/// The samples of a recording have a column of times, and are no events.
#[test]
fn a_recording_without_events_has_none() {
    let place = Place::new();
    place.write("run.vhdr", "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=run.eeg\nDataFormat=BINARY\nNumberOfChannels=1\nSamplingInterval=1000\n[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\nCh1=a,,1,uV\n");
    place.write("run.eeg", [0u8; 200]);
    place.write("none.nf", "pipeline none \"N\"\ninput run = brainvision(\"run.vhdr\")\ncues = ingest.events(run)\n");
    place.run(&["run", "none.nf"]).exits(3).says("events");
}

#[test]
fn a_step_that_reads_a_file_says_how_it_is_given_one() {
    let place = Place::new();
    place.write("t.csv", "a;b\n0,5;1\n");
    let pipeline =
        |reader: &str| format!("pipeline p \"P\"\ninput t = {reader}(\"t.csv\")\nx = ingest.table(t, decimal = \",\")\nreport r {{ x }}\n");
    place.write("p.nf", pipeline("csv"));
    place.run(&["check", "p.nf"]).exits(2).says("this is a Table").says("`file(\"…\")` gives `ingest.table` the file itself");
    place.write("p.nf", pipeline("file"));
    place.run(&["run", "p.nf"]).exits(0);
}
