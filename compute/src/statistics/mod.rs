//! Statistics on slices and matrices, each checked against scikit-learn, SciPy, NumPy or rsatoolbox.
//!
//! Sums are pairwise, so their error grows with the logarithm of the number of values. Values are expected to be finite; where a result is not
//! defined (a correlation with a constant) the function's doc says what it gives.

mod analysis_of_variance;
mod assignment;
mod cluster;
mod connectivity;
mod correlation;
#[cfg(test)]
mod false_positives;
mod gamma;
mod hierarchical;
mod kendall;
mod moments;
mod multiple;
mod partition;
mod permutation;
mod quantile;
mod rank;
mod reliability;
mod resampling;
mod shrinkage;

pub use analysis_of_variance::{Anova, anova, f_tail};
pub use assignment::{Assignment, assign};
pub use cluster::{Cluster, ClusterTest, Neighbours, cluster_test_one_sample, cluster_test_two_samples};
pub use connectivity::{correlation_of_rows_single, jittered_synchrony, lagged_correlation, partial_correlation};
pub use correlation::{correlation_of_rows, covariance, pearson, spearman, squared_distances};
pub use gamma::{log_binomial, log_factorial, log_gamma};
pub use hierarchical::{HierarchicalBootstrap, hierarchical_bootstrap};
pub use kendall::{kendall_tau_a, kendall_tau_b};
pub use moments::{central_moment, mean, standard_deviation, sum, variance};
pub use multiple::{benjamini_hochberg, holm};
pub use partition::{
    Contingency, adjusted_mutual_information, adjusted_rand_index, element_centric_similarity, normalised_mutual_information,
    variation_of_information,
};
pub use permutation::{PermutationTest, flip_signs, max_statistic, permute_labels};
pub use quantile::{median, quantile, quantile_of_sorted};
pub use rank::average_ranks;
pub use reliability::spearman_brown;
pub use resampling::{bootstrap_interval, p_value};
pub use shrinkage::{Shrunk, ledoit_wolf, oracle_approximating};
