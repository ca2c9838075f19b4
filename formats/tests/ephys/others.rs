//! GDF, BrainVision, spike text, positions, and the folders of Phy and suite2p.

use super::build::{GdfChannel, folder, gdf, npy, phy, positions, source, suite2p, vhdr, vmrk};
use neuroflow_data::columns;
use neuroflow_formats::spike_text::TimeUnit;
use neuroflow_formats::{
    Document, FormatError, Limits, brainvision, gdf as gdf_files, phy as phy_files, position_tracking, spike_text, suite2p as suite,
};

fn values(document: &dyn Document, path: &str, channel: usize) -> Vec<f64> {
    let mut values = Vec::new();
    document.signals(path).unwrap().read(channel, 0..u64::MAX, &mut values).unwrap();
    values
}

fn gdf_open(bytes: Vec<u8>) -> Result<neuroflow_formats::RecordedDocument, FormatError> {
    gdf_files::open(source(bytes), &Limits::default())
}

fn channel(kind: u32, values: &[&[u8]]) -> GdfChannel {
    let records = values.iter().map(|record| record.to_vec()).collect();
    GdfChannel { label: "Cz", unit: ("uV", 4275), kind, scale: [-50.0, 50.0, -100.0, 100.0], samples: 2, records }
}

#[test]
fn gdf_has_numbers_of_every_type() {
    let two = |one: &[u8], two: &[u8]| [one, two].concat();
    let cases: [(u32, Vec<u8>, [f64; 2]); 12] = [
        (1, two(&(-3i8).to_le_bytes(), &[5]), [-1.5, 2.5]),
        (2, two(&[200], &[5]), [100.0, 2.5]),
        (3, two(&(-300i16).to_le_bytes(), &5i16.to_le_bytes()), [-150.0, 2.5]),
        (4, two(&60_000u16.to_le_bytes(), &5u16.to_le_bytes()), [30_000.0, 2.5]),
        (5, two(&(-70_000i32).to_le_bytes(), &5i32.to_le_bytes()), [-35_000.0, 2.5]),
        (6, two(&4_000_000_000u32.to_le_bytes(), &5u32.to_le_bytes()), [2e9, 2.5]),
        (7, two(&(-8i64).to_le_bytes(), &5i64.to_le_bytes()), [-4.0, 2.5]),
        (8, two(&8u64.to_le_bytes(), &5u64.to_le_bytes()), [4.0, 2.5]),
        (16, two(&0.5f32.to_le_bytes(), &5f32.to_le_bytes()), [0.25, 2.5]),
        (17, two(&0.1f64.to_le_bytes(), &5f64.to_le_bytes()), [0.05, 2.5]),
        (279, two(&[0xfe, 0xff, 0xff], &[5, 0, 0]), [-1.0, 2.5]),
        (535, two(&[0xfe, 0xff, 0xff], &[5, 0, 0]), [8_388_607.0, 2.5]),
    ];
    for version in ["1.25", "2.10"] {
        for (kind, bytes, expected) in &cases {
            let document = gdf_open(gdf(version, (1, 4), 1, &[channel(*kind, &[bytes])], &[])).unwrap();
            assert_eq!(values(&document, "", 0), expected, "{kind}");
            let signals = document.signals("").unwrap();
            let own = &signals.channels()[0];
            assert_eq!((own.unit.as_str(), own.rate, own.role.as_str()), ("uV", 8.0, "eeg"));
            assert!(document.events("").is_err());
        }
    }
    let mixed = [channel(3, &[&[1, 0, 2, 0], &[3, 0, 4, 0]]), GdfChannel { samples: 1, ..channel(16, &[&[0; 4], &[0; 4]]) }];
    let document = gdf_open(gdf("2.20", (1, 1), -1, &mixed, &[])).unwrap();
    assert_eq!(
        document.contents().notes.join("; "),
        "the header does not count the data records; the file holds 2; several channels have one label; they are told apart by `-0`, `-1`, …"
    );
    assert_eq!(document.rows("signals@1Hz").unwrap().count(), 2);
    assert_eq!(document.contents().facts.get("start").map(String::as_str), Some("2020-11-24T12:00:00"));
    assert_eq!(document.contents().facts.get("hand").map(String::as_str), Some("right"));
    assert_eq!(document.contents().facts.get("name").map(String::as_str), Some("Jane"));
}

