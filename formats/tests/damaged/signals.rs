//! Recordings and sorted spikes.

use super::bytes::{cut, field, find, put, swap};
use super::volumes::gzip;
use super::{Case, one, one_as, several};
use crate::ephys::build::{
    Edf, Fif, GdfChannel, annotations, fif_epochs, fif_raw, gdf, npy, phy, positions, set, set_data, signal, suite2p, tal, vhdr, vmrk,
};
use crate::mat5_bytes::Mat5;

pub fn cases() -> Vec<Case> {
    [edf(), gdf_files(), brainvision(), eeglab(), fif(), sorted()].into_iter().flatten().collect()
}

/// Three signals, one of them of annotations, and a pause between its two records.
fn pausing() -> Vec<u8> {
    let mut plus = Edf::new(false, vec![signal("Cz", 4), annotations("EDF Annotations", 20), signal("Resp", 1)]);
    (plus.reserved, plus.records) = ("EDF+D", "2");
    let record = |list: &[u8]| vec![vec![1, 2, 3, 4], tal(false, list, 20), vec![9]];
    plus.file(&[record(b"+0\x14\x14\0+1\x152\x14a\x14\0"), record(b"+5\x14\x14\0")])
}

fn edf() -> Vec<Case> {
    let whole = pausing();
    let bdf =
        Edf { records: "1", ..Edf::new(true, vec![signal("Cz", 2), signal("Status", 4)]) }.file(&[vec![vec![1, -1], vec![0, 5, 0, 6]]]);
    let plain = Edf { records: "1", ..Edf::new(false, vec![signal("Cz", 4)]) }.file(&[vec![vec![1, 2, 3, 4]]]);
    let at = |damage: &str, at: usize, width: usize, text: &str| one("a.edf", damage, field(&whole, at, width, text));
    let signals = 256;
    let list = find(&whole, b"+0\x14\x14");
    vec![
        one("a.edf", "cut in the version", cut(&whole, 5)),
        one("a.edf", "cut in the patient", cut(&whole, 60)),
        one("a.edf", "cut before the number of signals", cut(&whole, 252)),
        one("a.edf", "cut in the labels", cut(&whole, signals + 20)),
        one("a.edf", "cut in the transducers", cut(&whole, signals + 48 + 100)),
        one("a.edf", "cut in the digital limits", cut(&whole, signals + 3 * 130)),
        one("a.edf", "cut at the end of the header", cut(&whole, 1024)),
        at("2^63 records", 236, 8, "99999999"),
        at("a number of records that is a word", 236, 8, "many"),
        at("minus two records", 236, 8, "-2"),
        at("a duration that is a word", 244, 8, "short"),
        at("a negative duration", 244, 8, "-1"),
        at("an infinite duration", 244, 8, "inf"),
        at("9999 signals", 252, 4, "9999"),
        at("no signals", 252, 4, "0"),
        at("a number of signals that is a word", 252, 4, "two"),
        at("a physical limit that is a word", signals + 3 * (16 + 80 + 8), 8, "low"),
        at("99999999 samples in a record", signals + 3 * (16 + 80 + 8 * 5 + 80), 8, "99999999"),
        at("minus one sample in a record", signals + 3 * (16 + 80 + 8 * 5 + 80), 8, "-1"),
        one("a.edf", "records without their times", put(&whole, list, b"XX")),
        one("a.edf", "a record before the one before it", put(&whole, find(&whole, b"+5\x14"), b"-5")),
        one("a.edf", "EDF+ without annotations", field(&plain, 192, 44, "EDF+D")),
        one("a.bdf", "cut in the samples", cut(&bdf, bdf.len() - 14)),
        one("a.bdf", "cut in the header of a signal", cut(&bdf, 300)),
        one("a.bdf", "99999999 samples in a record", field(&bdf, 256 + 2 * 216, 8, "99999999")),
    ]
}

fn gdf_files() -> Vec<Case> {
    let channel = || GdfChannel {
        label: "Cz",
        unit: ("uV", 4275),
        kind: 3,
        scale: [-1.0, 1.0, -10.0, 10.0],
        samples: 2,
        records: vec![vec![1, 0, 2, 0]],
    };
    let mut events = vec![3u8, 1, 0, 0];
    events.extend(250f32.to_le_bytes());
    events.extend([1, 0, 0, 0, 1, 3, 1, 0, 2, 0, 0, 0]);
    let whole = gdf("2.10", (1, 4), 1, &[channel()], &events);
    let at = |damage: &str, at: usize, own: &[u8]| one("a.gdf", damage, put(&whole, at, own));
    vec![
        one("a.gdf", "cut in the header", cut(&whole, 200)),
        one("a.gdf", "cut in the header of a channel", cut(&whole, 300)),
        one("a.gdf", "cut in the samples", cut(&whole, 512 + 2)),
        one("a.gdf", "cut in the events", cut(&whole, whole.len() - 3)),
        at("a version that is none", 4, b"9.99"),
        at("2^63 - 1 records", 236, &i64::MAX.to_le_bytes()),
        at("minus two records", 236, &(-2i64).to_le_bytes()),
        at("a duration over zero", 248, &[0; 4]),
        at("65535 channels", 252, &[0xff, 0xff]),
        at("a type of values that is none", 256 + 220, &999u32.to_le_bytes()),
        at("2^32 - 1 samples in a record", 256 + 216, &u32::MAX.to_le_bytes()),
        at("a digital limit that is no number", 256 + 120, &f64::NAN.to_le_bytes()),
        at("2^24 - 1 events", 512 + 4 + 1, &[0xff, 0xff, 0xff]),
    ]
}

