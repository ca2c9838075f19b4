//! Small files, built byte by byte.

use super::mat5_bytes::Mat5;
use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use neuroflow_formats::{Folder, Source};
use std::sync::Arc;

pub fn source(bytes: impl Into<Vec<u8>>) -> Arc<dyn Source> {
    Arc::new(Buffer::from_vec(bytes.into()))
}

pub fn folder(files: &[(&str, Vec<u8>)]) -> Arc<dyn Folder> {
    let mut tree = FileTree::new();
    for (name, bytes) in files {
        tree.insert(*name, Buffer::from_vec(bytes.clone())).unwrap();
    }
    Arc::new(tree)
}

/// One signal of an EDF file.
#[derive(Clone)]
pub struct Signal {
    pub label: &'static str,
    pub unit: &'static [u8],
    pub limits: [&'static str; 4],
    pub samples: usize,
}

pub fn signal(label: &'static str, samples: usize) -> Signal {
    Signal { label, unit: b"uV", limits: ["-100", "100", "-1000", "1000"], samples }
}

/// An EDF or BDF file as text fields.
#[derive(Clone)]
pub struct Edf {
    pub bdf: bool,
    pub patient: &'static [u8],
    pub recording: &'static str,
    pub start: [&'static str; 2],
    pub header_bytes: Option<&'static str>,
    pub reserved: &'static str,
    pub records: &'static str,
    pub duration: &'static str,
    pub signals: Vec<Signal>,
}

impl Edf {
    pub fn new(bdf: bool, signals: Vec<Signal>) -> Edf {
        Edf {
            bdf,
            patient: b"X X X X",
            recording: "Startdate 24-NOV-2020 X X X",
            start: ["24.11.20", "16.15.07"],
            header_bytes: None,
            reserved: "",
            records: "-1",
            duration: "1",
            signals,
        }
    }

    /// The file: for each record the numbers of each signal.
    pub fn file(&self, records: &[Vec<Vec<i32>>]) -> Vec<u8> {
        let mut bytes = if self.bdf { b"\xffBIOSEMI".to_vec() } else { b"0       ".to_vec() };
        let mut field = |text: &[u8], length: usize| {
            bytes.extend_from_slice(&text[..text.len().min(length)]);
            bytes.resize(bytes.len() + length - text.len().min(length), b' ');
        };
        field(self.patient, 80);
        field(self.recording.as_bytes(), 80);
        field(self.start[0].as_bytes(), 8);
        field(self.start[1].as_bytes(), 8);
        let own = (256 * (self.signals.len() + 1)).to_string();
        field(self.header_bytes.unwrap_or(&own).as_bytes(), 8);
        field(self.reserved.as_bytes(), 44);
        field(self.records.as_bytes(), 8);
        field(self.duration.as_bytes(), 8);
        field(self.signals.len().to_string().as_bytes(), 4);
        self.signals.iter().for_each(|signal| field(signal.label.as_bytes(), 16));
        self.signals.iter().for_each(|_| field(b"AgAgCl", 80));
        self.signals.iter().for_each(|signal| field(signal.unit, 8));
        (0..4).for_each(|limit| self.signals.iter().for_each(|signal| field(signal.limits[limit].as_bytes(), 8)));
        self.signals.iter().for_each(|_| field(b"HP:0.1Hz", 80));
        self.signals.iter().for_each(|signal| field(signal.samples.to_string().as_bytes(), 8));
        self.signals.iter().for_each(|_| field(b"", 32));
        for record in records {
            for (own, signal) in record.iter().zip(&self.signals) {
                assert_eq!(own.len(), signal.samples);
                own.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()[..if self.bdf { 3 } else { 2 }]));
            }
        }
        bytes
    }
}

/// The bytes of annotation lists as the numbers of a channel with so many samples.
pub fn tal(bdf: bool, bytes: &[u8], samples: usize) -> Vec<i32> {
    let width = if bdf { 3 } else { 2 };
    let mut own = bytes.to_vec();
    assert!(own.len() <= samples * width, "{} bytes in {samples} samples", own.len());
    own.resize(samples * width, 0);
    own.chunks(width)
        .map(|chunk| {
            let mut four = [0u8; 4];
            four[4 - width..].copy_from_slice(chunk);
            i32::from_le_bytes(four) >> (8 * (4 - width))
        })
        .collect()
}

