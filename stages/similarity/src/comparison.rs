//! How alike two vectors of dissimilarities are.

use crate::failure::numerical;
use neuroflow_compute::statistics::{average_ranks, kendall_tau_a, pearson, spearman};
use neuroflow_stage::{StageError, words};

words! {
    /// How two RDMs are compared.
    pub enum Comparison {
        /// Rank correlation.
        Spearman = "spearman" {},
        /// Correlation.
        Pearson = "pearson" {},
        /// Cosine of the angle.
        Cosine = "cosine" {},
        /// Share of concordant minus discordant pairs, ties counted as neither: fair to models that predict ties.
        KendallTauA = "kendall_tau_a" {},
        /// The expected rank correlation under random breaking of ties.
        RhoA = "rho_a" {},
    }
}

impl Comparison {
    /// The likeness of two vectors of equal length; none where it is not defined (a constant vector).
    ///
    /// # Errors
    /// When lengths differ.
    pub fn of(&self, a: &[f64], b: &[f64]) -> Result<Option<f64>, StageError> {
        let value = match self {
            Comparison::Spearman {} => spearman(a, b).map_err(numerical)?,
            Comparison::Pearson {} => pearson(a, b).map_err(numerical)?,
            Comparison::KendallTauA {} => kendall_tau_a(a, b).map_err(numerical)?,
            Comparison::Cosine {} => {
                let inner = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
                inner(a, b) / (inner(a, a) * inner(b, b)).sqrt()
            }
            Comparison::RhoA {} => {
                // Schütt et al. 2023: 12 Σ r_i s_i / (n³ − n) − 3 (n + 1) / (n − 1), with mean ranks.
                let n = a.len() as f64;
                let inner: f64 = average_ranks(a).iter().zip(average_ranks(b)).map(|(x, y)| x * y).sum();
                12.0 * inner / (n * n * n - n) - 3.0 * (n + 1.0) / (n - 1.0)
            }
        };
        Ok(value.is_finite().then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn comparisons_are_those_of_rsatoolbox_with_and_without_ties() {
        let Some((shape, _)) = golden::array("compare", "a") else { return };
        // Values rounded to one decimal, as the reference made its ties.
        for (ties, suffix) in [(false, ""), (true, "_ties")] {
            let read = |name: &str| {
                let values = golden::array("compare", name).unwrap().1;
                if ties { values.iter().map(|value| (value * 10.0).round_ties_even() / 10.0).collect() } else { values }
            };
            let (a, b): (Vec<f64>, Vec<f64>) = (read("a"), read("b"));
            let n = shape[1];
            for (name, comparison) in [
                ("spearman", Comparison::Spearman {}),
                ("corr", Comparison::Pearson {}),
                ("cosine", Comparison::Cosine {}),
                ("tau-a", Comparison::KendallTauA {}),
                ("rho-a", Comparison::RhoA {}),
            ] {
                let expected = golden::array("compare", &format!("{name}{suffix}")).unwrap().1;
                for (i, left) in a.chunks(n).enumerate() {
                    for (j, right) in b.chunks(n).enumerate() {
                        let found = comparison.of(left, right).unwrap().unwrap();
                        let want = expected[i * (b.len() / n) + j];
                        assert!((found - want).abs() < 1e-10, "{name}{suffix}: {found} {want}");
                    }
                }
            }
        }
    }
}
