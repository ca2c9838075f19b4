//! Damaged files: cut, with bytes and lengths changed. Whatever comes, a reader answers or says what is wrong, and soon.

use super::build::{
    Edf, GdfChannel, annotations, fif_epochs, fif_raw, folder, gdf, phy, positions, set, set_data, signal, source, suite2p, tal, vhdr, vmrk,
};
use super::real;
use crate::reading::{Dice, check, limits, read_all};
use neuroflow_formats::{
    Document, FormatError, Limits, brainvision, edf, eeglab, fif, gdf as gdf_files, phy as phy_files, position_tracking, spike_text,
    suite2p as suite,
};
use std::time::{Duration, Instant};

/// Files that belong together; the first is the one that gets damaged.
pub struct Sample {
    pub name: String,
    pub kind: &'static str,
    pub files: Vec<(String, Vec<u8>)>,
    /// Where the headers end: damage beyond it changes samples only.
    pub head: usize,
}

fn sample(name: &str, kind: &'static str, bytes: Vec<u8>) -> Sample {
    let head = bytes.len();
    Sample { name: name.into(), kind, files: vec![(name.into(), bytes)], head }
}

fn several(name: &str, kind: &'static str, files: &[(&str, Vec<u8>)], first: usize) -> Sample {
    let mut files: Vec<(String, Vec<u8>)> = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
    files.swap(0, first);
    let head = files[0].1.len();
    Sample { name: format!("{name}/{}", files[0].0), kind, files, head }
}

/// Small files of every format.
fn built() -> Vec<Sample> {
    let mut plus = Edf::new(false, vec![signal("Cz", 4), annotations("EDF Annotations", 20), signal("Resp", 1)]);
    (plus.reserved, plus.records) = ("EDF+D", "2");
    let record = |list: &[u8]| vec![vec![1, 2, 3, 4], tal(false, list, 20), vec![9]];
    let plus = plus.file(&[record(b"+0\x14\x14\0+1\x152\x14a\x14\0"), record(b"+5\x14\x14\0")]);
    let bdf =
        Edf { records: "1", ..Edf::new(true, vec![signal("Cz", 2), signal("Status", 4)]) }.file(&[vec![vec![1, -1], vec![0, 5, 0, 6]]]);
    let channel = GdfChannel {
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
    let old = [&[1u8, 250, 0, 0, 1, 0, 0, 0][..], &events[8..14]].concat();
    let brain = [
        ("a.vhdr", vhdr("DataOrientation=VECTORIZED\r\nDataPoints=3", "[Binary Infos]\r\nBinaryFormat=INT_16")),
        ("a.vmrk", vmrk("Mk1=New Segment,,1,1,0,20201124161507250000\r\nMk2=Stimulus,S  1,2,1,0")),
        ("a.eeg", vec![1; 12]),
    ];
    let text = [("a.vhdr", vhdr("DataFormat=ASCII", "[ASCII Infos]\r\nDecimalSymbol=,")), ("a.eeg", b"1,5 2\n3 4\n".to_vec())];
    let mat = super::mat5_bytes::Mat5 { big_endian: false };
    let named = [("a.set", set(1.0, 4.0, mat.text("data", "a.fdt"))), ("a.fdt", vec![1; 32])];
    let (phy, suite2p) = (phy(), suite2p());
    let mut all = vec![
        sample("plus.edf", "edf", plus),
        sample("status.bdf", "edf", bdf),
        sample("new.gdf", "gdf", gdf("2.10", (1, 4), 1, std::slice::from_ref(&channel), &events)),
        sample("old.gdf", "gdf", gdf("1.25", (1, 4), 1, &[channel], &old)),
        several("brain", "brainvision", &brain, 0),
        several("text", "brainvision", &text, 0),
        sample("inline.set", "eeglab", set(2.0, 3.0, set_data(6))),
        several("named", "eeglab", &named, 0),
        sample("raw.fif", "fif", fif_raw(4, true)),
        sample("walked.fif", "fif", fif_raw(2, false)),
        sample("epo.fif", "fif", fif_epochs()),
        sample("position", "position", positions()),
        sample("pairs.txt", "spikes", b"1.0\t0.5\n2.0\t0.25\n".to_vec()),
        sample("blocks.txt", "spikes", b"# a: 1\n1\n2\n# a: 2\n3\n".to_vec()),
    ];
    all.extend((0..phy.len()).map(|first| several("phy", "phy", &phy, first)));
    all.extend((0..3).map(|first| several("suite2p", "suite2p", &suite2p, first)));
    all.push(several("markers", "markers", &brain, 1));
    all
}

fn open(kind: &str, files: &[(String, Vec<u8>)], limits: &Limits) -> Result<Box<dyn Document>, FormatError> {
    let bytes = || source(files[0].1.clone());
    let named: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let own = files[0].0.as_str();
    Ok(match kind {
        "edf" => Box::new(edf::open(bytes(), limits)?),
        "gdf" => Box::new(gdf_files::open(bytes(), limits)?),
        "brainvision" => Box::new(brainvision::open(&folder(&named), own, limits)?),
        "markers" => Box::new(brainvision::open(&folder(&named), "a.vhdr", limits)?),
        "eeglab" => Box::new(eeglab::open(&folder(&named), own, limits)?),
        "fif" => Box::new(fif::open(bytes(), limits)?),
        "position" => Box::new(position_tracking::open(bytes(), limits)?),
        "spikes" => Box::new(spike_text::open(bytes(), limits)?),
        "phy" => Box::new(phy_files::open(&folder(&named), "", limits)?),
        "suite2p" => Box::new(suite::open(&folder(&named), "", limits)?),
        other => panic!("{other}"),
    })
}

/// Opens and reads; an error must name a format and a place, and nothing may take long.
fn survives(sample: &Sample, files: &[(String, Vec<u8>)], what: &str) {
    let begun = Instant::now();
    match open(sample.kind, files, &limits()) {
        Ok(document) => drop(read_all(document.as_ref())),
        Err(error) => check(&error),
    }
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(10), "{}, {what}: {taken:?}", sample.name);
}

