//! A choice of trials, units or bins of a session, with everything that belongs to them.

use neuroflow_data::{DataError, Responses, Tensor};

/// The tensor at `positions` along one of its three axes.
fn along(tensor: &Tensor, axis: usize, positions: &[usize]) -> Result<Tensor, DataError> {
    let shape = tensor.shape();
    let length = |position: usize| shape.get(position).copied().unwrap_or(1);
    let (outer, inner) = ((0..axis).map(length).product::<usize>(), (axis + 1..shape.len()).map(length).product::<usize>());
    let mut values = Vec::with_capacity(outer * positions.len() * inner);
    for block in 0..outer {
        for &position in positions {
            let start = (block * length(axis) + position) * inner;
            values.extend_from_slice(tensor.values().get(start..start + inner).unwrap_or(&[]));
        }
    }
    let mut axes = tensor.axes().to_vec();
    if let Some(place) = axes.get_mut(axis) {
        *place = place.select(positions);
    }
    Tensor::new(axes, tensor.unit(), values)
}

/// Chosen trials, with their rows of the trial table and the animal's signals.
///
/// # Errors
/// When a position is beyond its axis.
pub fn of_trials(responses: &Responses, trials: &[usize]) -> Result<Responses, DataError> {
    let covariates = responses.covariates().map(|covariates| along(covariates, 0, trials)).transpose()?;
    let table = responses.trials().select(trials)?;
    let mut subset = Responses::new(responses.session.clone(), along(responses.values(), 0, trials)?, table, covariates)?;
    subset.sources.clone_from(&responses.sources);
    Ok(subset)
}

/// Chosen units, with their properties, and chosen signals of the animal; no signals at all when none is chosen.
///
/// # Errors
/// When a position is beyond its axis.
pub fn of_units(responses: &Responses, units: &[usize], signals: &[usize]) -> Result<Responses, DataError> {
    let covariates = match responses.covariates() {
        Some(covariates) if !signals.is_empty() => Some(along(covariates, 1, signals)?),
        _ => None,
    };
    responses.with_values(along(responses.values(), 1, units)?, covariates)
}

/// Chosen bins, of the activity and of the animal's signals.
///
/// # Errors
/// When a position is beyond its axis.
pub fn of_bins(responses: &Responses, bins: &[usize]) -> Result<Responses, DataError> {
    let covariates = responses.covariates().map(|covariates| along(covariates, 2, bins)).transpose()?;
    responses.with_values(along(responses.values(), 2, bins)?, covariates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, session};

    #[test]
    fn trials_units_and_bins_keep_their_values_labels_and_rows() {
        let responses = counted(4, 3, 5);
        let fewer = of_bins(&of_units(&of_trials(&responses, &[2, 0]).unwrap(), &[1], &[1]).unwrap(), &[4, 1]).unwrap();
        let from = |trial, bin: usize| responses.trace(trial, 1)[bin];
        assert_eq!(fewer.values().values(), [from(2, 4), from(2, 1), from(0, 4), from(0, 1)]);
        assert_eq!(fewer.units().coordinates.label(0), "neuron2");
        assert_eq!(fewer.trials().integers("trial").unwrap(), [2, 0]);
        assert_eq!(fewer.covariate("pupil").unwrap().len(), 4);
        assert_eq!(fewer.covariate("speed"), None);
        assert_eq!(fewer.sources, responses.sources);
    }

    #[test]
    fn choosing_nothing_gives_empty_sessions_not_errors() {
        let responses = session(&[0.0, 45.0], 2, vec![0.0; 20], 5);
        assert_eq!(of_trials(&responses, &[]).unwrap().n_trials(), 0);
        assert_eq!(of_units(&responses, &[], &[]).unwrap().n_units(), 0);
    }
}