#[test]
fn gdf_has_events_with_and_without_durations() {
    let data = [channel(3, &[&[1, 0, 2, 0]])];
    let head = |version: &str, mode: u8, count: u32| -> Vec<u8> {
        if version < "1.94" {
            [&[mode, 2, 0, 0][..], &count.to_le_bytes()].concat()
        } else {
            [&[mode][..], &count.to_le_bytes()[..3], &2f32.to_le_bytes()].concat()
        }
    };
    for version in ["1.25", "1.93", "2.10"] {
        let mut short = head(version, 1, 2);
        short.extend([1u32.to_le_bytes(), 4u32.to_le_bytes()].concat());
        short.extend([769u16.to_le_bytes(), 770u16.to_le_bytes()].concat());
        let document = gdf_open(gdf(version, (1, 1), 1, &data, &short)).unwrap();
        let events = document.events("").unwrap();
        assert_eq!((events.times(), events.labels()), (vec![0.0, 1.5], vec!["769".into(), "770".into()]));
        assert!(events.table().numbers("duration").unwrap().iter().all(|own| own.is_nan()));
        let mut long = head(version, 3, 2);
        long.extend(&short[8..]);
        long.extend([0u16.to_le_bytes(), 1u16.to_le_bytes()].concat());
        long.extend([0u32.to_le_bytes(), 3u32.to_le_bytes()].concat());
        let document = gdf_open(gdf(version, (1, 1), 1, &data, &long)).unwrap();
        let events = document.events("events").unwrap();
        assert_eq!(events.table().numbers("duration").unwrap(), [0.0, 1.5]);
        assert_eq!(events.table().texts("channel").unwrap(), ["", "Cz"]);
        let error = gdf_open(gdf(version, (1, 1), 1, &data, &long[..20])).unwrap_err().to_string();
        assert!(error.starts_with("GDF: byte 520: an event table of 2 events takes 24 bytes, 12 are there;"), "{error}");
    }
    let odd = gdf_open(gdf("2.10", (1, 1), 1, &data, &[9; 12])).unwrap();
    assert_eq!(odd.contents().notes, ["12 bytes after the data records are no event table (mode 9) and are left out"]);
}

#[test]
fn gdf_errors_say_where() {
    let whole = gdf("2.10", (1, 1), 1, &[channel(3, &[&[1, 0, 2, 0]])], &[]);
    let error = |bytes: Vec<u8>| gdf_open(bytes).unwrap_err().to_string();
    assert_eq!(
        error(b"EDF".to_vec()),
        "GDF: byte 0: the file does not begin with `GDF` and a version from 1 to 3; check that the path names a GDF file"
    );
    assert!(error(whole[..300].to_vec()).starts_with("GDF: byte 252: the header of 1 channels takes 512 bytes, the file has 300;"));
    let mut other = whole.clone();
    other[256 + 220] = 99;
    assert!(error(other).starts_with("GDF: the file: channel 1 (`Cz`) has samples of type 99, which is not read;"));
    let mut other = whole.clone();
    other[256 + 219] = 0xff;
    assert!(error(other).starts_with("GDF: byte 472: channel 1 has -16777214 samples in a data record;"));
    let cut = gdf_open(whole[..514].to_vec()).unwrap();
    assert_eq!(crate::reading::damage(&cut), ["the file ends in data record 1, the header (byte 236) counts 1; 0 are read, and no events"]);
}