fn brainvision() -> Vec<Case> {
    let binary = "[Binary Infos]\r\nBinaryFormat=INT_16";
    let header = || vhdr("DataOrientation=VECTORIZED\r\nDataPoints=3", binary);
    let markers = || vmrk("Mk1=New Segment,,1,1,0,20201124161507250000\r\nMk2=Stimulus,S  1,2,1,0");
    let with =
        |damage: &str, header: Vec<u8>| several("a.vhdr", damage, vec![("a.vhdr", header), ("a.vmrk", markers()), ("a.eeg", vec![1; 12])]);
    let changed = |damage: &str, old: &str, new: &str| with(damage, swap(&header(), old.as_bytes(), new.as_bytes()));
    let marked =
        |damage: &str, own: &str| several("a.vhdr", damage, vec![("a.vhdr", header()), ("a.vmrk", vmrk(own)), ("a.eeg", vec![1; 12])]);
    vec![
        with("cut in the first line", cut(&header(), 20)),
        with("cut before the channels", cut(&header(), find(&header(), b"[Channel"))),
        changed("a path out of the folder", "$b.eeg", "../../secret.eeg"),
        changed("an absolute path", "$b.eeg", "/etc/passwd"),
        changed("an address", "$b.eeg", "https://example.org/a.eeg"),
        changed("no file of samples", "DataFile=$b.eeg\r\n", ""),
        changed("10^12 channels", "NumberOfChannels=2", "NumberOfChannels=1000000000000"),
        changed("no channels", "NumberOfChannels=2", "NumberOfChannels=0"),
        changed("an interval of zero", "SamplingInterval=2000", "SamplingInterval=0"),
        changed("a type of values that is none", "INT_16", "INT_7"),
        changed("an orientation that is none", "VECTORIZED", "DIAGONAL"),
        changed("a resolution that is a word", "Fz,,0.5", "Fz,,half"),
        changed("spectra", "[Binary", "DataType=FREQUENCYDOMAIN\r\n[Binary"),
        several("a.vhdr", "without its samples", vec![("a.vhdr", header()), ("a.vmrk", markers())]),
        several("a.vhdr", "samples cut in a frame", vec![("a.vhdr", header()), ("a.vmrk", markers()), ("a.eeg", vec![1; 7])]),
        several(
            "a.vhdr",
            "a word among samples as text",
            vec![
                ("a.vhdr", vhdr("DataFormat=ASCII", "[ASCII Infos]\r\nDecimalSymbol=,")),
                ("a.vmrk", markers()),
                ("a.eeg", b"1,5 2\n3 x\n".to_vec()),
            ],
        ),
        marked("a marker at a word", "Mk1=Stimulus,S  1,soon,1,0"),
        marked("a marker at 2^64", "Mk1=Stimulus,S  1,18446744073709551616,1,0"),
        marked("a marker of two parts", "Mk1=Stimulus,S  1"),
    ]
}

fn eeglab() -> Vec<Case> {
    let mat = Mat5 { big_endian: false };
    let inline = set(2.0, 3.0, set_data(6));
    let named = |to: &str| set(1.0, 4.0, mat.text("data", to));
    let beside = |damage: &str, to: &str, bytes: usize| several("a.set", damage, vec![("a.set", named(to)), ("a.fdt", vec![1; bytes])]);
    vec![
        several("a.set", "cut in the events", vec![("a.set", cut(&inline, inline.len() / 2))]),
        several("a.set", "cut in the samples", vec![("a.set", cut(&inline, inline.len() - 40))]),
        several("a.set", "10^300 samples", vec![("a.set", set(1.0, 1e300, set_data(6)))]),
        several("a.set", "trials that are not a number", vec![("a.set", set(f64::NAN, 3.0, set_data(6)))]),
        several("a.set", "minus one trial", vec![("a.set", set(-1.0, 3.0, set_data(6)))]),
        several("a.set", "samples that do not fit", vec![("a.set", set(2.0, 3.0, set_data(5)))]),
        several("a.set", "without its samples", vec![("a.set", named("a.fdt"))]),
        several("a.set", "no set at all", vec![("a.set", mat.file(&[mat.column("x", &[1.0])]))]),
        beside("a path out of the folder", "../../a.fdt", 32),
        beside("an absolute path", "/etc/passwd", 32),
        beside("samples cut short", "a.fdt", 30),
    ]
}

