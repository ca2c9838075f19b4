//! Corrections for many tests.

use crate::ComputeError;

/// Benjamini & Hochberg's adjusted p values (1995): a test is a discovery at false discovery rate `q` when its adjusted value is at most `q`. Refuses values outside of 0–1.
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>, ComputeError> {
    let order = ascending(p)?;
    let n = p.len() as f64;
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 1.0f64;
    for (rank, &test) in order.iter().enumerate().rev() {
        least = least.min(p[test] * n / (rank as f64 + 1.0));
        adjusted[test] = least;
    }
    Ok(adjusted)
}

/// Holm's adjusted p values (1979), which hold the chance of any false discovery. Refuses values outside of 0–1.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, ComputeError> {
    let order = ascending(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 0.0f64;
    for (rank, &test) in order.iter().enumerate() {
        most = most.max(p[test] * (p.len() - rank) as f64).min(1.0);
        adjusted[test] = most;
    }
    Ok(adjusted)
}

/// Tests by ascending p value.
fn ascending(p: &[f64]) -> Result<Vec<usize>, ComputeError> {
    if let Some(test) = p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(ComputeError::value(
            "correction for many tests",
            format!("p value {test} is {}; a p value lies between 0 and 1", p[test]),
        ));
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close};

    #[test]
    fn adjusted_values_match_statsmodels() {
        let Some(case) = Case::open("stats/multiple") else { return };
        let p = case.array("p").1;
        all_close(&benjamini_hochberg(&p).unwrap(), &case.array("p_bh").1, 1e-12);
        all_close(&holm(&p).unwrap(), &case.array("p_holm").1, 1e-12);
    }

    #[test]
    fn small_cases_are_as_by_hand() {
        let p = [0.01, 0.04, 0.03, 0.5];
        all_close(&benjamini_hochberg(&p).unwrap(), &[0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5], 1e-15);
        all_close(&holm(&p).unwrap(), &[0.04, 0.09, 0.09, 0.5], 1e-15);
        assert_eq!(holm(&[0.9, 0.8]).unwrap(), [1.0, 1.0]);
        assert!(holm(&[0.2, f64::NAN]).is_err() && benjamini_hochberg(&[1.2]).is_err());
        assert_eq!(holm(&[]).unwrap(), Vec::<f64>::new());
    }
}