fn brain(common: &str, formats: &str, data: Vec<u8>, markers: &str) -> Result<neuroflow_formats::RecordedDocument, FormatError> {
    let files = folder(&[("sub/a.vhdr", vhdr(common, formats)), ("sub/a.eeg", data), ("sub/a.vmrk", vmrk(markers))]);
    brainvision::open(&files, "sub/a.vhdr", &Limits::default())
}

#[test]
fn brainvision_reads_every_layout_and_type() {
    let numbers = [1i16, -2, 3, 4, 5, 6];
    let all = |order: fn(f64) -> Vec<u8>| numbers.iter().flat_map(|&number| order(f64::from(number))).collect::<Vec<u8>>();
    let cases: [(&str, Vec<u8>); 6] = [
        ("BinaryFormat=INT_16", all(|number| (number as i16).to_le_bytes().to_vec())),
        ("BinaryFormat=INT_16\r\nUseBigEndianOrder=YES", all(|number| (number as i16).to_be_bytes().to_vec())),
        ("BinaryFormat=INT_32", all(|number| (number as i32).to_le_bytes().to_vec())),
        ("BinaryFormat=IEEE_FLOAT_32", all(|number| (number as f32).to_le_bytes().to_vec())),
        ("BinaryFormat=IEEE_FLOAT_64", all(|number| number.to_le_bytes().to_vec())),
        ("binaryformat=ieee_float_32\r\nUseBigEndianOrder=yes", all(|number| (number as f32).to_be_bytes().to_vec())),
    ];
    for (format, data) in cases {
        let formats = format!("[Binary Infos]\r\n{format}");
        let document = brain("DataOrientation=MULTIPLEXED", &formats, data.clone(), "").unwrap();
        assert_eq!(document.contents().notes, Vec::<String>::new(), "{format}");
        assert_eq!((values(&document, "", 0), values(&document, "", 1)), (vec![0.5, 1.5, 2.5], vec![-2.0, 4.0, 6.0]), "{format}");
        let document = brain("DataOrientation=VECTORIZED\r\nDataPoints=3", &formats, data, "").unwrap();
        assert_eq!((values(&document, "", 0), values(&document, "", 1)), (vec![0.5, -1.0, 1.5], vec![4.0, 5.0, 6.0]), "{format}");
        let signals = document.signals("signals").unwrap();
        let [one, two] = signals.channels() else { panic!() };
        assert_eq!((one.name.as_str(), one.unit.as_str(), one.rate, one.role.as_str()), ("Fz", "µV", 500.0, "eeg"));
        assert_eq!((two.name.as_str(), two.unit.as_str(), two.gain), ("A,B", "mV", 1.0));
    }
    let text = "x y\n1,5 2\n-3 4e1\n\n5 6\n";
    let formats = "[ASCII Infos]\nDecimalSymbol=,\nSkipLines=1\nSkipColumns=0";
    let document = brain("DataFormat=ASCII", formats, text.into(), "").unwrap();
    assert_eq!((values(&document, "", 0), values(&document, "", 1)), (vec![0.75, -1.5, 2.5], vec![2.0, 40.0, 6.0]));
    let document =
        brain("DataFormat=ASCII\nDataOrientation=VECTORIZED", "[ASCII Infos]\nSkipColumns=1", "Fz 1 2 3\nCz 4 5 6\n".into(), "").unwrap();
    assert_eq!((values(&document, "", 0), values(&document, "", 1)), (vec![0.5, 1.0, 1.5], vec![4.0, 5.0, 6.0]));
}

