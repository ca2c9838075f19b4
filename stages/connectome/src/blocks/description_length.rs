//! The description length of a weighted graph under a stochastic block model, in nats (Peixoto's microcanonical formulation).
//!
//! `n_r` are block sizes, `m_rs` edges between blocks, `e_rs = m_rs` for `r ≠ s` and `e_rr = 2 m_rr`, `e_r = Σ_s e_rs`, `k_i` degrees, `S_rs` summed weights. In a directed
//! graph `e_rs` counts edges from `r` to `s`, also for `r = s`, and ends are counted apart for each direction. Parallel edges do not occur, so `Σ ln A_ij!` is zero.

use super::divisions::log_divisions;
use neuroflow_compute::statistics::{log_binomial, log_factorial, log_gamma};
use std::sync::LazyLock;

/// How weights are modelled. Each pair of blocks has a parameter of its own, integrated over its prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weights {
    /// Not at all: only which edges exist counts.
    None,
    /// 0 or 1, with a uniform prior on the chance of 1.
    Bernoulli,
    /// Whole numbers with a rate; Gamma prior of shape 1 whose mean is the mean weight.
    Poisson {
        /// 1 / mean weight of the graph.
        inverse_mean: f64,
    },
    /// Exponential with a rate; Gamma prior of shape 1 and rate θ.
    Exponential {
        /// θ, the mean weight of the graph.
        rate: f64,
        /// ln θ, which every pair of blocks needs.
        log_rate: f64,
    },
    /// Standardised weights, normal with a mean and a variance; normal–inverse-χ² prior (mean 0 that counts as 1 edge, variance 1 that counts as 3).
    Normal,
}

impl Weights {
    /// Exponential weights with this mean.
    pub(crate) fn exponential(rate: f64) -> Weights {
        Weights::Exponential { rate, log_rate: rate.ln() }
    }
}

/// What is said of the degrees of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Degrees {
    /// Nothing: nodes of one block connect alike.
    Free,
    /// Degrees of their own, all sequences with the same sum alike: `ln C(n_r + e_r − 1, e_r)`.
    Uniform,
    /// Degrees of their own, drawn from a distribution that is itself unknown: `ln q(e_r, n_r) + ln n_r! − Σ_k ln η_k^r!` (Peixoto 2017, eq. 46), with `η_k^r` nodes of degree `k`
    /// in the block. Shorter where blocks are large and degrees are broad.
    Distributed,
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

impl Pair {
    /// One edge.
    pub(crate) fn one(weight: f64) -> Pair {
        Pair { edges: 1, sum: weight, squares: weight * weight }
    }

    pub(crate) fn plus(&self, other: &Pair) -> Pair {
        Pair { edges: self.edges + other.edges, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }

    /// Exactly empty when no edge is left, whatever rounding left of the sums.
    pub(crate) fn minus(&self, other: &Pair) -> Pair {
        let edges = self.edges.saturating_sub(other.edges);
        if edges == 0 { Pair::default() } else { Pair { edges, sum: self.sum - other.sum, squares: self.squares - other.squares } }
    }
}

/// What the number of edges alone adds to normal weights, for few edges.
static NORMAL: LazyLock<Vec<f64>> = LazyLock::new(|| (0..4096).map(|m| normal(f64::from(m))).collect());

fn normal(m: f64) -> f64 {
    0.5 * m * (2.0 * std::f64::consts::PI).ln() + 0.5 * (m + 1.0).ln() + log_gamma(1.5) - log_gamma(0.5 * (3.0 + m)) - 1.5 * 1.5f64.ln()
}

/// What the model is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    pub(crate) weights: Weights,
    pub(crate) degrees: Degrees,
    pub(crate) directed: bool,
    /// One parameter for all pairs inside of blocks and one for all others, instead of one for each pair of blocks: see [`Model::pooled`].
    pub(crate) assortative: bool,
    /// Whether each node is in each block with the same chance: for a number of blocks that is given. Else the sizes of blocks are described first (Peixoto
    /// 2017), which makes one large block and some small ones cheaper than equal ones: right for finding how many blocks there are, and no help when that is known.
    pub(crate) equal_chances: bool,
    /// Nodes; those of the second side of a bipartite graph apart, else 0.
    pub(crate) nodes: [u64; 2],
    pub(crate) edges: u64,
}

impl Model {
    /// What a pair of blocks adds (r ≤ s when undirected): structure and weights.
    #[inline]
    pub(crate) fn pair(&self, pair: &Pair, same: bool) -> f64 {
        if pair.edges == 0 {
            return 0.0;
        }
        // (2m)!! = 2^m m!
        let doubled = if same && !self.directed { pair.edges as f64 * std::f64::consts::LN_2 } else { 0.0 };
        let factorial = log_factorial(pair.edges);
        self.weights_with(pair, factorial) - doubled - factorial
    }

    /// What the weights of a pair of blocks add.
    #[inline]
    pub(crate) fn weights(&self, pair: &Pair) -> f64 {
        self.weights_with(pair, log_factorial(pair.edges))
    }

