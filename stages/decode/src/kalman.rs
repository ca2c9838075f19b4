//! The Kalman filter as a decoder: what moves smoothly is predicted from its own past and corrected by the activity of each bin.
//!
//! State z and activity x, both minus their training means, follow z(t) = A z(t−1) + w and x(t) = H z(t) + q (Wu, Gao, Bienenstock, Donoghue & Black 2006, Neural
//! Comput 18:80). A, H and the covariances W, Q come from least squares on the training trials, where the state is known. Q is shrunk by the lemma of Ledoit &
//! Wolf (2004), so that it has an inverse with more units than bins. The filter starts from the training mean and covariance of the first bin.

use crate::spectral::numerical;
use crate::symmetric_solve::solve;
use neuroflow_compute::Matrix;
use neuroflow_compute::factor::Cholesky;
use neuroflow_compute::product::{gemm, gemm_nt, gemm_tn, gram};
use neuroflow_compute::statistics::ledoit_wolf;
use neuroflow_stage::StageError;

/// A filter that has learned.
pub(crate) struct Kalman {
    /// Mean state and activity.
    state_mean: Vec<f64>,
    unit_mean: Vec<f64>,
    /// A `[state × state]`.
    transition: Matrix,
    /// W `[state × state]`.
    drift: Matrix,
    /// H `[unit × state]`.
    observation: Matrix,
    /// Q⁻¹ H `[unit × state]`.
    weighted: Matrix,
    /// Hᵀ Q⁻¹ H `[state × state]`.
    information: Matrix,
    /// Mean and covariance of the first bin.
    start: (Vec<f64>, Matrix),
}

/// What a filter learns from: one matrix `[bin × unit]` and one `[bin × state]` for each trial.
pub(crate) type Trials<'a> = &'a [(Matrix, Matrix)];

impl Kalman {
    /// Learns from trials of at least two bins.
    ///
    /// # Errors
    /// When a decomposition fails, which finite input does not reach.
    pub(crate) fn fit(trials: Trials<'_>) -> Result<Kalman, StageError> {
        let (n_units, n_states) = trials.first().map_or((0, 0), |(activity, state)| (activity.cols(), state.cols()));
        let (mut activity, mut states) =
            (stack(trials.iter().map(|trial| &trial.0), n_units)?, stack(trials.iter().map(|trial| &trial.1), n_states)?);
        let unit_mean = crate::shared_space::centre_rows(&mut activity);
        let state_mean = crate::shared_space::centre_rows(&mut states);
        let (mut before, mut after, mut first) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        for (_, state) in trials {
            let n_bins = state.rows();
            first.push(row);
            before.extend(row..row + n_bins.saturating_sub(1));
            after.extend(row + 1..row + n_bins);
            row += n_bins;
        }
        let (before, after, first) = (states.take_rows(&before), states.take_rows(&after), states.take_rows(&first));
        // Aᵀ = (Z₋ᵀ Z₋)⁻¹ Z₋ᵀ Z₊.
        let transition = solve(&gram(&before), &gemm_tn(&before, &after).map_err(numerical)?)?.transposed();
        let drift = residual_covariance(&after, &gemm_nt(&before, &transition).map_err(numerical)?);
        // Hᵀ = (Zᵀ Z)⁻¹ Zᵀ X.
        let observation = solve(&gram(&states), &gemm_tn(&states, &activity).map_err(numerical)?)?.transposed();
        let mut residuals = activity;
        let expected = gemm_nt(&states, &observation).map_err(numerical)?;
        residuals.values_mut().iter_mut().zip(expected.values()).for_each(|(value, expected)| *value -= expected);
        let noise = ledoit_wolf(&residuals).map_err(numerical)?.covariance;
        let weighted = solve(&noise, &observation)?;
        let information = symmetric(gemm_tn(&observation, &weighted).map_err(numerical)?);
        let mut centred = first;
        let mean = crate::shared_space::centre_rows(&mut centred);
        let n = centred.rows().max(1) as f64;
        let spread = gram(&centred).map(|value| value / n);
        Ok(Kalman { state_mean, unit_mean, transition, drift, observation, weighted, information, start: (mean, spread) })
    }

    /// The state in each bin `[bin × state]`, given the activity up to that bin `[bin × unit]`.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn filter(&self, activity: &Matrix) -> Result<Matrix, StageError> {
        let n_states = self.state_mean.len();
        let (mut state, mut spread) = self.start.clone();
        let mut decoded = Matrix::zeros(activity.rows(), n_states);
        for bin in 0..activity.rows() {
            if bin > 0 {
                state = product(&self.transition, &state);
                let moved = gemm(&self.transition, &spread).map_err(numerical)?;
                spread = symmetric(gemm_nt(&moved, &self.transition).map_err(numerical)?);
                spread.values_mut().iter_mut().zip(self.drift.values()).for_each(|(value, drift)| *value += drift);
            }
            spread = self.corrected(&spread)?;
            // What the units do beyond what the predicted state explains, seen by the state: Hᵀ Q⁻¹ (x − H z).
            let expected = product(&self.observation, &state);
            let surprise: Vec<f64> = activity
                .row(bin)
                .iter()
                .zip(&self.unit_mean)
                .zip(&expected)
                .map(|((value, mean), expected)| value - mean - expected)
                .collect();
            let seen: Vec<f64> = (0..n_states)
                .map(|axis| surprise.iter().enumerate().map(|(unit, value)| value * self.weighted[(unit, axis)]).sum())
                .collect();
            let correction = product(&spread, &seen);
            state.iter_mut().zip(correction).for_each(|(value, correction)| *value += correction);
            decoded
                .row_mut(bin)
                .iter_mut()
                .zip(state.iter().zip(&self.state_mean))
                .for_each(|(place, (value, mean))| *place = value + mean);
        }
        Ok(decoded)
    }

    /// (P⁻¹ + HᵀQ⁻¹H)⁻¹, written as P^½ (I + P^½ᵀ HᵀQ⁻¹H P^½)⁻¹ P^½ᵀ so that P needs no inverse where the state is known already.
    fn corrected(&self, spread: &Matrix) -> Result<Matrix, StageError> {
        let n_states = spread.rows();
        let largest = spread.diagonal().into_iter().fold(0.0, f64::max);
        if largest <= 0.0 {
            return Ok(spread.clone());
        }
        let mut raised = spread.clone();
        (0..n_states).for_each(|axis| raised[(axis, axis)] += 1e-12 * largest);
        let root = Cholesky::new(&raised).map_err(numerical)?.lower();
        let inner = gemm(&self.information, &root).map_err(numerical)?;
        let mut middle = symmetric(gemm_tn(&root, &inner).map_err(numerical)?);
        (0..n_states).for_each(|axis| middle[(axis, axis)] += 1.0);
        let half = Cholesky::new(&middle).map_err(numerical)?.solve_lower(&root.transposed()).map_err(numerical)?;
        Ok(gram(&half))
    }
}