#[test]
fn brainvision_markers_and_segments() {
    let markers = "Mk1=New Segment,,1,1,0,20201124161507250000\r\n; remark\r\nMk2=Stimulus,S\\1 1,2,3,0\r\nMk3=Comment,x,3,,2\r\nMk4=oops\r\n\
        Mk5=New Segment,,4,1,0,20201124161517250000\r\nMk6=Response,R,5,1,0";
    let data = vec![0u8; 24];
    let document = brain("", "[Binary Infos]\nBinaryFormat=INT_16", data, markers).unwrap();
    assert_eq!(document.contents().facts.get("start").map(String::as_str), Some("2020-11-24T16:15:07.250000"));
    assert_eq!(crate::reading::damage(&document), ["`Mk4=oops` is no marker and is left out"]);
    let events = document.events("").unwrap();
    assert_eq!(events.labels(), ["New Segment/", "Stimulus/S, 1", "Comment/x", "New Segment/", "Response/R"]);
    // The second segment begins ten seconds after the first.
    assert_eq!(events.times(), [0.0, 0.002, 0.004, 10.0, 10.002]);
    assert_eq!(events.table().texts("channel").unwrap(), ["", "", "A,B", "", ""]);
    let durations = events.table().numbers("duration").unwrap();
    assert_eq!(durations[1], 3.0 / 500.0);
    assert!(durations[2].is_nan());
    let stretches = document.signals("").unwrap().channels()[0].stretches.iter().map(|own| (own.first, own.time)).collect::<Vec<_>>();
    assert_eq!(stretches, [(0, 0.0), (3, 10.0)]);
}

#[test]
fn brainvision_errors_name_line_and_file() {
    let error = |common: &str, formats: &str, data: Vec<u8>| brain(common, formats, data, "").unwrap_err().to_string();
    let binary = "[Binary Infos]\r\nBinaryFormat=INT_16";
    assert!(error("DataOrientation=SIDEWAYS", binary, vec![]).starts_with("BrainVision: line 8: the orientation `SIDEWAYS` is not known;"));
    assert!(
        error("", "[Binary Infos]\r\nBinaryFormat=INT_8", vec![])
            .starts_with("BrainVision: line 10: samples of type `INT_8` are not read;")
    );
    assert!(
        error("DataFormat=TIFF", binary, vec![]).starts_with("BrainVision: the file: the data format `TIFF` is neither BINARY nor ASCII;")
    );
    assert!(error("", "", vec![]).starts_with("BrainVision: the file: the header lacks `BinaryFormat` in [Binary Infos];"));
    assert!(
        error("DataType=FREQUENCYDOMAIN", binary, vec![]).starts_with("BrainVision: line 8: data of type `FREQUENCYDOMAIN` are not read;")
    );
    assert!(error("SamplingInterval=0", binary, vec![]).starts_with("BrainVision: line 8: `0` is no interval;"));
    let short = error("DataOrientation=VECTORIZED\r\nDataPoints=9", binary, vec![0; 8]);
    assert!(short.starts_with("BrainVision: byte 8: 2 channels of 9 samples are stated, 8 bytes are there;"), "{short}");
    for out in ["../../etc/passwd", "/etc/passwd", "http://host/a.eeg", "C:\\a.eeg"] {
        let text = error(&format!("DataFile={out}"), binary, vec![]);
        assert!(
            text.starts_with("BrainVision: line 8: `DataFile=")
                && text.contains("leads out of the folder; name a file in the header's folder"),
            "{text}"
        );
    }
    let files = folder(&[("a.vhdr", vhdr("", binary))]);
    assert!(brainvision::open(&files, "a.vhdr", &Limits::default()).unwrap_err().to_string().contains("there is no file `$b.eeg`"));
    assert!(brainvision::open(&files, "b.vhdr", &Limits::default()).unwrap_err().to_string().contains("there is no file `b.vhdr`"));
    let files = folder(&[("a.vhdr", b"something else".to_vec())]);
    assert!(
        brainvision::open(&files, "a.vhdr", &Limits::default())
            .unwrap_err()
            .to_string()
            .starts_with("BrainVision: line 1: the first line is not")
    );
    let ascii = error("DataFormat=ASCII", "[ASCII Infos]", b"1 2\n3 x\n".to_vec());
    assert!(ascii.starts_with("BrainVision: line 2, field 2: `x` is no number;"), "{ascii}");
    // A renamed recording is found by the header's name.
    let files = folder(&[("b.vhdr", vhdr("DataFile=old.eeg\r\nMarkerFile=old.vmrk", binary)), ("b.eeg", vec![0; 8])]);
    let document = brainvision::open(&files, "b.vhdr", &Limits::default()).unwrap();
    assert_eq!(document.contents().notes, ["`old.eeg` is not there; `b.eeg` is read in its place"]);
    let told = document.contents().whole().unwrap_err();
    assert_eq!(told.reason, "the file of markers, `old.vmrk`, is not there");
    assert!(told.help.contains("`damaged = accept`") && document.signals("").is_ok());
}

