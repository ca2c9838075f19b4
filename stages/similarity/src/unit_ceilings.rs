//! The noise ceiling of each unit from repeats of a condition, and scores relative to it.
//!
//! The ceiling is that of Allen et al. 2022 in units of r². Near zero it is the estimate's noise, and a quotient by it says nothing: whether there is a
//! ceiling is asked of an analysis of variance between conditions, whose F is above 1 exactly when the estimate is, with Benjamini & Hochberg's
//! correction (1995) over all units.

use crate::conditions::Observations;
use crate::failure::numerical;
use crate::paired::Samples;
use neuroflow_compute::statistics::{anova, benjamini_hochberg, mean, variance};
use neuroflow_stage::StageError;

/// The share of units that are thought to have a ceiling, of those that are, that may have none.
const FALSE_DISCOVERIES: f64 = 0.05;

/// What noise allows of one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ceiling {
    /// The share of the variance of samples that repeats have in common, 0 to 1.
    pub(crate) share: f64,
    /// Whether it is above zero by more than chance.
    pub(crate) reliable: bool,
}

/// `100 · r² / NC`, at most 100, negative r as 0; none without a ceiling reliably above zero.
pub(crate) fn noise_normalised(r: f64, ceiling: &Ceiling) -> Option<f64> {
    (ceiling.reliable && ceiling.share > 0.0).then(|| (100.0 * r.max(0.0).powi(2) / ceiling.share).min(100.0))
}

/// `NC = ncsnr² / (ncsnr² + mean over samples of 1 / repeats)`: the share of the variance of samples that repeats have in common (Allen et al.
/// 2022).
fn ceiling_of(ncsnr: f64, inverse_repeats: f64) -> f64 {
    let signal = ncsnr * ncsnr;
    if signal > 0.0 { signal / (signal + inverse_repeats) } else { 0.0 }
}

/// The noise ceiling of each target from repeats; none when a condition has a single trial. With the target brought to a variance of 1, noise is
/// the mean over conditions of the variance across repeats (divisor `n − 1`, so that two repeats do not look quieter than they are), signal what
/// remains.
///
/// # Errors
/// None that are not a mistake of ours.
pub(crate) fn noise_ceilings(observations: &Observations, samples: &Samples) -> Result<Option<Vec<Ceiling>>, StageError> {
    let members = observations.members();
    if members.iter().any(|rows| rows.len() < 2) {
        return Ok(None);
    }
    let inverse_repeats = match samples {
        Samples::Rows {} => 1.0,
        Samples::Conditions {} => members.iter().map(|rows| 1.0 / rows.len() as f64).sum::<f64>() / members.len() as f64,
    };
    let share_and_p = |target: usize| {
        let column = observations.rows.column(target);
        let scale = column.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        if scale == 0.0 {
            return (0.0, 1.0);
        }
        let column: Vec<f64> = column.iter().map(|value| value / scale).collect();
        let centre = mean(&column);
        let all = mean(&column.iter().map(|value| (value - centre) * (value - centre)).collect::<Vec<_>>());
        if all <= 1e-28 {
            return (0.0, 1.0);
        }
        let groups: Vec<Vec<f64>> = members.iter().map(|rows| rows.iter().map(|&row| column[row]).collect()).collect();
        let noise = mean(&groups.iter().map(|group| variance(group, 1)).collect::<Vec<_>>()) / all;
        let signal = (1.0 - noise).max(0.0);
        let share = if noise > 0.0 { ceiling_of((signal / noise).sqrt(), inverse_repeats) } else { 1.0 };
        (share, anova(&groups).p.unwrap_or(1.0))
    };
    let (shares, p): (Vec<f64>, Vec<f64>) = (0..observations.rows.cols()).map(share_and_p).unzip();
    let adjusted = benjamini_hochberg(&p).map_err(numerical)?;
    Ok(Some(shares.into_iter().zip(adjusted).map(|(share, p)| Ceiling { share, reliable: p <= FALSE_DISCOVERIES }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_those_of_the_written_oracles() {
        let inverse = (100.0 / 3.0 + 50.0 / 2.0 + 20.0) / 170.0;
        assert!((inverse - 0.460_784_313_7f64).abs() < 1e-9);
        assert!((ceiling_of(0.5, inverse) - 0.351_724_137_9).abs() < 1e-9);
        assert!((ceiling_of(1.0, 1.0 / 3.0) - 0.75).abs() < 1e-12);
        assert_eq!(ceiling_of(0.0, inverse), 0.0);
        let of = |share: f64| Ceiling { share, reliable: true };
        let normalised = |r: f64, share: f64| noise_normalised(r, &of(share));
        assert_eq!((normalised(-0.5, 0.5), normalised(0.9, 0.5), normalised(0.5, 0.0)), (Some(0.0), Some(100.0), None));
        assert!((normalised(0.5, 0.5).unwrap() - 50.0).abs() < 1e-12);
        assert_eq!(noise_normalised(0.9, &Ceiling { share: 0.01, reliable: false }), None);
    }
}