    /// As `weights`, with `ln m!` of the number of edges.
    #[inline]
    fn weights_with(&self, pair: &Pair, factorial: f64) -> f64 {
        let m = pair.edges as f64;
        match self.weights {
            Weights::None => 0.0,
            Weights::Bernoulli => {
                let ones = (pair.sum.round().max(0.0) as u64).min(pair.edges);
                log_factorial(pair.edges + 1) - log_factorial(ones) - log_factorial(pair.edges - ones)
            }
            // The factorials of the weights are in `constant_of_weights`.
            Weights::Poisson { inverse_mean } => {
                let sum = pair.sum.round().max(0.0);
                (sum + 1.0) * (m + inverse_mean).ln() - log_factorial(sum as u64) - inverse_mean.ln()
            }
            // Shape r0 = 1: ln Γ(1) = 0, and Γ(m + 1) = m!.
            Weights::Exponential { rate, log_rate } => (m + 1.0) * (pair.sum + rate).ln() - factorial - log_rate,
            Weights::Normal => {
                let scatter = 0.5 * (3.0 + (pair.squares - pair.sum * pair.sum / (m + 1.0)).max(0.0));
                NORMAL.get(pair.edges as usize).copied().unwrap_or_else(|| normal(m)) + 0.5 * (3.0 + m) * scatter.ln()
            }
        }
    }

    /// The assortative model (after Zhang & Peixoto 2020): edges fall on all places inside of blocks alike, and on all others alike; `− ln E_in! + E_in ln Σ_r n_r² / 2` and so for the
    /// edges between (`squares` is `Σ_r n_r²`; not halved when directed), and weights with one parameter for each. This is the model of each pair of blocks with another prior of edge
    /// counts, multinomial in the places of a pair, so that lengths of both can be compared. With own degrees, each block adds what it adds there over a model without them.
    pub(crate) fn pooled(&self, inside: &Pair, outside: &Pair, squares: u64) -> f64 {
        let nodes = (self.nodes[0] + self.nodes[1]) as f64;
        let ways = if self.directed { 1.0 } else { 0.5 };
        let fall = |edges: u64, places: f64| if edges == 0 { 0.0 } else { edges as f64 * (ways * places).ln() - log_factorial(edges) };
        fall(inside.edges, squares as f64)
            + fall(outside.edges, nodes * nodes - squares as f64)
            + if inside.edges > 0 { self.weights(inside) } else { 0.0 }
            + if outside.edges > 0 { self.weights(outside) } else { 0.0 }
    }

    /// What a block adds: `size` nodes, `ends` edge ends (`e_r`; outgoing and incoming apart when directed, else all first). The nodes' own degrees are in
    /// [`Model::constant`], how many nodes have the same in [`Model::alike`].
    #[inline]
    pub(crate) fn block(&self, size: u64, ends: [u64; 2]) -> f64 {
        if size == 0 {
            return 0.0;
        }
        let of = |ends: u64| {
            let own = match self.degrees {
                Degrees::Free => 0.0,
                Degrees::Uniform => log_factorial(ends) + log_binomial(size + ends - 1, ends),
                Degrees::Distributed => log_factorial(ends) + log_divisions(ends, size) + log_factorial(size),
            };
            // Without own degrees an end may be at any node of its block; the pooled counts of an assortative model hold that already.
            match (self.degrees, self.assortative) {
                (Degrees::Free, true) => 0.0,
                (Degrees::Free, false) => ends as f64 * (size as f64).ln(),
                (_, true) => own - ends as f64 * (size as f64).ln(),
                (_, false) => own,
            }
        };
        let sizes = if self.equal_chances { 0.0 } else { log_factorial(size) };
        of(ends[0]) + if self.directed { of(ends[1]) } else { 0.0 } - sizes
    }

    /// What `count` nodes of one block with the same degree (each direction apart) add.
    #[inline]
    pub(crate) fn alike(&self, count: u64) -> f64 {
        if self.degrees == Degrees::Distributed { -log_factorial(count) } else { 0.0 }
    }

    /// What depends on the number of blocks alone, on each side: the prior of the partition, and the flat prior of edge counts.
    pub(crate) fn count(&self, blocks: [u64; 2]) -> f64 {
        self.count_without_edges(blocks) + self.edge_prior(blocks)
    }

    /// The prior of the partition but for the sizes of blocks.
    pub(crate) fn count_without_edges(&self, blocks: [u64; 2]) -> f64 {
        let side = |nodes: u64, blocks: u64| {
            if self.equal_chances {
                nodes as f64 * (blocks.max(1) as f64).ln()
            } else if nodes == 0 {
                0.0
            } else {
                log_factorial(nodes) + log_binomial(nodes - 1, blocks.saturating_sub(1)) + (nodes as f64).ln()
            }
        };
        side(self.nodes[0], blocks[0]) + side(self.nodes[1], blocks[1])
    }

    /// All ways to share the edges among pairs of blocks.
    pub(crate) fn edge_prior(&self, blocks: [u64; 2]) -> f64 {
        if self.assortative {
            return if blocks[0] + blocks[1] < 2 { 0.0 } else { ((self.edges + 1) as f64).ln() };
        }
        let pairs = if self.nodes[1] > 0 {
            blocks[0] * blocks[1]
        } else if self.directed {
            blocks[0] * blocks[0]
        } else {
            blocks[0] * (blocks[0] + 1) / 2
        };
        log_binomial((pairs + self.edges).saturating_sub(1), self.edges)
    }

    /// What no partition changes.
    pub(crate) fn constant(&self, degrees: &[Vec<u64>; 2]) -> f64 {
        if self.degrees == Degrees::Free {
            return 0.0;
        }
        -degrees.iter().flatten().map(|degree| log_factorial(*degree)).sum::<f64>()
    }

    /// What weights add whatever the partition: the factorials of counts.
    pub(crate) fn constant_of_weights(&self, weights: impl Iterator<Item = f64>) -> f64 {
        match self.weights {
            Weights::Poisson { .. } => weights.map(|weight| log_factorial(weight.round().max(0.0) as u64)).sum(),
            _ => 0.0,
        }
    }
}
