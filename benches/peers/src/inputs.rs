//! The arrays and settings of a case.

use neuroflow_compute::Matrix;
use neuroflow_data::formats::{Limits, npy};
use std::collections::BTreeMap;
use std::path::Path;

/// What went wrong.
pub type Problem = Box<dyn std::error::Error + Send + Sync>;

/// What both sides read.
pub struct Inputs {
    arrays: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    settings: serde_json::Value,
}

impl Inputs {
    /// Reads every `.npy` file of a folder, and its settings.
    pub fn read(folder: &Path) -> Result<Inputs, Problem> {
        let mut arrays = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if let (Some("npy"), Some(name)) =
                (path.extension().and_then(|end| end.to_str()), path.file_stem().and_then(|stem| stem.to_str()))
            {
                let array = npy::read_npy(&std::fs::read(&path)?, &Limits::default())?;
                arrays.insert(name.to_owned(), (array.shape.clone(), array.to_f64()?.into_owned()));
            }
        }
        let settings = serde_json::from_slice(&std::fs::read(folder.join("settings.json"))?)?;
        Ok(Inputs { arrays, settings })
    }

    /// Shape and values, row by row.
    pub fn array(&self, name: &str) -> Result<(&[usize], &[f64]), Problem> {
        let (shape, values) = self.arrays.get(name).ok_or_else(|| format!("there is no array `{name}`"))?;
        Ok((shape, values))
    }

    /// A two-dimensional array.
    pub fn matrix(&self, name: &str) -> Result<Matrix, Problem> {
        let (shape, values) = self.array(name)?;
        let [rows, cols] = shape else { return Err(format!("`{name}` has {} axes", shape.len()).into()) };
        Ok(Matrix::new(*rows, *cols, values.to_vec())?)
    }

    /// Whole numbers from 0.
    pub fn indices(&self, name: &str) -> Result<Vec<usize>, Problem> {
        Ok(self.array(name)?.1.iter().map(|&value| value as usize).collect())
    }

    /// A number.
    pub fn setting(&self, name: &str) -> Result<f64, Problem> {
        Ok(self.settings[name].as_f64().ok_or_else(|| format!("there is no setting `{name}`"))?)
    }
}
