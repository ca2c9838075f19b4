//! How alike two vectors of dissimilarities are.

use crate::failure::numerical;
use neuroflow_compute::geometry::{Likeness, TrianglePair};
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
        /// As `kendall_tau_a`, corrected for ties on both sides.
        KendallTauB = "kendall_tau_b" {},
        /// The expected rank correlation under random breaking of ties.
        RhoA = "rho_a" {},
        /// Cosine after whitening by the covariance that pattern noise gives to dissimilarities (Diedrichsen et al. 2021); for distances that can
        /// be negative.
        WhitenedCosine = "whitened_cosine" {},
        /// Correlation after the same whitening.
        WhitenedPearson = "whitened_pearson" {},
    }
}

impl Comparison {
    /// The kernel's word for it.
    pub(crate) fn likeness(&self) -> Likeness {
        match self {
            Comparison::Spearman {} => Likeness::Spearman,
            Comparison::Pearson {} => Likeness::Pearson,
            Comparison::Cosine {} => Likeness::Cosine,
            Comparison::KendallTauA {} => Likeness::KendallTauA,
            Comparison::KendallTauB {} => Likeness::KendallTauB,
            Comparison::RhoA {} => Likeness::RhoA,
            Comparison::WhitenedCosine {} => Likeness::WhitenedCosine,
            Comparison::WhitenedPearson {} => Likeness::WhitenedPearson,
        }
    }

    /// The likeness of RDMs that have nothing in common; none for cosines, which are large for any two RDMs without negative values.
    pub(crate) fn chance(&self) -> Option<f64> {
        match self {
            Comparison::Cosine {} | Comparison::WhitenedCosine {} => None,
            _ => Some(0.0),
        }
    }

    /// Two upper triangles over `conditions` conditions, prepared for comparison and resampling.
    ///
    /// # Errors
    /// When lengths do not fit, or values are not finite.
    pub(crate) fn pair(&self, conditions: usize, a: &[f64], b: &[f64]) -> Result<TrianglePair, StageError> {
        TrianglePair::new(conditions, a, b, self.likeness()).map_err(numerical)
    }

    /// The likeness of two upper triangles; none where it is not defined (a constant one).
    ///
    /// # Errors
    /// As [`Comparison::pair`].
    pub(crate) fn of(&self, conditions: usize, a: &[f64], b: &[f64]) -> Result<Option<f64>, StageError> {
        Ok(self.pair(conditions, a, b)?.value())
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
                ("kendall", Comparison::KendallTauB {}),
                ("rho-a", Comparison::RhoA {}),
            ] {
                let expected = golden::array("compare", &format!("{name}{suffix}")).unwrap().1;
                for (i, left) in a.chunks(n).enumerate() {
                    for (j, right) in b.chunks(n).enumerate() {
                        let found = comparison.of(12, left, right).unwrap().unwrap();
                        let want = expected[i * (b.len() / n) + j];
                        assert!((found - want).abs() < 1e-10, "{name}{suffix}: {found} {want}");
                    }
                }
            }
        }
    }
}
