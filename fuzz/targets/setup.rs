//! What all targets share: small limits, seeds made by code, and a panic hook that lets the readers catch what they promise to catch.

#[path = "../../data/tests/formats/mat5_bytes.rs"]
mod mat5_bytes;
#[path = "../../data/tests/formats/small_files.rs"]
pub mod small_files;

use std::path::PathBuf;

use neuroflow_data::formats::{Limits, panics_become_errors};

/// Limits far below the memory that the fuzzer allows, so that breaking them shows.
pub fn limits() -> Limits {
    Limits { max_total_bytes: 64 << 20, free_bytes: 16 << 20, ..Limits::default() }
}

/// Prepares a target. With `NEUROFLOW_SEEDS=FOLDER` in the environment it only writes the small files for `target` there and leaves.
///
/// The seeds come out of the target itself, because a program of their own would mean building everything twice.
pub fn prepare(target: &str) {
    if let Some(folder) = std::env::var_os("NEUROFLOW_SEEDS").map(PathBuf::from) {
        for (number, (_, bytes)) in small_files::all().into_iter().enumerate().filter(|(_, (format, _))| *format == target) {
            std::fs::write(folder.join(format!("seed{number}")), bytes).expect("the folder for seeds can be written");
        }
        // Files of HDF5 are kept as they are, for they are too intricate to be put together here.
        if target == "hdf5" {
            let files: [&[u8]; 5] = [
                include_bytes!("../../formats/tests/files/earliest.h5.gz"),
                include_bytes!("../../formats/tests/files/packed_small.h5.gz"),
                include_bytes!("../../formats/tests/files/latest.h5.gz"),
                include_bytes!("../../formats/tests/files/small.nwb.gz"),
                include_bytes!("../../formats/tests/files/small.mat.gz"),
            ];
            for (number, file) in files.into_iter().enumerate() {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).expect("a file of ours is whole");
                std::fs::write(folder.join(format!("kept{number}")), bytes).expect("the folder for seeds can be written");
            }
        }
        std::process::exit(0);
    }
    // The fuzzer aborts on any panic. The readers of Parquet and Arrow turn panics of their decoders into errors; only those may pass.
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panics_become_errors() {
            abort(panic);
        }
    }));
}
