//! Non-negative factorisation by HALS.

use crate::Work;
use crate::inputs::{Inputs, Problem};
use neuroflow_compute::nonnegative::{Entries, Hals, Stopping, hals as factorise};
use neuroflow_compute::random::Stream;
use neuroflow_compute::tensor::TensorRef;

/// The relative error after the sweeps, from a random start.
pub fn hals(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let (shape, values) = inputs.array("tensor")?;
    let rank = inputs.array("a")?.0[1];
    let stopping = Stopping { sweeps: inputs.setting("sweeps")? as usize, tolerance: 0.0 };
    let tensor = TensorRef::new(shape, values)?;
    Ok(Box::new(move || Ok(vec![factorise(Entries::Dense(tensor), rank, Hals::default(), stopping, Stream::new(2))?.relative_error])))
}