/// One to four changes in the part before `head`: a bit, a byte, a huge number, a text of digits, a cut, a repeat.
fn mutate(bytes: &[u8], head: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.roll(4) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.roll(head.min(bytes.len()));
        let end = |width: usize, bytes: &[u8]| (at + width).min(bytes.len());
        match dice.roll(8) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = dice.roll(256) as u8,
            2 => {
                let to = end(4, &bytes);
                bytes[at..to].fill(0xff);
            }
            3 => {
                let to = end(4, &bytes);
                bytes[at..to].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff][..to - at]);
            }
            4 => {
                let to = end(8, &bytes);
                bytes[at..to].copy_from_slice(&b"99999999"[..to - at]);
            }
            5 => {
                let to = end(4, &bytes);
                bytes[at..to].fill(0);
            }
            6 => bytes.truncate(at),
            _ => {
                let (from, to) = (dice.roll(bytes.len()), end(16, &bytes));
                let piece: Vec<u8> = bytes[from..(from + to - at).min(bytes.len())].to_vec();
                bytes[at..at + piece.len()].copy_from_slice(&piece);
            }
        }
    }
    bytes
}

fn damaged(sample: &Sample, bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut files = sample.files.clone();
    files[0].1 = bytes;
    files
}

fn damage(sample: &Sample, flips: usize) {
    let bytes = &sample.files[0].1;
    survives(sample, &sample.files, "whole");
    let steps = 60.min(bytes.len());
    let borders = [1, 4, 8, 16, 128, 252, 255, 256, 257, 512, sample.head.saturating_sub(1), sample.head, sample.head + 1];
    let cuts = (0..steps).map(|step| bytes.len() * step / steps.max(1)).chain(borders).filter(|&cut| cut < bytes.len());
    for cut in cuts {
        survives(sample, &damaged(sample, bytes[..cut].to_vec()), &format!("cut at {cut}"));
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64);
    for flip in 0..flips {
        survives(sample, &damaged(sample, mutate(bytes, sample.head, &mut dice)), &format!("mutation {flip}"));
    }
}

#[test]
fn built_files_survive_damage() {
    for sample in built() {
        damage(&sample, 300);
    }
}

#[test]
fn real_files_survive_damage() {
    for sample in real::small() {
        damage(&sample, 200);
    }
}

/// In place of a fuzzer, where none runs: `NEUROFLOW_MUTATIONS=20000 cargo test … mutations`.
#[test]
fn many_mutations() {
    let rounds = std::env::var("NEUROFLOW_MUTATIONS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(500);
    let samples = built();
    let mut dice = Dice(42);
    for round in 0..rounds {
        let sample = &samples[round % samples.len()];
        let bytes = mutate(&sample.files[0].1, sample.head, &mut dice);
        survives(sample, &damaged(sample, bytes), &format!("round {round}"));
    }
}