pub fn annotations(label: &'static str, samples: usize) -> Signal {
    Signal { label, unit: b"", limits: ["-1", "1", "-32768", "32767"], samples }
}

/// One channel of a GDF file: label, unit (a text or a code), type, scale, and the bytes of each record.
pub struct GdfChannel {
    pub label: &'static str,
    pub unit: (&'static str, u16),
    pub kind: u32,
    pub scale: [f64; 4],
    pub samples: u32,
    pub records: Vec<Vec<u8>>,
}

/// A GDF file; `events` are the bytes of the event table.
pub fn gdf(version: &str, duration: (u32, u32), records: i64, channels: &[GdfChannel], events: &[u8]) -> Vec<u8> {
    let old = version < "1.90";
    let mut bytes = format!("GDF {version}").into_bytes();
    bytes.extend_from_slice(b"P1 Jane");
    bytes.resize(256, 0);
    let header = 256 * (channels.len() + 1);
    if old {
        bytes[168..184].copy_from_slice(b"2020112416150725");
        bytes[184..192].copy_from_slice(&(header as i64).to_le_bytes());
        bytes[252..256].copy_from_slice(&(channels.len() as u32).to_le_bytes());
    } else {
        bytes[85] = 70;
        bytes[87] = 0b0110;
        // 2020-11-24 12:00: 18590 days after 1970, 719529 after the year 0, and a half.
        bytes[168..176].copy_from_slice(&(((18_590u64 + 719_529) << 32) + (1 << 31)).to_le_bytes());
        bytes[184..186].copy_from_slice(&(header as u16 / 256).to_le_bytes());
        bytes[252..254].copy_from_slice(&(channels.len() as u16).to_le_bytes());
    }
    bytes[236..244].copy_from_slice(&records.to_le_bytes());
    bytes[244..248].copy_from_slice(&duration.0.to_le_bytes());
    bytes[248..252].copy_from_slice(&duration.1.to_le_bytes());
    let start = bytes.len();
    bytes.resize(header, 0);
    let count = channels.len();
    for (place, channel) in channels.iter().enumerate() {
        let mut put = |before: usize, size: usize, own: &[u8]| {
            let at = start + before * count + size * place;
            bytes[at..at + own.len()].copy_from_slice(own);
        };
        put(0, 16, channel.label.as_bytes());
        if old {
            put(96, 8, channel.unit.0.as_bytes());
        } else {
            put(102, 2, &channel.unit.1.to_le_bytes());
            put(204, 4, &100f32.to_le_bytes());
            put(208, 4, &0.5f32.to_le_bytes());
        }
        put(104, 8, &channel.scale[0].to_le_bytes());
        put(112, 8, &channel.scale[1].to_le_bytes());
        for (at, value) in [(120, channel.scale[2]), (128, channel.scale[3])] {
            put(at, 8, &if old { (value as i64).to_le_bytes() } else { value.to_le_bytes() });
        }
        put(216, 4, &channel.samples.to_le_bytes());
        put(220, 4, &channel.kind.to_le_bytes());
    }
    for record in 0..channels.first().map_or(0, |channel| channel.records.len()) {
        channels.iter().for_each(|channel| bytes.extend_from_slice(&channel.records[record]));
    }
    bytes.extend_from_slice(events);
    bytes
}

/// A BrainVision header of two channels.
pub fn vhdr(common: &str, formats: &str) -> Vec<u8> {
    format!(
        "Brain Vision Data Exchange Header File Version 1.0\r\n; a remark\r\n[Common Infos]\r\nDataFile=$b.eeg\r\nMarkerFile=$b.vmrk\r\n\
         NumberOfChannels=2\r\nSamplingInterval=2000\r\n{common}\r\n{formats}\r\n[Channel Infos]\r\nCh1=Fz,,0.5,\u{b5}V\r\nCh2=A\\1B,Ref,,mV\r\n\
         [Comment]\r\n[Channel Infos]\r\nCh1=not,,9,me\r\n"
    )
    .into_bytes()
}

pub fn vmrk(markers: &str) -> Vec<u8> {
    format!("Brain Vision Data Exchange Marker File, Version 1.0\r\n[Common Infos]\r\nDataFile=a.eeg\r\n[Marker Infos]\r\n{markers}\r\n")
        .into_bytes()
}

/// A FIF file under construction.
pub struct Fif {
    bytes: Vec<u8>,
    entries: Vec<(i32, u32, u32, u32)>,
}

impl Fif {
    pub fn new() -> Fif {
        let mut fif = Fif { bytes: Vec::new(), entries: Vec::new() };
        fif.tag(100, 31, &[0; 20]);
        fif.tag(101, 3, &(-1i32).to_be_bytes());
        fif
    }

