//! Kernels' refusals in a stage's words.

use neuroflow_compute::ComputeError;
use neuroflow_stage::StageError;

/// Inputs are checked before kernels are called, so a kernel that refuses tells of numbers that it can't work with.
pub(crate) fn numerical(error: ComputeError) -> StageError {
    StageError::refused(format!("the numbers do not allow it: {error}"))
}
