//! Non-negative factorisation by HALS, in single precision as the peer's.

use crate::Work;
use crate::inputs::{Inputs, Problem};
use neuroflow_compute::nonnegative::{Hals, Stopping, hals_single};
use neuroflow_compute::random::Stream;
use neuroflow_compute::tensor::TensorRef;

/// The relative error after the sweeps, from a random start.
pub fn hals(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let (shape, values) = inputs.array("tensor")?;
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let rank = inputs.array("a")?.0[1];
    let method = Hals { passes: inputs.setting("own_passes")? as usize, ..Hals::default() };
    let stopping = Stopping { sweeps: inputs.setting("own_sweeps")? as usize, tolerance: 0.0 };
    Ok(Box::new(move || {
        let tensor = TensorRef::new(shape, &values)?;
        Ok(vec![hals_single(tensor, rank, method, stopping, Stream::new(2))?.relative_error])
    }))
}