/// Matrices under each other.
fn stack<'a>(parts: impl Iterator<Item = &'a Matrix>, columns: usize) -> Result<Matrix, StageError> {
    let values: Vec<f64> = parts.flat_map(|part| part.values().iter().copied()).collect();
    Matrix::new(values.len() / columns.max(1), columns, values).map_err(numerical)
}

/// The covariance of `values − expected`, divisor n.
fn residual_covariance(values: &Matrix, expected: &Matrix) -> Matrix {
    let n = values.rows().max(1) as f64;
    let residuals = Matrix::from_fn(values.rows(), values.cols(), |row, col| values[(row, col)] - expected[(row, col)]);
    gram(&residuals).map(|value| value / n)
}

fn symmetric(mut matrix: Matrix) -> Matrix {
    for row in 0..matrix.rows() {
        for col in 0..row {
            let mean = 0.5 * (matrix[(row, col)] + matrix[(col, row)]);
            matrix[(row, col)] = mean;
            matrix[(col, row)] = mean;
        }
    }
    matrix
}

fn product(matrix: &Matrix, vector: &[f64]) -> Vec<f64> {
    matrix.row_iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::all_close;
    use neuroflow_data::random::Stream;

    /// Trials of a one-dimensional state with A = 0.9, W = 0.19 and two units that read it with noise of variance 0.25.
    fn planted(n_trials: usize, seed: u64) -> Vec<(Matrix, Matrix)> {
        let mut stream = Stream::new(seed);
        (0..n_trials)
            .map(|_| {
                let mut state = stream.normal();
                let (mut activity, mut states) = (Vec::new(), Vec::new());
                for bin in 0..50 {
                    if bin > 0 {
                        state = 0.9 * state + 0.19f64.sqrt() * stream.normal();
                    }
                    states.push(state + 2.0);
                    activity.extend([1.0 * state + 0.5 * stream.normal(), -0.5 * state + 0.5 * stream.normal() + 3.0]);
                }
                (Matrix::new(50, 2, activity).unwrap(), Matrix::new(50, 1, states).unwrap())
            })
            .collect()
    }

    #[test]
    fn planted_dynamics_are_found() {
        let fitted = Kalman::fit(&planted(200, 1)).unwrap();
        all_close(fitted.transition.values(), &[0.9], 0.02);
        all_close(fitted.drift.values(), &[0.19], 0.01);
        all_close(fitted.observation.values(), &[1.0, -0.5], 0.02);
        all_close(fitted.information.values(), &[1.25 / 0.25], 0.2);
    }

    #[test]
    fn filtering_is_the_textbook_recursion_with_gains() {
        let fitted = Kalman::fit(&planted(30, 2)).unwrap();
        let (activity, _) = planted(1, 9).swap_remove(0);
        let found = fitted.filter(&activity).unwrap();
        // K = P Hᵀ (H P Hᵀ + Q)⁻¹, with the covariance of the residuals as the fit has it: HᵀQ⁻¹ is known, Q is not kept, so by the scalar form.
        let (a, w, information) = (fitted.transition[(0, 0)], fitted.drift[(0, 0)], fitted.information[(0, 0)]);
        let (mut z, mut p) = (fitted.start.0[0], fitted.start.1[(0, 0)]);
        for bin in 0..50 {
            if bin > 0 {
                z *= a;
                p = a * a * p + w;
            }
            p = p / (1.0 + p * information);
            let seen: f64 = (0..2)
                .map(|unit| {
                    fitted.weighted[(unit, 0)] * (activity[(bin, unit)] - fitted.unit_mean[unit] - fitted.observation[(unit, 0)] * z)
                })
                .sum();
            z += p * seen;
            all_close(&[found[(bin, 0)]], &[z + fitted.state_mean[0]], 1e-9);
        }
    }

    #[test]
    fn the_filter_is_nearer_to_the_state_than_one_bin_alone() {
        let fitted = Kalman::fit(&planted(100, 3)).unwrap();
        let (mut by_filter, mut by_bin) = (0.0, 0.0);
        for (activity, states) in planted(40, 4) {
            let found = fitted.filter(&activity).unwrap();
            for bin in 0..50 {
                by_filter += (found[(bin, 0)] - states[(bin, 0)]).powi(2);
                let alone = (activity[(bin, 0)] - 0.5 * (activity[(bin, 1)] - 3.0)) / 1.25 + 2.0;
                by_bin += (alone - states[(bin, 0)]).powi(2);
            }
        }
        assert!(by_filter < 0.7 * by_bin, "{by_filter} {by_bin}");
    }
}