fn fif() -> Vec<Case> {
    let (raw, walked, epochs) = (fif_raw(4, true), fif_raw(2, false), fif_epochs());
    let channel = find(&walked, &[0, 0, 0, 203, 0, 0, 0, 30]);
    let directory = u32::from_be_bytes(raw[52..56].try_into().unwrap()) as usize;
    let mut without = Fif::new();
    without.begin(100).begin(101).int(200, 2).end(101).end(100);
    vec![
        one("a.fif", "cut in the first tag", cut(&raw, 10)),
        one("a.fif", "cut after the first tag", cut(&raw, 36)),
        one("a.fif", "cut in a channel", cut(&walked, channel + 50)),
        one("a.fif", "cut in the directory", cut(&raw, directory + 20)),
        one("a.fif", "a tag of 2^31 - 1 bytes", put(&walked, channel + 8, &i32::MAX.to_be_bytes())),
        one("a.fif", "a tag of minus 16 bytes", put(&walked, channel + 8, &(-16i32).to_be_bytes())),
        one("a.fif", "a tag that is followed by itself", put(&walked, channel + 12, &(channel as i32).to_be_bytes())),
        one("a.fif", "a directory beyond the end", put(&raw, 52, &i32::MAX.to_be_bytes())),
        one("a.fif", "samples of a type that is none", put(&walked, find(&walked, &[0, 0, 1, 44, 0, 0, 0, 2]) + 4, &77u32.to_be_bytes())),
        one("a.fif", "samples that are no whole frame", put(&walked, find(&walked, &[0, 0, 1, 44, 0, 0, 0, 2]) + 8, &19i32.to_be_bytes())),
        one("a.fif", "2^31 - 1 channels", put(&walked, find(&walked, &[0, 0, 0, 200, 0, 0, 0, 3]) + 16, &i32::MAX.to_be_bytes())),
        one("a.fif", "no rate", put(&walked, find(&walked, &[0, 0, 0, 201, 0, 0, 0, 4]) + 16, &[0; 4])),
        one("a.fif", "no samples", without.file(true)),
        one("a.fif.gz", "gzip cut short", cut(&gzip(&raw), 200)),
        one("a.fif.gz", "gzip with another checksum", {
            let packed = gzip(&raw);
            put(&packed, packed.len() - 8, &[1, 2, 3, 4])
        }),
        one("a.fif.gz", "gzip of a file that was cut in a channel", gzip(&cut(&walked, channel + 50))),
        one("a.fif.gz", "a bomb: 80 MB of zeros behind a file", gzip(&[&raw[..], &vec![0; 80 << 20]].concat())),
        one("a-epo.fif", "epochs cut in their samples", cut(&epochs, find(&epochs, &[0, 0, 1, 46, 64]) + 40)),
        one("a-epo.fif", "epochs whose shape is 2^31 - 1", {
            let at = find(&epochs, &[0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3]);
            put(&epochs, at + 4, &[0x7f, 0xff, 0xff, 0xff])
        }),
    ]
}

fn sorted() -> Vec<Case> {
    let folder = |files: Vec<(&'static str, Vec<u8>)>, name: &str, bytes: Option<Vec<u8>>| -> Vec<(&'static str, Vec<u8>)> {
        files
            .into_iter()
            .filter_map(|(own, was)| if own == name { bytes.clone().map(|bytes| (own, bytes)) } else { Some((own, was)) })
            .collect()
    };
    let spikes =
        |damage: &str, name: &str, bytes: Option<Vec<u8>>| Case { reader: Some("phy"), ..several("", damage, folder(phy(), name, bytes)) };
    let traces = |damage: &str, name: &str, bytes: Option<Vec<u8>>| Case {
        reader: Some("suite2p"),
        ..several("", damage, folder(suite2p(), name, bytes))
    };
    let fields = positions();
    vec![
        spikes("Phy without the times of spikes", "spike_times.npy", None),
        spikes("Phy with times cut short", "spike_times.npy", Some(cut(&npy("<i8", "(5, 1)", &[0; 40]), 80))),
        spikes("Phy with fewer times than units", "spike_times.npy", Some(npy("<i8", "(2,)", &[0; 16]))),
        spikes("Phy with a rate that is code", "params.py", Some(b"sample_rate = __import__('os').system('id')\n".to_vec())),
        spikes("Phy with a rate below zero", "params.py", Some(b"sample_rate = -3\n".to_vec())),
        traces("suite2p with traces cut short", "F.npy", Some(cut(&suite2p()[0].1, 90))),
        traces("suite2p with another number of cells", "iscell.npy", Some(npy("<f8", "(3, 2)", &[0; 48]))),
        traces("suite2p with traces of 2^63 frames", "F.npy", Some(npy("<f4", "(2, 9223372036854775807)", &[0; 24]))),
        one_as("spike_text", "a.txt", "spikes with a word for a time", b"1.0\t0.5\n2.0\tsoon\n".to_vec()),
        one_as("spike_text", "a.txt", "spikes with three columns in one line", b"1.0\t0.5\n2.0\t0.25\t7\n".to_vec()),
        one_as("spike_text", "a.txt", "nothing in it", Vec::new()),
        one_as("position_tracking", "a.videoPositionTracking", "cut in the settings", cut(&fields, 40)),
        one_as("position_tracking", "a.videoPositionTracking", "a field of a type that is none", swap(&fields, b"uint16", b"uint17")),
    ]
}