#[test]
fn spike_times_are_read_in_three_layouts() {
    let open = |text: &str, unit: TimeUnit| spike_text::open_with(source(text), unit, &Limits::default());
    let document = open("neuron\ttime\n10.0\t0.5\n2.0\t0.25\n2\t0.125\n10.0\t0.75\n", TimeUnit::Seconds).unwrap();
    let spikes = document.spikes("").unwrap();
    assert_eq!(spikes.names(), ["2", "10"]);
    assert_eq!((spikes.times(0), spikes.times(1)), (&[0.125, 0.25][..], &[0.5, 0.75][..]));
    assert_eq!(
        document.contents().notes,
        ["the times of 1 units were not in order and have been sorted", "the first line names the columns and is no spike"]
    );
    // Names say which column is which, and a unit is no fraction.
    for text in
        ["time,unit\n0.5,1\n0.7,2\n0.9,1\n", "time_s\tcluster_id\n0.5\t1\n0.7\t2\n0.9\t1\n", "cluster timestamp\n1 0.5\n2 0.7\n1 0.9\n"]
    {
        let spikes = open(text, TimeUnit::Seconds).unwrap().spikes("").unwrap();
        assert_eq!((spikes.names(), spikes.times(0)), (vec!["1".into(), "2".into()], &[0.5, 0.9][..]), "{text}");
    }
    for (text, line) in [("12.0 1\n14.5 1\n", 2), ("0.1 0.5\n1.2 3.4\n", 1)] {
        let error = open(text, TimeUnit::Seconds).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}, field 1: the first of two columns names the unit")), "{error}");
    }
    assert!(open("time timestamp\n1 2\n", TimeUnit::Seconds).unwrap_err().to_string().contains("both columns are called as times are"));
    let document = open("# a list\n1500\n\n3000\r\n", TimeUnit::Milliseconds);
    assert_eq!(document.unwrap().spikes("").unwrap().all_times(), [1.5, 3.0]);
    let spikes = open("100\n250\n", TimeUnit::Samples(200.0)).unwrap().spikes("").unwrap();
    assert_eq!((spikes.names(), spikes.all_times()), (vec!["1".into()], &[0.5, 1.25][..]));
    let blocks = "# call: 0\n# dB: 76.5\n10\n20\n# call: 1\n# dB: 80\n# call: 2\n# dB: 84\n30\n";
    let document = open(blocks, TimeUnit::Microseconds).unwrap();
    let spikes = document.spikes("spikes").unwrap();
    assert_eq!(spikes.names(), ["block 1", "block 2"]);
    assert_eq!(spikes.units().numbers("dB").unwrap(), [76.5, 84.0]);
    assert_eq!(spikes.times(0), [10.0 / 1e6, 20.0 / 1e6]);
    assert_eq!(document.rows("").unwrap().count(), 2);
    let error = |text: &str| open(text, TimeUnit::Seconds).unwrap_err().to_string();
    assert!(error("").starts_with("spike text: the file: there is no spike time in the text;"));
    assert!(error("1\n1 2\n").starts_with("spike text: line 2: the line has 2 fields, 1 as in the first are expected;"));
    assert!(error("1 2 3\n").starts_with("spike text: line 1: the line has 3 fields, 1 or 2 are expected;"));
    assert!(error("1 2\n1 x\n").starts_with("spike text: line 2, field 2: `x` is no time;"));
    assert!(error("1 inf\n").starts_with("spike text: line 1, field 2: `inf` is no time;"));
    assert!(open("1", TimeUnit::Samples(0.0)).unwrap_err().to_string().contains("0 samples a second were given"));
}

