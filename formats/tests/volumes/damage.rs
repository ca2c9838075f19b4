//! Cut, flipped and inflated files: opening and reading return, with an error that says where, and soon.

use super::doors::{open, open_zarr, read};
use super::seeds::{seeds, workbooks, zarr_files};
use crate::reading::{Dice, check, limits, read_all};
use crate::small_files::zip;
use std::time::{Duration, Instant};

fn tried(sort: &str, bytes: Vec<u8>) {
    let started = Instant::now();
    match open(sort, bytes, &limits()) {
        Ok(document) => {
            read_all(document.as_ref());
        }
        Err(error) => check(&error),
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{sort} took {:?}", started.elapsed());
}

/// One way to damage bytes.
fn damaged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut own = bytes.to_vec();
    for _ in 0..1 + dice.roll(3) {
        // Half of the places lie in the head, where lengths and types are.
        let place = if dice.roll(2) == 0 { dice.roll(own.len().min(600)) } else { dice.roll(own.len()) };
        match dice.roll(6) {
            0 => own.truncate(place),
            1 => {
                if let Some(byte) = own.get_mut(place) {
                    *byte ^= 1 << dice.roll(8);
                }
            }
            2 => {
                if let Some(byte) = own.get_mut(place) {
                    *byte = dice.roll(256) as u8;
                }
            }
            3 => {
                let start = place.min(own.len());
                let end = (start + [2, 4, 8][dice.roll(3)]).min(own.len());
                own[start..end].fill(if dice.roll(2) == 0 { 0xff } else { 0x7f });
            }
            4 => {
                let end = (place + dice.roll(40)).min(own.len());
                let piece: Vec<u8> = own[place.min(end)..end].to_vec();
                let at = dice.roll(own.len() + 1);
                own.splice(at..at, piece);
            }
            _ => {
                let end = (place + dice.roll(20)).min(own.len());
                own.drain(place.min(end)..end);
            }
        }
    }
    own
}

fn real() -> Vec<(&'static str, Vec<u8>)> {
    [
        ("nifti", "nitime/fmri1.nii.gz"),
        ("nifti", "fmri-haxby/example4d.nii.gz"),
        ("idx", "fashion-mnist/t10k-labels-idx1-ubyte.gz"),
        ("picture", "natural-images/flower.jpg"),
        ("excel", "worm-connectomes/NeuronConnect.xls"),
        ("gml", "networks/karate_club.gml"),
        ("edge_list", "mouse-dti-connectomes/sub-54811_ses-1_dti.edgelist.gz"),
        ("npy", "suite2p-mouse/iscell.npy"),
        ("npy", "zebrafish-regions/region_names.npy"),
        ("npz", "v1-gratings-calcium/230810_mrcuts29_fov2_grat-000.npz"),
        ("mat5", "it-zhang-desimone-7objects/bp1001spk_01A_raster_data.mat"),
        ("mat5", "human-sc-fc/gw/NAP_001/DTI_CM.mat"),
        ("onnx", "vision-models/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    ]
    .into_iter()
    .filter_map(|(sort, path)| Some((sort, read(path)?)))
    .chain(samples())
    .collect()
}

/// Files that `reference/volumes_samples.py` has written, where `NEUROFLOW_SAMPLES` names their folder.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let Some(folder) = std::env::var_os("NEUROFLOW_SAMPLES") else { return Vec::new() };
    let sorts = [
        (".nii", "nifti"),
        (".nii.gz", "nifti"),
        (".gii", "gifti"),
        (".png", "picture"),
        (".jpg", "picture"),
        (".tif", "picture"),
        (".xlsx", "excel"),
        (".graphml", "graphml"),
        (".npy", "npy"),
        (".npz", "npz"),
        (".mat", "mat5"),
        (".parquet", "parquet"),
        (".safetensors", "safetensors"),
    ];
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sorted = |path: std::path::PathBuf| {
        let name = path.to_string_lossy().into_owned();
        let (_, sort) = sorts.iter().find(|(ending, _)| name.ends_with(ending))?;
        let bytes = std::fs::read(&path).ok().filter(|bytes| bytes.len() < 1 << 20)?;
        Some((*sort, bytes))
    };
    files.filter_map(sorted).collect()
}

/// How many mutations of each seed; `NEUROFLOW_MUTATIONS` sets more.
fn rounds(usual: usize) -> usize {
    std::env::var("NEUROFLOW_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

#[test]
fn small_files_of_every_format_take_any_damage() {
    for (sort, bytes) in seeds() {
        let sound = open(sort, bytes.clone(), &limits()).unwrap_or_else(|error| panic!("{sort}: {error}"));
        assert!(read_all(sound.as_ref()).answers > 0, "{sort}");
        (0..bytes.len()).for_each(|end| tried(sort, bytes[..end].to_vec()));
        let mut dice = Dice(11);
        (0..rounds(1000)).for_each(|_| tried(sort, damaged(&bytes, &mut dice)));
    }
}

#[test]
fn real_files_take_cuts_and_flips() {
    for (sort, bytes) in real() {
        let step = (bytes.len() / 20).max(1);
        let ends = (0..bytes.len()).step_by(step).chain((0..400.min(bytes.len())).step_by(10));
        ends.for_each(|end| tried(sort, bytes[..end].to_vec()));
        let mut dice = Dice(5);
        (0..rounds(2000) / 50).for_each(|_| tried(sort, damaged(&bytes, &mut dice)));
    }
}

#[test]
fn zarr_takes_any_damage() {
    let files = zarr_files();
    let sound = open_zarr(&files, &limits()).unwrap();
    assert!(read_all(&sound).answers > 0);
    let mut dice = Dice(3);
    for _ in 0..rounds(1000) {
        let mut own = files.clone();
        for _ in 0..1 + dice.roll(2) {
            let place = dice.roll(own.len());
            own[place].1 = damaged(&own[place].1, &mut dice);
        }
        let started = Instant::now();
        match open_zarr(&own, &limits()) {
            Ok(document) => {
                read_all(&document);
            }
            Err(error) => check(&error),
        }
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn workbooks_take_any_damage_to_a_member() {
    for book in workbooks() {
        let book: Vec<(&str, Vec<u8>)> = book.into_iter().map(|(name, text)| (name, text.as_bytes().to_vec())).collect();
        let packed = |book: &[(&str, Vec<u8>)]| {
            let members: Vec<(&str, &[u8])> = book.iter().map(|(name, text)| (*name, text.as_slice())).collect();
            zip(&members, true)
        };
        let sound = open("excel", packed(&book), &limits()).unwrap();
        let numbers = sound.tensor("One", None).unwrap();
        assert!(numbers.values().contains(&1.5), "{numbers:?}");
        let mut dice = Dice(8);
        for _ in 0..rounds(1000) {
            let mut own = book.clone();
            let place = dice.roll(own.len());
            own[place].1 = damaged(&own[place].1, &mut dice);
            tried("excel", packed(&own));
        }
    }
}
