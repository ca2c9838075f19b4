//! Reads the golden reference cases for tests: `.npy` arrays and scalars in `expected.json`.

use std::path::PathBuf;

use neuroflow_data::formats::{Limits, npy};

use crate::Matrix;

/// One golden case.
pub struct Case {
    folder: PathBuf,
}

impl Case {
    /// The case of a name such as `decode/shrinkage`; `None`, said plainly, where the shared folder is missing.
    pub fn open(name: &str) -> Option<Case> {
        let shared = std::env::var_os("NEUROFLOW_SHARED").map(PathBuf::from);
        let candidates = match shared {
            Some(folder) => vec![folder],
            None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1).take(3).map(|parent| parent.join("../shared")).collect(),
        };
        match candidates.iter().map(|shared| shared.join("golden").join(name)).find(|folder| folder.is_dir()) {
            Some(folder) => Some(Case { folder }),
            None => {
                println!("skipped: no shared folder at {}", candidates[0].display());
                None
            }
        }
    }

    /// Shape and values of an array, integers converted.
    pub fn array(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let bytes = std::fs::read(self.folder.join(format!("{name}.npy"))).unwrap();
        let array = npy::read_npy(&bytes, &Limits::default()).unwrap();
        let (shape, values) = (array.shape.clone(), array.to_f64().unwrap().into_owned());
        (shape, values)
    }

    /// The values of an array of complex numbers, which no reader of the program takes.
    pub fn complex(&self, name: &str) -> Vec<crate::signal::Complex<f64>> {
        let bytes = std::fs::read(self.folder.join(format!("{name}.npy"))).unwrap();
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let numbers: Vec<f64> = bytes[header..].chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect();
        numbers.chunks_exact(2).map(|pair| crate::signal::Complex::new(pair[0], pair[1])).collect()
    }

    /// A two-dimensional array.
    pub fn matrix(&self, name: &str) -> Matrix {
        let (shape, values) = self.array(name);
        Matrix::new(shape[0], shape[1], values).unwrap()
    }

    /// A list of labels or indices.
    pub fn labels(&self, name: &str) -> Vec<usize> {
        self.array(name).1.into_iter().map(|value| value as usize).collect()
    }

    /// All of `expected.json`.
    pub fn expected(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.folder.join("expected.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// A number of `expected.json`.
    pub fn number(&self, key: &str) -> f64 {
        let text = std::fs::read_to_string(self.folder.join("expected.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[key].as_f64().unwrap()
    }

    /// A number in an object of `expected.json`; `None` when it is not there.
    pub fn nested(&self, object: &str, key: &str) -> Option<f64> {
        let text = std::fs::read_to_string(self.folder.join("expected.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[object][key].as_f64()
    }
}

/// Fails with both values unless they agree within a tolerance relative to the larger of 1 and the expected value.
#[track_caller]
pub fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "found {found}, expected {expected}");
}

/// [`close`] for lists.
#[track_caller]
pub fn all_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "at {position}: found {found}, expected {expected}");
    }
}

/// A matrix of standard normal numbers from a seed.
pub fn normal_matrix(seed: u64, rows: usize, columns: usize) -> Matrix {
    let mut stream = crate::random::Stream::new(seed);
    Matrix::from_fn(rows, columns, |_, _| stream.normal())
}

/// Runs a function on 1, 2 and 4 threads and fails unless all results are equal bit for bit; gives the result.
#[track_caller]
pub fn same_on_any_threads(work: impl Fn() -> Vec<f64> + Sync) -> Vec<f64> {
    let run = |threads| crate::with_threads(threads, &work).unwrap();
    let one = run(1);
    for threads in [2, 4] {
        let many = run(threads);
        assert_eq!(one.len(), many.len());
        assert!(one.iter().zip(&many).all(|(a, b)| a.to_bits() == b.to_bits()), "{threads} threads differ from 1");
    }
    one
}