#[test]
fn positions_have_times_and_pixels() {
    let document = position_tracking::open(source(positions()), &Limits::default()).unwrap();
    assert_eq!(document.contents().facts.get("camera resolution").map(String::as_str), Some("640x480"));
    let rows = document.rows("").unwrap();
    let batch = rows.read(&[0, 1, 2], 1..9).unwrap();
    assert_eq!(columns::numbers(&batch, "time").unwrap(), [30_100.0 / 30_000.0, 1.5]);
    assert_eq!(columns::numbers(&batch, "xloc").unwrap(), [3.0, 65_535.0]);
    let error = |bytes: &[u8]| position_tracking::open(source(bytes), &Limits::default()).unwrap_err().to_string();
    assert!(error(b"x").starts_with("videoPositionTracking: byte 0: the file does not begin with `<Start settings>`;"));
    assert!(error(b"<Start settings>\nFields: <a uint8>").starts_with("videoPositionTracking: byte 34: the settings do not end"));
    assert!(error(b"<Start settings>\nFields: <a text>\n<End settings>\n").contains("the field `a` is of type `text`, which is not read"));
    assert!(error(b"<Start settings>\n<End settings>\n").contains("the settings have no line `Fields:`"));
}

#[test]
fn phy_folders_are_units_with_their_tables() {
    let document = phy_files::open(&folder(&phy()), "", &Limits::default()).unwrap();
    let spikes = document.spikes("").unwrap();
    assert_eq!(spikes.names(), ["2", "7"]);
    assert_eq!((spikes.times(0), spikes.times(1)), (&[4.0, 5.5][..], &[1.0, 2.0, 3.0][..]));
    assert_eq!(spikes.units().texts("group").unwrap(), ["good", ""]);
    assert_eq!(spikes.units().numbers("depth").unwrap(), [1.5, 2.5]);
    assert_eq!(
        document.contents().notes,
        [
            "1 lines of `params.py` are no plain settings and are left out; nothing in it is run",
            "the times of 1 units were not in order and have been sorted",
            "`cluster_group.tsv` has 1 clusters without spikes, which are left out",
        ]
    );
    let each = document.rows("each_spike").unwrap();
    let batch = each.read(&[0, 2, 4], 3..5).unwrap();
    assert_eq!(columns::numbers(&batch, "time").unwrap(), [4.0, 5.5]);
    assert_eq!(columns::numbers(&batch, "amplitude").unwrap(), [4.0, 5.5]);
    let part = document.tensor("templates", Some(&[1..2, 0..2, 0..1])).unwrap();
    assert_eq!((part.shape(), part.values()), (vec![1, 2, 1], &[3.0, 4.0][..]));
    let without = |name: &str| phy().into_iter().filter(|(own, _)| *own != name).collect::<Vec<_>>();
    let open = |files: &[(&str, Vec<u8>)]| phy_files::open(&folder(files), "", &Limits::default());
    // Without a rate there are units, and samples of spikes, but no times.
    let timeless = open(&without("params.py")).unwrap();
    assert!(timeless.contents().lacks_rate && timeless.contents().notes.iter().any(|note| note.contains("no `params.py`")));
    assert!(
        timeless.spikes("").unwrap_err().to_string().contains("nothing says how many samples make a second; give the rate in the step")
    );
    let each = timeless.rows("each_spike").unwrap();
    assert_eq!(each.schema().field(0).name(), "sample");
    assert_eq!(columns::numbers(&each.read(&[0, 3], 3..5).unwrap(), "sample").unwrap(), [40.0, 55.0]);
    assert_eq!(columns::numbers(&each.read(&[0, 3], 3..5).unwrap(), "amplitude").unwrap(), [4.0, 5.5]);
    // The first Phy wrote tabs into a table that is called after commas.
    let mut old = without("cluster_group.tsv");
    old.push(("cluster_groups.csv", b"cluster_id\tgroup\r\n2\tgood\r\n7\tnoise\r\n".to_vec()));
    old.retain(|(name, _)| *name != "cluster_info.tsv");
    assert_eq!(open(&old).unwrap().spikes("").unwrap().units().texts("group").unwrap(), ["good", "noise"]);
    assert!(phy_files::open_with(&folder(&without("params.py")), "", Some(10.0), &Limits::default()).is_ok());
    assert!(open(&without("spike_times.npy")).unwrap_err().to_string().contains("there is no spike_times.npy in the folder"));
    assert_eq!(open(&without("spike_clusters.npy")).unwrap().spikes("").unwrap().names(), ["0", "1"]);
    let mut files = without("amplitudes.npy");
    files.push(("amplitudes.npy", npy("<f8", "(1,)", &[0; 8])));
    assert!(open(&files).unwrap_err().to_string().contains("member `amplitudes.npy`, byte"));
    let nested: Vec<(String, Vec<u8>)> = phy().into_iter().map(|(name, bytes)| (format!("sorted/{name}"), bytes)).collect();
    let nested: Vec<(&str, Vec<u8>)> = nested.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    assert_eq!(
        phy_files::open(&folder(&nested), "sorted", &Limits::default()).unwrap().spikes("").unwrap().units().texts("group").unwrap(),
        ["good", ""]
    );
}

