//! Damaged files: whatever the bytes, opening and reading everything answers or says what is wrong, soon and in bounded memory.

use super::made_file;
use crate::reading::{Dice, check, limits, read_all, source};
use neuroflow_formats::{hdf5, mat73, nwb};
use std::path::Path;
use std::time::{Duration, Instant};

fn everything(name: &str, bytes: &[u8]) {
    let begun = Instant::now();
    match hdf5::open(source(bytes.to_vec()), &limits()) {
        Ok(document) => drop(read_all(&document)),
        Err(error) => check(&error),
    }
    if name.ends_with(".nwb") {
        match nwb::open(source(bytes.to_vec()), &limits()) {
            Ok(document) => drop(read_all(&document)),
            Err(error) => check(&error),
        }
    }
    if name.ends_with(".mat") {
        mat73::read_mat73(source(bytes.to_vec()), &limits()).err().iter().for_each(check);
        match mat73::open(source(bytes.to_vec()), &limits()) {
            Ok(document) => drop(read_all(&document)),
            Err(error) => check(&error),
        }
    }
    // Far more than any of these files takes, far less than a loop without an end.
    assert!(begun.elapsed() < Duration::from_secs(20), "{name} took {:?}", begun.elapsed());
}

/// Borders of structures: signatures, and what follows them.
fn borders(bytes: &[u8]) -> Vec<usize> {
    let signatures: [&[u8; 4]; 14] =
        [b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FAHD", b"FADB", b"EAHD", b"EAIB"];
    (0..bytes.len().saturating_sub(4)).filter(|at| signatures.iter().any(|own| bytes.get(*at..at + 4) == Some(own.as_slice()))).collect()
}

fn damage(name: &str, bytes: &[u8], rounds: usize) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let borders = borders(bytes);
    let mut cuts: Vec<usize> = (0..30).map(|part| bytes.len() * part / 30).collect();
    cuts.extend((0..30).filter_map(|_| borders.get(dice.roll(borders.len())).map(|at| at + dice.roll(12))));
    if rounds >= 100 {
        cuts.iter().for_each(|cut| everything(name, bytes.get(..*cut).unwrap_or(bytes)));
    }
    for round in 0..rounds {
        let mut broken = bytes.to_vec();
        for _ in 0..=dice.roll(4) {
            // Near a structure's begin two times of three, anywhere otherwise.
            let near = borders.get(dice.roll(borders.len())).map_or(0, |at| at + dice.roll(64));
            let at = if round % 3 == 0 { dice.roll(broken.len()) } else { near };
            match dice.roll(4) {
                0 => broken.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xff),
                1 => broken.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
                2 => broken.iter_mut().skip(at).take(2).for_each(|byte| *byte = 0),
                _ => {
                    let other = dice.roll(256) as u8;
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
    let files = [
        "earliest.h5",
        "latest.h5",
        "packed.h5",
        "packed_small.h5",
        "small.nwb",
        "times.nwb",
        "small.mat",
        "values73.mat",
        "virtual_late.h5",
        "szip.h5",
    ];
    for name in files {
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
