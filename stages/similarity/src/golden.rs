//! Golden reference cases for tests.

use neuroflow_data::formats::{Limits, npy};
use std::path::PathBuf;

/// The shared folder with reference cases; none, said plainly, where it is missing.
pub(crate) fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("NEUROFLOW_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: no shared folder at {}", root.display());
    None
}

/// Shape and values of an array of a case.
pub(crate) fn array(case: &str, name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
    let bytes = std::fs::read(shared()?.join("golden/similarity").join(case).join(format!("{name}.npy"))).unwrap();
    let array = npy::read_npy(&bytes, &Limits::default()).unwrap();
    Some((array.shape.clone(), array.to_f64().unwrap().into_owned()))
}