    pub fn tag(&mut self, kind: i32, form: u32, data: &[u8]) -> &mut Fif {
        self.entries.push((kind, form, data.len() as u32, self.bytes.len() as u32));
        for number in [kind, form as i32, data.len() as i32, 0] {
            self.bytes.extend_from_slice(&number.to_be_bytes());
        }
        self.bytes.extend_from_slice(data);
        self
    }

    pub fn int(&mut self, kind: i32, value: i32) -> &mut Fif {
        self.tag(kind, 3, &value.to_be_bytes())
    }

    pub fn text(&mut self, kind: i32, text: &str) -> &mut Fif {
        self.tag(kind, 10, text.as_bytes())
    }

    pub fn begin(&mut self, block: i32) -> &mut Fif {
        self.int(104, block)
    }

    pub fn end(&mut self, block: i32) -> &mut Fif {
        self.int(105, block)
    }

    pub fn channel(&mut self, name: &str, kind: i32, unit: i32, cal: f32, range: f32) -> &mut Fif {
        let mut data = vec![0u8; 96];
        data[8..12].copy_from_slice(&kind.to_be_bytes());
        data[12..16].copy_from_slice(&range.to_be_bytes());
        data[16..20].copy_from_slice(&cal.to_be_bytes());
        data[72..76].copy_from_slice(&unit.to_be_bytes());
        data[80..80 + name.len()].copy_from_slice(name.as_bytes());
        self.tag(203, 30, &data)
    }

    /// The measurement info of two channels.
    pub fn info(&mut self) -> &mut Fif {
        self.begin(100).begin(101).int(200, 2).tag(201, 4, &100f32.to_be_bytes());
        self.tag(204, 3, &[1_606_234_507i32.to_be_bytes(), 250_000i32.to_be_bytes()].concat());
        self.channel("MEG 0113", 1, 201, 2.0, 0.5).channel("EEG 001", 2, 107, 0.25, 1.0);
        self.begin(106).text(410, "S7").int(405, 2).end(106);
        self.begin(359).text(3507, "EEG 001").end(359);
        self.end(101)
    }

    /// The file, with its directory or without.
    pub fn file(&self, directory: bool) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if directory {
            let at = bytes.len() as i32;
            bytes[52..56].copy_from_slice(&at.to_be_bytes());
            let mut data = Vec::new();
            for (kind, form, size, pos) in &self.entries {
                [*kind, *form as i32, *size as i32, *pos as i32].iter().for_each(|number| data.extend_from_slice(&number.to_be_bytes()));
            }
            [102, 32, data.len() as i32, -1].iter().for_each(|number: &i32| bytes.extend_from_slice(&number.to_be_bytes()));
            bytes.extend(data);
        }
        bytes
    }
}

/// A raw FIF file: buffers of `form`, one skip, an annotation, and a part that follows.
pub fn fif_raw(form: u32, directory: bool) -> Vec<u8> {
    let sample = |value: i32| -> Vec<u8> {
        match form {
            2 | 16 => (value as i16).to_be_bytes().to_vec(),
            3 => value.to_be_bytes().to_vec(),
            4 => (value as f32).to_be_bytes().to_vec(),
            _ => f64::from(value).to_be_bytes().to_vec(),
        }
    };
    let buffer = |from: i32, frames: i32| (from..from + 2 * frames).flat_map(sample).collect::<Vec<u8>>();
    let mut fif = Fif::new();
    fif.info();
    fif.begin(3810).tag(3568, 4, &[1f32, 2.5].map(f32::to_be_bytes).concat());
    fif.tag(3569, 4, &[1.5f32, 2.5].map(f32::to_be_bytes).concat()).text(206, "blink{COLON}a:bad").end(3810);
    fif.begin(102).int(208, 300).tag(300, form, &buffer(0, 5)).tag(300, form, &buffer(10, 5)).int(301, 2);
    fif.tag(300, form, &buffer(20, 3));
    fif.begin(118).int(115, 2).text(118, "next-1.fif").end(118);
    fif.end(102).end(100);
    fif.file(directory)
}

