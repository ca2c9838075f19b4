//! Matrix products and correlations.

use crate::Work;
use crate::inputs::{Inputs, Problem};
use neuroflow_compute::single::{SingleRef, gemm};
use neuroflow_compute::statistics::correlation_of_rows_single;

/// `A · B` in single precision.
pub fn matmul(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let single = |name| -> Result<(usize, Vec<f32>), Problem> {
        let (shape, values) = inputs.array(name)?;
        Ok((shape[0], values.iter().map(|&value| value as f32).collect()))
    };
    let ((n, a), (_, b)) = (single("a")?, single("b")?);
    Ok(Box::new(move || {
        let product = gemm(SingleRef::new(n, n, &a)?, SingleRef::new(n, n, &b)?)?;
        // Converting all of it would be timed as well.
        Ok(product.iter().step_by(64).map(|&value| f64::from(value)).collect())
    }))
}

/// Correlations of all pairs of rows, with products in single precision.
pub fn affinity(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let x = inputs.matrix("x")?;
    Ok(Box::new(move || Ok(correlation_of_rows_single(&x).into_values())))
}
