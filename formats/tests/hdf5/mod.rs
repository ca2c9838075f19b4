//! HDF5, NWB and MATLAB 7.3: files that this project made, real files, and damage of both.

mod damage;
mod made;
mod meaning;
mod real;

use std::io::Read;
use std::path::Path;

/// A file below `tests/files`, made by `tests/reference/small_files.py`.
pub fn made_file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(format!("{name}.gz"));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}
