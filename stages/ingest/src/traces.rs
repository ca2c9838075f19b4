//! Work on each trace of a session, one unit in one trial: shared by the stages for sampled signals.

use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::{ComputeError, with_threads};
use neuroflow_data::{Responses, Tensor};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{Context, StageError};

/// The sampling rate of a session without gaps, in hertz.
///
/// # Errors
/// When a value is not finite, or the bins have no common step.
pub(crate) fn sampling_rate(responses: &Responses) -> Result<f64, StageError> {
    require_finite(&format!("session `{}`", responses.session), responses.values())?;
    Ok(responses.sampling_rate()?)
}

/// What `work` makes of each trace of a tensor `[trial × unit × bin]`, one after the other, on the threads of the context.
///
/// # Errors
/// The first refusal in the order of the traces, or that the work was cancelled.
pub(crate) fn each_trace(
    session: &str,
    tensor: &Tensor,
    context: &Context,
    work: impl Fn(&[f64]) -> Result<Vec<f64>, ComputeError> + Sync + Send,
) -> Result<Vec<f64>, StageError> {
    context.cancel.check()?;
    let (length, values) = (tensor.axes().last().map_or(0, |axis| axis.len()), tensor.values());
    let n = values.len().checked_div(length).unwrap_or(0);
    let one = |trace: usize| match context.cancel.is_cancelled() {
        true => Ok(Vec::new()),
        false => work(&values[trace * length..(trace + 1) * length]),
    };
    let traces = with_threads(context.threads, || map_in_order(n, one)).map_err(|error| refused(session, error))?;
    context.cancel.check()?;
    let mut all = Vec::with_capacity(values.len());
    for trace in traces {
        all.extend(trace.map_err(|error| refused(session, error))?);
    }
    Ok(all)
}

/// A kernel's refusal with the session's name.
pub(crate) fn refused(session: &str, error: ComputeError) -> StageError {
    StageError::refused(format!("session `{session}`: {error}"))
}
