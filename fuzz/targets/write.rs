#![no_main]

//! Whatever is asked of the HDF5 writer is done or refused, the same way twice, and what was refused leaves a file that can be finished.

use libfuzzer_sys::fuzz_target;
use neuroflow_formats::write::hdf5::{Data, Hdf5Writer, Storage};
use std::io::Cursor;

fn prepare() {
    if let Some(folder) = std::env::var_os("NEUROFLOW_SEEDS").map(std::path::PathBuf::from) {
        for (number, seed) in [&b"\x02\x03\x04\x11\x02\x02/a/b\0/a\0name\0text"[..], b"\x01\x40\x19\x07/x\0/x/y\0.\0"].into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed{number}")), seed).expect("the folder for seeds can be written");
        }
        std::process::exit(0);
    }
}

/// A file as the bytes ask for it: axes and chunks of a few values, then names and texts between zeros.
fn written(bytes: &[u8]) -> Vec<u8> {
    let mut numbers = bytes.iter().copied();
    let mut next = || numbers.next().unwrap_or(0);
    let rank = next() % 5;
    let shape: Vec<u64> = (0..rank).map(|_| u64::from(next() % 17)).collect();
    let options = next();
    let chunk: Vec<u64> = (0..rank).map(|_| u64::from(next() % 9)).collect();
    let storage = Storage { chunk: (options & 1 > 0).then_some(chunk), shuffle: options & 2 > 0, deflate: (options & 4 > 0).then_some(u32::from(options >> 4)) };
    let texts = String::from_utf8_lossy(bytes);
    let texts: Vec<&str> = texts.split('\0').take(64).collect();
    let count = shape.iter().product::<u64>() as usize;
    let values: Vec<f32> = bytes.iter().cycle().take(if bytes.is_empty() { 0 } else { count }).map(|&byte| f32::from(byte) * 0.5).collect();
    let mut file = Hdf5Writer::new(Cursor::new(Vec::new())).expect("memory can be written");
    for (place, name) in texts.iter().enumerate() {
        let _ = match place % 4 {
            0 => file.dataset(name, &Data::F32(&values), &shape, &storage),
            1 => file.group(name),
            2 => file.dataset(name, &Data::Texts(texts.clone()), &[texts.len() as u64], &storage),
            _ => file.soft_link(name, "/"),
        };
        let _ = file.attribute("/", name, &Data::Text(name), &[]);
    }
    file.finish().expect("what was refused leaves a whole file").into_inner()
}

fuzz_target!(init: prepare(), |bytes: &[u8]| {
    assert!(written(bytes) == written(bytes));
});