/// A raw FIF file of stimulus channels: what each is called and its samples, the first of which is number 300; a buffer of samples is skipped after the
/// first `before` of them.
pub fn fif_stimulus(channels: &[(&str, &[i16])], before: usize) -> Vec<u8> {
    let mut fif = Fif::new();
    fif.begin(100).begin(101).int(200, channels.len() as i32).tag(201, 4, &100f32.to_be_bytes());
    for (name, _) in channels {
        fif.channel(name, 3, 107, 1.0, 1.0);
    }
    let buffer = |samples: std::ops::Range<usize>| -> Vec<u8> {
        samples.flat_map(|sample| channels.iter().flat_map(move |(_, own)| own[sample].to_be_bytes())).collect()
    };
    let all = channels[0].1.len();
    fif.end(101).begin(102).int(208, 300).tag(300, 2, &buffer(0..before));
    if before < all {
        fif.int(303, 10).tag(300, 2, &buffer(before..all));
    }
    fif.end(102).end(100);
    fif.file(true)
}

/// An epochs FIF file of two trials, two channels and three samples.
pub fn fif_epochs() -> Vec<u8> {
    let mut fif = Fif::new();
    fif.info();
    fif.begin(103).begin(373);
    let events = [500i32, 0, 3, 800, 3, 9].map(i32::to_be_bytes).concat();
    fif.begin(361).tag(3561, 3, &events).text(206, "a/left:3;b:9").end(361);
    fif.int(208, -1).int(209, 1).tag(3803, 4, &200f32.to_be_bytes());
    let mut data = (0..12).flat_map(|value| (value as f32).to_be_bytes()).collect::<Vec<u8>>();
    [3i32, 2, 2, 3].iter().for_each(|number| data.extend_from_slice(&number.to_be_bytes()));
    fif.tag(302, 0x4000_0004, &data);
    fif.end(373).end(103).end(100);
    fif.file(true)
}

/// A set as MATLAB variables; `data` is the variable of samples.
pub fn set(trials: f64, points: f64, data: Vec<u8>) -> Vec<u8> {
    let mat = Mat5 { big_endian: false };
    let number = |name: &str, value: f64| mat.column(name, &[value]);
    let one = |value: f64| mat.column("", &[value]);
    let chanlocs = mat.structs(
        "chanlocs",
        &[1, 2],
        &["labels", "type", "X"],
        &[mat.text("", "Cz"), mat.text("", ""), one(1.0), mat.text("", "HEOG"), mat.text("", "EOG"), mat.column("", &[])],
    );
    let event = mat.structs(
        "event",
        &[1, 3],
        &["type", "latency", "epoch", "code", "odd"],
        &[
            mat.text("", "S 1"),
            one(2.0),
            one(1.0),
            one(7.0),
            mat.text("", "x"),
            one(5.0),
            one(4.5),
            one(2.0),
            mat.column("", &[]),
            one(2.5),
            mat.text("", "S 2"),
            mat.column("", &[]),
            one(2.0),
            one(9.0),
            mat.text("", "y"),
        ],
    );
    mat.file(&[
        mat.text("setname", "a set"),
        number("nbchan", 2.0),
        number("trials", trials),
        number("pnts", points),
        number("srate", 100.0),
        number("xmin", -0.01),
        chanlocs,
        event,
        data,
    ])
}

/// Samples as a variable of 2 × `columns` doubles 0, 1, 2, ….
pub fn set_data(columns: usize) -> Vec<u8> {
    let mat = Mat5 { big_endian: false };
    let values: Vec<f64> = (0..2 * columns).map(|value| value as f64).collect();
    mat.array(
        "data",
        super::mat5_bytes::CLASS_DOUBLE,
        &[2, columns as i32],
        &[mat.element(super::mat5_bytes::DOUBLE, &mat.doubles(&values))],
    )
}

