//! The description length of a weighted graph under a stochastic block model, in nats (Peixoto's microcanonical formulation; flat prior on edge counts).
//!
//! `n_r` are block sizes, `m_rs` edges between blocks, `e_rs = m_rs` for `r ≠ s` and `e_rr = 2 m_rr`, `e_r = Σ_s e_rs`, `k_i` degrees, `S_rs` summed weights.
//! Parallel edges do not occur, so `Σ ln A_ij!` is zero.

use neuroflow_compute::statistics::{log_binomial, log_factorial, log_gamma};

/// How weights are modelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weights {
    /// Not at all: only which edges exist counts.
    None,
    /// Exponential with a rate for each pair of blocks; Gamma prior of shape 1 and rate θ.
    Exponential {
        /// θ, the mean weight of the graph.
        rate: f64,
    },
    /// Normal with a mean for each pair of blocks around 0 of the standardised weights, unit variance within, prior variance 1 on the means.
    Normal,
}

/// Sufficient statistics of a pair of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Pair {
    /// The number of edges.
    pub(crate) edges: u64,
    /// The sum of weights (for `Normal`, of standardised weights).
    pub(crate) sum: f64,
    /// The sum of squared weights.
    pub(crate) squares: f64,
}

/// What the model is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    pub(crate) weights: Weights,
    pub(crate) degree_corrected: bool,
    pub(crate) nodes: u64,
    pub(crate) edges: u64,
}

impl Model {
    /// What a pair of blocks (r ≤ s) adds: structure and weights.
    pub(crate) fn pair(&self, pair: &Pair, same: bool) -> f64 {
        if pair.edges == 0 {
            return 0.0;
        }
        // (2m)!! = 2^m m!
        let structure =
            if same { -(pair.edges as f64 * std::f64::consts::LN_2 + log_factorial(pair.edges)) } else { -log_factorial(pair.edges) };
        structure + self.weights(pair)
    }

    fn weights(&self, pair: &Pair) -> f64 {
        let m = pair.edges as f64;
        match self.weights {
            Weights::None => 0.0,
            // Shape r0 = 1: ln Γ(1) = 0.
            Weights::Exponential { rate } => -(rate.ln() + log_gamma(m + 1.0) - (m + 1.0) * (pair.sum + rate).ln()),
            Weights::Normal => {
                // Marginal likelihood with mean ~ N(0, 1), variance 1.
                0.5 * m * (2.0 * std::f64::consts::PI).ln() + 0.5 * (m + 1.0).ln() + 0.5 * (pair.squares - pair.sum * pair.sum / (m + 1.0))
            }
        }
    }

    /// What a block adds: `size` nodes, `ends` edge ends (`e_r`). The nodes' own degrees are in [`Model::constant`].
    pub(crate) fn block(&self, size: u64, ends: u64) -> f64 {
        if size == 0 {
            return 0.0;
        }
        let structure = if self.degree_corrected {
            log_factorial(ends) + log_binomial(size + ends - 1, ends)
        } else {
            ends as f64 * (size as f64).ln()
        };
        structure - log_factorial(size)
    }

    /// What depends on the number of blocks alone.
    pub(crate) fn count(&self, blocks: u64) -> f64 {
        let (n, pairs) = (self.nodes, blocks * (blocks + 1) / 2);
        log_factorial(n)
            + log_binomial(n.saturating_sub(1), blocks.saturating_sub(1))
            + (n as f64).ln()
            + log_binomial(pairs + self.edges - 1, self.edges)
    }

    /// What no partition changes.
    pub(crate) fn constant(&self, degrees: &[u64]) -> f64 {
        if self.degree_corrected { -degrees.iter().map(|degree| log_factorial(*degree)).sum::<f64>() } else { 0.0 }
    }
}