#[test]
fn suite2p_folders_are_recordings_of_regions() {
    let document = suite::open_with(&folder(&suite2p()), "", Some(30.0), &Limits::default()).unwrap();
    assert_eq!(document.contents().items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["F", "spks", "iscell"]);
    assert_eq!(values(&document, "F", 1), [4.0, 5.0, 6.5]);
    assert_eq!(values(&document, "spks", 0), [0.0, 0.0, 1.0]);
    assert_eq!(document.signals("F").unwrap().channels()[1].rate, 30.0);
    let rows = document.rows("F").unwrap().read(&[0, 2], 1..3).unwrap();
    assert_eq!(columns::numbers(&rows, "time").unwrap(), [1.0 / 30.0, 2.0 / 30.0]);
    let cells = document.rows("iscell").unwrap().read(&[0, 1, 2], 0..2).unwrap();
    assert_eq!(columns::numbers(&cells, "iscell").unwrap(), [1.0, 0.0]);
    assert_eq!(columns::numbers(&cells, "probability").unwrap(), [0.9, 0.2]);
    assert!(document.contents().notes[0].contains("are Python pickles"));
    let open = |files: &[(&str, Vec<u8>)]| suite::open(&folder(files), "", &Limits::default());
    let timeless = open(&suite2p()).unwrap();
    assert!(timeless.contents().notes[0].contains("give suite2p's `fs`, as in `rate = 30 Hz`"));
    assert!(timeless.signals("F").map(|_| ()).unwrap_err().to_string().contains("object `F`: nothing says how many samples make a second"));
    assert!(open(&[]).unwrap_err().to_string().contains("neither F.npy nor Fneu.npy nor spks.npy is in the folder"));
    let mut files = suite2p();
    files[1].1 = npy("<f4", "(1, 3)", &[0; 12]);
    assert!(open(&files).unwrap_err().to_string().contains("object `spks`: 1 regions, `F` has 2"));
    files[1].1 = npy("|O", "(1, 3)", &[0; 12]);
    assert!(open(&files).unwrap_err().to_string().contains("Python objects, kept as a pickle"));
    files[1].1 = npy("<f4", "(2, 300)", &[0; 12]);
    assert!(open(&files).unwrap_err().to_string().contains("calls for more values than are there"));
}