/// An array as NumPy writes it.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// A folder of sorted spikes.
pub fn phy() -> Vec<(&'static str, Vec<u8>)> {
    let le = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let ints = |values: &[i32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let floats = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    vec![
        ("spike_times.npy", npy("<i8", "(5, 1)", &le(&[10, 30, 20, 40, 55]))),
        ("spike_clusters.npy", npy("<i4", "(5,)", &ints(&[7, 7, 7, 2, 2]))),
        ("spike_templates.npy", npy("<i4", "(5,)", &ints(&[0, 0, 0, 1, 1]))),
        ("amplitudes.npy", npy("<f8", "(5,)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.5]))),
        ("templates.npy", npy("<f8", "(2, 2, 1)", &floats(&[1.0, 2.0, 3.0, 4.0]))),
        ("params.py", b"sample_rate = 10. # Hz\nn_channels_dat = 4\nimport os\n".to_vec()),
        ("cluster_group.tsv", b"cluster_id\tgroup\n2\tgood\n9\tnoise\n".to_vec()),
        ("cluster_info.tsv", b"id\tdepth\tgroup\n2\t1.5\tmua\n7\t2.5\tmua\n".to_vec()),
    ]
}

/// A suite2p folder of two regions and three frames.
pub fn suite2p() -> Vec<(&'static str, Vec<u8>)> {
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    vec![
        ("F.npy", npy("<f4", "(2, 3)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.5]))),
        ("spks.npy", npy("<f4", "(2, 3)", &floats(&[0.0, 0.0, 1.0, 0.0, 2.0, 0.0]))),
        ("iscell.npy", npy("<f8", "(2, 2)", &[1.0f64, 0.9, 0.0, 0.2].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
        ("ops.npy", b"\x80\x04never opened".to_vec()),
    ]
}

/// Positions: three records.
pub fn positions() -> Vec<u8> {
    let mut bytes = b"<Start settings>\nthreshold: 199\nclockrate: 30000\ncamera resolution: 640x480\n\
        Fields: <time uint32><xloc uint16><yloc uint16>\n<End settings>\n"
        .to_vec();
    for (time, x, y) in [(30_000u32, 1u16, 2u16), (30_100, 3, 4), (45_000, 65_535, 0)] {
        bytes.extend_from_slice(&time.to_le_bytes());
        bytes.extend_from_slice(&x.to_le_bytes());
        bytes.extend_from_slice(&y.to_le_bytes());
    }
    bytes
}

/// One file of each variant of a format, for fuzzers to begin with.
#[allow(dead_code, reason = "only the fuzz targets ask for it")]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mat = Mat5 { big_endian: false };
    match target {
        "edf" => {
            let mut plus = Edf::new(false, vec![signal("Cz", 4), annotations("EDF Annotations", 20)]);
            (plus.reserved, plus.records) = ("EDF+D", "2");
            let record = |list: &[u8]| vec![vec![1, 2, 3, 4], tal(false, list, 20)];
            let bdf = Edf { records: "1", ..Edf::new(true, vec![signal("Cz", 2), signal("Status", 4)]) };
            vec![
                plus.file(&[record(b"+0\x14\x14\0+1\x152\x14a\x14\0"), record(b"+5\x14\x14\0")]),
                bdf.file(&[vec![vec![1, -1], vec![0, 5, 0, 6]]]),
            ]
        }
        "gdf" => {
            let channel = GdfChannel {
                label: "Cz",
                unit: ("uV", 4275),
                kind: 3,
                scale: [-1.0, 1.0, -10.0, 10.0],
                samples: 2,
                records: vec![vec![1, 0, 2, 0]],
            };
            let events = [1u8, 250, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 3];
            vec![gdf("1.25", (1, 4), 1, std::slice::from_ref(&channel), &events), gdf("2.10", (1, 4), 1, &[channel], &[])]
        }
        "brainvision" => {
            let header = vhdr("DataOrientation=VECTORIZED\r\nDataPoints=3", "[Binary Infos]\r\nBinaryFormat=INT_16");
            vec![[header, vec![0], vmrk("Mk1=Stimulus,S  1,2,1,0"), vec![0], vec![1; 12]].concat()]
        }
        "eeglab" => vec![set(2.0, 3.0, set_data(6)), set(1.0, 4.0, mat.text("data", "a.fdt"))],
        "fif" => vec![fif_raw(4, true), fif_raw(2, false), fif_epochs(), fif_stimulus(&[("STI 001", &[0, 1, 1, 0])], 3)],
        "spike_text" => vec![b"1.0\t0.5\n2.0\t0.25\n".to_vec(), b"# a: 1\n1\n2\n# a: 2\n3\n".to_vec()],
        "position_tracking" => vec![positions()],
        "phy" => {
            let array = phy().into_iter().find(|(name, _)| *name == "spike_times.npy").map(|(_, bytes)| bytes).unwrap_or_default();
            vec![[b"sample_rate = 10.\n\0id\tdepth\n2\t1.5\n\0".to_vec(), array].concat()]
        }
        "suite2p" => vec![suite2p().swap_remove(0).1],
        _ => Vec::new(),
    }
}
