//! Damaged files: whatever the bytes, opening and reading everything answers or says what is wrong, soon and in bounded memory.

use super::{made_file, source};
use neuroflow_data::formats::{FormatError, Limits};
use neuroflow_formats::{Document, What, hdf5, mat73, nwb};
use std::path::Path;
use std::time::{Duration, Instant};

fn limits() -> Limits {
    Limits { max_total_bytes: 64 << 20, free_bytes: 8 << 20, ..Limits::default() }
}

fn told(error: &FormatError) {
    let text = error.to_string();
    assert!(["HDF5: ", "NWB: ", "MATLAB 7.3 .mat: "].iter().any(|format| text.starts_with(format)), "{text}");
    assert!(!error.reason.is_empty() && !error.help.is_empty(), "{text}");
}

/// Asks a document for everything that it lists.
fn read_all(document: &dyn Document) {
    let contents = document.contents();
    for item in &contents.items {
        let path = item.path.as_str();
        let tensor = match &item.what {
            What::Array { .. } => document.tensor(path, None).err(),
            What::Recording { .. } => document
                .signals(path)
                .and_then(|signals| {
                    let all: Vec<usize> = (0..signals.channels().len().min(4)).collect();
                    let mut values = Vec::new();
                    all.iter().try_for_each(|channel| signals.read(*channel, 0..1000, &mut values))?;
                    signals.recording(contents.format, "", &all).map(|_| ())
                })
                .err(),
            What::Spikes { .. } => document.spikes(path).err(),
            What::Events { .. } => document.events(path).err(),
            _ => None,
        };
        tensor.iter().for_each(told);
        if matches!(item.what, What::Group | What::Value(_) | What::Text { .. }) {
            continue;
        }
        match document.rows(path) {
            Ok(rows) => {
                let all: Vec<usize> = (0..rows.schema().fields().len().min(50)).collect();
                rows.read(&all, 0..rows.count()).err().iter().for_each(told);
                rows.read(&all, 1..2).err().iter().for_each(told);
            }
            Err(error) => told(&error),
        }
    }
}

fn everything(name: &str, bytes: &[u8]) {
    let begun = Instant::now();
    match hdf5::open(source(bytes.to_vec()), &limits()) {
        Ok(document) => read_all(&document),
        Err(error) => told(&error),
    }
    if name.ends_with(".nwb") {
        match nwb::open(source(bytes.to_vec()), &limits()) {
            Ok(document) => read_all(&document),
            Err(error) => told(&error),
        }
    }
    if name.ends_with(".mat") {
        mat73::read_mat73(source(bytes.to_vec()), &limits()).err().iter().for_each(told);
        match mat73::open(source(bytes.to_vec()), &limits()) {
            Ok(document) => read_all(&document),
            Err(error) => told(&error),
        }
    }
    // Far more than any of these files takes, far less than a loop without an end.
    assert!(begun.elapsed() < Duration::from_secs(20), "{name} took {:?}", begun.elapsed());
}

/// Numbers that are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Borders of structures: signatures, and what follows them.
fn borders(bytes: &[u8]) -> Vec<usize> {
    let signatures: [&[u8; 4]; 14] =
        [b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FAHD", b"FADB", b"EAHD", b"EAIB"];
    (0..bytes.len().saturating_sub(4)).filter(|at| signatures.iter().any(|own| bytes.get(*at..at + 4) == Some(own.as_slice()))).collect()
}

fn damage(name: &str, bytes: &[u8], rounds: usize) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let borders = borders(bytes);
    let mut cuts: Vec<usize> = (0..30).map(|part| bytes.len() * part / 30).collect();
    cuts.extend((0..30).filter_map(|_| borders.get(random.below(borders.len())).map(|at| at + random.below(12))));
    if rounds >= 100 {
        cuts.iter().for_each(|cut| everything(name, bytes.get(..*cut).unwrap_or(bytes)));
    }
    for round in 0..rounds {
        let mut broken = bytes.to_vec();
        for _ in 0..=random.below(4) {
            // Near a structure's begin two times of three, anywhere otherwise.
            let near = borders.get(random.below(borders.len())).map_or(0, |at| at + random.below(64));
            let at = if round % 3 == 0 { random.below(broken.len()) } else { near };
            match random.below(4) {
                0 => broken.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xff),
                1 => broken.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
                2 => broken.iter_mut().skip(at).take(2).for_each(|byte| *byte = 0),
                _ => {
                    let other = random.below(256) as u8;
                    broken.iter_mut().skip(at).take(1).for_each(|byte| *byte = other);
                }
            }
        }
        everything(name, &broken);
    }
}

/// How often each file is damaged: more with `NEUROFLOW_DAMAGE` in the environment.
fn rounds(usual: usize) -> usize {
    std::env::var("NEUROFLOW_DAMAGE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

#[test]
fn damaged_made_files_are_told() {
    for name in ["earliest.h5", "latest.h5", "small.nwb", "small.mat"] {
        damage(name, &made_file(name), rounds(300));
    }
}

#[test]
fn damaged_real_files_are_told() {
    let shared =
        std::env::var_os("NEUROFLOW_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), Into::into);
    let folder = shared.join("data/nwb");
    let Ok(files) = std::fs::read_dir(&folder) else { return println!("skipped: no shared folder at {}", shared.display()) };
    for file in files {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes.len() < 2_000_000 {
            damage(&path.to_string_lossy(), &bytes, rounds(100).min(400));
        }
    }
}
